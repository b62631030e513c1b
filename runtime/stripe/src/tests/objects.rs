//! Objects as Stripe sends them, with the fields that the library cannot do without and those that we read.

use serde_json::{Value, json};

const CREATED: i64 = 1_790_000_000;

pub fn with(mut object: Value, fields: Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        object[name.as_str()] = value.clone();
    }
    object
}

pub fn list(items: &[Value], has_more: bool) -> Value {
    json!({"object": "list", "data": items, "has_more": has_more, "url": "/v1/things"})
}

pub fn payment(id: &str) -> Value {
    json!({
        "id": id, "object": "payment_intent", "amount": 2500, "amount_capturable": 0, "amount_received": 0,
        "capture_method": "automatic", "client_secret": format!("{id}_secret_1"),
        "confirmation_method": "automatic", "created": CREATED, "currency": "aud", "livemode": false,
        "metadata": {"order_id": "o1"}, "payment_method_types": ["card"], "status": "requires_payment_method",
    })
}

pub fn charge() -> Value {
    json!({
        "id": "ch_1", "object": "charge", "amount": 2500, "amount_captured": 2500, "amount_refunded": 0,
        "billing_details": {}, "captured": true, "created": CREATED, "currency": "aud", "disputed": false,
        "livemode": false, "metadata": {}, "paid": true, "payment_intent": "pi_1", "refunded": false,
        "status": "succeeded", "transfer": "tr_1", "application_fee_amount": 250,
        "transfer_data": {"destination": "acct_1"},
    })
}

pub fn application_fee() -> Value {
    json!({
        "id": "fee_1", "object": "application_fee", "account": "acct_1", "amount": 250, "amount_refunded": 100,
        "application": "ca_1", "charge": "ch_1", "created": CREATED, "currency": "aud", "livemode": false,
        "refunded": false, "refunds": list(&[], false),
    })
}

pub fn transfer(id: &str) -> Value {
    json!({
        "id": id, "object": "transfer", "amount": 2500, "amount_reversed": 1000, "created": CREATED,
        "currency": "aud", "destination": "acct_1", "livemode": false, "metadata": {"order_id": "o1"},
        "reversals": list(&[], false), "reversed": false, "source_transaction": "ch_1", "transfer_group": "o1",
    })
}

pub fn reversal() -> Value {
    json!({
        "id": "trr_1", "object": "transfer_reversal", "amount": 900, "created": CREATED, "currency": "aud",
        "metadata": {}, "transfer": "tr_1",
    })
}

pub fn refund() -> Value {
    json!({
        "id": "re_1", "object": "refund", "amount": 1000, "charge": "ch_1", "created": CREATED, "currency": "aud",
        "metadata": {"part": "1"}, "payment_intent": "pi_1", "status": "succeeded",
    })
}

pub fn dispute() -> Value {
    json!({
        "id": "du_1", "object": "dispute", "amount": 2500, "balance_transactions": [], "charge": "ch_1",
        "created": CREATED, "currency": "aud", "enhanced_eligibility_types": [], "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": CREATED + 86_400, "enhanced_eligibility": {}, "has_evidence": false, "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": false, "livemode": false, "metadata": {}, "payment_intent": "pi_1",
        "reason": "fraudulent", "status": "needs_response",
    })
}

pub fn card(id: &str) -> Value {
    json!({
        "id": id, "object": "payment_method", "billing_details": {"name": "Ann Example"}, "created": CREATED,
        "customer": "cus_1", "livemode": false, "type": "card",
        "card": {"brand": "visa", "exp_month": 12, "exp_year": 2034, "funding": "credit", "last4": "4242"},
    })
}

pub fn customer() -> Value {
    json!({
        "id": "cus_1", "object": "customer", "created": CREATED, "livemode": false, "email": "ann@example.org",
        "metadata": {"user_id": "u1"},
    })
}

pub fn setup() -> Value {
    json!({
        "id": "seti_1", "object": "setup_intent", "client_secret": "seti_1_secret_1", "created": CREATED,
        "customer": "cus_1", "livemode": false, "metadata": {}, "payment_method_types": ["card"],
        "status": "requires_payment_method", "usage": "off_session",
    })
}

pub fn account(id: &str, owner: &str) -> Value {
    json!({
        "id": id, "object": "account", "capabilities": {"transfers": "active", "card_payments": "pending"},
        "charges_enabled": true, "payouts_enabled": false, "details_submitted": true, "country": "AU",
        "default_currency": "aud", "metadata": {"owner_id": owner}, "created": CREATED,
        "requirements": {
            "currently_due": ["external_account"], "past_due": [], "disabled_reason": "requirements.past_due",
        },
    })
}

pub fn price() -> Value {
    json!({
        "id": "price_1", "object": "price", "active": true, "billing_scheme": "per_unit", "created": CREATED,
        "currency": "aud", "livemode": false, "lookup_key": "pro_month", "metadata": {"plan_id": "p1"}, "product": "prod_1",
        "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"}, "type": "recurring",
        "unit_amount": 4900,
    })
}

pub fn subscription() -> Value {
    let plan = json!({
        "id": "price_1", "object": "plan", "active": true, "billing_scheme": "per_unit", "created": CREATED,
        "currency": "aud", "interval": "month", "interval_count": 1, "livemode": false, "usage_type": "licensed",
    });
    let item = json!({
        "id": "si_1", "object": "subscription_item", "created": CREATED, "current_period_start": CREATED,
        "current_period_end": CREATED + 2_592_000, "discounts": [], "metadata": {}, "plan": plan,
        "price": price(), "quantity": 1, "subscription": "sub_1",
    });
    json!({
        "id": "sub_1", "object": "subscription", "automatic_tax": {"enabled": false},
        "billing_cycle_anchor": CREATED, "billing_mode": {"type": "flexible"}, "billing_schedules": [],
        "cancel_at_period_end": false, "collection_method": "charge_automatically", "created": CREATED,
        "currency": "aud", "customer": "cus_1", "discounts": [],
        "invoice_settings": {"issuer": {"type": "self"}}, "items": list(&[item], false),
        "latest_invoice": "in_1", "livemode": false, "metadata": {"business_id": "b1"}, "start_date": CREATED,
        "status": "active",
    })
}

pub fn invoice() -> Value {
    let payment = json!({
        "id": "inpay_1", "object": "invoice_payment", "amount_paid": 4900, "amount_requested": 4900,
        "created": CREATED, "currency": "aud", "invoice": "in_1", "is_default": true, "livemode": false,
        "payment": {"type": "payment_intent", "payment_intent": "pi_9"}, "status": "paid",
        "status_transitions": {},
    });
    json!({
        "id": "in_1", "object": "invoice", "amount_due": 4900, "amount_overpaid": 0, "amount_paid": 4900,
        "amount_remaining": 0, "amount_shipping": 0, "attempt_count": 1, "attempted": true,
        "automatic_tax": {"enabled": false}, "billing_reason": "subscription_cycle",
        "collection_method": "charge_automatically", "created": CREATED, "currency": "aud", "customer": "cus_1",
        "default_tax_rates": [], "discounts": [], "issuer": {"type": "self"}, "lines": list(&[], false),
        "livemode": false,
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1"}},
        "payment_settings": {}, "payments": list(&[payment], false), "period_end": CREATED,
        "period_start": CREATED, "post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0, "status": "paid", "status_transitions": {}, "subtotal": 4900, "total": 4900,
    })
}

pub fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-09-30.endive", "created": CREATED, "livemode": false,
        "pending_webhooks": 1, "type": kind, "data": {"object": object},
    })
}
