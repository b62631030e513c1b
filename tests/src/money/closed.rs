//! M4: tables of money are under row-level security, and histories can't be changed by any login of the server.

use crate::support::{Database, database::Content, model};
use codegen::model::{Lifecycle, Ty};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::collections::BTreeSet;

/// The modules whose tables are about money, tickets and what was paid for.
const MODULES: [&str; 5] = ["payments", "wallet", "tickets", "promotions", "marketplace"];

/// Tables of these modules, and all others with an amount: name, and whether rows are only added.
fn tables() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for entity in &model().entities {
        let has_amount = entity
            .fields
            .iter()
            .any(|field| matches!(field.ty, Ty::Money { .. }));
        let module = entity
            .module
            .map(|module| model().modules[module].name.as_str());
        let is_of = module.is_some_and(|module| MODULES.contains(&module));
        if has_amount || is_of {
            found.push((
                entity.plural.clone(),
                entity.lifecycle == Lifecycle::AppendOnly,
            ));
        }
    }
    found
}

async fn without_security(conn: &mut PgConnection) -> BTreeSet<String> {
    let open: Vec<String> = sqlx::query_scalar(
        "select c.relname from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'r'
           and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    .fetch_all(conn)
    .await
    .expect("tables");
    open.into_iter().collect()
}

/// Which of these three statements a login may run on the table.
async fn allowed(conn: &mut PgConnection, table: &str, column: &str) -> Vec<String> {
    let mut allowed = Vec::new();
    for text in [
        format!("update app.{table} set {column} = {column}"),
        format!("delete from app.{table}"),
        format!("truncate app.{table} cascade"),
    ] {
        let mut transaction = conn.begin().await.expect("begun");
        let done = sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&mut *transaction)
            .await;
        match done {
            Ok(_) => allowed.push(text),
            Err(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                assert_eq!(code.as_deref(), Some("42501"), "{text}: {error}");
            }
        }
    }
    allowed
}

#[tokio::test]
async fn m4_tables_of_money_are_guarded_and_histories_are_never_changed() {
    let database = Database::new(Content::Empty).await;
    let mut superuser = database.superuser().await;
    let tables = tables();
    let histories: Vec<&str> = tables
        .iter()
        .filter(|(_, is_history)| *is_history)
        .map(|(table, _)| table.as_str())
        .collect();
    assert!(tables.len() > 25 && histories.len() >= 5, "{tables:?}");

    let open = without_security(&mut superuser).await;
    let open: Vec<_> = tables
        .iter()
        .filter(|(table, _)| open.contains(table))
        .collect();
    assert!(open.is_empty(), "{open:?}");
    let mut logins = [database.request_role().await, database.job_role().await];
    for table in &histories {
        for login in &mut logins {
            assert_eq!(allowed(login, table, "id").await, Vec::<String>::new());
        }
    }

    // The negative controls.
    for text in [
        "alter table app.orders no force row level security",
        "grant update, delete, truncate on app.wallet_transactions to culturepass_job",
    ] {
        sqlx::raw_sql(text)
            .execute(&mut superuser)
            .await
            .expect(text);
    }
    assert!(without_security(&mut superuser).await.contains("orders"));
    let [_, job] = &mut logins;
    assert_eq!(allowed(job, "wallet_transactions", "id").await.len(), 3);
}
