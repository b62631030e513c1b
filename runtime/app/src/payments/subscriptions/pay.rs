//! Beginning a subscription for a request, and paying its open invoices with a saved card.
//!
//! A card that is declined leaves the invoice open for another card. If the bank asks the buyer, the buyer's client
//! completes the payment with the client secret of the answer.

use super::{
    super::{
        Payments,
        bodies::{Subscribed, SubscriptionRequest},
        call, command, sync,
    },
    rows::{self, Command},
};
use crate::{module::Module, problems};
use gateway::{
    Failure, Invoice, InvoiceStatus, PayInvoice, Payment, PaymentStatus, Subscription,
    SubscriptionStatus,
};
use kernel::{Cx, Error, Member, Result, idempotency::Claimed};
use uuid::Uuid;

/// How many keys one request may use to pay an invoice, since the provider stores errors of its own under a key.
const PAY_KEYS: u32 = 3;

const BEGUN_BY_ANOTHER: &str = "Another member has begun this subscription, and only a card of theirs can pay it here. \
     Pay without a saved card, with `client_secret`, or cancel the subscription and begin another one.";

/// What was due of a subscription when it was to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    Nothing,
    Paid,
    /// The bank asks the buyer.
    Asks,
}

/// An answer to a request, and the payment that it shows.
pub struct Answered {
    pub shown: Subscribed,
    payment: Option<Payment>,
}

impl Payments {
    /// Subscribes a business to a plan, or continues a subscription that was begun. A card that is given pays the first
    /// period, whether the subscription was begun with it or not.
    pub(in crate::payments) async fn subscribe(
        &self,
        caller: &Member,
        business: Uuid,
        body: SubscriptionRequest,
        claimed: &Claimed,
    ) -> Result<Subscribed> {
        self.gateway()?;
        let request = caller.request_id;
        let is_repeated = claimed.is_repeated();
        let body = &body;
        let run = self.db.run(Self::NAME, Some(caller), request, move |cx| {
            Box::pin(async move {
                rows::administers(cx, business).await?;
                let (plan, user) = (body.plan_id, caller.id());
                let (command, is_own) = rows::begin(cx, business, plan, user, is_repeated).await?;
                let card = match body.payment_method_id {
                    Some(card) => Some(card_of(cx, caller, &command, card).await?),
                    None => None,
                };
                Ok((command, is_own, card))
            })
        });
        let (command, is_own, card) = run.await?;
        let began = self.now(request).await?;
        // The request that has stored it may have created it, and its answer was lost.
        let found = match is_own {
            true => None,
            false => self.begun(&command, request).await?,
        };
        let is_new = command.known.is_none() && found.is_none();
        let told = match found {
            Some(found) => found,
            None => {
                self.begin_subscription(&command, card.clone(), request)
                    .await?
            }
        };
        let state = self.learn_subscription(&told, began, request).await?;
        let mut answered = self.answer(command.id, &told, state).await?;
        if let Some(card) = card.filter(|_| told.status == SubscriptionStatus::Incomplete) {
            // The provider has tried the card already if this request has created the subscription with it.
            let is_tried = is_new && answered.was_tried();
            if !is_tried {
                self.pay_invoices(&told.id, &card, claimed.key(), request)
                    .await?;
                let (told, state) = self.look_again(&told.id, request).await?;
                answered = self.answer(command.id, &told, state).await?;
            }
            answered.refuse_declined()?;
        }
        Ok(answered.shown)
    }

    /// The answer about a subscription. If something is to be paid, it has what the buyer's client needs for that.
    pub(super) async fn answer(
        &self,
        id: Uuid,
        told: &Subscription,
        state: &str,
    ) -> Result<Answered> {
        let is_open =
            told.pending_price.is_some() || ["incomplete", "past_due", "unpaid"].contains(&state);
        let secret = told.client_secret.as_ref().filter(|_| is_open);
        let secret = secret.map(|secret| secret.expose().to_owned());
        // The secret begins with the id of the payment that it belongs to.
        let payment = match secret
            .as_deref()
            .and_then(|text| text.split_once("_secret_"))
        {
            Some((payment, _)) => {
                let read = self.gateway()?.payment(payment).await;
                Some(read.map_err(|failure| call::request_error(&failure))?)
            }
            None => None,
        };
        let due = |payment: &&Payment| {
            !payment.status.is_paid() && payment.status != PaymentStatus::Canceled
        };
        let waiting = payment.as_ref().filter(due);
        let asks = |payment: &Payment| payment.status != PaymentStatus::Processing;
        let secret = secret.filter(|_| waiting.is_some_and(asks));
        let page = self.settings.payment_page_url.as_deref();
        let shown = Subscribed {
            id,
            state: state.to_owned(),
            payment_status: waiting.map(|payment| sync::status(payment.status).to_owned()),
            page_url: waiting.and_then(|payment| call::page(page, &payment.id, secret.as_deref())),
            client_secret: secret,
        };
        Ok(Answered { shown, payment })
    }

