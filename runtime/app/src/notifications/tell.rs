//! Turns a message to members into a notification for each member, and deliveries on the channels that the member has
//! chosen, in the caller's transaction. If there are many members, jobs do this part by part. Nothing is sent here:
//! that is [`super::dispatch`].

use super::dispatch;
use crate::texts::{self, Text};
use chrono::{DateTime, Utc};
use kernel::{
    Cx, Error, Result, failpoint,
    jobs::NewJob,
    messages::{Channel, Message, Type},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Row, types::Json};
use std::{borrow::Cow, collections::HashMap};
use uuid::Uuid;

/// The job that tells a part of many members; its payload is [`Told`].
pub const TELL_PART: &str = "notifications.tell_part";

/// The maximum number of members told in a transaction: their ids fit into a job's payload. More members are divided
/// into a job for each thousand, so that a job stays within its time limit, several workers share the work, and the
/// first messages are sent while the last are being created. If mail is collected into digests, the parts wait for
/// each other in `app.notify`, since a member's window is opened by one of them.
const AT_ONCE: usize = 1_000;

/// A lower priority than that of jobs for few members, so that a buyer does not have to wait until a hundred thousand
/// followers have been told.
const PART_PRIORITY: i32 = 1;

/// A message and its recipients.
#[derive(Clone, Deserialize, Serialize)]
pub struct Told {
    pub message: Cow<'static, str>,
    /// The deduplication key: a member is told only once under the same key.
    pub key: String,
    pub values: Value,
    /// Ids for the app, which opens the matching page by them.
    pub data: Value,
    pub event: Option<Uuid>,
    /// The revision of the event's schedule. If the event has another revision when the job runs, nobody is told.
    pub revision: Option<i32>,
    /// The time after which the message is useless and not sent any more. None: the message does not expire.
    pub expires_at: Option<DateTime<Utc>>,
    pub members: Vec<Uuid>,
}

/// Tells several messages in one transaction. Returns how many members were told.
pub async fn tell_all(cx: &mut Cx, digest_minutes: u32, all: Vec<Told>) -> Result<i64> {
    if digest_minutes > 0 && all.len() > 1 {
        // All windows are locked at once, since locking them one after the other could deadlock with another
        // transaction.
        let few = all.iter().filter(|told| told.members.len() <= AT_ONCE);
        let members: Vec<Uuid> = few.flat_map(|told| told.members.iter().copied()).collect();
        sqlx::query("select app.hold_windows($1::uuid[])")
            .bind(members)
            .execute(cx.conn())
            .await?;
    }
    let mut count = 0;
    for told in all {
        count += tell(cx, digest_minutes, told).await?;
    }
    Ok(count)
}

/// Tells a message. Returns how many members were told who had not been told under this key: 0 for more than
/// [`AT_ONCE`] members, who are told by jobs.
pub async fn tell(cx: &mut Cx, digest_minutes: u32, mut told: Told) -> Result<i64> {
    told.members.sort_unstable();
    told.members.dedup();
    if told.members.len() <= AT_ONCE {
        return tell_part(cx, digest_minutes, told).await;
    }
    let members = std::mem::take(&mut told.members);
    for part in members.chunks(AT_ONCE) {
        told.members = part.to_vec();
        let job = NewJob::new(TELL_PART, &told)?.priority(PART_PRIORITY);
        job.put(cx).await?;
    }
    Ok(0)
}

/// Tells at most [`AT_ONCE`] members. Returns how many had not been told under this key.
pub async fn tell_part(cx: &mut Cx, digest_minutes: u32, mut told: Told) -> Result<i64> {
    let message = texts::message(&told.message)?;
    let ty = kind(message)?;
    told.data["message"] = json!(message.name);
    if !is_current(cx, &told).await? {
        return Ok(0);
    }
    let readers = readers(cx, message, &told.values, &told.members).await?;
    let count = insert(cx, ty, digest_minutes, &told, readers).await?;
    failpoint::reach("notification.told");
    if count > 0 {
        for job in [dispatch::PUSH, dispatch::MAIL] {
            NewJob::new(job, json!({}))?
                .unless_waiting(job)
                .put(cx)
                .await?;
        }
    }
    Ok(count)
}

/// Whether the event still has the revision. Locks its schedule: a transaction that moves the event waits for this
/// one, and then undoes what this one created.
async fn is_current(cx: &mut Cx, told: &Told) -> Result<bool> {
    let (Some(event), Some(revision)) = (told.event, told.revision) else {
        return Ok(true);
    };
    let current = sqlx::query(
        "select from app.event_schedules where event_id = $1 and revision = $2 for share",
    );
    let current = current.bind(event).bind(revision);
    Ok(current.fetch_optional(cx.conn()).await?.is_some())
}

fn kind(message: &Message) -> Result<&'static Type> {
    let mut types = generated::messages::TYPES.iter();
    let found = types.find(|ty| ty.name == message.ty);
    found.ok_or_else(|| Error::internal("a message without its type"))
}

/// Members and their texts: members with the same language and time zone share a text.
#[derive(Default)]
struct Readers {
    members: Vec<Uuid>,
    /// Each member's index into the texts, counted from 1 as in PostgreSQL.
    texts: Vec<i32>,
    titles: Vec<String>,
    messages: Vec<String>,
    pushes: Vec<Option<String>>,
    emails: Vec<Option<String>>,
}

async fn readers(
    cx: &mut Cx,
    message: &Message,
    values: &Value,
    members: &[Uuid],
) -> Result<Readers> {
    let rows = sqlx::query(
        "select id, locale, timezone from app.users where id = any($1) and status = 'active' order by id",
    )
    .bind(members)
    .fetch_all(cx.conn())
    .await?;
    let mut readers = Readers::default();
    let mut known: HashMap<(String, String), i32> = HashMap::new();
    for row in rows {
        let locale: String = row.try_get("locale")?;
        let zone = match texts::tells_time(message) {
            true => row.try_get("timezone")?,
            false => String::new(),
        };
        let text = match known.get(&(locale.clone(), zone.clone())) {
            Some(text) => *text,
            None => {
                let Text {
                    title,
                    message,
                    push,
                    email,
                } = texts::write(message, values, &locale, &zone)?;
                readers.titles.push(title);
                readers.messages.push(message);
                readers.pushes.push(push);
                readers.emails.push(email);
                let text = i32::try_from(readers.titles.len()).map_err(Error::internal)?;
                known.insert((locale, zone), text);
                text
            }
        };
        readers.members.push(row.try_get("id")?);
        readers.texts.push(text);
    }
    Ok(readers)
}

async fn insert(
    cx: &mut Cx,
    ty: &Type,
    digest_minutes: u32,
    told: &Told,
    readers: Readers,
) -> Result<i64> {
    let names = |channels: &[Channel]| -> Vec<&str> { channels.iter().map(|c| c.name()).collect() };
    let window = i32::try_from(digest_minutes).map_err(Error::internal)?;
    let digest = (ty.digest && window > 0).then_some(window);
    let count = sqlx::query_scalar(
        "select app.notify($1, $2, $3, $4, make_interval(mins => $5), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(ty.name)
    .bind(names(ty.channels))
    .bind(names(ty.always))
    .bind(ty.urgent)
    .bind(digest)
    .bind(&told.key)
    .bind(Json(&told.data))
    .bind(told.event)
    .bind(told.expires_at)
    .bind(readers.members)
    .bind(readers.texts)
    .bind(readers.titles)
    .bind(readers.messages)
    .bind(readers.pushes)
    .bind(readers.emails)
    .fetch_one(cx.conn())
    .await?;
    Ok(count)
}
