//! Orders, plans, featured places and offers of the demonstration, made through the API as people would make them,
//! with cards of a fake Stripe that sends its events to the running server.
//!
//! Nothing is inserted into tables. Does nothing if somebody has already ordered by card.

mod market;

use super::{
    api::{Api, list},
    demo::PEOPLE,
};
use anyhow::{Context, Result, bail, ensure};
use app::App;
use axum::Router;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// The server usually processes an event within a moment; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of tickets that an event must have left.
const ROOM: i64 = 10;

/// In the order of [`PEOPLE`].
const PAULA: usize = 0;
const CARLO: usize = 1;
const OLGA: usize = 2;
const BINH: usize = 3;
const MIRA: usize = 4;
const PRIYA: usize = 5;

struct Trade {
    api: Api,
    fake: Url,
    http: reqwest::Client,
}

/// `stripe` is the address of the fake. Returns whether anything was made.
pub async fn make(app: &App, router: Router, stripe: &Url) -> Result<bool> {
    let is_here = stripe.host_str() == Some("127.0.0.1") && stripe.scheme() == "http";
    ensure!(
        is_here,
        "the demonstration's payments are for a fake of Stripe on this machine, and STRIPE_URL is {stripe}"
    );
    let trade = Trade {
        api: Api::of_everybody(app, router).await?,
        fake: stripe.clone(),
        http: reqwest::Client::builder().no_proxy().build()?,
    };
    let before = trade.get(MIRA, "/transactions?limit=1").await?;
    if !list(&before).is_empty() {
        return Ok(false);
    }
    trade.run().await?;
    // Adds up the revenue shares of cities, as the worker does every hour.
    let payments = &app.modules.payments;
    payments.accrue_shares(Uuid::now_v7()).await?;
    Ok(true)
}

impl Trade {
    async fn run(&self) -> Result<()> {
        let (event, kind) = self.event().await?;
        self.onboard(&event).await?;
        // The part paid with credits is transferred from the platform's balance.
        let balance = json!({"currency": "aud", "amount": 1_000_000});
        self.fake("balance", balance).await?;
        let budget = json!({"amount_cents": 100_000, "reference": "Welcome credits"});
        self.send(PAULA, "/wallet/budgets/AUD/fundings", budget)
            .await?;
        let mira = self.get(MIRA, "/me").await?;
        let credits = json!({"user_id": mira["id"], "kind": "event_credit", "amount_cents": 1000, "currency": "AUD",
            "reference": "Welcome"});
        self.send(PAULA, "/wallet/credits", credits).await?;

        // By card and credits, one of them refunded later; by another card and refunded; disputed; declined.
        let order = self.order(MIRA, &event, &kind, 2).await?;
        let card = self.card(MIRA, "4242424242424242").await?;
        self.pay(MIRA, &order, json!({"payment_method_id": card}))
            .await?;
        let tickets = self.get(MIRA, &format!("/orders/{order}/tickets")).await?;
        let one = json!({"ticket_ids": [tickets["data"][0]["id"]]});
        self.send(OLGA, &format!("/orders/{order}/refunds"), one)
            .await?;

        let order = self.order(CARLO, &event, &kind, 1).await?;
        self.confirm(CARLO, &order, "5555555555554444").await?;
        self.until(CARLO, &order, "paid").await?;
        self.send(OLGA, &format!("/orders/{order}/refunds"), json!({}))
            .await?;
        self.until(CARLO, &order, "refunded").await?;

        let order = self.order(BINH, &event, &kind, 1).await?;
        self.confirm(BINH, &order, "4000000000000259").await?;
        self.until(BINH, &order, "paid").await?;

        let order = self.order(PRIYA, &event, &kind, 1).await?;
        self.confirm(PRIYA, &order, "4000000000009995").await?;
        self.market(&event, &kind).await
    }

