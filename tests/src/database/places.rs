//! `unique … where` and `exclude … where`: a row that does not fulfil the condition any more frees its value, and
//! can't get it back by any way while another row has it.

use super::{
    races::race,
    world::{World, attempt, new, world},
};
use crate::migrations::{
    blank::Blank,
    repository::{Edit, script, world as spec},
};
use sqlx::Connection;
use uuid::Uuid;

fn promotion(world: &World, from_day: u32) -> String {
    format!(
        "promotions (target_type, target_id, city_id, slot, starts_at, ends_at, currency) values ('event', '{}', '{}', \
         'home', now() + interval '{from_day} days', now() + interval '{} days', 'EUR')",
        world.event,
        world.city,
        from_day + 2
    )
}

fn set(table: &str, id: Uuid, what: &str) -> String {
    format!("update app.{table} set {what} where id = '{id}'")
}

#[tokio::test]
async fn what_is_rejected_frees_its_slot_and_does_not_come_back_into_a_taken_one() {
    let world = world().await;
    let taken = Err("23P01 promotions_target_type_target_id_slot_starts_at_excl".to_owned());
    let pool = &world.database.superuser;
    let first = new(pool, &promotion(&world, 1)).await;
    let second = format!("insert into app.{}", promotion(&world, 2));
    assert_eq!(world.admin(&second).await, taken);
    let reject = set("promotions", first, "state = 'rejected'");
    assert_eq!(world.admin(&reject).await, Ok(1));
    assert_eq!(world.admin(&second).await, Ok(1));
    // Tries to fulfil the condition again, by a state and by restoring.
    let again = set("promotions", first, "state = 'approved'");
    assert_eq!(world.admin(&again).await, taken);
    let archive = set("promotions", first, "status = 'archived'");
    assert_eq!(world.admin(&archive).await, Ok(1));
    assert_eq!(
        world.admin(&again).await,
        Ok(1),
        "archived rows never count"
    );
    let restore = set("promotions", first, "status = 'active'");
    assert_eq!(world.admin(&restore).await, taken);
    // A suspended row keeps its value.
    let others = format!("update app.promotions set status = 'suspended' where id <> '{first}'");
    assert_eq!(world.admin(&others).await, Ok(1));
    assert_eq!(world.admin(&restore).await, taken);
}

#[tokio::test]
async fn abuse_74_two_at_once_come_back_into_one_place() {
    let world = world().await;
    let pool = &world.database.superuser;
    let values = format!(
        "waitlist_entries (event_id, user_id, state) values ('{}', '{}', 'expired')",
        world.event, world.ana
    );
    let (one, two) = (new(pool, &values).await, new(pool, &values).await);
    let wait = |id| set("waitlist_entries", id, "state = 'waiting'");
    let (first, second) = race(&world, &wait(one), &wait(two)).await;
    let taken = "23505 waitlist_entries_event_id_ticket_type_id_user_id_key";
    assert_eq!((first, second), (Ok(()), Err(taken.into())));
}

const ONE_CLUB: [Edit<'static>; 1] = [(
    "member",
    "unique: [[organization, user]]",
    "unique:\n  - user where state == active",
)];

/// A member of an archived club is active in another club by now, and would be active twice if the membership were
/// restored with the club.
#[tokio::test]
async fn restored_along_with_a_parent_only_what_has_its_place() {
    let database = Blank::new().await;
    database.run(&script(&spec(&ONE_CLUB))).await;
    let mut conn = sqlx::PgConnection::connect_with(&database.options())
        .await
        .expect("a connection");
    let city = new(&mut conn, "cities (name) values ('Bern')").await;
    let mut clubs = Vec::new();
    for name in ["Old", "New"] {
        let club = format!("organizations (name, city_id) values ('{name}', '{city}')");
        clubs.push(new(&mut conn, &club).await);
    }
    let (old, elsewhere) = (clubs[0], clubs[1]);
    let mut members = Vec::new();
    for name in ["anna", "bert"] {
        let user = format!("users (handle, email) values ('{name}', '{name}@example.org')");
        let user = new(&mut conn, &user).await;
        let member = |club: Uuid, state: &str| {
            format!(
                "members (organization_id, user_id, state) values ('{club}', '{user}', '{state}')"
            )
        };
        members.push(new(&mut conn, &member(old, "active")).await);
        let close = set("organizations", old, "status = 'archived'");
        attempt(&mut conn, close).await.expect("the club closes");
        let state = if name == "anna" { "active" } else { "pending" };
        new(&mut conn, &member(elsewhere, state)).await;
        let open = set("organizations", old, "status = 'active'");
        attempt(&mut conn, open).await.expect("the club opens");
    }
    let status = |id: Uuid| format!("select status from app.members where id = '{id}'");
    let anna = database.text(&status(members[0])).await;
    let bert = database.text(&status(members[1])).await;
    assert_eq!((anna.as_str(), bert.as_str()), ("archived", "active"));
}
