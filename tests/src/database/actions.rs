//! Each action is limited to its effect, by its rule and its starting state.

use super::world::{World, attempt, event_values, rows, scalar, world};
use sqlx::Row;

async fn event(world: &World, set: &str, action: &str) -> Result<u64, String> {
    let sql = format!("update app.events set {set} where id = '{}'", world.event);
    world.act(world.host, action, sql).await
}

#[tokio::test]
async fn an_action_changes_what_it_is_for() {
    let world = world().await;
    assert_eq!(event(&world, "title = 'Fest 2'", "update").await, Ok(1));
    let (status, cancelled) = ("status = 'archived'", "state = 'cancelled'");
    for (set, action) in [
        (status, "update"),
        (cancelled, "update"),
        ("title = 'x'", "archive"),
        ("status = 'archived', title = 'x'", "archive"),
        (cancelled, "archive"),
        ("state = 'draft', title = 'x'", "unpublish"),
        ("status = 'suspended'", "archive"),
    ] {
        let answer = event(&world, set, action).await;
        assert!(
            answer.as_ref().is_err_and(|e| e.starts_with("42501")),
            "{action}: {set}: {answer:?}"
        );
    }
    for action in ["", "get", "nonsense"] {
        assert_eq!(
            event(&world, "title = 'x'", action).await,
            Ok(0),
            "{action:?} may change no row"
        );
    }
    let row = &rows(
        &world.database.superuser,
        format!(
            "select title, version, updated_at > created_at from app.events where id = '{}'",
            world.event
        ),
    )
    .await[0];
    assert_eq!(
        (
            row.get::<&str, _>(0),
            row.get::<i64, _>(1),
            row.get::<bool, _>(2)
        ),
        ("Fest 2", 2, true)
    );
}

