//! Hand-written statements on tables of 200,000 rows.

use super::plans::{nodes, pretend_to_be_large, run};
use crate::{
    emitted::written::{Runner, Text, explain, texts},
    support::{Database, database::Content},
};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

/// Statements that may read all rows of a table: a file of jobs that run from time to time, and the table. Those of
/// bookings, plans and monthly shares stay small beside what members make.
const SWEEPS: [(&str, &str); 16] = [
    // The platform's queue of flags.
    ("dashboards/platform/watch.rs", "fraud_flags"),
    // Every hour.
    ("media/lifecycle.rs", "media"),
    ("media/lifecycle.rs", "media_uploads"),
    ("notifications.rs", "devices"),
    ("payments/shares.rs", "promotions"),
    ("payments/shares.rs", "quotes"),
    ("payments/shares.rs", "revenue_shares"),
    ("trending/maintenance.rs", "events"),
    // Every ten minutes.
    ("payments/paid_twice.rs", "disputes"),
    ("payments/reconcile.rs", "refunds"),
    ("payments/reconcile.rs", "subscriptions_business_id_key"),
    ("payments/cards.rs", "users"),
    ("tickets/cancelled.rs", "events"),
    // Every fifteen seconds.
    ("promotions/keep.rs", "promotions"),
    ("tickets/waitlist.rs", "events"),
    ("tickets/waitlist.rs", "waitlist_entries"),
];

/// What an administrator maintains by hand.
const SMALL: [&str; 2] = ["plans", "commission_rules"];

/// The tables that a plan reads from beginning to end, themselves or by an index that is not one of `empty`.
fn read_completely<'a>(plan: &'a Value, empty: &[String]) -> BTreeSet<&'a str> {
    let is_complete = |node: &&Value| match node["Node Type"].as_str() {
        Some("Seq Scan") => true,
        Some("Index Scan" | "Index Only Scan" | "Bitmap Index Scan") => {
            let index = node["Index Name"].as_str().unwrap_or_default();
            node["Index Cond"].is_null() && !empty.iter().any(|name| name == index)
        }
        _ => false,
    };
    let complete = nodes(plan).into_iter().filter(is_complete);
    complete
        .filter_map(|node| {
            node["Relation Name"]
                .as_str()
                .or(node["Index Name"].as_str())
        })
        .collect()
}

/// Puts a row into each empty table, of which the planner would believe that it stays empty. What the row must hold is
/// of no interest here.
async fn fill_empty_tables(database: &Database) {
    let text = "do $$
      declare
        v_table regclass;
        v_part text;
        v_is_empty boolean;
      begin
        perform set_config('session_replication_role', 'replica', true);
        for v_table in select c.oid::regclass from pg_class c
          where c.relnamespace in ('app'::regnamespace, 'search'::regnamespace, 'counters'::regnamespace) and c.relkind = 'r'
        loop
          execute format('select not exists (select from %s)', v_table) into v_is_empty;
          continue when not v_is_empty;
          for v_part in
            select format('drop constraint %I', conname) from pg_constraint where conrelid = v_table and contype = 'c'
            union all
            select format('alter column %I drop not null', attname) from pg_attribute a
            where attrelid = v_table and attnum > 0 and attnotnull
              and not exists (select from pg_index i where i.indrelid = v_table and i.indisprimary and a.attnum = any (i.indkey))
          loop
            execute format('alter table %s %s', v_table, v_part);
          end loop;
          begin
            execute format('insert into %s default values', v_table);
          exception when not_null_violation then
            raise notice '% stays empty', v_table;
          end;
        end loop;
      end $$";
    run(&mut *database.superuser().await, text).await;
}

/// Partial indexes without entries, of which the planner believes that reading them completely costs nothing.
async fn empty_indexes(database: &Database) -> Vec<String> {
    let text = "select c.relname::text from pg_class c join pg_index i on i.indexrelid = c.oid
        where c.relnamespace = 'app'::regnamespace and i.indpred is not null and pg_relation_size(c.oid) <= 8192";
    sqlx::query_scalar(text)
        .fetch_all(&mut *database.superuser().await)
        .await
        .expect("the catalogue")
}

/// Claim: a hand-written statement finds its rows by an index, also under the policies of the role that runs it, which
/// let only leakproof operators use one. Hash and merge joins are switched off, which would be cheaper for some values
/// and hide that there is no index.
#[tokio::test]
async fn no_hand_written_statement_reads_a_large_table() {
    let database = Database::new(Content::Sample).await;
    fill_empty_tables(&database).await;
    pretend_to_be_large(&database).await;
    let empty = empty_indexes(&database).await;
    let mut request = database.request_role().await;
    let mut job = database.job_role().await;
    for conn in [&mut request, &mut job] {
        let settings = "set statement_timeout = 0; set jit = off; set enable_seqscan = off; set enable_hashjoin = off;
                        set enable_mergejoin = off";
        run(conn, settings).await;
    }
    let (mut wrong, mut swept) = (BTreeSet::new(), BTreeSet::new());
    for Text { file, runner, sql } in &texts() {
        let conn = match runner {
            Runner::Request => &mut request,
            Runner::Job(_) => &mut job,
        };
        let plan = explain(conn, *runner, sql).await.expect("a plan");
        for table in read_completely(&plan, &empty) {
            let is_swept = |sweep: &&(&str, &str)| Path::new(sweep.0) == file && sweep.1 == table;
            match SWEEPS.iter().find(is_swept) {
                Some(sweep) => swept.extend([*sweep]),
                None if SMALL.contains(&table) => {}
                None => wrong.extend([format!("{} reads all of {table}:\n{sql}", file.display())]),
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(
        swept,
        SWEEPS.into(),
        "what reads no table any more is not listed"
    );

    // The control: no index, one that the operator can't use under a policy, and one that can be used.
    for (sql, reads) in [
        ("select id from app.users where display_name = $1", true),
        ("select id from app.users where lower(email) = $1", true),
        (
            "select id from app.users where email = $1 and status = 'active'",
            false,
        ),
    ] {
        run(
            &mut *database.superuser().await,
            "create index if not exists by_lower on app.users (lower(email))",
        )
        .await;
        let plan = explain(&mut job, Runner::Job("sessions"), sql).await;
        let plan = plan.expect("a plan");
        assert_eq!(!read_completely(&plan, &empty).is_empty(), reads, "{sql}");
    }
}
