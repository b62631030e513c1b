//! `GET /notifications/stream`: tells a member about notifications as they arrive, by server-sent events.
//!
//! [`relay`] polls the database for all listening clients; each client gets a notification in the form of `GET
//! /notifications`, which is asked with the client's own permissions. A client that reconnects is told what it missed;
//! [`snapshot`] explains why that needs a snapshot instead of a time or a number.

mod position;
mod relay;
mod snapshot;

pub(super) use position::Positions;
pub(super) use relay::Relay;

use super::{Notifications, routes};
use crate::generated_routes;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
    routing::get,
};
use futures_util::stream;
use kernel::{Error, Result, http::stream::Listener, problems};
use relay::News;
use serde_json::{Value, json};
use snapshot::Snapshot;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval_at},
};
use uuid::Uuid;

/// The interval of keep-alive comments: proxies close connections that are silent for half a minute or longer.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The range of a client's random reconnection delay, so that the clients of a stopping server do not reconnect all at
/// once.
const RETRY_MS: std::ops::Range<u64> = 1000..5000;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[derive(Clone)]
pub(super) struct Streams {
    module: Notifications,
    generated: Router,
}

pub(super) fn router(module: Notifications, generated: &Router) -> Router {
    let generated = generated.clone();
    Router::new()
        .route("/notifications/stream", get(listen))
        .with_state(Streams { module, generated })
}

/// Stream notifications
///
/// Server-sent events until the token or session ends. `ready` is the first. `notification` contains a new or newly
/// marked notification in the form of `GET /notifications/{id}`; `unread` follows with the unread count. `refresh`
/// means that more has changed than was sent: reload the list. To resume, send the newest `id` as `Last-Event-ID`; an
/// interrupted batch is sent again.
#[utoipa::path(get, path = "/notifications/stream", operation_id = "streamNotifications", tag = "Notifications",
    security(("bearer" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The newest `id` received", max_length = 4096)),
    responses(
        (status = 200, description = "The stream of events", body = String, content_type = "text/event-stream"),
        (status = 429, description = "The member has too many open streams")))]
pub(super) async fn listen(
    State(streams): State<Streams>,
    listener: Listener,
    headers: HeaderMap,
) -> Result<Response> {
    let given = headers.get(&LAST_EVENT_ID).map(HeaderValue::as_bytes);
    let session = Session::begin(streams, listener, given).await?;
    let events = Sse::new(stream::unfold(session, Session::next));
    let headers = [
        // Not cached or compressed by proxies, which would delay events.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store, no-transform"),
        ),
        (ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
    ];
    let events = events.keep_alive(KeepAlive::new().interval(HEARTBEAT));
    Ok((headers, events).into_response())
}

/// The stream of one client.
struct Session {
    streams: Streams,
    listener: Listener,
    news: mpsc::Receiver<News>,
    /// The snapshot up to which the client has been told, or which was current when it connected.
    seen: Arc<Snapshot>,
    /// Events that are ready but not yet sent.
    ready: VecDeque<Event>,
    /// The timer for checking account and session while there is no news.
    check: Interval,
    over: bool,
}

impl Session {
    async fn begin(streams: Streams, listener: Listener, given: Option<&[u8]>) -> Result<Self> {
        let Notifications {
            relay,
            settings,
            db,
            positions,
            ..
        } = &streams.module;
        let member = listener.member.id();
        let most = usize::from(settings.notifications_streams_per_member);
        // Subscribe first, so that changes from now on are queued.
        let news = relay.listen(member, most).await?;
        let news = news.ok_or_else(|| too_many(most))?;
        let since =
            given.map(|text| positions.open(member, std::str::from_utf8(text).unwrap_or_default()));
        let known = since.clone().flatten();
        let (seen, mut missed) = relay::news(db, known.as_ref(), vec![member]).await?;
        let every = Duration::from_secs(settings.notifications_stream_check_seconds.into());
        let mut check = interval_at(tokio::time::Instant::now() + every, every);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut session = Self {
            streams,
            listener,
            news,
            seen: known.map_or_else(|| seen.clone(), Arc::new),
            ready: VecDeque::new(),
            check,
            over: false,
        };
        let unread =
            routes::count_unread(&session.streams.module, &session.listener.member).await?;
        session.ready.push_back(
            retry()
                .event("ready")
                .data(json!({"unread": unread}).to_string()),
        );
        // A position is useless if it is from another database, or from this one before it was restored to an earlier
        // state.
        let lost = given.is_some() && (since.flatten().is_none_or(|since| since.next > seen.next));
        match missed.remove(&member) {
            _ if lost => session.refresh(seen)?,
            Some(missed) => session.tell(missed).await?,
            None => session.reached(unread, seen)?,
        }
        Ok(session)
    }

    /// Waits for the next event.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.over {
                return None;
            }
            if let Err(error) = self.wait().await {
                tracing::debug!(%error, "a stream ends");
                self.over = true;
            }
        }
    }

    async fn wait(&mut self) -> Result<()> {
        tokio::select! {
            news = self.news.recv() => match news {
                Some(news) => self.tell(news).await,
                // The queue was closed because the client read too slowly.
                None => self.end(),
            },
            () = self.listener.over() => self.end(),
            _ = self.check.tick() => {
                let caller = *self.listener.member.caller();
                self.streams.module.db.prove(&caller).await.map(drop)
            }
        }
    }

    async fn tell(&mut self, news: News) -> Result<()> {
        let Some(changed) = news.changed else {
            return self.refresh(news.seen);
        };
        let new = changed
            .into_iter()
            .filter(|(_, transaction)| !self.seen.shows(*transaction));
        let ids: Vec<Uuid> = new.map(|(id, _)| id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let caller = self.listener.member.caller();
        let shown =
            generated_routes::shown(&self.streams.generated, caller, "notifications", &ids, &[])
                .await?;
        let Ok(shown) = shown else {
            return Err(Error::unauthenticated());
        };
        let told = shown.iter().map(|one| event("notification", one));
        self.ready.extend(told);
        self.reached(news.unread, news.seen)
    }

    /// Tells the client its unread count, and the position up to which it has been told.
    fn reached(&mut self, unread: i64, seen: Arc<Snapshot>) -> Result<()> {
        let id = self.position(&seen)?;
        self.ready
            .push_back(event("unread", &json!({"unread": unread})).id(id));
        self.seen = seen;
        Ok(())
    }

    fn refresh(&mut self, seen: Arc<Snapshot>) -> Result<()> {
        let id = self.position(&seen)?;
        self.ready.push_back(event("refresh", &json!({})).id(id));
        self.seen = seen;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.ready.push_back(retry().comment("come back"));
        self.over = true;
        Ok(())
    }

    fn position(&self, seen: &Snapshot) -> Result<String> {
        self.streams
            .module
            .positions
            .seal(self.listener.member.id(), seen)
    }
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}

fn retry() -> Event {
    Event::default().retry(Duration::from_millis(fastrand::u64(RETRY_MS)))
}

fn too_many(most: usize) -> Error {
    Error::new(&problems::QUOTA)
        .detail(format!(
            "You have {most} open streams, which is the maximum. Close one of them."
        ))
        .retry_after(30)
}
