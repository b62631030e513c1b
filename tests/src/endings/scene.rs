//! A fresh set of rows for each case, so that cases neither see nor disturb each other on one server.

use crate::{
    support::{Answer, Client, TestServer, database::Content, model, pictures, stripe::Stripe},
    trending::stage::run,
};
use codegen::model::{EntityId, OnArchive};
use reqwest::Method;
use serde_json::{Value, json};
use server::wire::Parts;
use sqlx::{AssertSqlSafe, PgPool, Postgres, pool::PoolConnection};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// What a scene has besides the rows that `scene.sql` inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Nothing: only the rows of `scene.sql`.
    Bare,
    /// Orders, tickets, and an offer of a ticket.
    Plain,
    /// Pictures that were announced, one of them with its file.
    Pictures,
    /// An account of the host at the payment service, saved cards, a subscription, and a fee that is paid.
    Money,
    /// The same, and the subscription is cancelled.
    Cancelled,
    /// The same without a subscription.
    Unsubscribed,
}

/// Entities of which all scenes use the same row.
pub const SHARED: [&str; 2] = ["country", "commission_rule"];

/// A row of a scene.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub entity: EntityId,
    pub id: Uuid,
}

impl Named {
    pub fn table(&self) -> String {
        format!("app.{}", model().entities[self.entity].plural)
    }

    pub fn kind(&self) -> &'static str {
        &model().entities[self.entity].name
    }
}

pub struct Hall {
    pub server: TestServer,
    pub stripe: Stripe,
    superusers: PgPool,
}

impl Hall {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let stripe = Stripe::new(7);
        let money = stripe.fake.move_money(None, "aud", 100_000_000);
        money.expect("a balance");
        let server = TestServer::start_with(Content::Reference, |parts| {
            parts.http.max_connections_per_address = 4096;
            stripe.provide(parts);
            change(parts);
        });
        let server = server.await;
        server.database.lift_quotas().await;
        let mut conn = server.superuser().await;
        run(&mut conn, include_str!("scene.sql").to_owned()).await;
        run(
            &mut conn,
            "insert into app.commission_rules (type, basis_points, fixed_cents, currency, valid_from)
             values ('ticket', 500, 50, 'AUD', '2020-01-01'), ('featured', 10000, 0, 'AUD', '2020-01-01');
             select tests.role((tests.member('root', 'of_all') -> 'root' ->> 'id')::uuid, 'platformAdmin', null, null)"
                .to_owned(),
        )
        .await;
        let superusers = server.database.superusers();
        Self {
            server,
            stripe,
            superusers,
        }
    }
}

pub struct Scene<'h> {
    pub hall: &'h Hall,
    pub conn: PoolConnection<Postgres>,
    pub rows: BTreeMap<String, Named>,
    members: BTreeMap<String, Client>,
    /// The code of the first ticket.
    pub code: String,
    /// In the names of all rows that have one.
    pub word: String,
}

impl<'h> Scene<'h> {
    pub async fn new(hall: &'h Hall, group: Group) -> Self {
        let mut conn = hall.superusers.acquire().await.expect("a connection");
        let is_money = !matches!(group, Group::Bare | Group::Plain | Group::Pictures);
        let made: Value = sqlx::query_scalar("select tests.scene($1)")
            .bind(!is_money)
            .fetch_one(&mut *conn)
            .await
            .expect("a scene");
        let now = chrono::Utc::now().timestamp();
        let (mut rows, mut members) = (BTreeMap::new(), BTreeMap::new());
        for (label, row) in made["rows"].as_object().expect("rows") {
            let id = uuid(&row["id"]);
            rows.insert(label.clone(), named(text(&row["entity"]), id));
            if row["session"].is_string() {
                let tokens = &hall.server.built.tokens;
                let issued = tokens.issue(id, uuid(&row["session"]), now);
                let client = hall
                    .server
                    .client
                    .with_token(issued.expect("a token").token);
                members.insert(label.clone(), client);
            }
        }
        let mut scene = Self {
            hall,
            conn,
            rows,
            members,
            code: String::new(),
            word: text(&made["word"]).to_owned(),
        };
        match group {
            Group::Bare => {}
            Group::Plain => scene.tickets().await,
            Group::Pictures => scene.pictures().await,
            Group::Unsubscribed => scene.money().await,
            Group::Money => {
                scene.money().await;
                scene.subscription().await;
                scene.paid_fee().await;
            }
            Group::Cancelled => {
                scene.money().await;
                scene.subscription().await;
                let path = format!("/subscriptions/{}/cancel", scene.id("subscription"));
                scene.keyed("provider", &path, json!({})).await.expect(200);
            }
        }
        scene
    }

    pub fn client(&self, label: &str) -> &Client {
        self.members.get(label).unwrap_or(&self.hall.server.client)
    }

