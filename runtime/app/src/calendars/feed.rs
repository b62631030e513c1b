//! A member's own calendar, at a URL that contains a secret, because calendar programs have no access tokens.
//!
//! Anybody with the URL reads the member's events, as far as the member may read them, and nothing else. Only a digest
//! of the secret is stored, and the database checks on each request that the account is active.

use super::{Calendars, DESCRIPTION_AMONG_OTHERS, EVENTS_MAX, Kept, entries};
use crate::{
    module::{Module, uncached},
    sessions::secret::{digest, random},
};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{
    Cx, Error, Member, Result, Visitor,
    config::RateLimit,
    http::{ConfigError, client, limits::Limiter},
    problems,
};
use secrecy::ExposeSecret;
use serde_json::json;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

/// The path: the secret followed by `.ics`, by which programs recognize the type.
pub const PATH: &str = "/calendar-feeds/{file}";
/// The length of a secret made by `secret::random`.
const SECRET_CHARACTERS: usize = 43;
/// The number of counted requests after which full buckets are removed.
const TIDY_EVERY: u32 = 1_000;

/// Limits requests with unknown secrets, by client address.
pub struct Guessing {
    limiter: Limiter<IpAddr>,
    counted: AtomicU32,
}

impl Guessing {
    pub fn new(per_minute: u32) -> Result<Self, ConfigError> {
        let limit = RateLimit {
            per_minute,
            burst: per_minute,
        };
        Ok(Self {
            limiter: Limiter::new("calendar-secrets", limit)?,
            counted: AtomicU32::new(0),
        })
    }

    /// Counts a request with an unknown secret. Returns 404, or 429 if there were too many.
    fn refuse(&self, visitor: &Visitor) -> Error {
        if self.counted.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.tidy();
        }
        let from = visitor
            .ip
            .map_or(Ipv4Addr::UNSPECIFIED.into(), client::bucket);
        match self.limiter.take(&from) {
            Ok(()) => Error::not_found(),
            Err(exceeded) => exceeded,
        }
    }
}

/// `GET /me/calendar-feed`: whether there is a feed. Its URL can't be shown again.
pub async fn show(State(calendars): State<Calendars>, caller: Member) -> Result<Response> {
    let me = caller.id();
    let run = calendars.db.run(
        Calendars::NAME,
        Some(&caller),
        caller.request_id,
        move |cx| {
            Box::pin(async move {
                let since: Option<DateTime<Utc>> = sqlx::query_scalar(
                    "select updated_at from app.calendar_feeds where user_id = $1 and ended_at is null",
                )
                .bind(me)
                .fetch_optional(cx.conn())
                .await?;
                Ok(since)
            })
        },
    );
    let since = run.await?.ok_or_else(Error::not_found)?;
    let shown = json!({"object": "calendar_feed", "since": since});
    Ok(uncached(shown))
}

/// `POST /me/calendar-feed`: creates a new URL; the previous URL, if any, becomes invalid.
pub async fn renew(State(calendars): State<Calendars>, caller: Member) -> Result<Response> {
    let (me, session) = (caller.id(), caller.session());
    let secret = random();
    let hash = &digest(secret.expose_secret());
    let run = calendars.db.run(
        Calendars::NAME,
        Some(&caller),
        caller.request_id,
        move |cx| {
            Box::pin(async move {
                let since: DateTime<Utc> = sqlx::query_scalar(
                    "insert into app.calendar_feeds as f (user_id, secret_hash) values ($1, $2)
                     on conflict (user_id) do update set secret_hash = excluded.secret_hash, ended_at = null returning f.updated_at",
                )
                .bind(me)
                .bind(hash)
                .fetch_one(cx.conn())
                .await?;
                // The insert may have waited for a transaction that ended the account's sessions, including this one.
                let is_signed_in: bool = sqlx::query_scalar(
                    "select exists (select from app.sessions where id = $1 and revoked_at is null)",
                )
                .bind(session)
                .fetch_one(cx.conn())
                .await?;
                if !is_signed_in {
                    return Err(Error::new(&problems::SESSION_REVOKED));
                }
                Ok(since)
            })
        },
    );
    let since = run.await?;
    let base = calendars.public_url.as_str().trim_end_matches('/');
    let url = format!("{base}/calendar-feeds/{}.ics", secret.expose_secret());
    let made = json!({"object": "calendar_feed", "since": since, "url": url});
    // The answer contains a secret, so it is neither cached nor compressed.
    let headers = [(header::CACHE_CONTROL, "no-store, no-transform")];
    Ok((StatusCode::CREATED, headers, Json(made)).into_response())
}

/// `DELETE /me/calendar-feed`: makes the URL invalid, whether there was one or not.
pub async fn revoke(State(calendars): State<Calendars>, caller: Member) -> Result<StatusCode> {
    let me = caller.id();
    let run = calendars.db.run(
        Calendars::NAME,
        Some(&caller),
        caller.request_id,
        move |cx| {
            Box::pin(async move {
                sqlx::query("delete from app.calendar_feeds where user_id = $1")
                    .bind(me)
                    .execute(cx.conn())
                    .await?;
                Ok(())
            })
        },
    );
    run.await.map(|()| StatusCode::NO_CONTENT)
}

/// `GET /calendar-feeds/{secret}.ics`: for anybody with the URL. An access token makes no difference.
pub async fn read(
    State(calendars): State<Calendars>,
    visitor: Visitor,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let Some((account, name)) = calendars.owner(&visitor, &file).await? else {
        return Err(calendars.guessing.refuse(&visitor));
    };
    let mut cx = match calendars
        .db
        .begin_read_of_account(account, visitor.request_id)
        .await
    {
        Ok(cx) => cx,
        // The account was suspended or closed just now.
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            return Err(calendars.guessing.refuse(&visitor));
        }
        Err(error) => return Err(error),
    };
    let found = own(&mut cx).await?;
    drop(cx);
    calendars.answer(&name, found, Kept::ByReader, &headers)
}

/// Runs with the member's permissions; the database finds the events of the transaction's member.
async fn own(cx: &mut Cx) -> Result<Vec<super::Entry>> {
    let ids: Vec<Uuid> = sqlx::query_scalar("select app.calendar_of_member($1)")
        .bind(EVENTS_MAX)
        .fetch_all(cx.conn())
        .await?;
    entries(cx, &ids, DESCRIPTION_AMONG_OTHERS).await
}

impl Calendars {
    /// The id and name of the account whose feed has this secret. None if there is none or the account is not active.
    async fn owner(&self, visitor: &Visitor, file: &str) -> Result<Option<(Uuid, String)>> {
        let secret = file.strip_suffix(".ics");
        let Some(secret) = secret.filter(|secret| secret.len() == SECRET_CHARACTERS) else {
            return Ok(None);
        };
        let hash = &digest(secret);
        let run = self
            .db
            .run(Self::NAME, None, visitor.request_id, move |cx| {
                Box::pin(async move {
                    let owner = sqlx::query_as(
                        "select u.id, u.display_name from app.calendar_feeds f
                         join app.users u on u.id = f.user_id and u.status = 'active'
                         where f.secret_hash = $1 and f.ended_at is null",
                    )
                    .bind(hash)
                    .fetch_optional(cx.conn())
                    .await?;
                    Ok(owner)
                })
            });
        run.await
    }
}
