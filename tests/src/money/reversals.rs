//! Which entries of the ledger administrators can reverse: those that belong to no other row.

use super::stage::{Stage, keyed};
use serde_json::json;

/// An order that credits have paid stays paid, and a refund stays made, so their entries can't be reversed: the buyer
/// would get the same credits twice, or lose them.
#[tokio::test]
async fn w5_entries_of_orders_and_refunds_are_not_reversed() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 2_000, 10).await;
    stage.credits(&stage.mira, 2_000).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = order.expect(201).id();
    assert_eq!(stage.state(&order).await, "paid");
    let entry = async |which: &str| -> String {
        let text = format!(
            "select id::text from app.wallet_journals where {which} order by id desc limit 1"
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_one(&mut stage.server.superuser().await)
            .await
            .expect("an entry")
    };
    let reverse = async |journal: &str| {
        let path = format!("/wallet-journals/{journal}/reversals");
        keyed(&stage.paula, &path, json!({"reason": "By mistake"})).await
    };
    let refused = async |which: &str, says: &str| {
        let journal = entry(which).await;
        let answer = reverse(&journal).await.expect(409);
        assert_eq!(answer.problem(), "invalid-state");
        assert!(answer.text.contains(says), "{which}: {}", answer.text);
        // The database refuses it too.
        let error = sqlx::query(
            "insert into app.wallet_journals (kind, idempotency_key, reverses_id) values ('reversal', 'wrongly so', $1::text::uuid)",
        )
        .bind(&journal)
        .execute(&mut stage.server.superuser().await)
        .await
        .expect_err("refused");
        assert!(
            error.to_string().contains("belongs to another row"),
            "{error}"
        );
    };
    refused("kind = 'purchase'", "Refund the order instead").await;
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    assert_eq!(stage.wallet(&stage.mira).await, (2_000, 0));
    refused("kind = 'refund_credit'", "refunded for good").await;
    assert_eq!(stage.wallet(&stage.mira).await, (2_000, 0));
    // What was given by hand can be taken back by hand, and that is final.
    let given = entry("kind = 'event_credit'").await;
    reverse(&given).await.expect(201);
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    refused("kind = 'reversal'", "are final").await;
    stage.sound().await;
}
