//! Every filter and every order of every list, compared with the rows themselves.

use crate::support::{
    self, Client, TestServer,
    pages::{all, ids},
};
use kernel::resource::{Filter, Kind, Resource};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use std::cmp::Ordering;
use uuid::Uuid;

/// Lists that the platform can read and that aren't empty, with their rows.
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

/// Compares values of a kind: numbers by value, times and dates by their text.
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

/// Ids of the rows for which the filter holds, in any order.
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

/// Up to three values of the rows, spread over the list.
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
    if matches!(
        kind,
        Kind::Uuid | Kind::Text | Kind::Formatted(_) | Kind::Enum(_)
    ) {
        let words: Vec<String> = values.iter().filter_map(|value| text(value)).collect();
        let expected = expected(rows, name, |other| {
            text(other).is_some_and(|other| words.contains(&other))
        });
        for query in several(name, &words) {
            let query = format!("{path}?{query}");
            assert_eq!(found(client, query.clone()).await, expected, "{query}");
            checked += 1;
        }
    }
    checked + others(client, filter, &path, rows, &values).await
}

/// One parameter with all words, and one parameter for each: both mean the same.
fn several(name: &str, words: &[String]) -> Vec<String> {
    if words.is_empty() {
        return Vec::new();
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| escaped(&word.replace('\\', r"\\").replace(',', r"\,")))
        .collect();
    let again: Vec<String> = words
        .iter()
        .map(|word| format!("{name}.in={word}"))
        .collect();
    vec![format!("{name}.in={}", words.join(",")), again.join("&")]
}

/// Tests filters for other values, for null, and for times by their day. Returns the number of requests.
async fn others(
    client: &Client,
    filter: &Filter,
    path: &str,
    rows: &[Value],
    values: &[&Value],
) -> usize {
    let name = filter.param;
    let where_it = |holds: &dyn Fn(&Value) -> bool| {
        let mut ids: Vec<&str> = ids(rows);
        let of = |id: &&str| rows.iter().find(|row| row["id"] == **id).expect("a row");
        ids.retain(|id| holds(&of(id)[name]));
        ids.sort_unstable();
        ids.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let mut asked: Vec<(String, Vec<String>)> = Vec::new();
    for value in values {
        let word = escaped(&text(value).expect("a value"));
        let differs = |other: &Value| other.is_null() || order(filter.kind, other, value).is_ne();
        asked.push((format!("{name}.ne={word}"), where_it(&differs)));
        if filter.kind != Kind::Time {
            continue;
        }
        let day = &value.as_str().expect("a time")[..10];
        type Holds = fn(Ordering) -> bool;
        let ways: [(&str, Holds); 6] = [
            ("", Ordering::is_eq),
            (".ne", Ordering::is_ne),
            (".gte", Ordering::is_ge),
            (".gt", Ordering::is_gt),
            (".lte", Ordering::is_le),
            (".lt", Ordering::is_lt),
        ];
        for (op, holds) in ways {
            let on = |other: &Value| match other.as_str() {
                Some(other) => holds(other[..10].cmp(day)),
                None => op == ".ne",
            };
            asked.push((format!("{name}{op}={day}"), where_it(&on)));
        }
    }
    if !filter.null.is_empty() {
        asked.push((format!("{name}.null=true"), where_it(&Value::is_null)));
        asked.push((
            format!("{name}.null=false"),
            where_it(&|value| !value.is_null()),
        ));
    } else {
        client
            .get(&format!("{path}?{name}.null=true"))
            .await
            .expect(422);
        assert!(
            rows.iter().all(|row| !row[name].is_null()),
            "{path}: {name} is null"
        );
    }
    for (query, expected) in &asked {
        let query = format!("{path}?{query}");
        assert_eq!(found(client, query.clone()).await, *expected, "{query}");
    }
    asked.len()
}

/// Filters by ids: some objects, and all but one.
#[tokio::test]
async fn every_list_can_be_cut_to_ids() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let (client, mut lists, mut nested) = (&platform.client, 0, 0);
    for (resource, rows) in filled(client).await {
        let path = format!("/{}", resource.path);
        let mut all = ids(&rows);
        all.sort_unstable();
        let some: Vec<&str> = all.iter().copied().step_by(2).take(50).collect();
        let nobody = Uuid::now_v7();
        let query = format!("{path}?id.in={},{nobody}", some.join(","));
        assert_eq!(found(client, query).await, some, "{path}");
        let others: Vec<&str> = all.iter().copied().filter(|id| *id != some[0]).collect();
        assert_eq!(
            found(client, format!("{path}?id.ne={}", some[0])).await,
            others,
            "{path}"
        );
        lists += 1;
        nested += usize::from(below(client, resource, &rows).await);
    }
    assert!(
        lists >= 25 && nested >= 8,
        "{lists} lists, {nested} of them with others below"
    );
}

