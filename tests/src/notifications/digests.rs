//! NO6: a digest whose answer is lost, and which transactions wait for each other while windows fill.

use super::{
    deliveries::{keep_workers_away, published, wait_until},
    stage::Guests,
};
use crate::{delivery::services::resend, support::Member};
use fake_messengers::{
    Config,
    fault::{Fault, Kind, Service},
    server::Running,
};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::sync::Arc;

const NEWS: usize = 3;

/// Resend accepts a mail, but its answer is lost. Before it is sent again, one of its messages is dropped; Resend
/// refuses the changed text, but the first mail was sent all the same.
#[tokio::test]
async fn no6_a_mail_that_was_taken_is_sent_whatever_it_would_say_by_now() {
    let fake = Running::start(Config::default()).await.expect("a fake");
    let mailer = Arc::new(resend(&fake.url, "re_fake"));
    let guests = Guests::with(|parts| {
        parts.mailer = mailer;
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("dolf_follows").await;
    keep_workers_away(&guests).await;
    for n in 0..NEWS {
        published(&guests, &format!("Number {n}")).await;
    }
    let others = format!(
        "delete from app.notification_deliveries where user_id <> '{}'",
        member.id
    );
    guests.run(&others).await;
    fake.fake
        .add_fault(Fault::new(Service::Resend, Kind::Drop).after_accepting());
    let due = "update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and carrier_id is null;
        delete from app.delivery_pauses";
    let tried = |attempts: i32, state: &str| {
        format!(
            "select count(*) from app.notification_deliveries
             where carrier_id is null and attempts = {attempts} and state = '{state}'"
        )
    };
    guests.run(due).await;
    guests.dispatch().await;
    wait_until(&guests, &tried(1, "pending"), 1).await;

    guests
        .run("update app.notification_deliveries set expires_at = now()
              where id = (select min(id::text)::uuid from app.notification_deliveries where carrier_id is not null)")
        .await;
    guests.run(due).await;
    guests.dispatch().await;
    wait_until(&guests, &tried(2, "sent"), 1).await;

    let mut states = guests.deliveries(&member, "event_published").await;
    states.sort();
    let states: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(states, ["dropped", "sent", "sent"]);
    let mails = fake.fake.mail();
    assert_eq!((mails.len(), fake.fake.calls(Service::Resend)), (1, 2));
    let text = mails[0].fields["text"].as_str().expect("a text");
    for n in 0..NEWS {
        assert!(text.contains(&format!("Number {n}")), "{text}");
    }
}

/// A window whose messages are all dropped meanwhile is dropped, and nothing is sent.
#[tokio::test]
async fn no6_a_window_of_which_nothing_is_left_is_dropped() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("dido_follows").await;
    keep_workers_away(&guests).await;
    for n in 0..2 {
        published(&guests, &format!("Number {n}")).await;
    }
    guests
        .run("update app.notification_deliveries set next_attempt_at = now(), expires_at = now() where state = 'pending';
              delete from app.delivery_pauses")
        .await;
    guests.dispatch().await;
    let left =
        "select count(*) from app.notification_deliveries where state in ('pending', 'sending')";
    wait_until(&guests, left, 0).await;
    let states = guests.deliveries(&member, "event_published").await;
    let states: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(states, ["dropped", "dropped"]);
    let address = "dido_follows@example.org";
    assert_eq!(guests.server.mailer.count_to(address), 0);
}

/// An event is moved while its announcement waits for the digest: the mail tells the new time only, however often it is
/// moved. Whoever has been told already is not told again.
#[tokio::test]
async fn no6_an_announcement_that_waits_tells_the_time_that_holds() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("dora_follows").await;
    keep_workers_away(&guests).await;
    published(&guests, "A movable feast").await;
    let event = guests
        .one("select id::text from app.events where title = 'A movable feast'")
        .await;
    let path = format!("/events/{event}");
    let move_by = async |minutes: i32| {
        let text = format!(
            "select to_char((starts_at + interval '{minutes} minutes') at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from app.events where id = '{event}'"
        );
        let starts = guests.one(&text).await;
        let etag = guests.olga.client.get(&path).await.expect(200).etag();
        let body = json!({"starts_at": starts});
        guests
            .olga
            .client
            .patch(&path, &etag, body)
            .await
            .expect(200);
        guests.server.settled().await;
    };
    let due =
        "update app.notification_deliveries set next_attempt_at = now() where state = 'pending';
        delete from app.delivery_pauses";
    move_by(7).await;
    move_by(6).await;
    guests.run(due).await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dora_follows@example.org");
    assert_eq!(mails.len(), 1);
    let states = guests.deliveries(&member, "event_published").await;
    let mut states: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    states.sort_unstable();
    // The first is the mail that carries the others, so it is sent without its own text.
    assert_eq!(states, ["dropped", "sent", "sent"]);
    let clock = format!(
        "select to_char(starts_at at time zone timezone, 'HH24:MI') from app.events where id = '{event}'"
    );
    let clock = guests.one(&clock).await;
    assert!(mails[0].text.contains(&clock), "{clock}: {}", mails[0].text);
    assert_eq!(mails[0].text.matches("A movable feast, ").count(), 1);
    assert!(mails[0].text.contains(&path), "it leads to the event");
    move_by(5).await;
    assert_eq!(guests.names(&member).await.len(), 3);
}

/// The lock of a member's window, as `app.notify` takes it.
fn lock(member: &Member) -> String {
    format!(
        "hashtext('notifications:digest'), hashtext('{}') & 63",
        member.id
    )
}

/// Windows of different members are filled concurrently, those of the same member one after the other.
#[tokio::test]
async fn no6_who_is_told_waits_for_nobody_elses_window() {
    let guests = Guests::new().await;
    let one = guests.server.member("dave_reads").await;
    let same = format!("select (hashtext('{}') & 63)::int8", one.id);
    let lane = guests.count(&same).await;
    let mut other = guests.server.member("dale_reads").await;
    for n in 0.. {
        let its = format!("select (hashtext('{}') & 63)::int8", other.id);
        if guests.count(&its).await != lane {
            break;
        }
        other = guests.server.member(&format!("dale_reads_{n}")).await;
    }
    let mut busy = guests.server.superuser().await;
    let held = format!("begin; select pg_advisory_xact_lock({})", lock(&one));
    sqlx::raw_sql(AssertSqlSafe(held))
        .execute(&mut busy)
        .await
        .expect("held");
    let tell = async |members: &[&Member]| {
        let ids: Vec<String> = members.iter().map(|one| format!("'{}'", one.id)).collect();
        let texts = vec!["1"; members.len()].join(", ");
        let text = format!(
            "set lock_timeout = '300ms';
             select app.notify('new_event', array['email'], '{{}}', false, interval '30 minutes', 'no6', '{{}}', null, null,
               array[{}]::uuid[], array[{texts}], array['Title'], array['Message'], array[null]::text[], array[null]::text[])",
            ids.join(", ")
        );
        let told = sqlx::raw_sql(AssertSqlSafe(text));
        told.execute(&mut guests.server.superuser().await).await
    };
    tell(&[&other]).await.expect("nobody is in the way");
    for members in [vec![&one], vec![&other, &one]] {
        let refused = tell(&members).await.expect_err("somebody is");
        let refused = refused.into_database_error().expect("of the database");
        assert_eq!(refused.code().as_deref(), Some("55P03"));
    }
    sqlx::raw_sql("commit")
        .execute(&mut busy)
        .await
        .expect("free");
    tell(&[&other, &one]).await.expect("nobody is in the way");
    let windows = "select count(*) from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
        where n.dedupe_key = 'no6' and d.carrier_id is null and d.channel = 'email'";
    assert_eq!(guests.count(windows).await, 2);
}
