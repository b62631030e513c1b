//! Every filter and every order of every list, against the rows themselves.

use crate::support::{
    self, Client, TestServer,
    pages::{all, ids},
};
use kernel::resource::{Filter, Kind, Resource};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::cmp::Ordering;
use uuid::Uuid;

/// Lists that the platform can read and that hold something, with their rows.
async fn filled(client: &Client) -> Vec<(&'static Resource, Vec<Value>)> {
    let mut resources: Vec<_> = support::resources().values().copied().collect();
    resources.sort_by_key(|resource| resource.name);
    let mut filled = Vec::new();
    for resource in resources {
        let path = format!("/{}", resource.path);
        if client.get(&format!("{path}?limit=1")).await.status != 200 {
            continue;
        }
        let rows = all(client, &path).await;
        if !rows.is_empty() {
            filled.push((resource, rows));
        }
    }
    filled
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// As the kind orders it: numbers by value, times and dates as the text that they are.
fn order(kind: Kind, one: &Value, other: &Value) -> Ordering {
    match kind {
        Kind::Int | Kind::Bigint | Kind::Decimal => {
            one.as_f64().partial_cmp(&other.as_f64()).expect("numbers")
        }
        Kind::Time => time(one).cmp(&time(other)),
        _ => text(one).cmp(&text(other)),
    }
}

fn time(value: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(value.as_str().expect("a time")).expect("RFC 3339")
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Ids of the rows for which the filter holds; in any order.
fn expected<'a>(rows: &'a [Value], name: &str, holds: impl Fn(&Value) -> bool) -> Vec<&'a str> {
    let mut ids: Vec<&str> = rows
        .iter()
        .filter(|row| !row[name].is_null() && holds(&row[name]))
        .map(|row| row["id"].as_str().expect("an id"))
        .collect();
    ids.sort_unstable();
    ids
}

async fn found(client: &Client, path: String) -> Vec<String> {
    let mut found: Vec<String> = ids(&all(client, &path).await)
        .into_iter()
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found
}

/// Up to three values that rows have, spread over the list.
fn samples<'a>(rows: &'a [Value], name: &str) -> Vec<&'a Value> {
    let mut values: Vec<&Value> = rows
        .iter()
        .map(|row| &row[name])
        .filter(|value| !value.is_null())
        .collect();
    values.sort_by_key(|value| value.to_string());
    values.dedup();
    let step = (values.len() / 2).max(1);
    values.into_iter().step_by(step).take(3).collect()
}

async fn check(client: &Client, resource: &Resource, filter: &Filter, rows: &[Value]) -> usize {
    let (name, kind) = (filter.param, filter.kind);
    let path = format!("/{}", resource.path);
    let values = samples(rows, name);
    let mut checked = 0;
    for value in &values {
        let word = escaped(&text(value).expect("a value"));
        let mut queries = vec![(format!("{path}?{name}={word}"), Ordering::Equal, true)];
        if matches!(
            kind,
            Kind::Int | Kind::Bigint | Kind::Decimal | Kind::Time | Kind::Date
        ) {
            queries.push((format!("{path}?{name}.gte={word}"), Ordering::Less, false));
            queries.push((format!("{path}?{name}.gt={word}"), Ordering::Greater, true));
            queries.push((
                format!("{path}?{name}.lte={word}"),
                Ordering::Greater,
                false,
            ));
            queries.push((format!("{path}?{name}.lt={word}"), Ordering::Less, true));
        }
        for (query, ordering, wanted) in queries {
            let expected = expected(rows, name, |other| {
                (order(kind, other, value) == ordering) == wanted
            });
            assert_eq!(found(client, query.clone()).await, expected, "{query}");
            checked += 1;
        }
    }
    if matches!(kind, Kind::Uuid | Kind::Text | Kind::Enum(_))
        && values.iter().all(|value| !value.to_string().contains(','))
    {
        let words: Vec<String> = values.iter().filter_map(|value| text(value)).collect();
        let query = format!(
            "{path}?{name}.in={}",
            words
                .iter()
                .map(|word| escaped(word))
                .collect::<Vec<_>>()
                .join(",")
        );
        let expected = expected(rows, name, |other| {
            text(other).is_some_and(|other| words.contains(&other))
        });
        if !words.is_empty() {
            assert_eq!(found(client, query.clone()).await, expected, "{query}");
            checked += 1;
        }
    }
    checked
}

