//! Combined filters: of the generated list, and of events with tickets left.

use super::{event, told, venue};
use crate::{
    support::Client,
    trending::stage::{Stage, ids, walk},
};
use serde_json::json;
use uuid::Uuid;

async fn listed(client: &Client, path: &str) -> Vec<Uuid> {
    ids(&client.get(path).await.expect(200).json)
}

/// A ticket type; `more` contains further assignments of columns.
async fn tickets(stage: &Stage, event: Uuid, cents: i64, more: &str) {
    let more = if more.is_empty() { "name = name" } else { more };
    stage
        .sql(format!(
            "insert into app.ticket_types (event_id, name, price_cents, currency, capacity) values ('{event}', 'T{cents}', {cents}, 'AUD', 10);
             set session_replication_role = replica;
             update app.ticket_types set {more} where event_id = '{event}' and name = 'T{cents}'"
        ))
        .await;
}

fn at(days: i32) -> String {
    format!(
        "starts_at = now() + interval '{days} days', ends_at = now() + interval '{days} days 2 hours'"
    )
}

#[tokio::test]
async fn se4_city_time_category_box_and_words_go_together() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let hall = venue(&stage, "Hall", "").await;
    let good = format!("{}, category = 'concert', venue_id = '{hall}'", at(5));
    let wanted = event(&stage, "Jazz night", &good).await;
    let other = stage.server.city("auckland").await;
    for (title, more) in [
        ("Tango night", good.clone()),
        ("Jazz talk", good.replace("concert", "talk")),
        (
            "Jazz later",
            format!(
                "{good}, {}",
                "starts_at = now() + interval '50 days', ends_at = now() + interval '51 days'"
            )
            .replacen(&at(5), "slug = slug", 1),
        ),
        (
            "Jazz elsewhere",
            good.replace(
                &format!("venue_id = '{hall}'"),
                "location = 'SRID=4326;POINT(10 10)'",
            ),
        ),
    ] {
        event(&stage, title, &more).await;
    }
    let day = |days: i64| (chrono::Utc::now() + chrono::TimeDelta::days(days)).date_naive();
    let (from, to) = (day(1), day(20));
    let city = stage.city;
    let bbox = "144.9,-37.9,145.1,-37.7";
    let all = format!(
        "/events?city_id={city}&starts_at.gte={from}&starts_at.lte={to}&category=concert&bbox={bbox}&q=jaz&sort=starts_at"
    );
    assert_eq!(listed(client, &all).await, [wanted]);
    let upcoming = format!(
        "/events/upcoming?city_id={city}&from={from}&to={to}&category=concert&bbox={bbox}&q=jaz"
    );
    assert_eq!(listed(client, &upcoming).await, [wanted]);
    // Each filter excludes something.
    for part in [
        format!("from={from}&to={to}&"),
        "&category=concert".to_owned(),
        format!("&bbox={bbox}"),
        "&q=jaz".to_owned(),
    ] {
        let fewer = upcoming.replace(&part, "");
        assert_eq!(listed(client, &fewer).await.len(), 2, "without {part}");
    }
    for path in [&all, &upcoming] {
        let path = path.replace(&city.to_string(), &other.to_string());
        assert_eq!(listed(client, &path).await, [] as [Uuid; 0]);
    }
}

