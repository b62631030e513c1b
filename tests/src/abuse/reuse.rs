//! Three thousand transactions on a single connection: whatever happens in a member's transaction, the anonymous
//! caller after it stays anonymous. Tested with contexts instead of HTTP, which is faster; `failures` tests the same
//! through the whole server.

use crate::support::{Member, TestServer, database::Content};
use kernel::{Actor, Caller, Db};
use server::seed::demo::PEOPLE;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// The test case demands ten thousand, which would take a minute and a half beside other tests.
const ROUNDS: u64 = 3_000;

/// Queries what could remain of a caller: settings, and rows that only that caller sees.
const LEFT: &str = "
    select pg_backend_pid(), coalesce(sec.uid()::text, '') || coalesce(sec.action(), '') || coalesce(sec.session()::text, '')
      || case when sec.is_platform_admin() then 'platform' else '' end
      || coalesce(nullif(sec.scopes_city_admin()::text, '{}'), '') || coalesce(nullif(sec.scopes_org_admin()::text, '{}'), '')
      || case when sec.show_archived() then 'archived' else '' end,
      (select count(*) from app.events where id = $1)";

#[derive(Debug, PartialEq, Eq)]
struct Left {
    settings: String,
    drafts: i64,
}

#[tokio::test]
async fn abuse_73_thousands_of_strangers_find_nothing_of_whoever_was_before() {
    let server = TestServer::start_with(Content::Sample, |parts| {
        parts.db.connections = 1;
        parts.db.acquire_timeout = Duration::from_secs(10);
    })
    .await;
    let olga = server.sign_in(PEOPLE[2].id).await;
    let draft = draft(&server, &olga).await;
    let db = &server.built.db;
    let known = left(db, &caller(&olga), draft).await.1;
    assert!(
        known.drafts == 1 && !known.settings.is_empty(),
        "the query must notice Olga's own transaction: {known:?}"
    );
    let nothing = Left {
        settings: String::new(),
        drafts: 0,
    };
    let (mut endings, mut reused, mut last) = (BTreeMap::new(), 0, 0);
    for round in 0..ROUNDS {
        let (what, process) = disturb(db, caller(&olga), draft, round).await;
        *endings.entry(what).or_insert(0_u64) += 1;
        let (stranger, found) = left(db, &Caller::anonymous(Uuid::now_v7()), draft).await;
        assert_eq!(found, nothing, "round {round}, after {what}");
        reused += u64::from(stranger == process.unwrap_or(last));
        last = stranger;
    }
    println!("{endings:?}, {reused} on the same connection");
    assert_eq!(endings.len(), 7, "{endings:?}");
    assert!(
        reused > ROUNDS * 9 / 10,
        "only {reused} on the same connection"
    );
}

/// An event of Olga's that others can't see.
async fn draft(server: &TestServer, olga: &Member) -> Uuid {
    sqlx::query_scalar(
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone)
         select o.city_id, 'organization', o.id, 'Secret', 'secret', now() + interval '1 day', now() + interval '2 days', 'UTC'
         from app.role_assignments r join app.organizations o on o.id = r.scope_id where r.user_id = $1 returning id",
    )
    .bind(olga.id)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("an event")
}

fn caller(member: &Member) -> Caller {
    Caller {
        actor: Actor::User {
            id: member.id,
            session: Some(member.session),
        },
        request_id: Uuid::now_v7(),
        ip: None,
    }
}

/// The id of the database process that answered, and what remained there of a caller.
async fn left(db: &Db, caller: &Caller, draft: Uuid) -> (i32, Left) {
    let mut cx = db.begin_read(caller).await.expect("a connection");
    let (process, settings, drafts) = sqlx::query_as(LEFT)
        .bind(draft)
        .fetch_one(cx.conn())
        .await
        .expect("what is left");
    let left = Left { settings, drafts };
    (process, left)
}

/// Runs one transaction. Returns how it ended, and the id of the database process, if known.
async fn disturb(db: &Db, caller: Caller, draft: Uuid, round: u64) -> (&'static str, Option<i32>) {
    match round % 6 {
        0 => ("read", Some(left(db, &caller, draft).await.0)),
        1 => ("committed", Some(write(db, &caller, draft, "").await)),
        2 => (
            "an error",
            Some(write(db, &caller, draft, "select 1 / 0").await),
        ),
        3 => {
            let slow = "set local statement_timeout = 1; select pg_sleep(1)";
            ("too slow", Some(write(db, &caller, draft, slow).await))
        }
        4 => {
            let db = db.clone();
            let panics = tokio::spawn(async move {
                let mut cx = db.begin_write(&caller, "update").await.expect("begun");
                change(&mut cx, draft).await;
                // Without a message and backtrace, which would take most of the time.
                std::panic::resume_unwind(Box::new("a panic"));
            });
            assert!(panics.await.expect_err("a panic").is_panic());
            ("a panic", None)
        }
        _ => {
            let patience = Duration::from_micros(50 * (round % 60));
            let given_up = tokio::time::timeout(patience, write(db, &caller, draft, "")).await;
            match given_up {
                Ok(process) => ("in time", Some(process)),
                Err(_) => ("given up", None),
            }
        }
    }
}

/// Changes the event and commits, unless `then` is a statement, which fails.
async fn write(db: &Db, caller: &Caller, draft: Uuid, then: &'static str) -> i32 {
    let mut cx = db.begin_write(caller, "update").await.expect("begun");
    let process = change(&mut cx, draft).await;
    if then.is_empty() {
        cx.commit().await.expect("committed");
    } else {
        let failed = sqlx::raw_sql(then).execute(cx.conn()).await;
        assert!(failed.is_err(), "{then}");
    }
    process
}

async fn change(cx: &mut kernel::Cx, draft: Uuid) -> i32 {
    sqlx::query_scalar(
        "update app.events set description = 'changed' where id = $1 returning pg_backend_pid()",
    )
    .bind(draft)
    .fetch_one(cx.conn())
    .await
    .expect("she may")
}
