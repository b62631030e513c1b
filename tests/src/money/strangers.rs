//! What strangers learn of the plan of a business by asking what a featured place would cost it: nothing.

use super::market::Market;
use crate::support::Member;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

/// A business whose plan has seven days left, and its administrator.
pub async fn with_a_plan(market: &Market) -> (Uuid, Member) {
    let binh = market.stage.server.sign_in(PEOPLE[3].id).await;
    let business: Uuid = sqlx::query_scalar(
        "with gone as (update app.subscriptions set state = 'canceled', entitled_until = null returning id)
         insert into app.subscriptions (business_id, plan_id, amount_cents, currency, interval, state, entitled_until, current_period_start,
           current_period_end, stripe_idempotency_key)
         select r.scope_id, p.id, p.price_cents, p.currency, p.interval, 'active', now() + interval '9 days', now() - interval '9 days',
           now() + interval '9 days', 'subscription:made:up'
         from app.plans p, app.role_assignments r, (select count(*) from gone) g
         where p.featured_days = 7 and p.currency = 'AUD' and r.user_id = $1 and r.role = 'orgAdmin' and r.scope_type = 'business'
         limit 1 returning business_id",
    )
    .bind(binh.id)
    .fetch_one(&mut market.stage.server.superuser().await)
    .await
    .expect("a plan with seven days");
    (business, binh)
}

#[tokio::test]
async fn f1_nobody_learns_what_plan_another_business_has() {
    let market = Market::new(3).await;
    let (business, binh) = with_a_plan(&market).await;
    // Of nine days the plan leaves two to pay, which is too little for a card; without a plan it would not be.
    market
        .stage
        .run(format!(
            "update app.featured_places set day_price_cents = 20, currency = 'AUD' where city_id = '{}' and slot = 'home'",
            market.city
        ))
        .await;
    let body = market.body("business", business, 9);
    let mira = &market.stage.mira.client;
    for path in ["/promotions/price", "/promotions"] {
        // Whatever the days, whether or not they are more than the plan has.
        for days in [1, 9, 12] {
            let theirs = market.body("business", business, days);
            mira.post(path, theirs).await.expect(403);
        }
        let mut unknown = body.clone();
        unknown["target_id"] = json!(Uuid::now_v7());
        mira.post(path, unknown).await.expect(403);
    }
    // The control: its administrator is told.
    let refused = binh.client.post("/promotions/price", body).await;
    assert_eq!(refused.expect(422).pointers(), ["/ends_at"]);
    let body: Value = market.body("business", business, 1);
    let price = binh.client.post("/promotions/price", body).await;
    assert_eq!(price.expect(200).json["plan_days"], 1);
}
