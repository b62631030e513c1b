//! From an uploaded file to a picture.

use super::Stage;
use crate::{
    support::{
        locks::until_waiting,
        pictures::{
            announce, announcement, complete, encoded, file, jpeg, send, sha256, uploaded, way,
        },
        socket::talk,
    },
    trending::stage::run,
};
use exif::{Field, In, Rational, Tag, Value as Exif, experimental::Writer};
use image::{ImageEncoder, ImageFormat, codecs::jpeg::JpegEncoder};
use serde_json::{Value, json};
use std::io::{Cursor, Write};

#[tokio::test]
async fn md1_a_picture_is_announced_sent_and_completed() {
    let stage = Stage::new().await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let bytes = jpeg(2000, 1000, 7);
    let upload = announce(client, "event", &stage.event, &bytes).await;
    assert_eq!(upload["object"], "media_upload");
    assert_eq!(upload["method"], "PUT");
    let early = complete(client, &upload).await.expect(409);
    assert_eq!(early.problem(), "upload-missing");
    send(server, &upload, &bytes).await.expect(204);
    // A file that was uploaded but not checked can't be read anywhere.
    let id = upload["id"].as_str().expect("an id");
    for path in [
        format!("/media/files/{id}/1600.jpg"),
        format!("/media/uploads/{id}/file"),
        format!("/incoming/{id}"),
    ] {
        let answer = server.client.get(&path).await;
        assert!([404, 405].contains(&answer.status.as_u16()), "{path}");
    }
    let done = complete(client, &upload).await.expect(200);
    let picture = done.json.clone();
    assert_eq!(picture["object"], "media");
    assert_eq!(picture["entity_id"], json!(stage.event));
    assert_eq!(
        (&picture["width"], &picture["height"]),
        (&json!(1600), &json!(800))
    );
    assert_eq!(picture["alt_text"], "A picture");
    assert_eq!(picture["content_hash"], sha256(&bytes));
    for (size, width) in [("small_url", 320), ("medium_url", 800), ("url", 1600)] {
        let url = picture[size].as_str().expect("an address");
        let (status, _, bytes) = file(server, url).await;
        assert_eq!(status, 200);
        let shown = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).expect("JPEG");
        assert_eq!((shown.width(), shown.height()), (width, width / 2));
    }
    // Completing it again returns the same picture, also concurrently.
    let again = futures_util::future::join_all((0..4).map(|_| complete(client, &upload))).await;
    for answer in again {
        assert_eq!(answer.expect(200).json["id"], picture["id"]);
    }
    // The uploaded file itself is deleted.
    server.settled().await;
    let audit = server
        .built
        .app
        .modules
        .media
        .audit()
        .await
        .expect("looked");
    assert_eq!((audit.files, audit.orphans.len()), (3, 0), "{audit:?}");
}

/// An address is valid for a quarter of an hour, but an upload may end after a second: no other file is accepted in
/// between.
#[tokio::test]
async fn md1_an_upload_that_is_over_takes_no_other_file() {
    let stage = Stage::new().await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let media = &server.built.app.modules.media;
    let good = jpeg(60, 40, 1);
    let bad = good[..good.len() / 2].to_vec();
    for (bytes, status) in [(good, 200), (bad, 422)] {
        let upload = announce(client, "event", &stage.event, &bytes).await;
        send(server, &upload, &bytes).await.expect(204);
        complete(client, &upload).await.expect(status);
        server.settled().await;
        assert_eq!(send(server, &upload, &bytes).await.status.as_u16(), 412);
        // Its place is deleted after the address has expired.
        let place = server.media_folder().join("incoming");
        let place = place.join(upload["id"].as_str().expect("an id"));
        assert_eq!(std::fs::metadata(&place).expect("sealed").len(), 0);
        let mut conn = server.superuser().await;
        let moved = sqlx::raw_sql(
            "update jobs.queue set run_at = now() where name = 'media.clear' and run_at > now()",
        )
        .execute(&mut conn)
        .await
        .expect("later");
        assert_eq!(moved.rows_affected(), 1);
        server.settled().await;
        assert!(!place.exists());
        // The control: nothing else would refuse it.
        send(server, &upload, &bytes).await.expect(204);
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(90_000);
        let file = std::fs::File::options().write(true).open(&place);
        file.expect("sent").set_modified(old).expect("old");
        media.sweep().await.expect("swept");
        assert!(!place.exists(), "files of no upload are swept");
    }
}

