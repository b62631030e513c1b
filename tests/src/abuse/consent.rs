//! Roles and memberships that a member has not agreed to, and references that could prevent closing an account.

use crate::support::{Database, Member, TestServer, database::Content, model};
use codegen::model::{Entity, Expr, Lifecycle, OnArchive, Relation};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

async fn organization(server: &TestServer, city: Uuid) -> Uuid {
    sqlx::query_scalar("insert into app.organizations (city_id, name, state) values ($1, 'Mine', 'approved') returning id")
        .bind(city)
        .fetch_one(&mut server.superuser().await)
        .await
        .expect("an organisation")
}

/// Offers `orgAdmin` and returns the path of the offer.
async fn offer(giver: &Member, to: &Member, organization: Uuid) -> String {
    let body = json!({"user_id": to.id, "role": "orgAdmin", "scope_type": "organization", "scope_id": organization});
    let answer = giver
        .client
        .post("/role-assignments", body)
        .await
        .expect(201);
    assert_eq!(answer.json["state"], "offered");
    format!("/role-assignments/{}", answer.id())
}

#[tokio::test]
async fn abuse_43_an_offered_role_gives_nothing_until_it_is_accepted() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mine = organization(&server, city).await;
    let path = format!("/organizations/{mine}");
    let (olga, ben, ana) = (
        server.member("olga").await,
        server.member("ben").await,
        server.member("ana").await,
    );
    server
        .grant(&olga, "orgAdmin", Some(("organization", mine)))
        .await;
    let change = |who: &Member| {
        let (client, path) = (who.client.clone(), path.clone());
        async move { client.patch(&path, "*", json!({"website": null})).await }
    };
    let offered = offer(&olga, &ben, mine).await;
    change(&ben).await.expect(403);
    // The offer is in the member's list, and only the member can answer it.
    let asked = format!("/role-assignments?user_id={}&state=offered", ben.id);
    let list = ben.client.get(&asked).await.expect(200);
    assert_eq!(list.json["data"].as_array().map(Vec::len), Some(1));
    for verb in ["accept", "decline"] {
        let path = format!("{offered}/{verb}");
        olga.client.act(&path).await.expect(403);
        ana.client.act(&path).await.expect(404);
        server.client.act(&path).await.expect(401);
    }
    ben.client
        .act(&format!("{offered}/decline"))
        .await
        .expect(200);
    change(&ben).await.expect(403);
    olga.client
        .act(&format!("{offered}/accept"))
        .await
        .expect(403);
    ben.client
        .act(&format!("{offered}/accept"))
        .await
        .expect(200);
    change(&ben).await.expect(200);
    ben.client
        .act(&format!("{offered}/decline"))
        .await
        .expect(409);
    // A role that its holder has given up can't be restored.
    ben.client.delete(&offered).await.expect(204);
    change(&ben).await.expect(403);
    olga.client
        .act(&format!("{offered}/restore"))
        .await
        .expect(404);

    // An offer that was withdrawn can't be accepted.
    let withdrawn = offer(&olga, &ana, mine).await;
    olga.client.delete(&withdrawn).await.expect(204);
    ana.client
        .act(&format!("{withdrawn}/accept"))
        .await
        .expect(404);
    change(&ana).await.expect(403);
}

/// If the member who offered a role loses the right to give it before it is accepted, it can't be accepted any more.
#[tokio::test]
async fn abuse_43_an_offer_is_worth_what_its_giver_is() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mine = organization(&server, city).await;
    let scope = Some(("organization", mine));
    // Another administrator, so that the last one is not at stake.
    let stays = server.member("stays").await;
    server.grant(&stays, "orgAdmin", scope).await;
    let mut conn = server.superuser().await;
    let (ends, lasts) = (
        [
            "update app.role_assignments set status = 'archived' where user_id = $1",
            "update app.users set status = 'suspended' where id = $1",
            "update app.users set status = 'archived' where id = $1",
        ],
        "update app.users set bio = 'moved' where id = $1",
    );
    for (at, text) in ends.into_iter().chain([lasts]).enumerate() {
        let giver = server.member(&format!("giver{at}")).await;
        server.grant(&giver, "orgAdmin", scope).await;
        let (ana, ben) = (
            server.member(&format!("ana{at}")).await,
            server.member(&format!("ben{at}")).await,
        );
        let (open, declined) = (
            offer(&giver, &ana, mine).await,
            offer(&giver, &ben, mine).await,
        );
        let decline = format!("{declined}/decline");
        ben.client.act(&decline).await.expect(200);
        sqlx::query(text)
            .bind(giver.id)
            .execute(&mut conn)
            .await
            .expect(text);
        for (member, path) in [(&ana, &open), (&ben, &declined)] {
            let answer = member.client.act(&format!("{path}/accept")).await;
            if text == lasts {
                answer.expect(200);
                continue;
            }
            if text.contains("app.users") {
                // The offer has ended with the account.
                answer.expect(404);
            } else {
                let refused = answer.expect(409);
                assert!(refused.text.contains("offered this"), "{}", refused.text);
            }
            let profile = format!("/organizations/{mine}");
            let change = member.client.patch(&profile, "*", json!({"website": null}));
            change.await.expect(403);
        }
    }
    // The acceptance is recorded under the accepting member: nothing of the giver's identity remains in the request.
    let held: i64 = sqlx::query_scalar(
        "select count(*) from audit.audit_logs where action = 'accept' and performed_by <> (
           select user_id from app.role_assignments r where r.id = entity_id)",
    )
    .fetch_one(&mut conn)
    .await
    .expect("counted");
    assert_eq!(held, 0);
}

