//! The journeys of requests through the engine, one file each, and what they share.
//!
//! A journey is optimistic: it runs the statement under the policies of the database, and only if no row comes back
//! does [`diagnose`] find out what to answer.

pub mod act;
pub mod create;
mod diagnose;
mod findings;
mod future;
pub mod get;
pub mod list;
mod national;
mod read_only;
mod refused;
mod stayed;
mod together;
pub mod update;

use crate::{
    actor::Actor,
    caller::Caller,
    cx::{ATTEMPTS, Cx},
    engine::Endpoint,
    error::{Error, Result},
    etag,
    http::metrics,
    input::Input,
    resource::{Resource, Transition},
    rule::{
        Rule,
        possible::{Possible, possible},
    },
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// A request, as the router passes it on.
pub(crate) struct Call {
    pub caller: Caller,
    /// The id from the path; `None` if it is not a valid id.
    pub id: Option<Uuid>,
    pub parts: Parts,
    pub body: Body,
}

/// Whether the statement returns the written object. Most callers can see what they write, so that is tried first;
/// PostgreSQL refuses to return a row that its writer may not read, and then the change is tried without.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Seen,
    Unseen,
}

/// A change of one object.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    Create,
    Update,
    Archive,
    Restore,
    Suspend,
    Unsuspend,
    Transition(&'static Transition),
}

impl Action {
    /// The name in the database's context, in hooks and in paths.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Suspend => "suspend",
            Self::Unsuspend => "unsuspend",
            Self::Transition(transition) => transition.name,
        }
    }

    /// The name in `Sql::probe` and in `allowed_actions`.
    fn right(self) -> &'static str {
        match self {
            Self::Archive => "delete",
            Self::Unsuspend => "suspend",
            other => other.name(),
        }
    }

    fn rule(self, resource: &Resource) -> &'static Rule {
        match self {
            Self::Create => resource.rules.create,
            Self::Update => resource.rules.update,
            Self::Archive => resource.rules.delete,
            Self::Restore => resource.rules.restore,
            Self::Suspend | Self::Unsuspend => resource.rules.suspend,
            Self::Transition(transition) => transition.rule,
        }
    }

    /// The status that an object must have for this action.
    fn starts_from(self) -> &'static str {
        match self {
            Self::Restore => "archived",
            Self::Unsuspend => "suspended",
            _ => "active",
        }
    }

    fn sql(self, resource: &Resource) -> &'static str {
        match self {
            Self::Create => resource.sql.create,
            Self::Update => resource.sql.update,
            Self::Archive => resource.sql.archive,
            Self::Restore => resource.sql.restore,
            Self::Suspend => resource.sql.suspend,
            Self::Unsuspend => resource.sql.unsuspend,
            Self::Transition(transition) => transition.sql,
        }
    }
}

/// Runs a transaction again if it lost against a concurrent one.
pub(crate) fn try_again(error: &Error, attempt: u32) -> bool {
    let again = error.is_transient() && attempt < ATTEMPTS;
    if again {
        metrics::RETRIED.add();
    }
    again
}

/// What can be decided without the database: 401 for anonymous callers where they can do nothing, 403 where nobody
/// can.
fn require(rule: &Rule, caller: &Caller) -> Result<()> {
    match possible(rule, &caller.actor, None) {
        Possible::Never => Err(denied(caller)),
        _ => Ok(()),
    }
}

fn denied(caller: &Caller) -> Error {
    match caller.actor {
        Actor::Anonymous => Error::unauthenticated(),
        Actor::User { .. } => Error::forbidden(),
    }
}

/// The same with the caller's roles: is there any object for which it could be allowed?
async fn require_with_roles(rule: &Rule, caller: &Caller, cx: &mut Cx) -> Result<()> {
    if caller.actor == Actor::Anonymous {
        return require(rule, caller);
    }
    let facts = cx.facts().await?;
    match possible(rule, &caller.actor, Some(&facts)) {
        Possible::Never => Err(Error::forbidden()),
        _ => Ok(()),
    }
}

fn span(endpoint: &Endpoint, action: &str) {
    let span = tracing::Span::current();
    span.record("entity", endpoint.resource().name);
    span.record("action", action);
}

/// The error after the last attempt. A refusal without an explanation raises an alarm: policies and rules differ.
fn settled<T>(resource: &Resource, action: Action, result: Result<T>) -> Result<T> {
    match result {
        Err(error) if error.is_unexplained() => {
            Err(diagnose::divergence(resource, action, "no row"))
        }
        settled => settled,
    }
}

fn has_hook(endpoint: &Endpoint, action: Action) -> bool {
    endpoint.mounted.hooks.is_some() && endpoint.resource().hooks.contains(&action.name())
}

/// A change that consists of a single statement, and whose answer is in the row that it returns, needs no transaction
/// of its own.
fn is_one_statement(endpoint: &Endpoint, action: Action) -> bool {
    let resource = endpoint.resource();
    let is_answer = match action {
        Action::Create => !resource.guarded && !resource.sql.create.contains(" default values "),
        Action::Update => !resource.guarded,
        Action::Archive => true,
        _ => false,
    };
    is_answer && !has_hook(endpoint, action)
}

async fn hook(
    endpoint: &Endpoint,
    action: Action,
    cx: &mut Cx,
    id: Option<Uuid>,
    input: Option<&mut dyn Input>,
) -> Result<()> {
    match &endpoint.mounted.hooks {
        Some(hooks) if has_hook(endpoint, action) => {
            hooks.before(action.name(), cx, id, input).await
        }
        _ => Ok(()),
    }
}

/// For the attempt without returning the object: the change may hide the object from the caller.
async fn may_be_hidden(cx: &mut Cx, resource: &Resource, id: Uuid) -> Result<()> {
    if diagnose::probe(cx, resource, id).await?.is_some() {
        sqlx::query("select set_config('app.changed', $1::text, true)")
            .bind(id)
            .execute(cx.conn())
            .await?;
    }
    Ok(())
}

/// An object and its tag.
struct Shown {
    body: Vec<u8>,
    tag: HeaderValue,
}

impl Shown {
    fn of(resource: &Resource, row: &PgRow) -> Result<Self, sqlx::Error> {
        let mut body = Vec::with_capacity(1024);
        resource.write(row, &mut body)?;
        Ok(Self {
            tag: etag::tag(version(row)?, &body),
            body,
        })
    }

    /// Reads the object as the caller now sees it, in the same transaction.
    async fn read(resource: &Resource, cx: &mut Cx, id: Uuid) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query(resource.sql.get)
            .bind(id)
            .fetch_optional(cx.conn())
            .await?;
        row.map(|row| Self::of(resource, &row)).transpose()
    }

    /// The answer with an additional property about this change; the tag is still that of the object.
    fn with(mut self, name: &'static str, value: &impl Serialize) -> Result<Self> {
        let end = self.body.pop();
        debug_assert_eq!(end, Some(b'}'), "an object is encoded as one");
        self.body.extend_from_slice(b",\"");
        self.body.extend_from_slice(name.as_bytes());
        self.body.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.body, value).map_err(Error::internal)?;
        self.body.push(b'}');
        Ok(self)
    }

    fn answer(self, status: StatusCode) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = status;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        response.headers_mut().insert(header::ETAG, self.tag);
        response
    }
}

/// Entities that never change have no version.
fn version(row: &PgRow) -> Result<i64, sqlx::Error> {
    match row.try_get("version") {
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(0),
        version => version,
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
