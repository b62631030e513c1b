//! The lifetime of files: withheld together with their rows, finally deleted, and none without a row.

use super::Stage;
use crate::support::{
    TestServer,
    database::Content,
    pictures::{announce, complete, file, jpeg, send, uploaded},
};
use app::media::Audit;
use reqwest::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

struct Days(Arc<AtomicI64>);

impl Days {
    async fn stage() -> (Stage, Self) {
        let days = Arc::new(AtomicI64::new(0));
        let passed = days.clone();
        let server = TestServer::start_with(Content::Demo, |parts| {
            parts.clock = app::clock::Clock::new(move || {
                chrono::Utc::now() + chrono::TimeDelta::days(passed.load(Ordering::Relaxed))
            });
        })
        .await;
        // Rows of the sample data have no files.
        let mut conn = server.superuser().await;
        sqlx::raw_sql("delete from app.media")
            .execute(&mut conn)
            .await
            .expect("none of them");
        (Stage::of(server).await, Self(days))
    }

    /// Makes days pass: for rows, whose times are the database's, and for the server's own clock.
    async fn pass(&self, stage: &Stage, days: i64) {
        self.0.fetch_add(days, Ordering::Relaxed);
        let older = format!(
            "set session_replication_role = replica;
             update app.media set updated_at = updated_at - interval '{days} days';
             update app.media_uploads set created_at = created_at - interval '{days} days', settled_at = settled_at - interval '{days} days'"
        );
        let mut conn = stage.server.superuser().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(older))
            .execute(&mut conn)
            .await
            .expect("older");
    }
}

async fn audit(stage: &Stage) -> Audit {
    stage.server.settled().await;
    let media = &stage.server.built.app.modules.media;
    media.audit().await.expect("looked")
}

async fn is_served(stage: &Stage, picture: &Value) -> bool {
    let mut found = Vec::new();
    for size in ["small_url", "medium_url", "url"] {
        let url = picture[size].as_str().expect("an address");
        let (status, headers, _) = file(&stage.server, url).await;
        found.push(status);
        // A cache that has it learns the same.
        let [name, key] = [0, 1].map(|n| url.rsplit('/').nth(n).expect("a part"));
        let tag = format!("\"{key}-{name}\"");
        if let Some(own) = headers.get("etag") {
            assert_eq!(own.to_str().ok(), Some(tag.as_str()));
        }
        let path = format!("/media/files/{key}/{name}");
        let client = &stage.server.client;
        for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let known = [("if-none-match", tags.as_str())];
            let kept = client.send(Method::GET, &path, None, &known).await;
            let expected = if status == 200 { 304 } else { status };
            assert_eq!(kept.status.as_u16(), expected, "{path} {tags}");
        }
        let other = [("if-none-match", "\"x\"")];
        let sent = client.send(Method::GET, &path, None, &other).await;
        assert_eq!(sent.status.as_u16(), status, "{path}");
    }
    assert!(found.iter().all(|status| *status == found[0]), "{found:?}");
    found[0] == 200
}

#[tokio::test]
async fn md8_what_is_archived_or_suspended_is_not_served() {
    let (stage, _) = Days::stage().await;
    let owner = &stage.owner.client;
    let picture = uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 1),
    )
    .await;
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    assert!(is_served(&stage, &picture).await);
    owner.delete(&path).await.expect(204);
    stage.server.settled().await;
    assert!(!is_served(&stage, &picture).await);
    owner.act(&format!("{path}/restore")).await.expect(200);
    stage.server.settled().await;
    assert!(is_served(&stage, &picture).await);
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    carlo
        .client
        .act(&format!("{path}/suspend"))
        .await
        .expect(200);
    stage.server.settled().await;
    assert!(!is_served(&stage, &picture).await);
    carlo
        .client
        .act(&format!("{path}/unsuspend"))
        .await
        .expect(200);
    stage.server.settled().await;
    assert!(is_served(&stage, &picture).await);
    // Archived together with its event.
    let event = format!("/events/{}", stage.event);
    owner.delete(&event).await.expect(204);
    stage.server.settled().await;
    assert!(!is_served(&stage, &picture).await);
    owner.act(&format!("{event}/restore")).await.expect(200);
    stage.server.settled().await;
    assert!(is_served(&stage, &picture).await);
    assert_eq!(
        audit(&stage).await,
        Audit {
            files: 3,
            ..Audit::default()
        }
    );
}

