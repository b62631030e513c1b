//! `when event.state == published`: the condition of a transition on related rows.
//!
//! It is evaluated without row-level security, because it is about the rows and not about who sees them. The related
//! row is locked until the transaction ends, so a concurrent change of it comes either before or after.

use super::{
    apart::is_apart,
    names::{self, Roles},
    object::{Function, on_table},
    rules::{Context, Scope, compile},
};
use crate::model::{DerivedKind, Entity, EntityId, Expr, Lifecycle, Model, Relation, Transition};
use crate::objects::{Kind, Object};

/// The condition of this transition, if it reads related rows.
pub(super) fn when(transition: &Transition) -> Option<&Expr> {
    let when = transition.when.as_ref();
    when.filter(|when| !when.related().is_empty())
}

/// Whether a condition of this entity reads that column of rows of `target`.
pub(super) fn looks_at(entity: &Entity, target: EntityId, column: &str) -> bool {
    let guards = entity.transitions.iter().filter_map(when);
    guards.flat_map(Expr::related).any(|(relation, named)| {
        let relation = entity.relation(relation);
        named == column && relation.is_some_and(|r| r.targets == [target])
    })
}

/// The value of the related row; null if there is none.
pub(super) fn value(model: &Model, scope: Scope<'_>, relation: &str, column: &str) -> String {
    let relation = relation_of(&model.entities[scope.entity], relation);
    let there = names::table(&model.entities[relation.targets[0]]);
    let id = scope.column(&relation.id_column());
    format!("(select r.{column} from {there} r where r.id = {id})")
}

/// `sec.tickets_check_in_when(id)`: returns whether the transition is possible now, and locks the rows on which that
/// depends.
pub(super) fn name(entity: &Entity, transition: &Transition) -> String {
    names::fit(format!("sec.{}_{}_when", entity.plural, transition.name))
}

pub fn functions(model: &Model, id: EntityId) -> Vec<Object> {
    let entity = &model.entities[id];
    let guards = entity.transitions.iter();
    guards
        .filter_map(|transition| Some(function(model, id, transition, when(transition)?)))
        .collect()
}

/// Whether the condition of some transition locks rows of this entity.
pub(super) fn is_held(model: &Model, target: EntityId) -> bool {
    model.entities.iter().any(|entity| {
        let guards = entity.transitions.iter().filter_map(when);
        guards
            .flat_map(Expr::related)
            .any(|(relation, _)| relation_of(entity, relation).targets == [target])
    })
}

fn function(model: &Model, id: EntityId, transition: &Transition, when: &Expr) -> Object {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let locks: String = (entity.belongs.iter())
        .filter(|r| when.related().iter().any(|(named, _)| *named == r.name))
        .filter_map(|relation| lock(model, id, relation))
        .collect();
    let holds = compile(model, id, when, "t", Context::Definer);
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(entity, transition),
        arguments: "p_id uuid",
        returns: "boolean",
        attributes: "language plpgsql",
        definer: Some(roles.counter()),
        callers: vec![roles.app()],
        doc: "Whether the guard of a transition holds. Locks the rows that it depends on until the transition is done.",
        body: format!(
            "begin\n{locks}  return coalesce((select {holds} from {table} t where t.id = p_id), false);\nend"
        ),
    };
    on_table(&table, function.object(roles))
}

/// The statement that locks the related row. `None` where rows of the target never change.
fn lock(model: &Model, id: EntityId, relation: &Relation) -> Option<String> {
    let target = relation.targets[0];
    let there = &model.entities[target];
    let strength = match there.lifecycle {
        Lifecycle::AppendOnly => return None,
        // Two transactions that both held a share lock and then both updated the counter would deadlock.
        _ if counts_in_the_row(model, target, id) => "no key update",
        _ => "share",
    };
    Some(format!(
        "  perform from {} r where r.id = (select t.{} from {} t where t.id = p_id) for {strength};\n",
        names::table(there),
        relation.id_column(),
        names::table(&model.entities[id]),
    ))
}

/// Whether rows of `child` are counted in a column of the `parent` row itself, in the same transaction.
fn counts_in_the_row(model: &Model, parent: EntityId, child: EntityId) -> bool {
    let entity = &model.entities[parent];
    entity.derived.iter().any(|derived| {
        let (DerivedKind::Count { has, .. }
        | DerivedKind::Sum { has, .. }
        | DerivedKind::Avg { has, .. }) = derived.kind
        else {
            return false;
        };
        entity.has[has].child == child && !derived.delta && !is_apart(model, parent, derived)
    })
}

fn relation_of<'e>(entity: &'e Entity, name: &str) -> &'e Relation {
    entity
        .relation(name)
        .expect("resolved: a relation of the entity")
}
