//! C4, C6, C7: a city's share of the plans of its businesses: by which rule, and what it gives back.

use super::{DAY, Shop};
use crate::{money::all_faults, support::Member};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

const GOOD_CARD: &str = "4242424242424242";

impl Shop {
    async fn city(&self) -> Uuid {
        self.stage.server.city("melbourne").await
    }

    /// Creates a rule for subscriptions with this scope and city share. Returns its id.
    async fn rule(&self, scope: Option<(&str, Uuid)>, city_share: i32) -> String {
        let mut rule = json!({"type": "subscription", "basis_points": 10_000, "currency": "AUD",
            "city_share_basis_points": city_share, "valid_from": "2026-01-01T00:00:00Z"});
        if let Some((kind, id)) = scope {
            rule["scope_type"] = json!(kind);
            rule["scope_id"] = json!(id);
        }
        let paula = &self.stage.paula.client;
        paula.post("/commission-rules", rule).await.expect(201).id()
    }

    async fn deliver(&self) {
        self.stage.server.settled().await;
        self.stage.stripe.deliver(&self.stage.server).await;
    }

    /// Begins a plan and pays for it.
    async fn subscribed(&self) -> String {
        let card = self.stage.saved(&self.binh, GOOD_CARD).await;
        let id = self.subscribe(self.plans[0], &card).await.expect(200).id();
        self.deliver().await;
        id
    }

    /// The price and the city's share of each period, in the order of payment.
    async fn periods(&self) -> Vec<(i64, i64)> {
        sqlx::query_as(
            "select t.amount_cents, t.city_share_cents from app.transactions t
             where t.subscription_id is not null order by t.id",
        )
        .fetch_all(&mut self.stage.server.superuser().await)
        .await
        .expect("periods")
    }

    /// The service's id of the first payment.
    async fn payment(&self) -> String {
        sqlx::query_scalar(
            "select stripe_payment_intent_id from app.transactions where subscription_id is not null order by id limit 1",
        )
        .fetch_one(&mut self.stage.server.superuser().await)
        .await
        .expect("a payment")
    }

    /// The city's earnings, recomputed.
    async fn earned(&self) -> i64 {
        let payments = self.stage.payments();
        payments.accrue_shares(Uuid::now_v7()).await.expect("a run");
        let city = self.city().await;
        let text = format!(
            "select coalesce(sum(amount_cents), 0)::int8 from app.revenue_shares where city_id = '{city}' and currency = 'AUD'"
        );
        self.stage.number(&text).await
    }

    /// A refund that somebody of the platform makes at the service.
    async fn refund_by_hand(&self, amount: i64) {
        let key = Uuid::now_v7().to_string();
        let key = gateway::Key::new(&key).expect("a key");
        let by_hand = gateway::NewRefund {
            payment: self.payment().await,
            amount,
            reverse_transfer: false,
            refund_application_fee: false,
            metadata: gateway::Metadata::new(),
        };
        let gateway = self.stage.stripe.gateway();
        gateway
            .create_refund(&key, &by_hand)
            .await
            .expect("a refund");
        self.deliver().await;
    }

    async fn told_again(&self) {
        let fake = &self.stage.stripe.fake;
        for event in fake.all("events") {
            fake.resend(event["id"].as_str().expect("an id"))
                .expect("an event");
        }
        self.deliver().await;
    }
}

