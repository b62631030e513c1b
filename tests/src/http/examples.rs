//! The examples of the API document work with the demonstration data: each GET with the example's ids has an answer
//! for one of the demonstration's members.
//!
//! Some entities have no row that can be an example: new ones, and those that are created through Stripe or uploads
//! (`seed trade`, `seed pictures`) with a new id in each run. For these, rows generated for tests are requested.

use super::operations::documented;
use crate::support::{Database, Member, TestServer, database::Content, document, resources};
use serde_json::Value;
use server::seed::{
    demo::PEOPLE,
    examples::{MADE_LATER, ROWS, example_id, made_later, of_the_demonstration},
};
use sqlx::AssertSqlSafe;
use std::collections::{BTreeMap, BTreeSet};

/// Operations whose example can't have an answer, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "/calendar-feeds/{file}",
        "the secret of a feed is told once, to its member",
    ),
    (
        "/events/{id}/cancellation",
        "the event of the examples takes place",
    ),
    ("/me/calendar-feed", "there is none until somebody makes it"),
    (
        "/media/files/{key}/{name}",
        "keys are made as pictures come",
    ),
    ("/notifications/stream", "it has no end"),
    (
        "/notifications/unsubscribe",
        "its token is in mails, signed for their member",
    ),
    (
        "/openapi/{file}",
        "the parts are made of the document by the server",
    ),
    ("/problems/{slug}", "its slugs are words, not ids"),
    (
        "/waitlist-entries/leave",
        "its token is in mails, signed for their member",
    ),
];

/// The member for whom the examples are made. Examples that she may not see work for others.
const OLGA: usize = 2;

/// Entities whose example is not visible to Olga, because she has no row and may not see others'.
const OF_OTHERS: [&str; 4] = [
    "commission_proposal",
    "commission_rule",
    "fraud_flag",
    "referral",
];

/// The path with the id of the example, or one path for each existing row, of which one must have an answer. `None`:
/// the path does not begin with an entity.
fn filled(path: &str, drawn: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    if !path.contains("{id}") {
        return Some(vec![path.to_owned()]);
    }
    let entity = entity(path)?;
    let with = |id: &str| path.replace("{id}", id);
    match example(&entity) {
        Some(id) => Some(vec![with(id)]),
        None => Some(drawn.get(&entity)?.iter().map(|id| with(id)).collect()),
    }
}

/// Ids of rows of entities without an example.
async fn drawn(server: &TestServer) -> BTreeMap<String, Vec<String>> {
    let mut conn = server.superuser().await;
    let mut drawn = BTreeMap::new();
    let unseen = resources().values().filter(|r| example(r.name).is_none());
    for resource in unseen {
        let table = resource.plural;
        let text = format!("select id::text from app.{table} order by id limit 20");
        let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&mut conn)
            .await
            .expect("ids");
        drawn.insert(resource.name.to_owned(), ids);
    }
    // The rows that the API document of a running server takes its examples from come first.
    let named = made_later(&server.built.db).await.expect("rows");
    for (entity, id) in named {
        drawn.entry(entity).or_default().insert(0, id);
    }
    drawn
}

/// The entity of the path's id, according to its first word.
fn entity(path: &str) -> Option<String> {
    let first = path.split('/').nth(1)?;
    let mut all = resources().values();
    let found = all.find(|resource| resource.path == first);
    found.map(|resource| resource.name.to_owned())
}

fn example(entity: &str) -> Option<&'static str> {
    let mut rows = ROWS.iter();
    rows.find(|(name, _)| *name == entity).map(|(_, id)| *id)
}

/// A query string with a value for each required parameter.
fn query(document: &Value, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let resolved = parameters.map(|one| match one["$ref"].as_str() {
        Some(reference) => document
            .pointer(&reference[1..])
            .unwrap_or_else(|| panic!("nothing is at {reference}")),
        None => one,
    });
    let needed = resolved.filter(|one| one["in"] == "query" && one["required"] == true);
    let values = needed.map(|one| {
        let name = one["name"].as_str().expect("a name");
        let value = match name {
            "city_id" => example("city").expect("a city"),
            "q" => "music",
            "bbox" => "144.5,-38.2,145.5,-37.5",
            "token" => "none",
            "key" => "0123456789abcdef",
            other => panic!("add a value for the parameter `{other}`"),
        };
        format!("{name}={value}")
    });
    values.collect::<Vec<_>>().join("&")
}

