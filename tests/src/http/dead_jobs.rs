//! `/jobs/dead`: only for platform administrators, without secrets, and audited.

use crate::support::{Client, Member, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

async fn dead(server: &TestServer, count: i32) -> Vec<Uuid> {
    let mut conn = server.superuser().await;
    let text = "insert into jobs.queue (name, payload, state, attempts, max_attempts, ended_at, last_error, unique_key)
        select 'audit.seal', jsonb_build_object('token', 'canary', 'n', n), 'dead', 20, 20, now(), 'no luck', 'key ' || n
        from generate_series(1, $1) n returning id";
    sqlx::query_scalar(text)
        .bind(count)
        .fetch_all(&mut conn)
        .await
        .expect("dead jobs")
}

async fn administrator(server: &TestServer) -> Member {
    let member = server.member("paula").await;
    server.grant(&member, "platformAdmin", None).await;
    member
}

#[tokio::test]
async fn only_platform_administrators_reach_dead_jobs() {
    let server = TestServer::start().await;
    let id = dead(&server, 1).await[0];
    let member = server.member("mia").await;
    let city = server.member("carlo").await;
    server
        .grant(
            &city,
            "cityAdmin",
            Some(("city", server.city("melbourne").await)),
        )
        .await;
    let ways = async |client: &Client, status: u16| {
        client.get("/jobs/dead").await.expect(status);
        client
            .act(&format!("/jobs/dead/{id}/retry"))
            .await
            .expect(status);
        client
            .delete(&format!("/jobs/dead/{id}"))
            .await
            .expect(status);
    };
    ways(&server.client, 401).await;
    ways(&member.client, 403).await;
    ways(&city.client, 403).await;
    let mut conn = server.superuser().await;
    let left: i64 = sqlx::query_scalar("select count(*) from jobs.queue where state = 'dead'")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn dead_jobs_are_paged_and_show_no_payload() {
    let server = TestServer::start().await;
    dead(&server, 5).await;
    let admin = administrator(&server).await;
    let first = admin
        .client
        .get("/jobs/dead?limit=3&name=audit.seal")
        .await
        .expect(200);
    assert!(!first.json.to_string().contains("canary"), "{}", first.json);
    assert_eq!(
        first.json["data"][0]["payload"],
        json!({"token": "•", "n": "•"})
    );
    let cursor = first.json["next_cursor"].as_str().expect("more");
    let rest = admin
        .client
        .get(&format!(
            "/jobs/dead?limit=3&name=audit.seal&cursor={cursor}"
        ))
        .await
        .expect(200);
    assert_eq!(rest.json["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(rest.json["next_cursor"], Value::Null);
    admin
        .client
        .get(&format!("/jobs/dead?cursor={cursor}"))
        .await
        .expect(400);
    for wrong in [
        "limit=0",
        "limit=101",
        "name=x",
        "name=DROP",
        "cursor=",
        "other=1",
        "limit=1&limit=2",
    ] {
        admin
            .client
            .get(&format!("/jobs/dead?{wrong}"))
            .await
            .expect(422);
    }
    assert_eq!(
        admin
            .client
            .get("/jobs/dead?name=a.b")
            .await
            .expect(200)
            .json["data"],
        json!([])
    );
}

#[tokio::test]
async fn a_dead_job_is_tried_again_or_given_up_once_and_it_is_written_down() {
    let server = TestServer::start().await;
    let ids = dead(&server, 3).await;
    let admin = administrator(&server).await;
    let mut conn = server.superuser().await;
    let (again, up, waiting) = (ids[0], ids[1], ids[2]);
    let retry = async |id: Uuid| admin.client.act(&format!("/jobs/dead/{id}/retry")).await;
    let tried = retry(again).await.expect(204);
    retry(again).await.expect(404);
    let given_up = admin
        .client
        .delete(&format!("/jobs/dead/{up}"))
        .await
        .expect(204);
    admin
        .client
        .delete(&format!("/jobs/dead/{up}"))
        .await
        .expect(404);
    admin.client.delete("/jobs/dead/nonsense").await.expect(404);
    let text = "insert into jobs.queue (name, payload, max_attempts, unique_key, run_at) select name, '{}', 1, unique_key, now() + interval '1 hour' from jobs.queue where id = $1";
    sqlx::query(text)
        .bind(waiting)
        .execute(&mut conn)
        .await
        .unwrap();
    retry(waiting).await.expect(409);

    let text = "select entity_type, action, performed_by from audit.audit_logs where entity_id = $1 and request_id = $2::text::uuid";
    for (id, answer, action) in [(again, tried, "retry"), (up, given_up, "discard")] {
        let entry: (String, String, Uuid) = sqlx::query_as(text)
            .bind(id)
            .bind(answer.header("x-request-id").expect("an id"))
            .fetch_one(&mut conn)
            .await
            .expect("an entry");
        assert_eq!(entry, ("job".to_owned(), action.to_owned(), admin.id));
    }
}
