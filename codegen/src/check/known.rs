//! Values that the spec itself writes, against the checks of the row: a default, what a transition sets, and what every
//! new row begins with. If a check can't hold with them, whatever the other columns are, each such row is refused.

use super::Of;
use crate::model::{Assigned, Change, DerivedKind, Expr, Field, Literal, Op, Transition, Value};
use crate::resolve::{Part, number, shown};

pub fn check(of: &Of) {
    let start = start(of);
    for rule in rules(of) {
        if rule.fails(&start) {
            of.refuse(
                rule.part,
                rule.name,
                "no new row fulfils this check",
                format!("a new row begins with {}", told(&start)),
            );
            continue;
        }
        for field in &of.entity.fields {
            if let Some(default) = &field.default {
                let mut known = start.clone();
                known.push((field.name.as_str(), default.clone()));
                if rule.fails(&known) {
                    refuse_default(of, &rule, field, default);
                }
            }
        }
        for transition in &of.entity.transitions {
            if rule.fails(&after(transition)) {
                of.refuse(
                    Part::Transition,
                    &transition.name,
                    format!(
                        "`{}` is always refused: {} breaks the check of `{}`",
                        transition.name,
                        told(&after(transition)),
                        rule.name
                    ),
                    "set values that fulfil the check, or change it",
                );
            }
        }
    }
}

/// A check of a field or of the row.
struct Rule<'a> {
    part: Part,
    name: &'a str,
    expr: &'a Expr,
}

pub(super) type Known<'a> = Vec<(&'a str, Literal)>;

pub(super) fn told(known: &Known) -> String {
    let all = known
        .iter()
        .map(|(name, value)| format!("`{name} = {}`", shown(value).replace('`', "")));
    all.collect::<Vec<_>>().join(", ")
}

impl Rule<'_> {
    fn fails(&self, known: &Known) -> bool {
        let columns = self.expr.columns();
        let asks = |(name, _): &(&str, Literal)| columns.iter().any(|column| column == name);
        known.iter().any(asks) && holds(self.expr, known) == Some(false)
    }
}

/// `None`: it depends on other columns. A comparison with null is unknown too, and a check that is unknown passes.
pub(super) fn holds(expr: &Expr, known: &Known) -> Option<bool> {
    match expr {
        Expr::All(parts) => all(parts.iter().map(|part| holds(part, known))),
        Expr::Any(parts) => {
            all(parts.iter().map(|part| holds(part, known).map(|b| !b))).map(|b| !b)
        }
        Expr::Not(part) => holds(part, known).map(|holds| !holds),
        Expr::Compare { left, op, right } => {
            compare(of_value(left, known)?, *op, of_value(right, known)?)
        }
        Expr::In { value, list } => {
            let value = of_value(value, known)?;
            let equal = list
                .iter()
                .map(|item| compare(value.clone(), Op::Ne, scalar(item)?));
            all(equal).map(|b| !b)
        }
        Expr::IsNull(Value::Column(name)) => find(name, known).map(|value| *value == Literal::Null),
        Expr::Flag(name) => match find(name, known)? {
            Literal::Bool(value) => Some(*value),
            _ => None,
        },
        _ => None,
    }
}

fn refuse_default(of: &Of, rule: &Rule, field: &Field, default: &Literal) {
    of.refuse(
        Part::Default,
        &field.name,
        format!("{} breaks the check of `{}`", shown(default), rule.name),
        "write a default that fulfils it, or leave the default out",
    );
}

fn rules<'a>(of: &Of<'a>) -> Vec<Rule<'a>> {
    let fields = of.entity.fields.iter().filter_map(|field| {
        Some(Rule {
            part: Part::Field,
            name: &field.name,
            expr: field.check.as_ref()?,
        })
    });
    let rows = of.entity.checks.iter().map(|check| Rule {
        part: Part::Check,
        name: &check.name,
        expr: &check.expr,
    });
    fields.chain(rows).collect()
}

/// What every new row begins with: counters at zero, and the first state unless a module writes another one.
fn start<'a>(of: &Of<'a>) -> Known<'a> {
    let counters = (of.entity.derived.iter())
        .filter(|d| matches!(d.kind, DerivedKind::Count { .. } | DerivedKind::Sum { .. }))
        .map(|d| (d.name.as_str(), Literal::Int(0)));
    let states = of.entity.states_field();
    let state = states.and_then(|field| Some((field.name.as_str(), field.default.clone()?)));
    counters
        .chain(state.filter(|_| !of.written_by_module()))
        .collect()
}

/// What a transition leaves behind.
fn after(transition: &Transition) -> Known<'_> {
    let state = match &transition.change {
        Change::State { field, to, .. } => Some((field.as_str(), Literal::Text(to.clone()))),
        Change::Set(_) => None,
    };
    let sets = transition.sets().filter_map(|set| match &set.value {
        Assigned::Value(value) => Some((set.column.as_str(), value.clone())),
        Assigned::Me => None,
    });
    state.into_iter().chain(sets).collect()
}

fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut result = Some(true);
    for part in parts {
        match part {
            Some(false) => return Some(false),
            None => result = None,
            Some(true) => {}
        }
    }
    result
}

fn find<'k>(name: &str, known: &'k Known) -> Option<&'k Literal> {
    let found = known.iter().find(|(column, _)| *column == name);
    found.map(|(_, value)| value)
}

#[derive(Clone, Debug, PartialEq)]
enum Scalar {
    /// In units that `resolve::number` counts in.
    Number(i128),
    Bool(bool),
    Text(String),
}

fn of_value(value: &Value, known: &Known) -> Option<Scalar> {
    let sum = |a: &Value, b: &Value, sign: i128| match (of_value(a, known)?, of_value(b, known)?) {
        (Scalar::Number(a), Scalar::Number(b)) => a.checked_add(sign * b).map(Scalar::Number),
        _ => None,
    };
    match value {
        Value::Column(name) => scalar(find(name, known)?),
        Value::Literal(literal) => scalar(literal),
        Value::Related { .. } => None,
        Value::Add(a, b) => sum(a, b, 1),
        Value::Sub(a, b) => sum(a, b, -1),
    }
}

/// `None` for null, the present time and the present day.
fn scalar(literal: &Literal) -> Option<Scalar> {
    match literal {
        Literal::Int(_) | Literal::Decimal(_) => number(literal).map(Scalar::Number),
        Literal::Bool(value) => Some(Scalar::Bool(*value)),
        Literal::Text(text) => Some(Scalar::Text(text.clone())),
        Literal::Null | Literal::Now | Literal::Today => None,
    }
}

/// The order of texts depends on their collation, and some texts are equal regardless of case.
fn compare(left: Scalar, op: Op, right: Scalar) -> Option<bool> {
    let (left, right) = match (left, right) {
        (Scalar::Number(left), Scalar::Number(right)) => (left, right),
        (Scalar::Bool(left), Scalar::Bool(right)) => (left.into(), right.into()),
        (Scalar::Text(left), Scalar::Text(right)) => {
            let is_same = left == right;
            let is_other = !left.eq_ignore_ascii_case(&right);
            return match op {
                Op::Eq if is_same || is_other => Some(is_same),
                Op::Ne if is_same || is_other => Some(!is_same),
                _ => None,
            };
        }
        _ => return None,
    };
    Some(match op {
        Op::Eq => left == right,
        Op::Ne => left != right,
        Op::Lt => left < right,
        Op::Le => left <= right,
        Op::Gt => left > right,
        Op::Ge => left >= right,
    })
}
