//! `q=`: parts of words and whole words, in what is public.

use crate::support::{
    self, Client, TestServer, model,
    pages::{all, ids},
};
use kernel::resource::Kind;
use serde_json::Value;
use std::collections::BTreeSet;

fn searched(entity: &str, row: &Value) -> String {
    let (_, entity) = model().entity(entity).expect("an entity");
    let fields = entity.fields.iter().filter(|field| field.search);
    let texts: Vec<&str> = fields
        .map(|field| row[&field.name].as_str().unwrap_or_default())
        .collect();
    texts.join(" ").to_lowercase()
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

/// Words of plain letters, long enough to be told apart.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() >= 5 && word.bytes().all(|b| b.is_ascii_lowercase()))
        .collect()
}

#[tokio::test]
async fn a_search_finds_what_holds_the_words() {
    let server = TestServer::sample().await;
    let client = &server.client;
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
        let texts: Vec<(String, String)> = rows
            .iter()
            .map(|row| {
                (
                    row["id"].as_str().expect("an id").to_owned(),
                    searched(resource.name, row),
                )
            })
            .collect();
        let holding = |part: &str| -> BTreeSet<String> {
            texts
                .iter()
                .filter(|(_, text)| text.contains(part))
                .map(|(id, _)| id.clone())
                .collect()
        };
        for (id, text) in texts.iter().step_by((texts.len() / 3).max(1)) {
            let words = words(text);
            let Some(word) = words.first() else { continue };
            // A whole word, a part from its middle, in capitals.
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
            // Two words, whichever comes first.
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
    let rows = all(client, "/events").await;
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
        let expected: BTreeSet<String> = rows
            .iter()
            .filter(|row| searched("event", row).contains(&part.trim().to_lowercase()))
            .map(|row| row["id"].as_str().expect("an id").to_owned())
            .collect();
        let found = found(client, "/events", part).await;
        // Whole words may be found besides: `a & ` is the word `a`.
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
