//! Reads lists to their end.

use super::Client;
use serde_json::Value;

/// The objects of all pages. `path` may contain a query.
pub async fn all(client: &Client, path: &str) -> Vec<Value> {
    let start = format!(
        "{path}{}limit=100",
        if path.contains('?') { '&' } else { '?' }
    );
    let mut rows = Vec::new();
    let mut next = start.clone();
    loop {
        let page = client.get(&next).await.expect(200);
        rows.extend(
            page.json["data"]
                .as_array()
                .expect("a list")
                .iter()
                .cloned(),
        );
        match page.json["next_cursor"].as_str() {
            Some(cursor) => next = format!("{start}&cursor={cursor}"),
            None => return rows,
        }
    }
}

/// The ids of the rows, in their order.
pub fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["id"].as_str().expect("an id"))
        .collect()
}
