//! Children of an archived or restored row that may be many follow it later, in batches: how many one transaction changes,
//! that nothing is lost on the way, and that nobody sees what is still to follow.

use crate::support::{
    TestServer,
    database::{Content, Database},
};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::fmt;
use uuid::Uuid;

/// A reference of a child that may follow later, by the column that it refers to.
#[derive(Clone)]
struct Later {
    child: String,
    column: String,
    parent: String,
}

impl fmt::Display for Later {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{} of {}", self.child, self.column, self.parent)
    }
}

async fn all(conn: &mut PgConnection) -> Vec<Later> {
    let rows = sqlx::query(
        "select c.conrelid::regclass::text, a.attname::text, c.confrelid::regclass::text
         from pg_constraint c
         join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
         join pg_attribute k on k.attrelid = c.confrelid and k.attnum = c.confkey[2]
         where c.contype = 'f' and k.attname = 'open_key' order by 1, 2, 3",
    )
    .fetch_all(conn)
    .await
    .expect("references");
    let later = rows.iter().map(|row| Later {
        child: row.get(0),
        column: row.get(1),
        parent: row.get(2),
    });
    later.collect()
}

async fn run(conn: &mut PgConnection, text: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(conn);
    done.await.unwrap_or_else(|error| panic!("{error}\n{text}"));
}

async fn count(conn: &mut PgConnection, text: &str) -> i64 {
    let found = sqlx::query_scalar(AssertSqlSafe(text.to_owned())).fetch_one(conn);
    found
        .await
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

impl Later {
    /// Whether children are archived, or only lose their reference.
    async fn archives(&self, conn: &mut PgConnection) -> bool {
        let plural = self.child.trim_start_matches("app.");
        let text = format!(
            "select count(*) from pg_proc where proname like 'archive_{plural}_by_{}'",
            self.column
        );
        count(conn, &text).await == 1
    }

    /// The children that live and refer to the row.
    async fn live(&self, conn: &mut PgConnection, parent: Uuid) -> Vec<Uuid> {
        let has_status = format!(
            "select count(*) from information_schema.columns where table_schema || '.' || table_name = '{}' and column_name = 'status'",
            self.child
        );
        let live = match count(conn, &has_status).await {
            0 => "true",
            _ => "status <> 'archived'",
        };
        let text = format!(
            "select id from {} where {} = '{parent}' and {live} order by id",
            self.child, self.column
        );
        let found = sqlx::query_scalar(AssertSqlSafe(text)).fetch_all(conn);
        found.await.expect("children")
    }

    /// Archives some row with children of this kind and leaves all of them to later. The savepoint stays open.
    /// `None`: no row of the sample may be archived.
    async fn archive_one(&self, conn: &mut PgConnection) -> Option<(Uuid, Vec<Uuid>)> {
        let text = format!(
            "select distinct p.id from {} p join {} c on c.{} = p.id where p.status = 'active' order by 1 limit 40",
            self.parent, self.child, self.column
        );
        let parents: Vec<Uuid> = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&mut *conn)
            .await
            .expect("parents");
        for parent in parents {
            let children = self.live(conn, parent).await;
            if children.is_empty() {
                continue;
            }
            run(conn, "savepoint before").await;
            leave(conn, 0).await;
            let text = format!(
                "update {} set status = 'archived' where id = '{parent}'",
                self.parent
            );
            match sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *conn).await {
                Ok(_) => return Some((parent, children)),
                // Something else keeps it: sold tickets, the last administrator.
                Err(_) => run(conn, "rollback to before").await,
            }
        }
        None
    }
}

/// How many children this transaction may still archive or restore.
async fn leave(conn: &mut PgConnection, most: u32) {
    let text = format!("select set_config('app.cascade_left', '{most}', true)");
    run(conn, &text).await;
}

/// Does what the job does, in batches of this many. Returns the number of batches.
async fn follow(conn: &mut PgConnection, most: u32) -> usize {
    for batch in 0..10_000 {
        leave(conn, most).await;
        let done: Option<String> = sqlx::query_scalar("select jobs.cascade()")
            .fetch_one(&mut *conn)
            .await
            .expect("a batch");
        match done.as_deref() {
            Some("") => {}
            None => return batch,
            Some(error) => panic!("{error}"),
        }
    }
    panic!("it has no end");
}

async fn keys(
    conn: &mut PgConnection,
    later: &Later,
    parent: Uuid,
) -> (Option<bool>, Option<bool>) {
    let text = format!(
        "select to_jsonb(p)->>'live_key' = 'true', open_key from {} p where id = '{parent}'",
        later.parent
    );
    let row = sqlx::query(AssertSqlSafe(text)).fetch_one(conn).await;
    let row = row.expect("the row");
    (row.get(0), row.get(1))
}

