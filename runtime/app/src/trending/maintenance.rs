//! Keeps ranks up to date, compares them with the recorded actions, and deletes what is long over.

use super::{Trending, settings::Given};
use crate::module::Module;
use kernel::{Db, Result};
use sqlx::types::Json;
use uuid::Uuid;

/// The maximum number of actions processed in a transaction, which locks the ranks that it changes until it ends.
const NOTES: i32 = 5000;

impl Trending {
    /// Adds the actions recorded so far to the ranks. Returns how many; 0 while another worker is doing this.
    pub async fn rank(&self) -> Result<u64> {
        let mut all = 0;
        loop {
            let given = Given::from(&self.settings);
            let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
                let settings = Json(serde_json::json!(given));
                Box::pin(async move {
                    let taken: i32 = sqlx::query_scalar("select app.rank_events($1, $2)")
                        .bind(NOTES)
                        .bind(settings)
                        .fetch_one(cx.conn())
                        .await?;
                    Ok(taken)
                })
            });
            let taken = run.await?;
            all += u64::from(taken.unsigned_abs());
            if taken < NOTES {
                return Ok(all);
            }
        }
    }

    /// Recomputes all ranks from the recorded actions and corrects those that differ. Returns how many differed: that
    /// is a bug, or somebody has written to the tables directly.
    pub async fn compare(&self) -> Result<u64> {
        let given = Given::from(&self.settings);
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            let settings = Json(serde_json::json!(given));
            Box::pin(async move {
                let found: i64 = sqlx::query_scalar("select app.compare_ranks($1)")
                    .bind(settings)
                    .fetch_one(cx.conn())
                    .await?;
                Ok(found)
            })
        });
        let found = run.await?.unsigned_abs();
        if found > 0 {
            tracing::error!(found, "ranks were not what people did; they are mended");
        }
        self.rank().await?;
        Ok(found)
    }

    /// Deletes ranks, actions and visits of events that ended 30 days ago, and after a day removes from actions the
    /// network address and the time of the account's creation. Returns how many rows were changed.
    pub async fn forget(&self) -> Result<u64> {
        let mut all = unlocated(&self.db).await?;
        loop {
            let gone = over(&self.db).await?;
            all += gone;
            if gone == 0 {
                return Ok(all);
            }
        }
    }
}

async fn unlocated(db: &Db) -> Result<u64> {
    db.run(Trending::NAME, None, Uuid::now_v7(), |cx| {
        Box::pin(async move {
            let done = sqlx::query(
                "update app.rank_actions set network = null, cohort = null
                 where (network is not null or cohort is not null) and at < now() - interval '1 day'",
            )
            .execute(cx.conn())
            .await?;
            Ok(done.rows_affected())
        })
    })
    .await
}

async fn over(db: &Db) -> Result<u64> {
    db.run(Trending::NAME, None, Uuid::now_v7(), |cx| {
        Box::pin(async move {
            let gone: i64 = sqlx::query_scalar(
                "with ended as (
                   select e.id from app.events e
                   where e.ends_at < now() - interval '30 days'
                     and (exists (select from app.event_ranks r where r.event_id = e.id)
                       or exists (select from app.rank_actions a where a.event_id = e.id)
                       or exists (select from app.visits v where v.event_id = e.id))
                   limit 100
                 ), actions as (
                   delete from app.rank_actions a using ended e where a.event_id = e.id returning 1
                 ), visits as (
                   delete from app.visits v using ended e where v.event_id = e.id returning 1
                 ), ranks as (
                   delete from app.event_ranks r using ended e where r.event_id = e.id returning 1
                 )
                 select (select count(*) from actions) + (select count(*) from ranks) + (select count(*) from visits)",
            )
            .fetch_one(cx.conn())
            .await?;
            Ok(gone.unsigned_abs())
        })
    })
    .await
}
