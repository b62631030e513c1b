//! Events: what happened, recorded in the transaction that caused it and delivered to jobs that other modules declare
//! as consumers.
//!
//! Entities emit events by trigger, as `emit:` in their spec says; a module emits its own with [`tell`]. A consumer
//! gets each event at least once, and the events of one object in their order.

use crate::{cx::Cx, error::Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

/// A job that is enqueued for each event of this name.
#[derive(Clone, Copy, Debug)]
pub struct Consumer {
    /// `event.publish`, `payments.refunded`
    pub event: &'static str,
    pub job: &'static str,
}

/// The payload of a consumer's job.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    pub event_id: Uuid,
    pub event: String,
    /// The id of the object. It may have changed since the event, so read it again.
    pub entity_type: String,
    pub entity_id: Uuid,
    /// The member who caused it; `None`: a module on its own.
    pub caused_by: Option<Uuid>,
    pub created_at: DateTime<Utc>,
    /// For events of entities: empty, or what [`Event::changed`] reads.
    pub payload: Value,
}

impl Event {
    /// For an update: the columns that it changed. Their values are not part of the event; they are in the row, for
    /// those who may read it.
    pub fn changed(&self) -> impl Iterator<Item = &str> {
        let changed = self.payload["changed"].as_array();
        changed.into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Emits an event in the transaction of a module; `event` is `<module>.<what>`. Transactions that emit events of the
/// same object wait for each other. The payload is stored unencrypted for a week and has 32 KiB at most.
pub async fn tell(
    cx: &mut Cx,
    event: &'static str,
    (entity_type, entity_id): (&'static str, Uuid),
    payload: impl Serialize,
) -> Result<Uuid> {
    let payload = serde_json::to_value(payload).map_err(crate::Error::internal)?;
    let told = sqlx::query_scalar("select jobs.tell($1, $2, $3, $4)")
        .bind(event)
        .bind(entity_type)
        .bind(entity_id)
        .bind(Json(payload));
    let id = told.fetch_one(cx.conn()).await?;
    cx.has_enqueued();
    Ok(id)
}
