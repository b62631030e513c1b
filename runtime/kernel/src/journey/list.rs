//! `GET /events` and `GET /events/{id}/likes`

use super::{Call, require, require_with_roles, span};
use crate::{
    actor::Actor,
    caller::Caller,
    cx::{Reader, Work},
    engine::Endpoint,
    error::{Error, Result},
    list::{self, Page, Which, query::Query},
    resource::{Child, Resource},
    rule::Rule,
};
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

pub(crate) async fn list(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "list");
    run(endpoint, call, endpoint.resource(), None).await
}

/// `GET /events/archived`: what the caller may restore, newest first.
pub(crate) async fn archived(endpoint: &Endpoint, call: Call) -> Result<Response> {
    span(endpoint, "archived");
    let (resource, caller) = (endpoint.resource(), &call.caller);
    let rule = resource.rules.restore;
    require(rule, caller)?;
    let query = Query::read_page(resource, call.parts.uri.query().unwrap_or_default());
    let reader = endpoint.engine.db.read_archived(caller).await?;
    let query = match query {
        Ok(query) => query,
        Err(error) => return Err(wrong(error, caller, &[rule], reader).await),
    };
    let page = Page {
        engine: &endpoint.engine,
        caller,
        resource,
        query: &query,
        parent: None,
        which: Which::Archived,
    };
    answer(&page, reader, &[rule]).await
}

/// Restricted to one parent, which the caller must be able to see.
pub(crate) async fn children(
    endpoint: &Endpoint,
    call: Call,
    child: &'static Child,
) -> Result<Response> {
    span(endpoint, child.path);
    let parent = endpoint.resource();
    require(parent.rules.read, &call.caller)?;
    let Some(mounted) = endpoint.engine.entity(child.entity) else {
        return Err(Error::internal(format!("{} is not mounted", child.entity)));
    };
    run(endpoint, call, mounted.resource, Some((parent, child))).await
}

async fn run(
    endpoint: &Endpoint,
    call: Call,
    resource: &'static Resource,
    nested: Option<(&'static Resource, &'static Child)>,
) -> Result<Response> {
    let caller = &call.caller;
    require(resource.rules.read, caller)?;
    let query = Query::read(resource, call.parts.uri.query().unwrap_or_default());
    let work = match &query {
        Ok(query) if query.searches() => Work::Search,
        _ => Work::List,
    };
    let mut reader = endpoint.engine.db.read(caller, work).await?;
    let parent_rule = nested.map(|(parent, _)| parent.rules.read);
    let rules: Vec<_> = parent_rule
        .into_iter()
        .chain([resource.rules.read])
        .collect();
    let query = match query {
        Ok(query) => query,
        Err(error) => return Err(wrong(error, caller, &rules, reader).await),
    };
    let parent = match (nested, call.id) {
        (None, _) => None,
        (Some((parent, child)), Some(id)) if list::is_there(&mut reader, parent, id).await? => {
            Some((child.sql, id))
        }
        (Some((parent, _)), _) => {
            require_with_roles(parent.rules.read, caller, &mut reader.begin().await?).await?;
            return Err(Error::not_found());
        }
    };
    let page = Page {
        engine: &endpoint.engine,
        caller,
        resource,
        query: &query,
        parent,
        which: Which::Seen,
    };
    answer(&page, reader, &rules).await
}

/// The page. `rules` are those by which the caller sees the parent, if the list has one, and the list.
async fn answer(page: &Page<'_>, mut reader: Reader, rules: &[&'static Rule]) -> Result<Response> {
    let caller = page.caller;
    let found = match page.fetch(&mut reader).await {
        Ok(found) => found,
        Err(error) if error.status() == StatusCode::BAD_REQUEST => {
            return Err(wrong(error, caller, rules, reader).await);
        }
        Err(error) => return Err(error),
    };
    let body = page.write(&found, &mut reader).await?;
    if let Some(rule) = rules.last()
        && found.is_empty()
        && caller.actor != Actor::Anonymous
    {
        // An empty list and a list that the caller can never see are answered differently.
        require_with_roles(rule, caller, &mut reader.begin().await?).await?;
    }
    Ok(json(body))
}

/// The error of a request, for callers for whom all of these rules could ever hold; 401 or 403 for others.
async fn wrong(error: Error, caller: &Caller, rules: &[&'static Rule], reader: Reader) -> Error {
    let allowed = async {
        let mut cx = reader.begin().await?;
        for rule in rules {
            require_with_roles(rule, caller, &mut cx).await?;
        }
        Ok(())
    };
    let allowed: Result<()> = allowed.await;
    allowed.err().unwrap_or(error)
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
