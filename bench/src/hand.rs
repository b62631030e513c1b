//! What a careful developer would write for one table with axum and sqlx, for comparison with the generated server.
//!
//! `plain`: no token, no context, one statement per request. `secured`: the same with a verified token, the database's
//! own policies through `sec.enter`, and audit, in as few round trips as the driver allows.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::RwLock;
use uuid::Uuid;

const COLUMNS: &str = "t.id, t.status, t.avatar_url, t.banner_url, t.social_links, t.name, t.slug, t.type, t.description, \
    t.website, t.contact_email::text, st_y(t.location::geometry), st_x(t.location::geometry), t.verified, t.city_id, \
    coalesce((select n.follower_count from counters.institutions n where n.id = t.id), 0), t.version, t.created_at, t.updated_at";

#[derive(Clone)]
pub struct Server {
    pool: PgPool,
    /// Some: the server is secured.
    guard: Option<Arc<Guard>>,
    texts: Arc<Texts>,
}

struct Guard {
    key: DecodingKey,
    validation: Validation,
    /// Cache of verified tokens, as a hand-written server would have it.
    seen: RwLock<HashMap<String, Caller>>,
}

#[derive(Clone, Copy)]
struct Caller {
    user: Uuid,
    session: Option<Uuid>,
}

struct Texts {
    get: String,
    list: String,
    create: String,
    update: String,
}

#[derive(Serialize)]
struct Institution {
    id: Uuid,
    status: String,
    avatar_url: Option<String>,
    banner_url: Option<String>,
    social_links: Option<Box<serde_json::value::RawValue>>,
    name: String,
    slug: String,
    r#type: String,
    description: Option<String>,
    website: Option<String>,
    contact_email: Option<String>,
    location: Option<Point>,
    verified: bool,
    city_id: Uuid,
    follower_count: i64,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Point {
    lat: f64,
    lng: f64,
}

#[derive(Deserialize)]
struct Create {
    name: String,
    slug: String,
    r#type: String,
    description: Option<String>,
    website: Option<String>,
    contact_email: Option<String>,
    city_id: Uuid,
}

#[derive(Deserialize)]
struct Patch {
    name: Option<String>,
    description: Option<String>,
    website: Option<String>,
}

#[derive(Deserialize)]
struct ListQuery {
    city_id: Uuid,
    limit: i64,
}

#[derive(Serialize)]
struct List {
    data: Vec<Institution>,
}

#[derive(Deserialize)]
struct Claims {
    sub: Uuid,
    sid: Option<Uuid>,
}

/// `token_key` is the Ed25519 public key in PEM. None: the server is plain.
pub async fn router(
    database_url: &str,
    connections: u32,
    token_key: Option<&str>,
    audience: &str,
) -> anyhow::Result<Router> {
    let options: PgConnectOptions = database_url.parse()?;
    let pool = PgPoolOptions::new()
        .min_connections(connections)
        .max_connections(connections)
        .test_before_acquire(false)
        .connect_with(options.statement_cache_capacity(100))
        .await?;
    let guard = token_key.map(|pem| -> anyhow::Result<_> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        Ok(Arc::new(Guard {
            key: DecodingKey::from_ed_pem(pem.as_bytes())?,
            validation,
            seen: RwLock::default(),
        }))
    });
    let server = Server {
        pool,
        guard: guard.transpose()?,
        texts: Arc::new(texts()),
    };
    Ok(Router::new()
        .route("/livez", get(|| async { StatusCode::OK }))
        .merge(
            Router::new()
                .route("/institutions", get(list).post(create))
                .route("/institutions/{id}", get(read).patch(update))
                .layer(middleware::from_fn_with_state(server.clone(), authenticate)),
        )
        .with_state(server))
}

fn texts() -> Texts {
    Texts {
        get: format!("select {COLUMNS} from app.institutions t where t.id = $1"),
        // In the order of the existing index; for any other order, PostgreSQL would sort the whole city.
        list: format!(
            "select {COLUMNS} from app.institutions t where t.city_id = $1 order by t.name collate \"und-x-icu\", t.id limit $2"
        ),
        create: format!(
            "insert into app.institutions as t (name, slug, type, description, website, contact_email, city_id)
             values ($1, $2, $3, $4, $5, $6, $7) returning {COLUMNS}"
        ),
        update: format!(
            "update app.institutions t set name = coalesce($3, t.name), description = coalesce($4, t.description),
             website = coalesce($5, t.website) where t.id = $1 and t.version = $2 returning {COLUMNS}"
        ),
    }
}

