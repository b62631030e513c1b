//! Forged access tokens, and tokens for another purpose.

use crate::support::{Answer, Client, TestServer, people, server::TOKEN_KEY};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, decode_header, jwk::Jwk};
use serde_json::{Value, json};

/// A key that is not the server's.
pub const STRANGER: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----";

/// Signs any header and claims, including ones that a library would refuse.
pub fn sign(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

/// The public key, as in a key set.
pub fn public(pem: &str) -> Value {
    let key = EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key");
    let jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).expect("its public half");
    serde_json::to_value(jwk).expect("JSON")
}

/// The parts of a valid token, from which others are forged.
struct Forger {
    header: Value,
    claims: Value,
    key: EncodingKey,
}

impl Forger {
    fn new(token: &str) -> Self {
        let part = |at: usize| -> Value {
            let text = token.split('.').nth(at).expect("a part");
            serde_json::from_slice(&BASE64.decode(text).expect("base64")).expect("JSON")
        };
        Self {
            header: part(0),
            claims: part(1),
            key: EncodingKey::from_ed_pem(TOKEN_KEY.as_bytes()).expect("a key"),
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        sign(header, claims, &self.key, Algorithm::EdDSA)
    }

    /// A token with another value of a claim; `null` removes the claim.
    fn claim(&self, name: &str, value: Value) -> String {
        self.sign(&self.header, &with(&self.claims, name, value))
    }

    fn head(&self, name: &str, value: Value) -> String {
        self.sign(&with(&self.header, name, value), &self.claims)
    }
}

fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut changed = object.clone();
    let entries = changed.as_object_mut().expect("an object");
    match value {
        Value::Null => entries.remove(name),
        value => entries.insert(name.to_owned(), value),
    };
    changed
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (401, "invalid-token"),
        "{what}: {}",
        answer.text
    );
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(
        challenge.starts_with("Bearer error="),
        "{what}: {challenge}"
    );
}

/// A public route and a private one: an invalid token is refused even where none is needed.
async fn both(client: &Client) -> [Answer; 2] {
    [client.get("/cities?limit=1").await, client.get("/me").await]
}

#[tokio::test]
async fn abuse_13_tokens_that_were_not_issued_for_this_are_refused() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    let forger = Forger::new(&ana.token);
    for answer in both(
        &server
            .client
            .with_token(forger.sign(&forger.header, &forger.claims)),
    )
    .await
    {
        answer.expect(200);
    }
    let mut attacks = claims(&forger);
    attacks.extend(headers(&forger));
    attacks.extend(algorithms(&forger));
    attacks.extend(damage(&ana.token));
    for (what, token) in attacks {
        for answer in both(&server.client.with_token(token)).await {
            refused(&answer, &what);
        }
    }
    for header in ["Basic YTpi", "Bearer", &format!("Token {}", ana.token)] {
        let answer = server
            .client
            .send(
                reqwest::Method::GET,
                "/cities",
                None,
                &[("authorization", header)],
            )
            .await;
        refused(&answer, header);
    }
    // Two tokens in one request are ambiguous.
    let answer = ana
        .client
        .send(
            reqwest::Method::GET,
            "/cities",
            None,
            &[("authorization", &format!("Bearer {}", ana.token))],
        )
        .await;
    refused(&answer, "two tokens");
}

fn claims(forger: &Forger) -> Vec<(String, String)> {
    let now = chrono::Utc::now().timestamp();
    let claims = [
        ("iss", json!("https://evil.test")),
        ("iss", json!("http://127.0.0.1:8080/")),
        ("iss", Value::Null),
        ("aud", json!("other")),
        ("aud", json!(["culturepass", "other"])),
        ("aud", Value::Null),
        ("exp", json!(now - 60)),
        ("exp", json!("9999999999")),
        ("exp", json!(1e300)),
        ("exp", Value::Null),
        ("nbf", json!(now + 60)),
        ("iat", json!(now + 60)),
        ("iat", Value::Null),
        ("sid", Value::Null),
        ("sid", json!("all")),
        ("sub", json!("admin")),
        ("sub", Value::Null),
    ];
    let told = |name: &str, value: &Value| format!("claim {name} = {value}");
    claims
        .into_iter()
        .map(|(name, value)| (told(name, &value), forger.claim(name, value)))
        .collect()
}

