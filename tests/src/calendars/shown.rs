//! Calendars of events, hosts, venues and cities.

use super::{admin, event, parsed, read, uids};
use crate::{support::TestServer, trending::stage::Stage};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

async fn venue(stage: &Stage, owner: Uuid) -> Uuid {
    stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{}', 'organization', '{owner}', 'Hall; one, two', '1 Main Rd, Fitzroy', 'SRID=4326;POINT(144.978 -37.798)') returning id",
            stage.city
        ))
        .await
}

/// A host of this kind that everybody can see.
async fn host(stage: &Stage, kind: &str) -> Uuid {
    let (table, columns, values) = match kind {
        "organization" => ("organizations", "state", "'approved'"),
        "business" => ("businesses", "state", "'approved'"),
        "institution" => ("institutions", "type", "'council'"),
        _ => ("communities", "visibility", "'public'"),
    };
    stage
        .one(format!(
            "insert into app.{table} (city_id, name, {columns}) values ('{}', 'Kulturverein; \"Zürich\", e.V.', {values}) returning id",
            stage.city
        ))
        .await
}

#[tokio::test]
async fn se5_another_program_reads_the_calendar_of_an_event() {
    let stage = Stage::new().await;
    let organization = host(&stage, "organization").await;
    let hall = venue(&stage, organization).await;
    let title = "Rock; Pop, \\n \"Live\": Grüße 漢字 and a title that is much longer than a line of a calendar may be";
    let id = event(
        &stage,
        ("organization", organization),
        title,
        &format!(
            "description = E'First, line\\nBEGIN:VALARM\\r\\nEND:VEVENT;\\\\', venue_id = '{hall}', category = 'concert',
             starts_at = '2027-03-01 20:30:00+11', ends_at = '2027-03-01 23:00:00+11', timezone = 'Australia/Melbourne'"
        ),
    )
    .await;
    let client = &stage.server.client;
    let path = format!("/events/{id}/calendar.ics");
    let answer = client.get(&path).await.expect(200);
    let calendar = parsed(&answer);
    assert_eq!(calendar["version"], "2.0");
    let one = &calendar["events"][0];
    let base = "http://app.test";
    for (name, expected) in [
        ("uid", json!(id)),
        ("summary", json!(title)),
        (
            "description",
            json!("First, line\nBEGIN:VALARM\nEND:VEVENT;\\"),
        ),
        ("dtstart", json!("2027-03-01T09:30:00Z")),
        ("dtend", json!("2027-03-01T12:00:00Z")),
        ("status", json!("CONFIRMED")),
        ("sequence", json!(1)),
        ("categories", json!(["CONCERT"])),
        (
            "location",
            json!("Hall; one, two, 1 Main Rd, Fitzroy, Melbourne"),
        ),
        ("geo", json!([-37.798, 144.978])),
        ("url", json!(format!("{base}/events/{id}"))),
        (
            "organizer",
            json!([
                format!("{base}/organizations/{organization}"),
                "Kulturverein; 'Zürich', e.V."
            ]),
        ),
    ] {
        assert_eq!(one[name], expected, "{name}");
    }
    assert_eq!(one["dtstamp"], one["last-modified"]);
    assert_eq!(calendar["events"].as_array().expect("events").len(), 1);
    assert!(!answer.text.to_lowercase().contains("mailto:"));

    // The same bytes again, and 304 for a client that has them.
    let tag = answer.etag();
    assert_eq!(client.get(&path).await.text, answer.text);
    let known = client
        .send(Method::GET, &path, None, &[("if-none-match", &tag)])
        .await
        .expect(304);
    assert_eq!((known.text.as_str(), known.etag()), ("", tag.clone()));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
    stage
        .sql(format!(
            "update app.events set title = 'Other' where id = '{id}'"
        ))
        .await;
    let other = client
        .send(Method::GET, &path, None, &[("if-none-match", &tag)])
        .await
        .expect(200);
    assert_eq!(parsed(&other)["events"][0]["summary"], "Other");
}

