//! An empty database with connection pools for each of the roles, for tests that use SQL directly.

use super::{Database, database::Content};
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub struct Pools {
    /// May see and do everything; for fixtures and for checking results.
    pub superuser: PgPool,
    /// The role with which requests connect.
    pub app: PgPool,
    /// The role with which modules connect.
    pub job: PgPool,
    _database: Database,
}

pub async fn database() -> Pools {
    let database = Database::new(Content::Empty).await;
    let options = database.superuser_options();
    Pools {
        superuser: pool(&options, None).await,
        app: pool(&options, Some("culturepass_app")).await,
        job: pool(&options, Some("culturepass_job")).await,
        _database: database,
    }
}

async fn pool(options: &PgConnectOptions, role: Option<&'static str>) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if let Some(role) = role {
                    sqlx::raw_sql(AssertSqlSafe(format!("set role {role}")))
                        .execute(connection)
                        .await?;
                }
                Ok(())
            })
        })
        .connect_with(options.clone())
        .await
        .expect("the test's database answers")
}
