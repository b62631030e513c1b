//! Web pages for people: for buyers at a payment, and for owners of accounts at the onboarding.
//!
//! Plain forms without JavaScript. The page of an intent requires the intent's client secret, as with Stripe.

use crate::{card::CARDS, control::Intent, fake::Fake, form::Params, json::Fields, message::Reply};
use serde_json::Value;

/// Answers a request for a page. None: the path is of no page.
pub fn handle(fake: &Fake, method: &str, path: &str, body: &[u8]) -> Option<Reply> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    let mut params = Params::parse(query);
    params.extend(Params::parse(&String::from_utf8_lossy(body)));
    match (method, parts.as_slice()) {
        ("GET", []) => Some(page(200, "Fake Stripe", &start(fake))),
        ("GET" | "POST", ["pay", id]) => {
            Some(intent_page(fake, method, Intent::Payment, id, &params))
        }
        ("GET" | "POST", ["setup", id]) => {
            Some(intent_page(fake, method, Intent::Setup, id, &params))
        }
        ("GET" | "POST", ["onboard", id, token]) => Some(onboarding(fake, method, id, token)),
        _ => None,
    }
}

fn start(fake: &Fake) -> String {
    let mut rows = String::new();
    for intent in fake.all("payment_intents").iter().rev().take(20) {
        let (id, secret) = (intent.str("id"), intent.str("client_secret"));
        rows.push_str(&format!(
            "<li><a href=\"/_fake/pay/{}?client_secret={}\">{}</a> {} {}: {}</li>",
            escape(id),
            escape(secret),
            escape(id),
            intent.num("amount"),
            escape(intent.str("currency")),
            escape(intent.str("status"))
        ));
    }
    format!(
        "<p>Nothing here is real money.</p><h2>Latest payments</h2><ul>{rows}</ul>\
         <p><a href=\"/_fake/books\">Books</a>, <a href=\"/_fake/deliveries\">deliveries</a></p>"
    )
}

fn intent_page(fake: &Fake, method: &str, kind: Intent, id: &str, params: &Params) -> Reply {
    let name = match kind {
        Intent::Payment => "payment_intent",
        Intent::Setup => "setup_intent",
    };
    let found = fake
        .object(id)
        .filter(|intent| intent.str("object") == name);
    let given = params.text("client_secret").unwrap_or_default();
    let Some(intent) = found.filter(|intent| intent.str("client_secret") == given) else {
        return page(
            404,
            "Not found",
            "<p>There is no such intent with this client secret.</p>",
        );
    };
    let back = return_url(&intent);
    let mut message = String::new();
    if method == "POST" {
        let done = match params.text("action") {
            Some("authenticate") => fake.authenticate(kind, id, true),
            Some("fail") => fake.authenticate(kind, id, false),
            _ => fake.pay_as_buyer(kind, id, &chosen_card(params)),
        };
        match (done, back) {
            (Ok(after), Some(back)) if after.str("status") != "requires_action" => {
                return redirect(&back, name, &after);
            }
            (Err(refused), _) => {
                let text = refused.body["error"].str("message").to_owned();
                message = format!("<p role=\"alert\">{}</p>", escape(&text));
            }
            (Ok(_), _) => {}
        }
    }
    let now = fake.object(id).unwrap_or_default();
    let what = match kind {
        Intent::Payment => format!(
            "Pay {} {}",
            amount(&now),
            now.str("currency").to_uppercase()
        ),
        Intent::Setup => "Keep a card".to_owned(),
    };
    page(200, &what, &format!("{message}{}", form(&now, &what)))
}

fn chosen_card(params: &Params) -> String {
    let typed = params.text("number").map(str::to_owned);
    typed.unwrap_or_else(|| params.text("card").unwrap_or("4242424242424242").to_owned())
}

/// The amount in the currency's main unit, computed in integers.
fn amount(intent: &Value) -> String {
    let amount = intent.num("amount");
    match intent.str("currency") {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "ugx"
        | "vnd" | "vuv" | "xaf" | "xof" | "xpf" => amount.to_string(),
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => format!("{}.{:03}", amount / 1000, amount % 1000),
        _ => format!("{}.{:02}", amount / 100, amount % 100),
    }
}

