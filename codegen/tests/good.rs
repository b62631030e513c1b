//! `good/<case>/spec` → `good/<case>/generated`, as text: the Rust of every entity and the table of rules;
//! `good/<case>/explained.txt`: what `cargo gen explain` says of each.
//! `UPDATE_EXPECT=1 cargo test -p codegen --test good` writes the expected files anew.
//! The crate `tests/golden` compiles them.
//!
//! The same promises are asked of the real spec and of the second application in `tests/library`:
//! rustfmt has nothing to change, the files are short, what they name is in the database.

use codegen::emit::{self, schema};
use codegen::migrate::list;
use codegen::tree::Tree;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines of an entity's file, on average and at most. Nobody reviews more.
const LINES_MEAN: usize = 130;
const LINES_MAX: usize = 280;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(tests().join("good"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Workspaces with a spec: the cases, the product, the second application.
fn workspaces() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    cases()
        .into_iter()
        .chain([root.to_owned(), root.join("tests/library")])
        .collect()
}

fn generate(root: &Path) -> Tree {
    let model = codegen::load(root).unwrap_or_else(|wrong| panic!("{}\n{wrong}", root.display()));
    let mut tree = Tree::default();
    emit::emit(&model, &schema::schema(&model), &[], &mut tree);
    // The root names them; a case has none.
    let none = list::list(&[], &|_| String::new());
    tree.add(list::PATH, none);
    tree
}

/// The files of this emitter; those of the database have tests of their own.
fn rust(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files()
        .filter(|(path, _)| path.ends_with(".rs") || path.ends_with(".txt"))
}

/// `cargo gen explain` of every entity of a case.
#[test]
fn explanations_are_as_expected() {
    for case in cases() {
        let model = codegen::load(&case).unwrap_or_else(|wrong| panic!("{wrong}"));
        let explained: Vec<String> = model
            .entities
            .iter()
            .map(|entity| codegen::explain::explain(&model, &entity.name).expect("an entity"))
            .collect();
        let (path, text) = (case.join("explained.txt"), explained.join("\n"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "{}", path.display());
        let unknown = codegen::explain::explain(&model, "usr").expect_err("unknown");
        assert!(unknown.contains("did you mean `user`?"), "{unknown}");
    }
}

#[test]
fn files_are_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let folder = case.join("generated");
        if update {
            let _ = std::fs::remove_dir_all(&folder);
        }
        let tree = generate(&case);
        for (path, text) in rust(&tree) {
            let path = case.join(path);
            if update {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
            }
            if std::fs::read_to_string(&path).unwrap_or_default() != text {
                wrong.push(path);
            }
        }
        let expected: BTreeSet<PathBuf> = rust(&tree).map(|(path, _)| case.join(path)).collect();
        wrong.extend(
            files_below(&folder)
                .into_iter()
                .filter(|path| !expected.contains(path)),
        );
    }
    assert!(
        wrong.is_empty(),
        "not as expected (UPDATE_EXPECT=1 writes them anew): {wrong:#?}"
    );
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn the_same_twice() {
    for root in workspaces() {
        let (one, two) = (generate(&root), generate(&root));
        assert!(one.files().eq(two.files()), "{}", root.display());
    }
}

#[test]
fn rustfmt_has_nothing_to_change() {
    for (i, root) in workspaces().iter().enumerate() {
        let folder =
            std::env::temp_dir().join(format!("codegen-rustfmt-{}-{i}", std::process::id()));
        let tree = generate(root);
        for (path, text) in rust(&tree) {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        // Follows the modules.
        let lib = folder.join("generated/src/lib.rs");
        let output = Command::new("rustfmt")
            .args(["--check", "--edition", "2024"])
            .arg(lib)
            .output()
            .unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{}\n{out}{err}", root.display());
    }
}

#[test]
fn entities_are_short() {
    for root in workspaces() {
        let tree = generate(&root);
        let entities: Vec<(&str, usize)> = rust(&tree)
            .filter(|(_, text)| text.contains("pub static ") && text.contains(": Resource = "))
            .map(|(path, text)| (path, text.lines().count()))
            .collect();
        let sum: usize = entities.iter().map(|(_, lines)| lines).sum();
        // Of a few that were made to show everything the mean says nothing.
        assert!(
            entities.len() < 10 || sum <= LINES_MEAN * entities.len(),
            "{sum} lines for {} entities",
            entities.len()
        );
        for (path, lines) in entities {
            assert!(lines <= LINES_MAX, "{path} has {lines} lines");
        }
    }
}

#[test]
fn constraints_that_are_answered_are_in_the_database() {
    for root in workspaces() {
        let tree = generate(&root);
        let database = tree.get("generated/schema.sql").unwrap();
        for (path, text) in rust(&tree) {
            for part in text.split("Constraint::").skip(1) {
                let name = part.split('"').nth(1).unwrap();
                assert!(database.contains(name), "{path}: {name}");
            }
        }
    }
}
