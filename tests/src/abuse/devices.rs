//! Phones that change hands: pushes go to the present owner, and the previous owner is not revealed.

use crate::support::{Answer, Member, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

const TOKEN: &str = "push token of a phone that is handed on";

async fn register(member: &Member, token: &str) -> Answer {
    let body = json!({"platform": "android", "push_token": token});
    member.client.post("/devices", body).await
}

async fn holders(server: &TestServer) -> Vec<Uuid> {
    sqlx::query_scalar(
        "select user_id from app.devices where push_token = $1 and status = 'active'",
    )
    .bind(TOKEN)
    .fetch_all(&mut server.superuser().await)
    .await
    .expect("holders")
}

#[tokio::test]
async fn a_phone_belongs_to_whoever_registered_it_last() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.member("ana").await, server.member("ben").await);
    let first = register(&ana, TOKEN).await.expect(201);
    let fresh = register(&ana, "push token that nobody had")
        .await
        .expect(201);
    let taken = register(&ben, TOKEN).await.expect(201);
    // The answer does not reveal that another member had the token.
    let shape = |answer: &Answer| -> Vec<String> {
        let object = answer.json.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    assert_eq!(shape(&fresh), shape(&taken));
    assert_eq!(taken.json["user_id"], json!(ben.id));
    assert_eq!(holders(&server).await, [ben.id]);
    ana.client
        .get(&format!("/devices/{}", first.id()))
        .await
        .expect(404);
    // Repeating the registration is no conflict, and results in one row.
    register(&ben, TOKEN).await.expect(201);
    assert_eq!(holders(&server).await, [ben.id]);
    // An update also moves the token to the caller,
    let path = format!("/devices/{}", fresh.id());
    ana.client
        .patch(&path, "*", json!({"push_token": TOKEN}))
        .await
        .expect(200);
    assert_eq!(holders(&server).await, [ana.id]);
    // but an old row can't be restored to take it over.
    let answer = ana
        .client
        .act(&format!("/devices/{}/restore", first.id()))
        .await;
    assert!(
        matches!(answer.status.as_u16(), 404 | 405),
        "{}",
        answer.text
    );
    assert_eq!(holders(&server).await, [ana.id]);
}

#[tokio::test]
async fn of_those_who_register_a_phone_together_one_has_it() {
    let server = TestServer::start().await;
    let mut asked = Vec::new();
    for at in 0..6 {
        let member = server.member(&format!("member{at}")).await;
        asked.push(tokio::spawn(async move {
            register(&member, TOKEN).await.status.as_u16()
        }));
    }
    for one in asked {
        assert_eq!(one.await.expect("an answer"), 201);
    }
    assert_eq!(holders(&server).await.len(), 1);
}

/// A device ends with the session in which it was registered; when an expired session is deleted, the device is
/// detached.
#[tokio::test]
async fn pushes_stop_with_the_session() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let elsewhere = server.sign_in(ana.id).await;
    let device = register(&ana, TOKEN).await.expect(201);
    let other = register(&elsewhere, "push token of another phone")
        .await
        .expect(201);
    ana.client.act("/auth/sign-out").await.expect(204);
    assert_eq!(holders(&server).await, Vec::<Uuid>::new());
    let listed = elsewhere.client.get("/devices").await.expect(200);
    let ids: Vec<&Value> = listed.json["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|device| &device["id"])
        .collect();
    assert_eq!(ids, [&json!(other.id())]);
    // A session that is not used any more expires, and is deleted later.
    let mut conn = server.superuser().await;
    sqlx::query("update app.sessions set expires_at = now() - interval '1 minute' where id = $1")
        .bind(elsewhere.session)
        .execute(&mut conn)
        .await
        .expect("expired");
    let now = chrono::Utc::now();
    server
        .built
        .app
        .modules
        .sessions
        .purge(now)
        .await
        .expect("purged");
    let active: i64 =
        sqlx::query_scalar("select count(*) from app.devices where status = 'active'")
            .fetch_one(&mut conn)
            .await
            .expect("counted");
    assert_eq!(active, 0);
    server
        .built
        .app
        .modules
        .sessions
        .purge(now + chrono::TimeDelta::days(31))
        .await
        .expect("purged");
    let left: i64 = sqlx::query_scalar("select count(*) from app.sessions where id = any($1)")
        .bind([ana.session, elsewhere.session])
        .fetch_one(&mut conn)
        .await
        .expect("counted");
    assert_eq!(left, 0, "device {} holds no session", device.id());
}
