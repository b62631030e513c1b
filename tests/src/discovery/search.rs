//! Search in all kinds of objects: what is found, by whom, in which order.

use super::{event, told, venue};
use crate::{
    support::{Client, TestServer},
    trending::stage::Stage,
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;
use uuid::Uuid;

/// Kinds and ids, in the order of the answer.
async fn hits(client: &Client, query: &str) -> Vec<(String, Uuid)> {
    let found = client.get(&format!("/search?{query}")).await.expect(200);
    let hits = found.json["data"].as_array().expect("hits").iter();
    hits.map(|hit| {
        let text = |name: &str| hit[name].as_str().expect("text").to_owned();
        (text("type"), text("id").parse().expect("an id"))
    })
    .collect()
}

async fn ids(client: &Client, query: &str) -> Vec<Uuid> {
    let hits = hits(client, query).await;
    hits.into_iter().map(|(_, id)| id).collect()
}

/// One object of each kind with these words in its name.
async fn world(stage: &Stage, words: &str) -> Vec<(&'static str, Uuid)> {
    let profile = async |table: &str, columns: &str, values: &str| {
        stage
            .one::<Uuid>(format!(
                "insert into app.{table} (city_id, name, {columns}) values ('{}', '{words}', {values}) returning id",
                stage.city
            ))
            .await
    };
    let member: Uuid = stage
        .one(format!(
            "insert into app.users (handle, display_name, email, home_city_id) values ('known_by_name', '{words}', 'k@example.org', '{}') returning id",
            stage.city
        ))
        .await;
    vec![
        ("event", event(stage, words, "").await),
        ("venue", venue(stage, words, "").await),
        (
            "community",
            profile("communities", "visibility", "'public'").await,
        ),
        (
            "organization",
            profile("organizations", "state", "'approved'").await,
        ),
        (
            "business",
            profile("businesses", "state", "'approved'").await,
        ),
        (
            "institution",
            profile("institutions", "type", "'council'").await,
        ),
        ("member", member),
    ]
}

#[tokio::test]
async fn se3_words_find_things_of_every_kind_without_accents_and_half_typed() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let world = world(&stage, "Zürich Salsa").await;
    venue(&stage, "Elsewhere", "").await;
    let expected: Vec<(String, Uuid)> = (world.iter())
        .map(|(kind, id)| ((*kind).to_owned(), *id))
        .collect();
    for words in [
        "Zurich",
        "zür",
        "ZURICH%20sal",
        "salsa%20z%C3%BCrich",
        "sals",
    ] {
        assert_eq!(
            hits(client, &format!("q={words}")).await,
            expected,
            "{words}"
        );
    }
    assert_eq!(hits(client, "q=zurich%20tango").await, []);
    let city = format!("q=zurich&city_id={}", stage.city);
    assert_eq!(hits(client, &city).await, expected);
    let elsewhere = stage.server.city("auckland").await;
    assert_eq!(
        hits(client, &format!("q=zurich&city_id={elsewhere}")).await,
        []
    );
    // Restricted to some kinds.
    let some = hits(client, "q=zurich&types=member,venue").await;
    let again = hits(client, "q=zurich&types=member&types=venue").await;
    assert_eq!(again, some);
    assert_eq!(some, [expected[1].clone(), expected[6].clone()]);

    let shown = client.get("/search?q=zurich").await.expect(200).json;
    let slug = shown["data"][0]["slug"].as_str().expect("a slug");
    assert!(slug.starts_with("zurich-salsa"), "{slug}");
    assert_eq!(shown["data"][0]["subtitle"], "Melbourne");
    assert!(shown["data"][0]["starts_at"].is_string());
    // By which clocks: a hit is shown without reading the event.
    assert!(shown["data"][0]["timezone"].is_string());
    assert_eq!(shown["data"][6]["name"], "Zürich Salsa");
    assert_eq!(shown["data"][6]["subtitle"], "@known_by_name");
    assert!(shown["data"][6]["starts_at"].is_null() && shown["data"][6]["timezone"].is_null());
}

