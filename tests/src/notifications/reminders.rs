//! RM: guests are reminded a day before an event, once for each time that it was set to.

use super::{deliveries::keep_workers_away, stage::Guests};
use app::notifications::Reminder;
use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde_json::json;

const SOON: &str = "select count(*) from app.notifications where type = 'event_reminder'";

impl Guests {
    async fn remind(&self) -> i64 {
        self.module().remind().await.expect("reminded")
    }
}

/// A query for events that start in exactly 24 hours, like that of the first design, would find none of these.
#[tokio::test]
async fn rm1_whoever_looks_late_or_seldom_finds_what_is_due() {
    let guests = Guests::new().await;
    let member = guests.guest("rita_goes").await;
    for (minutes, due) in [(24 * 60 + 5, false), (24 * 60 - 1, true)] {
        guests.begins_in(minutes).await;
        assert_eq!(guests.remind().await, i64::from(due), "{minutes}");
    }
    assert_eq!(guests.names(&member).await, ["order_paid", "event_soon"]);
    let seeds = "select count(*) from app.events where starts_at - now() = interval '24 hours'";
    assert_eq!(guests.count(seeds).await, 0);
}

/// An event without a place is where it is streamed, not somewhere in its city.
#[tokio::test]
async fn rm1_a_reminder_of_a_streamed_event_has_its_address() {
    let guests = Guests::new().await;
    let member = guests.guest("rita_watches").await;
    let says = |kind: &str| {
        format!(
            "select message from app.notifications where user_id = '{}' and type = '{kind}' order by id desc limit 1",
            member.id
        )
    };
    let event = guests.event;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             update app.events e set location = null, online_url = 'https://example.org/stream',
               venue_id = (select v.id from app.venues v where v.city_id = e.city_id and v.status = 'active' order by v.id limit 1)
             where e.id = '{event}'"
        ))
        .await;
    // Who waits for a ticket may not see the address.
    guests.change(json!({"venue_id": null})).await;
    let moved = guests.one(&says("event_changed")).await;
    assert!(moved.ends_with("takes place here now: online"), "{moved}");
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.remind().await, 1);
    let soon = guests.one(&says("event_reminder")).await;
    assert!(
        soon.ends_with("Place: online, https://example.org/stream"),
        "{soon}"
    );
}

/// Calendars interpret a higher number as another time.
#[tokio::test]
async fn se5_a_reminder_changes_nothing_in_calendars() {
    let guests = Guests::new().await;
    guests.guest("rita_reads").await;
    guests.begins_in(23 * 60).await;
    let path = format!("/events/{}/calendar.ics", guests.event);
    let shown = async || {
        let answer = guests.server.client.get(&path).await.expect(200);
        let sequence = answer
            .text
            .lines()
            .find(|line| line.starts_with("SEQUENCE"));
        sequence.expect("a number").to_owned()
    };
    let before = shown().await;
    assert_eq!(guests.remind().await, 1);
    assert_eq!(shown().await, before);
    let later = (Utc::now() + chrono::Duration::hours(47)).to_rfc3339();
    let end = (Utc::now() + chrono::Duration::hours(49)).to_rfc3339();
    guests
        .change(json!({"starts_at": later, "ends_at": end}))
        .await;
    assert_ne!(shown().await, before, "the control");
}

#[tokio::test]
async fn rm2_eight_who_look_at_once_remind_once() {
    let guests = Guests::new().await;
    let mut members = Vec::new();
    for n in 0..5 {
        members.push(guests.guest(&format!("rm2_{n}")).await);
    }
    guests.begins_in(23 * 60).await;
    let told: i64 = join_all((0..8).map(|_| guests.remind()))
        .await
        .into_iter()
        .sum();
    assert_eq!((told, guests.count(SOON).await), (5, 5));
    assert_eq!(guests.remind().await, 0);
    guests.dispatch().await;
    for member in &members {
        assert_eq!(
            guests.deliveries(member, "event_soon").await,
            [("email".to_owned(), "sent".to_owned())]
        );
    }
    // The key of the reminder prevents repetition even if the record in the schedule is lost.
    guests.run("delete from app.event_schedules").await;
    assert_eq!(guests.remind().await, 0);
    assert_eq!(guests.count(SOON).await, 5);
}

