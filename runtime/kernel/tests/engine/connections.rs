//! Connections are shared by callers: nothing of one may be left for the next.

use crate::support::{world, world_with};
use kernel::{Actor, Caller, Db, config::DbConfig};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn whatever_becomes_of_a_request_the_next_caller_starts_anew() {
    let world = world_with(|config| config.connections = 2).await;
    let city = world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "secret", "draft").await);
    let title = |round: u64| json!({"title": format!("t{round}"), "city_id": city});
    for round in 0..300 {
        // Given up at some point between the first byte and the last.
        let patience = Duration::from_micros(50 * (round % 60));
        let _ = match round % 3 {
            0 => tokio::time::timeout(patience, world.get(&path).by(&token).send()).await,
            1 => {
                tokio::time::timeout(
                    patience,
                    world.post("/things").by(&token).json(title(round)).send(),
                )
                .await
            }
            _ => {
                let call = world
                    .request("PATCH", &path)
                    .by(&token)
                    .header("if-match", "\"9-0\"");
                tokio::time::timeout(patience, call.json(json!({"rank": 1})).send()).await
            }
        };
        let (one, two, list) = tokio::join!(
            world.get(&path).send(),
            world.get(&path).send(),
            world.get("/things?limit=100").send()
        );
        assert_eq!(
            [one.status.as_u16(), two.status.as_u16()],
            [404, 404],
            "round {round}"
        );
        assert_eq!(list.json["data"], json!([]), "round {round}");
    }
    let writing = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
    tokio::time::sleep(Duration::from_millis(100)).await;
    let open: i64 = sqlx::query_scalar(writing)
        .fetch_one(&world.root)
        .await
        .unwrap();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn a_refused_account_does_not_cost_the_connection() {
    let world = world_with(|config| config.connections = 1).await;
    let (_, token) = world.user(false).await;
    let pids = "select array_agg(pid) from pg_stat_activity
        where usename = 'kernel_test_app' and datname = current_database()";
    assert_eq!(world.get("/things").by(&token).send().await.status, 200);
    let before: Vec<i32> = sqlx::query_scalar(pids)
        .fetch_one(&world.root)
        .await
        .unwrap();
    sqlx::query("update app.users set status = 'suspended'")
        .execute(&world.root)
        .await
        .unwrap();
    for _ in 0..5 {
        assert_eq!(world.get("/things").by(&token).send().await.status, 401);
    }
    assert_eq!(world.get("/things").send().await.status, 200);
    let after: Vec<i32> = sqlx::query_scalar(pids)
        .fetch_one(&world.root)
        .await
        .unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_used_up_pool_answers_soon_and_recovers() {
    let configure = |config: &mut kernel::config::DbConfig| {
        config.connections = 1;
        config.acquire_timeout = Duration::from_millis(1500);
    };
    let world = world_with(configure).await;
    // A different caller, since one that asks for more than its own share is refused with 429.
    let other = Caller {
        ip: Some([192, 0, 2, 7].into()),
        ..Caller::anonymous(Uuid::now_v7())
    };
    let held = world.db.begin_read(&other).await.unwrap();
    let answer = world.get("/things").send().await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.problem(),
            answer.header("retry-after")
        ),
        (503, "unavailable", "2")
    );
    drop(held);
    assert_eq!(world.get("/things").send().await.status, 200);
}

#[tokio::test]
async fn a_lock_held_elsewhere_is_not_waited_for() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "a", "draft").await);
    let mut other = world.root.begin().await.unwrap();
    sqlx::query("select 1 from app.things for update")
        .execute(&mut *other)
        .await
        .unwrap();
    let send = || {
        world
            .request("PATCH", &path)
            .by(&token)
            .header("if-match", "*")
            .json(json!({"rank": 1}))
            .send()
    };
    assert_eq!(send().await.status, 503);
    other.rollback().await.unwrap();
    assert_eq!(send().await.status, 200);
}

#[tokio::test]
async fn reading_cannot_write_and_jobs_keep_to_their_tables() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, _) = world.user(false).await;
    world.thing(owner, "a", "draft").await;
    let caller = Caller {
        actor: Actor::User {
            id: owner,
            session: None,
        },
        ..Caller::anonymous(Uuid::now_v7())
    };
    let mut reading = world.db.begin_read(&caller).await.unwrap();
    assert!(
        sqlx::query("update app.things set title = 'b'")
            .execute(reading.conn())
            .await
            .is_err()
    );
    drop(reading);

    for (job, touched) in [("sweeper", 1), ("other", 0)] {
        let mut cx = world.db.job(job, None, Uuid::now_v7()).await.unwrap();
        let done = sqlx::query("update app.things set title = 'c'")
            .execute(cx.conn())
            .await
            .unwrap();
        assert_eq!(done.rows_affected(), touched, "{job}");
        cx.commit().await.unwrap();
    }
    assert!(
        world
            .db
            .job("sweeper'; select 1", None, Uuid::now_v7())
            .await
            .is_err()
    );
    assert!(world.db.begin_write(&caller, "x'y").await.is_err());
}

/// As often as the engine's own journeys, and no more.
#[tokio::test]
async fn a_modules_transaction_that_lost_is_run_again() {
    let world = world().await;
    for (losses, kept) in [(0, true), (2, true), (3, false)] {
        let mut tries = 0;
        let outcome = world
            .db
            .run("sweeper", None, Uuid::now_v7(), |cx| {
                tries += 1;
                let lost = tries <= losses;
                Box::pin(async move {
                    if lost {
                        let lose =
                            "do $$ begin raise exception 'lost' using errcode = '40001'; end $$";
                        sqlx::raw_sql(lose).execute(cx.conn()).await?;
                    }
                    Ok(())
                })
            })
            .await;
        assert_eq!(outcome.is_ok(), kept, "{losses}: {outcome:?}");
        assert_eq!(tries, (losses + 1).min(3), "{losses}");
    }
}

#[tokio::test]
async fn nothing_is_kept_without_commit() {
    let world = world().await;
    let city = world.city("Bern").await;
    let (owner, _) = world.user(false).await;
    let caller = Caller {
        actor: Actor::User {
            id: owner,
            session: None,
        },
        ..Caller::anonymous(Uuid::now_v7())
    };
    let mut cx = world.db.begin_write(&caller, "create").await.unwrap();
    let insert = "insert into app.things (title, city_id) values ('lost', $1)";
    sqlx::query(insert)
        .bind(city)
        .execute(cx.conn())
        .await
        .unwrap();
    drop(cx);
    let kept: i64 = sqlx::query_scalar("select count(*) from app.things")
        .fetch_one(&world.root)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_statement_that_is_not_kept_may_select_places() {
    let world = world().await;
    let create = "create extension if not exists postgis";
    sqlx::raw_sql(create).execute(&world.root).await.unwrap();
    let db = Db::connect(&DbConfig::new(world.url.as_str().into())).unwrap();
    let mut cx = db
        .begin_read(&Caller::anonymous(Uuid::now_v7()))
        .await
        .unwrap();
    let select = sqlx::query("select null::public.geography").persistent(false);
    select.fetch_one(cx.conn()).await.unwrap();
}
