//! OD3: checkpoints at an event, which each ticket enters separately, once at a time; and refused scans.

use super::stage::{Stage, keyed};
use crate::support::{Answer, Member};
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// The figures of a checkpoint (entered, entries, inside), asserted to equal those of its good scans.
async fn figures(stage: &Stage, checkpoint: &str) -> (i64, i64, i64) {
    let path = format!("/events/{}/checkpoint-figures", stage.event);
    let list = stage.olga.client.get(&path).await.expect(200).json;
    let data = list["data"].as_array().expect("figures");
    let of = |row: &&Value| row["checkpoint_id"] == checkpoint;
    let shown = data.iter().find(of).expect("a checkpoint");
    let [entered, entries, inside] =
        ["entered", "entries", "inside"].map(|name| shown[name].as_i64().expect("a figure"));
    let scanned: (i64, i64, i64) = sqlx::query_as(
        "select count(distinct ticket_id), count(*) filter (where direction = 'entry'),
           count(*) filter (where direction = 'entry') - count(*) filter (where direction = 'exit')
         from app.check_ins where checkpoint_id = $1::text::uuid and result = 'ok'",
    )
    .bind(checkpoint)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("sums");
    assert_eq!((entered, entries, inside), scanned);
    scanned
}

async fn checkpoint(stage: &Stage, name: &str, more: Value) -> String {
    let mut body = json!({"event_id": stage.event, "name": name});
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    let made = stage.olga.client.post("/checkpoints", body).await;
    made.expect(201).id()
}

/// An order of Mira's for tickets of one type: its id, and the tickets with their codes.
async fn bought(stage: &Stage, kind: Uuid, quantity: i32) -> (String, Vec<(String, String)>) {
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

/// Sends a scan with a nonce of its own.
async fn sent(stage: &Stage, checkpoint: Option<&str>, code: &str, more: Value) -> Answer {
    let mut body =
        json!({"code": code, "event_id": stage.event, "nonce": Uuid::now_v7(), "gate": "North"});
    if let Some(checkpoint) = checkpoint {
        body["checkpoint_id"] = json!(checkpoint);
    }
    let more = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(more);
    stage.olga.client.post("/check-ins", body).await
}

async fn result(stage: &Stage, checkpoint: &str, code: &str, direction: &str) -> String {
    let way = json!({"direction": direction});
    let told = sent(stage, Some(checkpoint), code, way).await.expect(200);
    told.json["result"].as_str().expect("a result").to_owned()
}

async fn run(stage: &Stage, text: String) -> Result<(), sqlx::Error> {
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .map(drop)
}

/// Another event of the same host.
async fn elsewhere(stage: &Stage) -> Uuid {
    sqlx::query_scalar(
        "select e.id from app.events e join app.events mine on mine.id = $1 and e.host_id = mine.host_id
         where e.id <> mine.id and e.status = 'active' and e.state = 'published' limit 1",
    )
    .bind(stage.event)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("another event")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od3_fifty_scanners_let_a_ticket_in_once_at_each_checkpoint() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 1).await;
    let (id, code) = &tickets[0];
    let lounge = checkpoint(&stage, "Lounge", json!({})).await;
    let bar = checkpoint(&stage, "Bar", json!({})).await;
    let scans = (0..50).map(|_| sent(&stage, Some(&lounge), code, json!({})));
    let answers: Vec<Value> = join_all(scans)
        .await
        .into_iter()
        .map(|answer| answer.expect(200).json)
        .collect();
    let with = |result: &str| {
        let answers = answers.iter().filter(|answer| answer["result"] == result);
        answers.collect::<Vec<_>>()
    };
    assert_eq!((with("ok").len(), with("already_used").len()), (1, 49));
    let late = with("already_used")[0];
    assert_eq!(
        (&late["first_gate"], &late["ticket_id"]),
        (&json!("North"), &json!(id))
    );
    // Other checkpoints and the entrance don't know of this entry.
    assert_eq!(result(&stage, &bar, code, "entry").await, "ok");
    let door = sent(&stage, None, code, json!({})).await.expect(200);
    assert_eq!(door.json["result"], "ok");
    assert_eq!(result(&stage, &bar, code, "entry").await, "already_used");
    assert_eq!(figures(&stage, &lounge).await, (1, 1, 1));
    assert_eq!(figures(&stage, &bar).await, (1, 1, 1));
    // The attendee list contains the guest once, because of the scan at the entrance.
    let path = format!("/events/{}/attendees", stage.event);
    let list = stage.olga.client.get(&path).await.expect(200).json;
    assert_eq!(list["data"].as_array().expect("rows").len(), 1);
    stage.sound().await;
}

