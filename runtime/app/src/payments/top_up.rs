//! Sends hosts the part of an order that credits have paid, less what was refunded to the buyer before it was sent.
//! Also retries transfers that the provider has refused for good, once an administrator has corrected the cause.
//!
//! The host's part of a refund that can't be taken back, because it was never sent, is withheld: it is recorded with
//! the refund while the order's row is locked, so that a refund either finds the top-up or was deducted from it.

use super::{
    Payments, cities, connect,
    left::{owed_by_host, reverse_for_refund},
    looks::in_turn,
    transfers::New,
};
use crate::{
    module::Module,
    problems,
    tickets::{Tickets, refund as ticket_refund},
};
use kernel::{
    Cx, Error, Result,
    jobs::{Event, Outcome, Run},
};
use sqlx::Row;
use std::sync::Arc;
use uuid::Uuid;

impl Payments {
    /// Job: an order was paid, so the part that credits have paid is sent to the host.
    pub(super) async fn top_up(&self, run: Arc<Run>) -> Outcome {
        let event: Event = run.payload()?;
        let order = event.entity_id;
        let run = self.db.run(Self::NAME, None, run.request_id, move |cx| {
            Box::pin(async move { top_up(cx, order).await.map(drop) })
        });
        Ok(run.await?)
    }

    /// Sends what credits have paid where the job has given up: it tries for a day and a half, and the host's account may take
    /// money again later. What the provider has refused for good waits for an administrator.
    pub(super) async fn top_ups(&self, request: Uuid) -> Result<()> {
        let found = self.in_turn::<Uuid>(
            request,
            in_turn!(
                "select 'top_up:' || o.id as id, o.id as name, o.paid_at as created_at from app.orders o
                 join app.events e on e.id = o.event_id
                 join app.connected_accounts a on a.owner_type = e.host_type and a.owner_id = e.host_id and a.charges_enabled
                   and a.payouts_enabled and a.transfers_active and a.deauthorized_at is null and a.stripe_account_id is not null
                 where o.top_up_cents > 0 and o.state in ('paid', 'part_refunded', 'charged_back')
                   and o.paid_at between now() - interval '90 days' and now() - interval '15 minutes'
                   and not exists (select from app.transfers x where x.order_id = o.id and x.kind = 'top_up')
                   and o.top_up_cents > (
                     select coalesce(sum(r.withheld_cents), 0) from app.refunds r where r.order_id = o.id and r.state <> 'failed')"
            ),
        );
        for order in found.await? {
            let sent = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move { top_up(cx, order).await })
            });
            if let Err(error) = sent.await {
                tracing::warn!(%order, %error, "what credits have paid could not be sent yet");
            }
        }
        Ok(())
    }

    /// Replaces a transfer or reversal that the provider has refused for good by another one of the amount that is
    /// still owed. Returns false if nothing is owed, None if there is no such transfer.
    pub(super) async fn retry_transfer(
        &self,
        transfer: Uuid,
        request: Uuid,
    ) -> Result<Option<bool>> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { retry(cx, transfer).await })
        });
        run.await
    }
}

/// Returns false if there is nothing to send, or if the top-up was stored before.
async fn top_up(cx: &mut Cx, order: Uuid) -> Result<bool> {
    // A statement of its own: a statement that waits for the row lock would go on with the refunds and transfers of
    // its old snapshot.
    sqlx::query("select from app.orders where id = $1 for update")
        .bind(order)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select o.top_up_cents, o.currency, e.host_type, e.host_id,
           (select count(*) from app.transfers x where x.order_id = o.id and x.kind = 'top_up') as refused
         from app.orders o join app.events e on e.id = o.event_id
         where o.id = $1 and o.top_up_cents > 0 and o.paid_at is not null
           and not exists (select from app.transfers x where x.order_id = o.id and x.kind = 'top_up' and x.state <> 'failed')",
    )
    .bind(order)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    let whole: i64 = row.try_get("top_up_cents")?;
    let amount = whole - withheld(cx, order, whole).await?;
    if amount == 0 {
        return Ok(false);
    }
    let ready = connect::ready(cx, row.try_get("host_type")?, row.try_get("host_id")?).await?;
    let Some(ready) = ready else {
        // The job is retried: the account may be able to take money again by then.
        return Err(Error::new(&problems::HOST_UNPAYABLE));
    };
    let key = match row.try_get::<i64, _>("refused")? {
        0 => format!("top_up:{order}"),
        refused => format!("top_up:{order}:{refused}"),
    };
    let new = New {
        kind: "top_up",
        amount,
        currency: row.try_get("currency")?,
        account: &ready.account,
        order: Some(order),
        refund: None,
        dispute: None,
        city: None,
        source: None,
        key,
    };
    Ok(new.put(cx).await?.is_some())
}