/// Another request completes the upload after this one has found it pending and before it reads the file, which has
/// been deleted or emptied by then.
#[tokio::test]
async fn md8_who_comes_too_late_to_complete_gets_the_picture() {
    let stage = Stage::new().await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let bytes = jpeg(60, 40, 1);
    let picture = uploaded(server, &stage.owner, "event", &stage.event, &bytes).await["id"].clone();
    // On a new connection, planning would already wait for the lock on `app.events`, before the upload is read.
    let warm = announce(client, "event", &stage.event, &bytes).await;
    send(server, &warm, &bytes).await.expect(204);
    futures_util::future::join_all((0..8).map(|_| complete(client, &warm))).await;
    let (mut first, mut watch) = (server.superuser().await, server.superuser().await);
    for is_gone in [true, false] {
        // When the late request lets the row go and locks it again, it may come before the one that waits for the row.
        // Then the upload is still pending, and it is told that the file is missing.
        let mut answers = Vec::new();
        for _ in 0..20 {
            let upload = announce(client, "event", &stage.event, &bytes).await;
            send(server, &upload, &bytes).await.expect(204);
            let id = upload["id"].as_str().expect("an id").to_owned();
            // The late request has found it pending, and is blocked then.
            run(
                &mut first,
                "begin; lock table app.events in access exclusive mode".to_owned(),
            )
            .await;
            let late = tokio::spawn({
                let (client, upload) = (client.clone(), upload.clone());
                async move { complete(&client, &upload).await }
            });
            until_waiting(&mut watch, "app.media_uploads", 1).await;
            // The other request waits for the row that the late one has locked.
            let mut other = server.superuser().await;
            let done = format!(
                "set session_replication_role = replica; delete from app.media_uploads where media_id is not null;
                 update app.media_uploads set state = 'complete', media_id = {picture}, settled_at = now() where id = '{id}'"
            )
            .replace('"', "'");
            let done = tokio::spawn(async move { run(&mut other, done).await });
            until_waiting(&mut watch, "app.media_uploads", 2).await;
            let file = server.media_folder().join("incoming").join(&id);
            match is_gone {
                true => std::fs::remove_file(file).expect("there"),
                false => std::fs::write(file, "").expect("there"),
            }
            run(&mut first, "rollback".to_owned()).await;
            done.await.expect("completed");
            let answer = late.await.expect("answered");
            let is_late = answer.status == 200;
            if is_late {
                assert_eq!(answer.json["id"], picture, "gone: {is_gone}");
            } else {
                let told = ["upload-missing", "picture-refused"];
                assert!(told.contains(&answer.problem()), "{}", answer.text);
            }
            answers.push(is_late);
            if is_late {
                break;
            }
        }
        assert!(answers.contains(&true), "gone: {is_gone}, {answers:?}");
    }
}

/// Two concurrent completions create one picture.
#[tokio::test]
async fn md1_completing_twice_at_once_makes_one_picture() {
    let stage = Stage::new().await;
    let bytes = jpeg(400, 300, 9);
    let upload = announce(&stage.owner.client, "event", &stage.event, &bytes).await;
    send(&stage.server, &upload, &bytes).await.expect(204);
    let both =
        futures_util::future::join_all((0..6).map(|_| complete(&stage.owner.client, &upload)))
            .await;
    let ids: std::collections::BTreeSet<String> = both
        .into_iter()
        .map(|answer| answer.expect(200).id())
        .collect();
    assert_eq!(ids.len(), 1);
    let path = format!("/events/{}/media", stage.event);
    let gallery = stage.server.client.get(&path).await;
    // The event isn't published; its owner sees it.
    gallery.expect(200);
    stage.server.settled().await;
    let audit = stage
        .server
        .built
        .app
        .modules
        .media
        .audit()
        .await
        .expect("looked");
    assert_eq!(audit.files, 3);
}

/// Each file is uploaded as announced, refused when it is checked, and deleted.
async fn are_refused(stage: &Stage, files: Vec<(&str, &str, Vec<u8>)>) {
    let (server, client) = (&stage.server, &stage.owner.client);
    for (name, content_type, bytes) in files {
        let body = announcement("event", &stage.event, content_type, &bytes);
        let upload = client.post("/media/uploads", body).await.expect(201).json;
        send(server, &upload, &bytes).await.expect(204);
        let refused = complete(client, &upload).await.expect(422);
        assert_eq!(refused.problem(), "picture-refused", "{name}");
        // The upload has ended: not even the correct file would be accepted.
        let again = complete(client, &upload).await.expect(409);
        assert_eq!(again.problem(), "upload-over", "{name}");
    }
    server.settled().await;
    let media = &server.built.app.modules.media;
    assert_eq!(media.audit().await.expect("looked").files, 0);
}

