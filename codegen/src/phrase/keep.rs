//! `one per scope where role == orgAdmin, doc "A profile needs an administrator."`, `one everywhere where …`

use super::reader::{Parsed, Reader};
use super::{KeepPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

const KEEP_WORDS: [&str; 1] = ["doc"];

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
    while r.take_sign(",").is_some() {
        let Some(start) = r.take_word("doc") else {
            return Err(r.unknown("modifier", &KEEP_WORDS));
        };
        if phrase.doc.replace(r.expect_sentence()?).is_some() {
            return Err(Diagnostic::at(start, "`doc` is here twice").help("keep one of the two"));
        }
    }
    r.expect_end("the sentence stands after a comma: `one per scope, doc \"Why.\"`")?;
    Ok(phrase)
}
