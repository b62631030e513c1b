//! Invoices of subscriptions. Each has a payment intent, which the buyer may also pay manually.

use super::{
    attempt::{self, Answer, Terms},
    credit, payment_flow, payment_intent, pending_update, renewal, subscription,
};
use crate::{
    error::{ApiError, Result},
    event,
    form::{Params, encode},
    json::Fields,
    timer::Timer,
    world::{Call, World},
};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;

/// The delays between a failed attempt and the next one, in seconds.
const RETRIES: [i64; 3] = [3 * DAY, 5 * DAY, 7 * DAY];

/// The code of the error if the buyer's bank must ask the buyer before an invoice is paid.
const REQUIRES_ACTION: &str = "invoice_payment_intent_requires_action";

/// A line of an invoice: description, amount (negative for a credit), and whether it is a proration.
pub struct Line {
    pub description: String,
    pub amount: i64,
    pub proration: bool,
}

/// Creates and finalizes an invoice of a subscription, without paying it.
pub fn make(
    world: &mut World,
    sub: &str,
    reason: &str,
    lines: &[Line],
    period: (i64, i64),
) -> String {
    let id = world.new_id("in");
    let subscription = world.object(sub).clone();
    let customer = world.object(subscription.str("customer")).clone();
    let total: i64 = lines.iter().map(|line| line.amount).sum();
    let of = (customer.str("id"), subscription.str("currency"));
    let due = credit::settle(world, of.0, of.1, total);
    let data: Vec<Value> = lines
        .iter()
        .map(|one| line(world, &id, &subscription, one, period))
        .collect();
    let mut invoice = json!({
        "id": id, "object": "invoice",
        "account_country": "US", "account_name": null, "account_tax_ids": null,
        "amount_due": due.amount, "amount_overpaid": 0, "amount_paid": 0, "amount_remaining": due.amount,
        "amount_shipping": 0,
        "application": null, "attempt_count": 0, "attempted": false, "auto_advance": true,
        "automatic_tax": {
            "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null,
        },
        "automatically_finalizes_at": null, "billing_reason": reason, "collection_method": "charge_automatically",
        "created": world.now, "currency": subscription["currency"], "custom_fields": null,
        "customer": customer["id"], "customer_account": null, "customer_address": customer["address"],
        "customer_email": customer["email"], "customer_name": customer["name"], "customer_phone": customer["phone"],
        "customer_shipping": null, "customer_tax_exempt": "none", "customer_tax_ids": [],
        "default_payment_method": null, "default_source": null, "default_tax_rates": [], "description": null,
        "discounts": [], "due_date": null, "effective_at": world.now, "ending_balance": due.after, "footer": null,
        "from_invoice": null, "hosted_invoice_url": null, "invoice_pdf": null, "issuer": { "type": "self" },
        "last_finalization_error": null, "latest_revision": null,
        "lines": { "object": "list", "data": data, "has_more": false, "url": format!("/v1/invoices/{id}/lines") },
        "livemode": false, "metadata": {}, "next_payment_attempt": null,
        "number": null, "on_behalf_of": null,
        "parent": { "quote_details": null, "subscription_details": {
            "metadata": subscription["metadata"], "subscription": sub,
        }, "type": "subscription_details" },
        "payment_settings": {
            "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
        },
        "period_end": world.now, "period_start": world.now, "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0, "receipt_number": null, "rendering": null, "shipping_cost": null,
        "shipping_details": null, "starting_balance": due.before, "statement_descriptor": null, "status": "open",
        "status_transitions": {
            "finalized_at": world.now, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null,
        },
        "subtotal": total, "subtotal_excluding_tax": total, "test_clock": null, "total": total,
        "total_discount_amounts": [], "total_excluding_tax": total, "total_pretax_credit_amounts": [],
        "total_taxes": [], "webhooks_delivered_at": world.now,
        "_subscription": sub,
    });
    if let Some(account) = subscription.maybe("_account") {
        invoice["_account"] = json!(account);
    }
    world.insert("invoices", invoice);
    world.edit(sub)["latest_invoice"] = json!(id);
    event::emit(world, "invoice.created", &id);
    event::emit(world, "invoice.finalized", &id);
    id
}