#[tokio::test]
async fn se5_the_sequence_counts_the_times_that_an_event_had() {
    let stage = Stage::new().await;
    let admin = admin(&stage).await;
    let id = event(&stage, ("organization", stage.host), "Jazz", "").await;
    let path = format!("/events/{id}/calendar.ics");
    let client = &stage.server.client;
    let before = parsed(&client.get(&path).await.expect(200));
    let mut sequence = before["events"][0]["sequence"].as_i64();
    for day in 1..3 {
        let event = format!("/events/{id}");
        let tag = admin.client.get(&event).await.etag();
        let body = json!({"starts_at": format!("2027-05-0{day}T10:00:00Z"), "ends_at": format!("2027-05-0{day}T12:00:00Z")});
        admin.client.patch(&event, &tag, body).await.expect(200);
        let after = parsed(&client.get(&path).await.expect(200));
        let after = &after["events"][0];
        assert_eq!(after["uid"], before["events"][0]["uid"]);
        assert_eq!(after["dtstart"], format!("2027-05-0{day}T10:00:00Z"));
        assert!(after["sequence"].as_i64() > sequence, "{after}");
        sequence = after["sequence"].as_i64();
    }
    // Another title doesn't change the sequence number.
    let event = format!("/events/{id}");
    let tag = admin.client.get(&event).await.etag();
    let body = json!({"title": "Jazz again"});
    admin.client.patch(&event, &tag, body).await.expect(200);
    let after = parsed(&client.get(&path).await.expect(200));
    assert_eq!(after["events"][0]["sequence"].as_i64(), sequence);
}

/// In the same transaction that cancels the event.
#[tokio::test]
async fn od6_a_cancelled_event_is_called_off_in_calendars() {
    let stage = Stage::new().await;
    let admin = admin(&stage).await;
    let id = event(&stage, ("organization", stage.host), "Jazz", "").await;
    let path = format!("/events/{id}/calendar.ics");
    let client = &stage.server.client;
    let before = parsed(&client.get(&path).await.expect(200));
    let body = json!({"reason": "Flooded"});
    let cancel = format!("/events/{id}/cancel");
    admin.client.post(&cancel, body).await.expect(200);
    let after = parsed(&client.get(&path).await.expect(200));
    let (before, after) = (&before["events"][0], &after["events"][0]);
    assert_eq!(after["status"], "CANCELLED");
    assert_eq!(after["uid"], before["uid"]);
    assert!(after["sequence"].as_i64() > before["sequence"].as_i64());
}

#[tokio::test]
async fn se5_hosts_places_and_cities_have_calendars() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let hall = venue(&stage, stage.host).await;
    let mut all = Vec::new();
    for (path, kind) in [
        ("organizations", "organization"),
        ("communities", "community"),
        ("businesses", "business"),
        ("institutions", "institution"),
    ] {
        let host = host(&stage, kind).await;
        let id = event(&stage, (kind, host), "Its own", "").await;
        let there = format!("venue_id = '{hall}', starts_at = now() + interval '9 days'");
        let at = event(&stage, (kind, host), "In the hall", &there).await;
        all.extend([id, at]);
        let path = format!("/{path}/{host}/calendar.ics");
        let answer = client.get(&path).await.expect(200);
        assert_eq!(uids(&answer.text), [at, id], "{path}");
        let calendar = parsed(&answer);
        assert_eq!(calendar["name"], "Kulturverein; \"Zürich\", e.V.");
        assert_eq!(
            calendar["events"][1]["organizer"][1],
            "Kulturverein; 'Zürich', e.V."
        );
    }
    let at_hall = read(client, &format!("/venues/{hall}/calendar.ics")).await;
    let there: Vec<Uuid> = all.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(at_hall, there);
    let mut in_city = read(client, &format!("/cities/{}/calendar.ics", stage.city)).await;
    in_city.sort_unstable();
    all.sort_unstable();
    assert_eq!(in_city, all);
    // Missing objects have no calendar, and neither have other entities.
    for path in ["organizations", "venues", "cities", "events"] {
        let nothing = Uuid::now_v7();
        let missing = format!("/{path}/{nothing}/calendar.ics");
        client.get(&missing).await.expect(404);
        client
            .get(&format!("/{path}/x/calendar.ics"))
            .await
            .expect(404);
    }
    let of_another = format!("/communities/{}/calendar.ics", stage.host);
    client.get(&of_another).await.expect(404);
}

