//! Odd patterns: what each rule flags and what it lets pass, and what people decide.

use crate::{
    money::stage::{Stage, keyed},
    support::{Member, TestServer},
};
use app::fraud::Fraud;
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::wire::Parts;
use sqlx::AssertSqlSafe;
use std::{collections::BTreeSet, time::Duration};
use uuid::Uuid;

/// Few facts are enough, so that a test needs few.
fn strict(parts: &mut Parts) {
    let fraud = &mut parts.modules.fraud;
    fraud.fraud_card_testing = 4;
    fraud.fraud_disputed_host = 2;
    fraud.fraud_disputed_member = 2;
    fraud.fraud_returned_tickets = 2;
    fraud.fraud_new_reviewers = 3;
    fraud.fraud_reviews_from_one_network = 3;
    fraud.fraud_likes_from_one_network = 3;
}

struct Watch {
    stage: Stage,
    paula: Member,
}

impl Watch {
    async fn new() -> Self {
        let stage = Stage::changed(true, strict).await;
        let paula = stage.server.member("paula_watches").await;
        stage.server.grant(&paula, "platformAdmin", None).await;
        stage
            .run("set session_replication_role = replica; delete from app.fraud_flags; delete from app.likes; delete from app.reviews; delete from app.disputes; delete from app.referrals; delete from app.refunds")
            .await;
        Self { stage, paula }
    }

    fn server(&self) -> &TestServer {
        &self.stage.server
    }

    fn module(&self) -> &Fraud {
        &self.server().built.app.modules.fraud
    }

    /// Rules with an open flag, after a look.
    async fn flagged(&self) -> BTreeSet<String> {
        self.module().look().await.expect("a look");
        let flags = self.open().await;
        flags
            .iter()
            .map(|flag| flag["rule"].as_str().expect("a rule").to_owned())
            .collect()
    }

    async fn open(&self) -> Vec<Value> {
        let list = "/fraud-flags?state=open&sort=-score&limit=100";
        let listed = self.paula.client.get(list).await.expect(200);
        listed.json["data"].as_array().expect("a list").clone()
    }

    async fn decide(&self, flag: &Value, verb: &str, body: Value) {
        let path = format!(
            "/fraud-flags/{}/{verb}",
            flag["id"].as_str().expect("an id")
        );
        self.paula.client.post(&path, body).await.expect(204);
    }

    /// Members who signed in from this address.
    async fn from(&self, address: &str, count: usize, prefix: &str) -> Vec<Member> {
        let mut members = Vec::new();
        for number in 0..count {
            let member = self.server().member(&format!("{prefix}_{number}")).await;
            self.stage
                .run(&format!(
                    "update app.sessions set ip_address = '{address}' where user_id = '{}'",
                    member.id
                ))
                .await;
            members.push(member);
        }
        members
    }

    async fn bought(&self, buyer: &Member, kind: Uuid) -> String {
        let order = self
            .stage
            .order(buyer, &[(kind, 1)], false)
            .await
            .expect(201)
            .id();
        self.stage.pay(buyer, &order, json!({})).await;
        self.stage.confirm(&order, "pm_card_visa").await;
        self.stage.paid(&order).await;
        order
    }

    async fn like(&self, members: &[Member]) {
        let body = json!({"event_id": self.stage.event});
        for member in members {
            member.client.post("/likes", body.clone()).await.expect(201);
        }
    }
}

