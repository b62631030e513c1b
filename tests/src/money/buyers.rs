//! Buyers who order over HTTP, pay, dispute, change their mind and request refunds, also for events that are cancelled
//! meanwhile. They continue while the server is down: a request without an answer is sent again with the same key, as
//! the API tells clients to do.

use super::shop::{BUYERS, PROMO_CODES, Person, Shop};
use crate::support::Answer;
use axum::http::Method;
use fake_stripe::Intent;
use fastrand::Rng;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The number of orders that a buyer keeps; after that they give one back for each that they buy.
const KEPT: usize = 6;

/// What buyers were told. After any crash, the server must still know it.
#[derive(Default)]
pub struct Told {
    pub placed: BTreeSet<String>,
    pub paid: BTreeSet<String>,
    pub refunds: BTreeSet<String>,
    /// Answers that no client should ever get.
    pub wrong: Vec<String>,
    /// Requests without an answer, or answered that the server is unavailable.
    pub unanswered: usize,
}

pub struct Crowd {
    shop: Arc<Shop>,
    over: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    pub fn enter(shop: &Arc<Shop>, seed: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::new(Mutex::new(Told::default()));
        let tasks = (0..BUYERS).map(|number| {
            let buyer = Buyer {
                shop: shop.clone(),
                number,
                random: Rng::with_seed(seed.wrapping_add(number as u64)),
                kept: Vec::new(),
                over: over.clone(),
                told: told.clone(),
            };
            tokio::spawn(buyer.live())
        });
        let mut tasks: Vec<JoinHandle<()>> = tasks.collect();
        let organiser = Organiser {
            shop: shop.clone(),
            random: Rng::with_seed(seed),
            over: over.clone(),
            told: told.clone(),
        };
        tasks.push(tokio::spawn(organiser.call_off()));
        Self {
            shop: shop.clone(),
            tasks,
            over,
            told,
        }
    }

    pub fn paid(&self) -> usize {
        self.told.lock().expect("told").paid.len()
    }

