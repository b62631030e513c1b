//! When each unfinished object was last checked at the provider. The one not checked for the longest time comes next,
//! so that objects that never finish don't keep others from being checked. Also stores up to when the provider's
//! events were read.

use super::Payments;
use crate::module::Module;
use chrono::{DateTime, Utc};
use kernel::Result;
use std::fmt;
use uuid::Uuid;

/// How many objects one run checks; the rest follow in the next runs.
const AT_ONCE: i64 = 200;

/// Builds the query for [`Payments::each_in_turn`] from a query of what is due, whose columns are `id`, `name` (the
/// returned value) and `created_at`.
macro_rules! in_turn {
    ($due:literal) => {
        concat!(
            // The comment in the text keeps this fragment from looking like a statement to the test that prepares
            // every statement; that test tries the query of what is due separately.
            "/* what is due */ with due as (",
            $due,
            "), taken as (
               select d.id, d.name from due d left join app.payment_looks l on l.subject = d.id::text
               order by l.looked_at nulls first, d.created_at, d.id limit $1
             ), noted as (
               insert into app.payment_looks (subject, looked_at) select t.id::text, clock_timestamp() from taken t
               on conflict (subject) do update set looked_at = excluded.looked_at
             )
             select name from taken"
        )
    };
}
pub(super) use in_turn;

impl Payments {
    /// Works on some of what is due, one after the other. A failure of one is logged, as `failed`, and does not keep the
    /// others waiting.
    pub(super) async fn each_in_turn<T, F, R, E>(
        &self,
        request: Uuid,
        query: &'static str,
        failed: &'static str,
        mut work: impl FnMut(T) -> F + Send,
    ) -> Result<()>
    where
        T: fmt::Display + Send + Unpin + sqlx::Type<sqlx::Postgres>,
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres>,
        F: Future<Output = Result<R, E>> + Send,
        E: fmt::Display,
    {
        for name in self.in_turn::<T>(request, query).await? {
            let shown = name.to_string();
            if let Err(error) = work(name).await {
                tracing::warn!(name = shown, %error, "{failed}");
            }
        }
        Ok(())
    }

    /// Returns some of what is due, and records that they are being checked now.
    pub(super) async fn in_turn<T>(&self, request: Uuid, query: &'static str) -> Result<Vec<T>>
    where
        T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
    {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                let found = sqlx::query_scalar(query).bind(AT_ONCE);
                Ok(found.fetch_all(cx.conn()).await?)
            })
        });
        run.await
    }

    /// The time up to which all events that the provider lists were read. None: they were never read.
    pub(super) async fn events_until(&self, request: Uuid) -> Result<Option<DateTime<Utc>>> {
        let run = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move {
                let until = sqlx::query_scalar(
                    "select looked_at from app.payment_looks where subject = 'events'",
                );
                Ok(until.fetch_optional(cx.conn()).await?)
            })
        });
        run.await
    }

    pub(super) async fn took_events_until(
        &self,
        until: DateTime<Utc>,
        request: Uuid,
    ) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, move |cx| {
            Box::pin(async move {
                sqlx::query(
                    "insert into app.payment_looks as l (subject, looked_at) values ('events', $1)
                     on conflict (subject) do update set looked_at = excluded.looked_at
                     where l.looked_at < excluded.looked_at",
                )
                .bind(until)
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }

    /// Deletes old entries: an object not checked for days is finished, and otherwise comes first without an entry.
    pub(super) async fn forget_looks(&self, request: Uuid) -> Result<()> {
        let run = self.db.run(Self::NAME, None, request, |cx| {
            Box::pin(async move {
                sqlx::query(
                    "delete from app.payment_looks where looked_at < now() - interval '7 days' and subject <> 'events'",
                )
                .execute(cx.conn())
                .await?;
                Ok(())
            })
        });
        run.await
    }
}
