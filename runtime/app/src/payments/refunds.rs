//! Refunds to cards. The tickets module has recorded how much is refunded and to whom; this module carries it out:
//! first the refund to the buyer's card, then the reversal of the host's part.
//!
//! The provider's own proportional reversals are not used: the host gives back exactly the part that the refund
//! records, by a separate reversal.

use super::{Payments, call, left, paid_twice};
use crate::{module::Module, tickets::refund};
use chrono::{DateTime, Utc};
use gateway::{Failure, Gateway, Key, Metadata, NewRefund, Payment, Refund, RefundStatus, Refusal};
use kernel::{
    Cx, Error, Result, failpoint,
    jobs::{self, Event, NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// The delay between attempts while the payment is disputed. Banks take weeks to decide, and the reconciler checks as
/// well.
const WHILE_DISPUTED: Duration = Duration::from_secs(6 * 3600);

/// The delay between attempts while the platform's balance at the provider does not cover the refund.
const UNTIL_COVERED: Duration = Duration::from_secs(3600);

/// A job that retries a refund now, while the refund's own job waits for hours.
#[derive(Serialize, Deserialize)]
pub struct Again {
    pub refund: Uuid,
}

impl Again {
    pub async fn put(self, cx: &mut Cx) -> Result<()> {
        let key = format!("refund:{}", self.refund);
        let job = NewJob::new("payments.refund_again", self)?.unless_waiting(key);
        job.put(cx).await.map(drop)
    }
}

/// The pending card part of a refund.
struct Owed {
    payment: String,
    card: i64,
    key: Key,
    /// The provider's id of the refund. None until its creation is confirmed.
    known: Option<String>,
    created_at: DateTime<Utc>,
    loaded_at: DateTime<Utc>,
}

impl Payments {
    pub(super) async fn refund(&self, run: Arc<Run>) -> Outcome {
        let event: Event = run.payload()?;
        self.carry_out(event.entity_id, run.request_id).await
    }

    /// Only logs a failure, because the refund's own job and the reconciler retry it as well.
    pub(super) async fn refund_again(&self, run: Arc<Run>) -> Outcome {
        let Again { refund } = run.payload()?;
        if let Err(failure) = self.carry_out(refund, run.request_id).await {
            let error = failure.text();
            tracing::warn!(%refund, error, "a refund could not be settled yet");
        }
        Ok(())
    }

    /// Carries a refund out, or continues it. May be called any number of times.
    pub(super) async fn carry_out(&self, refund: Uuid, request: Uuid) -> Outcome {
        let owed = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { owed(cx, refund).await })
        });
        if let Some(owed) = owed.await? {
            let gateway = self.gateway()?;
            let sent = send(gateway, refund, &owed).await;
            failpoint::reach("refund.sent");
            let began = self.now(request).await?;
            let payment = gateway.payment(&owed.payment).await;
            let payment = payment.map_err(|failure| call::job_failure(&failure))?;
            match sent {
                Ok(done) => {
                    self.learn_refund(&done, request).await?;
                }
                Err(failure) => {
                    self.not_sent(refund, &owed, &payment, &failure, request)
                        .await?;
                }
            }
            self.learn(request, &payment, began).await?;
        }
        self.give_back_shares(refund, request).await?;
        Ok(())
    }

    /// Handles a refund that could not be sent. If the card can't be refunded, the buyer gets credits, provided that
    /// the money is still with us: the payment may have been refunded by hand at the provider, and credits would pay
    /// it back twice.
    async fn not_sent(
        &self,
        refund: Uuid,
        owed: &Owed,
        payment: &Payment,
        failure: &Failure,
        request: Uuid,
    ) -> Outcome {
        let is_disputed = |refusal: &Refusal| refusal.code.as_deref() == Some("charge_disputed");
        let left = payment.amount_received - payment.amount_refunded.unwrap_or(0);
        let refusal = call::refused(failure);
        if refusal.is_some_and(call::is_for_now) {
            // This refusal says nothing about the card. The provider repeats it for the same key, so the next attempt
            // needs another one.
            self.take_another_key(refund, &owed.key, request).await?;
            return Err(later(failure, UNTIL_COVERED));
        }
        if refusal.is_some_and(is_disputed) {
            if left >= owed.card && self.disputed(refund, request).await? {
                return Ok(());
            }
            // No credits are given: the bank may be giving the buyer the same money. If the dispute is won, the refund
            // goes to the card; if it is lost, nothing is refunded.
            self.take_another_key(refund, &owed.key, request).await?;
            return Err(later(failure, WHILE_DISPUTED));
        }
        if call::is_spent(failure) {
            self.take_another_key(refund, &owed.key, request).await?;
            return Err(call::job_failure(failure));
        }
        let Some(refusal) = refusal.filter(|_| owed.known.is_none()) else {
            return Err(call::job_failure(failure));
        };
        if left < owed.card {
            tracing::error!(%refund, %refusal, left, "a refund was refused, and the payment has less left than it is for");
            return Err(call::job_failure(failure));
        }
        tracing::warn!(%refund, %refusal, "a refund was refused; it goes to the wallet");
        let code = call::code(refusal);
        Ok(self.to_wallet(refund, code, request).await?)
    }

    /// Replaces the key that was refused. Another run may have done so already, and its call may be under way.
    async fn take_another_key(&self, refund: Uuid, refused: &Key, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.refunds set stripe_idempotency_key = 'refund:' || id || ':' || gen_random_uuid()
                     where id = $1 and state = 'pending' and stripe_refund_id is null and stripe_idempotency_key = $2",
                )
                .bind(refund)
                .bind(refused.as_str())
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Records what the provider reports about a refund. Returns false if the refund is not one of ours.
    pub(super) async fn learn_refund(&self, told: &Refund, request: Uuid) -> Result<bool> {
        let ours = told.metadata.get("refund_id");
        let Some(refund) = ours.and_then(|id| Uuid::try_parse(id).ok()) else {
            return Ok(false);
        };
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let payment = lock(cx, refund).await?;
                let known = sqlx::query(
                    "update app.refunds set stripe_refund_id = $2 where id = $1 and coalesce(stripe_refund_id, $2) = $2",
                )
                .bind(refund)
                .bind(&told.id)
                .execute(cx.conn())
                .await?;
                if known.rows_affected() == 0 {
                    return Ok(false);
                }
                match told.status {
                    RefundStatus::Succeeded => {
                        in_tickets(cx, refund, None).await?;
                    }
                    status @ (RefundStatus::Failed | RefundStatus::Canceled) => {
                        let reason = told.failure_reason.as_deref();
                        in_tickets(cx, refund, Some(reason.unwrap_or(status.as_str()))).await?;
                    }
                    RefundStatus::Pending | RefundStatus::RequiresAction => return Ok(true),
                }
                settle_credits(cx, payment).await?;
                // When the refund began, there may have been less to take back from the host.
                left::reverse_for_refund(cx, refund).await?;
                Ok(true)
            })
        });
        run.await
    }

    async fn to_wallet(&self, refund: Uuid, code: String, request: Uuid) -> Result<()> {
        let code = code.as_str();
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let payment = lock(cx, refund).await?;
                in_tickets(cx, refund, Some(code)).await?;
                settle_credits(cx, payment).await
            })
        });
        run.await
    }

    /// Returns whether the dispute that blocks the refund was lost, in which case the refund is now final.
    async fn disputed(&self, refund: Uuid, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let payment = lock(cx, refund).await?;
                let before = cx.work_as(crate::tickets::Tickets::NAME).await?;
                let is_over = refund::disputed(cx, refund).await?;
                cx.work_as(before).await?;
                settle_credits(cx, payment).await?;
                Ok(is_over)
            })
        });
        run.await
    }

    /// Takes the host's part back from its account, as far as no reversal is recorded for it yet.
    async fn give_back_shares(&self, refund: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { left::reverse_for_refund(cx, refund).await.map(drop) })
        });
        run.await
    }
}