#[tokio::test]
async fn md4_what_is_no_whole_picture_of_its_type_is_refused_and_deleted() {
    let stage = Stage::new().await;
    let whole = jpeg(400, 300, 1);
    let half = whole[..whole.len() / 2].to_vec();
    let png = encoded(8, 8, 1, ImageFormat::Png);
    let files = vec![
        ("half a JPEG", "image/jpeg", half),
        ("a PNG that says JPEG", "image/jpeg", png),
    ];
    are_refused(&stage, files).await;
    for content_type in ["IMAGE/JPEG", "image/jpg", "image/jpeg; charset=binary"] {
        let sum = "0".repeat(64);
        let body = json!({"entity_type": "event", "entity_id": stage.event, "content_type": content_type, "bytes": 10, "sha256": sum});
        let client = &stage.owner.client;
        let upload = client.post("/media/uploads", body).await;
        assert!(
            upload.status.is_success(),
            "{content_type}: {}",
            upload.text
        );
        assert_eq!(upload.json["headers"]["content-type"], "image/jpeg");
    }
    for (content_type, bytes, sum) in [
        ("image/svg+xml", 10, "0".repeat(64)),
        ("text/html", 10, "0".repeat(64)),
        ("image/jpeg", (20 << 20) + 1, "0".repeat(64)),
        ("image/jpeg", 10, "z".repeat(64)),
    ] {
        let body = json!({"entity_type": "event", "entity_id": stage.event, "content_type": content_type, "bytes": bytes, "sha256": sum});
        let client = &stage.owner.client;
        client.post("/media/uploads", body).await.expect(422);
    }
}

/// Small files that would be huge once decoded.
#[tokio::test]
async fn abuse_36_bombs_are_refused() {
    let stage = Stage::new().await;
    let mut gif = encoded(8, 8, 1, ImageFormat::Gif);
    gif[6..10].copy_from_slice(&[0xff; 4]);
    let mut jpeg = jpeg(8, 8, 1);
    let frame = jpeg.windows(2).position(|two| two == [0xff, 0xc0]);
    let at = frame.expect("a frame") + 5;
    jpeg[at..at + 4].copy_from_slice(&[0xc3, 0x50, 0xc3, 0x50]);
    let png = with_profile(200 << 20);
    assert!(png.len() < 210_000);
    let files = vec![
        ("a GIF", "image/gif", gif),
        ("a JPEG", "image/jpeg", jpeg),
        ("a profile", "image/png", png.clone()),
    ];
    are_refused(&stage, files).await;
    // The answer says what to do, and a profile as such is no obstacle.
    let client = &stage.owner.client;
    for (bytes, status) in [(png, 422), (with_profile(1000), 200)] {
        let body = announcement("event", &stage.event, "image/png", &bytes);
        let upload = client.post("/media/uploads", body).await.expect(201).json;
        send(&stage.server, &upload, &bytes).await.expect(204);
        let answer = complete(client, &upload).await.expect(status);
        assert_eq!(answer.text.contains("without metadata"), status == 422);
    }
}

/// A PNG with a colour profile that unpacks to this length.
fn with_profile(length: usize) -> Vec<u8> {
    let mut packing = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packing.write_all(&vec![0; length]).expect("memory");
    let packed = packing.finish().expect("memory");
    let body = [&b"iCCPname\0\0"[..], &packed].concat();
    let mut sum = flate2::Crc::new();
    sum.update(&body);
    let png = encoded(8, 8, 1, ImageFormat::Png);
    // After the signature and the header.
    let (head, rest) = png.split_at(33);
    let length = u32::try_from(body.len() - 4).expect("a length");
    [
        head,
        &length.to_be_bytes(),
        &body,
        &sum.sum().to_be_bytes(),
        rest,
    ]
    .concat()
}

/// The type of a file is determined by its contents.
#[tokio::test]
async fn abuse_55_pages_and_scripts_are_no_pictures() {
    let stage = Stage::new().await;
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let html = b"<!doctype html><script>alert(1)</script>";
    let polyglot = b"GIF89a/*\x01\x00\x00\x00\x00\x00*/=1;alert(1)//;";
    let files = vec![
        ("an SVG", "image/png", svg.to_vec()),
        ("a page", "image/webp", html.to_vec()),
        ("GIF and script", "image/gif", polyglot.to_vec()),
    ];
    are_refused(&stage, files).await;
}

