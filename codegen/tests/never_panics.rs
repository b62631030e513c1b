//! Whatever bytes stand in a spec, the answer is a model or a list of mistakes.
//!
//! Takes right and wrong specs, spoils them at random (always the same way) and loads them. What is still
//! right is also generated. `ROUNDS=100000 cargo test -p codegen --test never_panics` tries more specs, `SEED=…` other
//! ones; `script/fuzz` does both for a given number of minutes.

// Not all of it is needed here.
#[allow(dead_code)]
#[path = "bad/world.rs"]
mod fixtures;

use codegen::diag::Sources;
use codegen::{emit, tree::Tree};
use fixtures::{base, folder, read, yaml_files};
use std::path::Path;

/// Pieces of the language, to reach further than noise does.
const PIECES: [&str; 48] = [
    "anyone",
    "me is ",
    "me holds ",
    "me in ",
    "of ",
    "this",
    "not ",
    " and ",
    " or ",
    "(",
    ")",
    ",",
    "?",
    "*",
    "|",
    "->",
    "==",
    "!=",
    "..",
    "<=",
    "null",
    "now()",
    "true",
    "\"x\"",
    "text(1..9)",
    "int",
    "enum(a, b)",
    "states(a, b)",
    "point",
    "object links",
    "list text(..9)(..9)",
    "slug from title",
    "one of ",
    "same city",
    "on archive cascade",
    "set me",
    "system",
    "read ",
    "check ",
    "was old",
    "drop",
    "count(",
    "where ",
    "\n  ",
    "\n",
    ": ",
    "- ",
    "é\u{0}",
];

#[test]
fn abuse_77_spoiled_specs_are_told_not_panicked_at() {
    let rounds = number("ROUNDS", 400);
    let seed = number("SEED", 0x5eed);
    println!("SEED={seed}");
    let specs = specs();
    // The generator is a xorshift, which stays at zero if it begins there.
    let mut random = Random(seed.max(1));
    let mut right = 0;
    for _ in 0..rounds {
        let mut sources = specs[random.below(specs.len())].clone();
        for _ in 0..=random.below(3) {
            let file = random.below(sources.files.len());
            let text = &mut sources.files[file].text;
            *text = spoil(text, &mut random);
        }
        match codegen::load_sources(&sources) {
            Ok(model) => {
                right += 1;
                let schema = emit::schema::schema(&model);
                emit::emit(&model, &schema, &[], &mut Tree::default());
            }
            Err(said) => {
                assert!(
                    !said.list.is_empty(),
                    "refused without a reason:\n{sources:?}"
                );
                assert!(!said.to_string().is_empty());
            }
        }
    }
    assert!(right < rounds, "nothing was spoiled");
}

fn number(name: &str, otherwise: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let root = std::env::temp_dir().join(format!("codegen-no-text-{}", std::process::id()));
    std::fs::create_dir_all(root.join("spec/entities")).unwrap();
    std::fs::write(root.join("spec/app.yaml"), b"app: \xff\xfe").unwrap();
    std::fs::write(root.join("spec/entities/note.txt"), b"").unwrap();
    std::fs::write(root.join("spec/README.md"), b"Read me.").unwrap();
    std::fs::write(root.join("spec/event.yaml"), b"entity: event").unwrap();
    std::fs::create_dir_all(root.join("spec/entity")).unwrap();
    let said = codegen::load(&root).unwrap_err().to_string();
    std::fs::remove_dir_all(&root).unwrap();
    assert!(said.contains("spec/app.yaml is not UTF-8"), "{said}");
    assert!(said.contains("note.txt is not read"), "{said}");
    for astray in ["spec/event.yaml", "spec/entity"] {
        assert!(said.contains(&format!("{astray} is not read")), "{said}");
    }
    assert!(!said.contains("README.md"), "{said}");
}

fn spoil(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return PIECES[random.below(PIECES.len())].to_owned();
    }
    let line = random.below(lines.len());
    let other = random.below(lines.len());
    match random.below(8) {
        0 => drop(lines.remove(line)),
        1 => lines.insert(other, lines[line].clone()),
        2 => lines.swap(line, other),
        // The value of another line.
        3 => {
            let value = lines[other]
                .split_once(": ")
                .map_or(String::new(), |(_, value)| value.to_owned());
            let key = lines[line]
                .split_once(": ")
                .map_or(String::new(), |(key, _)| key.to_owned());
            lines[line] = format!("{key}: {value}");
        }
        _ => {
            let chars: Vec<char> = lines[line].chars().collect();
            let at = random.below(chars.len() + 1);
            let end = (at + random.below(4)).min(chars.len());
            let piece = PIECES[random.below(PIECES.len())];
            let (head, tail): (String, String) =
                (chars[..at].iter().collect(), chars[end..].iter().collect());
            lines[line] = match random.below(3) {
                0 => format!("{head}{tail}"),
                1 => format!("{head}{piece}{tail}"),
                _ => format!(
                    "{head}{}{tail}",
                    char::from_u32(random.below(0x250) as u32).unwrap_or('x')
                ),
            };
        }
    }
    lines.join("\n")
}

/// The base world of the bad fixtures, each fixture in it, and the real spec.
fn specs() -> Vec<Sources> {
    let base = base();
    let mut specs = vec![base.clone(), base.clone()];
    for path in yaml_files(&folder()) {
        let text = std::fs::read_to_string(path).unwrap();
        let mut spec = base.clone();
        match text.starts_with("app:") {
            true => spec.files[0].text = text,
            false => {
                spec.add("spec/entities/gig.yaml", text);
            }
        }
        specs.push(spec);
    }
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    specs.push(read(&real.join("app.yaml"), &real.join("entities")));
    specs
}

/// xorshift: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
