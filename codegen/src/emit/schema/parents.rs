//! New references: a row may only refer to rows that its writer may read and that are active.

use super::{
    predicate::{Sql, all, any, atom},
    rules::{Scope, type_is},
    seen,
};
use crate::model::{EntityId, Model, Relation};

/// The condition for all references that a body may contain.
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

/// The condition that the caller may read the row of `target` that `relation` refers to, and that it is active.
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
