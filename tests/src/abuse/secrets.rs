//! Secrets in settings, in documents and on the public port. The program's own tests cover its output.

use crate::support::{TestServer, database::Content, model, program::Program};

/// Operators' endpoints are not on the public port, and contain no secrets.
#[tokio::test]
async fn abuse_59_figures_are_not_on_the_public_listener() {
    let database = crate::support::Database::new(Content::Empty).await;
    let program = Program::serve(&database, |_| {}).await;
    for path in [
        "/readyz",
        "/metrics",
        "/readyz/",
        "/METRICS",
        "//metrics",
        "/metrics?x=1",
    ] {
        let answer = program.client.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
    let hidden = program.client.get("/openapi.json").await;
    assert_eq!(hidden.status, 404, "production shows no documentation");
    let figures = program.admin.get("/metrics").await.expect(200).text;
    assert!(figures.contains("db_connections"), "{figures}");
    for secret in ["postgres://", "culturepass_app:", "BEGIN PRIVATE", "test@"] {
        assert!(!figures.contains(secret), "{figures}");
        let log = program.log().join("\n");
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn abuse_59_the_document_holds_no_secret() {
    let server = TestServer::start_with(Content::Empty, |_| {}).await;
    let document = server.client.get("/openapi.json").await.expect(200).text;
    for secret in [
        "BEGIN PRIVATE",
        "postgres://",
        "a secret of the tests",
        "culturepass_app",
        "eyJ",
    ] {
        assert!(!document.contains(secret), "{secret}");
    }
}

/// Every stored secret of a member has a column in the table of `credentials.rs`: the database invalidates it with the
/// account (`on end`), and the table ensures that the other events were considered.
#[test]
fn every_secret_of_a_member_stands_in_the_table() {
    let known = [
        "calendar_feed",
        "credential",
        "email_token",
        // Ends with its session.
        "refresh_token",
    ];
    let mut found = Vec::new();
    for entity in &model().entities {
        let secret = |name: &str| name.ends_with("_hash") && name != "content_hash";
        let has_secret = entity.fields.iter().any(|field| secret(&field.name));
        let owners: Vec<_> = entity
            .belongs
            .iter()
            .filter(|relation| ["user", "session"].contains(&relation.name.as_str()))
            .collect();
        if !has_secret || owners.is_empty() {
            continue;
        }
        found.push(entity.name.to_string());
        let ends = owners.iter().any(|relation| relation.on_end.is_some());
        assert!(
            ends || entity.name == "refresh_token",
            "{}: `on end` is missing",
            entity.name
        );
    }
    assert_eq!(found, known);
}
