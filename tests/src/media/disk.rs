//! Upload addresses on disk work like those of a bucket: the same headers, the same refusals.

use super::Stage;
use crate::support::pictures::{announce, complete, jpeg, send, way};
use axum::body::Bytes;
use futures_util::StreamExt;
use reqwest::Method;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use storage::{Announced, Key, Place, Received, Refused, Storage};
use uuid::Uuid;

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
    // Another or missing type or checksum; another id, length or time; another or missing signature.
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
    // Other bytes: the same number, fewer, or one more.
    let mut wrong = bytes.clone();
    wrong[100] ^= 1;
    assert_eq!(put(path.clone(), None, wrong).await, 400);
    assert_eq!(put(path.clone(), None, bytes[1..].to_vec()).await, 400);
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(put(path.clone(), None, longer).await, 413);
    // None of these uploads was kept.
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
    // The control: the correct upload succeeds, once.
    assert_eq!(put(path.clone(), None, bytes.clone()).await, 204);
    assert_eq!(put(path, None, bytes).await, 412);
}

#[tokio::test]
async fn md3_an_address_counts_for_a_quarter_of_an_hour() {
    use crate::support::{TestServer, database::Content};
    use std::sync::{Arc, atomic::AtomicI64};
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
    // An uploaded file can be completed later.
    minutes.store(60, Ordering::Relaxed);
    complete(&stage.owner.client, &upload).await.expect(200);
}

fn storage() -> (Storage, PathBuf) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("coming-{}", Uuid::now_v7()));
    let place = Place::Disk {
        folder: folder.clone(),
        uploads: "http://127.0.0.1/media/uploads".parse().expect("a URL"),
        secret: "a secret of thirty-two characters".to_owned().into(),
    };
    (Storage::new(place, || false).expect("a folder"), folder)
}

/// Deleting the last upload deletes its folder too, which must not disturb other uploads that arrive at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn md3_uploads_are_taken_while_the_last_one_goes() {
    let (storage, folder) = storage();
    let visitors = (0..4).map(|_| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for _ in 0..200 {
                comes_and_goes(&storage).await;
            }
        })
    });
    for visitor in futures_util::future::join_all(visitors).await {
        visitor.expect("each was taken");
    }
    let _ = std::fs::remove_dir_all(folder);
}

async fn comes_and_goes(storage: &Storage) {
    let bytes = Bytes::from_static(b"a picture");
    let received = received(storage, &bytes, bytes.len()).await;
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    storage.receive(&received, 0, body).await.expect("taken");
    storage
        .delete(&Key::incoming(received.id))
        .await
        .expect("gone");
}

/// An upload request as sent to the signed address for these bytes, announced with this length.
async fn received(storage: &Storage, bytes: &[u8], length: usize) -> Received {
    let announced = Announced {
        id: Uuid::now_v7(),
        content_type: "image/jpeg",
        sha256: Sha256::digest(bytes).into(),
        bytes: length as u64,
        expires_at: 1,
    };
    let signed = storage
        .sign_upload(&announced, 0)
        .await
        .expect("an address");
    let query: BTreeMap<_, _> = signed.url.query_pairs().into_owned().collect();
    let header = |name: &str| {
        let found = signed.headers.iter().find(|(header, _)| *header == name);
        found.expect("a header").1.clone()
    };
    let [content_type, checksum, if_none_match] = Received::HEADERS.map(header);
    Received {
        id: announced.id,
        bytes: announced.bytes,
        expires_at: announced.expires_at,
        signature: query["signature"].clone(),
        content_type,
        checksum,
        if_none_match,
    }
}

/// However often a file is sent at the same time, its attempts take the room of two files, and end with their clients.
#[tokio::test]
async fn md3_a_file_that_is_sent_many_times_takes_little_room() {
    let (storage, folder) = storage();
    let bytes = Bytes::from_static(b"a picture");
    let received = received(&storage, &bytes, bytes.len()).await;
    let mut attempts: futures_util::stream::FuturesUnordered<_> = (0..10)
        .map(|_| {
            let begun = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes.slice(..4))]);
            storage.receive(&received, 0, begun.chain(futures_util::stream::pending()))
        })
        .collect();
    for _ in 0..8 {
        let ended = attempts.next().await.expect("an attempt");
        assert!(matches!(ended, Err(Refused::Busy)), "{ended:?}");
    }
    assert_eq!(attempts.len(), 2);
    drop(attempts);
    // Both have gone away, and the file is taken.
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes)]);
    storage.receive(&received, 0, body).await.expect("taken");
    let _ = std::fs::remove_dir_all(folder);
}

/// An upload is written to disk piece by piece and not held in memory, and one that is longer than announced is not
/// read to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn md3_a_file_goes_to_the_disk_as_it_comes() {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 128;
    let (storage, folder) = storage();
    let piece = Bytes::from(vec![7; PIECE]);
    let whole = piece.repeat(PIECES);
    let good = received(&storage, &whole, whole.len()).await;
    let body = futures_util::stream::iter(0..PIECES).map(|sent| {
        let there = on_disk(&folder);
        assert!(there + (1 << 20) > sent * PIECE, "{there} of {sent} pieces");
        Ok::<_, std::io::Error>(piece.clone())
    });
    storage.receive(&good, 0, body).await.expect("taken");
    assert_eq!(on_disk(&folder), whole.len());
    // An endless upload is refused at the first byte beyond the announced length.
    let endless = received(&storage, &whole, 2 * PIECE).await;
    let pulled = AtomicUsize::new(0);
    let body = futures_util::stream::repeat_with(|| {
        pulled.fetch_add(1, Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece.clone())
    });
    let refused = storage.receive(&endless, 0, body).await;
    assert!(matches!(refused, Err(Refused::TooLong(_))));
    assert_eq!(pulled.load(Ordering::Relaxed), 3);
    assert_eq!(
        on_disk(&folder),
        whole.len(),
        "the refused file is not kept"
    );
    let _ = std::fs::remove_dir_all(folder);
}

/// The total size of all files in the folder.
fn on_disk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path().is_dir() {
            true => on_disk(&entry.path()),
            false => entry.metadata().map_or(0, |file| file.len() as usize),
        })
        .sum()
}
