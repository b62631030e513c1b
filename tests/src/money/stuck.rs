//! P2: the service stores its own errors under the key of a call for a day. An operation whose key is always the same
//! must still succeed when it is requested again, and only once where twice would do harm.

use super::{
    stage::{Stage, keyed},
    subscriptions::Shop,
};
use crate::support::{Answer, Member};
use axum::http::Method;
use fake_stripe::fault::{Fault, Kind};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const CARD: &str = "4242424242424242";

/// An error of the service before it does the work, and one after that.
const ERRORS: [Kind; 2] = [Kind::ErrorBefore, Kind::ErrorAfter];

/// A request to this server, and the call to the service that has the key.
struct Request<'a> {
    by: &'a Member,
    method: Method,
    path: String,
    body: Option<Value>,
    call: &'static str,
    status: u16,
}

impl<'a> Request<'a> {
    fn post(by: &'a Member, path: String, body: Value, call: &'static str) -> Self {
        Self {
            by,
            method: Method::POST,
            path,
            body: Some(body),
            call,
            status: 200,
        }
    }

    async fn ask(&self, key: &str) -> Answer {
        let headers = [("idempotency-key", key)];
        let (method, body) = (self.method.clone(), self.body.clone());
        let client = &self.by.client;
        client.send(method, &self.path, body, &headers).await
    }

    /// The service fails and stores the error under the key; repeating the same request succeeds.
    async fn again(&self, stage: &Stage, kind: Kind) -> Answer {
        let key = Uuid::now_v7().to_string();
        let mut script = Fault::new(kind).on("POST", self.call);
        script.times = Some(40);
        stage.stripe.fake.add_fault(script);
        let first = self.ask(&key).await;
        stage.stripe.fake.clear_faults();
        let place = format!("{kind:?} {} {}", self.call, self.path);
        if first.status == self.status {
            return first;
        }
        assert_eq!(first.status, 503, "{place}: {}", first.text);
        let again = self.ask(&key).await;
        assert_eq!(again.status, self.status, "{place}: {}", again.text);
        again
    }
}

#[tokio::test]
async fn p2_an_error_that_is_kept_under_a_key_is_got_around() {
    for kind in ERRORS {
        let shop = Shop::new().await;
        let (stage, binh) = (&shop.stage, &shop.binh);
        let vera = stage.server.member("vera_who_pays").await;
        let setups = || "/payment-methods/setups".to_owned();
        for call in ["/v1/customers", "/v1/setup_intents"] {
            let request = Request::post(&vera, setups(), json!({}), call);
            request.again(stage, kind).await;
        }
        let links = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
        let path = format!("/businesses/{}/onboarding", shop.business);
        let before = stage.stripe.fake.all("accounts").len();
        let request = Request::post(binh, path, links, "/v1/accounts");
        request.again(stage, kind).await;
        let after = stage.stripe.fake.all("accounts").len();
        assert_eq!(after, before + 1, "{kind:?}: one account");
        subscriptions(&shop, kind).await;
        forgotten(stage, binh, kind).await;
    }
}

/// A plan is put up for sale once, and a subscription is changed as requested.
async fn subscriptions(shop: &Shop, kind: Kind) {
    let (stage, binh) = (&shop.stage, &shop.binh);
    let card = stage.saved(binh, CARD).await;
    let path = format!("/businesses/{}/subscription", shop.business);
    let body = json!({"plan_id": shop.plans[0], "payment_method_id": card});
    let prices = stage.stripe.fake.all("prices").len();
    let request = Request::post(binh, path, body, "/v1/prices");
    let begun = request.again(stage, kind).await;
    let after = stage.stripe.fake.all("prices").len();
    assert_eq!(after, prices + 1, "{kind:?}: one price");
    for (change, body) in [
        ("plan", json!({"plan_id": shop.plans[1]})),
        ("card", json!({"payment_method_id": card})),
        ("cancel", json!({})),
        ("keep", json!({})),
    ] {
        let path = format!("/subscriptions/{}/{change}", begun.id());
        let request = Request::post(binh, path, body, "/v1/subscriptions/");
        request.again(stage, kind).await;
    }
    let all = stage.stripe.fake.all("subscriptions");
    assert_eq!(all.len(), 1, "{kind:?}");
    assert_eq!(all[0]["cancel_at_period_end"], false, "{kind:?}");
    let shown = format!("/subscriptions/{}", begun.id());
    let shown = binh.client.get(&shown).await.expect(200);
    assert_eq!(shown.json["plan_id"], json!(shop.plans[1]), "{kind:?}");
}

/// A card is removed at the service before it is removed here.
async fn forgotten(stage: &Stage, by: &Member, kind: Kind) {
    let card = stage.saved(by, "5555555555554444").await;
    let path = format!("/payment-methods/{card}");
    let request = Request {
        by,
        method: Method::DELETE,
        path: path.clone(),
        body: None,
        call: "/v1/payment_methods/",
        status: 204,
    };
    request.again(stage, kind).await;
    by.client.get(&path).await.expect(404);
}

