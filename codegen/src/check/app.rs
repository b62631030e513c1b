//! Requirements of the entities that app.yaml names for a purpose, and entries of app.yaml that nothing uses.

use super::Cx;
use crate::diag::Span;
use crate::model::{Change, Entity, EntityId, Expr, Lifecycle, Literal, Ty, Value};
use crate::names;
use crate::resolve::{Part, consent};

pub fn check(cx: &Cx) {
    assignments(cx);
    sessions(cx);
    unused_objects(cx);
    identity(cx);
    written_columns(cx);
}

fn identity(cx: &Cx) {
    let entity = &cx.model.entities[cx.model.identity];
    if entity.internal {
        cx.refuse(
            cx.places.of_app("identity"),
            format!("`{}` is internal", entity.name),
            "people sign in as an entity that has routes",
        );
    }
}

/// `me holds` reads the user, role and scope of an assignment, so the entity must have them.
fn assignments(cx: &Cx) {
    let id = cx.model.assignments;
    let entity = &cx.model.entities[id];
    let place = cx.places.of(id, Part::Entity, "");
    needs_holder(cx, id, entity, "who holds the role");
    counted(cx, id, entity);
    assigned_roles(cx, id, entity, place);
    assigned_scopes(cx, id, entity, place);
}

/// If roles have to be accepted, only the member who receives a role may accept it.
fn counted(cx: &Cx, id: EntityId, entity: &Entity) {
    let Some(Expr::Compare {
        left: Value::Column(name),
        right: Value::Literal(Literal::Text(counted)),
        ..
    }) = &cx.model.counted
    else {
        return;
    };
    let field = entity.field(name);
    let is_state = field.is_some_and(|f| matches!(f.ty, Ty::States { .. }));
    let begins = field.is_some_and(|f| f.default == Some(Literal::Text(counted.clone())));
    if !is_state || begins {
        let message = if is_state {
            format!("every assignment begins as `{counted}`: nobody is asked")
        } else {
            format!("whoever gives a role would write `{name}` themselves")
        };
        let states = format!("{name}: states(offered, {counted}) = offered");
        cx.refuse(
            cx.places.of_app("counted"),
            message,
            format!("make it `{states}`, with a transition by the holder"),
        );
        return;
    }
    let holder = cx.model.holder(entity);
    let holder = entity.belongs.iter().position(|r| Some(r) == holder);
    for transition in &entity.transitions {
        let Change::State { to, .. } = &transition.change else {
            continue;
        };
        let theirs = holder.is_none_or(|h| consent::only_for(entity, &transition.by, h));
        if to == counted && !theirs {
            let who = holder.map_or("", |h| entity.belongs[h].name.as_str());
            cx.refuse(
                cx.places.of(id, Part::Transition, &transition.name),
                format!(
                    "`{}` makes a role count without asking its holder",
                    transition.name
                ),
                format!("write `by me is {who}`, perhaps `and …`"),
            );
        }
    }
}

/// The values of the field `role` must be the roles of app.yaml.
fn assigned_roles(cx: &Cx, id: EntityId, entity: &Entity, place: Span) {
    let roles: Vec<&str> = cx.model.roles.iter().map(|r| r.name.as_str()).collect();
    match entity.field("role").map(|f| &f.ty) {
        Some(Ty::Enum { values }) => {
            let place = cx.places.of(id, Part::Field, "role");
            for value in values.iter().filter(|v| !roles.contains(&v.as_str())) {
                cx.refuse(
                    place,
                    format!("`{value}` is no role of app.yaml"),
                    names::suggest(value, roles.iter().copied(), "roles"),
                );
            }
            let missing: Vec<&&str> = roles
                .iter()
                .filter(|r| !values.iter().any(|v| v == **r))
                .collect();
            if !missing.is_empty() {
                cx.refuse(
                    place,
                    format!("nobody could hold {}", names::quoted(&missing)),
                    "add the roles to the `enum`",
                );
            }
        }
        _ => cx.refuse(
            place,
            "assignments need an enum field `role`",
            format!("add `role: enum({})`", roles.join(", ")),
        ),
    }
}

