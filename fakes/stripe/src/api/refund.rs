//! Refunds, and the parts of them that are taken from a destination and from the platform's fee.

use super::{application_fee, capture::share, dispute, payment_method, transfer};
use crate::{
    card::Behaviour,
    error::{ApiError, Result},
    event,
    json::Fields,
    ledger::{CARDS, PLATFORM, REFUNDS_PENDING, Reason},
    timer::Timer,
    world::{Call, Move, World},
};
use serde_json::{Value, json};

pub fn create(world: &mut World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "amount",
        "charge",
        "payment_intent",
        "metadata[*]",
        "reason",
        "refund_application_fee",
        "reverse_transfer",
    ])?;
    let reasons = ["duplicate", "fraudulent", "requested_by_customer"];
    let reason = params.choice("reason", &reasons)?;
    let given = params.integer("amount")?;
    let reverse = params.flag("reverse_transfer")?.unwrap_or_default();
    let refund_fee = params.flag("refund_application_fee")?.unwrap_or_default();
    let charge = charge_of(world, call)?;
    let amount = refundable(world, &charge, given)?;
    if world.config.refunds_need_balance {
        transfer::enough(world, &holder(&charge), charge.str("currency"), amount)?;
    }
    let parts = Parts::of(world, &charge, amount, reverse, refund_fee)?;
    let mut metadata = json!({});
    params.metadata(&mut metadata)?;

    let id = world.new_id("re");
    let mut refund = json!({
        "id": id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": null,
        "charge": charge["id"],
        "created": world.now,
        "currency": charge["currency"],
        "destination_details": { "card": {
            "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund",
        }, "type": "card" },
        "failure_balance_transaction": null,
        "metadata": metadata["metadata"],
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    call.own(&mut refund);
    world.insert("refunds", refund);
    pay_back(world, &charge, &id, amount);
    parts.take(world, &id);
    event::emit(world, "refund.created", &id);
    event::emit(world, "charge.refunded", charge.str("id"));
    Ok(world.object(&id).clone())
}

/// The parts of a refund that are taken from others: ids of the transfer and of the fee, and the amounts in proportion
/// to the refund, rounded half up, and at most what is left.
struct Parts {
    reversal: Option<(String, i64)>,
    fee: Option<(String, i64)>,
}

impl Parts {
    fn of(
        world: &World,
        charge: &Value,
        amount: i64,
        reverse: bool,
        refund_fee: bool,
    ) -> Result<Self> {
        let whole = charge.num("amount_captured");
        let mut parts = Self {
            reversal: None,
            fee: None,
        };
        if reverse {
            let Some(id) = charge.maybe("transfer") else {
                return Err(ApiError::invalid(
                    "parameter_invalid",
                    "Cannot reverse transfer because the charge has no associated transfer.",
                )
                .param("reverse_transfer"));
            };
            let made = world.object(id);
            let part = share(made.num("amount"), amount, whole);
            let part = part.min(made.num("amount") - made.num("amount_reversed"));
            parts.reversal = Some((id.to_owned(), part));
        }
        if refund_fee {
            let Some(id) = charge.maybe("application_fee") else {
                return Err(ApiError::invalid(
                    "parameter_invalid",
                    "Cannot refund the application fee because the charge has none.",
                )
                .param("refund_application_fee"));
            };
            let fee = world.object(id);
            let part = share(fee.num("amount"), amount, whole);
            let part = part.min(fee.num("amount") - fee.num("amount_refunded"));
            parts.fee = Some((id.to_owned(), part));
        }
        if let Some((id, part)) = &parts.reversal {
            // The account gets its part of the fee back first, so that counts towards its balance.
            let back = parts.fee.as_ref().map_or(0, |(_, part)| *part);
            transfer::reversible(world, id, part - back)?;
        }
        Ok(parts)
    }

    fn take(self, world: &mut World, refund: &str) {
        if let Some((id, amount)) = self.fee.filter(|(_, amount)| *amount > 0) {
            application_fee::refund(world, &id, amount);
        }
        if let Some((id, amount)) = self.reversal.filter(|(_, amount)| *amount > 0) {
            let reversal = transfer::reverse(world, &id, amount, Some(refund));
            world.edit(refund)["transfer_reversal"] = json!(reversal);
        }
    }
}

pub fn settles(world: &mut World, id: &str) {
    let refund = world.object(id).clone();
    if refund.str("status") != "pending" {
        return;
    }
    world.book(&Move {
        currency: refund.str("currency"),
        from: REFUNDS_PENDING,
        to: CARDS,
        amount: refund.num("amount"),
        reason: Reason::RefundSettled,
        object: id,
    });
    world.edit(id)["status"] = json!("succeeded");
    event::emit(world, "refund.updated", id);
    event::emit(world, "charge.refund.updated", id);
}

/// The bank rejects the refund: the money returns to where it came from. Reversals are not undone.
pub fn fails(world: &mut World, id: &str) {
    let refund = world.object(id).clone();
    let from = match refund.str("status") {
        "pending" => REFUNDS_PENDING,
        "succeeded" => CARDS,
        _ => return,
    };
    let (holder, amount) = (holder(&refund), refund.num("amount"));
    world.book(&Move {
        currency: refund.str("currency"),
        from,
        to: &holder,
        amount,
        reason: Reason::RefundFailed,
        object: id,
    });
    let transaction = world.balance_transaction(&holder, "refund_failure", id, amount, 0);
    let edit = world.edit(id);
    edit["status"] = json!("failed");
    edit["failure_reason"] = json!("lost_or_stolen_card");
    edit["failure_balance_transaction"] = json!(transaction);
    recount(world, refund.str("charge"), -amount);
    event::emit(world, "refund.failed", id);
    event::emit(world, "charge.refund.updated", id);
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["metadata[*]"])?;
    let mut refund = world.find("refund", id, call)?.clone();
    call.params.metadata(&mut refund)?;
    *world.edit(id) = refund;
    event::emit(world, "refund.updated", id);
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("refund", id, call).cloned()
}