#[tokio::test]
async fn rm4_another_time_takes_back_what_waits_and_is_reminded_of_anew() {
    let guests = Guests::new().await;
    let member = guests.guest("rosa_goes").await;
    guests.dispatch().await;
    guests.begins_in(23 * 60).await;
    guests.run("insert into app.delivery_pauses (channel, until, reason) values ('email', now() + interval '1 hour', 'a test')").await;
    assert_eq!(guests.remind().await, 1);
    guests.server.settled().await;
    assert_eq!(
        guests.deliveries(&member, "event_soon").await,
        [("email".to_owned(), "pending".to_owned())]
    );
    // The event is moved by a day: the reminder is dropped in the same transaction.
    let later = (Utc::now() + chrono::Duration::hours(47)).to_rfc3339();
    let end = (Utc::now() + chrono::Duration::hours(49)).to_rfc3339();
    guests
        .change(json!({"starts_at": later, "ends_at": end}))
        .await;
    assert_eq!(
        guests.deliveries(&member, "event_soon").await,
        [("email".to_owned(), "dropped".to_owned())]
    );
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    assert_eq!(
        guests.names(&member).await,
        ["order_paid", "event_soon", "event_moved"]
    );
    assert_eq!(guests.remind().await, 0, "not yet");
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.remind().await, 1);
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_soon").await,
        [
            ("email".to_owned(), "dropped".to_owned()),
            ("email".to_owned(), "sent".to_owned())
        ]
    );
}

/// A worker that has found a due event waits for the transaction that moves it, and checks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rm4_an_event_that_is_moved_while_one_looks_is_reminded_of_at_its_new_time() {
    let guests = Guests::new().await;
    let member = guests.guest("rhea_goes").await;
    guests.begins_in(23 * 60).await;
    let mut conn = guests.server.superuser().await;
    let moved = format!(
        "begin; set local session_replication_role = replica;
         update app.events set starts_at = starts_at + interval '30 days', ends_at = ends_at + interval '30 days' where id = '{0}';
         insert into app.event_schedules as s (event_id, revision) values ('{0}', 2)
         on conflict (event_id) do update set revision = s.revision + 1",
        guests.event
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(moved))
        .execute(&mut conn)
        .await
        .expect("moved");
    let module = guests.module().clone();
    let looking = tokio::spawn(async move { module.remind().await });
    let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    for _ in 0..1000 {
        if guests.count(waiting).await > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(guests.count(waiting).await > 0);
    sqlx::raw_sql("commit")
        .execute(&mut conn)
        .await
        .expect("committed");
    assert_eq!(looking.await.expect("a look").expect("nobody"), 0);
    guests.server.settled().await;
    assert_eq!(guests.names(&member).await, ["order_paid"]);
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.remind().await, 1);
}

/// Much can happen between planning a reminder and sending it; each of these is checked when it is sent.
#[tokio::test]
async fn rm4_who_does_not_go_any_more_is_not_reminded() {
    let changes = [
        (
            "a cancelled event",
            "update app.events set state = 'cancelled' where id = '{event}'",
        ),
        (
            "a hidden event",
            "update app.events set status = 'suspended' where id = '{event}'",
        ),
        (
            "a ticket given back",
            "update app.tickets set state = 'refunded' where event_id = '{event}'",
        ),
        (
            "a ticket handed on",
            "update app.tickets set holder_id = '{other}' where event_id = '{event}'",
        ),
        (
            "another revision",
            "insert into app.event_schedules as s (event_id, revision) values ('{event}', 2) on conflict (event_id) do update set revision = s.revision + 1",
        ),
        (
            "a closed account",
            "update app.users set status = 'suspended' where id = '{member}'",
        ),
    ];
    let guests = Guests::new().await;
    let member = guests.guest("rolf_goes").await;
    guests.dispatch().await;
    let before = guests.server.mailer.count_to("rolf_goes@example.org");
    guests.begins_in(23 * 60).await;
    for (what, change) in changes {
        guests.run("delete from app.notification_deliveries; delete from app.notifications; delete from app.event_schedules; insert into app.delivery_pauses (channel, until, reason) values ('email', now() + interval '1 hour', 'a test')").await;
        assert_eq!(guests.remind().await, 1, "{what}");
        guests.server.settled().await;
        let change = change
            .replace("{event}", &guests.event.to_string())
            .replace("{other}", &guests.mira.id.to_string())
            .replace("{member}", &member.id.to_string());
        // Without triggers, so that only the claim can find it.
        guests
            .run(&format!("set session_replication_role = replica; {change}"))
            .await;
        guests.run("delete from app.delivery_pauses").await;
        guests.dispatch().await;
        assert_eq!(
            guests.server.mailer.count_to("rolf_goes@example.org"),
            before,
            "{what}"
        );
        let dropped = "select count(*) from app.notification_deliveries where state = 'dropped' and error is not null";
        assert_eq!(guests.count(dropped).await, 1, "{what}");
        guests.run(&format!(
            "set session_replication_role = replica; update app.events set state = 'published', status = 'active' where id = '{}';
             update app.tickets set state = 'valid', holder_id = '{}' where event_id = '{}'; update app.users set status = 'active' where id = '{}'",
            guests.event, member.id, guests.event, member.id
        )).await;
    }
    // The control: without any of these changes the reminder is sent.
    guests.run("delete from app.notification_deliveries; delete from app.notifications; delete from app.event_schedules").await;
    assert_eq!(guests.remind().await, 1);
    guests.dispatch().await;
    assert_eq!(
        guests.server.mailer.count_to("rolf_goes@example.org"),
        before + 1
    );
}

