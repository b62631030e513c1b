//! `GET /audit-logs`: platform administrators find who did what; others find nothing.

use super::people::{personas, server};
use crate::support::{Answer, Client};
use serde_json::{Value, json};
use uuid::Uuid;

fn ids(answer: &Answer) -> Vec<i64> {
    let entries = answer.json["data"].as_array().expect("entries");
    entries
        .iter()
        .map(|entry| entry["id"].as_i64().expect("a number"))
        .collect()
}

/// The ids on all pages of two entries each.
async fn walk(client: &Client, path: &str) -> Vec<i64> {
    let mut found = Vec::new();
    let mut next = format!("{path}&limit=2");
    loop {
        let page = client.get(&next).await.expect(200);
        found.extend(ids(&page));
        match page.json["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}&limit=2&cursor={cursor}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn a1_a_change_is_found_with_who_did_it_and_in_which_request() {
    let server = server().await;
    let people = personas(&server).await;
    let by = |name: &str| people.iter().find(|p| p.name == name).expect("a person");
    let (platform, member) = (by("platform"), by("member"));
    let me = member.me.expect("a member");

    let path = format!("/users/{me}");
    let before = member.client.get(&path).await.expect(200);
    let change = json!({"bio": "Likes lanterns"});
    let changed = member.client.patch(&path, &before.etag(), change).await;
    let changed = changed.expect(200);

    let asked = format!("/audit-logs?entity_type=user&entity_id={me}");
    let log = platform.client.get(&asked).await.expect(200);
    assert_eq!(log.header("cache-control"), Some("no-store"));
    let entry = &log.json["data"][0];
    assert_eq!(entry["action"], "update");
    assert_eq!(entry["performed_by"], json!(me));
    assert_eq!(
        entry["request_id"].as_str(),
        changed.header("x-request-id"),
        "the answer names the request"
    );
    assert_eq!(
        entry["changed"],
        json!({"bio": [before.json["bio"], "Likes lanterns"]})
    );
    let others = platform
        .client
        .get(&format!("/audit-logs?performed_by={me}&entity_type=venue"))
        .await
        .expect(200);
    assert!(!ids(&others).contains(&entry["id"].as_i64().expect("a number")));
}

/// For a creation, the log stores only the new values; the answer also has the previous values, which are null.
#[tokio::test]
async fn of_what_is_made_there_was_nothing_before() {
    let server = server().await;
    let people = personas(&server).await;
    let by = |name: &str| people.iter().find(|p| p.name == name).expect("a person");
    let (platform, member) = (by("platform"), by("member"));
    let text = "select e.id from app.events_public e where not exists (
        select from app.likes l where l.event_id = e.id and l.user_id = $1) limit 1";
    let event: Uuid = sqlx::query_scalar(text)
        .bind(member.me)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("an event");
    let like = member
        .client
        .post("/likes", json!({"event_id": event}))
        .await;
    let asked = format!("/audit-logs?entity_id={}", like.expect(201).id());
    let log = platform.client.get(&asked).await.expect(200);
    assert_eq!(
        log.json["data"][0]["changed"],
        json!({"event_id": [null, event], "user_id": [null, member.me]})
    );
}

#[tokio::test]
async fn pages_end_and_leave_nothing_out() {
    let server = server().await;
    let people = personas(&server).await;
    let platform = &people
        .iter()
        .find(|p| p.name == "platform")
        .expect("one")
        .client;
    let path = "/audit-logs?entity_type=organization";
    let whole = ids(&platform.get(&format!("{path}&limit=100")).await.expect(200));
    assert!(whole.len() > 10 && whole.len() < 100, "{}", whole.len());
    assert!(whole.is_sorted_by(|a, b| a > b), "newest first");
    assert_eq!(walk(platform, path).await, whole);

    let page = platform.get(&format!("{path}&limit=2")).await.expect(200);
    let cursor = page.json["next_cursor"].as_str().expect("a cursor");
    for elsewhere in [
        format!("/audit-logs?cursor={cursor}"),
        format!("/audit-logs?entity_type=event&cursor={cursor}"),
        format!("/role-assignments?cursor={cursor}"),
    ] {
        let answer = platform.get(&elsewhere).await.expect(400);
        assert_eq!(answer.problem(), "invalid-cursor", "{elsewhere}");
    }
}

#[tokio::test]
async fn nobody_else_reads_it_or_learns_what_may_be_asked() {
    let server = server().await;
    for person in personas(&server).await {
        let expected = match person.class {
            "anonymous" => 401,
            "platformAdmin" => 422,
            _ => 403,
        };
        let answer = person
            .client
            .get("/audit-logs?nonsense=1&limit=0&entity_id=x")
            .await;
        let answer = answer.expect(expected);
        if expected == 422 {
            let wrong: Vec<&Value> = answer.json["errors"]
                .as_array()
                .expect("errors")
                .iter()
                .map(|error| &error["parameter"])
                .collect();
            assert_eq!(wrong, ["nonsense", "limit", "entity_id"]);
        }
    }
    // An administrator whose role is removed is refused in the next request.
    let people = personas(&server).await;
    let platform = people.iter().find(|p| p.name == "platform").expect("one");
    platform.client.get("/audit-logs").await.expect(200);
    // The last administrator can't be removed, so another is added.
    let another = server.member("another_platform").await;
    server.grant(&another, "platformAdmin", None).await;
    let mut conn = server.superuser().await;
    sqlx::query("update app.role_assignments set status = 'archived' where user_id = $1 and role = 'platformAdmin'")
        .bind(platform.me)
        .execute(&mut conn)
        .await
        .expect("archived");
    platform.client.get("/audit-logs").await.expect(403);
}
