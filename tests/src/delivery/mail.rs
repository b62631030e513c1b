//! One contract for all mailers, and their differences.

use super::services::{self, Arrived, End, Service, mail, resend, sendgrid};
use delivery::mail::{Mail, Mailer, Undelivered};
use fake_messengers::{
    Config,
    fault::{Fault, Kind},
    server::Running,
};
use futures_util::future::join_all;
use std::{collections::BTreeSet, time::Duration};

fn long_url() -> url::Url {
    let url = format!(
        "https://app.example.org/unsubscribe/{}",
        "abcdefgh".repeat(18)
    );
    assert_eq!(url.len(), 180);
    url.parse().expect("a URL")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no10_every_service_keeps_the_contract() {
    for service in services::all().await {
        let name = service.name;
        let mut sent = 0;

        // The mail arrives unchanged.
        let mut message = mail("ana@example.org");
        service.mailer.send(message.clone()).await.expect(name);
        sent += 1;
        let first = service.arrived(sent).pop().expect("one");
        assert_eq!(
            (first.to.as_str(), &first.subject),
            ("ana@example.org", &message.subject),
            "{name}"
        );
        assert_eq!(first.text.trim_end(), message.text.trim_end(), "{name}");
        if name != "file" {
            let html = message.html.as_deref().map(str::trim_end);
            assert_eq!(first.html.as_deref().map(str::trim_end), html, "{name}");
            assert_eq!(
                first.header("auto-submitted"),
                Some("auto-generated"),
                "{name}"
            );
        }
        assert_eq!(first.header("list-unsubscribe"), None, "{name}");
        let seen = [first];

        // With a link to unsubscribe, which stays intact however long it is.
        message = mail("ben@example.org");
        message.unsubscribe = Some(long_url());
        service.mailer.send(message).await.expect(name);
        sent += 1;
        let second = last(&service, sent, &seen);
        assert_eq!(
            second.header("list-unsubscribe"),
            Some(format!("<{}>", long_url()).as_str()),
            "{name}"
        );
        assert_eq!(
            second.header("list-unsubscribe-post"),
            Some("List-Unsubscribe=One-Click"),
            "{name}"
        );

        // A mail to an invalid address is never sent.
        for to in [
            "ana",
            "",
            "a b@example.org",
            "ana@example.org, x@evil.test",
            "ana@example.org\r\nBcc: x@evil.test",
        ] {
            let refused = service.mailer.send(mail(to)).await;
            let Err(Undelivered::Never(why)) = refused else {
                panic!("{name}: {to:?}: {refused:?}");
            };
            assert!(
                !why.contains("evil") && !why.contains("ana"),
                "{name}: {why}"
            );
        }

        // Concurrent mails all arrive.
        let many = (0..20).map(|n| service.mailer.send(mail(&format!("member{n}@example.org"))));
        for done in join_all(many).await {
            done.expect(name);
        }
        sent += 20;
        let arrived = match &service.end {
            End::Smtp(_) => service.arrived(20),
            _ => service.arrived(sent).split_off(sent - 20),
        };
        let to: BTreeSet<&str> = arrived.iter().map(|one| one.to.as_str()).collect();
        assert_eq!(to.len(), 20, "{name}: {to:?}");
    }
}

type Headers = &'static [(&'static str, &'static str)];
type Expected = fn(&Undelivered) -> bool;

/// The mail server returns each message once, the other services all that they have.
fn last(service: &Service, sent: usize, seen: &[Arrived]) -> Arrived {
    match &service.end {
        End::Smtp(_) => service.arrived(sent - seen.len()).pop().expect("one"),
        _ => service.arrived(sent).pop().expect("one"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_70_texts_begin_no_header_and_fill_no_template() {
    for service in services::all().await {
        let mut message = mail("ana@example.org");
        message.subject =
            "Hello\r\nBcc: x@evil.test\r\n\r\n{{password}} -secret- %recipient%".to_owned();
        message.text = "{{{ user.password }}} {% include '/etc/passwd' %} <script>".to_owned();
        service
            .mailer
            .send(message.clone())
            .await
            .expect(service.name);
        let arrived = service.arrived(1).remove(0);
        let names: Vec<&String> = arrived.headers.iter().map(|(name, _)| name).collect();
        assert!(
            !names.contains(&&"bcc".to_owned()),
            "{}: {names:?}",
            service.name
        );
        assert!(!arrived.subject.contains(['\r', '\n']) || service.name == "smtp");
        assert!(
            arrived
                .subject
                .contains("{{password}} -secret- %recipient%"),
            "{arrived:?}"
        );
        assert_eq!(arrived.text.trim_end(), message.text, "{}", service.name);
        if let End::Fake(running, _) = &service.end {
            let fields = running.fake.mail()[0].fields.to_string();
            for word in ["template", "substitution", "dynamic"] {
                assert!(!fields.contains(&format!("\"{word}")), "{fields}");
            }
        }
    }
}

/// Ids from a service are stored and shown, so they must be valid ids or are dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_70_what_a_service_calls_a_message_is_a_name() {
    for service in services::all().await {
        let End::Fake(running, kind) = &service.end else {
            continue;
        };
        for evil in ["<script>alert(1)</script>", "a b", "", &"x".repeat(300)] {
            let body = serde_json::json!({ "id": evil }).to_string();
            let status = if service.name == "resend" { 200 } else { 202 };
            running.fake.add_fault(Fault::answer(
                *kind,
                status,
                &[("x-message-id", evil)],
                &body,
            ));
            let done = service.mailer.send(mail("ana@example.org")).await;
            assert_eq!(done, Ok(None), "{}: {evil}", service.name);
        }
    }
}

/// A mail is sent again after a lost answer: with a key it arrives once, without one twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no10_a_lost_answer_and_what_comes_of_it() {
    for service in services::all().await {
        let End::Fake(running, kind) = &service.end else {
            continue;
        };
        let late = Kind::Hang { seconds: 60 };
        for fault in [Fault::new(*kind, Kind::Drop), Fault::new(*kind, late)] {
            let before = running.fake.mail().len();
            running.fake.add_fault(fault.after_accepting());
            let message = mail("ana@example.org");
            let lost = service.mailer.send(message.clone()).await;
            assert!(matches!(lost, Err(Undelivered::NotNow(_))), "{lost:?}");
            let named = service.mailer.send(message.clone()).await.expect("taken");
            let now = running.fake.mail();
            assert_eq!(named.as_deref(), now.last().map(|sent| sent.id.as_str()));
            let copies = if service.name == "resend" { 1 } else { 2 };
            assert_eq!(now.len() - before, copies, "{}", service.name);
            for sent in &now[before..] {
                assert_eq!(sent.fields["delivery_id"], message.id.to_string());
            }
            // With another text by now: with a key, the first mail has been sent all the same.
            let other = Mail {
                text: format!("{} And more.", message.text),
                ..message
            };
            let again = service.mailer.send(other).await.expect("taken");
            let after = running.fake.mail();
            match service.name {
                "resend" => assert_eq!((again, after.len() - before), (None, 1)),
                _ => assert_eq!(after.len() - before, copies + 1, "{}", service.name),
            }
        }
    }
    // SendGrid stores that id for years and nothing else; links are not rewritten.
    let fake = Running::start(Config::default()).await.expect("a fake");
    let message = mail("ana@example.org");
    sendgrid(&fake.url, "SG.fake")
        .send(message.clone())
        .await
        .expect("taken");
    let fields = &fake.fake.mail()[0].fields;
    assert_eq!(
        fields["custom_args"],
        serde_json::json!({ "delivery_id": message.id })
    );
    assert_eq!(
        fields["tracking_settings"]["click_tracking"]["enable"],
        false
    );
    assert_eq!(
        (fields["from"].as_str(), fields["from_name"].as_str()),
        (
            Some("no-reply@culturepass.example"),
            Some("Kulturpass Zürich")
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no10_a_service_that_cannot_is_told_from_a_message_that_must_not() {
    let page = "<html><body>502 Bad Gateway</body></html>";
    const DATE: Headers = &[("retry-after", "Thu, 31 Dec 2099 00:00:00 GMT")];
    let never: Expected = |failure| matches!(failure, Undelivered::Never(_));
    let later: Expected = |failure| matches!(failure, Undelivered::NotNow(_));
    let paused: Expected = |failure| matches!(failure, Undelivered::Paused { wait, .. } if *wait == Duration::from_secs(120));
    let day: Expected = |failure| matches!(failure, Undelivered::Paused { wait, .. } if *wait == Duration::from_secs(24 * 60 * 60));
    for service in services::all().await {
        let End::Fake(running, kind) = &service.end else {
            continue;
        };
        let cases: [(u16, Headers, &str, Expected); 8] = [
            (400, &[], "{}", never),
            (413, &[], page, never),
            (429, &[("retry-after", "120")], page, paused),
            (503, &[("retry-after", "120")], page, paused),
            (503, DATE, page, day),
            (503, &[], page, later),
            (500, &[], "{}", later),
            (502, &[], page, later),
        ];
        for (status, headers, body, expected) in cases {
            running
                .fake
                .add_fault(Fault::answer(*kind, status, headers, body));
            let failure = service
                .mailer
                .send(mail("ana@example.org"))
                .await
                .expect_err("a fault");
            assert!(expected(&failure), "{} {status}: {failure:?}", service.name);
        }
        assert_eq!(running.fake.mail().len(), 0);
        // An invalid key affects all messages, so no message is given up.
        let url = &running.url;
        let wrong: Box<dyn Mailer> = match service.name {
            "resend" => Box::new(resend(url, "re_wrong")),
            _ => Box::new(sendgrid(url, "SG.wrong")),
        };
        let failure = wrong
            .send(mail("ana@example.org"))
            .await
            .expect_err("refused");
        assert!(matches!(failure, Undelivered::Paused { .. }), "{failure:?}");
        // The service is down.
        let nobody: Box<dyn Mailer> = match service.name {
            "resend" => Box::new(resend("http://127.0.0.1:9", "re_fake")),
            _ => Box::new(sendgrid("http://127.0.0.1:9", "SG.fake")),
        };
        let failure = nobody
            .send(mail("ana@example.org"))
            .await
            .expect_err("nobody");
        assert!(later(&failure), "{failure:?}");
    }
}
