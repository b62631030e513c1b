//! `sec.mine_<entity>[_<condition>]()`: the rows for which `sec.seen_…` says yes, as a set.
//!
//! For policies over many rows that ask about a parent row: the set is computed once per statement from what the
//! caller holds, while a function would be called for every row. It exists only if the condition is bounded by the
//! caller, that is, each way to fulfil it names the caller; the set is then found by index, and empty for callers who
//! hold nothing.

use super::{
    names::{self, Roles},
    object::{Function, on_table},
    predicate::{Sql, all, any, atom},
    references,
    rules::{Context, Scope, predicate},
    seen, sets,
    visible::visible,
};
use crate::model::{EntityId, Expr, Lifecycle, Model, OfWhat};
use crate::objects::{Kind, Object};
use std::collections::BTreeSet;

/// Without `enable_seqscan`: with few different values in a column, such as cities, the plan that is kept for all callers
/// would read the whole table, also for those who hold nothing.
pub(super) const SET: &str =
    "language plpgsql stable parallel safe rows 100 set enable_seqscan = off";
const COUNT: &str = "language plpgsql stable parallel safe set enable_seqscan = off";

/// Roles whose holders, if they hold the role everywhere, may fulfil a condition without being named by the row.
pub(super) type Everywhere = BTreeSet<usize>;

/// Like [`seen::holds`], for queries over many rows. `None`: the condition is not bounded by the caller.
pub(super) fn holds(model: &Model, id: EntityId, what: &OfWhat, value: &str) -> Option<Sql> {
    let everywhere = bound(model, id, what)?;
    let in_set = match call(model, id, what) {
        Some(call) => atom(format!("{value} in (select {call})")),
        None => Sql::False,
    };
    // Holders of a role everywhere see nearly every row, so a page is full after few checks: asking row by row is
    // cheaper than collecting the set.
    let asked = all([
        any(words(model, &everywhere)),
        seen::holds(model, id, what, value),
    ]);
    Some(any([in_set, asked]))
}

/// The call of the set's function, such as `sec.mine_event_admin()`. `None`: not bounded, or the set is always empty.
pub(super) fn call(model: &Model, id: EntityId, what: &OfWhat) -> Option<String> {
    let everywhere = bound(model, id, what)?;
    let key = ("mine", 0, id, what.clone());
    let some = || !selects(model, id, what, &everywhere).is_empty();
    (model.memo.once(key, false, some))
        .then(|| format!("{}()", seen::name(model, "mine", id, what)))
}

pub(super) fn function(model: &Model, id: EntityId, what: &OfWhat) -> Option<Object> {
    let rows = rows(model, id, what, 2)?;
    let doc = "Rows that the caller sees and for which this condition holds. PL/pgSQL, because it keeps its plan.";
    let function = Function {
        kind: Kind::TableFunction,
        name: &seen::name(model, "mine", id, what),
        arguments: "",
        returns: "setof uuid",
        attributes: SET,
        definer: Some(Roles(&model.app).authz()),
        callers: vec![Roles(&model.app).app()],
        doc,
        body: format!("begin\n  return query\n{rows};\nend"),
    };
    Some(of_table(model, id, function))
}

/// `sec.many_<entity>[_<condition>]()`: whether the set has more than `few` rows. It reads no more than these.
pub(super) fn many(model: &Model, id: EntityId, what: &OfWhat, few: usize) -> Option<Object> {
    let rows = rows(model, id, what, 6)?;
    let function = Function {
        kind: Kind::TableFunction,
        name: &seen::name(model, "many", id, what),
        arguments: "",
        returns: "boolean",
        attributes: COUNT,
        definer: Some(Roles(&model.app).authz()),
        callers: vec![Roles(&model.app).app()],
        doc: &format!(
            "Whether the caller sees more than {few} rows for which this condition holds. PL/pgSQL, because it keeps its plan."
        ),
        body: format!(
            "begin\n  return (\n    select count(*) > {few} from (\n{rows}\n      limit {}\n    ) as found\n  );\nend",
            few + 1
        ),
    };
    Some(of_table(model, id, function))
}

/// Whether each row is looked up instead of using the set. The set might contain everything below another set, such as
/// all orders of all events of an organizer, only to read a single row. A lookup is possible if the table's own policy
/// depends on nothing but such sets.
pub(super) fn is_looked_up(model: &Model, id: EntityId, what: &OfWhat) -> bool {
    let key = ("looked up", 0, id, what.clone());
    let find = || can_be_looked_up(model, id, what);
    model.memo.once(key, false, find)
}

