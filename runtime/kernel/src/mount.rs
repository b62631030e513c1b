//! Mounted entities become routes.
//!
//! Knows the shape of the paths and which journey handles each, but not what the journeys do. A route exists if its
//! statement exists and its rule is not `nobody`.

use crate::{
    caller::Caller,
    cx::{Cx, Db},
    engine::{Endpoint, Engine},
    error::Result,
    input::{Input, Mode},
    journey::{self, Action, Call},
    list::cursor::CursorKey,
    resource::{Child, Resource},
    rule::Rule,
    value::parse_id,
};
use axum::{
    Router,
    extract::{Path, Request},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post, put},
};
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use std::sync::Arc;
use uuid::Uuid;

/// One entity and the application's code that belongs to it.
pub struct Mounted {
    pub resource: &'static Resource,
    pub hooks: Option<Arc<dyn Hooks>>,
}

/// Called inside the transaction, before the statement. May refuse with an error, or change the input.
pub trait Hooks: Send + Sync {
    fn before<'a>(
        &'a self,
        action: &'a str,
        cx: &'a mut Cx,
        id: Option<Uuid>,
        input: Option<&'a mut dyn Input>,
    ) -> BoxFuture<'a, Result<()>>;
}

/// The routes of all entities. `cursor_key` signs the cursors of lists and is the same on all instances.
///
/// # Panics
/// When an entity names hooks and has none: that is a mistake in the program, found at its start.
pub fn router(db: Db, mounted: Vec<Mounted>, cursor_key: &SecretString) -> Router {
    for entity in &mounted {
        let resource = entity.resource;
        assert!(
            resource.hooks.is_empty() || entity.hooks.is_some(),
            "the hooks of {} are missing",
            resource.name
        );
    }
    let engine = Arc::new(Engine::new(db, mounted, CursorKey::new(cursor_key)));
    let mut router = Router::new();
    for mounted in engine.entities() {
        let endpoint = Endpoint {
            engine: engine.clone(),
            mounted: mounted.clone(),
        };
        router = entity(router, &endpoint);
    }
    router
}

fn entity(mut router: Router, endpoint: &Endpoint) -> Router {
    let resource = endpoint.resource();
    let rules = &resource.rules;
    let all = format!("/{}", resource.path);
    let one = format!("{all}/{{id}}");

    if is_open(rules.read) {
        router = router
            .route(&all, list(endpoint))
            .route(&one, read(endpoint));
    }
    if resource.create.is_some() && is_open(rules.create) {
        router = router.route(&all, create(endpoint));
    }
    if resource.update.is_some() && is_open(rules.update) {
        router = router
            .route(&one, replace(endpoint))
            .route(&one, merge(endpoint));
    }
    if !resource.sql.archive.is_empty() && is_open(rules.delete) {
        router = router.route(&one, delete(act(endpoint, Action::Archive)));
    }
    if !resource.sql.restore.is_empty() && is_open(rules.restore) {
        router = router.route(&format!("{all}/archived"), archived(endpoint));
    }
    for (text, rule, action) in [
        (resource.sql.restore, rules.restore, Action::Restore),
        (resource.sql.suspend, rules.suspend, Action::Suspend),
        (resource.sql.unsuspend, rules.suspend, Action::Unsuspend),
    ] {
        if !text.is_empty() && is_open(rule) {
            router = router.route(
                &format!("{one}/{}", action.name()),
                post(act(endpoint, action)),
            );
        }
    }
    for transition in resource.transitions {
        let path = format!("{one}/{}", transition.name.replace('_', "-"));
        router = router.route(&path, post(act(endpoint, Action::Transition(transition))));
    }
    for child in resource.children {
        let Some(mounted) = endpoint.engine.entity(child.entity) else {
            continue;
        };
        if is_open(mounted.resource.rules.read) {
            router = router.route(&format!("{one}/{}", child.path), children(endpoint, child));
        }
    }
    router
}

fn is_open(rule: &Rule) -> bool {
    match rule {
        Rule::Nobody => false,
        Rule::Ref(rule) => is_open(rule),
        _ => true,
    }
}

// One closure per kind of route: compiled once, whatever the number of entities.

fn list(endpoint: &Endpoint) -> MethodRouter {
    let endpoint = endpoint.clone();
    get(move |request: Request| {
        let endpoint = endpoint.clone();
        async move { answer(journey::list::list(&endpoint, Call::new(request, None)).await) }
    })
}

fn archived(endpoint: &Endpoint) -> MethodRouter {
    let endpoint = endpoint.clone();
    get(move |request: Request| {
        let endpoint = endpoint.clone();
        async move { answer(journey::list::archived(&endpoint, Call::new(request, None)).await) }
    })
}

fn read(endpoint: &Endpoint) -> MethodRouter {
    let endpoint = endpoint.clone();
    get(move |Path(id): Path<String>, request: Request| {
        let endpoint = endpoint.clone();
        async move { answer(journey::get::get(&endpoint, Call::new(request, Some(&id))).await) }
    })
}

fn create(endpoint: &Endpoint) -> MethodRouter {
    let endpoint = endpoint.clone();
    post(move |request: Request| {
        let endpoint = endpoint.clone();
        async move { answer(journey::create::create(&endpoint, Call::new(request, None)).await) }
    })
}

fn replace(endpoint: &Endpoint) -> MethodRouter {
    put(update(endpoint, Mode::Replace))
}

fn merge(endpoint: &Endpoint) -> MethodRouter {
    patch(update(endpoint, Mode::Merge))
}

type Pending = BoxFuture<'static, Response>;

fn update(
    endpoint: &Endpoint,
    mode: Mode,
) -> impl Fn(Path<String>, Request) -> Pending + Clone + Send + Sync + 'static {
    let endpoint = endpoint.clone();
    move |Path(id), request| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            answer(journey::update::update(&endpoint, Call::new(request, Some(&id)), mode).await)
        })
    }
}

fn act(
    endpoint: &Endpoint,
    action: Action,
) -> impl Fn(Path<String>, Request) -> Pending + Clone + Send + Sync + 'static {
    let endpoint = endpoint.clone();
    move |Path(id), request| {
        let endpoint = endpoint.clone();
        Box::pin(async move {
            answer(journey::act::act(&endpoint, Call::new(request, Some(&id)), action).await)
        })
    }
}

fn children(endpoint: &Endpoint, child: &'static Child) -> MethodRouter {
    let endpoint = endpoint.clone();
    get(move |Path(id): Path<String>, request: Request| {
        let endpoint = endpoint.clone();
        async move {
            answer(journey::list::children(&endpoint, Call::new(request, Some(&id)), child).await)
        }
    })
}

fn answer(result: Result<Response>) -> Response {
    result.unwrap_or_else(IntoResponse::into_response)
}

impl Call {
    fn new(request: Request, id: Option<&str>) -> Self {
        let (parts, body) = request.into_parts();
        let caller = Caller::unproven(&parts);
        Self {
            caller,
            id: id.and_then(parse_id),
            parts,
            body,
        }
    }
}
