//! Cases 45 to 49 and 52: buying more than is available or allowed, reused idempotency keys, failures between a call
//! and storing its result, and the books.

use crate::{
    money::stage::{Stage, keyed, keyed_by},
    support::{Answer, Member},
};
use axum::http::HeaderValue;
use fake_stripe::fault::{Fault, Kind};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

async fn people(stage: &Stage, name: &str, count: usize) -> Vec<Member> {
    let mut people = Vec::with_capacity(count);
    for n in 0..count {
        people.push(stage.server.member(&format!("{name}_{n}")).await);
    }
    people
}

/// Retries with the same key while the answer says so, as clients do.
async fn persistent(stage: &Stage, buyer: &Member, cart: &Value) -> Answer {
    let key = Uuid::now_v7().to_string();
    for _ in 0..60 {
        let answer = keyed_by(buyer, "/orders", &key, cart.clone()).await;
        if answer.header("retry-after").is_none() {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(50..400))).await;
    }
    panic!("{} never gets an answer in {}", buyer.id, stage.event);
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_45_the_last_ticket_is_sold_to_one_of_fifty() {
    let stage = Stage::new().await;
    let buyers = people(&stage, "eager", 10).await;
    for (name, price) in [("Free", 0), ("Paid", 2_500)] {
        let kind = stage.tickets(name, price, 1).await;
        let cart = stage.cart(&[(kind, 1)], false);
        let all = (0..50).map(|n| persistent(&stage, &buyers[n % buyers.len()], &cart));
        let answers = join_all(all).await;
        assert_eq!(
            (count(&answers, 201), count(&answers, 409)),
            (1, 49),
            "{name}"
        );
        let (held, sold) = stage.stock(kind).await;
        assert_eq!(held + sold, 1);
    }
    stage.sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_46_the_limit_of_a_person_holds_whatever_keys_they_use() {
    let stage = Stage::new().await;
    let kind = stage
        .tickets_with("Seat", 2_500, 100, json!({"per_user_limit": 3}))
        .await;
    let cart = stage.cart(&[(kind, 1)], false);
    for _ in 0..2 {
        let answers = join_all((0..20).map(|_| persistent(&stage, &stage.mira, &cart))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (3, 17));
        assert_eq!(stage.stock(kind).await, (3, 0));
        // Orders that are not paid in time release all of their stock, exactly once.
        stage.run("update app.orders set expires_at = now() - interval '1 second' where state = 'pending'").await;
        let tickets = &stage.server.built.app.modules.tickets;
        let (first, second) = tokio::join!(tickets.expire(), tickets.expire());
        assert_eq!(first.expect("swept") + second.expect("swept"), 3);
        assert_eq!(stage.stock(kind).await, (0, 0));
        stage.sound().await;
    }
}

/// The routes that require an idempotency key, according to the document.
pub async fn demanding(stage: &Stage) -> Vec<String> {
    let document = stage
        .server
        .client
        .get("/openapi.json")
        .await
        .expect(200)
        .json;
    let demands = |item: &Value| {
        let parameters = item["post"]["parameters"].as_array();
        let mut parameters = parameters.into_iter().flatten();
        parameters.any(|parameter| {
            let reference = parameter["$ref"].as_str();
            let named = reference.and_then(|at| document.pointer(at.trim_start_matches('#')));
            let parameter = named.unwrap_or(parameter);
            parameter["name"] == "Idempotency-Key" && parameter["required"] == true
        })
    };
    let paths = document["paths"].as_object().expect("paths");
    let found = paths.iter().filter(|(_, item)| demands(item));
    found.map(|(path, _)| path.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_47_a_key_is_of_one_member_one_route_and_one_body() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Free", 0, 50).await;
    let (key, cart) = (Uuid::now_v7().to_string(), stage.cart(&[(kind, 1)], false));
    let first = keyed_by(&stage.mira, "/orders", &key, cart.clone())
        .await
        .expect(201);
    let again = keyed_by(&stage.mira, "/orders", &key, cart.clone())
        .await
        .expect(201);
    assert_eq!(
        (again.text.as_str(), again.header("idempotent-replayed")),
        (first.text.as_str(), Some("true"))
    );
    let other = stage.cart(&[(kind, 2)], false);
    let reused = keyed_by(&stage.mira, "/orders", &key, other)
        .await
        .expect(422);
    assert_eq!(reused.problem(), "idempotency-key-reused");
    // The same key of another member, or on another route, is a different key.
    let of_olga = keyed_by(&stage.olga, "/orders", &key, cart.clone())
        .await
        .expect(201);
    assert_ne!(of_olga.id(), first.id());
    assert!(!of_olga.text.contains(&first.id()));
    let refunds = format!("/orders/{}/refunds", first.id());
    keyed_by(&stage.mira, &refunds, &key, json!({}))
        .await
        .expect(201);
    // The same key on the same route with another order in the path is a different request.
    let others = format!("/orders/{}/refunds", of_olga.id());
    keyed_by(&stage.mira, &others, &key, json!({}))
        .await
        .expect(422);

    let routes = demanding(&stage).await;
    assert!(routes.len() >= 8, "{} routes", routes.len());
    for path in &routes {
        let path = path
            .replace("{id}", &first.id())
            .replace("{currency}", "AUD");
        let missing = stage.mira.client.post(&path, json!({})).await.expect(400);
        assert!(
            missing.text.contains("Idempotency-Key"),
            "{path}: {}",
            missing.text
        );
        for bad in [
            "short",
            "with blanks in it, and long",
            &"x".repeat(256),
            "schlüssel-0123456789",
        ] {
            assert_eq!(with_key(&stage.mira, &path, bad).await, 400, "{path} {bad}");
        }
    }
}

/// A member who has used up the daily limit is refused at every route that moves money, before anything is checked;
/// staff selling at the door are exempt.
#[tokio::test]
async fn abuse_35_requests_that_move_money_are_counted_at_every_route() {
    let stage = Stage::changed(false, |parts| parts.keyed_per_day = Some(0)).await;
    let routes = demanding(&stage).await;
    assert!(routes.len() >= 8, "{} routes", routes.len());
    for path in routes {
        let asked = path
            .replace("{id}", &Uuid::now_v7().to_string())
            .replace("{currency}", "AUD");
        let answer = keyed(&stage.mira, &asked, json!({})).await;
        assert_eq!(
            answer.status == 429,
            path != "/door-sales",
            "{path}: {}",
            answer.text
        );
    }
    let kept =
        "select count(*) from requests.keys where method = 'POST' and route <> '/door-sales'";
    let kept: i64 = sqlx::query_scalar(kept)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("a count");
    assert_eq!(kept, 0, "a key of a refused request must not be stored");
}

/// Sends a request with any bytes as a key; returns the status.
async fn with_key(member: &Member, path: &str, key: &str) -> u16 {
    let key = HeaderValue::from_bytes(key.as_bytes()).expect("a header");
    let request = reqwest::Client::new()
        .post(format!("{}{path}", member.client.base()))
        .bearer_auth(&member.token)
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body("{}");
    request.send().await.expect("an answer").status().as_u16()
}

/// While the first request is being processed, the second is told to retry, and then gets the first one's answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_47_a_key_in_flight_is_told_so() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Free", 0, 50).await;
    let (key, cart) = (Uuid::now_v7().to_string(), stage.cart(&[(kind, 1)], false));
    let mut conn = stage.server.superuser().await;
    let lock = format!("begin; select from app.ticket_types where id = '{kind}' for update");
    sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
        .execute(&mut conn)
        .await
        .expect("locked");
    let second = async {
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while stage.number(waiting).await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let second = keyed_by(&stage.mira, "/orders", &key, cart.clone()).await;
        sqlx::raw_sql("commit")
            .execute(&mut conn)
            .await
            .expect("free");
        second
    };
    let (first, second) =
        tokio::join!(keyed_by(&stage.mira, "/orders", &key, cart.clone()), second);
    assert_eq!(
        (second.status.as_u16(), second.problem()),
        (409, "request-in-progress")
    );
    assert!(second.header("retry-after").is_some());
    let third = keyed_by(&stage.mira, "/orders", &key, cart.clone())
        .await
        .expect(201);
    assert_eq!(third.text, first.expect(201).text);
}

/// The service has charged the card, but the result can't be stored: the answer is lost, or storing fails for a while.
#[tokio::test]
async fn abuse_48_an_accident_after_the_charge_charges_and_books_once() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 50).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    stage.credits(&stage.mira, 2_000).await;
    let broken = "create function public.broken() returns trigger language plpgsql as $$
           begin raise exception 'the disk is full' using errcode = '53100'; end $$;
         create trigger broken before update of state on app.orders for each row when (new.state = 'paid')
           execute function public.broken()";
    let mut script = Fault::new(Kind::DropAfter).on("POST", "/v1/payment_intents");
    // The first call creates the payment, the second one charges it.
    (script.skip, script.times) = (1, Some(8));
    for accident in ["the record fails", "the answer is lost"] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], true)
            .await
            .expect(201)
            .id();
        let before = stage.stripe.fake.all("charges").len();
        let (path, key) = (
            format!("/orders/{order}/payments"),
            Uuid::now_v7().to_string(),
        );
        let body = json!({"payment_method_id": card});
        match accident {
            "the record fails" => stage.run(broken).await,
            _ => stage.stripe.fake.add_fault(script.clone()),
        }
        let failed = keyed_by(&stage.mira, &path, &key, body.clone()).await;
        assert!(failed.status.as_u16() >= 500, "{accident}: {}", failed.text);
        assert_eq!(
            stage.stripe.fake.all("charges").len(),
            before + 1,
            "{accident}"
        );
        assert_eq!(stage.state(&order).await, "pending");
        stage.stripe.fake.clear_faults();
        stage
            .run("drop trigger if exists broken on app.orders")
            .await;
        let again = keyed_by(&stage.mira, &path, &key, body).await;
        assert_eq!(again.status, 200, "{accident}: {}", again.text);
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.state(&order).await, "paid", "{accident}");
        assert_eq!(
            stage.stripe.fake.all("charges").len(),
            before + 1,
            "{accident}"
        );
        let journals =
            format!("select count(*) from app.wallet_journals where reference = 'order:{order}'");
        let credits =
            format!("select count(*) from app.orders where id = '{order}' and wallet_cents > 0");
        assert_eq!(
            stage.number(&journals).await,
            stage.number(&credits).await,
            "{accident}"
        );
        stage.books_agree().await;
    }
}

