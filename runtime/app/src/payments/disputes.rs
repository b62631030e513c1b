//! Disputes: a buyer's bank takes a payment back. While a dispute is open, the host's part is taken back to the
//! platform. If the dispute is won, it is sent to the host again; if it is lost, both lose their parts: the order is
//! charged back and its unused tickets are voided. A featured place ends as soon as its payment is disputed, and the
//! days that were left of it are refunded if the dispute is won; a plan continues as the provider says. Evidence is
//! submitted at the provider.
//!
//! Credits that the payer has received for the same money are taken back as well ([`super::paid_twice`]). Money that
//! the bank has taken is booked in the ledger as owed to the platform, in the transaction that changes the dispute's
//! state.

use super::{
    Payments,
    command::Of,
    connect,
    left::{self, left, part},
    paid_twice, plan_shares,
    refunds::Again,
    transfers::New,
};
use crate::{
    module::Module,
    promotions,
    tickets::{Tickets, refund as ticket_refund},
};
use chrono::{DateTime, Utc};
use gateway::{Dispute, DisputeStatus};
use kernel::{Cx, Error, Result};
use money::{Currency, Money, Parts, refund};
use sqlx::Row;
use uuid::Uuid;

/// The payment that a dispute is about.
struct Disputed {
    transaction: Uuid,
    /// What was paid for. None for a period of a subscription.
    of: Option<Of>,
    amount: i64,
    fee: i64,
    on_behalf: bool,
}

impl Payments {
    /// Stores what the provider reports about a dispute. Returns false if the disputed payment is not one of ours.
    /// `began` is the time by the database's clock before the provider was asked.
    pub(super) async fn learn_dispute(
        &self,
        dispute: &Dispute,
        began: DateTime<Utc>,
        request: Uuid,
    ) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { learn(cx, dispute, began).await })
        });
        run.await
    }
}

async fn learn(cx: &mut Cx, told: &Dispute, began: DateTime<Utc>) -> Result<bool> {
    let Some(disputed) = find(cx, told).await? else {
        return Ok(false);
    };
    let state = state(told.status);
    // The bank's decision is kept, and is stored whenever it was read; of other states the one that was read last counts.
    // An inquiry that was closed may still become a dispute.
    let id: Option<Uuid> = sqlx::query_scalar(
        "insert into app.disputes as d (state, amount_cents, currency, reason, evidence_due_by, stripe_dispute_id, order_id,
           promotion_id, quote_id, transaction_id, closed_at, synced_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case when $11 then now() end, $12)
         on conflict (stripe_dispute_id) do update set state = excluded.state, amount_cents = excluded.amount_cents,
           evidence_due_by = excluded.evidence_due_by, closed_at = excluded.closed_at,
           synced_at = greatest(d.synced_at, excluded.synced_at)
         where d.state not in ('won', 'lost')
           and (($11 and d.state <> 'closed') or d.synced_at is null or d.synced_at <= excluded.synced_at)
           and (d.state, d.amount_cents, d.evidence_due_by)
             is distinct from (excluded.state, excluded.amount_cents, excluded.evidence_due_by)
         returning d.id",
    )
    .bind(state)
    .bind(told.amount)
    .bind(told.currency.as_str())
    .bind(&told.reason)
    .bind(told.evidence_due_by)
    .bind(&told.id)
    .bind(disputed.of.and_then(Of::order))
    .bind(disputed.of.and_then(Of::promotion))
    .bind(disputed.of.and_then(Of::quote))
    .bind(disputed.transaction)
    .bind(["won", "lost", "closed"].contains(&state))
    .bind(began)
    .fetch_optional(cx.conn())
    .await?;
    book(cx, &told.id).await?;
    if let Some(id) = id {
        // Locks in the same order as purchases, to avoid deadlocks: the order, then wallets, the most contended rows
        // last.
        if let Some(of) = disputed.of {
            lock_order(cx, of).await?;
            paid_twice::settle(cx, disputed.transaction).await?;
        }
        match (state, disputed.of) {
            // Money in another region can't be sent to the host again once taken back, so it is only taken back if the
            // dispute is lost.
            ("needs_response" | "under_review", Some(Of::Order(_))) if disputed.on_behalf => {}
            ("needs_response" | "under_review", Some(Of::Order(order))) => {
                take_back(cx, id, order, &disputed, told.amount).await?;
            }
            ("lost", Some(Of::Order(order))) => {
                take_back(cx, id, order, &disputed, told.amount).await?;
                let before = cx.work_as(Tickets::NAME).await?;
                ticket_refund::charge_back(cx, order).await?;
                cx.work_as(before).await?;
            }
            // `closed` may follow a state in which money was taken: the network has prevented the dispute.
            ("won" | "closed", Some(Of::Order(order))) => give_again(cx, id, order).await?,
            ("needs_response" | "under_review" | "lost", Some(Of::Promotion(promotion))) => {
                promotions::disputed(cx, promotion).await?;
            }
            ("won" | "closed", Some(Of::Promotion(promotion))) => {
                promotions::won(cx, promotion).await?;
            }
            ("lost", None) => plan_shares::follow(cx, disputed.transaction).await?,
            _ => {}
        }
        if let Some(of) = disputed
            .of
            .filter(|_| ["won", "lost", "closed"].contains(&state))
        {
            wake_refunds(cx, of).await?;
        }
    }
    Ok(true)
}

