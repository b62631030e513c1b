//! Broadcasts of hosts to their guests: who gets them, that each is sent once, and who may not send them.

use crate::{
    money::stage::keyed,
    notifications::stage::Guests,
    support::{Answer, Member, rows},
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A broadcast about Olga's event.
async fn written(guests: &Guests, more: Value) -> String {
    let mut body = json!({"event_id": guests.event, "title": "Bring a coat", "message": "It is cold in there."});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    let made = guests.olga.client.post("/broadcasts", body).await;
    made.expect(201).id()
}

async fn act(by: &Member, broadcast: &str, verb: &str) -> Answer {
    by.client
        .act(&format!("/broadcasts/{broadcast}/{verb}"))
        .await
}

async fn shown(guests: &Guests, broadcast: &str, part: &str) -> Value {
    let path = format!("/broadcasts/{broadcast}{part}");
    guests.olga.client.get(&path).await.expect(200).json
}

/// Sends broadcasts that are due, and waits until everything that follows is done.
async fn handed_over(guests: &Guests) -> usize {
    let broadcasts = &guests.server.built.app.modules.broadcasts;
    let count = broadcasts.hand_over().await.expect("handed over");
    guests.server.settled().await;
    count
}

async fn sent(guests: &Guests, more: Value) -> String {
    let broadcast = written(guests, more).await;
    act(&guests.olga, &broadcast, "schedule").await.expect(200);
    assert_eq!(handed_over(guests).await, 1);
    broadcast
}

/// How many times a member has got the broadcast.
async fn told(guests: &Guests, member: &Member, broadcast: &str) -> i64 {
    let mut conn = guests.server.superuser().await;
    sqlx::query_scalar(
        "select count(*) from app.notifications where user_id = $1 and type = 'broadcast' and dedupe_key = 'broadcast:' || $2",
    )
    .bind(member.id)
    .bind(broadcast)
    .fetch_one(&mut conn)
    .await
    .expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od5_a_broadcast_goes_to_its_audience_once() {
    let guests = Guests::new().await;
    let (ana, ben) = (
        guests.guest("ana_who_comes").await,
        guests.guest("ben_who_comes").await,
    );
    // A guest with two tickets counts once.
    guests.ticket(&ana).await;
    let box_seat = guests.tickets("Box", 0, 10).await;
    let eva = guests.server.member("eva_in_the_box").await;
    keyed(&eva, "/orders", guests.cart(&[(box_seat, 1)], false))
        .await
        .expect(201);
    let wim = guests.server.member("wim_who_waits").await;
    // She entered at a checkpoint, and not at the entrance.
    let cleo = guests.guest("cleo_at_the_stage").await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             insert into app.checkpoints (event_id, name) values ('{0}', 'Stage');
             insert into app.checkpoint_entries (checkpoint_id, ticket_id, event_id, entered_at, left_at)
               select c.id, k.id, k.event_id, now(), now() from app.checkpoints c join app.tickets k on k.event_id = c.event_id
               where c.event_id = '{0}' and k.holder_id = '{1}'",
            guests.event, cleo.id
        ))
        .await;
    guests
        .run(&format!(
            "set session_replication_role = replica;
             insert into app.waitlist_entries (event_id, user_id, state, position) values ('{}', '{}', 'waiting', 1);
             update app.tickets set state = 'checked_in' where event_id = '{}' and holder_id = '{}'",
            guests.event, wim.id, guests.event, ben.id
        ))
        .await;
    let everybody = [&ana, &ben, &eva, &cleo, &wim];
    for (audience, expected) in [
        (json!({}), [1, 1, 1, 1, 0]),
        (
            json!({"audience": "ticket_types", "ticket_type_ids": [box_seat]}),
            [0, 0, 1, 0, 0],
        ),
        (json!({"audience": "checked_in"}), [0, 1, 0, 1, 0]),
        (json!({"audience": "not_checked_in"}), [1, 0, 1, 0, 0]),
        (json!({"audience": "waiting_list"}), [0, 0, 0, 0, 1]),
    ] {
        let broadcast = written(&guests, audience.clone()).await;
        let count: i64 = expected.iter().sum();
        let preview = shown(&guests, &broadcast, "/preview").await;
        assert_eq!(preview["recipients"], count, "{audience}");
        act(&guests.olga, &broadcast, "schedule").await.expect(200);
        assert_eq!(handed_over(&guests).await, 1);
        assert_eq!(handed_over(&guests).await, 0);
        for (member, expected) in everybody.iter().zip(expected) {
            assert_eq!(
                told(&guests, member, &broadcast).await,
                expected,
                "{audience}"
            );
        }
        let after = shown(&guests, &broadcast, "").await;
        assert_eq!(
            (&after["state"], &after["recipient_count"]),
            (&json!("sent"), &json!(count))
        );
        let report = shown(&guests, &broadcast, "/report").await;
        assert_eq!(report["recipients"], count, "{report}");
    }
}

