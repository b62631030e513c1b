//! Moderators who administer a profile themselves.

use super::moderated::{event, organization};
use crate::support::{Member, TestServer, is_new, model, pictures, root};
use serde_json::json;
use server::seed::demo::PEOPLE;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A moderator of a city who also administers a profile in it can't undo other moderators' decisions about that
/// profile, and can't moderate reviews of it. Tested for every entity that can be suspended.
#[tokio::test]
async fn nobody_moderates_what_is_their_own() {
    let server = TestServer::demo().await;
    let (carlo, paula) = (
        server.sign_in(PEOPLE[1].id).await,
        server.sign_in(PEOPLE[0].id).await,
    );
    let critic = server.member("critic").await;
    let other = server.member("other").await;
    let host = organization(&server, &other, "Run by the city's own").await;
    server
        .grant(&carlo, "orgAdmin", Some(("organization", host)))
        .await;
    let own = everything_of(&server, &other, &critic, host).await;
    let tried: BTreeSet<&str> = own.iter().map(|(entity, _)| *entity).collect();
    let moderated: BTreeSet<&str> = (model().entities.iter())
        .filter(|entity| entity.access.suspend.is_some() && entity.writable() && !is_new(entity))
        .map(|entity| entity.name.as_str())
        .collect();
    // Countries, cities and announcements are moderated by the platform, for members there are ranks, and businesses,
    // communities and institutions have literally the same rules as organizations.
    let elsewhere = [
        "broadcast",
        "business",
        "city",
        "community",
        "country",
        "institution",
        "promotion",
        "user",
        "grant_announcement",
    ];
    let missing: Vec<_> = moderated
        .difference(&tried)
        .filter(|name| !elsewhere.contains(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for profile in ["business", "community", "institution"] {
        let rules = |name: &str| {
            let text = spec_of(name);
            ["  moderates:", "  suspend:"].map(|key| {
                let line = text.lines().find(|line| line.starts_with(key));
                line.expect(key)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        };
        assert_eq!(rules(profile), rules("organization"), "{profile}");
    }
    for (entity, path) in &own {
        carlo
            .client
            .act(&format!("{path}/suspend"))
            .await
            .expect(403);
        paula
            .client
            .act(&format!("{path}/suspend"))
            .await
            .expect(200);
        carlo
            .client
            .act(&format!("{path}/unsuspend"))
            .await
            .expect(403);
        let seen = paula.client.get(path).await.expect(200);
        assert_eq!(seen.json["status"], "suspended", "{entity}");
        paula
            .client
            .act(&format!("{path}/unsuspend"))
            .await
            .expect(200);
    }
    // The negative control: another member's profile.
    let others = organization(&server, &other, "Run by somebody else").await;
    for (_, path) in everything_of(&server, &other, &critic, others).await {
        carlo
            .client
            .act(&format!("{path}/suspend"))
            .await
            .expect(200);
        carlo
            .client
            .act(&format!("{path}/unsuspend"))
            .await
            .expect(200);
    }
}

/// Nor can they suspend what promotes their own event or business, or see it while it is suspended. Negative control:
/// a city's administrator who does not administer the target can do both.
#[tokio::test]
async fn nobody_moderates_promotions_of_their_own() {
    let server = TestServer::demo().await;
    let (carlo, paula) = (
        server.sign_in(PEOPLE[1].id).await,
        server.sign_in(PEOPLE[0].id).await,
    );
    let other = server.member("other").await;
    let host = organization(&server, &other, "Run by somebody else").await;
    let event = event(&server, &other, host, "A night").await;
    let city = server.city("melbourne").await;
    let shop = json!({"city_id": city, "name": "A shop", "category": "venue_hire"});
    let shop = other.client.post("/businesses", shop).await.expect(201);
    let business: Uuid = shop.id().parse().expect("an id");
    carlo
        .client
        .act(&format!("/businesses/{business}/approve"))
        .await
        .expect(200);
    let event: Uuid = event
        .rsplit('/')
        .next()
        .and_then(|id| id.parse().ok())
        .expect("an id");
    for is_own in [false, true] {
        if is_own {
            for scope in [("organization", host), ("business", business)] {
                server.grant(&carlo, "orgAdmin", Some(scope)).await;
            }
        }
        for (kind, target) in [("event", event), ("business", business)] {
            let id: Uuid = sqlx::query_scalar(
                "insert into app.promotions (target_type, target_id, city_id, slot, starts_at, ends_at)
                 values ($1, $2, $3, 'home', now() + $4 * interval '1 day', now() + ($4 + 1) * interval '1 day') returning id",
            )
            .bind(kind)
            .bind(target)
            .bind(city.to_string().parse::<Uuid>().expect("an id"))
            .bind(if is_own { 5 } else { 1 })
            .fetch_one(&mut *server.superuser().await)
            .await
            .expect("a booking");
            let path = format!("/promotions/{id}");
            let suspend = format!("{path}/suspend");
            let answer = carlo.client.act(&suspend).await;
            answer.expect(if is_own { 403 } else { 200 });
            if is_own {
                paula.client.act(&suspend).await.expect(200);
            }
            paula.client.get(&path).await.expect(200);
            let seen = carlo.client.get(&path).await;
            seen.expect(if is_own { 404 } else { 200 });
        }
    }
}

fn spec_of(entity: &str) -> String {
    let path = root().join(format!("spec/entities/{entity}.yaml"));
    std::fs::read_to_string(path).expect("a spec file")
}

/// Creates one row of each kind that belongs to an organization, and returns entities and paths.
async fn everything_of(
    server: &TestServer,
    owner: &Member,
    critic: &Member,
    host: Uuid,
) -> Vec<(&'static str, String)> {
    let event = event(server, owner, host, "A night").await;
    let event_id = event.rsplit('/').next().expect("an id").to_owned();
    let venue = json!({"city_id": server.city("melbourne").await, "owner_type": "organization", "owner_id": host,
        "name": "A hall", "address": "1 Long Street", "location": {"lat": -37.8, "lng": 144.9}});
    let ticket = json!({"event_id": event_id, "name": "Standing", "price_cents": 1000, "currency": "AUD", "capacity": 10});
    let review = json!({"entity_type": "organization", "entity_id": host, "rating": 1});
    let mut found = vec![
        ("organization", format!("/organizations/{host}")),
        ("event", event),
    ];
    let picture = pictures::shown(server, owner, "event", &event_id).await;
    found.push(("media", format!("/media/{picture}")));
    for (entity, path, who, body) in [
        ("venue", "/venues", owner, venue),
        ("ticket_type", "/ticket-types", owner, ticket),
        ("review", "/reviews", critic, review),
    ] {
        let made = who.client.post(path, body).await.expect(201);
        found.push((entity, format!("{path}/{}", made.id())));
    }
    found
}
