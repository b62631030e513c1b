//! The error of a request as one type: a problem for the client and a cause for the log.
//!
//! Messages of the database stay in the cause and never reach the client.

use crate::{
    cx::connect,
    http::metrics,
    input::Invalid,
    problem::{Item, Limit, Problem},
    problems::{self, Kind},
};
use axum::response::{IntoResponse, Response};
use sqlx::postgres::PgDatabaseError;
use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Boxed, because errors are rare and results are everywhere.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    problem: Problem,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    again: Again,
}

/// Whether the same transaction may succeed when it is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    No,
    /// The transaction lost against a concurrent one: serialization failure or deadlock.
    Transient,
    /// The statement changed no row, and nothing that can be read now explains why.
    Unexplained,
}

/// The name of the violated constraint. Generated code has constants for them: `user::constraint::EMAIL_KEY`.
pub fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// The kind of problem that an answer carries. `None`: the answer is not a problem of ours.
pub fn refusal(answer: &Response) -> Option<&'static Kind> {
    let carried = answer.extensions().get::<Carried>()?;
    Some(carried.problem.kind)
}

/// What an answer carries besides its body, so that the outer layer can add the request id and log the cause.
#[derive(Clone)]
pub(crate) struct Carried {
    pub problem: Problem,
    pub cause: Option<Arc<str>>,
}

impl Error {
    pub fn new(kind: &'static Kind) -> Self {
        Problem::new(kind).into()
    }

    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.problem.detail = detail.into();
        self
    }

    pub fn item(mut self, item: Item) -> Self {
        self.0.problem.errors.push(item);
        self
    }

    /// The problem for the client, without the cause.
    pub(crate) fn copy(&self) -> Self {
        self.0.problem.clone().into()
    }

    /// Adds another error of the same request. Invalid values take precedence over conflicts with other data: a
    /// conflict together with an invalid value is an invalid request.
    pub(crate) fn with_finding(mut self, item: Item) -> Self {
        let kind = match item.code {
            "reference" => &problems::REFERENCE,
            "conflict" => &problems::CONFLICT,
            _ => &problems::INVALID,
        };
        let problem = &mut self.0.problem;
        if rank(kind) < rank(problem.kind) {
            (problem.kind, problem.detail) = (kind, kind.doc.into());
        }
        let same = |known: &Item| {
            (&known.pointer, &known.parameter, known.code)
                == (&item.pointer, &item.parameter, item.code)
        };
        if !problem.errors.iter().any(same) {
            problem.errors.push(item);
        }
        self
    }

    /// Combined with the errors found before. A problem without a list of errors (an unreadable body, a header) is
    /// reported alone.
    pub(crate) fn after(self, first: Option<Self>) -> Self {
        match first {
            None => self,
            Some(first) if first.0.problem.errors.is_empty() => first,
            Some(_) if self.0.problem.errors.is_empty() => self,
            Some(first) => {
                let items = self.0.problem.errors.into_iter();
                items.fold(first, Self::with_finding)
            }
        }
    }

    /// With each listed error mapped to another one.
    pub(crate) fn map_items(mut self, told: impl FnMut(Item) -> Item) -> Self {
        let items = std::mem::take(&mut self.0.problem.errors);
        self.0.problem.errors = items.into_iter().map(told).collect();
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.problem.retry_after = Some(seconds);
        self
    }

    /// For 429: the limit that is exceeded, and when another attempt may succeed. `policy` is how many are allowed in how
    /// many seconds.
    pub fn limited(mut self, name: &'static str, policy: Option<(u32, u64)>, seconds: u64) -> Self {
        self.0.problem.limit = Some(Limit { name, policy });
        self.retry_after(seconds)
    }

    /// For the log only.
    pub fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// 422 for one field of the body.
    pub fn field(
        pointer: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(&problems::INVALID).item(Item::body(pointer, code, detail))
    }

    /// 500 with the cause in the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(&problems::INTERNAL).because(cause)
    }

    pub fn unavailable() -> Self {
        Self::new(&problems::UNAVAILABLE).retry_after(2)
    }

    /// 503 for a request whose time is over, and of which nobody knows how far it has come.
    pub(crate) fn too_slow() -> Self {
        Self::unavailable()
            .detail(TOO_SLOW)
            .because("handler timeout")
    }

    pub fn not_found() -> Self {
        Self::new(&problems::NOT_FOUND)
    }

    pub fn forbidden() -> Self {
        Self::new(&problems::FORBIDDEN)
    }

    pub fn unauthenticated() -> Self {
        Self::new(&problems::UNAUTHENTICATED)
    }

    pub fn kind(&self) -> &'static Kind {
        self.0.problem.kind
    }

    pub fn status(&self) -> u16 {
        self.kind().status
    }

    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// What led to the error, for logs. `None`: the problem says everything.
    pub fn cause(&self) -> Option<String> {
        self.0.cause.as_deref().map(ToString::to_string)
    }

    /// The cause or, without one, what the client is told. For administrators.
    pub fn reason(&self) -> String {
        self.cause().unwrap_or_else(|| self.to_string())
    }

    /// 403 for a statement that changed no row although the rules allow it. Somebody else may have changed the row in
    /// between, which a retry finds out. If it persists, policies and rules differ.
    pub(crate) fn unexplained() -> Self {
        let mut error = Self::forbidden().because("policy divergence: no row");
        error.0.again = Again::Unexplained;
        error
    }

    /// Has the transaction run again: what it has met was written by another one after it had looked.
    pub fn run_again(mut self) -> Self {
        self.0.again = Again::Transient;
        self
    }

    /// The same transaction may succeed when run again.
    pub fn is_transient(&self) -> bool {
        self.0.again != Again::No
    }

    pub(crate) fn is_unexplained(&self) -> bool {
        self.0.again == Again::Unexplained
    }

    /// Whether it is a refusal (4xx) and not a failure of the server.
    pub fn is_refusal(&self) -> bool {
        self.0.again == Again::No && self.0.problem.kind.status < 500
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self(Box::new(Inner {
            problem,
            cause: None,
            again: Again::No,
        }))
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Syntax(detail) => Self::new(&problems::SYNTAX).detail(detail),
            Invalid::Fields(fields) => {
                let mut error = Self::new(&problems::INVALID);
                error.0.problem.errors = fields.into_iter().map(Item::from).collect();
                error
            }
        }
    }
}

