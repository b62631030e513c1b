//! `moves`: a unique value that goes to the newest row. The row that had the value before loses it silently.
//!
//! A phone that is handed on keeps its push token: refusing the new owner would leave it with the former one, and
//! would tell that the token is known.

use super::{
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
};
use crate::model::{EntityId, Model};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let moving = entity.fields.iter().filter(|field| field.moves);
    moving
        .flat_map(|field| {
            let name = &field.name;
            let function = format!("{table}_move_{name}");
            // Two transactions that bring the same value at the same time are serialized.
            let body = format!(
                "begin\n  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({} || new.{name}::text, 0));\n  \
                 update {table} set status = 'archived'\n    \
                 where {name} = new.{name} and id <> new.id and status <> 'archived';\n  return new;\nend",
                quote(&format!("{}.{name} ", entity.plural)),
            );
            let when = format!(
                "before insert or update of {name} on {table}\n  \
                 for each row when (new.{name} is not null and new.status <> 'archived')\n  \
                 execute function {function}()"
            );
            [
                trigger_function(
                    roles,
                    &table,
                    &function,
                    Some(roles.counter()),
                    "The newest row gets the value; the row that had it is archived.",
                    body,
                ),
                trigger(&table, &format!("{}_move_{name}", entity.plural), &when),
            ]
        })
        .collect()
}
