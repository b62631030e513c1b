//! `q=` by members: rows that they may read and others may not are found too, and nothing else.

use super::search::{holding, searched};
use crate::support::{
    self, Client, TestServer,
    pages::{all, ids},
};
use kernel::resource::{Kind, Resource};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One caller of each kind: without roles, in many communities, with tickets, and administrators of a host, of a city
/// and of the platform.
const CALLERS: [(&str, &str); 6] = [
    (
        "member",
        "select id from app.users where status = 'active' and not is_public order by id limit 1",
    ),
    (
        "of communities",
        "select user_id from app.community_members where status = 'active' and state = 'active' group by user_id order by count(*) desc, user_id limit 1",
    ),
    (
        "ticket holder",
        "select holder_id from app.tickets where state = 'valid' group by holder_id order by count(*) desc, holder_id limit 1",
    ),
    (
        "orgAdmin",
        "select user_id from app.role_assignments where role = 'orgAdmin' and status = 'active' and state = 'accepted' group by user_id order by count(*) desc, user_id limit 1",
    ),
    (
        "cityAdmin",
        "select user_id from app.role_assignments where role = 'cityAdmin' and status = 'active' and state = 'accepted' group by user_id order by count(*) desc, user_id limit 1",
    ),
    (
        "platformAdmin",
        "select user_id from app.role_assignments where role = 'platformAdmin' and status = 'active' and state = 'accepted' order by user_id limit 1",
    ),
];

fn searchable() -> Vec<&'static Resource> {
    let is_search = |resource: &Resource| resource.filters.iter().any(|f| f.kind == Kind::Search);
    let mut found: Vec<&Resource> = (support::resources().values().copied())
        .filter(|resource| is_search(resource))
        .collect();
    found.sort_by_key(|resource| resource.name);
    found
}

async fn texts(conn: &mut PgConnection, name: &str, rows: &[Value]) -> Vec<(String, [String; 2])> {
    let mut texts = Vec::new();
    for row in rows {
        let id = row["id"].as_str().expect("an id").to_owned();
        texts.push((id, searched(conn, name, row).await));
    }
    texts
}

/// A few words of these rows, and a part of each.
fn parts(texts: &[(String, [String; 2])]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, [text, _]) in texts.iter().step_by((texts.len() / 4).max(1)) {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        let plain = |word: &&str| word.len() >= 5 && word.bytes().all(|b| b.is_ascii_lowercase());
        if let Some(word) = words.find(plain) {
            found.extend([word.to_owned(), word[1..4].to_owned()]);
        }
    }
    found
}

async fn run(conn: &mut PgConnection, text: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await;
    done.unwrap_or_else(|e| panic!("{text}: {e}"));
}

/// Hides rows in all possible ways, such that each host, city and community has some.
async fn hide(conn: &mut PgConnection) {
    let one_of_each = |table: &str, column: &str| {
        format!(
            "id in (select distinct on ({column}) id from app.{table} where status = 'active' order by {column}, id desc)"
        )
    };
    for text in [
        "update app.events set state = 'draft' where md5(id::text) ~ '^[01]'".to_owned(),
        "update app.events set visibility = 'unlisted' where md5(id::text) ~ '^[23]'".to_owned(),
        "update app.communities set visibility = 'private' where md5(id::text) ~ '^[0-9]'".to_owned(),
        "update app.users set is_public = false where md5(id::text) ~ '^[0-5]'".to_owned(),
        // These can be archived, because nobody has a ticket for them yet.
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select city_id, host_type, host_id, title, 'gone-' || left(md5(id::text), 12), starts_at, ends_at, timezone, 'published'
         from app.events where status = 'active' and md5(id::text) ~ '^7'"
            .to_owned(),
        "update app.events set status = 'archived' where slug like 'gone-%'".to_owned(),
        format!("update app.events set state = 'draft' where {}", one_of_each("events", "host_id")),
        format!(
            "update app.events set visibility = 'community', state = 'published' where host_type = 'community' and {}",
            one_of_each("events", "host_id")
        ),
        format!("update app.organizations set status = 'suspended' where {}", one_of_each("organizations", "city_id")),
        format!("update app.venues set status = 'suspended' where {}", one_of_each("venues", "city_id")),
        "update app.events set status = 'suspended' where status = 'active' and md5(id::text) ~ '^[6]'".to_owned(),
    ] {
        run(conn, text).await;
    }
}

