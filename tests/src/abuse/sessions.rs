//! Events that must end a session, and the limits of sessions without a recent sign-in.

use crate::support::{
    Answer, Client, TestServer,
    people::{self, PASSWORD, address, mailed_token, refresh, sign_in},
};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

const NEW_PASSWORD: &str = "eight large giraffes";

/// A session of Ana on a device.
struct Device {
    client: Client,
    access: String,
    refresh: String,
    id: String,
}

async fn device(server: &TestServer, password: &str) -> Device {
    let signed = sign_in(&server.client, "ana", password).await.expect(200);
    let text = |name: &str| signed.json[name].as_str().expect("a text").to_owned();
    let access = text("access_token");
    Device {
        client: server.client.with_token(&access),
        access,
        refresh: text("refresh_token"),
        id: text("session_id"),
    }
}

impl Device {
    async fn lives(&self) {
        self.client.get("/me").await.expect(200);
    }

    /// Checks that the session has ended for good, including on public routes.
    async fn is_dead(&self, server: &TestServer, problem: &str) {
        let next = refresh(&server.client, &self.refresh).await;
        for answer in [
            self.client.get("/me").await,
            self.client.get("/cities?limit=1").await,
            next,
        ] {
            assert_eq!(
                (answer.status.as_u16(), answer.problem()),
                (401, problem),
                "{}",
                answer.text
            );
        }
    }
}

async fn put(client: &Client, path: &str, body: serde_json::Value) -> Answer {
    client.send(Method::PUT, path, Some(body), &[]).await
}

#[tokio::test]
async fn abuse_16_signing_out_ends_what_it_says() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let (one, two, three) = (
        device(&server, PASSWORD).await,
        device(&server, PASSWORD).await,
        device(&server, PASSWORD).await,
    );
    one.client.act("/auth/sign-out").await.expect(204);
    one.is_dead(&server, "session-revoked").await;
    two.client
        .delete(&format!("/me/sessions/{}", three.id))
        .await
        .expect(204);
    three.is_dead(&server, "session-revoked").await;
    two.lives().await;
    // Other members' sessions can't be ended.
    let ben = server.member("ben").await;
    ben.client
        .delete(&format!("/me/sessions/{}", two.id))
        .await
        .expect(404);
    two.lives().await;
    let four = device(&server, PASSWORD).await;
    four.client
        .act("/auth/sign-out-everywhere")
        .await
        .expect(204);
    two.is_dead(&server, "session-revoked").await;
    four.is_dead(&server, "session-revoked").await;
    ben.client.get("/me").await.expect(200);
}

#[tokio::test]
async fn abuse_16_a_new_password_ends_the_other_sessions() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let (mine, stolen) = (
        device(&server, PASSWORD).await,
        device(&server, PASSWORD).await,
    );
    let change = |current: &str| json!({"current_password": current, "password": NEW_PASSWORD});
    put(&stolen.client, "/me/password", change("a wrong guess"))
        .await
        .expect(401);
    put(&mine.client, "/me/password", change(PASSWORD))
        .await
        .expect(204);
    stolen.is_dead(&server, "session-revoked").await;
    mine.lives().await;
    sign_in(&server.client, "ana", PASSWORD).await.expect(401);

    let before = server.mailer.count();
    let body = json!({"email": address("ana")});
    server
        .client
        .post("/auth/forgot-password", body)
        .await
        .expect(202);
    let token = mailed_token(&server, &address("ana"), before).await;
    let body = json!({"token": token, "password": "nine lazy tortoises"});
    server
        .client
        .post("/auth/reset-password", body.clone())
        .await
        .expect(204);
    mine.is_dead(&server, "session-revoked").await;
    server
        .client
        .post("/auth/reset-password", body)
        .await
        .expect(410);
    sign_in(&server.client, "ana", "nine lazy tortoises")
        .await
        .expect(200);
}

#[tokio::test]
async fn abuse_16_a_suspended_or_leaving_member_is_out_with_the_next_request() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let platform = server.member("platform").await;
    server.grant(&platform, "platformAdmin", None).await;
    let devices = [
        device(&server, PASSWORD).await,
        device(&server, PASSWORD).await,
    ];
    let me = devices[0].client.get("/me").await.expect(200);
    platform
        .client
        .act(&format!("/users/{}/suspend", me.id()))
        .await
        .expect(200);
    for device in &devices {
        device.is_dead(&server, "account-suspended").await;
    }
    // Signing in with the right password is refused, too; only then does the answer reveal that the account exists.
    let answer = sign_in(&server.client, "ana", PASSWORD).await.expect(401);
    assert_eq!(answer.problem(), "account-suspended");
    let answer = sign_in(&server.client, "ana", "a wrong guess")
        .await
        .expect(401);
    assert_eq!(answer.problem(), "invalid-credentials");
    let (before, counted) = (server.mailer.count(), throttles(&server).await);
    let body = json!({"email": address("ana")});
    server
        .client
        .post("/auth/forgot-password", body)
        .await
        .expect(202);
    // The request is processed after the answer.
    while throttles(&server).await == counted {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    platform
        .client
        .act(&format!("/users/{}/unsuspend", me.id()))
        .await
        .expect(200);
    assert_eq!(
        server.mailer.count(),
        before,
        "a suspended account gets no mail with a link"
    );

    let last = device(&server, PASSWORD).await;
    last.client.delete("/me").await.expect(204);
    last.is_dead(&server, "account-suspended").await;
    let answer = sign_in(&server.client, "ana", PASSWORD).await.expect(401);
    assert_eq!(answer.problem(), "invalid-credentials");
}

