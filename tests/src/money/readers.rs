//! P4: two processes read the same object at the service, and the one that read it first writes last.

use super::stage::{Stage, keyed};
use crate::support::stripe;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::time::Duration;

impl Stage {
    /// Status and refunded amount of an order's payment in our books.
    async fn booked(&self, order: &str) -> (String, i64) {
        let mut conn = self.server.superuser().await;
        sqlx::query_as(
            "select status, refunded_cents from app.transactions where order_id = $1::text::uuid",
        )
        .bind(order)
        .fetch_one(&mut conn)
        .await
        .expect("a payment")
    }

    /// Delivers only the event about the successful payment.
    async fn told_of_success(&self) {
        let due = self.stripe.fake.due_webhooks();
        let of_success = due.iter().find(|post| {
            let event: Value = serde_json::from_slice(&post.body).expect("an event");
            event["type"] == "payment_intent.succeeded"
        });
        let status = stripe::send(&self.server, of_success.expect("an event")).await;
        assert_eq!(status, 200);
    }

    /// Runs a statement that must violate a constraint, and returns the constraint's name.
    async fn refused_by(&self, text: String) -> String {
        let mut conn = self.server.superuser().await;
        let done = sqlx::query(AssertSqlSafe(text.clone()))
            .execute(&mut conn)
            .await;
        let error = done.expect_err(&text);
        kernel::error::violated(&error)
            .expect("a constraint")
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_what_was_read_before_a_refund_does_not_undo_it() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    stage.server.settled().await;
    let payment = stage.payment_of(&order).await;
    // The job of the event has read that nothing was refunded, and is delayed before it writes.
    let late = stage
        .stripe
        .delay_reading(&format!("/v1/payment_intents/{payment}"));
    stage.told_of_success().await;
    late.given().await;
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    let refunded = ("refunded".to_owned(), 4_500);
    for _ in 0..1_000 {
        if stage.booked(&order).await == refunded {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        stage.booked(&order).await,
        refunded,
        "before the late reader writes"
    );
    late.let_go();
    stage.server.settled().await;
    assert_eq!(
        stage.booked(&order).await,
        refunded,
        "after the late reader has written"
    );
    stage.books_agree().await;
}

/// A refund that had succeeded fails at the bank days later, so the refunded amount becomes smaller; a later reading
/// of that is accepted.
#[tokio::test]
async fn p4_a_refund_that_fails_afterwards_is_believed_of_a_later_reading() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4000000000005126").await;
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.booked(&order).await, ("refunded".to_owned(), 4_500));
    stage.stripe.fake.advance(60);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.booked(&order).await, ("succeeded".to_owned(), 0));
    stage.books_agree().await;
}

/// The database refuses older readings too, whoever writes.
#[tokio::test]
async fn p4_the_database_takes_no_older_news() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    let payment = stage.payment_of(&order).await;
    let disputed = stage.stripe.fake.dispute(&payment, "fraudulent", false);
    disputed.expect("a dispute");
    stage.stripe.deliver(&stage.server).await;
    for table in ["transactions", "disputes", "connected_accounts"] {
        let known = format!("select count(*) from app.{table} where synced_at is not null");
        assert!(stage.number(&known).await > 0, "{table}");
        let back = format!(
            "update app.{table} set synced_at = synced_at - interval '1 s' where synced_at is not null"
        );
        assert_eq!(stage.refused_by(back).await, format!("{table}_read_later"));
    }
    let more = "update app.transactions set status = 'part_refunded', refunded_cents = 100, synced_at = clock_timestamp()
      where status = 'succeeded'";
    stage.run(more).await;
    let less = "update app.transactions set refunded_cents = 50 where refunded_cents = 100";
    let refused = stage.refused_by(less.to_owned()).await;
    assert_eq!(refused, "transactions_read_later");
}
