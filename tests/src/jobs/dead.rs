//! Dead jobs: kept, counted, purged, retried.

use super::world::{says, what, world};
use kernel::{
    Error,
    jobs::{self, Job, NewJob, Revived, Work},
};
use uuid::Uuid;

fn fails() -> Job {
    Job::new("tests.fail", |_| async {
        Err(Error::internal("no").into())
    })
    .attempts(1)
}

#[tokio::test]
async fn jb3_dead_jobs_are_listed_newest_first_without_what_is_secret() {
    let mut world = world().await;
    let worker = world.start(vec![fails()]);
    for n in 0..5 {
        world
            .enqueue("tests.fail", serde_json::json!({"n": n, "token": "secret"}))
            .await;
    }
    world.until("state = 'dead'", 5).await;
    worker.stop().await;
    let work = Work {
        jobs: vec![fails().shown(&["n"])],
        ..Work::default()
    };
    let page = |before, limit| jobs::dead(&world.db, &work, None, before, limit);
    let first = page(None, 3).await.unwrap();
    let rest = page(Some(first[2].place), 3).await.unwrap();
    let all = [first, rest].concat();
    let shown: Vec<String> = all
        .iter()
        .map(|dead| format!("{} {}", dead.payload["n"], dead.payload["token"]))
        .collect();
    assert_eq!(
        shown,
        ["4 \"•\"", "3 \"•\"", "2 \"•\"", "1 \"•\"", "0 \"•\""]
    );
    let other = jobs::dead(&world.db, &work, Some("tests.other"), None, 3)
        .await
        .unwrap();
    assert_eq!(other, []);
    // The payload of a job that this process doesn't know is not shown.
    let unknown = jobs::dead(&world.db, &Work::default(), None, None, 1)
        .await
        .unwrap();
    assert_eq!(unknown[0].payload["n"], "•");
}

#[tokio::test]
async fn jb3_a_dead_job_is_tried_again_or_given_up_and_both_are_audited() {
    let mut world = world().await;
    let worker = world.start(vec![fails()]);
    let again = world.enqueue("tests.fail", what("again")).await;
    let up = world.enqueue("tests.fail", what("up")).await;
    world.until("state = 'dead'", 2).await;
    worker.stop().await;
    let request = Uuid::now_v7();
    assert_eq!(
        jobs::revive(&world.db, None, request, Uuid::nil())
            .await
            .unwrap(),
        Revived::Missing
    );
    assert_eq!(
        jobs::revive(&world.db, None, request, again).await.unwrap(),
        Revived::Queued
    );
    assert_eq!(
        jobs::revive(&world.db, None, request, again).await.unwrap(),
        Revived::Missing
    );
    assert!(jobs::discard(&world.db, None, request, up).await.unwrap());
    assert!(!jobs::discard(&world.db, None, request, up).await.unwrap());
    let worker = world.start(vec![Job::new("tests.fail", |run| async move {
        super::world::say(&run).await
    })]);
    assert_eq!(world.until_done(1).await, ["again"]);
    worker.stop().await;
    let text = "select entity_id, action from audit.audit_logs where entity_type = 'job' and request_id = $1 order by id";
    let audited: Vec<(Uuid, String)> = sqlx::query_as(text)
        .bind(request)
        .fetch_all(&mut world.look)
        .await
        .unwrap();
    assert_eq!(
        audited,
        [(again, "retry".to_owned()), (up, "discard".to_owned())]
    );
}

#[tokio::test]
async fn one_whose_key_waits_again_stays_dead() {
    let mut world = world().await;
    let worker = world.start(vec![fails()]);
    let job = || {
        NewJob::new("tests.fail", what("x"))
            .unwrap()
            .unless_waiting("key")
    };
    let dead = world.put(job()).await.unwrap();
    world.until("state = 'dead'", 1).await;
    worker.stop().await;
    world.put(job()).await.unwrap();
    assert_eq!(
        jobs::revive(&world.db, None, Uuid::now_v7(), dead)
            .await
            .unwrap(),
        Revived::Waiting
    );
}

#[tokio::test]
async fn figures_and_purging() {
    let mut world = world().await;
    world.enqueue("tests.fail", what("x")).await;
    world.enqueue("tests.say", what("x")).await;
    world.sql("update jobs.queue set run_at = now() - interval '100 seconds' where name = 'tests.say'").await;
    let worker = world.start(vec![fails()]);
    world.until("state = 'dead'", 1).await;
    worker.stop().await;
    let figures = jobs::figures(&world.db).await.unwrap();
    assert_eq!((figures.queued, figures.running, figures.dead), (1, 0, 1));
    assert!(
        (100.0..200.0).contains(&figures.oldest_seconds),
        "{figures:?}"
    );
    let kept = chrono::TimeDelta::days(30);
    assert_eq!(jobs::purge(&world.db, kept, 10).await.unwrap(), 0);
    world
        .sql("update jobs.queue set ended_at = now() - interval '31 days' where state = 'dead'")
        .await;
    assert_eq!(jobs::purge(&world.db, kept, 10).await.unwrap(), 1);
    let worker = world.start(vec![says("tests.say")]);
    world.until("true", 0).await;
    worker.stop().await;
}
