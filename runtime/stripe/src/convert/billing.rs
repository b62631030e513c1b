//! Prices, subscriptions and invoices.

use super::{Converted, currency, id, metadata, time, unknown};
use gateway::{Interval, Invoice, InvoiceStatus, Price, Private, Subscription, SubscriptionStatus};
use stripe_shared as shared;
use stripe_types::Expandable;

pub fn price(from: shared::Price) -> Converted<Price> {
    Ok(Price {
        product: id(&from.product),
        currency: currency(&from.currency)?,
        interval: interval(&from),
        id: from.id.to_string(),
        lookup_key: from.lookup_key,
        amount: from.unit_amount,
        active: from.active,
    })
}

pub fn subscription(from: shared::Subscription) -> Converted<Subscription> {
    use shared::SubscriptionStatus as Theirs;
    let status = match &from.status {
        Theirs::Incomplete => SubscriptionStatus::Incomplete,
        Theirs::IncompleteExpired => SubscriptionStatus::IncompleteExpired,
        Theirs::Trialing => SubscriptionStatus::Trialing,
        Theirs::Active => SubscriptionStatus::Active,
        Theirs::PastDue => SubscriptionStatus::PastDue,
        Theirs::Unpaid => SubscriptionStatus::Unpaid,
        Theirs::Paused => SubscriptionStatus::Paused,
        Theirs::Canceled => SubscriptionStatus::Canceled,
        other => return Err(unknown("a subscription", other)),
    };
    // Our subscriptions have one item. One with several items was changed by hand, and its period is ambiguous.
    let [item] = from.items.data.as_slice() else {
        return Err("a subscription that has not exactly one item".to_owned());
    };
    let pending = from.pending_update.as_ref();
    let pending = pending.and_then(|update| update.subscription_items.as_deref()?.first());
    let invoice = from.latest_invoice.as_ref();
    let secret = invoice
        .and_then(Expandable::as_object)
        .and_then(|invoice| invoice.confirmation_secret.as_ref())
        .map(|secret| Private::new(secret.client_secret.clone()));
    Ok(Subscription {
        status,
        customer: id(&from.customer),
        item: item.id.to_string(),
        price: item.price.id.to_string(),
        price_metadata: metadata(item.price.metadata.clone()),
        amount: amount(item),
        currency: currency(&item.price.currency)?,
        interval: interval(&item.price),
        pending_price: pending.map(|item| item.price.id.to_string()),
        current_period_start: time(item.current_period_start)?,
        current_period_end: time(item.current_period_end)?,
        canceled_at: from.canceled_at.map(time).transpose()?,
        ended_at: from.ended_at.map(time).transpose()?,
        trial_end: from.trial_end.map(time).transpose()?,
        latest_invoice: invoice.map(invoice_id).transpose()?,
        client_secret: secret,
        created: time(from.created)?,
        metadata: metadata(from.metadata),
        id: from.id.to_string(),
        cancel_at_period_end: from.cancel_at_period_end,
        livemode: from.livemode,
    })
}

pub fn invoice(from: shared::Invoice) -> Converted<Invoice> {
    use shared::InvoiceStatus as Theirs;
    let status = match &from.status {
        Some(Theirs::Draft) => InvoiceStatus::Draft,
        Some(Theirs::Open) => InvoiceStatus::Open,
        Some(Theirs::Paid) => InvoiceStatus::Paid,
        Some(Theirs::Uncollectible) => InvoiceStatus::Uncollectible,
        Some(Theirs::Void) => InvoiceStatus::Void,
        Some(other) => return Err(unknown("an invoice", other)),
        None => return Err("an invoice without a status".to_owned()),
    };
    let parent = from.parent.as_ref();
    let details = parent.and_then(|parent| parent.subscription_details.as_ref());
    let payments = from.payments.as_ref().map(|list| list.data.as_slice());
    // The payment by which the invoice was paid, or else the payment that is meant to pay it.
    let payments = payments.unwrap_or_default();
    let paid = payments.iter().find(|payment| payment.status == "paid");
    let payment = paid.or_else(|| payments.iter().find(|payment| payment.is_default));
    Ok(Invoice {
        status,
        id: present(from.id.as_ref())?,
        customer: from.customer.as_ref().map(id),
        subscription: details.map(|details| id(&details.subscription)),
        payment: payment
            .and_then(|paid| paid.payment.payment_intent.as_ref())
            .map(id),
        currency: currency(&from.currency)?,
        billing_reason: from
            .billing_reason
            .as_ref()
            .map(|reason| reason.as_str().to_owned()),
        paid_at: from.status_transitions.paid_at.map(time).transpose()?,
        created: time(from.created)?,
        amount_due: from.amount_due,
        amount_paid: from.amount_paid,
        livemode: from.livemode,
    })
}

/// None for intervals such as "every three months", which our type doesn't have.
fn interval(from: &shared::Price) -> Option<Interval> {
    use shared::RecurringInterval as Theirs;
    let recurring = from.recurring.as_ref();
    let single = recurring.filter(|recurring| recurring.interval_count == 1)?;
    match single.interval {
        Theirs::Day => Some(Interval::Day),
        Theirs::Week => Some(Interval::Week),
        Theirs::Month => Some(Interval::Month),
        Theirs::Year => Some(Interval::Year),
        _ => None,
    }
}

/// The price of a period. None if it isn't a fixed amount for each unit.
fn amount(item: &shared::SubscriptionItem) -> Option<i64> {
    let quantity = i64::try_from(item.quantity.unwrap_or(1)).ok()?;
    item.price.unit_amount?.checked_mul(quantity)
}

/// An invoice that is only a preview has no id.
fn invoice_id(from: &Expandable<shared::Invoice>) -> Converted<String> {
    present(from.id().as_ref())
}

fn present(id: Option<&shared::InvoiceId>) -> Converted<String> {
    let id = id.ok_or("an invoice without an id")?;
    Ok(id.to_string())
}
