//! Attendees: the tickets of an event with their holders, for those who run the event, as pages, as changes since a
//! time, and as one CSV file.
//!
//! The file is read in pieces, each in a transaction of its own that checks the caller's rights again: so a large
//! event needs no more memory, and no transaction is open while the client reads. Members whose profile is private are
//! listed without a name, since it is the ticket that admits them.

pub mod routes;

use super::{
    Tickets,
    changes::{CHANGED_SINCE, Mark, Walk},
    staff::staff,
};
use crate::module::Module;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::{Stream, stream};
use kernel::{
    Cx, Error, Member, Result,
    own::{List, Page, parameter},
    resource::Kind,
};
use serde::Serialize;
use sqlx::{Row, postgres::PgRow};
use std::borrow::Cow;
use utoipa::ToSchema;
use uuid::Uuid;

/// How many rows of the file are read at once.
const AT_ONCE: i64 = 500;

/// A ticket and its holder.
#[derive(Serialize, ToSchema)]
#[serde(tag = "object", rename = "attendee")]
pub struct Attendee {
    pub ticket_id: Uuid,
    pub order_id: Uuid,
    pub ticket_type_id: Uuid,
    pub ticket_type: String,
    /// State of the ticket: `valid`, `checked_in`, `refunded`, `transferred` or `void`
    pub state: String,
    /// Null for a ticket that was sold at the door.
    pub holder_id: Option<Uuid>,
    /// Null if the holder's profile is private.
    pub handle: Option<String>,
    pub display_name: Option<String>,
    pub bought_at: DateTime<Utc>,
    pub checked_in_at: Option<DateTime<Utc>>,
    pub gate: Option<String>,
    /// When the ticket was last bought, checked in, transferred, refunded or voided.
    pub changed_at: DateTime<Utc>,
}

#[derive(Serialize, ToSchema)]
pub struct AttendeeList {
    pub data: Vec<Attendee>,
    /// Null on the last page.
    pub next_cursor: Option<String>,
    /// `changed_since` for the next request, which may repeat tickets but misses none.
    pub as_of: DateTime<Utc>,
}

static LIST: List = List::new(
    "attendees",
    50,
    &[
        CHANGED_SINCE,
        parameter("name", Kind::Text),
        parameter("ticket_type_id", Kind::Uuid),
        parameter(
            "state",
            Kind::Enum(&["valid", "checked_in", "refunded", "transferred", "void"]),
        ),
    ],
);

/// Which tickets of an event are read.
struct Wanted {
    name: Option<String>,
    ticket_type: Option<Uuid>,
    state: Option<String>,
    walk: Walk,
}

impl Tickets {
    pub async fn attendees(
        &self,
        caller: &Member,
        event: Uuid,
        query: Option<&str>,
    ) -> Result<AttendeeList> {
        let asked = LIST.read(query, &self.cursors, caller)?;
        let wanted = &Wanted {
            name: asked.text("name"),
            ticket_type: asked.id("ticket_type_id"),
            state: asked.text("state"),
            walk: Walk::of(&asked)?,
        };
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, event).await?;
                    let as_of = wanted.walk.as_of(cx).await?;
                    Ok((read(cx, event, wanted).await?, as_of))
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
        Ok(AttendeeList {
            data,
            next_cursor,
            as_of,
        })
    }

    /// Reads a piece of the file: the tickets whose ids follow `after`.
    async fn read_all_behind(
        &self,
        caller: &Member,
        event: Uuid,
        after: Option<Uuid>,
    ) -> Result<Vec<Attendee>> {
        let wanted = &Wanted::all_behind(after);
        let run = self
            .db
            .run(Self::NAME, Some(caller), caller.request_id, move |cx| {
                Box::pin(async move {
                    staff(cx, event).await?;
                    read(cx, event, wanted).await
                })
            });
        run.await
    }

    /// Streams the file. Fails before the first byte if the caller may not read it, and breaks off if the caller's
    /// rights end meanwhile.
    pub async fn attendees_csv(
        &self,
        caller: Member,
        event: Uuid,
    ) -> Result<impl Stream<Item = Result<Vec<u8>>> + Send + 'static> {
        let first = self.read_all_behind(&caller, event, None).await?;
        let tickets = self.clone();
        let rest = stream::try_unfold(Some(first), move |rows| {
            let (tickets, caller) = (tickets.clone(), caller.clone());
            async move {
                let Some(rows) = rows else {
                    return Ok(None);
                };
                let next = match rows.last() {
                    Some(last) if rows.len() as i64 == AT_ONCE => {
                        let after = Some(last.ticket_id);
                        Some(tickets.read_all_behind(&caller, event, after).await?)
                    }
                    _ => None,
                };
                Ok(Some((lines(&rows)?, next)))
            }
        });
        let head = stream::iter([head()]);
        Ok(futures_util::StreamExt::chain(head, rest))
    }
}

