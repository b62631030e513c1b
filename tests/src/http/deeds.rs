//! Finds for every mutating operation a row and a member who may do it, and does it: for tests that need real changes.
//!
//! Permissions are computed with the rules as data. Conditions of transitions and unique values are not: if the
//! operation fails for one row, the next is tried.

use super::{
    bodies,
    expect::{expected, is_held_back},
    operations::{self, Kind, Operation},
    people::{self, Persona},
    rows::{self, set_status},
};
use crate::{
    rules::{
        oracle::{Oracle, status, text},
        world::{Row, World},
    },
    support::{Answer, Superuser, TestServer, model, server::settled},
};
use kernel::resource::{Lifecycle, Resource};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// The numbers of rows of an entity that are considered, and that are tried.
const CONSIDERED: usize = 400;
const TRIED: usize = 6;
/// The maximum numbers of rows around a row, and of members among them, that are considered.
const MANY: usize = 40;
const PEOPLE: usize = 16;

pub struct Deeds<'w> {
    server: &'w TestServer,
    world: &'w World,
    pub conn: Superuser,
    /// Members whose accounts and roles must not change.
    spared: &'w [Persona],
    index: HashMap<&'w str, &'w Row>,
    people: BTreeMap<Uuid, (Persona, Oracle<'w>)>,
    /// Rows that deeds have changed, in their present state.
    changed: BTreeMap<(&'static str, String), Row>,
    /// A counter for each entity, from which unique values are made, so that they do not depend on other entities.
    serials: BTreeMap<&'static str, u32>,
}

/// An operation that a member may do on a row.
pub struct Deed {
    pub operation: Operation,
    pub row: Row,
    pub body: Option<Value>,
    /// The member, as a key of [`Deeds::person`].
    pub by: Uuid,
}

impl Deed {
    pub fn path(&self) -> String {
        self.operation.path(text(&self.row, "id").expect("an id"))
    }

    pub fn headers(&self) -> &'static [(&'static str, &'static str)] {
        match self.operation.kind {
            Kind::Create => &[],
            _ => &[("if-match", "*")],
        }
    }

    pub async fn send(&self, person: &Persona) -> Answer {
        let method = self.operation.method();
        person
            .client
            .send(method, &self.path(), self.body.clone(), self.headers())
            .await
    }
}

/// Every mutating operation, in an order in which earlier ones prepare for later ones.
pub fn mutations() -> Vec<Operation> {
    let order = |operation: &Operation| match operation.kind {
        // No row refers to a new row yet, so it can be archived.
        Kind::Create => 0,
        Kind::Merge => 1,
        Kind::Replace => 2,
        Kind::Transition(_) => 3,
        Kind::Suspend => 4,
        Kind::Unsuspend => 5,
        Kind::Archive => 6,
        _ => 7,
    };
    let mut all = Vec::new();
    for resource in generated::hooks::RESOURCES {
        let mut own = operations::of(resource);
        own.retain(Operation::mutates);
        own.sort_by_key(order);
        all.extend(own);
    }
    all
}

impl<'w> Deeds<'w> {
    pub async fn new(server: &'w TestServer, world: &'w World, spared: &'w [Persona]) -> Self {
        let mut conn = server.superuser().await;
        // All countries exist already; these are archived so that they can be created.
        sqlx::query("update app.countries set status = 'archived' where code = any($1)")
            .bind(&NEW_COUNTRIES[..])
            .execute(&mut conn)
            .await
            .expect("archived");
        Self {
            server,
            world,
            spared,
            conn,
            index: world
                .rows
                .iter()
                .flatten()
                .map(|row| (text(row, "id").expect("an id"), row))
                .collect(),
            people: BTreeMap::new(),
            changed: BTreeMap::new(),
            serials: BTreeMap::new(),
        }
    }

    /// The member who does a planned deed.
    pub fn person(&self, id: Uuid) -> &Persona {
        &self.people[&id].0
    }

    /// Some deeds of this operation that the rules allow: on rows in the required state, then on rows that a superuser
    /// brings into that state.
    pub async fn plan(&mut self, operation: Operation) -> Vec<Deed> {
        let (ready, others): (Vec<Row>, Vec<Row>) = self
            .at_hand(operation.resource)
            .into_iter()
            .partition(|row| starts(&operation, row));
        let mut deeds = self.among(&operation, ready).await;
        let made_ready = others
            .iter()
            .filter_map(|row| made_ready(&operation, row))
            .collect();
        deeds.extend(self.among(&operation, made_ready).await);
        deeds
    }