fn rules<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test]
async fn likes_and_reviews_from_one_network_are_flagged() {
    let watch = Watch::new().await;
    assert_eq!(watch.flagged().await, rules([]));
    // Two from here and two from there are nothing; nor are addresses of one IPv6 customer before there are three.
    let here = watch.from("203.0.113.7", 2, "here").await;
    let there = watch.from("203.0.113.8", 2, "there").await;
    let six = watch.from("2001:db8::1", 2, "six").await;
    for members in [&here, &there, &six] {
        watch.like(members).await;
    }
    assert_eq!(watch.flagged().await, rules([]));
    let third = watch.from("2001:db8::ffff", 1, "seven").await;
    watch.like(&third).await;
    assert_eq!(watch.flagged().await, rules(["likes_from_one_network"]));
    let open = watch.open().await;
    let flag = &open[0];
    assert_eq!(
        (&flag["entity_type"], &flag["entity_id"]),
        (&json!("event"), &json!(watch.stage.event))
    );
    assert_eq!(
        (&flag["score"], &flag["evidence"]["count"]),
        (&json!(50), &json!(3))
    );

    // Accounts of today, and three of them at one address.
    let venue: String = sqlx::query_scalar(
        "select id::text from app.venues where status = 'active' order by id limit 1",
    )
    .fetch_one(&mut watch.server().superuser().await)
    .await
    .expect("a venue");
    for member in six.iter().chain(&third) {
        let review = json!({"entity_type": "venue", "entity_id": venue, "rating": 5});
        member.client.post("/reviews", review).await.expect(201);
    }
    let all = rules([
        "likes_from_one_network",
        "new_reviewers",
        "reviews_from_one_network",
    ]);
    assert_eq!(watch.flagged().await, all);
    // Older accounts are not new reviewers, and what was taken back speaks for nothing.
    watch.stage.run("delete from app.fraud_flags; update app.users set created_at = created_at - interval '8 days'").await;
    for member in six.iter().chain(&third) {
        let mine = member
            .client
            .get(&format!("/likes?user_id={}", member.id))
            .await
            .expect(200);
        let like = mine.json["data"][0]["id"]
            .as_str()
            .expect("a like")
            .to_owned();
        member
            .client
            .delete(&format!("/likes/{like}"))
            .await
            .expect(204);
    }
    assert_eq!(watch.flagged().await, rules(["reviews_from_one_network"]));
}

#[tokio::test]
async fn declined_cards_disputes_and_returned_tickets_are_flagged() {
    let watch = Watch::new().await;
    let stage = &watch.stage;
    let kind = stage.tickets("Seat", 2_000, 50).await;
    let buyer = watch.server().member("bo_who_buys").await;
    let mut orders = Vec::new();
    for _ in 0..2 {
        let order = watch.bought(&buyer, kind).await;
        orders.push(order);
    }
    assert_eq!(watch.flagged().await, rules([]));
    for (number, order) in orders.iter().enumerate() {
        let payment = stage.payment_of(order).await;
        stage
            .stripe
            .fake
            .dispute(&payment, "fraudulent", false)
            .expect("a dispute");
        stage.stripe.deliver(watch.server()).await;
        assert_eq!(watch.flagged().await.len(), number * 2);
    }
    assert_eq!(
        watch.flagged().await,
        rules(["disputed_host", "disputed_member"])
    );

    // Tries of one payment count each.
    let tester = watch.server().member("tess_who_tests").await;
    stage
        .run(&format!(
            "insert into app.transactions (user_id, type, amount_cents, currency, status, failure_code, attempt, stripe_idempotency_key)
             values ('{0}', 'service_fee', 100, 'AUD', 'failed', 'card_declined', 3, 'test:{0}')",
            tester.id
        ))
        .await;
    assert!(!watch.flagged().await.contains("card_testing"));
    stage
        .run(&format!(
            "update app.transactions set attempt = 4 where user_id = '{}'",
            tester.id
        ))
        .await;
    assert!(watch.flagged().await.contains("card_testing"));
    // An hour later it is over.
    stage
        .run("delete from app.fraud_flags; set session_replication_role = replica; update app.transactions set updated_at = updated_at - interval '61 minutes'")
        .await;
    assert!(!watch.flagged().await.contains("card_testing"));

    // Two of two orders go back.
    stage
        .run("set session_replication_role = replica; update app.orders set state = 'cancelled', paid_at = null")
        .await;
    for name in ["rita", "rolf"] {
        let member = watch.server().member(&format!("{name}_returns")).await;
        let order = watch.bought(&member, kind).await;
        assert!(!watch.flagged().await.contains("returned_tickets"));
        let refund = format!("/orders/{order}/refunds");
        keyed(&member, &refund, json!({})).await.expect(201);
    }
    assert!(watch.flagged().await.contains("returned_tickets"));
    // Among many who keep theirs they are nothing.
    stage.run("delete from app.fraud_flags").await;
    for number in 0..3 {
        let member = watch.server().member(&format!("keeper_{number}")).await;
        watch.bought(&member, kind).await;
    }
    assert!(!watch.flagged().await.contains("returned_tickets"));
}

