//! The statement texts of an entity. The row is always `t`; rows with columns that not everyone may read
//! get those from a function, as `p`.

use crate::emit::actions::{self, Action};
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{text, wrap};
use crate::emit::schema::{self, rules::{Context, compile}};
use crate::model::{Change, DerivedKind, Entity, EntityId, Expr, Lifecycle, Literal, Model, Transition, Ty};

/// Wider than code: SQL is read, but seldom edited here.
const WIDTH: usize = 116;
const INDENT: &str = "        ";

/// One entity's statements.
pub struct Statements<'a> {
    model: &'a Model,
    id: EntityId,
    entity: &'a Entity,
}

/// What several statements share, as macros so that it stands in the file once: the selected columns, and
/// what every update sets where there are several.
pub fn macros(model: &Model, id: EntityId) -> String {
    let statements = Statements::of(model, id);
    let columns: Vec<String> = columns::row(statements.entity).iter().map(|c| statements.select(c)).collect();
    let mut out = macro_of("columns", &columns);
    let sets = statements.sets();
    if Action::Update.open(statements.entity).is_some() && !private(statements.entity).is_empty() && !sets.is_empty() {
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
        Statements { model, id, entity: &model.entities[id] }
    }

    /// The `Sql { … }` of the resource, an expression per line.
    pub fn literal(&self) -> String {
        let from = self.from();
        let actions = self.allowed_actions();
        let mut lines = vec![
            format!("get: concat!(\"select \", columns!(), {}),", text(&format!("{actions}\n{INDENT}from {from} where t.id = $1"))),
            format!("list: concat!(\"select \", columns!(), {}),", text(&format!(" from {from}"))),
            format!("by_ids: concat!(\"select \", columns!(), {}),", text(&format!(" from {from} where t.id = any($1)"))),
            format!("create: {},", self.create()),
        ];
        let (update, private) = self.updates();
        lines.push(format!("update: {update},"));
        lines.push(format!("update_private: &[{}],", private.join(", ")));
        lines.extend([
            format!("archive: {},", self.status(Action::Delete, "archived")),
            format!("restore: {},", self.status(Action::Restore, "active")),
            format!("suspend: {},", self.status(Action::Suspend, "suspended")),
            format!("unsuspend: {},", self.status(Action::Suspend, "active")),
            format!("probe: {},", self.probe()),
        ]);
        lines.iter().map(|line| format!("        {line}\n")).collect()
    }

    fn table(&self) -> String {
        format!("app.{} as t", self.entity.plural)
    }

    fn from(&self) -> String {
        match columns::guarded(self.entity) {
            true => format!("{} left join lateral app.{}_private(t.id) p on true", self.table(), self.entity.name),
            false => self.table(),
        }
    }

    fn rule(&self, rule: &Expr) -> String {
        compile(self.model, self.id, rule, "t", Context::Policy)
    }

    /// The rule of an action; it may read columns that the statement may not.
    fn allowed(&self, action: &str, rule: &Expr) -> String {
        schema::allowed(self.model, self.id, action, rule, "t")
    }

    fn select(&self, column: &Column) -> String {
        let row = if column.read_rule().is_some() { "p" } else { "t" };
        let plain = format!("{row}.{}", column.name());
        match column.source {
            Source::Field(field) => match field.ty {
                Ty::Decimal { .. } => format!("{plain}::float8"),
                // citext is unknown to the driver
                Ty::Email => format!("{plain}::text"),
                _ => plain,
            },
            Source::Derived(derived) => match &derived.kind {
                DerivedKind::Flag { expr } => format!("coalesce({}, false) as {}", self.rule(expr), derived.name),
                DerivedKind::Avg { .. } => format!("{plain}::float8"),
                _ if column.sums_decimals(self.model) => format!("{plain}::float8"),
                _ => format!("{plain}::int8"),
            },
            _ => plain,
        }
    }

    /// What the caller may do with the row now. Archived rows are never read, so `restore` is not among them.
    fn allowed_actions(&self) -> String {
        let mut cases = Vec::new();
        let soft = self.entity.lifecycle == Lifecycle::SoftDelete;
        let mut case = |name: &str, status: &str, conditions: Vec<String>| {
            let status = soft.then(|| format!("t.status = '{status}'"));
            let conditions: Vec<String> = status.into_iter().chain(conditions).filter(|c| c != "true").collect();
            let condition = if conditions.is_empty() { "true".to_owned() } else { conditions.join(" and ") };
            cases.push(format!("case when {condition} then '{name}' end"));
        };
        for (action, name, status) in [
            (Action::Update, "update", "active"),
            (Action::Delete, "delete", "active"),
            (Action::Suspend, "suspend", "active"),
            (Action::Suspend, "unsuspend", "suspended"),
        ] {
            if let Some(rule) = action.open(self.entity) {
                case(name, status, vec![closed(self.allowed(action.name(), rule))]);
            }
        }
        for transition in actions::transitions(self.entity) {
            let mut conditions = vec![self.starts(transition)];
            conditions.extend(transition.when.as_ref().map(|when| closed(self.rule(when))));
            conditions.push(closed(self.allowed(&transition.name, &transition.by)));
            case(&transition.name, "active", conditions);
        }
        match cases.is_empty() {
            true => String::new(),
            false => {
                let cases = cases.join(&format!(",\n{INDENT}  "));
                format!(",\n{INDENT}array_remove(array[\n{INDENT}  {cases}\n{INDENT}], null) as allowed_actions")
            }
        }
    }

    /// From where a transition can be made; setting what is set already is none.
    fn starts(&self, transition: &Transition) -> String {
        match &transition.change {
            Change::State { field, from, .. } => {
                let from: Vec<String> = from.iter().map(|state| format!("'{state}'")).collect();
                match &from[..] {
                    [one] => format!("t.{field} = {one}"),
                    several => format!("t.{field} in ({})", several.join(", ")),
                }
            }
            Change::Set { value: Literal::Now, .. } => "true".into(),
            Change::Set { field, value } => format!("t.{field} is distinct from {}", literal(value)),
        }
    }

    /// Whose read or write rules make a fresh row different for its writer is read again through `get`.
    fn returning(&self) -> String {
        let versioned = self.entity.lifecycle != Lifecycle::AppendOnly;
        match columns::guarded(self.entity) {
            true if versioned => "t.id, t.version".into(),
            true => "t.id, 1::int8 as version".into(),
            false => String::new(),
        }
    }

    /// `start` and the columns that it gives back.
    fn giving(&self, start: &str) -> String {
        match self.returning() {
            returning if returning.is_empty() => format!("concat!({}, columns!())", text(&format!("{start}returning "))),
            returning => text(&format!("{start}returning {returning}")),
        }
    }

    fn create(&self) -> String {
        if Action::Create.open(self.entity).is_none() {
            return "\"\"".into();
        }
        let columns = columns::create(self.entity);
        if columns.is_empty() {
            return self.giving(&format!("insert into {} default values ", self.table()));
        }
        let names: Vec<String> = columns.iter().map(Column::name).collect();
        let values: Vec<String> = columns.iter().enumerate().map(|(i, c)| argument(c, i + 1)).collect();
        self.giving(&format!(
            "insert into {}\n{INDENT}  ({})\n{INDENT}values\n{INDENT}  ({})\n{INDENT}",
            self.table(),
            wrap(&names, WIDTH, &format!("{INDENT}  ")),
            wrap(&values, WIDTH, &format!("{INDENT}  "))
        ))
    }

    /// One text per set of private columns that are given; see `Resource::update_text`.
    fn updates(&self) -> (String, Vec<String>) {
        if Action::Update.open(self.entity).is_none() {
            return ("\"\"".into(), Vec::new());
        }
        let private = private(self.entity);
        let mut texts = (0..1_usize << private.len()).map(|mask| {
            let given = private.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0);
            self.update(&given.map(|(_, name)| name).collect::<Vec<_>>())
        });
        (texts.next().unwrap_or_default(), texts.collect())
    }

    /// The columns of an update that are always in it, as a macro when several texts share them.
    fn sets(&self) -> Vec<String> {
        let open = |(i, column): (usize, Column)| {
            let (name, given) = (column.name(), 3 + 2 * i);
            let value = argument(&column, given + 1);
            column.read_rule().is_none().then(|| format!("{name} = case when ${given} then {value} else t.{name} end"))
        };
        columns::update(self.entity).into_iter().enumerate().filter_map(open).collect()
    }

    fn update(&self, given_private: &[&String]) -> String {
        let (mut sets, mut conditions) = (String::new(), String::new());
        for (i, column) in columns::update(self.entity).iter().enumerate().filter(|(_, c)| c.read_rule().is_some()) {
            let (name, given) = (column.name(), 3 + 2 * i);
            let value = argument(column, given + 1);
            // The arguments of a private column that is not given are named, so that they have a type.
            if given_private.contains(&&name) {
                sets.push_str(&format!("{name} = {value}, "));
                conditions.push_str(&format!(" and ${given}::bool"));
            } else {
                conditions.push_str(&format!(" and not ${given}::bool and {value} is null"));
            }
        }
        let open = self.sets();
        if open.is_empty() && sets.is_empty() {
            // Nothing but private columns and none of them given: the row stays, for those who may change it.
            let rule = Action::Update.open(self.entity).map_or("false".into(), |rule| closed(self.rule(rule)));
            let table = self.table();
            return text(&format!("select t.id, t.version from {table} where t.id = $1 and t.version = $2{conditions} and {rule}"));
        }
        let end = format!("where t.id = $1 and t.version = $2{conditions}\n{INDENT}");
        if open.is_empty() {
            let sets = sets.trim_end_matches(", ");
            return self.giving(&format!("update {} set {sets}\n{INDENT}{end}", self.table()));
        }
        let start = format!("update {} set {sets}", self.table());
        if private(self.entity).is_empty() {
            let open = wrap(&open, WIDTH, &format!("{INDENT}  "));
            return self.giving(&format!("{start}\n{INDENT}  {open}\n{INDENT}{end}"));
        }
        match self.returning() {
            returning if returning.is_empty() => format!("concat!({}, sets!(), {}, columns!())", text(&start), text(&format!(" {end}returning "))),
            returning => format!("concat!({}, sets!(), {})", text(&start), text(&format!(" {end}returning {returning}"))),
        }
    }

    fn status(&self, action: Action, status: &str) -> String {
        match action.open(self.entity) {
            Some(_) => text(&self.change(&format!("status = '{status}'"))),
            None => "\"\"".into(),
        }
    }

    pub fn transition(&self, transition: &Transition) -> String {
        text(&self.change(&match &transition.change {
            Change::State { field, to, .. } => format!("{field} = '{to}'"),
            Change::Set { field, value } => format!("{field} = {}", literal(value)),
        }))
    }

    fn change(&self, set: &str) -> String {
        let table = self.table();
        format!("update {table} set {set} where t.id = $1 and ($2::int8 is null or t.version = $2) returning t.version")
    }

    fn probe(&self) -> String {
        let mut may: Vec<(&str, &Expr)> = [Action::Update, Action::Delete, Action::Restore, Action::Suspend]
            .into_iter()
            .filter_map(|action| Some((action.name(), action.open(self.entity)?)))
            .collect();
        may.extend(actions::transitions(self.entity).iter().map(|t| (t.name.as_str(), &t.by)));
        if may.is_empty() {
            return "\"\"".into();
        }
        let cases: Vec<String> =
            may.iter().map(|(name, rule)| format!("case when {} then '{name}' end", self.allowed(name, rule))).collect();
        let status = match self.entity.lifecycle {
            Lifecycle::SoftDelete => "t.status",
            _ => "'active' as status",
        };
        let version = match self.entity.lifecycle {
            Lifecycle::AppendOnly => "1::int8 as version",
            _ => "t.version",
        };
        let state = self.entity.states_field().map_or("null::text as state".to_owned(), |f| format!("t.{} as state", f.name));
        text(&format!(
            "select {version}, {status}, {state}, array_remove(array[\n{INDENT}  {}\n{INDENT}], null) as may from {} where t.id = $1",
            cases.join(&format!(",\n{INDENT}  ")),
            self.table()
        ))
    }
}

