//! OD2: the changed tickets of an event are read through an index, however many tickets the event has.

use crate::{
    emitted::written,
    support::{Database, database::Content, root},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

/// An event with a hundred thousand tickets, which changed in the course of 90 days.
const ROWS: &str = "
    set session_replication_role = replica;
    create temporary table kind as select id, event_id from app.ticket_types limit 1;
    create temporary table guest as select id, row_number() over (order by id) as n, count(*) over () as total from app.users;
    insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, position, currency, code, updated_at)
    select sec.uuid_v7(), kind.id, kind.event_id, guest.id, guest.id, 1, 'EUR', 'one-of-many-tickets-' || g,
      now() - g * interval '77 seconds'
    from generate_series(1, 100000) g cross join kind join guest on guest.n = 1 + g % guest.total;
    set session_replication_role = origin;
    analyze app.tickets";

const INDEX: &str = "tickets_event_id_updated_at_id_idx";

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// The plan, made like the server's, for a page of what has changed in the last hour, with the number of tickets read.
async fn plan(conn: &mut PgConnection, sql: &str, event: &str) -> Value {
    let nil = "'00000000-0000-0000-0000-000000000000'";
    let hour = "now() - interval '1 hour'";
    let arguments = match sql.contains("$7") {
        true => format!("'{event}', null, null, null, {nil}, 51, {hour}"),
        false => format!("'{event}', {nil}, 101, {hour}"),
    };
    run(conn, &format!("prepare s as {sql}")).await;
    let explain = format!("explain (analyze, format json) execute s({arguments})");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(&mut *conn)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    run(conn, "deallocate s").await;
    plan[0]["Plan"].clone()
}

fn nodes(plan: &Value) -> Vec<&Value> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    std::iter::once(plan).chain(below.flat_map(nodes)).collect()
}

/// The number of tickets that were read, including those that were filtered out.
fn looked_at(plan: &Value) -> f64 {
    let scans = nodes(plan).into_iter();
    let of_tickets = scans.filter(|node| node["Alias"] == "k");
    let count = |node: &Value, key: &str| node[key].as_f64().unwrap_or(0.0);
    of_tickets
        .map(|node| {
            let rows = count(node, "Actual Rows") + count(node, "Rows Removed by Filter");
            rows * count(node, "Actual Loops")
        })
        .sum()
}

#[tokio::test]
async fn od2_changed_since_reads_what_has_changed_and_not_the_event() {
    let database = Database::new(Content::Sample).await;
    let mut superuser = database.superuser().await;
    run(&mut superuser, ROWS).await;
    let event: String = sqlx::query_scalar("select event_id::text from kind")
        .fetch_one(&mut superuser)
        .await
        .expect("an event");
    let mut job = database.job_role().await;
    // Set for the session, not for a transaction.
    run(
        &mut job,
        "select set_config('app.job', 'tickets', false); set plan_cache_mode = force_generic_plan; set jit = off",
    )
    .await;
    let mut texts = Vec::new();
    for file in ["attendees.rs", "offline.rs"] {
        let file = root().join("runtime/app/src/tickets").join(file);
        texts.extend(written::of_file(&file));
    }
    texts.retain(|sql| sql.contains("order by k.updated_at, k.id"));
    assert_eq!(texts.len(), 3);
    for sql in &texts {
        let plan = plan(&mut job, sql, &event).await;
        let by_index = nodes(&plan).iter().any(|node| node["Index Name"] == INDEX);
        assert!(by_index, "{sql}\n{plan:#}");
        // 46 have changed within the hour, and the sample contains some more.
        assert!(looked_at(&plan) < 150.0, "{sql}\n{plan:#}");
    }
    // The control: without the index all of them are read.
    run(&mut superuser, &format!("drop index app.{INDEX}")).await;
    for sql in &texts {
        let plan = plan(&mut job, sql, &event).await;
        assert!(looked_at(&plan) > 90_000.0, "{sql}\n{plan:#}");
    }
}
