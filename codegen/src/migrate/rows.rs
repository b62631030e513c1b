//! Unique and exclusion constraints whose condition changed: one that applies to fewer rows than before can't refuse
//! any existing row.
//!
//! Compares expressions; knows no SQL beyond the names of constraints.

use crate::emit::schema::names;
use crate::model::{Entity, Expr, Literal, Op, Value};

/// The name of each such constraint, and whether it applies to a subset of the rows that it applied to before.
pub fn changed(old: &Entity, new: &Entity) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for columns in new.unique.iter().filter(|set| old.unique.contains(set)) {
        let (before, after) = (old.unique_where(columns), new.unique_where(columns));
        if before != after {
            found.push((names::unique(new, columns), are_fewer(before, after)));
        }
    }
    for rule in &new.exclude {
        let same = |e: &&crate::model::Exclude| {
            (&e.columns, &e.from, &e.to) == (&rule.columns, &rule.from, &rule.to)
        };
        let Some(before) = old.exclude.iter().find(same) else {
            continue;
        };
        if before.filter != rule.filter {
            let named: Vec<String> = (rule.columns.iter().chain([&rule.from])).cloned().collect();
            let fewer = are_fewer(before.filter.as_ref(), rule.filter.as_ref());
            found.push((names::exclusion(new, &named), fewer));
        }
    }
    found
}

/// Whether every row that the constraint applies to now was one that it applied to before.
fn are_fewer(before: Option<&Expr>, after: Option<&Expr>) -> bool {
    match (before, after) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(before), Some(after)) => implies(after, before),
    }
}

/// Whether `a` implies `b`, judged by the shape of the expressions only: if in doubt, false.
fn implies(a: &Expr, b: &Expr) -> bool {
    if a == b {
        return true;
    }
    match (a, b) {
        (Expr::Any(parts), _) => parts.iter().all(|part| implies(part, b)),
        (_, Expr::All(parts)) => parts.iter().all(|part| implies(a, part)),
        (Expr::All(parts), _) if parts.iter().any(|part| implies(part, b)) => true,
        (_, Expr::Any(parts)) => parts.iter().any(|part| implies(a, part)),
        _ => match (words(a), words(b)) {
            (Some((a, these)), Some((b, those))) => {
                a == b && these.iter().all(|w| those.contains(w))
            }
            (Some((a, these)), None) => {
                excluded(b).is_some_and(|(b, word)| a == b && !these.contains(&word))
            }
            _ => false,
        },
    }
}

/// `state == draft`, `state in (draft, held)`
fn words(expr: &Expr) -> Option<(&str, Vec<&Literal>)> {
    match expr {
        Expr::Compare {
            left: Value::Column(column),
            op: Op::Eq,
            right: Value::Literal(word),
        } => Some((column, vec![word])),
        Expr::In {
            value: Value::Column(column),
            list,
        } => Some((column, list.iter().collect())),
        _ => None,
    }
}

/// `state != cancelled`
fn excluded(expr: &Expr) -> Option<(&str, &Literal)> {
    match expr {
        Expr::Compare {
            left: Value::Column(column),
            op: Op::Ne,
            right: Value::Literal(word),
        } => Some((column, word)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(op: Op, word: &str) -> Expr {
        Expr::Compare {
            left: Value::Column("state".into()),
            op,
            right: Value::Literal(Literal::Text(word.into())),
        }
    }

    #[test]
    fn fewer_rows_are_seen_by_the_shape() {
        let (held, gone) = (is(Op::Eq, "held"), is(Op::Ne, "gone"));
        let list = |words: &[&str]| Expr::In {
            value: Value::Column("state".into()),
            list: words.iter().map(|w| Literal::Text((*w).into())).collect(),
        };
        let fewer = |a: &Expr, b: &Expr| are_fewer(Some(b), Some(a));
        assert!(are_fewer(None, Some(&held)) && !are_fewer(Some(&held), None));
        assert!(
            fewer(&held, &list(&["held", "asked"])) && !fewer(&list(&["held", "asked"]), &held)
        );
        assert!(fewer(&held, &gone) && !fewer(&gone, &held) && !fewer(&is(Op::Eq, "gone"), &gone));
        let both = Expr::All(vec![held.clone(), Expr::Flag("paid".into())]);
        assert!(fewer(&both, &held) && !fewer(&held, &both));
        let either = Expr::Any(vec![held.clone(), Expr::Flag("paid".into())]);
        assert!(fewer(&held, &either) && !fewer(&either, &held) && fewer(&both, &either));
    }
}
