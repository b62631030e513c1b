//! Which card pays a plan: one that is given later, another one, one that is declined, and one whose bank asks.

use super::{DAY, Shop};
use crate::{
    money::stage::{keyed, keyed_by},
    support::{Answer, Member},
};
use fake_stripe::{
    Intent,
    fault::{Fault, Kind},
};
use serde_json::{Value, json};
use uuid::Uuid;

const GOOD: &str = "4242424242424242";
const DECLINED: &str = "4000000000000341";
/// Each payment by this card has to be confirmed.
const ASKS: &str = "4000002760003184";

impl Shop {
    /// Begins a subscription without a card. Returns its id.
    pub async fn begun(&self) -> String {
        let begun = self.begin(&self.binh, None).await.expect(200);
        assert_eq!(
            (&begun.json["state"], &begun.json["payment_status"]),
            (&json!("incomplete"), &json!("created"))
        );
        begun.id()
    }

    pub async fn begin(&self, by: &Member, card: Option<&str>) -> Answer {
        let path = format!("/businesses/{}/subscription", self.business);
        let mut body = json!({"plan_id": self.plans[0]});
        if let Some(card) = card {
            body["payment_method_id"] = json!(card);
        }
        keyed(by, &path, body).await
    }

    async fn card(&self, id: &str, card: &str) -> Answer {
        let path = format!("/subscriptions/{id}/card");
        keyed(&self.binh, &path, json!({"payment_method_id": card})).await
    }

    /// The service's id of the payment of the newest invoice.
    pub fn payment_due(&self) -> String {
        let all = self.stage.stripe.fake.all("payment_intents");
        let newest = all.last().expect("a payment");
        newest["id"].as_str().expect("an id").to_owned()
    }

    pub async fn deliver_all(&self) {
        self.stage.server.settled().await;
        self.stage.stripe.deliver(&self.stage.server).await;
    }

    pub fn captured(&self) -> i64 {
        let books = self.stage.stripe.fake.books();
        books.get("aud").map_or(0, |books| books.captured)
    }
}

#[tokio::test]
async fn s1_a_saved_card_pays_what_was_begun_without_one() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    let card = shop.stage.saved(&shop.binh, GOOD).await;
    // Also if the plan is withdrawn meanwhile, which nobody can begin any more.
    sqlx::query("update app.plans set is_offered = false where id = $1")
        .bind(shop.plans[0])
        .execute(&mut shop.stage.server.superuser().await)
        .await
        .expect("withdrawn");
    let paid = shop.begin(&shop.binh, Some(&card)).await.expect(200);
    assert_eq!(
        (paid.id(), &paid.json["state"]),
        (id.clone(), &json!("active"))
    );
    assert_eq!(
        (&paid.json["client_secret"], &paid.json["payment_status"]),
        (&Value::Null, &Value::Null)
    );
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.movements().await), (1_900, 1));
    assert_eq!(shop.shown(&id).await["is_entitled"], true);
    // The card pays the next period as well.
    shop.stage.stripe.fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.movements().await), (3_800, 2));
    shop.stage.books_agree().await;
}

/// Without being told to, the service would not keep the card that a buyer's client has paid with.
#[tokio::test]
async fn s1_the_card_that_was_entered_in_the_browser_pays_the_next_period() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    let fake = &shop.stage.stripe.fake;
    fake.pay_as_buyer(Intent::Payment, &shop.payment_due(), GOOD)
        .expect("paid");
    fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.movements().await), (3_800, 2));
    assert_eq!(shop.shown(&id).await["state"], "active");
}

#[tokio::test]
async fn s1_a_declined_card_is_said_to_be_and_another_one_pays() {
    for begins_with_it in [false, true] {
        let shop = Shop::new().await;
        if !begins_with_it {
            shop.begun().await;
        }
        let declined = shop.stage.saved(&shop.binh, DECLINED).await;
        let refused = shop.begin(&shop.binh, Some(&declined)).await.expect(402);
        assert_eq!(refused.problem(), "card-declined");
        shop.deliver_all().await;
        let list = shop
            .binh
            .client
            .get("/subscriptions?state=incomplete")
            .await;
        let waiting = list.expect(200).json["data"][0].clone();
        assert_eq!(
            (&waiting["state"], &waiting["is_entitled"]),
            (&json!("incomplete"), &json!(false)),
            "{begins_with_it}"
        );
        assert_eq!((shop.captured(), shop.movements().await), (0, 0));
        let good = shop.stage.saved(&shop.binh, GOOD).await;
        let paid = shop.begin(&shop.binh, Some(&good)).await.expect(200);
        assert_eq!(paid.id(), waiting["id"].as_str().expect("an id"));
        assert_eq!(paid.json["state"], "active");
        shop.deliver_all().await;
        assert_eq!((shop.captured(), shop.movements().await), (1_900, 1));
        shop.stage.books_agree().await;
    }
}

