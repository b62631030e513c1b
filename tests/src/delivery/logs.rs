//! What must not be in the log or in the texts of errors, whatever a service answers.

use super::{
    push::{push, pusher},
    services::{PATIENCE, mail, resend, sendgrid},
};
use crate::mail::Server;
use crate::support::{Database, database::Content, program::Program};
use delivery::{
    mail::{Encryption, FileMailer, LogMailer, Mailer, SmtpMailer},
    push::{LogPusher, Pusher},
};
use fake_messengers::{
    Config,
    fault::{Fault, Kind, Service},
    server::Running,
};
use serde_json::json;
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::subscriber::set_default;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("log")).into_owned()
    }

    fn with(&self, filter: EnvFilter) -> tracing::subscriber::DefaultGuard {
        let log = tracing_subscriber::fmt().with_env_filter(filter);
        set_default(log.with_ansi(false).with_writer(self.clone()).finish())
    }
}

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

const KEYS: [&str; 2] = ["re_canary-0f6a3c1b", "SG.canary-0f6a3c1b"];
/// Texts that must not appear: addresses, device tokens, access tokens, keys, assertions, contents of messages.
const CANARIES: [&str; 9] = [
    "canary",
    "ana.kanarienvogel",
    "ya29.",
    "PRIVATE KEY",
    "assertion",
    "eyJhbGci",
    "Bearer",
    "Doors open",
    "Grüezi",
];

/// Causes all possible failures of messages over every service. Returns the texts of all errors.
async fn misfortunes() -> Vec<String> {
    let fake = Running::start(Config {
        api_keys: KEYS.map(str::to_owned).to_vec(),
        ..Config::default()
    });
    let fake = fake.await.expect("a fake");
    let (resend, sendgrid) = (resend(&fake.url, KEYS[0]), sendgrid(&fake.url, KEYS[1]));
    let pusher = pusher(&fake);
    let services = [
        Service::Resend,
        Service::Sendgrid,
        Service::Fcm,
        Service::Token,
    ];
    let mut said = Vec::new();
    let kinds = [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 200]
        .map(|status| Some(Kind::Echo { status }));
    for kind in [None, Some(Kind::Drop), Some(Kind::Hang { seconds: 60 })]
        .into_iter()
        .chain(kinds)
    {
        for service in services {
            if let Some(kind) = &kind {
                // The endpoint for access tokens is retried several times.
                let times = if service == Service::Token { 5 } else { 2 };
                fake.fake
                    .add_fault(Fault::new(service, kind.clone()).times(times));
                fake.fake.revoke();
            }
        }
        for mailer in [&resend as &dyn Mailer, &sendgrid] {
            let done = mailer.send(mail("ana.kanarienvogel@example.org")).await;
            said.extend(done.err().map(|failure| failure.to_string()));
        }
        let devices: &[&str] = match kind {
            None => &["device-canary", "gone-canary", "bad-canary"],
            Some(_) => &["device-canary"],
        };
        for token in devices {
            let done = pusher.send(push(token)).await;
            said.extend(done.err().map(|failure| failure.to_string()));
        }
        fake.fake.clear_faults();
    }
    let folder = std::env::temp_dir().join(format!("culturepass-no-mail-{}", uuid::Uuid::now_v7()));
    let file = FileMailer::new(folder.clone()).expect("a folder");
    std::fs::remove_dir_all(&folder).expect("a folder");
    let gone = file.send(mail("ana.kanarienvogel@example.org")).await;
    said.push(gone.expect_err("no folder").to_string());
    said.extend(by_smtp().await);
    let mut quiet = mail("ana.kanarienvogel@example.org");
    quiet.subject = "Confirm your address".to_owned();
    let _ = LogMailer.send(quiet).await;
    let _ = LogPusher.send(push("device-canary")).await;
    said
}

