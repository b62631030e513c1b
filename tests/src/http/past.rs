//! Times that people write: those that make no sense in the past are refused there, the others are listed with a reason.

use crate::support::{TestServer, is_new, model, rows};
use codegen::model::Ty;
use serde_json::json;
use server::seed::demo::PEOPLE;
use std::collections::BTreeSet;
use uuid::Uuid;

/// Times that the spec does not declare `future`, but that a hook refuses in the past.
const REFUSED: &[(&str, &str)] = &[("promotion", "ends_at")];

/// Times that may be in the past, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "commission_proposal",
        "valid_from",
        "from the acceptance on, if that is later",
    ),
    (
        "commission_rule",
        "valid_from",
        "it has been so for a while",
    ),
    (
        "commission_rule",
        "valid_to",
        "what was agreed once is recorded",
    ),
    ("device", "last_seen_at", "it is always past"),
    (
        "event",
        "starts_at",
        "`publish` refuses it; a draft may be behind",
    ),
    ("event", "ends_at", "as `starts_at`"),
    ("grant_announcement", "opens_at", "open already"),
    (
        "grant_announcement",
        "closes_at",
        "what was offered once is shown",
    ),
    ("promo_code", "valid_from", "valid already"),
    (
        "promotion",
        "starts_at",
        "as `ends_at` is to come, it runs already",
    ),
    ("ticket_type", "sales_start", "on sale already"),
    ("ticket_type", "sales_end", "ends the sale"),
    (
        "ticket_type",
        "refundable_until",
        "nothing is given back by buyers any more",
    ),
];

/// Times and dates of entities that people create and write, without those that the spec declares `future`.
fn written() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for entity in &model().entities {
        if entity.internal || entity.module.is_some() {
            continue;
        }
        for field in &entity.fields {
            let is_time = matches!(field.ty, Ty::Time | Ty::Date);
            if is_time && !field.system && field.future.is_none() {
                all.insert((entity.name.clone(), field.name.clone()));
            }
        }
    }
    all
}

/// A new time of a known entity has to be looked at: may it be in the past?
#[test]
fn every_time_that_people_write_is_refused_in_the_past_or_said_to_make_sense() {
    let refused = REFUSED.iter().copied();
    let allowed = ALLOWED.iter().map(|(entity, field, _)| (*entity, *field));
    let said: Vec<(String, String)> = refused
        .chain(allowed)
        .map(|(entity, field)| (entity.to_owned(), field.to_owned()))
        .collect();
    let once: BTreeSet<(String, String)> = said.iter().cloned().collect();
    assert_eq!(once.len(), said.len(), "each once");
    let written = written();
    let gone: Vec<_> = once.difference(&written).collect();
    assert!(gone.is_empty(), "there are no such times: {gone:?}");
    let of_new = |entity: &str| {
        model()
            .entity(entity)
            .is_some_and(|(_, entity)| is_new(entity))
    };
    let unsaid = written
        .difference(&once)
        .filter(|(entity, _)| !of_new(entity));
    let unsaid: Vec<_> = unsaid.collect();
    assert!(unsaid.is_empty(), "may these be in the past? {unsaid:?}");
}

