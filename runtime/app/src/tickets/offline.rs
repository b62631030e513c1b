//! Doors without a connection: what a scanner needs to decide by itself, and the scans that it uploads later.
//!
//! A scanner loads the tickets of an event and the revoked codes, each with the secret version, and later asks for the
//! changes since ([`super::changes`]). Its scans are uploaded many at a time; each is decided and stored as if it came
//! alone.

pub mod routes;

use super::{
    Tickets,
    bodies::{Direction, Scan, ScanResult},
    changes::{CHANGED_SINCE, Mark, Walk},
    checkpoints,
    door::{self, Before},
    staff::staff,
};
use crate::module::Module;
use chrono::{DateTime, Utc};
use kernel::{
    Cx, Member, Result,
    input::Objects,
    own::{List, Page},
};
use macros::Input;
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

/// A scan made offline.
#[derive(Input, Clone, Debug)]
#[input(body)]
pub struct LateScan {
    /// Content of the QR code.
    #[input(opaque(1, 1000))]
    pub code: String,
    /// Id of this scan, made by the scanner: a scan sent twice counts once.
    #[input(length(8, 64))]
    pub nonce: String,
    #[input(length(1, 120))]
    pub gate: Option<String>,
    #[input(length(1, 120))]
    pub device: Option<String>,
    /// Time of the scan by the device's clock; the time of the upload if left out or later than that.
    pub at: Option<DateTime<Utc>>,
    /// `entry` if left out; `exit` only at checkpoints.
    pub direction: Option<Direction>,
    /// Only for an entry with `at` at a checkpoint: the scanner has already admitted the holder.
    pub force: Option<bool>,
}

/// Scans at one event, in any order.
#[derive(Input, Clone, Debug)]
#[input(
    body,
    example = r#"{"event_id": "019caddd-0f20-7b8e-a1f8-0bd70ae0784c",
    "scans": [{"code": "AeF2…", "nonce": "01a21e7c-a3c8-737d", "gate": "North", "device": "Scanner 3", "at": "2040-05-01T17:55:00Z"}]}"#
)]
pub struct ScanBatch {
    /// Event at which the tickets were scanned.
    pub event_id: Uuid,
    /// Checkpoint of the event where all tickets were scanned; the door if left out.
    pub checkpoint_id: Option<Uuid>,
    pub scans: Objects<LateScan, 500>,
}

