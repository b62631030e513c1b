//! What hand-written lists, dashboards, calendars and searches show of a row that has ended: its name is not in the
//! answer for a caller from whom the generated `GET` hides it.

use super::{
    named::Book,
    operations,
    scene::{Group, Hall, Scene},
    ways::{self, How},
};
use crate::support::{documented, resources};
use reqwest::Method;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Rows with a name, and how it begins.
const NAMED: [(&str, &str); 8] = [
    ("event", "Event"),
    ("gathering", "Gathering"),
    ("organization", "Organization"),
    ("business", "Business"),
    ("community", "Community"),
    ("venue", "Venue"),
    ("institution", "Institution"),
    ("stranger", "stranger"),
];

/// Lists of the caller's own.
const OWN: [&str; 3] = ["getFeed", "getMyCalendar", "getMyHome"];

const CALLERS: [&str; 3] = ["nobody", "friend", "buyer"];

/// An operation and a caller, and the rows whose names the answer has.
type Shown = BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>;

async fn shown(book: &Book<'_>, scene: &Scene<'_>) -> Shown {
    let mut all = Shown::new();
    let reads = operations::GOODS
        .iter()
        .filter(|good| good.group == Group::Plain);
    let mut asks: Vec<(&str, &str, &str)> = reads
        .map(|good| (good.operation, good.by, good.of))
        .collect();
    let lists = operations::LISTS.iter().copied().chain(OWN);
    asks.extend(lists.flat_map(|list| CALLERS.map(|caller| (list, caller, ""))));
    for (id, by, of) in asks {
        let operation = book.operation(id);
        if operation.method != Method::GET {
            continue;
        }
        let row = if of.is_empty() {
            Uuid::nil()
        } else {
            scene.id(of)
        };
        let path = operation.path.replace("{id}", &row.to_string());
        let parameters = operation.said["parameters"]
            .as_array()
            .into_iter()
            .flatten();
        let parameters = parameters.map(|one| documented::resolved(documented::document(), one));
        let query: Vec<String> = (parameters.filter(|one| one["in"] == "query"))
            .filter_map(|one| {
                let value = match one["name"].as_str()? {
                    "city_id" => scene.id("city").to_string(),
                    "q" => scene.word.clone(),
                    "bbox" => "144.9,-37.9,145.0,-37.7".to_owned(),
                    _ if one["required"] == true => panic!("add a value for {one}"),
                    _ => return None,
                };
                Some(format!("{}={value}", one["name"].as_str()?))
            })
            .collect();
        let answer = scene
            .client(by)
            .get(&format!("{path}?{}", query.join("&")))
            .await;
        let named = NAMED.iter().filter(|(_, begins)| {
            let name = format!("{begins} {}", scene.word);
            answer.status.is_success() && answer.text.contains(&name)
        });
        all.entry((id, by))
            .or_default()
            .extend(named.map(|(label, _)| *label));
    }
    all
}

async fn is_hidden(scene: &Scene<'_>, by: &str, label: &str) -> bool {
    let row = scene.row(label);
    let path = format!("/{}/{}", resources()[row.kind()].path, row.id);
    scene.client(by).get(&path).await.status == 404
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_hand_written_shows_what_has_ended() {
    let hall = Hall::new().await;
    let book = Book::of(documented::document());
    let modules = &hall.server.built.app.modules;
    let (mut faults, mut gone) = (Vec::new(), BTreeSet::new());
    for (label, _) in NAMED {
        for how in [How::Suspended, How::Archived] {
            let mut scene = Scene::new(&hall, Group::Plain).await;
            scene.deliver().await;
            modules.trending.rank().await.expect("ranks");
            modules.ratings.refresh().await.expect("ratings");
            let before = shown(&book, &scene).await;
            let row = scene.row(label).clone();
            if !ways::end(&mut scene, &row, &how).await {
                continue;
            }
            let after = shown(&book, &scene).await;
            for ((id, by), names) in before.iter().filter(|(_, names)| names.contains(label)) {
                if !is_hidden(&scene, by, label).await {
                    continue;
                }
                match after[&(*id, *by)].contains(label) {
                    true => faults.push(format!(
                        "{id} by {by} shows {label} {how} (before: {names:?})"
                    )),
                    false => drop(gone.insert((*id, label))),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        gone.len() >= 25,
        "only {} lists had shown what ended: {gone:?}",
        gone.len()
    );
}
