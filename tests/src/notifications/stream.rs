//! RE: the stream of notifications to connected members, by the number of the requirement.

use super::stage::Guests;
use crate::support::{
    Member,
    events::{ENDLESS, Events},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Row};
use std::time::Duration;

impl Guests {
    async fn listening() -> Self {
        Self::with(|parts| {
            parts.modules.notifications.notifications_stream_pause_ms = 50;
            parts
                .modules
                .notifications
                .notifications_stream_check_seconds = 1;
            parts.modules.notifications.notifications_streams_per_member = 3;
        })
        .await
    }

    async fn tell(&self, member: &Member, titles: &[&str]) {
        for title in titles {
            self.run(&told(member, title)).await;
        }
    }
}

fn told(member: &Member, title: &str) -> String {
    format!(
        "insert into app.notifications (user_id, title, message, type, dedupe_key)
         values ('{}', '{title}', 'Hello', 'system', 'test:{title}')",
        member.id
    )
}

async fn ready(member: &Member, last_id: Option<&str>) -> Events {
    let mut events = member.client.listen(ENDLESS, last_id).await;
    events.expect("ready").await;
    assert!((1000..5000).contains(&events.retry_ms.expect("when to come back")));
    events
}

/// From a follow to the app of the followed member; the stream contains the same as the list.
#[tokio::test]
async fn re_a_follow_comes_to_the_app_of_the_followed() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let ben = guests.server.member("ben_follows").await;
    let mut events = ana.client.listen(ENDLESS, None).await;
    assert_eq!(events.expect("ready").await, json!({"unread": 0}));
    assert_eq!(events.expect("unread").await, json!({"unread": 0}));

    let follow = json!({"entity_type": "user", "entity_id": ana.id});
    ben.client.post("/follows", follow).await.expect(201);
    let mut shown = events.expect("notification").await;
    assert_eq!(events.expect("unread").await, json!({"unread": 1}));
    let id = shown["id"].as_str().expect("an id").to_owned();
    let path = format!("/notifications/{id}");
    assert_eq!(shown, ana.client.get(&path).await.expect(200).json);

    // A notification that is marked as read on one device is read on the others.
    ana.client.act(&format!("{path}/read")).await.expect(204);
    shown = events.expect("notification").await;
    assert_eq!(
        (shown["id"].as_str(), &shown["is_read"]),
        (Some(id.as_str()), &json!(true))
    );
    assert_eq!(events.expect("unread").await, json!({"unread": 0}));
}

/// `notify` takes a lock of the whole cluster at commit.
#[tokio::test]
async fn re1_no_function_or_trigger_notifies() {
    let guests = Guests::new().await;
    let notifying = "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('app', 'sec', 'jobs', 'audit', 'counters', 'search') and p.prosrc ~* '(pg_notify|\\mnotify\\s+\\w+\\s*[,;])'";
    assert_eq!(guests.count(notifying).await, 0);
    guests.run("create function app.loud() returns trigger language plpgsql as $$ begin perform pg_notify('a', 'b'); return null; end $$").await;
    assert_eq!(guests.count(notifying).await, 1);
}

#[tokio::test]
async fn re3_who_comes_back_is_told_what_they_missed_and_that_once() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let mut events = ready(&ana, None).await;
    events.batch().await;
    guests.tell(&ana, &["one"]).await;
    assert_eq!(events.batch().await, (vec!["one".to_owned()], 1));
    let last_id = events.last_id.clone().expect("an id");
    drop(events);

    guests.tell(&ana, &["two", "three"]).await;
    for _ in 0..2 {
        let mut events = ready(&ana, Some(&last_id)).await;
        assert_eq!(
            events.batch().await,
            (vec!["two".to_owned(), "three".to_owned()], 3)
        );
        guests
            .run(&format!(
                "update app.notifications set title = title where user_id = '{}'",
                ana.id
            ))
            .await;
        let last_id = events.last_id.clone().expect("an id");
        drop(events);
        // Nothing is new since then, and a change by the platform itself counts as none.
        assert_eq!(ready(&ana, Some(&last_id)).await.batch().await, (vec![], 3));
    }
    // A client that doesn't say what it has received gets only what comes from now on.
    assert_eq!(ready(&ana, None).await.batch().await, (vec![], 3));
}

