//! Credits over HTTP: who grants them, who sees them, how they expire, and what happens when the books disagree.

use super::faults;
use crate::support::{Answer, Member, TestServer, database::Content};
use axum::http::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

struct Stage {
    server: TestServer,
    paula: Member,
    mira: Member,
}

impl Stage {
    async fn new() -> Self {
        let server = TestServer::start_with(Content::Demo, |_| {}).await;
        let paula = server.sign_in(PEOPLE[0].id).await;
        let mira = server.sign_in(PEOPLE[4].id).await;
        Self {
            server,
            paula,
            mira,
        }
    }

    async fn post(&self, member: &Member, path: &str, key: &str, body: Value) -> Answer {
        let headers = [("idempotency-key", key)];
        (member.client)
            .send(Method::POST, path, Some(body), &headers)
            .await
    }

    async fn fund(&self, amount_cents: i64) {
        let body = json!({"amount_cents": amount_cents, "reference": "Spring"});
        let key = Uuid::now_v7().to_string();
        let path = "/wallet/budgets/SEK/fundings";
        self.post(&self.paula, path, &key, body).await.expect(201);
    }

    fn credits(&self, amount_cents: i64) -> Value {
        json!({"user_id": self.mira.id, "kind": "promotion_bonus", "amount_cents": amount_cents, "currency": "SEK",
            "reference": "Opening night"})
    }

    /// Mira's balance, held credits and number of expiring credits in the currency of these tests.
    async fn balance(&self) -> (i64, i64, usize) {
        let mine = self.mira.client.get("/me/wallet").await.expect(200);
        let all = mine.json["data"].as_array().expect("a list");
        let Some(one) = all.iter().find(|one| one["currency"] == "SEK") else {
            return (0, 0, 0);
        };
        let of = |name: &str| one[name].as_i64().expect("an amount");
        assert_eq!(
            of("available_cents"),
            of("balance_cents") - of("held_cents")
        );
        let lapsing = one["lapsing"].as_array().expect("a list").len();
        (of("balance_cents"), of("held_cents"), lapsing)
    }

