//! What the pages name exists: files, headings, operations, tests, settings, and the faults of the books.
//!
//! Decisions (`docs/adr`) and the changelog also name what is gone, so only their links and files are compared.

use super::sources;
use crate::support::{documented, root};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders with pages, besides the root.
const FOLDERS: [&str; 8] = [
    "data",
    "docs",
    "fakes",
    "migrations",
    "script",
    "sdk",
    "spec",
    "tests",
];

/// Folders whose files a page may name by their path.
const NAMED: [&str; 11] = [
    "bench/",
    "codegen/",
    "data/",
    "docs/",
    "fakes/",
    "generated/",
    "macros/",
    "runtime/",
    "script/",
    "sdk/",
    "tests/",
];

/// What the tutorials of README and docs/modules.md tell their readers to make.
const OF_TUTORIALS: [&str; 2] = ["exhibition", "viewings"];

/// The rows of the table with these titles, each as its cells.
pub fn rows<'a>(page: &'a str, titles: &str) -> Vec<Vec<&'a str>> {
    let (_, table) = page.split_once(titles).expect(titles);
    let lines = table.lines().skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// Each page as its path from the root and its text without blocks of code.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(root(), &mut found, 0);
    for folder in FOLDERS {
        collect(&root().join(folder), &mut found, 5);
    }
    assert!(found.len() > 80, "{found:?}");
    let pages = found.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a page");
        let name = path
            .strip_prefix(root())
            .expect("below the root")
            .to_owned();
        (name, prose(&text))
    });
    pages.collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let is_ours = !path.ends_with("node_modules");
        if path.is_dir() && depth > 0 && is_ours {
            collect(&path, found, depth - 1);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

fn prose(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The texts in backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    lines.flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The addresses of links: `x` of `[y](x)`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next())
}

/// How GitHub makes the address of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(anchor).any(|found| found == wanted)
}

/// What is wrong with a link of a page; `None` if it leads somewhere, or out of the repository.
fn broken(page: &Path, text: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = page.parent().expect("a folder");
    let target = root().join(folder).join(file);
    let leads = match (file, heading) {
        ("", heading) => has_heading(text, heading),
        (_, "") => target.exists(),
        _ => fs::read_to_string(&target).is_ok_and(|other| has_heading(&prose(&other), heading)),
    };
    (!leads).then(|| format!("{}: {link}", page.display()))
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let pages = pages();
    let found: Vec<String> = pages
        .iter()
        .flat_map(|(page, text)| links(text).filter_map(move |link| broken(page, text, link)))
        .collect();
    assert_eq!(found, Vec::<String>::new());

    // The control: a file and a heading that do not exist are noticed.
    let page = Path::new("tests/README.md");
    for (link, is_broken) in [
        ("../docs/money.md", false),
        ("../docs/money.md#orders", false),
        ("../docs/monney.md", true),
        ("../docs/money.md#odours", true),
        ("#names", false),
        ("#games", true),
    ] {
        let found = broken(page, "## Names\n", link);
        assert_eq!(found.is_some(), is_broken, "{link}");
    }
}

/// A path in backticks that begins with a folder of the repository, and that is not a pattern.
fn is_path(span: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    NAMED.iter().any(|folder| span.starts_with(folder))
        && span.chars().all(is_plain)
        && !OF_TUTORIALS.iter().any(|made| span.contains(made))
}

#[test]
fn every_file_that_a_page_names_exists() {
    let pages = pages();
    let named: BTreeSet<&str> = pages
        .iter()
        .flat_map(|(_, text)| spans(text).filter(|span| is_path(span)))
        .collect();
    assert!(named.contains("runtime/app/src/hooks.rs"), "{named:?}");
    // A file may be named without its extension, as a module.
    let exists = |path: &str| {
        let path = root().join(path);
        path.exists() || path.with_extension("rs").exists()
    };
    let missing: Vec<&&str> = named.iter().filter(|path| !exists(path)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

/// The path of an operation without the names of its parameters: `/events/{}` of `/events/{id}`.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments = path
        .split('/')
        .map(|segment| match segment.starts_with('{') {
            true => "{}",
            false => segment,
        });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_operation_that_a_page_names_exists() {
    let document = documented::document();
    let paths = document["paths"].as_object().expect("paths");
    let known: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("operations").keys();
            methods.map(move |method| format!("{} {}", method.to_uppercase(), shape(path)))
        })
        .collect();
    let pages = pages();
    let ours = pages.iter().filter(|(page, _)| {
        let is_page = page.parent().is_some_and(|folder| folder.ends_with("docs"));
        is_page || page.ends_with("spec/README.md") || *page == Path::new("README.md")
    });
    let named: BTreeSet<String> = ours
        .flat_map(|(_, text)| spans(text))
        .filter_map(|span| {
            let (method, path) = span.split_once(" /")?;
            let is_method = ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method);
            let is_whole = !path.contains([' ', '…']);
            (is_method && is_whole).then(|| format!("{method} {}", shape(&format!("/{path}"))))
        })
        .collect();
    assert!(named.len() > 80, "{named:?}");
    let missing: Vec<&String> = named.difference(&known).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