#[tokio::test]
async fn re3_a_position_that_says_nothing_reloads_the_list() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let ben = guests.server.member("ben_listens").await;
    let mut events = ready(&ana, None).await;
    events.batch().await;
    let of_ana = events.last_id.clone().expect("an id");
    drop(events);
    let long = "A".repeat(4000);
    for position in ["", "17", "not one of ours", &long, &of_ana] {
        let mut events = ready(&ben, Some(position)).await;
        assert_eq!(events.expect("refresh").await, json!({}), "{position}");
        let last_id = events.last_id.clone().expect("an id");
        guests
            .tell(&ben, &[&format!("after {}", position.len())])
            .await;
        events.batch().await;
        drop(events);
        // From there on the stream continues normally.
        assert_eq!(ready(&ben, Some(&last_id)).await.batch().await.0.len(), 1);
    }
    // This many notifications at once are not sent one by one.
    let mut events = ready(&ana, None).await;
    events.batch().await;
    guests
        .run(&format!(
            "insert into app.notifications (user_id, title, message, type, dedupe_key)
             select '{}', 'Number ' || n, 'Hello', 'system', 'test:' || n from generate_series(1, 101) n",
            ana.id
        ))
        .await;
    events.expect("refresh").await;
    ana.client.act("/notifications/read-all").await.expect(200);
    events.expect("refresh").await;
}

/// Transactions end in another order than they begin: with the highest number or time that a client has seen as its
/// position, what a slow transaction commits would be lost.
#[tokio::test]
async fn re3_what_a_slow_transaction_commits_is_told_as_well() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let mut events = ready(&ana, None).await;
    events.batch().await;
    let mut slow = guests.server.superuser().await;
    let mut slow = slow.begin().await.expect("a transaction");
    let first = sqlx::raw_sql(AssertSqlSafe(told(&ana, "begun first")));
    first.execute(&mut *slow).await.expect("told");
    guests.tell(&ana, &["committed first"]).await;
    assert_eq!(events.batch().await.0, ["committed first"]);
    let last_id = events.last_id.clone().expect("an id");
    slow.commit().await.expect("committed");
    assert_eq!(events.batch().await.0, ["begun first"]);
    drop(events);
    assert_eq!(
        ready(&ana, Some(&last_id)).await.batch().await.0,
        ["begun first"]
    );
}

#[tokio::test]
async fn re4_lost_connections_lose_no_news() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let mut events = ready(&ana, None).await;
    events.batch().await;
    for round in 0..3 {
        let killed = guests
            .count("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            .await;
        assert!(killed > 0);
        guests.tell(&ana, &[&format!("round {round}")]).await;
        // A stream whose connection is lost ends, and its client reconnects.
        let told = loop {
            match events.next().await {
                Some(event) if event.name == "notification" => break event.data["title"].clone(),
                Some(_) => {}
                None => {
                    let last_id = events.last_id.clone();
                    events = ana.client.listen(ENDLESS, last_id.as_deref()).await;
                }
            }
        };
        assert_eq!(told, json!(format!("round {round}")));
        assert_eq!(events.batch().await.0.len(), 0);
    }
    // No transaction is open between two queries of the stream.
    let idle = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'";
    let mut found = 1;
    for _ in 0..20 {
        found = found.min(guests.count(idle).await);
    }
    assert_eq!(found, 0);
}

#[tokio::test]
async fn re5_a_stream_ends_with_its_session_or_account() {
    let guests = Guests::listening().await;
    let ends = [
        (
            "out",
            "update app.sessions set revoked_at = now(), revoked_because = 'signed_out' where id = $1",
        ),
        (
            "off",
            "update app.users set status = 'suspended' where id = (select user_id from app.sessions where id = $1)",
        ),
    ];
    for (name, end) in ends {
        let member = guests.server.member(&format!("mia_signs_{name}")).await;
        let again = guests.server.sign_in(member.id).await;
        let (mut first, mut second) = (ready(&member, None).await, ready(&again, None).await);
        first.batch().await;
        second.batch().await;
        let end = sqlx::query(end).bind(member.session);
        end.execute(&mut guests.server.superuser().await)
            .await
            .expect("ended");
        // Notifications from before the end of access was noticed are not sent to a member who has lost it.
        guests.tell(&member, &[name]).await;
        assert_eq!(first.left().await, 0);
        if name == "out" {
            assert_eq!(second.batch().await.0, [name]);
        } else {
            assert_eq!(second.left().await, 0);
        }
        member.client.get(ENDLESS).await.expect(401);
    }
}