/// The part of the top-up that is not sent because it was refunded to the buyer: of settled refunds, the host's part
/// that can't be taken from what the host received with the payment. Refunds after the top-up are taken back from it.
async fn withheld(cx: &mut Cx, order: Uuid, whole: i64) -> Result<i64> {
    let mut withheld: i64 = sqlx::query_scalar(
        "select coalesce(sum(withheld_cents), 0)::int8 from app.refunds where order_id = $1 and state <> 'failed'",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    for refund in settled_refunds(cx, order).await? {
        reverse_for_refund(cx, refund).await?;
        let part = owed_by_host(cx, refund).await?.min(whole - withheld);
        if part > 0 {
            let before = cx.work_as(Tickets::NAME).await?;
            ticket_refund::withhold(cx, refund, part).await?;
            cx.work_as(before).await?;
            withheld += part;
        }
    }
    Ok(withheld)
}

async fn settled_refunds(cx: &mut Cx, order: Uuid) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar(
        "select id from app.refunds
         where order_id = $1 and state = 'succeeded' and cash_cents = 0 and organizer_cents > 0 order by id",
    );
    Ok(found.bind(order).fetch_all(cx.conn()).await?)
}

async fn retry(cx: &mut Cx, transfer: Uuid) -> Result<Option<bool>> {
    let row = sqlx::query(
        "select kind, state, order_id, refund_id, city_id, currency from app.transfers where id = $1",
    )
    .bind(transfer)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    if row.try_get::<&str, _>("state")? != "failed" {
        return Ok(Some(false));
    }
    let order: Option<Uuid> = row.try_get("order_id")?;
    let refund: Option<Uuid> = row.try_get("refund_id")?;
    let again = match (row.try_get::<&str, _>("kind")?, order, refund) {
        ("top_up", Some(order), _) => top_up(cx, order).await?,
        ("refund_reversal", _, Some(refund)) => reverse_for_refund(cx, refund).await?,
        ("dispute_return" | "dispute_reversal", Some(order), _) => {
            of_dispute(cx, transfer, order).await?
        }
        // With all that the city is owed by now.
        ("city_share", ..) => {
            let city: Option<Uuid> = row.try_get("city_id")?;
            match city {
                Some(city) => cities::again(cx, city, row.try_get("currency")?).await?,
                None => false,
            }
        }
        _ => false,
    };
    Ok(Some(again))
}

/// Stores the same transfer once more, but only once: its key is derived from the refused one.
async fn of_dispute(cx: &mut Cx, transfer: Uuid, order: Uuid) -> Result<bool> {
    sqlx::query("select from app.orders where id = $1 for update")
        .bind(order)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select x.kind, x.amount_cents, x.currency, x.stripe_account_id, x.dispute_id, x.source_id, e.host_type, e.host_id
         from app.transfers x join app.orders o on o.id = x.order_id join app.events e on e.id = o.event_id
         where x.id = $1",
    )
    .bind(transfer)
    .fetch_one(cx.conn())
    .await?;
    let is_sent = row.try_get::<&str, _>("kind")? == "dispute_return";
    let ready = connect::ready(cx, row.try_get("host_type")?, row.try_get("host_id")?).await?;
    let account: String = match ready.filter(|_| is_sent) {
        // The host may have another account by now.
        Some(ready) => ready.account,
        None => row.try_get("stripe_account_id")?,
    };
    let new = New {
        kind: if is_sent {
            "dispute_return"
        } else {
            "dispute_reversal"
        },
        amount: row.try_get("amount_cents")?,
        currency: row.try_get("currency")?,
        account: &account,
        order: Some(order),
        refund: None,
        dispute: row.try_get("dispute_id")?,
        city: None,
        source: row.try_get("source_id")?,
        key: format!("transfer:{transfer}:again"),
    };
    let is_new = new.put(cx).await?.is_some();
    if is_new && is_sent {
        // Refunds made meanwhile could not be taken back, since this money was not there.
        for refund in settled_refunds(cx, order).await? {
            reverse_for_refund(cx, refund).await?;
        }
    }
    Ok(is_new)
}
