//! Payment methods: cards, and the customers to whom they belong.

use crate::{
    card::{self, Behaviour, Card},
    error::{ApiError, Result},
    event,
    form::Params,
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

const CREATE: &[&str] = &[
    "type",
    "card[number]",
    "card[exp_month]",
    "card[exp_year]",
    "card[cvc]",
    "card[token]",
    "billing_details[*]",
    "allow_redisplay",
    "metadata[*]",
];

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    call.params.allow(CREATE)?;
    let id = create_from(world, call, &call.params, "card")?;
    Ok(world.object(&id).clone())
}

/// Creates a card from parameters; `at` is the name of the card's parameter, for errors.
pub fn create_from(world: &mut World, call: &Call, params: &Params, at: &str) -> Result<String> {
    match params.required("type")? {
        "card" => {}
        other => {
            return Err(ApiError::parameter(
                "parameter_invalid_enum",
                "type",
                format!("Invalid type: {other}. The fake has cards only."),
            ));
        }
    }
    let card = match (params.text("card[token]"), params.text("card[number]")) {
        (Some(token), _) => {
            card::by_name(token).ok_or_else(|| ApiError::no_such("token", token, at))?
        }
        (None, Some(number)) => card::by_number(number).ok_or_else(|| {
            ApiError::card("incorrect_number", None, "Your card number is incorrect.")
                .param(&format!("{at}[number]"))
        })?,
        (None, None) => return Err(ApiError::missing(&format!("{at}[number]"))),
    };
    let month = params.integer("card[exp_month]")?.unwrap_or(8);
    let year = params
        .integer("card[exp_year]")?
        .unwrap_or(default_year(world.now));
    check_expiry(world.now, month, year)?;
    let mut method = build(world, card, month, year);
    let billing = params.below("billing_details");
    for field in ["email", "name", "phone"] {
        method["billing_details"][field] = json!(billing.text(field));
    }
    method["billing_details"]["address"] = super::customer::address(&billing.below("address"));
    params.metadata(&mut method)?;
    call.own(&mut method);
    Ok(world.insert("payment_methods", method))
}

/// The payment method that a parameter names. Each use of a name such as `pm_card_visa` creates a new card.
pub fn resolve(world: &mut World, call: &Call, param: &str, id: &str) -> Result<String> {
    if let Some(card) = card::by_name(id).filter(|_| id.starts_with("pm_card_")) {
        let year = default_year(world.now);
        let mut method = build(world, card, 8, year);
        call.own(&mut method);
        return Ok(world.insert("payment_methods", method));
    }
    world.named("payment_method", param, id, call)?;
    Ok(id.to_owned())
}

/// Checks that a parameter names a payment method, without creating anything.
pub fn check_named(world: &World, call: &Call, param: &str, id: &str) -> Result<()> {
    if id.starts_with("pm_card_") && card::by_name(id).is_some() {
        return Ok(());
    }
    world.named("payment_method", param, id, call).map(|_| ())
}

pub fn card_of(method: &Value) -> &'static Card {
    card::by_number(method.str("_number")).unwrap_or(&card::CARDS[0])
}

/// The error of a card that can't even be saved.
pub fn refusal_to_keep(card: &Card) -> Option<Box<ApiError>> {
    match card.behaviour {
        Behaviour::DeclinesAttach(code, decline) => {
            Some(ApiError::card(code, decline, card::message(code, decline)))
        }
        _ => None,
    }
}

pub fn check_attachable(world: &World, call: &Call, id: &str) -> Result<()> {
    check_named(world, call, "payment_method", id)?;
    let card = match card::by_name(id) {
        Some(card) => card,
        None => card_of(world.object(id)),
    };
    match refusal_to_keep(card) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

pub fn get(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    if card::by_name(id).is_some() {
        let id = resolve(world, call, "payment_method", id)?;
        return Ok(world.object(&id).clone());
    }
    world.find("payment_method", id, call).cloned()
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&[
        "metadata[*]",
        "billing_details[*]",
        "card[exp_month]",
        "card[exp_year]",
        "allow_redisplay",
    ])?;
    let mut method = world.find("payment_method", id, call)?.clone();
    let params = &call.params;
    for field in ["exp_month", "exp_year"] {
        if let Some(value) = params.integer(&format!("card[{field}]"))? {
            method["card"][field] = json!(value);
        }
    }
    check_expiry(
        world.now,
        method["card"].num("exp_month"),
        method["card"].num("exp_year"),
    )?;
    let billing = params.below("billing_details");
    for field in ["email", "name", "phone"] {
        if let Some(value) = billing.text(field) {
            method["billing_details"][field] = json!(value);
        }
    }
    params.metadata(&mut method)?;
    *world.edit(id) = method;
    event::emit(world, "payment_method.updated", id);
    Ok(world.object(id).clone())
}

