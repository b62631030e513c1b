//! A city with hosts, events and members, and shortcuts for actions in it.

use crate::support::{Answer, Client, TestServer, database::Content};
use serde_json::Value;
use server::wire::Parts;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::collections::HashMap;
use uuid::Uuid;

pub struct Stage {
    pub server: TestServer,
    pub city: Uuid,
    pub host: Uuid,
}

impl Stage {
    pub async fn new() -> Self {
        Self::changed(|_| {}).await
    }

    /// A stage with changed settings.
    pub async fn changed(change: impl FnOnce(&mut Parts)) -> Self {
        let server = TestServer::start_with(Content::Reference, change).await;
        let city = server.city("melbourne").await;
        let mut stage = Self {
            server,
            city,
            host: Uuid::nil(),
        };
        stage.host = stage.host("The first").await;
        stage
    }

    pub async fn sql(&self, text: impl Into<String>) {
        let text = text.into();
        sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    pub async fn one<T>(&self, text: impl Into<String>) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let text = text.into();
        sqlx::query_scalar(AssertSqlSafe(text.clone()))
            .fetch_one(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    pub async fn all<T>(&self, text: impl Into<String>) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let text = text.into();
        sqlx::query_scalar(AssertSqlSafe(text.clone()))
            .fetch_all(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// An organisation that everybody can see.
    pub async fn host(&self, name: &str) -> Uuid {
        self.one(format!(
            "insert into app.organizations (city_id, name, state) values ('{}', '{name}', 'approved') returning id",
            self.city
        ))
        .await
    }

    /// Published, public events of a host.
    pub async fn events(&self, host: Uuid, count: usize) -> Vec<Uuid> {
        self.all(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
             select '{}', 'organization', '{host}', 'Event ' || n, now() + interval '10 days', now() + interval '11 days', 'UTC', 'published'
             from generate_series(1, {count}) n returning id",
            self.city
        ))
        .await
    }

    /// Members who joined long ago.
    pub async fn people(&self, count: usize) -> Vec<Uuid> {
        self.joined(count, 400).await
    }

    /// Members who joined one per hour, the last one this many days ago.
    pub async fn joined(&self, count: usize, days_ago: i32) -> Vec<Uuid> {
        self.accounts(count, days_ago, 60).await
    }

    /// Members who joined within the same hour.
    pub async fn cohort(&self, count: usize, days_ago: i32) -> Vec<Uuid> {
        self.accounts(count, days_ago, 0).await
    }

    async fn accounts(&self, count: usize, days_ago: i32, minutes_apart: i32) -> Vec<Uuid> {
        let prefix = Uuid::new_v4().simple().to_string();
        self.all(format!(
            "insert into app.users (handle, display_name, email, created_at)
             select 'p_' || left('{prefix}', 12) || n, 'P', 'p_' || left('{prefix}', 12) || n || '@example.org', 
               now() - interval '{days_ago} days' - (n - 1) * interval '{minutes_apart} minutes'
             from generate_series(1, {count}) n returning id"
        ))
        .await
    }

    pub async fn like(&self, user: Uuid, event: Uuid) {
        self.sql(format!(
            "insert into app.likes (user_id, event_id) values ('{user}', '{event}')"
        ))
        .await;
    }

    pub async fn unlike(&self, user: Uuid, event: Uuid) {
        self.sql(format!(
            "update app.likes set status = 'archived' where user_id = '{user}' and event_id = '{event}' and status = 'active'"
        ))
        .await;
    }

    /// Lets these members like the event.
    pub async fn likes(&self, people: &[Uuid], event: Uuid) {
        let people = array(people);
        self.sql(format!(
            "insert into app.likes (user_id, event_id) select u, '{event}' from unnest({people}) u"
        ))
        .await;
    }

    /// Runs the job of every second.
    pub async fn rank(&self) -> u64 {
        let trending = &self.server.built.app.modules.trending;
        trending.rank().await.expect("ranked")
    }

    /// Runs the job of every night.
    pub async fn compare(&self) -> u64 {
        let trending = &self.server.built.app.modules.trending;
        trending.compare().await.expect("compared")
    }

    /// The ranks of all events that have one.
    pub async fn ranks(&self) -> HashMap<Uuid, f64> {
        let text =
            "select event_id, rank::float8 from app.event_ranks where rank is not null".to_owned();
        let rows = sqlx::query(AssertSqlSafe(text))
            .fetch_all(&mut self.server.superuser().await)
            .await
            .expect("ranks");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    pub async fn rank_of(&self, event: Uuid) -> Option<f64> {
        self.ranks().await.get(&event).copied()
    }

    /// The path of the list for the city.
    pub fn path(&self, more: &str) -> String {
        format!("/events/trending?city_id={}{more}", self.city)
    }

    /// The first page, as an anonymous caller sees it.
    pub async fn trending(&self, more: &str) -> Vec<Uuid> {
        ids(&self
            .server
            .client
            .get(&self.path(more))
            .await
            .expect(200)
            .json)
    }
}

pub async fn run(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The ids as an SQL literal.
pub fn array(ids: &[Uuid]) -> String {
    let list: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    format!("'{{{}}}'::uuid[]", list.join(","))
}

pub fn ids(page: &Value) -> Vec<Uuid> {
    let rows = page["data"].as_array().expect("a list");
    let id = |row: &Value| row["id"].as_str().and_then(|id| id.parse().ok());
    rows.iter().map(|row| id(row).expect("an id")).collect()
}

/// All pages of a list; `between` runs after each.
pub async fn walk(client: &Client, path: &str, mut between: impl AsyncFnMut()) -> Vec<Uuid> {
    let mut seen = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page: Answer = client.get(&next).await.expect(200);
        seen.extend(ids(&page.json));
        let Some(cursor) = page.json["next_cursor"].as_str() else {
            return seen;
        };
        next = format!("{path}&cursor={cursor}");
        between().await;
    }
}
