//! T11: a server whose clock is ten minutes behind or ahead works like others. Time limits depend on the database's
//! clock; only events signed "in the future" or "long ago" are refused, and found later by the reconciler.

use super::{
    controls, holds, kills,
    shop::Shop,
    stage::{Stage, keyed},
    stampede,
};
use crate::support::stripe;
use app::clock::Clock;
use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use serde_json::json;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};
use uuid::Uuid;

/// Minutes by which the clock is wrong: behind, and ahead.
const WRONG: [i64; 2] = [-10, 10];

/// A stage whose clock can be changed.
async fn stage(has_provider: bool) -> (Stage, Arc<AtomicI64>) {
    let minutes = Arc::new(AtomicI64::new(0));
    let wrong = minutes.clone();
    let stage = Stage::changed(has_provider, |parts| {
        // Requests wait for a connection, however slow the machine is.
        parts.db.acquire_timeout = std::time::Duration::from_secs(120);
        parts.clock = Clock::new(move || Utc::now() + TimeDelta::minutes(wrong.load(Relaxed)));
    })
    .await;
    (stage, minutes)
}

impl Stage {
    async fn look_after(&self) {
        let run = self.payments().reconcile_all(Uuid::now_v7()).await;
        run.expect("a run");
        self.server.settled().await;
    }

    /// Rows written with a wrong clock: times in the future, or times that should be later.
    async fn written_wrongly(&self) -> i64 {
        let text = "select (select count(*) from app.connected_accounts where synced_at not between now() - interval '5 minutes' and now())
          + (select count(*) from jobs.queue where name = 'payments.resume'
               and run_at not between created_at + interval '59 s' and created_at + interval '61 s')";
        let mut conn = self.server.superuser().await;
        sqlx::query_scalar(text)
            .fetch_one(&mut conn)
            .await
            .expect("a count")
    }
}

/// One order for each possible outcome, in the order of these outcomes.
async fn a_day(stage: &Stage, card: &str) -> Vec<String> {
    let kind = stage.tickets("Seat", 4_500, 3).await;
    for is_open in [false, true] {
        let change = json!({"payouts_enabled": is_open});
        let fake = &stage.stripe.fake;
        fake.change_account(&stage.account, &change)
            .expect("an account");
    }
    stage.stripe.deliver(&stage.server).await;
    stage.look_after().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
        orders.push(order.expect(201).id());
    }
    let [saved, page, late] = [0, 1, 2].map(|n| orders[n].clone());
    let by_card = json!({"payment_method_id": card});
    stage
        .pay(&stage.mira, &saved, by_card.clone())
        .await
        .expect(200);
    stage.pay(&stage.mira, &page, json!({})).await.expect(200);
    stage.pay(&stage.mira, &late, json!({})).await.expect(200);
    stage.confirm(&page, "4242424242424242").await;
    stage.run_out(&late).await;
    // Another buyer takes the last ticket, which is free according to the database's clock.
    let last = stage.order(&stage.olga, &[(kind, 1)], false).await;
    assert_eq!(
        last.status, 409,
        "the ticket is held until the sweeper runs: {}",
        last.text
    );
    let tickets = &stage.server.built.app.modules.tickets;
    assert_eq!(tickets.expire().await.expect("swept"), 1);
    let last = stage.order(&stage.olga, &[(kind, 1)], false).await;
    orders.push(last.expect(201).id());
    stage.confirm(&late, "4242424242424242").await;
    stage.look_after().await;
    keyed(&stage.olga, &format!("/orders/{saved}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    stage.look_after().await;
    let mut states = Vec::new();
    for order in &orders {
        states.push(stage.state(order).await);
    }
    states
}

#[tokio::test]
async fn t11_a_clock_that_is_wrong_changes_nothing() {
    for minutes in [0, -10, 10] {
        let (stage, clock) = stage(true).await;
        let card = stage.saved(&stage.mira, "4242424242424242").await;
        clock.store(minutes, Relaxed);
        let states = a_day(&stage, &card).await;
        let expected = ["refunded", "paid", "refunded", "pending"];
        assert_eq!(states, expected, "{minutes} minutes");
        assert_eq!(stage.written_wrongly().await, 0, "{minutes} minutes");
        stage.books_agree().await;
    }
}

/// The control: the server's clock is really wrong. An event signed just now is too old or too new for this server
/// only.
#[tokio::test]
async fn t11_notices_which_clock_a_server_has() {
    let (stage, clock) = stage(true).await;
    for (minutes, status) in [(0, 200), (-10, 400), (10, 400), (0, 200)] {
        clock.store(minutes, Relaxed);
        let post = controls::signed(&format!("evt_{minutes}_{status}"), stripe::SECRET);
        let told = stripe::send(&stage.server, &post).await;
        assert_eq!(told, status, "{minutes} minutes");
    }
}

/// T2 with fewer buyers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_the_last_tickets_are_sold_once_by_any_clock() {
    let (stage, clock) = stage(true).await;
    let buyers = stampede::buyers(&stage, 24).await;
    for minutes in WRONG {
        clock.store(minutes, Relaxed);
        let kind = stage.tickets(&format!("At {minutes}"), 2_500, 8).await;
        let told = stampede::rush(&stage, &buyers, kind, 11).await;
        let counts = [StatusCode::CREATED, StatusCode::CONFLICT].map(|status| told.count(status));
        assert_eq!(counts, [8, 16], "{minutes} minutes");
    }
    stage.sound().await;
}

/// T3 with a shorter run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_stock_is_right_at_every_moment_by_any_clock() {
    for minutes in WRONG {
        let (stage, clock) = stage(false).await;
        clock.store(minutes, Relaxed);
        holds::chaos(Arc::new(stage), 1).await;
    }
}

/// T4 with fewer kills: a server with a wrong clock accepts no events, and finds by itself what they would have
/// reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_a_server_that_is_killed_loses_nothing_by_any_clock() {
    for minutes in WRONG {
        let mut shop = Shop::new().await;
        shop.clock_offset_seconds = minutes * 60;
        let program = shop.serve().await;
        assert_eq!(shop.tell("evt_by_another_clock").await, 400);
        drop(program);
        kills::killed(Arc::new(shop), 1).await;
    }
}
