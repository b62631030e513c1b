//! P6: saved cards are removed at the service even if no member is left to remove them.

use super::stage::Stage;
use serde_json::json;
use uuid::Uuid;

const GOOD_CARD: &str = "4242424242424242";

impl Stage {
    /// The number of cards that can be charged at the service.
    fn cards_there(&self) -> usize {
        let cards = self.stripe.fake.all("payment_methods").into_iter();
        cards.filter(|card| card["customer"].is_string()).count()
    }

    async fn service_is_asked(&self) {
        let run = self.payments().reconcile_all(Uuid::now_v7()).await;
        run.expect("a run");
        self.stripe.deliver(&self.server).await;
    }
}

#[tokio::test]
async fn p6_the_service_forgets_the_cards_of_who_is_erased() {
    let stage = Stage::new().await;
    let vera = stage.server.member("vera_who_leaves").await;
    for who in [&stage.mira, &vera] {
        stage.saved(who, GOOD_CARD).await;
    }
    assert_eq!(stage.cards_there(), 2);
    let cards = stage.mira.client.get("/payment-methods").await;
    let before = cards.expect(200).json["data"].clone();
    vera.client.delete("/me").await.expect(204);
    stage.server.settled().await;
    stage.service_is_asked().await;
    assert_eq!(
        stage.cards_there(),
        2,
        "cards are kept while the account may be restored"
    );

    stage
        .run(format!(
            "set session_replication_role = replica; update app.users set closed_at = now() - interval '31 days' where id = '{}'",
            vera.id
        ))
        .await;
    let privacy = &stage.server.built.app.modules.privacy;
    assert_eq!(privacy.erase().await.expect("a run"), 1);
    let forgotten = &format!(
        "select count(*) from app.payment_methods where detached_at is not null and user_id = '{}'",
        vera.id
    );
    assert_eq!(stage.number(forgotten).await, 0);
    for _ in 0..2 {
        stage.service_is_asked().await;
        assert_eq!(stage.cards_there(), 1, "Mira's");
        assert_eq!(stage.number(forgotten).await, 1);
    }
    let cards = stage.mira.client.get("/payment-methods").await;
    assert_eq!(cards.expect(200).json["data"], before);
}

/// P6: what happens to a card at the provider is followed: its bank renews it, and it is removed there.
#[tokio::test]
async fn p6_a_card_that_is_renewed_or_removed_at_the_provider_is_followed() {
    let stage = Stage::new().await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let path = format!("/payment-methods/{card}");
    let of = "select stripe_payment_method_id from app.payment_methods where id = $1::text::uuid";
    let known: String = sqlx::query_scalar(of)
        .bind(&card)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("a card");
    let fake = &stage.stripe.fake;
    fake.renew_card(&known, 7, 2049);
    stage.stripe.deliver(&stage.server).await;
    let shown = stage.mira.client.get(&path).await.expect(200).json;
    assert_eq!(
        (&shown["exp_month"], &shown["exp_year"]),
        (&json!(7), &json!(2049))
    );
    let key = gateway::Key::new("removed-at-the-provider").expect("a key");
    let gateway = stage.stripe.gateway();
    gateway.detach_card(&key, &known).await.expect("removed");
    stage.stripe.deliver(&stage.server).await;
    stage.mira.client.get(&path).await.expect(404);
    // It can't be used any more, and the buyer is told so.
    let kind = stage.tickets("Seat", 4500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let body = json!({"payment_method_id": card});
    let refused = stage.pay(&stage.mira, &order, body).await.expect(422);
    assert_eq!(refused.pointers(), ["/payment_method_id"]);
}
