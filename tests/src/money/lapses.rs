//! Expiry: an account that is frozen, or whose books are wrong, doesn't prevent that of others, and buying and returning
//! tickets doesn't make credits permanent.

use super::stage::{Stage, keyed};
use crate::support::Member;
use serde_json::json;

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

impl Stage {
    /// What is left of the credits of a member that expire, those first that expire soonest.
    async fn lapsing(&self, of: &Member) -> Vec<i64> {
        let shown = of.client.get("/me/wallet").await.expect(200).json;
        let balance = &shown["data"][0]["lapsing"];
        let amounts = balance.as_array().expect("a list").iter();
        amounts
            .map(|one| one["amount_cents"].as_i64().expect("an amount"))
            .collect()
    }

    /// Lets the soonest `count` grants of a member expire now.
    async fn over(&self, of: &Member, count: i64) {
        let id = of.id;
        self.run(format!(
            "update app.wallet_credits set expires_at = now() - interval '1 minute' where id in (
               select c.id from app.wallet_credits c join app.wallet_accounts w on w.id = c.wallet_id
               where w.user_id = '{id}' and w.currency = 'AUD' order by c.expires_at, c.id limit {count})"
        ))
        .await;
    }

    async fn give_back(&self, order: &str, ticket: &str) {
        let body = json!({"ticket_ids": [ticket], "to": "wallet"});
        keyed(&self.mira, &format!("/orders/{order}/refunds"), body)
            .await
            .expect(201);
        self.sound().await;
    }
}

/// Three tickets of 10.00 are paid by 5.00 and 10.00 that expire, 3.00 that don't, and 12.00 by card.
async fn mixed(stage: &Stage) -> (String, Vec<String>) {
    // What is due in the demonstration is not counted by the tests.
    stage.lapsed().await;
    let kind = stage.tickets("Seat", 1_000, 10).await;
    for (amount, days) in [(500, 10), (1_000, 20)] {
        stage.credits(&stage.mira, amount).await;
        stage
            .run(format!(
                "update app.wallet_credits set expires_at = now() + interval '{days} days' where amount_cents = {amount}"
            ))
            .await;
    }
    let mira = stage.mira.id;
    stage
        .run(format!(
            "select app.grant_credits('refund_credit', 'a refund of a test', null, app.system_wallet('platform_cash', null, null, 'AUD'),
               app.wallet_of('{mira}', 'AUD'), 300, null)"
        ))
        .await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let placed = stage.order(&stage.mira, &[(kind, 3)], true).await;
    let order = placed.expect(201).id();
    let body = json!({"payment_method_id": card});
    stage.pay(&stage.mira, &order, body).await.expect(200);
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    let tickets = stage.tickets_of(&order).await;
    (order, tickets)
}

#[tokio::test]
async fn w5_a_refund_gives_credits_back_with_the_expiry_that_they_had() {
    let stage = Stage::new().await;
    let (order, tickets) = mixed(&stage).await;
    // The 3.00 that don't expire were spent last, so they come back first.
    stage.give_back(&order, &tickets[0]).await;
    assert_eq!(stage.wallet(&stage.mira).await, (1_000, 0));
    assert_eq!(stage.lapsing(&stage.mira).await, [700]);
    stage.give_back(&order, &tickets[1]).await;
    assert_eq!(stage.lapsing(&stage.mira).await, [500, 300 + 700]);
    // What the card has paid becomes credits that don't expire.
    stage.give_back(&order, &tickets[2]).await;
    assert_eq!(stage.wallet(&stage.mira).await, (3_000, 0));
    assert_eq!(stage.lapsing(&stage.mira).await, [500, 1_000]);
    stage.over(&stage.mira, 2).await;
    stage.lapsed().await;
    assert_eq!(stage.wallet(&stage.mira).await, (1_500, 0));
    stage.sound().await;
}

#[tokio::test]
async fn w5_credits_that_expired_while_they_were_spent_stay_expired() {
    let stage = Stage::new().await;
    let (order, tickets) = mixed(&stage).await;
    stage.over(&stage.mira, 2).await;
    // All in the refund's own transaction: there is no moment at which they could be spent again.
    stage.give_back(&order, &tickets[0]).await;
    assert_eq!(stage.wallet(&stage.mira).await, (300, 0));
    stage.give_back(&order, &tickets[1]).await;
    stage.give_back(&order, &tickets[2]).await;
    assert_eq!(stage.wallet(&stage.mira).await, (1_500, 0));
    assert_eq!(stage.lapsed().await, 0);
    stage.books_agree().await;
}