/// Translates an error of the database when nothing more is known about the statement.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
                return Self::unavailable().because(error);
            }
            sqlx::Error::Io(_) => return Self::unavailable().detail(LOST).because(error),
            _ => return Self::internal(error),
        };
        if let Some(missing) = missing_privilege(&error) {
            return missing;
        }
        let message = match &error {
            sqlx::Error::Database(database) => database.message(),
            _ => "",
        };
        let mut answer = match code.as_str() {
            "28000" if message.contains("session_revoked") => Self::new(&problems::SESSION_REVOKED),
            "28000" if message.contains("account_") => Self::new(&problems::ACCOUNT_SUSPENDED),
            "40001" | "40P01" => {
                let mut again = Self::unavailable();
                again.0.again = Again::Transient;
                again
            }
            // The database has become a standby, and this connection still leads to it.
            "25006" => {
                connect::replace();
                Self::unavailable()
            }
            "57P01" | "57P02" => Self::unavailable().detail(LOST),
            code if is_passing(code) => Self::unavailable(),
            // Of connecting: the password is being changed, or the login is not let in. (Ours are above.)
            "28000" | "28P01" => Self::unavailable(),
            "42501" => Self::forbidden(),
            "23505" | "23P01" => Self::new(&problems::CONFLICT),
            "23502" | "23514" | "22001" | "22003" | "22007" | "22008" | "22021" | "22P02"
            | "22P05" => Self::new(&problems::INVALID),
            "23503" => Self::new(&problems::REFERENCE),
            _ => Self::new(&problems::INTERNAL),
        };
        answer.0.cause = Some(Box::new(error));
        answer
    }
}

/// The answer to a `commit` may be what was lost.
const LOST: &str = "The connection to the database was lost. If the request was to change something, that may have been \
done or not: look, or repeat it with the same `Idempotency-Key`, after `Retry-After` seconds.";

/// The handler may have committed before, and one with a key goes on.
const TOO_SLOW: &str = "The request took too long and was given up. If it was to change something, that may have been done \
or not: look, or repeat it with the same `Idempotency-Key`, after `Retry-After` seconds.";

/// Whether the database role lacks a grant that one of our own statements needs. That is always a mistake of ours and
/// never a refusal, so it raises an alarm and is answered 500. (Refusals by policies have the same code 42501.)
pub(crate) fn missing_privilege(error: &sqlx::Error) -> Option<Error> {
    let database = error.as_database_error()?;
    if database.code().as_deref() != Some("42501") {
        return None;
    }
    // The message may be translated, but the name of the routine is not.
    let routine = database
        .try_downcast_ref::<PgDatabaseError>()
        .and_then(|error| error.routine())
        .unwrap_or_default();
    if !routine.starts_with("aclcheck_error")
        && !database.message().starts_with("permission denied")
    {
        return None;
    }
    metrics::MISSING_PRIVILEGE.add();
    tracing::error!(cause = database.message(), "missing privilege");
    Some(Error::internal(format!(
        "missing privilege: {}",
        database.message()
    )))
}

/// The order in which kinds of errors take precedence.
fn rank(kind: &Kind) -> usize {
    let order = [
        &problems::INVALID,
        &problems::REFERENCE,
        &problems::CONFLICT,
    ];
    let at = order.iter().position(|known| known.slug == kind.slug);
    at.unwrap_or(order.len())
}

/// Whether the database can't do now what it can do at other times: locks and statements that take too long, a shutdown,
/// too many connections, no space left on the disk, no memory, a disk that does not answer.
fn is_passing(code: &str) -> bool {
    matches!(
        code,
        "55P03" | "57014" | "57P03" | "57P05" | "25P03" | "25P04"
    ) || code.starts_with("53")
        || code == "58030"
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            self.0.problem.kind.title, self.0.problem.detail
        )
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn StdError + 'static))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.0.problem.response(None);
        response.extensions_mut().insert(Carried {
            cause: self.0.cause.map(|cause| cause.to_string().into()),
            problem: self.0.problem,
        });
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_are_told_the_cause_or_what_the_client_is_told() {
        let failed = Error::internal("the disk is full");
        assert_eq!(failed.cause().as_deref(), Some("the disk is full"));
        assert_eq!(failed.reason(), "the disk is full");
        let refused = Error::not_found();
        assert_eq!(refused.cause(), None);
        assert_eq!(refused.reason(), refused.to_string());
    }
}
