//! Rows that would be archived by cascade are checked by their own `delete` rule first, on every path of cascades.

use super::{
    cascade::{self, Way, attempt, edges, entity, run, set_status, settle, soft, status, ways},
    races::race,
    world::{World, new, world},
};
use crate::support::{Database, database::Content, model};
use codegen::{
    emit::schema::{asked_of_state, deletable, state_columns},
    model::{EntityId, Field, OnArchive, Ty},
};
use sqlx::PgConnection;
use uuid::Uuid;

/// Paths whose first edge checks the state of the row.
fn asking() -> impl Iterator<Item = Way> {
    let of = |id: EntityId| ways(id).into_iter();
    soft().flat_map(of).filter(|way| {
        let first = way[0];
        asked_of_state(model(), first.child, first.relation).is_some()
    })
}

/// Values that the rule may forbid: another state, another count.
fn others(id: EntityId, column: &str) -> Vec<String> {
    match entity(id).field(column).map(|field: &Field| &field.ty) {
        Some(Ty::States { values } | Ty::Enum { values }) => {
            values.iter().map(|value| format!("'{value}'")).collect()
        }
        Some(Ty::Bool) => vec!["true".to_owned(), "false".to_owned()],
        _ => vec!["1".to_owned(), "0".to_owned(), "null".to_owned()],
    }
}

enum Outcome {
    Refused,
    Untried,
    Wrong(String),
}

async fn refused(conn: &mut PgConnection, way: &Way) -> Outcome {
    let child = way[0].child;
    let state = deletable(model(), child).expect("it asks");
    let constraint = format!(
        "23001 {}_{}_along",
        entity(child).plural,
        way[0].relation.name
    );
    for rows in cascade::rows(conn, way).await {
        let (top, top_row) = (way[way.len() - 1].parent, rows[rows.len() - 1]);
        for column in state_columns(model(), child, &state) {
            for value in others(child, &column) {
                run(conn, "begin").await;
                settle(conn, way, top_row).await;
                let lets = set_status(conn, top, top_row, "archived").await.is_ok();
                run(conn, "rollback").await;
                run(conn, "begin").await;
                settle(conn, way, top_row).await;
                let text = format!(
                    "update app.{} set {column} = {value} where id = '{}'",
                    entity(child).plural,
                    rows[0]
                );
                let changed = attempt(conn, text).await.is_ok();
                let answer = set_status(conn, top, top_row, "archived").await;
                let (row, above) = (
                    status(conn, child, rows[0]).await,
                    status(conn, top, top_row).await,
                );
                run(conn, "rollback").await;
                // The value counts only if archiving succeeds without it and fails with it.
                if !(lets && changed) || answer.is_ok() {
                    continue;
                }
                if answer != Err(constraint.clone()) || row != "active" || above != "active" {
                    return Outcome::Wrong(format!(
                        "{}: {answer:?}, {row}, {above}",
                        cascade::name(way)
                    ));
                }
                return Outcome::Refused;
            }
        }
    }
    Outcome::Untried
}

#[tokio::test]
async fn no_way_archives_what_its_own_rule_keeps() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    cascade::unsold(&mut conn).await;
    let (mut tried, mut faults) = (0, Vec::new());
    for way in asking() {
        match refused(&mut conn, &way).await {
            Outcome::Refused => tried += 1,
            Outcome::Untried => faults.push(format!("{}: never refused", cascade::name(&way))),
            Outcome::Wrong(what) => faults.push(what),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried >= 7, "{tried} ways");
}

/// With `cascade always`, rows are archived in every state.
#[tokio::test]
async fn what_goes_along_always_goes_in_every_state() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let mut tried = 0;
    let always = soft()
        .flat_map(edges)
        .filter(|edge| edge.relation.on_archive == OnArchive::CascadeAlways);
    for edge in always {
        let state = deletable(model(), edge.child).expect("otherwise `always` is refused");
        for column in state_columns(model(), edge.child, &state) {
            for value in others(edge.child, &column) {
                let rows = cascade::rows(&mut conn, &[edge]).await;
                let rows = rows.first().expect("a row");
                run(&mut conn, "begin").await;
                let text = format!(
                    "update app.{} set {column} = {value} where id = '{}'",
                    entity(edge.child).plural,
                    rows[0]
                );
                if attempt(&mut conn, text).await.is_ok() {
                    set_status(&mut conn, edge.parent, rows[1], "archived")
                        .await
                        .expect("it goes");
                    assert_eq!(
                        status(&mut conn, edge.child, rows[0]).await,
                        "archived",
                        "{value}"
                    );
                    tried += 1;
                }
                run(&mut conn, "rollback").await;
            }
        }
    }
    assert!(tried >= 4, "{tried}");
}

