//! Guessing who is a member, and guessing passwords.

use super::mailboxes::mail_from;
use crate::support::{
    Answer, Client, TestServer,
    database::Content,
    people::{self, PASSWORD, address, sign_in},
};
use serde_json::{Value, json};

/// Everything that an attacker could compare: status, body, and headers.
fn told(answer: &Answer) -> (u16, Value, Vec<(String, String)>) {
    let (status, body) = answer.told();
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "date"))
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    headers.sort();
    (status, body, headers)
}

pub(super) fn wish(handle: &str, email: &str) -> Value {
    json!({"email": email, "handle": handle, "display_name": "Somebody"})
}

#[tokio::test]
async fn abuse_18_members_and_strangers_get_the_same_answers() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    // A member without a password, who uses an external issuer.
    server.member("ben").await;
    let client = &server.client;
    let known = sign_in(client, "ana", "a wrong guess").await.expect(401);
    for handle in ["nobody", "ben"] {
        let unknown = sign_in(client, handle, "a wrong guess").await;
        assert_eq!(told(&known), told(&unknown), "{handle}");
    }
    for path in ["/auth/forgot-password"] {
        let known = client
            .post(path, json!({"email": address("ana")}))
            .await
            .expect(202);
        let unknown = client.post(path, json!({"email": address("nobody")})).await;
        assert_eq!(told(&known), told(&unknown));
    }
    let known = client
        .post("/auth/sign-up", wish("carla", &address("ana")))
        .await
        .expect(202);
    let unknown = client
        .post("/auth/sign-up", wish("dora", &address("dora")))
        .await;
    assert_eq!(told(&known), told(&unknown));
    let me = sign_in(client, "ana", PASSWORD).await.expect(200);
    let me = client.with_token(me.json["access_token"].as_str().expect("a token"));
    let change = async |email: String| {
        me.send(
            reqwest::Method::PUT,
            "/me/email",
            Some(json!({ "email": email })),
            &[],
        )
        .await
    };
    let taken = change(address("ben")).await.expect(202);
    assert_eq!(told(&taken), told(&change(address("erna")).await));
}

