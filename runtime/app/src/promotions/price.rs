//! What a featured place costs and why it can't be booked: computed for a preview and before a booking, and again by
//! the database when the booking is stored. All use the same function, which locks the place until the end of the
//! transaction.

use super::{
    Promotions,
    bodies::{AskedPlace, PlacePrice},
};
use crate::{clock, module::Module, problems};
use generated::{
    business::BUSINESS,
    event::EVENT,
    promotion::{CreatePromotion, PromotionTargetType},
    venue::VENUE,
};
use kernel::{Cx, Error, Member, Result, input::Choice, problem::Item, resource::Resource};
use money::{Currency, card};
use sqlx::Row;

impl From<&CreatePromotion> for AskedPlace {
    fn from(create: &CreatePromotion) -> Self {
        Self {
            target_type: create.target_type,
            target_id: create.target_id,
            city_id: create.city_id,
            slot: create.slot,
            starts_at: create.starts_at,
            ends_at: create.ends_at,
        }
    }
}

impl Promotions {
    /// Also for a place that is full or that the target has already, which `room` says. Only for those who may book: the
    /// price tells what plan a business has, and how much of it is unused.
    pub async fn price(&self, caller: &Member, asked: AskedPlace) -> Result<PlacePrice> {
        let asked = &asked;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    if !asked.by_administrator(cx).await? {
                        return Err(Error::forbidden());
                    }
                    let price = find(cx, asked).await?;
                    price.in_time(cx, asked).await?;
                    price.by_card()?;
                    let mut shown = price.shown;
                    if asked.has_it(cx).await? {
                        shown.room = 0;
                    }
                    Ok(shown)
                })
            });
        run.await
    }
}

impl AskedPlace {
    fn target(&self) -> &'static Resource {
        match self.target_type {
            PromotionTargetType::Event => &EVENT,
            PromotionTargetType::Business => &BUSINESS,
            PromotionTargetType::Venue => &VENUE,
        }
    }

    /// Whether the caller administers the target, as bookings require.
    async fn by_administrator(&self, cx: &mut Cx) -> Result<bool> {
        cx.holds(self.target(), "admin", self.target_id).await
    }

    /// Whether the target has this place during some of the time, where another booking would be refused. The time is
    /// not empty.
    async fn has_it(&self, cx: &mut Cx) -> Result<bool> {
        let has_it = sqlx::query_scalar(
            "select exists (
               select from app.promotions where target_type = $1 and target_id = $2 and slot = $3 and status <> 'archived'
                 and state in ('requested', 'approved', 'active')
                 and tstzrange(starts_at, ends_at) && tstzrange(greatest($4, now()), $5))",
        )
        .bind(self.target_type.as_str())
        .bind(self.target_id)
        .bind(self.slot.as_str())
        .bind(self.starts_at)
        .bind(self.ends_at);
        Ok(has_it.fetch_one(cx.conn()).await?)
    }

    /// Whether the caller can see the target, and it is neither suspended nor archived: others can't be referred to.
    async fn is_shown(&self, cx: &mut Cx) -> Result<bool> {
        let text = match self.target_type {
            PromotionTargetType::Event => {
                "select exists (select from app.events where id = $1 and status = 'active')"
            }
            PromotionTargetType::Business => {
                "select exists (select from app.businesses where id = $1 and status = 'active')"
            }
            PromotionTargetType::Venue => {
                "select exists (select from app.venues where id = $1 and status = 'active')"
            }
        };
        let shown = sqlx::query_scalar(text).bind(self.target_id);
        Ok(shown.fetch_one(cx.conn()).await?)
    }
}