#[tokio::test]
async fn c4_subscription_a_city_gets_its_share_of_each_period() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    let rule = shop.rule(None, 3_250).await;
    let id = shop.subscribed().await;
    // 32.5 % of 19.00 are 6.175, and the half cent goes to the platform.
    assert_eq!(shop.periods().await, [(1_900, 617)]);
    assert_eq!(shop.earned().await, before + 617);
    shop.told_again().await;
    assert_eq!(shop.earned().await, before + 617);

    // The shares of a paid period don't change; the next period uses the most specific rule valid then.
    let path = format!("/commission-rules/{rule}");
    let change = json!({"city_share_basis_points": 10});
    let paula = &shop.stage.paula.client;
    paula.patch(&path, "*", change).await.expect(200);
    let city = shop.city().await;
    shop.rule(Some(("city", city)), 2_000).await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver().await;
    assert_eq!(shop.periods().await, [(1_900, 617), (1_900, 380)]);
    shop.rule(Some(("business", shop.business)), 5_000).await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver().await;
    assert_eq!(shop.periods().await.last(), Some(&(1_900, 950)));
    assert_eq!(shop.earned().await, before + 617 + 380 + 950);
    shop.stage.books_agree().await;

    // The city's administrators and the platform see their shares; the payer doesn't.
    let carlo = shop.stage.server.sign_in(PEOPLE[1].id).await;
    let shown = async |who: &Member| -> Value {
        let path = format!("/transactions?subscription_id={id}");
        let list = who.client.get(&path).await.expect(200);
        list.json["data"][0]["city_share_cents"].clone()
    };
    for who in [&carlo, &shop.stage.paula] {
        assert!(shown(who).await.is_number());
    }
    assert!(shown(&shop.binh).await.is_null());
    // The city's dashboard shows the same sums.
    let path = format!("/cities/{city}/dashboard");
    let screen = carlo.client.get(&path).await.expect(200).json;
    let months = screen["revenue_shares"].as_array().expect("months").iter();
    let of_aud = months.filter(|month| month["currency"] == "AUD");
    let sum: i64 = of_aud
        .filter_map(|month| month["amount_cents"].as_i64())
        .sum();
    assert_eq!(sum, shop.earned().await);
}

#[tokio::test]
async fn c4_subscription_without_a_rule_the_city_gets_nothing() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    shop.subscribed().await;
    assert_eq!(shop.periods().await, [(1_900, 0)]);
    // A rule created later changes no earlier payment, however often its event is delivered.
    shop.rule(None, 5_000).await;
    shop.told_again().await;
    assert_eq!(shop.periods().await, [(1_900, 0)]);
    assert_eq!(shop.earned().await, before);
    shop.refund_by_hand(1_900).await;
    assert_eq!(shop.earned().await, before);
    shop.stage.books_agree().await;
}

#[tokio::test]
async fn c6_c4_subscription_what_goes_back_takes_the_share_along() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    shop.rule(None, 3_250).await;
    shop.subscribed().await;
    let mut refunded = 0;
    for amount in [1, 2, 3, 94, 900] {
        shop.refund_by_hand(amount).await;
        refunded += amount;
        let exact = 617 * refunded;
        let back = before + 617 - shop.earned().await;
        assert!(
            (back * 1_900 - exact).abs() <= 950,
            "{back} of {refunded} refunded"
        );
        shop.stage.books_agree().await;
    }
    shop.told_again().await;
    shop.refund_by_hand(1_900 - refunded).await;
    assert_eq!(shop.earned().await, before);
    shop.stage.books_agree().await;
    // The control: if the record of what the city gave back is deleted, the view reports it.
    shop.stage
        .run("set session_replication_role = replica; delete from app.share_returns")
        .await;
    let found = all_faults(shop.stage.server.superuser().await.looking()).await;
    let kept = "a city has kept its share of what went back";
    assert!(
        found.iter().any(|fault| fault.starts_with(kept)),
        "{found:?}"
    );
}

/// Events come in any order: a refund before the invoice whose payment it is about.
#[tokio::test]
async fn h5_c4_subscription_a_refund_that_is_told_before_the_payment_counts() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    shop.rule(None, 3_250).await;
    let card = shop.stage.saved(&shop.binh, GOOD_CARD).await;
    let fake = &shop.stage.stripe.fake;
    shop.subscribe(shop.plans[0], &card).await.expect(200);
    let payments = fake.all("payment_intents");
    let payment = payments.last().expect("a payment")["id"].as_str();
    let by_hand = gateway::NewRefund {
        payment: payment.expect("an id").to_owned(),
        amount: 1_900,
        reverse_transfer: false,
        refund_application_fee: false,
        metadata: gateway::Metadata::new(),
    };
    let key = gateway::Key::new("told-too-early").expect("a key");
    let gateway = shop.stage.stripe.gateway();
    gateway
        .create_refund(&key, &by_hand)
        .await
        .expect("a refund");
    let (late, early) = shop.stage.stripe.due_apart("invoice.");
    assert!(!late.is_empty() && !early.is_empty());
    for posts in [early, late] {
        assert_eq!(shop.earned().await, before);
        shop.stage.stripe.bring(&shop.stage.server, posts).await;
    }
    assert_eq!(shop.periods().await, [(1_900, 617)]);
    assert_eq!(shop.earned().await, before);
    shop.stage.books_agree().await;
}

