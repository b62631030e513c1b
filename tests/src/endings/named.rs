//! Every hand-written operation that names a row × every way in which that row, what it depends on, or the caller's
//! account or role has ended.
//!
//! Unless `expected.rs` says otherwise, nothing new comes of a row that has ended: whatever changes something is refused
//! with a documented problem, and where the generated `GET` of the row answers 404, so does the operation.

use super::{
    expected::{self, Expected},
    offered,
    operations::{self, Good},
    scene::{Group, Hall, Named, SHARED, Scene},
    ways::{self, How},
};
use crate::{
    http::access::{Operation, hand_written},
    support::{Answer, model, resources, root},
    trending::stage::run,
};
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How many servers play scenes at the same time, and how many scenes one plays that doesn't need the payment service,
/// which delivers what it has for all scenes.
const AT_ONCE: usize = 4;

pub const GROUPS: [Group; 5] = [
    Group::Money,
    Group::Cancelled,
    Group::Unsubscribed,
    Group::Pictures,
    Group::Plain,
];

/// A label of a scene, and how the row ends.
type Ending = (String, How);

/// The operations of the document by id.
pub struct Book<'d>(BTreeMap<&'d str, Operation<'d>>);

impl<'d> Book<'d> {
    pub fn of(document: &'d Value) -> Self {
        let all = hand_written(document).into_iter();
        Self(all.map(|operation| (operation.id(), operation)).collect())
    }

    pub fn operation(&self, id: &str) -> &Operation<'d> {
        self.0
            .get(id)
            .unwrap_or_else(|| panic!("there is no operation {id}"))
    }

    pub async fn send(&self, good: &Good, scene: &Scene<'_>) -> Answer {
        let operation = self.operation(good.operation);
        let id = match good.of {
            "" => Uuid::nil(),
            label => scene.id(label),
        };
        let path = operation.path.replace("{id}", &id.to_string());
        let key = Uuid::now_v7().to_string();
        let headers = [("if-match", "*"), ("idempotency-key", key.as_str())];
        let body = Some((good.body)(scene)).filter(|body| !body.is_null());
        let client = scene.client(good.by);
        client
            .send(operation.method.clone(), &path, body, &headers)
            .await
    }

    pub fn is_read(&self, good: &Good) -> bool {
        self.operation(good.operation).method == Method::GET
    }
}

/// A new operation has to be looked at: which row does it name, and what if that has ended?
#[test]
fn every_hand_written_operation_has_a_good_request_or_a_reason() {
    let document = crate::support::documented::document();
    let goods = operations::GOODS.iter().map(|good| good.operation);
    let secrets = operations::SECRETS.iter().map(|(id, ..)| *id);
    let others = [operations::OWN, operations::LISTS, operations::NOTHING].concat();
    let apart: Vec<&str> = secrets.chain(others).collect();
    let goods: BTreeSet<&str> = goods.collect();
    let mut said: Vec<&str> = goods.iter().copied().chain(apart).collect();
    said.sort_unstable();
    // `/me/…` forwards to generated operations, which have their own tests.
    let is_forwarded = |one: &Operation<'_>| {
        let told = one.said["description"].as_str().unwrap_or_default();
        told.ends_with("with the caller's id.")
    };
    let all = hand_written(document).into_iter();
    let mut known: Vec<String> = (all.filter(|one| !is_forwarded(one)))
        .map(|one| one.id().to_owned())
        .collect();
    known.sort_unstable();
    assert_eq!(said, known);
    for (id, file, test) in operations::SECRETS {
        let text = std::fs::read_to_string(root().join("tests/src").join(file)).expect("a file");
        assert!(
            text.contains(&format!("async fn {test}(")),
            "{id}: there is no test {test}"
        );
    }
}

