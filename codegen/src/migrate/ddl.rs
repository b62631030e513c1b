//! A step of a migration in SQL.
//!
//! Knows PostgreSQL's DDL; does not know why a step is taken.

use super::op::{Fill, How, Op};
use super::text::{bare_table, grant, last_name, mentions, revoke, statements};
use crate::objects::{Column, Kind, Object};

/// PostgreSQL refuses to alter a table while deferred checks of it are pending, so they are run first.
const SETTLE: &str = "set constraints all immediate;";

impl Op {
    /// Complete statements, or an empty text if there is nothing to do.
    pub fn sql(&self) -> String {
        match self {
            Op::Create { object, how } => create(object, *how),
            Op::Replace { old, new } => replace(old, new),
            Op::Drop { object } => object.drop.clone(),
            Op::RenameObject { old, new } => rename_object(old, new),
            Op::RenameTable { old, to } => rename_table(old, to),
            Op::RenameColumn { table, from, to } => {
                alter(table, &format!("rename column {from} to {to}"))
            }
            Op::AddColumn {
                table,
                column,
                fill,
            } => add_column(table, column, fill),
            Op::DropColumn { table, column } => {
                alter(table, &format!("drop column {}", column.name))
            }
            Op::Retype {
                table,
                old,
                new,
                otherwise,
            } => retype(table, old, new, otherwise.as_deref()),
            Op::SetDefault {
                table,
                name,
                default,
            } => alter_column(table, name, &default_clause(default.as_deref())),
            Op::SetNotNull { table, name } => alter_column(table, name, "set not null"),
            Op::DropNotNull { table, name } => alter_column(table, name, "drop not null"),
            Op::AddNotNullCheck { table, name } => {
                let check = not_null_check(table, name);
                let what = format!("add constraint {check} check ({name} is not null) not valid");
                alter(table, &what)
            }
            Op::DropNotNullCheck { table, name } => {
                let check = not_null_check(table, name);
                alter(table, &format!("drop constraint {check}"))
            }
            Op::ValidateNotNullCheck { table, name } => {
                validate(table, &not_null_check(table, name))
            }
            Op::Validate { table, constraint } => validate(table, constraint),
            Op::Backfill { table, columns } => backfill(table, columns),
            Op::Keep { table, name, value } => {
                quietly(table, &format!("update {table} set {name} = {value};"))
            }
            Op::ReplaceWord {
                table,
                name,
                from,
                to,
            } => {
                let update = format!("update {table} set {name} = '{to}' where {name} = '{from}';");
                quietly(table, &update)
            }
            Op::SetLogged { table, logged } => alter(
                table,
                if *logged {
                    "set logged"
                } else {
                    "set unlogged"
                },
            ),
            Op::Recount { sql, .. } | Op::Run { sql, .. } => sql.clone(),
        }
    }
}

fn alter(table: &str, what: &str) -> String {
    format!("alter table {table} {what};")
}

fn alter_column(table: &str, column: &str, what: &str) -> String {
    alter(table, &format!("alter column {column} {what}"))
}

fn backfill(table: &str, columns: &[(String, String)]) -> String {
    let (sets, wheres): (Vec<String>, Vec<String>) = columns
        .iter()
        .map(|(name, value)| {
            let set = match columns.len() {
                1 => format!("{name} = {value}"),
                _ => format!("{name} = coalesce({name}, {value})"),
            };
            (set, format!("{name} is null"))
        })
        .unzip();
    format!(
        "update {table} set {} where {};\n{SETTLE}",
        sets.join(", "),
        wheres.join(" or ")
    )
}

fn validate(table: &str, constraint: &str) -> String {
    alter(table, &format!("validate constraint {constraint}"))
}

fn default_clause(default: Option<&str>) -> String {
    match default {
        Some(value) => format!("set default {value}"),
        None => "drop default".to_owned(),
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
        return alter(table, &format!("add column {}", column_text(column)));
    };
    let filled = Column {
        default: Some(value.clone()),
        ..column.clone()
    };
    let after = default_clause(column.default.as_deref());
    format!(
        "{}\n{}",
        alter(table, &format!("add column {}", column_text(&filled))),
        alter_column(table, &column.name, &after)
    )
}

