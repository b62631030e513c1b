//! What generated routes begin in the name of a host: a role is still held after the host has ended, so rules alone would
//! allow it.

use super::{
    scene::{Group, Hall, Scene},
    ways::{self, How},
};
use crate::{support::Answer, trending::stage::run};
use serde_json::{Value, json};

struct Case {
    name: &'static str,
    by: &'static str,
    /// The rows on whose hosts it depends.
    hosts: &'static [&'static str],
    /// Makes room for it in a fresh scene.
    prepare: &'static str,
    path: &'static str,
    body: fn(&Scene<'_>) -> Value,
}

const NOTHING: &str = "select 1";
const AN_OPEN_QUOTE: &str = "update app.quotes set state = 'sent', accepted_at = null, accepted_by_id = null where id = '{quote}'";

const CASES: &[Case] = &[
    Case {
        name: "a ticket type",
        by: "host",
        hosts: &["organization"],
        prepare: NOTHING,
        path: "/ticket-types",
        body: |scene| json!({"event_id": scene.id("event"), "name": "Another", "price_cents": 0, "currency": "AUD", "capacity": 5}),
    },
    Case {
        name: "a promo code",
        by: "host",
        hosts: &["organization"],
        prepare: NOTHING,
        path: "/promo-codes",
        body: |scene| json!({"event_id": scene.id("event"), "code": "SPRING", "basis_points": 500}),
    },
    Case {
        name: "publishing",
        by: "host",
        hosts: &["organization"],
        prepare: "set session_replication_role = replica; update app.events set state = 'draft' where id = '{event}'; set session_replication_role = origin",
        path: "/events/{event}/publish",
        body: |_| Value::Null,
    },
    Case {
        name: "a promotion",
        by: "host",
        hosts: &["organization"],
        // A host has one booking at a time that is not paid.
        prepare: "set session_replication_role = replica; update app.promotions set paid_at = now() where paid_at is null; set session_replication_role = origin",
        path: "/promotions",
        body: |scene| {
            json!({"target_type": "event", "target_id": scene.id("event"), "city_id": scene.id("city"), "slot": "home",
                "starts_at": chrono::Utc::now() + chrono::TimeDelta::days(9), "ends_at": chrono::Utc::now() + chrono::TimeDelta::days(12)})
        },
    },
    Case {
        name: "a lead",
        by: "host",
        hosts: &["organization", "business"],
        prepare: "delete from app.quotes where lead_id = '{lead}'; delete from app.leads where id = '{lead}'",
        path: "/leads",
        body: |scene| {
            json!({"service_request_id": scene.id("request"), "business_id": scene.id("business"), "title": "Posters",
                "details": "Two hundred, in colour"})
        },
    },
    Case {
        name: "a quote",
        by: "provider",
        hosts: &["organization", "business"],
        prepare: NOTHING,
        path: "/quotes",
        body: |scene| {
            json!({"lead_id": scene.id("lead"), "amount_cents": 40_000, "currency": "AUD", "terms": "By Friday",
                "valid_until": "2040-01-01T00:00:00Z"})
        },
    },
    Case {
        name: "sending a quote",
        by: "provider",
        hosts: &["organization", "business"],
        prepare: "set session_replication_role = replica; update app.quotes set state = 'draft', accepted_at = null, accepted_by_id = null where id = '{quote}'; set session_replication_role = origin",
        path: "/quotes/{quote}/send",
        body: |_| Value::Null,
    },
    Case {
        name: "accepting a quote",
        by: "host",
        hosts: &["organization", "business"],
        prepare: AN_OPEN_QUOTE,
        path: "/quotes/{quote}/accept",
        body: |_| Value::Null,
    },
    Case {
        name: "reopening a request",
        by: "host",
        hosts: &["organization"],
        prepare: "update app.service_requests set state = 'closed' where id = '{request}'",
        path: "/service-requests/{request}/reopen",
        body: |_| Value::Null,
    },
];

impl Case {
    /// What the request answers after the row with this label has ended in this way.
    async fn play(&self, hall: &Hall, ending: Option<(&str, How)>) -> Answer {
        let mut scene = Scene::new(hall, Group::Plain).await;
        let (mut prepare, mut path) = (self.prepare.to_owned(), self.path.to_owned());
        for label in ["event", "lead", "quote", "request"] {
            let (name, id) = (format!("{{{label}}}"), scene.id(label).to_string());
            prepare = prepare.replace(&name, &id);
            path = path.replace(&name, &id);
        }
        scene.sql(prepare).await;
        if let Some((label, how)) = ending {
            let row = scene.row(label).clone();
            assert!(ways::end(&mut scene, &row, &how).await, "{label} {how}");
        }
        let client = scene.client(self.by);
        match (self.body)(&scene) {
            Value::Null => client.act(&path).await,
            body => client.post(&path, body).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_routes_begin_nothing_for_a_host_that_has_ended() {
    let hall = Hall::new().await;
    let mut faults = Vec::new();
    for case in CASES {
        let answer = case.play(&hall, None).await;
        if !answer.status.is_success() {
            faults.push(format!("{}: {}, {}", case.name, answer.status, answer.text));
        }
        for label in case.hosts {
            for how in [How::Suspended, How::State("rejected")] {
                let answer = case.play(&hall, Some((*label, how.clone()))).await;
                let status = answer.status.as_u16();
                // Where the business is named in the body, it is not there for the caller any more.
                let is_refused =
                    status == 409 || *label == "business" && [403, 404, 422].contains(&status);
                if !is_refused {
                    faults.push(format!(
                        "{} with {label} {how}: {status}, {}",
                        case.name, answer.text
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A host that was rejected prepares its drafts before it is submitted again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_host_goes_on_preparing_drafts() {
    let hall = Hall::new().await;
    let draft = "set session_replication_role = replica; update app.events set state = 'draft' where id = '{event}'; set session_replication_role = origin";
    for case in &CASES[..2] {
        let prepared = Case {
            prepare: draft,
            ..*case
        };
        let rejected = Some(("organization", How::State("rejected")));
        prepared.play(&hall, rejected).await.expect(201);
        let suspended = Some(("organization", How::Suspended));
        prepared.play(&hall, suspended).await.expect(409);
    }
}

/// The negative control: without the guard, all of it is begun for a host that is suspended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_generated_routes_begin_without_a_guard_is_found() {
    let hall = Hall::new().await;
    // A lead is not begun for a host that is not shown, either.
    for guard in ["host_is_live(p_host uuid)", "is_shown(p_host uuid)"] {
        let unguarded = format!(
            "create or replace function app.{guard} returns boolean language sql stable set search_path = pg_catalog, pg_temp as 'select true'"
        );
        run(&mut *hall.server.superuser().await, unguarded).await;
    }
    for case in CASES {
        let answer = case
            .play(&hall, Some(("organization", How::Suspended)))
            .await;
        assert!(answer.status.is_success(), "{}: {}", case.name, answer.text);
    }
}
