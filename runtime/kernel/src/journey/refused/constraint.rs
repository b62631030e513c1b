//! The answer for the name of the constraint by which the database has refused a change.

use super::{
    super::{Action, has_hook},
    Attempt,
};
use crate::{
    error::Error,
    journey::future,
    problem::Item,
    problems, quota,
    resource::{Answer, Constraint, Resource},
};
use serde_json::{Map, Value};
use sqlx::{error::DatabaseError, postgres::PgDatabaseError};

pub(super) fn by_constraint(attempt: &Attempt<'_>, error: &sqlx::Error) -> Option<Error> {
    let database = error.as_database_error()?;
    let name = database.constraint()?;
    let resource = attempt.endpoint.resource();
    let known = resource
        .constraints
        .iter()
        .find(|constraint| constraint.name == name);
    if let Some(state) = guard(resource, attempt.action, name, known) {
        return Some(state);
    }
    match known {
        Some(known) => Some(of_constraint(attempt, known, database)),
        None => unknown(attempt, database),
    }
}

fn of_constraint(
    attempt: &Attempt<'_>,
    constraint: &Constraint,
    database: &dyn DatabaseError,
) -> Error {
    let resource = attempt.endpoint.resource();
    let (kind, code) = match (constraint.answer, attempt.action) {
        (Answer::Conflict, _) => (&problems::CONFLICT, "conflict"),
        // Without a body no field of it can be wrong: the conflict is with other data.
        (Answer::Reference, Action::Create | Action::Update) => (&problems::REFERENCE, "reference"),
        (Answer::Reference, _) => (&problems::CONFLICT, "reference"),
        (Answer::Invalid, Action::Create | Action::Update) => (&problems::INVALID, "invalid"),
        (Answer::Future | Answer::FutureOnCreate, _) => (&problems::INVALID, future::CODE),
        (Answer::Counted, Action::Update) if is_sent(attempt.body, constraint.pointer) => {
            (&problems::INVALID, "invalid")
        }
        (Answer::Invalid | Answer::Counted, _) => return broken(resource, constraint),
        // No single field is wrong.
        (Answer::Kept | Answer::Blocked, _) => {
            return Error::new(&problems::CONFLICT).detail(constraint.detail);
        }
        (Answer::Quota, _) => return exceeded(constraint, database),
    };
    let error = Error::new(kind).item(Item::body(constraint.pointer, code, constraint.detail));
    // The caller or their session, which the database has put in: it has ended since the transaction began. Run again,
    // the request is refused as those of ended accounts are.
    let is_callers = constraint.answer == Answer::Reference
        && matches!(attempt.action, Action::Create)
        && !is_sent(attempt.body, constraint.pointer);
    match is_callers {
        true => error.run_again(),
        false => error,
    }
}

/// A check of a row whose values were not sent by the caller, in the words of the check.
fn broken(of: &Resource, check: &Constraint) -> Error {
    let detail = match check.detail.starts_with("must ") {
        true => format!("This {} {}.", of.name.replace('_', " "), check.detail),
        false => check.detail.to_owned(),
    };
    Error::new(&problems::CONFLICT).detail(detail)
}

/// Whether the body has the field that `/name` points to.
fn is_sent(body: &[u8], pointer: &str) -> bool {
    let body = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    let name = pointer.strip_prefix('/').unwrap_or_default();
    body.contains_key(name)
}

/// `<table>_<verb>_from`, `<table>_<verb>_when`: raised by the guard trigger of transitions.
fn guard(
    resource: &Resource,
    action: Action,
    name: &str,
    known: Option<&Constraint>,
) -> Option<Error> {
    let Action::Transition(transition) = action else {
        return None;
    };
    let verb = name
        .strip_prefix(resource.plural)?
        .strip_prefix('_')?
        .strip_prefix(transition.name)?;
    let detail = match (verb, known, transition.when) {
        ("_from" | "_when", Some(known), _) => format!("This is {}.", known.detail),
        ("_from", None, _) => format!("This starts from {}.", transition.from.join(" or ")),
        ("_when", None, Some(when)) => format!("This is only possible when {when}."),
        ("_when", None, None) => "The condition of this action does not hold.".to_owned(),
        _ => return None,
    };
    Some(Error::new(&problems::STATE).detail(detail))
}

const OF_OTHERS: &str = "Other objects refer to this one, or one of them would have a value that must be unique and is already used.";

/// Constraints of other tables (a cascade, a row that refers to this one) and those without a text of their own.
fn unknown(attempt: &Attempt<'_>, database: &dyn DatabaseError) -> Option<Error> {
    let resource = attempt.endpoint.resource();
    let changes_fields = matches!(attempt.action, Action::Create | Action::Update);
    let kind = match database.code().as_deref() {
        Some("23503") if changes_fields => &problems::REFERENCE,
        // 23001: one of our triggers refuses to end a row that must remain, or to change an archived row.
        Some("23503" | "23001") => &problems::CONFLICT,
        Some("23505" | "23P01") if changes_fields => &problems::INVALID,
        Some("23505" | "23P01") => &problems::CONFLICT,
        // A check of a parent, which counts its children.
        Some("23514")
            if database
                .table()
                .is_some_and(|table| table != resource.plural) =>
        {
            // Checks of every ancestor, because archiving can cascade to rows that are counted there.
            if let Some(told) = check_of_another(attempt, database) {
                return Some(told);
            }
            &problems::CONFLICT
        }
        Some("23514") if !changes_fields => &problems::STATE,
        Some("23514") if has_hook(attempt.endpoint, attempt.action) => &problems::INVALID,
        _ => return None,
    };
    tracing::info!(
        constraint = database.constraint(),
        "a constraint without a text of its own"
    );
    let error = Error::new(kind);
    let error = match kind == &problems::CONFLICT {
        // It is about other rows, so `errors` names no field.
        true => error.detail(OF_OTHERS),
        false => error,
    };
    // A hook says what a trigger or an exclusion constraint refuses. If it has let this through, another transaction came
    // between the two, and run again, the hook sees what that has changed.
    let came_between = matches!(database.code().as_deref(), Some("23514" | "23P01"))
        && has_hook(attempt.endpoint, attempt.action);
    Some(match came_between {
        true => error.run_again(),
        false => error,
    })
}

/// A check or a quota of another entity: of one whose counters the row changes, or of the roles, of which the creator of
/// a row is given one.
fn check_of_another(attempt: &Attempt<'_>, database: &dyn DatabaseError) -> Option<Error> {
    let (table, name) = (database.table()?, database.constraint()?);
    let mut mounted = attempt.endpoint.engine.entities();
    let other = mounted.find(|one| one.resource.plural == table)?.resource;
    let mut checks = other.constraints.iter();
    let check = checks.find(|constraint| constraint.name == name)?;
    match check.answer {
        Answer::Invalid | Answer::Counted => Some(broken(other, check)),
        Answer::Quota => Some(exceeded(check, database)),
        _ => None,
    }
}

fn exceeded(limit: &Constraint, database: &dyn DatabaseError) -> Error {
    let left = quota::seconds_to_midnight();
    let error = Error::new(&problems::QUOTA).detail(limit.detail);
    // The detail of the database's error is the number that may be created.
    let refusal = database.try_downcast_ref::<PgDatabaseError>();
    let most = refusal.and_then(|refusal| refusal.detail()?.parse().ok());
    error.limited(limit.name, most.map(|most| (most, 86_400)), left)
}