#[tokio::test]
async fn abuse_43_nobody_is_held_to_a_post() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let mine = organization(&server, city).await;
    let path = format!("/organizations/{mine}");
    let (olga, carlo, ben) = (
        server.member("olga").await,
        server.member("carlo").await,
        server.member("ben").await,
    );
    server
        .grant(&olga, "orgAdmin", Some(("organization", mine)))
        .await;
    server
        .grant(&carlo, "cityAdmin", Some(("city", city)))
        .await;
    // An offer that is not accepted makes nobody a successor, and does not prevent closing the account.
    offer(&olga, &ben, mine).await;
    let roles = olga.client.get(&format!("/users/{}/roles", olga.id)).await;
    let role = roles.json["data"][0]["id"]
        .as_str()
        .expect("a role")
        .to_owned();
    olga.client
        .delete(&format!("/role-assignments/{role}"))
        .await
        .expect(409);
    ben.client.delete("/me").await.expect(204);
    // The last administrator of a suspended profile can still close the account …
    carlo
        .client
        .act(&format!("{path}/suspend"))
        .await
        .expect(200);
    olga.client.delete("/me").await.expect(204);
    // … and the city administers the profile.
    carlo
        .client
        .act(&format!("{path}/unsuspend"))
        .await
        .expect(200);
    carlo
        .client
        .patch(&path, "*", json!({"website": null}))
        .await
        .expect(200);
    let heir = server.member("heir").await;
    let offered = offer(&carlo, &heir, mine).await;
    heir.client
        .act(&format!("{offered}/accept"))
        .await
        .expect(200);
    heir.client
        .patch(&path, "*", json!({"website": null}))
        .await
        .expect(200);
}