async fn send(gateway: &dyn Gateway, refund: Uuid, owed: &Owed) -> Result<Refund, Failure> {
    if let Some(known) = &owed.known {
        return gateway.refund(known).await;
    }
    if call::is_old(owed.created_at, owed.loaded_at)
        && let Some(found) = find(gateway, refund, owed).await?
    {
        return Ok(found);
    }
    let new = NewRefund {
        payment: owed.payment.clone(),
        amount: owed.card,
        reverse_transfer: false,
        refund_application_fee: false,
        metadata: Metadata::from([("refund_id".to_owned(), refund.to_string())]),
    };
    match gateway.create_refund(&owed.key, &new).await {
        Err(failure) if call::is_spent(&failure) => {
            find(gateway, refund, owed).await?.ok_or(failure)
        }
        made => made,
    }
}

async fn find(gateway: &dyn Gateway, refund: Uuid, owed: &Owed) -> Result<Option<Refund>, Failure> {
    let all = gateway.refunds(&owed.payment).await?;
    let id = refund.to_string();
    let ours = |found: &Refund| found.metadata.get("refund_id") == Some(&id);
    Ok(all.into_iter().find(ours))
}

fn later(failure: &Failure, after: Duration) -> jobs::Failure {
    let error = Error::new(&crate::problems::PROVIDER_AWAY).because(failure.to_string());
    jobs::Failure::retry_in(error, after)
}

