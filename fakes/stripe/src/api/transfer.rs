//! Transfers from the platform to connected accounts, and their reversals.

use crate::{
    currency,
    error::{ApiError, Result},
    event,
    json::{Fields, empty_list},
    ledger::{PLATFORM, Reason},
    world::{Call, Move, World},
};
use serde_json::{Value, json};

pub struct New<'a> {
    pub amount: i64,
    pub currency: &'a str,
    pub destination: &'a str,
    /// The charge from which the money comes.
    pub source: Option<&'a str>,
    pub group: Option<&'a str>,
    pub description: Option<&'a str>,
}

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "amount",
        "currency",
        "destination",
        "description",
        "metadata[*]",
        "source_transaction",
        "source_type",
        "transfer_group",
    ])?;
    let amount = params.integer("amount")?;
    let currency = currency::read(params)?;
    let destination = params.required("destination")?;
    super::account::payable(world, "destination", destination, &currency)?;
    if let Some(country) = super::account::abroad(world, destination) {
        return Err(ApiError::invalid(
            "transfers_not_allowed",
            format!(
                "Funds can't be sent to accounts located in {country} because it's restricted outside of your platform's \
                 region.",
            ),
        )
        .param("destination"));
    }
    let source = params.text("source_transaction");
    let amount = match (amount, source) {
        (Some(amount), None) => {
            enough(world, PLATFORM, &currency, amount)?;
            amount
        }
        (amount, Some(id)) => from_charge(world, call, id, amount, &currency)?,
        (None, None) => return Err(ApiError::missing("amount")),
    };
    if amount < 1 {
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "amount",
            "This value must be greater than or equal to 1.".to_owned(),
        ));
    }
    currency::not_too_large(amount, &currency)?;
    let mut metadata = json!({});
    params.metadata(&mut metadata)?;
    let group = match source {
        Some(charge) => world
            .object(charge)
            .maybe("transfer_group")
            .map(str::to_owned),
        None => None,
    };
    let id = make(
        world,
        New {
            amount,
            currency: &currency,
            destination,
            source,
            group: params.text("transfer_group").or(group.as_deref()),
            description: params.text("description"),
        },
    );
    world.edit(&id)["metadata"] = metadata["metadata"].clone();
    event::emit(world, "transfer.created", &id);
    Ok(world.object(&id).clone())
}

pub fn enough(world: &World, account: &str, currency: &str, amount: i64) -> Result<()> {
    let balance = world.ledger.balance(account, currency);
    if balance >= amount {
        return Ok(());
    }
    let message = format!(
        "You have insufficient available funds in your Stripe account ({account}): {balance} {currency}."
    );
    Err(ApiError::invalid("balance_insufficient", message))
}

pub fn make(world: &mut World, new: New<'_>) -> String {
    let id = world.new_id("tr");
    let transfer = json!({
        "id": id,
        "object": "transfer",
        "amount": new.amount,
        "amount_reversed": 0,
        "balance_transaction": null,
        "created": world.now,
        "currency": new.currency,
        "description": new.description,
        "destination": new.destination,
        "destination_payment": null,
        "livemode": false,
        "metadata": {},
        "reversals": empty_list(&format!("/v1/transfers/{id}/reversals")),
        "reversed": false,
        "source_transaction": new.source,
        "source_type": "card",
        "transfer_group": new.group,
    });
    world.insert("transfers", transfer);
    world.book(&Move {
        currency: new.currency,
        from: PLATFORM,
        to: new.destination,
        amount: new.amount,
        reason: Reason::Transfer,
        object: &id,
    });
    let transaction = world.balance_transaction(PLATFORM, "transfer", &id, -new.amount, 0);
    world.edit(&id)["balance_transaction"] = json!(transaction);
    id
}

pub fn create_reversal(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "amount",
        "description",
        "metadata[*]",
        "refund_application_fee",
    ])?;
    if params.flag("refund_application_fee")? == Some(true) {
        return Err(ApiError::invalid(
            "parameter_invalid",
            "The fake refunds application fees with a refund or by itself only.",
        )
        .param("refund_application_fee"));
    }
    let transfer = world.find("transfer", id, call)?;
    let left = transfer.num("amount") - transfer.num("amount_reversed");
    let amount = params.integer("amount")?.unwrap_or(left);
    if !(1..=left).contains(&amount) {
        return Err(ApiError::invalid(
            "transfer_reversal_amount_invalid",
            format!("The transfer has {left} left to reverse, not {amount}."),
        )
        .param("amount"));
    }
    reversible(world, id, amount)?;
    let mut metadata = json!({});
    params.metadata(&mut metadata)?;
    let reversal = reverse(world, id, amount, None);
    world.edit(&reversal)["metadata"] = metadata["metadata"].clone();
    Ok(world.object(&reversal).clone())
}

