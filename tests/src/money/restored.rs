//! C1, C2: tickets that could not be put on sale are not restored into a sale either, by themselves or with their event; and
//! what comes back in another way, or can't be ordered any more, is told to the host.

use super::{
    hosts::draft,
    stage::{Stage, onboarded},
};
use crate::support::Answer;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

impl Stage {
    async fn account_can(&self, pay_out: bool) {
        let change = json!({"payouts_enabled": pay_out});
        let changed = self.stripe.fake.change_account(&self.account, &change);
        changed.expect("an account");
        self.stripe.deliver(&self.server).await;
    }

    /// Looks for tickets that nobody can order. Returns whether the stage's event has any, and how many notifications of it
    /// Olga has.
    async fn watched(&self) -> (bool, i64) {
        let looked = self.payments().watch_sales_now(Uuid::now_v7()).await;
        looked.expect("a run");
        let stops = "select count(*) from app.sales_stops where event_id = '{event}'";
        let is_stopped = self.number(stops).await == 1;
        (is_stopped, self.notified("sales_stopped").await)
    }

    /// How many notifications with this message Olga has, of this event or of none.
    async fn notified(&self, message: &str) -> i64 {
        self.server.settled().await;
        let count = format!(
            "select count(*) from app.notifications where user_id = '{}' and data ->> 'message' = '{message}'
               and (event_id is null or event_id = '{{event}}')",
            self.olga.id
        );
        self.number(&count).await
    }

    /// A commission rule of the platform for tickets in vatu.
    async fn rule_for_vatu(&self) -> String {
        let body = json!({"type": "ticket", "basis_points": 500, "currency": "VUV", "valid_from": "2026-01-01T00:00:00Z"});
        let made = self.paula.client.post("/commission-rules", body).await;
        format!("/commission-rules/{}", made.expect(201).id())
    }
}

fn refused(answer: Answer, problem: &str, part: &str) {
    let answer = answer.expect(409);
    assert_eq!(answer.problem(), problem);
    assert!(answer.text.contains(part), "{}", answer.text);
}

#[tokio::test]
async fn c1_c2_tickets_are_restored_only_if_they_could_be_put_on_sale() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let rule = stage.rule_for_vatu().await;
    let kind = |name: &str, price: i64, currency: &str, door_only: bool| {
        json!({"event_id": stage.event, "name": name, "price_cents": price, "currency": currency, "capacity": 10,
            "door_only": door_only})
    };
    let mut paths = Vec::new();
    for body in [
        kind("Seat", 4_500, "AUD", false),
        kind("Hut", 4_500, "VUV", false),
        kind("Free", 0, "VUV", false),
        kind("Door", 4_500, "VUV", true),
    ] {
        let made = olga.post("/ticket-types", body).await.expect(201).id();
        let path = format!("/ticket-types/{made}");
        olga.delete(&path).await.expect(204);
        paths.push(format!("{path}/restore"));
    }
    let [seat, hut, free, door] = &paths[..] else {
        panic!("four types");
    };
    stage.account_can(false).await;
    stage.paula.client.delete(&rule).await.expect(204);
    for path in [free, door] {
        olga.act(path).await.expect(200);
    }
    refused(olga.act(seat).await, "host-cannot-be-paid", "`Seat`");
    // Strangers learn nothing of it.
    stage.mira.client.act(seat).await.expect(403);
    stage.account_can(true).await;
    olga.act(seat).await.expect(200);
    refused(olga.act(hut).await, "tickets-cannot-be-sold", "VUV");
    // While the event is a draft, nothing is on sale; publishing it asks.
    stage.rule_for_vatu().await;
    olga.act(hut).await.expect(200);
    stage.sound().await;
}

