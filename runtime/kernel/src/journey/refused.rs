//! Explains an error with which the database refused a change.
//!
//! Constraint names are looked up in the resource. Messages of the database are never passed on, except the field
//! names that our own trigger reports.

use super::{
    Action, Shown, Way,
    diagnose::{Trouble, diagnose},
    findings::{complete, incomplete},
    future,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result, missing_privilege},
    etag::Precondition,
    problem::{Item, Named},
    problems, quota,
    resource::{Answer, Constraint, Expand, Resource},
    rule::possible::{Possible, possible},
};
use serde_json::{Map, Value};
use sqlx::{
    Row,
    error::DatabaseError,
    postgres::{PgDatabaseError, PgRow},
};
use uuid::Uuid;

const UNUSABLE: &str = "does not refer to anything you can use here";

/// The change that was tried.
pub(super) struct Attempt<'a> {
    pub endpoint: &'a Endpoint,
    pub caller: &'a Caller,
    pub action: Action,
    pub id: Option<Uuid>,
    /// The body as it was sent.
    pub body: &'a [u8],
}

/// Commits. Deferred constraints are explained like immediate ones.
pub(super) async fn commit(cx: Cx, attempt: &Attempt<'_>) -> Result<()> {
    match cx.commit().await {
        Ok(()) => Ok(()),
        Err(error) => Err(by_constraint(attempt, &error).unwrap_or_else(|| error.into())),
    }
}

/// Looks up the reason in new transactions, because the one with the failed statement has been rolled back.
pub(super) async fn explain(attempt: &Attempt<'_>, error: sqlx::Error) -> Error {
    if let Some(missing) = missing_privilege(&error) {
        return missing;
    }
    if let Some(found) = blocked(attempt, &error).await {
        return found.unwrap_or_else(|error| error);
    }
    if let Some(found) = lacking(attempt, &error).await {
        return found.unwrap_or_else(|error| error);
    }
    if let Some(known) = by_constraint(attempt, &error) {
        return everything(attempt, known).await;
    }
    match error.as_database_error() {
        Some(database) if database.code().as_deref() == Some("42501") => {
            denied(attempt, database.message()).await
        }
        _ => error.into(),
    }
}

/// Keys that are missing in objects of a PATCH that turned out to have nothing to be merged with.
async fn lacking(attempt: &Attempt<'_>, error: &sqlx::Error) -> Option<Result<Error>> {
    let resource = attempt.endpoint.resource();
    let (decode, id) = (resource.update?, attempt.id?);
    let name = error.as_database_error()?.constraint()?;
    if !matches!(attempt.action, Action::Update) || !name.ends_with("_format") {
        return None;
    }
    let shown = match shown(attempt, id).await {
        Ok(shown) => shown?,
        Err(error) => return Some(Err(error)),
    };
    let mut missing = incomplete(decode, attempt.body, &shown.body).into_iter();
    let first = Error::new(&problems::INVALID).item(missing.next()?);
    let found = missing.fold(first, Error::with_finding);
    Some(Ok(everything(attempt, found).await))
}

async fn shown(attempt: &Attempt<'_>, id: Uuid) -> Result<Option<Shown>> {
    let endpoint = attempt.endpoint;
    let mut cx = endpoint.engine.db.begin_read(attempt.caller).await?;
    Ok(Shown::read(endpoint.resource(), &mut cx, id).await?)
}

/// Whether to try again without returning the object: a policy refused the new row, and it may have been the policy
/// for reading, because some callers can't see the objects that they create or change.
pub(super) fn may_be_unseen(attempt: &Attempt<'_>, way: Way, error: &sqlx::Error) -> bool {
    let resource = attempt.endpoint.resource();
    let goes_unseen = match attempt.action {
        Action::Create => resource.created_unseen,
        _ => resource.hides,
    };
    way == Way::Seen && goes_unseen && by_policy(error)
}

/// Whether the error is about one of several rows that a statement writes, without saying which.
pub(super) fn is_about_a_row(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    let code = database.and_then(DatabaseError::code);
    code.is_some_and(|code| code.starts_with("23") || code == "42501")
}

/// A policy refused the new row: either the caller may not write it, or the caller may not read it afterwards.
fn by_policy(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|database| {
        let text = "new row violates row-level security policy";
        database.code().as_deref() == Some("42501") && database.message().starts_with(text)
    })
}

