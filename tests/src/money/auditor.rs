//! An external auditor, who compares our books with those of the payment service.
//!
//! Reads only tables and the objects of the service, and uses none of the code that wrote them.

use super::{buyers::Told, shop::Shop};
use serde_json::Value;
use sqlx::Row;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// The longest wait for something that has to end. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);

/// Everything that is not finished yet. Empty: every command has an outcome, and every event has had its effect.
const UNFINISHED: &str = "
  select 'order ' || state || ' ' || id from app.orders where state in ('pending', 'refund_pending')
  union all select 'payment ' || status || ' ' || id from app.transactions
    where status in ('created', 'requires_action', 'processing', 'failed')
  union all select 'refund ' || id from app.refunds where state = 'pending'
  union all select 'transfer ' || state || ' ' || id from app.transfers where state <> 'succeeded'
  union all select 'event ' || state || ' ' || coalesce(error, '') || ' ' || id from app.stripe_events
    where state in ('received', 'parked')
  union all select 'hold ' || h.id from app.wallet_holds h join app.orders o on o.wallet_hold_id = h.id where h.state = 'pending'
  union all select 'job ' || name || ' ' || state || ' ' || coalesce(last_error, '') from jobs.queue
    where split_part(name, '.', 1) in ('payments', 'tickets', 'wallet') and (state <> 'queued' or run_at < now() + interval '1 day')
  union all select 'dispute ' || state || ' ' || id from app.disputes where state not in ('won', 'lost', 'closed')
  union all select 'order of a cancelled event ' || o.id from app.orders o join app.events e on e.id = o.event_id
    where e.state = 'cancelled' and o.state in ('paid', 'part_refunded')
  union all select 'told ' || id from jobs.events where relayed_at is null";

/// Makes time pass: orders expire, delayed retries become due, and periodic jobs run.
const LATER: &str = "
  update app.orders set expires_at = now() where state = 'pending' and expires_at > now();
  update jobs.queue set run_at = now() where state = 'queued' and run_at > now();
  set session_replication_role = replica;
  update app.transactions set created_at = created_at - interval '1 hour'
    where status in ('created', 'requires_action', 'processing', 'failed') and created_at > now() - interval '30 minutes';
  update app.refunds set created_at = created_at - interval '1 hour'
    where state = 'pending' and created_at > now() - interval '30 minutes';
  update app.transfers set updated_at = updated_at - interval '1 hour'
    where state = 'pending' and updated_at > now() - interval '30 minutes';
  reset session_replication_role;
  select jobs.put(name, '{}', now(), 'later', 'keep', null, null, 0, null)
    from unnest(array['tickets.expire', 'tickets.wind_up_all', 'payments.cancel', 'payments.reconcile']) name";

