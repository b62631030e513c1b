//! Checkpoints: places at an event that admit each ticket separately, independently of the door and of each other.
//!
//! A ticket can be inside only once at a time: its row is locked while a scan is decided, and a unique index enforces
//! it as well. An exit is always recorded where exits are counted; whether a ticket is still valid only matters for
//! entries.

pub mod routes;

use super::{
    Tickets,
    bodies::{Direction, Scan},
    door::result_of,
    staff::staff,
};
use crate::module::Module;
use generated::check_in::{CheckInOverruled as Refusal, CheckInResult};
use kernel::{
    Cx, Error, Member, Result,
    own::{List, Page},
    problem::{Item, refuse},
};
use serde::Serialize;
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a scan needs to know of a checkpoint.
pub(super) struct Checkpoint {
    pub id: Uuid,
    is_open: bool,
    all_ticket_types: bool,
    counts_exits: bool,
    allows_reentry: bool,
}

/// Numbers of tickets at a checkpoint.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "checkpoint_figures")]
pub struct CheckpointFigures {
    pub checkpoint_id: Uuid,
    pub name: String,
    /// Tickets that have entered, each counted once.
    pub entered: i64,
    /// Entries; each re-entry counts again.
    pub entries: i64,
    /// Tickets that are inside now.
    pub inside: i64,
}

#[derive(Serialize, ToSchema)]
pub struct CheckpointFiguresList {
    pub data: Vec<CheckpointFigures>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
}

static FIGURES: List = List::new("checkpoint-figures", 50, &[]);

/// Refuses scans whose fields don't fit together: exits at the door, and `force` on anything but an entry at a
/// checkpoint with `at`. Each scan comes with its path in the body.
pub(super) fn check<'a>(scans: impl IntoIterator<Item = (String, &'a Scan)>) -> Result<()> {
    let (mut wrong, mut leaves_by_door) = (Vec::new(), false);
    for (place, scan) in scans {
        let is_entry = scan.direction() == Direction::Entry;
        leaves_by_door |= !is_entry && scan.checkpoint_id.is_none();
        if scan.is_forced() && !(is_entry && scan.checkpoint_id.is_some() && scan.at.is_some()) {
            let detail = "is for entries with `at`, at a checkpoint: those that a scanner without a connection has let in";
            wrong.push(Item::body(format!("{place}/force"), "invalid", detail));
        }
    }
    if leaves_by_door {
        let detail = "for an exit: at the door of an event nobody is counted out";
        wrong.push(Item::body("/checkpoint_id", "required", detail));
    }
    refuse(wrong)
}

/// Returns the named checkpoint. It may be archived, since scans that were made there may be uploaded later.
pub(super) async fn named(
    cx: &mut Cx,
    event: Uuid,
    checkpoint: Option<Uuid>,
) -> Result<Option<Checkpoint>> {
    let Some(checkpoint) = checkpoint else {
        return Ok(None);
    };
    let row = sqlx::query(
        "select c.status = 'active' as is_open, c.all_ticket_types, c.counts_exits, c.allows_reentry
         from app.checkpoints c where c.id = $1 and c.event_id = $2",
    )
    .bind(checkpoint)
    .bind(event)
    .fetch_optional(cx.conn())
    .await?
    .ok_or_else(unknown)?;
    Ok(Some(Checkpoint {
        id: checkpoint,
        is_open: row.try_get("is_open")?,
        all_ticket_types: row.try_get("all_ticket_types")?,
        counts_exits: row.try_get("counts_exits")?,
        allows_reentry: row.try_get("allows_reentry")?,
    }))
}

impl Checkpoint {
    /// Refuses scans at an archived checkpoint.
    pub fn open(&self) -> Result<()> {
        match self.is_open {
            true => Ok(()),
            false => Err(unknown()),
        }
    }

    /// Returns the result of a scan, and the reason for refusing it that `force` has overruled. The ticket's row must
    /// be locked; `refused` is the reason why the ticket is not valid any more, if it isn't.
    pub async fn judge(
        &self,
        cx: &mut Cx,
        scan: &Scan,
        ticket: Uuid,
        refused: Option<Refusal>,
    ) -> Result<(CheckInResult, Option<Refusal>)> {
        match scan.direction() {
            Direction::Entry => self.enter(cx, scan, ticket, refused).await,
            Direction::Exit => Ok((self.leave(cx, scan, ticket).await?, None)),
        }
    }

