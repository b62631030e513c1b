//! `draft | published -> cancelled, set ended_by = me, by host, when starts_at > now(), reason`

use super::reader::{Parsed, Reader};
use super::{ChangePhrase, SetPhrase, TransitionPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

pub const TRANSITION_WORDS: [&str; 4] = ["set", "by", "when", "reason"];

pub fn transition(text: &Text) -> Parsed<TransitionPhrase> {
    let mut r = Reader::new(text);
    let help = "write `draft -> published, by <rule>` or `set featured = true, by <rule>`";
    let change =
        if r.is_word("set") && matches!(r.peek_second(), Some(super::lexer::Token::Word(_))) {
            ChangePhrase::Set(set(&mut r, help)?)
        } else {
            let mut from = vec![r.expect_name("a state", help)?];
            while r.take_sign("|").is_some() {
                from.push(r.expect_name("a state", help)?);
            }
            if r.is_sign(",") || r.is_word("or") {
                let told = Diagnostic::at(r.span(), "states are separated by `|`");
                return Err(told.help(format!("write `{} | … -> …`", from[0].it)));
            }
            r.expect_sign("->", help)?;
            ChangePhrase::State {
                from,
                to: r.expect_name("a state", help)?,
            }
        };
    let mut phrase = TransitionPhrase {
        change,
        sets: Vec::new(),
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
        if r.is_word("set") {
            phrase.sets.push(set(&mut r, help)?);
        } else if r.take_word("by").is_some() {
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

/// `set claimed_by = me`
fn set(r: &mut Reader, help: &str) -> Parsed<SetPhrase> {
    r.skip();
    let target = r.expect_name("a field or relation", help)?;
    r.expect_sign("=", help)?;
    Ok(SetPhrase {
        target,
        value: r.take_literal()?,
    })
}