#[tokio::test]
async fn c1_c2_an_event_is_restored_only_if_its_tickets_could_be_put_on_sale() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let event = draft(&stage).await;
    let path = format!("/events/{event}");
    let seat = json!({"event_id": event, "name": "Seat", "price_cents": 4_500, "currency": "AUD", "capacity": 10});
    olga.post("/ticket-types", seat).await.expect(201);
    // One that was archived before stays so, and nobody asks for it.
    let rule = stage.rule_for_vatu().await;
    let hut = json!({"event_id": event, "name": "Hut", "price_cents": 4_500, "currency": "VUV", "capacity": 10});
    let hut = olga.post("/ticket-types", hut).await.expect(201).id();
    olga.delete(&format!("/ticket-types/{hut}"))
        .await
        .expect(204);
    stage.paula.client.delete(&rule).await.expect(204);
    let restore = format!("{path}/restore");
    // A draft comes back whatever it sells.
    olga.delete(&path).await.expect(204);
    stage.account_can(false).await;
    olga.act(&restore).await.expect(200);
    stage.account_can(true).await;
    olga.act(&format!("{path}/publish")).await.expect(200);
    olga.delete(&path).await.expect(204);
    stage.account_can(false).await;
    refused(olga.act(&restore).await, "host-cannot-be-paid", "`Seat`");
    stage.account_can(true).await;
    let all = "/commission-rules?type=ticket&currency=AUD&limit=100";
    let rules = stage.paula.client.get(all).await.expect(200).json;
    for rule in rules["data"].as_array().expect("rules") {
        let rule = format!("/commission-rules/{}", rule["id"].as_str().expect("an id"));
        stage.paula.client.delete(&rule).await.expect(204);
    }
    refused(olga.act(&restore).await, "tickets-cannot-be-sold", "`Seat`");
    let body = json!({"type": "ticket", "basis_points": 500, "currency": "AUD", "valid_from": "2026-01-01T00:00:00Z"});
    let made = stage.paula.client.post("/commission-rules", body).await;
    made.expect(201);
    let back = olga.act(&restore).await.expect(200).json;
    assert_eq!(back["state"], "published");
    let kinds = olga
        .get(&format!("{path}/ticket-types"))
        .await
        .expect(200)
        .json;
    assert_eq!(kinds["data"].as_array().map(Vec::len), Some(1), "{kinds}");
}

/// A host gets its events back whatever its account is, since it can't open one while it is archived. It is told of an
/// account that it has lost meanwhile.
#[tokio::test]
async fn c1_what_comes_back_with_a_host_is_told() {
    let stage = Stage::new().await;
    let (server, olga) = (&stage.server, &stage.olga.client);
    let city = server.city("melbourne").await;
    let body = json!({"name": "The other hall", "city_id": city});
    let host = olga.post("/organizations", body).await.expect(201).id();
    let carlo = server.sign_in(PEOPLE[1].id).await;
    let path = format!("/organizations/{host}");
    carlo
        .client
        .act(&format!("{path}/approve"))
        .await
        .expect(200);
    let id = host.parse().expect("an id");
    let account = onboarded(server, &stage.stripe, &stage.olga, id).await;
    let body = json!({"title": "Elsewhere", "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": host, "city_id": city,
        "online_url": "https://example.org/stream",
        "ticket_types": [{"name": "Seat", "price_cents": 4_500, "currency": "AUD", "capacity": 10}]});
    let event = olga.post("/events", body).await.expect(201).id();
    olga.act(&format!("/events/{event}/publish"))
        .await
        .expect(200);
    olga.delete(&path).await.expect(204);
    let change = json!({"payouts_enabled": false});
    let changed = stage.stripe.fake.change_account(&account, &change);
    changed.expect("an account");
    stage.stripe.deliver(server).await;
    stage.watched().await;
    assert_eq!(stage.notified("account_lost").await, 0);
    olga.act(&format!("{path}/restore")).await.expect(200);
    let shown = olga.get(&format!("/events/{event}")).await.expect(200).json;
    assert_eq!(shown["state"], "published");
    for _ in 0..2 {
        stage.watched().await;
        assert_eq!(stage.notified("account_lost").await, 1);
    }
}

