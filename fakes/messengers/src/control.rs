//! `GET /sent`, and `/_fake/…`: control of the fake by tests, which the real services do not offer.

use crate::{
    fake::Fake,
    fault::Fault,
    message::{Reply, Request},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(untagged)]
enum Faults {
    Some(Vec<Fault>),
    One(Fault),
}

/// Answers requests that are neither for a service nor for a page.
pub fn handle(fake: &Fake, request: &Request) -> Reply {
    match run(fake, request) {
        Ok(body) => Reply::json(200, &body),
        Err((status, why)) => Reply::json(status, &json!({ "error": why })),
    }
}

fn run(fake: &Fake, request: &Request) -> Result<Value, (u16, String)> {
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", "/sent") => Ok(fake.sent()),
        ("GET", "/_fake/health") => Ok(json!({ "ok": true })),
        ("GET", "/_fake/calls") => Ok(json!(fake.world().calls)),
        ("GET", "/_fake/faults") => Ok(json!(fake.world().script.faults())),
        ("DELETE", "/_fake/faults") => {
            fake.clear_faults();
            Ok(json!([]))
        }
        ("POST", "/_fake/faults") => {
            let faults = serde_json::from_slice(&request.body);
            let faults = match faults.map_err(|error| (400, error.to_string()))? {
                Faults::Some(all) => all,
                Faults::One(one) => vec![one],
            };
            faults.into_iter().for_each(|fault| fake.add_fault(fault));
            Ok(json!(fake.world().script.faults()))
        }
        ("POST", "/_fake/revoke") => {
            fake.revoke();
            Ok(json!({}))
        }
        ("POST", "/_fake/clock") => {
            let seconds = request.json()["advance"].as_u64();
            let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
            fake.advance(seconds.ok_or((400, "`advance` is a number of seconds".to_owned()))?);
            Ok(json!({ "now": fake.world().now() }))
        }
        (method, path) => Err((404, format!("{method} {path} is not played here"))),
    }
}
