//! Check-in at the door: each ticket admits one person once, whichever scan arrives first. Checkpoints of the event
//! admit tickets separately ([`super::checkpoints`]).
//!
//! A code counts only if one of our keys has signed it. Whether the ticket is still valid is read from its row, and
//! the time is checked against the event as it is now, which may have been moved since the code was made. Every scan
//! is stored with its result, also scans that were made without a connection and are uploaded later: of two scans of
//! one ticket the one that arrives first is accepted, and the other is stored as well. No scan is ahead of its upload: a
//! device whose clock is fast would refuse guests as too late, and its admissions would be shown hours before they happen.

use super::{
    Tickets,
    bodies::{Direction, Scan, ScanResult},
    checkpoints::{self, Checkpoint},
    code::Claims,
    staff::staff,
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use generated::{
    check_in::{self, CheckInOverruled as Refusal, CheckInResult},
    ticket::TicketState,
};
use kernel::{Cx, Error, Member, Result, error::violated, input::Choice};
use sqlx::Row;
use uuid::Uuid;

/// The result of a scan.
pub(super) struct Verdict {
    pub result: CheckInResult,
    pub ticket: Option<Uuid>,
    /// Why the scan should have been refused, if `force` has overruled that.
    pub overruled: Option<Refusal>,
}

impl Verdict {
    /// The ticket whose holder has entered. None if the code was from before a transfer, since then it was not the
    /// holder.
    pub fn came_in(&self, scan: &Scan) -> Option<Uuid> {
        let is_entry = self.result == CheckInResult::Ok && scan.direction() == Direction::Entry;
        let by_holder = self.overruled != Some(Refusal::Transferred);
        self.ticket.filter(|_| is_entry && by_holder)
    }
}

/// Whether the nonce of a scan was used before.
pub(super) enum Before {
    Never,
    /// It was used for the same scan, which had this result.
    Same(ScanResult),
    /// It was used for another ticket, event, checkpoint or direction.
    Elsewhere,
}

/// A ticket while a scan of it is decided. Its row is locked.
struct Ticket {
    event: Uuid,
    secret_version: i32,
    state: TicketState,
    /// Whether the event takes place or has taken place, since scans may be uploaded late.
    is_on: bool,
    /// Whether the code was scanned at a time at which it is valid.
    is_time: bool,
}

impl Ticket {
    /// Why the ticket is not valid any more. None if it is valid.
    fn refused(&self, secret_version: i32) -> Option<Refusal> {
        if self.secret_version != secret_version {
            return Some(Refusal::Transferred);
        }
        match self.state {
            TicketState::Valid | TicketState::CheckedIn => match (self.is_on, self.is_time) {
                (true, true) => None,
                (true, false) => Some(Refusal::InvalidTime),
                (false, _) => Some(Refusal::Void),
            },
            TicketState::Refunded => Some(Refusal::Refunded),
            TicketState::Transferred => Some(Refusal::Transferred),
            TicketState::Void => Some(Refusal::Void),
        }
    }
}

impl Tickets {
    pub async fn scan(&self, caller: &Member, scan: Scan) -> Result<ScanResult> {
        checkpoints::check([(String::new(), &scan)])?;
        let scan = &scan;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, scan.event_id).await?;
                    let at = checkpoints::named(cx, scan.event_id, scan.checkpoint_id).await?;
                    let ticket = self.keys.read(&scan.code).map(|claims| claims.ticket);
                    match before(cx, scan, ticket).await? {
                        Before::Never => {}
                        Before::Same(told) => return Ok(told),
                        Before::Elsewhere => {
                            let detail = "was used for another scan of the event: of another ticket, or at another checkpoint";
                            return Err(Error::field("/nonce", "repeated", detail));
                        }
                    }
                    if let Some(at) = at.as_ref().filter(|_| scan.at.is_none()) {
                        at.open()?;
                    }
                    let verdict = self.judge(cx, scan, at.as_ref()).await?;
                    keep(cx, caller, scan, &verdict).await?;
                    attend(cx, verdict.came_in(scan).as_slice()).await?;
                    told(cx, scan, verdict).await
                })
            });
        run.await
    }

    pub(super) async fn judge(
        &self,
        cx: &mut Cx,
        scan: &Scan,
        at: Option<&Checkpoint>,
    ) -> Result<Verdict> {
        let forged = Verdict {
            result: CheckInResult::Forged,
            ticket: None,
            overruled: None,
        };
        let Some(claims) = self.keys.read(&scan.code) else {
            return Ok(forged);
        };
        let Some(ticket) = lock(cx, &claims, scan.at).await? else {
            return Ok(forged);
        };
        let (result, overruled) = if ticket.event != scan.event_id || claims.event != scan.event_id
        {
            (CheckInResult::WrongEvent, None)
        } else {
            let refused = ticket.refused(claims.secret_version);
            match at {
                Some(at) => at.judge(cx, scan, claims.ticket, refused).await?,
                None => (at_door(cx, claims.ticket, &ticket, refused).await?, None),
            }
        };
        Ok(Verdict {
            result,
            ticket: Some(claims.ticket),
            overruled,
        })
    }
}

