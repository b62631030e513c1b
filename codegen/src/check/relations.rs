//! Modifiers of relations that contradict their targets, each other, or have no effect.

use super::{Of, Wrong, wrong};
use crate::emit::schema::deletable;
use crate::model::{EntityId, Lifecycle, OnArchive, OnEnd, Relation, Ty, open};
use crate::resolve::Part;

pub fn check(of: &Of) {
    for relation in &of.entity.belongs {
        // Only the first mistake of a relation is reported, because others often follow from it.
        if let Some(wrong) = RULES.iter().find_map(|rule| rule(of, relation)) {
            of.refuse_modifier(Part::Relation, &relation.name, wrong);
        }
    }
}

type Verdict = Option<Wrong>;

const RULES: [fn(&Of, &Relation) -> Verdict; 14] = [
    same_is_on_both_sides,
    detach_needs_optional,
    cascade_can_archive,
    archive_can_happen,
    always_has_an_effect,
    end_can_happen,
    set_session_is_a_session,
    set_me_is_the_caller,
    set_me_needs_a_caller,
    system_is_filled,
    system_is_written,
    target_is_seen,
    movable_has_an_effect,
    filter_has_an_effect,
];

fn same_is_on_both_sides(of: &Of, relation: &Relation) -> Verdict {
    for same in &relation.same {
        let here = of.entity.relation(same)?;
        if *same == relation.name || here.polymorphic {
            return wrong(
                "same",
                format!("`same {same}` compares nothing"),
                "name another relation, one that leads to one entity",
            );
        }
        let there = relation.targets.iter().map(|t| &of.cx.model.entities[*t]);
        if !there.clone().any(|target| {
            target
                .relation(same)
                .is_some_and(|r| !r.polymorphic && r.targets == here.targets)
        }) {
            let targets: Vec<String> = there.map(|t| format!("`{}`", t.name)).collect();
            return wrong(
                "same",
                format!(
                    "{} has no relation `{same}` to compare with",
                    targets.join(" or ")
                ),
                format!("add `{same}` there, or remove `same {same}`"),
            );
        }
    }
    None
}

fn detach_needs_optional(_: &Of, relation: &Relation) -> Verdict {
    if relation.on_archive == OnArchive::Detach && !relation.optional {
        return wrong(
            "on archive",
            "`on archive detach` empties the relation, but it is required",
            "add `?` after the target, or write `on archive restrict` or `cascade`",
        );
    }
    None
}

fn cascade_can_archive(of: &Of, relation: &Relation) -> Verdict {
    match (relation.on_archive, of.entity.lifecycle) {
        (
            OnArchive::Cascade | OnArchive::CascadeAlways,
            Lifecycle::Mutable | Lifecycle::AppendOnly,
        ) => wrong(
            "on archive",
            "`on archive cascade` archives the row, but rows of this entity can't be archived",
            "write `on archive restrict`, or remove `lifecycle`",
        ),
        (OnArchive::Detach, Lifecycle::AppendOnly) => wrong(
            "on archive",
            "`on archive detach` changes the row, but rows of this entity never change",
            "write `on archive restrict`",
        ),
        _ => None,
    }
}

fn archive_can_happen(of: &Of, relation: &Relation) -> Verdict {
    let can = relation
        .targets
        .iter()
        .any(|t| of.cx.model.entities[*t].lifecycle == Lifecycle::SoftDelete);
    if relation.on_archive != OnArchive::Restrict && !can {
        return wrong(
            "on archive",
            "`on archive` has no effect: the target is never archived",
            "remove it",
        );
    }
    None
}

fn always_has_an_effect(of: &Of, relation: &Relation) -> Verdict {
    if relation.on_archive == OnArchive::CascadeAlways && deletable(of.cx.model, of.id).is_none() {
        return wrong(
            "on archive",
            "`always` has no effect: `delete` says nothing of the state of the row",
            "write `on archive cascade`",
        );
    }
    None
}

fn end_can_happen(of: &Of, relation: &Relation) -> Verdict {
    let on_end = relation.on_end.as_ref()?;
    let model = of.cx.model;
    let ends = |target: &usize| {
        model.sessions == Some(*target)
            || model.entities[*target].lifecycle == Lifecycle::SoftDelete
    };
    if !relation.targets.iter().any(ends) {
        return wrong(
            "on end",
            "`on end` has no effect: the target is never suspended, archived or revoked",
            "remove it",
        );
    }
    match (on_end, of.entity.lifecycle) {
        (OnEnd::Archive, Lifecycle::Mutable | Lifecycle::AppendOnly) => wrong(
            "on end",
            "`on end archive` archives the row, but rows of this entity can't be archived",
            "write `on end set` and a time, or remove `lifecycle`",
        ),
        (OnEnd::Set(_), Lifecycle::AppendOnly) => wrong(
            "on end",
            "`on end set` changes the row, but rows of this entity never change",
            "remove it",
        ),
        (OnEnd::Set(field), _) => match of.entity.field(field) {
            Some(found) if found.ty == Ty::Time => None,
            Some(_) => wrong(
                "on end",
                format!("`{field}` is no time"),
                "name a field `<name>: time?`: it says since when the row has ended",
            ),
            None => wrong(
                "on end",
                format!("this entity has no field `{field}`"),
                format!("add `{field}: time?` under `fields:`"),
            ),
        },
        _ => None,
    }
}

