//! A business that subscribes to plans, and what it and the payment service say of a subscription.

use crate::{
    money::stage::{Stage, keyed},
    support::{Answer, Member},
};
use gateway::Key;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

pub struct Shop {
    pub stage: Stage,
    pub binh: Member,
    pub business: Uuid,
    /// A cheap and an expensive plan, in AUD.
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
        // Sample data for suites about all entities.
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

    /// Another administrator of the business.
    pub async fn partner(&self) -> Member {
        let partner = self.stage.server.member("the_partner").await;
        let scope = Some(("business", self.business));
        self.stage.server.grant(&partner, "orgAdmin", scope).await;
        partner
    }

    pub async fn subscribe(&self, plan: Uuid, card: &str) -> Answer {
        let path = format!("/businesses/{}/subscription", self.business);
        let body = json!({"plan_id": plan, "payment_method_id": card});
        keyed(&self.binh, &path, body).await
    }

    pub async fn shown(&self, id: &str) -> Value {
        let path = format!("/subscriptions/{id}");
        self.binh.client.get(&path).await.expect(200).json
    }

    /// The service's id of a subscription.
    pub async fn at_stripe(&self, id: &str) -> String {
        sqlx::query_scalar(
            "select stripe_subscription_id from app.subscriptions where id = $1::text::uuid",
        )
        .bind(id)
        .fetch_one(&mut self.stage.server.superuser().await)
        .await
        .expect("a subscription")
    }

    /// The member removes the card that pays.
    pub async fn forget(&self, card: &str) {
        let path = format!("/payment-methods/{card}");
        self.binh.client.delete(&path).await.expect(204);
    }

    /// A call that somebody of the platform makes at the service by hand.
    pub fn by_hand(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let key = Uuid::now_v7().to_string();
        let request = fake_stripe::Request::new("POST", path)
            .form(form)
            .header("Idempotency-Key", &key);
        match self.stage.stripe.fake.handle(&request) {
            fake_stripe::Outcome::Reply(reply) => reply.json().expect("JSON"),
            other => panic!("{path}: {other:?}"),
        }
    }

    /// The service's id of a new monthly price in AUD, which belongs to no plan.
    pub async fn price_at_stripe(&self, amount: i64) -> String {
        let new = gateway::NewPrice {
            lookup_key: format!("by_hand_{amount}"),
            product_name: "By hand".to_owned(),
            amount,
            currency: gateway::Currency::new("AUD").expect("a currency"),
            interval: gateway::Interval::Month,
            metadata: gateway::Metadata::new(),
        };
        let key = Key::new("a-price-by-hand").expect("a key");
        let gateway = self.stage.stripe.gateway();
        gateway.create_price(&key, &new).await.expect("a price").id
    }

    pub async fn movements(&self) -> i64 {
        let mut conn = self.stage.server.superuser().await;
        sqlx::query_scalar("select count(*) from app.transactions where type = 'subscription' and stripe_idempotency_key like 'invoice:%'")
            .fetch_one(&mut conn)
            .await
            .expect("a count")
    }
}
