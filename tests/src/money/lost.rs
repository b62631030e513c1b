//! The answer to a request about money is lost after its work was done: the same request again gets the answer that
//! was lost, and has no second effect. Tested for every route that requires an `Idempotency-Key`.

use super::{
    fees::Deal,
    market::Market,
    stage::{Stage, keyed, keyed_by},
    subscriptions::Shop,
};
use crate::{
    abuse::purchases::demanding,
    support::{Answer, Member},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

const CARD: &str = "4242424242424242";

/// Makes it impossible to store answers after the work is done.
const LOSE: &str = "
  create function public.lose() returns trigger language plpgsql as $$
  begin raise exception 'the disk is full' using errcode = '53100'; end $$;
  create trigger lose before update of status on requests.keys for each row when (session_user = 'culturepass_app')
    execute function public.lose()";

const FIND: &str = "drop function public.lose() cascade; update requests.keys set locked_until = now() where status is null";

/// The tables in which requests about money insert rows.
const MADE: [&str; 8] = [
    "app.orders",
    "app.tickets",
    "app.refunds",
    "app.transactions",
    "app.wallet_journals",
    "app.subscriptions",
    "app.wallet_holds",
    "app.promotions",
];

const MADE_THERE: [&str; 5] = [
    "payment_intents",
    "charges",
    "refunds",
    "setup_intents",
    "subscriptions",
];

impl Stage {
    /// Sends a request twice with one key, where the first answer is lost. Returns the second answer.
    async fn lost(&self, by: &Member, path: &str, body: Value, status: u16) -> Answer {
        let key = Uuid::now_v7().to_string();
        self.run(LOSE).await;
        let first = keyed_by(by, path, &key, body.clone()).await;
        // If the answer is stored in the same transaction as the work, it can't be lost.
        let is_lost = first.status.is_server_error();
        assert!(is_lost || first.status == status, "{path}: {}", first.text);
        let made = self.made().await;
        self.run(FIND).await;
        let again = keyed_by(by, path, &key, body).await;
        assert_eq!(again.status, status, "{path}: {}", again.text);
        if !is_lost {
            assert_eq!(again.text, first.text, "{path}");
        }
        assert_eq!(self.made().await, made, "{path}");
        again
    }

    async fn made(&self) -> Vec<(&'static str, i64)> {
        self.server.settled().await;
        self.stripe.deliver(&self.server).await;
        self.server.settled().await;
        let mut all = Vec::new();
        for table in MADE {
            let count = format!("select count(*) from {table}");
            all.push((table, self.number(&count).await));
        }
        let there = MADE_THERE.map(|list| (list, self.stripe.fake.all(list).len() as i64));
        all.extend(there);
        all
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k1_a_lost_answer_is_given_again_and_its_work_is_not_done_again() {
    let mut tried = BTreeSet::new();
    let stage = Stage::new().await;
    let all: BTreeSet<String> = demanding(&stage).await.into_iter().collect();
    tried.extend(orders(&stage).await);
    tried.extend(wallets(&stage).await);
    tried.extend(promotions().await);
    tried.extend(fees().await);
    tried.extend(plans().await);
    assert_eq!(all, tried.into_iter().map(str::to_owned).collect());
}

/// Another attempt has taken over the key, because the first one was believed dead: whatever the first one still does
/// is undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k6_whoever_was_believed_dead_changes_nothing_any_more() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    deal.pay(&quote, CARD).await;
    assert_eq!(two_attempts(&deal, &quote).await, ([409, 201], 1));
    // The negative control: whichever attempt ends last may store its answer.
    deal.stage
        .run(
            "create or replace function requests.answer(p_method text, p_route text, p_key text, p_attempt integer, p_status integer,
               p_headers jsonb, p_body bytea) returns boolean language sql as 'select true'",
        )
        .await;
    assert_eq!(two_attempts(&deal, &quote).await, ([201, 201], 1 + 2));
}

/// Runs two attempts that both wait for the quote in the middle of their work. Returns what they were told, and the
/// number of refunds.
async fn two_attempts(deal: &Deal, quote: &str) -> ([u16; 2], i64) {
    let stage = &deal.stage;
    let path = format!("/quotes/{quote}/fee-refunds");
    let key = Uuid::now_v7().to_string();
    let ask = async || {
        let body = json!({"amount_cents": 10});
        let answer = keyed_by(&stage.paula, &path, &key, body).await;
        answer.status.as_u16()
    };
    let waiting = async |many: i64| {
        let locks = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while stage.number(locks).await < many {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut conn = stage.server.superuser().await;
    let lock = format!("begin; select from app.quotes where id = '{quote}' for update");
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut conn)
        .await
        .expect("locked");
    let later = async {
        waiting(1).await;
        stage
            .run("update requests.keys set locked_until = now() where status is null")
            .await;
        let commit = async {
            waiting(2).await;
            sqlx::raw_sql("commit").execute(&mut conn).await
        };
        let (second, committed) = tokio::join!(ask(), commit);
        committed.expect("free");
        second
    };
    let (first, second) = tokio::join!(ask(), later);
    let count = format!("select count(*) from app.refunds where quote_id = '{quote}'");
    ([first, second], stage.number(&count).await)
}

async fn orders(stage: &Stage) -> [&'static str; 6] {
    let kind = stage.tickets("Seat", 4_500, 50).await;
    let card = stage.saved(&stage.mira, CARD).await;
    let cart = stage.cart(&[(kind, 2)], false);
    let (mira, olga) = (&stage.mira, &stage.olga);
    let order = stage.lost(mira, "/orders", cart.clone(), 201).await.id();
    stage
        .lost(mira, &format!("/orders/{order}/cancel"), json!({}), 200)
        .await;
    assert_eq!(stage.state(&order).await, "cancelled");
    let order = keyed(mira, "/orders", cart.clone()).await.expect(201).id();
    let body = json!({"payment_method_id": card});
    let path = format!("/orders/{order}/payments");
    let paid = stage.lost(mira, &path, body.clone(), 200).await;
    assert_eq!(paid.json["order_state"], "paid");
    // With another key it is another request, and nothing is left to pay.
    keyed(mira, &path, body).await.expect(409);
    stage
        .lost(mira, &format!("/orders/{order}/refunds"), json!({}), 201)
        .await;
    assert_eq!(stage.state(&order).await, "refunded");
    stage.lost(olga, "/door-sales", cart, 201).await;
    stage
        .lost(mira, "/payment-methods/setups", json!({}), 200)
        .await;
    stage.books_agree().await;
    [
        "/orders",
        "/orders/{id}/cancel",
        "/orders/{id}/payments",
        "/orders/{id}/refunds",
        "/door-sales",
        "/payment-methods/setups",
    ]
}

async fn wallets(stage: &Stage) -> [&'static str; 3] {
    let paula = &stage.paula;
    let body = json!({"amount_cents": 5_000, "reference": "Spring"});
    stage
        .lost(paula, "/wallet/budgets/AUD/fundings", body, 201)
        .await;
    let body = json!({"user_id": stage.mira.id, "kind": "event_credit", "amount_cents": 700, "currency": "AUD",
        "reference": "A gift"});
    let given = stage.lost(paula, "/wallet/credits", body, 201).await;
    let journal = given.json["journal_id"].as_str().expect("an id").to_owned();
    let body = json!({"reason": "By mistake"});
    let path = format!("/wallet-journals/{journal}/reversals");
    stage.lost(paula, &path, body, 201).await;
    stage.sound().await;
    [
        "/wallet/budgets/{currency}/fundings",
        "/wallet/credits",
        "/wallet-journals/{id}/reversals",
    ]
}

async fn promotions() -> [&'static str; 1] {
    let market = Market::new(3).await;
    let olga = &market.stage.olga;
    let card = market.stage.saved(olga, CARD).await;
    let booked = market.booked(7).await;
    let body = json!({"payment_method_id": card});
    let path = format!("/promotions/{booked}/payments");
    let paid = market.stage.lost(olga, &path, body, 200).await;
    assert_eq!(paid.json["status"], "succeeded");
    market.sound().await;
    ["/promotions/{id}/payments"]
}

async fn fees() -> [&'static str; 2] {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let card = deal.stage.saved(&deal.printer, CARD).await;
    let body = json!({"payment_method_id": card});
    let path = format!("/quotes/{quote}/fee-payments");
    let paid = deal.stage.lost(&deal.printer, &path, body, 200).await;
    assert_eq!(paid.json["status"], "succeeded");
    let path = format!("/quotes/{quote}/fee-refunds");
    let body = json!({"amount_cents": 100});
    deal.stage.lost(&deal.stage.paula, &path, body, 201).await;
    ["/quotes/{id}/fee-payments", "/quotes/{id}/fee-refunds"]
}

async fn plans() -> [&'static str; 5] {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, CARD).await;
    let begin = format!("/businesses/{}/subscription", shop.business);
    let body = json!({"plan_id": shop.plans[0], "payment_method_id": card});
    let begun = shop.stage.lost(&shop.binh, &begin, body.clone(), 200).await;
    assert_eq!(begun.json["state"], "active");
    keyed(&shop.binh, &begin, body).await.expect(409);
    for (change, body) in [
        ("plan", json!({"plan_id": shop.plans[1]})),
        ("card", json!({"payment_method_id": card})),
        ("cancel", json!({})),
        ("keep", json!({})),
    ] {
        let path = format!("/subscriptions/{}/{change}", begun.id());
        shop.stage.lost(&shop.binh, &path, body, 200).await;
    }
    [
        "/businesses/{id}/subscription",
        "/subscriptions/{id}/plan",
        "/subscriptions/{id}/card",
        "/subscriptions/{id}/cancel",
        "/subscriptions/{id}/keep",
    ]
}

/// The order keeps its key after the stored request was deleted, and is not returned for a different cart.
#[tokio::test]
async fn t9_k1_a_key_is_for_one_promo_code_and_no_fewer_credits() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    for code in ["SPRING", "AUTUMN"] {
        let body = json!({"event_id": stage.event, "code": code, "basis_points": 1_000, "per_user_limit": 9});
        let made = stage.olga.client.post("/promo-codes", body).await;
        made.expect(201);
    }
    stage.credits(&stage.mira, 1_000).await;
    let key = Uuid::now_v7().to_string();
    let mut cart = stage.cart(&[(seat, 2)], true);
    cart["promo_code"] = json!("SPRING");
    let first = keyed_by(&stage.mira, "/orders", &key, cart.clone()).await;
    let first = first.expect(201).id();
    let changed = [
        ("promo_code", json!("AUTUMN")),
        ("promo_code", json!(null)),
        ("use_credits", json!(false)),
        ("credits_max_cents", json!(999)),
    ];
    for (name, value) in changed {
        let mut other = cart.clone();
        other[name] = value;
        stage.run("delete from requests.keys").await;
        let refused = keyed_by(&stage.mira, "/orders", &key, other).await;
        assert_eq!(refused.expect(422).problem(), "idempotency-key-reused");
    }
    // The same cart finds the order, even when its promo code can no longer be used.
    stage
        .run("set session_replication_role = replica; update app.promo_codes set status = 'archived' where code = 'SPRING'")
        .await;
    stage.run("delete from requests.keys").await;
    let found = keyed_by(&stage.mira, "/orders", &key, cart).await;
    assert_eq!(found.expect(201).id(), first);
    assert_eq!(stage.stock(seat).await, (2, 0));
}
