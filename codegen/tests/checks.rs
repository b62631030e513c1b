//! Checks over counters: a row that comes or goes can break the one of the row above. Whoever writes it has sent nothing
//! that is wrong, so the answer is 409 with the check's words, and that is told to each entity that is counted.

use codegen::diag::Sources;
use codegen::emit::entity;
use codegen::model::{DerivedKind, Model};
use std::path::Path;

const APP: &str = "\
app: shelves
title: Shelves
doc: Shelves on shelves.
identity: user
assignments: grant_row
roles:
  admin: everywhere
";

const SHELF: &str = "\
entity: shelf
plural: shelves
doc: A shelf, which may stand on another one.
fields:
  title: text(1..80)
  room:  int(0..100) = 3
belongs:
  parent: shelf?
has:
  children: shelf* via parent
  books:    book* via shelf
derived:
  child_count: count(children)
  book_count:  count(books)
check:
  bears: child_count <= room, doc \"A shelf bears no more than it has room for.\"
  holds: book_count <= 5
access:
  read:   anyone
  create: signed_in
  update: signed_in
  delete: signed_in
";

fn shelves() -> Model {
    let mut sources = Sources::default();
    sources.add("spec/app.yaml", APP);
    sources.add(
        "spec/entities/user.yaml",
        "entity: user\ndoc: Somebody.\nfields:\n  name: text(1..80)\naccess:\n  read: signed_in\n",
    );
    sources.add(
        "spec/entities/grant_row.yaml",
        "entity: grant_row\ndoc: Roles.\nfields:\n  role: enum(admin)\nbelongs:\n  user: user\naccess:\n  admin: me holds admin\n  read: admin\n  create: admin\n  delete: admin\n",
    );
    sources.add("spec/entities/shelf.yaml", SHELF);
    sources.add(
        "spec/entities/book.yaml",
        "entity: book\ndoc: A book.\nfields:\n  title: text(1..80)\nbelongs:\n  shelf: shelf\naccess:\n  read: anyone\n  create: signed_in\n  update: signed_in\n  delete: signed_in\n",
    );
    codegen::load_sources(&sources).unwrap_or_else(|said| panic!("{said}"))
}

fn text(model: &Model, name: &str) -> String {
    let (id, _) = model.entity(name).expect("an entity");
    entity::file(model, id).1
}

#[test]
fn a_check_over_ones_own_kind_is_told_apart_from_one_of_a_row() {
    let model = shelves();
    let shelf = text(&model, "shelf");
    let counted = "Constraint::counted(\"shelves_bears_check\", \"/room\", \"A shelf bears no more than it has room for.\")";
    assert!(shelf.contains(counted), "{shelf}");
    // Of books a shelf is the row above, and its own row at the same time.
    assert!(
        shelf.contains("Constraint::invalid(\"shelves_holds_check\""),
        "{shelf}"
    );
    let book = text(&model, "book");
    assert!(
        book.contains("Constraint::kept(\"shelves_holds_check\""),
        "{book}"
    );
    assert!(!book.contains("shelves_bears_check"), "{book}");
}

/// In every spec there is.
#[test]
fn whatever_a_check_counts_is_told_of_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let good = ["lifecycles", "names", "types", "world"];
    let good = good.map(|case| format!("codegen/tests/good/{case}"));
    let folders = [".".to_owned(), "tests/library".to_owned()];
    let mut models: Vec<Model> = (good.iter().chain(&folders))
        .map(|folder| {
            let model = codegen::load(&root.join(folder));
            model.unwrap_or_else(|said| panic!("{folder}: {said}"))
        })
        .collect();
    models.push(shelves());
    let mut told = 0;
    for model in &models {
        for parent in &model.entities {
            for check in &parent.checks {
                let columns = check.expr.columns();
                let counters = parent.derived.iter().filter(|d| columns.contains(&d.name));
                for counter in counters {
                    let has = match counter.kind {
                        DerivedKind::Count { has, .. }
                        | DerivedKind::Sum { has, .. }
                        | DerivedKind::Avg { has, .. } => has,
                        DerivedKind::Flag { .. } => continue,
                    };
                    let child = &model.entities[parent.has[has].child];
                    if !child.writable() {
                        continue;
                    }
                    told += 1;
                    let name = format!("{}_{}_check", parent.plural, check.name);
                    let said = text(model, &child.name);
                    let is_told = ["kept", "counted"]
                        .map(|way| said.contains(&format!("Constraint::{way}(\"{name}\"")));
                    assert!(is_told.contains(&true), "{}: {name}\n{said}", child.name);
                }
            }
        }
    }
    assert!(told >= 3, "{told}");
}
