//! What the guests of a cancelled event still see of it.

use super::super::stage::{Stage, keyed};
use crate::support::Member;
use serde_json::json;

/// The message about a cancelled event leads its guests to the event, and so do their orders and tickets, also if it was
/// never listed. Nobody else learns of it. Negative control: as long as it takes place, a ticket that was given back
/// shows nothing.
#[tokio::test]
async fn o6_guests_see_that_an_unlisted_event_is_cancelled() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Free", 0, 10).await;
    let guest = &stage.mira;
    let order = stage.order(guest, &[(kind, 2)], false).await;
    let order = order.expect(201).id();
    let gone = stage.server.member("gerda_gave_back").await;
    let given = stage.order(&gone, &[(kind, 1)], false).await;
    let back = format!("/orders/{}/refunds", given.expect(201).id());
    keyed(&stage.olga, &back, json!({})).await.expect(201);
    let stranger = stage.server.member("stan_was_never_there").await;
    stage
        .run(format!(
            "set session_replication_role = replica; update app.events set visibility = 'unlisted' where id = '{}'",
            stage.event
        ))
        .await;
    let event = format!("/events/{}", stage.event);
    let sees = async |member: &Member, status: u16| {
        member.client.get(&event).await.expect(status);
    };
    sees(guest, 200).await;
    sees(&gone, 404).await;
    sees(&stranger, 404).await;

    stage.cancel_event().await;
    stage.server.settled().await;
    let tickets = format!("/orders/{order}/tickets?expand=event");
    let tickets = guest.client.get(&tickets).await.expect(200).json;
    for ticket in tickets["data"].as_array().expect("tickets") {
        assert_eq!(ticket["state"], "void");
        assert_eq!(ticket["event"]["state"], "cancelled");
    }
    let shown = format!("/orders/{order}?expand=event");
    let shown = guest.client.get(&shown).await.expect(200).json;
    assert!(shown["event"]["title"].is_string(), "{shown}");
    sees(guest, 200).await;
    sees(&gone, 200).await;
    sees(&stranger, 404).await;
    stage.server.client.get(&event).await.expect(404);
    // The address of a stream is for guests only, and nobody is one any more.
    let shown = guest.client.get(&event).await.expect(200).json;
    assert!(shown.get("online_url").is_none(), "{shown}");
}