/// The negative control: without the lock on the ticket, only the unique index prevents a second entry, and without
/// both, two are inside.
#[tokio::test]
async fn od3_the_database_holds_one_ticket_inside_at_a_time() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 1).await;
    let lounge = checkpoint(&stage, "Lounge", json!({})).await;
    let insert = format!(
        "insert into app.checkpoint_entries (checkpoint_id, ticket_id, event_id, entered_at)
         values ('{lounge}', '{}', '{}', now())",
        tickets[0].0, stage.event
    );
    run(&stage, insert.clone()).await.expect("one");
    let second = run(&stage, insert.clone()).await.unwrap_err();
    let index = "checkpoint_entries_ticket_id_checkpoint_id_key";
    assert_eq!(kernel::error::violated(&second), Some(index));
    // A guest who has left can come in again.
    let left = "update app.checkpoint_entries set left_at = now()".to_owned();
    run(&stage, left).await.expect("left");
    run(&stage, insert.clone()).await.expect("again");
    run(&stage, format!("drop index app.{index}"))
        .await
        .expect("switched off");
    run(&stage, insert).await.expect("two");
    let found = super::all_faults(stage.server.superuser().await.looking()).await;
    let twice = |fault: &String| fault.starts_with("inside a checkpoint twice");
    assert!(found.iter().any(twice), "{found:?}");
}

#[tokio::test]
async fn od3_who_has_left_comes_in_again_where_that_is_allowed() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 1).await;
    let code = &tickets[0].1;
    let both = json!({"counts_exits": true, "allows_reentry": true});
    let bar = checkpoint(&stage, "Bar", both).await;
    let stand = checkpoint(&stage, "Stand", json!({"counts_exits": true})).await;
    let lounge = checkpoint(&stage, "Lounge", json!({})).await;
    let way = [
        ("exit", "not_inside"),
        ("entry", "ok"),
        ("entry", "already_used"),
        ("exit", "ok"),
        ("exit", "not_inside"),
    ];
    for (direction, expected) in way {
        for place in [&bar, &stand] {
            assert_eq!(result(&stage, place, code, direction).await, expected);
        }
    }
    assert_eq!(figures(&stage, &stand).await, (1, 1, 0));
    assert_eq!(result(&stage, &stand, code, "entry").await, "already_used");
    assert_eq!(result(&stage, &bar, code, "entry").await, "ok");
    assert_eq!(figures(&stage, &bar).await, (1, 2, 1));
    assert_eq!(result(&stage, &lounge, code, "entry").await, "ok");
    assert_eq!(
        result(&stage, &lounge, code, "exit").await,
        "exits_not_counted"
    );
    stage.sound().await;

    // Invalid combinations.
    let door = sent(&stage, None, code, json!({"direction": "exit"})).await;
    assert_eq!(door.expect(422).pointers(), ["/checkpoint_id"]);
    let forced = sent(&stage, Some(&bar), code, json!({"force": true})).await;
    assert_eq!(forced.expect(422).pointers(), ["/force"]);
    let body = json!({"event_id": stage.event, "name": "Loft", "allows_reentry": true});
    let made = stage.olga.client.post("/checkpoints", body).await;
    made.expect(422);
    // A deleted checkpoint accepts no scans, and its earlier scans are kept.
    let path = format!("/checkpoints/{lounge}");
    stage.olga.client.delete(&path).await.expect(204);
    let gone = sent(&stage, Some(&lounge), code, json!({})).await;
    assert_eq!(gone.expect(422).pointers(), ["/checkpoint_id"]);
    stage.sound().await;
}

