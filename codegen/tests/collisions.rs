//! Names that two parts of a spec would share in what is generated: they are refused, and nothing is left out or
//! generated twice.

// Not all of it is needed here.
#[allow(dead_code)]
#[path = "bad/world.rs"]
mod fixtures;

use codegen::diag::Sources;
use codegen::emit;
use fixtures::base;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The base world of the bad fixtures with these files in it, each in the place of the one with its path.
fn world(files: &[(&str, &str)]) -> Sources {
    let mut sources = base();
    for (path, text) in files {
        match sources.files.iter_mut().find(|file| file.path == *path) {
            Some(file) => (*text).clone_into(&mut file.text),
            None => {
                sources.add(*path, *text);
            }
        }
    }
    sources
}

fn refused(files: &[(&str, &str)]) -> String {
    match codegen::load_sources(&world(files)) {
        Ok(_) => panic!("nothing was refused: {files:#?}"),
        Err(said) => said.to_string(),
    }
}

fn organization(more: &str, derived: &str) -> String {
    format!(
        "entity: organization\ndoc: A group that hosts events.\nmixins: [profile]\nfields:\n  name: text(1..80)\n{more}\
         belongs:\n  city: city, filter\nhas:\n  members: member* via organization\n  gigs: event* via host\n\
         derived:\n{derived}access:\n  admin: me holds orgAdmin of this or me holds cityAdmin of city\n  \
         member: me in members where (state == active)\n  read: anyone\n  create: signed_in\n  update: admin\n  \
         delete: admin\ncreator: orgAdmin\n"
    )
}

/// An average is stored as a sum and a count beside it, in the row or in the table of counters.
#[test]
fn nothing_else_has_the_name_of_a_part_of_an_average() {
    let average = "  size: avg(gigs.capacity)\n";
    for (field, derived) in [
        ("", "  size_count: count(gigs)\n"),
        ("", "  size_sum: sum(gigs.capacity)\n"),
        ("", "  size_count: avg(gigs.capacity)\n"),
        ("", "  size_count: count(members), delta\n"),
        ("  size_sum: int?\n", ""),
        ("  size_count: int?\n", ""),
    ] {
        for lines in [format!("{average}{derived}"), format!("{derived}{average}")] {
            let spec = organization(field, &lines);
            let said = refused(&[("spec/entities/organization.yaml", &spec)]);
            assert!(said.contains("would share a name: the column"), "{said}");
            assert!(said.contains("help: rename"), "{said}");
            assert_eq!(said.matches("error:").count(), 1, "{said}");
        }
    }
    let spec = organization("", "  size: avg(gigs.capacity)\n  sized: count(gigs)\n");
    let right = world(&[("spec/entities/organization.yaml", &spec)]);
    codegen::load_sources(&right).unwrap_or_else(|said| panic!("{said}"));
}

/// What is counted behind is noted in `counters.<plural>_delta`, and counters of other rows are in `counters.<plural>`.
#[test]
fn no_counters_are_in_the_table_of_others() {
    let note = |plural: &str, derived: &str| {
        format!(
            "entity: note\nplural: {plural}\ndoc: A note.\nfields:\n  name: text(1..80)\nhas:\n  marks: mark* via note\n\
             {derived}access:\n  read: anyone\n  create: signed_in\n"
        )
    };
    let mark = "entity: mark\ndoc: A mark.\nfields:\n  name: text(1..80)\nbelongs:\n  note: note\naccess:\n  read: anyone\n  create: signed_in\n";
    let counted = organization("", "  member_count: count(members), delta\n");
    let files = |note: &str| {
        world(&[
            ("spec/entities/mark.yaml", mark),
            ("spec/entities/note.yaml", note),
            ("spec/entities/organization.yaml", &counted),
        ])
    };
    let count = "derived:\n  mark_count: count(marks)\n";
    let taken = "organizations_delta";
    let said = codegen::load_sources(&files(&note(taken, count))).expect_err("refused");
    assert_eq!(said.list.len(), 1, "{said}");
    let said = said.to_string();
    assert!(said.contains("`counters.organizations_delta`"), "{said}");
    assert!(
        said.contains("note") && said.contains("organization"),
        "{said}"
    );
    for right in [note(taken, ""), note("notelets", count)] {
        codegen::load_sources(&files(&right)).unwrap_or_else(|said| panic!("{said}"));
    }
}

