//! A server with an organiser's event and members who buy, for tests of orders, refunds and the door.

use super::all_faults;
use crate::support::{Answer, Member, TestServer, database::Content, rows, stripe::Stripe};
use axum::http::Method;
use serde_json::{Value, json};
use server::{seed::demo::PEOPLE, wire::Parts};
use uuid::Uuid;

pub struct Stage {
    pub server: TestServer,
    pub stripe: Stripe,
    pub paula: Member,
    pub olga: Member,
    pub mira: Member,
    /// A published event of Olga's.
    pub event: Uuid,
    /// The account, at the payment service, of the organisation that hosts the event.
    pub account: String,
}

impl Stage {
    /// A stage with a payment service, and a host whose account can receive payments.
    pub async fn new() -> Self {
        Self::with(true).await
    }

    /// A stage without a payment service: [`Stage::paid`] takes its place.
    pub async fn without_provider() -> Self {
        Self::with(false).await
    }

    async fn with(has_provider: bool) -> Self {
        Self::changed(has_provider, |_| {}).await
    }

    /// A stage with changed settings.
    pub async fn changed(has_provider: bool, change: impl FnOnce(&mut Parts)) -> Self {
        Self::at(Stripe::new(7), has_provider, change).await
    }

    /// A stage whose platform has its account in New Zealand, so that the host is in another region.
    pub async fn abroad() -> Self {
        Self::at(Stripe::of(7, "NZ"), true, |parts| {
            parts.modules.payments.stripe_account_country = Some("NZ".to_owned());
        })
        .await
    }

