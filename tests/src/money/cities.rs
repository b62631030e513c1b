//! The earnings of cities are sent to them once, and are never negative.

use super::stage::Stage;
use crate::support::Member;
use futures_util::future::join_all;
use serde_json::json;
use server::seed::demo::PEOPLE;
use uuid::Uuid;

struct Hall {
    stage: Stage,
    carlo: Member,
    city: Uuid,
    account: String,
}

impl Hall {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let carlo = stage.server.sign_in(PEOPLE[1].id).await;
        let city = stage.server.city("melbourne").await;
        let path = format!("/cities/{city}/onboarding");
        let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
        stage
            .olga
            .client
            .post(&path, body.clone())
            .await
            .expect(403);
        carlo.client.post(&path, body).await.expect(200);
        let account = stage.stripe.fake.all("accounts").into_iter();
        let mut account = account.filter_map(|account| account["id"].as_str().map(str::to_owned));
        let account = account.rfind(|account| *account != stage.account);
        let hall = Self {
            account: account.expect("the city's account"),
            stage,
            carlo,
            city,
        };
        sqlx::raw_sql("delete from app.revenue_shares")
            .execute(&mut hall.stage.server.superuser().await)
            .await
            .expect("gone");
        hall
    }

    async fn ready(&self) {
        let fake = &self.stage.stripe.fake;
        fake.onboard(&self.account).expect("an account");
        self.stage.stripe.deliver(&self.stage.server).await;
    }

    async fn earned(&self, month: &str, amount_cents: i64, state: &str) {
        sqlx::query(
            "insert into app.revenue_shares (city_id, currency, period_start, amount_cents, state) values ($1, 'AUD', $2::text::date, $3, $4)",
        )
        .bind(self.city)
        .bind(month)
        .bind(amount_cents)
        .bind(state)
        .execute(&mut self.stage.server.superuser().await)
        .await
        .expect("a month");
    }

    async fn pay(&self) -> usize {
        let payments = self.stage.payments();
        let begun = payments.pay_cities_now(Uuid::now_v7()).await.expect("paid");
        self.stage.server.settled().await;
        begun
    }

    /// The number of months in a state, as the city's administrator sees them.
    async fn months(&self, state: &str) -> usize {
        let path = format!("/revenue-shares?city_id={}&state={state}", self.city);
        let seen = self.carlo.client.get(&path).await.expect(200);
        seen.json["data"].as_array().expect("months").len()
    }

    /// What has been sent to the city's account.
    fn has(&self) -> i64 {
        let sent = self.stage.stripe.fake.all("transfers").into_iter();
        sent.filter(|transfer| transfer["destination"] == *self.account)
            .filter_map(|transfer| transfer["amount"].as_i64())
            .sum()
    }
}

#[tokio::test]
async fn c7_a_city_is_paid_once_for_what_is_closed() {
    let hall = Hall::new().await;
    hall.earned("2026-01-01", 500, "closed").await;
    hall.earned("2026-02-01", -200, "closed").await;
    hall.earned("2026-03-01", 700, "closed").await;
    hall.earned("2026-04-01", 900, "open").await;
    // An account that can't receive payments yet is skipped.
    assert_eq!(hall.pay().await, 0);
    hall.ready().await;
    let begun = join_all((0..4).map(|_| hall.pay())).await;
    assert_eq!(begun.iter().sum::<usize>(), 1);
    assert_eq!(hall.has(), 1000);
    assert_eq!(hall.months("paid").await, 3);
    assert_eq!(hall.months("open").await, 1);
    assert_eq!(hall.pay().await, 0);
    hall.stage.sound().await;
    // Each side sees only its own.
    let mira = &hall.stage.mira.client;
    let list = format!("/revenue-shares?city_id={}", hall.city);
    mira.get(&list).await.expect(403);
    let list = format!("/transfers?city_id={}", hall.city);
    let seen = hall.carlo.client.get(&list).await.expect(200);
    assert_eq!(seen.json["data"][0]["amount_cents"], 1000);
}

/// A month is closed five days after its end, by the clock of the database, and not before.
#[tokio::test]
async fn c7_a_month_is_closed_five_days_after_its_end() {
    let hall = Hall::new().await;
    hall.earned("2026-01-01", 500, "open").await;
    let payments = hall.stage.payments();
    let closed = async |days_and_hours: &str| {
        // The month that has ended this long before now, as seen by the job.
        hall.stage
            .run(format!(
                "update app.revenue_shares set state = 'open',
                   period_start = ((now() at time zone 'UTC') - interval '1 month' - interval '{days_and_hours}')::date"
            ))
            .await;
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        hall.months("closed").await
    };
    assert_eq!(closed("4 days").await, 0);
    assert_eq!(closed("7 days").await, 1);
}

