//! The effects of archiving a row on the rows that refer to it.

use super::world::{World, new, world};
use uuid::Uuid;

async fn archive(world: &World, table: &str, id: Uuid) -> Result<u64, String> {
    world
        .admin(format!(
            "update app.{table} set status = 'archived' where id = '{id}'"
        ))
        .await
}

async fn status(world: &World, table: &str, id: Uuid) -> String {
    world
        .look(format!("select status from app.{table} where id = '{id}'"))
        .await
}

/// A role that was archived with its scope still allows restoring the scope, but nothing else.
#[tokio::test]
async fn a_role_that_went_with_its_scope_can_bring_it_back() {
    let world = world().await;
    let community = new(
        &world.database.superuser,
        &format!(
            "communities (city_id, name) values ('{}', 'Chor')",
            world.city
        ),
    )
    .await;
    for user in [world.ana, world.ben] {
        let role = format!(
            "role_assignments (user_id, role, scope_type, scope_id, state) values ('{user}', 'orgAdmin', 'community', '{community}', 'accepted')"
        );
        new(&world.database.superuser, &role).await;
    }
    let taken = format!(
        "update app.role_assignments set status = 'archived' where user_id = '{}' and scope_id = '{community}'",
        world.ben
    );
    world.admin(taken).await.unwrap();
    let set = |status: &str| {
        format!("update app.communities set status = '{status}' where id = '{community}'")
    };
    let rename = format!("update app.communities set name = 'Neu' where id = '{community}'");
    assert_eq!(
        world.act(world.ana, "archive", set("archived")).await,
        Ok(1)
    );
    assert!(!world.sees(Some(world.ana), "communities", community).await);
    assert_eq!(world.act(world.ana, "update", rename.clone()).await, Ok(0));
    assert_eq!(
        world.act(world.ben, "restore", set("active")).await,
        Ok(0),
        "a role that was removed does not allow restoring"
    );
    assert_eq!(world.act(world.host, "restore", set("active")).await, Ok(0));
    assert_eq!(world.act(world.ana, "restore", set("active")).await, Ok(1));
    assert_eq!(world.act(world.ana, "update", rename).await, Ok(1));
}

#[tokio::test]
async fn restrict_refuses_while_a_child_lives() {
    let world = world().await;
    let error = archive(&world, "countries", world.country).await;
    assert_eq!(error, Err("23503 cities_live_country_id_fkey".into()));
    archive(&world, "cities", world.other_city).await.unwrap();
    let city = format!(
        "update app.cities set country_id = '{}' where id = '{}'",
        world.country, world.other_city
    );
    world.admin(city).await.unwrap();
    let other = new(
        &world.database.superuser,
        "countries (code, name, currency, default_locale) values ('FR', 'France', 'EUR', 'fr')",
    )
    .await;
    world
        .admin(format!(
            "update app.cities set country_id = '{other}' where id = '{}'",
            world.other_city
        ))
        .await
        .unwrap();
    assert_eq!(
        archive(&world, "countries", other).await,
        Ok(1),
        "an archived child does not prevent archiving the parent"
    );
    let restore = format!(
        "update app.cities set status = 'active' where id = '{}'",
        world.other_city
    );
    assert_eq!(
        world.admin(restore).await,
        Err("23503 cities_live_country_id_fkey".into()),
        "and can't be restored below an archived parent"
    );
}

#[tokio::test]
async fn cascade_takes_children_along_and_brings_them_back() {
    let world = world().await;
    let likes = [world.ana, world.ben].map(|user| {
        format!(
            "likes (user_id, event_id) values ('{user}', '{}')",
            world.event
        )
    });
    let (first, second) = (
        new(&world.database.superuser, &likes[0]).await,
        new(&world.database.superuser, &likes[1]).await,
    );
    world
        .admin(format!(
            "update app.likes set status = 'archived' where id = '{second}'"
        ))
        .await
        .unwrap();
    let host_role: Uuid = world
        .look(format!(
            "select id from app.role_assignments where scope_id = '{}'",
            world.organization
        ))
        .await;
    // Two levels below: organization → event → like.
    archive(&world, "events", world.event).await.unwrap();
    world
        .admin(format!(
            "update app.events set status = 'active' where id = '{}'",
            world.event
        ))
        .await
        .unwrap();
    assert_eq!(status(&world, "likes", first).await, "active");
    assert_eq!(
        status(&world, "likes", second).await,
        "archived",
        "it was archived by itself"
    );
    archive(&world, "organizations", world.organization)
        .await
        .unwrap();
    for (table, id) in [
        ("events", world.event),
        ("likes", first),
        ("venues", world.venue),
        ("role_assignments", host_role),
    ] {
        assert_eq!(status(&world, table, id).await, "archived", "{table}");
    }
    let count: i64 = world
        .look(format!(
            "select like_count from counters.events where id = '{}'",
            world.event
        ))
        .await;
    assert_eq!(count, 0);
    world
        .admin(format!(
            "update app.organizations set status = 'active' where id = '{}'",
            world.organization
        ))
        .await
        .unwrap();
    for (table, id) in [
        ("events", world.event),
        ("likes", first),
        ("role_assignments", host_role),
    ] {
        assert_eq!(status(&world, table, id).await, "active", "{table}");
    }
    let count: i64 = world
        .look(format!(
            "select like_count from counters.events where id = '{}'",
            world.event
        ))
        .await;
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_suspended_child_comes_back_suspended() {
    let world = world().await;
    world
        .admin(format!(
            "update app.events set status = 'suspended' where id = '{}'",
            world.event
        ))
        .await
        .unwrap();
    archive(&world, "organizations", world.organization)
        .await
        .unwrap();
    world
        .admin(format!(
            "update app.organizations set status = 'active' where id = '{}'",
            world.organization
        ))
        .await
        .unwrap();
    assert_eq!(status(&world, "events", world.event).await, "suspended");
}

#[tokio::test]
async fn detach_lets_go() {
    let world = world().await;
    archive(&world, "venues", world.venue).await.unwrap();
    assert_eq!(status(&world, "events", world.event).await, "active");
    let detached: bool = world
        .look(format!(
            "select venue_id is null and version = 2 from app.events where id = '{}'",
            world.event
        ))
        .await;
    assert!(detached);
}

#[tokio::test]
async fn one_of_refers_to_what_it_says() {
    let world = world().await;
    let follow = |kind: &str, id: Uuid| {
        format!(
            "insert into app.follows (follower_id, entity_type, entity_id) values ('{}', '{kind}', '{id}')",
            world.ana
        )
    };
    assert_eq!(
        world.admin(follow("venue", world.organization)).await,
        Err("23503 follows_entity_venue_id_fkey".into())
    );
    assert_eq!(
        world.admin(follow("event", world.event)).await,
        Err("23514 follows_entity_type_choice".into())
    );
    assert_eq!(
        world.admin(follow("venue", Uuid::nil())).await,
        Err("23503 follows_entity_venue_id_fkey".into())
    );
    assert_eq!(world.admin(follow("venue", world.venue)).await, Ok(1));
    assert_eq!(
        world.admin(follow("venue", world.venue)).await,
        Err("23505 follows_follower_id_entity_type_entity_id_key".into())
    );
    let forged = "update app.follows set entity_user_id = follower_id";
    assert!(
        world
            .admin(forged)
            .await
            .is_err_and(|e| e.starts_with("428C9"))
    );
}
