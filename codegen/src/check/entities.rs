//! Keys of an entity that contradict each other or have no effect, derived values, and names of constraints.

use super::{Of, lists, walk, wrong};
use crate::emit::schema::{reader, told_by_update};
use crate::model::{DerivedKind, Hook, Lifecycle, Relation, open};
use crate::names;
use crate::resolve::Part;

pub fn check(of: &Of) {
    internal(of);
    page(of);
    quota(of);
    audit(of);
    wal(of);
    hooks(of);
    emits(of);
    creator(of);
    derived(of);
    has(of);
    lists::check(of);
    keep(of);
    constraint_names(of);
    former_name(of);
}

fn internal(of: &Of) {
    if of.entity.internal
        && of.entity.module.is_none()
        && of.id != of.cx.model.assignments
        && !of.written_by_module()
    {
        of.refuse(
            Part::Key,
            "internal",
            format!("nothing can write `{}`", of.entity.name),
            "name it under `write:` of a module in app.yaml, or give it `module:`",
        );
    }
}

fn page(of: &Of) {
    if of.entity.internal && of.cx.places.find(of.id, Part::Key, "page").is_some() {
        of.refuse(
            Part::Key,
            "page",
            "`page` has no effect: an internal entity has no list",
            "leave the key out",
        );
    }
}

fn quota(of: &Of) {
    if of.entity.quota.is_some() && !of.creatable() {
        of.refuse(
            Part::Key,
            "quota",
            "`quota` has no effect: no request creates a row",
            "grant `create` under `access:`, or leave the key out",
        );
    }
}

fn audit(of: &Of) {
    let by_module = of.entity.internal || of.entity.module.is_some();
    if !of.entity.audit && !by_module {
        of.refuse(
            Part::Key,
            "audit",
            format!("writes of `{}` must be audited", of.entity.name),
            "`audit: off` is only for entities that no request writes: `internal` ones, and those of a module",
        );
    }
}

fn wal(of: &Of) {
    if of.entity.wal {
        return;
    }
    let (model, name) = (of.cx.model, &of.entity.name);
    let holds_rights = of.id == model.assignments || model.sessions == Some(of.id);
    if !of.entity.internal || of.entity.audit || holds_rights {
        return of.refuse(
            Part::Key,
            "wal",
            format!("rows of `{name}` must outlive a crash"),
            "`wal: off` is only for `internal` entities with `audit: off` whose rows can be made again",
        );
    }
    if let Some((by, how, instead)) = outlives(of) {
        of.refuse(
            Part::Key,
            "wal",
            format!("a crash would empty `{name}`, and {by} {how}"),
            format!("leave `wal: off` out, or {instead}"),
        );
    }
}

/// Finds an entity or counter whose rows survive a crash (`wal`) although it depends on rows of this entity, which
/// don't: PostgreSQL refuses foreign keys from logged tables to unlogged ones, and nothing would correct the counters
/// after a crash. Returns its name, how it depends on the rows, and what to change in the spec.
fn outlives(of: &Of) -> Option<(String, String, String)> {
    let model = of.cx.model;
    let counts = |kind: &DerivedKind| match kind {
        DerivedKind::Count { has, .. }
        | DerivedKind::Sum { has, .. }
        | DerivedKind::Avg { has, .. } => Some(*has),
        DerivedKind::Flag { .. } => None,
    };
    for other in model.entities.iter().filter(|e| e.wal) {
        let by = format!("`{}`", other.name);
        let refers = |r: &&Relation| r.targets.contains(&of.id);
        if let Some(relation) = other.belongs.iter().find(refers) {
            let how = format!("refers to it (`{}`)", relation.name);
            let instead = format!(
                "write `wal: off` in {by} as well, or `{}: uuid` there",
                relation.name
            );
            return Some((by, how, instead));
        }
        let counted = (other.derived.iter())
            .find(|d| counts(&d.kind).is_some_and(|has| other.has[has].child == of.id));
        if let Some(derived) = counted {
            let how = format!("would go on counting its rows (`{}`)", derived.name);
            return Some((by, how, format!("remove `{}`", derived.name)));
        }
    }
    let kept = of
        .entity
        .derived
        .iter()
        .find(|d| counts(&d.kind).is_some())?;
    let by = format!("its counter `{}`", kept.name);
    Some((by, "would stay".into(), format!("remove `{}`", kept.name)))
}

