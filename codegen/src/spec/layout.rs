//! Which line is to blame if a file is not YAML, and how to correct it.
//!
//! The parser reports the line at which it can't go on. If a line is not indented like those around it, that is often
//! the line below.

use super::{APP_KEYS, ENTITY_KEYS};
use crate::diag::{Diagnostic, Span};
use crate::phrase;

/// A line that is neither empty nor a comment.
struct Line<'t> {
    start: usize,
    indent: usize,
    /// Without the spaces in front of it and behind it.
    text: &'t str,
}

impl Line<'_> {
    /// Whether it is `key:` or `key: value`.
    fn value(&self) -> Option<&str> {
        let (key, rest) = self.text.split_once(':')?;
        let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
        let value = rest.split(" #").next().unwrap_or_default().trim();
        (is_key && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(value)
    }

    fn is_section(&self) -> bool {
        self.value() == Some("")
    }

    /// Whether it is a line at the margin that belongs there.
    fn is_key_of(&self, file: &[Line]) -> bool {
        let key = self.text.split(':').next().unwrap_or_default();
        let of_app = file
            .first()
            .is_some_and(|first| first.text.starts_with("app:"));
        let known: &[&str] = if of_app { &APP_KEYS } else { &ENTITY_KEYS };
        self.indent == 0 && known.contains(&key)
    }

    fn has_value(&self) -> bool {
        self.value().is_some_and(|value| !value.is_empty())
    }

    fn diagnostic(&self, file: usize, message: impl Into<String>) -> Diagnostic {
        let start = self.start + self.indent;
        let end = start + self.text.len();
        Diagnostic::at(Span { file, start, end }, message)
    }
}

/// A better explanation than the parser's, if there is one. The parser stopped at the byte `at`.
pub(super) fn explain(file: usize, text: &str, at: usize) -> Option<Diagnostic> {
    let lines = lines(text);
    let stopped = lines.iter().rposition(|line| line.start <= at)?;
    if let Some(above) = lines[..stopped].last()
        && let Some(value) = above.value()
        && [('[', ']'), ('{', '}')]
            .iter()
            .any(|(open, close)| value.starts_with(*open) && !value.contains(*close))
    {
        let told = above.diagnostic(file, "this bracket is never closed");
        return Some(told.help("close it on the same line"));
    }
    misplaced(&lines, stopped)
        .map(|(line, indent)| {
            let message = format!("this line is indented by {}", spaces(line.indent));
            line.diagnostic(file, message).help(match indent {
                0 => "begin it at the margin, as its neighbours do".to_owned(),
                _ => format!("indent it by {}, as its neighbours are", spaces(indent)),
            })
        })
        .or_else(|| no_entry(file, &lines[stopped]))
}

/// The most common reasons why a line of a spec is not valid YAML.
pub(super) fn mend(text: &str, at: usize, said: &str) -> String {
    let at = (0..=at.min(text.len()))
        .rfind(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    let start = text[..at].rfind('\n').map_or(0, |n| n + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let before = &text[start..at];
    let word = before
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .next();
    if let Some(word) =
        word.filter(|word| before.contains(": ") && ["enum", "states"].contains(word))
    {
        return format!("write the values in brackets: `{word}(a, b)`");
    }
    if let Some(word) = word.filter(|word| before.contains(": ") && is_modifier(word)) {
        return format!("write `{word} …` without a colon");
    }
    if said.contains("unclosed") {
        return "close it on the same line".to_owned();
    }
    if said.contains("quoted scalar") {
        return "nothing may follow the closing quote; a sentence with an apostrophe stands without quotes or in \
                double quotes"
            .to_owned();
    }
    if said.starts_with("unexpected character") {
        return "a value that begins with this character must stand in quotes".to_owned();
    }
    if line.matches(": ").count() > 1 {
        return "a value that has `: ` in it must stand in quotes".to_owned();
    }
    "one `key: value` per line, inner lines indented by two spaces; a value that has `: ` or ` #` in it must stand in quotes"
        .to_owned()
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            found.push(Line {
                start,
                indent: line.len() - line.trim_start().len(),
                text: content,
            });
        }
        start += line.len();
    }
    found
}

