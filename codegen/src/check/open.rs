//! Whether a rule can be true for somebody who is not signed in.

use crate::model::{EntityId, Expr, Model, OfWhat};

pub fn to_anyone(model: &Model, entity: EntityId, expr: &Expr) -> bool {
    possible(model, entity, expr, 0).0
}

/// Rules do not nest deeper; what does is taken for closed.
const DEPTH_MAX: usize = 64;

/// (can be true, can be false)
fn possible(model: &Model, entity: EntityId, expr: &Expr, depth: usize) -> (bool, bool) {
    if depth > DEPTH_MAX {
        return (false, true);
    }
    let inner = |expr| possible(model, entity, expr, depth + 1);
    match expr {
        Expr::Anyone => (true, false),
        Expr::SignedIn | Expr::Nobody => (false, true),
        Expr::MeIs { .. }
        | Expr::MeIsThis
        | Expr::MeHolds { .. }
        | Expr::MeHoldsOf { .. }
        | Expr::MeIn { .. }
        | Expr::MeOutranks { .. } => (false, true),
        Expr::All(parts) => parts
            .iter()
            .map(inner)
            .fold((true, false), |a, b| (a.0 && b.0, a.1 || b.1)),
        Expr::Any(parts) => parts
            .iter()
            .map(inner)
            .fold((false, true), |a, b| (a.0 || b.0, a.1 && b.1)),
        Expr::Not(part) => {
            let (can_be_true, can_be_false) = inner(part);
            (can_be_false, can_be_true)
        }
        Expr::Condition(index) => inner(&model.entities[entity].conditions[*index].expr),
        Expr::Of { what, .. } => {
            let open = what.iter().any(|(target, what)| {
                let access = &model.entities[*target].access;
                let of = |rule: &Option<Expr>| {
                    rule.as_ref()
                        .is_some_and(|rule| possible(model, *target, rule, depth + 1).0)
                };
                let holds = match what {
                    OfWhat::Read => true,
                    OfWhat::Update => of(&access.update),
                    OfWhat::Delete => of(&access.delete),
                    OfWhat::Condition(index) => {
                        let condition = &model.entities[*target].conditions[*index].expr;
                        possible(model, *target, condition, depth + 1).0
                    }
                };
                holds && of(&access.read)
            });
            (open, true)
        }
        Expr::Compare { .. } | Expr::In { .. } | Expr::IsNull(_) | Expr::Flag(_) => (true, true),
    }
}
