//! T13: each ticket admits one person, once, whoever scans it and however often, and nothing else admits anybody.

use super::stage::Stage;
use crate::support::Member;
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

async fn scan(stage: &Stage, by: &Member, code: &str, nonce: &str) -> Value {
    let body = json!({"code": code, "event_id": stage.event, "nonce": nonce, "gate": "North"});
    by.client.post("/check-ins", body).await.expect(200).json
}

/// A ticket of Mira's: order, ticket and code.
async fn ticket(stage: &Stage) -> (String, String, String) {
    let kind = stage
        .tickets(&format!("Free {}", Uuid::now_v7()), 0, 10)
        .await;
    let order = stage
        .order(&stage.mira, &[(kind, 1)], false)
        .await
        .expect(201);
    let id = order.json["ticket_ids"][0]
        .as_str()
        .expect("an id")
        .to_owned();
    let shown = stage
        .mira
        .client
        .get(&format!("/tickets/{id}"))
        .await
        .expect(200);
    let code = shown.json["code"].as_str().expect("a code").to_owned();
    (order.id(), id, code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_a_hundred_scanners_let_one_person_in() {
    let stage = Stage::new().await;
    let (_, id, code) = ticket(&stage).await;
    let scans = (0..100).map(|n| {
        let nonce = format!("scanner-{n:04}");
        let (stage, code) = (&stage, &code);
        async move { scan(stage, &stage.olga, code, &nonce).await }
    });
    let answers = join_all(scans).await;
    let count = |result: &str| {
        answers
            .iter()
            .filter(|answer| answer["result"] == result)
            .count()
    };
    assert_eq!((count("ok"), count("already_used")), (1, 99));
    let late = answers
        .iter()
        .find(|answer| answer["result"] == "already_used")
        .expect("one");
    assert_eq!(
        (&late["first_gate"], &late["ticket_id"]),
        (&json!("North"), &json!(id))
    );
    assert!(late["first_at"].is_string());
    // The same scan again gets the same answer.
    let ok = answers
        .iter()
        .position(|answer| answer["result"] == "ok")
        .expect("one");
    let again = scan(&stage, &stage.olga, &code, &format!("scanner-{ok:04}")).await;
    assert_eq!(again["result"], "ok");
    stage.sound().await;
    // Only those who run the event may scan.
    let body = json!({"code": code, "event_id": stage.event, "nonce": "somebody else"});
    stage.mira.client.post("/check-ins", body).await.expect(403);
}

/// The negative control: without the lock on the ticket only the unique index prevents it, and without both, two are
/// admitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_the_database_holds_one_entry_per_ticket() {
    let stage = Stage::new().await;
    let (_, id, _) = ticket(&stage).await;
    let insert = |nonce: &str| {
        format!(
            "insert into app.check_ins (ticket_id, event_id, result, nonce, at) values ('{id}', '{}', 'ok', '{nonce}', now())",
            stage.event
        )
    };
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("first-nonce")))
        .execute(&mut conn)
        .await
        .expect("one");
    let second = sqlx::raw_sql(sqlx::AssertSqlSafe(insert("second-nonce")))
        .execute(&mut conn)
        .await
        .unwrap_err();
    assert_eq!(
        kernel::error::violated(&second),
        Some("check_ins_ticket_id_key")
    );
    sqlx::raw_sql("drop index app.check_ins_ticket_id_key")
        .execute(&mut conn)
        .await
        .expect("switched off");
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("second-nonce")))
        .execute(&mut conn)
        .await
        .expect("two");
    let found = super::all_faults(&mut conn).await;
    assert!(
        found.iter().any(|fault| fault.starts_with("let in twice")),
        "{found:?}"
    );
}

#[tokio::test]
async fn od3_o10_each_reason_not_to_let_in_has_its_name() {
    let stage = Stage::new().await;
    let (order, _, code) = ticket(&stage).await;
    let mut forged = code.clone().into_bytes();
    forged[60] = if forged[60] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).expect("text");
    assert_eq!(
        scan(&stage, &stage.olga, &forged, "nonce-forged").await["result"],
        "forged"
    );
    // Another event of the organiser.
    let mut conn = stage.server.superuser().await;
    let elsewhere = another_event(&stage).await;
    let body = json!({"code": code, "event_id": elsewhere, "nonce": "nonce-elsewhere"});
    let wrong = stage.olga.client.post("/check-ins", body).await.expect(200);
    assert_eq!(wrong.json["result"], "wrong_event");
    super::stage::keyed(&stage.olga, &format!("/orders/{order}/refunds"), json!({}))
        .await
        .expect(201);
    assert_eq!(
        scan(&stage, &stage.olga, &code, "nonce-refunded").await["result"],
        "refunded"
    );
    // An offline scan is uploaded later, with the time of the device.
    let (_, _, code) = ticket(&stage).await;
    let body = json!({"code": code, "event_id": stage.event, "nonce": "nonce-offline", "at": "2041-05-01T17:55:00Z"});
    stage.olga.client.post("/check-ins", body).await.expect(200);
    let kept: (bool, String) = sqlx::query_as(
        "select is_offline, result from app.check_ins where nonce = 'nonce-offline'",
    )
    .fetch_one(&mut conn)
    .await
    .expect("kept");
    assert_eq!(kept, (true, "ok".to_owned()));
    let keys = stage.server.client.get("/ticket-keys").await.expect(200);
    assert_eq!(keys.json["data"].as_array().expect("keys").len(), 1);
}

