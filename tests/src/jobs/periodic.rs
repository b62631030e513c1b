//! Periodic jobs: once per time across all workers, with missed runs handled as declared.

use super::world::{quick, say, world};
use kernel::{
    Error,
    jobs::{CatchUp, Job, Periodic, Schedule, Work},
};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// A job that records the time for which it was enqueued.
fn tick(name: &'static str) -> Job {
    Job::new(name, |run| async move {
        let payload: Value = run.payload()?;
        let mut cx = run.begin().await?;
        sqlx::query("insert into public.done (what) values ($1)")
            .bind(payload["tick"].as_str().expect("a time"))
            .execute(cx.conn())
            .await?;
        run.commit(cx).await?;
        Ok(())
    })
}

fn hourly(job: &'static str, catch_up: CatchUp) -> Work {
    let schedule = Schedule::Cron {
        expression: "0 * * * *",
        zone: "Australia/Sydney",
    };
    Work {
        jobs: vec![tick(job)],
        periodic: vec![Periodic {
            job,
            schedule,
            catch_up,
        }],
        ..Work::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb6_each_tick_is_enqueued_once_by_four_workers() {
    let mut world = world().await;
    let work = || Work {
        jobs: vec![tick("tests.tick")],
        periodic: vec![Periodic {
            job: "tests.tick",
            schedule: Schedule::Every(Duration::from_secs(1)),
            catch_up: CatchUp::All,
        }],
        ..Work::default()
    };
    let workers: Vec<_> = (0..4).map(|_| world.start_with(work(), quick())).collect();
    world.until_done(4).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut done = world.done().await;
    let count = done.len();
    done.sort();
    done.dedup();
    assert_eq!(done.len(), count, "one job per tick: {done:?}");
    let seconds: Vec<i64> = done
        .iter()
        .map(|tick| {
            tick.parse::<chrono::DateTime<chrono::Utc>>()
                .expect("a time")
                .timestamp()
        })
        .collect();
    assert!(
        seconds.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "none is missing: {seconds:?}"
    );
}

#[tokio::test]
async fn jb6_after_six_hours_without_a_worker_as_many_runs_as_declared() {
    for (catch_up, runs) in [(CatchUp::None, 0), (CatchUp::Last, 1), (CatchUp::All, 6)] {
        let mut world = world().await;
        // The last run was six hours before the last full hour.
        world
            .sql("insert into jobs.periodic (name, last_tick) values ('tests.tick', date_trunc('hour', now()) - interval '6 hours')")
            .await;
        let minute: f64 = sqlx::query_scalar("select extract(minute from now())::float8")
            .fetch_one(&mut world.look)
            .await
            .unwrap();
        // In the first two minutes of an hour, its run is on time.
        let on_time = catch_up == CatchUp::None && minute < 2.0;
        let worker = world.start_with(hourly("tests.tick", catch_up), quick());
        let text = "select last_tick = date_trunc('hour', now()) from jobs.periodic";
        while !sqlx::query_scalar::<_, bool>(text)
            .fetch_one(&mut world.look)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        world.until("true", 0).await;
        worker.stop().await;
        let done = world.done().await.len();
        assert!(done == runs || on_time, "{catch_up:?}: {done}");
    }
}

/// A new periodic job has missed nothing.
#[tokio::test]
async fn the_first_worker_ever_has_missed_nothing() {
    let mut world = world().await;
    let worker = world.start_with(hourly("tests.tick", CatchUp::All), quick());
    let text = "select count(*) from jobs.periodic";
    while sqlx::query_scalar::<_, i64>(text)
        .fetch_one(&mut world.look)
        .await
        .unwrap()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    worker.stop().await;
    assert!(world.done().await.len() <= 1);
}

/// While one run waits, later ones add nothing: a job that runs every ten seconds doesn't accumulate thousands.
#[tokio::test]
async fn ticks_do_not_pile_up() {
    let mut world = world().await;
    let text = "select jobs.tick('tests.tick', p.last_tick, p.last_tick + interval '1 s', array[p.last_tick + interval '1 s'], $1, null)
        from jobs.periodic p";
    for (each, waiting) in [(false, 1), (true, 3)] {
        world.sql("delete from jobs.queue").await;
        world.sql("delete from jobs.periodic").await;
        world
            .sql("insert into jobs.periodic values ('tests.tick', now())")
            .await;
        for _ in 0..3 {
            let ticked: bool = sqlx::query_scalar(text)
                .bind(each)
                .fetch_one(&mut world.look)
                .await
                .unwrap();
            assert!(ticked);
        }
        assert_eq!(world.jobs().await.len(), waiting);
    }
}

/// A run that fails is tried again at its next time at the latest: the growing delays of a job are not those of one that
/// comes round. The control: without what `jobs.tick` does to a waiting run, it waits for minutes.
#[tokio::test]
async fn jb6_a_periodic_job_that_fails_keeps_its_times() {
    for is_kept in [true, false] {
        let mut world = world().await;
        if !is_kept {
            world
                .sql("create function public.hold() returns trigger language plpgsql as 'begin return null; end'")
                .await;
            world
                .sql(
                    "create trigger hold before update on jobs.queue for each row
                       when (old.state = 'queued' and new.state = 'queued' and new.attempts < old.attempts)
                       execute function public.hold()",
                )
                .await;
        }
        let fails = Arc::new(AtomicUsize::new(4));
        let counted = fails.clone();
        let job = Job::new("tests.tick", move |run| {
            let left = counted.clone();
            async move {
                if left.load(Relaxed) > 0 {
                    left.fetch_sub(1, Relaxed);
                    return Err(Error::internal("not yet").into());
                }
                say(&run).await
            }
        });
        let work = Work {
            jobs: vec![job],
            periodic: vec![Periodic {
                job: "tests.tick",
                schedule: Schedule::Every(Duration::from_secs(1)),
                catch_up: CatchUp::Last,
            }],
            ..Work::default()
        };
        let worker = world.start_with(work, quick());
        if is_kept {
            world.until_done(1).await;
            assert_eq!(fails.load(Relaxed), 0);
        } else {
            // The second attempt comes after 2.5 s or more, and the third 5 s later.
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert!(fails.load(Relaxed) > 1, "{fails:?}");
        }
        worker.stop().await;
    }
}
