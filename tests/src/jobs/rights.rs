//! Privileges on the queue: the request role has almost none, a module those on its own jobs.

use super::world::{what, world};
use crate::support::model;
use kernel::{Caller, jobs::NewJob};
use uuid::Uuid;

#[tokio::test]
async fn requests_reach_nothing_of_the_queue() {
    let mut world = world().await;
    world.enqueue("tests.say", what("a secret")).await;
    let id = Uuid::nil();
    let mut request = world.database.request_role().await;
    for text in [
        "select payload from jobs.queue".to_owned(),
        "insert into jobs.queue (name, payload, max_attempts) values ('tests.say', '{}', 1)"
            .to_owned(),
        "delete from jobs.queue".to_owned(),
        "select * from jobs.periodic".to_owned(),
        "select jobs.put('tests.say', '{}', null, null, null, null, null, null, null)".to_owned(),
        format!(
            "select jobs.enqueue('tests.say', '{{}}', null, null, null, null, '{id}', null, null)"
        ),
        format!("select * from jobs.claim('{id}', '{{tests.say}}', 1, '1 minute')"),
        format!("select jobs.complete('{id}', '{id}', 1)"),
        format!("select jobs.fail('{id}', '{id}', 1, '', '0', true)"),
        format!("select jobs.put_back('{id}', '', '0', true)"),
        format!("select jobs.release('{id}', '{{}}')"),
        format!("select jobs.heartbeat('{id}', '{{}}', '1 minute')"),
        "select jobs.rescue()".to_owned(),
        "select * from jobs.dead(null, null, 10)".to_owned(),
        format!("select jobs.revive('{id}')"),
        format!("select jobs.discard('{id}')"),
        "select jobs.purge(now(), 10)".to_owned(),
        "select jobs.forget('tests.say', '{to}', 'somebody', now())".to_owned(),
        format!("select requests.forget('{id}')"),
        "select * from jobs.figures()".to_owned(),
        "select * from jobs.ticks('{tests.say}')".to_owned(),
        "select jobs.tick('tests.say', now(), now(), '{}', true, null)".to_owned(),
        format!("select jobs.tell('event.publish', 'event', '{id}', '{{}}')"),
        "select jobs.subscribe('{a.b}', '{a.b}')".to_owned(),
        "select jobs.relay(1)".to_owned(),
        "select jobs.purge_events(now(), 1)".to_owned(),
        "select * from jobs.events".to_owned(),
        format!("select sec.is_active('{id}')"),
        format!("select audit.note('job', '{id}', 'retry', '{{}}')"),
    ] {
        let error = sqlx::query(sqlx::AssertSqlSafe(text.clone()))
            .execute(&mut request)
            .await;
        let code = error
            .expect_err(&text)
            .as_database_error()
            .and_then(|e| e.code().map(|c| c.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{text}");
    }
    assert_eq!(world.jobs().await.len(), 1);
}

/// Functions added later are checked too: of all in the schema, requests may call two.
#[tokio::test]
async fn requests_may_ask_and_cancel_and_nothing_else() {
    let mut world = world().await;
    let text = "select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'jobs'::regnamespace
        and has_function_privilege('culturepass_app', p.oid, 'execute') order by 1";
    let callable: Vec<String> = sqlx::query_scalar(text)
        .fetch_all(&mut world.look)
        .await
        .unwrap();
    assert_eq!(
        callable,
        [
            "jobs.cancel(text,text)",
            "jobs.request(text,jsonb,timestamp with time zone,text,text)"
        ]
    );
    let text = "select count(*) from pg_class c, unnest(array['culturepass_app', 'culturepass_job']) r
        where c.relnamespace = 'jobs'::regnamespace and c.relkind = 'r' and has_any_column_privilege(r, c.oid, 'select,insert,update')";
    let reached: i64 = sqlx::query_scalar(text)
        .fetch_one(&mut world.look)
        .await
        .unwrap();
    assert_eq!(reached, 0);
}

#[tokio::test]
async fn a_request_may_only_ask_for_what_the_spec_lists() {
    let mut world = world().await;
    let ana = world.member().await;
    let listed: Vec<&String> = model().modules.iter().flat_map(|m| &m.requested).collect();
    assert!(!listed.contains(&&"say".to_owned()));
    let mut caller = Caller::anonymous(Uuid::now_v7());
    for actor in [
        kernel::Actor::Anonymous,
        kernel::Actor::User {
            id: ana,
            session: None,
        },
    ] {
        caller.actor = actor;
        let mut cx = world.db.begin_write(&caller, "update").await.unwrap();
        let put = NewJob::new("tests.say", what("x"))
            .unwrap()
            .put(&mut cx)
            .await;
        assert_eq!(put.expect_err("refused").status(), 403);
    }
    assert_eq!(world.jobs().await, []);
}

#[tokio::test]
async fn a_module_enqueues_and_cancels_its_own_jobs_only() {
    let mut world = world().await;
    let other = || NewJob::new("others.say", what("x")).unwrap();
    let mut cx = world.module().await;
    assert!(other().put(&mut cx).await.is_err());
    drop(cx);
    let mut cx = world.db.job("others", None, Uuid::now_v7()).await.unwrap();
    other().unless_waiting("key").put(&mut cx).await.unwrap();
    cx.commit().await.unwrap();
    let mut cx = world.module().await;
    assert!(
        kernel::jobs::cancel(&mut cx, "others.say", "key")
            .await
            .is_err()
    );
    drop(cx);
    assert_eq!(world.jobs().await.len(), 1);
}
