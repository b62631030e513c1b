//! Invitations to a community, and what becomes of them when whoever has invited may not any more.

use crate::support::{Member, TestServer};
use serde_json::json;
use sqlx::AssertSqlSafe;

/// Invitations are worth what their giver is when they are accepted, and a ban takes the role of a moderator along.
#[tokio::test]
async fn abuse_43_an_invitation_is_worth_what_its_giver_is() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, binh, mira, eve) = (
        server.member("ada").await,
        server.member("binh").await,
        server.member("mira").await,
        server.member("eve").await,
    );
    let body =
        json!({"city_id": city, "name": "Choir", "visibility": "private", "join_policy": "invite"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let invite = |by: &Member, of: &Member, role: &str| {
        let (client, body) = (
            by.client.clone(),
            json!({"community_id": community, "user_id": of.id, "role": role}),
        );
        async move {
            let answer = client.post("/community-members", body).await.expect(201);
            format!("/community-members/{}", answer.id())
        }
    };
    let binhs = invite(&ada, &binh, "moderator").await;
    let joined = binh.client.act(&format!("{binhs}/join")).await.expect(200);
    assert_eq!(joined.json["role"], "moderator");
    let miras = invite(&binh, &mira, "moderator").await;
    let eves = invite(&binh, &eve, "moderator").await;
    let banned = json!({"reason": "loud"});
    let banned = ada.client.post(&format!("{binhs}/ban"), banned).await;
    assert_eq!(banned.expect(200).json["role"], "member");
    let refused = mira.client.act(&format!("{miras}/join")).await.expect(409);
    assert!(refused.text.contains("invited you"), "{}", refused.text);
    // Who comes back after a ban is a member like others.
    ada.client.act(&format!("{binhs}/unban")).await.expect(200);
    let back = binh.client.act(&format!("{binhs}/join")).await.expect(200);
    assert_eq!(back.json["role"], "member");
    mira.client.act(&format!("{miras}/join")).await.expect(409);

    // The database refuses it whoever asks. The negative control: without its trigger it does not.
    let mut conn = server.superuser().await;
    let id = miras.trim_start_matches("/community-members/");
    let join = format!(
        "begin; set local role culturepass_app; select sec.enter('{}', null, 'join', gen_random_uuid());
         update app.community_members set state = 'active' where id = '{id}'; rollback",
        mira.id
    );
    let refused = sqlx::raw_sql(AssertSqlSafe(join.clone()))
        .execute(&mut conn)
        .await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("the giver may not"), "{refused}");
    sqlx::raw_sql(
        "rollback; alter table app.community_members disable trigger community_members_invitation",
    )
    .execute(&mut conn)
    .await
    .expect("switched off");
    sqlx::raw_sql(AssertSqlSafe(join))
        .execute(&mut conn)
        .await
        .expect("joined");
    sqlx::raw_sql("alter table app.community_members enable trigger community_members_invitation")
        .execute(&mut conn)
        .await
        .expect("switched on");

    // Where anybody may join, an invitation that is worth nothing gives no role. One of an administrator gives it.
    let (path, open) = (
        format!("/communities/{community}"),
        json!({"join_policy": "open"}),
    );
    ada.client.patch(&path, "*", open).await.expect(200);
    let joined = eve.client.act(&format!("{eves}/join")).await.expect(200);
    assert_eq!(joined.json["role"], "member");
    let carla = server.member("carla").await;
    let carlas = invite(&ada, &carla, "moderator").await;
    let joined = carla.client.act(&format!("{carlas}/join")).await;
    assert_eq!(joined.expect(200).json["role"], "moderator");
}
