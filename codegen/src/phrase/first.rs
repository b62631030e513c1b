//! `media by position where type == image, doc "The main picture."`

use super::reader::{Parsed, Reader};
use super::{FirstPhrase, rule};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

const FIRST_WORDS: [&str; 1] = ["doc"];

pub fn first(text: &Text) -> Parsed<FirstPhrase> {
    let mut r = Reader::new(text);
    let help = "write `media by position`: a name from `has` and the child's field that orders it, perhaps `where <expression>`";
    let has = r.expect_name("a name from `has`", help)?;
    r.expect_word("by", help)?;
    let by = r.expect_name("a field of the child", help)?;
    let mut phrase = FirstPhrase {
        has,
        by,
        filter: None,
        doc: None,
    };
    if r.take_word("where").is_some() {
        phrase.filter = Some(rule::any(&mut r)?);
    }
    while r.take_sign(",").is_some() {
        let Some(start) = r.take_word("doc") else {
            return Err(r.unknown("modifier", &FIRST_WORDS));
        };
        if phrase.doc.replace(r.expect_sentence()?).is_some() {
            return Err(Diagnostic::at(start, "`doc` is here twice").help("keep one of the two"));
        }
    }
    r.expect_end("the sentence stands after a comma: `media by position, doc \"What it is.\"`")?;
    Ok(phrase)
}
