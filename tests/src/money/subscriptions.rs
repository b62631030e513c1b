//! Subscriptions of businesses: created once, with the state that the provider reports, and ended without loss.

mod back;
mod booked;
mod cards;
mod credit;
mod ended;
mod featured;
mod prices;
mod shares;
mod shop;

use super::stage::keyed;
use chrono::{DateTime, TimeDelta, Utc};
use fake_stripe::fault::{Fault, Kind};
use gateway::{ChangePlan, Key, Proration};
use serde_json::{Value, json};
use uuid::Uuid;

pub use shop::Shop;

const DAY: u32 = 24 * 60 * 60;

pub fn time(shown: &Value, field: &str) -> DateTime<Utc> {
    let text = shown[field].as_str().expect("a time");
    text.parse().expect("a time")
}

#[tokio::test]
async fn s1_s3_s4_a_plan_is_begun_paid_changed_and_ended() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let path = format!("/businesses/{}/subscription", shop.business);
    let body = json!({"plan_id": shop.plans[0], "payment_method_id": card});
    // Nobody can subscribe for a business of others, or with the card of others.
    keyed(&shop.stage.mira, &path, body.clone())
        .await
        .expect(403);
    let begun = shop.subscribe(shop.plans[0], &card).await.expect(200);
    assert_eq!(begun.json["state"], "active");
    let id = begun.id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["state"], &shown["is_entitled"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(shop.movements().await, 1);
    let second = shop.subscribe(shop.plans[1], &card).await.expect(409);
    assert_eq!(second.problem(), "invalid-state");

    let path = format!("/subscriptions/{id}");
    let other = json!({"plan_id": shop.plans[1]});
    keyed(&shop.stage.mira, &format!("{path}/plan"), other.clone())
        .await
        .expect(404);
    keyed(&shop.binh, &format!("{path}/plan"), other)
        .await
        .expect(200);
    assert_eq!(shop.shown(&id).await["plan_id"], json!(shop.plans[1]));
    keyed(&shop.binh, &format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["cancel_at_period_end"], &shown["is_entitled"]),
        (&json!(true), &json!(true))
    );
    keyed(&shop.binh, &format!("{path}/keep"), json!({}))
        .await
        .expect(200);
    assert_eq!(shop.shown(&id).await["cancel_at_period_end"], false);

    // It is renewed once, however often the event is delivered.
    let before = shop.movements().await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let renewed = shop.movements().await;
    assert!(renewed > before, "{before} {renewed}");
    for event in shop.stage.stripe.fake.all("events") {
        let id = event["id"].as_str().expect("an id");
        shop.stage.stripe.fake.resend(id).expect("an event");
    }
    shop.stage.stripe.deliver(&shop.stage.server).await;
    assert_eq!(shop.movements().await, renewed);

    keyed(&shop.binh, &format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["state"], &shown["is_entitled"]),
        (&json!("canceled"), &json!(false))
    );
    keyed(&shop.binh, &format!("{path}/keep"), json!({}))
        .await
        .expect(409);
    // The business can subscribe again.
    shop.subscribe(shop.plans[0], &card).await.expect(200);
}

#[tokio::test]
async fn s4_a_subscription_whose_answer_is_lost_is_begun_once() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    for fault in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Away) {
        let before = shop.stage.stripe.fake.all("subscriptions").len();
        let mut script = Fault::new(fault).on("POST", "/v1/subscriptions");
        script.times = Some(8);
        shop.stage.stripe.fake.add_fault(script);
        let first = shop.subscribe(shop.plans[0], &card).await;
        assert!(
            [200, 503].contains(&first.status.as_u16()),
            "{fault:?} {}",
            first.text
        );
        shop.stage.stripe.fake.clear_faults();
        let id = match first.status.as_u16() {
            200 => first.id(),
            _ => {
                shop.stage.stripe.deliver(&shop.stage.server).await;
                let again = shop.subscribe(shop.plans[0], &card).await;
                assert!(
                    [200, 409].contains(&again.status.as_u16()),
                    "{fault:?} {}",
                    again.text
                );
                let live = "select id::text from app.subscriptions where business_id = $1 and state <> 'canceled'";
                sqlx::query_scalar(live)
                    .bind(shop.business)
                    .fetch_one(&mut shop.stage.server.superuser().await)
                    .await
                    .expect("a subscription")
            }
        };
        shop.stage.stripe.deliver(&shop.stage.server).await;
        assert_eq!(shop.shown(&id).await["state"], "active", "{fault:?}");
        let after = shop.stage.stripe.fake.all("subscriptions").len();
        assert_eq!(after - before, 1, "{fault:?}");
        keyed(
            &shop.binh,
            &format!("/subscriptions/{id}/cancel"),
            json!({}),
        )
        .await
        .expect(200);
        shop.stage.stripe.fake.advance(33 * DAY);
        shop.stage.stripe.deliver(&shop.stage.server).await;
        assert_eq!(shop.shown(&id).await["state"], "canceled", "{fault:?}");
    }
}

