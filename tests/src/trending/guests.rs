//! RT1: with `REVIEWS_FROM=guests`, only members who were guests can write reviews.

use super::stage::Stage;
use crate::support::{Answer, Member};
use app::ratings::ReviewsFrom;
use serde_json::json;
use uuid::Uuid;

async fn of_guests() -> Stage {
    Stage::changed(|parts| parts.modules.ratings.reviews_from = ReviewsFrom::Guests).await
}

async fn review(by: &Member, kind: &str, target: Uuid) -> Answer {
    let body = json!({"entity_type": kind, "entity_id": target, "rating": 5});
    by.client.post("/reviews", body).await
}

async fn is_refused(by: &Member, kind: &str, target: Uuid) {
    let refused = review(by, kind, target).await.expect(403);
    assert_eq!(refused.problem(), "guests-only");
    assert_eq!(refused.pointers(), ["/entity_id"]);
    assert_eq!(refused.json["errors"][0]["code"], "not_a_guest");
}

/// Inserts a ticket without an order of the member.
async fn ticket(stage: &Stage, event: Uuid, holder: &Member, state: &str) {
    let holder = holder.id;
    stage
        .sql(format!(
            "set session_replication_role = replica;
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency, state)
             values (sec.uuid_v7(), sec.uuid_v7(), '{event}', '{holder}', '{holder}', gen_random_uuid()::text, 1, 'AUD', '{state}')"
        ))
        .await;
}

async fn has_begun(stage: &Stage, event: Uuid) {
    stage
        .sql(format!(
            "set session_replication_role = replica;
             update app.events set starts_at = now() - interval '2 hours', ends_at = now() - interval '1 hour' where id = '{event}'"
        ))
        .await;
}

#[tokio::test]
async fn rt1_guests_alone_review_a_host_where_it_is_set_so() {
    let stage = of_guests().await;
    let (mira, ben, cleo, dan) = (
        stage.server.member("mira_was_there").await,
        stage.server.member("ben_was_let_in").await,
        stage.server.member("cleo_gave_it_back").await,
        stage.server.member("dan_was_elsewhere").await,
    );
    let event = stage.events(stage.host, 1).await[0];
    let elsewhere = stage.host("The second").await;
    let another = stage.events(elsewhere, 1).await[0];
    ticket(&stage, event, &mira, "valid").await;
    ticket(&stage, event, &cleo, "refunded").await;
    ticket(&stage, another, &dan, "checked_in").await;
    has_begun(&stage, another).await;

    // A ticket to an event that has not begun isn't a visit.
    is_refused(&mira, "organization", stage.host).await;
    has_begun(&stage, event).await;
    let reviewed = review(&mira, "organization", stage.host).await.expect(201);
    for stranger in [&ben, &cleo, &dan] {
        is_refused(stranger, "organization", stage.host).await;
    }
    // A member who was admitted was a guest, whatever became of the ticket.
    stage
        .sql(format!(
            "insert into app.attendances (user_id, event_id) values ('{}', '{event}')",
            ben.id
        ))
        .await;
    review(&ben, "organization", stage.host).await.expect(201);

    // The writer can still change the review, and missing objects are still reported as missing.
    stage
        .sql(format!("set session_replication_role = replica; update app.tickets set state = 'refunded' where event_id = '{event}'"))
        .await;
    let path = format!("/reviews/{}", reviewed.id());
    let body = json!({"rating": 2});
    mira.client.patch(&path, "*", body).await.expect(200);
    let nowhere = review(&dan, "organization", Uuid::now_v7()).await;
    nowhere.expect(422);
}

#[tokio::test]
async fn rt1_guests_of_a_venue_and_customers_of_a_business_review_it() {
    let stage = of_guests().await;
    let mira = stage.server.member("mira_visits").await;
    let (city, host, member) = (stage.city, stage.host, mira.id);
    let event = stage.events(host, 1).await[0];
    let venue: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, slug, address, location)
             values ('{city}', 'organization', '{host}', 'The hall', 'the-hall', 'Here', 'POINT(144.96 -37.81)') returning id"
        ))
        .await;
    let business: Uuid = stage
        .one(format!(
            "insert into app.businesses (city_id, name, state) values ('{city}', 'The caterers', 'approved') returning id"
        ))
        .await;
    ticket(&stage, event, &mira, "valid").await;
    has_begun(&stage, event).await;
    is_refused(&mira, "venue", venue).await;
    is_refused(&mira, "business", business).await;

    stage
        .sql(format!(
            "set session_replication_role = replica;
             update app.events set venue_id = '{venue}' where id = '{event}';
             insert into app.leads (service_request_id, business_id, title, details) values (sec.uuid_v7(), '{business}', 'Food', 'For fifty');
             insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state, accepted_by_id, accepted_at)
             select l.id, 5000, 'AUD', 'Half before', now() + interval '1 day', 'accepted', '{member}', now()
             from app.leads l where l.business_id = '{business}'"
        ))
        .await;
    review(&mira, "venue", venue).await.expect(201);
    review(&mira, "business", business).await.expect(201);
    let other = stage.server.member("otto_does_not").await;
    is_refused(&other, "venue", venue).await;
    is_refused(&other, "business", business).await;
}

/// The controls: by default, every member can write reviews, and the database decides who was a guest.
#[tokio::test]
async fn rt1_members_review_unless_it_is_set_and_the_database_knows_the_guests() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_was_not").await;
    review(&mira, "organization", stage.host).await.expect(201);

    let stage = of_guests().await;
    let mira = stage.server.member("mira_was_not").await;
    is_refused(&mira, "organization", stage.host).await;
    stage
        .sql("create or replace function app.is_guest(p_member uuid, p_type text, p_target uuid) returns boolean language sql stable set search_path = pg_catalog, pg_temp as 'select true'")
        .await;
    review(&mira, "organization", stage.host).await.expect(201);
}

/// Enforced for every way of writing, once the worker has stored the setting.
#[tokio::test]
async fn rt1_the_database_takes_no_review_of_a_stranger() {
    let stage = of_guests().await;
    let (mira, ben) = (
        stage.server.member("mira_was_there").await,
        stage.server.member("ben_was_not").await,
    );
    let event = stage.events(stage.host, 1).await[0];
    ticket(&stage, event, &mira, "valid").await;
    has_begun(&stage, event).await;
    let write = async |by: &Member| {
        let text = "insert into app.reviews (reviewer_id, entity_type, entity_id, rating) values ($1, 'organization', $2, 5)";
        let done = sqlx::query(text).bind(by.id).bind(stage.host);
        done.execute(&mut stage.server.superuser().await).await
    };
    let ratings = &stage.server.built.app.modules.ratings;
    // The stage's worker may have stored it already.
    ratings.keep_policy().await.expect("kept");
    assert!(!ratings.keep_policy().await.expect("kept"), "said once");
    let refused = write(&ben).await.expect_err("no guest");
    let refused = refused.into_database_error().expect("of the database");
    assert_eq!(refused.constraint(), Some("reviews_guest"));
    write(&mira).await.expect("a guest");
    // The refusal states the reason, and existing reviews can be edited.
    is_refused(&ben, "organization", stage.host).await;
    stage
        .sql("set session_replication_role = replica; update app.tickets set state = 'refunded'")
        .await;
    stage.sql("update app.reviews set rating = 4").await;
    // The negative control: without the trigger nothing is refused.
    stage
        .sql("alter table app.reviews disable trigger reviews_guest")
        .await;
    write(&ben).await.expect("nobody looks");
}