/// Creates the payment intent. An invoice that charges nothing, since the customer's balance has settled it, is paid.
pub fn begin_payment(world: &mut World, id: &str, method: Option<&str>) {
    let invoice = world.object(id).clone();
    let (due, currency) = (invoice.num("amount_due"), invoice.str("currency"));
    if due == 0 {
        paid(world, id, 0);
        return;
    }
    let mut fields = vec![
        ("amount", due.to_string()),
        ("currency", currency.to_owned()),
        ("customer", invoice.str("customer").to_owned()),
        ("setup_future_usage", "off_session".to_owned()),
        ("description", "Subscription".to_owned()),
    ];
    if let Some(method) = method {
        fields.push(("payment_method", method.to_owned()));
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let call = Call {
        path: "/v1/payment_intents".to_owned(),
        params: Params::parse(&encode(&fields)),
        account: invoice.maybe("_account").map(str::to_owned),
    };
    // The parameters were checked with the subscription. If the card has been removed since, the intent waits for
    // another card.
    let made = payment_intent::create(world, &call).or_else(|_| {
        let without: Vec<_> = fields
            .into_iter()
            .filter(|(name, _)| *name != "payment_method")
            .collect();
        let params = Params::parse(&encode(&without));
        payment_intent::create(world, &Call { params, ..call })
    });
    let Ok(intent) = made else {
        return;
    };
    let intent_id = intent.str("id");
    world.edit(intent_id)["_invoice"] = json!(id);
    let payment = json!({
        "id": world.new_id("inpay"), "object": "invoice_payment", "amount_paid": null,
        "amount_requested": due, "created": world.now, "currency": currency, "invoice": id, "is_default": true,
        "livemode": false, "payment": { "type": "payment_intent", "payment_intent": intent_id }, "status": "open",
        "status_transitions": { "canceled_at": null, "paid_at": null },
    });
    let edit = world.edit(id);
    edit["_payment_intent"] = json!(intent_id);
    edit["_payments"] = json!({
        "object": "list", "data": [payment], "has_more": false, "url": format!("/v1/invoice_payments?invoice={id}"),
    });
    edit["_confirmation_secret"] =
        json!({ "client_secret": intent["client_secret"], "type": "payment_intent" });
}

/// Charges the intent's card. The intent reports the result to the invoice.
pub fn try_payment(world: &mut World, id: &str, off_session: bool) -> Result<()> {
    let intent = world.object(id).str("_payment_intent").to_owned();
    if world.object(id).str("status") != "open" || intent.is_empty() {
        return Ok(());
    }
    if world.object(&intent)["payment_method"].is_null() {
        failed(world, &intent);
        return Ok(());
    }
    let terms = Terms {
        off_session,
        ..Terms::default()
    };
    payment_flow::attempt_with(world, &intent, terms, None)
}

/// Called when an intent has succeeded: settles its invoice, if it has one.
pub fn succeeded(world: &mut World, intent: &str) {
    let intent = world.object(intent).clone();
    if let Some(id) = intent.maybe("_invoice") {
        paid(world, id, intent.num("amount_received"));
    }
}

/// Called when an intent was declined or has no card: schedules the next attempt of its invoice, if it has one.
pub fn failed(world: &mut World, intent: &str) {
    let Some(id) = world.object(intent).maybe("_invoice").map(str::to_owned) else {
        return;
    };
    let now = world.now;
    let sub = world.object(&id).str("_subscription").to_owned();
    let pends = pending_update::is_of(world, &sub, &id);
    let invoice = world.edit(&id);
    let attempts = invoice.num("attempt_count") + 1;
    invoice["attempt_count"] = json!(attempts);
    invoice["attempted"] = json!(true);
    // The first invoice of a subscription is not retried, nor is that of a pending update: they wait for the buyer.
    let renews = invoice.str("billing_reason") != "subscription_create" && !pends;
    let wait = usize::try_from(attempts - 1)
        .ok()
        .and_then(|at| RETRIES.get(at))
        .filter(|_| renews);
    let next = wait.map(|wait| now + wait);
    invoice["next_payment_attempt"] = json!(next);
    event::emit(world, "invoice.payment_failed", &id);
    match next {
        Some(at) => world.timers.set(at, Timer::InvoiceRetries(id.clone())),
        None if renews => {
            renewal::gave_up(world, &sub);
            return;
        }
        None => {}
    }
    if renews {
        renewal::payment_failed(world, &sub);
    }
}

/// Called when the buyer of an intent must authenticate: emits the event of its invoice, if it has one.
pub fn needs_action(world: &mut World, intent: &str) {
    if let Some(id) = world.object(intent).maybe("_invoice").map(str::to_owned) {
        event::emit(world, "invoice.payment_action_required", &id);
    }
}

pub fn retries(world: &mut World, id: &str) {
    let invoice = world.object(id).clone();
    if invoice.str("status") != "open" || invoice["next_payment_attempt"].is_null() {
        return;
    }
    let intent = invoice.str("_payment_intent").to_owned();
    if let Some(method) = subscription::method_of(world, invoice.str("_subscription")) {
        world.edit(&intent)["payment_method"] = json!(method);
    }
    // The result is reported by events.
    let _ = try_payment(world, id, true);
}

pub fn pay(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&["payment_method", "off_session"])?;
    let invoice = world.find("invoice", id, call)?.clone();
    match invoice.str("status") {
        "open" => {}
        "paid" => return Err(ApiError::without_code("Invoice is already paid")),
        status => {
            let message = format!("The invoice can't be paid: it is {status}.");
            return Err(ApiError::invalid("invoice_not_editable", message));
        }
    }
    let chosen = attempt::chosen(world, call, invoice.maybe("customer"))?;
    let sub = invoice.str("_subscription");
    let intent = invoice.str("_payment_intent").to_owned();
    let Some(method) = chosen.or_else(|| subscription::method_of(world, sub)) else {
        let message =
            "There is no default payment method set on this customer or on its subscription.";
        return Err(ApiError::invalid("resource_missing", message));
    };
    world.edit(&intent)["payment_method"] = json!(method);
    try_payment(world, id, call.params.flag("off_session")?.unwrap_or(true))?;
    if world.object(&intent).str("status") == "requires_action" {
        let message = "This payment requires additional user action before it can be completed successfully. Payment \
                       can be completed using the PaymentIntent associated with the invoice.";
        return Err(ApiError::card(REQUIRES_ACTION, None, message));
    }
    Ok(world.object(id).clone())
}

