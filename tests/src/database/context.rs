//! The caller's context: entering it, and what remains of it at the end of a transaction.

use super::world::{self, attempt, enter, rows, scalar, world};
use crate::support::{Database, database::Content};
use sqlx::Row;
use uuid::Uuid;

#[tokio::test]
async fn entering_reads_the_roles_that_are_live() {
    let world = world().await;
    let facts = "select sec.facts()::text";
    let mut request = world.request(Some(world.host), "get").await;
    let known: String = scalar(&mut *request, facts).await;
    assert!(
        known.contains(&format!("\"orgAdmin\": [\"{}\"]", world.organization)),
        "{known}"
    );
    drop(request);
    // A second administrator, because the last one can't be removed.
    super::world::new(
        &world.database.superuser,
        &format!(
            "role_assignments (user_id, role, scope_type, scope_id, state) values ('{}', 'orgAdmin', 'organization', '{}', 'accepted')",
            world.ana, world.organization
        ),
    )
    .await;
    world
        .admin(format!(
            "update app.role_assignments set status = 'archived' where user_id = '{}'",
            world.host
        ))
        .await
        .unwrap();
    let mut request = world.request(Some(world.host), "get").await;
    let known: String = scalar(&mut *request, facts).await;
    assert!(
        known.contains("\"orgAdmin\": []"),
        "a removed role does not count in the next request: {known}"
    );
    drop(request);
    let mut request = world.request(Some(world.platform), "get").await;
    let known: String = scalar(&mut *request, facts).await;
    assert!(known.contains("\"platformAdmin\": true"), "{known}");
}

#[tokio::test]
async fn accounts_that_may_not_enter() {
    let world = world().await;
    let enter = |user: &str, session: &str| {
        format!("select sec.enter({user}, {session}, 'get', gen_random_uuid())")
    };
    let nobody = "'00000000-0000-7000-8000-000000000000'";
    let app = &world.database.app;
    assert_eq!(
        attempt(app, enter(nobody, "null")).await,
        Err("28000 account_unknown".into())
    );
    let ana = format!("'{}'", world.ana);
    assert_eq!(
        attempt(app, enter(&ana, nobody)).await,
        Err("28000 session_revoked".into())
    );
    let session = super::world::new(
        &world.database.superuser,
        &format!("sessions (user_id, expires_at) values ({ana}, now() + interval '1 day')"),
    )
    .await;
    assert!(
        attempt(app, enter(&ana, &format!("'{session}'")))
            .await
            .is_ok()
    );
    let ben = format!("'{}'", world.ben);
    assert_eq!(
        attempt(app, enter(&ben, &format!("'{session}'"))).await,
        Err("28000 session_revoked".into())
    );
    world
        .admin(format!(
            "update app.sessions set revoked_at = now() where id = '{session}'"
        ))
        .await
        .unwrap();
    assert_eq!(
        attempt(app, enter(&ana, &format!("'{session}'"))).await,
        Err("28000 session_revoked".into())
    );
    world
        .admin(format!(
            "update app.users set status = 'suspended' where id = {ana}"
        ))
        .await
        .unwrap();
    assert_eq!(
        attempt(app, enter(&ana, "null")).await,
        Err("28000 account_suspended".into())
    );
}

#[tokio::test]
async fn the_context_ends_with_the_transaction() {
    let world = world().await;
    let mut connection = world.database.app.acquire().await.unwrap();
    {
        let mut transaction = sqlx::Connection::begin(&mut *connection).await.unwrap();
        enter(&mut transaction, Some(world.platform), "archive").await;
        transaction.commit().await.unwrap();
    }
    let left = rows(&mut *connection, "select sec.uid() is null and sec.action() is null and not sec.is_platform_admin() and not sec.show_archived()").await;
    assert!(left[0].get::<bool, _>(0));
}

