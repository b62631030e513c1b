//! The tables of `docs/architecture.md` name what is in `runtime/app/src`, and nothing else.

use crate::support::root;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The rows of the table with these titles: the names in the first column.
fn table(page: &str, titles: &str) -> BTreeSet<String> {
    let (_, table) = page.split_once(titles).expect(titles);
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let names = first.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The files directly in `runtime/app/src` that are no modules, and the folders of those that have one.
fn no_modules() -> BTreeSet<String> {
    let modules: BTreeMap<&str, &str> = app::modules::NAMES.iter().copied().collect();
    let folder = root().join("runtime/app/src");
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let names = entries.map(|entry| match entry.path().is_dir() {
        true => format!("{}/", entry.file_name().display()),
        false => entry.file_name().display().to_string(),
    });
    let is_module =
        |name: &str| modules.contains_key(name.trim_end_matches(".rs").trim_end_matches('/'));
    names
        .filter(|name| name != "lib.rs" && !is_module(name))
        .collect()
}

#[test]
fn the_architecture_names_every_file_that_is_no_module() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("a page");
    assert_eq!(table(&page, "| file | what it is |"), no_modules());

    // A module that somebody has just added need not be on the page.
    let known: BTreeSet<&str> = app::modules::NAMES.iter().map(|(name, _)| *name).collect();
    let told = table(&page, "| module | what it does |");
    assert!(told.len() >= 20, "{told:?}");
    let gone: Vec<_> = told
        .iter()
        .filter(|name| !known.contains(name.as_str()))
        .collect();
    assert_eq!(gone, Vec::<&String>::new());
}
