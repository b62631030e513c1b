//! Commands of payments, stored before the provider is called: for an order, a featured place, or the fee of a quote.

use super::{connect::Ready, fees};
use crate::problems;
use chrono::{DateTime, TimeDelta, Utc};
use generated::{order::ORDER, payment_method::PAYMENT_METHOD, promotion::PROMOTION};
use kernel::{Cx, Error, Result, jobs::NewJob};
use serde::{Deserialize, Serialize};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// The delay before a job checks a payment that was begun. Usually the request has completed it by then.
const LOOK_AFTER: TimeDelta = TimeDelta::seconds(60);

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Order(Uuid),
    Promotion(Uuid),
    /// The fee of an accepted quote.
    Quote(Uuid),
}

impl Of {
    pub fn order(self) -> Option<Uuid> {
        match self {
            Self::Order(order) => Some(order),
            Self::Promotion(_) | Self::Quote(_) => None,
        }
    }

    pub fn promotion(self) -> Option<Uuid> {
        match self {
            Self::Promotion(promotion) => Some(promotion),
            Self::Order(_) | Self::Quote(_) => None,
        }
    }

    pub fn quote(self) -> Option<Uuid> {
        match self {
            Self::Quote(quote) => Some(quote),
            Self::Order(_) | Self::Promotion(_) => None,
        }
    }

    /// What a row of `transactions` pays for. None: a period of a subscription.
    pub fn read(row: &PgRow) -> Result<Option<Self>> {
        let id = |column: &str| -> Result<Option<Uuid>> { Ok(row.try_get(column)?) };
        Ok(
            match (id("order_id")?, id("promotion_id")?, id("quote_id")?) {
                (Some(order), ..) => Some(Self::Order(order)),
                (_, Some(promotion), _) => Some(Self::Promotion(promotion)),
                (.., Some(quote)) => Some(Self::Quote(quote)),
                (None, None, None) => None,
            },
        )
    }

    /// Name and value of the metadata entry by which the payment is found and checked at the provider.
    pub fn metadata(self) -> (String, String) {
        match self {
            Self::Order(order) => ("order_id".to_owned(), order.to_string()),
            Self::Promotion(promotion) => ("promotion_id".to_owned(), promotion.to_string()),
            Self::Quote(quote) => ("quote_id".to_owned(), quote.to_string()),
        }
    }

    /// The provider's transfer group: the payment and the transfers that belong to it.
    pub fn group(self) -> String {
        match self {
            Self::Order(order) => format!("order:{order}"),
            Self::Promotion(promotion) => format!("promotion:{promotion}"),
            Self::Quote(quote) => format!("quote:{quote}"),
        }
    }

    /// A value of `transaction.type`.
    fn kind(self) -> &'static str {
        match self {
            Self::Order(_) => "ticket",
            Self::Promotion(_) => "featured",
            Self::Quote(_) => "service_fee",
        }
    }

    /// The prefix of the idempotency keys of its payments; the number of the attempt follows.
    fn key(self) -> String {
        match self {
            Self::Order(order) => format!("pi:{order}:"),
            Self::Promotion(promotion) => format!("pi:promotion:{promotion}:"),
            Self::Quote(quote) => format!("pi:quote:{quote}:"),
        }
    }
}

