//! Several workers, and workers that disappear.

use super::world::{World, quick, say, says, what, world};
use kernel::{
    Error,
    jobs::{Job, NewJob, Work, WorkerConfig},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_do_each_job_once() {
    let mut world = world().await;
    for n in 0..100 {
        world.enqueue("tests.say", what(n)).await;
    }
    let workers: Vec<_> = (0..4)
        .map(|_| world.start(vec![says("tests.say")]))
        .collect();
    world.until("true", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let mut done: Vec<u32> = world
        .done()
        .await
        .iter()
        .map(|n| n.parse().unwrap())
        .collect();
    done.sort();
    assert_eq!(done, (0..100).collect::<Vec<_>>());
}

/// Expires the leases of workers that disappeared.
async fn lose(world: &mut World) {
    world.sql("update jobs.queue set locked_until = now() - interval '1 second' where state = 'running'").await;
}

#[tokio::test]
async fn jb4_a_job_of_a_killed_worker_is_done_by_another() {
    let mut world = world().await;
    world.enqueue("tests.say", what("done after all")).await;
    let hangs = Job::new("tests.say", |_| std::future::pending());
    let worker = world.start(vec![hangs]);
    world.until("state = 'running'", 1).await;
    worker.kill().await;
    let other = world.start(vec![says("tests.say")]);
    world.until("state = 'running' and attempts = 1", 1).await;
    lose(&mut world).await;
    other.stop().await;
    // A new worker first takes over jobs of those that disappeared.
    let other = world.start(vec![says("tests.say")]);
    assert_eq!(world.until_done(1).await, ["done after all"]);
    other.stop().await;
}

#[tokio::test]
async fn jb4_a_job_that_kills_its_workers_is_dead_after_its_attempts() {
    let mut world = world().await;
    world.enqueue("tests.poison", json!({})).await;
    let tried = Arc::new(AtomicU32::new(0));
    let begun = Arc::new(tokio::sync::Semaphore::new(0));
    let poison = || {
        let (tried, begun) = (tried.clone(), begun.clone());
        Job::new("tests.poison", move |_| {
            tried.fetch_add(1, SeqCst);
            begun.add_permits(1);
            std::future::pending()
        })
        .attempts(2)
    };
    for attempt in 1..=2 {
        let worker = world.start(vec![poison()]);
        world
            .until(&format!("state = 'running' and attempts = {attempt}"), 1)
            .await;
        // The claim is visible a moment before the worker runs the job.
        begun.acquire().await.unwrap().forget();
        worker.kill().await;
        lose(&mut world).await;
    }
    let worker = world.start(vec![poison()]);
    world.until("state = 'dead'", 1).await;
    worker.stop().await;
    assert_eq!(tried.load(SeqCst), 2);
}

/// A worker that was blocked too long can't write when it continues: nothing of its work is kept.
#[tokio::test]
async fn whoever_lost_the_job_can_not_finish_it() {
    let mut world = world().await;
    world.enqueue("tests.say", what("once")).await;
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = go.clone();
    let slow = Job::new("tests.say", move |run| {
        let waits = waits.clone();
        async move {
            let _go = waits.acquire().await;
            say(&run).await
        }
    });
    // It doesn't renew its lease, so it doesn't notice the loss. It is busy, so it doesn't take the job again.
    let config = WorkerConfig {
        at_once: 1,
        lease: Duration::from_secs(3600),
        ..quick()
    };
    let first = world.start_with(
        Work {
            jobs: vec![slow],
            ..Work::default()
        },
        config,
    );
    world.until("state = 'running'", 1).await;
    lose(&mut world).await;
    let second = world.start(vec![says("tests.say")]);
    assert_eq!(world.until_done(1).await, ["once"]);
    go.add_permits(1);
    first.stop().await;
    second.stop().await;
    assert_eq!(world.done().await, ["once"]);
    assert_eq!(world.jobs().await, []);
}

#[tokio::test]
async fn a_worker_that_lost_a_job_stops_it() {
    let mut world = world().await;
    world.enqueue("tests.say", what("x")).await;
    let config = WorkerConfig {
        lease: Duration::from_millis(300),
        ..quick()
    };
    let hangs = Job::new("tests.say", |_| std::future::pending());
    let worker = world.start_with(
        Work {
            jobs: vec![hangs],
            ..Work::default()
        },
        config,
    );
    world.until("state = 'running'", 1).await;
    // Longer than the lease, which was therefore renewed.
    tokio::time::sleep(Duration::from_millis(700)).await;
    world.until("state = 'running' and attempts = 1", 1).await;
    world.sql("delete from jobs.queue").await;
    // If the hanging job were still running, stopping would take the whole grace period.
    world.enqueue("tests.other", json!({})).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tokio::time::timeout(Duration::from_secs(15), worker.stop())
        .await
        .expect("it let the job go");
}

/// A job with an order key doesn't begin before the previous one of that key has ended, even while that waits for a
/// retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_one_order_key_keep_their_order_whoever_fails() {
    let mut world = world().await;
    for n in 0..30 {
        let job = NewJob::new("tests.say", what(n)).unwrap();
        world.put(job.in_order(format!("object {}", n % 3))).await;
    }
    let flaky = || {
        Job::new("tests.say", |run| async move {
            if run.attempt == 1 && run.id.as_u128() % 2 == 0 {
                return Err(Error::internal("not yet").into());
            }
            say(&run).await
        })
    };
    let workers: Vec<_> = (0..3).map(|_| world.start(vec![flaky()])).collect();
    while !world.jobs().await.is_empty() {
        world
            .sql("update jobs.queue set run_at = now() where state = 'queued' and run_at > now()")
            .await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    let mut by_object: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for n in world.done().await.iter().map(|n| n.parse::<u32>().unwrap()) {
        by_object.entry(n % 3).or_default().push(n);
    }
    for (object, done) in by_object {
        assert_eq!(done, (0..10).map(|n| n * 3 + object).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_dead_job_lets_those_after_it_go_on() {
    let mut world = world().await;
    for name in ["tests.fail", "tests.say"] {
        let job = NewJob::new(name, what("after")).unwrap();
        world.put(job.in_order("object")).await;
    }
    let fails = Job::new("tests.fail", |_| async {
        Err(Error::internal("no").into())
    })
    .attempts(1);
    let worker = world.start(vec![fails, says("tests.say")]);
    assert_eq!(world.until_done(1).await, ["after"]);
    worker.stop().await;
}

/// Starting and stopping workers repeatedly loses no job, runs none twice, and leaves none locked. `JB9_ROUNDS` makes
/// the test longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb9_workers_that_come_and_go_lose_nothing() {
    let rounds = std::env::var("JB9_ROUNDS").ok();
    let rounds: u64 = rounds.map_or(200, |text| text.parse().expect("a number"));
    let mut world = world().await;
    let slow = || {
        Job::new("tests.say", |run| async move {
            tokio::time::sleep(Duration::from_millis(run.id.as_u128() as u64 % 20)).await;
            say(&run).await
        })
    };
    let jobs = rounds * 3 / 4;
    for n in 0..jobs {
        world.enqueue("tests.say", what(n)).await;
    }
    for round in 0..rounds {
        let config = WorkerConfig {
            grace: Duration::from_millis(round % 3),
            poll: Duration::from_millis(5),
            ..WorkerConfig::default()
        };
        let worker = world.start_with(
            Work {
                jobs: vec![slow()],
                ..Work::default()
            },
            config,
        );
        tokio::time::sleep(Duration::from_millis(round % 7)).await;
        worker.stop().await;
        world.until("state = 'running'", 0).await;
    }
    let worker = world.start(vec![slow()]);
    world.until("true", 0).await;
    worker.stop().await;
    let mut done: Vec<u64> = world
        .done()
        .await
        .iter()
        .map(|n| n.parse().unwrap())
        .collect();
    done.sort();
    assert_eq!(done, (0..jobs).collect::<Vec<_>>());
}

async fn claimed(world: &mut World) -> i64 {
    let text =
        "select count(*) from jobs.claim(gen_random_uuid(), array['tests.say'], 10, '1 minute')";
    sqlx::query_scalar(text)
        .fetch_one(&mut world.look)
        .await
        .expect("a claim")
}

/// The negative control: if a claim ignores existing leases, two workers run one job.
#[tokio::test]
async fn t16_without_a_lease_two_workers_have_one_job() {
    let mut world = world().await;
    world.enqueue("tests.say", what("x")).await;
    assert_eq!(claimed(&mut world).await, 1);
    assert_eq!(claimed(&mut world).await, 0);
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('jobs.claim(uuid,text[],integer,interval)'::regprocedure)",
    )
    .fetch_one(&mut world.look)
    .await
    .expect("the function");
    let condition = "where q.state = 'queued' and q.run_at <= now()";
    assert!(text.contains(condition));
    let without = text.replace(condition, "where q.run_at <= now()");
    sqlx::raw_sql(sqlx::AssertSqlSafe(without))
        .execute(&mut world.look)
        .await
        .expect("switched off");
    assert_eq!(claimed(&mut world).await, 1);
}
