//! Paying an order, a featured place or a fee by card.
//!
//! Three steps, so that no transaction is open during the call to the provider and nothing is lost in between: the
//! command is stored with its key ([`super::command`]), the provider is called ([`Payments::ask`]), and its answer is
//! applied ([`super::sync`]). If the process dies after the first step, a job does the rest with the same key. An
//! order, promotion or fee has one payment: a declined card leaves it open for another card.

use super::{
    Payments,
    bodies::{Payment as Shown, PaymentRequest},
    call,
    command::{self, Command, Of, Resume},
    sync::{Applied, answered},
};
use crate::{module::Module, problems};
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{Confirmation, Failure, FindPayments, Metadata, Payment, PaymentStatus};
use kernel::{
    Error, Member, Result, failpoint,
    idempotency::Claimed,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

/// How many keys one request may use to confirm a payment, since the provider stores errors of its own under a key.
const CONFIRM_KEYS: u32 = 3;

const BEGUN_BY_ANOTHER: &str =
    "Somebody else has begun this payment: pay it without a saved card, with `client_secret`.";

impl Payments {
    /// Begins or continues a payment. Repeated requests with the same idempotency key charge a saved card once.
    pub async fn pay(
        &self,
        buyer: &Member,
        of: Of,
        body: PaymentRequest,
        claimed: &Claimed,
    ) -> Result<Shown> {
        self.gateway()?;
        let card = body.payment_method_id;
        let (command, card) = self.begin(buyer, of, card, claimed.is_repeated()).await?;
        failpoint::reach("payment.begun");
        let payment = self.ask(&command, buyer.request_id).await?;
        let payment = match card {
            Some(card) if takes(&payment, &card) => {
                let confirmation = Confirmation {
                    payment_method: Some(card),
                    off_session: false,
                    return_url: body.return_url,
                };
                let (key, request) = (claimed.key(), buyer.request_id);
                self.confirm(&command, &payment, &confirmation, key, request)
                    .await?
            }
            _ => payment,
        };
        failpoint::reach("payment.recorded");
        let state = self.state(buyer.request_id, of).await?;
        Ok(self.shown(&command, payment, state))
    }

    /// Stores the command, or returns the one that is there. If the order, promotion or fee is paid already, a
    /// repeated request, whose answer may have been lost, gets the buyer's payment, and any other request is refused.
    async fn begin(
        &self,
        buyer: &Member,
        of: Of,
        card: Option<Uuid>,
        is_repeated: bool,
    ) -> Result<(Command, Option<String>)> {
        let run = self
            .db
            .run(Self::NAME, Some(buyer), buyer.request_id, move |cx| {
                Box::pin(async move {
                    command::may_pay(cx, of).await?;
                    if is_repeated && let Some(paid) = command::paid(cx, of, buyer.id()).await? {
                        return Ok((paid, None));
                    }
                    let card = match card {
                        Some(card) => Some(command::saved(cx, card).await?),
                        None => None,
                    };
                    let command = command::begin(cx, of, buyer.id()).await?;
                    // Another member has begun the payment, and their customer at the provider can't be charged with
                    // this card.
                    if card.is_some() && command.user != buyer.id() {
                        return Err(Error::new(&kernel::problems::STATE).detail(BEGUN_BY_ANOTHER));
                    }
                    Ok((command, card))
                })
            });
        run.await
    }

    /// Returns the payment of a command, and applies it. The payment is created, or read if it was created before.
    async fn ask(&self, command: &Command, request: Uuid) -> Result<Payment> {
        let gateway = self.gateway()?;
        let asked = match &command.payment {
            Some(id) => gateway.payment(id).await,
            None if call::is_old(command.created_at, command.loaded_at) => {
                self.find_or_give_up(command, request).await?
            }
            None => match self.make(command, request).await? {
                Err(failure) if call::is_spent(&failure) => {
                    self.find_or_give_up(command, request).await?
                }
                asked => asked.map(answered),
            },
        };
        match asked {
            Ok(payment) => {
                self.learn(request, &payment, command.loaded_at).await?;
                Ok(payment)
            }
            Err(failure) => {
                if let (Some(refusal), None) = (call::refused(&failure), &command.payment) {
                    self.give_up(command, &call::code(refusal), request).await?;
                }
                Err(call::request_error(&failure))
            }
        }
    }

    async fn make(&self, command: &Command, request: Uuid) -> Result<Result<Payment, Failure>> {
        let customer = self.customer(command.user, request).await?;
        let mut new = gateway::NewPayment::new(command.amount, call::currency(&command.currency)?);
        new.customer = Some(customer);
        new.destination = command.destination.clone();
        new.on_behalf_of = command.destination.clone().filter(|_| command.on_behalf);
        new.application_fee = (command.fee > 0).then_some(command.fee);
        new.transfer_group = Some(command.of.group());
        new.metadata = Metadata::from([
            command.of.metadata(),
            ("transaction_id".to_owned(), command.transaction.to_string()),
        ]);
        let key = call::key(&*command.key)?;
        failpoint::reach("payment.calling");
        let made = self.gateway()?.create_payment(&key, &new).await;
        failpoint::reach("payment.called");
        Ok(made)
    }

    /// For a command whose key can't be used any more: returns its payment if it was created, otherwise cancels the
    /// command, so that the next attempt has another key.
    async fn find_or_give_up(
        &self,
        command: &Command,
        request: Uuid,
    ) -> Result<Result<Payment, Failure>> {
        if let Some(payment) = self.look_for(command, request).await? {
            return Ok(Ok(payment));
        }
        self.give_up(command, "never_made", request).await?;
        Err(Error::new(&problems::PROVIDER_AWAY))
    }

    /// Reads the payer's payments of the day in which one could be made with the command's key: all payments of the
    /// platform could be more than the provider lists.
    async fn look_for(&self, command: &Command, request: Uuid) -> Result<Option<Payment>> {
        let query = FindPayments {
            metadata: command.of.metadata(),
            customer: Some(self.customer(command.user, request).await?),
            created_since: command.created_at - TimeDelta::minutes(10),
            created_until: Some(command.created_at + TimeDelta::hours(25)),
        };
        let found = self.gateway()?.find_payments(&query).await;
        let found = found.map_err(|failure| call::request_error(&failure))?;
        let id = command.transaction.to_string();
        let ours = |payment: &Payment| payment.metadata.get("transaction_id") == Some(&id);
        Ok(found.into_iter().find(ours))
    }

    async fn confirm(
        &self,
        command: &Command,
        payment: &Payment,
        confirmation: &Confirmation,
        key: &str,
        request: Uuid,
    ) -> Result<Payment> {
        let gateway = self.gateway()?;
        for attempt in 1..=CONFIRM_KEYS {
            // Derived from the buyer's key, so that a repeated request confirms once, and from the transaction, since
            // the buyer may use the same key for other payments.
            let of = format!("{}:{key}:{attempt}", command.transaction);
            let key = call::key(call::digest("confirm", &of))?;
            let began = self.now(request).await?;
            let confirmed = gateway
                .confirm_payment(&key, &payment.id, confirmation)
                .await;
            failpoint::reach("payment.confirmed");
            let failure = match confirmed {
                Ok(payment) => {
                    let payment = answered(payment);
                    self.learn(request, &payment, began).await?;
                    return Ok(payment);
                }
                Err(failure) => failure,
            };
            let after = match &failure {
                stuck if call::is_stuck(stuck) => gateway.payment(&payment.id).await.ok(),
                _ => failure
                    .refusal()
                    .and_then(|refusal| refusal.payment.as_deref().cloned())
                    .map(answered),
            };
            if let Some(after) = after {
                self.learn(request, &after, began).await?;
                // Confirmed after all, or paid by another request meanwhile.
                let card = confirmation.payment_method.as_deref();
                let is_open = card.is_some_and(|card| takes(&after, card));
                let is_done = after.status.is_paid() || call::is_stuck(&failure) && !is_open;
                if is_done {
                    return Ok(after);
                }
            }
            if !call::is_stuck(&failure) {
                return Err(call::request_error(&failure));
            }
        }
        Err(Error::new(&problems::PROVIDER_AWAY))
    }

    /// Applies what the provider says of a payment. A payment that differs from the command is an internal error.
    /// `began` is the time before the provider was called.
    pub(super) async fn learn(
        &self,
        request: Uuid,
        payment: &Payment,
        began: DateTime<Utc>,
    ) -> Result<()> {
        match self.apply(request, payment, began).await? {
            Applied::Known | Applied::Unknown => Ok(()),
            Applied::Differs(why) => Err(Error::internal(format!("{}: {why}", payment.id))),
        }
    }

    async fn give_up(&self, command: &Command, code: &str, request: Uuid) -> Result<()> {
        let transaction = command.transaction;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "update app.transactions set status = 'cancelled', failure_code = $2
                     where id = $1 and stripe_payment_intent_id is null and status = 'created'",
                )
                .bind(transaction)
                .bind(code)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }

    async fn state(&self, request: Uuid, of: Of) -> Result<String> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { command::state(cx, of).await })
        });
        run.await
    }

    fn shown(&self, command: &Command, payment: Payment, state: String) -> Shown {
        let open = is_open(payment.status) || payment.status == PaymentStatus::RequiresAction;
        let secret = payment.client_secret.filter(|_| open);
        let secret = secret.map(|secret| secret.expose().to_owned());
        let page = self.settings.payment_page_url.as_deref();
        Shown {
            id: command.transaction,
            order_id: command.of.order(),
            order_state: command.of.order().map(|_| state.clone()),
            promotion_id: command.of.promotion(),
            promotion_state: command.of.promotion().map(|_| state),
            quote_id: command.of.quote(),
            status: super::sync::status(payment.status).to_owned(),
            amount_cents: command.amount,
            currency: command.currency.clone(),
            page_url: call::page(page, &payment.id, secret.as_deref()),
            client_secret: secret,
            next_action_url: payment.next_action_url,
        }
    }

    /// Job: completes a payment whose request died, or ended before the provider had answered.
    pub(super) async fn resume(&self, run: Arc<Run>) -> Outcome {
        let Resume { transaction } = run.payload()?;
        self.ask_about(transaction, run.request_id).await?;
        Ok(())
    }

    /// Reads and applies the payment of a transaction. None: it was cancelled, or pays a period of a subscription.
    pub(super) async fn ask_about(
        &self,
        transaction: Uuid,
        request: Uuid,
    ) -> Result<Option<Payment>> {
        let found = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { command::load(cx, transaction).await })
        });
        match found.await? {
            Some(command) => self.ask(&command, request).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Whether the payment can be confirmed with this card: it waits for a card, or for the bank of another one, whose
/// question the buyer may be unable to answer.
fn takes(payment: &Payment, card: &str) -> bool {
    is_open(payment.status)
        || payment.status == PaymentStatus::RequiresAction
            && payment.payment_method.as_deref() != Some(card)
}

/// Whether the payment waits for a card.
fn is_open(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Created | PaymentStatus::Failed)
}