#[tokio::test]
async fn se5_calendars_have_what_is_near_in_time_and_what_was_cancelled_lately() {
    let stage = Stage::new().await;
    let host = ("organization", stage.host);
    let made = async |title: &str, more: &str| event(&stage, host, title, more).await;
    let ago = |starts: &str, ends: &str| {
        format!("starts_at = now() - interval '{starts}', ends_at = now() - interval '{ends}'")
    };
    let ended = made("Ended", &ago("29 days 1 hour", "29 days")).await;
    let running = made("Runs on", "starts_at = now() - interval '90 days'").await;
    let next = made("Next", "starts_at = now() + interval '1 hour'").await;
    let cancelled = made("Cancelled", "state = 'cancelled'").await;
    let completed = made(
        "Completed",
        &format!("state = 'completed', {}", ago("3 days", "2 days")),
    )
    .await;
    for (title, more) in [
        ("Long over", ago("31 days 1 hour", "31 days")),
        ("A draft", "state = 'draft'".to_owned()),
        ("Unlisted", "visibility = 'unlisted'".to_owned()),
        ("Suspended", "status = 'suspended'".to_owned()),
        (
            "Archived",
            "status = 'archived', live_key = null".to_owned(),
        ),
        (
            "Cancelled long ago",
            "state = 'cancelled', updated_at = now() - interval '31 days'".to_owned(),
        ),
    ] {
        made(title, &more).await;
    }
    let path = format!("/organizations/{}/calendar.ics", stage.host);
    let answer = stage.server.client.get(&path).await.expect(200);
    let expected = [running, ended, completed, next, cancelled];
    assert_eq!(uids(&answer.text), expected);
    let calendar = parsed(&answer);
    assert_eq!(calendar["events"][4]["status"], "CANCELLED");
    assert_eq!(calendar["events"][0]["status"], "CONFIRMED");

    // An archived event disappears, from its own calendar and from others.
    stage
        .sql(format!(
            "set session_replication_role = replica; update app.events set status = 'archived', live_key = null where id = '{next}'"
        ))
        .await;
    assert!(!read(&stage.server.client, &path).await.contains(&next));
    let gone = format!("/events/{next}/calendar.ics");
    stage.server.client.get(&gone).await.expect(404);
}

/// Thirty days from the cancellation, whatever changes afterwards: the host corrects the description, or the venue goes.
#[tokio::test]
async fn se5_a_cancellation_is_shown_for_thirty_days_and_not_again() {
    let stage = Stage::new().await;
    let admin = admin(&stage).await;
    let id = event(&stage, ("organization", stage.host), "Jazz", "").await;
    let cancel = format!("/events/{id}/cancel");
    let body = json!({"reason": "Flooded"});
    admin.client.post(&cancel, body).await.expect(200);
    let path = format!("/organizations/{}/calendar.ics", stage.host);
    let shown = async || read(&stage.server.client, &path).await.contains(&id);
    let past = async |days: i32| {
        stage
            .sql(format!(
                "update app.event_schedules set cancelled_at = now() - interval '{days} days' where event_id = '{id}'"
            ))
            .await;
    };
    assert!(shown().await);
    past(29).await;
    assert!(shown().await);
    past(31).await;
    assert!(!shown().await);
    stage
        .sql(format!(
            "update app.events set description = 'It was the flood.' where id = '{id}'"
        ))
        .await;
    assert!(!shown().await, "it was cancelled long ago");
    // The negative control: by the time of the last change it would appear again.
    stage
        .sql(
            "create or replace function app.cancelled_at(p_event uuid) returns timestamptz language sql stable security definer
             set search_path = pg_catalog, pg_temp as 'select e.updated_at from app.events e where e.id = p_event'",
        )
        .await;
    assert!(shown().await);
}

/// What was never published is in nobody's calendar, so nothing has to be called off there.
#[tokio::test]
async fn se5_a_draft_is_not_called_off() {
    let stage = Stage::new().await;
    let admin = admin(&stage).await;
    let id = event(
        &stage,
        ("organization", stage.host),
        "A secret guest",
        "state = 'draft'",
    )
    .await;
    let body = json!({"reason": "She can't come"});
    let refused = admin
        .client
        .post(&format!("/events/{id}/cancel"), body)
        .await;
    refused.expect(409);
    stage
        .server
        .client
        .get(&format!("/events/{id}"))
        .await
        .expect(404);
    // The host deletes it instead.
    let etag = admin.client.get(&format!("/events/{id}")).await.etag();
    let tag = [("if-match", etag.as_str())];
    let gone = admin
        .client
        .send(Method::DELETE, &format!("/events/{id}"), None, &tag)
        .await;
    gone.expect(204);
    for path in [
        format!("/organizations/{}/calendar.ics", stage.host),
        format!("/cities/{}/calendar.ics", stage.city),
    ] {
        assert!(!read(&stage.server.client, &path).await.contains(&id));
    }
}

