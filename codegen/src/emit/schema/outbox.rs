//! The outbox: events that are stored in the transaction that causes them, and become jobs afterwards.
//!
//! `emit:` of an entity becomes one trigger per action, whose condition is what the action does to the row. So an
//! event is stored whoever performs the action, and also when the row is archived together with another.

use super::{
    audit::column,
    cases::changed,
    guards::written_columns,
    may::assigned,
    names::{self, Roles},
    object::{constraint, quote, quoted_list, trigger, trigger_function},
    queue::{index, table},
    template,
};
use crate::model::{Change, Entity, EntityId, Lifecycle, Model, Set};
use crate::objects::{Kind, Object};

pub fn shared(model: &Model) -> Vec<Object> {
    let events = vec![
        column("id", "uuid", true, Some("sec.uuid_v7()")),
        column("place", "bigint generated always as identity", true, None),
        column("event", "text", true, None),
        column("entity_type", "text", true, None),
        column("entity_id", "uuid", true, None),
        column("payload", "jsonb", true, Some("'{}'")),
        column("caused_by", "uuid", false, None),
        column("request_id", "uuid", false, None),
        column("created_at", "timestamptz", true, Some("now()")),
        column("relayed_at", "timestamptz", false, None),
    ];
    let subscriptions = vec![
        column("event", "text", true, None),
        column("job", "text", true, None),
        column("seen_at", "timestamptz", true, Some("now()")),
    ];
    let doc = "What happened, until it has been told to every consumer, and a week longer.";
    let mut found = vec![
        table(model, "events", "id", doc, events),
        table(
            model,
            "subscriptions",
            "event, job",
            "Which job consumes which event.",
            subscriptions,
        ),
        constraint(
            Kind::Constraint,
            "jobs.events",
            "events_payload_check",
            "check (jsonb_typeof(payload) = 'object' and octet_length(payload::text) <= 32768)",
        ),
        index(
            "jobs.events",
            "",
            "events_waiting_idx",
            "(place) where relayed_at is null",
        ),
        index(
            "jobs.events",
            "",
            "events_relayed_idx",
            "(relayed_at) where relayed_at is not null",
        ),
    ];
    found.extend(template::functions(
        include_str!("../sql/events.sql"),
        &model.app,
        Kind::TableFunction,
    ));
    found
}

pub fn triggers(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let table = names::table(entity);
    let emits = entity.emits.iter();
    let told = emits.map(|action| {
        let (events, when) = fires(model, id, action);
        let when = when.map_or(String::new(), |when| format!("\n  when ({when})"));
        let function = match action.as_str() {
            "update" => format!("{}()", update_function(entity)),
            _ => format!("jobs.emit({}, {})", quote(&entity.name), quote(action)),
        };
        let text = format!(
            "after {events} on {table}\n  for each row{when}\n  execute function {function}"
        );
        trigger(&table, &format!("{}_emit_{action}", entity.plural), &text)
    });
    let updates = entity.emits.iter().any(|action| action == "update");
    updates
        .then(|| tells_what(model, id))
        .into_iter()
        .chain(told)
        .collect()
}

/// The columns that `update` changes, without those that other actions change.
pub fn ordinary(model: &Model, id: EntityId) -> Vec<String> {
    let entity = &model.entities[id];
    let moved = |column: &String| {
        let mut transitions = entity.transitions.iter();
        transitions.any(|t| t.columns().any(|changed| changed == column))
    };
    let status = |column: &String| column == "status" && entity.lifecycle == Lifecycle::SoftDelete;
    let mut columns = written_columns(model, id);
    columns.retain(|column| !moved(column) && !status(column));
    columns
}

fn update_function(entity: &Entity) -> String {
    format!("jobs.emit_{}_update", entity.plural)
}

/// An update may change any columns. The event contains their names, but not their values.
fn tells_what(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let roles = Roles(&model.app);
    let columns = ordinary(model, id);
    let cases = columns.iter().map(|column| {
        let changed = changed(entity, std::slice::from_ref(column));
        format!("case when {} then {} end", changed.closed(), quote(column))
    });
    let body = format!(
        "begin\n  insert into jobs.events (event, entity_type, entity_id, payload, caused_by, request_id)\n  values (\n    {}, {}, new.id,\n    jsonb_build_object('changed', array_remove(array[\n      {}\n    ], null)),\n    sec.uid(), sec.request()\n  );\n  return null;\nend",
        quote(&format!("{}.update", entity.name)),
        quote(&entity.name),
        cases.collect::<Vec<_>>().join(",\n      "),
    );
    trigger_function(
        roles,
        &names::table(entity),
        &update_function(entity),
        Some(roles.queue()),
        "Puts an update into the outbox, with the names of the columns that it changed.",
        body,
    )
}

/// The statement and the condition by which an action is recognized.
fn fires(model: &Model, id: EntityId, action: &str) -> (String, Option<String>) {
    let entity = &model.entities[id];
    let status = |when: &str| ("update of status".to_owned(), Some(when.to_owned()));
    match action {
        "create" => ("insert".to_owned(), None),
        "archive" => status("old.status <> 'archived' and new.status = 'archived'"),
        "restore" => status("old.status = 'archived' and new.status <> 'archived'"),
        "suspend" => status("old.status = 'active' and new.status = 'suspended'"),
        "unsuspend" => status("old.status = 'suspended' and new.status = 'active'"),
        "update" => {
            let columns = ordinary(model, id);
            let when = changed(entity, &columns).closed();
            (format!("update of {}", columns.join(", ")), Some(when))
        }
        verb => transition(entity, verb),
    }
}

fn transition(entity: &Entity, verb: &str) -> (String, Option<String>) {
    let found = entity.transitions.iter().find(|t| t.name == verb);
    match &found.expect("resolved: it is a verb").change {
        Change::State { field, from, to } => (
            format!("update of {field}"),
            Some(format!(
                "old.{field} in ({}) and new.{field} = {}",
                quoted_list(from),
                quote(to)
            )),
        ),
        Change::Set(Set { column, value }) => {
            let value = assigned(value);
            (
                format!("update of {column}"),
                Some(format!(
                    "old.{column} is distinct from {value} and new.{column} is not distinct from {value}"
                )),
            )
        }
    }
}
