//! T14: an event with many orders is cancelled, and the connections that refund them are terminated repeatedly.

use super::{
    super::stage::{Stage, keyed_by},
    figures_are_sums,
};
use crate::support::{Answer, Member};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const BUYERS: usize = 8;

/// The credits of each buyer.
const CREDITS_CENTS: i64 = 100_000;

/// The number of terminations.
const KILLS: usize = 10;

/// The number of orders: some hundred in `script/test`, all with `T14_ORDERS=5000`.
fn orders() -> usize {
    let orders = std::env::var("T14_ORDERS").ok();
    orders.and_then(|text| text.parse().ok()).unwrap_or(160)
}

/// Creates orders of every kind: paid by card, by credits, by both, free, and unpaid.
async fn sold(stage: &Stage) -> Vec<Member> {
    let count = orders();
    let fake = &stage.stripe.fake;
    fake.move_money(None, "aud", 10_000 * count as i64)
        .expect("a balance");
    let limit = json!({"per_user_limit": 100});
    let mut kinds = Vec::new();
    // The limit per person is a hundred tickets of a type.
    for n in 0..=count / BUYERS / 60 {
        let seat = stage
            .tickets_with(&format!("Seat {n}"), 4_500, 100_000, limit.clone())
            .await;
        let free = stage
            .tickets_with(&format!("Free {n}"), 0, 100_000, limit.clone())
            .await;
        kinds.push((seat, free));
    }
    let mut buyers = Vec::new();
    for n in 0..BUYERS {
        let buyer = stage.server.member(&format!("patron_{n}")).await;
        let card = stage.saved(&buyer, "4242424242424242").await;
        stage
            .credits(&buyer, CREDITS_CENTS * (1 + count as i64 / 600))
            .await;
        buyers.push((buyer, card));
    }
    let buy = async |(buyer, card): &(Member, String)| {
        for n in 0..count / BUYERS {
            let (seat, free) = kinds[n / 60];
            let kind = if n % 6 == 4 { free } else { seat };
            let mut cart = stage.cart(&[(kind, 1)], [2, 3].contains(&(n % 6)));
            if n % 6 == 3 {
                cart["credits_max_cents"] = json!(1_500);
            }
            let key = Uuid::now_v7().to_string();
            let placed = patiently(buyer, "/orders", &key, cart).await.expect(201);
            if placed.json["state"] == "pending" && n % 6 != 5 {
                let body = json!({"payment_method_id": card});
                let path = format!("/orders/{}/payments", placed.id());
                patiently(buyer, &path, &key, body).await.expect(200);
            }
        }
    };
    join_all(buyers.iter().map(buy)).await;
    stage.stripe.deliver(&stage.server).await;
    buyers.into_iter().map(|(buyer, _)| buyer).collect()
}

/// There are more buyers than connections of the server; on a slow machine some are told to retry, and do.
async fn patiently(buyer: &Member, path: &str, key: &str, body: Value) -> Answer {
    loop {
        let answer = keyed_by(buyer, path, key, body.clone()).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Terminates connections that are working on orders, in the middle of a transaction.
const TERMINATE: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
    where datname = current_database() and usename = 'culturepass_job' and state <> 'idle' and query not like '%jobs.%'";

async fn kill(stage: &Stage) {
    for round in 0..KILLS {
        let (tickets, event) = (stage.server.built.app.modules.tickets.clone(), stage.event);
        let run = tokio::spawn(async move {
            let mut after = None;
            while let Ok(Some(last)) = tickets.wind_up_some(event, after, Uuid::now_v7()).await {
                after = Some(last);
            }
        });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(5..120))).await;
        if round % 2 == 0 {
            run.abort();
        } else {
            stage.number(TERMINATE).await;
        }
        let _ = run.await;
    }
}

/// Makes delayed retries due.
async fn hurry(stage: &Stage) {
    stage
        .run("update jobs.queue set run_at = now() where state = 'queued' and attempts > 0")
        .await;
}

