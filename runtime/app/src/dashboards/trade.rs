//! What a business offers to others: requests that it received, its quotes and its plan. Monthly figures and averages
//! are in `GET /businesses/{id}/report`, which requires a plan that includes it.

use super::{part, services::QuotesByState};
use chrono::{DateTime, Utc};
use kernel::{Cx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Leads, quotes and plan of a business.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct Trade {
    pub leads: LeadsByState,
    /// The latest 20 leads in state `new` or `viewed`.
    pub open_leads: Vec<OpenLead>,
    pub quotes: QuotesByState,
    /// Null if the business has none.
    pub subscription: Option<CurrentSubscription>,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct LeadsByState {
    pub new: i64,
    pub viewed: i64,
    pub declined: i64,
    pub won: i64,
    pub lost: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
pub struct OpenLead {
    pub lead_id: Uuid,
    pub title: String,
    /// `new` or `viewed`
    pub state: String,
    pub budget_cents: Option<i64>,
    pub currency: Option<String>,
    pub needed_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// Whether a quote was sent.
    pub is_answered: bool,
}

/// The current subscription of a business.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CurrentSubscription {
    pub subscription_id: Uuid,
    pub plan_id: Uuid,
    pub plan: String,
    pub state: String,
    pub price_cents: i64,
    pub currency: String,
    pub current_period_end: Option<DateTime<Utc>>,
    pub cancel_at_period_end: bool,
    pub entitled_until: Option<DateTime<Utc>>,
}

pub async fn of(cx: &mut Cx, business: Uuid) -> Result<Trade> {
    let found = sqlx::query_scalar(
        "with heard as materialized (
           select l.* from app.leads l where l.business_id = $1 and l.status = 'active'
         )
         select jsonb_build_object(
           'leads', (select jsonb_build_object('new', count(*) filter (where l.state = 'new'),
               'viewed', count(*) filter (where l.state = 'viewed'), 'declined', count(*) filter (where l.state = 'declined'),
               'won', count(*) filter (where l.state = 'won'), 'lost', count(*) filter (where l.state = 'lost')) from heard l),
           'open_leads', (select coalesce(jsonb_agg(x), '[]') from (
             select l.id as lead_id, l.title, l.state, l.budget_cents, l.currency, l.needed_at, l.created_at,
               exists (select from app.quotes q where q.lead_id = l.id and q.status = 'active' and q.state <> 'draft') as is_answered
             from heard l where l.state in ('new', 'viewed') order by l.id desc limit 20) x),
           'quotes', (select jsonb_build_object('draft', count(*) filter (where q.state = 'draft'),
               'sent', count(*) filter (where q.state = 'sent'), 'accepted', count(*) filter (where q.state = 'accepted'),
               'declined', count(*) filter (where q.state = 'declined'), 'expired', count(*) filter (where q.state = 'expired'))
             from heard l join app.quotes q on q.lead_id = l.id and q.status = 'active'),
           'subscription', (select to_jsonb(x) from (
             select s.id as subscription_id, s.plan_id, p.name as plan, s.state, p.price_cents, p.currency, s.current_period_end,
               s.cancel_at_period_end, s.entitled_until
             from app.subscriptions s join app.plans p on p.id = s.plan_id
             where s.business_id = $1 and s.state <> 'canceled' order by s.id desc limit 1) x))",
    );
    part(cx, found.bind(business)).await
}
