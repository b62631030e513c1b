//! The services that a host is looking for, and the quotes of businesses for them.

use super::part;
use chrono::{DateTime, Utc};
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Service requests of the host, and quotes for them.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Services {
    pub open_count: i64,
    /// The latest 20 open requests.
    pub open: Vec<OpenRequest>,
    pub quotes: QuotesByState,
    /// Quotes that can be accepted now, by `valid_until`; at most 20.
    pub acceptable: Vec<AcceptableQuote>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct OpenRequest {
    pub service_request_id: Uuid,
    pub title: String,
    pub category: String,
    pub event_id: Option<Uuid>,
    pub needed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// Businesses that received the request.
    pub leads: i64,
    /// Leads for which a quote was sent.
    pub quotes: i64,
}

/// Number of quotes by state. Drafts are counted for the business only, and 0 for hosts.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct QuotesByState {
    pub draft: i64,
    pub sent: i64,
    pub accepted: i64,
    pub declined: i64,
    pub expired: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct AcceptableQuote {
    pub quote_id: Uuid,
    pub service_request_id: Uuid,
    pub business_id: Uuid,
    pub business_name: String,
    pub amount_cents: i64,
    pub currency: String,
    pub valid_until: DateTime<Utc>,
}

pub async fn of(cx: &mut Cx, host: Uuid) -> Result<Services> {
    let found = sqlx::query_scalar(
        "with asked as materialized (
           select s.* from app.service_requests s
           where s.status = 'active' and (s.host_organization_id = $1 or s.host_community_id = $1 or s.host_business_id = $1
             or s.host_institution_id = $1)
         ), offers as materialized (
           select q.*, l.business_id, s.id as service_request_id, s.state as request_state, l.state as lead_state
           from asked s join app.leads l on l.service_request_id = s.id and l.status = 'active'
           join app.quotes q on q.lead_id = l.id and q.status = 'active' and q.state <> 'draft'
         )
         select jsonb_build_object(
           'open_count', (select count(*) from asked s where s.state = 'open'),
           'open', (select coalesce(jsonb_agg(x), '[]') from (
             select s.id as service_request_id, s.title, s.category, s.event_id, s.needed_at, s.created_at,
               (select count(*) from app.leads l where l.service_request_id = s.id and l.status = 'active') as leads,
               (select count(distinct o.lead_id) from offers o where o.service_request_id = s.id) as quotes
             from asked s where s.state = 'open' order by s.id desc limit 20) x),
           'quotes', (select jsonb_build_object('draft', 0, 'sent', count(*) filter (where o.state = 'sent'),
               'accepted', count(*) filter (where o.state = 'accepted'), 'declined', count(*) filter (where o.state = 'declined'),
               'expired', count(*) filter (where o.state = 'expired')) from offers o),
           'acceptable', (select coalesce(jsonb_agg(x), '[]') from (
             select o.id as quote_id, o.service_request_id, o.business_id, b.name as business_name, o.amount_cents, o.currency,
               o.valid_until
             from offers o join app.businesses b on b.id = o.business_id
             where app.host_is_live(o.business_id) and app.host_is_live($1) and o.state = 'sent' and o.valid_until > now() and o.request_state = 'open' and o.lead_state in ('new', 'viewed')
             order by o.valid_until, o.id limit 20) x))",
    );
    part(cx, found.bind(host)).await
}
