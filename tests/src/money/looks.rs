//! H8: what no event reported is found, however long ago it was and however many other objects never finish.

use super::stage::Stage;
use app::clock::Clock;
use chrono::{TimeDelta, Utc};
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};
use uuid::Uuid;

/// More than the reconciler checks in one run.
const NEVER_ENDING: i64 = 250;

impl Stage {
    /// An order that is paid at the service, without any event about it having arrived.
    async fn paid_unheard(&self) -> String {
        let kind = self.tickets("Seat", 4_500, 10).await;
        let order = self.order(&self.mira, &[(kind, 1)], false).await;
        let order = order.expect(201).id();
        self.pay(&self.mira, &order, json!({})).await.expect(200);
        self.stripe.deliver(&self.server).await;
        let payment = self.payment_of(&order).await;
        let paid = self
            .stripe
            .fake
            .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
        paid.expect("paid");
        order
    }

    /// Marks all due webhooks as delivered although none arrives.
    fn as_if_heard(&self) {
        for post in self.stripe.fake.due_webhooks() {
            self.stripe.fake.webhook_answered(post.delivery, Some(200));
        }
    }

    async fn reconciled(&self) -> kernel::Result<()> {
        let done = self.payments().reconcile_all(Uuid::now_v7()).await;
        self.server.settled().await;
        done
    }
}

#[tokio::test]
async fn t7_events_are_looked_for_since_the_last_look_that_worked() {
    let days = Arc::new(AtomicI64::new(0));
    let ahead = days.clone();
    let stage = Stage::changed(true, |parts| {
        parts.clock = Clock::new(move || Utc::now() + TimeDelta::days(ahead.load(Relaxed)));
    })
    .await;
    stage.reconciled().await.expect("a run");
    let order = stage.paid_unheard().await;
    // For a week the service doesn't answer, so these runs don't count.
    stage.stripe.fake.add_fault(Fault::new(Kind::Away));
    for day in [2, 4, 7] {
        days.store(day, Relaxed);
        assert!(stage.reconciled().await.is_err(), "day {day}");
    }
    stage.stripe.fake.clear_faults();
    assert_eq!(stage.state(&order).await, "pending");
    days.store(8, Relaxed);
    stage.reconciled().await.expect("a run");
    assert_eq!(stage.state(&order).await, "paid");
    stage.books_agree().await;
}

/// Before the first run, everything that the service lists may have been missed.
#[tokio::test]
async fn t7_the_first_look_is_at_all_that_is_listed() {
    let days = Arc::new(AtomicI64::new(0));
    let ahead = days.clone();
    let stage = Stage::changed(true, |parts| {
        parts.clock = Clock::new(move || Utc::now() + TimeDelta::days(ahead.load(Relaxed)));
    })
    .await;
    let order = stage.paid_unheard().await;
    days.store(29, Relaxed);
    stage.reconciled().await.expect("a run");
    assert_eq!(stage.state(&order).await, "paid");
    stage.books_agree().await;
}

#[tokio::test]
async fn h8_what_never_ends_keeps_nothing_else_from_being_looked_at() {
    let stage = Stage::new().await;
    let order = stage.paid_unheard().await;
    // As if the events had been delivered, and lost by this server.
    stage.as_if_heard();
    stage.age().await;
    let mira = stage.mira.id;
    stage
        .run(format!(
            "insert into app.transactions (user_id, type, amount_cents, currency, status, stripe_idempotency_key, created_at)
             select '{mira}', 'service_fee', 100, 'AUD', 'failed', 'never:' || n, now() - interval '1 day'
             from generate_series(1, {NEVER_ENDING}) n"
        ))
        .await;
    stage.reconciled().await.expect("a run");
    stage.reconciled().await.expect("a run");
    assert_eq!(stage.state(&order).await, "paid");
    let looked_at =
        "select count(*) from app.transactions t join app.payment_looks l on l.subject = t.id::text
      where t.stripe_idempotency_key like 'never:%'";
    assert_eq!(stage.number(looked_at).await, NEVER_ENDING);
    stage.books_agree().await;
}

/// An event whose job failed for good or was lost is processed by the reconciler.
#[tokio::test]
async fn h8_an_event_without_a_job_is_worked_on_all_the_same() {
    let stage = Stage::new().await;
    let order = stage.paid_unheard().await;
    stage.as_if_heard();
    let payment = stage.payment_of(&order).await;
    stage
        .run(format!(
            "insert into app.stripe_events (stripe_event_id, type, object_type, object_id, livemode, happened_at)
             values ('evt_left', 'payment_intent.succeeded', 'payment_intent', '{payment}', false, now())"
        ))
        .await;
    stage.reconciled().await.expect("a run");
    assert_eq!(
        stage.state(&order).await,
        "pending",
        "too recent: its job may still run"
    );
    stage
        .run(
            "set session_replication_role = replica;
             update app.stripe_events set created_at = now() - interval '20 minutes' where stripe_event_id = 'evt_left'",
        )
        .await;
    stage.reconciled().await.expect("a run");
    assert_eq!(stage.state(&order).await, "paid");
    let done = "select count(*) from app.stripe_events where stripe_event_id = 'evt_left' and state = 'done'";
    assert_eq!(stage.number(done).await, 1);
    stage.books_agree().await;
}

/// The platform finds out by reading an account that it has lost access to it.
#[tokio::test]
async fn h8_c1_a_host_who_has_disconnected_unheard_sells_nothing() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let fake = &stage.stripe.fake;
    fake.deauthorize(&stage.account).expect("an account");
    stage.as_if_heard();
    let order = async || stage.order(&stage.mira, &[(kind, 1)], false).await;
    stage.reconciled().await.expect("a run");
    // The account was read a moment ago, when it was connected, so it is not read again yet.
    order().await.expect(201);
    stage
        .run(
            "set session_replication_role = replica;
             update app.connected_accounts set synced_at = now() - interval '2 days'",
        )
        .await;
    stage.reconciled().await.expect("a run");
    assert_eq!(order().await.expect(409).problem(), "host-cannot-be-paid");
}
