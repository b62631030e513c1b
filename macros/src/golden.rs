//! Snapshot tests of expansions: `tests/expand/<case>.rs` is expanded and compared with `<case>.expanded`.
//! `UPDATE_EXPECT=1 cargo test -p macros` updates the snapshots.

use crate::expand::{self, Derive};
use std::path::PathBuf;

fn check(case: &str, derive: Derive) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let source = std::fs::read_to_string(folder.join(format!("{case}.rs"))).unwrap();
    let tokens = expand::expand(source.parse().unwrap(), derive);
    let expanded = prettyplease::unparse(&syn::parse2(tokens).unwrap());
    let path = folder.join(format!("{case}.expanded"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &expanded).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == expanded,
        "{} differs, got:\n{expanded}",
        path.display()
    );
}

#[test]
fn entity() {
    check("entity", expand::entity::derive);
}

#[test]
fn create() {
    check("create", expand::input::derive);
}

#[test]
fn update() {
    check("update", expand::input::derive);
}

#[test]
fn object() {
    check("object", expand::input::derive);
}

#[test]
fn body() {
    check("body", expand::input::derive);
}

#[test]
fn choice() {
    check("choice", expand::choice::derive);
}

/// The fallback: the error, and impls that type-check.
#[test]
fn wrong() {
    check("wrong", expand::input::derive);
}
