//! Rows that were not restored together with an object, for the answer.
//!
//! The database lists all such rows (`sec.stayed`); the caller is told only of those that they may restore.

use crate::{
    cx::Cx,
    engine::Endpoint,
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};
use sqlx::{Row, types::Json};
use std::collections::HashSet;
use uuid::Uuid;

/// One row as the database reports it, with the property names of the answer.
#[derive(Deserialize, Serialize)]
pub(super) struct Stayed {
    r#type: String,
    id: Uuid,
    code: String,
    pointer: String,
    #[serde(default, skip_deserializing)]
    detail: &'static str,
}

/// The most rows that the answer lists. All of them are in the lists of archived objects.
const TOLD: usize = 100;

/// Runs in the transaction that restores, which shows archived rows to those who may restore them.
pub(super) async fn read(endpoint: &Endpoint, cx: &mut Cx) -> Result<Vec<Stayed>> {
    let question = sqlx::query_scalar("select sec.stayed()");
    let Json(mut stayed): Json<Vec<Stayed>> = question.fetch_one(cx.conn()).await?;
    let archived = archived(endpoint, cx, &stayed).await?;
    stayed.retain(|one| archived.contains(&one.id));
    // A row that waits for two others is reported twice; the last report counts.
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

/// The ids of rows that are still archived at the end and that the caller may know of.
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
