//! Prices, subscriptions and invoices.

use crate::{
    client::{Client, part},
    convert,
    list::{self, PAGE},
    payments::{currency, expand, metadata, read},
};
use gateway::{
    ChangePlan, Failure, Interval, Invoice, Key, NewPrice, NewSubscription, PayInvoice, Price,
    Proration, Subscription,
};
use stripe_billing::{
    invoice::{ListInvoice, PayInvoice as Pay, RetrieveInvoice, VoidInvoiceInvoice},
    subscription::{
        CancelSubscription, CreateSubscription, CreateSubscriptionItems,
        CreateSubscriptionPaymentBehavior, CreateSubscriptionPaymentSettings,
        CreateSubscriptionPaymentSettingsSaveDefaultPaymentMethod as SaveCard, ListSubscription,
        ListSubscriptionStatus, RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems,
        UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
    },
};
use stripe_client_core::StripeRequest;
use stripe_product::price::{
    CreatePrice, CreatePriceProductData, CreatePriceRecurring, CreatePriceRecurringInterval,
    ListPrice,
};

pub async fn create_price(client: &Client, key: &Key, new: &NewPrice) -> Result<Price, Failure> {
    let interval = match new.interval {
        Interval::Day => CreatePriceRecurringInterval::Day,
        Interval::Week => CreatePriceRecurringInterval::Week,
        Interval::Month => CreatePriceRecurringInterval::Month,
        Interval::Year => CreatePriceRecurringInterval::Year,
    };
    let request = CreatePrice::new(currency(new.currency)?)
        .unit_amount(new.amount)
        .lookup_key(&new.lookup_key)
        .product_data(CreatePriceProductData::new(&new.product_name))
        .recurring(CreatePriceRecurring::new(interval))
        .metadata(metadata(&new.metadata));
    read(client.change(key, request).await?, convert::price)
}

pub async fn find_price(client: &Client, lookup_key: &str) -> Result<Option<Price>, Failure> {
    let page = |after: Option<String>| {
        let request = ListPrice::new()
            .lookup_keys([lookup_key.to_owned()])
            .active(true)
            .limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let first = items.first().map(|text| list::item(text, convert::price));
    first.transpose()
}

/// What a client pays the latest invoice with. The provider only sends it if it is asked for.
const SECRET: &str = "latest_invoice.confirmation_secret";

pub async fn create(
    client: &Client,
    key: &Key,
    new: &NewSubscription,
) -> Result<Subscription, Failure> {
    let mut item = CreateSubscriptionItems::new();
    item.price = Some(new.price.clone());
    // Without this setting, a period that a buyer's client has paid would leave no card for the next one.
    let mut settings = CreateSubscriptionPaymentSettings::new();
    settings.save_default_payment_method = Some(SaveCard::OnSubscription);
    let mut request = CreateSubscription::new()
        .payment_settings(settings)
        .customer(&new.customer)
        .items([item])
        .metadata(metadata(&new.metadata))
        .expand(expand(&[SECRET]));
    request = match &new.payment_method {
        Some(method) => request
            .default_payment_method(method)
            .payment_behavior(CreateSubscriptionPaymentBehavior::AllowIncomplete),
        None => request.payment_behavior(CreateSubscriptionPaymentBehavior::DefaultIncomplete),
    };
    if let Some(days) = new.trial_days {
        request = request.trial_period_days(days);
    }
    read(client.change(key, request).await?, convert::subscription)
}

pub async fn change_plan(
    client: &Client,
    key: &Key,
    change: &ChangePlan,
) -> Result<Subscription, Failure> {
    let mut item = UpdateSubscriptionItems::new();
    // With the item's id; otherwise the new price would be added next to the old one.
    item.id = Some(change.item.clone());
    item.price = Some(change.price.clone());
    let proration = match change.proration {
        Proration::NextInvoice => UpdateSubscriptionProrationBehavior::CreateProrations,
        Proration::InvoiceNow => UpdateSubscriptionProrationBehavior::AlwaysInvoice,
        Proration::None => UpdateSubscriptionProrationBehavior::None,
    };
    let request = UpdateSubscription::new(part(&change.subscription)?)
        .items([item])
        .proration_behavior(proration)
        // By default the change would take effect whether it is paid or not, and changing back would be credited.
        .payment_behavior(UpdateSubscriptionPaymentBehavior::PendingIfIncomplete)
        .expand(expand(&[SECRET]));
    read(client.change(key, request).await?, convert::subscription)
}

pub async fn set_cancel_at_period_end(
    client: &Client,
    key: &Key,
    id: &str,
    cancel: bool,
) -> Result<Subscription, Failure> {
    let request = UpdateSubscription::new(part(id)?).cancel_at_period_end(cancel);
    read(client.change(key, request).await?, convert::subscription)
}

pub async fn set_card(
    client: &Client,
    key: &Key,
    id: &str,
    payment_method: &str,
) -> Result<Subscription, Failure> {
    let request = UpdateSubscription::new(part(id)?)
        .default_payment_method(payment_method)
        .expand(expand(&[SECRET]));
    read(client.change(key, request).await?, convert::subscription)
}

pub async fn cancel_now(client: &Client, key: &Key, id: &str) -> Result<Subscription, Failure> {
    let request = CancelSubscription::new(part(id)?);
    read(client.change(key, request).await?, convert::subscription)
}

pub async fn subscription(client: &Client, id: &str) -> Result<Subscription, Failure> {
    let request = RetrieveSubscription::new(part(id)?).expand(expand(&[SECRET]));
    read(client.read(request).await?, convert::subscription)
}

pub async fn subscriptions(client: &Client, customer: &str) -> Result<Vec<Subscription>, Failure> {
    let page = |after: Option<String>| {
        let request = ListSubscription::new()
            .customer(customer)
            .status(ListSubscriptionStatus::All)
            .expand(expand(&["data.latest_invoice.confirmation_secret"]))
            .limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let all = items
        .iter()
        .map(|text| list::item(text, convert::subscription));
    all.collect()
}

pub async fn invoice(client: &Client, id: &str) -> Result<Invoice, Failure> {
    let request = RetrieveInvoice::new(part(id)?).expand(expand(&["payments"]));
    read(client.read(request).await?, convert::invoice)
}

pub async fn invoices(client: &Client, subscription: &str) -> Result<Vec<Invoice>, Failure> {
    let page = |after: Option<String>| {
        let request = ListInvoice::new()
            .subscription(subscription)
            .expand(expand(&["data.payments"]))
            .limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let all = items.iter().map(|text| list::item(text, convert::invoice));
    all.collect()
}

pub async fn pay_invoice(client: &Client, key: &Key, pay: &PayInvoice) -> Result<Invoice, Failure> {
    // Stripe's default is an absent buyer, whose bank can't ask anything.
    let request = Pay::new(part(&pay.invoice)?)
        .payment_method(&pay.payment_method)
        .off_session(false)
        .expand(expand(&["payments"]));
    read(client.change(key, request).await?, convert::invoice)
}

pub async fn void_invoice(client: &Client, key: &Key, id: &str) -> Result<Invoice, Failure> {
    let request = VoidInvoiceInvoice::new(part(id)?).expand(expand(&["payments"]));
    read(client.change(key, request).await?, convert::invoice)
}
