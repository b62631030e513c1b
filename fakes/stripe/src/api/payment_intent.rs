//! Payment intents.

use super::{
    attempt,
    payment_flow::{self, CONFIRM},
};
use crate::{
    currency,
    error::{ApiError, Result},
    event,
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

const WRITE: &[&str] = &[
    "amount",
    "currency",
    "customer",
    "description",
    "metadata[*]",
    "payment_method",
    "payment_method_data[*]",
    "payment_method_options[*]",
    "payment_method_types[]",
    "allowed_payment_method_types[]",
    "receipt_email",
    "setup_future_usage",
    "shipping[*]",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "application_fee_amount",
    "transfer_data[destination]",
    "transfer_data[amount]",
    "transfer_group",
];

const CREATE: &[&str] = &[
    "automatic_payment_methods[enabled]",
    "automatic_payment_methods[allow_redirects]",
    "capture_method",
    "confirm",
    "confirmation_method",
    "on_behalf_of",
];

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[WRITE, CONFIRM, CREATE].concat())?;
    let amount = params
        .integer("amount")?
        .ok_or_else(|| ApiError::missing("amount"))?;
    let currency = currency::read(params)?;
    let confirm = params.flag("confirm")?.unwrap_or_default();
    let capture_method = params.choice(
        "capture_method",
        &["automatic", "automatic_async", "manual"],
    )?;
    let capture_method = capture_method.unwrap_or("automatic_async");
    let confirmation = params.choice("confirmation_method", &["automatic", "manual"])?;
    let mut types = params.list("payment_method_types");
    types.extend(params.list("allowed_payment_method_types"));
    if let Some(other) = types.iter().find(|kind| **kind != "card") {
        return Err(ApiError::parameter(
            "payment_intent_invalid_parameter",
            "payment_method_types",
            format!("The payment method type {other:?} is invalid. The fake has cards only."),
        ));
    }
    if !confirm {
        for only in ["off_session", "error_on_requires_action", "return_url"] {
            if params.text(only).is_some() {
                let message = format!("You cannot provide `{only}` unless `confirm` is true.");
                return Err(ApiError::parameter("parameter_unknown", only, message));
            }
        }
    }
    if let Some(id) = params.text("on_behalf_of") {
        super::account::merchant(world, id, &currency)?;
    }
    let mut intent = json!({
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": if types.is_empty() {
            json!({ "allow_redirects": params.text("automatic_payment_methods[allow_redirects]").unwrap_or("always"), "enabled": true })
        } else { Value::Null },
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": capture_method,
        "confirmation_method": confirmation.unwrap_or("automatic"),
        "created": world.now,
        "currency": currency,
        "customer": null,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": params.text("on_behalf_of"),
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": {
            "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic",
        } },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": null,
    });
    call.own(&mut intent);
    write(world, call, &mut intent)?;
    if confirm
        && params.text("payment_method").is_none()
        && !params.has_below("payment_method_data")
    {
        return Err(ApiError::missing("payment_method"));
    }
    let method = attempt::chosen(world, call, intent.maybe("customer"))?;
    if let Some(method) = method {
        intent["payment_method"] = json!(method);
        intent["status"] = json!("requires_confirmation");
    }
    let id = world.new_id("pi");
    intent["id"] = json!(id);
    intent["client_secret"] = json!(format!("{id}_secret_{}", world.token(25)));
    if intent["transfer_data"].is_object() && intent["transfer_group"].is_null() {
        intent["transfer_group"] = json!(format!("group_{id}"));
    }
    world.insert("payment_intents", intent);
    event::emit(world, "payment_intent.created", &id);
    if confirm {
        payment_flow::attempt_now(world, call, &id)?;
    }
    Ok(world.object(&id).clone())
}

