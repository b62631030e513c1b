//! The real server in this process, on a free port of the loopback interface.

use super::{
    Client, Database,
    database::Content,
    mail::{MemoryMailer, MemoryPusher},
    superuser::Superuser,
};
use chrono::{DateTime, Utc};
use kernel::{
    Db,
    config::{DbConfig, HttpConfig, TokenConfig},
    http::health::Health,
    jobs::{self, Work, WorkerConfig},
    serve,
};
use server::wire::{Built, Parts, build};
use sqlx::{AssertSqlSafe, PgConnection};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};
use uuid::Uuid;

/// An Ed25519 key for tests, which the server refuses in production.
pub const TOKEN_KEY: &str = include_str!("token-key.pem");

pub struct TestServer {
    pub database: Database,
    pub built: Built,
    /// A client without a token.
    pub client: Client,
    pub mailer: Arc<MemoryMailer>,
    pub pusher: Arc<MemoryPusher>,
    stop: Option<oneshot::Sender<()>>,
    /// Stops the worker when it is dropped; the worker has connections of its own.
    _worker: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
    _media: MediaFolder,
}

impl TestServer {
    /// A server with reference data.
    pub async fn start() -> Self {
        Self::start_with(Content::Reference, |_| {}).await
    }

    /// A server with the demonstration data.
    pub async fn demo() -> Self {
        Self::start_with(Content::Demo, |_| {}).await
    }

    /// A server with a sample of the demonstration data, for tests that read every list to its end repeatedly.
    pub async fn sample() -> Self {
        Self::start_with(Content::Sample, |_| {}).await
    }

    pub async fn start_with(content: Content, change: impl FnOnce(&mut Parts)) -> Self {
        let database = Database::new(content).await;
        let mailer = Arc::new(MemoryMailer::default());
        let pusher = Arc::new(MemoryPusher::default());
        let media = MediaFolder(media_folder(&database));
        let mut parts = parts(&database, mailer.clone(), pusher.clone());
        // The worker connects directly, even if a test puts a proxy between the server and its database.
        let mut workers = parts.db.clone();
        (workers.connections, workers.job_connections) = (1, 2);
        change(&mut parts);
        let built = build(parts).expect("settings of a test");
        let worker = worker(&workers, built.app.work());
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel::<()>();
        let health = Health::new(built.db.clone(), None);
        let (router, http) = (built.router.clone(), built.http.clone());
        let serving = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve::serve(listener, router, http, health, stopped)
                .await
                .expect("serving");
        });
        Self {
            database,
            built,
            client: Client::of_the_api(base),
            mailer,
            pusher,
            stop: Some(stop),
            _worker: worker,
            serving: Some(serving),
            _media: media,
        }
    }

    pub async fn superuser(&self) -> Superuser {
        self.database.superuser().await
    }

    /// Creates a member without roles.
    pub async fn member(&self, handle: &str) -> Member {
        let mut conn = self.superuser().await;
        let id: Uuid = sqlx::query_scalar("insert into app.users (handle, display_name, email) values ($1, $1, $1 || '@example.org') returning id")
            .bind(handle)
            .fetch_one(&mut conn)
            .await
            .expect("a member");
        self.sign_in(id).await
    }

    /// Signs an existing member in, with a session and a token.
    pub async fn sign_in(&self, id: Uuid) -> Member {
        let mut conn = self.superuser().await;
        let session: Uuid = sqlx::query_scalar("insert into app.sessions (user_id, expires_at) values ($1, now() + interval '1 day') returning id")
            .bind(id)
            .fetch_one(&mut conn)
            .await
            .expect("a session");
        let issued = self
            .built
            .tokens
            .issue(id, session, chrono::Utc::now().timestamp())
            .expect("a token");
        Member {
            id,
            session,
            client: self.client.with_token(issued.token.clone()),
            token: issued.token,
        }
    }

    /// Grants a role, bypassing the rules: `scope` is an entity's name and an id.
    pub async fn grant(&self, member: &Member, role: &str, scope: Option<(&str, Uuid)>) {
        let mut conn = self.superuser().await;
        sqlx::query("insert into app.role_assignments (user_id, role, scope_type, scope_id, state) values ($1, $2, $3, $4, 'accepted')")
            .bind(member.id)
            .bind(role)
            .bind(scope.map(|scope| scope.0))
            .bind(scope.map(|scope| scope.1))
            .execute(&mut conn)
            .await
            .expect("a role");
    }

    /// The id of a city by its slug; Melbourne and Auckland are in the reference data.
    pub async fn city(&self, slug: &str) -> Uuid {
        let mut conn = self.superuser().await;
        sqlx::query_scalar(
            "select id from app.cities where slug = $1 order by population desc nulls last limit 1",
        )
        .bind(slug)
        .fetch_one(&mut conn)
        .await
        .expect("a city of the reference data")
    }

    /// Waits until all jobs that have been enqueued are done, and those that they enqueue, such as sending mail.
    pub async fn settled(&self) {
        settled(self.superuser().await.looking()).await;
    }

    /// The folder with the server's pictures.
    pub fn media_folder(&self) -> PathBuf {
        media_folder(&self.database)
    }

    /// Stops the server as a signal would.
    pub async fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(serving) = self.serving.take() {
            serving.await.expect("served to the end");
        }
    }
}

