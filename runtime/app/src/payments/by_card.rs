//! Refuses prices that no card can be charged when they are set, instead of when somebody wants to pay them. Triggers
//! refuse the same for every writer (`spec/sql/promotions.card.sql`).
//!
//! Runs in the caller's transaction, under the caller's rules. For a row that the caller may not see nothing is refused
//! here: the statement of the request itself decides on the answer.

use generated::{
    featured_place::{CreateFeaturedPlace, UpdateFeaturedPlace},
    plan::{CreatePlan, UpdatePlan},
};
use kernel::{Cx, Error, Result};
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
        // A currency that the crate `money` doesn't know has no bounds here.
        let Ok(currency) = Currency::parse(self.currency) else {
            return Ok(());
        };
        if self.amount == 0 {
            return Ok(());
        }
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
