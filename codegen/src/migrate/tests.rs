//! Artificial schemas, and an interpreter of steps that refuses what PostgreSQL would refuse.

mod beside;
mod history;
mod random;
mod world;

use crate::objects::{Column, Kind, Object, Schema};

pub fn column(name: &str, sql_type: &str) -> Column {
    Column {
        name: name.to_owned(),
        sql_type: sql_type.to_owned(),
        not_null: false,
        default: None,
        generated: None,
        was: None,
        comment: None,
    }
}

pub fn table(name: &str, columns: Vec<Column>) -> Object {
    let lines: Vec<String> = columns
        .iter()
        .map(|c| format!("  {} {}", c.name, c.sql_type))
        .collect();
    Object {
        kind: Kind::Table,
        name: format!("app.{name}"),
        table: Some(format!("app.{name}")),
        create: format!(
            "create table app.{name} (\n{},\n  constraint {name}_pkey primary key (id)\n);",
            lines.join(",\n")
        ),
        drop: format!("drop table app.{name};"),
        columns,
    }
}

pub fn object(kind: Kind, table: Option<&str>, name: &str, create: &str) -> Object {
    Object {
        kind,
        name: name.to_owned(),
        table: table.map(|t| format!("app.{t}")),
        create: create.to_owned(),
        drop: format!("drop {name};"),
        columns: Vec::new(),
    }
}

pub fn check(table: &str, name: &str, condition: &str) -> Object {
    let create = format!("alter table app.{table} add constraint {name}\n  check ({condition});");
    object(
        Kind::Constraint,
        Some(table),
        &format!("app.{table}.{name}"),
        &create,
    )
}

pub fn index(table: &str, name: &str, columns: &str) -> Object {
    let create = format!("create index {name}\n  on app.{table} ({columns});");
    object(Kind::Index, Some(table), &format!("app.{name}"), &create)
}

pub fn policy(table: &str, name: &str, condition: &str) -> Object {
    let create =
        format!("create policy {name} on app.{table} for select to reader\n  using ({condition});");
    object(
        Kind::Policy,
        Some(table),
        &format!("app.{table}.{name}"),
        &create,
    )
}

pub fn schema(mut objects: Vec<Object>) -> Schema {
    objects.sort_by_key(|o| o.kind);
    Schema { objects }
}