#[tokio::test]
async fn se5_five_hundred_events_are_enough_and_the_next_ones_are_among_them() {
    let stage = Stage::new().await;
    let many = |from: &str, count: i32| {
        format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state, description)
             select '{}', 'organization', '{}', 'Event ' || n, now() + interval '{from}' + n * interval '1 minute',
                    now() + interval '{from}' + n * interval '1 minute' + interval '1 hour', 'UTC', 'published', repeat('long ', 3000)
             from generate_series(1, {count}) n returning id",
            stage.city, stage.host
        )
    };
    let past = stage.all::<Uuid>(many("-20 days", 300)).await;
    let next = stage.all::<Uuid>(many("5 days", 450)).await;
    for path in [
        format!("/organizations/{}/calendar.ics", stage.host),
        format!("/cities/{}/calendar.ics", stage.city),
    ] {
        let answer = stage.server.client.get(&path).await.expect(200);
        let shown = uids(&answer.text);
        assert_eq!(shown.len(), 500);
        // All upcoming events, and the latest of the past ones.
        assert_eq!(shown[..50], past[250..]);
        assert_eq!(shown[50..], next);
        // Descriptions are cut.
        assert!(
            answer.text.len() < 1_000_000,
            "{} octets",
            answer.text.len()
        );
    }
    let later = stage.all::<Uuid>(many("3 days", 100)).await;
    let path = format!("/organizations/{}/calendar.ics", stage.host);
    let shown = read(&stage.server.client, &path).await;
    let expected = [&later[..], &next[..400]].concat();
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn se5_strangers_read_what_strangers_may() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let [private, open]: [Uuid; 2] = [
        stage
            .one(format!(
                "insert into app.communities (city_id, name, visibility) values ('{}', 'Inner', 'private') returning id",
                stage.city
            ))
            .await,
        host(&stage, "community").await,
    ];
    let hidden = event(&stage, ("community", private), "Of members", "").await;
    let inner = event(
        &stage,
        ("community", open),
        "For members",
        "visibility = 'community'",
    )
    .await;
    let shown = event(&stage, ("community", open), "For all", "").await;
    let draft = event(
        &stage,
        ("organization", stage.host),
        "Draft",
        "state = 'draft'",
    )
    .await;
    let unlisted = event(
        &stage,
        ("organization", stage.host),
        "Unlisted",
        "visibility = 'unlisted'",
    )
    .await;
    let hall = venue(&stage, stage.host).await;
    stage
        .sql(format!("update app.events set venue_id = '{hall}'"))
        .await;
    let member = server.member("is_in_both").await;
    let stranger = server.member("is_in_none").await;
    let admin = server.member("runs_all_of_it").await;
    server.grant(&admin, "platformAdmin", None).await;
    for community in [private, open] {
        stage
            .sql(format!(
                "insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active')",
                member.id
            ))
            .await;
    }
    let calendars = [
        format!("/communities/{private}/calendar.ics"),
        format!("/communities/{open}/calendar.ics"),
        format!("/venues/{hall}/calendar.ics"),
        format!("/cities/{}/calendar.ics", stage.city),
    ];
    for client in [&server.client, &stranger.client] {
        client.get(&calendars[0]).await.expect(404);
        for path in &calendars[1..] {
            assert_eq!(read(client, path).await, [shown], "{path}");
        }
        for event in [hidden, inner, draft, unlisted] {
            let path = format!("/events/{event}/calendar.ics");
            client.get(&path).await.expect(404);
        }
    }
    // Members can read events for members.
    assert_eq!(read(&member.client, &calendars[0]).await, [hidden]);
    let mut both = read(&member.client, &calendars[1]).await;
    both.sort_unstable();
    assert_eq!(both, [inner, shown]);
    let answer = member.client.get(&calendars[1]).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // An unlisted event is only in its own calendar; a draft has none.
    for path in &calendars[1..] {
        let all = read(&admin.client, path).await;
        assert!(!all.contains(&unlisted) && !all.contains(&draft), "{path}");
    }
    let own = format!("/events/{unlisted}/calendar.ics");
    assert_eq!(read(&admin.client, &own).await, [unlisted]);
    let own = format!("/events/{draft}/calendar.ics");
    admin.client.get(&own).await.expect(404);
    // An invalid token is refused.
    let path = &calendars[1];
    server
        .client
        .with_token("nonsense")
        .get(path)
        .await
        .expect(401);
}

#[tokio::test]
async fn se6_a_zone_is_one_of_the_database_of_zones() {
    let server = TestServer::demo().await;
    let olga = server.sign_in(server::seed::demo::PEOPLE[2].id).await;
    let mine = olga.client.get("/me/roles").await.expect(200).json;
    let host = &mine["data"][0]["scope_id"];
    let path = format!("/events?host_id={}&limit=1", host.as_str().expect("a host"));
    let event = olga.client.get(&path).await.expect(200).json["data"][0].clone();
    let path = format!("/events/{}", event["id"].as_str().expect("an id"));
    for (zone, status) in [
        ("Mars/Olympus", 422),
        ("+11:00", 422),
        ("", 422),
        ("Europe/Zurich", 200),
    ] {
        let tag = olga.client.get(&path).await.etag();
        let body = json!({"timezone": zone});
        let answer = olga.client.patch(&path, &tag, body).await.expect(status);
        if status == 422 {
            assert_eq!(answer.pointers(), ["/timezone"]);
        }
    }
}
