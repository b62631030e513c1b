//! Both compiled forms of every rule, compared on random worlds: what the database lets each actor see and
//! do, row by row, against `kernel::rule::decide`. One disagreement fails; so does too few decisions, a
//! decision that is always the same, or a broken rule that goes unnoticed.

use super::{
    oracle::{Oracle, text},
    world::{self, World},
};
use crate::support::{self, Database, database::Content};
use codegen::model::Model;
use kernel::{Facts, resource::Resource};
use sqlx::{AssertSqlSafe, PgConnection, types::Json};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Rows an entity gets, and actors asked.
const SIZE: usize = 12;
const ACTORS: usize = 9;

#[derive(Default)]
struct Tally {
    decisions: usize,
    granted: usize,
    wrong: Vec<String>,
}

#[tokio::test]
async fn abuse_04_policies_and_predicates_agree_on_random_worlds() {
    let model = support::model();
    let mut tally = Tally::default();
    for seed in [1, 7] {
        let database = Database::new(Content::Empty).await;
        let mut conn = database.superuser().await;
        let world = make(&mut conn, model, seed).await;
        compare(&mut conn, model, &world, None, &mut tally).await;
    }
    println!("{} decisions, {} granted", tally.decisions, tally.granted);
    assert!(
        tally.wrong.is_empty(),
        "{} disagreements:\n{}",
        tally.wrong.len(),
        tally.wrong.join("\n")
    );
    assert!(
        tally.decisions >= 10_000,
        "only {} decisions",
        tally.decisions
    );
    let share = tally.granted * 100 / tally.decisions;
    assert!(
        (5..=95).contains(&share),
        "{share} % granted: the world says little"
    );
}

/// The negative control: one leaf of one rule is switched off in the database, and the comparison must see it.
#[tokio::test]
async fn abuse_04_a_policy_with_a_leaf_switched_off_is_noticed() {
    let model = support::model();
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let mut survived = mutants(&mut conn).await;
    assert!(
        survived.len() >= 10,
        "too few leaves to switch off: {}",
        survived.len()
    );
    // One small world need not hold the case that gives a broken leaf away.
    for seed in [7, 1, 3, 11, 5, 13, 17, 19] {
        if survived.is_empty() {
            break;
        }
        let world = make(&mut conn, model, seed).await;
        let mut left = Vec::new();
        for mutant in survived {
            sqlx::raw_sql("savepoint mutant")
                .execute(&mut conn)
                .await
                .unwrap();
            let statement = AssertSqlSafe(mutant.statement.clone());
            let done = sqlx::raw_sql(statement).execute(&mut conn).await;
            done.unwrap_or_else(|error| panic!("{}: {error}", mutant.what));
            let mut tally = Tally::default();
            compare(&mut conn, model, &world, Some(&mutant.table), &mut tally).await;
            sqlx::raw_sql("rollback to savepoint mutant")
                .execute(&mut conn)
                .await
                .unwrap();
            if tally.wrong.is_empty() {
                left.push(mutant);
            }
        }
        sqlx::raw_sql("rollback").execute(&mut conn).await.unwrap();
        survived = left;
    }
    let survived: Vec<String> = survived.into_iter().map(|mutant| mutant.what).collect();
    assert!(survived.is_empty(), "broken and not noticed: {survived:#?}");
}

/// A world in an open transaction that nobody commits.
async fn make(conn: &mut PgConnection, model: &Model, seed: u64) -> World {
    // Planning the nested policies takes longer than running them.
    let settings = "begin; set local plan_cache_mode = force_generic_plan; set local jit = off";
    sqlx::raw_sql(settings).execute(&mut *conn).await.unwrap();
    world::make(conn, model, seed, SIZE).await
}

/// Asks both sides about every row, actor and action; of one table only, if one is named.
async fn compare(
    conn: &mut PgConnection,
    model: &Model,
    world: &World,
    only: Option<&str>,
    tally: &mut Tally,
) {
    let resources = support::resources();
    for actor in actors(model, world) {
        sqlx::raw_sql("savepoint actor")
            .execute(&mut *conn)
            .await
            .unwrap();
        ask(conn, model, resources, world, actor, only, tally).await;
        sqlx::raw_sql("rollback to savepoint actor")
            .execute(&mut *conn)
            .await
            .unwrap();
    }
}

/// Nobody, some with roles, some without.
fn actors(model: &Model, world: &World) -> Vec<Option<Uuid>> {
    let active = |id: &&str| {
        world
            .row(model.identity, id)
            .is_some_and(|row| text(row, "status") == Some("active"))
    };
    let person = |row: &world::Row, column: &str| text(row, column).map(str::to_owned);
    let holders: Vec<String> = world.rows[model.assignments]
        .iter()
        .filter_map(|row| person(row, "user_id"))
        .collect();
    let everyone: Vec<String> = world.rows[model.identity]
        .iter()
        .filter_map(|row| person(row, "id"))
        .collect();
    let mut chosen: Vec<&str> = Vec::new();
    for id in holders
        .iter()
        .chain(&everyone)
        .map(String::as_str)
        .filter(active)
    {
        if !chosen.contains(&id) && chosen.len() < ACTORS {
            chosen.push(id);
        }
    }
    std::iter::once(None)
        .chain(chosen.into_iter().map(|id| Some(id.parse().expect("uuid"))))
        .collect()
}