pub(super) fn bound(model: &Model, id: EntityId, what: &OfWhat) -> Option<Everywhere> {
    let key = ("bound", 0, id, what.clone());
    let find = || bounded(model, id, &granted(model, id, what));
    model.memo.once(key, None, find)
}

/// One way to fulfil a condition.
pub(super) struct Arm {
    /// The part that names the caller, by which the rows are found.
    pub(super) by: Expr,
    rest: Vec<Expr>,
}

/// The condition as lookups in indexed columns; a `one of` has such a column for each target. Ids are passed as
/// arrays, which the planner assumes to be short: the plan is kept, and the first caller may hold very much or
/// nothing.
pub(super) fn lookups(model: &Model, scope: Scope<'_>, by: &Expr) -> Vec<Sql> {
    let entity = &model.entities[scope.entity];
    let column = |relation: usize, target: EntityId| {
        let relation = &entity.belongs[relation];
        scope.column(&references::column(relation, &model.entities[target]))
    };
    let held = |role: usize, column: &str| {
        let role = names::snake(&model.roles[role].name);
        atom(format!(
            "{column} = any ((select sec.scopes_{role}())::uuid[])"
        ))
    };
    let one_of = |column: &str, call: &str| atom(format!("{column} = any (array(select {call}))"));
    match by {
        Expr::MeHoldsOf {
            role,
            relation: Some(relation),
        } => entity.belongs[*relation]
            .targets
            .iter()
            .map(|target| held(*role, &column(*relation, *target)))
            .collect(),
        Expr::MeHoldsOf { role, .. } => vec![held(*role, &scope.column("id"))],
        Expr::MeIs { relation } => vec![atom(format!(
            "{} = (select sec.uid())",
            column(*relation, model.identity)
        ))],
        Expr::MeIn { has, me, filter } => {
            let set = sets::name(model, scope.entity, *has, me, filter.as_deref());
            vec![one_of(&scope.column("id"), &format!("sec.{set}()"))]
        }
        Expr::Of { relation, what } => what
            .iter()
            .filter_map(|(target, what)| {
                let call = call(model, *target, what)?;
                Some(one_of(&column(*relation, *target), &call))
            })
            .collect(),
        other => vec![predicate(model, scope, other)],
    }
}

pub(super) fn words(model: &Model, everywhere: &Everywhere) -> impl Iterator<Item = Sql> {
    everywhere.iter().map(|role| {
        atom(format!(
            "(select sec.is_{}())",
            names::snake(&model.roles[*role].name)
        ))
    })
}

/// The condition under which the caller sees the row and `what` holds for it.
pub(super) fn granted(model: &Model, id: EntityId, what: &OfWhat) -> Expr {
    let entity = &model.entities[id];
    let access = &entity.access;
    let rule = match what {
        OfWhat::Read if entity.lifecycle == Lifecycle::SoftDelete => {
            let rules = [
                &access.read,
                &access.update,
                &access.suspend,
                &access.delete,
                &access.restore,
            ];
            Some(Expr::Any(rules.into_iter().flatten().cloned().collect()))
        }
        OfWhat::Read => access.read.clone(),
        _ => seen::rule(model, id, what).cloned(),
    };
    rule.unwrap_or(Expr::Nobody)
}

/// The ways to fulfil a bounded condition, without those that are open only to holders of a role everywhere.
pub(super) fn arms(model: &Model, id: EntityId, expr: &Expr) -> Vec<Arm> {
    let by = |expr: Expr| Arm {
        by: expr,
        rest: Vec::new(),
    };
    match expr {
        Expr::Any(parts) => parts.iter().flat_map(|p| arms(model, id, p)).collect(),
        Expr::Condition(index) => arms(model, id, &model.entities[id].conditions[*index].expr),
        Expr::Of { relation, what } => {
            let one = |what: &(EntityId, OfWhat)| Expr::Of {
                relation: *relation,
                what: vec![what.clone()],
            };
            what.iter().map(|what| by(one(what))).collect()
        }
        Expr::All(parts) => {
            let bounds = parts.iter().enumerate();
            let Some((_, chosen)) = bounds
                .filter_map(|(i, p)| Some((bounded(model, id, p)?.len(), i)))
                .min()
            else {
                return Vec::new();
            };
            let mut found = arms(model, id, &parts[chosen]);
            for arm in &mut found {
                let others = parts.iter().enumerate().filter(|(i, _)| *i != chosen);
                arm.rest.extend(others.map(|(_, p)| p.clone()));
            }
            found
        }
        Expr::MeIs { .. } | Expr::MeIsThis | Expr::MeHoldsOf { .. } | Expr::MeIn { .. } => {
            vec![by(expr.clone())]
        }
        _ => Vec::new(),
    }
}

