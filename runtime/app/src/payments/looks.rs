//! When something that does not come to an end was last looked after: what was not for longest is next, so that rows that
//! never end keep no others from being looked at. And up to which time the provider's list of events was taken in.

use super::Payments;
use crate::module::Module;
use chrono::{DateTime, Utc};
use kernel::Result;
use uuid::Uuid;

/// Looked at in one run; the rest comes with the next.
const AT_ONCE: i64 = 200;

/// The query of what is to be looked after, as [`Payments::in_turn`] wants it. What is due has an `id`, a `name` that is the
/// answer, and `created_at`.
macro_rules! in_turn {
    ($due:literal) => {
        concat!(
            // The test of all statements tries what is due by itself; this part alone is none, and begins like none.
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
    /// Some of what is due, and that it was their turn.
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

    /// Up to when all events that the provider lists were taken in. None: never.
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

    /// What nobody has looked at for days has come to its end, or comes first if it has not.
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
