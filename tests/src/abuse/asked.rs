//! What is left of an offer or a request once a community has changed its mind: a ban ends offers of roles, and whoever has
//! only asked to join is a stranger to a private community.

use crate::support::TestServer;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// Offers that are open when a member is banned end, also declined ones. The negative control: without the trigger, the
/// banned member becomes an administrator.
#[tokio::test]
async fn abuse_43_a_ban_ends_offers_of_roles() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, binh) = (server.member("ada").await, server.member("binh").await);
    let body = json!({"city_id": city, "name": "Choir"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let body = json!({"community_id": community, "user_id": binh.id});
    let joined = binh.client.post("/community-members", body).await;
    let membership = format!("/community-members/{}", joined.expect(201).id());
    let offer = json!({"role": "orgAdmin", "user_id": binh.id, "scope_type": "community", "scope_id": community});
    // Also those for the community's venues.
    let body = json!({"name": "Choir hall", "address": "1 Lane", "location": {"lat": -37.8, "lng": 144.9}, "city_id": city,
        "owner_type": "community", "owner_id": community});
    let venue = ada.client.post("/venues", body).await.expect(201).id();
    let of_venue =
        json!({"role": "orgAdmin", "user_id": binh.id, "scope_type": "venue", "scope_id": venue});
    for (declined, guarded) in [(false, true), (true, true), (false, false)] {
        if !guarded {
            sqlx::raw_sql(
                "alter table app.community_members disable trigger community_members_without_offers",
            )
            .execute(&mut server.superuser().await)
            .await
            .expect("switched off");
        }
        let path = format!("{membership}/join");
        binh.client.act(&path).await.expect(200);
        let offered = ada.client.post("/role-assignments", offer.clone()).await;
        let role = format!("/role-assignments/{}", offered.expect(201).id());
        let offered = ada.client.post("/role-assignments", of_venue.clone()).await;
        let at_venue = format!("/role-assignments/{}", offered.expect(201).id());
        if declined {
            let path = format!("{role}/decline");
            binh.client.act(&path).await.expect(200);
        }
        let path = format!("{membership}/ban");
        let banned = ada.client.post(&path, json!({"reason": "loud"})).await;
        banned.expect(200);
        for role in [&role, &at_venue] {
            let accepted = binh.client.act(&format!("{role}/accept")).await;
            accepted.expect(if guarded { 404 } else { 200 });
        }
        let path = format!("{membership}/unban");
        ada.client.act(&path).await.expect(200);
    }
}

/// Offers also end when the member leaves or is removed. They stay when the membership is archived along with the
/// community. The negative control: without the trigger, a removed member becomes an administrator.
#[tokio::test]
async fn the_end_of_a_membership_ends_offers_of_roles() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, binh) = (server.member("ada").await, server.member("binh").await);
    let body = json!({"city_id": city, "name": "Choir", "join_policy": "open"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let path = format!("/communities/{community}");
    let offer = json!({"role": "orgAdmin", "user_id": binh.id, "scope_type": "community", "scope_id": community});
    for (who, guarded, wanted) in [
        ("member", true, 404),
        ("staff", true, 404),
        ("community", true, 200),
        ("staff", false, 200),
    ] {
        let body = json!({"community_id": community, "user_id": binh.id});
        let asked = binh.client.post("/community-members", body).await;
        let membership = format!("/community-members/{}", asked.expect(201).id());
        let join = format!("{membership}/join");
        binh.client.act(&join).await.expect(200);
        let offered = ada.client.post("/role-assignments", offer.clone()).await;
        let role = format!("/role-assignments/{}", offered.expect(201).id());
        if !guarded {
            sqlx::raw_sql(
                "alter table app.community_members disable trigger community_members_without_offers",
            )
            .execute(&mut server.superuser().await)
            .await
            .expect("switched off");
        }
        match who {
            "community" => {
                ada.client.delete(&path).await.expect(204);
                let restore = format!("{path}/restore");
                ada.client.act(&restore).await.expect(200);
            }
            "staff" => {
                ada.client.delete(&membership).await.expect(204);
            }
            _ => {
                binh.client.delete(&membership).await.expect(204);
            }
        }
        let accepted = binh.client.act(&format!("{role}/accept")).await;
        let status = accepted.expect(wanted).status;
        if status == 200 {
            ada.client.delete(&role).await.expect(204);
        }
        if who == "community" {
            binh.client.delete(&membership).await.expect(204);
        }
    }
}

/// Members who have asked to join see no more of a community that becomes private than strangers do, until they are
/// approved. Those who are invited see what they are invited to.
#[tokio::test]
async fn who_has_only_asked_to_join_is_a_stranger() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, mira, eve) = (
        server.member("ada").await,
        server.member("mira").await,
        server.member("eve").await,
    );
    let body = json!({"city_id": city, "name": "Choir", "join_policy": "request"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let mut paths = Vec::new();
    for (by, of) in [(&mira, &mira), (&ada, &eve)] {
        let body = json!({"community_id": community, "user_id": of.id});
        let added = by.client.post("/community-members", body).await.expect(201);
        paths.push(format!("/community-members/{}", added.id()));
    }
    let body = json!({"title": "Rehearsal", "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "host_type": "community", "host_id": community, "city_id": city,
        "online_url": "https://example.org/stream"});
    let event = ada.client.post("/events", body).await.expect(201).id();
    let publish = format!("/events/{event}/publish");
    ada.client.act(&publish).await.expect(200);
    let shown = [
        format!("/communities/{community}"),
        format!("/communities/{community}/members"),
        format!("/events/{event}"),
    ];
    for path in &shown {
        mira.client.get(path).await.expect(200);
    }
    let private = json!({"visibility": "private"});
    ada.client.patch(&shown[0], "*", private).await.expect(200);
    for path in &shown {
        mira.client.get(path).await.expect(404);
        eve.client.get(path).await.expect(200);
    }
    // The request is there still, and can be approved.
    mira.client.get(&paths[0]).await.expect(200);
    let approve = format!("{}/approve", paths[0]);
    ada.client.act(&approve).await.expect(200);
    for path in &shown {
        mira.client.get(path).await.expect(200);
    }
}

/// While something is suspended nobody is taken in and no role is accepted, as no new offers are made; afterwards the open
/// ones hold. The database refuses it as well. The negative control: without its triggers it does not.
#[tokio::test]
async fn nobody_is_taken_in_by_what_is_suspended() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let (ada, mira, eve, carlo) = (
        server.member("ada").await,
        server.member("mira").await,
        server.member("eve").await,
        server.member("carlo").await,
    );
    server
        .grant(&carlo, "cityAdmin", Some(("city", city)))
        .await;
    let body = json!({"city_id": city, "name": "Choir", "join_policy": "request"});
    let community = ada.client.post("/communities", body).await.expect(201).id();
    let mut rows = Vec::new();
    for (by, of) in [(&mira, &mira), (&ada, &eve)] {
        let body = json!({"community_id": community, "user_id": of.id});
        let added = by.client.post("/community-members", body).await;
        rows.push(added.expect(201).id());
    }
    let offer = json!({"role": "orgAdmin", "user_id": eve.id, "scope_type": "community", "scope_id": community});
    let offered = ada.client.post("/role-assignments", offer).await;
    rows.push(offered.expect(201).id());
    let of_all = [
        (
            &ada,
            format!("/community-members/{}/approve", rows[0]),
            "approve",
        ),
        (&eve, format!("/community-members/{}/join", rows[1]), "join"),
        (
            &eve,
            format!("/role-assignments/{}/accept", rows[2]),
            "accept",
        ),
    ];
    let path = format!("/communities/{community}");
    let suspended = carlo.client.act(&format!("{path}/suspend")).await;
    suspended.expect(200);
    for (by, path, _) in &of_all {
        let refused = by.client.act(path).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state", "{path}");
    }
    let mut conn = server.superuser().await;
    for is_guarded in [true, false] {
        for ((by, _, verb), id) in of_all.iter().zip(&rows) {
            let (table, state) = match *verb {
                "accept" => ("role_assignments", "accepted"),
                _ => ("community_members", "active"),
            };
            if !is_guarded {
                let off = format!("alter table app.{table} disable trigger {table}_live_scope");
                sqlx::raw_sql(AssertSqlSafe(off))
                    .execute(&mut conn)
                    .await
                    .expect("switched off");
            }
            let text = format!(
                "begin; set local role culturepass_app; select sec.enter('{}', null, '{verb}', gen_random_uuid());
                 update app.{table} set state = '{state}' where id = '{id}'; rollback",
                by.id
            );
            let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
            let refused = done.err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), is_guarded, "{verb} {refused:?}");
            assert!(
                refused.is_none_or(|text| text.contains("it is suspended")),
                "{verb}"
            );
            sqlx::raw_sql("rollback")
                .execute(&mut conn)
                .await
                .expect("undone");
        }
    }
    for table in ["community_members", "role_assignments"] {
        let on = format!("alter table app.{table} enable trigger {table}_live_scope");
        sqlx::raw_sql(AssertSqlSafe(on))
            .execute(&mut conn)
            .await
            .expect("switched on");
    }
    let back = carlo.client.act(&format!("{path}/unsuspend")).await;
    back.expect(200);
    for (by, path, _) in &of_all {
        by.client.act(path).await.expect(200);
    }
}
