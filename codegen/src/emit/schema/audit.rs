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
use crate::model::{Entity, EntityId, Lifecycle, Model};
use crate::objects::{Column, Kind, Object};

pub fn objects(model: &Model) -> Vec<Object> {
    let mut found = vec![logs(model), seals(model)];
    found.extend([
        index("audit_logs", "entity", "(entity_type, entity_id, id)"),
        index("audit_logs", "performed_by", "(performed_by, id)"),
        index("seals", "seen_id", "(seen_id)"),
    ]);
    found.extend(template::functions(
        include_str!("../sql/audit.sql"),
        &model.app,
        Kind::TableFunction,
    ));
    found
}

/// Writes down every change but those of derived columns.
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

/// Column by column: to turn both rows into JSON and compare those takes many times as long.
fn recorder(model: &Model, id: EntityId, function: &str) -> Object {
    let (entity, roles) = (&model.entities[id], Roles(&model.app));
    let masked = masked(entity);
    let steps: String = (written_columns(model, id).iter())
        .map(|column| {
            let value = |row: &str| match masked.contains(column) {
                true => format!("case when {row}.{column} is not null then '•' end"),
                false => format!("{row}.{column}"),
            };
            format!(
                "  if {} is distinct from {} then\n    v_changed := v_changed || jsonb_build_object({}, jsonb_build_array({}, {}));\n  end if;\n",
                plain(entity, "new", column),
                plain(entity, "old", column),
                quote(column),
                value("old"),
                value("new"),
            )
        })
        .collect();
    trigger_function(
        roles,
        &names::table(entity),
        function,
        Some(roles.audit()),
        "Of a row that is made, `old` is null in all columns.",
        format!(
            "declare\n  v_changed jsonb := '{{}}';\nbegin\n{steps}  perform audit.write({}, coalesce(new.id, old.id), tg_op, v_changed);\n  return null;\nend",
            quote(&entity.name)
        ),
    )
}

/// Columns of which the log says that they changed, not from what to what.
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

fn table(model: &Model, name: &str, doc: &str, columns: Vec<Column>) -> Object {
    let table = format!("audit.{name}");
    let create = format!(
        "{}\ncomment on table {table} is {};\nalter table {table} owner to {};",
        tables::create(&table, &columns),
        quote(doc),
        Roles(&model.app).audit(),
    );
    let drop = format!("drop table {table};");
    Object {
        columns,
        ..on_table(&table, object(Kind::Table, table.clone(), create, drop))
    }
}

fn logs(model: &Model) -> Object {
    let columns = vec![
        column("id", "bigint generated always as identity", true, None),
        column("entity_type", "text", true, None),
        column("entity_id", "uuid", true, None),
        column("action", "text", true, None),
        column("performed_by", "uuid", false, None),
        column("performed_role", "text", true, None),
        column("session_id", "uuid", false, None),
        column("request_id", "text", false, None),
        column("reason", "text", false, None),
        column("changed", "jsonb", true, None),
        column("tx", "xid8", true, Some("pg_current_xact_id()")),
        column("created_at", "timestamptz", true, Some("now()")),
    ];
    table(
        model,
        "audit_logs",
        "Every change: who, what, when and why. `changed` maps a column to [before, after].",
        columns,
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
    table(
        model,
        "seals",
        "Chained hashes over blocks of the log.",
        columns,
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
