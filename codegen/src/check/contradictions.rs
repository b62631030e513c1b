//! Rules that no row can fulfil, because the conditions that they name ask for different values of one column.
//!
//! `exclusive` finds that within one `and`; here the named conditions are replaced by what they stand for, and a
//! transition is seen together with its `when`.

use super::Of;
use crate::model::{Entity, Expr, Value};
use crate::resolve::{Part, exclude};

/// Rules with more ways to fulfil them than this are not looked at.
const WAYS_MAX: usize = 500;

pub(super) fn check(of: &Of) {
    let entity = of.entity;
    let conditions = entity.conditions.iter();
    let conditions = conditions.map(|c| (Part::Condition, c.name.as_str(), c.expr.clone()));
    let grants = super::walk::grants(entity);
    let grants = grants.map(|(action, rule)| (Part::Access, action, rule.clone()));
    let mut is_found = false;
    for (part, name, rule) in conditions.chain(grants).chain(moves(entity)) {
        // What is wrong with a condition is wrong with each rule that names it.
        if is_found && part != Part::Condition {
            return;
        }
        if let Some(why) = impossible(entity, &rule) {
            is_found = true;
            of.refuse(part, name, format!("`{name}` never holds"), why);
        }
    }
}

/// Transitions and offers, with their `when`. From which states a transition starts is seen to elsewhere.
fn moves(entity: &Entity) -> impl Iterator<Item = (Part, &str, Expr)> {
    let both = |by: &Expr, when: &Option<Expr>| {
        Expr::All(
            [Some(by), when.as_ref()]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        )
    };
    let transitions = entity.transitions.iter();
    let transitions =
        transitions.map(move |t| (Part::Transition, t.name.as_str(), both(&t.by, &t.when)));
    let offers = entity.offers.iter();
    let offers = offers.map(move |o| (Part::Offer, o.name.as_str(), both(&o.by, &o.when)));
    transitions.chain(offers)
}

/// The expression with what its named conditions stand for.
pub(super) fn spelled_out(entity: &Entity, expr: &Expr) -> Expr {
    let each = |parts: &[Expr]| parts.iter().map(|part| spelled_out(entity, part)).collect();
    match expr {
        Expr::Condition(index) => match entity.conditions.get(*index) {
            Some(condition) => spelled_out(entity, &condition.expr),
            None => expr.clone(),
        },
        Expr::All(parts) => Expr::All(each(parts)),
        Expr::Any(parts) => Expr::Any(each(parts)),
        Expr::Not(inner) => Expr::Not(Box::new(spelled_out(entity, inner))),
        other => other.clone(),
    }
}

/// What to do about a rule if none of the ways to fulfil it is possible; `None` if one is.
fn impossible(entity: &Entity, rule: &Expr) -> Option<String> {
    let ways = ways(entity, rule, true)?;
    let mut columns = Vec::new();
    for way in &ways {
        let (one, other) = contradiction(way)?;
        columns.extend(column(one).or_else(|| column(other)));
    }
    let of = match columns.first() {
        Some(column) => format!("different values of `{column}`"),
        None => "a condition and its opposite".to_owned(),
    };
    (!ways.is_empty()).then(|| {
        format!(
            "each way to fulfil it asks for {of}, once its conditions are put in: join them by `or`, or leave one out"
        )
    })
}

/// The ways to fulfil an expression: for each, the parts that have to hold together. `None` if there are too many.
fn ways(entity: &Entity, expr: &Expr, holds: bool) -> Option<Vec<Vec<Expr>>> {
    match (expr, holds) {
        (Expr::Not(inner), _) => ways(entity, inner, !holds),
        (Expr::Condition(index), _) => ways(entity, &entity.conditions.get(*index)?.expr, holds),
        (Expr::All(parts), true) | (Expr::Any(parts), false) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let more = ways(entity, part, holds)?;
                if all.len() * more.len() > WAYS_MAX {
                    return None;
                }
                let joined = all.iter().flat_map(|one: &Vec<Expr>| {
                    more.iter().map(|other| [&one[..], other].concat())
                });
                all = joined.collect();
            }
            Some(all)
        }
        (Expr::Any(parts), true) | (Expr::All(parts), false) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(ways(entity, part, holds)?);
            }
            (all.len() <= WAYS_MAX).then_some(all)
        }
        (Expr::Nobody, true) | (Expr::Anyone, false) => Some(Vec::new()),
        (Expr::Nobody, false) | (Expr::Anyone, true) => Some(vec![Vec::new()]),
        (part, true) => Some(vec![vec![part.clone()]]),
        (part, false) => Some(vec![vec![Expr::Not(Box::new(part.clone()))]]),
    }
}

fn contradiction(parts: &[Expr]) -> Option<(&Expr, &Expr)> {
    parts.iter().enumerate().find_map(|(n, one)| {
        let other = parts[..n].iter().find(|other| {
            exclude(one, other) || is_opposite(one, other) || is_opposite(other, one)
        })?;
        Some((other, one))
    })
}

fn is_opposite(one: &Expr, other: &Expr) -> bool {
    matches!(one, Expr::Not(inner) if **inner == *other)
}

/// The column whose value a comparison is about.
fn column(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Compare {
            left: Value::Column(name),
            ..
        }
        | Expr::In {
            value: Value::Column(name),
            ..
        }
        | Expr::Flag(name) => Some(name),
        Expr::Not(inner) => column(inner),
        _ => None,
    }
}
