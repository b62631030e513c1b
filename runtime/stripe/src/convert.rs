//! Converts Stripe's types to ours. An unknown status is an error and is never mapped to a similar one.

mod billing;
mod connect;

pub use billing::{invoice, price, subscription};
pub use connect::{OWNER, account, account_link, balance, reversal, transfer};

use chrono::{DateTime, Utc};
use gateway::{
    Card, Charge, Currency, Customer, Dispute, DisputeStatus, Metadata, Payment, PaymentStatus,
    Private, Refund, RefundStatus, Setup, SetupStatus,
};
use std::{collections::HashMap, fmt::Display};
use stripe_shared as shared;
use stripe_types::{Expandable, Object};

/// Why an object can't be converted, without any of its data.
pub type Converted<T> = Result<T, String>;

pub fn payment(from: shared::PaymentIntent) -> Converted<Payment> {
    let charge = from.latest_charge.as_ref().and_then(Expandable::as_object);
    let transfer = charge.and_then(|charge| charge.transfer.as_ref());
    let fee = charge.and_then(|charge| charge.application_fee.as_ref());
    let error = from.last_payment_error.as_ref();
    let next = from.next_action.as_ref();
    Ok(Payment {
        status: payment_status(&from, charge)?,
        amount_refunded: charge.map(|charge| charge.amount_refunded),
        disputed: charge.map(|charge| charge.disputed),
        transfer: transfer.map(id),
        transfer_reversed: transfer
            .and_then(Expandable::as_object)
            .map(|transfer| transfer.amount_reversed),
        application_fee_refunded: fee
            .and_then(Expandable::as_object)
            .map(|fee| fee.amount_refunded),
        failure_code: error
            .and_then(|error| error.code.as_ref())
            .map(|code| code.as_str().to_owned()),
        decline_code: error.and_then(|error| error.decline_code.clone()),
        next_action_url: next
            .and_then(|next| next.redirect_to_url.as_ref())
            .and_then(|to| to.url.clone()),
        latest_charge: from.latest_charge.as_ref().map(id),
        customer: from.customer.as_ref().map(id),
        payment_method: from.payment_method.as_ref().map(id),
        destination: from
            .transfer_data
            .as_ref()
            .map(|data| id(&data.destination)),
        on_behalf_of: from.on_behalf_of.as_ref().map(id),
        currency: currency(&from.currency)?,
        created: time(from.created)?,
        metadata: metadata(from.metadata),
        id: from.id.to_string(),
        client_secret: from.client_secret.map(Private::new),
        amount: from.amount,
        amount_received: from.amount_received,
        transfer_group: from.transfer_group,
        application_fee: from.application_fee_amount,
        livemode: from.livemode,
    })
}

pub fn charge(from: shared::Charge) -> Converted<Charge> {
    Ok(Charge {
        payment: from.payment_intent.as_ref().map(id),
        customer: from.customer.as_ref().map(id),
        destination: from
            .transfer_data
            .as_ref()
            .map(|data| id(&data.destination)),
        transfer: from.transfer.as_ref().map(id),
        currency: currency(&from.currency)?,
        created: time(from.created)?,
        metadata: metadata(from.metadata),
        id: from.id.to_string(),
        paid: from.paid,
        amount: from.amount,
        amount_refunded: from.amount_refunded,
        refunded: from.refunded,
        disputed: from.disputed,
        transfer_group: from.transfer_group,
        application_fee: from.application_fee_amount,
        failure_code: from.failure_code,
        livemode: from.livemode,
    })
}

pub fn dispute(from: shared::Dispute) -> Converted<Dispute> {
    use shared::DisputeStatus as Theirs;
    let status = match &from.status {
        Theirs::WarningNeedsResponse | Theirs::WarningUnderReview => DisputeStatus::Inquiry,
        Theirs::WarningClosed => DisputeStatus::InquiryClosed,
        Theirs::NeedsResponse => DisputeStatus::NeedsResponse,
        Theirs::UnderReview => DisputeStatus::UnderReview,
        Theirs::Prevented => DisputeStatus::Prevented,
        Theirs::Won => DisputeStatus::Won,
        Theirs::Lost => DisputeStatus::Lost,
        other => return Err(unknown("a dispute", other)),
    };
    Ok(Dispute {
        status,
        charge: id(&from.charge),
        payment: from.payment_intent.as_ref().map(id),
        currency: currency(&from.currency)?,
        evidence_due_by: from.evidence_details.due_by.map(time).transpose()?,
        created: time(from.created)?,
        metadata: metadata(from.metadata),
        id: from.id.to_string(),
        amount: from.amount,
        reason: from.reason,
        livemode: from.livemode,
    })
}

