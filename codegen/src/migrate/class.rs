//! How each step affects programs that use the database while the migration runs or before they are updated.
//!
//! Knows the steps and the two schemas; refuses nothing.

use std::collections::BTreeSet;
use std::fmt;

use super::asked::loses_arbiter;
use super::change::{Renames, TableChange, table_changes};
use super::depend::key;
use super::hints::{Hints, kept_by_triggers};
use super::op::{How, Op, table_of};
use super::text::{base_name, last_name, mentions, signature, words};
use crate::objects::{Column, Kind, Object, Schema};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Safe,
    /// Values are lost.
    Lossy,
    /// A table with rows is rewritten, scanned or indexed under a lock, and other transactions wait for that.
    Blocking,
    /// The version of the application that is still running fails after this step.
    Breaking,
}

impl Class {
    /// Exit code of `cargo gen plan`.
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Safe => 0,
            Class::Lossy => 2,
            Class::Blocking => 3,
            Class::Breaking => 4,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Class::Safe => "safe",
            Class::Lossy => "lossy",
            Class::Blocking => "blocking",
            Class::Breaking => "breaking",
        })
    }
}

pub struct Judge<'a> {
    old: &'a Schema,
    new: &'a Schema,
    changes: Vec<TableChange<'a>>,
    hints: &'a Hints,
}

