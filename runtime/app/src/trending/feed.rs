//! `GET /me/feed`: events of the hosts and venues that the caller follows, collected at request time.
//!
//! There are few publishers and many followers, so nothing is copied to followers.

use super::Lists;
use crate::generated_routes::{self, Ordered};
use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use generated::event::EVENT;
use kernel::{Caller, Result, own::List};
use serde_json::json;
use uuid::Uuid;

static LIST: List = List::new("feed", 20, &[]).expanding(&EVENT);

/// The feed of a member.
struct Feed<'a> {
    lists: &'a Lists,
    caller: &'a Caller,
}

pub(super) async fn list(State(lists): State<Lists>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    caller.user()?;
    let asked = LIST.read_as(uri.query(), &lists.module.cursors, &caller)?;
    let feed = Feed {
        lists: &lists,
        caller: &caller,
    };
    let (after, show) = (asked.after()?, (asked.rows(), asked.expand()));
    let (generated, path) = (&lists.generated, "events");
    let page = generated_routes::page(generated, &caller, path, &feed, after, show).await?;
    let page = match page {
        Ok(page) => page,
        Err(refusal) => return Ok(refusal),
    };
    let next_cursor = page.last.map(|(at, id)| asked.cursor(&at.to_rfc3339(), id));
    let page = Json(json!({"data": page.shown, "next_cursor": next_cursor}));
    // Not cached, since the answer reveals whom the member follows.
    Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
}

impl Ordered for Feed<'_> {
    /// When the event was first published.
    type Place = DateTime<Utc>;

    /// Runs with the member's permissions; the database finds the feed of the transaction's member.
    async fn find(
        &self,
        after: Option<&(DateTime<Utc>, Uuid)>,
        rows: i64,
        only_seen: bool,
    ) -> Result<Vec<(DateTime<Utc>, Uuid)>> {
        let mut cx = self.lists.module.db.begin_read(self.caller).await?;
        let found = match only_seen {
            false => {
                sqlx::query_as("select f.at, f.event_id from app.feed($1, $2, $3::int8::int4) f")
            }
            true => sqlx::query_as(
                "select f.at, f.event_id from app.feed_seen($1, $2, $3::int8::int4) f",
            ),
        };
        let found = found
            .bind(after.map(|(at, _)| *at))
            .bind(after.map(|(_, id)| *id))
            .bind(rows);
        Ok(found.fetch_all(cx.conn()).await?)
    }
}