/// A payment as it was stored.
#[derive(Clone, Debug)]
pub struct Command {
    pub transaction: Uuid,
    pub of: Of,
    pub user: Uuid,
    pub amount: i64,
    pub currency: String,
    pub fee: i64,
    pub destination: Option<String>,
    /// Whether the payment settles in the country of `destination`. Fixed when the payment was stored, since a call
    /// that is repeated with the same key must be identical.
    pub on_behalf: bool,
    pub key: String,
    /// The provider's id of the payment. None until the provider has answered.
    pub payment: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When the row was loaded, by the database's clock. What is then read at the provider is newer.
    pub loaded_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
pub struct Resume {
    pub transaction: Uuid,
}

/// The terms of a payment that is about to begin.
pub struct Terms {
    /// The current time by the database's clock.
    pub now: DateTime<Utc>,
    pub payer: Uuid,
    pub city: Uuid,
    pub amount: i64,
    pub fee: i64,
    pub currency: String,
    pub destination: Option<Ready>,
    /// Whether a part of the payment goes to a host, who must therefore have an account.
    pub wants_account: bool,
}

/// Refuses callers who may not pay. An order is paid by its buyer, a featured place by an administrator of what is
/// promoted, a fee by the side of the quote that the commission rule names.
pub async fn may_pay(cx: &mut Cx, of: Of) -> Result<()> {
    let may = match of {
        Of::Order(order) => {
            cx.require(&ORDER, "read", order).await?;
            cx.holds(&ORDER, "buyer", order).await?
        }
        Of::Promotion(promotion) => {
            cx.require(&PROMOTION, "read", promotion).await?;
            cx.holds(&PROMOTION, "admin", promotion).await?
        }
        Of::Quote(quote) => fees::may_pay(cx, quote).await?,
    };
    match may {
        true => Ok(()),
        false => Err(Error::forbidden()),
    }
}

/// The state of the order, promotion or quote.
pub async fn state(cx: &mut Cx, of: Of) -> Result<String> {
    let found = match of {
        Of::Order(order) => {
            sqlx::query_scalar("select state from app.orders where id = $1").bind(order)
        }
        Of::Promotion(promotion) => {
            sqlx::query_scalar("select state from app.promotions where id = $1").bind(promotion)
        }
        Of::Quote(quote) => {
            sqlx::query_scalar("select state from app.quotes where id = $1").bind(quote)
        }
    };
    Ok(found.fetch_one(cx.conn()).await?)
}

/// Returns the provider's id of a card of the caller.
pub async fn saved(cx: &mut Cx, card: Uuid) -> Result<String> {
    if !cx.may(&PAYMENT_METHOD, "read", card).await? {
        return Err(Error::field(
            "/payment_method_id",
            "reference",
            "does not refer to anything you can use here",
        ));
    }
    let id = sqlx::query_scalar(
        "select stripe_payment_method_id from app.payment_methods where id = $1",
    );
    Ok(id.bind(card).fetch_one(cx.conn()).await?)
}

/// Stores a new command, or returns the one that is not cancelled.
pub async fn begin(cx: &mut Cx, of: Of, payer: Uuid) -> Result<Command> {
    let terms = match of {
        Of::Order(order) => of_order(cx, order).await?,
        Of::Promotion(promotion) => of_promotion(cx, promotion, payer).await?,
        Of::Quote(quote) => fees::terms(cx, quote, payer).await?,
    };
    if let Some(live) = live(cx, of).await? {
        return Ok(live);
    }
    if terms.wants_account && terms.destination.is_none() {
        return Err(Error::new(&problems::HOST_UNPAYABLE));
    }
    let account = terms.destination.as_ref();
    let transaction = Uuid::now_v7();
    sqlx::query(
        "insert into app.transactions (id, user_id, city_id, order_id, promotion_id, quote_id, type, amount_cents,
           application_fee_cents, currency, stripe_account_id, on_behalf_of_host, attempt, stripe_idempotency_key)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, n.attempt, $13::text || n.attempt
         from (
           select count(*)::int + 1 as attempt from app.transactions t
           where t.order_id = $4 or t.promotion_id = $5 or t.quote_id = $6
         ) n",
    )
    .bind(transaction)
    .bind(terms.payer)
    .bind(terms.city)
    .bind(of.order())
    .bind(of.promotion())
    .bind(of.quote())
    .bind(of.kind())
    .bind(terms.amount)
    .bind(match account {
        Some(_) => terms.fee,
        None => 0,
    })
    .bind(&terms.currency)
    .bind(account.map(|ready| &ready.account))
    .bind(account.is_some_and(|ready| ready.settles_abroad))
    .bind(of.key())
    .execute(cx.conn())
    .await?;
    NewJob::new("payments.resume", Resume { transaction })?
        .at(terms.now + LOOK_AFTER)
        .put(cx)
        .await?;
    load(cx, transaction)
        .await?
        .ok_or_else(|| Error::internal("a payment that was just begun"))
}

/// The payment with which this member has paid, if any.
pub async fn paid(cx: &mut Cx, of: Of, payer: Uuid) -> Result<Option<Command>> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.transactions where (order_id = $1 or promotion_id = $2 or quote_id = $3) and user_id = $4
           and status in ('succeeded', 'part_refunded', 'refunded')",
    )
    .bind(of.order())
    .bind(of.promotion())
    .bind(of.quote())
    .bind(payer)
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(transaction) => load(cx, transaction).await,
        None => Ok(None),
    }
}

/// Returns None if the payment was cancelled, or if it pays a period of a subscription.
pub async fn load(cx: &mut Cx, transaction: Uuid) -> Result<Option<Command>> {
    let row = sqlx::query(
        "select id, order_id, promotion_id, quote_id, user_id, amount_cents, application_fee_cents, currency, stripe_account_id, on_behalf_of_host,
           stripe_idempotency_key, stripe_payment_intent_id, created_at, clock_timestamp() as loaded_at
         from app.transactions where id = $1 and status <> 'cancelled' and subscription_id is null",
    )
    .bind(transaction)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let Some(of) = Of::read(&row)? else {
        return Ok(None);
    };
    Ok(Some(Command {
        transaction: row.try_get("id")?,
        of,
        user: row.try_get("user_id")?,
        amount: row.try_get("amount_cents")?,
        currency: row.try_get("currency")?,
        fee: row.try_get("application_fee_cents")?,
        destination: row.try_get("stripe_account_id")?,
        on_behalf: row.try_get("on_behalf_of_host")?,
        key: row.try_get("stripe_idempotency_key")?,
        payment: row.try_get("stripe_payment_intent_id")?,
        created_at: row.try_get("created_at")?,
        loaded_at: row.try_get("loaded_at")?,
    }))
}

