//! The in-process interface, and what it shares with the HTTP server: authentication, faults and idempotency keys.

use crate::{
    API_VERSION,
    clock::Clock,
    error::{ApiError, Result},
    event::Cause,
    fault::Kind,
    form::Params,
    idempotency::{Claim, Found},
    json::Fields,
    ledger::{Books, PLATFORM},
    message::{Outcome, Reply, Request, Stalled},
    routes,
    world::{Call, World},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The initial configuration of the fake.
#[derive(Clone, Debug)]
pub struct Config {
    pub seed: u64,
    pub clock: Clock,
    /// The base URL of links to the fake's pages.
    pub base_url: String,
    /// Stripe's own fee on a payment: basis points and a fixed part in the smallest unit. Zero by default.
    pub fee_bps: i64,
    pub fee_fixed: i64,
    /// The country of the platform's own account.
    pub country: String,
    /// The time after which a pending refund settles, or a failing one fails.
    pub refund_seconds: i64,
    /// Whether a refund that the balance does not cover is refused. Otherwise the balance becomes negative, as if
    /// Stripe debited the rest from the bank account.
    pub refunds_need_balance: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 0,
            // 2026-01-01; fixed, so that two runs have the same times.
            clock: Clock::Manual { now: 1_767_225_600 },
            base_url: "http://127.0.0.1:8421".to_owned(),
            fee_bps: 0,
            fee_fixed: 0,
            country: "US".to_owned(),
            refund_seconds: 10,
            refunds_need_balance: false,
        }
    }
}

/// The simulated Stripe.
#[derive(Debug)]
pub struct Fake {
    world: Mutex<World>,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Fake {
    pub fn new(config: Config) -> Self {
        Self::with(World::new(config))
    }

    fn with(world: World) -> Self {
        Self {
            world: Mutex::new(world),
        }
    }

    /// Continues from a state that [`Self::save`] returned.
    pub fn load(saved: &[u8], config: Config) -> serde_json::Result<Self> {
        let mut world: World = serde_json::from_slice(saved)?;
        world.config = config;
        world.webhooks.resume();
        Ok(Self::with(world))
    }

    pub fn save(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&*self.world())
    }

    /// Answers a request to `/v1/…`.
    pub fn handle(&self, request: &Request) -> Outcome {
        answer(&mut self.world(), request)
    }

    pub fn books(&self) -> BTreeMap<String, Books> {
        self.world().ledger.books()
    }

    /// Locks the world, after running all timers that are due.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A poisoned lock is ignored, so that the panic of a test does not make other tests fail.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        catch_up(&mut world);
        world
    }
}

/// Runs the timers that are due by now, each at its own time.
pub fn catch_up(world: &mut World) {
    let now = world.clock.now();
    world.cause = Cause::default();
    while let Some((at, timer)) = world.timers.next_until(now) {
        world.now = at;
        crate::api::timer_ran(world, timer);
    }
    world.now = now;
}

fn answer(world: &mut World, request: &Request) -> Outcome {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let fault = world.faults.strike(&request.method, path, world.now);
    match fault {
        Some(Kind::DropBefore | Kind::Away) => return Outcome::DroppedBefore,
        Some(Kind::RateLimited) => {
            return Outcome::Reply(refusal(world, &ApiError::rate_limited()));
        }
        Some(Kind::Conflict) => {
            let key = request.find("idempotency-key").unwrap_or("none");
            return Outcome::Reply(refusal(world, &ApiError::in_flight(key)));
        }
        _ => {}
    }
    let reply = match begin(world, request, path, query, fault) {
        Ok(reply) => reply,
        Err(error) => refusal(world, &error),
    };
    world.cause = Cause::default();
    match fault {
        Some(Kind::DropAfter) => Outcome::DroppedAfter,
        Some(Kind::Stall { seconds }) => Outcome::Stall(Stalled { seconds, reply }),
        Some(Kind::Malformed) => {
            let mut half = reply;
            half.body.truncate(half.body.len() / 2);
            Outcome::Reply(half)
        }
        _ => Outcome::Reply(reply),
    }
}

