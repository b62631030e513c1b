//! Places around a point and inside a box, compared with plain geometry.

use crate::support::{
    self, Client, TestServer, model,
    pages::{all, ids},
};
use kernel::resource::{Kind, Resource};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The sample data, in which every other event with a venue has no place of its own.
async fn sample() -> TestServer {
    let server = TestServer::sample().await;
    let text = "update app.events set location = null where venue_id is not null and get_byte(uuid_send(id), 15) % 2 = 0";
    let mut conn = server.superuser().await;
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut conn)
        .await
        .expect("set");
    let done = sqlx::query(text).execute(&mut conn).await.expect("moved");
    assert!(done.rows_affected() >= 3, "{done:?}");
    server
}

fn place(row: &Value) -> Option<(f64, f64)> {
    Some((
        row["location"]["lat"].as_f64()?,
        row["location"]["lng"].as_f64()?,
    ))
}

/// Metres on a sphere. The database uses an ellipsoid, which differs by less than one in a hundred.
fn distance(one: (f64, f64), other: (f64, f64)) -> f64 {
    let (lat, other_lat) = (one.0.to_radians(), other.0.to_radians());
    let (dlat, dlng) = (other_lat - lat, (other.1 - one.1).to_radians());
    let a = (dlat / 2.0).sin().powi(2) + lat.cos() * other_lat.cos() * (dlng / 2.0).sin().powi(2);
    2.0 * 6_371_008.8 * a.sqrt().asin()
}

