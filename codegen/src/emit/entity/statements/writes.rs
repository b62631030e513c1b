//! Statements that write: create, update, and all changes of single columns.

use super::{INDENT, Statements, WIDTH, closed};
use crate::emit::actions::Action;
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{text, wrap};
use crate::emit::schema;
use crate::model::{Change, Lifecycle, Transition, Ty};

/// The row has one of the versions in `$2`; null means any version.
const VERSION: &str = "($2::int8[] is null or t.version = any ($2))";

impl Statements<'_> {
    /// The columns that a write returns. If the entity has columns with a read rule, only id and version are returned,
    /// and the row is read again through `get`. Empty if the whole row is returned.
    fn returning(&self) -> String {
        let versioned = self.entity.lifecycle != Lifecycle::AppendOnly;
        match columns::guarded(self.entity) {
            true if versioned => "t.id, t.version".into(),
            true => "t.id, 1::int8 as version".into(),
            false => String::new(),
        }
    }

    /// `start`, followed by `returning` and what is returned; `columns` is the macro with the columns of the whole
    /// row.
    fn giving(&self, start: &str, columns: &str) -> String {
        match self.returning() {
            returning if returning.is_empty() => format!(
                "concat!({}, {columns}!())",
                text(&format!("{start}returning "))
            ),
            returning => text(&format!("{start}returning {returning}")),
        }
    }

    pub(super) fn create(&self) -> String {
        if Action::Create.open(self.entity).is_none() {
            return "\"\"".into();
        }
        let columns = columns::create(self.entity);
        let fresh = if self.counted().is_some() {
            "fresh"
        } else {
            "columns"
        };
        if columns.is_empty() {
            let start = format!("insert into {} default values ", self.table());
            return self.giving(&start, fresh);
        }
        let names: Vec<String> = columns.iter().map(Column::name).collect();
        let values: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, c)| argument(c, i + 1))
            .collect();
        let start = format!(
            // A select instead of a list of values, so that the engine can add conditions about the caller.
            "insert into {}\n{INDENT}  ({})\n{INDENT}select\n{INDENT}  {}\n{INDENT}",
            self.table(),
            wrap(&names, WIDTH, &format!("{INDENT}  ")),
            wrap(&values, WIDTH, &format!("{INDENT}  "))
        );
        self.giving(&start, fresh)
    }

    /// The columns that every update sets, in a macro if several statements share them.
    pub(super) fn sets(&self) -> Vec<String> {
        let open = |(i, column): (usize, Column)| {
            let (name, given) = (column.name(), 3 + 2 * i);
            let value = self.changed(&column, given + 1);
            column
                .read_rule()
                .is_none()
                .then(|| format!("{name} = case when ${given} then {value} else t.{name} end"))
        };
        columns::update(self.entity)
            .into_iter()
            .enumerate()
            .filter_map(open)
            .collect()
    }

    /// The update for bodies without guarded columns; see `Resource::update_text`.
    pub(super) fn update(&self) -> String {
        let Some(rule) = Action::Update.open(self.entity) else {
            return "\"\"".into();
        };
        let conditions: String = self
            .guarded()
            .iter()
            .map(|column| format!(" and not {} and {}", column.given, column.empty))
            .collect();
        let sets = self.sets();
        if sets.is_empty() {
            // The entity has guarded columns only: the row stays unchanged, if the caller may update it.
            let rule = closed(self.allowed("update", rule));
            let table = self.with_me(&self.table(), &rule);
            return text(&format!(
                "select t.id, t.version from {table} where t.id = $1 and {VERSION}{conditions} and {rule}"
            ));
        }
        // The statement returns the counters too, unless the row is read again anyway.
        let counted = self.counted().filter(|_| self.returning().is_empty());
        let (beside, of_it) = match &counted {
            Some(counts) => (format!("from {counts} "), "counts.id = t.id and "),
            None => (String::new(), ""),
        };
        let start = format!("update {} set ", self.table());
        let end = format!("{beside}where {of_it}t.id = $1 and {VERSION}{conditions}\n{INDENT}");
        if conditions.is_empty() {
            let sets = wrap(&sets, WIDTH, &format!("{INDENT}  "));
            let all = format!("{start}\n{INDENT}  {sets}\n{INDENT}{end}");
            return self.giving(&all, "columns");
        }
        let end = text(&format!(" {end}returning {}", self.returning()));
        format!("concat!({}, sets!(), {end})", text(&start))
    }

    /// The parts of the update for bodies with guarded columns.
    pub(super) fn update_guarded(&self) -> String {
        let guarded = self.guarded();
        if guarded.is_empty() || Action::Update.open(self.entity).is_none() {
            return "None".into();
        }
        let sets = if self.sets().is_empty() {
            "\"\""
        } else {
            "sets!()"
        };
        let columns: String = guarded.iter().map(Guarded::literal).collect();
        format!(
            "Some(&GuardedUpdate {{ start: {}, sets: {sets}, condition: {}, end: {}, columns: &[{columns}\n{INDENT}]}})",
            text(&format!("update {} set ", self.table())),
            text(&format!(" where t.id = $1 and {VERSION}")),
            text(&format!(" returning {}", self.returning())),
        )
    }

    pub(super) fn guarded(&self) -> Vec<Guarded> {
        let columns = columns::update(self.entity).into_iter().enumerate();
        columns
            .filter(|(_, column)| column.read_rule().is_some())
            .map(|(i, column)| {
                let (name, given) = (column.name(), 3 + 2 * i);
                Guarded {
                    set: format!("{name} = {}", self.changed(&column, given + 1)),
                    given: format!("${given}::bool"),
                    empty: format!("{} is null", argument(&column, given + 1)),
                    name,
                }
            })
            .collect()
    }

    pub(super) fn status(&self, action: Action, status: &str) -> String {
        match action.open(self.entity) {
            Some(_) => text(&self.change(&format!("status = '{status}'"))),
            None => "\"\"".into(),
        }
    }

    pub fn transition(&self, transition: &Transition) -> String {
        let state = match &transition.change {
            Change::State { field, to, .. } => Some(format!("{field} = '{to}'")),
            Change::Set(_) => None,
        };
        let sets = (transition.sets())
            .map(|set| format!("{} = {}", set.column, schema::assigned(&set.value)));
        let all: Vec<String> = state.into_iter().chain(sets).collect();
        text(&self.change(&all.join(", ")))
    }

    /// The new value of a column. For an object, a PATCH contains only the keys that change; a caller who may not read
    /// the object can only replace it, since the other keys would be lost.
    fn changed(&self, column: &Column, number: usize) -> String {
        let value = argument(column, number);
        if !matches!(column.ty(), Some(Ty::Json | Ty::Object { .. })) {
            return value;
        }
        let (name, entity) = (column.name(), &self.entity.name);
        match column.read_rule() {
            None => format!("sec.patched(t.{name}, {value})"),
            Some(_) => {
                let seen = format!(
                    "p.{} & {} <> 0",
                    schema::SEEN,
                    schema::seen_bit(self.entity, &name)
                );
                format!(
                    "(select sec.patched_if_seen('{name}', {seen}, p.{name}, {value}) from app.{entity}_private(t.id) p)"
                )
            }
        }
    }

    fn change(&self, set: &str) -> String {
        let table = self.table();
        format!("update {table} set {set} where t.id = $1 and {VERSION} returning t.version")
    }
}

/// An updatable column with a read rule; see `GuardedColumn` in the engine.
pub(super) struct Guarded {
    name: String,
    set: String,
    given: String,
    empty: String,
}

impl Guarded {
    fn literal(&self) -> String {
        format!(
            "\n{INDENT}  GuardedColumn {{ name: {}, set: {}, given: {}, empty: {} }},",
            text(&self.name),
            text(&self.set),
            text(&self.given),
            text(&self.empty)
        )
    }
}

/// The parameter, with a cast where PostgreSQL would not infer the column's type.
fn argument(column: &Column, number: usize) -> String {
    let cast = match column.ty() {
        Some(Ty::Point) => "::text::public.geography",
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
    // The cast is left out where the context in the statement determines the type.
    let needed =
        column.read_rule().is_some() || matches!(column.ty(), Some(Ty::Point | Ty::Decimal { .. }));
    format!("${number}{}", if needed { cast } else { "" })
}