async fn lock_order(cx: &mut Cx, of: Of) -> Result<()> {
    if let Some(order) = of.order() {
        sqlx::query("select from app.orders where id = $1 for update")
            .bind(order)
            .execute(cx.conn())
            .await?;
    }
    Ok(())
}

/// Books the dispute as it is stored now, even if this report has not changed it; the function only books the
/// difference.
async fn book(cx: &mut Cx, dispute: &str) -> Result<()> {
    sqlx::query(
        "select app.book_dispute(d.id, d.state, d.amount_cents, d.currency) from app.disputes d where d.stripe_dispute_id = $1",
    )
    .bind(dispute)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Retries refunds that were waiting for the bank's decision.
async fn wake_refunds(cx: &mut Cx, of: Of) -> Result<()> {
    let waiting: Vec<Uuid> = sqlx::query_scalar(
        "select id from app.refunds
         where state = 'pending' and card_cents > 0 and (order_id = $1 or promotion_id = $2 or quote_id = $3) order by id",
    )
    .bind(of.order())
    .bind(of.promotion())
    .bind(of.quote())
    .fetch_all(cx.conn())
    .await?;
    for refund in waiting {
        Again { refund }.put(cx).await?;
    }
    Ok(())
}

async fn find(cx: &mut Cx, told: &Dispute) -> Result<Option<Disputed>> {
    let row = sqlx::query(
        "select t.id, t.order_id, t.promotion_id, t.quote_id, t.amount_cents, t.application_fee_cents, t.on_behalf_of_host
         from app.transactions t
         where t.stripe_payment_intent_id = $1 for update",
    )
    .bind(&told.payment)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Disputed {
        transaction: row.try_get("id")?,
        of: Of::read(&row)?,
        amount: row.try_get("amount_cents")?,
        fee: row.try_get("application_fee_cents")?,
        on_behalf: row.try_get("on_behalf_of_host")?,
    }))
}

/// Takes back the host's part of the disputed amount from its account, once per dispute.
async fn take_back(
    cx: &mut Cx,
    dispute: Uuid,
    order: Uuid,
    of: &Disputed,
    amount: i64,
) -> Result<()> {
    let left = left(cx, order).await?;
    let written: bool =
        sqlx::query_scalar("select exists (select from app.transfers where dispute_id = $1)")
            .bind(dispute)
            .fetch_one(cx.conn())
            .await?;
    if written {
        return Ok(());
    }
    let currency = Currency::parse(&left.currency).map_err(Error::internal)?;
    let money = |amount| Money::new(amount, currency);
    let parts = Parts {
        organizer: money(of.amount - of.fee),
        platform: money(of.fee),
        city_share: money(0),
    };
    let share =
        refund::parts(&parts, money(0), money(amount.min(of.amount))).map_err(Error::internal)?;
    for one in left.parts(share.organizer.amount(), left::Of::Card) {
        let new = New {
            kind: "dispute_reversal",
            amount: one.amount,
            currency: &left.currency,
            account: one.account,
            order: Some(order),
            refund: None,
            dispute: Some(dispute),
            city: None,
            source: one.source,
            key: format!("dispute:{dispute}:reversal:{}", part(one.source)),
        };
        new.put(cx).await?;
    }
    Ok(())
}

/// Sends the host what was taken back, to the account that it has now.
async fn give_again(cx: &mut Cx, dispute: Uuid, order: Uuid) -> Result<()> {
    let row = sqlx::query(
        "select sum(x.amount_cents)::int8 as amount_cents, x.currency, min(x.stripe_account_id) as stripe_account_id, e.host_type, e.host_id
         from app.transfers x join app.orders o on o.id = x.order_id join app.events e on e.id = o.event_id
         where x.dispute_id = $1 and x.kind = 'dispute_reversal' and x.state <> 'failed'
         group by x.currency, e.host_type, e.host_id",
    )
    .bind(dispute)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let ready = connect::ready(cx, row.try_get("host_type")?, row.try_get("host_id")?).await?;
    let account: String = match ready {
        Some(ready) => ready.account,
        None => row.try_get("stripe_account_id")?,
    };
    let new = New {
        kind: "dispute_return",
        amount: row.try_get("amount_cents")?,
        currency: row.try_get("currency")?,
        account: &account,
        order: Some(order),
        refund: None,
        dispute: Some(dispute),
        city: None,
        source: None,
        key: format!("dispute:{dispute}:return"),
    };
    new.put(cx).await.map(drop)
}

fn state(status: DisputeStatus) -> &'static str {
    match status {
        DisputeStatus::Inquiry => "inquiry",
        DisputeStatus::InquiryClosed | DisputeStatus::Prevented => "closed",
        DisputeStatus::NeedsResponse => "needs_response",
        DisputeStatus::UnderReview => "under_review",
        DisputeStatus::Won => "won",
        DisputeStatus::Lost => "lost",
    }
}
