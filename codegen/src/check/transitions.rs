//! Checks states and the transitions between them.

use super::known::holds;
use super::{Of, contradictions::spelled_out};
use crate::model::{
    Assigned, Change, Entity, Expr, Lifecycle, Literal, Relation, Transition, Ty, open,
};
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
    starts_are_possible(of);
    callers_are_possible(of);
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
                let (who, help) = match relation.is_some_and(Relation::of_caller) {
                    true => (
                        "is set when a row is created",
                        format!(
                            "set a relation of its own: `{}_by: {}?, system`; or remove `set me` from the line of `{name}`, \
                             and write `?` and `system` there",
                            transition.name, of.cx.model.entities[of.cx.model.identity].name
                        ),
                    ),
                    false => (
                        "may be set by any body too",
                        format!("add `system` to the line of `{name}`"),
                    ),
                };
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!("`{name}` {who}"),
                    help,
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

/// `publish: draft -> published, when state == published` never starts.
fn starts_are_possible(of: &Of) {
    for transition in &of.entity.transitions {
        let Change::State { field, from, to } = &transition.change else {
            continue;
        };
        let conditions = [Some(&transition.by), transition.when.as_ref()];
        let conditions = conditions.into_iter().flatten();
        let conditions: Vec<Expr> = conditions.map(|c| spelled_out(of.entity, c)).collect();
        let refused = |state: &&String| {
            let known = vec![(field.as_str(), Literal::Text((*state).clone()))];
            let fails = |condition: &Expr| holds(condition, &known) == Some(false);
            conditions.iter().any(fails)
        };
        let never: Vec<&String> = from.iter().filter(refused).collect();
        if let Some(first) = never.first() {
            let help = match never.len() == from.len() {
                true => format!(
                    "the condition is about the row before, which is not `{to}` yet: ask what may be true then, or leave it out"
                ),
                false => format!(
                    "leave {} out of the states it starts from",
                    names::quoted(&never)
                ),
            };
            of.refuse(
                Part::Transition,
                &transition.name,
                format!(
                    "`{}` never starts from `{first}`: its condition is false there",
                    transition.name
                ),
                help,
            );
        }
    }
}

/// A transition by whom only itself, or one that nobody may make either, would have put there.
fn callers_are_possible(of: &Of) {
    let entity = of.entity;
    if of.written_by_module() {
        return;
    }
    let set_by = |column: &str| {
        let all = entity.transitions.iter().enumerate();
        let sets = |t: &Transition| {
            t.sets()
                .any(|s| s.column == column && s.value == Assigned::Me)
        };
        all.filter(move |(_, t)| sets(t))
            .map(|(n, _)| n)
            .collect::<Vec<_>>()
    };
    // The transitions that set the caller whom each transition asks for.
    let needs: Vec<Vec<Vec<usize>>> = (entity.transitions.iter())
        .map(|transition| {
            let asked = callers(entity, &transition.by).into_iter();
            let relations = asked.map(|index| &entity.belongs[index]);
            let never_given = relations.filter(|r| r.system && !of.written_by_engine(&r.name));
            never_given.map(|r| set_by(&r.id_column())).collect()
        })
        .collect();
    let mut possible = vec![false; needs.len()];
    while let Some(next) = (0..needs.len()).find(|n| {
        let met = |set_by: &Vec<usize>| set_by.iter().any(|by| possible[*by]);
        !possible[*n] && needs[*n].iter().all(met)
    }) {
        possible[next] = true;
    }
    for (transition, _) in entity.transitions.iter().zip(possible).filter(|(_, p)| !p) {
        let asked = callers(entity, &transition.by).into_iter();
        let names: Vec<&str> = asked.map(|i| entity.belongs[i].name.as_str()).collect();
        of.refuse(
            Part::Transition,
            &transition.name,
            format!(
                "nobody ever makes `{}`: nothing sets {} before",
                transition.name,
                names::quoted(&names)
            ),
            "let others do it too (`by … or …`), or set it in a transition that comes before",
        );
    }
}

/// Relations that have to lead to the caller, whatever else the rule asks.
fn callers(entity: &Entity, rule: &Expr) -> Vec<usize> {
    match rule {
        Expr::MeIs { relation } => vec![*relation],
        Expr::All(parts) => parts
            .iter()
            .flat_map(|part| callers(entity, part))
            .collect(),
        Expr::Condition(index) => callers(entity, &entity.conditions[*index].expr),
        _ => Vec::new(),
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
    let moves: Vec<(&Vec<String>, &String)> = (of.entity.transitions.iter())
        .filter_map(|t| match &t.change {
            Change::State { from, to, .. } => Some((from, to)),
            Change::Set(_) => None,
        })
        .collect();
    if moves.is_empty() {
        of.refuse(
            Part::Field,
            &field.name,
            format!("nothing changes `{}`", field.name),
            "add `transitions:`, or make it an `enum`",
        );
        return;
    }
    let Some(Literal::Text(start)) = &field.default else {
        return;
    };
    let mut reached = vec![start];
    let next = |reached: &[&String]| {
        let possible = |from: &[String]| from.iter().any(|state| reached.contains(&state));
        let found = (moves.iter()).find(|(from, to)| !reached.contains(to) && possible(from));
        found.map(|(_, to)| *to)
    };
    while let Some(to) = next(&reached) {
        reached.push(to);
    }
    let lost: Vec<&String> = values.iter().filter(|v| !reached.contains(v)).collect();
    if !lost.is_empty() {
        // From states that lead to each other only.
        let from = match moves.iter().any(|(_, to)| lost.contains(to)) {
            true => format!("from `{start}` "),
            false => String::new(),
        };
        of.refuse(
            Part::Field,
            &field.name,
            format!("nothing leads {from}to {}", names::quoted(&lost)),
            "add a transition, or name the entity under `write:` of the module that does it",
        );
    }
}
