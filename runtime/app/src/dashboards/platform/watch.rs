//! What the platform has to watch: commission rules in force, fraud flags, failed jobs and messages.

use super::{super::part, Scope};
use chrono::{DateTime, Utc};
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Commission rules in force, and open problems.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Watch {
    pub commission_rule_count: i64,
    /// Rules in force now: the platform's first, then the newest; at most 100.
    pub commission_rules: Vec<RuleInForce>,
    /// Open fraud flags by rule, most first.
    pub fraud_flags: Vec<FlagsOfRule>,
    /// Number of jobs that failed permanently; see `GET /jobs/dead`.
    pub dead_jobs: i64,
    /// Notification deliveries that failed in the period, by channel.
    pub failed_deliveries: Vec<FailedDeliveries>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct RuleInForce {
    pub commission_rule_id: Uuid,
    #[serde(rename = "type")]
    pub kind: String,
    /// Null for rules of the whole platform.
    pub scope_type: Option<String>,
    pub scope_id: Option<Uuid>,
    pub currency: String,
    pub basis_points: i32,
    pub fixed_cents: i64,
    pub city_share_basis_points: i32,
    pub valid_to: Option<DateTime<Utc>>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FlagsOfRule {
    pub rule: String,
    pub open: i64,
    pub highest_score: i32,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct FailedDeliveries {
    /// `push` or `email`
    pub channel: String,
    pub failed: i64,
}

pub async fn look(cx: &mut Cx, scope: Scope) -> Result<Watch> {
    let found = sqlx::query_scalar(
        "with valid as (
           select r.* from app.commission_rules r
           where r.status = 'active' and r.valid_from <= now() and (r.valid_to is null or r.valid_to > now())
         )
         select jsonb_build_object(
           'commission_rule_count', (select count(*) from valid),
           'commission_rules', (select coalesce(jsonb_agg(x), '[]') from (
             select r.id as commission_rule_id, r.type, r.scope_type, r.scope_id, r.currency, r.basis_points, r.fixed_cents,
               r.city_share_basis_points, r.valid_to
             from valid r order by r.scope_id is not null, r.id desc limit 100) x),
           'fraud_flags', (select coalesce(jsonb_agg(x), '[]') from (
             select f.rule, count(*) as open, max(f.score) as highest_score from app.fraud_flags f where f.state = 'open'
             group by 1 order by 2 desc, 1) x),
           'dead_jobs', (select j.dead from jobs.figures() j),
           'failed_deliveries', (select coalesce(jsonb_agg(x), '[]') from (
             select d.channel, count(*) as failed from app.notification_deliveries d
             where d.channel in ('push', 'email') and d.state = 'failed'
               and d.settled_at >= $1::date::timestamp at time zone 'UTC' and d.settled_at < ($2::date + 1)::timestamp at time zone 'UTC'
             group by 1 order by 1) x))",
    );
    part(cx, found.bind(scope.from).bind(scope.to)).await
}
