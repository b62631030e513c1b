//! A large audience is notified in parts, each in a transaction of its own.

use super::stage::Guests;
use crate::support::rows;
use chrono::{Duration, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Two full parts, and some more.
const CROWD: i64 = 2_300;

impl Guests {
    /// Gives this many members a ticket to the event.
    async fn crowd(&self) {
        let (event, kind) = (self.event, self.kind);
        self.run(&format!(
            "set session_replication_role = replica;
             insert into app.users (id, handle, display_name, email)
               select ('d1000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'crowd_' || n, 'Crowd', 'crowd' || n || '@example.org'
               from generate_series(1, {CROWD}) n;
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
               select gen_random_uuid(), '{kind}', '{event}', u.id, u.id, 'crowd-' || u.id, 1, 'AUD'
               from app.users u where u.handle like 'crowd\\_%';
             analyze app.users, app.tickets"
        ))
        .await;
    }

    /// How many members were notified, in how many transactions, and the most in one of them.
    async fn parts(&self, message: &str) -> (i64, i64, i64) {
        let parts = format!(
            "from (select count(*) as told from app.notifications n join app.users u on u.id = n.user_id
                   where u.handle like 'crowd\\_%' and n.data ->> 'message' = '{message}' group by n.changed_in) part"
        );
        (
            self.count(&format!("select coalesce(sum(told), 0)::int8 {parts}"))
                .await,
            self.count(&format!("select count(*) {parts}")).await,
            self.count(&format!("select coalesce(max(told), 0) {parts}"))
                .await,
        )
    }
}

/// With many followers, a single transaction for all of them would exceed the time limit of a job, and nobody would be
/// notified.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no13_a_crowd_is_told_part_by_part_and_each_once() {
    let guests = Guests::new().await;
    guests.crowd().await;
    guests
        .change(json!({"starts_at": "2041-05-01T18:15:00Z"}))
        .await;
    assert_eq!(guests.parts("event_moved").await, (CROWD, 3, 1_000));
    let told_twice = "select count(*) from (select from app.notifications group by user_id, data ->> 'message' having count(*) > 1) twice";
    assert_eq!(guests.count(told_twice).await, 0);
    let unsent =
        "select count(*) from app.notification_deliveries where state not in ('pending', 'sent')";
    assert_eq!(guests.count(unsent).await, 0);
}

/// Devices of other members, so many that PostgreSQL would rather read all of them than look up those of a thousand.
const DEVICES: i64 = 20_000;

/// How many devices are read for telling a full part.
async fn devices_read(conn: &mut PgConnection, event: Uuid) -> i64 {
    let tell = format!(
        "select app.notify('new_event', array['push'], '{{}}', false, null, 'crowd:' || gen_random_uuid(), '{{}}', '{event}', null,
           array_agg(u.id), array_agg(1), array['News'], array['Come'], array[null::text], array[null::text])
         from (select u.id from app.users u where u.handle like 'crowd\\_%' limit 1000) u"
    );
    let read = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables where relid = 'app.devices'::regclass";
    let mut tx = conn.begin().await.expect("begun");
    // The view also shows what earlier transactions of the connection have read and not yet reported.
    let before: i64 = sqlx::query_scalar(read)
        .fetch_one(&mut *tx)
        .await
        .expect("a number");
    sqlx::raw_sql(AssertSqlSafe(tell))
        .execute(&mut *tx)
        .await
        .expect("told");
    let after = sqlx::query_scalar(read).fetch_one(&mut *tx).await;
    after.map(|after: i64| after - before).expect("a number")
}

/// Claim: telling a part reads the devices of its members, and not those of everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no13_a_part_reads_the_devices_of_its_members_only() {
    let guests = Guests::new().await;
    guests.crowd().await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             insert into app.devices (user_id, platform, push_token)
               select gen_random_uuid(), 'android', 'device-of-somebody-' || n from generate_series(1, {DEVICES}) n;
             analyze app.devices"
        ))
        .await;
    let mut conn = guests.server.superuser().await;
    let read = devices_read(&mut conn, guests.event).await;
    assert!(read < 2_000, "{read}");

    // The negative control: a join, which reads all.
    let looked_up = "cross join lateral (select d.id, d.status from app.devices d where d.user_id = t.user_id offset 0) d";
    let joined = "join app.devices d on d.user_id = t.user_id";
    let function = "select pg_get_functiondef('app.notify'::regproc)";
    let function: String = sqlx::query_scalar(function)
        .fetch_one(&mut conn)
        .await
        .expect("a function");
    assert!(function.contains(looked_up), "{function}");
    guests.run(&function.replace(looked_up, joined)).await;
    let read = devices_read(&mut conn, guests.event).await;
    assert!(read >= DEVICES, "{read}");
}