/// Children that may not be archived with the object. The database reports all of them; the caller is told of those
/// that they can see.
async fn blocked(attempt: &Attempt<'_>, error: &sqlx::Error) -> Option<Result<Error>> {
    let database = error.as_database_error()?;
    let name = database.constraint()?;
    let mut constraints = attempt.endpoint.resource().constraints.iter();
    let known = constraints.find(|known| known.name == name && known.answer == Answer::Blocked)?;
    let ids = database
        .try_downcast_ref::<PgDatabaseError>()
        .and_then(PgDatabaseError::detail)
        .unwrap_or_default();
    let ids: Vec<Uuid> = ids.split(' ').filter_map(|id| id.parse().ok()).collect();
    Some(name_blocking(attempt, known, database.table(), ids).await)
}

async fn name_blocking(
    attempt: &Attempt<'_>,
    known: &Constraint,
    table: Option<&str>,
    ids: Vec<Uuid>,
) -> Result<Error> {
    let mut error = Error::new(&problems::CONFLICT).detail(known.detail);
    let engine = &attempt.endpoint.engine;
    let mut entities = engine.entities();
    let Some(mounted) = entities.find(|mounted| Some(mounted.resource.plural) == table) else {
        return Ok(error);
    };
    let mut cx = engine.db.begin_read(attempt.caller).await?;
    let rows = sqlx::query(mounted.resource.sql.by_ids)
        .bind(ids)
        .fetch_all(cx.conn())
        .await?;
    for row in rows {
        let object = Named {
            r#type: mounted.resource.name,
            id: row.try_get("id")?,
        };
        error = error.item(Item::object(object, "blocked", known.detail));
    }
    Ok(error)
}

/// The database reports one mistake. The caller has tried the change and may therefore be told of all others too.
async fn everything(attempt: &Attempt<'_>, error: Error) -> Error {
    if !matches!(attempt.action, Action::Create | Action::Update) {
        return error;
    }
    let told = error.copy();
    find_all(attempt, error).await.unwrap_or(told)
}

async fn find_all(attempt: &Attempt<'_>, error: Error) -> Result<Error> {
    let db = &attempt.endpoint.engine.db;
    let mut cx = db
        .begin_write(attempt.caller, attempt.action.name())
        .await?;
    let shown = match attempt.id {
        Some(id) => match Shown::read(attempt.endpoint.resource(), &mut cx, id).await? {
            Some(shown) => Some(shown),
            // It has gone meanwhile.
            None => return Ok(error),
        },
        None => None,
    };
    let shown = shown.as_ref().map(|shown| &*shown.body);
    complete(&mut cx, attempt, shown, error).await
}

/// The policies or grants of the database refused.
async fn denied(attempt: &Attempt<'_>, message: &str) -> Error {
    if let Some(fields) = message.strip_prefix("fields ") {
        let wrong = |field| {
            let pointer = format!("/{field}");
            Item::body(pointer, "forbidden", "You may not set this field.")
        };
        let error = Error::new(&problems::FORBIDDEN_FIELD);
        return fields.split(' ').map(wrong).fold(error, Error::item);
    }
    match second_look(attempt).await {
        Ok(error) | Err(error) => error,
    }
}

/// Finds out in a new transaction whether a reference or the caller was refused.
async fn second_look(attempt: &Attempt<'_>) -> Result<Error> {
    let resource = attempt.endpoint.resource();
    let mut cx = attempt
        .endpoint
        .engine
        .db
        .begin_write(attempt.caller, attempt.action.name())
        .await?;
    super::require_with_roles(attempt.action.rule(resource), attempt.caller, &mut cx).await?;
    if let Some(unusable) = unusable_references(&mut cx, attempt).await? {
        drop(cx);
        return Ok(everything(attempt, unusable).await);
    }
    let Some(id) = attempt.id else {
        let rule = attempt.action.rule(resource);
        return Ok(match possible(rule, &attempt.caller.actor, None) {
            // Callers who are always allowed can only have been refused because of a reference.
            Possible::Always => unnamed_references(resource, attempt.body),
            _ => super::denied(attempt.caller),
        });
    };
    let trouble = Trouble {
        resource,
        caller: attempt.caller,
        action: attempt.action,
        id: Some(id),
        invalid: None,
        precondition: &Precondition::Any,
        required: false,
        // The caller may change the object, but not to these values.
        otherwise: Some(Error::forbidden()),
    };
    Ok(diagnose(&mut cx, trouble).await)
}

