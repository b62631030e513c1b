//! Days in featured places that a plan includes: a change of the plan neither gives used days again nor leaves them to a
//! business that has got the price of the plan back.

use super::{DAY, Shop};
use crate::money::stage::keyed;
use chrono::{TimeDelta, Utc};
use gateway::{ChangePlan, Key, Proration};
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "4242424242424242";

/// Plans for tests.
struct Plans {
    none: Uuid,
    seven: Uuid,
    seven_a_year: Uuid,
}

impl Plans {
    async fn of(shop: &Shop) -> Self {
        let mut conn = shop.stage.server.superuser().await;
        sqlx::raw_sql(
            "delete from app.promotions; delete from app.revenue_shares where state = 'open'",
        )
        .execute(&mut conn)
        .await
        .expect("no bookings");
        let plan = async |name: &str, price: i64, interval: &str, days: i32| -> Uuid {
            let body = json!({"name": name, "price_cents": price, "currency": "AUD", "interval": interval,
                "features": [name], "featured_days": days});
            let made = shop.stage.paula.client.post("/plans", body).await;
            made.expect(201).id().parse().expect("an id")
        };
        Self {
            none: plan("No days", 1_900, "month", 0).await,
            seven: plan("Seven days", 4_900, "month", 7).await,
            seven_a_year: plan("Seven days a year", 49_000, "year", 7).await,
        }
    }
}

impl Shop {
    async fn place(&self, days: i64) -> Value {
        let city = self.stage.server.city("melbourne").await;
        let starts_at = Utc::now() + TimeDelta::days(2);
        json!({"target_type": "business", "target_id": self.business, "city_id": city, "slot": "category",
            "starts_at": starts_at, "ends_at": starts_at + TimeDelta::days(days)})
    }

    /// How many days of the plan another booking would use.
    async fn days_left(&self) -> i64 {
        let body = self.place(7).await;
        let price = self.binh.client.post("/promotions/price", body).await;
        price.expect(200).json["plan_days"].as_i64().expect("days")
    }

    async fn book(&self, days: i64) -> String {
        let body = self.place(days).await;
        let booked = self.binh.client.post("/promotions", body).await.expect(201);
        assert_eq!(booked.json["plan_days"], days);
        booked.id()
    }
}

/// The control: with the begin of the period instead of the time that counts, a change of the interval gives the days
/// again.
#[tokio::test]
async fn s4_another_interval_does_not_give_the_days_of_a_plan_again() {
    let shop = Shop::new().await;
    let plans = Plans::of(&shop).await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(plans.seven, &card).await.expect(200).id();
    shop.deliver_all().await;
    assert_eq!(shop.days_left().await, 7);
    shop.book(7).await;
    assert_eq!(shop.days_left().await, 0);
    let path = format!("/subscriptions/{id}/plan");
    for plan in [plans.seven_a_year, plans.seven] {
        shop.stage.stripe.fake.advance(3_600);
        let changed = keyed(&shop.binh, &path, json!({"plan_id": plan})).await;
        changed.expect(200);
        shop.deliver_all().await;
        assert_eq!(shop.shown(&id).await["plan_id"], json!(plan));
        assert_eq!(shop.days_left().await, 0);
    }
    let mut conn = shop.stage.server.superuser().await;
    let kept = "create table app.kept_periods as select * from app.plan_periods;
         update app.plan_periods p set counted_from = s.current_period_start from app.subscriptions s
         where s.business_id = p.business_id and s.state = 'active'";
    sqlx::raw_sql(kept)
        .execute(&mut conn)
        .await
        .expect("control");
    assert_eq!(shop.days_left().await, 7);
    let back = "update app.plan_periods p set counted_from = k.counted_from from app.kept_periods k where k.id = p.id;
         drop table app.kept_periods";
    sqlx::raw_sql(back).execute(&mut conn).await.expect("back");

    // The next period that begins by itself has its own days.
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!(shop.days_left().await, 7);
    shop.stage.books_agree().await;
}

/// A place that costs nothing leaves the days of the plan for one that does.
#[tokio::test]
async fn f1_a_place_that_costs_nothing_uses_no_days_of_a_plan() {
    let shop = Shop::new().await;
    let plans = Plans::of(&shop).await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    shop.subscribe(plans.seven, &card).await.expect(200);
    shop.deliver_all().await;
    shop.stage
        .run("update app.featured_places set day_price_cents = 0")
        .await;
    let booked = shop.binh.client.post("/promotions", shop.place(7).await);
    let booked = booked.await.expect(201).json;
    assert_eq!(
        (&booked["plan_days"], &booked["amount_cents"]),
        (&json!(0), &json!(0))
    );
    shop.stage
        .run(
            "set session_replication_role = replica;
             delete from app.promotions; update app.featured_places set day_price_cents = 900",
        )
        .await;
    assert_eq!(shop.days_left().await, 7);
}

