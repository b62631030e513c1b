//! Comparisons whose outcome is known without looking at a row: with a text that the type never holds, or with a number
//! beyond all bounds. Such a rule is a mistake, and nobody would notice that it never or always holds.
//!
//! Knows the declared bounds and forms only, not which values go together.

use super::forms;
use crate::diag::{Diagnostic, Span};
use crate::model::{DerivedKind, Entity, EntityId, Field, Literal, Model, Op, Ty, Value};

/// Numbers are counted in units of this part, so that all decimals of the language are whole.
const PLACES: u32 = 12;

/// The values of a comparison belong to a row of this entity.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub model: &'a Model,
    pub entity: EntityId,
}

/// A side of a comparison, with its place in the spec.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub value: &'a Value,
    pub span: Span,
    pub nullable: bool,
}

impl Of<'_> {
    pub fn compared(&self, left: Side, op: Op, right: Side) -> Result<(), Diagnostic> {
        for (one, other) in [(left, right), (right, left)] {
            if let (Op::Eq | Op::Ne, Value::Literal(literal)) = (op, other.value) {
                self.is_possible(one, literal, other.span)?;
            }
        }
        let bounds = (self.bounds(left.value), self.bounds(right.value));
        let (Some(a), Some(b)) = bounds else {
            return Ok(());
        };
        let Some(holds) = outcome(a, op, b) else {
            return Ok(());
        };
        let whole = left.span.to(right.span);
        let message = match holds {
            true => "this comparison holds for every value",
            false => "this comparison never holds",
        };
        let reasons: Vec<String> = [(left, a), (right, b)]
            .into_iter()
            .filter_map(|(side, bounds)| bounds.told(&name(side.value)?))
            .collect();
        let help = match (holds, left.nullable || right.nullable) {
            (true, true) => "to ask whether there is a value, write `x != null`",
            _ => "compare with a value in between, or leave it out",
        };
        Err(Diagnostic::at(whole, message).help(format!("{}: {help}", reasons.join(", "))))
    }

    /// Whether a value can be equal to the literal.
    pub fn is_possible(&self, side: Side, literal: &Literal, span: Span) -> Result<(), Diagnostic> {
        let refuse = |message: String| {
            Err(Diagnostic::at(span, message)
                .help("write a value that it can have, or leave the comparison out"))
        };
        if let (Some(field), Literal::Text(text)) = (self.field(side.value), literal) {
            let expected = forms::expected(&field.ty, text);
            return expected.map_or(Ok(()), |expected| {
                refuse(format!(
                    "`{}` is never `{text}`, which is not {expected}",
                    field.name
                ))
            });
        }
        let (Some(name), Some(bounds)) = (name(side.value), self.bounds(side.value)) else {
            return Ok(());
        };
        let shown = super::shown(literal);
        if let (Some(number), Some(reason)) = (Bounds::of_literal(literal), bounds.told(&name))
            && outcome(bounds, Op::Eq, number) == Some(false)
        {
            return refuse(format!("`{name}` is never {shown}: {reason}"));
        }
        match (self.places(side.value), literal) {
            (Some(places), Literal::Decimal(text)) if digits_after(text) > places => refuse(
                format!("`{name}` is never {shown}: it has {places} decimal places"),
            ),
            _ => Ok(()),
        }
    }

    fn holder(&self) -> &Entity {
        &self.model.entities[self.entity]
    }

    /// The entity that a column belongs to, and the column's name.
    fn column<'v>(&self, value: &'v Value) -> Option<(&Entity, &'v str)> {
        match value {
            Value::Column(name) => Some((self.holder(), name)),
            Value::Related { relation, column } => {
                let target = *self.holder().relation(relation)?.targets.first()?;
                Some((&self.model.entities[target], column))
            }
            Value::Literal(_) | Value::Add(..) | Value::Sub(..) => None,
        }
    }

    fn field(&self, value: &Value) -> Option<&Field> {
        let (entity, name) = self.column(value)?;
        entity.field(name)
    }

    /// The number of decimal places of a number field.
    fn places(&self, value: &Value) -> Option<usize> {
        match &self.field(value)?.ty {
            Ty::Decimal { places } => Some(*places as usize),
            Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } => Some(0),
            _ => None,
        }
    }

    /// The bounds of a number; `None` for everything else.
    fn bounds(&self, value: &Value) -> Option<Bounds> {
        match value {
            Value::Literal(literal) => Bounds::of_literal(literal),
            Value::Add(a, b) => Some(self.bounds(a)?.plus(self.bounds(b)?)),
            Value::Sub(a, b) => Some(self.bounds(a)?.plus(self.bounds(b)?.negative())),
            Value::Column(_) | Value::Related { .. } => {
                let (entity, name) = self.column(value)?;
                match entity.field(name) {
                    Some(field) => Bounds::of_type(&field.ty),
                    None => self.of_derived(entity, name),
                }
            }
        }
    }

    fn of_derived(&self, entity: &Entity, name: &str) -> Option<Bounds> {
        let derived = entity.derived.iter().find(|derived| derived.name == name)?;
        let summed = |has: usize, field: &str| {
            let child = &self.model.entities[entity.has[has].child];
            Bounds::of_type(&child.field(field)?.ty)
        };
        match &derived.kind {
            DerivedKind::Count { .. } => Some(Bounds::least(0)),
            DerivedKind::Sum { has, field, .. } => {
                let is_positive = summed(*has, field)?.min.is_some_and(|min| min >= 0);
                Some(match is_positive {
                    true => Bounds::least(0),
                    false => Bounds::default(),
                })
            }
            DerivedKind::Avg { has, field, .. } => summed(*has, field),
            DerivedKind::Flag { .. } => None,
        }
    }
}

