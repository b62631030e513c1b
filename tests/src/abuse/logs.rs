//! The two logs: the log of the process, and the audit log.

use crate::support::{
    Database,
    database::Content,
    program::{self, Program},
};
use reqwest::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// All ways to end a line, and escape sequences for terminals.
const FORGED: [&str; 6] = [
    "a\n{\"level\":\"INFO\",\"message\":\"forged\"}",
    "a\r\n{\"level\":\"INFO\",\"message\":\"forged\"}",
    "\u{1b}[2J\u{1b}[31mforged\u{1b}[0m",
    "\u{85}forged\u{2028}forged\u{2029}",
    "\",\"user\":\"forged",
    "\u{0}\u{8}\u{7f}\u{9b}31mforged",
];

#[tokio::test]
async fn abuse_76_no_input_gets_out_of_its_line_of_the_log() {
    let database = Database::new(Content::Demo).await;
    let mut program = Program::serve(&database, |command| {
        command.env("LOG", "debug");
    })
    .await;
    let olga = program.sign_in(&database, PEOPLE[2].id).await;
    let mut sent = 0;
    for text in FORGED {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/{encoded}"),
            format!("/events/{encoded}"),
            format!("/events?{encoded}={encoded}"),
            format!("/events?q={encoded}"),
            format!("/events?cursor={encoded}"),
        ] {
            for client in [&program.client, &olga.client] {
                client.get(&path).await;
                sent += 1;
            }
        }
        let body =
            json!({"name": text, text: text, "email": text, "password": text, "reason": text});
        for path in ["/communities", "/auth/sign-in", "/auth/forgot-password"] {
            olga.client.post(path, body.clone()).await;
            sent += 1;
        }
    }
    for header in ["x-request-id", "user-agent", "authorization", "if-match"] {
        // The characters that HTTP allows in headers: all except line breaks and NUL.
        let values: [&[u8]; 3] = [
            b"\x1b[31mforged",
            b"\xff\xfeforged\x9b",
            b"\",\"forged\":\"",
        ];
        for value in values {
            let mut request =
                b"PATCH /events/1 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n".to_vec();
            request.extend_from_slice(header.as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n\r\n");
            let mut stream = crate::support::socket::connect(program.client.base()).await;
            stream.write_all(&request).await.expect("sent");
            // Some requests are not valid HTTP, and are refused without a log entry.
            crate::support::socket::until_closed(stream).await;
        }
    }
    program.signal("TERM");
    program.ended().await;
    let log = program.log();
    let mut answered = 0;
    for line in &log {
        let object: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("no JSON object: {error}: {line:?}"));
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert_ne!(object["message"], "forged", "{line}");
        assert_ne!(object["user"], "forged", "{line}");
        answered += usize::from(object["message"] == "answered");
    }
    assert!(answered >= sent, "{answered} lines for {sent} requests");
}

/// Claim: a search without words causes no log entry except that of the request.
#[tokio::test]
async fn what_the_database_remarks_is_not_in_the_log() {
    let database = Database::new(Content::Demo).await;
    let mut program = Program::serve(&database, |command| {
        command.env("LOG", "info");
    })
    .await;
    let searches = ["%25", "%21%21", "-", "%2D%2D%20%2D", "%22%22", "%E2%80%A6"];
    for words in searches {
        program
            .client
            .get(&format!("/events?q={words}&count=exact"))
            .await
            .expect(200);
    }
    program.signal("TERM");
    program.ended().await;
    let log = program.log();
    let remarks = |line: &&String| line.contains("text-search") || line.contains("notice");
    assert_eq!(log.iter().filter(remarks).count(), 0, "{log:#?}");
    let answered = log.iter().filter(|line| line.contains("answered")).count();
    assert!(answered >= searches.len(), "{log:#?}");
    // PostgreSQL would otherwise have sent a notice.
    let mut conn = database.superuser().await;
    let config: Vec<String> = sqlx::query_scalar(
        "select unnest(rolconfig) from pg_roles where rolname = 'culturepass_app'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("settings");
    assert!(
        config.contains(&"client_min_messages=warning".to_owned()),
        "{config:?}"
    );
}

/// Waits until all audit log entries are sealed. Only entries older than all running transactions of the cluster can
/// be sealed, and other tests fill whole databases in one transaction.
async fn sealed(database: &Database) {
    let mut conn = database.superuser().await;
    for _ in 0..1800 {
        let open: i64 = sqlx::query_scalar(
            "select (select count(*) from audit.audit_logs) - coalesce((select sum(row_count)::bigint from audit.seals), 0)",
        )
        .fetch_one(&mut conn)
        .await
        .expect("a count");
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the worker does not seal");
}

fn verify(database: &Database, options: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["audit", "verify"], options].concat();
    let output = program::run(database, &arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), said)
}