/// The days of a year are not had again by a month in between: the rest of the year's price is credited, and the year
/// begins anew. The control: without the note of the year they are.
#[tokio::test]
async fn s4_a_month_in_between_does_not_give_the_days_of_a_year_again() {
    for is_noted in [true, false] {
        let shop = Shop::new().await;
        let plans = Plans::of(&shop).await;
        if !is_noted {
            let control = "alter table app.plan_periods disable trigger user;
                create function app.forget_year() returns trigger language plpgsql as
                  'begin new.year_from := null; new.year_until := null; return new; end';
                create trigger forget_year before insert or update on app.plan_periods
                  for each row execute function app.forget_year()";
            let mut conn = shop.stage.server.superuser().await;
            sqlx::raw_sql(control)
                .execute(&mut conn)
                .await
                .expect("control");
        }
        let card = shop.stage.saved(&shop.binh, GOOD).await;
        let subscribed = shop.subscribe(plans.seven_a_year, &card).await;
        let id = subscribed.expect(200).id();
        shop.deliver_all().await;
        shop.book(7).await;
        let path = format!("/subscriptions/{id}/plan");
        let change = async |plan: Uuid| {
            let answer = keyed(&shop.binh, &path, json!({"plan_id": plan})).await;
            answer.expect(200);
            shop.deliver_all().await;
            assert_eq!(shop.shown(&id).await["plan_id"], json!(plan));
        };
        change(plans.seven).await;
        change(plans.seven_a_year).await;
        assert_eq!(shop.days_left().await, 0);
        shop.stage.stripe.fake.advance(33 * DAY);
        shop.deliver_all().await;
        change(plans.seven).await;
        // A month of its own, with days of its own.
        assert_eq!(shop.days_left().await, 7);
        change(plans.seven_a_year).await;
        let left = if is_noted { 0 } else { 7 };
        assert_eq!(shop.days_left().await, left, "noted: {is_noted}");
        if is_noted {
            // The year after that has its own days.
            shop.stage.stripe.fake.advance(400 * DAY);
            shop.deliver_all().await;
            assert_eq!(shop.days_left().await, 7);
        }
    }
}

/// The days are used, and the price of the plan that includes them would be credited. Whoever changes the plan at the
/// payment service all the same gets no further use of them.
#[tokio::test]
async fn s4_a_plan_whose_days_are_used_is_not_left_within_its_period() {
    let shop = Shop::new().await;
    let plans = Plans::of(&shop).await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    // Billed once, so that the service knows its price.
    let id = shop.subscribe(plans.none, &card).await.expect(200).id();
    shop.deliver_all().await;
    let known = shop.at_stripe(&id).await;
    let fake = &shop.stage.stripe.fake;
    let billed = fake.object(&known).expect("a subscription")["items"]["data"][0].clone();
    let path = format!("/subscriptions/{id}/plan");
    let change = async |plan: Uuid| {
        let answer = keyed(&shop.binh, &path, json!({"plan_id": plan})).await;
        shop.deliver_all().await;
        answer
    };
    change(plans.seven).await.expect(200);
    // The control: as long as no day is used, the plan can be left.
    change(plans.none).await.expect(200);
    change(plans.seven).await.expect(200);

    let booked = shop.book(5).await;
    let refused = change(plans.none).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    assert!(refused.text.contains("use 5 days"), "{}", refused.text);
    assert_eq!(shop.shown(&id).await["plan_id"], json!(plans.seven));
    let promotions = &shop.stage.server.built.app.modules.promotions;
    assert_eq!(promotions.keep().await.expect("kept"), 0);

    let by_hand = ChangePlan {
        subscription: known,
        item: billed["id"].as_str().expect("an id").to_owned(),
        price: billed["price"]["id"].as_str().expect("an id").to_owned(),
        proration: Proration::None,
    };
    let gateway = shop.stage.stripe.gateway();
    let key = Key::new("by-hand").expect("a key");
    gateway.change_plan(&key, &by_hand).await.expect("changed");
    shop.deliver_all().await;
    assert_eq!(shop.shown(&id).await["plan_id"], json!(plans.none));
    assert_eq!(promotions.keep().await.expect("kept"), 1);
    let path = format!("/promotions/{booked}");
    let ended = shop.binh.client.get(&path).await.expect(200);
    assert_eq!(ended.json["state"], "cancelled");
    assert_eq!(promotions.keep().await.expect("kept"), 0);
    shop.stage.books_agree().await;
}
