//! A payment service in this process: the fake of Stripe, called through the real gateway, and its webhooks delivered
//! to a server.

use super::TestServer;
use app::module::Provider;
use axum::http::Method;
use fake_stripe::{
    Clock, Config, Fake, Outcome,
    webhook::{Endpoint, Post, Target},
};
use gateway::Gateway;
use server::wire::Parts;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use stripe_gateway::{
    Exchange, Exchanged, Reply, Request, Settings, StripeGateway, TransportFailure,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub const SECRET: &str = "whsec_tests";
pub const CONNECT_SECRET: &str = "whsec_tests_of_accounts";

#[derive(Clone)]
pub struct Stripe {
    pub fake: Arc<Fake>,
    forgets_keys: Arc<AtomicBool>,
    late: Arc<Mutex<Option<Arc<Late>>>>,
}

/// An answer that the service has given, but that is held back until it is released.
pub struct Late {
    path: String,
    given: Semaphore,
    wanted: Semaphore,
}

impl Late {
    /// Waits until the service has answered; the answer does not change any more.
    pub async fn given(&self) {
        self.given.acquire().await.expect("open").forget();
    }

    pub fn let_go(&self) {
        self.wanted.add_permits(1);
    }
}

/// How long a client waits for an answer, in seconds.
const PATIENCE_SECONDS: u32 = 20;

impl Stripe {
    /// A fake of a platform in Australia, where most hosts of tests are.
    pub fn new(seed: u64) -> Self {
        Self::of(seed, "AU")
    }

    /// A fake of a platform in this country.
    pub fn of(seed: u64, country: &str) -> Self {
        let fake = Fake::new(Config {
            seed,
            clock: Clock::Running { ahead: 0 },
            base_url: "http://stripe.test".to_owned(),
            country: country.to_owned(),
            ..Config::default()
        });
        let endpoint = |url: &str, secret: &str| {
            Some(Endpoint {
                url: url.to_owned(),
                secrets: vec![secret.to_owned()],
            })
        };
        fake.set_endpoint(Target::Platform, endpoint("/webhooks/stripe", SECRET));
        let connect = endpoint("/webhooks/stripe-connect", CONNECT_SECRET);
        fake.set_endpoint(Target::Connect, connect);
        Self {
            fake: Arc::new(fake),
            forgets_keys: Arc::default(),
            late: Arc::default(),
        }
    }

    /// Holds back the next answer to a GET whose path begins so (`/v1/payment_intents/pi_1`).
    pub fn delay_reading(&self, path: &str) -> Arc<Late> {
        let late = Arc::new(Late {
            path: path.to_owned(),
            given: Semaphore::new(0),
            wanted: Semaphore::new(0),
        });
        *self.late.lock().expect("no panic") = Some(late.clone());
        late
    }

    fn late_for(&self, request: &Request) -> Option<Arc<Late>> {
        let mut late = self.late.lock().expect("no panic");
        late.take_if(|late| {
            request.method.as_str() == "GET" && request.path_and_query.starts_with(&late.path)
        })
    }

    /// From now on every call has a new idempotency key, as with clients that generate keys when they call.
    pub fn forget_keys(&self) {
        self.forgets_keys.store(true, Ordering::Relaxed);
    }

    /// A gateway to the fake, as a server has it.
    pub fn gateway(&self) -> Arc<dyn Gateway> {
        // The circuit breaker is effectively off, since tests of faults have more failures in a row than an operator
        // would accept.
        self.gateway_that_refuses_after(u32::MAX)
    }

    /// A gateway that refuses calls after so many attempts in a row without an answer.
    pub fn gateway_that_refuses_after(&self, failures_in_a_row: u32) -> Arc<dyn Gateway> {
        let key = "sk_test_fake".to_owned().into();
        let url = "http://stripe.test".parse().expect("a URL");
        let mut settings = Settings::new(key, url);
        settings.first_pause = Duration::from_millis(1);
        settings.longest_pause = Duration::from_millis(5);
        settings.failures_in_a_row = failures_in_a_row;
        settings.in_transaction = kernel::cx::in_transaction;
        let exchange = Arc::new(InProcess(self.clone()));
        Arc::new(StripeGateway::over(settings, exchange))
    }

    /// Makes a server use this payment service.
    pub fn provide(&self, parts: &mut Parts) {
        parts.provider = Some(Provider {
            gateway: self.gateway(),
            livemode: false,
        });
        let payments = &mut parts.modules.payments;
        payments.stripe_webhook_secrets = vec![SECRET.to_owned().into()];
        payments.stripe_connect_webhook_secrets = vec![CONNECT_SECRET.to_owned().into()];
        payments.payment_page_url = Some("http://stripe.test/_fake/pay/{id}".to_owned());
        payments.card_page_url = Some("http://stripe.test/_fake/setup/{id}".to_owned());
    }

    /// Delivers the webhooks that are due, and waits until the server has processed them.
    pub async fn deliver(&self, server: &TestServer) {
        server.settled().await;
        loop {
            let due = self.fake.due_webhooks();
            if due.is_empty() {
                return;
            }
            self.bring(server, due).await;
        }
    }

    /// Delivers these webhooks, and waits until the server has processed them.
    pub async fn bring(&self, server: &TestServer, posts: Vec<Post>) {
        for mut post in posts {
            // Signed anew, since the fake's clock may be months ahead of the server's.
            let secret = match post.target {
                Target::Platform => SECRET,
                Target::Connect => CONNECT_SECRET,
            };
            post.signature = gateway::sign(&post.body, secret, chrono::Utc::now());
            let status = send(server, &post).await;
            self.fake.webhook_answered(post.delivery, Some(status));
        }
        server.settled().await;
    }

    /// The webhooks that are due: those whose type begins with `prefix`, and the others.
    pub fn due_apart(&self, prefix: &str) -> (Vec<Post>, Vec<Post>) {
        let due = self.fake.due_webhooks().into_iter();
        due.partition(|post| {
            let event: serde_json::Value = serde_json::from_slice(&post.body).expect("an event");
            let kind = event["type"].as_str();
            kind.is_some_and(|kind| kind.starts_with(prefix))
        })
    }
}

/// Delivers a webhook and returns the status of the answer.
pub async fn send(server: &TestServer, post: &Post) -> u16 {
    let headers = [
        ("stripe-signature", post.signature.as_str()),
        ("content-type", "application/json"),
    ];
    let sent = (server.client)
        .send_bytes(Method::POST, &post.url, post.body.clone(), &headers)
        .await;
    sent.status.as_u16()
}

struct InProcess(Stripe);

impl Exchange for InProcess {
    fn exchange<'a>(&'a self, request: &'a Request) -> Exchanged<'a> {
        let mut headers = request.headers.clone();
        if self.0.forgets_keys.load(Ordering::Relaxed) {
            let keys = headers
                .iter_mut()
                .filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
            keys.for_each(|(_, key)| *key = Uuid::new_v4().to_string());
        }
        let outcome = self.0.fake.handle(&fake_stripe::Request {
            method: request.method.as_str().to_owned(),
            path: request.path_and_query.clone(),
            headers,
            body: request.body.clone().into_bytes(),
        });
        let answer = match outcome {
            Outcome::Reply(reply) => Ok(plain(reply)),
            Outcome::Stall(late) if late.seconds <= PATIENCE_SECONDS => Ok(plain(late.reply)),
            Outcome::Stall(_) => Err(TransportFailure::TimedOut),
            Outcome::DroppedBefore | Outcome::DroppedAfter => Err(TransportFailure::Broken),
        };
        let late = self.0.late_for(request);
        Box::pin(async move {
            if let Some(late) = late {
                late.given.add_permits(1);
                late.wanted.acquire().await.expect("open").forget();
            }
            answer
        })
    }
}

fn plain(reply: fake_stripe::Reply) -> Reply {
    Reply {
        status: reply.status,
        headers: reply.headers,
        body: reply.body,
    }
}