    async fn among(&mut self, operation: &Operation, rows: Vec<Row>) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for row in rows {
            for by in self.allowed(operation, &row).await {
                let serial = self.serials.entry(operation.resource.name).or_default();
                *serial += 1;
                let body = match operation.kind {
                    Kind::Create => Some(fresh(operation.resource, &row, *serial)),
                    _ => bodies::body(operation, &row),
                };
                deeds.push(Deed {
                    operation: *operation,
                    row: row.clone(),
                    body,
                    by,
                });
            }
            if deeds.len() >= TRIED {
                break;
            }
        }
        deeds
    }

    /// Brings the row into the required state. Must be called before the deed is sent.
    pub async fn prepare(&mut self, deed: &Deed) {
        // Waits for the effects of earlier deeds.
        settled(&mut self.conn).await;
        let resource = deed.operation.resource;
        let state =
            text(&deed.row, "state").filter(|_| matches!(deed.operation.kind, Kind::Transition(_)));
        let mut sets: Vec<String> = state
            .map(|state| format!("state = '{state}'"))
            .into_iter()
            .collect();
        let title = deed.operation.title();
        let extra = CONDITIONS.iter().find(|(name, _)| *name == title);
        sets.extend(extra.map(|(_, set)| (*set).to_owned()));
        if resource.lifecycle == Lifecycle::SoftDelete {
            set_status(&mut self.conn, resource, &deed.row, status(&deed.row)).await;
        }
        if !sets.is_empty() {
            rows::set(&mut self.conn, resource, &deed.row, &sets.join(", ")).await;
        }
    }

    /// Sends the deed. If a new row conflicts with the row of which it is a copy, that row is archived first.
    pub async fn carry_out(&mut self, deed: &Deed) -> Answer {
        let resource = deed.operation.resource;
        let mut answer = deed.send(&self.people[&deed.by].0).await;
        let create = matches!(deed.operation.kind, Kind::Create);
        if create && answer.status == 409 && resource.lifecycle == Lifecycle::SoftDelete {
            set_status(&mut self.conn, resource, &deed.row, "archived").await;
            self.remember(resource, text(&deed.row, "id").expect("an id"))
                .await;
            answer = deed.send(&self.people[&deed.by].0).await;
        }
        let place = answer
            .header("location")
            .and_then(|place| place.rsplit('/').next());
        match (create, place) {
            (true, Some(id)) => {
                self.remember(resource, id).await;
                // A value with `moves` may have been taken from it.
                self.remember(resource, text(&deed.row, "id").expect("an id"))
                    .await;
            }
            (true, None) => {}
            _ => {
                self.remember(resource, text(&deed.row, "id").expect("an id"))
                    .await
            }
        }
        answer
    }

    async fn remember(&mut self, resource: &'static Resource, id: &str) {
        let now = rows::stands(&mut self.conn, resource, id).await;
        let row = serde_json::from_str(&now).expect("a row");
        self.changed.insert((resource.name, id.to_owned()), row);
    }

    fn at_hand(&self, resource: &'static Resource) -> Vec<Row> {
        let changed = self
            .changed
            .iter()
            .filter(|(key, _)| key.0 == resource.name);
        let mut rows: Vec<Row> = changed.map(|(_, row)| row.clone()).collect();
        let known: BTreeSet<String> = rows
            .iter()
            .filter_map(|row| text(row, "id").map(str::to_owned))
            .collect();
        let all = self.world.rows[rows::id(resource)].iter().take(CONSIDERED);
        rows.extend(
            all.filter(|row| !people::is_askers(row, self.spared))
                .filter(|row| !known.contains(text(row, "id").expect("an id")))
                .cloned(),
        );
        rows
    }

    /// Members related to the row who may do this, apart from the version and unique values: one, or several if the
    /// preparation may have removed the first one's role.
    async fn allowed(&mut self, operation: &Operation, row: &Row) -> Vec<Uuid> {
        let costly = matches!(operation.kind, Kind::Restore | Kind::Create);
        let wanted = if costly { 3 } else { 1 };
        let mut found = Vec::new();
        for id in self.near(row).into_iter().take(PEOPLE) {
            if !self.people.contains_key(&id) {
                let person = people::somebody(self.server, id).await;
                let oracle = people::oracle(self.world, &person);
                self.people.insert(id, (person, oracle));
            }
            let (person, oracle) = &self.people[&id];
            let fits = expected(operation, row, person, oracle);
            let may = fits.contains(&412) && !is_held_back(operation, row, oracle);
            if may || fits.contains(&201) {
                found.push(id);
            }
            if found.len() == wanted {
                break;
            }
        }
        found
    }

    /// Members to whom the row refers, or who have a role of something that it refers to, directly or in a few steps.
    fn near(&self, row: &Row) -> Vec<Uuid> {
        let model = model();
        let mut names = ids(row);
        for step in 1..=2 {
            for at in 0..names.len() {
                let further = self.index.get(names[at].as_str()).map(|row| ids(row));
                for id in further.into_iter().flatten() {
                    if !names.contains(&id) {
                        names.push(id);
                    }
                }
            }
            if step == 1 && names.len() > MANY {
                break;
            }
        }
        let mut near: Vec<Uuid> = Vec::new();
        let mut add = |id: &str| {
            let id: Uuid = id.parse().expect("an id");
            if !near.contains(&id) {
                near.push(id);
            }
        };
        for name in &names {
            if self.world.row(model.identity, name).is_some() {
                add(name);
            }
        }
        for held in &self.world.rows[model.assignments] {
            let scope = text(held, "scope_id");
            if scope.is_none_or(|scope| names.iter().any(|name| name == scope)) {
                add(text(held, "user_id").expect("a holder"));
            }
        }
        near.retain(|id| {
            self.world
                .row(model.identity, &id.to_string())
                .is_some_and(|row| status(row) == "active")
        });
        near
    }
}