/// The default is dropped first, because PostgreSQL would have to cast it as well.
fn retype(table: &str, old: &Column, new: &Column, otherwise: Option<&str>) -> String {
    let (name, ty) = (&new.name, &new.sql_type);
    let mut parts = Vec::new();
    if old.default.is_some() {
        parts.push(alter_column(table, name, &default_clause(None)));
    }
    match otherwise {
        None => {
            let value = cast(name, &old.sql_type, ty);
            let change = format!("type {ty} using ({value})");
            parts.push(alter_column(table, name, &change));
        }
        Some(otherwise) => parts.extend(retype_or_else(table, old, new, otherwise)),
    }
    if new.default.is_some() {
        let default = default_clause(new.default.as_deref());
        parts.push(alter_column(table, name, &default));
    }
    parts.join("\n")
}

/// Changes the type where some values can't be cast. PostgreSQL has no cast that tells this of every type, so a function
/// of this session catches the error.
fn retype_or_else(table: &str, old: &Column, new: &Column, otherwise: &str) -> [String; 3] {
    let (name, from, to) = (&new.name, &old.sql_type, &new.sql_type);
    let value = cast("value", from, to);
    let read = format!("coalesce(pg_temp.as_before({name}), {otherwise})");
    let change = format!("type {to} using (case when {name} is not null then {read} end)");
    [
        format!(
            "create function pg_temp.as_before(value {from}) returns {to} language plpgsql as $$\nbegin\n  \
             return {value};\nexception when others then\n  return null;\nend\n$$;"
        ),
        alter_column(table, name, &change),
        format!("drop function pg_temp.as_before({from});"),
    ]
}

/// The value of a column in another type. Between some types PostgreSQL has no cast and would refuse the statement,
/// whatever the rows are. The text of the value is read then: nulls pass, and a value that can't be read is named.
fn cast(name: &str, from: &str, to: &str) -> String {
    let is_large = |ty: &str| ty == "bigint" || ty.starts_with("numeric");
    match (from, to) {
        ("boolean", to) if is_large(to) => format!("{name}::integer::{to}"),
        (from, "boolean") if is_large(from) => format!("{name} <> 0"),
        (from, to) if has_cast(from, to) => format!("{name}::{to}"),
        _ => format!("{name}::text::{to}"),
    }
}

/// Whether PostgreSQL casts one type of column to the other.
fn has_cast(from: &str, to: &str) -> bool {
    let family = |ty: &str| ty.split('(').next().unwrap_or_default().to_owned();
    let number = |ty: &str| ["integer", "bigint", "numeric"].contains(&ty);
    let (from, to) = (family(from), family(to));
    match (from.as_str(), to.as_str()) {
        (a, b) if a == b || a == "text" || b == "text" => true,
        (a, b) if number(a) && number(b) => true,
        ("integer", "boolean") | ("boolean", "integer") => true,
        ("date", "timestamptz") | ("timestamptz", "date") => true,
        ("jsonb", b) => number(b) || b == "boolean",
        _ => false,
    }
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

/// The statements that the new object adds, and the contrary of each `grant` and `revoke` that it no longer has.
fn replace(old: &Object, new: &Object) -> String {
    let (before, after) = (statements(&old.create), statements(&new.create));
    let mut parts: Vec<String> = before
        .iter()
        .filter(|s| !after.contains(s))
        .filter_map(|s| revoke(s).or_else(|| grant(s)))
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
        alter(table, &format!("rename constraint {from} to {to}"))
    }
}

/// Renames the primary key as well, which `create table` named after the table.
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

/// Runs an update that creates neither a new version of the rows nor entries in the audit log.
fn quietly(table: &str, update: &str) -> String {
    format!(
        "alter table {table} disable trigger user;\n{update}\nalter table {table} enable trigger user;"
    )
}

fn not_null_check(table: &str, name: &str) -> String {
    format!("{}_{name}_not_null", bare_table(table))
}
