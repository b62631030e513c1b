//! What some words of a spec do in a database, for combinations that CulturePass does not use.

use super::blank::{Blank, limits};
use super::repository::{Edit, Repository, world};
use super::rows::ROWS;
use kernel::migrate::up;
use sqlx::{AssertSqlSafe, Connection};

/// A database of the small world with its rows.
async fn database(edits: &[Edit<'_>]) -> Blank {
    let mut repository = Repository::default();
    repository.generate(&world(edits)).expect("the foundation");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(ROWS).await;
    database
}

/// A role that is held everywhere counts everywhere, so nobody may get it for the one organization whose roles they
/// give.
#[tokio::test]
async fn a_role_is_held_only_of_what_the_spec_says() {
    let database = database(&[]).await;
    let mut conn = database.connect().await;
    let organization = "'organization', '00000000-0000-7000-8000-00000000b001'";
    let city = "'city', '00000000-0000-7000-8000-00000000c001'";
    let tried = [
        ("platformAdmin", "null, null", true),
        ("platformAdmin", organization, false),
        ("platformAdmin", city, false),
        ("orgAdmin", organization, true),
        ("orgAdmin", city, false),
        ("orgAdmin", "null, null", false),
        ("cityAdmin", city, true),
        ("cityAdmin", organization, false),
        ("cityAdmin", "null, null", false),
    ];
    for (role, scope, fits) in tried {
        let text = format!(
            "insert into app.role_assignments (user_id, role, scope_type, scope_id)
             values ('00000000-0000-7000-8000-00000000a006', '{role}', {scope})"
        );
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
        let constraint = done.as_ref().err().map(|error| {
            let database = error.as_database_error().expect("of the database");
            database.constraint().unwrap_or_default().to_owned()
        });
        let expected = (!fits).then_some("role_assignments_role_fits_scope_check");
        assert_eq!(constraint.as_deref(), expected, "{role} of {scope}");
    }
    conn.close().await.expect("close");
}

/// Archiving empties the reference by which the rows that end are found.
#[tokio::test]
async fn rows_end_before_they_are_detached() {
    let badge = "entity: badge
doc: Opens the doors of a city or an organization.
fields:
  name: text(1..9)
  lost_at: time?, system
belongs:
  opens: one of city | organization?, on archive detach, on end set lost_at
  home: city?, on archive detach, on end archive
access:
  read: anyone
";
    let database = database(&[("badge", "", badge)]).await;
    let rows = "insert into app.cities (id, name) values ('00000000-0000-7000-8000-00000000c009', 'City 9');
        insert into app.badges (name, opens_type, opens_id) values ('set', 'city', '00000000-0000-7000-8000-00000000c009');
        insert into app.badges (name, home_id) values ('ended', '00000000-0000-7000-8000-00000000c009')";
    database.run(rows).await;
    database
        .run("update app.cities set status = 'archived' where name = 'City 9'")
        .await;
    let text = "select string_agg(name || ' ' || status || ' ' || (lost_at is not null) || ' ' || (coalesce(opens_id, home_id) is null), ', ' order by name desc) from app.badges";
    let found = database.text(text).await;
    assert_eq!(found, "set active true true, ended archived false true");
}