/// A scanner whose clock is fast: its guests are admitted, and nothing is recorded as if it were still to come. Negative
/// control: of another scanner, whose clock is right, the time is kept.
#[tokio::test]
async fn od3_a_fast_clock_refuses_nobody_and_records_nothing_ahead() {
    let stage = Stage::new().await;
    // The database keeps microseconds, so a time that is compared with what it kept has no more digits.
    let past = (chrono::Utc::now() - chrono::TimeDelta::minutes(10))
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    for (nonce, at, is_kept) in [
        // By hours, and by more than the time until the door closes for good.
        ("nonce-hours", "2041-05-01T23:00:00Z", false),
        ("nonce-months", "2041-09-01T18:00:00Z", false),
        ("nonce-right", past.as_str(), true),
    ] {
        let (_, _, code) = ticket(&stage).await;
        let scans = json!([{"code": code, "nonce": nonce, "at": at}]);
        let body = json!({"event_id": stage.event, "scans": scans});
        let told = stage.olga.client.post("/check-ins/batch", body).await;
        assert_eq!(told.expect(200).json["data"][0]["result"], "ok", "{nonce}");
        let mut conn = stage.server.superuser().await;
        let kept: (bool, bool) = sqlx::query_as(
            "select at <= created_at, at = $2::text::timestamptz from app.check_ins where nonce = $1",
        )
        .bind(nonce)
        .bind(at)
        .fetch_one(&mut conn)
        .await
        .expect("kept");
        assert_eq!(kept, (true, is_kept), "{nonce}");
    }
}

/// Scanners of another event may use the same nonces without any effect on this event. Negative control: with an index
/// that makes nonces unique over all events, the scan fails.
#[tokio::test]
async fn o10_scanners_of_other_events_are_not_in_the_way() {
    for is_shared in [false, true] {
        let stage = Stage::new().await;
        let (_, _, code) = ticket(&stage).await;
        if is_shared {
            stage
                .run("create unique index on app.check_ins (nonce)")
                .await;
        }
        let elsewhere = another_event(&stage).await;
        let body = json!({"code": "no code of ours", "event_id": elsewhere, "nonce": "scan-0001"});
        let there = stage.olga.client.post("/check-ins", body).await;
        assert_eq!(there.expect(200).json["result"], "forged");
        let body = json!({"code": code, "event_id": stage.event, "nonce": "scan-0001"});
        for _ in 0..2 {
            let here = stage.olga.client.post("/check-ins", body.clone()).await;
            assert_eq!(here.status.is_success(), !is_shared, "{}", here.text);
            assert!(is_shared || here.json["result"] == "ok", "{}", here.text);
        }
    }
}

/// Another event of the same host.
async fn another_event(stage: &Stage) -> Uuid {
    sqlx::query_scalar(
        "select e.id from app.events e join app.events mine on mine.id = $1 and e.host_id = mine.host_id
         where e.id <> mine.id and e.status = 'active' limit 1",
    )
    .bind(stage.event)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("another event")
}

/// Two devices may produce the same nonce; the answer for another ticket lets nobody in.
#[tokio::test]
async fn o10_a_nonce_is_of_one_ticket() {
    let stage = Stage::new().await;
    let (_, first, code) = ticket(&stage).await;
    let (_, second, other) = ticket(&stage).await;
    assert_eq!(
        scan(&stage, &stage.olga, &code, "scan-0001").await["result"],
        "ok"
    );
    for code in [other.as_str(), "no code of ours"] {
        let body = json!({"code": code, "event_id": stage.event, "nonce": "scan-0001"});
        stage.olga.client.post("/check-ins", body).await.expect(422);
        let scans = json!([{"code": code, "nonce": "scan-0001", "at": "2041-05-01T17:55:00Z"}]);
        let body = json!({"event_id": stage.event, "scans": scans});
        let told = stage.olga.client.post("/check-ins/batch", body).await;
        assert_eq!(
            told.expect(200).json["data"][0]["result"],
            "nonce_used",
            "{code}"
        );
    }
    let state = async |ticket: &str| {
        let shown = stage.mira.client.get(&format!("/tickets/{ticket}")).await;
        shown.expect(200).json["state"].clone()
    };
    assert_eq!(
        (state(&first).await, state(&second).await),
        (json!("checked_in"), json!("valid"))
    );
    // The same scan still gets the same answer, and the other ticket is admitted with a nonce of its own.
    for (code, nonce) in [(&code, "scan-0001"), (&other, "scan-0002")] {
        assert_eq!(scan(&stage, &stage.olga, code, nonce).await["result"], "ok");
    }
    stage.sound().await;
}

/// One scan that a device sends again and again, because it got no answer: all of them are answered alike, also those
/// that had looked for an earlier one before it was stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_one_scan_sent_twenty_times_at_once_has_one_answer() {
    let stage = Stage::new().await;
    for round in 0..5 {
        let (_, id, code) = ticket(&stage).await;
        let nonce = format!("again-and-again-{round}");
        let scans = (0..20).map(|_| scan(&stage, &stage.olga, &code, &nonce));
        for answer in join_all(scans).await {
            assert_eq!(answer["result"], "ok", "{answer}");
        }
        let text = format!("select count(*) from app.check_ins where ticket_id = '{id}'");
        assert_eq!(stage.number(&text).await, 1);

        let (_, id, code) = ticket(&stage).await;
        let batch = json!({"event_id": stage.event, "scans": [{"code": code, "nonce": format!("a-batch-{round}")}]});
        let batches = (0..20).map(|_| stage.olga.client.post("/check-ins/batch", batch.clone()));
        for answer in join_all(batches).await {
            let answer = answer.expect(200).json;
            assert_eq!(answer["data"][0]["result"], "ok", "{answer}");
        }
        let text = format!("select count(*) from app.check_ins where ticket_id = '{id}'");
        assert_eq!(stage.number(&text).await, 1);
    }
    stage.sound().await;
}