impl Shop {
    /// Waits until nothing is in progress any more, while a server is running.
    pub async fn quiet(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            self.passes(LATER).await;
            self.banks_decide();
            // A delivery that failed is retried by the service according to its own clock.
            self.stripe.fake.advance(60);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let left: Vec<String> = sqlx::query_scalar(UNFINISHED)
                .fetch_all(&self.pool)
                .await
                .expect("what is left");
            if left.is_empty() && self.knows_all_disputes().await {
                return;
            }
            assert!(Instant::now() < until, "not at its end: {left:#?}");
        }
    }

    /// Decides disputes: every second one is lost.
    fn banks_decide(&self) {
        let fake = &self.stripe.fake;
        for (n, dispute) in fake.all("disputes").iter().enumerate() {
            if dispute["status"] == "needs_response" {
                let id = text(dispute, "id");
                fake.close_dispute(&id, n % 2 == 0).expect("a decision");
            }
        }
    }

    async fn knows_all_disputes(&self) -> bool {
        let known = sqlx::query_scalar("select count(*) from app.disputes");
        let known: i64 = known.fetch_one(&self.pool).await.expect("disputes");
        known == self.stripe.fake.all("disputes").len() as i64
    }

    /// Differences between the books. If it isn't empty, a cent or a ticket is lost.
    pub async fn audit(&self, told: &Told) -> Vec<String> {
        let mut wrong = self.faults().await;
        wrong.extend(self.stripe.fake.audit());
        wrong.extend(told.wrong.iter().cloned());
        let ours = self.orders().await;
        payments(
            &self.stripe.fake.all("payment_intents"),
            &self.charges(),
            &ours,
            &mut wrong,
        );
        self.once("refunds", "refund_id", "app.refunds", &mut wrong)
            .await;
        self.once("transfers", "transfer_id", "app.transfers", &mut wrong)
            .await;
        self.sums(&ours, &mut wrong).await;
        remembered(told, &ours, &self.refunds().await, &mut wrong);
        wrong
    }

    fn charges(&self) -> BTreeMap<String, Value> {
        let charges = self.stripe.fake.all("charges").into_iter();
        let captured = charges.filter(|charge| charge["amount_captured"].as_i64() > Some(0));
        captured
            .map(|charge| (text(&charge, "payment_intent"), charge))
            .collect()
    }

    async fn orders(&self) -> BTreeMap<String, Order> {
        let mut events = vec![self.event];
        events.extend(self.doomed.iter().map(|(event, _)| *event));
        let rows = sqlx::query(
            "select o.id::text, o.state, o.card_cents, o.refunded_card_cents, o.organizer_cents,
               case when o.state = 'charged_back' then o.card_cents - o.application_fee_cents else 0 end as lost,
               (select sum(i.quantity)::int8 from app.order_items i where i.order_id = o.id) as wanted,
               (select count(*) from app.tickets k where k.order_id = o.id) as made,
               (select count(*) from app.tickets k where k.order_id = o.id and k.state in ('valid', 'checked_in')) as good,
               (select coalesce(sum(r.organizer_cents), 0)::int8 from app.refunds r
                  where r.order_id = o.id and r.state <> 'failed' and o.paid_at is not null) as given_back,
               array(select t.stripe_payment_intent_id from app.transactions t
                  where t.order_id = o.id and t.status in ('succeeded', 'part_refunded', 'refunded')) as payments
             from app.orders o where o.event_id = any ($1)",
        )
        .bind(&events)
        .fetch_all(&self.pool)
        .await
        .expect("orders");
        let order = |row: &sqlx::postgres::PgRow| {
            let order = Order {
                state: row.get("state"),
                card: row.get("card_cents"),
                refunded_card: row.get("refunded_card_cents"),
                organizer: row.get::<i64, _>("organizer_cents")
                    - row.get::<i64, _>("given_back")
                    - row.get::<i64, _>("lost"),
                wanted: row.get("wanted"),
                made: row.get("made"),
                good: row.get("good"),
                payments: row.get("payments"),
            };
            (row.get("id"), order)
        };
        rows.iter().map(order).collect()
    }

    async fn refunds(&self) -> BTreeSet<String> {
        let ids = sqlx::query_scalar("select id::text from app.refunds").fetch_all(&self.pool);
        ids.await.expect("refunds").into_iter().collect()
    }

    /// Each of our objects must exist at the service exactly once, and none there that isn't ours.
    async fn once(&self, list: &str, id: &str, table: &str, wrong: &mut Vec<String>) {
        let query = match table {
            "app.refunds" => "select id::text from app.refunds",
            _ => "select id::text from app.transfers",
        };
        let known: BTreeSet<String> = sqlx::query_scalar(query)
            .fetch_all(&self.pool)
            .await
            .expect("ids")
            .into_iter()
            .collect();
        let mut seen = BTreeSet::new();
        for object in self.stripe.fake.all(list) {
            // Transfers made as part of a payment have none of our ids.
            let Some(ours) = object["metadata"][id].as_str() else {
                continue;
            };
            if !known.contains(ours) {
                wrong.push(format!("{} is for nothing of ours", text(&object, "id")));
            }
            if object["status"] != "failed" && !seen.insert(ours.to_owned()) {
                wrong.push(format!("{list}: {ours} was made twice"));
            }
        }
    }

    /// I-P, and the balance of the host.
    async fn sums(&self, ours: &BTreeMap<String, Order>, wrong: &mut Vec<String>) {
        let (captured, refunded): (i64, i64) = sqlx::query_as(
            "select coalesce(sum(amount_cents), 0)::int8, coalesce(sum(refunded_cents), 0)::int8 from app.transactions
             where status in ('succeeded', 'part_refunded', 'refunded')",
        )
        .fetch_one(&self.pool)
        .await
        .expect("sums");
        let books = self.stripe.fake.books();
        let theirs = books.get("aud").cloned().unwrap_or_default();
        // The host has nothing of an order that never got its tickets.
        let host: i64 = ours
            .values()
            .filter(|order| order.made > 0)
            .map(|order| order.organizer)
            .sum();
        let has = theirs.accounts.get(&self.account).copied();
        for (what, ours, theirs) in [
            ("captured", captured, theirs.captured),
            ("refunded", refunded, theirs.refunded),
            ("the host's", host, has.unwrap_or_default()),
        ] {
            if ours != theirs {
                wrong.push(format!("{what}: {ours} by our books, {theirs} by theirs"));
            }
        }
    }
}

