//! Archived rows: their unique values are free again, and nothing can be attached to them.

use crate::support::{Answer, Member, TestServer};
use serde_json::json;
use server::seed::demo::PEOPLE;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use uuid::Uuid;

#[track_caller]
fn statuses(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        assert!(answer.status.as_u16() < 500, "{}", answer.text);
        *counts.entry(answer.status.as_u16()).or_insert(0) += 1;
    }
    counts
}

async fn all_at_once<F: Future<Output = Answer> + Send + 'static>(
    requests: impl IntoIterator<Item = F>,
) -> Vec<Answer> {
    let tasks: Vec<_> = requests.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no request panics"));
    }
    answers
}

/// Archives a row, takes its unique value for another row, and tries to restore the first. `restores` must be who
/// archived it, since what a member archived can only be restored by that member.
async fn round_trip(member: &Member, path: &str, body: serde_json::Value, restores: &Member) {
    let first = member.client.post(path, body.clone()).await.expect(201);
    let taken = member.client.post(path, body.clone()).await;
    assert_eq!(
        (taken.status.as_u16(), taken.problem()),
        (409, "conflict"),
        "{path}: {}",
        taken.text
    );
    let one = format!("{path}/{}", first.id());
    restores.client.delete(&one).await.expect(204);

    // Of several concurrent attempts, one gets the value.
    let again = (0..6).map(|_| {
        let (client, path, body) = (member.client.clone(), path.to_owned(), body.clone());
        async move { client.post(&path, body).await }
    });
    let answers = all_at_once(again).await;
    assert_eq!(
        statuses(&answers),
        BTreeMap::from([(201, 1), (409, 5)]),
        "{path}"
    );
    let second = answers
        .iter()
        .find(|answer| answer.status == 201)
        .expect("one");
    let second = format!("{path}/{}", second.id());

    let restored = restores.client.act(&format!("{one}/restore")).await;
    if let Some(slug) = body["slug"].as_str() {
        // A slug that is derived from a name gets another ending.
        let restored = restored.expect(200);
        let again = restored.json["slug"].as_str().expect("a slug");
        assert!(again.starts_with(&format!("{slug}-")), "{path}: {again}");
        return;
    }
    assert_eq!(
        (restored.status.as_u16(), restored.problem()),
        (409, "conflict"),
        "{path}: {}",
        restored.text
    );
    member.client.get(&one).await.expect(404);
    // Once the value is free, the first row can be restored, and then the second can't.
    restores.client.delete(&second).await.expect(204);
    restores
        .client
        .act(&format!("{one}/restore"))
        .await
        .expect(200);
    let restored = restores.client.act(&format!("{second}/restore")).await;
    assert_eq!(restored.status, 409, "{path}: {}", restored.text);
}

#[tokio::test]
async fn abuse_74_a_name_is_free_again_and_taken_once() {
    let server = TestServer::demo().await;
    let mira = server.sign_in(PEOPLE[4].id).await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let mut conn = server.superuser().await;
    let city = server.city("melbourne").await;
    let community = json!({"city_id": city, "name": "The one choir", "slug": "the-one-choir"});
    round_trip(&mira, "/communities", community, &mira).await;

    let event: Uuid = sqlx::query_scalar(
        "select e.id from app.events e where e.state = 'published' and e.visibility = 'public' and e.status = 'active'
           and e.host_type = 'organization' and not exists (select from app.likes l where l.event_id = e.id and l.user_id = $1) limit 1",
    )
    .bind(mira.id)
    .fetch_one(&mut conn)
    .await
    .expect("an event");
    round_trip(&mira, "/likes", json!({"event_id": event}), &mira).await;
    let follow = json!({"entity_type": "user", "entity_id": PEOPLE[3].id});
    sqlx::query("update app.follows set status = 'archived' where follower_id = $1")
        .bind(mira.id)
        .execute(&mut conn)
        .await
        .expect("follows nobody");
    round_trip(&mira, "/follows", follow, &mira).await;

    // A membership, which staff of the community can restore.
    let club = json!({"city_id": city, "name": "The one club"});
    let club = paula
        .client
        .post("/communities", club)
        .await
        .expect(201)
        .id();
    let membership = json!({"community_id": club, "user_id": mira.id});
    round_trip(&mira, "/community-members", membership, &paula).await;
}