/// Writes how the payment is split between accounts.
pub fn write_split(world: &World, call: &Call, intent: &mut Value) -> Result<()> {
    let params = &call.params;
    let (amount, currency) = (intent.num("amount"), intent.str("currency").to_owned());
    if let Some(destination) = params.text("transfer_data[destination]") {
        if call.account.is_some() {
            return Err(ApiError::invalid(
                "parameter_invalid",
                "A charge on a connected account can't have a destination in the fake.",
            ));
        }
        super::account::payable(world, "transfer_data[destination]", destination, &currency)?;
        if let (Some(country), true) = (
            super::account::abroad(world, destination),
            intent["on_behalf_of"].is_null(),
        ) {
            return Err(ApiError::invalid(
                "parameter_invalid",
                format!(
                    "Cannot create a destination charge for connected accounts in {country} because funds would be settled \
                     on the platform and the connected account is outside the platform's region. You may use the \
                     `on_behalf_of` parameter to have the charge settle in the connected account's country.",
                ),
            )
            .param("transfer_data[destination]"));
        }
        intent["transfer_data"] = json!({ "destination": destination });
    }
    if let Some(part) = params.integer("transfer_data[amount]")? {
        if !(1..=amount).contains(&part) {
            return Err(ApiError::invalid(
                "parameter_invalid_integer",
                "The transfer amount must be at least 1 and at most the amount of the payment.",
            )
            .param("transfer_data[amount]"));
        }
        if intent["transfer_data"].is_null() {
            return Err(ApiError::missing("transfer_data[destination]"));
        }
        intent["transfer_data"]["amount"] = json!(part);
    }
    let Some(fee) = params.integer("application_fee_amount")? else {
        return Ok(());
    };
    let refuse = |message: &str| {
        Err(ApiError::invalid("parameter_invalid", message).param("application_fee_amount"))
    };
    if call.account.is_none() && intent["transfer_data"].is_null() {
        return refuse(
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an \
             OAuth key or Stripe-Account header) or destination payment (using `transfer_data[destination]`).",
        );
    }
    if intent["transfer_data"].get("amount").is_some() {
        return refuse("You can't provide both application_fee_amount and transfer_data[amount].");
    }
    if !(0..=amount).contains(&fee) {
        return refuse(
            "The application fee must be positive and at most the amount of the payment.",
        );
    }
    intent["application_fee_amount"] = json!(fee);
    Ok(())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(WRITE)?;
    let mut intent = world.find("payment_intent", id, call)?.clone();
    let settled = !matches!(
        intent.str("status"),
        "requires_payment_method" | "requires_confirmation" | "requires_action"
    );
    let money = [
        "amount",
        "currency",
        "application_fee_amount",
        "payment_method",
        "customer",
    ];
    if let Some(fixed) = money
        .iter()
        .find(|name| settled && call.params.text(name).is_some())
    {
        return Err(unexpected(
            &intent,
            &format!(
                "`{fixed}` can't be changed because the PaymentIntent has a status of {}.",
                intent.str("status")
            ),
        ));
    }
    write(world, call, &mut intent)?;
    if let Some(method) = attempt::chosen(world, call, intent.maybe("customer"))? {
        intent["payment_method"] = json!(method);
        intent["status"] = json!("requires_confirmation");
        intent["next_action"] = Value::Null;
    }
    *world.edit(id) = intent;
    Ok(world.object(id).clone())
}

/// The error if the intent's state does not allow the call. Like Stripe's, it contains the intent, so that the caller
/// sees its state.
pub fn unexpected(intent: &Value, message: &str) -> Box<ApiError> {
    ApiError::invalid("payment_intent_unexpected_state", message)
        .with("payment_intent", intent.clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["client_secret"])?;
    world.find("payment_intent", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&[
        "customer",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let customer = call.params.text("customer");
    world.page("payment_intents", call, |intent| {
        customer.is_none_or(|customer| intent.maybe("customer") == Some(customer))
    })
}

/// Searches with the part of Stripe's search language that is needed here: `metadata['order_id']:'…'` and
/// `status:'…'`, joined by AND.
pub fn search(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&["query", "limit", "page"])?;
    let query = call.params.required("query")?;
    let terms: Option<Vec<(&str, &str)>> = query.split(" AND ").map(term).collect();
    let Some(terms) = terms else {
        let message = "The fake understands terms such as metadata['order_id']:'6735' and status:'succeeded'.";
        return Err(ApiError::parameter(
            "parameter_invalid_string",
            "query",
            message.to_owned(),
        ));
    };
    let limit = call.params.integer("limit")?.unwrap_or(10).clamp(1, 100);
    let fits = |intent: &&Value| {
        let mut terms = terms.iter();
        call.owns(intent)
            && terms.all(|(name, value)| match name.strip_prefix("metadata['") {
                Some(rest) => intent["metadata"].str(rest.trim_end_matches("']")) == *value,
                None => intent.str(name) == *value,
            })
    };
    let found = world.all("payment_intents").rev().filter(fits);
    let mut found: Vec<&Value> = found.collect();
    let limit = usize::try_from(limit).unwrap_or(10);
    let more = found.len() > limit;
    found.truncate(limit);
    Ok(json!({
        "object": "search_result", "url": call.path, "has_more": more, "next_page": null, "data": found,
    }))
}

/// Writes the parameters that are accepted at creation and at updates.
fn write(world: &World, call: &Call, intent: &mut Value) -> Result<()> {
    let params = &call.params;
    if let Some(amount) = params.integer("amount")? {
        intent["amount"] = json!(amount);
    }
    if params.text("currency").is_some() {
        intent["currency"] = json!(currency::read(params)?);
    }
    let (amount, currency) = (intent.num("amount"), intent.str("currency").to_owned());
    currency::chargeable(amount, &currency)?;
    if let Some(customer) = params.text("customer") {
        world.named("customer", "customer", customer, call)?;
        intent["customer"] = json!(customer);
    }
    for field in [
        "description",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    ] {
        if let Some(value) = params.raw(field) {
            intent[field] = match value {
                "" => Value::Null,
                value => json!(value),
            };
        }
    }
    if let Some(usage) = params.choice("setup_future_usage", &["off_session", "on_session"])? {
        intent["setup_future_usage"] = json!(usage);
    }
    if params.has_below("shipping") {
        let shipping = params.below("shipping");
        intent["shipping"] = json!({
            "address": super::customer::address(&shipping.below("address")),
            "carrier": shipping.text("carrier"),
            "name": shipping.text("name"),
            "phone": shipping.text("phone"),
            "tracking_number": shipping.text("tracking_number"),
        });
    }
    write_split(world, call, intent)?;
    params.metadata(intent)
}

fn term(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.trim().split_once(':')?;
    let quote = value
        .chars()
        .next()
        .filter(|quote| ['\'', '"'].contains(quote))?;
    let value = value.strip_prefix(quote)?.strip_suffix(quote)?;
    let known =
        ["status", "customer", "currency"].contains(&name) || name.starts_with("metadata['");
    known.then_some((name, value))
}