/// The index of the first member who gets an answer, beginning with Olga; otherwise the statuses that they got.
async fn answered(people: &[Member], target: &str) -> Result<usize, Vec<u16>> {
    let mut order: Vec<usize> = (0..people.len()).collect();
    order.swap(0, OLGA);
    let mut statuses = Vec::new();
    for who in order {
        let answer = people[who].client.get(target).await;
        if answer.status.is_success() {
            return Ok(who);
        }
        statuses.push(answer.status.as_u16());
    }
    Err(statuses)
}

#[tokio::test]
async fn what_the_document_shows_can_be_tried_out_as_it_stands() {
    let server = TestServer::demo().await;
    let mut people = Vec::with_capacity(PEOPLE.len());
    for person in &PEOPLE {
        people.push(server.sign_in(person.id).await);
    }
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.expect("JSON");
    let drawn = drawn(&server).await;
    let (mut faults, mut asked) = (Vec::new(), 0);
    let mut of_others = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let operation = &operations["get"];
        // This answer does not end.
        if operation.is_null() || path == "/notifications/stream" {
            continue;
        }
        let is_excepted = EXCEPTIONS.iter().any(|(excepted, _)| excepted == path);
        let targets = filled(path, &drawn).unwrap_or_default();
        if targets.is_empty() || targets[0].contains('{') {
            if !is_excepted {
                faults.push(format!("{path}: which value have its parameters?"));
            }
            continue;
        }
        let query = query(&document, operation);
        let separator = if query.is_empty() { "" } else { "?" };
        asked += 1;
        let mut answer = Err(Vec::new());
        for target in &targets {
            answer = answered(&people, &format!("{target}{separator}{query}")).await;
            if answer.is_ok() {
                break;
            }
        }
        let entity = entity(path).filter(|entity| example(entity).is_some());
        match (answer, is_excepted) {
            (Ok(_), true) => faults.push(format!("{path}: it works, so it is no exception")),
            (Ok(who), false) if who != OLGA && path.ends_with("/{id}") => {
                of_others.extend(entity.map(|entity| (entity, PEOPLE[who].handle)));
            }
            (Err(statuses), false) => faults.push(format!("GET {targets:?}: {statuses:?}")),
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(asked > 180, "only {asked} were asked");
    let found: Vec<&str> = of_others.keys().map(String::as_str).collect();
    assert_eq!(
        found, OF_OTHERS,
        "the list of examples that Olga can't see is outdated: {of_others:?}"
    );
}

/// Examples of bodies can be sent: they contradict no check, are not over, and do not name the member who sends them where
/// it must be another one.
#[test]
fn examples_of_bodies_are_none_that_would_be_refused() {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.expect("JSON");
    let of = |name: &str| {
        let example = &document["components"]["schemas"][name]["example"];
        assert!(example.is_object(), "{name}: {example}");
        example
    };
    let code = of("CreatePromoCode");
    let discounts = ["basis_points", "amount_cents"];
    assert_eq!(discounts.map(|name| code[name].is_null()), [false, true]);
    for name in ["CreatePromotion", "CreateEvent", "CreateGrantAnnouncement"] {
        for (time, value) in of(name).as_object().expect("an object") {
            let year = value.as_str().filter(|_| time.ends_with("s_at"));
            assert!(
                year.is_none_or(|year| year.starts_with("2099")),
                "{name}/{time}: {value}"
            );
        }
    }
    assert_eq!(of("CreateBroadcast").get("ticket_type_ids"), None);
    let member = example_id("user");
    let follow = of("CreateFollow");
    assert_eq!(
        follow["entity_id"],
        example_id(follow["entity_type"].as_str().expect("a type"))
    );
    assert_ne!(follow["entity_id"], member.as_str());
    assert_ne!(of("CreateReferral")["referrer_id"], member.as_str());
    // In the document of a server with the demonstration it is the id of a second member.
    let replaced = of_the_demonstration();
    let (_, other) = (replaced.iter())
        .find(|(id, _)| of("CreateReferral")["referrer_id"] == id.as_str())
        .expect("an id of the demonstration");
    assert_ne!(*other, PEOPLE[OLGA].id.to_string());
    let hours = &of("CreateNotificationPreference")["quiet_hours"];
    assert_ne!(hours["starts"], hours["ends"]);
    let role = of("CreateRoleAssignment");
    assert_eq!(role["scope_id"], example_id("organization"));
    assert_eq!(role["user_id"], example_id("another user"));
    // At the door credits are refused, and codes belong to one event.
    let cart = of("Cart").as_object().expect("an object");
    assert_eq!(cart.keys().collect::<Vec<_>>(), ["event_id", "items"]);
}

/// Ids in examples of bodies are those of the example objects, which a server with the demonstration data replaces by ids
/// of its rows; those of hand-written routes too. An id that is made up can't be tried.
#[test]
fn ids_in_examples_of_bodies_are_of_example_objects() {
    let document = kernel::openapi::document(app::api::document(), app::api::hand_written);
    let document = document.expect("JSON");
    let another = ["another city", "another user"];
    let names = resources().keys().copied().chain(another);
    let known: BTreeMap<String, &str> = names.map(|name| (example_id(name), name)).collect();
    let (mut faults, mut seen) = (Vec::new(), BTreeSet::new());
    let mut sent = Vec::new();
    for (title, operation) in documented(&document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        let target = content["schema"]["$ref"].as_str().unwrap_or_default();
        let schema = document.pointer(target.trim_start_matches('#'));
        let example = content
            .get("example")
            .or(schema.and_then(|one| one.get("example")));
        sent.extend(example.map(|example| (title, example)));
    }
    for (title, example) in sent {
        each_id(example, "", &mut |key, id| {
            let name = known.get(id).copied();
            // What a key says by itself, such as `event_id`; `target_id` may be of any entity.
            let wanted = key.trim_end_matches('s').trim_end_matches("_id");
            let is_right = name
                .is_some_and(|name| !resources().contains_key(wanted) || name.ends_with(wanted));
            if !is_right {
                faults.push(format!("{title}: {key} is {id} of {name:?}"));
            }
            seen.insert(key.to_owned());
        });
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let hand_written = ["ticket_type_id", "plan_id", "payment_method_id"];
    assert!(
        hand_written.iter().all(|key| seen.contains(*key)),
        "{seen:?}"
    );
}

/// Calls `with` for each text that is an id, with the key that it is under.
fn each_id(value: &Value, key: &str, with: &mut impl FnMut(&str, &str)) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| each_id(inner, key, with)),
        Value::Array(list) => list.iter().for_each(|inner| each_id(inner, key, with)),
        Value::String(text) if text.parse::<uuid::Uuid>().is_ok() => with(key, text),
        _ => {}
    }
}