/// Without this, a refusal after an ending would say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_good_request_succeeds_while_nothing_has_ended() {
    let hall = Hall::new().await;
    let book = Book::of(crate::support::documented::document());
    let mut faults = Vec::new();
    for group in GROUPS {
        let mut scene = Scene::new(&hall, group).await;
        for good in operations::GOODS.iter().filter(|good| good.group == group) {
            let is_offered = offered::is_offered(&scene, good).await;
            let answer = book.send(good, &scene).await;
            if is_offered == Some(false) && !offered::is_offered_twice(good) {
                faults.push(format!("{} by {} is not offered", good.operation, good.by));
            }
            if !is_done(&answer) {
                faults.push(format!(
                    "{} of {} by {}: {}, {}",
                    good.operation, good.of, good.by, answer.status, answer.text
                ));
            }
            if !book.is_read(good) {
                scene = Scene::new(&hall, group).await;
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_new_comes_of_what_has_ended() {
    let book = Book::of(crate::support::documented::document());
    let mut seen = Seen::default();
    let (book, groups) = (&book, GROUPS.iter().flat_map(|group| shares(*group)));
    let mut played = stream::iter(groups.map(|(group, share)| play_group(book, group, share)))
        .buffer_unordered(AT_ONCE);
    while let Some(some) = played.next().await {
        seen.add(some);
    }
    drop(played);
    seen.faults.extend(expected::unused(&seen.done));
    seen.faults.sort_unstable();
    assert!(
        seen.faults.is_empty(),
        "{} faults of {} tried:\n{}",
        seen.faults.len(),
        seen.tried,
        seen.faults.join("\n")
    );
    assert!(seen.tried > 600, "only {} were tried", seen.tried);
    assert!(
        seen.impossible < 40,
        "{} endings were refused",
        seen.impossible
    );
}

/// The negative control: without the guard, an order is paid whose host is suspended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_succeeds_without_a_guard_is_found() {
    let hall = Hall::new().await;
    let unguarded = "create or replace function app.host_is_live(p_host uuid) returns boolean language sql stable set search_path = pg_catalog, pg_temp as 'select true'";
    run(&mut *hall.server.superuser().await, unguarded.to_owned()).await;
    let book = Book::of(crate::support::documented::document());
    let good = operations::GOODS
        .iter()
        .find(|good| good.operation == "payOrder")
        .expect("a good request");
    let ending = ("organization".to_owned(), How::Suspended);
    let seen = play(&hall, &book, good.group, ending, vec![good]).await;
    assert_eq!(seen.faults.len(), 1, "{:?}", seen.faults);
    assert!(seen.faults[0].contains("payOrder"), "{:?}", seen.faults);
}

#[derive(Default)]
pub struct Seen {
    pub faults: Vec<String>,
    /// Operation, row and way of those that succeeded.
    done: BTreeSet<(String, String, String)>,
    tried: usize,
    /// Endings that the database refuses.
    impossible: usize,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.faults.extend(other.faults);
        self.done.extend(other.done);
        self.tried += other.tried;
        self.impossible += other.impossible;
    }
}

/// A share of the endings of a group: the first of two shares are those with even numbers.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    of: usize,
}

/// The largest group is divided among several servers.
fn shares(group: Group) -> impl Iterator<Item = (Group, Share)> {
    let of = if group == Group::Money { AT_ONCE } else { 1 };
    (0..of).map(move |number| (group, Share { number, of }))
}

/// Plays a share of the endings of a group on a server of its own.
async fn play_group(book: &Book<'_>, group: Group, share: Share) -> Seen {
    let hall = Hall::new().await;
    let goods: Vec<&Good> = operations::GOODS
        .iter()
        .filter(|good| good.group == group)
        .collect();
    let related = related(&hall, group, &goods).await;
    let related = related.into_iter().enumerate();
    let related = related.filter(|(at, _)| at % share.of == share.number);
    let at_once = if group == Group::Plain { AT_ONCE } else { 1 };
    let mut seen = Seen::default();
    let mut played =
        stream::iter(related.map(|(_, (ending, goods))| play(&hall, book, group, ending, goods)))
            .buffer_unordered(at_once);
    while let Some(one) = played.next().await {
        seen.add(one);
    }
    drop(played);
    seen
}

/// The endings of all rows on which the good requests depend, each with the requests that it concerns.
async fn related<'g>(
    hall: &Hall,
    group: Group,
    goods: &[&'g Good],
) -> BTreeMap<Ending, Vec<&'g Good>> {
    let mut scene = Scene::new(hall, group).await;
    let mut related: BTreeMap<Ending, Vec<&Good>> = BTreeMap::new();
    let mut unlabelled = BTreeSet::new();
    for good in goods.iter().copied() {
        for row in concerned(&mut scene, good).await {
            let label = scene.label(&row);
            if SHARED.contains(&row.kind()) {
                continue;
            }
            if !scene.rows.contains_key(&label) {
                unlabelled.insert(format!("give {label} of {} a label", good.operation));
                continue;
            }
            for how in ways::of(&model().entities[row.entity]) {
                related.entry((label.clone(), how)).or_default().push(good);
            }
        }
    }
    let unlabelled: Vec<String> = unlabelled.into_iter().collect();
    assert!(unlabelled.is_empty(), "{}", unlabelled.join("\n"));
    related
}