#[tokio::test]
async fn s1_a_bank_that_asks_is_answered_with_the_secret() {
    for (begins_with_it, succeeds) in [(false, true), (true, true), (false, false)] {
        let shop = Shop::new().await;
        if !begins_with_it {
            shop.begun().await;
        }
        let asking = shop.stage.saved(&shop.binh, ASKS).await;
        let waits = shop.begin(&shop.binh, Some(&asking)).await.expect(200);
        assert_eq!(
            (&waits.json["state"], &waits.json["payment_status"]),
            (&json!("incomplete"), &json!("requires_action"))
        );
        let payment = shop.payment_due();
        let secret = waits.json["client_secret"].as_str().expect("a secret");
        assert!(secret.starts_with(&payment), "{secret}");
        assert!(waits.json["page_url"].is_string());
        let fake = &shop.stage.stripe.fake;
        fake.authenticate(Intent::Payment, &payment, succeeds)
            .expect("an answer");
        shop.deliver_all().await;
        let id = waits.id();
        let state = if succeeds { "active" } else { "incomplete" };
        assert_eq!(shop.shown(&id).await["state"], state);
        assert_eq!(shop.captured(), if succeeds { 1_900 } else { 0 });
        shop.stage.books_agree().await;
    }
}

/// Whatever happens to the answers, one request charges once.
#[tokio::test]
async fn p2_a_card_that_is_sent_twice_pays_once() {
    for fault in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Away) {
        let shop = Shop::new().await;
        let id = shop.begun().await;
        let card = shop.stage.saved(&shop.binh, GOOD).await;
        let fake = &shop.stage.stripe.fake;
        let mut script = Fault::new(fault).on("POST", "/v1/invoices/");
        script.times = Some(8);
        fake.add_fault(script);
        let path = format!("/businesses/{}/subscription", shop.business);
        let body = json!({"plan_id": shop.plans[0], "payment_method_id": card});
        let key = Uuid::now_v7().to_string();
        let first = keyed_by(&shop.binh, &path, &key, body.clone()).await;
        fake.clear_faults();
        if first.status != 200 {
            assert_eq!(first.status, 503, "{fault:?} {}", first.text);
            let again = keyed_by(&shop.binh, &path, &key, body).await;
            let again = again.expect(200);
            assert_eq!(
                (again.id(), &again.json["state"]),
                (id.clone(), &json!("active"))
            );
        }
        shop.deliver_all().await;
        assert_eq!(
            (shop.captured(), shop.movements().await),
            (1_900, 1),
            "{fault:?}"
        );
        assert_eq!(shop.shown(&id).await["state"], "active", "{fault:?}");
        shop.stage.books_agree().await;
    }
}

/// The service charges only cards of the member who has begun the subscription.
#[tokio::test]
async fn s1_another_administrator_pays_without_a_saved_card() {
    let shop = Shop::new().await;
    let id = shop.begun().await;
    let partner = shop.partner().await;
    let theirs = shop.stage.saved(&partner, GOOD).await;
    let refused = shop.begin(&partner, Some(&theirs)).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    let card = format!("/subscriptions/{id}/card");
    keyed(&partner, &card, json!({"payment_method_id": theirs}))
        .await
        .expect(409);
    let shown = shop.begin(&partner, None).await.expect(200);
    assert_eq!(shown.id(), id);
    assert!(shown.json["client_secret"].is_string());
    // Nor does anybody pay with the card of another member.
    keyed(&shop.binh, &card, json!({"payment_method_id": theirs}))
        .await
        .expect(422);
    assert_eq!(shop.captured(), 0);
}

