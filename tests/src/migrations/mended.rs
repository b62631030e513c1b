//! Changes that existing rows may prevent: the migration fails and names the rule, and succeeds once the rows are
//! corrected. Also a relation that gets more targets, whose rows are converted.

use super::blank::{Blank, limits};
use super::cases::{CAPACITY, NOT_ARCHIVED_ANY_MORE, there_and_back};
use super::repository::{Edit, Repository, world};
use super::rows::ROWS;
use kernel::migrate::{down, up};

/// The migration fails with this error, and succeeds once the rows are corrected.
async fn only_when_mended(to: &[Edit<'_>], rows: &str, why: &str, mend: &str) {
    let mut repository = Repository::default();
    repository.generate(&world(&[])).expect("the foundation");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(ROWS).await;
    database.run(rows).await;
    let refused = repository.generate(&world(to));
    assert!(refused.is_ok(), "{refused:#?}");
    let list = repository.list();
    let error = up(&database.options(), &list, &limits())
        .await
        .expect_err("rows are in the way");
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        told.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    assert!(told.contains(why), "{told}");
    database.run(mend).await;
    up(&database.options(), &list, &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
}

#[tokio::test]
async fn archived_rows_are_in_the_way_of_an_entity_that_is_archived_no_more() {
    let archive = "update app.users set status = 'suspended' where handle = 'user6'";
    let restore = "update app.users set status = 'active' where handle = 'user6'";
    only_when_mended(
        &NOT_ARCHIVED_ANY_MORE,
        archive,
        "would be there again",
        restore,
    )
    .await;
}

#[tokio::test]
async fn a_key_goes_from_an_object_when_no_row_has_it() {
    let to = [("app", "    website: url?\n", "")];
    let mend = "update app.organizations set links = links - 'website'";
    only_when_mended(&to, "select 1", "organizations_links_format", mend).await;
}

#[tokio::test]
async fn null_ends_without_a_default_when_no_row_is_empty() {
    let to = [("event", CAPACITY, "  capacity: int(1..1000000)")];
    let mend = "update app.events set capacity = 7 where capacity is null";
    only_when_mended(&to, "select 1", "events_capacity_not_null", mend).await;
}

#[tokio::test]
async fn a_relation_leads_to_more() {
    let badge = |owner: &str, extra: &str| {
        format!(
            "entity: badge\ndoc: A badge.\nfields:\n  name: text(1..9)\nbelongs:\n  owner: {owner}\n  extra: {extra}, on archive detach\naccess:\n  read: anyone\n"
        )
    };
    let (one, several) = (
        badge("city", "city?"),
        badge("one of city | organization", "one of city | organization?"),
    );
    let rows = format!(
        "{ROWS} insert into app.badges (name, owner_id, extra_id)
         select 'b', id, case when population is null then id end from app.cities;"
    );
    let checks = [
        (
            "select count(*) from app.badges where owner_type = 'city' and owner_city_id = owner_id",
            "3",
        ),
        (
            "select count(*) from app.badges where (extra_type = 'city') is true",
            "2",
        ),
        (
            "select count(*) from app.badges where extra_type is null and extra_id is null",
            "1",
        ),
    ];
    there_and_back(
        &[("badge", "", &one)],
        &[("badge", "", &several)],
        &rows,
        &checks,
    )
    .await;
}

/// A down migration gives a value to rows that are null by now, which fires their triggers. The search documents are
/// missing at that moment.
#[tokio::test]
async fn a_searched_text_is_required_again() {
    let name = |text: &str| format!("  name: {text}, search");
    let (required, optional) = (name("text(1..80)"), name("text(1..80)?"));
    let from = [("organization", "  name: text(1..80)", required.as_str())];
    let to = [("organization", "  name: text(1..80)", optional.as_str())];
    let mut repository = Repository::default();
    repository.generate(&world(&from)).expect("the foundation");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(ROWS).await;
    repository.generate(&world(&to)).expect("a migration");
    let list = repository.list();
    up(&database.options(), &list, &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
    database
        .run("update app.organizations set name = null")
        .await;
    down(&database.options(), &list, 1, &limits())
        .await
        .unwrap_or_else(|e| panic!("down: {e}"));
    let found = "select ((select count(*) from search.organizations) + (select count(*) from search.organizations__hidden)
        = (select count(*) from app.organizations where name is not null and status <> 'archived'))::text";
    assert_eq!(database.text(found).await, "true");
}

/// Where PostgreSQL has no cast from one type to another, nulls pass all the same, in both directions.
#[tokio::test]
async fn every_type_becomes_every_other_where_no_row_has_a_value() {
    const TYPES: [&str; 11] = [
        "text(1..9)",
        "int",
        "bigint",
        "decimal(2)",
        "bool",
        "time",
        "date",
        "uuid",
        "json",
        "point",
        "email",
    ];
    let number = TYPES.len();
    let pairs = (0..number * number).filter(|n| n / number != n % number);
    let pairs: Vec<(usize, usize)> = pairs.map(|n| (n / number, n % number)).collect();
    let badge = |of: &dyn Fn((usize, usize)) -> usize| {
        let fields = pairs.iter().map(|&pair| {
            let (from, to) = pair;
            format!("  f_{from}_{to}: {}?\n", TYPES[of(pair)])
        });
        let fields: String = fields.collect();
        format!(
            "entity: badge\ndoc: A badge.\nfields:\n  name: text(1..9)\n{fields}access:\n  read: anyone\n"
        )
    };
    let (before, after) = (badge(&|(from, _)| from), badge(&|(_, to)| to));
    let lost: Vec<String> = (pairs.iter())
        .map(|(from, to)| format!("badge.f_{from}_{to}"))
        .collect();
    let dropped = format!("dropped: [{}]\nmodules:", lost.join(", "));
    let rows = format!("{ROWS} insert into app.badges (name) values ('b');");
    there_and_back(
        &[("badge", "", &before)],
        &[("badge", "", &after), ("app", "modules:", &dropped)],
        &rows,
        &[("select count(*) from app.badges", "1")],
    )
    .await;
}

/// Both are filled at once: a row that is written must fulfil the checks of both.
#[tokio::test]
async fn two_fields_of_a_row_become_required_together() {
    let to = [
        ("event", CAPACITY, "  capacity: int(1..1000000) = 5"),
        (
            "event",
            "  price_cents: money(0..)?",
            "  price_cents: money(0..) = 7",
        ),
    ];
    let rows = format!("{ROWS}update app.events set capacity = null, price_cents = null;");
    let checks = [(
        "select count(*) from app.events where capacity = 5 and price_cents = 7",
        "20",
    )];
    there_and_back(&[], &to, &rows, &checks).await;
}