/// The same for a dispute: it waits until the payment is known.
#[tokio::test]
async fn h5_c4_subscription_a_dispute_that_is_told_before_the_payment_waits_for_it() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    shop.rule(None, 3_250).await;
    let card = shop.stage.saved(&shop.binh, GOOD_CARD).await;
    let stripe = &shop.stage.stripe;
    shop.subscribe(shop.plans[0], &card).await.expect(200);
    let payments = stripe.fake.all("payment_intents");
    let payment = payments.last().expect("a payment")["id"].as_str();
    let disputed = stripe
        .fake
        .dispute(payment.expect("an id"), "fraudulent", false);
    let dispute = disputed.expect("a dispute")["id"].clone();
    let dispute = dispute.as_str().expect("an id");
    stripe.fake.close_dispute(dispute, false).expect("lost");
    let (late, early) = stripe.due_apart("invoice.");
    assert!(!late.is_empty());
    stripe.bring(&shop.stage.server, early).await;
    let waiting =
        "select count(*) from app.stripe_events where state = 'parked' and object_type = 'dispute'";
    let told = shop.stage.number(waiting).await;
    assert!(told > 0, "the payment is not known yet");
    let why: String = sqlx::query_scalar(
        "select error from app.stripe_events where state = 'parked' and object_type = 'dispute' limit 1",
    )
    .fetch_one(&mut shop.stage.server.superuser().await)
    .await
    .expect("a reason");
    stripe.bring(&shop.stage.server, late).await;
    assert_eq!(shop.stage.number(waiting).await, 0);
    let lost =
        "select count(*) from app.disputes where state = 'lost' and transaction_id is not null";
    assert_eq!(shop.stage.number(lost).await, 1);
    assert_eq!(shop.periods().await, [(1_900, 617)]);
    assert_eq!(shop.earned().await, before);
    shop.stage.books_agree().await;

    // A dispute that was put aside at the moment when the invoice was booked is found by the reconciler; one that
    // waits for a person isn't.
    shop.stage
        .run(format!(
            "update app.stripe_events set state = 'parked', error = '{why}' where object_type = 'dispute';
             update app.stripe_events set state = 'parked', error = 'It differs.' where object_type = 'invoice'"
        ))
        .await;
    let payments = shop.stage.payments();
    let run = payments.reconcile_all(Uuid::now_v7()).await;
    run.expect("a run");
    shop.stage.server.settled().await;
    assert_eq!(shop.stage.number(waiting).await, 0);
    let differing = "select count(*) from app.stripe_events where state = 'parked'";
    assert!(shop.stage.number(differing).await > 0);
    shop.stage.books_agree().await;
}

/// An event about an object that isn't ours waits for nothing.
#[tokio::test]
async fn h5_a_dispute_about_the_payment_of_a_stranger_is_ignored() {
    let shop = Shop::new().await;
    let stripe = &shop.stage.stripe;
    let gateway = stripe.gateway();
    let key = gateway::Key::new("somebody-elses-shop").expect("a key");
    let aud = gateway::Currency::new("AUD").expect("a currency");
    let new = gateway::NewPayment::new(2_000, aud);
    let made = gateway.create_payment(&key, &new).await.expect("a payment");
    stripe
        .fake
        .pay_as_buyer(fake_stripe::Intent::Payment, &made.id, GOOD_CARD)
        .expect("paid");
    stripe
        .fake
        .dispute(&made.id, "fraudulent", false)
        .expect("a dispute");
    shop.deliver().await;
    for (state, is_there) in [("ignored", true), ("parked", false)] {
        let text = format!(
            "select count(*) from app.stripe_events where state = '{state}' and object_type = 'dispute'"
        );
        assert_eq!(shop.stage.number(&text).await > 0, is_there, "{state}");
    }
}

