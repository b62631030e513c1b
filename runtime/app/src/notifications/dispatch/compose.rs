//! Composes what is sent for a claimed delivery: a push message, or a mail with all deliveries that it includes.

use chrono::{DateTime, Utc};
use delivery::push::Push;
use kernel::{Cx, Result, messages::Channel};
use serde_json::Value;
use sqlx::{Row, postgres::PgRow, types::Json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The number of characters after which the text of a push message is cut: devices show about as many.
const PUSH_CHARS: usize = 240;

pub enum Parcel {
    Push {
        claim: (Uuid, i32),
        device: Uuid,
        push: Push,
    },
    Mail {
        claim: (Uuid, i32),
        letter: Letter,
    },
    /// All its contents were dropped in the meantime.
    Nothing {
        claim: (Uuid, i32),
    },
}

/// The contents of a mail to be composed.
pub struct Letter {
    pub delivery: Uuid,
    pub member: Uuid,
    pub to: String,
    pub locale: String,
    /// The names of the optional types among its items, from which members can unsubscribe.
    pub optional_types: Vec<String>,
    /// The items, oldest first; several in a digest.
    pub items: Vec<Item>,
}

/// One message in a mail.
pub struct Item {
    pub title: String,
    pub text: String,
    /// The event that it is about.
    pub event: Option<Uuid>,
    /// The waiting list entry that can be left by a link in the mail.
    pub entry: Option<Uuid>,
}

impl Parcel {
    /// The delivery's id and the number of the attempt.
    pub fn claim(&self) -> (Uuid, i32) {
        match self {
            Self::Push { claim, .. } | Self::Mail { claim, .. } | Self::Nothing { claim } => *claim,
        }
    }
}

pub async fn parcels(cx: &mut Cx, channel: Channel, claimed: &[Uuid]) -> Result<Vec<Parcel>> {
    match channel {
        Channel::Push => pushes(cx, claimed).await,
        Channel::Email => mails(cx, claimed).await,
        Channel::InApp => Ok(Vec::new()),
    }
}

async fn pushes(cx: &mut Cx, claimed: &[Uuid]) -> Result<Vec<Parcel>> {
    let rows = sqlx::query(
        "select d.id, d.attempts, d.urgent, d.expires_at, v.id as device, v.push_token, n.id as notification, n.type, n.title,
           coalesce(d.wording, n.message) as message, n.data
         from app.notification_deliveries d
         join app.notifications n on n.id = d.notification_id
         join app.devices v on v.id = d.device_id
         where d.id = any($1)",
    )
    .bind(claimed)
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(|row| Ok(push(row)?)).collect()
}

fn push(row: &PgRow) -> Result<Parcel, sqlx::Error> {
    let id: Uuid = row.try_get("id")?;
    let message: String = row.try_get("message")?;
    let data: Option<Json<Value>> = row.try_get("data")?;
    let mut data: BTreeMap<String, String> =
        data.iter().flat_map(|Json(data)| texts(data)).collect();
    data.insert("type".to_owned(), row.try_get("type")?);
    data.insert(
        "notification".to_owned(),
        row.try_get::<Uuid, _>("notification")?.to_string(),
    );
    let expires_at: Option<DateTime<Utc>> = row.try_get("expires_at")?;
    Ok(Parcel::Push {
        claim: (id, row.try_get("attempts")?),
        device: row.try_get("device")?,
        push: Push {
            id,
            token: row.try_get::<String, _>("push_token")?.into(),
            title: row.try_get("title")?,
            body: message.chars().take(PUSH_CHARS).collect(),
            data,
            urgent: row.try_get("urgent")?,
            expires_at,
        },
    })
}

/// Converts the data to texts, since push services accept no other values.
fn texts(data: &Value) -> impl Iterator<Item = (String, String)> {
    let members = data.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
}

async fn mails(cx: &mut Cx, claimed: &[Uuid]) -> Result<Vec<Parcel>> {
    let rows = sqlx::query(
        "with parts as (
           select d.id, coalesce(d.carrier_id, d.id) as carrier, n.title, coalesce(d.wording, n.message) as message, n.event_id,
             case when not d.required then n.type end as optional_type,
             case when n.data ->> 'message' in ('place_awaited', 'place_offered') then (n.data ->> 'waitlist_entry')::uuid end as entry
           from app.delivery_obstacles(array(
             select x.id from app.notification_deliveries x
             where x.id = any($1) or x.carrier_id = any($1) and x.state = 'pending')) o
           join app.notification_deliveries d on d.id = o.delivery
           join app.notifications n on n.id = d.notification_id
           where o.obstacle is null
         ), mails as (
           select p.carrier, array_agg(p.title order by p.id) as titles, array_agg(p.message order by p.id) as messages,
             array_agg(p.entry order by p.id) as entries, array_agg(p.event_id order by p.id) as events,
             array_agg(distinct p.optional_type order by p.optional_type) filter (where p.optional_type is not null) as optional_types
           from parts p group by p.carrier
         )
         select c.id, c.attempts, c.user_id, u.email::text as email, u.locale,
           coalesce(m.titles, '{}') as titles, coalesce(m.messages, '{}') as messages, coalesce(m.entries, '{}') as entries,
           coalesce(m.events, '{}') as events, coalesce(m.optional_types, '{}') as optional_types
         from app.notification_deliveries c
         join app.users u on u.id = c.user_id
         left join mails m on m.carrier = c.id
         where c.id = any($1)",
    )
    .bind(claimed)
    .fetch_all(cx.conn())
    .await?;
    rows.iter().map(|row| Ok(mail(row)?)).collect()
}

fn mail(row: &PgRow) -> Result<Parcel, sqlx::Error> {
    let id: Uuid = row.try_get("id")?;
    let claim = (id, row.try_get("attempts")?);
    let titles: Vec<String> = row.try_get("titles")?;
    let messages: Vec<String> = row.try_get("messages")?;
    let entries: Vec<Option<Uuid>> = row.try_get("entries")?;
    let events: Vec<Option<Uuid>> = row.try_get("events")?;
    if titles.is_empty() {
        return Ok(Parcel::Nothing { claim });
    }
    Ok(Parcel::Mail {
        claim,
        letter: Letter {
            delivery: id,
            member: row.try_get("user_id")?,
            to: row.try_get("email")?,
            locale: row.try_get("locale")?,
            optional_types: row.try_get("optional_types")?,
            items: titles
                .into_iter()
                .zip(messages)
                .zip(entries.into_iter().zip(events))
                .map(|((title, text), (entry, event))| Item {
                    title,
                    text,
                    event,
                    entry,
                })
                .collect(),
        },
    })
}