    pub fn row(&self, label: &str) -> &Named {
        let row = self.rows.get(label);
        row.unwrap_or_else(|| panic!("the scene has no `{label}`"))
    }

    pub fn id(&self, label: &str) -> Uuid {
        self.row(label).id
    }

    pub fn note(&mut self, label: &str, entity: &str, id: Uuid) {
        self.rows.insert(label.to_owned(), named(entity, id));
    }

    pub async fn sql(&mut self, text: impl Into<String>) {
        run(&mut self.conn, text.into()).await;
    }

    pub async fn one<T>(&mut self, text: impl Into<String>) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let text = text.into();
        sqlx::query_scalar(AssertSqlSafe(text.clone()))
            .fetch_one(&mut *self.conn)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Sends a request with a new `Idempotency-Key`.
    pub async fn keyed(&self, by: &str, path: &str, body: Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let client = self.client(by);
        let body = Some(body).filter(|body| !body.is_null());
        client.send(Method::POST, path, body, &headers).await
    }

    pub fn cart(&self, event: &str, kind: &str) -> Value {
        json!({"event_id": self.id(event), "items": [{"ticket_type_id": self.id(kind), "quantity": 1}]})
    }

    async fn tickets(&mut self) {
        let mut cart = self.cart("event", "free");
        cart["items"][0]["quantity"] = json!(2);
        let order = self.keyed("buyer", "/orders", cart).await.expect(201);
        self.note("order", "order", uuid(&order.json["id"]));
        let tickets = order.json["ticket_ids"].as_array().expect("tickets");
        self.note("ticket", "ticket", uuid(&tickets[0]));
        self.note("offered ticket", "ticket", uuid(&tickets[1]));
        let code = format!(
            "select code from app.tickets where id = '{}'",
            self.id("ticket")
        );
        self.code = self.one(code).await;
        let path = format!("/tickets/{}/transfers", self.id("offered ticket"));
        let body = json!({"to_id": self.id("friend")});
        let offer = self.keyed("buyer", &path, body).await.expect(201);
        self.note("offer", "ticket_transfer", uuid(&offer.json["id"]));
        let cart = self.cart("event", "seat");
        let pending = self.keyed("buyer", "/orders", cart).await.expect(201);
        self.note("unpaid order", "order", uuid(&pending.json["id"]));
        let credited: Uuid = self.one("select gen_random_uuid()").await;
        self.sql(format!(
            "set session_replication_role = replica;
             insert into app.orders (id, user_id, event_id, subtotal_cents, amount_cents, wallet_cents, organizer_cents, top_up_cents,
               currency, state, paid_at, idempotency_key)
             select '{credited}', user_id, event_id, 100, 100, 100, 100, 100, currency, 'paid', now(), 'paid with credits {0}'
             from app.orders where id = '{1}';
             set session_replication_role = origin",
            self.word,
            self.id("order")
        ))
        .await;
        self.note("credited order", "order", credited);
        let transfer: Uuid = self
            .one(format!(
                "insert into app.transfers (kind, amount_cents, currency, state, failure_code, stripe_account_id, stripe_idempotency_key, order_id)
                 values ('top_up', 100, 'AUD', 'failed', 'balance_insufficient', 'acct_{0}', 'transfer:{0}', '{credited}') returning id",
                self.word
            ))
            .await;
        self.note("transfer", "transfer", transfer);
        let body = json!({"amount_cents": 1000, "reference": "A test"});
        let funded = self
            .keyed("platform", "/wallet/budgets/AUD/fundings", body)
            .await;
        self.note(
            "journal",
            "wallet_journal",
            uuid(&funded.expect(201).json["journal_id"]),
        );
    }

    async fn pictures(&mut self) {
        let bytes = pictures::jpeg(40, 30, 1);
        for label in ["announced", "sent"] {
            let event = self.id("event").to_string();
            let upload = pictures::announce(self.client("host"), "event", &event, &bytes).await;
            if label == "sent" {
                let sent = pictures::send(&self.hall.server, &upload, &bytes).await;
                sent.expect(204);
            }
            self.note(label, "media_upload", uuid(&upload["id"]));
        }
    }

    async fn money(&mut self) {
        let path = format!("/organizations/{}/onboarding", self.id("organization"));
        let body = json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"});
        self.client("host").post(&path, body).await.expect(200);
        let account = format!(
            "select stripe_account_id from app.connected_accounts where owner_id = '{}'",
            self.id("organization")
        );
        let account: String = self.one(account).await;
        self.hall.stripe.fake.onboard(&account).expect("an account");
        let (buyers, providers) = (self.card("buyer").await, self.card("provider").await);
        self.note("card", "payment_method", buyers);
        self.note("provider's card", "payment_method", providers);
        self.deliver().await;
        let cart = self.cart("event", "seat");
        let pending = self.keyed("buyer", "/orders", cart).await.expect(201);
        self.note("unpaid order", "order", uuid(&pending.json["id"]));
    }