async fn found(client: &Client, path: &str) -> BTreeSet<String> {
    ids(&all(client, path).await)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// The place of each row: its own, or that of the related row which the spec names. The plain computation.
async fn places_of(client: &Client, resource: &Resource) -> Vec<(String, (f64, f64))> {
    let entity = model()
        .entities
        .iter()
        .find(|entity| entity.name == resource.name);
    let entity = entity.expect("an entity");
    let field = entity
        .fields
        .iter()
        .find(|field| field.ty == codegen::model::Ty::Point && field.filter);
    let mut beside = (String::new(), BTreeMap::new());
    if let Some(other) = field.and_then(|field| field.beside.as_ref()) {
        let relation = entity.relation(&other.relation).expect("a relation");
        let target = &model().entities[relation.targets[0]];
        let path = format!("/{}", support::resources()[target.name.as_str()].path);
        let rows = all(client, &path).await;
        let of = |row: &Value| Some((row["id"].as_str()?.to_owned(), place(row)?));
        beside = (relation.id_column(), rows.iter().filter_map(of).collect());
    }
    let rows = all(client, &format!("/{}", resource.path)).await;
    let found = rows.iter().filter_map(|row| {
        let there = || beside.1.get(row[beside.0.as_str()].as_str()?).copied();
        Some((row["id"].as_str()?.to_owned(), place(row).or_else(there)?))
    });
    found.collect()
}

/// Public rows and their places, for each list that has places.
async fn lists(client: &Client) -> Vec<(String, Vec<(String, (f64, f64))>)> {
    let mut lists = Vec::new();
    for resource in support::resources().values() {
        if resource
            .filters
            .iter()
            .any(|filter| filter.kind == Kind::Point)
        {
            let path = format!("/{}", resource.path);
            let places = places_of(client, resource).await;
            assert!(places.len() >= 3, "{path}");
            lists.push((path, places));
        }
    }
    assert!(lists.len() >= 5);
    lists
}

#[tokio::test]
async fn se1_near_is_a_circle() {
    let server = sample().await;
    let (mut inside, mut outside) = (0, 0);
    for (path, places) in lists(&server.client).await {
        let step = (places.len() / 4).max(1);
        for (_, (lat, lng)) in places.iter().step_by(step) {
            for radius in [1.0, 300.0, 2_000.0, 15_000.0, 100_000.0] {
                let query = format!("{path}?near={lat},{lng}&radius_m={radius}");
                let found = found(&server.client, &query).await;
                for (id, place) in &places {
                    let distance = distance((*lat, *lng), *place);
                    if distance < radius * 0.99 {
                        assert!(found.contains(id), "{query}: {distance} m away");
                        inside += 1;
                    } else if distance > radius * 1.01 {
                        assert!(!found.contains(id), "{query}: {distance} m away");
                        outside += 1;
                    }
                }
            }
        }
    }
    assert!(
        inside > 500 && outside > 500,
        "{inside} inside, {outside} outside"
    );
}

/// Claim: with `near`, the nearest rows come first and each appears once on all pages together, for any point; a
/// requested sort order still applies.
#[tokio::test]
async fn se1_the_nearest_come_first() {
    let server = sample().await;
    let mut compared = 0;
    for (path, places) in lists(&server.client).await {
        let places: BTreeMap<_, _> = places.into_iter().collect();
        let (_, (lat, lng)) = places.iter().nth(places.len() / 2).expect("a place");
        let (lat, lng) = (lat + 0.003, lng - 0.002);
        let query = format!("{path}?near={lat},{lng}&radius_m=100000");
        let whole = all(&server.client, &query).await;
        let distances: Vec<f64> = whole
            .iter()
            .map(|row| distance((lat, lng), places[row["id"].as_str().expect("an id")]))
            .collect();
        assert!(
            distances.is_sorted_by(|one, other| *one <= other + 0.5),
            "{query}: {distances:?}"
        );
        compared += distances.len();
        let (mut pages, mut next) = (Vec::new(), format!("{query}&limit=3"));
        loop {
            let page = server.client.get(&next).await.expect(200);
            let rows = page.json["data"].as_array().expect("a list");
            pages.extend(ids(rows).into_iter().map(str::to_owned));
            match page.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("{query}&limit=3&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(pages, ids(&whole), "{query} by 3");
        let newest = all(&server.client, &format!("{query}&sort=-id")).await;
        assert!(
            ids(&newest).is_sorted_by(|one, other| one > other),
            "{query}"
        );
        assert_eq!(newest.len(), whole.len(), "{query}");
    }
    assert!(compared > 50, "{compared}");
}

#[tokio::test]
async fn a_box_has_four_edges_also_over_the_date_line() {
    let server = sample().await;
    let mut inside = 0;
    for (path, places) in lists(&server.client).await {
        let (_, (lat, lng)) = &places[places.len() / 2];
        let boxes = [
            [lng - 0.01, lat - 0.01, lng + 0.01, lat + 0.01],
            [lng - 0.5, lat - 0.2, lng + 0.1, lat + 0.7],
            // A point just inside an edge, with a box around it that is much wider than high.
            [
                (lng - 20.0).max(-180.0),
                lat - 0.000_01,
                (lng + 20.0).min(180.0),
                lat + 1.0,
            ],
            [
                (lng - 20.0).max(-180.0),
                lat - 1.0,
                (lng + 20.0).min(180.0),
                lat + 0.000_01,
            ],
            [140.0, -40.0, 155.0, -25.0],
            [-10.0, 35.0, 30.0, 60.0],
            // So wide that a great circle leaves the parallel.
            [-80.0, 20.0, 9.0, 65.0],
            [-180.0, -90.0, 180.0, 90.0],
            [-180.0, -90.0, 179.9, 0.0],
            // From the east of New Zealand across the date line.
            [170.0, -50.0, -60.0, 60.0],
            [150.0, -60.0, 140.0, 60.0],
        ];
        for [west, south, east, north] in boxes {
            let query = format!("{path}?bbox={west},{south},{east},{north}");
            let is_in = |lat: f64, lng: f64| {
                let between = if west <= east {
                    lng >= west && lng <= east
                } else {
                    lng >= west || lng <= east
                };
                between && lat >= south && lat <= north
            };
            let expected: BTreeSet<String> = places
                .iter()
                .filter(|(_, (lat, lng))| is_in(*lat, *lng))
                .map(|(id, _)| id.clone())
                .collect();
            assert_eq!(found(&server.client, &query).await, expected, "{query}");
            inside += expected.len();
        }
    }
    assert!(inside > 500, "{inside}");
}

/// The shortest line between two points of one latitude doesn't follow the parallel: half way, at ninety degrees east,
/// it is ten metres from the edge of the box.
#[tokio::test]
async fn what_lies_on_the_edge_of_a_box_is_in_it() {
    let server = sample().await;
    let id: String = sqlx::query_scalar(
        "update app.events set location = 'SRID=4326;POINT(90 10.00001)' where id = (select id from app.events_public limit 1) returning id::text",
    )
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("moved");
    for (edges, is_in) in [
        ("80.25,10,100.25,12", true),
        ("80.25,10.00001,100.25,12", true),
        ("80.25,9,100.25,10.00001", true),
        ("90,10,91,11", true),
        ("90,10.00001,90,10.00001", true),
        ("80.25,10.0001,100.25,12", false),
        ("90.00001,10,91,11", false),
    ] {
        let found = found(&server.client, &format!("/events?bbox={edges}")).await;
        assert_eq!(found.contains(&id), is_in, "{edges}");
    }
}

/// Claim: around a point on the date line, rows on either side and on the line itself are found, the nearest first and each
/// once, whichever of the two names of the line they have. With the order of the index, this was an error of the database.
#[tokio::test]
async fn se1_the_date_line_divides_no_circle() {
    let server = sample().await;
    let venues: Vec<String> = sqlx::query_scalar(
        "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
         select v.city_id, v.owner_type, v.owner_id, 'Line ' || p.n, 'Way', format('SRID=4326;POINT(%s -16.8)', p.lng)::public.geography
         from app.venues v
         cross join unnest(array[180, -180, 179.9, -179.8, 179.9999999, -179.9999999]::float8[]) with ordinality p(lng, n)
         where v.id = (select w.id from app.venues_public w order by w.id limit 1) returning id::text",
    )
    .fetch_all(&mut server.superuser().await)
    .await
    .expect("venues");
    assert_eq!(venues.len(), 6);
    let expected: BTreeSet<String> = venues.into_iter().collect();
    for lng in [
        "180",
        "-180",
        "179.9999",
        "-179.9999",
        "179.9999999",
        "179.98",
    ] {
        let query = format!("/venues?near=-16.8,{lng}&radius_m=50000");
        let whole = all(&server.client, &query).await;
        let found: BTreeSet<String> = ids(&whole).into_iter().map(str::to_owned).collect();
        assert_eq!(found, expected, "{query}");
        let around = (-16.8, lng.parse().expect("degrees"));
        let distances: Vec<f64> = whole
            .iter()
            .map(|row| distance(around, place(row).expect("a place")))
            .collect();
        assert!(
            distances.is_sorted_by(|one, other| *one <= other + 0.5),
            "{query}: {distances:?}"
        );
        let (mut pages, mut next) = (Vec::new(), format!("{query}&limit=1"));
        loop {
            let page = server.client.get(&next).await.expect(200);
            let rows = page.json["data"].as_array().expect("a list");
            pages.extend(ids(rows).into_iter().map(str::to_owned));
            match page.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("{query}&limit=1&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(pages, ids(&whole), "{query} one by one");
    }
}

#[tokio::test]
async fn what_is_no_place_is_refused() {
    let server = sample().await;
    for query in [
        "near=91,0",
        "near=0,181",
        "near=1",
        "near=1,2,3",
        "near=a,b",
        "near=NaN,0",
        "near=inf,0",
        "near=1e1,0",
        "near=",
        "near=1,2&radius_m=0",
        "near=1,2&radius_m=-1",
        "near=1,2&radius_m=100001",
        "near=1,2&radius_m=1.5",
        "radius_m=5",
        "bbox=1,2,3",
        "bbox=1,2,3,4,5",
        "bbox=0,10,1,5",
        "bbox=181,0,182,1",
        "bbox=0,-91,1,1",
        "bbox=a,b,c,d",
        "bbox=",
        "location=1,2",
    ] {
        let answer = server.client.get(&format!("/events?{query}")).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
    }
    server
        .client
        .get("/organizations?near=1,2")
        .await
        .expect(422);
}

/// Claim: an event without a place of its own is on the map at its venue, as long as everybody may see that; its own
/// place takes precedence; and the answer contains only its own place.
#[tokio::test]
async fn an_event_is_where_its_venue_is() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let (event, venue): (uuid::Uuid, uuid::Uuid) = sqlx::query_as(
        "select e.id, e.venue_id from app.events e join app.events_public p on p.id = e.id
         join app.venues_public v on v.id = e.venue_id limit 1",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a public event at a public venue");
    let platform = server
        .sign_in(server::seed::demo::PEOPLE[0].id)
        .await
        .client;
    let (event_path, venue_path) = (format!("/events/{event}"), format!("/venues/{venue}"));
    let move_to = async |path: &str, lat: f64| {
        let place = json!({"location": {"lat": lat, "lng": 20.0}});
        platform.patch(path, "*", place).await.expect(200);
    };
    // Nothing else is there.
    let is_at = async |lat: f64| {
        let mut found = Vec::new();
        for query in [
            format!("near={lat},20&radius_m=500"),
            format!("bbox=19.99,{},20.01,{}", lat - 0.01, lat + 0.01),
        ] {
            for rest in [
                "",
                "&sort=starts_at",
                "&count=exact",
                "&limit=1",
                "&state.ne=draft",
            ] {
                let path = format!("/events?{query}{rest}");
                for client in [&server.client, &platform] {
                    let answer = client.get(&path).await.expect(200);
                    let ids = ids(answer.json["data"].as_array().expect("rows"));
                    found.push(ids.contains(&event.to_string().as_str()));
                    if !answer.json["count"].is_null() {
                        assert_eq!(answer.json["count"], ids.len(), "{path}");
                    }
                }
            }
        }
        assert!(found.iter().all(|one| *one == found[0]), "{lat}: {found:?}");
        found[0]
    };
    move_to(&event_path, 60.0).await;
    move_to(&venue_path, 61.0).await;
    assert!(
        is_at(60.0).await && !is_at(61.0).await,
        "its own place comes first"
    );

    let emptied = platform
        .patch(&event_path, "*", json!({"location": null}))
        .await
        .expect(200);
    assert!(emptied.json["location"].is_null());
    assert!(is_at(61.0).await && !is_at(60.0).await);
    let shown = server
        .client
        .get(&format!("{event_path}?expand=venue"))
        .await
        .expect(200);
    assert!(shown.json["location"].is_null());
    assert_eq!(shown.json["venue"]["location"]["lat"], 61.0);
    let without = server
        .client
        .get(&format!("/events?location.null=true&id.in={event}"))
        .await;
    assert_eq!(without.json["data"].as_array().map(Vec::len), Some(1));

    move_to(&venue_path, 62.0).await;
    assert!(
        is_at(62.0).await && !is_at(61.0).await,
        "the venue has moved"
    );

    platform
        .act(&format!("{venue_path}/suspend"))
        .await
        .expect(200);
    assert!(!is_at(62.0).await, "not everybody sees the venue");
    platform
        .act(&format!("{venue_path}/unsuspend"))
        .await
        .expect(200);
    assert!(is_at(62.0).await);

    platform.delete(&venue_path).await.expect(204);
    assert!(!is_at(62.0).await, "the event has no venue any more");
}

/// Claim: after a page that ends with an event at a venue, the next page continues correctly.
#[tokio::test]
async fn pages_by_distance_go_on_at_venues() {
    let server = sample().await;
    let mut at_venues = 0;
    for (path, places) in lists(&server.client).await {
        let (_, (lat, lng)) = places[0].clone();
        let query = format!("{path}?near={lat},{lng}&radius_m=100000");
        let whole = all(&server.client, &query).await;
        at_venues += whole.iter().filter(|row| row["location"].is_null()).count();
        let (mut single, mut next) = (Vec::new(), format!("{query}&limit=1"));
        loop {
            let page = server.client.get(&next).await.expect(200);
            single.extend(
                ids(page.json["data"].as_array().expect("rows"))
                    .into_iter()
                    .map(str::to_owned),
            );
            match page.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("{query}&limit=1&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(single, ids(&whole), "{query}");
    }
    assert!(at_venues >= 2, "{at_venues}");
}
