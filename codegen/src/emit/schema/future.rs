//! `future`: bodies may only give a time that is later than now.
//!
//! No CHECK constraint, because a value becomes past by itself: a restored dump, or a change of another column, would
//! be refused. Triggers compare only what a statement of a request writes. They fire after the row has passed the
//! policies and the checks, so that a caller who may not write it at all is told of that instead. The condition is in
//! the trigger itself, so a row that fulfils it costs no call of a function.

use super::{
    names::{self, Roles},
    object::{Function, quote, trigger},
};
use crate::model::{Entity, EntityId, Field, Future, Model, Ty};
use crate::objects::{Kind, Object};

/// The function that all these triggers call. `None` if no field is declared `future`.
pub fn shared(model: &Model) -> Option<Object> {
    let mut fields = model.entities.iter().flat_map(|entity| &entity.fields);
    fields.any(|field| field.future.is_some()).then(|| {
        Function {
            kind: Kind::Function,
            name: "sec.refuse_past",
            arguments: "",
            returns: "trigger",
            attributes: "language plpgsql set search_path = pg_catalog, pg_temp",
            definer: None,
            callers: Vec::new(),
            doc: "Refuses a row because of a time that is not in the future. The argument names the rule in the error.",
            body: "begin\n  raise exception 'not in the future' using errcode = 'check_violation',\n    \
                   schema = tg_table_schema, table = tg_table_name, constraint = tg_argv[0];\nend"
                .to_owned(),
        }
        .object(Roles(&model.app))
    })
}

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if !entity.writable() {
        return Vec::new();
    }
    let fields = entity.fields.iter();
    fields
        .filter_map(|field| Some((field, field.future?)))
        .flat_map(|(field, future)| of_field(model, entity, field, future))
        .collect()
}

fn of_field(model: &Model, entity: &Entity, field: &Field, future: Future) -> Vec<Object> {
    let (table, name) = (names::table(entity), names::future(entity, &field.name));
    let past = past(field);
    let made = |of: &str, event: &str, changed: &str| {
        let when = format!(
            "after {event} on {table}\n  for each row when (current_user = {}{changed} and {past})\n  \
             execute function sec.refuse_past({})",
            quote(&Roles(&model.app).app()),
            quote(&name),
        );
        trigger(&table, of, &when)
    };
    let mut found = vec![made(
        &names::future_when_created(entity, &field.name),
        "insert",
        "",
    )];
    let is_changed = entity.access.update.is_some() && !field.fixed;
    if future == Future::Always && is_changed {
        found.push(made(
            &name,
            &format!("update of {}", field.name),
            &format!(" and new.{0} is distinct from old.{0}", field.name),
        ));
    }
    found
}

/// Whether the new value is not later than now. A date is a day of universal time.
fn past(field: &Field) -> String {
    match field.ty {
        Ty::Date => format!("new.{} <= (now() at time zone 'UTC')::date", field.name),
        _ => format!("new.{} <= now()", field.name),
    }
}
