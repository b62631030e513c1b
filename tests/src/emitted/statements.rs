//! The database accepts every statement, with the privileges of the request role.

use super::{texts, written::HIDDEN_FROM_NULLS};
use crate::support::{Database, database::Content};
use kernel::resource::{Kind, Resource};
use sqlx::{AssertSqlSafe, PgConnection};

/// All statements of a resource with their purpose; empty ones are actions that the entity doesn't have.
fn statements(resource: &Resource) -> Vec<(String, String)> {
    let sql = &resource.sql;
    let list = resource.list_text("");
    let mut all: Vec<(String, String)> = [
        ("get", sql.get),
        ("get_anonymous", sql.get_anonymous),
        ("list", &list),
        ("by_ids", sql.by_ids),
        ("create", sql.create),
        ("update", sql.update),
        ("archive", sql.archive),
        ("restore", sql.restore),
        ("suspend", sql.suspend),
        ("unsuspend", sql.unsuspend),
        ("probe", sql.probe),
        ("national", sql.national.map_or("", |found| found.country)),
    ]
    .into_iter()
    .chain(resource.transitions.iter().map(|t| (t.name, t.sql)))
    .map(|(name, text)| (name.to_owned(), text.to_owned()))
    .collect();
    let guarded = sql.update_guarded.map_or(Vec::new(), texts::update_texts);
    all.extend(guarded.into_iter().map(|text| ("update".to_owned(), text)));
    for filter in resource.filters {
        let text = match filter.kind {
            Kind::Search => format!("select {}('jazz', true, '{{}}', null, 21)", filter.sql),
            Kind::Point => format!("select id, {} from {}", filter.param, filter.sql),
            _ => resource.list_text(&format!(" where {} is null", filter.sql)),
        };
        all.push((format!("filter {}", filter.param), text));
    }
    for sort in resource.sorts {
        let text = resource.list_text(&format!(" order by {}, t.id", sort.sql));
        all.push((format!("sort {}", sort.name), text));
    }
    all.retain(|(_, text)| !text.is_empty());
    all
}

#[tokio::test]
async fn every_statement_runs_with_the_rights_of_a_request() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.request_role().await;
    // The time limit doesn't matter here, since hundreds of statements are planned once. A plan for nulls would omit
    // what they rule out, and the functions in that part would not be checked.
    let settings = "set statement_timeout = 0; set plan_cache_mode = force_generic_plan; \
                    set search_path = pg_catalog, pg_temp";
    execute(&mut conn, settings.to_owned())
        .await
        .expect("settings");
    let mut wrong = Vec::new();
    let mut count = 0;
    for resource in generated::hooks::RESOURCES {
        for (name, text) in statements(resource) {
            count += 1;
            if let Err(why) = run(&mut conn, &name, &text).await {
                wrong.push(format!("{} {name}: {why}\n{text}", resource.name));
            }
        }
    }
    assert!(count > 400, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    // The control: a missing privilege is noticed.
    let refused = run(&mut conn, "get", HIDDEN_FROM_NULLS).await;
    let refused = refused.expect_err("no right").to_string();
    assert!(
        refused.contains("permission denied for function"),
        "{refused}"
    );
}

/// Prepares a statement without types, and runs it with nulls, because privileges are checked on execution. Lists
/// select the same as `get`, and planning each of their forms would take minutes, so they are left out.
async fn run(conn: &mut PgConnection, name: &str, text: &str) -> Result<(), sqlx::Error> {
    execute(conn, format!("prepare s as {text}")).await?;
    if ["list", "by_ids"].contains(&name) || name.contains(' ') {
        return execute(conn, "deallocate s".to_owned()).await;
    }
    let parameters = (1..)
        .take_while(|n| text.contains(&format!("${n}")))
        .count();
    let nulls = vec!["null"; parameters].join(", ");
    let nulls = if nulls.is_empty() {
        nulls
    } else {
        format!("({nulls})")
    };
    let result = execute(conn, format!("execute s{nulls}")).await;
    execute(conn, "deallocate s".to_owned()).await?;
    match result {
        // A row of nulls violates a constraint or policy, but must not lack a privilege.
        Err(error) if name == "create" && !error.to_string().contains("permission denied") => {
            Ok(())
        }
        other => other,
    }
}

async fn execute(conn: &mut PgConnection, text: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await?;
    Ok(())
}

/// The database has every constraint that a resource names.
#[tokio::test]
async fn every_constraint_that_is_answered_is_there() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let known: Vec<String> = sqlx::query_scalar(
        r"select conname::text from pg_constraint union select relname::text from pg_class where relkind = 'i'
         union select tgname::text from pg_trigger
         union select (regexp_matches(pg_get_triggerdef(oid), 'refuse_past[(]''([a-z0-9_]+)''[)]'))[1] from pg_trigger
         union select (regexp_matches(prosrc, 'constraint = ''([a-z0-9_]+)''', 'g'))[1] from pg_proc",
    )
    .fetch_all(&mut conn)
    .await
    .expect("catalogue");
    for resource in generated::hooks::RESOURCES {
        for constraint in resource.constraints {
            assert!(
                known.iter().any(|name| name == constraint.name),
                "{}",
                constraint.name
            );
        }
    }
}
