//! The page of a member; and a private member appears nowhere: not in lists, searches, nested lists, expansions,
//! filters or counts, nor through their actions.

use crate::support::{
    self, Client, TestServer,
    pages::{all, ids},
};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

/// A private member who has done everything that members do.
struct Private {
    id: Uuid,
    names: Vec<String>,
    community: Uuid,
    event: Uuid,
}

async fn private(conn: &mut PgConnection) -> Private {
    let id: Uuid = sqlx::query_scalar(
        "select u.id from app.users u where not u.is_public and u.status = 'active' and u.id > '0199c000-0000-7000-8000-0000000000ff'
           and exists (select from app.likes t where t.user_id = u.id and t.status = 'active')
           and exists (select from app.reviews t where t.reviewer_id = u.id and t.status = 'active')
           and exists (select from app.attendances t where t.user_id = u.id)
           and exists (select from app.follows t where t.follower_id = u.id and t.status = 'active')
           and exists (select from app.community_members t where t.user_id = u.id and t.status = 'active' and t.state = 'active')
           and not exists (select from app.role_assignments t where t.user_id = u.id and t.role <> 'orgAdmin')
         order by u.id limit 1",
    )
    .fetch_one(&mut *conn)
    .await
    .expect("a private member who did everything");
    let (handle, name): (String, String) =
        sqlx::query_as("select handle, display_name from app.users where id = $1")
            .bind(id)
            .fetch_one(&mut *conn)
            .await
            .expect("their names");
    let community = sqlx::query_scalar(
        "select m.community_id from app.community_members m join app.communities c on c.id = m.community_id
         where m.user_id = $1 and m.state = 'active' and m.status = 'active' and c.status = 'active' order by c.visibility desc limit 1",
    )
    .bind(id)
    .fetch_one(&mut *conn)
    .await
    .expect("a community");
    let event = sqlx::query_scalar(
        "select t.event_id from app.likes t join app.events e on e.id = t.event_id
         where t.user_id = $1 and t.status = 'active' and e.status = 'active' limit 1",
    )
    .bind(id)
    .fetch_one(conn)
    .await
    .expect("an event");
    Private {
        id,
        names: vec![format!("{handle}@example.org"), handle, name],
        community,
        event,
    }
}