async fn throttles(server: &TestServer) -> i64 {
    sqlx::query_scalar("select count(*) from app.throttles")
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("counted")
}

#[tokio::test]
async fn abuse_17_a_role_that_is_gone_is_gone_with_the_next_request() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (carla, platform) = (
        server.member("carla").await,
        server.member("platform").await,
    );
    server
        .grant(&carla, "cityAdmin", Some(("city", city)))
        .await;
    server.grant(&platform, "platformAdmin", None).await;
    let path = format!("/cities/{city}");
    let rename = async |name: &str| {
        carla
            .client
            .patch(&path, "*", json!({ "name": name }))
            .await
    };
    rename("Melburn").await.expect(200);
    let roles = platform
        .client
        .get(&format!("/users/{}/roles", carla.id))
        .await
        .expect(200);
    let role = roles.json["data"][0]["id"]
        .as_str()
        .expect("a role")
        .to_owned();
    platform
        .client
        .delete(&format!("/role-assignments/{role}"))
        .await
        .expect(204);
    let answer = rename("Melb").await.expect(403);
    assert_eq!(answer.problem(), "forbidden");
    // A new role counts at once as well: tokens do not contain roles.
    let offer =
        json!({"user_id": carla.id, "role": "cityAdmin", "scope_type": "city", "scope_id": city});
    let offer = platform.client.post("/role-assignments", offer).await;
    let accept = format!("/role-assignments/{}/accept", offer.expect(201).id());
    carla.client.act(&accept).await.expect(200);
    rename("Melbourne").await.expect(200);
    let mut conn = server.superuser().await;
    for (table, id) in [("users", carla.id), ("cities", city)] {
        let text = format!("update app.{table} set status = 'archived' where id = $1");
        let _ = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(id)
            .execute(&mut conn)
            .await;
    }
    let answer = rename("Melbourne").await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (401, "account-suspended")
    );
}

#[tokio::test]
async fn abuse_19_an_old_sign_in_cannot_take_the_account_away() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let stolen = device(&server, PASSWORD).await;
    let session: Uuid = stolen.id.parse().expect("an id");
    sqlx::query("update app.sessions set authenticated_at = authenticated_at - interval '11 minutes' where id = $1")
        .bind(session)
        .execute(&mut server.superuser().await)
        .await
        .expect("moved");
    let before = server.mailer.count();
    let change = async || {
        put(
            &stolen.client,
            "/me/email",
            json!({"email": "thief@example.org"}),
        )
        .await
    };
    let answer = change().await.expect(401);
    assert_eq!(answer.problem(), "step-up-required");
    // Refreshing extends the session, but does not count as a recent sign-in.
    let next = refresh(&server.client, &stolen.refresh).await.expect(200);
    let token = next.json["access_token"].as_str().expect("a token");
    let client = server.client.with_token(token);
    let answer = put(&client, "/me/email", json!({"email": "thief@example.org"})).await;
    assert_eq!(answer.problem(), "step-up-required");
    stolen
        .client
        .post("/auth/step-up", json!({"password": "a wrong guess"}))
        .await
        .expect(401);
    assert_eq!(change().await.problem(), "step-up-required");
    stolen
        .client
        .post("/auth/step-up", json!({"password": PASSWORD}))
        .await
        .expect(204);
    assert_eq!(server.mailer.count(), before);
    change().await.expect(202);
    let token = mailed_token(&server, "thief@example.org", before).await;
    let email = async || {
        stolen.client.get("/me").await.json["email"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(
        email().await,
        Some(address("ana")),
        "the address must not change before the link is used"
    );
    server
        .client
        .post("/auth/confirm-email", json!({ "token": token }))
        .await
        .expect(204);
    assert_eq!(email().await.as_deref(), Some("thief@example.org"));
    // The old address is notified.
    for _ in 0..400 {
        if server
            .mailer
            .last_to(&address("ana"))
            .is_some_and(|text| text.contains("thief@example.org"))
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the old address was not told; {}", stolen.access.len());
}