/// References in the body to rows that the caller can't see, or that are suspended: some callers can see suspended
/// rows, but nobody can refer to them.
pub(super) async fn unusable_references(
    cx: &mut Cx,
    attempt: &Attempt<'_>,
) -> Result<Option<Error>> {
    let resource = attempt.endpoint.resource();
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(attempt.body) else {
        return Ok(None);
    };
    let mut error = Error::new(&problems::REFERENCE);
    for expand in resource.expands {
        let Some((target, id)) = reference(expand, &body) else {
            continue;
        };
        let Some(mounted) = attempt.endpoint.engine.entity(target) else {
            continue;
        };
        let found = sqlx::query(mounted.resource.sql.by_ids)
            .bind(vec![id])
            .fetch_optional(cx.conn())
            .await?;
        if !is_usable(found)? {
            error = error.item(Item::body(
                format!("/{}", expand.column),
                "reference",
                UNUSABLE,
            ));
        }
    }
    Ok((!error.problem().errors.is_empty()).then_some(error))
}

/// References in the body to entities that are never shown, which therefore can't be looked up.
fn unnamed_references(resource: &Resource, body: &[u8]) -> Error {
    let body = serde_json::from_slice::<Map<String, Value>>(body).unwrap_or_default();
    let mut pointers: Vec<&'static str> = Vec::new();
    for constraint in resource.constraints {
        let column = constraint.pointer.trim_start_matches('/');
        let is_shown = resource
            .expands
            .iter()
            .any(|expand| expand.column == column);
        let is_sent = body.get(column).is_some_and(|value| !value.is_null());
        if constraint.answer == Answer::Reference
            && is_sent
            && !is_shown
            && !pointers.contains(&constraint.pointer)
        {
            pointers.push(constraint.pointer);
        }
    }
    pointers
        .into_iter()
        .fold(Error::new(&problems::REFERENCE), |error, pointer| {
            error.item(Item::body(pointer, "reference", UNUSABLE))
        })
}

fn is_usable(found: Option<PgRow>) -> Result<bool> {
    let Some(row) = found else { return Ok(false) };
    match row.try_get::<&str, _>("status") {
        // No status is selected: rows of this entity can't be suspended.
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(true),
        status => Ok(status? == "active"),
    }
}

fn reference<'a>(expand: &Expand, body: &'a Map<String, Value>) -> Option<(&'a str, Uuid)>
where
    'static: 'a,
{
    let id = body.get(expand.column)?.as_str()?.parse().ok()?;
    let target = match expand.type_column {
        Some(column) => body.get(column)?.as_str()?,
        None => expand.targets.first()?,
    };
    Some((target, id))
}

fn by_constraint(attempt: &Attempt<'_>, error: &sqlx::Error) -> Option<Error> {
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
        Some(known) => Some(of_constraint(attempt, known)),
        None => unknown(attempt, database),
    }
}

fn of_constraint(attempt: &Attempt<'_>, constraint: &Constraint) -> Error {
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
        (Answer::Quota, _) => {
            return Error::new(&problems::QUOTA)
                .detail(constraint.detail)
                .limited(constraint.name, None, quota::seconds_to_midnight());
        }
    };
    Error::new(kind).item(Item::body(constraint.pointer, code, constraint.detail))
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
        _ => return None,
    };
    tracing::info!(
        constraint = database.constraint(),
        "a constraint without a text of its own"
    );
    Some(Error::new(kind))
}

fn check_of_another(attempt: &Attempt<'_>, database: &dyn DatabaseError) -> Option<Error> {
    let (table, name) = (database.table()?, database.constraint()?);
    let mut mounted = attempt.endpoint.engine.entities();
    let other = mounted.find(|one| one.resource.plural == table)?.resource;
    let mut checks = other.constraints.iter();
    let check = checks.find(|constraint| constraint.name == name)?;
    let is_check = matches!(check.answer, Answer::Invalid | Answer::Counted);
    is_check.then(|| broken(other, check))
}