/// Creates whose example can't be accepted, and why.
const REFUSED: &[(&str, &str)] = &[
    (
        "/countries",
        "all countries that exist are in the reference data",
    ),
    ("/leads", "service requests are made later"),
];

/// Whoever opens the page of the document and sends the example of a create gets an object: some member of the
/// demonstration may create it, and nothing of the demonstration is in its way.
#[tokio::test]
async fn examples_of_creates_make_objects_of_the_demonstration() {
    let server = TestServer::start_with(Content::Demo, |parts| {
        parts.examples = of_the_demonstration()
    })
    .await;
    let mut people = Vec::with_capacity(PEOPLE.len());
    for person in &PEOPLE {
        people.push(server.sign_in(person.id).await);
    }
    people.swap(0, OLGA);
    let document = server.client.get("/openapi.json").await.expect(200).json;
    let (mut faults, mut made) = (Vec::new(), 0);
    for resource in resources().values() {
        let path = format!("/{}", resource.path);
        let content = &document["paths"][&path]["post"]["requestBody"]["content"];
        let target = content["application/json"]["schema"]["$ref"].as_str();
        // Hand-written operations have tests of their own, and need more than a body.
        let Some(schema) = target.filter(|_| resource.create.is_some()) else {
            continue;
        };
        let body = document.pointer(&format!("{}/example", &schema[1..]));
        let body = body.unwrap_or_else(|| panic!("{path} has no example"));
        let is_excepted = REFUSED.iter().any(|(refused, _)| *refused == path);
        let mut refusals = Vec::new();
        let mut is_made = false;
        for person in &people {
            let answer = person.client.post(&path, body.clone()).await;
            is_made = answer.status == 201;
            if is_made {
                break;
            }
            refusals.push(format!("{} {:?}", answer.status, answer.pointers()));
        }
        made += usize::from(is_made);
        if is_made == is_excepted {
            faults.push(format!("{path}: {refusals:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(made > 20, "{made}");
}

/// There is an example for every entity that has rows in the demonstration data, and for no other.
#[tokio::test]
async fn whatever_the_demonstration_has_stands_in_an_example() {
    let database = Database::new(Content::Demo).await;
    let filled = database.filled().await;
    let shown: BTreeSet<&str> = ROWS.iter().map(|(entity, _)| *entity).collect();
    let there = resources().keys().copied();
    let there = there.filter(|name| !filled.contains(*name) && !MADE_LATER.contains(name));
    assert_eq!(shown, there.collect::<BTreeSet<_>>());
}

/// Entities whose rows are created later (through Stripe or uploads) have an example once there is a row.
#[tokio::test]
async fn what_is_made_later_stands_in_the_examples_once_it_is_there() {
    let with_examples =
        |content| TestServer::start_with(content, |parts| parts.examples = of_the_demonstration());
    let neutral = |text: &str| {
        let stands = |entity: &&&str| text.contains(&example_id(entity));
        MADE_LATER
            .iter()
            .filter(stands)
            .copied()
            .collect::<Vec<_>>()
    };
    let without = with_examples(Content::Reference).await;
    let before = without.client.get("/openapi.json").await.expect(200);
    assert_eq!(neutral(&before.text), MADE_LATER);

    let server = with_examples(Content::Sample).await;
    let document = server.client.get("/openapi.json").await.expect(200);
    assert_eq!(neutral(&document.text), Vec::<&str>::new());
    let mut people = Vec::with_capacity(PEOPLE.len());
    for person in &PEOPLE {
        people.push(server.sign_in(person.id).await);
    }
    let mut conn = server.superuser().await;
    for entity in MADE_LATER {
        let resource = resources()[entity];
        let ids: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select id::text from app.{}",
            resource.plural
        )))
        .fetch_all(&mut conn)
        .await
        .expect("ids");
        let shown = ids.iter().find(|id| document.text.contains(*id));
        assert!(shown.is_some(), "no row of {entity}");
        // Only their members can see cards.
        if let Some(id) = shown.filter(|_| entity != "payment_method") {
            let path = format!("/{}/{id}", resource.path);
            answered(&people, &path).await.expect(entity);
        }
    }
}

/// The negative control: a missing id is noticed.
#[tokio::test]
async fn an_example_that_leads_nowhere_is_noticed() {
    let server = TestServer::demo().await;
    let olga = server.sign_in(PEOPLE[OLGA].id).await;
    let nowhere = format!("/events/{}", olga.session);
    let mut people = Vec::new();
    for person in &PEOPLE[..=OLGA] {
        people.push(server.sign_in(person.id).await);
    }
    assert_eq!(answered(&people, &nowhere).await, Err(vec![404; 3]));
    assert_eq!(filled("/nothing/{id}", &BTreeMap::new()), None);
}

/// Headers are documented with examples, too.
#[test]
fn every_header_of_the_document_has_an_example() {
    let headers = document()["components"]["headers"].as_object();
    let headers = headers.expect("headers");
    assert!(headers.contains_key("RateLimit") && headers.contains_key("RateLimitPolicy"));
    for (name, header) in headers {
        assert!(!header["example"].is_null(), "{name}");
    }
}
