//! The letters and numbers at the beginning of names of tests are explained in `tests/README.md`.

use super::sources;
use crate::support::root;
use std::{collections::BTreeSet, fs};

/// The letters of the tests in a text: `od` of `fn od4_…`.
fn of_text(text: &str) -> impl Iterator<Item = &str> {
    let is_attribute = |line: &str| line.trim_start().starts_with("#[") && line.contains("test");
    let pairs = text.lines().zip(text.lines().skip(1));
    pairs
        .filter(move |(before, _)| is_attribute(before))
        .filter_map(|(_, line)| letters(line))
}

/// The letters of `fn od4_…` and `fn abuse_12_…`. None for other names.
fn letters(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let name = line
        .strip_prefix("async fn ")
        .or_else(|| line.strip_prefix("fn "))?;
    let (letters, rest) = name.split_at(name.find(|c: char| !c.is_ascii_lowercase())?);
    let number = rest.trim_start_matches('_');
    let is_short = letters.len() <= 3 && number.len() == rest.len() || letters == "abuse";
    let digits = number.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = digits.len() < number.len() && digits.starts_with('_');
    (is_short && is_numbered).then_some(letters)
}

#[test]
fn what_the_numbers_in_names_are_about_is_explained() {
    let readme = fs::read_to_string(root().join("tests/README.md")).expect("a text");
    let explained: BTreeSet<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let folders = ["tests/src", "runtime", "codegen", "fakes"];
    let texts: Vec<String> = folders
        .into_iter()
        .flat_map(sources)
        .map(|(_, text)| text)
        .collect();
    let used: BTreeSet<&str> = texts.iter().flat_map(|text| of_text(text)).collect();
    assert_eq!(used, explained);

    // The control: such names are found, and others are not.
    let text = "    #[tokio::test]\n    async fn zz4_o7_in_a_crowd() {\n#[test]\nfn abuse_77_spoiled_specs() {\n\
        #[test]\nfn no_filter_is_slow() {\nfn sha256_of(bytes: &[u8]) {\n";
    assert_eq!(of_text(text).collect::<Vec<_>>(), ["zz", "abuse"]);
}
