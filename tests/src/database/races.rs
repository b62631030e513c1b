//! Two concurrent sessions: one attaches a child, the other archives the parent. The second waits, and no active row
//! remains below an archived one.

use super::world::{World, attempt, event_values, reason, world};
use sqlx::{Postgres, Transaction};
use std::time::Duration;

struct Case {
    name: &'static str,
    attach: String,
    archive: String,
    /// A query for active rows below an archived one.
    broken: &'static str,
    /// The result of archiving if it comes second.
    second_archives: Result<u64, String>,
    /// The error of attaching if it comes second.
    refused: &'static str,
}

fn cases(world: &World) -> Vec<Case> {
    let archive = |table: &str, id: uuid::Uuid| {
        format!("update app.{table} set status = 'archived' where id = '{id}'")
    };
    vec![
        Case {
            name: "restrict",
            attach: format!(
                "insert into app.organizations (city_id, name) values ('{}', 'Neu')",
                world.other_city
            ),
            archive: archive("cities", world.other_city),
            broken: "select count(*) from app.organizations o join app.cities c on c.id = o.city_id where o.status <> 'archived' and c.status = 'archived'",
            second_archives: Err("23503 organizations_live_city_id_fkey".into()),
            refused: "23503 organizations_live_city_id_fkey",
        },
        Case {
            name: "cascade",
            attach: format!(
                "insert into app.likes (user_id, event_id) values ('{}', '{}')",
                world.ana, world.event
            ),
            archive: archive("events", world.event),
            broken: "select count(*) from app.likes l join app.events e on e.id = l.event_id where l.status <> 'archived' and e.status = 'archived'",
            second_archives: Ok(1),
            refused: "23503 likes_live_event_id_fkey",
        },
        Case {
            name: "cascade of one of",
            attach: format!(
                "insert into app.follows (follower_id, entity_type, entity_id) values ('{}', 'venue', '{}')",
                world.ana, world.venue
            ),
            archive: archive("venues", world.venue),
            broken: "select count(*) from app.follows f join app.venues v on v.id = f.entity_id where f.status <> 'archived' and v.status = 'archived'",
            second_archives: Ok(1),
            refused: "23503 follows_live_entity_venue_id_fkey",
        },
        Case {
            name: "detach",
            attach: format!(
                "insert into app.{}",
                event_values(world.city, world.organization, Some(world.venue), "Zweites")
            ),
            archive: archive("venues", world.venue),
            broken: "select count(*) from app.events e join app.venues v on v.id = e.venue_id where e.status <> 'archived' and v.status = 'archived'",
            second_archives: Ok(1),
            refused: "23503 events_live_venue_id_fkey",
        },
    ]
}

async fn begin(world: &World) -> Transaction<'static, Postgres> {
    world
        .database
        .superuser
        .begin()
        .await
        .expect("a transaction")
}

/// Runs `first` without committing, then `second`, which must wait; commits `first` while `second` is waiting. Returns
/// both results.
pub async fn race(
    world: &World,
    first: &str,
    second: &str,
) -> (Result<(), String>, Result<u64, String>) {
    let (mut one, mut two) = (begin(world).await, begin(world).await);
    attempt(&mut *one, first).await.expect("the first is alone");
    let second = second.to_owned();
    let waiting = tokio::spawn(async move {
        let answer = attempt(&mut *two, second).await;
        match answer {
            Ok(done) => two.commit().await.map(|()| done).map_err(|e| reason(&e)),
            Err(refused) => Err(refused),
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished(), "the second waits for the first");
    let committed = one.commit().await.map_err(|e| reason(&e));
    (committed, waiting.await.expect("the second does not panic"))
}

#[tokio::test]
async fn abuse_75_archiving_second_sees_the_child() {
    for i in 0..4 {
        let world = world().await;
        let case = &cases(&world)[i];
        let (attached, archived) = race(&world, &case.attach, &case.archive).await;
        assert_eq!(
            (attached, &archived),
            (Ok(()), &case.second_archives),
            "{}",
            case.name
        );
        assert_eq!(world.look::<i64>(case.broken).await, 0, "{}", case.name);
    }
}

#[tokio::test]
async fn abuse_75_attaching_second_is_refused() {
    for i in 0..4 {
        let world = world().await;
        let case = &cases(&world)[i];
        let (archived, attached) = race(&world, &case.archive, &case.attach).await;
        assert_eq!(
            (archived, attached),
            (Ok(()), Err(case.refused.to_owned())),
            "{}",
            case.name
        );
        assert_eq!(world.look::<i64>(case.broken).await, 0, "{}", case.name);
    }
}

#[tokio::test]
async fn counters_wait_for_each_other_and_add_up() {
    let world = world().await;
    let tasks: Vec<_> = [world.ana, world.ben, world.host]
        .map(|user| {
            let (pool, event) = (world.database.superuser.clone(), world.event);
            tokio::spawn(async move {
                for _ in 0..20 {
                    let like = format!(
                        "insert into app.likes (user_id, event_id) values ('{user}', '{event}')"
                    );
                    attempt(&pool, like).await.expect("a like");
                    let unlike = format!(
                        "update app.likes set status = 'archived' where user_id = '{user}'"
                    );
                    attempt(&pool, unlike).await.expect("no like");
                }
                let like = format!(
                    "insert into app.likes (user_id, event_id) values ('{user}', '{event}')"
                );
                attempt(&pool, like).await.expect("a like")
            })
        })
        .into_iter()
        .collect();
    for task in tasks {
        task.await.expect("no task panics");
    }
    let sql = format!(
        "select like_count from counters.events where id = '{}'",
        world.event
    );
    assert_eq!(world.look::<i64>(sql).await, 3);
}

#[tokio::test]
async fn abuse_74_the_same_slug_at_once_is_one_row_and_one_conflict() {
    let world = world().await;
    let insert = format!(
        "insert into app.communities (city_id, name, slug) values ('{}', 'Chor', 'chor')",
        world.city
    );
    let (first, second) = race(&world, &insert, &insert).await;
    assert_eq!(
        (first, second),
        (Ok(()), Err("23505 communities_city_id_slug_key".into()))
    );
}
