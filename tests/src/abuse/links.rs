//! URLs that are not harmless links.

use crate::support::{TestServer, model};
use codegen::model::Ty;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

const BAD_LINKS: [&str; 25] = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "ftp://example.org/x",
    "blob:https://example.org/x",
    "//example.org/x",
    "/x",
    "example",
    "https:example.org",
    "https:/example.org",
    "https:///example.org",
    "https:\\\\example.org",
    "ht\ttps://example.org",
    "https://user@example.org",
    "https://user:password@example.org",
    "https://@example.org",
    "https://example.org@evil.test",
    "https://example.org/<script>",
    "https://example.org/\u{0}",
    "https://example.org/a b",
];

/// Tests one row of each entity with links, as a member who may change it.
#[tokio::test]
async fn abuse_26_links_lead_to_the_web_and_nowhere_else() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let paula = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let object = model()
        .objects
        .iter()
        .position(|object| object.name == "social_links")
        .expect("links");
    let mut tried = 0;
    for entity in &model().entities {
        let Some(field) = entity
            .fields
            .iter()
            .find(|field| field.ty == Ty::Object { object })
        else {
            continue;
        };
        let path = crate::support::resources()[entity.name.as_str()].path;
        let text = format!(
            "select id::text from app.{} where status = 'active' order by id limit 1",
            entity.plural
        );
        let id: String = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_one(&mut conn)
            .await
            .expect("a row");
        let path = format!("/{path}/{id}");
        let links = |links: Value| json!({ &field.name: links });
        let good =
            json!({"website": "https://example.org/?q=javascript:", "x": "https://x.com/culture"});
        let kept = paula
            .client
            .patch(&path, "*", links(good.clone()))
            .await
            .expect(200);
        assert_eq!(kept.json[&field.name]["website"], good["website"]);
        for bad in BAD_LINKS {
            let sent = paula
                .client
                .patch(&path, "*", links(json!({ "website": bad })))
                .await;
            assert_eq!(sent.status, 422, "{bad:?} was taken: {}", sent.text);
            // The database refuses it without the API as well.
            if bad.contains('\0') {
                continue;
            }
            let text = format!(
                "update app.{} set {} = jsonb_build_object('website', $2::text) where id = $1::uuid",
                entity.plural, field.name
            );
            let error = sqlx::query(AssertSqlSafe(text))
                .bind(&id)
                .bind(bad)
                .execute(&mut conn)
                .await
                .err();
            let code = error
                .as_ref()
                .and_then(|e| e.as_database_error())
                .and_then(|e| e.code());
            assert_eq!(
                code.as_deref(),
                Some("23514"),
                "{bad:?} in {}: {error:?}",
                entity.plural
            );
            tried += 1;
        }
        for bad in [
            json!({"myspace": "https://example.org"}),
            json!({"website": {"href": "https://example.org"}}),
            json!({"website": ["https://example.org"]}),
            json!({"website": format!("https://example.org/{}", "a".repeat(2000))}),
            json!({"__proto__": {"admin": true}}),
            json!([]),
        ] {
            let answer = paula.client.patch(&path, "*", links(bad.clone())).await;
            assert_eq!(answer.status, 422, "{bad}: {}", answer.text);
        }
        let shown = paula.client.get(&path).await.expect(200);
        assert_eq!(
            shown.json[&field.name]["website"], good["website"],
            "unchanged"
        );
    }
    assert!(tried > 100, "{tried}");
}

#[tokio::test]
async fn abuse_26_every_field_that_is_a_link_is_held_to_it() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let paula = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    let mut fields = 0;
    for entity in model().entities.iter().filter(|entity| entity.writable()) {
        let resource = crate::support::resources()[entity.name.as_str()];
        if resource.update.is_none() {
            continue;
        }
        let text = format!(
            "select id::text from app.{} order by id limit 1",
            entity.plural
        );
        let id: Option<String> = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_optional(&mut conn)
            .await
            .expect("looked");
        let path = format!(
            "/{}/{}",
            resource.path,
            id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string())
        );
        for field in entity
            .fields
            .iter()
            .filter(|field| field.ty == Ty::Url && !field.system && !field.fixed)
        {
            for bad in BAD_LINKS {
                let answer = paula
                    .client
                    .patch(&path, "*", json!({ &field.name: bad }))
                    .await;
                assert!(
                    answer.status == 422 && answer.pointers() == [format!("/{}", field.name)],
                    "{path} {}: {bad:?}: {}",
                    field.name,
                    answer.text
                );
            }
            fields += 1;
        }
    }
    assert!(fields >= 8, "{fields}");
}
