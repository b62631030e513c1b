//! The platform's fee for a service that it arranged: determined by the most specific rule when the quote is accepted,
//! shown to the side that pays it, and paid once.

mod back;

use super::stage::{Stage, keyed, keyed_by};
use crate::support::{Answer, Member};
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

const GOOD_CARD: &str = "4242424242424242";

pub struct Deal {
    pub stage: Stage,
    /// Both administer the business.
    pub printer: Member,
    partner: Member,
    business: Uuid,
    city: Uuid,
}

impl Deal {
    pub async fn new() -> Self {
        let stage = Stage::new().await;
        stage
            .run("delete from app.commission_rules where type = 'service_fee'; delete from app.revenue_shares")
            .await;
        let city = stage.server.city("melbourne").await;
        let business: Uuid = sqlx::query_scalar(
            "insert into app.businesses (city_id, name, slug, category, state) values ($1, 'Printer', 'printer', 'printing', 'approved')
             returning id",
        )
        .bind(city)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("a business");
        let mut staff = Vec::new();
        for name in ["printer", "partner"] {
            let member = stage.server.member(name).await;
            let scope = Some(("business", business));
            stage.server.grant(&member, "orgAdmin", scope).await;
            staff.push(member);
        }
        let [printer, partner] = <[Member; 2]>::try_from(staff).ok().expect("two");
        Self {
            stage,
            printer,
            partner,
            business,
            city,
        }
    }

    /// Creates a commission rule of the platform, or of this business: a percentage and 0.30, between 1.00 and 9.00, a
    /// quarter of it for the city.
    pub async fn rule(&self, paid_by: &str, basis_points: i32, of_business: bool) {
        let mut rule = json!({"type": "service_fee", "basis_points": basis_points, "fixed_cents": 30, "min_cents": 100,
            "max_cents": 900, "currency": "AUD", "paid_by": paid_by, "city_share_basis_points": 2500,
            "valid_from": "2026-01-01T00:00:00Z"});
        if of_business {
            rule["scope_type"] = json!("business");
            rule["scope_id"] = json!(self.business);
        }
        let paula = &self.stage.paula.client;
        paula.post("/commission-rules", rule).await.expect(201);
    }

    /// A quote that was sent to Olga.
    async fn sent(&self, amount_cents: i64, currency: &str) -> String {
        let quote: Uuid = sqlx::query_scalar(
            "with asked as (
               insert into app.service_requests (city_id, host_type, host_id, title, category, description)
               select $1, e.host_type, e.host_id, 'Posters', 'printing', 'Fifty.' from app.events e where e.id = $2 returning id
             ), lead as (
               insert into app.leads (service_request_id, business_id, title, details, state)
               select a.id, $3, 'Posters', 'Fifty.', 'viewed' from asked a returning id
             )
             insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state)
             select l.id, $4, $5, 'On paper.', now() + interval '9 days', 'sent' from lead l returning id",
        )
        .bind(self.city)
        .bind(self.stage.event)
        .bind(self.business)
        .bind(amount_cents)
        .bind(currency)
        .fetch_one(&mut self.stage.server.superuser().await)
        .await
        .expect("a quote");
        quote.to_string()
    }

    async fn accept(&self, quote: &str) {
        let path = format!("/quotes/{quote}/accept");
        self.stage.olga.client.act(&path).await.expect(200);
        self.stage.server.settled().await;
    }

    pub async fn accepted(&self, amount_cents: i64, currency: &str) -> String {
        let quote = self.sent(amount_cents, currency).await;
        self.accept(&quote).await;
        quote
    }

    async fn seen(&self, by: &Member, quote: &str) -> Value {
        let path = format!("/quotes/{quote}");
        by.client.get(&path).await.expect(200).json
    }

    async fn fee(&self, by: &Member, quote: &str) -> Value {
        let path = format!("/quotes/{quote}/fee");
        by.client.get(&path).await.expect(200).json
    }

    async fn begin(&self, by: &Member, quote: &str, body: Value) -> Answer {
        keyed(by, &format!("/quotes/{quote}/fee-payments"), body).await
    }

    async fn payment_of(&self, quote: &str) -> String {
        sqlx::query_scalar(
            "select stripe_payment_intent_id from app.transactions where quote_id = $1::text::uuid and status <> 'cancelled'",
        )
        .bind(quote)
        .fetch_one(&mut self.stage.server.superuser().await)
        .await
        .expect("a payment")
    }

    /// Pays in the printer's browser with this card, and delivers the events.
    pub async fn pay(&self, quote: &str, card: &str) -> String {
        self.begin(&self.printer, quote, json!({}))
            .await
            .expect(200);
        let payment = self.payment_of(quote).await;
        let fake = &self.stage.stripe.fake;
        // A declined card is a possible outcome too.
        let _ = fake.pay_as_buyer(Intent::Payment, &payment, card);
        self.deliver().await;
        payment
    }

    async fn deliver(&self) {
        self.stage.server.settled().await;
        self.stage.stripe.deliver(&self.stage.server).await;
    }

    async fn payments_of(&self, quote: &str) -> i64 {
        let text = format!("select count(*) from app.transactions where quote_id = '{quote}'");
        self.stage.number(&text).await
    }

    /// What the city has earned in months that are open.
    async fn earned(&self) -> i64 {
        let payments = self.stage.payments();
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        let text = format!(
            "select coalesce(sum(amount_cents), 0)::int8 from app.revenue_shares where city_id = '{}'",
            self.city
        );
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut self.stage.server.superuser().await)
            .await
            .expect("a sum")
    }
}

