//! `sec.seen_<entity>(id)`: what the SELECT policy says of one row, for code that runs past row-level security.

use super::{
    names::{self, Roles},
    object::{Function, on_table},
    parents,
    predicate::{Sql, atom},
    private::private_columns,
    rules::{Context, Scope},
    visible::visible,
};
use crate::model::{EntityId, Expr, Lifecycle, Model, OfWhat};
use crate::objects::{Kind, Object};

/// The row's status if the caller sees it, else null. A table without a status counts as active.
pub(super) fn call(model: &Model, id: EntityId, value: &str) -> String {
    format!("{}({value})", name(model, id))
}

pub(super) fn is_seen(model: &Model, id: EntityId, value: &str) -> Sql {
    atom(format!("{} is not null", call(model, id, value)))
}

fn name(model: &Model, id: EntityId) -> String {
    names::fit(format!("sec.seen_{}", model.entities[id].name))
}

/// For the entities that rules evaluated past row-level security look at.
pub fn functions(model: &Model) -> Vec<Object> {
    let mut wanted = parents::asked(model);
    for (id, entity) in model.entities.iter().enumerate() {
        private_columns(entity).iter().for_each(|(_, rule)| targets(model, id, rule, &mut wanted));
    }
    let mut next = 0;
    while next < wanted.len() {
        let found = read_by(model, wanted[next]);
        wanted.extend(found);
        let mut seen = Vec::new();
        wanted.retain(|w| !seen.contains(w) && { seen.push(*w); true });
        next += 1;
    }
    wanted.sort_unstable();
    wanted.into_iter().map(|id| function(model, id)).collect()
}

fn function(model: &Model, id: EntityId) -> Object {
    let entity = &model.entities[id];
    let (roles, table) = (Roles(&model.app), names::table(entity));
    let scope = Scope { entity: id, alias: "t", context: Context::Definer };
    let status = if entity.lifecycle == Lifecycle::SoftDelete { "t.status" } else { "'active'" };
    let condition = visible(model, scope);
    let seen = if matches!(condition, Sql::Any(_)) {
        format!("(\n      {}\n    )", condition.block(6))
    } else {
        condition.block(4)
    };
    let function = Function {
        kind: Kind::TableFunction,
        name: &name(model, id),
        arguments: "p_id uuid",
        returns: "text",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app()],
        doc: "The status of a row that the caller sees. PL/pgSQL, because it keeps its plan.",
        body: format!("begin\n  return (\n    select {status} from {table} t\n    where t.id = p_id\n    and {seen}\n  );\nend"),
    };
    on_table(&table, function.object(roles))
}

/// Tables that the SELECT policy of an entity names.
pub(super) fn read_by(model: &Model, id: EntityId) -> Vec<EntityId> {
    let access = &model.entities[id].access;
    let rules = [&access.read, &access.update, &access.delete, &access.restore, &access.suspend];
    let mut found = Vec::new();
    rules.into_iter().flatten().for_each(|rule| targets(model, id, rule, &mut found));
    found
}

/// Entities at the other end of `of`.
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