/// Authenticates the request, looks the idempotency key up, and runs the call if the key is new.
fn begin(
    world: &mut World,
    request: &Request,
    path: &str,
    query: &str,
    fault: Option<Kind>,
) -> Result<Reply> {
    authenticate(request)?;
    let account = request.find("stripe-account").map(str::to_owned);
    if let Some(account) = &account {
        let known = world.get(account);
        if !known
            .is_some_and(|known| known.str("object") == "account" && !known.is("_deauthorized"))
        {
            return Err(ApiError::account_invalid(account));
        }
    }
    let body = String::from_utf8_lossy(&request.body);
    let key = request
        .find("idempotency-key")
        .filter(|_| request.method == "POST");
    let claim = match key {
        None => None,
        Some(key) => {
            let scope = account.as_deref().unwrap_or(PLATFORM);
            let fingerprint = format!("{} {}\n{body}", request.method, request.path);
            match world.keys.find(scope, key, fingerprint, world.now)? {
                Found::Replay(reply) => return Ok(reply),
                Found::New(claim) => Some(claim),
            }
        }
    };
    let mut params = Params::parse(query);
    params.extend(Params::parse(&body));
    let call = Call {
        path: path.to_owned(),
        params,
        account,
    };
    let request_id = world.new_id("req");
    world.cause = Cause {
        request: Some(request_id.clone()),
        key: key.map(str::to_owned),
    };
    let result = match fault {
        Some(Kind::ErrorBefore) => Err(ApiError::internal()),
        _ => routes::run(world, &request.method, &call),
    };
    let result = match fault {
        Some(Kind::ErrorAfter) => Err(ApiError::internal()),
        _ => result,
    };
    Ok(settle(world, &request_id, key, claim, &call, result, fault))
}

/// Creates the answer, and stores it under its key if the endpoint had begun.
fn settle(
    world: &mut World,
    request_id: &str,
    key: Option<&str>,
    claim: Option<Claim>,
    call: &Call,
    result: Result<Value>,
    fault: Option<Kind>,
) -> Reply {
    let expand = call.params.list("expand");
    let (status, body, began) = match &result {
        Ok(object) => (200, world.present(object, &expand), true),
        Err(error) => (error.status, world.present(&error.body(), &[]), error.began),
    };
    let mut reply = reply(request_id, status, &body);
    if let Some(key) = key {
        reply
            .headers
            .push(("Idempotency-Key".to_owned(), key.to_owned()));
    }
    if let Some(claim) = claim.filter(|_| began) {
        let busy_seconds = match fault {
            Some(Kind::Stall { seconds }) => seconds,
            _ => 0,
        };
        let now = world.now;
        world.keys.keep(claim, reply.clone(), now, busy_seconds);
    }
    reply
}

fn authenticate(request: &Request) -> Result<()> {
    let Some(header) = request.find("authorization") else {
        return Err(ApiError::unauthorized(
            "You did not provide an API key. Send it as `Authorization: Bearer sk_test_…`.",
        ));
    };
    let Some(key) = header.strip_prefix("Bearer ") else {
        return Err(ApiError::unauthorized(
            "Invalid authorization: the fake takes bearer tokens.",
        ));
    };
    if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
        return Ok(());
    }
    // A live key must not be used with the fake, and must not be printed either.
    Err(ApiError::unauthorized(
        "Invalid API Key provided. The fake takes any key that begins with sk_test_.",
    ))
}

fn refusal(world: &mut World, error: &ApiError) -> Reply {
    let id = world.new_id("req");
    reply(&id, error.status, &error.body())
}

fn reply(request_id: &str, status: u16, body: &Value) -> Reply {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Reply {
        status,
        headers: vec![
            header("Content-Type", "application/json"),
            header("Request-Id", request_id),
            header("Stripe-Version", API_VERSION),
        ],
        // Serializing a `Value` can't fail.
        body: serde_json::to_vec_pretty(body)
            .unwrap_or_else(|_| json!({}).to_string().into_bytes()),
    }
}