async fn authenticate(State(server): State<Server>, mut request: Request, next: Next) -> Response {
    if let Some(guard) = &server.guard {
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
        let Some(token) = token else {
            return StatusCode::UNAUTHORIZED.into_response();
        };
        let known = guard.seen.read().await.get(token).copied();
        let caller = match known {
            Some(caller) => caller,
            None => match jsonwebtoken::decode::<Claims>(token, &guard.key, &guard.validation) {
                Ok(data) => {
                    let caller = Caller {
                        user: data.claims.sub,
                        session: data.claims.sid,
                    };
                    guard.seen.write().await.insert(token.to_owned(), caller);
                    caller
                }
                Err(_) => return StatusCode::UNAUTHORIZED.into_response(),
            },
        };
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

type Answer = Result<Response, StatusCode>;

fn broken(error: sqlx::Error) -> StatusCode {
    eprintln!("{error}");
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn begin(
    server: &Server,
    caller: Caller,
    begin: &str,
    action: &str,
) -> Result<Transaction<'static, Postgres>, StatusCode> {
    let session = caller
        .session
        .map_or("null".to_owned(), |id| format!("'{id}'"));
    let text = format!(
        "{begin}; select sec.enter('{}', {session}, '{action}', '{}')",
        caller.user,
        Uuid::now_v7()
    );
    server
        .pool
        .begin_with(AssertSqlSafe(text))
        .await
        .map_err(broken)
}

async fn read(State(server): State<Server>, Path(id): Path<Uuid>, request: Request) -> Answer {
    let query = sqlx::query(AssertSqlSafe(server.texts.get.clone())).bind(id);
    let row = match request.extensions().get::<Caller>() {
        Some(&caller) => {
            let mut tx = begin(&server, caller, "begin read only", "read").await?;
            query.fetch_optional(&mut *tx).await
        }
        None => query.fetch_optional(&server.pool).await,
    };
    let row = row.map_err(broken)?.ok_or(StatusCode::NOT_FOUND)?;
    Ok(tagged(StatusCode::OK, institution(&row).map_err(broken)?))
}

async fn list(
    State(server): State<Server>,
    Query(q): Query<ListQuery>,
    request: Request,
) -> Answer {
    let query = sqlx::query(AssertSqlSafe(server.texts.list.clone()))
        .bind(q.city_id)
        .bind(q.limit.min(100));
    let rows = match request.extensions().get::<Caller>() {
        Some(&caller) => {
            let mut tx = begin(&server, caller, "begin read only", "read").await?;
            query.fetch_all(&mut *tx).await
        }
        None => query.fetch_all(&server.pool).await,
    };
    let data = rows
        .map_err(broken)?
        .iter()
        .map(institution)
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    Ok(Json(List { data }).into_response())
}

async fn create(State(server): State<Server>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 256 * 1024)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let new: Create = decode(&body)?;
    let query = sqlx::query(AssertSqlSafe(server.texts.create.clone()))
        .bind(new.name)
        .bind(new.slug)
        .bind(new.r#type)
        .bind(new.description)
        .bind(new.website)
        .bind(new.contact_email)
        .bind(new.city_id);
    let row = match parts.extensions.get::<Caller>() {
        Some(&caller) => {
            let mut tx = begin(&server, caller, "begin", "create").await?;
            let row = query.fetch_one(&mut *tx).await.map_err(broken)?;
            tx.commit().await.map_err(broken)?;
            row
        }
        None => query.fetch_one(&server.pool).await.map_err(broken)?,
    };
    Ok(tagged(
        StatusCode::CREATED,
        institution(&row).map_err(broken)?,
    ))
}

async fn update(
    State(server): State<Server>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    request: Request,
) -> Answer {
    let version = headers.get(header::IF_MATCH).and_then(|v| {
        v.to_str()
            .ok()?
            .trim_matches('"')
            .split('-')
            .next()?
            .parse::<i64>()
            .ok()
    });
    let version = version.ok_or(StatusCode::PRECONDITION_REQUIRED)?;
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 256 * 1024)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let patch: Patch = decode(&body)?;
    let query = sqlx::query(AssertSqlSafe(server.texts.update.clone()))
        .bind(id)
        .bind(version)
        .bind(patch.name)
        .bind(patch.description)
        .bind(patch.website);
    let row = match parts.extensions.get::<Caller>() {
        Some(&caller) => {
            let mut tx = begin(&server, caller, "begin", "update").await?;
            let row = query.fetch_optional(&mut *tx).await.map_err(broken)?;
            tx.commit().await.map_err(broken)?;
            row
        }
        None => query.fetch_optional(&server.pool).await.map_err(broken)?,
    };
    let row = row.ok_or(StatusCode::PRECONDITION_FAILED)?;
    Ok(tagged(StatusCode::OK, institution(&row).map_err(broken)?))
}

fn decode<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, StatusCode> {
    serde_json::from_slice(body).map_err(|_| StatusCode::UNPROCESSABLE_ENTITY)
}

fn tagged(status: StatusCode, body: Institution) -> Response {
    (
        status,
        [(header::ETAG, format!("\"{}\"", body.version))],
        Json(body),
    )
        .into_response()
}

fn institution(row: &PgRow) -> Result<Institution, sqlx::Error> {
    let lat: Option<f64> = row.try_get(11)?;
    Ok(Institution {
        id: row.try_get(0)?,
        status: row.try_get(1)?,
        avatar_url: row.try_get(2)?,
        banner_url: row.try_get(3)?,
        social_links: row
            .try_get::<Option<sqlx::types::Json<_>>, _>(4)?
            .map(|json| json.0),
        name: row.try_get(5)?,
        slug: row.try_get(6)?,
        r#type: row.try_get(7)?,
        description: row.try_get(8)?,
        website: row.try_get(9)?,
        contact_email: row.try_get(10)?,
        location: lat
            .map(|lat| {
                Ok::<_, sqlx::Error>(Point {
                    lat,
                    lng: row.try_get(12)?,
                })
            })
            .transpose()?,
        verified: row.try_get(13)?,
        city_id: row.try_get(14)?,
        follower_count: row.try_get(15)?,
        version: row.try_get(16)?,
        created_at: row.try_get(17)?,
        updated_at: row.try_get(18)?,
    })
}
