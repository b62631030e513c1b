//! One step of a migration, described by its effect on the schema.
//!
//! Knows what PostgreSQL can alter; does not know why a step is taken.

use super::text::last_name;
use crate::objects::{Column, Kind, Object};

#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    Create {
        object: Object,
        how: How,
    },
    /// The same object with another definition, without a drop in between (functions, roles).
    Replace {
        old: Object,
        new: Object,
    },
    Drop {
        object: Object,
    },
    /// A constraint or index that stays as it is under a new name.
    RenameObject {
        old: Object,
        new: Object,
    },
    RenameTable {
        old: Object,
        to: String,
    },
    RenameColumn {
        table: String,
        from: String,
        to: String,
    },
    AddColumn {
        table: String,
        column: Column,
        fill: Fill,
    },
    DropColumn {
        table: String,
        column: Column,
    },
    Retype {
        table: String,
        old: Column,
        new: Column,
        /// What a value becomes that the new type can't hold, as SQL. `None`: the migration fails.
        otherwise: Option<String>,
    },
    SetDefault {
        table: String,
        name: String,
        default: Option<String>,
    },
    SetNotNull {
        table: String,
        name: String,
    },
    DropNotNull {
        table: String,
        name: String,
    },
    /// Requires a value in new rows; existing rows are validated in a later step.
    AddNotNullCheck {
        table: String,
        name: String,
    },
    DropNotNullCheck {
        table: String,
        name: String,
    },
    ValidateNotNullCheck {
        table: String,
        name: String,
    },
    /// Fills columns that become required, each with its value, in one statement: the checks that were added for them
    /// hold for every row that is written, also for one that is written because of another column.
    Backfill {
        table: String,
        /// Columns and their values.
        columns: Vec<(String, String)>,
    },
    /// Fills a column that triggers maintain with what the triggers would have written, without counting as a change
    /// of the rows (no new version, no audit entry).
    Keep {
        table: String,
        name: String,
        value: String,
    },
    /// Replaces a value that rows hold by its new name (the type of a polymorphic reference, an enum value). It
    /// doesn't count as a change of the rows, so their triggers don't run.
    ReplaceWord {
        table: String,
        name: String,
        from: String,
        to: String,
    },
    Validate {
        table: String,
        constraint: String,
    },
    /// Recomputes derived columns from the rows that they are derived from.
    Recount {
        table: String,
        columns: Vec<String>,
        sql: String,
    },
    /// Makes the table logged or unlogged. PostgreSQL rewrites the table for this.
    SetLogged {
        table: String,
        logged: bool,
    },
    /// Statements that belong to a table but not to its columns: comments, row security.
    Run {
        table: String,
        sql: String,
    },
}

/// How an object is created on a table that has rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Plain,
    /// A check or foreign key that at first applies to new rows only; existing rows are validated in a later
    /// transaction.
    NotValid,
    /// An index that is built without blocking writes, which only works outside of a transaction.
    Concurrently,
}

/// The value of a new column in existing rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// The column's default, or null if it has none.
    Default,
    /// An invented value, because the real ones were lost (down migrations only).
    Placeholder(String),
}