/// Members can always close their accounts: no `delete` rule or relation below an account depends on a state or
/// forbids it. (The last administrator of a profile is protected by `keep`, which is about the profile.)
#[test]
fn nothing_below_an_account_keeps_it() {
    let identity = model().identity;
    let below = soft()
        .flat_map(ways)
        .filter(|way| way[way.len() - 1].parent == identity);
    let (mut seen, mut faults) = (0, Vec::new());
    for way in below {
        seen += 1;
        if asked_of_state(model(), way[0].child, way[0].relation).is_some() {
            faults.push(cascade::name(&way));
        }
    }
    for id in soft() {
        for relation in &entity(id).belongs {
            let keeps = relation.on_archive == OnArchive::Restrict;
            if keeps && relation.targets.contains(&identity) {
                faults.push(format!("{} by {}", entity(id).name, relation.name));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
    assert!(seen >= 10, "{seen}");
}

async fn ticket_type(world: &World) -> Uuid {
    let kind = format!(
        "ticket_types (event_id, name, price_cents, currency, capacity) values ('{}', 'Abend', 0, 'EUR', 9)",
        world.event
    );
    new(&world.database.superuser, &kind).await
}

/// A paid order with one ticket, in one statement, as the module `tickets` would write it.
fn sale(world: &World, kind: Uuid, key: &str) -> String {
    format!(
        "with bought as (
           insert into app.orders (user_id, event_id, amount_cents, currency, state, idempotency_key)
           values ('{ana}', '{event}', 0, 'EUR', 'paid', 'a-key-of-the-order-{key}') returning id
         )
         insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, position, currency, code)
         select id, '{kind}', '{event}', '{ana}', '{ana}', 1, 'EUR', 'a-code-of-the-ticket-{key}' from bought",
        ana = world.ana,
        event = world.event,
    )
}

/// A ticket is sold and its organization archived at the same moment: the second transaction is refused.
#[tokio::test]
async fn abuse_75_a_ticket_is_not_sold_to_what_is_being_archived() {
    let archive = |world: &World| {
        format!(
            "update app.organizations set status = 'archived' where id = '{}'",
            world.organization
        )
    };
    // The ticket is sold first.
    let world_one = world().await;
    let kind = ticket_type(&world_one).await;
    let (sold, archived) = race(
        &world_one,
        &sale(&world_one, kind, "one"),
        &archive(&world_one),
    )
    .await;
    assert_eq!(
        (sold, archived),
        (Ok(()), Err("23001 events_host_along".to_owned()))
    );
    let event = format!(
        "update app.events set status = 'archived' where id = '{}'",
        world_one.event
    );
    assert_eq!(
        world_one.act(world_one.host, "archive", event).await,
        Ok(0),
        "refused by the event's own rule"
    );
    // The organization is archived first.
    let world_two = world().await;
    let kind = ticket_type(&world_two).await;
    let (archived, sold) = race(
        &world_two,
        &archive(&world_two),
        &sale(&world_two, kind, "two"),
    )
    .await;
    assert_eq!(
        (archived, sold),
        (Ok(()), Err("23001 events_archived_stays".to_owned()))
    );
    let tickets: i64 = world_two.look("select count(*) from app.tickets").await;
    assert_eq!(tickets, 0);
    // The same, but one level deeper, and the ticket is only reserved for an order.
    let hold =
        |kind: Uuid| format!("update app.ticket_types set held = held + 1 where id = '{kind}'");
    let world_three = world().await;
    let kind = ticket_type(&world_three).await;
    let (held, archived) = race(&world_three, &hold(kind), &archive(&world_three)).await;
    assert_eq!(
        (held, archived),
        (Ok(()), Err("23001 ticket_types_event_along".to_owned()))
    );
    let world_four = world().await;
    let kind = ticket_type(&world_four).await;
    let (archived, held) = race(&world_four, &archive(&world_four), &hold(kind)).await;
    assert_eq!(
        (archived, held),
        (Ok(()), Err("23001 ticket_types_archived_stays".to_owned()))
    );
    // The negative control: without the trigger the ticket is sold.
    world_four
        .admin("alter table app.ticket_types disable trigger ticket_types_stays")
        .await
        .expect("switched off");
    assert_eq!(world_four.admin(hold(kind)).await, Ok(1));
}
