//! Every creating route accepts an `Idempotency-Key`, or is listed here with the reason why it does not.

use crate::{
    money::stage::{Stage, keyed_by},
    support::{
        Member, document,
        pictures::{announcement, jpeg},
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Creating routes without a key, and why.
const WITHOUT: [(&str, &str); 1] = [(
    "/me/calendar-feed",
    "its answer is a secret that is kept nowhere, and there is one such address however often it is asked for",
)];

/// Hand-written routes with an optional key; the test below sends each request twice.
const OFFERED: [&str; 3] = [
    "/events/{id}/copy",
    "/media/uploads",
    "/tickets/{id}/transfers",
];

/// Operations that answer 201, with their documented parameters.
fn creating() -> Vec<(String, String)> {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document: Value = document.expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let posts = paths.iter().map(|(path, item)| (path, &item["post"]));
    posts
        .filter(|(_, post)| post["responses"].get("201").is_some())
        .map(|(path, post)| (path.clone(), post["parameters"].to_string()))
        .collect()
}

#[test]
fn every_post_that_creates_takes_a_key_or_says_why_not() {
    let creating = creating();
    assert!(creating.len() > 30, "{creating:?}");
    let takes = |parameters: &str| {
        parameters.contains("/IdempotencyKey") || parameters.contains("Idempotency-Key")
    };
    let without: BTreeSet<&str> = (creating.iter())
        .filter(|(_, parameters)| !takes(parameters))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(without, WITHOUT.map(|(path, _)| path).into());
    // The hand-written routes with an optional key are those that are tested here; generated creates share one
    // implementation, which is tested separately.
    let generated = &document()["paths"];
    let offered: BTreeSet<&str> = (creating.iter())
        .filter(|(path, parameters)| {
            takes(parameters)
                && !parameters.contains("IdempotencyKeyRequired")
                && generated[path]["post"].is_null()
        })
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(offered, OFFERED.into());
}

async fn count(stage: &Stage, text: &'static str) -> i64 {
    let mut conn = stage.server.superuser().await;
    let count = sqlx::query_scalar(text).fetch_one(&mut conn);
    count.await.expect("a count")
}

/// Sends a request twice: it is done once and answered the same; another body with the same key is refused. Returns
/// the key, and the id.
async fn once(
    stage: &Stage,
    by: &Member,
    (path, rows): (&str, &'static str),
    (body, other): (Value, Value),
) -> (String, String) {
    let before = count(stage, rows).await;
    let key = Uuid::now_v7().to_string();
    let first = keyed_by(by, path, &key, body.clone()).await.expect(201);
    assert_eq!(first.header("idempotent-replayed"), None, "{path}");
    let again = keyed_by(by, path, &key, body).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}");
    assert_eq!(again.text, first.text, "{path}");
    assert_eq!(again.header("location"), first.header("location"), "{path}");
    let reused = keyed_by(by, path, &key, other).await.expect(422);
    assert_eq!(reused.problem(), "idempotency-key-reused", "{path}");
    assert_eq!(count(stage, rows).await, before + 1, "{path}");
    (key, first.id())
}

/// Simulates a process that ended between its work and its answer.
async fn lose(stage: &Stage, route: &str) {
    let lost = sqlx::query(
        "update requests.keys set status = null, headers = null, body = null, locked_until = now() where route = $1",
    );
    let mut conn = stage.server.superuser().await;
    let lost = lost.bind(route).execute(&mut conn).await.expect("lost");
    assert_eq!(lost.rows_affected(), 1, "{route}");
}

const EVENTS: &str = "select count(*) from app.events";

#[tokio::test]
async fn what_hand_written_routes_create_is_created_once_by_a_key() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 20).await;
    let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
    let order = order.expect(201);
    let tickets = [0_usize, 1].map(|n| order.json["ticket_ids"][n].as_str().expect("a ticket"));
    let friend = stage.server.member("friend").await;

    let copy = format!("/events/{}/copy", stage.event);
    let at = |time: &str| json!({ "starts_at": time });
    let (first, second) = (at("2041-06-01T18:30:00Z"), at("2041-06-02T18:30:00Z"));
    let bodies = (first.clone(), second);
    let (key, made) = once(&stage, &stage.olga, (&copy, EVENTS), bodies).await;
    // The answer is lost after the draft was created: a retry returns that draft.
    lose(&stage, "/events/{id}/copy").await;
    let before = count(&stage, EVENTS).await;
    let again = keyed_by(&stage.olga, &copy, &key, first.clone()).await;
    assert_eq!(again.expect(201).id(), made);
    assert_eq!(count(&stage, EVENTS).await, before);
    // If the original has been changed meanwhile, the retry gets a conflict that is not the client's mistake.
    lose(&stage, "/events/{id}/copy").await;
    let changed = format!(
        "update app.events set description = 'Changed meanwhile' where id = '{}'",
        stage.event
    );
    stage.run(&changed).await;
    let again = keyed_by(&stage.olga, &copy, &key, first.clone()).await;
    assert_eq!(again.expect(409).problem(), "conflict");
    assert_eq!(count(&stage, EVENTS).await, before);

    let event = stage.event.to_string();
    let picture = |seed| announcement("event", &event, "image/jpeg", &jpeg(40, 30, seed));
    let uploads = ("/media/uploads", "select count(*) from app.media_uploads");
    let (key, made) = once(&stage, &stage.olga, uploads, (picture(1), picture(2))).await;
    // The same for the announcement of a picture: a retry returns the same upload.
    lose(&stage, "/media/uploads").await;
    let before = count(&stage, uploads.1).await;
    let again = keyed_by(&stage.olga, uploads.0, &key, picture(1)).await;
    assert_eq!(again.expect(201).id(), made);
    assert_eq!(count(&stage, uploads.1).await, before);

    let path = format!("/tickets/{}/transfers", tickets[0]);
    let transfers = (path.as_str(), "select count(*) from app.ticket_transfers");
    let (to, other) = (json!({"to_id": friend.id}), json!({"to_id": stage.olga.id}));
    once(&stage, &stage.mira, transfers, (to.clone(), other)).await;

    // Without a key each request creates an object, and an invalid key is refused.
    let before = count(&stage, EVENTS).await;
    for _ in 0..2 {
        let made = stage.olga.client.post(&copy, first.clone()).await;
        made.expect(201);
    }
    assert_eq!(count(&stage, EVENTS).await, before + 2);
    let path = format!("/tickets/{}/transfers", tickets[1]);
    super::send(&stage.server.client, &path, super::KEY, to)
        .await
        .expect(401);
}
