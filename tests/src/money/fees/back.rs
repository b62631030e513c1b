//! A fee is refunded, whole or in parts, or taken back by a bank; the city's share follows.

use super::{Deal, GOOD_CARD};
use crate::{
    money::stage::{keyed, keyed_by},
    support::{Answer, Member},
};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

impl Deal {
    async fn refund(&self, by: &Member, quote: &str, body: Value) -> Answer {
        let asked = keyed(by, &format!("/quotes/{quote}/fee-refunds"), body).await;
        self.deliver().await;
        asked
    }

    /// Sums of all refunds: to cards, as credits, and the city's part.
    async fn back(&self, quote: &str) -> (i64, i64, i64) {
        sqlx::query_as(
            "select coalesce(sum(card_cents), 0)::int8, coalesce(sum(wallet_cents), 0)::int8, coalesce(sum(city_share_cents), 0)::int8
             from app.refunds where quote_id = $1::text::uuid and state = 'succeeded'",
        )
        .bind(quote)
        .fetch_one(&mut self.stage.server.superuser().await)
        .await
        .expect("sums")
    }

    async fn dispute(&self, payment: &str) -> String {
        let fake = &self.stage.stripe.fake;
        let dispute = fake.dispute(payment, "fraudulent", false);
        self.deliver().await;
        let dispute = dispute.expect("a dispute");
        dispute["id"].as_str().expect("an id").to_owned()
    }

    async fn decided(&self, dispute: &str, won: bool) {
        let fake = &self.stage.stripe.fake;
        fake.close_dispute(dispute, won).expect("a dispute");
        self.deliver().await;
    }
}

#[tokio::test]
async fn c6_parts_of_a_fee_that_go_back_are_in_the_end_what_each_had() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let paula = &deal.stage.paula;
    let early = deal.refund(paula, &quote, json!({})).await.expect(409);
    assert_eq!(early.problem(), "invalid-state");
    deal.pay(&quote, GOOD_CARD).await;
    // A quarter of 5.30; the half cent goes to the platform.
    assert_eq!(deal.earned().await, 132);
    for who in [&deal.printer, &deal.stage.olga, &deal.stage.mira] {
        deal.refund(who, &quote, json!({})).await.expect(403);
    }
    let nowhere = Uuid::now_v7().to_string();
    deal.refund(paula, &nowhere, json!({})).await.expect(404);
    for amount in [0, -1] {
        let body = json!({"amount_cents": amount});
        deal.refund(paula, &quote, body).await.expect(422);
    }
    let body = json!({"amount_cents": 531});
    let more = deal.refund(paula, &quote, body).await.expect(409);
    assert_eq!(more.problem(), "refund-exceeds-payment");

    // A repeated request with the same key refunds once.
    let key = Uuid::now_v7().to_string();
    let path = format!("/quotes/{quote}/fee-refunds");
    let part = json!({"amount_cents": 1, "note": "Late"});
    for _ in 0..2 {
        keyed_by(paula, &path, &key, part.clone()).await.expect(201);
        deal.deliver().await;
    }
    assert_eq!(deal.back(&quote).await.0, 1);
    for amount in [1, 2, 3, 100, 200] {
        let body = json!({"amount_cents": amount});
        let asked = deal.refund(paula, &quote, body).await.expect(201);
        let path = format!("/refunds/{}", asked.id());
        let seen = deal.printer.client.get(&path).await.expect(200).json;
        assert_eq!(seen["state"], "succeeded");
        assert!(seen.get("city_share_cents").is_none_or(Value::is_null));
        deal.stage.olga.client.get(&path).await.expect(404);
        paula.client.get(&path).await.expect(200);
        deal.stage.books_agree().await;
    }
    // Two requests at the same moment: the rest is refunded once.
    let row = format!("app.quotes where id = '{quote}'");
    let rest = || keyed(paula, &path, json!({}));
    let (one, other) = deal.stage.meeting(&row, rest(), rest()).await;
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    deal.deliver().await;
    assert_eq!(deal.back(&quote).await, (530, 0, 132));
    assert_eq!(deal.earned().await, 0);
    let done = deal.refund(paula, &quote, json!({})).await.expect(409);
    assert_eq!(done.problem(), "invalid-state");
    // It was paid, so it can't be paid again.
    deal.begin(&deal.printer, &quote, json!({}))
        .await
        .expect(409);
    deal.stage.books_agree().await;
}

/// The bank returns the refund: the payer gets credits instead.
#[tokio::test]
async fn o6_a_fee_that_the_card_does_not_take_back_becomes_credits() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    deal.pay(&quote, "pm_card_refundFail").await;
    deal.refund(&deal.stage.paula, &quote, json!({}))
        .await
        .expect(201);
    deal.stage.stripe.fake.advance(3600);
    deal.deliver().await;
    assert_eq!(deal.back(&quote).await, (0, 530, 132));
    assert_eq!(deal.stage.wallet(&deal.printer).await, (530, 0));
    deal.stage.sound().await;
}

