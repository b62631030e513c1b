//! `one per scope where role == orgAdmin, doc "A profile needs an administrator."`, `one everywhere where …`

use super::check::CHECK_MODIFIERS;
use super::reader::{Parsed, Reader};
use super::{KeepPhrase, rule};
use crate::spec::yaml::Text;

pub fn keep(text: &Text) -> Parsed<KeepPhrase> {
    let mut r = Reader::new(text);
    let help = "write `one per <relation>` or `one everywhere`, perhaps `where <expression>`";
    r.expect_word("one", help)?;
    let per = if r.take_word("everywhere").is_some() {
        None
    } else {
        r.expect_word("per", help)?;
        Some(r.expect_name("a relation of this entity", help)?)
    };
    let mut phrase = KeepPhrase {
        per,
        filter: None,
        doc: None,
    };
    if r.take_word("where").is_some() {
        phrase.filter = Some(rule::any(&mut r)?);
    }
    phrase.doc = r.take_doc(&CHECK_MODIFIERS)?;
    r.expect_end("the sentence stands after a comma: `one per scope, doc \"Why.\"`")?;
    Ok(phrase)
}