/// Every relation: archiving leaves the children to the job, which archives all of them in batches; restoring brings all of
/// them back, in batches too.
#[tokio::test]
async fn every_child_follows_later_and_comes_back() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let all = all(&mut conn).await;
    assert!(all.len() >= 20, "{}", all.len());
    let (count_of_all, mut without) = (all.len(), Vec::new());
    for later in all {
        run(&mut conn, "begin").await;
        let Some((parent, children)) = later.archive_one(&mut conn).await else {
            without.push(later.to_string());
            run(&mut conn, "rollback").await;
            continue;
        };
        assert_eq!(later.live(&mut conn, parent).await, children, "{later}");
        assert_eq!(
            keys(&mut conn, &later, parent).await,
            (None, Some(true)),
            "{later}"
        );
        let queued = "select count(*) from jobs.queue where name = 'jobs.cascade'";
        assert!(count(&mut conn, queued).await >= 1, "{later}");
        assert!(follow(&mut conn, 1).await > children.len(), "{later}");
        assert!(later.live(&mut conn, parent).await.is_empty(), "{later}");
        assert_eq!(
            keys(&mut conn, &later, parent).await,
            (None, None),
            "{later}"
        );
        let left = "select count(*) from jobs.cascades";
        assert_eq!(count(&mut conn, left).await, 0, "{later}");
        // Done again it changes nothing.
        assert_eq!(follow(&mut conn, 1).await, 0);

        let archives = later.archives(&mut conn).await;
        leave(&mut conn, 0).await;
        let restore = format!(
            "update {} set status = 'active' where id = '{parent}'",
            later.parent
        );
        run(&mut conn, &restore).await;
        assert!(later.live(&mut conn, parent).await.is_empty(), "{later}");
        follow(&mut conn, 1).await;
        let back = later.live(&mut conn, parent).await;
        assert_eq!(
            back,
            if archives { children } else { Vec::new() },
            "{later}"
        );
        run(&mut conn, "rollback").await;
    }
    // The others have no rows in the sample.
    assert!(count_of_all - without.len() >= 20, "{without:#?}");
}

/// A parent that is restored while its children are still being archived keeps those that are live, and gets the others
/// back; one that is archived while they are being restored takes them along again.
#[tokio::test]
async fn whatever_is_decided_last_holds() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let likes = Later {
        child: "app.likes".to_owned(),
        column: "event_id".to_owned(),
        parent: "app.events".to_owned(),
    };
    run(&mut conn, "begin").await;
    let (event, _) = likes.archive_one(&mut conn).await.expect("an event");
    run(&mut conn, "rollback to before").await;
    let text = format!(
        "insert into app.likes (user_id, event_id)
         select u.id, '{event}' from app.users u where u.status = 'active'
           and not exists (select from app.likes l where l.user_id = u.id and l.event_id = '{event}') limit 8"
    );
    run(&mut conn, &text).await;
    let before = likes.live(&mut conn, event).await;
    let archive = format!("update app.events set status = 'archived' where id = '{event}'");
    let restore = format!("update app.events set status = 'active' where id = '{event}'");
    for (first, second) in [(0, 0), (2, 0), (2, 100), (100, 0)] {
        leave(&mut conn, first).await;
        run(&mut conn, &archive).await;
        leave(&mut conn, 1).await;
        let _: Option<String> = sqlx::query_scalar("select jobs.cascade()")
            .fetch_one(&mut *conn)
            .await
            .expect("a batch");
        leave(&mut conn, second).await;
        run(&mut conn, &restore).await;
        follow(&mut conn, 3).await;
        assert_eq!(
            likes.live(&mut conn, event).await,
            before,
            "{first} {second}"
        );
        assert_eq!(
            keys(&mut conn, &likes, event).await,
            (Some(true), Some(true))
        );
        // And once more the other way round.
        leave(&mut conn, 100).await;
        run(&mut conn, &archive).await;
        leave(&mut conn, first).await;
        run(&mut conn, &restore).await;
        leave(&mut conn, second).await;
        run(&mut conn, &archive).await;
        follow(&mut conn, 3).await;
        assert!(likes.live(&mut conn, event).await.is_empty());
        assert_eq!(keys(&mut conn, &likes, event).await, (None, None));
        leave(&mut conn, 100).await;
        run(&mut conn, &restore).await;
    }
    // The control: with all children gone, the key of the parent is closed, and a live row can't refer to it.
    leave(&mut conn, 100).await;
    run(&mut conn, &archive).await;
    let late = format!(
        "insert into app.likes (user_id, event_id) select id, '{event}' from app.users where status = 'active' limit 1"
    );
    let refused = sqlx::raw_sql(AssertSqlSafe(late)).execute(&mut *conn).await;
    assert!(refused.expect_err("no parent").to_string().contains("live"));
}