    async fn sound(&self) {
        let mut conn = self.server.superuser().await;
        assert_eq!(faults(&mut conn).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn w2_w5_credits_come_out_of_a_budget_and_once() {
    let stage = Stage::new().await;
    let key = Uuid::now_v7().to_string();
    // The budget is empty.
    let empty = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await;
    let empty = empty.expect(409);
    assert_eq!(empty.problem(), "insufficient-credits");
    let detail = empty.json["detail"].as_str().expect("a detail");
    assert!(
        detail.contains("budget") && !detail.contains("wallet has"),
        "{detail}"
    );
    stage.fund(800).await;
    let key = Uuid::now_v7().to_string();
    let first = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await
        .expect(201);
    let again = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await
        .expect(201);
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(501))
        .await;
    assert_eq!(other.expect(422).problem(), "idempotency-key-reused");
    assert_eq!(stage.balance().await, (500, 0, 1));
    // Two requests at once for the rest: one succeeds.
    let (one, two) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let (one, two) = tokio::join!(
        stage.post(&stage.paula, "/wallet/credits", &one, stage.credits(200)),
        stage.post(&stage.paula, "/wallet/credits", &two, stage.credits(200)),
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(stage.balance().await, (700, 0, 2));
    stage.sound().await;
    // The transactions are a list like any other.
    let accounts = stage.mira.client.get("/wallet-accounts?currency=SEK").await;
    assert!(accounts.status.is_success() || accounts.status == 422);
}

#[tokio::test]
async fn w4_budgets_are_of_currencies_that_exist_however_they_are_typed() {
    let stage = Stage::new().await;
    let body = json!({"amount_cents": 5, "reference": "Spring"});
    for (typed, status) in [
        ("SEK", 201),
        ("sek", 201),
        ("%20Sek%20", 201),
        ("E", 404),
        ("%20", 404),
        ("SEK%20SGD", 404),
        ("ABC", 404),
    ] {
        let key = Uuid::now_v7().to_string();
        let path = format!("/wallet/budgets/{typed}/fundings");
        let answer = stage.post(&stage.paula, &path, &key, body.clone()).await;
        assert_eq!(answer.status, status, "{typed}: {}", answer.text);
    }
}

#[tokio::test]
async fn t17_w4_nobody_else_gives_sees_or_takes_credits() {
    let stage = Stage::new().await;
    stage.fund(1_000).await;
    let key = Uuid::now_v7().to_string();
    let given = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await
        .expect(201);
    let journal = given.json["journal_id"].as_str().expect("an id").to_owned();
    let mine = stage.mira.client.get("/me/wallet").await.expect(200);
    let wallet = mine.json["data"][0]["wallet_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for person in [1, 2, 3, 5] {
        let other = stage.server.sign_in(PEOPLE[person].id).await;
        let key = Uuid::now_v7().to_string();
        for (path, body) in [
            ("/wallet/credits".to_owned(), stage.credits(5)),
            (
                "/wallet/budgets/SEK/fundings".to_owned(),
                json!({"amount_cents": 5, "reference": "x"}),
            ),
            (
                format!("/wallet-journals/{journal}/reversals"),
                json!({"reason": "x"}),
            ),
        ] {
            stage.post(&other, &path, &key, body).await.expect(403);
        }
        other
            .client
            .get(&format!("/wallet-accounts/{wallet}"))
            .await
            .expect(404);
        let journal = other
            .client
            .get(&format!("/wallet-journals/{journal}"))
            .await;
        assert!([403, 404].contains(&journal.status.as_u16()));
    }
    // Without a key nothing is booked.
    let bare = stage
        .paula
        .client
        .post("/wallet/credits", stage.credits(5))
        .await;
    assert_eq!(bare.expect(400).problem(), "bad-request");
    assert_eq!(stage.balance().await, (500, 0, 1));
}

/// A member's history says what each movement is for: they can't read the journals. It is where the balance says.
#[tokio::test]
async fn w1_the_history_says_what_each_movement_is_for() {
    let stage = Stage::new().await;
    stage.fund(10_000).await;
    let key = Uuid::now_v7().to_string();
    let body = stage.credits(700);
    let given = stage.post(&stage.paula, "/wallet/credits", &key, body);
    given.await.expect(201);
    let client = &stage.mira.client;
    let mine = client.get("/me/wallet").await.expect(200).json;
    let mut balances = mine["data"].as_array().expect("a list").iter();
    let balance = balances.find(|one| one["currency"] == "SEK");
    let wallet = balance.expect("a balance")["wallet_id"].as_str();
    let path = format!("/wallet-accounts/{}/transactions", wallet.expect("an id"));
    let history = client.get(&path).await.expect(200).json;
    assert_eq!(history["data"][0]["kind"], "promotion_bonus");
    let of = async |kind: &str| {
        let page = client.get(&format!("{path}?kind={kind}")).await;
        let page = page.expect(200).json;
        page["data"].as_array().expect("a list").len()
    };
    assert_eq!((of("promotion_bonus").await, of("purchase").await), (1, 0));
    let apart: i64 = sqlx::query_scalar(
        "select count(*) from app.wallet_transactions t join app.wallet_journals j on j.id = t.journal_id
         where t.currency = 'SEK' and t.kind <> j.kind",
    )
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("a count");
    assert_eq!(apart, 0);
}

#[tokio::test]
async fn i_w5_administrators_undo_an_entry_once() {
    let stage = Stage::new().await;
    stage.fund(1_000).await;
    let key = Uuid::now_v7().to_string();
    let given = stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await
        .expect(201);
    let path = format!(
        "/wallet-journals/{}/reversals",
        given.json["journal_id"].as_str().expect("an id")
    );
    let reason = json!({"reason": "Another member was meant"});
    let key = Uuid::now_v7().to_string();
    stage
        .post(&stage.paula, &path, &key, reason.clone())
        .await
        .expect(201);
    assert_eq!(stage.balance().await, (0, 0, 0));
    let key = Uuid::now_v7().to_string();
    stage
        .post(&stage.paula, &path, &key, reason)
        .await
        .expect(409);
    stage.sound().await;
}

#[tokio::test]
async fn w5_credits_lapse_the_oldest_first() {
    let stage = Stage::new().await;
    stage.fund(10_000).await;
    for (amount, expires_at) in [(300, "2040-01-01T00:00:00Z"), (200, "2039-01-01T00:00:00Z")] {
        let mut body = stage.credits(amount);
        body["expires_at"] = json!(expires_at);
        let key = Uuid::now_v7().to_string();
        stage
            .post(&stage.paula, "/wallet/credits", &key, body)
            .await
            .expect(201);
    }
    let past = json!("2020-01-01T00:00:00Z");
    let mut body = stage.credits(5);
    body["expires_at"] = past;
    let key = Uuid::now_v7().to_string();
    stage
        .post(&stage.paula, "/wallet/credits", &key, body)
        .await
        .expect(422);

    // The sample data contain credits that expired some minutes ago.
    let books = &stage.server.built.app.modules.wallet;
    books.lapse().await.expect("lapsed");
    // 250 are spent: all of those that expire first, and 50 of the others.
    let mut conn = stage.server.superuser().await;
    let wallet: Uuid = sqlx::query_scalar("select app.wallet_of($1, 'SEK')")
        .bind(stage.mira.id)
        .fetch_one(&mut conn)
        .await
        .expect("a wallet");
    let cash: Uuid =
        sqlx::query_scalar("select app.system_wallet('platform_cash', null, null, 'SEK')")
            .fetch_one(&mut conn)
            .await
            .expect("cash");
    let legs = json!([{"wallet_id": wallet, "amount_cents": -250}, {"wallet_id": cash, "amount_cents": 250}]);
    sqlx::query("select app.post_journal('purchase', 'a purchase', null, null, null, $1)")
        .bind(legs)
        .execute(&mut conn)
        .await
        .expect("spent");
    let left: Vec<i64> = sqlx::query_scalar(
        "select remaining_cents from app.wallet_credits where wallet_id = $1 order by expires_at",
    )
    .bind(wallet)
    .fetch_all(&mut conn)
    .await
    .expect("credits");
    assert_eq!(left, [0, 250]);

    // Expired credits that are held for a purchase are kept until the hold ends.
    sqlx::query("select app.hold_credits($1, 100, 'an order', now() + interval '1 hour')")
        .bind(wallet)
        .execute(&mut conn)
        .await
        .expect("set aside");
    sqlx::query("update app.wallet_credits set expires_at = now() - interval '1 minute' where wallet_id = $1")
        .bind(wallet)
        .execute(&mut conn)
        .await
        .expect("later");
    assert_eq!(books.lapse().await.expect("lapsed"), 1);
    assert_eq!(stage.balance().await, (100, 100, 1));
    stage.sound().await;
    sqlx::query(
        "update app.wallet_holds set expires_at = now() - interval '1 minute' where wallet_id = $1",
    )
    .bind(wallet)
    .execute(&mut conn)
    .await
    .expect("later");
    assert_eq!(books.lapse().await.expect("lapsed"), 2);
    assert_eq!(stage.balance().await, (0, 0, 0));
    stage.sound().await;
}

#[tokio::test]
async fn w6_an_account_that_does_not_agree_is_frozen() {
    let stage = Stage::new().await;
    stage.fund(10_000).await;
    let key = Uuid::now_v7().to_string();
    stage
        .post(&stage.paula, "/wallet/credits", &key, stage.credits(500))
        .await
        .expect(201);
    let books = &stage.server.built.app.modules.wallet;
    assert_eq!(books.reconcile().await.expect("compared"), 0);
    let mut conn = stage.server.superuser().await;
    sqlx::query("update app.wallet_accounts set balance_cents = balance_cents + 1 where user_id = $1 and currency = 'SEK'")
        .bind(stage.mira.id)
        .execute(&mut conn)
        .await
        .expect("a hand in the till");
    // Two faults: the account, and the sum of all accounts.
    assert_eq!(books.reconcile().await.expect("compared"), 2);
    // Only that account is frozen; the platform can still pay others.
    let frozen: Vec<Option<Uuid>> =
        sqlx::query_scalar("select user_id from app.wallet_accounts where frozen_at is not null")
            .fetch_all(&mut conn)
            .await
            .expect("accounts");
    assert_eq!(frozen, [Some(stage.mira.id)]);
    let wallet: Uuid = sqlx::query_scalar("select app.wallet_of($1, 'SEK')")
        .bind(stage.mira.id)
        .fetch_one(&mut conn)
        .await
        .expect("a wallet");
    let cash: Uuid =
        sqlx::query_scalar("select app.system_wallet('platform_cash', null, null, 'SEK')")
            .fetch_one(&mut conn)
            .await
            .expect("cash");
    let legs =
        json!([{"wallet_id": wallet, "amount_cents": -1}, {"wallet_id": cash, "amount_cents": 1}]);
    let taken =
        sqlx::query("select app.post_journal('purchase', 'a purchase', null, null, null, $1)")
            .bind(legs)
            .execute(&mut conn)
            .await
            .unwrap_err();
    assert_eq!(
        kernel::error::violated(&taken),
        Some("wallet_accounts_frozen")
    );
}