impl Op {
    /// One line for the plan and the header of the migration.
    pub fn summary(&self) -> String {
        match self {
            Op::Create { object, how } => {
                let what = format!("{} {}", noun(object), object.name);
                match how {
                    How::Plain => format!("create {what}"),
                    How::NotValid => format!("add {what} for new rows"),
                    How::Concurrently => format!("create {what} beside the traffic"),
                }
            }
            Op::Replace { new, .. } => format!("replace {} {}", noun(new), new.name),
            Op::Drop { object } => format!("drop {} {}", noun(object), object.name),
            Op::RenameObject { old, new } => format!(
                "rename {} {} to {}",
                noun(old),
                old.name,
                last_name(&new.name)
            ),
            Op::RenameTable { old, to } => format!("rename table {} to {to}", old.name),
            Op::RenameColumn { table, from, to } => format!("rename column {table}.{from} to {to}"),
            Op::AddColumn { table, column, .. } => format!("add column {table}.{}", column.name),
            Op::DropColumn { table, column } => format!("drop column {table}.{}", column.name),
            Op::Retype {
                table, old, new, ..
            } => {
                format!(
                    "change {table}.{} from {} to {}",
                    new.name, old.sql_type, new.sql_type
                )
            }
            Op::SetDefault {
                table,
                name,
                default,
            } => {
                let default = default.as_deref().map(|value| format!("default {value}"));
                let default = default.unwrap_or_else(|| "no default".to_owned());
                format!("{default} for {table}.{name}")
            }
            Op::SetNotNull { table, name } => format!("{table}.{name} is never null"),
            Op::DropNotNull { table, name } => format!("{table}.{name} may be null"),
            Op::AddNotNullCheck { table, name } => {
                format!("{table}.{name} is not null in new rows")
            }
            Op::DropNotNullCheck { table, name } => {
                format!("drop the not-null check of {table}.{name}")
            }
            Op::ValidateNotNullCheck { table, name } => {
                format!("validate that {table}.{name} is not null")
            }
            Op::Backfill { table, columns } => {
                let each: Vec<String> = columns
                    .iter()
                    .map(|(name, value)| format!("{table}.{name} with {value}"))
                    .collect();
                format!("fill {}", each.join(", "))
            }
            Op::Keep { table, name, .. } => format!("fill {table}.{name}"),
            Op::ReplaceWord {
                table,
                name,
                from,
                to,
            } => format!("write {to} for {from} in {table}.{name}"),
            Op::Validate { table, constraint } => format!("validate {constraint} of {table}"),
            Op::Recount { table, columns, .. } => {
                format!("count {} of {table} again", columns.join(", "))
            }
            Op::SetLogged { table, logged } => match logged {
                true => format!("write rows of {table} into the write-ahead log"),
                false => format!("keep rows of {table} out of the write-ahead log"),
            },
            Op::Run { table, .. } => format!("describe {table}"),
        }
    }

    pub fn table(&self) -> Option<&str> {
        match self {
            Op::Create { object, .. } | Op::Drop { object } => table_of(object),
            Op::Replace { new, .. } | Op::RenameObject { new, .. } => table_of(new),
            Op::RenameTable { to, .. } => Some(to),
            Op::RenameColumn { table, .. }
            | Op::AddColumn { table, .. }
            | Op::DropColumn { table, .. }
            | Op::Retype { table, .. }
            | Op::SetDefault { table, .. }
            | Op::SetNotNull { table, .. }
            | Op::DropNotNull { table, .. }
            | Op::AddNotNullCheck { table, .. }
            | Op::DropNotNullCheck { table, .. }
            | Op::ValidateNotNullCheck { table, .. }
            | Op::Backfill { table, .. }
            | Op::Keep { table, .. }
            | Op::ReplaceWord { table, .. }
            | Op::Validate { table, .. }
            | Op::Recount { table, .. }
            | Op::SetLogged { table, .. }
            | Op::Run { table, .. } => Some(table),
        }
    }
}

/// The table itself, or the table that an object belongs to. `None` if it belongs to no table.
pub fn table_of(object: &Object) -> Option<&str> {
    if object.kind == Kind::Table {
        Some(&object.name)
    } else {
        object.table.as_deref()
    }
}

pub fn noun(object: &Object) -> &'static str {
    match object.kind {
        Kind::Role => "role",
        Kind::Schema => "schema",
        Kind::Extension => "extension",
        Kind::Function | Kind::TableFunction => "function",
        Kind::Table => "table",
        Kind::Constraint => "constraint",
        Kind::Index => "index",
        Kind::ForeignKey => "foreign key",
        Kind::View if object.create.starts_with("create table") => "search documents",
        Kind::View => "view",
        Kind::Trigger => "trigger",
        Kind::Policy => "policy",
        Kind::Grant => "grant",
    }
}
