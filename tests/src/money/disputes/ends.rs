//! P7: disputes that end, or begin, in the rarer ways: the card network prevents them, or an inquiry becomes one.

use crate::money::{
    market::{DAY_PRICE, Market},
    stage::{Stage, keyed},
};
use serde_json::json;

const CARD: &str = "4242424242424242";

impl Stage {
    /// A ticket by card, whose buyer's bank asks about it. Returns the order and the dispute.
    async fn inquired(&self) -> (String, String) {
        let kind = self.tickets("Seat", 4_500, 9).await;
        let card = self.saved(&self.mira, CARD).await;
        let order = self.bought_by_card(&self.mira, &card, &[(kind, 1)]).await;
        let payment = self.payment_of(&order).await;
        let dispute = self.stripe.fake.dispute(&payment, "fraudulent", true);
        let dispute = dispute.expect("an inquiry")["id"].clone();
        self.stripe.deliver(&self.server).await;
        (order, dispute.as_str().expect("an id").to_owned())
    }

    async fn dispute_is(&self, state: &str) -> bool {
        let text = format!(
            "select count(*) from app.disputes where state = '{state}' and stripe_dispute_id is not null"
        );
        self.number(&text).await == 1
    }
}

/// After a dispute that was prevented, everybody has what they had before, and refunds are possible.
#[tokio::test]
async fn p7_a_dispute_that_is_prevented_gives_the_money_again() {
    let stage = Stage::new().await;
    stage.run("delete from app.disputes").await;
    let kind = stage.tickets("Seat", 4_500, 9).await;
    let card = stage.saved(&stage.mira, CARD).await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let had = stage.host_has();
    let dispute = stage.disputed(&order).await;
    assert!(stage.host_has() < had);
    let fake = &stage.stripe.fake;
    fake.prevent_dispute(&dispute).expect("a dispute");
    stage.stripe.deliver(&stage.server).await;
    assert!(stage.dispute_is("closed").await);
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.host_has(), had);
    stage.books_agree().await;
    let tickets = stage.tickets_of(&order).await;
    let one = json!({"ticket_ids": [tickets[1]]});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), one)
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "part_refunded");
    stage.books_agree().await;
    // The control: without what was sent to the host again, the view names the dispute.
    stage
        .run(
            "set session_replication_role = replica;
             delete from app.transfers where kind = 'dispute_return';
             update app.disputes set closed_at = now() - interval '1 hour'",
        )
        .await;
    let missing = "select count(*) from app.payment_faults where fault = 'won, and not sent to the host again'";
    assert_eq!(stage.number(missing).await, 1);
}

/// A place that a prevented dispute has ended is refunded.
#[tokio::test]
async fn f3_a_place_is_refunded_if_its_dispute_is_prevented() {
    let market = Market::new(3).await;
    let id = market.booked(7).await;
    let payment = market.pay(&id, CARD).await;
    let fake = &market.stage.stripe.fake;
    let dispute = fake.dispute(&payment, "fraudulent", false);
    let dispute = dispute.expect("a dispute")["id"].clone();
    market.deliver().await;
    assert_eq!(market.seen(&id).await["state"], "cancelled");
    fake.prevent_dispute(dispute.as_str().expect("an id"))
        .expect("a dispute");
    market.deliver().await;
    market.deliver().await;
    assert_eq!(market.back(&id).await, (7 * DAY_PRICE, 0));
    market.sound().await;
}

/// An inquiry becomes a dispute: at once, or after it was closed. From then on it counts as one.
#[tokio::test]
async fn p7_an_inquiry_may_become_a_dispute() {
    for is_closed in [false, true] {
        let stage = Stage::new().await;
        stage.run("delete from app.disputes").await;
        let (order, dispute) = stage.inquired().await;
        let had = stage.host_has();
        assert!(stage.dispute_is("inquiry").await);
        let fake = &stage.stripe.fake;
        if is_closed {
            fake.close_dispute(&dispute, true).expect("an inquiry");
            stage.stripe.deliver(&stage.server).await;
            assert!(stage.dispute_is("closed").await);
            assert_eq!(stage.host_has(), had);
        }
        fake.escalate_dispute(&dispute).expect("an inquiry");
        stage.stripe.deliver(&stage.server).await;
        assert!(stage.dispute_is("needs_response").await);
        assert!(stage.host_has() < had);
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
            .await
            .expect(409);
        stage.sound().await;
        stage.decided(&dispute, false).await;
        assert_eq!(stage.state(&order).await, "charged_back");
        stage.books_agree().await;
    }
}
