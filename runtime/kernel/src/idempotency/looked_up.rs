//! The state and stored answers of requests with an idempotency key, for a member who has lost an answer.

use crate::{cx::Cx, error::Result};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{Row, postgres::PgRow, types::Json};

/// One request with the key. A key may be used once on each route.
#[derive(Debug)]
pub struct LookedUp {
    pub method: String,
    /// The template of the path, such as `/orders/{id}/refunds`.
    pub route: String,
    /// `answered`, `in_progress` or `interrupted`.
    pub state: String,
    /// The number of attempts that have begun.
    pub attempt: i32,
    pub begun_at: DateTime<Utc>,
    /// The HTTP status of the answer. Like `headers` and `body`, `None` if there is no answer.
    pub status: Option<i32>,
    headers: Option<Map<String, Value>>,
    body: Option<Vec<u8>>,
}

impl LookedUp {
    /// The `Location` header of the answer. `None` if it has none, or there is no answer.
    pub fn location(&self) -> Option<&str> {
        self.headers.as_ref()?.get("location")?.as_str()
    }

    /// The body of the answer. `None` if it has none, or there is no answer.
    pub fn body(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }
}

/// The requests with this key that were made by the member of the transaction, the oldest first.
pub async fn look_up(cx: &mut Cx, key: &str) -> Result<Vec<LookedUp>> {
    let text = "select method, route, state, attempt, begun_at, status, headers, body from requests.look_up($1)";
    let rows = sqlx::query(text).bind(key).fetch_all(cx.conn()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

fn read(row: &PgRow) -> Result<LookedUp, sqlx::Error> {
    let headers: Option<Json<Map<String, Value>>> = row.try_get("headers")?;
    Ok(LookedUp {
        method: row.try_get("method")?,
        route: row.try_get("route")?,
        state: row.try_get("state")?,
        attempt: row.try_get("attempt")?,
        begun_at: row.try_get("begun_at")?,
        status: row.try_get("status")?,
        headers: headers.map(|Json(headers)| headers),
        body: row.try_get("body")?,
    })
}
