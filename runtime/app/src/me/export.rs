//! `GET /me/export`: all data that belong to the caller in one file.
//!
//! Each list is the generated one below `/users/{id}`, read page by page with the caller's permissions, so new
//! entities are included without a change here. So are the lists below the member's own orders and wallets
//! ([`BELOW`]). Data without such a list are added: sessions, identities, ticket transfers, viewed or shared events, what
//! the member has deleted but is still stored, and notifications that the app does not show. Data of other members that
//! only mention the caller, such as who checked in whom, are not included.

use super::Me;
use crate::{
    generated_routes::{self, Asking},
    sessions,
    tickets::transfers,
    trending::visits,
};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use chrono::Utc;
use futures_util::stream;
use generated::user::USER;
use kernel::{Error, Member, Result, problems};
use serde_json::Value;
use sqlx::types::Json;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// The maximum number of pages that a process reads for exports at the same time. An export reads its next page when its
/// client has received the last one, so clients that are slow take nobody's turn.
const PAGES_AT_ONCE: usize = 4;

/// The maximum number of exports in progress in a process. Between two pages an export is a few hundred bytes.
const MOST: usize = 200;

/// How many deleted rows are read at once.
const ARCHIVED_AT_ONCE: i32 = 500;

/// How long an export may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// The exports in progress, and their members: each member may have one at a time.
#[derive(Clone)]
pub(super) struct Exports {
    turns: Arc<Semaphore>,
    members: Arc<Mutex<HashSet<Uuid>>>,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
            members: Arc::default(),
        }
    }
}

#[derive(Clone)]
pub(super) struct Exporting {
    pub(super) module: Me,
    pub(super) generated: Router,
}

/// Export the caller's data
///
/// One JSON object with the profile as `member`, and a list for each type of object that belongs to the caller, in the
/// form of the API's own lists. `archived` is what the caller has deleted or left, as long as it is stored, and
/// notifications that were sent by mail or push alone.
#[utoipa::path(get, path = "/me/export", operation_id = "exportMe", tag = "Me", security(("bearer" = [])),
    responses(
        (status = 200, description = "The file, streamed. If an error occurs it is cut off, so that invalid JSON means an incomplete file", body = Object),
        (status = 429, description = "An export of the caller is in progress already, or too many others are")))]
pub(super) async fn export(State(exporting): State<Exporting>, caller: Member) -> Result<Response> {
    let place = exporting.module.exports.take(caller.id())?;
    let file = File {
        parts: parts(caller.id()),
        exporting,
        caller,
        begun: false,
        parents: HashMap::new(),
        until: Instant::now() + LONGEST,
        place,
    };
    // If the first part fails, the request is still answered with an ordinary error.
    let (first, rest) = file.next().await?.ok_or_else(Error::not_found)?;
    let first = stream::iter([Ok(first)]);
    let rest = stream::try_unfold(rest, File::next);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"culturepass.json\"",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, body).into_response())
}

/// A generated list below each row of one of the member's lists.
struct Below {
    /// Path of the member's list: `orders`
    of: &'static str,
    /// Path of the list below one of its rows: `items`
    list: &'static str,
    /// The name in the file.
    name: &'static str,
}

const fn below(of: &'static str, list: &'static str, name: &'static str) -> Below {
    Below { of, list, name }
}

/// What belongs to rows that are the member's own, and is the member's for that reason. `tests/src/http/export.rs`
/// finds what is missing here.
const BELOW: [Below; 5] = [
    below("orders", "items", "order_items"),
    below("orders", "refunds", "refunds"),
    below("wallet-accounts", "transactions", "wallet_transactions"),
    below("wallet-accounts", "credits", "wallet_credits"),
    below("wallet-accounts", "holds", "wallet_holds"),
];

/// An array of the file that is being written: the rows of one or more generated lists, one after another.
struct Rows {
    name: &'static str,
    /// Paths of the lists that are still to be read.
    lists: VecDeque<String>,
    /// Where to continue in the first of these lists. None: at its beginning.
    cursor: Option<String>,
    /// Whether the array's bracket has been written.
    is_open: bool,
    /// Whether a row has been written, so that the next one follows a comma.
    has_rows: bool,
}

