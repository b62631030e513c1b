//! Unknown query parameters of hand-written routes are refused, as those of generated routes are: a mistyped one must
//! not silently do nothing.
//!
//! Handlers that take parameters report unknown ones themselves, together with all other errors. The other handlers do
//! not look at the query string. Which ones these are is read from the API document, so a new route needs nothing.
//! If such an operation has a body, both are refused together ([`kernel::http::Sent`]).

use crate::{api, modules};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::Method,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use kernel::{Caller, http::Beside, own::refuse_any};
use serde_json::Value;
use std::{collections::HashMap, sync::OnceLock};

/// Paths that accept any parameter: programs other than clients of the API add some to addresses that they were given
/// (providers to those of webhooks, pages to those of pictures, calendar programs). `/me` is answered by a generated
/// route, which refuses them.
const FREE: [&str; 7] = [
    "/calendar-feeds/{file}",
    "/me",
    "/media/files/{key}/{name}",
    "/webhooks/resend",
    "/webhooks/sendgrid",
    "/webhooks/stripe",
    "/webhooks/stripe-connect",
];

/// Wraps the hand-written routes.
pub fn refused(routes: Router) -> Router {
    routes.route_layer(from_fn(refuse))
}

async fn refuse(path: MatchedPath, request: Request, next: Next) -> Response {
    if request.uri().query().is_none_or(str::is_empty) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let method = match parts.method {
        Method::HEAD => "GET",
        ref other => other.as_str(),
    };
    let known = bare().get(&(method.to_owned(), path.as_str().to_owned()));
    if let Some(operation) = known
        && let Err(error) = refuse_any(parts.uri.query())
    {
        match operation {
            Bare::Body => {
                parts.extensions.insert(Beside::new(&error));
            }
            // The handler answers 401, which comes before errors in the request.
            Bare::Token if Caller::unproven(&parts).user().is_err() => {}
            Bare::Open | Bare::Token => return error.into_response(),
        }
    }
    next.run(Request::from_parts(parts, body)).await
}

/// An operation without query parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bare {
    /// It has a body, whose reader refuses the parameters together with what is wrong with the body.
    Body,
    /// The document says that no token is needed.
    Open,
    Token,
}

/// By method and path.
type Known = HashMap<(String, String), Bare>;

/// Made for the first request that has a query string, since reading the document takes a while.
fn bare() -> &'static Known {
    static BARE: OnceLock<Known> = OnceLock::new();
    BARE.get_or_init(|| {
        let own = serde_json::to_value(modules::document()).unwrap_or_default();
        let mut found = of_document(&api::amended());
        found.extend(of_document(&own));
        found
    })
}

fn of_document(document: &Value) -> Known {
    let mut found = Known::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        if FREE.contains(&path.as_str()) || takes_query(document, &item["parameters"]) {
            continue;
        }
        for (method, operation) in item.as_object().into_iter().flatten() {
            if method == "parameters" || takes_query(document, &operation["parameters"]) {
                continue;
            }
            let alternatives = operation["security"].as_array();
            let is_open = alternatives.is_some_and(|all| {
                let needs_nothing = |one: &Value| one.as_object().is_some_and(|one| one.is_empty());
                all.is_empty() || all.iter().any(needs_nothing)
            });
            let bare = match is_open {
                _ if operation["requestBody"]["content"]
                    .get("application/json")
                    .is_some() =>
                {
                    Bare::Body
                }
                true => Bare::Open,
                false => Bare::Token,
            };
            found.insert((method.to_uppercase(), path.clone()), bare);
        }
    }
    found
}

/// Whether one of the parameters is in the query string. A reference that leads nowhere counts as one.
fn takes_query(document: &Value, parameters: &Value) -> bool {
    let is_query = |parameter: &Value| match parameter["$ref"].as_str() {
        Some(target) => {
            let shared = document.pointer(target.trim_start_matches('#'));
            shared.is_none_or(|shared| shared["in"] == "query")
        }
        None => parameter["in"] == "query",
    };
    parameters.as_array().into_iter().flatten().any(is_query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_tells_which_operations_take_no_parameters() {
        let key = |method: &str, path: &str| (method.to_owned(), path.to_owned());
        let bare = bare();
        for (method, path, access) in [
            ("GET", "/events/{id}/sales", Bare::Token),
            ("GET", "/me/wallet", Bare::Token),
            ("PUT", "/events/{id}/view", Bare::Token),
            ("POST", "/notifications/read-all", Bare::Token),
            ("GET", "/events/{id}/calendar.ics", Bare::Open),
            ("GET", "/venues/{id}/rating", Bare::Open),
            ("POST", "/auth/sign-in", Bare::Body),
            ("POST", "/orders", Bare::Body),
        ] {
            assert_eq!(bare.get(&key(method, path)), Some(&access), "{path}");
        }
        for (method, path) in [
            ("GET", "/audit-logs"),
            ("GET", "/venues/top-rated"),
            ("GET", "/search"),
            ("GET", "/notifications/unsubscribe"),
            ("POST", "/notifications/unsubscribe"),
            ("POST", "/waitlist-entries/leave"),
            ("PUT", "/media/uploads/{id}/file"),
            ("POST", "/webhooks/stripe"),
            ("GET", "/me"),
            ("PATCH", "/me"),
        ] {
            assert_eq!(bare.get(&key(method, path)), None, "{path}");
        }
    }

    #[test]
    fn every_free_path_exists() {
        let own = serde_json::to_value(modules::document()).expect("JSON");
        let amended = api::amended();
        for path in FREE {
            let documents = [&own, &amended];
            let is_known = documents.iter().any(|one| one["paths"].get(path).is_some());
            assert!(is_known, "{path}");
        }
    }
}
