//! `GET` of one object.

use crate::support::world;
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn hidden_archived_and_missing_look_the_same() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let (_, other) = world.user(false).await;
    let draft = world.thing(owner, "draft", "draft").await;
    let open = world.thing(owner, "open", "published").await;

    let answer = world.get(&format!("/things/{open}")).send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["title"]),
        (200, &json!("open"))
    );
    assert_eq!(answer.json["allowed_actions"], json!([]));
    assert_eq!(answer.header("cache-control"), "no-cache");
    let mine = world
        .get(&format!("/things/{draft}"))
        .by(&token)
        .send()
        .await;
    assert_eq!(
        (mine.status.as_u16(), &mine.json["allowed_actions"]),
        (200, &json!(["update"]))
    );
    assert_eq!(mine.header("cache-control"), "no-store");

    let missing = Uuid::now_v7();
    for id in [
        draft.to_string(),
        missing.to_string(),
        "x".to_owned(),
        draft.simple().to_string(),
    ] {
        for caller in [None, Some(&other)] {
            let call = world.get(&format!("/things/{id}"));
            let answer = caller
                .map_or_else(
                    || world.get(&format!("/things/{id}")),
                    |token| call.by(token),
                )
                .send()
                .await;
            let mut body = answer.json.clone();
            body.as_object_mut().unwrap().remove("instance");
            assert_eq!(
                body,
                json!({"type": "/problems/not-found", "title": "Not found", "status": 404,
                       "detail": kernel::problems::NOT_FOUND.doc})
            );
        }
    }
}

#[tokio::test]
async fn a_tag_saves_the_body_until_something_changes() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let first = world.get(&path).send().await;
    let tag = first.header("etag");
    assert!(tag.starts_with("\"1-"));
    let again = world.get(&path).header("if-none-match", tag).send().await;
    assert_eq!((again.status.as_u16(), again.header("etag")), (304, tag));
    let owners = world
        .get(&path)
        .by(&token)
        .header("if-none-match", tag)
        .send()
        .await;
    assert_eq!(
        owners.status, 200,
        "another audience, another body, another tag"
    );
    sqlx::query("update app.things set state = 'draft'")
        .execute(&world.root)
        .await
        .unwrap();
    let hidden = world.get(&path).header("if-none-match", tag).send().await;
    assert_eq!(hidden.status, 404, "304 would tell that it still exists");
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, _) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let head = world.request("HEAD", &path).send().await;
    assert_eq!((head.status.as_u16(), head.json.is_null()), (200, true));
    assert_eq!(
        head.header("etag"),
        world.get(&path).send().await.header("etag")
    );
}

#[tokio::test]
async fn credentials_are_judged_before_anything_else() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    for path in [path.as_str(), "/things/x", "/things"] {
        let answer = world.get(path).by("nonsense").send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (401, "invalid-token")
        );
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer error=\"invalid_token\""
        );
    }
    assert_eq!(
        world.get("/nowhere").by("nonsense").send().await.status,
        404,
        "no such path, for everyone"
    );

    sqlx::query("update app.sessions set revoked_at = now()")
        .execute(&world.root)
        .await
        .unwrap();
    assert_eq!(
        world.get(&path).by(&token).send().await.problem(),
        "session-revoked"
    );
    sqlx::query("update app.users set status = 'suspended'")
        .execute(&world.root)
        .await
        .unwrap();
    assert_eq!(
        world.get(&path).by(&token).send().await.problem(),
        "account-suspended"
    );
    assert_eq!(
        world.get(&path).send().await.status,
        200,
        "and the connections are fine"
    );
}

#[tokio::test]
async fn related_objects_come_along_when_asked() {
    let world = world().await;
    let city = world.city("Bern").await;
    let (owner, _) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let answer = world.get(&format!("{path}?expand=city")).send().await;
    assert_eq!(
        answer.json["city"],
        json!({"object": "city", "id": city, "name": "Bern", "version": 1})
    );
    sqlx::query("update app.cities set status = 'archived'")
        .execute(&world.root)
        .await
        .unwrap();
    let answer = world.get(&format!("{path}?expand=city")).send().await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["city"]),
        (200, &json!(null))
    );
    let wrong = world.get(&format!("{path}?expand=owner&x=1")).send().await;
    assert_eq!(
        (
            wrong.status.as_u16(),
            wrong.json["errors"].as_array().unwrap().len()
        ),
        (422, 2)
    );
}
