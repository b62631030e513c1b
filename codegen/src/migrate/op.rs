//! One step of a migration: what it does to a schema and how it is written in SQL.
//!
//! Knows PostgreSQL's DDL; does not know why a step is taken.

use super::text::{bare_table, last_name, mentions, revoke, statements};
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
    /// New rows must have a value; old ones are not looked at yet.
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
    Backfill {
        table: String,
        name: String,
        value: String,
    },
    /// A column that triggers keep gets what they would have written. Nothing has happened to the rows.
    Keep {
        table: String,
        name: String,
        value: String,
    },
    /// A word that rows hold has a new name (the type of a polymorphic reference). Nothing has happened
    /// to the rows, so their triggers are not asked.
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
    /// Derived columns brought to what the rows they are derived from say.
    Recount {
        table: String,
        columns: Vec<String>,
        sql: String,
    },
    /// Statements of a table beside its columns: comments, row security.
    Run {
        table: String,
        sql: String,
    },
}

/// How an object on a table with rows comes to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    Plain,
    /// A check or foreign key for new rows; the old ones are validated in a later transaction.
    NotValid,
    /// An index built beside the traffic; outside of any transaction.
    Concurrently,
}

/// A table with deferred checks still to run cannot be altered.
const SETTLE: &str = "set constraints all immediate;";

/// What the rows that exist get in a new column.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// Its default, or null.
    Default,
    /// A made-up value, because the true ones are gone (down migrations only).
    Placeholder(String),
}

impl Op {
    /// Complete statements, or nothing where nothing is to be done.
    pub fn sql(&self) -> String {
        match self {
            Op::Create { object, how } => create(object, *how),
            Op::Replace { old, new } => replace(old, new),
            Op::Drop { object } => object.drop.clone(),
            Op::RenameObject { old, new } => rename_object(old, new),
            Op::RenameTable { old, to } => rename_table(old, to),
            Op::RenameColumn { table, from, to } => {
                format!("alter table {table} rename column {from} to {to};")
            }
            Op::AddColumn {
                table,
                column,
                fill,
            } => add_column(table, column, fill),
            Op::DropColumn { table, column } => {
                format!("alter table {table} drop column {};", column.name)
            }
            Op::Retype { table, old, new } => retype(table, old, new),
            Op::SetDefault {
                table,
                name,
                default: Some(value),
            } => {
                format!("alter table {table} alter column {name} set default {value};")
            }
            Op::SetDefault {
                table,
                name,
                default: None,
            } => {
                format!("alter table {table} alter column {name} drop default;")
            }
            Op::SetNotNull { table, name } => {
                format!("alter table {table} alter column {name} set not null;")
            }
            Op::DropNotNull { table, name } => {
                format!("alter table {table} alter column {name} drop not null;")
            }
            Op::AddNotNullCheck { table, name } => format!(
                "alter table {table} add constraint {} check ({name} is not null) not valid;",
                not_null_check(table, name)
            ),
            Op::DropNotNullCheck { table, name } => {
                format!(
                    "alter table {table} drop constraint {};",
                    not_null_check(table, name)
                )
            }
            Op::ValidateNotNullCheck { table, name } => {
                format!(
                    "alter table {table} validate constraint {};",
                    not_null_check(table, name)
                )
            }
            Op::Backfill { table, name, value } => {
                format!("update {table} set {name} = {value} where {name} is null;\n{SETTLE}")
            }
            Op::Keep { table, name, value } => {
                quietly(table, &format!("update {table} set {name} = {value};"))
            }
            Op::ReplaceWord {
                table,
                name,
                from,
                to,
            } => quietly(
                table,
                &format!("update {table} set {name} = '{to}' where {name} = '{from}';"),
            ),
            Op::Validate { table, constraint } => {
                format!("alter table {table} validate constraint {constraint};")
            }
            Op::Recount { sql, .. } | Op::Run { sql, .. } => sql.clone(),
        }
    }

    /// One line for the plan and the header of the migration.
    pub fn summary(&self) -> String {
        match self {
            Op::Create {
                object,
                how: How::Plain,
            } => format!("create {} {}", noun(object), object.name),
            Op::Create {
                object,
                how: How::NotValid,
            } => format!("add {} {} for new rows", noun(object), object.name),
            Op::Create {
                object,
                how: How::Concurrently,
            } => {
                format!("create {} {} beside the traffic", noun(object), object.name)
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
            Op::Retype { table, old, new } => {
                format!(
                    "change {table}.{} from {} to {}",
                    new.name, old.sql_type, new.sql_type
                )
            }
            Op::SetDefault {
                table,
                name,
                default: Some(value),
            } => format!("default {value} for {table}.{name}"),
            Op::SetDefault {
                table,
                name,
                default: None,
            } => format!("no default for {table}.{name}"),
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
            Op::Backfill { table, name, value } => format!("fill {table}.{name} with {value}"),
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
            | Op::Run { table, .. } => Some(table),
        }
    }
}

/// The table an object is or hangs on.
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
        Kind::View => "view",
        Kind::Trigger => "trigger",
        Kind::Policy => "policy",
        Kind::Grant => "grant",
    }
}