/// Least and greatest value; `None` where there is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bounds {
    min: Option<i128>,
    max: Option<i128>,
}

impl Bounds {
    fn least(min: i64) -> Self {
        Self {
            min: Some(scaled(min)),
            max: None,
        }
    }

    fn of_type(ty: &Ty) -> Option<Self> {
        let within = |min: Option<i64>, max: Option<i64>| Self {
            min: min.map(scaled),
            max: max.map(scaled),
        };
        match ty {
            Ty::Int { min, max } => Some(within(
                min.or(Some(i32::MIN.into())),
                max.or(Some(i32::MAX.into())),
            )),
            Ty::Bigint { min, max } | Ty::Money { min, max } => Some(within(*min, *max)),
            Ty::Decimal { .. } => Some(Self::default()),
            _ => None,
        }
    }

    /// `None` for a decimal with more places than can be told apart here.
    fn of_literal(literal: &Literal) -> Option<Self> {
        number(literal).map(|number| Self {
            min: Some(number),
            max: Some(number),
        })
    }

    fn plus(self, other: Self) -> Self {
        let sum = |a: Option<i128>, b: Option<i128>| a?.checked_add(b?);
        Self {
            min: sum(self.min, other.min),
            max: sum(self.max, other.max),
        }
    }

    fn negative(self) -> Self {
        let turned = |bound: Option<i128>| bound.map(|bound| -bound);
        Self {
            min: turned(self.max),
            max: turned(self.min),
        }
    }

    /// `capacity` is 1 to 100; `None` without bounds.
    fn told(self, name: &str) -> Option<String> {
        match (self.min.map(plain), self.max.map(plain)) {
            (Some(min), Some(max)) => Some(format!("`{name}` is {min} to {max}")),
            (Some(min), None) => Some(format!("`{name}` is at least {min}")),
            (None, Some(max)) => Some(format!("`{name}` is at most {max}")),
            (None, None) => None,
        }
    }
}

/// A number as a whole one, in units that are small enough for all decimals. `None` for other literals, and for more
/// decimal places than that.
pub fn number(literal: &Literal) -> Option<i128> {
    match literal {
        Literal::Int(number) => Some(scaled(*number)),
        Literal::Decimal(text) => decimal(text),
        _ => None,
    }
}

