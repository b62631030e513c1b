//! `media by position where type == image, doc "The main picture."`

use super::check::CHECK_MODIFIERS;
use super::reader::{Parsed, Reader};
use super::{FirstPhrase, rule};
use crate::spec::yaml::Text;

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
    phrase.doc = r.take_doc(&CHECK_MODIFIERS)?;
    r.expect_end("the sentence stands after a comma: `media by position, doc \"What it is.\"`")?;
    Ok(phrase)
}
