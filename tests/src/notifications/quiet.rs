//! NO5: quiet hours in the member's local time, including days on which clocks change.

use super::{deliveries::keep_workers_away, stage::Guests};
use crate::{money::stage::keyed, support::Member};
use chrono::{DateTime, Duration, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::json;
use sqlx::PgConnection;

async fn until(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    zone: &str,
    starts: &str,
    ends: &str,
) -> Option<DateTime<Utc>> {
    sqlx::query_scalar("select app.quiet_until($1, $2, $3)")
        .bind(at)
        .bind(zone)
        .bind(json!({"starts": starts, "ends": ends}))
        .fetch_one(conn)
        .await
        .expect("an answer")
}

/// Whether the local time is within the quiet hours, computed with another library.
fn is_quiet(at: DateTime<Utc>, zone: Tz, starts: &str, ends: &str) -> bool {
    let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").expect("a time");
    let (now, starts, ends) = (at.with_timezone(&zone).time(), time(starts), time(ends));
    match starts <= ends {
        true => now >= starts && now < ends,
        false => now >= starts || now < ends,
    }
}

/// Every ten minutes of the days around a change of the clocks.
#[tokio::test]
async fn no5_quiet_hours_are_those_of_the_members_clocks() {
    let guests = Guests::new().await;
    let mut conn = guests.server.superuser().await;
    let days = [
        ("Europe/London", "2026-03-28T00:00:00Z"),
        ("Europe/London", "2026-10-24T00:00:00Z"),
        ("America/New_York", "2026-03-07T12:00:00Z"),
        ("America/New_York", "2026-10-31T12:00:00Z"),
        ("Australia/Sydney", "2026-10-02T12:00:00Z"),
        ("Europe/Berlin", "2026-10-24T00:00:00Z"),
        // By half an hour.
        ("Australia/Lord_Howe", "2026-10-02T12:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-03T12:00:00Z"),
        // Not since 2019.
        ("America/Sao_Paulo", "2026-10-31T12:00:00Z"),
        ("Asia/Kolkata", "2026-03-28T00:00:00Z"),
    ];
    let hours = [
        ("22:00", "08:00"),
        ("01:30", "02:30"),
        ("00:00", "06:00"),
        ("12:00", "13:00"),
        ("02:15", "02:45"),
    ];
    let mut ends_at_the_clock = 0;
    for (zone, from) in days {
        let from: DateTime<Utc> = from.parse().expect("a time");
        let tz: Tz = zone.parse().expect("a zone");
        for step in 0..(3 * 24 * 6) {
            let at = from + Duration::minutes(10 * step);
            for (starts, ends) in hours {
                let found = until(&mut conn, at, zone, starts, ends).await;
                let expected = is_quiet(at, tz, starts, ends);
                assert_eq!(
                    found.is_some(),
                    expected,
                    "{at} {zone} {starts}-{ends}: {found:?}"
                );
                let Some(end) = found else { continue };
                assert!(
                    end >= at && end <= at + Duration::hours(12),
                    "{at} {zone} {starts}-{ends}: {end}"
                );
                // Afterwards it isn't quiet any more, and the local time is the end, unless that time is skipped.
                let local = end.with_timezone(&tz).time();
                let shown = NaiveTime::parse_from_str(ends, "%H:%M").expect("a time");
                if (local.hour(), local.minute()) == (shown.hour(), shown.minute()) {
                    ends_at_the_clock += 1;
                } else {
                    let day = end.with_timezone(&tz).date_naive();
                    let skipped = tz
                        .from_local_datetime(&day.and_time(shown))
                        .earliest()
                        .is_none();
                    assert!(skipped || end == at, "{at} {zone} {starts}-{ends}: {end}");
                }
            }
        }
    }
    assert!(ends_at_the_clock > 1500, "{ends_at_the_clock}");
    let same = until(&mut conn, Utc::now(), "UTC", "08:00", "08:00").await;
    assert_eq!(same, None, "hours that end when they begin are none");
}

#[tokio::test]
async fn no5_what_is_not_urgent_waits_and_what_is_does_not() {
    let guests = Guests::new().await;
    let member = guests.guest("nat_sleeps").await;
    guests.dispatch().await;
    // Quiet from an hour ago to two hours from now.
    let now = Utc::now();
    let clock = |hours: i64| (now + Duration::hours(hours)).format("%H:%M").to_string();
    let body = json!({"channel": "all", "type": "all", "enabled": true, "quiet_hours": {"starts": clock(-1), "ends": clock(2)}});
    member
        .client
        .post("/notification-preferences", body)
        .await
        .expect(201);
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "pending".to_owned())]
    );
    let wait = "select (extract(epoch from next_attempt_at - now()) / 60)::int8 from app.notification_deliveries where state = 'pending'";
    let minutes = guests.count(wait).await;
    assert!((118..=121).contains(&minutes), "{minutes}");
    // A claim that comes too early finds that it is still quiet.
    guests.run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending'").await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "pending".to_owned())]
    );
    let minutes = guests.count(wait).await;
    assert!((118..=121).contains(&minutes), "{minutes}");
    let cancel = format!("/events/{}/cancel", guests.event);
    guests
        .olga
        .client
        .post(&cancel, json!({"reason": "Flooded"}))
        .await
        .expect(200);
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_off").await,
        [("email".to_owned(), "sent".to_owned())]
    );
    // An expired message is dropped when it becomes due.
    guests.run("delete from app.notification_preferences; update app.notification_deliveries set next_attempt_at = now(), expires_at = now() where state = 'pending'").await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "dropped".to_owned())]
    );
}

