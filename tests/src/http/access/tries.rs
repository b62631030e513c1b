//! The requests with which hand-written operations are tried: rows related to the caller, valid bodies, and changes by
//! a superuser that relate a row to the caller.

use super::Operation;
use crate::{
    http::{
        people::Persona,
        rows::{about, id},
    },
    rules::{
        oracle::text,
        world::{Row, World},
    },
    support::{Answer, Client, Superuser, TestServer, model, resources},
};
use codegen::model::{Entity, EntityId};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::{cmp::Reverse, collections::HashMap};
use uuid::Uuid;

/// Paths below `/me` and `/media` whose id is that of another entity than the first word says.
const OTHERS: [(&str, &str); 4] = [
    ("/media/uploads/{id}/complete", "media_upload"),
    ("/media/uploads/{id}/file", "media_upload"),
    ("/me/identities/{id}", "external_identity"),
    ("/me/sessions/{id}", "session"),
];

/// A caller, and how closely each row is related to the caller.
pub struct Sight<'a> {
    pub person: &'a Persona,
    /// Distances by id. 0: the caller's account, or what the caller has a role of; 1: what refers to these; and so on.
    distances: HashMap<String, u8>,
}

impl<'a> Sight<'a> {
    fn of(world: &World, person: &'a Persona) -> Self {
        let own = about(person, world).into_iter().map(|id| (id, 0));
        let mut distances: HashMap<String, u8> = own.collect();
        for step in 1..=3 {
            let refers = |row: &&Row| {
                let mut values = row.iter().filter(|(name, _)| *name != "id");
                values.any(|(_, value)| value.as_str().is_some_and(|id| distances.contains_key(id)))
            };
            let ids = (world.rows.iter().flatten())
                .filter(refers)
                .filter_map(|row| text(row, "id"));
            let found: Vec<String> = ids
                .filter(|id| !distances.contains_key(*id))
                .map(str::to_owned)
                .collect();
            distances.extend(found.into_iter().map(|id| (id, step)));
        }
        Self { person, distances }
    }

    fn distance(&self, id: Option<&str>) -> u8 {
        let known = id.and_then(|id| self.distances.get(id));
        known.copied().unwrap_or(u8::MAX)
    }
}

pub struct Stage<'a> {
    server: &'a TestServer,
    document: &'a Value,
    world: &'a World,
    pub sights: Vec<Sight<'a>>,
}

impl<'a> Stage<'a> {
    pub fn new(
        server: &'a TestServer,
        document: &'a Value,
        world: &'a World,
        people: &'a [Persona],
    ) -> Self {
        let sights = people.iter().map(|person| Sight::of(world, person));
        Self {
            server,
            document,
            world,
            sights: sights.collect(),
        }
    }

    /// The entity whose id the path contains.
    pub fn entity(&self, path: &str) -> Option<EntityId> {
        let first = path.split('/').nth(1)?;
        let other = OTHERS.iter().find(|(known, _)| *known == path);
        let named = resources().values().find(|one| one.path == first);
        match other {
            Some((_, name)) => model().entity(name).map(|(id, _)| id),
            None => named.map(|resource| id(resource)),
        }
    }

