//! C6, O6: concurrent refunds. The one that waits continues with what the other has left.

use super::stage::{Stage, keyed};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};
use std::time::Duration;

impl Stage {
    /// Runs two requests that must meet: a lock on the row is held until both wait for it.
    pub async fn meeting<A, B>(
        &self,
        row: &str,
        one: impl Future<Output = A>,
        other: impl Future<Output = B>,
    ) -> (A, B) {
        let mut holder = self.server.superuser().await;
        let mut held = holder.begin().await.expect("a transaction");
        sqlx::query(AssertSqlSafe(format!("select from {row} for update")))
            .execute(&mut *held)
            .await
            .expect("a row");
        let (one, other, ()) = tokio::join!(one, other, async {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            while self.number(waiting).await < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            held.rollback().await.expect("let go");
        });
        (one, other)
    }
}

/// Paid with credits and card, so that the amount that the second refund may send to the card depends on the first.
#[tokio::test]
async fn o6_two_tickets_given_back_at_once_are_two_refunds_of_one_order() {
    let stage = Stage::new().await;
    stage.credits(&stage.mira, 2_001).await;
    let kind = stage.tickets("Seat", 4_501, 10).await;
    let placed = stage.order(&stage.mira, &[(kind, 2)], true).await;
    let order = placed.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    let tickets = format!("/orders/{order}/tickets");
    let tickets = stage.mira.client.get(&tickets).await.expect(200).json;
    let path = format!("/orders/{order}/refunds");
    let back = async |n: usize| {
        let body = json!({"ticket_ids": [tickets["data"][n]["id"]]});
        keyed(&stage.mira, &path, body).await
    };
    let row = format!("app.orders where id = '{order}'");
    let (one, other) = stage.meeting(&row, back(0), back(1)).await;
    let sum = |field: &str| {
        let of = |answer: &crate::support::Answer| answer.json[field].as_i64().expect("cents");
        of(&one) + of(&other)
    };
    assert_eq!((one.status.as_u16(), other.status.as_u16()), (201, 201));
    assert_eq!((sum("card_cents"), sum("wallet_cents")), (7_001, 2_001));
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.wallet(&stage.mira).await, (2_001, 0));
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// Tickets that cost nothing go back without a refund, and the answer names none that could be asked for.
#[tokio::test]
async fn o6_the_id_of_a_refund_is_null_where_nothing_was_paid() {
    let stage = Stage::without_provider().await;
    let (free, seat) = (
        stage.tickets("Free", 0, 10).await,
        stage.tickets("Seat", 2_500, 10).await,
    );
    stage.credits(&stage.mira, 2_500).await;
    let back = async |kind| {
        let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
        let path = format!("/orders/{}/refunds", order.expect(201).id());
        let answer = keyed(&stage.mira, &path, json!({})).await;
        answer.expect(201).json
    };
    let nothing = back(free).await;
    assert!(nothing.get("id").is_some_and(Value::is_null), "{nothing}");
    assert_eq!(nothing["state"], "succeeded");
    assert_eq!(stage.stock(free).await, (0, 0));
    // Control: where something was paid the id is that of a refund.
    let paid = back(seat).await;
    let path = format!("/refunds/{}", paid["id"].as_str().expect("an id"));
    stage.mira.client.get(&path).await.expect(200);
    stage.sound().await;
}

/// A buyer is told whether the time to give back is over, or whether there never was one.
#[tokio::test]
async fn o6_a_refusal_says_whether_tickets_could_be_given_back_at_all() {
    let stage = Stage::without_provider().await;
    for (until, word) in [
        (Value::Null, "on request"),
        (json!("2020-01-01T00:00:00Z"), "is over"),
    ] {
        let kind = stage.tickets(word, 0, 10).await;
        let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
        let order = order.expect(201).id();
        let time = match until.as_str() {
            Some(time) => format!("'{time}'"),
            None => "null".to_owned(),
        };
        stage
            .run(format!(
                "set session_replication_role = replica;
                 update app.ticket_types set refundable_until = {time} where id = '{kind}'"
            ))
            .await;
        let path = format!("/orders/{order}/refunds");
        let refused = keyed(&stage.mira, &path, json!({})).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
        assert!(refused.text.contains(word), "{}", refused.text);
        // Control: those who run the event may.
        keyed(&stage.olga, &path, json!({})).await.expect(201);
    }
}
