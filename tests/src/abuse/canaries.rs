//! Secrets that a running server is given or issues must not occur in anything that it logs, or returns in errors.

use crate::support::{
    Answer, Client, Database,
    database::Content,
    people::{address, sign_in},
    pictures::{announce, way},
    program::Program,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};
use uuid::Uuid;

/// Secrets in settings and requests. Those that the server generates are added while it runs.
const GIVEN: [&str; 12] = [
    "canary sets a good password",
    "canary guesses a password",
    "canary changes the password",
    "sk_test_canary0f6a3c1b2d4e5f60",
    "whsec_canary0f6a3c1b2d4e5f6071",
    "canary-bearer-0f6a3c1b",
    "canary-in-the-address",
    "BEGIN PRIVATE KEY",
    "canary-push-token-0f6a3c1b",
    "canary-unsubscribe-0f6a3c1b",
    "v1,canarysignature0f6a3c1b",
    "whsec_Y2FuYXJ5LW9mLXJlc2VuZC0wZjZhM2MxYg==",
];

/// A server with the most detailed log, with its worker, mail in a folder, and an unreachable payment service.
struct Watched {
    program: Program,
    mails: PathBuf,
    secrets: Vec<String>,
    said: String,
}

impl Watched {
    async fn start(database: &Database) -> Self {
        let mails = std::env::temp_dir().join(format!("culturepass-mails-{}", Uuid::now_v7()));
        let program = Program::serve(database, |command| {
            command
                .arg("--with-worker")
                .env("CULTUREPASS_ENV", "development")
                .env("LOG", "trace")
                .env_remove("SMTP_HOST")
                .env("MAIL_DIR", &mails)
                .env("STRIPE_SECRET_KEY", GIVEN[3])
                .env("STRIPE_WEBHOOK_SECRETS", GIVEN[4])
                .env("STRIPE_CONNECT_WEBHOOK_SECRETS", GIVEN[4])
                .env("RESEND_WEBHOOK_SECRET", GIVEN[11])
                .env("STRIPE_URL", "http://127.0.0.1:9")
                .env("STRIPE_TIMEOUT_SECONDS", "2");
        })
        .await;
        let mut secrets: Vec<String> = GIVEN.map(str::to_owned).to_vec();
        for role in ["culturepass_app", "culturepass_job"] {
            let url: url::Url = database.url(role).parse().expect("a URL");
            secrets.extend(url.password().map(str::to_owned));
        }
        Self {
            program,
            mails,
            secrets,
            said: String::new(),
        }
    }

    /// Records the text of a refusal. Successful answers are left out, since they may contain secrets that were asked
    /// for.
    fn hear(&mut self, answer: Answer) -> Answer {
        if !answer.status.is_success() {
            self.said.push_str(&answer.text);
        }
        answer
    }

    fn keep(&mut self, answer: &Answer, names: &[&str]) {
        for name in names {
            let secret = answer.json[*name].as_str().expect("a secret");
            self.secrets.push(secret.to_owned());
        }
    }

