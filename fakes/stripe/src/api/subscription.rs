//! Subscriptions, driven by the fake's clock: each period is invoiced when it begins.

use super::{
    capture::share,
    invoice::{self, Line},
    pending_update, renewal, subscription_item as item,
};
use crate::{
    error::{ApiError, Result},
    event,
    json::Fields,
    timer::Timer,
    world::{Call, World},
};
use serde_json::{Value, json};

const WRITE: &[&str] = &[
    "items[][id]",
    "items[][price]",
    "items[][quantity]",
    "default_payment_method",
    "cancel_at_period_end",
    "description",
    "metadata[*]",
    "payment_behavior",
    "payment_settings[*]",
    "proration_behavior",
    "off_session",
];

const DAY: i64 = 24 * 60 * 60;
const INCOMPLETE_SECONDS: i64 = 23 * 60 * 60;

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(
        &[
            WRITE,
            &["customer", "trial_period_days", "collection_method"],
        ]
        .concat(),
    )?;
    params.choice("collection_method", &["charge_automatically"])?;
    let customer = params.required("customer")?;
    world.named("customer", "customer", customer, call)?;
    let behaviours = [
        "allow_incomplete",
        "default_incomplete",
        "error_if_incomplete",
    ];
    let behaviour = params
        .choice("payment_behavior", &behaviours)?
        .unwrap_or("allow_incomplete");
    let off_session = params.flag("off_session")?.unwrap_or_default();
    let trial = params.integer("trial_period_days")?.unwrap_or(0).max(0);
    let items = item::read(world, call)?;
    let price = items[0]["price"].clone();
    let mut subscription = skeleton(world, customer, &price);
    call.own(&mut subscription);
    write(world, call, &mut subscription)?;
    let start = world.now;
    let anchor = start + trial * DAY;
    let first_end = if trial > 0 {
        anchor
    } else {
        item::end_of_period(start, &price, 1)
    };
    if trial > 0 {
        subscription["status"] = json!("trialing");
        subscription["trial_start"] = json!(start);
        subscription["trial_end"] = json!(anchor);
    }
    subscription["billing_cycle_anchor"] = json!(anchor);
    subscription["_periods"] = json!(i64::from(trial == 0));
    let id = world.new_id("sub");
    subscription["id"] = json!(id);
    let default = subscription.maybe("default_payment_method");
    let method = default
        .or_else(|| default_of(world, customer))
        .map(str::to_owned);
    if trial == 0 && behaviour == "error_if_incomplete" {
        invoice::would_pay(world, method.as_deref(), off_session)?;
    }
    item::put(world, &mut subscription, items, (start, first_end));
    world.insert("subscriptions", subscription);
    event::emit(world, "customer.subscription.created", &id);
    world
        .timers
        .set(first_end, Timer::PeriodEnds(id.clone(), first_end));
    if trial == 0 {
        let lines = item::lines(world.object(&id));
        let made = invoice::make(
            world,
            &id,
            "subscription_create",
            &lines,
            (start, first_end),
        );
        let expires = start + INCOMPLETE_SECONDS;
        world
            .timers
            .set(expires, Timer::SubscriptionExpires(id.clone()));
        invoice::begin_payment(world, &made, method.as_deref());
        if behaviour != "default_incomplete" {
            // A declined card leaves the subscription incomplete, but the call succeeds, as it does with Stripe.
            let _ = invoice::try_payment(world, &made, off_session);
        }
    }
    Ok(world.object(&id).clone())
}

/// The card that pays for a subscription: its own default, or its customer's.
pub fn method_of(world: &World, id: &str) -> Option<String> {
    let subscription = world.object(id);
    // A card that was detached from the customer does not count.
    let own = subscription
        .maybe("default_payment_method")
        .filter(|method| world.object(method)["customer"] == subscription["customer"]);
    own.or_else(|| default_of(world, subscription.str("customer")))
        .map(str::to_owned)
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    let params = &call.params;
    params.allow(WRITE)?;
    let mut subscription = world.find("subscription", id, call)?.clone();
    if is_over(&subscription) {
        return Err(ended(id));
    }
    let kinds = ["create_prorations", "always_invoice", "none"];
    let proration = params
        .choice("proration_behavior", &kinds)?
        .unwrap_or("create_prorations");
    let pends = params.text("payment_behavior") == Some("pending_if_incomplete");
    write(world, call, &mut subscription)?;
    let mut lines = Vec::new();
    let before = subscription.clone();
    let mut restarts = false;
    if params.has_below("items") {
        if subscription.str("status") == "incomplete" {
            let message =
                "The items of a subscription whose first invoice is not paid can't be changed.";
            return Err(ApiError::invalid("subscription_incomplete", message).param("items"));
        }
        let items = item::read(world, call)?;
        let trials = subscription.str("status") == "trialing";
        // Another interval begins at once, with a period of its own.
        restarts = !trials
            && items[0]["price"]["recurring"] != before["items"]["data"][0]["price"]["recurring"];
        let period = match restarts {
            true => (
                world.now,
                item::end_of_period(world.now, &items[0]["price"], 1),
            ),
            false => item::period(&before),
        };
        item::put(world, &mut subscription, items, period);
        let is_prorated = proration != "none" && !trials;
        lines = changed(world.now, &before, &subscription, restarts, is_prorated);
    }
    let change: i64 = lines.iter().map(|line| line.amount).sum();
    let at_once = restarts || proration == "always_invoice" && change != 0;
    if at_once && pends {
        let items = std::mem::replace(&mut subscription["items"], before["items"].clone());
        *world.edit(id) = subscription;
        pending_update::begin(world, id, items, &lines);
        return Ok(world.object(id).clone());
    }
    if !at_once {
        subscription["_prorations"] = json!(subscription.num("_prorations") + change);
    }
    *world.edit(id) = subscription;
    renewal::restarted(world, id, item::period(&before));
    event::emit(world, "customer.subscription.updated", id);
    if at_once {
        let period = item::period(world.object(id));
        let made = invoice::make(world, id, "subscription_update", &lines, period);
        let method = method_of(world, id);
        invoice::begin_payment(world, &made, method.as_deref());
        let _ = invoice::try_payment(world, &made, false);
    }
    Ok(world.object(id).clone())
}

