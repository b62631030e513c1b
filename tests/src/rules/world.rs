//! A random world: every table filled from the model, with rows of every status, so that rules are tested with cases
//! that nobody thought of. Deterministic for a seed, and separately for each entity: the random numbers depend on the
//! entity's name, so another entity in the spec doesn't change its rows.
//!
//! Written as a superuser, so that constraints apply and access rules don't.

mod values;

use codegen::model::{Entity, EntityId, Expr, Field, Lifecycle, Literal, Model, Relation};
use fastrand::Rng;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

pub type Row = Map<String, Value>;

pub struct World {
    /// Rows by entity, in order of insertion; columns as `to_jsonb` returns them.
    pub rows: Vec<Vec<Row>>,
    by_id: HashMap<(EntityId, String), usize>,
}

impl World {
    pub fn row(&self, entity: EntityId, id: &str) -> Option<&Row> {
        self.by_id
            .get(&(entity, id.to_owned()))
            .map(|&at| &self.rows[entity][at])
    }
}

/// Fills every table with about `size` rows and reads them back. In worlds of even seeds, rows below suspended ones
/// are common; every other one of these is large.
pub async fn make(conn: &mut PgConnection, model: &Model, seed: u64, size: usize) -> World {
    let is_rough = seed.is_multiple_of(2);
    let size = if seed.is_multiple_of(4) {
        size * 2
    } else {
        size
    };
    let mut filler = Filler {
        model,
        seed,
        rng: Rng::with_seed(seed),
        ids: vec![Vec::new(); model.entities.len()],
        turns: vec![0; model.entities.len()],
        serials: vec![0; model.entities.len()],
        at: 0,
        hours: 0,
        is_rough,
    };
    for entity in order(model) {
        // Roles decide most rules, so there are many, and some actor has each kind.
        let size = if entity == model.assignments {
            size * 6
        } else {
            size
        };
        filler.fill(conn, entity, size).await;
    }
    for entity in 0..model.entities.len() {
        filler.shake(conn, entity).await;
        filler.end_one(conn, entity).await;
        some_ended_by_themselves(conn, &model.entities[entity]).await;
    }
    read(conn, model).await
}

/// Every other archived row about a person was archived by that person.
async fn some_ended_by_themselves(conn: &mut PgConnection, entity: &Entity) {
    let table = &entity.plural;
    for relation in entity.belongs.iter().filter(|r| r.consents) {
        let text = format!(
            "update app.{table} set {} = true where id in (
               select id from (select id, row_number() over (order by id) as n from app.{table} where status = 'archived') x
               where n % 2 = 0)",
            relation.ended_column()
        );
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *conn)
            .await
            .expect("ended");
    }
}

/// Inserts rows into empty tables, by and about these people, so that suites over all entities find rows even of an
/// entity without sample data. Returns the entities' names.
pub async fn fill_empty<'m>(
    conn: &mut PgConnection,
    model: &'m Model,
    people: &[Uuid],
) -> Vec<&'m str> {
    let there = read(conn, model).await;
    let mut filler = Filler {
        model,
        seed: 1,
        rng: Rng::with_seed(1),
        ids: (there.rows.iter().zip(&model.entities))
            .map(|(rows, entity)| references(entity, rows))
            .collect(),
        turns: vec![0; model.entities.len()],
        serials: vec![0; model.entities.len()],
        at: 0,
        hours: 0,
        is_rough: false,
    };
    filler.ids[model.identity].retain(|(id, _)| people.iter().any(|one| one.to_string() == *id));
    sqlx::raw_sql("begin")
        .execute(&mut *conn)
        .await
        .expect("begin");
    let mut filled = Vec::new();
    for id in order(model) {
        let entity = &model.entities[id];
        if there.rows[id].is_empty() && !entity.internal {
            filler.fill(conn, id, 12).await;
            filled.push(entity.name.as_str());
        }
    }
    sqlx::raw_sql("commit").execute(conn).await.expect("commit");
    filled
}

/// Values that new rows which refer to these rows must have too.
fn references(entity: &Entity, rows: &[Row]) -> Vec<(String, HashMap<String, String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // Other entities may have a field `status` with another meaning.
    let has_status = entity.lifecycle == Lifecycle::SoftDelete;
    let live = rows
        .iter()
        .filter(|row| !has_status || row["status"] == "active");
    live.filter_map(|row| {
        let columns = row.iter().filter(|(name, _)| name.ends_with("_id"));
        let quoted = columns.filter_map(|(name, value)| Some((name.clone(), quote(&text(value)?))));
        Some((text(row.get("id")?)?, quoted.collect()))
    })
    .collect()
}

pub async fn read(conn: &mut PgConnection, model: &Model) -> World {
    let mut world = World {
        rows: Vec::new(),
        by_id: HashMap::new(),
    };
    for (id, entity) in model.entities.iter().enumerate() {
        let text = format!(
            "select to_jsonb(t) from app.{} t order by t.id",
            entity.plural
        );
        let rows: Vec<Value> = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&mut *conn)
            .await
            .expect("rows");
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|v| v.as_object().expect("a row").clone())
            .collect();
        for (at, row) in rows.iter().enumerate() {
            world
                .by_id
                .insert((id, row["id"].as_str().expect("id").to_owned()), at);
        }
        world.rows.push(rows);
    }
    world
}

