//! The items of a subscription: their prices, periods, and amounts for a period.

use super::invoice::Line;
use crate::{
    error::{ApiError, Result},
    json::Fields,
    world::{Call, World},
};
use chrono::{DateTime, Days, Months};
use serde_json::{Value, json};

/// Parses the parameter `items`: recurring prices with the same currency and interval.
pub fn read(world: &World, call: &Call) -> Result<Vec<Value>> {
    let mut items: Vec<Value> = Vec::new();
    for (at, one) in call.params.maps("items").iter().enumerate() {
        let param = format!("items[{at}][price]");
        let price = one.text("price").ok_or_else(|| ApiError::missing(&param))?;
        let price = world.named("price", &param, price, call)?;
        let refuse =
            |message: &str| Err(ApiError::invalid("parameter_invalid", message).param(&param));
        if price.str("type") != "recurring" || !price.is("active") {
            return refuse("The price must be recurring and active.");
        }
        if let Some(first) = items.first() {
            let first = &first["price"];
            if first["currency"] != price["currency"] || first["recurring"] != price["recurring"] {
                return refuse("All prices of a subscription have one currency and one interval.");
            }
        }
        let quantity = one.integer("quantity")?.unwrap_or(1);
        if !(1..=999_999).contains(&quantity) {
            return refuse("A quantity is from 1 to 999999.");
        }
        items.push(json!({ "id": one.text("id"), "price": price, "quantity": quantity }));
    }
    if items.is_empty() {
        return Err(ApiError::missing("items"));
    }
    Ok(items)
}

/// Replaces the items of a subscription; items given with an id keep it.
pub fn put(world: &mut World, subscription: &mut Value, items: Vec<Value>, period: (i64, i64)) {
    let id = subscription.str("id").to_owned();
    let data: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let price = &item["price"];
            json!({
                "id": item.maybe("id").map_or_else(|| world.new_id("si"), str::to_owned),
                "object": "subscription_item",
                "billing_thresholds": null,
                "created": world.now,
                "current_period_end": period.1,
                "current_period_start": period.0,
                "discounts": [],
                "metadata": {},
                "plan": plan(price),
                "price": price,
                "quantity": item["quantity"],
                "subscription": id,
                "tax_rates": [],
            })
        })
        .collect();
    subscription["items"] = json!({
        "object": "list", "data": data, "has_more": false, "url": format!("/v1/subscription_items?subscription={id}"),
    });
}

pub fn lines(subscription: &Value) -> Vec<Line> {
    let line = |item: &Value| Line {
        description: format!("{} × {}", item.num("quantity"), item["price"].str("id")),
        amount: item.num("quantity") * item["price"].num("unit_amount"),
        proration: false,
    };
    all(subscription).iter().map(line).collect()
}

pub fn total(subscription: &Value) -> i64 {
    lines(subscription).iter().map(|line| line.amount).sum()
}

pub fn period(subscription: &Value) -> (i64, i64) {
    let first = &subscription["items"]["data"][0];
    (
        first.num("current_period_start"),
        first.num("current_period_end"),
    )
}

pub fn set_period(subscription: &mut Value, period: (i64, i64)) {
    for item in subscription["items"]["data"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        item["current_period_start"] = json!(period.0);
        item["current_period_end"] = json!(period.1);
    }
}

/// The end of the given number of periods after the anchor. Always computed from the anchor, so that a subscription
/// from the 31st returns to the 31st after shorter months.
pub fn end_of_period(anchor: i64, price: &Value, periods: i64) -> i64 {
    let recurring = &price["recurring"];
    let count = recurring.num("interval_count").max(1) * periods;
    let count = u32::try_from(count).unwrap_or(1);
    let start = DateTime::from_timestamp(anchor, 0).unwrap_or_default();
    let end = match recurring.str("interval") {
        "day" => start.checked_add_days(Days::new(u64::from(count))),
        "week" => start.checked_add_days(Days::new(7 * u64::from(count))),
        "year" => start.checked_add_months(Months::new(12 * count)),
        _ => start.checked_add_months(Months::new(count)),
    };
    end.unwrap_or(start).timestamp()
}

/// The price as an object `plan`, as older clients expect it.
fn plan(price: &Value) -> Value {
    json!({
        "id": price["id"], "object": "plan", "active": price["active"], "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"], "billing_scheme": "per_unit", "created": price["created"],
        "currency": price["currency"], "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"], "livemode": false, "metadata": {}, "meter": null,
        "nickname": price["nickname"], "product": price["product"], "tiers_mode": null, "transform_usage": null,
        "trial_period_days": null, "usage_type": "licensed",
    })
}

fn all(subscription: &Value) -> &[Value] {
    subscription["items"]["data"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
}