#[tokio::test]
async fn every_filter_gives_the_rows_it_names() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let (mut filters, mut checked) = (0, 0);
    for (resource, rows) in filled(&platform.client).await {
        for filter in resource
            .filters
            .iter()
            .filter(|filter| !matches!(filter.kind, Kind::Search | Kind::Point))
        {
            let done = check(&platform.client, resource, filter, &rows).await;
            filters += usize::from(done > 0);
            checked += done;
        }
    }
    assert!(
        filters >= 60 && checked >= 200,
        "{filters} filters, {checked} queries"
    );
}

#[tokio::test]
async fn filters_are_joined_by_and() {
    let server = TestServer::sample().await;
    let rows = all(&server.client, "/events").await;
    let one = &rows[rows.len() / 2];
    let (city, category, start) = (&one["city_id"], &one["category"], &one["starts_at"]);
    let word = |value: &Value| escaped(value.as_str().expect("a text"));
    let query = format!(
        "/events?city_id={}&category={}&starts_at.lte={}&sort=-starts_at",
        word(city),
        word(category),
        word(start)
    );
    let found = all(&server.client, &query).await;
    let expected = rows
        .iter()
        .filter(|row| {
            &row["city_id"] == city
                && &row["category"] == category
                && time(&row["starts_at"]) <= time(start)
        })
        .count();
    assert_eq!(found.len(), expected);
    assert!(expected >= 1 && expected < rows.len());
    assert!(found.is_sorted_by(|one, other| time(&one["starts_at"]) >= time(&other["starts_at"])));
}

/// The database orders texts its own way, so it is the one that is asked.
#[tokio::test]
async fn every_order_is_the_one_it_names() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut orders = 0;
    for (resource, rows) in filled(&platform.client).await {
        let seen: Vec<Uuid> = ids(&rows)
            .into_iter()
            .map(|id| id.parse().expect("an id"))
            .collect();
        let own = resource.sorts.iter().map(|sort| (sort.name, sort.sql));
        for (name, column) in own.chain([("id", "t.id")]) {
            for (sign, direction) in [("", "asc"), ("-", "desc")] {
                let counts = match column.starts_with("counts.") {
                    true => format!(" join counters.{} counts using (id)", resource.plural),
                    false => String::new(),
                };
                let text = format!(
                    "select t.id::text from app.{} t{counts} where t.id = any($1) order by {column} {direction}, t.id {direction}",
                    resource.plural
                );
                let expected: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text))
                    .bind(&seen)
                    .fetch_all(&mut conn)
                    .await
                    .expect("ids");
                let path = format!("/{}?sort={sign}{name}", resource.path);
                assert_eq!(ids(&all(&platform.client, &path).await), expected, "{path}");
                orders += 1;
            }
        }
        // Without an order: the newest first.
        let mut newest = ids(&rows);
        newest.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(ids(&rows), newest, "{}", resource.path);
    }
    assert!(orders >= 80, "{orders}");
}

#[tokio::test]
async fn nothing_but_what_is_named_can_be_filtered_or_sorted_by() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    for (resource, rows) in filled(&platform.client).await {
        let path = format!("/{}", resource.path);
        let filters: Vec<&str> = resource.filters.iter().map(|filter| filter.param).collect();
        let sorts: Vec<&str> = resource.sorts.iter().map(|sort| sort.name).collect();
        for name in rows[0].as_object().expect("an object").keys() {
            if !filters.contains(&name.as_str()) {
                platform
                    .client
                    .get(&format!("{path}?{name}=1"))
                    .await
                    .expect(422);
            }
            if !sorts.contains(&name.as_str()) && name != "id" {
                platform
                    .client
                    .get(&format!("{path}?sort={name}"))
                    .await
                    .expect(422);
            }
        }
        for sort in [
            "",
            "-",
            "--id",
            "created_at",
            "-updated_at",
            "id,version",
            "t.id",
            "id%20desc",
            "1",
            "id;",
        ] {
            let answer = platform.client.get(&format!("{path}?sort={sort}")).await;
            assert_eq!(answer.status, 422, "{path}?sort={sort}: {}", answer.text);
        }
    }
}
