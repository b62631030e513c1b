//! Offers of roles must still be valid when they are accepted: the giver must still be allowed to give the role.
//!
//! Where roles have to be accepted (`assignments: … where …`), time passes between giving and holding a role.
//! Meanwhile the giver may have lost their own role or their account.

use super::{
    context::{counted, person},
    names::{self, Roles},
    object::{quote, trigger, trigger_function},
    rules::{Context, Scope, optional},
};
use crate::model::{Entity, EntityId, Lifecycle, Model, Relation};
use crate::objects::Object;

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let Some(giver) = giver(model, id) else {
        return Vec::new();
    };
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let function = format!("{table}_{}_still_may", giver.name);
    let becomes = |row: &str| counted(model, row).trim_start_matches(" and ").to_owned();
    let when = format!(
        "before update on {table}\n  for each row when (({}) and ({}) is not true)\n  execute function {function}()",
        becomes("new"),
        becomes("old"),
    );
    vec![
        trigger_function(
            roles,
            &table,
            &function,
            Some(roles.authz()),
            "Checks that the member who offered a role may still give it when it is accepted.",
            body(model, entity, giver),
        ),
        trigger(&table, &format!("{}_still_may", entity.plural), &when),
    ]
}

/// The relation to the giver of a role: the caller of `create`, other than the holder. `None` where roles need no
/// consent.
pub fn giver(model: &Model, id: EntityId) -> Option<&Relation> {
    let entity = &model.entities[id];
    if id != model.assignments || model.counted.is_none() || entity.access.create.is_none() {
        return None;
    }
    let holder = person(model, entity);
    (entity.belongs.iter()).find(|relation| {
        relation.set_me && relation.name != holder.name && relation.targets == [model.identity]
    })
}

/// Evaluates the rule of `create` as if the giver were the caller, by changing the settings of the transaction for one
/// statement.
fn body(model: &Model, entity: &Entity, giver: &Relation) -> String {
    let scope = Scope {
        entity: model.assignments,
        alias: "new",
        context: Context::Definer,
    };
    let may = optional(model, scope, entity.access.create.as_ref());
    let (identity, column) = (&model.entities[model.identity], giver.id_column());
    let active = match identity.lifecycle {
        Lifecycle::SoftDelete => " and u.status = 'active'",
        _ => "",
    };
    format!(
        "declare\n  v_me constant uuid := sec.uid();\n  v_may boolean;\nbegin\n  \
         -- The command line and modules have no caller, and check for themselves.\n  if v_me is null then\n    return new;\n  end if;\n  \
         perform pg_catalog.set_config('app.user_id', coalesce(new.{column}::text, ''), true), sec.hold(new.{column}, 'create');\n  \
         select exists (select from {} u where u.id = new.{column}{active}) and (\n    {}\n  ) into v_may;\n  \
         perform pg_catalog.set_config('app.user_id', v_me::text, true), sec.hold(v_me, coalesce(sec.action(), ''));\n  \
         if v_may is not true then\n    raise exception 'the giver may not' using errcode = '23514', constraint = {};\n  end if;\n  return new;\nend",
        names::table(identity),
        may.block(4),
        quote(&names::still_may(entity)),
    )
}
