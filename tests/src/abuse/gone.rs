//! Archived rows: gone for everything but restoring.

use crate::support::{
    self, Client, TestServer, model,
    pages::{all, ids},
};
use codegen::model::Lifecycle;
use kernel::resource::Resource;
use reqwest::Method;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// A row of each entity that can be archived, one that a list of the platform shows.
async fn archived(
    conn: &mut PgConnection,
    admin: &Client,
    resource: &Resource,
) -> Option<(String, Value)> {
    let list = admin.get(&format!("/{}?limit=20", resource.path)).await;
    for row in list.json["data"].as_array()? {
        let id = row["id"].as_str()?.to_owned();
        let text = format!(
            "update app.{} set status = 'archived' where id = $1::uuid",
            resource.plural
        );
        // What others still refer to cannot be archived.
        let done = sqlx::query(AssertSqlSafe(text))
            .bind(&id)
            .execute(&mut *conn)
            .await;
        if done.is_ok() {
            return Some((id, row.clone()));
        }
    }
    None
}

#[tokio::test]
async fn abuse_11_an_archived_row_is_gone_for_everything_but_restoring() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let admin = super::fields::everything(&server).await.client;
    let mut tried = Vec::new();
    for entity in model()
        .entities
        .iter()
        .filter(|entity| entity.lifecycle == Lifecycle::SoftDelete && !entity.internal)
    {
        let resource = support::resources()[entity.name.as_str()];
        // The platform itself must still be able to ask.
        if entity.name == "user" || entity.name == "role_assignment" {
            continue;
        }
        let Some((id, row)) = archived(&mut conn, &admin, resource).await else {
            continue;
        };
        let path = format!("/{}/{id}", resource.path);
        let mut probes = vec![(Method::GET, path.clone(), None)];
        if resource.update.is_some() {
            probes.push((
                Method::PATCH,
                path.clone(),
                Some(Value::Object(Default::default())),
            ));
        }
        if !resource.sql.archive.is_empty() && entity.writable() && entity.access.delete.is_some() {
            probes.push((Method::DELETE, path.clone(), None));
        }
        for transition in resource.transitions {
            let reason = transition
                .reason
                .then(|| serde_json::json!({"reason": "because"}));
            probes.push((
                Method::POST,
                format!("{path}/{}", transition.name.replace('_', "-")),
                reason,
            ));
        }
        for child in resource.children {
            probes.push((Method::GET, format!("{path}/{}", child.path), None));
        }
        for (method, path, body) in probes {
            let answer = admin
                .send(method.clone(), &path, body, &[("if-match", "*")])
                .await;
            // 403: nothing of this kind could ever be changed by this caller.
            assert!(
                matches!(answer.status.as_u16(), 404 | 403),
                "{method} {path}: {} {}",
                answer.status,
                answer.text
            );
            assert!(
                !answer.text.contains("archived"),
                "{method} {path}: {}",
                answer.text
            );
            assert!(
                method != Method::GET || answer.status == 404,
                "{path}: {}",
                answer.text
            );
        }
        assert!(
            !ids(&all(&admin, &format!("/{}", resource.path)).await).contains(&id.as_str()),
            "{path} is in the list"
        );
        for relation in entity
            .belongs
            .iter()
            .filter(|relation| !relation.polymorphic && relation.filter)
        {
            let Some(parent) = row[relation.id_column()].as_str() else {
                continue;
            };
            let list = all(
                &admin,
                &format!("/{}?{}={parent}", resource.path, relation.id_column()),
            )
            .await;
            assert!(
                !ids(&list).contains(&id.as_str()),
                "{path} by {}",
                relation.name
            );
        }
        tried.push(resource.name);
    }
    assert!(tried.len() >= 15, "{tried:?}");
}

/// Nothing hangs on what is archived, searches find it no more, and counters forget it.
#[tokio::test]
async fn abuse_11_nothing_is_attached_to_an_archived_row_nor_counted() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let (event, title, host): (Uuid, String, Uuid) = sqlx::query_as(
        "select e.id, e.title, e.host_id from app.events e join app.organizations o on o.id = e.host_id
         where e.state = 'published' and e.status = 'active' and e.visibility = 'public' and o.state = 'approved'
           and e.ticket_count = 0 and e.location is not null order by e.id limit 1",
    )
    .fetch_one(&mut conn)
    .await
    .expect("an event");
    let olga = server.member("olga").await;
    server
        .grant(&olga, "orgAdmin", Some(("organization", host)))
        .await;
    let path = format!("/events/{event}");
    let like = || serde_json::json!({ "event_id": event });
    let body = |id: Uuid| serde_json::json!({ "event_id": id });
    ana.client.post("/likes", like()).await.expect(201);
    let query = format!("/events?q={}", title.replace(' ', "%20"));
    assert!(ids(&all(&server.client, &query).await).contains(&event.to_string().as_str()));

    olga.client.delete(&path).await.expect(204);
    for client in [&server.client, &ana.client, &olga.client] {
        client.get(&path).await.expect(404);
        assert!(!ids(&all(client, &query).await).contains(&event.to_string().as_str()));
        let places = all(client, "/events?bbox=-180,-90,180,90").await;
        assert!(!ids(&places).contains(&event.to_string().as_str()));
    }
    let archived = ana.client.post("/likes", like()).await.expect(422);
    let missing = ana
        .client
        .post("/likes", body(Uuid::now_v7()))
        .await
        .expect(422);
    assert_eq!(archived.told(), missing.told());
    assert_eq!(
        all(&ana.client, "/me/likes").await.len(),
        0,
        "the like went along"
    );
    ana.client.act(&format!("{path}/restore")).await.expect(403);
    server
        .client
        .act(&format!("{path}/restore"))
        .await
        .expect(401);
    olga.client.delete(&path).await.expect(404);
    let back = olga
        .client
        .act(&format!("{path}/restore"))
        .await
        .expect(200);
    assert_eq!(back.json["status"], "active");
    assert_eq!(
        all(&ana.client, "/me/likes").await.len(),
        1,
        "and came back with it"
    );
}
