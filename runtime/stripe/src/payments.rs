//! Payments, charges, disputes and refunds.

use crate::{
    client::{Client, part},
    convert,
    list::{self, PAGE, unreadable},
};
use gateway::{
    Charge, Confirmation, Currency, Dispute, Failure, FindPayments, Key, Metadata, NewPayment,
    NewRefund, Payment, Refund,
};
use std::collections::HashMap;
use stripe_client_core::StripeRequest;
use stripe_core::{
    charge::RetrieveCharge,
    dispute::RetrieveDispute,
    payment_intent::{
        CancelPaymentIntent, ConfirmPaymentIntent, ConfirmPaymentIntentOffSession,
        CreatePaymentIntent, CreatePaymentIntentOffSession, CreatePaymentIntentTransferData,
        ListPaymentIntent, RetrievePaymentIntent,
    },
    refund::{CreateRefund, ListRefund, RetrieveRefund},
};
use stripe_shared::PaymentIntentAllowedPaymentMethodTypes;
use stripe_types::{RangeBoundsTs, RangeQueryTs};

/// The objects that are included in a payment's answer: its charge with the application fee and the transfer, which
/// tell how much of each was refunded.
const CHARGE: [&str; 3] = [
    "latest_charge",
    "latest_charge.application_fee",
    "latest_charge.transfer",
];
const REVERSAL: [&str; 1] = ["transfer_reversal"];

/// Only cards, including wallets on phones. Any other payment method of the account would need a page of its own for
/// the buyer, and may take days until its success is known.
const CARD: PaymentIntentAllowedPaymentMethodTypes = PaymentIntentAllowedPaymentMethodTypes::Card;

pub async fn create(client: &Client, key: &Key, new: &NewPayment) -> Result<Payment, Failure> {
    let mut request = CreatePaymentIntent::new(new.amount, currency(new.currency)?)
        .allowed_payment_method_types([CARD])
        .metadata(metadata(&new.metadata))
        .expand(expand(&CHARGE));
    if let Some(customer) = &new.customer {
        request = request.customer(customer);
    }
    if let Some(method) = &new.payment_method {
        request = request.payment_method(method);
    }
    if new.confirm {
        request = request.confirm(true);
    }
    if new.off_session {
        request = request.off_session(CreatePaymentIntentOffSession::Bool(true));
    }
    if let Some(url) = &new.return_url {
        request = request.return_url(url);
    }
    if let Some(account) = &new.destination {
        request = request.transfer_data(CreatePaymentIntentTransferData::new(account));
    }
    if let Some(fee) = new.application_fee {
        request = request.application_fee_amount(fee);
    }
    if let Some(group) = &new.transfer_group {
        request = request.transfer_group(group);
    }
    if let Some(account) = &new.on_behalf_of {
        request = request.on_behalf_of(account);
    }
    if let Some(description) = &new.description {
        request = request.description(description);
    }
    read(client.change(key, request).await?, convert::payment)
}

pub async fn confirm(
    client: &Client,
    key: &Key,
    id: &str,
    confirmation: &Confirmation,
) -> Result<Payment, Failure> {
    let mut request = ConfirmPaymentIntent::new(part(id)?).expand(expand(&CHARGE));
    if let Some(method) = &confirmation.payment_method {
        request = request.payment_method(method);
    }
    if confirmation.off_session {
        request = request.off_session(ConfirmPaymentIntentOffSession::Bool(true));
    }
    if let Some(url) = &confirmation.return_url {
        request = request.return_url(url);
    }
    read(client.change(key, request).await?, convert::payment)
}

pub async fn cancel(client: &Client, key: &Key, id: &str) -> Result<Payment, Failure> {
    let request = CancelPaymentIntent::new(part(id)?).expand(expand(&CHARGE));
    read(client.change(key, request).await?, convert::payment)
}