/// The same in nested lists; objects of another parent are not found by their id. False: the entity has none.
async fn below(client: &Client, resource: &Resource, rows: &[Value]) -> bool {
    let mut found = false;
    for child in resource.children {
        for row in rows.iter().take(4) {
            let id = row["id"].as_str().expect("an id");
            let path = format!("/{}/{id}/{}", resource.path, child.path);
            let list = client.get(&format!("{path}?limit=3")).await;
            let inside: Vec<Value> = list.json["data"].as_array().cloned().unwrap_or_default();
            let Some(first) = inside.first().and_then(|row| row["id"].as_str()) else {
                continue;
            };
            let only = client
                .get(&format!("{path}?id.in={first},{}", Uuid::now_v7()))
                .await
                .expect(200);
            assert_eq!(
                ids(only.json["data"].as_array().expect("rows")),
                [first],
                "{path}"
            );
            let without = client
                .get(&format!("{path}?id.ne={first}"))
                .await
                .expect(200);
            assert!(
                !without.text.contains(&format!("\"id\":\"{first}\"")),
                "{path}"
            );
            if let Some(other) = rows.iter().find(|other| other["id"] != row["id"]) {
                let other = other["id"].as_str().expect("an id");
                let path = format!("/{}/{other}/{}?id.in={first}", resource.path, child.path);
                let elsewhere = client.get(&path).await.expect(200);
                assert_eq!(
                    elsewhere.json["data"].as_array().map(Vec::len),
                    Some(0),
                    "{path}"
                );
            }
            found = true;
            break;
        }
    }
    found
}

#[tokio::test]
async fn every_filter_gives_the_rows_it_names() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let (mut filters, mut checked) = (0, 0);
    for (resource, rows) in filled(&platform.client).await {
        for filter in resource.filters {
            let done = match filter.kind {
                Kind::Search => continue,
                Kind::Point => {
                    let path = format!("/{}", resource.path);
                    others(&platform.client, filter, &path, &rows, &[]).await
                }
                _ => check(&platform.client, resource, filter, &rows).await,
            };
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

/// The expected order of texts is the database's own.
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
        // The default order: the newest first.
        let mut newest = ids(&rows);
        newest.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(ids(&rows), newest, "{}", resource.path);
    }
    assert!(orders >= 80, "{orders}");
}

/// Small letters beside capital ones, ä beside a: not the order of code points, in which `Zebra` comes before `apple`.
#[tokio::test]
async fn texts_are_sorted_as_people_do() {
    let sorted = [
        "2 Tigers", "äpfel", "Apple", "apples", "Banana", "École", "ecology", "Öl", "ordinary",
        "Zebra",
    ];
    let server = TestServer::start().await;
    let (city, owner) = (server.city("melbourne").await, server.member("owner").await);
    for name in sorted.iter().rev() {
        let body = serde_json::json!({"city_id": city, "name": name});
        owner.client.post("/communities", body).await.expect(201);
    }
    for sign in ["", "-"] {
        // Pages of three: the cursor continues in the same order.
        let start = format!("/communities?city_id={city}&limit=3&sort={sign}name");
        let (mut names, mut next) = (Vec::new(), start.clone());
        loop {
            let page = owner.client.get(&next).await.expect(200);
            let rows = page.json["data"].as_array().expect("a list");
            names.extend(
                rows.iter()
                    .map(|row| row["name"].as_str().expect("a name").to_owned()),
            );
            match page.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("{start}&cursor={cursor}"),
                None => break,
            }
        }
        if sign == "-" {
            names.reverse();
        }
        assert_eq!(names, sorted, "{start}");
    }
}

/// The same order in every list that can be sorted by a text, since it is that of the collation.
#[test]
fn every_text_is_sorted_as_people_do() {
    let mut texts = 0;
    for resource in support::resources().values() {
        let sorts = resource.sorts.iter();
        for sort in sorts.filter(|sort| matches!(sort.kind, Kind::Text | Kind::Formatted(_))) {
            let is_icu = sort.sql.ends_with(r#" collate "und-x-icu""#);
            assert!(is_icu, "{} {}: {}", resource.name, sort.name, sort.sql);
            texts += 1;
        }
    }
    assert!(texts >= 14, "{texts}");
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
