//! The initial data: there is enough of it, and it is the same in every run.

use crate::support::{Database, TestServer, database::Content, model};
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

/// Entities without initial rows on purpose: these are created by signing in or up, and would give everybody access;
/// or they exist only during an upload.
const MADE_ON_THE_WAY: [&str; 7] = [
    "calendar_feed",
    "credential",
    "email_token",
    "media_upload",
    "refresh_token",
    "session",
    "throttle",
];

/// Rows written by triggers, with new ids in each run.
const MADE_BY_TRIGGERS: [&str; 5] = [
    "event_announcement",
    "plan_period",
    "event_local_time",
    "rank_note",
    "rating",
];

async fn count(conn: &mut PgConnection, text: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
        .fetch_one(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[tokio::test]
async fn the_reference_data_knows_the_world() {
    let database = Database::new(Content::Reference).await;
    let mut conn = database.superuser().await;
    assert!(count(&mut conn, "select count(*) from app.cities").await >= 1_000);
    let countries = "select count(*) from app.countries";
    assert_eq!(count(&mut conn, countries).await, 249);
    let with_currency =
        "select count(*) from app.countries where currency ~ '^[A-Z]{3}$' and code ~ '^[A-Z]{2}$'";
    assert_eq!(count(&mut conn, with_currency).await, 249);
    let codes = "select count(distinct code) from app.countries";
    assert_eq!(count(&mut conn, codes).await, 249);
    let homeless = "select count(*) from app.cities where timezone not in (select name from pg_timezone_names)";
    assert_eq!(count(&mut conn, homeless).await, 0);
}

#[tokio::test]
async fn the_demonstration_shows_something_of_everything() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    // Rows that are written past the module are what the module would have written.
    let decided = "select count(*) from app.fraud_flags where state <> 'open'";
    assert!(count(&mut conn, decided).await > 0);
    let by_nobody =
        format!("{decided} and (decided_at is null or decided_by_id is null or note is null)");
    assert_eq!(count(&mut conn, &by_nobody).await, 0);
    for table in ["events", "venues", "communities", "organizations"] {
        let places = |what: &str| {
            format!(
                "select count(distinct {what}) from app.{table} t join app.cities c on c.id = t.city_id"
            )
        };
        assert!(count(&mut conn, &places("c.id")).await >= 6, "{table}");
        assert!(
            count(&mut conn, &places("c.country_id")).await >= 4,
            "{table}"
        );
    }
    let mut rows = 0;
    for entity in &model().entities {
        let found = count(
            &mut conn,
            &format!("select count(*) from app.{}", entity.plural),
        )
        .await;
        // Of the other internal entities, some have rows, and some have none until the worker has run.
        let is_empty = MADE_ON_THE_WAY.contains(&entity.name.as_str());
        assert!(!is_empty || entity.internal, "{} has routes", entity.name);
        assert!(found == 0 || !is_empty, "{}: {found} rows", entity.name);
        assert!(found > 0 || entity.internal, "{} has no row", entity.name);
        if !["city", "country"].contains(&entity.name.as_str()) {
            rows += found;
        }
    }
    assert!(rows >= 5_000, "only {rows} rows");
}

/// The demonstration data do not insert rows that move tickets or money, nor service requests and quotes: `seed sales`
/// and `seed trade` make these through the API.
#[tokio::test]
async fn demo_data_inserts_nothing_that_modules_make() {
    let shown = Database::new(Content::Shown).await;
    let with_more = Database::new(Content::Demo).await;
    let (mut shown, mut with_more) = (shown.superuser().await, with_more.superuser().await);
    for entity in server::seed::examples::MADE_LATER {
        let mut entities = model().entities.iter();
        let entity = entities.find(|one| one.name == entity).expect(entity);
        let all = format!("select count(*) from app.{}", entity.plural);
        assert_eq!(count(&mut shown, &all).await, 0, "{}", entity.name);
        // Negative control: inserted rows would be counted.
        assert!(count(&mut with_more, &all).await > 0, "{}", entity.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_orders_refunds_and_quotes_are_made_through_the_modules() {
    let server = TestServer::start_with(Content::Shown, |_| {}).await;
    let (app, router) = (&server.built.app, &server.built.router);
    let made = server::seed::sales::make(app, router.clone()).await;
    assert!(made.expect("sales"));
    let mut conn = server.superuser().await;
    for (what, least) in [
        ("app.orders where state = 'paid' and sold_at_door", 80),
        ("app.orders where state = 'paid' and amount_cents = 0", 40),
        ("app.orders where state = 'refunded'", 8),
        (
            "app.refunds where state = 'succeeded' and cash_cents > 0",
            8,
        ),
        ("app.check_ins where result = 'ok'", 50),
        ("app.checkpoint_entries", 8),
        ("app.ticket_transfers where state = 'offered'", 4),
        ("app.waitlist_entries where state = 'waiting'", 4),
        ("app.service_requests", 8),
        ("app.leads where state = 'declined'", 1),
        ("app.quotes where state = 'sent'", 4),
        ("app.quotes where state = 'draft'", 1),
        (
            "app.wallet_accounts where user_id is not null and balance_cents = 500",
            8,
        ),
    ] {
        let found = count(&mut conn, &format!("select count(*) from {what}")).await;
        assert!(found >= least, "{found} {what}");
    }
    let cities =
        "select count(distinct e.city_id) from app.orders o join app.events e on e.id = o.event_id";
    assert_eq!(count(&mut conn, cities).await, 8);
    let faults = "select count(*) from app.money_invariants";
    assert_eq!(count(&mut conn, faults).await, 0);
    // A second run makes nothing.
    let orders = "select count(*) from app.orders";
    let before = count(&mut conn, orders).await;
    let again = server::seed::sales::make(app, router.clone()).await;
    assert!(!again.expect("nothing"));
    assert_eq!(count(&mut conn, orders).await, before);
}

/// Times relative to the time of the run.
const AROUND_NOW: [&str; 30] = [
    "at",
    "closes_at",
    "created_at",
    "current_period_end",
    "current_period_start",
    "decided_at",
    "ends_at",
    "event_at",
    "expires_at",
    "featured_until",
    "last_seen_at",
    "last_used_at",
    "needed_at",
    "next_attempt_at",
    "offer_expires_at",
    "opens_at",
    "paid_at",
    "period_start",
    "read_at",
    "refundable_until",
    "rewarded_at",
    "sales_end",
    "sales_start",
    "settled_at",
    "shown_until",
    "starts_at",
    "updated_at",
    "valid_from",
    "valid_to",
    "valid_until",
];

/// Compares two databases that were filled independently. Cities and countries get new ids in each run; where other
/// rows refer to them, their names are compared.
#[tokio::test]
async fn who_seeds_twice_gets_the_same_rows() {
    let (one, two) = (
        Database::new(Content::Empty).await,
        Database::new(Content::Empty).await,
    );
    let (mut first, mut second) = (one.superuser().await, two.superuser().await);
    tokio::join!(seed(&mut first), seed(&mut second));
    let before = hashes(&mut first).await;
    assert_eq!(before.len(), model().entities.len());
    assert_eq!(before, hashes(&mut second).await);

    // The negative control: a difference in a single value is noticed.
    sqlx::raw_sql("update app.promo_codes set max_redemptions = max_redemptions + 1 where id = (select min(id::text)::uuid from app.promo_codes)")
        .execute(&mut second)
        .await
        .expect("a change");
    let after = hashes(&mut second).await;
    let differ: Vec<&String> = before
        .keys()
        .filter(|table| before[*table] != after[*table])
        .collect();
    assert_eq!(differ, ["promo_codes"]);
}

async fn seed(conn: &mut PgConnection) {
    server::seed::reference::load(conn)
        .await
        .expect("reference data");
    assert!(
        server::seed::demo::load(conn)
            .await
            .expect("demonstration data")
    );
}

/// A hash of the rows of every table, independent of their order.
async fn hashes(conn: &mut PgConnection) -> BTreeMap<String, String> {
    sqlx::raw_sql(
        "create temporary table if not exists names as
           select id::text, code as name from app.countries
           union all select c.id::text, k.code || ' ' || c.slug from app.cities c join app.countries k on k.id = c.country_id;
         create index if not exists names_id on pg_temp.names (id) include (name);
         analyze pg_temp.names",
    )
    .execute(&mut *conn)
    .await
    .expect("names");
    let mut hashes = BTreeMap::new();
    for entity in &model().entities {
        let table = &entity.plural;
        let text = format!(
            "select coalesce(md5(string_agg(line, '|' order by line)), '') from (
               select string_agg(v.key || '=' || coalesce(n.name, v.value), ',' order by v.key) as line
               from app.{table} t cross join jsonb_each_text(to_jsonb(t) - $1) v left join pg_temp.names n on n.id = v.value
               group by t.id) lines"
        );
        let mut left_out = AROUND_NOW.map(str::to_owned).to_vec();
        // The id of a transaction.
        left_out.push("changed_in".to_owned());
        if MADE_BY_TRIGGERS.contains(&entity.name.as_str()) {
            left_out.push("id".to_owned());
        }
        let hash = sqlx::query_scalar(AssertSqlSafe(text))
            .bind(left_out)
            .fetch_one(&mut *conn)
            .await
            .unwrap_or_else(|error| panic!("{table}: {error}"));
        hashes.insert(table.clone(), hash);
    }
    hashes
}

/// Only times are left out of the comparison.
#[tokio::test]
async fn what_may_differ_between_two_seedings_are_times() {
    let database = Database::new(Content::Empty).await;
    let times: Vec<String> = sqlx::query_scalar(
        "select distinct column_name::text from information_schema.columns
         where table_schema = 'app' and column_name = any ($1)
         group by column_name, data_type having data_type in ('timestamp with time zone', 'date') order by 1",
    )
    .bind(AROUND_NOW.map(str::to_owned).to_vec())
    .fetch_all(&mut database.superuser().await)
    .await
    .expect("columns");
    assert_eq!(times, AROUND_NOW);
}

/// The values in the examples of the API document are those of rows, and the example ids are those that the generator
/// uses.
#[tokio::test]
async fn the_examples_of_the_document_are_rows_of_the_demonstration() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    for (entity, id) in server::seed::examples::ROWS {
        let plural = &model()
            .entities
            .iter()
            .find(|one| one.name == *entity)
            .unwrap_or_else(|| panic!("there is no entity {entity}"))
            .plural;
        let there = format!("select count(*) from app.{plural} where id = '{id}'");
        assert_eq!(count(&mut conn, &there).await, 1, "{entity} {id}");
    }
    let document = app::api::document();
    for (example, _) in server::seed::examples::of_the_demonstration() {
        let shown = document.contains(&example) || example.contains('@');
        assert!(shown, "nothing in the document says {example}");
    }
}
