//! Accounts of hosts at the payment service: what they can do, and what is taken back from them in a dispute.

use super::stage::{Stage, keyed};
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
async fn draft(stage: &Stage) -> String {
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
