//! Rows that ended with another one, in an application that lets them be restored.

use crate::migrations::{blank::Blank, repository, rows::ROWS};
use sqlx::{AssertSqlSafe, PgConnection};

const EDITS: [repository::Edit; 2] = [
    (
        "member",
        "  user: user, set me\n",
        "  user: user, set me, on end archive\n",
    ),
    (
        "member",
        "  delete: me is user\n",
        "  delete: me is user\n  restore: admin of organization\n",
    ),
];

const MEMBER: &str = "select id::text from app.members where user_id = '00000000-0000-7000-8000-00000000a005' \
                      order by organization_id limit 1";

async fn attempt(conn: &mut PgConnection, sql: String) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await;
    done.map(drop).map_err(|error| {
        let told = error.as_database_error().expect("of the database");
        format!(
            "{} {}",
            told.code().unwrap_or_default(),
            told.constraint().unwrap_or_default()
        )
    })
}

fn account(status: &str) -> String {
    format!(
        "update app.users set status = '{status}' where id = '00000000-0000-7000-8000-00000000a005'"
    )
}

#[tokio::test]
async fn a_row_that_ended_does_not_come_back_before_the_other_does() {
    let database = Blank::new().await;
    let model = repository::world(&EDITS);
    database.run(&repository::script(&model)).await;
    database.run(ROWS).await;
    let mut conn = database.connect().await;
    let member = database.text(MEMBER).await;
    let status = format!("select status from app.members where id = '{member}'");
    let restore = format!("update app.members set status = 'active' where id = '{member}'");

    database.run(&account("suspended")).await;
    assert_eq!(database.text(&status).await, "archived");
    let refused = attempt(&mut conn, restore.clone()).await;
    assert_eq!(refused, Err("23503 members_user_id_fkey".to_owned()));
    database.run(&account("active")).await;
    assert_eq!(
        database.text(&status).await,
        "archived",
        "by itself it does not come back"
    );
    attempt(&mut conn, restore.clone())
        .await
        .expect("the account is back");

    // Without the trigger it would be a member whose account is suspended.
    database.run(&account("suspended")).await;
    database
        .run("drop trigger members_restored_on_user_id on app.members")
        .await;
    attempt(&mut conn, restore)
        .await
        .expect("nothing refuses it");
}

/// A row that was archived along with a third row ends too.
#[tokio::test]
async fn restoring_a_third_row_brings_back_nothing_that_has_ended() {
    let database = Blank::new().await;
    let model = repository::world(&EDITS);
    database.run(&repository::script(&model)).await;
    database.run(ROWS).await;
    let member = database.text(MEMBER).await;
    let organization = format!("(select organization_id from app.members where id = '{member}')");
    let set = |status: &str| {
        format!("update app.organizations set status = '{status}' where id = {organization}")
    };
    database.run("delete from app.events").await;
    let active = format!(
        "select count(*)::text from app.members where organization_id = {organization} and status = 'active'"
    );
    let before: u32 = database.text(&active).await.parse().expect("a number");

    database.run(&set("archived")).await;
    assert_eq!(database.text(&active).await, "0");
    database.run(&account("suspended")).await;
    database.run(&set("active")).await;
    assert_eq!(database.text(&active).await, (before - 1).to_string());
    let status = format!("select status from app.members where id = '{member}'");
    assert_eq!(database.text(&status).await, "archived");
}
