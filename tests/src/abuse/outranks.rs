//! Suspending, archiving and removing roles: nobody can do this to members of a higher rank or to themselves, and a
//! last required administrator remains.

use crate::support::{Answer, Member, TestServer};
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

async fn organization(server: &TestServer, city: Uuid) -> Uuid {
    sqlx::query_scalar("insert into app.organizations (city_id, name, state) values ($1, 'Mine', 'approved') returning id")
        .bind(city)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("an organisation")
}

/// Sets the home city of all members to this city, whose administrators may then suspend them.
async fn move_all_to(server: &TestServer, city: Uuid) {
    sqlx::query("update app.users set home_city_id = $1")
        .bind(city)
        .execute(&mut server.superuser().await)
        .await
        .expect("moved");
}

async fn suspend(who: &Member, whom: &Member) -> Answer {
    who.client.act(&format!("/users/{}/suspend", whom.id)).await
}

#[tokio::test]
async fn abuse_43_nobody_suspends_above_themselves_nor_themselves() {
    let server = TestServer::start().await;
    let (city, far) = (
        server.city("melbourne").await,
        server.city("auckland").await,
    );
    let (mine, distant) = (
        organization(&server, city).await,
        organization(&server, far).await,
    );
    let mut people = Vec::new();
    for (name, role, scope) in [
        ("paula", "platformAdmin", None),
        ("carlo", "cityAdmin", Some(("city", city))),
        ("equal", "cityAdmin", Some(("city", city))),
        ("other", "cityAdmin", Some(("city", far))),
        ("local", "orgAdmin", Some(("organization", mine))),
        ("guest", "orgAdmin", Some(("organization", distant))),
    ] {
        let member = server.member(name).await;
        server.grant(&member, role, scope).await;
        people.push(member);
    }
    let [paula, carlo, equal, other, local, guest] = &people[..] else {
        unreachable!("six people")
    };
    let plain = server.member("plain").await;
    move_all_to(&server, city).await;
    for (who, whom, expected) in [
        (carlo, paula, 403),
        (carlo, carlo, 403),
        (carlo, other, 403),
        (carlo, guest, 403),
        (carlo, equal, 200),
        (carlo, local, 200),
        (carlo, &plain, 200),
        (paula, paula, 403),
        (paula, carlo, 200),
    ] {
        let answer = suspend(who, whom).await;
        let case = format!("{} {}: {}", who.id, whom.id, answer.text);
        assert_eq!(answer.status.as_u16(), expected, "{case}");
        // `allowed_actions` of the object agrees with what is allowed.
        if answer.status == 200 {
            let back = format!("/users/{}/unsuspend", whom.id);
            let by = if who.id == carlo.id { carlo } else { paula };
            by.client.act(&back).await.expect(200);
        }
        let shown = who
            .client
            .get(&format!("/users/{}", whom.id))
            .await
            .expect(200);
        let actions = shown.json["allowed_actions"].as_array().expect("actions");
        assert_eq!(
            actions.contains(&json!("suspend")),
            expected == 200,
            "{case}"
        );
    }
    // Nor can they unsuspend a member of a higher rank.
    suspend(paula, other).await.expect(200);
    let answer = server
        .sign_in(carlo.id)
        .await
        .client
        .act(&format!("/users/{}/unsuspend", other.id))
        .await;
    assert!(
        [403, 404].contains(&answer.status.as_u16()),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn abuse_43_a_moderator_does_not_put_out_the_administrator() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, mod_, bob) = (
        server.member("ada").await,
        server.member("modesta").await,
        server.member("bob").await,
    );
    let body = json!({"city_id": city, "name": "Choir"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let mut rows = Vec::new();
    for person in [&ada, &mod_, &bob] {
        let body = json!({"community_id": community, "user_id": person.id});
        let row = person
            .client
            .post("/community-members", body)
            .await
            .expect(201)
            .id();
        let path = format!("/community-members/{row}");
        person.client.act(&format!("{path}/join")).await.expect(200);
        rows.push(path);
    }
    ada.client
        .patch(&rows[1], "*", json!({"role": "moderator"}))
        .await
        .expect(200);
    let ban = |row: &str| {
        let (client, path) = (mod_.client.clone(), format!("{row}/ban"));
        async move { client.post(&path, json!({"reason": "loud"})).await }
    };
    ban(&rows[0]).await.expect(403);
    ban(&rows[1]).await.expect(403);
    mod_.client.delete(&rows[0]).await.expect(403);
    mod_.client
        .patch(&rows[0], "*", json!({"role": "member"}))
        .await
        .expect(403);
    ban(&rows[2]).await.expect(200);
}

#[tokio::test]
async fn abuse_43_the_platform_keeps_an_administrator() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    let (paula, petra) = (server.member("paula").await, server.member("petra").await);
    server.grant(&paula, "platformAdmin", None).await;
    let role: Uuid = sqlx::query_scalar("select id from app.role_assignments where user_id = $1")
        .bind(paula.id)
        .fetch_one(&mut conn)
        .await
        .expect("a role");
    let role = format!("/role-assignments/{role}");
    for path in [
        "/me".to_owned(),
        format!("/users/{}", paula.id),
        role.clone(),
    ] {
        let answer = paula.client.delete(&path).await.expect(409);
        let detail = answer.json["detail"].as_str();
        let told = detail.is_some_and(|text| text.contains("The platform would lose"));
        assert!(told, "{path}: {}", answer.text);
    }
    // The database refuses it as well when no rules apply.
    for (table, status) in [
        ("users", "suspended"),
        ("users", "archived"),
        ("role_assignments", "archived"),
        ("role_assignments", "suspended"),
    ] {
        let column = if table == "users" { "id" } else { "user_id" };
        let text = format!(
            "update app.{table} set status = '{status}' where {column} = '{}'",
            paula.id
        );
        let error = sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&mut conn)
            .await
            .expect_err(&text);
        let error = error.as_database_error().expect("of the database");
        assert_eq!(
            error.constraint(),
            Some("role_assignments_the_platform_keep"),
            "{text}"
        );
    }
    // An administrator whose account is suspended does not count.
    server.grant(&petra, "platformAdmin", None).await;
    suspend(&paula, &petra).await.expect(200);
    paula.client.delete(&role).await.expect(409);
    paula
        .client
        .act(&format!("/users/{}/unsuspend", petra.id))
        .await
        .expect(200);
    paula.client.delete(&role).await.expect(204);
}