pub async fn retrieve(client: &Client, id: &str) -> Result<Payment, Failure> {
    let request = RetrievePaymentIntent::new(part(id)?).expand(expand(&CHARGE));
    read(client.read(request).await?, convert::payment)
}

pub async fn find(client: &Client, query: &FindPayments) -> Result<Vec<Payment>, Failure> {
    let created = RangeQueryTs::Bounds(RangeBoundsTs {
        gt: None,
        gte: Some(query.created_since.timestamp()),
        lt: None,
        lte: query.created_until.map(|until| until.timestamp()),
    });
    let page = |after: Option<String>| {
        let expanded: Vec<String> = CHARGE.iter().map(|path| format!("data.{path}")).collect();
        let mut request = ListPaymentIntent::new()
            .created(created)
            .limit(PAGE)
            .expand(expanded);
        if let Some(customer) = &query.customer {
            request = request.customer(customer);
        }
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        request.build()
    };
    let items = list::all(client, None, page).await?;
    let payments = items.iter().map(|text| list::item(text, convert::payment));
    let payments: Vec<Payment> = payments.collect::<Result<_, _>>()?;
    let (name, value) = &query.metadata;
    let ours = |payment: &Payment| payment.metadata.get(name) == Some(value);
    Ok(payments.into_iter().filter(ours).collect())
}

pub async fn charge(client: &Client, id: &str) -> Result<Charge, Failure> {
    let request = RetrieveCharge::new(part(id)?);
    read(client.read(request).await?, convert::charge)
}

pub async fn dispute(client: &Client, id: &str) -> Result<Dispute, Failure> {
    let request = RetrieveDispute::new(part(id)?);
    read(client.read(request).await?, convert::dispute)
}

pub async fn create_refund(client: &Client, key: &Key, new: &NewRefund) -> Result<Refund, Failure> {
    let mut request = CreateRefund::new()
        .payment_intent(&new.payment)
        .amount(new.amount)
        .metadata(metadata(&new.metadata))
        .expand(expand(&REVERSAL));
    // Left out if false: Stripe refuses these parameters for a payment without a destination.
    if new.reverse_transfer {
        request = request.reverse_transfer(true);
    }
    if new.refund_application_fee {
        request = request.refund_application_fee(true);
    }
    read(client.change(key, request).await?, convert::refund)
}

pub async fn retrieve_refund(client: &Client, id: &str) -> Result<Refund, Failure> {
    let request = RetrieveRefund::new(part(id)?).expand(expand(&REVERSAL));
    read(client.read(request).await?, convert::refund)
}

pub async fn refunds(client: &Client, payment: &str) -> Result<Vec<Refund>, Failure> {
    let page = |after: Option<String>| {
        let request = ListRefund::new()
            .payment_intent(payment)
            .limit(PAGE)
            .expand(["data.transfer_reversal".to_owned()]);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let refunds = items.iter().map(|text| list::item(text, convert::refund));
    refunds.collect()
}

/// Converts a decoded answer to our types.
pub fn read<T, O>(from: T, convert: fn(T) -> Result<O, String>) -> Result<O, Failure> {
    convert(from).map_err(|why| {
        tracing::error!(why, "an answer of Stripe's can't be read");
        unreadable()
    })
}

/// The currencies that Stripe counts in other units than ISO 4217 does. They are refused, since amounts would be wrong
/// by a factor of 100.
const OTHER_UNITS: [&str; 3] = ["ISK", "MGA", "UGX"];

pub fn currency(currency: Currency) -> Result<stripe_types::Currency, Failure> {
    if OTHER_UNITS.contains(&currency.as_str()) {
        let message = format!("{currency} can't be charged: Stripe counts it in other units");
        return Err(Failure::unsent("unsupported_currency", message));
    }
    let code = currency.lower_case();
    Ok(code
        .parse()
        .unwrap_or(stripe_types::Currency::Unknown(code)))
}

pub fn metadata(ours: &Metadata) -> HashMap<String, String> {
    ours.clone().into_iter().collect()
}

pub fn expand(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}
