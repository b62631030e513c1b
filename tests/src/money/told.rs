//! H2, H3, H4, H6: how an event of the payment service is received, and what it may do.

use super::{
    controls::{event, signed},
    stage::Stage,
};
use crate::support::stripe::{self, CONNECT_SECRET, SECRET};
use axum::http::Method;
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What the tables of money hold; of payments without the time at which they were last read.
const MONEY: &str = "select coalesce(md5(string_agg(x.t, ';' order by x.t)), '') from (
    select to_jsonb(o)::text as t from app.orders o
    union all select (to_jsonb(t) - 'synced_at' - 'version' - 'updated_at')::text from app.transactions t
    union all select to_jsonb(k)::text from app.tickets k union all select to_jsonb(r)::text from app.refunds r
    union all select to_jsonb(x)::text from app.transfers x union all select to_jsonb(w)::text from app.wallet_transactions w) x";

impl Stage {
    async fn money(&self) -> String {
        sqlx::query_scalar(MONEY)
            .fetch_one(&mut self.server.superuser().await)
            .await
            .expect("the tables")
    }

    async fn events_like(&self, like: &str) -> Vec<String> {
        sqlx::query_scalar(
            "select distinct state from app.stripe_events where stripe_event_id like $1 order by 1",
        )
        .bind(like)
        .fetch_all(&mut self.server.superuser().await)
        .await
        .expect("states")
    }

    /// Sends an event with these bytes, signed with a secret.
    async fn post(&self, url: &str, body: &Value, secret: &str) -> u16 {
        let body = body.to_string().into_bytes();
        let signature = gateway::sign(&body, secret, chrono::Utc::now());
        let headers = [
            ("stripe-signature", signature.as_str()),
            ("content-type", "application/json"),
        ];
        let sent = (self.server.client)
            .send_bytes(Method::POST, url, body, &headers)
            .await;
        sent.status.as_u16()
    }
}

/// Fifty at once, each twice, while no job can run: all are acknowledged and kept once, and nothing else has happened,
/// neither in the database nor at the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2_an_event_is_kept_and_acknowledged_and_nothing_else_is_done() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.stripe.deliver(&stage.server).await;
    let payment = stage.payment_of(&order).await;
    let paid = stage
        .stripe
        .fake
        .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
    paid.expect("paid");
    // Jobs that are enqueued from now on wait for tomorrow.
    stage
        .run(
            "create function public.later() returns trigger language plpgsql as $$
             begin new.run_at := now() + interval '1 day'; return new; end $$;
             create trigger later before insert on jobs.queue for each row execute function public.later()",
        )
        .await;
    let before = stage.money().await;
    // The next call of the service, whichever it is, would use this up.
    let mut fault = Fault::new(Kind::Away);
    fault.times = Some(1);
    stage.stripe.fake.add_fault(fault);
    let about = |n: usize| {
        let mut body: Value =
            serde_json::from_slice(&event(&format!("evt_at_once_{n}"))).expect("JSON");
        body["data"]["object"]["id"] = json!(payment);
        body
    };
    let sent = (0..100).map(|n| {
        let (stage, body) = (&stage, about(n / 2));
        async move {
            let began = Instant::now();
            let status = stage.post("/webhooks/stripe", &body, SECRET).await;
            (status, began.elapsed())
        }
    });
    let mut answers = join_all(sent).await;
    assert!(
        answers.iter().all(|(status, _)| *status == 200),
        "{answers:?}"
    );
    answers.sort_by_key(|(_, took)| *took);
    println!("a hundred at once: the slowest took {:?}", answers[99].1);
    let kept = "select count(*) from app.stripe_events where stripe_event_id like 'evt_at_once_%' and state = 'received'";
    assert_eq!(stage.number(kept).await, 50);
    let waiting = "select count(*) from jobs.queue where name = 'payments.event' and run_at > now() + interval '1 hour'";
    assert_eq!(stage.number(waiting).await, 50, "a job for each");
    assert_eq!(stage.money().await, before);
    assert_eq!(stage.state(&order).await, "pending");
    assert_eq!(
        stage.stripe.fake.faults().len(),
        1,
        "the service was called"
    );

    // The control: what does the work changes all that.
    stage.run("drop function public.later() cascade; update jobs.queue set run_at = now() where name = 'payments.event'").await;
    stage.server.settled().await;
    assert_eq!(stage.stripe.fake.faults().len(), 0);
    assert_ne!(stage.money().await, before);
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.events_like("evt_at_once_%").await, ["done"]);
    stage.sound().await;
}