#[tokio::test]
async fn c1_c2_a_host_is_told_once_that_nobody_can_order() {
    let stage = Stage::new().await;
    let olga = &stage.olga.client;
    let rule = stage.rule_for_vatu().await;
    let hut = json!({"event_id": stage.event, "name": "Hut", "price_cents": 4_500, "currency": "VUV", "capacity": 10});
    let hut = olga.post("/ticket-types", hut).await.expect(201).id();
    let hut = format!("/ticket-types/{hut}");
    assert_eq!(stage.watched().await, (false, 0));

    stage.paula.client.delete(&rule).await.expect(204);
    for _ in 0..2 {
        assert_eq!(stage.watched().await, (true, 1));
    }
    // Once it can be ordered again, or is not on sale any more, that is forgotten.
    let again = stage.rule_for_vatu().await;
    assert_eq!(stage.watched().await, (false, 1));
    stage.paula.client.delete(&again).await.expect(204);
    assert_eq!(stage.watched().await, (true, 1), "at most once a day");
    let at_door = json!({"door_only": true});
    olga.patch(&hut, "*", at_door).await.expect(200);
    assert_eq!(stage.watched().await, (false, 1));

    // The account: at once, and not for each event.
    stage.tickets("Seat", 4_500, 10).await;
    assert_eq!(stage.notified("account_lost").await, 0);
    stage.account_can(false).await;
    assert_eq!(stage.notified("account_lost").await, 1);
    let shown = olga.get("/connected-accounts").await.expect(200).json;
    assert_ne!(shown["data"][0]["lost_at"], Value::Null, "{shown}");
    assert_eq!(stage.watched().await, (true, 1));
    assert_eq!(stage.notified("account_lost").await, 1);
    stage.account_can(false).await;
    stage.account_can(true).await;
    let shown = olga.get("/connected-accounts").await.expect(200).json;
    assert_eq!(shown["data"][0]["lost_at"], Value::Null, "{shown}");
    // The account is disconnected.
    stage.run("update app.notifications set dedupe_key = 'of yesterday' where data ->> 'message' = 'account_lost'").await;
    stage
        .stripe
        .fake
        .deauthorize(&stage.account)
        .expect("an account");
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.notified("account_lost").await, 2);
}

/// O4: a code for an amount in a currency that the event does not sell in could be used by nobody.
#[tokio::test]
async fn o4_a_promo_code_is_in_a_currency_of_the_event() {
    let stage = Stage::without_provider().await;
    let olga = &stage.olga.client;
    let code = |name: &str, currency: &str| json!({"event_id": stage.event, "code": name, "amount_cents": 500, "currency": currency});
    // Without ticket types, nothing is known yet.
    let early = olga.post("/promo-codes", code("EARLY", "NZD")).await;
    let early = format!("/promo-codes/{}", early.expect(201).id());
    let seat = stage.tickets("Seat", 4_500, 10).await;
    for answer in [
        olga.post("/promo-codes", code("LATER", "NZD")).await,
        olga.patch(&early, "*", json!({"amount_cents": 600})).await,
    ] {
        let answer = answer.expect(422);
        assert_eq!(answer.pointers(), ["/currency"]);
        assert!(answer.text.contains("use AUD"), "{}", answer.text);
    }
    olga.patch(&early, "*", json!({"max_redemptions": 3}))
        .await
        .expect(200);
    olga.patch(&early, "*", json!({"currency": "AUD"}))
        .await
        .expect(200);
    olga.post("/promo-codes", code("LATER", "AUD"))
        .await
        .expect(201);
    let percent = json!({"event_id": stage.event, "code": "TENTH", "basis_points": 1_000});
    olga.post("/promo-codes", percent).await.expect(201);
    let mut cart = stage.cart(&[(seat, 1)], false);
    cart["promo_code"] = json!("EARLY");
    let price = stage.mira.client.post("/orders/price", cart).await;
    assert_eq!(price.expect(200).json["amount_cents"], 4_000);
    // Archived types don't count.
    let path = format!("/ticket-types/{seat}");
    olga.delete(&path).await.expect(204);
    olga.post("/promo-codes", code("LAST", "NZD"))
        .await
        .expect(201);
}