    /// Lets every buyer finish their current request, which requires a running server, and stops them.
    pub async fn leave(self) -> Told {
        self.over.store(true, Ordering::Relaxed);
        while self.tasks.iter().any(|task| !task.is_finished()) {
            self.shop.claims_end(15).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for task in self.tasks {
            task.await.expect("a buyer");
        }
        std::mem::take(&mut *self.told.lock().expect("told"))
    }
}

/// An organiser who cancels one event after the other.
struct Organiser {
    shop: Arc<Shop>,
    random: Rng,
    over: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
}

impl Organiser {
    async fn call_off(mut self) {
        let shop = self.shop.clone();
        for (event, _) in &shop.doomed {
            for _ in 0..self.random.u8(20..60) {
                if self.over.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            self.cancel(*event).await;
        }
    }

    /// Repeats the request until it is answered; a repetition may find the event cancelled already.
    async fn cancel(&self, event: Uuid) {
        let path = format!("/events/{event}/cancel");
        let body = json!({"reason": "The hall is under water."}).to_string();
        let headers = [("content-type", "application/json")];
        loop {
            let client = self.shop.client(&self.shop.organiser);
            let sent = client
                .try_send(Method::POST, &path, body.clone().into_bytes(), &headers)
                .await;
            match sent {
                Ok(answer) if answer.status == 200 || answer.status == 409 => return,
                Ok(answer) if answer.status != 503 => {
                    let text = format!("cancelling: {} {}", answer.status, answer.text);
                    self.told.lock().expect("told").wrong.push(text);
                    return;
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

struct Buyer {
    shop: Arc<Shop>,
    number: usize,
    random: Rng,
    kept: Vec<String>,
    over: Arc<AtomicBool>,
    told: Arc<Mutex<Told>>,
}

impl Buyer {
    async fn live(mut self) {
        while !self.over.load(Ordering::Relaxed) {
            self.buy().await;
            if self.kept.len() > KEPT {
                let order = self.kept.remove(0);
                self.give_back(&order).await;
            }
        }
    }

    fn me(&self) -> &Person {
        &self.shop.buyers[self.number]
    }

    async fn buy(&mut self) {
        if self.random.u8(0..6) == 0 {
            return self.buy_of_a_doomed_event().await;
        }
        let [few, many] = self.shop.kinds;
        let items = match self.random.u8(0..3) {
            0 => json!([{"ticket_type_id": few, "quantity": self.random.i32(1..4)}]),
            1 => json!([{"ticket_type_id": many, "quantity": self.random.i32(1..4)}]),
            _ => {
                json!([{"ticket_type_id": many, "quantity": 1}, {"ticket_type_id": few, "quantity": 1}])
            }
        };
        let mut cart = json!({"event_id": self.shop.event, "items": items});
        if self.random.bool() {
            cart["use_credits"] = json!(true);
            // Limited, so that the rest is never too small for a card.
            cart["credits_max_cents"] = json!(1_000);
        }
        if self.random.u8(0..3) == 0 {
            let (code, _) = PROMO_CODES[self.random.usize(..PROMO_CODES.len())];
            cart["promo_code"] = json!(code);
        }
        let Some(order) = self.place(cart).await else {
            return;
        };
        match self.random.u8(0..10) {
            0 => return,
            1 => {
                let cancelled = self
                    .keyed(self.me(), &format!("/orders/{order}/cancel"), json!({}))
                    .await;
                return self.expect(&cancelled, &[200, 409]);
            }
            2 => self.run_out(&order).await,
            // The bank decides about the payment, so the buyer requests nothing else.
            3 => return self.pay_and_dispute(&order).await,
            4..=5 => self.pay_on_page(&order).await,
            _ => self.pay_by_saved_card(&order).await,
        }
        self.kept.push(order);
    }

    async fn place(&self, cart: Value) -> Option<String> {
        let placed = self.keyed(self.me(), "/orders", cart).await;
        if placed.status != 201 {
            self.expect(&placed, &[409]);
            return None;
        }
        let order = placed.id();
        self.tell(|told| told.placed.insert(order.clone()));
        Some(order)
    }

    /// Buys tickets of an event that is cancelled at some time: before the order, during it or later.
    async fn buy_of_a_doomed_event(&mut self) {
        let (event, kind) = self.shop.doomed[self.random.usize(..self.shop.doomed.len())];
        let items = json!([{"ticket_type_id": kind, "quantity": self.random.i32(1..3)}]);
        let mut cart = json!({"event_id": event, "items": items});
        if self.random.bool() {
            cart["use_credits"] = json!(true);
            cart["credits_max_cents"] = json!(1_000);
        }
        let Some(order) = self.place(cart).await else {
            return;
        };
        match self.random.bool() {
            true => self.pay_by_saved_card(&order).await,
            false => self.pay_on_page(&order).await,
        }
        self.kept.push(order);
    }

    async fn pay_and_dispute(&mut self, order: &str) {
        let begun = self.pay(order, json!({})).await;
        self.confirm(&begun, "4000000000000259");
    }

    async fn pay_by_saved_card(&mut self, order: &str) {
        let body = json!({"payment_method_id": self.me().card});
        self.pay(order, body).await;
    }

    /// Begins the payment in time and makes it after the order has expired.
    async fn run_out(&mut self, order: &str) {
        let begun = self.pay(order, json!({})).await;
        let text = "update app.orders set expires_at = now() where id = $1::text::uuid and state = 'pending'";
        // Fails if PostgreSQL is down at this moment, which is allowed.
        let _ = sqlx::query(text).bind(order).execute(&self.shop.pool).await;
        self.confirm(&begun, "4242424242424242");
    }

    async fn pay_on_page(&mut self, order: &str) {
        let begun = self.pay(order, json!({})).await;
        let cards = ["4242424242424242", "4000000000000002", "4000002500003155"];
        let card = cards[self.random.usize(..cards.len())];
        self.confirm(&begun, card);
    }

    /// Pays as the buyer's browser would on the service's page.
    fn confirm(&mut self, begun: &Answer, card: &str) {
        let page = begun.json["page_url"].as_str().unwrap_or_default();
        let Some(payment) = page.rsplit('/').next().filter(|id| !id.is_empty()) else {
            return;
        };
        let fake = &self.shop.stripe.fake;
        // A declined card is a possible outcome too.
        if let Ok(payment) = fake.pay_as_buyer(Intent::Payment, payment, card)
            && payment["status"] == "requires_action"
        {
            let id = payment["id"].as_str().expect("an id");
            let _ = fake.authenticate(Intent::Payment, id, self.random.u8(0..4) > 0);
        }
    }

    async fn pay(&mut self, order: &str, body: Value) -> Answer {
        let paid = self
            .keyed(self.me(), &format!("/orders/{order}/payments"), body)
            .await;
        self.expect(&paid, &[200, 402, 409, 503]);
        if paid.status == 200 && paid.json["order_state"] == "paid" {
            self.tell(|told| told.paid.insert(order.to_owned()));
        }
        paid
    }

    /// Refunds an order: by the organiser to the card, or by the buyer in time, to the card or as credits.
    async fn give_back(&mut self, order: &str) {
        let (by_organiser, kind) = (self.random.bool(), self.random.u8(0..3));
        let by = match by_organiser {
            true => &self.shop.organiser,
            false => self.me(),
        };
        let body = match (by_organiser, kind) {
            (false, 0) => json!({"to": "wallet"}),
            _ => json!({}),
        };
        let path = format!("/orders/{order}/refunds");
        let given = self.keyed(by, &path, body).await;
        self.expect(&given, &[201, 409, 422]);
        if given.status == 201 {
            self.tell(|told| told.refunds.insert(given.id()));
        }
    }

    /// Repeats a request with the same key until there is a final answer. A payment whose outcome is unknown is
    /// requested a few times and then left to the server.
    async fn keyed(&self, by: &Person, path: &str, body: Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let body = body.to_string().into_bytes();
        let mut away = 0;
        loop {
            let client = self.shop.client(by);
            let headers = [
                ("idempotency-key", key.as_str()),
                ("content-type", "application/json"),
            ];
            let sent = client
                .try_send(Method::POST, path, body.clone(), &headers)
                .await;
            if let Ok(answer) = sent {
                match answer.problem() {
                    "request-in-progress" => {}
                    "payment-provider-unavailable" if away < 3 => away += 1,
                    "payment-provider-unavailable" => return answer,
                    _ if answer.status == 503 => {}
                    _ => return answer,
                }
            }
            self.tell(|told| told.unanswered += 1);
            tokio::time::sleep(Duration::from_millis(fastrand::u64(50..250))).await;
        }
    }

    fn expect(&self, answer: &Answer, statuses: &[u16]) {
        if !statuses.contains(&answer.status.as_u16()) {
            let text = format!("{} {}", answer.status, answer.text);
            self.tell(|told| told.wrong.push(text));
        }
    }

    fn tell<T>(&self, what: impl FnOnce(&mut Told) -> T) {
        what(&mut self.told.lock().expect("told"));
    }
}
