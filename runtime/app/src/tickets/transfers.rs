//! Transfers of tickets: the holder offers a ticket to another member, who gets it by accepting.
//!
//! The ticket's row is locked before that of the offer, so concurrent attempts to accept, scan or refund it run one
//! after the other, and each sees the result of those before. The secret version is incremented with each transfer, so
//! the old code is refused from then on. No money moves: a refund goes to the buyer.

pub mod export;
pub mod routes;

use super::{
    Tickets, checkpoints,
    code::{Claims, Keys},
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use generated::{
    ticket::TICKET,
    ticket_transfer::{TICKET_TRANSFER, TicketTransferState},
    user::USER,
};
use kernel::{
    Cx, Error, Member, Result,
    idempotency::{Answer, Claimed},
    jobs, problems,
};
use macros::Input;
use serde::Serialize;
use serde_json::json;
use sqlx::Row;
use std::borrow::Cow;
use utoipa::ToSchema;
use uuid::Uuid;

/// How many offers expire in one transaction.
const AT_ONCE: i32 = 500;

/// How often one ticket may be offered within 24 hours.
const OFFERS_A_DAY: i64 = 10;

/// Recipient of the offer: either `to_id` or `to_handle`.
#[derive(Input, Clone, Debug)]
#[input(body, example = r#"{"to_handle": "mira_member"}"#)]
pub struct OfferTicket {
    pub to_id: Option<Uuid>,
    /// With or without `@`.
    #[input(length(3, 30), format = "handle")]
    pub to_handle: Option<String>,
}

/// An offer of a ticket and its state.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "offered_ticket")]
#[schema(example = json!({"object": "offered_ticket", "id": "01a21e7c-a3c8-737d-9b75-6e034adcf8c8",
    "ticket_id": "019caddd-0f20-7140-a694-29150abcbf24", "to_id": "019caddd-0f20-7fdf-a029-5d1b37c38385", "state": "offered",
    "expires_at": "2040-05-01T18:00:00Z"}))]
pub struct OfferedTicket {
    /// `GET /ticket-transfers/{id}` returns the whole offer.
    pub id: Uuid,
    pub ticket_id: Uuid,
    pub to_id: Uuid,
    pub state: String,
    pub expires_at: DateTime<Utc>,
}

/// How an offer ends without a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By the member to whom it was offered.
    Declined,
    /// By the member who offered it.
    Withdrawn,
}

/// A ticket as transfers need it. Its row is locked.
struct Ticket {
    id: Uuid,
    event: Uuid,
    holder: Uuid,
    secret_version: i32,
    ends_at: DateTime<Utc>,
    /// The current time by the database's clock.
    now: DateTime<Utc>,
    /// Why it can't be transferred. None if it can.
    kept: Option<String>,
}

impl Tickets {
    pub async fn offer(
        &self,
        holder: &Member,
        ticket: Uuid,
        body: OfferTicket,
        claimed: Option<Claimed>,
    ) -> Result<Answer> {
        let hours = i32::from(self.settings.ticket_transfer_hours);
        let (body, claimed) = (&body, &claimed);
        let run = self
            .db
            .run(Self::NAME, Some(holder), holder.request_id, move |cx| {
                Box::pin(async move {
                    cx.require(&TICKET, "read", ticket).await?;
                    if !cx.holds(&TICKET, "holder_only", ticket).await? {
                        return Err(Error::forbidden());
                    }
                    let to = recipient(cx, holder, body).await?;
                    let ticket = lock(cx, ticket).await?;
                    // Transferred since the permission was checked.
                    if ticket.holder != holder.id() {
                        return Err(Error::forbidden());
                    }
                    if let Some(why) = ticket.kept {
                        return Err(state(why));
                    }
                    if !may_receive(cx, ticket.event, to).await? {
                        return Err(unknown(pointer(body)?));
                    }
                    let offered = insert(cx, &ticket, to, hours).await?;
                    let location = format!("/ticket-transfers/{}", offered.id);
                    let answer = Answer::created(&location, &offered)?;
                    if let Some(claimed) = claimed {
                        claimed.keep(cx, &answer).await?;
                    }
                    Ok(answer)
                })
            });
        run.await
    }

