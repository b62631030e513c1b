//! `/_fake/…`: the functions of [`crate::control`] as JSON, for tests in other processes.

use crate::{
    control::{Intent, Refused},
    fake::Fake,
    fault::Fault,
    json::Fields,
    message::Reply,
    webhook::{Endpoint, Mischief, Target},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhooks {
    #[serde(default)]
    platform: Option<Endpoint>,
    #[serde(default)]
    connect: Option<Endpoint>,
    #[serde(default)]
    mischief: Option<Mischief>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Faults {
    Some(Vec<Fault>),
    One(Fault),
}

/// Answers requests to `/_fake/…` that are not for a page.
pub fn handle(fake: &Fake, method: &str, path: &str, body: &[u8]) -> Reply {
    let (status, body) = match run(fake, method, path, body) {
        Ok(body) => (200, body),
        Err(refused) => (refused.status, refused.body),
    };
    Reply {
        status,
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

fn bad(message: impl Into<String>) -> Refused {
    Refused {
        status: 400,
        body: json!({ "error": { "type": "fake_error", "message": message.into() } }),
    }
}

fn run(fake: &Fake, method: &str, path: &str, body: &[u8]) -> Result<Value, Refused> {
    let given: Value = match body.is_empty() {
        true => json!({}),
        false => serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?,
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path: Vec<&str> = path.trim_matches('/').split('/').skip(1).collect();
    match (method, path.as_slice()) {
        ("GET", ["health"]) => Ok(json!({ "ok": true, "now": fake.now(), "seed": fake.seed() })),
        ("GET", ["clock"]) => Ok(json!({ "now": fake.now() })),
        ("POST", ["clock"]) => {
            let seconds = given.get("advance").and_then(Value::as_u64);
            let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
            fake.advance(seconds.ok_or_else(|| bad("`advance` is a number of seconds."))?);
            Ok(json!({ "now": fake.now() }))
        }
        ("GET", ["faults"]) => Ok(json!(fake.faults())),
        ("DELETE", ["faults"]) => {
            fake.clear_faults();
            Ok(json!([]))
        }
        ("POST", ["faults"]) => {
            let faults = serde_json::from_value(given).map_err(|error| bad(error.to_string()))?;
            let faults = match faults {
                Faults::Some(all) => all,
                Faults::One(one) => vec![one],
            };
            faults.into_iter().for_each(|fault| fake.add_fault(fault));
            Ok(json!(fake.faults()))
        }
        ("GET", ["books"]) => Ok(json!(fake.books())),
        ("GET", ["entries"]) => Ok(json!(fake.entries())),
        ("GET", ["audit"]) => Ok(json!({ "wrong": fake.audit() })),
        ("POST", ["balance"]) => {
            let currency = given
                .maybe("currency")
                .ok_or_else(|| bad("`currency` is missing."))?;
            fake.move_money(given.maybe("account"), currency, given.num("amount"))?;
            Ok(json!(fake.books()))
        }
        ("GET", ["objects", id]) => {
            let missing = || bad(format!("There is no {id}."));
            fake.object(id).ok_or_else(missing)
        }
        ("GET", ["deliveries"]) => Ok(json!(fake.deliveries())),
        ("POST", ["events", id, "resend"]) => fake.resend(id).map(|()| json!({})),
        ("GET" | "POST", ["webhooks"]) => webhooks(fake, method == "POST", given),
        _ => people(fake, method, &path, &given, query),
    }
}

fn webhooks(fake: &Fake, write: bool, given: Value) -> Result<Value, Refused> {
    if write {
        let given: Webhooks =
            serde_json::from_value(given).map_err(|error| bad(error.to_string()))?;
        if given.platform.is_some() {
            fake.set_endpoint(Target::Platform, given.platform);
        }
        if given.connect.is_some() {
            fake.set_endpoint(Target::Connect, given.connect);
        }
        if let Some(mischief) = given.mischief {
            fake.set_mischief(mischief);
        }
    }
    Ok(json!({
        "platform": fake.endpoint(Target::Platform),
        "connect": fake.endpoint(Target::Connect),
        "mischief": fake.mischief(),
    }))
}

/// The actions of buyers, their banks and the owners of accounts.
fn people(
    fake: &Fake,
    method: &str,
    path: &[&str],
    given: &Value,
    query: &str,
) -> Result<Value, Refused> {
    let kind = |list: &str| match list {
        "payment_intents" => Some(Intent::Payment),
        "setup_intents" => Some(Intent::Setup),
        _ => None,
    };
    match (method, path) {
        ("POST", ["disputes"]) => {
            let of = given.maybe("charge").or(given.maybe("payment_intent"));
            let of = of.ok_or_else(|| bad("`charge` or `payment_intent` is missing."))?;
            fake.dispute(
                of,
                given.maybe("reason").unwrap_or("fraudulent"),
                given.is("inquiry"),
            )
        }
        ("POST", ["disputes", id, "close"]) => fake.close_dispute(id, given.is("won")),
        ("POST", ["accounts", id]) => fake.change_account(id, given),
        ("POST", ["accounts", id, "onboard"]) => fake.onboard(id),
        ("POST", ["accounts", id, "deauthorize"]) => fake.deauthorize(id).map(|()| json!({})),
        ("POST", [list, id, "confirm"]) if kind(list).is_some() => {
            let card = given.maybe("card").unwrap_or("4242424242424242");
            fake.pay_as_buyer(kind(list).unwrap_or(Intent::Payment), id, card)
        }
        ("POST", [list, id, "authenticate"]) if kind(list).is_some() => {
            let success = given
                .get("success")
                .and_then(Value::as_bool)
                .unwrap_or(true);
            fake.authenticate(kind(list).unwrap_or(Intent::Payment), id, success)
        }
        _ => Err(Refused {
            status: 404,
            body: json!({ "error": {
                "type": "fake_error",
                "message": format!("{method} /_fake/{}{query} is none of the fake's.", path.join("/")),
            } }),
        }),
    }
}