fn spaces(n: usize) -> String {
    match n {
        1 => "1 space".to_owned(),
        _ => format!("{n} spaces"),
    }
}

/// The line that is not indented like those around it, and by how much they are.
fn misplaced<'l, 't>(lines: &'l [Line<'t>], stopped: usize) -> Option<(&'l Line<'t>, usize)> {
    let line = &lines[stopped];
    let above = lines[..stopped].last()?;
    let below = lines.get(stopped + 1);
    line.value()?;
    if above.indent < line.indent && above.has_value() {
        // A value can have no lines below it: either it or the line below is not where it belongs.
        let alike = |l: &&Line| l.indent == above.indent && l.has_value() && !l.is_key_of(lines);
        let run = lines[..stopped].iter().rev().take_while(alike).count();
        let before = lines[..stopped - run].last();
        let too_far_left = before.is_some_and(|before| match before.is_section() {
            true => {
                let goes_on = below.is_some_and(|below| below.indent == line.indent);
                before.indent < line.indent && (above.indent <= before.indent || goes_on)
            }
            false => before.indent == line.indent,
        });
        return Some(match too_far_left && run > 0 {
            true => (&lines[stopped - run], line.indent),
            false => (line, above.indent),
        });
    }
    if above.indent > line.indent {
        let section = lines[..stopped]
            .iter()
            .rposition(|l| l.indent < line.indent);
        let block = &lines[section.map_or(0, |section| section + 1)..stopped];
        let first = block.first()?;
        if section.is_none() && line.indent > 0 {
            return None;
        }
        let alike = block.iter().filter(|l| l.indent == first.indent).count();
        return match (first.indent > line.indent, alike) {
            (false, _) => None,
            (true, 1)
                if line.indent.is_multiple_of(2)
                    && below.is_none_or(|below| below.indent != first.indent) =>
            {
                Some((first, line.indent))
            }
            (true, _) => Some((line, first.indent)),
        };
    }
    None
}

/// A line that is no `key: value`.
fn no_entry(file: usize, line: &Line) -> Option<Diagnostic> {
    if let Some(entry) = line.text.strip_prefix("- ") {
        return Some(
            line.diagnostic(file, "a `-` in front of a `key: value`")
                .help(format!("write `{entry}` without it")),
        );
    }
    if line.value().is_some() || line.text.starts_with(['"', '\'', '[', '{']) {
        return None;
    }
    if let Some((key, rest)) = line.text.split_once(':')
        && !key.contains(' ')
        && !rest.is_empty()
    {
        return Some(
            line.diagnostic(file, format!("no blank after `{key}:`"))
                .help(format!("write `{key}: {}`", rest.trim())),
        );
    }
    Some(
        line.diagnostic(file, "this line is no `key: value`")
            .help("if it goes on with the line above, indent it deeper than that line's key"),
    )
}

/// Whether phrases have the word with something after it: `read host`, `by staff`, `was seats`.
fn is_modifier(word: &str) -> bool {
    let fields = phrase::FIELD_MODIFIERS.iter();
    let relations = phrase::RELATION_MODIFIERS.iter();
    let transitions = phrase::TRANSITION_WORDS.iter();
    let checks = phrase::CHECK_MODIFIERS.iter();
    let all = fields.chain(relations).chain(transitions).chain(checks);
    all.flat_map(|modifier| modifier.split(' '))
        .any(|known| known == word)
}

#[cfg(test)]
mod tests {

    const ENTITY: &str = "entity: event\ndoc: An event.\nfields:\n  title: text(1..9)\n  size: int?\n  open: bool = true\n\
                          access:\n  mine: me is owner\n  read: anyone\n  update: mine\n";

    /// The text of the line that is blamed, and the help.
    fn blamed(text: &str) -> (String, String) {
        let errors = crate::diag::Collector::default();
        assert!(
            crate::spec::yaml::parse(0, text, &errors).is_none(),
            "{text}"
        );
        let source = crate::diag::Source {
            path: "x".into(),
            text: text.into(),
        };
        let sources = crate::diag::Sources {
            files: vec![source],
        };
        let wrong = errors.finish(&sources).expect_err("wrong");
        let found = &wrong.list[0];
        let start = found.span.expect("a place").start;
        let line = text[..start].matches('\n').count();
        let line = text.lines().nth(line).unwrap_or_default();
        (
            line.trim().to_owned(),
            found.help.clone().unwrap_or_default(),
        )
    }

