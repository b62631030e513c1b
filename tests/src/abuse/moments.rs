//! Two requests about one account at the same moment: the one waits for the other, and neither fails because of it.

use crate::support::{
    Client, Superuser, TestServer,
    database::Content,
    locks::until_waiting,
    people::{self, PASSWORD, address, mailed_token, sign_in},
};
use reqwest::Method;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// Stops everybody who is about to do something to a table.
struct Gate(Superuser);

impl Gate {
    /// `before`: such as `delete on app.throttles`.
    async fn of(server: &TestServer, before: &str) -> Self {
        let mut conn = server.superuser().await;
        let text = format!(
            "create function public.wait_at_gate() returns trigger language plpgsql as $$
             begin
               perform pg_catalog.pg_advisory_xact_lock_shared(4711);
               return null;
             end $$;
             create trigger \"000_gate\" before {before} for each statement execute function public.wait_at_gate();
             select pg_advisory_lock(4711)"
        );
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("a gate");
        Self(conn)
    }

    async fn open(mut self) {
        sqlx::raw_sql("select pg_advisory_unlock(4711)")
            .execute(&mut self.0)
            .await
            .expect("open");
    }
}

async fn with_ana() -> TestServer {
    let server = TestServer::start_with(Content::Reference, |_| {}).await;
    people::sign_up(&server, "ana").await;
    server
}

/// The first one has proven the password, and undoes what was counted; the second one is being counted. They lock the
/// counters of the account and of its network in the same order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_18_two_who_sign_in_at_once_both_get_in() {
    let server = with_ana().await;
    let mut watch = server.superuser().await;
    let gate = Gate::of(&server, "delete on app.throttles").await;
    let again = || {
        let client = server.client.clone();
        tokio::spawn(async move { sign_in(&client, "ana", PASSWORD).await })
    };
    let first = again();
    until_waiting(&mut watch, "app.throttles", 1).await;
    let second = again();
    until_waiting(&mut watch, "app.throttles", 2).await;
    gate.open().await;
    for signed in [first, second] {
        signed.await.expect("no panic").expect(200);
    }
}

async fn signed_in(server: &TestServer) -> Client {
    let signed = sign_in(&server.client, "ana", PASSWORD).await.expect(200);
    let token = signed.json["access_token"].as_str().expect("a token");
    server.client.with_token(token)
}

/// Whoever opens a link locks the account first, as whatever ends links does, and finds that the link has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_18_a_link_that_is_ended_while_it_is_opened() {
    let server = with_ana().await;
    let mails = server.mailer.count();
    let body = json!({"email": address("ana")});
    let asked = server.client.post("/auth/forgot-password", body).await;
    asked.expect(202);
    let token = mailed_token(&server, &address("ana"), mails).await;
    let ana = signed_in(&server).await;
    let mut watch = server.superuser().await;
    let gate = Gate::of(&server, "update on app.sessions").await;
    let ended = tokio::spawn(async move { ana.act("/auth/sign-out-everywhere").await });
    until_waiting(&mut watch, "app.sessions", 1).await;
    let client = server.client.clone();
    let opened = tokio::spawn(async move {
        let body = json!({"token": token, "password": "eight large giraffes"});
        client.post("/auth/reset-password", body).await
    });
    until_waiting(&mut watch, "app.users", 2).await;
    gate.open().await;
    ended.await.expect("no panic").expect(204);
    opened.await.expect("no panic").expect(410);
    sign_in(&server.client, "ana", PASSWORD).await.expect(200);
}

/// A session that ends while it waits for the account does not change the password any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_18_a_session_that_has_ended_changes_no_password() {
    let server = with_ana().await;
    let (one, other) = (signed_in(&server).await, signed_in(&server).await);
    let mut watch = server.superuser().await;
    let gate = Gate::of(&server, "update on app.sessions").await;
    let ended = tokio::spawn(async move { one.act("/auth/sign-out-everywhere").await });
    until_waiting(&mut watch, "app.sessions", 1).await;
    let changed = tokio::spawn(async move {
        let body = json!({"current_password": PASSWORD, "password": "eight large giraffes"});
        let path = "/me/password";
        other.send(Method::PUT, path, Some(body), &[]).await
    });
    until_waiting(&mut watch, "app.users", 2).await;
    gate.open().await;
    ended.await.expect("no panic").expect(204);
    let refused = changed.await.expect("no panic").expect(401);
    assert_eq!(refused.problem(), "session-revoked");
    sign_in(&server.client, "ana", PASSWORD).await.expect(200);
}
