//! `q=`: words, beginnings of words and parts of names, in public rows.

use crate::support::{
    self, Client, TestServer, model,
    pages::{all, ids},
};
use codegen::model::Ty;
use kernel::resource::Kind;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeSet;

/// The texts of a row, folded by the database like its index: all searched texts, and the names.
pub(super) async fn searched(conn: &mut PgConnection, entity: &str, row: &Value) -> [String; 2] {
    let (_, entity) = model().entity(entity).expect("an entity");
    let mut texts = [String::new(), String::new()];
    for field in entity.fields.iter().filter(|field| field.search) {
        let text = row[&field.name].as_str().unwrap_or_default();
        let is_name =
            matches!(field.ty, Ty::Text { max, .. } | Ty::Handle { max, .. } if max <= 300);
        for all in texts.iter_mut().take(if is_name { 2 } else { 1 }) {
            all.push(' ');
            all.push_str(text);
        }
    }
    let folded: (String, String) = sqlx::query_as("select sec.folded($1), sec.folded($2)")
        .bind(&texts[0])
        .bind(&texts[1])
        .fetch_one(conn)
        .await
        .expect("folded");
    [folded.0, folded.1]
}

/// If words alone find fewer rows than this, parts of names are searched too.
const FEW: usize = 20;

/// The rows that a search for one word should find.
pub(super) fn holding(texts: &[(String, [String; 2])], part: &str) -> BTreeSet<String> {
    let begins = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        words.any(|word| match part.len() < 3 {
            true => word == part,
            false => word.starts_with(part),
        })
    };
    let of = |matches: &dyn Fn(&[String; 2]) -> bool| -> BTreeSet<String> {
        let found = texts.iter().filter(|(_, texts)| matches(texts));
        found.map(|(id, _)| id.clone()).collect()
    };
    // `O'Brien` is found as `obrien`, too.
    let mut found = of(&|[all, _]| begins(all) || begins(&all.replace('\'', "")));
    if found.len() < FEW {
        found.extend(of(&|[_, names]| names.contains(part)));
    }
    found
}

async fn found(client: &Client, path: &str, words: &str) -> BTreeSet<String> {
    let words = words
        .replace('%', "%25")
        .replace(' ', "%20")
        .replace('"', "%22")
        .replace('&', "%26");
    ids(&all(client, &format!("{path}?q={words}")).await)
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Words of plain letters, long enough to be distinctive.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() >= 5 && word.bytes().all(|b| b.is_ascii_lowercase()))
        .collect()
}

#[tokio::test]
async fn a_search_finds_what_holds_the_words() {
    let server = TestServer::sample().await;
    let client = &server.client;
    let mut conn = server.superuser().await;
    let mut searches = 0;
    for resource in support::resources().values() {
        if !resource
            .filters
            .iter()
            .any(|filter| filter.kind == Kind::Search)
        {
            continue;
        }
        let path = format!("/{}", resource.path);
        let rows = all(client, &path).await;
        let mut texts = Vec::new();
        for row in &rows {
            let id = row["id"].as_str().expect("an id").to_owned();
            texts.push((id, searched(&mut conn, resource.name, row).await));
        }
        let holding = |part: &str| holding(&texts, part);
        for (id, [text, _]) in texts.iter().step_by((texts.len() / 3).max(1)) {
            let words = words(text);
            let Some(word) = words.first() else { continue };
            // A whole word, a part from its middle, and its beginning.
            for part in [*word, &word[1..4], &word[..4]] {
                assert_eq!(
                    found(client, &path, part).await,
                    holding(part),
                    "{path}?q={part}"
                );
                assert_eq!(
                    found(client, &path, &part.to_uppercase()).await,
                    holding(part),
                    "{path}?q={part}"
                );
                searches += 1;
            }
            // Two words, in either order.
            if let Some(other) = words.iter().find(|other| *other != word) {
                let both = found(client, &path, &format!("{other} {word}")).await;
                assert!(both.contains(id), "{path}?q={other} {word}");
                assert!(
                    both.is_subset(&holding(word)) && both.is_subset(&holding(other)),
                    "{path}?q={other} {word}"
                );
                let without = found(client, &path, &format!("{word} -{other}")).await;
                assert!(!without.contains(id), "{path}?q={word} -{other}");
            }
        }
    }
    assert!(searches >= 40, "{searches}");
}

