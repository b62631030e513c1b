//! Between router and handler: authenticates the caller and applies the rate limit.

use super::{Http, stream};
use crate::{actor::Actor, auth::Identified, caller::Caller};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use uuid::Uuid;

/// The outer layer has put an anonymous caller with address and request id into the request.
pub(super) async fn identify(
    State(http): State<Arc<Http>>,
    mut request: Request,
    next: Next,
) -> Response {
    let Identified { actor, until } = match http.auth.authenticate(request.headers()).await {
        Ok(identified) => identified,
        Err(error) => return error.into_response(),
    };
    if let Some(until) = until {
        let span = stream::Span::new(until, http.stopping.subscribe());
        request.extensions_mut().insert(span);
    }
    let mut quota = None;
    if let Actor::User { id, .. } = actor {
        if let Some(limiter) = &http.per_user {
            match limiter.check(&id) {
                Ok(left) => quota = Some((limiter, left)),
                Err(refused) => return refused.into_response(),
            }
        }
        tracing::Span::current().record("user", tracing::field::display(id));
    }
    match request.extensions_mut().get_mut::<Caller>() {
        Some(caller) => caller.actor = actor,
        None => {
            let caller = Caller {
                actor,
                request_id: Uuid::now_v7(),
                ip: None,
            };
            request.extensions_mut().insert(caller);
        }
    }
    let mut response = next.run(request).await;
    if let Some((limiter, left)) = quota {
        limiter.describe(left, response.headers_mut());
    }
    response
}
