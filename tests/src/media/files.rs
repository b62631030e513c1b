//! How files are served.

use super::Stage;
use crate::support::{
    TestServer,
    database::Content,
    pictures::{file, jpeg, shown, uploaded},
};
use reqwest::Method;

#[tokio::test]
async fn md7_files_are_cached_for_good_and_taken_for_nothing_else() {
    let stage = Stage::new().await;
    let server = &stage.server;
    let picture = uploaded(
        server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 1),
    )
    .await;
    let url = picture["url"].as_str().expect("an address");
    let (status, headers, bytes) = file(server, url).await;
    assert_eq!(status, 200);
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(said("content-type"), Some("image/jpeg"));
    assert_eq!(
        said("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    assert_eq!(said("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        said("content-length"),
        Some(bytes.len().to_string().as_str())
    );
    assert!(said("content-disposition").is_none());
    let tag = said("etag").expect("a tag");
    let path = url.strip_prefix("http://127.0.0.1:8080").expect("ours");
    let known = [("if-none-match", tag)];
    let same = server.client.send(Method::GET, path, None, &known).await;
    assert_eq!(same.status.as_u16(), 304);
    // Names consist of an id and a size, nothing else.
    let key = picture["storage_key"].as_str().expect("the owner sees it");
    assert!(path.contains(key) && key.is_ascii());
    assert_ne!(key, picture["id"].as_str().expect("an id"));
    for name in [
        format!("/media/files/{key}/640.jpg"),
        format!("/media/files/{key}/..%2f320.jpg"),
        format!("/media/files/{key}x/320.jpg"),
        "/media/files/..%2f..%2fetc/passwd".to_owned(),
        "/media/files/%00/320.jpg".to_owned(),
    ] {
        let answer = server.client.get(&name).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{name}");
    }
}

#[tokio::test]
async fn md7_addresses_follow_the_setting() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        let cdn = "https://cdn.example.org/pictures/";
        parts.modules.media.media_public_url = Some(cdn.parse().expect("a URL"));
    })
    .await;
    let stage = Stage::of(server).await;
    let id = shown(&stage.server, &stage.owner, "event", &stage.event).await;
    let path = format!("/media/{id}");
    let picture = stage.owner.client.get(&path).await.expect(200).json;
    let key = picture["storage_key"].as_str().expect("a key");
    let expected = |size| format!("https://cdn.example.org/pictures/{key}/{size}.jpg");
    assert_eq!(picture["url"], expected(1600));
    assert_eq!(picture["small_url"], expected(320));
    // Rows created with another setting are updated.
    let mut conn = stage.server.superuser().await;
    let media = &stage.server.built.app.modules.media;
    while media.sweep().await.expect("swept") > 0 {}
    sqlx::query("update app.media set url = 'https://old.example.org/' || storage_key || '/1600.jpg' where id = $1::uuid")
        .bind(&id)
        .execute(&mut conn)
        .await
        .expect("an old address");
    assert_eq!(media.sweep().await.expect("swept"), 1);
    let picture = stage.owner.client.get(&path).await.expect(200).json;
    assert_eq!(picture["url"], expected(1600));
    assert_eq!(media.sweep().await.expect("swept"), 0);
}
