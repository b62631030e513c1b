//! Statements that write: create, update, and all changes of single columns.

use super::{INDENT, Statements, WIDTH, closed};
use crate::emit::actions::Action;
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{text, wrap};
use crate::emit::schema;
use crate::model::{Change, Entity, Lifecycle, Transition, Ty};

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

    /// One statement for each combination of private columns in a body; see `Resource::update_text`.
    pub(super) fn updates(&self) -> (String, Vec<String>) {
        if Action::Update.open(self.entity).is_none() {
            return ("\"\"".into(), Vec::new());
        }
        let private = private(self.entity);
        let mut texts = (0..1_usize << private.len()).map(|mask| {
            let given = private
                .iter()
                .enumerate()
                .filter(|(i, _)| mask & (1 << i) != 0);
            self.update(&given.map(|(_, name)| name).collect::<Vec<_>>())
        });
        (texts.next().unwrap_or_default(), texts.collect())
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

    fn update(&self, given_private: &[&String]) -> String {
        let (mut sets, mut conditions) = (String::new(), String::new());
        for (i, column) in columns::update(self.entity)
            .iter()
            .enumerate()
            .filter(|(_, c)| c.read_rule().is_some())
        {
            let (name, given) = (column.name(), 3 + 2 * i);
            let value = self.changed(column, given + 1);
            // The arguments of a private column that isn't in the body are mentioned anyway, because PostgreSQL has to
            // infer their types.
            if given_private.contains(&&name) {
                sets.push_str(&format!("{name} = {value}, "));
                conditions.push_str(&format!(" and ${given}::bool"));
            } else {
                let value = argument(column, given + 1);
                conditions.push_str(&format!(" and not ${given}::bool and {value} is null"));
            }
        }
        let open = self.sets();
        if open.is_empty() && sets.is_empty() {
            // The entity has only private columns and the body contains none of them: the row stays unchanged, if the
            // caller may update it.
            let rule = Action::Update
                .open(self.entity)
                .map_or("false".into(), |rule| closed(self.allowed("update", rule)));
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
        let end = format!("{beside}where {of_it}t.id = $1 and {VERSION}{conditions}\n{INDENT}");
        if open.is_empty() {
            let sets = sets.trim_end_matches(", ");
            let start = format!("update {} set {sets}\n{INDENT}{end}", self.table());
            return self.giving(&start, "columns");
        }
        let start = format!("update {} set {sets}", self.table());
        if private(self.entity).is_empty() {
            let open = wrap(&open, WIDTH, &format!("{INDENT}  "));
            return self.giving(
                &format!("{start}\n{INDENT}  {open}\n{INDENT}{end}"),
                "columns",
            );
        }
        match self.returning() {
            returning if returning.is_empty() => format!(
                "concat!({}, sets!(), {}, columns!())",
                text(&start),
                text(&format!(" {end}returning "))
            ),
            returning => format!(
                "concat!({}, sets!(), {})",
                text(&start),
                text(&format!(" {end}returning {returning}"))
            ),
        }
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

    /// The new value of a column. For an object, a PATCH contains only the keys that change; if the caller may not
    /// read the object, they are merged into an empty one.
    fn changed(&self, column: &Column, number: usize) -> String {
        let value = argument(column, number);
        if !matches!(column.ty(), Some(Ty::Json | Ty::Object { .. })) {
            return value;
        }
        let (name, entity) = (column.name(), &self.entity.name);
        match column.read_rule() {
            None => format!("sec.patched(t.{name}, {value})"),
            Some(_) => {
                format!("sec.patched((select p.{name} from app.{entity}_private(t.id) p), {value})")
            }
        }
    }

    fn change(&self, set: &str) -> String {
        let table = self.table();
        format!("update {table} set {set} where t.id = $1 and {VERSION} returning t.version")
    }
}

/// Updatable columns with a read rule.
pub fn private(entity: &Entity) -> Vec<String> {
    let columns = columns::update(entity);
    columns
        .iter()
        .filter(|column| column.read_rule().is_some())
        .map(Column::name)
        .collect()
}

/// The parameter, with a cast where PostgreSQL would not infer the column's type.
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
    // The cast is left out where the context in the statement determines the type.
    let needed = column.read_rule().is_some()
        || matches!(
            column.ty(),
            Some(Ty::Point | Ty::Email | Ty::Decimal { .. })
        );
    format!("${number}{}", if needed { cast } else { "" })
}
