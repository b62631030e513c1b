//! Sends cities what they have earned: everything of closed months that was not sent before, in one transfer per city
//! and currency, as far as the provider takes that much at once. The rest follows with the next run. A month that refunds
//! have made negative is deducted from the next ones.

use super::{Payments, transfers::New};
use crate::module::Module;
use kernel::{
    Cx, Error, Result,
    jobs::{Outcome, Run},
};
use money::{Currency, card};
use std::sync::Arc;
use uuid::Uuid;

/// The maximum number of pairs of city and currency that one run pays.
const AT_ONCE: i64 = 500;

impl Payments {
    pub(super) async fn pay_cities(&self, run: Arc<Run>) -> Outcome {
        self.pay_cities_now(run.request_id).await?;
        Ok(())
    }

    /// The work of the job, without waiting for it. Returns how many transfers were begun.
    pub async fn pay_cities_now(&self, request: Uuid) -> Result<usize> {
        if self.provider.is_none() {
            return Ok(0);
        }
        let owed = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move { owed(cx).await })
        });
        let mut begun = 0;
        for (city, currency, account) in owed.await? {
            let (currency, account) = (&currency, &account);
            let run = self.db.run(Self::NAME, None, request, move |cx| {
                Box::pin(async move { send(cx, city, currency, account).await })
            });
            begun += usize::from(run.await?);
        }
        Ok(begun)
    }
}

/// Sends what a city is owed without waiting until a day has passed since the last refusal. Returns false if nothing is owed, or
/// if the city's account can't receive it.
pub async fn again(cx: &mut Cx, city: Uuid, currency: &str) -> Result<bool> {
    let account: Option<String> = sqlx::query_scalar(
        "select a.stripe_account_id from app.connected_accounts a
         where a.owner_type = 'city' and a.owner_id = $1 and a.payouts_enabled and a.transfers_active and a.deauthorized_at is null
           and not a.settles_abroad and a.stripe_account_id is not null",
    )
    .bind(city)
    .fetch_optional(cx.conn())
    .await?;
    match account {
        Some(account) => send(cx, city, currency, &account).await,
        None => Ok(false),
    }
}

/// Records the outcome of a transfer: its months are paid if it succeeded, and wait for another transfer if it was
/// refused for good.
pub async fn settled(cx: &mut Cx, transfer: Uuid) -> Result<()> {
    sqlx::query(
        "update app.revenue_shares s set
           state = case x.state when 'succeeded' then 'paid' else s.state end,
           paid_at = case x.state when 'succeeded' then now() end,
           transfer_id = case x.state when 'failed' then null else s.transfer_id end
         from app.transfers x
         where x.id = $1 and s.transfer_id = x.id and s.state = 'closed' and x.state <> 'pending'",
    )
    .bind(transfer)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Pairs of city and currency that something is owed to, with the account that can receive it now. What was refused for
/// good is tried again a day later, since an administrator has to correct the cause.
async fn owed(cx: &mut Cx) -> Result<Vec<(Uuid, String, String)>> {
    let found = sqlx::query_as(
        "select s.city_id, s.currency, a.stripe_account_id from app.revenue_shares s
         join app.connected_accounts a on a.owner_type = 'city' and a.owner_id = s.city_id and a.payouts_enabled
           and a.transfers_active and a.deauthorized_at is null and a.stripe_account_id is not null
           and not a.settles_abroad
         where s.state = 'closed' and s.transfer_id is null
           and not exists (
             select from app.transfers x
             where x.city_id = s.city_id and x.currency = s.currency and x.kind = 'city_share' and x.state = 'failed'
               and x.settled_at > now() - interval '1 day')
         group by 1, 2, 3 having sum(s.amount_cents) > 0 order by 1, 2 limit $1",
    );
    Ok(found.bind(AT_ONCE).fetch_all(cx.conn()).await?)
}

/// Stores the transfer and links its months to it. Returns false if another run has done so, or nothing is left to
/// send.
async fn send(cx: &mut Cx, city: Uuid, currency: &str, account: &str) -> Result<bool> {
    let shares: Vec<(Uuid, i64, String)> = sqlx::query_as(
        "select id, amount_cents, period_start::text from app.revenue_shares
         where city_id = $1 and currency = $2 and state = 'closed' and transfer_id is null
         order by period_start for update",
    )
    .bind(city)
    .bind(currency)
    .fetch_all(cx.conn())
    .await?;
    let known = Currency::parse(currency).map_err(Error::internal)?;
    let amounts: Vec<i64> = shares.iter().map(|(_, amount, _)| *amount).collect();
    // Months before one below nothing are not sent by themselves: that one is deducted first.
    if amounts.iter().sum::<i64>() <= 0 {
        return Ok(false);
    }
    let (months, amount) = fitting(&amounts, card::maximum(known).amount());
    let shares = &shares[..months];
    let Some((.., last)) = shares.last() else {
        tracing::error!(%city, currency, "a month of a city is more than one transfer takes: it has to be sent by hand");
        return Ok(false);
    };
    // Part of the key: a transfer that was refused for good can't be repeated with the same key.
    let refused: i64 = sqlx::query_scalar(
        "select count(*) from app.transfers where city_id = $1 and currency = $2 and kind = 'city_share' and state = 'failed'",
    )
    .bind(city)
    .bind(currency)
    .fetch_one(cx.conn())
    .await?;
    let new = New {
        kind: "city_share",
        amount,
        currency,
        account,
        order: None,
        refund: None,
        dispute: None,
        city: Some(city),
        source: None,
        key: format!("rs:{city}:{currency}:{last}:{}", refused + 1),
    };
    let Some(transfer) = new.put(cx).await? else {
        return Ok(false);
    };
    let ids: Vec<Uuid> = shares.iter().map(|(id, ..)| *id).collect();
    sqlx::query("update app.revenue_shares set transfer_id = $2 where id = any ($1)")
        .bind(ids)
        .bind(transfer)
        .execute(cx.conn())
        .await?;
    Ok(true)
}

/// How many of these amounts, the oldest first, fit into one transfer of at most `most`, and their sum. None if that would
/// be nothing, or less.
fn fitting(amounts: &[i64], most: i64) -> (usize, i64) {
    let (mut best, mut sum) = ((0, 0), 0_i64);
    for (n, amount) in amounts.iter().enumerate() {
        sum = sum.saturating_add(*amount);
        if (1..=most).contains(&sum) {
            best = (n + 1, sum);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::fitting;

    #[test]
    fn c7_a_transfer_takes_as_many_months_as_fit() {
        for (amounts, taken) in [
            (vec![], (0, 0)),
            (vec![-5, 3], (0, 0)),
            (vec![500, -200, 700], (3, 1_000)),
            (vec![600, 600, 600], (1, 600)),
            // A month below nothing makes room.
            (vec![1_000, 200, -300], (3, 900)),
            (vec![1_001, 5], (0, 0)),
            (vec![1_001, -1, 500], (2, 1_000)),
        ] {
            assert_eq!(fitting(&amounts, 1_000), taken, "{amounts:?}");
        }
    }
}
