//! T6 and T7 on a large scale: many orders while three in ten calls fail, and events that come up to five times, in
//! any order, days later or never. In the end, our books must agree with the payment service's own objects.

use super::stage::{Stage, keyed_by};
use crate::support::Member;
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
    webhook::Mischief,
};
use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Row;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

const DAY: u32 = 86_400;

/// The rate of each kind of fault per thousand calls; all kinds together affect three calls in ten.
const PER_MILLE: u32 = 44;

/// The number of orders of one buyer between two deliveries of events.
const AT_ONCE: usize = 3;

/// The size of a run: `few` in `script/test`, or the value of the variable `name` in `script/soak`.
fn wanted(name: &str, few: usize) -> usize {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// A stage on which requests wait for a connection, however slow the machine is.
async fn stage() -> Stage {
    Stage::changed(true, |parts| {
        parts.db.acquire_timeout = Duration::from_secs(120);
        parts.http.handler_timeout = Duration::from_secs(120);
    })
    .await
}

/// The last thing that a buyer was told about the payment of an order.
struct Shown {
    order: String,
    has_failed: bool,
}

/// Orders a ticket and pays with a saved card. Without a final answer, the request is repeated with the same key, as
/// clients do.
async fn buy(stage: &Stage, buyer: &Member, card: &str, kind: Uuid) -> Shown {
    let order = stage.order(buyer, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let (path, key) = (
        format!("/orders/{order}/payments"),
        Uuid::now_v7().to_string(),
    );
    let mut has_failed = false;
    for _ in 0..4 {
        let told = keyed_by(buyer, &path, &key, json!({"payment_method_id": card})).await;
        let state = told.json["status"].as_str().unwrap_or_default();
        has_failed = told.status == 402 || ["failed", "cancelled"].contains(&state);
        if told.status != 503 {
            break;
        }
        // While a delayed answer is outstanding, its key is in use.
        stage.stripe.fake.advance(31);
    }
    Shown { order, has_failed }
}

impl Stage {
    fn three_calls_in_ten_go_wrong(&self) {
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Away) {
            let mut fault = Fault::new(kind);
            fault.per_mille = Some(PER_MILLE);
            self.stripe.fake.add_fault(fault);
        }
    }

    /// Runs the reconciler, and makes delayed retries due.
    async fn cycle(&self) {
        self.age().await;
        let again = "update jobs.queue set run_at = now()
           where state = 'queued' and run_at > now() and split_part(name, '.', 1) in ('payments', 'tickets')";
        sqlx::raw_sql(again)
            .execute(&mut self.server.superuser().await)
            .await
            .expect("sooner");
        let run = self.payments().reconcile_all(Uuid::now_v7()).await;
        run.expect("a run");
        self.stripe.deliver(&self.server).await;
    }

    /// How many times the service has charged for each order.
    fn charged(&self) -> BTreeMap<String, usize> {
        let intents = self.stripe.fake.all("payment_intents").into_iter();
        let order = |intent: Value| {
            let order = intent["metadata"]["order_id"].as_str()?.to_owned();
            Some((intent["id"].as_str()?.to_owned(), order))
        };
        let orders: BTreeMap<String, String> = intents.filter_map(order).collect();
        let mut counts = BTreeMap::new();
        for charge in self.stripe.fake.all("charges") {
            let payment = charge["payment_intent"].as_str().unwrap_or_default();
            if charge["amount_captured"].as_i64() > Some(0)
                && let Some(order) = orders.get(payment)
            {
                *counts.entry(order.clone()).or_insert(0) += 1;
            }
        }
        counts
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_nobody_is_charged_twice_or_for_nothing_while_three_calls_in_ten_go_wrong() {
    let orders = wanted("T6_ORDERS", 36);
    let stage = stage().await;
    let kind = stage.tickets("Seat", 4_500, 100_000).await;
    let mut buyers = Vec::new();
    for n in 0..orders.div_ceil(50).clamp(4, 40) {
        let buyer = stage.server.member(&format!("unlucky_{n}")).await;
        let card = stage.saved(&buyer, "4242424242424242").await;
        buyers.push((buyer, card));
    }
    stage.three_calls_in_ten_go_wrong();
    let mut shown = Vec::new();
    while shown.len() < orders {
        let (stage, left) = (&stage, orders - shown.len());
        let round = buyers.iter().map(|(buyer, card)| async move {
            let mut shown = Vec::new();
            for _ in 0..AT_ONCE.min(left) {
                shown.push(buy(stage, buyer, card, kind).await);
            }
            shown
        });
        shown.extend(join_all(round).await.into_iter().flatten());
        // The server also reads events while calls fail.
        stage.stripe.deliver(&stage.server).await;
    }
    stage.stripe.fake.clear_faults();
    stage.stripe.fake.advance(31);
    for _ in 0..2 {
        stage.cycle().await;
    }
    let charged = stage.charged();
    let twice: Vec<_> = charged.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "charged twice: {twice:?}");
    let (mut lost, mut shown_failed) = (Vec::new(), Vec::new());
    for one in &shown {
        let is_charged = charged.contains_key(&one.order);
        let state = stage.state(&one.order).await;
        if is_charged != (state == "paid") {
            lost.push((&one.order, state));
        }
        if is_charged && one.has_failed {
            shown_failed.push(&one.order);
        }
    }
    assert!(lost.is_empty(), "charged and not paid for: {lost:?}");
    assert!(
        shown_failed.is_empty(),
        "charged and shown as failed: {shown_failed:?}"
    );
    println!("{} orders, {} charged", shown.len(), charged.len());
    assert!(charged.len() * 2 > shown.len(), "most are paid in the end");
    stage.books_agree().await;
}

/// The status that our books should have, according to the service's objects, and the refunded amount.
fn oracle(intent: &Value, charges: &BTreeMap<String, Value>) -> (BTreeSet<&'static str>, i64) {
    let id = intent["id"].as_str().unwrap_or_default();
    let (amount, refunded) = charges.get(id).map_or((0, 0), |charge| {
        let cents = |name: &str| charge[name].as_i64().unwrap_or(0);
        (cents("amount_captured"), cents("amount_refunded"))
    });
    let words: &[&str] = match intent["status"].as_str().unwrap_or_default() {
        "succeeded" if refunded == 0 => &["succeeded"],
        "succeeded" if refunded < amount => &["part_refunded"],
        "succeeded" => &["refunded"],
        "canceled" => &["cancelled"],
        "requires_action" => &["requires_action"],
        "processing" => &["processing"],
        // Whether a card was declined before makes no difference to what can be done.
        _ => &["created", "failed"],
    };
    (words.iter().copied().collect(), refunded)
}

impl Stage {
    /// Where our books differ from the service's objects.
    async fn differs_from_the_oracle(&self) -> Vec<String> {
        let fake = &self.stripe.fake;
        let captured = |charge: &Value| charge["amount_captured"].as_i64() > Some(0);
        let charges = fake.all("charges").into_iter().filter(captured);
        let charges: BTreeMap<String, Value> = charges
            .map(|charge| {
                let payment = charge["payment_intent"].as_str().unwrap_or_default();
                (payment.to_owned(), charge)
            })
            .collect();
        let mut conn = self.server.superuser().await;
        let mut wrong = Vec::new();
        for intent in fake.all("payment_intents") {
            let id = intent["id"].as_str().unwrap_or_default();
            let row = sqlx::query(
                "select status, refunded_cents from app.transactions where stripe_payment_intent_id = $1",
            )
            .bind(id)
            .fetch_one(&mut conn)
            .await
            .expect("a payment of ours");
            let (status, refunded): (String, i64) = (row.get("status"), row.get("refunded_cents"));
            let (words, back) = oracle(&intent, &charges);
            if !words.contains(status.as_str()) || refunded != back {
                wrong.push(format!("{id}: {status} {refunded}, {words:?} {back}"));
            }
        }
        let disputes: BTreeMap<String, String> =
            sqlx::query_as("select stripe_dispute_id, state from app.disputes")
                .fetch_all(&mut conn)
                .await
                .expect("disputes")
                .into_iter()
                .collect();
        for dispute in fake.all("disputes") {
            let id = dispute["id"].as_str().unwrap_or_default();
            let state = dispute["status"].as_str().unwrap_or_default();
            let ours = disputes.get(id).map_or("not known", String::as_str);
            if ours != state {
                wrong.push(format!("{id}: {ours}, {state}"));
            }
        }
        wrong
    }

    /// Events of every kind happen, and some payments are refunded; no event is delivered yet.
    async fn a_mixed_week(&self, objects: usize, card: &str, random: &mut Rng) {
        let mut kind = Uuid::nil();
        let cards = [
            "4242424242424242",
            "4000000000000002",
            "4000000000000259",
            "4000002500003155",
        ];
        for n in 0..objects {
            if n % 100 == 0 {
                // The limit per person of one type is used up.
                let name = format!("Seat {}", Uuid::now_v7());
                kind = self.tickets(&name, 4_500, 1_000).await;
            }
            let buyer = [&self.mira, &self.olga][n % 2];
            let order = self.order(buyer, &[(kind, 1)], false).await;
            let order = order.expect(201).id();
            if n % 2 == 0 {
                let body = json!({"payment_method_id": card});
                self.pay(buyer, &order, body).await.expect(200);
                if random.bool() {
                    let path = format!("/orders/{order}/refunds");
                    let key = Uuid::now_v7().to_string();
                    let given = keyed_by(&self.olga, &path, &key, json!({})).await;
                    given.expect(201);
                }
                continue;
            }
            self.pay(buyer, &order, json!({})).await.expect(200);
            let payment = self.payment_of(&order).await;
            let fake = &self.stripe.fake;
            let given = match n {
                1 => cards[0],
                _ => cards[random.usize(..cards.len())],
            };
            // A declined card is a possible outcome too.
            if let Ok(payment) = fake.pay_as_buyer(Intent::Payment, &payment, given)
                && payment["status"] == "requires_action"
            {
                let id = payment["id"].as_str().expect("an id");
                let _ = fake.authenticate(Intent::Payment, id, random.bool());
            }
        }
        self.server.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t7_days_of_events_in_any_order_come_to_what_the_service_says() {
    let objects = wanted("T7_OBJECTS", 16);
    let first = super::seed();
    for seed in (0..wanted("SEEDS", 1) as u64).map(|n| first.wrapping_add(n)) {
        let stage = Stage::at(crate::support::stripe::Stripe::new(seed), true, |_| {}).await;
        let card = stage.saved(&stage.mira, "4242424242424242").await;
        stage.stripe.deliver(&stage.server).await;
        stage.stripe.fake.set_mischief(Mischief {
            copies: 5,
            delay_seconds: 0,
            shuffle_seconds: 4 * DAY,
            drop_per_mille: 200,
            hold: false,
        });
        let mut random = Rng::with_seed(seed);
        stage.a_mixed_week(objects, &card, &mut random).await;
        // The negative control: before events are delivered, our books differ.
        let untold = stage.differs_from_the_oracle().await;
        assert!(!untold.is_empty(), "{seed}: nothing has happened");
        for _ in 0..33 {
            stage.stripe.fake.advance(DAY / 8);
            stage.stripe.deliver(&stage.server).await;
        }
        let missing = stage.differs_from_the_oracle().await.len();
        for _ in 0..2 {
            stage.cycle().await;
        }
        let wrong = stage.differs_from_the_oracle().await;
        println!("{seed}: {objects} objects, {missing} differed before the reconciler came");
        assert_eq!(wrong, Vec::<String>::new(), "{seed}");
        stage.sound().await;
    }
}