/// The log of mails that a mail server refuses, defers, and never answers, and of signing in to it with a wrong and
/// with the right password.
async fn by_smtp() -> Vec<String> {
    let address = "ana.kanarienvogel@example.org";
    let refuses = Server::start(&["--tls", "none", "--refuse", address]);
    let later = Server::start(&["--tls", "none", "--fail", "1"]);
    let hangs = Server::start(&["--tls", "none", "--hang"]);
    let guarded = Server::start(&["--tls", "starttls", "--password", "canary-good"]);
    let login = |password: &str| Some(("culturepass".to_owned(), password.to_owned().into()));
    let mut late = hangs.config(Encryption::None);
    late.timeout = PATIENCE;
    let mut wrong = guarded.config(Encryption::Starttls);
    wrong.login = login("canary-wrong");
    let mut good = guarded.config(Encryption::Starttls);
    good.login = login("canary-good");
    let mut said = Vec::new();
    for config in [
        refuses.config(Encryption::None),
        later.config(Encryption::None),
        late,
        wrong,
    ] {
        let mailer = SmtpMailer::new(config).expect("a mailer");
        let failure = mailer.send(mail(address)).await.expect_err("it fails");
        said.push(failure.to_string());
    }
    let mailer = SmtpMailer::new(good).expect("a mailer");
    mailer.send(mail(address)).await.expect("taken");
    said
}

/// On one thread, so that the subscriber of this test sees everything.
#[tokio::test]
async fn no12_neither_log_nor_error_tells_whom_or_what() {
    let captured = Captured::default();
    let said = {
        let _guard = captured.with(server::log::filter("trace").expect("a filter"));
        misfortunes().await
    };
    let log = captured.text();
    assert!(
        log.contains("mail is not configured"),
        "the log is captured"
    );
    assert!(said.len() > 30, "{said:?}");
    for canary in CANARIES {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(canary)).collect();
        assert_eq!(lines, Vec::<&str>::new(), "{canary}");
        let texts: Vec<&String> = said.iter().filter(|text| text.contains(canary)).collect();
        assert_eq!(texts, Vec::<&String>::new(), "{canary}");
    }
    for text in &said {
        assert!(
            !text.contains(['<', '{', '\n']),
            "an error contains text of the service: {text}"
        );
    }
}

/// The guard is needed: the library that fetches access tokens logs the answers.
#[tokio::test]
async fn no12_without_the_filter_it_would_be_there() {
    let captured = Captured::default();
    {
        let _guard = captured.with(EnvFilter::new("trace"));
        let fake = Running::start(Config::default()).await.expect("a fake");
        fake.fake
            .add_fault(Fault::new(Service::Token, Kind::Echo { status: 400 }).times(9));
        let _ = pusher(&fake).send(push("device")).await;
    }
    assert!(captured.text().contains("assertion"), "{}", captured.text());
}

/// The program itself: a member signs up while the service fails, with the most detailed log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no12_the_program_tells_nothing_of_mail_in_its_log() {
    let fake = Running::start(Config {
        api_keys: vec![KEYS[0].to_owned()],
        ..Config::default()
    });
    let fake = fake.await.expect("a fake");
    fake.fake
        .add_fault(Fault::new(Service::Resend, Kind::Echo { status: 500 }));
    let database = Database::new(Content::Reference).await;
    let mut program = Program::serve(&database, |command| {
        command
            .arg("--with-worker")
            .env_remove("SMTP_HOST")
            .env("CULTUREPASS_ENV", "development")
            .env("LOG", "debug,delivery=trace,hyper_util=trace,reqwest=trace")
            .env("RESEND_API_KEY", KEYS[0])
            .env("RESEND_URL", &fake.url)
            .env("DEV_OUTBOX_URL", &fake.url);
    })
    .await;
    let wish =
        json!({ "email": "ana.kanarienvogel@example.org", "handle": "ana", "display_name": "Ana" });
    program.client.post("/auth/sign-up", wish).await.expect(202);
    let mut sent = Vec::new();
    for _ in 0..600 {
        sent = fake.fake.mail();
        if !sent.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = sent.first().expect("mail, at the second attempt").fields["text"].to_string();
    let token = text.split_once("#token=").expect("a link").1;
    let token: String = token
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    assert!(token.len() > 20, "{token}");

    // In development, mails can be read at the API.
    let page = program.client.get("/dev/outbox").await.expect(200);
    assert!(page.text.contains("ana.kanarienvogel@example.org") && page.text.contains(&token));

    program.signal("TERM");
    program.ended().await;
    let log = program.text();
    assert!(log.contains("Resend answered 500"), "{log}");
    for canary in ["canary-0f6a3c1b", "ana.kanarienvogel", token.as_str()] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(canary)).collect();
        assert_eq!(lines, Vec::<&str>::new(), "{canary}");
    }
}