    /// A stage with this payment service.
    pub async fn at(stripe: Stripe, has_provider: bool, change: impl FnOnce(&mut Parts)) -> Self {
        // The platform needs a balance, because it transfers what credits pay.
        stripe
            .fake
            .move_money(None, "aud", 1_000_000)
            .expect("a balance");
        let server = TestServer::start_with(Content::Demo, |parts| {
            // All buyers connect from the same address here.
            parts.http.max_connections_per_address = 4096;
            let reward = "AUD:500".parse().expect("a reward");
            parts.modules.wallet.referral_rewards = vec![reward];
            if has_provider {
                stripe.provide(parts);
            }
            change(parts);
        })
        .await;
        // The sample data for suites about all entities contradict the orders. Shares of cities that are still open are
        // computed anew: of what is deleted here they would stay where nothing else is left of a month, as on its first days.
        sqlx::raw_sql("delete from app.revenue_shares where state = 'open'; delete from app.transfers; delete from app.disputes;
             delete from app.transactions; delete from app.connected_accounts")
            .execute(&mut server.superuser().await)
            .await
            .expect("gone");
        let paula = server.sign_in(PEOPLE[0].id).await;
        let olga = server.sign_in(PEOPLE[2].id).await;
        let mira = server.sign_in(PEOPLE[4].id).await;
        server.settled().await;
        let city = server.city("melbourne").await;
        let host = rows::host_of(&server, olga.id, city).await;
        let account = match has_provider {
            true => onboarded(&server, &stripe, &olga, host).await,
            false => believed(&server, host).await,
        };
        let body = json!({
            "title": "A full house", "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
            "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": host, "city_id": city,
            "online_url": "https://example.org/stream",
        });
        let made = olga.client.post("/events", body).await.expect(201);
        let event: Uuid = made.id().parse().expect("an id");
        let publish = format!("/events/{event}/publish");
        olga.client.act(&publish).await.expect(200);
        Self {
            server,
            stripe,
            account,
            paula,
            olga,
            mira,
            event,
        }
    }

    /// A ticket type of the event with this price and capacity.
    pub async fn tickets(&self, name: &str, price_cents: i64, capacity: i32) -> Uuid {
        self.tickets_with(name, price_cents, capacity, json!({}))
            .await
    }

    pub async fn tickets_with(
        &self,
        name: &str,
        price_cents: i64,
        capacity: i32,
        more: Value,
    ) -> Uuid {
        let mut body = json!({"event_id": self.event, "name": name, "price_cents": price_cents, "currency": "AUD",
            "capacity": capacity, "per_user_limit": 100, "refundable_until": "2041-04-30T18:00:00Z"});
        let more = more.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let made = self
            .olga
            .client
            .post("/ticket-types", body)
            .await
            .expect(201);
        made.id().parse().expect("an id")
    }

    pub async fn credits(&self, to: &Member, amount_cents: i64) {
        let body = json!({"amount_cents": amount_cents, "reference": "Spring"});
        keyed(&self.paula, "/wallet/budgets/AUD/fundings", body)
            .await
            .expect(201);
        let body = json!({"user_id": to.id, "kind": "event_credit", "amount_cents": amount_cents, "currency": "AUD",
            "reference": "A gift"});
        keyed(&self.paula, "/wallet/credits", body)
            .await
            .expect(201);
    }

    pub fn cart(&self, items: &[(Uuid, i32)], credits: bool) -> Value {
        let items: Vec<Value> = items
            .iter()
            .map(|(kind, quantity)| json!({"ticket_type_id": kind, "quantity": quantity}))
            .collect();
        json!({"event_id": self.event, "items": items, "use_credits": credits})
    }

    pub async fn order(&self, buyer: &Member, items: &[(Uuid, i32)], credits: bool) -> Answer {
        keyed(buyer, "/orders", self.cart(items, credits)).await
    }

    /// The numbers of held and sold tickets of a type.
    pub async fn stock(&self, kind: Uuid) -> (i32, i32) {
        let mut conn = self.server.superuser().await;
        sqlx::query_as("select held, sold from app.ticket_types where id = $1")
            .bind(kind)
            .fetch_one(&mut conn)
            .await
            .expect("a ticket type")
    }

    /// Begins the payment of an order; with `payment_method_id`, a saved card is charged.
    pub async fn pay(&self, buyer: &Member, order: &str, body: Value) -> Answer {
        keyed(buyer, &format!("/orders/{order}/payments"), body).await
    }

    /// Pays an order in the buyer's browser with this card, and delivers the events.
    pub async fn confirm(&self, order: &str, card: &str) {
        let payment = self.payment_of(order).await;
        let intent = fake_stripe::Intent::Payment;
        // A declined card is a possible outcome too.
        let _ = self.stripe.fake.pay_as_buyer(intent, &payment, card);
        self.stripe.deliver(&self.server).await;
    }

    /// The id, at the service, of an order's payment.
    pub async fn payment_of(&self, order: &str) -> String {
        let mut conn = self.server.superuser().await;
        sqlx::query_scalar(
            "select stripe_payment_intent_id from app.transactions where order_id = $1::text::uuid and status <> 'cancelled'",
        )
        .bind(order)
        .fetch_one(&mut conn)
        .await
        .expect("a payment")
    }

    /// Makes everything that waits for the payment service an hour older.
    pub async fn age(&self) {
        sqlx::raw_sql(
            "set session_replication_role = replica;
             update app.transactions set created_at = created_at - interval '1 hour' where status not in ('succeeded', 'part_refunded', 'refunded');
             update app.refunds set created_at = created_at - interval '1 hour' where state = 'pending';
             update app.transfers set updated_at = updated_at - interval '1 hour' where state = 'pending';",
        )
        .execute(&mut self.server.superuser().await)
        .await
        .expect("older");
    }

    pub fn payments(&self) -> &app::payments::Payments {
        &self.server.built.app.modules.payments
    }

    /// Settles the order as if the card payment had arrived.
    pub async fn paid(&self, order: &str) -> app::tickets::settle::Settled {
        let order: Uuid = order.parse().expect("an id");
        let tickets = self.server.built.app.modules.tickets.clone();
        let db = &self.server.built.app.db;
        db.run("payments", None, Uuid::now_v7(), move |cx| {
            let tickets = tickets.clone();
            Box::pin(async move {
                sqlx::query(
                    "insert into app.transactions (user_id, order_id, type, amount_cents, currency, status, stripe_payment_intent_id,
                       stripe_idempotency_key)
                     select o.user_id, o.id, 'ticket', o.card_cents, o.currency, 'succeeded', 'pi_test_' || o.id, 'pi:' || o.id || ':1'
                     from app.orders o where o.id = $1 and o.card_cents > 0 on conflict do nothing",
                )
                .bind(order)
                .execute(cx.conn())
                .await?;
                tickets.paid(cx, order).await
            })
        })
        .await
        .expect("settled")
    }

