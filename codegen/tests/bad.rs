//! One mistake per file in `tests/bad/`, and what `cargo gen` says to it in the comment at its end.
//!
//! A fixture takes the place of the file it is named after in the small world of `tests/bad/base/`:
//! `app_*.yaml` of app.yaml, `messages_*.yaml` of a type of messages, the others of their entity. `UPDATE_EXPECT=1 cargo test -p codegen` rewrites
//! the comments; read the difference before you commit it.

#[path = "bad/world.rs"]
mod fixtures;

use codegen::diag::Diagnostics;
use fixtures::{TAIL, base, folder, world, yaml_files};
use std::fmt::Write;

#[test]
fn every_mistake_is_told_where_and_how_to_mend_it() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let fixtures = yaml_files(&folder());
    assert!(fixtures.len() >= 80, "only {} fixtures", fixtures.len());
    let mut wrong = String::new();
    for path in fixtures {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (spec, expected) = text.split_once(TAIL).unwrap_or((text.trim_end(), ""));
        let spec = format!("{}\n", spec.trim_end());
        let said = match codegen::load_sources(&world(&name, &spec)) {
            Ok(_) => {
                let _ = writeln!(wrong, "{name}: no mistake was found");
                continue;
            }
            Err(said) => said,
        };
        one_mistake_with_a_mend(&name, &said, &mut wrong);
        let found = commented(&said.to_string());
        if found == expected {
            continue;
        }
        if update {
            std::fs::write(&path, format!("{spec}{TAIL}{found}")).unwrap();
        } else {
            let _ = writeln!(wrong, "{name}: expected\n{expected}but it says\n{found}");
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}\nrun: UPDATE_EXPECT=1 cargo test -p codegen --test bad"
    );
}

/// A table that nobody thought about would be a table without policies.
#[test]
fn abuse_60_an_entity_that_says_nothing_about_access_is_refused() {
    let spec = "entity: gig\ndoc: Something.\nfields:\n  name: text(1..80)\n";
    let said = codegen::load_sources(&world("access_missing.yaml", spec)).expect_err("refused");
    let said = said.to_string();
    assert!(said.contains("nothing is granted by itself"), "{said}");
    let granted = format!("{spec}access:\n  read: anyone\n");
    assert!(codegen::load_sources(&world("access_missing.yaml", &granted)).is_ok());
}

/// Two files are at odds here: app.yaml says that roles are accepted, the entity lets somebody else accept them.
#[test]
fn a_role_is_accepted_by_its_holder() {
    let spec = |by: &str| {
        format!(
            "entity: role_assignment\ndoc: A role that somebody holds.\nfields:\n  \
             role: enum(orgAdmin, cityAdmin, platformAdmin)\n  state: states(offered, held) = offered\n\
             belongs:\n  user: user, on archive cascade\n  scope: one of organization | city?, on archive cascade\n\
             transitions:\n  take: offered -> held, by {by}\n\
             access:\n  read: me is user\n  create: me holds platformAdmin\n"
        )
    };
    let load = |spec: &str| {
        let mut sources = world("role_assignment.yaml", spec);
        let mut files = sources.files.iter_mut();
        let app = files.find(|file| file.path == "spec/app.yaml").unwrap();
        app.text = app.text.replace(
            "assignments: role_assignment",
            "assignments: role_assignment where state == held",
        );
        codegen::load_sources(&sources)
    };
    let refused = |spec: &str| load(spec).expect_err("refused").to_string();
    let said = refused(&spec("me is user or me holds platformAdmin"));
    assert!(said.contains("without asking its holder"), "{said}");
    let said = refused(&spec("me is user").replace("= offered", "= held"));
    assert!(said.contains("begins as `held`"), "{said}");
    if let Err(said) = load(&spec("me is user and me holds platformAdmin")) {
        panic!("{said}");
    }
}

