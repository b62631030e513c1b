//! Down migrations over rows that the version before could not have written: they give up what it can't hold, and do
//! not fail.

use super::blank::{Blank, limits};
use super::repository::{Edit, Repository, world};
use super::rows::ROWS;
use kernel::migrate::{down, up};

/// From the base world with `from` to the one with `to`, where the rows are written, and back.
async fn back(from: &[Edit<'_>], to: &[Edit<'_>], rows: &str) -> Blank {
    let mut repository = Repository::default();
    repository.generate(&world(from)).expect("the foundation");
    let database = Blank::new().await;
    up(&database.options(), &repository.list(), &limits())
        .await
        .expect("the foundation");
    database.run(ROWS).await;
    let written = repository.generate(&world(to));
    assert!(written.is_ok_and(|files| files > 0), "a migration");
    let list = repository.list();
    up(&database.options(), &list, &limits())
        .await
        .unwrap_or_else(|e| panic!("up: {e}"));
    database.run(rows).await;
    down(&database.options(), &list, 1, &limits())
        .await
        .unwrap_or_else(|e| panic!("down: {e}"));
    database
}

/// Each type with a value, as SQL.
const TYPES: [(&str, &str); 11] = [
    ("text(1..9)", "'abc'"),
    ("int", "7"),
    ("bigint", "9999999999"),
    ("decimal(2)", "12345678901.25"),
    ("bool", "true"),
    ("time", "now()"),
    ("date", "current_date"),
    ("uuid", "gen_random_uuid()"),
    ("json", "'{\"a\": 1}'"),
    ("point", "'SRID=4326;POINT(1 2)'"),
    ("email", "'a@b.example'"),
];

#[tokio::test]
async fn a_value_that_the_type_before_cannot_hold() {
    let number = TYPES.len();
    let pairs = (0..number * number).filter(|n| n / number != n % number);
    let pairs: Vec<(usize, usize)> = pairs.map(|n| (n / number, n % number)).collect();
    for mark in ["", "?"] {
        let badge = |of: &dyn Fn((usize, usize)) -> usize| {
            let fields: String = (pairs.iter())
                .map(|&(from, to)| format!("  f_{from}_{to}: {}{mark}\n", TYPES[of((from, to))].0))
                .collect();
            format!(
                "entity: badge\ndoc: A badge.\nfields:\n  name: text(1..9)\n{fields}access:\n  read: anyone\n"
            )
        };
        let (before, after) = (badge(&|(from, _)| from), badge(&|(_, to)| to));
        let (mut lost, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (from, to) in &pairs {
            lost.push(format!("badge.f_{from}_{to}"));
            names.push(format!("f_{from}_{to}"));
            values.push(TYPES[*to].1);
        }
        let dropped = format!("dropped: [{}]\nmodules:", lost.join(", "));
        let rows = format!(
            "insert into app.badges (name, {}) values ('b', {})",
            names.join(", "),
            values.join(", ")
        );
        let database = back(
            &[("badge", "", &before)],
            &[("badge", "", &after), ("app", "modules:", &dropped)],
            &rows,
        )
        .await;
        // What can be held is kept: a number that was a text from then on, and a date that was a time.
        let kept = "select f_0_1 = '7' and f_6_5 = current_date and coalesce(f_1_0, 0) = 0 from app.badges";
        assert_eq!(
            database.text(&format!("select ({kept})::text")).await,
            "true"
        );
    }
}

/// References that are null by now, and that the version before never found null.
#[tokio::test]
async fn a_reference_that_leads_nowhere() {
    let badge = |mark: &str| {
        format!(
            "entity: badge\ndoc: A badge.\nfields:\n  name: text(1..9)\nbelongs:\n  owner: city{mark}\n  extra: one of city | organization{mark}\naccess:\n  read: anyone\n"
        )
    };
    let (required, optional) = (badge(""), badge("?"));
    let rows = "insert into app.badges (name) values ('b');
        insert into app.badges (name, owner_id, extra_type, extra_id)
        select 'c', id, 'city', id from app.cities limit 1;";
    let database = back(
        &[("badge", "", &required)],
        &[("badge", "", &optional)],
        rows,
    )
    .await;
    let checks = [
        (
            "select count(*) from app.badges where extra_type = 'city' and extra_id is not null",
            "2",
        ),
        (
            "select count(*) from app.badges b where exists (select from app.cities c where c.id = b.owner_id)",
            "1",
        ),
        (
            "select count(*) from pg_constraint where conname = 'badges_owner_id_fkey' and not convalidated",
            "1",
        ),
    ];
    for (query, expected) in checks {
        assert_eq!(
            database.text(&format!("select ({query})::text")).await,
            expected,
            "{query}"
        );
    }
}