/// Further conditions of transitions that no row of the demonstration fulfils.
const CONDITIONS: [(&str, &str); 2] = [
    ("POST /promotions/{id}/approve", "paid_at = now()"),
    ("POST /quotes/{id}/expire", "valid_until = now()"),
];

fn starts(operation: &Operation, row: &Row) -> bool {
    let soft = operation.resource.lifecycle == Lifecycle::SoftDelete;
    (!soft || status(row) == wanted_status(operation)) && starts_in(operation, row)
}

fn wanted_status(operation: &Operation) -> &'static str {
    match operation.kind {
        Kind::Restore => "archived",
        Kind::Unsuspend => "suspended",
        _ => "active",
    }
}

fn starts_in(operation: &Operation, row: &Row) -> bool {
    match operation.kind {
        Kind::Transition(transition) if !transition.from.is_empty() => {
            text(row, "state").is_some_and(|state| transition.from.contains(&state))
        }
        _ => true,
    }
}

/// The row in the required status and state, if these are all that is missing.
fn made_ready(operation: &Operation, row: &Row) -> Option<Row> {
    let soft = operation.resource.lifecycle == Lifecycle::SoftDelete;
    let mut row = row.clone();
    if soft && status(&row) != "active" {
        return None;
    }
    if soft {
        row.insert("status".into(), wanted_status(operation).into());
    }
    if let (Kind::Transition(transition), false) = (operation.kind, starts_in(operation, &row)) {
        row.insert("state".into(), transition.from[0].into());
    }
    starts(operation, &row).then_some(row)
}

/// All ids in a row, its own first.
fn ids(row: &Row) -> Vec<String> {
    let own = row.get("id").into_iter();
    let texts = own.chain(row.values()).filter_map(Value::as_str);
    texts
        .filter(|text| Uuid::try_parse(text).is_ok())
        .map(str::to_owned)
        .collect()
}

/// A body like the row, with new values where they must be unique.
pub fn fresh(resource: &Resource, row: &Row, serial: u32) -> Value {
    let entity = operations::entity(model(), resource);
    let mut body = bodies::create(resource, row);
    let unique: BTreeSet<&str> = entity
        .unique
        .iter()
        .flatten()
        .map(String::as_str)
        .chain(
            entity
                .fields
                .iter()
                .filter(|field| field.unique)
                .map(|field| field.name.as_str()),
        )
        .collect();
    for name in unique {
        if let Some(value) = body
            .get(name)
            .and_then(|_| entity.field(name))
            .and_then(|field| other(&field.ty, serial))
        {
            body[name] = value.into();
        }
    }
    for exclude in &entity.exclude {
        // A month of its own, outside of the range of existing rows.
        let (year, month) = (2100 + serial / 12, 1 + serial % 12);
        body[&exclude.from] = format!("{year}-{month:02}-01T00:00:00Z").into();
        body[&exclude.to] = format!("{year}-{month:02}-28T00:00:00Z").into();
    }
    body
}

/// Countries without cities in the reference data.
const NEW_COUNTRIES: [&str; 8] = ["AQ", "BV", "HM", "IO", "MS", "PW", "TK", "UM"];

fn other(ty: &codegen::model::Ty, serial: u32) -> Option<String> {
    use codegen::model::Ty;
    match ty {
        Ty::Text { min, .. } => Some(format!("FRESH{serial:0>width$}", width = *min as usize)),
        Ty::Slug { .. } => Some(format!("fresh-{serial}")),
        Ty::Country => Some(NEW_COUNTRIES[serial as usize % NEW_COUNTRIES.len()].to_owned()),
        _ => None,
    }
}
