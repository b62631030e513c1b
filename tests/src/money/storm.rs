//! T9: repeated use of the same keys, concurrently, with other bodies, by clients that hang up.

use super::stage::{Stage, keyed_by};
use crate::support::Answer;
use futures_util::future::join_all;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;

const AT_ONCE: usize = 50;

/// The number of keys: a few in `script/test`, all with `T9_KEYS=200`.
fn keys() -> usize {
    let keys = std::env::var("T9_KEYS").ok();
    keys.and_then(|text| text.parse().ok()).unwrap_or(6)
}

/// Retries like a client that is told that the same request is in progress, or that the server is busy.
async fn sent(stage: &Stage, key: &str, kind: Uuid, quantity: i32) -> Answer {
    for _ in 0..100 {
        let cart = stage.cart(&[(kind, quantity)], true);
        let answer = keyed_by(&stage.mira, "/orders", key, cart).await;
        let waits =
            [409, 503].contains(&answer.status.as_u16()) && answer.header("retry-after").is_some();
        if !waits {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
    }
    panic!("the key {key} is stuck");
}

async fn orders(stage: &Stage) -> i64 {
    stage
        .number("select count(*) from app.orders where event_id = '{event}'")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_storm_of_one_key_has_one_effect() {
    let stage = Arc::new(Stage::without_provider().await);
    let kind = stage.tickets("Seat", 100, 1_000).await;
    stage.credits(&stage.mira, 100_000).await;
    for round in 0..keys() {
        let key = format!("storm-{round}-{}", Uuid::now_v7());
        // Some clients hang up before they get an answer.
        let gone: Vec<_> = (0..5)
            .map(|_| {
                let (stage, key) = (stage.clone(), key.clone());
                tokio::spawn(async move { sent(&stage, &key, kind, 1).await.status })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        for client in &gone {
            client.abort();
        }
        let answers = join_all(
            (0..AT_ONCE).map(|n| sent(&stage, &key, kind, if n % 10 == 9 { 2 } else { 1 })),
        )
        .await;
        // The first request decides what the key is for; in each round, one of the two bodies.
        let count = |status: u16| {
            answers
                .iter()
                .filter(|answer| answer.status == status)
                .count()
        };
        assert!(
            [(45, 5), (5, 45)].contains(&(count(201), count(422))),
            "{round}: {} {}",
            count(201),
            count(422)
        );
        let texts: BTreeSet<&str> = answers
            .iter()
            .filter(|a| a.status == 201)
            .map(|a| a.text.as_str())
            .collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        let first = answers
            .iter()
            .filter(|a| a.status == 201 && a.header("idempotent-replayed").is_none())
            .count();
        assert!(first <= 1, "{first} answers are not replayed");
        assert_eq!(orders(&stage).await, round as i64 + 1);
        // The same an hour later.
        stage
            .run("update requests.keys set created_at = created_at - interval '1 hour'")
            .await;
        let quantity = if count(201) == 45 { 1 } else { 2 };
        let later = sent(&stage, &key, kind, quantity).await.expect(201);
        assert!(texts.contains(later.text.as_str()));
        assert_eq!(later.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(
        stage
            .number("select count(*) from requests.keys where status is null")
            .await,
        0
    );
    let spent = stage.number("select coalesce(sum(amount_cents), 0)::int8 from app.orders where event_id = '{event}'").await;
    assert_eq!(stage.wallet(&stage.mira).await, (100_000 - spent, 0));
    stage.sound().await;
}

/// Answers to keys are deleted after some days, but the order keeps its key for ever, and accepts no other request
/// with it.
#[tokio::test]
async fn t9_a_key_that_has_bought_something_buys_nothing_else_later() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1_000).await;
    let other = stage.tickets("Stool", 0, 1_000).await;
    let key = format!("storm-{}", Uuid::now_v7());
    let first = sent(&stage, &key, kind, 1).await.expect(201).id();
    for (kind, quantity) in [(kind, 2), (other, 1)] {
        stage.run("delete from requests.keys").await;
        let reused = sent(&stage, &key, kind, quantity).await.expect(422);
        assert_eq!(reused.problem(), "idempotency-key-reused");
    }
    stage.run("delete from requests.keys").await;
    assert_eq!(sent(&stage, &key, kind, 1).await.expect(201).id(), first);
    assert_eq!(orders(&stage).await, 1);
}

/// The negative control: if keys are deleted at once and orders don't store theirs, each request buys again.
#[tokio::test]
async fn t9_notices_keys_that_are_forgotten() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1_000).await;
    let key = format!("storm-{}", Uuid::now_v7());
    for round in 1..=3 {
        sent(&stage, &key, kind, 1).await.expect(201);
        assert_eq!(orders(&stage).await, round);
        stage
            .run("delete from requests.keys; update app.orders set idempotency_key = 'forgotten ' || id")
            .await;
    }
}
