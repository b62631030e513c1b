//! Plans of businesses, paid period by period.
//!
//! A subscription is stored with its key before the provider is called. After that its state is the one that the
//! provider reports in events and reads; nothing else changes it. The business keeps the plan's benefits for some days
//! after a period, so that it loses nothing while a failed card payment is retried.
//!
//! Here a subscription is created and its state is stored. `pay` begins one for a request and pays its invoices,
//! `change` changes and cancels it, `end` makes sure that nothing can be paid of one that has ended.

mod change;
mod end;
mod pay;
mod rows;

use super::{Payments, call};
use crate::module::Module;
use chrono::{DateTime, TimeDelta, Utc};
use gateway::{
    Gateway, Interval, InvoiceStatus, Key, Metadata, NewPrice, Price, Subscription,
    SubscriptionStatus,
};
use kernel::{
    Result,
    jobs::{Outcome, Run},
};
use std::sync::Arc;
use uuid::Uuid;

pub use end::OF_INVOICE;
pub use rows::Change;
use rows::{Command, Plan, Resume, command, learn};

impl Payments {
    /// Creates the subscription at the provider, or returns the one that was created before.
    async fn begin_subscription(
        &self,
        command: &Command,
        card: Option<String>,
        request: Uuid,
    ) -> Result<Subscription> {
        let gateway = self.gateway()?;
        if let Some(known) = &command.known {
            return self.read_subscription(known).await;
        }
        let user = command
            .user
            .ok_or_else(|| kernel::Error::internal("a subscription of nobody"))?;
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
                // Another request may have used the key with other parameters, such as a card. That says nothing about
                // whether it has created the subscription.
                let is_taken = call::is_taken(&failure);
                let found = match call::is_stuck(&failure) || is_taken {
                    true => find(gateway, &customer, command.id).await?,
                    false => None,
                };
                if let Some(found) = found {
                    return Ok(found);
                }
                if is_taken {
                    return Err(call::away(&failure).retry_after(5));
                }
                if let Some(refusal) = call::refused(&failure) {
                    self.refused(command.id, call::code(refusal), request)
                        .await?;
                } else if call::is_stuck(&failure) {
                    self.refused(command.id, "never_made".to_owned(), request)
                        .await?;
                }
                Err(call::request_error(&failure))
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
        let found: Option<Price> = found.map_err(|failure| call::request_error(&failure))?;
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
                made.map_err(|failure| call::request_error(&failure))?
            }
        };
        let (id, known) = (plan.id, &price.id);
        let run = self.db.run(Self::NAME, None, request, move |cx| {
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

    /// Stores the state of a subscription that the provider reports; the plan follows from the price that is billed. A
    /// reading that began earlier than the stored one changes nothing. Returns the state in our terms.
    pub(super) async fn learn_subscription(
        &self,
        told: &Subscription,
        began: DateTime<Utc>,
        request: Uuid,
    ) -> Result<&'static str> {
        let entitled = self.entitled_until(told).await?;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move { learn(cx, told, state(told.status), entitled, began).await })
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
        let invoice = invoice.map_err(|failure| call::request_error(&failure))?;
        let is_of_a_change = invoice.billing_reason.as_deref() == Some("subscription_update")
            && invoice.status != InvoiceStatus::Paid;
        Ok(match is_of_a_change {
            true => invoice.created.max(start),
            false => start,
        })
    }

    /// Reads a subscription and applies its state. Returns false if it is not one of ours.
    pub(super) async fn follow_subscription(&self, id: &str, request: Uuid) -> Result<bool> {
        let (told, _) = self.look_again(id, request).await?;
        Ok(told.metadata.contains_key("subscription_id"))
    }

    pub(super) async fn read_subscription(&self, id: &str) -> Result<Subscription> {
        let read = self.gateway()?.subscription(id).await;
        read.map_err(|failure| call::request_error(&failure))
    }

    /// Reads a subscription and applies its state. Returns what was read, and the state in our terms.
    async fn look_again(&self, id: &str, request: Uuid) -> Result<(Subscription, &'static str)> {
        let began = self.now(request).await?;
        let told = self.read_subscription(id).await?;
        let state = self.learn_subscription(&told, began, request).await?;
        Ok((told, state))
    }

    async fn refused(&self, subscription: Uuid, code: String, request: Uuid) -> Result<()> {
        let code = &code;
        let run = self.db.run(Self::NAME, None, request, move |cx| {
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

async fn find(
    gateway: &dyn Gateway,
    customer: &str,
    subscription: Uuid,
) -> Result<Option<Subscription>> {
    let all = gateway.subscriptions(customer).await;
    let all = all.map_err(|failure| call::request_error(&failure))?;
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
