//! `creator`: the caller who creates a row is given a role of it, in the same transaction.

use super::{
    context::{person, setting},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    rules::literal,
};
use crate::model::{Entity, EntityId, Expr, Model, Value, implied};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let announce = announce(model, entity);
    let Some(role) = entity.creator.map(|r| &model.roles[r]) else {
        let unseen = entity.writable() && !implied::creator_reads(model, id);
        return if unseen { announce } else { Vec::new() };
    };
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let assignments = &model.entities[model.assignments];
    let mut columns = vec![person(model, assignments).id_column(), "role".into()];
    let mut values = vec!["sec.uid()".to_owned(), quote(&model.role_value(role))];
    if let Some(scope) = assignments.relation("scope") {
        columns.extend(scope.type_column());
        values.extend(scope.type_column().map(|_| quote(&entity.name)));
        columns.push(scope.id_column());
        values.push("new.id".into());
    }
    // The creator need not accept the role: creating the row counts as acceptance.
    if let Some(Expr::Compare {
        left: Value::Column(column),
        right: Value::Literal(value),
        ..
    }) = &model.counted
    {
        columns.push(column.clone());
        values.push(literal(value));
    }
    let granted = format!(
        "begin\n  if sec.uid() is null or sec.job() is not null then\n    return null;\n  end if;\n  \
         insert into {} ({})\n  values ({});\n  \
         perform pg_catalog.set_config({}, (sec.scopes_{}() || new.id)::text, true);\n  return null;\nend",
        names::table(assignments),
        columns.join(", "),
        values.join(", "),
        quote(&setting(role)),
        names::snake(&role.name),
    );
    let after = format!("{table}_grant_creator");
    let mut found = announce;
    found.extend([
        trigger_function(
            roles,
            &table,
            &after,
            Some(roles.authz()),
            "Gives the creator of a row the role.",
            granted,
        ),
        trigger(
            &table,
            &format!("{}_grant_creator", entity.plural),
            &format!("after insert on {table}\n  for each row execute function {after}()"),
        ),
    ]);
    found
}

/// Stores the id of the row that this transaction creates, for the policy that lets its creator read it, or for the
/// server if the creator may not read it back.
fn announce(model: &Model, entity: &Entity) -> Vec<Object> {
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_announce");
    let body = "begin\n  perform pg_catalog.set_config('app.created', new.id::text, true);\n  return new;\nend";
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            None,
            "Stores the id of the row that this transaction creates.",
            body.into(),
        ),
        trigger(
            &table,
            &format!("{}_announce", entity.plural),
            &format!("before insert on {table}\n  for each row execute function {function}()"),
        ),
    ]
}
