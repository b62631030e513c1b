//! Rows of the demonstration data, and members who have a certain right on them, for tests over all entities.

use super::{Database, TestServer};
use kernel::resource::Resource;
use server::seed::demo::PEOPLE;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

/// A row, and a member who has the right on it.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    pub row: Uuid,
    pub person: Uuid,
}

/// The members of the demonstration that one can sign in as first, then some members with roles, then some others.
pub async fn people(conn: &mut PgConnection) -> Vec<Uuid> {
    let mut people: Vec<Uuid> = PEOPLE.iter().map(|person| person.id).collect();
    let others: Vec<Uuid> = sqlx::query_scalar(
        "select u.id from app.users u where u.status = 'active' and u.id <> all($1)
         order by exists (select from app.role_assignments r where r.user_id = u.id) desc, u.id limit 24",
    )
    .bind(&people)
    .fetch_all(conn)
    .await
    .expect("people");
    people.extend(others);
    people
}

/// All active members, those who hold roles first, since few others may do some operations.
pub async fn everybody(conn: &mut PgConnection) -> Vec<Uuid> {
    sqlx::query_scalar(
        "select u.id from app.users u where u.status = 'active'
         order by exists (select from app.role_assignments r where r.user_id = u.id) desc, u.id",
    )
    .fetch_all(conn)
    .await
    .expect("people")
}

/// An organization in this city that the person administers.
pub async fn host_of(server: &TestServer, person: Uuid, city: Uuid) -> Uuid {
    let mut conn = server.superuser().await;
    sqlx::query_scalar(
        "select o.id from app.role_assignments a join app.organizations o on o.id = a.scope_organization_id
         where a.user_id = $1 and a.role = 'orgAdmin' and o.city_id = $2
           and a.status = 'active' and o.status = 'active' limit 1",
    )
    .bind(person)
    .bind(city)
    .fetch_one(&mut conn)
    .await
    .expect("an organization")
}

/// An active row on which a member of the demonstration has this right (`update`, `delete`, `read`).
pub async fn who_may(
    database: &Database,
    people: &[Uuid],
    resource: &Resource,
    right: &str,
) -> Option<Allowed> {
    // The statement that checks the rights on one row, changed to check many.
    let text = resource
        .sql
        .probe
        .replacen("select ", "select t.id, ", 1)
        .replacen(" where t.id = $1", " order by t.id limit 100", 1);
    let mut conn = database.request_role().await;
    execute(
        &mut conn,
        "set plan_cache_mode = force_generic_plan; set jit = off",
    )
    .await;
    for person in people {
        execute(&mut conn, "begin").await;
        let enter = format!("select sec.enter('{person}', null, 'read', gen_random_uuid())");
        execute(&mut conn, &enter).await;
        let rows = sqlx::query(AssertSqlSafe(text.clone()))
            .fetch_all(&mut conn)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}\n{text}", resource.name));
        execute(&mut conn, "rollback").await;
        let found = rows.iter().find(|row| {
            let may: Vec<String> = row.get("may");
            let active = row.get::<&str, _>(2) == "active";
            active && (right == "read" || may.iter().any(|one| one == right))
        });
        if let Some(row) = found {
            return Some(Allowed {
                row: row.get(0),
                person: *person,
            });
        }
    }
    None
}

async fn execute(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Takes back the quotes of the demonstration, which keep what they are about from being changed.
pub async fn without_quotes(server: &TestServer) {
    sqlx::raw_sql(
        "set session_replication_role = replica; update app.quotes set state = 'declined' where state in ('sent', 'accepted')",
    )
    .execute(&mut server.superuser().await)
    .await
    .expect("declined");
}
