//! Likes and follows as a state: `PUT` creates a like or follow, `DELETE` ends it, and both may be repeated.
//!
//! Built from the generated routes of likes and follows, including their rules, quotas and audit. This module may not
//! know a table.

use super::Lists;
use crate::{
    generated_routes::{Asking, ask, asked, rows},
    module::id,
};
use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::put,
};
use kernel::{Caller, Error, Result};
use serde_json::{Value, json};
use uuid::Uuid;

/// What can be liked or followed: the path, the verb, and the entity's name (empty for likes, which are of events
/// only).
pub const EDGES: [(&str, &str, &str); 7] = [
    ("events", "like", ""),
    ("users", "follow", "user"),
    ("communities", "follow", "community"),
    ("organizations", "follow", "organization"),
    ("businesses", "follow", "business"),
    ("venues", "follow", "venue"),
    ("institutions", "follow", "institution"),
];

pub fn router() -> Router<Lists> {
    EDGES
        .into_iter()
        .fold(Router::new(), |router, (path, verb, kind)| {
            let make =
                move |State(lists): State<Lists>, Path(id): Path<String>, request: Request| {
                    make(lists, kind, id, request)
                };
            let end =
                move |State(lists): State<Lists>, Path(id): Path<String>, request: Request| {
                    end(lists, kind, id, request)
                };
            router.route(&format!("/{path}/{{id}}/{verb}"), put(make).delete(end))
        })
}

/// How often [`make`] tries before it answers the conflict: each time somebody else has made the row and ended it again.
const TRIES: usize = 5;

/// Creates a like or follow: 201 if it is new, 200 if it existed already. A concurrent `DELETE` may end the row between
/// the conflict and the look for it; then this tries again.
async fn make(
    lists: Lists,
    kind: &'static str,
    path: String,
    request: Request,
) -> Result<Response> {
    let (caller, _) = asked(request);
    caller.user()?;
    let target = id(&path)?;
    let (list, body) = match kind {
        "" => ("/likes", json!({"event_id": target})),
        kind => (
            "/follows",
            json!({"entity_type": kind, "entity_id": target}),
        ),
    };
    let mut tries = 1;
    let refused = loop {
        let create = Asking::Create(list, body.clone());
        let refused = match ask(&lists.generated, &caller, create).await? {
            Ok(made) => {
                return Ok((StatusCode::CREATED, axum::Json(Value::Object(made))).into_response());
            }
            Err(refused) => refused,
        };
        if refused.status() != StatusCode::CONFLICT {
            break refused;
        }
        match there(&lists, &caller, kind, target).await? {
            Ok(Some(row)) => return Ok(axum::Json(row).into_response()),
            Ok(None) if tries < TRIES => tries += 1,
            Ok(None) => break refused,
            Err(refused) => return Ok(refused),
        }
    };
    // What the caller may not see is answered as if it did not exist.
    let seen = Asking::Read(format!("/{}/{target}", of(kind)));
    if refused.status() == StatusCode::UNPROCESSABLE_ENTITY
        && ask(&lists.generated, &caller, seen).await?.is_err()
    {
        return Err(Error::not_found());
    }
    Ok(refused)
}

/// Ends a like or follow: 204 whether it existed or not.
async fn end(lists: Lists, kind: &'static str, path: String, request: Request) -> Result<Response> {
    let (caller, _) = asked(request);
    caller.user()?;
    let target = id(&path)?;
    let row = match there(&lists, &caller, kind, target).await? {
        Ok(row) => row,
        Err(refused) => return Ok(refused),
    };
    if let Some(id) = row.as_ref().and_then(|row| row["id"].as_str()) {
        let list = if kind.is_empty() { "likes" } else { "follows" };
        let gone = ask(
            &lists.generated,
            &caller,
            Asking::Archive(format!("/{list}/{id}")),
        )
        .await?;
        if let Err(refused) = gone
            && refused.status() != StatusCode::NOT_FOUND
        {
            return Ok(refused);
        }
    }
    Ok((StatusCode::NO_CONTENT, Body::empty()).into_response())
}

fn of(kind: &str) -> &'static str {
    EDGES
        .iter()
        .find(|(.., name)| *name == kind)
        .map_or("events", |(path, ..)| path)
}

/// The caller's own like or follow of the target, if there is one.
async fn there(
    lists: &Lists,
    caller: &Caller,
    kind: &str,
    target: Uuid,
) -> Result<std::result::Result<Option<Value>, Response>> {
    let member = caller.user()?;
    let path = match kind {
        "" => format!("/likes?user_id={member}&event_id={target}&limit=1"),
        kind => {
            format!("/follows?follower_id={member}&entity_type={kind}&entity_id={target}&limit=1")
        }
    };
    let answer = ask(&lists.generated, caller, Asking::Read(path)).await?;
    Ok(answer.map(|mut list| rows(&mut list).pop()))
}
