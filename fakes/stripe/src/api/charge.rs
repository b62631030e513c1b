//! Charges: attempts to take money. They are only created by payment intents.

use super::payment_method;
use crate::{
    card::Behaviour,
    error::{ApiError, Result},
    json::{Fields, empty_list},
    world::{Call, World},
};
use serde_json::{Value, json};

/// Creates the charge of an attempt, not captured yet. With an error, the charge was declined.
pub fn make(world: &mut World, intent: &Value, method: &Value, error: Option<&ApiError>) -> String {
    let id = world.new_id("ch");
    let blocked = payment_method::card_of(method).behaviour == Behaviour::Blocked;
    let of_error = |name: &str| {
        error
            .and_then(|error| error.field(name))
            .cloned()
            .unwrap_or_default()
    };
    let outcome = match error {
        None => json!({
            "advice_code": null, "network_advice_code": null, "network_decline_code": null,
            "network_status": "approved_by_network", "reason": null, "risk_level": "normal",
            "seller_message": "Payment complete.", "type": "authorized",
        }),
        Some(_) => json!({
            "advice_code": null, "network_advice_code": null, "network_decline_code": null,
            "network_status": if blocked { "not_sent_to_network" } else { "declined_by_network" },
            "reason": of_error("decline_code"), "risk_level": if blocked { "highest" } else { "normal" },
            "seller_message": "The bank did not approve the payment.",
            "type": if blocked { "blocked" } else { "issuer_declined" },
        }),
    };
    let mut charge = json!({
        "id": id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": null,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "FAKE",
        "captured": false,
        "created": world.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": of_error("code"),
        "failure_message": of_error("message"),
        "fraud_details": {},
        "livemode": false,
        "metadata": intent["metadata"],
        "on_behalf_of": intent["on_behalf_of"],
        "outcome": outcome,
        "paid": error.is_none(),
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": { "card": details(method, intent), "type": "card" },
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "refunds": empty_list(&format!("/v1/charges/{id}/refunds")),
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": if error.is_none() { "succeeded" } else { "failed" },
        "transfer": null,
        "transfer_data": intent["transfer_data"],
        "transfer_group": intent["transfer_group"],
    });
    if let Some(account) = intent.maybe("_account") {
        charge["_account"] = json!(account);
    }
    world.insert("charges", charge)
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("charge", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "customer",
        "payment_intent",
        "transfer_group",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted =
        ["customer", "payment_intent", "transfer_group"].map(|name| (name, params.text(name)));
    world.page("charges", call, |charge| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| value.is_none() || charge.maybe(name) == *value)
    })
}

fn details(method: &Value, intent: &Value) -> Value {
    let card = &method["card"];
    json!({
        "amount_authorized": intent["amount"],
        "authorization_code": null,
        "brand": card["brand"],
        "checks": card["checks"],
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": { "status": "disabled" },
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": { "status": "unavailable" },
        "installments": null,
        "last4": card["last4"],
        "mandate": null,
        "multicapture": { "status": "unavailable" },
        "network": card["brand"],
        "network_token": { "used": false },
        "network_transaction_id": null,
        "overcapture": { "maximum_amount_capturable": intent["amount"], "status": "unavailable" },
        "regulated_status": "unregulated",
        "three_d_secure": null,
        "wallet": null,
    })
}
