//! `me in <has>`: the parent rows that have a child which names the caller, as functions `sec.my_<parent>_<has>()`.
//!
//! They bypass row-level security, so that policies query no table directly and can't depend on each other in a
//! circle.

use super::{
    names::{self, Roles},
    object::{Function, on_table},
    predicate::{all, atom},
    rules::{Context, Scope, predicate, type_is},
};
use crate::model::{Access, EntityId, Expr, Lifecycle, Model};
use crate::objects::{Kind, Object};

#[derive(PartialEq)]
struct Set<'m> {
    parent: EntityId,
    has: usize,
    me: &'m str,
    filter: Option<&'m Expr>,
}

/// The function's name without its schema: `my_community_members`. A second one with another filter ends in `_2`.
pub fn name(
    model: &Model,
    parent: EntityId,
    has: usize,
    me: &str,
    filter: Option<&Expr>,
) -> String {
    let entity = &model.entities[parent];
    let alike = of_entity(model, parent)
        .into_iter()
        .filter(|s| s.has == has);
    let position = alike
        .enumerate()
        .find(|(_, s)| s.me == me && s.filter == filter)
        .map_or(0, |(i, _)| i);
    let number = if position == 0 {
        String::new()
    } else {
        format!("_{}", position + 1)
    };
    names::fit(format!(
        "my_{}_{}{number}",
        entity.name, entity.has[has].name
    ))
}

pub fn objects(model: &Model) -> Vec<Object> {
    (0..model.entities.len())
        .flat_map(|id| of_entity(model, id))
        .map(|set| object(model, &set))
        .collect()
}

/// All rules of an entity, in spec order.
pub(super) fn expressions(entity: &crate::model::Entity) -> Vec<&Expr> {
    let Access {
        read,
        create,
        update,
        delete,
        restore,
        suspend,
    } = &entity.access;
    let mut all: Vec<&Expr> = entity.conditions.iter().map(|c| &c.expr).collect();
    all.extend(
        [read, create, update, delete, restore, suspend]
            .into_iter()
            .flatten(),
    );
    all.extend(
        entity
            .fields
            .iter()
            .flat_map(|f| [&f.read, &f.write])
            .flatten(),
    );
    all.extend(entity.belongs.iter().filter_map(|r| r.read.as_ref()));
    all.extend(entity.transitions.iter().map(|t| &t.by));
    all.extend(entity.offers.iter().map(|offer| &offer.by));
    all
}

fn object(model: &Model, set: &Set<'_>) -> Object {
    let roles = Roles(&model.app);
    let has = &model.entities[set.parent].has[set.has];
    let child = &model.entities[has.child];
    let via = child
        .relation(&has.via)
        .expect("checked: has names a relation of its child");
    let me = child
        .relation(set.me)
        .expect("checked: me names a relation of the child");
    let scope = Scope {
        entity: has.child,
        alias: "c",
        context: Context::Definer,
    };
    let live = (child.lifecycle == Lifecycle::SoftDelete).then(|| atom("c.status = 'active'"));
    let condition = all([
        atom(format!("c.{} = sec.uid()", me.id_column())),
        type_is(model, scope, me, model.identity),
        type_is(model, scope, via, set.parent),
    ]
    .into_iter()
    .chain(live)
    .chain(set.filter.map(|f| predicate(model, scope, f))));
    let table = names::table(child);
    let name = format!(
        "sec.{}",
        name(model, set.parent, set.has, set.me, set.filter)
    );
    let function = Function {
        kind: Kind::TableFunction,
        name: &name,
        arguments: "",
        returns: "setof uuid",
        attributes: "language plpgsql stable parallel safe",
        definer: Some(roles.authz()),
        callers: vec![roles.app(), roles.job()],
        doc: &format!(
            "Ids of {} whose {} name the caller. PL/pgSQL, because it keeps its plan.",
            model.entities[set.parent].plural, has.name
        ),
        body: format!(
            "begin\n  return query\n  select c.{}\n  from {table} c\n  where {};\nend",
            via.id_column(),
            condition.block(4)
        ),
    };
    on_table(&table, function.object(roles))
}

/// The sets that the rules of an entity use of its own children.
fn of_entity(model: &Model, parent: EntityId) -> Vec<Set<'_>> {
    let mut found = Vec::new();
    for expr in expressions(&model.entities[parent]) {
        collect(parent, expr, &mut found);
    }
    found
}

fn collect<'m>(parent: EntityId, expr: &'m Expr, found: &mut Vec<Set<'m>>) {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|p| collect(parent, p, found)),
        Expr::Not(part) => collect(parent, part, found),
        Expr::MeIn { has, me, filter } => {
            let set = Set {
                parent,
                has: *has,
                me,
                filter: filter.as_deref(),
            };
            if !found.contains(&set) {
                found.push(set);
            }
        }
        _ => {}
    }
}