/// For all tables whose rows can be archived: each unique index excludes archived rows, or contains the id.
#[tokio::test]
async fn abuse_74_no_unique_index_counts_archived_rows() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    let mut seen = 0;
    for entity in &crate::support::model().entities {
        if entity.lifecycle != codegen::model::Lifecycle::SoftDelete {
            continue;
        }
        let counting: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 'app.{}'::regclass and indisunique and not indisprimary",
            entity.plural
        )))
        .fetch_all(&mut conn)
        .await
        .expect("indexes");
        for index in counting {
            // A unique index with `id` never conflicts (those with further columns serve references that include the
            // city).
            let by_id = index.contains("(id");
            assert!(by_id || index.contains("<> 'archived'"), "{index}");
            seen += usize::from(!by_id);
        }
    }
    assert!(seen > 15, "{seen}");
}

/// The number of active likes of an archived event.
const ORPHANS: &str = "select count(*) from app.likes l join app.events e on e.id = l.event_id
    where l.status = 'active' and e.status = 'archived'";

#[tokio::test]
async fn abuse_75_what_is_hung_on_a_vanishing_parent_vanishes_too() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let events: Vec<Uuid> = sqlx::query_scalar(
        "insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
         select e.city_id, e.host_type, e.host_id, 'Race ' || g, 'race-' || g, e.starts_at, e.ends_at, e.timezone, 'published'
         from (select * from app.events where state = 'published' and status = 'active' and host_type = 'organization' limit 1) e,
           generate_series(1, 10) g returning id",
    )
    .fetch_all(&mut conn)
    .await
    .expect("events");
    let mut fans = Vec::new();
    for n in 0..6 {
        fans.push(server.member(&format!("fan_{n}")).await);
    }
    let (mut liked, mut late) = (0, 0);
    for event in events {
        let path = format!("/events/{event}");
        let likes = fans.iter().enumerate().map(|(n, fan)| {
            let client = fan.client.clone();
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(2 * n as u64)).await;
                client.post("/likes", json!({"event_id": event})).await
            }
        });
        let archive = {
            let client = paula.client.clone();
            async move {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                client.delete(&path).await
            }
        };
        let (likes, archived) = tokio::join!(all_at_once(likes), archive);
        // A request that waited too long for the other is told to retry, and has changed nothing.
        let gone = archived.status == 204;
        assert!(gone || archived.status == 503, "{}", archived.text);
        for like in &likes {
            match like.status.as_u16() {
                201 => liked += 1,
                422 if gone => late += 1,
                503 => assert!(like.header("retry-after").is_some()),
                _ => panic!("{}", like.text),
            }
        }
        let orphans: i64 = sqlx::query_scalar(ORPHANS)
            .fetch_one(&mut conn)
            .await
            .expect("a count");
        assert_eq!(orphans, 0, "{event}");
        let counted: i64 =
            sqlx::query_scalar("select like_count::int8 from counters.events where id = $1")
                .bind(event)
                .fetch_one(&mut conn)
                .await
                .expect("a count");
        if !gone {
            continue;
        }
        assert_eq!(counted, 0, "{event}");
        for (fan, like) in fans.iter().zip(&likes) {
            if like.status == 201 {
                let gone = fan.client.get(&format!("/likes/{}", like.id())).await;
                assert_eq!(gone.status, 404, "{}", gone.text);
            }
        }
    }
    assert!(liked > 0 && late > 0, "{liked} before and {late} after");
}
