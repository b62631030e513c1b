//! A small world of rows, and helpers to act in it.

use crate::support::{Pools, database};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor, Postgres, Row, Transaction};
use uuid::Uuid;

pub struct World {
    pub database: Pools,
    pub country: Uuid,
    pub city: Uuid,
    pub other_city: Uuid,
    /// A member without a role.
    pub ana: Uuid,
    pub ben: Uuid,
    /// Holds `orgAdmin` of `organization`.
    pub host: Uuid,
    /// Holds `cityAdmin` of `city`.
    pub city_admin: Uuid,
    /// Holds `platformAdmin`.
    pub platform: Uuid,
    pub organization: Uuid,
    pub venue: Uuid,
    /// Published, hosted by `organization` at `venue`.
    pub event: Uuid,
}

pub async fn world() -> World {
    let database = database().await;
    let pool = &database.superuser;
    let country = new(
        pool,
        "countries (code, name, currency, default_locale) values ('DE', 'Germany', 'EUR', 'de')",
    )
    .await;
    let city = |name: &'static str| {
        format!(
            "cities (country_id, name, slug, timezone, location) values ('{country}', '{name}', lower('{name}'), \
                 'Europe/Berlin', 'SRID=4326;POINT(13.4 52.5)')"
        )
    };
    let (city, other_city) = (
        new(pool, &city("Berlin")).await,
        new(pool, &city("Hamburg")).await,
    );
    let mut people = Vec::new();
    for name in ["ana", "ben", "host", "city_admin", "platform"] {
        let values = format!(
            "users (handle, display_name, email) values ('{name}', '{name}', '{name}@example.org')"
        );
        people.push(new(pool, &values).await);
    }
    let [ana, ben, host, city_admin, platform] = people[..] else {
        unreachable!("five people")
    };
    let organization = new(
        pool,
        &format!("organizations (city_id, name, state) values ('{city}', 'Verein', 'approved')"),
    )
    .await;
    let venue = new(pool, &format!(
        "venues (city_id, owner_type, owner_id, name, address, location) values ('{city}', 'organization', \
         '{organization}', 'Halle', 'Weg 1', 'SRID=4326;POINT(13.4 52.5)')")).await;
    let event = new(pool, &event_values(city, organization, Some(venue), "Fest")).await;
    for (user, role, scope) in [
        (
            host,
            "orgAdmin",
            format!("'organization', '{organization}'"),
        ),
        (city_admin, "cityAdmin", format!("'city', '{city}'")),
        (platform, "platformAdmin", "null, null".into()),
    ] {
        let values = format!(
            "role_assignments (user_id, role, scope_type, scope_id, state) values ('{user}', '{role}', {scope}, 'accepted')"
        );
        new(pool, &values).await;
    }
    World {
        country,
        city,
        other_city,
        ana,
        ben,
        host,
        city_admin,
        platform,
        organization,
        venue,
        event,
        database,
    }
}

pub fn event_values(city: Uuid, organization: Uuid, venue: Option<Uuid>, title: &str) -> String {
    let venue = venue.map_or("null".into(), |v| format!("'{v}'"));
    format!(
        "events (city_id, host_type, host_id, venue_id, title, starts_at, ends_at, timezone, state) values ('{city}', \
         'organization', '{organization}', {venue}, '{title}', now() + interval '1 day', now() + interval '2 days', \
         'Europe/Berlin', 'published')"
    )
}

/// Runs `insert into app.<values> returning id`.
pub async fn new(executor: impl Executor<'_, Database = Postgres>, values: &str) -> Uuid {
    scalar(executor, format!("insert into app.{values} returning id")).await
}

pub async fn rows(
    executor: impl Executor<'_, Database = Postgres>,
    sql: impl Into<String>,
) -> Vec<PgRow> {
    let sql = sql.into();
    sqlx::query(AssertSqlSafe(sql.clone()))
        .fetch_all(executor)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
}

pub async fn scalar<T>(
    executor: impl Executor<'_, Database = Postgres>,
    sql: impl Into<String>,
) -> T
where
    T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    let sql = sql.into();
    let rows = rows(executor, sql.clone()).await;
    rows.first()
        .unwrap_or_else(|| panic!("no row: {sql}"))
        .get(0)
}

/// The number of changed rows, or the SQLSTATE with the constraint or message of the error.
pub async fn attempt(
    executor: impl Executor<'_, Database = Postgres>,
    sql: impl Into<String>,
) -> Result<u64, String> {
    match executor
        .execute(sqlx::raw_sql(AssertSqlSafe(sql.into())))
        .await
    {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => Err(reason(&error)),
    }
}

pub fn reason(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error() else {
        return error.to_string();
    };
    let code = error.code().unwrap_or_default();
    format!("{code} {}", error.constraint().unwrap_or(error.message()))
}

impl World {
    /// Begins the transaction of a request.
    pub async fn request(
        &self,
        user: Option<Uuid>,
        action: &str,
    ) -> Transaction<'static, Postgres> {
        let mut transaction = self.database.app.begin().await.expect("a transaction");
        enter(&mut transaction, user, action).await;
        transaction
    }

    /// Runs a statement in a request of its own and commits it.
    pub async fn act(
        &self,
        user: Uuid,
        action: &str,
        sql: impl Into<String>,
    ) -> Result<u64, String> {
        let mut transaction = self.request(Some(user), action).await;
        let changed = attempt(&mut *transaction, sql).await?;
        transaction.commit().await.map_err(|e| reason(&e))?;
        Ok(changed)
    }

    /// Whether a caller may see a row.
    pub async fn sees(&self, user: Option<Uuid>, table: &str, id: Uuid) -> bool {
        let mut transaction = self.request(user, "get").await;
        scalar(
            &mut *transaction,
            format!("select exists (select from app.{table} where id = '{id}')"),
        )
        .await
    }

    pub async fn look<T>(&self, sql: impl Into<String>) -> T
    where
        T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        scalar(&self.database.superuser, sql).await
    }

    pub async fn admin(&self, sql: impl Into<String>) -> Result<u64, String> {
        attempt(&self.database.superuser, sql).await
    }
}

pub async fn enter(transaction: &mut Transaction<'_, Postgres>, user: Option<Uuid>, action: &str) {
    sqlx::query("select sec.enter($1, null, $2, gen_random_uuid())")
        .bind(user)
        .bind(action)
        .execute(&mut **transaction)
        .await
        .expect("the caller may enter");
}
