//! A member's own calendar: at an address that is a secret, because calendar programs have no access tokens.
//!
//! Whoever has the address reads what the member may read, and nothing but their events. Only a digest of it is kept; that
//! the account is good is asked of the database each time.

use super::{Calendars, DESCRIPTION_AMONG_OTHERS, EVENTS_MAX, Kept, entries};
use crate::{
    module::Module,
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

/// The secret with `.ics` behind it, by which programs know what they get.
pub const PATH: &str = "/calendar-feeds/{file}";
/// As `secret::random` makes them.
const SECRET_CHARACTERS: usize = 43;
/// So often buckets that are full again are thrown away.
const TIDY_EVERY: u32 = 1_000;

/// Counts secrets that nobody has, by where they come from.
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

    /// 404, or 429 for who tries many.
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

/// `GET /me/calendar-feed`: whether there is one. Its address is not known any more.
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
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(shown)).into_response())
}

/// `POST /me/calendar-feed`: a new address. The one before, if there was one, ends.
pub async fn renew(State(calendars): State<Calendars>, caller: Member) -> Result<Response> {
    let (me, session) = (caller.id(), caller.session());
    let secret = random();
    let hash = digest(secret.expose_secret());
    let run = calendars.db.run(
        Calendars::NAME,
        Some(&caller),
        caller.request_id,
        move |cx| {
            let hash = hash.clone();
            Box::pin(async move {
                let since: DateTime<Utc> = sqlx::query_scalar(
                    "insert into app.calendar_feeds as f (user_id, secret_hash) values ($1, $2)
                     on conflict (user_id) do update set secret_hash = excluded.secret_hash, ended_at = null returning f.updated_at",
                )
                .bind(me)
                .bind(hash)
                .fetch_one(cx.conn())
                .await?;
                // This has waited for whoever was ending what the account has, and the session may be among it.
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
    // It holds a secret: neither kept nor compressed.
    let headers = [(header::CACHE_CONTROL, "no-store, no-transform")];
    Ok((StatusCode::CREATED, headers, Json(made)).into_response())
}

/// `DELETE /me/calendar-feed`: the address ends, whether there was one or not.
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

/// `GET /calendar-feeds/{secret}.ics`: for whoever has the address. A token changes nothing.
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
        // Suspended or closed this very moment.
        Err(error) if error.status() == StatusCode::UNAUTHORIZED => {
            return Err(calendars.guessing.refuse(&visitor));
        }
        Err(error) => return Err(error),
    };
    let found = own(&mut cx).await?;
    drop(cx);
    calendars.answer(&name, found, Kept::ByReader, &headers)
}

/// As the member: the database knows whose calendar it is.
async fn own(cx: &mut Cx) -> Result<Vec<super::Entry>> {
    let ids: Vec<Uuid> = sqlx::query_scalar("select app.calendar_of_member($1)")
        .bind(EVENTS_MAX)
        .fetch_all(cx.conn())
        .await?;
    entries(cx, &ids, DESCRIPTION_AMONG_OTHERS).await
}

impl Calendars {
    /// Whose address it is: account and name. Nobody's, if the account is not good.
    async fn owner(&self, visitor: &Visitor, file: &str) -> Result<Option<(Uuid, String)>> {
        let secret = file.strip_suffix(".ics");
        let Some(secret) = secret.filter(|secret| secret.len() == SECRET_CHARACTERS) else {
            return Ok(None);
        };
        let hash = digest(secret);
        let run = self
            .db
            .run(Self::NAME, None, visitor.request_id, move |cx| {
                let hash = hash.clone();
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
