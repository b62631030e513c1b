//! A database of its own per test, the engine over it, and a client.

use crate::things::{CITY, THING, UpdateThing};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use kernel::{
    Cx, Db, Error, Result,
    auth::{Authenticator, Tokens},
    config::{DbConfig, HttpConfig, TokenConfig},
    http::Http,
    input::{Input, typed},
    mount::{Hooks, Mounted, router},
};
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::SystemTime,
};
use tower::ServiceExt;
use uuid::Uuid;

const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

pub struct World {
    pub routes: Router,
    pub db: Db,
    /// Sees and may do everything.
    pub root: PgPool,
    pub url: String,
    tokens: Arc<Tokens>,
    pub conflicts: Arc<AtomicU32>,
    _scratch: Scratch,
}

/// The database of a test, gone with it.
struct Scratch {
    base: String,
    name: String,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let (base, name) = (self.base.clone(), self.name.clone());
        // The runtime of the test cannot be waited for from here.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&base).await.unwrap();
                let text = sqlx::AssertSqlSafe(format!("drop database {name} with (force)"));
                sqlx::raw_sql(text).execute(&mut admin).await.unwrap();
            });
        });
        let _ = dropped.join();
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
}

impl Answer {
    pub fn problem(&self) -> &str {
        let kind = self.json["type"].as_str().unwrap_or("no problem");
        kind.strip_prefix("/problems/").unwrap_or(kind)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Refuses the title `refused`, fails at `broken`, changes `change me`, and loses a race as often as it is told.
struct Refusing(Arc<AtomicU32>);

impl Hooks for Refusing {
    fn before<'a>(
        &'a self,
        action: &'a str,
        cx: &'a mut Cx,
        _: Option<Uuid>,
        input: Option<&'a mut dyn Input>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if self
                .0
                .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let text = "do $$ begin raise exception 'x' using errcode = '40001'; end $$";
                sqlx::raw_sql(text).execute(cx.conn()).await?;
            }
            if action == "update"
                && let Some(update) = input.map(typed::<UpdateThing>)
                && let Some(title) = update.title.value()
            {
                match title.as_str() {
                    "refused" => return Err(Error::field("/title", "refused", "Not this one.")),
                    "broken" => {
                        sqlx::raw_sql("select nothing").execute(cx.conn()).await?;
                    }
                    "change me" => update.title = kernel::input::Patch::Value("changed".to_owned()),
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// Without a database to test with these tests fail: passing would say that the engine was looked at.
pub async fn world() -> World {
    world_with(|_| ()).await
}

pub async fn world_with(configure: impl FnOnce(&mut DbConfig)) -> World {
    let base =
        std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is missing: run script/test");
    let name = format!("kernel_{}", Uuid::now_v7().simple());
    let mut admin = PgConnection::connect(&base).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
    let at = |user: &str| {
        let mut url = url::Url::parse(&base).unwrap();
        url.set_path(&name);
        if !user.is_empty() {
            url.set_username(&format!("kernel_test_{user}")).unwrap();
            url.set_password(Some(user)).unwrap();
        }
        url.to_string()
    };
    let root = PgPoolOptions::new()
        .max_connections(2)
        .connect(&at(""))
        .await
        .unwrap();
    // Roles belong to the whole cluster: one test at a time.
    sqlx::raw_sql("select pg_advisory_lock(1)")
        .execute(&mut admin)
        .await
        .unwrap();
    sqlx::raw_sql(include_str!("schema.sql"))
        .execute(&root)
        .await
        .unwrap();
    admin.close().await.unwrap();

    let mut config = DbConfig::new(at("app").into());
    config.job_url = Some(at("job").into());
    config.connections = 4;
    config.job_connections = 1;
    configure(&mut config);
    let db = Db::connect(&config).unwrap();
    let tokens = TokenConfig::new("test".into(), "test".into(), KEY.into());
    let tokens = Arc::new(Tokens::new(&tokens).unwrap());
    let conflicts = Arc::new(AtomicU32::new(0));
    let hooks: Arc<dyn Hooks> = Arc::new(Refusing(conflicts.clone()));
    let mounted = vec![
        Mounted {
            resource: &CITY,
            hooks: None,
        },
        Mounted {
            resource: &THING,
            hooks: Some(hooks),
        },
    ];
    let auth = Authenticator::new(tokens.clone(), Vec::new());
    let http = Http::new(
        HttpConfig {
            ip_limit: None,
            user_limit: None,
            ..HttpConfig::default()
        },
        auth,
    )
    .unwrap();
    let routes = http.wrap(router(db.clone(), mounted, &"cursors".into()));
    World {
        routes,
        db,
        root,
        url: at("app"),
        tokens,
        conflicts,
        _scratch: Scratch { base, name },
    }
}

impl World {
    /// An account and its token.
    pub async fn user(&self, admin: bool) -> (Uuid, String) {
        let (id, session) = (Uuid::now_v7(), Uuid::now_v7());
        let statement = "with u as (insert into app.users (id, admin) values ($1, $2))
            insert into app.sessions (id, user_id) values ($3, $1)";
        sqlx::query(statement)
            .bind(id)
            .bind(admin)
            .bind(session)
            .execute(&self.root)
            .await
            .unwrap();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        (
            id,
            self.tokens.issue(id, session, now as i64).unwrap().token,
        )
    }

    pub async fn city(&self, name: &str) -> Uuid {
        let statement = "insert into app.cities (name) values ($1) returning id";
        sqlx::query_scalar(statement)
            .bind(name)
            .fetch_one(&self.root)
            .await
            .unwrap()
    }

    /// `state` is draft or published.
    pub async fn thing(&self, owner: Uuid, title: &str, state: &str) -> Uuid {
        let statement = "insert into app.things (title, state, owner_id, city_id)
            values ($1, $2, $3, (select id from app.cities limit 1)) returning id";
        let query = sqlx::query_scalar(statement)
            .bind(title)
            .bind(state)
            .bind(owner);
        query.fetch_one(&self.root).await.unwrap()
    }

    pub fn request(&self, method: &str, path: &str) -> Call<'_> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        Call {
            world: self,
            request,
        }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.request("GET", path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        self.request("POST", path)
    }
}

pub struct Call<'a> {
    world: &'a World,
    request: Request<Body>,
}

impl Call<'_> {
    pub fn by(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request
            .headers_mut()
            .insert(name, value.parse().unwrap());
        self
    }

    pub fn json(self, body: Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub fn text(mut self, media: &str, body: &str) -> Self {
        *self.request.body_mut() = Body::from(body.to_owned());
        self.header("content-type", media)
    }

    pub async fn send(self) -> Answer {
        let response = self
            .world
            .routes
            .clone()
            .oneshot(self.request)
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            json,
        }
    }
}