/// Guests who are about to leave are told of another place or time at once, however early or late it is; of changes of
/// other events they are told in the morning.
#[tokio::test]
async fn no5_a_change_of_what_begins_soon_waits_for_no_morning() {
    let guests = Guests::new().await;
    let member = guests.guest("nora_dresses").await;
    guests.dispatch().await;
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.module().remind().await.expect("reminded"), 1);
    guests.dispatch().await;
    let now = Utc::now();
    let clock = |hours: i64| (now + Duration::hours(hours)).format("%H:%M").to_string();
    let body = json!({"channel": "all", "type": "all", "enabled": true, "quiet_hours": {"starts": clock(-1), "ends": clock(8)}});
    member
        .client
        .post("/notification-preferences", body)
        .await
        .expect(201);
    let told = async |message: &str| {
        guests.dispatch().await;
        let states = guests.deliveries(&member, message).await;
        states.last().map(|(_, state)| state.clone())
    };
    let elsewhere = async |lng: f64| {
        let body = json!({"location": {"lat": -37.8, "lng": lng}});
        guests.change(body).await;
        told("event_elsewhere").await
    };
    let begins = async |minutes: i64| {
        guests.begins_in(minutes).await;
        guests
            .run("delete from app.notifications where type = 'event_changed'")
            .await;
    };
    let again = "delete from app.notification_deliveries d using app.notifications n
        where n.id = d.notification_id and n.type = 'event_changed'";
    // Her quiet hours end in eight hours.
    for (minutes, state) in [
        (9 * 60, "pending"),
        (5 * 60, "sent"),
        (2 * 60, "sent"),
        (-60, "sent"),
    ] {
        guests.run(again).await;
        begins(minutes).await;
        let found = elsewhere(144.0 + minutes as f64 / 1000.0).await;
        assert_eq!(found.as_deref(), Some(state), "{minutes}");
    }
    // It was to begin in two hours, and is put off until tomorrow.
    let at = |hours: i64| (Utc::now() + Duration::hours(hours)).to_rfc3339();
    for (hours, state) in [(5, "pending"), (2, "sent")] {
        guests.run(again).await;
        begins(hours * 60).await;
        guests
            .run(&format!(
                "update app.notification_deliveries d set expires_at = now() + interval '{hours} hours'
                 from app.notifications n where n.id = d.notification_id and n.type = 'event_reminder'"
            ))
            .await;
        guests
            .change(json!({"starts_at": at(26), "ends_at": at(28)}))
            .await;
        assert_eq!(told("event_moved").await.as_deref(), Some(state), "{hours}");
    }
}