/// With the login of requests, as an attacker would who can inject SQL.
#[tokio::test]
async fn abuse_61_requests_can_do_nothing_around_the_policies() {
    let database = Database::new(Content::Demo).await;
    let mut request = database.request_role().await;
    let paula = server::seed::demo::PEOPLE[0].id;
    let refused = [
        "delete from app.likes",
        "truncate app.likes",
        "truncate app.users cascade",
        "update app.events set version = 7",
        "update app.events set ticket_count = 7",
        "update counters.events set like_count = 7",
        "insert into counters.events (id) values (gen_random_uuid())",
        "delete from counters.events",
        "update app.events set city_id = city_id",
        "insert into app.likes (user_id, event_id) select id, id from app.users",
        "select email from app.users",
        "select * from app.sessions",
        "select * from app.credentials",
        "select * from audit.audit_logs",
        "insert into audit.audit_logs (action) values ('x')",
        "update audit.audit_logs set action = 'x'",
        "delete from audit.seals",
        "select * from audit.seal()",
        "select * from audit.verify()",
        "select * from audit.history(null, null, null, null, 1)",
        "select audit.has_seal('x')",
        "select sec.enter_job('payments', null, null, gen_random_uuid())",
        "set local role culturepass_owner",
        "set local role culturepass_authz",
        "set local role culturepass_job",
        "set local role postgres",
        "set session authorization postgres",
        "set local row_security = off; select count(*) from app.users",
        "set local session_replication_role = replica",
        "create table app.mine ()",
        "create table public.mine ()",
        "create schema mine",
        "create function sec.mine() returns int language sql as 'select 1'",
        "create extension dblink",
        "create role mine",
        "create policy mine on app.users using (true)",
        "alter table app.likes disable row level security",
        "alter table app.likes disable trigger all",
        "alter role culturepass_app superuser",
        "alter role culturepass_app bypassrls",
        "grant culturepass_owner to culturepass_app",
        "drop function sec.enter(uuid, uuid, text, uuid)",
        "copy app.countries to program 'cat'",
        "copy app.countries from '/etc/passwd'",
        "select pg_read_file('/etc/passwd')",
        "select pg_ls_dir('/')",
        "select lo_import('/etc/passwd')",
        "select rolpassword from pg_authid",
        "select pg_reload_conf()",
    ];
    for statement in refused {
        attempt(&mut request, "begin").await.expect("begin");
        let enter = format!("select sec.enter('{paula}', null, 'update', gen_random_uuid())");
        attempt(&mut request, enter).await.expect("enter");
        let answer = attempt(&mut request, statement).await;
        attempt(&mut request, "rollback").await.expect("rollback");
        assert!(
            answer.as_ref().is_err_and(|e| e.starts_with("42501")),
            "{statement}: {answer:?}"
        );
    }
}

/// A job can't act on behalf of a member who may not make requests.
#[tokio::test]
async fn a_job_works_only_for_accounts_that_are_good() {
    let world = world().await;
    let pool = &world.database.superuser;
    let session = world::new(
        pool,
        &format!(
            "sessions (user_id, expires_at) values ('{}', now() + interval '1 day')",
            world.ana
        ),
    )
    .await;
    let enter = |who: Uuid, session: &str| {
        let (pool, text) = (
            world.database.job.clone(),
            format!("select sec.enter_job('wallet', '{who}', {session}, gen_random_uuid())"),
        );
        async move {
            let mut transaction = pool.begin().await.unwrap();
            attempt(&mut *transaction, text).await
        }
    };
    let hers = format!("'{session}'");
    assert!(enter(world.ana, "null").await.is_ok() && enter(world.ana, &hers).await.is_ok());
    assert!(
        enter(world.ben, &hers).await.is_err(),
        "somebody else's session"
    );
    assert!(enter(Uuid::new_v4(), "null").await.is_err(), "nobody");
    attempt(
        pool,
        format!("update app.sessions set revoked_at = now() where id = '{session}'"),
    )
    .await
    .unwrap();
    assert!(
        enter(world.ana, &hers)
            .await
            .is_err_and(|e| e.contains("session_revoked"))
    );
    for status in ["suspended", "archived"] {
        attempt(
            pool,
            format!(
                "update app.users set status = '{status}' where id = '{}'",
                world.ana
            ),
        )
        .await
        .unwrap();
        assert!(
            enter(world.ana, "null")
                .await
                .is_err_and(|e| e.starts_with("28000")),
            "{status}"
        );
    }
}

