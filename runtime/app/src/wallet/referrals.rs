//! Rewards for referrals: the referrer gets credits out of the budget once the referred member's first purchase by
//! card is paid and the buyer can't return it any more. They are taken back if that purchase is lost to a dispute, or if
//! refunds by the host leave less of it than the reward: otherwise a referrer and a referred member could buy, keep the
//! reward, and get nearly all of the price back.

use super::{
    Wallet,
    ledger::{self, Entry, Grant, Leg},
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use kernel::{Cx, Result, jobs::NewJob};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

/// The number of days after signing up within which a member may name their referrer.
const NEW_DAYS: i32 = 30;

/// A reward that waits until the order can't be returned any more.
#[derive(Serialize, Deserialize)]
pub struct DelayedReward {
    pub order: Uuid,
}

impl Wallet {
    /// Job: an order was paid. Rewards the referrer if it is the first card purchase of a referred member. If the buyer
    /// can still return some of it, another job does so when that time is over: what was spent of a reward could not be
    /// taken back. Returns whether a reward was granted.
    pub async fn reward_referral(&self, order: Uuid, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let Some(earned) = earned(cx, order).await? else {
                    return Ok(false);
                };
                let rewards = &self.settings.referral_rewards;
                let reward = rewards.iter().find(|reward| reward.currency == earned.currency);
                // A purchase must be worth at least the reward.
                let Some(reward) = reward.filter(|reward| earned.paid >= reward.amount_cents)
                else {
                    return Ok(false);
                };
                if let Some(until) = earned.returnable_until {
                    NewJob::new("wallet.reward_later", DelayedReward { order })?
                        .at(until)
                        .replacing(format!("reward:{order}"))
                        .put(cx)
                        .await?;
                    return Ok(false);
                }
                let to = ledger::of_member(cx, earned.referrer, &earned.currency).await?;
                let from = ledger::of_platform(cx, "promo_budget", &earned.currency).await?;
                let expires_at = self.expiry(cx, None).await?;
                let grant = Grant {
                    kind: "referral_reward",
                    key: &format!("referral:{}", earned.referral),
                    reference: Some(&reference(order)),
                    from,
                    to,
                    amount_cents: reward.amount_cents,
                    expires_at,
                };
                grant.post(cx).await?;
                sqlx::query("update app.referrals set state = 'rewarded', rewarded_at = now() where id = $1 and state = 'pending'")
                    .bind(earned.referral)
                    .execute(cx.conn())
                    .await?;
                Ok(true)
            })
        });
        run.await
    }

    /// Job: a refund is due. If less than the reward is left of the purchase that has earned it, takes the reward back;
    /// spent credits are the budget's loss. Returns whether it was taken back.
    pub async fn revoke_reward(&self, refund: Uuid, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let order: Option<Uuid> =
                    sqlx::query_scalar("select order_id from app.refunds where id = $1")
                        .bind(refund)
                        .fetch_one(cx.conn())
                        .await?;
                match order {
                    Some(order) => revoke(cx, order, Lost::ByRefunds).await,
                    None => Ok(false),
                }
            })
        });
        run.await
    }

    /// Job: a bank has taken back an order's payment or a part of it. An order that was charged back does not count as a
    /// purchase; a part counts like a refund. Takes the reward back in the same way, and returns whether it did.
    pub async fn lose_reward(&self, order: Uuid, request: Uuid) -> Result<bool> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let is_lost: bool = sqlx::query_scalar(
                    "select exists (select from app.orders where id = $1 and state = 'charged_back')",
                )
                .bind(order)
                .fetch_one(cx.conn())
                .await?;
                let lost = if is_lost { Lost::ToBank } else { Lost::ByRefunds };
                revoke(cx, order, lost).await
            })
        });
        run.await
    }
}

fn reference(order: Uuid) -> String {
    format!("order:{order}")
}

/// A reward that is due. The row of its referral is locked.
struct Earned {
    referral: Uuid,
    referrer: Uuid,
    currency: String,
    /// The part of the order that was paid by card and is not refunded.
    paid: i64,
    /// Until when the buyer may return some of it. None if no time is ahead.
    returnable_until: Option<DateTime<Utc>>,
}

/// Why a purchase may not deserve its reward any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    ByRefunds,
    ToBank,
}