/// From a frozen account nothing is taken; what has expired is taken once the account is right again.
#[tokio::test]
async fn w5_a_refund_to_a_frozen_account_expires_later() {
    let stage = Stage::new().await;
    let (order, tickets) = mixed(&stage).await;
    stage.over(&stage.mira, 2).await;
    stage.change_account(&stage.mira, "frozen_at = now()").await;
    stage.give_back(&order, &tickets[0]).await;
    assert_eq!(stage.wallet(&stage.mira).await, (1_000, 0));
    stage.change_account(&stage.mira, "frozen_at = null").await;
    assert_eq!(stage.lapsed().await, 1);
    assert_eq!(stage.wallet(&stage.mira).await, (300, 0));
    stage.sound().await;
}

/// The control: without the record of which credits were spent, a refund makes them permanent.
#[tokio::test]
async fn w5_notices_credits_that_a_refund_makes_permanent() {
    let stage = Stage::new().await;
    stage
        .run(
            "create or replace function app.use_credits(p_journal uuid, p_wallet uuid, p_amount bigint, p_reverses uuid) returns void
             language sql set app.job = 'wallet' as 'update app.wallet_credits set remaining_cents = 0 where wallet_id = p_wallet'",
        )
        .await;
    let (order, tickets) = mixed(&stage).await;
    stage.over(&stage.mira, 2).await;
    let body = json!({"ticket_ids": [tickets[0]], "to": "wallet"});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), body)
        .await
        .expect(201);
    assert_eq!(stage.wallet(&stage.mira).await, (1_000, 0));
    let found = super::faults(stage.server.superuser().await.looking()).await;
    let of = |fault: &str| found.iter().any(|found| found.starts_with(fault));
    assert!(of("given credits are not what was given"), "{found:?}");
    assert!(of("an entry of a member does not say"), "{found:?}");
}

/// Gives Mira credits that expire late, by mistake. Returns the entry.
async fn given(stage: &Stage, amount_cents: i64) -> String {
    let body = json!({"user_id": stage.mira.id, "kind": "event_credit", "amount_cents": amount_cents, "currency": "AUD",
        "reference": "By mistake", "expires_at": "2100-01-01T00:00:00Z"});
    let budget = json!({"amount_cents": amount_cents, "reference": "Spring"});
    keyed(&stage.paula, "/wallet/budgets/AUD/fundings", budget)
        .await
        .expect(201);
    let given = keyed(&stage.paula, "/wallet/credits", body).await;
    let journal = given.expect(201).json["journal_id"].clone();
    journal.as_str().expect("an id").to_owned()
}

/// An entry that takes back what was given by mistake takes those credits, and not others that expire sooner.
#[tokio::test]
async fn w5_a_reversal_takes_the_credits_that_were_given() {
    let stage = Stage::without_provider().await;
    stage.credits(&stage.mira, 200).await;
    let journal = given(&stage, 100).await;
    assert_eq!(stage.lapsing(&stage.mira).await, [200, 100]);
    let path = format!("/wallet-journals/{journal}/reversals");
    keyed(&stage.paula, &path, json!({"reason": "By mistake"}))
        .await
        .expect(201);
    assert_eq!(stage.lapsing(&stage.mira).await, [200]);
    stage.sound().await;
}

/// Credits that are spent can't be taken back, although others of the member would cover them: those are the refund of a
/// card payment, or given for another reason.
#[tokio::test]
async fn w5_a_reversal_takes_no_other_credits() {
    for (others, until) in [
        ("refund_credit", "null"),
        ("promotion_bonus", "null"),
        ("promotion_bonus", "now() + interval '90 days'"),
    ] {
        let stage = Stage::without_provider().await;
        let kind = stage.tickets("Seat", 400, 10).await;
        let journal = given(&stage, 500).await;
        let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
        assert_eq!(order.expect(201).json["state"], "paid");
        let mira = stage.mira.id;
        stage
            .run(format!(
                "select app.grant_credits('{others}', 'others of a test', null, app.system_wallet('platform_cash', null, null, 'AUD'),
                   app.wallet_of('{mira}', 'AUD'), 500, {until})"
            ))
            .await;
        let path = format!("/wallet-journals/{journal}/reversals");
        let reason = json!({"reason": "By mistake"});
        let refused = keyed(&stage.paula, &path, reason.clone()).await;
        let refused = refused.expect(409);
        assert_eq!(refused.problem(), "insufficient-credits", "{others}");
        assert_eq!(stage.wallet(&stage.mira).await, (600, 0), "{others}");
        stage.sound().await;
        // The control: if a reversal takes whatever there is, the member's own money is gone.
        let control = sqlx::query(
            "create or replace function app.use_credits(p_journal uuid, p_wallet uuid, p_amount bigint, p_reverses uuid) returns void
             language sql set app.job = 'wallet' as ''",
        );
        let mut conn = stage.server.superuser().await;
        control.execute(&mut conn).await.expect("the control");
        keyed(&stage.paula, &path, reason).await.expect(201);
        assert_eq!(stage.wallet(&stage.mira).await, (100, 0), "{others}");
    }
}

