//! Events of the provider: stored at once, processed later by a job.
//!
//! Of an event only the reference to its object is used. The object is read from the provider outside of any
//! transaction and then applied. So events may arrive twice, late, in any order or in another version of the API: the
//! result depends on the object only. A change of the object after it was read causes another event. An event that
//! arrives before the payment it is about can be known here is parked until then.

use super::{Payments, call, subscriptions::OF_INVOICE, sync::Applied};
use crate::module::Module;
use axum::http::HeaderMap;
use gateway::{Envelope, Failure, SignatureFault, verify};
use kernel::{
    Cx, Error, Member, Result, failpoint,
    http::metrics,
    jobs::{NewJob, Outcome, Run},
    problems,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::sync::Arc;
use uuid::Uuid;

/// The maximum size of an event in bytes. Events are small, but objects of many lines must fit.
pub const LARGEST: usize = 1 << 20;

pub const PLATFORM: &str = "/webhooks/stripe";
pub const CONNECT: &str = "/webhooks/stripe-connect";

/// The reason of parked events that are retried automatically, once the payment that they are about is known.
const EARLY: &str = "It is about a payment that is not known yet, and goes on once it is.";

/// The reason of parked events whose object could not be read: it may be of another version of the API than this program
/// knows. They are retried from time to time, as the next version of this program may know it.
const UNREADABLE: &str = "Its object can't be read; it is tried again every hour.";

/// How often an object is read before its event is parked because it can't be read.
const READINGS: u32 = 4;

/// How many events are deleted in one transaction.
const PURGED_AT_ONCE: i32 = 1_000;

#[derive(Serialize, Deserialize)]
struct Work {
    event: Uuid,
}

/// The outcome of processing an event.
enum Settled {
    Done,
    /// The event is not about an object of ours, or not about one that is acted on.
    Ignored,
    /// An administrator has to look at it, for this reason.
    Parked(String),
}

struct Told {
    kind: String,
    account: Option<String>,
    object_type: Option<String>,
    object_id: Option<String>,
    livemode: bool,
}

impl Payments {
    /// Receives an event: its signature is checked before it is stored, and it is stored before it is acknowledged.
    pub(super) async fn take_in(
        &self,
        headers: &HeaderMap,
        payload: &[u8],
        secrets: &[SecretString],
    ) -> Result<()> {
        let header = headers
            .get("stripe-signature")
            .and_then(|value| value.to_str().ok());
        let secrets: Vec<&str> = secrets
            .iter()
            .map(|secret| secret.expose_secret())
            .collect();
        let now = self.clock.now();
        verify(payload, header.unwrap_or_default(), &secrets, now).map_err(unsigned)?;
        let event = Envelope::parse(payload).map_err(|error| {
            Error::new(&problems::BAD_REQUEST)
                .detail("The body is not an event.")
                .because(error.to_string())
        })?;
        self.keep_event(event, Uuid::now_v7()).await?;
        failpoint::reach("event.kept");
        Ok(())
    }

    /// Stores an event with the job that processes it, unless it is stored already.
    pub(super) async fn keep_event(&self, event: Envelope, request: Uuid) -> Result<()> {
        let event = &event;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let stored: Option<Uuid> = sqlx::query_scalar(
                    "insert into app.stripe_events (stripe_event_id, type, stripe_account_id, object_type, object_id, api_version,
                       livemode, happened_at)
                     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning id",
                )
                .bind(&event.id)
                .bind(&event.kind)
                .bind(&event.account)
                .bind(&event.object_kind)
                .bind(&event.object_id)
                .bind(&event.api_version)
                .bind(event.livemode)
                .bind(event.created)
                .fetch_optional(cx.conn())
                .await?;
                if let Some(event) = stored {
                    NewJob::new("payments.event", Work { event })?.put(cx).await?;
                }
                Ok(())
            })
        });
        run.await
    }

    pub(super) async fn event(&self, run: Arc<Run>) -> Outcome {
        let Work { event } = run.payload()?;
        let is_last = run.attempt >= READINGS;
        Ok(self.work_on(event, is_last, run.request_id).await?)
    }

    /// Processes a stored event. Does nothing if the event has been processed already. An error means that it should
    /// be retried later. `is_last`: an object that can't be read is not a broken answer that comes right by itself.
    pub(super) async fn work_on(&self, event: Uuid, is_last: bool, request: Uuid) -> Result<()> {
        let found = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { load(cx, event).await })
        });
        let Some(told) = found.await? else {
            return Ok(());
        };
        let settled = match self.follow(&told, request).await {
            Ok(settled) => settled,
            Err(error) if is_last && call::is_unreadable(&error) => {
                Settled::Parked(UNREADABLE.to_owned())
            }
            Err(error) if is_for_now(&error) => return Err(error),
            // A retry would not help, so the event waits for an administrator, who can have it retried.
            Err(error) => Settled::Parked(error.reason()),
        };
        if let Settled::Parked(why) = &settled {
            tracing::warn!(%event, why, "an event is put aside");
        }
        failpoint::reach("event.followed");
        self.settle_event(event, settled, request).await
    }

    /// Reads the object that the event is about, and applies it.
    async fn follow(&self, told: &Told, request: Uuid) -> Result<Settled> {
        let livemode = self
            .provider
            .as_ref()
            .is_some_and(|provider| provider.livemode);
        if told.livemode != livemode {
            tracing::error!(
                kind = told.kind,
                "an event of the other mode: test and real money are mixed up"
            );
            return Ok(Settled::Ignored);
        }
        if let Some(account) = &told.account {
            return self.of_account(told, account, request).await;
        }
        let Some(id) = &told.object_id else {
            return Ok(Settled::Ignored);
        };
        let gateway = self.gateway()?;
        match told.object_type.as_deref().unwrap_or_default() {
            "payment_intent" => self.follow_payment(id, request).await,
            "charge" => match gateway.charge(id).await.map_err(lost)?.payment {
                Some(payment) => self.follow_payment(&payment, request).await,
                None => Ok(Settled::Ignored),
            },
            "refund" => self.follow_refund(id, request).await,
            "dispute" => self.follow_dispute(id, request).await,
            "setup_intent" => {
                let setup = gateway.setup(id).await.map_err(lost)?;
                self.learn_setup(&setup, request).await?;
                Ok(Settled::Done)
            }
            "payment_method" => {
                self.learn_card(id, request).await?;
                Ok(Settled::Done)
            }
            "subscription" => Ok(done(self.follow_subscription(id, request).await?)),
            "invoice" => {
                let invoice = gateway.invoice(id).await.map_err(lost)?;
                Ok(done(self.learn_invoice(&invoice, request).await?))
            }
            "account" => Ok(done(self.learn_account(id, request).await?)),
            _ => Ok(Settled::Ignored),
        }
    }

    /// Processes an event of a connected account. Only what the account can do concerns the platform.
    async fn of_account(&self, told: &Told, account: &str, request: Uuid) -> Result<Settled> {
        let known = match told.kind.as_str() {
            "account.application.deauthorized" => self.deauthorize(account, request).await?,
            "account.updated" | "capability.updated" => {
                self.learn_account(account, request).await?
            }
            _ => return Ok(Settled::Ignored),
        };
        Ok(done(known))
    }

    async fn follow_payment(&self, id: &str, request: Uuid) -> Result<Settled> {
        let began = self.now(request).await?;
        let payment = self.gateway()?.payment(id).await.map_err(lost)?;
        Ok(match self.apply(request, &payment, began).await? {
            Applied::Known => Settled::Done,
            Applied::Unknown => Settled::Ignored,
            Applied::Differs(why) => Settled::Parked(why),
        })
    }

    /// A refund of an order, a booking or a fee, or of a period that had bought nothing.
    async fn follow_refund(&self, id: &str, request: Uuid) -> Result<Settled> {
        let refund = self.gateway()?.refund(id).await.map_err(lost)?;
        if refund.metadata.contains_key(OF_INVOICE) {
            let owed = self.follow_period_back(&refund, request).await?;
            return Ok(owed.map_or(Settled::Done, Settled::Parked));
        }
        let known = self.learn_refund(&refund, request).await?;
        match refund.payment.filter(|_| known) {
            Some(payment) => self.follow_payment(&payment, request).await,
            None => Ok(done(known)),
        }
    }

    /// Applies the payment before its dispute: the payment may have succeeded without our knowledge, and a dispute can
    /// only take back what is recorded. The payment of a plan's period becomes known by its invoice.
    async fn follow_dispute(&self, id: &str, request: Uuid) -> Result<Settled> {
        let gateway = self.gateway()?;
        let began = self.now(request).await?;
        let dispute = gateway.dispute(id).await.map_err(lost)?;
        let Some(payment) = &dispute.payment else {
            return Ok(Settled::Ignored);
        };
        let read = self.now(request).await?;
        let payment = gateway.payment(payment).await.map_err(lost)?;
        let applied = self.apply(request, &payment, read).await?;
        if self.learn_dispute(&dispute, began, request).await? {
            return Ok(Settled::Done);
        }
        match (applied, &payment.customer) {
            (Applied::Differs(why), _) => Ok(Settled::Parked(why)),
            (_, Some(customer)) if self.is_member(customer, request).await? => {
                Ok(Settled::Parked(EARLY.to_owned()))
            }
            _ => Ok(Settled::Ignored),
        }
    }

    /// Retries events that wait for their payment or could not be read, those first that were not tried for the longest
    /// time.
    pub(super) async fn wake_parked(&self, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move { wake_parked(cx).await })
        });
        run.await
    }

    pub(super) async fn purge(&self, run: Arc<Run>) -> Outcome {
        Ok(self.purge_events(run.request_id).await.map(drop)?)
    }

    /// Deletes settled events that are older than the retention time. Returns how many.
    pub async fn purge_events(&self, request: Uuid) -> Result<i64> {
        let days = i32::from(self.settings.stripe_events_kept_days);
        let mut all = 0;
        loop {
            let purged = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move {
                    let purged: i64 = sqlx::query_scalar(
                        "select app.purge_stripe_events(now() - make_interval(days => $1), $2)",
                    )
                    .bind(days)
                    .bind(PURGED_AT_ONCE)
                    .fetch_one(cx.conn())
                    .await?;
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

    async fn settle_event(&self, event: Uuid, settled: Settled, request: Uuid) -> Result<()> {
        let (state, error) = match settled {
            Settled::Done => ("done", None),
            Settled::Ignored => ("ignored", None),
            Settled::Parked(why) => ("parked", Some(why)),
        };
        let error = &error;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.stripe_events set state = $2, error = left($3, 500), settled_at = now()
                     where id = $1 and state in ('received', 'parked')",
                )
                .bind(event)
                .bind(state)
                .bind(error)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Has a parked event processed again. Returns false if it is not parked, None if there is no such event.
    pub(super) async fn retry_event(&self, caller: &Member, event: Uuid) -> Result<Option<bool>> {
        let request = caller.request_id;
        let run = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move {
                let again = sqlx::query(
                    "update app.stripe_events set state = 'received', error = null, settled_at = null
                     where id = $1 and state = 'parked'",
                )
                .bind(event)
                .execute(cx.conn())
                .await?;
                if again.rows_affected() == 0 {
                    return not_parked(cx, event).await;
                }
                NewJob::new("payments.event", Work { event })?.put(cx).await?;
                Ok(Some(true))
            })
        });
        run.await
    }

    /// Ends a parked event without applying it, for a reason that goes to the audit log: what it is about may not exist
    /// any more, so that no retry can succeed. Its error stays. Returns the same as `retry_event`.
    pub(super) async fn dismiss_event(
        &self,
        caller: &Member,
        event: Uuid,
        reason: &str,
    ) -> Result<Option<bool>> {
        let request = caller.request_id;
        let run = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move {
                cx.set_reason(reason).await?;
                let ended = sqlx::query(
                    "update app.stripe_events set state = 'ignored', settled_at = now() where id = $1 and state = 'parked'",
                )
                .bind(event)
                .execute(cx.conn())
                .await?;
                if ended.rows_affected() == 0 {
                    return not_parked(cx, event).await;
                }
                Ok(Some(true))
            })
        });
        run.await
    }
}

