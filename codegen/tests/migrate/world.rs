//! The base world of the bad fixtures before and after some edits.

use codegen::diag::Sources;
use codegen::emit::schema::schema;
use codegen::migrate::{Next, Past, Record, Refusal, next};
use codegen::model::Model;
use std::path::Path;

/// File, text in it, what comes in its place.
pub type Edit<'a> = (&'a str, &'a str, &'a str);

/// From one world to another, with everything migrated up to the first.
pub fn step(from: &[Edit], to: &[Edit]) -> Result<Next, Vec<Refusal>> {
    let (old, new) = (world(from), world(to));
    let first = next(&Past::default(), &old, &schema(&old)).unwrap();
    next(&after(&first), &new, &schema(&new))
}

/// What the next run finds on the disk.
pub fn after(first: &Next) -> Past {
    let mut past = Past::default();
    for (path, text) in &first.files {
        if let Some(name) = path.strip_prefix("migrations/") {
            past.files.insert(name.to_owned(), text.clone());
        } else if path == "generated/model.json" {
            past.record = Some(serde_json::from_str::<Record>(text).unwrap());
        }
    }
    past
}

pub fn refused(to: &[Edit]) -> String {
    refused_after(&[], to)
}

pub fn refused_after(from: &[Edit], to: &[Edit]) -> String {
    let said = |r: Refusal| {
        let place = match (r.entity, r.field) {
            (Some(entity), Some(field)) => format!("{entity}.{field}"),
            (entity, _) => entity.unwrap_or_else(|| "app.yaml".to_owned()),
        };
        format!("{place}: {}\n= {}\n", r.message, r.help)
    };
    step(from, to)
        .expect_err("a refusal")
        .into_iter()
        .map(said)
        .collect()
}

pub fn file<'a>(next: &'a Next, path: &str) -> &'a str {
    let found = next.files.iter().find(|(p, _)| p == path);
    let names: Vec<&str> = next.files.iter().map(|(p, _)| p.as_str()).collect();
    &found
        .unwrap_or_else(|| panic!("{path} is not among {names:?}"))
        .1
}

/// The base world with texts replaced; a file that is not there is new.
pub fn world(edits: &[Edit]) -> Model {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/base");
    let mut files = vec![(
        "app".to_owned(),
        std::fs::read_to_string(base.join("app.yaml")).unwrap(),
    )];
    let mut paths: Vec<_> = std::fs::read_dir(base.join("entities"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort_unstable();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        files.push((name, std::fs::read_to_string(&path).unwrap()));
    }
    for (name, from, to) in edits {
        match files.iter_mut().find(|(file, _)| file == name) {
            Some((_, text)) => {
                assert!(text.contains(from), "{name} has no {from:?}");
                *text = text.replacen(from, to, usize::MAX);
            }
            None => files.push(((*name).to_owned(), (*to).to_owned())),
        }
    }
    let mut sources = Sources::default();
    for (name, text) in files {
        let entity = text
            .lines()
            .find_map(|l| l.strip_prefix("entity: "))
            .unwrap_or(&name)
            .to_owned();
        let path = if name == "app" {
            "spec/app.yaml".to_owned()
        } else {
            format!("spec/entities/{entity}.yaml")
        };
        sources.add(path, text);
    }
    codegen::load_sources(&sources).unwrap_or_else(|said| panic!("{said}"))
}

/// Renames the entity `organization`, with all that refers to it.
pub const RENAMED: [Edit<'static>; 6] = [
    (
        "organization",
        "entity: organization\n",
        "entity: guild\nwas: organization\n",
    ),
    ("app", "of organization", "of guild"),
    ("app", "[event, organization]", "[event, guild]"),
    ("event", "one of organization", "one of guild"),
    (
        "member",
        "organization: organization",
        "organization: guild",
    ),
    ("role_assignment", "one of organization", "one of guild"),
];
