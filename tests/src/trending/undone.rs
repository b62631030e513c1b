//! Ranks when members, hosts and the platform take actions back and restore them.

use super::stage::{Stage, array};
use uuid::Uuid;

struct World {
    stage: Stage,
    event: Uuid,
    people: Vec<Uuid>,
}

async fn world() -> World {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let people = stage.people(6).await;
    let all = array(&people);
    // At different times, so that no two have the same weight.
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id, created_at)
             select u, '{event}', now() - n * interval '7 hours' from unnest({all}) with ordinality x(u, n)"
        ))
        .await;
    stage.rank().await;
    World {
        stage,
        event,
        people,
    }
}

impl World {
    async fn rank(&self) -> Option<f64> {
        self.stage.rank().await;
        assert_eq!(self.stage.compare().await, 0, "ranks agree with the likes");
        self.stage.rank_of(self.event).await
    }

    /// Asserts that `back` undoes what `there` changes, with the same rank as before; in between the rank is lower, or
    /// the same.
    async fn there_and_back(&self, what: &str, there: &str, back: &str, lower: bool) {
        let before = self.rank().await.expect("a rank");
        self.stage.sql(there).await;
        let meanwhile = self.rank().await.unwrap_or(f64::NEG_INFINITY);
        match lower {
            true => assert!(meanwhile < before - 1e-3, "{what}: {meanwhile} {before}"),
            false => assert!((meanwhile - before).abs() < 1e-9, "{what}"),
        }
        self.stage.sql(back).await;
        let after = self.rank().await.expect("a rank");
        assert!((after - before).abs() < 1e-9, "{what}: {after} {before}");
    }
}

#[tokio::test]
async fn tr3_what_is_undone_is_taken_off_and_what_comes_back_is_as_it_was() {
    let world = world().await;
    let (event, person) = (world.event, world.people[0]);
    let mine = format!("user_id = '{person}' and event_id = '{event}'");
    let status = |table: &str, id: Uuid, status: &str| {
        format!("update app.{table} set status = '{status}' where id = '{id}'")
    };
    world
        .there_and_back(
            "a like",
            &format!("update app.likes set status = 'archived' where {mine}"),
            // Liking again inserts another row with a new time.
            &format!("insert into app.likes (user_id, event_id) values ('{person}', '{event}')"),
            true,
        )
        .await;
    world
        .there_and_back(
            "a suspended account",
            &status("users", person, "suspended"),
            &status("users", person, "active"),
            true,
        )
        .await;
    world
        .there_and_back(
            "a closed account",
            &format!(
                "{}; update app.likes set status = 'archived' where user_id = '{person}' and status = 'active'",
                status("users", world.people[1], "archived")
            ),
            &format!(
                "{}; update app.likes set status = 'active' where id = (select max(id::text)::uuid from app.likes where user_id = '{person}');
                 update app.likes set status = 'active' where user_id = '{}'",
                status("users", world.people[1], "active"),
                world.people[1]
            ),
            true,
        )
        .await;
    world
        .there_and_back(
            "an event that is not published",
            &format!("update app.events set state = 'draft' where id = '{event}'"),
            &format!("update app.events set state = 'published' where id = '{event}'"),
            false,
        )
        .await;
    world
        .there_and_back(
            "an event that is archived",
            &status("events", event, "archived"),
            &format!(
                "{}; update app.likes set status = 'active' where event_id = '{event}' and archived_with = '{event}'",
                status("events", event, "active")
            ),
            true,
        )
        .await;
}

#[tokio::test]
async fn tr3_tickets_that_go_back_and_follows_that_end_count_no_more() {
    let world = world().await;
    let (stage, event) = (&world.stage, world.event);
    let bare = world.rank().await.expect("a rank");
    let [buyer, guest, fan] = [0, 1, 2].map(|n| world.people[n]);
    for (kind, person, cents) in [("ticket", buyer, 1500), ("rsvp", guest, 0)] {
        stage
            .sql(format!(
                "with kind as (
                   insert into app.ticket_types (event_id, name, price_cents, currency, capacity)
                   values ('{event}', '{kind}', {cents}, 'AUD', 9) returning id
                 ), bought as (
                   insert into app.orders (user_id, event_id, state, subtotal_cents, amount_cents, cash_cents, organizer_cents, currency, idempotency_key)
                   values ('{person}', '{event}', 'paid', 2 * {cents}, 2 * {cents}, 2 * {cents}, 2 * {cents}, 'AUD', 'a-key-of-16-bytes-{kind}') returning id
                 )
                 insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, paid_cents, currency)
                 select b.id, k.id, '{event}', '{person}', '{person}', 'a-code-of-twenty-bytes-' || k.id || n, n, {cents}, 'AUD'
                 from kind k, bought b, generate_series(1, 2) n"
            ))
            .await;
    }
    stage
        .sql(format!(
            "insert into app.attendances (user_id, event_id) values ('{guest}', '{event}')"
        ))
        .await;
    stage.sql(format!("insert into app.follows (follower_id, entity_type, entity_id) values ('{fan}', 'organization', '{}')", stage.host)).await;
    let full = world.rank().await.expect("a rank");
    assert!(full > bare);
    // One remaining ticket of two still counts as a purchase.
    let counted: Vec<String> = stage
        .all("select kind || ' ' || weight::float8 from app.rank_actions where kind <> 'like' and counts order by 1")
        .await;
    assert_eq!(counted, ["check_in 2", "follow 1", "rsvp 2", "ticket 4"]);
    stage
        .sql(format!(
            "update app.tickets set state = 'refunded' where buyer_id = '{buyer}' and position = 1"
        ))
        .await;
    assert_eq!(world.rank().await, Some(full));
    stage
        .sql(format!(
            "update app.tickets set state = 'refunded' where buyer_id = '{buyer}'"
        ))
        .await;
    let refunded = world.rank().await.expect("a rank");
    assert!(refunded < full);
    stage
        .sql(format!(
            "update app.follows set status = 'archived' where follower_id = '{fan}'"
        ))
        .await;
    let alone = world.rank().await.expect("a rank");
    assert!(alone < refunded);
    stage
        .sql(format!(
            "update app.follows set status = 'active' where follower_id = '{fan}'"
        ))
        .await;
    stage
        .sql(format!(
            "update app.tickets set state = 'valid' where buyer_id = '{buyer}'"
        ))
        .await;
    let again = world.rank().await.expect("a rank");
    assert!((again - full).abs() < 1e-9);
}

