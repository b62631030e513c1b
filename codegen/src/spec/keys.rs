//! Takes the known keys out of a mapping and reports all others.

use super::entity::ACTIONS;
use super::yaml::{Node, Text};
use crate::diag::{Collector, Diagnostic, Span};
use crate::names;
use crate::phrase::{Parsed, Word, foreign};

/// One mapping of a file.
pub struct Keys<'a> {
    pub entries: &'a [(Text, Node)],
    pub span: Span,
    pub errors: &'a Collector,
}

impl<'a> Keys<'a> {
    /// `what` names the mapping in messages: "an entity".
    pub fn of(
        node: &'a Node,
        what: &str,
        known: &[&str],
        errors: &'a Collector,
    ) -> Option<Keys<'a>> {
        let Node::Map(entries, span) = node else {
            errors.push(
                Diagnostic::at(
                    node.span(),
                    format!("{what} is a mapping, this is {}", node.kind()),
                )
                .help(format!("keys: {}", names::quoted(known))),
            );
            return None;
        };
        if let Some(wrong) = not_indented(entries, known) {
            errors.push(wrong);
            return None;
        }
        for (n, (key, node)) in entries.iter().enumerate() {
            if !known.contains(&key.value.as_str()) {
                let near = match foreign::key(&key.value).filter(|ours| known.contains(ours)) {
                    Some(ours) => format!("write `{ours}`"),
                    None => names::suggest(&key.value, known.iter().copied(), "keys"),
                };
                let help = match outdented(&entries[..n], node, known) {
                    // No other key was meant.
                    Some("access") if ACTIONS.contains(&key.value.as_str()) => format!(
                        "indent `{}` by two spaces: it belongs to `access:`",
                        key.value
                    ),
                    Some(above) => format!(
                        "indent `{}` by two spaces if it belongs to `{above}:`; else: {near}",
                        key.value
                    ),
                    None => near,
                };
                errors.push(
                    Diagnostic::at(key.span, format!("unknown key `{}`", key.value)).help(help),
                );
            }
        }
        Some(Keys {
            entries,
            span: *span,
            errors,
        })
    }

    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(k, _)| k.value == key)
            .map(|(_, node)| node)
    }
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.entries
            .iter()
            .find(|(k, _)| k.value == key)
            .map(|(k, _)| k.span)
    }
    pub fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|(k, _)| k.value == key)
    }

    /// The scalar under `key`.
    pub fn text(&self, key: &str, help: &str) -> Option<&'a Text> {
        scalar(self.get(key)?, &format!("`{key}`"), help, self.errors)
    }

    /// A scalar that is a single word, but not necessarily a valid name.
    pub fn word(&self, key: &str, help: &str) -> Option<Word> {
        let text = self.text(key, help)?;
        Some(Word {
            it: text.value.clone(),
            span: text.span,
        })
    }

    pub fn required(&self, key: &str, help: &str) {
        if self.get(key).is_none() {
            let start = self.entries.first().map_or(self.span, |(k, _)| k.span);
            self.errors
                .push(Diagnostic::at(start, format!("`{key}` is missing")).help(help));
        }
    }

    pub fn words(&self, key: &str, help: &str) -> Vec<Word> {
        self.get(key)
            .map(|node| words(node, &format!("`{key}`"), help, self.errors))
            .unwrap_or_default()
    }

    /// `[[a, b], [c]]`
    pub fn word_lists(&self, key: &str, help: &str) -> Vec<Vec<Word>> {
        let Some(node) = self.get(key) else {
            return Vec::new();
        };
        list(node, &format!("`{key}`"), help, self.errors)
            .iter()
            .map(|item| words(item, "each of them", help, self.errors))
            .filter(|words| !words.is_empty())
            .collect()
    }

    /// A mapping from names to phrases, both parsed.
    pub fn phrases<T>(
        &self,
        key: &str,
        what: &str,
        read: fn(&Text) -> Parsed<T>,
    ) -> Vec<(Word, T)> {
        self.get(key)
            .map(|node| phrases(node, &format!("`{key}`"), what, read, self.errors))
            .unwrap_or_default()
    }
}

pub fn scalar<'a>(node: &'a Node, what: &str, help: &str, errors: &Collector) -> Option<&'a Text> {
    match node {
        Node::Scalar(text) if !text.value.is_empty() => Some(text),
        node => {
            errors.push(
                Diagnostic::at(node.span(), format!("{what} is {} here", node.kind())).help(help),
            );
            None
        }
    }
}

pub fn list<'a>(node: &'a Node, what: &str, help: &str, errors: &Collector) -> &'a [Node] {
    match node {
        Node::List(items, _) => items,
        node => {
            errors.push(
                Diagnostic::at(
                    node.span(),
                    format!("{what} is a list, this is {}", node.kind()),
                )
                .help(help),
            );
            &[]
        }
    }
}

