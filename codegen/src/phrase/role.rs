//! `everywhere` and `of organization | community`

use super::Word;
use super::reader::{Parsed, Reader};
use crate::diag::Diagnostic;
use crate::spec::yaml::Text;

/// The entities whose rows a role is held of; empty for `everywhere`.
pub fn role(text: &Text) -> Parsed<Vec<Word>> {
    let mut r = Reader::new(text);
    let help = "write `everywhere` or `of organization | community`";
    if r.take_word("everywhere").is_some() {
        r.expect_end(help)?;
        return Ok(Vec::new());
    }
    r.expect_word("of", help)?;
    let mut scopes: Vec<Word> = vec![r.expect_name("an entity", help)?];
    while r.take_sign("|").is_some() {
        let scope = r.expect_name("an entity", help)?;
        if let Some(first) = scopes.iter().find(|s| s.it == scope.it) {
            return Err(
                Diagnostic::at(scope.span, format!("`{}` is here twice", scope.it))
                    .also(first.span, "first written here")
                    .help("keep one of the two"),
            );
        }
        scopes.push(scope);
    }
    r.expect_end(help)?;
    Ok(scopes)
}
