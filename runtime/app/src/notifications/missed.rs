//! Reminders that could not be sent in time, because no worker was running. They are dropped and counted, so that
//! operators see it.
//!
//! An event counts if it had its present time and had guests while a reminder would still have been useful. An event
//! that was moved, or sold its first ticket, later than that is not counted.

use super::Notifications;
use crate::module::Module;
use kernel::Result;
use uuid::Uuid;

impl Notifications {
    /// Gives up the missed reminders of events that began in the last two days. Returns how many guests were not
    /// reminded.
    pub async fn give_up_reminders(&self) -> Result<i64> {
        let least = self.least();
        let run = self.db.run(Self::NAME, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move {
                let missed: (i64, i64) = sqlx::query_as(
                    "with missed as (
                       select e.id, guests.count
                       from app.events e
                       left join app.event_schedules s on s.event_id = e.id
                       cross join lateral (select e.starts_at - make_interval(mins => $1) as at) last
                       cross join lateral (
                         select count(distinct t.holder_id)::int as count from app.tickets t
                         where t.event_id = e.id and t.state in ('valid', 'checked_in') and t.created_at < last.at
                       ) guests
                       where e.starts_at > now() - interval '2 days' and last.at <= now()
                         and e.state in ('published', 'completed') and e.status = 'active'
                         and coalesce(s.reminded_revision, 0) < coalesce(s.revision, 1)
                         and coalesce(s.updated_at, e.created_at) < last.at and guests.count > 0
                     ), counted as (
                       insert into app.event_schedules as s (event_id, reminded_revision, unreminded)
                       select m.id, 1, m.count from missed m order by m.id
                       on conflict (event_id) do update set reminded_revision = s.revision, unreminded = s.unreminded + excluded.unreminded
                       where s.reminded_revision < s.revision
                       returning event_id
                     )
                     select count(*), coalesce(sum(m.count), 0)::bigint from missed m join counted c on c.event_id = m.id",
                )
                .bind(least)
                .fetch_one(cx.conn())
                .await?;
                Ok(missed)
            })
        });
        let (events, guests) = run.await?;
        if events > 0 {
            tracing::error!(
                events,
                guests,
                "events have begun whose guests were not reminded: no worker ran when they were due"
            );
        }
        Ok(guests)
    }
}