fn form(intent: &Value, what: &str) -> String {
    let secret = escape(intent.str("client_secret"));
    let hidden = format!("<input type=\"hidden\" name=\"client_secret\" value=\"{secret}\">");
    match intent.str("status") {
        "requires_action" => format!(
            "<h2>3-D Secure</h2><p>The bank asks whether it is you.</p><form method=\"post\">{hidden}\
             <button name=\"action\" value=\"authenticate\">Complete authentication</button> \
             <button name=\"action\" value=\"fail\">Fail authentication</button></form>"
        ),
        "requires_payment_method" | "requires_confirmation" => {
            let options: String = CARDS
                .iter()
                .map(|card| {
                    format!(
                        "<option value=\"{}\">{} {}</option>",
                        card.number, card.number, card.name
                    )
                })
                .collect();
            format!(
                "<form method=\"post\">{hidden}<p><label>Test card <select name=\"card\">{options}</select></label></p>\
                 <p><label>or its number <input name=\"number\" inputmode=\"numeric\"></label></p>\
                 <button name=\"action\" value=\"pay\">{}</button></form>",
                escape(what)
            )
        }
        status => format!("<p>Status: <strong>{}</strong></p>", escape(status)),
    }
}

/// Only web addresses are accepted: a link must not run a script.
fn return_url(intent: &Value) -> Option<String> {
    let back = intent["next_action"]["redirect_to_url"].maybe("return_url")?;
    web(back).map(str::to_owned)
}

fn web(url: &str) -> Option<&str> {
    let plain = url.starts_with("http://") || url.starts_with("https://");
    (plain && !url.contains(['\r', '\n'])).then_some(url)
}

fn redirect(back: &str, name: &str, intent: &Value) -> Reply {
    let mark = if back.contains('?') { '&' } else { '?' };
    let status = match intent.str("status") {
        "succeeded" | "requires_capture" => "succeeded",
        _ => "failed",
    };
    let to = format!(
        "{back}{mark}{name}={}&{name}_client_secret={}&redirect_status={status}",
        intent.str("id"),
        intent.str("client_secret")
    );
    see_other(&to)
}

fn see_other(to: &str) -> Reply {
    Reply {
        status: 303,
        headers: vec![("Location".to_owned(), to.to_owned())],
        body: Vec::new(),
    }
}

fn onboarding(fake: &Fake, method: &str, id: &str, token: &str) -> Reply {
    let Some(link) = fake.account_link(id, token) else {
        return page(
            404,
            "Not found",
            "<p>There is no such link, or it was used already.</p>",
        );
    };
    if fake.now() > link.expires_at {
        return match web(&link.refresh_url) {
            Some(to) => see_other(to),
            None => page(410, "Expired", "<p>This link has expired.</p>"),
        };
    }
    if method == "POST" {
        if fake.onboard(id).is_err() {
            return page(
                409,
                "Not possible",
                "<p>The platform has no access to this account.</p>",
            );
        }
        fake.spend_account_link(id);
        return match web(&link.return_url) {
            Some(to) => see_other(to),
            None => page(200, "Done", "<p>The account is complete.</p>"),
        };
    }
    let body = format!(
        "<p>Account {}</p><form method=\"post\"><button>Complete onboarding</button></form>",
        escape(id)
    );
    page(200, "Onboarding", &body)
}

fn page(status: u16, title: &str, body: &str) -> Reply {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
         <style>body{{font:16px/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}}\
         button,select,input{{font:inherit;padding:.3rem .6rem;max-width:100%}}</style>\
         <main><h1>{title}</h1>{body}</main></html>"
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Reply {
        status,
        headers: vec![
            header("Content-Type", "text/html; charset=utf-8"),
            header(
                "Content-Security-Policy",
                "default-src 'none'; style-src 'unsafe-inline'",
            ),
            header("Cache-Control", "no-store"),
        ],
        body: html.into_bytes(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
