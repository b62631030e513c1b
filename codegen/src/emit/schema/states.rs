//! The part of a rule that is about the row alone, whoever the caller is: of a `delete` rule, what a cascade of
//! archiving checks too; of a `restore` rule, what restoring along with a parent checks too.
//!
//! `staff and ticket_count == 0` yields `ticket_count == 0`. If some callers may act in any state (`(mine and state !=
//! banned) or staff`), the rule yields no condition on the row.

use super::{
    predicate::Sql,
    rules::{Context, Scope, predicate},
};
use crate::model::{EntityId, Expr, Lifecycle, Model, OfWhat, Relation, Value};

/// The condition that the row's state must fulfil to be archived along with what `relation` refers to.
pub fn asked(model: &Model, child: EntityId, relation: &Relation) -> Option<Expr> {
    let asks = relation.on_archive == crate::model::OnArchive::Cascade;
    asks.then(|| to_delete(model, child)).flatten()
}

/// The condition that a row's state must fulfil to be archived. `None`: any will do.
///
/// A rule of `nobody` is about the caller and not about the row's state, so it yields `None` too.
pub fn to_delete(model: &Model, id: EntityId) -> Option<Expr> {
    let entity = &model.entities[id];
    if entity.lifecycle != Lifecycle::SoftDelete {
        return None;
    }
    said(model, id, entity.access.delete.as_ref()?)
}

/// The condition that a row's state must fulfil to be restored with a parent. `None`: any will do.
///
/// Conditions that the `delete` rule has too were checked when the row was archived ([`archive`](super::archive)), so
/// they are left out, except conditions on values, which modules may have changed in the archived row. If the spec
/// archives the row in any state, no condition was checked then; those shared with the `delete` rule must not prevent
/// restoring.
pub fn to_restore(model: &Model, id: EntityId) -> Option<Expr> {
    let entity = &model.entities[id];
    if entity.lifecycle != Lifecycle::SoftDelete {
        return None;
    }
    let state = said(model, id, entity.access.restore.as_ref()?)?;
    let known = to_delete(model, id);
    let parts = match state {
        Expr::All(parts) => parts,
        one => vec![one],
    };
    let is_known = |part: &Expr| match &known {
        Some(Expr::All(known)) => known.contains(part),
        Some(known) => known == part,
        None => false,
    };
    let went_in_any_state =
        (entity.belongs.iter()).any(|r| r.on_archive == crate::model::OnArchive::CascadeAlways);
    let holds =
        |part: &Expr| is_known(part) && (went_in_any_state || !is_about_values(model, id, part));
    let rest: Vec<Expr> = parts.into_iter().filter(|part| !holds(part)).collect();
    match joined(rest, &Expr::Anyone, &Expr::Nobody, Expr::All) {
        Expr::Anyone => None,
        condition => Some(condition),
    }
}

/// The condition as SQL, evaluated without row-level security.
pub(super) fn condition(model: &Model, id: EntityId, alias: &str, state: &Expr) -> Sql {
    let scope = Scope {
        entity: id,
        alias,
        context: Context::State,
    };
    predicate(model, scope, state)
}

/// Columns of the row that a condition without named conditions reads; derived flags are expanded.
pub fn columns(model: &Model, id: EntityId, state: &Expr) -> Vec<String> {
    let mut found = Vec::new();
    collect(model, id, state, &mut found);
    found
}

/// Whether a condition reads nothing but fields of the row. Counters don't change while the row is archived: the rows
/// that they count are archived too, and are restored after it.
fn is_about_values(model: &Model, id: EntityId, state: &Expr) -> bool {
    let fields = &model.entities[id].fields;
    let columns = columns(model, id, state);
    !columns.is_empty() && columns.iter().all(|c| fields.iter().any(|f| f.name == *c))
}

fn said(model: &Model, id: EntityId, rule: &Expr) -> Option<Expr> {
    match favoured(model, id, rule, true) {
        Expr::Anyone | Expr::Nobody => None,
        condition => Some(condition),
    }
}

