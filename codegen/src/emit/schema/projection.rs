//! What everybody may search: a view that is no security barrier, so that text and place indexes are used.
//!
//! Under row-level security PostgreSQL evaluates the policy before `@@`, `ilike` and `&&`, which rules their
//! indexes out. The view shows rows that a caller who is not signed in may read, and nothing but the columns
//! that are searched.

use super::{
    names::{self, Roles},
    object::{index, object, on_table},
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

/// All searched fields in one text. In an index and in the view: both must say the same.
fn text(entity: &Entity, alias: &str) -> Option<String> {
    let columns: Vec<String> = (entity.fields.iter().filter(|f| f.search))
        .map(|f| {
            if f.optional {
                format!("coalesce({alias}{}, '')", f.name)
            } else {
                format!("{alias}{}", f.name)
            }
        })
        .collect();
    (!columns.is_empty()).then(|| columns.join(" || ' ' || "))
}

/// No stemming: the texts are in many languages.
fn vector(text: &str) -> String {
    format!("to_tsvector('simple'::regconfig, {text})")
}

fn indexes(entity: &Entity) -> Vec<Object> {
    let table = names::table(entity);
    let active = if entity.lifecycle == Lifecycle::SoftDelete {
        " where status = 'active'"
    } else {
        ""
    };
    let mut found = Vec::new();
    if let Some(text) = text(entity, "") {
        let name = |what: &str| names::fit(format!("{}_{what}_idx", entity.plural));
        found.push(index(
            &table,
            &name("search"),
            false,
            &format!("using gin (({})){active}", vector(&text)),
        ));
        found.push(index(
            &table,
            &name("search_text"),
            false,
            &format!("using gin (({text}) gin_trgm_ops){active}"),
        ));
    }
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
    if let Some(text) = text(entity, "t.") {
        columns.push(format!("{} as search", vector(&text)));
        columns.push(format!("{text} as search_text"));
    }
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
