//! What the program prints before it connects to anything. Because this test exists, the program is built with the
//! tests.

use clap::Parser;
use server::cli::Cli;
use std::process::{Command, Output};

const SECRET: &str = "canary-0f6a3c1be2d4";
const URL: &str = "postgres://culturepass_app:canary-password@127.0.0.1:1/none";

/// Runs the program with these settings and no others.
fn program(arguments: &[&str], settings: &[(&str, &str)]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_culturepass"))
        .args(arguments)
        .env_clear()
        .current_dir(std::env::temp_dir())
        .envs(settings.iter().copied())
        .output()
        .expect("the program runs");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

/// The program ends before it listens, and says why.
fn refused(settings: &[(&str, &str)]) -> String {
    let key = server::commands::fresh_key();
    let defaults = [
        ("APP_DATABASE_URL", URL),
        ("JOB_DATABASE_URL", URL),
        ("TOKEN_KEY", key.as_str()),
        ("LISTEN", "127.0.0.1:0"),
        ("SMTP_HOST", "mail.example.org"),
        ("MAIL_FROM", "CulturePass <no-reply@example.org>"),
    ];
    let given = |name: &str| settings.iter().any(|(other, _)| *other == name);
    let mut all: Vec<(&str, &str)> = defaults
        .into_iter()
        .filter(|(name, _)| !given(name))
        .collect();
    all.extend(settings.iter().filter(|(_, value)| !value.is_empty()));
    let (output, said) = program(&["serve"], &all);
    assert!(!output.status.success(), "{settings:?}: {said}");
    assert!(!said.contains("canary"), "{settings:?}: {said}");
    said
}

#[test]
fn abuse_57_settings_that_open_the_door_are_refused() {
    let guessable = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n-----END PRIVATE KEY-----";
    let of_the_rfc = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----";
    let of_the_tests = include_str!("../../../tests/src/support/token-key.pem");
    let cases: [(&[(&str, &str)], &str); 40] = [
        (&[("TOKEN_KEY", "")], "TOKEN_KEY"),
        (&[("TOKEN_KEY", "canary")], "TOKEN_KEY"),
        (&[("TOKEN_KEY", guessable)], "not random"),
        (&[("TOKEN_KEY", of_the_rfc)], "documentation"),
        (&[("TOKEN_KEY", of_the_tests)], "documentation"),
        (&[("API_DOCS", "true")], "API_DOCS_IN_PRODUCTION"),
        (&[("PUBLIC_URL", "http://api.example.org")], "not https"),
        (&[("HASH_MEMORY_KIB", "1024")], "HASH_MEMORY_KIB"),
        (&[("HASH_PASSES", "1")], "HASH_PASSES"),
        (&[("SMTP_HOST", "")], "SMTP_HOST is not set"),
        (
            &[("SMTP_HOST", ""), ("MAIL_DIR", "/tmp")],
            "SMTP_HOST is not set",
        ),
        (&[("SMTP_TLS", "none")], "in the clear"),
        (&[("MAIL_FROM", "nobody")], "MAIL_FROM"),
        (&[("SMTP_USER", "canary")], "SMTP_PASSWORD"),
        (
            &[("RESEND_API_KEY", "canary")],
            "SMTP_HOST and RESEND_API_KEY are set",
        ),
        (
            &[
                ("SMTP_HOST", ""),
                ("RESEND_API_KEY", "canary"),
                ("SENDGRID_API_KEY", "canary"),
            ],
            "keep one of them",
        ),
        (
            &[
                ("SMTP_HOST", ""),
                ("MAIL_FROM", ""),
                ("RESEND_API_KEY", "canary"),
            ],
            "MAIL_FROM is not set",
        ),
        (
            &[
                ("SMTP_HOST", ""),
                ("RESEND_API_KEY", "canary"),
                ("RESEND_URL", "http://api.resend.com"),
            ],
            "RESEND_URL: in production it is https only",
        ),
        (
            &[("RESEND_WEBHOOK_SECRET", "whsec_canary")],
            "RESEND_WEBHOOK_SECRET",
        ),
        (
            &[("SENDGRID_WEBHOOK_KEY", "canary")],
            "SENDGRID_WEBHOOK_KEY",
        ),
        (
            &[("FCM_SERVICE_ACCOUNT", "{\"private_key\": \"canary\"}")],
            "not the JSON of a service account",
        ),
        (
            &[("FCM_SERVICE_ACCOUNT", "canary"), ("PUSH_DIR", "/tmp")],
            "FCM_SERVICE_ACCOUNT and PUSH_DIR are set",
        ),
        (&[("FCM_TIMEOUT_SECONDS", "5")], "FCM_TIMEOUT_SECONDS"),
        (
            &[("DEV_OUTBOX_URL", "http://127.0.0.1:8422")],
            "DEV_OUTBOX_URL shows everybody",
        ),
        (
            &[("PUSH_DIR", "/tmp")],
            "PUSH_DIR keeps push messages in a folder",
        ),
        (&[("LOG", "inof")], "LOG"),
        (&[("TICKET_KEYS", "canary")], "TICKET_KEYS"),
        (
            &[("TICKET_KEYS", "long enough for a key,")],
            "TICKET_KEYS: one of its secrets is empty",
        ),
        (
            &[("STRIPE_WEBHOOK_SECRETS", "whsec_canary, ")],
            "STRIPE_WEBHOOK_SECRETS: one of its secrets is empty",
        ),
        (
            &[("STRIPE_SECRET_KEY", "pk_live_canary")],
            "STRIPE_SECRET_KEY is no secret key",
        ),
        (
            &[
                ("STRIPE_SECRET_KEY", "sk_test_canary"),
                ("STRIPE_TIMEOUT_SECONDS", "15"),
            ],
            "not less than HANDLER_TIMEOUT_SECONDS=15",
        ),
        (
            &[("PAYMENT_PAGE_URL", "http://pay.example.org/{id}")],
            "PAYMENT_PAGE_URL: not https",
        ),
        (&[("CARD_PAGE_URL", "card")], "CARD_PAGE_URL"),
        (
            &[("PUBLIC_URL", "https://canary:canary@api.example.org")],
            "PUBLIC_URL holds a login",
        ),
        (
            &[("APP_URL", "https://app.example.org/?page=")],
            "APP_URL ends with",
        ),
        (
            &[("OIDC_ISSUER", "issuer"), ("OIDC_AUDIENCE", "api")],
            "OIDC_ISSUER is not an address",
        ),
        (
            &[("MEDIA_DIR", "/dev/null/media")],
            "MEDIA_DIR: /dev/null/media can't be written to",
        ),
        (&[("TRUSTED_PROXIES", "proxy")], "TRUSTED_PROXIES"),
        (&[("CORS_ORIGINS", "*")], "CORS_ORIGINS"),
        (&[("SMTP_HOST", "mail.example.org:587")], "SMTP_PORT"),
    ];
    for (settings, why) in cases {
        let said = refused(settings);
        assert!(said.contains(why), "{settings:?}: {said}");
    }
    // If nothing is wrong it continues to the database, which is not there.
    let by_api = |name| [("SMTP_HOST", ""), (name, "canary")];
    for settings in [
        &[][..],
        &by_api("RESEND_API_KEY"),
        &by_api("SENDGRID_API_KEY"),
    ] {
        let said = refused(settings);
        assert!(said.contains("can't be reached"), "{settings:?}: {said}");
    }
}

#[test]
fn abuse_57_a_misspelt_setting_is_refused() {
    let file = std::env::temp_dir().join(format!("culturepass-{}.env", std::process::id()));
    std::fs::write(&file, "TOKEN_KEYS=canary\n").unwrap();
    let (output, said) = program(
        &["settings"],
        &[("CULTUREPASS_SETTINGS", file.to_str().unwrap())],
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("TOKEN_KEYS") && !said.contains("canary"),
        "{said}"
    );
}

/// `NAME=` is easily written by a template. Taken as a value it would be a key that everybody knows.
#[test]
fn abuse_57_an_empty_setting_is_refused() {
    for name in [
        "TICKET_KEYS",
        "RESEND_API_KEY",
        "OIDC_AUDIENCE",
        "TOKEN_KEY",
    ] {
        let (output, said) = program(&["serve"], &[(name, "")]);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{name} is empty")), "{said}");
    }
}

/// Error messages never repeat the value of a setting.
#[test]
fn abuse_59_no_secret_is_in_what_the_program_says() {
    let urls = [
        "postgres://u:canary-password@127.0.0.1:99999/x",
        "postgres://u:canary-password@[::1/x",
        "postgres://u:canary password@127.0.0.1:1/x",
        "postgres://u:canary-password@127.0.0.1:1/x?sslmode=nonsense",
        "canary-password",
        "mysql://u:canary-password@127.0.0.1/x",
    ];
    for url in urls {
        for name in ["APP_DATABASE_URL", "JOB_DATABASE_URL"] {
            let said = refused(&[(name, url)]);
            assert!(said.contains(name) || said.contains("database"), "{said}");
        }
        let (output, said) = program(&["migrate", "up"], &[("DATABASE_URL", url)]);
        assert!(
            !output.status.success() && !said.contains("canary"),
            "{said}"
        );
    }
    let key = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----";
    refused(&[("TOKEN_KEY", key)]);
    refused(&[("TOKEN_KEY", key), ("TOKEN_KEY_FILE", "/dev/null")]);

    let secrets = [
        ("APP_DATABASE_URL", URL),
        ("JOB_DATABASE_URL", URL),
        ("DATABASE_URL", URL),
        ("TOKEN_KEY", key),
        ("SMTP_PASSWORD", "canary"),
        ("RESEND_API_KEY", "canary"),
        ("SENDGRID_API_KEY", "canary"),
        ("RESEND_WEBHOOK_SECRET", "canary"),
        ("SENDGRID_WEBHOOK_KEY", "canary"),
        ("FCM_SERVICE_ACCOUNT", "canary"),
    ];
    for arguments in [
        &["serve", "--help"][..],
        &["worker", "--help"],
        &["migrate", "--help"],
        &["settings"],
        &["settings", "--example"],
    ] {
        let (output, said) = program(arguments, &secrets);
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("canary"), "{arguments:?}: {said}");
    }
}

#[test]
fn abuse_59_settings_are_shown_without_their_secrets() {
    let url = format!("postgres://u:{SECRET}@127.0.0.1/x");
    let secrets = [
        ("--app-database-url", url.as_str()),
        ("--job-database-url", url.as_str()),
        ("--token-key", SECRET),
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
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(
            shown.contains("REDACTED"),
            "there was a secret to hide: {shown}"
        );
    }
    let config = kernel::config::DbConfig::new(url.as_str().into());
    let tokens =
        kernel::config::TokenConfig::new("issuer".into(), "audience".into(), SECRET.into());
    for shown in [format!("{config:?}"), format!("{tokens:?}")] {
        assert!(!shown.contains(SECRET), "{shown}");
    }
}