    /// Pays the open invoices of a subscription with a card of its customer, oldest first. `key` is the idempotency key
    /// of the caller: repeated requests with the same key charge once.
    pub(super) async fn pay_invoices(
        &self,
        subscription: &str,
        card: &str,
        key: &str,
        request: Uuid,
    ) -> Result<Open> {
        let invoices = self.gateway()?.invoices(subscription).await;
        let invoices = invoices.map_err(|failure| call::request_error(&failure))?;
        let open = invoices.iter().rev();
        let open = open.filter(|invoice| invoice.status == InvoiceStatus::Open);
        let mut outcome = Open::Nothing;
        for invoice in open {
            outcome = self.pay_invoice(invoice, card, key, request).await?;
            if outcome == Open::Asks {
                break;
            }
        }
        Ok(outcome)
    }

    async fn pay_invoice(
        &self,
        invoice: &Invoice,
        card: &str,
        key: &str,
        request: Uuid,
    ) -> Result<Open> {
        let gateway = self.gateway()?;
        let pay = PayInvoice {
            invoice: invoice.id.clone(),
            payment_method: card.to_owned(),
        };
        for attempt in 1..=PAY_KEYS {
            // The first key is always the same. The others may differ, since an invoice is paid once whatever the key.
            let of = match attempt {
                1 => format!("{}:{card}:{key}", invoice.id),
                _ => format!("{}:{card}:{key}:{attempt}:{request}", invoice.id),
            };
            let key = call::key(call::digest("pay_invoice", &of))?;
            let Err(failure) = gateway.pay_invoice(&key, &pay).await else {
                return Ok(Open::Paid);
            };
            if failure.is_for_authentication() {
                return Ok(Open::Asks);
            }
            // It may have been paid all the same: by this call, whose answer is an error of the provider's own, or by
            // the buyer's client.
            let is_stuck = call::is_stuck(&failure);
            if is_stuck || call::refused(&failure).is_some() {
                let (status, asks) = self.paid_since(&invoice.id).await?;
                match status {
                    InvoiceStatus::Paid => return Ok(Open::Paid),
                    _ if is_stuck && asks => return Ok(Open::Asks),
                    _ => {}
                }
            }
            if !is_stuck {
                return Err(call::request_error(&failure));
            }
        }
        Err(Error::new(&problems::PROVIDER_AWAY))
    }

    /// The present status of an invoice, and whether the bank asks the buyer.
    async fn paid_since(&self, invoice: &str) -> Result<(InvoiceStatus, bool)> {
        let gateway = self.gateway()?;
        let told = |failure: Failure| call::request_error(&failure);
        let invoice = gateway.invoice(invoice).await.map_err(told)?;
        let asks = match &invoice.payment {
            Some(payment) => {
                gateway.payment(payment).await.map_err(told)?.status
                    == PaymentStatus::RequiresAction
            }
            None => false,
        };
        Ok((invoice.status, asks))
    }
}

impl Answered {
    /// Whether a card was tried and has not paid.
    fn was_tried(&self) -> bool {
        let payment = self.payment.as_ref();
        payment.is_some_and(|payment| {
            matches!(
                payment.status,
                PaymentStatus::Failed | PaymentStatus::RequiresAction
            )
        })
    }

    pub fn refuse_declined(&self) -> Result<()> {
        let declined = self
            .payment
            .as_ref()
            .filter(|payment| payment.status == PaymentStatus::Failed);
        let Some(payment) = declined else {
            return Ok(());
        };
        let code = payment
            .decline_code
            .as_ref()
            .or(payment.failure_code.as_ref());
        let code = code.map_or_else(String::new, |code| format!(" ({code})"));
        let detail = format!(
            "The card was declined{code}; nothing was charged or changed. Try another one."
        );
        Err(Error::new(&problems::CARD_DECLINED).detail(detail))
    }
}

/// Returns the provider's id of a card of the caller that can pay the subscription: the provider charges only cards of
/// the member who has begun it.
pub async fn card_of(
    cx: &mut Cx,
    caller: &Member,
    command: &Command,
    card: Uuid,
) -> Result<String> {
    let card = command::saved(cx, card).await?;
    match command.user == Some(caller.id()) {
        true => Ok(card),
        false => Err(Error::new(&kernel::problems::STATE).detail(BEGUN_BY_ANOTHER)),
    }
}
