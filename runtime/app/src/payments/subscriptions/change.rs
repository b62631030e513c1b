//! Changes of a subscription: another plan, another card, cancelling and keeping it.

use super::{
    super::{Payments, active::active, bodies::Subscribed, call},
    pay::Open,
    rows::{self, Change, Command},
};
use crate::module::Module;
use gateway::{ChangePlan, Failure, Gateway, Invoice, InvoiceStatus, Key, Proration, Subscription};
use generated::business::BUSINESS;
use kernel::{Error, Member, Result};
use uuid::Uuid;

const NOT_BEGUN: &str = "The subscription has not begun yet; look again in a minute.";

impl Payments {
    /// Changes the plan of a subscription, ends it or keeps it. `key` is the idempotency key of the caller.
    pub(in crate::payments) async fn change_subscription(
        &self,
        caller: &Member,
        subscription: Uuid,
        change: Change,
        key: &str,
    ) -> Result<Subscribed> {
        let gateway = self.gateway()?;
        let request = caller.request_id;
        let run = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move { rows::changeable(cx, caller, subscription, change).await })
        });
        let (command, plan) = run.await?;
        let (Some(id), Some(item)) = (command.known.clone(), command.item.clone()) else {
            return Err(Error::new(&kernel::problems::STATE).detail(NOT_BEGUN));
        };
        let is_cancel = matches!(change, Change::Cancel);
        if is_cancel && command.owes() && self.end_unpaid(&id, request).await? {
            let (told, state) = self.look_again(&id, request).await?;
            return Ok(self.answer(subscription, &told, state).await?.shown);
        }
        let of = call::digest("subscription", &format!("{subscription}:{key}"));
        let keys = call::keys(&of, request)?;
        let price = match &plan {
            Some(plan) => Some(self.price(plan, request).await?),
            None => None,
        };
        let began = self.now(request).await?;
        let wanted = &Wanted {
            change,
            subscription: id,
            item,
            price,
        };
        let send = move |key: Key| async move { wanted.send(gateway, &key).await };
        let told = keys.once(send, wanted.look(gateway)).await;
        let mut told = told.map_err(|failure| call::request_error(&failure))?;
        let mut state = self.learn_subscription(&told, began, request).await?;
        let mut answered = self.answer(subscription, &told, state).await?;
        if let (Some(_), Some(invoice)) = (&told.pending_price, &told.latest_invoice)
            && let Err(declined) = answered.refuse_declined()
        {
            // Nobody should pay later for a change that was answered with an error.
            if self.make_void(invoice, request).await? {
                return Err(declined);
            }
            (told, state) = self.look_again(&told.id, request).await?;
            answered = self.answer(subscription, &told, state).await?;
        }
        Ok(answered.shown)
    }

    /// Makes a card of the caller the one that pays from now on, and pays with it what is due.
    pub(in crate::payments) async fn change_card(
        &self,
        caller: &Member,
        subscription: Uuid,
        card: Uuid,
        key: &str,
    ) -> Result<Subscribed> {
        let request = caller.request_id;
        let run = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move {
                let command = rows::administered(cx, caller, subscription, false).await?;
                if command.is_unpaid() {
                    active(cx, &BUSINESS, command.business).await?;
                }
                let card = super::pay::card_of(cx, caller, &command, card).await?;
                Ok((command, card))
            })
        });
        let (Command { known, .. }, card) = run.await?;
        let Some(known) = known else {
            return Err(Error::new(&kernel::problems::STATE).detail(NOT_BEGUN));
        };
        let open = self.pay_invoices(&known, &card, key, request).await?;
        // A card that has paid pays later periods anyway; one that waits for the bank does once it has paid. While the
        // first period is not paid, the provider takes no other card.
        if open == Open::Nothing {
            self.pay_from_now_on(&known, &card, key, request).await?;
        }
        let (told, state) = self.look_again(&known, request).await?;
        Ok(self.answer(subscription, &told, state).await?.shown)
    }

    async fn pay_from_now_on(
        &self,
        known: &str,
        card: &str,
        key: &str,
        request: Uuid,
    ) -> Result<()> {
        let gateway = self.gateway()?;
        let of = call::digest("subscription_card", &format!("{known}:{card}:{key}"));
        let send =
            move |key: Key| async move { gateway.set_subscription_card(&key, known, card).await };
        // Setting it twice is harmless, so there is nothing to look up.
        let keys = call::keys(&of, request)?;
        let set = keys.once(send, async { Ok(None) }).await;
        set.map(drop)
            .map_err(|failure| call::request_error(&failure))
    }

    /// Ends a subscription at once if its present period is not paid, and returns whether it did. Its invoices are made
    /// void first: the provider lets an invoice be paid or made void, never both. So a payment that arrives at the same
    /// moment either buys the period, and nothing ends here, or fails.
    pub(super) async fn end_unpaid(&self, id: &str, request: Uuid) -> Result<bool> {
        let invoices = self.gateway()?.invoices(id).await;
        let invoices = invoices.map_err(|failure| call::request_error(&failure))?;
        // A change of the plan within a paid period leaves an unpaid invoice, too.
        let of_period = invoices.iter().find(|invoice| is_of_period(invoice));
        if of_period.is_none_or(|invoice| invoice.status == InvoiceStatus::Paid) {
            return Ok(false);
        }
        for invoice in invoices.iter().filter(|invoice| can_be_paid(invoice)) {
            if !self.make_void(&invoice.id, request).await? {
                return Ok(false);
            }
        }
        self.cancel_subscription(id, request).await?;
        Ok(true)
    }

    /// Makes an invoice void. Returns false if it was paid.
    pub(super) async fn make_void(&self, invoice: &str, request: Uuid) -> Result<bool> {
        let gateway = self.gateway()?;
        // The key is new for each attempt: making it void twice is harmless, and an error that the provider has stored
        // under an older key would block this for a day.
        let key = call::key(call::digest("void", &format!("{invoice}:{request}")))?;
        let Err(failure) = gateway.void_invoice(&key, invoice).await else {
            return Ok(true);
        };
        let now = gateway.invoice(invoice).await;
        match now.map_err(|failure| call::request_error(&failure))?.status {
            InvoiceStatus::Paid => Ok(false),
            InvoiceStatus::Void => Ok(true),
            _ => Err(call::request_error(&failure)),
        }
    }
}

