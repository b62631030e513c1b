//! Offers that an account has made: of a ticket, and of a role. The table in `credentials.rs` says what ends them.

use crate::support::{Client, Member, TestServer, database::Content};
use serde_json::json;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// An open offer of each kind, made by one member to another.
pub struct Offers {
    pub to: Member,
    ticket: String,
    role: String,
}

impl Offers {
    /// Gives the member a ticket and a role, and offers both to somebody.
    pub async fn of(server: &TestServer, me: Uuid, client: &Client) -> Self {
        let to = server.member("thief").await;
        // Another administrator, so that the member is not the last one.
        let other = server.member("stays").await;
        let city = server.city("melbourne").await;
        let mut conn = server.superuser().await;
        let host: Uuid = sqlx::query_scalar(
            "insert into app.organizations (city_id, name, state) values ($1, 'Mine', 'approved') returning id",
        )
        .bind(city)
        .fetch_one(&mut conn)
        .await
        .expect("an organisation");
        let scope = Some(("organization", host));
        server.grant(&other, "orgAdmin", scope).await;
        let (event, ticket) = (Uuid::now_v7(), Uuid::now_v7());
        let rows = format!(
            "insert into app.role_assignments (user_id, role, scope_type, scope_id, state)
             values ('{me}', 'orgAdmin', 'organization', '{host}', 'accepted');
             set session_replication_role = replica;
             insert into app.events (id, city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state)
             values ('{event}', '{city}', 'organization', '{host}', 'A night', 'a-night', now() + interval '1 day',
               now() + interval '2 days', 'UTC', 'published');
             with kind as (
               insert into app.ticket_types (event_id, name, price_cents, currency, capacity, sold)
               values ('{event}', 'All', 0, 'AUD', 5, 1) returning id
             ), bought as (
               insert into app.orders (user_id, event_id, amount_cents, currency, state, idempotency_key)
               values ('{me}', '{event}', 0, 'AUD', 'paid', 'a-key-of-the-order') returning id
             )
             insert into app.tickets (id, order_id, ticket_type_id, event_id, holder_id, buyer_id, position, currency, code)
             select '{ticket}', bought.id, kind.id, '{event}', '{me}', '{me}', 1, 'AUD', 'a-code-of-the-ticket' from kind, bought;
             reset session_replication_role"
        );
        sqlx::raw_sql(AssertSqlSafe(rows))
            .execute(&mut conn)
            .await
            .expect("a ticket");
        let path = format!("/tickets/{ticket}/transfers");
        let body = json!({"to_id": to.id});
        let ticket = client.post(&path, body).await.expect(201).id();
        let body = json!({"user_id": to.id, "role": "orgAdmin", "scope_type": "organization", "scope_id": host});
        let role = client.post("/role-assignments", body).await;
        Self {
            to,
            ticket,
            role: role.expect(201).id(),
        }
    }

    /// Accepts both offers. Returns for which of them this worked: the ticket, the role.
    pub async fn accept(&self) -> (bool, bool) {
        let ticket = format!("/ticket-transfers/{}/accept", self.ticket);
        let ticket = self.to.client.act(&ticket).await;
        assert!(
            matches!(ticket.status.as_u16(), 200 | 409),
            "{}",
            ticket.text
        );
        let role = format!("/role-assignments/{}/accept", self.role);
        let role = self.to.client.act(&role).await;
        assert!(
            matches!(role.status.as_u16(), 200 | 404 | 409),
            "{}",
            role.text
        );
        (ticket.status == 200, role.status == 200)
    }
}

/// For negative controls: the database ends no offers with what was issued before.
async fn switch_off(server: &TestServer) {
    sqlx::raw_sql(
        "alter table app.credentials disable trigger credentials_end_offers;
         alter table app.credentials disable trigger credentials_end_offers_first",
    )
    .execute(&mut server.superuser().await)
    .await
    .expect("switched off");
}

/// A community that one joins by invitation.
async fn community(server: &TestServer, administrators: &[&Member]) -> Uuid {
    let city = server.city("melbourne").await;
    let community: Uuid = sqlx::query_scalar(
        "insert into app.communities (city_id, name, visibility, join_policy)
         values ($1, 'Chess', 'public', 'invite') returning id",
    )
    .bind(city)
    .fetch_one(&mut server.superuser().await)
    .await
    .expect("a community");
    for one in administrators {
        let scope = Some(("community", community));
        server.grant(one, "orgAdmin", scope).await;
    }
    community
}

