//! The SQL statements of an entity. The alias of the row is always `t`. Columns with a read rule come from a function
//! with the alias `p`.

mod national;
mod writes;

use crate::emit::actions::{self, Action};
use crate::emit::columns::{self, Column, Source};
use crate::emit::openapi::words;
use crate::emit::rust::{option, text, wrap};
use crate::emit::schema::{
    self,
    rules::{Context, compile, me},
};
use crate::model::{
    Change, Derived, DerivedKind, Entity, EntityId, Expr, Lifecycle, Model, Transition, Ty,
};

/// Wider than Rust code, because this SQL is read but seldom edited.
pub(super) const WIDTH: usize = 116;
const INDENT: &str = "        ";

/// One entity's statements.
pub struct Statements<'a> {
    model: &'a Model,
    id: EntityId,
    entity: &'a Entity,
}

/// The parts that several statements share, as macros so that the file contains them once: the selected columns and,
/// if there are several update statements, the columns that all of them set.
pub fn macros(model: &Model, id: EntityId) -> String {
    let statements = Statements::of(model, id);
    let seen = columns::guarded(statements.entity).then(|| format!("p.{}", schema::SEEN));
    let columns: Vec<String> = columns::row(statements.entity)
        .iter()
        .map(|c| statements.select(c))
        .chain(seen)
        .collect();
    let mut out = macro_of("columns", &columns);
    if statements.gives_counters() {
        let fresh: Vec<String> = columns::row(statements.entity)
            .iter()
            .map(|c| statements.select_fresh(c))
            .collect();
        out.push_str(&macro_of("fresh", &fresh));
    }
    let sets = statements.sets();
    if Action::Update.open(statements.entity).is_some()
        && !statements.guarded().is_empty()
        && !sets.is_empty()
    {
        out.push_str(&macro_of("sets", &sets));
    }
    out
}

fn macro_of(name: &str, items: &[String]) -> String {
    let items = text(&wrap(items, WIDTH, "    "));
    format!("\n#[rustfmt::skip]\nmacro_rules! {name} {{ () => {{\n    {items}\n}} }}\n")
}

impl<'a> Statements<'a> {
    pub fn of(model: &'a Model, id: EntityId) -> Self {
        Statements {
            model,
            id,
            entity: &model.entities[id],
        }
    }

    /// The `Sql { … }` of the resource, one expression per line, without the actions that the entity doesn't have.
    pub fn literal(&self) -> String {
        let from = self.from();
        let actions = self.allowed_actions();
        let with_me = self.with_me(&from, &actions);
        let select = |rest: &str| format!("concat!(\"select \", columns!(), {})", text(rest));
        let statements = [
            (
                "get",
                select(&format!(
                    "{actions}\n{INDENT}from {with_me} where t.id = $1"
                )),
            ),
            ("get_anonymous", self.get_anonymous(&from, &actions)),
            ("list", self.list()),
            ("list_end", self.list_end()),
            ("ways", self.ways()),
            (
                "by_ids",
                select(&format!(" from {from} where t.id = any($1)")),
            ),
            ("create", self.create()),
            ("update", self.update()),
            ("update_guarded", self.update_guarded()),
            ("archive", self.status(Action::Delete, "archived")),
            ("restore", self.status(Action::Restore, "active")),
            ("suspend", self.status(Action::Suspend, "suspended")),
            ("unsuspend", self.status(Action::Suspend, "active")),
            ("probe", self.probe()),
            ("national", national::national(self.model, self.id)),
        ];
        let empty = |statement: &str| matches!(statement, "\"\"" | "None");
        let mut lines: String = statements
            .iter()
            .filter(|(_, statement)| !empty(statement))
            .map(|(name, statement)| format!("        {name}: {statement},\n"))
            .collect();
        if statements.iter().any(|(_, statement)| empty(statement)) {
            lines.push_str("        ..Sql::NONE\n");
        }
        lines
    }

    fn table(&self) -> String {
        format!("app.{} as t", self.entity.plural)
    }

    fn from(&self) -> String {
        let table = self.joined();
        match columns::guarded(self.entity) {
            true => format!(
                "{table} left join lateral app.{}_private(t.id) p on true",
                self.entity.name
            ),
            false => table,
        }
    }