#[tokio::test]
async fn se4_prices_and_places_that_are_left() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let made = async |days: i32, title: &str| event(&stage, title, &at(days)).await;
    let free = made(1, "Free").await;
    tickets(&stage, free, 0, "").await;
    let cheap = made(2, "Cheap").await;
    tickets(&stage, cheap, 1_500, "").await;
    tickets(&stage, cheap, 9_000, "").await;
    let dear = made(3, "Dear").await;
    tickets(&stage, dear, 5_000, "").await;
    let scarce = made(4, "Scarce").await;
    tickets(&stage, scarce, 0, "held = 3, sold = 5").await;
    let gone = made(5, "Sold out").await;
    tickets(&stage, gone, 0, "sold = 10").await;
    let full = event(
        &stage,
        "Its hall is full",
        &format!("{}, capacity = 4", at(6)),
    )
    .await;
    tickets(&stage, full, 0, "held = 4").await;
    let early = made(7, "Not yet on sale").await;
    tickets(&stage, early, 0, "sales_start = now() + interval '1 day'").await;
    let late = made(8, "No longer on sale").await;
    tickets(&stage, late, 0, "sales_end = now() - interval '1 day'").await;
    let withdrawn = made(9, "Withdrawn").await;
    tickets(&stage, withdrawn, 0, "status = 'archived', live_key = null").await;
    let none = made(10, "Without tickets").await;

    let found = async |query: &str| listed(client, &format!("/events/upcoming?{query}")).await;
    let all = [
        free, cheap, dear, scarce, gone, full, early, late, withdrawn, none,
    ];
    assert_eq!(found("").await, all);
    // Free tickets, whether or not any are left.
    assert_eq!(found("max_price_cents=0").await, [free, scarce, gone, full]);
    assert_eq!(
        found("max_price_cents=0&open_seats=1").await,
        [free, scarce]
    );
    assert_eq!(found("max_price_cents=0&open_seats=3").await, [free]);
    assert_eq!(
        found("max_price_cents=2000&currency=AUD&open_seats=2").await,
        [free, cheap, scarce]
    );
    assert_eq!(
        found("max_price_cents=2000&currency=%20aud&open_seats=2").await,
        [free, cheap, scarce]
    );
    assert_eq!(
        found("max_price_cents=5000&currency=EUR").await,
        [] as [Uuid; 0]
    );
    assert_eq!(found("open_seats=10").await, [free, cheap, dear]);
    assert_eq!(found("open_seats=11").await, [] as [Uuid; 0]);
    let city = format!(
        "city_id={}&max_price_cents=0&open_seats=1&q=free",
        stage.city
    );
    assert_eq!(found(&city).await, [free]);

    for (query, parameter) in [
        ("max_price_cents=-1", "max_price_cents"),
        ("max_price_cents=100", "currency"),
        ("max_price_cents=x", "max_price_cents"),
        ("max_price_cents=100&currency=ABC", "currency"),
        ("max_price_cents=100&currency=AUDX", "currency"),
        ("open_seats=0", "open_seats"),
        ("open_seats=1001", "open_seats"),
        ("category=nothing", "category"),
        ("sort=title", "sort"),
        ("state=draft", "state"),
    ] {
        let refused = client
            .get(&format!("/events/upcoming?{query}"))
            .await
            .expect(422);
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
    // What was sent is named, not the order that it would have led to.
    let near = client.get("/events/upcoming?near=1,2").await.expect(422);
    assert_eq!(
        near.json["errors"],
        json!([{
            "parameter": "near",
            "code": "unknown",
            "detail": "This list has no `near`; give a box with `bbox`."
        }])
    );
    // All errors at once: invalid numbers, contradictions, unknown parameters.
    let wrong = "category=nothing&max_price_cents=-1&currency=&open_seats=0&from=soon&sort=title&x=1&cursor=nonsense";
    assert_eq!(
        told(client, &format!("/events/upcoming?{wrong}")).await,
        [
            "category choice",
            "currency format",
            "from format",
            "max_price_cents range",
            "open_seats range",
            "sort unknown",
            "x unknown",
        ]
    );
    assert_eq!(
        told(client, "/events/upcoming?max_price_cents=5&open_seats=1001").await,
        ["currency required", "open_seats range"]
    );
}