/// Lists in which a row refers to this member, among all that an anonymous caller can read completely.
async fn mentions(client: &Client, id: Uuid, paths: &[&'static str]) -> Vec<&'static str> {
    let id = id.to_string();
    let (mut rows, mut found) = (0, Vec::new());
    for path in paths {
        if client.get(&format!("/{path}?limit=1")).await.status != 200 {
            continue;
        }
        let list = all(client, &format!("/{path}")).await;
        rows += list.len();
        if list.iter().any(|row| row.to_string().contains(&id)) {
            found.push(*path);
        }
    }
    assert!(rows > 1000, "{rows} rows");
    found
}

#[tokio::test]
async fn a_private_member_is_in_no_row_that_a_stranger_gets() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let member = private(&mut conn).await;
    let ana = server.member("ana").await;
    let mut paths: Vec<_> = support::resources()
        .values()
        .map(|resource| resource.path)
        .collect();
    paths.sort_unstable();
    let nowhere: [&str; 0] = [];
    for client in [&server.client, &ana.client] {
        assert_eq!(mentions(client, member.id, &paths).await, nowhere);
    }
    // The negative control: once the member is public, the same rows show them in many places.
    sqlx::query("update app.users set is_public = true where id = $1")
        .bind(member.id)
        .execute(&mut conn)
        .await
        .expect("public");
    let places = [
        "attendances",
        "community-members",
        "follows",
        "likes",
        "reviews",
        "users",
    ];
    assert_eq!(mentions(&server.client, member.id, &places).await, places);
}

async fn count(client: &Client, path: &str) -> i64 {
    let answer = client
        .get(&format!(
            "{path}{}count=exact&limit=1",
            if path.contains('?') { '&' } else { '?' }
        ))
        .await;
    answer.expect(200).json["count"].as_i64().expect("a count")
}

#[tokio::test]
async fn a_private_member_cannot_be_felt_for() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let member = private(&mut conn).await;
    let ana = server.member("ana").await;
    let path = format!("/users/{}", member.id);
    let missing = format!("/users/{}", Uuid::now_v7());
    for client in [&server.client, &ana.client] {
        let user = &support::resources()["user"];
        let below = user.children.iter().map(|child| format!("/{}", child.path));
        for end in below.chain([String::new(), "?expand=home_city".to_owned()]) {
            let hidden = client.get(&format!("{path}{end}")).await;
            let gone = client.get(&format!("{missing}{end}")).await;
            assert_eq!(hidden.told(), gone.told(), "{end}");
            assert!(
                matches!(hidden.status.as_u16(), 401 | 404),
                "{end}: {}",
                hidden.text
            );
        }
        let id = member.id;
        for (list, nobody) in [
            (
                format!("/users?handle={}", member.names[1]),
                "/users?handle=nobody_of_that_name".to_owned(),
            ),
            (
                format!("/users?handle.in={},x", member.names[1]),
                "/users?handle.in=y,x".to_owned(),
            ),
            (
                format!("/likes?user_id={id}"),
                format!("/likes?user_id={}", Uuid::nil()),
            ),
            (
                format!("/reviews?reviewer_id={id}"),
                format!("/reviews?reviewer_id={}", Uuid::nil()),
            ),
            (
                format!("/follows?follower_id={id}"),
                format!("/follows?follower_id={}", Uuid::nil()),
            ),
            (
                format!("/follows?entity_id={id}"),
                format!("/follows?entity_id={}", Uuid::nil()),
            ),
            (
                format!("/attendances?user_id={id}"),
                format!("/attendances?user_id={}", Uuid::nil()),
            ),
            (
                format!("/community-members?user_id={id}"),
                format!("/community-members?user_id={}", Uuid::nil()),
            ),
        ] {
            let (found, expected) = (client.get(&list).await, client.get(&nobody).await);
            assert_eq!(
                (found.status, &found.json),
                (expected.status, &expected.json),
                "{list}"
            );
            assert_eq!(count(client, &list).await, 0, "{list}");
        }
        for name in &member.names {
            let query: String = name.replace(' ', "%20");
            let found = all(client, &format!("/users?q={query}")).await;
            assert!(!ids(&found).contains(&id.to_string().as_str()), "q={name}");
        }
        for list in [
            "/users?sort=display_name",
            "/users?sort=-follower_count",
            "/users?sort=id",
        ] {
            let found = all(client, list).await;
            assert!(!ids(&found).contains(&id.to_string().as_str()), "{list}");
        }
        // What they did, seen from the objects that they did it to.
        for (list, column) in [
            (
                format!("/communities/{}/members", member.community),
                "user_id",
            ),
            (format!("/events/{}/likes", member.event), "user_id"),
            (format!("/events/{}/attendances", member.event), "user_id"),
        ] {
            let answer = client.get(&list).await;
            if answer.status == 404 {
                continue;
            }
            let found = all(client, &list).await;
            assert!(found.iter().all(|row| row[column] != json!(id)), "{list}");
            assert_eq!(count(client, &list).await, found.len() as i64, "{list}");
        }
        let reviews = all(client, "/reviews?expand=reviewer").await;
        assert!(
            reviews
                .iter()
                .all(|review| review["reviewer"]["is_public"] == json!(true))
        );
    }
}

