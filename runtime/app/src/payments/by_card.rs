//! Refuses prices that no card can be charged when they are set, instead of when somebody wants to pay them, and prices,
//! promo codes and commissions from which no order can be priced. Triggers refuse the same for every writer
//! (`spec/sql/promotions.card.sql`).
//!
//! Runs in the caller's transaction, under the caller's rules. For a row that the caller may not see nothing is refused
//! here: the statement of the request itself decides on the answer.

use generated::{
    commission_proposal::CreateCommissionProposal,
    commission_rule::{CreateCommissionRule, UpdateCommissionRule},
    featured_place::{CreateFeaturedPlace, UpdateFeaturedPlace},
    plan::{CreatePlan, UpdatePlan},
    promo_code::{CreatePromoCode, UpdatePromoCode},
    ticket_type::{CreateTicketType, UpdateTicketType},
};
use kernel::{Cx, Error, Result, problem::Item as Wrong, problems};
use money::{Currency, card};
use uuid::Uuid;

/// A price as it would be stored.
struct Price<'a> {
    pointer: &'static str,
    amount: i64,
    currency: &'a str,
    /// Whether it is charged as it is. A price of a day is multiplied first.
    is_whole: bool,
}

pub fn refuse_new_plan(plan: &CreatePlan) -> Result<()> {
    of_plan(plan.price_cents, &plan.currency).refuse()
}

pub async fn refuse_plan(cx: &mut Cx, id: Uuid, change: &UpdatePlan) -> Result<()> {
    let Some(amount) = change.price_cents.value() else {
        return Ok(());
    };
    let currency = sqlx::query_scalar("select t.currency from app.plans t where t.id = $1");
    let currency: Option<String> = currency.bind(id).fetch_optional(cx.conn()).await?;
    match currency {
        Some(currency) => of_plan(*amount, &currency).refuse(),
        None => Ok(()),
    }
}

pub fn refuse_new_place(place: &CreateFeaturedPlace) -> Result<()> {
    of_place(place.day_price_cents, &place.currency).refuse()
}

pub async fn refuse_place(cx: &mut Cx, id: Uuid, change: &UpdateFeaturedPlace) -> Result<()> {
    let (amount, currency) = (change.day_price_cents.value(), change.currency.value());
    if amount.is_none() && currency.is_none() {
        return Ok(());
    }
    let now = sqlx::query_as(
        "select coalesce($2::int8, t.day_price_cents), coalesce($3::text, t.currency) from app.featured_places t where t.id = $1",
    );
    let now: Option<(i64, String)> = now
        .bind(id)
        .bind(amount)
        .bind(currency)
        .fetch_optional(cx.conn())
        .await?;
    match now {
        Some((amount, currency)) => of_place(amount, &currency).refuse(),
        None => Ok(()),
    }
}

pub fn refuse_new_ticket(kind: &CreateTicketType) -> Result<()> {
    refuse_ticket_price(kind.price_cents, &kind.currency, kind.door_only)
}

pub async fn refuse_ticket(cx: &mut Cx, id: Uuid, change: &UpdateTicketType) -> Result<()> {
    let now = sqlx::query_as(
        "select coalesce($2::int8, t.price_cents), coalesce($3::text, t.currency), coalesce($4::bool, t.door_only)
         from app.ticket_types t where t.id = $1",
    );
    let now: Option<(i64, String, bool)> = now
        .bind(id)
        .bind(change.price_cents.value())
        .bind(change.currency.value())
        .bind(change.door_only.value())
        .fetch_optional(cx.conn())
        .await?;
    match now {
        Some((amount, currency, door_only)) => refuse_ticket_price(amount, &currency, door_only),
        None => Ok(()),
    }
}

pub async fn refuse_new_code(cx: &mut Cx, code: &CreatePromoCode) -> Result<()> {
    let Some(currency) = &code.currency else {
        return Ok(());
    };
    in_steps(currency, &[("/amount_cents", code.amount_cents)])?;
    match code.amount_cents {
        Some(_) => refuse_unused_currency(cx, code.event_id, currency).await,
        None => Ok(()),
    }
}

/// Refuses an amount off tickets in a currency in which the event has none, since no order could use it. An event without
/// ticket types may get them later.
async fn refuse_unused_currency(cx: &mut Cx, event: Uuid, currency: &str) -> Result<()> {
    let known: Vec<String> = sqlx::query_scalar(
        "select distinct t.currency from app.ticket_types t where t.event_id = $1 order by 1",
    )
    .bind(event)
    .fetch_all(cx.conn())
    .await?;
    if known.is_empty() || known.iter().any(|one| one == currency) {
        return Ok(());
    }
    let detail = format!(
        "no ticket type of the event is in {currency}: use {}, give `basis_points` instead of an amount, or create the ticket \
         type first",
        known.join(" or ")
    );
    Err(Error::field("/currency", "currency", detail))
}

pub async fn refuse_code(cx: &mut Cx, id: Uuid, change: &UpdatePromoCode) -> Result<()> {
    let (amount, currency) = (change.amount_cents.value(), change.currency.value());
    if amount.is_none() && currency.is_none() {
        return Ok(());
    }
    let now = sqlx::query_as(
        "select t.event_id, coalesce($2::int8, t.amount_cents), coalesce($3::text, t.currency) from app.promo_codes t where t.id = $1",
    );
    let now: Option<(Uuid, Option<i64>, Option<String>)> = now
        .bind(id)
        .bind(amount)
        .bind(currency)
        .fetch_optional(cx.conn())
        .await?;
    match now {
        Some((event, Some(amount), Some(currency))) => {
            in_steps(&currency, &[("/amount_cents", Some(amount))])?;
            refuse_unused_currency(cx, event, &currency).await
        }
        Some((_, None, Some(currency))) => in_steps(&currency, &[]).map(drop),
        _ => Ok(()),
    }
}

