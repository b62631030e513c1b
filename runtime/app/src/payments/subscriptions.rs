//! Plans of businesses, paid period by period.
//!
//! A subscription is stored with its key before the provider is called. After that its state is the one that the
//! provider reports in events and reads; nothing else changes it. The business keeps the plan's benefits for some days
//! after a period, so that it loses nothing while a failed card payment is retried.

mod rows;

use super::{
    Payments,
    bodies::{Subscribed, SubscriptionRequest},
    call,
};
use crate::module::Module;
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{
    ChangePlan, Failure, Gateway, Interval, Invoice, InvoiceStatus, Key, Metadata, NewPrice, Price,
    Proration, Subscription, SubscriptionStatus,
};
use kernel::{
    Error, Member, Result,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

pub use rows::Change;
use rows::{Command, Plan, Resume, administers, begin, book, changeable, command, learn};

impl Payments {
    /// Subscribes a business to a plan, or continues a subscription that was begun. `is_repeated` says that the same
    /// request was received before and its answer may have been lost.
    pub(super) async fn subscribe(
        &self,
        caller: &Member,
        business: Uuid,
        body: SubscriptionRequest,
        is_repeated: bool,
    ) -> Result<Subscribed> {
        self.gateway()?;
        let run = self.db.run(Self::NAME, Some(caller), caller.request_id, {
            let user = caller.id();
            move |cx| {
                Box::pin(async move {
                    administers(cx, business).await?;
                    let plan = body.plan_id;
                    let command = begin(cx, business, plan, user, is_repeated).await?;
                    let card = match body.payment_method_id {
                        Some(card) if command.known.is_none() => {
                            Some(super::command::saved(cx, card).await?)
                        }
                        _ => None,
                    };
                    Ok((command, card))
                })
            }
        });
        let (command, card) = run.await?;
        let began = self.now(caller.request_id).await?;
        let told = self
            .begin_subscription(&command, card, caller.request_id)
            .await?;
        let state = self
            .learn_subscription(&told, began, caller.request_id)
            .await?;
        let is_begun = command.known.is_some() && !is_repeated;
        if is_begun && state == "incomplete" && body.payment_method_id.is_some() {
            return Err(Error::new(&kernel::problems::STATE).detail(
                "The first period of this subscription waits for its payment already. Send the request without \
                 `payment_method_id` and pay with the `client_secret` of the answer, or cancel the subscription first.",
            ));
        }
        Ok(self.subscribed(command.id, &told, state))
    }

    fn subscribed(&self, id: Uuid, told: &Subscription, state: &str) -> Subscribed {
        let secret = told.client_secret.as_ref();
        let secret = secret.filter(|_| state == "incomplete");
        let secret = secret.map(|secret| secret.expose().to_owned());
        // The secret begins with the id of the payment that it belongs to.
        let payment = secret
            .as_deref()
            .and_then(|secret| secret.split("_secret_").next());
        let page = self.settings.payment_page_url.as_deref();
        Subscribed {
            id,
            state: state.to_owned(),
            page_url: payment.and_then(|id| call::page(page, id, secret.as_deref())),
            client_secret: secret,
        }
    }

    /// Creates the subscription at the provider, or returns the one that was created before.
    async fn begin_subscription(
        &self,
        command: &Command,
        card: Option<String>,
        request: Uuid,
    ) -> Result<Subscription> {
        let gateway = self.gateway()?;
        if let Some(known) = &command.known {
            let read = gateway.subscription(known).await;
            return read.map_err(|failure| call::told(&failure));
        }
        let user = command
            .user
            .ok_or_else(|| Error::internal("a subscription of nobody"))?;
        let customer = self.customer(user, request).await?;
        if call::is_old(command.created_at, command.loaded_at)
            && let Some(found) = find(gateway, &customer, command.id).await?
        {
            return Ok(found);
        }
        let price = self.price(&command.plan, request).await?;
        let new = gateway::NewSubscription {
            customer: customer.clone(),
            price,
            payment_method: card,
            trial_days: None,
            metadata: Metadata::from([("subscription_id".to_owned(), command.id.to_string())]),
        };
        let key = call::key(&*command.key)?;
        match gateway.create_subscription(&key, &new).await {
            Ok(made) => Ok(made),
            Err(failure) => {
                let found = match call::is_stuck(&failure) {
                    true => find(gateway, &customer, command.id).await?,
                    false => None,
                };
                if let Some(found) = found {
                    return Ok(found);
                }
                if let Some(refusal) = call::refused(&failure) {
                    self.refused(command.id, call::code(refusal), request)
                        .await?;
                } else if call::is_stuck(&failure) {
                    self.refused(command.id, "never_made".to_owned(), request)
                        .await?;
                }
                Err(call::told(&failure))
            }
        }
    }

    /// Returns the provider's id of the plan's price, and creates the price if needed. A price can't be changed at the
    /// provider, so a changed plan gets another one.
    async fn price(&self, plan: &Plan, request: Uuid) -> Result<String> {
        let gateway = self.gateway()?;
        let lookup = format!(
            "plan_{}_{}_{}_{}",
            plan.id.simple(),
            plan.price_cents,
            plan.currency,
            plan.interval
        );
        let found = gateway.find_price(&lookup).await;
        let found: Option<Price> = found.map_err(|failure| call::told(&failure))?;
        let price = match found {
            Some(price) => price,
            None => {
                let new = NewPrice {
                    lookup_key: lookup.clone(),
                    product_name: plan.name.clone(),
                    amount: plan.price_cents,
                    currency: call::currency(&plan.currency)?,
                    interval: match plan.interval.as_str() {
                        "year" => Interval::Year,
                        _ => Interval::Month,
                    },
                    metadata: Metadata::from([("plan_id".to_owned(), plan.id.to_string())]),
                };
                let (new, lookup) = (&new, lookup.as_str());
                let keys = call::keys(&format!("price:{lookup}"), request)?;
                let send = move |key: Key| async move { gateway.create_price(&key, new).await };
                let made = keys.once(send, gateway.find_price(lookup)).await;
                made.map_err(|failure| call::told(&failure))?
            }
        };
        let (id, known) = (plan.id, price.id.clone());
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            let known = known.clone();
            Box::pin(async move {
                sqlx::query(
                    "update app.plans set stripe_price_id = $2 where id = $1 and stripe_price_id is distinct from $2",
                )
                .bind(id)
                .bind(known)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await?;
        Ok(price.id)
    }

    /// Changes the plan of a subscription, ends it or keeps it. `key` is the idempotency key of the caller.
    pub(super) async fn change_subscription(
        &self,
        caller: &Member,
        subscription: Uuid,
        change: Change,
        key: &str,
    ) -> Result<Subscribed> {
        let gateway = self.gateway()?;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move { changeable(cx, subscription, change).await })
            });
        let (command, plan) = run.await?;
        let (Some(id), Some(item)) = (command.known.clone(), command.item.clone()) else {
            return Err(Error::new(&kernel::problems::STATE)
                .detail("The subscription has not begun yet; look again in a minute."));
        };
        if command.is_unpaid {
            self.cancel_subscription(&id, caller.request_id).await?;
            let run = self.db.run(Self::NAME, None, caller.request_id, move |cx| {
                Box::pin(async move { rows::state(cx, subscription).await })
            });
            let state = run.await?;
            return Ok(Subscribed {
                id: subscription,
                state,
                client_secret: None,
                page_url: None,
            });
        }
        let of = call::digest("subscription", &format!("{subscription}:{key}"));
        let keys = call::keys(&of, caller.request_id)?;
        let price = match &plan {
            Some(plan) => Some(self.price(plan, caller.request_id).await?),
            None => None,
        };
        let began = self.now(caller.request_id).await?;
        let wanted = &Wanted {
            change,
            subscription: id,
            item,
            price,
        };
        let send = move |key: Key| async move { wanted.send(gateway, &key).await };
        let told = keys.once(send, wanted.look(gateway)).await;
        let told = told.map_err(|failure| call::told(&failure))?;
        let state = self
            .learn_subscription(&told, began, caller.request_id)
            .await?;
        Ok(self.subscribed(subscription, &told, state))
    }

    /// Stores the state of a subscription that the provider reports; the plan follows from the price that is billed. A
    /// reading that began earlier than the stored one changes nothing. Returns the state in our terms.
    pub(super) async fn learn_subscription(
        &self,
        told: &Subscription,
        began: DateTime<Utc>,
        request: Uuid,
    ) -> Result<&'static str> {
        let entitled = self.entitled_until(told).await?;
        let run = self.db.run(Self::NAME, None, request, {
            let told = told.clone();
            move |cx| {
                let told = told.clone();
                Box::pin(async move { learn(cx, &told, state(told.status), entitled, began).await })
            }
        });
        run.await?;
        Ok(state(told.status))
    }

    /// The time until which the business has the plan's benefits. If the subscription is past due, the provider has
    /// already begun the next, unpaid period, so the days of grace count from its beginning.
    async fn entitled_until(&self, told: &Subscription) -> Result<Option<DateTime<Utc>>> {
        let grace = TimeDelta::days(self.settings.subscription_grace_days.into());
        Ok(match told.status {
            SubscriptionStatus::Active | SubscriptionStatus::Trialing => {
                Some(told.current_period_end + grace)
            }
            SubscriptionStatus::PastDue => Some(self.due_since(told).await? + grace),
            _ => None,
        })
    }

    /// The time since which the subscription is past due: the beginning of the period, or a change of the plan within
    /// a period that was paid.
    async fn due_since(&self, told: &Subscription) -> Result<DateTime<Utc>> {
        let start = told.current_period_start;
        let Some(invoice) = &told.latest_invoice else {
            return Ok(start);
        };
        let invoice = self.gateway()?.invoice(invoice).await;
        let invoice = invoice.map_err(|failure| call::told(&failure))?;
        let is_of_a_change = invoice.billing_reason.as_deref() == Some("subscription_update")
            && invoice.status != InvoiceStatus::Paid;
        Ok(match is_of_a_change {
            true => invoice.created.max(start),
            false => start,
        })
    }

    /// Ends the subscription of an archived business, which has no administrators left who could end it. It ends at
    /// once, because the business has no more use for the plan.
    pub(super) async fn cancel_subscription(&self, id: &str, request: Uuid) -> Result<()> {
        // The key is new for each attempt: cancelling twice is harmless, and an error that the provider has stored
        // under an older key would block this for a day.
        let key = call::key(call::digest("end", &format!("{id}:{request}")))?;
        let began = self.now(request).await?;
        match self.gateway()?.cancel_subscription_now(&key, id).await {
            Ok(told) => self
                .learn_subscription(&told, began, request)
                .await
                .map(drop),
            // A subscription that has ended can't be ended again; reading it shows that it has.
            Err(failure) if failure.refusal().is_some() => {
                self.follow_subscription(id, request).await.map(drop)
            }
            Err(failure) => Err(call::told(&failure)),
        }
    }

    /// Reads a subscription and applies its state. Returns false if it is not one of ours.
    pub(super) async fn follow_subscription(&self, id: &str, request: Uuid) -> Result<bool> {
        let began = self.now(request).await?;
        let told = self.gateway()?.subscription(id).await;
        let told = told.map_err(|failure| call::told(&failure))?;
        self.learn_subscription(&told, began, request).await?;
        Ok(told.metadata.contains_key("subscription_id"))
    }

    /// Records the payment of a paid invoice, once. The payment is read as well, since its refunds may have been
    /// reported before it was known here. Returns false if the subscription is not one of ours.
    pub(super) async fn learn_invoice(&self, invoice: &Invoice, request: Uuid) -> Result<bool> {
        let Some(subscription) = invoice.subscription.clone() else {
            return Ok(false);
        };
        let known = self.follow_subscription(&subscription, request).await?;
        let is_paid = invoice.status == InvoiceStatus::Paid && invoice.amount_paid > 0;
        let run = self.db.run(Self::NAME, None, request, {
            let invoice = invoice.clone();
            move |cx| {
                let (invoice, subscription) = (invoice.clone(), subscription.clone());
                Box::pin(async move {
                    if is_paid {
                        book(cx, &invoice, &subscription).await?;
                    }
                    Ok(())
                })
            }
        });
        run.await?;
        if let Some(payment) = invoice.payment.as_deref().filter(|_| is_paid) {
            let began = self.now(request).await?;
            let payment = self.gateway()?.payment(payment).await;
            let payment = payment.map_err(|failure| call::told(&failure))?;
            self.apply(request, &payment, began).await?;
        }
        Ok(known)
    }

    async fn refused(&self, subscription: Uuid, code: String, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            let code = code.clone();
            Box::pin(async move {
                sqlx::query(
                    "update app.subscriptions set state = 'canceled', failure_code = $2
                     where id = $1 and stripe_subscription_id is null",
                )
                .bind(subscription)
                .bind(code)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Looks up the subscription of a command whose answer was lost. The call can't be repeated: it may have been made
    /// with a card that is not stored, and the provider would refuse the same key with other parameters, so that a
    /// subscription that is billed would be taken for one that was never created.
    async fn begun(&self, command: &Command, request: Uuid) -> Result<Option<Subscription>> {
        match (&command.known, command.user) {
            (None, Some(user)) => {
                let customer = self.customer(user, request).await?;
                find(self.gateway()?, &customer, command.id).await
            }
            _ => Ok(None),
        }
    }

    /// Job: completes a subscription that was begun.
    pub(super) async fn resume_subscription(&self, run: Arc<Run>) -> Outcome {
        let Resume { subscription } = run.payload()?;
        let found = self.db.run(Self::NAME, None, run.request_id, move |cx| {
            Box::pin(async move { command(cx, subscription).await })
        });
        if let Some(command) = found.await? {
            let began = self.now(run.request_id).await?;
            let told = match self.begun(&command, run.request_id).await? {
                Some(begun) => begun,
                None => {
                    self.begin_subscription(&command, None, run.request_id)
                        .await?
                }
            };
            self.learn_subscription(&told, began, run.request_id)
                .await?;
        }
        Ok(())
    }
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
            Change::Plan(_) => self.price.as_ref() == Some(&now.price),
            Change::Cancel => now.cancel_at_period_end,
            Change::Keep => !now.cancel_at_period_end,
        };
        Ok(is_done.then_some(now))
    }
}

async fn find(
    gateway: &dyn Gateway,
    customer: &str,
    subscription: Uuid,
) -> Result<Option<Subscription>> {
    let all = gateway.subscriptions(customer).await;
    let all = all.map_err(|failure| call::told(&failure))?;
    let id = subscription.to_string();
    let ours = |found: &Subscription| found.metadata.get("subscription_id") == Some(&id);
    Ok(all.into_iter().find(ours))
}

fn state(status: SubscriptionStatus) -> &'static str {
    match status {
        SubscriptionStatus::Incomplete => "incomplete",
        SubscriptionStatus::Trialing => "trialing",
        SubscriptionStatus::Active => "active",
        SubscriptionStatus::PastDue => "past_due",
        SubscriptionStatus::Unpaid | SubscriptionStatus::Paused => "unpaid",
        SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => "canceled",
    }
}