#[tokio::test]
async fn s1_another_card_pays_what_is_due_and_the_periods_to_come() {
    let shop = Shop::new().await;
    let first = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &first).await.expect(200).id();
    shop.deliver_all().await;
    shop.forget(&first).await;
    let fake = &shop.stage.stripe.fake;
    fake.advance(33 * DAY);
    shop.deliver_all().await;
    assert_eq!(shop.shown(&id).await["state"], "past_due");
    // The difference to another plan would be computed as if the period had been paid.
    let path = format!("/subscriptions/{id}/plan");
    let changed = keyed(&shop.binh, &path, json!({"plan_id": shop.plans[1]})).await;
    assert_eq!(changed.expect(409).problem(), "invalid-state");

    let declined = shop.stage.saved(&shop.binh, DECLINED).await;
    let refused = shop.card(&id, &declined).await.expect(402);
    assert_eq!(refused.problem(), "card-declined");
    assert_eq!(shop.captured(), 1_900);
    let good = shop.stage.saved(&shop.binh, "5555555555554444").await;
    let paid = shop.card(&id, &good).await.expect(200);
    assert_eq!(
        (&paid.json["state"], &paid.json["payment_status"]),
        (&json!("active"), &Value::Null)
    );
    shop.deliver_all().await;
    assert_eq!((shop.captured(), shop.movements().await), (3_800, 2));
    let entitled = super::time(&shop.shown(&id).await, "entitled_until");
    let end = super::time(&shop.shown(&id).await, "current_period_end");
    assert!(entitled > end);

    // Nothing is due: the next period is paid with the card that was named last.
    let third = shop.stage.saved(&shop.binh, "378282246310005").await;
    shop.card(&id, &third).await.expect(200);
    assert_eq!(shop.captured(), 3_800);
    fake.advance(31 * DAY);
    shop.deliver_all().await;
    assert_eq!(shop.captured(), 5_700);
    let charges = fake.all("charges");
    let brand = &charges.last().expect("a charge")["payment_method_details"]["card"]["brand"];
    assert_eq!(brand, "amex");
    let mira = format!("/subscriptions/{id}/card");
    let theirs = json!({"payment_method_id": third});
    keyed(&shop.stage.mira, &mira, theirs).await.expect(404);
    shop.stage.books_agree().await;
}

/// A better plan is had once it is paid. By default the service would change it whether it is paid or not, and credit the
/// difference when it is changed back.
#[tokio::test]
async fn s4_a_better_plan_is_had_once_it_is_paid() {
    let shop = Shop::new().await;
    let good = shop.stage.saved(&shop.binh, GOOD).await;
    let id = shop.subscribe(shop.plans[0], &good).await.expect(200).id();
    let fake = &shop.stage.stripe.fake;
    let change = async |to: usize| {
        let path = format!("/subscriptions/{id}/plan");
        keyed(&shop.binh, &path, json!({"plan_id": shop.plans[to]})).await
    };
    let plan = async || {
        shop.deliver_all().await;
        let shown = shop.shown(&id).await;
        assert_eq!(shown["state"], "active");
        shown["plan_id"].clone()
    };
    let declined = shop.stage.saved(&shop.binh, DECLINED).await;
    shop.card(&id, &declined).await.expect(200);
    for _ in 0..2 {
        let refused = change(1).await.expect(402);
        assert_eq!(refused.problem(), "card-declined");
        assert_eq!(plan().await, json!(shop.plans[0]));
    }
    // Nobody can pay for it later, and nothing is credited.
    fake.pay_as_buyer(Intent::Payment, &shop.payment_due(), GOOD)
        .expect_err("a payment that is cancelled");
    change(0).await.expect(200);
    assert_eq!(shop.captured(), 1_900);

    let asking = shop.stage.saved(&shop.binh, ASKS).await;
    shop.card(&id, &asking).await.expect(200);
    let waits = change(1).await.expect(200);
    assert_eq!(
        (&waits.json["state"], &waits.json["payment_status"]),
        (&json!("active"), &json!("requires_action"))
    );
    assert!(waits.json["client_secret"].is_string());
    assert_eq!(plan().await, json!(shop.plans[0]));
    fake.authenticate(Intent::Payment, &shop.payment_due(), true)
        .expect("paid");
    assert_eq!(plan().await, json!(shop.plans[1]));
    assert!(shop.captured() > 1_900);
    assert_eq!(shop.movements().await, 2);
    assert_eq!(shop.shown(&id).await["amount_cents"], 4_900);
    shop.stage.books_agree().await;
}