/// The beginnings of names of tests: `t4_the_auditor_notices` of `kills::t4_the_auditor_notices…`.
fn tests_of(span: &str) -> Option<&str> {
    let name = span.rsplit("::").next()?.trim_end_matches('…');
    let (letters, rest) = name.split_at(name.find(|c: char| c.is_ascii_digit())?);
    let is_name =
        (1..=3).contains(&letters.len()) && letters.chars().all(|c| c.is_ascii_lowercase());
    let end = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    (is_name && end.starts_with('_')).then_some(name)
}

#[test]
fn every_test_that_a_page_names_exists() {
    let code: String = ["tests/src", "runtime", "codegen", "fakes"]
        .into_iter()
        .flat_map(sources)
        .map(|(_, text)| text)
        .collect();
    let pages = pages();
    let named: BTreeSet<&str> = pages
        .iter()
        .flat_map(|(_, text)| spans(text).filter_map(tests_of))
        .collect();
    assert!(named.contains("t4_the_auditor_notices"), "{named:?}");
    let exists = |name: &str| code.contains(&format!("fn {name}"));
    let missing: Vec<&&str> = named.iter().filter(|name| !exists(name)).collect();
    assert_eq!(missing, Vec::<&&str>::new());
}

/// The faults that a view of the books may report.
fn faults_of(sql: &str) -> BTreeSet<&str> {
    let views = sql.split("create view app.").skip(1);
    let ours = views.filter(|view| {
        view.split(' ')
            .next()
            .is_some_and(|name| name.ends_with("_faults"))
    });
    // A view ends where the next statement begins.
    let texts = ours.filter_map(|view| view.split(";\n").next());
    // Selects within a branch are further indented.
    let branches = texts.flat_map(|view| view.split("\n  select '").skip(1));
    branches
        .filter_map(|branch| branch.split('\'').next())
        .collect()
}

#[test]
fn every_fault_of_the_books_is_explained() {
    let folder = fs::read_dir(root().join("spec/sql")).expect("a folder");
    let sql: String = folder
        .flatten()
        .map(|entry| fs::read_to_string(entry.path()).expect("SQL"))
        .collect();
    let page = fs::read_to_string(root().join("docs/money.md")).expect("a page");
    let rows = rows(&page, "| what must hold | faults that report a violation |");
    let told: BTreeSet<&str> = rows
        .iter()
        .flat_map(|cells| cells[1].split(" · "))
        .map(|fault| fault.split(" (").next().unwrap_or_default())
        .collect();
    assert_eq!(told, faults_of(&sql));

    // The control: a fault of another view does not count, one more of these does.
    let more = "create view app.other as\n  select 'a' as b;\ncreate view app.new_faults as\n  select 'c' as fault\n  union all\n  select 'd', 'e';\n";
    assert_eq!(faults_of(more), BTreeSet::from(["c", "d"]));
}

#[test]
fn the_list_of_decisions_has_all_of_them_with_their_titles() {
    let folder = root().join("docs/adr");
    let list = fs::read_to_string(folder.join("README.md")).expect("a list");
    let told = rows(&list, "| | decision |");
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| !path.ends_with("README.md"));
    files.sort_unstable();
    let known = files.iter().map(|path| {
        let text = fs::read_to_string(path).expect("a page");
        let title = text.lines().next().expect("a title");
        let (number, title) = title
            .trim_start_matches("# ")
            .split_once(". ")
            .expect("a number");
        let name = path.file_name().expect("a name").display();
        vec![format!("[{number}]({name})"), title.to_owned()]
    });
    assert_eq!(told, known.collect::<Vec<_>>());
}

#[test]
fn every_script_is_listed_and_says_what_it_does_if_asked() {
    let list = fs::read_to_string(root().join("script/README.md")).expect("a list");
    let scripts = fs::read_dir(root().join("script")).expect("a folder");
    let mut count = 0;
    for path in scripts.flatten().map(|entry| entry.path()) {
        // The others are sourced, or are data of scripts.
        if path.extension().is_some() {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy();
        assert!(
            list.contains(&format!("`{name}`")),
            "script/README.md lacks {name}"
        );
        let text = fs::read_to_string(&path).expect("a script");
        let is_answered = text.contains("help_if_asked \"$@\"\n") || text.contains(" --help)");
        assert!(is_answered, "{name} does not know --help");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_part_of_a_module_is_explained() {
    let code = fs::read_to_string(root().join("runtime/app/src/module.rs")).expect("a module");
    let (_, of_trait) = code.split_once("pub trait Module").expect("the trait");
    let (of_trait, _) = of_trait.split_once("\n}\n").expect("its end");
    let functions = of_trait.split("\n    fn ").skip(1);
    let names = functions.filter_map(|rest| rest.split('(').next());
    let known: BTreeSet<&str> = names.chain(["NAME", "Settings"]).collect();
    assert!(known.len() > 8, "{known:?}");
    let page = fs::read_to_string(root().join("docs/modules.md")).expect("a page");
    let rows = rows(&page, "| part | where | purpose |");
    let of_module = rows.iter().filter(|cells| cells[1] == "`Module`");
    let told: BTreeSet<&str> = of_module.flat_map(|cells| spans(cells[0])).collect();
    assert_eq!(told, known);
}
