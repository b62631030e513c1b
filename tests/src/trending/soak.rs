//! SG4: many concurrent statements that like and unlike, while members leave and events are ranked, never deadlock.
//! `SG4_SECONDS=300` runs for five minutes, as `script/soak` does.

use super::stage::{Stage, array};
use sqlx::{AssertSqlSafe, PgConnection};
use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};
use uuid::Uuid;

const EVENTS: usize = 40;
const FANS: usize = 12;

/// Whether the statement was aborted by a deadlock; any other failure fails the test.
async fn deadlocked(conn: &mut PgConnection, text: String) -> bool {
    let done = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(conn)
        .await;
    match done {
        Ok(_) => false,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => true,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// One random action of a member: liking many events in any order, liking fewer, or taking all likes back.
fn deed(fan: Uuid, all: &str) -> String {
    match fastrand::u8(0..4) {
        0 => format!(
            "update app.likes set status = 'archived' where user_id = '{fan}' and status = 'active'"
        ),
        1 => format!(
            "update app.likes set status = 'archived' where status = 'active' and user_id = '{fan}'
               and event_id in (select e from unnest({all}) e order by random() limit 7)"
        ),
        _ => format!(
            "insert into app.likes (user_id, event_id) select '{fan}'::uuid, e from unnest({all}) e order by random() limit 20
             on conflict do nothing"
        ),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg4_likes_that_meet_never_wait_in_a_circle() {
    let seconds = std::env::var("SG4_SECONDS").ok();
    let seconds = seconds.map_or(2, |text| text.parse().expect("a number"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let stage = Stage::new().await;
    let events = stage.events(stage.host, EVENTS).await;
    let fans = stage.people(FANS).await;
    let (all, victims, deeds) = (array(&events), AtomicU32::new(0), AtomicU32::new(0));
    let storm = fans.iter().map(|fan| {
        let (stage, all, victims, deeds) = (&stage, &all, &victims, &deeds);
        async move {
            let mut conn = stage.server.superuser().await;
            // At least one round each, however slow the machine is.
            loop {
                let is_victim = deadlocked(&mut conn, deed(*fan, all)).await;
                victims.fetch_add(u32::from(is_victim), Relaxed);
                deeds.fetch_add(1, Relaxed);
                if Instant::now() >= until {
                    return;
                }
            }
        }
    });
    let ranking = async {
        while Instant::now() < until {
            stage.rank().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    futures_util::future::join(futures_util::future::join_all(storm), ranking).await;
    println!("{} deeds in {seconds} s", deeds.load(Relaxed));
    assert_eq!(victims.load(Relaxed), 0);
    let wrong: i64 = stage
        .one(format!(
            "select count(*) from unnest({all}) e
             where coalesce((select like_count::int8 from counters.events c where c.id = e), 0)
               <> (select count(*) from app.likes l where l.event_id = e and l.status = 'active')"
        ))
        .await;
    assert_eq!(wrong, 0, "events whose counter differs from their likes");
    stage.rank().await;
    assert_eq!(stage.compare().await, 0);
}

/// The control: two transactions that update the same counters in opposite orders do deadlock, and that is noticed.
#[tokio::test]
async fn sg4_a_circle_is_noticed() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 2).await;
    let fan = stage.people(1).await[0];
    for event in &events {
        stage.like(fan, *event).await;
    }
    let lock = |n: usize| {
        let event = events[n];
        format!("update counters.events set like_count = like_count where id = '{event}'")
    };
    let mut one = stage.server.superuser().await;
    let mut other = stage.server.superuser().await;
    for (conn, first) in [(&mut one, 0), (&mut other, 1)] {
        assert!(!deadlocked(conn, "begin".to_owned()).await);
        assert!(!deadlocked(conn, lock(first)).await);
    }
    let met = futures_util::future::join(
        async {
            let is_victim = deadlocked(&mut one, lock(1)).await;
            assert!(!deadlocked(&mut one, "rollback".to_owned()).await);
            is_victim
        },
        async {
            let is_victim = deadlocked(&mut other, lock(0)).await;
            assert!(!deadlocked(&mut other, "rollback".to_owned()).await);
            is_victim
        },
    );
    let (one, other) = met.await;
    assert!(one != other, "one of them is aborted");
}
