//! A shop whose server may die: the program runs as a separate process, and its database and payment service outlive
//! it.

use super::stage::Stage;
use crate::support::{
    Client, Database, Member, TestServer,
    program::{Place, Program},
    stripe::{CONNECT_SECRET, SECRET, Stripe},
};
use axum::http::Method;
use fake_stripe::webhook::{Endpoint, Target};
use kernel::auth::Tokens;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

pub const BUYERS: usize = 6;

/// Few tickets of one kind, so that some buyers come too late; many of the other.
const FEW: i32 = 25;
const MANY: i32 = 100_000;

/// The number of events that will be cancelled.
const DOOMED: usize = 3;

/// Promo codes of the shop's event, with the number of orders that may use each: too few for the second, so that late
/// payments lack it.
pub const PROMO_CODES: [(&str, u32); 2] = [("CROWD", 1_000_000), ("FEWONLY", 12)];

pub struct Person {
    pub id: Uuid,
    session: Uuid,
    /// The buyer's saved card.
    pub card: String,
}

pub struct Shop {
    pub database: Database,
    /// A superuser's connections; reopened after PostgreSQL was down.
    pub pool: PgPool,
    pub stripe: Stripe,
    /// The host's account at the payment service.
    pub account: String,
    pub event: Uuid,
    pub kinds: [Uuid; 2],
    /// Events that are cancelled while people buy, each with its type of tickets.
    pub doomed: Vec<(Uuid, Uuid)>,
    pub organiser: Person,
    pub buyers: Vec<Person>,
    place: Place,
    tokens: Tokens,
    stripe_url: String,
    serving: JoinHandle<()>,
    /// How far the program's clock is ahead.
    pub clock_offset_seconds: i64,
}

impl Shop {
    pub async fn new() -> Self {
        let stage = Stage::new().await;
        let kinds = [
            stage.tickets("Seat", 4_500, FEW).await,
            stage.tickets("Standing", 2_000, MANY).await,
        ];
        let mut doomed = Vec::new();
        for n in 0..DOOMED {
            doomed.push(another_event(&stage, n).await);
        }
        for (code, bounds) in PROMO_CODES {
            let code = json!({"event_id": stage.event, "code": code, "basis_points": 1_000,
                "per_user_limit": 100, "max_redemptions": bounds});
            let made = stage.olga.client.post("/promo-codes", code).await;
            made.expect(201);
        }
        let mut buyers = Vec::new();
        for n in 0..BUYERS {
            let member = stage.server.member(&format!("shopper_{n}")).await;
            let card = stage.saved(&member, "4242424242424242").await;
            stage.credits(&member, 200_000).await;
            buyers.push(person(&member, card));
        }
        let organiser = person(&stage.olga, String::new());
        stage.server.settled().await;
        let Stage {
            mut server,
            stripe,
            account,
            event,
            ..
        } = stage;
        server.stop().await;
        // Drops the test server with its worker: from here on only the program runs jobs.
        let TestServer { database, .. } = server;
        // Sample data for suites about all entities.
        let mut conn = database.superuser().await;
        sqlx::raw_sql("delete from app.stripe_events")
            .execute(&mut conn)
            .await
            .expect("gone");
        let place = Place::free().await;
        let (stripe_url, serving) = listen(&stripe, &place).await;
        Self {
            pool: PgPoolOptions::new()
                .max_connections(8)
                .connect_lazy_with(database.superuser_options()),
            database,
            stripe,
            account,
            event,
            kinds,
            doomed,
            organiser,
            buyers,
            tokens: place.tokens(),
            place,
            stripe_url,
            serving,
            clock_offset_seconds: 0,
        }
    }

    /// Starts the program. With a failpoint (`payment.called:2`) it exits when it reaches that place.
    pub async fn start(&self, failpoint: Option<&str>) -> Program {
        Program::start(&self.place, &self.database, |command| {
            command
                .arg("--with-worker")
                .env("CULTUREPASS_ENV", "development")
                .env(
                    "CLOCK_OFFSET_SECONDS",
                    self.clock_offset_seconds.to_string(),
                )
                .env("STRIPE_URL", &self.stripe_url)
                .env("STRIPE_SECRET_KEY", "sk_test_fake")
                .env("STRIPE_WEBHOOK_SECRETS", SECRET)
                .env("STRIPE_CONNECT_WEBHOOK_SECRETS", CONNECT_SECRET)
                .env("PAYMENT_PAGE_URL", "http://stripe.test/_fake/pay/{id}")
                .env("MAX_CONNECTIONS_PER_ADDRESS", "4096")
                // Jobs of a killed program are taken over soon.
                .env("JOBS_LEASE_SECONDS", "3")
                .env("JOBS_POLL_MS", "100");
            if let Some(failpoint) = failpoint {
                command.env("FAILPOINT", failpoint);
            }
        })
        .await
    }

