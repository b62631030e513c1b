//! Events of the payment service that an administrator ends without applying them.

use super::stage::Stage;
use serde_json::json;
use uuid::Uuid;

/// H4: an event about something that is not there can't be applied by any retry. A platform administrator ends it, and the
/// audit log has the reason.
#[tokio::test]
async fn h4_an_event_about_nothing_is_dismissed() {
    let stage = Stage::new().await;
    stage
        .run(
            "insert into app.stripe_events (stripe_event_id, type, object_type, object_id, livemode, happened_at, state, error)
             values ('evt_of_nothing', 'payment_intent.succeeded', 'payment_intent', 'pi_of_nothing', false, now(), 'parked', 'No such payment')",
        )
        .await;
    let id = "select id::text from app.stripe_events where stripe_event_id = 'evt_of_nothing'";
    let id: String = sqlx::query_scalar(id)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("an event");
    let paula = &stage.paula.client;
    let path = format!("/stripe-events/{id}");
    // A retry parks it again.
    paula.act(&format!("{path}/retry")).await.expect(202);
    stage.server.settled().await;
    assert_eq!(paula.get(&path).await.expect(200).json["state"], "parked");
    let dismiss = format!("{path}/dismiss");
    let why = json!({"reason": "Deleted at Stripe"});
    for stranger in [&stage.mira, &stage.olga] {
        stranger
            .client
            .post(&dismiss, why.clone())
            .await
            .expect(403);
    }
    let refused = paula.post(&dismiss, json!({"reason": " "})).await;
    assert_eq!(refused.expect(422).pointers(), ["/reason"]);
    paula.post(&dismiss, why.clone()).await.expect(204);
    let shown = paula.get(&path).await.expect(200).json;
    assert_eq!(shown["state"], "ignored");
    assert!(shown["error"].is_string(), "{shown}");
    let logged = format!(
        "select count(*) from audit.audit_logs where entity_id = '{id}' and reason = 'Deleted at Stripe' and performed_by = '{}'",
        stage.paula.id
    );
    assert_eq!(stage.number(&logged).await, 1);
    paula.post(&dismiss, why.clone()).await.expect(409);
    paula.act(&format!("{path}/retry")).await.expect(409);
    let nobody = format!("/stripe-events/{}/dismiss", Uuid::now_v7());
    paula.post(&nobody, why).await.expect(404);
    stage.sound().await;
}
