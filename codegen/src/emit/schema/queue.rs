//! The job queue: jobs that a transaction enqueues and that run after it, at least once.
//!
//! Only the functions here access its tables: the request role may enqueue the jobs that the spec lists, a module its
//! own. Nothing here uses `notify`, which takes a cluster-wide lock at every commit.

use super::{
    audit::column,
    names::{self, Roles},
    object::{constraint, object, on_table, quote, quoted_list},
    tables, template,
};
use crate::model::Model;
use crate::objects::{Column, Kind, Object};

pub fn objects(model: &Model) -> Vec<Object> {
    let mut found = vec![queue(model), periodic(model), cascades(model)];
    found.extend(checks());
    found.extend(indexes());
    let functions = include_str!("../sql/jobs.sql")
        .replace("<requested>", &requested(model))
        .replace("<roles>", &roles(model));
    found.extend(template::functions(
        &functions,
        &model.app,
        Kind::TableFunction,
    ));
    found
}

/// The settings by which `sec.performed_role` names the caller.
fn roles(model: &Model) -> String {
    let names = model
        .roles
        .iter()
        .map(|role| format!("'app.role_{}'", names::snake(&role.name)));
    let names: Vec<String> = ["'app.job'".to_owned()].into_iter().chain(names).collect();
    format!("array[{}]", names.join(", "))
}

pub(super) fn table(
    model: &Model,
    name: &str,
    key: &str,
    doc: &str,
    columns: Vec<Column>,
) -> Object {
    let table = format!("jobs.{name}");
    let mut lines: Vec<String> = columns.iter().map(tables::line).collect();
    lines.push(format!("constraint {name}_pkey primary key ({key})"));
    let create = format!(
        "create table {table} (\n  {}\n);\ncomment on table {table} is {};\nalter table {table} owner to {};",
        lines.join(",\n  "),
        quote(doc),
        Roles(&model.app).queue(),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(&table, object(Kind::Table, table.clone(), create, drop))
    }
}

pub(super) fn index(table: &str, unique: &str, name: &str, rest: &str) -> Object {
    let create = format!("create {unique}index {name}\n  on {table} {rest};");
    let drop = format!("drop index jobs.{name};");
    on_table(
        table,
        object(Kind::Index, format!("jobs.{name}"), create, drop),
    )
}

/// The jobs that requests may ask for, as an array.
fn requested(model: &Model) -> String {
    let names: Vec<String> = (model.modules.iter())
        .flat_map(|m| m.requested.iter().map(|job| format!("{}.{job}", m.name)))
        .collect();
    format!("array[{}]::text[]", quoted_list(&names))
}

fn queue(model: &Model) -> Object {
    let columns = vec![
        column("id", "uuid", true, Some("sec.uuid_v7()")),
        column("place", "bigint generated always as identity", true, None),
        column("name", "text", true, None),
        column("payload", "jsonb", true, None),
        column("unique_key", "text", false, None),
        column("order_key", "text", false, None),
        column("on_behalf_of", "uuid", false, None),
        column("request_id", "uuid", false, None),
        column("priority", "integer", true, Some("0")),
        column("run_at", "timestamptz", true, Some("now()")),
        column("state", "text", true, Some("'queued'")),
        column("attempts", "integer", true, Some("0")),
        column("max_attempts", "integer", true, None),
        column("locked_by", "uuid", false, None),
        column("locked_until", "timestamptz", false, None),
        column("last_error", "text", false, None),
        column("created_at", "timestamptz", true, Some("now()")),
        column("ended_at", "timestamptz", false, None),
    ];
    let doc = "Jobs that wait, run or are dead; one that is done is gone.";
    table(model, "queue", "id", doc, columns)
}

fn periodic(model: &Model) -> Object {
    let columns = vec![
        column("name", "text", true, None),
        column("last_tick", "timestamptz", true, None),
    ];
    let doc = "Up to when each periodic job has been enqueued.";
    table(model, "periodic", "name", doc, columns)
}

fn cascades(model: &Model) -> Object {
    let columns = vec![
        column("parent_id", "uuid", true, None),
        column("steps", "text[]", true, None),
        column("closes", "text", false, None),
        column("step", "integer", true, Some("1")),
        column(
            "after",
            "uuid",
            true,
            Some("'00000000-0000-0000-0000-000000000000'"),
        ),
        column("member_id", "uuid", false, None),
        column("session_id", "uuid", false, None),
        column("request_id", "uuid", false, None),
        column("action", "text", true, None),
        column("reason", "text", false, None),
        column("roles", "jsonb", true, Some("'{}'")),
        column("run_at", "timestamptz", true, Some("now()")),
    ];
    let doc = "Archived and restored rows of which some children are still to follow.";
    table(model, "cascades", "parent_id", doc, columns)
}

fn checks() -> Vec<Object> {
    [
        (
            "name",
            "check (name ~ '^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$')",
        ),
        (
            "payload",
            "check (jsonb_typeof(payload) = 'object' and octet_length(payload::text) <= 65536)",
        ),
        ("state", "check (state in ('queued', 'running', 'dead'))"),
        (
            "locked",
            "check ((state = 'running') = (locked_by is not null and locked_until is not null))",
        ),
        (
            "attempts",
            "check (attempts >= 0 and max_attempts between 1 and 100)",
        ),
        (
            "keys",
            "check (length(unique_key) between 1 and 200 and length(order_key) between 1 and 200)",
        ),
    ]
    .map(|(what, rest)| {
        let name = format!("queue_{what}_check");
        constraint(Kind::Constraint, "jobs.queue", &name, rest)
    })
    .into()
}

fn indexes() -> Vec<Object> {
    [
        (
            "",
            "due_idx",
            "(priority, run_at, place) where state = 'queued'",
        ),
        (
            "unique ",
            "unique_key",
            "(name, unique_key) where state = 'queued' and unique_key is not null",
        ),
        (
            "",
            "order_idx",
            "(order_key, place) where order_key is not null and state <> 'dead'",
        ),
        ("", "locked_idx", "(locked_until) where state = 'running'"),
        ("", "dead_idx", "(place) where state = 'dead'"),
    ]
    .map(|(unique, name, rest)| index("jobs.queue", unique, &format!("queue_{name}"), rest))
    .into()
}
