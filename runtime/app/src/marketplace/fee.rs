//! The platform's fee for introducing two sides, by the commission rules for service fees. It is fixed when a quote is
//! accepted; without a rule there is none. The fee can be asked for before, and is computed by the same function.
//!
//! The service itself is paid directly between the two sides. The fee is paid by card through the payments module.

mod routes;

pub use routes::{document, router};

use super::Marketplace;
use crate::{module::Module, tickets::commission};
use chrono::{DateTime, Utc};
use generated::quote::QUOTE;
use kernel::{Cx, Error, Member, Result};
use money::{
    Chain, Charge, Currency, Host, HostKind, Money, PaidBy, card, commission as fees,
    rule::{Unresolved, resolve},
};
use routes::FeeOfQuote;
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

impl Marketplace {
    /// Fixes the fee of an accepted quote, by the rules in force when it was accepted. A second call changes nothing.
    pub async fn charge(&self, quote: Uuid, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { charge(cx, quote).await })
        });
        run.await
    }

    /// The fee that the caller's side pays; 0 if the other side pays it.
    async fn fee(&self, caller: &Member, quote: Uuid) -> Result<FeeOfQuote> {
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&QUOTE, "read", quote).await?;
                    shown(cx, quote).await
                })
            });
        run.await
    }
}

/// A fee. `paid_by` is the side that pays it: a value of `quote.fee_paid_by`, and also the name of the rule of the
/// quote that this side fulfils.
struct Fee {
    amount: i64,
    city_share: i64,
    paid_by: &'static str,
}

impl Fee {
    const NONE: Self = Self {
        amount: 0,
        city_share: 0,
        paid_by: "provider",
    };
}

async fn charge(cx: &mut Cx, quote: Uuid) -> Result<()> {
    let accepted = sqlx::query(
        "select q.amount_cents, q.currency, q.accepted_at as at, l.business_id, r.event_id, r.city_id, c.country_id
         from app.quotes q join app.leads l on l.id = q.lead_id
         join app.service_requests r on r.id = l.service_request_id
         join app.cities c on c.id = r.city_id
         where q.id = $1 and q.state = 'accepted' and q.accepted_at is not null and q.fee_decided_at is null for update of q",
    )
    .bind(quote)
    .fetch_optional(cx.conn())
    .await?;
    let Some(accepted) = accepted else {
        return Ok(());
    };
    let fee = price(cx, &accepted).await?;
    sqlx::query(
        "update app.quotes set fee_cents = $2, fee_city_share_cents = $3, fee_paid_by = $4, fee_decided_at = now()
         where id = $1 and fee_decided_at is null",
    )
    .bind(quote)
    .bind(fee.amount)
    .bind(fee.city_share)
    .bind(fee.paid_by)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// The fee as it was fixed; before that, as it would be now.
async fn shown(cx: &mut Cx, quote: Uuid) -> Result<FeeOfQuote> {
    let row = sqlx::query(
        "select q.amount_cents, q.currency, coalesce(q.accepted_at, now()) as at, l.business_id, r.event_id, r.city_id, c.country_id,
           q.fee_decided_at is not null as is_decided, q.fee_cents, q.fee_paid_by, q.fee_paid_at
         from app.quotes q join app.leads l on l.id = q.lead_id
         join app.service_requests r on r.id = l.service_request_id
         join app.cities c on c.id = r.city_id
         where q.id = $1",
    )
    .bind(quote)
    .fetch_one(cx.conn())
    .await?;
    let is_decided: bool = row.try_get("is_decided")?;
    let fee = match is_decided {
        true => Fee {
            amount: row.try_get("fee_cents")?,
            paid_by: match row.try_get::<&str, _>("fee_paid_by")? {
                "organizer" => "organizer",
                _ => "provider",
            },
            ..Fee::NONE
        },
        false => price(cx, &row).await?,
    };
    let is_theirs = cx.holds(&QUOTE, fee.paid_by, quote).await?;
    Ok(FeeOfQuote {
        quote_id: quote,
        amount_cents: if is_theirs { fee.amount } else { 0 },
        currency: row.try_get("currency")?,
        is_decided,
        paid_at: match is_theirs {
            true => row.try_get("fee_paid_at")?,
            false => None,
        },
    })
}

/// Computes the fee by the nearest rule in force at the row's `at`.
async fn price(cx: &mut Cx, row: &PgRow) -> Result<Fee> {
    // There is no fee in a currency that cards can't be charged in.
    let currency = Currency::parse(row.try_get("currency")?).ok();
    let Some(currency) = currency.filter(|currency| card::is_charged(*currency)) else {
        return Ok(Fee::NONE);
    };
    let at: DateTime<Utc> = row.try_get("at")?;
    let chain = Chain {
        event: row.try_get("event_id")?,
        host: Some(Host {
            kind: HostKind::Business,
            id: row.try_get("business_id")?,
        }),
        city: Some(row.try_get("city_id")?),
        country: Some(row.try_get("country_id")?),
    };
    let rules = commission::rules(cx, &chain, Charge::ServiceFee, currency, at).await?;
    let terms = match resolve(&rules, &chain, Charge::ServiceFee, currency, at) {
        Ok(rule) => &rule.terms,
        Err(Unresolved::NoRule(_)) => return Ok(Fee::NONE),
        Err(error) => return Err(Error::internal(error)),
    };
    // The amount of a quote may be finer than the smallest step of cards.
    let gross: i64 = row.try_get("amount_cents")?;
    let gross = gross - gross % card::quantum(currency).cast_signed();
    let fee = fees::fee(terms, Money::new(gross, currency), 1).map_err(Error::internal)?;
    // A fee below the minimum charge of cards could never be paid.
    if fee.amount() < card::minimum(currency).amount() {
        return Ok(Fee::NONE);
    }
    // Nor could one above the maximum.
    let fee = fee.min(card::maximum(currency)).map_err(Error::internal)?;
    let parts =
        fees::split(fee, fee, PaidBy::Organizer, terms.city_share).map_err(Error::internal)?;
    Ok(Fee {
        amount: fee.amount(),
        city_share: parts.city_share.amount(),
        paid_by: match terms.paid_by {
            PaidBy::Buyer => "organizer",
            PaidBy::Organizer => "provider",
        },
    })
}
