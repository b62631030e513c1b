//! `GET /search`: full-text search over all kinds of objects at once.

use super::{Routes, cards, kinds};
use crate::generated_routes;
use axum::{
    Json,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use kernel::{
    Cx, Result,
    own::{List, is_half, parameter},
    resource::Kind,
};
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// The kinds, in the order of the answer.
pub(super) const KINDS: &[&str] = &[
    "event",
    "venue",
    "community",
    "organization",
    "business",
    "institution",
    "member",
];
/// The maximum number of hits of each kind.
const HITS_MAX: i64 = 20;

static LIST: List = List::new(
    "search",
    5,
    &[
        parameter("q", Kind::Search),
        parameter("city_id", Kind::Uuid),
        parameter("types", Kind::Set(KINDS)),
    ],
)
.expanding_some(&cards::EXPANDS);

struct Wanted {
    kinds: Vec<String>,
    words: String,
    city: Option<Uuid>,
    most: i64,
}

impl Wanted {
    /// Hits that have the words or, with `is_similar`, names that are similar to them.
    async fn find(&self, cx: &mut Cx, is_similar: bool) -> Result<Vec<PgRow>> {
        let rows = sqlx::query("select * from app.search_hits($1, $2, $3, $4, $5, $6::int8::int4)")
            .bind(&self.kinds)
            .bind(&self.words)
            .bind(is_half(&self.words))
            .bind(self.city)
            .bind(is_similar)
            .bind(self.most);
        Ok(rows.fetch_all(cx.conn()).await?)
    }
}

pub(super) async fn search(State(routes): State<Routes>, request: Request) -> Result<Response> {
    let (caller, uri) = generated_routes::asked(request);
    let mut asked = LIST.look(uri.query(), &routes.module.cursors, &caller);
    if asked.goes_on() {
        asked.refuse(
            "cursor",
            "unknown",
            "This list has one page: leave this out.",
        );
    }
    let most = asked.rows() - 1;
    if most > HITS_MAX {
        let detail = format!("Use a whole number from 1 to {HITS_MAX}.");
        asked.refuse("limit", "range", detail);
    }
    let words = asked.text("q").unwrap_or_default();
    if words.is_empty() {
        asked.refuse("q", "required", "Which words?");
    }
    let asked = asked.sound()?;
    let expand = asked.expand().to_vec();
    let wanted = Wanted {
        kinds: kinds(&asked, KINDS),
        city: asked.id("city_id"),
        words,
        most,
    };
    let mut cx = routes.module.db.begin_search(&caller).await?;
    let mut rows = wanted.find(&mut cx, false).await?;
    if rows.is_empty() && wanted.city.is_some() {
        rows = wanted.find(&mut cx, true).await?;
    }
    drop(cx);
    let mut hits = rows.iter().map(hit).collect::<Result<Vec<_>, _>>()?;
    if let Err(refusal) = cards::add(&routes.generated, &caller, &expand, &mut hits).await? {
        return Ok(refusal);
    }
    let answer = Json(json!({"data": hits}));
    // Not cached for members, who also find what only they may see.
    Ok(match caller.user() {
        Ok(_) => ([(header::CACHE_CONTROL, "no-store")], answer).into_response(),
        Err(_) => answer.into_response(),
    })
}

fn hit(row: &PgRow) -> Result<Value, sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    let id: Uuid = row.try_get("id")?;
    let name: String = row.try_get("name")?;
    let subtitle: Option<String> = row.try_get("subtitle")?;
    let slug: String = row.try_get("slug")?;
    let picture: Option<String> = row.try_get("picture")?;
    let starts_at: Option<DateTime<Utc>> = row.try_get("starts_at")?;
    let timezone: Option<String> = row.try_get("timezone")?;
    Ok(json!({
        "object": "search_hit",
        "type": kind,
        "id": id,
        "name": name,
        "subtitle": subtitle,
        "slug": slug,
        "picture_url": picture,
        "starts_at": starts_at,
        "timezone": timezone,
    }))
}