    pub async fn accept(&self, recipient: &Member, transfer: Uuid) -> Result<OfferedTicket> {
        let me = recipient.id();
        let run = self.db.run(
            Self::NAME,
            Some(recipient),
            recipient.request_id,
            move |cx| {
                Box::pin(async move {
                    let (ticket, offer) = open(cx, transfer, End::Declined, me).await?;
                    if offer.is_over {
                        return Err(state("The offer has expired."));
                    }
                    if let Some(why) = ticket.kept {
                        return Err(state(why));
                    }
                    if ticket.holder != offer.from || !offer.from_active {
                        return Err(state(
                            "The member who offered the ticket no longer holds it.",
                        ));
                    }
                    if !may_receive(cx, ticket.event, me).await? {
                        return Err(state(
                            "The community that hosts the event has excluded you.",
                        ));
                    }
                    decide(cx, transfer, TicketTransferState::Accepted).await?;
                    hand_over(cx, &self.keys, &ticket, me).await?;
                    shown(cx, transfer).await
                })
            },
        );
        run.await
    }

    pub async fn end_offer(
        &self,
        caller: &Member,
        transfer: Uuid,
        end: End,
    ) -> Result<OfferedTicket> {
        let me = caller.id();
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    open(cx, transfer, end, me).await?;
                    let to = match end {
                        End::Declined => TicketTransferState::Declined,
                        End::Withdrawn => TicketTransferState::Withdrawn,
                    };
                    decide(cx, transfer, to).await?;
                    shown(cx, transfer).await
                })
            });
        run.await
    }

    /// Ends offers that were not accepted in time. Returns how many.
    pub async fn expire_transfers(&self) -> Result<u64> {
        let mut all = 0;
        loop {
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                Box::pin(async move {
                    let done = sqlx::query(
                        "update app.ticket_transfers x set state = 'expired', decided_at = now()
                         from (
                           select d.id from app.ticket_transfers d where d.state = 'offered' and d.expires_at <= now()
                           order by d.expires_at limit $1 for update skip locked
                         ) due where x.id = due.id",
                    )
                    .bind(AT_ONCE)
                    .execute(cx.conn())
                    .await?;
                    Ok(done.rows_affected())
                })
            });
            let done = run.await?;
            all += done;
            if done < AT_ONCE.unsigned_abs().into() {
                return Ok(all);
            }
        }
    }
}

/// The value of the body that names the recipient.
fn pointer(body: &OfferTicket) -> Result<&'static str> {
    match (body.to_id, &body.to_handle) {
        (Some(_), None) => Ok("/to_id"),
        (None, Some(_)) => Ok("/to_handle"),
        (None, None) => {
            let detail = "or `to_handle` must be given";
            Err(Error::field("/to_id", "required", detail))
        }
        (Some(_), Some(_)) => {
            let detail = "must be left out if `to_id` is given";
            Err(Error::field("/to_handle", "repeated", detail))
        }
    }
}

/// The answer for recipients who do not exist, whom the holder can't see, and who may not have the ticket: the three must
/// look alike, since a ban is nobody else's business.
fn unknown(pointer: &'static str) -> Error {
    Error::field(
        pointer,
        "reference",
        "is not a member to whom you can offer it",
    )
}

/// Whether a member may have a ticket of an event; the database refuses it as well (`app.may_receive`).
async fn may_receive(cx: &mut Cx, event: Uuid, member: Uuid) -> Result<bool> {
    Ok(sqlx::query_scalar("select app.may_receive($1, $2)")
        .bind(event)
        .bind(member)
        .fetch_one(cx.conn())
        .await?)
}

