//! Limits of the number of pictures and their size.

use super::Stage;
use crate::support::{
    TestServer,
    database::Content,
    pictures::{announce, announcement, complete, jpeg, send},
};

#[tokio::test]
async fn md9_so_many_are_announced_in_a_minute() {
    let stage = Stage::new().await;
    let client = &stage.owner.client;
    let bytes = jpeg(60, 40, 1);
    let body = announcement("event", &stage.event, "image/jpeg", &bytes);
    // Concurrently: the database counts them one after the other.
    let asked = (0..25).map(|_| client.post("/media/uploads", body.clone()));
    let answers = futures_util::future::join_all(asked).await;
    let statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 201).count(),
        20,
        "{statuses:?}"
    );
    let refused = answers
        .iter()
        .find(|answer| answer.status.as_u16() != 201)
        .expect("five");
    assert_eq!(
        (refused.status.as_u16(), refused.problem()),
        (429, "quota-exceeded")
    );
    assert!(refused.header("retry-after").is_some());
    // The headers tell of this limit, of which nothing is left, and not of that of all requests.
    assert_eq!(refused.header("ratelimit"), Some("\"uploads\";r=0;t=60"));
    let policy = Some("\"uploads\";q=20;w=60");
    assert_eq!(refused.header("ratelimit-policy"), policy);
    // Those of others don't count; a minute later there is room again.
    let other = stage.server.member("other").await;
    let own = announcement("user", &other.id.to_string(), "image/jpeg", &bytes);
    other.client.post("/media/uploads", own).await.expect(201);
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql("update app.media_uploads set created_at = created_at - interval '61 s'")
        .execute(&mut conn)
        .await
        .expect("a minute later");
    client.post("/media/uploads", body).await.expect(201);
}

#[tokio::test]
async fn md9_a_member_has_so_many_bytes() {
    let bytes = jpeg(60, 40, 1);
    let room = 2 * bytes.len() as u64 + 1;
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.modules.media.media_quota_bytes = room;
    })
    .await;
    let stage = Stage::of(server).await;
    let (server, client) = (&stage.server, &stage.owner.client);
    // Announced uploads count with their announced size.
    let first = announce(client, "event", &stage.event, &bytes).await;
    announce(client, "event", &stage.event, &bytes).await;
    let body = announcement("event", &stage.event, "image/jpeg", &bytes);
    let full = client
        .post("/media/uploads", body.clone())
        .await
        .expect(409);
    assert_eq!(full.problem(), "storage-full");
    // Completed pictures count with the sum of their sizes, which is more than there is room for here.
    send(server, &first, &bytes).await.expect(204);
    let picture = complete(client, &first).await.expect(200).json;
    let taken = picture["bytes"].as_u64().expect("bytes");
    let mut conn = server.superuser().await;
    sqlx::raw_sql("update app.media_uploads set state = 'abandoned' where state = 'pending'")
        .execute(&mut conn)
        .await
        .expect("one gone");
    let status = client
        .post("/media/uploads", body.clone())
        .await
        .status
        .as_u16();
    assert_eq!(
        status == 409,
        taken + bytes.len() as u64 > room,
        "{taken} of {room}"
    );
    // Archived pictures count until their files are deleted.
    sqlx::raw_sql("update app.media set bytes = 1000000 where uploaded_by_id is not null")
        .execute(&mut conn)
        .await
        .expect("large");
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    client.delete(&path).await.expect(204);
    client
        .post("/media/uploads", body.clone())
        .await
        .expect(409);
    sqlx::raw_sql("update app.media set purged_at = now() where uploaded_by_id is not null; delete from app.media_uploads")
        .execute(&mut conn)
        .await
        .expect("purged");
    client.post("/media/uploads", body).await.expect(201);
}
