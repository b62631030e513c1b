//! `expand` of the first of several objects: the one with which their list begins, of those that it may be, and never one
//! that is suspended, even for callers who see that it is there.

use crate::support::{Client, TestServer, model, resources};
use chrono::{DateTime, Utc};
use codegen::model::{Entity, First};
use serde_json::Value;
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// Several pictures of each object, of which some are suspended; of the types of tickets some are suspended, sold out, or
/// not on sale now.
const ROWS: &str = "
    set session_replication_role = replica;
    insert into app.media (entity_type, entity_id, url, medium_url, small_url, position, width, height, bytes, storage_key, content_hash)
    select o.kind, o.id, 'https://example.org/a.jpg', 'https://example.org/b.jpg', 'https://example.org/c.jpg',
      abs(hashtext(o.id::text || n)) % 3, 10, 10, 10, gen_random_uuid(), repeat('0', 64)
    from (select kind, id, row_number() over (order by kind, id) as r from ({owners}) as w (kind, id)) as o
      cross join generate_series(1, 4) n where o.r % 5 > 0;
    update app.media m set status = 'suspended'
    from (select entity_id, min(position) as p, row_number() over (order by entity_type, entity_id) as r from app.media group by 1, entity_type) f
    where m.entity_id = f.entity_id and m.position = f.p and f.r % 2 = 0;
    update app.ticket_types set status = 'suspended' where abs(hashtext(id::text)) % 5 = 0;
    update app.ticket_types set sold = capacity - held where abs(hashtext(id::text)) % 5 = 1;
    update app.ticket_types set sales_start = now() + interval '1 day', sales_end = null where abs(hashtext(id::text)) % 5 = 2;
    update app.ticket_types set sales_end = now() - interval '1 minute', sales_start = null where abs(hashtext(id::text)) % 5 = 3;
    set session_replication_role = origin";

/// Whether an object may be the first, by the name in `expand`: the condition in the spec, written once more.
fn may_be(name: &str, child: &Value) -> bool {
    let time = |name: &str| {
        let text = child[name].as_str()?;
        Some(text.parse::<DateTime<Utc>>().expect("a time"))
    };
    let number = |name: &str| child[name].as_i64().expect("a number");
    match name {
        "cover" => child["type"] == "image",
        "cheapest_ticket_type" => {
            time("sales_start").is_none_or(|start| start <= Utc::now())
                && time("sales_end").is_none_or(|end| end > Utc::now())
                && number("held") + number("sold") < number("capacity")
        }
        other => panic!("say here which objects may be `{other}`"),
    }
}

async fn prepared() -> TestServer {
    let server = TestServer::sample().await;
    let owners: Vec<String> = (model().entities.iter())
        .filter(|entity| entity.firsts.iter().any(|first| first.name == "cover"))
        .map(|e| format!("select '{}', id from app.{}", e.name, e.plural))
        .collect();
    assert!(owners.len() >= 7, "{owners:?}");
    let rows = ROWS.replace("{owners}", &owners.join(" union all "));
    let mut conn = server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(rows))
        .execute(&mut conn)
        .await
        .expect("rows");
    server
}

/// What was compared for one name in `expand`.
#[derive(Default, Debug)]
struct Seen {
    shown: usize,
    none: usize,
    /// The caller sees a suspended object before the one that is shown.
    passed_over: usize,
}

#[tokio::test]
async fn the_first_is_that_of_the_list_and_never_a_suspended_one() {
    let server = prepared().await;
    let members = [
        server.sign_in(PEOPLE[0].id).await,
        server.sign_in(PEOPLE[2].id).await,
        server.sign_in(PEOPLE[4].id).await,
    ];
    let clients = [&server.client]
        .into_iter()
        .chain(members.iter().map(|one| &one.client));
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for client in clients {
        for entity in &model().entities {
            for first in &entity.firsts {
                let seen = seen
                    .entry(format!("{}.{}", entity.name, first.name))
                    .or_default();
                compare(client, entity, first, seen).await;
            }
        }
    }
    assert!(seen.len() >= 8, "{seen:?}");
    for (name, seen) in &seen {
        let is_tried = seen.shown > 0 && seen.none > 0 && seen.passed_over > 0;
        // Nobody but its member and the platform sees what is suspended of a member.
        assert!(is_tried, "{name}: {seen:?}");
    }
}

async fn compare(client: &Client, entity: &Entity, first: &First, seen: &mut Seen) {
    let path = resources()[&*entity.name].path;
    let name = &first.name;
    let page = client
        .get(&format!("/{path}?limit=40&expand={name}"))
        .await
        .expect(200);
    for row in page.json["data"].as_array().expect("rows") {
        let id = row["id"].as_str().expect("an id");
        let children = entity.has[first.has].name.replace('_', "-");
        let list = format!("/{path}/{id}/{children}?limit=100&sort={}", first.by);
        let list = client.get(&list).await.expect(200);
        let children = list.json["data"].as_array().expect("rows");
        let mut fitting = children.iter().filter(|child| may_be(name, child));
        let begins = fitting.clone().next();
        let expected = fitting.find(|child| child["status"] == "active");
        assert_eq!(
            row[name],
            *expected.unwrap_or(&Value::Null),
            "/{path}/{id} {name}"
        );
        let alone = client
            .get(&format!("/{path}/{id}?expand={name}"))
            .await
            .expect(200);
        assert_eq!(alone.json[name], row[name], "/{path}/{id}");
        match expected {
            Some(_) => seen.shown += 1,
            None => seen.none += 1,
        }
        seen.passed_over += usize::from(begins.is_some_and(|one| one["status"] == "suspended"));
    }
}

