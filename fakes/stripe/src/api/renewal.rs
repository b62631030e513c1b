//! The renewal of subscriptions: the end of periods, and the effects of paid and unpaid invoices.

use super::{
    invoice::{self, Line},
    payment_method, pending_update,
    subscription::{is_over, method_of},
    subscription_item as item,
};
use crate::{event, json::Fields, timer::Timer, world::World};
use serde_json::json;

pub fn end(world: &mut World, id: &str, status: &str, reason: &str) {
    let now = world.now;
    let subscription = world.edit(id);
    subscription["status"] = json!(status);
    subscription["ended_at"] = json!(now);
    if subscription["canceled_at"].is_null() {
        subscription["canceled_at"] = json!(now);
    }
    subscription["cancellation_details"]["reason"] = json!(reason);
    pending_update::clear(subscription);
    let kind = match status {
        "canceled" => "customer.subscription.deleted",
        _ => "customer.subscription.updated",
    };
    event::emit(world, kind, id);
    invoice::subscription_ended(world, id, status == "incomplete_expired");
}

pub fn invoice_paid(world: &mut World, id: &str) {
    let subscription = world.object(id).clone();
    if is_over(&subscription) {
        return;
    }
    if subscription["payment_settings"].str("save_default_payment_method") == "on_subscription" {
        let invoice = world.object(subscription.str("latest_invoice"));
        let intent = world.object(invoice.str("_payment_intent"));
        let method = world.object(intent.str("payment_method"));
        if method["customer"] == subscription["customer"] && !method["id"].is_null() {
            let method = method["id"].clone();
            world.edit(id)["default_payment_method"] = method;
        }
    }
    set_status(world, id, "active");
}

pub fn payment_failed(world: &mut World, id: &str) {
    if !is_over(world.object(id)) {
        set_status(world, id, "past_due");
    }
}

/// Ends a subscription after all attempts at paying a renewal have failed.
pub fn gave_up(world: &mut World, id: &str) {
    if !is_over(world.object(id)) {
        end(world, id, "canceled", "payment_failed");
    }
}

pub fn expires(world: &mut World, id: &str) {
    if world.object(id).str("status") == "incomplete" {
        end(world, id, "incomplete_expired", "payment_failed");
    }
}

/// Called after a change of the items: if another period has begun, the next ones are counted from it.
pub fn restarted(world: &mut World, id: &str, before: (i64, i64)) {
    let (start, end) = item::period(world.object(id));
    if (start, end) == before {
        return;
    }
    let edit = world.edit(id);
    edit["billing_cycle_anchor"] = json!(start);
    edit["_periods"] = json!(1);
    world.timers.set(end, Timer::PeriodEnds(id.to_owned(), end));
}

pub fn period_ends(world: &mut World, id: &str, at: i64) {
    let subscription = world.object(id).clone();
    let (_, end_of_this) = item::period(&subscription);
    let waits = subscription.str("status") == "incomplete";
    if is_over(&subscription) || end_of_this != at || waits {
        return;
    }
    if subscription.is("cancel_at_period_end") {
        end(world, id, "canceled", "cancellation_requested");
        return;
    }
    let periods = subscription.num("_periods") + 1;
    let price = subscription["items"]["data"][0]["price"].clone();
    let next = item::end_of_period(subscription.num("billing_cycle_anchor"), &price, periods);
    let edit = world.edit(id);
    edit["_periods"] = json!(periods);
    item::set_period(edit, (at, next));
    world
        .timers
        .set(next, Timer::PeriodEnds(id.to_owned(), next));
    let mut lines = item::lines(world.object(id));
    let prorations = subscription.num("_prorations");
    let total: i64 = lines.iter().map(|line| line.amount).sum();
    // A credit that exceeds the price is carried over to the next invoice.
    let used = prorations.max(-total);
    if used != 0 {
        lines.push(Line {
            description: "Changes during the last period".to_owned(),
            amount: used,
            proration: true,
        });
    }
    world.edit(id)["_prorations"] = json!(prorations - used);
    event::emit(world, "customer.subscription.updated", id);
    let made = invoice::make(world, id, "subscription_cycle", &lines, (at, next));
    let method = method_of(world, id).filter(|method| !payment_method_is_gone(world, method));
    invoice::begin_payment(world, &made, method.as_deref());
    let _ = invoice::try_payment(world, &made, true);
}

fn set_status(world: &mut World, id: &str, status: &str) {
    if world.object(id).str("status") != status {
        world.edit(id)["status"] = json!(status);
        event::emit(world, "customer.subscription.updated", id);
    }
}

fn payment_method_is_gone(world: &World, method: &str) -> bool {
    let method = world.object(method);
    method["customer"].is_null() || payment_method::card_of(method).number.is_empty()
}