/// Concurrent orders and refunds with credits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_49_balances_are_what_legs_add_up_to_and_nothing_is_edited() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 700, 10_000).await;
    let buyers = people(&stage, "spender", 5).await;
    for buyer in &buyers {
        stage.credits(buyer, 3_000).await;
    }
    let spends = buyers
        .iter()
        .flat_map(|buyer| (0..4).map(move |_| buyer))
        .map(|buyer| async {
            for _ in 0..4 {
                let cart = stage.cart(&[(kind, fastrand::i32(1..4))], true);
                let order = persistent(&stage, buyer, &cart).await;
                if order.status == 201 && order.json["state"] == "paid" && fastrand::bool() {
                    let path = format!("/orders/{}/refunds", order.id());
                    let both = tokio::join!(
                        keyed(buyer, &path, json!({})),
                        keyed(buyer, &path, json!({}))
                    );
                    let done = [&both.0, &both.1]
                        .iter()
                        .filter(|answer| answer.status == 201)
                        .count();
                    assert!(done <= 1, "refunded twice");
                }
            }
        });
    join_all(spends).await;
    let differ = "select count(*) from app.wallet_accounts w where w.user_id is not null and (w.balance_cents < 0
        or w.balance_cents <> (select coalesce(sum(case when t.type = 'credit' then t.amount_cents else -t.amount_cents end), 0)
          from app.wallet_transactions t where t.wallet_id = w.id))";
    assert_eq!(stage.number(differ).await, 0);
    assert!(
        stage
            .number("select count(*) from app.wallet_journals where kind = 'purchase'")
            .await
            > 0
    );
    let over = "select count(*) from app.orders where refunded_cents > amount_cents";
    assert_eq!(stage.number(over).await, 0);
    stage.sound().await;
    // Even with the server's or the modules' database login, entries can't be edited.
    let mut roles = [
        stage.server.database.request_role().await,
        stage.server.database.job_role().await,
    ];
    for table in ["wallet_transactions", "wallet_journals"] {
        for change in [
            format!("update app.{table} set reference = 'x'"),
            format!("delete from app.{table}"),
            format!("truncate app.{table}"),
        ] {
            for conn in &mut roles {
                let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(change.clone()))
                    .execute(&mut *conn)
                    .await;
                let error = refused.expect_err(&change);
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("42501"), "{change}");
            }
        }
    }
    // An order is refunded once, and never more than was paid.
    let rich = &buyers[0];
    stage.credits(rich, 5_000).await;
    let order = persistent(&stage, rich, &stage.cart(&[(kind, 1)], true))
        .await
        .expect(201)
        .id();
    let path = format!("/orders/{order}/refunds");
    keyed(rich, &path, json!({})).await.expect(201);
    assert_eq!(keyed(rich, &path, json!({})).await.status, 409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_52_a_promo_code_counts_once_for_a_person_and_comes_back_with_a_refund() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 1_000, 100).await;
    let promo = json!({"event_id": stage.event, "code": "ONCE50", "basis_points": 5_000, "per_user_limit": 1, "max_redemptions": 2});
    let code = stage
        .olga
        .client
        .post("/promo-codes", promo)
        .await
        .expect(201)
        .id();
    let people = people(&stage, "thrifty", 3).await;
    for person in &people {
        stage.credits(person, 10_000).await;
    }
    let mut cart = stage.cart(&[(kind, 1)], true);
    cart["promo_code"] = json!("once50");
    let answers = join_all((0..20).map(|_| persistent(&stage, &people[0], &cart))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 19));
    // The last redemption goes to one of two buyers.
    let others = (0..12).map(|n| persistent(&stage, &people[1 + n % 2], &cart));
    let answers_of_others = join_all(others).await;
    assert_eq!(count(&answers_of_others, 201), 1);
    let redeemed =
        format!("select redemption_count::int8 from app.promo_codes where id = '{code}'");
    assert_eq!(stage.number(&redeemed).await, 2);
    // After a refund, the code counts as not used.
    let order = answers
        .iter()
        .find(|answer| answer.status == 201)
        .expect("one")
        .id();
    keyed(&people[0], &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    assert_eq!(stage.wallet(&people[0]).await, (10_000, 0));
    assert_eq!(stage.number(&redeemed).await, 1);
    let again = join_all((0..10).map(|_| persistent(&stage, &people[0], &cart))).await;
    assert_eq!(count(&again, 201), 1);
    assert_eq!(stage.number(&redeemed).await, 2);
    stage.sound().await;
}
