//! Events: stored with their transaction, and delivered to every consumer in order, whatever happens to workers.

use super::world::{World, quick, world};
use crate::support::{TestServer, model};
use kernel::{
    Cx, Error,
    jobs::{Consumer, Event, Job, Outcome, Run, Work, purge_events, tell},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// A consumer that records the event and its payload.
fn consumes(name: &'static str, flaky: bool) -> Job {
    Job::new(name, move |run| async move {
        if flaky && run.attempt == 1 && run.id.as_u128() % 3 == 0 {
            return Err(Error::internal("not yet").into());
        }
        heard(&run).await
    })
}

async fn heard(run: &Run) -> Outcome {
    let event: Event = run.payload()?;
    let mut cx = run.begin().await?;
    sqlx::query("insert into public.done (what) values ($1)")
        .bind(format!(
            "{} {} {}",
            event.event, event.entity_id, event.payload["n"]
        ))
        .execute(cx.conn())
        .await?;
    run.commit(cx).await?;
    Ok(())
}

fn work(flaky: bool) -> Work {
    Work {
        jobs: vec![consumes("tests.hear", flaky)],
        consumers: vec![Consumer {
            event: "tests.happened",
            job: "tests.hear",
        }],
        ..Work::default()
    }
}

async fn happened(cx: &mut Cx, object: Uuid, n: u32) {
    tell(cx, "tests.happened", ("thing", object), json!({ "n": n }))
        .await
        .expect("told");
}

async fn waiting(world: &mut World) -> i64 {
    let text = "select count(*) from jobs.events where relayed_at is null";
    sqlx::query_scalar(text)
        .fetch_one(&mut world.look)
        .await
        .unwrap()
}

/// Waits until a worker has registered its consumers.
async fn subscribed(world: &mut World) {
    let text = "select count(*) from jobs.subscriptions";
    while sqlx::query_scalar::<_, i64>(text)
        .fetch_one(&mut world.look)
        .await
        .unwrap()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn x1_x2_what_is_rolled_back_did_not_happen() {
    let mut world = world().await;
    let worker = world.start_with(work(false), quick());
    subscribed(&mut world).await;
    let object = Uuid::now_v7();
    let mut cx = world.module().await;
    happened(&mut cx, object, 1).await;
    drop(cx);
    let mut cx = world.module().await;
    happened(&mut cx, object, 2).await;
    cx.commit().await.unwrap();
    assert_eq!(
        world.until_done(1).await,
        [format!("tests.happened {object} 2")]
    );
    world.until("true", 0).await;
    worker.stop().await;
    assert_eq!(world.done().await.len(), 1);
}

/// A worker that could not say what it consumes hands out no events: its consumers would miss them. It tries again until
/// it can.
#[tokio::test]
async fn x1_no_event_is_handed_out_before_its_consumers_are_known() {
    let mut world = world().await;
    world
        .sql("alter function jobs.subscribe(text[], text[]) rename to subscribe_away")
        .await;
    let worker = world.start_with(work(false), quick());
    let object = Uuid::now_v7();
    let mut cx = world.module().await;
    happened(&mut cx, object, 1).await;
    cx.commit().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(waiting(&mut world).await, 1, "handed out to nobody");
    world
        .sql("alter function jobs.subscribe_away(text[], text[]) rename to subscribe")
        .await;
    assert_eq!(
        world.until_done(1).await,
        [format!("tests.happened {object} 1")]
    );
    worker.stop().await;
}

/// Twelve objects, four workers that are killed again and again, and a consumer that fails at times: each event is
/// processed once, and those of one object in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_events_of_one_object_are_heard_in_order_by_workers_that_fail_and_die() {
    let mut world = world().await;
    let first = world.start_with(work(true), quick());
    subscribed(&mut world).await;
    first.stop().await;
    let objects: Vec<Uuid> = (0..12).map(|_| Uuid::now_v7()).collect();
    for n in 0..10 {
        for object in &objects {
            let mut cx = world.module().await;
            happened(&mut cx, *object, n).await;
            cx.commit().await.unwrap();
        }
    }
    let mut round = 0;
    loop {
        let workers: Vec<_> = (0..4)
            .map(|_| world.start_with(work(true), quick()))
            .collect();
        tokio::time::sleep(Duration::from_millis(60)).await;
        for (n, worker) in workers.into_iter().enumerate() {
            if n % 2 == round % 2 {
                worker.kill().await;
            } else {
                worker.stop().await;
            }
        }
        round += 1;
        world
            .sql("update jobs.queue set run_at = now() where state = 'queued' and run_at > now()")
            .await;
        world.sql("update jobs.queue set locked_until = now() - interval '1 s' where state = 'running'").await;
        if waiting(&mut world).await == 0 && world.jobs().await.is_empty() {
            break;
        }
        assert!(round < 1000, "{:?}", world.jobs().await);
    }
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in world.done().await {
        let words: Vec<&str> = line.split(' ').collect();
        heard
            .entry(words[1].to_owned())
            .or_default()
            .push(words[2].to_owned());
    }
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(heard.len(), 12);
    for (object, heard) in heard {
        assert_eq!(heard, expected, "{object}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x1_every_consumer_hears_each_event_once_however_many_relay() {
    let mut world = world().await;
    let both = || {
        let mut work = work(false);
        work.jobs.push(consumes("others.hear", false));
        work.consumers.push(Consumer {
            event: "tests.happened",
            job: "others.hear",
        });
        work
    };
    let workers: Vec<_> = (0..4).map(|_| world.start_with(both(), quick())).collect();
    subscribed(&mut world).await;
    for n in 0..40 {
        let mut cx = world.module().await;
        happened(&mut cx, Uuid::now_v7(), n).await;
        cx.commit().await.unwrap();
    }
    world.until_done(80).await;
    world.until("true", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(world.done().await.len(), 80);
}

/// Two transactions emit events about one object: the second waits until the first has ended.
#[tokio::test]
async fn x1_who_tells_of_one_object_waits_for_whoever_does_already() {
    let mut world = world().await;
    let object = Uuid::now_v7();
    let mut first = world.module().await;
    happened(&mut first, object, 1).await;
    let mut second = world.module().await;
    let mut telling = Box::pin(async move {
        happened(&mut second, object, 2).await;
        second.commit().await.expect("committed");
    });
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut telling).await;
    assert!(waited.is_err(), "it did not wait");
    first.commit().await.unwrap();
    telling.await;
    let text = "select (payload ->> 'n')::int from jobs.events order by place";
    let order: Vec<i32> = sqlx::query_scalar(text)
        .fetch_all(&mut world.look)
        .await
        .unwrap();
    assert_eq!(order, [1, 2]);
}

#[tokio::test]
async fn a_module_tells_of_its_own_only_and_told_events_go_after_a_while() {
    let mut world = world().await;
    let mut cx = world.module().await;
    let other = tell(
        &mut cx,
        "others.happened",
        ("thing", Uuid::now_v7()),
        json!({}),
    )
    .await;
    assert_eq!(other.expect_err("refused").status(), 403);
    drop(cx);
    let mut cx = world.module().await;
    happened(&mut cx, Uuid::now_v7(), 1).await;
    cx.commit().await.unwrap();
    let kept = chrono::TimeDelta::days(-1);
    assert_eq!(
        purge_events(&world.db, kept, 10).await.unwrap(),
        0,
        "an event that was not delivered is kept"
    );
    let worker = world.start_with(work(false), quick());
    while waiting(&mut world).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.stop().await;
    assert_eq!(purge_events(&world.db, kept, 10).await.unwrap(), 1);
}

/// Events that specs declare are emitted by changes of rows, whoever makes them, and no others are.
#[tokio::test]
async fn events_of_entities_are_told_by_what_happens_to_them() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let text = "select id from app.events where status = 'active' and state = 'published' order by id limit 1";
    let event: Uuid = sqlx::query_scalar(text)
        .fetch_one(&mut conn)
        .await
        .expect("an event");
    let text = "insert into app.users (handle, display_name, email) values ('zoe_told', 'Zoe', 'zoe@example.org') returning id";
    let member: Uuid = sqlx::query_scalar(text)
        .fetch_one(&mut conn)
        .await
        .expect("a member");
    sqlx::query("delete from jobs.events")
        .execute(&mut conn)
        .await
        .expect("nothing told");
    for (text, id, told) in [
        (
            "update app.events set state = 'draft' where id = $1",
            event,
            "",
        ),
        (
            "update app.events set title = title || '!' where id = $1",
            event,
            "event.update",
        ),
        (
            "update app.events set state = 'published' where id = $1",
            event,
            "event.publish",
        ),
        (
            "update app.events set state = 'cancelled' where id = $1",
            event,
            "event.cancel",
        ),
        (
            "update app.users set display_name = 'Zoe T.' where id = $1",
            member,
            "",
        ),
        (
            "update app.users set status = 'archived' where id = $1",
            member,
            "user.archive",
        ),
    ] {
        let done = sqlx::query(text).bind(id).execute(&mut conn).await;
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
        let text_told = "delete from jobs.events where entity_id = $1 returning event";
        let events: Vec<String> = sqlx::query_scalar(text_told)
            .bind(id)
            .fetch_all(&mut conn)
            .await
            .expect("events");
        assert_eq!(events.join(" "), told, "{text}");
    }
}

/// Each declared event has its trigger, and no table has further ones.
#[tokio::test]
async fn every_declared_event_has_its_trigger() {
    let mut world = world().await;
    let text =
        "select c.relname || ' ' || t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where t.tgfoid::regproc::text ~ '^jobs[.]emit(_[a-z_]+_update)?$' and t.tgenabled = 'O' order by 1";
    let found: Vec<String> = sqlx::query_scalar(text)
        .fetch_all(&mut world.look)
        .await
        .unwrap();
    let mut declared: Vec<String> = model()
        .entities
        .iter()
        .flat_map(|e| {
            e.emits
                .iter()
                .map(move |action| format!("{0} {0}_emit_{action}", e.plural))
        })
        .collect();
    declared.sort();
    assert_eq!(found, declared);
    assert!(!declared.is_empty());
}
