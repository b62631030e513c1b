//! Paying by card, from the order to the books of the payment service.

use super::stage::{Stage, keyed, keyed_by};
use crate::support::{Member, stripe};
use axum::http::Method;
use fake_stripe::Intent;
use kernel::http::metrics;
use serde_json::{Value, json};
use uuid::Uuid;

impl Stage {
    /// Saves a card for a member, as their browser would. Returns its id in our database.
    pub async fn saved(&self, member: &Member, card: &str) -> String {
        let headers = [("idempotency-key", Uuid::now_v7().to_string())];
        let headers = headers.each_ref().map(|(name, key)| (*name, key.as_str()));
        let setup = (member.client)
            .send(Method::POST, "/payment-methods/setups", None, &headers)
            .await
            .expect(200);
        let page = setup.json["page_url"].as_str().expect("a page");
        let id = page.rsplit('/').next().expect("an id");
        let fake = &self.stripe.fake;
        let setup = fake.pay_as_buyer(Intent::Setup, id, card).expect("a card");
        if setup["status"] == "requires_action" {
            fake.authenticate(Intent::Setup, id, true).expect("a card");
        }
        self.stripe.deliver(&self.server).await;
        let cards = member.client.get("/payment-methods").await.expect(200);
        let newest = cards.json["data"].as_array().expect("cards").iter();
        let newest = newest.max_by_key(|card| card["created_at"].as_str().map(str::to_owned));
        newest.expect("a card")["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }

    /// The balance of an organiser's account at the service, in AUD.
    pub fn host_has(&self) -> i64 {
        let books = self.stripe.fake.books();
        let books = books.get("aud").or_else(|| books.get("AUD"));
        books
            .and_then(|books| books.accounts.get(&self.account).copied())
            .unwrap_or_default()
    }

    /// Asserts that our books agree with those of the service to the cent, while no dispute is open. Payments that
    /// came too late, or lacked their credits, don't count for the host. Of a payment that a bank has given back in part,
    /// the host returns its part of that, and never more than it had of the order: a refund to the card that fails
    /// beside a lost dispute is the same money.
    pub async fn books_agree(&self) {
        self.sound().await;
        let mut conn = self.server.superuser().await;
        let (captured, refunded): (i64, i64) = sqlx::query_as(
            "select coalesce(sum(amount_cents), 0)::int8, coalesce(sum(refunded_cents), 0)::int8 from app.transactions
             where status in ('succeeded', 'part_refunded', 'refunded')",
        )
        .fetch_one(&mut conn)
        .await
        .expect("sums");
        let books = self.stripe.fake.books();
        let theirs = books.values().map(|books| (books.captured, books.refunded));
        let theirs = theirs.fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
        assert_eq!((captured, refunded), theirs, "captured and refunded");
        let host: i64 = sqlx::query_scalar(
            "select coalesce(sum(greatest(0, o.organizer_cents - coalesce(r.given_back, 0)
               - coalesce(round(d.lost::numeric * o.organizer_cents / nullif(o.amount_cents, 0)), 0))), 0)::int8
             from app.orders o
             left join (select order_id, sum(organizer_cents) as given_back from app.refunds where state <> 'failed' group by 1) r
               on r.order_id = o.id
             left join (select order_id, sum(amount_cents) as lost from app.disputes where state = 'lost' group by 1) d
               on d.order_id = o.id
             where o.event_id = $1 and o.state in ('paid', 'part_refunded', 'refund_pending', 'refunded') and o.cash_cents = 0
               and o.ticket_count > 0",
        )
        .bind(self.event)
        .fetch_one(&mut conn)
        .await
        .expect("a sum");
        assert_eq!(self.host_has(), host, "what the host has");
    }
}

#[tokio::test]
async fn two_tickets_by_card_and_credits_and_back_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    stage.credits(&stage.mira, 2000).await;
    let placed = stage
        .order(&stage.mira, &[(kind, 2)], true)
        .await
        .expect(201);
    let order = placed.id();
    assert_eq!(placed.json["wallet_cents"], 2000);
    assert_eq!(placed.json["card_cents"], 7000);

    let begun = stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    assert_eq!(begun.json["status"], "created");
    assert_eq!(begun.json["order_state"], "pending");
    assert!(
        begun.json["client_secret"]
            .as_str()
            .is_some_and(|secret| secret.contains("_secret_"))
    );
    // Requested again, even with another key, it is the same payment.
    let again = stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    assert_eq!(again.id(), begun.id());
    assert_eq!(stage.stripe.fake.all("payment_intents").len(), 1);

    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.stock(kind).await, (0, 2));
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.books_agree().await;

    let tickets = format!("/orders/{order}/tickets");
    let tickets = stage.mira.client.get(&tickets).await.expect(200);
    let ticket = tickets.json["data"][0]["id"].as_str().expect("a ticket");
    let qr = format!("/tickets/{ticket}/qr.svg");
    let qr = stage.mira.client.get(&qr).await.expect(200);
    assert!(qr.text.contains("<svg"));
    let held = stage.mira.client.get(&format!("/tickets/{ticket}")).await;
    let scan = json!({"code": held.expect(200).json["code"], "event_id": stage.event, "nonce": Uuid::now_v7()});
    let door = stage.olga.client.post("/check-ins", scan).await.expect(200);
    assert_eq!(door.json["result"], "ok");

    // A guest has entered, so only the organiser can refund the order.
    let refunds = format!("/orders/{order}/refunds");
    keyed(&stage.mira, &refunds, json!({})).await.expect(409);
    let back = keyed(&stage.olga, &refunds, json!({})).await.expect(201);
    assert_eq!(back.json["card_cents"], 7000);
    assert_eq!(back.json["wallet_cents"], 2000);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.stock(kind).await, (0, 0));
    assert_eq!(stage.wallet(&stage.mira).await, (2000, 0));
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}