/// `name type default … not null` as in `create table`.
fn column_text(column: &Column) -> String {
    let mut text = format!("{} {}", column.name, column.sql_type);
    if let Some(expr) = &column.generated {
        text.push_str(&format!(" generated always as ({expr}) stored"));
    }
    if let Some(value) = &column.default {
        text.push_str(&format!(" default {value}"));
    }
    if column.not_null {
        text.push_str(" not null");
    }
    text
}

fn add_column(table: &str, column: &Column, fill: &Fill) -> String {
    let Fill::Placeholder(value) = fill else {
        return format!("alter table {table} add column {};", column_text(column));
    };
    let filled = Column {
        default: Some(value.clone()),
        ..column.clone()
    };
    let after = match &column.default {
        Some(value) => format!("set default {value}"),
        None => "drop default".to_owned(),
    };
    format!(
        "alter table {table} add column {};\nalter table {table} alter column {} {after};",
        column_text(&filled),
        column.name
    )
}

/// The default is taken off first: PostgreSQL would have to cast it too.
fn retype(table: &str, old: &Column, new: &Column) -> String {
    let (name, ty) = (&new.name, &new.sql_type);
    let mut parts = Vec::new();
    if old.default.is_some() {
        parts.push(format!(
            "alter table {table} alter column {name} drop default;"
        ));
    }
    parts.push(format!(
        "alter table {table} alter column {name} type {ty} using ({name}::{ty});"
    ));
    if let Some(value) = &new.default {
        parts.push(format!(
            "alter table {table} alter column {name} set default {value};"
        ));
    }
    parts.join("\n")
}

fn create(object: &Object, how: How) -> String {
    let text = object.create.trim_end();
    match how {
        How::Plain => text.to_owned(),
        How::NotValid => with_first(text, |first| {
            format!("{} not valid;", first.trim_end_matches(';').trim_end())
        }),
        How::Concurrently => with_first(text, |first| {
            first.replacen(" index ", " index concurrently ", 1)
        }),
    }
}

fn with_first(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut parts: Vec<String> = statements(text).into_iter().map(str::to_owned).collect();
    if let Some(first) = parts.first_mut() {
        *first = change(first);
    }
    parts.join("\n")
}

/// The statements that are new, and the grants taken back that are no longer held.
fn replace(old: &Object, new: &Object) -> String {
    let (before, after) = (statements(&old.create), statements(&new.create));
    let mut parts: Vec<String> = before
        .iter()
        .filter(|s| !after.contains(s))
        .filter_map(|s| revoke(s))
        .collect();
    for statement in after.into_iter().filter(|s| !before.contains(s)) {
        parts.push(match statement.strip_prefix("create function ") {
            Some(rest) => format!("create or replace function {rest}"),
            None => statement.to_owned(),
        });
    }
    parts.join("\n")
}

fn rename_object(old: &Object, new: &Object) -> String {
    let (from, to) = (last_name(&old.name), last_name(&new.name));
    let table = new.table.as_deref().unwrap_or_default();
    if old.kind == Kind::Index {
        let schema = table.split('.').next().unwrap_or("app");
        format!("alter index {schema}.{from} rename to {to};")
    } else {
        format!("alter table {table} rename constraint {from} to {to};")
    }
}

/// The primary key that `create table` named after the table moves along.
fn rename_table(old: &Object, to: &str) -> String {
    let (from, to_bare) = (bare_table(&old.name), bare_table(to));
    let mut text = format!("alter table {} rename to {to_bare};", old.name);
    let pkey = format!("{from}_pkey");
    if mentions(&old.create, "primary key") {
        text.push_str(&format!(
            "\nalter table {to} rename constraint {pkey} to {to_bare}_pkey;"
        ));
    }
    text
}

/// Neither a new version nor an entry in the audit log.
fn quietly(table: &str, update: &str) -> String {
    format!(
        "alter table {table} disable trigger user;\n{update}\nalter table {table} enable trigger user;"
    )
}

fn not_null_check(table: &str, name: &str) -> String {
    format!("{}_{name}_not_null", bare_table(table))
}