/// The result of a scan that is refused for this reason.
pub(super) fn result_of(refusal: Refusal) -> CheckInResult {
    match refusal {
        Refusal::AlreadyUsed => CheckInResult::AlreadyUsed,
        Refusal::WrongTicketType => CheckInResult::WrongTicketType,
        Refusal::Refunded => CheckInResult::Refunded,
        Refusal::Transferred => CheckInResult::Transferred,
        Refusal::Void => CheckInResult::Void,
        Refusal::InvalidTime => CheckInResult::InvalidTime,
    }
}

/// Finds an earlier scan with the same nonce. The same scan gets the same answer and counts once. For another ticket
/// (`ticket` is the one in the code) it is a different scan: two devices may generate the same nonce, and the answer
/// for one ticket must not admit another.
pub(super) async fn before(cx: &mut Cx, scan: &Scan, ticket: Option<Uuid>) -> Result<Before> {
    let row = sqlx::query(
        "select result, overruled, ticket_id,
           checkpoint_id is not distinct from $3::uuid and direction = $4
             and ticket_id is not distinct from (select k.id from app.tickets k where k.id = $5::uuid) as is_same
         from app.check_ins where nonce = $1 and event_id = $2",
    )
    .bind(&scan.nonce)
    .bind(scan.event_id)
    .bind(scan.checkpoint_id)
    .bind(scan.direction().as_str())
    .bind(ticket)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(Before::Never);
    };
    if !row.try_get::<bool, _>("is_same")? {
        return Ok(Before::Elsewhere);
    }
    let told = told_of(
        cx,
        scan.checkpoint_id,
        row.try_get("result")?,
        row.try_get("ticket_id")?,
        row.try_get("overruled")?,
    );
    told.await.map(Before::Same)
}

/// Records that the holders of these tickets attended, as far as they are members. Called last, because it changes the
/// counters of the event, which are contended.
pub(super) async fn attend(cx: &mut Cx, tickets: &[Uuid]) -> Result<()> {
    if tickets.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into app.attendances (user_id, event_id)
         select distinct k.holder_id, k.event_id from app.tickets k where k.id = any ($1) and k.holder_id is not null order by 1, 2
         on conflict (user_id, event_id) do nothing",
    )
    .bind(tickets)
    .execute(cx.conn())
    .await?;
    Ok(())
}

