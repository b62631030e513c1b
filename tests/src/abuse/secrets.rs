//! Secrets in settings, in documents and on the public listener. What the program says is in its own tests.

use crate::support::{TestServer, database::Content, program::Program};

/// What the operator looks at is not for clients, and holds no secrets either.
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