/// Even without the guard trigger, no action can have the effect of another, since the policy checks the resulting
/// row.
#[tokio::test]
async fn a_policy_holds_an_action_to_what_it_leaves() {
    let world = world().await;
    let off = "alter table app.events disable trigger user";
    world.admin(off).await.unwrap();
    for (set, action) in [
        ("status = 'suspended'", "archive"),
        ("status = 'archived'", "suspend"),
        ("status = 'archived'", "unpublish"),
        ("state = 'completed'", "unpublish"),
        ("title = title", "archive"),
    ] {
        let sql = format!("update app.events set {set} where id = '{}'", world.event);
        let who = match action {
            "suspend" => world.city_admin,
            _ => world.host,
        };
        let answer = world.act(who, action, sql).await;
        assert!(
            answer.as_ref().is_err_and(|e| e.starts_with("42501")),
            "{action}: {set}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn transitions_have_a_from_a_guard_and_a_reason() {
    let world = world().await;
    assert_eq!(
        event(&world, "state = 'published'", "publish").await,
        Err("23514 events_publish_from".into())
    );
    assert_eq!(
        event(&world, "state = 'completed'", "complete").await,
        Err("23514 events_complete_when".into())
    );
    assert_eq!(
        event(&world, "state = 'cancelled'", "cancel").await,
        Err("23514 events_cancel_reason".into())
    );
    let mut request = world.request(Some(world.host), "cancel").await;
    attempt(&mut *request, "select sec.set_reason('rain')")
        .await
        .unwrap();
    let cancel = format!(
        "update app.events set state = 'cancelled' where id = '{}'",
        world.event
    );
    assert_eq!(attempt(&mut *request, cancel).await, Ok(1));
    request.commit().await.unwrap();
    let reason: String = world
        .look("select reason from audit.audit_logs where action = 'cancel'")
        .await;
    assert_eq!(reason, "rain");
}

#[tokio::test]
async fn rules_say_who() {
    let world = world().await;
    let title = format!(
        "update app.events set title = 'x' where id = '{}'",
        world.event
    );
    assert_eq!(world.act(world.ana, "update", title.clone()).await, Ok(0));
    assert_eq!(world.act(world.city_admin, "update", title).await, Ok(1));
    let suspend = format!(
        "update app.events set status = 'suspended' where id = '{}'",
        world.event
    );
    assert_eq!(
        world.act(world.host, "suspend", suspend.clone()).await,
        Ok(0)
    );
    assert_eq!(world.act(world.city_admin, "suspend", suspend).await, Ok(1));
    assert!(!world.sees(None, "events", world.event).await);
    assert!(!world.sees(Some(world.ana), "events", world.event).await);
    assert!(
        world.sees(Some(world.host), "events", world.event).await,
        "who may update sees it suspended"
    );
    let back = format!(
        "update app.events set status = 'active' where id = '{}'",
        world.event
    );
    assert_eq!(
        world.act(world.host, "unsuspend", back.clone()).await,
        Ok(0)
    );
    assert_eq!(
        world.act(world.city_admin, "restore", back.clone()).await,
        Ok(0),
        "it is not archived"
    );
    assert_eq!(world.act(world.city_admin, "unsuspend", back).await, Ok(1));
}

#[tokio::test]
async fn archived_rows_are_gone_but_for_restoring() {
    let world = world().await;
    let set = |status: &str| {
        format!(
            "update app.events set status = '{status}' where id = '{}'",
            world.event
        )
    };
    assert_eq!(
        world.act(world.host, "archive", set("archived")).await,
        Ok(1)
    );
    for user in [None, Some(world.host), Some(world.platform)] {
        assert!(!world.sees(user, "events", world.event).await);
    }
    assert_eq!(world.act(world.ana, "restore", set("active")).await, Ok(0));
    assert_eq!(world.act(world.host, "update", set("active")).await, Ok(0));
    assert_eq!(world.act(world.host, "restore", set("active")).await, Ok(1));
}

#[tokio::test]
async fn a_row_is_attached_to_what_its_writer_may_read() {
    let world = world().await;
    let like = |event: uuid::Uuid| format!("insert into app.likes (event_id) values ('{event}')");
    let draft = super::world::new(
        &world.database.superuser,
        &event_values(world.city, world.organization, None, "Draft"),
    )
    .await;
    world
        .admin(format!(
            "update app.events set state = 'draft' where id = '{draft}'"
        ))
        .await
        .unwrap();
    let refused =
        Err("42501 new row violates row-level security policy for table \"likes\"".to_owned());
    assert_eq!(
        world.act(world.ana, "create", like(draft)).await,
        refused,
        "hidden"
    );
    assert_eq!(
        world.act(world.ana, "create", like(world.ana)).await,
        refused,
        "missing"
    );
    assert_eq!(
        world.act(world.ana, "create", like(world.event)).await,
        Ok(1)
    );
    assert_eq!(
        world.act(world.ana, "create", like(world.event)).await,
        Err("23505 likes_user_id_event_id_key".into())
    );
    let unlike = format!(
        "update app.likes set status = 'archived' where event_id = '{}'",
        world.event
    );
    assert_eq!(world.act(world.ben, "archive", unlike.clone()).await, Ok(0));
    assert_eq!(world.act(world.ana, "archive", unlike).await, Ok(1));
    assert_eq!(
        world.act(world.ana, "create", like(world.event)).await,
        Ok(1),
        "unique among live rows only"
    );
    world
        .admin(format!(
            "update app.events set status = 'suspended' where id = '{}'",
            world.event
        ))
        .await
        .unwrap();
    assert_eq!(
        world.act(world.host, "create", like(world.event)).await,
        refused,
        "visible, but not active"
    );
}

#[tokio::test]
async fn a_moved_reference_is_readable_and_in_the_same_city() {
    let world = world().await;
    let venue = |city: uuid::Uuid, name: &'static str| {
        format!(
            "venues (city_id, owner_type, owner_id, name, address, location) select '{city}', 'organization', o.id, \
                 '{name}', 'Weg 1', 'SRID=4326;POINT(13.4 52.5)' from app.organizations o where o.city_id = '{city}'"
        )
    };
    super::world::new(
        &world.database.superuser,
        &format!(
            "organizations (city_id, name, state) values ('{}', 'Nord', 'approved')",
            world.other_city
        ),
    )
    .await;
    let (hidden, far) = (
        super::world::new(&world.database.superuser, &venue(world.city, "Hidden")).await,
        super::world::new(&world.database.superuser, &venue(world.other_city, "Far")).await,
    );
    world
        .admin(format!(
            "update app.venues set status = 'suspended' where id = '{hidden}'"
        ))
        .await
        .unwrap();
    let to = |venue: uuid::Uuid| format!("venue_id = '{venue}'");
    assert_eq!(
        event(&world, &to(hidden), "update").await,
        Err("23503 events_venue_id_fkey".into())
    );
    assert_eq!(
        event(&world, &to(world.ana), "update").await,
        Err("23503 events_venue_id_fkey".into())
    );
    assert_eq!(
        event(&world, &to(far), "update").await,
        Err("23503 events_venue_id_same_city_fkey".into())
    );
    world
        .admin(format!(
            "update app.venues set status = 'suspended' where id = '{}'",
            world.venue
        ))
        .await
        .unwrap();
    assert_eq!(
        event(&world, "title = 'x'", "update").await,
        Ok(1),
        "an unchanged reference is not checked"
    );
    assert_eq!(event(&world, "venue_id = null", "update").await, Ok(1));
}

#[tokio::test]
async fn private_columns_are_for_whom_they_are_for() {
    let world = world().await;
    let email = format!(
        "select p.email::text from app.users t left join lateral app.user_private(t.id) p on true where t.id = '{}'",
        world.ana
    );
    for (user, expected) in [
        (Some(world.ana), Some("ana@example.org")),
        (Some(world.platform), Some("ana@example.org")),
        (Some(world.ben), None),
        (None, None),
    ] {
        let mut request = world.request(user, "get").await;
        let found: Option<String> = scalar(&mut *request, email.clone()).await;
        assert_eq!(found.as_deref(), expected);
    }
    let phone = format!(
        "update app.users set phone = '+4930123456' where id = '{}'",
        world.ana
    );
    assert_eq!(world.act(world.ben, "update", phone.clone()).await, Ok(0));
    assert_eq!(
        world.act(world.ana, "update", phone).await,
        Ok(1),
        "writing does not require the permission to read"
    );
}

#[tokio::test]
async fn a_field_rule_holds_when_a_row_is_made_and_changed() {
    let world = world().await;
    let community = super::world::new(
        &world.database.superuser,
        &format!(
            "communities (city_id, name) values ('{}', 'Chor')",
            world.city
        ),
    )
    .await;
    let join = |role: &str| {
        format!(
            "insert into app.community_members (community_id, user_id, role) values ('{community}', '{}', '{role}')",
            world.ana
        )
    };
    assert_eq!(
        world.act(world.ana, "create", join("moderator")).await,
        Err("42501 fields role".into())
    );
    assert_eq!(world.act(world.ana, "create", join("member")).await, Ok(1));
}

#[tokio::test]
async fn the_maker_of_a_profile_holds_its_role() {
    let world = world().await;
    let mut request = world.request(Some(world.ana), "create").await;
    let insert = format!(
        "insert into app.communities (city_id, name, visibility) values ('{}', 'Chor', 'private') returning id",
        world.city
    );
    let community: uuid::Uuid = scalar(&mut *request, insert).await;
    let seen: bool = scalar(
        &mut *request,
        format!("select exists (select from app.communities where id = '{community}')"),
    )
    .await;
    assert!(seen, "the new row is visible in the same transaction");
    request.commit().await.unwrap();
    assert!(world.sees(Some(world.ana), "communities", community).await);
    assert!(!world.sees(Some(world.ben), "communities", community).await);
}

#[tokio::test]
async fn what_a_request_may_do_can_be_asked_of_private_columns() {
    let world = world().await;
    let community = super::world::new(
        &world.database.superuser,
        &format!(
            "communities (city_id, name) values ('{}', 'Chor')",
            world.city
        ),
    )
    .await;
    let join = format!(
        "insert into app.community_members (community_id, user_id) values ('{community}', '{}')",
        world.ana
    );
    assert_eq!(world.act(world.ana, "create", join).await, Ok(1));
    let mut request = world.request(Some(world.ana), "get").await;
    let may: Vec<String> = scalar(
        &mut *request,
        "select app.community_member_may(t.id) from app.community_members t",
    )
    .await;
    assert_eq!(may, ["join"]);
}
