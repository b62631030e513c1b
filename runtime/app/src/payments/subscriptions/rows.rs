//! The rows of subscriptions: beginning one, finding it again, and which changes are allowed.

use super::{
    super::{active::active, inbox, plan_shares},
    end::Close,
};
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{Interval, Invoice, Metadata, Subscription};
use generated::{business::BUSINESS, plan::PLAN};
use kernel::{Cx, Error, Member, Result, jobs::NewJob};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use uuid::Uuid;

/// The delay before a job checks a subscription that was begun.
const LOOK_AFTER: TimeDelta = TimeDelta::seconds(60);

const ONLY_THE_PAYER: &str = "Only the member whose card pays can do this. Any administrator can cancel the \
     subscription, and begin another one with a card of theirs once it has ended.";

/// A subscription as it was stored.
#[derive(Clone, Debug)]
pub struct Command {
    pub id: Uuid,
    pub business: Uuid,
    pub user: Option<Uuid>,
    pub key: String,
    /// The provider's id of the subscription. None until its creation is confirmed.
    pub known: Option<String>,
    /// The provider's id of the subscription's item, which has the price.
    pub item: Option<String>,
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub loaded_at: DateTime<Utc>,
    /// The plan at the price that was asked for when the subscription began, or that is billed now.
    pub plan: Plan,
}

impl Command {
    /// The first period was never paid.
    pub fn is_unpaid(&self) -> bool {
        self.state == "incomplete"
    }

    /// A payment is due.
    pub fn owes(&self) -> bool {
        ["incomplete", "past_due", "unpaid"].contains(&self.state.as_str())
    }
}

/// A plan at a certain price.
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

/// Stores a new subscription at the plan's present price, or returns the one that waits for its first payment. Also
/// returns whether it is this request that creates it at the provider; otherwise another one does, perhaps right now.
pub async fn begin(
    cx: &mut Cx,
    business: Uuid,
    plan: Uuid,
    user: Uuid,
    is_repeated: bool,
) -> Result<(Command, bool)> {
    if is_repeated && let Some(begun) = begun(cx, business, plan, user).await? {
        if begun.is_unpaid() {
            active(cx, &BUSINESS, business).await?;
        }
        return Ok((begun, true));
    }
    active(cx, &BUSINESS, business).await?;
    // It is continued even if the plan is not offered any more.
    if let Some(begun) = waiting(cx, business, plan).await? {
        return Ok((begun, false));
    }
    offered(cx, plan).await?;
    let id = Uuid::now_v7();
    let inserted: Option<DateTime<Utc>> = sqlx::query_scalar(
        "insert into app.subscriptions (id, business_id, plan_id, user_id, stripe_idempotency_key, amount_cents, currency, interval)
         select $1, $2, p.id, $4, $5, p.price_cents, p.currency, p.interval from app.plans p where p.id = $3
         on conflict do nothing returning created_at",
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
        let begun = begun.ok_or_else(|| Error::internal("a subscription that was just begun"));
        return begun.map(|begun| (begun, true));
    }
    // Another request has begun one meanwhile.
    let waiting = waiting(cx, business, plan).await?;
    waiting.map(|begun| (begun, false)).ok_or_else(|| {
        Error::new(&kernel::problems::STATE)
            .detail("The business has a subscription; change its plan or its card instead.")
    })
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
        "select s.id, s.business_id, s.user_id, s.stripe_idempotency_key, s.stripe_subscription_id, s.stripe_item_id, s.created_at,
           clock_timestamp() as loaded_at, s.state, s.plan_id, p.name, s.amount_cents, s.currency, s.interval
         from app.subscriptions s join app.plans p on p.id = s.plan_id where s.id = $1 and s.state <> 'canceled'",
    )
    .bind(subscription)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Command {
        id: row.try_get("id")?,
        business: row.try_get("business_id")?,
        user: row.try_get("user_id")?,
        key: row.try_get("stripe_idempotency_key")?,
        known: row.try_get("stripe_subscription_id")?,
        item: row.try_get("stripe_item_id")?,
        state: row.try_get("state")?,
        created_at: row.try_get("created_at")?,
        loaded_at: row.try_get("loaded_at")?,
        plan: Plan {
            id: row.try_get("plan_id")?,
            name: row.try_get("name")?,
            price_cents: row.try_get("amount_cents")?,
            currency: row.try_get("currency")?,
            interval: row.try_get("interval")?,
        },
    }))
}