/// The database ends offers whoever ends what was issued before. The negative control: without its triggers they stay
/// open, so the test notices when they are gone.
#[tokio::test]
async fn offers_end_with_what_was_issued_before() {
    const ENDS: &str =
        "insert into app.credentials (user_id, valid_from) values ($1, clock_timestamp())
        on conflict (user_id) do update set valid_from = excluded.valid_from";
    // An account that has no password yet, such as one of an issuer, and one that has.
    for (is_on, has_row) in [(true, false), (true, true), (false, false), (false, true)] {
        let server = TestServer::start_with(Content::Reference, |_| {}).await;
        let ana = server.member("ana").await;
        let offers = Offers::of(&server, ana.id, &ana.client).await;
        let mut conn = server.superuser().await;
        if has_row {
            // Its first row ends nothing.
            sqlx::query("insert into app.credentials (user_id) values ($1)")
                .bind(ana.id)
                .execute(&mut conn)
                .await
                .expect("a row");
        }
        if !is_on {
            switch_off(&server).await;
        }
        sqlx::query(ENDS)
            .bind(ana.id)
            .execute(&mut conn)
            .await
            .expect("ended");
        assert_eq!(offers.accept().await, (!is_on, !is_on));
    }
}

/// A declined offer of a role can still be accepted, so it ends as an open one does.
#[tokio::test]
async fn a_declined_offer_does_not_come_back_after_the_end() {
    let server = TestServer::start_with(Content::Reference, |_| {}).await;
    let ana = server.member("ana").await;
    let offers = Offers::of(&server, ana.id, &ana.client).await;
    let decline = format!("/role-assignments/{}/decline", offers.role);
    offers.to.client.act(&decline).await.expect(200);
    ana.client
        .act("/auth/sign-out-everywhere")
        .await
        .expect(204);
    assert_eq!(offers.accept().await, (false, false));
}

/// An offer whose transaction began before the ending, and that is made after it, is refused.
#[tokio::test]
async fn no_offer_begins_after_the_end() {
    let server = TestServer::start_with(Content::Reference, |_| {}).await;
    let ana = server.member("ana").await;
    let offers = Offers::of(&server, ana.id, &ana.client).await;
    let mut conn = server.superuser().await;
    let mut late = server.superuser().await;
    sqlx::raw_sql("begin; select now()")
        .execute(&mut late)
        .await
        .expect("begun");
    sqlx::query("insert into app.credentials (user_id, valid_from) values ($1, clock_timestamp())")
        .bind(ana.id)
        .execute(&mut conn)
        .await
        .expect("ended");
    let begun = sqlx::query(
        "insert into app.ticket_transfers (ticket_id, from_id, to_id, expires_at)
         select ticket_id, from_id, to_id, expires_at from app.ticket_transfers where id = $1::uuid",
    )
    .bind(offers.ticket.parse::<Uuid>().expect("an id"))
    .execute(&mut late)
    .await;
    let error = begun.expect_err("refused").to_string();
    assert!(error.contains("session_revoked"), "{error}");
}

/// An invitation to a community, as its moderator, is an offer as well. The control: without the triggers it stays open.
#[tokio::test]
async fn invitations_to_communities_end_with_what_was_issued_before() {
    for is_on in [true, false] {
        let server = TestServer::start_with(Content::Reference, |_| {}).await;
        let (ana, guest) = (server.member("ana").await, server.member("guest").await);
        let community = community(&server, &[&ana]).await;
        let body = json!({"community_id": community, "user_id": guest.id, "role": "moderator"});
        let invited = ana.client.post("/community-members", body).await;
        let join = format!("/community-members/{}/join", invited.expect(201).id());
        if !is_on {
            switch_off(&server).await;
        }
        ana.client
            .act("/auth/sign-out-everywhere")
            .await
            .expect(204);
        let joined = guest.client.act(&join).await.status;
        assert_eq!(joined == 200, !is_on, "{joined}");
    }
}

/// Offers that were archived along with the community they are for end as well, so they do not come back when it is
/// restored. The control: without the triggers they do.
#[tokio::test]
async fn offers_of_what_is_archived_end_with_what_was_issued_before() {
    for is_on in [true, false] {
        let server = TestServer::start_with(Content::Reference, |_| {}).await;
        let (ana, guest) = (server.member("ana").await, server.member("guest").await);
        // Restores the community, because the session of the first administrator ends.
        let other = server.member("stays").await;
        let community = community(&server, &[&ana, &other]).await;
        let body = json!({"community_id": community, "user_id": guest.id, "role": "moderator"});
        let invited = ana.client.post("/community-members", body).await;
        let body = json!({"user_id": guest.id, "role": "orgAdmin", "scope_type": "community", "scope_id": community});
        let offered = ana.client.post("/role-assignments", body).await;
        let accept = [
            format!("/community-members/{}/join", invited.expect(201).id()),
            format!("/role-assignments/{}/accept", offered.expect(201).id()),
        ];
        let path = format!("/communities/{community}");
        ana.client.delete(&path).await.expect(204);
        if !is_on {
            switch_off(&server).await;
        }
        ana.client
            .act("/auth/sign-out-everywhere")
            .await
            .expect(204);
        let restore = format!("{path}/restore");
        other.client.act(&restore).await.expect(200);
        for path in accept {
            let status = guest.client.act(&path).await.status;
            assert_eq!(status == 200, !is_on, "{path}: {status}");
        }
    }
}
