//! P7: no member keeps credits for money that their bank returns to them as well.

use super::super::stage::{Stage, keyed};
use fake_stripe::fault::{Fault, Kind};
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
                "select app.grant_credits('promotion_bonus', 'bonus of a test', null, app.system_wallet('platform_cash', null, null, 'AUD'),
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
        let expiring = format!(
            "select coalesce(sum(remaining_cents), 0)::int8 from app.wallet_credits
             where wallet_id = app.wallet_of('{mira}', 'AUD')"
        );
        assert_eq!(stage.number(&expiring).await, 700);
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

impl Stage {
    /// Buys two tickets of 45.00 and has the first refunded as credits. Returns the order and the second ticket.
    async fn half_back_as_credits(&self, card: &str) -> (String, String) {
        let kind = self.tickets("Seat", 4_500, 5).await;
        let placed = self.order(&self.mira, &[(kind, 2)], false).await;
        let order = placed.expect(201).id();
        self.pay(&self.mira, &order, json!({})).await.expect(200);
        self.confirm(&order, card).await;
        let [first, second] = <[String; 2]>::try_from(self.tickets_of(&order).await).expect("two");
        let body = json!({"ticket_ids": [first], "to": "wallet"});
        keyed(&self.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        self.stripe.deliver(&self.server).await;
        assert_eq!(self.wallet(&self.mira).await, (4_500, 0));
        (order, second)
    }

    /// Opens a dispute about half of what was paid, and returns its id.
    async fn half_disputed(&self, order: &str) -> String {
        let payment = self.payment_of(order).await;
        let fake = &self.stripe.fake;
        let dispute = fake.dispute_part(&payment, "fraudulent", false, 4_500);
        self.stripe.deliver(&self.server).await;
        dispute.expect("a dispute")["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    }
}

/// The bank gives back one half, and the other half became credits, so a pending refund that can no longer be made
/// gives nothing in addition.
#[tokio::test]
async fn p7_a_refund_that_fails_after_a_dispute_about_a_part_pays_nobody_twice() {
    for won in [true, false] {
        let stage = Stage::new().await;
        let (order, second) = stage.half_back_as_credits("4242424242424242").await;
        stage.stripe.fake.add_fault(Fault::new(Kind::Away));
        let body = json!({"ticket_ids": [second]});
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        stage.server.settled().await;
        stage.stripe.fake.clear_faults();
        let dispute = stage.half_disputed(&order).await;
        assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
        stage.decided(&dispute, won).await;
        stage.age().await;
        let payments = stage.payments();
        for _ in 0..2 {
            let run = payments.reconcile_all(uuid::Uuid::now_v7()).await;
            run.expect("a run");
            stage.stripe.deliver(&stage.server).await;
        }
        // If the dispute was won, the refund to the card gave back the other half; if it was lost, the bank did.
        assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
        let pending = format!(
            "select count(*) from app.refunds where state = 'pending' and order_id = '{order}'"
        );
        assert_eq!(stage.number(&pending).await, 0);
        assert_eq!(stage.host_has(), 0);
        stage.told_once_more().await;
        assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
        stage.sound().await;
    }
}

/// A refund was in progress when the bank took back the same money, and succeeds afterwards.
#[tokio::test]
async fn p7_a_refund_that_arrives_after_a_dispute_about_a_part_pays_nobody_twice() {
    let stage = Stage::new().await;
    // With this card, refunds stay pending for a while.
    let (order, second) = stage.half_back_as_credits("4000000000007726").await;
    let body = json!({"ticket_ids": [second]});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    let dispute = stage.half_disputed(&order).await;
    stage.stripe.fake.advance(60);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.sound().await;
    stage.decided(&dispute, false).await;
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.sound().await;
}

/// The opposite order: both halves have become credits before the bank takes back one of them.
#[tokio::test]
async fn p7_a_dispute_about_a_part_after_refunds_as_credits_claims_that_part() {
    for won in [true, false] {
        let stage = Stage::new().await;
        let (order, second) = stage.half_back_as_credits("4000000000005126").await;
        let body = json!({"ticket_ids": [second]});
        keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        stage.stripe.deliver(&stage.server).await;
        // With this card, the refund fails after a while and becomes credits.
        stage.stripe.fake.advance(60);
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.wallet(&stage.mira).await, (9_000, 0));
        let dispute = stage.half_disputed(&order).await;
        assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
        stage.decided(&dispute, won).await;
        let has = if won { 9_000 } else { 4_500 };
        assert_eq!(stage.wallet(&stage.mira).await, (has, 0));
        stage.sound().await;
    }
}

/// Credits that expire still expire during a dispute and afterwards.
#[tokio::test]
async fn p7_a_dispute_that_is_won_makes_no_credits_permanent() {
    let stage = Stage::new().await;
    let order = stage.back_as_credits().await;
    stage.credits(&stage.mira, 1_000).await;
    let of_mira = format!(
        "(select id from app.wallet_accounts where user_id = '{}' and currency = 'AUD')",
        stage.mira.id
    );
    let lapsing = format!(
        "select coalesce(sum(remaining_cents), 0)::int8 from app.wallet_credits where wallet_id = {of_mira}"
    );
    assert_eq!(stage.number(&lapsing).await, 1_000);
    let dispute = stage.disputed(&order).await;
    assert_eq!(stage.wallet(&stage.mira).await, (1_000, 0));
    assert_eq!(stage.number(&lapsing).await, 1_000);
    stage.decided(&dispute, true).await;
    assert_eq!(stage.wallet(&stage.mira).await, (5_500, 0));
    assert_eq!(stage.number(&lapsing).await, 1_000);
    let over = format!(
        "update app.wallet_credits set expires_at = now() - interval '1 minute' where wallet_id = {of_mira}"
    );
    stage.run(over).await;
    let wallet = &stage.server.built.app.modules.wallet;
    wallet.lapse().await.expect("a run");
    assert_eq!(stage.wallet(&stage.mira).await, (4_500, 0));
    stage.sound().await;
}
