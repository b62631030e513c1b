//! The implementation of the trait [`gateway::Gateway`]: each method calls the function of the same purpose.

use crate::{
    billing, cards, client::Client, connect, decode, events, exchange::Exchange, network::Network,
    payments, settings::Settings,
};
use gateway::*;
use std::sync::Arc;

/// The client of Stripe. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct StripeGateway {
    client: Client,
}

impl StripeGateway {
    /// A client that calls Stripe over the network.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let network = Network::new(&settings)?;
        Ok(Self::over(settings, Arc::new(network)))
    }

    /// A client that uses another exchange instead of the network, for tests.
    pub fn over(settings: Settings, exchange: Arc<dyn Exchange>) -> Self {
        Self {
            client: Client::new(settings, exchange),
        }
    }
}

macro_rules! implement {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty => $function:path
        $([$($extra:expr),*])?;)*) => {
        $(fn $name<'a>(&'a self, $($argument: $kind),*) -> Answer<'a, $answer> {
            Box::pin($function(&self.client, $($argument),* $($(, $extra)*)?))
        })*
    };
}

impl Gateway for StripeGateway {
    implement! {
        create_customer(key: &'a Key, new: &'a NewCustomer) -> Customer => cards::create_customer;
        create_setup(key: &'a Key, new: &'a NewSetup) -> Setup => cards::create_setup;
        setup(id: &'a str) -> Setup => cards::setup;
        card(id: &'a str) -> Card => cards::card;
        cards(customer: &'a str) -> Vec<Card> => cards::cards;
        detach_card(key: &'a Key, id: &'a str) -> Card => cards::detach;

        create_payment(key: &'a Key, new: &'a NewPayment) -> Payment => payments::create;
        confirm_payment(key: &'a Key, id: &'a str, confirmation: &'a Confirmation) -> Payment
            => payments::confirm;
        cancel_payment(key: &'a Key, id: &'a str) -> Payment => payments::cancel;
        payment(id: &'a str) -> Payment => payments::retrieve;
        find_payments(query: &'a FindPayments) -> Vec<Payment> => payments::find;
        charge(id: &'a str) -> Charge => payments::charge;
        dispute(id: &'a str) -> Dispute => payments::dispute;

        create_refund(key: &'a Key, new: &'a NewRefund) -> Refund => payments::create_refund;
        refund(id: &'a str) -> Refund => payments::retrieve_refund;
        refunds(payment: &'a str) -> Vec<Refund> => payments::refunds;

        create_account(key: &'a Key, new: &'a NewAccount) -> Account => connect::create;
        find_accounts(query: &'a FindAccounts) -> Vec<Account> => connect::find;
        account(id: &'a str) -> Account => connect::account;
        create_account_link(key: &'a Key, new: &'a NewAccountLink) -> AccountLink
            => connect::create_link;
        create_transfer(key: &'a Key, new: &'a NewTransfer) -> Transfer => connect::create_transfer;
        transfers(group: &'a str) -> Vec<Transfer> => connect::transfers;
        reversals(transfer: &'a str) -> Vec<Reversal> => connect::reversals;
        reverse_transfer(key: &'a Key, new: &'a NewReversal) -> Reversal => connect::reverse;
        balance(account: Option<&'a str>) -> Vec<BalanceLine> => connect::balance;

        create_price(key: &'a Key, new: &'a NewPrice) -> Price => billing::create_price;
        find_price(lookup_key: &'a str) -> Option<Price> => billing::find_price;
        create_subscription(key: &'a Key, new: &'a NewSubscription) -> Subscription
            => billing::create;
        change_plan(key: &'a Key, change: &'a ChangePlan) -> Subscription => billing::change_plan;
        cancel_at_period_end(key: &'a Key, id: &'a str) -> Subscription
            => billing::set_cancel_at_period_end [true];
        keep_subscription(key: &'a Key, id: &'a str) -> Subscription
            => billing::set_cancel_at_period_end [false];
        cancel_subscription_now(key: &'a Key, id: &'a str) -> Subscription => billing::cancel_now;
        subscription(id: &'a str) -> Subscription => billing::subscription;
        subscriptions(customer: &'a str) -> Vec<Subscription> => billing::subscriptions;
        set_subscription_card(key: &'a Key, id: &'a str, payment_method: &'a str) -> Subscription
            => billing::set_card;
        invoice(id: &'a str) -> Invoice => billing::invoice;
        invoices(subscription: &'a str) -> Vec<Invoice> => billing::invoices;
        pay_invoice(key: &'a Key, pay: &'a PayInvoice) -> Invoice => billing::pay_invoice;
        void_invoice(key: &'a Key, id: &'a str) -> Invoice => billing::void_invoice;

        find_events(query: &'a FindEvents) -> Vec<Envelope> => events::find;
        event(id: &'a str, account: Option<&'a str>) -> Envelope => events::event;
    }

    fn decode(&self, event: &Envelope) -> Result<Decoded, Undecodable> {
        decode::decode(event)
    }
}
