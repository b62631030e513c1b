//! Expiry: an account that is frozen, or whose books are wrong, doesn't prevent that of others.

use super::stage::Stage;
use crate::support::Member;

impl Stage {
    async fn change_account(&self, of: &Member, change: &str) {
        let id = of.id;
        let text = format!(
            "update app.wallet_accounts set {change} where user_id = '{id}' and currency = 'AUD'"
        );
        self.run(text).await;
    }

    async fn lapsed(&self) -> i64 {
        let wallet = &self.server.built.app.modules.wallet;
        wallet.lapse().await.expect("a run")
    }

    async fn holds(&self, of: &Member, state: &str) -> i64 {
        let id = of.id;
        let text = format!(
            "select count(*) from app.wallet_holds h join app.wallet_accounts w on w.id = h.wallet_id
             where w.user_id = '{id}' and h.state = '{state}' and w.currency = 'AUD'"
        );
        self.number(&text).await
    }
}

#[tokio::test]
async fn w6_a_frozen_account_keeps_nobody_elses_credits_from_lapsing() {
    let stage = Stage::without_provider().await;
    for member in [&stage.mira, &stage.olga] {
        stage.credits(member, 500).await;
    }
    stage.change_account(&stage.mira, "frozen_at = now()").await;
    stage
        .run("update app.wallet_credits set expires_at = now() - interval '1 minute' where currency = 'AUD'")
        .await;
    stage.lapsed().await;
    assert_eq!(stage.wallet(&stage.olga).await, (0, 0));
    assert_eq!(stage.wallet(&stage.mira).await, (500, 0));
    stage.sound().await;
    // After the account is unfrozen, its credits expire like others.
    stage.change_account(&stage.mira, "frozen_at = null").await;
    assert_eq!(stage.lapsed().await, 1);
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.sound().await;
}

/// The books of one account were tampered with: holds of others are released all the same, and so are their tickets.
#[tokio::test]
async fn w6_an_account_that_is_not_right_keeps_nobody_elses_holds() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 1_000, 10).await;
    for member in [&stage.mira, &stage.olga] {
        stage.credits(member, 300).await;
    }
    for swept_by in ["orders", "holds"] {
        for member in [&stage.mira, &stage.olga] {
            stage.order(member, &[(kind, 1)], true).await.expect(201);
            assert_eq!(stage.holds(member, "pending").await, 1, "{swept_by}");
        }
        stage.change_account(&stage.mira, "held_cents = 0").await;
        let over = "expires_at = now() - interval '1 second' where state = 'pending'";
        stage
            .run(format!("update app.wallet_holds set {over}"))
            .await;
        if swept_by == "orders" {
            stage.run(format!("update app.orders set {over}")).await;
            let tickets = &stage.server.built.app.modules.tickets;
            assert_eq!(tickets.expire().await.expect("swept"), 2);
            assert_eq!(stage.stock(kind).await, (0, 0));
        } else {
            assert!(stage.lapsed().await > 0);
        }
        assert_eq!(stage.holds(&stage.olga, "pending").await, 0, "{swept_by}");
        assert_eq!(stage.holds(&stage.mira, "pending").await, 1, "{swept_by}");
        assert_eq!(stage.wallet(&stage.olga).await.1, 0, "{swept_by}");
        // Corrected, so that the account agrees with its holds.
        stage.change_account(&stage.mira, "held_cents = 300").await;
        stage.lapsed().await;
        assert_eq!(stage.holds(&stage.mira, "pending").await, 0, "{swept_by}");
        stage.sound().await;
    }
}