#[tokio::test]
async fn abuse_43_nobody_is_made_a_member_again() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, bob, eve) = (
        server.member("ada").await,
        server.member("bob").await,
        server.member("eve").await,
    );
    let body = json!({"city_id": city, "name": "Choir"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let place = |by: &Member, of: &Member| {
        let (client, body) = (
            by.client.clone(),
            json!({"community_id": community, "user_id": of.id}),
        );
        async move {
            let answer = client.post("/community-members", body).await.expect(201);
            format!("/community-members/{}", answer.id())
        }
    };
    let state = |path: &str| {
        let (client, path) = (ada.client.clone(), path.to_owned());
        async move { client.get(&path).await.expect(200).json["state"].clone() }
    };
    // A membership that was ended by the member can't be restored by others.
    let bobs = place(&bob, &bob).await;
    bob.client.act(&format!("{bobs}/join")).await.expect(200);
    bob.client.delete(&bobs).await.expect(204);
    ada.client.act(&format!("{bobs}/restore")).await.expect(403);
    // A membership that was ended by an administrator can be restored by an administrator.
    let bobs = place(&bob, &bob).await;
    bob.client.act(&format!("{bobs}/join")).await.expect(200);
    ada.client.delete(&bobs).await.expect(204);
    bob.client.act(&format!("{bobs}/restore")).await.expect(403);
    ada.client.act(&format!("{bobs}/restore")).await.expect(200);
    assert_eq!(state(&bobs).await, "active");
    // After a ban was lifted, the member has to join again, and nobody else can do that.
    let eves = place(&ada, &eve).await;
    for path in [&bobs, &eves] {
        ada.client
            .post(&format!("{path}/ban"), json!({"reason": "loud"}))
            .await
            .expect(200);
        ada.client.act(&format!("{path}/unban")).await.expect(200);
        assert_eq!(state(path).await, "unbanned");
        let approved = ada.client.act(&format!("{path}/approve")).await;
        assert!(
            [403, 409].contains(&approved.status.as_u16()),
            "{}",
            approved.text
        );
        let joined = ada.client.act(&format!("{path}/join")).await;
        assert_eq!(joined.status, 403, "{}", joined.text);
        assert_eq!(state(path).await, "unbanned");
    }
    // A member whose ban was lifted needs no new invitation.
    let (path, closed) = (
        format!("/communities/{community}"),
        json!({"join_policy": "invite"}),
    );
    ada.client.patch(&path, "*", closed).await.expect(200);
    bob.client.act(&format!("{bobs}/join")).await.expect(200);
    assert_eq!(state(&bobs).await, "active");
}

/// The required relations of an entity to members: a row is about these.
fn about(entity: &Entity) -> impl Iterator<Item = (usize, &Relation)> {
    let people = |r: &Relation| !r.polymorphic && r.targets == [model().identity];
    let relations = entity.belongs.iter().enumerate();
    relations.filter(move |(_, r)| people(r) && !r.optional && !r.system)
}

/// Whether the rule can only hold for the member to whom this relation refers.
fn only_for(entity: &Entity, rule: &Expr, person: usize) -> bool {
    let part = |part: &Expr| only_for(entity, part, person);
    match rule {
        Expr::MeIs { relation } => *relation == person,
        Expr::All(parts) => parts.iter().any(part),
        Expr::Any(parts) => parts.iter().all(part),
        Expr::Condition(index) => part(&entity.conditions[*index].expr),
        _ => false,
    }
}

#[test]
fn abuse_43_no_rule_brings_back_what_a_person_ended() {
    let mut asked = Vec::new();
    for entity in &model().entities {
        let Some(rule) = &entity.access.restore else {
            continue;
        };
        for (index, relation) in about(entity) {
            let theirs = only_for(entity, rule, index);
            assert!(
                theirs || relation.consents,
                "{}.{}",
                entity.name,
                relation.name
            );
            if relation.consents {
                asked.push(format!("{}.{}", entity.name, relation.name));
            }
        }
    }
    assert_eq!(asked, ["community_member.user"]);
    // A role that was taken away is not restored: it must be offered and accepted anew.
    let roles = model()
        .entities
        .iter()
        .find(|e| e.name == "role_assignment");
    let restore = roles.and_then(|roles| roles.access.restore.as_ref());
    assert!(restore.is_none(), "{restore:?}");
}

/// As the request role, with any statement: if a member ends a row, only that member can restore it.
#[tokio::test]
async fn abuse_43_the_database_remembers_who_ended_it() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let platform = server::seed::demo::PEOPLE[0].id;
    let mut tried = 0;
    for entity in &model().entities {
        for (_, relation) in about(entity).filter(|(_, r)| r.consents) {
            let (table, column) = (&entity.plural, relation.id_column());
            let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(AssertSqlSafe(format!(
                "select id, {column} from app.{table} where status = 'active' and {column} <> $1 order by id"
            )))
            .bind(platform)
            .fetch_all(&mut conn)
            .await
            .expect("rows");
            for (id, person) in rows {
                sqlx::raw_sql("begin")
                    .execute(&mut conn)
                    .await
                    .expect("begun");
                let set = |status: &str| {
                    format!("update app.{table} set status = '{status}' where id = '{id}'")
                };
                if act(&mut conn, person, "archive", &set("archived")).await == 1 {
                    let restore = set("active");
                    assert_eq!(
                        act(&mut conn, platform, "restore", &restore).await,
                        0,
                        "{table}"
                    );
                    // The negative control: as if another member had ended it.
                    let flag = format!(
                        "update app.{table} set {} = false where id = '{id}'",
                        relation.ended_column()
                    );
                    sqlx::raw_sql(AssertSqlSafe(flag))
                        .execute(&mut conn)
                        .await
                        .expect("set");
                    assert_eq!(
                        act(&mut conn, platform, "restore", &restore).await,
                        1,
                        "{table}"
                    );
                    tried += 1;
                }
                sqlx::raw_sql("rollback")
                    .execute(&mut conn)
                    .await
                    .expect("undone");
                if tried % 5 == 4 {
                    break;
                }
            }
        }
    }
    assert!(tried >= 4, "{tried}");
}

/// The number of rows changed by a statement of a request; 0 if the database refuses it.
async fn act(conn: &mut PgConnection, user: Uuid, action: &str, statement: &str) -> u64 {
    let text = format!(
        "savepoint act; set local role culturepass_app;
         select sec.enter('{user}', null, '{action}', gen_random_uuid())"
    );
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *conn)
        .await
        .expect("entered");
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut *conn)
        .await;
    let changed = done.map_or(0, |done| done.rows_affected());
    let after = if changed > 0 {
        "reset role"
    } else {
        "rollback to savepoint act; reset role"
    };
    sqlx::raw_sql(after).execute(conn).await.expect("left");
    changed
}

/// No reference to an account prevents closing it.
#[test]
fn abuse_43_nothing_holds_an_account() {
    for entity in &model().entities {
        let to_account = |r: &&Relation| r.targets.contains(&model().identity);
        for relation in entity.belongs.iter().filter(to_account) {
            let restricts = relation.on_archive == OnArchive::Restrict
                && entity.lifecycle == Lifecycle::SoftDelete;
            assert!(
                !restricts,
                "`{}` of {} would keep an account from being closed: say what becomes of it, `on archive detach` or `cascade`",
                relation.name, entity.name
            );
        }
    }
}
