//! Local times of events when the rules of their time zone change.

use super::{admin, event, parsed};
use crate::trending::stage::Stage;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

const ZONE: &str = "Australia/Melbourne";

/// An event in Melbourne between these local times.
async fn at(stage: &Stage, title: &str, times: [&str; 2]) -> Uuid {
    let host = ("organization", stage.host);
    let id = event(stage, host, title, "").await;
    let [from, to] = times;
    stage
        .sql(format!(
            "update app.events set timezone = '{ZONE}', starts_at = '{from}', ends_at = '{to}' where id = '{id}'"
        ))
        .await;
    id
}

async fn local(stage: &Stage, id: Uuid) -> String {
    stage
        .one(format!(
            "select starts_at_local || ' ' || ends_at_local from app.event_local_times where event_id = '{id}'"
        ))
        .await
}

async fn starts(stage: &Stage, id: Uuid) -> DateTime<Utc> {
    stage
        .one(format!(
            "select starts_at from app.events where id = '{id}'"
        ))
        .await
}

async fn version(stage: &Stage, id: Uuid) -> i64 {
    stage
        .one(format!("select version from app.events where id = '{id}'"))
        .await
}

#[tokio::test]
async fn se6_what_clocks_show_is_kept_with_every_time_that_is_set() {
    let stage = Stage::new().await;
    let admin = admin(&stage).await;
    let id = event(&stage, ("organization", stage.host), "Jazz", "").await;
    let path = format!("/events/{id}");
    for (body, expected) in [
        (
            json!({"starts_at": "2041-05-01T08:00:00Z", "ends_at": "2041-05-01T10:30:00Z", "timezone": ZONE}),
            "2041-05-01T18:00:00.000000 2041-05-01T20:30:00.000000",
        ),
        (
            json!({"ends_at": "2041-05-01T11:00:00.5Z"}),
            "2041-05-01T18:00:00.000000 2041-05-01T21:00:00.500000",
        ),
        (
            json!({"timezone": "Asia/Kathmandu"}),
            "2041-05-01T13:45:00.000000 2041-05-01T16:45:00.500000",
        ),
    ] {
        let tag = admin.client.get(&path).await.etag();
        admin.client.patch(&path, &tag, body).await.expect(200);
        assert_eq!(local(&stage, id).await, expected);
    }
}

#[tokio::test]
async fn se6_an_event_begins_by_its_clocks_after_the_rules_of_a_zone_have_changed() {
    let stage = Stage::new().await;
    let evening = ["2041-05-01 18:00+10", "2041-05-01 20:00+10"];
    let moved = at(&stage, "By other rules", evening).await;
    let kept = at(&stage, "By the same rules", evening).await;
    // Two instants with the local time half past two: summer time ends in between.
    let first = at(
        &stage,
        "The first",
        ["2041-04-07 02:30+11", "2041-04-07 02:45+11"],
    )
    .await;
    let second = at(
        &stage,
        "The second",
        ["2041-04-07 02:30+10", "2041-04-07 02:45+10"],
    )
    .await;
    let over = at(&stage, "Begun", evening).await;
    let calendars = &stage.server.built.app.modules.calendars;
    assert_eq!(
        calendars.keep_local_times().await.expect("looked"),
        0,
        "nothing has changed"
    );
    assert_eq!(local(&stage, first).await, local(&stage, second).await);

    // As if summer time had been abolished since: six in the evening would be shown as five by today's rules.
    stage
        .sql(format!(
            "set session_replication_role = replica;
             update app.events set starts_at = starts_at - interval '1 hour', ends_at = ends_at - interval '1 hour' where id = '{moved}';
             update app.events set starts_at = now() - interval '1 hour', ends_at = now() + interval '1 hour' where id = '{over}'"
        ))
        .await;
    let before = [
        (kept, version(&stage, kept).await),
        (first, version(&stage, first).await),
        (second, version(&stage, second).await),
        (over, version(&stage, over).await),
    ];
    let path = format!("/events/{moved}/calendar.ics");
    let client = &stage.server.client;
    let shown = parsed(&client.get(&path).await.expect(200));
    let told = starts(&stage, moved).await;
    assert_eq!(calendars.keep_local_times().await.expect("looked"), 1);
    assert_eq!(starts(&stage, moved).await, told + TimeDelta::hours(1));
    assert_eq!(
        local(&stage, moved).await,
        "2041-05-01T18:00:00.000000 2041-05-01T20:00:00.000000"
    );
    for (id, version_before) in before {
        assert_eq!(version(&stage, id).await, version_before);
    }
    // Calendars and reminders treat it as another time.
    let after = parsed(&client.get(&path).await.expect(200));
    let sequence = |calendar: &serde_json::Value| calendar["events"][0]["sequence"].as_i64();
    assert!(sequence(&after) > sequence(&shown));
    assert_eq!(calendars.keep_local_times().await.expect("looked"), 0);
}
