//! `GET /events/{id}`

use super::{Call, Shown, require, require_with_roles, span, version};
use crate::{
    actor::Actor,
    caller::Caller,
    cx::{Question, Reader, Work},
    engine::Endpoint,
    error::{Error, Result},
    etag,
    list::{expand::Related, query::Query},
    resource::{Expand, Expanded, Resource},
};
use axum::{
    http::{StatusCode, header},
    response::Response,
};
use sqlx::{
    Arguments,
    postgres::{PgArguments, PgRow},
};
use uuid::Uuid;

pub(crate) async fn get(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "read");
    let resource = endpoint.resource();
    require(resource.rules.read, &call.caller)?;
    let expand = match call.parts.uri.query() {
        Some(text) => Query::read_expand(resource, text),
        None => Ok(Vec::new()),
    };
    let mut reader = endpoint.engine.db.read(&call.caller, Work::One).await?;
    let row = match (&expand, call.id) {
        (Ok(_), Some(id)) => reader
            .fetch(by_id(resource, &call.caller, id)?)
            .await?
            .pop(),
        _ => None,
    };
    let Some(row) = row else {
        if call.caller.actor != Actor::Anonymous {
            let mut cx = reader.begin().await?;
            require_with_roles(resource.rules.read, &call.caller, &mut cx).await?;
        }
        expand?;
        return Err(Error::not_found());
    };
    let mut expand = expand?;
    // An answer with one object has them anyway.
    expand.retain(|expand| expand.what != Expanded::Actions);
    let shown = if expand.is_empty() {
        drop(reader);
        Shown::of(resource, &row)?
    } else {
        let actor = &call.caller.actor;
        with_related(endpoint, (reader, actor), &expand, &row).await?
    };
    if etag::not_modified(&call.parts.headers, &shown.tag)? {
        let mut response = super::empty(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(header::ETAG, shown.tag);
        return Ok(response);
    }
    Ok(shown.answer(StatusCode::OK))
}

fn by_id(resource: &Resource, caller: &Caller, id: Uuid) -> Result<Question> {
    let mut arguments = PgArguments::default();
    arguments.add(id).map_err(Error::internal)?;
    Ok(Question {
        text: resource.get_text(&caller.actor).into(),
        arguments,
        keep: true,
    })
}

async fn with_related(
    endpoint: &Endpoint,
    (mut reader, actor): (Reader, &Actor),
    expand: &[&'static Expand],
    row: &PgRow,
) -> Result<Shown> {
    let related = Related::load(
        &endpoint.engine,
        &mut reader,
        (endpoint.resource(), actor),
        expand,
        std::slice::from_ref(row),
    )
    .await?;
    drop(reader);
    let mut body = Vec::with_capacity(2048);
    endpoint.resource().write(row, &mut body)?;
    related.write(expand, row, &mut body)?;
    Ok(Shown {
        tag: etag::tag(version(row)?, &body),
        body,
    })
}
