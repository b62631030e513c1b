//! Rewards for referring a member: earned once, by a first purchase, and lost if it is refunded.

use super::stage::Stage;
use crate::support::Member;
use serde_json::json;
use uuid::Uuid;

/// The reward configured by the stage: `AUD:500`.
const REWARD: i64 = 500;

/// A member who signed up yesterday and has never bought anything.
async fn newcomer(stage: &Stage, name: &str) -> Member {
    let mut conn = stage.server.superuser().await;
    let member = stage.server.member(name).await;
    sqlx::query("update app.users set created_at = now() - interval '1 day' where id = $1")
        .bind(member.id)
        .execute(&mut conn)
        .await
        .expect("new");
    member
}

async fn budget(stage: &Stage, amount_cents: i64) {
    let body = json!({"amount_cents": amount_cents, "reference": "Bring a friend"});
    super::stage::keyed(&stage.paula, "/wallet/budgets/AUD/fundings", body)
        .await
        .expect(201);
}

async fn referred(stage: &Stage, referee: &Member) -> String {
    let body = json!({"referrer_id": stage.mira.id});
    let made = referee.client.post("/referrals", body).await.expect(201);
    made.id()
}

async fn bought(stage: &Stage, buyer: &Member, kind: Uuid, quantity: i32) -> String {
    let order = stage.order(buyer, &[(kind, quantity)], false).await;
    let order = order.expect(201).id();
    stage.pay(buyer, &order, json!({})).await.expect(200);
    stage.confirm(&order, "4242424242424242").await;
    stage.server.settled().await;
    assert_eq!(stage.state(&order).await, "paid");
    order
}

async fn state(stage: &Stage, referral: &str) -> String {
    let path = format!("/referrals/{referral}");
    let seen = stage.mira.client.get(&path).await.expect(200);
    seen.json["state"].as_str().expect("a state").to_owned()
}

#[tokio::test]
async fn abuse_52_a_reward_is_earned_once_and_goes_back_with_the_purchase() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    let friend = newcomer(&stage, "friend").await;
    let referral = referred(&stage, &friend).await;
    // Once per person, not for oneself, and nobody can set their own reward.
    let again = json!({"referrer_id": stage.olga.id});
    friend.client.post("/referrals", again).await.expect(409);
    let own = json!({"referrer_id": stage.mira.id});
    stage.mira.client.post("/referrals", own).await.expect(422);
    let path = format!("/referrals/{referral}");
    let forged = json!({"state": "rewarded"});
    let forged = friend.client.patch(&path, "*", forged).await;
    assert!(
        [403, 404, 405].contains(&forged.status.as_u16()),
        "{}",
        forged.status
    );

    let order = bought(&stage, &friend, kind, 2).await;
    assert_eq!(stage.wallet(&stage.mira).await.0, before + REWARD);
    assert_eq!(state(&stage, &referral).await, "rewarded");
    // Reporting the order again, or a second purchase, adds nothing.
    let wallet = &stage.server.built.app.modules.wallet;
    let id: Uuid = order.parse().expect("an id");
    assert!(
        !wallet
            .reward_referral(id, Uuid::now_v7())
            .await
            .expect("told")
    );
    bought(&stage, &friend, kind, 1).await;
    assert_eq!(stage.wallet(&stage.mira).await.0, before + REWARD);

    // One of two tickets is refunded: it was a purchase all the same. After the other one too, it wasn't.
    let tickets = friend.client.get(&format!("/orders/{order}/tickets")).await;
    let tickets = tickets.expect(200).json;
    for (n, (expected, left)) in [("rewarded", REWARD), ("revoked", 0)]
        .into_iter()
        .enumerate()
    {
        let one = json!({"ticket_ids": [tickets["data"][n]["id"]]});
        let path = format!("/orders/{order}/refunds");
        super::stage::keyed(&stage.olga, &path, one)
            .await
            .expect(201);
        stage.server.settled().await;
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(state(&stage, &referral).await, expected);
        assert_eq!(stage.wallet(&stage.mira).await.0, before + left);
    }
    stage.sound().await;
}

