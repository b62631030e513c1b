//! The generated files in memory, which are finally written or compared with the disk.
//!
//! Knows paths and texts, but not their contents. Never changes a hand-written file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Texts by their paths from the root, with `/`.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

/// The folder in which all files are generated, except [`HAND_WRITTEN`].
const FOLDER: &str = "generated";
const HAND_WRITTEN: [&str; 1] = ["generated/Cargo.toml"];
/// JSON has no comments, so these files have no mark.
const UNMARKED: [&str; 2] = ["generated/model.json", "generated/openapi.json"];
/// Existing files in this folder are never removed, even if the tree doesn't contain them.
const APPEND_ONLY: &str = "migrations/";
const MARK: &str = "@generated";

/// One difference between the tree and the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    Missing(String),
    /// The file differs; with the number of the first different line, counted from 1.
    Stale(String, usize),
    /// The file is not generated any more.
    Orphan(String),
    /// A file in the generated folder, or with the name of a generated file, that has no mark.
    HandWritten(String),
}

impl Tree {
    /// Adds a file. Panics if it was added before, because two emitters must not write the same file.
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

    /// All differences from the disk, in the order of paths.
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

    /// Writes files that differ and removes those that are not generated any more. Writes nothing at all if a
    /// hand-written file is in the way.
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

/// Paths of all files below a folder, sorted, with `/`.
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