impl<'a> Judge<'a> {
    pub fn new(old: &'a Schema, new: &'a Schema, renames: &Renames, hints: &'a Hints) -> Judge<'a> {
        Judge {
            old,
            new,
            changes: table_changes(old, new, renames),
            hints,
        }
    }

    /// The classes of a step, mildest first, several if it is, say, both lossy and breaking. Never empty.
    pub fn classes(&self, op: &Op) -> Vec<Class> {
        let mut found: BTreeSet<Class> = self.judge(op).into_iter().collect();
        if found.is_empty() {
            found.insert(Class::Safe);
        }
        found.into_iter().collect()
    }

    fn judge(&self, op: &Op) -> Vec<Class> {
        use Class::{Blocking, Breaking, Lossy};
        match op {
            Op::Create { object, how } => self.create(object, *how),
            Op::Drop { object } => self.drop(object),
            Op::RenameTable { .. } | Op::RenameColumn { .. } => vec![Breaking],
            // The type of a reference that leads to one of several from now on. Rows that exist get it, those of the
            // running version don't.
            Op::AddColumn { table, column, .. } if self.is_filled(table, &column.name) => {
                vec![Breaking]
            }
            Op::AddColumn { column, .. } => {
                let rewrites =
                    column.generated.is_some() || column.default.as_deref().is_some_and(volatile);
                if rewrites { vec![Blocking] } else { vec![] }
            }
            Op::DropColumn { table, column } => {
                let regenerated =
                    |c: &TableChange| c.regenerated.iter().any(|(old, _)| old.name == column.name);
                let comes_back = self.change(table).is_some_and(regenerated);
                match () {
                    () if column.generated.is_some() && comes_back => vec![Blocking],
                    () if column.generated.is_some() || kept_by_triggers(&column.name) => vec![],
                    () if self.hints.derived(table, &column.name) => vec![Breaking],
                    () => vec![Lossy, Breaking],
                }
            }
            Op::Retype { old, new, .. } if widens(&old.sql_type, &new.sql_type) => {
                vec![Blocking, Breaking]
            }
            Op::Retype { .. } => vec![Lossy, Blocking, Breaking],
            // The running version may still write null into a column that becomes required, and can't read null from
            // one that becomes optional.
            Op::AddNotNullCheck { .. } | Op::DropNotNull { .. } => vec![Breaking],
            Op::Backfill { .. } | Op::Keep { .. } | Op::Recount { .. } | Op::SetLogged { .. } => {
                vec![Blocking]
            }
            // The running version relies on the default and sends no value.
            Op::SetDefault {
                table,
                name,
                default: None,
            } if self.leans_on_default(table, name) => vec![Breaking],
            Op::SetDefault { .. } => vec![],
            Op::ReplaceWord { .. } => vec![Blocking, Breaking],
            // The running version doesn't know what the trigger demands from now on.
            Op::Replace { new, .. } if self.refuses(new) => vec![Breaking],
            // Refusals are recognized by the name of the constraint, so the running version takes those of a new name
            // for failures.
            Op::RenameObject { new, .. } if refuses_rows(new) && !self.renamed_along(new) => {
                vec![Breaking]
            }
            Op::Replace { .. }
            | Op::RenameObject { .. }
            | Op::SetNotNull { .. }
            | Op::DropNotNullCheck { .. }
            | Op::ValidateNotNullCheck { .. }
            | Op::Validate { .. }
            | Op::Run { .. } => vec![],
        }
    }

    /// Whether the trigger, its function or the policy refuses statements of the running version, or whether these fail
    /// without the trigger.
    fn refuses(&self, object: &Object) -> bool {
        self.hints.refusing.contains(base_name(&object.name))
    }

    /// Whether the table or one of its columns has a new name too, which is reported already.
    fn renamed_along(&self, object: &Object) -> bool {
        let table = table_of(object).and_then(|table| self.change(table));
        table.is_some_and(|change| change.old.name != change.new.name || !change.renamed.is_empty())
    }

    fn create(&self, object: &Object, how: How) -> Vec<Class> {
        if self.refuses(object) {
            return vec![Class::Breaking];
        }
        let Some(change) = table_of(object).and_then(|t| self.change(t)) else {
            return vec![];
        };
        let mut found = Vec::new();
        match object.kind {
            Kind::Constraint | Kind::Index | Kind::ForeignKey => {
                if how == How::Plain {
                    found.push(Class::Blocking);
                }
                if self.narrows(object, change) {
                    found.push(Class::Breaking);
                }
            }
            Kind::Grant if self.takes_back(object) => found.push(Class::Breaking),
            // A table of search documents is filled for all rows in the same statement.
            Kind::View if object.create.starts_with("create table") => found.push(Class::Blocking),
            _ => {}
        }
        found
    }

    /// Whether the new rule restricts columns that the running version writes, and isn't known to be looser than the
    /// rule before.
    fn narrows(&self, object: &Object, change: &TableChange) -> bool {
        if !refuses_rows(object) {
            return false;
        }
        if let Some(fewer) = self.hints.fewer_rows(last_name(&object.name)) {
            return !fewer;
        }
        let named = |c: &&Column| mentions(&object.create, &c.name) && c.name != "id";
        let kept: Vec<&Column> = (change.kept.iter().map(|(_, new)| *new))
            .filter(named)
            .collect();
        // The running version doesn't know the added columns, so they keep their defaults; a null satisfies a
        // comparison.
        let mut added = change.added.iter().copied().filter(named).peekable();
        let passes = |c: &Column| !c.not_null && c.default.is_none() && c.generated.is_none();
        let unaware = self.hints.refuses_null(last_name(&object.name));
        if !unaware && (kept.is_empty() || (added.peek().is_some() && added.all(passes))) {
            return false;
        }
        let is_known = self.old.objects.iter().any(|o| key(o) == key(object));
        !is_known
            || !kept
                .iter()
                .all(|c| self.hints.looser(&change.new.name, &c.name))
    }

    /// Whether the role loses a privilege on a column that stays.
    fn takes_back(&self, grant: &Object) -> bool {
        let Some(before) = self.old.objects.iter().find(|o| key(o) == key(grant)) else {
            return false;
        };
        let after = privileges(grant);
        let gone = |column: &str| {
            let table = grant.table.as_deref().and_then(|table| self.change(table));
            table.is_some_and(|change| change.lost().any(|c| c.name == column))
        };
        privileges(before)
            .into_iter()
            .any(|held| !after.contains(&held) && !gone(held.1))
    }

    fn drop(&self, object: &Object) -> Vec<Class> {
        let after = self.new.objects.iter().find(|o| key(o) == key(object));
        match object.kind {
            Kind::Table if self.hints.counted_tables.contains(&object.name) => {
                vec![Class::Breaking]
            }
            Kind::Table => vec![Class::Lossy, Class::Breaking],
            Kind::Trigger | Kind::Policy if after.is_none() && self.refuses(object) => {
                vec![Class::Breaking]
            }
            Kind::Index if loses_arbiter(object, self.new) => vec![Class::Breaking],
            Kind::View if after.is_none() => vec![Class::Breaking],
            Kind::Grant if after.is_none() && !self.goes_along(object) => vec![Class::Breaking],
            Kind::Function | Kind::TableFunction if !is_trigger(object) => match after {
                Some(new) if signature(&new.create) == signature(&object.create) => vec![],
                _ => vec![Class::Breaking],
            },
            _ => vec![],
        }
    }

    /// Whether the grant disappears together with its table; the step that drops the table is reported already.
    fn goes_along(&self, object: &Object) -> bool {
        let table = object.table.as_deref();
        !self
            .changes
            .iter()
            .any(|c| Some(c.old.name.as_str()) == table)
    }

    fn is_filled(&self, table: &str, column: &str) -> bool {
        self.change(table)
            .is_some_and(|change| change.fills.iter().any(|fill| fill.column == column))
    }

    /// Whether the column existed before with a default. (An added column may have a temporary default, which this
    /// migration itself gave it.)
    fn leans_on_default(&self, table: &str, name: &str) -> bool {
        self.change(table).is_some_and(|change| {
            let mut kept = change.kept.iter();
            kept.any(|(old, new)| {
                new.name == name && old.default.is_some() && new.default.is_none()
            })
        })
    }

    fn change(&self, table: &str) -> Option<&TableChange<'a>> {
        self.changes.iter().find(|c| c.new.name == table)
    }
}

