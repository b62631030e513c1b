//! The audit log: who changed what, written by triggers, sealed in blocks.
//!
//! The request role can neither read nor write it; nobody updates or deletes it.

use super::{
    cases::plain,
    guards::written_columns,
    names::{self, Roles},
    object::{object, on_table, quote, trigger, trigger_function},
    tables, template,
};
use crate::model::{Entity, EntityId, Lifecycle, Model, Ty};
use crate::objects::{Column, Kind, Object};

pub fn objects(model: &Model) -> Vec<Object> {
    let mut found = vec![logs(model), seals(model)];
    found.extend([
        index("audit_logs", "entity", "(entity_id, id)"),
        // A BRIN index, since rows lie nearly in the order of their ids: it keeps one summary of ids and callers for
        // each few pages. A B-tree entry for each row took a sixth of the time of a small write.
        index(
            "audit_logs",
            "id",
            "using brin (id, performed_by uuid_bloom_ops) with (pages_per_range = 32, autosummarize = on)",
        ),
        index("seals", "seen_id", "(seen_id)"),
    ]);
    found.extend(template::functions(
        include_str!("../sql/audit.sql"),
        &model.app,
        Kind::TableFunction,
    ));
    found
}

/// The triggers that log every change, except changes of derived columns.
pub fn of_entity(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if !entity.audit {
        return Vec::new();
    }
    let table = names::table(entity);
    let function = names::fit(format!("audit.record_{}", entity.plural));
    let mut events = "insert".to_owned();
    if entity.lifecycle != Lifecycle::AppendOnly {
        events.push_str(&format!(
            " or update of {}",
            written_columns(model, id).join(", ")
        ));
    }
    if entity.internal {
        events.push_str(" or delete");
    }
    let when = format!("after {events} on {table}\n  for each row execute function {function}()");
    vec![
        recorder(model, id, &function),
        trigger(&table, &format!("{}_audit", entity.plural), &when),
    ]
}

pub(super) fn column(name: &str, sql_type: &str, not_null: bool, default: Option<&str>) -> Column {
    Column {
        name: name.into(),
        sql_type: sql_type.into(),
        not_null,
        default: default.map(str::to_owned),
        generated: None,
        was: None,
        comment: None,
    }
}

/// An update that changes nothing is not logged. A transition is logged even then, since it may have been made for a
/// reason.
///
/// The columns are compared one by one: converting both rows to JSON and comparing those takes many times as long.
fn recorder(model: &Model, id: EntityId, function: &str) -> Object {
    let (entity, roles) = (&model.entities[id], Roles(&model.app));
    let (columns, masked) = (written_columns(model, id), masked(entity));
    let changes: String = (columns.iter())
        .map(|column| change(entity, column, &masked))
        .collect();
    let body = format!(
        "declare\n  v_changed jsonb;\nbegin\n  if tg_op = 'INSERT' then\n{}  else\n    v_changed := '{{}}';\n{changes}    if tg_op = 'UPDATE' and v_changed = '{{}}' and coalesce(sec.action(), 'update') = 'update' then\n      return null;\n    end if;\n  end if;\n{}  return null;\nend",
        made(entity, &columns, &masked),
        write(&entity.name),
    );
    trigger_function(
        roles,
        &names::table(entity),
        function,
        Some(roles.audit()),
        "Records a change in the audit log: each changed column with its old and new value.",
        body,
    )
}

/// The value of a column as it may appear in the log.
fn logged(masked: &[String], row: &str, column: &String) -> String {
    match masked.contains(column) {
        true => format!("case when {row}.{column} is not null then '•' end"),
        false => format!("{row}.{column}"),
    }
}

/// The entry for a created row, built by one expression, because adding columns to an object one after the other
/// copies it each time. It contains all values other than null, and the status only if it isn't `active`. Since no
/// previous values exist, the new ones appear alone; only lists are put in an array after a null, because they could
/// be mistaken for a pair of old and new value. Columns with objects are added separately, because nulls inside them
/// must be kept.
fn made(entity: &Entity, columns: &[String], masked: &[String]) -> String {
    let holds_object = |column: &&String| {
        entity
            .field(column)
            .is_some_and(|f| matches!(f.ty, Ty::Object { .. } | Ty::Json))
    };
    let holds_list = |column: &str| {
        entity
            .field(column)
            .is_some_and(|f| matches!(f.ty, Ty::TextList { .. }))
    };
    let (objects, plain): (Vec<&String>, Vec<&String>) = columns.iter().partition(holds_object);
    let pairs: Vec<String> = (plain.iter())
        .map(|column| {
            let (name, value) = (quote(column), logged(masked, "new", column));
            // If the entity has no lifecycle status, `status` is an ordinary field.
            if column.as_str() == "status" && entity.lifecycle == Lifecycle::SoftDelete {
                format!("{name}, case when new.status <> 'active' then {value} end")
            } else if holds_list(column) {
                format!("{name}, case when new.{column} is not null then jsonb_build_array(null, {value}) end")
            } else {
                format!("{name}, {value}")
            }
        })
        .collect();
    // A function takes at most 100 arguments.
    let built: Vec<String> = (pairs.chunks(50))
        .map(|pairs| {
            format!(
                "jsonb_strip_nulls(jsonb_build_object(\n      {}\n    ))",
                pairs.join(",\n      ")
            )
        })
        .collect();
    let built = match built.is_empty() {
        true => "'{}'".to_owned(),
        false => built.join(" || "),
    };
    let added: String = (objects.iter())
        .map(|column| {
            format!(
                "    if new.{column} is not null then\n      v_changed := v_changed || jsonb_build_object({}, jsonb_build_array(null, {}));\n    end if;\n",
                quote(column),
                logged(masked, "new", column)
            )
        })
        .collect();
    format!("    v_changed := {built};\n{added}")
}

