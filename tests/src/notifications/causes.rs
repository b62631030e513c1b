//! Every message has its causes, each of which notifies the right members and nobody else.

mod case;
mod ends;
mod events;
mod often;
mod people;
mod stop;
mod trade;
mod world;

use super::stage::Guests;
use crate::support::{model, rows};
use case::{Case, fits};
use codegen::model::Ty;
use kernel::messages::Piece;
use serde_json::json;
use std::collections::BTreeSet;
use world::World;

const TABLE: [&[Case]; 3] = [people::CASES, events::CASES, trade::CASES];

/// Messages without a case in the tables.
fn without_a_case<'a>(cases: impl Iterator<Item = &'a Case>) -> Vec<&'static str> {
    let there: BTreeSet<&str> = cases.map(|case| case.message).collect();
    let all = generated::messages::MESSAGES.iter().map(|one| one.name);
    all.filter(|name| !there.contains(name)).collect()
}

/// Every message must have a case: a line in one of the tables that shows what causes it.
#[test]
fn no7_every_message_has_a_case() {
    let all = || TABLE.into_iter().flatten();
    assert_eq!(without_a_case(all()), Vec::<&str>::new());
    let others = all().filter(|case| case.message != "order_paid");
    assert_eq!(without_a_case(others), ["order_paid"]);
}

#[test]
fn a_text_with_a_hole_is_noticed() {
    let pieces = [
        Piece::Text("For "),
        Piece::Value("amount"),
        Piece::Text("."),
    ];
    assert!(fits(&pieces, "For AUD 4.50."));
    for spoiled in ["For .", "For AUD 4.50", "AUD 4.50.", ""] {
        assert!(!fits(&pieces, spoiled), "{spoiled}");
    }
}

async fn hold(cases: &[Case]) {
    let world = World::new().await;
    for case in cases {
        case.holds(&world).await;
    }
    stop::hold(&world).await;
}

#[tokio::test]
async fn no1_people_and_cities_are_causes() {
    hold(people::CASES).await;
}

#[tokio::test]
async fn no1_events_and_tickets_are_causes() {
    hold(events::CASES).await;
}

#[tokio::test]
async fn no1_trade_and_accounts_are_causes() {
    hold(trade::CASES).await;
}

