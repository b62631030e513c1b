//! The number of round trips of a request of the shipped server to the database.

use super::proxy::Proxy;
use crate::support::{Answer, Client, TestServer, database::Content, rows};
use serde_json::json;
use server::seed::demo::PEOPLE;
use std::time::Duration;
use uuid::Uuid;

/// The ping with which the pool takes a connection back comes in addition, after the answer.
pub const PING: u32 = 1;

pub async fn server() -> (TestServer, Proxy) {
    let mut proxy = None;
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.db.connections = 1;
        parts.db.job_connections = 1;
        proxy = Some(Proxy::before(parts));
    })
    .await;
    (server, proxy.expect("set above"))
}

/// The round trips of a successful request, without the ping.
async fn trips(proxy: &Proxy, what: &str, request: impl Future<Output = Answer>) -> u32 {
    settled(proxy).await;
    let before = proxy.trips();
    let answer = request.await;
    assert!(answer.status.is_success(), "{what}: {}", answer.text);
    settled(proxy).await - before - PING
}

/// Waits for the ping, after which nothing more is sent.
pub async fn settled(proxy: &Proxy) -> u32 {
    let mut last = proxy.trips();
    loop {
        tokio::time::sleep(Duration::from_millis(15)).await;
        match proxy.trips() {
            same if same == last => return same,
            more => last = more,
        }
    }
}

/// For every entity: one round trip for a read, as a member and anonymously, and one for a change. Four (context,
/// statement, the answer, commit) if the answer is read again because the entity has columns with a read rule.
#[tokio::test]
async fn trips_of_every_entity_are_as_few_as_they_can_be() {
    let (server, proxy) = server().await;
    let mut conn = server.superuser().await;
    let people = rows::people(&mut conn).await;
    let mut members = Vec::new();
    for person in &people[..6] {
        members.push(server.sign_in(*person).await.client);
    }
    let mut counted = [0; 3];
    for resource in crate::support::resources().values() {
        let path = format!("/{}", resource.path);
        // Not every entity has routes, and not every list is public.
        if server.client.get(&path).await.status == 200 {
            let list = trips(&proxy, &path, server.client.get(&path)).await;
            assert_eq!(list, 1, "{path} by strangers");
            counted[0] += 1;
        }
        let Some((client, id)) = reader(&members, &path).await else {
            continue;
        };
        let one = format!("{path}/{id}");
        // The first request prepares the statement.
        client.get(&one).await.expect(200);
        assert_eq!(
            trips(&proxy, &one, client.get(&one)).await,
            1,
            "{one} by a member"
        );
        assert_eq!(
            trips(&proxy, &path, client.get(&path)).await,
            1,
            "{path} by a member"
        );
        counted[1] += 1;

        let right = rows::who_may(&server.database, &people[..14], resource, "update").await;
        let (Some(right), true) = (right, !resource.hooks.contains(&"update")) else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let one = format!("{path}/{}", right.row);
        let mut tag = client.get(&one).await.etag();
        for round in ["prepares", "counts"] {
            settled(&proxy).await;
            let before = proxy.trips();
            let answer = client.patch(&one, &tag, json!({})).await.expect(200);
            tag = answer.etag();
            let trips = settled(&proxy).await - before - PING;
            let most = if resource.guarded { 4 } else { 1 };
            assert!(
                round == "prepares" || trips == most,
                "PATCH {one}: {trips} trips, not {most}"
            );
        }
        counted[2] += 1;
    }
    assert!(
        counted[0] > 15 && counted[1] > 20 && counted[2] > 15,
        "{counted:?}"
    );
    super::plans::nothing_is_read_before_the_caller_is_known(
        &server.database,
        &proxy.take_prepared(),
    )
    .await;
}

/// A member who sees some object of the list, and the object's path.
async fn reader<'a>(members: &'a [Client], path: &str) -> Option<(&'a Client, String)> {
    for client in members {
        let list = client.get(path).await;
        if let Some(id) = list.json["data"][0]["id"].as_str() {
            return Some((client, id.to_owned()));
        }
    }
    None
}

#[tokio::test]
async fn trips_of_the_usual_requests() {
    let (server, proxy) = server().await;
    let olga = server.sign_in(PEOPLE[2].id).await.client;
    let city = server.city("melbourne").await;
    let events = format!("/events?city_id={city}");
    let name = |n: u32| json!({"city_id": city, "name": format!("Choir {n}")});
    for round in 0..2 {
        let counts = [
            (
                "filter",
                trips(&proxy, "filter", olga.get(&events)).await,
                1,
            ),
            (
                "expand",
                trips(&proxy, "expand", olga.get(&format!("{events}&expand=city"))).await,
                2,
            ),
            (
                "count",
                trips(&proxy, "count", olga.get(&format!("{events}&count=exact"))).await,
                2,
            ),
            (
                "create",
                trips(&proxy, "create", olga.post("/communities", name(round))).await,
                4,
            ),
        ];
        for (what, found, expected) in counts {
            assert!(
                round == 0 || found == expected,
                "{what}: {found}, not {expected}"
            );
        }
    }
    // An event with all its ticket types, and the answer with both: as many round trips for three types as for one.
    let tickets = |n: usize| -> Vec<_> {
        let ticket = |i: usize| json!({"name": format!("T{i}"), "price_cents": 100, "currency": "AUD", "capacity": 5});
        (0..n).map(ticket).collect()
    };
    let host = rows::host_of(&server, PEOPLE[2].id, city).await;
    let mut found = Vec::new();
    for n in [1, 3, 1, 3] {
        let body = json!({"title": "Many seats", "city_id": city, "host_type": "organization", "host_id": host,
            "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z", "timezone": "Australia/Melbourne",
            "ticket_types": tickets(n)});
        found.push(trips(&proxy, "create with", olga.post("/events", body)).await);
    }
    assert_eq!(
        found[2..],
        [5, 5],
        "begin, event, its ticket types, the answer, commit"
    );
    // Requests that the HTTP layer or the static bounds of the rules refuse never reach the database.
    settled(&proxy).await;
    let before = proxy.trips();
    server
        .client
        .post("/communities", name(9))
        .await
        .expect(401);
    server
        .client
        .with_token("nonsense")
        .get("/events")
        .await
        .expect(401);
    server.client.get("/nowhere").await.expect(404);
    server
        .client
        .get(&format!("/orders/{}", Uuid::now_v7()))
        .await
        .expect(401);
    assert_eq!(settled(&proxy).await, before);
}
