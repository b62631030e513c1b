//! Rewards for referring a member: earned once, by a first purchase, and lost if it is refunded.

use super::stage::Stage;
use crate::support::Member;
use serde_json::json;
use uuid::Uuid;

/// The reward configured by the stage: `AUD:500`.
const REWARD: i64 = 500;

/// Tickets that buyers can't return.
async fn kept(stage: &Stage, name: &str, price_cents: i64, capacity: i32) -> Uuid {
    let kind = stage.tickets(name, price_cents, capacity).await;
    let path = format!("/ticket-types/{kind}");
    let changed = json!({"refundable_until": null});
    let changed = stage.olga.client.patch(&path, "*", changed).await;
    changed.expect(200);
    kind
}

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
    let kind = kept(&stage, "Seat", 4500, 50).await;
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
    let seat = kept(&stage, "Seat", 4500, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    // What is left of the purchase after the seat is refunded: less than the reward, and more.
    for (left, expected) in [(REWARD / 5, "revoked"), (2 * REWARD, "rewarded")] {
        let stool = kept(&stage, &format!("Stool {left}"), left, 50).await;
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
    let kind = kept(&stage, "Seat", 4500, 50).await;
    let cheap = kept(&stage, "Stool", 300, 50).await;
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

async fn spent_reward(without_an_end: bool) {
    let stage = Stage::new().await;
    let kind = kept(&stage, "Seat", 4500, 50).await;
    let cheap = kept(&stage, "Stool", 400, 50).await;
    budget(&stage, 10_000).await;
    let before = stage.wallet(&stage.mira).await.0;
    assert_eq!(before, 0, "Mira has no credits in AUD");
    let friend = newcomer(&stage, "friend").await;
    let referral = referred(&stage, &friend).await;
    let order = bought(&stage, &friend, kind, 1).await;
    let earned = stage.wallet(&stage.mira).await.0;
    if without_an_end {
        stage
            .run("update app.wallet_credits set expires_at = null where currency = 'AUD'")
            .await;
    }
    // Of the reward 4.00 are spent, and a card payment of 30.00 was refunded to the wallet.
    let spent = stage.order(&stage.mira, &[(cheap, 1)], true).await;
    assert_eq!(stage.state(&spent.expect(201).id()).await, "paid");
    let mira = stage.mira.id;
    stage
        .run(format!(
            "select app.grant_credits('refund_credit', 'a refund of a test', null, app.system_wallet('platform_cash', null, null, 'AUD'),
               app.wallet_of('{mira}', 'AUD'), 3000, null)"
        ))
        .await;
    assert_eq!(stage.wallet(&stage.mira).await, (earned - 400 + 3_000, 0));
    let path = format!("/orders/{order}/refunds");
    super::stage::keyed(&stage.olga, &path, json!({}))
        .await
        .expect(201);
    stage.server.settled().await;
    stage.stripe.deliver(&stage.server).await;
    assert_eq!(state(&stage, &referral).await, "revoked");
    assert_eq!(stage.wallet(&stage.mira).await, (3_000, 0));
    stage.sound().await;
}

#[tokio::test]
async fn w5_what_is_spent_of_a_reward_is_not_taken_from_anything_else() {
    for without_an_end in [false, true] {
        spent_reward(without_an_end).await;
    }
}

#[tokio::test]
async fn abuse_52_a_reward_goes_back_with_a_purchase_that_the_bank_takes_back() {
    let stage = Stage::new().await;
    let kind = kept(&stage, "Seat", 4500, 50).await;
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

/// While the buyer can return the tickets, the reward waits: it could be spent meanwhile. The control is the first
/// purchase, for which nobody waits.
#[tokio::test]
async fn w5_a_reward_waits_until_the_purchase_cannot_be_returned() {
    let stage = Stage::new().await;
    let returnable = stage.tickets("Seat", 4500, 50).await;
    let lasting = kept(&stage, "Box", 4500, 50).await;
    budget(&stage, 10_000).await;
    let friend = newcomer(&stage, "at_once").await;
    let referral = referred(&stage, &friend).await;
    bought(&stage, &friend, lasting, 1).await;
    assert_eq!(state(&stage, &referral).await, "rewarded");
    let had = stage.wallet(&stage.mira).await.0;

    let (keeper, returner) = (
        newcomer(&stage, "keeper").await,
        newcomer(&stage, "returner").await,
    );
    let of_keeper = referred(&stage, &keeper).await;
    let of_returner = referred(&stage, &returner).await;
    let kept_order = bought(&stage, &keeper, returnable, 1).await;
    let returned = bought(&stage, &returner, returnable, 1).await;
    let path = format!("/orders/{returned}/refunds");
    super::stage::keyed(&returner, &path, json!({}))
        .await
        .expect(201);
    stage.stripe.deliver(&stage.server).await;
    for referral in [&of_keeper, &of_returner] {
        assert_eq!(state(&stage, referral).await, "pending");
    }
    // The job looks again: the time may have been postponed.
    let wallet = &stage.server.built.app.modules.wallet;
    let again = async |order: &str| {
        let order = order.parse().expect("an id");
        let done = wallet.reward_referral(order, Uuid::now_v7()).await;
        done.expect("told")
    };
    assert!(!again(&kept_order).await);
    let mut conn = stage.server.superuser().await;
    let waiting: Vec<bool> = sqlx::query_scalar(
        "select run_at >= '2041-01-01' from jobs.queue where name = 'wallet.reward_later' and state = 'queued'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("jobs");
    assert_eq!(waiting, [true, true]);
    sqlx::raw_sql(
        "set session_replication_role = replica;
         update app.ticket_types set refundable_until = now() - interval '1 minute' where refundable_until > now();
         update jobs.queue set run_at = now() where name = 'wallet.reward_later'",
    )
    .execute(&mut conn)
    .await
    .expect("time passes");
    stage.server.settled().await;
    assert_eq!(state(&stage, &of_keeper).await, "rewarded");
    assert_eq!(state(&stage, &of_returner).await, "pending");
    assert_eq!(stage.wallet(&stage.mira).await.0, had + REWARD);
    stage.sound().await;
}

/// A revoked reward that is held for an order, or has bought one, expires once it comes back. The control is a bonus of
/// the same amount, which stays.
#[tokio::test]
async fn w5_a_revoked_reward_does_not_come_back_from_an_order() {
    let stage = Stage::new().await;
    let seat = kept(&stage, "Seat", 4500, 50).await;
    let cheap = stage.tickets("Stool", REWARD, 50).await;
    let dear = stage.tickets("Sofa", 2 * REWARD, 50).await;
    budget(&stage, 10_000).await;
    for (name, is_held) in [("held", true), ("spent", false)] {
        let friend = newcomer(&stage, name).await;
        let referral = referred(&stage, &friend).await;
        let order = bought(&stage, &friend, seat, 1).await;
        assert_eq!(stage.wallet(&stage.mira).await.0, REWARD);
        let kind = if is_held { dear } else { cheap };
        let own = stage.order(&stage.mira, &[(kind, 1)], true).await;
        let own = own.expect(201).id();
        let expected = if is_held { "pending" } else { "paid" };
        assert_eq!(stage.state(&own).await, expected);

        let path = format!("/orders/{order}/refunds");
        super::stage::keyed(&stage.olga, &path, json!({}))
            .await
            .expect(201);
        stage.server.settled().await;
        stage.stripe.deliver(&stage.server).await;
        assert_eq!(state(&stage, &referral).await, "revoked");

        let (path, body) = match is_held {
            true => (format!("/orders/{own}/cancel"), json!({})),
            false => (format!("/orders/{own}/refunds"), json!({"to": "wallet"})),
        };
        let back = super::stage::keyed(&stage.mira, &path, body).await;
        assert!(back.status.is_success(), "{}", back.text);
        stage.server.settled().await;
        stage.stripe.deliver(&stage.server).await;
        // What has expired can't be used, also before the job has taken it.
        let again = stage.order(&stage.mira, &[(cheap, 1)], true).await;
        let again = again.expect(201).json;
        assert_eq!(again["wallet_cents"], 0, "{name}");
        let again = format!("/orders/{}/cancel", again["id"].as_str().expect("an id"));
        super::stage::keyed(&stage.mira, &again, json!({}))
            .await
            .expect(200);
        let wallet = &stage.server.built.app.modules.wallet;
        wallet.lapse().await.expect("swept");
        assert_eq!(stage.wallet(&stage.mira).await, (0, 0), "{name}");
        stage.sound().await;
    }
}
