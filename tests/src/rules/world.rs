//! A random world: every table filled from the model, with rows of every status, so that rules can be
//! asked about cases nobody thought of. Deterministic for a seed.
//!
//! Written as a superuser, so that constraints hold and rules do not.

use codegen::model::{Entity, EntityId, Expr, Field, Lifecycle, Literal, Model, Relation, Ty};
use fastrand::Rng;
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

pub type Row = Map<String, Value>;

pub struct World {
    /// By entity, in order of insertion; columns as `to_jsonb` gives them.
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

/// Fills every table with about `size` rows and reads them back. Worlds of even seeds are rough ones, where what is
/// under something suspended is common; every other one of these is large.
pub async fn make(conn: &mut PgConnection, model: &Model, seed: u64, size: usize) -> World {
    let is_rough = seed.is_multiple_of(2);
    let size = if seed.is_multiple_of(4) {
        size * 2
    } else {
        size
    };
    let mut filler = Filler {
        model,
        rng: Rng::with_seed(seed),
        ids: vec![Vec::new(); model.entities.len()],
        serial: 0,
        hours: 0,
        is_rough,
    };
    for entity in order(model) {
        // Roles decide most rules: many of them, so that every kind is held by somebody asked.
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

/// Of the archived rows about people, every other one was archived by them.
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

/// Rows for the tables that have none, by and about these people: so suites over all entities find something of an
/// entity that nobody has written demonstration data for.
pub async fn fill_empty(conn: &mut PgConnection, model: &Model, people: &[Uuid]) {
    let there = read(conn, model).await;
    let mut filler = Filler {
        model,
        rng: Rng::with_seed(1),
        ids: (there.rows.iter().zip(&model.entities))
            .map(|(rows, entity)| references(entity, rows))
            .collect(),
        serial: 0,
        hours: 0,
        is_rough: false,
    };
    filler.ids[model.identity].retain(|(id, _)| people.iter().any(|one| one.to_string() == *id));
    sqlx::raw_sql("begin")
        .execute(&mut *conn)
        .await
        .expect("begin");
    for id in order(model) {
        if there.rows[id].is_empty() && !model.entities[id].internal {
            filler.fill(conn, id, 12).await;
        }
    }
    sqlx::raw_sql("commit").execute(conn).await.expect("commit");
}

/// What new rows that refer to these have to agree with.
fn references(entity: &Entity, rows: &[Row]) -> Vec<(String, HashMap<String, String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    // Others may have a field of that name that means something else.
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

/// Entities after those they refer to. Where references form a circle, an optional one stays empty.
pub fn order(model: &Model) -> Vec<EntityId> {
    let mut done: Vec<EntityId> = Vec::new();
    while done.len() < model.entities.len() {
        let open = (0..model.entities.len()).filter(|id| !done.contains(id));
        let is_there = |relation: &Relation| relation.targets.iter().any(|t| done.contains(t));
        let waits = |id: &EntityId, optional: bool| {
            let mut belongs = model.entities[*id].belongs.iter();
            belongs.any(|relation| !is_there(relation) && (optional || !relation.optional))
        };
        // With every kind of target there, so that each is referred to by some row.
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
    rng: Rng,
    /// id and same-relation values of what was inserted: (id, columns)
    ids: Vec<Vec<(String, HashMap<String, String>)>>,
    serial: u64,
    /// The last time given to the row at hand, in hours from now.
    hours: i32,
    is_rough: bool,
}

impl Filler<'_> {
    async fn fill(&mut self, conn: &mut PgConnection, id: EntityId, size: usize) {
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
        // References that have to agree, to rows of one event say, may find none that do: then there have to be more rows.
        let agreeing = entity.belongs.iter().filter(|r| !r.same.is_empty());
        let targets: Vec<EntityId> = agreeing.flat_map(|r| r.targets.clone()).collect();
        if self.ids[id].is_empty() && targets.len() > 1 && size < 200 {
            for target in targets {
                Box::pin(self.fill(conn, target, self.ids[target].len() * 2)).await;
            }
            return Box::pin(self.fill(conn, id, size * 2)).await;
        }
        if self.ids[id].is_empty() {
            // Triggers have made those there can be.
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

    /// Suspends some rows and archives others, where constraints let it.
    async fn shake(&mut self, conn: &mut PgConnection, id: EntityId) {
        let entity = &self.model.entities[id];
        if entity.lifecycle != Lifecycle::SoftDelete {
            return;
        }
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
            // Refused where a relation restricts.
            let _ = attempt(conn, text).await;
        }
    }

    /// What others refer to may never be archived: one that nothing refers to is.
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

    /// Column names and SQL literals of a new row; `None` if a reference has nothing to point to.
    fn columns(&mut self, entity: &Entity) -> Option<Vec<(String, String)>> {
        let mut columns: Vec<(String, String)> = Vec::new();
        let mut belongs: Vec<&Relation> = entity.belongs.iter().collect();
        // What others must agree with comes first.
        belongs.sort_by_key(|relation| !relation.same.is_empty());
        for relation in belongs {
            let chosen = if relation.optional && self.rng.u8(0..4) == 0 {
                None
            } else {
                self.reference(relation, &columns)
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

    /// Most roles are held: an offer decides nothing.
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

    /// A row to refer to that has the same values in the relations named by `same`.
    fn reference(
        &mut self,
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
        let candidates: Vec<&str> = self.ids[target]
            .iter()
            .filter(|(_, c)| fits(c))
            .map(|(id, _)| id.as_str())
            .collect();
        let id = (*self.rng.choice(&candidates)?).to_owned();
        Some((target, id))
    }

    fn value(&mut self, field: &Field) -> Option<String> {
        self.serial += 1;
        let n = self.serial;
        let rng = &mut self.rng;
        let number = |rng: &mut Rng, min: Option<i64>, max: Option<i64>| {
            let low = min.unwrap_or(0);
            let high = max.unwrap_or(low + 100).min(low + 100);
            rng.i64(low..=high).to_string()
        };
        Some(match &field.ty {
            Ty::Text { min, max } => {
                let mut text = format!("w{n} {}", rng.u32(..));
                while text.chars().count() < *min as usize {
                    text.push('x');
                }
                quote(&text.chars().take(*max as usize).collect::<String>())
            }
            Ty::Int { min, max } | Ty::Bigint { min, max } => number(rng, *min, *max),
            // Sums have to add up: mostly of nothing.
            Ty::Money { min, max } if rng.u8(0..8) == 0 => number(rng, *min, *max),
            Ty::Money { min, .. } => min.unwrap_or(0).to_string(),
            Ty::Decimal { .. } => rng.u8(0..9).to_string(),
            Ty::Bool => rng.bool().to_string(),
            Ty::Time => {
                // Later fields are later times, as most checks want it.
                self.hours += rng.i32(1..200);
                format!("now() + {} * interval '1 hour'", self.hours)
            }
            Ty::Date => format!("current_date + {}", rng.i32(-40..40)),
            Ty::Uuid => "gen_random_uuid()".to_owned(),
            Ty::Json => "'{}'".to_owned(),
            Ty::Url => quote(&format!("https://example.org/{n}")),
            Ty::Email => quote(&format!("p{n}@example.org")),
            Ty::Phone => quote(&format!("+61{}", 400_000_000 + n)),
            Ty::Slug { .. } => quote(&format!("s-{n}")),
            Ty::Currency => quote(rng.choice(["AUD", "EUR"])?),
            Ty::Country => quote(country(n)),
            Ty::Social { network } => quote(codegen::emit::openapi::example::social(network)),
            Ty::LocalTime => quote("08:30"),
            Ty::Code { .. } => quote(&format!("CODE{n}")),
            Ty::Locale => quote("en"),
            Ty::Timezone => quote("UTC"),
            Ty::Enum { values } | Ty::States { values } => quote(rng.choice(values)?),
            Ty::Point => format!(
                "'SRID=4326;POINT({} {})'::public.geography",
                rng.i32(-170..170),
                rng.i32(-80..80)
            ),
            Ty::Object { object } => {
                let required = self.model.objects[*object]
                    .fields
                    .iter()
                    .filter(|f| !f.optional);
                let pairs: Vec<String> = required
                    .map(|f| format!("\"{}\": {}", f.name, object_text(f)))
                    .collect();
                quote(&format!("{{{}}}", pairs.join(", ")))
            }
            Ty::TextList { .. } => "array['one', 'two']".to_owned(),
        })
    }
}

fn object_text(field: &Field) -> &'static str {
    match (&field.ty, &field.default) {
        (Ty::LocalTime, _) => "\"22:00\"",
        (Ty::Bool, _) => "true",
        (Ty::Int { .. }, _) => "1",
        (_, Some(Literal::Text(_))) => "\"x\"",
        _ => "\"x\"",
    }
}

/// Distinct for as many numbers as there are countries.
fn country(n: u64) -> &'static str {
    let countries: Vec<&str> = kernel::input::COUNTRIES.split(' ').collect();
    countries[n as usize % countries.len()]
}

/// Runs the statement in a savepoint; what constraints refuse is skipped.
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