#[tokio::test]
async fn od5_a_broadcast_waits_for_its_time_and_can_be_called_off() {
    let guests = Guests::new().await;
    let ana = guests.guest("ana_who_comes").await;
    let later = json!({"send_at": "2040-01-01T00:00:00Z"});
    let (first, second) = (
        written(&guests, later.clone()).await,
        written(&guests, later).await,
    );
    for broadcast in [&first, &second] {
        act(&guests.olga, broadcast, "schedule").await.expect(200);
    }
    assert_eq!(handed_over(&guests).await, 0);
    // A scheduled broadcast can't be changed, unless it is unscheduled.
    let path = format!("/broadcasts/{first}");
    let change = json!({"title": "Bring two coats"});
    let olga = &guests.olga;
    olga.client
        .patch(&path, "*", change.clone())
        .await
        .expect(409);
    act(olga, &first, "revise").await.expect(200);
    olga.client.patch(&path, "*", change).await.expect(200);
    act(olga, &first, "schedule").await.expect(200);
    act(olga, &second, "cancel").await.expect(200);
    guests
        .run("set session_replication_role = replica; update app.broadcasts set send_at = now() where state = 'scheduled'")
        .await;
    assert_eq!(handed_over(&guests).await, 1);
    assert_eq!(told(&guests, &ana, &first).await, 1);
    assert_eq!(told(&guests, &ana, &second).await, 0);
    // A broadcast that was sent can't be cancelled.
    act(olga, &first, "cancel").await.expect(409);
    let written: (String, String) = {
        let mut conn = guests.server.superuser().await;
        sqlx::query_as(
            "select title, message from app.notifications where dedupe_key = 'broadcast:' || $1",
        )
        .bind(&first)
        .fetch_one(&mut conn)
        .await
        .expect("a notification")
    };
    assert_eq!(
        written,
        (
            "Bring two coats".to_owned(),
            "About A full house: It is cold in there.".to_owned()
        )
    );
}

#[tokio::test]
async fn od5_what_a_dismissed_administrator_wrote_is_not_sent() {
    let guests = Guests::new().await;
    let ana = guests.guest("ana_who_comes").await;
    let vic = guests.server.member("vic_who_is_dismissed").await;
    let city = guests.server.city("melbourne").await;
    let host = rows::host_of(&guests.server, guests.olga.id, city).await;
    let scope = Some(("organization", host));
    guests.server.grant(&vic, "orgAdmin", scope).await;
    let body = json!({"event_id": guests.event, "title": "Farewell", "message": "What I always wanted to say."});
    let mut broadcasts = Vec::new();
    for _ in 0..3 {
        let made = vic.client.post("/broadcasts", body.clone()).await;
        broadcasts.push(made.expect(201).id());
    }
    // While the author is an administrator, it is sent.
    act(&vic, &broadcasts[0], "schedule").await.expect(200);
    assert_eq!(handed_over(&guests).await, 1);
    assert_eq!(told(&guests, &ana, &broadcasts[0]).await, 1);
    act(&vic, &broadcasts[1], "schedule").await.expect(200);
    guests
        .run(&format!(
            "update app.role_assignments set status = 'archived' where user_id = '{}'",
            vic.id
        ))
        .await;
    assert_eq!(handed_over(&guests).await, 0);
    assert_eq!(told(&guests, &ana, &broadcasts[1]).await, 0);
    let after = shown(&guests, &broadcasts[1], "").await;
    assert_eq!(after["state"], "cancelled");
    // Nobody else schedules the draft, which would be cancelled in the same way.
    let refused = act(&guests.olga, &broadcasts[2], "schedule").await;
    let refused = refused.expect(409);
    assert!(refused.text.contains("Write a new one"), "{}", refused.text);
}