    async fn subscription(&mut self) {
        let providers = self.id("provider's card");
        let path = format!("/businesses/{}/subscription", self.id("business"));
        let body = json!({"plan_id": self.id("plan"), "payment_method_id": providers});
        let begun = self.keyed("provider", &path, body).await.expect(200);
        self.note("subscription", "subscription", uuid(&begun.json["id"]));
        self.deliver().await;
    }

    /// Another accepted quote, whose fee is paid.
    async fn paid_fee(&mut self) {
        let quote: Uuid = self
            .one(format!(
                "with asked as (
                   insert into app.service_requests (city_id, host_type, host_id, title, category, description)
                   values ('{city}', 'organization', '{host}', 'Another', 'catering', 'For ten') returning id
                 ), told as (
                   insert into app.leads (service_request_id, business_id, title, details)
                   select id, '{business}', 'Another', 'For ten' from asked returning id
                 )
                 insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state, accepted_at, fee_cents, fee_paid_by,
                   fee_decided_at)
                 select id, 9000, 'AUD', 'Now', now() + interval '9 days', 'accepted', now(), 900, 'provider', now() from told returning id",
                city = self.id("city"),
                host = self.id("organization"),
                business = self.id("business")
            ))
            .await;
        self.note("paid quote", "quote", quote);
        let lead = format!("select lead_id from app.quotes where id = '{quote}'");
        let lead: Uuid = self.one(lead).await;
        self.note("paid lead", "lead", lead);
        let request = format!("select service_request_id from app.leads where id = '{lead}'");
        let request: Uuid = self.one(request).await;
        self.note("paid request", "service_request", request);
        let path = format!("/quotes/{quote}/fee-payments");
        let body = json!({"payment_method_id": self.id("provider's card")});
        self.keyed("provider", &path, body).await.expect(200);
        self.deliver().await;
    }

    pub async fn deliver(&self) {
        self.hall.stripe.deliver(&self.hall.server).await;
    }

    async fn card(&mut self, member: &str) -> Uuid {
        let setup = self
            .keyed(member, "/payment-methods/setups", Value::Null)
            .await;
        let setup = setup.expect(200);
        let page = text(&setup.json["page_url"]);
        let id = page.rsplit('/').next().expect("an id");
        let fake = &self.hall.stripe.fake;
        fake.pay_as_buyer(fake_stripe::Intent::Setup, id, "4242424242424242")
            .expect("a card");
        self.deliver().await;
        let card = format!(
            "select id from app.payment_methods where user_id = '{}' order by id desc limit 1",
            self.id(member)
        );
        self.one(card).await
    }

    /// The rows on which this one depends, itself included: what it belongs to, and so on. A reference that is
    /// detached when its target is archived says that the row goes on without it.
    pub async fn foundations(&mut self, of: &Named) -> BTreeSet<Named> {
        let (mut found, mut next) = (BTreeSet::new(), VecDeque::from([of.clone()]));
        while let Some(row) = next.pop_front() {
            if !found.insert(row.clone()) {
                continue;
            }
            let stored: Option<Value> = sqlx::query_scalar(AssertSqlSafe(format!(
                "select to_jsonb(t) from {} t where id = '{}'",
                row.table(),
                row.id
            )))
            .fetch_optional(&mut *self.conn)
            .await
            .expect("looked");
            let Some(stored) = stored else { continue };
            for relation in &model().entities[row.entity].belongs {
                let id = stored[relation.id_column()].as_str();
                if let (Some(id), true) = (id, relation.on_archive != OnArchive::Detach) {
                    let entity = match relation.type_column() {
                        Some(column) => named(text(&stored[column.as_str()]), Uuid::nil()).entity,
                        None => relation.targets[0],
                    };
                    let id = id.parse().expect("an id");
                    next.push_back(Named { entity, id });
                }
            }
        }
        found
    }

    /// Two columns of a row.
    pub async fn pair(&mut self, of: &Named, one: &str, other: &str) -> (Uuid, Option<Uuid>) {
        let text = format!(
            "select {one}, {other} from {} where id = '{}'",
            of.table(),
            of.id
        );
        let found = sqlx::query_as(AssertSqlSafe(text)).fetch_one(&mut *self.conn);
        found.await.expect("the row")
    }

    /// The label of a row; rows without one are called by their entity.
    pub fn label(&self, row: &Named) -> String {
        let known = self.rows.iter().find(|(_, one)| *one == row);
        known.map_or_else(|| format!("a {}", row.kind()), |(label, _)| label.clone())
    }
}

pub fn named(entity: &str, id: Uuid) -> Named {
    let (entity, _) = model().entity(entity).expect("an entity");
    Named { entity, id }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn uuid(value: &Value) -> Uuid {
    text(value).parse().expect("an id")
}
