//! Email addresses, which are stored in lower case.

use super::world::Library;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// The capitals of an address make no difference: to `unique`, to filters and to the order of lists. Negative control:
/// the database refuses an address with capitals.
#[tokio::test]
async fn addresses_are_the_same_whatever_their_capitals() {
    let library = Library::open().await;
    for name in ["Zoe", "bea", "Cem"] {
        let body = json!({"name": name, "card_number": format!("{name}-000000"), "joined_on": "2026-01-31",
            "email": format!("{name}@Example.ORG")});
        let made = library.librarian.post("/members", body).await.expect(201);
        let stored = format!("{}@example.org", name.to_lowercase());
        assert_eq!(made.json["email"], stored);
        let again = json!({"name": name, "card_number": format!("{name}-111111"), "joined_on": "2026-01-31",
            "email": stored.to_uppercase()});
        library.librarian.post("/members", again).await.expect(409);
    }
    let found = async |query: &str| {
        let page = library.librarian.get(&format!("/members?{query}")).await;
        let rows = page.expect(200).json["data"]
            .as_array()
            .expect("a list")
            .clone();
        let addresses = rows.iter().map(|row| row["email"].as_str().expect("text"));
        addresses.map(str::to_owned).collect::<Vec<_>>()
    };
    for sent in [
        "Zoe@example.org",
        "zoe@EXAMPLE.org",
        "mailto:ZOE@example.org",
    ] {
        assert_eq!(found(&format!("email={sent}")).await, ["zoe@example.org"]);
    }
    let some = found("email.in=BEA@example.org,cem@example.org&sort=email").await;
    assert_eq!(some, ["bea@example.org", "cem@example.org"]);
    let others = found("email.ne=BEA@example.org&sort=-email").await;
    let addresses = ["zoe", "lena", "cem", "ada"].map(|name| format!("{name}@example.org"));
    assert_eq!(others, addresses);

    let mut conn = library.database.connect().await;
    let refused = sqlx::query("update app.members set email = 'Zoe@example.org'")
        .execute(&mut conn)
        .await
        .expect_err("capitals");
    assert!(
        refused.to_string().contains("members_email_format"),
        "{refused}"
    );
}

/// Under row-level security, PostgreSQL uses an index only for operators that are leakproof, such as those of `text`.
/// Negative control: with those of `citext` all members are read.
#[tokio::test]
async fn addresses_are_found_by_an_index() {
    let library = Library::open().await;
    library
        .database
        .run("create extension citext schema public; alter table app.members add other public.citext; create index on app.members (other)")
        .await;
    let mut conn = library.database.connect().await;
    let text = "grant select (other) on app.members to library_app; set enable_seqscan = off;
                set plan_cache_mode = force_generic_plan; set role library_app;
                prepare by_text(text) as select id from app.members where email = $1 and status <> 'archived';
                prepare by_other(text) as select id from app.members where other operator(public.=) $1::public.citext";
    sqlx::raw_sql(text)
        .execute(&mut conn)
        .await
        .expect("prepared");
    for (name, has_index) in [("by_text", true), ("by_other", false)] {
        let text = format!("explain execute {name}('zoe@example.org')");
        let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text))
            .persistent(false)
            .fetch_all(&mut conn)
            .await
            .expect("a plan");
        let plan = plan.join("\n");
        assert_eq!(plan.contains("Index Cond: ("), has_index, "{plan}");
    }
}