/// Several workers, events about one payment, and a worker that dies after the effect and before the event is marked as
/// done: applied again, it changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h3_an_event_is_worked_on_by_several_and_again_with_one_effect() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    stage.credits(&stage.mira, 1_000).await;
    let order = stage.order(&stage.mira, &[(kind, 2)], true).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let payment = stage.payment_of(&order).await;
    let paid = stage
        .stripe
        .fake
        .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
    paid.expect("paid");
    for n in 0..8 {
        let mut body: Value =
            serde_json::from_slice(&event(&format!("evt_of_one_{n}"))).expect("JSON");
        body["data"]["object"]["id"] = json!(payment);
        let status = stage.post("/webhooks/stripe", &body, SECRET).await;
        assert_eq!(status, 200);
    }
    // All at the same moment, as workers of eight processes would, besides the server's own.
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from app.stripe_events where stripe_event_id like 'evt_of_one_%'",
    )
    .fetch_all(&mut stage.server.superuser().await)
    .await
    .expect("events");
    assert_eq!(ids.len(), 8);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.stock(kind).await, (0, 2));
    let once = stage.money().await;
    stage
        .run("update app.stripe_events set state = 'received', settled_at = null, created_at = created_at - interval '1 hour' where state = 'done'")
        .await;
    let looked = stage.payments().reconcile_all(Uuid::now_v7()).await;
    looked.expect("a run");
    stage.server.settled().await;
    assert_eq!(stage.events_like("evt_of_one_%").await, ["done"]);
    let tickets = format!("select count(*) from app.tickets where order_id = '{order}'");
    assert_eq!(stage.number(&tickets).await, 2);
    assert_eq!(stage.money().await, once);
    stage.books_agree().await;
    stage.sound().await;
}

/// Events of kinds that nobody knows are ignored; an object that can't be read is put aside with the reason, and applied once
/// an administrator has it tried again.
#[tokio::test]
async fn h4_what_is_unknown_is_ignored_and_what_is_unreadable_waits() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.stripe.deliver(&stage.server).await;
    let mut unknown: Value = serde_json::from_slice(&event("evt_unknown")).expect("JSON");
    unknown["type"] = json!("climate.tree_planted");
    unknown["api_version"] = json!("1999-01-01");
    unknown["data"]["object"] =
        json!({"id": "tree_1", "object": "climate_tree", "leaves": {"green": [1, 2]}});
    let status = stage.post("/webhooks/stripe", &unknown, SECRET).await;
    assert_eq!(status, 200);
    let nobodys = signed("evt_of_nobody", SECRET);
    assert_eq!(stripe::send(&stage.server, &nobodys).await, 200);
    stage.server.settled().await;
    assert_eq!(stage.events_like("evt_unknown").await, ["ignored"]);
    assert_eq!(stage.events_like("evt_of_nobody").await, ["parked"]);
    let shown = "/stripe-events?state=parked";
    let parked = stage.paula.client.get(shown).await.expect(200).json;
    let parked = &parked["data"][0];
    assert!(parked["error"].is_string(), "{parked}");

    // It is about a payment that can be read now.
    let payment = stage.payment_of(&order).await;
    let paid = stage
        .stripe
        .fake
        .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
    paid.expect("paid");
    stage
        .run(format!(
            "set session_replication_role = replica; update app.stripe_events set object_id = '{payment}' where state = 'parked'"
        ))
        .await;
    let retry = format!(
        "/stripe-events/{}/retry",
        parked["id"].as_str().expect("an id")
    );
    stage.mira.client.act(&retry).await.expect(403);
    stage.paula.client.act(&retry).await.expect(202);
    stage.server.settled().await;
    assert_eq!(stage.events_like("evt_of_nobody").await, ["done"]);
    assert_eq!(stage.state(&order).await, "paid");
}

