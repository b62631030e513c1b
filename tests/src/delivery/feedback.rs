//! Webhooks of mail services, and forged ones.

use super::services::{mail, resend, sendgrid};
use chrono::{DateTime, TimeDelta, Utc};
use delivery::{
    mail::Mailer,
    webhooks::{Feedback, Keys, Kind, Refused, ResendKey, SendgridKey},
};
use fake_messengers::{Config, Webhook, feedback, server::Running};

const SECRET: &str = "whsec_ZmFrZS1tZXNzZW5nZXJzLXNlY3JldA==";
const FORMER: &str = "whsec_Zm9ybWVyLW1lc3NlbmdlcnMtc2VjcmV0";
const BODY: &[u8] = br#"{"type":"email.bounced","created_at":"2026-11-22T23:41:12.126Z","data":{
    "email_id":"56761188-7520-42d8-8898-ff6fc54ce618","to":["ana@example.org"],"bounce":{"type":"Permanent"}}}"#;
const EVENTS: &[u8] =
    br#"[{"email":"ana@example.org","timestamp":1513299569,"event":"bounce","type":"bounce",
    "sg_event_id":"e1","sg_message_id":"m1.recvd-x","delivery_id":"ours"}]"#;

type Headers = Vec<(String, String)>;

fn resend_key(secret: &str) -> Keys {
    let key = ResendKey::new(&secret.to_owned().into());
    Keys {
        resend: Some(key.expect("a secret")),
        sendgrid: None,
    }
}

/// Verifies a request of either service.
fn open(
    keys: &Keys,
    headers: &Headers,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Vec<Feedback>, Refused> {
    let header = |name: &str| {
        let mut found = headers.iter().filter(|(other, _)| other == name);
        found.next().map(|(_, value)| value.as_str())
    };
    match keys.resend.is_some() {
        true => keys.resend(&header, body, now),
        false => keys.sendgrid(&header, body, now),
    }
}

fn changed(headers: &Headers, name: &str, value: &str) -> Headers {
    let headers = headers.iter().cloned();
    headers
        .map(|(other, old)| match other == name {
            true => (other, value.to_owned()),
            false => (other, old),
        })
        .collect()
}

/// Tests the time window in both directions, missing headers, and altered requests.
fn held_to_its_signature(keys: &Keys, sign: &dyn Fn(i64) -> Headers, body: &[u8]) {
    let now = Utc::now();
    let at = |seconds: i64| (now + TimeDelta::seconds(seconds)).timestamp();
    let told = open(keys, &sign(at(0)), body, now).expect("signed");
    assert_eq!(
        (told.len(), told[0].kind),
        (1, Kind::Bounced { hard: true })
    );
    // A replay within the window is accepted; a receiver that stores ids recognizes it.
    assert_eq!(open(keys, &sign(at(-299)), body, now), Ok(told));
    assert!(open(keys, &sign(at(299)), body, now).is_ok());
    for seconds in [-301, 301, -100_000_000] {
        let told = open(keys, &sign(at(seconds)), body, now);
        assert_eq!(told, Err(Refused::OutOfTime), "{seconds}");
    }
    let signed = sign(at(0));
    // The signature covers the exact bytes: the same JSON with other blanks is refused.
    let spaced = [body, b" "].concat();
    assert_eq!(open(keys, &signed, &spaced, now), Err(Refused::NoMatch));
    assert_eq!(open(keys, &signed, b"", now), Err(Refused::NoMatch));
    for (name, _) in &signed {
        let missing: Headers = signed
            .iter()
            .filter(|(other, _)| other != name)
            .cloned()
            .collect();
        assert_eq!(
            open(keys, &missing, body, now),
            Err(Refused::Malformed),
            "{name}"
        );
        for value in ["", "x", "v1,", "v1,AAAA", "\u{fc}", "-1"] {
            assert!(
                open(keys, &changed(&signed, name, value), body, now).is_err(),
                "{name}: {value}"
            );
        }
    }
    // An old signature with a new time.
    let (time, _) = signed
        .iter()
        .find(|(name, _)| name.ends_with("timestamp"))
        .expect("a time");
    let renewed = changed(&sign(at(-301)), time, &at(0).to_string());
    assert_eq!(open(keys, &renewed, body, now), Err(Refused::NoMatch));
    let none = Keys::default();
    assert_eq!(none.resend(&|_| None, body, now), Err(Refused::NoKey));
    assert_eq!(none.sendgrid(&|_| None, body, now), Err(Refused::NoKey));
}

#[test]
fn no11_what_resend_has_not_signed_is_not_read() {
    let sign = |secrets: &[&str], at: i64| {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        feedback::svix(&secrets, "msg_1", at, BODY).expect("signed")
    };
    let keys = resend_key(SECRET);
    held_to_its_signature(&keys, &|at| sign(&[SECRET], at), BODY);

    let (now, time) = (Utc::now(), Utc::now().timestamp());
    // While the secret is being changed, there is a signature with each.
    for secrets in [&[FORMER, SECRET][..], &[SECRET, FORMER]] {
        assert!(
            open(&keys, &sign(secrets, time), BODY, now).is_ok(),
            "{secrets:?}"
        );
    }
    assert_eq!(
        open(&keys, &sign(&[FORMER], time), BODY, now),
        Err(Refused::NoMatch)
    );
    // Only this version is accepted, and the number of signatures that are checked is limited.
    let signed = sign(&[SECRET], time);
    let signature = signed[2].1.clone();
    let other = changed(&signed, "svix-signature", &signature.replace("v1,", "v1a,"));
    assert_eq!(open(&keys, &other, BODY, now), Err(Refused::NoMatch));
    // A value that is not a digest counts as well as a digest that differs.
    for other in [
        "AAAA".to_owned(),
        "!".to_owned(),
        format!("{}=", "A".repeat(43)),
    ] {
        let most = |count: usize| format!("{}{signature}", format!("v1,{other} ").repeat(count));
        let enough = changed(&signed, "svix-signature", &most(15));
        assert!(open(&keys, &enough, BODY, now).is_ok(), "{other}");
        let too_many = changed(&signed, "svix-signature", &most(16));
        assert_eq!(
            open(&keys, &too_many, BODY, now),
            Err(Refused::Malformed),
            "{other}"
        );
    }
    // The signature covers the id, so a copy can't have another one.
    let renamed = changed(&signed, "svix-id", "msg_2");
    assert_eq!(open(&keys, &renamed, BODY, now), Err(Refused::NoMatch));
    for secret in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64!"] {
        assert!(
            ResendKey::new(&secret.to_owned().into()).is_err(),
            "{secret}"
        );
    }
    assert!(!format!("{keys:?}").contains("ZmFrZS"), "{keys:?}");
}