fn can_be_looked_up(model: &Model, id: EntityId, what: &OfWhat) -> bool {
    let entity = &model.entities[id];
    let scope = Scope {
        entity: id,
        alias: "p1",
        context: Context::Policy,
    };
    let by_set = |arm: &Arm| matches!(arm.by, Expr::Of { .. });
    // The creator of a row sees it at first through the policy only, which a lookup would not know.
    entity.creator.is_none()
        && !seen::reads_private_columns(model, id, what)
        && bound(model, id, what).is_some()
        && arms(model, id, &granted(model, id, what))
            .iter()
            .any(by_set)
        && visible(model, scope).is_flat()
}

/// The roles that fulfil the condition everywhere. `None`: some callers fulfil it without being named.
fn bounded(model: &Model, id: EntityId, expr: &Expr) -> Option<Everywhere> {
    let entity = &model.entities[id];
    match expr {
        Expr::Nobody
        | Expr::MeIs { .. }
        | Expr::MeIsThis
        | Expr::MeHoldsOf { .. }
        | Expr::MeIn { .. } => Some(Everywhere::new()),
        Expr::MeHolds { role } => Some(Everywhere::from([*role])),
        Expr::All(parts) => parts
            .iter()
            .filter_map(|p| bounded(model, id, p))
            .min_by_key(Everywhere::len),
        Expr::Any(parts) => union(parts.iter().map(|p| bounded(model, id, p))),
        Expr::Condition(index) => bounded(model, id, &entity.conditions[*index].expr),
        Expr::Of { what, .. } => union(
            what.iter()
                .map(|(target, what)| bound(model, *target, what)),
        ),
        Expr::Anyone
        | Expr::SignedIn
        | Expr::Not(_)
        | Expr::MeOutranks { .. }
        | Expr::Compare { .. }
        | Expr::In { .. }
        | Expr::IsNull(_)
        | Expr::Flag(_) => None,
    }
}

fn union(mut parts: impl Iterator<Item = Option<Everywhere>>) -> Option<Everywhere> {
    parts.try_fold(Everywhere::new(), |mut all, part| {
        all.extend(part?);
        Some(all)
    })
}

fn of_table(model: &Model, id: EntityId, function: Function<'_>) -> Object {
    let table = names::table(&model.entities[id]);
    on_table(&table, function.object(Roles(&model.app)))
}

/// The ids of the set as one query, indented by so many blanks. `None`: the condition is not bounded by the caller, or
/// the set is always empty.
fn rows(model: &Model, id: EntityId, what: &OfWhat, indent: usize) -> Option<String> {
    let selects = selects(model, id, what, &bound(model, id, what)?);
    let table = names::table(&model.entities[id]);
    let margin = " ".repeat(indent);
    let select = |condition: &Sql| {
        let condition = condition.block(indent + 2);
        format!("{margin}select t.id from {table} t\n{margin}where {condition}")
    };
    let selects: Vec<String> = selects.iter().map(select).collect();
    (!selects.is_empty()).then(|| selects.join(&format!("\n{margin}union all\n")))
}

/// The conditions that make up the set, each answered by one index.
fn selects(model: &Model, id: EntityId, what: &OfWhat, everywhere: &Everywhere) -> Vec<Sql> {
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Set,
    };
    let visible = visible(model, scope);
    // Holders of such a role are answered by the function for one row, so their part is left out.
    let words: Vec<Sql> = words(model, everywhere).collect();
    let mut found = Vec::new();
    for arm in arms(model, id, &granted(model, id, what)) {
        let by = predicate(model, scope, &arm.by);
        let rest = all(arm.rest.iter().map(|p| predicate(model, scope, p)));
        let seen = visible.assuming(&all([by.clone(), rest.clone()]));
        for lookup in lookups(model, scope, &arm.by) {
            let select = all([lookup, rest.assuming(&by), seen.clone()]).without(&words);
            if select != Sql::False && !found.contains(&select) {
                found.push(select);
            }
        }
    }
    found
}
