//! Everything that is archived and restored is as before: rows that moderators suspended stay suspended, rows that
//! were archived by cascade are restored, others are not, and an obstacle concerns a single row only.

use super::{
    cascade::{self, Edge, Way, entity, run, set_status, settle, snapshot, soft, status, ways},
    world::{World, event_values, new, world},
};
use crate::support::{Database, database::Content};
use codegen::model::EntityId;
use sqlx::PgConnection;
use uuid::Uuid;

/// The exception from these claims: a role that somebody else holds does not come back with an account (`abuse/undone.rs`).
const ROLES_COME_BACK: &str = r#"alter table app.users disable trigger "00_end_replaced_roles""#;

/// The result of testing a path with some of its rows.
enum Outcome {
    AsBefore,
    /// No suitable rows were found.
    Untried,
    Wrong(String),
}

/// Suspends the child, then archives and restores the top row: everything must be as before. With more than one edge,
/// this is repeated with a row in between that was archived by itself.
async fn round_trip(conn: &mut PgConnection, way: &Way) -> Outcome {
    for rows in cascade::rows(conn, way).await {
        run(conn, "begin").await;
        let outcome = around(conn, way, &rows).await;
        run(conn, "rollback").await;
        if !matches!(outcome, Outcome::Untried) {
            return outcome;
        }
    }
    run(conn, "begin").await;
    let outcome = match cascade::made(conn, way).await {
        Some(rows) => around(conn, way, &rows).await,
        None => Outcome::Untried,
    };
    run(conn, "rollback").await;
    outcome
}

async fn around(conn: &mut PgConnection, way: &Way, rows: &[Uuid]) -> Outcome {
    let (child, row) = (way[0].child, rows[0]);
    let (top, top_row) = (way[way.len() - 1].parent, rows[rows.len() - 1]);
    settle(conn, way, top_row).await;
    if set_status(conn, child, row, "suspended").await.is_err() {
        return Outcome::Untried;
    }
    let before = snapshot(conn, way).await;
    if set_status(conn, top, top_row, "archived").await.is_err() {
        return Outcome::Untried;
    }
    let wrong = |what: &str, found: &str| {
        Outcome::Wrong(format!("{}: {what}: {found}", cascade::name(way)))
    };
    let gone = status(conn, child, row).await;
    if gone != "archived" {
        return wrong("archived with the top", &gone);
    }
    if let Err(refused) = set_status(conn, top, top_row, "active").await {
        return wrong("restoring the top", &refused);
    }
    let after = snapshot(conn, way).await;
    if before != after {
        return wrong("not as before", &difference(&before, &after));
    }
    if way.len() == 1 {
        return Outcome::AsBefore;
    }
    // A row that was archived by itself stays archived when the top row is restored, and so do the rows that were
    // archived with it.
    let steps = [
        (way[0].parent, rows[1], "archived"),
        (top, top_row, "archived"),
        (top, top_row, "active"),
    ];
    for (id, row, to) in steps {
        if let Err(refused) = set_status(conn, id, row, to).await {
            return wrong(to, &refused);
        }
    }
    let gone = status(conn, child, row).await;
    if gone != "archived" {
        return wrong("below a row that was archived for itself", &gone);
    }
    if let Err(refused) = set_status(conn, way[0].parent, rows[1], "active").await {
        return wrong("restoring the row in between", &refused);
    }
    let after = snapshot(conn, way).await;
    match before == after {
        true => Outcome::AsBefore,
        false => wrong("not as before, in two steps", &difference(&before, &after)),
    }
}