/// Result of one scan of a batch.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "late_scan_result")]
pub struct LateScanResult {
    pub nonce: String,
    /// As for `POST /check-ins`, or `nonce_used`: the nonce belongs to another scan, and nothing was recorded.
    pub result: String,
    pub ticket_id: Option<Uuid>,
    /// If `already_used`: time of the first entry at this door or checkpoint; `first_gate` is its gate.
    pub first_at: Option<DateTime<Utc>>,
    pub first_gate: Option<String>,
    /// Reason for refusal that `force` has overruled; null if none.
    pub overruled: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct LateScanResultList {
    /// In the order of the request's scans.
    pub data: Vec<LateScanResult>,
}

/// A ticket for offline scanners.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "admission")]
pub struct Admission {
    pub ticket_id: Uuid,
    pub ticket_type_id: Uuid,
    /// State of the ticket; unless it is `valid` or `checked_in`, the ticket admits nobody.
    pub state: String,
    /// Version of the current code; smaller versions belong to earlier holders.
    pub secret_version: i32,
    pub changed_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub struct AdmissionList {
    pub data: Vec<Admission>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
    /// `changed_since` for the next request, which may repeat tickets but misses none.
    pub as_of: DateTime<Utc>,
    /// End of admission by the event's current schedule; valid for all codes, instead of the end written in them.
    pub admits_until: DateTime<Utc>,
}

/// Codes of a ticket that are no longer valid.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "revoked_code")]
pub struct RevokedCode {
    pub ticket_id: Uuid,
    /// Codes of the ticket with this secret version or a smaller one are revoked.
    pub up_to_secret_version: i32,
    /// Reason: `transferred`, `refunded` or `void`
    pub reason: String,
    pub changed_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub struct RevokedCodeList {
    pub data: Vec<RevokedCode>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
    /// `changed_since` for the next request, which may repeat tickets but misses none.
    pub as_of: DateTime<Utc>,
}

static ADMISSIONS: List = List::new("check-in-list", 100, &[CHANGED_SINCE]);
static REVOKED: List = List::new("revoked-codes", 100, &[CHANGED_SINCE]);

impl Tickets {
    pub async fn scan_batch(
        &self,
        caller: &Member,
        batch: ScanBatch,
    ) -> Result<LateScanResultList> {
        let batch = &batch;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, batch.event_id).await?;
                    self.scan_all(cx, caller, batch.clone()).await
                })
            });
        run.await
    }

    /// Decides the scans of a batch in the order of their tickets, so that two batches can't deadlock, and those of
    /// one ticket in the order of their times.
    async fn scan_all(
        &self,
        cx: &mut Cx,
        caller: &Member,
        batch: ScanBatch,
    ) -> Result<LateScanResultList> {
        let event_id = batch.event_id;
        let at = checkpoints::named(cx, event_id, batch.checkpoint_id).await?;
        let mut scans: Vec<(usize, Option<Uuid>, Scan)> = Vec::with_capacity(batch.scans.0.len());
        for (n, late) in batch.scans.0.into_iter().enumerate() {
            let ticket = self.keys.read(&late.code).map(|claims| claims.ticket);
            let scan = Scan {
                code: late.code,
                event_id,
                nonce: late.nonce,
                gate: late.gate,
                device: late.device,
                at: late.at,
                checkpoint_id: batch.checkpoint_id,
                direction: late.direction,
                force: late.force,
            };
            scans.push((n, ticket, scan));
        }
        let places = scans.iter();
        checkpoints::check(places.map(|(n, _, scan)| (format!("/scans/{n}"), scan)))?;
        scans.sort_by_key(|(n, ticket, scan)| (*ticket, scan.at, *n));
        let (mut answers, mut let_in) = (Vec::with_capacity(scans.len()), Vec::new());
        for (n, ticket, scan) in scans {
            let told = match door::before(cx, &scan, ticket).await? {
                Before::Same(told) => told,
                Before::Elsewhere => elsewhere(),
                Before::Never => {
                    if let Some(at) = at.as_ref().filter(|_| scan.at.is_none()) {
                        at.open()?;
                    }
                    let verdict = self.judge(cx, &scan, at.as_ref()).await?;
                    let_in.extend(verdict.came_in(&scan));
                    door::keep(cx, caller, &scan, &verdict).await?;
                    door::told(cx, &scan, verdict).await?
                }
            };
            answers.push((n, scan.nonce, told));
        }
        door::attend(cx, &let_in).await?;
        answers.sort_by_key(|(n, ..)| *n);
        let data = answers.into_iter().map(|(_, nonce, told)| LateScanResult {
            nonce,
            result: told.result,
            ticket_id: told.ticket_id,
            first_at: told.first_at,
            first_gate: told.first_gate,
            overruled: told.overruled,
        });
        Ok(LateScanResultList {
            data: data.collect(),
        })
    }

    pub async fn check_in_list(
        &self,
        caller: &Member,
        event: Uuid,
        query: Option<&str>,
    ) -> Result<AdmissionList> {
        let asked = ADMISSIONS.read(query, &self.cursors, caller)?;
        let walk = Walk::of(&asked)?;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, event).await?;
                    let as_of = walk.as_of(cx).await?;
                    let until = sqlx::query_scalar("select app.admits_until($1)").bind(event);
                    let admits_until: DateTime<Utc> = until.fetch_one(cx.conn()).await?;
                    let text = match walk.changed() {
                        None => {
                            "select k.id, k.ticket_type_id, k.state, k.secret_version, k.updated_at from app.tickets k
                             where k.event_id = $1 and k.id > $2
                             order by k.id limit $3"
                        }
                        Some(_) => {
                            "select k.id, k.ticket_type_id, k.state, k.secret_version, k.updated_at from app.tickets k
                             where k.event_id = $1 and (k.updated_at, k.id) > ($4, $2)
                             order by k.updated_at, k.id limit $3"
                        }
                    };
                    let rows = rows(cx, text, event, &walk).await?;
                    let data: Result<Vec<Admission>> = rows
                        .iter()
                        .map(|row| {
                            Ok(Admission {
                                ticket_id: row.try_get("id")?,
                                ticket_type_id: row.try_get("ticket_type_id")?,
                                state: row.try_get("state")?,
                                secret_version: row.try_get("secret_version")?,
                                changed_at: row.try_get("updated_at")?,
                            })
                        })
                        .collect();
                    Ok((data?, as_of, admits_until))
                })
            });
        let (rows, as_of, admits_until) = run.await?;
        let Page { data, next_cursor } = asked.page(rows, |row| {
            let mark = Mark {
                as_of,
                changed_at: row.changed_at,
            };
            (mark.to_string(), row.ticket_id)
        });
        Ok(AdmissionList {
            data,
            next_cursor,
            as_of,
            admits_until,
        })
    }

    pub async fn revoked_codes(
        &self,
        caller: &Member,
        event: Uuid,
        query: Option<&str>,
    ) -> Result<RevokedCodeList> {
        let asked = REVOKED.read(query, &self.cursors, caller)?;
        let walk = Walk::of(&asked)?;
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, event).await?;
                    let as_of = walk.as_of(cx).await?;
                    let text = match walk.changed() {
                        None => {
                            "select k.id, k.updated_at,
                               case when k.state in ('valid', 'checked_in') then k.secret_version - 1 else k.secret_version end as up_to,
                               case when k.state in ('valid', 'checked_in') then 'transferred' else k.state end as reason
                             from app.tickets k
                             where k.event_id = $1 and (k.state not in ('valid', 'checked_in') or k.secret_version > 1) and k.id > $2
                             order by k.id limit $3"
                        }
                        Some(_) => {
                            "select k.id, k.updated_at,
                               case when k.state in ('valid', 'checked_in') then k.secret_version - 1 else k.secret_version end as up_to,
                               case when k.state in ('valid', 'checked_in') then 'transferred' else k.state end as reason
                             from app.tickets k
                             where k.event_id = $1 and (k.state not in ('valid', 'checked_in') or k.secret_version > 1)
                               and (k.updated_at, k.id) > ($4, $2)
                             order by k.updated_at, k.id limit $3"
                        }
                    };
                    let rows = rows(cx, text, event, &walk).await?;
                    let data: Result<Vec<RevokedCode>> = rows
                        .iter()
                        .map(|row| {
                            Ok(RevokedCode {
                                ticket_id: row.try_get("id")?,
                                up_to_secret_version: row.try_get("up_to")?,
                                reason: row.try_get("reason")?,
                                changed_at: row.try_get("updated_at")?,
                            })
                        })
                        .collect();
                    Ok((data?, as_of))
                })
            });
        let (rows, as_of) = run.await?;
        let Page { data, next_cursor } = asked.page(rows, |row| {
            let mark = Mark {
                as_of,
                changed_at: row.changed_at,
            };
            (mark.to_string(), row.ticket_id)
        });
        Ok(RevokedCodeList {
            data,
            next_cursor,
            as_of,
        })
    }
}

fn elsewhere() -> ScanResult {
    ScanResult {
        result: "nonce_used".to_owned(),
        ticket_id: None,
        first_at: None,
        first_gate: None,
        overruled: None,
    }
}

/// Reads a page of one of these lists. Both orders have the same parameters, and that of changes one more.
async fn rows(cx: &mut Cx, text: &'static str, event: Uuid, walk: &Walk) -> Result<Vec<PgRow>> {
    let page = sqlx::query(text)
        .bind(event)
        .bind(walk.after())
        .bind(walk.rows);
    let page = match walk.changed() {
        None => page,
        Some(at) => page.bind(at),
    };
    Ok(page.fetch_all(cx.conn()).await?)
}
