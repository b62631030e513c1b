//! Derived columns equal the result of counting, whatever happened to the rows.

use super::world::{World, attempt, event_values, new, world};
use crate::support;
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Column, table in the schema `counters`, and the expression that counts.
const TRUTHS: [(&str, &str, &str); 6] = [
    (
        "like_count",
        "events",
        "(select count(*) from app.likes c where c.event_id = p.id and c.status = 'active')",
    ),
    (
        "rating_avg",
        "organizations",
        "(select round(avg(c.rating), 1) from app.reviews c where c.entity_type = 'organization' and c.entity_id = p.id and c.status = 'active')",
    ),
    (
        "rating_count",
        "organizations",
        "(select count(*) from app.reviews c where c.entity_type = 'organization' and c.entity_id = p.id and c.status = 'active')",
    ),
    (
        "rating_avg",
        "venues",
        "(select round(avg(c.rating), 1) from app.reviews c where c.entity_type = 'venue' and c.entity_id = p.id and c.status = 'active')",
    ),
    (
        "member_count",
        "communities",
        "(select count(*) from app.community_members c where c.community_id = p.id and c.status = 'active' and c.state = 'active')",
    ),
    (
        "following_count",
        "users",
        "(select count(*) from app.follows c where c.follower_id = p.id and c.status = 'active')",
    ),
];

/// A simple random number generator with the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len())]
    }
}