/// The same, in the transaction that has recorded a payment. Events are retried until shortly after the provider no
/// longer lists them.
pub async fn wake_parked(cx: &mut Cx) -> Result<()> {
    let woken: Vec<Uuid> = sqlx::query_scalar(
        "update app.stripe_events e set state = 'received', error = null, settled_at = null
         from (
           select w.id from app.stripe_events w
           where w.state = 'parked' and (w.error = $1 or w.error = $2 and w.settled_at < now() - interval '1 hour')
             and w.created_at > now() - interval '35 days'
           order by w.settled_at, w.id limit 100 for update skip locked
         ) x where e.id = x.id returning e.id",
    )
    .bind(EARLY)
    .bind(UNREADABLE)
    .fetch_all(cx.conn())
    .await?;
    for event in woken {
        NewJob::new("payments.event", Work { event })?
            .put(cx)
            .await?;
    }
    Ok(())
}

/// False if the event is not parked, None if there is no such event.
async fn not_parked(cx: &mut Cx, event: Uuid) -> Result<Option<bool>> {
    let there = sqlx::query_scalar("select exists (select from app.stripe_events where id = $1)");
    let there: bool = there.bind(event).fetch_one(cx.conn()).await?;
    Ok(there.then_some(false))
}

fn done(known: bool) -> Settled {
    match known {
        true => Settled::Done,
        false => Settled::Ignored,
    }
}

