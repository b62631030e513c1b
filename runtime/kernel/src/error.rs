//! What can go wrong in a request, as one type: a problem for the client and a cause for the log.
//!
//! Text of the database stays in the cause and never reaches the client.

use crate::{
    http::metrics,
    input::Invalid,
    problem::{Item, Problem},
    problems::{self, Kind},
};
use axum::response::{IntoResponse, Response};
use sqlx::postgres::PgDatabaseError;
use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Boxed: errors are rare, results are everywhere.
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
    /// It lost against another one: serialization failure, deadlock.
    Transient,
    /// Its statement came to nothing, and nothing that is there now says why.
    Unexplained,
}

/// The name of the constraint that the database refused by. Generated code has the names: `user::constraint::EMAIL_KEY`.
pub fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// What a refusal of ours is about. `None`: it is none.
pub fn refusal(answer: &Response) -> Option<&'static Kind> {
    let carried = answer.extensions().get::<Carried>()?;
    Some(carried.problem.kind)
}

/// What an answer carries beside its body so that the outer layer can add the request id and log the cause.
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

    /// What it tells the client. The cause stays.
    pub(crate) fn copy(&self) -> Self {
        self.0.problem.clone().into()
    }

    /// One more thing that is wrong with the same request. What is wrong by itself comes before what does not fit
    /// other data: a conflict with an invalid value beside it is an invalid request.
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

    /// Together with what was found before it. What has no list stands for itself: a body that can't be read, a header.
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

    /// With each thing that is wrong told otherwise.
    pub(crate) fn map_items(mut self, told: impl FnMut(Item) -> Item) -> Self {
        let items = std::mem::take(&mut self.0.problem.errors);
        self.0.problem.errors = items.into_iter().map(told).collect();
        self
    }

    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.problem.retry_after = Some(seconds);
        self
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

    /// 403 for a statement that changed no row although all that was asked afterwards allows it. Somebody else
    /// may have changed the row in between, which another try finds out. If it stays so, policies and rules differ.
    pub(crate) fn unexplained() -> Self {
        let mut error = Self::forbidden().because("policy divergence: no row");
        error.0.again = Again::Unexplained;
        error
    }

    /// The same transaction may succeed when run again.
    pub fn is_transient(&self) -> bool {
        self.0.again != Again::No
    }

    pub(crate) fn is_unexplained(&self) -> bool {
        self.0.again == Again::Unexplained
    }

    /// Says no to the caller (4xx), in contrast to an accident of ours.
    pub fn is_refusal(&self) -> bool {
        self.0.again == Again::No && self.0.problem.kind.status < 500
    }
}

/// The order of kinds that values are refused with.
fn rank(kind: &Kind) -> usize {
    let order = [
        &problems::INVALID,
        &problems::REFERENCE,
        &problems::CONFLICT,
    ];
    let at = order.iter().position(|known| known.slug == kind.slug);
    at.unwrap_or(order.len())
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

/// What the database's refusal means when nothing more is known about the statement.
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                return Self::unavailable().because(error);
            }
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
            // lock and statement timeouts, shutdown of the server, too many connections
            "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "53300" | "25P03" => {
                Self::unavailable()
            }
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

/// The database role lacks a grant that one of our own statements needs. That is a mistake of ours, whoever asked,
/// and never a refusal: an alarm, and 500. (What rules refuse has the same code 42501.)
pub(crate) fn missing_privilege(error: &sqlx::Error) -> Option<Error> {
    let database = error.as_database_error()?;
    if database.code().as_deref() != Some("42501") {
        return None;
    }
    // The message is translated where the server speaks another language; the name of the routine is not.
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
