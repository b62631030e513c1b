//! Offers of roles name what they are for, also to members who can't see that before they accept; of the rest they show
//! nothing.

use crate::support::{Client, TestServer, resources};
use serde_json::{Value, json};
use uuid::Uuid;

/// Objects that only their administrators can see, with an administrator `giver`.
const SCOPES: &str = "
    with community as (
      insert into app.communities (city_id, name, visibility) values ($1, 'Quiet circle', 'private') returning id
    ), organization as (
      insert into app.organizations (city_id, name, contact_email) values ($1, 'Not yet approved', 'secret@example.org') returning id
    ), business as (
      insert into app.businesses (city_id, name) values ($1, 'Not yet open') returning id
    )
    select 'community', id from community union all select 'organization', id from organization
    union all select 'business', id from business";

struct Stage {
    server: TestServer,
    invited: Client,
    /// Entity, id of the object, id of the offer.
    offers: Vec<(String, Uuid, String)>,
}

impl Stage {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let city = server.city("melbourne").await;
        let (giver, invited) = (server.member("giver").await, server.member("invited").await);
        let scopes: Vec<(String, Uuid)> = sqlx::query_as(SCOPES)
            .bind(city)
            .fetch_all(&mut server.superuser().await)
            .await
            .expect("scopes");
        let mut offers = Vec::new();
        for (kind, id) in scopes {
            server
                .grant(&giver, "orgAdmin", Some((kind.as_str(), id)))
                .await;
            let body = json!({"user_id": invited.id, "role": "orgAdmin", "scope_type": kind, "scope_id": id});
            let offer = giver
                .client
                .post("/role-assignments", body)
                .await
                .expect(201);
            offers.push((kind, id, offer.id()));
        }
        Self {
            server,
            invited: invited.client,
            offers,
        }
    }

    async fn listed(&self) -> Vec<Value> {
        let list = self
            .invited
            .get("/me/roles?state=offered&expand=scope")
            .await
            .expect(200);
        list.json["data"].as_array().expect("offers").clone()
    }
}

#[tokio::test]
async fn who_is_offered_a_role_reads_of_what_and_nothing_more() {
    let stage = Stage::new().await;
    let listed = stage.listed().await;
    assert_eq!(listed.len(), 3);
    for (kind, id, offer) in &stage.offers {
        let shown = stage
            .invited
            .get(&format!("/role-assignments/{offer}"))
            .await
            .expect(200)
            .json;
        let listed = listed
            .iter()
            .find(|one| one["id"] == *offer)
            .expect("it is listed");
        for one in [&shown, listed] {
            assert_eq!(one["scope_type"], *kind);
            let name = one["scope_name"].as_str().expect("a name");
            assert!(
                ["Quiet circle", "Not yet approved", "Not yet open"].contains(&name),
                "{name}"
            );
        }
        assert_eq!(listed["scope"], Value::Null);
        assert!(!format!("{shown}{listed}").contains("secret@example.org"));
        // The object itself stays hidden until the role is accepted.
        let path = format!("/{}/{id}", resources()[&**kind].path);
        stage.invited.get(&path).await.expect(404);
        stage
            .invited
            .act(&format!("/role-assignments/{offer}/accept"))
            .await
            .expect(200);
        stage.invited.get(&path).await.expect(200);
    }
    // Nobody else reads the offers, and no body sets the name.
    let stranger = stage.server.member("stranger").await;
    for (_, _, offer) in &stage.offers {
        stranger
            .client
            .get(&format!("/role-assignments/{offer}"))
            .await
            .expect(404);
    }
    let (kind, id, _) = &stage.offers[0];
    let body = json!({"user_id": stranger.id, "role": "orgAdmin", "scope_type": kind, "scope_id": id, "scope_name": "The mayor's office"});
    let refused = stage
        .invited
        .post("/role-assignments", body)
        .await
        .expect(422);
    assert_eq!(refused.pointers(), ["/scope_name"]);
}

/// The negative control: without the trigger the offers have no name.
#[tokio::test]
async fn without_the_trigger_offers_have_no_name() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    sqlx::raw_sql("drop trigger role_assignments_name_scope on app.role_assignments")
        .execute(&mut conn)
        .await
        .expect("no trigger");
    let named: i64 = sqlx::query_scalar(
        "with host as (
           insert into app.organizations (city_id, name) select id, 'Nameless' from app.cities limit 1 returning id
         ), member as (
           insert into app.users (handle, display_name, email) values ('somebody', 'Somebody', 's@example.org') returning id
         ), role as (
           insert into app.role_assignments (user_id, role, scope_type, scope_id)
           select member.id, 'orgAdmin', 'organization', host.id from member, host returning scope_name
         ) select count(scope_name) from role",
    )
    .fetch_one(&mut conn)
    .await
    .expect("a role");
    assert_eq!(named, 0);
}
