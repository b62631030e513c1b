//! The cities' part of the plans of their businesses. The whole price of a period goes to the platform; the nearest
//! commission rule for subscriptions says how much of it is the city's, which is fixed with the payment. Without a
//! rule it is nothing. A refund of the period reduces the city's part in proportion. Periods can't be refunded here,
//! only at the provider, from which we learn of it.

use crate::tickets::commission;
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Result};
use money::{
    Chain, Charge, Currency, Host, HostKind, Money, PaidBy, Parts, card,
    commission::split,
    refund,
    rule::{Unresolved, resolve},
};
use sqlx::Row;
use uuid::Uuid;

/// The city's part of a period. `subscription` is the provider's id; the rule is the one in force when the invoice was
/// made (`at`), however late the invoice is processed.
pub async fn of_period(
    cx: &mut Cx,
    subscription: &str,
    amount: i64,
    currency: &str,
    at: DateTime<Utc>,
) -> Result<i64> {
    let row = sqlx::query(
        "select b.id as business_id, b.city_id, c.country_id
         from app.subscriptions s join app.businesses b on b.id = s.business_id join app.cities c on c.id = b.city_id
         where s.stripe_subscription_id = $1",
    )
    .bind(subscription)
    .fetch_optional(cx.conn())
    .await?;
    let (Some(row), Ok(currency)) = (row, Currency::parse(currency)) else {
        return Ok(0);
    };
    let chain = Chain {
        event: None,
        host: Some(Host {
            kind: HostKind::Business,
            id: row.try_get("business_id")?,
        }),
        city: Some(row.try_get("city_id")?),
        country: Some(row.try_get("country_id")?),
    };
    let rules = commission::rules(cx, &chain, Charge::Subscription, currency, at).await?;
    let share = match resolve(&rules, &chain, Charge::Subscription, currency, at) {
        Ok(rule) => rule.terms.city_share,
        Err(Unresolved::NoRule(_)) => return Ok(0),
        Err(error) => return Err(Error::internal(error)),
    };
    let paid = whole(amount, currency);
    let parts = split(paid, paid, PaidBy::Organizer, share).map_err(Error::internal)?;
    Ok(parts.city_share.amount())
}

/// Brings what the city has given back of a payment to what it has to give back by now. May be called any number of
/// times. The payment's row must be locked.
pub async fn follow(cx: &mut Cx, transaction: Uuid) -> Result<()> {
    let row = sqlx::query(
        "select t.amount_cents, t.refunded_cents, t.city_share_cents, t.currency,
           (select coalesce(sum(d.amount_cents), 0)::int8 from app.disputes d where d.transaction_id = t.id and d.state = 'lost') as lost,
           (select coalesce(sum(x.amount_cents), 0)::int8 from app.share_returns x where x.transaction_id = t.id) as returned
         from app.transactions t
         where t.id = $1 and t.subscription_id is not null and t.city_share_cents > 0",
    )
    .bind(transaction)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(());
    };
    let currency: String = row.try_get("currency")?;
    let share: i64 = row.try_get("city_share_cents")?;
    let amount: i64 = row.try_get("amount_cents")?;
    // A bank may take back a part of the payment, or what refunds have left of it.
    let gone = row.try_get::<i64, _>("refunded_cents")? + row.try_get::<i64, _>("lost")?;
    let due = part(amount, share, gone.min(amount), &currency)?;
    let returned: i64 = row.try_get("returned")?;
    if due != returned {
        sqlx::query(
            "insert into app.share_returns (transaction_id, amount_cents, currency) values ($1, $2, $3)",
        )
        .bind(transaction)
        .bind(due - returned)
        .bind(&currency)
        .execute(cx.conn())
        .await?;
    }
    Ok(())
}

/// Computed from the total that was refunded, not for each refund, so that rounding errors don't add up.
fn part(amount: i64, share: i64, refunded: i64, currency: &str) -> Result<i64> {
    let currency = Currency::parse(currency).map_err(Error::internal)?;
    let paid = whole(amount, currency);
    let share = Money::new(share, currency);
    let parts = Parts {
        organizer: Money::zero(currency),
        platform: paid.minus(share).map_err(Error::internal)?,
        city_share: share,
    };
    let by_now = refund::cumulative(&parts, whole(refunded, currency)).map_err(Error::internal)?;
    Ok(by_now.city_share.amount())
}

/// Rounded down to the smallest step that cards can be charged.
fn whole(amount: i64, currency: Currency) -> Money {
    Money::new(
        amount - amount % card::quantum(currency).cast_signed(),
        currency,
    )
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn c6_a_city_gives_back_in_proportion_and_in_the_end_all() {
        let of = |refunded| part(1_900, 617, refunded, "AUD").expect("a part");
        assert_eq!([of(0), of(1), of(950), of(1_900)], [0, 0, 308, 617]);
        let mut before = 0;
        for refunded in 0..=1_900 {
            let by_now = of(refunded);
            assert!(by_now >= before);
            before = by_now;
        }
        // Kuwaiti dinars are refunded in steps of ten.
        assert_eq!(part(19_000, 6_170, 9_505, "KWD").expect("a part"), 3_080);
    }
}
