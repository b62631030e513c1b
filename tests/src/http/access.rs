//! The permissions that the document states by kind of caller (`x-access`): every operation has them, and those of
//! hand-written operations are tested in both directions. A kind of caller that is not listed is refused, and for each
//! kind that is listed some caller is admitted. The matrix tests generated operations in the same way.

mod tries;

use super::{
    operations::{self, documented},
    people::{self, Persona, personas},
    rows,
};
use crate::support::{TestServer, stripe::Stripe};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tries::{Hand, Sight, Stage};

/// Kinds of callers for which another condition must hold as well, with the test that covers it.
const NOT_TRIED_AS: &[(&str, &str, &str)] = &[(
    "getBusinessReport",
    "orgAdmin",
    "the plan of the business decides: marketplace",
)];

/// Kinds of callers, named as in generated operations.
const CALLERS: [&str; 5] = [
    "anonymous",
    "signed in",
    "orgAdmin",
    "cityAdmin",
    "platformAdmin",
];

/// Operations that admit no caller in this test, because another condition must hold, and which one.
const NOT_TRIED: &[(&str, &str)] = &[
    ("archiveMe", "whoever tries it is gone for the others"),
    ("changePassword", "a password decides: abuse::credentials"),
    (
        "completePicture",
        "no picture is on its way: media::uploads",
    ),
    ("confirmEmail", "a token of a mail decides: mail"),
    ("discardDeadJob", "no job is dead: http::dead_jobs"),
    (
        "getPictureFile",
        "a key that is made with the picture decides: media::disk",
    ),
    (
        "leaveWaitlist",
        "a token of a mail decides: notifications::leave",
    ),
    (
        "readCalendarFeed",
        "a secret that is told once decides: calendars::feed",
    ),
    ("refresh", "a refresh token decides: abuse::refresh"),
    ("resetPassword", "a token of a mail decides: mail"),
    ("retryDeadJob", "no job is dead: http::dead_jobs"),
    (
        "sendPicture",
        "a signature in its address decides: media::disk",
    ),
    (
        "showLeavingWaitlist",
        "a token of a mail decides: notifications::leave",
    ),
    (
        "showUnsubscribing",
        "a token of a mail decides: notifications::deliveries",
    ),
    ("signIn", "a password decides: abuse::sign_in"),
    ("stepUp", "a password decides: abuse::credentials"),
    (
        "streamNotifications",
        "it has no end: notifications::stream",
    ),
    ("takeResendEvent", "a signature decides: delivery::feedback"),
    (
        "takeSendgridEvents",
        "a signature decides: delivery::feedback",
    ),
    (
        "takeStripeConnectEvent",
        "a signature decides: abuse::webhooks",
    ),
    ("takeStripeEvent", "a signature decides: abuse::webhooks"),
    (
        "unsubscribe",
        "a token of a mail decides: notifications::deliveries",
    ),
    ("verifyEmail", "a token of a mail decides: mail"),
];

#[tokio::test]
async fn every_operation_says_who_may() {
    let server = TestServer::start().await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (title, operation) in documented(&document) {
        let Some(callers) = operation["x-access"].as_object() else {
            faults.push(format!("{title} says nothing"));
            continue;
        };
        let known = |(name, may): (&String, &Value)| {
            CALLERS.contains(&name.as_str())
                && ["yes", "depends", "no"].contains(&may.as_str().unwrap_or_default())
        };
        if callers.is_empty() || !callers.iter().all(known) {
            faults.push(format!("{title}: {callers:?}"));
        }
        let security = operation.get("security").unwrap_or(&document["security"]);
        let security = security.as_array().expect("a list");
        let is_open = security.is_empty() || security.contains(&json!({}));
        if is_open != callers.contains_key("anonymous") {
            faults.push(format!("{title}: {callers:?}, but {security:?}"));
        }
        seen += 1;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 500, "only {seen} operations");
}

