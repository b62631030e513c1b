//! All words of the spec language. A test checks that `spec/README.md` explains them.

use crate::{phrase, spec};

/// Pairs of a kind of word and the words of that kind.
pub fn words() -> [(&'static str, &'static [&'static str]); 16] {
    [
        ("key of an entity", &spec::ENTITY_KEYS),
        ("key of a mixin", &spec::MIXIN_KEYS),
        ("key of app.yaml", &spec::APP_KEYS),
        ("key of a module", &spec::MODULE_KEYS),
        ("key of what a module writes", &spec::WRITE_KEYS),
        ("action", &spec::ACTIONS),
        ("type", &phrase::TYPES),
        ("modifier of a field", &phrase::FIELD_MODIFIERS),
        ("modifier of a value", &phrase::VALUE_WORDS),
        ("modifier of a relation", &phrase::RELATION_MODIFIERS),
        ("modifier of a `has`", &phrase::HAS_MODIFIERS),
        ("function of a derived value", &phrase::AGGREGATES),
        ("modifier of a derived value", &phrase::DERIVED_MODIFIERS),
        ("modifier of a check", &phrase::CHECK_MODIFIERS),
        ("part of a transition", &phrase::TRANSITION_WORDS),
        ("word of a rule", &phrase::ATOMS),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Sources;

    const PAGE: &str = include_str!("../../spec/README.md");

    /// The text of the page that is in backticks or code blocks, one piece per line.
    fn code() -> String {
        let mut code = String::new();
        for (n, part) in PAGE.split("```").enumerate() {
            let inside = if n % 2 == 1 {
                vec![part]
            } else {
                part.split('`').skip(1).step_by(2).collect()
            };
            for piece in inside {
                code.push_str(piece);
                code.push('\n');
            }
        }
        code
    }

    fn has_word(code: &str, word: &str) -> bool {
        let part_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        code.match_indices(word).any(|(at, _)| {
            !code[..at].ends_with(part_of_word)
                && !code[at + word.len()..].starts_with(part_of_word)
        })
    }

    #[test]
    fn every_word_of_the_language_is_on_the_page() {
        let code = code();
        for (kind, words) in words() {
            for word in words {
                assert!(
                    has_word(&code, word),
                    "spec/README.md does not show the {kind} `{word}`"
                );
            }
        }
    }

    #[test]
    fn the_example_on_the_page_is_read_without_a_mistake() {
        let example = PAGE
            .split("```yaml\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        let app = "app: a\ntitle: A\ndoc: A.\nidentity: user\nassignments: user\n";
        let mut sources = Sources::default();
        sources.add("spec/app.yaml", app);
        sources.add(
            "spec/entities/event.yaml",
            example.expect("the page starts with an example"),
        );
        if let Err(wrong) = crate::spec::parse(&sources) {
            panic!("{wrong}");
        }
    }
}
