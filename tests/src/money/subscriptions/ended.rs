//! The end of a subscription: nothing is paid for one that has ended, and what was paid all the same goes back.

use super::{DAY, Shop};
use crate::{money::stage::keyed, support::Answer};
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
};
use gateway::Key;
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "4242424242424242";

impl Shop {
    async fn cancel(&self, id: &str) -> Answer {
        let path = format!("/subscriptions/{id}/cancel");
        keyed(&self.binh, &path, json!({})).await
    }

    /// The buyer's client pays the newest invoice. Returns whether it could.
    fn pays(&self) -> bool {
        let fake = &self.stage.stripe.fake;
        fake.pay_as_buyer(Intent::Payment, &self.payment_due(), GOOD)
            .is_ok()
    }

    pub(super) async fn at_once_at_stripe(&self, id: &str) {
        let known = self.at_stripe(id).await;
        let key = Key::new("ended-by-hand").expect("a key");
        let gateway = self.stage.stripe.gateway();
        let ended = gateway.cancel_subscription_now(&key, &known).await;
        ended.expect("ended");
    }

    fn refunded(&self) -> i64 {
        let books = self.stage.stripe.fake.books();
        books.get("aud").map_or(0, |books| books.refunded)
    }

    async fn is_closed(&self, id: &str) -> bool {
        let text = format!(
            "select count(*) from app.subscriptions where id = '{id}' and invoices_closed_at is not null"
        );
        self.stage.number(&text).await == 1
    }

    fn invoices(&self) -> Vec<Value> {
        let all = self.stage.stripe.fake.all("invoices").into_iter();
        all.map(|invoice| invoice["status"].clone()).collect()
    }

    /// Archives a row without asking its rules.
    async fn archive(&self, table: &str, id: Uuid) {
        self.stage
            .run(format!(
                "set session_replication_role = replica; update app.{table} set status = 'archived', live_key = null where id = '{id}'"
            ))
            .await;
    }

    async fn look(&self) {
        let payments = self.stage.payments();
        payments
            .cancel_abandoned(Uuid::now_v7())
            .await
            .expect("a look");
        self.deliver_all().await;
    }
}

#[tokio::test]
async fn s4_what_was_cancelled_before_it_was_paid_can_not_be_paid() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    let ended = shop.cancel(&id).await.expect(200);
    assert_eq!(
        (&ended.json["state"], &ended.json["client_secret"]),
        (&json!("canceled"), &Value::Null)
    );
    assert!(!shop.pays());
    assert_eq!(shop.invoices(), [json!("void")]);
    shop.deliver_all().await;
    assert!(shop.is_closed(&id).await);
    assert_eq!((shop.captured(), shop.movements().await), (0, 0));
    // The control: cancelled without its invoice being made void, it can be paid.
    let id = shop.begun().await;
    shop.at_once_at_stripe(&id).await;
    assert!(shop.pays());
}

/// Money that arrives at the same moment buys the period, whichever of the two the server hears of first.
#[tokio::test]
async fn s4_a_payment_that_arrives_while_it_is_cancelled_buys_the_period() {
    for paid_after_the_list in [false, true] {
        let shop = Shop::new().await;
        let id = shop.begun().await;
        shop.deliver_all().await;
        let cancelled = match paid_after_the_list {
            false => {
                assert!(shop.pays());
                shop.cancel(&id).await
            }
            true => {
                // The server has read that the invoice is open; then it is paid.
                let late = shop.stage.stripe.delay_reading("/v1/invoices?");
                let paid = async {
                    late.given().await;
                    assert!(shop.pays());
                    late.let_go();
                };
                tokio::join!(shop.cancel(&id), paid).0
            }
        };
        assert_eq!(cancelled.expect(200).json["state"], "active");
        shop.deliver_all().await;
        let shown = shop.shown(&id).await;
        assert_eq!(
            (&shown["is_entitled"], &shown["cancel_at_period_end"]),
            (&json!(true), &json!(true)),
            "{paid_after_the_list}"
        );
        assert_eq!((shop.captured(), shop.refunded()), (1_900, 0));
        shop.stage.stripe.fake.advance(33 * DAY);
        shop.deliver_all().await;
        assert_eq!(shop.shown(&id).await["state"], "canceled");
        assert_eq!((shop.captured(), shop.movements().await), (1_900, 1));
        shop.stage.books_agree().await;
    }
}