/// The reward that an order has earned, if any. There is none for purchases by credits, from a host that one of the two
/// runs, who gets the price as well, of members who were no longer new when they named a referrer, or who had bought by
/// card before.
async fn earned(cx: &mut Cx, order: Uuid) -> Result<Option<Earned>> {
    let row = sqlx::query(
        "select f.id, f.referrer_id, o.currency, least(o.card_cents, o.amount_cents - b.cents) - app.lost_to_banks(o.id) as paid,
           (select max(t.refundable_until) from app.order_items i join app.ticket_types t on t.id = i.ticket_type_id
            where i.order_id = o.id and t.refundable_until > now()) as returnable_until
         from app.orders o
         cross join lateral (
           select coalesce(sum(r.amount_cents), 0)::int8 as cents from app.refunds r where r.order_id = o.id and r.state <> 'failed'
         ) b
         join app.referrals f on f.referee_id = o.user_id and f.state = 'pending' and f.status = 'active' and f.created_at <= o.paid_at
         join app.users u on u.id = f.referee_id and u.status = 'active' and f.created_at < u.created_at + make_interval(days => $2)
         join app.users r on r.id = f.referrer_id and r.status = 'active'
         where o.id = $1 and o.state in ('paid', 'part_refunded') and o.card_cents > 0
           and not exists (
             select from app.events e join app.role_assignments a on a.scope_id = e.host_id
             where e.id = o.event_id and a.role = 'orgAdmin' and a.state = 'accepted' and a.status = 'active'
               and a.user_id in (f.referrer_id, f.referee_id))
           and not exists (
             select from app.orders e
             where e.user_id = o.user_id and e.card_cents > 0 and e.paid_at < o.paid_at
               and e.state in ('paid', 'part_refunded', 'refund_pending', 'refunded', 'charged_back'))
         for update of f",
    )
    .bind(order)
    .bind(NEW_DAYS)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Earned {
        referral: row.try_get("id")?,
        referrer: row.try_get("referrer_id")?,
        currency: row.try_get("currency")?,
        paid: row.try_get("paid")?,
        returnable_until: row.try_get("returnable_until")?,
    }))
}

/// Takes back the reward that an order has earned, if there is one. After refunds only if they leave less of the order
/// than the reward.
async fn revoke(cx: &mut Cx, order: Uuid, lost: Lost) -> Result<bool> {
    // A statement of its own, so that the next one sees a reward that another transaction is just granting.
    let referral: Option<Uuid> = sqlx::query_scalar(
        "select f.id from app.referrals f
         where f.referee_id = (select o.user_id from app.orders o where o.id = $1) and f.status <> 'archived' for update",
    )
    .bind(order)
    .fetch_optional(cx.conn())
    .await?;
    let Some(referral) = referral else {
        return Ok(false);
    };
    let row = sqlx::query(
        "select j.id as journal, c.id as credit, c.remaining_cents, g.wallet_id as granted_to, g.amount_cents, b.wallet_id as budget,
           (select least(o.card_cents, o.amount_cents - coalesce((
              select sum(r.amount_cents) from app.refunds r where r.order_id = o.id and r.state <> 'failed'), 0))::int8
              - app.lost_to_banks(o.id)
            from app.orders o where o.id = $2) as paid
         from app.wallet_journals j
         join app.referrals f on f.id = $4
         join app.wallet_transactions g on g.journal_id = j.id and g.type = 'credit'
         join app.wallet_transactions b on b.journal_id = j.id and b.type = 'debit'
         join app.wallet_credits c on c.journal_id = j.id
         where j.idempotency_key = $3 and j.kind = 'referral_reward' and j.reference = $1 and f.state = 'rewarded'",
    )
    .bind(reference(order))
    .bind(order)
    .bind(format!("referral:{referral}"))
    .bind(referral)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    let paid: i64 = row.try_get("paid")?;
    if lost == Lost::ByRefunds && paid >= row.try_get("amount_cents")? {
        return Ok(false);
    }
    let (wallet, budget): (Uuid, Uuid) = (row.try_get("granted_to")?, row.try_get("budget")?);
    let amount: i64 = row.try_get("amount_cents")?;
    let left: i64 = row.try_get("remaining_cents")?;
    let taken = ledger::available(cx, wallet).await?.clamp(0, left);
    // What is held for a purchase, or comes back from one, expires then and there. Before the entry, which takes the
    // credits that expire first.
    sqlx::query(
        "update app.wallet_credits set expires_at = least(expires_at, now()) where id = $1",
    )
    .bind(row.try_get::<Uuid, _>("credit")?)
    .execute(cx.conn())
    .await?;
    if taken > 0 {
        let leg = |wallet_id, amount_cents| Leg {
            wallet_id,
            amount_cents,
        };
        let entry = Entry {
            kind: if taken == amount {
                "reversal"
            } else {
                "adjustment"
            },
            key: &format!("referral:{referral}:revoked"),
            reference: Some(&reference(order)),
            reverses: (taken == amount)
                .then(|| row.try_get("journal"))
                .transpose()?,
            hold: None,
            legs: &[leg(wallet, -taken), leg(budget, taken)],
        };
        entry.post(cx).await?;
    }
    sqlx::query("update app.referrals set state = 'revoked' where id = $1 and state = 'rewarded'")
        .bind(referral)
        .execute(cx.conn())
        .await?;
    Ok(true)
}
