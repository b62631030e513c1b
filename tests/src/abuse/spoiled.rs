//! Case 77: queries and headers that are nearly right, spoiled at random. Always the same way; `ROUNDS=100000` looks longer,
//! `SEED=…` elsewhere, `script/fuzz` both. What panics or fails in the server is an answer of 500. The spec's own parser has the same in
//! `codegen/tests/never_panics.rs`.

use crate::support::{Answer, Client, TestServer, document, events::ENDLESS};
use fastrand::Rng;
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde_json::Value;
use server::seed::demo::PEOPLE;

/// What filters, orders, cursors and headers are made of, right and wrong.
const PIECES: [&str; 52] = [
    "",
    "0",
    "-1",
    "1",
    "20",
    "101",
    "99999999999999999999",
    "1.5",
    "1e400",
    "NaN",
    "true",
    "null",
    "name",
    "-name",
    "created_at",
    "-starts_at,id",
    "id,,id",
    "a,b,c,d,e,f,g",
    "2041-05-01",
    "2041-05-01T18:00:00Z",
    "2041-13-45T99:99:99Z",
    "10000-01-01T00:00:00Z",
    "0000-00-00",
    "-infinity",
    "now()",
    "47.4,8.4",
    "91,181",
    "47.4",
    "-180,-90,180,90",
    "170,-10,-170,10",
    "1,2,3",
    "00000000-0000-0000-0000-000000000000",
    "0190-",
    "exact",
    "%",
    "%00",
    "%FF%FE",
    "%F0%9F%92%A9",
    "'",
    "\"",
    "%5C",
    "*",
    ":*",
    "!",
    "%28%28%28",
    "a%26",
    "%7C",
    "%3C-%3E",
    "..%2F..",
    "%0D%0AX:%201",
    "%E2%80%AE",
    "eyJhIjoxfQ",
];

/// Headers that somebody here reads.
const HEADERS: [&str; 16] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-type",
    "expect",
    "forwarded",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "origin",
    "prefer",
    "range",
    "traceparent",
    "x-forwarded-for",
    "x-request-id",
];

const VALUES: [&str; 24] = [
    "",
    "*",
    "\"\"",
    "W/\"1\"",
    "\"1\", \"2\"",
    "\"1",
    "1",
    "-1",
    "bytes=0-",
    "Bearer",
    "Bearer ",
    "Bearer a.b.c",
    "Basic YTpi",
    "application/json",
    "application/json; charset=utf-16",
    "text/html;q=0.0001",
    ";;;,,,",
    "gzip, br;q=2",
    "100-continue",
    "for=\"[::1]:80\"",
    "127.0.0.1, unknown",
    "00-00000000000000000000000000000000-0000000000000000-00",
    "null",
    "\t",
];

/// One thing that can be asked: a path, and the names of its parameters.
struct Question {
    path: String,
    parameters: Vec<String>,
}

fn questions(ids: &[String]) -> Vec<Question> {
    let paths = document()["paths"].as_object().expect("paths");
    let gets = paths
        .iter()
        .filter(|(path, item)| path.as_str() != ENDLESS && item["get"].is_object());
    gets.map(|(path, item)| {
        let named = [&item["parameters"], &item["get"]["parameters"]];
        let all = named.into_iter().filter_map(Value::as_array).flatten();
        let of_the_query = all.filter(|parameter| parameter["in"] == "query");
        let id = &ids[path.len() % ids.len()];
        Question {
            path: filled(path, id),
            parameters: of_the_query
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect(),
        }
    })
    .collect()
}

/// Every parameter of the path is this.
fn filled(path: &str, id: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => id,
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// A value with something torn out, put in, or doubled.
fn spoil(text: &str, random: &mut Rng) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..=letters.len());
        match random.u8(0..4) {
            0 => letters.truncate(at),
            1 => letters
                .splice(at..at, random.choice(PIECES).unwrap_or("").chars())
                .for_each(drop),
            2 if at < letters.len() => {
                letters[at] = char::from(random.choice("%09aZ-_.~,:".bytes()).unwrap_or(b'x'))
            }
            _ => letters.extend_from_within(at..),
        }
    }
    letters.into_iter().take(300).collect()
}

fn query(question: &Question, kept: &[String], random: &mut Rng) -> String {
    let names = (0..random.usize(0..5)).map(|_| match random.u8(0..6) {
        0 => spoil("city_id", random),
        _ => random
            .choice(&question.parameters)
            .cloned()
            .unwrap_or_default(),
    });
    let names: Vec<String> = names.collect();
    let pairs = names.into_iter().map(|name| {
        // A cursor that was one, with a letter wrong, comes further than noise.
        let value = match random.choice(kept) {
            Some(cursor) if name == "cursor" || random.u8(0..9) == 0 => cursor.clone(),
            _ => random.choice(PIECES).unwrap_or("").to_owned(),
        };
        let value = match random.bool() {
            true => spoil(&value, random),
            false => value,
        };
        format!("{name}={value}")
    });
    pairs.collect::<Vec<_>>().join("&")
}

async fn ask(client: &Client, path: &str, random: &mut Rng) -> Option<Answer> {
    let mut headers = Vec::new();
    for _ in 0..random.usize(0..3) {
        let name = random.choice(HEADERS).unwrap_or("accept");
        let value = match random.bool() {
            true => random.choice(VALUES).unwrap_or("").to_owned(),
            false => spoil(random.choice(VALUES).unwrap_or(""), random),
        };
        let is_good = HeaderValue::from_str(&value).is_ok() && HeaderName::try_from(name).is_ok();
        // The library of the client waits for the go-ahead itself.
        if is_good && name != "expect" {
            headers.push((name, value));
        }
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    client
        .try_send(Method::GET, path, Vec::new(), &headers)
        .await
        .ok()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_77_spoiled_queries_and_headers_are_refused_and_break_nothing() {
    let server = TestServer::sample().await;
    let olga = server.sign_in(PEOPLE[2].id).await;
    let clients = [&server.client, &olga.client];
    let mut kept = Vec::new();
    let mut ids = Vec::new();
    for path in [
        "/events?limit=1",
        "/venues?limit=1",
        "/users?limit=1",
        "/organizations?limit=1&sort=name",
    ] {
        let list = olga.client.get(path).await.expect(200).json;
        kept.extend(list["next_cursor"].as_str().map(str::to_owned));
        ids.extend(list["data"][0]["id"].as_str().map(str::to_owned));
    }
    assert!(kept.len() >= 2 && ids.len() >= 2, "{kept:?} {ids:?}");
    let seed = number("SEED", 0x5eed);
    let mut random = Rng::with_seed(seed);
    let questions = questions(&ids);
    let mut answered = [0; 6];
    for _ in 0..number("ROUNDS", 600) {
        let question = random.choice(&questions).expect("a question");
        let path = format!("{}?{}", question.path, query(question, &kept, &mut random));
        let client = clients[random.usize(0..2)];
        let Some(answer) = ask(client, &path, &mut random).await else {
            continue;
        };
        let status = answer.status.as_u16();
        assert_ne!(status, 500, "SEED={seed} GET {path}: {}", answer.text);
        if status >= 400 {
            assert!(
                answer.json["type"].is_string(),
                "SEED={seed} GET {path}: {status} {}",
                answer.text
            );
        }
        answered[usize::from(status / 100)] += 1;
    }
    // Neither everything is refused nor nothing: it comes as far as the database.
    assert!(answered[2] > 20 && answered[4] > 100, "{answered:?}");
    olga.client.get("/events").await.expect(200);
}
