//! The platform's fees on payments of connected accounts.

use crate::{
    error::{ApiError, Result},
    event,
    json::{Fields, empty_list},
    ledger::{PLATFORM, Reason},
    world::{Call, Move, World},
};
use serde_json::{Value, json};

/// Creates the fee on a charge, taken from the account that received the money.
pub fn make(world: &mut World, payer: &str, charge: &str, amount: i64) -> String {
    let id = world.new_id("fee");
    let currency = world.object(charge).str("currency").to_owned();
    let fee = json!({
        "id": id,
        "object": "application_fee",
        "account": payer,
        "amount": amount,
        "amount_refunded": 0,
        "application": "ca_fake",
        "balance_transaction": null,
        "charge": charge,
        "created": world.now,
        "currency": currency,
        "fee_source": { "charge": charge, "type": "charge" },
        "livemode": false,
        "originating_transaction": charge,
        "refunded": false,
        "refunds": empty_list(&format!("/v1/application_fees/{id}/refunds")),
    });
    world.insert("application_fees", fee);
    world.book(&Move {
        currency: &currency,
        from: payer,
        to: PLATFORM,
        amount,
        reason: Reason::ApplicationFee,
        object: &id,
    });
    let transaction = world.balance_transaction(PLATFORM, "application_fee", &id, amount, 0);
    world.edit(&id)["balance_transaction"] = json!(transaction);
    event::emit(world, "application_fee.created", &id);
    id
}

pub fn create_refund(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["amount", "metadata[*]"])?;
    let fee = world.find("application_fee", id, call)?;
    let left = fee.num("amount") - fee.num("amount_refunded");
    let amount = call.params.integer("amount")?.unwrap_or(left);
    if !(1..=left).contains(&amount) {
        return Err(ApiError::invalid(
            "application_fee_refund_amount_invalid",
            format!("The application fee has {left} left to refund, not {amount}."),
        )
        .param("amount"));
    }
    let mut metadata = json!({});
    call.params.metadata(&mut metadata)?;
    let refund = refund(world, id, amount);
    world.edit(&refund)["metadata"] = metadata["metadata"].clone();
    Ok(world.object(&refund).clone())
}

pub fn refund(world: &mut World, id: &str, amount: i64) -> String {
    let fee = world.object(id).clone();
    let refund = world.new_id("fr");
    let object = json!({
        "id": refund,
        "object": "fee_refund",
        "amount": amount,
        "balance_transaction": null,
        "created": world.now,
        "currency": fee["currency"],
        "fee": id,
        "metadata": {},
    });
    world.insert("fee_refunds", object);
    world.book(&Move {
        currency: fee.str("currency"),
        from: PLATFORM,
        to: fee.str("account"),
        amount,
        reason: Reason::ApplicationFeeRefund,
        object: &refund,
    });
    let transaction =
        world.balance_transaction(PLATFORM, "application_fee_refund", &refund, -amount, 0);
    world.edit(&refund)["balance_transaction"] = json!(transaction);
    let shown = crate::json::visible(world.object(&refund));
    let edit = world.edit(id);
    let refunded = edit.num("amount_refunded") + amount;
    edit["amount_refunded"] = json!(refunded);
    edit["refunded"] = json!(refunded == edit.num("amount"));
    if let Some(all) = edit["refunds"]["data"].as_array_mut() {
        all.insert(0, shown);
    }
    event::emit(world, "application_fee.refunded", id);
    refund
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("application_fee", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    call.params.allow(&[
        "charge",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let charge = call.params.text("charge");
    world.page("application_fees", call, |fee| {
        charge.is_none_or(|charge| fee.maybe("charge") == Some(charge))
    })
}
