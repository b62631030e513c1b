//! Whether a rule can hold for an anonymous caller.

use super::{EntityId, Expr, Model, OfWhat};

pub fn to_anyone(model: &Model, entity: EntityId, expr: &Expr) -> bool {
    possible(model, entity, expr).0
}

/// Whether a rule can be true, and whether it can be false.
type Possible = (bool, bool);

fn possible(model: &Model, entity: EntityId, expr: &Expr) -> Possible {
    let inner = |expr| possible(model, entity, expr);
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
        Expr::Condition(index) => of(model, entity, &OfWhat::Condition(*index)),
        Expr::Of { what, .. } => {
            let open = what.iter().any(|(target, what)| {
                of(model, *target, what).0 && of(model, *target, &OfWhat::Read).0
            });
            (open, true)
        }
        Expr::Compare { .. } | Expr::In { .. } | Expr::IsNull(_) | Expr::Flag(_) => (true, true),
    }
}

/// The result for a rule by its name. Rules that refer to themselves are refused elsewhere, and count as false here.
fn of(model: &Model, id: EntityId, what: &OfWhat) -> Possible {
    let entity = &model.entities[id];
    let rule = match what {
        OfWhat::Condition(index) => Some(&entity.conditions[*index].expr),
        OfWhat::Read => entity.access.read.as_ref(),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
    };
    let closed = (false, true);
    let find = || rule.map_or(closed, |rule| possible(model, id, rule));
    model.memo.once(("open", 0, id, what.clone()), closed, find)
}