/// Returns the member to whom a ticket is offered, who must be visible to the holder. An unknown member and one whom
/// the holder can't see are answered in the same way.
async fn recipient(cx: &mut Cx, holder: &Member, body: &OfferTicket) -> Result<Uuid> {
    let pointer = pointer(body)?;
    let found: Option<Uuid> = sqlx::query_scalar(
        "select id from app.users where (id = $1 or handle = $2) and status = 'active'",
    )
    .bind(body.to_id)
    .bind(body.to_handle.as_deref())
    .fetch_optional(cx.conn())
    .await?;
    match found {
        Some(id) if id == holder.id() => Err(Error::field(
            pointer,
            "reference",
            "is the member who holds the ticket",
        )),
        Some(id) if cx.may(&USER, "read", id).await? => Ok(id),
        _ => Err(unknown(pointer)),
    }
}

fn state(detail: impl Into<Cow<'static, str>>) -> Error {
    Error::new(&problems::STATE).detail(detail)
}

async fn lock(cx: &mut Cx, ticket: Uuid) -> Result<Ticket> {
    let row = sqlx::query(
        "select k.event_id, k.holder_id, k.secret_version, e.ends_at, now() as now,
           case
             when k.state = 'checked_in' then 'The ticket has been used.'
             when k.state <> 'valid' or k.refund_id is not null or o.state not in ('paid', 'part_refunded')
               then 'It has been given back, or is about to be.'
             when exists (select from app.disputes d where d.order_id = o.id and d.state in ('inquiry', 'needs_response', 'under_review'))
               then 'Its payment is disputed.'
             when e.state <> 'published' or e.status <> 'active' then 'The event does not take place as things are.'
             when e.ends_at <= now() then 'The event is over.'
           end as kept
         from app.tickets k join app.events e on e.id = k.event_id join app.orders o on o.id = k.order_id
         where k.id = $1 for update of k",
    )
    .bind(ticket)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(Error::not_found)?;
    let mut kept: Option<String> = row.try_get("kept")?;
    if kept.is_none() && !checkpoints::entered(cx, &[ticket]).await?.is_empty() {
        kept = Some("The ticket has been used.".to_owned());
    }
    Ok(Ticket {
        id: ticket,
        event: row.try_get("event_id")?,
        holder: row.try_get("holder_id")?,
        secret_version: row.try_get("secret_version")?,
        ends_at: row.try_get("ends_at")?,
        now: row.try_get("now")?,
        kept,
    })
}

async fn insert(cx: &mut Cx, ticket: &Ticket, to: Uuid, hours: i32) -> Result<OfferedTicket> {
    // An earlier offer may be over although the job has not ended it yet.
    sqlx::query(
        "update app.ticket_transfers set state = 'expired', decided_at = now()
         where ticket_id = $1 and state = 'offered' and expires_at <= now()",
    )
    .bind(ticket.id)
    .execute(cx.conn())
    .await?;
    let is_offered: bool = sqlx::query_scalar(
        "select exists (select from app.ticket_transfers where ticket_id = $1 and state = 'offered')",
    )
    .bind(ticket.id)
    .fetch_one(cx.conn())
    .await?;
    if is_offered {
        return Err(state(
            "The ticket is offered to another member. Withdraw that offer first.",
        ));
    }
    limit(cx, ticket.id).await?;
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into app.ticket_transfers (id, ticket_id, from_id, to_id, expires_at)
         values ($1, $2, $3, $4, least(now() + make_interval(hours => $5), $6))",
    )
    .bind(id)
    .bind(ticket.id)
    .bind(ticket.holder)
    .bind(to)
    .bind(hours)
    .bind(ticket.ends_at)
    .execute(cx.conn())
    .await?;
    let about = ("ticket_transfer", id);
    jobs::tell(cx, "tickets.transfer_offered", about, json!({})).await?;
    shown(cx, id).await
}