#[tokio::test]
async fn od3_a_checkpoint_lets_in_its_ticket_types_and_none_of_another_event() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 0, 10).await;
    let crew = stage.tickets("Crew", 0, 10).await;
    let (_, seats) = bought(&stage, seat, 1).await;
    let (_, crews) = bought(&stage, crew, 1).await;
    let few = json!({"all_ticket_types": false});
    let backstage = checkpoint(&stage, "Backstage", few).await;
    let named = |kind: Uuid| json!({"checkpoint_id": backstage, "ticket_type_id": kind, "event_id": stage.event});
    let name = |kind: Uuid| {
        let client = &stage.olga.client;
        client.post("/checkpoint-ticket-types", named(kind))
    };
    let (seat_code, crew_code) = (&seats[0].1, &crews[0].1);
    for code in [seat_code, crew_code] {
        let told = result(&stage, &backstage, code, "entry").await;
        assert_eq!(told, "wrong_ticket_type");
    }
    let row = name(crew).await.expect(201).id();
    let told = result(&stage, &backstage, crew_code, "entry").await;
    assert_eq!(told, "ok");
    let told = result(&stage, &backstage, seat_code, "entry").await;
    assert_eq!(told, "wrong_ticket_type");
    let path = format!("/checkpoint-ticket-types/{row}");
    stage.olga.client.delete(&path).await.expect(204);

    let elsewhere = elsewhere(&stage).await;
    let foreign: Uuid = sqlx::query_scalar(
        "insert into app.ticket_types (event_id, name, price_cents, currency, capacity)
         values ($1, 'Another seat', 0, 'AUD', 9) returning id",
    )
    .bind(elsewhere)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("a ticket type");
    let refused = name(foreign).await.expect(422);
    assert_eq!(refused.pointers(), ["/ticket_type_id"]);
    // The database refuses it whoever writes it.
    let insert = |kind: Uuid| {
        format!(
            "insert into app.checkpoint_ticket_types (checkpoint_id, ticket_type_id, event_id)
             values ('{backstage}', '{kind}', '{}')",
            stage.event
        )
    };
    let refused = run(&stage, insert(foreign)).await.unwrap_err();
    assert_eq!(
        kernel::error::violated(&refused),
        Some("checkpoint_ticket_types_ticket_type_id_same_event_fkey")
    );
    run(&stage, insert(seat)).await.expect("one of this event");
}

#[tokio::test]
async fn od3_only_those_who_run_the_event_have_checkpoints() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 1).await;
    let code = &tickets[0].1;
    let lounge = checkpoint(&stage, "Lounge", json!({})).await;
    let other: Uuid = sqlx::query_scalar(
        "select o.id from app.organizations o join app.events e on e.id = $1
         where o.id <> e.host_id and o.status = 'active' order by o.id limit 1",
    )
    .bind(stage.event)
    .fetch_one(&mut stage.server.superuser().await)
    .await
    .expect("another organization");
    let rosa = stage.server.member("rosa_elsewhere").await;
    let scope = Some(("organization", other));
    stage.server.grant(&rosa, "orgAdmin", scope).await;
    // Callers without any role get the same refusal, whether or not the event is hidden.
    for (who, hidden) in [(&rosa, 404), (&stage.mira, 403)] {
        let scan = json!({"code": code, "event_id": stage.event, "nonce": Uuid::now_v7(), "checkpoint_id": lounge});
        who.client.post("/check-ins", scan).await.expect(403);
        let scans = json!([{"code": code, "nonce": Uuid::now_v7()}]);
        let batch = json!({"event_id": stage.event, "checkpoint_id": lounge, "scans": scans});
        who.client.post("/check-ins/batch", batch).await.expect(403);
        let body = json!({"event_id": stage.event, "name": "Loft"});
        who.client.post("/checkpoints", body).await.expect(403);
        let path = format!("/checkpoints/{lounge}");
        who.client.get(&path).await.expect(hidden);
        let path = format!("/events/{}/checkpoint-figures", stage.event);
        who.client.get(&path).await.expect(403);
    }
    // A ticket for another event of the same host.
    let scan = json!({"event_id": elsewhere(&stage).await});
    let refused = sent(&stage, Some(&lounge), code, scan).await.expect(422);
    assert_eq!(refused.pointers(), ["/checkpoint_id"]);
}

