//! T2: everybody wants the last tickets at the same moment, over HTTP.

use super::stage::{Stage, keyed_by};
use crate::support::Member;
use futures_util::future::join_all;
use std::time::Duration;
use uuid::Uuid;

const BUYERS: usize = 40;
const EACH: usize = 5;
const CAPACITY: i32 = 50;

/// In `script/test` once for nothing and once for money; `script/soak` twenty times.
fn rounds() -> usize {
    let given = std::env::var("SOAK_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// What each buyer is told in the end. A server that is too busy says so and when to come again; buyers do, with the same
/// key.
async fn rush(stage: &Stage, buyers: &[Member], kind: Uuid) -> Vec<u16> {
    let all = buyers.iter().flat_map(|buyer| {
        (0..EACH).map(move |_| async move {
            let (key, cart) = (Uuid::now_v7().to_string(), stage.cart(&[(kind, 1)], false));
            for _ in 0..30 {
                let status = keyed_by(buyer, "/orders", &key, cart.clone()).await.status;
                if status != 503 {
                    return status.as_u16();
                }
                tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1_000))).await;
            }
            503
        })
    });
    join_all(all).await
}

async fn buyers(stage: &Stage) -> Vec<Member> {
    let mut buyers = Vec::with_capacity(BUYERS);
    for n in 0..BUYERS {
        buyers.push(stage.server.member(&format!("buyer_{n}")).await);
    }
    buyers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_the_last_tickets_are_sold_once() {
    let stage = Stage::new().await;
    let buyers = buyers(&stage).await;
    for round in 0..rounds() {
        let (name, price) = [("Free", 0), ("Paid", 2_500)][round % 2];
        let name = format!("{name} {round}");
        let kind = stage.tickets(&name, price, CAPACITY).await;
        let statuses = rush(&stage, &buyers, kind).await;
        let count = |status| statuses.iter().filter(|got| **got == status).count();
        assert_eq!(
            (count(201), count(409)),
            (CAPACITY as usize, BUYERS * EACH - CAPACITY as usize),
            "{statuses:?}"
        );
        let (held, sold) = stage.stock(kind).await;
        assert_eq!(held + sold, CAPACITY);
    }
    stage.sound().await;
}

/// The negative control: without the condition of the update and the table's own check, more are sold than there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_notices_a_sale_without_its_condition() {
    let stage = Stage::new().await;
    let buyers = buyers(&stage).await;
    let kind = stage.tickets("Free", 0, CAPACITY).await;
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.hold_tickets(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let condition = " and t.held + t.sold + v_need <= t.capacity";
    assert!(text.contains(condition));
    for text in [
        text.replace(condition, ""),
        "alter table app.ticket_types drop constraint ticket_types_within_capacity_check"
            .to_owned(),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("switched off");
    }
    rush(&stage, &buyers, kind).await;
    let (mut held, mut sold) = stage.stock(kind).await;
    // On a slow machine they may come one after the other, and each sees what the one before has left.
    for n in 0..5 {
        if held + sold > CAPACITY {
            break;
        }
        let kind = stage.tickets(&format!("Free {n}"), 0, CAPACITY).await;
        rush(&stage, &buyers, kind).await;
        (held, sold) = stage.stock(kind).await;
    }
    assert!(held + sold > CAPACITY, "{held} {sold}");
    let found = super::all_faults(&mut conn).await;
    assert!(
        found.iter().any(|fault| fault.starts_with("oversold")),
        "{found:?}"
    );
}
