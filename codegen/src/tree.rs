//! The generated files in memory; writing them or comparing them with the disk is the last step.
//!
//! Knows paths and texts, nothing of what is in them. Never touches a file that a person wrote.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Path from the root, with `/` → text.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// The folder whose files are all ours, but for [`HAND_WRITTEN`].
const FOLDER: &str = "generated";
const HAND_WRITTEN: [&str; 1] = ["generated/Cargo.toml"];
/// JSON has no comments to carry the mark in.
const UNMARKED: [&str; 2] = ["generated/model.json", "generated/openapi.json"];
/// Old files there stay for ever, whatever the tree holds.
const APPEND_ONLY: &str = "migrations/";
const MARK: &str = "@generated";

/// One difference between the tree and the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing(String),
    /// With the first line that is not as it should be, counted from 1.
    Stale(String, usize),
    /// Nothing generates it any more.
    Orphan(String),
    /// In our folder or under a name of ours, but without our mark.
    HandWritten(String),
}

impl Tree {
    /// Two emitters that write one file are a bug.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        let path = path.into();
        let before = self.files.insert(path.clone(), text.into());
        assert!(before.is_none(), "{path} is generated twice");
    }

    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Every difference, in the order of paths.
    pub fn check(&self, root: &Path) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (path, text) in &self.files {
            match std::fs::read(root.join(path)) {
                Ok(found) if found == text.as_bytes() => {}
                Ok(found) if !is_ours(path, &found) => {
                    differences.push(Difference::HandWritten(path.clone()))
                }
                Ok(found) => differences.push(Difference::Stale(
                    path.clone(),
                    first_difference(text, &found),
                )),
                Err(_) => differences.push(Difference::Missing(path.clone())),
            }
        }
        for path in files_below(root, FOLDER) {
            if self.files.contains_key(&path) || HAND_WRITTEN.contains(&path.as_str()) {
                continue;
            }
            let found = std::fs::read(root.join(&path)).unwrap_or_default();
            differences.push(match is_ours(&path, &found) {
                true => Difference::Orphan(path),
                false => Difference::HandWritten(path),
            });
        }
        differences
    }

    /// Writes what differs and removes what nothing generates any more. If a hand-written file is in the way,
    /// nothing is written at all.
    pub fn write(&self, root: &Path) -> std::io::Result<Vec<Difference>> {
        let differences = self.check(root);
        if differences
            .iter()
            .any(|d| matches!(d, Difference::HandWritten(_)))
        {
            return Ok(differences);
        }
        for difference in &differences {
            match difference {
                Difference::Missing(path) | Difference::Stale(path, _) => {
                    let target = root.join(path);
                    if let Some(folder) = target.parent() {
                        std::fs::create_dir_all(folder)?;
                    }
                    std::fs::write(target, &self.files[path])?;
                }
                Difference::Orphan(path) => std::fs::remove_file(root.join(path))?,
                Difference::HandWritten(_) => {}
            }
        }
        Ok(differences)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Missing(path) => write!(f, "{path} is missing"),
            Difference::Stale(path, line) => {
                write!(f, "{path} is not what the spec says, from line {line} on")
            }
            Difference::Orphan(path) => {
                write!(f, "{path} is left over: nothing in the spec makes it")
            }
            Difference::HandWritten(path) => {
                write!(
                    f,
                    "{path} is in the way: it has no `{MARK}` mark, so a person wrote it; move it elsewhere"
                )
            }
        }
    }
}

fn is_ours(path: &str, found: &[u8]) -> bool {
    let first = found.split(|b| *b == b'\n').next().unwrap_or_default();
    let marked = first
        .windows(MARK.len())
        .any(|window| window == MARK.as_bytes());
    !path.starts_with(APPEND_ONLY) && (marked || UNMARKED.contains(&path))
}

fn first_difference(text: &str, found: &[u8]) -> usize {
    let found = String::from_utf8_lossy(found);
    text.lines()
        .zip(found.lines())
        .take_while(|(a, b)| a == b)
        .count()
        + 1
}

/// Sorted, with `/`.
fn files_below(root: &Path, folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(root.join(&folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                _ => files.push(path),
            }
        }
    }
    files.sort_unstable();
    files
}