/// Waits until no work is left.
async fn finish(stage: &Stage) -> Value {
    for _ in 0..40 {
        hurry(stage).await;
        stage
            .server
            .built
            .app
            .modules
            .tickets
            .wind_up_all()
            .await
            .expect("a look");
        stage.age().await;
        stage
            .payments()
            .reconcile_all(Uuid::now_v7())
            .await
            .expect("a run");
        stage.stripe.deliver(&stage.server).await;
        let figures = figures_are_sums(stage).await;
        if figures["is_done"] == true {
            return figures;
        }
    }
    panic!("it does not come to an end: {}", stage.cancellation().await);
}

/// The number of paid orders that were not refunded exactly what they had cost, in one refund.
async fn wrong(stage: &Stage) -> i64 {
    stage
        .number(
            "select count(*) from app.orders o left join (
               select order_id, count(*) as times, sum(amount_cents) as total from app.refunds group by 1
             ) r on r.order_id = o.id
             where o.event_id = '{event}' and o.paid_at is not null and o.amount_cents > 0
               and (coalesce(r.times, 0) <> 1 or r.total <> o.amount_cents or o.refunded_cents <> o.amount_cents)",
        )
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_a_cancelled_event_refunds_each_order_once_however_often_it_is_ended() {
    let stage = Stage::new().await;
    let buyers = sold(&stage).await;
    let paid = stage
        .number(
            "select count(*) from app.orders where event_id = '{event}' and paid_at is not null",
        )
        .await;
    assert!(paid > orders() as i64 / 2);
    stage.cancel_event().await;
    kill(&stage).await;
    let figures = finish(&stage).await;
    assert_eq!(
        figures["refunded"]
            .as_i64()
            .zip(figures["voided"].as_i64())
            .map(|(a, b)| a + b),
        Some(paid)
    );
    assert_eq!(wrong(&stage).await, 0);
    for buyer in &buyers {
        let credits = CREDITS_CENTS * (1 + orders() as i64 / 600);
        assert_eq!(stage.wallet(buyer).await, (credits, 0));
    }
    let left = "select count(*) from app.tickets where event_id = '{event}' and state in ('valid', 'checked_in')";
    assert_eq!(stage.number(left).await, 0);
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

/// The negative control: if progress is not stored, the database still refuses a second refund; without that guard,
/// the check above fails.
#[tokio::test]
async fn t14_notices_an_order_that_is_refunded_twice() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 1_000, 10).await;
    stage.credits(&stage.mira, 5_000).await;
    for _ in 0..3 {
        stage
            .order(&stage.mira, &[(seat, 1)], true)
            .await
            .expect(201);
    }
    // Changes of orders and tickets are undone, and refunds don't count.
    stage
        .run(
            "create function public.forget() returns trigger language plpgsql as $$
               begin
                 if tg_table_name = 'refunds' then new.state := 'failed'; else new.state := old.state; end if;
                 return new;
               end $$;
             create trigger zz_forget before update of state on app.orders for each row execute function public.forget();
             create trigger zz_forget before update of state on app.tickets for each row execute function public.forget();
             create trigger zz_forget before insert or update on app.refunds for each row execute function public.forget()",
        )
        .await;
    stage.cancel_event().await;
    stage.server.settled().await;
    let again = async || {
        let tickets = stage.server.built.app.modules.tickets.clone();
        tickets
            .wind_up_some(stage.event, None, Uuid::now_v7())
            .await
            .expect("a run");
        stage
            .number("select count(*) from app.refunds where reason = 'event_cancelled'")
            .await
    };
    assert_eq!(again().await, 3);
    assert_eq!(stage.cancellation().await["failed"], 3);
    stage.run("drop index app.refunds_order_id_key").await;
    assert_eq!(again().await, 6);
    assert!(wrong(&stage).await > 0);
    assert!(stage.wallet(&stage.mira).await.0 > 5_000);
}