/// Refuses a booking with a reason, where the database would only refuse it. An unknown city is accepted here, since the
/// engine refuses it afterwards. A target of others is refused first: the database computes the price before it
/// looks at rights, and how it refuses a price would tell what plan a business has.
pub async fn refuse(cx: &mut Cx, asked: &AskedPlace) -> Result<()> {
    if !asked.by_administrator(cx).await? {
        return match asked.is_shown(cx).await? {
            true => Err(Error::forbidden()),
            // Whatever the reason. The database would compute the price first, and tell some of the reasons apart.
            false => Err(Error::new(&kernel::problems::REFERENCE).item(Item::body(
                "/target_id",
                "reference",
                "does not refer to anything you can use here",
            ))),
        };
    }
    let is_there: bool = sqlx::query_scalar(
        "select exists (select from app.cities where id = $1 and status = 'active')",
    )
    .bind(asked.city_id)
    .fetch_one(cx.conn())
    .await?;
    if !is_there {
        return Ok(());
    }
    let price = find(cx, asked).await?;
    price.in_time(cx, asked).await?;
    price.by_card()?;
    if price.shown.room < 1 {
        return Err(Error::new(&problems::PLACE_TAKEN).item(Item::body(
            "/starts_at",
            "sold_out",
            "there is no room in this place during some of the time",
        )));
    }
    let is_unpaid: bool = sqlx::query_scalar("select app.has_unpaid_place($1, $2, $3, $4)")
        .bind(asked.target_type.as_str())
        .bind(asked.target_id)
        .bind(asked.city_id)
        .bind(asked.slot.as_str())
        .fetch_one(cx.conn())
        .await?;
    match is_unpaid && price.shown.amount_cents > 0 {
        true => Err(Error::new(&kernel::problems::STATE).detail(
            "Another booking of such a place by this host is not paid yet. Pay or withdraw it first: unpaid bookings keep \
             places from others.",
        )),
        false => Ok(()),
    }
}

struct Price {
    shown: PlacePrice,
    max_days: i32,
}

impl Price {
    async fn in_time(&self, cx: &mut Cx, asked: &AskedPlace) -> Result<()> {
        let invalid = |pointer, detail: String| Err(Error::field(pointer, "invalid", detail));
        if asked.ends_at <= asked.starts_at {
            return invalid("/ends_at", "must be after `starts_at`".to_owned());
        }
        if asked.ends_at <= clock::of_database(cx).await? {
            return invalid("/ends_at", "is in the past".to_owned());
        }
        if self.shown.days > self.max_days {
            let detail = format!(
                "this place is booked for {} days at most, and these are {}",
                self.max_days, self.shown.days
            );
            return invalid("/ends_at", detail);
        }
        Ok(())
    }

    /// Refuses a price that no card can be charged: below the minimum, above the maximum, or not a multiple of the
    /// currency's step.
    fn by_card(&self) -> Result<()> {
        let amount = self.shown.amount_cents;
        if amount == 0 {
            return Ok(());
        }
        let set_anew = "the city has to set another price of a day";
        let Ok(currency) = Currency::parse(&self.shown.currency) else {
            let detail = format!(
                "{} is not a currency that people pay in: {set_anew}",
                self.shown.currency
            );
            return Err(Error::field("/slot", "currency", detail));
        };
        let step = card::quantum(currency).cast_signed();
        if amount % step != 0 {
            let detail =
                format!("costs {amount}, and cards take multiples of {step} alone: {set_anew}");
            return Err(Error::field("/slot", "multiple_of", detail));
        }
        let minimum = card::minimum(currency);
        if amount < minimum.amount() {
            let detail =
                format!("costs less than {minimum}, and cards take no less: book more days");
            return Err(Error::field("/ends_at", "multiple_of", detail));
        }
        let maximum = card::maximum(currency);
        if amount > maximum.amount() {
            let detail =
                format!("costs more than {maximum}, and cards take no more: book fewer days");
            return Err(Error::field("/ends_at", "range", detail));
        }
        Ok(())
    }
}

async fn find(cx: &mut Cx, asked: &AskedPlace) -> Result<Price> {
    let row = sqlx::query(
        "select currency, day_price_cents, max_days, days, plan_days, amount_cents, room
         from app.price_of_place($1, $2, $3, $4, $5, $6)",
    )
    .bind(asked.target_type.as_str())
    .bind(asked.target_id)
    .bind(asked.city_id)
    .bind(asked.slot.as_str())
    .bind(asked.starts_at)
    .bind(asked.ends_at)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        let detail = "this city does not offer such a place now: see `GET /featured-places`";
        return Err(Error::new(&problems::PLACE_NOT_OFFERED).item(Item::body(
            "/slot",
            "not_on_sale",
            detail,
        )));
    };
    Ok(Price {
        shown: PlacePrice {
            currency: row.try_get("currency")?,
            day_price_cents: row.try_get("day_price_cents")?,
            days: row.try_get("days")?,
            plan_days: row.try_get("plan_days")?,
            amount_cents: row.try_get("amount_cents")?,
            room: row.try_get::<i32, _>("room")?.max(0),
        },
        max_days: row.try_get("max_days")?,
    })
}
