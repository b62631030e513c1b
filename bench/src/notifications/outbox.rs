//! From a committed change until its consumer has run: events that are published, and members who are notified of
//! them.

use super::{Notifications, PAUSE, all_told, drafts, until};
use crate::{
    search::percentiles,
    world::{self, Aim, Line},
};
use anyhow::Result;
use sqlx::PgConnection;
use std::time::{Duration, Instant};

/// How many changes are made, one after the other, while nothing else happens.
const CHANGES: usize = 200;

/// The number of the first of the events that are published, in its id.
const FIRST: usize = 1001;

/// Another host with a single follower, whose administrator is that of the first one.
const SMALL_HOST: &str = "
  set session_replication_role = replica;
  insert into app.organizations (id, city_id, name, slug, state)
    select 'a2000000-0000-7000-8000-000000000000', o.city_id, 'The hut', 'the-hut', 'approved' from app.organizations o where o.slug = 'the-house';
  insert into app.role_assignments (role, user_id, scope_type, scope_id, state)
    values ('orgAdmin', 'd1000000-0000-7000-8000-000000000001', 'organization', 'a2000000-0000-7000-8000-000000000000', 'accepted');
  insert into app.follows (follower_id, entity_type, entity_id)
    values ('d1000000-0000-7000-8000-000000000002', 'organization', 'a2000000-0000-7000-8000-000000000000');
  reset session_replication_role";

impl Notifications<'_> {
    pub(super) async fn outbox(&self, conn: &mut PgConnection) -> Result<Vec<Line>> {
        world::run(conn, SMALL_HOST).await?;
        world::run(conn, &drafts("the-hut", FIRST, FIRST + CHANGES - 1)).await?;
        world::run(conn, PAUSE).await?;
        let idle = self.idle(conn).await?;
        let killed = self.killed(conn).await?;
        world::run(conn, "delete from app.delivery_pauses").await?;
        Ok(vec![idle, killed])
    }

    async fn idle(&self, conn: &mut PgConnection) -> Result<Line> {
        let _worker = self.worker()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut took = Vec::new();
        for number in FIRST..FIRST + CHANGES {
            self.publish(number).await?;
            let begun = Instant::now();
            until(conn, &all_told(1, number), 2).await?;
            took.push(begun.elapsed().as_secs_f64());
        }
        let [_, _, p99] = percentiles(took);
        let what = format!(
            "X2: from a change to its consumer, {CHANGES} changes one after the other, p99"
        );
        Ok(Line::new(what, p99, "s", Aim::AtMost(5.0)))
    }

    /// A worker is killed (SIGKILL) while it notifies many members; another one takes over when its leases expire.
    async fn killed(&self, conn: &mut PgConnection) -> Result<Line> {
        const EVENT: usize = 23;
        let many = self.options.recipients;
        let worker = self.worker()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.publish(EVENT).await?;
        until(conn, &some_told(EVENT), 5).await?;
        drop(worker);
        let begun = Instant::now();
        let _other = self.worker()?;
        until(conn, &all_told(many, EVENT), 50).await?;
        let what = format!(
            "X2: the same after `kill -9` in the middle of notifying {many}, until another worker has notified the last one"
        );
        let took = begun.elapsed().as_secs_f64();
        Ok(Line::new(what, took, "s", Aim::AtMost(30.0)))
    }
}

fn some_told(event: usize) -> String {
    format!(
        "select exists (select from app.notifications where event_id = 'b1000000-0000-7000-8000-{event:012}')"
    )
}