/// Ended at the service by hand, which leaves the invoice open: what is paid before the server hears of it goes back.
#[tokio::test]
async fn s4_what_is_paid_for_an_ended_subscription_goes_back() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    shop.deliver_all().await;
    shop.at_once_at_stripe(&id).await;
    assert!(shop.pays());
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.refunded()), (1_900, 1_900));
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["state"], &shown["is_entitled"]),
        (&json!("canceled"), &json!(false))
    );
    let path = format!("/transactions?subscription_id={id}");
    let list = shop.binh.client.get(&path).await.expect(200);
    assert_eq!(list.json["data"][0]["status"], "refunded");
    for event in shop.stage.stripe.fake.all("events") {
        let event = event["id"].as_str().expect("an id");
        shop.stage.stripe.fake.resend(event).expect("an event");
    }
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.refunded()), (1_900, 1_900));
    shop.stage.books_agree().await;

    // If the server hears of the end first, it makes the invoice void.
    let id = shop.begun().await;
    shop.deliver_all().await;
    shop.at_once_at_stripe(&id).await;
    shop.deliver_all().await;
    assert!(!shop.pays());
    assert!(shop.is_closed(&id).await);
    // What was paid before it ended has bought its period.
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.stage.stripe.fake.advance(DAY);
    let known = shop.at_stripe(&id).await;
    let key = Key::new("ended-by-hand-too").expect("a key");
    let gateway = shop.stage.stripe.gateway();
    gateway
        .cancel_subscription_now(&key, &known)
        .await
        .expect("ended");
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.refunded()), (3_800, 1_900));
    shop.stage.books_agree().await;
}

/// A refund that the service's balance does not cover, or whose answer is lost, is made later.
#[tokio::test]
async fn p4_a_period_that_goes_back_is_refunded_once_whatever_happens() {
    for kind in [
        Kind::DropAfter,
        Kind::ErrorAfter,
        Kind::ErrorBefore,
        Kind::Away,
    ] {
        let shop = Shop::new().await;
        let id = shop.begun().await;
        shop.deliver_all().await;
        shop.at_once_at_stripe(&id).await;
        assert!(shop.pays());
        let mut script = Fault::new(kind).on("POST", "/v1/refunds");
        script.times = Some(20);
        shop.stage.stripe.fake.add_fault(script);
        shop.deliver_all().await;
        shop.stage.stripe.fake.clear_faults();
        shop.stage
            .run("update jobs.queue set run_at = now(), attempts = 0 where state = 'queued' and run_at > now()")
            .await;
        shop.deliver_all().await;
        assert_eq!(
            (shop.captured(), shop.refunded()),
            (1_900, 1_900),
            "{kind:?}"
        );
        shop.stage.books_agree().await;
    }
}

/// Without a job, the reconciler sees to it.
#[tokio::test]
async fn s4_the_invoices_of_an_ended_subscription_are_closed_without_a_job() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    shop.at_once_at_stripe(&id).await;
    let known = shop.at_stripe(&id).await;
    shop.stage
        .run(format!(
            "update app.subscriptions set state = 'canceled' where stripe_subscription_id = '{known}';
             set session_replication_role = replica;
             update app.subscriptions set updated_at = now() - interval '1 hour' where stripe_subscription_id = '{known}'"
        ))
        .await;
    let payments = shop.stage.payments();
    payments.reconcile_all(Uuid::now_v7()).await.expect("a run");
    assert!(shop.is_closed(&id).await);
    assert!(!shop.pays());
}

