//! Capturing a payment: the movements of money, and between whom.

use super::{application_fee, dispute, payment_method, transfer};
use crate::{
    card::Behaviour,
    event,
    json::Fields,
    ledger::{CARDS, PLATFORM, Reason, STRIPE_FEES},
    world::{Move, World},
};
use serde_json::json;

/// `whole * part / of`, rounded half up, in integers.
pub fn share(whole: i64, part: i64, of: i64) -> i64 {
    let (whole, part, of) = (i128::from(whole), i128::from(part), i128::from(of));
    let share = (2 * whole * part + of) / (2 * of);
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// Captures an authorized charge of an intent, possibly in part; the rest of the authorization is released.
pub fn run(world: &mut World, intent_id: &str, charge_id: &str, amount: i64) {
    let charge = world.object(charge_id).clone();
    let currency = charge.str("currency").to_owned();
    let holder = charge.maybe("_account").unwrap_or(PLATFORM).to_owned();
    let fee = world.config.fee_bps.max(0);
    let fee = (share(amount, fee, 10_000) + world.config.fee_fixed.max(0)).min(amount);
    world.book(&Move {
        currency: &currency,
        from: CARDS,
        to: &holder,
        amount,
        reason: Reason::Capture,
        object: charge_id,
    });
    world.book(&Move {
        currency: &currency,
        from: &holder,
        to: STRIPE_FEES,
        amount: fee,
        reason: Reason::StripeFee,
        object: charge_id,
    });
    let transaction = world.balance_transaction(&holder, "charge", charge_id, amount, fee);
    let edit = world.edit(charge_id);
    edit["captured"] = json!(true);
    edit["amount_captured"] = json!(amount);
    edit["balance_transaction"] = json!(transaction);
    let intent = world.edit(intent_id);
    intent["amount_received"] = json!(amount);
    intent["amount_capturable"] = json!(0);
    intent["status"] = json!("succeeded");
    share_out(world, intent_id, charge_id, amount);
    event::emit(world, "charge.succeeded", charge_id);
    event::emit(world, "payment_intent.succeeded", intent_id);
    super::invoice::succeeded(world, intent_id);
    afterwards(world, charge_id);
}

/// Moves the parts of other accounts: the destination's transfer, and the platform's fee.
fn share_out(world: &mut World, intent_id: &str, charge_id: &str, amount: i64) {
    let intent = world.object(intent_id).clone();
    let charged_for = intent.maybe("_account").map(str::to_owned);
    let destination = intent["transfer_data"]
        .maybe("destination")
        .map(str::to_owned);
    if let Some(destination) = &destination {
        let part = intent["transfer_data"]
            .get("amount")
            .and_then(serde_json::Value::as_i64);
        let made = transfer::make(
            world,
            transfer::New {
                amount: part.unwrap_or(amount).min(amount),
                currency: intent.str("currency"),
                destination,
                source: Some(charge_id),
                group: intent.maybe("transfer_group"),
                description: None,
            },
        );
        world.edit(charge_id)["transfer"] = json!(made);
        event::emit(world, "transfer.created", &made);
    }
    let fee = intent.num("application_fee_amount").min(amount);
    if let Some(payer) = destination.or(charged_for).filter(|_| fee > 0) {
        let made = application_fee::make(world, &payer, charge_id, fee);
        world.edit(charge_id)["application_fee"] = json!(made);
    }
}

/// What follows a capture with some test cards: a dispute, or an inquiry.
fn afterwards(world: &mut World, charge_id: &str) {
    let method = world.object(charge_id).str("payment_method").to_owned();
    match payment_method::card_of(world.object(&method)).behaviour {
        Behaviour::Disputes(reason) => {
            dispute::open(world, charge_id, reason, false);
        }
        Behaviour::Inquires => {
            dispute::open(world, charge_id, "fraudulent", true);
        }
        _ => {}
    }
}