/// What is refused is told by the pointer of the time. Broadcasts, promotions and quotes have tests of their own.
#[tokio::test]
async fn times_that_make_no_sense_in_the_past_are_refused() {
    let server = TestServer::demo().await;
    let olga = server.sign_in(PEOPLE[2].id).await;
    let carlo = server.sign_in(PEOPLE[1].id).await;
    let city = server.city("melbourne").await;
    let host = rows::host_of(&server, olga.id, city).await;
    let mut conn = server.superuser().await;
    let event: Uuid = sqlx::query_scalar(
        "select id from app.events where host_id = $1 and status = 'active' order by id limit 1",
    )
    .bind(host)
    .fetch_one(&mut conn)
    .await
    .expect("an event");
    // Of another city: the worker makes no lead for it.
    let business: Uuid = sqlx::query_scalar("select id from app.businesses where state = 'approved' and status = 'active' and city_id <> $1 order by id limit 1")
        .bind(city)
        .fetch_one(&mut conn)
        .await
        .expect("a business");
    let (past, before) = ("2020-01-01T00:00:00Z", "2019-01-01T00:00:00Z");
    let future = "2040-01-01T00:00:00Z";
    let asks = json!({"host_type": "organization", "host_id": host, "city_id": city, "title": "Posters", "category": "other",
        "description": "Two hundred"});
    let request = olga.client.post("/service-requests", asks.clone()).await;
    let request = request.expect(201).id();
    let code =
        json!({"event_id": event, "code": "LATE", "basis_points": 1_000, "valid_from": before});
    let proposal = json!({"city_id": city, "type": "ticket", "basis_points": 500, "currency": "AUD", "valid_from": before,
        "reason": "As agreed."});
    let lead = json!({"service_request_id": request, "business_id": business, "title": "Posters", "details": "Many"});
    for (by, path, body, field) in [
        (&olga, "/service-requests", asks, "needed_at"),
        (&olga, "/leads", lead, "needed_at"),
        (&olga, "/promo-codes", code, "valid_to"),
        (&carlo, "/commission-proposals", proposal, "valid_to"),
    ] {
        let with = |time: &str| {
            let mut body = body.clone();
            body[field] = json!(time);
            body
        };
        let refused = by.client.post(path, with(past)).await.expect(422);
        let errors = &refused.json["errors"];
        assert_eq!(
            errors[0]["pointer"],
            format!("/{field}"),
            "{path}: {errors}"
        );
        assert_eq!(errors[0]["code"], "range", "{path}");
        // The control: it is the time.
        by.client.post(path, with(future)).await.expect(201);
    }
    // A lead's time is refused when it is changed, too.
    let leads = olga.client.get("/leads?limit=1").await.expect(200);
    let lead = leads.json["data"][0]["id"].as_str().expect("a lead");
    let late = json!({"needed_at": past});
    olga.client
        .patch(&format!("/leads/{lead}"), "*", late)
        .await
        .expect(422);
    // A code may end early.
    let codes = olga.client.get("/promo-codes?limit=1").await.expect(200);
    let code = codes.json["data"][0]["id"].as_str().expect("a code");
    let over = json!({"valid_from": before, "valid_to": past});
    olga.client
        .patch(&format!("/promo-codes/{code}"), "*", over)
        .await
        .expect(200);
    let path = format!("/service-requests/{request}");
    let late = json!({"needed_at": past});
    let refused = olga
        .client
        .patch(&path, "*", late.clone())
        .await
        .expect(422);
    assert_eq!(refused.json["errors"][0]["pointer"], "/needed_at");
    // A time that has passed meanwhile may be sent again.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "set session_replication_role = replica;
         update app.service_requests set needed_at = '{past}' where id = '{request}'"
    )))
    .execute(&mut conn)
    .await
    .expect("passed");
    olga.client.patch(&path, "*", late).await.expect(200);
}

/// A past time is told together with everything else, whoever finds it: the decoder, a check of the table, or the
/// trigger.
#[tokio::test]
async fn a_past_time_is_told_with_all_that_is_wrong() {
    let server = TestServer::demo().await;
    let olga = server.sign_in(PEOPLE[2].id).await;
    let city = server.city("melbourne").await;
    let host = rows::host_of(&server, olga.id, city).await;
    let past = "2020-01-01T00:00:00Z";
    let asks = json!({"host_type": "organization", "host_id": host, "city_id": city, "title": "Posters", "category": "other",
        "description": "Two hundred", "needed_at": past});
    let with = |more: serde_json::Value| {
        let mut body = asks.clone();
        let (body_map, more) = (body.as_object_mut(), more.as_object().cloned());
        body_map
            .expect("an object")
            .extend(more.expect("an object"));
        body
    };
    let late = ("/needed_at", "range");
    for (body, told) in [
        (with(json!({})), vec![late]),
        (with(json!({"title": ""})), vec![late, ("/title", "length")]),
        // Money without a currency breaks a check of the row.
        (
            with(json!({"budget_cents": 5})),
            vec![("/currency", "invalid"), late],
        ),
        (
            with(json!({"budget_cents": 5, "title": ""})),
            vec![("/currency", "invalid"), late, ("/title", "length")],
        ),
        // The decoder knows that it is no time.
        (
            with(json!({"needed_at": "soon", "title": ""})),
            vec![("/needed_at", "format"), ("/title", "length")],
        ),
    ] {
        let refused = olga.client.post("/service-requests", body.clone()).await;
        let refused = refused.expect(422);
        let errors = refused.json["errors"].as_array().expect("errors");
        let mut found: Vec<(&str, &str)> = errors
            .iter()
            .map(|error| {
                let text = |key: &str| error[key].as_str().unwrap_or_default();
                (text("pointer"), text("code"))
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, told, "{body}");
    }
    // The control: none of these bodies is stored, and a future time is.
    let future = with(json!({"needed_at": "2040-01-01T00:00:00Z"}));
    olga.client
        .post("/service-requests", future)
        .await
        .expect(201);
}
