//! Idempotency keys of requests, and the answers that were given to them.
//!
//! A key belongs to the caller, the method and the route. No database login can access the table directly.

use super::{
    audit::column,
    names::Roles,
    object::{constraint, object, on_table, quote},
    tables, template,
};
use crate::model::Model;
use crate::objects::{Kind, Object};

const TABLE: &str = "requests.keys";

pub fn objects(model: &Model) -> Vec<Object> {
    let mut found = vec![keys(model), purged()];
    found.extend(
        [
            ("key", "check (length(key) between 16 and 255)"),
            (
                "answer",
                "check ((status is null) = (headers is null) and (status is null) = (body is null))",
            ),
        ]
        .map(|(what, rest)| {
            constraint(Kind::Constraint, TABLE, &format!("keys_{what}_check"), rest)
        }),
    );
    found.extend(template::functions(
        include_str!("../sql/requests.sql"),
        &model.app,
        Kind::TableFunction,
    ));
    found
}

fn keys(model: &Model) -> Object {
    let columns = vec![
        column("principal", "uuid", true, None),
        column("method", "text", true, None),
        column("route", "text", true, None),
        column("key", "text", true, None),
        column("fingerprint", "text", true, None),
        column("attempt", "integer", true, Some("1")),
        column("locked_until", "timestamptz", true, None),
        column("status", "integer", false, None),
        column("headers", "jsonb", false, None),
        column("body", "bytea", false, None),
        column("created_at", "timestamptz", true, Some("now()")),
    ];
    let mut lines: Vec<String> = columns.iter().map(tables::line).collect();
    lines.push("constraint keys_pkey primary key (principal, method, route, key)".to_owned());
    let create = format!(
        "create table {TABLE} (\n  {}\n);\ncomment on table {TABLE} is {};\nalter table {TABLE} owner to {};",
        lines.join(",\n  "),
        quote("Requests that must have their effect once, and their answers."),
        Roles(&model.app).queue(),
    );
    Object {
        columns,
        ..on_table(
            TABLE,
            object(Kind::Table, TABLE, create, format!("drop table {TABLE};")),
        )
    }
}

fn purged() -> Object {
    let create = format!(
        "create index keys_answered_idx\n  on {TABLE} (created_at) where status is not null;"
    );
    let drop = "drop index requests.keys_answered_idx;".to_owned();
    let name = "requests.keys_answered_idx";
    on_table(TABLE, object(Kind::Index, name, create, drop))
}