    /// The rows of an entity: the most closely related first, active ones before others, then the newest.
    fn nearest(&self, entity: EntityId, sight: &Sight<'_>) -> Vec<&'a Row> {
        let mut rows: Vec<&Row> = self.world.rows[entity].iter().collect();
        rows.sort_by_cached_key(|row| {
            let is_over = text(row, "status").is_some_and(|status| status != "active");
            let id = text(row, "id").map(str::to_owned);
            (sight.distance(id.as_deref()), is_over, Reverse(id))
        });
        rows
    }

    fn nearest_of(&self, name: &str, sight: &Sight<'_>) -> Vec<&'a Row> {
        let (entity, _) = model().entity(name).expect("an entity");
        self.nearest(entity, sight)
    }

    /// The rows to try, at most `most`. If the path contains no id, a single try without a row.
    pub fn rows(
        &self,
        operation: &Operation<'_>,
        sight: &Sight<'_>,
        most: usize,
    ) -> Vec<Option<&'a Row>> {
        let named = operation.path.contains("{id}");
        let entity = self.entity(operation.path).filter(|_| named);
        let rows = entity.map(|entity| self.nearest(entity, sight));
        match rows {
            Some(rows) if !rows.is_empty() => rows.into_iter().take(most).map(Some).collect(),
            _ => vec![None],
        }
    }

    pub async fn send(
        &self,
        operation: &Operation<'_>,
        sight: &Sight<'_>,
        row: Option<&Row>,
    ) -> Answer {
        let target = self.target(operation, sight, row);
        let body = self.body(operation, sight, row);
        let key = Uuid::now_v7().to_string();
        let headers = [("if-match", "*"), ("idempotency-key", key.as_str())];
        // In a new session, since some operations end it.
        let client: Client = match sight.person.me {
            Some(me) => self.server.sign_in(me).await.client,
            None => sight.person.client.clone(),
        };
        let method = operation.method.clone();
        client.send(method, &target, body, &headers).await
    }

    fn target(&self, operation: &Operation<'_>, sight: &Sight<'_>, row: Option<&Row>) -> String {
        let id = row.and_then(|row| text(row, "id")).map(str::to_owned);
        let path = operation
            .path
            .replace("{id}", &id.unwrap_or_else(|| Uuid::nil().to_string()))
            .replace("{currency}", "AUD")
            .replace("{file}", "events.json")
            .replace("{slug}", "not-found");
        let parameters = operation.said["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        let needed = parameters
            .map(|one| crate::support::documented::resolved(self.document, one))
            .filter(|one| one["in"] == "query" && one["required"] == true);
        let values = needed.map(|one| {
            let name = one["name"].as_str().expect("a name");
            let value = match name {
                "city_id" => text(self.nearest_of("city", sight)[0], "id").expect("an id"),
                "q" => "music",
                "bbox" => "144.5,-38.2,145.5,-37.5",
                "token" => "none",
                "key" => "0123456789abcdef",
                other => panic!("add a value for the parameter `{other}`"),
            };
            format!("{name}={value}")
        });
        let query: Vec<String> = values.collect();
        match query.is_empty() {
            true => path,
            false => format!("{path}?{}", query.join("&")),
        }
    }

    /// A valid body that refers to rows related to the caller. Operations that are not listed here get an empty one.
    fn body(
        &self,
        operation: &Operation<'_>,
        sight: &Sight<'_>,
        row: Option<&Row>,
    ) -> Option<Value> {
        let takes_one = operation.said["requestBody"].is_object();
        let me = sight.person.me.unwrap_or_default();
        let word = Uuid::now_v7().simple().to_string();
        let unique = &word[word.len() - 12..];
        let body = match operation.id() {
            "createOrder" | "priceOrder" => self.cart(self.on_sale()),
            "sellAtDoor" => self.cart(self.own_ticket_type(sight)),
            "scanTicket" => {
                let event = &self.own_ticket_type(sight)["event_id"];
                json!({"event_id": event, "code": "nothing", "nonce": Uuid::new_v4()})
            }
            "scanTickets" => {
                let event = &self.own_ticket_type(sight)["event_id"];
                let scan = json!({"code": "nothing", "nonce": Uuid::new_v4(), "at": "2026-11-01T10:00:00Z"});
                json!({"event_id": event, "scans": [scan]})
            }
            "copyEvent" => json!({"starts_at": "2040-05-01T18:00:00Z"}),
            "confirmFraud" | "dismissFraud" => json!({"note": "Looked at it"}),
            id if id.starts_with("onboard") => {
                json!({"return_url": "https://example.org/done", "refresh_url": "https://example.org/again"})
            }
            "subscribeBusiness" => json!({"plan_id": self.nearest_of("plan", sight)[0]["id"]}),
            "changeSubscriptionPlan" => json!({"plan_id": row.map(|row| &row["plan_id"])}),
            "changeSubscriptionCard" => {
                json!({"payment_method_id": self.nearest_of("payment_method", sight)[0]["id"]})
            }
            "announcePicture" => {
                json!({"entity_type": "user", "entity_id": me, "content_type": "image/png", "bytes": 1000,
                    "sha256": "0".repeat(64)})
            }
            "pricePromotion" => {
                let business = self.nearest_of("business", sight)[0];
                json!({"target_type": "business", "target_id": business["id"], "city_id": business["city_id"], "slot": "home",
                    "starts_at": "2040-05-01T00:00:00Z", "ends_at": "2040-05-04T00:00:00Z"})
            }
            "offerTicket" => json!({"to_id": self.somebody_else(sight)}),
            "priceCommissionProposal" => json!({"price_cents": 4500, "quantity": 2}),
            "reverseJournal" => json!({"reason": "Booked by mistake"}),
            "dismissStripeEvent" => json!({"reason": "Of an account that was deleted"}),
            "fundBudget" => json!({"amount_cents": 1000, "reference": "A test"}),
            "giveCredits" => {
                json!({"user_id": self.somebody_else(sight), "kind": "event_credit", "amount_cents": 100, "currency": "AUD",
                    "reference": "A test"})
            }
            "forgotPassword" => json!({"email": "somebody@example.org"}),
            "changeEmail" => json!({"email": format!("{unique}@example.org")}),
            "signUp" => {
                json!({"email": format!("{unique}@example.org"), "handle": format!("m{unique}"), "display_name": "Somebody"})
            }
            "replaceMe" => json!({"display_name": "Somebody"}),
            _ => json!({}),
        };
        takes_one.then_some(body)
    }

    fn cart(&self, ticket_type: &Row) -> Value {
        json!({"event_id": ticket_type["event_id"], "items": [{"ticket_type_id": ticket_type["id"], "quantity": 1}]})
    }

    fn active(&self, name: &str) -> impl Iterator<Item = &'a Row> + use<'a> {
        let (entity, _) = model().entity(name).expect("an entity");
        let rows = self.world.rows[entity].iter();
        rows.filter(|row| text(row, "status") == Some("active"))
    }

    /// A ticket type of a public event.
    fn on_sale(&self) -> &'a Row {
        let is_open = |row: &&Row| {
            text(row, "state") == Some("published") && text(row, "visibility") == Some("public")
        };
        let events: Vec<&Value> = (self.active("event").filter(is_open))
            .map(|event| &event["id"])
            .collect();
        let mut types = self.active("ticket_type");
        types
            .find(|one| events.contains(&&one["event_id"]))
            .expect("a ticket type")
    }

    /// A ticket type of the event that is most closely related to the caller.
    fn own_ticket_type(&self, sight: &Sight<'_>) -> &'a Row {
        let types = self.active("ticket_type");
        types
            .min_by_key(|one| sight.distance(text(one, "event_id")))
            .expect("a ticket type")
    }

    /// The id of another member with a public profile.
    fn somebody_else(&self, sight: &Sight<'_>) -> &'a Value {
        let me = sight.person.me.map(|me| me.to_string());
        let mut users = self.active("user");
        let other = users.find(|row| row["is_public"] == true && text(row, "id") != me.as_deref());
        &other.expect("somebody")["id"]
    }
}

/// A superuser's connection, for which no rules apply.
pub struct Hand(Superuser);

impl Hand {
    pub async fn of(server: &TestServer) -> Self {
        let mut conn = server.superuser().await;
        sqlx::raw_sql("set session_replication_role = replica")
            .execute(&mut conn)
            .await
            .expect("no triggers");
        Self(conn)
    }

    /// Statements that relate the row to a caller: set each of its references to a member, then give the caller's role
    /// for the row or for what it refers to.
    pub fn changes(&self, entity: EntityId, row: &Row, person: &Persona) -> Vec<String> {
        let Some(me) = person.me else {
            return Vec::new();
        };
        let entity = &model().entities[entity];
        let id = text(row, "id").expect("an id");
        let mut changes = Vec::new();
        for relation in &entity.belongs {
            if !relation.targets.contains(&model().identity) {
                continue;
            }
            let kind = relation.type_column();
            let kind = kind.map_or(String::new(), |column| format!(", {column} = 'user'"));
            changes.push(format!(
                "update app.{} set {} = '{me}'{kind} where id = '{id}'",
                entity.plural,
                relation.id_column()
            ));
        }
        let scopes = scopes(entity, row).into_iter().filter(|(kind, _)| {
            let is_city = kind == "city";
            match person.class {
                "cityAdmin" => is_city,
                "orgAdmin" => !is_city,
                _ => false,
            }
        });
        changes.extend(scopes.map(|(kind, scope)| {
            format!(
                "set session_replication_role = origin;
                 insert into app.role_assignments (user_id, role, scope_type, scope_id, state)
                 select '{me}', '{}', '{kind}', '{scope}', 'accepted' on conflict do nothing;
                 set session_replication_role = replica",
                person.class
            )
        }));
        changes
    }

    /// Restores the row's original state for the next try, whatever has happened to it.
    pub async fn put_back(&mut self, entity: EntityId, row: &Row) {
        let table = &model().entities[entity].plural;
        let columns: Vec<String> = sqlx::query_scalar(
            "select column_name::text from information_schema.columns
             where table_schema = 'app' and table_name = $1 and is_generated = 'NEVER'",
        )
        .bind(table)
        .fetch_all(&mut self.0)
        .await
        .expect("columns");
        let again: Vec<String> = columns
            .iter()
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let (columns, again) = (columns.join(", "), again.join(", "));
        let text = format!(
            "insert into app.{table} ({columns}) select {columns} from jsonb_populate_record(null::app.{table}, $1)
             on conflict (id) do update set {again}"
        );
        sqlx::query(AssertSqlSafe(text))
            .bind(Value::Object(row.clone()))
            .execute(&mut self.0)
            .await
            .unwrap_or_else(|error| panic!("{table}: {error}"));
    }

    /// Runs such a statement; if the table refuses it, nothing changes.
    pub async fn make(&mut self, change: &str) {
        let _ = sqlx::raw_sql(AssertSqlSafe(change.to_owned()))
            .execute(&mut self.0)
            .await;
    }
}

/// The row itself and what it refers to, if roles can be held of them: kind and id.
fn scopes(entity: &Entity, row: &Row) -> Vec<(String, String)> {
    const SCOPES: [&str; 6] = [
        "business",
        "city",
        "community",
        "institution",
        "organization",
        "venue",
    ];
    let own = text(row, "id").map(|id| (entity.name.clone(), id.to_owned()));
    let referred = entity.belongs.iter().filter_map(|relation| {
        let id = text(row, &relation.id_column())?.to_owned();
        let kind = match relation.type_column() {
            Some(column) => text(row, &column)?.to_owned(),
            None => model().entities[*relation.targets.first()?].name.clone(),
        };
        Some((kind, id))
    });
    let all = own.into_iter().chain(referred);
    all.filter(|(kind, _)| SCOPES.contains(&kind.as_str()))
        .collect()
}