impl Stage {
    /// When a member's credits expire: null if they don't. Of a grant that is the only one of this amount.
    async fn expires(&self, amount: i64) -> Option<chrono::DateTime<chrono::Utc>> {
        let mut conn = self.server.superuser().await;
        let found =
            sqlx::query_scalar("select expires_at from app.wallet_credits where amount_cents = $1")
                .bind(amount);
        found.fetch_one(&mut conn).await.expect("a grant")
    }
}

/// Grants without an end are told apart from refunds of card payments: the grant is reversed as a whole, spent after
/// credits that expire, and given back by a refund as what it was.
#[tokio::test]
async fn w5_credits_without_an_end_are_reversed_and_given_back() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 1_000, 10).await;
    let journal = given(&stage, 1_001).await;
    stage
        .run("update app.wallet_credits set expires_at = null where amount_cents = 1001")
        .await;
    stage.credits(&stage.mira, 500).await;
    let placed = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = placed.expect(201);
    assert_eq!(order.json["state"], "paid");
    assert_eq!(stage.wallet(&stage.mira).await, (501, 0));
    assert_eq!(stage.lapsing(&stage.mira).await, [] as [i64; 0]);
    let ticket = stage.tickets_of(&order.id()).await.remove(0);
    stage.give_back(&order.id(), &ticket).await;
    assert_eq!(stage.lapsing(&stage.mira).await, [500]);
    assert_eq!(stage.expires(1_001).await, None);
    let path = format!("/wallet-journals/{journal}/reversals");
    keyed(&stage.paula, &path, json!({"reason": "By mistake"}))
        .await
        .expect(201);
    assert_eq!(stage.wallet(&stage.mira).await, (500, 0));
    stage.books_agree().await;
}

/// Whoever orders, cancels and orders again keeps no credits beyond their time, whether or not the job has run.
#[tokio::test]
async fn w5_expired_credits_are_not_held_again() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 1_000, 10).await;
    stage.credits(&stage.mira, 400).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = order.expect(201).id();
    stage.over(&stage.mira, 1).await;
    // Held credits stay for as long.
    stage.lapsed().await;
    assert_eq!(stage.wallet(&stage.mira).await, (400, 400));
    let priced = stage.cart(&[(kind, 1)], true);
    let priced = stage.mira.client.post("/orders/price", priced).await;
    assert_eq!(priced.expect(200).json["wallet_cents"], 0);
    let cancel = format!("/orders/{order}/cancel");
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    assert_eq!(stage.wallet(&stage.mira).await, (400, 0));
    let again = stage.order(&stage.mira, &[(kind, 1)], true).await;
    assert_eq!(again.expect(201).json["wallet_cents"], 0);
    // The database refuses to hold them as well.
    let mira = stage.mira.id;
    let hold = format!(
        "select app.hold_credits(app.wallet_of('{mira}', 'AUD'), 100, 'a test', now() + interval '1 hour')"
    );
    let refused = sqlx::query(sqlx::AssertSqlSafe(hold))
        .execute(&mut stage.server.superuser().await)
        .await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("have expired"), "{refused}");
    assert_eq!(stage.lapsed().await, 1);
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.sound().await;
}

/// In time, expired credits still pay for the order that holds them.
#[tokio::test]
async fn w5_held_credits_pay_for_their_order_after_their_time() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 1_000, 10).await;
    stage.credits(&stage.mira, 400).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], true).await;
    let order = order.expect(201).id();
    stage.over(&stage.mira, 1).await;
    stage.pay(&stage.mira, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    assert_eq!(stage.state(&order).await, "paid");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.books_agree().await;
}
