//! Reminders: created by the shipped worker, and claimed by the same function as in the worker.

use super::{Notifications, PAUSE, VACUUM, until};
use crate::world::{self, Aim, Line};
use anyhow::{Context, Result, ensure};
use kernel::jobs::NewJob;
use serde_json::json;
use sqlx::PgConnection;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The batch size and the number of workers from the design.
const CLAIMED_AT_ONCE: i32 = 500;
const CLAIMERS: usize = 4;

/// Two hundred events of tomorrow, each with as many guests, who have no devices.
const GUESTS: &str = "
  set session_replication_role = replica;
  update app.devices set status = 'archived';
  insert into app.events (id, title, slug, starts_at, ends_at, timezone, state, city_id, host_type, host_id)
    select ('b2000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Tomorrow ' || n, 'tomorrow-' || n,
      now() + interval '23 hours', now() + interval '25 hours', 'UTC', 'published', o.city_id, 'organization', o.id
    from generate_series(0, 199) n, app.organizations o where o.slug = 'the-house';
  insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
    select gen_random_uuid(), gen_random_uuid(), ('b2000000-0000-7000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid, u.id, u.id,
      'bench-' || gen_random_uuid(), 1, 'AUD'
    from generate_series(1, REMINDERS) n
    join app.users u on u.id = ('d1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid;
  analyze app.events, app.tickets;
  reset session_replication_role";

impl Notifications<'_> {
    pub(super) async fn reminded(&self, conn: &mut PgConnection) -> Result<Vec<Line>> {
        let many = self.options.reminders;
        world::run(conn, PAUSE).await?;
        world::run(
            conn,
            "truncate app.notifications, app.notification_deliveries",
        )
        .await?;
        let worker = self.worker()?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let guests = GUESTS.replace("REMINDERS", &many.to_string());
        world::run(conn, "analyze app.users").await?;
        world::run(conn, &guests).await?;
        let begun = Instant::now();
        let mut cx = self.db.job("notifications", None, Uuid::now_v7()).await?;
        NewJob::new("notifications.remind", json!({}))?
            .put(&mut cx)
            .await?;
        cx.commit().await?;
        let all =
            "select count(*) = 200 from app.event_schedules where reminded_revision = revision";
        until(conn, all, 100).await?;
        let planned = begun.elapsed().as_secs_f64();
        self.are_there(conn, many as i64, many as i64).await?;
        drop(worker);
        let mut lines = vec![Line::new(
            format!("RM9: {many} reminders of 200 events planned, in the app and by mail"),
            planned,
            "s",
            Aim::AtMost(10.0),
        )];

        world::run(conn, "delete from app.delivery_pauses").await?;
        world::run(conn, VACUUM).await?;
        let begun = Instant::now();
        let claimers = (0..CLAIMERS).map(|_| async {
            let mut all = 0;
            loop {
                match self.claim("email", CLAIMED_AT_ONCE).await?.len() {
                    0 => return anyhow::Ok(all),
                    some => all += some,
                }
            }
        });
        let claimed: usize = join(claimers.collect()).await?.iter().sum();
        let took = begun.elapsed().as_secs_f64();
        ensure!(claimed == many, "{claimed} were claimed");
        let what = format!(
            "RM9: {many} reminders claimed, {CLAIMED_AT_ONCE} at once by {CLAIMERS} workers"
        );
        lines.push(Line::new(what, took, "s", Aim::AtMost(15.0)));
        Ok(lines)
    }
}

/// Waits for all futures concurrently within this task; the database does the work.
async fn join<T>(futures: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    let four: [_; CLAIMERS] = futures.try_into().ok().context("four")?;
    let [a, b, c, d] = four;
    let (a, b, c, d) = tokio::try_join!(a, b, c, d)?;
    Ok(vec![a, b, c, d])
}
