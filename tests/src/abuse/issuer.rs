//! Tokens of an OpenID Connect issuer: a real key set served over HTTP, and all kinds of invalid tokens.

use super::tokens::{STRANGER, public, sign};
use crate::support::{TestServer, database::Content, server::TOKEN_KEY};
use axum::{Json, Router, response::Redirect, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey};
use kernel::{
    auth::{
        External, Resolver,
        external::{Identity, Known},
    },
    config::{IssuerConfig, Jwks},
    prelude::BoxFuture,
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use uuid::Uuid;

pub(super) const ISSUER: &str = "https://id.test";
const SECRET: &[u8] = b"a symmetric key that somebody published";

/// Serves the issuer's keys and counts the requests for them.
pub(super) async fn publish() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let mut key = public(STRANGER);
    key["kid"] = json!("k1");
    let symmetric =
        json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": BASE64.encode(SECRET)});
    let set = json!({"keys": [symmetric, {"kty": "unheard-of"}, key]});
    let counter = asked.clone();
    let keys = get(move || {
        counter.fetch_add(1, SeqCst);
        std::future::ready(Json(set.clone()))
    });
    let huge = get(|| {
        std::future::ready(format!(
            "{{\"keys\":[],\"x\":\"{}\"}}",
            "x".repeat(300 * 1024)
        ))
    });
    let router = Router::new()
        .route("/keys", keys)
        .route(
            "/moved",
            get(|| std::future::ready(Redirect::temporary("/keys"))),
        )
        .route("/huge", huge);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (base, asked)
}

pub(super) fn config(base: &str, path: &str) -> IssuerConfig {
    let keys = Jwks::Url(format!("{base}{path}").parse().expect("a URL"));
    let mut config = IssuerConfig::new(ISSUER.to_owned(), "web-app".to_owned(), keys);
    config.authorized_parties.push("phone-app".to_owned());
    config
}

pub(super) fn claims(subject: &str, email: &str, verified: bool) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({"iss": ISSUER, "aud": "web-app", "sub": subject, "email": email, "email_verified": verified,
           "iat": now, "exp": now + 300})
}

pub(super) fn issue(claims: &Value) -> String {
    let key = EncodingKey::from_ed_pem(STRANGER.as_bytes()).expect("a key");
    sign(
        &json!({"alg": "EdDSA", "typ": "JWT", "kid": "k1"}),
        claims,
        &key,
        Algorithm::EdDSA,
    )
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    if claims[name].is_null() {
        claims.as_object_mut().expect("claims").remove(name);
    }
    claims
}

async fn linked(server: &TestServer) -> i64 {
    sqlx::query_scalar("select count(*) from app.external_identities")
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("a number")
}

async fn server() -> (TestServer, Arc<AtomicUsize>) {
    let (base, asked) = publish().await;
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.issuer = Some(config(&base, "/keys"));
    })
    .await;
    (server, asked)
}

