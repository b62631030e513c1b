//! What becomes of a featured place whose payment is disputed.

use crate::money::market::{DAY_PRICE, Market};

const CARD: &str = "4242424242424242";

async fn disputed(market: &Market, payment: &str) -> String {
    let dispute = market
        .stage
        .stripe
        .fake
        .dispute(payment, "fraudulent", false);
    let dispute = dispute.expect("a dispute");
    market.deliver().await;
    dispute["id"].as_str().expect("an id").to_owned()
}

async fn decided(market: &Market, dispute: &str, won: bool) {
    let fake = &market.stage.stripe.fake;
    fake.close_dispute(dispute, won).expect("a decision");
    market.deliver().await;
    market.deliver().await;
}

/// Makes the booking old enough for the check of what is due.
async fn aged(market: &Market, id: &str) {
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.promotions set updated_at = now() - interval '1 hour' where id = '{id}'"
        ))
        .await;
}

/// The booking was never shown: all of it goes back if the dispute is won, and nothing if it is lost.
#[tokio::test]
async fn f3_a_place_that_waited_is_refunded_if_the_dispute_is_won() {
    let market = Market::new(3).await;
    for (won, back) in [(false, (0, 0)), (true, (7 * DAY_PRICE, 0))] {
        let id = market.booked(7).await;
        let payment = market.pay(&id, CARD).await;
        let dispute = disputed(&market, &payment).await;
        assert_eq!(market.seen(&id).await["state"], "cancelled");
        aged(&market, &id).await;
        // Nothing is due while the bank decides.
        market.sound().await;
        decided(&market, &dispute, won).await;
        assert_eq!(market.seen(&id).await["state"], "cancelled");
        assert_eq!(market.back(&id).await, back, "won: {won}");
        aged(&market, &id).await;
        market.sound().await;
        if won {
            // Control: without its refund, a booking whose dispute was won is a fault.
            market
                .stage
                .run(format!(
                    "set session_replication_role = replica; delete from app.refunds where promotion_id = '{id}'"
                ))
                .await;
            let due = "select count(*) from app.promotion_faults where fault = 'paid, and neither shown nor given back'";
            assert_eq!(market.stage.number(due).await, 1);
        }
    }
}

/// The days that were left when the dispute ended the booking are refunded, not those that are left when it is decided.
#[tokio::test]
async fn f3_a_place_that_was_shown_gets_its_days_back_if_it_is_won() {
    let market = Market::new(3).await;
    let id = market.booked(7).await;
    let payment = market.pay(&id, CARD).await;
    market.decide(&id, "approve", None).await.expect(200);
    market.begin(&id, 30).await;
    assert_eq!(market.keep().await, 1);
    let dispute = disputed(&market, &payment).await;
    let seen = market.seen(&id).await;
    assert_eq!(seen["state"], "ended");
    assert!(seen["ended_at"].is_string(), "{seen}");
    // The bank takes three days.
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.promotions set starts_at = starts_at - interval '3 days', ends_at = ends_at - interval '3 days',
               ended_at = ended_at - interval '3 days', updated_at = updated_at - interval '3 days' where id = '{id}'"
        ))
        .await;
    assert_eq!(market.back(&id).await, (0, 0));
    market.sound().await;
    decided(&market, &dispute, true).await;
    // 30 hours of 7 days were shown: five whole days were left.
    assert_eq!(market.back(&id).await, (5 * DAY_PRICE, 0));
    assert_eq!(market.seen(&id).await["state"], "ended");
    market.sound().await;
}