/// The same over HTTP: each of these ends a stream that is open, instead of only refusing the next request.
#[tokio::test]
async fn re5_a_stream_ends_with_whatever_ends_its_session() {
    let guests = Guests::listening().await;
    for end in [
        "sign-out",
        "sign-out-everywhere",
        "another",
        "suspend",
        "close",
    ] {
        let member = guests
            .server
            .member(&format!("mel_{}", end.replace('-', "_")))
            .await;
        let again = guests.server.sign_in(member.id).await;
        let (mut first, mut second) = (ready(&member, None).await, ready(&again, None).await);
        first.batch().await;
        second.batch().await;
        match end {
            "another" => {
                let path = format!("/me/sessions/{}", member.session);
                again.client.delete(&path).await.expect(204);
            }
            "suspend" => {
                let path = format!("/users/{}/suspend", member.id);
                guests.paula.client.act(&path).await.expect(200);
            }
            "close" => drop(member.client.delete("/me").await.expect(204)),
            path => drop(
                member
                    .client
                    .act(&format!("/auth/{path}"))
                    .await
                    .expect(204),
            ),
        }
        assert_eq!(first.left().await, 0, "{end}");
        member.client.get(ENDLESS).await.expect(401);
        if ["sign-out", "another"].contains(&end) {
            guests.tell(&member, &[end]).await;
            assert_eq!(second.batch().await.0, [end], "{end} is one session's end");
        } else {
            assert_eq!(second.left().await, 0, "{end}");
            again.client.get(ENDLESS).await.expect(401);
        }
    }
}

#[tokio::test]
async fn re5_nobody_hears_of_others_or_of_what_they_do_not_want_in_the_app() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let ben = guests.server.member("ben_listens").await;
    guests.server.client.get(ENDLESS).await.expect(401);
    let mut events = ready(&ana, None).await;
    events.batch().await;
    guests.tell(&ben, &["for Ben"]).await;
    guests.tell(&ana, &["by push alone"]).await;
    guests
        .run("update app.notifications set in_app = false where title = 'by push alone'")
        .await;
    let last_id = events.last_id.clone();
    let mut quiet = guests.server.superuser().await;
    let mut quiet = quiet.begin().await.expect("a transaction");
    let hidden = format!(
        "insert into app.notifications (user_id, title, message, type, dedupe_key, in_app) values ('{}', 'hidden', 'Hello', 'system', 'test:hidden', false)",
        ana.id
    );
    sqlx::raw_sql(AssertSqlSafe(hidden))
        .execute(&mut *quiet)
        .await
        .expect("told");
    quiet.commit().await.expect("committed");
    guests.tell(&ana, &["for Ana"]).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|title| title != "for Ana") {
        heard.extend(events.batch().await.0);
    }
    heard.retain(|title| title != "by push alone");
    assert_eq!(heard, ["for Ana"]);
    let missed = ready(&ana, last_id.as_deref()).await.batch().await.0;
    assert_eq!(missed, ["for Ana"]);
}

#[tokio::test]
async fn re5_a_stream_ends_with_its_token() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let now = chrono::Utc::now().timestamp();
    let token = guests
        .server
        .built
        .tokens
        .issue_until(ana.id, ana.session, now, now + 2);
    let client = guests
        .server
        .client
        .with_token(token.expect("a token").token);
    let mut events = client.listen(ENDLESS, None).await;
    events.expect("ready").await;
    events.batch().await;
    assert_eq!(events.left().await, 0);
    assert!(events.retry_ms.is_some());
}

