//! Access rules, guards, checks and filters as SQL conditions.
//!
//! Two-valued like the rules themselves: a comparison with null is false, and its negation is true.

use super::{
    arithmetic, context, held, mine,
    names::{self, snake},
    object::{quote, quoted_list},
    predicate::{Sql, all, any, atom, exists, looked_up, not},
    seen, sets,
    visible::visible,
};
use crate::model::{
    DerivedKind, Entity, EntityId, Expr, Literal, Model, OfWhat, Op, Relation, Value,
};

/// As which database role, and for which rows, a condition is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// As the request role, over many rows: related rows are queried under their own policies, so that the planner can
    /// join them; more distant rows are looked up in sets, `sec.mine_…`.
    Policy,
    /// As the request role, for suspended and archived rows, which are few among many: related rows are checked by
    /// `sec.seen_…`, whose plans are kept, and facts about the caller are read as in [`Context::Row`].
    Few,
    /// As the request role, for the one row that is written: related rows are checked as in [`Context::Few`], and
    /// facts about the caller are read where they are needed. A sub-query instead would cost time at the start of each
    /// statement even if unused, and an UPDATE policy contains the rules of every action.
    Row,
    /// Like [`Context::Row`], for many conditions in one select list: facts about the caller are read once, into `me`.
    Me,
    /// Bypassing row-level security, for one row: related rows are checked by `sec.seen_…`.
    Definer,
    /// Bypassing row-level security, over many rows: related rows are looked up in sets, `sec.mine_…`, if those are
    /// bounded by the caller.
    Set,
    /// Bypassing row-level security, for an anonymous caller: ways to see a row that are open to others only are left
    /// out.
    Anonymous,
    /// Bypassing row-level security, about rows alone: there is no caller, and related rows are visible regardless of
    /// policies.
    State,
}

impl Context {
    /// Whether facts about the caller are read for each row, and not once per statement.
    fn asks_directly(self) -> bool {
        matches!(self, Context::Row | Context::Few | Context::Definer)
    }
}

/// A sub-query for the row `me` with facts about the caller: those that `text` uses. `None` if it uses none.
pub fn me(model: &Model, text: &str) -> Option<String> {
    let mut columns = vec![("id".to_owned(), "sec.uid()".to_owned())];
    for role in &model.roles {
        let (name, setting) = (snake(&role.name), quote(&context::setting(role)));
        let scopes = format!("coalesce(current_setting({setting}, true), '')");
        columns.push((name.clone(), scopes));
        columns.push((format!("is_{name}"), format!("sec.is_{name}()")));
    }
    let named: Vec<String> = columns
        .into_iter()
        .filter(|(name, _)| names_me(text, name))
        .map(|(name, call)| format!("{call} as {name}"))
        .collect();
    // `offset 0` prevents the planner from inlining each call wherever it is used.
    (!named.is_empty()).then(|| format!("(select {} offset 0) as me", named.join(", ")))
}

/// The condition on one line, for a row of `entity` known as `alias` (empty: unqualified columns).
pub fn compile(
    model: &Model,
    entity: EntityId,
    expr: &Expr,
    alias: &str,
    context: Context,
) -> String {
    predicate(
        model,
        Scope {
            entity,
            alias,
            context,
        },
        expr,
    )
    .line()
}

/// The row that a condition is about, and the context in which it is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub entity: EntityId,
    pub alias: &'a str,
    pub context: Context,
}