/// Whether every value of the one type is a value of the other.
pub fn widens(from: &str, to: &str) -> bool {
    let rank = |ty: &str| {
        ["smallint", "integer", "bigint", "numeric"]
            .iter()
            .position(|t| *t == ty)
    };
    let same = |ty: &str| match ty {
        "int" | "int4" => "integer".to_owned(),
        "int8" => "bigint".to_owned(),
        "int2" => "smallint".to_owned(),
        other => other.to_owned(),
    };
    let (from, to) = (same(from), same(to));
    match (rank(&from), rank(&to)) {
        (Some(a), Some(b)) => a <= b,
        // Every number has a text form without loss. Other types are listed one by one: values that are equal may
        // differ as text.
        (Some(_), None) => to == "text" || holds_all(&from, &to),
        (None, None) => {
            from == to
                || (to == "text" && ["uuid", "boolean", "date", "jsonb"].contains(&from.as_str()))
                || (from == "date" && to == "timestamptz")
                || wider_numeric(&from, &to)
        }
        (None, Some(_)) => from.starts_with("numeric(") && to == "numeric",
    }
}

/// Whether the object is one that refuses rows. An index that is not unique only finds them.
fn refuses_rows(object: &Object) -> bool {
    match object.kind {
        Kind::Index => mentions(&object.create, "unique"),
        kind => matches!(kind, Kind::Constraint | Kind::ForeignKey),
    }
}

/// Whether every whole number of the integer type `whole` fits before the decimal point of the numeric type `to`.
fn holds_all(whole: &str, to: &str) -> bool {
    let digits = match whole {
        "smallint" => 5,
        "integer" => 10,
        "bigint" => 19,
        _ => return false,
    };
    numeric_parts(to).is_some_and(|(all, behind)| all - behind >= digits)
}

/// Precision and scale of a numeric type: the number of all digits, and of those after the decimal point.
fn numeric_parts(ty: &str) -> Option<(i32, i32)> {
    let inner = ty.strip_prefix("numeric(")?.strip_suffix(')')?;
    let (all, behind) = inner.split_once(',')?;
    Some((all.trim().parse().ok()?, behind.trim().parse().ok()?))
}

/// `numeric(12,2)` → `numeric(14,2)`: digits are added before or after the decimal point, none removed.
fn wider_numeric(from: &str, to: &str) -> bool {
    match (numeric_parts(from), numeric_parts(to)) {
        (Some((p, s)), Some((q, t))) => t >= s && q - t >= p - s,
        _ => false,
    }
}

/// Privilege and column of each grant to a role that programs connect as; the column is empty for grants on a whole
/// table. Grants to the owners of functions are left out: they change together with the functions.
fn privileges(grant: &Object) -> Vec<(&str, &str)> {
    if ["_authz", "_counter"]
        .iter()
        .any(|owner| grant.name.ends_with(owner))
    {
        return Vec::new();
    }
    let mut found = Vec::new();
    for line in grant.create.lines() {
        let Some((what, _)) = line
            .strip_prefix("grant ")
            .and_then(|l| l.split_once(" on "))
        else {
            continue;
        };
        match what.split_once(" (") {
            None => found.push((what, "")),
            Some((privilege, columns)) => {
                let columns = columns.trim_end_matches(')').split(", ");
                found.extend(columns.map(|column| (privilege, column)));
            }
        }
    }
    found
}

fn is_trigger(object: &Object) -> bool {
    signature(&object.create).contains("returns trigger")
}

/// Whether the default has to be evaluated for every row, which makes PostgreSQL rewrite the table.
fn volatile(default: &str) -> bool {
    [
        "uuid_v7",
        "gen_random_uuid",
        "random",
        "nextval",
        "clock_timestamp",
    ]
    .iter()
    .any(|f| words(default).contains(f))
}
