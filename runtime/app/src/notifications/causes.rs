//! What members are told: which event leads to which message, to which members, and with which values.
//!
//! A cause is a query for the present state of the object that the event is about. It returns no row if there is
//! nothing to tell: the object is hidden, the change was undone, or it is not worth a message. Every query takes the
//! object's id and returns the columns
//!
//! - `values jsonb`, as the message declares them;
//! - `data jsonb`: ids for the app, by names of entities. `user` is the member whose name is among the values: the message
//!   is deleted when that member is erased;
//! - `members uuid[]`: the recipients;
//! - `key text`: the deduplication key if several events can lead to the same message, otherwise null;
//! - `event_id uuid`, `expires_at timestamptz`: null where they do not apply.

mod events;
pub(super) mod hosts;
mod moderation;
mod people;
mod places;
mod trade;

use super::tell::Told;
use chrono::{DateTime, Utc};
use kernel::{Cx, Result, jobs::Event};
use serde_json::Value;
use sqlx::{Row, types::Json};
use uuid::Uuid;

pub(super) struct Cause {
    /// The event's name, as entities and modules emit it.
    pub event: &'static str,
    /// For an update: one of these columns must have changed. Empty for other events.
    pub changed: &'static [&'static str],
    pub message: &'static str,
    /// Whether the member who caused the event is told, too: a receipt is, a new follower is not.
    pub to_its_cause: bool,
    /// `$1` is the id of the object, `$2`, if it occurs, the time of the event: members who came later know nothing else.
    pub sql: &'static str,
}

pub(super) fn all() -> impl Iterator<Item = &'static Cause> {
    let all = [
        events::CAUSES,
        hosts::CAUSES,
        moderation::CAUSES,
        people::CAUSES,
        places::CAUSES,
        trade::CAUSES,
    ];
    all.into_iter().flatten()
}

/// The messages that follow from an event.
pub(super) async fn look(cx: &mut Cx, event: &Event) -> Result<Vec<Told>> {
    let mut told = Vec::new();
    for cause in all().filter(|cause| cause.is_met_by(event)) {
        told.extend(cause.look(cx, event).await?);
    }
    Ok(told)
}

impl Cause {
    fn is_met_by(&self, event: &Event) -> bool {
        let mut changed = event.changed();
        self.event == event.event
            && (self.changed.is_empty() || changed.any(|column| self.changed.contains(&column)))
    }

    async fn look(&self, cx: &mut Cx, event: &Event) -> Result<Option<Told>> {
        let mut found = sqlx::query(self.sql).bind(event.entity_id);
        if self.sql.contains("$2") {
            found = found.bind(event.created_at);
        }
        let Some(row) = found.fetch_optional(cx.conn()).await? else {
            return Ok(None);
        };
        let Json(values): Json<Value> = row.try_get("values")?;
        let Json(data): Json<Value> = row.try_get("data")?;
        let mut members: Vec<Uuid> = row.try_get("members")?;
        if !self.to_its_cause {
            members.retain(|member| Some(*member) != event.caused_by);
        }
        let key: Option<String> = row.try_get("key")?;
        let event_id: Option<Uuid> = row.try_get("event_id")?;
        let expires_at: Option<DateTime<Utc>> = row.try_get("expires_at")?;
        Ok((!members.is_empty()).then(|| Told {
            message: self.message.into(),
            key: key.unwrap_or_else(|| format!("{}:{}", self.message, event.event_id)),
            values,
            data,
            event: event_id,
            revision: None,
            expires_at,
            members,
        }))
    }
}

/// Credits that lapse within a week and whose owners have not been told yet.
pub(super) async fn lapsing(cx: &mut Cx) -> Result<Vec<Told>> {
    let rows = sqlx::query(
        "select c.id, jsonb_build_object('amount', jsonb_build_object('cents', c.remaining_cents, 'currency', c.currency),
             'until', jsonb_build_object('at', c.expires_at, 'zone', u.timezone)) as values,
           jsonb_build_object('wallet_account', a.id) as data, c.expires_at, a.user_id
         from app.wallet_credits c join app.wallet_accounts a on a.id = c.wallet_id join app.users u on u.id = a.user_id
         where c.remaining_cents > 0 and c.expires_at > now() and c.expires_at < now() + interval '7 days'
           and not exists (select from app.notifications n where n.user_id = a.user_id and n.dedupe_key = 'credits_lapse:' || c.id)
         order by c.expires_at limit 1000",
    )
    .fetch_all(cx.conn())
    .await?;
    let told = rows.iter().map(|row| {
        let Json(values) = row.try_get("values")?;
        let Json(data) = row.try_get("data")?;
        let id: Uuid = row.try_get("id")?;
        Ok(Told {
            message: "credits_lapse".into(),
            key: format!("credits_lapse:{id}"),
            values,
            data,
            event: None,
            revision: None,
            expires_at: row.try_get("expires_at")?,
            members: vec![row.try_get("user_id")?],
        })
    });
    Ok(told.collect::<Result<_, sqlx::Error>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the name would stay in other members' notifications when the member is erased.
    #[test]
    fn whoever_names_a_member_says_who_it_is() {
        let naming: Vec<_> = all()
            .filter(|cause| cause.sql.contains("display_name"))
            .collect();
        assert!(naming.len() >= 9, "{} causes", naming.len());
        for cause in naming {
            assert!(cause.sql.contains("'user', "), "{}", cause.message);
        }
    }
}
