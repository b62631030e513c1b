//! `GET /me/home`: a member's start page. The member's own data are read in one transaction; events are shown as the
//! engine's list shows them to the caller, each once.

use super::{Dashboards, EXPANDS, Lists, part};
use crate::{
    generated_routes,
    module::{Module, uncached},
};
use axum::{
    Router,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, Utc};
use generated::event::EVENT;
use kernel::{Cx, Member, Result, openapi::Objects, own::List};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::{OpenApi, ToSchema, openapi};
use uuid::Uuid;

static LIST: List = List::new("home", 1, &[]).expanding(&EVENT);

/// The maximum number of trending events, and of events by followed hosts.
const TOP: i32 = 10;

/// Contents of a member's start page. Events are referred to by id; each is contained once in `events`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "home")]
struct Home {
    /// Tickets to events that have not ended, by start time; at most 20.
    tickets: Vec<HomeTicket>,
    /// The last 5 events that the member attended.
    attended: Vec<Uuid>,
    /// At most 10 trending events of the home city, hottest first; empty without a home city.
    trending: Vec<Uuid>,
    /// Newest events of hosts and venues that the member follows; at most 10.
    followed: Vec<Uuid>,
    unread_notifications: i64,
    wallets: Vec<HomeBalance>,
    /// Open ticket transfers to or from the member; at most 20.
    transfers: Vec<OpenTransfer>,
    /// Places reserved for the member after waiting; at most 20.
    waiting_list_offers: Vec<WaitingListOffer>,
    /// All events named above that the caller may see.
    #[schema(schema_with = super::events)]
    events: Vec<Value>,
}

