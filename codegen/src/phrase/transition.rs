//! `draft | published -> cancelled, by host, when starts_at > now(), reason`

use super::reader::{Parsed, Reader};
use super::{ChangePhrase, TransitionPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

pub const TRANSITION_WORDS: [&str; 3] = ["by", "when", "reason"];

pub fn transition(text: &Text) -> Parsed<TransitionPhrase> {
    let mut r = Reader::new(text);
    let help = "write `draft -> published, by <rule>` or `set featured = true, by <rule>`";
    let change =
        if r.is_word("set") && matches!(r.peek_second(), Some(super::lexer::Token::Word(_))) {
            r.skip();
            let field = r.expect_name("a field", help)?;
            r.expect_sign("=", help)?;
            ChangePhrase::Set {
                field,
                value: r.take_literal()?,
            }
        } else {
            let mut from = vec![r.expect_name("a state", help)?];
            while r.take_sign("|").is_some() {
                from.push(r.expect_name("a state", help)?);
            }
            r.expect_sign("->", help)?;
            ChangePhrase::State {
                from,
                to: r.expect_name("a state", help)?,
            }
        };
    let mut phrase = TransitionPhrase {
        change,
        by: None,
        when: None,
        reason: false,
    };
    while r.take_sign(",").is_some() {
        let start = r.span();
        let twice = |name: &str| {
            Diagnostic::at(start, format!("`{name}` is here twice"))
                .help("join the two with `and` or `or`")
        };
        if r.take_word("by").is_some() {
            if phrase.by.replace(rule::any(&mut r)?).is_some() {
                return Err(twice("by"));
            }
        } else if r.take_word("when").is_some() {
            if phrase.when.replace(rule::any(&mut r)?).is_some() {
                return Err(twice("when"));
            }
        } else if r.take_word("reason").is_some() {
            phrase.reason = true;
        } else {
            return Err(r.unknown("part of a transition", &TRANSITION_WORDS));
        }
    }
    r.expect_end(
        "parts stand after commas: `draft -> published, by host, when starts_at > now(), reason`",
    )?;
    if phrase.by.is_none() {
        return Err(
            Diagnostic::at(r.whole(), "this transition does not say who may do it")
                .help("add `, by <rule>`; `by nobody` if only a module does it"),
        );
    }
    Ok(phrase)
}
