//! `seats >= ticket_count, doc "There are no seats left."`

use super::reader::{Parsed, Reader};
use super::{CheckPhrase, rule};
use crate::spec::yaml::Text;

pub const CHECK_MODIFIERS: [&str; 1] = ["doc"];

pub fn check(text: &Text) -> Parsed<CheckPhrase> {
    let mut r = Reader::new(text);
    let mut phrase = CheckPhrase {
        rule: rule::any(&mut r)?,
        doc: None,
    };
    phrase.doc = r.take_doc(&CHECK_MODIFIERS)?;
    r.expect_end(rule::JOIN)?;
    Ok(phrase)
}
