//! `/problems` and `/problems/{slug}`: what the problem types mean.

use crate::{
    error::{Error, Result},
    problems::{self, Kind},
};
use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use std::fmt::Write;

pub fn router() -> Router {
    Router::new()
        .route("/problems", get(all))
        .route("/problems/{slug}", get(one))
}

async fn all() -> Response {
    let mut list = String::new();
    for kind in problems::all() {
        let _ = write!(
            list,
            "<li>{} <a href=\"/problems/{}\">{}</a></li>",
            kind.status, kind.slug, kind.title
        );
    }
    page("Problem types", &format!("<ul>{list}</ul>"))
}

async fn one(Path(slug): Path<String>) -> Result<Response> {
    let Kind {
        slug,
        status,
        title,
        doc,
    } = problems::by_slug(&slug).ok_or_else(|| Error::new(&problems::NO_ROUTE))?;
    let body = format!(
        "<p>Status {status}, type <code>/problems/{slug}</code></p><p>{}</p>",
        code(doc)
    );
    Ok(page(title, &body))
}

/// All texts are constants of ours; nothing in them comes from a request.
fn page(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><title>{title}</title><h1>{title}</h1>{body}</html>"
    );
    let mut response = Html(page).into_response();
    let cache = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(header::CACHE_CONTROL, cache);
    response
}

/// `` `x` `` → `<code>x</code>`
fn code(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let _ = if index % 2 == 1 {
            write!(html, "<code>{part}</code>")
        } else {
            write!(html, "{part}")
        };
    }
    html
}
