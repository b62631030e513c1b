//! Two conditions on one value that can't hold together: `state == draft and state == published`.
//!
//! Compares the values that each allows or denies by name. Orders of numbers and times are left alone.

use crate::model::{Expr, Literal, Op, Value};

/// Whether no row fulfils both.
pub fn exclude(one: &Expr, other: &Expr) -> bool {
    let (Some(one), Some(other)) = (Named::of(one), Named::of(other)) else {
        return false;
    };
    let (allowed, rest) = match (one.allows, other.allows) {
        (true, _) => (&one, &other),
        (_, true) => (&other, &one),
        _ => return false,
    };
    let is_in_rest = |value: &Literal| rest.values.iter().any(|item| may_equal(item, value));
    // Values that may be equal in some collation are no contradiction, and neither is a number that isn't denied.
    let refused = |value: &Literal| match rest.allows {
        true => !is_in_rest(value),
        false => rest.values.contains(value),
    };
    allowed.of == rest.of && allowed.values.iter().all(refused)
}

/// The values that a condition names.
struct Named {
    of: Value,
    values: Vec<Literal>,
    /// Only these are allowed; otherwise all but these.
    allows: bool,
}

impl Named {
    fn of(expr: &Expr) -> Option<Named> {
        let named = |of: &Value, values: &[Literal], allows| Named {
            of: of.clone(),
            values: values.to_vec(),
            allows,
        };
        let found = match expr {
            Expr::Compare {
                left: of,
                op: op @ (Op::Eq | Op::Ne),
                right: Value::Literal(value),
            }
            | Expr::Compare {
                left: Value::Literal(value),
                op: op @ (Op::Eq | Op::Ne),
                right: of,
            } => named(of, std::slice::from_ref(value), *op == Op::Eq),
            Expr::In { value, list } => named(value, list, true),
            Expr::Flag(name) => named(&Value::Column(name.clone()), &[Literal::Bool(true)], true),
            Expr::Not(part) => {
                let part = Named::of(part)?;
                match part.values.as_slice() {
                    [Literal::Bool(value)] if part.allows => {
                        named(&part.of, &[Literal::Bool(!value)], true)
                    }
                    _ => Named {
                        allows: !part.allows,
                        ..part
                    },
                }
            }
            Expr::Any(parts) => parts
                .iter()
                .map(Named::of)
                .reduce(|a, b| either(a?, b?))??,
            _ => return None,
        };
        let is_plain = |value: &Literal| {
            matches!(value, Literal::Text(_) | Literal::Bool(_) | Literal::Int(_))
        };
        let is_column = matches!(found.of, Value::Column(_) | Value::Related { .. });
        (is_column && found.values.iter().all(is_plain)).then_some(found)
    }
}

fn either(one: Named, other: Named) -> Option<Named> {
    let same = one.of == other.of && one.allows && other.allows;
    same.then(|| Named {
        values: [one.values, other.values].concat(),
        ..one
    })
}

/// Some texts are equal regardless of case.
fn may_equal(one: &Literal, other: &Literal) -> bool {
    match (one, other) {
        (Literal::Text(one), Literal::Text(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}
