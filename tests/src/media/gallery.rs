//! The pictures of an object, in the order that its owner sets, and who may change them.

use super::Stage;
use crate::support::pictures::{announce, announcement, complete, jpeg, send, uploaded};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;

#[tokio::test]
async fn md8_a_gallery_has_an_order_and_words() {
    let stage = Stage::new().await;
    let (server, owner) = (&stage.server, &stage.owner);
    let mut ids = Vec::new();
    for seed in 0..3 {
        let bytes = jpeg(60, 40, seed);
        let picture = uploaded(server, owner, "event", &stage.event, &bytes).await;
        ids.push(picture["id"].as_str().expect("an id").to_owned());
    }
    // Reverses the order.
    for (id, position) in ids.iter().zip([2, 1, 0]) {
        let path = format!("/media/{id}");
        let tag = owner.client.get(&path).await.expect(200).etag();
        let body = json!({"position": position, "alt_text": format!("Number {position}")});
        owner.client.patch(&path, &tag, body).await.expect(200);
    }
    let path = format!("/events/{}/media?sort=position", stage.event);
    let gallery = server.client.get(&path).await.expect(200).json;
    let texts: Vec<&Value> = gallery["data"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["alt_text"])
        .collect();
    assert_eq!(texts, ["Number 0", "Number 1", "Number 2"]);
    // The owner can't change the target, location or size of a picture.
    let path = format!("/media/{}", ids[0]);
    let tag = owner.client.get(&path).await.expect(200).etag();
    for field in [
        "url",
        "storage_key",
        "width",
        "bytes",
        "entity_id",
        "type",
        "small_url",
        "purged_at",
    ] {
        let body = json!({field: "https://example.org/a.png"});
        owner.client.patch(&path, &tag, body).await.expect(422);
    }
}

/// Callers must be allowed to change the target, both when the upload is announced and when it is completed.
#[tokio::test]
async fn md8_only_who_may_change_the_target_adds_to_it() {
    let stage = Stage::new().await;
    let (server, owner) = (&stage.server, &stage.owner);
    let other = server.member("other").await;
    let bytes = jpeg(60, 40, 1);
    let body = announcement("event", &stage.event, "image/jpeg", &bytes);
    server
        .client
        .post("/media/uploads", body.clone())
        .await
        .expect(401);
    other
        .client
        .post("/media/uploads", body.clone())
        .await
        .expect(403);
    let nowhere = announcement("community", &stage.event, "image/jpeg", &bytes);
    owner
        .client
        .post("/media/uploads", nowhere)
        .await
        .expect(404);
    // All members can add pictures to themselves.
    let own = announcement("user", &other.id.to_string(), "image/jpeg", &bytes);
    other.client.post("/media/uploads", own).await.expect(201);
    let of_another = announcement("user", &owner.id.to_string(), "image/jpeg", &bytes);
    other
        .client
        .post("/media/uploads", of_another)
        .await
        .expect(403);
    // Only the member who announced an upload can complete it.
    let upload = announce(&owner.client, "event", &stage.event, &bytes).await;
    send(server, &upload, &bytes).await.expect(204);
    complete(&other.client, &upload).await.expect(404);
    complete(&server.client, &upload).await.expect(401);
    // A member who has lost the right meanwhile can't complete the upload.
    let mut conn = server.superuser().await;
    // Without triggers, which protect the last administrator of a profile.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica; update app.role_assignments set status = 'archived' where user_id = '{}'",
        owner.id
    )))
    .execute(&mut conn)
        .await
        .expect("no role any more");
    complete(&owner.client, &upload).await.expect(403);
}

/// Pictures are always uploaded: nobody can create one from an address, and the server fetches none.
#[tokio::test]
async fn abuse_53_a_picture_is_never_an_address_of_somebody() {
    let stage = Stage::new().await;
    let (server, owner) = (&stage.server, &stage.owner);
    let body = json!({"entity_type": "event", "entity_id": stage.event, "url": "http://169.254.169.254/latest/meta-data"});
    owner.client.post("/media", body).await.expect(405);
    let bytes = jpeg(60, 40, 1);
    for field in ["url", "storage_key", "source", "filename"] {
        let mut body = announcement("event", &stage.event, "image/jpeg", &bytes);
        body[field] = json!("../../etc/passwd");
        let refused = owner.client.post("/media/uploads", body).await.expect(422);
        assert_eq!(refused.pointers(), [format!("/{field}")]);
    }
    // The database accepts only ids as names of files, and addresses only from the module.
    let carlo = server.sign_in(PEOPLE[1].id).await;
    let picture = uploaded(server, owner, "event", &stage.event, &bytes).await;
    assert!(carlo.client.get("/media").await.expect(200).json["data"].is_array());
    let mut app = server.database.request_role().await;
    for text in [
        format!(
            "update app.media set url = 'https://example.org/x' where id = '{}'",
            picture["id"].as_str().expect("an id")
        ),
        format!(
            "insert into app.media (entity_type, entity_id, url) values ('event', '{}', 'https://example.org/x')",
            stage.event
        ),
    ] {
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut app)
            .await;
        assert!(
            refused
                .expect_err("no grant")
                .to_string()
                .contains("permission denied")
        );
    }
    let mut conn = server.superuser().await;
    let refused = sqlx::raw_sql("update app.media set storage_key = '../../etc/passwd'")
        .execute(&mut conn)
        .await;
    assert!(refused.expect_err("a type").to_string().contains("uuid"));
}
