//! The first administrator is created from the command line, and the audit log records it.

use crate::support::{Database, database::Content, program};
use sqlx::Row;

/// Runs `culturepass admin grant`. Returns whether it succeeded, and its output.
fn grant(database: &Database, email: &str, arguments: &[&str]) -> (bool, String) {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL");
    let (server, _) = url.rsplit_once('/').expect("a database in the URL");
    let mut command = program::command(database, &["admin", "grant", email]);
    command
        .args(arguments)
        .env("DATABASE_URL", format!("{server}/{}", database.name()));
    let output = command.output().expect("the program runs");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn the_first_administrator_is_granted_on_the_command_line() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    sqlx::raw_sql(
        "insert into app.users (handle, display_name, email, status) values
           ('ana', 'Ana', 'ana@example.org', 'active'), ('sus', 'Sus', 'sus@example.org', 'suspended'),
           ('old', 'Old', 'old@example.org', 'archived'), ('ben', 'Ben', 'ben@example.org', 'active');
         insert into app.sign_ups (token_hash, email, handle, display_name, expires_at)
           values (repeat('x', 43), 'new@example.org', 'new', 'New', now() + interval '1 day');
         insert into app.role_assignments (user_id, role) select id, 'platformAdmin' from app.users where handle = 'ben'",
    )
    .execute(&mut conn)
    .await
    .expect("people");

    for (email, why) in [
        ("sus@example.org", "is suspended"),
        ("old@example.org", "was deleted"),
        ("new@example.org", "not yet opened the link"),
        ("nobody@example.org", "nobody has signed up"),
    ] {
        let (done, said) = grant(&database, email, &[]);
        assert!(!done && said.contains(why), "{email}: {said}");
    }
    let (done, said) = grant(
        &database,
        "Ana@Example.org",
        &["--reason", "founded the platform"],
    );
    assert!(done && said.contains("administrator now"), "{said}");
    // A repetition changes nothing.
    let (done, said) = grant(&database, "ana@example.org", &[]);
    assert!(done && said.contains("already"), "{said}");

    // A role that was only offered becomes accepted.
    let (done, said) = grant(&database, "ben@example.org", &[]);
    assert!(done && said.contains("administrator now"), "{said}");

    let rows = sqlx::query(
        "select u.email::text, r.role, r.granted_by_id is null, a.performed_by is null, a.performed_role, a.reason
         from app.role_assignments r join app.users u on u.id = r.user_id and r.state = 'accepted'
         join audit.audit_logs a on a.entity_id = r.id and a.performed_role = 'job:cli' order by 1",
    )
    .fetch_all(&mut conn)
    .await
    .expect("the log");
    assert_eq!(rows.len(), 2);
    let text = |at: usize| rows[0].get::<String, _>(at);
    assert_eq!([text(0), text(1)], ["ana@example.org", "platformAdmin"]);
    assert!(rows[0].get::<bool, _>(2) && rows[0].get::<bool, _>(3));
    assert_eq!([text(4), text(5)], ["job:cli", "founded the platform"]);
}
