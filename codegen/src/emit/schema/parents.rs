//! A row is attached only to rows that its writer may read and that are active.

use super::{
    predicate::{Sql, all, any, atom},
    rules::{Scope, type_is},
    seen,
};
use crate::model::{EntityId, Model, Relation};

/// For every reference that a body may hold.
pub(super) fn readable_parents(model: &Model, scope: Scope<'_>) -> Sql {
    let entity = &model.entities[scope.entity];
    all(entity
        .belongs
        .iter()
        .filter(|r| !r.of_caller() && !r.system)
        .map(|relation| {
            let empty = relation
                .optional
                .then(|| atom(format!("{} is null", scope.column(&relation.id_column()))));
            let found = relation.targets.iter().map(|&target| {
                all([
                    type_is(model, scope, relation, target),
                    readable_parent(model, scope, relation, target),
                ])
            });
            any(empty.into_iter().chain(found))
        }))
}

/// The row of `target` that `relation` refers to is readable by the caller, and active.
pub(super) fn readable_parent(
    model: &Model,
    scope: Scope<'_>,
    relation: &Relation,
    target: EntityId,
) -> Sql {
    atom(format!(
        "{} = 'active'",
        seen::status(model, target, &scope.column(&relation.id_column()))
    ))
}
