//! The state changes of a payment intent: confirmation, authentication, decline, capture, cancellation.

use super::{
    attempt, capture, charge, invoice,
    payment_intent::{unexpected, write_split},
    payment_method,
};
use crate::{
    error::{ApiError, Result},
    event,
    json::Fields,
    timer::Timer,
    world::{Call, World},
};
use attempt::{Answer, Terms};
use serde_json::{Value, json};

pub const CONFIRM: &[&str] = &[
    "payment_method",
    "payment_method_data[*]",
    "payment_method_options[*]",
    "return_url",
    "off_session",
    "error_on_requires_action",
    "use_stripe_sdk",
    "mandate_data[*]",
    "receipt_email",
    "setup_future_usage",
    "shipping[*]",
    "client_secret",
];

const AUTHORIZED_SECONDS: i64 = 7 * 24 * 60 * 60;

pub fn confirm(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(CONFIRM)?;
    let intent = world.find("payment_intent", id, call)?.clone();
    let status = intent.str("status");
    if !matches!(
        status,
        "requires_payment_method" | "requires_confirmation" | "requires_action"
    ) {
        let message = format!(
            "You cannot confirm this PaymentIntent because it has already {} or has a status of {status}.",
            if status == "succeeded" {
                "succeeded after being previously confirmed"
            } else {
                "been confirmed"
            },
        );
        return Err(unexpected(&intent, &message));
    }
    if let Some(usage) = call
        .params
        .choice("setup_future_usage", &["off_session", "on_session"])?
    {
        world.edit(id)["setup_future_usage"] = json!(usage);
    }
    if let Some(email) = call.params.text("receipt_email") {
        world.edit(id)["receipt_email"] = json!(email);
    }
    match attempt::chosen(world, call, intent.maybe("customer"))? {
        Some(method) => world.edit(id)["payment_method"] = json!(method),
        None if intent["payment_method"].is_null() => {
            return Err(unexpected(
                &intent,
                "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update \
                 the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with \
                 a payment method.",
            ));
        }
        None => {}
    }
    attempt_now(world, call, id)?;
    Ok(world.object(id).clone())
}

pub fn attempt_now(world: &mut World, call: &Call, id: &str) -> Result<()> {
    let off_session = match call.params.text("off_session") {
        None | Some("false") => false,
        Some(_) => true,
    };
    let terms = Terms {
        off_session,
        error_on_action: call
            .params
            .flag("error_on_requires_action")?
            .unwrap_or_default(),
        ..Terms::default()
    };
    attempt_with(world, id, terms, call.params.text("return_url"))
}

/// Attempts to charge the card.
pub fn attempt_with(
    world: &mut World,
    id: &str,
    terms: Terms,
    return_url: Option<&str>,
) -> Result<()> {
    let intent = world.object(id).clone();
    let method = world.object(intent.str("payment_method")).clone();
    attempt::check_use(&method, intent.maybe("customer"))?;
    match attempt::ask(&method, terms) {
        Answer::Yes => {
            authorized(world, &intent, &method);
            Ok(())
        }
        Answer::Action => {
            let action = attempt::next_action(world, &intent, "pay", return_url);
            let edit = world.edit(id);
            edit["status"] = json!("requires_action");
            edit["next_action"] = action;
            edit["_return_url"] = json!(return_url);
            event::emit(world, "payment_intent.requires_action", id);
            invoice::needs_action(world, id);
            Ok(())
        }
        Answer::No(error) => Err(declined(world, id, error)),
    }
}

/// The card was declined, or the buyer failed to authenticate. The intent waits for another card.
pub fn declined(world: &mut World, id: &str, error: Box<ApiError>) -> Box<ApiError> {
    let intent = world.object(id).clone();
    let method = world.object(intent.str("payment_method")).clone();
    let mut error = error.with("payment_method", method.clone());
    // If the buyer failed to authenticate, there is no charge.
    let made = (error.status == 402).then(|| charge::make(world, &intent, &method, Some(&error)));
    if let Some(made) = &made {
        error = error.with("charge", json!(made));
        event::emit(world, "charge.failed", made);
    }
    let edit = world.edit(id);
    if let Some(made) = made {
        edit["latest_charge"] = json!(made);
    }
    edit["status"] = json!("requires_payment_method");
    edit["payment_method"] = Value::Null;
    edit["next_action"] = Value::Null;
    edit["last_payment_error"] = error.as_last_error();
    event::emit(world, "payment_intent.payment_failed", id);
    invoice::failed(world, id);
    error.with("payment_intent", world.object(id).clone())
}