pub fn refund(from: shared::Refund) -> Converted<Refund> {
    let status = match from.status.as_deref() {
        Some("pending") => RefundStatus::Pending,
        Some("requires_action") => RefundStatus::RequiresAction,
        Some("succeeded") => RefundStatus::Succeeded,
        Some("failed") => RefundStatus::Failed,
        Some("canceled") => RefundStatus::Canceled,
        other => return Err(unknown("a refund", &other.unwrap_or("none"))),
    };
    let reversal = from.transfer_reversal.as_ref();
    Ok(Refund {
        status,
        payment: from.payment_intent.as_ref().map(id),
        charge: from.charge.as_ref().map(id),
        currency: currency(&from.currency)?,
        transfer_reversal: reversal.map(id),
        transfer_reversed: reversal
            .and_then(Expandable::as_object)
            .map(|reversal| reversal.amount),
        created: time(from.created)?,
        metadata: metadata(from.metadata.unwrap_or_default()),
        id: from.id.to_string(),
        amount: from.amount,
        failure_reason: from.failure_reason,
    })
}

pub fn customer(from: shared::Customer) -> Converted<Customer> {
    Ok(Customer {
        id: from.id.to_string(),
        metadata: metadata(from.metadata.unwrap_or_default()),
        livemode: from.livemode,
        created: time(from.created)?,
    })
}

pub fn setup(from: shared::SetupIntent) -> Converted<Setup> {
    use shared::SetupIntentStatus as Theirs;
    let status = match &from.status {
        Theirs::RequiresPaymentMethod => SetupStatus::RequiresPaymentMethod,
        Theirs::RequiresConfirmation => SetupStatus::RequiresConfirmation,
        Theirs::RequiresAction => SetupStatus::RequiresAction,
        Theirs::Processing => SetupStatus::Processing,
        Theirs::Succeeded => SetupStatus::Succeeded,
        Theirs::Canceled => SetupStatus::Canceled,
        other => return Err(unknown("a setup", other)),
    };
    let error = from.last_setup_error.as_ref();
    let next = from.next_action.as_ref();
    Ok(Setup {
        status,
        customer: from.customer.as_ref().map(id),
        payment_method: from.payment_method.as_ref().map(id),
        failure_code: error
            .and_then(|error| error.code.as_ref())
            .map(|code| code.as_str().to_owned()),
        decline_code: error.and_then(|error| error.decline_code.clone()),
        next_action_url: next
            .and_then(|next| next.redirect_to_url.as_ref())
            .and_then(|to| to.url.clone()),
        created: time(from.created)?,
        metadata: metadata(from.metadata.unwrap_or_default()),
        id: from.id.to_string(),
        client_secret: from.client_secret.map(Private::new),
        livemode: from.livemode,
    })
}

/// Returns None for a payment method that is not a card.
pub fn card(from: shared::PaymentMethod) -> Converted<Option<Card>> {
    let Some(card) = from.card else {
        return Ok(None);
    };
    let no_date = |_| "a card with an impossible date".to_owned();
    Ok(Some(Card {
        customer: from.customer.as_ref().map(id),
        created: time(from.created)?,
        exp_month: card.exp_month.try_into().map_err(no_date)?,
        exp_year: card.exp_year.try_into().map_err(no_date)?,
        id: from.id.to_string(),
        brand: card.brand,
        last4: card.last4,
        livemode: from.livemode,
    }))
}

fn payment_status(
    from: &shared::PaymentIntent,
    charge: Option<&shared::Charge>,
) -> Converted<PaymentStatus> {
    use shared::PaymentIntentStatus as Theirs;
    Ok(match &from.status {
        // A payment returns to this status after a card was declined.
        Theirs::RequiresPaymentMethod if from.last_payment_error.is_some() => PaymentStatus::Failed,
        Theirs::RequiresPaymentMethod | Theirs::RequiresConfirmation => PaymentStatus::Created,
        Theirs::RequiresAction => PaymentStatus::RequiresAction,
        // The card was authorized but not charged yet.
        Theirs::Processing | Theirs::RequiresCapture => PaymentStatus::Processing,
        Theirs::Canceled => PaymentStatus::Canceled,
        Theirs::Succeeded => match charge {
            Some(charge) if charge.refunded => PaymentStatus::Refunded,
            Some(charge) if charge.amount_refunded > 0 => PaymentStatus::PartiallyRefunded,
            _ => PaymentStatus::Succeeded,
        },
        other => return Err(unknown("a payment", other)),
    })
}

fn id<T: Object>(from: &Expandable<T>) -> String
where
    T::Id: Display,
{
    from.id().to_string()
}

fn currency(from: &stripe_types::Currency) -> Converted<Currency> {
    Currency::new(&from.to_string()).map_err(|error| error.to_string())
}

fn time(from: stripe_types::Timestamp) -> Converted<DateTime<Utc>> {
    DateTime::from_timestamp(from, 0).ok_or_else(|| "an impossible time".to_owned())
}

fn metadata(from: HashMap<String, String>) -> Metadata {
    from.into_iter().collect()
}

fn unknown(what: &str, status: &impl Display) -> String {
    format!("{what} of unknown status `{status}`")
}
