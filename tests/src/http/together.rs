//! Nested lists in a create request: everything is created or nothing, with the same effects as creating one by one.

use crate::support::{Answer, Member, TestServer, database::Content, model, resources, rows};
use axum::http::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

struct Stage {
    server: TestServer,
    olga: Member,
    host: Uuid,
    city: Uuid,
}

impl Stage {
    async fn new() -> Self {
        let server = TestServer::start_with(Content::Demo, |_| {}).await;
        let olga = server.sign_in(PEOPLE[2].id).await;
        let city = server.city("melbourne").await;
        let host = rows::host_of(&server, olga.id, city).await;
        Self {
            server,
            olga,
            host,
            city,
        }
    }

    fn event(&self, title: &str, ticket_types: Value) -> Value {
        json!({
            "title": title, "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
            "timezone": "Australia/Melbourne", "host_type": "organization", "host_id": self.host,
            "city_id": self.city, "ticket_types": ticket_types,
        })
    }

    async fn post(&self, body: Value) -> Answer {
        self.olga.client.post("/events", body).await
    }

    /// The numbers of rows in both tables, and of quota used by all members.
    async fn counts(&self) -> (i64, i64, i64) {
        let mut conn = self.server.superuser().await;
        let text =
            "select (select count(*) from app.events), (select count(*) from app.ticket_types),
            (select coalesce(sum(used), 0)::int8 from requests.quotas)";
        sqlx::query_as(text)
            .fetch_one(&mut conn)
            .await
            .expect("counts")
    }
}

fn ticket(name: &str) -> Value {
    json!({"name": name, "price_cents": 2500, "currency": "AUD", "capacity": 40})
}

/// The answer can be sent back but for the list: each of its objects has a version of its own, so that a changed one can't
/// be told from one that somebody else has changed since.
#[tokio::test]
async fn the_list_is_left_out_of_what_is_sent_back() {
    let stage = Stage::new().await;
    let body = stage.event("Sent back", json!([ticket("Seat")]));
    let made = stage.post(body).await.expect(201);
    let path = format!("/events/{}", made.id());
    for method in [Method::PUT, Method::PATCH] {
        let send = |body: Value| {
            let (client, path) = (stage.olga.client.clone(), path.clone());
            let method = method.clone();
            async move {
                let headers = [("if-match", "*")];
                client.send(method, &path, Some(body), &headers).await
            }
        };
        let refused = send(made.json.clone()).await.expect(422);
        assert_eq!(refused.pointers(), ["/ticket_types"], "{}", refused.text);
        let error = &refused.json["errors"][0];
        assert_eq!(error["code"], "read_only");
        assert!(
            error["detail"]
                .as_str()
                .unwrap_or("")
                .contains("leave it out")
        );
        let mut rest = made.json.clone();
        rest.as_object_mut().expect("one").remove("ticket_types");
        let kept = send(rest).await.expect(200);
        assert_eq!(kept.json["version"], made.json["version"]);
    }
}

#[tokio::test]
async fn an_event_comes_with_its_ticket_types() {
    let stage = Stage::new().await;
    let before = stage.counts().await;
    let names = ["Seat", "Standing", "Balcony"];
    let body = stage.event("A full house", json!(names.map(ticket)));
    let made = stage.post(body).await.expect(201);
    let after = stage.counts().await;
    assert_eq!(
        after,
        (before.0 + 1, before.1 + 3, before.2 + 4),
        "every created row must count for its quota"
    );

    // In the same form as on their own route, and in the order of the body.
    let shown = made.json["ticket_types"].as_array().expect("a list");
    assert_eq!(shown.len(), 3);
    for (shown, name) in shown.iter().zip(names) {
        assert_eq!(shown["name"], name);
        assert_eq!(shown["event_id"], made.json["id"]);
        let path = format!("/ticket-types/{}", shown["id"].as_str().expect("an id"));
        let mut alone = stage.olga.client.get(&path).await.expect(200).json;
        alone
            .as_object_mut()
            .expect("one")
            .remove("allowed_actions");
        assert_eq!(*shown, alone);
    }
    // The event is the same as in the answer of GET, with the same ETag.
    let event = format!("/events/{}", made.id());
    let alone = stage.olga.client.get(&event).await.expect(200);
    assert_eq!(alone.etag(), made.etag());
    let mut without = made.json.clone();
    without.as_object_mut().expect("one").remove("ticket_types");
    assert_eq!(without, alone.json);

    // Each row has its own entry in the audit log, with its author.
    let mut conn = stage.server.superuser().await;
    let lines: i64 = sqlx::query_scalar(
        "select count(*) from audit.audit_logs where action = 'create' and entity_type = 'ticket_type'
           and entity_id in (select id from app.ticket_types where event_id = $1::text::uuid)",
    )
    .bind(made.id())
    .fetch_one(&mut conn)
    .await
    .expect("lines");
    assert_eq!(lines, 3);

    // Without a list only the event is created.
    let plain = stage.post(stage.event("Nothing sold", json!([]))).await;
    assert!(plain.expect(201).json.get("ticket_types").is_none());
    // An optional list must not be null, like every property with a default.
    let null = stage.post(stage.event("Nothing", Value::Null)).await;
    assert_eq!(null.expect(422).pointers(), ["/ticket_types"]);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once_and_where() {
    let stage = Stage::new().await;
    let before = stage.counts().await;
    let mut wrong = ticket("");
    wrong["price_cents"] = json!(-1);
    wrong["sold"] = json!(3);
    let mut elsewhere = ticket("Seat");
    elsewhere["event_id"] = json!(Uuid::now_v7());
    let mut body = stage.event("", json!([wrong, elsewhere, 7, {}]));
    body["nonsense"] = json!(true);
    let answer = stage.post(body).await.expect(422);
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/nonsense",
            "/ticket_types/0/name",
            "/ticket_types/0/price_cents",
            "/ticket_types/0/sold",
            "/ticket_types/1/event_id",
            "/ticket_types/2",
            "/title",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain(
            ["capacity", "currency", "name", "price_cents"].map(|f| format!("/ticket_types/3/{f}"))
        )
        .collect::<std::collections::BTreeSet<_>>()
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
        "{}",
        answer.text
    );
    let many: Vec<Value> = (0..21).map(|n| ticket(&n.to_string())).collect();
    for (list, pointer) in [
        (json!(many), "/ticket_types"),
        (json!({}), "/ticket_types"),
        (json!("Seat"), "/ticket_types"),
    ] {
        let answer = stage.post(stage.event("A title", list)).await.expect(422);
        assert_eq!(answer.pointers(), [pointer], "{}", answer.text);
    }
    // A caller who may not create events does not learn about other errors.
    let nobody = stage.server.member("nobody").await;
    let body = stage.event("A title", json!([{"name": 1}]));
    nobody
        .client
        .post("/events", body.clone())
        .await
        .expect(403);
    stage.server.client.post("/events", body).await.expect(401);
    assert_eq!(stage.counts().await.0, before.0);
    assert_eq!(stage.counts().await.1, before.1);
}

