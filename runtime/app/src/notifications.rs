//! Notifications: tells members what concerns them in the app, by push and by mail, as they have chosen.
//!
//! Transactions emit events about what they change. [`causes`] maps an event to a message in `spec/messages` and its
//! recipients; [`tell`] creates a notification for each recipient and a delivery for each channel; [`dispatch`] sends
//! deliveries by the services. A member's preferences are checked when a delivery is created and again when it is
//! sent. These rules are in the database (`spec/sql/notifications.sql`, `spec/sql/notifications.due.sql`).

mod causes;
mod chosen;
mod dispatch;
mod feedback;
mod letter;
mod missed;
mod reminders;
mod routes;
mod settings;
mod stream;
mod tell;
mod unsubscribe;

pub use settings::{Reminder, Settings};

use crate::{
    access::{Access, Table},
    broadcasts,
    clock::Clock,
    module::{Module, Parts},
    tickets::waitlist::leave::Leaving,
};
use axum::Router;
use delivery::{mail::Mailer, push::Pusher, webhooks};
use kernel::{
    Db, Result,
    http::ConfigError,
    jobs::{Consumer, Event, Job, Outcome, Periodic, Run},
    messages::Channel,
};
use reminders::LateTickets;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use stream::{Positions, Relay};
use tell::{TELL_PART, Told};
use tokio::sync::Mutex;
use unsubscribe::Unsubscribing;
use url::Url;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

const TELL: &str = "notifications.tell";
const REMIND: &str = "notifications.remind";
const LAPSE: &str = "notifications.lapse";
const PURGE: &str = "notifications.purge";

/// The number of days without a sign of life after which a device's token is considered invalid.
const DEVICE_DAYS: i32 = 270;

/// The number of old notifications that one statement deletes.
const PURGED_AT_ONCE: i32 = 5000;

/// The module. Cheap to clone.
#[derive(Clone)]
pub struct Notifications {
    db: Db,
    mailer: Arc<dyn Mailer>,
    pusher: Arc<dyn Pusher>,
    unsubscribing: Unsubscribing,
    /// The links by which mail recipients leave a waiting list.
    leaving: Leaving,
    webhooks: webhooks::Keys,
    clock: Clock,
    /// The app's address, for links in mail.
    link: Url,
    settings: Settings,
    busy: Arc<[Mutex<()>; 2]>,
    relay: Relay,
    positions: Positions,
}

impl Module for Notifications {
    const NAME: &'static str = "notifications";
    type Settings = Settings;

    fn new(parts: &Parts, settings: Settings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            mailer: parts.mailer.clone(),
            pusher: parts.pusher.clone(),
            webhooks: parts.mail_webhooks.clone(),
            clock: parts.clock.clone(),
            unsubscribing: Unsubscribing::new(parts)?,
            leaving: Leaving::new(parts)?,
            link: parts
                .app_url
                .clone()
                .unwrap_or_else(|| parts.public_url.clone()),
            relay: Relay::new(parts.db.clone(), settings.stream_pause()),
            positions: Positions::new(&parts.secret("streams"))?,
            settings,
            busy: Arc::default(),
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        routes::router(self.clone()).merge(stream::router(self.clone(), generated))
    }

    fn access() -> Table {
        &[
            ("takeResendEvent", Access::Signed),
            ("takeSendgridEvents", Access::Signed),
            ("showUnsubscribing", Access::Signed),
            ("unsubscribe", Access::Signed),
            ("readAllNotifications", Access::Member),
            ("streamNotifications", Access::Member),
            ("getNotificationSettings", Access::Member),
            ("countUnreadNotifications", Access::Member),
            ("readNotification", Access::Concerned),
            ("unreadNotification", Access::Concerned),
        ]
    }

    fn document() -> OpenApi {
        routes::document()
    }

    fn jobs(&self) -> Vec<Job> {
        let mut jobs = vec![
            Job::of(self, TELL, |notifications, run| async move {
                notifications.tell_of(run).await
            }),
            Job::of(self, TELL_PART, |notifications, run| async move {
                notifications.tell_part(run).await
            }),
            Job::of(self, REMIND, |notifications, _| async move {
                notifications.remind().await?;
                Ok(notifications.give_up_reminders().await.map(drop)?)
            }),
            Job::of(self, LAPSE, |notifications, _| async move {
                Ok(notifications.warn_of_lapse().await.map(drop)?)
            }),
            Job::of(self, PURGE, |notifications, _| async move {
                Ok(notifications.purge().await.map(drop)?)
            }),
        ];
        jobs.extend(self.dispatch_jobs());
        jobs
    }

