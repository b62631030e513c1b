//! Products and their prices.

use crate::{
    currency,
    error::{ApiError, Result},
    event,
    json::Fields,
    world::{Call, World},
};
use serde_json::{Value, json};

const PAGE: [&str; 4] = ["limit", "starting_after", "ending_before", "created[*]"];

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    call.params
        .allow(&["name", "description", "active", "metadata[*]", "id"])?;
    let name = call.params.required("name")?;
    let mut product = build_product(world, call, name);
    if let Some(id) = call.params.text("id") {
        if world.get(id).is_some() {
            return Err(
                ApiError::invalid("resource_already_exists", "Product already exists.").param("id"),
            );
        }
        product["id"] = json!(id);
    }
    write(call, &mut product)?;
    let id = world.insert("products", product);
    event::emit(world, "product.created", &id);
    Ok(world.object(&id).clone())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params
        .allow(&["name", "description", "active", "metadata[*]"])?;
    let mut product = world.find("product", id, call)?.clone();
    write(call, &mut product)?;
    product["updated"] = json!(world.now);
    *world.edit(id) = product;
    event::emit(world, "product.updated", id);
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("product", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params
        .allow(&[&["active", "ids[]"], PAGE.as_slice()].concat())?;
    let active = call.params.flag("active")?;
    let ids = call.params.list("ids");
    world.page("products", call, |product| {
        active.is_none_or(|active| product.is("active") == active)
            && (ids.is_empty() || ids.contains(&product.str("id")))
    })
}

pub fn create_price(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "currency",
        "unit_amount",
        "product",
        "product_data[name]",
        "recurring[interval]",
        "recurring[interval_count]",
        "lookup_key",
        "transfer_lookup_key",
        "nickname",
        "active",
        "metadata[*]",
        "tax_behavior",
    ])?;
    let currency = currency::read(params)?;
    let amount = params
        .integer("unit_amount")?
        .ok_or_else(|| ApiError::missing("unit_amount"))?;
    if amount < 0 {
        let message = "This value must be greater than or equal to 0.".to_owned();
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "unit_amount",
            message,
        ));
    }
    let interval = params.choice("recurring[interval]", &["day", "week", "month", "year"])?;
    let count = params.integer("recurring[interval_count]")?.unwrap_or(1);
    if !(1..=36).contains(&count) {
        let message = "An interval_count is from 1 to 36.".to_owned();
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "recurring[interval_count]",
            message,
        ));
    }
    let transfer = params.flag("transfer_lookup_key")?.unwrap_or_default();
    let taken = params
        .text("lookup_key")
        .and_then(|key| holder_of(world, call, key));
    if taken.is_some() && !transfer {
        let message =
            "A price (active or not) already uses that lookup key; see transfer_lookup_key.";
        return Err(ApiError::invalid("resource_already_exists", message).param("lookup_key"));
    }
    let product = match (params.text("product"), params.text("product_data[name]")) {
        (Some(id), _) => world
            .named("product", "product", id, call)?
            .str("id")
            .to_owned(),
        (None, Some(name)) => {
            let made = build_product(world, call, name);
            world.insert("products", made)
        }
        (None, None) => return Err(ApiError::missing("product")),
    };
    let mut price = json!({
        "id": world.new_id("price"),
        "object": "price",
        "active": params.flag("active")?.unwrap_or(true),
        "billing_scheme": "per_unit",
        "created": world.now,
        "currency": currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": params.text("lookup_key"),
        "metadata": {},
        "nickname": params.text("nickname"),
        "product": product,
        "recurring": interval.map(|interval| json!({
            "interval": interval, "interval_count": count, "meter": null, "trial_period_days": null,
            "usage_type": "licensed",
        })),
        "tax_behavior": params.text("tax_behavior").unwrap_or("unspecified"),
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if interval.is_some() { "recurring" } else { "one_time" },
        "unit_amount": amount,
        "unit_amount_decimal": amount.to_string(),
    });
    params.metadata(&mut price)?;
    call.own(&mut price);
    if let Some(former) = taken {
        world.edit(&former)["lookup_key"] = Value::Null;
    }
    let id = world.insert("prices", price);
    event::emit(world, "price.created", &id);
    Ok(world.object(&id).clone())
}

pub fn update_price(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["active", "nickname", "metadata[*]"])?;
    let mut price = world.find("price", id, call)?.clone();
    if let Some(active) = call.params.flag("active")? {
        price["active"] = json!(active);
    }
    if let Some(nickname) = call.params.text("nickname") {
        price["nickname"] = json!(nickname);
    }
    call.params.metadata(&mut price)?;
    *world.edit(id) = price;
    event::emit(world, "price.updated", id);
    Ok(world.object(id).clone())
}

pub fn get_price(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("price", id, call).cloned()
}

pub fn list_prices(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(
        &[
            &["active", "product", "type", "currency", "lookup_keys[]"],
            PAGE.as_slice(),
        ]
        .concat(),
    )?;
    let active = params.flag("active")?;
    let keys = params.list("lookup_keys");
    let wanted = ["product", "type", "currency"].map(|name| (name, params.text(name)));
    world.page("prices", call, |price| {
        let mut wanted = wanted.iter();
        active.is_none_or(|active| price.is("active") == active)
            && (keys.is_empty()
                || price
                    .maybe("lookup_key")
                    .is_some_and(|key| keys.contains(&key)))
            && wanted.all(|(name, value)| value.is_none() || price.maybe(name) == *value)
    })
}

fn build_product(world: &mut World, call: &Call, name: &str) -> Value {
    let mut product = json!({
        "id": world.new_id("prod"),
        "object": "product",
        "active": true,
        "created": world.now,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": false,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "type": "service",
        "unit_label": null,
        "updated": world.now,
        "url": null,
    });
    call.own(&mut product);
    product
}

fn write(call: &Call, product: &mut Value) -> Result<()> {
    for field in ["name", "description"] {
        if let Some(value) = call.params.text(field) {
            product[field] = json!(value);
        }
    }
    if let Some(active) = call.params.flag("active")? {
        product["active"] = json!(active);
    }
    call.params.metadata(product)
}

fn holder_of(world: &World, call: &Call, key: &str) -> Option<String> {
    let mut all = world.all("prices").filter(|price| call.owns(price));
    let found = all.find(|price| price.maybe("lookup_key") == Some(key));
    found.map(|price| price.str("id").to_owned())
}
