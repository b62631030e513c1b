//! Changes, and the order in which they are refused.

use crate::support::{World, world};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use uuid::Uuid;

async fn state(world: &World) -> Vec<(Uuid, String, String, i64)> {
    let statement = "select id, title, status, version from app.things order by id";
    sqlx::query_as(statement)
        .fetch_all(&world.root)
        .await
        .unwrap()
}

#[tokio::test]
async fn creating_answers_with_the_object_and_its_place() {
    let world = world().await;
    let city = world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let body = json!({"title": "one", "city_id": city});
    let answer = world
        .post("/things")
        .by(&token)
        .json(body.clone())
        .send()
        .await;
    assert_eq!(answer.status, 201, "{:?}", answer.json);
    assert_eq!(
        (&answer.json["owner_id"], &answer.json["version"]),
        (&json!(owner), &json!(1))
    );
    assert_eq!(
        answer.header("location"),
        format!("/things/{}", answer.json["id"].as_str().unwrap())
    );
    assert!(answer.header("etag").starts_with("\"1-"));

    let clash = world.post("/things").by(&token).json(body).send().await;
    assert_eq!((clash.status.as_u16(), clash.problem()), (409, "conflict"));
    assert_eq!(clash.json["errors"][0]["pointer"], "/title");
    let late = world
        .post("/things")
        .by(&token)
        .json(json!({"title": "x", "rank": 5000, "city_id": city}))
        .send()
        .await;
    assert_eq!(
        (late.status.as_u16(), &late.json["errors"][0]["pointer"]),
        (422, &json!("/rank"))
    );
    assert_eq!(state(&world).await.len(), 1, "refusals leave nothing");
}

#[tokio::test]
async fn a_bad_reference_reads_the_same_whether_archived_or_missing() {
    let world = world().await;
    let city = world.city("Bern").await;
    let (_, token) = world.user(false).await;
    sqlx::query("update app.cities set status = 'archived'")
        .execute(&world.root)
        .await
        .unwrap();
    let mut bodies = Vec::new();
    for id in [city, Uuid::now_v7()] {
        let answer = world
            .post("/things")
            .by(&token)
            .json(json!({"title": "x", "city_id": id}))
            .send()
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (422, "invalid-reference")
        );
        let mut body = answer.json;
        body.as_object_mut().unwrap().remove("instance");
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(bodies[0]["errors"][0]["pointer"], "/city_id");
}

#[tokio::test]
async fn bodies_are_judged_after_the_caller() {
    let world = world().await;
    let (_, token) = world.user(false).await;
    let bad = json!({"title": "", "id": 1, "status": "archived", "rank": "7"});
    assert_eq!(
        world
            .post("/things")
            .json(bad.clone())
            .send()
            .await
            .problem(),
        "authentication-required"
    );
    let answer = world.post("/things").by(&token).json(bad).send().await;
    let pointers: Vec<_> = answer.json["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].clone())
        .collect();
    assert_eq!(answer.status, 422);
    for pointer in ["/title", "/id", "/status", "/rank", "/city_id"] {
        assert!(
            pointers.contains(&json!(pointer)),
            "{pointer} in {pointers:?}"
        );
    }
    for (media, text, status) in [
        ("application/json", "{\"title\": ", 400),
        (
            "application/json",
            "{\"title\": \"a\", \"title\": \"b\"}",
            400,
        ),
        ("application/json", "[]", 400),
        ("text/plain", "{}", 415),
        ("application/merge-patch+json", "{}", 415),
    ] {
        assert_eq!(
            world
                .post("/things")
                .by(&token)
                .text(media, text)
                .send()
                .await
                .status,
            status,
            "{text}"
        );
    }
    let query = world
        .post("/things?dry=1")
        .by(&token)
        .json(json!({}))
        .send()
        .await;
    assert_eq!(
        (query.status.as_u16(), &query.json["errors"][0]["parameter"]),
        (422, &json!("dry"))
    );
}

#[tokio::test]
async fn refusals_of_an_update_come_in_their_order() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let (_, others) = world.user(false).await;
    let (_, admin) = world.user(true).await;
    let draft = world.thing(owner, "draft", "draft").await;
    let open = world.thing(owner, "open", "published").await;
    let before = state(&world).await;
    let bad = json!({"rank": "x"});
    let good = json!({"rank": 1});
    let stale = "\"9-0\"";

    // (who, which, body, If-Match) → status
    let cases: [(&str, Uuid, &Value, &str, u16); 10] = [
        ("", open, &bad, "", 401),
        ("", draft, &good, stale, 401),
        (&others, Uuid::now_v7(), &bad, "", 422),
        (&others, draft, &good, stale, 404),
        (&others, open, &good, stale, 403),
        (&others, open, &good, "", 403),
        (&admin, draft, &good, stale, 403),
        (&mine, open, &good, "", 428),
        (&mine, open, &good, stale, 412),
        (&mine, open, &good, "W/\"7-0\"", 412),
    ];
    for (who, id, body, tag, status) in cases {
        for method in ["PATCH", "PUT"] {
            let mut body = body.clone();
            if method == "PUT" && body.get("title").is_none() {
                body["title"] = json!("t");
            }
            let mut call = world.request(method, &format!("/things/{id}")).json(body);
            if !who.is_empty() {
                call = call.by(who);
            }
            if !tag.is_empty() {
                call = call.header("if-match", tag);
            }
            let answer = call.send().await;
            assert_eq!(answer.status, status, "{method} {tag} {:?}", answer.json);
        }
    }
    let malformed = world
        .request("PATCH", &format!("/things/{open}"))
        .by(&mine)
        .header("if-match", "one")
        .json(good);
    assert_eq!(malformed.send().await.status, 400);
    assert_eq!(state(&world).await, before);
}