async fn drift(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (column, table, truth) in TRUTHS {
        let sql = format!(
            "select count(*) from counters.{table} p where p.{column} is distinct from {truth}"
        );
        if world.look::<i64>(sql).await > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[tokio::test]
async fn random_changes_leave_no_drift() {
    let world = world().await;
    let pool = &world.database.superuser;
    let people = [world.ana, world.ben, world.host, world.city_admin];
    let events = [
        world.event,
        new(
            pool,
            &event_values(world.city, world.organization, None, "Zwei"),
        )
        .await,
    ];
    let other = new(
        pool,
        &format!(
            "organizations (city_id, name) values ('{}', 'Zweiter')",
            world.city
        ),
    )
    .await;
    let targets = [
        ("organization", world.organization),
        ("organization", other),
        ("venue", world.venue),
    ];
    let mut communities = Vec::new();
    for name in ["A", "B"] {
        communities.push(
            new(
                pool,
                &format!(
                    "communities (city_id, name) values ('{}', '{name}')",
                    world.city
                ),
            )
            .await,
        );
    }
    let mut dice = Dice(7);
    for step in 0..400 {
        let sql = change(&mut dice, &people, &events, &targets, &communities);
        // Some changes violate a unique rule or a reference and have no effect.
        let answer = attempt(pool, sql.clone()).await;
        assert!(
            answer
                .as_ref()
                .map_or_else(|e| e.starts_with("23"), |_| true),
            "{sql}: {answer:?}"
        );
        if step % 20 == 0 {
            assert_eq!(drift(&world).await, Vec::<String>::new(), "after {sql}");
        }
    }
    assert_eq!(drift(&world).await, Vec::<String>::new());
    assert_eq!(without_counters(&world).await, Vec::<String>::new());
    let versions: i64 = world
        .look("select sum(version - 1)::bigint from app.communities")
        .await;
    assert_eq!(versions, 0, "counting makes no new version");
}

/// Tables with rows that have no counters: lists sorted by a counter would not contain them.
async fn without_counters(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for entity in &support::model().entities {
        let table = &entity.plural;
        let narrow = format!(
            "select count(*) from pg_tables where schemaname = 'counters' and tablename = '{table}'"
        );
        if world.look::<i64>(narrow).await == 0 {
            continue;
        }
        let bare = format!(
            "select count(*) from app.{table} p full join counters.{table} n on n.id = p.id where n.id is null or p.id is null"
        );
        if world.look::<i64>(bare).await > 0 {
            found.push(table.clone());
        }
    }
    found
}

fn change(
    dice: &mut Dice,
    people: &[Uuid],
    events: &[Uuid],
    targets: &[(&str, Uuid)],
    communities: &[Uuid],
) -> String {
    let (user, event, community) = (dice.pick(people), dice.pick(events), dice.pick(communities));
    let (kind, target) = dice.pick(targets);
    let status = dice.pick(&["active", "suspended", "archived"]);
    let some = format!(
        "id in (select id from app.TABLE order by md5(id::text || '{}') limit {})",
        dice.throw(1000),
        dice.throw(3) + 1
    );
    match dice.throw(11) {
        0 => format!("insert into app.likes (user_id, event_id) values ('{user}', '{event}')"),
        1 => format!(
            "update app.likes set status = '{status}' where {}",
            some.replace("TABLE", "likes")
        ),
        2 => format!(
            "update app.likes set event_id = '{event}' where {}",
            some.replace("TABLE", "likes")
        ),
        3 => format!(
            "insert into app.reviews (reviewer_id, entity_type, entity_id, rating) values ('{user}', '{kind}', '{target}', {})",
            dice.throw(5) + 1
        ),
        4 => format!(
            "update app.reviews set rating = {} where {}",
            dice.throw(5) + 1,
            some.replace("TABLE", "reviews")
        ),
        5 => format!(
            "update app.reviews set status = '{status}' where {}",
            some.replace("TABLE", "reviews")
        ),
        6 => format!(
            "update app.reviews set entity_type = '{kind}', entity_id = '{target}' where {}",
            some.replace("TABLE", "reviews")
        ),
        7 => format!(
            "insert into app.community_members (community_id, user_id, state) values ('{community}', '{user}', '{}')",
            dice.pick(&["pending", "active", "banned"])
        ),
        8 => format!(
            "update app.community_members set state = '{}', status = '{status}' where {}",
            dice.pick(&["pending", "active"]),
            some.replace("TABLE", "community_members")
        ),
        9 => format!(
            "insert into app.follows (follower_id, entity_type, entity_id) values ('{user}', '{kind}', '{target}')"
        ),
        _ => format!(
            "update app.follows set status = '{status}' where {}",
            some.replace("TABLE", "follows")
        ),
    }
}

#[tokio::test]
async fn many_rows_in_one_statement_count_once_each() {
    let world = world().await;
    let all = format!(
        "insert into app.likes (user_id, event_id) select id, '{}' from app.users",
        world.event
    );
    assert_eq!(world.admin(all).await, Ok(5));
    assert_eq!(drift(&world).await, Vec::<String>::new());
    assert_eq!(
        world
            .admin("update app.likes set status = 'archived'")
            .await,
        Ok(5)
    );
    assert_eq!(drift(&world).await, Vec::<String>::new());
}

/// Claim: members who follow each other at the same moment do not deadlock.
#[tokio::test]
async fn who_follows_each_other_at_once_is_counted_once_each() {
    let world = world().await;
    let people = [world.ana, world.ben, world.host, world.city_admin];
    let mut tasks = Vec::new();
    for round in 0..32 {
        let (one, other) = (people[round % 4], people[(round / 4 + round + 1) % 4]);
        let pool = world.database.superuser.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..6 {
                let follow = format!("insert into app.follows (follower_id, entity_type, entity_id) values ('{one}', 'user', '{other}')");
                let unfollow = format!("update app.follows set status = 'archived' where follower_id = '{one}' and entity_id = '{other}' and status = 'active'");
                for sql in [follow, unfollow] {
                    let answer = attempt(&pool, sql).await;
                    // Followed already by another task, or the member is the same.
                    assert!(answer.as_ref().map_or_else(|e| e.starts_with("23"), |_| true), "{answer:?}");
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no deadlock");
    }
    assert_eq!(drift(&world).await, Vec::<String>::new());
}

fn like(member: Uuid, event: Uuid) -> String {
    format!("insert into app.likes (user_id, event_id) values ('{member}', '{event}')")
}

/// Runs the statements in a transaction of their own, in another task.
fn begin(world: &World, statements: String) -> JoinHandle<Result<u64, String>> {
    let pool = world.database.superuser.clone();
    tokio::spawn(async move { attempt(&pool, statements).await })
}

/// Waits until a session waits for a lock of this kind.
async fn until_one_waits_for(world: &World, kind: &str) {
    let waiting = format!(
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and wait_event = '{kind}'"
    );
    for _ in 0..1_000 {
        if world.look::<i64>(waiting.clone()).await == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits for {kind}");
}

/// Claim: those who like an event at the same moment wait in a queue, and not for each new version of the counter's row.
#[tokio::test]
async fn who_waits_for_a_counter_waits_in_a_queue() {
    let world = world().await;
    let pool = &world.database.superuser;
    let mut first = pool.begin().await.expect("begun");
    let liked = attempt(&mut *first, like(world.ana, world.event)).await;
    assert_eq!(liked, Ok(1));
    let second = begin(&world, like(world.ben, world.event));
    until_one_waits_for(&world, "advisory").await;
    first.commit().await.expect("committed");
    assert_eq!(second.await.expect("ended"), Ok(1));

    // The negative control: whoever has counted before in the transaction waits for the row.
    let mut first = pool.begin().await.expect("begun");
    let liked = attempt(&mut *first, like(world.host, world.event)).await;
    assert_eq!(liked, Ok(1));
    let counted = "select set_config('app.counted', '1', true)";
    let second = begin(
        &world,
        format!("{counted}; {}", like(world.city_admin, world.event)),
    );
    until_one_waits_for(&world, "transactionid").await;
    first.commit().await.expect("committed");
    assert!(second.await.expect("ended").is_ok());
    assert_eq!(drift(&world).await, Vec::<String>::new());
}

/// A transaction has changed the counters of two events by one statement and changes that of one of them again, for which
/// another transaction has begun to wait. The queue must not be entered by whoever holds a counter already.
async fn counts_again(world: &World, other: Uuid, again: &str) -> [Result<u64, String>; 2] {
    let pool = &world.database.superuser;
    let mut first = pool.begin().await.expect("begun");
    let both = format!(
        "insert into app.likes (user_id, event_id) values ('{0}', '{1}'), ('{0}', '{other}')",
        world.ana, world.event
    );
    assert_eq!(attempt(&mut *first, both).await, Ok(2));
    let second = begin(world, like(world.ben, world.event));
    until_one_waits_for(world, "transactionid").await;
    let liked = attempt(
        &mut *first,
        format!("{again}{}", like(world.host, world.event)),
    )
    .await;
    if liked.is_ok() {
        first.commit().await.expect("committed");
    } else {
        first.rollback().await.expect("rolled back");
    }
    [liked, second.await.expect("ended")]
}

#[tokio::test]
async fn the_queue_for_a_counter_causes_no_deadlock() {
    let world = world().await;
    let other = new(
        &world.database.superuser,
        &event_values(world.city, world.organization, None, "Zwei"),
    )
    .await;
    assert_eq!(counts_again(&world, other, "").await, [Ok(1), Ok(1)]);
    assert_eq!(drift(&world).await, Vec::<String>::new());

    // The negative control: the transaction forgets that it has counted.
    world.admin("truncate app.likes").await.expect("emptied");
    let forgets = "select set_config('app.counted', '', true); ";
    let ended = counts_again(&world, other, forgets).await;
    let deadlock =
        |end: &Result<u64, String>| end.as_ref().is_err_and(|error| error.starts_with("40P01"));
    assert!(ended.iter().any(deadlock), "{ended:?}");
}

/// Claim: a like changes neither the event's row nor its indexes.
#[tokio::test]
async fn a_like_leaves_the_event_where_it_is() {
    let world = world().await;
    let place = format!(
        "select ctid::text from app.events where id = '{}'",
        world.event
    );
    let before: String = world.look(place.clone()).await;
    let like = format!(
        "insert into app.likes (user_id, event_id) values ('{}', '{}')",
        world.ana, world.event
    );
    world.admin(like).await.expect("a like");
    assert_eq!(world.look::<String>(place).await, before);
    let count = format!(
        "select like_count from counters.events where id = '{}'",
        world.event
    );
    assert_eq!(world.look::<i64>(count).await, 1);
    // The negative control: a counter that a rule reads is kept in the row.
    let column = "select count(*) from information_schema.columns where table_schema = 'app' and table_name = 'events' and column_name = ";
    assert_eq!(
        world.look::<i64>(format!("{column}'ticket_count'")).await,
        1
    );
    assert_eq!(world.look::<i64>(format!("{column}'like_count'")).await, 0);
}
