//! Setup intents: save a card for later payments, with authentication if the card requires it.

use super::{attempt, payment_method};
use crate::{
    error::{ApiError, Result},
    event,
    json::Fields,
    world::{Call, World},
};
use attempt::{Answer, Terms};
use serde_json::{Value, json};

const WRITE: &[&str] = &[
    "customer",
    "description",
    "metadata[*]",
    "payment_method",
    "payment_method_data[*]",
    "payment_method_options[*]",
    "payment_method_types[]",
    "allowed_payment_method_types[]",
];

const CONFIRM: &[&str] = &[
    "payment_method",
    "payment_method_data[*]",
    "payment_method_options[*]",
    "mandate_data[*]",
    "return_url",
    "use_stripe_sdk",
    "client_secret",
];

const CREATE: &[&str] = &[
    "automatic_payment_methods[enabled]",
    "automatic_payment_methods[allow_redirects]",
    "confirm",
    "usage",
];

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[WRITE, CONFIRM, CREATE].concat())?;
    let usage = params
        .choice("usage", &["off_session", "on_session"])?
        .unwrap_or("off_session");
    let confirm = params.flag("confirm")?.unwrap_or_default();
    let mut intent = json!({
        "object": "setup_intent",
        "application": null,
        "automatic_payment_methods": { "allow_redirects": "always", "enabled": true },
        "cancellation_reason": null,
        "created": world.now,
        "customer": null,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": {
            "mandate_options": null, "network": null, "request_three_d_secure": "automatic",
        } },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": "requires_payment_method",
        "usage": usage,
    });
    call.own(&mut intent);
    write(world, call, &mut intent)?;
    if confirm
        && params.text("payment_method").is_none()
        && !params.has_below("payment_method_data")
    {
        return Err(ApiError::missing("payment_method"));
    }
    if let Some(method) = attempt::chosen(world, call, intent.maybe("customer"))? {
        intent["payment_method"] = json!(method);
        intent["status"] = json!("requires_confirmation");
    }
    let id = world.new_id("seti");
    intent["id"] = json!(id);
    intent["client_secret"] = json!(format!("{id}_secret_{}", world.token(25)));
    world.insert("setup_intents", intent);
    event::emit(world, "setup_intent.created", &id);
    if confirm {
        attempt_with(world, &id, false, params.text("return_url"))?;
    }
    Ok(world.object(&id).clone())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(WRITE)?;
    let mut intent = world.find("setup_intent", id, call)?.clone();
    write(world, call, &mut intent)?;
    if let Some(method) = attempt::chosen(world, call, intent.maybe("customer"))? {
        open(&intent, "update")?;
        intent["payment_method"] = json!(method);
        intent["status"] = json!("requires_confirmation");
    }
    *world.edit(id) = intent;
    Ok(world.object(id).clone())
}

pub fn confirm(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(CONFIRM)?;
    let intent = world.find("setup_intent", id, call)?.clone();
    open(&intent, "confirm")?;
    match attempt::chosen(world, call, intent.maybe("customer"))? {
        Some(method) => world.edit(id)["payment_method"] = json!(method),
        None if intent["payment_method"].is_null() => {
            return Err(ApiError::invalid(
                "setup_intent_unexpected_state",
                "You cannot confirm this SetupIntent because it's missing a payment method.",
            )
            .with("setup_intent", intent));
        }
        None => {}
    }
    attempt_with(world, id, false, call.params.text("return_url"))?;
    Ok(world.object(id).clone())
}

/// Attempts to save the card.
pub fn attempt_with(
    world: &mut World,
    id: &str,
    authenticated: bool,
    return_url: Option<&str>,
) -> Result<()> {
    let intent = world.object(id).clone();
    let method = world.object(intent.str("payment_method")).clone();
    attempt::check_use(&method, intent.maybe("customer"))?;
    let terms = Terms {
        authenticated,
        set_up: true,
        ..Terms::default()
    };
    match attempt::ask(&method, terms) {
        Answer::Yes => {
            let edit = world.edit(id);
            edit["status"] = json!("succeeded");
            edit["next_action"] = Value::Null;
            edit["last_setup_error"] = Value::Null;
            world.edit(method.str("id"))["_set_up"] = json!(true);
            if let Some(customer) = intent.maybe("customer") {
                payment_method::attach_to(world, method.str("id"), customer);
            }
            event::emit(world, "setup_intent.succeeded", id);
            Ok(())
        }
        Answer::Action => {
            let action = attempt::next_action(world, &intent, "setup", return_url);
            let edit = world.edit(id);
            edit["status"] = json!("requires_action");
            edit["next_action"] = action;
            edit["_return_url"] = json!(return_url);
            event::emit(world, "setup_intent.requires_action", id);
            Ok(())
        }
        Answer::No(error) => Err(refused(world, id, error)),
    }
}

/// The buyer has authenticated, or failed to.
pub fn authenticate(world: &mut World, id: &str, success: bool) -> Result<()> {
    let intent = world.object(id);
    if intent.str("status") != "requires_action" {
        let error = ApiError::invalid(
            "setup_intent_unexpected_state",
            "There is nothing to authenticate.",
        );
        return Err(error.with("setup_intent", intent.clone()));
    }
    if !success {
        refused(world, id, attempt::unauthenticated(true));
        return Ok(());
    }
    attempt_with(world, id, true, None).or_else(|error| match error.status {
        402 => Ok(()),
        _ => Err(error),
    })
}

pub fn cancel(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["cancellation_reason"])?;
    let reasons = ["abandoned", "requested_by_customer", "duplicate"];
    let reason = call.params.choice("cancellation_reason", &reasons)?;
    open(world.find("setup_intent", id, call)?, "cancel")?;
    let edit = world.edit(id);
    edit["status"] = json!("canceled");
    edit["cancellation_reason"] = json!(reason);
    edit["next_action"] = Value::Null;
    event::emit(world, "setup_intent.canceled", id);
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["client_secret"])?;
    world.find("setup_intent", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&[
        "customer",
        "payment_method",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted = ["customer", "payment_method"].map(|name| (name, call.params.text(name)));
    world.page("setup_intents", call, |intent| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| value.is_none() || intent.maybe(name) == *value)
    })
}

fn write(world: &World, call: &Call, intent: &mut Value) -> Result<()> {
    let params = &call.params;
    if let Some(customer) = params.text("customer") {
        world.named("customer", "customer", customer, call)?;
        intent["customer"] = json!(customer);
    }
    if let Some(description) = params.text("description") {
        intent["description"] = json!(description);
    }
    params.metadata(intent)
}

fn open(intent: &Value, action: &str) -> Result<()> {
    let status = intent.str("status");
    if matches!(
        status,
        "requires_payment_method" | "requires_confirmation" | "requires_action"
    ) {
        return Ok(());
    }
    let message =
        format!("You cannot {action} this SetupIntent because it has a status of {status}.");
    Err(ApiError::invalid("setup_intent_unexpected_state", message)
        .with("setup_intent", intent.clone()))
}

fn refused(world: &mut World, id: &str, error: Box<ApiError>) -> Box<ApiError> {
    let method = world.object(world.object(id).str("payment_method")).clone();
    let error = error.with("payment_method", method);
    let edit = world.edit(id);
    edit["status"] = json!("requires_payment_method");
    edit["payment_method"] = Value::Null;
    edit["next_action"] = Value::Null;
    edit["last_setup_error"] = error.as_last_error();
    event::emit(world, "setup_intent.setup_failed", id);
    error.with("setup_intent", world.object(id).clone())
}