/// With no permit for hashing every sign-in fails: if hashing were skipped for unknown accounts, these would be
/// answered.
#[tokio::test]
async fn abuse_18_the_hash_is_computed_for_everybody() {
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.modules.sessions.hashes_at_once = 0;
    })
    .await;
    server.member("ana").await;
    let in_vain = [
        (
            "/auth/sign-in",
            json!({"email": address("ana"), "password": "a wrong guess"}),
        ),
        (
            "/auth/sign-in",
            json!({"email": address("nobody"), "password": "a wrong guess"}),
        ),
    ]
    .map(|(path, body)| {
        let client = server.client.clone();
        tokio::spawn(async move { client.post(path, body).await })
    });
    let mut answers = Vec::new();
    for one in in_vain {
        answers.push(told(&one.await.expect("an answer").expect(503)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn abuse_18_guessing_is_stopped_for_members_and_strangers_alike() {
    let server = TestServer::start_with(Content::Reference, |parts| {
        parts.http.trusted_proxies = vec!["127.0.0.1".to_owned()];
        parts.modules.sessions.sign_in_failures_per_account = 25;
    })
    .await;
    people::sign_up(&server, "ana").await;
    for handle in ["ana", "nobody"] {
        for _ in 0..10 {
            from(&server.client, "192.0.2.1", handle, "a wrong guess")
                .await
                .expect(401);
        }
        // From there, even the right password is refused …
        let answer = from(&server.client, "192.0.2.1", handle, PASSWORD)
            .await
            .expect(429);
        let wait: u64 = answer
            .header("retry-after")
            .and_then(|text| text.parse().ok())
            .expect("seconds");
        assert!((1..=15 * 60).contains(&wait), "{wait}");
    }
    // … but the owner can sign in from a known network, which does not reset the attacker's limit.
    from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(200);
    from(&server.client, "192.0.2.1", "ana", PASSWORD)
        .await
        .expect(429);
    // Guesses from many addresses: the account itself is throttled, even if it does not exist.
    for handle in ["ana", "nobody"] {
        let mut stopped = 0;
        for at in 0..40 {
            let answer = from(
                &server.client,
                &format!("203.0.113.{at}"),
                handle,
                "a wrong guess",
            )
            .await;
            stopped += i32::from(answer.status == 429);
        }
        assert!((15..40).contains(&stopped), "{stopped} of 40 stopped");
        from(&server.client, "203.0.113.99", handle, PASSWORD)
            .await
            .expect(429);
    }
    let mut conn = server.superuser().await;
    let plain: i64 =
        sqlx::query_scalar("select count(*) from app.throttles where key_hash like '%ana%@%'")
            .fetch_one(&mut conn)
            .await
            .expect("counted");
    assert_eq!(plain, 0, "counters must not contain addresses");
    sqlx::query("update app.throttles set counted_from = counted_from - interval '16 minutes'")
        .execute(&mut conn)
        .await
        .expect("moved");
    from(&server.client, "192.0.2.1", "ana", PASSWORD)
        .await
        .expect(200);
}

pub(super) async fn from(client: &Client, ip: &str, handle: &str, password: &str) -> Answer {
    let body = json!({"email": address(handle), "password": password});
    client
        .send(
            reqwest::Method::POST,
            "/auth/sign-in",
            Some(body),
            &[("x-forwarded-for", ip)],
        )
        .await
}

/// Thirty concurrent guesses are counted individually.
#[tokio::test]
async fn abuse_18_guesses_at_the_same_time_are_counted_each() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let guesses: Vec<_> = (0..30)
        .map(|_| {
            let client = server.client.clone();
            tokio::spawn(async move {
                sign_in(&client, "ana", "a wrong guess")
                    .await
                    .status
                    .as_u16()
            })
        })
        .collect();
    let mut checked = 0;
    for guess in guesses {
        let status = guess.await.expect("an answer");
        assert!(matches!(status, 401 | 429 | 503), "{status}");
        checked += u32::from(status == 401);
    }
    assert!(checked <= 10, "{checked} guesses were looked at");
}

#[tokio::test]
async fn abuse_18_nobody_is_flooded_with_mail() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let before = server.mailer.count();
    for _ in 0..12 {
        let body = json!({"email": address("ana")});
        server
            .client
            .post("/auth/forgot-password", body)
            .await
            .expect(202);
    }
    for at in 0..12 {
        let body = wish(&format!("wish{at}"), &address("victim"));
        server.client.post("/auth/sign-up", body).await.expect(202);
    }
    // Mail is sent after the answer. Once the last attempt has been counted, no more mail is expected.
    for _ in 0..400 {
        let counted: i64 =
            sqlx::query_scalar("select count(*) from app.throttles where attempts >= 12")
                .fetch_one(&mut server.superuser().await)
                .await
                .expect("counted");
        if counted == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let sent = server.mailer.count() - before;
    assert!((1..=10).contains(&sent), "{sent} mails to two addresses");
}

/// All addresses of an IPv6 network (/64) count as one.
#[tokio::test]
async fn abuse_18_an_ipv6_network_is_one_guesser() {
    let server = behind_proxy(|_| {}).await;
    people::sign_up(&server, "ana").await;
    for at in 0..10 {
        let ip = format!("2001:db8:0:1::{at:x}");
        from(&server.client, &ip, "ana", "a wrong guess")
            .await
            .expect(401);
    }
    from(&server.client, "2001:db8:0:1:ffff::1", "ana", PASSWORD)
        .await
        .expect(429);
    from(&server.client, "2001:db8:0:2::1", "ana", "a wrong guess")
        .await
        .expect(401);
    // An IPv4 address and its IPv6 form are the same.
    for at in 0..10 {
        let ip = ["192.0.2.1", "::ffff:192.0.2.1"][at % 2];
        from(&server.client, ip, "ana", "a wrong guess")
            .await
            .expect(401);
    }
    from(&server.client, "::ffff:192.0.2.1", "ana", PASSWORD)
        .await
        .expect(429);
}

pub(super) async fn behind_proxy(change: impl FnOnce(&mut app::sessions::Settings)) -> TestServer {
    TestServer::start_with(Content::Reference, |parts| {
        parts.http.trusted_proxies = vec!["127.0.0.1".to_owned()];
        change(&mut parts.modules.sessions);
    })
    .await
}

#[tokio::test]
async fn abuse_18_strangers_who_guess_do_not_lock_the_owner_out() {
    let server = behind_proxy(|sessions| sessions.sign_in_failures_per_account = 20).await;
    people::sign_up(&server, "ana").await;
    let at_home = from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(200);
    let token = at_home.json["access_token"].as_str().expect("a token");
    let live = server.client.with_token(token);
    for at in 0..60 {
        let ip = format!("203.0.113.{at}");
        from(&server.client, &ip, "ana", &format!("guess number {at}")).await;
    }
    // The account is throttled for callers from unknown networks,
    from(&server.client, "192.0.2.9", "ana", PASSWORD)
        .await
        .expect(429);
    // but not for its owner: neither in existing sessions,
    live.get("/me").await.expect(200);
    live.post("/auth/step-up", json!({"password": PASSWORD}))
        .await
        .expect(204);
    // nor in networks from which the owner has signed in before, although guesses from there are limited, too.
    from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(200);
    for at in 0..10 {
        let guess = format!("guess at home {at}");
        from(&server.client, "198.51.100.7", "ana", &guess)
            .await
            .expect(401);
    }
    from(&server.client, "198.51.100.7", "ana", PASSWORD)
        .await
        .expect(429);
    // And a link sent to the mail address works from anywhere,
    let before = server.mailer.count();
    mail_from(
        &server.client,
        "192.0.2.9",
        "/auth/forgot-password",
        json!({"email": address("ana")}),
    )
    .await;
    let token = people::mailed_token(&server, &address("ana"), before).await;
    let body = json!({"token": token, "password": "eight large giraffes"});
    let headers = [("x-forwarded-for", "192.0.2.9")];
    server
        .client
        .send(
            reqwest::Method::POST,
            "/auth/reset-password",
            Some(body),
            &headers,
        )
        .await
        .expect(204);
    // however fast others continue guessing.
    for at in 100..140 {
        let ip = format!("203.0.113.{at}");
        from(&server.client, &ip, "ana", &format!("guess number {at}")).await;
    }
    from(&server.client, "192.0.2.7", "ana", "eight large giraffes")
        .await
        .expect(429);
    from(&server.client, "192.0.2.9", "ana", "eight large giraffes")
        .await
        .expect(200);
}

/// Limited by session: a thief with a stolen session is stopped, but the owner in another session is not.
#[tokio::test]
async fn abuse_18_guessing_in_a_session_is_stopped_for_that_session() {
    let server = TestServer::start().await;
    people::sign_up(&server, "ana").await;
    let session = async || {
        let signed = sign_in(&server.client, "ana", PASSWORD).await.expect(200);
        let token = signed.json["access_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        server.client.with_token(token)
    };
    let (stolen, mine) = (session().await, session().await);
    for at in 0..10 {
        let body = json!({"password": format!("guess number {at}")});
        stolen.post("/auth/step-up", body).await.expect(401);
    }
    stolen
        .post("/auth/step-up", json!({"password": PASSWORD}))
        .await
        .expect(429);
    mine.post("/auth/step-up", json!({"password": PASSWORD}))
        .await
        .expect(204);
    sign_in(&server.client, "ana", PASSWORD).await.expect(200);
}

/// Successful sign-ins do not count, however many members share a password and a network.
#[tokio::test]
async fn abuse_18_who_signs_in_is_no_guesser() {
    let server = behind_proxy(|sessions| {
        sessions.accounts_per_password = 2;
        sessions.accounts_per_password_anywhere = 2;
        sessions.sign_in_failures_per_network = 2;
        sessions.sign_in_failures_per_account = 2;
    })
    .await;
    for handle in ["ana", "ben", "carla", "dora"] {
        people::sign_up(&server, handle).await;
    }
    for _ in 0..3 {
        for handle in ["ana", "ben", "carla", "dora"] {
            from(&server.client, "192.0.2.1", handle, PASSWORD)
                .await
                .expect(200);
        }
    }
    // The negative control: failures from one network are counted for all accounts together.
    for handle in ["erna", "fred"] {
        from(
            &server.client,
            "192.0.2.1",
            handle,
            &format!("guess for {handle}"),
        )
        .await
        .expect(401);
    }
    from(&server.client, "192.0.2.1", "greta", "guess for greta")
        .await
        .expect(429);
}
