//! A message to members → a notification each, and deliveries on the channels that they want it on, in the caller's
//! transaction; many members are told part by part, by jobs. Nothing leaves here: that is [`super::dispatch`].

use super::{
    dispatch,
    texts::{self, Text},
};
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

/// Tells a part of many members: its payload is [`Told`].
pub const TELL_PART: &str = "notifications.tell_part";

/// Members that one transaction tells: their ids fit into the payload of a job. Of more each thousand is a job, so that a
/// job ends long before its time is over however many there are, several workers share them, and the first messages leave
/// while the last ones are being made. Where mails are put together, the parts wait for each other in `app.notify`: a
/// member's window is opened by one of them.
const AT_ONCE: usize = 1_000;

/// Behind jobs that concern few: who buys a ticket does not wait until a hundred thousand followers have been told.
const PART_PRIORITY: i32 = 1;

/// What is to be told, and to whom.
#[derive(Clone, Deserialize, Serialize)]
pub struct Told {
    pub message: Cow<'static, str>,
    /// Members with the same key are told once.
    pub key: String,
    pub values: Value,
    /// Ids for the app, which opens the right page with them.
    pub data: Value,
    pub event: Option<Uuid>,
    /// Of the event's schedule. Where the event has another by the time of telling, nobody is told.
    pub revision: Option<i32>,
    /// Nobody is helped by it after that.
    pub expires_at: Option<DateTime<Utc>>,
    pub members: Vec<Uuid>,
}

/// Several things in one transaction. How many have been told.
pub async fn tell_all(cx: &mut Cx, digest_minutes: u32, all: Vec<Told>) -> Result<i64> {
    if digest_minutes > 0 && all.len() > 1 {
        // Held one after the other, those of another transaction could be in the way that waits for these.
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

/// How many have been told who had not been under this key. Of more than [`AT_ONCE`] none yet, but jobs are going to.
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

/// At most [`AT_ONCE`] members. How many had not been told under this key.
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

/// Whoever moves the event waits until this transaction is over, and then takes back what it made.
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

/// Members, and what each of them reads: one text for all who have language and clocks in common.
#[derive(Default)]
struct Readers {
    members: Vec<Uuid>,
    /// From 1, as PostgreSQL counts.
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
