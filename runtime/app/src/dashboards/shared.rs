//! Parts that several dashboards have: a profile's reviews and its pictures.

use super::part;
use chrono::{DateTime, Utc};
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Period of the figures; both days are included.
#[derive(Serialize, ToSchema)]
pub struct ShownPeriod {
    pub from: chrono::NaiveDate,
    pub to: chrono::NaiveDate,
    /// IANA name of the time zone of these days.
    pub timezone: String,
}

/// Reviews of a profile.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Reviews {
    pub rating_count: i64,
    /// Null without reviews.
    pub rating_avg: Option<f64>,
    pub unanswered: i64,
    /// The latest 5 by members with a public profile.
    pub latest: Vec<LatestReview>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct LatestReview {
    pub review_id: Uuid,
    pub rating: i32,
    pub comment: Option<String>,
    pub reply: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Pictures of a profile.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Pictures {
    pub count: i64,
    /// The first 12 by `position`.
    pub first: Vec<Picture>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct Picture {
    pub media_id: Uuid,
    pub small_url: String,
    pub alt_text: Option<String>,
    pub position: i32,
}

pub async fn reviews(cx: &mut Cx, of: Uuid) -> Result<Reviews> {
    let found = sqlx::query_scalar(
        "with said as (
           select v.* from app.reviews v
           where v.status = 'active' and (v.entity_organization_id = $1 or v.entity_business_id = $1 or v.entity_community_id = $1)
         )
         select jsonb_build_object('rating_count', count(*), 'rating_avg', round(avg(s.rating), 2),
           'unanswered', count(*) filter (where s.reply is null),
           'latest', (select coalesce(jsonb_agg(x), '[]') from (
             select v.id as review_id, v.rating, v.comment, v.reply, v.created_at
             from said v join app.users u on u.id = v.reviewer_id and u.is_public and u.status = 'active'
             order by v.id desc limit 5) x))
         from said s",
    );
    part(cx, found.bind(of)).await
}

pub async fn pictures(cx: &mut Cx, of_type: &str, of: Uuid) -> Result<Pictures> {
    let found = sqlx::query_scalar(
        "select jsonb_build_object('count', count(*), 'first', (select coalesce(jsonb_agg(x), '[]') from (
             select m.id as media_id, m.small_url, m.alt_text, m.position from app.media m
             where m.entity_type = $1 and m.entity_id = $2 and m.status = 'active' order by m.position, m.id limit 12) x))
         from app.media p where p.entity_type = $1 and p.entity_id = $2 and p.status = 'active'",
    );
    part(cx, found.bind(of_type).bind(of)).await
}