async fn ask(
    conn: &mut PgConnection,
    model: &Model,
    resources: &HashMap<&'static str, &'static Resource>,
    world: &World,
    me: Option<Uuid>,
    only: Option<&str>,
    tally: &mut Tally,
) {
    let facts = enter(conn, model, me, "read").await;
    let now = sqlx::query_scalar("select now()")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    // Who restores holds the roles as well that were archived together with what they are for.
    let facts_restoring = enter(conn, model, me, "restore").await;
    let restoring = Oracle::new(model, resources, world, me, facts_restoring, now);
    let oracle = Oracle::new(model, resources, world, me, facts, now);
    for (at, entity) in model.entities.iter().enumerate() {
        let Some(resource) = resources.get(entity.name.as_str()) else {
            continue;
        };
        if only.is_some_and(|table| table != entity.plural) {
            continue;
        }
        let mut actions: Vec<&str> = vec!["read"];
        if entity.writable() {
            actions.extend(["update", "archive", "restore", "suspend", "unsuspend"]);
            actions.extend(resource.transitions.iter().map(|t| t.name));
        }
        for action in actions {
            let allowed = allowed(conn, model, &entity.plural, me, action).await;
            let oracle = if action == "restore" {
                &restoring
            } else {
                &oracle
            };
            for row in &world.rows[at] {
                let id = text(row, "id").expect("id");
                let rust = if action == "read" {
                    oracle.visible(resource, row)
                } else {
                    oracle.may(resource, action, row)
                };
                let database = allowed.contains(id);
                tally.decisions += 1;
                tally.granted += usize::from(database);
                if rust != database && tally.wrong.len() < 20 {
                    tally.wrong.push(format!(
                        "{action} {} {id} as {me:?}: database {database}, Rust {rust}",
                        entity.name
                    ));
                }
            }
        }
    }
}

/// The ids that the request role can reach for the action: FOR UPDATE asks the UPDATE policy.
async fn allowed(
    conn: &mut PgConnection,
    model: &Model,
    plural: &str,
    me: Option<Uuid>,
    action: &str,
) -> BTreeSet<String> {
    sqlx::raw_sql("savepoint ask")
        .execute(&mut *conn)
        .await
        .unwrap();
    enter(conn, model, me, action).await;
    let lock = if action == "read" { "" } else { " for update" };
    let text = format!("select t.id::text from app.{plural} t{lock}");
    let ids: Result<Vec<String>, _> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_all(&mut *conn)
        .await;
    sqlx::raw_sql("rollback to savepoint ask; reset role")
        .execute(&mut *conn)
        .await
        .unwrap();
    match ids {
        Ok(ids) => ids.into_iter().collect(),
        // No UPDATE privilege at all.
        Err(error)
            if action != "read"
                && error.as_database_error().and_then(|e| e.code()).as_deref() == Some("42501") =>
        {
            BTreeSet::new()
        }
        Err(error) => panic!("{action} {plural}: {error}"),
    }
}

async fn enter(conn: &mut PgConnection, model: &Model, me: Option<Uuid>, action: &str) -> Facts {
    let role = format!("set local role {}_app", model.app);
    sqlx::raw_sql(AssertSqlSafe(role))
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query("select sec.enter($1, null, $2, gen_random_uuid()::text)")
        .bind(me)
        .bind(action)
        .execute(&mut *conn)
        .await
        .unwrap();
    if me.is_none() {
        return Facts::default();
    }
    let Json(facts) = sqlx::query_scalar("select sec.facts()")
        .fetch_one(conn)
        .await
        .unwrap();
    facts
}

struct Mutant {
    what: String,
    statement: String,
    table: String,
}

/// Statements that each break one leaf of one policy: a call that names the caller's rights becomes `false`
/// or `true`, a comparison with a word its opposite.
async fn mutants(conn: &mut PgConnection) -> Vec<Mutant> {
    let policies: Vec<(String, String, String)> = sqlx::query_as(
        "select tablename::text, policyname::text, qual from pg_policies
         where schemaname = 'app' and qual is not null and cmd = 'SELECT' and 'culturepass_job' <> all (roles)
         order by tablename, policyname",
    )
    .fetch_all(conn)
    .await
    .unwrap();
    let leaves = [
        (
            "( SELECT sec.is_platform_admin() AS is_platform_admin)",
            "false",
        ),
        (
            "( SELECT sec.uid() AS uid)",
            "'00000000-0000-0000-0000-000000000000'::uuid",
        ),
        ("sec.scopes_org_admin()", "'{}'::uuid[]"),
        ("sec.scopes_city_admin()", "'{}'::uuid[]"),
        ("sec.mine_event_admin()", "null::uuid"),
        ("(visibility = 'public'::text)", "true"),
        ("(state = 'approved'::text)", "true"),
        ("(is_public)", "true"),
        ("(status = 'active'::text)", "true"),
    ];
    let tables = [
        "communities",
        "organizations",
        "events",
        "users",
        "role_assignments",
        "devices",
        "orders",
        "waitlist_entries",
    ];
    let mut found = Vec::new();
    for (table, policy, qual) in policies {
        // A few tables: all leaves of all tables would take minutes.
        for (leaf, instead) in leaves {
            if tables.contains(&table.as_str()) && qual.contains(leaf) {
                let broken = qual.replace(leaf, instead);
                found.push(Mutant {
                    what: format!("{table}.{policy}: {leaf} -> {instead}"),
                    statement: format!("alter policy {policy} on app.{table} using ({broken})"),
                    table: table.clone(),
                });
            }
        }
    }
    found
}
