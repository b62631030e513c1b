//! Accounts of hosts at the payment service: what they can do, and what is taken back from them in a dispute.

use super::stage::{Stage, keyed, onboarded};
use fake_stripe::fault::{Fault, Kind};
use serde_json::json;
use server::seed::demo::PEOPLE;
use std::collections::BTreeSet;
use uuid::Uuid;

#[tokio::test]
async fn p7_a_dispute_takes_the_hosts_part_and_gives_it_again_if_it_is_won() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    for won in [true, false] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let before = stage.host_has();
        stage.confirm(&order, "4242424242424242").await;
        let part = stage.host_has() - before;
        assert!(part > 0);
        let payment = stage.payment_of(&order).await;
        let fake = &stage.stripe.fake;
        let dispute = fake
            .dispute(&payment, "fraudulent", false)
            .expect("a dispute");
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.host_has(), before);
        let seen = stage
            .paula
            .client
            .get("/disputes?state=needs_response")
            .await
            .expect(200);
        assert_eq!(seen.json["data"].as_array().map(Vec::len), Some(1));
        fake.close_dispute(dispute["id"].as_str().expect("an id"), won)
            .expect("a dispute");
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.host_has(), if won { before + part } else { before });
        stage.sound().await;
    }
}

impl Stage {
    async fn host(&self) -> Uuid {
        let path = format!("/events/{}", self.event);
        let event = self.olga.client.get(&path).await.expect(200).json;
        let host = event["host_id"].clone();
        host.as_str()
            .and_then(|id| id.parse().ok())
            .expect("a host")
    }

    /// What an account has by our books, and by those of the service.
    async fn account_has(&self, account: &str) -> (i64, i64) {
        let ours = format!(
            "select (coalesce((select sum(t.amount_cents - t.application_fee_cents) from app.transactions t
               where t.stripe_account_id = '{account}' and t.status in ('succeeded', 'part_refunded', 'refunded')), 0)
             + coalesce((select sum(case when x.kind like '%_reversal' then -x.amount_cents else x.amount_cents end)
               from app.transfers x where x.stripe_account_id = '{account}' and x.state = 'succeeded'), 0))::int8"
        );
        let books = self.stripe.fake.books();
        let theirs = books.get("aud").cloned().unwrap_or_default();
        let theirs = theirs.accounts.get(account).copied().unwrap_or_default();
        (self.number(&ours).await, theirs)
    }
}

/// A host has disconnected its account and opened another one. What a dispute had taken is sent to the new one, and each
/// transfer names the account whose money it moves.
#[tokio::test]
async fn p7_c1_money_of_two_accounts_of_a_host_is_kept_apart() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    stage.credits(&stage.mira, 2000).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    let dispute = stage.disputed(&order).await;
    let fake = &stage.stripe.fake;
    fake.deauthorize(&stage.account).expect("an account");
    stage.stripe.deliver(&stage.server).await;
    let host = stage.host().await;
    let new = onboarded(&stage.server, &stage.stripe, &stage.olga, host).await;
    assert_ne!(new, stage.account);
    stage.decided(&dispute, true).await;
    let (ours, theirs) = stage.account_has(&new).await;
    assert!(ours > 0 && ours == theirs, "{ours} {theirs}");
    let (ours, theirs) = stage.account_has(&stage.account).await;
    assert!(ours > 0 && ours == theirs, "{ours} {theirs}");
    stage.sound().await;
    // A refund takes back from each what it has received.
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    for account in [&stage.account, &new] {
        assert_eq!(stage.account_has(account).await, (0, 0));
    }
    stage.sound().await;
}

/// C5: the job that sends what credits have paid tries for three days. If the host's account takes money again later, the
/// reconciler sends it, once.
#[tokio::test]
async fn c5_what_credits_have_paid_is_sent_once_the_account_takes_money_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    stage.credits(&stage.mira, 2000).await;
    let fake = &stage.stripe.fake;
    let can = async |enabled: bool| {
        let change = json!({"payouts_enabled": enabled});
        fake.change_account(&stage.account, &change)
            .expect("an account");
        stage.stripe.deliver(&stage.server).await;
    };
    let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = order.expect(201).id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    can(false).await;
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    // The job has given up.
    stage
        .run(format!(
            "delete from jobs.queue where name = 'payments.top_up';
             set session_replication_role = replica;
             update app.orders set paid_at = paid_at - interval '4 days' where id = '{order}'"
        ))
        .await;
    let sent = format!(
        "select count(*) from app.transfers where order_id = '{order}' and kind = 'top_up' and state = 'succeeded'"
    );
    let reconcile = async || {
        let payments = stage.payments();
        payments.reconcile_all(Uuid::now_v7()).await.expect("a run");
        stage.server.settled().await;
    };
    reconcile().await;
    assert_eq!(stage.number(&sent).await, 0);
    can(true).await;
    for _ in 0..2 {
        reconcile().await;
        assert_eq!(stage.number(&sent).await, 1);
    }
    let part = format!("select organizer_cents from app.orders where id = '{order}'");
    assert_eq!(stage.host_has(), stage.number(&part).await);
    stage.sound().await;
}

