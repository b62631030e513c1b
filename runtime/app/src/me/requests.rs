//! `GET /me/requests`: the state and the stored answers of the caller's requests with an idempotency key, for clients
//! that have lost the connection before the answer arrived.

use super::Me;
use axum::{
    Json,
    extract::{Query as Pairs, State},
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{
    Error, Member, Result,
    idempotency::{self, LookedUp},
    problem::{Item, refuse},
    problems,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Outcome of a request with an `Idempotency-Key`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "keyed_request")]
#[schema(example = json!({"object": "keyed_request", "method": "POST", "route": "/orders/{id}/refunds", "state": "answered",
    "attempt": 1, "begun_at": "2026-05-01T18:00:00Z", "status": 201, "location": null,
    "answer": {"object": "asked_refund", "id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8", "state": "pending", "currency": "AUD",
        "amount_cents": 4500, "card_cents": 4500, "wallet_cents": 0, "cash_cents": 0}}))]
pub(super) struct KeyedRequest {
    /// HTTP method of the request.
    method: String,
    /// Path of the operation, as in this document.
    route: String,
    /// `answered`: `status` and `answer` hold the response, even if the client never received it. `in_progress`: still
    /// running; ask again later. `interrupted`: ended without a response and may have had an effect; send the request
    /// again with the same key and body to complete it exactly once.
    state: String,
    /// Number of times processing was started.
    attempt: i32,
    begun_at: DateTime<Utc>,
    /// HTTP status of the response; null without one.
    status: Option<i32>,
    /// `Location` header of the response; null without one.
    location: Option<String>,
    /// Body of the response; null without one.
    #[schema(value_type = Option<Object>)]
    answer: Option<Value>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct KeyedRequestList {
    /// Oldest first; one for each route on which the key was used.
    data: Vec<KeyedRequest>,
}

impl From<LookedUp> for KeyedRequest {
    fn from(found: LookedUp) -> Self {
        Self {
            location: found.location().map(str::to_owned),
            answer: found.body(),
            method: found.method,
            route: found.route,
            state: found.state,
            attempt: found.attempt,
            begun_at: found.begun_at,
            status: found.status,
        }
    }
}

/// Look up the outcome of a request
///
/// For clients that lost the connection before the response arrived: returns the caller's own requests with this
/// `Idempotency-Key` and their responses. An empty list means that no such request has had an effect so far (it never
/// arrived, is still on its way, or was refused), or that its response was deleted, which happens after 72 hours at the
/// earliest. Sending the same request again with the same key is safe in each case.
#[utoipa::path(get, path = "/me/requests", operation_id = "getMyRequests", tag = "Me", security(("bearer" = [])),
    params(("key" = String, Query, description = "The `Idempotency-Key` that was sent", min_length = 16, max_length = 255,
        pattern = "^[!-~]+$", example = "0b8f6f0e-6c5e-7a41-9d3f-0f6a3c1be2d4")),
    responses(
        (status = 200, description = "The requests with this key", body = KeyedRequestList),
        (status = 422, description = "The key is invalid, or a parameter is unknown")))]
pub(super) async fn requests(State(me): State<Me>, caller: Member, uri: Uri) -> Result<Response> {
    let key = read(&uri)?;
    let mut cx = me.db.begin_read(caller.caller()).await?;
    let found = idempotency::look_up(&mut cx, &key).await?;
    drop(cx);
    let data = found.into_iter().map(KeyedRequest::from).collect();
    // The answers may contain the caller's private data, so they must not be cached.
    let headers = [(header::CACHE_CONTROL, "no-store")];
    Ok((headers, Json(KeyedRequestList { data })).into_response())
}

fn read(uri: &Uri) -> Result<String> {
    let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Error::new(&problems::BAD_REQUEST))?;
    let (mut key, mut wrong) = (None, Vec::new());
    for (name, value) in pairs {
        match name.as_str() {
            "key" if key.is_some() => {
                wrong.push(Item::query(name, "repeated", "Give each parameter once."));
            }
            "key" => key = Some(value),
            _ => {
                let detail = "This route has no such parameter.";
                wrong.push(Item::query(name, "unknown", detail));
            }
        }
    }
    let key = key.unwrap_or_default();
    if key.is_empty() {
        let detail = "Send the `Idempotency-Key` of the request.";
        wrong.push(Item::query("key", "required", detail));
    } else if !idempotency::is_key(&key) {
        let detail = "A key is 16 to 255 visible ASCII characters.";
        wrong.push(Item::query("key", "format", detail));
    }
    refuse(wrong)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_asked_for() {
        let read = |query: &'static str| {
            let uri = Uri::from_static(query);
            read(&uri).map_err(|error| {
                let items = error.problem().errors.iter();
                items.map(|item| item.code).collect::<Vec<_>>()
            })
        };
        assert_eq!(
            read("/?key=a%2Fb%3D0123456789abc"),
            Ok("a/b=0123456789abc".to_owned())
        );
        for (query, codes) in [
            ("/", vec!["required"]),
            ("/?key=short", vec!["format"]),
            ("/?key=0123456789%20abcdef", vec!["format"]),
            ("/?key=0123456789abcdef&key=x", vec!["repeated"]),
            ("/?key=0123456789abcdef&of=x", vec!["unknown"]),
        ] {
            assert_eq!(read(query), Err(codes), "{query}");
        }
    }
}
