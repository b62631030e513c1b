//! Boxes on the map: their contents, across the date line and elsewhere, as single objects or clusters.

use super::{event, set, told, venue};
use crate::{support::Client, trending::stage::Stage};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

async fn map(client: &Client, query: &str) -> Value {
    client.get(&format!("/map?{query}")).await.expect(200).json
}

async fn shown(client: &Client, query: &str) -> BTreeSet<Uuid> {
    let map = map(client, query).await;
    assert_eq!(map["clusters"].as_array().map(Vec::len), Some(0));
    let objects = map["objects"].as_array().expect("objects").iter();
    objects
        .map(|one| {
            one["id"]
                .as_str()
                .and_then(|id| id.parse().ok())
                .expect("an id")
        })
        .collect()
}

/// Venues all over the world, many of them where boxes are difficult.
async fn venues(stage: &Stage, count: usize) {
    stage
        .sql(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             select '{}', 'organization', '{}', 'Venue ' || n, 'Way', format('SRID=4326;POINT(%s %s)', lng, lat)::public.geography
             from (
               select n, case n % 4 when 0 then 180 - (n % 97) / 20.0 when 1 then -180 + (n % 89) / 20.0 else (n * 7919 % 36000) / 100.0 - 180 end as lng,
                      case n % 5 when 0 then 90 - (n % 31) / 10.0 else (n * 6101 % 18000) / 100.0 - 90 end as lat
               from generate_series(1, {count}) n
             ) places",
            stage.city, stage.host
        ))
        .await;
}

/// The condition in plain numbers. The date line is at 180 and at -180 degrees.
fn inside([west, south, east, north]: [f64; 4]) -> String {
    let joined = if west <= east { "and" } else { "or" };
    let line = if west == -180.0 || east == 180.0 {
        "abs(public.st_x(location::public.geometry)) = 180"
    } else {
        "false"
    };
    format!(
        "select id from app.venues where public.st_y(location::public.geometry) between {south} and {north}
           and ({line} or public.st_x(location::public.geometry) >= {west} {joined} public.st_x(location::public.geometry) <= {east})"
    )
}

const BOXES: [[f64; 4]; 17] = [
    [170.0, -20.0, -170.0, 20.0],
    [179.0, -90.0, -179.0, 90.0],
    [100.0, -50.0, -100.0, 50.0],
    [-170.0, -10.0, 170.0, 10.0],
    [-180.0, -90.0, 180.0, 90.0],
    [-180.0, 60.0, 180.0, 90.0],
    [10.0, 40.0, 50.0, 60.0],
    [-60.0, -60.0, 60.0, 60.0],
    [180.0, -90.0, -180.0, 90.0],
    [0.0, 0.0, 0.0, 0.0],
    // They end at the date line, or are that line.
    [170.0, -90.0, 180.0, 90.0],
    [-180.0, -90.0, -175.0, 90.0],
    [-180.0, -90.0, -180.0, 90.0],
    [180.0, -90.0, 180.0, 90.0],
    [-60.0, -90.0, 180.0, 90.0],
    // They end at a pole, or are a pole.
    [-180.0, 89.0, 180.0, 90.0],
    [-180.0, -90.0, 180.0, -90.0],
];

/// Claim: a place on the date line is in a box that ends there, whichever of the line's two names the place and the box have.
/// The negative control is that the same place is not in a box that ends a little before the line.
#[tokio::test]
async fn se2_the_date_line_is_one_line() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    for (name, lng) in [("Taveuni east", 180.0), ("Taveuni west", -180.0)] {
        let hall = venue(&stage, name, "").await;
        let place = format!("location = 'SRID=4326;POINT({lng} -16.8)'");
        set(&stage, "venues", hall, &place).await;
        let concert = event(&stage, name, &format!("venue_id = '{hall}'")).await;
        let outside = event(&stage, &format!("{name} outside"), &place).await;
        let events = BTreeSet::from([concert, outside]);
        for (edges, is_in) in [
            ("170,-20,180,-10", true),
            ("-180,-20,-170,-10", true),
            ("180,-20,180,-10", true),
            ("-180,-20,-180,-10", true),
            ("180,-20,-180,-10", true),
            ("-180,-20,180,-10", true),
            ("170,-20,-170,-10", true),
            ("180,-16.8,180,-16.8", true),
            ("-180,-16.8,-180,-16.8", true),
            ("170,-20,179.999,-10", false),
            ("-179.999,-20,-170,-10", false),
            ("-179.999,-20,179.999,-10", false),
            ("170,-10,180,0", false),
        ] {
            let bbox = format!("bbox={edges}");
            let shown = shown(client, &bbox).await;
            assert_eq!(shown.contains(&hall), is_in, "{name}: {bbox}");
            assert_eq!(events.is_subset(&shown), is_in, "{name}: {bbox}");
            for path in ["events", "events/upcoming"] {
                let page = client.get(&format!("/{path}?{bbox}&limit=100")).await;
                let found = crate::trending::stage::ids(&page.expect(200).json);
                let found: BTreeSet<Uuid> = found.into_iter().collect();
                assert_eq!(events.is_subset(&found), is_in, "{name}: {path} {bbox}");
            }
        }
    }
}