/// The rows that the request names in its path and body, all that these depend on, and the caller with the roles and
/// the membership of that.
async fn concerned(scene: &mut Scene<'_>, good: &Good) -> BTreeSet<Named> {
    let body = (good.body)(scene).to_string();
    let named: Vec<Named> = (scene.rows.iter())
        .filter(|(label, row)| *label == good.of || body.contains(&row.id.to_string()))
        .map(|(_, row)| row.clone())
        .collect();
    let mut found = BTreeSet::new();
    for row in named {
        found.extend(scene.foundations(&row).await);
    }
    let caller = scene.row(good.by).clone();
    let roles: Vec<Named> = (scene.rows.values())
        .filter(|row| ["role_assignment", "community_member"].contains(&row.kind()))
        .cloned()
        .collect();
    for role in roles {
        let (holder, scope): (Uuid, Option<Uuid>) = match role.kind() {
            "community_member" => scene.pair(&role, "user_id", "community_id").await,
            _ => scene.pair(&role, "user_id", "scope_id").await,
        };
        let is_of_it = scope.is_none_or(|scope| found.iter().any(|row| row.id == scope));
        if holder == caller.id && is_of_it {
            found.insert(role);
        }
    }
    found.insert(caller);
    found
}

/// Ends a row of a fresh scene, and sends all requests that this concerns. After one that has succeeded the scene is
/// another, so the next one is made.
pub async fn play(
    hall: &Hall,
    book: &Book<'_>,
    group: Group,
    (label, how): Ending,
    goods: Vec<&Good>,
) -> Seen {
    let mut seen = Seen::default();
    let mut scene = None;
    for good in goods {
        let mut there = match scene.take() {
            Some(scene) => scene,
            None => {
                let mut fresh = Scene::new(hall, group).await;
                let row = fresh.row(&label).clone();
                if !ways::end(&mut fresh, &row, &how).await {
                    seen.impossible += 1;
                    return seen;
                }
                fresh
            }
        };
        seen.tried += 1;
        let is_offered = offered::is_offered(&there, good).await;
        let answer = book.send(good, &there).await;
        let is_done = is_done(&answer);
        if let Some(fault) = offered::fault(good, &label, is_offered, is_done) {
            seen.faults.push(format!(
                "{} of {:?} by {} with {label} {how}: {fault}: {}",
                good.operation, good.of, good.by, answer.text
            ));
        }
        if is_done {
            seen.done
                .insert((good.operation.to_owned(), label.clone(), how.to_string()));
        }
        if let Some(fault) = fault(book, &mut there, good, (&label, &how), &answer).await {
            seen.faults.push(format!(
                "{} of {:?} by {} with {label} {how}: {fault}",
                good.operation, good.of, good.by
            ));
        }
        scene = (!is_done || book.is_read(good)).then_some(there);
    }
    seen
}

async fn fault(
    book: &Book<'_>,
    scene: &mut Scene<'_>,
    good: &Good,
    (label, how): (&str, &How),
    answer: &Answer,
) -> Option<String> {
    let status = answer.status.as_u16();
    let told = format!(
        "{status}, {}",
        answer.text.chars().take(160).collect::<String>()
    );
    if status >= 500 {
        return Some(told);
    }
    if label == good.by && matches!(how, How::Suspended | How::Archived) {
        return (status != 401).then(|| format!("{told} (an account that has ended)"));
    }
    let is_done = is_done(answer);
    let is_read = book.is_read(good);
    let expected = expected::of(good.operation, label, how);
    if is_hidden(scene, good).await {
        let is_expected = status == 404
            || is_done && !is_read && expected == Expected::Done
            || status == 403 && is_role(scene, label);
        return (!is_expected).then(|| format!("{told} (GET of the row answers 404)"));
    }
    let is_fault = match expected {
        Expected::Done => false,
        Expected::Refused if is_read && !is_role(scene, label) => false,
        Expected::Refused => is_done,
    };
    is_fault.then_some(told)
}

/// Whether the request did what it asked for. Scans are answered with 200 as well if nobody may come in.
pub fn is_done(answer: &Answer) -> bool {
    let results = match &answer.json["data"] {
        Value::Array(list) => list.as_slice(),
        _ => std::slice::from_ref(&answer.json),
    };
    let mut results = results.iter().filter_map(|one| one["result"].as_str());
    answer.status.is_success() && results.all(|result| result == "ok")
}

/// Whether the generated `GET` of the row in the path hides it from the caller.
async fn is_hidden(scene: &Scene<'_>, good: &Good) -> bool {
    if good.of.is_empty() {
        return false;
    }
    let row = scene.row(good.of);
    let Some(resource) = resources().get(row.kind()) else {
        return false;
    };
    let path = format!("/{}/{}", resource.path, row.id);
    scene.client(good.by).get(&path).await.status == 404
}

fn is_role(scene: &Scene<'_>, label: &str) -> bool {
    ["role_assignment", "community_member"].contains(&scene.row(label).kind())
}