/// Two platform administrators who suspend each other, remove each other, or resign at the same moment.
#[tokio::test]
async fn abuse_43_two_administrators_of_the_platform_do_not_end_each_other() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    let people = [server.member("paula").await, server.member("petra").await];
    let mut roles = Vec::new();
    for person in &people {
        server.grant(person, "platformAdmin", None).await;
        let role: Uuid =
            sqlx::query_scalar("select id from app.role_assignments where user_id = $1")
                .bind(person.id)
                .fetch_one(&mut conn)
                .await
                .expect("a role");
        roles.push(role);
    }
    let other = |at: usize| people[1 - at].id;
    for round in 0..15 {
        let clients = [
            server.sign_in(people[0].id).await.client,
            server.sign_in(people[1].id).await.client,
        ];
        let attempts = [0, 1].map(|at| {
            let suspend = ("POST", format!("/users/{}/suspend", other(at)));
            let revoke = ("DELETE", format!("/role-assignments/{}", roles[1 - at]));
            let leave = ("DELETE", "/me".to_owned());
            let (method, path) = match (round % 5, at) {
                (0, _) | (3, 0) | (4, 0) => suspend,
                (1, _) | (3, 1) => revoke,
                _ => leave,
            };
            let client = clients[at].clone();
            tokio::spawn(async move {
                let method = method.parse().expect("a method");
                client.send(method, &path, None, &[]).await
            })
        });
        let mut done = 0;
        for attempt in attempts {
            let answer = attempt.await.expect("an answer");
            match answer.status.as_u16() {
                200 | 204 => done += 1,
                401 | 403 | 404 | 409 => {}
                status => panic!("round {round}: {status}: {}", answer.text),
            }
        }
        let left: i64 = sqlx::query_scalar(
            "select count(*) from app.role_assignments r join app.users u on u.id = r.user_id
             where r.role = 'platformAdmin' and r.status = 'active' and u.status = 'active'",
        )
        .fetch_one(&mut conn)
        .await
        .expect("counted");
        assert_eq!((done, left), (1, 1), "round {round}");
        sqlx::raw_sql(
            "update app.users set status = 'active' where status <> 'active';
             update app.role_assignments set status = 'active' where status <> 'active'",
        )
        .execute(&mut conn)
        .await
        .expect("back");
    }
}
