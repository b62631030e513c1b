//! `/`: describes the API and links to its documents, for people and for programs. Knows no route of the application.

use axum::{
    Json, Router,
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write;

/// The contents of the page.
#[derive(Clone, Copy)]
pub struct Home {
    /// The API document, whose title and description are shown.
    pub document: fn() -> &'static str,
    /// Whether the document and its pages are served.
    pub docs: bool,
}

pub fn router(home: Home) -> Router {
    Router::new().route("/", get(move |headers: HeaderMap| page(home, headers)))
}

async fn page(home: Home, headers: HeaderMap) -> Response {
    let about = About::read((home.document)());
    let mut response = match wants_html(&headers) {
        true => Html(about.html(home.docs)).into_response(),
        false => Json(about.json(home.docs)).into_response(),
    };
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

#[derive(Deserialize)]
struct Document {
    info: About,
}

#[derive(Deserialize)]
struct About {
    title: String,
    #[serde(default)]
    description: String,
}

struct Link {
    name: &'static str,
    path: &'static str,
    what: &'static str,
}

const fn link(name: &'static str, path: &'static str, what: &'static str) -> Link {
    Link { name, path, what }
}

const DOCS: [Link; 2] = [
    link("docs", "/docs/", "All routes, to read and to try out"),
    link(
        "document",
        "/openapi.json",
        "The same for programs: an OpenAPI document",
    ),
];
const ALWAYS: [Link; 2] = [
    link(
        "problems",
        "/problems",
        "What the answers mean that are errors",
    ),
    link("health", "/livez", "Whether the server is alive"),
];

impl About {
    fn read(document: &str) -> Self {
        let read: Option<Document> = serde_json::from_str(document).ok();
        read.map_or(
            Self {
                title: "API".to_owned(),
                description: String::new(),
            },
            |document| document.info,
        )
    }

    /// The first paragraph only: the rest is for programmers.
    fn summary(&self) -> &str {
        self.description.split("\n\n").next().unwrap_or_default()
    }

    fn links(docs: bool) -> impl Iterator<Item = &'static Link> {
        let shown: &[Link] = if docs { &DOCS } else { &[] };
        shown.iter().chain(&ALWAYS)
    }

    fn html(&self, docs: bool) -> String {
        let mut links = String::new();
        for Link { path, what, .. } in Self::links(docs) {
            let _ = write!(links, "<li><a href=\"{path}\">{path}</a>: {what}.</li>");
        }
        let title = escaped(&self.title);
        let summary = escaped(self.summary());
        format!(
            "<!doctype html><html lang=\"en\"><title>{title}</title><h1>{title}</h1><p>{summary}</p>\
             <p>This is its API: it answers programs, with JSON.</p><ul>{links}</ul></html>"
        )
    }

    fn json(&self, docs: bool) -> serde_json::Value {
        let links: serde_json::Map<_, _> = Self::links(docs)
            .map(|link| (link.name.to_owned(), link.path.into()))
            .collect();
        json!({"name": self.title, "about": self.summary(), "links": links})
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Browsers ask for HTML explicitly; clients that accept anything get JSON, as elsewhere.
fn wants_html(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT);
    let all: Vec<&str> = values.iter().filter_map(|v| v.to_str().ok()).collect();
    let all = all.join(",");
    let quality = |wanted: &str| -> Option<f32> {
        all.split(',').find_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next()?.eq_ignore_ascii_case(wanted) {
                return None;
            }
            let quality = parts.find_map(|part| part.strip_prefix("q="));
            Some(quality.map_or(1.0, |text| text.parse().unwrap_or(0.0)))
        })
    };
    let html = quality("text/html").unwrap_or(0.0);
    html > 0.0 && html >= quality("application/json").unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_html_gets_it() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_html(&headers)
        };
        for html in [
            "text/html",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Text/HTML; q=0.9, application/json;q=0.5",
        ] {
            assert!(wants(html), "{html}");
        }
        for json in [
            "*/*",
            "application/json",
            "text/*",
            "text/html;q=0",
            "text/html;q=0.5, application/json",
            "",
        ] {
            assert!(!wants(json), "{json}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn a_title_is_text() {
        let about = About {
            title: "A < B & C".to_owned(),
            description: "One.\n\nTwo.".to_owned(),
        };
        let html = about.html(false);
        assert!(
            html.contains("<h1>A &lt; B &amp; C</h1><p>One.</p>"),
            "{html}"
        );
        assert!(!html.contains("/docs") && about.html(true).contains("/docs"));
    }
}