pub fn list(world: &World, call: &Call, charge: Option<&str>) -> Result<Value> {
    call.params.allow(&[
        "charge",
        "payment_intent",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let charge = charge.or(call.params.text("charge"));
    let intent = call.params.text("payment_intent");
    world.page("refunds", call, |refund| {
        charge.is_none_or(|charge| refund.maybe("charge") == Some(charge))
            && intent.is_none_or(|intent| refund.maybe("payment_intent") == Some(intent))
    })
}

fn charge_of(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    match (params.text("charge"), params.text("payment_intent")) {
        (Some(id), _) => world.named("charge", "charge", id, call).cloned(),
        (None, Some(id)) => {
            let intent = world.named("payment_intent", "payment_intent", id, call)?;
            let charge = world.get(intent.str("latest_charge"));
            charge.filter(|charge| charge.is("paid")).cloned().ok_or_else(|| {
                ApiError::invalid(
                    "payment_intent_unexpected_state",
                    format!("This PaymentIntent ({id}) does not have a successful charge to refund."),
                )
                .param("payment_intent")
            })
        }
        (None, None) => Err(ApiError::parameter(
            "parameter_missing",
            "charge",
            "One of the following params should be provided for this request: payment_intent or charge.".to_owned(),
        )),
    }
}

/// The amount to refund; an error if the charge can't be refunded.
fn refundable(world: &World, charge: &Value, given: Option<i64>) -> Result<i64> {
    let id = charge.str("id");
    if !charge.is("captured") {
        let message = format!("Charge {id} is not captured; cancel its PaymentIntent instead.");
        return Err(ApiError::invalid("charge_not_refundable", message));
    }
    // A charge stays `disputed` after the decision; if the dispute was won, the money can be refunded.
    if charge.is("disputed") && !dispute::is_won(world, id) {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(ApiError::invalid("charge_disputed", message));
    }
    let left = charge.num("amount_captured") - charge.num("amount_refunded");
    if left <= 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(ApiError::invalid("charge_already_refunded", message));
    }
    let amount = given.unwrap_or(left);
    if amount < 1 {
        return Err(ApiError::parameter(
            "parameter_invalid_integer",
            "amount",
            "This value must be greater than or equal to 1.".to_owned(),
        ));
    }
    if amount > left {
        let message = format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        );
        return Err(ApiError::invalid("amount_too_large", message).param("amount"));
    }
    Ok(amount)
}

fn pay_back(world: &mut World, charge: &Value, id: &str, amount: i64) {
    let behaviour = payment_method::card_of(world.object(charge.str("payment_method"))).behaviour;
    let pending = behaviour == Behaviour::RefundPends;
    let holder = holder(charge);
    world.book(&Move {
        currency: charge.str("currency"),
        from: &holder,
        to: if pending { REFUNDS_PENDING } else { CARDS },
        amount,
        reason: Reason::Refund,
        object: id,
    });
    let transaction = world.balance_transaction(&holder, "refund", id, -amount, 0);
    let at = world.now + world.config.refund_seconds;
    let refund = world.edit(id);
    refund["balance_transaction"] = json!(transaction);
    if pending {
        refund["status"] = json!("pending");
        world.timers.set(at, Timer::RefundSettles(id.to_owned()));
    }
    if behaviour == Behaviour::RefundFails {
        world.timers.set(at, Timer::RefundFails(id.to_owned()));
    }
    recount(world, charge.str("id"), amount);
}

fn holder(object: &Value) -> String {
    object.maybe("_account").unwrap_or(PLATFORM).to_owned()
}

fn recount(world: &mut World, charge: &str, more: i64) {
    let charge = world.edit(charge);
    let refunded = charge.num("amount_refunded") + more;
    charge["amount_refunded"] = json!(refunded);
    charge["refunded"] = json!(refunded == charge.num("amount_captured"));
}
