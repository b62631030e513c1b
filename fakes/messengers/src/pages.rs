//! `GET /`: a page that shows accepted messages to people, without JavaScript.

use crate::{
    fake::{Fake, Sent},
    message::{Reply, Request},
};
use serde_json::Value;
use std::fmt::Write;

/// The maximum number of messages on the page; `/sent` has all.
const SHOWN: usize = 100;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
    article{border:1px solid #ccc;border-radius:.4rem;padding:.5rem 1rem;margin:1rem 0}h3{margin:.2rem 0}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}small{color:#555}";

/// Answers a request for the page. None: the path is another one.
pub fn handle(fake: &Fake, request: &Request) -> Option<Reply> {
    let path = request.path.split('?').next();
    if request.method != "GET" || path != Some("/") {
        return None;
    }
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Fake messengers</title><style>{STYLE}</style>\
         <main><h1>Fake messengers</h1><p>None of this has left this machine. As JSON: <a href=\"/sent\">/sent</a></p>\
         <h2>Mail</h2>{}<h2>Push</h2>{}</main></html>",
        all(&fake.mail(), mail),
        all(&fake.push(), push)
    );
    let reply = Reply {
        status: 200,
        headers: Vec::new(),
        body: html.into_bytes(),
    };
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    Some(
        reply
            .with("content-type", "text/html; charset=utf-8")
            .with("content-security-policy", policy)
            .with("referrer-policy", "no-referrer")
            .with("cache-control", "no-store"),
    )
}

/// The messages, newest first.
fn all(sent: &[Sent], one: fn(&Value) -> String) -> String {
    if sent.is_empty() {
        return "<p>Nothing yet.</p>".to_owned();
    }
    let mut html = String::new();
    for sent in sent.iter().rev().take(SHOWN) {
        let copies = match sent.copies {
            1 => String::new(),
            copies => format!(", {copies} times"),
        };
        let _ = write!(
            html,
            "<article>{}<small>{} by {}{copies}</small></article>",
            one(&sent.fields),
            sent.at.format("%Y-%m-%d %H:%M:%S"),
            sent.service
        );
    }
    html
}

fn mail(mail: &Value) -> String {
    let mut html = format!(
        "<h3>{}</h3><p>To {}</p><pre>{}</pre>",
        text(&mail["subject"]),
        text(&mail["to"]),
        linked(mail["text"].as_str().unwrap_or_default())
    );
    for (title, what) in [("Headers", &mail["headers"]), ("HTML", &mail["html"])] {
        let what = match what {
            Value::Null => continue,
            Value::String(text) => escape(text),
            other => escape(&serde_json::to_string_pretty(other).unwrap_or_default()),
        };
        let _ = write!(
            html,
            "<details><summary>{title}</summary><pre>{what}</pre></details>"
        );
    }
    html
}

fn push(push: &Value) -> String {
    format!(
        "<h3>{}</h3><p>{}</p><p><code>{}</code></p><p><small>to {}</small></p>",
        text(&push["title"]),
        text(&push["body"]),
        escape(&push["data"].to_string()),
        text(&push["token"])
    )
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

/// Turns web addresses into links.
fn linked(text: &str) -> String {
    let link = |word: &str| {
        let url = word.trim_end();
        let (shown, rest) = (escape(url), &word[url.len()..]);
        match url.starts_with("http://") || url.starts_with("https://") {
            true => format!("<a href=\"{shown}\" rel=\"noreferrer\">{shown}</a>{rest}"),
            false => format!("{shown}{rest}"),
        }
    };
    text.split_inclusive(char::is_whitespace)
        .map(link)
        .collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
