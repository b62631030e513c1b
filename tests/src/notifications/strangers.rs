//! What members are told in connection with hosts and venues that they know nothing of, or that nobody may see.

use super::{deliveries::keep_workers_away, stage::Guests};
use crate::support::{Member, rows};
use chrono::{Duration, Utc};
use serde_json::json;
use uuid::Uuid;

impl Guests {
    async fn host(&self) -> Uuid {
        let city = self.server.city("melbourne").await;
        rows::host_of(&self.server, self.olga.id, city).await
    }

    async fn venue(&self, owner: &str, id: Uuid) -> Uuid {
        let venue = self
            .one(&format!(
                "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
                 select e.city_id, '{owner}', '{id}', 'The cellar', '13 Hidden Lane', public.st_makepoint(144.96, -37.81)::public.geography
                 from app.events e where e.id = '{}' returning id::text",
                self.event
            ))
            .await;
        venue.parse().expect("an id")
    }

    /// Publishes an event of the host, a type and an id, at the venue.
    async fn publish(&self, by: &Member, host: (&str, &str), venue: Uuid) {
        let body = json!({"title": "Cheap pills", "starts_at": Utc::now() + Duration::days(9), "ends_at": Utc::now() + Duration::days(10),
            "timezone": "UTC", "host_type": host.0, "host_id": host.1, "city_id": self.server.city("melbourne").await, "venue_id": venue});
        let event = by.client.post("/events", body).await.expect(201).id();
        let publish = format!("/events/{event}/publish");
        by.client.act(&publish).await.expect(200);
        self.server.settled().await;
    }
}

/// Whoever follows a venue hears of its owner's events, and of those of hosts that may write to their guests; not of those
/// of a community that anybody has founded a minute ago.
#[tokio::test]
async fn no2_followers_of_a_venue_are_not_written_to_by_strangers() {
    let guests = Guests::new().await;
    let host = guests.host().await;
    let venue = guests.venue("organization", host).await;
    let fan = guests.server.member("fan_of_the_venue").await;
    let follow = json!({"entity_type": "venue", "entity_id": venue});
    fan.client.post("/follows", follow).await.expect(201);
    let spike = guests.server.member("spike_spams").await;
    let city = guests.server.city("melbourne").await;
    let club = json!({"name": "A club of a minute ago", "city_id": city});
    let club = spike.client.post("/communities", club).await;
    let club = club.expect(201).id();
    let feed = async || {
        let page = fan.client.get("/me/feed").await.expect(200).json;
        page["data"].as_array().expect("events").len()
    };
    guests.publish(&spike, ("community", &club), venue).await;
    assert!(guests.names(&fan).await.is_empty());
    assert_eq!(feed().await, 0);
    let rank =
        format!("select count(*) from app.followed_events('{venue}', now() + interval '1 minute')");
    assert_eq!(guests.count(&rank).await, 0);

    // The controls: the owner of the venue, and a community that the city has verified.
    let olga = &guests.olga;
    let owner = host.to_string();
    guests.publish(olga, ("organization", &owner), venue).await;
    assert_eq!(guests.names(&fan).await, ["event_published"]);
    assert_eq!((feed().await, guests.count(&rank).await), (1, 1));
    guests
        .run(&format!(
            "set session_replication_role = replica; update app.communities set verified = true where id = '{club}'"
        ))
        .await;
    guests.publish(&spike, ("community", &club), venue).await;
    assert_eq!(guests.names(&fan).await, ["event_published"; 2]);
    assert_eq!(feed().await, 2);
}

/// Guests who may not see the venue are told the city; the place where a private community meets is its members' secret.
#[tokio::test]
async fn no2_a_place_that_not_everybody_may_see_is_not_named() {
    let guests = Guests::new().await;
    let gil = guests.guest("gil_is_a_guest").await;
    let club = guests
        .one(&format!(
            "insert into app.communities (city_id, name, visibility)
             select city_id, 'Choir', 'private' from app.events where id = '{}' returning id::text",
            guests.event
        ))
        .await;
    let id: Uuid = club.parse().expect("an id");
    let venue = guests.venue("community", id).await;
    let scope = Some(("community", id));
    guests.server.grant(&guests.olga, "orgAdmin", scope).await;
    let said = format!(
        "select count(*) from app.notifications where user_id = '{}' and message like '%Hidden Lane%'",
        gil.id
    );
    let elsewhere = async |names: usize| {
        guests.change(json!({"venue_id": null})).await;
        guests
            .run("delete from app.notification_deliveries; delete from app.notifications")
            .await;
        guests.change(json!({"venue_id": venue})).await;
        assert_eq!(guests.names(&gil).await, ["event_elsewhere"]);
        guests.begins_in(23 * 60).await;
        guests.module().remind().await.expect("a look");
        assert_eq!(guests.names(&gil).await, ["event_elsewhere", "event_soon"]);
        assert_eq!(guests.count(&said).await, names as i64);
    };
    elsewhere(0).await;
    guests.begins_in(72 * 60).await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.communities set visibility = 'public' where id = '{club}'; delete from app.event_schedules"
        ))
        .await;
    elsewhere(2).await;
}

/// What a host that the city has suspended changes reaches nobody.
#[tokio::test]
async fn no2_guests_are_not_written_to_by_a_suspended_host() {
    let guests = Guests::new().await;
    let gil = guests.guest("gil_is_a_guest").await;
    let host = guests.host().await;
    let set = |status: &str| {
        format!(
            "set session_replication_role = replica; update app.organizations set status = '{status}' where id = '{host}'"
        )
    };
    let move_to = async |days: i64| {
        let (starts, ends) = (Duration::days(days), Duration::days(days + 1));
        guests
            .change(json!({"title": "Watches", "starts_at": Utc::now() + starts, "ends_at": Utc::now() + ends}))
            .await;
    };
    guests.run(&set("suspended")).await;
    move_to(20).await;
    assert_eq!(guests.names(&gil).await, ["order_paid"]);
    guests.run(&set("active")).await;
    keep_workers_away(&guests).await;
    move_to(21).await;
    assert_eq!(guests.names(&gil).await, ["order_paid", "event_moved"]);
    // It is suspended while push and mail wait.
    guests.run(&set("suspended")).await;
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    for (channel, state) in guests.deliveries(&gil, "event_moved").await {
        assert_eq!(state, "dropped", "{channel}");
    }
}
