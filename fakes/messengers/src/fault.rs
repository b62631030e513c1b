//! The script of faults: at which service, how often, and of which kind.

use crate::message::{Outcome, Reply, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    Fcm,
    /// Google's token endpoint, which gives access tokens.
    Token,
    Resend,
    Sendgrid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Kind {
    /// This answer instead of the right one.
    Answer {
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// JSON as text, or an HTML page.
        #[serde(default)]
        body: String,
    },
    /// An error whose texts contain the whole request, including its headers, so that tests can check what the product
    /// logs.
    Echo { status: u16 },
    /// The right answer, delayed.
    Hang { seconds: u32 },
    /// The connection closes without an answer.
    Drop,
}

/// An entry of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(flatten)]
    pub kind: Kind,
    /// The service whose calls fail. None: all services.
    #[serde(default)]
    pub service: Option<Service>,
    /// The number of calls that fail.
    #[serde(default = "once")]
    pub times: u32,
    /// Whether the message is accepted in spite of the fault.
    #[serde(default)]
    pub accepted: bool,
}

fn once() -> u32 {
    1
}

impl Fault {
    pub fn new(service: Service, kind: Kind) -> Self {
        Self {
            kind,
            service: Some(service),
            times: 1,
            accepted: false,
        }
    }

    pub fn answer(service: Service, status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter();
        let kind = Kind::Answer {
            status,
            headers: headers
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.to_owned(),
        };
        Self::new(service, kind)
    }

    /// The same fault, but the message is accepted.
    pub fn after_accepting(self) -> Self {
        Self {
            accepted: true,
            ..self
        }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The outcome that the caller sees instead of the right answer.
    pub fn strike(&self, right: Reply, request: &Request) -> Outcome {
        match &self.kind {
            Kind::Echo { status } => Outcome::Reply(echo(*status, request)),
            Kind::Hang { seconds } => Outcome::Late(right, *seconds),
            Kind::Drop => Outcome::Dropped,
            Kind::Answer {
                status,
                headers,
                body,
            } => {
                let kind = match serde_json::from_str::<serde_json::Value>(body).is_ok() {
                    true => "application/json",
                    false => "text/html; charset=utf-8",
                };
                let reply = Reply {
                    status: *status,
                    headers: Vec::new(),
                    body: body.clone().into_bytes(),
                };
                let reply = headers
                    .iter()
                    .fold(reply, |reply, (name, value)| reply.with(name, value));
                Outcome::Reply(reply.with("content-type", kind))
            }
        }
    }
}

/// Puts the request into each field in which one of the services has its error texts.
fn echo(status: u16, request: &Request) -> Reply {
    let body = String::from_utf8_lossy(&request.body);
    let words = format!("{:?} {body}", request.headers);
    let body = json!({
        "name": words, "message": words, "errors": [{ "message": words, "field": words }],
        "error": { "code": status, "message": words, "status": words, "details": [{
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": words,
        }] },
    });
    Reply::json(status, &body)
}

/// The faults; the first entry that matches a call applies.
#[derive(Debug, Default)]
pub struct Script(Vec<Fault>);

impl Script {
    pub fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn faults(&self) -> &[Fault] {
        &self.0
    }

    pub fn take(&mut self, service: Service) -> Option<Fault> {
        let fits =
            |fault: &Fault| fault.times > 0 && fault.service.is_none_or(|wanted| wanted == service);
        let fault = self.0.iter_mut().find(|fault| fits(fault))?;
        fault.times -= 1;
        let taken = fault.clone();
        self.0.retain(|fault| fault.times > 0);
        Some(taken)
    }
}
