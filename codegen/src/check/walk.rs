//! All expressions of an entity, and all parts of an expression.

use crate::model::{DerivedKind, Entity, Expr};

pub fn each(expr: &Expr, visit: &mut dyn FnMut(&Expr)) {
    visit(expr);
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| each(part, visit)),
        Expr::Not(inner) => each(inner, visit),
        _ => {}
    }
}

/// Access rules by action, without conditions.
pub fn grants(entity: &Entity) -> impl Iterator<Item = (&'static str, &Expr)> {
    let access = &entity.access;
    [
        ("read", &access.read),
        ("create", &access.create),
        ("update", &access.update),
        ("delete", &access.delete),
        ("restore", &access.restore),
        ("suspend", &access.suspend),
    ]
    .into_iter()
    .filter_map(|(name, expr)| expr.as_ref().map(|expr| (name, expr)))
}

/// All rules in which the entity's own `has` and conditions may be used.
pub fn rules(entity: &Entity) -> impl Iterator<Item = &Expr> {
    let fields = entity
        .fields
        .iter()
        .flat_map(|f| [&f.read, &f.write])
        .flatten();
    let relations = entity.belongs.iter().filter_map(|r| r.read.as_ref());
    let transitions = entity.transitions.iter().map(|t| &t.by);
    let offers = entity.offers.iter().map(|offer| &offer.by);
    let conditions = entity.conditions.iter().map(|c| &c.expr);
    grants(entity)
        .map(|(_, expr)| expr)
        .chain(fields)
        .chain(relations)
        .chain(transitions)
        .chain(offers)
        .chain(conditions)
}

/// Indexes of `has` that a derived value or a rule uses.
pub fn used_has(entity: &Entity) -> Vec<usize> {
    let mut used: Vec<usize> = entity
        .derived
        .iter()
        .filter_map(|d| match &d.kind {
            DerivedKind::Count { has, .. }
            | DerivedKind::Sum { has, .. }
            | DerivedKind::Avg { has, .. } => Some(*has),
            DerivedKind::Flag { .. } => None,
        })
        .collect();
    used.extend(entity.firsts.iter().map(|first| first.has));
    for rule in rules(entity) {
        each(rule, &mut |expr| {
            if let Expr::MeIn { has, .. } = expr {
                used.push(*has);
            }
        });
    }
    used
}