#[tokio::test]
async fn se2_boxes_hold_what_is_inside_also_over_the_date_line() {
    let stage = Stage::new().await;
    venues(&stage, 1_500).await;
    let client = &stage.server.client;
    for sides in BOXES {
        let bbox = sides.map(|side| side.to_string()).join(",");
        let expected: BTreeSet<Uuid> = stage.all(inside(sides)).await.into_iter().collect();
        let map = map(client, &format!("types=venue&bbox={bbox}&cells=500")).await;
        assert_eq!(map["count"], expected.len(), "{bbox}");
        if expected.len() <= 100 {
            let found = shown(client, &format!("types=venue&bbox={bbox}")).await;
            assert_eq!(found, expected, "{bbox}");
        }
        // The generated list returns the same.
        let mut listed = BTreeSet::new();
        let mut next = format!("/venues?bbox={bbox}&limit=100");
        loop {
            let page = client.get(&next).await.expect(200).json;
            listed.extend(crate::trending::stage::ids(&page));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            next = format!("/venues?bbox={bbox}&limit=100&cursor={cursor}");
        }
        assert_eq!(listed, expected, "{bbox}");
    }
}

#[tokio::test]
async fn se2_many_objects_are_clusters_that_add_up() {
    let stage = Stage::new().await;
    venues(&stage, 1_500).await;
    let client = &stage.server.client;
    for sides in BOXES {
        let bbox = sides.map(|side| side.to_string()).join(",");
        for cells in [10, 200, 500] {
            let map = map(client, &format!("types=venue&bbox={bbox}&cells={cells}")).await;
            let clusters = map["clusters"].as_array().expect("clusters");
            assert!(clusters.len() <= cells, "{bbox}: {}", clusters.len());
            let mut sum = 0;
            for cluster in clusters {
                sum += cluster["count"].as_i64().expect("a count");
                let side = |index: usize| cluster["bbox"][index].as_f64().expect("degrees");
                let (lng, lat) = (
                    cluster["location"]["lng"].as_f64().expect("degrees"),
                    cluster["location"]["lat"].as_f64().expect("degrees"),
                );
                let near = 1e-9;
                // A cluster with a place exactly on the date line may cross it.
                let inner = side(0) - near <= lng && lng <= side(2) + near;
                assert!(inner || side(0) > side(2), "{cluster}");
                assert!(side(1) - near <= lat && lat <= side(3) + near, "{cluster}");
            }
            match clusters.is_empty() {
                true => assert!(map["count"].as_i64() <= Some(100)),
                false => {
                    assert_eq!(map["count"], sum);
                    assert!(sum > 100 && map["objects"].as_array().is_some_and(Vec::is_empty));
                    // Zooming in on a cluster finds the same number.
                    let first = &clusters[0];
                    // Parsing a number may change its last bit.
                    let wider = |side: usize| match side {
                        0 | 1 => first["bbox"][side].as_f64().map(|at| at - 1e-9),
                        _ => first["bbox"][side].as_f64().map(|at| at + 1e-9),
                    };
                    let within = [180.0, 90.0, 180.0, 90.0];
                    let closer = (0..4).map(|side| {
                        let at = wider(side).expect("degrees");
                        at.clamp(-within[side], within[side]).to_string()
                    });
                    let closer = closer.collect::<Vec<_>>().join(",");
                    let inner = self::map(client, &format!("types=venue&bbox={closer}")).await;
                    assert_eq!(inner["count"], first["count"], "{closer}");
                }
            }
        }
    }
}