pub fn void(world: &mut World, call: &Call, id: &str) -> Result<Value> {
    call.params.allow(&[])?;
    let invoice = world.find("invoice", id, call)?;
    if invoice.str("status") != "open" {
        let message = "You can only void an open invoice.";
        return Err(ApiError::invalid("invoice_not_editable", message));
    }
    close(world, id);
    Ok(world.object(id).clone())
}

/// Makes the invoice void and cancels its payment.
pub fn close(world: &mut World, id: &str) {
    let now = world.now;
    let invoice = world.edit(id);
    invoice["status"] = json!("void");
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status_transitions"]["voided_at"] = json!(now);
    let intent = invoice.str("_payment_intent").to_owned();
    let closed = invoice.clone();
    credit::restore(world, &closed);
    event::emit(world, "invoice.voided", id);
    if !matches!(
        world.object(&intent).str("status"),
        "succeeded" | "canceled" | ""
    ) {
        payment_flow::canceled(world, &intent, Some("void_invoice"));
    }
    let subscription = world.object(id).str("_subscription").to_owned();
    pending_update::void(world, &subscription, id);
}

/// Called when a subscription has ended. Those of one that was never paid in time become void; all others stay open and
/// can still be paid, but Stripe doesn't try to collect them any more.
pub fn subscription_ended(world: &mut World, subscription: &str, has_expired: bool) {
    let invoices = world.all("invoices");
    let open = invoices.filter(|invoice| {
        invoice.str("_subscription") == subscription && invoice.str("status") == "open"
    });
    let open: Vec<String> = open.map(|invoice| invoice.str("id").to_owned()).collect();
    for id in open {
        match has_expired {
            true => close(world, &id),
            false => {
                let invoice = world.edit(&id);
                invoice["auto_advance"] = json!(false);
                invoice["next_payment_attempt"] = Value::Null;
                event::emit(world, "invoice.updated", &id);
            }
        }
    }
}