pub(super) async fn keep(
    cx: &mut Cx,
    caller: &Member,
    scan: &Scan,
    verdict: &Verdict,
) -> Result<()> {
    sqlx::query(
        "insert into app.check_ins
           (ticket_id, event_id, scanned_by_id, result, nonce, device, gate, is_offline, at, checkpoint_id, direction, overruled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, least($9::timestamptz, now()), $10, $11, $12)",
    )
    .bind(verdict.ticket)
    .bind(scan.event_id)
    .bind(caller.id())
    .bind(verdict.result)
    .bind(&scan.nonce)
    .bind(&scan.device)
    .bind(&scan.gate)
    .bind(scan.at.is_some())
    .bind(scan.at)
    .bind(scan.checkpoint_id)
    .bind(scan.direction().as_str())
    .bind(verdict.overruled)
    .execute(cx.conn())
    .await
    .map_err(|error| match violated(&error) {
        // The same scan was sent twice at once, and the other one was stored after this one had looked for it. Run
        // again, it finds the answer.
        Some(check_in::constraint::EVENT_ID_NONCE_KEY) => Error::from(error).run_again(),
        _ => error.into(),
    })?;
    Ok(())
}

pub(super) async fn told(cx: &mut Cx, scan: &Scan, verdict: Verdict) -> Result<ScanResult> {
    told_of(
        cx,
        scan.checkpoint_id,
        verdict.result,
        verdict.ticket,
        verdict.overruled,
    )
    .await
}

/// Locks the ticket's row until the scan is stored. None if there is no such ticket.
async fn lock(cx: &mut Cx, claims: &Claims, at: Option<DateTime<Utc>>) -> Result<Option<Ticket>> {
    let row = sqlx::query(
        "select k.state, k.secret_version, k.event_id, e.state in ('published', 'completed') and e.status = 'active' as is_on,
           app.admits_at(e.id, to_timestamp($2::int8), least($3::timestamptz, now())) as is_time
         from app.tickets k join app.events e on e.id = k.event_id where k.id = $1 for update of k",
    )
    .bind(claims.ticket)
    .bind(claims.not_before)
    .bind(at)
    .fetch_optional(cx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Ticket {
        event: row.try_get("event_id")?,
        secret_version: row.try_get("secret_version")?,
        state: row.try_get("state")?,
        is_on: row.try_get("is_on")?,
        is_time: row.try_get("is_time")?,
    }))
}

async fn at_door(
    cx: &mut Cx,
    id: Uuid,
    ticket: &Ticket,
    refused: Option<Refusal>,
) -> Result<CheckInResult> {
    // A used ticket stays used, whatever has become of the event.
    let was_used = ticket.state == TicketState::CheckedIn && refused != Some(Refusal::Transferred);
    if was_used {
        return Ok(CheckInResult::AlreadyUsed);
    }
    if let Some(why) = refused {
        return Ok(result_of(why));
    }
    sqlx::query("update app.tickets set state = 'checked_in' where id = $1")
        .bind(id)
        .execute(cx.conn())
        .await?;
    Ok(CheckInResult::Ok)
}

async fn told_of(
    cx: &mut Cx,
    checkpoint: Option<Uuid>,
    result: CheckInResult,
    ticket: Option<Uuid>,
    overruled: Option<Refusal>,
) -> Result<ScanResult> {
    let first: Option<(DateTime<Utc>, Option<String>)> = match (result, ticket) {
        (CheckInResult::AlreadyUsed, Some(ticket)) => {
            sqlx::query_as(
                "select at, gate from app.check_ins
                 where ticket_id = $1 and checkpoint_id is not distinct from $2::uuid and result = 'ok' and direction = 'entry'
                 order by id limit 1",
            )
            .bind(ticket)
            .bind(checkpoint)
            .fetch_optional(cx.conn())
            .await?
        }
        _ => None,
    };
    let (first_at, first_gate) = first.unzip();
    Ok(ScanResult {
        result: result.as_str().to_owned(),
        ticket_id: ticket,
        first_at,
        first_gate: first_gate.flatten(),
        overruled: overruled.map(|refusal| refusal.as_str().to_owned()),
    })
}
