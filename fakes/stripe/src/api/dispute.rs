//! Disputes: the buyer's bank takes the money back, and decides later.

use crate::{
    error::{ApiError, Result},
    event,
    json::Fields,
    ledger::{CARDS, DISPUTES_HELD, PLATFORM, Reason},
    world::{Call, Move, World},
};
use serde_json::{Value, json};

const EVIDENCE: &[&str] = &[
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

const ANSWER_SECONDS: i64 = 9 * 24 * 60 * 60;

/// Opens a dispute about the remaining amount of a charge. An inquiry takes no money back. Returns None if nothing
/// remains or the charge is disputed already.
pub fn open(world: &mut World, charge_id: &str, reason: &str, inquiry: bool) -> Option<String> {
    open_part(world, charge_id, reason, inquiry, i64::MAX)
}

/// Like `open`, but disputes at most `most` cents of the charge.
pub fn open_part(
    world: &mut World,
    charge_id: &str,
    reason: &str,
    inquiry: bool,
    most: i64,
) -> Option<String> {
    let charge = world.object(charge_id).clone();
    let left = charge.num("amount_captured") - charge.num("amount_refunded");
    let amount = left.min(most);
    if amount <= 0 || charge.is("disputed") {
        return None;
    }
    let id = world.new_id("dp");
    let mut evidence = json!({ "enhanced_evidence": {} });
    for name in EVIDENCE {
        evidence[*name] = Value::Null;
    }
    let mut dispute = json!({
        "id": id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge_id,
        "created": world.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": world.now + ANSWER_SECONDS, "enhanced_eligibility": {}, "has_evidence": false,
            "past_due": false, "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": false,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": { "card": {
            "brand": charge["payment_method_details"]["card"]["brand"],
            "case_type": if inquiry { "inquiry" } else { "chargeback" },
            "network": charge["payment_method_details"]["card"]["network"],
            "network_reason_code": "10.4",
        }, "type": "card" },
        "reason": reason,
        "status": if inquiry { "warning_needs_response" } else { "needs_response" },
    });
    if let Some(account) = charge.maybe("_account") {
        dispute["_account"] = json!(account);
    }
    world.insert("disputes", dispute);
    if !inquiry {
        world.edit(charge_id)["disputed"] = json!(true);
        withdraw(world, &id);
    }
    event::emit(world, "charge.dispute.created", &id);
    if !inquiry {
        event::emit(world, "charge.dispute.funds_withdrawn", &id);
    }
    Some(id)
}

/// The bank makes a dispute of an inquiry, and takes the money.
pub fn escalate(world: &mut World, id: &str) -> Result<()> {
    let dispute = world.object(id).clone();
    if !dispute.str("status").starts_with("warning") {
        let message = "Only inquiries become disputes";
        return Err(ApiError::invalid("dispute_closed", message));
    }
    let edit = world.edit(id);
    edit["status"] = json!("needs_response");
    edit["is_charge_refundable"] = json!(false);
    edit["payment_method_details"]["card"]["case_type"] = json!("chargeback");
    world.edit(dispute.str("charge"))["disputed"] = json!(true);
    withdraw(world, id);
    event::emit(world, "charge.dispute.updated", id);
    event::emit(world, "charge.dispute.funds_withdrawn", id);
    Ok(())
}

/// The card network resolves an open dispute without the bank's decision. Money that was taken comes back.
pub fn prevent(world: &mut World, id: &str) -> Result<()> {
    let dispute = world.object(id).clone();
    if !is_open(&dispute) {
        let message = "This dispute is already closed";
        return Err(ApiError::invalid("dispute_closed", message));
    }
    let is_taken = !dispute.str("status").starts_with("warning");
    if is_taken {
        settle(world, id, Reason::DisputeWon);
    }
    world.edit(id)["status"] = json!("prevented");
    event::emit(world, "charge.dispute.closed", id);
    if is_taken {
        event::emit(world, "charge.dispute.funds_reinstated", id);
    }
    Ok(())
}

/// Whether the latest dispute about a charge has ended with the money at the merchant.
pub fn is_won(world: &World, charge: &str) -> bool {
    let mut all = world.all("disputes");
    all.rfind(|dispute| dispute.str("charge") == charge)
        .is_some_and(|dispute| ["won", "prevented"].contains(&dispute.str("status")))
}

