//! P7: no member keeps credits for money that their bank returns to them as well.

use super::super::stage::{Stage, keyed};
use serde_json::json;
use uuid::Uuid;

impl Stage {
    /// An order bought for 45.00 by card, and refunded as credits.
    async fn back_as_credits(&self) -> String {
        let kind = self.tickets("Seat", 4_500, 5).await;
        let card = self.saved(&self.mira, "4242424242424242").await;
        let order = self.bought_by_card(&self.mira, &card, &[(kind, 1)]).await;
        let path = format!("/orders/{order}/refunds");
        let asked = keyed(&self.mira, &path, json!({"to": "wallet"})).await;
        asked.expect(201);
        self.stripe.deliver(&self.server).await;
        assert_eq!(self.wallet(&self.mira).await, (4_500, 0));
        order
    }
}

#[tokio::test]
async fn p7_credits_for_what_a_bank_takes_back_go_back_as_well() {
    for won in [true, false] {
        let stage = Stage::new().await;
        let order = stage.back_as_credits().await;
        let dispute = stage.disputed(&order).await;
        // The credits can't be spent while the bank decides.
        assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
        stage.told_once_more().await;
        assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
        stage.sound().await;
        stage.decided(&dispute, won).await;
        let has = if won { 4_500 } else { 0 };
        assert_eq!(stage.wallet(&stage.mira).await, (has, 0));
        stage.told_once_more().await;
        assert_eq!(stage.wallet(&stage.mira).await, (has, 0));
        assert_eq!(stage.host_has(), 0);
        stage.books_agree().await;
        // Nobody can reverse it by hand.
        let journal: String = sqlx::query_scalar(
            "select id::text from app.wallet_journals where idempotency_key like 'disputed:%' limit 1",
        )
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("an entry");
        let path = format!("/wallet-journals/{journal}/reversals");
        let refused = keyed(&stage.paula, &path, json!({"reason": "It was not so"})).await;
        assert_eq!(refused.expect(409).problem(), "invalid-state");
    }
}

/// Spent credits can't be taken back, and nothing else is taken instead.
#[tokio::test]
async fn p7_credits_that_are_spent_before_the_bank_takes_the_money_are_lost() {
    let stage = Stage::new().await;
    let order = stage.back_as_credits().await;
    let kind = stage.tickets("Stool", 1_000, 5).await;
    let placed = stage.order(&stage.mira, &[(kind, 2)], true).await;
    assert_eq!(placed.expect(201).json["state"], "paid");
    assert_eq!(stage.wallet(&stage.mira).await, (2_500, 0));
    let dispute = stage.disputed(&order).await;
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.decided(&dispute, false).await;
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.stripe.deliver(&stage.server).await;
    stage.sound().await;
}

/// Credits that are held when the bank takes the money are claimed once they are free, and bonus credits are left alone.
#[tokio::test]
async fn p7_held_credits_are_claimed_later_and_bonuses_still_expire() {
    for won in [true, false] {
        let stage = Stage::new().await;
        let order = stage.back_as_credits().await;
        let mira = stage.mira.id;
        stage
            .run(format!(
                "select app.grant_credits('promotion_bonus', 'bonus', null, app.system_wallet('platform_cash', null, null, 'AUD'),
                   app.wallet_of('{mira}', 'AUD'), 700, now() + interval '30 days')"
            ))
            .await;
        stage
            .run(format!(
                "select app.hold_credits(app.wallet_of('{mira}', 'AUD'), 5200, 'a test', now() + interval '1 hour')"
            ))
            .await;
        let dispute = stage.disputed(&order).await;
        let reconciled = async || {
            let reconciled = stage.payments().reconcile_all(Uuid::now_v7()).await;
            reconciled.expect("a run");
            stage.sound().await;
        };
        reconciled().await;
        assert_eq!(stage.wallet(&stage.mira).await, (5_200, 5_200));
        stage
            .run("select app.release_hold(id, 'voided') from app.wallet_holds where state = 'pending'")
            .await;
        for _ in 0..2 {
            reconciled().await;
            assert_eq!(stage.wallet(&stage.mira).await, (700, 0));
        }
        stage.decided(&dispute, won).await;
        let left = if won { 5_200 } else { 700 };
        assert_eq!(stage.wallet(&stage.mira).await, (left, 0));
        let expiring = "select coalesce(sum(remaining_cents), 0)::int8 from app.wallet_credits";
        assert_eq!(stage.number(expiring).await, 700);
        stage.books_agree().await;
    }
}

/// The control: if nobody claims the credits, the member has the money twice.
#[tokio::test]
async fn p7_notices_credits_that_nobody_claims() {
    let stage = Stage::new().await;
    stage
        .run(
            "create or replace function app.claim_credits(p_payment uuid, p_wallet uuid, p_due bigint) returns bigint
             language sql as 'select p_due'",
        )
        .await;
    let order = stage.back_as_credits().await;
    let dispute = stage.disputed(&order).await;
    stage.decided(&dispute, false).await;
    assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
}

impl Stage {
    async fn told_once_more(&self) {
        for event in self.stripe.fake.all("events") {
            let id = event["id"].as_str().expect("an id");
            let _ = self.stripe.fake.resend(id);
        }
        self.stripe.deliver(&self.server).await;
    }
}
