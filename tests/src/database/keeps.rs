//! `keep`: the last administrator of a profile can't be removed, by no caller and in no way.

use super::{
    races::race,
    world::{World, new, world},
};
use uuid::Uuid;

const LAST: &str = "23001 role_assignments_an_administrator_keep";

async fn make_admin(world: &World, user: Uuid) -> Uuid {
    let values = format!(
        "role_assignments (user_id, role, scope_type, scope_id, state) values ('{user}', 'orgAdmin', 'organization', '{}', 'accepted')",
        world.organization
    );
    new(&world.database.superuser, &values).await
}

/// The role that the test world contains.
async fn first_role(world: &World) -> Uuid {
    let sql = format!(
        "select id from app.role_assignments where user_id = '{}'",
        world.host
    );
    world.look(sql).await
}

async fn admins(world: &World) -> i64 {
    let sql = format!(
        "select count(*) from app.role_assignments where scope_id = '{}' and role = 'orgAdmin' and status = 'active'",
        world.organization
    );
    world.look(sql).await
}

fn end(table: &str, id: Uuid, status: &str) -> String {
    format!("update app.{table} set status = '{status}' where id = '{id}'")
}

#[tokio::test]
async fn abuse_43_no_statement_takes_the_last_administrator() {
    let world = world().await;
    let role = first_role(&world).await;
    let refused = Err(LAST.to_owned());
    let archive = end("role_assignments", role, "archived");
    // By requests of all kinds of callers who may remove roles.
    for user in [world.host, world.city_admin, world.platform] {
        assert_eq!(world.act(user, "archive", &archive).await, refused);
    }
    // As superuser, for whom no rules hold.
    let scope = format!("scope_type = 'venue', scope_id = '{}'", world.venue);
    for sql in [
        archive.clone(),
        end("role_assignments", role, "suspended"),
        format!("update app.role_assignments set {scope} where id = '{role}'"),
        "update app.role_assignments set status = 'archived'".to_owned(),
    ] {
        assert_eq!(world.admin(&sql).await, refused, "{sql}");
    }
    assert_eq!(admins(&world).await, 1);

    // Roles of other kinds are not protected.
    let city = format!(
        "update app.role_assignments set status = 'archived' where user_id = '{}'",
        world.city_admin
    );
    assert_eq!(world.admin(city).await, Ok(1));
    // When there is a second administrator, the first can be removed, and then the second can't.
    let second = make_admin(&world, world.ana).await;
    assert_eq!(world.act(world.host, "archive", &archive).await, Ok(1));
    let last = end("role_assignments", second, "archived");
    assert_eq!(world.act(world.ana, "archive", &last).await, refused);
    // An administrator whose role is not active does not count.
    for status in ["active", "suspended"] {
        let back = end("role_assignments", role, status);
        assert_eq!(world.admin(back).await, Ok(1));
    }
    assert_eq!(world.admin(last).await, refused);

    // The negative control: without the trigger the last role can be removed.
    let off = "alter table app.role_assignments disable trigger role_assignments_keep";
    world.admin(off).await.expect("switched off");
    let last = end("role_assignments", second, "archived");
    assert_eq!(world.act(world.ana, "archive", last).await, Ok(1));
    assert_eq!(admins(&world).await, 0);
}

