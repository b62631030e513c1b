//! The door: each ticket lets one person in once, whoever scans it first.
//!
//! What the code says is believed only if one of our keys has signed it; whether it still counts is asked of the ticket,
//! and until when of the event as it is today, which may have moved since the code was made.
//! Every scan is kept with what the door was told, also those that were made without a connection and come later: of two
//! for one ticket the one that arrives first was let in, and the other is kept beside it.

use super::{
    Tickets,
    bodies::{Scan, ScanResult},
    offline::staff,
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use kernel::{Cx, Error, Member, Result};
use sqlx::Row;
use uuid::Uuid;

/// What a scan comes to.
pub(super) struct Verdict {
    /// A value of `check_in.result`.
    pub result: &'static str,
    pub ticket: Option<Uuid>,
}

/// Whether a nonce came before.
pub(super) enum Before {
    Never,
    /// The same scan, with what it came to.
    Same(ScanResult),
    /// At another event.
    Elsewhere,
}

impl Tickets {
    pub async fn scan(&self, caller: &Member, scan: Scan) -> Result<ScanResult> {
        let run = self.db.run(Self::NAME, Some(caller), caller.request_id, {
            let (tickets, caller) = (self.clone(), caller.clone());
            move |cx| {
                let (tickets, caller, scan) = (tickets.clone(), caller.clone(), scan.clone());
                Box::pin(async move {
                    staff(cx, scan.event_id).await?;
                    match before(cx, &scan).await? {
                        Before::Never => {}
                        Before::Same(told) => return Ok(told),
                        Before::Elsewhere => {
                            let detail = "was used for a scan at another event";
                            return Err(Error::field("/nonce", "repeated", detail));
                        }
                    }
                    let verdict = tickets.judge(cx, &scan).await?;
                    keep(cx, &caller, &scan, &verdict).await?;
                    let let_in = verdict.ticket.filter(|_| verdict.result == "ok");
                    attend(cx, let_in.as_slice()).await?;
                    told(cx, verdict).await
                })
            }
        });
        run.await
    }

    pub(super) async fn judge(&self, cx: &mut Cx, scan: &Scan) -> Result<Verdict> {
        let Some(claims) = self.keys.read(&scan.code) else {
            return Ok(Verdict {
                result: "forged",
                ticket: None,
            });
        };
        let verdict = |result| {
            Ok(Verdict {
                result,
                ticket: Some(claims.ticket),
            })
        };
        // Its row stays ours until the scan is kept.
        let row = sqlx::query(
            "select k.state, k.secret_version, k.event_id, e.state = 'published' and e.status = 'active' as is_on,
               app.admits_at(e.id, to_timestamp($2::int8), coalesce($3::timestamptz, now())) as is_time
             from app.tickets k join app.events e on e.id = k.event_id where k.id = $1 for update of k",
        )
        .bind(claims.ticket)
        .bind(claims.not_before)
        .bind(scan.at)
        .fetch_optional(cx.conn())
        .await?;
        let Some(row) = row else {
            return Ok(Verdict {
                result: "forged",
                ticket: None,
            });
        };
        if row.try_get::<Uuid, _>("event_id")? != scan.event_id || claims.event != scan.event_id {
            return verdict("wrong_event");
        }
        if row.try_get::<i32, _>("secret_version")? != claims.secret_version {
            return verdict("transferred");
        }
        match row.try_get::<&str, _>("state")? {
            "valid" if !row.try_get::<bool, _>("is_on")? => return verdict("void"),
            "valid" if row.try_get("is_time")? => {}
            "valid" => return verdict("invalid_time"),
            "checked_in" => return verdict("already_used"),
            "refunded" => return verdict("refunded"),
            "transferred" => return verdict("transferred"),
            _ => return verdict("void"),
        }
        sqlx::query("update app.tickets set state = 'checked_in' where id = $1")
            .bind(claims.ticket)
            .execute(cx.conn())
            .await?;
        verdict("ok")
    }
}

/// The same scan sent twice counts once, and gets the same answer.
pub(super) async fn before(cx: &mut Cx, scan: &Scan) -> Result<Before> {
    let row: Option<(String, Option<Uuid>, Uuid)> =
        sqlx::query_as("select result, ticket_id, event_id from app.check_ins where nonce = $1")
            .bind(&scan.nonce)
            .fetch_optional(cx.conn())
            .await?;
    match row {
        None => Ok(Before::Never),
        Some((.., event)) if event != scan.event_id => Ok(Before::Elsewhere),
        Some((result, ticket, _)) => told_of(cx, result, ticket).await.map(Before::Same),
    }
}

/// Whoever holds these tickets was at the event; the counters of the event are changed last.
pub(super) async fn attend(cx: &mut Cx, tickets: &[Uuid]) -> Result<()> {
    if tickets.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into app.attendances (user_id, event_id)
         select distinct k.holder_id, k.event_id from app.tickets k where k.id = any ($1) order by 1, 2
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
        "insert into app.check_ins (ticket_id, event_id, scanned_by_id, result, nonce, device, gate, is_offline, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, now()))",
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
    .execute(cx.conn())
    .await?;
    Ok(())
}

pub(super) async fn told(cx: &mut Cx, verdict: Verdict) -> Result<ScanResult> {
    told_of(cx, verdict.result.to_owned(), verdict.ticket).await
}

async fn told_of(cx: &mut Cx, result: String, ticket: Option<Uuid>) -> Result<ScanResult> {
    let first: Option<(DateTime<Utc>, Option<String>)> = match (result.as_str(), ticket) {
        ("already_used", Some(ticket)) => {
            sqlx::query_as(
                "select at, gate from app.check_ins where ticket_id = $1 and result = 'ok'",
            )
            .bind(ticket)
            .fetch_optional(cx.conn())
            .await?
        }
        _ => None,
    };
    let (first_at, first_gate) = first.unzip();
    Ok(ScanResult {
        result,
        ticket_id: ticket,
        first_at,
        first_gate: first_gate.flatten(),
    })
}