/// The entry for a changed or deleted row. For a deleted one, all columns of `new` are null.
fn change(entity: &Entity, column: &String, masked: &[String]) -> String {
    format!(
        "    if {} is distinct from {} then\n      v_changed := v_changed || jsonb_build_object({}, jsonb_build_array({}, {}));\n    end if;\n",
        plain(entity, "new", column),
        plain(entity, "old", column),
        quote(column),
        logged(masked, "old", column),
        logged(masked, "new", column),
    )
}

/// Repeated in each function, because a shared function that all of them call took 15 of the 110 microseconds that an
/// entry costs.
fn write(entity: &str) -> String {
    format!(
        "  insert into audit.audit_logs\n    (entity_type, entity_id, action, performed_by, performed_role, session_id, request_id, reason, changed)\n  values (\n    {}, coalesce(new.id, old.id),\n    case tg_op when 'INSERT' then 'create' else coalesce(sec.action(), lower(tg_op)) end,\n    sec.uid(), sec.performed_role(), sec.session(), sec.request(), sec.reason(), v_changed\n  );\n",
        quote(entity)
    )
}

/// Columns for which the log records that they changed, but not their values.
fn masked(entity: &Entity) -> Vec<String> {
    let fields = entity
        .fields
        .iter()
        .filter(|f| f.redact || f.read.is_some())
        .map(|f| f.name.clone());
    let relations = entity.belongs.iter().filter(|r| r.read.is_some());
    fields
        .chain(relations.flat_map(|r| r.type_column().into_iter().chain([r.id_column()])))
        .collect()
}

fn table(model: &Model, table: &str, doc: &str, columns: Vec<Column>, create: &str) -> Object {
    let create = format!(
        "{create}\ncomment on table {table} is {};\nalter table {table} owner to {};",
        quote(doc),
        Roles(&model.app).audit(),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(table, object(Kind::Table, table, create, drop))
    }
}

/// No primary key: ids come from the sequence only, and the seals count the rows. Columns of a fixed width come first.
fn logs(model: &Model) -> Object {
    let columns = vec![
        column("id", "bigint generated always as identity", true, None),
        column("tx", "xid8", true, Some("pg_current_xact_id()")),
        column("created_at", "timestamptz", true, Some("now()")),
        column("entity_type", "text", true, None),
        column("entity_id", "uuid", true, None),
        column("action", "text", true, None),
        column("performed_by", "uuid", false, None),
        column("performed_role", "text", true, None),
        column("session_id", "uuid", false, None),
        column("request_id", "uuid", false, None),
        column("reason", "text", false, None),
        column("changed", "jsonb", true, None),
    ];
    let create = tables::create_without_key("audit.audit_logs", &columns);
    table(
        model,
        "audit.audit_logs",
        "Every change: who, what, when and why. `changed` maps a column to [before, after], or to what it was made with.",
        columns,
        &create,
    )
}

fn seals(model: &Model) -> Object {
    let columns = vec![
        column("id", "bigint", true, None),
        column("ids", "int8multirange", true, None),
        column("row_count", "bigint", true, None),
        column("seen_id", "bigint", true, None),
        column("seen_tx", "xid8", true, None),
        column("closed_to", "bigint", true, None),
        column("prev", "bytea", false, None),
        column("hash", "bytea", true, None),
        column("created_at", "timestamptz", true, Some("now()")),
    ];
    let create = tables::create("audit.seals", &columns);
    table(
        model,
        "audit.seals",
        "Chained hashes over blocks of the log.",
        columns,
        &create,
    )
}

fn index(table: &str, name: &str, columns: &str) -> Object {
    let name = format!("{table}_{name}_idx");
    let table = format!("audit.{table}");
    let create = format!("create index {name}\n  on {table} {columns};");
    on_table(
        &table,
        object(
            Kind::Index,
            format!("audit.{name}"),
            create,
            format!("drop index audit.{name};"),
        ),
    )
}