/// Claim: words with typing errors find similar names, but only in a city and only if nothing has the words themselves.
#[tokio::test]
async fn se3_a_typing_error_finds_similar_names_in_a_city() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let market = event(&stage, "Winter Market of Footscray", "").await;
    let language = event(&stage, "Language Café", "").await;
    let hall = venue(&stage, "Tiergarten Hall", "").await;
    let hidden = event(&stage, "Secret Orchestra", "state = 'draft'").await;
    let found = async |words: &str, more: &str| ids(client, &format!("q={words}{more}")).await;
    let nothing: Vec<Uuid> = Vec::new();
    let (here, elsewhere) = (
        format!("&city_id={}", stage.city),
        format!("&city_id={}", stage.server.city("auckland").await),
    );
    for (words, expected) in [
        ("marcket", market),
        ("footscary%20market", market),
        ("langauge", language),
        ("tiergaten", hall),
    ] {
        let hits = found(words, &here).await;
        assert_eq!(hits.first(), Some(&expected), "{words}");
        assert_eq!(found(words, "").await, nothing, "{words} without a city");
        assert_eq!(found(words, &elsewhere).await, nothing, "{words} elsewhere");
        assert_eq!(
            found(words, &format!("{here}&types=member")).await,
            nothing,
            "{words}"
        );
    }
    for exact in ["marcket%20-night", "%22marcket%22", "mrk", "xqzwvk"] {
        assert_eq!(found(exact, &here).await, nothing, "{exact}");
    }
    assert!(!found("secret%20orchestar", &here).await.contains(&hidden));
    // What has the word is found alone.
    let other = event(&stage, "Marcket Research Night", "").await;
    assert_eq!(found("marcket", &here).await, [other]);
}

#[tokio::test]
async fn se3_nobody_finds_what_they_may_not_see() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let stranger = server.member("stranger_of_all").await;
    let owner = server.member("runs_the_host").await;
    let member = server.member("inner_member").await;
    server
        .grant(&owner, "orgAdmin", Some(("organization", stage.host)))
        .await;
    let draft = event(&stage, "Secretum draft", "state = 'draft'").await;
    let unlisted = event(&stage, "Secretum unlisted", "visibility = 'unlisted'").await;
    let private: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name, visibility) values ('{}', 'Secretum choir', 'private') returning id",
            stage.city
        ))
        .await;
    stage
        .sql(format!(
            "insert into app.community_members (community_id, user_id, state) values ('{private}', '{}', 'active')",
            member.id
        ))
        .await;
    let pending: Uuid = stage
        .one(format!(
            "insert into app.organizations (city_id, name) values ('{}', 'Secretum pending') returning id",
            stage.city
        ))
        .await;
    let shy: Uuid = stage
        .one("insert into app.users (handle, display_name, email, is_public) values ('secretum_shy', 'Secretum', 's@example.org', false) returning id")
        .await;
    let archived = venue(&stage, "Secretum hall", "status = 'archived'").await;
    let suspended = venue(&stage, "Secretum room", "status = 'suspended'").await;
    for client in [&server.client, &stranger.client] {
        assert_eq!(ids(client, "q=secretum").await, [] as [Uuid; 0]);
    }
    let mut own = ids(&owner.client, "q=secretum").await;
    own.sort_unstable();
    assert_eq!(own, [draft, unlisted]);
    assert_eq!(ids(&member.client, "q=secretum").await, [private]);
    let shy_self = server.sign_in(shy).await;
    assert_eq!(ids(&shy_self.client, "q=secretum").await, [shy]);
    let _ = (pending, archived, suspended);
    // Answers to members must not be cached.
    let answer = owner.client.get("/search?q=secretum").await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));

    // A revoked session is refused, instead of searching as the member or anonymously.
    stage
        .sql(format!(
            "update app.sessions set revoked_at = now() where id = '{}'",
            owner.session
        ))
        .await;
    owner.client.get("/search?q=secretum").await.expect(401);
}

#[tokio::test]
async fn se3_names_that_begin_with_the_words_come_first_then_what_is_next() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let at = |days: i32| {
        format!(
            "starts_at = now() + interval '{days} days', ends_at = now() + interval '{days} days 2 hours'"
        )
    };
    let late = event(&stage, "Night of Tango", &at(30)).await;
    let over = event(&stage, "An old Tango", &at(-20)).await;
    let lately = event(&stage, "Last Tango", &at(-2)).await;
    let soon = event(&stage, "Queer Tango", &at(3)).await;
    let begins_late = event(&stage, "Tango Night", &at(60)).await;
    let begins_soon = event(&stage, "Tängo Day", &at(5)).await;
    let order = [begins_soon, begins_late, soon, late, lately, over];
    assert_eq!(ids(client, "q=tango&types=event&limit=20").await, order);
    assert_eq!(ids(client, "q=tango&limit=2").await, order[..2]);
    let older = venue(&stage, "Tango Hall", "").await;
    let other = venue(&stage, "Old Tango Hall", "").await;
    let newer = venue(&stage, "Tango Club", "").await;
    assert_eq!(
        ids(client, "q=tango&types=venue").await,
        [newer, older, other]
    );
    // `limit` applies to each kind.
    assert_eq!(hits(client, "q=tango&limit=1").await.len(), 2);
}