#[tokio::test]
async fn who_brings_themselves_is_flagged() {
    let watch = Watch::new().await;
    let one = watch.from("198.51.100.4", 2, "same").await;
    let other = watch.from("198.51.100.5", 1, "other").await;
    for referee in [&one[1], &other[0]] {
        let body = json!({"referrer_id": one[0].id});
        referee.client.post("/referrals", body).await.expect(201);
    }
    assert_eq!(watch.flagged().await, rules(["referred_oneself"]));
    assert_eq!(watch.open().await.len(), 1);
}

#[tokio::test]
async fn what_was_decided_is_flagged_again_only_for_later_facts() {
    let watch = Watch::new().await;
    let members = watch.from("203.0.113.7", 9, "liker").await;
    watch.like(&members[..3]).await;
    assert_eq!(watch.flagged().await.len(), 1);
    // More of it is newer evidence, not another flag; the same once more is nothing.
    watch.like(&members[3..4]).await;
    assert_eq!(watch.module().look().await.expect("a look"), 1);
    assert_eq!(watch.module().look().await.expect("a look"), 0);
    let open = watch.open().await;
    assert_eq!((open.len(), &open[0]["evidence"]["count"]), (1, &json!(4)));

    watch
        .decide(&open[0], "dismiss", json!({"note": "A school class."}))
        .await;
    assert_eq!(watch.flagged().await, rules([]));
    watch.like(&members[4..6]).await;
    assert_eq!(watch.flagged().await, rules([]));
    watch.like(&members[6..7]).await;
    assert_eq!(watch.flagged().await, rules(["likes_from_one_network"]));
    assert_eq!(watch.open().await[0]["evidence"]["count"], json!(3));
}

#[tokio::test]
async fn platform_administrators_decide_once_and_may_suspend() {
    let watch = Watch::new().await;
    let members = watch.from("203.0.113.7", 3, "liker").await;
    watch.like(&members).await;
    watch.flagged().await;
    let flag = watch.open().await.remove(0);
    let path = format!(
        "/fraud-flags/{}/confirm",
        flag["id"].as_str().expect("an id")
    );
    let body = json!({"note": "One machine.", "suspend": true});
    // Neither the host of the event nor a member.
    for member in [&watch.stage.olga, &members[0]] {
        member.client.post(&path, body.clone()).await.expect(403);
    }
    watch
        .server()
        .client
        .post(&path, body.clone())
        .await
        .expect(401);
    watch
        .paula
        .client
        .post(&path, json!({"suspend": true}))
        .await
        .expect(422);
    let nowhere = format!("/fraud-flags/{}/confirm", watch.paula.id);
    watch
        .paula
        .client
        .post(&nowhere, body.clone())
        .await
        .expect(404);

    // Two at the same moment: one of them decides.
    let both = json!({"note": "One machine."});
    let answers = join_all((0..2).map(|_| watch.paula.client.post(&path, both.clone()))).await;
    let mut told: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    told.sort();
    assert_eq!(told, [204, 409]);
    let shown = watch
        .paula
        .client
        .get(&format!(
            "/fraud-flags/{}",
            flag["id"].as_str().expect("an id")
        ))
        .await
        .expect(200);
    assert_eq!(
        (&shown.json["state"], &shown.json["note"]),
        (&json!("confirmed"), &json!("One machine."))
    );
    assert_eq!(shown.json["decided_by_id"], json!(watch.paula.id));

    // Decided on, and suspended with it; what was decided suspends nothing more.
    watch
        .paula
        .client
        .post(&path, body.clone())
        .await
        .expect(409);
    let event = format!("/events/{}", watch.stage.event);
    watch.server().client.get(&event).await.expect(200);
    watch
        .stage
        .run("update app.fraud_flags set state = 'open', decided_at = null")
        .await;
    watch
        .paula
        .client
        .post(&path, body.clone())
        .await
        .expect(204);
    watch.server().client.get(&event).await.expect(404);
    // Who changed what is in the audit log.
    let audited = "select count(*) from audit.audit_logs where entity_type = 'fraud_flag' and performed_by = $1";
    let audited: i64 = sqlx::query_scalar(audited)
        .bind(watch.paula.id)
        .fetch_one(&mut watch.server().superuser().await)
        .await
        .expect("a number");
    assert_eq!(audited, 2);

    // What nobody suspends is confirmed without that.
    let order: String = sqlx::query_scalar(AssertSqlSafe(
        "insert into app.fraud_flags (entity_type, entity_id, rule, score, evidence) select 'order', id, 'card_testing', 50, '{}' from app.orders order by id limit 1 returning id::text",
    ))
    .fetch_one(&mut watch.server().superuser().await)
    .await
    .expect("a flag");
    let path = format!("/fraud-flags/{order}/confirm");
    let refused = watch.paula.client.post(&path, body).await.expect(422);
    assert_eq!(refused.json["errors"][0]["pointer"], json!("/suspend"));
    watch
        .paula
        .client
        .post(&path, json!({"note": "No."}))
        .await
        .expect(204);
}