/// Stored files get names from the server; a file name that the client sends is ignored.
#[tokio::test]
async fn abuse_55_no_name_of_a_file_is_used() {
    let stage = Stage::new().await;
    let (server, client) = (&stage.server, &stage.owner.client);
    let names = [
        "\"../../x.php\"".to_owned(),
        format!("\"{}.php\"", "x".repeat(300)),
        "\"a\r\nx-evil: 1\"".to_owned(),
        "\"x.php\"; filename*=UTF-8''..%2f..%0d%0ax-evil:%201%00.php".to_owned(),
    ];
    for name in &names {
        let bytes = jpeg(60, 40, 1);
        let upload = announce(client, "event", &stage.event, &bytes).await;
        let status = put_with_name(server.client.base(), &upload, name, &bytes).await;
        assert_eq!(status, 204, "{name}");
        let picture = complete(client, &upload).await.expect(200).json;
        let key = picture["storage_key"].as_str().expect("a key");
        assert!(uuid::Uuid::parse_str(key).is_ok(), "{name}: {key}");
        let (_, headers, _) = file(server, picture["url"].as_str().expect("an address")).await;
        assert_eq!(headers["content-type"], "image/jpeg");
        for evil in ["content-disposition", "x-evil"] {
            assert!(!headers.contains_key(evil), "{name}: {evil}");
        }
    }
    // A malformed header is refused, and nothing is stored.
    let bytes = jpeg(60, 40, 1);
    let upload = announce(client, "event", &stage.event, &bytes).await;
    let status = put_with_name(server.client.base(), &upload, "\"a\0b\"", &bytes).await;
    assert_eq!(status, 400);
    let missing = complete(client, &upload).await.expect(409);
    assert_eq!(missing.problem(), "upload-missing");
    server.settled().await;
    let media = &server.built.app.modules.media;
    let audit = media.audit().await.expect("looked");
    assert_eq!((audit.files, audit.orphans), (3 * names.len(), Vec::new()));
}

/// Uploads the bytes with this file name, which is sent without any escaping. Returns the status.
async fn put_with_name(base: &str, upload: &Value, name: &str, bytes: &[u8]) -> u16 {
    let (path, headers) = way(upload);
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}content-disposition: attachment; filename={name}\r\n\r\n",
        bytes.len()
    );
    let answer = talk(base, [head.as_bytes(), bytes].concat()).await;
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn md5_nothing_that_a_camera_writes_is_shown() {
    let stage = Stage::new().await;
    let bytes = from_a_camera();
    assert!(
        place_in(&bytes),
        "the control: the file says where it was taken"
    );
    let picture = uploaded(&stage.server, &stage.owner, "event", &stage.event, &bytes).await;
    // Rotated according to its metadata.
    assert_eq!(
        (&picture["width"], &picture["height"]),
        (&json!(300), &json!(400))
    );
    for size in ["small_url", "medium_url", "url"] {
        let url = picture[size].as_str().expect("an address");
        let (_, _, bytes) = file(&stage.server, url).await;
        assert!(!place_in(&bytes));
        let reader = exif::Reader::new().read_from_container(&mut Cursor::new(&bytes));
        assert!(reader.is_err(), "{size}");
    }
}

fn place_in(bytes: &[u8]) -> bool {
    let reader = exif::Reader::new().read_from_container(&mut Cursor::new(bytes));
    reader.is_ok_and(|exif| exif.get_field(Tag::GPSLatitude, In::PRIMARY).is_some())
}

fn from_a_camera() -> Vec<u8> {
    let field = |tag, value| Field {
        tag,
        ifd_num: In::PRIMARY,
        value,
    };
    let fields = [
        field(Tag::Orientation, Exif::Short(vec![6])),
        field(
            Tag::GPSLatitude,
            Exif::Rational(vec![Rational { num: 37, denom: 1 }]),
        ),
    ];
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut exif = Cursor::new(Vec::new());
    writer.write(&mut exif, false).expect("EXIF");
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif.into_inner()).expect("room");
    let drawn = image::load_from_memory(&jpeg(400, 300, 3)).expect("a picture");
    encoder.encode_image(&drawn).expect("a file");
    bytes
}