/// The second function of one name would be left out without a word.
#[test]
fn sql_by_hand_takes_no_name_of_the_engine() {
    let sql = "create function sec.uid() returns uuid\n  language sql stable as $$\nselect null::uuid\n$$;\n\
               alter function sec.uid() owner to <app>_owner;\n";
    let said = refused(&[("spec/sql/billing.sql", sql)]);
    assert!(
        said.contains("share a name: the function of the database `sec.uid()`"),
        "{said}"
    );
    let other = sql.replace("sec.uid", "app.nobody");
    let right = world(&[("spec/sql/billing.sql", &other)]);
    codegen::load_sources(&right).unwrap_or_else(|said| panic!("{said}"));
}

const MESSAGES: &str = "type: news\ndoc: Something new.\nchannels: [in_app, email]\nmessages:\n  gig_moved:\n    doc: To fans.\n    \
                        values: {gig: text}\n    en: {title: \"News\", text: \"{{ gig }} moves.\"}\n";

/// A workspace of its own, gone at the end.
struct Root(PathBuf);

impl Root {
    fn new(name: &str, sources: &Sources) -> Root {
        let folder = format!("codegen-collisions-{name}-{}", std::process::id());
        let root = Root(std::env::temp_dir().join(folder));
        for file in &sources.files {
            let path = root.0.join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &file.text).unwrap();
        }
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Below `generated/`.
fn generated(name: &str, sources: &Sources) -> Result<BTreeSet<String>, String> {
    let root = Root::new(name, sources);
    let tree = codegen::generate(&root.0).map_err(|said| said.to_string())?;
    let paths = tree
        .files()
        .filter_map(|(path, _)| path.strip_prefix("generated/"));
    Ok(paths.map(str::to_owned).collect())
}

#[test]
fn an_entity_takes_no_name_of_a_generated_file() {
    for (case, messages) in [("without", false), ("with", true)] {
        let news = [("spec/messages/news.yaml", MESSAGES)];
        let news = if messages { &news[..] } else { &[] };
        let sources = world(news);
        let files = generated(case, &sources).unwrap_or_else(|said| panic!("{said}"));
        let entities: BTreeSet<String> = (sources.files.iter())
            .filter_map(|file| {
                file.path
                    .strip_prefix("spec/entities/")?
                    .strip_suffix(".yaml")
            })
            .map(|name| format!("src/{name}.rs"))
            .collect();
        let rest: BTreeSet<String> = files.difference(&entities).cloned().collect();
        let told = emit::of_application(messages).into_iter();
        assert_eq!(rest, told.map(str::to_owned).collect(), "{case}");
        let modules = rest
            .iter()
            .filter_map(|path| path.strip_prefix("src/")?.strip_suffix(".rs"));
        for name in modules {
            let spec = format!(
                "entity: {name}\nplural: many_{name}\ndoc: Something.\nfields:\n  name: text(1..80)\naccess:\n  read: anyone\n"
            );
            let path = format!("spec/entities/{name}.yaml");
            let tried: Vec<(&str, &str)> =
                (news.iter().copied()).chain([(&*path, &*spec)]).collect();
            let said = generated(name, &world(&tried)).expect_err(name);
            assert!(said.contains(&format!("{name}.yaml:1:9")), "{said}");
            assert!(said.contains("help"), "{said}");
        }
    }
    // Where there are no messages, their file has no name to take.
    let spec = "entity: messages\nplural: letters\ndoc: Something.\nfields:\n  name: text(1..80)\naccess:\n  read: anyone\n";
    let letters = world(&[("spec/entities/messages.yaml", spec)]);
    let files = generated("letters", &letters).unwrap_or_else(|said| panic!("{said}"));
    assert!(files.contains("src/messages.rs"));
}