#[tokio::test]
async fn c3_a_fee_is_frozen_with_the_quote_and_paid_once_by_whom_the_rule_names() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let stage = &deal.stage;
    // 10 % and 0.30.
    let seen = deal.seen(&deal.printer, &quote).await;
    assert_eq!(seen["fee_cents"], 530);
    assert_eq!(seen["fee_paid_by"], "provider");
    assert!(seen["fee_city_share_cents"].is_null(), "{seen}");
    // A more specific rule applies to later quotes; the fee stays.
    deal.rule("buyer", 100, true).await;
    assert_eq!(deal.seen(&deal.printer, &quote).await["fee_cents"], 530);

    // The other side sees nothing of the fee, and doesn't pay it; others see neither the quote nor the fee.
    let seen = deal.seen(&stage.olga, &quote).await;
    for field in [
        "fee_cents",
        "fee_paid_by",
        "fee_paid_at",
        "fee_city_share_cents",
    ] {
        assert!(seen.get(field).is_none_or(Value::is_null), "{field}");
    }
    assert_eq!(deal.fee(&stage.olga, &quote).await["amount_cents"], 0);
    let path = format!("/quotes/{quote}/fee");
    stage.mira.client.get(&path).await.expect(404);
    stage.server.client.get(&path).await.expect(401);
    deal.begin(&stage.olga, &quote, json!({})).await.expect(403);
    deal.begin(&stage.mira, &quote, json!({})).await.expect(404);

    let begun = deal
        .begin(&deal.printer, &quote, json!({}))
        .await
        .expect(200);
    assert_eq!(begun.json["quote_id"], *quote);
    assert_eq!(begun.json["amount_cents"], 530);
    assert!(begun.json["order_id"].is_null() && begun.json["promotion_id"].is_null());
    deal.pay(&quote, GOOD_CARD).await;
    assert!(deal.seen(&deal.printer, &quote).await["fee_paid_at"].is_string());
    assert!(deal.fee(&deal.printer, &quote).await["paid_at"].is_string());
    assert!(deal.fee(&stage.olga, &quote).await["paid_at"].is_null());
    let again = deal.begin(&deal.printer, &quote, json!({})).await;
    assert_eq!(again.expect(409).problem(), "invalid-state");
    assert_eq!(deal.payments_of(&quote).await, 1);
    // The transaction is visible to its payer, the city and the platform.
    let path = format!("/transactions/{}", begun.id());
    for (who, status) in [
        (&deal.printer, 200),
        (&stage.paula, 200),
        (&stage.olga, 404),
        (&stage.mira, 404),
    ] {
        who.client.get(&path).await.expect(status);
    }
    stage.books_agree().await;

    // The organiser pays it on top of the price, and at least the minimum.
    let quote = deal.accepted(2_000, "AUD").await;
    let seen = deal.seen(&stage.olga, &quote).await;
    assert_eq!(seen["fee_cents"], 100);
    assert_eq!(seen["fee_paid_by"], "organizer");
    assert_eq!(deal.fee(&deal.printer, &quote).await["amount_cents"], 0);
    deal.begin(&deal.printer, &quote, json!({}))
        .await
        .expect(403);
    deal.begin(&stage.olga, &quote, json!({})).await.expect(200);
}

