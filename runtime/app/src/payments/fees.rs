//! Fees for services: when one can be paid, and how the platform refunds one. The marketplace module decides the
//! amount and stores it with the quote. The whole fee goes to the platform, which shares it with the city.

use super::{Payments, bodies::FeeRefund, command::Terms};
use crate::{
    module::{self, Module},
    problems,
    tickets::AskedRefund,
};
use axum::http::StatusCode;
use generated::quote::QUOTE;
use kernel::{
    Cx, Error, Member, Result,
    idempotency::{Answer, Claimed},
    jobs,
};
use money::{Currency, Money, Parts, refund};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

/// Whether the caller may pay the fee. Only the side of the quote that the commission rule names may; the other side
/// is told nothing of the fee.
pub async fn may_pay(cx: &mut Cx, quote: Uuid) -> Result<bool> {
    cx.require(&QUOTE, "read", quote).await?;
    cx.holds(&QUOTE, "payer", quote).await
}

pub async fn terms(cx: &mut Cx, quote: Uuid, payer: Uuid) -> Result<Terms> {
    let row = sqlx::query(
        "select q.state, q.fee_cents, q.fee_paid_at is not null as is_paid, q.currency, r.city_id, now() as now
         from app.quotes q join app.leads l on l.id = q.lead_id join app.service_requests r on r.id = l.service_request_id
         where q.id = $1 for update of q",
    )
    .bind(quote)
    .fetch_one(cx.conn())
    .await?;
    if row.try_get::<&str, _>("state")? != "accepted" {
        return Err(state(
            "The fee can be paid once the quote has been accepted.",
        ));
    }
    if row.try_get("is_paid")? {
        return Err(state("It is paid."));
    }
    let amount: i64 = row.try_get("fee_cents")?;
    if amount == 0 {
        return Err(state("This quote has no fee."));
    }
    Ok(Terms {
        now: row.try_get("now")?,
        payer,
        city: row.try_get("city_id")?,
        amount,
        fee: 0,
        currency: row.try_get("currency")?,
        destination: None,
        wants_account: false,
    })
}

/// Marks the fee as paid. A second call changes nothing.
pub async fn paid(cx: &mut Cx, quote: Uuid) -> Result<()> {
    sqlx::query("update app.quotes set fee_paid_at = now() where id = $1 and fee_paid_at is null")
        .bind(quote)
        .execute(cx.conn())
        .await?;
    Ok(())
}

impl Payments {
    /// Refunds a fee in part, or all that is left of it. For platform administrators only, because the fee is the
    /// platform's.
    pub(super) async fn refund_fee(
        &self,
        caller: &Member,
        quote: Uuid,
        body: FeeRefund,
        claimed: Claimed,
    ) -> Result<Answer> {
        module::administrator(caller)?;
        let (by, body, claimed) = (caller.id(), &body, &claimed);
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    let fee = lock(cx, quote).await?;
                    let refund = write_down(cx, &fee, by, body).await?;
                    let answer = Answer::json(StatusCode::CREATED, &refund)?;
                    claimed.keep(cx, &answer).await?;
                    Ok(answer)
                })
            });
        run.await
    }
}

/// A fee that was paid. The row of its quote is locked.
struct Fee {
    quote: Uuid,
    currency: Currency,
    /// The sum of its refunds, pending ones included.
    refunded: Money,
    parts: Parts,
}

async fn lock(cx: &mut Cx, quote: Uuid) -> Result<Fee> {
    // A statement of its own: a statement that waits for the row lock would go on with the refunds of its old
    // snapshot.
    sqlx::query("select from app.quotes where id = $1 for update")
        .bind(quote)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select q.currency, q.fee_cents, q.fee_city_share_cents, q.fee_paid_at is not null as is_paid,
           (select coalesce(sum(r.amount_cents), 0)::int8 from app.refunds r where r.quote_id = q.id and r.state <> 'failed') as refunded,
           exists (select from app.disputes d where d.quote_id = q.id and d.state in ('needs_response', 'under_review')) as is_disputed,
           exists (select from app.disputes d where d.quote_id = q.id and d.state = 'lost') as is_lost
         from app.quotes q where q.id = $1",
    )
    .bind(quote)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    if !row.try_get::<bool, _>("is_paid")? {
        return Err(state("No fee of this quote has been paid."));
    }
    if row.try_get("is_disputed")? {
        return Err(state(
            "The payer's bank is deciding about this payment. Answer the dispute, or accept it; refund once it is won.",
        ));
    }
    if row.try_get("is_lost")? {
        return Err(state(
            "The payer's bank has taken the payment back; there is nothing left to refund.",
        ));
    }
    let currency = Currency::parse(row.try_get("currency")?).map_err(Error::internal)?;
    let money = |column: &str| -> Result<Money> { Ok(Money::new(row.try_get(column)?, currency)) };
    let (fee, city_share) = (money("fee_cents")?, money("fee_city_share_cents")?);
    Ok(Fee {
        quote,
        currency,
        refunded: money("refunded")?,
        parts: Parts {
            organizer: Money::zero(currency),
            platform: fee.minus(city_share).map_err(Error::internal)?,
            city_share,
        },
    })
}

async fn write_down(cx: &mut Cx, fee: &Fee, by: Uuid, body: &FeeRefund) -> Result<AskedRefund> {
    let paid = fee.parts.total().map_err(Error::internal)?;
    let left = paid.minus(fee.refunded).map_err(Error::internal)?;
    let amount = body
        .amount_cents
        .map_or(left, |amount| Money::new(amount, fee.currency));
    if left.is_zero() {
        return Err(state("The fee has been refunded in full."));
    }
    if amount.amount() > left.amount() {
        return Err(Error::new(&problems::REFUND_EXCEEDS));
    }
    let step = money::card::quantum(fee.currency).cast_signed();
    if amount.amount() % step != 0 {
        let detail = format!("must be a multiple of {step}: cards take no smaller steps");
        return Err(Error::field("/amount_cents", "multiple_of", detail));
    }
    let parts = refund::parts(&fee.parts, fee.refunded, amount).map_err(Error::internal)?;
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into app.refunds (id, quote_id, requested_by_id, amount_cents, card_cents, platform_fee_cents, city_share_cents,
           currency, reason, note, stripe_idempotency_key)
         values ($1, $2, $3, $4, $4, $5, $6, $7, 'other', $8, $9)",
    )
    .bind(id)
    .bind(fee.quote)
    .bind(by)
    .bind(amount.amount())
    .bind(parts.platform.amount())
    .bind(parts.city_share.amount())
    .bind(fee.currency.code())
    .bind(&body.note)
    .bind(format!("refund:{id}"))
    .execute(cx.conn())
    .await?;
    jobs::tell(cx, "payments.refund_owed", ("refund", id), json!({})).await?;
    Ok(AskedRefund {
        id: Some(id),
        state: "pending".to_owned(),
        currency: fee.currency.code().to_owned(),
        amount_cents: amount.amount(),
        card_cents: amount.amount(),
        wallet_cents: 0,
        cash_cents: 0,
    })
}

fn state(detail: &'static str) -> Error {
    Error::new(&kernel::problems::STATE).detail(detail)
}