/// A server with a payment service, without which payment operations fail for every caller.
async fn server() -> TestServer {
    let stripe = Stripe::new(7);
    people::server_with(|parts| stripe.provide(parts)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_named_is_refused() {
    let server = server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let stage = Stage::new(&server, &document, &world, &people);
    let (mut faults, mut tried) = (Vec::new(), 0);
    for operation in hand_written(&document) {
        for sight in &stage.sights {
            if operation.says_of(sight.person).is_some() {
                continue;
            }
            for row in stage.rows(&operation, sight, 2) {
                tried += 1;
                faults.extend(unnamed_fault(&stage, &operation, sight, row).await);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 300, "only {tried} were tried");
}

/// The negative control of parsing `x-access`: a kind that is not listed has the permission of the more general kind,
/// unless the document says otherwise.
#[test]
fn callers_are_named_where_they_differ() {
    let said =
        json!({"x-access": {"signed in": "depends", "cityAdmin": "no", "platformAdmin": "yes"}});
    let may = CALLERS.map(|caller| operations::may(&said, caller));
    let depends = Some("depends");
    assert_eq!(may, [None, depends, depends, None, Some("yes")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_whom_it_names_somebody_is_let_through() {
    let server = server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let stage = Stage::new(&server, &document, &world, &people);
    let mut hand = Hand::of(&server).await;
    let mut all = hand_written(&document);
    // Creating operations first, so that others find the rows, and deleting ones last.
    all.sort_by_key(|operation| operation.method == Method::DELETE);
    all.sort_by_key(|operation| operation.method != Method::POST);
    let (mut faults, mut tried) = (Vec::new(), 0);
    for operation in all {
        let exception = NOT_TRIED.iter().any(|(id, _)| *id == operation.id());
        if exception && !is_harmless(&operation) {
            continue;
        }
        for kind in CALLERS {
            let Some(said) = operation.says_of_kind(kind) else {
                continue;
            };
            let as_kind = |(id, of, _): &(&str, &str, &str)| *id == operation.id() && *of == kind;
            let exception = exception || NOT_TRIED_AS.iter().any(as_kind);
            let outcome = let_through(&stage, &mut hand, &operation, kind, said == "yes").await;
            match (outcome, exception) {
                (Ok(()), true) => faults.push(format!(
                    "{}: {kind} is let through, so it is no exception",
                    operation.id()
                )),
                (Err(why), false) => faults.push(format!(
                    "{} {} ({}) names {kind}, and nobody is let through: {why}",
                    operation.method,
                    operation.path,
                    operation.id()
                )),
                (Ok(()), false) => tried += 1,
                (Err(_), true) => {}
            }
        }
    }
    let known: BTreeSet<&str> = hand_written(&document).iter().map(Operation::id).collect();
    let of_kinds = NOT_TRIED_AS.iter().map(|(id, ..)| id);
    for id in NOT_TRIED.iter().map(|(id, _)| id).chain(of_kinds) {
        assert!(known.contains(id), "there is no {id}");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 400, "only {tried} were tried");
}

/// The negative control: the test notices a document that lists too few kinds of callers, and one that lists too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_document_forgets_or_promises_too_much_is_found() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let stage = Stage::new(&server, &document, &world, &people);
    let all = hand_written(&document);
    let find = |id: &str| {
        let mut all = all.iter();
        all.find(|operation| operation.id() == id)
            .expect("an operation")
    };
    let mut members = stage
        .sights
        .iter()
        .filter(|sight| sight.person.class == "signed in");
    let member = members.next().expect("a member");
    let found = unnamed_fault(&stage, find("getMyWallet"), member, None).await;
    assert!(found.is_some_and(|text| text.contains("200")));
    let mut hand = Hand::of(&server).await;
    let found = let_through(
        &stage,
        &mut hand,
        find("getPlatformDashboard"),
        "cityAdmin",
        false,
    )
    .await;
    assert!(found.is_err_and(|text| text.contains("403")));
}

pub struct Operation<'d> {
    pub method: Method,
    pub path: &'d str,
    pub said: &'d Value,
}

impl<'d> Operation<'d> {
    pub fn id(&self) -> &'d str {
        self.said["operationId"].as_str().expect("an id")
    }

    fn says_of_kind(&self, kind: &str) -> Option<&'d str> {
        operations::may(self.said, kind)
    }

    fn says_of(&self, person: &Persona) -> Option<&'d str> {
        self.says_of_kind(person.class)
    }
}

pub fn hand_written(document: &Value) -> Vec<Operation<'_>> {
    let generated: Vec<String> = documented(operations::document())
        .into_iter()
        .map(|(title, _)| title)
        .collect();
    let paths = document["paths"].as_object().expect("paths");
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, said) in item.as_object().expect("operations") {
            let method = method.to_uppercase();
            if !generated.contains(&format!("{method} {path}")) {
                let method = method.parse().expect("a method");
                all.push(Operation { method, path, said });
            }
        }
    }
    all
}

/// Whether an excepted operation can be tried without harm, to check that the exception is still needed.
fn is_harmless(operation: &Operation<'_>) -> bool {
    !["archiveMe", "streamNotifications"].contains(&operation.id())
}

fn is_refused(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404)
}

/// An invalid body or an internal error says nothing about permissions.
fn is_let_through(status: StatusCode) -> bool {
    !is_refused(status) && !matches!(status.as_u16(), 400 | 422 | 429 | 500)
}

async fn unnamed_fault(
    stage: &Stage<'_>,
    operation: &Operation<'_>,
    sight: &Sight<'_>,
    row: Option<&crate::rules::world::Row>,
) -> Option<String> {
    let answer = stage.send(operation, sight, row).await;
    (!is_refused(answer.status)).then(|| {
        format!(
            "{} {} as {}: {}, {}",
            operation.method, operation.path, sight.person.name, answer.status, answer.text
        )
    })
}

/// Checks that some caller of this kind is admitted: as they are, or after the row was changed so that it is about
/// them or administered by them. With `all`, none of them may get 401 or 403.
async fn let_through(
    stage: &Stage<'_>,
    hand: &mut Hand,
    operation: &Operation<'_>,
    kind: &str,
    all: bool,
) -> Result<(), String> {
    let mut statuses = Vec::new();
    let mut last = String::new();
    let mut is_through = false;
    let sights = || stage.sights.iter().filter(|one| one.person.class == kind);
    for sight in sights() {
        for row in stage.rows(operation, sight, 12) {
            let answer = stage.send(operation, sight, row).await;
            statuses.push(answer.status.as_u16());
            if all && matches!(answer.status.as_u16(), 401 | 403) {
                return Err(format!("{}, {}", sight.person.name, answer.text));
            }
            last = answer.text;
            if is_let_through(answer.status) {
                is_through = true;
                break;
            }
        }
        if is_through && !all {
            return Ok(());
        }
    }
    if is_through {
        return Ok(());
    }
    for sight in sights() {
        for row in stage.rows(operation, sight, 3).into_iter().flatten() {
            let Some(entity) = stage.entity(operation.path) else {
                continue;
            };
            for change in hand.changes(entity, row, sight.person) {
                hand.put_back(entity, row).await;
                hand.make(&change).await;
                let answer = stage.send(operation, sight, Some(row)).await;
                statuses.push(answer.status.as_u16());
                last = answer.text;
                if is_let_through(answer.status) {
                    return Ok(());
                }
            }
        }
    }
    Err(format!("{statuses:?}, {last}"))
}