/// The rule for a caller who fulfils everything that it asks of a caller (`most`), or nothing of it. Under `not`, a
/// caller is favoured by fulfilling the opposite.
fn favoured(model: &Model, id: EntityId, rule: &Expr, most: bool) -> Expr {
    let constant = |holds: bool| if holds { Expr::Anyone } else { Expr::Nobody };
    let each = |parts: &[Expr]| -> Vec<Expr> {
        let parts = parts.iter();
        parts.map(|p| favoured(model, id, p, most)).collect()
    };
    match rule {
        Expr::All(parts) => joined(each(parts), &Expr::Anyone, &Expr::Nobody, Expr::All),
        Expr::Any(parts) => joined(each(parts), &Expr::Nobody, &Expr::Anyone, Expr::Any),
        Expr::Not(part) => match favoured(model, id, part, !most) {
            Expr::Anyone => Expr::Nobody,
            Expr::Nobody => Expr::Anyone,
            part => Expr::Not(Box::new(part)),
        },
        Expr::Condition(index) => {
            let condition = &model.entities[id].conditions[*index];
            favoured(model, id, &condition.expr, most)
        }
        Expr::Of { what, .. } if about_rows(model, what) => rule.clone(),
        Expr::SignedIn
        | Expr::Of { .. }
        | Expr::MeIs { .. }
        | Expr::MeIsThis
        | Expr::MeHolds { .. }
        | Expr::MeHoldsOf { .. }
        | Expr::MeIn { .. }
        | Expr::MeOutranks { .. } => constant(most),
        Expr::Anyone
        | Expr::Nobody
        | Expr::Compare { .. }
        | Expr::In { .. }
        | Expr::IsNull(_)
        | Expr::Flag(_) => rule.clone(),
    }
}

/// Joins parts: those equal to `nothing` are left out, and one equal to `all` decides the result.
fn joined(parts: Vec<Expr>, nothing: &Expr, all: &Expr, join: fn(Vec<Expr>) -> Expr) -> Expr {
    if parts.contains(all) {
        return all.clone();
    }
    let mut rest: Vec<Expr> = parts.into_iter().filter(|p| p != nothing).collect();
    match rest.len() {
        0 => nothing.clone(),
        1 => rest.remove(0),
        _ => join(rest),
    }
}

/// Whether the conditions on related rows depend on the rows alone, not on the caller.
fn about_rows(model: &Model, what: &[(EntityId, OfWhat)]) -> bool {
    what.iter().all(|(target, what)| {
        let question = ("asks nothing of the caller", 0, *target, what.clone());
        (model.memo).once(question, false, || is_about_row(model, *target, what))
    })
}

fn is_about_row(model: &Model, target: EntityId, what: &OfWhat) -> bool {
    let entity = &model.entities[target];
    let rule = match what {
        OfWhat::Condition(index) => Some(&entity.conditions[*index].expr),
        OfWhat::Update => entity.access.update.as_ref(),
        OfWhat::Delete => entity.access.delete.as_ref(),
        OfWhat::Read => None,
    };
    rule.is_some_and(|rule| {
        let most = favoured(model, target, rule, true);
        most == favoured(model, target, rule, false) && most != Expr::Anyone
    })
}

fn collect(model: &Model, id: EntityId, state: &Expr, found: &mut Vec<String>) {
    let entity = &model.entities[id];
    let mut add = |name: &str| {
        let flag = entity.derived.iter().find_map(|d| match &d.kind {
            crate::model::DerivedKind::Flag { expr } if d.name == name => Some(expr),
            _ => None,
        });
        match flag {
            Some(expr) => collect(model, id, expr, found),
            None if !found.iter().any(|f| f == name) => found.push(name.to_owned()),
            None => {}
        }
    };
    match state {
        Expr::All(parts) | Expr::Any(parts) => {
            parts.iter().for_each(|p| collect(model, id, p, found));
        }
        Expr::Not(part) => collect(model, id, part, found),
        Expr::Condition(index) => collect(model, id, &entity.conditions[*index].expr, found),
        Expr::Compare { left, right, .. } => {
            names(left).chain(names(right)).for_each(&mut add);
        }
        Expr::In { value, .. } | Expr::IsNull(value) => names(value).for_each(&mut add),
        Expr::Flag(name) => add(name),
        Expr::Of { relation, .. } => add(&entity.belongs[*relation].id_column()),
        _ => {}
    }
}

fn names(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
    match value {
        Value::Column(name) => Box::new(std::iter::once(name.as_str())),
        Value::Add(a, b) | Value::Sub(a, b) => Box::new(names(a).chain(names(b))),
        Value::Literal(_) | Value::Related { .. } => Box::new(std::iter::empty()),
    }
}
