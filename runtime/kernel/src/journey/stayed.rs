//! What did not come back with an object that was restored, for the answer.
//!
//! The database tells of every such row (`sec.stayed`); the caller is told of those that they may restore.

use crate::{
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, types::Json};
use std::collections::HashSet;
use uuid::Uuid;

/// As the database tells it, by the names that the answer has.
#[derive(Deserialize, Serialize)]
pub(super) struct Stayed {
    r#type: String,
    id: Uuid,
    code: String,
    pointer: String,
    #[serde(default, skip_deserializing)]
    detail: &'static str,
}

/// Of more than these the answer does not tell; all are in the lists of what is archived.
const TOLD: usize = 100;

/// In the transaction that restores: it shows archived rows to those who may restore them.
pub(super) async fn read(endpoint: &Endpoint, cx: &mut Cx) -> Result<Vec<Stayed>> {
    let question = sqlx::query_scalar("select sec.stayed()");
    let Json(mut stayed): Json<Vec<Stayed>> = question.fetch_one(cx.conn()).await?;
    let archived = archived(endpoint, cx, &stayed).await?;
    stayed.retain(|one| archived.contains(&one.id));
    // One that waited for two others was met twice; the last word counts.
    let mut seen = HashSet::new();
    stayed.reverse();
    stayed.retain(|one| seen.insert(one.id));
    stayed.reverse();
    stayed.truncate(TOLD);
    for one in &mut stayed {
        one.detail = match one.code.as_str() {
            "reference" => "belongs to something that is archived itself",
            "state" => "can't be restored in the state that it is in",
            _ => "has its place taken by another",
        };
    }
    Ok(stayed)
}

/// Those that are archived to the end and that the caller may know of.
async fn archived(
    endpoint: &Endpoint,
    cx: &mut Cx,
    stayed: &[Stayed],
) -> Result<HashSet<Uuid>, Error> {
    let mut found = HashSet::new();
    let types: HashSet<&str> = stayed.iter().map(|one| one.r#type.as_str()).collect();
    for name in types {
        let Some(mounted) = endpoint.engine.entity(name) else {
            continue;
        };
        let ids = stayed.iter().filter(|one| one.r#type == name);
        let ids: Vec<Uuid> = ids.map(|one| one.id).collect();
        let rows = sqlx::query(mounted.resource.sql.by_ids)
            .bind(ids)
            .fetch_all(cx.conn())
            .await?;
        for row in rows {
            if row.try_get::<&str, _>("status")? == "archived" {
                found.insert(row.try_get("id")?);
            }
        }
    }
    Ok(found)
}