/// A logged entity can't depend on an unlogged one, whose rows are gone after a crash: PostgreSQL refuses foreign keys
/// to it, and a counter would keep counting the lost rows.
#[test]
fn what_a_crash_takes_away_is_not_needed_by_what_stays() {
    let note = |rest: &str| {
        format!(
            "entity: note\ndoc: A note.\nlifecycle: mutable\ninternal: true\nmodule: billing\naudit: off\n{rest}\
             fields:\n  made_at: time\nbelongs:\n  event: event\n"
        )
    };
    let answer = |rest: &str, target: &str| {
        format!(
            "entity: answer\ndoc: An answer.\nlifecycle: mutable\ninternal: true\nmodule: billing\naudit: off\n{rest}\
             fields:\n  made_at: time\nbelongs:\n  note: {target}\n"
        )
    };
    let load = |note: &str, answer: &str| {
        let mut sources = world("note.yaml", note);
        sources.add("spec/entities/answer.yaml", answer);
        codegen::load_sources(&sources)
    };
    let off = "wal: off\n";
    for (note, answer) in [
        (note(""), answer("", "note")),
        (note(off), answer(off, "note")),
        (note(""), answer(off, "note")),
    ] {
        if let Err(said) = load(&note, &answer) {
            panic!("{said}");
        }
    }
    for target in ["note", "one of note | event"] {
        let said = load(&note(off), &answer("", target)).expect_err("refused");
        assert_eq!(said.list.len(), 1, "{said}");
        assert_eq!(
            said.to_string().trim_end(),
            "error: a crash would empty `note`, and `answer` refers to it (`note`)\n \
             --> spec/entities/note.yaml:7:6\n  |\n7 | wal: off\n  |      ^^^\n  |\n  \
             = help: leave `wal: off` out, or write `wal: off` in `answer` as well, or `note: uuid` there"
        );
    }
    let counts = |wal: &str, counted: &str| {
        format!(
            "{}has:\n  answers: answer* via note\nderived:\n  {counted}: count(answers)\n",
            note(wal)
        )
    };
    for (note, answer, part) in [
        (
            counts("", "answer_count"),
            answer(off, "note"),
            "and `note` would go on counting its rows (`answer_count`)",
        ),
        (
            counts(off, "answer_count"),
            answer(off, "note"),
            "and its counter `answer_count` would stay",
        ),
    ] {
        let said = load(&note, &answer).expect_err("refused").to_string();
        assert!(said.contains(part), "{said}");
    }
}

/// If roles were unlogged, a crash would take away the roles of all members.
#[test]
fn roles_outlive_a_crash() {
    let spec = "entity: role_assignment\ndoc: A role that somebody holds.\ninternal: true\naudit: off\nwal: off\nfields:\n  \
                role: enum(orgAdmin, cityAdmin, platformAdmin)\nbelongs:\n  user: user, on archive cascade\n  \
                scope: one of organization | city?, on archive cascade\n";
    let said = codegen::load_sources(&world("role_assignment.yaml", spec)).expect_err("refused");
    assert!(
        said.to_string()
            .contains("rows of `role_assignment` must outlive a crash"),
        "{said}"
    );
}

#[test]
fn the_world_of_the_fixtures_is_right() {
    if let Err(said) = codegen::load_sources(&base()) {
        panic!("{said}");
    }
}

/// Fixtures are about one thing each, and an error without help is half an error.
fn one_mistake_with_a_mend(name: &str, said: &Diagnostics, wrong: &mut String) {
    if said.list.len() != 1 {
        let _ = writeln!(
            wrong,
            "{name}: {} mistakes instead of one\n{said}",
            said.list.len()
        );
    }
    for diagnostic in &said.list {
        if diagnostic.help.is_none() || diagnostic.span.is_none() {
            let _ = writeln!(wrong, "{name}: no help or no place\n{said}");
        }
    }
}

fn commented(said: &str) -> String {
    said.trim_end()
        .lines()
        .fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{}", format!("# {line}").trim_end());
            text
        })
}