/// A referrer and a referred member who buy together, and get all but a trifle of the price back, have bought nothing
/// that a reward is for.
#[tokio::test]
async fn abuse_52_a_reward_needs_a_purchase_that_is_left_after_refunds() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 4500, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    // What is left of the purchase after the seat is refunded: less than the reward, and more.
    for (left, expected) in [(REWARD / 5, "revoked"), (2 * REWARD, "rewarded")] {
        let stool = stage.tickets(&format!("Stool {left}"), left, 50).await;
        let friend = newcomer(&stage, &format!("friend_{left}")).await;
        let referral = referred(&stage, &friend).await;
        let order = stage.order(&friend, &[(seat, 1), (stool, 1)], false).await;
        let order = order.expect(201).id();
        stage.pay(&friend, &order, json!({})).await.expect(200);
        stage.confirm(&order, "4242424242424242").await;
        stage.server.settled().await;
        assert_eq!(state(&stage, &referral).await, "rewarded");
        let had = stage.wallet(&stage.mira).await.0;
        assert_eq!(had, before + REWARD);
        let ticket: Uuid = sqlx::query_scalar(
            "select id from app.tickets where order_id = $1::uuid and ticket_type_id = $2",
        )
        .bind(order.parse::<Uuid>().expect("an id"))
        .bind(seat)
        .fetch_one(&mut stage.server.superuser().await)
        .await
        .expect("the seat");
        let path = format!("/orders/{order}/refunds");
        let one = json!({"ticket_ids": [ticket]});
        super::stage::keyed(&stage.olga, &path, one)
            .await
            .expect(201);
        stage.server.settled().await;
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(stage.state(&order).await, "part_refunded");
        assert_eq!(state(&stage, &referral).await, expected, "{left}");
        let kept = if expected == "rewarded" { REWARD } else { 0 };
        assert_eq!(stage.wallet(&stage.mira).await.0, before + kept, "{left}");
    }
    stage.sound().await;
}

#[tokio::test]
async fn w5_what_earns_no_reward() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 50).await;
    let cheap = stage.tickets("Stool", 300, 50).await;
    let before = stage.wallet(&stage.mira).await.0;
    budget(&stage, 100_000).await;

    // A member who signed up long ago, and one who bought before being referred.
    let old = newcomer(&stage, "old_friend").await;
    let mut conn = stage.server.superuser().await;
    sqlx::query("update app.users set created_at = now() - interval '40 days' where id = $1")
        .bind(old.id)
        .execute(&mut conn)
        .await
        .expect("old");
    referred(&stage, &old).await;
    bought(&stage, &old, kind, 1).await;
    let late = newcomer(&stage, "late_friend").await;
    bought(&stage, &late, kind, 1).await;
    referred(&stage, &late).await;
    bought(&stage, &late, kind, 1).await;
    // A purchase below the reward.
    let small = newcomer(&stage, "small_friend").await;
    referred(&stage, &small).await;
    bought(&stage, &small, cheap, 1).await;
    // A purchase with credits.
    let given = newcomer(&stage, "given_friend").await;
    referred(&stage, &given).await;
    stage.credits(&given, 4500).await;
    let order = stage.order(&given, &[(kind, 1)], true).await;
    assert_eq!(stage.state(&order.expect(201).id()).await, "paid");
    stage.server.settled().await;
    assert_eq!(stage.wallet(&stage.mira).await.0, before);
    stage.sound().await;
}

#[tokio::test]
async fn w5_what_is_spent_of_a_reward_is_not_taken_from_anything_else() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 50).await;
    let cheap = stage.tickets("Stool", 400, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    assert_eq!(before, 0, "Mira has no credits in AUD");
    let friend = newcomer(&stage, "friend").await;
    let referral = referred(&stage, &friend).await;
    let order = bought(&stage, &friend, kind, 1).await;
    let spent = stage.order(&stage.mira, &[(cheap, 1)], true).await;
    assert_eq!(stage.state(&spent.expect(201).id()).await, "paid");
    let path = format!("/orders/{order}/refunds");
    super::stage::keyed(&stage.olga, &path, json!({}))
        .await
        .expect(201);
    stage.server.settled().await;
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(state(&stage, &referral).await, "revoked");
    assert_eq!(stage.wallet(&stage.mira).await, (0, 0));
    stage.sound().await;
}

#[tokio::test]
async fn abuse_52_a_reward_goes_back_with_a_purchase_that_the_bank_takes_back() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4500, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    for won in [true, false] {
        let friend = newcomer(&stage, if won { "honest" } else { "deceived" }).await;
        let referral = referred(&stage, &friend).await;
        let order = bought(&stage, &friend, kind, 1).await;
        let had = stage.wallet(&stage.mira).await.0;
        assert_eq!(state(&stage, &referral).await, "rewarded");
        let fake = &stage.stripe.fake;
        let payment = stage.payment_of(&order).await;
        let dispute = fake.dispute(&payment, "fraudulent", false);
        let dispute = dispute.expect("a dispute")["id"].clone();
        stage.stripe.deliver(&stage.server).await;
        // The dispute is undecided.
        assert_eq!(state(&stage, &referral).await, "rewarded");
        fake.close_dispute(dispute.as_str().expect("an id"), won)
            .expect("decided");
        stage.stripe.deliver(&stage.server).await;
        let (expected, left) = if won {
            ("rewarded", had)
        } else {
            ("revoked", had - REWARD)
        };
        assert_eq!(state(&stage, &referral).await, expected);
        assert_eq!(stage.wallet(&stage.mira).await.0, left);
    }
    assert_eq!(stage.wallet(&stage.mira).await.0, before + REWARD);
    stage.sound().await;
}
