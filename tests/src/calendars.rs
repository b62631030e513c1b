//! Calendars, by the number of the requirement: what other programs read in them, and who may read what.

mod feed;
mod shown;
mod zones;

use crate::{
    support::{Answer, Client, Member, root},
    trending::stage::Stage,
};
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
};
use uuid::Uuid;

/// What another program, `tests/calendars/read.py`, reads in a calendar.
#[track_caller]
fn parsed(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("text/calendar; charset=utf-8")
    );
    let mut child = Command::new(root().join("script/read-calendar"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script/read-calendar starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(answer.text.as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", answer.text);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Ids of the events, in the order of the calendar.
fn uids(text: &str) -> Vec<Uuid> {
    let lines = text.split("\r\n");
    let found = lines.filter_map(|line| line.strip_prefix("UID:"));
    found.map(|id| id.parse().expect("an id")).collect()
}

async fn read(client: &Client, path: &str) -> Vec<Uuid> {
    uids(&client.get(path).await.expect(200).text)
}

/// An administrator of the stage's host.
async fn admin(stage: &Stage) -> Member {
    let admin = stage.server.member("runs_the_host").await;
    stage
        .server
        .grant(&admin, "orgAdmin", Some(("organization", stage.host)))
        .await;
    admin
}

/// An event of a host; `more` contains further assignments of columns.
async fn event(stage: &Stage, host: (&str, Uuid), title: &str, more: &str) -> Uuid {
    let id: Uuid = stage
        .one(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
             values ('{}', '{}', '{}', $q${title}$q$, now() + interval '10 days', now() + interval '11 days', 'UTC', 'published') returning id",
            stage.city, host.0, host.1
        ))
        .await;
    if !more.is_empty() {
        // Without triggers, which refuse events in the past.
        stage
            .sql(format!(
                "set session_replication_role = replica; update app.events set {more} where id = '{id}'"
            ))
            .await;
        cancelled(stage, id).await;
    }
    id
}

/// What the trigger stores with a cancellation: when it was.
async fn cancelled(stage: &Stage, event: Uuid) {
    stage
        .sql(format!(
            "insert into app.event_schedules (event_id, cancelled_at)
             select id, updated_at from app.events where id = '{event}' and state = 'cancelled'"
        ))
        .await;
}