#[tokio::test]
async fn od3_what_is_given_back_or_handed_on_comes_in_nowhere() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_enters").await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (order, tickets) = bought(&stage, kind, 4).await;
    let way = json!({"counts_exits": true, "allows_reentry": true});
    let lounge = checkpoint(&stage, "Lounge", way).await;
    let enter = async |code: &str| result(&stage, &lounge, code, "entry").await;
    let refund = async |by: &Member, ticket: &str| {
        let path = format!("/orders/{order}/refunds");
        keyed(by, &path, json!({"ticket_ids": [ticket]})).await
    };
    // The ticket was refunded before.
    refund(&stage.mira, &tickets[0].0).await.expect(201);
    assert_eq!(enter(&tickets[0].1).await, "refunded");
    // Transferred: the new code is accepted, the old one is not.
    let path = format!("/tickets/{}/transfers", tickets[1].0);
    let offer = stage.mira.client.post(&path, json!({"to_id": vera.id}));
    let path = format!("/ticket-transfers/{}/accept", offer.await.expect(201).id());
    vera.client.act(&path).await.expect(200);
    assert_eq!(enter(&tickets[1].1).await, "transferred");
    assert_eq!(enter(&code(&vera, &tickets[1].0).await).await, "ok");
    // After entry, only those who run the event can refund the ticket; then the guest can only leave.
    assert_eq!(enter(&tickets[2].1).await, "ok");
    refund(&stage.mira, &tickets[2].0).await.expect(409);
    let path = format!("/tickets/{}/transfers", tickets[2].0);
    let offer = stage.mira.client.post(&path, json!({"to_id": vera.id}));
    offer.await.expect(409);
    refund(&stage.olga, &tickets[2].0).await.expect(201);
    assert_eq!(result(&stage, &lounge, &tickets[2].1, "exit").await, "ok");
    assert_eq!(enter(&tickets[2].1).await, "refunded");
    assert_eq!(figures(&stage, &lounge).await, (2, 2, 1));
    stage.sound().await;
    let text = format!(
        "set session_replication_role = replica; update app.tickets set state = 'void' where id = '{}'",
        tickets[3].0
    );
    run(&stage, text).await.expect("void");
    assert_eq!(enter(&tickets[3].1).await, "void");
}

#[tokio::test]
async fn od3_scans_of_scanners_without_a_connection_count_once() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 3).await;
    let way = json!({"counts_exits": true, "all_ticket_types": false});
    let gate = checkpoint(&stage, "Gate", way).await;
    let named = json!({"checkpoint_id": gate, "ticket_type_id": kind, "event_id": stage.event});
    let named = stage.olga.client.post("/checkpoint-ticket-types", named);
    let named = named.await.expect(201).id();
    let begun = chrono::Utc::now() - chrono::TimeDelta::minutes(55);
    let at = |minute: i64| begun + chrono::TimeDelta::minutes(minute);
    let late = |ticket: usize, minute: i64, nonce: &str, more: Value| {
        let mut scan = json!({"code": tickets[ticket].1, "nonce": nonce, "device": "Scanner 3",
            "at": at(minute).to_rfc3339()});
        let more = more.as_object().expect("an object").clone();
        scan.as_object_mut().expect("an object").extend(more);
        scan
    };
    let results = async |scans: Value| {
        let batch = json!({"event_id": stage.event, "checkpoint_id": gate, "scans": scans});
        // Sending the batch again changes nothing and gets the same answers.
        let sent = || stage.olga.client.post("/check-ins/batch", batch.clone());
        let (first, again) = (sent().await.expect(200), sent().await.expect(200));
        assert_eq!(first.json, again.json);
        let data = first.json["data"].as_array().expect("answers").clone();
        let told = |answer: &Value| [&answer["result"], &answer["overruled"]].map(Value::clone);
        data.iter().map(told).collect::<Vec<_>>()
    };
    let no = Value::Null;
    let told = results(json!([
        late(0, 30, "nonce-exit-0", json!({"direction": "exit"})),
        late(0, 10, "nonce-entry-0", json!({})),
        late(1, 11, "nonce-entry-1", json!({})),
        late(1, 12, "nonce-twice-1", json!({})),
    ]))
    .await;
    assert_eq!(
        told,
        [
            [json!("ok"), no.clone()],
            [json!("ok"), no.clone()],
            [json!("ok"), no.clone()],
            [json!("already_used"), no.clone()],
        ]
    );
    assert_eq!(figures(&stage, &gate).await, (2, 2, 1));
    let mut conn = stage.server.superuser().await;
    let times: (String, String) = sqlx::query_as(
        "select to_char(entered_at at time zone 'UTC', 'HH24:MI'), to_char(left_at at time zone 'UTC', 'HH24:MI')
         from app.checkpoint_entries where ticket_id = $1::text::uuid",
    )
    .bind(&tickets[0].0)
    .fetch_one(&mut conn)
    .await
    .expect("an entry");
    let clock = |minute: i64| at(minute).format("%H:%M").to_string();
    assert_eq!(times, (clock(10), clock(30)));

    // The type is no longer admitted. A forced entry is still counted, and only once while inside.
    let path = format!("/checkpoint-ticket-types/{named}");
    stage.olga.client.delete(&path).await.expect(204);
    let force = json!({"force": true});
    let told = results(json!([
        late(0, 40, "nonce-again-0", force.clone()),
        late(1, 41, "nonce-again-1", force.clone()),
        late(2, 42, "nonce-plain-2", json!({})),
        late(2, 43, "nonce-force-2", force.clone()),
        json!({"code": "no code of ours", "nonce": "nonce-forged", "at": at(44).to_rfc3339(), "force": true}),
    ]))
    .await;
    assert_eq!(
        told,
        [
            [json!("ok"), json!("wrong_ticket_type")],
            [json!("wrong_ticket_type"), no.clone()],
            [json!("wrong_ticket_type"), no.clone()],
            [json!("ok"), json!("wrong_ticket_type")],
            [json!("forged"), no.clone()],
        ]
    );
    assert_eq!(figures(&stage, &gate).await, (3, 4, 3));
    // The same nonce at another checkpoint is another scan.
    let bar = checkpoint(&stage, "Bar", json!({})).await;
    let scans = json!([late(0, 10, "nonce-entry-0", json!({}))]);
    let batch = json!({"event_id": stage.event, "checkpoint_id": bar, "scans": scans});
    let told = stage.olga.client.post("/check-ins/batch", batch).await;
    let told = told.expect(200).json;
    assert_eq!(told["data"][0]["result"], "nonce_used");
    stage.sound().await;
}