fn set_session_is_a_session(of: &Of, relation: &Relation) -> Verdict {
    if !relation.set_session {
        return None;
    }
    let model = of.cx.model;
    let Some(sessions) = model.sessions else {
        return wrong(
            "set session",
            "`set session`, but app.yaml names no entity of sessions",
            "add `sessions: <entity>` to app.yaml, or remove `set session`",
        );
    };
    let name = &model.entities[sessions].name;
    if relation.polymorphic || relation.targets != [sessions] {
        return wrong(
            "set session",
            format!("`set session` on a relation that does not lead to `{name}`"),
            format!("make it `{}: {name}?, set session`", relation.name),
        );
    }
    for (given, word) in [
        (relation.system, "system"),
        (relation.movable, "movable"),
        (relation.set_me, "set me"),
    ] {
        if given {
            return wrong(
                word,
                format!("`{word}` beside `set session`: it is set once, at create"),
                format!("remove `{word}`"),
            );
        }
    }
    if !of.creatable() {
        return wrong(
            "set session",
            "`set session` has no effect: nobody may create",
            instead_of_set(of, "set session"),
        );
    }
    if !relation.optional {
        return wrong(
            "set session",
            format!(
                "a caller without a session would leave `{}` empty",
                relation.name
            ),
            format!("make it `{}: {name}?, set session`", relation.name),
        );
    }
    None
}

/// `system` is for what a module or a transition writes, so it only helps where there is a module.
fn instead_of_set(of: &Of, word: &str) -> String {
    match of.written_by_module() {
        // Rows of a module are created by nobody else.
        true if of.entity.module.is_some() => "write `system`".to_owned(),
        true => "write `system`, or grant `create`".to_owned(),
        false => format!("grant `create`, or remove `{word}`"),
    }
}

fn set_me_is_the_caller(of: &Of, relation: &Relation) -> Verdict {
    if !relation.set_me {
        return None;
    }
    let identity = of.cx.model.identity;
    if relation.polymorphic || relation.targets != [identity] {
        let name = &of.cx.model.entities[identity].name;
        return wrong(
            "set me",
            format!("`set me` on a relation that does not lead to `{name}`"),
            format!("make it `{}: {name}, set me`", relation.name),
        );
    }
    for (given, word) in [(relation.system, "system"), (relation.movable, "movable")] {
        if given {
            return wrong(
                word,
                format!("`{word}` beside `set me`: the caller is set once, at create"),
                format!("remove `{word}`"),
            );
        }
    }
    if !of.creatable() {
        return wrong(
            "set me",
            "`set me` has no effect: nobody may create",
            instead_of_set(of, "set me"),
        );
    }
    None
}

fn set_me_needs_a_caller(of: &Of, relation: &Relation) -> Verdict {
    let create = of.entity.access.create.as_ref()?;
    if relation.set_me && !relation.optional && open::to_anyone(of.cx.model, of.id, create) {
        return wrong(
            "set me",
            format!(
                "who creates without signing in leaves `{}` empty",
                relation.name
            ),
            "write `create: signed_in` (or more), or make the relation optional",
        );
    }
    None
}

fn system_is_filled(of: &Of, relation: &Relation) -> Verdict {
    if relation.system && relation.movable {
        return wrong(
            "movable",
            "`movable` has no effect beside `system`: no body has the relation",
            "remove `movable`",
        );
    }
    if relation.system && !relation.optional && of.creatable() {
        return wrong(
            "system",
            format!("nobody gives `{}` its value", relation.name),
            "make it optional with `?`, or remove `system`",
        );
    }
    None
}

/// A relation can't refer to rows that no caller can read.
fn target_is_seen(of: &Of, relation: &Relation) -> Verdict {
    let chosen = !relation.of_caller() && !relation.system;
    let entities = &of.cx.model.entities;
    let seen = |target: &EntityId| {
        let target = &entities[*target];
        !target.internal && target.access.read.is_some()
    };
    if !chosen || relation.optional || !of.creatable() || relation.targets.iter().any(seen) {
        return None;
    }
    let target = &entities[relation.targets[0]].name;
    wrong(
        "",
        format!("no row can be created: nobody sees a `{target}` to refer to"),
        format!(
            "grant `read` of `{target}`, or write `{}: {target}?, system` and let a module fill it",
            relation.name
        ),
    )
}

fn system_is_written(of: &Of, relation: &Relation) -> Verdict {
    let holder = of.cx.model.holder(of.entity).map(|r| r.name.as_str());
    let is_holder = of.id == of.cx.model.assignments && holder == Some(relation.name.as_str());
    let column = relation.id_column();
    let mut transitions = of.entity.transitions.iter();
    let set = transitions.any(|t| t.sets().any(|set| set.column == column));
    if !relation.system
        || set
        || is_holder
        || of.written_by_module()
        || of.written_by_engine(&relation.name)
    {
        return None;
    }
    wrong(
        "system",
        format!("nothing ever writes `{}`", relation.name),
        format!(
            "add a transition with `set {} = me`, name `{}` under `write:` of a module, or remove `system`",
            relation.name, of.entity.name
        ),
    )
}

fn movable_has_an_effect(of: &Of, relation: &Relation) -> Verdict {
    if relation.movable && !of.updatable() {
        return wrong(
            "movable",
            "`movable` has no effect: no row of this entity is ever updated",
            "remove `movable`",
        );
    }
    None
}

fn filter_has_an_effect(of: &Of, relation: &Relation) -> Verdict {
    if of.entity.internal {
        for (given, word) in [
            (relation.filter, "filter"),
            (relation.hidden, "hidden"),
            (relation.read.is_some(), "read"),
        ] {
            if given {
                return wrong(
                    word,
                    format!("`{word}` has no effect: an internal entity has no routes"),
                    format!("remove `{word}`"),
                );
            }
        }
    }
    if relation.filter && relation.read.is_some() {
        return wrong(
            "filter",
            "`filter` would tell what `read` hides",
            "remove `filter`, or the `read` rule",
        );
    }
    None
}
