//! One member's way through everything that tells them something: a venue that is followed, an event that is announced, a
//! picture, a like that trends, a calendar, a purchase, and the reminder a day before, in the app, by push and by mail.

use crate::{
    money::stage::{Stage, keyed},
    support::{events::ENDLESS, pictures, rows},
};
use kernel::messages::Channel;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

#[tokio::test]
async fn from_a_venue_that_is_followed_to_the_reminder() {
    let stage = Stage::changed(true, |parts| {
        let notifications = &mut parts.modules.notifications;
        notifications.notifications_digest_minutes = 0;
        notifications.notifications_stream_pause_ms = 50;
    })
    .await;
    let server = &stage.server;
    let fay = server.member("fay_goes_out").await;
    let device = json!({"platform": "android", "push_token": "the-token-of-fay"});
    fay.client.post("/devices", device).await.expect(201);
    let city = server.city("melbourne").await;
    let host = rows::host_of(server, stage.olga.id, city).await;
    let venue = json!({"name": "The Lantern", "city_id": city, "address": "1 Lane", "location": {"lat": -37.81, "lng": 144.96}, "owner_type": "organization", "owner_id": host});
    let venue = stage
        .olga
        .client
        .post("/venues", venue)
        .await
        .expect(201)
        .id();
    let followed = format!("/venues/{venue}/follow");
    fay.client
        .send(Method::PUT, &followed, None, &[])
        .await
        .expect(201);
    let mut listening = fay.client.listen(ENDLESS, None).await;
    listening.expect("ready").await;
    listening.batch().await;

    // Announced: told at once where she listens, and in the list.
    let event = json!({"title": "Night of lanterns", "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": host, "city_id": city, "venue_id": venue});
    let event = stage
        .olga
        .client
        .post("/events", event)
        .await
        .expect(201)
        .id();
    let picture = pictures::jpeg(640, 480, 7);
    let picture = pictures::uploaded(server, &stage.olga, "event", &event, &picture).await;
    let kind = json!({"event_id": event, "name": "Seat", "price_cents": 2_500, "currency": "AUD", "capacity": 20});
    let kind = stage
        .olga
        .client
        .post("/ticket-types", kind)
        .await
        .expect(201)
        .id();
    let path = format!("/events/{event}");
    stage
        .olga
        .client
        .act(&format!("{path}/publish"))
        .await
        .expect(200);
    assert_eq!(listening.batch().await.0, ["New: Night of lanterns"]);

    // The picture is there for everybody, in a form that was made here.
    let gallery = server
        .client
        .get(&format!("{path}/media"))
        .await
        .expect(200);
    assert_eq!(gallery.json["data"][0]["id"], picture["id"]);
    let (status, _, bytes) =
        pictures::file(server, picture["small_url"].as_str().expect("an address")).await;
    assert_eq!((status, bytes.is_empty()), (200, false));

    // A like brings it into what trends in the city.
    fay.client
        .send(Method::PUT, &format!("{path}/like"), None, &[])
        .await
        .expect(201);
    server.settled().await;
    server
        .built
        .app
        .modules
        .trending
        .rank()
        .await
        .expect("ranked");
    let trending = server
        .client
        .get(&format!("/events/trending?city_id={city}&limit=100"))
        .await
        .expect(200);
    let events = trending.json["data"].as_array().expect("a list");
    assert!(
        events.iter().any(|one| one["id"] == json!(event)),
        "{}",
        trending.text
    );

    // Her calendar has it, by an address that any program reads.
    let feed = fay.client.act("/me/calendar-feed").await.expect(201);
    let feed = feed.json["url"].as_str().expect("an address").to_owned();
    let (status, headers, calendar) = pictures::file(server, &feed).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (
            200,
            &"text/calendar; charset=utf-8".parse().expect("a type")
        )
    );
    assert!(
        String::from_utf8(calendar)
            .expect("UTF-8")
            .contains("SUMMARY:Night of lanterns")
    );

    // Bought by card.
    let cart = json!({"event_id": event, "items": [{"ticket_type_id": kind, "quantity": 1}]});
    let order = keyed(&fay, "/orders", cart).await.expect(201).id();
    stage.pay(&fay, &order, json!({})).await;
    stage.confirm(&order, "pm_card_visa").await;
    stage.paid(&order).await;
    server.settled().await;
    let mut told = listening.batch().await.0;
    assert_eq!(told.len(), 1, "the receipt: {told:?}");

    // A day before, on all ways.
    let begins = format!(
        "set session_replication_role = replica;
         update app.events set starts_at = now() + interval '1439 minutes', ends_at = now() + interval '1500 minutes' where id = '{event}'"
    );
    sqlx::raw_sql(AssertSqlSafe(begins))
        .execute(&mut server.superuser().await)
        .await
        .expect("another time");
    let notifications = &server.built.app.modules.notifications;
    notifications.remind().await.expect("reminded");
    told = listening.batch().await.0;
    assert_eq!(told, ["Night of lanterns is coming up"]);
    server.settled().await;
    for channel in [Channel::Push, Channel::Email] {
        notifications.dispatch(channel).await.expect("sent");
    }
    let pushed: Vec<String> = server
        .pusher
        .all()
        .iter()
        .filter(|push| push.token.expose_secret() == "the-token-of-fay")
        .map(|push| push.title.clone())
        .collect();
    let mailed: Vec<String> = server
        .mailer
        .all_to("fay_goes_out@example.org")
        .iter()
        .map(|mail| mail.subject.clone())
        .collect();
    for told in [&pushed, &mailed] {
        for title in ["New: Night of lanterns", "Night of lanterns is coming up"] {
            assert_eq!(
                told.iter().filter(|one| *one == title).count(),
                1,
                "{title}: {told:?}"
            );
        }
    }

    // Seen on one page: what is next, what is new, what is unread.
    let home = fay.client.get("/me/home").await.expect(200).json;
    assert_eq!(home["unread_notifications"], json!(3), "{home}");
    let listed: Value = fay.client.get("/notifications").await.expect(200).json;
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(3));
}