/// Returns the subscription and the plan to change to. Refuses changes that are not allowed. The member whose card pays
/// may cancel it without administering the business; nobody else may keep it or choose another plan.
pub async fn changeable(
    cx: &mut Cx,
    caller: &Member,
    subscription: Uuid,
    change: Change,
) -> Result<(Command, Option<Plan>)> {
    let command = administered(cx, caller, subscription, matches!(change, Change::Cancel)).await?;
    if !matches!(change, Change::Cancel) {
        active(cx, &BUSINESS, command.business).await?;
        // Otherwise an administrator could spend a colleague's money, and undo their cancellation.
        if command.user != Some(caller.id()) {
            return Err(Error::new(&kernel::problems::STATE).detail(ONLY_THE_PAYER));
        }
    }
    if command.is_unpaid() && !matches!(change, Change::Cancel) {
        return Err(Error::new(&kernel::problems::STATE).detail(
            "The first period is not paid. Pay it, or cancel the subscription and begin another one.",
        ));
    }
    // The difference to another plan would be computed as if the present period had been paid.
    if matches!(change, Change::Plan(_)) && command.owes() {
        return Err(Error::new(&kernel::problems::STATE).detail(
            "A payment is due. Pay it first: `POST /subscriptions/{id}/card` does so with a saved card.",
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
            refuse_fewer_days(cx, command.business, to.id).await?;
            Some(to)
        }
        Change::Cancel | Change::Keep => None,
    };
    Ok((command, to))
}

/// Refuses a plan that includes fewer featured days than the business has used already: the price of the present plan,
/// which paid for them, would be credited.
async fn refuse_fewer_days(cx: &mut Cx, business: Uuid, plan: Uuid) -> Result<()> {
    let (used, included): (i32, i32) =
        sqlx::query_as("select app.plan_days_used($1), featured_days from app.plans where id = $2")
            .bind(business)
            .bind(plan)
            .fetch_one(cx.conn())
            .await?;
    match used > included {
        true => Err(Error::new(&kernel::problems::STATE).detail(format!(
            "Bookings of featured places use {used} days of the present plan, and the new one includes {included}. \
             Withdraw bookings that are not shown yet, or change the plan when the next period has begun."
        ))),
        false => Ok(()),
    }
}

/// The subscription, for an administrator of its business; with `payer_may` also for the member whose card pays. Others
/// may not see it. Refused once it has ended.
pub async fn administered(
    cx: &mut Cx,
    caller: &Member,
    subscription: Uuid,
    payer_may: bool,
) -> Result<Command> {
    let found: Option<(Uuid, Option<Uuid>)> =
        sqlx::query_as("select business_id, user_id from app.subscriptions where id = $1")
            .bind(subscription)
            .fetch_optional(cx.conn())
            .await?;
    let (business, payer) = found.ok_or_else(Error::not_found)?;
    let is_payer = payer_may && payer == Some(caller.id());
    if !is_payer && !cx.holds(&BUSINESS, "admin", business).await? {
        return Err(Error::not_found());
    }
    command(cx, subscription)
        .await?
        .ok_or_else(|| Error::new(&kernel::problems::STATE).detail("The subscription has ended."))
}

/// Stores the reported state. The plan becomes the one that the billed price belongs to; an unknown price leaves it
/// unchanged. While the subscription stays past due, `entitled_until` is never extended, whatever periods begin
/// meanwhile. A subscription of which no period was ever paid has no days of grace.
///
/// Once it has ended, a job sees to its invoices. So it does for a subscription that was taken for never made, and that
/// the provider reports all the same.
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
    let ours = id(&told.metadata, "subscription_id");
    let stored = sqlx::query(
        "update app.subscriptions s set stripe_subscription_id = $2, stripe_item_id = $3, state = $4,
           current_period_start = $5, current_period_end = $6, cancel_at_period_end = $7,
           entitled_until = case
             when $4 = 'past_due' and s.entitled_until is null
               and not exists (select from app.transactions t where t.subscription_id = s.id) then null
             when $4 = 'past_due' and s.state = 'past_due' then least(s.entitled_until, $8)
             else $8
           end,
           synced_at = $9, amount_cents = coalesce($12, s.amount_cents), currency = case when $12 is null then s.currency else $13 end,
           interval = coalesce($14, s.interval),
           plan_id = coalesce(
             (select p.id from app.plans p where p.id = $10),
             (select p.id from app.plans p where p.stripe_price_id = $11 order by p.id limit 1),
             s.plan_id)
         where s.id = $1 and coalesce(s.stripe_subscription_id, $2) = $2 and s.state <> 'canceled'
           and (s.synced_at is null or s.synced_at <= $9)",
    )
    .bind(ours)
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
    .bind(told.amount)
    .bind(told.currency.as_str())
    .bind(told.interval.and_then(interval))
    .execute(cx.conn())
    .await?;
    let is_over = match stored.rows_affected() {
        0 => is_stray(cx, told, ours).await?,
        _ => state == "canceled",
    };
    match (is_over, ours) {
        (true, Some(subscription)) => Close { subscription }.put(cx).await,
        _ => Ok(()),
    }
}

