//! The read-only objects: balances, balance transactions and events.

use crate::{
    error::{ApiError, Result},
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

pub fn get(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&[])?;
    let amounts = world.ledger.balances_of(call.holder());
    let mut available: Vec<Value> = amounts
        .iter()
        .map(|(currency, amount)| json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } }))
        .collect();
    if available.is_empty() {
        available.push(json!({ "amount": 0, "currency": "usd", "source_types": { "card": 0 } }));
    }
    // All money is available at once, as with Stripe's test card for immediately available funds.
    let pending: Vec<Value> = available
        .iter()
        .map(|one| json!({ "amount": 0, "currency": one["currency"], "source_types": { "card": 0 } }))
        .collect();
    Ok(
        json!({ "object": "balance", "available": available, "livemode": false, "pending": pending }),
    )
}

pub fn transaction(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("balance_transaction", id, call).cloned()
}

pub fn transactions(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "currency",
        "source",
        "type",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted = ["currency", "source", "type"].map(|name| (name, params.text(name)));
    world.page("balance_transactions", call, |transaction| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| value.is_none() || transaction.maybe(name) == *value)
    })
}

/// How long Stripe lists an event: 30 days.
const LISTED_SECONDS: i64 = 30 * 24 * 60 * 60;

pub fn event(world: &World, call: &Call, id: &str) -> Result<Value> {
    let event = world.find("event", id, call)?;
    match event.num("created") + LISTED_SECONDS < world.now {
        true => Err(ApiError::not_found("event", id)),
        false => Ok(event.clone()),
    }
}

pub fn events(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "type",
        "types[]",
        "delivery_success",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let types = params.list("types");
    let one = params.text("type");
    let delivered = params.flag("delivery_success")?;
    world.page("events", call, |event| {
        let kind = event.str("type");
        event.num("created") + LISTED_SECONDS >= world.now
            && one.is_none_or(|one| matches(one, kind))
            && (types.is_empty() || types.iter().any(|one| matches(one, kind)))
            && delivered.is_none_or(|yes| yes == (event.num("pending_webhooks") == 0))
    })
}

/// Whether the event's type matches; `charge.*` stands for all types that begin with `charge.`.
fn matches(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => wanted == kind,
    }
}
