//! Events of Stripe that arrive at the same time: part of `bench money`.
//!
//! Only accepting them is measured: checking the signature, and storing the event with the job that processes it. No
//! worker is running.

use crate::{
    money::Money,
    search::percentiles,
    servers::{GENERATED_SECURED, Server},
    world::{Aim, Line},
};
use anyhow::{Result, ensure};
use serde_json::json;
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use uuid::Uuid;

const SECRET: &str = "whsec_bench";

/// The number of events that are sent at the same time.
const AT_ONCE: usize = 50;

pub async fn run(money: &Money<'_>, conn: &mut PgConnection) -> Result<Vec<Line>> {
    let secrets = [("STRIPE_WEBHOOK_SECRETS", SECRET.to_owned())];
    let server = Server::start_with(
        GENERATED_SECURED,
        money.admin,
        money.pool,
        money.keys,
        &secrets,
    )?;
    let url = format!("http://127.0.0.1:{}/webhooks/stripe", server.port);
    let begun = Instant::now();
    let until = begun + Duration::from_secs(money.seconds.into());
    let mut senders = JoinSet::new();
    for _ in 0..AT_ONCE {
        senders.spawn(send(url.clone(), until));
    }
    let mut took = Vec::new();
    while let Some(sent) = senders.join_next().await {
        took.extend(sent??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let stored: i64 =
        sqlx::query_scalar("select count(*) from app.stripe_events e join jobs.queue q on q.payload->>'event' = e.id::text")
            .fetch_one(conn)
            .await?;
    ensure!(
        stored == i64::try_from(took.len())?,
        "{stored} of {} are stored",
        took.len()
    );
    let rate = took.len() as f64 / seconds;
    let [p50, _, p99] = percentiles(took);
    Ok(vec![
        Line::new(
            format!(
                "H2: {AT_ONCE} events of Stripe at once, until each is stored and acknowledged, p50"
            ),
            p50,
            "ms",
            Aim::None,
        ),
        Line::new("H2: the same, p99", p99, "ms", Aim::AtMost(250.0)),
        Line::new("events accepted", rate, "a second", Aim::None),
    ])
}

/// Sends one event after the other. Returns the latencies in milliseconds.
async fn send(url: String, until: Instant) -> Result<Vec<f64>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut took = Vec::new();
    while Instant::now() < until {
        let now = chrono::Utc::now();
        let id = Uuid::now_v7().simple();
        let event = json!({"id": format!("evt_{id}"), "object": "event", "type": "payment_intent.succeeded",
            "created": now.timestamp(), "livemode": false, "api_version": "2025-01-01",
            "data": {"object": {"id": format!("pi_{id}"), "object": "payment_intent"}}});
        let body = event.to_string();
        let signature = gateway::sign(body.as_bytes(), SECRET, now);
        let begun = Instant::now();
        let answer = client
            .post(&url)
            .header("stripe-signature", signature)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "an event: {status} {text}");
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}
