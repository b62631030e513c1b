//! Attendee lists and the CSV file, for those who run the event.

use super::stage::Stage;
use crate::support::Member;
use serde_json::Value;
use sqlx::AssertSqlSafe;

async fn run(stage: &Stage, text: String) {
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .expect("done");
}

async fn list(stage: &Stage, by: &Member, query: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/events/{}/attendees?limit=2{query}{cursor}", stage.event);
        let page = by.client.get(&path).await.expect(200).json;
        rows.extend(page["data"].as_array().expect("rows").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

#[tokio::test]
async fn od2_who_comes_is_told_to_those_who_run_the_event() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("=Seat", 0, 50).await;
    let box_ = stage.tickets("Box", 0, 50).await;
    let ada = stage.server.member("ada_attends").await;
    let bob = stage.server.member("bob_attends").await;
    let eve = stage.server.member("eve_hides").await;
    let mut tickets = Vec::new();
    for (who, kind, count) in [(&ada, seat, 2), (&bob, box_, 1), (&eve, seat, 1)] {
        let order = stage.order(who, &[(kind, count)], false).await.expect(201);
        tickets.push(
            order.json["ticket_ids"][0]
                .as_str()
                .expect("an id")
                .to_owned(),
        );
    }
    run(
        &stage,
        format!(
            "update app.users set display_name = '=1+1, \"Ada\"' where id = '{}';
             update app.users set is_public = false where id = '{}';
             update app.users set display_name = 'Renée Ünal' where id = '{}'",
            ada.id, eve.id, bob.id
        ),
    )
    .await;
    let shown = bob.client.get(&format!("/tickets/{}", tickets[1])).await;
    let scan = serde_json::json!({"code": shown.json["code"], "event_id": stage.event, "nonce": "attendees-1", "gate": "+North"});
    stage.olga.client.post("/check-ins", scan).await.expect(200);

    let all = list(&stage, &stage.olga, "").await;
    assert_eq!(all.len(), 4);
    assert_eq!(all[0]["object"], "attendee");
    for (query, count) in [
        ("&name=ada", 2),
        ("&name=ATTENDS", 3),
        ("&name=hides", 0),
        // However the staff can type it.
        ("&name=renee%20u", 1),
        ("&name=RENE%CC%81E", 1),
        ("&name=%25", 0),
        ("&state=checked_in", 1),
        (&format!("&ticket_type_id={seat}"), 3),
        (&format!("&ticket_type_id={seat}&name=bob"), 0),
    ] {
        assert_eq!(
            list(&stage, &stage.olga, query).await.len(),
            count,
            "{query}"
        );
    }
    // The ticket of a private member is listed without the member's name.
    let hidden = all
        .iter()
        .find(|row| row["holder_id"] == serde_json::json!(eve.id))
        .expect("a row");
    assert_eq!(
        (&hidden["handle"], &hidden["display_name"]),
        (&Value::Null, &Value::Null)
    );

    let path = format!("/events/{}/attendees", stage.event);
    for query in ["?state=lost", "?nothing=1", "?name="] {
        let path = format!("{path}{query}");
        stage.olga.client.get(&path).await.expect(422);
    }
    for path in [path.clone(), format!("{path}.csv")] {
        ada.client.get(&path).await.expect(403);
        stage.server.client.get(&path).await.expect(401);
        let nowhere = path.replace(&stage.event.to_string(), &ada.id.to_string());
        stage.olga.client.get(&nowhere).await.expect(404);
    }

    let file = stage
        .olga
        .client
        .get(&format!("{path}.csv"))
        .await
        .expect(200);
    assert_eq!(file.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    assert!(
        file.text
            .trim_start_matches('\u{feff}')
            .starts_with("ticket_id,order_id,ticket_type,state,")
    );
    assert!(!file.text.contains("+00:00"), "{}", file.text);
    assert_eq!(file.text.lines().count(), 5, "{}", file.text);
    assert!(
        file.text.contains(",\"'=1+1, \"\"Ada\"\"\","),
        "{}",
        file.text
    );
    assert!(file.text.contains(",'=Seat,"), "{}", file.text);
    assert!(file.text.contains(",'+North\r\n"), "{}", file.text);
    assert!(!file.text.contains("eve_hides"), "{}", file.text);
}

/// Inserts this many more orders of Mira's, with 500 tickets each, without running triggers.
async fn fill(stage: &Stage, orders: i32) {
    let kind = stage.tickets("Seat", 0, 10_000).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    run(
        stage,
        format!(
            "set session_replication_role = replica;
             insert into app.orders (id, user_id, event_id, amount_cents, currency, state, idempotency_key)
             select gen_random_uuid(), o.user_id, o.event_id, 0, o.currency, 'paid', 'the order of a long file ' || n
             from app.orders o, generate_series(1, {orders}) n where o.id = '{order}';
             insert into app.tickets (order_id, event_id, holder_id, buyer_id, currency, ticket_type_id, code, position)
             select o.id, o.event_id, o.user_id, o.user_id, o.currency, '{kind}', 'a long file and its code ' || o.id || n, n
             from app.orders o, generate_series(1, 500) n where o.idempotency_key like 'the order of a long file %';
             update app.tickets set state = 'void' where order_id = '{order}'"
        ),
    )
    .await;
}

#[tokio::test]
async fn od2_a_long_file_has_every_ticket_once() {
    let stage = Stage::without_provider().await;
    // More rows than are read at once, and one more than a multiple of that.
    fill(&stage, 3).await;
    let path = format!("/events/{}/attendees.csv", stage.event);
    let file = stage.olga.client.get(&path).await.expect(200);
    // The response has no content length, since it isn't known at the beginning.
    assert_eq!(file.header("content-length"), None);
    let mut ids: Vec<&str> = file.text.lines().skip(1).map(|line| &line[..36]).collect();
    assert_eq!(ids.len(), 1501);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1501);
}

/// The file is larger than the network buffers for a client that doesn't read. Rows that the client hasn't fetched are
/// not read from the database yet, so they are not sent to a caller who loses access meanwhile.
#[tokio::test]
async fn od2_a_file_is_read_as_it_is_fetched_and_ends_with_the_right_to_it() {
    const ORDERS: i32 = 160;
    let stage = Stage::without_provider().await;
    fill(&stage, ORDERS).await;
    let path = format!("/events/{}/attendees.csv", stage.event);
    let url = format!("{}{path}", stage.server.client.base());
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client");
    let begin = http.get(url).bearer_auth(&stage.olga.token).send();
    let mut file = begin.await.expect("an answer");
    assert_eq!(file.status(), 200);
    let mut lines = 0;
    let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
    lines += count(&file.chunk().await.expect("a piece").expect("bytes"));
    run(
        &stage,
        format!(
            "set session_replication_role = replica;
             update app.role_assignments set status = 'archived' where user_id = '{}'",
            stage.olga.id
        ),
    )
    .await;
    let broken = loop {
        match file.chunk().await {
            Ok(Some(bytes)) => lines += count(&bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    let all = ORDERS as usize * 500;
    assert!(broken && lines < all, "{lines} of {all}");
}