/// Very large statements are noted only as a whole.
#[tokio::test]
async fn tr3_six_thousand_likes_in_one_statement_count_as_one_by_one() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let people = stage.people(6_000).await;
    stage.likes(&people, event).await;
    let notes: Vec<String> = stage
        .all("select kind from app.rank_notes where kind <> 'mark'")
        .await;
    assert_eq!(notes, ["all"]);
    stage.rank().await;
    let actions: i64 = stage
        .one(format!(
            "select actions from app.event_ranks where event_id = '{event}'"
        ))
        .await;
    assert_eq!(actions, 6_000);
    assert_eq!(stage.compare().await, 0);
    // An hour later all of them are taken back, again in one statement.
    stage.sql("update app.likes set status = 'archived'").await;
    stage.rank().await;
    assert_eq!(stage.rank_of(event).await, None);
    assert_eq!(stage.compare().await, 0);
}

/// Notes are not written to the write-ahead log: a crash of PostgreSQL empties their table, and a standby has none.
#[tokio::test]
async fn tr3_what_a_crash_takes_of_the_notes_is_looked_at_again() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 2).await;
    let people = stage.people(3).await;
    stage.likes(&people, events[0]).await;
    stage.rank().await;
    let first = stage.rank_of(events[0]).await.expect("a rank");

    stage.likes(&people, events[1]).await;
    let is_unlogged: bool = stage
        .one(
            "select relpersistence = 'u' from pg_class where oid = 'app.rank_notes'::regclass"
                .to_owned(),
        )
        .await;
    assert!(is_unlogged);
    // The control: if only the notes are deleted and the mark remains, nothing notices the loss.
    stage
        .sql("delete from app.rank_notes where kind <> 'mark'")
        .await;
    stage.rank().await;
    assert_eq!(stage.rank_of(events[1]).await, None);

    // Hiding and showing an event is noted too.
    let at = format!("where event_id = '{}'", events[0]);
    stage
        .sql(format!(
            "update app.event_ranks set shown_until = null {at}"
        ))
        .await;
    stage.sql("truncate app.rank_notes").await;
    stage.rank().await;
    let second = stage.rank_of(events[1]).await.expect("a rank");
    assert!((first - second).abs() < 1e-3, "{first} {second}");
    let shown: bool = stage
        .one(format!(
            "select shown_until is not null from app.event_ranks {at}"
        ))
        .await;
    assert!(shown);
    assert_eq!(stage.compare().await, 0);
}

#[tokio::test]
async fn another_half_life_adds_all_up_anew() {
    let world = world().await;
    let stage = &world.stage;
    let old = world.rank().await.expect("a rank");
    let mut conn = stage.server.database.job_role().await;
    super::stage::run(
        &mut conn,
        "begin; select sec.enter_job('trending', null, null, gen_random_uuid())".to_owned(),
    )
    .await;
    let given = r#"{"weights": {"like": 1}, "half_life_hours": 240, "per_host": 3, "actions_a_day": 9, "network_an_hour": 9,
        "new_account_days": 0, "new_account_percent": 0}"#;
    super::stage::run(
        &mut conn,
        format!("select app.rank_events(10, '{given}'); commit"),
    )
    .await;
    let new = stage.rank_of(world.event).await.expect("a rank");
    let exact: f64 = stage
        .one(format!("select app.exact_rank('{}', 240)", world.event))
        .await;
    assert!(
        (new - exact).abs() < 1e-9 && (new - old).abs() > 1.0,
        "{new} {exact} {old}"
    );
}
