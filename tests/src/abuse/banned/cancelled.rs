//! What somebody whom the community has banned still sees of its cancelled events.

use super::Circle;
use serde_json::json;

/// A cancelled event is shown to those who had a ticket, unless the community has banned them. Negative control: Eve, who
/// has not been banned, sees it, although it is unlisted.
#[tokio::test]
async fn a_ban_hides_a_cancelled_event_from_those_who_had_tickets() {
    let circle = Circle::new("community", 9).await;
    let (ben, bens) = circle.member("ben_who_had_a_ticket").await;
    let (eve, _) = circle.member("eve_who_had_a_ticket").await;
    circle.buy(&ben).await.expect(201);
    circle.buy(&eve).await.expect(201);
    circle
        .run(&format!(
            "update app.events set visibility = 'unlisted' where id = '{}'",
            circle.event
        ))
        .await;
    circle.ban(&bens).await;
    let event = format!("/events/{}", circle.event);
    for member in [&ben, &eve] {
        member.client.get(&event).await.expect(200);
    }
    let cancel = format!("{event}/cancel");
    let reason = json!({"reason": "The hall is under water."});
    let cancelled = circle.stage.olga.client.post(&cancel, reason).await;
    cancelled.expect(200);
    circle.stage.server.settled().await;
    ben.client.get(&event).await.expect(404);
    eve.client.get(&event).await.expect(200);
}
