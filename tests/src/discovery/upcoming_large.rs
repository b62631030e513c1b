//! The upcoming events of a city with very many, among many cities with few.

use crate::support::{Database, database::Content};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection};

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// How often a page of the city asks whether the caller may see an event. Functions keep their plans per connection, so
/// each count takes a new one.
async fn asked(database: &Database) -> i64 {
    let mut conn = database.superuser().await;
    run(
        &mut conn,
        "set plan_cache_mode = force_generic_plan; set jit = off; begin; set local track_functions = 'all'",
    )
    .await;
    let enter = format!("select sec.enter('{}', null, 'read', null)", PEOPLE[4].id);
    run(&mut conn, &enter).await;
    let found: i64 = sqlx::query_scalar(
        "select count(*) from app.upcoming_events((select id from app.cities where slug = 'melbourne'),
           null, now(), null, null, null, null, null, null, false, null, null, null, null, null, 21)",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a page");
    assert_eq!(found, 21);
    sqlx::query_scalar(
        "select coalesce(sum(calls), 0)::int8 from pg_stat_xact_user_functions where funcname = 'seen_event'",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a count")
}

/// Claim: a page of a city asks for access to about as many events as it shows, although the plan is made for a city of
/// average size.
#[tokio::test]
async fn se4_a_page_of_a_large_city_asks_for_no_more_events_than_it_shows() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    run(
        &mut conn,
        "set session_replication_role = replica;
         insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select e.city_id, e.host_type, e.host_id, 'Evening ' || g, 'evening-' || g, now() + g * interval '1 minute',
           now() + (g + 60) * interval '1 minute', 'UTC', 'published'
         from (select e.* from app.events e join app.cities c on c.id = e.city_id join app.organizations o on o.id = e.host_id
           where c.slug = 'melbourne' and o.state = 'approved' and o.status = 'active' limit 1) e, generate_series(1, 3000) g;
         insert into counters.events (id) select id from app.events on conflict do nothing;
         reset session_replication_role;
         alter table app.events alter column city_id set (n_distinct = 100);
         analyze app.events",
    )
    .await;
    let few = asked(&database).await;
    assert!((1..200).contains(&few), "{few}");

    // The control: with the plan that PostgreSQL would choose, the count grows with the city.
    run(
        &mut conn,
        "alter function app.upcoming_in_city(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, bigint, text, int, timestamptz, uuid, int)
           reset enable_sort;
         alter function app.upcoming_in_city(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, bigint, text, int, timestamptz, uuid, int)
           reset enable_bitmapscan",
    )
    .await;
    let many = asked(&database).await;
    assert!(many > 2_000, "{many}");
}
