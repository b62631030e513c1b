//! One change of the spec at a time: up, down and up again on a database with rows. Each time the catalogue must equal
//! that of a fresh database of the same spec, and the rows must be as expected.

use super::blank::{Blank, limits};
use super::repository::{Edit, Repository, script, world};
use super::rows::ROWS;
use crate::support::catalogue::difference;
use kernel::migrate::{down, up};

/// From the base world (with `from`) to the base world with `to`. Each check is a query and its expected result after
/// the change; the rows were written before it.
pub async fn there_and_back(
    from: &[Edit<'_>],
    to: &[Edit<'_>],
    rows: &str,
    checks: &[(&str, &str)],
) {
    let (old, new) = (world(from), world(to));
    let mut repository = Repository::default();
    repository.generate(&old).expect("the first migration");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(rows).await;
    let before = database.catalogue().await;
    let first = 1;

    let written = repository
        .generate(&new)
        .unwrap_or_else(|refused| panic!("{refused:#?}"));
    assert!(written > 0, "a migration");
    assert_eq!(
        repository.generate(&new).expect("nothing refused"),
        0,
        "run again it writes nothing"
    );
    let list = repository.list();
    up(&database.options(), &list, &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
    let wanted = fresh(&script(&new)).await;
    same(&database.catalogue().await, &wanted, "after up");
    hold(&database, checks).await;

    down(&database.options(), &list, first, &limits())
        .await
        .unwrap_or_else(|e| panic!("down: {e}"));
    same(
        &validated(database.catalogue().await),
        &before,
        "after down",
    );

    up(&database.options(), &list, &limits())
        .await
        .unwrap_or_else(|e| panic!("up again: {e}"));
    same(&database.catalogue().await, &wanted, "after up again");
}

async fn hold(database: &Blank, checks: &[(&str, &str)]) {
    for (query, expected) in checks {
        assert_eq!(
            database.text(&format!("select ({query})::text")).await,
            *expected,
            "{query}"
        );
    }
}

async fn fresh(script: &str) -> Vec<String> {
    let database = Blank::new().await;
    database.run(script).await;
    database.catalogue().await
}

/// If an existing row violates a rule, a rollback restores the rule for new rows only.
fn validated(mut catalogue: Vec<String>) -> Vec<String> {
    for line in &mut catalogue {
        if let Some(rest) = line.strip_suffix(" NOT VALID") {
            *line = rest.to_owned();
        }
    }
    catalogue.sort_unstable();
    catalogue
}

fn same(found: &[String], wanted: &[String], when: &str) {
    let difference = difference(found, wanted);
    assert!(difference.is_empty(), "{when}:\n{}", difference.join("\n"));
}

pub const CAPACITY: &str = "  capacity: int(1..1000000)?";
/// Accounts become `mutable`, and everything about archiving them is removed from the specs.
pub(super) const NOT_ARCHIVED_ANY_MORE: [Edit<'static>; 4] = [
    (
        "user",
        "doc: A person who signs in.\n",
        "doc: A person who signs in.\nlifecycle: mutable\n",
    ),
    ("user", "  is_public:", "  status: drop\n  is_public:"),
    ("sign_in", ", on end set revoked_at", ""),
    (
        "role_assignment",
        "  user: user, on archive cascade",
        "  user: user",
    ),
];

#[tokio::test]
async fn a_field_comes() {
    let to = [(
        "event",
        CAPACITY,
        "  capacity: int(1..1000000)?\n  badge: text(1..20)?, filter, unique",
    )];
    there_and_back(
        &[],
        &to,
        ROWS,
        &[("select count(*) from app.events where badge is null", "20")],
    )
    .await;
}

#[tokio::test]
async fn a_field_with_a_default_comes() {
    let to = [(
        "event",
        CAPACITY,
        "  capacity: int(1..1000000)?\n  mood: enum(calm, loud) = calm, filter\n  made_at: time = now(), sort",
    )];
    let checks = [(
        "select count(*) from app.events where mood = 'calm' and made_at is not null",
        "20",
    )];
    there_and_back(&[], &to, ROWS, &checks).await;
}

#[tokio::test]
async fn a_field_goes() {
    there_and_back(&[], &[("event", CAPACITY, "  capacity: drop")], ROWS, &[]).await;
}

#[tokio::test]
async fn fields_that_were_never_null_go_and_come_back_made_up() {
    let to = [
        (
            "user",
            "  handle: text(3..40), unique, search",
            "  handle: drop",
        ),
        ("city", "  name: text(1..80), search", "  name: drop"),
        (
            "event",
            "  title: text(1..140), search, sort",
            "  title: drop\n  caption: text(1..140)?, search",
        ),
        (
            "event",
            "  slug: slug from title",
            "  slug: drop\n  tag: slug?",
        ),
        ("event", "unique: [[city, slug]]", "unique: [[city, tag]]"),
    ];
    there_and_back(&[], &to, ROWS, &[]).await;
}

#[tokio::test]
async fn a_field_is_renamed() {
    let to = [("event", CAPACITY, "  seats: int(1..1000000)?, was capacity")];
    there_and_back(
        &[],
        &to,
        ROWS,
        &[("select sum(seats) from app.events", "110")],
    )
    .await;
}

#[tokio::test]
async fn fields_that_everything_depends_on_are_renamed() {
    let to = [
        ("event", "slug", "label"),
        (
            "event",
            "label: label from title",
            "label: slug from title, was slug",
        ),
        ("event", "starts_at", "begins_at"),
        (
            "event",
            "  begins_at: time, filter, sort",
            "  begins_at: time, filter, sort, was starts_at",
        ),
        (
            "event",
            "  door_code: text(4..12)?",
            "  secret: text(4..12)?, was door_code",
        ),
    ];
    let checks = [(
        "select count(*) from app.events where label like 'event-%' and secret = '12345' and begins_at < ends_at",
        "20",
    )];
    there_and_back(&[], &to, ROWS, &checks).await;
}

#[tokio::test]
async fn a_reference_is_renamed() {
    let to = [
        ("event", "host", "maker"),
        (
            "event",
            "maker: one of organization, same city, on archive cascade, filter",
            "maker: one of organization, same city, on archive cascade, filter, was host",
        ),
    ];
    let checks = [(
        "select count(*) from app.events where maker_type = 'organization' and maker_organization_id = maker_id",
        "20",
    )];
    there_and_back(&[], &to, ROWS, &checks).await;
}

#[tokio::test]
async fn an_entity_is_renamed_and_what_refers_to_it_follows() {
    let to = [
        (
            "organization",
            "entity: organization\n",
            "entity: guild\nwas: organization\n",
        ),
        ("app", "of organization", "of guild"),
        ("app", "[event, organization]", "[event, guild]"),
        ("event", "one of organization", "one of guild"),
        (
            "member",
            "organization: organization",
            "organization: guild",
        ),
        ("role_assignment", "one of organization", "one of guild"),
    ];
    let checks = [
        ("select count(*) from app.guilds", "4"),
        (
            "select count(*) from app.events where host_type = 'guild' and host_guild_id = host_id",
            "20",
        ),
        (
            "select count(*) from app.role_assignments where scope_type = 'guild' and scope_guild_id = scope_id",
            "8",
        ),
        (
            "select string_agg(distinct member_count::text, ' ') from counters.guilds",
            "3",
        ),
        (
            "select string_agg(distinct version::text, ' ') from app.events",
            "1",
        ),
    ];
    there_and_back(&[], &to, ROWS, &checks).await;
}

#[tokio::test]
async fn an_entity_comes_and_goes() {
    let badge = "entity: badge\ndoc: What an event is known for.\nfields:\n  name: text(1..20), search\n  place: point?, filter\n\
                 belongs:\n  event: event, on archive cascade\nunique: [[event, name]]\n\
                 access:\n  read: anyone\n  create: host of event\n  update: host of event\n  delete: host of event\n";
    let with = [
        ("badge", "", badge),
        (
            "event",
            "unique: [[city, slug]]",
            "has:\n  badges: badge* via event\nderived:\n  badge_count: count(badges), sort\nunique: [[city, slug]]",
        ),
    ];
    there_and_back(
        &[],
        &with,
        ROWS,
        &[("select sum(badge_count) from counters.events", "0")],
    )
    .await;
    let rows = "insert into app.badges (name, event_id) select 'Best', id from app.events where status = 'active'";
    there_and_back(
        &with,
        &[("app", "modules:", "dropped: [badge]\nmodules:")],
        &format!("{ROWS}{rows}"),
        &[],
    )
    .await;
}

#[tokio::test]
async fn a_type_widens_and_narrows() {
    let wide = [("event", CAPACITY, "  capacity: bigint(1..1000000)?, filter")];
    there_and_back(
        &[],
        &wide,
        ROWS,
        &[("select sum(capacity) from app.events", "110")],
    )
    .await;
    let narrow = [("app", "modules:", "dropped: [event.capacity]\nmodules:")];
    there_and_back(
        &wide,
        &narrow,
        ROWS,
        &[("select sum(capacity) from app.events", "110")],
    )
    .await;
}

#[tokio::test]
async fn null_ends_and_begins() {
    let strict = [("event", CAPACITY, "  capacity: int(1..1000000) = 7, sort")];
    there_and_back(
        &[],
        &strict,
        ROWS,
        &[("select sum(capacity) from app.events", "180")],
    )
    .await;
    let full = ROWS.replace("case when n % 2 = 0 then n end", "n");
    there_and_back(
        &strict,
        &[],
        &full,
        &[("select sum(capacity) from app.events", "210")],
    )
    .await;
}

#[tokio::test]
async fn a_reference_becomes_required_once_it_is_filled() {
    let to = [(
        "user",
        "  home: city?, on archive detach, movable",
        "  home: city, on archive restrict, movable",
    )];
    let rows = "update app.users set home_id = '00000000-0000-7000-8000-00000000c002' where home_id is null";
    there_and_back(&[], &to, &format!("{ROWS}{rows}"), &[]).await;
}

#[tokio::test]
async fn bounds_and_words_change() {
    let to = [
        ("event", CAPACITY, "  capacity: int(1..500)?"),
        ("event", "  title: text(1..140)", "  title: text(2..200)"),
        (
            "event",
            "states(draft, published, cancelled)",
            "states(draft, published, cancelled, over)",
        ),
        (
            "event",
            "  cancel: draft",
            "  finish: published -> over, by host\n  cancel: draft",
        ),
        (
            "event",
            "  ends_at: time, check ends_at > starts_at",
            "  ends_at: time, check ends_at >= starts_at",
        ),
    ];
    there_and_back(&[], &to, ROWS, &[]).await;
}

#[tokio::test]
async fn a_rollback_reports_rows_that_break_the_old_rule() {
    let to = [("event", "  title: text(1..140)", "  title: text(1..300)")];
    let old = world(&[]);
    let mut repository = Repository::default();
    repository.generate(&old).expect("the first migration");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(ROWS).await;
    repository.generate(&world(&to)).expect("longer titles");
    let list = repository.list();
    up(&database.options(), &list, &limits()).await.expect("up");
    database
        .run("update app.events set title = repeat('x', 300) where slug = 'event-1'")
        .await;
    down(&database.options(), &list, 1, &limits())
        .await
        .expect("down");
    let state =
        "select convalidated::text from pg_constraint where conname = 'events_title_length'";
    assert_eq!(database.text(state).await, "false");
    database
        .run("update app.events set title = 'short' where slug = 'event-1'")
        .await;
    up(&database.options(), &list, &limits())
        .await
        .expect("up again");
    assert_eq!(database.text(state).await, "true");
}

#[tokio::test]
async fn counters_come_and_change_their_meaning() {
    let all = [(
        "organization",
        "count(members where state == active)",
        "count(members)",
    )];
    there_and_back(
        &[],
        &all,
        ROWS,
        &[(
            "select string_agg(distinct member_count::text, ' ') from counters.organizations",
            "6",
        )],
    )
    .await;
    let more = [
        (
            "organization",
            "  members: member* via organization",
            "  members: member* via organization\n  events: event* via host",
        ),
        (
            "organization",
            "derived:\n",
            "derived:\n  event_count: count(events), sort\n  capacity_avg: avg(events.capacity)\n",
        ),
    ];
    let checks = [
        ("select sum(event_count) from counters.organizations", "18"),
        (
            "select string_agg(n.capacity_avg::text, ' ' order by o.name) from app.organizations o join counters.organizations n on n.id = o.id",
            "12.0 9.0",
        ),
    ];
    there_and_back(&[], &more, ROWS, &checks).await;
}

#[tokio::test]
async fn rules_transitions_and_indexes_change() {
    let to = [
        (
            "event",
            "  delete: host or city_admin",
            "  delete: city_admin",
        ),
        (
            "event",
            "  feature: set featured = true, by city_admin\n",
            "",
        ),
        (
            "event",
            "index: [[city, starts_at]]",
            "index: [[host, ends_at], [city, ends_at]]",
        ),
        ("event", "unique: [[city, slug]]", "unique: [[slug]]"),
        (
            "organization",
            "  delete: admin",
            "  delete: admin\n  suspend: me holds platformAdmin",
        ),
        (
            "city",
            "  update: admin",
            "  update: admin\n  delete: admin",
        ),
    ];
    there_and_back(&[], &to, ROWS, &[]).await;
}

#[tokio::test]
async fn a_lifecycle_changes() {
    there_and_back(&[], &NOT_ARCHIVED_ANY_MORE, ROWS, &[]).await;
}

#[tokio::test]
async fn an_object_changes() {
    let to = [(
        "app",
        "    instagram: url?",
        "    instagram: url?\n    blog: url?",
    )];
    there_and_back(&[], &to, ROWS, &[]).await;
}

#[tokio::test]
async fn what_is_kept_comes_and_changes() {
    let one = "keep:\n  somebody: one per organization where state == active\naccess:\n";
    let other = "keep:\n  anybody: one per organization, doc \"One stays.\"\n  user: one per user where state != active\naccess:\n";
    there_and_back(&[], &[("member", "access:\n", one)], ROWS, &[]).await;
    let (from, to) = (
        [("member", "access:\n", one)],
        [("member", "access:\n", other)],
    );
    there_and_back(&from, &to, ROWS, &[]).await;
}
