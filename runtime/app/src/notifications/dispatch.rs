//! Sends deliveries that are due: they are claimed in one transaction, sent without any, and their results stored in
//! another.
//!
//! If a process dies in between, other processes take over its claims when their lease has expired. The service then
//! gets the same message with the same id again: an idempotency key for mail, if the service supports it, and a
//! collapse key for push.

mod compose;

use super::Notifications;
use crate::module::Module;
use chrono::TimeDelta;
use compose::Parcel;
pub use compose::{Item, Letter};
use delivery::{
    mail::{Mail, Undelivered},
    push::{Push, Unpushed},
};
use futures_util::{StreamExt, stream};
use kernel::{
    Cx, Result, failpoint,
    jobs::{Job, Outcome},
    messages::Channel,
};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};
use uuid::Uuid;

pub const PUSH: &str = "notifications.push";
pub const MAIL: &str = "notifications.mail";

/// The lease of a claim, after which its sender is considered dead. Longer than the longest possible processing of a
/// claim: two rounds of the slowest answer.
const LEASE: TimeDelta = TimeDelta::seconds(180);

/// The maximum number of attempts for a message. They take about five hours, less than services remember a message's
/// id for.
const ATTEMPTS: i32 = 10;

/// How long a job sends before it leaves the rest to the next job, so that a worker can be stopped.
const AT_MOST: Duration = Duration::from_secs(45);

/// The result of an attempt to send a delivery.
enum Fate {
    Sent(Option<String>),
    /// Failed for good: the service does not know the device any more.
    Gone,
    Never(String),
    /// Dropped, since the delivery is not wanted any more.
    Dropped,
    NotNow(String),
    Paused(String, Duration),
}

impl Notifications {
    pub(super) fn dispatch_jobs(&self) -> [Job; 2] {
        [(PUSH, Channel::Push), (MAIL, Channel::Email)].map(|(name, channel)| {
            let job = Job::of(self, name, move |notifications, _| async move {
                notifications.dispatch_alone(channel).await
            });
            job.timeout(Duration::from_mins(2))
        })
    }

    /// Sends what is due on a channel. Returns how many messages were sent.
    pub async fn dispatch(&self, channel: Channel) -> Result<usize> {
        let (mut sent, begin) = (0, Instant::now());
        while let Some(more) = self.some(channel).await? {
            sent += more;
            if begin.elapsed() > AT_MOST {
                break;
            }
        }
        Ok(sent)
    }

    /// Does nothing if this process sends on the channel already: a second job would only occupy a worker.
    async fn dispatch_alone(&self, channel: Channel) -> Outcome {
        let Ok(_alone) = self.busy(channel).try_lock() else {
            return Ok(());
        };
        Ok(self.dispatch(channel).await.map(drop)?)
    }

    /// Processes one claim and returns how many messages were sent. `None`: nothing is due.
    async fn some(&self, channel: Channel) -> Result<Option<usize>> {
        let at_once = usize::from(self.settings.notifications_sends_at_once);
        let parcels = self.claim(channel, at_once * 2).await?;
        if parcels.is_empty() {
            return Ok(None);
        }
        failpoint::reach("delivery.claimed");
        // Once the service has asked for a pause, nothing more of this claim is sent.
        let pause: &OnceLock<(String, Duration)> = &OnceLock::new();
        let fates: Vec<(Parcel, Fate)> = stream::iter(parcels)
            .map(|parcel| async move {
                let fate = match pause.get() {
                    Some((reason, wait)) => Fate::Paused(reason.clone(), *wait),
                    None => self.hand_over(&parcel).await,
                };
                if let Fate::Paused(reason, wait) = &fate {
                    let _ = pause.set((reason.clone(), *wait));
                }
                failpoint::reach("delivery.sent");
                (parcel, fate)
            })
            .buffer_unordered(at_once)
            .collect()
            .await;
        let sent = fates
            .iter()
            .filter(|(_, fate)| matches!(fate, Fate::Sent(_)));
        let sent = sent.count();
        self.write_down(channel, fates).await?;
        failpoint::reach("delivery.marked");
        Ok(Some(sent))
    }