/// The provider's id of an ended subscription of which something may still be paid.
pub async fn unclosed(cx: &mut Cx, subscription: Uuid) -> Result<Option<String>> {
    let id = sqlx::query_scalar(
        "select stripe_subscription_id from app.subscriptions
         where id = $1 and state = 'canceled' and stripe_subscription_id is not null and invoices_closed_at is null",
    );
    Ok(id.bind(subscription).fetch_optional(cx.conn()).await?)
}

/// Stores that nothing of an ended subscription can be paid any more.
pub async fn closed(cx: &mut Cx, id: &str) -> Result<()> {
    sqlx::query(
        "update app.subscriptions set invoices_closed_at = now()
         where stripe_subscription_id = $1 and state = 'canceled' and invoices_closed_at is null",
    )
    .bind(id)
    .execute(cx.conn())
    .await?;
    Ok(())
}

/// Whether a subscription was taken for never made, so that the business never had a plan by it.
pub async fn was_never_had(cx: &mut Cx, id: &str) -> Result<bool> {
    let never = sqlx::query_scalar(
        "select exists (select from app.subscriptions
           where stripe_subscription_id = $1 and state = 'canceled' and current_period_start is null)",
    );
    Ok(never.bind(id).fetch_one(cx.conn()).await?)
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
        _ => inbox::wake_parked(cx).await,
    }
}

/// The subscription of the business with this plan that waits for its first payment, if any.
async fn waiting(cx: &mut Cx, business: Uuid, plan: Uuid) -> Result<Option<Command>> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.subscriptions where business_id = $1 and plan_id = $2 and state = 'incomplete'",
    )
    .bind(business)
    .bind(plan)
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(subscription) => command(cx, subscription).await,
        None => Ok(None),
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

/// The plan at its present price.
async fn plan(cx: &mut Cx, id: Uuid) -> Result<Plan> {
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

/// Stores the id of a subscription that was taken for never made. Returns false if this is not one.
async fn is_stray(cx: &mut Cx, told: &Subscription, ours: Option<Uuid>) -> Result<bool> {
    let found = sqlx::query(
        "update app.subscriptions s set stripe_subscription_id = $2, stripe_item_id = $3
         where s.id = $1 and s.state = 'canceled' and s.stripe_subscription_id is null",
    )
    .bind(ours)
    .bind(&told.id)
    .bind(&told.item)
    .execute(cx.conn())
    .await?;
    Ok(found.rows_affected() > 0)
}

fn interval(from: Interval) -> Option<&'static str> {
    match from {
        Interval::Month => Some("month"),
        Interval::Year => Some("year"),
        Interval::Day | Interval::Week => None,
    }
}
