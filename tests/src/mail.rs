//! Mail that leaves, to a real server program: `tests/mail/server.py`.

use crate::support::{Database, database::Content, program::Program, root};
use delivery::mail::{Encryption, Mail, Mailer, SmtpConfig, SmtpMailer, Undelivered};
use futures_util::future::join_all;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use uuid::Uuid;

pub struct Server {
    port: u16,
    child: Child,
    /// It ends when this is closed.
    _stdin: Option<ChildStdin>,
    told: Receiver<Value>,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let mut child = Command::new(root().join("script/mail-server"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script/mail-server starts");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines
            .next()
            .expect("a port: see what script/mail-server said");
        let port = port.expect("text").parse().expect("a port");
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Self {
            port,
            child,
            _stdin: stdin,
            told,
        }
    }

    pub fn config(&self, encryption: Encryption) -> SmtpConfig {
        SmtpConfig {
            host: "localhost".to_owned(),
            port: Some(self.port),
            encryption,
            login: None,
            from: "Kulturpass Zürich <no-reply@culturepass.example>"
                .parse()
                .expect("an address"),
            hello: Some("app.culturepass.example".to_owned()),
            timeout: Duration::from_secs(20),
            connections: 4,
            authorities: std::fs::read(root().join("tests/mail/authority.pem"))
                .expect("a certificate"),
        }
    }

    pub fn received(&self) -> Value {
        self.told
            .recv_timeout(Duration::from_secs(60))
            .expect("a message")
    }

    /// Nothing has arrived besides what was asked for.
    pub fn is_quiet(&self) -> bool {
        self.told.try_recv().is_err()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mail(to: &str) -> Mail {
    Mail {
        id: Uuid::now_v7(),
        to: to.to_owned(),
        subject: "Grüezi, 你好 – willkommen".to_owned(),
        text: "Grüezi Ana,\n\n.ein Punkt am Anfang\nhttps://app.test/verify#token=abc_-123\n"
            .to_owned(),
        html: None,
        unsubscribe: None,
    }
}

async fn send(config: SmtpConfig, mail: Mail) -> Result<Option<String>, Undelivered> {
    SmtpMailer::new(config).expect("a mailer").send(mail).await
}

fn header<'a>(message: &'a Value, name: &str) -> &'a str {
    let headers = message["headers"].as_array().expect("headers").iter();
    let mut found = headers.filter(|pair| {
        pair[0]
            .as_str()
            .is_some_and(|n| n.eq_ignore_ascii_case(name))
    });
    let value = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {message}"));
    assert!(found.next().is_none(), "two of {name}");
    value[1].as_str().expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_as_it_was_meant() {
    let server = Server::start(&["--tls", "starttls", "--password", "secret"]);
    let mut config = server.config(Encryption::Starttls);
    config.login = Some(("culturepass".to_owned(), "secret".into()));
    let mail = mail("ana@example.org");
    send(config, mail.clone()).await.expect("sent");
    let message = server.received();
    assert_eq!(message["from"], "no-reply@culturepass.example");
    assert_eq!(message["to"], serde_json::json!(["ana@example.org"]));
    assert_eq!(message["hello"], "app.culturepass.example");
    assert_eq!(
        (&message["encrypted"], &message["user"]),
        (&true.into(), &"culturepass".into())
    );
    assert_eq!(message["defects"], serde_json::json!([]));
    assert_eq!(header(&message, "Subject"), mail.subject);
    assert_eq!(
        header(&message, "From"),
        "Kulturpass Zürich <no-reply@culturepass.example>"
    );
    assert_eq!(header(&message, "To"), "ana@example.org");
    assert_eq!(
        header(&message, "Message-ID"),
        format!("<{}@culturepass.example>", mail.id)
    );
    assert_eq!(header(&message, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(&message, "MIME-Version"), "1.0");
    assert!(header(&message, "Content-Type").starts_with("text/plain; charset=\"utf-8\""));
    let sent = chrono::DateTime::parse_from_rfc2822(header(&message, "Date")).expect("a date");
    assert!((chrono::Utc::now() - sent.to_utc()).num_seconds().abs() < 120);
    let text = message["text"]
        .as_str()
        .expect("a text")
        .replace("\r\n", "\n");
    assert_eq!(text.trim_end(), mail.text.trim_end());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encryption_from_the_first_byte_and_none_at_all() {
    for (option, encryption) in [
        ("implicit", Encryption::Implicit),
        ("none", Encryption::None),
    ] {
        let server = Server::start(&["--tls", option]);
        send(server.config(encryption), mail("ana@example.org"))
            .await
            .expect("sent");
        assert_eq!(
            server.received()["encrypted"],
            encryption == Encryption::Implicit
        );
    }
}

/// Rather no mail than one that can be read on the way, or that goes to somebody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_over_a_connection_that_is_not_what_it_should_be() {
    let plain = Server::start(&["--tls", "none"]);
    let encrypted = Server::start(&["--tls", "starttls"]);
    let stranger = SmtpConfig {
        authorities: Vec::new(),
        ..encrypted.config(Encryption::Starttls)
    };
    let other = SmtpConfig {
        host: "127.0.0.2".to_owned(),
        ..encrypted.config(Encryption::Starttls)
    };
    for config in [
        plain.config(Encryption::Starttls),
        plain.config(Encryption::Implicit),
        encrypted.config(Encryption::None),
        stranger,
        other,
    ] {
        let host = config.host.clone();
        let sent = send(config, mail("ana@example.org")).await;
        assert!(
            matches!(sent, Err(Undelivered::NotNow(_))),
            "{host}: {sent:?}"
        );
    }
    for server in [plain, encrypted] {
        assert!(server.told.try_recv().is_err(), "something arrived");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_does_not_take_is_told_apart() {
    let address = "gone.away@example.org";
    let server = Server::start(&["--tls", "none", "--refuse", address, "--fail", "1"]);
    let config = || server.config(Encryption::None);
    let never = send(config(), mail(address)).await.expect_err("refused");
    assert!(matches!(never, Undelivered::Never(_)), "{never:?}");
    assert!(
        !never.to_string().contains("gone.away"),
        "the address is not repeated: {never}"
    );
    let later = send(config(), mail("ana@example.org")).await;
    assert_eq!(
        later,
        Err(Undelivered::NotNow(
            "the mail server answered 451".to_owned()
        ))
    );
    send(config(), mail("ana@example.org"))
        .await
        .expect("sent the second time");
    server.received();

    let guarded = Server::start(&["--tls", "starttls", "--password", "secret"]);
    let mut config = guarded.config(Encryption::Starttls);
    config.login = Some(("culturepass".to_owned(), "another".into()));
    let wrong = send(config, mail("ana@example.org")).await;
    assert_eq!(
        wrong,
        Err(Undelivered::NotNow(
            "the mail server answered 535".to_owned()
        ))
    );

    let hangs = Server::start(&["--tls", "none", "--hang"]);
    let mut config = hangs.config(Encryption::None);
    config.timeout = Duration::from_millis(500);
    let late = send(config, mail("ana@example.org")).await;
    assert_eq!(
        late,
        Err(Undelivered::NotNow(
            "the mail server did not answer in time".to_owned()
        ))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_members_becomes_a_header_or_a_receiver() {
    let server = Server::start(&["--tls", "none"]);
    let mailer = SmtpMailer::new(server.config(Encryption::None)).expect("a mailer");
    for to in [
        "ana@example.org\r\nRCPT TO:<x@evil.test>",
        "ana@example.org, x@evil.test",
        "<ana@example.org",
        "ana",
    ] {
        let sent = mailer.send(mail(to)).await;
        assert!(
            matches!(sent, Err(Undelivered::Never(_))),
            "{to:?}: {sent:?}"
        );
    }
    let mut message = mail("ana@example.org");
    message.subject = "Hello\r\nBcc: x@evil.test\r\n\r\n<script>".to_owned();
    mailer.send(message).await.expect("sent");
    let received = server.received();
    assert_eq!(received["to"], serde_json::json!(["ana@example.org"]));
    let names: Vec<&str> = received["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair[0].as_str().unwrap())
        .collect();
    assert!(!names.contains(&"Bcc"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_share_a_few_connections() {
    let server = Server::start(&["--tls", "starttls"]);
    let mailer = SmtpMailer::new(server.config(Encryption::Starttls)).expect("a mailer");
    let sent =
        join_all((0..20).map(|n| mailer.send(mail(&format!("member{n}@example.org"))))).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    let mut to: Vec<String> = (0..20)
        .map(|_| server.received()["to"][0].as_str().unwrap().to_owned())
        .collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), 20);
}

/// Killed while the mail server keeps it waiting, the program is followed by another one that sends the mail; the link
/// in it opens, and the program stops when it is asked to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_survives_the_program_that_was_sending_it() {
    let (hangs, works) = (
        Server::start(&["--tls", "none", "--hang"]),
        Server::start(&["--tls", "none"]),
    );
    let database = Database::new(Content::Reference).await;
    // The same program later has the same key: links are made with it.
    let key = server::commands::fresh_key();
    let serve = async |port: u16| {
        let port = port.to_string();
        Program::serve(&database, |command| {
            command
                .args(["--with-worker", "--jobs-lease-seconds", "2"])
                .env("TOKEN_KEY", &key)
                .env("SMTP_PORT", port);
        })
        .await
    };
    let mut first = serve(hangs.port).await;
    let wish =
        serde_json::json!({"email": "ana@example.org", "handle": "ana", "display_name": "Ana"});
    first.client.post("/auth/sign-up", wish).await.expect(202);
    assert_eq!(hangs.received()["hanging"], true);
    first.signal("KILL");
    assert!(!first.ended().await.success());

    let mut second = serve(works.port).await;
    let message = works.received();
    assert_eq!(message["to"], serde_json::json!(["ana@example.org"]));
    let text = message["text"].as_str().expect("a text");
    let token = text.split_once("#token=").expect("a link").1;
    let token = token.split_whitespace().next().expect("a token");
    let proof = serde_json::json!({"token": token, "password": "seven small elephants"});
    second
        .client
        .post("/auth/verify-email", proof)
        .await
        .expect(204);

    let figures = second.admin.get("/metrics").await.expect(200).text;
    assert!(figures.contains("jobs{state=\"dead\"} 0"), "{figures}");
    second.signal("TERM");
    assert!(second.ended().await.success());
    // What waited in the queue was never the token.
    let log = second.log().join("\n");
    assert!(
        !log.contains(token) && !log.contains("ana@example.org"),
        "{log}"
    );
}
