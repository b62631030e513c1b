//! A city that sells its featured places, for tests.

use super::stage::{Stage, keyed};
use crate::support::{Answer, Member};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

/// The price of a place on the home page for a day.
pub const DAY_PRICE: i64 = 900;

pub struct Market {
    pub stage: Stage,
    /// Administers the city.
    pub carlo: Member,
    pub city: Uuid,
    pub starts_at: DateTime<Utc>,
}

impl Market {
    /// A market with this many places on the home page of the city.
    pub async fn new(capacity: i32) -> Self {
        let stage = Stage::new().await;
        let carlo = stage.server.sign_in(PEOPLE[1].id).await;
        let city = stage.server.city("melbourne").await;
        let market = Self {
            stage,
            carlo,
            city,
            starts_at: Utc::now() + TimeDelta::days(2),
        };
        // Shares of the deleted bookings as well (see `Stage`).
        market
            .sql(
                "delete from app.promotions; delete from app.revenue_shares where state = 'open';
                 delete from app.commission_rules where type = 'featured' and scope_id is not null",
            )
            .await;
        let path = format!("/featured-places?city_id={city}&slot=home");
        let places = market.carlo.client.get(&path).await.expect(200);
        let place = &places.json["data"][0];
        assert_eq!(place["day_price_cents"], DAY_PRICE);
        let path = format!("/featured-places/{}", place["id"].as_str().expect("an id"));
        let change = json!({"capacity": capacity, "max_days": 30});
        market
            .carlo
            .client
            .patch(&path, "*", change)
            .await
            .expect(200);
        market
    }

    pub async fn sql(&self, statements: &'static str) {
        let mut conn = self.stage.server.superuser().await;
        sqlx::raw_sql(statements)
            .execute(&mut conn)
            .await
            .expect("done");
    }

    pub fn body(&self, target_type: &str, target: Uuid, days: i64) -> Value {
        let ends_at = self.starts_at + TimeDelta::days(days);
        json!({"target_type": target_type, "target_id": target, "city_id": self.city, "slot": "home",
            "starts_at": self.starts_at, "ends_at": ends_at})
    }

    pub async fn book(&self, event: Uuid, days: i64) -> Answer {
        let body = self.body("event", event, days);
        self.stage.olga.client.post("/promotions", body).await
    }

    pub async fn booked(&self, days: i64) -> String {
        self.book(self.stage.event, days).await.expect(201).id()
    }

    /// An event like the stage's, by the same host.
    pub async fn another_event(&self) -> Uuid {
        let olga = &self.stage.olga.client;
        let event = olga.get(&format!("/events/{}", self.stage.event)).await;
        let event = event.expect(200).json;
        let mut body =
            json!({"title": "Another full house", "online_url": "https://example.org/stream"});
        for field in [
            "starts_at",
            "ends_at",
            "timezone",
            "host_type",
            "host_id",
            "city_id",
        ] {
            body[field] = event[field].clone();
        }
        let made = olga.post("/events", body).await.expect(201).id();
        let path = format!("/events/{made}/publish");
        olga.act(&path).await.expect(200);
        made.parse().expect("an id")
    }

    /// Begins the payment, and pays in the buyer's browser with this card.
    pub async fn pay(&self, promotion: &str, card: &str) -> String {
        let path = format!("/promotions/{promotion}/payments");
        let begun = keyed(&self.stage.olga, &path, json!({})).await.expect(200);
        assert_eq!(begun.json["promotion_id"], promotion);
        assert!(begun.json["order_id"].is_null());
        let payment = self.payment_of(promotion).await;
        let intent = fake_stripe::Intent::Payment;
        let _ = self.stage.stripe.fake.pay_as_buyer(intent, &payment, card);
        self.deliver().await;
        payment
    }

    pub async fn payment_of(&self, promotion: &str) -> String {
        let mut conn = self.stage.server.superuser().await;
        sqlx::query_scalar(
            "select stripe_payment_intent_id from app.transactions where promotion_id = $1::text::uuid and status <> 'cancelled'",
        )
        .bind(promotion)
        .fetch_one(&mut conn)
        .await
        .expect("a payment")
    }

    pub async fn deliver(&self) {
        self.stage.server.settled().await;
        self.stage.stripe.deliver(&self.stage.server).await;
    }

    pub async fn decide(&self, promotion: &str, verb: &str, reason: Option<&str>) -> Answer {
        let path = format!("/promotions/{promotion}/{verb}");
        let client = &self.carlo.client;
        let decided = match reason {
            Some(reason) => client.post(&path, json!({"reason": reason})).await,
            None => client.act(&path).await,
        };
        self.deliver().await;
        decided
    }

    /// Moves the booking so that its period began this many hours ago.
    pub async fn begin(&self, promotion: &str, hours_ago: i32) {
        let mut conn = self.stage.server.superuser().await;
        sqlx::query(
            "with gone as (select set_config('session_replication_role', 'replica', false))
             update app.promotions p set starts_at = now() - make_interval(hours => $2), created_at = p.created_at - interval '9 days',
               ends_at = p.ends_at - (p.starts_at - (now() - make_interval(hours => $2)))
             from gone where p.id = $1::text::uuid",
        )
        .bind(promotion)
        .bind(hours_ago)
        .execute(&mut conn)
        .await
        .expect("begun");
    }

    pub async fn keep(&self) -> usize {
        let promotions = &self.stage.server.built.app.modules.promotions;
        promotions.keep().await.expect("kept")
    }

    pub async fn seen(&self, promotion: &str) -> Value {
        let path = format!("/promotions/{promotion}");
        self.stage.olga.client.get(&path).await.expect(200).json
    }

    /// What was refunded to the card, and as credits.
    pub async fn back(&self, promotion: &str) -> (i64, i64) {
        let mut conn = self.stage.server.superuser().await;
        let back: Option<(i64, i64)> = sqlx::query_as(
            "select card_cents, wallet_cents from app.refunds where promotion_id = $1::text::uuid and state = 'succeeded'",
        )
        .bind(promotion)
        .fetch_optional(&mut conn)
        .await
        .expect("refunds");
        back.unwrap_or_default()
    }

    pub async fn sound(&self) {
        self.stage.sound().await;
    }
}