/// No request causes this: the job that cancels expired payments runs again.
#[tokio::test]
async fn p2_a_payment_is_cancelled_after_an_error_that_is_kept() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    for error in ERRORS {
        let order = stage
            .order(&stage.mira, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        stage.pay(&stage.mira, &order, json!({})).await.expect(200);
        let payment = stage.payment_of(&order).await;
        keyed(&stage.mira, &format!("/orders/{order}/cancel"), json!({}))
            .await
            .expect(200);
        let call = format!("/v1/payment_intents/{payment}/cancel");
        let mut script = Fault::new(error).on("POST", &call);
        script.times = Some(40);
        stage.stripe.fake.add_fault(script);
        let cancelled = async || {
            let payments = stage.payments();
            let done = payments.cancel_abandoned(Uuid::now_v7()).await;
            done.expect("a run");
        };
        cancelled().await;
        stage.stripe.fake.clear_faults();
        cancelled().await;
        let there = stage.stripe.fake.object(&payment).expect("a payment");
        assert_eq!(there["status"], "canceled", "{error:?}");
        let open = format!(
            "select count(*) from app.transactions where order_id = '{order}' and status <> 'cancelled'"
        );
        assert_eq!(stage.number(&open).await, 0, "{error:?}");
    }
    stage.books_agree().await;
}

/// A call was made with another form, as by an earlier version of this program, and its answer was lost: the service
/// refuses the key, which does not mean that nothing was done.
#[tokio::test]
async fn p2_a_refund_whose_key_was_used_for_another_call_is_looked_for() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, CARD).await;
    for is_made in [true, false] {
        let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
        let before = stage.stripe.fake.all("refunds").len();
        let lost = match is_made {
            true => Kind::DropAfter,
            false => Kind::DropBefore,
        };
        let mut script = Fault::new(lost).on("POST", "/v1/refunds");
        script.times = Some(40);
        stage.stripe.fake.add_fault(script);
        let body = json!({"ticket_ids": [stage.ticket_of(&order).await]});
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        stage.server.settled().await;
        stage.stripe.fake.clear_faults();
        stage
            .run(format!(
                "set session_replication_role = replica;
                 update app.refunds r set stripe_idempotency_key = t.stripe_idempotency_key
                 from app.transactions t where t.order_id = r.order_id and r.order_id = '{order}'"
            ))
            .await;
        // Without the events, so that nothing but the job can find out.
        let by_card = format!(
            "select count(*) from app.refunds where order_id = '{order}' and state = 'succeeded' and card_cents = 4500 and wallet_cents = 0"
        );
        for _ in 0..100 {
            stage
                .run("update jobs.queue set run_at = now() where name = 'payments.refund' and state = 'queued' and run_at > now()")
                .await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            if stage.number(&by_card).await == 1 {
                break;
            }
        }
        assert_eq!(stage.number(&by_card).await, 1, "{is_made}");
        let after = stage.stripe.fake.all("refunds").len();
        assert_eq!(after - before, 1, "{is_made}");
        stage.stripe.deliver(&stage.server).await;
        stage.books_agree().await;
    }
}

#[tokio::test]
async fn p2_a_payment_whose_key_was_used_for_another_call_is_looked_for() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let first = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let first = first.expect(201).id();
    stage.pay(&stage.mira, &first, json!({})).await.expect(200);
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let mut script = Fault::new(Kind::DropAfter).on("POST", "/v1/payment_intents");
    script.times = Some(40);
    stage.stripe.fake.add_fault(script);
    stage.pay(&stage.mira, &order, json!({})).await.expect(503);
    stage.server.settled().await;
    stage.stripe.fake.clear_faults();
    stage
        .run(format!(
            "set session_replication_role = replica;
             create temporary table key as select stripe_idempotency_key as key from app.transactions where order_id = '{first}';
             update app.transactions set stripe_idempotency_key = 'another' where order_id = '{first}';
             update app.transactions t set stripe_idempotency_key = key.key from key
             where t.order_id = '{order}'"
        ))
        .await;
    let before = stage.stripe.fake.all("payment_intents").len();
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    let after = stage.stripe.fake.all("payment_intents").len();
    assert_eq!(after, before, "the payment that was made is found");
    stage.books_agree().await;
}

/// The host's part of two refunds is taken back by two reversals. The answer of one is lost and the other was never made:
/// a day later, when their keys are forgotten, each is told apart from the other.
#[tokio::test]
async fn p1_reversals_of_one_transfer_are_told_apart() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 100).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    for (ticket, fault) in stage
        .tickets_of(&order)
        .await
        .iter()
        .zip([Kind::DropAfter, Kind::DropBefore])
    {
        stage
            .stripe
            .fake
            .add_fault(Fault::new(fault).on("POST", "/v1/transfers"));
        let body = json!({"ticket_ids": [ticket]});
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        // The job has given up, so that the next one does not wait for it.
        let gone = "delete from jobs.queue where name = 'payments.transfer' and attempts > 0";
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            stage.run(gone).await;
            let waiting = "select count(*) from jobs.queue where name in ('payments.refund', 'payments.transfer')";
            if stage.number(waiting).await == 0 {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "jobs are waiting");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        stage.stripe.deliver(&stage.server).await;
        stage.stripe.fake.clear_faults();
    }
    assert!(stage.host_has() > 0, "one reversal was made");
    let pending =
        "select count(*) from app.transfers where state = 'pending' and kind = 'refund_reversal'";
    assert_eq!(stage.number(pending).await, 2);
    stage
        .run(
            "set session_replication_role = replica;
             update app.transfers set updated_at = now() - interval '25 hours', created_at = now() - interval '25 hours'
             where state = 'pending'",
        )
        .await;
    for _ in 0..2 {
        let looked = stage.payments().reconcile_all(Uuid::now_v7()).await;
        looked.expect("a run");
        stage.stripe.deliver(&stage.server).await;
    }
    assert_eq!(stage.number(pending).await, 0);
    assert_eq!(stage.host_has(), 0);
    stage.books_agree().await;
}