/// Entities in an order in which each comes after those it refers to. In a circle of references, an optional one stays
/// null.
pub fn order(model: &Model) -> Vec<EntityId> {
    let mut done: Vec<EntityId> = Vec::new();
    while done.len() < model.entities.len() {
        let open = (0..model.entities.len()).filter(|id| !done.contains(id));
        let is_there = |relation: &Relation| relation.targets.iter().any(|t| done.contains(t));
        let waits = |id: &EntityId, optional: bool| {
            let mut belongs = model.entities[*id].belongs.iter();
            belongs.any(|relation| !is_there(relation) && (optional || !relation.optional))
        };
        // All targets exist before, so that some row refers to each of them.
        let complete = |id: &EntityId| {
            let mut belongs = model.entities[*id].belongs.iter();
            belongs.all(|relation| relation.targets.iter().all(|t| done.contains(t) || t == id))
        };
        let next = open.clone().find(complete);
        let next = next.or_else(|| open.clone().find(|id| !waits(id, true)));
        let next = next.or_else(|| open.clone().find(|id| !waits(id, false)));
        done.push(next.expect("required references form a circle"));
    }
    done
}

struct Filler<'a> {
    model: &'a Model,
    seed: u64,
    /// The generator for the current entity.
    rng: Rng,
    /// Ids of inserted rows by entity, with the values that referring rows must share.
    ids: Vec<Vec<(String, HashMap<String, String>)>>,
    /// How many times each entity was current.
    turns: Vec<u64>,
    /// The number of values made for each entity, so that none is used twice.
    serials: Vec<u64>,
    /// The current entity.
    at: EntityId,
    /// The last time in the current row, in hours from now.
    hours: i32,
    is_rough: bool,
}

