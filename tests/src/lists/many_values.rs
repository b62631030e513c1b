//! Every filter of every list takes a hundred values, which is the maximum, written in one parameter or in one
//! parameter each.

use crate::support::{
    Client, TestServer,
    pages::{all, ids},
    resources,
};
use kernel::{
    input::Format,
    resource::{Filter, Kind},
};
use serde_json::Value;
use uuid::Uuid;

const MOST: usize = 100;

/// `count` values, the last of which is `real`. `None` if filters of this kind take no list of values.
fn values(kind: Kind, real: &str, count: usize) -> Option<Vec<String>> {
    let other = |at: usize| match kind {
        Kind::Uuid => Some(Uuid::now_v7().to_string()),
        Kind::Text | Kind::Formatted(_) => Some(format!("none{at}")),
        // An enum has fewer words than that, so some are repeated.
        Kind::Enum(words) => Some(words[at % words.len()].to_owned()),
        _ => None,
    };
    let mut values = (1..count).map(other).collect::<Option<Vec<String>>>()?;
    values.push(real.to_owned());
    Some(values)
}

/// The query with all values in one parameter, and the query with one parameter for each value.
fn written(param: &str, values: &[String]) -> [String; 2] {
    let again: Vec<String> = values
        .iter()
        .map(|value| format!("{param}.in={value}"))
        .collect();
    [format!("{param}.in={}", values.join(",")), again.join("&")]
}

/// Checks that the filter finds rows by a hundred values, and that the refusal of one more value tells the maximum.
async fn check(
    client: &Client,
    path: &str,
    param: &str,
    kind: Kind,
    real: &str,
    row: &str,
) -> bool {
    let (Some(most), Some(more)) = (values(kind, real, MOST), values(kind, real, MOST + 1)) else {
        return false;
    };
    for query in written(param, &most) {
        let answer = client.get(&format!("{path}?limit=100&{query}")).await;
        assert_eq!(answer.status, 200, "{path} {param}: {}", answer.text);
        let rows = answer.json["data"].as_array().expect("rows");
        assert!(!rows.is_empty(), "{path} {param}: {query}");
        // Enum filters match more rows than fit a page, so the row is only looked for with other kinds, which match
        // few rows.
        if !matches!(kind, Kind::Enum(_)) && answer.json["next_cursor"].is_null() {
            assert!(ids(rows).contains(&row), "{path} {param}: {query}");
        }
    }
    for query in written(param, &more) {
        let answer = client.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, 422, "{path} {param}: {}", answer.text);
        let error = &answer.json["errors"][0];
        assert_eq!(error["code"], "length", "{path} {param}: {}", answer.text);
        let detail = error["detail"].as_str().unwrap_or("");
        assert!(detail.contains("at most 100"), "{path} {param}: {detail}");
    }
    true
}

/// Whether the text needs no escaping in a query, since the test is only about the number of values.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=40).contains(&text.len()) && text.bytes().all(plain)
}

#[tokio::test]
async fn a_filter_takes_a_hundred_values_and_no_more() {
    let server = TestServer::sample().await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let client = &platform.client;
    let (mut lists, mut filters) = (0, 0);
    for resource in resources().values().copied() {
        let path = format!("/{}", resource.path);
        if client.get(&format!("{path}?limit=1")).await.status != 200 {
            continue;
        }
        let rows = all(client, &path).await;
        let Some(first) = rows.first().and_then(|row| row["id"].as_str()) else {
            continue;
        };
        assert!(check(client, &path, "id", Kind::Uuid, first, first).await);
        lists += 1;
        for filter in resource.filters {
            if let Some((real, row)) = known(filter, &rows) {
                let done = check(client, &path, filter.param, filter.kind, real, row).await;
                filters += usize::from(done);
            }
        }
    }
    assert!(
        lists >= 25 && filters >= 60,
        "{lists} lists, {filters} filters"
    );
}

/// A value that some row has, and the id of that row.
fn known<'r>(filter: &Filter, rows: &'r [Value]) -> Option<(&'r str, &'r str)> {
    rows.iter().find_map(|row| {
        let value = row[filter.param].as_str().filter(|value| is_plain(value))?;
        Some((value, row["id"].as_str()?))
    })
}

/// Checks the generated values themselves: as many as requested, and all different unless the kind has too few.
#[test]
fn values_are_as_many_as_wanted() {
    for kind in [Kind::Uuid, Kind::Text, Kind::Formatted(Format::Code)] {
        let mut values = values(kind, "real", MOST).expect("a list");
        assert_eq!(values.last().map(String::as_str), Some("real"));
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), MOST, "{kind:?}");
    }
    assert!(values(Kind::Bool, "true", MOST).is_none());
}