/// Venues and institutions have no administrator of their own at first, and others who manage them: whoever was given the
/// role can give it up, and it can be taken away.
#[tokio::test]
async fn abuse_43_a_role_that_nobody_had_at_first_is_given_up() {
    let world = world().await;
    let institution = new(
        &world.database.superuser,
        &format!(
            "institutions (city_id, name, type) values ('{}', 'Council', 'council')",
            world.city
        ),
    )
    .await;
    for (kind, scope) in [("venue", world.venue), ("institution", institution)] {
        for caller in [world.ana, world.city_admin] {
            let values = format!(
                "role_assignments (user_id, role, scope_type, scope_id, state) values ('{}', 'orgAdmin', '{kind}', '{scope}', 'accepted')",
                world.ana
            );
            let role = new(&world.database.superuser, &values).await;
            let archive = end("role_assignments", role, "archived");
            assert_eq!(world.act(caller, "archive", archive).await, Ok(1), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_profile_takes_its_administrators_along_and_brings_them_back() {
    let world = world().await;
    let profile = |status| end("organizations", world.organization, status);
    assert_eq!(world.admin(profile("archived")).await, Ok(1));
    assert_eq!(admins(&world).await, 0);
    let leave = end("users", world.ben, "archived");
    assert_eq!(world.admin(leave).await, Ok(1));
    assert_eq!(world.admin(profile("active")).await, Ok(1));
    assert_eq!(admins(&world).await, 1);
    let role = first_role(&world).await;
    let archive = end("role_assignments", role, "archived");
    assert_eq!(world.admin(archive).await, Err(LAST.to_owned()));
    // It can't be removed from a suspended profile, which may become active again.
    assert_eq!(world.admin(profile("suspended")).await, Ok(1));
    let archive = end("role_assignments", role, "archived");
    assert_eq!(world.admin(archive).await, Err(LAST.to_owned()));
}

/// Accounts are not protected: they can be closed, and moderators can suspend them. Roles of such accounts do not
/// count.
#[tokio::test]
async fn abuse_43_an_account_is_let_go_and_does_not_count() {
    let world = world().await;
    let first = first_role(&world).await;
    let second = make_admin(&world, world.ana).await;
    let suspend = end("users", world.ana, "suspended");
    assert_eq!(world.admin(suspend).await, Ok(1));
    let role = end("role_assignments", first, "archived");
    assert_eq!(world.admin(&role).await, Err(LAST.to_owned()));
    assert_eq!(world.admin(end("users", world.ana, "active")).await, Ok(1));
    // A role that was offered but not accepted does not count either.
    let offered =
        format!("update app.role_assignments set state = 'offered' where id = '{second}'");
    assert_eq!(world.admin(offered).await, Ok(1));
    assert_eq!(world.admin(&role).await, Err(LAST.to_owned()));
    let leave = end("users", world.host, "archived");
    assert_eq!(world.act(world.host, "archive", leave).await, Ok(1));
    assert_eq!(world.look::<i64>(format!(
        "select count(*) from app.role_assignments where scope_id = '{}' and status = 'active' and state = 'accepted'",
        world.organization
    )).await, 0);
}

/// At least one platform administrator remains, whichever two ways of removing one are tried at the same time.
#[tokio::test]
async fn abuse_75_the_last_two_of_the_platform_do_not_go_at_once() {
    const PLATFORM: &str = "23001 role_assignments_the_platform_keep";
    let world = world().await;
    let values = format!(
        "role_assignments (user_id, role, state) values ('{}', 'platformAdmin', 'accepted')",
        world.ana
    );
    let second = new(&world.database.superuser, &values).await;
    let first: Uuid = world
        .look(format!(
            "select id from app.role_assignments where user_id = '{}'",
            world.platform
        ))
        .await;
    let roles = [first, second].map(|role| end("role_assignments", role, "archived"));
    let [suspended, archived] = ["suspended", "archived"]
        .map(|status| [world.platform, world.ana].map(|user| end("users", user, status)));
    for [one, other] in [
        [&suspended[0], &suspended[1]],
        [&roles[0], &suspended[1]],
        [&suspended[0], &roles[1]],
        [&archived[0], &suspended[1]],
        [&archived[0], &archived[1]],
        [&roles[0], &roles[1]],
    ] {
        let (committed, waited) = race(&world, one, other).await;
        assert_eq!(
            (committed, waited),
            (Ok(()), Err(PLATFORM.to_owned())),
            "{one} / {other}"
        );
        for user in [world.platform, world.ana] {
            let back = end("users", user, "active");
            world.admin(back).await.expect("back");
        }
        let back = "update app.role_assignments set status = 'active', archived_with = null where role = 'platformAdmin'";
        world.admin(back).await.expect("back");
    }
    // The negative control: without the trigger on accounts, both can be suspended.
    let off = "alter table app.users disable trigger users_keep_holders";
    world.admin(off).await.expect("switched off");
    for statement in &suspended {
        assert_eq!(world.admin(statement).await, Ok(1));
    }
}

/// Two administrators remove each other: the second transaction waits for the first and is refused.
#[tokio::test]
async fn abuse_75_the_last_two_administrators_do_not_go_at_once() {
    let world = world().await;
    let first = first_role(&world).await;
    let second = make_admin(&world, world.ana).await;
    let roles = [first, second].map(|role| end("role_assignments", role, "archived"));
    for [one, other] in [[&roles[0], &roles[1]], [&roles[1], &roles[0]]] {
        let (committed, waited) = race(&world, one, other).await;
        assert_eq!((committed, waited), (Ok(()), Err(LAST.to_owned())));
        assert_eq!(admins(&world).await, 1, "{one} / {other}");
        // Restores both roles.
        let back = format!(
            "update app.role_assignments set status = 'active', archived_with = null where scope_id = '{}'",
            world.organization
        );
        world.admin(back).await.expect("back");
        assert_eq!(admins(&world).await, 2);
    }
}

/// Archiving the profile locks its row and waits for the rows below; a transaction with the lock of one of these does
/// not wait for the profile, so there is no deadlock.
#[tokio::test]
async fn abuse_75_a_profile_goes_while_an_administrator_goes() {
    let world = world().await;
    let second = make_admin(&world, world.ana).await;
    let role = end("role_assignments", second, "archived");
    let profile = end("organizations", world.organization, "archived");
    let (committed, archived) = race(&world, &role, &profile).await;
    assert_eq!((committed, archived), (Ok(()), Ok(1)));
    assert_eq!(admins(&world).await, 0);
}
