//! What a subscription costs: the price that it was begun with, whatever becomes of the plan's price.

use super::{DAY, Shop};
use crate::money::stage::keyed;
use fake_stripe::fault::{Fault, Kind};
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "4242424242424242";

impl Shop {
    async fn set_price(&self, plan: Uuid, price_cents: i64) {
        let change = json!({"price_cents": price_cents});
        let path = format!("/plans/{plan}");
        let paula = &self.stage.paula.client;
        paula.patch(&path, "*", change).await.expect(200);
    }
}

fn price(shown: &Value) -> (i64, &str, &str) {
    (
        shown["amount_cents"].as_i64().expect("an amount"),
        shown["currency"].as_str().expect("a currency"),
        shown["interval"].as_str().expect("an interval"),
    )
}

#[tokio::test]
async fn s1_a_subscription_shows_what_it_pays_and_not_what_new_ones_pay() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    assert_eq!(price(&shop.shown(&id).await), (1_900, "AUD", "month"));
    shop.set_price(shop.plans[0], 2_900).await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!(price(&shop.shown(&id).await), (1_900, "AUD", "month"));
    assert_eq!(shop.captured(), 3_800);

    // Changing to the plan that it has is agreeing to the new price.
    let path = format!("/subscriptions/{id}/plan");
    let same = json!({"plan_id": shop.plans[0]});
    keyed(&shop.binh, &path, same).await.expect(200);
    assert_eq!(price(&shop.shown(&id).await), (2_900, "AUD", "month"));
    shop.stage.stripe.fake.advance(31 * DAY);
    shop.deliver_all().await;
    let last = "select amount_cents from app.transactions where subscription_id is not null order by id desc limit 1";
    assert_eq!(shop.stage.number(last).await, 2_900);
    shop.stage.books_agree().await;
}

/// The price is that of the moment when the member has subscribed, also if it takes until later.
#[tokio::test]
async fn s1_a_price_that_changes_before_the_service_hears_of_it_is_not_charged() {
    let shop = Shop::new().await;
    let fake = &shop.stage.stripe.fake;
    fake.add_fault(Fault::new(Kind::DropBefore).on("POST", "/v1/subscriptions"));
    shop.begin(&shop.binh, None).await.expect(503);
    fake.clear_faults();
    shop.set_price(shop.plans[0], 9_900).await;
    shop.stage
        .run("update jobs.queue set run_at = now() where state = 'queued' and run_at > now()")
        .await;
    shop.stage.server.settled().await;
    let all = fake.all("subscriptions");
    let billed = &all[0]["items"]["data"][0]["price"]["unit_amount"];
    assert_eq!((all.len(), billed), (1, &json!(1_900)));
    let begun = shop.begin(&shop.binh, None).await.expect(200);
    assert_eq!(
        price(&shop.shown(&begun.id()).await),
        (1_900, "AUD", "month")
    );
}

/// A price that was changed by hand at the service is what it pays from then on.
#[tokio::test]
async fn s1_a_price_that_was_changed_at_the_service_is_shown() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    let known = shop.at_stripe(&id).await;
    let cheaper = shop.price_at_stripe(1_500).await;
    let there = shop.stage.stripe.fake.object(&known).expect("one");
    let item = there["items"]["data"][0]["id"].as_str().expect("an id");
    let form = [
        ("items[0][id]", item),
        ("items[0][price]", cheaper.as_str()),
        ("proration_behavior", "none"),
    ];
    shop.by_hand(&format!("/v1/subscriptions/{known}"), &form);
    shop.deliver_all().await;
    let shown = shop.shown(&id).await;
    assert_eq!(price(&shown), (1_500, "AUD", "month"));
    assert_eq!(shown["plan_id"], json!(shop.plans[0]));
}
