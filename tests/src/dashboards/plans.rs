//! The platform's dashboard reads only rows of its period from large tables, through an index.

use crate::{
    emitted::written,
    support::{Database, database::Content, root},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

/// A hundred thousand rows in each table, over four years.
const ROWS: &str = "
    set session_replication_role = replica;
    insert into app.users (handle, display_name, email, created_at)
    select 'many_' || n, 'Many', 'many_' || n || '@example.org', now() - random() * interval '4 years' from generate_series(1, 100000) n;
    create temporary table drawn as
    select sec.uuid_v7() as id, (array(select id from app.events limit 50))[1 + n % 50] as event_id, now() - random() * interval '4 years' as paid_at, n
    from generate_series(1, 100000) n;
    insert into app.orders (id, user_id, event_id, state, amount_cents, currency, paid_at, ticket_count, idempotency_key)
    select d.id, (select id from app.users limit 1), d.event_id, 'paid', 0, 'AUD', d.paid_at, 1, 'one-of-many-orders-' || d.n from drawn d;
    insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
    select d.id, (select id from app.ticket_types limit 1), d.event_id, (select id from app.users limit 1), (select id from app.users limit 1),
      'one-of-many-tickets-' || d.n, 1, 'AUD' from drawn d;
    insert into app.refunds (order_id, state, amount_cents, currency, stripe_idempotency_key, settled_at)
    select d.id, 'succeeded', 0, 'AUD', 'one-of-many-refunds-' || d.n, d.paid_at from drawn d;
    insert into app.transactions (user_id, order_id, type, amount_cents, currency, status, stripe_idempotency_key, created_at)
    select (select id from app.users limit 1), d.id, 'ticket', 1, 'AUD', 'succeeded', 'one-of-many-payments-' || d.n, d.paid_at from drawn d;
    set session_replication_role = origin;
    analyze app.users, app.orders, app.tickets, app.refunds, app.transactions, app.events";

const LARGE: [&str; 5] = ["users", "orders", "tickets", "refunds", "transactions"];

/// Tables that a plan reads completely.
fn read_whole(plan: &Value, found: &mut Vec<String>) {
    if plan["Node Type"] == "Seq Scan" {
        found.extend(plan["Relation Name"].as_str().map(str::to_owned));
    }
    for below in plan["Plans"].as_array().into_iter().flatten() {
        read_whole(below, found);
    }
}

async fn plan(conn: &mut PgConnection, sql: &str) -> Value {
    let last = "(date_trunc('day', now()) - interval '29 days')::date, now()::date";
    let arguments = match sql.contains("$5") {
        true => format!("{last}, 'day', null, null"),
        false => format!("{last}, null, null"),
    };
    let text = format!("prepare s as {sql}");
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *conn)
        .await
        .expect("prepared");
    let explain = format!("explain (analyze, buffers off, format json) execute s({arguments})");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(&mut *conn)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    sqlx::raw_sql("deallocate s")
        .execute(conn)
        .await
        .expect("gone");
    plan
}

#[tokio::test]
async fn od1_the_platforms_figures_read_no_large_table_from_end_to_end() {
    let database = Database::new(Content::Demo).await;
    sqlx::raw_sql(ROWS)
        .execute(&mut database.superuser().await)
        .await
        .expect("many rows");
    let mut job = database.job_role().await;
    sqlx::raw_sql("select sec.enter_job('dashboards', null, null, gen_random_uuid())")
        .execute(&mut job)
        .await
        .expect("entered");
    // Set for the session, not for a transaction.
    sqlx::raw_sql("select set_config('app.job', 'dashboards', false)")
        .execute(&mut job)
        .await
        .expect("entered");
    let file = root().join("runtime/app/src/dashboards/platform/sums.rs");
    let texts = written::of_file(&file);
    assert_eq!(texts.len(), 3);
    for sql in texts {
        let plan = plan(&mut job, &sql).await;
        println!("{} ms", plan[0]["Execution Time"]);
        let mut whole = Vec::new();
        read_whole(&plan[0]["Plan"], &mut whole);
        whole.retain(|table| LARGE.contains(&table.as_str()));
        assert!(whole.is_empty(), "{whole:?}\n{sql}\n{plan:#}");
    }
    // The control: a missing index is noticed.
    sqlx::raw_sql("drop index app.orders_paid_at_idx")
        .execute(&mut database.superuser().await)
        .await
        .expect("an index");
    let sql = &written::of_file(&file)[0];
    let mut whole = Vec::new();
    read_whole(&plan(&mut job, sql).await[0]["Plan"], &mut whole);
    assert!(whole.contains(&"orders".to_owned()), "{whole:?}");
}
