//! Sums and differences that can't overflow: PostgreSQL adds two `integer` as `integer`, and one row whose sum is
//! beyond that makes every statement that reads it fail.
//!
//! Knows the bounds of fields; knows no rules.

use crate::model::{Entity, Literal, Ty, Value};

/// The range of a whole number, and the width in which PostgreSQL computes it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Whole {
    min: i128,
    max: i128,
    is_bigint: bool,
}

/// Bounds of what the server itself counts and computes, which no request chooses: far beyond any real value, and
/// several of them add up within `bigint`.
const COMPUTED: (i128, i128) = (-(1 << 60), 1 << 60);

/// The type that the left operand must be cast to so that the sum or difference can't overflow. `None` if its own
/// type is enough.
pub(super) fn cast(entity: &Entity, value: &Value) -> Option<&'static str> {
    let (Value::Add(a, b) | Value::Sub(a, b)) = value else {
        return None;
    };
    let (a, b) = (whole(entity, a)?, whole(entity, b)?);
    match whole(entity, value) {
        None => Some("numeric"),
        Some(sum) => (sum.is_bigint && !a.is_bigint && !b.is_bigint).then_some("bigint"),
    }
}

/// `None` for what is no whole number, or is computed as `numeric`.
fn whole(entity: &Entity, value: &Value) -> Option<Whole> {
    match value {
        Value::Column(name) => of_column(entity, name),
        Value::Literal(Literal::Int(n)) => Some(Whole {
            min: i128::from(*n),
            max: i128::from(*n),
            is_bigint: i32::try_from(*n).is_err(),
        }),
        Value::Literal(_) => None,
        Value::Related { .. } => Some(Whole {
            min: i128::from(i64::MIN),
            max: i128::from(i64::MAX),
            is_bigint: false,
        }),
        Value::Add(a, b) => {
            let (a, b) = (whole(entity, a)?, whole(entity, b)?);
            computed(a, b, a.min + b.min, a.max + b.max)
        }
        Value::Sub(a, b) => {
            let (a, b) = (whole(entity, a)?, whole(entity, b)?);
            computed(a, b, a.min - b.max, a.max - b.min)
        }
    }
}

fn computed(a: Whole, b: Whole, min: i128, max: i128) -> Option<Whole> {
    let within = |low: i64, high: i64| min >= i128::from(low) && max <= i128::from(high);
    within(i64::MIN, i64::MAX).then(|| Whole {
        min,
        max,
        is_bigint: a.is_bigint || b.is_bigint || !within(i32::MIN.into(), i32::MAX.into()),
    })
}

fn of_column(entity: &Entity, name: &str) -> Option<Whole> {
    let Some(field) = entity.field(name) else {
        let (min, max) = COMPUTED;
        return Some(Whole {
            min,
            max,
            is_bigint: true,
        });
    };
    let (bounds, (low, high), is_bigint) = match field.ty {
        Ty::Int { min, max } => {
            let all = (i32::MIN.into(), i32::MAX.into());
            ((min, max), all, false)
        }
        Ty::Bigint { min, max } | Ty::Money { min, max } if field.system => {
            ((min, max), COMPUTED, true)
        }
        Ty::Bigint { min, max } | Ty::Money { min, max } => {
            ((min, max), (i64::MIN.into(), i64::MAX.into()), true)
        }
        _ => return None,
    };
    Some(Whole {
        min: bounds.0.map_or(low, i128::from),
        max: bounds.1.map_or(high, i128::from),
        is_bigint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(min: i64, max: i64, is_bigint: bool) -> Whole {
        Whole {
            min: min.into(),
            max: max.into(),
            is_bigint,
        }
    }

    fn sum(a: Whole, b: Whole) -> Option<Whole> {
        computed(a, b, a.min + b.min, a.max + b.max)
    }

    #[test]
    fn a_sum_is_as_wide_as_its_bounds_ask() {
        let small = whole(0, 100, false);
        assert_eq!(sum(small, small), Some(whole(0, 200, false)));
        let int = whole(0, i32::MAX.into(), false);
        let twice = i64::from(i32::MAX) * 2;
        assert_eq!(sum(int, int), Some(whole(0, twice, true)));
        let bigint = whole(0, i64::MAX, true);
        assert_eq!(sum(bigint, whole(1, 1, false)), None);
    }
}