pub fn can_be_paid(invoice: &Invoice) -> bool {
    matches!(
        invoice.status,
        InvoiceStatus::Open | InvoiceStatus::Uncollectible
    )
}

fn is_of_period(invoice: &Invoice) -> bool {
    let reason = invoice.billing_reason.as_deref().unwrap_or_default();
    ["subscription_create", "subscription_cycle"].contains(&reason)
}

/// A change of a subscription, as it is sent to the provider.
struct Wanted {
    change: Change,
    subscription: String,
    item: String,
    /// The provider's id of the price to change to. None unless the plan changes.
    price: Option<String>,
}

impl Wanted {
    async fn send(&self, gateway: &dyn Gateway, key: &Key) -> Result<Subscription, Failure> {
        match (self.change, &self.price) {
            (Change::Plan(_), Some(price)) => {
                let change = ChangePlan {
                    subscription: self.subscription.clone(),
                    item: self.item.clone(),
                    price: price.clone(),
                    proration: Proration::InvoiceNow,
                };
                gateway.change_plan(key, &change).await
            }
            (Change::Keep, _) => gateway.keep_subscription(key, &self.subscription).await,
            _ => gateway.cancel_at_period_end(key, &self.subscription).await,
        }
    }

    /// Returns the subscription if the change has taken effect.
    async fn look(&self, gateway: &dyn Gateway) -> Result<Option<Subscription>, Failure> {
        let now = gateway.subscription(&self.subscription).await?;
        let is_done = match self.change {
            Change::Plan(_) => {
                let price = self.price.as_ref();
                price == Some(&now.price) || price.is_some() && price == now.pending_price.as_ref()
            }
            Change::Cancel => now.cancel_at_period_end,
            Change::Keep => !now.cancel_at_period_end,
        };
        Ok(is_done.then_some(now))
    }
}
