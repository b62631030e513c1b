//! JB8: server and worker with a real session pooler: `script/pooler`, which refuses connection parameters like
//! PgBouncer does.

use super::world::{says, what, world};
use crate::support::{Database, TestServer, companion::Companion, database::Content};
use kernel::{Caller, Db, config::DbConfig};
use serde_json::json;
use uuid::Uuid;

struct Pooler(Companion);

impl Pooler {
    /// Starts the pooler in front of the PostgreSQL of this URL.
    fn start(url: &str) -> Self {
        Self::by("session", url)
    }

    /// `mode`: what keeps its connection to the database, a session or a transaction.
    fn by(mode: &str, url: &str) -> Self {
        let upstream: url::Url = url.parse().expect("a URL");
        let port = upstream.port().unwrap_or(5432).to_string();
        let password = upstream.password().expect("a password");
        let arguments = [&port, "culturepass_app", "culturepass_job"];
        let variables = [("PGPASSWORD", password), ("POOL_MODE", mode)];
        Self(Companion::start("pooler", &arguments, &variables))
    }

    fn url(&self, direct: &str) -> String {
        let mut url: url::Url = direct.parse().expect("a URL");
        url.set_port(Some(self.0.port)).expect("it has a host");
        url.into()
    }
}

#[tokio::test]
async fn jb8_a_worker_behind_a_pooler_does_what_it_is_told() {
    let mut world = world().await;
    let pooler = Pooler::start(&world.database.url("culturepass_job"));
    let mut config = DbConfig::new(pooler.url(&world.database.url("culturepass_app")).into());
    config.job_url = Some(pooler.url(&world.database.url("culturepass_job")).into());
    (config.connections, config.job_connections) = (4, 8);
    world.db = Db::connect(&config).expect("URLs");
    let worker = world.start(vec![says("tests.say")]);
    for n in 0..20 {
        world.enqueue("tests.say", what(n)).await;
    }
    let mut done = world.until_done(20).await;
    done.sort_unstable();
    done.dedup();
    assert_eq!(done.len(), 20);
    worker.stop().await;
}

/// Statements that are prepared for one request would be run for another one.
#[tokio::test]
async fn a_pooler_that_mixes_sessions_up_is_refused() {
    let database = Database::new(Content::Empty).await;
    let grant = "grant select on public._sqlx_migrations to culturepass_app";
    sqlx::raw_sql(grant)
        .execute(&mut database.superuser().await)
        .await
        .expect("grant");
    let (app, job) = (
        database.url("culturepass_app"),
        database.url("culturepass_job"),
    );
    for (mode, refused) in [
        ("session", false),
        ("transaction", true),
        ("statement", true),
    ] {
        let pooler = Pooler::by(mode, &app);
        let mut config = DbConfig::new(pooler.url(&app).into());
        config.job_url = Some(pooler.url(&job).into());
        let said = match server::checks::database(&config).await {
            Ok(()) => String::new(),
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(!said.is_empty(), refused, "{mode}: {said}");
        // One that keeps a session for each statement refuses transactions itself.
        assert!(
            mode != "transaction" || said.contains("pool_mode = session"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_server_behind_a_pooler_keeps_its_limits() {
    let mut pooler = None;
    let server = TestServer::start_with(Content::Demo, |parts| {
        use secrecy::ExposeSecret;
        let between = Pooler::start(parts.db.url.expose_secret());
        parts.db.url = between.url(parts.db.url.expose_secret()).into();
        let job_url = parts.db.job_url.as_ref().expect("there is one");
        parts.db.job_url = Some(between.url(job_url.expose_secret()).into());
        pooler = Some(between);
    })
    .await;
    let member = server.member("petra_pools").await;
    let city = server.city("melbourne").await;
    let body = json!({"name": "The pool", "city_id": city});
    let made = member.client.post("/communities", body).await.expect(201);
    let path = format!("/communities/{}", made.id());
    member.client.get(&path).await.expect(200);
    member.client.get("/events?q=jazz").await.expect(200);
    member.client.get("/search?q=jazz").await.expect(200);
    // The settings that end slow statements and keep plans.
    let caller = Caller::anonymous(Uuid::now_v7());
    let mut cx = server.built.db.begin_search(&caller).await.expect("one");
    for (setting, expected) in [
        ("statement_timeout", "2s"),
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
    ] {
        let (found, source): (String, String) =
            sqlx::query_as("select current_setting(name), source from pg_settings where name = $1")
                .bind(setting)
                .fetch_one(cx.conn())
                .await
                .expect("a setting");
        assert_eq!(found, expected, "{setting}");
        // The cluster of the tests has some of these values itself.
        assert!(
            !["default", "command line", "configuration file"].contains(&source.as_str()),
            "{setting} comes from the {source}"
        );
    }
}
