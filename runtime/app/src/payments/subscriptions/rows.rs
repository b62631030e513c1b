//! The rows of subscriptions: beginning one, finding it again, and which changes are allowed.

use super::super::{inbox, plan_shares};
use crate::module::active;
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{Invoice, Metadata, Subscription};
use generated::{business::BUSINESS, plan::PLAN};
use kernel::{Cx, Error, Result, jobs::NewJob};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

/// The delay before a job checks a subscription that was begun.
const LOOK_AFTER: TimeDelta = TimeDelta::seconds(60);

/// A subscription as it was stored.
#[derive(Clone, Debug)]
pub struct Command {
    pub id: Uuid,
    pub user: Option<Uuid>,
    pub key: String,
    /// The provider's id of the subscription. None until its creation is confirmed.
    pub known: Option<String>,
    /// The provider's id of the subscription's item, which has the price.
    pub item: Option<String>,
    /// The first period was never paid.
    pub is_unpaid: bool,
    pub created_at: DateTime<Utc>,
    pub loaded_at: DateTime<Utc>,
    pub plan: Plan,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub id: Uuid,
    pub name: String,
    pub price_cents: i64,
    pub currency: String,
    pub interval: String,
}

#[derive(Serialize, Deserialize)]
pub struct Resume {
    pub subscription: Uuid,
}

/// A change of an existing subscription.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Plan(Uuid),
    /// It ends with the period that is paid for.
    Cancel,
    /// A cancelled subscription continues after all.
    Keep,
}

/// Refuses callers who don't administer the business.
pub async fn administers(cx: &mut Cx, business: Uuid) -> Result<()> {
    cx.require(&BUSINESS, "read", business).await?;
    match cx.holds(&BUSINESS, "admin", business).await? {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

pub async fn begin(
    cx: &mut Cx,
    business: Uuid,
    plan: Uuid,
    user: Uuid,
    is_repeated: bool,
) -> Result<Command> {
    if is_repeated && let Some(begun) = begun(cx, business, plan, user).await? {
        return Ok(begun);
    }
    active(cx, &BUSINESS, business).await?;
    offered(cx, plan).await?;
    let id = Uuid::now_v7();
    let inserted: Option<DateTime<Utc>> = sqlx::query_scalar(
        "insert into app.subscriptions (id, business_id, plan_id, user_id, stripe_idempotency_key)
         values ($1, $2, $3, $4, $5) on conflict do nothing returning created_at",
    )
    .bind(id)
    .bind(business)
    .bind(plan)
    .bind(user)
    .bind(format!("subscription:{id}"))
    .fetch_optional(cx.conn())
    .await?;
    if let Some(now) = inserted {
        NewJob::new("payments.resume_subscription", Resume { subscription: id })?
            .at(now + LOOK_AFTER)
            .put(cx)
            .await?;
        let begun = command(cx, id).await?;
        return begun.ok_or_else(|| Error::internal("a subscription that was just begun"));
    }
    // The business has a subscription already. It is continued if it is for the same plan and waits for its first
    // payment.
    let live: Option<(Uuid, Uuid, String)> = sqlx::query_as(
        "select id, plan_id, state from app.subscriptions where business_id = $1 and state <> 'canceled'",
    )
    .bind(business)
    .fetch_optional(cx.conn())
    .await?;
    match live {
        Some((live, of, state)) if of == plan && state == "incomplete" => {
            let begun = command(cx, live).await?;
            begun.ok_or_else(|| Error::internal("a subscription that is there"))
        }
        _ => Err(Error::new(&kernel::problems::STATE)
            .detail("The business has a subscription; change its plan instead.")),
    }
}

/// The subscription that this member has begun for the business with this plan, if any.
async fn begun(cx: &mut Cx, business: Uuid, plan: Uuid, user: Uuid) -> Result<Option<Command>> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.subscriptions where business_id = $1 and plan_id = $2 and user_id = $3 and state <> 'canceled'",
    )
    .bind(business)
    .bind(plan)
    .bind(user)
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(subscription) => command(cx, subscription).await,
        None => Ok(None),
    }
}

pub async fn offered(cx: &mut Cx, plan: Uuid) -> Result<()> {
    let is_offered: Option<bool> = match cx.may(&PLAN, "read", plan).await? {
        true => {
            sqlx::query_scalar(
                "select is_offered from app.plans where id = $1 and status = 'active'",
            )
            .bind(plan)
            .fetch_optional(cx.conn())
            .await?
        }
        false => None,
    };
    match is_offered {
        Some(true) => Ok(()),
        _ => Err(Error::field(
            "/plan_id",
            "reference",
            "is no plan that is offered now",
        )),
    }
}

pub async fn command(cx: &mut Cx, subscription: Uuid) -> Result<Option<Command>> {
    let row = sqlx::query(
        "select s.id, s.user_id, s.stripe_idempotency_key, s.stripe_subscription_id, s.stripe_item_id, s.created_at,
           clock_timestamp() as loaded_at, s.plan_id, s.state = 'incomplete' as is_unpaid
         from app.subscriptions s where s.id = $1 and s.state <> 'canceled'",
    )
    .bind(subscription)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Command {
        id: row.try_get("id")?,
        user: row.try_get("user_id")?,
        key: row.try_get("stripe_idempotency_key")?,
        known: row.try_get("stripe_subscription_id")?,
        item: row.try_get("stripe_item_id")?,
        is_unpaid: row.try_get("is_unpaid")?,
        created_at: row.try_get("created_at")?,
        loaded_at: row.try_get("loaded_at")?,
        plan: plan(cx, row.try_get("plan_id")?).await?,
    }))
}

