//! Each mend of a bad fixture that names what to write instead is tried: what it says to write is accepted, or at least
//! nothing else is wrong with that line.

#[path = "bad/world.rs"]
mod fixtures;

use codegen::diag::{Diagnostic, Diagnostics, Sources};
use fixtures::{TAIL, folder, world, yaml_files};
use std::ops::Range;

/// Mends that one replacement doesn't make: the text shows the form only, or something else has to be written as well.
const LEFT_OUT: [&str; 9] = [
    "app_module_writes_some.yaml",
    "check_less_than_null.yaml",
    "conditions_too_large.yaml",
    "field_money_name.yaml",
    "first_of_unknown_has.yaml",
    "has_without_star.yaml",
    "relation_to_the_unseen.yaml",
    "rule_not_update_of.yaml",
    "yaml_list_as_key.yaml",
];

#[test]
fn what_the_help_says_to_write_is_accepted() {
    let (mut tried, mut wrong) = (0, String::new());
    for path in yaml_files(&folder()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let spec = text
            .split_once(TAIL)
            .map_or(text.as_str(), |(spec, _)| spec);
        let sources = world(&name, &format!("{}\n", spec.trim_end()));
        let Err(said) = codegen::load_sources(&sources) else {
            continue;
        };
        let [diagnostic] = said.list.as_slice() else {
            continue;
        };
        let attempts = attempts(&sources, diagnostic);
        if attempts.is_empty() {
            continue;
        }
        tried += 1;
        let answers: Vec<String> = attempts
            .iter()
            .map(|attempt| answer(&sources, diagnostic, attempt))
            .collect();
        let accepted = answers.iter().any(String::is_empty);
        match (accepted, LEFT_OUT.contains(&name.as_str())) {
            (true, false) | (false, true) => {}
            (true, true) => wrong += &format!("{name} need not be left out\n"),
            (false, false) => {
                wrong += &format!("{name}:\n{said}but then\n");
                wrong.extend(answers);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(tried >= 160, "{tried}");
}

/// What stands in the place of a part of the file.
#[derive(Debug)]
struct Attempt {
    place: Range<usize>,
    text: String,
}

/// What is still wrong with the line; empty if nothing is.
fn answer(sources: &Sources, diagnostic: &Diagnostic, attempt: &Attempt) -> String {
    let span = diagnostic.span.unwrap();
    let mut mended = sources.clone();
    let text = &mut mended.files[span.file].text;
    text.replace_range(attempt.place.clone(), &attempt.text);
    let line = |text: &str, at: usize| text[..at.min(text.len())].matches('\n').count();
    let here = line(text, span.start);
    match codegen::load_sources(&mended) {
        Ok(_) => String::new(),
        Err(said) => {
            let Diagnostics { list, sources } = &said;
            let same = list.iter().any(|d| {
                let place = d.span.filter(|s| s.file == span.file);
                d.message == diagnostic.message
                    || place.is_some_and(|s| line(&sources.files[s.file].text, s.start) == here)
            });
            if same {
                said.to_string()
            } else {
                String::new()
            }
        }
    }
}

fn attempts(sources: &Sources, diagnostic: &Diagnostic) -> Vec<Attempt> {
    let help = diagnostic.help.as_deref().unwrap_or_default();
    let span = diagnostic.span.unwrap();
    let text = &sources.files[span.file].text;
    let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = &text[start..end];
    let indent = start + (line.len() - line.trim_start().len());
    let mut found = Vec::new();
    for word in said(help, "did you mean `") {
        found.push(Attempt {
            place: span.start..span.end,
            text: word.to_owned(),
        });
    }
    for word in said(help, "write `") {
        let mut put = |place: Range<usize>, text: String| found.push(Attempt { place, text });
        put(span.start..span.end, word.to_owned());
        put(indent..end, word.to_owned());
        if let Some(at) = line.find(": ") {
            put(start + at + 2..end, word.to_owned());
        }
        put(span.start..end, word.to_owned());
        put(end..end, format!(", {word}"));
        put(span.end..span.end, format!(" {word}"));
    }
    // A line that is there already, or a part of this one that begins alike.
    for word in said(help, "write `") {
        let first = word.split_inclusive([':', ' ']).next().unwrap_or(word);
        for (at, _) in text.match_indices(&format!("  {first}")) {
            let rest = &text[at + 2..];
            let (line, part) = (rest.find('\n'), rest.find([',', '\n']));
            for end in [line, part].into_iter().flatten() {
                let place = at + 2..at + 2 + end;
                found.push(Attempt {
                    place,
                    text: word.to_owned(),
                });
            }
        }
        if let Some(at) = text[start..end].find(&format!(", {first}")) {
            let from = start + at + 2;
            let to = text[from..end].find(',').map_or(end, |at| from + at);
            found.push(Attempt {
                place: from..to,
                text: word.to_owned(),
            });
        }
    }
    // The name that the message quotes, in what it points at: `town` in `town.population`.
    for word in said(help, "did you mean `") {
        for name in said(&diagnostic.message, "`") {
            if let Some(at) = text[span.start..span.end].find(name) {
                let at = span.start + at;
                found.push(Attempt {
                    place: at..at + name.len(),
                    text: word.to_owned(),
                });
            }
        }
    }
    if help.contains("leave the key out") {
        found.push(Attempt {
            place: start..end,
            text: String::new(),
        });
    }
    for word in said(help, "remove `") {
        let mut put = |place: Range<usize>| {
            found.push(Attempt {
                place,
                text: String::new(),
            })
        };
        put(start..end);
        if let Some(at) = line.find(&format!(", {word}")) {
            put(start + at..start + at + word.len() + 2);
        }
    }
    found
}

/// What the help quotes behind these words, except where something is left open.
fn said<'h>(help: &'h str, before: &str) -> Vec<&'h str> {
    let quoted = help
        .match_indices(before)
        .filter_map(|(at, _)| help[at + before.len()..].split('`').next());
    quoted.filter(|word| !word.contains(['<', '…'])).collect()
}
