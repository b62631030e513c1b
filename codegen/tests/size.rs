//! How much of the API document a small entity changes: what a reviewer of it has to read.

use codegen::emit::openapi;
use std::path::{Path, PathBuf};

/// Today's 468 and a little more.
const LINES_MAX: usize = 550;

/// The entity of "Add an entity in five minutes".
#[test]
fn a_small_entity_changes_few_lines_of_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("a README");
    let entity = tutorial(&readme);
    assert!(entity.starts_with("entity: exhibition"), "{entity}");
    // By another name, so that whoever has followed the README can run this.
    let entity = entity.replace("exhibition", "showing");
    let copy = Copy::of(&root.join("spec"));
    let before = copy.document();
    copy.write("spec/entities/showing.yaml", &entity);
    let app = std::fs::read_to_string(copy.0.join("spec/app.yaml")).expect("the app");
    let placed = app.replace("attendance, broadcast", "attendance, broadcast, showing");
    assert_ne!(placed, app, "the tag that README.md names");
    copy.write("spec/app.yaml", &placed);
    let after = copy.document();
    let [before, after] = [&before, &after].map(|text| text.lines().collect::<Vec<_>>());
    let changed = differences(&before, &after);
    assert!(changed > 100, "it is in the document: {changed} lines");
    assert!(changed < LINES_MAX, "{changed} lines");
}

#[test]
fn differences_are_lines_put_in_and_taken_out() {
    for (one, other, expected) in [
        ("abc", "abc", 0),
        ("abc", "axc", 2),
        ("abc", "abxyc", 2),
        ("abcdef", "bcf", 3),
        ("", "ab", 2),
    ] {
        let letters = |text: &'static str| text.split("").filter(|one| !one.is_empty()).collect();
        let (one, other): (Vec<&str>, Vec<&str>) = (letters(one), letters(other));
        assert_eq!(differences(&one, &other), expected, "{one:?} {other:?}");
    }
}

/// The first YAML of the section, without the indentation of its list.
fn tutorial(readme: &str) -> String {
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with("Add an entity"))
        .expect("the section");
    let lines = section
        .lines()
        .skip_while(|line| line.trim() != "```yaml")
        .skip(1)
        .take_while(|line| line.trim() != "```");
    lines
        .map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line)))
        .collect()
}

/// Length of the shortest script of insertions and deletions (Myers): as many as `diff` shows.
fn differences(one: &[&str], other: &[&str]) -> usize {
    let (n, m) = (one.len() as isize, other.len() as isize);
    let most = n + m;
    let mut furthest = vec![0isize; (2 * most + 2) as usize];
    for d in 0..=most {
        for k in (-d..=d).step_by(2) {
            let at = |k: isize| (k + most) as usize;
            let down = k == -d || (k != d && furthest[at(k - 1)] < furthest[at(k + 1)]);
            let mut x = match down {
                true => furthest[at(k + 1)],
                false => furthest[at(k - 1)] + 1,
            };
            while x < n && x - k < m && one[x as usize] == other[(x - k) as usize] {
                x += 1;
            }
            furthest[at(k)] = x;
            if x >= n && x - k >= m {
                return d as usize;
            }
        }
    }
    most as usize
}

/// A spec of its own, to be changed.
struct Copy(PathBuf);

impl Copy {
    fn of(spec: &Path) -> Copy {
        let name = format!("culturepass-size-{}", std::process::id());
        let copy = Copy(std::env::temp_dir().join(name));
        copy.take(spec, Path::new("spec"));
        copy
    }

    fn take(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(self.0.join(to)).expect("a folder");
        for entry in std::fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let to = to.join(entry.file_name());
            match entry.path().is_dir() {
                true => self.take(&entry.path(), &to),
                false => {
                    std::fs::copy(entry.path(), self.0.join(to)).expect("a copy");
                }
            }
        }
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.0.join(path), text).expect("written");
    }

    fn document(&self) -> String {
        let model = codegen::load(&self.0).unwrap_or_else(|errors| panic!("{errors}"));
        openapi::render(&model)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
