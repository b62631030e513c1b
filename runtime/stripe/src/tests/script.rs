//! An exchange that answers by a script and records the requests.

use crate::{
    Exchange, Exchanged, Reply, Request, Settings, StripeGateway, TransportFailure, client::Client,
};
use gateway::Key;
use serde_json::Value;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

pub enum Step {
    Reply(Reply),
    Fail(TransportFailure),
    /// No answer for this time.
    Stall(Duration),
    /// The request takes effect and its answer is stored under the key, but then this failure is returned.
    DoneBut(Box<Step>),
    /// The request takes effect, or the answer stored under the key is returned.
    Work,
}

/// Handles keys as Stripe does: the first answer under a key is stored and returned again.
#[derive(Default)]
pub struct Script {
    steps: Mutex<VecDeque<Step>>,
    pub seen: Mutex<Vec<Request>>,
    kept: Mutex<HashMap<String, Reply>>,
    pub created: Mutex<u32>,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Arc<Self> {
        let script = Self::default();
        script.steps.lock().unwrap().extend(steps);
        Arc::new(script)
    }

    pub fn gateway(self: &Arc<Self>) -> StripeGateway {
        StripeGateway::over(settings(), self.clone())
    }

    pub fn client(self: &Arc<Self>) -> Client {
        Client::new(settings(), self.clone())
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub fn created(&self) -> u32 {
        *self.created.lock().unwrap()
    }

    fn work(&self, request: &Request) -> Reply {
        let key = request
            .header("idempotency-key")
            .unwrap_or_default()
            .to_owned();
        let mut kept = self.kept.lock().unwrap();
        if let Some(reply) = kept.get(&key) {
            let mut again = reply.clone();
            again
                .headers
                .push(("Idempotent-Replayed".into(), "true".into()));
            return again;
        }
        let mut created = self.created.lock().unwrap();
        *created += 1;
        let reply = ok(&super::objects::payment(&format!("pi_{created}")));
        if !key.is_empty() {
            kept.insert(key, reply.clone());
        }
        reply
    }
}

impl Exchange for Script {
    fn exchange<'a>(&'a self, request: &'a Request) -> Exchanged<'a> {
        self.seen.lock().unwrap().push(request.clone());
        let mut step = self
            .steps
            .lock()
            .unwrap()
            .pop_front()
            .expect("one more step");
        Box::pin(async move {
            if let Step::DoneBut(then) = step {
                self.work(request);
                step = *then;
            }
            match step {
                Step::Reply(reply) => Ok(reply),
                Step::Fail(failure) => Err(failure),
                Step::Work => Ok(self.work(request)),
                Step::Stall(time) => {
                    sleep(time).await;
                    Ok(ok(&super::objects::payment("pi_late")))
                }
                Step::DoneBut(_) => unreachable!("done once"),
            }
        })
    }
}

pub fn settings() -> Settings {
    let base = Settings::BASE_URL.parse().unwrap();
    Settings::new("sk_test_secret".to_owned().into(), base)
}

pub fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

pub fn ok(body: &Value) -> Reply {
    reply(200, body.to_string(), &[])
}

pub fn reply(status: u16, body: impl Into<String>, headers: &[(&str, &str)]) -> Reply {
    let owned = headers
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Reply {
        status,
        headers: owned.collect(),
        body: body.into().into_bytes(),
    }
}

pub fn error(status: u16, kind: &str, code: &str) -> Step {
    let body = serde_json::json!({"error": {"type": kind, "code": code, "message": "No."}});
    Step::Reply(reply(status, body.to_string(), &[("Request-Id", "req_1")]))
}
