//! Every operation is run again after a deadlock, at whichever of its statements: the other transaction goes on, and what
//! this one has done is undone.

use super::{
    acts,
    stage::{self, Stage},
};
use crate::{
    endings::{
        named::Book,
        operations::GOODS,
        scene::{Hall, Scene},
    },
    support::{Answer, Client, TestServer, locks::until_waiting, people},
    trending::stage::run,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::future::Future;
use uuid::Uuid;

const STUMBLE: &str = include_str!("stumble.sql");
const SCHEMA: &str = "create schema if not exists tests;";

/// Sends a request whose `at`-th writing statement meets a deadlock. Returns the answer, and how many statements have
/// written.
async fn at(
    server: &TestServer,
    number: i64,
    request: impl Future<Output = Answer>,
) -> (Answer, i64) {
    let mut conn = server.superuser().await;
    let begin =
        format!("update tests.stumbles set at = {number}; select setval('tests.writes', 1, false)");
    run(&mut conn, begin).await;
    let answer = request.await;
    let written: i64 =
        sqlx::query_scalar("select last_value - (not is_called)::int from tests.writes")
            .fetch_one(&mut conn)
            .await
            .expect("a number");
    run(&mut conn, "update tests.stumbles set at = 0".to_owned()).await;
    (answer, written)
}

/// The first, the last, and one between them.
fn numbers(written: i64) -> Vec<i64> {
    let mut all = vec![1, written / 2, written];
    all.retain(|number| *number > 0);
    all.dedup();
    all
}

/// Of so many operations one is tried; `PAIRS_EVERY=1` tries all.
const EVERY: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hand_written_operations_are_run_again_after_a_deadlock() {
    let hall = Hall::new().await;
    let mut conn = hall.server.superuser().await;
    run(&mut conn, STUMBLE.to_owned()).await;
    let book = Book::of(crate::support::documented::document());
    let (mut faults, mut tried) = (Vec::new(), 0);
    let goods = GOODS
        .iter()
        .filter(|good| !book.is_read(good) && super::is_played(good.operation, EVERY));
    for good in goods {
        let scene = Scene::new(&hall, good.group).await;
        hall.server.settled().await;
        let (answer, written) = at(&hall.server, 0, book.send(good, &scene)).await;
        let wanted = answer.status;
        for number in numbers(written) {
            let scene = Scene::new(&hall, good.group).await;
            hall.server.settled().await;
            let (answer, _) = at(&hall.server, number, book.send(good, &scene)).await;
            tried += 1;
            if answer.status != wanted {
                faults.push(format!(
                    "{} at statement {number} of {written}: {} {}",
                    good.operation, answer.status, answer.text
                ));
            }
        }
    }
    println!("{tried} tried");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 10, "{tried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_operations_are_run_again_after_a_deadlock() {
    let stage = Stage::new().await;
    let server = &stage.hall.server;
    let mut conn = server.superuser().await;
    run(&mut conn, STUMBLE.to_owned()).await;
    let (mut faults, mut tried) = (Vec::new(), 0);
    for (label, acts) in super::all_acts(&stage).await {
        let played = acts
            .into_iter()
            .filter(|act| super::is_played(&act.name(), EVERY));
        for act in played {
            let mut numbers_left = vec![0];
            while let Some(number) = numbers_left.pop() {
                let mut scene = stage.scene().await;
                assert!(stage::prepare(&mut scene, &label, &act.start).await);
                let request = act.request(&mut scene, true).await;
                let (answer, written) = at(server, number, request.send()).await;
                tried += 1;
                if !answer.status.is_success() {
                    faults.push(format!(
                        "{} at statement {number}: {} {}",
                        act.name(),
                        answer.status,
                        answer.text
                    ));
                }
                if number == 0 {
                    numbers_left = numbers(written);
                }
            }
        }
    }
    println!("{tried} tried");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The negative control: a request that meets a deadlock each time is told to come again.
    let (act, _) = (acts::of(&stage, "organization").await.remove(0), ());
    let mut scene = stage.scene().await;
    let request = act.request(&mut scene, true).await;
    let (answer, _) = at(server, -1, request.send()).await;
    answer.expect(503);
}

/// A member who was signed up by mail, for requests about the own account.
struct Account<'s> {
    server: &'s TestServer,
    handle: String,
    /// The number of the statement at which each request meets a deadlock.
    number: i64,
    /// How many requests have met one.
    met: usize,
    faults: Vec<String>,
}