#[tokio::test]
async fn se4_pages_go_on_where_they_ended_and_hold_what_the_reader_may_see() {
    let stage = Stage::new().await;
    let mira = stage.server.member("inner_member").await;
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name) values ('{}', 'Choir') returning id",
            stage.city
        ))
        .await;
    stage
        .sql(format!(
            "insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active')",
            mira.id
        ))
        .await;
    // Several begin at the same time; every second one is for members only.
    let mut all: Vec<Uuid> = stage
        .all(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state, visibility)
             select '{}', 'community', '{community}', 'Song ' || n, date_trunc('day', now()) + n / 4 * interval '1 hour' + interval '5 days',
                    now() + interval '9 days', 'UTC', 'published', case n % 2 when 0 then 'public' else 'community' end
             from generate_series(0, 29) n returning id",
            stage.city
        ))
        .await;
    // Half of them have a location of their own, the others are at a venue.
    let hall = venue(&stage, "Hall", "").await;
    stage
        .sql(format!(
            "update app.events set location = 'SRID=4326;POINT(145 -37.9)' where community_id = '{community}' and title < 'Song 2';
             update app.events set venue_id = '{hall}' where community_id = '{community}' and title >= 'Song 2'"
        ).replace("community_id", "host_community_id"))
        .await;
    let public: Vec<Uuid> = all.iter().step_by(2).copied().collect();
    for at_once in all.chunks_mut(4) {
        at_once.sort_unstable();
    }
    let public: Vec<Uuid> = (all.iter().copied())
        .filter(|id| public.contains(id))
        .collect();
    for query in [
        String::new(),
        format!("city_id={}&", stage.city),
        "q=song&".to_owned(),
        "bbox=144,-38,146,-37&".to_owned(),
        "bbox=144,-38,146,-37&q=song&".to_owned(),
    ] {
        let path = format!("/events/upcoming?{query}limit=4");
        let strangers = walk(&stage.server.client, &path, async || {}).await;
        assert_eq!(strangers, public, "{path}");
        assert_eq!(walk(&mira.client, &path, async || {}).await, all, "{path}");
    }
    // A cursor is only valid for its list and its reader.
    let page = mira.client.get("/events/upcoming?limit=4").await.json;
    let cursor = page["next_cursor"].as_str().expect("another page");
    let other = format!("/events/upcoming?limit=4&q=song&cursor={cursor}");
    mira.client.get(&other).await.expect(400);
    let theirs = format!("/events/upcoming?limit=4&cursor={cursor}");
    stage.server.client.get(&theirs).await.expect(400);
}

/// Their place is known to those who may see the venue, and to nobody else: an event of a private community that a
/// stranger may see is not found by the place of a venue that they may not see.
#[tokio::test]
async fn se4_events_at_a_members_venue_are_found_by_its_place() {
    let stage = Stage::new().await;
    let city = stage.city;
    let mira = stage.server.member("inner_member").await;
    let paul = stage.server.member("outer_member").await;
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name, visibility) values ('{city}', 'Choir', 'private') returning id"
        ))
        .await;
    stage
        .sql(format!(
            "insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active')",
            mira.id
        ))
        .await;
    let hall: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{city}', 'community', '{community}', 'Cellar', 'Below', 'SRID=4326;POINT(145.2 -37.9)') returning id"
        ))
        .await;
    let open = event(
        &stage,
        "Open rehearsal",
        &format!("{}, venue_id = '{hall}'", at(9)),
    )
    .await;
    for query in [
        "bbox=145.1,-38,145.3,-37.8".to_owned(),
        format!("bbox=145.1,-38,145.3,-37.8&city_id={city}"),
        "bbox=145.1,-38,145.3,-37.8&q=rehearsal".to_owned(),
        "bbox=145.1,-38,-170,-37".to_owned(),
    ] {
        let path = format!("/events/upcoming?{query}");
        for (reader, found) in [
            (&mira.client, vec![open]),
            (&paul.client, vec![]),
            (&stage.server.client, vec![]),
        ] {
            let page = reader.get(&path).await.expect(200).json;
            assert_eq!(ids(&page), found, "{path}");
        }
    }
    // The control: everybody sees the event itself.
    let path = format!("/events/{open}");
    stage.server.client.get(&path).await.expect(200);
}

