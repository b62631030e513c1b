//! Checks states and the transitions between them.

use super::Of;
use crate::model::{Assigned, Change, Lifecycle, Literal, Relation, Ty, open};
use crate::names;
use crate::resolve::Part;

pub(super) const TAKEN: [&str; 10] = [
    "create",
    "read",
    "list",
    "update",
    "delete",
    "archive",
    "restore",
    "suspend",
    "unsuspend",
    "transition",
];

pub fn check(of: &Of) {
    only_where_routes_write(of);
    verbs_are_free(of);
    targets_are_system(of);
    guards_tell_nothing(of);
    states_are_reached(of);
}

fn only_where_routes_write(of: &Of) {
    let Some(first) = of.entity.transitions.first() else {
        return;
    };
    let why = if of.entity.internal {
        "an internal entity has no routes"
    } else if of.entity.module.is_some() {
        "only its module writes this entity"
    } else if of.entity.lifecycle == Lifecycle::AppendOnly {
        "rows of this entity never change"
    } else {
        return;
    };
    of.refuse(
        Part::Transition,
        &first.name,
        format!("transitions have no effect: {why}"),
        "remove `transitions:`",
    );
}

fn verbs_are_free(of: &Of) {
    for transition in &of.entity.transitions {
        if TAKEN.contains(&transition.name.as_str()) {
            of.refuse(
                Part::Transition,
                &transition.name,
                format!(
                    "`{}` is an action that entities have anyway",
                    transition.name
                ),
                "choose another verb",
            );
        }
        if let Change::State { from, to, .. } = &transition.change {
            if from.contains(to) {
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!("`{}` leads from `{to}` to `{to}`", transition.name),
                    format!("leave `{to}` out of the states it starts from"),
                );
            }
            if from
                .iter()
                .enumerate()
                .any(|(n, state)| from[..n].contains(state))
            {
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    "a state it starts from is here twice",
                    "keep one of the two",
                );
            }
        }
    }
}

/// What a transition sets must not be writable by a body as well, since bodies would bypass the transition's rule.
fn targets_are_system(of: &Of) {
    let entity = of.entity;
    for transition in &entity.transitions {
        for set in transition.sets() {
            let relation = entity.belongs.iter().find(|r| r.id_column() == set.column);
            let (name, system) = match (entity.field(&set.column), relation) {
                (Some(field), _) => (&field.name, field.system),
                (None, Some(relation)) => (&relation.name, relation.system),
                (None, None) => continue,
            };
            if !system {
                let who = match relation.is_some_and(Relation::of_caller) {
                    true => "is set when a row is created",
                    false => "may be set by any body too",
                };
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!("`{name}` {who}"),
                    format!("add `system` to the line of `{name}`"),
                );
            }
            if set.value == Assigned::Me && open::to_anyone(of.cx.model, of.id, &transition.by) {
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!("who does this without signing in is nobody that `{name}` could be"),
                    "write `by signed_in` (or more)",
                );
            }
        }
    }
}

/// A `when` must not read private columns: callers who may make the transition learn whether its `when` holds.
fn guards_tell_nothing(of: &Of) {
    for transition in &of.entity.transitions {
        let related = transition.when.iter().flat_map(|when| when.related());
        for (relation, column) in related {
            let relation = of.entity.relation(relation);
            let Some(target) = relation.and_then(|r| r.targets.first()) else {
                continue;
            };
            let there = &of.cx.model.entities[*target];
            if there.is_private(column) {
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!(
                        "whoever may do this would learn of `{column}` of `{}`, which only some may read",
                        there.name
                    ),
                    "compare what everybody sees who reads the row",
                );
            }
        }
    }
}

fn states_are_reached(of: &Of) {
    let Some(field) = of.entity.states_field() else {
        return;
    };
    let Ty::States { values } = &field.ty else {
        return;
    };
    if of.written_by_module() {
        return;
    }
    let to: Vec<&str> = of
        .entity
        .transitions
        .iter()
        .filter_map(|t| match &t.change {
            Change::State { to, .. } => Some(to.as_str()),
            Change::Set(_) => None,
        })
        .collect();
    if to.is_empty() {
        of.refuse(
            Part::Field,
            &field.name,
            format!("nothing changes `{}`", field.name),
            "add `transitions:`, or make it an `enum`",
        );
        return;
    }
    let start = match &field.default {
        Some(Literal::Text(start)) => Some(start.as_str()),
        _ => None,
    };
    let lost: Vec<&str> = values
        .iter()
        .map(String::as_str)
        .filter(|v| !to.contains(v) && start.is_some() && start != Some(*v))
        .collect();
    if !lost.is_empty() {
        of.refuse(
            Part::Field,
            &field.name,
            format!("nothing leads to {}", names::quoted(&lost)),
            "add a transition, or name the entity under `write:` of the module that does it",
        );
    }
}