#[tokio::test]
async fn p7_a_dispute_about_a_fee_takes_the_citys_share_back_if_it_is_lost() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let paula = &deal.stage.paula;
    for won in [true, false] {
        let before = deal.earned().await;
        let quote = deal.accepted(5_000, "AUD").await;
        let payment = deal.pay(&quote, GOOD_CARD).await;
        // A part of it was refunded before.
        let body = json!({"amount_cents": 100});
        deal.refund(paula, &quote, body).await.expect(201);
        assert_eq!(deal.earned().await - before, 107);
        let dispute = deal.dispute(&payment).await;
        let refused = deal.refund(paula, &quote, json!({})).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
        let seen = paula.client.get("/disputes").await.expect(200).json;
        assert_eq!(seen["data"][0]["quote_id"], *quote);
        deal.stage.sound().await;
        deal.decided(&dispute, won).await;
        let left = deal.earned().await - before;
        assert_eq!(left, if won { 107 } else { 0 });
        let after = deal.refund(paula, &quote, json!({})).await;
        after.expect(if won { 201 } else { 409 });
        assert_eq!(deal.earned().await, before);
        deal.stage.sound().await;
        if !won {
            // Banks may take a payment back in parts, each a dispute of its own: the share goes back once.
            deal.stage
                .run(
                    "insert into app.disputes (state, amount_cents, currency, reason, stripe_dispute_id, quote_id, transaction_id, closed_at)
                     select state, 1, currency, reason, 'dp_another', quote_id, transaction_id, now() from app.disputes
                     where state = 'lost'",
                )
                .await;
            assert_eq!(deal.earned().await, before);
        }
    }
}

/// If the bank takes the money first, the pending refund isn't made as well.
#[tokio::test]
async fn p7_a_refund_of_a_fee_on_its_way_waits_for_the_bank() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let payment = deal.pay(&quote, GOOD_CARD).await;
    let fake = &deal.stage.stripe.fake;
    fake.add_fault(fake_stripe::fault::Fault::new(
        fake_stripe::fault::Kind::Away,
    ));
    let path = format!("/quotes/{quote}/fee-refunds");
    keyed(&deal.stage.paula, &path, json!({})).await.expect(201);
    deal.stage.server.settled().await;
    fake.clear_faults();
    let dispute = deal.dispute(&payment).await;
    deal.decided(&dispute, false).await;
    deal.stage.age().await;
    let payments = deal.stage.payments();
    payments
        .reconcile_all(Uuid::now_v7())
        .await
        .expect("a look");
    deal.deliver().await;
    assert_eq!(deal.back(&quote).await, (0, 0, 0));
    assert_eq!(deal.stage.wallet(&deal.printer).await, (0, 0));
    let failed = format!(
        "select count(*) from app.refunds where quote_id = '{quote}' and failure_code = 'dispute_lost'"
    );
    assert_eq!(deal.stage.number(&failed).await, 1);
    assert_eq!(deal.earned().await, 0);
    deal.stage.sound().await;
}

#[tokio::test]
async fn c7_the_city_is_sent_its_share_of_fees() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let stage = &deal.stage;
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let path = format!("/cities/{}/onboarding", deal.city);
    let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
    carlo.client.post(&path, body).await.expect(200);
    let accounts = stage.stripe.fake.all("accounts").into_iter();
    let mut accounts = accounts.filter_map(|account| account["id"].as_str().map(str::to_owned));
    let account = accounts.rfind(|account| *account != stage.account);
    let account = account.expect("the city's account");
    stage.stripe.fake.onboard(&account).expect("an account");
    let quote = deal.accepted(5_000, "AUD").await;
    deal.pay(&quote, GOOD_CARD).await;
    assert_eq!(deal.earned().await, 132);
    stage
        .run("update app.revenue_shares set state = 'closed'")
        .await;
    let payments = stage.payments();
    for sent in [1, 0] {
        let begun = payments.pay_cities_now(Uuid::now_v7()).await.expect("paid");
        assert_eq!(begun, sent);
        deal.deliver().await;
    }
    let list = format!("/transfers?city_id={}", deal.city);
    let seen = carlo.client.get(&list).await.expect(200);
    assert_eq!(seen.json["data"][0]["amount_cents"], 132);
    assert_eq!(seen.json["data"][0]["state"], "succeeded");
    // The transaction's share of a city is visible to its administrators.
    let seen = carlo
        .client
        .get("/transactions?type=service_fee")
        .await
        .expect(200);
    assert_eq!(seen.json["data"][0]["quote_id"], *quote);
    stage.sound().await;
}
