//! `by buyer, when state == pending`: who is offered an operation that is written by hand.

use super::reader::{Parsed, Reader};
use super::{OfferPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

const OFFER_WORDS: [&str; 1] = ["when"];

pub fn offer(text: &Text) -> Parsed<OfferPhrase> {
    let mut r = Reader::new(text);
    let help = "write `by <rule>`, perhaps with `, when <expression>`";
    r.expect_word("by", help)?;
    let mut phrase = OfferPhrase {
        by: rule::any(&mut r)?,
        when: None,
    };
    while r.take_sign(",").is_some() {
        let Some(start) = r.take_word("when") else {
            return Err(r.unknown("part of an offer", &OFFER_WORDS));
        };
        if phrase.when.replace(rule::any(&mut r)?).is_some() {
            let told = Diagnostic::at(start, "`when` is here twice");
            return Err(told.help("join the two with `and` or `or`"));
        }
    }
    r.expect_end(help)?;
    Ok(phrase)
}
