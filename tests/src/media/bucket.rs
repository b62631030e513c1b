//! Uploads with a real server that speaks S3: `script/s3-server`.

use super::Stage;
use crate::support::{
    TestServer,
    companion::Companion,
    database::Content,
    pictures::{announce, complete, jpeg},
};
use image::ImageFormat;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;
use storage::{Announced, Place, Storage};
use uuid::Uuid;

struct Store(Companion);

impl Store {
    fn start() -> Self {
        Self(Companion::start("s3-server", &[], &[]))
    }

    async fn server(&self) -> TestServer {
        let endpoint = format!("http://127.0.0.1:{}", self.0.port);
        TestServer::start_with(Content::Demo, |parts| {
            let media = &mut parts.modules.media;
            media.media_s3_bucket = Some("pictures".to_owned());
            media.media_s3_endpoint = Some(endpoint.parse().expect("a URL"));
            media.media_s3_access_key_id = Some("tests".to_owned());
            media.media_s3_secret_access_key = Some("tests-secret".to_owned().into());
        })
        .await
    }

    fn url(&self, key: &str) -> String {
        format!("http://127.0.0.1:{}/pictures/{key}", self.0.port)
    }
}

async fn put(
    upload: &Value,
    change: Option<(&str, Option<&str>)>,
    url: Option<String>,
    bytes: &[u8],
) -> u16 {
    let url = url.unwrap_or_else(|| upload["url"].as_str().expect("an address").to_owned());
    let http = Client::builder().no_proxy().build().expect("a client");
    let mut request = http.request(Method::PUT, url).body(bytes.to_vec());
    for (name, value) in upload["headers"].as_object().expect("headers") {
        let value = match change {
            Some((changed, to)) if changed == name => to,
            _ => value.as_str(),
        };
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.send().await.expect("an answer").status().as_u16()
}

async fn get(url: &str) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let http = Client::builder().no_proxy().build().expect("a client");
    let answer = http.get(url).send().await.expect("an answer");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (
        status,
        headers,
        answer.bytes().await.expect("bytes").to_vec(),
    )
}

#[tokio::test]
async fn md2_a_bucket_holds_an_address_to_what_was_announced() {
    let store = Store::start();
    let stage = Stage::of(store.server().await).await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let bytes = jpeg(900, 600, 1);
    let upload = announce(client, "event", &stage.event, &bytes).await;
    let url = upload["url"].as_str().expect("an address").to_owned();
    let early = complete(client, &upload).await.expect(409);
    assert_eq!(early.problem(), "upload-missing");

    for change in [
        ("content-type", Some("text/html")),
        ("content-type", None),
        ("if-none-match", None),
    ] {
        assert_eq!(
            put(&upload, Some(change), None, &bytes).await,
            403,
            "{change:?}"
        );
    }
    let id = upload["id"].as_str().expect("an id");
    let other = url.replace(id, &stage.event);
    assert_eq!(put(&upload, None, Some(other), &bytes).await, 403);
    let public = url.replace("incoming", "pictures");
    assert_eq!(put(&upload, None, Some(public), &bytes).await, 403);
    assert_eq!(get(&url).await.0, 403, "signed for another method");
    let mut wrong = bytes.clone();
    wrong[100] ^= 1;
    assert_eq!(put(&upload, None, None, &wrong).await, 400);
    assert_eq!(put(&upload, None, None, &bytes).await, 200);
    assert_eq!(put(&upload, None, None, &bytes).await, 412);
    // Nobody can read a file before it was checked, nor anything else without a signature.
    assert_eq!(get(&store.url(&format!("incoming/{id}"))).await.0, 403);

    let picture = complete(client, &upload).await.expect(200).json;
    let key = picture["storage_key"].as_str().expect("a key");
    let url = picture["small_url"].as_str().expect("an address");
    let (status, headers, shown) = crate::support::pictures::file(server, url).await;
    assert_eq!(status, 200);
    assert_eq!(
        headers["cache-control"],
        "public, max-age=31536000, immutable"
    );
    let shown = image::load_from_memory_with_format(&shown, ImageFormat::Jpeg).expect("JPEG");
    assert_eq!((shown.width(), shown.height()), (320, 213));

    // The files follow the picture's status, and are deleted in the end.
    let media = &server.built.app.modules.media;
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    client.delete(&path).await.expect(204);
    server.settled().await;
    assert_eq!(crate::support::pictures::file(server, url).await.0, 404);
    client.act(&format!("{path}/restore")).await.expect(200);
    server.settled().await;
    assert_eq!(crate::support::pictures::file(server, url).await.0, 200);
    let audit = media.audit().await.expect("looked");
    assert_eq!(
        (audit.files, audit.orphans.len()),
        (3, 0),
        "{audit:?} {key}"
    );
    client.delete(&path).await.expect(204);
    server.settled().await;
    let mut conn = server.superuser().await;
    sqlx::raw_sql("set session_replication_role = replica; update app.media set updated_at = now() - interval '40 days' where status = 'archived'")
        .execute(&mut conn)
        .await
        .expect("long ago");
    media.sweep().await.expect("swept");
    server.settled().await;
    assert_eq!(media.audit().await.expect("looked").files, 0);
}

