//! What nobody told: payments of what is over are cancelled, subscriptions of archived businesses as well, and whatever has not come to an end for a while is read from
//! the provider. It goes the same ways as events do.

use super::{Payments, call};
use crate::module::Module;
use chrono::TimeDelta;
use gateway::FindEvents;
use kernel::{
    Result, failpoint,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

/// Looked at in one run; the rest comes with the next.
const AT_ONCE: i64 = 200;

/// How far back events are looked for that no endpoint has taken.
const LOOK_BACK: TimeDelta = TimeDelta::days(3);

impl Payments {
    /// The order lets go of its tickets, the promotion is over or the quote archived, so nobody is to pay for it any more.
    /// Whoever has paid already gets tickets or their money.
    pub(super) async fn cancel(&self, run: Arc<Run>) -> Outcome {
        Ok(self.cancel_abandoned(run.request_id).await?)
    }

    /// The same at once.
    pub async fn cancel_abandoned(&self, request: Uuid) -> Result<()> {
        let found = self.ids(
            request,
            "select t.id from app.transactions t
             left join app.orders o on o.id = t.order_id left join app.promotions p on p.id = t.promotion_id
             left join app.quotes q on q.id = t.quote_id
             where t.status in ('created', 'requires_action', 'processing', 'failed')
               and (o.state in ('expired', 'cancelled') or p.state in ('rejected', 'ended', 'cancelled') or p.status = 'archived'
                 or q.status = 'archived')
             order by t.created_at limit $1",
        );
        for transaction in found.await? {
            if let Err(error) = self.cancel_one(transaction, request).await {
                tracing::warn!(%transaction, %error, "a payment could not be cancelled yet");
            }
        }
        self.cancel_subscriptions(request).await
    }

    /// Of businesses that were archived, whichever way. Those that the provider has not answered yet are known once their
    /// own job has looked.
    async fn cancel_subscriptions(&self, request: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        let found: Vec<String> = self
            .ids(
                request,
                "select s.stripe_subscription_id from app.subscriptions s join app.businesses b on b.id = s.business_id
             where b.status = 'archived' and s.state <> 'canceled' and s.stripe_subscription_id is not null
             order by s.synced_at nulls first limit $1",
            )
            .await?;
        for subscription in found {
            if let Err(error) = self.cancel_subscription(&subscription, request).await {
                tracing::warn!(%error, "a subscription could not be cancelled yet");
            }
        }
        Ok(())
    }

    async fn cancel_one(&self, transaction: Uuid, request: Uuid) -> Result<()> {
        // One whose call nobody has seen the answer of is made first: only what is known can be cancelled.
        let Some(payment) = self.ask_about(transaction, request).await? else {
            return Ok(());
        };
        if payment.status.is_paid() {
            return Ok(());
        }
        let key = call::key(format!("cancel:{}", payment.id))?;
        let cancelled = self.gateway()?.cancel_payment(&key, &payment.id).await;
        failpoint::reach("payment.cancelled");
        match cancelled {
            Ok(cancelled) => self.learn(request, &cancelled).await,
            Err(failure) if failure.refusal().is_some() => {
                let now = self.gateway()?.payment(&payment.id).await;
                self.learn(request, &now.map_err(|failure| call::told(&failure))?)
                    .await
            }
            Err(failure) => Err(call::told(&failure)),
        }
    }

    pub(super) async fn reconcile(&self, run: Arc<Run>) -> Outcome {
        Ok(self.reconcile_all(run.request_id).await?)
    }

    /// The same at once.
    pub async fn reconcile_all(&self, request: Uuid) -> Result<()> {
        if self.provider.is_none() {
            return Ok(());
        }
        self.events_nobody_took(request).await?;
        let payments = self.ids(
            request,
            "select t.id from app.transactions t
             where t.status in ('created', 'requires_action', 'processing', 'failed') and t.subscription_id is null
               and t.created_at < now() - interval '15 minutes' order by t.created_at limit $1",
        );
        for transaction in payments.await? {
            if let Err(error) = self.ask_about(transaction, request).await {
                tracing::warn!(%transaction, %error, "a payment could not be settled yet");
            }
        }
        let refunds = self.ids(
            request,
            "select id from app.refunds where state = 'pending' and card_cents > 0 and created_at < now() - interval '15 minutes'
             order by created_at limit $1",
        );
        for refund in refunds.await? {
            if self.carry_out(refund, request).await.is_err() {
                tracing::warn!(%refund, "a refund could not be settled yet");
            }
        }
        let transfers = self.ids(
            request,
            "select id from app.transfers where state = 'pending' and updated_at < now() - interval '15 minutes'
             order by created_at limit $1",
        );
        for transfer in transfers.await? {
            if self.send_transfer(transfer, request).await.is_err() {
                tracing::warn!(%transfer, "a transfer could not be settled yet");
            }
        }
        self.accounts(request).await?;
        self.subscriptions(request).await?;
        Ok(())
    }

    /// Accounts that cannot be paid yet, and those that nobody has looked at for a day.
    async fn accounts(&self, request: Uuid) -> Result<()> {
        let found: Vec<String> = self
            .ids(
                request,
                "select stripe_account_id from app.connected_accounts
             where stripe_account_id is not null and deauthorized_at is null
               and (synced_at is null or synced_at < now() - interval '1 day'
                 or (not (charges_enabled and payouts_enabled and transfers_active)
                   and synced_at < now() - interval '15 minutes'))
             order by synced_at nulls first limit $1",
            )
            .await?;
        for account in found {
            if let Err(error) = self.learn_account(&account, request).await {
                tracing::warn!(%error, "an account could not be read");
            }
        }
        Ok(())
    }

    /// Those whose period is over, or that nobody has looked at for a day.
    async fn subscriptions(&self, request: Uuid) -> Result<()> {
        let found: Vec<String> = self
            .ids(
                request,
                "select stripe_subscription_id from app.subscriptions
             where stripe_subscription_id is not null and state <> 'canceled'
               and (synced_at < now() - interval '1 day'
                 or (current_period_end < now() and synced_at < now() - interval '15 minutes')
                 or (state = 'incomplete' and synced_at < now() - interval '15 minutes'))
             order by synced_at limit $1",
            )
            .await?;
        for subscription in found {
            if let Err(error) = self.follow_subscription(&subscription, request).await {
                tracing::warn!(%error, "a subscription could not be read");
            }
        }
        Ok(())
    }

    async fn events_nobody_took(&self, request: Uuid) -> Result<()> {
        let query = FindEvents {
            created_since: self.clock.now() - LOOK_BACK,
            undelivered: true,
            kinds: Vec::new(),
            account: None,
        };
        let found = self.gateway()?.find_events(&query).await;
        for event in found.map_err(|failure| call::told(&failure))? {
            self.keep_event(event, request).await?;
        }
        Ok(())
    }

    /// Ours or the provider's, as the query says; `$1` is how many.
    async fn ids<T>(&self, request: Uuid, query: &'static str) -> Result<Vec<T>>
    where
        T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let found = sqlx::query_scalar(query).bind(AT_ONCE);
                Ok(found.fetch_all(cx.conn()).await?)
            })
        });
        run.await
    }
}
