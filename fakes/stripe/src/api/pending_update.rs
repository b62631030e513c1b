//! Pending updates: a change of a subscription's items that takes effect once its invoice is paid. Until then the
//! subscription continues as if nothing had been asked for.

use super::{
    invoice::{self, Line},
    renewal, subscription, subscription_item as item,
};
use crate::{event, json::Fields, timer::Timer, world::World};
use serde_json::{Value, json};

const SECONDS: i64 = 23 * 60 * 60;

/// Invoices the change and applies the items at once if that is paid. They replace an update that is pending.
pub fn begin(world: &mut World, id: &str, items: Value, lines: &[Line]) {
    cancel_of(world, id);
    let (_, ends) = item::period(world.object(id));
    let expires_at = (world.now + SECONDS).min(ends);
    let first = &items["data"][0];
    let period = (
        first.num("current_period_start"),
        first.num("current_period_end"),
    );
    world.edit(id)["pending_update"] = json!({
        "billing_cycle_anchor": null, "expires_at": expires_at, "subscription_items": items["data"],
        "trial_end": null, "trial_from_plan": null,
    });
    world.edit(id)["_pending_items"] = items;
    let made = invoice::make(world, id, "subscription_update", lines, period);
    world.edit(id)["_pending_invoice"] = json!(made);
    world
        .timers
        .set(expires_at, Timer::UpdateExpires(made.clone()));
    let method = subscription::method_of(world, id);
    invoice::begin_payment(world, &made, method.as_deref());
    // A declined card leaves the update pending, but the call succeeds.
    let _ = invoice::try_payment(world, &made, false);
    if is_of(world, id, &made) {
        event::emit(world, "customer.subscription.updated", id);
    }
}

/// Whether an invoice is that of the subscription's pending update.
pub fn is_of(world: &World, id: &str, invoice: &str) -> bool {
    world.object(id).maybe("_pending_invoice") == Some(invoice)
}

/// Called when an invoice is paid: applies the update that waits for it.
pub fn paid(world: &mut World, id: &str, invoice: &str) {
    if !is_of(world, id, invoice) {
        return;
    }
    let before = item::period(world.object(id));
    let edit = world.edit(id);
    edit["items"] = edit["_pending_items"].clone();
    clear(edit);
    renewal::restarted(world, id, before);
    event::emit(world, "customer.subscription.updated", id);
    event::emit(world, "customer.subscription.pending_update_applied", id);
}

/// Called when an invoice is made void: gives up the update that waits for it.
pub fn void(world: &mut World, id: &str, invoice: &str) {
    if is_of(world, id, invoice) {
        clear(world.edit(id));
        event::emit(world, "customer.subscription.updated", id);
    }
}

pub fn expires(world: &mut World, invoice: &str) {
    let id = world.object(invoice).str("_subscription").to_owned();
    if is_of(world, &id, invoice) {
        invoice::close(world, invoice);
        event::emit(world, "customer.subscription.pending_update_expired", &id);
    }
}

pub fn clear(subscription: &mut Value) {
    for field in ["pending_update", "_pending_items", "_pending_invoice"] {
        subscription[field] = Value::Null;
    }
}

fn cancel_of(world: &mut World, id: &str) {
    if let Some(invoice) = world
        .object(id)
        .maybe("_pending_invoice")
        .map(str::to_owned)
    {
        invoice::close(world, &invoice);
    }
}