/// An object of a form that this version can't read: its event is put aside, where an administrator sees it, and tried again
/// after an hour; nothing is said to be the service's fault.
#[tokio::test]
async fn h4_an_object_that_cannot_be_read_is_put_aside_and_tried_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.stripe.deliver(&stage.server).await;
    stage.server.settled().await;
    let payment = stage.payment_of(&order).await;
    let fake = &stage.stripe.fake;
    fake.add_fault(
        Fault::new(Kind::Malformed).on("GET", &format!("/v1/payment_intents/{payment}")),
    );
    fake.pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
        .expect("paid");
    stage.stripe.deliver(&stage.server).await;
    let parked = "select count(*) from app.stripe_events where state = 'parked' and error like '%can''t be read%'";
    let again = "update jobs.queue set run_at = now() where name = 'payments.event' and state = 'queued' and run_at > now()";
    for _ in 0..100 {
        stage.run(again).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        if stage.number(parked).await > 0 {
            break;
        }
    }
    assert!(stage.number(parked).await > 0);
    let shown = "/stripe-events?state=parked";
    let shown = stage.paula.client.get(shown).await.expect(200).json;
    let all = shown["data"].as_array().expect("events");
    let is_it = |event: &&Value| {
        event["error"]
            .as_str()
            .is_some_and(|error| error.contains("can't be read"))
    };
    assert!(all.iter().any(|event| is_it(&event)), "{all:?}");
    assert_eq!(stage.state(&order).await, "pending");

    // It can be read now, but it is not read all the time.
    fake.clear_faults();
    let payments = stage.payments();
    payments.reconcile_all(Uuid::now_v7()).await.expect("a run");
    stage.server.settled().await;
    assert!(stage.number(parked).await > 0);
    stage
        .run("set session_replication_role = replica; update app.stripe_events set settled_at = settled_at - interval '61 minutes' where state = 'parked'")
        .await;
    payments.reconcile_all(Uuid::now_v7()).await.expect("a run");
    stage.server.settled().await;
    assert_eq!(stage.number(parked).await, 0);
    assert_eq!(stage.state(&order).await, "paid");
    stage.books_agree().await;
}

/// Real money and test money are never mixed up, and each endpoint believes its own secret only.
#[tokio::test]
async fn h6_an_event_of_the_other_mode_changes_nothing_and_each_endpoint_has_its_secret() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.stripe.deliver(&stage.server).await;
    let payment = stage.payment_of(&order).await;
    let fake = &stage.stripe.fake;
    fake.pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
        .expect("paid");
    for (id, livemode, state, paid) in [
        ("evt_live", true, "ignored", "pending"),
        // The control: the same event of the server's own mode.
        ("evt_test", false, "done", "paid"),
    ] {
        let mut body: Value = serde_json::from_slice(&event(id)).expect("JSON");
        body["livemode"] = json!(livemode);
        body["data"]["object"]["id"] = json!(payment);
        let status = stage.post("/webhooks/stripe", &body, SECRET).await;
        assert_eq!(status, 200);
        stage.server.settled().await;
        assert_eq!(stage.events_like(id).await, [state]);
        assert_eq!(stage.state(&order).await, paid);
    }

    // An event about an account, at each of the two endpoints, with each of the two secrets.
    let change = json!({"payouts_enabled": false});
    fake.change_account(&stage.account, &change)
        .expect("an account");
    let mut body: Value = serde_json::from_slice(&event("evt_account")).expect("JSON");
    body["type"] = json!("account.updated");
    body["account"] = json!(stage.account);
    body["data"]["object"] = json!({"id": stage.account, "object": "account"});
    let can = "select count(*) from app.connected_accounts where payouts_enabled and owner_type = 'organization'";
    for (url, secret) in [
        ("/webhooks/stripe-connect", SECRET),
        ("/webhooks/stripe", CONNECT_SECRET),
    ] {
        let status = stage.post(url, &body, secret).await;
        assert_eq!(status, 400, "{url}");
    }
    stage.server.settled().await;
    assert_eq!(stage.events_like("evt_account").await, Vec::<String>::new());
    assert_eq!(stage.number(can).await, 1);
    let status = stage
        .post("/webhooks/stripe-connect", &body, CONNECT_SECRET)
        .await;
    assert_eq!(status, 200);
    stage.server.settled().await;
    assert_eq!(stage.events_like("evt_account").await, ["done"]);
    assert_eq!(stage.number(can).await, 0);
}
