//! An empty database with connections as each of the roles, for tests that speak SQL themselves.

use super::{Database, database::Content};
use sqlx::{
    AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub struct Pools {
    /// Sees and may do everything; for fixtures and for looking.
    pub superuser: PgPool,
    /// As requests connect.
    pub app: PgPool,
    /// As modules connect.
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
