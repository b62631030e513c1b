//! OD2: attendee lists of changes since a time: in the order of the changes, with nothing left out.

use super::stage::{Stage, keyed};
use crate::support::{Database, database::Content};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// All pages (of two rows) of a list, which must all be as of the same moment.
async fn attendees(stage: &Stage, query: &str) -> (Vec<Value>, String) {
    let first = format!("/events/{}/attendees?limit=2{query}", stage.event);
    let (mut rows, mut path, mut as_of) = (Vec::new(), first.clone(), None);
    loop {
        let page = stage.olga.client.get(&path).await.expect(200).json;
        rows.extend(page["data"].as_array().expect("rows").clone());
        let told = page["as_of"].as_str().expect("a time").to_owned();
        assert_eq!(as_of.get_or_insert(told.clone()), &told);
        match page["next_cursor"].as_str() {
            Some(next) => path = format!("{first}&cursor={next}"),
            None => return (rows, told),
        }
    }
}

async fn changed(stage: &Stage, since: &str, query: &str) -> Vec<String> {
    let (rows, _) = attendees(stage, &format!("&changed_since={since}{query}")).await;
    let time = |row: &Value| row["changed_at"].as_str().expect("a time").parse();
    let times: Vec<DateTime<Utc>> = rows.iter().map(|row| time(row).expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let id = |row: &Value| row["ticket_id"].as_str().expect("an id").to_owned();
    rows.iter().map(id).collect()
}

/// An order of Mira's with this many tickets, last changed a day ago, in the order of their ids.
async fn bought(stage: &Stage, quantity: i32) -> (String, Vec<String>) {
    let kind = stage.tickets("Seat", 0, 50).await;
    let order = stage.order(&stage.mira, &[(kind, quantity)], false).await;
    let order = order.expect(201).id();
    let mut conn = stage.server.superuser().await;
    run(
        &mut conn,
        "update app.tickets set updated_at = now() - interval '1 day'",
    )
    .await;
    let ids = sqlx::query_scalar(
        "select id::text from app.tickets where order_id = $1::text::uuid order by id",
    )
    .bind(&order)
    .fetch_all(&mut conn)
    .await
    .expect("tickets");
    (order, ids)
}

#[tokio::test]
async fn od2_changed_since_tells_changes_in_their_order() {
    let stage = Stage::without_provider().await;
    let vera = stage.server.member("vera_changes").await;
    let (order, tickets) = bought(&stage, 6).await;
    let (all, as_of) = attendees(&stage, "").await;
    assert_eq!(all.len(), 6);
    assert_eq!(changed(&stage, &as_of, "").await, Vec::<String>::new());

    // Checked in, refunded and transferred, in another order than that of the ids.
    let shown = format!("/tickets/{}", tickets[4]);
    let shown = stage.mira.client.get(&shown).await.expect(200).json;
    let scan = json!({"code": shown["code"], "event_id": stage.event, "nonce": "changes-1"});
    stage.olga.client.post("/check-ins", scan).await.expect(200);
    let back = json!({"ticket_ids": [tickets[1]]});
    keyed(&stage.mira, &format!("/orders/{order}/refunds"), back)
        .await
        .expect(201);
    let offer = format!("/tickets/{}/transfers", tickets[3]);
    let offer = stage.mira.client.post(&offer, json!({"to_id": vera.id}));
    let offer = offer.await.expect(201).id();
    let accept = format!("/ticket-transfers/{offer}/accept");
    vera.client.act(&accept).await.expect(200);

    let told = [4, 1, 3].map(|n| tickets[n].clone());
    assert_eq!(changed(&stage, &as_of, "").await, told);
    assert_eq!(
        changed(&stage, &as_of, "&state=valid").await,
        [told[2].clone()]
    );
    let (all, next) = attendees(&stage, "").await;
    assert_eq!(all.len(), 6);
    assert!(next >= as_of);

    // A cursor is only valid for the query that it was made for.
    let path = format!(
        "/events/{}/attendees?limit=1&changed_since={as_of}",
        stage.event
    );
    let page = stage.olga.client.get(&path).await.expect(200).json;
    let cursor = page["next_cursor"].as_str().expect("more");
    let other = format!("/events/{}/attendees?limit=1&cursor={cursor}", stage.event);
    stage.olga.client.get(&other).await.expect(400);
    let wrong = format!("/events/{}/attendees?changed_since=yesterday", stage.event);
    stage.olga.client.get(&wrong).await.expect(422);
}

/// A transaction began before the list was read and ends after it, so the time of its change is before that of the
/// answer.
#[tokio::test]
async fn od2_changed_since_loses_nothing_that_commits_late() {
    let stage = Stage::without_provider().await;
    let (_, tickets) = bought(&stage, 3).await;
    let mut late = stage.server.database.job_role().await;
    run(
        &mut late,
        "begin; select sec.enter_job('tickets', null, null, gen_random_uuid())",
    )
    .await;
    let change = format!(
        "update app.tickets set secret_version = secret_version + 1 where id = '{}'",
        tickets[1]
    );
    run(&mut late, &change).await;

    let mut lists = Vec::new();
    for path in ["attendees", "check-in-list", "revoked-codes"] {
        let path = format!("/events/{}/{path}", stage.event);
        let page = stage.olga.client.get(&path).await.expect(200).json;
        let as_of = page["as_of"].as_str().expect("a time").to_owned();
        lists.push((path, as_of));
    }
    let mut conn = stage.server.superuser().await;
    let answered: DateTime<Utc> = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(&mut conn)
        .await
        .expect("a time");
    run(&mut late, "commit").await;

    for (path, as_of) in lists {
        let told = async |since: &str| {
            let path = format!("{path}?changed_since={since}");
            let page = stage.olga.client.get(&path).await.expect(200).json;
            let rows = page["data"].as_array().expect("rows").clone();
            let ids = rows.iter().map(|row| row["ticket_id"].clone());
            ids.collect::<Vec<Value>>()
        };
        assert_eq!(told(&as_of).await, [json!(tickets[1])], "{path}");
        // The negative control: a query since the time of the answer would miss the change.
        let answered = answered.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(told(&answered).await, Vec::<Value>::new(), "{path}");
    }
}

/// However long a transaction of a module runs, the returned time is before its beginning.
#[tokio::test]
async fn od2_changed_since_waits_for_the_oldest_that_is_at_work() {
    let database = Database::new(Content::Empty).await;
    let mut late = database.job_role().await;
    run(&mut late, "begin").await;
    let began: DateTime<Utc> = sqlx::query_scalar("select now()")
        .fetch_one(&mut late)
        .await
        .expect("a time");
    let mut reader = database.job_role().await;
    let mut until = async || -> (DateTime<Utc>, DateTime<Utc>) {
        // Without overlap, so that only the other transaction holds the time back.
        sqlx::query_as("select app.changes_told_until('0 seconds'), now()")
            .fetch_one(&mut reader)
            .await
            .expect("times")
    };
    let (told, now) = until().await;
    assert_eq!(told, began);
    assert!(now > began);
    run(&mut late, "rollback").await;
    let (told, now) = until().await;
    assert_eq!(told, now);
}
