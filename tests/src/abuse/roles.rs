//! Giving roles, and removing the last one.

use crate::support::{Answer, Member, TestServer};
use serde_json::{Value, json};
use uuid::Uuid;

async fn organization(server: &TestServer, city: Uuid, name: &str) -> Uuid {
    sqlx::query_scalar("insert into app.organizations (city_id, name, state) values ($1, $2, 'approved') returning id")
        .bind(city)
        .bind(name)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("an organisation")
}

async fn give(giver: &Member, to: &Member, role: &str, scope: Option<(&str, Uuid)>) -> Answer {
    let body = json!({"user_id": to.id, "role": role, "scope_type": scope.map(|s| s.0), "scope_id": scope.map(|s| s.1)});
    giver.client.post("/role-assignments", body).await
}

/// Offers a role and accepts it; returns its id.
async fn given(giver: &Member, to: &Member, role: &str, scope: Option<(&str, Uuid)>) -> String {
    let id = give(giver, to, role, scope).await.expect(201).id();
    to.client
        .act(&format!("/role-assignments/{id}/accept"))
        .await
        .expect(200);
    id
}

/// The roles `orgAdmin` in this scope, with their holders.
async fn admins(server: &TestServer, scope: Uuid) -> Vec<(Uuid, Uuid)> {
    sqlx::query_as("select id, user_id from app.role_assignments where scope_id = $1 and role = 'orgAdmin' and status = 'active' and state = 'accepted' order by id")
        .bind(scope)
        .fetch_all(&mut server.superuser().await)
        .await
        .expect("admins")
}

#[tokio::test]
async fn abuse_43_nobody_gives_more_than_they_hold() {
    let server = TestServer::start().await;
    let (city, far) = (
        server.city("melbourne").await,
        server.city("auckland").await,
    );
    let (mine, other, distant) = (
        organization(&server, city, "Mine").await,
        organization(&server, city, "Other").await,
        organization(&server, far, "Distant").await,
    );
    let (olga, carlo, ana) = (
        server.member("olga").await,
        server.member("carlo").await,
        server.member("ana").await,
    );
    server
        .grant(&olga, "orgAdmin", Some(("organization", mine)))
        .await;
    server
        .grant(&carlo, "cityAdmin", Some(("city", city)))
        .await;
    let organization = |id| Some(("organization", id));
    for (giver, role, scope, expected) in [
        (&ana, "orgAdmin", organization(mine), 403),
        (&ana, "platformAdmin", None, 403),
        (&olga, "orgAdmin", organization(other), 403),
        (&olga, "orgAdmin", organization(distant), 403),
        (&olga, "cityAdmin", Some(("city", city)), 403),
        (&olga, "platformAdmin", None, 403),
        // Roles with a scope of a wrong kind.
        (&olga, "cityAdmin", organization(mine), 403),
        (&olga, "platformAdmin", organization(mine), 403),
        (&olga, "orgAdmin", Some(("city", city)), 403),
        (&olga, "orgAdmin", None, 403),
        (&carlo, "cityAdmin", Some(("city", far)), 403),
        (&carlo, "orgAdmin", organization(distant), 403),
        (&carlo, "platformAdmin", None, 403),
        // The id of the organization given as that of a community, which does not exist.
        (&olga, "orgAdmin", Some(("community", mine)), 422),
        (&olga, "orgAdmin", organization(mine), 201),
        (&carlo, "orgAdmin", organization(other), 201),
        (&carlo, "cityAdmin", Some(("city", city)), 201),
    ] {
        let somebody = server.member(&format!("m{}", fastrand::u32(..))).await;
        let answer = give(giver, &somebody, role, scope).await;
        assert_eq!(
            answer.status.as_u16(),
            expected,
            "{role} of {scope:?}: {}",
            answer.text
        );
        // Nobody gives a role to themselves.
        let expected = if expected == 201 { 403 } else { expected };
        let answer = give(giver, giver, role, scope).await;
        assert_eq!(
            answer.status.as_u16(),
            expected,
            "{role} of {scope:?} to oneself: {}",
            answer.text
        );
    }
    let held: i64 = sqlx::query_scalar(
        "select count(*) from app.role_assignments where role = 'platformAdmin' or scope_id = $1",
    )
    .bind(distant)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("counted");
    assert_eq!(held, 0);
}

#[tokio::test]
async fn abuse_43_a_role_is_not_brought_back_by_whom_it_was_taken_from() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mine = organization(&server, city, "Mine").await;
    let (olga, ben) = (server.member("olga").await, server.member("ben").await);
    server
        .grant(&olga, "orgAdmin", Some(("organization", mine)))
        .await;
    let role = given(&olga, &ben, "orgAdmin", Some(("organization", mine))).await;
    let path = format!("/role-assignments/{role}");
    ben.client.get(&path).await.expect(200);
    olga.client.delete(&path).await.expect(204);
    ben.client.act(&format!("{path}/restore")).await.expect(404);
    let answer = give(&ben, &ben, "orgAdmin", Some(("organization", mine))).await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    // The role can't be restored without asking: it must be offered again.
    olga.client
        .act(&format!("{path}/restore"))
        .await
        .expect(404);
    given(&olga, &ben, "orgAdmin", Some(("organization", mine))).await;
}