/// Updatable columns that not everyone may read.
pub fn private(entity: &Entity) -> Vec<String> {
    let columns = columns::update(entity);
    columns.iter().filter(|column| column.read_rule().is_some()).map(Column::name).collect()
}

/// The parameter, cast where the driver's type is not the column's.
fn argument(column: &Column, number: usize) -> String {
    let cast = match column.ty() {
        Some(Ty::Point) => "::text::geography",
        Some(Ty::Email) => "::text::citext",
        Some(Ty::Decimal { .. }) => "::float8::numeric",
        _ if matches!(column.source, Source::IdOf(_)) => "::uuid",
        Some(Ty::Int { .. }) => "::int4",
        Some(Ty::Bigint { .. } | Ty::Money { .. }) => "::int8",
        Some(Ty::Bool) => "::bool",
        Some(Ty::Time) => "::timestamptz",
        Some(Ty::Date) => "::date",
        Some(Ty::Uuid) => "::uuid",
        Some(Ty::Json | Ty::Object { .. }) => "::jsonb",
        Some(Ty::TextList { .. }) => "::text[]",
        _ => "::text",
    };
    // Only where the statement's own context does not say it.
    let needed = column.read_rule().is_some() || matches!(column.ty(), Some(Ty::Point | Ty::Email | Ty::Decimal { .. }));
    format!("${number}{}", if needed { cast } else { "" })
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Null => "null".into(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Decimal(value) => value.clone(),
        Literal::Text(value) => format!("'{}'", value.replace('\'', "''")),
        Literal::Now => "now()".into(),
    }
}

/// Safe beside `and`.
fn closed(condition: String) -> String {
    if condition.contains(" or ") { format!("({condition})") } else { condition }
}
