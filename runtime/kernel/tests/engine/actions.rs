//! Archiving, restoring, suspending and transitions.

use crate::support::world;
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn archived_objects_are_gone_until_restored() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let (_, others) = world.user(false).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let restore = format!("{path}/restore");

    assert_eq!(world.request("DELETE", &path).send().await.status, 401);
    assert_eq!(
        world
            .request("DELETE", &path)
            .by(&others)
            .send()
            .await
            .status,
        403
    );
    assert_eq!(
        world
            .request("DELETE", &path)
            .by(&mine)
            .header("if-match", "\"7-0\"")
            .send()
            .await
            .status,
        412
    );
    assert_eq!(
        world.post(&restore).by(&mine).send().await.problem(),
        "invalid-state"
    );
    let body = world
        .request("DELETE", &path)
        .by(&mine)
        .json(json!({"a": 1}))
        .send()
        .await;
    assert_eq!(body.status, 422, "a body means something else was meant");
    let gone = world
        .request("DELETE", &path)
        .by(&mine)
        .header("if-match", "\"1-0\"")
        .send()
        .await;
    assert_eq!((gone.status.as_u16(), gone.json.is_null()), (204, true));

    for method in ["GET", "DELETE"] {
        assert_eq!(
            world.request(method, &path).by(&mine).send().await.status,
            404,
            "{method}"
        );
    }
    let put = world
        .request("PUT", &path)
        .by(&mine)
        .header("if-match", "*")
        .json(json!({"title": "x"}))
        .send()
        .await;
    assert_eq!(put.status, 404);
    assert_eq!(world.post(&restore).by(&others).send().await.status, 404);
    let back = world.post(&restore).by(&mine).send().await;
    assert_eq!(
        (back.status.as_u16(), &back.json["title"]),
        (200, &json!("open"))
    );
    assert_eq!(world.get(&path).send().await.status, 200);
}

#[tokio::test]
async fn a_clash_at_restoring_is_a_conflict_and_only_roles_suspend() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let (_, admin) = world.user(true).await;
    let path = format!("/things/{}", world.thing(owner, "open", "published").await);
    let post = |verb: &str, token: &str| world.post(&format!("{path}/{verb}")).by(token).send();
    assert_eq!(post("suspend", &mine).await.status, 403);
    let nowhere = world
        .post(&format!("/things/{}/suspend", Uuid::now_v7()))
        .by(&mine)
        .send()
        .await;
    assert_eq!(
        nowhere.status, 403,
        "whoever can suspend nothing learns nothing about ids"
    );
    assert_eq!(post("unsuspend", &admin).await.problem(), "invalid-state");
    assert_eq!(post("suspend", &admin).await.status, 200);
    assert_eq!(world.get(&path).send().await.status, 404);
    assert_eq!(world.get(&path).by(&mine).send().await.status, 200);
    let change = world
        .request("PATCH", &path)
        .by(&mine)
        .header("if-match", "*")
        .json(json!({"rank": 1}))
        .send()
        .await;
    assert_eq!(change.problem(), "invalid-state");
    assert_eq!(post("unsuspend", &admin).await.status, 200);
}

#[tokio::test]
async fn transitions_start_from_their_states_and_take_a_reason() {
    let world = world().await;
    world.city("Bern").await;
    let (owner, mine) = world.user(false).await;
    let (_, others) = world.user(false).await;
    let ready = format!("/things/{}", world.thing(owner, "ready", "draft").await);
    let unready = format!("/things/{}", world.thing(owner, "unready", "draft").await);
    let post = |path: &str, verb: &str, token: &str| {
        world.post(&format!("{path}/{verb}")).by(token).send()
    };

    assert_eq!(post(&ready, "publish", &others).await.status, 404);
    let when = post(&unready, "publish", &mine).await;
    assert_eq!(
        (when.problem(), &when.json["detail"]),
        (
            "invalid-state",
            &json!("This is only possible when it is ready.")
        )
    );
    let done = post(&ready, "publish", &mine).await;
    assert_eq!(
        (done.status.as_u16(), &done.json["state"]),
        (200, &json!("published"))
    );
    let twice = post(&ready, "publish", &mine).await;
    assert_eq!(
        (twice.problem(), &twice.json["detail"]),
        ("invalid-state", &json!("This starts from draft."))
    );

    let withdraw = |body: Value| {
        world
            .post(&format!("{ready}/withdraw"))
            .by(&mine)
            .json(body)
            .send()
    };
    assert_eq!(
        withdraw(json!({})).await.json["errors"][0]["pointer"],
        "/reason"
    );
    let bare = post(&ready, "withdraw", &mine).await;
    assert_eq!(
        (bare.status.as_u16(), &bare.json["errors"][0]["pointer"]),
        (422, &json!("/reason"))
    );
    assert_eq!(withdraw(json!({"reason": "Too early."})).await.status, 200);
    let (reason, action): (String, String) =
        sqlx::query_as("select reason, action from audit.reasons")
            .fetch_one(&world.root)
            .await
            .unwrap();
    assert_eq!(
        (reason.as_str(), action.as_str()),
        ("Too early.", "withdraw")
    );
}