    fn changed(line: &str, to: &str) -> (String, String) {
        assert!(ENTITY.contains(line), "{line}");
        blamed(&ENTITY.replace(line, to))
    }

    #[test]
    fn the_line_that_is_not_where_it_belongs_is_blamed() {
        for line in ["  title: ", "  size: ", "  mine: ", "  read: "] {
            let key = line.trim();
            for indent in ["", " "] {
                let (found, help) = changed(line, &format!("{indent}{key} "));
                assert!(found.starts_with(key), "{line}{indent:?}: {found}");
                assert_eq!(
                    help, "indent it by 2 spaces, as its neighbours are",
                    "{line}"
                );
            }
        }
        for (line, indent) in [
            ("  size: ", 3),
            ("  size: ", 4),
            ("  open: ", 6),
            ("  title: ", 3),
            ("  title: ", 4),
            ("  update: ", 4),
        ] {
            let key = line.trim();
            let (found, help) = changed(line, &format!("{}{key} ", " ".repeat(indent)));
            assert!(found.starts_with(key), "{line}{indent}: {found}");
            assert_eq!(
                help, "indent it by 2 spaces, as its neighbours are",
                "{line}"
            );
        }
        let (found, help) = changed("entity: event", "  entity: event");
        assert_eq!(found, "entity: event");
        assert_eq!(help, "begin it at the margin, as its neighbours do");
        let (found, _) = changed("  size: ", "# a comment\n\nsize: ");
        assert_eq!(found, "size: int?");
        let (found, _) = changed("  title: text(1..9)\n  size: ", "title: text(1..9)\nsize: ");
        assert_eq!(found, "title: text(1..9)");
        let (found, help) = changed("access:", "page: 5\n  access:");
        assert_eq!(found, "access:");
        assert_eq!(help, "begin it at the margin, as its neighbours do");
    }

    #[test]
    fn sections_within_sections_too() {
        let app = "app: a\nobjects:\n  links:\n    home: url?\n    blog: url?\nmixins:\n  face:\n    fields:\n      links: object links?\n";
        for (line, to, indent) in [
            ("    home", "  home", 4),
            ("    home", "home", 4),
            ("    blog", "     blog", 4),
        ] {
            let (found, help) = blamed(&app.replace(line, to));
            assert!(found.starts_with(line.trim()), "{to}: {found}");
            assert!(
                help.starts_with(&format!("indent it by {indent}")),
                "{to}: {help}"
            );
        }
    }

    #[test]
    fn a_line_that_is_no_entry_is_told_what_it_lacks() {
        let cases = [
            ("  size: int?", "  size:int?", "write `size: int?`"),
            (
                "  size: int?",
                "  - size: int?",
                "write `size: int?` without it",
            ),
            (
                "  update: mine",
                "  update: mine or\n  read",
                "if it goes on",
            ),
            (
                "  size: int?",
                "  size: int?, read: mine",
                "write `read …` without a colon",
            ),
            (
                "  size: int?",
                "  size: int?, check: size > 1",
                "write `check …` without a colon",
            ),
            (
                "  size: int?",
                "  size: int?, doc: \"How big\"",
                "write `doc …` without a colon",
            ),
            (
                "doc: An event.",
                "doc: An event: one with a date.",
                "a value that has `: `",
            ),
            (
                "doc: An event.",
                "doc: `event` is it.",
                "a value that begins",
            ),
            (
                "doc: An event.",
                "doc: 'A host's event.'",
                "nothing may follow",
            ),
            ("doc: An event.", "doc: \"An event.", "close it"),
            ("  size: int?", "  size: [int", "close it"),
        ];
        for (line, to, expected) in cases {
            let (_, help) = changed(line, to);
            assert!(help.starts_with(expected), "{to}: {help}");
        }
    }
}
