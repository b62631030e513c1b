//! `/dev/outbox`: one page with the messages that `fake-messengers` has received, for development.
//!
//! The server does not start with it in production, because it would show everybody's mail to everybody.

use anyhow::{Result, ensure};
use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use std::{fmt::Write, sync::Arc, time::Duration};
use url::Url;

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
    article{border:1px solid #ccc;border-radius:.4rem;padding:.5rem 1rem;margin:1rem 0}\
    h3{margin:.2rem 0}pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}\
    small{color:#555}";

/// Pages of the web app to which mails lead with a token, and what they send to the operation of the same name besides
/// the token.
const PAGES: [(&str, &str); 3] = [
    ("verify-email", r#", "password": "seven small elephants""#),
    ("reset-password", r#", "password": "seven small elephants""#),
    ("confirm-email", ""),
];

struct Outbox {
    client: reqwest::Client,
    url: String,
}

/// Only addresses on this machine are accepted.
pub fn router(url: Url) -> Result<Router> {
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    ensure!(
        is_local && url.scheme() == "http",
        "it is for something on this machine, such as http://127.0.0.1:8422"
    );
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(5))
        .build()?;
    let url = format!("{}/sent", url.as_str().trim_end_matches('/'));
    let outbox = Arc::new(Outbox { client, url });
    Ok(Router::new()
        .route("/dev/outbox", get(page))
        .with_state(outbox))
}

async fn page(State(outbox): State<Arc<Outbox>>) -> Response {
    let (status, body) = match outbox.sent().await {
        Some(sent) => (StatusCode::OK, listed(&sent)),
        None => (
            StatusCode::BAD_GATEWAY,
            "<p>What DEV_OUTBOX_URL names does not answer. <code>script/run</code> starts it.</p>"
                .to_owned(),
        ),
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Outbox</title><style>{STYLE}</style>\
         <main><h1>Outbox</h1>{body}</main></html>"
    );
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(html)).into_response()
}

impl Outbox {
    async fn sent(&self) -> Option<Value> {
        let response = self.client.get(&self.url).send().await.ok()?;
        response.error_for_status().ok()?.json().await.ok()
    }
}

/// Newest first.
fn listed(sent: &Value) -> String {
    let all = |name: &str| sent[name].as_array().cloned().unwrap_or_default();
    let mut html = String::new();
    for (title, list, one) in [
        ("Mail", all("mail"), mail as fn(&Value) -> String),
        ("Push", all("push"), push),
    ] {
        let _ = write!(html, "<h2>{title}</h2>");
        if list.is_empty() {
            html.push_str("<p>Nothing yet.</p>");
        }
        for message in list.iter().rev() {
            let copies = match message["copies"].as_u64() {
                Some(copies) if copies > 1 => format!(", {copies} times"),
                _ => String::new(),
            };
            let _ = write!(
                html,
                "<article>{}<small>{} by {}{copies}</small></article>",
                one(message),
                text(&message["at"]),
                text(&message["service"]),
            );
        }
    }
    html
}

fn mail(mail: &Value) -> String {
    let mut html = format!(
        "<h3>{}</h3><p>To {}</p><pre>{}</pre>",
        text(&mail["subject"]),
        text(&mail["to"]),
        linked(mail["text"].as_str().unwrap_or_default()),
    );
    if let Some(command) = command(mail["text"].as_str().unwrap_or_default()) {
        let _ = write!(
            html,
            "<p>The link leads to a page of the web app. Without one, this does what the page does:</p>\
             <pre><code>{}</code></pre>",
            escape(&command)
        );
    }
    if mail["html"].is_string() {
        let source = text(&mail["html"]);
        let _ = write!(
            html,
            "<details><summary>HTML</summary><pre>{source}</pre></details>"
        );
    }
    html
}

/// The request by which the page of the link in a mail redeems its token.
fn command(text: &str) -> Option<String> {
    let link = text
        .split_whitespace()
        .find_map(|word| word.split_once("#token="));
    let (address, token) = link?;
    let (base, page) = address.rsplit_once('/')?;
    let (_, more) = PAGES.iter().find(|(name, _)| *name == page)?;
    Some(format!(
        "curl {base}/auth/{page} --json '{{\"token\": \"{token}\"{more}}}'"
    ))
}

fn push(push: &Value) -> String {
    format!(
        "<h3>{}</h3><p>{}</p><p><code>{}</code></p>",
        text(&push["title"]),
        text(&push["body"]),
        escape(&push["data"].to_string()),
    )
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// Makes web addresses clickable, because most mails are about their link.
fn linked(text: &str) -> String {
    let mut html = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let url = word.trim_end();
        let rest = &word[url.len()..];
        let url = escape(url);
        match url.starts_with("http://") || url.starts_with("https://") {
            true => {
                let _ = write!(html, "<a href=\"{url}\" rel=\"noreferrer\">{url}</a>{rest}");
            }
            false => {
                let _ = write!(html, "{url}{rest}");
            }
        }
    }
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn abuse_70_what_was_sent_is_shown_and_does_not_run() {
        let evil = "<script>alert(1)</script>\" onload='x'";
        let html = listed(&json!({
            "mail": [{ "at": evil, "service": evil, "to": evil, "subject": evil, "text": format!("https://a.test/{evil}"),
                "html": evil, "copies": 2 }],
            "push": [{ "at": evil, "service": evil, "title": evil, "body": evil, "data": { evil: evil } }],
        }));
        assert!(
            !html.contains("<script") && !html.contains("onload='"),
            "{html}"
        );
        assert!(
            html.contains("<a href=\"https://a.test/&lt;script&gt;"),
            "{html}"
        );
        assert!(html.contains(", 2 times"));
    }

    #[test]
    fn a_token_can_be_redeemed_without_a_web_app() {
        let link = |page| format!("Hello,\n\nhttp://127.0.0.1:8080/{page}#token=ab-_9\n\nBye");
        let body = r#"{"token": "ab-_9", "password": "seven small elephants"}"#;
        assert_eq!(
            command(&link("verify-email")).unwrap(),
            format!("curl http://127.0.0.1:8080/auth/verify-email --json '{body}'")
        );
        let other = command(&link("confirm-email")).unwrap();
        assert!(
            other.ends_with(r#"/auth/confirm-email --json '{"token": "ab-_9"}'"#),
            "{other}"
        );
        assert_eq!(command(&link("help")), None);
        assert_eq!(
            command("see http://127.0.0.1:8080/forgotten-password"),
            None
        );
    }

    #[test]
    fn only_something_on_this_machine_is_asked() {
        for (url, allowed) in [
            ("http://127.0.0.1:8422", true),
            ("http://localhost:8422/", true),
            ("http://[::1]:1", true),
            ("http://169.254.169.254/", false),
            ("http://127.0.0.1.evil.test/", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(router(url.parse().unwrap()).is_ok(), allowed, "{url}");
        }
    }
}