#[tokio::test]
async fn c7_a_month_below_nothing_is_carried_over() {
    let hall = Hall::new().await;
    hall.ready().await;
    hall.earned("2026-01-01", -500, "closed").await;
    assert_eq!(hall.pay().await, 0);
    hall.earned("2026-02-01", 500, "closed").await;
    assert_eq!(hall.pay().await, 0);
    hall.earned("2026-03-01", 300, "closed").await;
    assert_eq!(hall.pay().await, 1);
    assert_eq!(hall.has(), 300);
    assert_eq!(hall.months("paid").await, 3);
    hall.stage.sound().await;
}

/// Months that are together more than one transfer takes are sent one after the other, and none of them twice.
#[tokio::test]
async fn c7_months_that_one_transfer_cannot_take_follow_in_others() {
    let hall = Hall::new().await;
    hall.ready().await;
    let fake = &hall.stage.stripe.fake;
    fake.move_money(None, "aud", 400_000_000)
        .expect("a balance");
    for (month, amount) in [
        ("2026-01-01", 60_000_000),
        ("2026-02-01", 39_999_999),
        ("2026-03-01", 60_000_000),
        ("2026-04-01", -1),
    ] {
        hall.earned(month, amount, "closed").await;
    }
    let begun = join_all((0..3).map(|_| hall.pay())).await;
    assert!(begun.iter().sum::<usize>() >= 1);
    hall.pay().await;
    assert_eq!(hall.has(), 159_999_998);
    assert_eq!(hall.months("paid").await, 4);
    assert_eq!(hall.pay().await, 0);
    hall.stage.sound().await;
    // The control: the service takes no more at once, and a month that is more by itself is left to people.
    hall.earned("2026-05-01", 100_000_000, "closed").await;
    assert_eq!(hall.pay().await, 0);
    assert_eq!(hall.months("closed").await, 1);
    hall.stage.sound().await;
}

/// What the service refuses for good is not tried again every hour.
#[tokio::test]
async fn c7_a_transfer_that_was_refused_waits_a_day() {
    let hall = Hall::new().await;
    hall.ready().await;
    hall.earned("2026-01-01", 500, "closed").await;
    let refuses = |currencies: &[&str]| {
        let change = json!({"refused_currencies": currencies});
        let changed = hall
            .stage
            .stripe
            .fake
            .change_account(&hall.account, &change);
        changed.expect("an account");
    };
    let a_day_passes = async || {
        let text = "set session_replication_role = replica;
            update app.transfers set settled_at = settled_at - interval '25 hours' where state = 'failed'";
        hall.stage.run(text).await;
    };
    refuses(&["aud"]);
    assert_eq!(hall.pay().await, 1);
    for _ in 0..2 {
        assert_eq!(hall.pay().await, 0);
    }
    // The control: a day later it is.
    a_day_passes().await;
    assert_eq!(hall.pay().await, 1);
    assert_eq!((hall.has(), hall.months("closed").await), (0, 1));
    // An administrator who has corrected the cause need not wait.
    refuses(&[]);
    assert_eq!(hall.pay().await, 0);
    let paula = &hall.stage.paula.client;
    let failed = paula.get("/transfers?state=failed").await.expect(200).json;
    let retry = format!(
        "/transfers/{}/retry",
        failed["data"][0]["id"].as_str().expect("an id")
    );
    paula.act(&retry).await.expect(202);
    hall.stage.server.settled().await;
    assert_eq!((hall.has(), hall.months("paid").await), (500, 1));
    paula.act(&retry).await.expect(409);
    hall.stage.sound().await;
}

/// A retry sends no more than is owed: a later month below nothing is deducted first.
#[tokio::test]
async fn c7_a_retry_sends_nothing_to_a_city_that_owes() {
    let hall = Hall::new().await;
    hall.ready().await;
    hall.earned("2026-01-01", 500, "closed").await;
    let refuses = |currencies: &[&str]| {
        let change = json!({"refused_currencies": currencies});
        let fake = &hall.stage.stripe.fake;
        fake.change_account(&hall.account, &change)
            .expect("an account");
    };
    refuses(&["aud"]);
    assert_eq!(hall.pay().await, 1);
    refuses(&[]);
    hall.earned("2026-02-01", -700, "closed").await;
    let paula = &hall.stage.paula.client;
    let failed = paula.get("/transfers?state=failed").await.expect(200).json;
    let id = failed["data"][0]["id"].as_str().expect("an id");
    let retry = format!("/transfers/{id}/retry");
    let retried = paula.act(&retry).await;
    hall.stage.server.settled().await;
    assert_eq!(
        (hall.has(), hall.months("closed").await),
        (0, 2),
        "{}",
        retried.text
    );
    // Once it has earned more than that, it gets the difference.
    hall.earned("2026-03-01", 300, "closed").await;
    paula.act(&retry).await.expect(202);
    hall.stage.server.settled().await;
    assert_eq!((hall.has(), hall.months("paid").await), (100, 3));
    hall.stage.sound().await;
}