#[tokio::test]
async fn what_the_database_refuses_leaves_nothing() {
    let stage = Stage::new().await;
    let before = stage.counts().await;
    // A duplicate name, and a reversed range: errors that only the statement finds, in one of several nested objects.
    let twice = json!([ticket("Seat"), ticket("Standing"), ticket("Seat")]);
    let answer = stage.post(stage.event("Twice", twice)).await.expect(409);
    assert_eq!(answer.problem(), "conflict");
    assert!(
        answer
            .pointers()
            .iter()
            .all(|p| p.starts_with("/ticket_types/2/")),
        "{}",
        answer.text
    );
    let mut backwards = ticket("Late");
    backwards["sales_start"] = json!("2041-04-02T00:00:00Z");
    backwards["sales_end"] = json!("2041-04-01T00:00:00Z");
    let list = json!([ticket("Seat"), backwards]);
    let answer = stage.post(stage.event("Backwards", list)).await.expect(422);
    assert!(
        answer
            .pointers()
            .iter()
            .all(|p| p.starts_with("/ticket_types/1")),
        "{}",
        answer.text
    );
    assert_eq!(stage.counts().await, before);

    // The quota of the nested entity.
    let (_, ticket_type) = model().entity("ticket_type").expect("an entity");
    let quota = ticket_type.quota.expect("a quota");
    let mut conn = stage.server.superuser().await;
    sqlx::query(
        "insert into requests.quotas (principal, entity, day, used)
         values ($1, 'ticket_type', (now() at time zone 'UTC')::date, $2)
         on conflict (principal, entity) do update set day = excluded.day, used = excluded.used",
    )
    .bind(stage.olga.id)
    .bind(i32::try_from(quota - 1).expect("small"))
    .execute(&mut conn)
    .await
    .expect("used");
    let before = stage.counts().await;
    let two = json!([ticket("Seat"), ticket("Standing")]);
    let answer = stage.post(stage.event("Too many", two)).await.expect(429);
    assert_eq!(answer.problem(), "quota-exceeded");
    assert_eq!(stage.counts().await, before);
    let one = json!([ticket("Seat")]);
    stage.post(stage.event("The last", one)).await.expect(201);
}

#[tokio::test]
async fn a_key_is_for_the_whole() {
    let stage = Stage::new().await;
    let body = stage.event("Once", json!([ticket("Seat"), ticket("Standing")]));
    let headers = [("idempotency-key", "3f0d4f0e-6c5e-7a41-9d3f-0f6a3c1be2d4")];
    let send = |body: Value| {
        let client = &stage.olga.client;
        async move {
            client
                .send(Method::POST, "/events", Some(body), &headers)
                .await
        }
    };
    let first = send(body.clone()).await.expect(201);
    let before = stage.counts().await;
    let again = send(body.clone()).await.expect(201);
    assert_eq!(again.text, first.text);
    assert_eq!(stage.counts().await, before);
    let mut other = body;
    other["ticket_types"][1]["capacity"] = json!(41);
    send(other).await.expect(422);
}

/// The engine and the document have every nested list that a spec declares.
#[tokio::test]
async fn every_list_of_a_body_is_in_the_document() {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let schemas = &document.expect("JSON")["components"]["schemas"];
    let mut lists = 0;
    for resource in resources().values() {
        let name = pascal(resource.name);
        let body = &schemas[format!("Create{name}")];
        for list in resource.together {
            let property = &body["properties"][list.name];
            assert_eq!(property["maxItems"], list.max, "{}", resource.name);
            let item = property["items"]["$ref"].as_str().expect("a schema");
            let item = &schemas[item.rsplit('/').next().expect("a name")];
            assert!(item["properties"].get(list.column).is_none(), "{item}");
            let answer = &schemas[format!("Created{name}")]["allOf"][1]["properties"];
            assert_eq!(answer[list.name]["type"], "array", "{answer}");
            lists += 1;
        }
    }
    assert!(lists > 0);
}

fn pascal(snake: &str) -> String {
    let words = snake.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect()
}
