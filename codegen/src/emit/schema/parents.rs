//! A row is attached only to rows that its writer may read and that are active.

use super::{
    names,
    predicate::{Sql, all, any, atom, exists},
    rules::{Scope, type_is},
    seen,
};
use crate::model::{EntityId, Lifecycle, Model, Relation};

/// For every reference that a body may hold.
pub(super) fn readable_parents(model: &Model, scope: Scope<'_>) -> Sql {
    let entity = &model.entities[scope.entity];
    all(entity.belongs.iter().filter(|r| !r.set_me && !r.system).map(|relation| {
        let empty = relation.optional.then(|| atom(format!("{} is null", scope.column(&relation.id_column()))));
        let found = relation.targets.iter().map(|&target| {
            all([type_is(model, scope, relation, target), readable_parent(model, scope, relation, target)])
        });
        any(empty.into_iter().chain(found))
    }))
}

/// The row of `target` that `relation` refers to is readable by the caller, and active.
pub(super) fn readable_parent(model: &Model, scope: Scope<'_>, relation: &Relation, target: EntityId) -> Sql {
    let parent = &model.entities[target];
    let column = scope.column(&relation.id_column());
    // A policy that reads its own table, or one whose policy does, is refused by PostgreSQL.
    if reads(model, target, scope.entity) {
        return atom(format!("{} = 'active'", seen::call(model, target, &column)));
    }
    let active = match parent.lifecycle {
        Lifecycle::SoftDelete => atom("p1.status = 'active'"),
        _ => Sql::True,
    };
    exists(format!("{} p1", names::table(parent)), all([atom(format!("p1.id = {column}")), active]))
}

/// Entities whose rows are asked for through a function, see [`readable_parent`].
pub fn asked(model: &Model) -> Vec<EntityId> {
    let refers = |child: EntityId, target: EntityId| {
        let entity = &model.entities[child];
        entity.belongs.iter().any(|r| !r.set_me && !r.system && r.targets.contains(&target))
            && !entity.internal
            && reads(model, target, child)
    };
    let all = 0..model.entities.len();
    all.clone().filter(|&target| all.clone().any(|child| refers(child, target))).collect()
}

/// The SELECT policy of `from` reads the table of `to`, directly or through other policies.
fn reads(model: &Model, from: EntityId, to: EntityId) -> bool {
    let mut seen = vec![from];
    let mut next = 0;
    while next < seen.len() {
        if seen[next] == to {
            return true;
        }
        for target in seen::read_by(model, seen[next]) {
            if !seen.contains(&target) {
                seen.push(target);
            }
        }
        next += 1;
    }
    false
}