#[tokio::test]
async fn characters_of_patterns_are_characters() {
    let server = TestServer::sample().await;
    let client = &server.client;
    let mut conn = server.superuser().await;
    let mut texts = Vec::new();
    for row in all(client, "/events").await {
        let id = row["id"].as_str().expect("an id").to_owned();
        texts.push((id, searched(&mut conn, "event", &row).await));
    }
    for part in [
        "%",
        "_",
        "%%",
        "\\",
        "a%b",
        "'",
        "''); drop table app.events; --",
        "\"",
        ":*",
        "&",
        "|",
        "!",
        "(",
        "a & ",
        "<->",
    ] {
        // One or two characters match only at the beginning of a word, and nothing is found without a letter or digit.
        let shown = part.trim().to_lowercase();
        let shown = match shown.chars().count() < 3 {
            true => format!(" {shown}"),
            false => shown,
        };
        let is_word = part.contains(char::is_alphanumeric);
        let of_names = texts
            .iter()
            .filter(|(_, [_, names])| is_word && names.contains(&shown));
        let expected: BTreeSet<String> = of_names.map(|(id, _)| id.clone()).collect();
        let found = found(client, "/events", part).await;
        // Whole words may be found in addition: `a & ` is the word `a`.
        assert!(found.is_superset(&expected), "{part}");
        if !part.contains(char::is_alphanumeric) {
            assert_eq!(found, expected, "{part}");
        }
    }
    client.get("/events?q=").await.expect(422);
    client.get("/events?q=%20%20").await.expect(422);
    client
        .get(&format!("/events?q={}", "a".repeat(201)))
        .await
        .expect(422);
    client.get("/events?q=a%00b").await.expect(422);
}

/// Claim: a search finds the same with any form of accents that a keyboard may produce.
#[tokio::test]
async fn accents_and_normal_forms_do_not_matter() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let ids: Vec<String> =
        sqlx::query_scalar("select id::text from app.events_public order by id limit 4")
            .fetch_all(&mut conn)
            .await
            .expect("ids");
    for (id, title) in
        ids.iter()
            .zip(["Zürich tanzt", "Das café spielt", "Über die Straße", "Işık"])
    {
        let text = format!("update app.events set title = '{title}' where id = '{id}'");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("a title");
    }
    for (which, queries) in [
        (
            0,
            &[
                "zurich",
                "ZÜRICH",
                "Zu\u{308}rich",
                "zuri",
                "Zür",
                "rich tanz",
                "zurich -oper",
            ][..],
        ),
        (
            1,
            &["cafe", "café", "CAFE\u{301}", "caf", "\"cafe spielt\""],
        ),
        (2, &["strasse", "STRASSE", "straße", "uber die", "stras"]),
        (3, &["isik", "ışık", "IŞIK", "işik"]),
    ] {
        for query in queries {
            let found = found(&server.client, "/events", query).await;
            assert!(found.contains(&ids[which]), "{query}");
        }
    }
    for query in ["zurich -tanzt", "\"spielt cafe\"", "strassenbahn"] {
        let found = found(&server.client, "/events", query).await;
        assert!(ids.iter().all(|id| !found.contains(id)), "{query}");
    }
}

