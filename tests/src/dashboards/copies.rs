//! `POST /events/{id}/copy`.

use crate::money::stage::{Stage, keyed, keyed_by};
use serde_json::{Value, json};

#[tokio::test]
async fn od6_a_copy_is_a_draft_at_another_time_without_what_was_sold() {
    let stage = Stage::without_provider().await;
    let more = json!({"sales_start": "2041-04-01T10:00:00Z", "description": "In front", "waitlist_minutes": 60});
    let seat = stage.tickets_with("Seat", 2_500, 30, more).await;
    stage.tickets("Free", 0, 10).await;
    let gone = stage.tickets("Gone", 0, 10).await;
    stage
        .olga
        .client
        .delete(&format!("/ticket-types/{gone}"))
        .await
        .expect(204);
    keyed(&stage.mira, "/orders", stage.cart(&[(seat, 2)], false)).await;
    let path = format!("/events/{}/copy", stage.event);
    let body = json!({"starts_at": "2041-06-01T18:30:00Z"});
    let copied = stage
        .olga
        .client
        .post(&path, body.clone())
        .await
        .expect(201);
    let id = copied.id();
    let read = async |path: String| stage.olga.client.get(&path).await.expect(200).json;
    let (original, copy) = (
        read(format!("/events/{}", stage.event)).await,
        read(format!("/events/{id}")).await,
    );
    for field in [
        "title",
        "description",
        "category",
        "timezone",
        "online_url",
        "visibility",
        "host_id",
        "city_id",
        "venue_id",
        "capacity",
    ] {
        assert_eq!(copy[field], original[field], "{field}");
    }
    assert_ne!(copy["slug"], original["slug"]);
    for (field, expected) in [
        ("state", json!("draft")),
        ("starts_at", json!("2041-06-01T18:30:00Z")),
        ("ends_at", json!("2041-06-01T20:30:00Z")),
        ("ticket_count", json!(0)),
        ("like_count", json!(0)),
    ] {
        assert_eq!(copy[field], expected, "{field}");
    }
    let types = read(format!("/events/{id}/ticket-types?sort=name")).await;
    let types: Vec<&Value> = types["data"].as_array().expect("types").iter().collect();
    let names: Vec<&str> = types
        .iter()
        .map(|kind| kind["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["Free", "Seat"]);
    let seat = types[1];
    for (field, expected) in [
        ("price_cents", json!(2_500)),
        ("capacity", json!(30)),
        ("sold", json!(0)),
        ("held", json!(0)),
        ("per_user_limit", json!(100)),
        ("waitlist_minutes", json!(60)),
        ("description", json!("In front")),
        // 31 days and half an hour later.
        ("sales_start", json!("2041-05-02T10:30:00Z")),
        ("refundable_until", json!("2041-05-31T18:30:00Z")),
    ] {
        assert_eq!(seat[field], expected, "{field}");
    }
    let body = json!({"starts_at": "2041-06-01T18:30:00Z", "ends_at": "2041-06-02T00:00:00Z", "title": "Once more"});
    let copied = stage.olga.client.post(&path, body).await.expect(201).json;
    assert_eq!(
        (&copied["title"], &copied["ends_at"]),
        (&json!("Once more"), &json!("2041-06-02T00:00:00Z"))
    );
}

#[tokio::test]
async fn od6_whoever_may_create_events_of_the_host_may_copy_one() {
    let stage = Stage::without_provider().await;
    let path = format!("/events/{}/copy", stage.event);
    let body = json!({"starts_at": "2041-06-01T18:30:00Z"});
    stage
        .server
        .client
        .post(&path, body.clone())
        .await
        .expect(401);
    stage
        .mira
        .client
        .post(&path, body.clone())
        .await
        .expect(403);
    let nowhere = format!("/events/{}/copy", stage.mira.id);
    stage
        .olga
        .client
        .post(&nowhere, body.clone())
        .await
        .expect(404);
    let olga = &stage.olga.client;
    for wrong in [
        json!({}),
        json!({"starts_at": "2041-06-01T18:30:00Z", "ends_at": "2041-06-01T18:00:00Z"}),
        json!({"starts_at": "2041-06-01T18:30:00Z", "title": "two\nlines"}),
        json!({"starts_at": "2041-06-01T18:30:00Z", "state": "published"}),
    ] {
        olga.post(&path, wrong.clone()).await.expect(422);
    }
    // Refused requests have created nothing.
    let events: i64 =
        sqlx::query_scalar("select count(*) from app.events where title = 'A full house'")
            .fetch_one(&mut stage.server.superuser().await)
            .await
            .expect("a count");
    assert_eq!(events, 1);
}

/// The checkpoints of an event: name, whether all types are admitted, and the names of those that are.
async fn checkpoints(stage: &Stage, event: &str) -> Vec<(String, bool, Vec<String>)> {
    sqlx::query_as(
        "select c.name, c.all_ticket_types and not c.counts_exits and not c.allows_reentry, array(
             select t.name from app.checkpoint_ticket_types x join app.ticket_types t on t.id = x.ticket_type_id
             where x.checkpoint_id = c.id and x.event_id = c.event_id and t.event_id = c.event_id order by 1)
         from app.checkpoints c where c.event_id = $1::text::uuid order by 1",
    )
    .bind(event)
    .fetch_all(&mut stage.server.superuser().await)
    .await
    .expect("checkpoints")
}

#[tokio::test]
async fn od3_od6_a_copy_has_the_checkpoints_of_the_original() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 2_500, 30).await;
    let lounge = stage.tickets("Lounge", 9_500, 30).await;
    stage.tickets("Free", 0, 10).await;
    let olga = &stage.olga.client;
    let event = stage.event;
    for (name, all, kinds) in [
        ("Lounge", false, vec![lounge]),
        ("Second day", true, vec![]),
        ("Stage", false, vec![seat, lounge]),
        ("Taken down", true, vec![]),
    ] {
        let body = json!({"event_id": event, "name": name, "all_ticket_types": all, "counts_exits": !all, "allows_reentry": !all});
        let made = olga.post("/checkpoints", body).await.expect(201).id();
        for kind in kinds {
            let body = json!({"event_id": event, "checkpoint_id": made, "ticket_type_id": kind});
            olga.post("/checkpoint-ticket-types", body)
                .await
                .expect(201);
        }
        if name == "Taken down" {
            olga.delete(&format!("/checkpoints/{made}"))
                .await
                .expect(204);
        }
    }
    let expected = [
        ("Lounge".to_owned(), false, vec!["Lounge".to_owned()]),
        ("Second day".to_owned(), true, vec![]),
        (
            "Stage".to_owned(),
            false,
            vec!["Lounge".to_owned(), "Seat".to_owned()],
        ),
    ];
    let path = format!("/events/{event}/copy");
    let body = json!({"starts_at": "2041-06-01T18:30:00Z"});
    let copied = keyed(&stage.olga, &path, body.clone()).await.expect(201);
    assert_eq!(checkpoints(&stage, &copied.id()).await, expected);
    // Those who run the copy see them; they were created by the member who copied it.
    let list = format!("/checkpoints?event_id={}", copied.id());
    let seen = olga.get(&list).await.expect(200).json;
    assert_eq!(seen["data"].as_array().map(Vec::len), Some(3));
    let by = "select count(*) from audit.audit_logs a join app.checkpoints c on c.id = a.entity_id
              where a.entity_type = 'checkpoint' and a.performed_by = '{olga}' and c.event_id = '{copy}'";
    let by = by.replace("{olga}", &stage.olga.id.to_string());
    let by = by.replace("{copy}", &copied.id());
    assert_eq!(stage.number(&by).await, 3);

    // If the request was interrupted between the draft and its checkpoints, repeating it creates what is missing,
    // once.
    let copies = "select count(*) from app.events where title = 'A full house'";
    let before = stage.number(copies).await;
    stage
        .run(
            "create function app.refuse_checkpoints() returns trigger language plpgsql as 'begin raise exception ''cut off''; end';
             create trigger refused before insert on app.checkpoints for each row execute function app.refuse_checkpoints()",
        )
        .await;
    let key = "the-copy-that-was-cut-off";
    keyed_by(&stage.olga, &path, key, body.clone())
        .await
        .expect(500);
    stage
        .run("drop trigger refused on app.checkpoints; drop function app.refuse_checkpoints()")
        .await;
    let again = keyed_by(&stage.olga, &path, key, body).await.expect(201);
    assert_eq!(checkpoints(&stage, &again.id()).await, expected);
    assert_eq!(stage.number(copies).await, before + 1);
    // The original's checkpoints stay unchanged.
    assert_eq!(checkpoints(&stage, &event.to_string()).await.len(), 4);
}