impl Filler<'_> {
    /// Makes an entity current. Later random values depend on it alone, and not on entities filled before.
    fn turn_to(&mut self, id: EntityId) {
        self.turns[id] += 1;
        self.at = id;
        let name = &self.model.entities[id].name;
        self.rng = Rng::with_seed(seed_of(self.seed, self.turns[id], name));
    }

    async fn fill(&mut self, conn: &mut PgConnection, id: EntityId, size: usize) {
        self.turn_to(id);
        let entity = &self.model.entities[id];
        let mut attempts = 0;
        let mut refused = None;
        while self.ids[id].len() < size && attempts < size * 8 {
            attempts += 1;
            let Some(columns) = self.columns(entity) else {
                continue;
            };
            let (names, values): (Vec<&str>, Vec<&str>) = columns
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .unzip();
            let text = format!(
                "insert into app.{} ({}) values ({}) returning id::text",
                entity.plural,
                names.join(", "),
                values.join(", ")
            );
            match attempt(conn, text).await {
                Ok(row_id) => self.ids[id].push((row_id, columns.into_iter().collect())),
                Err(error) => refused = Some(error),
            }
        }
        // References that must agree, such as to rows of the same event, may find none that do; then more rows are
        // needed.
        let agreeing = entity.belongs.iter().filter(|r| !r.same.is_empty());
        let targets: Vec<EntityId> = agreeing.flat_map(|r| r.targets.clone()).collect();
        if self.ids[id].is_empty() && targets.len() > 1 && size < 200 {
            for target in targets {
                Box::pin(self.fill(conn, target, self.ids[target].len() * 2)).await;
            }
            return Box::pin(self.fill(conn, id, size * 2)).await;
        }
        if self.ids[id].is_empty() {
            // Triggers have inserted all rows that are possible.
            let made = format!("select id::text from app.{} limit {size}", entity.plural);
            let made: Vec<String> = sqlx::query_scalar(AssertSqlSafe(made))
                .fetch_all(&mut *conn)
                .await
                .expect("rows");
            self.ids[id].extend(made.into_iter().map(|row_id| (row_id, HashMap::new())));
        }
        assert!(
            !self.ids[id].is_empty(),
            "no row of {} could be made: {refused:?}",
            entity.name
        );
    }

    /// Suspends some rows and archives others, where constraints allow it.
    async fn shake(&mut self, conn: &mut PgConnection, id: EntityId) {
        let entity = &self.model.entities[id];
        if entity.lifecycle != Lifecycle::SoftDelete {
            return;
        }
        self.turn_to(id);
        for at in 0..self.ids[id].len() {
            let status = match (self.rng.u8(0..10), self.is_rough) {
                (0, _) | (2..=4, true) => "suspended",
                (1, _) => "archived",
                _ => continue,
            };
            let text = format!(
                "update app.{} set status = '{status}' where id = '{}' returning id::text",
                entity.plural, self.ids[id][at].0
            );
            // Refused where a relation restricts archiving.
            let _ = attempt(conn, text).await;
        }
    }

    /// Rows that others refer to may not be archived, so one without references is.
    async fn end_one(&mut self, conn: &mut PgConnection, id: EntityId) {
        let entity = &self.model.entities[id];
        if entity.lifecycle != Lifecycle::SoftDelete {
            return;
        }
        self.fill(conn, id, self.ids[id].len() + 1).await;
        let last = self.ids[id].last().expect("filled");
        let text = format!(
            "update app.{} set status = 'archived' where id = '{}' returning id::text",
            entity.plural, last.0
        );
        let _ = attempt(conn, text).await;
    }

    /// Column names and SQL literals of a new row; `None` if there is no row to refer to.
    fn columns(&mut self, entity: &Entity) -> Option<Vec<(String, String)>> {
        let mut columns: Vec<(String, String)> = Vec::new();
        let mut belongs: Vec<&Relation> = entity.belongs.iter().collect();
        // References that determine others come first.
        belongs.sort_by_key(|relation| !relation.same.is_empty());
        for relation in belongs {
            let chosen = if relation.optional && self.rng.u8(0..4) == 0 {
                None
            } else {
                self.reference(entity, relation, &columns)
            };
            match chosen {
                Some((target, id)) => {
                    if let Some(type_column) = relation.type_column() {
                        columns.push((type_column, quote(&self.model.entities[target].name)));
                    }
                    columns.push((relation.id_column(), quote(&id)));
                }
                None if relation.optional => {}
                None => return None,
            }
        }
        self.hours = self.rng.i32(-400..200);
        for field in &entity.fields {
            if field.optional && self.rng.u8(0..3) == 0 {
                continue;
            }
            if let Some(value) = self.accepted(entity, field) {
                columns.push((field.name.clone(), value));
            } else if let Some(value) = self.value(field) {
                columns.push((field.name.clone(), value));
            }
        }
        Some(columns)
    }

    /// Most role assignments are accepted, because an offer decides nothing.
    fn accepted(&mut self, entity: &Entity, field: &Field) -> Option<String> {
        let is_assignment = std::ptr::eq(
            entity,
            &raw const self.model.entities[self.model.assignments],
        );
        match &self.model.counted {
            Some(Expr::Compare {
                left: codegen::model::Value::Column(name),
                right: codegen::model::Value::Literal(Literal::Text(value)),
                ..
            }) if is_assignment && *name == field.name && self.rng.u8(0..6) > 0 => {
                Some(quote(value))
            }
            _ => None,
        }
    }

    /// A row to refer to that has the same values in the relations of `same`.
    fn reference(
        &mut self,
        entity: &Entity,
        relation: &Relation,
        columns: &[(String, String)],
    ) -> Option<(EntityId, String)> {
        let target = *self.rng.choice(&relation.targets)?;
        let fits = |other: &HashMap<String, String>| {
            relation.same.iter().all(|name| {
                let column = format!("{name}_id");
                let own = columns.iter().find(|(n, _)| *n == column).map(|(_, v)| v);
                own.is_none() || other.get(&column).is_none() || own == other.get(&column)
            })
        };
        let mut candidates: Vec<&str> = self.ids[target]
            .iter()
            .filter(|(_, c)| fits(c))
            .map(|(id, _)| id.as_str())
            .collect();
        for followers in self.followers(entity, relation) {
            let is_followed = |id: &&str| followers.contains(&quote(id));
            if candidates.iter().any(is_followed) {
                candidates.retain(is_followed);
            }
        }
        let id = (*self.rng.choice(&candidates)?).to_owned();
        Some((target, id))
    }

    /// For each reference that must agree with this one, the values that its rows have: only few events have
    /// checkpoints, for example.
    fn followers(&self, entity: &Entity, relation: &Relation) -> Vec<HashSet<&String>> {
        let column = relation.id_column();
        let agreeing = entity
            .belongs
            .iter()
            .filter(|other| !other.optional && other.same.contains(&relation.name));
        let rows = |other: &Relation| {
            let rows = other.targets.iter().flat_map(|t| &self.ids[*t]);
            rows.filter_map(|(_, c)| c.get(&column))
                .collect::<HashSet<_>>()
        };
        agreeing.map(rows).filter(|rows| !rows.is_empty()).collect()
    }
}

/// A seed that is the same in every run: FNV-1a.
fn seed_of(seed: u64, turn: u64, name: &str) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(turn.to_le_bytes());
    bytes
        .chain(name.bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// Runs the statement in a savepoint; a violated constraint undoes it.
async fn attempt(conn: &mut PgConnection, text: String) -> Result<String, sqlx::Error> {
    sqlx::raw_sql("savepoint attempt")
        .execute(&mut *conn)
        .await
        .expect("savepoint");
    match sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_optional(&mut *conn)
        .await
    {
        Ok(row) => {
            sqlx::raw_sql("release savepoint attempt")
                .execute(conn)
                .await
                .expect("release");
            row.map(|row| row.get::<String, _>(0))
                .ok_or(sqlx::Error::RowNotFound)
        }
        Err(error) => {
            sqlx::raw_sql("rollback to savepoint attempt")
                .execute(conn)
                .await
                .expect("rollback");
            Err(error)
        }
    }
}

pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
