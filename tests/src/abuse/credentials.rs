//! Events × credentials: which credentials each event invalidates, tested through the API. The rules are in
//! `sessions/endings.rs` and in `on end` of the specs; this table is their result.

use super::{issuer, offers::Offers};
use crate::support::{
    Answer, Client, Member, TestServer,
    database::Content,
    people::{self, PASSWORD, address, mailed_token, refresh, sign_in},
};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A and B are sessions of Ana; she acts in A, and her refresh token of B is stolen. `access`, `refresh` and `device`
/// belong to one of them. `issued`: a token of an external issuer for her account, issued before the event; `issuer`:
/// one issued after it. `reset`, `change`: links in mails. `wish`: a pending sign-up for the address that she is
/// changing to. `password`: signing in with her latest password. `calendar`: the secret URL of her calendar. `ticket`,
/// `role`: offers that she has made and that are not accepted yet.
const TABLE: &str = "
                  accessA refreshA deviceA accessB refreshB deviceB issued issuer reset change wish password calendar ticket role
nothing              +       +        +       +       +        +      +      +      +     +     +      +        +        +      +
signed_out           -       -        -       +       +        +      +      +      +     -     +      +        +        +      +
ended_from_b         -       -        -       +       +        +      +      +      +     -     +      +        +        +      +
everywhere           -       -        -       -       -        -      -      +      -     -     +      +        -        -      -
password_changed     +       +        +       -       -        -      -      +      -     -     +      +        -        -      -
password_reset       -       -        -       -       -        -      -      +      -     -     +      +        -        -      -
address_changed      +       +        +       -       -        -      -      -      -     -     -      +        -        -      -
unlinked             +       +        +       +       +        +      -      +      +     +     +      +        +        +      +
token_reused         +       +        +       -       -        -      -      +      -     -     +      +        -        -      -
suspended            -       -        -       -       -        -      -      -      -     -     +      -        -        -      -
unsuspended          -       -        -       -       -        -      -      +      -     -     +      +        -        -      -
archived             -       -        -       -       -        -      -      -      -     -     +      -        -        -      -
restored             -       -        -       -       -        -      -      +      -     -     +      +        -        -      -
";

const NEW_ADDRESS: &str = "ana@elsewhere.org";
const NEW_PASSWORD: &str = "eight large giraffes";

/// The parsed table: event → credential → whether it is valid.
fn table() -> Vec<(&'static str, BTreeMap<&'static str, bool>)> {
    let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let credentials: Vec<&str> = lines.next().expect("a head").split_whitespace().collect();
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let event = words.next().expect("an event");
            let cells: Vec<bool> = words.map(|word| word == "+").collect();
            assert_eq!(cells.len(), credentials.len(), "{event}");
            (event, credentials.iter().copied().zip(cells).collect())
        })
        .collect()
}