fn headers(forger: &Forger) -> Vec<(String, String)> {
    let jwk = public(STRANGER);
    let own = [
        ("typ", json!("JWT")),
        ("typ", json!("rt+jwt")),
        ("typ", Value::Null),
        ("kid", json!("other")),
        ("kid", json!("../../../../dev/null")),
        ("kid", Value::Null),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("x5c", json!(["MIIB"])),
        ("jwk", jwk.clone()),
    ];
    let mut attacks: Vec<_> = own
        .into_iter()
        .map(|(name, value)| (format!("header {name} = {value}"), forger.head(name, value)))
        .collect();
    // Signed with another key, under our key's id, and with that key in the header.
    let stranger = EncodingKey::from_ed_pem(STRANGER.as_bytes()).expect("a key");
    for header in [forger.header.clone(), with(&forger.header, "jwk", jwk)] {
        let token = sign(&header, &forger.claims, &stranger, Algorithm::EdDSA);
        attacks.push((format!("a stranger's signature under {header}"), token));
    }
    attacks
}

fn algorithms(forger: &Forger) -> Vec<(String, String)> {
    let mut attacks = Vec::new();
    for none in ["none", "None", "nOnE", ""] {
        let token = forger.head("alg", json!(none));
        let unsigned = token.rsplit_once('.').expect("three parts").0;
        attacks.push((format!("alg {none:?} unsigned"), format!("{unsigned}.")));
        attacks.push((format!("alg {none:?} signed"), token));
    }
    // The public key used as the secret of a symmetric algorithm, in each of its formats.
    let x = public(TOKEN_KEY)["x"].as_str().expect("a point").to_owned();
    let raw = BASE64.decode(&x).expect("base64");
    let mut der = BASE64.decode("MCowBQYDK2VwAyEA").expect("base64");
    der.extend(&raw);
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
    for secret in [raw, der, x.into_bytes(), pem.into_bytes()] {
        let header = with(&forger.header, "alg", json!("HS256"));
        let key = EncodingKey::from_secret(&secret);
        let token = sign(&header, &forger.claims, &key, Algorithm::HS256);
        attacks.push((format!("HS256 with {} public bytes", secret.len()), token));
    }
    attacks
}

fn damage(token: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = token.split('.').collect();
    let other = BASE64.encode(r#"{"sub":"00000000-0000-0000-0000-000000000000"}"#);
    [
        token[..token.len() - 2].to_owned(),
        parts[..2].join("."),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}.{}", parts[2]),
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{token}="),
        format!("{token}A"),
        "a.b.c".to_owned(),
        "..".to_owned(),
        "null".to_owned(),
        "a".repeat(8 * 1024 + 1),
        format!("{token}{}", "A".repeat(8 * 1024)),
    ]
    .into_iter()
    .map(|token| (format!("damaged: {token:.60}"), token))
    .collect()
}

#[tokio::test]
async fn abuse_13_a_refresh_token_opens_nothing_but_the_next_pair() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let signed = people::sign_in(&server.client, "ana", people::PASSWORD)
        .await
        .expect(200);
    let (access, refresh) = (&signed.json["access_token"], &signed.json["refresh_token"]);
    let text = |value: &Value| value.as_str().expect("a token").to_owned();
    for answer in both(&server.client.with_token(text(access))).await {
        answer.expect(200);
    }
    for answer in both(&server.client.with_token(text(refresh))).await {
        refused(&answer, "refresh token");
    }
    // Conversely, an access token is too long for a refresh token, and an id is none either.
    let answer = people::refresh(&server.client, &text(access)).await;
    assert_eq!(answer.expect(422).pointers(), ["/refresh_token"]);
    let session = text(&signed.json["session_id"]);
    people::refresh(&server.client, &session).await.expect(401);
    // Tokens contain no roles, which could be forged or remain after they are revoked.
    let claims = Forger::new(&text(access)).claims;
    let names: Vec<_> = claims.as_object().expect("claims").keys().collect();
    assert_eq!(names, ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"]);
    assert_eq!(
        decode_header(text(access)).expect("a header").alg,
        Algorithm::EdDSA
    );
}

#[tokio::test]
async fn abuse_13_a_token_of_somebody_elses_session_is_refused() {
    let server = TestServer::start().await;
    let (ana, ben) = (server.member("ana").await, server.member("ben").await);
    let now = chrono::Utc::now().timestamp();
    let nobody = uuid::Uuid::now_v7();
    for (user, session) in [
        (ana.id, ben.session),
        (ana.id, nobody),
        (nobody, ana.session),
    ] {
        let token = server
            .built
            .tokens
            .issue(user, session, now)
            .expect("a token")
            .token;
        for answer in both(&server.client.with_token(token)).await {
            assert_eq!(answer.status, 401, "{}", answer.text);
        }
    }
}