#[tokio::test]
async fn se2_the_map_shows_what_everybody_may_see() {
    let stage = Stage::new().await;
    let owner = stage.server.member("sees_more_elsewhere").await;
    stage
        .server
        .grant(&owner, "orgAdmin", Some(("organization", stage.host)))
        .await;
    let hall = venue(&stage, "Jazz hall", "").await;
    let there = event(
        &stage,
        "Jazz at the hall",
        &format!("venue_id = '{hall}', category = 'concert'"),
    )
    .await;
    let here = event(
        &stage,
        "By itself",
        "location = 'SRID=4326;POINT(144.98 -37.81)'",
    )
    .await;
    let placed = |more: &str| format!("{more}, venue_id = '{hall}'");
    for (title, more) in [
        ("Draft", "state = 'draft'"),
        ("Cancelled", "state = 'cancelled'"),
        ("Unlisted", "visibility = 'unlisted'"),
        ("Suspended", "status = 'suspended'"),
    ] {
        event(&stage, title, &placed(more)).await;
    }
    let over = "starts_at = now() - interval '3 days', ends_at = now() - interval '2 days'";
    let over = event(&stage, "Over", &placed(over)).await;
    let business: Uuid = stage
        .one(format!(
            "insert into app.businesses (city_id, name, state, location) values ('{}', 'Shop', 'approved', 'SRID=4326;POINT(144.99 -37.8)') returning id",
            stage.city
        ))
        .await;
    let bbox = "bbox=144.9,-37.9,145.1,-37.7";
    let found = async |more: &str| shown(&stage.server.client, &format!("{bbox}{more}")).await;
    // The time of an event comes with the clocks by which it is told.
    let all = map(&stage.server.client, bbox).await;
    for object in all["objects"].as_array().expect("objects") {
        let is_event = object["type"] == "event";
        let told = ["starts_at", "timezone"].map(|name| object[name].is_string());
        assert_eq!(told, [is_event; 2], "{object}");
    }
    let set_of = |ids: &[Uuid]| ids.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(found("").await, set_of(&[hall, there, here]));
    assert_eq!(
        shown(&owner.client, bbox).await,
        set_of(&[hall, there, here])
    );
    assert_eq!(found("&types=event").await, set_of(&[there, here]));
    assert_eq!(
        found("&types=business&types=institution").await,
        found("&types=business,institution").await
    );
    assert_eq!(
        found("&types=business,institution").await,
        set_of(&[business])
    );
    assert_eq!(
        found("&types=event&category=concert").await,
        set_of(&[there])
    );
    assert_eq!(found("&q=jaz").await, set_of(&[there, hall]));
    let day = |days: i64| (chrono::Utc::now() + chrono::TimeDelta::days(days)).date_naive();
    let from = format!("&types=event&from={}", day(-5));
    assert_eq!(found(&from).await, set_of(&[there, here, over]));
    let to = format!("&types=event&to={}", day(8));
    assert_eq!(found(&to).await, set_of(&[]));
    let elsewhere = stage.server.city("auckland").await;
    assert_eq!(found(&format!("&city_id={elsewhere}")).await, set_of(&[]));

    let map = map(
        &stage.server.client,
        &format!("{bbox}&types=event&category=concert"),
    )
    .await;
    let one = &map["objects"][0];
    assert_eq!(one["name"], "Jazz at the hall");
    assert_eq!(one["location"]["lng"], 144.97);
    // If the host is no longer approved, all of its objects disappear.
    set(&stage, "organizations", stage.host, "state = 'rejected'").await;
    assert_eq!(found("").await, set_of(&[]));
}

#[tokio::test]
async fn se2_boxes_that_are_none_are_refused() {
    let stage = Stage::new().await;
    for (query, parameter) in [
        ("", "bbox"),
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,x", "bbox"),
        ("bbox=1,50,3,40", "bbox"),
        ("bbox=-181,0,1,1", "bbox"),
        ("bbox=NaN,0,1,1", "bbox"),
        ("bbox=0,0,1,1&types=member", "types"),
        ("bbox=0,0,1,1&cells=501", "cells"),
        ("bbox=0,0,1,1&cells=0", "cells"),
        ("bbox=0,0,1,1&limit=5", "limit"),
        ("bbox=0,0,1,1&category=nothing", "category"),
        ("bbox=0,0,1,1&from=soon", "from"),
        ("bbox=0,0,1,1&zoom=5", "zoom"),
    ] {
        let refused = stage
            .server
            .client
            .get(&format!("/map?{query}"))
            .await
            .expect(422);
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
    let wrong = "/map?cells=1&types=event&types=member&limit=5&cursor=x&from=soon";
    assert_eq!(
        told(&stage.server.client, wrong).await,
        [
            "bbox required",
            "cells range",
            "cursor unknown",
            "from format",
            "limit unknown",
            "types choice",
        ]
    );
}