/// Claim: words are found that punctuation joins to others, and those of scripts without blanks.
#[tokio::test]
async fn words_without_blanks_between_them_are_found() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let ids: Vec<String> =
        sqlx::query_scalar("select id::text from app.events_public order by id limit 5")
            .fetch_all(&mut conn)
            .await
            .expect("ids");
    for (id, title) in ids.iter().zip([
        "Xylophon/Marimbaphon am 24.12.2027",
        "siehe https://kulturhausx.example/programmx",
        "国際音楽祭典",
        "서울국제재즈페스티벌",
        "O’Brien’s melbourne",
    ]) {
        // The words are searched in descriptions as well, where parts of words are not.
        let text = format!(
            "update app.events set title = 'Abend', description = '{title}' where id = '{id}'"
        );
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("a description");
    }
    for (which, queries) in [
        (
            0,
            &[
                "marimbaphon",
                "2027",
                "24.12",
                "xylophon marim",
                "xylophon/marimbaphon",
            ][..],
        ),
        (
            1,
            &[
                "programmx",
                "kulturhausx.example",
                "kulturhausx.example/prog",
            ],
        ),
        (2, &["音楽", "祭典", "音楽祭", "国際音楽祭典", "音"]),
        (3, &["재즈", "국제", "서울"]),
        (
            4,
            &[
                "obrien",
                "obriens",
                "o’brien",
                "o'brien's",
                "melb,",
                "melb.",
                "melb!",
                "melb*",
                "melb…",
            ],
        ),
    ] {
        for query in queries {
            let found = found(&server.client, "/events", query).await;
            assert!(found.contains(&ids[which]), "{query}");
        }
    }
    for query in ["24.13", "programmx -example", "際楽", "音楽 -祭典"] {
        let found = found(&server.client, "/events", query).await;
        assert!(ids.iter().all(|id| !found.contains(id)), "{query}");
    }
}

/// Claim: a common word is found completely over all pages, with filters, in nested lists and in other orders, each
/// row once; so are words that occur only as parts of names.
#[tokio::test]
async fn a_common_word_goes_on_over_pages() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let (city, host): (String, String) = sqlx::query_as(
        "with host as (select city_id, host_type, host_id from app.events where id in (select id from app.events_public) limit 1),
           made as (
             insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
             select city_id, host_type, host_id, case when g % 3 = 0 then 'Umtrunk ' else 'Trunk ' end || g, 'trunk-' || g,
               now() + g * interval '1 hour', now() + (g + 1) * interval '1 hour', 'UTC', 'published'
             from host, generate_series(1, 330) g
           )
         select city_id::text, host_id::text from host",
    )
    .fetch_one(&mut conn)
    .await
    .expect("many events");
    let client = &server.client;
    for (query, count) in [
        ("q=trunk", 220),
        ("q=umtrunk", 110),
        ("q=trunk%20or%20umtrunk", 330),
        ("q=trunk&sort=starts_at", 220),
        ("q=trunk&sort=id", 220),
        ("q=trunk&category=other", 220),
        ("q=trunk&state=draft", 0),
        ("q=mtrun", 110),
    ] {
        for path in [
            format!("/events?{query}"),
            format!("/events?{query}&city_id={city}"),
            format!("/events?{query}&host_id={host}"),
            format!("/cities/{city}/events?{query}"),
        ] {
            let rows = client.get(&format!("{path}&limit=1&count=exact")).await;
            if rows.status == 404 {
                continue;
            }
            let whole = all(client, &path).await;
            let distinct: BTreeSet<&str> = ids(&whole).into_iter().collect();
            assert_eq!((whole.len(), distinct.len()), (count, count), "{path}");
            let rows = rows.expect(200);
            assert_eq!(
                (&rows.json["count"], &rows.json["count_is_exact"]),
                (&json!(count), &json!(true)),
                "{path}"
            );
            let mut pages = BTreeSet::new();
            let mut next = format!("{path}&limit=7");
            loop {
                let page = client.get(&next).await.expect(200);
                for id in ids(page.json["data"].as_array().expect("a list")) {
                    assert!(pages.insert(id.to_owned()), "{path} repeats {id}");
                }
                match page.json["next_cursor"].as_str() {
                    Some(cursor) => next = format!("{path}&limit=7&cursor={cursor}"),
                    None => break,
                }
            }
            assert_eq!(pages.len(), count, "{path} by 7");
        }
    }
    let nowhere = format!("/events?q=trunk&city_id={}", uuid::Uuid::nil());
    assert!(all(client, &nowhere).await.is_empty());
}