#[tokio::test]
async fn t17_p6_a_saved_card_pays_at_once_and_is_its_owners_alone() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    let body = json!({"payment_method_id": card});

    // A card of somebody else is treated as missing.
    let other = stage
        .order(&stage.olga, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    let refused = stage
        .pay(&stage.olga, &other, body.clone())
        .await
        .expect(422);
    assert_eq!(refused.pointers(), ["/payment_method_id"]);
    stage
        .olga
        .client
        .get(&format!("/payment-methods/{card}"))
        .await
        .expect(404);
    stage
        .olga
        .client
        .delete(&format!("/payment-methods/{card}"))
        .await
        .expect(404);
    stage
        .olga
        .client
        .act(&format!("/payment-methods/{card}/prefer"))
        .await
        .expect(404);
    // Nobody can pay for an order that isn't theirs.
    stage.pay(&stage.olga, &order, json!({})).await.expect(403);

    let paid = stage
        .pay(&stage.mira, &order, body.clone())
        .await
        .expect(200);
    assert_eq!(paid.json["status"], "succeeded");
    assert_eq!(paid.json["order_state"], "paid");
    assert_eq!(paid.json["client_secret"], Value::Null);
    let over = stage.pay(&stage.mira, &order, body).await.expect(409);
    assert_eq!(over.problem(), "invalid-state");
    stage.stripe.deliver(&stage.server).await;
    stage.books_agree().await;

    stage
        .mira
        .client
        .delete(&format!("/payment-methods/{card}"))
        .await
        .expect(204);
    stage
        .mira
        .client
        .get(&format!("/payment-methods/{card}"))
        .await
        .expect(404);
    assert_eq!(
        stage.stripe.fake.all("payment_methods")[0]["customer"],
        Value::Null
    );
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_open_for_another() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    // A card that can be saved, and is declined when it is charged.
    let poor = stage.saved(&stage.mira, "4000000000000341").await;
    let good = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    let key = Uuid::now_v7().to_string();
    let path = format!("/orders/{order}/payments");
    let declined = keyed_by(&stage.mira, &path, &key, json!({"payment_method_id": poor}))
        .await
        .expect(402);
    assert_eq!(declined.problem(), "card-declined");
    assert!(
        declined.json["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("declined"))
    );
    assert_eq!(stage.state(&order).await, "pending");
    assert_eq!(stage.stock(kind).await, (1, 0));
    // The same request gets the same answer; with another card it is another request.
    keyed_by(&stage.mira, &path, &key, json!({"payment_method_id": poor}))
        .await
        .expect(402);
    let paid = stage
        .pay(&stage.mira, &order, json!({"payment_method_id": good}))
        .await
        .expect(200);
    assert_eq!(paid.json["order_state"], "paid");
    // The event about the declined attempt arrives last, and changes nothing.
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.stripe.fake.all("payment_intents").len(), 1);
    stage.books_agree().await;
}

#[tokio::test]
async fn a_bank_that_wants_to_see_the_buyer_is_satisfied_or_not() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let card = stage.saved(&stage.mira, "4000002760003184").await;
    for satisfied in [true, false] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        let body = json!({"payment_method_id": card, "return_url": "https://example.org/back"});
        let asked = stage.pay(&stage.mira, &order, body).await.expect(200);
        assert_eq!(asked.json["status"], "requires_action");
        assert_eq!(asked.json["order_state"], "pending");
        assert!(asked.json["next_action_url"].is_string());
        let payment = stage.payment_of(&order).await;
        let fake = &stage.stripe.fake;
        fake.authenticate(Intent::Payment, &payment, satisfied)
            .expect("a payment");
        stage.stripe.deliver(&stage.server).await;
        let expected = if satisfied { "paid" } else { "pending" };
        assert_eq!(stage.state(&order).await, expected);
    }
    stage.books_agree().await;
}