fn hooks(of: &Of) {
    let access = &of.entity.access;
    for hook in &of.entity.hooks {
        let (name, possible) = match hook {
            Hook::Create => ("create", of.creatable()),
            Hook::Update => ("update", of.updatable()),
            Hook::Archive => ("archive", of.entity.writable() && access.delete.is_some()),
            Hook::Restore => ("restore", of.entity.writable() && access.restore.is_some()),
            Hook::Transition(_) => continue,
        };
        if !possible {
            // Whoever may delete may restore, unless the spec says otherwise.
            let action = match name {
                "archive" | "restore" => "delete",
                other => other,
            };
            of.refuse(
                Part::Hook,
                name,
                format!("the hook `{name}` would never be called"),
                format!("grant `{action}` under `access:`, or remove the hook"),
            );
        }
    }
}

fn emits(of: &Of) {
    for action in &of.entity.emits {
        let (possible, needs) = match (action.as_str(), of.entity.lifecycle) {
            ("update", lifecycle) => (
                lifecycle != Lifecycle::AppendOnly
                    && !told_by_update(of.cx.model, of.id).is_empty(),
                "is never updated",
            ),
            ("archive" | "restore" | "suspend" | "unsuspend", lifecycle) => {
                (lifecycle == Lifecycle::SoftDelete, "has no status")
            }
            _ => continue,
        };
        if !possible {
            of.refuse(
                Part::Emit,
                action,
                format!(
                    "`{action}` would never be told: `{}` {needs}",
                    of.entity.name
                ),
                "leave it out, or choose another `lifecycle`",
            );
        }
    }
}

fn creator(of: &Of) {
    let Some(role) = of.entity.creator else {
        return;
    };
    let role = &of.cx.model.roles[role];
    if !role.scopes.contains(&of.id) {
        let scopes: Vec<&str> = role
            .scopes
            .iter()
            .map(|s| of.cx.model.entities[*s].name.as_str())
            .collect();
        let held = if scopes.is_empty() {
            "everywhere".to_owned()
        } else {
            format!("of {}", names::quoted(&scopes))
        };
        of.refuse(
            Part::Key,
            "creator",
            format!("`{}` is never held of `{}`", role.name, of.entity.name),
            format!(
                "it is held {held}; extend it in app.yaml: `{}: of … | {}`",
                role.name, of.entity.name
            ),
        );
    } else if (of.entity.access.create.as_ref())
        .is_some_and(|create| open::to_anyone(of.cx.model, of.id, create))
    {
        of.refuse(
            Part::Key,
            "creator",
            format!(
                "who creates without signing in can't be given `{}`",
                role.name
            ),
            "write `create: signed_in` (or more), or leave the key out",
        );
    } else if !of.creatable() {
        of.refuse(
            Part::Key,
            "creator",
            "`creator` has no effect: nobody may create",
            "grant `create`, or leave the key out",
        );
    }
}

fn derived(of: &Of) {
    for derived in &of.entity.derived {
        let words = [(derived.sort, "sort"), (derived.filter, "filter")];
        let found = match (&derived.kind, words.into_iter().find(|(given, _)| *given)) {
            (_, Some((_, word))) if of.entity.internal => wrong(
                word,
                format!("`{word}` has no effect: an internal entity has no list"),
                format!("remove `{word}`"),
            ),
            (_, Some(_)) if derived.filter && super::fields::is_parameter(&derived.name) => wrong(
                "filter",
                format!(
                    "`{0}` can't be filtered by: `?{0}=` means something else in every list",
                    derived.name
                ),
                "choose another name, or remove `filter`",
            ),
            (DerivedKind::Flag { .. }, Some((_, "sort"))) => wrong(
                "sort",
                format!("`{}` can't be sorted by", derived.name),
                "write `filter` instead",
            ),
            (DerivedKind::Avg { .. }, Some((_, "sort"))) => wrong(
                "sort",
                format!(
                    "`{}` can't be sorted by: it is null while there is nothing to average",
                    derived.name
                ),
                "remove `sort`",
            ),
            (DerivedKind::Flag { .. }, _) if derived.delta => wrong(
                "delta",
                format!(
                    "`{}` is computed when it is read: `delta` has no effect",
                    derived.name
                ),
                "remove `delta`",
            ),
            _ if derived.delta => reader(of.cx.model, of.id, &derived.name).and_then(|what| {
                wrong(
                    "delta",
                    format!(
                        "{what} reads `{}`, which is a second behind with `delta`",
                        derived.name
                    ),
                    "remove `delta`: without it the value is exact at every moment",
                )
            }),
            _ => None,
        };
        if let Some(wrong) = found {
            of.refuse_modifier(Part::Derived, &derived.name, wrong);
        }
    }
}