#[tokio::test]
async fn se3_whatever_is_typed_is_an_answer_or_a_refusal_that_says_why() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    event(&stage, "Jazz & Funk: \"live\"", "").await;
    for words in [
        "a%20%26%20",
        "%26",
        "%7C%7C",
        "%3A%2A",
        "%21%21",
        "%28%29%28",
        "%22",
        "%27%27",
        "%5C",
        "%25%25%25",
        "___",
        "%3C-%3E",
        "-",
        "%F0%9F%98%80",
        "a%20OR%20OR",
        "%CC%81",
        "select%201%3B",
    ] {
        client.get(&format!("/search?q={words}")).await.expect(200);
    }
    assert_eq!(hits(client, "q=jazz%20%26%20funk").await.len(), 1);
    assert_eq!(hits(client, "q=%22funk%20live%22").await.len(), 1);
    assert_eq!(hits(client, "q=jazz%20-funk").await, []);
    let long = format!("q={}", "a".repeat(201));
    for (query, parameter) in [
        ("", "q"),
        ("q=", "q"),
        ("q=%00", "q"),
        (long.as_str(), "q"),
        ("q=a&q=b", "q"),
        ("q=jazz&types=events", "types"),
        ("q=jazz&types=", "types"),
        ("q=jazz&limit=21", "limit"),
        ("q=jazz&limit=0", "limit"),
        ("q=jazz&city_id=1", "city_id"),
        ("q=jazz&sort=name", "sort"),
        ("q=jazz&near=1,1", "near"),
    ] {
        let refused = client.get(&format!("/search?{query}")).await.expect(422);
        assert_eq!(refused.json["errors"][0]["parameter"], parameter, "{query}");
    }
    // The character, not the length, is what is wrong.
    let nul = client.get("/search?q=Z%C3%BCrich%00").await.expect(422);
    let detail = nul.json["errors"][0]["detail"].as_str().expect("a detail");
    assert!(detail.contains("U+0000"), "{detail}");
    let wrong = "/search?types=event,shops&limit=21&city_id=1&cursor=x&near=1,1";
    assert_eq!(
        told(client, wrong).await,
        [
            "city_id format",
            "cursor unknown",
            "limit range",
            "near unknown",
            "q required",
            "types choice",
        ]
    );
}

#[tokio::test]
async fn se3_a_search_ends_when_the_time_for_searches_is_over() {
    let stage = Stage::changed(|parts| {
        parts.db.search_timeout = Duration::from_millis(300);
    })
    .await;
    let client = &stage.server.client;
    client.get("/search?q=jazz").await.expect(200);
    client.get("/map?bbox=0,0,1,1").await.expect(200);
    // Another transaction locks the tables that the search reads.
    let mut holder = stage.server.superuser().await;
    sqlx::raw_sql("begin; lock table search.events, app.events in access exclusive mode")
        .execute(&mut holder)
        .await
        .expect("held");
    for path in [
        "/search?q=jazz",
        "/map?bbox=0,0,1,1",
        "/events/upcoming?q=jazz",
    ] {
        client.get(path).await.expect(503);
    }
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .expect("let go");
    client.get("/search?q=jazz").await.expect(200);
}

/// The number of database pages that a search for events by an anonymous caller touches.
async fn touched(conn: &mut PgConnection) -> i64 {
    let mut cx = conn.begin().await.expect("a transaction");
    sqlx::raw_sql(
        "set local role culturepass_app; select sec.enter(null, null, 'read', gen_random_uuid())",
    )
    .execute(&mut *cx)
    .await
    .expect("a stranger");
    let plan: Value = sqlx::query_scalar("explain (analyze, buffers, format json) select * from app.search_hits('{event}', 'jazz', false, null, false, 5)")
        .fetch_one(&mut *cx)
        .await
        .expect("a plan");
    let plan = &plan[0]["Plan"];
    let pages = ["Shared Hit Blocks", "Shared Read Blocks"]
        .map(|name| plan[name].as_i64().expect("a number"));
    pages.iter().sum()
}

/// Rules are evaluated for rows that were found, not for every row.
#[tokio::test]
async fn se3_a_search_does_not_grow_with_what_it_does_not_find() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    // More rows than are considered first, and then far more.
    let mut pages = Vec::new();
    for (from, to) in [(1, 1_000), (1_001, 6_000)] {
        let quiet = format!(
            "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
             select e.city_id, e.host_type, e.host_id, 'Quiet ' || n, 'quiet-' || n, now() + interval '1 day', now() + interval '2 days', 'UTC', 'published'
             from (select * from app.events where state = 'published' and status = 'active' order by id limit 1) e, generate_series({from}, {to}) n"
        );
        // New words are in a list that each search reads, until it is long enough or the table is vacuumed.
        for text in [
            quiet.as_str(),
            "vacuum analyze app.events",
            "vacuum analyze search.events",
        ] {
            sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
                .execute(&mut conn)
                .await
                .expect("events");
        }
        // The first queries read the catalogue, and are planned for their values.
        for _ in 0..6 {
            touched(&mut conn).await;
        }
        pages.push(touched(&mut conn).await);
    }
    let (few, many) = (pages[0], pages[1]);
    assert!(many < few * 3 / 2, "{few} pages, then {many}");
}