/// Suspending or archiving an event or its host makes their pictures unavailable too, even for those who know the
/// address.
#[tokio::test]
async fn md8_pictures_of_what_is_suspended_are_not_served() {
    let (stage, _) = Days::stage().await;
    let picture = uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 1),
    )
    .await;
    let path = format!("/events/{}", stage.event);
    let event = stage.owner.client.get(&path).await.expect(200).json;
    let host = event["host_id"].as_str().expect("an id");
    let of_host = uploaded(
        &stage.server,
        &stage.owner,
        "organization",
        host,
        &jpeg(60, 40, 2),
    )
    .await;
    let carlo = stage.server.sign_in(PEOPLE[1].id).await;
    let act = async |path: &str, verb: &str| {
        let path = format!("{path}/{verb}");
        carlo.client.act(&path).await.expect(200);
        stage.server.settled().await;
    };
    let served = async || {
        (
            is_served(&stage, &picture).await,
            is_served(&stage, &of_host).await,
        )
    };
    assert_eq!(served().await, (true, true));
    act(&path, "suspend").await;
    assert_eq!(served().await, (false, true));
    // Its own suspension ends while its event is still hidden, so it stays hidden.
    let own = format!("/media/{}", picture["id"].as_str().expect("an id"));
    let mut conn = stage.server.superuser().await;
    for status in ["suspended", "active"] {
        let set =
            format!("update app.media set status = '{status}' where '{own}' = '/media/' || id");
        sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(&mut conn)
            .await
            .expect("changed");
        stage.server.settled().await;
    }
    assert_eq!(served().await, (false, true));
    assert_eq!(audit(&stage).await.missing, [] as [uuid::Uuid; 0]);
    act(&path, "unsuspend").await;
    assert_eq!(served().await, (true, true));

    let host = format!("/organizations/{host}");
    act(&host, "suspend").await;
    assert_eq!(served().await, (false, false));
    assert_eq!(audit(&stage).await.missing, [] as [uuid::Uuid; 0]);
    act(&host, "unsuspend").await;
    assert_eq!(served().await, (true, true));
    let found = audit(&stage).await;
    let all = Audit {
        files: 6,
        ..Audit::default()
    };
    assert_eq!(found, all);
}

/// Pictures of an object that others can't see any more without being suspended: others don't see the rows, and the
/// address, which only those know who saw the row, still works (ADR 68).
#[tokio::test]
async fn md7_an_address_is_known_to_those_who_could_see_the_row() {
    let (stage, _) = Days::stage().await;
    let picture = uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 1),
    )
    .await;
    let row = format!("/media/{}", picture["id"].as_str().expect("an id"));
    let list = format!("/media?entity_id={}", stage.event);
    let stranger = stage.server.member("stranger").await;
    let mut conn = stage.server.superuser().await;
    for (set, sees) in [
        ("state = 'draft'", false),
        ("state = 'published'", true),
        ("visibility = 'unlisted'", false),
    ] {
        let set = format!("update app.events set {set} where id = '{}'", stage.event);
        sqlx::raw_sql(sqlx::AssertSqlSafe(set))
            .execute(&mut conn)
            .await
            .expect("changed");
        stage.server.settled().await;
        for client in [&stranger.client, &stage.server.client] {
            client.get(&row).await.expect(if sees { 200 } else { 404 });
            let listed = client.get(&list).await.expect(200).json;
            let count = listed["data"].as_array().map(Vec::len);
            assert_eq!(count, Some(usize::from(sees)), "{listed}");
        }
        assert!(is_served(&stage, &picture).await);
    }
}