/// Closes a dispute with the bank's decision.
pub fn close(world: &mut World, id: &str, won: bool) -> Result<()> {
    let dispute = world.object(id).clone();
    if !is_open(&dispute) {
        let message = "This dispute is already closed";
        return Err(ApiError::invalid("dispute_closed", message));
    }
    let inquiry = dispute.str("status").starts_with("warning");
    let status = match (inquiry, won) {
        (true, _) => "warning_closed",
        (false, true) => "won",
        (false, false) => "lost",
    };
    if !inquiry {
        let reason = if won {
            Reason::DisputeWon
        } else {
            Reason::DisputeLost
        };
        settle(world, id, reason);
    }
    world.edit(id)["status"] = json!(status);
    event::emit(world, "charge.dispute.closed", id);
    if status == "won" {
        event::emit(world, "charge.dispute.funds_reinstated", id);
    }
    Ok(())
}

pub fn update(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    let params = &call.params;
    params.allow(&["evidence[*]", "metadata[*]", "submit"])?;
    let submit = params.flag("submit")?.unwrap_or(true);
    let mut dispute = world.find("dispute", id, call)?.clone();
    if !is_open(&dispute) {
        let message = "This dispute is already closed";
        return Err(ApiError::invalid("dispute_closed", message));
    }
    params.metadata(&mut dispute)?;
    let evidence = params.below("evidence");
    evidence.allow(EVIDENCE)?;
    let given = EVIDENCE
        .iter()
        .filter_map(|name| Some((*name, evidence.text(name)?)));
    for (name, value) in given {
        dispute["evidence"][name] = json!(value);
        dispute["evidence_details"]["has_evidence"] = json!(true);
    }
    let sent = submit && dispute["evidence_details"].is("has_evidence");
    if sent {
        let count = dispute["evidence_details"].num("submission_count") + 1;
        dispute["evidence_details"]["submission_count"] = json!(count);
        dispute["status"] = match dispute.str("status").starts_with("warning") {
            true => json!("warning_under_review"),
            false => json!("under_review"),
        };
    }
    let text = dispute["evidence"].str("uncategorized_text").to_owned();
    *world.edit(id) = dispute;
    event::emit(world, "charge.dispute.updated", id);
    // In Stripe's test mode, these texts determine the decision.
    match text.as_str() {
        "winning_evidence" if sent => close(world, id, true)?,
        "losing_evidence" if sent => close(world, id, false)?,
        _ => {}
    }
    Ok(world.object(id).clone())
}

/// The merchant accepts the dispute as lost.
pub fn give_in(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&[])?;
    world.find("dispute", id, call)?;
    close(world, id, false)?;
    Ok(world.object(id).clone())
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("dispute", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "charge",
        "payment_intent",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted = ["charge", "payment_intent"].map(|name| (name, params.text(name)));
    world.page("disputes", call, |dispute| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| value.is_none() || dispute.maybe(name) == *value)
    })
}

fn withdraw(world: &mut World, id: &str) {
    settle(world, id, Reason::Dispute);
}

/// Books a step of a dispute, with a balance transaction if the account's balance changes.
fn settle(world: &mut World, id: &str, reason: Reason) {
    let dispute = world.object(id).clone();
    let holder = dispute.maybe("_account").unwrap_or(PLATFORM).to_owned();
    let amount = dispute.num("amount");
    let (from, to, change) = match reason {
        Reason::Dispute => (holder.as_str(), DISPUTES_HELD, -amount),
        Reason::DisputeWon => (DISPUTES_HELD, holder.as_str(), amount),
        _ => (DISPUTES_HELD, CARDS, 0),
    };
    world.book(&Move {
        currency: dispute.str("currency"),
        from,
        to,
        amount,
        reason,
        object: id,
    });
    if change != 0 {
        let transaction = world.balance_transaction(&holder, "adjustment", id, change, 0);
        let shown = world.object(&transaction).clone();
        if let Some(all) = world.edit(id)["balance_transactions"].as_array_mut() {
            all.push(shown);
        }
    }
}

fn is_open(dispute: &Value) -> bool {
    matches!(
        dispute.str("status"),
        "needs_response" | "under_review" | "warning_needs_response" | "warning_under_review"
    )
}