/// The relation `scope` must refer to the entities that roles are held of.
fn assigned_scopes(cx: &Cx, id: EntityId, entity: &Entity, place: Span) {
    let model = cx.model;
    let mut scopes: Vec<EntityId> = model.roles.iter().flat_map(|r| r.scopes.clone()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return;
    }
    let wanted: Vec<&str> = scopes
        .iter()
        .map(|s| model.entities[*s].name.as_str())
        .collect();
    let help = format!("add `scope: one of {}`", wanted.join(" | "));
    let Some(scope) = entity.relation("scope") else {
        cx.refuse(place, "assignments need a relation `scope`", help);
        return;
    };
    let place = cx.places.of(id, Part::Relation, "scope");
    let mut targets = scope.targets.clone();
    targets.sort_unstable();
    if !scope.polymorphic || targets != scopes {
        cx.refuse(
            place,
            "`scope` does not lead to what the roles are held of",
            help,
        );
    } else if !scope.optional && model.roles.iter().any(|r| r.scopes.is_empty()) {
        cx.refuse(
            place,
            "a role that is held everywhere has no scope",
            "make `scope` optional with `?`",
        );
    }
}

fn sessions(cx: &Cx) {
    let Some(id) = cx.model.sessions else { return };
    let entity = &cx.model.entities[id];
    needs_holder(cx, id, entity, "who is signed in");
    if !entity
        .field("revoked_at")
        .is_some_and(|f| f.ty == Ty::Time && f.optional)
    {
        cx.refuse(
            cx.places.of(id, Part::Entity, ""),
            "sessions need `revoked_at`",
            "add `revoked_at: time?`",
        );
    }
}

fn needs_holder(cx: &Cx, id: EntityId, entity: &Entity, what: &str) {
    let identity = &cx.model.entities[cx.model.identity].name;
    if cx.model.holder(entity).is_none() {
        cx.refuse(
            cx.places.of(id, Part::Entity, ""),
            format!("`{}` does not say {what}", entity.name),
            format!("add `{identity}: {identity}` under `belongs:`"),
        );
    }
}

/// The columns that modules write must exist, and modules must be allowed to write them.
fn written_columns(cx: &Cx) {
    for module in &cx.model.modules {
        for narrowed in &module.narrowed {
            let entity = &cx.model.entities[narrowed.entity];
            let key = format!("modules.{}.write.{}", module.name, entity.name);
            let place = |name: &str| cx.places.of_app(&format!("{key}.{name}"));
            if entity.lifecycle == Lifecycle::AppendOnly && !narrowed.update.is_empty() {
                cx.refuse(
                    place(&narrowed.update[0]),
                    format!("`{}` is append_only: rows never change", entity.name),
                    "write `{create: […]}`",
                );
            }
            for name in narrowed.create.iter().flatten().chain(&narrowed.update) {
                let soft = entity.lifecycle == Lifecycle::SoftDelete && name == "status";
                if soft || entity.field(name).is_some() || entity.relation(name).is_some() {
                    continue;
                }
                let (message, help) = match entity.derived.iter().any(|d| d.name == *name) {
                    true => (
                        format!("`{name}` is computed"),
                        "leave it out: the database keeps it".to_owned(),
                    ),
                    false => {
                        let fields = entity.fields.iter().map(|f| f.name.as_str());
                        let relations = entity.belongs.iter().map(|r| r.name.as_str());
                        (
                            format!("`{}` has no field `{name}`", entity.name),
                            names::suggest(name, fields.chain(relations), "fields"),
                        )
                    }
                };
                cx.refuse(place(name), message, help);
            }
            for needed in narrowed
                .create
                .iter()
                .flat_map(|made| missing(entity, made))
            {
                cx.refuse(
                    cx.places.of_app(&key),
                    format!("a new row of `{}` needs `{needed}`", entity.name),
                    "add it to `create:`",
                );
            }
        }
    }
}

/// Required fields and relations that a new row needs and that `made` does not contain.
fn missing<'e>(entity: &'e Entity, made: &[String]) -> Vec<&'e str> {
    let fields = entity.fields.iter().filter(|f| {
        let is_made = matches!(f.ty, Ty::Slug { .. });
        !f.optional && f.default.is_none() && !is_made
    });
    let relations = entity.belongs.iter().filter(|r| !r.optional);
    fields
        .map(|f| f.name.as_str())
        .chain(relations.map(|r| r.name.as_str()))
        .filter(|name| !made.iter().any(|m| m == name))
        .collect()
}

fn unused_objects(cx: &Cx) {
    for (index, object) in cx.model.objects.iter().enumerate() {
        let used = cx
            .model
            .entities
            .iter()
            .flat_map(|e| &e.fields)
            .any(|f| f.ty == Ty::Object { object: index });
        if !used {
            cx.refuse(
                cx.places.of_app(&format!("objects.{}", object.name)),
                format!("no field is an `object {}`", object.name),
                "use it, or remove it",
            );
        }
    }
}