/// OD5: what a host writes to its guests waits for the morning, unless the event begins before, or is under way and over by
/// then.
#[tokio::test]
async fn od5_a_broadcast_waits_for_no_morning_after_its_event() {
    let guests = Guests::new().await;
    let member = guests.guest("nils_dozes").await;
    guests.dispatch().await;
    let now = Utc::now();
    let clock = |hours: i64| (now + Duration::hours(hours)).format("%H:%M").to_string();
    let hours = json!({"starts": clock(-1), "ends": clock(8)});
    let body = json!({"channel": "all", "type": "all", "enabled": true, "quiet_hours": hours});
    let made = member.client.post("/notification-preferences", body).await;
    made.expect(201);
    let state = async || {
        guests.dispatch().await;
        let states = guests.deliveries(&member, "host_wrote").await;
        assert_eq!(states.len(), 1, "{states:?}");
        states[0].1.clone()
    };
    let lasts = async |starts: i64, ends: i64| {
        let event = guests.event;
        guests
            .run(&format!(
                "set session_replication_role = replica;
                 delete from app.notification_deliveries d using app.notifications n
                   where n.id = d.notification_id and n.type = 'broadcast';
                 update app.events set starts_at = now() + interval '{starts} hours', ends_at = now() + interval '{ends} hours' where id = '{event}'"
            ))
            .await;
    };
    // Her quiet hours end in eight hours.
    for (starts, ends, expected) in [
        (9, 12, "pending"),
        (7, 12, "sent"),
        (-4, 12, "pending"),
        (-4, 2, "sent"),
        (-4, -2, "pending"),
    ] {
        lasts(starts, ends).await;
        let body = json!({"event_id": guests.event, "title": "Bring a coat", "message": "It is cold in there."});
        let broadcast = guests.olga.client.post("/broadcasts", body).await;
        let schedule = format!("/broadcasts/{}/schedule", broadcast.expect(201).id());
        guests.olga.client.act(&schedule).await.expect(200);
        let broadcasts = &guests.server.built.app.modules.broadcasts;
        assert_eq!(broadcasts.hand_over().await.expect("handed over"), 1);
        assert_eq!(state().await, expected, "{starts} to {ends}");
    }
    // One that was to wait is claimed when the event has come close.
    lasts(9, 12).await;
    guests
        .run(
            "insert into app.notification_deliveries (notification_id, user_id, channel, next_attempt_at)
             select n.id, n.user_id, 'email', now() from app.notifications n where n.type = 'broadcast' order by n.id limit 1",
        )
        .await;
    assert_eq!(state().await, "pending");
    guests.begins_in(5 * 60).await;
    guests
        .run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending'")
        .await;
    assert_eq!(state().await, "sent");
}

/// An offer of a ticket that lapses during quiet hours, at the end of tonight's event, would otherwise never be sent.
#[tokio::test]
async fn no5_an_offer_that_lapses_at_night_waits_for_no_morning() {
    let guests = Guests::new().await;
    let ana = guests.guest("ana_gives").await;
    let ben = guests.server.member("ben_takes").await;
    let now = Utc::now();
    let clock = |hours: i64| (now + Duration::hours(hours)).format("%H:%M").to_string();
    let hours = json!({"starts": clock(-1), "ends": clock(8)});
    let body = json!({"channel": "all", "type": "all", "enabled": true, "quiet_hours": hours});
    let made = ben.client.post("/notification-preferences", body).await;
    made.expect(201);
    // The event lasts for two hours, and the quiet hours end in eight.
    for (minutes, expected) in [(9 * 60, "pending"), (5 * 60, "sent")] {
        guests.ticket(&ana).await;
        guests.begins_in(minutes).await;
        let ticket = guests
            .one(&format!(
                "select t.id::text from app.tickets t where t.holder_id = '{}'
                   and not exists (select from app.ticket_transfers x where x.ticket_id = t.id) order by t.id limit 1",
                ana.id
            ))
            .await;
        let path = format!("/tickets/{ticket}/transfers");
        let offer = keyed(&ana, &path, json!({"to_id": ben.id})).await;
        offer.expect(201);
        guests.dispatch().await;
        let states = guests.deliveries(&ben, "ticket_offered").await;
        let last = states.last().map(|(_, state)| state.as_str());
        assert_eq!(last, Some(expected), "{minutes}: {states:?}");
    }
}

/// RM4: the place of an event changes while a reminder waits: it tells the new place, and comes once. One that has been
/// sent is not sent again.
#[tokio::test]
async fn rm4_a_reminder_that_waits_tells_the_place_that_holds() {
    let guests = Guests::new().await;
    let (asleep, awake) = (
        guests.guest("nell_sleeps").await,
        guests.guest("nino_is_awake").await,
    );
    guests.dispatch().await;
    keep_workers_away(&guests).await;
    guests.begins_in(23 * 60).await;
    assert_eq!(guests.module().remind().await.expect("reminded"), 2);
    guests
        .run(&format!(
            "update app.notification_deliveries d set state = 'sent', settled_at = now() from app.notifications n
             where n.id = d.notification_id and n.type = 'event_reminder' and n.user_id = '{}'",
            awake.id
        ))
        .await;
    let says = async |member: &Member| {
        let text = format!(
            "select string_agg(message, '|') from app.notifications where user_id = '{}' and type = 'event_reminder'",
            member.id
        );
        guests.one(&text).await
    };
    let before = says(&awake).await;
    assert_eq!(says(&asleep).await, before);
    guests
        .change(json!({"location": {"lat": -37.8, "lng": 144.9}}))
        .await;
    assert!(
        says(&asleep).await.ends_with("Place: Melbourne"),
        "{}",
        says(&asleep).await
    );
    assert_eq!(says(&awake).await, before);
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("nell_sleeps@example.org");
    let reminders: Vec<_> = (mails.iter())
        .filter(|mail| mail.subject.ends_with("is coming up"))
        .collect();
    assert_eq!(reminders.len(), 1);
    assert!(reminders[0].text.contains("Place: Melbourne"));
}