impl Scope<'_> {
    pub fn column(self, name: &str) -> String {
        if self.alias.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.alias)
        }
    }

    /// An alias for the row of a sub-query: `p1` inside the table's own condition, then `p2`, …
    pub fn inner_alias(self) -> String {
        format!("p{}", self.depth() + 1)
    }

    /// The number of sub-queries around the row.
    fn depth(self) -> u32 {
        let number = self.alias.strip_prefix('p');
        number.and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

/// The number of levels of parent rows whose conditions are inlined; more distant rows are checked by a function. Each
/// level can double the length of the condition.
const DEPTH_MAX: u32 = 3;

/// The condition of an optional rule; `None` means that nobody may.
pub(super) fn optional(model: &Model, scope: Scope<'_>, expr: Option<&Expr>) -> Sql {
    expr.map_or(Sql::False, |e| predicate(model, scope, e))
}

pub(super) fn predicate(model: &Model, scope: Scope<'_>, expr: &Expr) -> Sql {
    let entity = &model.entities[scope.entity];
    let known = |sql: String| {
        if scope.context == Context::Anonymous {
            Sql::False
        } else {
            Sql::Atom(sql)
        }
    };
    let uid = match scope.context {
        Context::Me => "me.id",
        context if context.asks_directly() => "sec.uid()",
        _ => "(select sec.uid())",
    };
    match expr {
        Expr::Anyone => Sql::True,
        Expr::Nobody => Sql::False,
        Expr::SignedIn => known(format!("{uid} is not null")),
        Expr::All(parts) => all(parts.iter().map(|p| predicate(model, scope, p))),
        Expr::Any(parts) => any(parts.iter().map(|p| predicate(model, scope, p))),
        Expr::Not(part) => not(predicate(model, scope, part)),
        Expr::Condition(index) => predicate(model, scope, &entity.conditions[*index].expr),
        Expr::Of { relation, what } => {
            let relation = &entity.belongs[*relation];
            any(what
                .iter()
                .map(|(target, what)| of(model, scope, relation, *target, what)))
        }
        Expr::MeIs { relation } => {
            let relation = &entity.belongs[*relation];
            let me = known(format!("{} = {uid}", scope.column(&relation.id_column())));
            all([type_is(model, scope, relation, model.identity), me])
        }
        Expr::MeIsThis => known(format!("{} = {uid}", scope.column("id"))),
        Expr::MeHolds { role } => known(holds(scope, &snake(&model.roles[*role].name))),
        Expr::MeHoldsOf { role, relation } => {
            let column = relation.map_or("id".to_owned(), |r| entity.belongs[r].id_column());
            let role = snake(&model.roles[*role].name);
            known(holds_of(scope, &role, &scope.column(&column)))
        }
        Expr::MeIn { has, me, filter } => {
            let set = sets::name(model, scope.entity, *has, me, filter.as_deref());
            known(format!("{} in (select sec.{set}())", scope.column("id")))
        }
        Expr::MeOutranks { relation, of } => {
            let who = relation.map_or("id".to_owned(), |r| entity.belongs[r].id_column());
            let of = of.map_or("null".to_owned(), |r| {
                scope.column(&entity.belongs[r].id_column())
            });
            known(format!("sec.outranks({}, {of})", scope.column(&who)))
        }
        Expr::Compare { left, op, right } => compare(model, scope, left, *op, right),
        Expr::In { value: v, list } => {
            let texts: Vec<String> = list.iter().map(literal).collect();
            atom(format!(
                "{} in ({})",
                value(model, scope, v),
                texts.join(", ")
            ))
        }
        Expr::IsNull(v) => atom(format!("{} is null", value(model, scope, v))),
        Expr::Flag(name) => match flag_of(entity, name) {
            Some(expr) => predicate(model, scope, expr),
            None => atom(scope.column(name)),
        },
    }
}

/// Whether a condition is constant.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Always,
    Never,
    Depends,
}

/// The condition that a `one of` relation refers to a row of this entity.
pub(super) fn type_is(
    model: &Model,
    scope: Scope<'_>,
    relation: &Relation,
    target: EntityId,
) -> Sql {
    relation.type_column().map_or(Sql::True, |column| {
        atom(format!(
            "{} = {}",
            scope.column(&column),
            quote(&model.entities[target].name)
        ))
    })
}

pub(super) fn literal(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".into(),
        Literal::Bool(b) => b.to_string(),
        Literal::Int(n) => n.to_string(),
        Literal::Decimal(text) => text.clone(),
        Literal::Text(text) => quote(text),
        Literal::Now => "now()".into(),
        // Not `current_date`, which depends on the time zone of the session.
        Literal::Today => "(now() at time zone 'UTC')::date".into(),
    }
}

/// `in (…)` over the values of an enum.
pub(super) fn one_of(column: &str, values: &[String]) -> String {
    format!("{column} in ({})", quoted_list(values))
}