/// Limits the number of offers of a ticket. Each offer notifies its recipient, so without a limit a member could be
/// pestered by offers that are withdrawn again and again.
async fn limit(cx: &mut Cx, ticket: Uuid) -> Result<()> {
    let wait: Option<i64> = sqlx::query_scalar(
        "select ceil(extract(epoch from created_at + interval '1 day' - now()))::int8 from app.ticket_transfers
         where ticket_id = $1 and created_at > now() - interval '1 day' order by created_at desc offset $2 limit 1",
    )
    .bind(ticket)
    .bind(OFFERS_A_DAY - 1)
    .fetch_optional(cx.conn())
    .await?;
    match wait {
        Some(seconds) => Err(Error::new(&problems::QUOTA)
            .detail(format!(
                "A ticket is offered at most {OFFERS_A_DAY} times in 24 hours."
            ))
            .limited(
                "ticket-offers",
                u32::try_from(OFFERS_A_DAY).ok().map(|most| (most, 86_400)),
                seconds.max(1).unsigned_abs(),
            )),
        None => Ok(()),
    }
}

struct Offer {
    from: Uuid,
    from_active: bool,
    is_over: bool,
}

/// Returns an open offer and its ticket, both locked, if the caller may end the offer in this way.
async fn open(cx: &mut Cx, transfer: Uuid, end: End, me: Uuid) -> Result<(Ticket, Offer)> {
    cx.require(&TICKET_TRANSFER, "read", transfer).await?;
    let ticket: Uuid =
        sqlx::query_scalar("select ticket_id from app.ticket_transfers where id = $1")
            .bind(transfer)
            .fetch_one(cx.conn())
            .await?;
    let ticket = lock(cx, ticket).await?;
    let row = sqlx::query(
        "select x.from_id, x.to_id, x.state, x.expires_at <= now() as is_over, u.status = 'active' as from_active
         from app.ticket_transfers x join app.users u on u.id = x.from_id where x.id = $1 for update of x",
    )
    .bind(transfer)
    .fetch_one(cx.conn())
    .await?;
    let (from, to): (Uuid, Uuid) = (row.try_get("from_id")?, row.try_get("to_id")?);
    let whose = match end {
        End::Declined => to,
        End::Withdrawn => from,
    };
    if whose != me {
        return Err(Error::forbidden());
    }
    if row.try_get::<TicketTransferState, _>("state")? != TicketTransferState::Offered {
        return Err(state("The offer is not open any more."));
    }
    let offer = Offer {
        from,
        from_active: row.try_get("from_active")?,
        is_over: row.try_get("is_over")?,
    };
    Ok((ticket, offer))
}

async fn decide(cx: &mut Cx, transfer: Uuid, state: TicketTransferState) -> Result<()> {
    sqlx::query("update app.ticket_transfers set state = $2, decided_at = now() where id = $1")
        .bind(transfer)
        .bind(state)
        .execute(cx.conn())
        .await?;
    Ok(())
}

async fn hand_over(cx: &mut Cx, keys: &Keys, ticket: &Ticket, to: Uuid) -> Result<()> {
    let version = ticket.secret_version + 1;
    let claims = Claims::new(ticket.id, ticket.event, version, ticket.now, ticket.ends_at);
    sqlx::query(
        "update app.tickets set holder_id = $2, secret_version = $3, code = $4 where id = $1",
    )
    .bind(ticket.id)
    .bind(to)
    .bind(version)
    .bind(keys.sign(&claims))
    .execute(cx.conn())
    .await?;
    jobs::tell(cx, "tickets.transferred", ("ticket", ticket.id), json!({})).await?;
    Ok(())
}

async fn shown(cx: &mut Cx, transfer: Uuid) -> Result<OfferedTicket> {
    let row = sqlx::query(
        "select id, ticket_id, to_id, state, expires_at from app.ticket_transfers where id = $1",
    )
    .bind(transfer)
    .fetch_one(cx.conn())
    .await?;
    Ok(OfferedTicket {
        id: row.try_get("id")?,
        ticket_id: row.try_get("ticket_id")?,
        to_id: row.try_get("to_id")?,
        state: row.try_get("state")?,
        expires_at: row.try_get("expires_at")?,
    })
}
