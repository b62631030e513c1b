//! Archived rows: they can't be used for anything except restoring.

use crate::{
    http::{
        bodies,
        operations::{self, Operation},
    },
    rules::world::Row,
    support::{
        self, Client, TestServer, model,
        pages::{all, ids},
    },
};
use codegen::model::{Entity, Lifecycle};
use kernel::{
    Actor, Facts,
    actor::Held,
    resource::{Kind, Resource},
    rule::possible::{Possible, possible},
};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;
use uuid::Uuid;

const OUTSIDER: &str = "outsider";

/// A member with roles of every kind, a member without roles, and an anonymous caller.
async fn askers(server: &TestServer) -> Vec<(Client, Actor, Option<Facts>)> {
    let admin = super::fields::everything(server).await;
    let member = server.member(OUTSIDER).await;
    let user = |id| Actor::User { id, session: None };
    let held = |role: &str, held| (role.to_owned(), held);
    let some = || Held::Of([Uuid::nil()].into());
    let facts = Facts {
        user: Some(admin.id),
        roles: [
            held("platformAdmin", Held::Everywhere(true)),
            held("cityAdmin", some()),
            held("orgAdmin", some()),
        ]
        .into(),
    };
    let no_roles = Facts {
        user: Some(member.id),
        ..Facts::default()
    };
    vec![
        (admin.client, user(admin.id), Some(facts)),
        (member.client, user(member.id), Some(no_roles)),
        (server.client.clone(), Actor::Anonymous, None),
    ]
}

/// A row in the administrator's list that can be archived.
async fn archivable(conn: &mut PgConnection, admin: &Client, entity: &Entity) -> Option<Value> {
    let path = support::resources()[entity.name.as_str()].path;
    let list = admin.get(&format!("/{path}?limit=20")).await;
    let rows = list.json["data"].as_array()?;
    // The callers themselves must not be archived.
    let mine = PEOPLE[0].id.to_string();
    let others = |row: &&Value| !row.to_string().contains(&mine) && row["handle"] != OUTSIDER;
    for row in rows.iter().filter(others) {
        sqlx::raw_sql("begin")
            .execute(&mut *conn)
            .await
            .expect("begun");
        let done = archive(conn, entity, row["id"].as_str()?).await;
        sqlx::raw_sql("rollback")
            .execute(&mut *conn)
            .await
            .expect("undone");
        if done {
            return Some(row.clone());
        }
    }
    None
}

async fn archive(conn: &mut PgConnection, entity: &Entity, id: &str) -> bool {
    let text = format!(
        "update app.{} set status = 'archived' where id = '{id}'",
        entity.plural
    );
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(conn).await;
    done.is_ok()
}

async fn stored(conn: &mut PgConnection, plural: &str, condition: &str) -> Option<Row> {
    let text =
        format!("select to_jsonb(t) from app.{plural} t where {condition} order by t.id limit 1");
    let row: Option<Value> = sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_optional(conn)
        .await
        .expect("looked");
    row.map(|row| row.as_object().expect("a row").clone())
}

#[tokio::test]
async fn abuse_11_an_archived_row_is_gone_for_everything_but_restoring() {
    let server = TestServer::sample().await;
    let mut conn = server.superuser().await;
    let askers = askers(&server).await;
    let admin = &askers[0].0;
    let (mut tried, mut lists, mut refused) = (0, BTreeMap::new(), 0);
    let soft = |entity: &&Entity| entity.lifecycle == Lifecycle::SoftDelete && !entity.internal;
    for entity in model().entities.iter().filter(soft) {
        let resource = support::resources()[entity.name.as_str()];
        let Some(shown) = archivable(&mut conn, admin, entity).await else {
            continue;
        };
        let id = shown["id"].as_str().expect("an id");
        let row = stored(&mut conn, resource.plural, &format!("id = '{id}'")).await;
        let mut before = Vec::new();
        for (kind, path) in lists_with(entity, resource, &shown) {
            if ids(&all(admin, &path).await).contains(&id) {
                *lists.entry(kind).or_insert(0) += 1;
                before.push(path);
            }
        }
        assert!(!before.is_empty(), "{} is in no list", entity.name);
        assert!(archive(&mut conn, entity, id).await);
        for path in before {
            assert!(
                !ids(&all(admin, &path).await).contains(&id),
                "{id} in {path}"
            );
        }
        for asker in &askers {
            is_missing(asker, resource, &row.clone().expect("a row")).await;
        }
        refused += takes_no_children(&mut conn, admin, resource, id).await;
        tried += 1;
    }
    assert!(tried >= 20, "{tried} entities");
    assert!(refused >= 10, "{refused} children refused for their parent");
    for kind in ["list", "filter", "search", "map", "nested"] {
        assert!(
            lists.get(kind).is_some_and(|count| *count >= 4),
            "{lists:?}"
        );
    }
}