/// The buyer has authenticated, or failed to.
pub fn authenticate(world: &mut World, id: &str, success: bool) -> Result<()> {
    let intent = world.object(id).clone();
    if intent.str("status") != "requires_action" {
        return Err(unexpected(&intent, "There is nothing to authenticate."));
    }
    if !success {
        declined(world, id, attempt::unauthenticated(false));
        return Ok(());
    }
    let terms = Terms {
        authenticated: true,
        ..Terms::default()
    };
    // If the card declines after the authentication, the error stays on the intent; the buyer's page shows it.
    attempt_with(world, id, terms, None).or_else(|error| match error.status {
        402 => Ok(()),
        _ => Err(error),
    })
}

pub fn capture(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "amount_to_capture",
        "application_fee_amount",
        "metadata[*]",
        "statement_descriptor_suffix",
    ])?;
    let mut intent = world.find("payment_intent", id, call)?.clone();
    if intent.str("status") != "requires_capture" {
        return Err(unexpected(
            &intent,
            &format!(
                "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with \
                 status requires_capture may be captured.",
                intent.str("status")
            ),
        ));
    }
    let amount = params
        .integer("amount_to_capture")?
        .unwrap_or(intent.num("amount"));
    if !(1..=intent.num("amount")).contains(&amount) {
        return Err(ApiError::invalid(
            "amount_too_large",
            "The amount to capture must be at least 1 and at most what was authorized.",
        )
        .param("amount_to_capture"));
    }
    write_split(world, call, &mut intent)?;
    params.metadata(&mut intent)?;
    let charge = intent.str("latest_charge").to_owned();
    *world.edit(id) = intent;
    capture::run(world, id, &charge, amount);
    event::emit(world, "charge.captured", &charge);
    Ok(world.object(id).clone())
}

pub fn cancel(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    let reasons = [
        "duplicate",
        "fraudulent",
        "requested_by_customer",
        "abandoned",
    ];
    call.params.allow(&["cancellation_reason"])?;
    let reason = call
        .params
        .choice("cancellation_reason", &reasons)?
        .map(str::to_owned);
    let intent = world.find("payment_intent", id, call)?;
    if matches!(
        intent.str("status"),
        "succeeded" | "canceled" | "processing"
    ) {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {}.",
            intent.str("status")
        );
        return Err(unexpected(intent, &message));
    }
    let reason = reason.unwrap_or_default();
    canceled(
        world,
        id,
        Some(reason.as_str()).filter(|reason| !reason.is_empty()),
    );
    Ok(world.object(id).clone())
}

pub fn canceled(world: &mut World, id: &str, reason: Option<&str>) {
    let now = world.now;
    let intent = world.edit(id);
    intent["status"] = json!("canceled");
    intent["canceled_at"] = json!(now);
    intent["cancellation_reason"] = json!(reason);
    intent["amount_capturable"] = json!(0);
    intent["next_action"] = Value::Null;
    let held = intent.maybe("latest_charge").map(str::to_owned);
    if let Some(held) = held.filter(|held| world.object(held).is("paid")) {
        // The authorization is released. Nothing was captured, so nothing counts as refunded.
        world.edit(&held)["refunded"] = json!(true);
        if reason == Some("automatic") {
            event::emit(world, "charge.expired", &held);
        }
    }
    event::emit(world, "payment_intent.canceled", id);
}

pub fn authorization_expires(world: &mut World, id: &str) {
    if world.object(id).str("status") == "requires_capture" {
        canceled(world, id, Some("automatic"));
    }
}

fn authorized(world: &mut World, intent: &Value, method: &Value) {
    let id = intent.str("id");
    let made = charge::make(world, intent, method, None);
    let edit = world.edit(id);
    edit["latest_charge"] = json!(made);
    edit["last_payment_error"] = Value::Null;
    edit["next_action"] = Value::Null;
    let keep = intent.maybe("setup_future_usage").is_some();
    match intent.maybe("customer").filter(|_| keep) {
        Some(customer) => payment_method::attach_to(world, method.str("id"), customer),
        None if method["customer"].is_null() => {
            world.edit(method.str("id"))["_spent"] = json!(true)
        }
        None => {}
    }
    if intent.str("capture_method") == "manual" {
        let edit = world.edit(id);
        edit["status"] = json!("requires_capture");
        edit["amount_capturable"] = intent["amount"].clone();
        let at = world.now + AUTHORIZED_SECONDS;
        world
            .timers
            .set(at, Timer::AuthorizationExpires(id.to_owned()));
        event::emit(world, "charge.succeeded", &made);
        event::emit(world, "payment_intent.amount_capturable_updated", id);
    } else {
        capture::run(world, id, &made, intent.num("amount"));
    }
}
