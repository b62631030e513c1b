//! `GET /me/feed`: events of the hosts and venues that the caller follows, collected at request time.
//!
//! There are few publishers and many followers, so nothing is copied to followers.

use super::Lists;
use crate::generated_routes;
use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use kernel::{Caller, Result, own::List};
use serde_json::json;
use uuid::Uuid;

static LIST: List = List::new("feed", 20, &[]);

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    caller.user()?;
    let asked = LIST.read_as(uri.query(), &lists.module.cursors, &caller)?;
    let mut after = asked.after::<String>()?.map(|(_, id)| id);
    let mut shown = Vec::new();
    let mut more = false;
    for _ in 0..generated_routes::ROUNDS {
        let rows = asked.rows() - shown.len() as i64;
        let mut found = find(&lists, &caller, after, rows).await?;
        more = found.len() as i64 == rows;
        if more {
            found.pop();
        }
        match generated_routes::shown(&lists.generated, &caller, "events", &found).await? {
            Ok(events) => shown.extend(events),
            Err(refusal) => return Ok(refusal),
        }
        after = found.pop().or(after);
        if !more || shown.len() as i64 + 1 == asked.rows() {
            break;
        }
    }
    let last = after.filter(|_| more);
    let next_cursor = last.map(|id| asked.cursor("", id));
    let page = Json(json!({"data": shown, "next_cursor": next_cursor}));
    // Not cached, since the answer reveals whom the member follows.
    Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
}

/// Runs with the member's permissions; the database finds the feed of the transaction's member.
async fn find(lists: &Lists, caller: &Caller, after: Option<Uuid>, rows: i64) -> Result<Vec<Uuid>> {
    let mut cx = lists.module.db.begin_read(caller).await?;
    let found = sqlx::query_scalar("select app.feed($1, $2::int8::int4)")
        .bind(after.unwrap_or(Uuid::max()))
        .bind(rows)
        .fetch_all(cx.conn())
        .await?;
    Ok(found)
}