    fn periodic(&self) -> Vec<Periodic> {
        vec![
            Periodic::every(REMIND, Duration::from_mins(1)),
            Periodic::every(LAPSE, Duration::from_hours(1)),
            Periodic::every(PURGE, Duration::from_hours(1)),
            // For deliveries that had to wait: for quiet hours, digests or another attempt. New deliveries are sent at
            // once.
            Periodic::every(dispatch::PUSH, Duration::from_secs(5)),
            Periodic::every(dispatch::MAIL, Duration::from_secs(5)),
        ]
    }

    fn consumers(&self) -> Vec<Consumer> {
        let events: BTreeSet<&str> = causes::all().map(|cause| cause.event).collect();
        let consumer = |event| Consumer { event, job: TELL };
        events.into_iter().map(consumer).collect()
    }
}

impl Notifications {
    async fn tell_of(&self, run: Arc<Run>) -> Outcome {
        let event: Event = run.payload()?;
        let mut cx = run.begin().await?;
        if event.event == broadcasts::DUE {
            causes::hosts::call_off(&mut cx, event.entity_id).await?;
        }
        let mut all = causes::look(&mut cx, &event).await?;
        if let "tickets.paid" | "tickets.transferred" = event.event.as_str() {
            all.extend(
                self.late_buyers(&mut cx, LateTickets(event.entity_id))
                    .await?,
            );
        }
        let mut changed = event.changed();
        let is_due_again = match event.event.as_str() {
            "event.update" => changed.any(|column| reminders::PLACE.contains(&column)),
            // The suspension has dropped what waited.
            "event.unsuspend" => true,
            _ => false,
        };
        if is_due_again {
            all.extend(self.remind_anew(&mut cx, event.entity_id).await?);
        }
        let window = self.settings.notifications_digest_minutes;
        let count = tell::tell_all(&mut cx, window, all).await?;
        if event.event == broadcasts::DUE {
            causes::hosts::told(&mut cx, event.entity_id, count).await?;
        }
        Ok(run.commit(cx).await?)
    }

    async fn tell_part(&self, run: Arc<Run>) -> Outcome {
        let part: Told = run.payload()?;
        let mut cx = run.begin().await?;
        let broadcast = part.data["broadcast"].as_str().map(str::parse::<Uuid>);
        let window = self.settings.notifications_digest_minutes;
        let count = tell::tell_part(&mut cx, window, part).await?;
        if let Some(Ok(broadcast)) = broadcast {
            causes::hosts::told(&mut cx, broadcast, count).await?;
        }
        Ok(run.commit(cx).await?)
    }

    /// Tells owners of credits that lapse within a week, once. Returns how many were told.
    pub async fn warn_of_lapse(&self) -> Result<i64> {
        let window = self.settings.notifications_digest_minutes;
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let all = causes::lapsing(cx).await?;
                    tell::tell_all(cx, window, all).await
                })
            })
            .await
    }

    /// Archives devices that have not been seen for 270 days, whose tokens FCM refuses. Returns how many. Clients set the
    /// time at which they were seen, perhaps to one to come; so the time of their last request counts, too.
    pub async fn forget_devices(&self) -> Result<u64> {
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let forgotten = sqlx::query(
                        "update app.devices set status = 'archived' where least(last_seen_at, updated_at) < now() - make_interval(days => $1) and status = 'active'",
                    );
                    Ok(forgotten.bind(DEVICE_DAYS).execute(cx.conn()).await?.rows_affected())
                })
            })
            .await
    }

    /// Deletes notifications older than the retention time. Returns how many.
    pub async fn purge(&self) -> Result<i64> {
        self.forget_devices().await?;
        let days = i32::try_from(self.settings.notifications_kept_days).unwrap_or(i32::MAX);
        let mut all = 0;
        loop {
            let purged = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let purged = sqlx::query_scalar(
                        "select app.purge_notifications(now() - make_interval(days => $1), $2)",
                    )
                    .bind(days)
                    .bind(PURGED_AT_ONCE);
                    let purged: i64 = purged.fetch_one(cx.conn()).await?;
                    Ok(purged)
                })
            });
            let purged = purged.await?;
            all += purged;
            if purged < PURGED_AT_ONCE.into() {
                return Ok(all);
            }
        }
    }

    fn busy(&self, channel: Channel) -> &Mutex<()> {
        &self.busy[usize::from(channel == Channel::Email)]
    }
}