    /// One of Olga's events that sells tickets for money, and the ticket type.
    async fn event(&self) -> Result<(Value, String)> {
        let cities = self.get(OLGA, "/cities?slug=melbourne").await?;
        let city = cities["data"][0]["id"].as_str().context("Melbourne")?;
        let events = self
            .get(
                OLGA,
                &format!("/events?city_id={city}&host_type=organization&state=published&limit=100"),
            )
            .await?;
        for event in list(&events) {
            let id = event["id"].as_str().unwrap_or_default();
            // Lists do not contain what the caller may do, but single objects do.
            let one = self.get(OLGA, &format!("/events/{id}")).await?;
            let may = one["allowed_actions"].as_array();
            if !may.is_some_and(|actions| actions.iter().any(|action| action == "update")) {
                continue;
            }
            let kinds = self
                .get(OLGA, &format!("/events/{id}/ticket-types"))
                .await?;
            // Some of the demonstration's events are sold out.
            let room = |of: &Value, taken: i64| {
                of["capacity"]
                    .as_i64()
                    .is_none_or(|all| all - taken >= ROOM)
            };
            let count = |of: &Value, name: &str| of[name].as_i64().unwrap_or_default();
            let dear = list(&kinds).iter().find(|kind| {
                count(kind, "price_cents") > 500
                    && room(kind, count(kind, "held") + count(kind, "sold"))
                    && room(event, count(event, "ticket_count"))
            });
            if let Some(kind) = dear.and_then(|kind| kind["id"].as_str()) {
                return Ok((event.clone(), kind.to_owned()));
            }
        }
        bail!(
            "no event of {} sells tickets for money",
            PEOPLE[OLGA].handle
        )
    }

    async fn onboard(&self, event: &Value) -> Result<()> {
        let host = event["host_id"].as_str().context("a host")?;
        let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
        let path = format!("/organizations/{host}/onboarding");
        let begun = self.send(OLGA, &path, body).await?;
        let id = begun["connected_account_id"]
            .as_str()
            .context("an account")?;
        let path = format!("/connected-accounts/{id}");
        let account = self.get(OLGA, &path).await?;
        let account = account["stripe_account_id"]
            .as_str()
            .context("an account")?;
        self.fake(&format!("accounts/{account}/onboard"), json!({}))
            .await?;
        self.wait(OLGA, &path, |account| account["is_ready"] == true)
            .await
    }

    async fn order(
        &self,
        buyer: usize,
        event: &Value,
        kind: &str,
        quantity: u32,
    ) -> Result<String> {
        let cart = json!({"event_id": event["id"], "use_credits": true,
            "items": [{"ticket_type_id": kind, "quantity": quantity}]});
        let placed = self.send(buyer, "/orders", cart).await?;
        Ok(placed["id"].as_str().context("an order")?.to_owned())
    }

    async fn pay(&self, buyer: usize, order: &str, body: Value) -> Result<Value> {
        self.send(buyer, &format!("/orders/{order}/payments"), body)
            .await
    }

    /// Pays as the buyer's browser would, with a card that is not saved.
    async fn confirm(&self, buyer: usize, order: &str, card: &str) -> Result<()> {
        let begun = self.pay(buyer, order, json!({})).await?;
        let secret = begun["client_secret"].as_str().context("a payment")?;
        let id = secret.split("_secret").next().unwrap_or_default();
        let path = format!("payment_intents/{id}/confirm");
        // A declined card is a valid outcome too.
        self.ask_fake(&path, json!({"card": card})).await.map(drop)
    }

    async fn card(&self, member: usize, number: &str) -> Result<String> {
        let begun = self
            .send(member, "/payment-methods/setups", Value::Null)
            .await?;
        let secret = begun["client_secret"].as_str().context("a setup")?;
        let id = secret.split("_secret").next().unwrap_or_default();
        self.fake(
            &format!("setup_intents/{id}/confirm"),
            json!({"card": number}),
        )
        .await?;
        self.wait(member, "/payment-methods", |cards| !list(cards).is_empty())
            .await?;
        let cards = self.get(member, "/payment-methods").await?;
        Ok(list(&cards)[0]["id"].as_str().context("a card")?.to_owned())
    }

    async fn until(&self, member: usize, order: &str, state: &'static str) -> Result<()> {
        self.wait(member, &format!("/orders/{order}"), |order| {
            order["state"] == state
        })
        .await
    }

    async fn wait(&self, member: usize, path: &str, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let began = tokio::time::Instant::now();
        while !is_so(&self.get(member, path).await?) {
            ensure!(
                began.elapsed() < PATIENCE,
                "{path} is not as it should be after {} seconds: does the server run, with a worker?",
                PATIENCE.as_secs()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn get(&self, member: usize, path: &str) -> Result<Value> {
        self.api.get(member, path).await
    }

    async fn send(&self, member: usize, path: &str, body: Value) -> Result<Value> {
        self.api.send(member, path, body).await
    }

    async fn fake(&self, path: &str, body: Value) -> Result<()> {
        let (status, text) = self.ask_fake(path, body).await?;
        ensure!(status == 200, "the fake of Stripe: {path}: {status} {text}");
        Ok(())
    }

    async fn ask_fake(&self, path: &str, body: Value) -> Result<(u16, String)> {
        let url = self.fake.join(&format!("/_fake/{path}"))?;
        let sent = self.http.post(url).body(body.to_string()).send().await;
        let answer = sent.context("the fake of Stripe does not answer")?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }
}
