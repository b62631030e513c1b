//! `app.archived_<plural>(before, limit)`: archived rows that the caller may restore, newest first.
//!
//! A list of its own instead of a filter, because those who may read are not the same as those who may restore, and a
//! page must not require evaluating the policy for every archived row.

use super::{
    names::{self, Roles},
    object::{Function, index, on_table},
    predicate::{all, atom},
    rules::{Context, Scope, predicate},
};
use crate::emit::actions::Action;
use crate::model::{EntityId, Model};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let Some(rule) = Action::Restore.open(entity) else {
        return Vec::new();
    };
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Set,
    };
    let condition = all([
        atom("t.status = 'archived'"),
        atom("t.id < p_before"),
        predicate(model, scope, rule),
    ]);
    let function = Function {
        kind: Kind::TableFunction,
        name: &names::archived(entity),
        arguments: "p_before uuid, p_limit int",
        returns: "setof uuid",
        attributes: "language plpgsql stable parallel safe rows 100",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Archived rows that the caller may restore, newest first.",
        body: format!(
            "begin\n  return query\n  select t.id from {table} t\n  where {}\n  order by t.id desc\n  limit p_limit;\nend",
            condition.block(4)
        ),
    };
    vec![
        on_table(&table, function.object(roles)),
        // The index is empty as long as no row is archived.
        index(
            &table,
            &names::archived_index(entity),
            false,
            "(id) where status = 'archived'",
        ),
    ]
}