fn difference(before: &[(String, String)], after: &[(String, String)]) -> String {
    let tables = before.iter().zip(after).filter(|(a, b)| a != b);
    tables
        .map(|((table, _), _)| table.clone())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Tests all paths. Returns how many were tested, those with wrong results, and those that could not be tested.
async fn all(
    conn: &mut PgConnection,
    of: impl Iterator<Item = EntityId>,
) -> (usize, Vec<String>, Vec<String>) {
    let (mut tried, mut wrong, mut untried) = (0, Vec::new(), Vec::new());
    for way in of.flat_map(ways) {
        match round_trip(conn, &way).await {
            Outcome::AsBefore => tried += 1,
            Outcome::Untried => untried.push(cascade::name(&way)),
            Outcome::Wrong(what) => wrong.push(what),
        }
    }
    (tried, wrong, untried)
}

#[tokio::test]
async fn whatever_way_it_is_archived_it_comes_back_as_it_was() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    cascade::unsold(&mut conn).await;
    run(&mut conn, ROLES_COME_BACK).await;
    let (tried, wrong, untried) = all(&mut conn, soft()).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried >= 60, "{tried} ways");
    assert!(
        untried.len() * 8 < tried,
        "{tried} tried, not:\n{}",
        untried.join("\n")
    );
    // All entities that can be suspended, including those without a path.
    for id in soft().filter(|id| entity(*id).access.suspend.is_some()) {
        run(&mut conn, "begin").await;
        let row = cascade_free(&mut conn, id).await;
        for (to, becomes) in [
            ("suspended", "suspended"),
            ("archived", "archived"),
            ("active", "suspended"),
        ] {
            set_status(&mut conn, id, row, to).await.expect(to);
            assert_eq!(
                status(&mut conn, id, row).await,
                becomes,
                "{}",
                entity(id).name
            );
        }
        run(&mut conn, "rollback").await;
    }
}

/// A row that can be archived by itself.
async fn cascade_free(conn: &mut PgConnection, id: EntityId) -> Uuid {
    let text = format!(
        "select id from app.{} where status = 'active' order by md5(id::text) limit 60",
        entity(id).plural
    );
    let rows: Vec<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
        .fetch_all(&mut *conn)
        .await
        .expect("rows");
    for row in rows {
        run(conn, "savepoint look").await;
        settle(conn, &[top(id)], row).await;
        let done = set_status(conn, id, row, "archived").await;
        if done.is_ok() {
            run(conn, "rollback to savepoint look").await;
            settle(conn, &[top(id)], row).await;
            return row;
        }
        run(conn, "rollback to savepoint look").await;
    }
    panic!("no {} can be archived", entity(id).name);
}

/// A pseudo-edge that stands for a path which ends at this entity.
fn top(id: EntityId) -> Edge {
    let relation = &entity(id).belongs;
    let any = crate::support::model()
        .entities
        .iter()
        .flat_map(|e| &e.belongs)
        .next();
    Edge {
        child: id,
        relation: relation.first().or(any).expect("a relation"),
        parent: id,
    }
}

/// The negative control: if the previous status is not stored, the test notices it.
#[tokio::test]
async fn a_status_that_is_not_kept_shows() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    cascade::unsold(&mut conn).await;
    run(
        &mut conn,
        "alter table app.media disable trigger media_archived",
    )
    .await;
    let media = soft().find(|id| entity(*id).name == "media");
    let (_, wrong, _) = all(&mut conn, media.into_iter()).await;
    assert!(wrong.len() >= 5, "{wrong:?}");
}

/// Rows with several archived parents are restored with the last of them, in whatever order the parents are restored.
#[tokio::test]
async fn what_was_archived_from_several_sides_comes_back_with_the_last() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    cascade::unsold(&mut conn).await;
    run(&mut conn, ROLES_COME_BACK).await;
    let mut tried = 0;
    for child in soft() {
        let edges = cascade::edges(child);
        for one in &edges {
            for other in edges
                .iter()
                .filter(|o| o.relation.name != one.relation.name)
            {
                tried += usize::from(from_both_sides(&mut conn, *one, *other).await);
            }
        }
    }
    assert!(tried >= 16, "{tried} pairs of sides");
}

/// Whether one parent is archived by cascade with the other, in which case both are restored together.
fn is_below(one: Edge, other: Edge) -> bool {
    let edges = cascade::edges(one.parent);
    edges.iter().any(|edge| edge.parent == other.parent)
}