#[tokio::test]
async fn rm5_an_event_that_is_moved_close_is_reminded_of_while_that_helps() {
    let guests = Guests::new().await;
    let member = guests.guest("ruth_goes").await;
    for (hours, reminded) in [(3, true), (1, false)] {
        let at = |hours: i64| (Utc::now() + chrono::Duration::hours(hours)).to_rfc3339();
        // By a statement: the API keeps hosts to a day's notice.
        guests
            .run(&format!(
                "update app.events set starts_at = '{}', ends_at = '{}' where id = '{}'",
                at(hours),
                at(hours + 2),
                guests.event
            ))
            .await;
        guests.server.settled().await;
        assert_eq!(guests.remind().await, i64::from(reminded), "{hours} hours");
    }
    assert_eq!(
        guests.names(&member).await,
        ["order_paid", "event_moved", "event_soon", "event_moved"]
    );
}

/// What is close is a setting.
#[tokio::test]
async fn rm5_how_close_is_too_close_is_set() {
    for (least, reminded) in [(30, 1), (61, 0)] {
        let guests = Guests::with(|parts| {
            parts
                .modules
                .notifications
                .notifications_reminder_least_minutes = least;
        })
        .await;
        guests.guest("rhona_goes").await;
        guests.begins_in(60).await;
        assert_eq!(guests.remind().await, reminded, "{least}");
    }
}

#[tokio::test]
async fn rm6_after_hours_of_nobody_working_what_is_still_useful_is_sent_once() {
    let guests = Guests::new().await;
    let member = guests.guest("remy_goes").await;
    // The reminder was due six hours ago.
    guests.begins_in(18 * 60).await;
    keep_workers_away(&guests).await;
    assert_eq!(guests.remind().await, 1);
    assert_eq!(guests.remind().await, 0);
    // A reminder that waited until the event had begun is dropped, with that reason.
    guests.run("delete from app.delivery_pauses; update app.notification_deliveries set expires_at = now() where notification_id in (select id from app.notifications where type = 'event_reminder')").await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_soon").await,
        [("email".to_owned(), "dropped".to_owned())]
    );
    let why = "select count(*) from app.notification_deliveries where error = 'it came too late'";
    assert_eq!(guests.count(why).await, 1);
}

/// An event whose guests can't be notified doesn't prevent reminders of others.
#[tokio::test]
async fn rm6_an_event_that_fails_holds_up_no_other() {
    let guests = Guests::new().await;
    let member = guests.guest("rina_goes").await;
    guests.begins_in(22 * 60).await;
    // It begins earlier, so it is processed first.
    let sooner = guests
        .one(&format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
             select city_id, host_type, host_id, 'Sooner', now() + interval '20 hours', now() + interval '21 hours', timezone, 'published'
             from app.events where id = '{}' returning id::text",
            guests.event
        ))
        .await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
             values (sec.uuid_v7(), sec.uuid_v7(), '{sooner}', '{0}', '{0}', 'a-code-of-a-ticket-that-comes-sooner', 1, 'AUD');
             create function app.refuse() returns trigger language plpgsql as $$ begin raise exception 'broken'; end $$;
             create trigger refuse before insert on app.notifications
               for each row when (new.event_id = '{sooner}') execute function app.refuse()",
            member.id
        ))
        .await;
    assert!(guests.module().remind().await.is_err());
    assert_eq!(guests.names(&member).await, ["order_paid", "event_soon"]);
    guests.run("drop trigger refuse on app.notifications").await;
    assert_eq!(guests.remind().await, 1);
}

