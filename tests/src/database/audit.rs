//! The audit log: one row per change, masked where required, and sealed so that tampering is detected.

use super::world::{World, attempt, rows, world};
use sqlx::Row;

async fn seal(world: &World) -> i64 {
    rows(&world.database.job, "select row_count from audit.seal()")
        .await
        .first()
        .map_or(0, |row| row.get(0))
}

/// The first invalid seal, and the reason.
async fn verify(world: &World) -> Option<(i64, String)> {
    rows(
        &world.database.job,
        "select seal, problem from audit.verify()",
    )
    .await
    .first()
    .map(|row| (row.get(0), row.get(1)))
}

#[tokio::test]
async fn a1_a_change_is_written_down_once() {
    let world = world().await;
    let before: i64 = world.look("select count(*) from audit.audit_logs").await;
    let title = format!(
        "update app.events set title = 'Neu' where id = '{}'",
        world.event
    );
    assert_eq!(world.act(world.host, "update", title.clone()).await, Ok(1));
    let found = rows(
        &world.database.superuser,
        format!("select action, performed_by, performed_role, changed::text, entity_id from audit.audit_logs order by id offset {before}"),
    )
    .await;
    assert_eq!(found.len(), 1);
    let row = &found[0];
    assert_eq!(
        (row.get::<&str, _>(0), row.get::<uuid::Uuid, _>(1)),
        ("update", world.host)
    );
    assert_eq!(row.get::<&str, _>(2), "orgAdmin");
    assert_eq!(row.get::<&str, _>(3), r#"{"title": ["Fest", "Neu"]}"#);
    assert_eq!(row.get::<uuid::Uuid, _>(4), world.event);
    let mut undone = world.request(Some(world.host), "update").await;
    attempt(&mut *undone, title).await.unwrap();
    undone.rollback().await.unwrap();
    let like = format!(
        "insert into app.likes (event_id) values ('{}')",
        world.event
    );
    assert_eq!(world.act(world.ana, "create", like).await, Ok(1));
    let after: i64 = world.look("select count(*) from audit.audit_logs").await;
    assert_eq!(
        after - before,
        2,
        "neither rolled back changes nor counters are logged"
    );
}

#[tokio::test]
async fn abuse_72_what_not_everyone_may_read_is_masked() {
    let world = world().await;
    let phone = format!(
        "update app.users set phone = '+4930123456', bio = 'x' where id = '{}'",
        world.ana
    );
    assert_eq!(world.act(world.ana, "update", phone).await, Ok(1));
    let changed: String = world
        .look("select changed::text from audit.audit_logs order by id desc limit 1")
        .await;
    assert_eq!(changed, r#"{"bio": [null, "x"], "phone": [null, "•"]}"#);
    let leaks: i64 = world
        .look("select count(*) from audit.audit_logs where changed::text ~ 'example.org'")
        .await;
    assert_eq!(leaks, 0);
}

/// No login of the server may change the log, or its seals: it has no privilege to.
#[tokio::test]
async fn a2_no_login_changes_the_log() {
    let world = world().await;
    seal(&world).await;
    let logins = [&world.database.app, &world.database.job];
    for (table, column) in [("audit_logs", "changed"), ("seals", "hash")] {
        for text in [
            format!("insert into audit.{table} default values"),
            format!("update audit.{table} set {column} = {column}"),
            format!("delete from audit.{table}"),
            format!("truncate audit.{table}"),
        ] {
            for login in logins {
                let refused = attempt(login, text.clone()).await;
                let refused = refused.expect_err(&text);
                assert!(refused.starts_with("42501"), "{text}: {refused}");
            }
        }
    }
    // The negative control.
    let grants = "grant usage on schema audit to culturepass_job; grant delete on audit.audit_logs to culturepass_job";
    world.admin(grants.to_owned()).await.unwrap();
    let delete = "delete from audit.audit_logs".to_owned();
    attempt(&world.database.job, delete)
        .await
        .expect("nothing refuses it");
}

#[tokio::test]
async fn t15_abuse_72_seals_hold_until_somebody_tampers() {
    let world = world().await;
    assert!(seal(&world).await > 10);
    let rename = |title: &str| format!("update app.events set title = '{title}'");
    world.admin(rename("a")).await.unwrap();
    assert_eq!(seal(&world).await, 1);
    world.admin(rename("b")).await.unwrap();
    world.admin(rename("c")).await.unwrap();
    assert_eq!(seal(&world).await, 2);
    assert_eq!(seal(&world).await, 0, "nothing new");
    assert_eq!(verify(&world).await, None);
    let last = "(select max(id) from audit.audit_logs)";
    let tamperings = [
        (format!("update audit.audit_logs set changed = '{{}}' where id = {last}"), 3, "rows were changed"),
        (format!("update audit.audit_logs set performed_by = null, created_at = created_at + interval '1 s' where id = {last}"), 3, "rows were changed"),
        (format!("delete from audit.audit_logs where id = {last}"), 3, "rows are missing"),
        ("delete from audit.audit_logs where id = 2".into(), 1, "rows are missing"),
        ("update audit.audit_logs set id = -1 where id = 2; update audit.audit_logs set id = 2 where id = 3; \
          update audit.audit_logs set id = 3 where id = -1".into(), 1, "rows were changed"),
        ("insert into audit.audit_logs (id, entity_type, entity_id, action, performed_role, changed, tx) select 0, entity_type, entity_id, action, performed_role, changed, tx from audit.audit_logs where id = 2".into(), 1, "rows were added"),
        ("update audit.seals set ids = ids - '{[2,3)}', row_count = row_count - 1 where id = 1".into(), 1, "rows were changed"),
        ("update audit.seals set closed_to = -1 where id = 3".into(), 3, "it covers what is sealed already"),
        ("delete from audit.seals where id = 2".into(), 3, "a seal before it is missing"),
        ("update audit.seals set hash = sha256('x') where id = 2".into(), 2, "rows were changed"),
        ("update audit.seals set row_count = 2 where id = 2".into(), 2, "rows are missing"),
    ];
    for (sql, seal, problem) in tamperings {
        let mut transaction = world.database.superuser.begin().await.unwrap();
        // An identity column prevents even a superuser from inserting ids; an intruder would remove it first.
        attempt(
            &mut *transaction,
            "alter table audit.audit_logs alter column id set generated by default",
        )
        .await
        .unwrap();
        attempt(&mut *transaction, sql.clone())
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        let found = rows(
            &mut *transaction,
            "select seal, problem from audit.verify()",
        )
        .await;
        let found: Vec<(i64, &str)> = found.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(found, [(seal, problem)], "{sql}");
        transaction.rollback().await.unwrap();
    }
}

/// The log has no primary key, but the sequence hands out each id once: a second row with the same id, inserted before
/// both are sealed, is detected as forged.
#[tokio::test]
async fn a3_an_id_that_is_there_twice_is_no_genuine_entry() {
    let world = world().await;
    assert!(seal(&world).await > 10);
    let rename = "update app.events set title = 'a'".to_owned();
    world.admin(rename).await.unwrap();
    let copied = "insert into audit.audit_logs (id, entity_type, entity_id, action, performed_role, changed)
        overriding system value
        select id, entity_type, entity_id, 'archive', performed_role, changed from audit.audit_logs order by id desc limit 1";
    world.admin(copied.to_owned()).await.unwrap();
    assert_eq!(seal(&world).await, 2);
    let found = verify(&world).await;
    assert_eq!(found, Some((2, "an id is there twice".to_owned())));
    // The forged row is only detected by its number: if the genuine one is deleted, rows are missing instead.
    let genuine = "delete from audit.audit_logs where action = 'archive' and id = (select max(id) from audit.audit_logs)";
    world.admin(genuine.to_owned()).await.unwrap();
    let found = verify(&world).await;
    assert_eq!(found, Some((2, "rows are missing".to_owned())));
}

/// Two seals are made while the newest of all transactions is open: its row is sealed once it has committed.
#[tokio::test]
async fn t15_a_row_of_the_newest_transaction_is_sealed_later() {
    let world = world().await;
    let (event, venue) = (world.event, world.venue);
    let rename =
        |title: &str| format!("update app.events set title = '{title}' where id = '{event}'");
    let name = |name: &str| format!("update app.venues set name = '{name}' where id = '{venue}'");
    assert!(seal(&world).await > 10);
    world.admin(name("a")).await.unwrap();
    let mut open = world.database.superuser.begin().await.unwrap();
    attempt(&mut *open, &rename("slow")).await.unwrap();
    assert_eq!(seal(&world).await, 1);
    world.admin(name("b")).await.unwrap();
    assert_eq!(seal(&world).await, 1);
    open.commit().await.unwrap();
    assert_eq!(seal(&world).await, 1);
    assert_eq!(verify(&world).await, None);
}

/// The newest entries are searched first, then more: the wanted entries may be anywhere, or not exist.
#[tokio::test]
async fn history_finds_what_lies_far_back() {
    let world = world().await;
    let fill = |count: u32| {
        format!(
            "insert into audit.audit_logs (entity_type, entity_id, action, performed_role, changed)
             select 'filler', sec.uuid_v7(), 'create', 'system', '{{}}' from generate_series(1, {count})"
        )
    };
    let id = world.event;
    let rename = |title: &str| format!("update app.events set title = '{title}' where id = '{id}'");
    for (title, count) in [("a", 12_000), ("b", 15_000), ("c", 1)] {
        let renamed = world.act(world.host, "update", rename(title)).await;
        assert_eq!(renamed, Ok(1));
        world.admin(fill(count)).await.unwrap();
    }
    let (event, host) = (world.event, world.host);
    let asked = [
        ("null, null, null".to_owned(), "true".to_owned()),
        (
            "'event', null, null".to_owned(),
            "entity_type = 'event'".to_owned(),
        ),
        (
            format!("null, '{event}', null"),
            format!("entity_id = '{event}'"),
        ),
        (
            format!("null, null, '{host}'"),
            format!("performed_by = '{host}'"),
        ),
        (
            format!("'event', '{event}', '{host}'"),
            format!("entity_id = '{event}' and performed_by = '{host}'"),
        ),
        ("'nothing', null, null".to_owned(), "false".to_owned()),
    ];
    for (arguments, condition) in asked {
        // Two pages: the first ends before the end of the log, the second reaches it. Then numbers that a client makes up.
        for before in [
            "null",
            "(select max(id) - 13000 from audit.audit_logs)",
            "9223372036854775807",
            "'-9223372036854775808'::bigint",
            "0",
        ] {
            let is_before = format!("coalesce(id < {before}, true)");
            let expected: Vec<i64> = world
                .look::<Vec<i64>>(&format!(
                    "select array(select id from audit.audit_logs where {condition} and {is_before} order by id desc limit 20)"
                ))
                .await;
            let found: Vec<i64> = world
                .look::<Vec<i64>>(&format!(
                    "select array(select id from audit.history({arguments}, {before}, 20))"
                ))
                .await;
            assert_eq!(found, expected, "{arguments} before {before}");
        }
    }
}

#[tokio::test]
async fn a3_open_transactions_are_sealed_later() {
    let world = world().await;
    seal(&world).await;
    let mut open = world.database.superuser.begin().await.unwrap();
    attempt(&mut *open, "update app.events set title = 'slow'")
        .await
        .unwrap();
    let quick = format!(
        "update app.venues set name = 'quick' where id = '{}'",
        world.venue
    );
    world.admin(quick).await.unwrap();
    assert_eq!(
        seal(&world).await,
        1,
        "sealing does not wait for the older transaction"
    );
    assert_eq!(verify(&world).await, None);
    open.commit().await.unwrap();
    assert_eq!(verify(&world).await, None, "a late entry is no forgery");
    assert_eq!(seal(&world).await, 1);
    assert_eq!(verify(&world).await, None);
}

/// After a dump is restored into another cluster, transaction ids begin anew, far below those in the seals.
#[tokio::test]
async fn a3_seals_outlive_a_dump_and_restore() {
    let world = world().await;
    // Simulates that everything was written in a cluster that is older by a million transactions.
    let older = "(tx::text::bigint + 1000000)::text::xid8";
    world
        .admin(format!("update audit.audit_logs set tx = {older}"))
        .await
        .unwrap();
    assert!(seal(&world).await > 10);
    let older = "(seen_tx::text::bigint + 1000000)::text::xid8";
    (world
        .admin(format!("update audit.seals set seen_tx = {older}"))
        .await)
        .unwrap();
    let id = world.event;
    let rename = |title: &str| format!("update app.events set title = '{title}' where id = '{id}'");
    for (title, sealed) in [("a", 1), ("b", 1)] {
        world.admin(rename(title)).await.unwrap();
        assert_eq!(seal(&world).await, sealed);
        assert_eq!(verify(&world).await, None);
    }
    let closed = "select max(closed_to) > 10 from audit.seals";
    assert!(
        world.look::<bool>(closed).await,
        "the range before is closed"
    );
    let forged = "insert into audit.audit_logs (id, entity_type, entity_id, action, performed_role, changed)
        overriding system value select 0, entity_type, entity_id, action, performed_role, changed from audit.audit_logs where id = 2";
    world.admin(forged.to_owned()).await.unwrap();
    assert_eq!(verify(&world).await.unwrap().1, "rows were added");
}

#[tokio::test]
async fn a3_sealing_while_others_write_misses_nothing() {
    let world = world().await;
    let writers: Vec<_> = [world.event; 3]
        .into_iter()
        .map(|event| {
            let pool = world.database.superuser.clone();
            tokio::spawn(async move {
                for n in 0..30 {
                    attempt(
                        &pool,
                        format!("update app.events set title = 'n{n}' where id = '{event}'"),
                    )
                    .await
                    .expect("a change");
                }
            })
        })
        .collect();
    for _ in 0..10 {
        seal(&world).await;
    }
    for writer in writers {
        writer.await.expect("no writer panics");
    }
    seal(&world).await;
    let unsealed: i64 = world.look("select (select count(*) from audit.audit_logs) - (select sum(row_count)::bigint from audit.seals)").await;
    assert_eq!((unsealed, verify(&world).await), (0, None));
}
