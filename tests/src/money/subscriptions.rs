//! Plans of businesses: begun once, whatever the provider says they are, and ended without anything lost.

use super::stage::{Stage, keyed};
use crate::support::Member;
use fake_stripe::fault::{Fault, Kind};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

const DAY: u32 = 24 * 60 * 60;

pub struct Shop {
    pub stage: Stage,
    pub binh: Member,
    pub business: Uuid,
    /// Cheap and dear, in AUD.
    pub plans: [Uuid; 2],
}

impl Shop {
    pub async fn new() -> Self {
        let stage = Stage::new().await;
        let binh = stage.server.sign_in(PEOPLE[3].id).await;
        let mut conn = stage.server.superuser().await;
        let business = sqlx::query_scalar(
            "select scope_id from app.role_assignments where user_id = $1 and role = 'orgAdmin' and scope_type = 'business'",
        )
        .bind(binh.id)
        .fetch_one(&mut conn)
        .await
        .expect("a business");
        // Made up for suites over all entities.
        sqlx::raw_sql("delete from app.subscriptions s where not exists (select from app.transactions t where t.subscription_id = s.id)")
            .execute(&mut conn)
            .await
            .expect("gone");
        sqlx::raw_sql("update app.subscriptions set state = 'canceled'")
            .execute(&mut conn)
            .await
            .expect("ended");
        let plans: Vec<Uuid> = sqlx::query_scalar(
            "select id from app.plans where currency = 'AUD' and is_offered and status = 'active' order by price_cents limit 2",
        )
        .fetch_all(&mut conn)
        .await
        .expect("plans");
        Self {
            stage,
            binh,
            business,
            plans: plans.try_into().expect("two plans"),
        }
    }

    async fn subscribe(&self, plan: Uuid, card: &str) -> crate::support::Answer {
        let path = format!("/businesses/{}/subscription", self.business);
        let body = json!({"plan_id": plan, "payment_method_id": card});
        keyed(&self.binh, &path, body).await
    }

    async fn shown(&self, id: &str) -> Value {
        let path = format!("/subscriptions/{id}");
        self.binh.client.get(&path).await.expect(200).json
    }

    async fn movements(&self) -> i64 {
        let mut conn = self.stage.server.superuser().await;
        sqlx::query_scalar("select count(*) from app.transactions where type = 'subscription' and stripe_idempotency_key like 'invoice:%'")
            .fetch_one(&mut conn)
            .await
            .expect("a count")
    }
}

#[tokio::test]
async fn s1_s3_s4_a_plan_is_begun_paid_changed_and_ended() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, "4242424242424242").await;
    let path = format!("/businesses/{}/subscription", shop.business);
    let body = json!({"plan_id": shop.plans[0], "payment_method_id": card});
    // Nobody subscribes a business of others, or with the card of others.
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

    // It renews, once, however often that is told.
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
    // And can be begun anew.
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
