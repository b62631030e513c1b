//! Hand-written operations, jobs and webhooks at the same moment: what comes of two of them, once everything that follows
//! is done, is what comes of one of the orders.

use super::{outcome::Outcome, stage::First};
use crate::{
    endings::{
        races::filled,
        scene::{Group, Hall, Scene},
    },
    support::Answer,
    trending::stage::run,
};
use fake_stripe::Intent;
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use uuid::Uuid;

/// What one of the two does. In paths and statements, `{label}` stands for the id of a row.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// A request: caller, method, path, body.
    Ask(
        &'static str,
        &'static str,
        &'static str,
        fn(&Scene<'_>) -> Value,
    ),
    /// A periodic job.
    Job(&'static str),
    /// The webhooks that are due arrive.
    Webhooks,
}

use Deed::{Ask, Job, Webhooks};

struct Case {
    group: Group,
    /// Statements, without triggers.
    prepare: &'static str,
    /// Whether the unpaid order is paid by card, and its webhooks are due.
    is_paid: bool,
    /// The row that is locked while both come.
    gate: &'static str,
    both: [Deed; 2],
}

fn none(_: &Scene<'_>) -> Value {
    Value::Null
}

fn empty(_: &Scene<'_>) -> Value {
    json!({})
}

fn reason(_: &Scene<'_>) -> Value {
    json!({"reason": "It rains"})
}

fn free(scene: &Scene<'_>) -> Value {
    scene.cart("event", "free")
}

fn scan(scene: &Scene<'_>) -> Value {
    json!({"event_id": scene.id("event"), "code": scene.code, "nonce": Uuid::new_v4()})
}

const CANCEL_ORDER: Deed = Ask("buyer", "POST", "/orders/{unpaid order}/cancel", none);
const CANCEL_EVENT: Deed = Ask("host", "POST", "/events/{event}/cancel", reason);
const SUSPEND_EVENT: Deed = Ask("platform", "POST", "/events/{event}/suspend", none);
const SUSPEND_BUYER: Deed = Ask("platform", "POST", "/users/{buyer}/suspend", none);
const CLOSE_ACCOUNT: Deed = Ask("buyer", "DELETE", "/me", none);
const PAY: Deed = Ask("buyer", "POST", "/orders/{unpaid order}/payments", empty);
const REFUND_MINE: Deed = Ask("buyer", "POST", "/orders/{order}/refunds", empty);
const REFUND_THEIRS: Deed = Ask("host", "POST", "/orders/{order}/refunds", empty);
const SCAN: Deed = Ask("host", "POST", "/check-ins", scan);
const ACCEPT: Deed = Ask("friend", "POST", "/ticket-transfers/{offer}/accept", none);
const ORDER_FREE: Deed = Ask("friend", "POST", "/orders", free);
const COMPLETE: Deed = Ask("host", "POST", "/media/uploads/{sent}/complete", none);

const RUN_OUT: &str =
    "update app.orders set expires_at = now() - interval '1 second' where id = '{unpaid order}'";
const OFFERED: &str = "update app.waitlist_entries set state = 'offered', offered_type_id = '{free}', offer_expires_at = now() + interval '1 hour' where id = '{entry}';
    update app.ticket_types set held = held + 1 where id = '{free}'";
const LAPSED: &str = "update app.waitlist_entries set state = 'offered', offered_type_id = '{free}', offer_expires_at = now() - interval '1 second' where id = '{entry}';
    update app.ticket_types set held = held + 1 where id = '{free}'";
const OFFER_OVER: &str =
    "update app.ticket_transfers set expires_at = now() - interval '1 second' where id = '{offer}'";

const fn case(group: Group, prepare: &'static str, gate: &'static str, both: [Deed; 2]) -> Case {
    Case {
        group,
        prepare,
        is_paid: false,
        gate,
        both,
    }
}

const fn paid(prepare: &'static str, both: [Deed; 2]) -> Case {
    Case {
        group: Group::Unsubscribed,
        prepare,
        is_paid: true,
        gate: "unpaid order",
        both,
    }
}

const CASES: &[Case] = &[
    // A payment whose webhook arrives.
    paid("", [Webhooks, CANCEL_ORDER]),
    paid("", [Webhooks, CANCEL_EVENT]),
    paid("", [Webhooks, SUSPEND_EVENT]),
    paid("", [Webhooks, SUSPEND_BUYER]),
    paid("", [Webhooks, CLOSE_ACCOUNT]),
    paid("", [Webhooks, PAY]),
    paid("", [Webhooks, Webhooks]),
    paid(RUN_OUT, [Webhooks, Job("tickets.expire")]),
    paid(RUN_OUT, [Webhooks, CANCEL_ORDER]),
    paid(RUN_OUT, [Webhooks, CANCEL_EVENT]),
    // An order that is not paid.
    case(Group::Unsubscribed, "", "unpaid order", [PAY, CANCEL_ORDER]),
    case(Group::Unsubscribed, "", "unpaid order", [PAY, CANCEL_EVENT]),
    case(
        Group::Unsubscribed,
        RUN_OUT,
        "unpaid order",
        [PAY, Job("tickets.expire")],
    ),
    case(
        Group::Plain,
        RUN_OUT,
        "unpaid order",
        [CANCEL_ORDER, Job("tickets.expire")],
    ),
    case(
        Group::Plain,
        "",
        "unpaid order",
        [CANCEL_ORDER, CANCEL_EVENT],
    ),
    case(
        Group::Plain,
        "",
        "unpaid order",
        [CANCEL_ORDER, CLOSE_ACCOUNT],
    ),
    // Tickets.
    case(Group::Plain, "", "order", [REFUND_MINE, REFUND_THEIRS]),
    case(Group::Plain, "", "order", [REFUND_MINE, CANCEL_EVENT]),
    case(Group::Plain, "", "ticket", [REFUND_THEIRS, SCAN]),
    case(Group::Plain, "", "offered ticket", [REFUND_THEIRS, ACCEPT]),
    case(Group::Plain, "", "ticket", [SCAN, CANCEL_EVENT]),
    case(Group::Plain, "", "event", [SCAN, CANCEL_EVENT]),
    case(Group::Plain, "", "event", [ACCEPT, CANCEL_EVENT]),
    case(Group::Plain, "", "offer", [ACCEPT, CANCEL_EVENT]),
    case(
        Group::Plain,
        OFFER_OVER,
        "offer",
        [ACCEPT, Job("tickets.expire_transfers")],
    ),
    case(Group::Plain, "", "event", [ORDER_FREE, CANCEL_EVENT]),
    case(Group::Plain, "", "free", [ORDER_FREE, CANCEL_EVENT]),
    // The waiting list.
    case(
        Group::Plain,
        OFFERED,
        "entry",
        [ORDER_FREE, Job("tickets.serve_waitlist")],
    ),
    case(
        Group::Plain,
        LAPSED,
        "entry",
        [ORDER_FREE, Job("tickets.serve_waitlist")],
    ),
    case(
        Group::Plain,
        LAPSED,
        "free",
        [ORDER_FREE, Job("tickets.serve_waitlist")],
    ),
    case(Group::Plain, OFFERED, "entry", [ORDER_FREE, CANCEL_EVENT]),
    // Featured places.
    case(
        Group::Plain,
        "update app.promotions set paid_at = now() where id = '{promotion}'",
        "promotion",
        [
            Ask(
                "city_admin",
                "POST",
                "/promotions/{promotion}/approve",
                none,
            ),
            CANCEL_EVENT,
        ],
    ),
    case(
        Group::Plain,
        "update app.promotions set paid_at = now(), state = 'approved', starts_at = now() - interval '1 hour' where id = '{promotion}'",
        "promotion",
        [
            Ask("host", "POST", "/promotions/{promotion}/withdraw", none),
            Job("promotions.keep"),
        ],
    ),
    case(
        Group::Plain,
        "update app.promotions set pay_by = now() - interval '1 hour' where id = '{promotion}'",
        "promotion",
        [
            Ask("host", "POST", "/promotions/{promotion}/withdraw", none),
            Job("promotions.keep"),
        ],
    ),
    case(
        Group::Plain,
        "update app.broadcasts set state = 'scheduled' where id = '{broadcast}'",
        "broadcast",
        [CANCEL_EVENT, Job("broadcasts.hand_over")],
    ),
    case(
        Group::Plain,
        "update app.broadcasts set state = 'scheduled' where id = '{broadcast}'",
        "broadcast",
        [
            Ask("host", "POST", "/broadcasts/{broadcast}/cancel", none),
            Job("broadcasts.hand_over"),
        ],
    ),
    // Pictures.
    case(Group::Pictures, "", "sent", [COMPLETE, COMPLETE]),
    case(
        Group::Pictures,
        "",
        "sent",
        [COMPLETE, Ask("host", "DELETE", "/events/{event}", none)],
    ),
    case(
        Group::Pictures,
        "",
        "event",
        [COMPLETE, Ask("host", "DELETE", "/events/{event}", none)],
    ),
    case(Group::Pictures, "", "sent", [COMPLETE, SUSPEND_EVENT]),
    case(Group::Pictures, "", "event", [COMPLETE, SUSPEND_EVENT]),
    case(
        Group::Pictures,
        "",
        "sent",
        [
            COMPLETE,
            Ask(
                "second",
                "DELETE",
                "/role-assignments/{role of the host}",
                none,
            ),
        ],
    ),
];

impl Case {
    fn name(&self) -> String {
        let told = |deed: &Deed| match deed {
            Ask(by, method, path, _) => format!("{method} {path} by {by}"),
            Job(name) => (*name).to_owned(),
            Webhooks => "webhooks".to_owned(),
        };
        let [one, other] = &self.both;
        format!(
            "{} and {} at {}, {:?}",
            told(one),
            told(other),
            self.gate,
            self.prepare
        )
    }

    async fn scene<'h>(&self, hall: &'h Hall) -> Scene<'h> {
        let mut scene = Scene::new(hall, self.group).await;
        scene.deliver().await;
        if self.is_paid {
            let path = format!("/orders/{}/payments", scene.id("unpaid order"));
            scene.keyed("buyer", &path, json!({})).await.expect(200);
            let payment = format!(
                "select stripe_payment_intent_id from app.transactions where order_id = '{}'",
                scene.id("unpaid order")
            );
            let payment: String = scene.one(payment).await;
            let paid = hall
                .stripe
                .fake
                .pay_as_buyer(Intent::Payment, &payment, "4242424242424242");
            paid.expect("a payment");
        }
        if !self.prepare.is_empty() {
            let prepare = filled(&scene, self.prepare);
            scene
                .sql(format!("set session_replication_role = replica; {prepare}; set session_replication_role = origin"))
                .await;
        }
        scene
    }

    async fn in_order(&self, hall: &Hall, first: First) -> Outcome {
        let mut scene = self.scene(hall).await;
        let [one, other] = self.both;
        let told = match first {
            First::One => {
                let one = done(&scene, one).await;
                [one, done(&scene, other).await]
            }
            First::Other => {
                let other = done(&scene, other).await;
                [done(&scene, one).await, other]
            }
        };
        outcome(&mut scene, told).await
    }

    async fn together(&self, hall: &Hall, first: First) -> Outcome {
        let mut scene = self.scene(hall).await;
        let row = scene.row(self.gate).clone();
        let (mut gate, mut watch) = (hall.server.superuser().await, hall.server.superuser().await);
        let text = format!(
            "begin; select from {} where id = '{}' for update",
            row.table(),
            row.id
        );
        run(&mut gate, text).await;
        let ended = AtomicUsize::new(0);
        let [one, other] = self.both;
        let (former, latter) = match first {
            First::One => (one, other),
            First::Other => (other, one),
        };
        let (here, ended) = (&scene, &ended);
        let counted = async move |deed: Deed| {
            let told = done(here, deed).await;
            ended.fetch_add(1, Ordering::Relaxed);
            told
        };
        let (come, mut comes) = tokio::sync::oneshot::channel::<()>();
        let second = async {
            // The second one comes once the first one is there.
            let _ = (&mut comes).await;
            counted(latter).await
        };
        let open = async {
            arrived(watch.looking(), ended, 1).await;
            let _ = come.send(());
            arrived(watch.looking(), ended, 2).await;
            run(&mut gate, "commit".to_owned()).await;
        };
        let (former, latter, ()) = tokio::join!(counted(former), second, open);
        let told = match first {
            First::One => [former, latter],
            First::Other => [latter, former],
        };
        outcome(&mut scene, told).await
    }
}

