//! A cheaper plan, and one of another interval: what was paid for the rest of the period is credited at the service, and
//! pays later invoices.

use super::{DAY, Shop, time};
use crate::money::stage::keyed;
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

const GOOD: &str = "4242424242424242";

impl Shop {
    async fn choose(&self, id: &str, plan: Uuid) {
        let path = format!("/subscriptions/{id}/plan");
        let chosen = keyed(&self.binh, &path, json!({"plan_id": plan})).await;
        chosen.expect(200);
        self.deliver_all().await;
        let shown = self.shown(id).await;
        assert_eq!(
            (&shown["plan_id"], &shown["state"]),
            (&json!(plan), &json!("active"))
        );
    }

    /// The credit of the member whose card pays.
    async fn credit(&self) -> i64 {
        let text = format!(
            "select stripe_customer_id from app.users where id = '{}'",
            self.binh.id
        );
        let customer: String = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_one(&mut self.stage.server.superuser().await)
            .await
            .expect("a customer");
        let customer = self.stage.stripe.fake.object(&customer);
        -customer.expect("a customer")["balance"]
            .as_i64()
            .expect("a balance")
    }
}

#[tokio::test]
async fn s4_to_and_fro_between_plans_costs_nothing() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let [cheap, dear] = shop.plans;
    let id = shop.subscribe(dear, &card).await.expect(200).id();
    shop.deliver_all().await;
    let paid = shop.captured();
    let fake = &shop.stage.stripe.fake;
    fake.advance(10 * DAY);
    for _ in 0..3 {
        for plan in [cheap, dear] {
            shop.choose(&id, plan).await;
            assert_eq!((shop.captured(), shop.movements().await), (paid, 1));
        }
        assert_eq!(shop.credit().await, 0);
    }
    // More is credited than the next period of the cheaper plan costs: nothing is charged for it, and it is had.
    shop.choose(&id, cheap).await;
    let credit = shop.credit().await;
    let before = shop.shown(&id).await;
    let price = before["amount_cents"].as_i64().expect("a price");
    assert!(price < credit && credit < 2 * price, "{credit} of {price}");
    fake.advance(22 * DAY);
    shop.deliver_all().await;
    let after = shop.shown(&id).await;
    assert_eq!(
        (&after["state"], &after["is_entitled"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(
        time(&after, "current_period_start"),
        time(&before, "current_period_end")
    );
    assert_eq!((shop.captured(), shop.movements().await), (paid, 1));
    // The rest pays a part of the one after that, and the payment is what is left.
    fake.advance(31 * DAY);
    shop.deliver_all().await;
    let charged = 2 * price - credit;
    assert_eq!(
        (shop.captured(), shop.movements().await),
        (paid + charged, 2)
    );
    let newest = shop
        .stage
        .number(&format!(
            "select amount_cents from app.transactions where subscription_id = '{id}' order by id desc limit 1"
        ))
        .await;
    assert_eq!(newest, charged);
    shop.stage.books_agree().await;
}

#[tokio::test]
async fn s4_a_plan_of_another_interval_begins_at_once() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let yearly = json!({"name": "The whole year", "price_cents": 49_000, "currency": "AUD", "interval": "year",
        "features": ["All of it"]});
    let paula = &shop.stage.paula.client;
    let yearly = paula.post("/plans", yearly).await.expect(201).id();
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    let paid = shop.captured();
    shop.stage.stripe.fake.advance(10 * DAY);
    shop.choose(&id, yearly.parse().expect("an id")).await;
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["interval"], &shown["amount_cents"]),
        (&json!("year"), &json!(49_000))
    );
    let length = time(&shown, "current_period_end") - time(&shown, "current_period_start");
    assert!(length >= TimeDelta::days(365), "{length}");
    let charged = shop.captured() - paid;
    assert!((49_000 - paid + 1..49_000).contains(&charged), "{charged}");
    assert_eq!(shop.movements().await, 2);
    shop.stage.books_agree().await;
}