/// The conditions that hold for members with different relations to an event, as a module is told.
#[tokio::test]
async fn a_job_asks_the_rules() {
    let world = world().await;
    let holds = async |who: Option<Uuid>, condition: &str| {
        let who = who.map_or("null".to_owned(), |who| format!("'{who}'"));
        let mut transaction = world.database.job.begin().await.unwrap();
        let text = format!("select sec.enter_job('wallet', {who}, null, gen_random_uuid())");
        attempt(&mut *transaction, text).await.unwrap();
        let asked = sqlx::query_scalar::<_, bool>("select sec.holds_event($1, $2)");
        asked
            .bind(world.event)
            .bind(condition)
            .fetch_one(&mut *transaction)
            .await
    };
    for (who, admin, staff) in [
        (None, false, false),
        (Some(world.ana), false, false),
        (Some(world.host), true, true),
        (Some(world.city_admin), false, true),
        (Some(world.platform), false, true),
    ] {
        assert_eq!(holds(who, "admin").await.unwrap(), admin, "{who:?}");
        assert_eq!(holds(who, "staff").await.unwrap(), staff, "{who:?}");
        assert!(holds(who, "out").await.unwrap(), "{who:?}");
    }
    assert!(
        holds(None, "stuff").await.is_err(),
        "there is no such condition"
    );
    // No condition holds for a row that is not visible.
    let hide = format!(
        "update app.events set status = 'archived' where id = '{}'",
        world.event
    );
    attempt(&world.database.superuser, hide).await.unwrap();
    assert!(!holds(Some(world.host), "admin").await.unwrap());
}

#[tokio::test]
async fn a_job_reaches_what_its_module_names() {
    let world = world().await;
    let job = |name: &'static str, statement: &'static str| {
        let pool = world.database.job.clone();
        async move {
            let mut transaction = pool.begin().await.unwrap();
            attempt(
                &mut *transaction,
                format!("select sec.enter_job('{name}', null, null, gen_random_uuid())"),
            )
            .await
            .unwrap();
            attempt(&mut *transaction, statement).await
        }
    };
    assert_eq!(
        job("promotions", "update app.events set featured_until = now()").await,
        Ok(1)
    );
    assert_eq!(
        job("wallet", "update app.events set featured_until = now()").await,
        Ok(0),
        "the module may only read events"
    );
    // Each module may only write what it declares, although all modules share one role.
    for (module, written, not_its) in [
        (
            "sessions",
            "email = 'x' || email",
            "stripe_customer_id = 'cus_' || id",
        ),
        (
            "payments",
            "stripe_customer_id = 'cus_' || id",
            "email = 'x' || email",
        ),
    ] {
        let text = |set: &str| -> &'static str { format!("update app.users set {set}").leak() };
        assert_eq!(job(module, text(written)).await, Ok(5), "{module}");
        let both = format!("{written}, {not_its}");
        for set in [not_its, both.as_str(), "display_name = 'x'"] {
            let refused = job(module, text(set)).await;
            assert!(
                refused.as_ref().is_err_and(|e| e.starts_with("42501")),
                "{module} {set}: {refused:?}"
            );
        }
    }
    let make = "insert into app.users (handle, display_name, email, stripe_customer_id) values ('x', 'x', 'x@x.test', 'cus_1')";
    for module in ["sessions", "payments"] {
        let refused = job(module, make).await;
        assert!(
            refused.as_ref().is_err_and(|e| e.starts_with("42501")),
            "{module}: {refused:?}"
        );
    }
    assert_eq!(job("nobody", "select from app.events").await, Ok(0));
    assert_eq!(job("sessions", "select email from app.users").await, Ok(5));
    assert_eq!(
        job("sessions", "delete from app.throttles").await,
        Ok(0),
        "internal rows can be deleted"
    );
    assert!(job("sessions", "delete from app.users").await.is_err());
}
