//! `creator`: who makes a row is given a role of it, in the same transaction.

use super::{
    context::{person, role_value, setting},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    rules::literal,
};
use crate::model::{EntityId, Expr, Model, Value};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let Some(role) = entity.creator.map(|r| &model.roles[r]) else {
        return Vec::new();
    };
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let assignments = &model.entities[model.assignments];
    let mut columns = vec![person(model, assignments).id_column(), "role".into()];
    let mut values = vec!["sec.uid()".to_owned(), quote(&role_value(model, role))];
    if let Some(scope) = assignments.relation("scope") {
        columns.extend(scope.type_column());
        values.extend(scope.type_column().map(|_| quote(&entity.name)));
        columns.push(scope.id_column());
        values.push("new.id".into());
    }
    // Who founds something has agreed to look after it.
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
    let announced = "begin\n  perform pg_catalog.set_config('app.created', new.id::text, true);\n  return new;\nend";
    let (before, after) = (
        format!("{table}_announce"),
        format!("{table}_grant_creator"),
    );
    vec![
        trigger_function(
            roles,
            &table,
            &before,
            None,
            "Lets the maker see the row in this transaction.",
            announced.into(),
        ),
        trigger_function(
            roles,
            &table,
            &after,
            Some(roles.authz()),
            "Gives the maker the role.",
            granted,
        ),
        trigger(
            &table,
            &format!("{}_announce", entity.plural),
            &format!("before insert on {table}\n  for each row execute function {before}()"),
        ),
        trigger(
            &table,
            &format!("{}_grant_creator", entity.plural),
            &format!("after insert on {table}\n  for each row execute function {after}()"),
        ),
    ]
}
