//! F3: a featured place that the city suspends is not shown, so nobody pays for those days.

use super::market::{DAY_PRICE, Market};
use serde_json::Value;

#[tokio::test]
async fn f3_days_for_which_a_booking_was_suspended_go_back() {
    let market = Market::new(2).await;
    let id = market.booked(7).await;
    market.pay(&id, "4242424242424242").await;
    market.decide(&id, "approve", None).await.expect(200);
    market.begin(&id, 30).await;
    assert_eq!(market.keep().await, 1);
    let event = format!("/events/{}", market.stage.event);
    let featured = async || {
        market.keep().await;
        let shown = market.stage.mira.client.get(&event).await.expect(200).json;
        shown["featured_until"].clone()
    };
    let ends_at = market.seen(&id).await["ends_at"].clone();
    assert_eq!(featured().await, ends_at);
    for (verb, until) in [
        ("suspend", Value::Null),
        ("unsuspend", ends_at),
        ("suspend", Value::Null),
    ] {
        market.decide(&id, verb, None).await.expect(200);
        assert_eq!(featured().await, until, "{verb}");
    }
    assert_eq!(market.back(&id).await, (0, 0), "it may be shown again");

    // It was shown for 30 hours of 7 days, and its time is over: five whole days are left.
    market.begin(&id, 24 * 8).await;
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.promotions set updated_at = starts_at + interval '30 hours' where id = '{id}'"
        ))
        .await;
    assert_eq!(market.keep().await, 1);
    market.deliver().await;
    assert_eq!(market.back(&id).await, (5 * DAY_PRICE, 0));
    market.sound().await;

    // Control: of one that was shown to its end, nothing goes back.
    let id = market.booked(7).await;
    market.pay(&id, "4242424242424242").await;
    market.decide(&id, "approve", None).await.expect(200);
    market.begin(&id, 30).await;
    assert_eq!(market.keep().await, 1);
    market.begin(&id, 24 * 8).await;
    assert_eq!(market.keep().await, 1);
    market.deliver().await;
    assert_eq!(market.back(&id).await, (0, 0));
    market.sound().await;
}
