//! Explains an error with which the database refused a change.
//!
//! Constraint names are looked up in the resource. Messages of the database are never passed on, except the field
//! names that our own trigger reports.

mod constraint;
pub(super) mod references;

use super::{
    Action, Shown, Way,
    diagnose::{Trouble, diagnose},
    findings::{complete, incomplete},
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result, missing_privilege},
    etag::Precondition,
    input::Mode,
    problem::{Item, Named},
    problems,
    resource::{Answer, Constraint},
    rule::possible::{Possible, possible},
};
use constraint::by_constraint;
use sqlx::{Row, error::DatabaseError, postgres::PgDatabaseError};
use uuid::Uuid;

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
        return match known.is_transient() {
            true => known,
            false => everything(attempt, known).await,
        };
    }
    match error.as_database_error() {
        Some(database) if database.code().as_deref() == Some("42501") => {
            denied(attempt, database.message()).await
        }
        _ => error.into(),
    }
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

async fn begin(attempt: &Attempt<'_>) -> Result<Cx> {
    let db = &attempt.endpoint.engine.db;
    db.begin_write(attempt.caller, attempt.action.name()).await
}

async fn find_all(attempt: &Attempt<'_>, error: Error) -> Result<Error> {
    let mut cx = begin(attempt).await?;
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
    let refused = match message.strip_prefix("fields ") {
        Some(fields) => forbidden(attempt, fields).await,
        None => second_look(attempt).await,
    };
    match refused {
        Ok(error) | Err(error) => error,
    }
}

/// The guards of fields are asked before the policies and the references, so the caller may not be allowed the whole
/// action, or its references may be the reason.
async fn forbidden(attempt: &Attempt<'_>, fields: &str) -> Result<Error> {
    let fields: Vec<&str> = fields.split(' ').collect();
    if matches!(attempt.action, Action::Create) {
        let mut cx = begin(attempt).await?;
        if let Some(unusable) = references::unusable(&mut cx, attempt).await? {
            drop(cx);
            return Ok(everything(attempt, unusable).await);
        }
        if are_required(attempt, &fields) {
            return Ok(super::denied(attempt.caller));
        }
    }
    let wrong = |field| {
        let pointer = format!("/{field}");
        Item::body(pointer, "forbidden", "You may not set this field.")
    };
    let error = Error::new(&problems::FORBIDDEN_FIELD);
    Ok(fields.into_iter().map(wrong).fold(error, Error::item))
}

/// Whether a new object needs one of these fields: whoever may not set it can't create any.
fn are_required(attempt: &Attempt<'_>, fields: &[&str]) -> bool {
    let Some(decode) = attempt.endpoint.resource().create else {
        return false;
    };
    let Err(missing) = decode(b"{}", Mode::Create) else {
        return false;
    };
    let missing = Error::from(missing);
    let mut items = missing.problem().errors.iter();
    items.any(|item| {
        let pointer = item.pointer.as_deref().unwrap_or_default();
        item.code == "required" && fields.contains(&pointer.trim_start_matches('/'))
    })
}

/// Finds out in a new transaction whether a reference or the caller was refused.
async fn second_look(attempt: &Attempt<'_>) -> Result<Error> {
    let resource = attempt.endpoint.resource();
    let mut cx = begin(attempt).await?;
    super::require_with_roles(attempt.action.rule(resource), attempt.caller, &mut cx).await?;
    if let Some(unusable) = references::unusable(&mut cx, attempt).await? {
        drop(cx);
        return Ok(everything(attempt, unusable).await);
    }
    let Some(id) = attempt.id else {
        let rule = attempt.action.rule(resource);
        return Ok(match possible(rule, &attempt.caller.actor, None) {
            // Callers who are always allowed can only have been refused because of a reference.
            Possible::Always => references::unnamed(resource, attempt.body),
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