/// What an answer says; empty for deeds that have none.
async fn done(scene: &Scene<'_>, deed: Deed) -> Option<Answer> {
    let hall = scene.hall;
    let modules = &hall.server.built.app.modules;
    match deed {
        Ask(by, method, path, body) => {
            let key = Uuid::now_v7().to_string();
            let headers = [("if-match", "*"), ("idempotency-key", key.as_str())];
            let body = Some(body(scene)).filter(|body| !body.is_null());
            let (method, path) = (method.parse().expect("a method"), filled(scene, path));
            return Some(scene.client(by).send(method, &path, body, &headers).await);
        }
        Job("tickets.expire") => {
            modules.tickets.expire().await.expect("done");
        }
        Job("tickets.serve_waitlist") => {
            modules.tickets.serve_waitlist().await.expect("done");
        }
        Job("tickets.expire_transfers") => {
            modules.tickets.expire_transfers().await.expect("done");
        }
        Job("promotions.keep") => {
            modules.promotions.keep().await.expect("done");
        }
        Job("broadcasts.hand_over") => {
            modules.broadcasts.hand_over().await.expect("done");
        }
        Job(other) => panic!("no job {other}"),
        Webhooks => hall.stripe.deliver(&hall.server).await,
    }
    None
}

/// What there is once everything that follows is done.
async fn outcome(scene: &mut Scene<'_>, told: [Option<Answer>; 2]) -> Outcome {
    scene.deliver().await;
    // What was locked at its turn is left to the next run of the job.
    for job in [
        "tickets.expire",
        "tickets.serve_waitlist",
        "tickets.expire_transfers",
        "promotions.keep",
    ] {
        done(scene, Job(job)).await;
    }
    let tickets = &scene.hall.server.built.app.modules.tickets;
    tickets.wind_up_all().await.expect("done");
    scene.deliver().await;
    let answers: Vec<Answer> = told.into_iter().flatten().collect();
    Outcome::of_all(scene, &answers).await
}