    /// The token in the newest mail that contains these words.
    async fn mailed(&mut self, words: &str) -> String {
        for _ in 0..400 {
            let files = std::fs::read_dir(&self.mails).into_iter().flatten();
            let texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
            let mut found = texts.filter(|text| text.contains(words));
            if let Some(text) = found.next() {
                let (_, rest) = text.split_once("token=").expect("a link");
                let token = rest.split_whitespace().next().expect("a token").to_owned();
                self.secrets.push(token.clone());
                return token;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no mail: {}", self.program.text());
    }

    /// A member signs up, makes mistakes, signs in, and uses the API.
    async fn live(&mut self) {
        let client = self.program.client.clone();
        let body = json!({"email": address("kana"), "handle": "kana", "display_name": "Kana"});
        client.post("/auth/sign-up", body).await.expect(202);
        let token = self.mailed("token=").await;
        let body = json!({"token": token, "password": GIVEN[0]});
        for status in [204, 410] {
            let answer = client.post("/auth/verify-email", body.clone()).await;
            self.hear(answer).expect(status);
        }
        let answer = sign_in(&client, "kana", GIVEN[1]).await;
        self.hear(answer).expect(401);
        let first = sign_in(&client, "kana", GIVEN[0]).await.expect(200);
        self.keep(&first, &["access_token", "refresh_token"]);
        let body = json!({"refresh_token": first.json["refresh_token"]});
        let second = client.post("/auth/refresh", body).await.expect(200);
        self.keep(&second, &["access_token", "refresh_token"]);
        let member = client.with_token(second.json["access_token"].as_str().expect("a token"));
        member.get("/me").await.expect(200);
        let body = json!({"current_password": GIVEN[0], "password": GIVEN[2]});
        let changed = member
            .send(Method::PUT, "/me/password", Some(body), &[])
            .await;
        self.hear(changed).expect(204);
        self.hold_capabilities(&client, &member).await;
        self.err(&client, &member).await;
    }

    /// Uses the secrets that grant something to everyone who knows them: a device token, the address of a calendar, an
    /// upload address.
    async fn hold_capabilities(&mut self, client: &Client, member: &Client) {
        let body = json!({"platform": "ios", "push_token": GIVEN[8]});
        member.post("/devices", body.clone()).await.expect(201);
        let body = json!({"platform": "canary", "push_token": GIVEN[8]});
        let answer = member.post("/devices", body).await;
        self.hear(answer).expect(422);
        let feed = member.act("/me/calendar-feed").await.expect(201);
        let url = feed.json["url"].as_str().expect("an address");
        let (_, secret) = url.split_once("/calendar-feeds/").expect("a path");
        let path = format!("/calendar-feeds/{secret}");
        client.get(&path).await.expect(200);
        self.secrets
            .push(secret.trim_end_matches(".ics").to_owned());
        let me = member.get("/me").await.expect(200);
        let upload = announce(member, "user", &me.id(), b"no picture").await;
        let (path, _) = way(&upload);
        let (_, signature) = path.split_once("signature=").expect("signed");
        let signature = signature.split('&').next().unwrap_or(signature);
        self.secrets.push(signature.to_owned());
        let answer = client.send(Method::PUT, &path, Some(json!({})), &[]).await;
        self.hear(answer).expect(403);
        // Everyone who knows an unsubscribe link can turn off mail with it, so its token is a secret too.
        let path = format!("/notifications/unsubscribe?token={}", GIVEN[9]);
        let answer = client.act(&path).await;
        self.hear(answer).expect(404);
        let headers = [
            ("svix-id", "msg_1"),
            ("svix-timestamp", "1"),
            ("svix-signature", GIVEN[10]),
        ];
        let answer = client
            .send(Method::POST, "/webhooks/resend", Some(json!({})), &headers)
            .await;
        self.hear(answer).expect(400);
    }

    /// Sends requests with secrets that fail in various ways.
    async fn err(&mut self, client: &Client, member: &Client) {
        let torn = format!(
            r#"{{"email": "kana@example.org", "password": "{}"#,
            GIVEN[1]
        );
        let media = "application/json";
        let answer = client
            .send_text(
                Method::POST,
                "/auth/sign-in",
                Some((torn.as_str(), media)),
                &[],
            )
            .await;
        self.hear(answer).expect(400);
        let wrong = json!({"email": [GIVEN[1]], "password": {GIVEN[1]: GIVEN[1]}});
        let answer = client.post("/auth/sign-in", wrong).await;
        self.hear(answer).expect(422);
        for value in [GIVEN[5].to_owned(), format!("eyJhbGciOi.{}.x", GIVEN[5])] {
            let answer = client.with_token(value).get("/me").await;
            self.hear(answer).expect(401);
        }
        let path = format!("/me?access_token={0}&token={0}", GIVEN[6]);
        let answer = member.get(&path).await;
        self.hear(answer);
        // Stripe is unreachable; the error must not contain the API key.
        let key = Uuid::now_v7().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let answer = member
            .send(
                Method::POST,
                "/payment-methods/setups",
                Some(json!({})),
                &headers,
            )
            .await;
        self.hear(answer).expect(503);
        let headers = [("stripe-signature", GIVEN[4])];
        let answer = client
            .send(Method::POST, "/webhooks/stripe", Some(json!({})), &headers)
            .await;
        let answer = self.hear(answer);
        assert!(answer.status.is_client_error(), "{}", answer.text);
    }
}

#[tokio::test]
async fn abuse_20_no_secret_is_in_the_log_or_in_a_refusal() {
    let database = Database::new(Content::Reference).await;
    let mut watched = Watched::start(&database).await;
    watched.live().await;
    watched.program.signal("TERM");
    watched.program.ended().await;
    let log = watched.program.text();
    let _ = std::fs::remove_dir_all(&watched.mails);
    // The negative control: the server did log everything in detail.
    let levels = |level: &str| log.lines().filter(|line| is_of(line, level)).count();
    assert!(levels("TRACE") + levels("DEBUG") > 30, "{log}");
    assert!(log.contains("/payment-methods/setups"), "{log}");
    assert!(watched.secrets.len() > GIVEN.len() + 6);
    for secret in &watched.secrets {
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(secret.as_str()))
            .collect();
        assert_eq!(lines, Vec::<&str>::new(), "{secret}");
        assert!(!watched.said.contains(secret.as_str()), "{}", watched.said);
    }
}

fn is_of(line: &str, level: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == level)
}