impl Wanted {
    fn all_behind(after: Option<Uuid>) -> Self {
        Self {
            name: None,
            ticket_type: None,
            state: None,
            walk: Walk::behind(after, AT_ONCE),
        }
    }
}

async fn read(cx: &mut Cx, event: Uuid, wanted: &Wanted) -> Result<Vec<Attendee>> {
    let text = match wanted.walk.changed() {
        None => {
            "select k.id, k.order_id, k.ticket_type_id, t.name, k.state, k.holder_id, u.handle, u.display_name,
               k.created_at, k.updated_at, c.at, c.gate
             from app.tickets k
             join app.ticket_types t on t.id = k.ticket_type_id
             left join app.users u on u.id = k.holder_id and u.is_public and u.status = 'active'
             left join app.check_ins c on c.ticket_id = k.id and c.result = 'ok' and c.checkpoint_id is null
             where k.event_id = $1
               and ($2::text is null or position(sec.folded($2) in sec.folded(u.display_name)) > 0
                 or position(lower(nullif(ltrim($2, '@'), '')) in u.handle) > 0)
               and ($3::uuid is null or k.ticket_type_id = $3) and ($4::text is null or k.state = $4)
               and k.id > $5
             order by k.id limit $6"
        }
        Some(_) => {
            "select k.id, k.order_id, k.ticket_type_id, t.name, k.state, k.holder_id, u.handle, u.display_name,
               k.created_at, k.updated_at, c.at, c.gate
             from app.tickets k
             join app.ticket_types t on t.id = k.ticket_type_id
             left join app.users u on u.id = k.holder_id and u.is_public and u.status = 'active'
             left join app.check_ins c on c.ticket_id = k.id and c.result = 'ok' and c.checkpoint_id is null
             where k.event_id = $1
               and ($2::text is null or position(sec.folded($2) in sec.folded(u.display_name)) > 0
                 or position(lower(nullif(ltrim($2, '@'), '')) in u.handle) > 0)
               and ($3::uuid is null or k.ticket_type_id = $3) and ($4::text is null or k.state = $4)
               and (k.updated_at, k.id) > ($7, $5)
             order by k.updated_at, k.id limit $6"
        }
    };
    let page = sqlx::query(text)
        .bind(event)
        .bind(&wanted.name)
        .bind(wanted.ticket_type)
        .bind(&wanted.state)
        .bind(wanted.walk.after())
        .bind(wanted.walk.rows);
    let page = match wanted.walk.changed() {
        None => page,
        Some(at) => page.bind(at),
    };
    let rows = page.fetch_all(cx.conn()).await?;
    rows.iter().map(attendee).collect()
}

fn attendee(row: &PgRow) -> Result<Attendee> {
    Ok(Attendee {
        ticket_id: row.try_get("id")?,
        order_id: row.try_get("order_id")?,
        ticket_type_id: row.try_get("ticket_type_id")?,
        ticket_type: row.try_get("name")?,
        state: row.try_get("state")?,
        holder_id: row.try_get("holder_id")?,
        handle: row.try_get("handle")?,
        display_name: row.try_get("display_name")?,
        bought_at: row.try_get("created_at")?,
        checked_in_at: row.try_get("at")?,
        gate: row.try_get("gate")?,
        changed_at: row.try_get("updated_at")?,
    })
}

const COLUMNS: [&str; 10] = [
    "ticket_id",
    "order_id",
    "ticket_type",
    "state",
    "holder_id",
    "handle",
    "display_name",
    "bought_at",
    "checked_in_at",
    "gate",
];