#[tokio::test]
async fn od5_members_choose_whether_they_hear_of_it() {
    let guests = Guests::new().await;
    let (ana, ben) = (
        guests.guest("ana_who_wants_it").await,
        guests.guest("ben_who_does_not").await,
    );
    for channel in ["push", "email"] {
        let body = json!({"type": "broadcast", "channel": channel, "enabled": false});
        ben.client
            .post("/notification-preferences", body)
            .await
            .expect(201);
    }
    guests.device(&ana).await;
    guests.device(&ben).await;
    let broadcast = sent(&guests, json!({})).await;
    assert_eq!(told(&guests, &ben, &broadcast).await, 1);
    let report = shown(&guests, &broadcast, "/report").await;
    let sums: Vec<(&str, i64)> = report["channels"]
        .as_array()
        .expect("channels")
        .iter()
        .map(|one| {
            let of = |state: &str| one[state].as_i64().expect("a number");
            let all = of("pending") + of("sent") + of("failed") + of("dropped");
            (one["channel"].as_str().expect("a channel"), all)
        })
        .collect();
    assert_eq!(sums, [("email", 1), ("push", 1)]);
    assert_eq!(
        (&report["recipients"], &report["in_app"]),
        (&json!(2), &json!(2))
    );
    // The report contains numbers only.
    for member in [&ana, &ben] {
        assert!(
            !report.to_string().contains(&member.id.to_string()),
            "{report}"
        );
    }
    assert!(!report.to_string().contains('@'), "{report}");
}

#[tokio::test]
async fn od5_so_many_go_in_a_day_about_one_event() {
    let guests = Guests::new().await;
    guests.guest("ana_who_comes").await;
    let olga = &guests.olga;
    let mut scheduled = Vec::new();
    for _ in 0..5 {
        let broadcast = written(&guests, json!({})).await;
        act(olga, &broadcast, "schedule").await.expect(200);
        scheduled.push(broadcast);
    }
    let sixth = written(&guests, json!({})).await;
    let refused = act(olga, &sixth, "schedule").await.expect(409);
    assert!(
        refused.json["type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("too-many-broadcasts")),
        "{}",
        refused.text
    );
    // Another day has room, and so does a day of which a broadcast was cancelled.
    let later = written(&guests, json!({"send_at": "2040-01-01T12:00:00Z"})).await;
    act(olga, &later, "schedule").await.expect(200);
    act(olga, &scheduled[0], "cancel").await.expect(200);
    act(olga, &sixth, "schedule").await.expect(200);
    assert_eq!(handed_over(&guests).await, 5);
    let seventh = written(&guests, json!({})).await;
    act(olga, &seventh, "schedule").await.expect(409);
    // The database refuses a change that bypasses the hook.
    let wrong =
        sqlx::query("update app.broadcasts set state = 'scheduled' where id = $1::text::uuid")
            .bind(&seventh)
            .execute(&mut guests.server.superuser().await)
            .await
            .expect_err("one too many");
    let constraint = wrong
        .as_database_error()
        .and_then(|error| error.constraint().map(str::to_owned));
    assert_eq!(constraint.as_deref(), Some("broadcasts_limit"));
    // The control: the limit is the reason for the refusal.
    guests
        .run("create or replace function app.broadcasts_a_day() returns int language sql immutable set search_path = pg_catalog, pg_temp as 'select 6'")
        .await;
    act(olga, &seventh, "schedule").await.expect(200);
}

/// Of ten concurrent requests, no more succeed than broadcasts are left for the day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od5_two_at_once_do_not_both_take_the_last_place() {
    let guests = Guests::new().await;
    let mut drafts = Vec::new();
    for _ in 0..10 {
        drafts.push(written(&guests, json!({})).await);
    }
    let all = drafts
        .iter()
        .map(|draft| act(&guests.olga, draft, "schedule"));
    let answers = futures_util::future::join_all(all).await;
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(good, 5);
}