/// A business that has not paid the first period has no benefits of a plan, and can't get them by changing it.
#[tokio::test]
async fn s2_nothing_is_had_of_a_plan_before_its_first_period_is_paid() {
    let shop = Shop::new().await;
    let path = format!("/businesses/{}/subscription", shop.business);
    let body = json!({"plan_id": shop.plans[0]});
    let begun = keyed(&shop.binh, &path, body.clone()).await.expect(200);
    let id = begun.id();
    assert_eq!(begun.json["state"], "incomplete");
    let secret = begun.json["client_secret"].clone();
    assert!(secret.is_string(), "{}", begun.text);

    // The client has lost the answer and the key: it can pay all the same.
    let again = keyed(&shop.binh, &path, body).await.expect(200);
    assert_eq!(
        (again.id(), &again.json["client_secret"]),
        (id.clone(), &secret)
    );

    let change = format!("/subscriptions/{id}/plan");
    let refused = keyed(&shop.binh, &change, json!({"plan_id": shop.plans[1]})).await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    let keep = keyed(&shop.binh, &format!("/subscriptions/{id}/keep"), json!({})).await;
    keep.expect(409);
    assert_eq!(shop.shown(&id).await["is_entitled"], false);

    // Not even if the service reports it as past due, as it did after such a change.
    let fake = &shop.stage.stripe.fake;
    let at_stripe = shop.at_stripe(&id).await;
    for _ in 0..2 {
        fake.report_past_due(&at_stripe);
        shop.stage.stripe.deliver(&shop.stage.server).await;
        let shown = shop.shown(&id).await;
        assert_eq!(
            (&shown["state"], &shown["is_entitled"]),
            (&json!("past_due"), &json!(false))
        );
    }
}

/// A subscription whose first period is not paid ends at once, and another one can be begun.
#[tokio::test]
async fn s4_a_subscription_that_is_not_paid_is_cancelled_at_once() {
    let shop = Shop::new().await;
    let path = format!("/businesses/{}/subscription", shop.business);
    let begun = keyed(&shop.binh, &path, json!({"plan_id": shop.plans[0]})).await;
    let id = begun.expect(200).id();
    let cancel = format!("/subscriptions/{id}/cancel");
    let ended = keyed(&shop.binh, &cancel, json!({})).await.expect(200);
    assert_eq!(ended.json["state"], "canceled");
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let paid = shop.subscribe(shop.plans[0], &card).await.expect(200);
    assert_ne!(paid.id(), id);
    assert_eq!(shop.shown(&paid.id()).await["is_entitled"], true);
}

/// The service begins the next period before it is paid.
#[tokio::test]
async fn s2_a_renewal_that_nobody_pays_gives_days_of_grace_and_no_period() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let paid = shop.shown(&id).await;
    let end = time(&paid, "current_period_end");
    assert_eq!(time(&paid, "entitled_until"), end + TimeDelta::days(7));
    let before = shop.movements().await;

    shop.forget(&card).await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let due = shop.shown(&id).await;
    assert_eq!(due["state"], "past_due");
    assert_eq!(time(&due, "current_period_start"), end);
    assert_eq!(time(&due, "entitled_until"), end + TimeDelta::days(7));
    assert_eq!(shop.movements().await, before);

    // The service retries for a while, and gives up.
    shop.stage.stripe.fake.advance(16 * DAY);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let over = shop.shown(&id).await;
    assert_eq!(
        (&over["state"], &over["is_entitled"]),
        (&json!("canceled"), &json!(false))
    );
}

/// The period is paid, only a difference isn't, which somebody has invoiced by hand at the service: the days of grace
/// begin with the change.
#[tokio::test]
async fn s2_a_change_that_nobody_pays_gives_days_of_grace_from_then_on() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let known = shop.at_stripe(&id).await;
    let dearer = shop.price_at_stripe(9_900).await;
    shop.forget(&card).await;
    let fake = &shop.stage.stripe.fake;
    fake.advance(10 * DAY);
    let item = fake.object(&known).expect("a subscription")["items"]["data"][0]["id"].clone();
    let form = [
        ("items[0][id]", item.as_str().expect("an id")),
        ("items[0][price]", dearer.as_str()),
        ("proration_behavior", "always_invoice"),
    ];
    shop.by_hand(&format!("/v1/subscriptions/{known}"), &form);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let due = shop.shown(&id).await;
    assert_eq!(
        (&due["state"], &due["amount_cents"]),
        (&json!("past_due"), &json!(9_900))
    );
    let begun = time(&due, "current_period_start");
    let more = time(&due, "entitled_until") - (begun + TimeDelta::days(17));
    assert!(more.abs() < TimeDelta::hours(1), "{more}");
}

