//! `POST /events`

use super::{
    Action, Call, Shown, Way, hook,
    refused::{self, Attempt},
    require, require_with_roles, span, try_again,
};
use crate::{
    caller::Caller,
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
    http::body,
    idempotency::{self, Claim, Request},
    input::Mode,
    list::query,
    problems,
    resource::Resource,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use sqlx::{Row, postgres::PgArguments};
use std::time::Duration;
use uuid::Uuid;

pub(crate) async fn create(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "create");
    require(endpoint.resource().rules.create, &call.caller)?;
    let text = body::read_json(&call.parts.headers, call.body, Mode::Create).await?;
    let extra = query::refuse_any(call.parts.uri.query());
    let keyed = keyed(endpoint, &call.caller, &call.parts.headers, &text)?;
    let mut attempt = 1;
    loop {
        match run(
            endpoint,
            &call.caller,
            &text,
            &extra,
            keyed.as_ref(),
            Way::Seen,
        )
        .await
        {
            Err(error) if try_again(&error, attempt) => attempt += 1,
            result => return result,
        }
    }
}

/// A stranger has no keys: anybody else could be meant.
fn keyed(
    endpoint: &Endpoint,
    caller: &Caller,
    headers: &HeaderMap,
    text: &[u8],
) -> Result<Option<Request>> {
    let Some(key) = idempotency::key(headers)? else {
        return Ok(None);
    };
    if caller.actor.user().is_none() {
        return Err(Error::new(&problems::BAD_REQUEST)
            .detail("`Idempotency-Key` is for signed-in callers; send the request without."));
    }
    let path = format!("/{}", endpoint.resource().path);
    Ok(Some(Request::new("POST", &path, &path, key, text)))
}

/// No longer than the transaction, which ends by itself.
const LEASE: Duration = Duration::from_secs(60);

async fn run(
    endpoint: &Endpoint,
    caller: &Caller,
    text: &[u8],
    extra: &Result<()>,
    keyed: Option<&Request>,
    way: Way,
) -> Result<Response> {
    let resource = endpoint.resource();
    let Some(decode) = resource.create else {
        return Err(Error::internal("no way to create"));
    };
    let decoded = match extra {
        Ok(()) => decode(text, Mode::Create).map_err(Error::from),
        Err(error) => Err(Error::from(error.problem().clone())),
    };
    let mut cx = endpoint.engine.db.begin_write(caller, "create").await?;
    let mut input = match decoded {
        Ok(input) => input,
        Err(error) => {
            require_with_roles(resource.rules.create, caller, &mut cx).await?;
            return Err(error);
        }
    };
    if let Some(keyed) = keyed
        && let Claim::Done(response) = keyed.claim(&mut cx, LEASE).await?
    {
        return Ok(response);
    }
    if let Err(error) = hook(endpoint, Action::Create, &mut cx, None, Some(&mut *input)).await {
        // Its reason is for those who may do this at all. The hook may have spoilt its transaction.
        if error.is_refusal() {
            drop(cx);
            let mut cx = endpoint.engine.db.begin_write(caller, "create").await?;
            require_with_roles(resource.rules.create, caller, &mut cx).await?;
        }
        return Err(error);
    }
    let mut arguments = PgArguments::default();
    input.bind(&mut arguments).map_err(Error::internal)?;
    let statement = match way {
        Way::Seen => resource.sql.create,
        Way::Unseen => without_returning(resource.sql.create),
    };
    let result = sqlx::query_with(statement, arguments)
        .fetch_optional(cx.conn())
        .await;
    let attempt = Attempt {
        endpoint,
        caller,
        action: Action::Create,
        id: None,
        body: text,
    };
    let row = match result {
        Ok(row) => row,
        Err(error) if way == Way::Seen && resource.created_unseen && refused::by_policy(&error) => {
            drop(cx);
            return Box::pin(run(endpoint, caller, text, extra, keyed, Way::Unseen)).await;
        }
        Err(error) => return Err(refused::explain(cx, &attempt, error).await),
    };
    let (id, shown) = match row {
        None => (made(&mut cx).await?, None),
        Some(row) => {
            let id = row.try_get("id")?;
            let shown = if resource.guarded {
                Shown::read(resource, &mut cx, id).await?
            } else {
                Some(Shown::of(resource, &row)?)
            };
            (id, shown)
        }
    };
    let answer = created(resource, id, shown)?;
    let Some(keyed) = keyed else {
        refused::commit(cx, &attempt).await?;
        return Ok(answer);
    };
    // In the same transaction: there is never the one without the other.
    let (parts, content) = answer.into_parts();
    let content = body::read(content).await?;
    keyed
        .keep(&mut cx, 1, parts.status, &parts.headers, &content)
        .await?;
    refused::commit(cx, &attempt).await?;
    Ok(Response::from_parts(parts, Body::from(content)))
}

/// The object that this transaction has made and does not show.
async fn made(cx: &mut Cx) -> Result<Uuid> {
    let id = sqlx::query_scalar("select sec.created()").fetch_one(cx.conn());
    Ok(id.await?)
}

fn without_returning(text: &'static str) -> &'static str {
    text.split_once("returning ")
        .map_or(text, |(before, _)| before)
}

/// Without a body for whoever may create but not read.
fn created(resource: &Resource, id: Uuid, shown: Option<Shown>) -> Result<Response> {
    let mut response = match shown {
        Some(shown) => shown.answer(StatusCode::CREATED),
        None => super::empty(StatusCode::CREATED),
    };
    let location = format!("/{}/{id}", resource.path);
    response.headers_mut().insert(
        header::LOCATION,
        HeaderValue::try_from(location).map_err(Error::internal)?,
    );
    Ok(response)
}