#[tokio::test]
async fn md8_files_of_what_was_archived_long_ago_are_deleted() {
    let (stage, days) = Days::stage().await;
    let (owner, media) = (&stage.owner.client, &stage.server.built.app.modules.media);
    let mut pictures = Vec::new();
    for seed in 0..2 {
        let bytes = jpeg(60, 40, seed);
        pictures.push(uploaded(&stage.server, &stage.owner, "event", &stage.event, &bytes).await);
    }
    let path = format!("/media/{}", pictures[0]["id"].as_str().expect("an id"));
    owner.delete(&path).await.expect(204);
    days.pass(&stage, 29).await;
    media.sweep().await.expect("swept");
    stage.server.settled().await;
    assert_eq!(
        audit(&stage).await.files,
        6,
        "files are kept while the picture can be restored"
    );
    days.pass(&stage, 2).await;
    media.sweep().await.expect("swept");
    stage.server.settled().await;
    // Running it twice does no harm.
    assert_eq!(media.sweep().await.expect("swept"), 0);
    assert_eq!(
        audit(&stage).await,
        Audit {
            files: 3,
            ..Audit::default()
        }
    );
    owner.act(&format!("{path}/restore")).await.expect(409);
    assert!(is_served(&stage, &pictures[1]).await);
    // It isn't restored together with its event.
    let event = format!("/events/{}", stage.event);
    owner.delete(&event).await.expect(204);
    owner.act(&format!("{event}/restore")).await.expect(200);
    stage.server.settled().await;
    owner.get(&path).await.expect(404);
    assert_eq!(
        audit(&stage).await,
        Audit {
            files: 3,
            ..Audit::default()
        }
    );
}

/// An erasure leaves no picture of the member, however long archived pictures are kept.
#[tokio::test]
async fn md8_pictures_of_an_erased_member_are_deleted_at_once() {
    let (stage, _) = Days::stage().await;
    let modules = &stage.server.built.app.modules;
    let member = stage.server.member("mona_leaves").await;
    let other = stage.server.member("mona_stays").await;
    for of in [&member, &other] {
        let id = of.id.to_string();
        uploaded(&stage.server, of, "user", &id, &jpeg(60, 40, 1)).await;
    }
    let mut conn = stage.server.superuser().await;
    let is_described = "update app.media_uploads set alt_text = 'Mona at home'";
    sqlx::raw_sql(is_described)
        .execute(&mut conn)
        .await
        .expect("described");
    for of in [&member, &other] {
        of.client.delete("/me").await.expect(204);
    }
    stage.server.settled().await;
    let closed = format!(
        "set session_replication_role = replica;
         update app.users set closed_at = now() - interval '31 days' where id = '{}'",
        member.id
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(closed))
        .execute(&mut conn)
        .await
        .expect("closed long ago");
    assert_eq!(modules.privacy.erase().await.expect("a run"), 1);
    modules.media.sweep().await.expect("swept");
    // The other one may open the account again, and then has the picture.
    let left = Audit {
        files: 3,
        ..Audit::default()
    };
    assert_eq!(audit(&stage).await, left);
    let known: Vec<(uuid::Uuid, Option<String>, String)> =
        sqlx::query_as("select uploaded_by_id, alt_text, sha256 from app.media_uploads")
            .fetch_all(&mut conn)
            .await
            .expect("uploads");
    assert_eq!(known.len(), 2);
    for (by, text, hash) in known {
        let is_erased = text.is_none() && hash == "0".repeat(64);
        assert_eq!(is_erased, by == member.id, "{text:?} {hash}");
    }
}

/// A server whose clock is ahead deletes nothing early.
#[tokio::test]
async fn md8_a_wrong_clock_deletes_nothing() {
    let (stage, days) = Days::stage().await;
    let (owner, media) = (&stage.owner.client, &stage.server.built.app.modules.media);
    let bytes = jpeg(60, 40, 1);
    let picture = uploaded(&stage.server, &stage.owner, "event", &stage.event, &bytes).await;
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    owner.delete(&path).await.expect(204);
    stage.server.settled().await;
    days.0.fetch_add(400, Ordering::Relaxed);
    media.sweep().await.expect("swept");
    stage.server.settled().await;
    days.0.store(0, Ordering::Relaxed);
    owner.act(&format!("{path}/restore")).await.expect(200);
    stage.server.settled().await;
    assert!(is_served(&stage, &picture).await);
}

