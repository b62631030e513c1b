//! O9 and O10: offline scanners decide like the server, and their scans are judged and stored when they are uploaded.

use super::stage::{Stage, keyed};
use crate::support::Member;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Tickets of Mira's with their codes.
async fn bought(stage: &Stage, quantity: i32) -> (String, Vec<(String, String)>) {
    let name = format!("Free {}", Uuid::now_v7());
    let kind = stage.tickets(&name, 0, 20).await;
    let order = stage.order(&stage.mira, &[(kind, quantity)], false).await;
    let order = order.expect(201);
    let mut tickets = Vec::new();
    for id in order.json["ticket_ids"].as_array().expect("tickets") {
        let id = id.as_str().expect("an id").to_owned();
        let code = code(&stage.mira, &id).await;
        tickets.push((id, code));
    }
    (order.id(), tickets)
}

async fn code(of: &Member, ticket: &str) -> String {
    let shown = of.client.get(&format!("/tickets/{ticket}")).await;
    let shown = shown.expect(200).json;
    shown["code"].as_str().expect("a code").to_owned()
}

/// All pages of a list, a few rows at a time; they are as of the same moment.
async fn all(stage: &Stage, path: &str, since: Option<&str>) -> (Vec<Value>, String) {
    let since = since.map(|since| format!("&changed_since={}", since.replace('+', "%2B")));
    let first = format!(
        "/events/{}/{path}?limit=2{}",
        stage.event,
        since.unwrap_or_default()
    );
    let (mut rows, mut cursor, mut as_of) = (Vec::new(), None::<String>, None);
    loop {
        let page = match &cursor {
            None => first.clone(),
            Some(cursor) => format!("{first}&cursor={cursor}"),
        };
        let page = stage.olga.client.get(&page).await.expect(200).json;
        rows.extend(page["data"].as_array().expect("rows").clone());
        let told = page["as_of"].as_str().expect("a time").to_owned();
        assert_eq!(as_of.get_or_insert(told.clone()), &told);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return (rows, told),
        }
    }
}

/// The decision of a scanner that has both lists about a code, which contains its ticket and its secret version.
fn decide(admissions: &[Value], revoked: &[Value], code: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let bytes = URL_SAFE_NO_PAD.decode(code).expect("a code");
    let ticket = Uuid::from_slice(&bytes[5..21]).expect("an id");
    let version = i64::from(i32::from_be_bytes(bytes[37..41].try_into().expect("four")));
    let of = |row: &&Value| row["ticket_id"] == json!(ticket);
    if let Some(row) = revoked.iter().find(of)
        && version <= row["up_to_secret_version"].as_i64().expect("a version")
    {
        let reason = row["reason"].as_str().expect("a reason");
        return reason.to_owned();
    }
    let Some(row) = admissions.iter().find(of) else {
        return "unknown".to_owned();
    };
    match row["state"].as_str().expect("a state") {
        "valid" => "ok".to_owned(),
        "checked_in" => "already_used".to_owned(),
        other => other.to_owned(),
    }
}

#[tokio::test]
async fn o9_a_scanner_without_a_connection_decides_as_the_door_does() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_offline").await;
    let (order, tickets) = bought(&stage, 5).await;
    let (before, as_of) = all(&stage, "check-in-list", None).await;
    assert_eq!(before.len(), 5);
    assert_eq!(before[0]["object"], "admission");
    assert_eq!(all(&stage, "revoked-codes", None).await.0.len(), 0);

    // One ticket is used, one refunded, and two are transferred, one of which is used then.
    let scan = |code: String| {
        let body =
            json!({"code": code, "event_id": stage.event, "nonce": Uuid::now_v7().to_string()});
        async { stage.olga.client.post("/check-ins", body).await.expect(200) }
    };
    scan(tickets[0].1.clone()).await;
    let back = json!({"ticket_ids": [tickets[1].0]});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), back)
        .await
        .expect(201);
    let mut codes: Vec<String> = tickets.iter().map(|(_, code)| code.clone()).collect();
    for (id, _) in &tickets[2..4] {
        let path = format!("/tickets/{id}/transfers");
        let offered = stage.mira.client.post(&path, json!({"to_id": vera.id}));
        let offered = offered.await.expect(201).id();
        let path = format!("/ticket-transfers/{offered}/accept");
        vera.client.act(&path).await.expect(200);
        codes.push(code(&vera, id).await);
    }
    scan(codes[5].clone()).await;

    let (admissions, _) = all(&stage, "check-in-list", None).await;
    let (revoked, _) = all(&stage, "revoked-codes", None).await;
    assert_eq!((admissions.len(), revoked.len()), (5, 3));
    let mut seen = BTreeMap::new();
    for code in &codes {
        let offline = decide(&admissions, &revoked, code);
        let door = scan(code.clone()).await.json["result"].clone();
        assert_eq!(json!(offline), door, "{code}");
        *seen.entry(offline).or_insert(0) += 1;
    }
    let counts = [
        ("already_used", 2),
        ("ok", 2),
        ("refunded", 1),
        ("transferred", 2),
    ];
    assert_eq!(
        seen,
        BTreeMap::from(counts.map(|(name, n)| (name.to_owned(), n)))
    );
    // The negative control: a scanner that hasn't updated its lists admits a ticket that it shouldn't.
    assert_eq!(decide(&before, &[], &tickets[1].1), "ok");

    // Tickets that haven't changed for long are not sent again.
    let mut conn = stage.server.superuser().await;
    sqlx::query(
        "update app.tickets set updated_at = now() - interval '1 hour' where id = $1::text::uuid",
    )
    .bind(&tickets[2].0)
    .execute(&mut conn)
    .await
    .expect("long ago");
    let (changed, _) = all(&stage, "check-in-list", Some(&as_of)).await;
    assert_eq!(changed.len(), 4);
    let (changed, _) = all(&stage, "revoked-codes", Some(&as_of)).await;
    assert_eq!(changed.len(), 2);

    for path in ["check-in-list", "revoked-codes"] {
        let path = format!("/events/{}/{path}", stage.event);
        stage.mira.client.get(&path).await.expect(403);
        let path = format!("{path}?changed_since=yesterday");
        stage.olga.client.get(&path).await.expect(422);
    }
}