/// Streams must not delay the shutdown of a server, and their clients reconnect at different times.
#[tokio::test]
async fn re6_a_server_that_stops_ends_its_streams() {
    let mut guests = Guests::listening().await.into_stage();
    let mut streams = Vec::new();
    for number in 0..20 {
        let member = guests.server.member(&format!("member_{number}")).await;
        let mut events = ready(&member, None).await;
        events.batch().await;
        events.retry_ms = None;
        streams.push(events);
    }
    let stopping = tokio::time::timeout(Duration::from_secs(15), guests.server.stop());
    stopping.await.expect("it stops");
    let mut retries = std::collections::BTreeSet::new();
    for mut events in streams {
        assert_eq!(events.left().await, 0);
        retries.insert(events.retry_ms.expect("when to come back"));
    }
    assert!(retries.len() > 10, "{retries:?}");
}

#[tokio::test]
async fn re_a_member_listens_at_so_many_places() {
    let guests = Guests::listening().await;
    let ana = guests.server.member("ana_listens").await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(ready(&ana, None).await);
    }
    let refused = ana.client.get(ENDLESS).await.expect(429);
    assert!(refused.header("retry-after").is_some());
    assert!(
        refused.json["detail"]
            .as_str()
            .expect("a detail")
            .contains('3')
    );
    // Streams of other members don't count, and a closed stream makes room for another.
    let ben = guests.server.member("ben_listens").await;
    ready(&ben, None).await;
    drop(all.pop());
    let mut left = None;
    for _ in 0..100 {
        let answer = ana.client.open(ENDLESS, &[]).await;
        if answer.status() == 200 {
            left = Some(answer);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(left.is_some());
}

/// Only new rows are read, however many rows there are.
#[tokio::test]
async fn re_a_look_reads_what_is_new() {
    let guests = Guests::new().await;
    let ana = guests.server.member("ana_listens").await;
    guests
        .run(&format!(
            "insert into app.notifications (user_id, title, message, type, dedupe_key)
             select '{}', 'Number ' || n, 'Hello', 'system', 'test:' || n from generate_series(1, 20000) n; analyze app.notifications",
            ana.id
        ))
        .await;
    let mut conn = guests.server.superuser().await;
    // Snapshots also contain transactions in other databases of the cluster: as long as one of them is older than the
    // rows, these may count as new.
    let settled = "select pg_snapshot_xmin(pg_current_snapshot())::text::int8 - max(changed_in) from app.notifications";
    for _ in 0..6000 {
        if guests.count(settled).await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen: String = sqlx::query_scalar("select pg_current_snapshot()::text")
        .fetch_one(&mut conn)
        .await
        .expect("a snapshot");
    guests.tell(&ana, &["new"]).await;
    // Several times, because a kept plan must not be a generic one.
    for _ in 0..8 {
        let mut tx = conn.begin().await.expect("a transaction");
        let before = read(&mut tx).await;
        let row = sqlx::query(
            "select ids from app.notification_news($1, $2, 101) where member is not null",
        )
        .bind(&seen)
        .bind(vec![ana.id])
        .fetch_one(&mut *tx)
        .await
        .expect("news");
        assert_eq!(row.get::<Vec<uuid::Uuid>, _>(0).len(), 1);
        // The unread ones are counted in their index.
        let read = read(&mut tx).await - before;
        assert!((1..25_000).contains(&read), "{read}");
    }
    let plan = "explain select n.id from app.notifications n where n.changed_in >= pg_snapshot_xmin('SEEN'::pg_snapshot)::text::bigint
        and n.changed_in < 9000000 and not pg_visible_in_snapshot(n.changed_in::text::xid8, 'SEEN'::pg_snapshot) and n.in_app";
    let plan = plan.replace("SEEN", &seen);
    let rows = sqlx::raw_sql(AssertSqlSafe(plan))
        .fetch_all(&mut conn)
        .await
        .expect("a plan");
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(
        plan.join("\n").contains("notifications_changed_in"),
        "{plan:?}"
    );
}

/// Rows read by this connection, whose statistics are not reported within a transaction, so reads of other connections
/// don't count.
async fn read(tx: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar("select (idx_tup_fetch + seq_tup_read)::int8 from pg_stat_xact_user_tables where schemaname = 'app' and relname = 'notifications'")
        .fetch_one(tx)
        .await
        .expect("what was read")
}
