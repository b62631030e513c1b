//! `/me`: the caller's own profile and everything that belongs to it.
//!
//! Each route is the generated one below `/users/{id}` with the caller's id in it, so that rules, paging,
//! ETags and documentation are the same. [`export`] puts all of them into one file.

mod document;
mod export;
mod requests;

use crate::access::{Access, Table};
use crate::module::{Module, NoSettings, Parts};
use axum::{
    Router,
    extract::{Request, State},
    http::{Uri, uri::PathAndQuery},
    response::{IntoResponse, Response},
    routing::get,
};
use export::{Exporting, Exports};
use generated::user::USER;
use kernel::{Caller, Db, Error, Result, http::ConfigError, openapi::Objects};
use serde_json::Value;
use tower::ServiceExt;
use utoipa::{OpenApi, openapi};

/// The module. Has no tables of its own.
#[derive(Clone)]
pub struct Me {
    db: Db,
    exports: Exports,
}

impl Module for Me {
    const NAME: &'static str = "me";
    type Settings = NoSettings;

    fn new(parts: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
        Ok(Self {
            db: parts.db.clone(),
            exports: Exports::default(),
        })
    }

    fn routes(&self, generated: &Router) -> Router {
        let profile = get(forward).put(forward).patch(forward).delete(forward);
        let mut router = Router::new().route("/me", profile);
        for child in USER.children {
            router = router.route(&format!("/me/{}", child.path), get(forward));
        }
        let exporting = Exporting {
            module: self.clone(),
            generated: generated.clone(),
        };
        let own = Router::new().route("/me/export", get(export::export));
        let asked = Router::new().route("/me/requests", get(requests::requests));
        router
            .with_state(generated.clone())
            .merge(own.with_state(exporting))
            .merge(asked.with_state(self.clone()))
    }

    fn access() -> Table {
        &[
            ("exportMe", Access::Member),
            ("getMyRequests", Access::Member),
        ]
    }

    fn document() -> openapi::OpenApi {
        Document::openapi()
    }

    fn amend(document: &mut Value) {
        document::add(document);
    }
}

static OBJECTS: Objects = Objects(&[("KeyedRequest", "keyed_request")]);

#[derive(OpenApi)]
#[openapi(paths(export::export, requests::requests), modifiers(&OBJECTS))]
struct Document;

async fn forward(State(generated): State<Router>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    // The engine verifies the caller, in the same statement that answers the request.
    match rewrite(&parts.uri, &Caller::unproven(&parts)) {
        Ok(uri) => parts.uri = uri,
        Err(error) => return error.into_response(),
    }
    match generated.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// `/me/likes?limit=5` → `/users/<caller>/likes?limit=5`
fn rewrite(uri: &Uri, caller: &Caller) -> Result<Uri> {
    let user = caller.user()?;
    let rest = uri.path().strip_prefix("/me").unwrap_or_default();
    let query = uri
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let text = format!("/{}/{user}{rest}{query}", USER.path);
    Ok(Uri::from(
        text.parse::<PathAndQuery>().map_err(Error::internal)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Actor;
    use uuid::Uuid;

    #[test]
    fn me_is_the_caller() {
        let id = Uuid::from_u128(7);
        let mut caller = Caller::anonymous(Uuid::nil());
        let uri = Uri::from_static("/me/likes?limit=5");
        assert_eq!(rewrite(&uri, &caller).unwrap_err().status(), 401);
        caller.actor = Actor::User { id, session: None };
        assert_eq!(
            rewrite(&uri, &caller).unwrap().to_string(),
            format!("/users/{id}/likes?limit=5")
        );
        assert_eq!(
            rewrite(&Uri::from_static("/me"), &caller)
                .unwrap()
                .to_string(),
            format!("/users/{id}")
        );
    }
}
