//! Decisions that whoever they are about could undo by themselves, or take about themselves.

use super::moderated::organization;
use crate::support::{Member, TestServer};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

async fn run(server: &TestServer, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut server.superuser().await)
        .await
        .expect("done");
}

async fn draft(who: &Member, host: Uuid, city: Uuid, title: &str) -> String {
    let body = json!({"title": title, "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": host, "city_id": city,
        "online_url": "https://example.org/stream"});
    who.client.post("/events", body).await.expect(201).id()
}

/// A rejected host asks to be looked at again, and begins nothing before somebody has approved it. A new host, which was
/// never rejected, may begin while it waits. The negative control: without what is remembered of the rejection, it may too.
#[tokio::test]
async fn a_rejected_host_begins_nothing_before_it_is_approved_again() {
    let server = TestServer::demo().await;
    let (ada, paula) = (
        server.member("ada").await,
        server.sign_in(PEOPLE[0].id).await,
    );
    let city = server.city("melbourne").await;
    let body = json!({"city_id": city, "name": "New"});
    let made = ada.client.post("/organizations", body).await.expect(201);
    let host: Uuid = made.id().parse().expect("an id");
    let path = format!("/organizations/{host}");
    let publish = async |title: &str| {
        let event = draft(&ada, host, city, title).await;
        let path = format!("/events/{event}/publish");
        ada.client.act(&path).await
    };
    publish("While it waits").await.expect(200);
    let reject = format!("{path}/reject");
    let because = json!({"reason": "A fraud"});
    paula.client.post(&reject, because).await.expect(200);
    let event = draft(&ada, host, city, "Drafts are possible").await;
    let resubmit = format!("{path}/resubmit");
    let again = ada.client.act(&resubmit).await.expect(200).json;
    assert_eq!(
        (&again["state"], &again["was_rejected"]),
        (&json!("pending"), &json!(true))
    );
    publish("Once more").await.expect(409);
    let body = json!({"event_id": event, "name": "All", "price_cents": 0, "currency": "AUD", "capacity": 5});
    ada.client.post("/ticket-types", body).await.expect(201);

    let approve = format!("{path}/approve");
    let approved = paula.client.act(&approve).await.expect(200).json;
    assert_eq!(approved["was_rejected"], false);
    publish("After that").await.expect(200);
    run(
        &server,
        format!("update app.organizations set state = 'pending', was_rejected = false where id = '{host}'"),
    )
    .await;
    publish("Forgotten").await.expect(200);
}