#[tokio::test]
async fn c1_hosts_without_an_account_sell_nothing_that_costs() {
    let stage = Stage::new().await;
    let free = stage.tickets("Free", 0, 10).await;
    let dear = stage.tickets("Seat", 4500, 10).await;
    let waiting = stage
        .order(&stage.mira, &[(dear, 1)], false)
        .await
        .expect(201)
        .id();
    stage
        .pay(&stage.mira, &waiting, json!({}))
        .await
        .expect(200);

    let change = json!({"payouts_enabled": false});
    stage
        .stripe
        .fake
        .change_account(&stage.account, &change)
        .expect("an account");
    stage.stripe.deliver(&stage.server).await;
    let refused = stage
        .order(&stage.mira, &[(dear, 1)], false)
        .await
        .expect(409);
    assert_eq!(refused.problem(), "host-cannot-be-paid");
    let cart = stage.cart(&[(dear, 1)], false);
    let refused = stage
        .mira
        .client
        .post("/orders/price", cart)
        .await
        .expect(409);
    assert_eq!(refused.problem(), "host-cannot-be-paid");
    stage
        .order(&stage.mira, &[(free, 1)], false)
        .await
        .expect(201);
    // Payments that had begun are finished.
    stage.confirm(&waiting, "4242424242424242").await;
    assert_eq!(stage.state(&waiting).await, "paid");

    stage
        .stripe
        .fake
        .deauthorize(&stage.account)
        .expect("an account");
    stage.stripe.deliver(&stage.server).await;
    let accounts = stage
        .olga
        .client
        .get("/connected-accounts")
        .await
        .expect(200);
    assert_eq!(accounts.json["data"][0]["is_ready"], false);
    assert!(accounts.json["data"][0]["deauthorized_at"].is_string());
}

/// C1: for a host without an account, an event with tickets that cost something can't be published, nor can such
/// tickets be added to a published event. Tickets that are sold at the door only need no account.
#[tokio::test]
async fn c1_paid_tickets_are_not_published_for_a_host_without_an_account() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let free = stage.tickets("Free", 0, 10).await;
    let draft = draft(&stage).await;
    let seat = json!({"event_id": draft, "name": "Seat", "price_cents": 4500, "currency": "AUD", "capacity": 10});
    olga.post("/ticket-types", seat.clone()).await.expect(201);
    let publish = format!("/events/{draft}/publish");
    let on_sale = |name: &str, door_only: bool| {
        let mut body = seat.clone();
        (body["event_id"], body["name"]) = (json!(stage.event), json!(name));
        body["door_only"] = json!(door_only);
        body
    };
    let payouts = async |enabled: bool| {
        let change = json!({"payouts_enabled": enabled});
        let fake = &stage.stripe.fake;
        fake.change_account(&stage.account, &change)
            .expect("an account");
        stage.stripe.deliver(&stage.server).await;
    };

    payouts(false).await;
    let refused = olga.act(&publish).await.expect(409);
    assert_eq!(refused.problem(), "host-cannot-be-paid");
    for said in ["`Seat`", "/onboarding", "`door_only`"] {
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    let added = olga.post("/ticket-types", on_sale("Balcony", false)).await;
    assert_eq!(added.expect(409).problem(), "host-cannot-be-paid");
    let path = format!("/ticket-types/{free}");
    let dearer = olga.patch(&path, "*", json!({"price_cents": 4500})).await;
    assert_eq!(dearer.expect(409).problem(), "host-cannot-be-paid");
    olga.patch(&path, "*", json!({"capacity": 12}))
        .await
        .expect(200);

    let at_door = olga.post("/ticket-types", on_sale("Rush", true)).await;
    let at_door: Uuid = at_door.expect(201).id().parse().expect("an id");
    let ordered = stage.order(&stage.mira, &[(at_door, 1)], false).await;
    assert_eq!(ordered.expect(409).problem(), "not-on-sale");
    let cart = stage.cart(&[(at_door, 1)], false);
    keyed(&stage.olga, "/door-sales", cart).await.expect(201);

    // With an account that can take payments, all of this is accepted.
    payouts(true).await;
    olga.act(&publish).await.expect(200);
    olga.post("/ticket-types", on_sale("Balcony", false))
        .await
        .expect(201);
    olga.patch(&path, "*", json!({"price_cents": 4500}))
        .await
        .expect(200);
}

