//! References to rows that are missing, hidden, archived, or of another entity all get the same answer.

use crate::support::{self, Client, TestServer, model};
use codegen::model::{Entity, Lifecycle, Relation};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

/// The example of the API document, in which every reference is replaced by the id of an existing row.
async fn body(conn: &mut PgConnection, entity: &Entity, name: &str) -> Value {
    let mut body = support::document()["components"]["schemas"][name]["example"].clone();
    for relation in &entity.belongs {
        if body.get(relation.id_column()).is_none() {
            continue;
        }
        let target = &model().entities[relation.targets[0]];
        let text = format!("select id from app.{} order by id limit 1", target.plural);
        let id: Option<Uuid> = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_optional(&mut *conn)
            .await
            .expect("looked");
        body[relation.id_column()] = json!(id);
        if let Some(column) = relation.type_column() {
            body[column] = json!(target.name);
        }
    }
    body
}

struct Targets {
    /// For each target of the relation: its name, the reason why a row can't be used, and the row's id.
    unusable: Vec<(String, &'static str, Uuid)>,
}

impl Targets {
    async fn of(conn: &mut PgConnection, relation: &Relation) -> Self {
        let mut unusable = Vec::new();
        for &target in &relation.targets {
            let entity = &model().entities[target];
            unusable.push((entity.name.clone(), "missing", Uuid::now_v7()));
            for (what, condition) in [
                ("archived", "status = 'archived'"),
                ("suspended", "status = 'suspended'"),
            ] {
                if entity.lifecycle != Lifecycle::SoftDelete {
                    continue;
                }
                let text = format!(
                    "select id from app.{} where {condition} limit 1",
                    entity.plural
                );
                let found = sqlx::query_scalar(AssertSqlSafe(text))
                    .fetch_optional(&mut *conn)
                    .await
                    .expect("looked");
                unusable.extend(found.map(|id| (entity.name.clone(), what, id)));
            }
            // The id of an existing row of another entity.
            let other = model()
                .entities
                .iter()
                .enumerate()
                .find(|(at, other)| {
                    matches!(other.name.as_str(), "country" | "like")
                        && !relation.targets.contains(at)
                })
                .expect("another kind")
                .1;
            let text = format!("select id from app.{} limit 1", other.plural);
            let id = sqlx::query_scalar(AssertSqlSafe(text))
                .fetch_one(&mut *conn)
                .await
                .expect("a row");
            unusable.push((entity.name.clone(), "another kind", id));
        }
        Self { unusable }
    }
}

/// Suspends and archives some rows of every entity, bypassing the rules.
async fn hide(conn: &mut PgConnection) {
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut *conn)
        .await
        .expect("set");
    for entity in model()
        .entities
        .iter()
        .filter(|entity| entity.lifecycle == Lifecycle::SoftDelete && entity.name != "user")
    {
        for (status, live) in [("archived", "null"), ("suspended", "true")] {
            let has_live: bool = sqlx::query_scalar(
                "select exists (select from information_schema.columns where table_schema = 'app' and table_name = $1 and column_name = 'live_key')",
            )
            .bind(&entity.plural)
            .fetch_one(&mut *conn)
            .await
            .expect("looked");
            let live = if has_live {
                format!(", live_key = {live}")
            } else {
                String::new()
            };
            let text = format!(
                "update app.{0} set status = '{status}'{live} where id = (select id from app.{0} where status = 'active' order by id desc limit 1)",
                entity.plural
            );
            sqlx::raw_sql(AssertSqlSafe(text))
                .execute(&mut *conn)
                .await
                .expect("hidden");
        }
    }
    sqlx::raw_sql("set session_replication_role = origin")
        .execute(conn)
        .await
        .expect("set");
}

