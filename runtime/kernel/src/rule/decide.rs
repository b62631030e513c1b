//! A rule decided in Rust, over rows given as JSON objects: the oracle the database is compared with.
//!
//! Null behaves as in the policies: a comparison with null is unknown, which does not hold, and `not` of it holds.

use super::{Op, Rule, Value};
use crate::actor::Facts;
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::{Map, Value as Json};
use std::cmp::Ordering;
use uuid::Uuid;

pub type Row = Map<String, Json>;

/// What a rule may depend on besides its row.
pub trait World {
    fn me(&self) -> Option<Uuid>;
    fn facts(&self) -> &Facts;
    fn now(&self) -> DateTime<Utc>;
    /// The ids of `sec.<set>()` for the caller.
    fn set(&self, name: &str) -> Vec<Uuid>;
    /// The roles of a person, of this scope if one is given: rows of assignments that count or would come back
    /// with the account.
    fn held(&self, person: Uuid, scope: Option<Uuid>) -> Vec<&Row>;
    /// The row, if the caller may read it.
    fn readable(&self, entity: &str, id: Uuid) -> Option<&Row>;
}

/// Whether the rule allows access to this row.
pub fn decide(rule: &Rule, row: &Row, world: &dyn World) -> bool {
    truth(rule, row, world) == Some(true)
}

/// `None` is SQL's unknown.
fn truth(rule: &Rule, row: &Row, world: &dyn World) -> Option<bool> {
    match rule {
        Rule::Anyone => Some(true),
        Rule::Nobody => Some(false),
        Rule::SignedIn => Some(world.me().is_some()),
        Rule::All(rules) => all(rules.iter().map(|rule| truth(rule, row, world))),
        Rule::Any(rules) => {
            all(rules.iter().map(|rule| truth(rule, row, world).map(|b| !b))).map(|b| !b)
        }
        // Like `… is not true` in the policies.
        Rule::Not(rule) => Some(truth(rule, row, world) != Some(true)),
        Rule::Ref(rule) => truth(rule, row, world),
        // The related row was only found because the caller can read it.
        Rule::Readable(_) => Some(true),
        Rule::MeIs(column) => Some(id(row, column)? == world.me()?),
        Rule::Holds(role) => Some(world.facts().holds(role)),
        Rule::HoldsOf(role, column) => {
            if !world.facts().holds_somewhere(role) {
                return Some(false);
            }
            id(row, column).map(|id| world.facts().holds_of(role, id))
        }
        Rule::In(column, set) => match world.set(set) {
            ids if ids.is_empty() => Some(false),
            ids => id(row, column).map(|id| ids.contains(&id)),
        },
        Rule::Of(related) => {
            let target = match related.type_column {
                Some(column) => {
                    let name = row.get(column).and_then(Json::as_str);
                    related
                        .targets
                        .iter()
                        .find(|(target, _)| Some(*target) == name)
                }
                None => related.targets.first(),
            };
            let found = target.is_some_and(|(entity, rule)| {
                let other = id(row, related.column).and_then(|id| world.readable(entity, id));
                other.is_some_and(|other| rule.is_none_or(|rule| decide(rule, other, world)))
            });
            Some(found)
        }
        Rule::Outranks(other) => {
            let Some(person) = id(row, other.column).filter(|_| world.me().is_some()) else {
                return Some(false);
            };
            let held = world.held(person, other.of.and_then(|of| id(row, of)));
            let all = held.iter().all(|role| decide(other.grant, role, world));
            Some(Some(person) != world.me() && all)
        }
        Rule::Compare(left, op, right) => compare(left, *op, right, row, world),
        Rule::OneOf(value, list) => {
            let found = list
                .iter()
                .map(|item| compare(value, Op::Ne, item, row, world));
            all(found).map(|b| !b)
        }
        Rule::IsNull(value) => Some(eval(value, row, world).is_none()),
        Rule::Flag(column) => row.get(*column).and_then(Json::as_bool),
    }
}

fn all(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for value in values {
        match value {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

fn id(row: &Row, column: &str) -> Option<Uuid> {
    row.get(column)
        .and_then(Json::as_str)
        .and_then(|text| text.parse().ok())
}

/// A value with its type at run time.
#[derive(Debug, PartialEq)]
enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
    Time(DateTime<Utc>),
}

fn eval(value: &Value, row: &Row, world: &dyn World) -> Option<Scalar> {
    match value {
        Value::Column(column) => match row.get(*column)? {
            Json::String(text) => Some(Scalar::Text(text.clone())),
            Json::Number(number) => number.as_f64().map(Scalar::Number),
            Json::Bool(value) => Some(Scalar::Bool(*value)),
            _ => None,
        },
        Value::Text(text) => Some(Scalar::Text((*text).to_owned())),
        Value::Int(number) => Some(Scalar::Number(*number as f64)),
        Value::Decimal(text) => text.parse().ok().map(Scalar::Number),
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Null => None,
        Value::Now => Some(Scalar::Time(world.now())),
        Value::Today => Some(Scalar::Text(world.now().date_naive().to_string())),
        Value::Add(left, right) => sum(left, right, 1.0, row, world),
        Value::Sub(left, right) => sum(left, right, -1.0, row, world),
    }
}

fn sum(left: &Value, right: &Value, sign: f64, row: &Row, world: &dyn World) -> Option<Scalar> {
    match (eval(left, row, world)?, eval(right, row, world)?) {
        (Scalar::Number(left), Scalar::Number(right)) => Some(Scalar::Number(left + sign * right)),
        _ => None,
    }
}

fn compare(left: &Value, op: Op, right: &Value, row: &Row, world: &dyn World) -> Option<bool> {
    let order = order(eval(left, row, world)?, eval(right, row, world)?)?;
    Some(match op {
        Op::Eq => order == Ordering::Equal,
        Op::Ne => order != Ordering::Equal,
        Op::Lt => order == Ordering::Less,
        Op::Le => order != Ordering::Greater,
        Op::Gt => order == Ordering::Greater,
        Op::Ge => order != Ordering::Less,
    })
}

/// Times are text in JSON; a text next to a time is read as one.
fn order(left: Scalar, right: Scalar) -> Option<Ordering> {
    match (left, right) {
        (Scalar::Number(left), Scalar::Number(right)) => left.partial_cmp(&right),
        (Scalar::Bool(left), Scalar::Bool(right)) => Some(left.cmp(&right)),
        (Scalar::Time(left), Scalar::Time(right)) => Some(left.cmp(&right)),
        (Scalar::Time(left), Scalar::Text(right)) => Some(left.cmp(&moment(&right)?)),
        (Scalar::Text(left), Scalar::Time(right)) => Some(moment(&left)?.cmp(&right)),
        (Scalar::Text(left), Scalar::Text(right)) => match (moment(&left), moment(&right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => Some(left.cmp(&right)),
        },
        _ => None,
    }
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