#[tokio::test]
async fn od5_hosts_whom_nobody_knows_do_not_write_to_guests() {
    let guests = Guests::new().await;
    guests.guest("ana_who_comes").await;
    let olga = &guests.olga;
    let host: Uuid = {
        let mut conn = guests.server.superuser().await;
        sqlx::query_scalar("select host_id from app.events where id = $1")
            .bind(guests.event)
            .fetch_one(&mut conn)
            .await
            .expect("a host")
    };
    let state = async |state: &str| {
        guests
            .run(&format!(
                "set session_replication_role = replica; update app.organizations set state = '{state}' where id = '{host}'"
            ))
            .await;
    };
    let broadcast = written(&guests, json!({})).await;
    state("pending").await;
    let refused = act(olga, &broadcast, "schedule").await.expect(409);
    assert!(
        refused.json["type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("host-not-known-yet")),
        "{}",
        refused.text
    );
    state("approved").await;
    act(olga, &broadcast, "schedule").await.expect(200);
    // The approval is checked again when the broadcast is sent.
    state("rejected").await;
    assert_eq!(handed_over(&guests).await, 0);
    state("approved").await;
    assert_eq!(shown(&guests, &broadcast, "").await["state"], "cancelled");
    // A community founded today, and one that has existed for a while.
    let rule = "select app.may_broadcast(id) from app.communities where id = $1";
    let body = json!({"name": "New circle", "city_id": guests.server.city("melbourne").await});
    let circle: Uuid = guests
        .mira
        .client
        .post("/communities", body)
        .await
        .expect(201)
        .id()
        .parse()
        .expect("an id");
    let mut conn = guests.server.superuser().await;
    for (change, expected) in [
        ("select 1", false),
        ("update app.communities set verified = true", true),
        ("update app.communities set verified = false", false),
        (
            "update app.communities set created_at = now() - interval '15 days'",
            true,
        ),
        ("update app.communities set status = 'suspended'", false),
    ] {
        if change.starts_with("update") {
            guests
                .run(&format!(
                    "set session_replication_role = replica; {change} where id = '{circle}'"
                ))
                .await;
        }
        let may: bool = sqlx::query_scalar(rule)
            .bind(circle)
            .fetch_one(&mut conn)
            .await
            .expect("an answer");
        assert_eq!(may, expected, "{change}");
    }
}

#[tokio::test]
async fn od5_only_those_who_run_an_event_write_to_its_guests() {
    let guests = Guests::new().await;
    let ana = guests.guest("ana_who_comes").await;
    let broadcast = written(&guests, json!({})).await;
    for part in ["", "/preview", "/report"] {
        let path = format!("/broadcasts/{broadcast}{part}");
        guests.server.client.get(&path).await.expect(401);
        let refused = ana.client.get(&path).await.status.as_u16();
        assert!([403, 404].contains(&refused), "{path}: {refused}");
        guests.paula.client.get(&path).await.expect(200);
    }
    let body = json!({"event_id": guests.event, "title": "Mine", "message": "Not yours"});
    ana.client.post("/broadcasts", body).await.expect(403);
    let refused = act(&ana, &broadcast, "schedule").await.status.as_u16();
    assert!([403, 404].contains(&refused), "{refused}");
    // The platform can stop a scheduled broadcast.
    act(&guests.olga, &broadcast, "schedule").await.expect(200);
    act(&guests.paula, &broadcast, "suspend").await.expect(200);
    assert_eq!(handed_over(&guests).await, 0);
    let body = json!({"event_id": guests.event, "title": "To some", "message": "x", "audience": "ticket_types"});
    guests
        .olga
        .client
        .post("/broadcasts", body)
        .await
        .expect(422);
}

/// OD6: cancelling an event cancels its scheduled broadcasts in the same transaction.
#[tokio::test]
async fn od6_a_cancelled_event_takes_everything_along_that_waits() {
    let guests = Guests::new().await;
    let ana = guests.guest("ana_who_comes").await;
    guests
        .run(&format!(
            "update app.events set starts_at = now() + interval '20 hours', ends_at = now() + interval '22 hours' where id = '{}'",
            guests.event
        ))
        .await;
    guests.server.settled().await;
    guests.module().remind().await.expect("reminded");
    let broadcast = written(&guests, json!({"send_at": "2040-01-01T00:00:00Z"})).await;
    act(&guests.olga, &broadcast, "schedule").await.expect(200);
    guests
        .run("update app.notification_deliveries d set state = 'pending', next_attempt_at = now() + interval '1 hour' from app.notifications n where n.id = d.notification_id and n.type = 'event_reminder'")
        .await;
    let waiting = "select count(*) from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
         where n.type = 'event_reminder' and d.state = 'pending' and n.event_id = $1";
    let count = async || -> i64 {
        let mut conn = guests.server.superuser().await;
        sqlx::query_scalar(waiting)
            .bind(guests.event)
            .fetch_one(&mut conn)
            .await
            .expect("a count")
    };
    assert!(count().await > 0, "no reminder waits");
    // If the transaction that cancels the event is rolled back, the broadcast stays scheduled.
    let undone = format!(
        "begin; update app.events set state = 'cancelled' where id = '{}'; rollback",
        guests.event
    );
    guests.run(&undone).await;
    assert!(count().await > 0);
    assert_eq!(shown(&guests, &broadcast, "").await["state"], "scheduled");

    let path = format!("/events/{}/cancel", guests.event);
    let body = json!({"reason": "The hall burnt down"});
    guests.olga.client.post(&path, body).await.expect(200);
    // Before any job has run.
    assert_eq!(count().await, 0);
    assert_eq!(shown(&guests, &broadcast, "").await["state"], "cancelled");
    guests.server.settled().await;
    let off: i64 = {
        let mut conn = guests.server.superuser().await;
        sqlx::query_scalar("select count(*) from app.notifications where user_id = $1 and type = 'event_cancelled'")
            .bind(ana.id)
            .fetch_one(&mut conn)
            .await
            .expect("a count")
    };
    assert_eq!(off, 1);
    let late = written(&guests, json!({})).await;
    act(&guests.olga, &late, "schedule").await.expect(409);
}
