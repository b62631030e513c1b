//! `create table`, with row-level security forced from the beginning.

use super::{
    columns::columns,
    grants::updatable,
    names::{self, Roles},
    object::{object, on_table, quote},
};
use crate::model::{Entity, EntityId, Model};
use crate::objects::{Column, Kind, Object};

pub fn table(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let columns = columns(model, id);
    let create = format!(
        "{}\n\
         comment on table {table} is {};\n{}\
         alter table {table} owner to {};\n\
         alter table {table} enable row level security;\n\
         alter table {table} force row level security;{}",
        create(&table, &columns),
        quote(&entity.doc),
        comments(&table, &columns),
        Roles(&model.app).owner(),
        storage(entity, &table),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(&table, object(Kind::Table, table.clone(), create, drop))
    }
}

/// The statement `create table` alone.
pub fn create(table: &str, columns: &[Column]) -> String {
    let bare = table.rsplit('.').next().unwrap_or(table);
    let key = format!("constraint {bare}_pkey primary key (id)");
    of_lines(table, columns.iter().map(line).chain([key]))
}

/// A table without a primary key.
pub fn create_without_key(table: &str, columns: &[Column]) -> String {
    of_lines(table, columns.iter().map(line))
}

pub(super) fn line(column: &Column) -> String {
    let mut line = format!("{} {}", column.name, column.sql_type);
    if let Some(default) = &column.default {
        line.push_str(&format!(" default {default}"));
    }
    if column.not_null {
        line.push_str(" not null");
    }
    if let Some(expr) = &column.generated {
        line.push_str(&format!(" generated always as ({expr}) stored"));
    }
    line
}

/// Storage options. Free space on each page lets a changed row stay on its page; no index is touched then if none of
/// its columns change. They also say whether the table is written to the write-ahead log.
fn storage(entity: &Entity, table: &str) -> String {
    let room = match updatable(entity).is_empty() {
        true => String::new(),
        false => format!("\nalter table {table} set (fillfactor = 80);"),
    };
    match entity.wal {
        true => room,
        false => format!("{room}\nalter table {table} set unlogged;"),
    }
}

fn of_lines(table: &str, lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    format!("create table {table} (\n  {}\n);", lines.join(",\n  "))
}

fn comments(table: &str, columns: &[Column]) -> String {
    let told = columns
        .iter()
        .filter_map(|c| Some((&c.name, c.comment.as_ref()?)));
    told.map(|(name, doc)| format!("comment on column {table}.{name} is {};\n", quote(doc)))
        .collect()
}