#[tokio::test]
async fn c10_what_is_told_before_is_what_is_charged() {
    let deal = Deal::new().await;
    deal.rule("organizer", 725, false).await;
    let mut random = fastrand::Rng::with_seed(11);
    for paid_by in ["organizer", "buyer"] {
        for _ in 0..6 {
            let quote = deal.sent(random.i64(1..20_000), "AUD").await;
            let (payer, other) = match paid_by {
                "organizer" => (&deal.printer, &deal.stage.olga),
                _ => (&deal.stage.olga, &deal.printer),
            };
            let before = deal.fee(payer, &quote).await;
            assert_eq!(before["is_decided"], false);
            assert_eq!(deal.fee(other, &quote).await["amount_cents"], 0);
            deal.accept(&quote).await;
            let after = deal.fee(payer, &quote).await;
            assert_eq!(after["is_decided"], true);
            assert_eq!(before["amount_cents"], after["amount_cents"]);
            let seen = deal.seen(payer, &quote).await;
            assert_eq!(seen["fee_cents"], after["amount_cents"]);
        }
        if paid_by == "organizer" {
            deal.rule("buyer", 311, true).await;
        }
    }
}

#[tokio::test]
async fn c2_without_a_rule_or_a_currency_there_is_no_fee() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    // No rule for this currency, and a price of zero.
    for (amount, currency) in [(5_000, "NZD"), (0, "AUD")] {
        let quote = deal.accepted(amount, currency).await;
        let fee = deal.fee(&deal.printer, &quote).await;
        assert_eq!(fee["amount_cents"], 0, "{currency}");
        assert_eq!(fee["is_decided"], true, "{currency}");
        let refused = deal.begin(&deal.printer, &quote, json!({})).await;
        assert_eq!(refused.expect(409).problem(), "invalid-state");
    }
    // The acceptance is reported again after a rule was created: the earlier decision stays.
    let quote = deal.accepted(5_000, "NZD").await;
    deal.stage
        .run("update app.commission_rules set currency = 'NZD' where type = 'service_fee'")
        .await;
    let marketplace = &deal.stage.server.built.app.modules.marketplace;
    let id: Uuid = quote.parse().expect("an id");
    let told = marketplace.charge(id, Uuid::now_v7()).await;
    told.expect("told again");
    assert_eq!(deal.fee(&deal.printer, &quote).await["amount_cents"], 0);
    deal.stage
        .run("update app.commission_rules set currency = 'AUD' where type = 'service_fee'")
        .await;
    // In a currency that cards can't be charged in, nobody could ever pay a fee.
    deal.stage
        .run("update app.commission_rules set currency = 'ISK' where type = 'service_fee'")
        .await;
    let abroad = deal.accepted(5_000, "ISK").await;
    assert_eq!(deal.fee(&deal.printer, &abroad).await["amount_cents"], 0);
    deal.stage
        .run("update app.commission_rules set currency = 'AUD' where type = 'service_fee'")
        .await;
    // A currency that doesn't exist is refused earlier.
    let lead = deal.seen(&deal.printer, &quote).await["lead_id"].clone();
    let body = json!({"lead_id": lead, "amount_cents": 5_000, "currency": "ZZZ", "terms": "On paper.",
        "valid_until": "2040-01-01T00:00:00Z"});
    let refused = deal.printer.client.post("/quotes", body).await.expect(422);
    assert_eq!(refused.json["errors"][0]["pointer"], "/currency");
    // A fee that is smaller than the smallest charge of a card could never be paid.
    deal.stage
        .run("update app.commission_rules set min_cents = 0, basis_points = 1, fixed_cents = 0 where type = 'service_fee'")
        .await;
    let quote = deal.accepted(5_000, "AUD").await;
    assert_eq!(deal.fee(&deal.printer, &quote).await["amount_cents"], 0);
    // Before the quote is accepted there is nothing to pay.
    let quote = deal.sent(5_000, "AUD").await;
    let refused = deal.begin(&deal.printer, &quote, json!({})).await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    deal.stage.sound().await;
}

