//! Libraries are built once: the tests use no other features of them than the programs.
//!
//! Cargo chooses features for what it builds: `script/run` builds `--workspace --bins`, the tests `--workspace`, and
//! `cargo gen` the generator alone. If one of them uses one more feature of a library, that library and all its
//! dependents are built a second time.

use crate::support::root;
use std::{collections::BTreeSet, process::Command};

/// Libraries with their features, each as `name version [features]`.
fn chosen(packages: &[&str], edges: &str) -> BTreeSet<String> {
    let asked = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none"])
        .args(["--format", "{p} [{f}]", "--edges", edges])
        .args(packages)
        .current_dir(root())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(asked.status.success(), "{said}");
    let lines = String::from_utf8(asked.stdout).expect("a text");
    let lines = lines.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.map(str::to_owned).collect()
}

#[test]
fn tests_and_programs_are_built_on_the_same_libraries() {
    let tests = chosen(&["--workspace"], "normal,build,dev");
    let mut programs = chosen(&["--workspace"], "normal,build");
    assert!(programs.len() > 300, "{programs:?}");
    // `cargo gen` builds the generator alone.
    programs.extend(chosen(&["--package", "codegen"], "normal,build"));
    let others: Vec<_> = programs.difference(&tests).collect();
    assert!(
        others.is_empty(),
        "built twice: ask for the same features in tests/Cargo.toml or codegen/Cargo.toml; {others:#?}"
    );

    // The control: a program built alone has other features.
    let alone = chosen(&["--package", "server"], "normal,build");
    assert!(alone.difference(&tests).count() > 0);
}
