//! Objects that a caller may change but not read.

use crate::migrations::{blank::Blank, repository, rows::ROWS};
use codegen::emit;
use codegen::tree::Tree;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const GIG: &str = "entity: gig
doc: Its editors may not read all of it.
fields:
  name: text(1..80)
  links: object links?, read owner
belongs:
  owner: user, set me
access:
  owner: me is owner
  read: anyone
  create: signed_in
  update: signed_in
";

/// The new value of `links` as the generated statement for PATCH and PUT computes it.
fn patched(edit: &str) -> String {
    let model = repository::world(&[("gig", "", GIG)]);
    let mut tree = Tree::default();
    emit::emit(&model, &emit::schema::schema(&model), &[], &mut tree);
    let file = tree.get("generated/src/gig.rs").expect("a file");
    let set = file
        .split("set: \"links = ")
        .nth(1)
        .expect("a guarded column");
    let set = set.split('"').next().expect("its end");
    let number = set.split('$').nth(1).expect("an argument");
    let number: String = number.chars().take_while(char::is_ascii_digit).collect();
    set.replace(&format!("${number}::jsonb"), &format!("'{edit}'::jsonb"))
}

/// Changes the object as a member, and commits.
async fn change(conn: &mut PgConnection, member: u32, edit: &str) -> Result<(), String> {
    let mut tx = conn.begin().await.expect("begin");
    let start = format!(
        "set local role fixture_app; \
         select sec.enter('00000000-0000-7000-8000-00000000a{member:03}', null, 'update', gen_random_uuid())"
    );
    sqlx::raw_sql(AssertSqlSafe(start))
        .execute(&mut *tx)
        .await
        .expect("a caller");
    let sql = format!("update app.gigs t set links = {}", patched(edit));
    let changed = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await;
    match changed {
        Ok(_) => {
            tx.commit().await.expect("commit");
            Ok(())
        }
        Err(error) => {
            let told = error.as_database_error().expect("of the database");
            let code = told.code().unwrap_or_default();
            Err(format!("{code} {}", told.message()))
        }
    }
}

#[tokio::test]
async fn a_patch_of_an_object_that_is_not_seen_loses_nothing_of_it() {
    let database = Blank::new().await;
    let model = repository::world(&[("gig", "", GIG)]);
    database.run(&repository::script(&model)).await;
    database.run(ROWS).await;
    database
        .run("insert into app.gigs (name, owner_id, links) values ('a', '00000000-0000-7000-8000-00000000a001', '{\"website\": \"https://a.example/\"}')")
        .await;
    let mut conn = database.connect().await;
    let links = "select links::text from app.gigs";
    let instagram = r#"{"instagram": "https://i.example/"}"#;
    let (owner, editor) = (1, 2);

    let merge = format!(r#"{{"merge": {instagram}}}"#);
    let refused = change(&mut conn, editor, &merge).await;
    assert_eq!(refused, Err("42501 fields links".to_owned()));
    assert_eq!(
        database.text(links).await,
        r#"{"website": "https://a.example/"}"#
    );
    change(&mut conn, owner, &merge)
        .await
        .expect("the owner sees it");
    let both = r#"{"website": "https://a.example/", "instagram": "https://i.example/"}"#;
    assert_eq!(database.text(links).await, both);

    // PUT replaces it, which loses nothing by accident.
    let replace = format!(r#"{{"replace": {instagram}}}"#);
    change(&mut conn, editor, &replace)
        .await
        .expect("a whole object");
    assert_eq!(database.text(links).await, instagram);
    conn.close().await.expect("close");
}
