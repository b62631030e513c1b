//! Refuses entities of which no first row can ever be created, because each requires a row of the other.

use super::Cx;
use crate::model::{EntityId, Relation};
use crate::resolve::Part;

pub fn check(cx: &Cx) {
    let possible = possible(cx);
    let mut told: Vec<EntityId> = Vec::new();
    for id in (0..possible.len()).filter(|id| !possible[*id]) {
        let round = round(cx, &possible, id);
        // An entity that requires a circle without being part of it is not reported: the report of the circle covers
        // it.
        let Some((_, relation)) = round.iter().find(|(of, _)| *of == id) else {
            continue;
        };
        if told.contains(&id) {
            continue;
        }
        told.extend(round.iter().map(|(of, _)| *of));
        let name = |id: EntityId| cx.model.entities[id].name.as_str();
        let words: Vec<String> = (round.iter().map(|(of, _)| *of))
            .chain([round[0].0])
            .map(|id| format!("`{}`", name(id)))
            .collect();
        cx.refuse(
            cx.places.of(id, Part::Relation, &relation.name),
            format!("no first row is possible: {}", words.join(" needs ")),
            format!(
                "make one of them optional, like `{}: {}?`",
                relation.name,
                name(relation.targets[0])
            ),
        );
    }
}

/// Which entities can have a first row, provided that those they require can have one.
fn possible(cx: &Cx) -> Vec<bool> {
    let entities = &cx.model.entities;
    let mut possible = vec![false; entities.len()];
    loop {
        let next: Vec<usize> = (0..entities.len())
            .filter(|id| !possible[*id])
            .filter(|id| needed(cx, *id).all(|r| r.targets.iter().any(|t| possible[*t])))
            .collect();
        if next.is_empty() {
            return possible;
        }
        next.into_iter().for_each(|id| possible[id] = true);
    }
}

fn needed<'a>(cx: &'a Cx, id: EntityId) -> impl Iterator<Item = &'a Relation> {
    cx.model.entities[id].belongs.iter().filter(|r| !r.optional)
}

/// Follows the required entities that cannot be created until one is reached a second time.
fn round<'a>(cx: &'a Cx, possible: &[bool], from: EntityId) -> Vec<(EntityId, &'a Relation)> {
    let mut way: Vec<(EntityId, &Relation)> = Vec::new();
    let mut id = from;
    loop {
        if let Some(start) = way.iter().position(|(of, _)| *of == id) {
            return way.split_off(start);
        }
        let lacking = needed(cx, id).find(|r| r.targets.iter().all(|t| !possible[*t]));
        let Some(relation) = lacking else {
            return Vec::new();
        };
        way.push((id, relation));
        id = relation.targets[0];
    }
}
