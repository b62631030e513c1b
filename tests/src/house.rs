//! The structure of the repository: which crate may depend on which, and what must not occur anywhere.
//!
//! `docs/architecture.md` describes the same in words.

mod benchmarks;
mod built_once;
mod clocks;
mod constraints;
mod diagrams;
mod documents;
mod floats;
mod folders;
mod names;

pub use documents::rows;

use crate::support::root;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

type Arrow = (String, String);

/// The dependencies that each crate may have on others of this repository. A crate that isn't listed may have none.
const ARROWS: &[(&str, &[&str])] = &[
    ("generated", &["kernel", "macros"]),
    ("library", &["kernel", "macros"]),
    ("golden", &["kernel", "macros"]),
    (
        "app",
        &[
            "delivery",
            "gateway",
            "generated",
            "images",
            "kernel",
            "macros",
            "money",
            "storage",
        ],
    ),
    ("fake-messengers", &["fake-loopback"]),
    ("fake-stripe", &["fake-loopback"]),
    ("stripe-gateway", &["gateway"]),
    (
        "server",
        &[
            "app",
            "delivery",
            "gateway",
            "generated",
            "kernel",
            "stripe-gateway",
        ],
    ),
    (
        "bench",
        &["app", "gateway", "generated", "kernel", "server"],
    ),
    (
        "system-tests",
        &[
            "app",
            "codegen",
            "delivery",
            "fake-messengers",
            "fake-stripe",
            "gateway",
            "generated",
            "kernel",
            "library",
            "money",
            "server",
            "storage",
            "stripe-gateway",
        ],
    ),
];

/// Libraries that only certain crates may use.
const LEAVES: &[(&str, &[&str])] = &[
    ("annotate-snippets", &["codegen"]),
    ("async-stripe", &["stripe-gateway"]),
    ("object_store", &["storage"]),
    ("fast_image_resize", &["images"]),
    // The tests draw pictures.
    ("image", &["images", "system-tests"]),
    // The tests make hashes like former versions did.
    ("argon2", &["app", "system-tests"]),
    (
        "axum",
        &["app", "bench", "kernel", "server", "system-tests"],
    ),
    (
        "sqlx",
        &["app", "bench", "kernel", "server", "system-tests"],
    ),
    (
        "clap",
        &[
            "app",
            "bench",
            "codegen",
            "fake-messengers",
            "fake-stripe",
            "server",
        ],
    ),
    // Only this crate may know how mails and pushes are sent.
    ("lettre", &["delivery"]),
    ("gcp_auth", &["delivery"]),
];

#[test]
fn crates_are_built_on_what_the_architecture_says() {
    let found = arrows();
    assert!(found.contains(&arrow("app", "kernel")), "{found:?}");
    assert_eq!(wrong(&found), Vec::<String>::new());

    // The control: forbidden dependencies are noticed.
    for more in [
        arrow("kernel", "generated"),
        arrow("kernel", "money"),
        arrow("money", "kernel"),
        arrow("codegen", "sqlx"),
        arrow("app", "async-stripe"),
        arrow("app", "async-stripe-core"),
        arrow("app", "stripe-gateway"),
        arrow("gateway", "kernel"),
        arrow("delivery", "kernel"),
        arrow("server", "fake-messengers"),
        arrow("fake-messengers", "delivery"),
        arrow("app", "lettre"),
        arrow("storage", "kernel"),
        arrow("images", "storage"),
        arrow("app", "object_store"),
        arrow("app", "image"),
    ] {
        let mut doctored = found.clone();
        doctored.insert(more.clone());
        assert_eq!(wrong(&doctored).len(), 1, "{more:?}");
    }
}

fn wrong(found: &BTreeSet<Arrow>) -> Vec<String> {
    let ours: BTreeSet<&str> = found.iter().map(|(from, _)| from.as_str()).collect();
    let may = |from: &str, to: &str| {
        if let Some((_, users)) = LEAVES.iter().find(|(leaf, _)| {
            *leaf == to || (to.starts_with("async-stripe") && *leaf == "async-stripe")
        }) {
            return users.contains(&from);
        }
        let known = ARROWS.iter().find(|(name, _)| *name == from);
        !ours.contains(to) || known.is_some_and(|(_, targets)| targets.contains(&to))
    };
    let wrong = found.iter().filter(|(from, to)| !may(from, to));
    wrong
        .map(|(from, to)| format!("{from} must not depend on {to}"))
        .collect()
}

fn arrow(from: &str, to: &str) -> Arrow {
    (from.to_owned(), to.to_owned())
}

