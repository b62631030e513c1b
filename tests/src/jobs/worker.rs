//! A single worker: jobs that succeed, fail, panic, hang, or may not run any more.

use super::world::{World, quick, say, says, what, world};
use kernel::{
    Error,
    jobs::{Failure, Job, NewJob, Work, WorkerConfig},
};
use serde_json::json;
use std::time::Duration;

/// Makes delayed retries due, so that no test waits for them.
async fn hurry(world: &mut World) {
    world
        .sql("update jobs.queue set run_at = now() where state = 'queued'")
        .await;
}

#[tokio::test]
async fn jb3_what_fails_is_tried_again_later_and_later_and_is_dead_in_the_end() {
    let mut world = world().await;
    let worker = world.start(vec![
        Job::new("tests.fail", |_| async {
            Err(Error::internal("no luck").into())
        })
        .attempts(3),
    ]);
    world.enqueue("tests.fail", json!({})).await;
    let mut waits = Vec::new();
    for attempt in 1..=2 {
        world
            .until(&format!("state = 'queued' and attempts = {attempt}"), 1)
            .await;
        let text = "select extract(epoch from run_at - now())::float8 from jobs.queue";
        let wait: f64 = sqlx::query_scalar(text)
            .fetch_one(&mut world.look)
            .await
            .unwrap();
        waits.push(wait);
        hurry(&mut world).await;
    }
    assert!(waits[0] > 1.0 && waits[1] > waits[0] - 0.5, "{waits:?}");
    world.until("state = 'dead'", 1).await;
    let jobs = world.jobs().await;
    assert_eq!(jobs[0].2, 3, "attempts");
    assert_eq!(jobs[0].3.as_deref(), Some("no luck"));
    worker.stop().await;
}

#[tokio::test]
async fn jb3_a_panic_and_too_long_a_time_are_failed_attempts_and_the_worker_lives() {
    let mut world = world().await;
    let worker = world.start(vec![
        Job::new("tests.panic", |run| async move {
            assert_eq!(run.attempt, 0, "boom");
            Ok(())
        })
        .attempts(1),
        Job::new("tests.hang", |_| std::future::pending())
            .attempts(1)
            .timeout(Duration::from_millis(50)),
        says("tests.say"),
    ]);
    world.enqueue("tests.panic", json!({})).await;
    world.enqueue("tests.hang", json!({})).await;
    world.until("state = 'dead'", 2).await;
    world.enqueue("tests.say", what("alive")).await;
    assert_eq!(world.until_done(1).await, ["alive"]);
    let errors: Vec<String> = world
        .jobs()
        .await
        .into_iter()
        .filter_map(|job| job.3)
        .collect();
    assert!(
        errors[0].contains("panicked: ") && errors[0].contains("boom"),
        "{errors:?}"
    );
    assert!(errors[1].contains("took longer"), "{errors:?}");
    worker.stop().await;
}

#[tokio::test]
async fn what_can_not_be_read_or_can_not_succeed_is_dead_at_once() {
    let mut world = world().await;
    let worker = world.start(vec![
        Job::new("tests.read", |run| async move {
            run.payload::<Vec<u8>>().map(drop)
        }),
        Job::new("tests.never", |_| async {
            Err(Failure::last(Error::not_found()))
        }),
    ]);
    world.enqueue("tests.read", json!({"a": 1})).await;
    world.enqueue("tests.never", json!({})).await;
    world.until("state = 'dead' and attempts = 1", 2).await;
    worker.stop().await;
}