    async fn claim(&self, channel: Channel, most: usize) -> Result<Vec<Parcel>> {
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let claimed: Vec<Uuid> = sqlx::query_scalar(
                        "select app.claim_deliveries($1, $2, make_interval(secs => $3))",
                    )
                    .bind(channel.name())
                    .bind(most)
                    .bind(LEASE.as_seconds_f64())
                    .fetch_all(cx.conn())
                    .await?;
                    compose::parcels(cx, channel, &claimed).await
                })
            })
            .await
    }

    /// Waits for the network; no transaction is open here.
    async fn hand_over(&self, parcel: &Parcel) -> Fate {
        match parcel {
            Parcel::Nothing { .. } => Fate::Dropped,
            Parcel::Push { push, .. } => self.push(push.clone()).await,
            Parcel::Mail { letter, .. } => match self.mail_of(letter) {
                Ok(mail) => {
                    failpoint::reach("delivery.rendered");
                    self.mail(mail).await
                }
                Err(error) => Fate::Never(error.to_string()),
            },
        }
    }

    async fn push(&self, push: Push) -> Fate {
        match self.pusher.send(push).await {
            Ok(name) => Fate::Sent(name),
            Err(Unpushed::Gone) => Fate::Gone,
            Err(Unpushed::Never(why)) => Fate::Never(why),
            Err(Unpushed::NotNow(why)) => Fate::NotNow(why),
            Err(Unpushed::Paused { reason, wait }) => Fate::Paused(reason, wait),
        }
    }

    async fn mail(&self, mail: Mail) -> Fate {
        match self.mailer.send(mail).await {
            Ok(name) => Fate::Sent(name),
            Err(Undelivered::Never(why)) => Fate::Never(why),
            Err(Undelivered::NotNow(why)) => Fate::NotNow(why),
            Err(Undelivered::Paused { reason, wait }) => Fate::Paused(reason, wait),
        }
    }

    async fn write_down(&self, channel: Channel, fates: Vec<(Parcel, Fate)>) -> Result<()> {
        let marks = Marks::of(&fates);
        let pause = fates.iter().find_map(|(_, fate)| match fate {
            Fate::Paused(reason, wait) => Some((reason.clone(), wait.as_secs_f64())),
            _ => None,
        });
        let (marks, pause) = (&marks, &pause);
        self.db
            .run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    marks.write(cx).await?;
                    if let Some((reason, seconds)) = pause {
                        let paused = sqlx::query(
                            "insert into app.delivery_pauses as p (channel, until, reason) values ($1, now() + make_interval(secs => $2), $3)
                             on conflict (channel) do update set until = greatest(p.until, excluded.until), reason = excluded.reason",
                        );
                        let paused = paused.bind(channel.name()).bind(seconds).bind(reason);
                        paused.execute(cx.conn()).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// The results of many deliveries, stored in one statement each.
#[derive(Default)]
struct Marks {
    ids: Vec<Uuid>,
    /// The number of each delivery's attempt. Nothing is stored if the delivery has a newer attempt, since another
    /// sender has claimed it.
    attempts: Vec<i32>,
    states: Vec<&'static str>,
    /// Whether the attempt counts: it does not if the service asked for a pause, which says nothing about the message.
    counted: Vec<bool>,
    waits: Vec<f64>,
    names: Vec<Option<String>>,
    errors: Vec<Option<String>>,
    gone: Vec<Uuid>,
}

impl Marks {
    fn of(fates: &[(Parcel, Fate)]) -> Self {
        let mut marks = Self::default();
        for (parcel, fate) in fates {
            let (id, attempt) = parcel.claim();
            let again = if attempt < ATTEMPTS {
                "pending"
            } else {
                "failed"
            };
            let (state, wait, name, error) = match fate {
                Fate::Sent(name) => ("sent", 0.0, name.clone(), None),
                Fate::Gone => (
                    "failed",
                    0.0,
                    None,
                    Some("the device is not known to the push service any more".to_owned()),
                ),
                Fate::Never(why) => ("failed", 0.0, None, Some(why.clone())),
                Fate::Dropped => (
                    "dropped",
                    0.0,
                    None,
                    Some("nothing is left of it that the member wants".to_owned()),
                ),
                Fate::NotNow(why) => (again, backoff(attempt), None, Some(why.clone())),
                Fate::Paused(why, wait) => ("pending", wait.as_secs_f64(), None, Some(why.clone())),
            };
            if let (Fate::Gone, Parcel::Push { device, .. }) = (fate, parcel) {
                marks.gone.push(*device);
            }
            marks.ids.push(id);
            marks.attempts.push(attempt);
            marks.states.push(state);
            marks.counted.push(!matches!(fate, Fate::Paused(..)));
            marks.waits.push(wait);
            marks.names.push(name);
            marks
                .errors
                .push(error.map(|text| text.chars().take(1000).collect()));
        }
        marks
    }

    async fn write(&self, cx: &mut Cx) -> Result<()> {
        // The other deliveries of a digest mail get the same result.
        sqlx::query(
            "with marks as (
               select * from unnest($1::uuid[], $2::int[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::bool[])
                 m(id, attempt, state, wait, name, error, counted)
             ), marked as (
               update app.notification_deliveries d
               set state = m.state, next_attempt_at = now() + make_interval(secs => m.wait), lease_until = null, error = m.error,
                 attempts = case when m.counted then d.attempts else d.attempts - 1 end,
                 provider_id = coalesce(m.name, d.provider_id), settled_at = case when m.state <> 'pending' then now() end
               from marks m where d.id = m.id and d.state = 'sending' and d.attempts = m.attempt
               returning d.id, d.state, d.provider_id, d.error
             )
             update app.notification_deliveries d set state = m.state, provider_id = m.provider_id, error = m.error, settled_at = now()
             from marked m where d.carrier_id = m.id and d.state = 'pending' and m.state <> 'pending'",
        )
        .bind(&self.ids)
        .bind(&self.attempts)
        .bind(&self.states)
        .bind(&self.waits)
        .bind(&self.names)
        .bind(&self.errors)
        .bind(&self.counted)
        .execute(cx.conn())
        .await?;
        if !self.gone.is_empty() {
            sqlx::query("update app.devices set status = 'archived' where id = any($1) and status = 'active'")
                .bind(&self.gone)
                .execute(cx.conn())
                .await?;
        }
        Ok(())
    }
}

/// The seconds until the next attempt: doubling, at most an hour, with a random part so that retries do not coincide.
fn backoff(attempt: i32) -> f64 {
    let longest = f64::from(30 << attempt.clamp(0, 10)).min(3600.0);
    let spread = f64::from((Uuid::new_v4().as_u128() % 1000) as u32) / 1000.0;
    longest / 2.0 * (1.0 + spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no9_attempts_come_later_each_time_and_not_all_at_once() {
        for attempt in 1..=ATTEMPTS {
            let longest = f64::from(30 << attempt).min(3600.0);
            let waits: Vec<f64> = (0..50).map(|_| backoff(attempt)).collect();
            assert!(
                waits
                    .iter()
                    .all(|wait| (longest / 2.0..=longest).contains(wait)),
                "{attempt}: {waits:?}"
            );
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{attempt}");
        }
        // Mail services recognise a repeated message by its id for 24 hours, so the last attempt must be made before
        // that.
        let all: f64 = (1..ATTEMPTS).map(backoff).sum();
        assert!(all < 24.0 * 3600.0, "{all}");
    }
}