pub fn list(world: &World, call: &Call, customer: Option<&str>) -> Result<Value> {
    call.params.allow(&[
        "customer",
        "type",
        "limit",
        "starting_after",
        "ending_before",
        "allow_redisplay",
    ])?;
    let customer = match customer.or(call.params.text("customer")) {
        Some(id) => world.named("customer", "customer", id, call)?.str("id"),
        None => return world.page("payment_methods", call, |_| false),
    };
    let kind = call.params.text("type");
    world.page("payment_methods", call, |method| {
        method.maybe("customer") == Some(customer)
            && kind.is_none_or(|kind| method.str("type") == kind)
    })
}

pub fn attach(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["customer"])?;
    let customer = call.params.required("customer")?;
    world.named("customer", "customer", customer, call)?;
    check_attachable(world, call, id)?;
    let method = resolve(world, call, "payment_method", id)?;
    let found = world.object(&method);
    match found.maybe("customer") {
        Some(owner) if owner == customer => return Ok(found.clone()),
        Some(_) => {
            return Err(ApiError::invalid(
                "payment_method_already_attached",
                "The payment method you provided has already been attached to a customer.",
            ));
        }
        None => {}
    }
    if found.is("_spent") {
        return Err(spent());
    }
    attach_to(world, &method, customer);
    Ok(world.object(&method).clone())
}

pub fn spent() -> Box<ApiError> {
    ApiError::invalid(
        "payment_method_unexpected_state",
        "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, \
         and may not be used again.",
    )
}

pub fn attach_to(world: &mut World, method: &str, customer: &str) {
    if world.object(method).maybe("customer") == Some(customer) {
        return;
    }
    world.edit(method)["customer"] = json!(customer);
    event::emit(world, "payment_method.attached", method);
}

pub fn detach(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&[])?;
    if world
        .find("payment_method", id, call)?
        .maybe("customer")
        .is_none()
    {
        return Err(ApiError::invalid(
            "payment_method_unexpected_state",
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    detach_from(world, id);
    Ok(world.object(id).clone())
}

pub fn detach_from(world: &mut World, id: &str) {
    let method = world.edit(id);
    let customer = method.str("customer").to_owned();
    method["customer"] = Value::Null;
    method["_spent"] = json!(true);
    event::emit(world, "payment_method.detached", id);
    let owner = world.edit(&customer);
    if owner["invoice_settings"].maybe("default_payment_method") == Some(id) {
        owner["invoice_settings"]["default_payment_method"] = Value::Null;
    }
}

fn default_year(now: i64) -> i64 {
    year_of(now) + 4
}

fn year_of(now: i64) -> i64 {
    use chrono::{DateTime, Datelike};
    DateTime::from_timestamp(now, 0).map_or(2026, |at| i64::from(at.year()))
}

fn check_expiry(now: i64, month: i64, year: i64) -> Result<()> {
    use chrono::{DateTime, Datelike};
    if !(1..=12).contains(&month) {
        return Err(ApiError::card(
            "invalid_expiry_month",
            None,
            "Your card's expiration month is invalid.",
        ));
    }
    let this_month = DateTime::from_timestamp(now, 0).map_or(1, |at| i64::from(at.month()));
    if (year, month) < (year_of(now), this_month) {
        return Err(ApiError::card(
            "invalid_expiry_year",
            None,
            "Your card's expiration year is invalid.",
        ));
    }
    Ok(())
}

fn build(world: &mut World, card: &Card, month: i64, year: i64) -> Value {
    json!({
        "id": world.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": super::customer::address(&Params::default()),
            "email": null, "name": null, "phone": null, "tax_id": null,
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass",
            },
            "country": "US",
            "display_brand": card.brand,
            "exp_month": month,
            "exp_year": year,
            "fingerprint": format!("fake{}", card.number),
            "funding": "credit",
            "generated_from": null,
            "last4": card.last4(),
            "networks": { "available": [card.brand], "preferred": null },
            "regulated_status": "unregulated",
            "three_d_secure_usage": { "supported": true },
            "wallet": null,
        },
        "created": world.now,
        "customer": null,
        "customer_account": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
        "_number": card.number,
    })
}