#[tokio::test]
async fn no11_what_sendgrid_has_not_signed_is_not_read() {
    let one = Running::start(Config::default()).await.expect("a fake");
    let other = Running::start(Config::default()).await.expect("a fake");
    let keys = |running: &Running| {
        let key = running.fake.keys.sendgrid_public().expect("a key");
        Keys {
            resend: None,
            sendgrid: Some(SendgridKey::new(&key).expect("a key")),
        }
    };
    let sign = |at: i64| feedback::twilio(&one.fake, at, EVENTS).expect("signed");
    held_to_its_signature(&keys(&one), &sign, EVENTS);
    let (now, time) = (Utc::now(), Utc::now().timestamp());
    assert_eq!(
        open(&keys(&other), &sign(time), EVENTS, now),
        Err(Refused::NoMatch)
    );
    for key in ["", "MFkw", "not base64!", &"A".repeat(124)] {
        assert!(SendgridKey::new(key).is_err(), "{key}");
    }
}

/// From the message to the event about it: both contain the id that we gave it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no11_what_is_told_leads_to_the_message() {
    let webhook = |url: &str| {
        Some(Webhook {
            url: url.to_owned(),
            secrets: vec![SECRET.to_owned()],
        })
    };
    for (name, hard) in [("bounced", true), ("blocked", false)] {
        for by_resend in [true, false] {
            let (mut first, mut second) = (webhook("http://127.0.0.1:9/"), None);
            if !by_resend {
                (first, second) = (None, webhook("http://127.0.0.1:9/"));
            }
            let fake = Running::start(Config {
                resend_webhook: first,
                sendgrid_webhook: second,
                ..Config::default()
            });
            let fake = fake.await.expect("a fake");
            let message = mail(&format!("{name}@example.org"));
            let sent = match by_resend {
                true => resend(&fake.url, "re_fake").send(message.clone()).await,
                false => sendgrid(&fake.url, "SG.fake").send(message.clone()).await,
            };
            let provider_id = sent.expect("taken").expect("a name");
            let posts = due(&fake).await;
            let keys = match by_resend {
                true => resend_key(SECRET),
                false => Keys {
                    resend: None,
                    sendgrid: SendgridKey::new(&fake.fake.keys.sendgrid_public().expect("a key"))
                        .ok(),
                },
            };
            let told = open(&keys, &posts[0].headers, &posts[0].body, Utc::now()).expect("signed");
            assert_eq!(told.len(), 1);
            assert_eq!(told[0].message_id, message.id.to_string());
            assert_eq!(told[0].provider_id.as_deref(), Some(provider_id.as_str()));
            assert_eq!(
                (told[0].kind, &told[0].address),
                (Kind::Bounced { hard }, &message.to)
            );
            assert!(!format!("{told:?}").contains("example.org"), "{told:?}");
        }
    }
}

/// The fake's own sender fails at the closed port, and retries.
async fn due(running: &Running) -> Vec<feedback::Post> {
    for _ in 0..500 {
        running.fake.advance(1);
        let due = running.fake.due().expect("signed");
        if !due.is_empty() {
            return due;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the fake sends no event");
}
