//! Rate limits: per address, per member, and for expensive operations.

use crate::support::{Answer, TestServer, database::Content};
use kernel::config::{DbConfig, RateLimit};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

const BURST: u32 = 3;

fn limit() -> Option<RateLimit> {
    Some(RateLimit {
        per_minute: 1,
        burst: BURST,
    })
}

fn quota_exceeded(answer: &Answer, name: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (429, "quota-exceeded"),
        "{}",
        answer.text
    );
    let header = |name| answer.header(name).unwrap_or_default().to_owned();
    assert!(header("retry-after").parse::<u64>().expect("seconds") > 0);
    assert!(header("ratelimit").contains(&format!("\"{name}\";r=0")));
    assert_eq!(
        header("ratelimit-policy"),
        format!("\"{name}\";q={BURST};w=180")
    );
}

#[tokio::test]
async fn abuse_35_an_address_has_one_bucket_whatever_it_claims() {
    let server = TestServer::start_with(Content::Empty, |parts| {
        parts.http.ip_limit = limit();
        // A proxy that is not the client's.
        parts.http.trusted_proxies = vec!["10.0.0.0/8".to_owned()];
    })
    .await;
    let mira = server.member("mira").await;
    let spoofed = async |round: u32| {
        let address = format!("203.0.113.{round}");
        let headers = [
            ("x-forwarded-for", address.as_str()),
            ("forwarded", "for=203.0.113.9"),
            ("x-real-ip", address.as_str()),
            ("x-request-id", address.as_str()),
        ];
        // All requests count: with and without a token, with known and unknown paths.
        match round % 3 {
            0 => {
                server
                    .client
                    .send(Method::GET, "/countries", None, &headers)
                    .await
            }
            1 => {
                mira.client
                    .send(Method::GET, "/countries", None, &headers)
                    .await
            }
            _ => {
                server
                    .client
                    .send(Method::GET, "/nowhere", None, &headers)
                    .await
            }
        }
    };
    for round in 0..BURST {
        let answer = spoofed(round).await;
        assert_ne!(answer.status, 429, "{}", answer.text);
        let left = format!("\"ip\";r={}", BURST - 1 - round);
        assert_eq!(
            answer.header("ratelimit"),
            Some(left.as_str()),
            "{}",
            answer.text
        );
    }
    for round in 0..4 {
        quota_exceeded(&spoofed(round).await, "ip");
    }
    let alive = server.client.get("/livez").await;
    assert_eq!(alive.status, 200, "health checks are not limited");
}

#[tokio::test]
async fn abuse_35_a_member_has_one_bucket_from_every_address() {
    let server = TestServer::start_with(Content::Empty, |parts| {
        parts.http.user_limit = limit();
        parts.http.trusted_proxies = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let (mira, ben) = (server.member("mira").await, server.member("ben").await);
    let from = async |client: &crate::support::Client, n: u32| {
        let address = format!("203.0.113.{n}");
        client
            .send(
                Method::GET,
                "/countries",
                None,
                &[("x-forwarded-for", &address)],
            )
            .await
    };
    for n in 0..BURST {
        from(&mira.client, n).await.expect(200);
    }
    quota_exceeded(&from(&mira.client, 100).await, "user");
    // Other sessions of the same member share the limit, other members do not.
    let second = server.sign_in(mira.id).await;
    quota_exceeded(&from(&second.client, 101).await, "user");
    from(&ben.client, 100).await.expect(200);
}

#[tokio::test]
async fn abuse_35_guessing_and_mailing_have_limits_of_their_own() {
    let mut server = TestServer::start_with(Content::Empty, |parts| {
        parts.modules.sessions.sign_in_failures_per_address = 3;
        parts.modules.sessions.mails_per_hour = 2;
    })
    .await;
    server.member("mira").await;
    for email in ["mira@example.org", "nobody@example.org"] {
        let guess = async || {
            let body = json!({"email": email, "password": "not the password"});
            server.client.post("/auth/sign-in", body).await
        };
        for _ in 0..3 {
            assert_eq!(guess().await.problem(), "invalid-credentials");
        }
        let refused = guess().await;
        assert_eq!(
            (refused.status.as_u16(), refused.problem()),
            (429, "quota-exceeded"),
            "{email}"
        );
        assert!(refused.header("retry-after").is_some());
    }
    let ask = json!({"email": "mira@example.org"});
    for _ in 0..5 {
        let answer = server
            .client
            .post("/auth/forgot-password", ask.clone())
            .await;
        assert_eq!(
            answer.status, 202,
            "the answer does not tell: {}",
            answer.text
        );
    }
    server.settled().await;
    assert_eq!(server.mailer.count(), 2, "mails to one address in an hour");
    server.stop().await;
}

/// The operations for links in mails that work without a session, according to the document: those with a token
/// parameter.
fn links() -> Vec<(Method, String)> {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.expect("JSON");
    let mut links = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let mut parameters = parameters.map(|one| match one["$ref"].as_str() {
                Some(shared) => document.pointer(&shared[1..]).expect("a parameter"),
                None => one,
            });
            if parameters.any(|one| one["name"] == "token" && one["in"] == "query") {
                let method = method.to_uppercase().parse().expect("a method");
                links.push((method, path.clone()));
            }
        }
    }
    links
}

/// Guesses of tokens in such links are limited by address, and do not reach the database.
#[tokio::test]
async fn abuse_35_links_in_mails_are_guessed_at_the_pace_of_an_address() {
    let links = links();
    // Leaving a waiting list and unsubscribing from mail, each with GET for the page and POST for the action.
    assert_eq!(links.len(), 4, "{links:?}");
    let burst = u32::try_from(links.len()).expect("a few") + 1;
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let server = TestServer::start_with(Content::Empty, |parts| {
        parts.http.ip_limit = Some(RateLimit {
            per_minute: 1,
            burst,
        });
        parts.db = DbConfig::new(nowhere.into());
        parts.db.job_url = Some(nowhere.into());
        parts.db.acquire_timeout = Duration::from_millis(10);
    })
    .await;
    // The negative control: requests that need the database fail.
    server.client.get("/countries").await.expect(503);
    let guess = async |(method, path): &(Method, String), token: &str| {
        let path = format!("{path}?token={token}");
        server.client.send(method.clone(), &path, None, &[]).await
    };
    for link in &links {
        guess(link, &"A".repeat(43)).await.expect(404);
    }
    for link in &links {
        let refused = guess(link, &"B".repeat(43)).await.expect(429);
        assert!(refused.header("retry-after").is_some(), "{link:?}");
    }
}