/// How often each pair is played in each order.
const ROUNDS: usize = 2;

async fn faults(hall: &Hall, case: &Case) -> Vec<String> {
    let mut orders = Vec::new();
    for first in [First::One, First::Other] {
        orders.push(case.in_order(hall, first).await);
    }
    let mut faults = Vec::new();
    for first in [First::One, First::Other].repeat(ROUNDS) {
        let outcome = case.together(hall, first).await;
        if !orders.contains(&outcome) {
            let against: Vec<String> = orders.iter().map(|order| outcome.against(order)).collect();
            println!("{}", case.name());
            faults.push(format!(
                "{}, {first:?} first:\n   {}",
                case.name(),
                against.join("\n   ")
            ));
        }
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: cargo nextest run --run-ignored only pairs"]
async fn of_a_request_and_a_job_or_webhook_comes_what_comes_of_one_order() {
    let hall = Hall::new().await;
    let only = std::env::var("PAIRS_OF").unwrap_or_default();
    let mut all = Vec::new();
    for case in CASES.iter().filter(|case| case.name().contains(&only)) {
        all.extend(faults(&hall, case).await);
    }
    let mut conn = hall.server.superuser().await;
    all.extend(super::unsound(&mut conn).await);
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

/// Waits until so many have come: they wait for a lock, or are done.
async fn arrived(watch: &mut PgConnection, ended: &AtomicUsize, number: usize) {
    let count = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..250 {
        let waiting: i64 = sqlx::query_scalar(count)
            .fetch_one(&mut *watch)
            .await
            .expect("counted");
        if waiting as usize + ended.load(Ordering::Relaxed) >= number {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