async fn load(cx: &mut Cx, event: Uuid) -> Result<Option<Told>> {
    let row = sqlx::query(
        "select type, stripe_account_id, object_type, object_id, livemode from app.stripe_events where id = $1 and state = 'received'",
    )
    .bind(event)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Told {
        kind: row.try_get("type")?,
        account: row.try_get("stripe_account_id")?,
        object_type: row.try_get("object_type")?,
        object_id: row.try_get("object_id")?,
        livemode: row.try_get("livemode")?,
    }))
}

fn unsigned(fault: SignatureFault) -> Error {
    metrics::UNSIGNED.add();
    tracing::warn!(%fault, "an event that nobody of ours has signed");
    Error::new(&problems::BAD_REQUEST).detail("The signature of the event does not match.")
}

/// The error for an object that could not be had. A refusal is permanent; every other failure is retried.
fn lost(failure: Failure) -> Error {
    match call::refused(&failure) {
        Some(refusal) => Error::internal(refusal.to_string()),
        None => call::request_error(&failure),
    }
}

/// Whether the provider or the database can't be reached at the moment, which says nothing about the event.
fn is_for_now(error: &Error) -> bool {
    let away = [&crate::problems::PROVIDER_AWAY, &problems::UNAVAILABLE];
    error.is_transient() || away.iter().any(|kind| std::ptr::eq(error.kind(), *kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_not_put_aside_because_somebody_is_away() {
        let away = Error::new(&crate::problems::PROVIDER_AWAY);
        // The error if PostgreSQL has closed the connection.
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        for error in [
            away,
            sqlx::Error::Io(gone).into(),
            sqlx::Error::PoolTimedOut.into(),
        ] {
            assert!(is_for_now(&error), "{error}");
        }
        assert!(!is_for_now(&Error::internal(
            "an object that can't be read"
        )));
    }
}