/// The plan is always the one that is billed, whoever changed it, and even if the server died before storing it.
#[tokio::test]
async fn s1_s4_the_plan_is_the_one_that_is_billed() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    assert_eq!(shop.shown(&id).await["plan_id"], json!(shop.plans[0]));
    let fake = &shop.stage.stripe.fake;
    let known = shop.at_stripe(&id).await;
    let billed = fake.object(&known).expect("a subscription")["items"]["data"][0].clone();

    // The service has made the change, and its answer was lost.
    fake.add_fault(Fault::new(Kind::DropAfter).on("POST", "/v1/subscriptions/"));
    let path = format!("/subscriptions/{id}/plan");
    keyed(&shop.binh, &path, json!({"plan_id": shop.plans[1]}))
        .await
        .expect(503);
    fake.clear_faults();
    assert_eq!(shop.shown(&id).await["plan_id"], json!(shop.plans[0]));
    shop.stage.stripe.deliver(&shop.stage.server).await;
    assert_eq!(shop.shown(&id).await["plan_id"], json!(shop.plans[1]));

    // Changed by hand at the service.
    let change = ChangePlan {
        subscription: known,
        item: billed["id"].as_str().expect("an id").to_owned(),
        price: billed["price"]["id"].as_str().expect("an id").to_owned(),
        proration: Proration::None,
    };
    let gateway = shop.stage.stripe.gateway();
    let key = Key::new("by-hand").expect("a key");
    gateway.change_plan(&key, &change).await.expect("changed");
    shop.stage.stripe.deliver(&shop.stage.server).await;
    assert_eq!(shop.shown(&id).await["plan_id"], json!(shop.plans[0]));
}

/// An archived business has no administrators, so nobody could cancel what it is billed for.
#[tokio::test]
async fn s4_the_plan_of_a_business_that_is_archived_is_cancelled() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.deliver(&shop.stage.server).await;
    let known = shop.at_stripe(&id).await;
    let fake = &shop.stage.stripe.fake;
    let look = async || {
        let payments = shop.stage.payments();
        payments
            .cancel_abandoned(Uuid::now_v7())
            .await
            .expect("a look");
        let status = fake.object(&known).expect("a subscription")["status"].clone();
        let here: String =
            sqlx::query_scalar("select state from app.subscriptions where id = $1::text::uuid")
                .bind(&id)
                .fetch_one(&mut shop.stage.server.superuser().await)
                .await
                .expect("a state");
        (status, here)
    };
    let both = |state: &str| (json!(state), state.to_owned());
    assert_eq!(look().await, both("active"));
    shop.stage
        .run(format!(
            "set session_replication_role = replica; update app.businesses set status = 'archived', live_key = null where id = '{}'",
            shop.business
        ))
        .await;
    // The service has cancelled it, and its answer was lost: the next run reads the result.
    fake.add_fault(Fault::new(Kind::DropAfter).on("DELETE", "/v1/subscriptions/"));
    assert_eq!(look().await, (json!("canceled"), "active".to_owned()));
    fake.clear_faults();
    assert_eq!(look().await, both("canceled"));
    let before = shop.movements().await;
    fake.advance(33 * DAY);
    shop.stage.stripe.deliver(&shop.stage.server).await;
    assert_eq!(shop.movements().await, before);
}

/// The job that runs a minute later doesn't know the card: the subscription that was created is found, not created
/// again with other parameters.
#[tokio::test]
async fn s4_a_subscription_that_was_made_is_found_before_anybody_tells() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let fake = &shop.stage.stripe.fake;
    let before = fake.all("subscriptions").len();
    fake.add_fault(Fault::new(Kind::DropAfter).on("POST", "/v1/subscriptions"));
    shop.subscribe(shop.plans[0], &card).await.expect(503);
    fake.clear_faults();
    shop.stage
        .run("update jobs.queue set run_at = now() where state = 'queued' and run_at > now()")
        .await;
    shop.stage.server.settled().await;
    let live: Vec<(String, bool)> = sqlx::query_as(
        "select state, stripe_subscription_id is not null from app.subscriptions
         where business_id = $1 and stripe_idempotency_key = 'subscription:' || id and failure_code is null
           and state <> 'canceled'",
    )
    .bind(shop.business)
    .fetch_all(&mut shop.stage.server.superuser().await)
    .await
    .expect("subscriptions");
    assert_eq!(live, [("active".to_owned(), true)]);
    assert_eq!(fake.all("subscriptions").len() - before, 1);
}