struct Order {
    state: String,
    card: i64,
    refunded_card: i64,
    /// The host's part, less what the host has given back, and less its part of what banks have taken back from cards.
    organizer: i64,
    wanted: i64,
    made: i64,
    good: i64,
    payments: Vec<String>,
}

/// Each payment that succeeded at the service must have bought the tickets of exactly one of our orders, or have been
/// refunded.
fn payments(
    intents: &[Value],
    charges: &BTreeMap<String, Value>,
    ours: &BTreeMap<String, Order>,
    wrong: &mut Vec<String>,
) {
    let mut paid: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for intent in intents {
        let (id, status) = (text(intent, "id"), text(intent, "status"));
        match (status.as_str(), intent["metadata"]["order_id"].as_str()) {
            ("succeeded", Some(order)) => paid.entry(order).or_default().push(id),
            ("canceled", _) => {}
            (_, None) => wrong.push(format!("{id} is for no order")),
            _ => wrong.push(format!("{id} is {status} in the end")),
        }
    }
    for (order, payments) in &paid {
        match ours.get(*order) {
            None => wrong.push(format!(
                "{payments:?} of an order that nobody knows: {order}"
            )),
            Some(ours) if ours.payments != *payments => wrong.push(format!(
                "order {order} is paid by {payments:?}, and {:?} by our books",
                ours.payments
            )),
            Some(_) => {}
        }
    }
    for (id, order) in ours {
        let charge = order
            .payments
            .first()
            .and_then(|payment| charges.get(payment));
        if !order.payments.is_empty() && !paid.contains_key(id.as_str()) {
            wrong.push(format!("order {id} is paid by our books alone"));
        }
        if let Some(why) = order.differs(charge) {
            let state = &order.state;
            wrong.push(format!("order {id} is {state}: {why}"));
        }
    }
}

impl Order {
    fn differs(&self, charge: Option<&Value>) -> Option<String> {
        let cents = |name: &str| charge.map_or(0, |charge| charge[name].as_i64().unwrap_or(0));
        let (captured, refunded) = (cents("amount_captured"), cents("amount_refunded"));
        let is_paid = ["paid", "part_refunded", "refunded", "charged_back"];
        let is_paid = is_paid.contains(&self.state.as_str());
        let expected = if is_paid { self.card } else { 0 };
        let tickets_fit = match self.state.as_str() {
            "paid" => self.good == self.wanted && self.made == self.wanted,
            "part_refunded" => self.made == self.wanted && (1..self.wanted).contains(&self.good),
            "refunded" | "charged_back" => {
                self.good == 0 && (self.made == self.wanted || self.made == 0)
            }
            _ => self.made == 0,
        };
        if captured != expected {
            return Some(format!(
                "{expected} is due by card and {captured} was taken"
            ));
        }
        if refunded != self.refunded_card {
            return Some(format!(
                "{} went back by our books, {refunded} by theirs",
                self.refunded_card
            ));
        }
        if self.made == 0 && refunded != captured && self.state != "charged_back" {
            return Some(format!(
                "{captured} was taken for nothing and {refunded} went back"
            ));
        }
        (!tickets_fit).then(|| {
            let (good, made, wanted) = (self.good, self.made, self.wanted);
            format!("{good} good tickets of {made} made for {wanted}")
        })
    }
}

/// Whatever a client was told must still be true.
fn remembered(
    told: &Told,
    ours: &BTreeMap<String, Order>,
    refunds: &BTreeSet<String>,
    wrong: &mut Vec<String>,
) {
    for order in &told.placed {
        if !ours.contains_key(order) {
            wrong.push(format!("order {order} was told of and is not there"));
        }
    }
    for order in &told.paid {
        if ours.get(order).is_some_and(|order| order.made == 0) {
            wrong.push(format!(
                "order {order} was told to be paid and has no tickets"
            ));
        }
    }
    for refund in told.refunds.difference(refunds) {
        wrong.push(format!("refund {refund} was told of and is not there"));
    }
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}
