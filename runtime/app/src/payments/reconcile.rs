//! Finds what no event has reported: cancels payments of what can't be paid any more and subscriptions of archived
//! businesses, and reads from the provider every object that has not been final for a while. What it reads is applied
//! in the same way as the objects that events refer to.

use super::{Payments, call, looks::in_turn, sync::answered};
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{Failure, FindEvents, Key, PaymentStatus};
use kernel::{
    Result, failpoint,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

/// How far back undelivered events are always read: the provider repeats their delivery for this long.
const LOOK_BACK: TimeDelta = TimeDelta::days(3);

/// How far back they are read at most: the provider lists events for this long.
const LISTED: TimeDelta = TimeDelta::days(30);

/// More than a server's clock may be wrong.
const CLOCKS: TimeDelta = TimeDelta::hours(1);

/// A span of time that is not longer than this is not divided further if it has too many events.
const SHORTEST: TimeDelta = TimeDelta::minutes(10);

impl Payments {
    /// Cancels open payments of what can't be paid any more: the order has released its tickets, the promotion is over
    /// or the quote is archived. Buyers who have paid already get tickets or a refund.
    pub(super) async fn cancel(&self, run: Arc<Run>) -> Outcome {
        Ok(self.cancel_abandoned(run.request_id).await?)
    }

    /// The work of the job, without waiting for it.
    pub async fn cancel_abandoned(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select t.id, t.id as name, t.created_at from app.transactions t
                 left join app.orders o on o.id = t.order_id left join app.promotions p on p.id = t.promotion_id
                 left join app.quotes q on q.id = t.quote_id
                 where t.status in ('created', 'requires_action', 'processing', 'failed')
                   and (o.state in ('expired', 'cancelled') or p.state in ('rejected', 'ended', 'cancelled')
                     or p.status = 'archived' or q.status = 'archived')"
            ),
            "a payment could not be cancelled yet",
            |transaction: Uuid| self.cancel_one(transaction, request),
        )
        .await?;
        self.cancel_subscriptions(request).await
    }

    /// Cancels the subscriptions of archived businesses at once, and those of members who have closed their account with
    /// the paid period. One whose id at the provider is not known yet follows once its own job has found it.
    async fn cancel_subscriptions(&self, request: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        self.each_in_turn(
            request,
            in_turn!(
                "select s.id, s.stripe_subscription_id as name, s.created_at from app.subscriptions s
                 join app.businesses b on b.id = s.business_id
                 where b.status = 'archived' and s.state <> 'canceled' and s.stripe_subscription_id is not null"
            ),
            "a subscription could not be cancelled yet",
            |id: String| async move { self.cancel_subscription(&id, request).await },
        )
        .await?;
        self.each_in_turn(
            request,
            in_turn!(
                "select s.id, s.stripe_subscription_id as name, s.created_at from app.subscriptions s
                 join app.users u on u.id = s.user_id
                 where u.status = 'archived' and s.state <> 'canceled' and not s.cancel_at_period_end
                   and s.stripe_subscription_id is not null"
            ),
            "a subscription could not be left yet",
            |id: String| async move { self.leave_subscription(&id, request).await },
        )
        .await
    }

    async fn cancel_one(&self, transaction: Uuid, request: Uuid) -> Result<()> {
        // A payment whose creation was never confirmed is found or created first, because only a known payment can be
        // cancelled.
        let Some(payment) = self.ask_about(transaction, request).await? else {
            return Ok(());
        };
        if payment.status.is_paid() {
            return Ok(());
        }
        // The provider stores a refusal under its key, and a refusal depends on the payment's status: so the status is
        // part of the key.
        let of = format!("cancel:{}:{}", payment.id, payment.status.as_str());
        let keys = call::keys(&of, request)?;
        let (gateway, id) = (self.gateway()?, payment.id.as_str());
        let began = self.now(request).await?;
        let send = move |key: Key| async move { gateway.cancel_payment(&key, id).await };
        let look = async move {
            let now = gateway.payment(id).await?;
            let is_over = now.status.is_paid() || now.status == PaymentStatus::Canceled;
            Ok::<_, Failure>(is_over.then_some(now))
        };
        let cancelled = keys.once(send, look).await;
        failpoint::reach("payment.cancelled");
        match cancelled {
            Ok(cancelled) => self.learn(request, &answered(cancelled), began).await,
            Err(failure) if failure.refusal().is_some() => {
                let now = gateway.payment(id).await;
                let now = now.map_err(|failure| call::request_error(&failure))?;
                self.learn(request, &now, began).await
            }
            Err(failure) => Err(call::request_error(&failure)),
        }
    }

    pub(super) async fn reconcile(&self, run: Arc<Run>) -> Outcome {
        Ok(self.reconcile_all(run.request_id).await?)
    }

    /// The work of the job, without waiting for it.
    pub async fn reconcile_all(&self, request: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        // A failure here must not keep the other objects from being reconciled.
        let events = self.events_nobody_took(request).await;
        if let Err(error) = &events {
            tracing::warn!(%error, "events that no endpoint has taken could not be read");
        }
        self.payments(request).await?;
        self.each_in_turn(
            request,
            in_turn!(
                "select id, id as name, created_at from app.refunds
                 where state = 'pending' and card_cents > 0 and created_at < now() - interval '15 minutes'"
            ),
            "a refund could not be settled yet",
            |refund: Uuid| self.carry_out(refund, request),
        )
        .await?;
        self.each_in_turn(
            request,
            in_turn!(
                "select id, id as name, created_at from app.transfers
                 where state = 'pending' and updated_at < now() - interval '15 minutes'"
            ),
            "a transfer could not be settled yet",
            |transfer: Uuid| self.send_transfer(transfer, request),
        )
        .await?;
        self.claim_again(request).await?;
        self.accounts(request).await?;
        self.top_ups(request).await?;
        self.subscriptions(request).await?;
        self.events_left(request).await?;
        self.wake_parked(request).await?;
        self.claim_again(request).await?;
        self.forget_cards_of_the_erased(request).await?;
        self.forget_looks(request).await?;
        events
    }

    /// Reads payments that are not final, and those whose refunded amount differs from our refunds: a refund that had
    /// succeeded may have failed at the bank without an event.
    async fn payments(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select t.id, t.id as name, t.created_at from app.transactions t
                 where t.status in ('created', 'requires_action', 'processing', 'failed') and t.subscription_id is null
                   and t.created_at < now() - interval '15 minutes'"
            ),
            "a payment could not be settled yet",
            |transaction: Uuid| self.ask_about(transaction, request),
        )
        .await?;
        self.each_in_turn(
            request,
            in_turn!(
                "select t.id, t.id as name, t.created_at
                 from (
                   select distinct r.order_id, r.promotion_id, r.quote_id from app.refunds r
                   where r.settled_at between now() - interval '35 days' and now() - interval '15 minutes'
                 ) r
                 join app.transactions t on (t.order_id = r.order_id or t.promotion_id = r.promotion_id or t.quote_id = r.quote_id)
                   and t.status in ('succeeded', 'part_refunded', 'refunded')
                 where (t.synced_at is null or t.synced_at < now() - interval '1 hour')
                   and t.refunded_cents <> (
                     select coalesce(sum(x.card_cents), 0) from app.refunds x
                     where (x.order_id = t.order_id or x.promotion_id = t.promotion_id or x.quote_id = t.quote_id)
                       and x.state = 'succeeded'
                   )"
            ),
            "a payment could not be settled yet",
            |transaction: Uuid| self.ask_about(transaction, request),
        )
        .await
    }

    /// Reads accounts that can't be paid yet, and those that were not read for a day.
    async fn accounts(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select id, stripe_account_id as name, created_at from app.connected_accounts
                 where stripe_account_id is not null and deauthorized_at is null
                   and (synced_at is null or synced_at < now() - interval '1 day'
                     or (not (charges_enabled and payouts_enabled and transfers_active)
                       and synced_at < now() - interval '15 minutes'))"
            ),
            "an account could not be read",
            |id: String| async move { self.learn_account(&id, request).await },
        )
        .await
    }

    /// Reads subscriptions that are incomplete or whose period is over, and those that were not read for a day. Sees to
    /// the invoices of ended ones where the job has not done so.
    async fn subscriptions(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select id, stripe_subscription_id as name, created_at from app.subscriptions
                 where stripe_subscription_id is not null and state <> 'canceled'
                   and (synced_at < now() - interval '1 day'
                     or (current_period_end < now() and synced_at < now() - interval '15 minutes')
                     or (state = 'incomplete' and synced_at < now() - interval '15 minutes'))"
            ),
            "a subscription could not be read",
            |id: String| async move { self.follow_subscription(&id, request).await },
        )
        .await?;
        self.each_in_turn(
            request,
            in_turn!(
                "select 'close:' || id as id, stripe_subscription_id as name, created_at from app.subscriptions
                 where stripe_subscription_id is not null and state = 'canceled' and invoices_closed_at is null
                   and updated_at < now() - interval '15 minutes'"
            ),
            "the invoices of an ended subscription could not be closed yet",
            |id: String| async move { self.close_invoices_of(&id, request).await },
        )
        .await
    }

    /// Processes events that were received 15 minutes ago or earlier and are still not processed: their jobs have
    /// failed for good or wait for a retry that is due much later.
    async fn events_left(&self, request: Uuid) -> Result<()> {
        self.each_in_turn(
            request,
            in_turn!(
                "select e.id, e.id as name, e.created_at from app.stripe_events e
                 where e.state = 'received' and e.created_at < now() - interval '15 minutes'"
            ),
            "an event could not be worked on yet",
            |event: Uuid| self.work_on(event, true, request),
        )
        .await
    }

    /// Reads undelivered events, one span of time after the other. The progress is stored after each span, so that it
    /// is kept if a later one fails.
    async fn events_nobody_took(&self, request: Uuid) -> Result<()> {
        let gateway = self.gateway()?;
        let now = self.clock.now();
        let mut since = not_taken_since(self.events_until(request).await?, now);
        let mut piece = LOOK_BACK;
        loop {
            let until = Some(since + piece).filter(|until| *until < now);
            let query = FindEvents {
                created_since: since,
                created_until: until,
                undelivered: true,
                kinds: Vec::new(),
                account: None,
            };
            let found = match gateway.find_events(&query).await {
                Err(failure) if failure.is_too_much() && piece > SHORTEST => {
                    piece = piece / 2;
                    continue;
                }
                found => found.map_err(|failure| call::request_error(&failure))?,
            };
            for event in found {
                self.keep_event(event, request).await?;
            }
            self.took_events_until(until.unwrap_or(now), request)
                .await?;
            match until {
                Some(until) => since = until,
                None => return Ok(()),
            }
        }
    }
}

/// The time from which undelivered events are read: when all of them were last read, but at least [`LOOK_BACK`] and at
/// most [`LISTED`] ago.
fn not_taken_since(taken_until: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
    let earliest = now - LISTED;
    match taken_until {
        Some(until) => (until - CLOCKS).min(now - LOOK_BACK).max(earliest),
        None => earliest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_looked_for_since_they_were_last_read() {
        let now = DateTime::from_timestamp(1_790_000_000, 0).expect("a time");
        let days = |days| now - TimeDelta::days(days);
        assert_eq!(not_taken_since(None, now), days(30));
        assert_eq!(not_taken_since(Some(now), now), days(3));
        // Another server's clock is ahead.
        let ahead = now + TimeDelta::minutes(10);
        assert_eq!(not_taken_since(Some(ahead), now), days(3));
        assert_eq!(not_taken_since(Some(days(9)), now), days(9) - CLOCKS);
        assert_eq!(not_taken_since(Some(days(90)), now), days(30));
    }
}