/// The folder with pictures, which is removed with the server. Most tests never create it.
struct MediaFolder(PathBuf);

impl Drop for MediaFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn media_folder(database: &Database) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("media")
        .join(database.name())
}

/// Waits until the worker has processed all events and jobs so far, and what follows from them. Jobs that were delayed
/// and become due while this waits are not waited for: there may always be another one.
pub async fn settled(conn: &mut PgConnection) {
    let due = "state <> 'dead' and attempts <= 1 and run_at <= now() + interval '1 s'
         and (run_at <= $1 or attempts = 1 or run_at <= created_at + interval '1 s')";
    let waiting = format!(
        "select (select count(*) from jobs.events where relayed_at is null) + (select count(*) from jobs.queue where {due})"
    );
    let soon: DateTime<Utc> = sqlx::query_scalar("select now() + interval '1 s'")
        .fetch_one(&mut *conn)
        .await
        .expect("a time");
    for _ in 0..2000 {
        let waiting: i64 = sqlx::query_scalar(AssertSqlSafe(waiting.clone()))
            .bind(soon)
            .fetch_one(&mut *conn)
            .await
            .expect("jobs");
        if waiting == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let told = format!(
        "select string_agg(concat_ws(' ', name, state, attempts, run_at - now(), last_error, payload), e'\\n') from jobs.queue where {due}"
    );
    let told: Option<String> = sqlx::query_scalar(AssertSqlSafe(told))
        .bind(soon)
        .fetch_one(&mut *conn)
        .await
        .expect("jobs");
    panic!("jobs are waiting: {}", told.unwrap_or_default());
}

/// Starts a worker without periodic jobs, which tests run explicitly.
fn worker(config: &DbConfig, work: Work) -> watch::Sender<bool> {
    let work = Work {
        periodic: Vec::new(),
        ..work
    };
    let db = Db::connect(config).expect("URLs");
    let (stop, stopped) = watch::channel(false);
    let config = WorkerConfig {
        poll: Duration::from_secs(1),
        ..WorkerConfig::default()
    };
    tokio::spawn(jobs::run(db, Arc::new(work), config, stopped));
    stop
}

pub struct Member {
    pub id: Uuid,
    pub session: Uuid,
    pub token: String,
    pub client: Client,
}

fn parts(database: &Database, mailer: Arc<MemoryMailer>, pusher: Arc<MemoryPusher>) -> Parts {
    let mut db = DbConfig::new(database.url("culturepass_app").into());
    db.job_url = Some(database.url("culturepass_job").into());
    db.connections = 4;
    db.job_connections = 2;
    // Most tests need one connection of each kind, and each connection plans all of its statements.
    db.opened_at_once = false;
    let mut modules = app::modules::Settings::defaults();
    modules.media.media_dir = media_folder(database);
    let sessions = &mut modules.sessions;
    sessions.app_url = Some("http://app.test".parse().expect("a URL"));
    // Hashing is as cheap as the algorithm allows, since tests sign in often.
    sessions.hash_memory_kib = 8;
    sessions.hash_passes = 1;
    Parts {
        db,
        http: HttpConfig {
            ip_limit: None,
            user_limit: None,
            drain_timeout: Duration::from_secs(5),
            ..HttpConfig::default()
        },
        keyed_per_day: None,
        tokens: TokenConfig::new(
            "http://127.0.0.1:8080".into(),
            "culturepass".into(),
            TOKEN_KEY.into(),
        ),
        issuer: None,
        modules,
        mailer,
        pusher,
        mail_webhooks: delivery::webhooks::Keys::default(),
        clock: app::clock::Clock::default(),
        public_url: "http://127.0.0.1:8080".parse().expect("a URL"),
        production: false,
        provider: None,
        api_docs: true,
        outbox: None,
        examples: Vec::new(),
    }
}