fn names_me(text: &str, column: &str) -> bool {
    let name = format!("me.{column}");
    text.match_indices(&name).any(|(at, _)| {
        let next = text[at + name.len()..].chars().next();
        !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn holds(scope: Scope<'_>, role: &str) -> String {
    match scope.context {
        Context::Me => format!("me.is_{role}"),
        context if context.asks_directly() => format!("sec.is_{role}()"),
        _ => format!("(select sec.is_{role}())"),
    }
}

fn holds_of(scope: Scope<'_>, role: &str, column: &str) -> String {
    match scope.context {
        // Searched in the text of all ids, because converting fifty of them to an array would take longer than
        // everything else.
        Context::Me => format!("strpos(me.{role}, {column}::text) > 0"),
        context if context.asks_directly() => {
            format!("strpos(sec.held_{role}(), {column}::text) > 0")
        }
        _ => format!("{column} in (select unnest(sec.scopes_{role}()))"),
    }
}

fn of(
    model: &Model,
    scope: Scope<'_>,
    relation: &Relation,
    target: EntityId,
    what: &OfWhat,
) -> Sql {
    let parent = &model.entities[target];
    let id = scope.column(&relation.id_column());
    let alias = scope.inner_alias();
    let inner = Scope {
        entity: target,
        alias: &alias,
        context: scope.context,
    };
    let granted = || granted(model, inner, what);
    let from = format!("{} {alias}", names::table(parent));
    let same_row = atom(format!("{alias}.id = {id}"));
    let found = |condition: Sql| match condition {
        Sql::False => Sql::False,
        condition => exists(from.clone(), all([same_row.clone(), condition])),
    };
    let fate = fate(model, target, what, scope.context);
    let near = scope.depth() < DEPTH_MAX;
    let holds = match scope.context {
        _ if fate == Fate::Never => Sql::False,
        Context::Anonymous if scope.depth() < 1 => found(all([visible(model, inner), granted()])),
        Context::Anonymous => seen::holds_for_anyone(model, target, what, &id),
        Context::State => found(granted()),
        Context::Policy if !seen::is_deep(model, target, what) => found(granted()),
        Context::Policy if near && mine::is_looked_up(model, target, what) => {
            looked_up(&from, &all([same_row, granted()]))
        }
        context => {
            let what = if fate == Fate::Always {
                &OfWhat::Read
            } else {
                what
            };
            let set = if matches!(context, Context::Policy | Context::Set) {
                mine::holds(model, target, what, &id)
            } else {
                None
            };
            set.unwrap_or_else(|| seen::holds(model, target, what, &id))
        }
    };
    all([type_is(model, scope, relation, target), holds])
}

/// The condition for `what` on a row that is visible already.
fn granted(model: &Model, scope: Scope<'_>, what: &OfWhat) -> Sql {
    let entity = &model.entities[scope.entity];
    match what {
        OfWhat::Read => Sql::True,
        OfWhat::Condition(index) => predicate(model, scope, &entity.conditions[*index].expr),
        OfWhat::Update => optional(model, scope, entity.access.update.as_ref()),
        OfWhat::Delete => optional(model, scope, entity.access.delete.as_ref()),
    }
}

/// Whether the condition of [`granted`] is constant, found without compiling it at each level above it.
fn fate(model: &Model, target: EntityId, what: &OfWhat, context: Context) -> Fate {
    let scope = Scope {
        entity: target,
        alias: "p1",
        context,
    };
    let find = || {
        let granted = granted(model, scope, what);
        let whole = match context {
            Context::Anonymous if granted != Sql::False => all([visible(model, scope), granted]),
            _ => granted,
        };
        match whole {
            Sql::True => Fate::Always,
            Sql::False => Fate::Never,
            _ => Fate::Depends,
        }
    };
    let key = ("fate", context as usize, target, what.clone());
    model.memo.once(key, Fate::Depends, find)
}

fn compare(model: &Model, scope: Scope<'_>, left: &Value, op: Op, right: &Value) -> Sql {
    let null = |v: &Value| matches!(v, Value::Literal(Literal::Null));
    if null(left) || null(right) {
        let tested = value(model, scope, if null(left) { right } else { left });
        return match op {
            Op::Eq => atom(format!("{tested} is null")),
            Op::Ne => atom(format!("{tested} is not null")),
            _ => Sql::False,
        };
    }
    let sign = match op {
        Op::Eq => "=",
        Op::Ne => "<>",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    };
    atom(format!(
        "{} {sign} {}",
        value(model, scope, left),
        value(model, scope, right)
    ))
}

fn value(model: &Model, scope: Scope<'_>, v: &Value) -> String {
    match v {
        Value::Column(name) => match flag_of(&model.entities[scope.entity], name) {
            Some(expr) => format!("coalesce({}, false)", predicate(model, scope, expr).line()),
            None => scope.column(name),
        },
        Value::Related { relation, column } => held::value(model, scope, relation, column),
        Value::Literal(l) => literal(l),
        Value::Add(a, b) => computed(model, scope, v, [a, b], '+'),
        Value::Sub(a, b) => computed(model, scope, v, [a, b], '-'),
    }
}

fn computed(
    model: &Model,
    scope: Scope<'_>,
    v: &Value,
    operands: [&Value; 2],
    sign: char,
) -> String {
    let [left, right] = operands.map(|operand| value(model, scope, operand));
    match arithmetic::cast(&model.entities[scope.entity], v) {
        Some(wider) => format!("({left}::{wider} {sign} {right})"),
        None => format!("({left} {sign} {right})"),
    }
}

/// The expression of a derived flag. Flags are no columns, so they are inlined where they are used.
fn flag_of<'m>(entity: &'m Entity, name: &str) -> Option<&'m Expr> {
    entity
        .derived
        .iter()
        .find(|d| d.name == name)
        .and_then(|d| match &d.kind {
            DerivedKind::Flag { expr } => Some(expr),
            _ => None,
        })
}
