//! `GET /events/{id}`

use super::{Call, Shown, require, require_with_roles, span, version};
use crate::{
    actor::Actor,
    engine::Endpoint,
    error::{Error, Result},
    etag,
    list::{expand::Related, query::Query},
};
use axum::{
    http::{StatusCode, header},
    response::Response,
};

pub(crate) async fn get(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "read");
    let resource = endpoint.resource();
    require(resource.rules.read, &call.caller)?;
    let expand = match call.parts.uri.query() {
        Some(text) => Query::read_expand(resource, text),
        None => Ok(Vec::new()),
    };
    let mut cx = endpoint.engine.db.begin_read(&call.caller).await?;
    let row = match (&expand, call.id) {
        (Ok(_), Some(id)) => {
            sqlx::query(resource.get_text(&call.caller.actor))
                .bind(id)
                .fetch_optional(cx.conn())
                .await?
        }
        _ => None,
    };
    let Some(row) = row else {
        if call.caller.actor != Actor::Anonymous {
            require_with_roles(resource.rules.read, &call.caller, &mut cx).await?;
        }
        expand?;
        return Err(Error::not_found());
    };
    let expand = expand?;
    let shown = if expand.is_empty() {
        Shown::of(resource, &row)?
    } else {
        let related = Related::load(
            &endpoint.engine,
            &mut cx,
            &expand,
            std::slice::from_ref(&row),
        )
        .await?;
        let mut body = Vec::with_capacity(2048);
        (resource.encode)(&row, &mut body)?;
        related.write(&expand, &row, &mut body)?;
        Shown {
            tag: etag::tag(version(&row)?, &body),
            body,
        }
    };
    drop(cx);
    if etag::not_modified(&call.parts.headers, &shown.tag)? {
        let mut response = super::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(header::ETAG, shown.tag);
        return Ok(response);
    }
    Ok(shown.answer(StatusCode::OK))
}