/// A period that nobody has paid is not waited for.
#[tokio::test]
async fn s4_a_subscription_whose_renewal_is_not_paid_is_cancelled_at_once() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    shop.forget(&card).await;
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!(shop.shown(&id).await["state"], "past_due");
    let ended = shop.cancel(&id).await.expect(200);
    assert_eq!(ended.json["state"], "canceled");
    assert_eq!(shop.shown(&id).await["is_entitled"], false);
    assert!(!shop.pays());
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    shop.subscribe(shop.plans[0], &card).await.expect(200);
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.movements().await), (3_800, 2));
    shop.stage.books_agree().await;
}

/// A subscription that was taken for never made, and that the service bills all the same, is ended and paid back.
#[tokio::test]
async fn s4_a_subscription_that_was_taken_for_never_made_is_paid_back() {
    let shop = Shop::new().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    let known = shop.at_stripe(&id).await;
    // As if the answer had been an error, and nothing had been found at that moment.
    shop.stage
        .run(format!(
            "update app.subscriptions set state = 'canceled', failure_code = 'never_made', stripe_subscription_id = null,
               stripe_item_id = null, current_period_start = null, current_period_end = null, entitled_until = null,
               synced_at = null where id = '{id}'"
        ))
        .await;
    shop.deliver_all().await;
    let there = shop
        .stage
        .stripe
        .fake
        .object(&known)
        .expect("a subscription");
    assert_eq!(there["status"], "canceled");
    assert_eq!((shop.captured(), shop.refunded()), (1_900, 1_900));
    let shown = shop.shown(&id).await;
    assert_eq!(
        (&shown["state"], &shown["is_entitled"]),
        (&json!("canceled"), &json!(false))
    );
    shop.stage.books_agree().await;
}

/// The second administrator uses the key of the first one's call with other parameters, and the refusal of that says
/// nothing about the first call.
#[tokio::test]
async fn s4_two_administrators_who_subscribe_at_once_subscribe_once() {
    for with_card in [false, true] {
        let shop = Shop::new().await;
        let partner = shop.partner().await;
        let card = shop.stage.saved(&shop.binh, GOOD).await;
        let theirs = shop.stage.saved(&partner, GOOD).await;
        let fake = &shop.stage.stripe.fake;
        // The service has created it, and the server of the first one doesn't know yet.
        fake.add_fault(Fault::new(Kind::DropAfter).on("POST", "/v1/subscriptions"));
        shop.begin(&shop.binh, Some(&card)).await.expect(503);
        fake.clear_faults();
        let second = match with_card {
            false => shop.begin(&partner, None).await.expect(200),
            true => shop.begin(&partner, Some(&theirs)).await.expect(409),
        };
        if !with_card {
            assert_eq!(second.json["state"], "active");
        }
        // The same from the same member, with other parameters and another key.
        shop.begin(&shop.binh, None).await;
        shop.deliver_all().await;
        assert_eq!(fake.all("subscriptions").len(), 1);
        let live = format!(
            "select count(*) from app.subscriptions where business_id = '{}' and state = 'active' and failure_code is null",
            shop.business
        );
        assert_eq!(shop.stage.number(&live).await, 1);
        assert_eq!((shop.captured(), shop.movements().await), (1_900, 1));
        shop.stage.books_agree().await;
    }
}

/// Nothing had arrived at the service: the second request creates it, for the member who has begun it.
#[tokio::test]
async fn s4_a_subscription_that_another_request_has_stored_is_created_once() {
    let shop = Shop::new().await;
    let partner = shop.partner().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let fake = &shop.stage.stripe.fake;
    fake.add_fault(Fault::new(Kind::DropBefore).on("POST", "/v1/subscriptions"));
    shop.begin(&shop.binh, Some(&card)).await.expect(503);
    fake.clear_faults();
    assert!(fake.all("subscriptions").is_empty());
    let begun = shop.begin(&partner, None).await.expect(200);
    assert_eq!(begun.json["state"], "incomplete");
    let paid = shop.begin(&shop.binh, Some(&card)).await.expect(200);
    assert_eq!(
        (paid.id(), &paid.json["state"]),
        (begun.id(), &json!("active"))
    );
    shop.deliver_all().await;
    assert_eq!(fake.all("subscriptions").len(), 1);
    assert_eq!((shop.captured(), shop.movements().await), (1_900, 1));
}

