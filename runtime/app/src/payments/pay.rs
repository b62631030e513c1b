//! Paying an order by card.
//!
//! Three steps, so that no transaction is open while the provider is waited for and nothing is lost in between: the
//! command is written down with its key ([`begin`]), the provider is asked ([`Payments::ask`]), and what it says is
//! applied ([`super::sync`]). Whoever dies after the first step leaves a job behind that does the rest with the same key.
//! One order has one payment: a declined card leaves it open for another card.

use super::{
    Payments,
    bodies::{Payment as Shown, PaymentRequest},
    call,
    sync::Applied,
};
use crate::{module::Module, problems};
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{Confirmation, Failure, FindPayments, Metadata, Payment, PaymentStatus};
use generated::{order::ORDER, payment_method::PAYMENT_METHOD};
use kernel::{
    Cx, Error, Member, Result, failpoint,
    jobs::{NewJob, Outcome, Run},
};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use std::sync::Arc;
use uuid::Uuid;

/// The job looks after a payment this long after it was begun: who began it has usually ended it by then.
const LOOK_AFTER: TimeDelta = TimeDelta::seconds(60);

/// Keys that confirming may use up in one request, where the provider keeps its own errors under them.
const CONFIRM_KEYS: u32 = 3;

/// A payment as it was written down.
#[derive(Clone, Debug)]
struct Command {
    transaction: Uuid,
    order: Uuid,
    user: Uuid,
    amount: i64,
    currency: String,
    fee: i64,
    destination: Option<String>,
    key: String,
    /// Once the provider has answered.
    payment: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Resume {
    transaction: Uuid,
}

impl Payments {
    /// `key` is the buyer's own: the same one charges a saved card once.
    pub async fn pay(
        &self,
        buyer: &Member,
        order: Uuid,
        body: PaymentRequest,
        key: &str,
    ) -> Result<Shown> {
        self.gateway()?;
        let (command, card) = self.begin(buyer, order, body.payment_method_id).await?;
        failpoint::reach("payment.begun");
        let payment = self.ask(&command, buyer.request_id).await?;
        let payment = match card {
            Some(card) if is_open(payment.status) => {
                let confirmation = Confirmation {
                    payment_method: Some(card),
                    off_session: false,
                    return_url: body.return_url,
                };
                self.confirm(&command, &payment, &confirmation, key, buyer.request_id)
                    .await?
            }
            _ => payment,
        };
        failpoint::reach("payment.recorded");
        let state = self.order_state(buyer.request_id, order).await?;
        Ok(self.shown(&command, payment, state))
    }

