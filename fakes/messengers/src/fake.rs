//! The state: what was taken, the keys it was taken under, and what is still to be told.

use crate::{
    fault::{Fault, Script, Service},
    fcm,
    feedback::{self, Event, Pending},
    keys::Keys,
    message::{Outcome, Reply, Request},
    resend, sendgrid,
};
use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Mutex, MutexGuard},
};

/// More is forgotten, the oldest first.
const REMEMBERED: usize = 2_000;

pub struct Config {
    /// Where it can be reached.
    pub base_url: String,
    /// Keys that are taken, of Resend and of SendGrid alike.
    pub api_keys: Vec<String>,
    pub resend_webhook: Option<Webhook>,
    /// Signed with [`Keys`]; its `secret` does not count.
    pub sendgrid_webhook: Option<Webhook>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_url: "http://messengers.test".to_owned(),
            api_keys: vec!["re_fake".to_owned(), "SG.fake".to_owned()],
            resend_webhook: None,
            sendgrid_webhook: None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    /// `whsec_…`; several during a rotation.
    pub secrets: Vec<String>,
}

/// What was taken of one message.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    pub service: &'static str,
    /// What the service calls it.
    pub id: String,
    pub at: DateTime<Utc>,
    /// How often it was taken: under one collapse key the later takes the place of the earlier.
    pub copies: u32,
    #[serde(flatten)]
    pub fields: Value,
}

pub(crate) struct World {
    pub mail: VecDeque<Sent>,
    pub push: VecDeque<Sent>,
    pub access_tokens: BTreeSet<String>,
    pub idempotency: BTreeMap<String, resend::Kept>,
    pub script: Script,
    /// Of every service, also those that failed.
    pub calls: BTreeMap<String, u32>,
    events: VecDeque<Pending>,
    /// How far the clock is ahead.
    ahead: TimeDelta,
    counter: u64,
}

impl World {
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + self.ahead
    }

    pub fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn tell(&mut self, event: Event) {
        let pending = Pending::new(event, self.now());
        self.events.push_back(pending);
    }

    pub fn keep(list: &mut VecDeque<Sent>, sent: Sent) {
        list.push_back(sent);
        while list.len() > REMEMBERED {
            list.pop_front();
        }
    }
}

pub struct Fake {
    pub config: Config,
    pub keys: Keys,
    world: Mutex<World>,
}

impl Fake {
    pub fn new(config: Config) -> Result<Self> {
        Ok(Self {
            config,
            keys: Keys::generate()?,
            world: Mutex::new(World {
                mail: VecDeque::new(),
                push: VecDeque::new(),
                access_tokens: BTreeSet::new(),
                idempotency: BTreeMap::new(),
                script: Script::default(),
                calls: BTreeMap::new(),
                events: VecDeque::new(),
                ahead: TimeDelta::zero(),
                counter: 0,
            }),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked has said why already.
        self.world
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    /// Answers a call of one of the services. Nothing: it is for none of them.
    pub fn handle(&self, request: &Request) -> Option<Outcome> {
        let path = request.path.split('?').next().unwrap_or_default();
        let service = match (request.method.as_str(), path) {
            ("POST", "/token") => Service::Token,
            ("POST", "/emails") => Service::Resend,
            ("POST", "/v3/mail/send") => Service::Sendgrid,
            ("POST", path) if path.starts_with("/v1/projects/") => Service::Fcm,
            _ => return None,
        };
        let mut world = self.world();
        *world.calls.entry(name(service).to_owned()).or_default() += 1;
        let fault = world.script.take(service);
        let accepts = fault.as_ref().is_none_or(|fault| fault.accepted);
        let right = match (accepts, service) {
            (false, _) => Reply::json(500, &json!({})),
            (true, Service::Token) => fcm::token(self, &mut world, request),
            (true, Service::Fcm) => fcm::send(&mut world, path, request),
            (true, Service::Resend) => resend::send(self, &mut world, request),
            (true, Service::Sendgrid) => sendgrid::send(self, &mut world, request),
        };
        Some(match fault {
            Some(fault) => fault.strike(right, request),
            None => Outcome::Reply(right),
        })
    }

    pub(crate) fn takes(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| self.config.api_keys.iter().any(|taken| taken == key))
    }

    /// The JSON of the service account whose tokens this gives.
    pub fn service_account(&self) -> Result<Value> {
        self.keys.service_account(&self.config.base_url)
    }

    /// Everything that was taken, oldest first.
    pub fn sent(&self) -> Value {
        let world = self.world();
        json!({ "mail": world.mail, "push": world.push })
    }

    pub fn mail(&self) -> Vec<Sent> {
        self.world().mail.iter().cloned().collect()
    }

    pub fn push(&self) -> Vec<Sent> {
        self.world().push.iter().cloned().collect()
    }

    pub fn calls(&self, service: Service) -> u32 {
        let world = self.world();
        world.calls.get(name(service)).copied().unwrap_or_default()
    }

    pub fn add_fault(&self, fault: Fault) {
        self.world().script.add(fault);
    }

    pub fn clear_faults(&self) {
        self.world().script.clear();
    }

    /// No access token counts any more.
    pub fn revoke(&self) {
        self.world().access_tokens.clear();
    }

    /// Moves the clock.
    pub fn advance(&self, seconds: u32) {
        self.world().ahead += TimeDelta::seconds(i64::from(seconds));
    }

    /// Signed webhooks that are to be sent now. Each is given once, unless it is said to have failed.
    pub fn due(&self) -> Result<Vec<feedback::Post>> {
        let mut world = self.world();
        let now = world.now();
        let (due, later) = world.events.drain(..).partition(|event| event.is_due(now));
        world.events = later;
        drop(world);
        let due: VecDeque<Pending> = due;
        due.iter()
            .filter_map(|pending| feedback::post(self, pending))
            .collect()
    }

    /// Its endpoint did not take it: again, some time later.
    pub fn failed(&self, post: feedback::Post) {
        let mut world = self.world();
        let now = world.now();
        world.events.extend(post.pending.later(now));
    }
}

pub(crate) fn name(service: Service) -> &'static str {
    match service {
        Service::Fcm => "fcm",
        Service::Token => "token",
        Service::Resend => "resend",
        Service::Sendgrid => "sendgrid",
    }
}
