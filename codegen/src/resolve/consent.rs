//! A row that a person archived themselves can only be restored by that person.
//!
//! A row with a required relation to a user is about that user: a membership, a role. If others may restore such rows,
//! a condition that excludes rows which the user archived is added to the rule here, once, so that policies, Rust and
//! the documents all have it.

use crate::model::{Entity, EntityId, Expr, Lifecycle, Model, Relation};

pub fn fold(model: &mut Model) {
    let identity = model.identity;
    for entity in &mut model.entities {
        if entity.lifecycle != Lifecycle::SoftDelete || !entity.writable() {
            continue;
        }
        let Some(restore) = entity.access.restore.clone() else {
            continue;
        };
        let about: Vec<usize> = (0..entity.belongs.len())
            .filter(|index| is_about(&entity.belongs[*index], identity))
            .filter(|index| !only_for(entity, &restore, *index))
            .collect();
        if about.is_empty() {
            continue;
        }
        let kept = about.into_iter().map(|index| {
            let relation = &mut entity.belongs[index];
            relation.consents = true;
            let ended = Expr::Flag(relation.ended_column());
            Expr::Any(vec![
                Expr::Not(Box::new(ended)),
                Expr::MeIs { relation: index },
            ])
        });
        entity.access.restore = Some(Expr::All(std::iter::once(restore).chain(kept).collect()));
    }
}

/// Whether the rule holds for nobody but that user.
pub fn only_for(entity: &Entity, rule: &Expr, person: usize) -> bool {
    match rule {
        Expr::MeIs { relation } => *relation == person,
        Expr::Nobody => true,
        Expr::All(parts) => parts.iter().any(|part| only_for(entity, part, person)),
        Expr::Any(parts) => parts.iter().all(|part| only_for(entity, part, person)),
        Expr::Condition(index) => only_for(entity, &entity.conditions[*index].expr, person),
        _ => false,
    }
}

/// Optional relations only record who did something, and are emptied when that account is closed.
fn is_about(relation: &Relation, identity: EntityId) -> bool {
    !relation.polymorphic
        && relation.targets == [identity]
        && !relation.optional
        && !relation.system
}