    async fn enter(
        &self,
        cx: &mut Cx,
        scan: &Scan,
        ticket: Uuid,
        refused: Option<Refusal>,
    ) -> Result<(CheckInResult, Option<Refusal>)> {
        let row = sqlx::query(
            "select exists (select from app.checkpoint_entries x where x.ticket_id = $1 and x.checkpoint_id = $2) as was_inside,
               exists (
                 select from app.checkpoint_entries x where x.ticket_id = $1 and x.checkpoint_id = $2 and x.left_at is null
               ) as is_inside,
               exists (
                 select from app.checkpoint_ticket_types t join app.tickets k on k.ticket_type_id = t.ticket_type_id
                 where k.id = $1 and t.checkpoint_id = $2 and t.status = 'active'
               ) as is_named",
        )
        .bind(ticket)
        .bind(self.id)
        .fetch_one(cx.conn())
        .await?;
        let is_named: bool = row.try_get("is_named")?;
        let was_inside: bool = row.try_get("was_inside")?;
        let refused = match refused {
            Some(why) => Some(why),
            None if !self.all_ticket_types && !is_named => Some(Refusal::WrongTicketType),
            None if was_inside && !self.allows_reentry => Some(Refusal::AlreadyUsed),
            None => None,
        };
        if row.try_get("is_inside")? {
            return Ok((result_of(refused.unwrap_or(Refusal::AlreadyUsed)), None));
        }
        if let Some(why) = refused.filter(|_| !scan.is_forced()) {
            return Ok((result_of(why), None));
        }
        sqlx::query(
            "insert into app.checkpoint_entries (checkpoint_id, ticket_id, event_id, entered_at)
             values ($1, $2, $3, least($4::timestamptz, now()))",
        )
        .bind(self.id)
        .bind(ticket)
        .bind(scan.event_id)
        .bind(scan.at)
        .execute(cx.conn())
        .await?;
        Ok((CheckInResult::Ok, refused))
    }

    async fn leave(&self, cx: &mut Cx, scan: &Scan, ticket: Uuid) -> Result<CheckInResult> {
        if !self.counts_exits {
            return Ok(CheckInResult::ExitsNotCounted);
        }
        // The clocks of devices may differ by up to an hour, so the exit is not recorded as earlier than the entry. An
        // exit that is more than an hour before the entry belongs to an earlier stay.
        let left = sqlx::query(
            "update app.checkpoint_entries set left_at = greatest(least($3::timestamptz, now()), entered_at)
             where ticket_id = $1 and checkpoint_id = $2 and left_at is null
               and least($3::timestamptz, now()) >= entered_at - interval '1 hour'",
        )
        .bind(ticket)
        .bind(self.id)
        .bind(scan.at)
        .execute(cx.conn())
        .await?;
        match left.rows_affected() {
            0 => Ok(CheckInResult::NotInside),
            _ => Ok(CheckInResult::Ok),
        }
    }
}

/// Returns those of these tickets that have entered at a checkpoint. The tickets' rows must be locked before; a
/// statement of its own, so that it sees what the transactions that were waited for have changed.
pub(super) async fn entered(cx: &mut Cx, tickets: &[Uuid]) -> Result<Vec<Uuid>> {
    let found = sqlx::query_scalar(
        "select distinct x.ticket_id from app.checkpoint_entries x where x.ticket_id = any ($1::uuid[])",
    )
    .bind(tickets);
    Ok(found.fetch_all(cx.conn()).await?)
}

fn unknown() -> Error {
    Error::field(
        "/checkpoint_id",
        "reference",
        "is no checkpoint of this event",
    )
}

impl Tickets {
    pub async fn checkpoint_figures(
        &self,
        caller: &Member,
        event: Uuid,
        query: Option<&str>,
    ) -> Result<CheckpointFiguresList> {
        let asked = FIGURES.read(query, &self.cursors, caller)?;
        let after = asked.after::<String>()?.map(|(_, id)| id);
        let rows = asked.rows();
        // On the pool for heavy reads, not on the connections that buyers and scanners wait for, since all entries are
        // added up.
        let run = self.db.snapshot(Self::NAME, caller, move |cx| {
            Box::pin(async move {
                staff(cx, event).await?;
                figures(cx, event, after.unwrap_or_default(), rows).await
            })
        });
        let Page { data, next_cursor } =
            asked.page(run.await?, |row| (String::new(), row.checkpoint_id));
        Ok(CheckpointFiguresList { data, next_cursor })
    }
}

async fn figures(
    cx: &mut Cx,
    event: Uuid,
    after: Uuid,
    rows: i64,
) -> Result<Vec<CheckpointFigures>> {
    let found = sqlx::query(
        "select c.id, c.name, s.entered, s.entries, s.inside
         from app.checkpoints c
         cross join lateral (
           select count(*) as entered, coalesce(sum(t.entries), 0)::int8 as entries, coalesce(sum(t.inside), 0)::int8 as inside
           from (
             select count(*) as entries, count(*) filter (where x.left_at is null) as inside
             from app.checkpoint_entries x where x.checkpoint_id = c.id group by x.ticket_id
           ) t
         ) s
         where c.event_id = $1 and c.status <> 'archived' and c.id > $2
         order by c.id limit $3",
    )
    .bind(event)
    .bind(after)
    .bind(rows)
    .fetch_all(cx.conn())
    .await?;
    found
        .iter()
        .map(|row| {
            Ok(CheckpointFigures {
                checkpoint_id: row.try_get("id")?,
                name: row.try_get("name")?,
                entered: row.try_get("entered")?,
                entries: row.try_get("entries")?,
                inside: row.try_get("inside")?,
            })
        })
        .collect()
}