#[tokio::test]
async fn of_two_changes_of_one_version_one_wins() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "a", "draft").await);
    let tag = world
        .get(&path)
        .by(&token)
        .send()
        .await
        .header("etag")
        .to_owned();
    let change = |rank: i32| {
        let call = world
            .request("PATCH", &path)
            .by(&token)
            .header("if-match", &tag);
        call.text(
            "application/merge-patch+json",
            &json!({"rank": rank}).to_string(),
        )
        .send()
    };
    let (one, two) = tokio::join!(change(1), change(2));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);

    let any = world
        .request("PUT", &path)
        .by(&token)
        .header("if-match", "*")
        .json(json!({"title": "b"}))
        .send()
        .await;
    assert_eq!(
        (any.status.as_u16(), &any.json["rank"], &any.json["version"]),
        (200, &json!(0), &json!(3))
    );
    let several = world
        .request("PATCH", &path)
        .by(&token)
        .header("if-match", "\"1-a\", \"3-b\"")
        .json(json!({}))
        .send()
        .await;
    assert_eq!(
        (
            several.status.as_u16(),
            several.header("etag").starts_with("\"4-")
        ),
        (200, true)
    );
}

#[tokio::test]
async fn field_rules_name_the_field() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "a", "draft").await);
    let answer = world
        .request("PATCH", &path)
        .by(&token)
        .header("if-match", "*")
        .json(json!({"rank": 501}))
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (403, "forbidden-field")
    );
    assert_eq!(answer.json["errors"][0]["pointer"], "/rank");
}

#[tokio::test]
async fn hooks_refuse_and_alter_but_only_for_those_who_may() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let (_, others) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let send = |token: &str, title: &str| {
        let call = world
            .request("PATCH", &path)
            .by(token)
            .header("if-match", "*");
        call.json(json!({"title": title})).send()
    };
    let refused = send(&mine, "refused").await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json["errors"][0]["code"]),
        (422, &json!("refused"))
    );
    assert_eq!(
        send(&others, "refused").await.status,
        403,
        "not the hook's reason"
    );
    assert_eq!(send(&mine, "change me").await.json["title"], "changed");
    // An accident of ours, though the transaction can say no more.
    assert_eq!(send(&mine, "broken").await.status, 500);
}

#[tokio::test]
async fn a_lost_race_is_run_again() {
    let world = world().await;
    let city = world.city("Bern").await;
    let (_, token) = world.user(false).await;
    world.conflicts.store(2, Relaxed);
    let answer = world
        .post("/things")
        .by(&token)
        .json(json!({"title": "a", "city_id": city}))
        .send()
        .await;
    assert_eq!(answer.status, 201, "{:?}", answer.json);
    world.conflicts.store(3, Relaxed);
    let answer = world
        .post("/things")
        .by(&token)
        .json(json!({"title": "b", "city_id": city}))
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (503, "2")
    );
    assert_eq!(state(&world).await.len(), 1);
}

#[tokio::test]
async fn a_missing_grant_is_our_mistake_and_counted() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "a", "draft").await);
    sqlx::raw_sql("revoke update (title) on app.things from kernel_test_app")
        .execute(&world.root)
        .await
        .unwrap();
    let before = kernel::http::metrics::MISSING_PRIVILEGE.get();
    let answer = world
        .request("PATCH", &path)
        .by(&mine)
        .header("if-match", "*")
        .json(json!({"rank": 1}))
        .send()
        .await;
    assert_eq!(answer.status, 500, "our mistake, not the caller's");
    assert!(
        !answer.json.to_string().contains("permission"),
        "{:?}",
        answer.json
    );
    assert!(kernel::http::metrics::MISSING_PRIVILEGE.get() > before);
}