#[tokio::test]
async fn abuse_43_the_last_administrator_stays() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mine = organization(&server, city, "Mine").await;
    let (olga, carlo) = (server.member("olga").await, server.member("carlo").await);
    server
        .grant(&olga, "orgAdmin", Some(("organization", mine)))
        .await;
    server
        .grant(&carlo, "cityAdmin", Some(("city", city)))
        .await;
    let last = admins(&server, mine).await;
    let path = format!("/role-assignments/{}", last[0].0);
    for who in [&olga, &carlo] {
        let answer = who.client.delete(&path).await.expect(409);
        assert_eq!(answer.problem(), "conflict");
        let detail = answer.json["detail"].as_str();
        assert!(detail.is_some_and(|text| text.contains("its last administrator")));
    }
    assert_eq!(admins(&server, mine).await, last);
    // A caller who may not remove the role at all does not learn that it is the last one.
    server
        .member("ana")
        .await
        .client
        .delete(&path)
        .await
        .expect(404);
    server.client.delete(&path).await.expect(401);
    // Once there is another administrator, it can be removed.
    let ben = server.member("ben").await;
    let second = given(&olga, &ben, "orgAdmin", Some(("organization", mine))).await;
    olga.client.delete(&path).await.expect(204);
    let second = format!("/role-assignments/{second}");
    ben.client.delete(&second).await.expect(409);
    // Archiving the profile archives its roles.
    ben.client
        .delete(&format!("/organizations/{mine}"))
        .await
        .expect(204);
    ben.client.delete(&second).await.expect(404);
}

/// Two administrators who remove each other, or resign, at the same moment.
#[tokio::test]
async fn abuse_43_two_administrators_cannot_go_at_the_same_time() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mut refused = 0;
    for round in 0..24 {
        let mine = organization(&server, city, &format!("Mine {round}")).await;
        let people = [
            server.member(&format!("one{round}")).await,
            server.member(&format!("two{round}")).await,
        ];
        for person in &people {
            server
                .grant(person, "orgAdmin", Some(("organization", mine)))
                .await;
        }
        let roles = admins(&server, mine).await;
        let role_of = |person: &Member| {
            roles
                .iter()
                .find(|role| role.1 == person.id)
                .expect("a role")
                .0
        };
        let paths = match round % 2 {
            // In even rounds each removes the other, in odd rounds each resigns.
            0 => [
                format!("/role-assignments/{}", role_of(&people[1])),
                format!("/role-assignments/{}", role_of(&people[0])),
            ],
            _ => [
                format!("/role-assignments/{}", role_of(&people[0])),
                format!("/role-assignments/{}", role_of(&people[1])),
            ],
        };
        let tries: Vec<_> = people
            .iter()
            .zip(paths)
            .map(|(person, path)| {
                let client = person.client.clone();
                tokio::spawn(async move { client.delete(&path).await })
            })
            .collect();
        let mut gone = 0;
        for one in tries {
            let answer = one.await.expect("an answer");
            match answer.status.as_u16() {
                204 => gone += 1,
                // 404: the other's removal came first, after which the role is not visible any more.
                401 | 403 | 404 | 409 => refused += 1,
                status => panic!("{status}: {}", answer.text),
            }
        }
        let left = admins(&server, mine).await;
        assert_eq!((gone, left.len()), (1, 1), "round {round}");
    }
    assert_eq!(refused, 24);
}

/// A role is offered to a member who is closing their account at the same moment: the giver can't resign, since there
/// is no successor.
#[tokio::test]
async fn abuse_43_who_is_leaving_becomes_nobodys_successor() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    for round in 0..12 {
        let mine = organization(&server, city, &format!("Mine {round}")).await;
        let olga = server.member(&format!("olga{round}")).await;
        let heir = server.member(&format!("heir{round}")).await;
        server
            .grant(&olga, "orgAdmin", Some(("organization", mine)))
            .await;
        let role = admins(&server, mine).await[0].0;
        let leaving = {
            let client = heir.client.clone();
            tokio::spawn(async move { client.delete("/me").await })
        };
        let offered = give(&olga, &heir, "orgAdmin", Some(("organization", mine))).await;
        let gone = olga
            .client
            .delete(&format!("/role-assignments/{role}"))
            .await;
        let left = leaving.await.expect("an answer");
        let answers: Vec<Value> = [offered, gone, left]
            .iter()
            .map(|a| json!([a.status.as_u16(), a.text]))
            .collect();
        assert_eq!(answers[1][0], 409, "round {round}: {answers:?}");
        assert_eq!(admins(&server, mine).await.len(), 1, "{answers:?}");
    }
}
