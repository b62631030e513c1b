//! A demonstration world to look at: people, profiles and events of eight cities.
//!
//! Texts come from `data/demo` and choices from hashes, so every run makes the same rows; only the dates of events are
//! relative to the day of the run.

use sqlx::{Connection, PgConnection};
use uuid::{Uuid, uuid};

/// An account to sign in with.
#[derive(Debug)]
pub struct Person {
    pub id: Uuid,
    pub handle: &'static str,
    /// What the account may do, for the greeting of `script/run`.
    pub is: &'static str,
}

/// In the order of `demo/people.sql`.
pub const PEOPLE: [Person; 6] = [
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000001"),
        handle: "paula_platform",
        is: "platformAdmin",
    },
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000002"),
        handle: "carlo_council",
        is: "cityAdmin of Melbourne",
    },
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000003"),
        handle: "olga_organiser",
        is: "orgAdmin of an organisation in Melbourne",
    },
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000004"),
        handle: "binh_business",
        is: "orgAdmin of a business in Melbourne",
    },
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000005"),
        handle: "mira_member",
        is: "a member",
    },
    Person {
        id: uuid!("0199c000-0000-7000-8000-000000000006"),
        handle: "priya_private",
        is: "a member who keeps private",
    },
];

const WORDS: [(&str, &str); 5] = [
    ("places", include_str!("../../../../data/demo/places.json")),
    ("people", include_str!("../../../../data/demo/people.json")),
    (
        "profiles",
        include_str!("../../../../data/demo/profiles.json"),
    ),
    ("events", include_str!("../../../../data/demo/events.json")),
    (
        "reviews",
        include_str!("../../../../data/demo/reviews.json"),
    ),
];

/// Each file builds on the ones before.
const STEPS: [&str; 9] = [
    include_str!("demo/tools.sql"),
    include_str!("demo/people.sql"),
    include_str!("demo/profiles.sql"),
    include_str!("demo/events.sql"),
    include_str!("demo/social.sql"),
    include_str!("demo/tickets.sql"),
    include_str!("demo/trade.sql"),
    include_str!("demo/private.sql"),
    include_str!("demo/roles.sql"),
];

/// Needs the reference data. False: the world exists already.
pub async fn load(db: &mut PgConnection) -> anyhow::Result<bool> {
    load_with(db, &[]).await
}

/// Like [`load`], with further statements in the same transaction, which may use its temporary tables. Tests add years
/// of sales in this way.
pub async fn load_with(db: &mut PgConnection, more: &[&'static str]) -> anyhow::Result<bool> {
    let mut tx = db.begin().await?;
    let there: bool = sqlx::query_scalar("select exists (select from app.users where id = $1)")
        .bind(PEOPLE[0].id)
        .fetch_one(&mut *tx)
        .await?;
    if there {
        return Ok(false);
    }
    // The password of these accounts is public.
    let others: bool = sqlx::query_scalar("select exists (select from app.users)")
        .fetch_one(&mut *tx)
        .await?;
    if others {
        anyhow::bail!(
            "this database has members of its own; demonstration data only go into one without any"
        );
    }
    sqlx::raw_sql(
        "create temporary table words (name text primary key, list jsonb) on commit drop",
    )
    .execute(&mut *tx)
    .await?;
    for (name, json) in WORDS {
        sqlx::query("insert into pg_temp.words values ($1, $2::jsonb)")
            .bind(name)
            .bind(json)
            .execute(&mut *tx)
            .await?;
    }
    for step in STEPS.iter().chain(more) {
        sqlx::raw_sql(*step).execute(&mut *tx).await?;
    }
    // All of it is meant to have happened long ago, so nobody is notified now.
    sqlx::raw_sql(
        "do $$ begin delete from jobs.events; exception when insufficient_privilege then null; end $$",
    )
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}