#[tokio::test]
async fn abuse_13_an_issuers_token_is_held_to_its_keys_and_claims() {
    let (server, asked) = server().await;
    let ana = server.member("ana").await;
    let good = claims("ana", "Ana@Example.org", true);
    let me = server
        .client
        .with_token(issue(&good))
        .get("/me")
        .await
        .expect(200);
    assert_eq!(me.id(), ana.id.to_string());

    let now = chrono::Utc::now().timestamp();
    let key = EncodingKey::from_ed_pem(STRANGER.as_bytes()).expect("a key");
    let ours = EncodingKey::from_ed_pem(TOKEN_KEY.as_bytes()).expect("a key");
    let raw = BASE64
        .decode(public(STRANGER)["x"].as_str().expect("x"))
        .expect("base64");
    let head = |alg: &str, kid: &str| json!({"alg": alg, "typ": "JWT", "kid": kid});
    let own_kid = jsonwebtoken::decode_header(&ana.token)
        .expect("a header")
        .kid
        .expect("a key's id");
    let mut attacks = vec![
        (
            "another key",
            sign(&head("EdDSA", "k1"), &good, &ours, Algorithm::EdDSA),
        ),
        (
            "our key's id",
            sign(&head("EdDSA", &own_kid), &good, &key, Algorithm::EdDSA),
        ),
        (
            "HS256 with the public key",
            sign(
                &head("HS256", "k1"),
                &good,
                &EncodingKey::from_secret(&raw),
                Algorithm::HS256,
            ),
        ),
        (
            "HS256 with a published secret",
            sign(
                &head("HS256", "shared"),
                &good,
                &EncodingKey::from_secret(SECRET),
                Algorithm::HS256,
            ),
        ),
        (
            "unsigned",
            format!(
                "{}.{}.",
                BASE64.encode(head("none", "k1").to_string()),
                BASE64.encode(good.to_string())
            ),
        ),
        (
            "its own key",
            sign(
                &with(head("EdDSA", "k1"), "jwk", public(STRANGER)),
                &good,
                &key,
                Algorithm::EdDSA,
            ),
        ),
    ];
    for (name, value) in [
        ("iss", json!("https://other.test")),
        ("iss", json!("http://127.0.0.1:8080")),
        ("iss", json!("https://id.test/")),
        ("iss", Value::Null),
        ("aud", json!("other-app")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("sub", Value::Null),
        ("exp", json!(now - 60)),
        ("exp", Value::Null),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("iat", Value::Null),
        ("iat", json!("yesterday")),
        // Lifetimes of thirty years, and of a day and a second.
        ("exp", json!(now + 30 * 365 * 24 * 3600)),
        ("exp", json!(now + 24 * 3600 + 1)),
        ("exp", json!(i64::MAX)),
        // For our audience, but issued to another client, or possibly to another of its audiences.
        ("azp", json!("other-app")),
        ("azp", json!(["web-app"])),
        ("aud", json!(["web-app", "other-app"])),
    ] {
        attacks.push((name, issue(&with(good.clone(), name, value))));
    }
    for (what, token) in attacks {
        let client = server.client.with_token(token);
        for path in ["/me", "/cities?limit=1"] {
            let answer = client.get(path).await;
            assert_eq!(
                (answer.status.as_u16(), answer.problem()),
                (401, "invalid-token"),
                "{what}"
            );
        }
    }
    // Unknown key ids do not make the server fetch the keys again and again.
    for kid in 0..30 {
        let token = sign(
            &head("EdDSA", &format!("made-up-{kid}")),
            &good,
            &key,
            Algorithm::EdDSA,
        );
        server.client.with_token(token).get("/me").await.expect(401);
    }
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn abuse_13_an_issuers_word_about_an_address_counts_only_if_it_was_verified() {
    let (server, _) = server().await;
    let ana = server.member("ana").await;
    for claims in [
        claims("thief", "ana@example.org", false),
        with(
            claims("thief", "ana@example.org", true),
            "email_verified",
            Value::Null,
        ),
        with(claims("thief", "", true), "email", Value::Null),
    ] {
        server
            .client
            .with_token(issue(&claims))
            .get("/me")
            .await
            .expect(401);
    }
    assert_eq!(linked(&server).await, 0);
    // A subject is linked to a member once; a later change of its mail address does not link it to another.
    let first = claims("ana", "ana@example.org", true);
    server
        .client
        .with_token(issue(&first))
        .get("/me")
        .await
        .expect(200);
    server.member("ben").await;
    let moved = claims("ana", "ben@example.org", true);
    let me = server
        .client
        .with_token(issue(&moved))
        .get("/me")
        .await
        .expect(200);
    assert_eq!(me.id(), ana.id.to_string());
    assert_eq!(linked(&server).await, 1);
    let mut conn = server.superuser().await;
    sqlx::query("update app.users set status = 'suspended' where id = $1")
        .bind(ana.id)
        .execute(&mut conn)
        .await
        .expect("suspended");
    let answer = server
        .client
        .with_token(issue(&first))
        .get("/cities")
        .await
        .expect(401);
    assert_eq!(answer.problem(), "account-suspended");
}

/// Addresses of an issuer are compared in the form in which ours are stored, and what is no address for us signs nobody
/// in: it is no mistake of the request.
#[tokio::test]
async fn abuse_13_an_issuers_address_is_read_as_ours_are() {
    let (server, _) = server().await;
    let ana = server.member("ana").await;
    let mut conn = server.superuser().await;
    sqlx::query("update app.users set email = 'ana@xn--bcher-kva.example' where id = $1")
        .bind(ana.id)
        .execute(&mut conn)
        .await
        .expect("another address");
    let sent = async |subject: &str, email: &str| {
        let token = issue(&claims(subject, email, true));
        server.client.with_token(token).get("/me").await
    };
    let me = sent("ana", "Ana@Bücher.example").await.expect(200);
    assert_eq!(me.id(), ana.id.to_string());
    let long = format!("{}@example.org", "a".repeat(300));
    for email in ["nobody", "two@@example.org", "a b@example.org", &long] {
        sent("somebody", email).await.expect(401);
    }
    assert_eq!(linked(&server).await, 1);
}

/// For our audience, and issued to one of our clients.
#[tokio::test]
async fn abuse_13_an_issuers_token_may_say_to_whom_it_was_issued() {
    let (server, _) = server().await;
    let good = claims("ana", "ana@example.org", true);
    let several = with(good.clone(), "aud", json!(["web-app", "other-app"]));
    let now = chrono::Utc::now().timestamp();
    for claims in [
        with(good.clone(), "azp", json!("web-app")),
        with(good.clone(), "azp", json!("phone-app")),
        with(several, "azp", json!("phone-app")),
        with(good, "exp", json!(now + 23 * 3600)),
    ] {
        let client = server.client.with_token(issue(&claims));
        client.get("/me").await.expect(200);
    }
}

/// A resolver that accepts every identity.
struct Everybody;

impl Resolver for Everybody {
    fn resolve<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, kernel::Result<Option<Known>>> {
        let known = Known {
            user: Uuid::nil(),
            session: Uuid::nil(),
        };
        Box::pin(std::future::ready(Ok(Some(known))))
    }
}

#[tokio::test]
async fn abuse_13_keys_come_from_the_configured_place_and_are_few() {
    let (base, asked) = publish().await;
    let token = issue(&claims("ana", "ana@example.org", true));
    let now = chrono::Utc::now().timestamp();
    for (path, status) in [
        ("/keys", 0),
        ("/moved", 503),
        ("/huge", 503),
        ("/missing", 503),
    ] {
        let external = External::new(config(&base, path), Arc::new(Everybody)).expect("a client");
        let answer = external.verify(&token, now).await;
        assert_eq!(
            answer.map_or_else(|error| error.status(), |_| 0),
            status,
            "{path}"
        );
    }
    assert_eq!(asked.load(SeqCst), 1, "a redirect is not followed");
}

/// For a member without a password, too, a suspension invalidates tokens that were issued before it.
#[tokio::test]
async fn abuse_13_tokens_of_before_a_suspension_stay_ended_for_those_without_a_password() {
    let (server, _) = server().await;
    let token = |sid: &str, seconds: i64| {
        let mut claims = with(claims("ana", "ana@example.org", true), "sid", json!(sid));
        claims["iat"] = json!(claims["iat"].as_i64().expect("a time") + seconds);
        server.client.with_token(issue(&claims))
    };
    let me = token("one", -2).get("/me").await.expect(200);
    let id: Uuid = me.id().parse().expect("an id");
    let mut conn = server.superuser().await;
    for status in ["suspended", "active"] {
        sqlx::query("update app.users set status = $2 where id = $1")
            .bind(id)
            .bind(status)
            .execute(&mut conn)
            .await
            .expect("changed");
    }
    // Also tokens of a session at the issuer that has never been used here.
    for sid in ["one", "two"] {
        token(sid, -1).get("/me").await.expect(401);
    }
    token("three", 2).get("/me").await.expect(200);
}

/// If the session of an earlier token has expired and was deleted, a later token is still valid by itself.
#[tokio::test]
async fn abuse_13_a_token_outlives_the_session_that_expired_before_it() {
    let (server, _) = server().await;
    let at = |issued: i64, expires: i64| {
        let mut claims = claims("ana", "ana@example.org", true);
        let now = claims["iat"].as_i64().expect("a time");
        (claims["iat"], claims["exp"]) = (json!(now + issued), json!(now + expires));
        server.client.with_token(issue(&claims))
    };
    let (first, second) = (at(-60, 300), at(-30, 600));
    first.get("/me").await.expect(200);
    let mut conn = server.superuser().await;
    sqlx::query("update app.sessions set expires_at = now() - interval '1 second'")
        .execute(&mut conn)
        .await
        .expect("expired");
    let sessions = &server.built.app.modules.sessions;
    sessions.purge(chrono::Utc::now()).await.expect("purged");
    second.get("/me").await.expect(200);
    // After signing out it stays invalid.
    second.act("/auth/sign-out").await.expect(204);
    second.get("/me").await.expect(401);
}
