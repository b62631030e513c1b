//! Secrets in settings, in documents and on the public listener. What the program says is in its own tests.

use crate::support::{TestServer, database::Content, program::Program};
use clap::Parser;
use server::cli::Cli;

const CANARY: &str = "canary-0f6a3c1be2d4";

#[test]
fn abuse_59_settings_are_shown_without_their_secrets() {
    let url = format!("postgres://u:{CANARY}@127.0.0.1/x");
    let secrets = [
        ("--app-database-url", url.as_str()),
        ("--job-database-url", url.as_str()),
        ("--token-key", CANARY),
    ];
    let mut arguments = vec!["culturepass", "serve"];
    for (name, value) in secrets {
        arguments.extend([name, value]);
    }
    let cli = Cli::try_parse_from(arguments).expect("arguments");
    let migrate = Cli::try_parse_from(["culturepass", "migrate", "--database-url", &url, "up"]);
    for shown in [
        format!("{cli:?}"),
        format!("{:#?}", migrate.expect("arguments")),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(
            shown.contains("REDACTED"),
            "there was a secret to hide: {shown}"
        );
    }
    let config = kernel::config::DbConfig::new(url.as_str().into());
    let tokens =
        kernel::config::TokenConfig::new("issuer".into(), "audience".into(), CANARY.into());
    let sessions = app::sessions::SessionsConfig::new(CANARY.into(), "http://app.test".to_owned());
    for shown in [
        format!("{config:?}"),
        format!("{tokens:?}"),
        format!("{sessions:?}"),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

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