/// Spreadsheets take a file for UTF-8 only if it begins with this character.
const MARK: &str = "\u{feff}";

fn head() -> Result<Vec<u8>> {
    let mut text = MARK.as_bytes().to_vec();
    text.extend(written([COLUMNS.map(Cow::from)])?);
    Ok(text)
}

fn lines(rows: &[Attendee]) -> Result<Vec<u8>> {
    // As in JSON answers.
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let time = |time: Option<DateTime<Utc>>| time.map(text).unwrap_or_default();
    written(rows.iter().map(|row| {
        [
            row.ticket_id.to_string().into(),
            row.order_id.to_string().into(),
            cell(&row.ticket_type),
            cell(&row.state),
            row.holder_id
                .map(|id| id.to_string())
                .unwrap_or_default()
                .into(),
            cell(row.handle.as_deref().unwrap_or_default()),
            cell(row.display_name.as_deref().unwrap_or_default()),
            time(Some(row.bought_at)).into(),
            time(row.checked_in_at).into(),
            cell(row.gate.as_deref().unwrap_or_default()),
        ]
    }))
}

fn written<'a>(rows: impl IntoIterator<Item = [Cow<'a, str>; 10]>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    for row in rows {
        let cells = row.iter().map(|cell| cell.as_bytes());
        writer.write_record(cells).map_err(Error::internal)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::internal(error.to_string()))
}

/// Characters that begin a formula, also in full width, as spreadsheets of some languages take them.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// White space at the beginning of a cell that spreadsheets skip.
const SKIPPED: [char; 3] = ['\t', '\r', '\n'];

/// After these a cell begins for spreadsheets of other languages, whatever quotes say: where a comma is the decimal sign,
/// lines are divided at semicolons, and quotes within a cell mean nothing.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Spreadsheets run text that begins like a formula; an apostrophe before it prevents that. Text that follows a separator
/// may begin a cell as well.
fn cell(text: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    for part in text.split_inclusive(SEPARATORS) {
        let is_formula = match safe.is_empty() {
            true => part.starts_with(FORMULA) || part.starts_with(SKIPPED),
            false => part.trim_start_matches(['"', ' ']).starts_with(FORMULA),
        };
        if is_formula {
            safe.push('\'');
        }
        safe.push_str(part);
    }
    match safe.len() == text.len() {
        true => text.into(),
        false => safe.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in [
            "=1+1",
            "+1",
            "-1",
            "@sum(a1)",
            "＝1",
            "＋1",
            "－1",
            "＠sum(a1)",
        ] {
            assert_eq!(cell(text), format!("'{text}"));
        }
        for text in [
            "",
            "Mira",
            "a=b",
            "'=1",
            " =1",
            "ü",
            "Vera; from Rye",
            ";",
            "a;",
        ] {
            assert_eq!(cell(text), text);
        }
    }

    /// A spreadsheet that divides lines at semicolons takes what follows one for a cell.
    #[test]
    fn no_cell_of_a_spreadsheet_in_another_language_is_a_formula() {
        for (text, safe) in [
            ("Vera;=1+1", "Vera;'=1+1"),
            ("Vera; \"=1+1", "Vera;' \"=1+1"),
            ("=1;+2;3;@a", "'=1;'+2;3;'@a"),
            ("a;\t=1", "a;\t'=1"),
            ("a\t=1", "a\t'=1"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("a\n=1", "a\n'=1"),
        ] {
            assert_eq!(cell(text), safe);
        }
    }

    #[test]
    fn the_file_says_that_it_is_utf_8() {
        let text = String::from_utf8(head().unwrap()).unwrap();
        assert!(text.starts_with("\u{feff}ticket_id,order_id,"), "{text}");
        assert!(text.ends_with(",gate\r\n"), "{text}");
    }

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        let mut row = COLUMNS.map(Cow::from);
        row[6] = cell("=\"a\",\r\nb");
        let text = written([row]).unwrap();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(text.as_slice());
        let read = reader.records().next().unwrap().unwrap();
        assert_eq!(&read[6], "'=\"a\",\r\nb");
        assert_eq!(read.len(), COLUMNS.len());
    }
}
