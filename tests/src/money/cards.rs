//! P6: saved cards are removed at the service even if no member is left to remove them.

use super::stage::Stage;
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