pub fn words(node: &Node, what: &str, help: &str, errors: &Collector) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for item in list(node, what, help, errors) {
        let Some(text) = scalar(item, "an item of the list", help, errors) else {
            continue;
        };
        if let Some(first) = words.iter().find(|w| w.it == text.value) {
            errors.push(
                Diagnostic::at(text.span, format!("`{}` is here twice", text.value))
                    .also(first.span, "first written here")
                    .help("keep one of the two"),
            );
            continue;
        }
        words.push(Word {
            it: text.value.clone(),
            span: text.span,
        });
    }
    words
}

pub fn entries<'a>(
    node: &'a Node,
    what: &str,
    help: &str,
    errors: &Collector,
) -> &'a [(Text, Node)] {
    match node {
        Node::Map(entries, _) if !entries.is_empty() => entries,
        Node::Map(_, span) => {
            errors
                .push(Diagnostic::at(*span, format!("{what} is empty")).help("leave the key out"));
            &[]
        }
        node => {
            errors.push(
                Diagnostic::at(
                    node.span(),
                    format!("{what} is a mapping, this is {}", node.kind()),
                )
                .help(help),
            );
            &[]
        }
    }
}

pub fn phrases<T>(
    node: &Node,
    section: &str,
    what: &str,
    read: fn(&Text) -> Parsed<T>,
    errors: &Collector,
) -> Vec<(Word, T)> {
    let help = format!("one `{what}` per line");
    let mut phrases = Vec::new();
    for (key, value) in entries(node, section, &help, errors) {
        let name = name(key, errors);
        let Some(text) = scalar(
            value,
            &format!("the phrase of `{}`", key.value),
            &help,
            errors,
        ) else {
            continue;
        };
        if let (Some(name), Some(phrase)) = (name, errors.keep(read(text))) {
            phrases.push((name, phrase));
        }
    }
    phrases
}

/// A key that is a name: `^[a-z][a-z0-9_]{0,62}$`, and not what YAML readers take for a boolean.
pub fn name(key: &Text, errors: &Collector) -> Option<Word> {
    let word = Word {
        it: key.value.clone(),
        span: key.span,
    };
    if names::is_yaml_word(&word.it) {
        errors.push(
            Diagnostic::at(
                word.span,
                format!(
                    "`{}` as a name: many YAML readers take it for a boolean or null",
                    word.it
                ),
            )
            .help("choose another name"),
        );
        return None;
    }
    if !names::is_name(&word.it) {
        let better = names::snake(&word.it).replace(['-', ' '], "_");
        let help = if names::is_name(&better) {
            format!("write `{better}`")
        } else {
            "names start with a small letter; small letters, digits and `_` follow, 63 at most"
                .to_owned()
        };
        errors.push(
            Diagnostic::at(
                word.span,
                format!("`{}` can't be a name", word.it.escape_debug()),
            )
            .help(help),
        );
        return None;
    }
    Some(word)
}

/// Like [`name`], for a scalar that must be a name.
pub fn name_of(text: Option<&Text>, errors: &Collector) -> Option<Word> {
    text.and_then(|text| name(text, errors))
}

/// A phrase without a key after a mapping, probably the last line of that mapping without its indentation.
fn outdented<'n>(before: &'n [(Text, Node)], node: &Node, known: &[&str]) -> Option<&'n str> {
    let last = before.iter().rev();
    let (above, lines) = last
        .into_iter()
        .find(|(key, _)| known.contains(&key.value.as_str()))?;
    let is_mapping = matches!(lines, Node::Map(..));
    (is_mapping && matches!(node, Node::Scalar(_))).then_some(above.value.as_str())
}

/// Lines at the margin below a key without a value, which are probably meant to be inside it.
fn not_indented(entries: &[(Text, Node)], known: &[&str]) -> Option<Diagnostic> {
    let is_known = |key: &Text| known.contains(&key.value.as_str());
    let nothing = |node: &Node| matches!(node, Node::Scalar(text) if text.value.is_empty());
    let pair = entries
        .windows(2)
        .find(|pair| is_known(&pair[0].0) && nothing(&pair[0].1) && !is_known(&pair[1].0))?;
    let (above, below) = (&pair[0].0, &pair[1].0);
    Some(
        Diagnostic::at(
            below.span,
            format!(
                "`{}` stands at the margin, and nothing is below `{}:`",
                below.value, above.value
            ),
        )
        .also(above.span, "the key above")
        .help(format!(
            "indent `{}` by two spaces if it belongs to `{}:`",
            below.value, above.value
        )),
    )
}