impl Rows {
    fn new(name: &'static str, lists: VecDeque<String>) -> Self {
        Self {
            name,
            lists,
            cursor: None,
            is_open: false,
            has_rows: false,
        }
    }
}

/// A part of the file, with its name there.
enum Part {
    /// An object of the generated API: its name in the file, and its path.
    One(&'static str, String),
    List(Rows),
    Below(&'static Below),
    Sessions,
    Identities,
    TicketTransfers,
    Visits,
    /// What was deleted, with ids after this one. None: the list begins.
    Archived(Option<Uuid>),
    End,
}

fn parts(me: Uuid) -> VecDeque<Part> {
    let path = format!("/{}/{me}", USER.path);
    let lists = USER.children.iter();
    let lists = lists.map(|child| {
        let list = format!("{path}/{}", child.path);
        Part::List(Rows::new(child.path, VecDeque::from([list])))
    });
    let mut parts = VecDeque::from([Part::One("member", path.clone())]);
    parts.extend(lists);
    parts.extend(BELOW.iter().map(Part::Below));
    parts.extend([
        Part::Sessions,
        Part::Identities,
        Part::TicketTransfers,
        Part::Visits,
        Part::Archived(None),
        Part::End,
    ]);
    parts
}

/// The rest of a file that is being written.
struct File {
    parts: VecDeque<Part>,
    exporting: Exporting,
    caller: Member,
    begun: bool,
    /// Ids of the rows that were written of the lists that [`BELOW`] names, by the path of the list.
    parents: HashMap<&'static str, Vec<String>>,
    until: Instant,
    place: Place,
}

impl File {
    async fn next(mut self) -> Result<Option<(Vec<u8>, Self)>> {
        let Some(part) = self.parts.pop_front() else {
            return Ok(None);
        };
        if Instant::now() > self.until {
            return Err(Error::internal("an export has taken too long"));
        }
        let turns = self.place.exports.turns.clone();
        let _turn = turns.acquire_owned().await.map_err(Error::internal)?;
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            let now = serde_json::to_string(&Utc::now()).map_err(Error::internal)?;
            text.push_str(&format!("{{\"exported_at\":{now}"));
        }
        let db = &self.exporting.module.db;
        match part {
            Part::One(name, path) => {
                let object = self.read(path).await?;
                push(&mut text, name, &Value::Object(object));
            }
            Part::List(rows) => self.page(&mut text, rows).await?,
            Part::Below(below) => {
                let parents = self.parents.get(below.of).into_iter().flatten();
                let lists = parents.map(|id| format!("/{}/{id}/{}", below.of, below.list));
                let rows = Rows::new(below.name, lists.collect());
                self.page(&mut text, rows).await?;
            }
            Part::Sessions => push(
                &mut text,
                "sessions",
                &sessions::export::sessions(db, &self.caller).await?,
            ),
            Part::Identities => push(
                &mut text,
                "identities",
                &sessions::export::identities(db, &self.caller).await?,
            ),
            Part::TicketTransfers => push(
                &mut text,
                "ticket_transfers",
                &transfers::export::ticket_transfers(db, &self.caller).await?,
            ),
            Part::Visits => push(
                &mut text,
                "visits",
                &visits::export(db, &self.caller).await?,
            ),
            Part::Archived(after) => self.archived(&mut text, after).await?,
            Part::End => text.push('}'),
        }
        Ok(Some((text.into_bytes(), self)))
    }

    /// Writes one page of a list: opens the array before the first page, closes it after the last one of the last list.
    async fn page(&mut self, text: &mut String, mut rows: Rows) -> Result<()> {
        if !rows.is_open {
            rows.is_open = true;
            text.push_str(&format!(",{:?}:[", rows.name.replace('-', "_")));
        }
        if let Some(list) = rows.lists.front() {
            let cursor = rows.cursor.take();
            let from = cursor.map(|cursor| format!("&cursor={cursor}"));
            let path = format!("{list}?limit=100{}", from.unwrap_or_default());
            let mut answer = self.read(path).await?;
            for row in generated_routes::rows(&mut answer) {
                if rows.has_rows {
                    text.push(',');
                }
                rows.has_rows = true;
                text.push_str(&row.to_string());
                self.remember(rows.name, &row);
            }
            rows.cursor = answer
                .get("next_cursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if rows.cursor.is_none() {
                rows.lists.pop_front();
            }
        }
        match rows.lists.is_empty() {
            true => text.push(']'),
            false => self.parts.push_front(Part::List(rows)),
        }
        Ok(())
    }

    /// Writes some of what the member has deleted.
    async fn archived(&mut self, text: &mut String, after: Option<Uuid>) -> Result<()> {
        let db = &self.exporting.module.db;
        let mut cx = db.begin_read(self.caller.caller()).await?;
        let rows: Vec<(Uuid, Json<Value>)> =
            sqlx::query_as("select id, content from app.archived_of_caller($1, $2)")
                .bind(after.unwrap_or(Uuid::nil()))
                .bind(ARCHIVED_AT_ONCE)
                .fetch_all(cx.conn())
                .await?;
        if after.is_none() {
            text.push_str(",\"archived\":[");
        }
        for (n, (_, Json(row))) in rows.iter().enumerate() {
            if n > 0 || after.is_some() {
                text.push(',');
            }
            text.push_str(&row.to_string());
        }
        match rows.last() {
            Some((last, _)) if rows.len() == ARCHIVED_AT_ONCE as usize => {
                self.parts.push_front(Part::Archived(Some(*last)));
            }
            _ => text.push(']'),
        }
        Ok(())
    }

    /// Keeps the id of a row whose lists are still to be written.
    fn remember(&mut self, list: &'static str, row: &Value) {
        if BELOW.iter().any(|below| below.of == list)
            && let Some(id) = row["id"].as_str()
        {
            self.parents.entry(list).or_default().push(id.to_owned());
        }
    }

    async fn read(&self, path: String) -> Result<serde_json::Map<String, Value>> {
        let Exporting { generated, .. } = &self.exporting;
        let answer =
            generated_routes::ask(generated, self.caller.caller(), Asking::Read(path)).await?;
        // If the member is signed out during the export, it ends there.
        answer.map_err(|refusal| match refusal.status().as_u16() {
            401 => Error::unauthenticated(),
            status => Error::internal(format!("a list answers {status}")),
        })
    }
}

fn push(text: &mut String, name: &str, value: &Value) {
    text.push_str(&format!(",{name:?}:{value}"));
}

/// A member's place among the concurrent exports; freed when the export ends or its client disconnects.
struct Place {
    exports: Exports,
    member: Uuid,
}

impl Exports {
    fn take(&self, member: Uuid) -> Result<Place> {
        let refused =
            |detail: &'static str| Error::new(&problems::QUOTA).detail(detail).retry_after(30);
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.contains(&member) {
            return Err(refused(
                "Another export of your data is in progress. Wait until it has ended.",
            ));
        }
        if members.len() >= MOST {
            return Err(refused(
                "Too many exports are in progress. Try again later.",
            ));
        }
        members.insert(member);
        Ok(Place {
            exports: self.clone(),
            member,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut members = self
            .exports
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        members.remove(&self.member);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_read_slowly_keep_nobody_from_beginning() {
        let exports = Exports::default();
        let slow: Vec<Place> = (0..MOST)
            .map(|_| exports.take(Uuid::new_v4()).expect("a place"))
            .collect();
        // None of them waits for a page.
        assert_eq!(exports.turns.available_permits(), PAGES_AT_ONCE);
        let again = slow.first().expect("a place").member;
        assert!(exports.take(again).is_err());
        assert!(exports.take(Uuid::new_v4()).is_err());
        drop(slow);
        assert!(exports.take(again).is_ok());
    }
}
