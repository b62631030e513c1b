//! Enqueueing: with the transaction, once per key, and by which callers.

use super::world::{says, what, world};
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use kernel::jobs::{NewJob, cancel};
use serde_json::Value;
use uuid::Uuid;

fn job(text: &str) -> NewJob {
    NewJob::new("tests.say", what(text)).expect("an object")
}

#[tokio::test]
async fn jb1_a_job_comes_and_goes_with_its_transaction() {
    let mut world = world().await;
    let mut cx = world.module().await;
    job("lost").put(&mut cx).await.expect("enqueued");
    drop(cx);
    let mut cx = world.module().await;
    job("kept").put(&mut cx).await.expect("enqueued");
    assert_eq!(
        world.jobs().await,
        [],
        "nobody sees it before the transaction ends"
    );
    cx.commit().await.expect("committed");
    let worker = world.start(vec![says("tests.say")]);
    assert_eq!(world.until_done(1).await, ["kept"]);
    world.until("true", 0).await;
    worker.stop().await;
    assert_eq!(world.done().await, ["kept"]);
}

#[tokio::test]
async fn jb2_one_key_is_one_job_however_many_enqueue_it_at_once() {
    let mut world = world().await;
    for replace in [false, true] {
        let put = (0..16).map(|n| {
            let job = job(&n.to_string());
            let job = match replace {
                true => job.replacing("key"),
                false => job.unless_waiting("key"),
            };
            world.put(job)
        });
        let put: Vec<Option<Uuid>> = join_all(put).await;
        let new = put.iter().flatten().count();
        assert!(if replace { new == 16 } else { new == 1 }, "{put:?}");
        assert_eq!(world.jobs().await.len(), 1);
        world.sql("delete from jobs.queue").await;
    }
}

#[tokio::test]
async fn jb2_a_waiting_job_is_replaced_or_cancelled_by_its_key() {
    let mut world = world().await;
    let later = Utc::now() + TimeDelta::days(2);
    let first = world.put(job("first").replacing("reminder")).await;
    let moved = world
        .put(job("moved").replacing("reminder").at(later))
        .await;
    assert_eq!(first, moved, "it is the same job");
    let text = "select payload ->> 'what', run_at > now() + interval '47 hours' from jobs.queue";
    let row: (String, bool) = sqlx::query_as(text)
        .fetch_one(&mut world.look)
        .await
        .unwrap();
    assert_eq!(row, ("moved".to_owned(), true));

    let mut cx = world.module().await;
    assert!(!cancel(&mut cx, "tests.say", "another").await.unwrap());
    assert!(cancel(&mut cx, "tests.say", "reminder").await.unwrap());
    drop(cx);
    assert_eq!(
        world.jobs().await.len(),
        1,
        "cancelling is undone with its transaction"
    );
    let mut cx = world.module().await;
    assert!(cancel(&mut cx, "tests.say", "reminder").await.unwrap());
    cx.commit().await.unwrap();
    assert_eq!(world.jobs().await, []);
}

/// The running job may already have read its data, so a second one is enqueued. If the first fails then, the second
/// replaces it.
#[tokio::test]
async fn a_key_is_free_again_while_its_job_runs() {
    let mut world = world().await;
    let names = ["tests.say"].as_slice();
    let worker = Uuid::now_v7();
    let first = world.put(job("first").unless_waiting("key")).await.unwrap();
    let claimed: Uuid = sqlx::query_scalar("select id from jobs.claim($1, $2, 5, '1 minute')")
        .bind(worker)
        .bind(names)
        .fetch_one(&mut world.look)
        .await
        .unwrap();
    assert_eq!(claimed, first);
    let second = world.put(job("second").unless_waiting("key")).await;
    assert!(second.is_some());
    assert_eq!(world.put(job("third").unless_waiting("key")).await, None);
    let became: String = sqlx::query_scalar("select jobs.fail($1, $2, 1, 'broken', '0', false)")
        .bind(first)
        .bind(worker)
        .fetch_one(&mut world.look)
        .await
        .unwrap();
    assert_eq!(became, "superseded");
    let left: Vec<Value> = sqlx::query_scalar("select payload from jobs.queue")
        .fetch_all(&mut world.look)
        .await
        .unwrap();
    assert_eq!(left, [what("second")]);
}

/// A trigger of a table enqueues, whoever writes to the table.
#[tokio::test]
async fn sql_enqueues_too() {
    let mut world = world().await;
    for text in [
        "create function public.wish() returns trigger language plpgsql security definer as $$
         begin perform jobs.put('tests.say', jsonb_build_object('what', new.what), null, null, null, null, null, null, null); return null; end $$",
        "alter function public.wish() owner to culturepass_queue",
        "create table public.wishes (what text)",
        "create trigger wish after insert on public.wishes for each row execute function public.wish()",
        "grant insert on public.wishes to culturepass_app",
        "insert into public.wishes values ('by trigger')",
    ] {
        world.sql(text).await;
    }
    let mut request = world.database.request_role().await;
    sqlx::raw_sql("begin; insert into public.wishes values ('lost'); rollback")
        .execute(&mut request)
        .await
        .unwrap();
    sqlx::query("insert into public.wishes values ('by a request')")
        .execute(&mut request)
        .await
        .unwrap();
    let worker = world.start(vec![
        says("tests.say").timeout(std::time::Duration::from_secs(30)),
    ]);
    assert_eq!(world.until_done(2).await.len(), 2);
    worker.stop().await;
    let mut done = world.done().await;
    done.sort();
    assert_eq!(done, ["by a request", "by trigger"]);
}