    /// Starts the program without failpoint, and waits until it is ready.
    pub async fn serve(&self) -> Program {
        let mut program = self.start(None).await;
        assert!(program.is_ready().await, "it ended:\n{}", program.text());
        program
    }

    pub fn client(&self, person: &Person) -> Client {
        let now = chrono::Utc::now().timestamp();
        let issued = self.tokens.issue(person.id, person.session, now);
        Client::of_the_api(self.place.url()).with_token(issued.expect("a token").token)
    }

    /// The program's answer to an event signed just now.
    pub async fn tell(&self, id: &str) -> u16 {
        let body = super::controls::event(id);
        let signature = gateway::sign(&body, SECRET, chrono::Utc::now());
        let headers = [
            ("stripe-signature", signature.as_str()),
            ("content-type", "application/json"),
        ];
        let client = Client::of_the_api(self.place.url());
        let sent = client.send_bytes(Method::POST, "/webhooks/stripe", body, &headers);
        sent.await.status.as_u16()
    }

    /// Violated invariants; must be empty at any moment. `None` if PostgreSQL is down.
    pub async fn try_faults(&self) -> Option<Vec<String>> {
        sqlx::query_scalar(super::INVARIANTS)
            .fetch_all(&self.pool)
            .await
            .ok()
    }

    pub async fn faults(&self) -> Vec<String> {
        self.try_faults().await.expect("the view")
    }

    /// Expires the claims of unanswered requests that are this many seconds old: the process that worked on them is
    /// given up, as it would be after a minute.
    pub async fn claims_end(&self, seconds: u8) {
        let text = "update requests.keys set locked_until = now() where status is null and locked_until > now()
           and locked_until <= now() + make_interval(secs => 60 - $1)";
        // PostgreSQL may be down at this moment.
        let _ = sqlx::query(text)
            .bind(f64::from(seconds))
            .execute(&self.pool)
            .await;
    }

    /// Runs a statement as a superuser.
    pub async fn run(&self, text: impl Into<String>) -> u64 {
        let done = sqlx::raw_sql(AssertSqlSafe(text.into()))
            .execute(&self.pool)
            .await;
        done.expect("a statement").rows_affected()
    }

    /// Runs a statement while the program works on the same rows: a deadlock with it is no error, since the caller
    /// tries again later.
    pub async fn passes(&self, text: &'static str) {
        let done = sqlx::raw_sql(text).execute(&self.pool).await;
        if let Err(error) = done {
            let code = error.as_database_error().and_then(|error| error.code());
            assert_eq!(code.as_deref(), Some("40P01"), "{error}");
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Another event of the same host, with a ticket type.
async fn another_event(stage: &Stage, n: usize) -> (Uuid, Uuid) {
    let client = &stage.olga.client;
    let like = client.get(&format!("/events/{}", stage.event)).await;
    let like = like.expect(200).json;
    let body = json!({
        "title": format!("A house that stays empty {n}"), "starts_at": like["starts_at"], "ends_at": like["ends_at"],
        "timezone": like["timezone"], "host_type": like["host_type"], "host_id": like["host_id"], "city_id": like["city_id"],
        "online_url": "https://example.org/stream",
    });
    let event = client.post("/events", body).await.expect(201).id();
    let body = json!({"event_id": event, "name": "Standing", "price_cents": 2_000, "currency": "AUD", "capacity": MANY,
        "per_user_limit": 100, "refundable_until": "2041-04-30T18:00:00Z"});
    let kind = client.post("/ticket-types", body).await.expect(201).id();
    client
        .act(&format!("/events/{event}/publish"))
        .await
        .expect(200);
    let [event, kind] = [event, kind].map(|id| id.parse().expect("an id"));
    (event, kind)
}

fn person(member: &Member, card: String) -> Person {
    Person {
        id: member.id,
        session: member.session,
        card,
    }
}

/// Serves the fake payment service on a port, with its events sent to the program.
async fn listen(stripe: &Stripe, place: &Place) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    for (target, path, secret) in [
        (Target::Platform, "/webhooks/stripe", SECRET),
        (Target::Connect, "/webhooks/stripe-connect", CONNECT_SECRET),
    ] {
        let endpoint = Endpoint {
            url: format!("{}{path}", place.url()),
            secrets: vec![secret.to_owned()],
        };
        stripe.fake.set_endpoint(target, Some(endpoint));
    }
    let fake = stripe.fake.clone();
    let serving = tokio::spawn(async move {
        let _ = fake_stripe::server::serve(fake, listener).await;
    });
    (url, serving)
}
