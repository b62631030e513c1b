//! A late payment of somebody whom the community has banned meanwhile.

use super::Circle;
use crate::money::stage::keyed;
use app::tickets::settle::Settled;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// A payment in time buys what was ordered before the ban; a late one is like an order that is placed now, and goes back.
#[tokio::test]
async fn a_late_payment_of_who_was_banned_goes_back() {
    for (is_late, is_banned) in [(true, true), (false, true), (true, false)] {
        let circle = Circle::new("community", 9).await;
        let (ben, membership) = circle.member("ben_who_pays_late").await;
        // All of the price is the platform's: a community has no account that could take payments.
        let rule = json!({"type": "ticket", "basis_points": 10_000, "currency": "AUD", "scope_type": "community",
            "scope_id": circle.community, "valid_from": "2026-01-01T00:00:00Z"});
        let paula = &circle.stage.paula.client;
        paula.post("/commission-rules", rule).await.expect(201);
        let body = json!({"event_id": circle.event, "name": "Front row", "price_cents": 2_500, "currency": "AUD", "capacity": 5});
        let kind = circle.stage.olga.client.post("/ticket-types", body).await;
        let items = json!([{"ticket_type_id": kind.expect(201).id(), "quantity": 1}]);
        let cart = json!({"event_id": circle.event, "items": items, "use_credits": false});
        let order = keyed(&ben, "/orders", cart).await.expect(201).id();
        if is_banned {
            circle.ban(&membership).await;
        }
        if is_late {
            circle.stage.run_out(&order).await;
        }
        let settled = circle.stage.paid(&order).await;
        let goes_back = is_late && is_banned;
        assert_eq!(
            settled != Settled::Paid,
            goes_back,
            "late: {is_late}, banned: {is_banned}, {settled:?}"
        );
        if goes_back {
            let text = format!("select note from app.refunds where order_id = '{order}'");
            let note: String = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_one(&mut circle.stage.server.superuser().await)
                .await
                .expect("a refund");
            assert!(note.contains("could not order"), "{note}");
        }
        circle.stage.sound().await;
    }
}