/// Locks the rows of the refund's payment and order, in the same order as the code that records payments and disputes,
/// so that decisions about them and about the refund are made one after the other. Returns the payment; None if nothing
/// was paid by card.
async fn lock(cx: &mut Cx, refund: Uuid) -> Result<Option<Uuid>> {
    let payments: Vec<Uuid> = sqlx::query_scalar(
        "select t.id from app.transactions t
         join app.refunds r on (t.order_id = r.order_id or t.promotion_id = r.promotion_id or t.quote_id = r.quote_id)
         where r.id = $1 and t.status in ('succeeded', 'part_refunded', 'refunded') for update of t",
    )
    .bind(refund)
    .fetch_all(cx.conn())
    .await?;
    sqlx::query("select from app.orders o join app.refunds r on r.order_id = o.id where r.id = $1 for update of o")
        .bind(refund)
        .execute(cx.conn())
        .await?;
    Ok(payments.first().copied())
}

/// Orders and refunds belong to the tickets module: marks the refund as settled, or turns it into credits if `failed`
/// has the code of a failure.
async fn in_tickets(cx: &mut Cx, refund: Uuid, failed: Option<&str>) -> Result<()> {
    let before = cx.work_as(crate::tickets::Tickets::NAME).await?;
    match failed {
        None => {
            refund::settled(cx, refund).await?;
        }
        Some(code) => {
            refund::to_wallet(cx, refund, code).await?;
        }
    }
    cx.work_as(before).await?;
    Ok(())
}

/// Adjusts the buyer's credits to the disputes of the payment: what has become of a refund can change how much of what
/// the bank has given was also refunded as credits.
async fn settle_credits(cx: &mut Cx, payment: Option<Uuid>) -> Result<()> {
    match payment {
        Some(payment) => paid_twice::settle(cx, payment).await,
        None => Ok(()),
    }
}

async fn owed(cx: &mut Cx, refund: Uuid) -> Result<Option<Owed>> {
    let row = sqlx::query(
        "select r.card_cents, r.stripe_idempotency_key, r.stripe_refund_id, r.created_at, clock_timestamp() as loaded_at,
           t.stripe_payment_intent_id
         from app.refunds r
         join app.transactions t on (t.order_id = r.order_id or t.promotion_id = r.promotion_id or t.quote_id = r.quote_id)
           and t.status in ('succeeded', 'part_refunded', 'refunded')
         where r.id = $1 and r.state = 'pending' and r.card_cents > 0",
    )
    .bind(refund)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Owed {
        payment: row.try_get("stripe_payment_intent_id")?,
        card: row.try_get("card_cents")?,
        key: call::key(row.try_get::<&str, _>("stripe_idempotency_key")?)?,
        known: row.try_get("stripe_refund_id")?,
        created_at: row.try_get("created_at")?,
        loaded_at: row.try_get("loaded_at")?,
    }))
}