async fn from_both_sides(conn: &mut PgConnection, one: Edge, other: Edge) -> bool {
    if is_below(one, other) || is_below(other, one) {
        return false;
    }
    let first = cascade::rows(conn, &[one]).await;
    for rows in first {
        run(conn, "begin").await;
        let typed = other
            .relation
            .type_column()
            .map_or(String::new(), |column| {
                format!(" and t.{column} = '{}'", entity(other.parent).name)
            });
        let text = format!(
            "select {} from app.{} t where t.id = '{}'{typed}",
            other.relation.id_column(),
            entity(other.child).plural,
            rows[0]
        );
        let second: Option<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(text))
            .fetch_optional(&mut *conn)
            .await
            .expect("the other side")
            .flatten();
        let done = match second {
            Some(second) => both(conn, one, other, rows[0], [rows[1], second]).await,
            None => false,
        };
        run(conn, "rollback").await;
        if done {
            return true;
        }
    }
    false
}

async fn both(
    conn: &mut PgConnection,
    one: Edge,
    other: Edge,
    row: Uuid,
    parents: [Uuid; 2],
) -> bool {
    settle(conn, &[one], parents[0]).await;
    settle(conn, &[other], parents[1]).await;
    if set_status(conn, one.child, row, "suspended").await.is_err() {
        return false;
    }
    let before = snapshot(conn, &[one, other]).await;
    let (first, second) = ((one.parent, parents[0]), (other.parent, parents[1]));
    for (id, row) in [first, second] {
        if set_status(conn, id, row, "archived").await.is_err() {
            return false;
        }
    }
    // The row was archived with the first parent, and now waits for the second.
    let name = format!("{} with {}", cascade::name(&[one]), cascade::name(&[other]));
    set_status(conn, first.0, first.1, "active")
        .await
        .expect(&name);
    assert_eq!(status(conn, one.child, row).await, "archived", "{name}");
    set_status(conn, second.0, second.1, "active")
        .await
        .expect(&name);
    assert_eq!(status(conn, one.child, row).await, "suspended", "{name}");
    let after = snapshot(conn, &[one, other]).await;
    assert_eq!(difference(&before, &after), "", "{name}");
    true
}

fn set(table: &str, id: Uuid, status: &str) -> String {
    format!("update app.{table} set status = '{status}' where id = '{id}'")
}

async fn is(world: &World, table: &str, id: Uuid) -> String {
    world
        .look(format!("select status from app.{table} where id = '{id}'"))
        .await
}

/// A row whose unique value has been taken, even by a hidden row, does not prevent others from being restored.
#[tokio::test]
async fn a_taken_place_keeps_one_row_and_a_taken_slug_none() {
    let world = world().await;
    let pool = &world.database.superuser;
    let second = new(
        pool,
        &event_values(world.city, world.organization, None, "Zweites"),
    )
    .await;
    world
        .admin(format!(
            "update app.events set slug = 'zweites' where id = '{second}'"
        ))
        .await
        .unwrap();
    let like = format!(
        "likes (user_id, event_id) values ('{}', '{second}')",
        world.ana
    );
    let like = new(pool, &like).await;
    let organization = |status| set("organizations", world.organization, status);
    world.admin(organization("archived")).await.unwrap();
    // A hidden draft of another member has the slug, and another one has the slug that the row would get instead.
    let foreseen = format!("zweites-{}", &second.to_string()[28..]);
    let other = format!(
        "organizations (city_id, name, state) values ('{}', 'Fremde', 'approved')",
        world.city
    );
    let other = new(pool, &other).await;
    for slug in ["zweites", &foreseen] {
        let draft = new(pool, &event_values(world.city, other, None, "Draft")).await;
        world
            .admin(format!(
                "update app.events set slug = '{slug}', state = 'draft' where id = '{draft}'"
            ))
            .await
            .unwrap();
    }
    assert_eq!(
        world
            .act(world.host, "restore", organization("active"))
            .await,
        Ok(1)
    );
    for (table, id) in [
        ("events", world.event),
        ("events", second),
        ("likes", like),
        ("venues", world.venue),
    ] {
        assert_eq!(is(&world, table, id).await, "active", "{table}");
    }
    let slug: String = world
        .look(format!("select slug from app.events where id = '{second}'"))
        .await;
    assert!(slug.starts_with("zweites-") && slug != foreseen, "{slug}");
}

