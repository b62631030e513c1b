//! Rules of `create` that no new row fulfils, so that no request ever creates one: with a counter that begins at zero, a
//! field that no request writes, or a role of a row that is not there yet.

use super::Of;
use super::known::{Known, holds, told};
use crate::model::{DerivedKind, Entity, Expr, Hook, Literal, Ty, Value};
use crate::resolve::Part;

pub fn check(of: &Of) {
    if !of.creatable() {
        return;
    }
    if let Some(rule) = &of.entity.access.create {
        let start = start(of);
        // `nobody` is meant.
        let columns = settled(of.entity, rule, &Known::new()).columns();
        let rule = settled(of.entity, rule, &start);
        if rule != Expr::Nobody && holds(&rule, &start) == Some(false) {
            let help = "nobody has a role of a row that is not there yet, or is in its lists; \
                        whoever creates it is in the relation with `set me`";
            let named = start
                .iter()
                .filter(|(name, _)| columns.iter().any(|c| c == name));
            let named: Known = named.cloned().collect();
            of.refuse(
                Part::Access,
                "create",
                "no new row fulfils this rule",
                match named.is_empty() {
                    true => help.to_owned(),
                    false => format!("a new row begins with {}", told(&named)),
                },
            );
        }
    }
    for field in &of.entity.fields {
        let required = !field.optional && field.default.is_none();
        let given = matches!(field.ty, Ty::Slug { from: Some(_) });
        if required && !given && field.write == Some(Expr::Nobody) && !is_hooked(of.entity) {
            of.refuse(
                Part::Field,
                &field.name,
                format!(
                    "no request can create a row: nobody may write `{}`, which is never null",
                    field.name
                ),
                "give it a default (`= …`), or a `?`",
            );
        }
    }
}

/// A hook in Rust may write other fields of a new row.
fn is_hooked(entity: &Entity) -> bool {
    entity.hooks.contains(&Hook::Create)
}

/// What every row that a request creates begins with: counters at zero, the first state, and fields that no request
/// writes.
fn start<'a>(of: &Of<'a>) -> Known<'a> {
    let counters = (of.entity.derived.iter())
        .filter(|d| matches!(d.kind, DerivedKind::Count { .. } | DerivedKind::Sum { .. }))
        .map(|d| (d.name.as_str(), Literal::Int(0)));
    let written = |name: &str| of.entity.field(name).is_some_and(|f| !f.system);
    let states = of.entity.states_field().map(|f| f.name.as_str());
    let fields = (of.entity.fields.iter())
        .filter(|f| !is_hooked(of.entity) && (!written(&f.name) || states == Some(&f.name)))
        .filter_map(|f| match &f.default {
            Some(value) => Some((f.name.as_str(), value.clone())),
            None => f.optional.then_some((f.name.as_str(), Literal::Null)),
        });
    counters.chain(fields).collect()
}

/// The rule with its conditions put in their places, and with what is known of every new row beside its columns. What
/// compares with null holds never, as in a policy.
fn settled(entity: &Entity, rule: &Expr, start: &Known) -> Expr {
    let part = |part: &Expr| settled(entity, part, start);
    let is_null = |value: &Value| {
        let of = |name: &String| start.iter().any(|(n, v)| n == name && *v == Literal::Null);
        matches!(value, Value::Column(name) if of(name))
    };
    let never = || Expr::Any(Vec::new());
    match rule {
        Expr::All(parts) => Expr::All(parts.iter().map(part).collect()),
        Expr::Any(parts) => Expr::Any(parts.iter().map(part).collect()),
        Expr::Not(inner) => Expr::Not(Box::new(part(inner))),
        Expr::Condition(index) => part(&entity.conditions[*index].expr),
        Expr::MeIsThis | Expr::MeIn { .. } | Expr::MeHoldsOf { relation: None, .. } => never(),
        Expr::MeIs { relation } => {
            let relation = &entity.belongs[*relation];
            match relation.set_me && !relation.optional {
                true => Expr::All(Vec::new()),
                false => rule.clone(),
            }
        }
        Expr::Compare { left, right, .. } if is_null(left) || is_null(right) => never(),
        Expr::In { value, .. } if is_null(value) => never(),
        other => other.clone(),
    }
}