/// An address is of no use once its time is over.
#[tokio::test]
async fn md2_an_address_of_a_bucket_expires() {
    let store = Store::start();
    let bucket = storage::Bucket {
        name: "pictures".to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(
            store
                .url("")
                .replace("/pictures/", "")
                .parse()
                .expect("a URL"),
        ),
        login: Some(("tests".to_owned(), "tests-secret".to_owned().into())),
        timeout: Duration::from_secs(10),
    };
    let files = Storage::new(Place::Bucket(bucket), || false).expect("a bucket");
    let bytes = jpeg(60, 40, 1);
    for (seconds, wait, status) in [(60, 0, 200), (1, 3, 403)] {
        let announced = Announced {
            id: Uuid::now_v7(),
            content_type: "image/jpeg",
            sha256: Sha256::digest(&bytes).into(),
            bytes: bytes.len() as u64,
            expires_at: seconds,
        };
        let signed = files.sign_upload(&announced, 0).await.expect("an address");
        let headers: serde_json::Map<String, Value> = (signed.headers.into_iter())
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let upload = json!({"url": signed.url.as_str(), "headers": headers});
        tokio::time::sleep(Duration::from_secs(wait)).await;
        assert_eq!(
            put(&upload, None, None, &bytes).await,
            status,
            "{seconds} s"
        );
    }
}

/// A signature can't limit the length: a file that is too long is found and deleted after the upload.
#[tokio::test]
async fn md2_a_file_of_another_length_is_refused_once_it_has_come() {
    let store = Store::start();
    let stage = Stage::of(store.server().await).await;
    let client = &stage.owner.client;
    let bytes = jpeg(60, 40, 1);
    let mut body =
        crate::support::pictures::announcement("event", &stage.event, "image/jpeg", &bytes);
    body["bytes"] = (bytes.len() - 5).into();
    let upload = client.post("/media/uploads", body).await.expect(201).json;
    assert_eq!(put(&upload, None, None, &bytes).await, 200);
    let refused = complete(client, &upload).await.expect(422);
    assert_eq!(refused.problem(), "picture-refused");
    stage.server.settled().await;
    let media = &stage.server.built.app.modules.media;
    assert_eq!(media.audit().await.expect("looked").files, 0);
}

/// If the store is unavailable, the answer is 503, and no transaction waits for it.
#[tokio::test]
async fn md1_a_store_that_is_away_is_told() {
    let store = Store::start();
    let stage = Stage::of(store.server().await).await;
    let client = &stage.owner.client;
    let bytes = jpeg(60, 40, 1);
    let upload = announce(client, "event", &stage.event, &bytes).await;
    drop(store);
    let away = complete(client, &upload).await.expect(503);
    assert_eq!(away.problem(), "file-store-unavailable");
    assert!(away.header("retry-after").is_some());
}