/// Claim: for each kind of caller and each entity, a search finds the rows of the list that contain the word, the
/// newest first, page by page, and counts them; rows that not everybody sees are also found by parts of names.
#[tokio::test]
async fn a_member_finds_what_a_member_may_read() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    hide(&mut conn).await;
    let mut own_found = BTreeSet::new();
    for (caller, who) in CALLERS {
        let id: Uuid = sqlx::query_scalar(AssertSqlSafe(who))
            .fetch_one(&mut conn)
            .await
            .expect(caller);
        let client = server.sign_in(id).await.client;
        for resource in searchable() {
            let path = format!("/{}", resource.path);
            let public = all(&server.client, &path).await;
            let is_public: BTreeSet<&str> = ids(&public).into_iter().collect();
            let rows = all(&client, &path).await;
            let own: Vec<Value> = (rows.iter())
                .filter(|row| !is_public.contains(row["id"].as_str().expect("an id")))
                .cloned()
                .collect();
            let public = texts(&mut conn, resource.name, &public).await;
            let own = texts(&mut conn, resource.name, &own).await;
            let mut words = parts(&own);
            words.extend(parts(&public).into_iter().take(2));
            for part in words {
                let mut expected = holding(&public, &part);
                // Fewer than twenty at a time, so that parts of names are searched.
                let mine: BTreeSet<String> = (own.chunks(10))
                    .flat_map(|own| holding(own, &part))
                    .collect();
                if !mine.is_empty() {
                    own_found.insert((caller, resource.name));
                }
                expected.extend(mine);
                check(&client, &format!("{path}?q={part}"), &expected, caller).await;
            }
        }
    }
    // Each kind of caller had some rows of their own to find.
    for found in [
        ("member", "user"),
        ("of communities", "event"),
        ("orgAdmin", "event"),
        ("cityAdmin", "event"),
        ("cityAdmin", "venue"),
        ("cityAdmin", "organization"),
        ("platformAdmin", "user"),
        ("platformAdmin", "event"),
    ] {
        assert!(own_found.contains(&found), "{found:?} in {own_found:?}");
    }
}

async fn check(client: &Client, path: &str, expected: &BTreeSet<String>, caller: &str) {
    let found = all(client, path).await;
    let found = ids(&found);
    let newest: Vec<&String> = expected.iter().rev().collect();
    assert_eq!(found, newest, "{caller}: {path}");
    let page = client.get(&format!("{path}&limit=1&count=exact")).await;
    assert_eq!(
        page.expect(200).json["count"],
        json!(expected.len()),
        "{caller}: {path}"
    );
}

/// Claim: matching rows of others neither appear nor displace the caller's own, however many and new they are; on all
/// pages together, each of the caller's rows appears once.
#[tokio::test]
async fn foreign_rows_crowd_nothing_out() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let (mine, foreign): (Uuid, Uuid) = sqlx::query_as(
        "select min(id::text)::uuid, max(id::text)::uuid from app.organizations where status = 'active' and state = 'approved'",
    )
    .fetch_one(&mut conn)
    .await
    .expect("two hosts");
    assert_ne!(mine, foreign);
    run(
        &mut conn,
        format!(
            "update app.role_assignments set status = 'archived' where user_id = '{}'",
            ana.id
        ),
    )
    .await;
    server
        .grant(&ana, "orgAdmin", Some(("organization", mine)))
        .await;
    for (host, count) in [(mine, 30), (foreign, 6_000)] {
        run(
            &mut conn,
            format!(
                "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
                 select city_id, 'organization', id, 'Geheimnis ' || g, 'geheim-' || id || g, now() + interval '1 day',
                   now() + interval '2 days', 'UTC', 'draft'
                 from app.organizations, generate_series(1, {count}) g where id = '{host}'"
            ),
        )
        .await;
    }
    for q in ["geheimnis", "geheim", "heimni"] {
        let rows = all(&ana.client, &format!("/events?q={q}")).await;
        assert_eq!(rows.len(), 30, "{q}");
        assert!(rows.iter().all(|row| row["host_id"] == json!(mine)), "{q}");
        let of_host = all(
            &ana.client,
            &format!("/events?q={q}&host_id={mine}&state=draft"),
        )
        .await;
        assert_eq!(of_host.len(), 30, "{q}");
        for foreign in [
            all(&ana.client, &format!("/events?q={q}&host_id={foreign}")).await,
            all(&server.client, &format!("/events?q={q}")).await,
        ] {
            assert!(foreign.is_empty(), "{q}");
        }
        let mut met = BTreeSet::new();
        let mut next = format!("/events?q={q}&limit=7");
        loop {
            let page = ana.client.get(&next).await.expect(200).json;
            for id in ids(page["data"].as_array().expect("a list")) {
                assert!(met.insert(id.to_owned()), "{q} repeats {id}");
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("/events?q={q}&limit=7&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(met.len(), 30, "{q}");
    }
    // Only the role shows them: with the next request they are no longer found.
    run(
        &mut conn,
        format!(
            "update app.role_assignments set status = 'archived' where user_id = '{}'",
            ana.id
        ),
    )
    .await;
    assert!(all(&ana.client, "/events?q=geheimnis").await.is_empty());
}