async fn run(database: &Database, text: &'static str) -> u64 {
    let done = sqlx::query(text)
        .execute(&mut database.superuser().await)
        .await;
    done.unwrap_or_else(|error| panic!("{text}: {error}"))
        .rows_affected()
}

#[tokio::test]
async fn abuse_72_the_worker_seals_and_verify_names_the_seal_that_does_not_fit() {
    let database = Database::new(Content::Demo).await;
    let mut program = Program::serve(&database, |command| {
        command.arg("--with-worker").env("SEAL_EVERY_SECONDS", "1");
    })
    .await;
    sealed(&database).await;
    let paula = program.sign_in(&database, PEOPLE[0].id).await;
    let countries = paula.client.get("/countries?limit=1").await.expect(200);
    let country = countries.json["data"][0]["id"].as_str().expect("a country");
    let path = format!("/countries/{country}");
    let suspended = paula
        .client
        .send(Method::POST, &format!("{path}/suspend"), None, &[])
        .await;
    suspended.expect(200);
    sealed(&database).await;
    paula
        .client
        .act(&format!("{path}/unsuspend"))
        .await
        .expect(200);
    sealed(&database).await;
    program.signal("TERM");
    assert!(program.ended().await.success());
    let log = program.log();
    let seals: Vec<Value> = log
        .iter()
        .filter(|line| line.contains("audit log sealed"))
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    assert!(seals.len() >= 3, "{log:?}");
    let last = seals.last().expect("a seal");
    let hash: String =
        sqlx::query_scalar("select encode(hash, 'hex') from audit.seals order by id desc limit 1")
            .fetch_one(&mut database.superuser().await)
            .await
            .expect("a seal");
    assert_eq!(
        last["hash"], hash,
        "the hash in the log must be that of the seal"
    );

    let (code, said) = verify(&database, &[]);
    assert_eq!((code, said.as_str()), (Some(0), "every seal fits\n"));
    let output = program::run(&database, &["audit", "seal"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "nothing to seal\n");

    // If the newest entries and their seal are deleted, the hash in the process's log reveals it.
    let expected = ["--expect", hash.as_str()];
    let (code, _) = verify(&database, &expected);
    assert_eq!(code, Some(0));
    run(
        &database,
        "delete from audit.audit_logs l using audit.seals s where s.ids @> l.id and s.id = (select max(id) from audit.seals)",
    )
    .await;
    run(
        &database,
        "delete from audit.seals where id = (select max(id) from audit.seals)",
    )
    .await;
    let (code, _) = verify(&database, &[]);
    assert_eq!(code, Some(0), "the database alone can't reveal it");
    let (code, said) = verify(&database, &expected);
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        format!("the audit log was changed: the seal {hash} is gone\n")
    );

    // The member in an entry is changed afterwards.
    assert_eq!(
        run(
            &database,
            "update audit.audit_logs set performed_by = null where action = 'suspend'"
        )
        .await,
        1
    );
    let (code, said) = verify(&database, &[]);
    assert_eq!(code, Some(1), "{said}");
    let seal: i64 = sqlx::query_scalar(
        "select min(s.id) from audit.seals s join audit.audit_logs l on s.ids @> l.id where l.action = 'suspend'",
    )
    .fetch_one(&mut database.superuser().await)
    .await
    .expect("a seal");
    assert_eq!(
        said,
        format!("the audit log was changed: seal {seal}: rows were changed\n")
    );
    run(
        &database,
        "delete from audit.audit_logs where action = 'suspend'",
    )
    .await;
    let (code, said) = verify(&database, &[]);
    assert_eq!(code, Some(1));
    assert!(said.contains("rows are missing"), "{said}");
}
