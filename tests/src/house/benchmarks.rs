//! Every requirement about an absolute time has a command that measures it and a row with its number in
//! `docs/benchmarks.md`, since a test must not depend on the speed of its machine.

use crate::support::root;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The numbers of these requirements, as they also stand in names of tests.
const FIGURES: [&str; 22] = [
    "JB5", "JB7", "MD4", "MD6", "NO8", "NO13", "OD1", "OD2", "OD3", "RE2", "RE3", "RE6", "RM9",
    "SE1", "SE2", "SE3", "SE4", "SG3", "SG4", "SG6", "SG7", "TR4",
];

/// The source code of all commands that measure.
fn commands() -> String {
    let mut files = vec![root().join("runtime/images/examples/measure.rs")];
    collect(&root().join("bench/src"), &mut files);
    let texts = files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a file"));
    texts.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => collect(&path, files),
            false => files.push(path),
        }
    }
}

#[test]
fn every_time_that_was_asked_for_has_a_command_and_a_row() {
    let page = fs::read_to_string(root().join("docs/benchmarks.md")).expect("a page");
    let commands = commands();
    for figure in FIGURES {
        let is_told = page.lines().any(|line| {
            line.trim_start_matches("| ")
                .starts_with(&format!("{figure}: "))
        });
        assert!(is_told, "docs/benchmarks.md has no row for {figure}");
        let is_measured = [
            format!("\"{figure}: "),
            format!("| {figure}: "),
            format!(" {figure}: "),
        ];
        assert!(
            is_measured.iter().any(|mark| commands.contains(mark)),
            "no benchmark measures {figure}"
        );
    }
}