pub fn is_over(subscription: &Value) -> bool {
    matches!(
        subscription.str("status"),
        "canceled" | "incomplete_expired"
    )
}

pub fn cancel(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params
        .allow(&["cancellation_details[*]", "invoice_now", "prorate"])?;
    for unsupported in ["invoice_now", "prorate"] {
        if call.params.flag(unsupported)? == Some(true) {
            let message = format!("The fake does not play `{unsupported}`.");
            return Err(ApiError::parameter(
                "parameter_unknown",
                unsupported,
                message,
            ));
        }
    }
    if is_over(world.find("subscription", id, call)?) {
        return Err(ended(id));
    }
    renewal::end(world, id, "canceled", "cancellation_requested");
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("subscription", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "customer",
        "price",
        "status",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let (customer, price) = (params.text("customer"), params.text("price"));
    let status = params.text("status");
    world.page("subscriptions", call, |subscription| {
        let has = |price: &str| {
            let items = subscription["items"]["data"].as_array();
            items.is_some_and(|items| items.iter().any(|item| item["price"].str("id") == price))
        };
        let fits = match status {
            // Without a filter, all that have not ended.
            None => subscription.str("status") != "canceled",
            Some("all") => true,
            Some("ended") => is_over(subscription),
            Some(status) => subscription.str("status") == status,
        };
        fits && customer.is_none_or(|customer| subscription.str("customer") == customer)
            && price.is_none_or(has)
    })
}

fn skeleton(world: &World, customer: &str, price: &Value) -> Value {
    json!({
        "object": "subscription",
        "application": null, "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": world.now, "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": null, "type": "classic" }, "billing_schedules": [],
        "billing_thresholds": null, "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically", "created": world.now, "currency": price["currency"],
        "customer": customer, "customer_account": null, "days_until_due": null, "default_payment_method": null,
        "default_source": null, "default_tax_rates": [], "description": null, "discounts": [], "ended_at": null,
        "invoice_settings": {
            "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null,
            "issuer": { "type": "self" },
        },
        "latest_invoice": null, "livemode": false, "metadata": {}, "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null, "pause_collection": null,
        "payment_settings": {
            "payment_method_options": null, "payment_method_types": null, "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": null, "pending_setup_intent": null, "pending_update": null,
        "schedule": null, "start_date": world.now, "status": "incomplete", "test_clock": null,
        "transfer_data": null, "trial_end": null,
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } }, "trial_start": null,
        "_prorations": 0,
    })
}

fn default_of<'a>(world: &'a World, customer: &str) -> Option<&'a str> {
    world.object(customer)["invoice_settings"].maybe("default_payment_method")
}

fn write(world: &World, call: &Call, subscription: &mut Value) -> Result<()> {
    let params = &call.params;
    if let Some(method) = params.text("default_payment_method") {
        let found = world.named("payment_method", "default_payment_method", method, call)?;
        if found.maybe("customer") != subscription.maybe("customer") {
            let message = "The customer does not have a payment method with that ID. It must be attached first.";
            return Err(
                ApiError::invalid("resource_missing", message).param("default_payment_method")
            );
        }
        subscription["default_payment_method"] = json!(method);
    }
    if let Some(description) = params.text("description") {
        subscription["description"] = json!(description);
    }
    let save = "payment_settings[save_default_payment_method]";
    if let Some(save) = params.choice(save, &["off", "on_subscription"])? {
        subscription["payment_settings"]["save_default_payment_method"] = json!(save);
    }
    if let Some(ends) = params.flag("cancel_at_period_end")? {
        subscription["cancel_at_period_end"] = json!(ends);
        let end = subscription["items"]["data"][0]["current_period_end"].clone();
        subscription["cancel_at"] = if ends { end } else { Value::Null };
        subscription["canceled_at"] = if ends { json!(world.now) } else { Value::Null };
    }
    params.metadata(subscription)
}

/// The lines of an invoice for a change of the items: the difference for the rest of the period, or, if a new period
/// begins, its price and credit for the rest of the former one.
fn changed(
    now: i64,
    before: &Value,
    after: &Value,
    restarts: bool,
    is_prorated: bool,
) -> Vec<Line> {
    let former = item::total(before);
    let difference = match restarts {
        true => -former,
        false => item::total(after) - former,
    };
    let mut lines = Vec::new();
    let amount = prorated(now, item::period(before), difference);
    if is_prorated && amount != 0 {
        lines.push(Line {
            description: "Change of the subscription".to_owned(),
            amount,
            proration: true,
        });
    }
    if restarts {
        lines.extend(item::lines(after));
    }
    lines
}

/// The part of a price change that is due for the rest of the period.
fn prorated(now: i64, period: (i64, i64), change: i64) -> i64 {
    let (rest, whole) = (period.1 - now, period.1 - period.0);
    if whole <= 0 || rest <= 0 {
        return 0;
    }
    change.signum() * share(change.abs(), rest, whole)
}

fn ended(id: &str) -> Box<ApiError> {
    ApiError::not_found("subscription", id)
}
