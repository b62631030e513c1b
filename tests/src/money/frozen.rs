//! W6: a wallet that is frozen between an order and its payment. The order ends, and the card payment is refunded; it
//! is neither paid without its credits nor left pending.

use super::stage::Stage;
use serde_json::{Value, json};

impl Stage {
    /// An order of Mira's for 25.00, of which credits pay 3.00; its payment has begun.
    async fn partly_by_credits(&self) -> String {
        let name = uuid::Uuid::now_v7().to_string();
        let kind = self.tickets(&name, 2_500, 10).await;
        let order = self.order(&self.mira, &[(kind, 1)], true).await.expect(201);
        assert_eq!(order.json["wallet_cents"], 300);
        let id = order.id();
        self.pay(&self.mira, &id, json!({})).await.expect(200);
        id
    }

    async fn freeze(&self, change: &str) {
        let id = self.mira.id;
        let text = format!(
            "update app.wallet_accounts set {change} where user_id = '{id}' and currency = 'AUD'"
        );
        let mut conn = self.server.superuser().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("changed");
    }

    /// Events that need the attention of a person.
    async fn parked(&self) -> Value {
        let path = "/stripe-events?state=parked";
        self.paula.client.get(path).await.expect(200).json["data"].clone()
    }

    /// What Mira sees of the order's refund.
    async fn told(&self, order: &str) -> Value {
        let path = format!("/refunds?order_id={order}");
        let refunds = self.mira.client.get(&path).await.expect(200).json;
        assert_eq!(refunds["data"].as_array().expect("refunds").len(), 1);
        refunds["data"][0].clone()
    }
}

#[tokio::test]
async fn w6_a_wallet_that_is_frozen_before_the_payment_sends_the_cards_money_back() {
    let stage = Stage::new().await;
    let parked = stage.parked().await;
    stage.credits(&stage.mira, 300).await;
    let order = stage.partly_by_credits().await;
    assert_eq!(stage.wallet(&stage.mira).await, (300, 300));
    stage.freeze("frozen_at = now()").await;
    stage.confirm(&order, "4242424242424242").await;
    stage.server.settled().await;
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    let refund = stage.told(&order).await;
    assert_eq!(
        (&refund["state"], &refund["reason"], &refund["wallet_cents"]),
        (&json!("succeeded"), &json!("other"), &json!(0))
    );
    let note = refund["note"].as_str().expect("a word why");
    assert!(note.contains("wallet is being checked"), "{note}");
    // The credits are hers again, and nothing is left waiting: neither tickets nor an event.
    assert_eq!(stage.wallet(&stage.mira).await, (300, 0));
    assert_eq!(stage.parked().await, parked);
    stage.books_agree().await;
    // She sees that she has them, and can't spend them.
    let seen = async || {
        let mine = stage.mira.client.get("/me/wallet").await.expect(200).json;
        let all = mine["data"].as_array().expect("balances");
        let aud = all.iter().find(|one| one["currency"] == "AUD");
        let aud = aud.expect("a balance");
        (aud["balance_cents"].clone(), aud["available_cents"].clone())
    };
    assert_eq!(seen().await, (json!(300), json!(0)));

    // After the wallet is unfrozen, credits can pay again.
    stage.freeze("frozen_at = null").await;
    assert_eq!(seen().await, (json!(300), json!(300)));
    let order = stage.partly_by_credits().await;
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.books_agree().await;
}

/// Also when the order has expired, and when a saved card is charged within the request itself.
#[tokio::test]
async fn w6_a_wallet_that_is_frozen_ends_late_payments_and_saved_cards_alike() {
    let stage = Stage::new().await;
    stage.credits(&stage.mira, 300).await;
    let order = stage.partly_by_credits().await;
    stage.freeze("frozen_at = now()").await;
    stage.run_out(&order).await;
    stage.confirm(&order, "4242424242424242").await;
    stage.server.settled().await;
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert!(stage.told(&order).await["note"].is_string());

    stage.freeze("frozen_at = null").await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.partly_by_credits().await;
    stage.freeze("frozen_at = now()").await;
    let body = json!({"payment_method_id": card});
    let told = stage.pay(&stage.mira, &order, body).await.expect(200);
    assert_ne!(told.json["order_state"], "pending");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    stage.books_agree().await;
}

/// The negative control: without the check whether the credits can be used, the payment has arrived and the order
/// stays pending.
#[tokio::test]
async fn w6_notices_an_order_whose_frozen_wallet_nobody_asks_about() {
    let stage = Stage::new().await;
    stage.credits(&stage.mira, 300).await;
    let order = stage.partly_by_credits().await;
    stage.freeze("frozen_at = now()").await;
    let off = "create or replace function app.hold_is_good(p_hold uuid) returns boolean
        language sql set search_path = pg_catalog, pg_temp as 'select true'";
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(off)
        .execute(&mut conn)
        .await
        .expect("switched off");
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "pending");
}
