//! O9: a code is admitted within the event's times. They are taken from the event as it is now and not from the code,
//! which may have been printed before the event was moved.

use super::stage::Stage;
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

/// The code of a ticket of Mira's, as printed now.
async fn printed(stage: &Stage) -> String {
    let kind = stage.tickets(&Uuid::now_v7().to_string(), 0, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).json;
    let ticket = order["ticket_ids"][0].as_str().expect("an id");
    let shown = stage.mira.client.get(&format!("/tickets/{ticket}")).await;
    let shown = shown.expect(200).json;
    shown["code"].as_str().expect("a code").to_owned()
}

/// The result of an offline scan that is uploaded later.
async fn brought_in(stage: &Stage, code: &str, at: &str) -> Value {
    let nonce = Uuid::now_v7().to_string();
    let scans = json!([{"code": code, "nonce": nonce, "at": at}]);
    let batch = json!({"event_id": stage.event, "scans": scans});
    let told = stage.olga.client.post("/check-ins/batch", batch).await;
    let told = told.expect(200).json["data"][0]["result"].clone();
    let mut conn = stage.server.superuser().await;
    let kept: (String, bool) =
        sqlx::query_as("select result, is_offline from app.check_ins where nonce = $1")
            .bind(&nonce)
            .fetch_one(&mut conn)
            .await
            .expect("kept, whatever it came to");
    assert_eq!((json!(kept.0), kept.1), (told.clone(), true));
    told
}

/// The result of a scan that is made now.
async fn shown_now(stage: &Stage, code: &str) -> Value {
    let nonce = Uuid::now_v7().to_string();
    let body = json!({"code": code, "event_id": stage.event, "nonce": nonce});
    let told = stage.olga.client.post("/check-ins", body).await.expect(200);
    told.json["result"].clone()
}

/// Moves the event.
async fn moved(stage: &Stage, starts_at: &str, ends_at: &str) {
    let path = format!("/events/{}", stage.event);
    let body = json!({"starts_at": starts_at, "ends_at": ends_at});
    stage.olga.client.patch(&path, "*", body).await.expect(200);
}

/// A time in the past. Scans can't be later than their upload.
fn ago(minutes: i64) -> String {
    (Utc::now() - TimeDelta::minutes(minutes)).to_rfc3339()
}

/// Lets the event have ended so long ago that its codes were accepted until half an hour ago.
async fn is_over(stage: &Stage) {
    past_everybody(
        stage,
        "starts_at = now() - interval '26 hours', ends_at = now() - interval '24 hours 30 minutes'",
    )
    .await;
}

#[tokio::test]
async fn o9_a_code_outside_of_its_time_lets_nobody_in_and_is_kept() {
    let stage = Stage::without_provider().await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(printed(&stage).await);
    }
    is_over(&stage).await;
    // Long before it was printed, and too late.
    for minutes in [120, 20] {
        let result = brought_in(&stage, &codes[0], &ago(minutes)).await;
        assert_eq!(result, "invalid_time", "{minutes}");
    }
    // The ticket is unused, so it is still accepted; events may run long.
    assert_eq!(brought_in(&stage, &codes[0], &ago(40)).await, "ok");
    let again = brought_in(&stage, &codes[0], &ago(20)).await;
    assert_eq!(again, "already_used");
    stage.sound().await;
    // An event that has ended accepts scans that were made during it.
    past_everybody(&stage, "state = 'completed'").await;
    assert_eq!(brought_in(&stage, &codes[1], &ago(40)).await, "ok");
    past_everybody(&stage, "state = 'published'").await;

    // The same applies to an online scan.
    let code = &codes[2];
    assert_eq!(shown_now(&stage, code).await, "invalid_time");
    // The negative control: without the check of the time, the code is accepted.
    let off = "create or replace function app.admits_at(p_event uuid, p_not_before timestamptz, p_at timestamptz) returns boolean
        language sql stable set search_path = pg_catalog, pg_temp as 'select true'";
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(off)
        .execute(&mut conn)
        .await
        .expect("switched off");
    assert_eq!(shown_now(&stage, code).await, "ok");
}

#[tokio::test]
async fn o9_codes_that_were_printed_before_an_event_was_moved_let_in_at_its_new_time() {
    let stage = Stage::without_provider().await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(printed(&stage).await);
    }
    // Postponed by more than the time in the code; scanners get the new time with the list of tickets.
    moved(&stage, "2044-05-01T18:00:00Z", "2044-05-01T20:00:00Z").await;
    let path = format!("/events/{}/check-in-list", stage.event);
    let list = stage.olga.client.get(&path).await.expect(200).json;
    assert_eq!(list["admits_until"], "2044-05-02T20:00:00Z");
    assert_eq!(brought_in(&stage, &codes[0], &ago(5)).await, "ok");
    assert_eq!(shown_now(&stage, &codes[2]).await, "ok");
    // Moved to an earlier time, by which codes are not accepted any more.
    is_over(&stage).await;
    let late = brought_in(&stage, &codes[1], &ago(20)).await;
    assert_eq!(late, "invalid_time");
    assert_eq!(brought_in(&stage, &codes[1], &ago(40)).await, "ok");
    stage.sound().await;
}

/// A change of the event that bypasses triggers.
async fn past_everybody(stage: &Stage, change: &str) {
    let text = format!(
        "set session_replication_role = replica; update app.events set {change} where id = '{}'",
        stage.event
    );
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .expect("changed");
}