pub async fn plan(cx: &mut Cx, id: Uuid) -> Result<Plan> {
    let row =
        sqlx::query("select name, price_cents, currency, interval from app.plans where id = $1")
            .bind(id)
            .fetch_one(cx.conn())
            .await?;
    Ok(Plan {
        id,
        name: row.try_get("name")?,
        price_cents: row.try_get("price_cents")?,
        currency: row.try_get("currency")?,
        interval: row.try_get("interval")?,
    })
}

/// Returns the subscription and the plan to change to. Refuses changes that are not allowed.
pub async fn changeable(
    cx: &mut Cx,
    subscription: Uuid,
    change: Change,
) -> Result<(Command, Option<Plan>)> {
    let business: Option<Uuid> =
        sqlx::query_scalar("select business_id from app.subscriptions where id = $1")
            .bind(subscription)
            .fetch_optional(cx.conn())
            .await?;
    let business = business.ok_or_else(Error::not_found)?;
    // Callers who don't administer the business may not see its subscription either.
    if !cx.holds(&BUSINESS, "admin", business).await? {
        return Err(Error::not_found());
    }
    if !matches!(change, Change::Cancel) {
        active(cx, &BUSINESS, business).await?;
    }
    let command = command(cx, subscription).await?.ok_or_else(|| {
        Error::new(&kernel::problems::STATE).detail("The subscription has ended.")
    })?;
    if command.is_unpaid && !matches!(change, Change::Cancel) {
        return Err(Error::new(&kernel::problems::STATE).detail(
            "The first period is not paid. Pay it, or cancel the subscription and begin another one.",
        ));
    }
    let to = match change {
        Change::Plan(to) => {
            offered(cx, to).await?;
            let to = plan(cx, to).await?;
            if to.currency != command.plan.currency {
                return Err(Error::field(
                    "/plan_id",
                    "currency",
                    format!("is not in {}", command.plan.currency),
                ));
            }
            Some(to)
        }
        Change::Cancel | Change::Keep => None,
    };
    Ok((command, to))
}

pub async fn state(cx: &mut Cx, subscription: Uuid) -> Result<String> {
    let state = sqlx::query_scalar("select state from app.subscriptions where id = $1");
    Ok(state.bind(subscription).fetch_one(cx.conn()).await?)
}

/// Stores the reported state. The plan becomes the one that the billed price belongs to; an unknown price leaves it
/// unchanged. While the subscription stays past due, `entitled_until` is never extended, whatever periods begin
/// meanwhile. A subscription of which no period was ever paid has no days of grace.
pub async fn learn(
    cx: &mut Cx,
    told: &Subscription,
    state: &str,
    entitled: Option<DateTime<Utc>>,
    began: DateTime<Utc>,
) -> Result<()> {
    let id = |metadata: &Metadata, name: &str| {
        let id = metadata.get(name);
        id.and_then(|id| Uuid::try_parse(id).ok())
    };
    sqlx::query(
        "update app.subscriptions s set stripe_subscription_id = $2, stripe_item_id = $3, state = $4,
           current_period_start = $5, current_period_end = $6, cancel_at_period_end = $7,
           entitled_until = case
             when $4 = 'past_due' and s.entitled_until is null
               and not exists (select from app.transactions t where t.subscription_id = s.id) then null
             when $4 = 'past_due' and s.state = 'past_due' then least(s.entitled_until, $8)
             else $8
           end,
           synced_at = $9,
           plan_id = coalesce(
             (select p.id from app.plans p where p.id = $10),
             (select p.id from app.plans p where p.stripe_price_id = $11 order by p.id limit 1),
             s.plan_id)
         where s.id = $1 and coalesce(s.stripe_subscription_id, $2) = $2 and s.state <> 'canceled'
           and (s.synced_at is null or s.synced_at <= $9)",
    )
    .bind(id(&told.metadata, "subscription_id"))
    .bind(&told.id)
    .bind(&told.item)
    .bind(state)
    .bind(told.current_period_start)
    .bind(told.current_period_end)
    .bind(told.cancel_at_period_end)
    .bind(entitled)
    .bind(began)
    .bind(id(&told.price_metadata, "plan_id"))
    .bind(&told.price)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Records the payment of an invoice. Skips subscriptions without `user_id`: this module always sets it, so such a row
/// comes from elsewhere, and there is no member to whose history the payment would belong.
pub async fn book(cx: &mut Cx, invoice: &Invoice, subscription: &str) -> Result<()> {
    let (amount, currency) = (invoice.amount_paid, invoice.currency.as_str());
    let made_at = invoice.created;
    let city_share = plan_shares::of_period(cx, subscription, amount, currency, made_at).await?;
    let booked = sqlx::query(
        "insert into app.transactions (user_id, city_id, subscription_id, type, amount_cents, currency, stripe_payment_intent_id,
           status, livemode, stripe_idempotency_key, city_share_cents)
         select s.user_id, b.city_id, s.id, 'subscription', $3, $4, $5, 'succeeded', $6, 'invoice:' || $2, $7
         from app.subscriptions s join app.businesses b on b.id = s.business_id
         where s.stripe_subscription_id = $1 and s.user_id is not null on conflict do nothing",
    )
    .bind(subscription)
    .bind(&invoice.id)
    .bind(amount)
    .bind(currency)
    .bind(&invoice.payment)
    .bind(invoice.livemode)
    .bind(city_share)
    .execute(cx.conn())
    .await?;
    match booked.rows_affected() {
        0 => Ok(()),
        _ => inbox::wake_early(cx).await,
    }
}
