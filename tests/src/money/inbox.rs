//! H7: how long events are kept, and which ones are kept regardless of their age.

use super::stage::Stage;
use uuid::Uuid;

const AGE: &str = "set session_replication_role = replica;
    update app.stripe_events set created_at = created_at - interval '91 days', settled_at = settled_at - interval '91 days'";

#[tokio::test]
async fn h7_events_that_are_done_go_after_their_time_and_what_waits_stays() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 2).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    stage.bought_by_card(&stage.mira, &card, &[(kind, 1)]).await;
    let payments = stage.payments();
    let all = "select count(*) from app.stripe_events";
    let purge = async || payments.purge_events(Uuid::now_v7()).await.expect("a run");
    stage
        .run(
            "delete from app.stripe_events
             where state not in ('done', 'ignored') or settled_at between now() - interval '1 hour' and now() is not true",
        )
        .await;
    let told = stage.number(all).await;
    assert!(told > 3, "{told}");
    assert_eq!(purge().await, 0, "new events are kept");

    // Three of the old ones are unfinished, each in another way.
    stage.run(AGE).await;
    stage
        .run(
            "with nth as (select id, row_number() over (order by id) as n from app.stripe_events)
             update app.stripe_events e set
               state = case n.n when 1 then 'parked' when 2 then 'received' else e.state end,
               error = case n.n when 1 then 'It differs.' end,
               settled_at = case n.n when 2 then null when 3 then now() else e.settled_at end
             from nth n where n.id = e.id and n.n <= 3",
        )
        .await;
    assert_eq!(purge().await, told - 3);
    assert_eq!(stage.number(all).await, 3);
    let known = "select count(*) from audit.audit_logs where entity_type = 'stripe_event'";
    assert!(
        stage.number(known).await >= told,
        "the log keeps that they were received"
    );

    // Delivered again after that, they change nothing.
    for event in stage.stripe.fake.all("events") {
        let _ = stage
            .stripe
            .fake
            .resend(event["id"].as_str().expect("an id"));
    }
    stage.stripe.deliver(&stage.server).await;
    assert!(stage.number(all).await >= told);
    assert_eq!(stage.stock(kind).await, (0, 1));
    stage.books_agree().await;
}