/// Checks whether a first payment would succeed at once.
pub fn would_pay(world: &World, method: Option<&str>, off_session: bool) -> Result<()> {
    let Some(method) = method else {
        let message = "This customer has no attached payment source or default payment method.";
        return Err(ApiError::invalid("resource_missing", message));
    };
    let terms = Terms {
        off_session,
        error_on_action: true,
        ..Terms::default()
    };
    match attempt::ask(world.object(method), terms) {
        Answer::No(error) => Err(error),
        Answer::Yes | Answer::Action => Ok(()),
    }
}

pub fn get(world: &World, call: &Call, id: &str) -> Result<Value> {
    world.find("invoice", id, call).cloned()
}

pub fn list(world: &World, call: &Call) -> Result<Value> {
    let params = &call.params;
    params.allow(&[
        "customer",
        "subscription",
        "status",
        "limit",
        "starting_after",
        "ending_before",
        "created[*]",
    ])?;
    let wanted = [
        ("customer", "customer"),
        ("_subscription", "subscription"),
        ("status", "status"),
    ];
    let wanted = wanted.map(|(field, name)| (field, params.text(name)));
    world.page("invoices", call, |invoice| {
        let mut wanted = wanted.iter();
        wanted.all(|(field, value)| value.is_none() || invoice.maybe(field) == *value)
    })
}

fn line(
    world: &mut World,
    invoice: &str,
    subscription: &Value,
    line: &Line,
    period: (i64, i64),
) -> Value {
    let item = &subscription["items"]["data"][0];
    json!({
        "id": world.new_id("il"), "object": "line_item", "amount": line.amount,
        "currency": subscription["currency"], "description": line.description, "discount_amounts": [],
        "discountable": !line.proration, "discounts": [], "invoice": invoice, "livemode": false, "metadata": {},
        "parent": { "invoice_item_details": null, "subscription_item_details": {
            "invoice_item": null, "proration": line.proration, "proration_details": { "credited_items": null },
            "subscription": subscription["id"], "subscription_item": item["id"],
        }, "type": "subscription_item_details" },
        "period": { "start": period.0, "end": period.1 }, "pretax_credit_amounts": [],
        "pricing": { "price_details": { "price": item["price"]["id"], "product": item["price"]["product"] },
            "type": "price_details", "unit_amount_decimal": item["price"]["unit_amount_decimal"] },
        "quantity": item["quantity"], "quantity_decimal": null, "subtotal": line.amount, "taxes": [],
    })
}

fn paid(world: &mut World, id: &str, amount: i64) {
    let now = world.now;
    let invoice = world.edit(id);
    if invoice.str("status") != "open" {
        return;
    }
    invoice["status"] = json!("paid");
    invoice["attempted"] = json!(true);
    invoice["attempt_count"] = json!(invoice.num("attempt_count") + i64::from(amount > 0));
    invoice["amount_paid"] = json!(amount);
    invoice["amount_remaining"] = json!(0);
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status_transitions"]["paid_at"] = json!(now);
    if let Some(payment) = invoice["_payments"]["data"].get_mut(0) {
        payment["status"] = json!("paid");
        payment["amount_paid"] = json!(amount);
        payment["status_transitions"]["paid_at"] = json!(now);
    }
    let sub = invoice.str("_subscription").to_owned();
    event::emit(world, "invoice.paid", id);
    event::emit(world, "invoice.payment_succeeded", id);
    pending_update::paid(world, &sub, id);
    renewal::invoice_paid(world, &sub);
}
