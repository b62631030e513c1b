//! The view that public searches use. It is no security barrier, so that indexes over places can be used.
//!
//! Under row-level security, PostgreSQL evaluates the policy before `@@`, `like` and `&&`, which prevents the use of
//! their indexes. The view contains the ids and places of rows that an anonymous caller may read. Words are stored in
//! separate documents, whose ids are looked up in this view.

use super::{
    names::{self, Roles},
    object::{index, object, on_table},
    predicate::{all, atom},
    rules::{Context, Scope},
    visible::visible,
};
use crate::model::{Entity, EntityId, Field, Lifecycle, Model, Ty};
use crate::objects::{Kind, Object};

pub fn objects(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    if !projected(entity) {
        return Vec::new();
    }
    let mut found = indexes(entity);
    found.push(view(model, id));
    found.extend(points(entity).filter_map(|field| beside(model, id, field)));
    found
}

/// Whether there is a view `app.<plural>_public`.
pub fn projected(entity: &Entity) -> bool {
    !entity.internal && (entity.fields.iter().any(|f| f.search) || points(entity).next().is_some())
}

fn points(entity: &Entity) -> impl Iterator<Item = &Field> {
    entity
        .fields
        .iter()
        .filter(|f| f.ty == Ty::Point && f.filter)
}

fn indexes(entity: &Entity) -> Vec<Object> {
    let table = names::table(entity);
    let active = if entity.lifecycle == Lifecycle::SoftDelete {
        " where status = 'active'"
    } else {
        ""
    };
    let mut found = Vec::new();
    for field in points(entity) {
        let name = names::index(entity, std::slice::from_ref(&field.name));
        found.push(index(
            &table,
            &name,
            false,
            &format!("using gist ({}){active}", field.name),
        ));
    }
    found
}

/// Rows without a place of their own, with the place of the related row. It is read through the index of that place,
/// so nothing is stored twice and nothing has to be updated when a venue moves or is hidden.
fn beside(model: &Model, id: EntityId, field: &Field) -> Option<Object> {
    let beside = field.beside.as_ref()?;
    let entity = &model.entities[id];
    let relation = entity.relation(&beside.relation)?;
    let target = *relation.targets.first()?;
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let name = names::beside(entity);
    let seen = |entity: EntityId, alias| Scope {
        entity,
        alias,
        context: Context::Anonymous,
    };
    let create = format!(
        "create view {name} with (security_barrier = false) as\n  select\n    t.id,\n    o.{} as {}\n  from {} o\n  \
         join {table} t on t.{} = o.id\n  where {};\n\
         comment on view {name} is 'Where everybody may find what has no place of its own.';\n\
         alter view {name} owner to {};\n\
         grant select on {name} to {};",
        beside.field,
        field.name,
        names::table(&model.entities[target]),
        relation.id_column(),
        all([
            atom(format!("t.{} is null", field.name)),
            visible(model, seen(id, "t")),
            visible(model, seen(target, "o")),
        ])
        .block(4),
        roles.authz(),
        roles.app(),
    );
    let drop = format!("drop view {name};");
    Some(on_table(&table, object(Kind::View, name, create, drop)))
}

fn view(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let name = names::projection(entity);
    let scope = Scope {
        entity: id,
        alias: "t",
        context: Context::Anonymous,
    };
    let mut columns = vec!["t.id".to_owned()];
    columns.extend(points(entity).map(|f| format!("t.{}", f.name)));
    let create = format!(
        "create view {name} with (security_barrier = false) as\n  select\n    {}\n  from {table} t\n  where {};\n\
         comment on view {name} is 'What everybody may search.';\n\
         alter view {name} owner to {};\n\
         grant select on {name} to {};",
        columns.join(",\n    "),
        visible(model, scope).block(4),
        roles.authz(),
        roles.app(),
    );
    on_table(
        &table,
        object(
            Kind::View,
            name.clone(),
            create,
            format!("drop view {name};"),
        ),
    )
}
