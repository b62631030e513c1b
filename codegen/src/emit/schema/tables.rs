//! `create table`, with forced row-level security from the start.

use super::{
    columns::columns,
    names::{self, Roles},
    object::{object, on_table, quote},
};
use crate::model::{EntityId, Model};
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
         alter table {table} force row level security;",
        create(&table, &columns),
        quote(&entity.doc),
        comments(&table, &columns),
        Roles(&model.app).owner(),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(&table, object(Kind::Table, table.clone(), create, drop))
    }
}

/// `create table` alone.
pub fn create(table: &str, columns: &[Column]) -> String {
    let mut lines: Vec<String> = columns.iter().map(line).collect();
    let bare = table.rsplit('.').next().unwrap_or(table);
    lines.push(format!("constraint {bare}_pkey primary key (id)"));
    format!("create table {table} (\n  {}\n);", lines.join(",\n  "))
}

fn comments(table: &str, columns: &[Column]) -> String {
    let told = columns
        .iter()
        .filter_map(|c| Some((&c.name, c.comment.as_ref()?)));
    told.map(|(name, doc)| format!("comment on column {table}.{name} is {};\n", quote(doc)))
        .collect()
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
