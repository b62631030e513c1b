//! Customers, setups and saved cards.

use crate::{
    client::{Client, part},
    convert,
    list::{self, PAGE},
    payments::{metadata, read},
};
use gateway::{Card, Customer, Failure, Key, NewCustomer, NewSetup, Setup};
use stripe_client_core::StripeRequest;
use stripe_core::{
    customer::{CreateCustomer, ListPaymentMethodsCustomer, ListPaymentMethodsCustomerType},
    setup_intent::{CreateSetupIntent, CreateSetupIntentUsage, RetrieveSetupIntent},
};
use stripe_payment::payment_method::{DetachPaymentMethod, RetrievePaymentMethod};
use stripe_shared::SetupIntentAllowedPaymentMethodTypes;

pub async fn create_customer(
    client: &Client,
    key: &Key,
    new: &NewCustomer,
) -> Result<Customer, Failure> {
    let mut request = CreateCustomer::new().metadata(metadata(&new.metadata));
    if let Some(email) = &new.email {
        request = request.email(email.expose());
    }
    if let Some(name) = &new.name {
        request = request.name(name.expose());
    }
    read(client.change(key, request).await?, convert::customer)
}

pub async fn create_setup(client: &Client, key: &Key, new: &NewSetup) -> Result<Setup, Failure> {
    let request = CreateSetupIntent::new()
        .customer(&new.customer)
        .usage(CreateSetupIntentUsage::OffSession)
        .allowed_payment_method_types([SetupIntentAllowedPaymentMethodTypes::Card])
        .metadata(metadata(&new.metadata));
    read(client.change(key, request).await?, convert::setup)
}

pub async fn setup(client: &Client, id: &str) -> Result<Setup, Failure> {
    let request = RetrieveSetupIntent::new(part(id)?);
    read(client.read(request).await?, convert::setup)
}

pub async fn card(client: &Client, id: &str) -> Result<Card, Failure> {
    let request = RetrievePaymentMethod::new(part(id)?);
    read(client.read(request).await?, convert::card)?.ok_or_else(no_card)
}

pub async fn cards(client: &Client, customer: &str) -> Result<Vec<Card>, Failure> {
    let customer = part(customer)?;
    let page = |after: Option<String>| {
        let request = ListPaymentMethodsCustomer::new(customer)
            .type_(ListPaymentMethodsCustomerType::Card)
            .limit(PAGE);
        match after {
            Some(after) => request.starting_after(after).build(),
            None => request.build(),
        }
    };
    let items = list::all(client, None, page).await?;
    let cards = items.iter().map(|text| list::item(text, convert::card));
    let cards: Vec<Option<Card>> = cards.collect::<Result<_, _>>()?;
    Ok(cards.into_iter().flatten().collect())
}

pub async fn detach(client: &Client, key: &Key, id: &str) -> Result<Card, Failure> {
    let request = DetachPaymentMethod::new(part(id)?);
    read(client.change(key, request).await?, convert::card)?.ok_or_else(no_card)
}

/// Only cards are ever saved, so another payment method is an error.
fn no_card() -> Failure {
    Failure::unsent("not_a_card", "the payment method is not a card")
}
