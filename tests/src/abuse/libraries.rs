//! 59: the origin and licences of libraries. Known vulnerabilities are checked where there is a network: `cargo audit`
//! needs an advisory database that a test can't contain.

use crate::support::root;
use serde_json::Value;
use std::process::Command;

/// Licences that only require attribution.
const PERMISSIVE: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "0BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The packages that are linked, according to the lock file.
fn packages() -> Vec<Value> {
    let asked = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&asked.stdout).expect("metadata");
    metadata["packages"].as_array().expect("packages").clone()
}

fn wrong(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let licence = package["license"].as_str().unwrap_or_default();
    match package["source"].as_str() {
        None => return None,
        Some(source) if !source.starts_with("registry+") => {
            return Some(format!("{name} comes from {source}, which nobody keeps"));
        }
        Some(_) => {}
    }
    (!permits(licence)).then(|| format!("{name} is under {licence:?}"))
}

/// Whether every part of the licence expression has a permissive alternative.
fn permits(licence: &str) -> bool {
    let flat = licence.replace(['(', ')'], " ").replace('/', " OR ");
    let known = |term: &str| {
        let term = term.split(" WITH ").next().unwrap_or_default().trim();
        PERMISSIVE.contains(&term)
    };
    flat.split(" AND ")
        .all(|part| part.split(" OR ").any(known))
}

#[test]
fn abuse_59_libraries_come_from_the_registry_under_permissive_terms() {
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    let wrong: Vec<String> = packages.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn abuse_59_other_terms_and_places_are_noticed() {
    let library = |source: &str, licence: &str| serde_json::json!({"name": "x", "source": source, "license": licence});
    let registry = "registry+somewhere";
    assert_eq!(
        wrong(&library(registry, "(MIT OR GPL-3.0) AND Unicode-3.0")),
        None
    );
    for licence in ["GPL-3.0", "MIT AND GPL-3.0", "", "MPL-2.0"] {
        assert!(wrong(&library(registry, licence)).is_some(), "{licence}");
    }
    assert!(wrong(&library("git+somewhere", "MIT")).is_some());
}
