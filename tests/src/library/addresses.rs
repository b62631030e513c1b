//! Lists by addresses, which keep their capitals and are compared without them.

use super::world::Library;

/// Filters and sorts take no notice of capitals, also from one page to the next, and are answered by an index. Negative
/// control: compared as `citext` with what the driver sends, the index of the unique address is of no use.
#[tokio::test]
async fn addresses_are_found_and_sorted_whatever_their_capitals() {
    let library = Library::open().await;
    for name in ["Zoe", "bea", "Cem", "dora"] {
        library.member(name, None).await;
    }
    let found = async |query: &str| {
        let page = library.librarian.get(&format!("/members?{query}")).await;
        let page = page.expect(200).json;
        let rows = page["data"].as_array().expect("a list").clone();
        let addresses = rows.iter().map(|row| row["email"].as_str().expect("text"));
        let addresses: Vec<String> = addresses.map(str::to_owned).collect();
        (addresses, page["next_cursor"].as_str().map(str::to_owned))
    };
    for sent in [
        "Zoe@example.org",
        "zoe@EXAMPLE.org",
        "mailto:ZOE@example.org",
    ] {
        assert_eq!(found(&format!("email={sent}")).await.0, ["Zoe@example.org"]);
    }
    let (some, _) = found("email.in=BEA@example.org,cem@example.org&sort=email").await;
    assert_eq!(some, ["bea@example.org", "Cem@example.org"]);
    let (others, _) = found("email.ne=BEA@example.org").await;
    assert_eq!(others.len(), 5, "{others:?}");

    let (mut all, mut cursor) = found("sort=email&limit=1").await;
    while let Some(after) = cursor {
        let (more, next) = found(&format!("sort=email&limit=1&cursor={after}")).await;
        all.extend(more);
        cursor = next;
    }
    let names = all.iter().map(|address| address.split('@').next());
    let names: Vec<&str> = names.map(|name| name.expect("a part")).collect();
    assert_eq!(names, ["Ada", "bea", "Cem", "dora", "Lena", "Zoe"]);

    for (condition, has_index) in [("lower(email::text) = $1", true), ("email = $1", false)] {
        let mut conn = library.database.connect().await;
        let text = format!(
            "set enable_seqscan = off; set search_path = pg_catalog, pg_temp;
             prepare s(text) as select id from app.members where {condition} order by id"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(text))
            .execute(&mut conn)
            .await
            .expect("prepared");
        let plan: Vec<String> = sqlx::query_scalar("explain execute s('zoe@example.org')")
            .persistent(false)
            .fetch_all(&mut conn)
            .await
            .expect("a plan");
        let plan = plan.join("\n");
        assert_eq!(plan.contains("Index Cond: (lower("), has_index, "{plan}");
    }
}