    /// The table of counters, if the entity has one.
    pub(super) fn counted(&self) -> Option<String> {
        let apart = |d: &Derived| schema::is_apart(self.model, self.id, d);
        let table = schema::counters_table(self.entity);
        (self.entity.derived.iter().any(apart)).then(|| format!("{table} as counts"))
    }

    /// The table, joined with its counters.
    fn joined(&self) -> String {
        format!("{}{}", self.table(), self.join())
    }

    fn join(&self) -> String {
        let join = |counts| format!(" join {counts} on counts.id = t.id");
        self.counted().map_or(String::new(), join)
    }

    /// The statement of a list up to its conditions.
    fn list(&self) -> String {
        let rest = match columns::guarded(self.entity) {
            false => format!(" from {}", self.joined()),
            true => {
                let row = columns::row(self.entity);
                let open = row.iter().filter(|c| {
                    let flag = matches!(c.source, Source::Derived(d) if matches!(d.kind, DerivedKind::Flag { .. }));
                    c.read_rule().is_none() && !flag
                });
                let kept = |c: &Column| match self.is_apart(c) {
                    true => format!("counts.{}", c.name()),
                    false => format!("t.{}", c.name()),
                };
                let open: Vec<String> = open.map(kept).collect();
                let open = wrap(&open, WIDTH, &format!("{INDENT}  "));
                format!(
                    "\n{INDENT}from (\n{INDENT}  select {open}\n{INDENT}  from {}",
                    self.joined()
                )
            }
        };
        format!("concat!(\"select \", columns!(), {})", text(&rest))
    }

    fn list_end(&self) -> String {
        match columns::guarded(self.entity) {
            true => text(&format!(
                ") as t{} left join lateral app.{}_private(t.id) p on true",
                self.counts_of_page(),
                self.entity.name
            )),
            false => "\"\"".into(),
        }
    }

    /// How the rows are found that name the caller.
    fn ways(&self) -> String {
        let Some(found) = schema::ways(self.model, self.id) else {
            return "None".into();
        };
        let sets: Vec<String> = found.sets.iter().map(|set| text(set)).collect();
        let by = found.by.iter().map(|(column, set)| {
            let column = text(&format!("t.{column}"));
            format!("({column}, {})", option(set.map(|set| set.to_string())))
        });
        format!(
            "Some(&Ways {{ walks: {}, sets: &[{}], by: &[{}] }})",
            text(&found.walks),
            sets.join(", "),
            by.collect::<Vec<_>>().join(", ")
        )
    }