/// A buyer who can't answer the bank's question pays with another card. The same card is not tried again: the client goes
/// on with the question.
#[tokio::test]
async fn p2_another_card_pays_while_the_bank_of_the_first_one_asks() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let asks = stage.saved(&stage.mira, "4000002760003184").await;
    let poor = stage.saved(&stage.mira, "4000000000000341").await;
    let good = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let with = async |card: &str| {
        let body = json!({"payment_method_id": card, "return_url": "https://example.org/back"});
        stage.pay(&stage.mira, &order, body).await
    };
    let first = with(&asks).await.expect(200).json;
    let again = with(&asks).await.expect(200).json;
    for shown in [&first, &again] {
        assert_eq!(shown["status"], "requires_action");
    }
    assert_eq!(first["next_action_url"], again["next_action_url"]);
    // Declined, and the payment waits for a card again.
    with(&poor).await.expect(402);
    with(&asks).await.expect(200);
    let paid = with(&good).await.expect(200).json;
    assert_eq!(paid["order_state"], "paid");
    // The events about the first card arrive last, and change nothing.
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.stripe.fake.all("payment_intents").len(), 1);
    stage.books_agree().await;
}

#[tokio::test]
async fn o3_money_that_comes_too_late_buys_what_is_left_or_goes_back() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 1).await;
    for is_left in [true, false] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        stage.run_out(&order).await;
        let tickets = &stage.server.built.app.modules.tickets;
        tickets.expire().await.expect("a run");
        assert_eq!(stage.state(&order).await, "expired");
        if !is_left {
            // Another buyer was faster.
            let other = stage
                .order(&stage.olga, &[(kind, 1)], false)
                .await
                .expect(201)
                .id();
            stage.pay(&stage.olga, &other, json!({})).await.expect(200);
            stage.confirm(&other, "4242424242424242").await;
        }
        stage.confirm(&order, "4242424242424242").await;
        let expected = if is_left { "paid" } else { "refunded" };
        assert_eq!(stage.state(&order).await, expected);
        stage.books_agree().await;
        if is_left {
            keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
                .await
                .expect(201);
            stage.stripe.deliver(&stage.server).await;
        }
    }
    assert_eq!(stage.stock(kind).await, (0, 1));
}

#[tokio::test]
async fn o2_nobody_pays_for_an_order_that_is_over() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    for end in ["expired", "cancelled"] {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let payment = stage.payment_of(&order).await;
        if end == "expired" {
            stage.run_out(&order).await;
            stage
                .server
                .built
                .app
                .modules
                .tickets
                .expire()
                .await
                .expect("a run");
            let late = stage.pay(&stage.mira, &order, json!({})).await.expect(409);
            assert_eq!(late.problem(), "order-expired");
        } else {
            keyed(&stage.mira, &format!("/orders/{order}/cancel"), json!({}))
                .await
                .expect(200);
        }
        stage
            .payments()
            .cancel_abandoned(Uuid::now_v7())
            .await
            .expect("a run");
        let fake = &stage.stripe.fake;
        assert_eq!(
            fake.object(&payment).expect("a payment")["status"],
            "canceled"
        );
        assert!(
            fake.pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
                .is_err()
        );
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.state(&order).await, end);
    }
    stage.books_agree().await;
}

#[tokio::test]
async fn o6_a_card_that_takes_nothing_back_makes_it_credits() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 2)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    // A card whose refunds succeed at first and fail later.
    stage.confirm(&order, "4000000000005126").await;
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    stage.stripe.fake.advance(60);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "refunded");
    assert_eq!(stage.wallet(&stage.mira).await, (9000, 0));
    stage.books_agree().await;
}

#[tokio::test]
async fn h1_only_stripe_tells() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201)
        .id();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let payment = stage.payment_of(&order).await;
    let fake = &stage.stripe.fake;
    stage.stripe.deliver(&stage.server).await;
    fake.pay_as_buyer(Intent::Payment, &payment, "4242424242424242")
        .expect("paid");
    let count = "select count(*) from app.stripe_events";
    let mut conn = stage.server.superuser().await;
    let before: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    let counted = metrics::UNSIGNED.get();
    let mut refused = 0;
    for post in fake.due_webhooks() {
        refused += 3;
        let mut forged = post.clone();
        forged.body[10] ^= 1;
        assert_eq!(stripe::send(&stage.server, &forged).await, 400);
        let mut unsigned = post.clone();
        unsigned.signature = String::new();
        assert_eq!(stripe::send(&stage.server, &unsigned).await, 400);
        let mut elsewhere = post.clone();
        "/webhooks/stripe-connect".clone_into(&mut elsewhere.url);
        assert_eq!(stripe::send(&stage.server, &elsewhere).await, 400);
        fake.webhook_answered(post.delivery, Some(400));
    }
    let after: i64 = sqlx::query_scalar(count)
        .fetch_one(&mut conn)
        .await
        .expect("a count");
    assert_eq!(before, after);
    assert!(refused > 0 && metrics::UNSIGNED.get() >= counted + refused);
    assert_eq!(stage.state(&order).await, "pending");
    // The reconciler finds what lost events would have reported.
    stage
        .payments()
        .reconcile_all(Uuid::now_v7())
        .await
        .expect("a run");
    stage.server.settled().await;
    assert_eq!(stage.state(&order).await, "paid");
    stage.books_agree().await;
}