#[tokio::test]
async fn p3_two_of_one_side_at_the_same_moment_begin_one_payment() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let asked = (0..8).map(|n| {
        let who = if n % 2 == 0 {
            &deal.printer
        } else {
            &deal.partner
        };
        deal.begin(who, &quote, json!({}))
    });
    let mut payments: Vec<String> = Vec::new();
    for answer in join_all(asked).await {
        payments.push(answer.expect(200).id());
    }
    payments.dedup();
    assert_eq!(payments.len(), 1);
    assert_eq!(deal.payments_of(&quote).await, 1);
    let intents = deal.stage.stripe.fake.all("payment_intents");
    assert_eq!(intents.len(), 1);
    // A card saved by one of them is not charged for the other's payment, and the answer says so.
    let first = sqlx::query_scalar::<_, Uuid>(
        "select user_id from app.transactions where id = $1::text::uuid",
    )
    .bind(&payments[0])
    .fetch_one(&mut deal.stage.server.superuser().await)
    .await
    .expect("who");
    let second = if first == deal.printer.id {
        &deal.partner
    } else {
        &deal.printer
    };
    let card = deal.stage.saved(second, GOOD_CARD).await;
    let refused = deal
        .begin(second, &quote, json!({"payment_method_id": card}))
        .await;
    assert_eq!(refused.expect(409).problem(), "invalid-state");
    deal.pay(&quote, GOOD_CARD).await;
    assert!(deal.seen(second, &quote).await["fee_paid_at"].is_string());
    deal.stage.books_agree().await;
}

#[tokio::test]
async fn p2_a_declined_card_leaves_it_open_and_a_repeated_request_charges_once() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let path = format!("/quotes/{quote}/fee-payments");
    let poor = deal.stage.saved(&deal.printer, "4000000000000341").await;
    let declined = deal
        .begin(&deal.printer, &quote, json!({"payment_method_id": poor}))
        .await;
    assert_eq!(declined.expect(402).problem(), "card-declined");
    assert!(deal.seen(&deal.printer, &quote).await["fee_paid_at"].is_null());

    let card = deal.stage.saved(&deal.printer, GOOD_CARD).await;
    let key = Uuid::now_v7().to_string();
    let body = json!({"payment_method_id": card});
    let paid = keyed_by(&deal.printer, &path, &key, body.clone())
        .await
        .expect(200);
    assert_eq!(paid.json["status"], "succeeded");
    let again = keyed_by(&deal.printer, &path, &key, body).await.expect(200);
    assert_eq!(again.text, paid.text);
    let other = json!({"return_url": "https://example.org/other"});
    keyed_by(&deal.printer, &path, &key, other)
        .await
        .expect(422);
    let without = deal.printer.client.post(&path, json!({})).await;
    assert_eq!(without.status, 400);
    let charges = deal.stage.stripe.fake.all("charges").into_iter();
    let paid = charges.filter(|charge| charge["paid"] == true);
    assert_eq!(paid.count(), 1);
    deal.stage.books_agree().await;
}

#[tokio::test]
async fn p1_a_fee_whose_answer_is_lost_is_found_again() {
    let deal = Deal::new().await;
    deal.rule("organizer", 1000, false).await;
    for kind in [Kind::DropAfter, Kind::ErrorAfter, Kind::Away] {
        let quote = deal.accepted(5_000, "AUD").await;
        let fake = &deal.stage.stripe.fake;
        let mut fault = Fault::new(kind);
        fault.path = Some("/v1/payment_intents".to_owned());
        fake.add_fault(fault);
        let unknown = deal.begin(&deal.printer, &quote, json!({})).await;
        assert_eq!(
            unknown.expect(503).problem(),
            "payment-provider-unavailable"
        );
        fake.clear_faults();
        deal.stage.age().await;
        let payments = deal.stage.payments();
        payments
            .reconcile_all(Uuid::now_v7())
            .await
            .expect("a look");
        deal.pay(&quote, GOOD_CARD).await;
        assert!(deal.seen(&deal.printer, &quote).await["fee_paid_at"].is_string());
        let made = fake.all("payment_intents").into_iter();
        let made = made.filter(|made| made["metadata"]["quote_id"] == *quote);
        assert_eq!(made.count(), 1, "{kind:?}");
    }
    deal.stage.books_agree().await;
}

/// Archiving the service request cancels the payment, unless it has been paid.
#[tokio::test]
async fn p3_the_payment_of_a_quote_that_is_archived_is_cancelled() {
    let deal = Deal::new().await;
    deal.rule("buyer", 1000, false).await;
    let quote = deal.accepted(5_000, "AUD").await;
    let olga = &deal.stage.olga;
    deal.begin(olga, &quote, json!({})).await.expect(200);
    deal.stage
        .run(format!(
            "update app.quotes set status = 'archived' where id = '{quote}'"
        ))
        .await;
    let payments = deal.stage.payments();
    payments
        .cancel_abandoned(Uuid::now_v7())
        .await
        .expect("a look");
    let text = format!(
        "select count(*) from app.transactions where quote_id = '{quote}' and status = 'cancelled'"
    );
    assert_eq!(deal.stage.number(&text).await, 1);
    deal.begin(olga, &quote, json!({})).await.expect(404);
    deal.stage.sound().await;
}