/// Of two rows that want the same value in one restore, one gets it; the other is reported, and can be restored later.
#[tokio::test]
async fn two_that_want_the_same_place_at_once_are_told_apart() {
    let world = world().await;
    let pool = &world.database.superuser;
    let kind = format!(
        "ticket_types (event_id, name, price_cents, currency, capacity) values ('{}', 'Abend', 0, 'EUR', 9)",
        world.event
    );
    let first = new(pool, &kind).await;
    world
        .admin(set("ticket_types", first, "archived"))
        .await
        .unwrap();
    let second = new(pool, &kind).await;
    world
        .admin(set("events", world.event, "archived"))
        .await
        .unwrap();
    // Simulates that both were archived with the event.
    let both = format!("update app.ticket_types set archived_with = event_id where id = '{first}'");
    world.admin(both).await.unwrap();
    let mut request = world.request(Some(world.host), "restore").await;
    super::world::attempt(&mut *request, set("events", world.event, "active"))
        .await
        .unwrap();
    let told: String = super::world::scalar(&mut *request, "select sec.stayed()::text").await;
    request.commit().await.unwrap();
    let states = (
        is(&world, "ticket_types", first).await,
        is(&world, "ticket_types", second).await,
    );
    assert_eq!(states, ("active".to_owned(), "archived".to_owned()));
    for part in [second.to_string().as_str(), "\"/name\"", "\"conflict\""] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!told.contains(&first.to_string()), "{told}");

    let restore = set("ticket_types", second, "active");
    assert_eq!(
        world.act(world.host, "restore", &restore).await,
        Err("23505 ticket_types_event_id_name_key".into())
    );
    let free = format!("update app.ticket_types set name = 'Nacht' where id = '{first}'");
    world.admin(free).await.unwrap();
    assert_eq!(world.act(world.host, "restore", restore).await, Ok(1));
}

/// A like belongs to an account and to an event: it is restored when both are, and the answer reports which one it
/// waits for.
#[tokio::test]
async fn a_link_whose_other_end_is_gone_does_not_keep_the_account() {
    let world = world().await;
    let pool = &world.database.superuser;
    let like = format!(
        "likes (user_id, event_id) values ('{}', '{}')",
        world.ana, world.event
    );
    let like = new(pool, &like).await;
    let user = |status| set("users", world.ana, status);
    let event = |status| set("events", world.event, status);
    world.admin(user("archived")).await.unwrap();
    world.admin(event("archived")).await.unwrap();
    let mut request = world.request(Some(world.platform), "restore").await;
    super::world::attempt(&mut *request, user("active"))
        .await
        .unwrap();
    let told: String = super::world::scalar(&mut *request, "select sec.stayed()::text").await;
    request.commit().await.unwrap();
    assert!(
        told.contains(&like.to_string()) && told.contains("/event_id"),
        "{told}"
    );
    assert_eq!(is(&world, "likes", like).await, "archived");
    // Archived again while the event is archived, it waits for both once more.
    world.admin(user("archived")).await.unwrap();
    world.admin(event("active")).await.unwrap();
    assert_eq!(is(&world, "likes", like).await, "archived");
    world.admin(user("active")).await.unwrap();
    assert_eq!(is(&world, "likes", like).await, "active");
    let count: i64 = world
        .look(format!(
            "select like_count from counters.events where id = '{}'",
            world.event
        ))
        .await;
    assert_eq!(count, 1);
}