pub fn refuse_new_rule(rule: &CreateCommissionRule) -> Result<()> {
    let amounts = of_commission(Some(rule.fixed_cents), Some(rule.min_cents), rule.max_cents);
    refuse_commission(&rule.currency, &amounts)
}

pub async fn refuse_rule(cx: &mut Cx, id: Uuid, change: &UpdateCommissionRule) -> Result<()> {
    let currency =
        sqlx::query_scalar("select t.currency from app.commission_rules t where t.id = $1");
    let currency: Option<String> = currency.bind(id).fetch_optional(cx.conn()).await?;
    let amounts = of_commission(
        change.fixed_cents.value().copied(),
        change.min_cents.value().copied(),
        change.max_cents.value().copied(),
    );
    match currency {
        Some(currency) => refuse_commission(&currency, &amounts),
        None => Ok(()),
    }
}

pub fn refuse_new_proposal(proposal: &CreateCommissionProposal) -> Result<()> {
    let amounts = of_commission(
        Some(proposal.fixed_cents),
        Some(proposal.min_cents),
        proposal.max_cents,
    );
    refuse_commission(&proposal.currency, &amounts)
}

/// Refuses amounts in wrong steps, and a fixed or least commission that is more than a card can be charged: no order could
/// be paid under it.
fn refuse_commission(currency: &str, amounts: &[At; 3]) -> Result<()> {
    let most = card::maximum(in_steps(currency, amounts)?);
    let [fixed, least, _] = amounts;
    let is_too_much = |(_, amount): &&At| amount.is_some_and(|amount| amount > most.amount());
    let wrong: Vec<Wrong> = [fixed, least]
        .into_iter()
        .filter(is_too_much)
        .map(|(pointer, _)| {
            let detail = format!("must be at most {most}: cards take no more");
            Wrong::body(*pointer, "range", detail)
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong
            .into_iter()
            .fold(Error::new(&problems::INVALID), Error::item)),
    }
}

fn refuse_ticket_price(amount: i64, currency: &str, door_only: bool) -> Result<()> {
    let known = in_steps(currency, &[("/price_cents", Some(amount))])?;
    if amount > 0 && !door_only && !card::is_charged(known) {
        let detail = format!(
            "cards can't be charged in {known}: choose another currency, or set `door_only` of tickets that are paid in cash"
        );
        return Err(Error::field("/currency", "invalid", detail));
    }
    let most = card::maximum(known);
    if !door_only && amount > most.amount() {
        let detail = format!(
            "must be at most {most}: cards take no more. Set `door_only` of tickets that are paid in cash"
        );
        return Err(Error::field("/price_cents", "range", detail));
    }
    Ok(())
}

/// An amount and the field that it comes from.
type At = (&'static str, Option<i64>);

fn of_commission(fixed: Option<i64>, min: Option<i64>, max: Option<i64>) -> [At; 3] {
    [
        ("/fixed_cents", fixed),
        ("/min_cents", min),
        ("/max_cents", max),
    ]
}

/// Refuses a currency in which nobody pays, and amounts that are finer than its step: no order can be priced from them,
/// not even at the door. Reports all of them at once.
fn in_steps(currency: &str, amounts: &[At]) -> Result<Currency> {
    let Ok(known) = Currency::parse(currency) else {
        let detail = "is no currency that people pay in".to_owned();
        return Err(Error::field("/currency", "invalid", detail));
    };
    let step = card::quantum(known).cast_signed();
    let wrong: Vec<&'static str> = amounts
        .iter()
        .filter(|(_, amount)| amount.is_some_and(|amount| amount % step != 0))
        .map(|(pointer, _)| *pointer)
        .collect();
    if wrong.is_empty() {
        return Ok(known);
    }
    let item = |pointer: &'static str| {
        let detail =
            format!("must be a multiple of {step}: cards take no finer amounts in {known}");
        Wrong::body(pointer, "multiple_of", detail)
    };
    let told = |error: Error, pointer| error.item(item(pointer));
    Err(wrong.into_iter().fold(Error::new(&problems::INVALID), told))
}

fn of_plan(amount: i64, currency: &str) -> Price<'_> {
    Price {
        pointer: "/price_cents",
        amount,
        currency,
        is_whole: true,
    }
}

fn of_place(amount: i64, currency: &str) -> Price<'_> {
    Price {
        pointer: "/day_price_cents",
        amount,
        currency,
        is_whole: false,
    }
}

impl Price<'_> {
    fn refuse(&self) -> Result<()> {
        if self.amount == 0 {
            return Ok(());
        }
        let known = Currency::parse(self.currency).ok();
        let Some(currency) = known.filter(|currency| card::is_charged(*currency)) else {
            let detail = format!("cards can't be charged in {}", self.currency);
            return Err(Error::field("/currency", "invalid", detail));
        };
        let step = card::quantum(currency).cast_signed();
        let (minimum, maximum) = (card::minimum(currency), card::maximum(currency));
        let wrong = |code, detail: String| Err(Error::field(self.pointer, code, detail));
        if self.amount % step != 0 {
            let detail =
                format!("must be a multiple of {step}: cards take no finer amounts in {currency}");
            return wrong("multiple_of", detail);
        }
        if self.amount > maximum.amount() {
            return wrong(
                "range",
                format!("must be at most {maximum}: cards take no more"),
            );
        }
        if self.is_whole && self.amount < minimum.amount() {
            let detail = format!("must be 0 or at least {minimum}: cards take no less");
            return wrong("range", detail);
        }
        Ok(())
    }
}