#[tokio::test]
async fn abuse_09_what_cannot_be_referred_to_gives_one_answer() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    hide(&mut conn).await;
    let ana = server.member("ana").await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let (mut relations, mut answers) = (0, 0);
    for entity in model().entities.iter().filter(|entity| entity.writable()) {
        let resource = support::resources()[entity.name.as_str()];
        let name: String = entity
            .name
            .split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        if resource.create.is_none() {
            continue;
        }
        let example = body(&mut conn, entity, &format!("Create{name}")).await;
        for relation in entity
            .belongs
            .iter()
            .filter(|relation| example.get(relation.id_column()).is_some())
        {
            let targets = Targets::of(&mut conn, relation).await;
            for client in [&ana.client, &platform.client] {
                answers += same(
                    client,
                    &format!("/{}", resource.path),
                    &example,
                    relation,
                    &targets,
                )
                .await;
            }
            relations += 1;
        }
    }
    assert!(
        relations >= 25 && answers >= 60,
        "{relations} relations, {answers} answers of 422"
    );
}

/// Checks that answers which differ only in the reason why the target can't be used are equal. Returns how many of
/// them were 422.
async fn same(
    client: &Client,
    path: &str,
    example: &Value,
    relation: &Relation,
    targets: &Targets,
) -> usize {
    let mut unprocessable = 0;
    let mut first: Option<(String, (u16, Value))> = None;
    for (target, what, id) in &targets.unusable {
        let mut body = example.clone();
        body[relation.id_column()] = json!(id);
        if let Some(column) = relation.type_column() {
            body[column] = json!(target);
        }
        let answer = client.post(path, body).await;
        assert!(
            answer.status.is_client_error(),
            "{path} took a {target} that is {what}: {}",
            answer.text
        );
        unprocessable += usize::from(answer.status == 422);
        match &first {
            Some((of, expected)) if of == target => {
                assert_eq!(
                    &answer.told(),
                    expected,
                    "{path}: a {target} that is {what}: {}",
                    answer.text
                );
            }
            _ => first = Some((target.clone(), answer.told())),
        }
    }
    unprocessable
}

/// Rows hidden by rules instead of their status: a draft, a private community, a private member.
#[tokio::test]
async fn abuse_09_a_hidden_target_is_a_missing_one() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let ana = server.member("ana").await;
    let find = async |conn: &mut PgConnection, text: &'static str| -> Uuid {
        sqlx::query_scalar(text)
            .fetch_one(conn)
            .await
            .expect("a row")
    };
    let draft = find(
        &mut conn,
        "select id from app.events where state = 'draft' limit 1",
    )
    .await;
    let closed = find(
        &mut conn,
        "select id from app.communities where visibility = 'private' limit 1",
    )
    .await;
    let private = server::seed::demo::PEOPLE[5].id;
    let venue = find(
        &mut conn,
        "select id from app.venues where status = 'active' limit 1",
    )
    .await;
    let missing = Uuid::now_v7();
    let target = |kind: &str, id: Uuid| json!({"entity_type": kind, "entity_id": id});
    let review = |kind: &str, id: Uuid| json!({"entity_type": kind, "entity_id": id, "rating": 1});
    for (path, hidden, gone) in [
        (
            "/likes",
            json!({ "event_id": draft }),
            json!({ "event_id": missing }),
        ),
        (
            "/waitlist-entries",
            json!({ "event_id": draft }),
            json!({ "event_id": missing }),
        ),
        ("/follows", target("user", private), target("user", missing)),
        (
            "/follows",
            target("community", closed),
            target("community", missing),
        ),
        (
            "/follows",
            target("community", venue),
            target("community", missing),
        ),
        (
            "/follows",
            target("venue", closed),
            target("venue", missing),
        ),
        (
            "/reviews",
            review("community", closed),
            review("community", missing),
        ),
        (
            "/reviews",
            review("venue", closed),
            review("venue", missing),
        ),
        (
            "/reviews",
            review("organization", venue),
            review("organization", missing),
        ),
        (
            "/referrals",
            json!({ "referrer_id": private }),
            json!({ "referrer_id": missing }),
        ),
    ] {
        let what = hidden.clone();
        let hidden = ana.client.post(path, hidden).await;
        assert_eq!(hidden.status, 422, "{path} {what}: {}", hidden.text);
        let gone = ana.client.post(path, gone).await;
        assert_eq!(hidden.told(), gone.told(), "{path}");
        assert_eq!(hidden.problem(), "invalid-reference");
    }
}