/// Guests of events that began while no worker ran are counted, once; those for whom no reminder was possible are not.
#[tokio::test]
async fn rm6_guests_of_what_began_meanwhile_are_counted() {
    let guests = Guests::new().await;
    guests.guest("rio_goes").await;
    guests.guest("ravi_goes").await;
    let event = guests.event;
    let give_up = async || {
        let module = guests.module();
        module.give_up_reminders().await.expect("counted")
    };
    // Events of the sample data, whose reminders this stage has deleted, are counted first.
    give_up().await;
    let counted =
        format!("select unreminded::bigint from app.event_schedules where event_id = '{event}'");
    // They bought their tickets too late for a reminder.
    guests.begins_in(-10).await;
    assert_eq!(give_up().await, 0);
    guests
        .run(&format!(
            "set session_replication_role = replica; update app.tickets set created_at = now() - interval '3 days' where event_id = '{event}';
             update app.events set created_at = now() - interval '9 days' where id = '{event}'"
        ))
        .await;
    // The event was moved too late for a reminder.
    guests
        .run(&format!(
            "insert into app.event_schedules (event_id, revision) values ('{event}', 2)"
        ))
        .await;
    assert_eq!(give_up().await, 0);
    guests
        .run("set session_replication_role = replica; update app.event_schedules set updated_at = now() - interval '2 days'")
        .await;
    // A reminder is due and still possible, so it isn't counted as missed.
    guests.begins_in(5 * 60).await;
    assert_eq!(give_up().await, 0);
    guests.begins_in(-10).await;
    assert_eq!(guests.remind().await, 0);
    let at_once = join_all((0..4).map(|_| give_up())).await;
    assert_eq!(at_once.iter().sum::<i64>(), 2);
    assert_eq!(guests.count(&counted).await, 2);
    assert_eq!(guests.remind().await + give_up().await, 0);
}

/// RM7: 86,400 seconds, or the same local time of the day before.
#[tokio::test]
async fn rm7_a_day_is_24_hours_or_what_the_clocks_say() {
    let guests = Guests::new().await;
    let mut conn = guests.server.superuser().await;
    // Start, zone, and when the reminder is due: 24 hours before, or by the clocks.
    for row in [
        "2026-10-04T09:00:00Z Australia/Sydney 2026-10-03T09:00:00Z 2026-10-03T10:00:00Z",
        "2026-03-29T18:00:00Z Europe/London 2026-03-28T18:00:00Z 2026-03-28T19:00:00Z",
        "2026-11-01T20:00:00Z America/New_York 2026-10-31T20:00:00Z 2026-10-31T19:00:00Z",
        "2026-04-05T09:00:00Z Australia/Sydney 2026-04-04T09:00:00Z 2026-04-04T08:00:00Z",
        "2026-10-25T18:00:00Z Europe/London 2026-10-24T18:00:00Z 2026-10-24T17:00:00Z",
        "2026-03-08T20:00:00Z America/New_York 2026-03-07T20:00:00Z 2026-03-07T21:00:00Z",
        "2026-10-25T18:00:00Z Europe/Berlin 2026-10-24T18:00:00Z 2026-10-24T17:00:00Z",
        // By half an hour.
        "2026-10-04T09:00:00Z Australia/Lord_Howe 2026-10-03T09:00:00Z 2026-10-03T09:30:00Z",
        "2026-04-05T09:00:00Z Australia/Lord_Howe 2026-04-04T09:00:00Z 2026-04-04T08:30:00Z",
        // Not since 2019.
        "2026-11-01T20:00:00Z America/Sao_Paulo 2026-10-31T20:00:00Z 2026-10-31T20:00:00Z",
        "2026-03-29T18:00:00Z Asia/Kolkata 2026-03-28T18:00:00Z 2026-03-28T18:00:00Z",
    ] {
        let [starts, zone, absolute, wall] = *row.split(' ').collect::<Vec<_>>() else {
            panic!("{row}");
        };
        for (is_wall, expected) in [(false, absolute), (true, wall)] {
            let due: DateTime<Utc> =
                sqlx::query_scalar("select app.reminder_due($1::text::timestamptz, $2, $3)")
                    .bind(starts)
                    .bind(zone)
                    .bind(is_wall)
                    .fetch_one(&mut conn)
                    .await
                    .expect("a time");
            assert_eq!(
                due,
                expected.parse::<DateTime<Utc>>().expect("a time"),
                "{starts} {zone} {is_wall}"
            );
        }
    }
    drop(guests);
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_reminder = Reminder::WallClock
    })
    .await;
    guests.guest("rex_goes").await;
    guests.begins_in(22 * 60).await;
    assert_eq!(guests.remind().await, 1);
}

#[tokio::test]
async fn rm8_several_tickets_are_one_reminder_and_late_ones_are_as_the_settings_say() {
    for remind_late in [false, true] {
        let guests = Guests::with(|parts| {
            parts.modules.notifications.notifications_remind_late_buyers = remind_late;
        })
        .await;
        let member = guests.guest("rena_goes").await;
        guests.ticket(&member).await;
        guests.begins_in(23 * 60).await;
        assert_eq!(guests.remind().await, 1);
        let late = guests.guest("lars_goes").await;
        assert_eq!(guests.remind().await, 0);
        let names = guests.names(&late).await;
        assert_eq!(
            names.contains(&"event_soon".to_owned()),
            remind_late,
            "{names:?}"
        );
        guests.dispatch().await;
        let soon = guests.deliveries(&member, "event_soon").await;
        assert_eq!(soon.len(), 1);
    }
}