/// The dependencies in the manifests; those of a crate's tests count for `system-tests` only.
fn arrows() -> BTreeSet<Arrow> {
    let asked = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo");
    let metadata: Value = serde_json::from_slice(&asked.stdout).expect("metadata");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut arrows = BTreeSet::new();
    for package in list(&metadata["packages"]) {
        let from = package["name"].as_str().unwrap_or_default().to_owned();
        for dependency in list(&package["dependencies"]) {
            let to = dependency["name"].as_str().unwrap_or_default();
            if from == "system-tests" || dependency["kind"].as_str() != Some("dev") {
                arrows.insert(arrow(&from, to));
            }
        }
    }
    arrows
}

#[test]
fn the_engine_names_no_entity_and_generated_code_does_nothing() {
    let entities: Vec<String> = crate::support::model()
        .entities
        .iter()
        .map(|entity| entity.name.clone())
        .collect();
    let product = |path: &Path| !path.to_string_lossy().ends_with("tests.rs");
    for (path, text) in sources("runtime/kernel/src").filter(|(path, _)| product(path)) {
        for name in entities.iter().filter(|name| {
            name.contains('_') || ["community", "venue", "organization"].contains(&name.as_str())
        }) {
            assert!(
                !code(&text).contains(name.as_str()),
                "{} names {name}",
                path.display()
            );
        }
    }
    for (path, text) in sources("generated/src").chain(sources("tests/library/generated/src")) {
        assert!(
            text.starts_with("// @generated by cargo gen"),
            "{}",
            path.display()
        );
        for word in ["async fn", " if ", "unwrap()"] {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            assert!(
                !code.clone().any(|line| line.contains(word)),
                "{}: `{word}`",
                path.display()
            );
        }
    }
}

/// A price is the same whenever and wherever it is computed.
#[test]
fn money_is_arithmetic() {
    let arrows = arrows();
    let used: Vec<&str> = arrows
        .iter()
        .filter(|(from, _)| from == "money")
        .map(|(_, to)| to.as_str())
        .collect();
    assert_eq!(used, ["chrono", "thiserror", "uuid"]);
    for (path, text) in sources("runtime/money/src") {
        for word in [
            "f32", "f64", "::now", "std::fs", "std::net", "std::env", "async ",
        ] {
            assert!(!code(&text).contains(word), "{}: {word}", path.display());
        }
    }
}

#[test]
fn only_the_context_holds_connections() {
    let mut holders: Vec<_> = sources("runtime")
        .filter(|(path, text)| {
            text.contains("PgPool") && !path.components().any(|part| part.as_os_str() == "tests")
        })
        .map(|(path, _)| path)
        .collect();
    holders.sort();
    // The part of the context that holds the pools, and the one that opens connections.
    let context = ["kernel/src/cx/db.rs", "kernel/src/cx/connect.rs"];
    let mut context = context.map(|path| root().join("runtime").join(path));
    context.sort();
    assert_eq!(holders, context);
}

/// Hand-written handlers get the caller's identity from the database, not from a token.
#[test]
fn only_a_proven_member_has_an_id() {
    let users = |word: &str| -> Vec<String> {
        let named = sources("runtime/app/src").filter(|(_, text)| code(text).contains(word));
        let mut paths: Vec<String> = named
            .map(|(path, _)| {
                let path = path
                    .strip_prefix(root().join("runtime/app/src"))
                    .expect("below");
                path.display().to_string()
            })
            .collect();
        paths.sort();
        paths
    };
    // These pass requests on to the engine, whose statements verify the caller. The parameters of a request are looked at
    // after its token, which says nothing about who may do what.
    assert_eq!(
        users("unproven("),
        ["generated_routes.rs", "me.rs", "parameters.rs"]
    );
    // Identifies the account by a password or a mailbox.
    assert_eq!(users("job_of_account("), Vec::<String>::new());
    assert_eq!(users("run_of_account("), ["sessions.rs"]);
    // A transaction that modules commit themselves is not run again after a conflict with another one. The worker runs
    // its jobs again.
    assert_eq!(users("cx.commit("), Vec::<String>::new());
    // Identifies the account by the secret address of its calendar.
    assert_eq!(users("begin_read_of_account("), ["calendars/feed.rs"]);
    for word in ["Actor", "extensions.get", "Extension<", "AUTHORIZATION"] {
        assert_eq!(users(word), Vec::<String>::new(), "{word}");
    }
    assert!(users("Member").len() > 3, "handlers take members");
}

#[test]
fn files_say_what_they_are_and_stay_readable() {
    for folder in [
        "codegen/src",
        "macros/src",
        "runtime",
        "tests/src",
        "bench/src",
        "fakes",
    ] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            assert!(lines <= 500, "{} has {lines} lines", path.display());
            assert!(
                text.starts_with("//!"),
                "{} does not say what it is",
                path.display()
            );
        }
    }
}

/// The text without comments and tests, as far as this test needs it.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources(folder: &str) -> impl Iterator<Item = (PathBuf, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} is empty");
    found.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a text");
        (path, text)
    })
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
