//! Searching the public projection uses its indexes, and shows nothing that is not public.

use super::world::{World, attempt, event_values, new, rows, scalar, world};
use sqlx::Row;

async fn plan(world: &World, condition: &str) -> String {
    let mut request = world.request(None, "list").await;
    let sql = format!(
        "explain select t.id from app.events t where t.id in (select v.id from app.events_public v where {condition})"
    );
    let lines = rows(&mut *request, sql).await;
    lines
        .iter()
        .map(|row| row.get::<String, _>(0))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn text_and_place_come_from_an_index() {
    let world = world().await;
    let many = format!(
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state, location) \
         select '{}', 'organization', '{}', 'Abend ' || md5(g::text), 'abend-' || g, now() + interval '1 day', now() + interval '2 days', \
         'Europe/Berlin', 'published', st_setsrid(st_makepoint(13 + g / 10000.0, 52 + (g % 100) / 100.0), 4326)::geography \
         from generate_series(1, 5000) g; analyze app.events",
        world.city, world.organization
    );
    world.admin(many).await.unwrap();
    for (condition, index) in [
        (
            "v.search @@ plainto_tsquery('simple', 'fest')",
            "events_search_idx",
        ),
        ("v.search_text ilike '%d41d8cd9%'", "events_search_text_idx"),
        (
            "v.search @@ plainto_tsquery('simple', 'fest') or v.search_text ilike '%d41d8cd9%'",
            "BitmapOr",
        ),
        (
            "st_dwithin(v.location, 'SRID=4326;POINT(13.1 52.1)'::geography, 500)",
            "events_location_idx",
        ),
        (
            "v.location && st_makeenvelope(13.10, 52.10, 13.11, 52.11, 4326)::geography",
            "events_location_idx",
        ),
    ] {
        let plan = plan(&world, condition).await;
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan on events"),
            "{condition}\n{plan}"
        );
    }
}

#[tokio::test]
async fn the_projection_shows_what_anyone_may_read() {
    let world = world().await;
    let draft = new(
        &world.database.superuser,
        &event_values(world.city, world.organization, None, "Entwurf"),
    )
    .await;
    world
        .admin(format!(
            "update app.events set state = 'draft' where id = '{draft}'"
        ))
        .await
        .unwrap();
    let found: Vec<uuid::Uuid> = {
        let mut request = world.request(Some(world.host), "list").await;
        scalar(&mut *request, "select array_agg(id) from app.events_public").await
    };
    assert_eq!(found, [world.event]);
    world
        .admin(format!(
            "update app.organizations set status = 'suspended' where id = '{}'",
            world.organization
        ))
        .await
        .unwrap();
    let mut request = world.request(None, "list").await;
    let (projected, seen): (i64, i64) = (
        scalar(&mut *request, "select count(*) from app.events_public").await,
        scalar(&mut *request, "select count(*) from app.events").await,
    );
    assert_eq!((projected, seen), (0, 0), "an event goes with its host");
    assert!(
        attempt(&mut *request, "select email from app.users_public")
            .await
            .is_err()
    );
}