/// A member whom a community has banned changes nothing in it any more, and platform administrators don't decide about
/// reviews of their own.
#[tokio::test]
async fn reviews_end_with_their_grounds() {
    let server = TestServer::demo().await;
    let (ada, ben, paula) = (
        server.member("ada").await,
        server.member("ben").await,
        server.sign_in(PEOPLE[0].id).await,
    );
    let city = server.city("melbourne").await;
    let body =
        json!({"city_id": city, "name": "Choir", "visibility": "private", "join_policy": "invite"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let body = json!({"community_id": community, "user_id": ben.id});
    let invited = ada.client.post("/community-members", body).await;
    let membership = format!("/community-members/{}", invited.expect(201).id());
    let join = format!("{membership}/join");
    ben.client.act(&join).await.expect(200);
    let body = json!({"entity_type": "community", "entity_id": community, "rating": 4});
    let review = ben.client.post("/reviews", body).await.expect(201).id();
    let review = format!("/reviews/{review}");
    let worse = json!({"rating": 1});
    ben.client
        .patch(&review, "*", worse.clone())
        .await
        .expect(200);
    let ban = format!("{membership}/ban");
    let because = json!({"reason": "Loud"});
    ada.client.post(&ban, because).await.expect(200);
    let after = ben.client.patch(&review, "*", worse.clone()).await;
    assert!(
        [403, 404].contains(&after.status.as_u16()),
        "{}",
        after.text
    );
    ben.client.delete(&review).await.expect(204);
    let restore = format!("{review}/restore");
    let after = ben.client.act(&restore).await;
    assert!(
        [403, 404].contains(&after.status.as_u16()),
        "{}",
        after.text
    );

    // Whoever runs the place by now does not say how good it is. The control: before, its author changes the review.
    let house = organization(&server, &ada, "A house of friends").await;
    let cora = server.member("cora").await;
    let body = json!({"entity_type": "organization", "entity_id": house, "rating": 3});
    let praise = cora.client.post("/reviews", body).await.expect(201).id();
    let praise = format!("/reviews/{praise}");
    let best = json!({"rating": 5});
    cora.client
        .patch(&praise, "*", json!({"rating": 4}))
        .await
        .expect(200);
    let scope = house.to_string().parse().expect("an id");
    server
        .grant(&cora, "orgAdmin", Some(("organization", scope)))
        .await;
    let refused = cora.client.patch(&praise, "*", best).await.expect(403);
    assert_eq!(refused.pointers(), ["/rating"]);
    let answer = json!({"reply": "Thanks"});
    ada.client.patch(&praise, "*", answer).await.expect(200);

    // A platform administrator does not decide about a review of theirs.
    let host = organization(&server, &ada, "A house").await;
    let body = json!({"entity_type": "organization", "entity_id": host, "rating": 1});
    let own = paula.client.post("/reviews", body).await.expect(201).id();
    let suspend = format!("/reviews/{own}/suspend");
    let carlo = server.sign_in(PEOPLE[1].id).await;
    carlo.client.act(&suspend).await.expect(200);
    let unsuspend = format!("/reviews/{own}/unsuspend");
    paula.client.act(&unsuspend).await.expect(403);
    carlo.client.act(&unsuspend).await.expect(200);
}

/// Staff of a community appoint nobody but others: neither by approving a request of their own nor by the role of their own
/// membership.
#[tokio::test]
async fn staff_of_a_community_do_not_appoint_themselves() {
    let server = TestServer::demo().await;
    let (ada, carlo) = (
        server.member("ada").await,
        server.sign_in(PEOPLE[1].id).await,
    );
    let city = server.city("melbourne").await;
    let body = json!({"city_id": city, "name": "Choir", "join_policy": "request"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let ask = |who: &Member, role: Option<&str>| {
        let mut body = json!({"community_id": community, "user_id": who.id});
        if let Some(role) = role {
            body["role"] = json!(role);
        }
        body
    };
    let refused = carlo
        .client
        .post("/community-members", ask(&carlo, Some("moderator")))
        .await;
    assert_eq!(refused.expect(403).pointers(), ["/role"]);
    let asked = carlo
        .client
        .post("/community-members", ask(&carlo, None))
        .await;
    let membership = format!("/community-members/{}", asked.expect(201).id());
    let approve = format!("{membership}/approve");
    carlo.client.act(&approve).await.expect(403);
    ada.client.act(&approve).await.expect(200);
    let rise = json!({"role": "moderator"});
    let refused = carlo.client.patch(&membership, "*", rise.clone()).await;
    assert_eq!(refused.expect(403).pointers(), ["/role"]);
    ada.client.patch(&membership, "*", rise).await.expect(200);
    // The founder of a community becomes a member of it.
    let asked = ada.client.post("/community-members", ask(&ada, None)).await;
    let approve = format!("/community-members/{}/approve", asked.expect(201).id());
    ada.client.act(&approve).await.expect(200);
}

/// A role comes back with an account only if nobody else holds it by then. The negative control: without the trigger, it
/// comes back beside that of the new administrator.
#[tokio::test]
async fn a_role_does_not_come_back_beside_a_new_administrator() {
    let server = TestServer::demo().await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let new = server.member("new_one").await;
    for (is_replaced, is_on, back) in [
        (true, true, false),
        (false, true, true),
        (true, false, true),
    ] {
        let old = server.member(&format!("old_{is_replaced}_{is_on}")).await;
        let host = organization(&server, &old, &format!("A house {is_replaced} {is_on}")).await;
        old.client.delete("/me").await.expect(204);
        if is_replaced {
            server
                .grant(&new, "orgAdmin", Some(("organization", host)))
                .await;
        }
        if !is_on {
            let off = r#"alter table app.users disable trigger "00_end_replaced_roles""#;
            run(&server, off.to_owned()).await;
        }
        let restore = format!("/users/{}/restore", old.id);
        paula.client.act(&restore).await.expect(200);
        let status: String = sqlx::query_scalar(
            "select status from app.role_assignments where user_id = $1 and scope_id = $2",
        )
        .bind(old.id)
        .bind(host)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("a role");
        assert_eq!(status == "active", back, "{is_replaced} {is_on}");
    }
}

/// Platform administrators neither decide about a flag of themselves nor give credits to themselves.
#[tokio::test]
async fn administrators_decide_nothing_for_themselves() {
    let server = TestServer::demo().await;
    let (paula, other) = (
        server.sign_in(PEOPLE[0].id).await,
        server.member("other").await,
    );
    server.grant(&other, "platformAdmin", None).await;
    let flag: Uuid = sqlx::query_scalar(
        "insert into app.fraud_flags (rule, score, evidence, entity_type, entity_id) values ('disputed_host', 60, '{}', 'user', $1) returning id",
    )
    .bind(paula.id)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("a flag");
    let dismiss = format!("/fraud-flags/{flag}/dismiss");
    let note = json!({"note": "Nothing"});
    paula.client.post(&dismiss, note.clone()).await.expect(403);
    let decided = other.client.post(&dismiss, note).await;
    assert!(decided.status.is_success(), "{}", decided.text);

    let give = async |to: Uuid| {
        let body = json!({"user_id": to, "kind": "event_credit", "amount_cents": 1, "currency": "AUD", "reference": "A gift"});
        crate::money::stage::keyed(&paula, "/wallet/credits", body).await
    };
    assert_eq!(give(paula.id).await.expect(422).pointers(), ["/user_id"]);
    // To somebody else it is only a question of the budget.
    let given = give(other.id).await;
    assert!(
        [201, 409].contains(&given.status.as_u16()),
        "{}",
        given.text
    );
}

/// Administrators of a venue's owner see and end the roles of the venue.
#[tokio::test]
async fn owners_end_the_roles_of_their_venues() {
    let server = TestServer::demo().await;
    let (ada, ben, carlo) = (
        server.member("ada").await,
        server.member("ben").await,
        server.sign_in(PEOPLE[1].id).await,
    );
    let city = server.city("melbourne").await;
    let host = organization(&server, &ada, "A house").await;
    let body = json!({"name": "Hall", "address": "1 Lane", "location": {"lat": -37.8, "lng": 144.9}, "city_id": city,
        "owner_type": "organization", "owner_id": host});
    let venue = ada.client.post("/venues", body).await.expect(201).id();
    let offer = |to: &Member| -> Value {
        json!({"user_id": to.id, "role": "orgAdmin", "scope_type": "venue", "scope_id": venue})
    };
    let offered = carlo.client.post("/role-assignments", offer(&ben)).await;
    let role = format!("/role-assignments/{}", offered.expect(201).id());
    let accept = format!("{role}/accept");
    ben.client.act(&accept).await.expect(200);
    ada.client.get(&role).await.expect(200);
    ada.client.delete(&role).await.expect(204);
    // They may offer it as well, and strangers none of it.
    ada.client
        .post("/role-assignments", offer(&ben))
        .await
        .expect(201);
    ben.client
        .post("/role-assignments", offer(&carlo))
        .await
        .expect(403);
}
