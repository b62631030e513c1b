//! The fake's state: accepted messages, idempotency keys, and pending webhook events.

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

/// The maximum number of messages that are remembered; the oldest are removed.
const REMEMBERED: usize = 2_000;

pub struct Config {
    /// The base URL of the fake.
    pub base_url: String,
    /// The accepted API keys, for Resend and SendGrid alike.
    pub api_keys: Vec<String>,
    pub resend_webhook: Option<Webhook>,
    /// The webhook of SendGrid, which is signed with [`Keys`]; its `secrets` are not used.
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
    /// Signing secrets, `whsec_…`; several during a rotation.
    pub secrets: Vec<String>,
}

/// An accepted message.
#[derive(Clone, Debug, Serialize)]
pub struct Sent {
    pub service: &'static str,
    /// The service's id of the message.
    pub id: String,
    pub at: DateTime<Utc>,
    /// How many messages were accepted under the same collapse key: the last one replaces the others. 1 without such a
    /// key.
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
    /// The number of calls by service, failed ones included.
    pub calls: BTreeMap<String, u32>,
    events: VecDeque<Pending>,
    /// How far the fake's clock is ahead of the machine's.
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
        // The lock may be poisoned by a test that panicked, which has been reported already.
        self.world
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    /// Answers a call of one of the services. None: the path is of none of them.
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

    /// The JSON file of the service account to which this fake gives access tokens.
    pub fn service_account(&self) -> Result<Value> {
        self.keys.service_account(&self.config.base_url)
    }

    /// All accepted messages, oldest first.
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

    /// Invalidates all access tokens.
    pub fn revoke(&self) {
        self.world().access_tokens.clear();
    }

    /// Moves the clock forward.
    pub fn advance(&self, seconds: u32) {
        self.world().ahead += TimeDelta::seconds(i64::from(seconds));
    }

    /// The signed webhooks that are to be sent now. Each is returned once, unless [`Self::failed`] is called for it.
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

    /// The endpoint did not accept the webhook: it is sent again later.
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