/// Whether a comparison holds for all values within the bounds, or for none.
fn outcome(a: Bounds, op: Op, b: Bounds) -> Option<bool> {
    let below = |a: Option<i128>, b: Option<i128>| a.zip(b).is_some_and(|(a, b)| a < b);
    let not_above = |a: Option<i128>, b: Option<i128>| a.zip(b).is_some_and(|(a, b)| a <= b);
    let (always, never) = match op {
        Op::Lt => (below(a.max, b.min), not_above(b.max, a.min)),
        Op::Le => (not_above(a.max, b.min), below(b.max, a.min)),
        Op::Gt => return outcome(b, Op::Lt, a),
        Op::Ge => return outcome(b, Op::Le, a),
        Op::Eq | Op::Ne => {
            let apart = below(a.max, b.min) || below(b.max, a.min);
            let one = a.min.is_some() && a.min == a.max && a == b;
            match op {
                Op::Eq => (one, apart),
                _ => (apart, one),
            }
        }
    };
    match (always, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The column, or the sum of columns and numbers; `None` for a number.
fn name(value: &Value) -> Option<String> {
    let part = |part: &Value| match part {
        Value::Literal(literal) => super::shown(literal).replace('`', ""),
        part => name(part).unwrap_or_default(),
    };
    match value {
        Value::Column(name) => Some(name.clone()),
        Value::Related { relation, column } => Some(format!("{relation}.{column}")),
        Value::Literal(_) => None,
        Value::Add(a, b) => Some(format!("{} + {}", part(a), part(b))),
        Value::Sub(a, b) => Some(format!("{} - {}", part(a), part(b))),
    }
}

fn scaled(number: i64) -> i128 {
    i128::from(number) * 10_i128.pow(PLACES)
}

fn plain(number: i128) -> i128 {
    number / 10_i128.pow(PLACES)
}

fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let missing = (PLACES as usize).checked_sub(fraction.len())?;
    let number: i128 = format!("{whole}{fraction}{}", "0".repeat(missing))
        .parse()
        .ok()?;
    Some(sign * number)
}

/// How many decimal places a number has, without zeros at its end.
fn digits_after(text: &str) -> usize {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.trim_end_matches('0').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(min: impl Into<Option<i64>>, max: impl Into<Option<i64>>) -> Bounds {
        Bounds {
            min: min.into().map(scaled),
            max: max.into().map(scaled),
        }
    }

    #[test]
    fn what_is_known_without_a_row() {
        let ten = within(1, 10);
        for (op, number, known) in [
            (Op::Lt, 11, Some(true)),
            (Op::Lt, 10, None),
            (Op::Lt, 1, Some(false)),
            (Op::Le, 10, Some(true)),
            (Op::Le, 1, None),
            (Op::Le, 0, Some(false)),
            (Op::Gt, 0, Some(true)),
            (Op::Gt, 10, Some(false)),
            (Op::Ge, 1, Some(true)),
            (Op::Ge, 11, Some(false)),
            (Op::Eq, 5, None),
            (Op::Eq, 11, Some(false)),
            (Op::Ne, 0, Some(true)),
        ] {
            let found = outcome(ten, op, within(number, number));
            assert_eq!(found, known, "{op:?} {number}");
        }
        assert_eq!(outcome(within(0, None), Op::Ge, within(0, 0)), Some(true));
        assert_eq!(outcome(within(None, 5), Op::Gt, within(5, 5)), Some(false));
        assert_eq!(outcome(within(None, None), Op::Eq, within(5, 5)), None);
        // Every sum of two such numbers is 2 to 20; every difference is -9 to 9.
        assert_eq!(ten.plus(ten), within(2, 20));
        assert_eq!(ten.plus(ten.negative()), within(-9, 9));
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(decimal("0.1"), Some(10_i128.pow(PLACES - 1)));
        assert_eq!(decimal("-2.50"), Some(scaled(-5) / 2));
        assert_eq!(decimal("0.1234567890123"), None);
        assert_eq!(digits_after("0.500"), 1);
    }
}