    /// Writes the command down, or finds the one that is there.
    async fn begin(
        &self,
        buyer: &Member,
        order: Uuid,
        card: Option<Uuid>,
    ) -> Result<(Command, Option<String>)> {
        let run = self
            .db
            .run(Self::NAME, Some(buyer), buyer.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&ORDER, "read", order).await?;
                    if !cx.holds(&ORDER, "buyer", order).await? {
                        return Err(Error::forbidden());
                    }
                    let card = match card {
                        Some(card) => Some(saved(cx, card).await?),
                        None => None,
                    };
                    Ok((begin(cx, order).await?, card))
                })
            });
        run.await
    }

    /// The payment of a command: made now, or read if it was made before. Applies what it learns.
    async fn ask(&self, command: &Command, request: Uuid) -> Result<Payment> {
        let gateway = self.gateway()?;
        let asked = match &command.payment {
            Some(id) => gateway.payment(id).await,
            None if call::is_old(command.created_at) => {
                self.find_or_give_up(command, request).await?
            }
            None => match self.make(command, request).await? {
                Err(failure) if call::is_stuck(&failure) => {
                    self.find_or_give_up(command, request).await?
                }
                asked => asked,
            },
        };
        match asked {
            Ok(payment) => {
                self.learn(request, &payment).await?;
                Ok(payment)
            }
            Err(failure) => {
                if let (Some(refusal), None) = (call::refused(&failure), &command.payment) {
                    self.give_up(command, &call::code(refusal), request).await?;
                }
                Err(call::told(&failure))
            }
        }
    }

    async fn make(&self, command: &Command, request: Uuid) -> Result<Result<Payment, Failure>> {
        let customer = self.customer(command.user, request).await?;
        let mut new = gateway::NewPayment::new(command.amount, call::currency(&command.currency)?);
        new.customer = Some(customer);
        new.destination = command.destination.clone();
        new.application_fee = (command.fee > 0).then_some(command.fee);
        new.transfer_group = Some(format!("order:{}", command.order));
        new.metadata = Metadata::from([
            ("order_id".to_owned(), command.order.to_string()),
            ("transaction_id".to_owned(), command.transaction.to_string()),
        ]);
        let key = call::key(&*command.key)?;
        failpoint::reach("payment.calling");
        let made = self.gateway()?.create_payment(&key, &new).await;
        failpoint::reach("payment.called");
        Ok(made)
    }

    /// Its key is of no use any more: if it was made, it is there; if not, the next attempt has another key.
    async fn find_or_give_up(
        &self,
        command: &Command,
        request: Uuid,
    ) -> Result<Result<Payment, Failure>> {
        if let Some(payment) = self.look_for(command).await? {
            return Ok(Ok(payment));
        }
        self.give_up(command, "never_made", request).await?;
        Err(Error::new(&problems::PROVIDER_AWAY))
    }

    async fn look_for(&self, command: &Command) -> Result<Option<Payment>> {
        let query = FindPayments {
            order_id: command.order.to_string(),
            customer: None,
            created_since: command.created_at - TimeDelta::minutes(10),
            created_until: None,
        };
        let found = self.gateway()?.find_payments(&query).await;
        let found = found.map_err(|failure| call::told(&failure))?;
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
            // Of the buyer's key, so that the same request confirms once; of the payment, as they may use it for others.
            let of = format!("{}:{key}:{attempt}", command.transaction);
            let key = call::key(call::digest("confirm", &of))?;
            let confirmed = gateway
                .confirm_payment(&key, &payment.id, confirmation)
                .await;
            failpoint::reach("payment.confirmed");
            let failure = match confirmed {
                Ok(payment) => {
                    self.learn(request, &payment).await?;
                    return Ok(payment);
                }
                Err(failure) => failure,
            };
            let after = match &failure {
                stuck if call::is_stuck(stuck) => gateway.payment(&payment.id).await.ok(),
                _ => failure
                    .refusal()
                    .and_then(|refusal| refusal.payment.as_deref().cloned()),
            };
            if let Some(after) = after {
                self.learn(request, &after).await?;
                // Confirmed after all, or paid by somebody else meanwhile.
                let is_done =
                    after.status.is_paid() || call::is_stuck(&failure) && !is_open(after.status);
                if is_done {
                    return Ok(after);
                }
            }
            if !call::is_stuck(&failure) {
                return Err(call::told(&failure));
            }
        }
        Err(Error::new(&problems::PROVIDER_AWAY))
    }

    /// Applies what the provider says of a payment of ours; what does not fit is an alarm.
    pub(super) async fn learn(&self, request: Uuid, payment: &Payment) -> Result<()> {
        match self.apply(request, payment).await? {
            Applied::Known | Applied::Unknown => Ok(()),
            Applied::Differs(why) => Err(Error::internal(format!("{}: {why}", payment.id))),
        }
    }

    async fn give_up(&self, command: &Command, code: &str, request: Uuid) -> Result<()> {
        let (transaction, code) = (command.transaction, code.to_owned());
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            let code = code.clone();
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

    async fn order_state(&self, request: Uuid, order: Uuid) -> Result<String> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let state = sqlx::query_scalar("select state from app.orders where id = $1");
                Ok(state.bind(order).fetch_one(cx.conn()).await?)
            })
        });
        run.await
    }

    fn shown(&self, command: &Command, payment: Payment, order_state: String) -> Shown {
        let open = is_open(payment.status) || payment.status == PaymentStatus::RequiresAction;
        let secret = payment.client_secret.filter(|_| open);
        let secret = secret.map(|secret| secret.expose().to_owned());
        let page = self.settings.payment_page_url.as_deref();
        Shown {
            id: command.transaction,
            order_id: command.order,
            order_state,
            status: super::sync::status(payment.status).to_owned(),
            amount_cents: command.amount,
            currency: command.currency.clone(),
            page_url: call::page(page, &payment.id, secret.as_deref()),
            client_secret: secret,
            next_action_url: payment.next_action_url,
        }
    }

    /// What was begun and not ended: by whoever died, or did not wait for the provider.
    pub(super) async fn resume(&self, run: Arc<Run>) -> Outcome {
        let Resume { transaction } = run.payload()?;
        self.ask_about(transaction, run.request_id).await?;
        Ok(())
    }

    /// The payment of a transaction as it is now, applied. None: it was cancelled, or is for no order.
    pub(super) async fn ask_about(
        &self,
        transaction: Uuid,
        request: Uuid,
    ) -> Result<Option<Payment>> {
        let found = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { command(cx, transaction).await })
        });
        match found.await? {
            Some(command) => self.ask(&command, request).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Waits for a card.
fn is_open(status: PaymentStatus) -> bool {
    matches!(status, PaymentStatus::Created | PaymentStatus::Failed)
}

/// The provider's id of a card of the caller's.
pub(super) async fn saved(cx: &mut Cx, card: Uuid) -> Result<String> {
    if !cx.may(&PAYMENT_METHOD, "read", card).await? {
        return Err(Error::field(
            "/payment_method_id",
            "reference",
            "does not refer to anything you can use here",
        ));
    }
    let id = sqlx::query_scalar(
        "select stripe_payment_method_id from app.payment_methods where id = $1",
    );
    Ok(id.bind(card).fetch_one(cx.conn()).await?)
}

async fn begin(cx: &mut Cx, order: Uuid) -> Result<Command> {
    let row = sqlx::query(
        "select o.state, coalesce(o.expires_at <= now(), false) as is_over, o.card_cents, o.currency, o.user_id, o.event_id,
           o.organizer_cents, o.application_fee_cents, e.city_id, e.host_type, e.host_id, now() as now
         from app.orders o join app.events e on e.id = o.event_id where o.id = $1 for update of o",
    )
    .bind(order)
    .fetch_one(cx.conn())
    .await?;
    match row.try_get::<&str, _>("state")? {
        "pending" if row.try_get("is_over")? => return Err(Error::new(&problems::ORDER_EXPIRED)),
        "pending" => {}
        "expired" => return Err(Error::new(&problems::ORDER_EXPIRED)),
        state => {
            let detail = format!("It is {state}; an order is paid while it is pending.");
            return Err(Error::new(&kernel::problems::STATE).detail(detail));
        }
    }
    if let Some(live) = live(cx, order).await? {
        return Ok(live);
    }
    let organizer: i64 = row.try_get("organizer_cents")?;
    let account = super::connect::ready(cx, row.try_get("host_type")?, row.try_get("host_id")?);
    let destination = match account.await? {
        None if organizer > 0 => return Err(Error::new(&problems::HOST_UNPAYABLE)),
        account => account,
    };
    let transaction = Uuid::now_v7();
    sqlx::query(
        "insert into app.transactions (id, user_id, city_id, order_id, type, amount_cents, application_fee_cents, currency,
           stripe_account_id, attempt, stripe_idempotency_key)
         select $1, $2, $3, $4, 'ticket', $5, $6, $7, $8, n.attempt, 'pi:' || $4::text || ':' || n.attempt
         from (select count(*)::int + 1 as attempt from app.transactions t where t.order_id = $4) n",
    )
    .bind(transaction)
    .bind(row.try_get::<Uuid, _>("user_id")?)
    .bind(row.try_get::<Uuid, _>("city_id")?)
    .bind(order)
    .bind(row.try_get::<i64, _>("card_cents")?)
    .bind(match &destination {
        Some(_) => row.try_get::<i64, _>("application_fee_cents")?,
        None => 0,
    })
    .bind(row.try_get::<&str, _>("currency")?)
    .bind(destination)
    .execute(cx.conn())
    .await?;
    NewJob::new("payments.resume", Resume { transaction })?
        .at(row.try_get::<DateTime<Utc>, _>("now")? + LOOK_AFTER)
        .put(cx)
        .await?;
    command(cx, transaction)
        .await?
        .ok_or_else(|| Error::internal("a payment that was just begun"))
}

async fn live(cx: &mut Cx, order: Uuid) -> Result<Option<Command>> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.transactions where order_id = $1 and status <> 'cancelled'",
    )
    .bind(order)
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(transaction) => command(cx, transaction).await,
        None => Ok(None),
    }
}

/// None for one that is over or not for an order.
async fn command(cx: &mut Cx, transaction: Uuid) -> Result<Option<Command>> {
    let row = sqlx::query(
        "select id, order_id, user_id, amount_cents, application_fee_cents, currency, stripe_account_id, stripe_idempotency_key,
           stripe_payment_intent_id, created_at
         from app.transactions where id = $1 and status <> 'cancelled' and order_id is not null",
    )
    .bind(transaction)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Command {
        transaction: row.try_get("id")?,
        order: row.try_get("order_id")?,
        user: row.try_get("user_id")?,
        amount: row.try_get("amount_cents")?,
        currency: row.try_get("currency")?,
        fee: row.try_get("application_fee_cents")?,
        destination: row.try_get("stripe_account_id")?,
        key: row.try_get("stripe_idempotency_key")?,
        payment: row.try_get("stripe_payment_intent_id")?,
        created_at: row.try_get("created_at")?,
    }))
}
