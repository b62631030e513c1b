//! P7: the ledger contains the money that banks take: owed while they decide, returned when it is won, written off
//! when it is lost.

use super::super::{
    all_faults,
    stage::{Stage, keyed},
};
use serde_json::json;
use sqlx::AssertSqlSafe;

impl Stage {
    /// What banks withhold from the platform, and what it has lost to them.
    async fn owed_and_lost(&self) -> (i64, i64) {
        let sum = |kind: &str| {
            format!(
                "select coalesce(sum(case t.type when 'credit' then t.amount_cents else -t.amount_cents end), 0)::int8
                 from app.wallet_accounts w join app.wallet_transactions t on t.wallet_id = w.id
                 where w.kind = '{kind}' and w.currency = 'AUD'"
            )
        };
        (
            self.number(&sum("dispute_receivable")).await,
            self.number(&sum("dispute_loss")).await,
        )
    }

    async fn entries(&self) -> i64 {
        self.number("select count(*) from app.wallet_journals where kind like 'dispute_%'")
            .await
    }

    /// Delivers all events once more.
    async fn told_again(&self) {
        for event in self.stripe.fake.all("events") {
            let id = event["id"].as_str().expect("an id");
            let _ = self.stripe.fake.resend(id);
        }
        self.stripe.deliver(&self.server).await;
    }

    async fn card_cents(&self, order: &str) -> i64 {
        self.number(&format!(
            "select card_cents from app.orders where id = '{order}'"
        ))
        .await
    }
}

#[tokio::test]
async fn p7_what_a_bank_has_taken_is_owed_until_it_decides() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 9).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let mut lost = 0;
    for (won, entries) in [(true, 2), (false, 4)] {
        let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
        let paid = stage.card_cents(&order).await;
        assert!(paid > 0);
        let dispute = stage.disputed(&order).await;
        assert_eq!(stage.owed_and_lost().await, (paid, lost));
        stage.told_again().await;
        assert_eq!(stage.owed_and_lost().await, (paid, lost));
        stage.sound().await;

        stage.decided(&dispute, won).await;
        lost += if won { 0 } else { paid };
        assert_eq!(stage.owed_and_lost().await, (0, lost));
        stage.told_again().await;
        assert_eq!(stage.owed_and_lost().await, (0, lost));
        assert_eq!(stage.entries().await, entries);
        stage.books_agree().await;
    }
    // Nobody can reverse it by hand.
    let journal: String = sqlx::query_scalar(
        "select id::text from app.wallet_journals where kind = 'dispute_lost' limit 1",
    )
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("an entry");
    let path = format!("/wallet-journals/{journal}/reversals");
    let refused = keyed(&stage.paula, &path, json!({"reason": "It was not so"})).await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    stage.books_agree().await;
}

/// The dispute covers only what was left of the payment, and the refunded part stays refunded.
#[tokio::test]
async fn p7_a_dispute_beside_a_refund_owes_what_was_left() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let tickets = stage.tickets_of(&order).await;
    let one = json!({"ticket_ids": [tickets[0]]});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), one)
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.owed_and_lost().await, (0, 0));
    let dispute = stage.disputed(&order).await;
    let told = stage
        .number("select amount_cents from app.disputes where state = 'needs_response'")
        .await;
    assert_eq!(stage.owed_and_lost().await, (told, 0));
    stage.sound().await;
    stage.decided(&dispute, false).await;
    assert_eq!(stage.owed_and_lost().await, (0, told));
    stage.books_agree().await;
}

/// An inquiry moves no money, and nothing is booked.
#[tokio::test]
async fn p7_an_inquiry_owes_nothing() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    let payment = stage.payment_of(&order).await;
    let fake = &stage.stripe.fake;
    fake.dispute(&payment, "fraudulent", true)
        .expect("an inquiry");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.owed_and_lost().await, (0, 0));
    assert_eq!(stage.entries().await, 0);
    stage.books_agree().await;
}

/// The entry and the status are written in one transaction: if nothing is booked, the view reports a fault.
#[tokio::test]
async fn p7_a_dispute_that_nobody_books_is_noticed() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 5).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    let body = "language plpgsql as $$ begin end $$";
    let nothing = format!(
        "create or replace function app.book_dispute(p_dispute uuid, p_state text, p_amount bigint, p_currency text) returns void {body}"
    );
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(nothing))
        .execute(&mut conn)
        .await
        .expect("a function");
    stage.disputed(&order).await;
    let found = all_faults(&mut conn).await;
    assert!(
        found
            .iter()
            .any(|fault| fault.starts_with("owed by banks is not what is disputed dispute")),
        "{found:?}"
    );
}
