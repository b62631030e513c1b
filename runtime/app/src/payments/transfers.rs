//! Transfers to hosts and cities beside the payment itself, and their reversals: the part that credits have paid, the
//! host's part of refunds and disputes, the city's share. Which ones are due is decided by `top_up`, `left`,
//! `disputes` and `cities`.
//!
//! Each is stored with its key before the provider is called. The provider stores a temporary refusal, such as an
//! insufficient balance, under its key, so the next attempt gets another key.

use super::{Payments, call};
use crate::module::Module;
use chrono::{DateTime, Utc};
use gateway::{
    Currency, Failure, Gateway, Key, Metadata, NewReversal, NewTransfer, Reversal, Transfer,
};
use kernel::{
    Cx, Error, Result, failpoint,
    jobs::{self, NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct Send {
    transfer: Uuid,
}

/// A transfer as it was stored.
struct Command {
    id: Uuid,
    takes_back: bool,
    amount: i64,
    currency: Currency,
    account: String,
    key: Key,
    group: String,
    /// Our id of the transfer that is reversed. None for a reversal of what went with the payment.
    source: Option<Uuid>,
    source_object: Option<String>,
    /// The provider's id of the order's payment, for a reversal of what went with it.
    payment: Option<String>,
    since: DateTime<Utc>,
    loaded_at: DateTime<Utc>,
}

/// A transfer to be stored.
pub struct New<'a> {
    pub kind: &'static str,
    pub amount: i64,
    pub currency: &'a str,
    pub account: &'a str,
    pub order: Option<Uuid>,
    pub refund: Option<Uuid>,
    pub dispute: Option<Uuid>,
    pub city: Option<Uuid>,
    pub source: Option<Uuid>,
    /// The idempotency key. A key that is stored already is not stored again.
    pub key: String,
}

impl New<'_> {
    /// Stores the transfer and enqueues its job. Returns None if the key was stored before.
    pub async fn put(&self, cx: &mut Cx) -> Result<Option<Uuid>> {
        let id: Option<Uuid> = sqlx::query_scalar(
            "insert into app.transfers (kind, amount_cents, currency, stripe_account_id, order_id, refund_id, dispute_id, city_id,
               source_id, stripe_idempotency_key)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing returning id",
        )
        .bind(self.kind)
        .bind(self.amount)
        .bind(self.currency)
        .bind(self.account)
        .bind(self.order)
        .bind(self.refund)
        .bind(self.dispute)
        .bind(self.city)
        .bind(self.source)
        .bind(&self.key)
        .fetch_optional(cx.conn())
        .await?;
        if let Some(transfer) = id {
            // Transfers of one order or city run one after the other: whether a reversal took effect is computed from
            // the sum of those before it.
            let of = self.order.or(self.city).unwrap_or(transfer);
            NewJob::new("payments.transfer", Send { transfer })?
                .in_order(format!("transfer:{of}"))
                .put(cx)
                .await?;
        }
        Ok(id)
    }
}

impl Payments {
    pub(super) async fn transfer(&self, run: Arc<Run>) -> Outcome {
        let Send { transfer } = run.payload()?;
        self.send_transfer(transfer, run.request_id).await
    }

    pub(super) async fn send_transfer(&self, transfer: Uuid, request: Uuid) -> Outcome {
        let found = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { load(cx, transfer).await })
        });
        let Some(command) = found.await? else {
            return Ok(());
        };
        let gateway = self.gateway()?;
        let sent = match command.takes_back {
            true => take_back(gateway, &command).await,
            false => send_out(gateway, &command).await,
        };
        failpoint::reach("transfer.sent");
        let failure = match sent {
            Ok(object) => return Ok(self.sent(transfer, Some(object), None, request).await?),
            Err(failure) => failure,
        };
        match call::refused(&failure) {
            _ if call::is_spent(&failure) => {
                self.next_attempt(transfer, &command.key, request).await?;
                Err(call::job_failure(&failure))
            }
            Some(refusal) if call::is_for_now(refusal) => {
                self.next_attempt(transfer, &command.key, request).await?;
                let error =
                    Error::new(&crate::problems::PROVIDER_AWAY).because(refusal.to_string());
                Err(jobs::Failure::retry_in(error, Duration::from_secs(3600)))
            }
            Some(refusal) => {
                tracing::error!(%transfer, %refusal, "a transfer was refused");
                let code = call::code(refusal);
                Ok(self.sent(transfer, None, Some(code), request).await?)
            }
            None => Err(call::job_failure(&failure)),
        }
    }

    async fn sent(
        &self,
        transfer: Uuid,
        object: Option<String>,
        failure: Option<String>,
        request: Uuid,
    ) -> Result<()> {
        let (object, failure) = (&object, &failure);
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                // Serialises this with code that stores reversals of the transfer, so that it sees either outcome.
                sqlx::query(
                    "select from app.orders where id = (select x.order_id from app.transfers x where x.id = $1) for update",
                )
                .bind(transfer)
                .execute(cx.conn())
                .await?;
                sqlx::query(
                    "update app.transfers set state = case when $2::text is null then 'failed' else 'succeeded' end,
                       stripe_object_id = $2, failure_code = $3, settled_at = now()
                     where id = $1 and state = 'pending'",
                )
                .bind(transfer)
                .bind(object)
                .bind(failure)
                .execute(cx.conn())
                .await?;
                // A transfer that was never sent can't be reversed.
                sqlx::query(
                    "update app.transfers y set state = 'failed', failure_code = 'never_sent', settled_at = now()
                     from app.transfers x
                     where x.id = $1 and x.state = 'failed' and y.source_id = x.id and y.state = 'pending'",
                )
                .bind(transfer)
                .execute(cx.conn())
                .await?;
                super::cities::settled(cx, transfer).await
            })
        });
        run.await
    }

    /// Replaces the key that was refused. Another run may have done so already, and its call may be under way.
    async fn next_attempt(&self, transfer: Uuid, refused: &Key, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.transfers set attempt = attempt + 1, stripe_idempotency_key = 'transfer:' || id || ':' || (attempt + 1)
                     where id = $1 and state = 'pending' and stripe_idempotency_key = $2",
                )
                .bind(transfer)
                .bind(refused.as_str())
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }
}