/// Checks that the destination still has the money.
pub fn reversible(world: &World, id: &str, amount: i64) -> Result<()> {
    let transfer = world.object(id);
    enough(
        world,
        transfer.str("destination"),
        transfer.str("currency"),
        amount,
    )
}

pub fn reverse(world: &mut World, id: &str, amount: i64, refund: Option<&str>) -> String {
    let transfer = world.object(id).clone();
    let reversal = world.new_id("trr");
    let object = json!({
        "id": reversal,
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": null,
        "created": world.now,
        "currency": transfer["currency"],
        "destination_payment_refund": null,
        "metadata": {},
        "source_refund": refund,
        "transfer": id,
    });
    world.insert("transfer_reversals", object);
    world.book(&Move {
        currency: transfer.str("currency"),
        from: transfer.str("destination"),
        to: PLATFORM,
        amount,
        reason: Reason::TransferReversal,
        object: &reversal,
    });
    // Stripe's name for the balance transaction of a reversal.
    let transaction = world.balance_transaction(PLATFORM, "transfer_refund", &reversal, amount, 0);
    world.edit(&reversal)["balance_transaction"] = json!(transaction);
    let shown = crate::json::visible(world.object(&reversal));
    let edit = world.edit(id);
    let reversed = edit.num("amount_reversed") + amount;
    edit["amount_reversed"] = json!(reversed);
    edit["reversed"] = json!(reversed == edit.num("amount"));
    if let Some(all) = edit["reversals"]["data"].as_array_mut() {
        all.insert(0, shown);
    }
    event::emit(world, "transfer.reversed", id);
    reversal
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["metadata[*]", "description"])?;
    let mut transfer = world.find("transfer", id, call)?.clone();
    call.params.metadata(&mut transfer)?;
    if let Some(description) = call.params.text("description") {
        transfer["description"] = json!(description);
    }
    *world.edit(id) = transfer;
    event::emit(world, "transfer.updated", id);
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("transfer", id, call).cloned()
}

pub fn get_reversal(world: &World, call: &Call, transfer: &str, id: &str) -> Result<Value> {
    let reversal = world.find("transfer_reversal", id, call)?;
    match reversal.str("transfer") == transfer {
        true => Ok(reversal.clone()),
        false => Err(ApiError::not_found("transfer reversal", id)),
    }
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "destination",
        "transfer_group",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted = ["destination", "transfer_group"].map(|name| (name, params.text(name)));
    world.page("transfers", call, |transfer| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| value.is_none() || transfer.maybe(name) == *value)
    })
}

pub fn list_reversals(world: &World, call: &Call, id: &str) -> Result<Value> {
    call.params
        .allow(&["limit", "starting_after", "ending_before"])?;
    world.find("transfer", id, call)?;
    world.page("transfer_reversals", call, |reversal| {
        reversal.str("transfer") == id
    })
}

/// Checks that the transfers from a charge do not exceed its amount.
fn from_charge(
    world: &World,
    call: &Call,
    id: &str,
    amount: Option<i64>,
    currency: &str,
) -> Result<i64> {
    let charge = world.named("charge", "source_transaction", id, call)?;
    if charge.str("currency") != currency || !charge.is("captured") {
        return Err(ApiError::invalid(
            "parameter_invalid",
            "The source_transaction must be captured, and in the currency of the transfer.",
        )
        .param("source_transaction"));
    }
    let others = world.all("transfers");
    let others = others.filter(|transfer| transfer.maybe("source_transaction") == Some(id));
    let taken: i64 = others.map(|transfer| transfer.num("amount")).sum();
    let left = charge.num("amount_captured") - taken;
    let amount = amount.unwrap_or(left);
    if amount > left {
        return Err(ApiError::invalid(
            "parameter_invalid",
            format!("The source_transaction has {left} left to transfer, less than {amount}."),
        )
        .param("amount"));
    }
    Ok(amount)
}