impl Account<'_> {
    async fn post(&mut self, client: &Client, path: &str, body: Value) -> Answer {
        self.send(Method::POST, client, path, body).await
    }

    async fn send(&mut self, method: Method, client: &Client, path: &str, body: Value) -> Answer {
        let body = Some(body).filter(|body| !body.is_null());
        let sent = client.send(method, path, body, &[]);
        let (answer, written) = at(self.server, self.number, sent).await;
        self.met += usize::from((1..=written).contains(&self.number));
        if !answer.status.is_success() {
            let number = self.number;
            self.faults.push(format!(
                "{path} at statement {number} of {written}: {} {}",
                answer.status, answer.text
            ));
        }
        answer
    }

    async fn mailed(&self, to: &str, before: usize) -> String {
        people::mailed_token(self.server, to, before).await
    }

    async fn live(&mut self) {
        let anybody = self.server.client.clone();
        let (handle, password) = (self.handle.clone(), people::PASSWORD);
        let address = people::address(&handle);
        let before = self.server.mailer.count();
        let wish = json!({"email": address, "handle": handle, "display_name": handle});
        self.post(&anybody, "/auth/sign-up", wish).await;
        let token = self.mailed(&address, before).await;
        self.post(
            &anybody,
            "/auth/verify-email",
            json!({"token": token, "password": password}),
        )
        .await;
        let credentials = json!({"email": address, "password": password});
        let signed = self
            .post(&anybody, "/auth/sign-in", credentials.clone())
            .await;
        let other = self.post(&anybody, "/auth/sign-in", credentials).await;
        let me = anybody.with_token(signed.json["access_token"].as_str().unwrap_or_default());
        let refresh = json!({"refresh_token": signed.json["refresh_token"]});
        self.post(&anybody, "/auth/refresh", refresh).await;
        self.post(&me, "/auth/step-up", json!({"password": password}))
            .await;
        let before = self.server.mailer.count();
        let new = format!("new_{address}");
        self.send(Method::PUT, &me, "/me/email", json!({"email": new}))
            .await;
        let token = self.mailed(&new, before).await;
        self.post(&anybody, "/auth/confirm-email", json!({"token": token}))
            .await;
        let changed = json!({"current_password": password, "password": "eight large elephants"});
        self.send(Method::PUT, &me, "/me/password", changed).await;
        drop(other);
        let before = self.server.mailer.count();
        self.post(&anybody, "/auth/forgot-password", json!({"email": new}))
            .await;
        let token = self.mailed(&new, before).await;
        self.post(
            &anybody,
            "/auth/reset-password",
            json!({"token": token, "password": password}),
        )
        .await;
        let credentials = json!({"email": new, "password": password});
        for path in ["/auth/sign-out", "/auth/sign-out-everywhere"] {
            let signed = self
                .post(&anybody, "/auth/sign-in", credentials.clone())
                .await;
            let me = anybody.with_token(signed.json["access_token"].as_str().unwrap_or_default());
            self.post(&me, path, Value::Null).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_about_an_account_are_run_again_after_a_deadlock() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    run(&mut conn, format!("{SCHEMA} {STUMBLE}")).await;
    let (mut faults, mut met) = (Vec::new(), 0);
    for number in 0..8 {
        let mut account = Account {
            server: &server,
            handle: format!(
                "stumbler_{number}_{}",
                &Uuid::new_v4().simple().to_string()[..6]
            ),
            number,
            met: 0,
            faults: Vec::new(),
        };
        account.live().await;
        faults.extend(account.faults);
        met += account.met;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(met > 30, "only {met} have met a deadlock");
}

/// A phone registers itself, for messages, while its member signs out everywhere: both want the row of the phone and that
/// of the session, in opposite orders. Whoever is stopped by the database is run again, so nobody stays signed in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_out_while_a_phone_registers_itself_is_signed_out() {
    let server = TestServer::start().await;
    let member = server.member("ana").await;
    let (mut gate, mut watch) = (server.superuser().await, server.superuser().await);
    let phone = json!({"platform": "ios", "push_token": "token of a phone"});
    member
        .client
        .post("/devices", phone.clone())
        .await
        .expect(201);
    run(
        &mut gate,
        "begin; select from app.devices for update".to_owned(),
    )
    .await;
    let client = member.client.clone();
    let registered = tokio::spawn(async move { client.post("/devices", phone).await });
    until_waiting(&mut watch, "app.devices", 1).await;
    let client = member.client.clone();
    let signed_out = tokio::spawn(async move { client.act("/auth/sign-out-everywhere").await });
    until_waiting(&mut watch, "app.devices", 2).await;
    run(&mut gate, "commit".to_owned()).await;
    signed_out.await.expect("no panic").expect(204);
    let registered = registered.await.expect("no panic").status.as_u16();
    assert!([201, 401].contains(&registered), "{registered}");
    member.client.get("/me").await.expect(401);
    let live = "select count(*) from app.devices where status = 'active'";
    let live: i64 = sqlx::query_scalar(live)
        .fetch_one(&mut watch)
        .await
        .expect("a number");
    assert_eq!(live, 0);
}