/// Every list that should contain the row, with the kind of list.
fn lists_with(entity: &Entity, resource: &Resource, shown: &Value) -> Vec<(&'static str, String)> {
    let base = format!("/{}", resource.path);
    let mut lists = vec![("list", base.clone())];
    for relation in entity.belongs.iter().filter(|relation| relation.filter) {
        let column = relation.id_column();
        if let Some(parent) = shown[&column].as_str() {
            lists.push(("filter", format!("{base}?{column}={parent}")));
        }
    }
    for filter in resource.filters {
        match filter.kind {
            Kind::Search => {
                let field = entity.fields.iter().find(|field| field.search);
                let words = shown[&field.expect("a field to search").name].as_str();
                lists.push((
                    "search",
                    format!("{base}?q={}", plain(words.unwrap_or_default())),
                ));
            }
            Kind::Point => {
                let (lat, lng) = (&shown["location"]["lat"], &shown["location"]["lng"]);
                if lat.is_number() {
                    lists.push(("map", format!("{base}?near={lat},{lng}&radius_m=500")));
                    lists.push(("map", format!("{base}?bbox=-180,-90,180,90")));
                }
            }
            _ => {}
        }
    }
    for parent in support::resources().values() {
        for child in parent
            .children
            .iter()
            .filter(|child| child.entity == entity.name)
        {
            let operation = Operation {
                resource: parent,
                kind: operations::Kind::Nested(child),
            };
            let (_, via) = operation.below().expect("a relation");
            let fits = via
                .type_column()
                .is_none_or(|column| shown[&column] == parent.name);
            if let (true, Some(id)) = (fits, shown[via.id_column()].as_str()) {
                lists.push(("nested", operation.path(id)));
            }
        }
    }
    lists
}

/// The letters and digits of a name, for a query.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| word.len() > 2).take(3).collect();
    words.join("%20")
}

/// Every request for the row is answered as if it had never existed: 404, or 401 or 403 if the caller could not be
/// allowed the operation on any row.
async fn is_missing(
    asker: &(Client, Actor, Option<Facts>),
    resource: &'static Resource,
    row: &Row,
) {
    let (client, actor, facts) = asker;
    let id = row["id"].as_str().expect("an id");
    let nobody = Uuid::now_v7().to_string();
    for operation in operations::of(resource) {
        let restores = matches!(operation.kind, operations::Kind::Restore)
            && facts.as_ref().is_some_and(|f| !f.roles.is_empty());
        if !operation.has_id() || restores {
            continue;
        }
        let body = bodies::body(&operation, row);
        let send = async |id: &str| {
            let (method, path) = (operation.method(), operation.path(id));
            let headers = [("if-match", "*")];
            client.send(method, &path, body.clone(), &headers).await
        };
        let (archived, missing) = (send(id).await, send(&nobody).await);
        let never = |rule| possible(rule, actor, facts.as_ref()) == Possible::Never;
        let below = operation.below().filter(|_| facts.is_none());
        let refused =
            never(operation.rule()) || below.is_some_and(|(child, _)| never(child.rules.read));
        let expected = match (refused, facts) {
            (false, _) => 404,
            (true, Some(_)) => 403,
            (true, None) => 401,
        };
        let title = operation.title();
        assert_eq!(
            archived.status, expected,
            "{title} of {id}: {}",
            archived.text
        );
        assert_eq!(archived.told(), missing.told(), "{title} of {id}");
        assert!(
            !archived.text.contains("archived"),
            "{title}: {}",
            archived.text
        );
    }
}

/// No children can be attached to the row: each kind of child is refused as with a parent that never existed. Returns
/// how many kinds were refused because of the parent.
async fn takes_no_children(
    conn: &mut PgConnection,
    admin: &Client,
    resource: &'static Resource,
    id: &str,
) -> usize {
    let mut refused = 0;
    for operation in operations::of(resource) {
        let Some((child, via)) = operation.below() else {
            continue;
        };
        let nested = admin.post(&operation.path(id), json!({})).await;
        assert_eq!(nested.status, 405, "POST {}", operation.path(id));
        let operations::Kind::Nested(below) = operation.kind else {
            continue;
        };
        let like = stored(conn, child.plural, &format!("{} is not null", below.sql)).await;
        let (Some(_), Some(like)) = (child.create, like) else {
            continue;
        };
        let body = |parent: &str| {
            let mut body = bodies::create(child, &like);
            body[via.id_column()] = parent.into();
            body
        };
        let path = format!("/{}", child.path);
        let archived = admin.post(&path, body(id)).await;
        let missing = admin.post(&path, body(&Uuid::now_v7().to_string())).await;
        assert!(
            matches!(archived.status.as_u16(), 403 | 422),
            "{path}: {}",
            archived.text
        );
        assert_eq!(archived.told(), missing.told(), "POST {path} below {id}");
        refused += usize::from(archived.problem() == "invalid-reference");
    }
    refused
}

/// Nothing can be attached to an archived row, search does not find it, and counters exclude it.
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
        "the like must be archived with the event"
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
        "the like must be restored with the event"
    );
}