#[derive(Serialize, Deserialize)]
struct Own {
    tickets: Vec<HomeTicket>,
    attended: Vec<Uuid>,
    unread_notifications: i64,
    wallets: Vec<HomeBalance>,
    transfers: Vec<OpenTransfer>,
    waiting_list_offers: Vec<WaitingListOffer>,
    home_city: Option<Uuid>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct HomeTicket {
    ticket_id: Uuid,
    event_id: Uuid,
    ticket_type: String,
    /// `valid` or `checked_in`
    state: String,
    starts_at: DateTime<Utc>,
}

/// Credits in one currency.
#[derive(Serialize, Deserialize, ToSchema)]
struct HomeBalance {
    currency: String,
    balance_cents: i64,
    /// Reserved for purchases in progress.
    held_cents: i64,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct OpenTransfer {
    ticket_transfer_id: Uuid,
    ticket_id: Uuid,
    /// The event may be missing in `events`: some can be seen only once the ticket is accepted.
    event_id: Uuid,
    /// Null while the event is suspended, and once it is archived.
    event_title: Option<String>,
    ticket_type: String,
    /// Whether the member is the one who offers the ticket.
    is_own: bool,
    /// Who offers the ticket, or to whom it is offered.
    other_id: Uuid,
    other_name: String,
    expires_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct WaitingListOffer {
    waitlist_entry_id: Uuid,
    event_id: Uuid,
    /// Null while the event is suspended, and once it is archived.
    event_title: Option<String>,
    ticket_type_id: Option<Uuid>,
    ticket_type: Option<String>,
    offer_expires_at: DateTime<Utc>,
}

pub fn router() -> Router<Lists> {
    Router::new().route("/me/home", get(home))
}

static OBJECTS: Objects = Objects(&[("Home", "home")]);

#[derive(OpenApi)]
#[openapi(paths(home), modifiers(&OBJECTS, &EXPANDS))]
struct Document;

pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// Get the caller's start page
///
/// Tickets, balances, offers and recommended events in one answer.
#[utoipa::path(get, path = "/me/home", operation_id = "getMyHome", tag = "Me", security(("bearer" = [])),
    responses((status = 200, description = "The start page", body = Home)))]
async fn home(State(lists): State<Lists>, caller: Member, uri: Uri) -> Result<Response> {
    let mut asked = LIST.look(uri.query(), &lists.module.cursors, caller.caller());
    // Every list reads a `limit`. This one has room for a single object, so another number of rows was asked for.
    if asked.rows() != 2 {
        asked.refuse(
            "limit",
            "unknown",
            "This answer has no pages: leave this out.",
        );
    }
    if asked.goes_on() {
        asked.refuse(
            "cursor",
            "unknown",
            "This answer has no pages: leave this out.",
        );
    }
    let asked = asked.sound()?;
    let (me, trending) = (caller.id(), lists.module.trending.clone());
    let look = lists
        .module
        .db
        .snapshot(Dashboards::NAME, &caller, move |cx| {
            Box::pin(async move {
                let own = own(cx, me).await?;
                let hot = match own.home_city {
                    Some(city) => trending.hottest(cx, city, TOP).await?,
                    None => Vec::new(),
                };
                let followed = trending.newest_followed(cx, TOP).await?;
                Ok((own, hot, followed))
            })
        });
    let (own, hot, followed) = look.await?;
    let named: BTreeSet<Uuid> = (own.tickets.iter().map(|one| one.event_id))
        .chain(own.transfers.iter().map(|one| one.event_id))
        .chain(own.waiting_list_offers.iter().map(|one| one.event_id))
        .chain(own.attended.iter().copied())
        .chain(hot.iter().copied())
        .chain(followed.iter().copied())
        .collect();
    let named: Vec<Uuid> = named.into_iter().collect();
    let (generated, caller) = (&lists.generated, caller.caller());
    let events = generated_routes::shown(generated, caller, "events", &named, asked.expand());
    let events = events.await?;
    let events = match events {
        Ok(events) => events,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let seen: BTreeSet<&str> = (events.iter())
        .filter_map(|event| event["id"].as_str())
        .collect();
    let may_see = |ids: Vec<Uuid>| {
        let seen = ids
            .into_iter()
            .filter(|id| seen.contains(id.to_string().as_str()));
        seen.collect::<Vec<Uuid>>()
    };
    let (trending, followed) = (may_see(hot), may_see(followed));
    Ok(uncached(Home {
        trending,
        followed,
        tickets: own.tickets,
        attended: own.attended,
        unread_notifications: own.unread_notifications,
        wallets: own.wallets,
        transfers: own.transfers,
        waiting_list_offers: own.waiting_list_offers,
        events,
    }))
}

/// All lists together contain at most 95 events, so that a single list query shows them.
async fn own(cx: &mut Cx, me: Uuid) -> Result<Own> {
    let found = sqlx::query_scalar(
        "select jsonb_build_object(
           'home_city', (select u.home_city_id from app.users u where u.id = $1),
           'tickets', (select coalesce(jsonb_agg(x), '[]') from (
             select k.id as ticket_id, k.event_id, t.name as ticket_type, k.state, e.starts_at
             from app.tickets k join app.events e on e.id = k.event_id join app.ticket_types t on t.id = k.ticket_type_id
             where k.holder_id = $1 and k.state in ('valid', 'checked_in') and e.ends_at > now() and e.status <> 'archived'
             order by e.starts_at, k.id limit 20) x),
           'attended', (select coalesce(jsonb_agg(x.event_id), '[]') from (
             select a.event_id from app.attendances a where a.user_id = $1 order by a.id desc limit 5) x),
           'unread_notifications', (select count(*) from app.notifications n where n.user_id = $1 and not n.is_read and n.in_app),
           'wallets', (select coalesce(jsonb_agg(x), '[]') from (
             select w.currency, w.balance_cents, w.held_cents from app.wallet_accounts w
             where w.user_id = $1 and w.kind = 'user' order by w.currency) x),
           'transfers', (select coalesce(jsonb_agg(x), '[]') from (
             select r.id as ticket_transfer_id, r.ticket_id, k.event_id,
               case when e.status = 'active' then e.title end as event_title, t.name as ticket_type, r.from_id = $1 as is_own,
               o.id as other_id, o.display_name as other_name, r.expires_at
             from app.ticket_transfers r join app.tickets k on k.id = r.ticket_id join app.events e on e.id = k.event_id
             join app.ticket_types t on t.id = k.ticket_type_id
             join app.users o on o.id = case when r.from_id = $1 then r.to_id else r.from_id end
             where (r.to_id = $1 or r.from_id = $1) and r.state = 'offered' and r.expires_at > now()
             order by r.expires_at, r.id limit 20) x),
           'waiting_list_offers', (select coalesce(jsonb_agg(x), '[]') from (
             select w.id as waitlist_entry_id, w.event_id,
               case when e.status = 'active' then e.title end as event_title, w.offered_type_id as ticket_type_id,
               t.name as ticket_type, w.offer_expires_at
             from app.waitlist_entries w join app.events e on e.id = w.event_id
             left join app.ticket_types t on t.id = w.offered_type_id
             where w.user_id = $1 and w.state = 'offered' and w.status = 'active' and w.offer_expires_at > now()
             order by w.offer_expires_at, w.id limit 20) x))",
    );
    part(cx, found.bind(me)).await
}
