//! Decisions of moderators about profiles, and those of them who administer these profiles themselves.

use super::moderated::organization;
use crate::support::{Member, TestServer, model, root};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use uuid::Uuid;

async fn decide(who: &Member, host: Uuid, action: &str, reason: Option<&str>) -> u16 {
    let path = format!("/organizations/{host}/{action}");
    let answer = match reason {
        Some(reason) => who.client.post(&path, json!({"reason": reason})).await,
        None => who.client.act(&path).await,
    };
    answer.status.as_u16()
}

async fn offer(giver: &Member, to: &Member, host: Uuid) -> (u16, Value) {
    let body = json!({"user_id": to.id, "role": "orgAdmin", "scope_type": "organization", "scope_id": host});
    let answer = giver.client.post("/role-assignments", body).await;
    (answer.status.as_u16(), answer.json)
}

/// A city's administrator who also administers a profile: what the platform has decided about the profile stays, also if
/// the role is given up for the moment of the decision, because nobody gives it back to themselves.
#[tokio::test]
async fn nobody_decides_about_a_profile_of_their_own() {
    let server = TestServer::demo().await;
    let (carlo, paula) = (
        server.sign_in(PEOPLE[1].id).await,
        server.sign_in(PEOPLE[0].id).await,
    );
    let other = server.member("other").await;
    for is_own in [false, true] {
        let host = organization(&server, &other, &format!("A house, {is_own}")).await;
        if is_own {
            server
                .grant(&carlo, "orgAdmin", Some(("organization", host)))
                .await;
        }
        let wanted = if is_own { 403 } else { 200 };
        assert_eq!(decide(&paula, host, "reject", Some("A fraud")).await, 200);
        assert_eq!(decide(&carlo, host, "approve", None).await, wanted);
        assert_eq!(decide(&carlo, host, "verify", None).await, wanted);
        if !is_own {
            // The negative control: that of somebody else.
            assert_eq!(decide(&carlo, host, "unverify", Some("No")).await, 200);
            assert_eq!(offer(&carlo, &paula, host).await.0, 201);
            continue;
        }
        let own: Uuid = sqlx::query_scalar(
            "select id from app.role_assignments where user_id = $1 and scope_id = $2",
        )
        .bind(carlo.id)
        .bind(host)
        .fetch_one(&mut *server.superuser().await)
        .await
        .expect("a role");
        let path = format!("/role-assignments/{own}");
        carlo.client.delete(&path).await.expect(204);
        let (status, told) = offer(&carlo, &carlo, host).await;
        assert_eq!(status, 403, "{told}");
        // Whoever administers the profile may.
        assert_eq!(offer(&other, &carlo, host).await.0, 201);
    }
}

/// What may be done by whoever administers the city, even if they administer the object as well.
const ALSO_OF_THEIR_OWN: [&str; 4] = [
    // Institutions are founded by the city.
    "institution delete",
    // Follow from times, and from a decision that others have made.
    "promotion activate",
    "promotion finish",
    // Ends a booking.
    "promotion delete",
];

/// Where a condition `moderates` says who decides about an object, no operation asks for the administrators of the city
/// alone.
#[test]
fn moderators_of_their_own_are_left_out_by_every_rule() {
    let mut seen = 0;
    for entity in model().entities.iter().filter(|entity| !entity.internal) {
        let path = root().join(format!("spec/entities/{}.yaml", entity.name));
        let Ok(text) = std::fs::read_to_string(path) else {
            continue;
        };
        if !text.lines().any(|line| line.starts_with("  moderates:")) {
            continue;
        }
        seen += 1;
        for line in text.lines() {
            let Some((name, rule)) = line.trim().split_once(':') else {
                continue;
            };
            let of_access = ["suspend", "delete", "restore", "update"].contains(&name);
            let decides =
                rule.contains(", by city_admin") || of_access && rule.trim() == "city_admin";
            let told = format!("{} {name}", entity.name);
            assert!(
                !decides || ALSO_OF_THEIR_OWN.contains(&told.as_str()),
                "{told}: {line}"
            );
        }
    }
    assert!(seen >= 7, "{seen}");
}

/// A member who comes back after somebody else took the handle gets another one. The address of the mailbox is not
/// changed: whoever has the mailbox has proven it.
#[tokio::test]
async fn a_handle_that_is_taken_meanwhile_keeps_nobody_away() {
    let server = TestServer::demo().await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let gone = server.member("the_longest_handle_of_them_all").await;
    gone.client.delete("/me").await.expect(204);
    server.settled().await;
    let taker = "insert into app.users (handle, display_name, email) values ('the_longest_handle_of_them_all', 'Taker', 'taker@example.org') returning id";
    let taker: Uuid = sqlx::query_scalar(taker)
        .fetch_one(&mut *server.superuser().await)
        .await
        .expect("a member");
    let path = format!("/users/{}", gone.id);
    let back = paula
        .client
        .act(&format!("{path}/restore"))
        .await
        .expect(200);
    let handle = back.json["handle"].as_str().expect("a handle").to_owned();
    let id = gone.id.to_string();
    assert_eq!(
        handle,
        format!("the_longest_handle_of_{}", &id[id.len() - 8..])
    );
    let found = paula.client.get(&format!("/users?handle={handle}")).await;
    assert_eq!(found.expect(200).json["data"][0]["id"], id);
    let kept = paula.client.get(&format!("/users/{taker}")).await;
    assert_eq!(
        kept.expect(200).json["handle"],
        "the_longest_handle_of_them_all"
    );
}

/// A city verifies a profile with a certain name: a new one takes that back, other changes don't. All kinds of profiles
/// that can be verified, from the model. The negative control: without the trigger the mark goes on to the new name.
#[tokio::test]
async fn a_new_name_takes_back_that_a_profile_is_verified() {
    let server = TestServer::demo().await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let mut conn = server.superuser().await;
    let mut tried = 0;
    for entity in &model().entities {
        let has = |name: &str| entity.fields.iter().any(|field| field.name == name);
        if !has("verified") {
            continue;
        }
        tried += 1;
        let table = &entity.plural;
        let row: Uuid = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "update app.{table} set verified = true where id = (
               select id from app.{table} where status = 'active' order by id limit 1) returning id"
        )))
        .fetch_one(&mut *conn)
        .await
        .expect("a profile");
        // Whoever may change it: its own administrator.
        if table == "institutions" {
            server
                .grant(
                    &paula,
                    "cityAdmin",
                    Some(("city", server.city("melbourne").await)),
                )
                .await;
        }
        server
            .grant(&paula, "orgAdmin", Some((&*entity.name, row)))
            .await;
        let path = format!("/{}/{row}", table.replace('_', "-"));
        let change = async |body: Value| -> Value {
            let etag = paula.client.get(&path).await.expect(200).etag();
            let changed = paula.client.patch(&path, &etag, body).await;
            changed.expect(200).json["verified"].clone()
        };
        let same = paula.client.get(&path).await.expect(200).json["name"].clone();
        let harmless =
            json!({"name": same, "social_links": {"website": "https://example.org/other"}});
        assert_eq!(change(harmless).await, true, "{table}");
        assert_eq!(
            change(json!({"name": "City Council"})).await,
            false,
            "{table}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
            "update app.{table} set verified = true where id = '{row}';
             alter table app.{table} disable trigger {table}_verified_by_name"
        )))
        .execute(&mut *conn)
        .await
        .expect("switched off");
        assert_eq!(change(json!({"name": "Town Hall"})).await, true, "{table}");
    }
    assert_eq!(tried, 5);
}
