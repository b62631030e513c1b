//! Control of the fake by tests, which Stripe does not offer: the time, faults, and the actions of banks, buyers and
//! owners.

use crate::{
    api::{account, balance, dispute, payment_flow, setup_intent},
    error::{ApiError, Result},
    event,
    fake::{Fake, catch_up},
    fault::Fault,
    form::Params,
    json::{Fields, visible},
    ledger::{BANK, Entry, PLATFORM, Reason},
    webhook::{Delivery, Endpoint, Mischief, Post, Target},
    world::{Call, Move, World},
};
use serde_json::{Value, json};

/// The kind of intent that a buyer acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Payment,
    Setup,
}

/// A refused call, with the error in Stripe's JSON format.
#[derive(Clone, Debug)]
pub struct Refused {
    pub status: u16,
    pub body: Value,
}

impl From<Box<ApiError>> for Refused {
    fn from(error: Box<ApiError>) -> Self {
        Self {
            status: error.status,
            body: visible(&error.body()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct AccountLink {
    pub expires_at: i64,
    pub refresh_url: String,
    pub return_url: String,
}

type Answer<T> = std::result::Result<T, Refused>;

impl Fake {
    pub fn now(&self) -> i64 {
        self.world().now
    }

    pub fn seed(&self) -> u64 {
        self.world().seed()
    }

    /// Moves the clock forward; timers that become due run, each at its own time.
    pub fn advance(&self, seconds: u32) {
        let mut world = self.world();
        world.clock.advance(i64::from(seconds));
        catch_up(&mut world);
    }

    pub fn add_fault(&self, fault: Fault) {
        self.world().faults.add(fault);
    }

    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    pub fn faults(&self) -> Vec<Fault> {
        self.world().faults.faults().to_vec()
    }

    /// The object with this id in its present state.
    pub fn object(&self, id: &str) -> Option<Value> {
        self.world().get(id).map(visible)
    }

    /// All objects of a list, such as `payment_intents`, oldest first.
    pub fn all(&self, list: &str) -> Vec<Value> {
        self.world().all(list).map(visible).collect()
    }

    /// The buyer's bank takes the remaining amount of a charge or a payment back.
    pub fn dispute(&self, id: &str, reason: &str, inquiry: bool) -> Answer<Value> {
        self.dispute_part(id, reason, inquiry, i64::MAX)
    }

    /// Like `dispute`, but about at most `most` cents of the charge.
    pub fn dispute_part(&self, id: &str, reason: &str, inquiry: bool, most: i64) -> Answer<Value> {
        let mut world = self.world();
        let object = world.object(id);
        let charge = match object.str("object") {
            "payment_intent" => object.str("latest_charge").to_owned(),
            _ => id.to_owned(),
        };
        if world.object(&charge).str("object") != "charge" {
            return Err(ApiError::not_found("charge", id).into());
        }
        let made = dispute::open_part(&mut world, &charge, reason, inquiry, most);
        let made = made.ok_or_else(|| {
            ApiError::invalid(
                "charge_disputed",
                "There is nothing left of this charge to dispute.",
            )
        })?;
        Ok(visible(world.object(&made)))
    }

    pub fn close_dispute(&self, id: &str, won: bool) -> Answer<Value> {
        self.change_dispute(id, |world, id| dispute::close(world, id, won))
    }

    /// The bank has issued a new card in place of a saved one, with another expiry.
    pub fn renew_card(&self, id: &str, exp_month: i64, exp_year: i64) {
        let mut world = self.world();
        let edit = world.edit(id);
        edit["card"]["exp_month"] = exp_month.into();
        edit["card"]["exp_year"] = exp_year.into();
        event::emit(&mut world, "payment_method.automatically_updated", id);
    }

    /// The bank makes a dispute of an inquiry.
    pub fn escalate_dispute(&self, id: &str) -> Answer<Value> {
        self.change_dispute(id, dispute::escalate)
    }

    /// The card network resolves an open dispute without the bank's decision.
    pub fn prevent_dispute(&self, id: &str) -> Answer<Value> {
        self.change_dispute(id, dispute::prevent)
    }

    fn change_dispute(
        &self,
        id: &str,
        change: impl FnOnce(&mut World, &str) -> crate::error::Result<()>,
    ) -> Answer<Value> {
        let mut world = self.world();
        if world.object(id).str("object") != "dispute" {
            return Err(ApiError::not_found("dispute", id).into());
        }
        change(&mut world, id)?;
        Ok(visible(world.object(id)))
    }

    /// Reports a subscription as past due, whatever has been paid.
    pub fn report_past_due(&self, subscription: &str) {
        let mut world = self.world();
        world.edit(subscription)["status"] = json!("past_due");
        event::emit(&mut world, "customer.subscription.updated", subscription);
    }

    /// The owner of an account completes the onboarding.
    pub fn onboard(&self, account: &str) -> Answer<Value> {
        let mut world = self.world();
        account::get(&world, account)?;
        account::onboarded(&mut world, account);
        Ok(visible(world.object(account)))
    }

    /// The latest onboarding link of an account, if it has this token.
    pub fn account_link(&self, account: &str, token: &str) -> Option<AccountLink> {
        let world = self.world();
        let link = world.get(account)?.get("_link")?;
        (link.str("token") == token).then(|| AccountLink {
            expires_at: link.num("expires_at"),
            refresh_url: link.str("refresh_url").to_owned(),
            return_url: link.str("return_url").to_owned(),
        })
    }

    /// Invalidates the account's link, since a link can be opened only once.
    pub fn spend_account_link(&self, account: &str) {
        self.world().edit(account)["_link"] = Value::Null;
    }

    /// Changes properties of an account: `charges_enabled`, `payouts_enabled`, `details_submitted`, `currently_due`,
    /// `capabilities`, `refused_currencies`.
    pub fn change_account(&self, account: &str, change: &Value) -> Answer<Value> {
        let mut world = self.world();
        account::change(&mut world, account, change)?;
        Ok(visible(world.object(account)))
    }

    /// Sets whether refunds that the balance does not cover are refused.
    pub fn refunds_need_balance(&self, need: bool) {
        self.world().config.refunds_need_balance = need;
    }

    pub fn deauthorize(&self, account: &str) -> Answer<()> {
        Ok(account::deauthorize(&mut self.world(), account)?)
    }

    /// Moves money from a bank to a balance, or, if the amount is negative, from the balance to its bank.
    pub fn move_money(&self, account: Option<&str>, currency: &str, amount: i64) -> Answer<()> {
        let mut world = self.world();
        let holder = account.unwrap_or(PLATFORM);
        if let Some(id) = account {
            account::get(&world, id)?;
        }
        let (from, to, reason) = match amount >= 0 {
            true => (BANK, holder, Reason::TopUp),
            false => (holder, BANK, Reason::Payout),
        };
        world.book(&Move {
            currency,
            from,
            to,
            amount: amount.abs(),
            reason,
            object: holder,
        });
        Ok(())
    }

    /// The buyer enters a card on the payment page, given by its number or its `pm_card_…` name.
    pub fn pay_as_buyer(&self, kind: Intent, id: &str, card: &str) -> Answer<Value> {
        let mut world = self.world();
        let intent = intent(&world, kind, id)?;
        let mut params = match card.starts_with("pm_") {
            true => crate::form::encode(&[("payment_method", card)]),
            false => crate::form::encode(&[
                ("payment_method_data[type]", "card"),
                ("payment_method_data[card][number]", card),
            ]),
        };
        if let Some(back) = intent.maybe("_return_url") {
            params.push('&');
            params.push_str(&crate::form::encode(&[("return_url", back)]));
        }
        let call = buyer(&intent, Params::parse(&params));
        match kind {
            Intent::Payment => payment_flow::confirm(&mut world, &call, id)?,
            Intent::Setup => setup_intent::confirm(&mut world, &call, id)?,
        };
        Ok(visible(world.object(id)))
    }

    /// The buyer passes 3-D Secure, or fails.
    pub fn authenticate(&self, kind: Intent, id: &str, success: bool) -> Answer<Value> {
        let mut world = self.world();
        intent(&world, kind, id)?;
        match kind {
            Intent::Payment => payment_flow::authenticate(&mut world, id, success)?,
            Intent::Setup => setup_intent::authenticate(&mut world, id, success)?,
        }
        Ok(visible(world.object(id)))
    }

    /// Sets the endpoint for events. Several secrets are possible, as during a rotation.
    pub fn set_endpoint(&self, target: Target, endpoint: Option<Endpoint>) {
        let mut world = self.world();
        match target {
            Target::Platform => world.webhooks.platform = endpoint,
            Target::Connect => world.webhooks.connect = endpoint,
        }
    }

    pub fn endpoint(&self, target: Target) -> Option<Endpoint> {
        self.world().webhooks.endpoint(target).cloned()
    }

    pub fn set_mischief(&self, mischief: Mischief) {
        self.world().webhooks.mischief = mischief;
    }

    pub fn mischief(&self) -> Mischief {
        self.world().webhooks.mischief.clone()
    }

    /// The webhooks that are due, with new signatures. The result of each must be reported to
    /// [`Self::webhook_answered`].
    pub fn due_webhooks(&self) -> Vec<Post> {
        let mut world = self.world();
        let now = world.now;
        let due = world.webhooks.take_due(now);
        let post = |delivery: Delivery| {
            let endpoint = world.webhooks.endpoint(delivery.target)?;
            let body = serde_json::to_vec_pretty(&visible(world.object(&delivery.event))).ok()?;
            Some(Post {
                delivery: delivery.id,
                target: delivery.target,
                url: endpoint.url.clone(),
                signature: crate::signature::sign(&endpoint.secrets, now, &body),
                body,
            })
        };
        due.into_iter().filter_map(post).collect()
    }

    /// Reports the status of the endpoint's answer to a webhook. None: there was no answer.
    pub fn webhook_answered(&self, delivery: u64, status: Option<u16>) {
        let mut world = self.world();
        let now = world.now;
        if let Some(event) = world.webhooks.answered(delivery, status, now) {
            world.edit(&event)["pending_webhooks"] = serde_json::json!(0);
        }
    }

    pub fn resend(&self, event: &str) -> Answer<()> {
        let mut world = self.world();
        let found = world.object(event);
        if found.str("object") != "event" {
            return Err(ApiError::not_found("event", event).into());
        }
        let of_account = found.maybe("account").is_some();
        let now = world.now;
        world.webhooks.resend(event, of_account, now);
        Ok(())
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.world().webhooks.deliveries().cloned().collect()
    }

    /// All movements of money, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.world().ledger.entries().to_vec()
    }

    /// The differences between the ledger and the objects. Must be empty.
    pub fn audit(&self) -> Vec<String> {
        crate::audit::run(&self.world())
    }

    /// The balance of the platform, or of an account, as Stripe returns it.
    pub fn balance(&self, account: Option<&str>) -> Answer<Value> {
        let call = Call {
            path: "/v1/balance".to_owned(),
            params: Params::default(),
            account: account.map(str::to_owned),
        };
        Ok(balance::get(&self.world(), &call)?)
    }
}

fn intent(world: &World, kind: Intent, id: &str) -> Result<Value> {
    let name = match kind {
        Intent::Payment => "payment_intent",
        Intent::Setup => "setup_intent",
    };
    let found = world.get(id).filter(|intent| intent.str("object") == name);
    found.cloned().ok_or_else(|| ApiError::not_found(name, id))
}

fn buyer(intent: &Value, params: Params) -> Call {
    Call {
        path: String::new(),
        params,
        account: intent.maybe("_account").map(str::to_owned),
    }
}
