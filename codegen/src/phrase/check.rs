//! `seats >= ticket_count, doc "There are no seats left."`

use super::reader::{Parsed, Reader};
use super::{CheckPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

pub const CHECK_MODIFIERS: [&str; 1] = ["doc"];

pub fn check(text: &Text) -> Parsed<CheckPhrase> {
    let mut r = Reader::new(text);
    let mut phrase = CheckPhrase {
        rule: rule::any(&mut r)?,
        doc: None,
    };
    while r.take_sign(",").is_some() {
        let Some(start) = r.take_word("doc") else {
            return Err(r.unknown("modifier", &CHECK_MODIFIERS));
        };
        if phrase.doc.replace(r.expect_sentence()?).is_some() {
            return Err(Diagnostic::at(start, "`doc` is here twice").help("keep one of the two"));
        }
    }
    r.expect_end(rule::JOIN)?;
    Ok(phrase)
}