/// The lists of modules that show events take the same names.
#[tokio::test]
async fn lists_of_events_by_modules_show_the_first_too() {
    let server = prepared().await;
    let mira = server.sign_in(PEOPLE[4].id).await;
    let names = "cover,cheapest_ticket_type";
    let city = server
        .client
        .get("/cities?q=melbourne&limit=1")
        .await
        .expect(200);
    let city = city.json["data"][0]["id"]
        .as_str()
        .expect("a city")
        .to_owned();
    let mut shown = 0;
    for path in [
        format!("/events/trending?city_id={city}&"),
        format!("/events/upcoming?city_id={city}&"),
        "/me/feed?".to_owned(),
        "/me/home?".to_owned(),
    ] {
        let answer = mira
            .client
            .get(&format!("{path}expand={names}"))
            .await
            .expect(200);
        let rows = ["data", "events"]
            .iter()
            .find_map(|list| answer.json[list].as_array());
        for row in rows.expect("rows") {
            let event = if row["event"].is_object() {
                &row["event"]
            } else {
                row
            };
            for name in names.split(',') {
                let id = event["id"].as_str().expect("an id");
                let alone = mira
                    .client
                    .get(&format!("/events/{id}?expand={name}"))
                    .await;
                assert_eq!(event.get(name), alone.json.get(name), "{path} {name}");
                shown += usize::from(!event[name].is_null());
            }
        }
    }
    assert!(shown > 20, "only {shown}");
}

/// The top-rated profiles of a city, which are cards as well.
#[tokio::test]
async fn top_rated_profiles_show_the_first_too() {
    let server = prepared().await;
    let melbourne = server.city("melbourne").await;
    let mut shown = BTreeMap::new();
    for path in ["organizations", "businesses", "venues", "communities"] {
        let top = format!("/{path}/top-rated?city_id={melbourne}");
        let plain = server.client.get(&top).await.expect(200);
        let answer = server.client.get(&format!("{top}&expand=cover,city")).await;
        let answer = answer.expect(200);
        let rows = answer.json["data"].as_array().expect("rows");
        for (row, bare) in rows
            .iter()
            .zip(plain.json["data"].as_array().expect("rows"))
        {
            let id = row["id"].as_str().expect("an id");
            assert!(bare["id"] == id && bare.get("cover").is_none(), "{top}");
            let alone = format!("/{path}/{id}?expand=cover,city");
            let alone = server.client.get(&alone).await.expect(200);
            for name in ["cover", "city"] {
                assert_eq!(row[name], alone.json[name], "{path} {id}");
            }
            *shown.entry(path).or_insert(0) += usize::from(!row["cover"].is_null());
        }
        let refused = server.client.get(&format!("{top}&expand=nothing")).await;
        assert_eq!(refused.expect(422).json["errors"][0]["parameter"], "expand");
    }
    assert!(
        shown.len() == 4 && shown.values().sum::<usize>() > 8,
        "{shown:?}"
    );
}

/// Hits and objects of the map, which are no whole objects, show the same.
#[tokio::test]
async fn searches_and_maps_show_the_first_too() {
    let server = prepared().await;
    let mira = server.sign_in(PEOPLE[4].id).await;
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for (path, list) in [
        ("/search?q=the&limit=5&", "data"),
        ("/search?q=mira&limit=5&", "data"),
        ("/search?q=melbourne&limit=5&", "data"),
        (
            "/map?bbox=144.9,-37.83,145.0,-37.79&types=event,venue,business,institution&",
            "objects",
        ),
        (
            "/map?bbox=144.96,-37.82,144.97,-37.81&types=event,venue,business,institution&",
            "objects",
        ),
    ] {
        let plain = mira
            .client
            .get(path.trim_end_matches('&'))
            .await
            .expect(200);
        let bare = plain.json[list].as_array().expect("objects");
        assert!(bare.iter().all(|one| one.get("cover").is_none()), "{path}");
        let answer = mira
            .client
            .get(&format!("{path}expand=cover,cheapest_ticket_type"))
            .await;
        for one in answer.expect(200).json[list].as_array().expect("objects") {
            let kind = one["type"].as_str().expect("a type");
            let entity = if kind == "member" { "user" } else { kind };
            let path = format!(
                "/{}/{}",
                resources()[entity].path,
                one["id"].as_str().expect("an id")
            );
            let alone = mira
                .client
                .get(&format!("{path}?expand=cover"))
                .await
                .expect(200);
            assert_eq!(one["cover"], alone.json["cover"], "{path}");
            let cheapest = match kind {
                "event" => mira
                    .client
                    .get(&format!("{path}?expand=cheapest_ticket_type"))
                    .await
                    .json["cheapest_ticket_type"]
                    .take(),
                _ => Value::Null,
            };
            assert_eq!(one.get("cheapest_ticket_type"), Some(&cheapest), "{path}");
            *kinds.entry(kind.to_owned()).or_default() += usize::from(!one["cover"].is_null());
        }
    }
    assert!(
        kinds.values().sum::<usize>() > 5 && kinds.len() >= 4,
        "{kinds:?}"
    );
    let refused = mira
        .client
        .get("/search?q=the&expand=host")
        .await
        .expect(422);
    assert_eq!(refused.json["errors"][0]["parameter"], "expand");
}