#[tokio::test]
async fn p7_c4_subscription_a_lost_dispute_takes_what_is_left_of_the_share() {
    for (won, refunded) in [(true, 0), (false, 0), (false, 500)] {
        let shop = Shop::new().await;
        let before = shop.earned().await;
        shop.rule(None, 3_250).await;
        shop.subscribed().await;
        if refunded > 0 {
            shop.refund_by_hand(refunded).await;
        }
        let left = shop.earned().await;
        assert!(left > before);
        let payment = shop.payment().await;
        let fake = &shop.stage.stripe.fake;
        let dispute = fake
            .dispute(&payment, "fraudulent", false)
            .expect("a dispute");
        shop.deliver().await;
        assert_eq!(shop.earned().await, left, "while the bank decides");
        shop.stage.books_agree().await;
        let dispute = dispute["id"].as_str().expect("an id");
        fake.close_dispute(dispute, won).expect("a dispute");
        shop.deliver().await;
        let stays = if won { left } else { before };
        assert_eq!(shop.earned().await, stays);
        shop.told_again().await;
        assert_eq!(shop.earned().await, stays);
        shop.stage.books_agree().await;
    }
}

/// A bank may take back a part: half of the price, of which the city had 617 cents.
#[tokio::test]
async fn p7_c4_subscription_a_dispute_about_a_part_takes_that_part() {
    let shop = Shop::new().await;
    let before = shop.earned().await;
    shop.rule(None, 3_250).await;
    shop.subscribed().await;
    let share = shop.earned().await - before;
    let payment = shop.payment().await;
    let fake = &shop.stage.stripe.fake;
    let price = "select amount_cents from app.transactions where subscription_id is not null";
    let half = shop.stage.number(price).await / 2;
    let dispute = fake
        .dispute_part(&payment, "fraudulent", false, half)
        .expect("a dispute");
    shop.deliver().await;
    let dispute = dispute["id"].as_str().expect("an id");
    fake.close_dispute(dispute, false).expect("a dispute");
    shop.deliver().await;
    let left = shop.earned().await - before;
    assert!((left - share / 2).abs() <= 1, "{left} of {share}");
    shop.told_again().await;
    assert_eq!(shop.earned().await - before, left);
    shop.stage.books_agree().await;
}

#[tokio::test]
async fn c7_c4_subscription_a_city_is_paid_its_share_of_plans() {
    let shop = Shop::new().await;
    shop.stage.run("delete from app.revenue_shares").await;
    shop.rule(None, 3_250).await;
    shop.subscribed().await;
    let earned = shop.earned().await;
    assert!(earned >= 617);
    let carlo = shop.stage.server.sign_in(PEOPLE[1].id).await;
    let city = shop.city().await;
    let path = format!("/cities/{city}/onboarding");
    let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
    carlo.client.post(&path, body).await.expect(200);
    let fake = &shop.stage.stripe.fake;
    let accounts = fake.all("accounts").into_iter();
    let mut accounts = accounts.filter_map(|account| account["id"].as_str().map(str::to_owned));
    let account = accounts.rfind(|account| *account != shop.stage.account);
    fake.onboard(&account.expect("the city's account"))
        .expect("an account");
    shop.deliver().await;
    // The month has been closed.
    shop.stage
        .run(format!(
            "update app.revenue_shares set state = 'closed' where city_id = '{city}' and currency = 'AUD'"
        ))
        .await;
    let payments = shop.stage.payments();
    for begun in [1, 0] {
        let sent = payments.pay_cities_now(Uuid::now_v7()).await;
        assert_eq!(sent.expect("paid"), begun);
        shop.deliver().await;
    }
    let sent = format!("/transfers?city_id={city}");
    let sent = carlo.client.get(&sent).await.expect(200);
    assert_eq!(sent.json["data"][0]["amount_cents"], earned);
    shop.stage.sound().await;
}