/// The list of types exists three times and must be the same: in the table, in preferences and in the messages.
#[test]
fn the_types_of_the_table_are_those_of_the_messages() {
    let types: BTreeSet<&str> = generated::messages::TYPES
        .iter()
        .map(|ty| ty.name)
        .collect();
    let listed = |entity: &str| -> BTreeSet<String> {
        let (_, entity) = model().entity(entity).expect("an entity");
        let field = entity
            .fields
            .iter()
            .find(|field| field.name == "type")
            .expect("a type");
        match &field.ty {
            Ty::Enum { values, .. } => values.iter().map(|value| value.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    };
    let own = |names: BTreeSet<String>| {
        names
            .iter()
            .filter(|name| *name != "all")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        own(listed("notification")),
        types
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        listed("notification"),
        own(listed("notification_preference")).into_iter().collect()
    );
}

#[tokio::test]
async fn followers_hear_of_a_new_event_and_guests_of_every_change() {
    let guests = Guests::new().await;
    let follower = guests.follower("fay_follows").await;
    let private = guests.follower("fox_follows").await;
    let stranger = guests.server.member("flo_does_not").await;
    let guest = guests.guest("gus_goes").await;
    let city = guests.server.city("melbourne").await;
    let host = rows::host_of(&guests.server, guests.olga.id, city).await;
    let event = |title: &str, visibility: &str| {
        json!({"title": title, "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "organization", "host_id": host, "city_id": city, "visibility": visibility})
    };
    for (title, visibility) in [("A new night", "public"), ("A secret night", "unlisted")] {
        let made = guests
            .olga
            .client
            .post("/events", event(title, visibility))
            .await
            .expect(201);
        let publish = format!("/events/{}/publish", made.id());
        guests.olga.client.act(&publish).await.expect(200);
    }
    guests.server.settled().await;
    for member in [&follower, &private] {
        let told = guests.told(member).await;
        assert_eq!(
            told,
            [("event_published".to_owned(), "New: A new night".to_owned())]
        );
    }
    assert_eq!(guests.names(&stranger).await, Vec::<String>::new());
    // Olga administers the host, but caused it herself.
    assert!(
        !guests
            .names(&guests.olga)
            .await
            .contains(&"event_published".to_owned())
    );
    // An event that was unlisted is new to followers when it is listed, once.
    let secret = guests
        .one("select id::text from app.events where title = 'A secret night'")
        .await;
    let path = format!("/events/{secret}");
    for visibility in ["public", "unlisted", "public"] {
        let etag = guests.olga.client.get(&path).await.expect(200).etag();
        let body = json!({"visibility": visibility});
        let changed = guests.olga.client.patch(&path, &etag, body).await;
        changed.expect(200);
        guests.server.settled().await;
        let names = guests.names(&follower).await;
        assert_eq!(
            names,
            ["event_published", "event_published"],
            "{visibility}"
        );
    }
    assert!(guests.names(&stranger).await.is_empty());
    // Guests are not notified of a change that doesn't concern them.
    guests
        .change(json!({"description": "Doors open at six"}))
        .await;
    assert_eq!(guests.names(&guest).await, ["order_paid"]);
    guests
        .change(json!({"starts_at": "2041-05-01T18:15:00Z", "title": "A fuller house"}))
        .await;
    let told = guests.told(&guest).await;
    assert_eq!(
        told[1],
        (
            "event_moved".to_owned(),
            "New time: A fuller house".to_owned()
        )
    );
    let data = guests.count(&format!("select count(*) from app.notifications where event_id = '{0}' and data ->> 'event' = '{0}'", guests.event)).await;
    assert_eq!(data, 2, "the receipt and the change lead to the event");
}

#[tokio::test]
async fn people_hear_of_people() {
    let guests = Guests::new().await;
    let (ada, bea) = (
        guests.server.member("ada").await,
        guests.server.member("bea").await,
    );
    let city = guests.server.city("melbourne").await;
    let host = rows::host_of(&guests.server, guests.olga.id, city).await;
    let follow = |ty: &str, id| json!({"entity_type": ty, "entity_id": id});
    ada.client
        .post("/follows", follow("user", bea.id))
        .await
        .expect(201);
    ada.client
        .post("/follows", follow("organization", host))
        .await
        .expect(201);
    let body = json!({"entity_type": "organization", "entity_id": host, "rating": 4, "comment": "Good sound"});
    let review = ada.client.post("/reviews", body).await.expect(201);
    guests.server.settled().await;
    assert_eq!(
        guests.told(&bea).await,
        [("followed_you".to_owned(), "ada follows you".to_owned())]
    );
    let names = guests.names(&guests.olga).await;
    assert!(
        ["followed_profile", "reviewed"]
            .iter()
            .all(|name| names.contains(&(*name).to_owned())),
        "{names:?}"
    );
    let path = format!("/reviews/{}", review.id());
    let etag = guests.olga.client.get(&path).await.expect(200).etag();
    guests
        .olga
        .client
        .patch(&path, &etag, json!({"reply": "Thank you"}))
        .await
        .expect(200);
    guests.server.settled().await;
    assert_eq!(guests.names(&ada).await, ["review_answered"]);
    // Members who are hidden are not mentioned to anybody.
    let shy = guests.server.member("shy").await;
    guests
        .run(&format!(
            "update app.users set is_public = false where id = '{}'",
            shy.id
        ))
        .await;
    shy.client
        .post("/follows", follow("user", bea.id))
        .await
        .expect(201);
    guests.server.settled().await;
    assert_eq!(guests.names(&bea).await, ["followed_you"]);
}

#[tokio::test]
async fn the_account_tells_of_a_new_sign_in_and_a_new_password() {
    use crate::support::people::{PASSWORD, sign_in, sign_up};
    let guests = Guests::new().await;
    sign_up(&guests.server, "sid_signs").await;
    let first = sign_in(&guests.server.client, "sid_signs", PASSWORD)
        .await
        .expect(200);
    guests.server.settled().await;
    let told = "select count(*) from app.notifications where type = 'security'";
    assert_eq!(guests.count(told).await, 0, "nobody can be notified");
    sign_in(&guests.server.client, "sid_signs", PASSWORD)
        .await
        .expect(200);
    guests.server.settled().await;
    assert_eq!(guests.count(told).await, 0, "the same device");
    guests
        .run("update app.sessions set user_agent = 'another one'")
        .await;
    sign_in(&guests.server.client, "sid_signs", PASSWORD)
        .await
        .expect(200);
    guests.server.settled().await;
    assert_eq!(guests.count(told).await, 1);
    let token = first.json["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let client = guests.server.client.with_token(token);
    let body = json!({"current_password": PASSWORD, "password": "eight small elephants"});
    client
        .send(reqwest::Method::PUT, "/me/password", Some(body), &[])
        .await
        .expect(204);
    guests.server.settled().await;
    assert_eq!(guests.count(told).await, 2);
}