/// A guest who is inside a checkpoint has entered, so a dispute doesn't void that ticket.
#[tokio::test]
async fn od3_a_lost_dispute_voids_no_ticket_that_somebody_has_come_in_with() {
    let stage = Stage::new().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    let card = stage.saved(&stage.mira, "4242424242424242").await;
    let order = stage.bought_by_card(&stage.mira, &card, &[(kind, 2)]).await;
    let tickets = stage.tickets_of(&order).await;
    let lounge = checkpoint(&stage, "Lounge", json!({})).await;
    let used = code(&stage.mira, &tickets[0]).await;
    assert_eq!(result(&stage, &lounge, &used, "entry").await, "ok");
    let dispute = stage.disputed(&order).await;
    stage.decided(&dispute, false).await;
    let mut states = Vec::new();
    for ticket in &tickets {
        let path = format!("/tickets/{ticket}");
        let shown = stage.mira.client.get(&path).await.expect(200).json;
        states.push(shown["state"].as_str().expect("a state").to_owned());
    }
    assert_eq!(states, ["valid", "void"]);
    assert_eq!(figures(&stage, &lounge).await, (1, 1, 1));
    stage.sound().await;
}

/// An exit that is uploaded late, made before the current stay began, ends an earlier stay.
#[tokio::test]
async fn od3_a_late_exit_does_not_end_the_next_stay_and_late_scans_say_when() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 10).await;
    let (_, tickets) = bought(&stage, kind, 1).await;
    let code = &tickets[0].1;
    let both = json!({"counts_exits": true, "allows_reentry": true});
    let bar = checkpoint(&stage, "Bar", both).await;
    let batch = |at: Option<&str>, direction: &str| {
        let mut scan = json!({"code": code, "nonce": Uuid::now_v7(), "direction": direction});
        if let Some(at) = at {
            scan["at"] = json!(at);
        }
        json!({"event_id": stage.event, "checkpoint_id": bar, "scans": [scan]})
    };
    let scanned = async |minutes_ago: i64, direction: &str| {
        let at = (Utc::now() - TimeDelta::minutes(minutes_ago)).to_rfc3339();
        let body = batch(Some(&at), direction);
        let told = stage.olga.client.post("/check-ins/batch", body).await;
        told.expect(200).json["data"][0]["result"].clone()
    };
    assert_eq!(scanned(5, "entry").await, "ok");
    // As if the ticket had been shown long before this stay: a code counts from an hour before it was made.
    let later = "update app.checkpoint_entries set entered_at = entered_at + interval '40 minutes'";
    stage.run(later).await;
    assert_eq!(scanned(50, "exit").await, "not_inside");
    assert_eq!(scanned(0, "exit").await, "ok");
    let path = format!("/checkpoints/{bar}");
    stage.olga.client.delete(&path).await.expect(204);
    let late = batch(None, "entry");
    let refused = stage.olga.client.post("/check-ins/batch", late).await;
    refused.expect(422);
    assert_eq!(scanned(1, "entry").await, "ok");
}
