//! Events: snapshots of an object at the moment of a change.

use crate::{
    API_VERSION,
    json::{Fields, visible},
    world::World,
};
use serde_json::{Value, json};

/// The call that causes events.
#[derive(Clone, Debug, Default)]
pub struct Cause {
    pub request: Option<String>,
    pub key: Option<String>,
}

/// Emits an event with the object's present state. Events about objects of a connected account go to the Connect
/// endpoint.
pub fn emit(world: &mut World, kind: &str, id: &str) {
    let Some(object) = world.get(id).cloned() else {
        return;
    };
    emit_object(world, kind, &object);
}

pub fn emit_object(world: &mut World, kind: &str, object: &Value) {
    let account = match object.str("object") {
        // Events about an account belong to that account, although the object belongs to the platform.
        "account" => object.maybe("id"),
        _ => object.maybe("_account"),
    };
    let account = account.map(str::to_owned);
    let id = world.new_id("evt");
    let mut event = json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": world.now,
        "data": { "object": visible(object) },
        "livemode": false,
        "pending_webhooks": 0,
        "request": { "id": world.cause.request, "idempotency_key": world.cause.key },
        "type": kind,
    });
    if let Some(account) = &account {
        event["account"] = json!(account);
        event["_account"] = json!(account);
    }
    let planned = world.webhooks.plan(&id, account.is_some(), world.now);
    event["pending_webhooks"] = json!(u32::from(planned));
    world.insert("events", event);
}
