//! The trait of a payment service.

use crate::{
    billing::{ChangePlan, Invoice, NewPrice, NewSubscription, PayInvoice, Price, Subscription},
    cards::{Card, Customer, NewCustomer, NewSetup, Setup},
    connect::{
        Account, AccountLink, BalanceLine, FindAccounts, NewAccount, NewAccountLink, NewReversal,
        NewTransfer, Reversal, Transfer,
    },
    event::{Decoded, Envelope, FindEvents, Undecodable},
    failure::Failure,
    key::Key,
    payment::{Charge, Confirmation, Dispute, FindPayments, NewPayment, Payment},
    refund::{NewRefund, Refund},
};
use std::{future::Future, pin::Pin};

pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// A payment service. Methods that change something take an idempotency key; methods that only read take none. No
/// database transaction may be open during a call, since the service can take a minute to answer.
pub trait Gateway: Send + Sync {
    // Customers and their cards.
    fn create_customer<'a>(
        &'a self,
        key: &'a Key,
        customer: &'a NewCustomer,
    ) -> Answer<'a, Customer>;
    fn create_setup<'a>(&'a self, key: &'a Key, setup: &'a NewSetup) -> Answer<'a, Setup>;
    fn setup<'a>(&'a self, id: &'a str) -> Answer<'a, Setup>;
    fn card<'a>(&'a self, id: &'a str) -> Answer<'a, Card>;
    fn cards<'a>(&'a self, customer: &'a str) -> Answer<'a, Vec<Card>>;
    fn detach_card<'a>(&'a self, key: &'a Key, id: &'a str) -> Answer<'a, Card>;

    // Payments.
    fn create_payment<'a>(&'a self, key: &'a Key, payment: &'a NewPayment) -> Answer<'a, Payment>;
    fn confirm_payment<'a>(
        &'a self,
        key: &'a Key,
        id: &'a str,
        confirmation: &'a Confirmation,
    ) -> Answer<'a, Payment>;
    /// Cancels a payment. If it can't be canceled any more, for example because it has succeeded, the call is refused
    /// and the refusal contains the payment.
    fn cancel_payment<'a>(&'a self, key: &'a Key, id: &'a str) -> Answer<'a, Payment>;
    fn payment<'a>(&'a self, id: &'a str) -> Answer<'a, Payment>;
    /// Finds payments by listing them, newest first; see [`FindPayments`].
    fn find_payments<'a>(&'a self, query: &'a FindPayments) -> Answer<'a, Vec<Payment>>;
    fn charge<'a>(&'a self, id: &'a str) -> Answer<'a, Charge>;
    fn dispute<'a>(&'a self, id: &'a str) -> Answer<'a, Dispute>;

    // Refunds.
    fn create_refund<'a>(&'a self, key: &'a Key, refund: &'a NewRefund) -> Answer<'a, Refund>;
    fn refund<'a>(&'a self, id: &'a str) -> Answer<'a, Refund>;
    /// All refunds of a payment, newest first.
    fn refunds<'a>(&'a self, payment: &'a str) -> Answer<'a, Vec<Refund>>;

    // Connected accounts.
    fn create_account<'a>(&'a self, key: &'a Key, account: &'a NewAccount) -> Answer<'a, Account>;
    /// Finds accounts by listing them, newest first.
    fn find_accounts<'a>(&'a self, query: &'a FindAccounts) -> Answer<'a, Vec<Account>>;
    fn account<'a>(&'a self, id: &'a str) -> Answer<'a, Account>;
    fn create_account_link<'a>(
        &'a self,
        key: &'a Key,
        link: &'a NewAccountLink,
    ) -> Answer<'a, AccountLink>;
    fn create_transfer<'a>(
        &'a self,
        key: &'a Key,
        transfer: &'a NewTransfer,
    ) -> Answer<'a, Transfer>;
    /// All transfers of a group, newest first.
    fn transfers<'a>(&'a self, transfer_group: &'a str) -> Answer<'a, Vec<Transfer>>;
    /// All reversals of a transfer, newest first.
    fn reversals<'a>(&'a self, transfer: &'a str) -> Answer<'a, Vec<Reversal>>;
    fn reverse_transfer<'a>(
        &'a self,
        key: &'a Key,
        reversal: &'a NewReversal,
    ) -> Answer<'a, Reversal>;
    /// The balance of a connected account. None: the platform's own.
    fn balance<'a>(&'a self, account: Option<&'a str>) -> Answer<'a, Vec<BalanceLine>>;

    // Plans.
    /// Creates a price. Refused if its lookup key is taken.
    fn create_price<'a>(&'a self, key: &'a Key, price: &'a NewPrice) -> Answer<'a, Price>;
    fn find_price<'a>(&'a self, lookup_key: &'a str) -> Answer<'a, Option<Price>>;
    fn create_subscription<'a>(
        &'a self,
        key: &'a Key,
        subscription: &'a NewSubscription,
    ) -> Answer<'a, Subscription>;
    fn change_plan<'a>(&'a self, key: &'a Key, change: &'a ChangePlan) -> Answer<'a, Subscription>;
    fn cancel_at_period_end<'a>(&'a self, key: &'a Key, id: &'a str) -> Answer<'a, Subscription>;
    /// Undoes [`Gateway::cancel_at_period_end`] before the period ends.
    fn keep_subscription<'a>(&'a self, key: &'a Key, id: &'a str) -> Answer<'a, Subscription>;
    fn cancel_subscription_now<'a>(&'a self, key: &'a Key, id: &'a str)
    -> Answer<'a, Subscription>;
    fn subscription<'a>(&'a self, id: &'a str) -> Answer<'a, Subscription>;
    /// All subscriptions of a customer in any status, newest first.
    fn subscriptions<'a>(&'a self, customer: &'a str) -> Answer<'a, Vec<Subscription>>;
    /// Makes a card of the customer the one that pays the later periods. It charges nothing.
    fn set_subscription_card<'a>(
        &'a self,
        key: &'a Key,
        id: &'a str,
        payment_method: &'a str,
    ) -> Answer<'a, Subscription>;
    fn invoice<'a>(&'a self, id: &'a str) -> Answer<'a, Invoice>;
    /// All invoices of a subscription, newest first.
    fn invoices<'a>(&'a self, subscription: &'a str) -> Answer<'a, Vec<Invoice>>;
    /// Pays an open invoice. Refused if the card is declined; if the buyer must authenticate, the refusal says so
    /// ([`Failure::is_for_authentication`]).
    fn pay_invoice<'a>(&'a self, key: &'a Key, pay: &'a PayInvoice) -> Answer<'a, Invoice>;
    /// Makes an open invoice impossible to pay, and cancels its payment. Refused if the invoice is paid.
    fn void_invoice<'a>(&'a self, key: &'a Key, id: &'a str) -> Answer<'a, Invoice>;

    // Events.
    /// Lists events, oldest first.
    fn find_events<'a>(&'a self, query: &'a FindEvents) -> Answer<'a, Vec<Envelope>>;
    fn event<'a>(&'a self, id: &'a str, account: Option<&'a str>) -> Answer<'a, Envelope>;
    /// Decodes the object that an event is about into our types.
    fn decode(&self, event: &Envelope) -> Result<Decoded, Undecodable>;
}