/// In a box with more events than are sorted at once, the next ones come first all the same, and none is missing.
#[tokio::test]
async fn se4_a_crowded_box_is_walked_in_order_of_time() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let hall = venue(&stage, "Hall", "").await;
    stage
        .sql(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state, location)
             select '{}', 'organization', '{}', 'Crowd ' || n, now() + interval '30 days' + n * interval '1 minute', now() + interval '60 days',
                    'UTC', 'published', 'SRID=4326;POINT(145 -37.9)'
             from generate_series(1, 5001) n",
            stage.city, stage.host
        ))
        .await;
    let at_hall = format!("{}, venue_id = '{hall}'", at(9));
    let mut soon = vec![event(&stage, "At the hall", &at_hall).await];
    for day in 10..14 {
        let there = format!("{}, location = 'SRID=4326;POINT(145.1 -37.8)'", at(day));
        soon.push(event(&stage, "There", &there).await);
        event(&stage, "Elsewhere", &at(day)).await;
    }
    let city = stage.city;
    for query in [
        "bbox=144,-38,146,-37".to_owned(),
        format!("bbox=144,-38,146,-37&city_id={city}"),
        "bbox=144,-38,-170,-37".to_owned(),
    ] {
        let path = format!("/events/upcoming?{query}&limit=6");
        let page = client.get(&path).await.expect(200).json;
        let first = ids(&page);
        assert_eq!(first[..5], soon, "{query}");
        let title = &page["data"][5]["title"];
        assert_eq!(title, "Crowd 1", "{query}");
    }
    let last = "/events/upcoming?bbox=144,-38,146,-37&limit=100";
    let all = walk(client, last, async || {}).await;
    assert_eq!(all.len(), 5006);
}

/// What a reader may not see is not in the lists, and leaves no trace there either: no page is empty and still followed by another,
/// whichever filters and page sizes are tried to find out about it.
#[tokio::test]
async fn se4_what_a_reader_may_not_see_leaves_no_gaps_in_pages() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let (inner, outer) = (
        server.member("inner_member").await,
        server.member("outer_member").await,
    );
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name) values ('{}', 'Choir') returning id",
            stage.city
        ))
        .await;
    let day = (chrono::Utc::now() + chrono::TimeDelta::days(20)).date_naive();
    let secret: Vec<Uuid> = stage
        .all(format!(
            "insert into app.events (city_id, host_type, host_id, title, category, starts_at, ends_at, timezone, state, visibility, location)
             select '{}', 'community', '{community}', 'Rehearsal ' || n, 'workshop', '{day}'::timestamp at time zone 'UTC' + n * interval '1 minute',
                    '{day}'::timestamp at time zone 'UTC' + interval '3 hours', 'UTC', 'published', 'community', 'SRID=4326;POINT(145.2 -37.9)'
             from generate_series(1, 12) n returning id",
            stage.city
        ))
        .await;
    for event in &secret {
        tickets(&stage, *event, 700, "").await;
    }
    stage
        .sql(format!(
            "insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active')",
            inner.id
        ))
        .await;
    for member in [&inner, &outer] {
        let follow = json!({"entity_type": "community", "entity_id": community});
        member.client.post("/follows", follow).await.expect(201);
    }
    let city = stage.city;
    for query in [
        String::new(),
        format!("city_id={city}"),
        format!("city_id={city}&category=workshop"),
        format!("from={day}&to={day}"),
        "bbox=145.1,-38,145.3,-37.8".to_owned(),
        format!("city_id={city}&bbox=145.1,-38,145.3,-37.8"),
        "q=rehearsal".to_owned(),
        "max_price_cents=700&currency=AUD".to_owned(),
        format!("city_id={city}&open_seats=10"),
    ] {
        for limit in [1, 5] {
            let path = format!("/events/upcoming?limit={limit}&{query}");
            for reader in [&server.client, &outer.client] {
                let page = reader.get(&path).await.expect(200).json;
                assert_eq!(page, json!({"data": [], "next_cursor": null}), "{path}");
            }
            // The control: these filters do find them.
            assert_eq!(
                walk(&inner.client, &path, async || {}).await,
                secret,
                "{path}"
            );
        }
    }
    let path = format!("/me/calendar?limit=1&from={day}&to={day}");
    let page = outer.client.get(&path).await.expect(200).json;
    assert_eq!(page, json!({"data": [], "next_cursor": null}));
    let page = inner.client.get(&path).await.expect(200).json;
    assert_eq!(page["data"][0]["event"]["id"], json!(secret[0]));
    assert!(page["next_cursor"].is_string());
}