    /// Makes the counters that the rows of a page already contain available under the alias that all statements use.
    fn counts_of_page(&self) -> String {
        let row = columns::row(self.entity);
        let apart = row.iter().filter(|c| self.is_apart(c));
        let names: Vec<String> = apart.map(|c| format!("t.{}", c.name())).collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(
                " cross join lateral (select t.id, {}) as counts",
                names.join(", ")
            ),
        }
    }

    fn is_apart(&self, column: &Column) -> bool {
        matches!(column.source, Source::Derived(d) if schema::is_apart(self.model, self.id, d))
    }

    /// Adds the row of what is known about the caller, if the text uses it.
    fn with_me(&self, from: &str, text: &str) -> String {
        match me(self.model, text) {
            Some(me) => format!("{from}, {me}"),
            None => from.to_owned(),
        }
    }

    /// The statement for anonymous callers if they may perform no action at all: `allowed_actions` then need not be
    /// computed for each row. Empty if they may perform some.
    fn get_anonymous(&self, from: &str, actions: &str) -> String {
        let rules = [Action::Update, Action::Delete, Action::Suspend];
        let rules = rules.iter().filter_map(|action| action.open(self.entity));
        let transitions = actions::transitions(self.entity).iter().map(|t| &t.by);
        let offers = self.entity.offers.iter().map(|offer| &offer.by);
        let stranger = |rule: &Expr| compile(self.model, self.id, rule, "t", Context::Anonymous);
        if actions.is_empty()
            || rules
                .chain(transitions)
                .chain(offers)
                .any(|rule| stranger(rule) != "false")
        {
            return "\"\"".into();
        }
        let text = text(&format!(
            ", '{{}}'::text[] as allowed_actions from {from} where t.id = $1"
        ));
        format!("concat!(\"select \", columns!(), {text})")
    }

    fn rule(&self, rule: &Expr) -> String {
        compile(self.model, self.id, rule, "t", Context::Policy)
    }

    /// The condition for an action. It may read columns that the statement itself may not.
    fn allowed(&self, action: &str, rule: &Expr) -> String {
        schema::allowed(self.model, self.id, action, rule, "t")
    }

    /// The column of a row that this statement inserts: its counters don't exist before the end of the statement, so
    /// their first values are written out.
    fn select_fresh(&self, column: &Column) -> String {
        let Source::Derived(derived) = column.source else {
            return self.select(column);
        };
        if !schema::is_apart(self.model, self.id, derived) {
            return self.select(column);
        }
        match derived.kind {
            DerivedKind::Avg { .. } => format!("null::float8 as {}", derived.name),
            _ if column.sums_decimals(self.model) => format!("0::float8 as {}", derived.name),
            _ => format!("0::int8 as {}", derived.name),
        }
    }

    /// Whether a create returns the whole row including counters.
    fn gives_counters(&self) -> bool {
        Action::Create.open(self.entity).is_some()
            && self.counted().is_some()
            && !columns::guarded(self.entity)
    }

    fn select(&self, column: &Column) -> String {
        let row = match column.read_rule() {
            Some(_) => "p",
            None if self.is_apart(column) => "counts",
            None => "t",
        };
        let plain = format!("{row}.{}", column.name());
        match column.source {
            Source::Field(field) => match field.ty {
                Ty::Decimal { .. } => format!("{plain}::float8"),
                _ => plain,
            },
            Source::Derived(derived) => match &derived.kind {
                DerivedKind::Flag { expr } => {
                    format!("coalesce({}, false) as {}", self.rule(expr), derived.name)
                }
                DerivedKind::Avg { .. } => format!("{plain}::float8"),
                _ if column.sums_decimals(self.model) => format!("{plain}::float8"),
                _ => format!("{plain}::int8"),
            },
            _ => plain,
        }
    }

    /// The actions that the caller may perform on the row now. Archived rows are not read here, so `restore` is not
    /// among them.
    pub fn allowed_actions(&self) -> String {
        let mut cases = Vec::new();
        let soft = self.entity.lifecycle == Lifecycle::SoftDelete;
        let mut case = |name: &str, status: &str, conditions: Vec<String>| {
            let status = soft.then(|| format!("t.status = '{status}'"));
            let conditions: Vec<String> = status
                .into_iter()
                .chain(conditions)
                .filter(|c| c != "true")
                .collect();
            let condition = if conditions.is_empty() {
                "true".to_owned()
            } else {
                conditions.join(" and ")
            };
            cases.push(format!("case when {condition} then '{name}' end"));
        };
        for (action, name, status) in [
            (Action::Update, "update", "active"),
            (Action::Delete, "delete", "active"),
            (Action::Suspend, "suspend", "active"),
            (Action::Suspend, "unsuspend", "suspended"),
        ] {
            if let Some(rule) = action.open(self.entity) {
                case(
                    name,
                    status,
                    vec![closed(self.allowed(action.name(), rule))],
                );
            }
        }
        for transition in actions::transitions(self.entity) {
            let mut conditions = match schema::possible_now(self.model, self.id, transition, "t") {
                // Most rows are in another state, so the cheap test of the state comes before the function.
                Some(now) if !self.entity.starts_unseen(transition) => {
                    vec![self.starts(transition), now]
                }
                Some(now) => vec![now],
                None => {
                    let when = transition.when.as_ref();
                    let when = when.map(|when| closed(self.rule(when)));
                    [self.starts(transition)].into_iter().chain(when).collect()
                }
            };
            conditions.push(closed(self.allowed(&transition.name, &transition.by)));
            case(&transition.name, "active", conditions);
        }
        for offer in &self.entity.offers {
            let asked = schema::offered_now(self.entity, offer, "t");
            let own = offer.when.as_ref().map(|when| closed(self.rule(when)));
            let by = closed(self.allowed(&offer.name, &offer.by));
            let conditions = asked.or(own).into_iter().chain([by]);
            case(&offer.name, "active", conditions.collect());
        }
        // Offers are on one line.
        let own = cases.len() - self.entity.offers.len();
        let (own, offers) = cases.split_at(own);
        let offers = (!offers.is_empty()).then(|| offers.join(", "));
        let lines: Vec<String> = own.iter().cloned().chain(offers).collect();
        let list = match &lines[..] {
            [] => return String::new(),
            [one] => one.clone(),
            several => {
                let several = several.join(&format!(",\n{INDENT}  "));
                format!("\n{INDENT}  {several}\n{INDENT}")
            }
        };
        format!(",\n{INDENT}array_remove(array[{list}], null) as allowed_actions")
    }

    /// The condition under which a transition can start. One that would only set what is set already can't.
    fn starts(&self, transition: &Transition) -> String {
        match &transition.change {
            Change::State { field, from, .. } => {
                let from: Vec<String> = from.iter().map(|state| format!("'{state}'")).collect();
                match &from[..] {
                    [one] => format!("t.{field} = {one}"),
                    several => format!("t.{field} in ({})", several.join(", ")),
                }
            }
            Change::Set(_) => match &schema::differs(transition, "t")[..] {
                [one] => one.clone(),
                several => closed(several.join(" or ")),
            },
        }
    }

    /// For a rule that depends on the state of the row as well as on the caller: `<action> when <state in words>`, for
    /// callers who may do it in that state. The refusal then says what stands in the way (`kernel::journey::diagnose`).
    fn held_back(&self, name: &str, rule: &Expr) -> Option<String> {
        let (who, state) = rule.who_and_state()?;
        if self.entity.reads_private(&who) || self.tells_private(&state) {
            return None;
        }
        let who = schema::allowed(self.model, self.id, name, &who, "t");
        let state = words::explain(self.model, self.id, &state).inline();
        let word = format!("{name} when {}", state.replace('`', "")).replace('\'', "''");
        Some(format!("case when {who} then '{word}' end"))
    }

    /// Whether the state in words contains a value that a field with a `read` rule is compared with.
    fn tells_private(&self, state: &Expr) -> bool {
        match state {
            Expr::All(parts) | Expr::Any(parts) => {
                parts.iter().any(|part| self.tells_private(part))
            }
            Expr::Not(part) => self.tells_private(part),
            Expr::IsNull(_) | Expr::Flag(_) => false,
            part => self.entity.reads_private(part),
        }
    }

    fn probe(&self) -> String {
        let mut may: Vec<(&str, &Expr)> = [
            Action::Update,
            Action::Delete,
            Action::Restore,
            Action::Suspend,
        ]
        .into_iter()
        .filter_map(|action| Some((action.name(), action.open(self.entity)?)))
        .collect();
        may.extend(
            actions::transitions(self.entity)
                .iter()
                .map(|t| (t.name.as_str(), &t.by)),
        );
        if may.is_empty() {
            return "\"\"".into();
        }
        let mut cases: Vec<String> = may
            .iter()
            .map(|(name, rule)| format!("case when {} then '{name}' end", self.allowed(name, rule)))
            .collect();
        cases.extend(
            may.iter()
                .filter_map(|(name, rule)| self.held_back(name, rule)),
        );
        let status = match self.entity.lifecycle {
            Lifecycle::SoftDelete => "t.status",
            _ => "'active' as status",
        };
        let version = match self.entity.lifecycle {
            Lifecycle::AppendOnly => "1::int8 as version",
            _ => "t.version",
        };
        let state =
            self.entity
                .states_field()
                .map_or("null::text as state".to_owned(), |f| match &f.read {
                    None => format!("t.{} as state", f.name),
                    Some(_) => format!(
                        "(select p.{} from app.{}_private(t.id) p) as state",
                        f.name, self.entity.name
                    ),
                });
        let cases = cases.join(&format!(",\n{INDENT}  "));
        text(&format!(
            "select {version}, {status}, {state}, array_remove(array[\n{INDENT}  {cases}\n{INDENT}], null) as may from {} where t.id = $1",
            self.with_me(&self.table(), &cases)
        ))
    }
}
/// The condition in parentheses if it needs them beside `and`.
fn closed(condition: String) -> String {
    if condition.contains(" or ") {
        format!("({condition})")
    } else {
        condition
    }
}