/// Those who may see the member do: otherwise the tests above would pass without any data.
#[tokio::test]
async fn a_private_member_is_seen_by_themselves_and_those_who_look_after_them() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let member = private(&mut conn).await;
    let home: Uuid = sqlx::query_scalar("select home_city_id from app.users where id = $1")
        .bind(member.id)
        .fetch_one(&mut conn)
        .await
        .expect("a home");
    let path = format!("/users/{}", member.id);
    let (near, far) = (server.member("near").await, server.member("far").await);
    server.grant(&near, "cityAdmin", Some(("city", home))).await;
    let other: Uuid = sqlx::query_scalar("select id from app.cities where id <> $1 limit 1")
        .bind(home)
        .fetch_one(&mut conn)
        .await
        .expect("another city");
    server.grant(&far, "cityAdmin", Some(("city", other))).await;
    let me = server.sign_in(member.id).await;
    let platform = server.sign_in(server::seed::demo::PEOPLE[0].id).await;
    for (client, sees, private) in [
        (&me.client, true, true),
        (&platform.client, true, true),
        (&near.client, true, false),
        (&far.client, false, false),
    ] {
        let answer = client.get(&path).await;
        assert_eq!(answer.status == 200, sees, "{}", answer.text);
        assert_eq!(
            answer.json.get("email").is_some(),
            private,
            "{}",
            answer.text
        );
        let listed = all(client, &format!("/users?handle={}", member.names[1])).await;
        assert_eq!(!listed.is_empty(), sees);
    }
    let own = all(&me.client, "/me/likes").await;
    assert!(!own.is_empty());
    assert_eq!(
        me.client.get("/me").await.expect(200).id(),
        member.id.to_string()
    );
}

/// `GET /users/{id}` is the member's page: profile, counts, communities, attended events.
#[tokio::test]
async fn a_members_page_counts_what_is_there() {
    let server = TestServer::demo().await;
    let mut conn = server.superuser().await;
    let people: Vec<Uuid> = sqlx::query_scalar(
        "select id from app.users where is_public and status = 'active' order by random() limit 12",
    )
    .fetch_all(&mut conn)
    .await
    .expect("people");
    for id in people {
        let page = server
            .client
            .get(&format!("/users/{id}"))
            .await
            .expect(200)
            .json;
        for (name, text) in [
            (
                "follower_count",
                "select count(*) from app.follows where entity_user_id = $1 and status = 'active'",
            ),
            (
                "following_count",
                "select count(*) from app.follows where follower_id = $1 and status = 'active'",
            ),
            (
                "community_count",
                "select count(*) from app.community_members where user_id = $1 and status = 'active' and state = 'active'",
            ),
            (
                "attended_count",
                "select count(*) from app.attendances where user_id = $1",
            ),
        ] {
            let counted: i64 = sqlx::query_scalar(text)
                .bind(id)
                .fetch_one(&mut conn)
                .await
                .expect("counted");
            assert_eq!(page[name], json!(counted), "{name} of {id}");
        }
        for secret in ["email", "phone", "stripe_customer_id"] {
            assert!(page.get(secret).is_none(), "{page}");
        }
        let joined = all(
            &server.client,
            &format!("/users/{id}/memberships?expand=community&state=active"),
        )
        .await;
        let names = |rows: &[Value]| {
            rows.iter()
                .filter(|row| row["community"]["name"].is_string())
                .count()
        };
        let public: i64 = sqlx::query_scalar(
            "select count(*) from app.community_members m join app.communities c on c.id = m.community_id
             where m.user_id = $1 and m.status = 'active' and m.state = 'active' and c.status = 'active' and c.visibility = 'public'",
        )
        .bind(id)
        .fetch_one(&mut conn)
        .await
        .expect("counted");
        assert_eq!(
            (joined.len(), names(&joined)),
            (public as usize, public as usize)
        );
        let attended = all(
            &server.client,
            &format!("/users/{id}/attendances?expand=event"),
        )
        .await;
        assert!(attended.iter().all(|row| row["event"]["title"].is_string()));
        let public: i64 = sqlx::query_scalar(
            "select count(*) from app.attendances a where a.user_id = $1 and a.event_id = any($2)",
        )
        .bind(id)
        .bind(visible_events(&server).await)
        .fetch_one(&mut conn)
        .await
        .expect("counted");
        assert_eq!(attended.len() as i64, public);
    }
}

async fn visible_events(server: &TestServer) -> Vec<Uuid> {
    let caller = kernel::Caller::anonymous(Uuid::now_v7());
    let mut cx = server
        .built
        .db
        .begin_read(&caller)
        .await
        .expect("a connection");
    sqlx::query_scalar("select id from app.events")
        .fetch_all(cx.conn())
        .await
        .expect("events")
}
