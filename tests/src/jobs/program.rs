//! JB4, JB5: the program that runs jobs, `culturepass worker`, is killed while it runs them, and asked to stop.
//!
//! Its job sends a message to one member, and waits for the row of an event's schedule while a test locks that row.

use crate::support::{
    Database, Superuser, database::Content, locks::until_waiting, program::Program,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The longest wait for an expected state. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    database: Database,
    look: Superuser,
    events: Vec<Uuid>,
    member: Uuid,
}

impl World {
    async fn new() -> Self {
        let database = Database::new(Content::Sample).await;
        let mut look = database.superuser().await;
        let clean = "delete from jobs.events; delete from jobs.queue; delete from app.event_schedules;
            insert into app.event_schedules (event_id, revision) select id, 1 from app.events order by id limit 3";
        sqlx::raw_sql(clean)
            .execute(&mut look)
            .await
            .expect("three");
        let events = "select event_id from app.event_schedules order by event_id";
        let events = sqlx::query_scalar(events).fetch_all(&mut look).await;
        let member = "select id from app.users where status = 'active' order by id limit 1";
        let member = sqlx::query_scalar(member).fetch_one(&mut look).await;
        Self {
            database,
            events: events.expect("events"),
            member: member.expect("a member"),
            look,
        }
    }

    /// Enqueues the job about this event.
    async fn put(&mut self, event: usize, attempts: i32) -> Uuid {
        let id = self.events[event];
        let told = json!({"message": "event_moved", "key": format!("jb:{event}"), "data": {"event": id}, "event": id,
            "values": {"event": "Night", "starts": {"at": "2041-05-01T18:00:00Z", "zone": "UTC"}},
            "revision": 1, "expires_at": null, "members": [self.member]});
        let put =
            "select jobs.put('notifications.tell_part', $1, null, null, 'keep', null, null, 0, $2)";
        sqlx::query_scalar(put)
            .bind(told)
            .bind(attempts)
            .fetch_one(&mut self.look)
            .await
            .expect("a job")
    }

    /// Locks the row for which the job about this event waits.
    async fn hold(&self, event: usize) -> Superuser {
        let mut held = self.database.superuser().await;
        let id = self.events[event];
        let lock =
            format!("begin; select from app.event_schedules where event_id = '{id}' for update");
        run(&mut held, &lock).await;
        held
    }

    async fn number(&mut self, text: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
            .fetch_one(&mut self.look)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    async fn told(&mut self, event: usize) -> i64 {
        let text = "select count(*) from app.notifications where dedupe_key = 'jb:";
        self.number(&format!("{text}{event}'")).await
    }

    /// Waits until this many jobs in the queue fulfil the condition.
    async fn until(&mut self, condition: &str, count: i64) {
        let text = format!(
            "select count(*) from jobs.queue where name = 'notifications.tell_part' and {condition}"
        );
        let until = Instant::now() + PATIENCE;
        while self.number(&text).await != count {
            assert!(
                Instant::now() < until,
                "{condition}: {:?}",
                self.jobs().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// State, attempts, and whether no worker has it, of each job.
    async fn jobs(&mut self) -> Vec<(String, i32, bool)> {
        let text =
            "select state, attempts, locked_by is null and locked_until is null from jobs.queue
            where name = 'notifications.tell_part' order by place";
        let jobs = sqlx::query_as(text).fetch_all(&mut self.look).await;
        jobs.expect("jobs")
    }

    async fn worker(&self) -> Program {
        Program::work(&self.database, |command| {
            command
                .env("JOBS_POLL_MS", "100")
                .env("JOBS_AT_ONCE", "2")
                .env("JOBS_GRACE_SECONDS", "3");
        })
        .await
    }

    /// Kills the worker and its connections like `kill -9`. Its lease is expired, as it would after 45 seconds.
    async fn kill(&mut self, mut worker: Program) {
        worker.signal("KILL");
        assert!(!worker.ended().await.success());
        run(
            &mut self.look,
            "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and usename = 'culturepass_job';
             update jobs.queue set locked_until = now() - interval '1 second' where state = 'running'",
        )
        .await;
    }
}

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
}

#[tokio::test]
async fn jb4_a_job_of_a_killed_program_is_run_again_and_one_that_never_ends_is_dead() {
    let mut world = World::new().await;
    let (mut slow, mut poison) = (world.hold(0).await, world.hold(1).await);
    world.put(0, 20).await;
    world.put(1, 2).await;
    let first = world.worker().await;
    until_waiting(&mut world.look, "app.event_schedules", 2).await;
    assert_eq!(
        world.jobs().await,
        vec![("running".to_owned(), 1, false); 2]
    );
    world.kill(first).await;

    let second = world.worker().await;
    until_waiting(&mut world.look, "app.event_schedules", 2).await;
    assert_eq!(
        world.jobs().await,
        vec![("running".to_owned(), 2, false); 2]
    );
    assert_eq!(world.told(0).await, 0, "the first attempt left nothing");
    run(&mut slow, "rollback").await;
    world.until("true", 1).await;
    assert_eq!(world.told(0).await, 1);
    world.kill(second).await;

    let third = world.worker().await;
    world.until("state = 'dead'", 1).await;
    run(&mut poison, "rollback").await;
    // The program continues with the remaining jobs.
    world.put(2, 20).await;
    world.until("state <> 'dead'", 0).await;
    assert_eq!(world.jobs().await, [("dead".to_owned(), 2, true)]);
    let told = (
        world.told(0).await,
        world.told(1).await,
        world.told(2).await,
    );
    assert_eq!(told, (1, 0, 1));
    world.kill(third).await;
}

#[tokio::test]
async fn jb5_a_program_that_is_asked_to_stop_finishes_what_it_can_and_gives_back_the_rest() {
    let mut world = World::new().await;
    let (mut ends, mut never) = (world.hold(0).await, world.hold(1).await);
    world.put(0, 20).await;
    world.put(1, 20).await;
    let mut worker = world.worker().await;
    until_waiting(&mut world.look, "app.event_schedules", 2).await;
    // The worker is busy, and by the time that it isn't, it takes no more jobs.
    world.put(2, 20).await;
    let since = Instant::now();
    worker.signal("TERM");
    while !worker.text().contains("asked to stop") {
        assert!(since.elapsed() < PATIENCE, "{}", worker.text());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    run(&mut ends, "rollback").await;
    let status = worker.ended().await;
    println!("it ended after {:?}, with 3 s of grace", since.elapsed());
    assert_eq!(status.code(), Some(0), "{}", worker.text());
    let told = (
        world.told(0).await,
        world.told(1).await,
        world.told(2).await,
    );
    assert_eq!(told, (1, 0, 0));
    // The running job was given back without counting as an attempt; the other one was never begun.
    assert_eq!(world.jobs().await, vec![("queued".to_owned(), 0, true); 2]);

    run(&mut never, "rollback").await;
    let next = world.worker().await;
    world.until("true", 0).await;
    assert_eq!((world.told(1).await, world.told(2).await), (1, 1));
    world.kill(next).await;
}