/// Two who decide differently at the same moment: only what was confirmed is suspended. If it can't be suspended, the
/// flag stays open.
#[tokio::test]
async fn nothing_is_suspended_by_a_decision_that_did_not_count() {
    let stage = Stage::changed(false, strict).await;
    let paula = stage.server.member("paula_watches").await;
    stage.server.grant(&paula, "platformAdmin", None).await;
    let event = stage.event;
    let flag: String = sqlx::query_scalar(AssertSqlSafe(format!(
        "insert into app.fraud_flags (entity_type, entity_id, rule, score, evidence)
         values ('event', '{event}', 'likes_from_one_network', 50, '{{}}') returning id::text"
    )))
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("a flag");
    let state = async |of: &str| -> String {
        let text = format!("select f.{of}::text from app.fraud_flags f where f.id = '{flag}'");
        sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut stage.server.superuser().await)
            .await
            .expect("a state")
    };
    let body = json!({"note": "One machine.", "suspend": true});
    let confirm = format!("/fraud-flags/{flag}/confirm");
    let dismiss = format!("/fraud-flags/{flag}/dismiss");
    // The event is locked, so that its suspension takes a while.
    let mut busy = stage.server.superuser().await;
    let hold = format!("begin; select from app.events where id = '{event}' for update");
    sqlx::raw_sql(AssertSqlSafe(hold))
        .execute(&mut busy)
        .await
        .expect("held");
    let meanwhile = async {
        for _ in 0..50 {
            if state("state").await == "confirmed" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let refused = paula.client.post(&dismiss, json!({"note": "No."})).await;
        sqlx::raw_sql("commit")
            .execute(&mut busy)
            .await
            .expect("free");
        refused
    };
    let (confirmed, refused) = tokio::join!(paula.client.post(&confirm, body.clone()), meanwhile);
    refused.expect(409);
    confirmed.expect(204);
    assert_eq!(state("state").await, "confirmed");
    stage
        .server
        .client
        .get(&format!("/events/{event}"))
        .await
        .expect(404);

    // It is suspended already.
    stage
        .run(&format!(
            "update app.fraud_flags set state = 'open', decided_at = null, decided_by_id = null, note = null where id = '{flag}'"
        ))
        .await;
    paula.client.post(&confirm, body).await.expect(409);
    assert_eq!(state("state").await, "open");
    paula
        .client
        .post(&dismiss, json!({"note": "No."}))
        .await
        .expect(204);
}

/// A rule that is switched off flags nothing, however much there is.
#[tokio::test]
async fn rules_can_be_switched_off() {
    let stage = Stage::changed(false, |parts| {
        strict(parts);
        parts.modules.fraud.fraud_likes_from_one_network = 0;
    })
    .await;
    let paula = stage.server.member("paula_watches").await;
    stage.server.grant(&paula, "platformAdmin", None).await;
    stage.run("set session_replication_role = replica; delete from app.fraud_flags; delete from app.likes; delete from app.reviews; delete from app.disputes; delete from app.referrals; delete from app.refunds").await;
    let watch = Watch { stage, paula };
    let members = watch.from("203.0.113.7", 4, "liker").await;
    watch.like(&members).await;
    assert_eq!(watch.flagged().await, rules([]));
}