/// If the worker polled for each job, sixty jobs would take sixty hours.
#[tokio::test]
async fn jb7_a_backlog_is_worked_off_without_waiting_for_the_next_look() {
    let mut world = world().await;
    for n in 0..60 {
        world.enqueue("tests.say", what(n)).await;
    }
    let config = WorkerConfig {
        at_once: 1,
        poll: Duration::from_secs(3600),
        ..WorkerConfig::default()
    };
    let work = Work {
        jobs: vec![says("tests.say")],
        ..Work::default()
    };
    let worker = world.start_with(work, config);
    let done = world.until_done(60).await;
    assert_eq!(
        done,
        (0..60).map(|n| n.to_string()).collect::<Vec<_>>(),
        "oldest first"
    );
    // Jobs enqueued by this process are noticed immediately.
    world.enqueue("tests.say", what("new")).await;
    world.until_done(61).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_takes_only_what_it_knows_and_what_is_due() {
    let mut world = world().await;
    world.enqueue("tests.unknown", json!({})).await;
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    world
        .put(NewJob::new("tests.say", what("later")).unwrap().at(later))
        .await;
    world
        .put(NewJob::new("tests.say", what("second")).unwrap())
        .await;
    world
        .put(
            NewJob::new("tests.say", what("first"))
                .unwrap()
                .priority(-1),
        )
        .await;
    let mut config = quick();
    config.at_once = 1;
    let jobs = vec![says("tests.say")];
    let worker = world.start_with(
        Work {
            jobs,
            ..Work::default()
        },
        config,
    );
    assert_eq!(world.until_done(2).await, ["first", "second"]);
    worker.stop().await;
    let left: Vec<String> = world
        .jobs()
        .await
        .into_iter()
        .map(|job| job.0 + " " + &job.1)
        .collect();
    assert_eq!(left, ["tests.unknown queued", "tests.say queued"]);
}

#[tokio::test]
async fn a_job_for_a_member_is_dropped_when_the_account_is_not_good_any_more() {
    let mut world = world().await;
    let ana = world.member().await;
    let job = |text: &str| NewJob::new("tests.say", what(text)).unwrap();
    world.put(job("for ana").on_behalf_of(ana)).await;
    let worker = world.start(vec![says("tests.say")]);
    assert_eq!(world.until_done(1).await, ["for ana"]);
    for end in [
        "update app.users set status = 'suspended'",
        "update app.users set status = 'archived'",
    ] {
        world.sql(end).await;
        world.put(job("for nobody").on_behalf_of(ana)).await;
        world.put(job("for all")).await;
        world.until("true", 0).await;
    }
    worker.stop().await;
    assert_eq!(world.done().await, ["for ana", "for all", "for all"]);
}

/// A job runs as its module on behalf of its member, and rows that it writes say so.
#[tokio::test]
async fn a_job_has_the_context_of_its_module_and_member() {
    let mut world = world().await;
    let ana = world.member().await;
    let worker = world.start(vec![Job::new("tests.context", |run| async move {
        let mut cx = run.begin().await?;
        let text = "insert into public.done (what) select concat_ws(' ', sec.job(), sec.uid(), sec.request())";
        sqlx::query(text).execute(cx.conn()).await?;
        run.commit(cx).await?;
        Ok(())
    })]);
    let request = uuid::Uuid::now_v7();
    let mut cx = world.db.job("tests", None, request).await.unwrap();
    let job = NewJob::new("tests.context", json!({})).unwrap();
    job.on_behalf_of(ana).put(&mut cx).await.unwrap();
    cx.commit().await.unwrap();
    assert_eq!(
        world.until_done(1).await,
        [format!("tests {ana} {request}")]
    );
    worker.stop().await;
}

#[tokio::test]
async fn jb5_stopping_waits_for_what_runs_and_gives_back_what_takes_too_long() {
    let mut world = world().await;
    let jobs = || {
        vec![
            Job::new("tests.slow", |run| async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                say(&run).await
            }),
            Job::new("tests.hang", |_| std::future::pending()),
        ]
    };
    world.enqueue("tests.slow", what("slow")).await;
    let worker = world.start(jobs());
    world.until("state = 'running'", 1).await;
    worker.stop().await;
    assert_eq!(
        world.done().await,
        ["slow"],
        "the worker waits for the running job"
    );

    world.enqueue("tests.hang", json!({})).await;
    let config = WorkerConfig {
        grace: Duration::from_millis(50),
        ..quick()
    };
    let worker = world.start_with(
        Work {
            jobs: jobs(),
            ..Work::default()
        },
        config,
    );
    world.until("state = 'running'", 1).await;
    worker.stop().await;
    let jobs = world.jobs().await;
    assert_eq!(
        (jobs[0].1.as_str(), jobs[0].2),
        ("queued", 0),
        "given back without counting as an attempt"
    );
}