/// While no notification can be written, publishing an event is answered all the same, and the notifications are made
/// afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg7_publishing_tells_nobody_within_the_request() {
    let guests = Guests::new().await;
    let follower = guests.follower("faye_follows").await;
    let city = guests.server.city("melbourne").await;
    let host = rows::host_of(&guests.server, guests.olga.id, city).await;
    let body = json!({"title": "A night", "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "organization",
        "host_id": host, "city_id": city});
    let olga = &guests.olga.client;
    let event = olga.post("/events", body).await.expect(201).id();
    guests.server.settled().await;
    let mut other = guests.server.superuser().await;
    sqlx::raw_sql(
        "begin; lock table app.notifications, app.notification_deliveries in access exclusive mode",
    )
    .execute(&mut other)
    .await
    .expect("locked");
    olga.act(&format!("/events/{event}/publish"))
        .await
        .expect(200);
    sqlx::raw_sql("commit")
        .execute(&mut other)
        .await
        .expect("let go");
    guests.server.settled().await;
    assert_eq!(guests.names(&follower).await, ["event_published"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od5_a_broadcast_to_a_crowd_counts_every_part() {
    let guests = Guests::new().await;
    guests.crowd().await;
    let body = json!({"event_id": guests.event, "title": "Bring a coat", "message": "It is cold in there."});
    let olga = &guests.olga.client;
    let id = olga.post("/broadcasts", body).await.expect(201).id();
    olga.act(&format!("/broadcasts/{id}/schedule"))
        .await
        .expect(200);
    let broadcasts = &guests.server.built.app.modules.broadcasts;
    assert_eq!(broadcasts.hand_over().await.expect("handed over"), 1);
    guests.server.settled().await;
    let after = olga.get(&format!("/broadcasts/{id}")).await.expect(200);
    let after = &after.json;
    assert_eq!(
        (&after["state"], &after["recipient_count"]),
        (&json!("sent"), &json!(CROWD)),
        "{after}"
    );
    assert_eq!(guests.parts("host_wrote").await, (CROWD, 3, 1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rm2_a_crowd_is_reminded_once_however_often_one_looks() {
    let guests = Guests::new().await;
    guests.crowd().await;
    guests.begins_in(23 * 60).await;
    for _ in 0..2 {
        guests.module().remind().await.expect("reminded");
        guests.server.settled().await;
        assert_eq!(guests.parts("event_soon").await, (CROWD, 3, 1_000));
    }
}

/// A part waits for its turn, and meanwhile the event is moved, so its text is no longer true.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rm4_a_part_of_an_older_schedule_reminds_nobody() {
    let guests = Guests::new().await;
    guests.crowd().await;
    let later = Utc::now() + Duration::hours(47);
    let end = later + Duration::hours(2);
    guests
        .change(json!({"starts_at": later.to_rfc3339(), "ends_at": end.to_rfc3339()}))
        .await;
    let event = guests.event;
    for (revision, told) in [(1, 0), (2, 10)] {
        guests
            .run(&format!(
                "select jobs.put('notifications.tell_part', jsonb_build_object('message', 'event_soon', 'key', 'event_soon:{event}:{revision}',
                   'values', jsonb_build_object('event', 'Night', 'starts', jsonb_build_object('at', now(), 'zone', 'UTC'), 'place', 'Here'),
                   'data', jsonb_build_object('event', '{event}'), 'event', '{event}', 'revision', {revision}, 'expires_at', null,
                   'members', (select jsonb_agg(id) from (select id from app.users where handle like 'crowd\\_%' limit 10) few)),
                 null, null, 'keep', null, null, 1, null)"
            ))
            .await;
        guests.server.settled().await;
        assert_eq!(guests.parts("event_soon").await.0, told, "{revision}");
    }
}
