//! Changes that existing rows may prevent: the migration fails and names the rule, and succeeds once the rows are
//! corrected. Also a relation that gets more targets, whose rows are converted.

use super::blank::{Blank, limits};
use super::cases::{CAPACITY, NOT_ARCHIVED_ANY_MORE, there_and_back};
use super::repository::{Edit, Repository, world};
use super::rows::ROWS;
use kernel::migrate::up;

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