/// A `has` must be used by a list route, a derived value or a rule; otherwise it has no effect.
fn has(of: &Of) {
    let used = walk::used_has(of.entity);
    for (index, has) in of.entity.has.iter().enumerate() {
        let model = of.cx.model;
        let routed = !of.entity.internal && model.is_listed(has);
        if routed || used.contains(&index) {
            continue;
        }
        let child = &model.entities[has.child];
        if child
            .relation(&has.via)
            .is_some_and(|via| via.read.is_some())
        {
            of.refuse(
                Part::Has,
                &has.name,
                format!(
                    "nothing uses `{}`, and there is no list of it: it would tell what the `read` rule of `{}` in `{}` hides",
                    has.name, has.via, child.name
                ),
                format!("remove it, or the `read` rule of `{}`", has.via),
            );
        } else {
            of.refuse(
                Part::Has,
                &has.name,
                format!(
                    "nothing uses `{}`, and there is no list of it: one side is internal",
                    has.name
                ),
                "use it in a derived value or a rule, or remove it",
            );
        }
    }
}

/// PostgreSQL truncates longer names, and two truncated names may be equal.
const TOO_LONG: &str = "PostgreSQL's names have 63 letters at most; choose shorter names";

/// `keep` has no effect on entities whose rows are never archived.
fn keep(of: &Of) {
    if of.entity.lifecycle == Lifecycle::SoftDelete {
        return;
    }
    for keep in &of.entity.keeps {
        of.refuse(
            Part::Keep,
            &keep.name,
            format!(
                "rows of `{}` are never archived, so none has to be kept",
                of.entity.name
            ),
            "leave `keep` out, or make the entity `lifecycle: soft_delete`",
        );
    }
}

fn constraint_names(of: &Of) {
    let table = &of.entity.plural;
    let refuse = |part, name: &str, message: String| of.refuse(part, name, message, TOO_LONG);
    let too_long = |column: &str| !names::fits_constraint(table, column);
    for name in of.entity.fields.iter().map(|field| &field.name) {
        if too_long(name) {
            let message = format!("`{table}_{name}_…` is too long for a constraint");
            refuse(Part::Field, name, message);
        }
    }
    for relation in &of.entity.belongs {
        if too_long(&longest_column(of, relation)) {
            let name = &relation.name;
            let message =
                format!("the columns of `{name}` leave no room for the names of their constraints");
            refuse(Part::Relation, name, message);
        }
    }
    for name in of.entity.checks.iter().map(|check| &check.name) {
        if too_long(name) {
            let message = format!("`{table}_{name}_check` is too long for a constraint");
            refuse(Part::Check, name, message);
        }
    }
    for name in of.entity.keeps.iter().map(|keep| &keep.name) {
        if too_long(name) {
            let message = format!("`{table}_{name}_keep` is too long for a constraint");
            refuse(Part::Keep, name, message);
        }
    }
    for (part, lists) in [
        (Part::Unique, &of.entity.unique),
        (Part::Index, &of.entity.index),
    ] {
        for columns in lists {
            if !names::fits_index(table, columns) {
                let joined = columns.join("_");
                let message = format!("`{table}_{joined}_key` is too long for an index");
                refuse(part, &columns.join(","), message);
            }
        }
    }
}

/// A name as long as the longest column of the relation. A `one of` has a column for each target.
fn longest_column(of: &Of, relation: &Relation) -> String {
    let targets = if relation.polymorphic {
        relation.targets.as_slice()
    } else {
        &[]
    };
    let longest = targets
        .iter()
        .map(|t| of.cx.model.entities[*t].name.len() + 1)
        .max()
        .unwrap_or(0);
    "x".repeat(longest + relation.name.len() + "_id".len())
}

fn former_name(of: &Of) {
    if of.entity.lifecycle != Lifecycle::AppendOnly
        && of.entity.was.as_deref() == Some(of.entity.name.as_str())
    {
        of.refuse(
            Part::Entity,
            "",
            "`was` says the name it has now",
            "write the former name, or leave the key out",
        );
    }
}