    pub async fn sound(&self) {
        let mut conn = self.server.superuser().await;
        assert_eq!(all_faults(&mut conn).await, Vec::<String>::new());
        assert_eq!(self.stripe.fake.audit(), Vec::<String>::new());
    }

    /// A member's balance and held credits.
    pub async fn wallet(&self, of: &Member) -> (i64, i64) {
        let mut conn = self.server.superuser().await;
        let found: Option<(i64, i64)> = sqlx::query_as(
            "select balance_cents, held_cents from app.wallet_accounts where user_id = $1 and currency = 'AUD'",
        )
        .bind(of.id)
        .fetch_optional(&mut conn)
        .await
        .expect("an account");
        found.unwrap_or_default()
    }

    /// Expires the order, without the sweeper having run.
    pub async fn run_out(&self, order: &str) {
        let mut conn = self.server.superuser().await;
        sqlx::query("update app.orders set expires_at = now() - interval '1 second' where id = $1::text::uuid")
            .bind(order)
            .execute(&mut conn)
            .await
            .expect("an order");
    }

    pub async fn state(&self, order: &str) -> String {
        let mut conn = self.server.superuser().await;
        sqlx::query_scalar("select state from app.orders where id = $1::text::uuid")
            .bind(order)
            .fetch_one(&mut conn)
            .await
            .expect("an order")
    }
}

/// Sets up an account of the organisation at the service; its owner completes the service's pages. Returns the account's id.
pub async fn onboarded(server: &TestServer, stripe: &Stripe, owner: &Member, host: Uuid) -> String {
    let path = format!("/organizations/{host}/onboarding");
    let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
    owner.client.post(&path, body).await.expect(200);
    let account = stripe.fake.all("accounts").pop().expect("an account");
    let account = account["id"].as_str().expect("an id").to_owned();
    stripe.fake.onboard(&account).expect("an account");
    stripe.deliver(server).await;
    account
}

/// Inserts an account as if the owner had completed the service's pages.
async fn believed(server: &TestServer, host: Uuid) -> String {
    let account = format!("acct_{}", host.simple());
    sqlx::query(
        "insert into app.connected_accounts (owner_type, owner_id, stripe_account_id, country, requirements_due, charges_enabled,
           payouts_enabled, transfers_active)
         values ('organization', $1, $2, 'AU', '{}', true, true, true)",
    )
    .bind(host)
    .bind(&account)
    .execute(&mut server.superuser().await)
    .await
    .expect("an account");
    account
}

/// Sends a request with a new `Idempotency-Key`.
pub async fn keyed(member: &Member, path: &str, body: Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    keyed_by(member, path, &key, body).await
}

/// Sends a request. The server closes idle connections, possibly just when a request is sent; it is then repeated with
/// the same key, as clients do.
pub async fn keyed_by(member: &Member, path: &str, key: &str, body: Value) -> Answer {
    let headers = [
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    let bytes = body.to_string().into_bytes();
    for _ in 0..2 {
        let sent = (member.client)
            .try_send(Method::POST, path, bytes.clone(), &headers)
            .await;
        if let Ok(answer) = sent {
            return answer;
        }
    }
    (member.client)
        .send_bytes(Method::POST, path, bytes, &headers)
        .await
}
