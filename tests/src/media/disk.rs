//! Addresses of a disk hold as those of a bucket do: the same headers, the same refusals.

use super::Stage;
use crate::support::pictures::{announce, complete, jpeg, send, way};
use reqwest::Method;

#[tokio::test]
async fn md3_an_address_holds_what_was_announced() {
    let stage = Stage::new().await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let bytes = jpeg(60, 40, 1);
    let upload = announce(client, "event", &stage.event, &bytes).await;
    let (path, headers) = way(&upload);
    let put = |path: String, change: Option<(&'static str, &'static str)>, bytes: Vec<u8>| {
        let mut headers = headers.clone();
        for (name, value) in &mut headers {
            if let Some((changed, to)) = change
                && changed == name
            {
                *value = to.to_owned();
            }
        }
        async move {
            let kept: Vec<(&str, &str)> = (headers.iter())
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let method = Method::PUT;
            server
                .client
                .send_bytes(method, &path, bytes, &kept)
                .await
                .status
                .as_u16()
        }
    };
    // Another type, sum or none; another id, length or time; another signature or none.
    for change in [
        ("content-type", "image/png"),
        ("content-type", ""),
        ("x-amz-checksum-sha256", "AAAA"),
        ("x-amz-checksum-sha256", ""),
        ("if-none-match", ""),
    ] {
        assert_eq!(
            put(path.clone(), Some(change), bytes.clone()).await,
            403,
            "{change:?}"
        );
    }
    let id = upload["id"].as_str().expect("an id");
    for other in [
        path.replace(id, &stage.event),
        path.replace("bytes=", "bytes=1"),
        path.replace("expires=", "expires=9"),
        path.replace("signature=", "signature=00"),
        path.split('?').next().expect("a path").to_owned(),
        format!(
            "{}?bytes=1&expires=9999999999&signature=",
            path.split('?').next().expect("a path")
        ),
    ] {
        assert_eq!(
            put(other.clone(), None, bytes.clone()).await,
            403,
            "{other}"
        );
    }
    // Other bytes: as many, fewer, one more.
    let mut wrong = bytes.clone();
    wrong[100] ^= 1;
    assert_eq!(put(path.clone(), None, wrong).await, 400);
    assert_eq!(put(path.clone(), None, bytes[1..].to_vec()).await, 400);
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(put(path.clone(), None, longer).await, 413);
    // Nothing of all that was kept.
    assert_eq!(
        complete(client, &upload).await.expect(409).problem(),
        "upload-missing"
    );
    let audit = server
        .built
        .app
        .modules
        .media
        .audit()
        .await
        .expect("looked");
    assert_eq!(audit.files, 0);
    // The control, and once only.
    assert_eq!(put(path.clone(), None, bytes.clone()).await, 204);
    assert_eq!(put(path, None, bytes).await, 412);
}

#[tokio::test]
async fn md3_an_address_counts_for_a_quarter_of_an_hour() {
    use crate::support::{TestServer, database::Content};
    use std::sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    };
    let minutes = Arc::new(AtomicI64::new(0));
    let passed = minutes.clone();
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.clock = app::clock::Clock::new(move || {
            chrono::Utc::now() + chrono::TimeDelta::minutes(passed.load(Ordering::Relaxed))
        });
    })
    .await;
    let stage = Stage::of(server).await;
    let bytes = jpeg(60, 40, 1);
    let upload = announce(&stage.owner.client, "event", &stage.event, &bytes).await;
    minutes.store(16, Ordering::Relaxed);
    send(&stage.server, &upload, &bytes).await.expect(403);
    minutes.store(14, Ordering::Relaxed);
    send(&stage.server, &upload, &bytes).await.expect(204);
    // What is there can be completed later.
    minutes.store(60, Ordering::Relaxed);
    complete(&stage.owner.client, &upload).await.expect(200);
}