fn late(code: &str, nonce: &str, at: &str) -> Value {
    json!({"code": code, "nonce": nonce, "gate": "North", "device": "Scanner 3", "at": at})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od3_o10_scans_that_come_in_together_are_judged_one_by_one_and_kept() {
    let stage = Stage::without_provider().await;
    let (_, tickets) = bought(&stage, 2).await;
    let mut conn = stage.server.superuser().await;
    let body = json!({"code": "no code of ours", "event_id": stage.event, "nonce": "used-before"});
    stage.olga.client.post("/check-ins", body).await.expect(200);
    // Two scans of one ticket: the earlier one counts, whatever their order in the batch.
    let scans = json!([
        late(&tickets[0].1, "nonce-late", "2041-05-01T18:02:00Z"),
        late("no code of ours", "nonce-forged", "2041-05-01T18:01:00Z"),
        late(&tickets[0].1, "nonce-early", "2041-05-01T18:01:00Z"),
        late(&tickets[1].1, "used-before", "2041-05-01T18:03:00Z"),
    ]);
    let batch = json!({"event_id": stage.event, "scans": scans});
    stage
        .mira
        .client
        .post("/check-ins/batch", batch.clone())
        .await
        .expect(403);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let told = stage.olga.client.post("/check-ins/batch", batch.clone());
        answers.push(told.await.expect(200).json);
    }
    // Sending the batch again changes nothing and gets the same answers.
    assert_eq!(answers[0], answers[1]);
    let results: Vec<&Value> = answers[0]["data"]
        .as_array()
        .expect("answers")
        .iter()
        .map(|answer| &answer["result"])
        .collect();
    assert_eq!(results, ["already_used", "forged", "ok", "nonce_used"]);
    assert_eq!(answers[0]["data"][0]["first_gate"], "North");
    let kept: Vec<(String, String, bool)> = sqlx::query_as(
        "select nonce, result, is_offline from app.check_ins where event_id = $1 order by nonce",
    )
    .bind(stage.event)
    .fetch_all(&mut conn)
    .await
    .expect("kept");
    let of = |nonce: &str, result: &str| (nonce.to_owned(), result.to_owned(), true);
    let before = ("used-before".to_owned(), "forged".to_owned(), false);
    assert_eq!(
        kept,
        [
            of("nonce-early", "ok"),
            of("nonce-forged", "forged"),
            of("nonce-late", "already_used"),
            before,
        ]
    );
    // Members who were admitted count as having attended.
    let attended: i64 = sqlx::query_scalar(
        "select count(*) from app.attendances where event_id = $1 and user_id = $2",
    )
    .bind(stage.event)
    .bind(stage.mira.id)
    .fetch_one(&mut conn)
    .await
    .expect("a count");
    assert_eq!(attended, 1);
    stage.sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o10_scanners_that_come_back_at_once_let_each_ticket_in_once() {
    let stage = Stage::without_provider().await;
    let (_, tickets) = bought(&stage, 12).await;
    let batches = (0..6).map(|scanner| {
        let mut scans: Vec<Value> = tickets
            .iter()
            .enumerate()
            .map(|(n, (_, code))| {
                let nonce = format!("scanner-{scanner}-{n:03}");
                late(code, &nonce, "2041-05-01T18:01:00Z")
            })
            .collect();
        // Each scanner sends them in another order.
        scans.rotate_left(scanner * 2);
        if scanner % 2 == 1 {
            scans.reverse();
        }
        let batch = json!({"event_id": stage.event, "scans": scans});
        async {
            stage
                .olga
                .client
                .post("/check-ins/batch", batch)
                .await
                .expect(200)
        }
    });
    let answers = futures_util::future::join_all(batches).await;
    let results = answers
        .iter()
        .flat_map(|answer| answer.json["data"].as_array().expect("answers"));
    let (mut ok, mut used) = (0, 0);
    for answer in results {
        match answer["result"].as_str() {
            Some("ok") => ok += 1,
            Some("already_used") => used += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((ok, used), (12, 60));
    stage.sound().await;
}