/// What the city or the platform has suspended is not made again under another id, and neither is anything sold, offered
/// or announced for it. Each operation is tried on the event before, as the control.
#[tokio::test]
async fn od6_nothing_new_is_made_of_a_suspended_event() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 50).await;
    let order = stage.order(&stage.mira, &[(free, 2)], true).await;
    let order = order.expect(201).json;
    let tickets = [&order["ticket_ids"][0], &order["ticket_ids"][1]].map(|id| {
        let id = id.as_str().expect("an id");
        format!("/tickets/{id}/transfers")
    });
    let copy = format!("/events/{}/copy", stage.event);
    let later = json!({"starts_at": "2041-06-01T18:30:00Z"});
    let cart = stage.cart(&[(free, 1)], true);
    let to = json!({"to_id": stage.olga.id});
    let tries = async |at: usize| {
        [
            ("copy", keyed(&stage.olga, &copy, later.clone()).await),
            ("order", keyed(&stage.mira, "/orders", cart.clone()).await),
            (
                "transfer",
                stage.mira.client.post(&tickets[at], to.clone()).await,
            ),
        ]
    };
    for (name, answer) in tries(0).await {
        assert_eq!(answer.status, 201, "{name}: {}", answer.text);
    }
    let count = "select (select count(*) from app.events) + (select count(*) from app.orders)
                 + (select count(*) from app.ticket_transfers)";
    let suspend = format!(
        "update app.events set status = 'suspended' where id = '{}'",
        stage.event
    );
    stage.run(&suspend).await;
    let before = stage.number(count).await;
    for (name, answer) in tries(1).await {
        assert!(
            matches!(answer.status.as_u16(), 404 | 409 | 422),
            "{name}: {} {}",
            answer.status,
            answer.text
        );
    }
    assert_eq!(stage.number(count).await, before);
    let refused = keyed(&stage.olga, &copy, later.clone()).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    let back = format!(
        "update app.events set status = 'active' where id = '{}'",
        stage.event
    );
    stage.run(&back).await;
    keyed(&stage.olga, &copy, later).await.expect(201);
}