async fn of_order(cx: &mut Cx, order: Uuid) -> Result<Terms> {
    let row = sqlx::query(
        "select o.state, coalesce(o.expires_at <= now(), false) as is_over, o.card_cents, o.currency, o.user_id, o.event_id,
           o.organizer_cents, o.application_fee_cents, e.city_id, e.host_type, e.host_id,
           e.state in ('draft', 'cancelled') or e.status <> 'active' or not app.host_is_live(e.host_id) as is_off, now() as now
         from app.orders o join app.events e on e.id = o.event_id where o.id = $1 for update of o",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    match row.try_get::<&str, _>("state")? {
        "pending" if row.try_get("is_over")? => return Err(Error::new(&problems::ORDER_EXPIRED)),
        "pending" if row.try_get("is_off")? => return Err(Error::new(&problems::NOT_ON_SALE)),
        "pending" => {}
        "expired" => return Err(Error::new(&problems::ORDER_EXPIRED)),
        state => {
            let detail = format!("It is {state}. Only a pending order can be paid.");
            return Err(Error::new(&kernel::problems::STATE).detail(detail));
        }
    }
    let organizer: i64 = row.try_get("organizer_cents")?;
    let account = super::connect::ready(cx, row.try_get("host_type")?, row.try_get("host_id")?);
    Ok(Terms {
        now: row.try_get("now")?,
        payer: row.try_get("user_id")?,
        city: row.try_get("city_id")?,
        amount: row.try_get("card_cents")?,
        fee: row.try_get("application_fee_cents")?,
        currency: row.try_get("currency")?,
        destination: account.await?,
        wants_account: organizer > 0,
    })
}

/// The whole price goes to the platform, so there is no destination account.
async fn of_promotion(cx: &mut Cx, promotion: Uuid, payer: Uuid) -> Result<Terms> {
    // The promotion's row belongs to another module, so an advisory lock serialises concurrent payments of it.
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('promotion:' || $1::uuid, 0))")
        .bind(promotion)
        .execute(cx.conn())
        .await?;
    let row = sqlx::query(
        "select state, coalesce(pay_by <= now(), false) as is_over, paid_at is not null as is_paid, amount_cents, currency, city_id, now() as now,
           ends_at <= now() or not case target_type
             when 'event' then exists (
               select from app.events e where e.id = target_id and e.status = 'active' and e.state in ('draft', 'published') and e.ends_at > now()
                 and app.host_is_live(e.host_id))
             when 'venue' then exists (select from app.venues v where v.id = target_id and v.status = 'active')
             else app.host_is_live(target_id)
           end as is_off
         from app.promotions where id = $1",
    )
    .bind(promotion)
    .fetch_one(cx.conn())
    .await?;
    let refuse = |detail: &'static str| Err(Error::new(&kernel::problems::STATE).detail(detail));
    match row.try_get::<&str, _>("state")? {
        _ if row.try_get("is_paid")? => return refuse("It is paid."),
        _ if row.try_get::<i64, _>("amount_cents")? == 0 => {
            return refuse("There is nothing to pay.");
        }
        "requested" if row.try_get("is_over")? => {
            return refuse("The time to pay this booking is over. Book again.");
        }
        "requested" if row.try_get("is_off")? => {
            return refuse("What was booked for is hidden or over, so it could not be shown.");
        }
        "requested" => {}
        state => {
            let detail = format!("It is {state}. Only a requested promotion can be paid.");
            return Err(Error::new(&kernel::problems::STATE).detail(detail));
        }
    }
    Ok(Terms {
        now: row.try_get("now")?,
        payer,
        city: row.try_get("city_id")?,
        amount: row.try_get("amount_cents")?,
        fee: 0,
        currency: row.try_get("currency")?,
        destination: None,
        wants_account: false,
    })
}

async fn live(cx: &mut Cx, of: Of) -> Result<Option<Command>> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.transactions where (order_id = $1 or promotion_id = $2 or quote_id = $3) and status <> 'cancelled'",
    )
    .bind(of.order())
    .bind(of.promotion())
    .bind(of.quote())
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(transaction) => load(cx, transaction).await,
        None => Ok(None),
    }
}
