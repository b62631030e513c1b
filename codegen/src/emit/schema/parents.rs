//! A row is attached only to rows that its writer may read and that are active.

use super::{
    names::{self, Roles},
    object::{Function, on_table},
    predicate::{Sql, all, any, atom, exists},
    rules::{Context, Scope, type_is},
    visible::visible,
};
use crate::model::{EntityId, Expr, Lifecycle, Model, OfWhat, Relation};
use crate::objects::{Kind, Object};

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
    if reads(model, target, scope.entity) {
        return atom(format!("{}({column})", function_name(model, target)));
    }
    let active = match parent.lifecycle {
        Lifecycle::SoftDelete => atom("p1.status = 'active'"),
        _ => Sql::True,
    };
    exists(format!("{} p1", names::table(parent)), all([atom(format!("p1.id = {column}")), active]))
}

/// A policy that reads its own table, or one whose policy does, is refused by PostgreSQL: there the question
/// goes through a function.
pub fn functions(model: &Model) -> Vec<Object> {
    let asked = |target: EntityId| {
        (model.entities.iter().enumerate()).any(|(child, entity)| {
            let refers = entity.belongs.iter().any(|r| !r.set_me && !r.system && r.targets.contains(&target));
            refers && !entity.internal && reads(model, target, child)
        })
    };
    (0..model.entities.len()).filter(|&id| asked(id)).map(|id| function(model, id)).collect()
}

fn function(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope { entity: id, alias: "t", context: Context::Definer };
    let active = match entity.lifecycle {
        Lifecycle::SoftDelete => atom("t.status = 'active'"),
        _ => Sql::True,
    };
    let found = exists(format!("{table} t"), all([atom("t.id = p_id"), active, visible(model, scope)]));
    let function = Function {
        kind: Kind::TableFunction,
        name: &function_name(model, id),
        arguments: "p_id uuid",
        returns: "boolean",
        attributes: "language sql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "Active, and readable by the caller.",
        body: format!("  select {}", found.block(2)),
    };
    on_table(&table, function.object(roles))
}

fn function_name(model: &Model, id: EntityId) -> String {
    names::fit(format!("sec.may_read_{}", model.entities[id].name))
}

/// The SELECT policy of `from` reads the table of `to`, directly or through other policies.
fn reads(model: &Model, from: EntityId, to: EntityId) -> bool {
    let mut seen = vec![from];
    let mut next = 0;
    while next < seen.len() {
        if seen[next] == to {
            return true;
        }
        for target in read_by(model, seen[next]) {
            if !seen.contains(&target) {
                seen.push(target);
            }
        }
        next += 1;
    }
    false
}

/// Tables that the SELECT policy names: targets of `of` in every rule that lets see a row.
fn read_by(model: &Model, id: EntityId) -> Vec<EntityId> {
    let access = &model.entities[id].access;
    let rules = [&access.read, &access.update, &access.delete, &access.restore, &access.suspend];
    let mut found = Vec::new();
    rules.into_iter().flatten().for_each(|rule| targets(model, id, rule, &mut found));
    found
}

fn targets(model: &Model, id: EntityId, expr: &Expr, found: &mut Vec<EntityId>) {
    let entity = &model.entities[id];
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|p| targets(model, id, p, found)),
        Expr::Not(part) => targets(model, id, part, found),
        Expr::Condition(index) => targets(model, id, &entity.conditions[*index].expr, found),
        Expr::Of { what, .. } => {
            for (target, what) in what {
                found.push(*target);
                let parent = &model.entities[*target];
                let inner = match what {
                    OfWhat::Condition(index) => Some(&parent.conditions[*index].expr),
                    OfWhat::Read => None,
                    OfWhat::Update => parent.access.update.as_ref(),
                    OfWhat::Delete => parent.access.delete.as_ref(),
                };
                inner.into_iter().for_each(|rule| targets(model, *target, rule, found));
            }
        }
        _ => {}
    }
}
