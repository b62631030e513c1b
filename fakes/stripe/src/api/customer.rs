//! Customers.

use crate::{
    error::{ApiError, Result},
    event,
    form::Params,
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

const FIELDS: &[&str] = &[
    "email",
    "name",
    "phone",
    "description",
    "metadata[*]",
    "address[*]",
    "shipping[*]",
    "preferred_locales[]",
    "tax_exempt",
    "invoice_settings[default_payment_method]",
];

const ADDRESS: [&str; 6] = ["city", "country", "line1", "line2", "postal_code", "state"];

pub fn address(params: &Params) -> Value {
    let mut address = json!({});
    for field in ADDRESS {
        address[field] = json!(params.text(field));
    }
    address
}

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    let mut allowed = FIELDS.to_vec();
    allowed.push("payment_method");
    params.allow(&allowed)?;
    if let Some(method) = params.text("payment_method") {
        super::payment_method::check_attachable(world, call, method)?;
    }
    let id = world.new_id("cus");
    let prefix = world.token(8).to_ascii_uppercase();
    let mut customer = json!({
        "id": id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": world.now,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
        },
        "livemode": false,
        "metadata": {},
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    });
    call.own(&mut customer);
    write(world, call, &mut customer)?;
    world.insert("customers", customer);
    event::emit(world, "customer.created", &id);
    if let Some(method) = params.text("payment_method") {
        let method = super::payment_method::resolve(world, call, "payment_method", method)?;
        super::payment_method::attach_to(world, &method, &id);
    }
    Ok(world.object(&id).clone())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(FIELDS)?;
    let mut customer = living(world, call, id)?;
    write(world, call, &mut customer)?;
    *world.edit(id) = customer;
    event::emit(world, "customer.updated", id);
    Ok(world.object(id).clone())
}

pub fn delete(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    living(world, call, id)?;
    let methods: Vec<String> = methods_of(world, id);
    for method in methods {
        super::payment_method::detach_from(world, &method);
    }
    event::emit(world, "customer.deleted", id);
    world.edit(id)["deleted"] = json!(true);
    Ok(json!({ "id": id, "object": "customer", "deleted": true }))
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    let customer = world.find("customer", id, call)?;
    match customer.is("deleted") {
        true => Ok(json!({ "id": id, "object": "customer", "deleted": true })),
        false => Ok(customer.clone()),
    }
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&[
        "email",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let email = call.params.text("email");
    world.page("customers", call, |customer| {
        email.is_none_or(|email| customer.maybe("email") == Some(email))
    })
}

fn methods_of(world: &World, id: &str) -> Vec<String> {
    let all = world.all("payment_methods");
    let own = all.filter(|method| method.maybe("customer") == Some(id));
    own.map(|method| method.str("id").to_owned()).collect()
}

fn living(world: &World, call: &Call, id: &str) -> Result<Value> {
    let customer = world.find("customer", id, call)?.clone();
    match customer.is("deleted") {
        true => Err(ApiError::not_found("customer", id)),
        false => Ok(customer),
    }
}

fn write(world: &World, call: &Call, customer: &mut Value) -> Result<()> {
    let params = &call.params;
    for field in ["email", "name", "phone", "description"] {
        if let Some(value) = params.raw(field) {
            customer[field] = match value {
                "" => Value::Null,
                value => json!(value),
            };
        }
    }
    if let Some(email) = customer.maybe("email").filter(|email| !email.contains('@')) {
        return Err(ApiError::parameter(
            "email_invalid",
            "email",
            format!("Invalid email address: {email}"),
        ));
    }
    if let Some(exempt) = params.choice("tax_exempt", &["none", "exempt", "reverse"])? {
        customer["tax_exempt"] = json!(exempt);
    }
    if params.has_below("address") {
        customer["address"] = address(&params.below("address"));
    }
    if params.has_below("shipping") {
        let shipping = params.below("shipping");
        customer["shipping"] = json!({
            "address": address(&shipping.below("address")),
            "name": shipping.text("name"),
            "phone": shipping.text("phone"),
        });
    }
    let locales = params.list("preferred_locales");
    if !locales.is_empty() {
        customer["preferred_locales"] = json!(locales);
    }
    let default = "invoice_settings[default_payment_method]";
    if let Some(method) = params.raw(default) {
        let id = customer.str("id").to_owned();
        if !method.is_empty()
            && world
                .named("payment_method", default, method, call)?
                .str("customer")
                != id
        {
            return Err(ApiError::invalid(
                "resource_missing",
                "The customer does not have a payment method with that ID. It must be attached first.",
            )
            .param(default));
        }
        customer["invoice_settings"]["default_payment_method"] = match method {
            "" => Value::Null,
            method => json!(method),
        };
    }
    params.metadata(customer)
}