/// Another event of the same host, still a draft.
pub async fn draft(stage: &Stage) -> String {
    let olga = &stage.olga.client;
    let like = olga.get(&format!("/events/{}", stage.event)).await;
    let like = like.expect(200).json;
    let mut body = json!({"title": "A later evening", "online_url": "https://example.org/stream"});
    for field in [
        "starts_at",
        "ends_at",
        "timezone",
        "host_type",
        "host_id",
        "city_id",
    ] {
        body[field] = like[field].clone();
    }
    olga.post("/events", body).await.expect(201).id()
}

/// C7: the earnings of a city are added up by month, any number of times; a closed month doesn't change.
#[tokio::test]
async fn c7_a_citys_share_is_that_of_its_orders_less_its_refunds() {
    let stage = Stage::new().await;
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql("delete from app.revenue_shares")
        .execute(&mut conn)
        .await
        .expect("gone");
    let share = "select coalesce(sum(amount_cents), 0)::int8 from app.revenue_shares s join app.cities c on c.id = s.city_id
        where c.slug = 'melbourne' and s.currency = 'AUD'";
    let accrue = async || {
        let payments = stage.payments();
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        let mut conn = stage.server.superuser().await;
        let sum: i64 = sqlx::query_scalar(share)
            .fetch_one(&mut conn)
            .await
            .expect("a sum");
        sum
    };
    let before = accrue().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 2)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    let part: i64 =
        sqlx::query_scalar("select city_share_cents from app.orders where id = $1::text::uuid")
            .bind(&order)
            .fetch_one(&mut conn)
            .await
            .expect("an order");
    assert!(part > 0);
    assert_eq!(accrue().await, before + part);
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(accrue().await, before);
    sqlx::raw_sql(
        "update app.revenue_shares set state = 'closed', amount_cents = amount_cents + 7",
    )
    .execute(&mut conn)
    .await
    .expect("closed");
    let rows: i64 = sqlx::query_scalar(
        "select count(*) from app.revenue_shares s join app.cities c on c.id = s.city_id where c.slug = 'melbourne' and s.currency = 'AUD'",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a count");
    assert_eq!(accrue().await, before + 7 * rows);
}

/// Only one account is created, even if the answer is lost; each link is a new one; and the account's abilities are
/// taken from the service, not from the fact that somebody returns from its pages.
#[tokio::test]
async fn c9_an_account_is_made_once_and_each_link_is_new() {
    for has_keys in [true, false] {
        let stage = Stage::new().await;
        let fake = &stage.stripe.fake;
        if !has_keys {
            // The control: with new keys for each attempt, there are two accounts.
            stage.stripe.forget_keys();
        }
        let carlo = stage.server.sign_in(PEOPLE[1].id).await;
        let city = stage.server.city("melbourne").await;
        let before = fake.all("accounts").len();
        let mut fault = Fault::new(Kind::DropAfter).on("POST", "/v1/accounts");
        fault.times = Some(1);
        fake.add_fault(fault);
        let path = format!("/cities/{city}/onboarding");
        let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
        let mut links = Vec::new();
        for _ in 0..3 {
            let link = carlo.client.post(&path, body.clone()).await.expect(200);
            links.push((
                link.json["connected_account_id"].clone(),
                link.json["url"].clone(),
            ));
        }
        let made = fake.all("accounts").len() - before;
        assert_eq!(made, if has_keys { 1 } else { 2 });
        assert!(links.iter().all(|link| link.0 == links[0].0));
        let urls: BTreeSet<String> = links.iter().map(|link| link.1.to_string()).collect();
        assert_eq!(urls.len(), 3);
        let is_ready = async || {
            let path = "/connected-accounts?owner_type=city";
            let shown = carlo.client.get(path).await.expect(200);
            shown.json["data"][0]["is_ready"].clone()
        };
        let known: String = sqlx::query_scalar(
            "select stripe_account_id from app.connected_accounts where owner_type = 'city' and owner_id = $1",
        )
        .bind(city)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("an account");
        fake.onboard(&known).expect("an account");
        assert_eq!(is_ready().await, false);
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(is_ready().await, true);
    }
}