#[tokio::test]
async fn md1_what_nobody_completes_is_deleted_after_a_day() {
    let (stage, days) = Days::stage().await;
    let (owner, media) = (&stage.owner.client, &stage.server.built.app.modules.media);
    let bytes = jpeg(60, 40, 1);
    let late = announce(owner, "event", &stage.event, &bytes).await;
    send(&stage.server, &late, &bytes).await.expect(204);
    media.sweep().await.expect("swept");
    assert_eq!(
        audit(&stage).await.files,
        1,
        "the upload has not expired yet"
    );
    days.pass(&stage, 2).await;
    media.sweep().await.expect("swept");
    assert_eq!(audit(&stage).await.files, 0);
    let over = complete(owner, &late).await.expect(409);
    assert_eq!(over.problem(), "upload-over");
    days.pass(&stage, 31).await;
    media.sweep().await.expect("swept");
    complete(owner, &late).await.expect(404);
}

/// A picture that was archived with its event, and whose files have been deleted, isn't restored with the event.
#[tokio::test]
async fn md8_a_picture_without_files_stays_archived() {
    let (stage, days) = Days::stage().await;
    let (owner, media) = (&stage.owner.client, &stage.server.built.app.modules.media);
    let bytes = jpeg(60, 40, 1);
    let picture = uploaded(&stage.server, &stage.owner, "event", &stage.event, &bytes).await;
    let path = format!("/media/{}", picture["id"].as_str().expect("an id"));
    let event = format!("/events/{}", stage.event);
    owner.delete(&event).await.expect(204);
    stage.server.settled().await;
    days.pass(&stage, 31).await;
    media.sweep().await.expect("swept");
    stage.server.settled().await;
    let back = owner.act(&format!("{event}/restore")).await.expect(200);
    // Immediately, before any job has run.
    owner.get(&path).await.expect(404);
    let stayed = back.json["still_archived"].as_array().expect("a list");
    let of_picture = stayed.iter().find(|one| one["id"] == picture["id"]);
    let of_picture = of_picture.expect("told");
    assert_eq!(
        (&of_picture["code"], &of_picture["pointer"]),
        (&json!("state"), &json!("/purged_at"))
    );
    stage.server.settled().await;
    owner.get(&path).await.expect(404);
    assert_eq!(audit(&stage).await, Audit::default());
}

/// The control of the audit: rows and files that don't match are found.
#[tokio::test]
async fn md8_files_without_rows_and_rows_without_files_are_found() {
    let (stage, _) = Days::stage().await;
    let one = uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 1),
    )
    .await;
    let two = uploaded(
        &stage.server,
        &stage.owner,
        "event",
        &stage.event,
        &jpeg(60, 40, 2),
    )
    .await;
    assert_eq!(
        audit(&stage).await,
        Audit {
            files: 6,
            ..Audit::default()
        }
    );
    let folder = stage.server.media_folder();
    let key = |picture: &Value| picture["storage_key"].as_str().expect("a key").to_owned();
    // A file of the first picture and the row of the second are deleted.
    std::fs::remove_file(folder.join("pictures").join(key(&one)).join("800.jpg")).expect("a file");
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "delete from app.media_uploads; delete from app.media where storage_key = '{}'",
        key(&two)
    )))
    .execute(&mut conn)
    .await
    .expect("a row less");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    let left = folder.join("pictures").join(key(&two));
    for name in ["320.jpg", "800.jpg", "1600.jpg"] {
        let file = std::fs::File::options()
            .write(true)
            .open(left.join(name))
            .expect("a file");
        file.set_modified(old).expect("old");
    }
    let found = audit(&stage).await;
    assert_eq!((found.files, found.orphans.len()), (5, 3), "{found:?}");
    let id = one["id"].as_str().expect("an id");
    assert_eq!(found.missing, [id.parse::<uuid::Uuid>().expect("an id")]);
}
