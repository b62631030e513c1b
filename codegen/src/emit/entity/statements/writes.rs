//! Statements that write: create, update, and every change of one column.

use super::{INDENT, Statements, WIDTH, closed};
use crate::emit::actions::Action;
use crate::emit::columns::{self, Column, Source};
use crate::emit::rust::{text, wrap};
use crate::emit::schema;
use crate::model::{Change, Entity, Lifecycle, Transition, Ty};

/// Of any version, where `$2` is null; else of one of those in it.
const VERSION: &str = "($2::int8[] is null or t.version = any ($2))";

impl Statements<'_> {
    /// Whose read or write rules make a fresh row different for its writer is read again through `get`.
    fn returning(&self) -> String {
        let versioned = self.entity.lifecycle != Lifecycle::AppendOnly;
        match columns::guarded(self.entity) {
            true if versioned => "t.id, t.version".into(),
            true => "t.id, 1::int8 as version".into(),
            false => String::new(),
        }
    }

    /// `start` and the columns that it gives back, which are those of this macro.
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
            // A select and no list of values: the engine may add who asks as its condition.
            "insert into {}\n{INDENT}  ({})\n{INDENT}select\n{INDENT}  {}\n{INDENT}",
            self.table(),
            wrap(&names, WIDTH, &format!("{INDENT}  ")),
            wrap(&values, WIDTH, &format!("{INDENT}  "))
        );
        self.giving(&start, fresh)
    }

    /// One text per set of private columns that are given; see `Resource::update_text`.
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

    /// The columns of an update that are always in it, as a macro when several texts share them.
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
            // The arguments of a private column that is not given are named, so that they have a type.
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
            // Nothing but private columns and none of them given: the row stays, for those who may change it.
            let rule = Action::Update
                .open(self.entity)
                .map_or("false".into(), |rule| closed(self.allowed("update", rule)));
            let table = self.with_me(&self.table(), &rule);
            return text(&format!(
                "select t.id, t.version from {table} where t.id = $1 and {VERSION}{conditions} and {rule}"
            ));
        }
        // Counters are given back as they stand, unless the row is read again.
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

    /// The new value of a column. Of an object, PATCH sends only the keys that change; who may not read it
    /// merges into nothing.
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

/// Updatable columns that not everyone may read.
pub fn private(entity: &Entity) -> Vec<String> {
    let columns = columns::update(entity);
    columns
        .iter()
        .filter(|column| column.read_rule().is_some())
        .map(Column::name)
        .collect()
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
    let needed = column.read_rule().is_some()
        || matches!(
            column.ty(),
            Some(Ty::Point | Ty::Email | Ty::Decimal { .. })
        );
    format!("${number}{}", if needed { cast } else { "" })
}