#[tokio::test]
async fn every_event_ends_what_the_table_says() {
    let mut wrong = Vec::new();
    for (event, expected) in table() {
        // The two links are tested separately, since using one may invalidate the other.
        for link in ["reset", "change"] {
            let mut ana = Ana::new().await;
            ana.undergo(event).await;
            for (credential, good) in ana.good(link).await {
                if good != expected[credential] {
                    wrong.push(format!("{event}: {credential} is {good}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A session with a device that was registered in it.
struct SignIn {
    client: Client,
    session: String,
    refresh: String,
    device: Uuid,
}

/// Ana with one credential of each kind.
struct Ana {
    server: TestServer,
    id: Uuid,
    platform: Member,
    a: SignIn,
    b: SignIn,
    issued: String,
    reset: String,
    /// Another reset link, which the event uses.
    reset_too: String,
    change: String,
    wish: String,
    calendar: String,
    offers: Offers,
    email: String,
    password: &'static str,
}

impl Ana {
    async fn new() -> Self {
        let (base, _) = issuer::publish().await;
        let server = TestServer::start_with(Content::Reference, |parts| {
            parts.issuer = Some(issuer::config(&base, "/keys"));
        })
        .await;
        people::sign_up(&server, "ana").await;
        let platform = server.member("platform").await;
        server.grant(&platform, "platformAdmin", None).await;
        let (a, b) = (
            sign_in_with_device(&server, "A").await,
            sign_in_with_device(&server, "B").await,
        );
        let me = a.client.get("/me").await.expect(200);
        let issued = token_of_issuer(-2);
        let known = server
            .client
            .with_token(&issued)
            .get("/me")
            .await
            .expect(200);
        assert_eq!(known.id(), me.id());
        let reset = reset_link(&server).await;
        let reset_too = reset_link(&server).await;
        let before = server.mailer.count();
        put(&a.client, "/me/email", json!({"email": NEW_ADDRESS}))
            .await
            .expect(202);
        let change = mailed_token(&server, NEW_ADDRESS, before).await;
        let before = server.mailer.count();
        let wish = json!({"email": NEW_ADDRESS, "handle": "stranger", "display_name": "Somebody"});
        server.client.post("/auth/sign-up", wish).await.expect(202);
        let wish = mailed_token(&server, NEW_ADDRESS, before).await;
        let calendar = a.client.act("/me/calendar-feed").await.expect(201);
        let calendar = calendar.json["url"].as_str().expect("an address");
        let (_, secret) = calendar.split_once("/calendar-feeds/").expect("a path");
        let calendar = format!("/calendar-feeds/{secret}");
        let id = me.id().parse().expect("an id");
        let offers = Offers::of(&server, id, &a.client).await;
        Self {
            calendar,
            offers,
            id,
            email: address("ana"),
            password: PASSWORD,
            server,
            platform,
            a,
            b,
            issued,
            reset,
            reset_too,
            change,
            wish,
        }
    }

    async fn undergo(&mut self, event: &str) {
        let (client, path) = (&self.a.client, format!("/users/{}", self.id));
        let post = async |path: &str, body: Value| self.server.client.post(path, body).await;
        match event {
            "nothing" => {}
            "signed_out" => drop(client.act("/auth/sign-out").await.expect(204)),
            "ended_from_b" => {
                let sessions = self.b.client.get("/me/sessions").await.expect(200);
                let of_a = sessions.json["data"].as_array().expect("sessions");
                let of_a = of_a.iter().find(|s| s["id"] == json!(self.a.session));
                let id = of_a.expect("A is listed")["id"].as_str().expect("an id");
                let path = format!("/me/sessions/{id}");
                self.b.client.delete(&path).await.expect(204);
            }
            "everywhere" => drop(client.act("/auth/sign-out-everywhere").await.expect(204)),
            "password_changed" => {
                let body = json!({"current_password": PASSWORD, "password": NEW_PASSWORD});
                put(client, "/me/password", body).await.expect(204);
                self.password = NEW_PASSWORD;
            }
            "password_reset" => {
                let body = json!({"token": self.reset_too, "password": NEW_PASSWORD});
                post("/auth/reset-password", body).await.expect(204);
                self.password = NEW_PASSWORD;
            }
            "address_changed" => {
                post("/auth/confirm-email", json!({"token": self.change}))
                    .await
                    .expect(204);
                self.email = NEW_ADDRESS.to_owned();
            }
            "unlinked" => {
                let linked = client.get("/me/identities").await.expect(200);
                let id = linked.json["data"][0]["id"].as_str().expect("an identity");
                client
                    .delete(&format!("/me/identities/{id}"))
                    .await
                    .expect(204);
            }
            "token_reused" => {
                let client = &self.server.client;
                let next = refresh(client, &self.b.refresh).await.expect(200);
                // The first use was a while ago, so that the second is not taken for a retry.
                sqlx::query(
                    "update app.refresh_tokens set used_at = used_at - interval '1 minute'",
                )
                .execute(&mut self.server.superuser().await)
                .await
                .expect("moved");
                refresh(client, &self.b.refresh).await.expect(401);
                let next = next.json["refresh_token"].as_str().expect("a token");
                self.b.refresh = next.to_owned();
            }
            "suspended" | "unsuspended" => {
                self.platform
                    .client
                    .act(&format!("{path}/suspend"))
                    .await
                    .expect(200);
                if event == "unsuspended" {
                    self.platform
                        .client
                        .act(&format!("{path}/unsuspend"))
                        .await
                        .expect(200);
                }
            }
            "archived" | "restored" => {
                client.delete("/me").await.expect(204);
                if event == "restored" {
                    self.platform
                        .client
                        .act(&format!("{path}/restore"))
                        .await
                        .expect(200);
                }
            }
            other => panic!("no such event: {other}"),
        }
    }

    /// Tests all credentials, the link last.
    async fn good(&self, link: &'static str) -> Vec<(&'static str, bool)> {
        let mut good = Vec::new();
        for (name, token) in [
            ("issued", self.issued.clone()),
            ("issuer", token_of_issuer(2)),
        ] {
            good.push((
                name,
                self.is_ana(&self.server.client.with_token(token)).await,
            ));
        }
        for (sign_in, access, again, device) in [
            (&self.a, "accessA", "refreshA", "deviceA"),
            (&self.b, "accessB", "refreshB", "deviceB"),
        ] {
            good.push((access, self.is_ana(&sign_in.client).await));
            let status: String = sqlx::query_scalar("select status from app.devices where id = $1")
                .bind(sign_in.device)
                .fetch_one(&mut self.server.superuser().await)
                .await
                .expect("a device");
            good.push((device, status == "active"));
            let next = refresh(&self.server.client, &sign_in.refresh).await;
            good.push((again, next.status == 200));
        }
        let credentials = json!({"email": self.email, "password": self.password});
        let signed = self.server.client.post("/auth/sign-in", credentials).await;
        good.push(("password", signed.status == 200));
        let calendar = self.server.client.get(&self.calendar).await;
        assert!(
            matches!(calendar.status.as_u16(), 200 | 404),
            "{}",
            calendar.text
        );
        good.push(("calendar", calendar.status == 200));
        let (ticket, role) = self.offers.accept().await;
        good.extend([("ticket", ticket), ("role", role)]);
        // With the other link this is left out, since the sign-up would take the address.
        if link == "reset" {
            let body = json!({"token": self.wish, "password": "nine lazy tortoises"});
            let answer = self.server.client.post("/auth/verify-email", body).await;
            good.push(("wish", answer.status == 204));
        }
        let (path, body) = match link {
            "reset" => (
                "/auth/reset-password",
                json!({"token": self.reset, "password": "ten quiet herons"}),
            ),
            _ => ("/auth/confirm-email", json!({"token": self.change})),
        };
        let answer = self.server.client.post(path, body).await;
        assert!(
            matches!(answer.status.as_u16(), 204 | 410),
            "{}",
            answer.text
        );
        good.push((link, answer.status == 204));
        good
    }

    async fn is_ana(&self, client: &Client) -> bool {
        let me = client.get("/me").await;
        assert!(matches!(me.status.as_u16(), 200 | 401), "{}", me.text);
        me.status == 200 && me.id() == self.id.to_string()
    }
}

async fn sign_in_with_device(server: &TestServer, name: &str) -> SignIn {
    let signed = sign_in(&server.client, "ana", PASSWORD).await.expect(200);
    let text = |name: &str| signed.json[name].as_str().expect("a text").to_owned();
    let client = server.client.with_token(text("access_token"));
    let body = json!({"platform": "ios", "push_token": format!("push token of device {name}")});
    let device = client.post("/devices", body).await.expect(201);
    assert_eq!(device.json["session_id"], json!(text("session_id")));
    SignIn {
        client,
        session: text("session_id"),
        refresh: text("refresh_token"),
        device: device.id().parse().expect("an id"),
    }
}

fn token_of_issuer(seconds: i64) -> String {
    let mut claims = issuer::claims("ana at the issuer", &address("ana"), true);
    let issued = claims["iat"].as_i64().expect("a time") + seconds;
    claims["iat"] = json!(issued);
    issuer::issue(&claims)
}

async fn reset_link(server: &TestServer) -> String {
    let before = server.mailer.count();
    let body = json!({"email": address("ana")});
    server
        .client
        .post("/auth/forgot-password", body)
        .await
        .expect(202);
    mailed_token(server, &address("ana"), before).await
}

async fn put(client: &Client, path: &str, body: Value) -> Answer {
    client.send(Method::PUT, path, Some(body), &[]).await
}

/// Links become invalid even if a future module, which knows nothing about links, changes the data that they depend
/// on.
#[tokio::test]
async fn a_link_is_void_once_what_it_was_issued_for_is_another() {
    for change in [
        "update app.users set email = 'ana@moved.org' where id = $1",
        "update app.credentials set password_hash = password_hash || 'x' where user_id = $1",
        "update app.credentials set valid_from = now() where user_id = $1",
        "update app.users set status = 'suspended' where id = $1",
        "update app.users set status = 'archived' where id = $1",
        // The negative control.
        "update app.users set bio = 'moved' where id = $1",
    ] {
        let ana = Ana::new().await;
        let mut conn = ana.server.superuser().await;
        for text in [
            change,
            "update app.users set status = 'active' where id = $1",
        ] {
            sqlx::query(AssertSqlSafe(text))
                .bind(ana.id)
                .execute(&mut conn)
                .await
                .expect("changed");
        }
        let good = change.contains("bio");
        for (path, body) in [
            ("/auth/confirm-email", json!({"token": ana.change})),
            (
                "/auth/reset-password",
                json!({"token": ana.reset, "password": NEW_PASSWORD}),
            ),
        ] {
            let answer = ana.server.client.post(path, body).await;
            assert_eq!(
                answer.status == 204,
                good,
                "{change}: {path}: {}",
                answer.text
            );
            if good {
                // Using one link invalidates the other.
                break;
            }
        }
        if change.contains("status") {
            assert!(!ana.is_ana(&ana.a.client).await, "{change}");
        }
    }
}

#[tokio::test]
async fn identities_are_listed_and_unlinked_by_their_owner_who_proved_the_password() {
    let ana = Ana::new().await;
    let client = &ana.a.client;
    let listed = client.get("/me/identities").await.expect(200);
    assert_eq!(listed.json["has_password"], json!(true));
    let identity = &listed.json["data"][0];
    assert_eq!(
        (&identity["issuer"], &identity["email"]),
        (&json!(issuer::ISSUER), &json!(address("ana")))
    );
    let path = format!("/me/identities/{}", identity["id"].as_str().expect("an id"));
    ana.server.client.get("/me/identities").await.expect(401);
    ana.server.client.delete(&path).await.expect(401);
    ana.platform.client.delete(&path).await.expect(404);
    // Tokens of an issuer have a session as well, but they do not prove knowledge of the password.
    let external = ana.server.client.with_token(&ana.issued);
    let sessions = external.get("/me/sessions").await.expect(200);
    let current = sessions.json["data"].as_array().expect("sessions");
    let current = current
        .iter()
        .find(|session| session["current"] == true)
        .expect("the current one");
    assert_eq!(current["identity_id"], identity["id"]);
    assert_eq!(
        external.delete(&path).await.expect(401).problem(),
        "step-up-required"
    );
    let change = put(
        &external,
        "/me/email",
        json!({"email": "thief@example.org"}),
    )
    .await;
    assert_eq!(change.expect(401).problem(), "step-up-required");
    external
        .post("/auth/step-up", json!({"password": PASSWORD}))
        .await
        .expect(204);
    external.delete(&path).await.expect(204);
    let gone = external.get("/me").await.expect(401);
    assert_eq!(gone.problem(), "session-revoked");
    external.delete(&path).await.expect(401);
    client.delete(&path).await.expect(404);
    let listed = client.get("/me/identities").await.expect(200);
    assert_eq!(listed.json["data"], json!([]));
    // The old token does not link the identity again, but one that is issued later does.
    assert!(!ana.is_ana(&external).await);
    assert!(
        ana.is_ana(&ana.server.client.with_token(token_of_issuer(2)))
            .await
    );
}

#[tokio::test]
async fn who_has_no_password_is_told_before_the_only_way_in_is_cut() {
    let (base, _) = issuer::publish().await;
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.issuer = Some(issuer::config(&base, "/keys"));
    })
    .await;
    let token = issuer::issue(&issuer::claims("admin", "admin@example.org", true));
    let client = server.client.with_token(token);
    let me = client.get("/me").await.expect(200);
    assert_eq!(
        me.json["handle"],
        json!("m_admin"),
        "the reserved handle `admin` must not be given"
    );
    let listed = client.get("/me/identities").await.expect(200);
    assert_eq!(listed.json["has_password"], json!(false));
    let path = format!(
        "/me/identities/{}",
        listed.json["data"][0]["id"].as_str().expect("an id")
    );
    let answer = client.delete(&path).await.expect(409);
    assert!(answer.text.contains("forgot-password"), "{}", answer.text);
    client.get("/me").await.expect(200);
    // Signing out invalidates this token, but the identity can still sign in.
    client.act("/auth/sign-out").await.expect(204);
    assert_eq!(
        client.get("/me").await.expect(401).problem(),
        "session-revoked"
    );
    let mut later = issuer::claims("admin", "admin@example.org", true);
    later["iat"] = json!(later["iat"].as_i64().expect("a time") + 2);
    let later = server.client.with_token(issuer::issue(&later));
    assert_eq!(later.get("/me").await.expect(200).id(), me.id());
}