/// Children that are seen without their parent.
const SEEN: &[(&str, &str)] = &[(
    "app.referrals",
    "who named a member sees that until it has followed",
)];

/// What is still to follow is seen by nobody who may not restore it.
#[tokio::test]
async fn what_is_to_follow_is_hidden_at_once() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let stranger = server.member("stranger").await;
    let mut seen = 0;
    for later in all(&mut conn).await {
        if !later.archives(&mut conn).await || SEEN.iter().any(|(table, _)| *table == later.child) {
            continue;
        }
        run(&mut conn, "begin").await;
        let Some((parent, children)) = later.archive_one(&mut conn).await else {
            run(&mut conn, "rollback").await;
            continue;
        };
        run(&mut conn, "rollback to before").await;
        run(&mut conn, "commit").await;
        let path = |child: &Uuid| {
            let plural = later.child.trim_start_matches("app.").replace('_', "-");
            format!("/{plural}/{child}")
        };
        let mut shown = Vec::new();
        for child in children.iter().take(5) {
            let answer = stranger.client.get(&path(child)).await;
            if answer.status.is_success() {
                shown.push(*child);
            }
        }
        seen += shown.len();
        let hold = "delete from jobs.queue where name = 'jobs.cascade'; update jobs.cascades set run_at = now() + interval '1 hour'";
        let archive = format!(
            "begin; select set_config('app.cascade_left', '0', true);
             update {} set status = 'archived' where id = '{parent}'; {hold}; commit",
            later.parent
        );
        run(&mut conn, &archive).await;
        assert_eq!(later.live(&mut conn, parent).await, children, "{later}");
        for child in &shown {
            for client in [&stranger.client, &server.client] {
                let answer = client.get(&path(child)).await;
                assert!(
                    [401, 404].contains(&answer.status.as_u16()),
                    "{later}: {}",
                    answer.text
                );
            }
        }
        let restore = format!(
            "update {} set status = 'active' where id = '{parent}'",
            later.parent
        );
        run(&mut conn, &restore).await;
    }
    assert!(seen >= 10, "{seen} children were seen before");
}

/// Closing an account: one transaction changes a limited number of rows, whatever the account has; the job does the rest,
/// on behalf of the member.
#[tokio::test]
async fn closing_an_account_changes_few_rows_at_once() {
    const MOST: i64 = 1000;
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana_with_many").await;
    run(
        &mut conn,
        &format!(
            "begin; set local session_replication_role = replica;
             insert into app.users (id, handle, display_name, email)
             select gen_random_uuid(), 'many_' || n, 'Many', 'many' || n || '@example.org' from generate_series(1, 2500) n;
             set local session_replication_role = origin;
             insert into app.follows (follower_id, entity_type, entity_id)
             select u.id, 'user', '{0}' from app.users u where u.handle like 'many\\_%' limit 1300;
             insert into app.follows (follower_id, entity_type, entity_id)
             select '{0}', 'user', u.id from app.users u where u.handle like 'many\\_%' limit 1300;
             delete from jobs.events; commit",
            ana.id
        ),
    )
    .await;
    let path = format!("/users/{}", ana.id);
    ana.client.delete(&path).await.expect(204);
    server.client.get(&path).await.expect(404);
    server.settled().await;
    let left = format!(
        "select count(*) from app.follows where (follower_id = '{0}' or entity_user_id = '{0}') and status <> 'archived'",
        ana.id
    );
    assert_eq!(count(&mut conn, &left).await, 0);
    let most = format!(
        "select max(n) from (select count(*) as n from app.follows where archived_with = '{}' group by xmin::text) x",
        ana.id
    );
    assert_eq!(count(&mut conn, &most).await, MOST);
    let by_her = format!(
        "select count(*) from audit.audit_logs where entity_type = 'follow' and action = 'archive' and performed_by = '{}'",
        ana.id
    );
    assert_eq!(count(&mut conn, &by_her).await, 2600);
    // Counters of others are right again.
    let wrong = "select count(*) from app.users u join counters.users c on c.id = u.id
                 where u.handle like 'many\\_%' and (c.follower_count <> 0 or c.following_count <> 0)";
    assert_eq!(count(&mut conn, wrong).await, 0);
}
