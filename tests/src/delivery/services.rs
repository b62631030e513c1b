//! All mailers, with the messages that arrive at their other end.

use crate::mail::Server;
use delivery::mail::{
    Encryption, FileMailer, Mail, Mailer, ResendConfig, ResendMailer, Sender, SendgridConfig,
    SendgridMailer, SmtpMailer,
};
use fake_messengers::{Config, fault, server::Running};
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::{path::PathBuf, time::Duration};
use uuid::Uuid;

pub const SENDER: &str = "Kulturpass Zürich <no-reply@culturepass.example>";
/// The timeout of requests to a service in tests.
pub const PATIENCE: Duration = Duration::from_millis(500);

pub fn sender() -> Sender {
    SENDER.parse().expect("an address")
}

pub fn mail(to: &str) -> Mail {
    Mail {
        id: Uuid::now_v7(),
        to: to.to_owned(),
        subject: "Grüezi, 你好".to_owned(),
        text: "Grüezi Ana\nhttps://app.test/verify#token=abc_-123\n".to_owned(),
        html: Some("<p>Grüezi <b>Ana</b></p>\n".to_owned()),
        unsubscribe: None,
    }
}

pub fn resend(url: &str, key: &str) -> ResendMailer {
    ResendMailer::new(ResendConfig {
        key: SecretString::from(key),
        url: url.parse().expect("a URL"),
        from: sender(),
        timeout: PATIENCE,
    })
    .expect("a mailer")
}

pub fn sendgrid(url: &str, key: &str) -> SendgridMailer {
    SendgridMailer::new(SendgridConfig {
        key: SecretString::from(key),
        url: url.parse().expect("a URL"),
        from: sender(),
        timeout: PATIENCE,
    })
    .expect("a mailer")
}

/// A message as it was received.
#[derive(Debug)]
pub struct Arrived {
    pub to: String,
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
}

impl Arrived {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other == name);
        found.next().map(|(_, value)| value.as_str())
    }
}

/// The other end of a mailer.
pub enum End {
    Smtp(Server),
    Fake(Running, fault::Service),
    Folder(PathBuf),
}

pub struct Service {
    pub name: &'static str,
    pub mailer: Box<dyn Mailer>,
    pub end: End,
}

pub async fn all() -> Vec<Service> {
    vec![smtp(), by_resend().await, by_sendgrid().await, folder()]
}

fn smtp() -> Service {
    let server = Server::start(&["--tls", "starttls"]);
    let mailer = SmtpMailer::new(server.config(Encryption::Starttls)).expect("a mailer");
    Service {
        name: "smtp",
        mailer: Box::new(mailer),
        end: End::Smtp(server),
    }
}

async fn by_resend() -> Service {
    let fake = Running::start(Config::default()).await.expect("a fake");
    Service {
        name: "resend",
        mailer: Box::new(resend(&fake.url, "re_fake")),
        end: End::Fake(fake, fault::Service::Resend),
    }
}

async fn by_sendgrid() -> Service {
    let fake = Running::start(Config::default()).await.expect("a fake");
    Service {
        name: "sendgrid",
        mailer: Box::new(sendgrid(&fake.url, "SG.fake")),
        end: End::Fake(fake, fault::Service::Sendgrid),
    }
}

fn folder() -> Service {
    let folder = std::env::temp_dir().join(format!("culturepass-mail-{}", Uuid::now_v7()));
    Service {
        name: "file",
        mailer: Box::new(FileMailer::new(folder.clone()).expect("a folder")),
        end: End::Folder(folder),
    }
}

impl Service {
    /// Waits until this many messages have arrived, and asserts that there are no more.
    pub fn arrived(&self, count: usize) -> Vec<Arrived> {
        let arrived: Vec<Arrived> = match &self.end {
            End::Smtp(server) => (0..count).map(|_| of_smtp(&server.received())).collect(),
            End::Fake(running, _) => {
                let mail = running.fake.mail();
                mail.iter().map(|sent| of_a_service(&sent.fields)).collect()
            }
            End::Folder(folder) => {
                let entries = std::fs::read_dir(folder).expect("the folder");
                let mut files: Vec<PathBuf> = entries.flatten().map(|file| file.path()).collect();
                files.sort();
                files.iter().map(of_a_file).collect()
            }
        };
        assert_eq!(arrived.len(), count, "{}: {arrived:?}", self.name);
        if let End::Smtp(server) = &self.end {
            assert!(server.is_quiet(), "{}: more arrived", self.name);
        }
        arrived
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Self::Folder(folder) = self {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn of_smtp(told: &Value) -> Arrived {
    let headers = told["headers"].as_array().expect("headers").iter();
    let headers: Vec<(String, String)> = headers
        .map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1])))
        .collect();
    let header = |name: &str| {
        let mut found = headers.iter().filter(|(other, _)| other == name);
        found
            .next()
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    assert_eq!(told["defects"], serde_json::json!([]), "{told}");
    assert_eq!(told["to"], serde_json::json!([header("to")]));
    Arrived {
        to: header("to"),
        subject: header("subject"),
        text: text(&told["text"]).replace("\r\n", "\n"),
        html: told["html"].as_str().map(|html| html.replace("\r\n", "\n")),
        headers,
    }
}

fn of_a_service(fields: &Value) -> Arrived {
    let empty = Map::new();
    let headers = fields["headers"].as_object().unwrap_or(&empty).iter();
    Arrived {
        to: text(&fields["to"]),
        subject: text(&fields["subject"]),
        text: text(&fields["text"]),
        html: fields["html"].as_str().map(str::to_owned),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), text(value)))
            .collect(),
    }
}

fn of_a_file(path: &PathBuf) -> Arrived {
    let file = std::fs::read_to_string(path).expect("a message");
    let (head, body) = file.split_once("\n\n").expect("a head");
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let header = |name: &str| {
        let mut found = headers.iter().filter(|(other, _)| other == name);
        found
            .next()
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    Arrived {
        to: header("to"),
        subject: header("subject"),
        text: body.to_owned(),
        html: None,
        headers,
    }
}