async fn send_out(gateway: &dyn Gateway, command: &Command) -> Result<String, Failure> {
    let id = command.id.to_string();
    let find = async || {
        let all = gateway.transfers(&command.group).await?;
        let ours = |found: &Transfer| found.metadata.get("transfer_id") == Some(&id);
        Ok::<_, Failure>(all.into_iter().find(ours).map(|found| found.id))
    };
    if call::is_old(command.since, command.loaded_at)
        && let Some(found) = find().await?
    {
        return Ok(found);
    }
    let new = NewTransfer {
        amount: command.amount,
        currency: command.currency,
        destination: command.account.clone(),
        transfer_group: Some(command.group.clone()),
        source_charge: None,
        description: None,
        metadata: Metadata::from([("transfer_id".to_owned(), id.clone())]),
    };
    match gateway.create_transfer(&command.key, &new).await {
        Ok(made) => Ok(made.id),
        Err(failure) if call::is_spent(&failure) => find().await?.ok_or(failure),
        Err(failure) => Err(failure),
    }
}

async fn take_back(gateway: &dyn Gateway, command: &Command) -> Result<String, Failure> {
    let not_yet = || Failure::Retryable {
        after: Some(Duration::from_secs(30)),
    };
    let source = match (command.source, &command.source_object, &command.payment) {
        (Some(_), object, _) => object.clone().ok_or_else(not_yet)?,
        (None, _, Some(payment)) => gateway
            .payment(payment)
            .await?
            .transfer
            .ok_or_else(not_yet)?,
        (None, _, None) => {
            return Err(Failure::unsent(
                "no_payment",
                "there is no payment to take back from",
            ));
        }
    };
    let id = command.id.to_string();
    let find = async || {
        let all = gateway.reversals(&source).await?;
        let ours = |found: &Reversal| found.metadata.get("transfer_id") == Some(&id);
        Ok::<_, Failure>(all.into_iter().find(ours).map(|found| found.id))
    };
    if call::is_old(command.since, command.loaded_at)
        && let Some(found) = find().await?
    {
        return Ok(found);
    }
    let new = NewReversal {
        transfer: source.clone(),
        amount: command.amount,
        refund_application_fee: false,
        metadata: Metadata::from([("transfer_id".to_owned(), id.clone())]),
    };
    match gateway.reverse_transfer(&command.key, &new).await {
        Ok(made) => Ok(made.id),
        Err(failure) if call::is_spent(&failure) => find().await?.ok_or(failure),
        Err(failure) => Err(failure),
    }
}

async fn load(cx: &mut Cx, transfer: Uuid) -> Result<Option<Command>> {
    let row = sqlx::query(
        "select x.kind, x.amount_cents, x.currency, x.stripe_account_id, x.stripe_idempotency_key, x.updated_at,
           clock_timestamp() as loaded_at, x.source_id,
           'order:' || coalesce(x.order_id, x.city_id) as transfer_group, s.stripe_object_id as source_object,
           (select t.stripe_payment_intent_id from app.transactions t
              where t.order_id = x.order_id and t.status in ('succeeded', 'part_refunded', 'refunded')) as payment
         from app.transfers x left join app.transfers s on s.id = x.source_id
         where x.id = $1 and x.state = 'pending'",
    )
    .bind(transfer)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let kind: &str = row.try_get("kind")?;
    Ok(Some(Command {
        id: transfer,
        takes_back: kind.ends_with("_reversal"),
        amount: row.try_get("amount_cents")?,
        currency: call::currency(row.try_get("currency")?)?,
        account: row.try_get("stripe_account_id")?,
        key: call::key(row.try_get::<&str, _>("stripe_idempotency_key")?)?,
        group: row.try_get("transfer_group")?,
        source: row.try_get("source_id")?,
        source_object: row.try_get("source_object")?,
        payment: row.try_get("payment")?,
        since: row.try_get("updated_at")?,
        loaded_at: row.try_get("loaded_at")?,
    }))
}