/// Whoever pays may stop paying, also when they have left the business. Nothing else of it is theirs any more.
#[tokio::test]
async fn s4_a_member_whose_card_pays_can_always_cancel() {
    let shop = Shop::new().await;
    let partner = shop.partner().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    shop.stage
        .run(format!(
            "set session_replication_role = replica; delete from app.role_assignments where user_id = '{}'",
            shop.binh.id
        ))
        .await;
    let path = format!("/subscriptions/{id}");
    shop.binh.client.get(&path).await.expect(200);
    let plan = json!({"plan_id": shop.plans[1]});
    keyed(&shop.binh, &format!("{path}/plan"), plan)
        .await
        .expect(404);
    let again = json!({"payment_method_id": card});
    keyed(&shop.binh, &format!("{path}/card"), again)
        .await
        .expect(404);
    shop.cancel(&id).await.expect(200);
    let keep = format!("{path}/keep");
    keyed(&shop.binh, &keep, json!({})).await.expect(404);
    let seen = partner.client.get(&path).await.expect(200);
    assert_eq!(seen.json["cancel_at_period_end"], true);
    // Others neither see nor end it.
    shop.stage.mira.client.get(&path).await.expect(404);
    keyed(&shop.stage.mira, &format!("{path}/cancel"), json!({}))
        .await
        .expect(404);
}

/// Another administrator may end what a colleague pays for, and nothing else.
#[tokio::test]
async fn s4_nobody_spends_the_money_of_a_colleague() {
    let shop = Shop::new().await;
    let partner = shop.partner().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    let captured = shop.captured();
    let path = format!("/subscriptions/{id}");
    let dearer = json!({"plan_id": shop.plans[1]});
    keyed(&partner, &format!("{path}/plan"), dearer.clone())
        .await
        .expect(409);
    shop.cancel(&id).await.expect(200);
    keyed(&partner, &format!("{path}/keep"), json!({}))
        .await
        .expect(409);
    let seen = partner.client.get(&path).await.expect(200);
    assert_eq!(seen.json["cancel_at_period_end"], true);
    assert_eq!(shop.captured(), captured);
    // The payer may do both, and the partner may cancel.
    keyed(&shop.binh, &format!("{path}/keep"), json!({}))
        .await
        .expect(200);
    keyed(&shop.binh, &format!("{path}/plan"), dearer)
        .await
        .expect(200);
    keyed(&partner, &format!("{path}/cancel"), json!({}))
        .await
        .expect(200);
}

/// No card of a closed account is charged again.
#[tokio::test]
async fn s4_a_payer_who_closes_their_account_pays_no_further_period() {
    let shop = Shop::new().await;
    let partner = shop.partner().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &card).await.expect(200).id();
    shop.deliver_all().await;
    shop.look().await;
    let path = format!("/subscriptions/{id}");
    let seen = async || partner.client.get(&path).await.expect(200).json;
    assert_eq!(seen().await["cancel_at_period_end"], false);
    shop.archive("users", shop.binh.id).await;
    shop.look().await;
    let shown = seen().await;
    assert_eq!(
        (&shown["cancel_at_period_end"], &shown["is_entitled"]),
        (&json!(true), &json!(true))
    );
    let keep = keyed(&partner, &format!("{path}/keep"), json!({})).await;
    assert_eq!(keep.expect(409).problem(), "invalid-state");
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!(seen().await["state"], "canceled");
    assert_eq!(shop.captured(), 1_900);
    // Another administrator goes on with a card of their own.
    let theirs = shop.stage.saved(&partner, GOOD).await;
    let again = shop.begin(&partner, Some(&theirs)).await.expect(200);
    assert_eq!(again.json["state"], "active");
}

#[tokio::test]
async fn s4_a_business_that_is_archived_can_not_pay_what_is_open() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    shop.deliver_all().await;
    shop.archive("businesses", shop.business).await;
    shop.look().await;
    assert!(!shop.pays());
    assert!(shop.is_closed(&id).await);
    assert_eq!(shop.captured(), 0);
}
