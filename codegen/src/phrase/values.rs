//! `(draft was proposal, published)`: the values of an enum or of states, with their former names.

use super::lexer::Token;
use super::reader::{Parsed, Reader};
use super::{ValuePhrase, Word};
use crate::diag::Diagnostic;
use crate::names;

pub const VALUE_WORDS: [&str; 1] = ["was"];

pub fn values(r: &mut Reader, example: &str) -> Parsed<Vec<ValuePhrase>> {
    let help = format!("list the values like `{example}`");
    r.expect_sign("(", &help)?;
    let mut values: Vec<ValuePhrase> = Vec::new();
    loop {
        let value = match r.peek() {
            Some(Token::Quoted(_) | Token::Unknown('\'')) => {
                let told = Diagnostic::at(r.span(), "a value in quotes");
                return Err(told.help(format!("write the values without quotes: `{example}`")));
            }
            Some(Token::Number(number)) => {
                let told = Diagnostic::at(r.span(), format!("`{number}` can't be a value"));
                return Err(told.help("start with a letter, as in `from_18`"));
            }
            _ => r.expect_name("a value", &help)?,
        };
        if let Some(first) = words(&values).find(|v| v.it == value.it) {
            return Err(Diagnostic::at(
                value.span,
                format!("the value `{}` is here twice", value.it),
            )
            .also(first.span, "first written here")
            .help("keep one of the two"));
        }
        let alike = |v: &&Word| names::pascal(&v.it) == names::pascal(&value.it);
        if let Some(first) = words(&values).find(alike) {
            return Err(Diagnostic::at(
                value.span,
                format!(
                    "`{}` and `{}` are both `{}` in Rust",
                    first.it,
                    value.it,
                    names::pascal(&value.it)
                ),
            )
            .also(first.span, "the other")
            .help("rename one of the two"));
        }
        if !names::is_word(&value.it) {
            return Err(
                Diagnostic::at(value.span, format!("`{}` can't be a value", value.it))
                    .help("start with a letter; letters, digits and `_` follow, 63 at most"),
            );
        }
        let was = match r.take_word("was") {
            Some(_) => Some(r.expect_name("the former value", "write `b was old_b`")?),
            None => None,
        };
        values.push(ValuePhrase { word: value, was });
        if r.is_sign("-") {
            let told = Diagnostic::at(r.span(), "`-` in a value");
            return Err(told.help("letters, digits and `_` make a value, as in `pay_later`"));
        }
        if r.is_sign("|") {
            let told = Diagnostic::at(r.span(), "`|` does not separate values");
            return Err(told.help(format!("write commas between them: `{example}`")));
        }
        if r.take_sign(",").is_none() {
            break;
        }
    }
    if !r.is_sign(")") && matches!(r.peek(), Some(Token::Word(_))) {
        return Err(r.unknown("value modifier", &VALUE_WORDS));
    }
    r.expect_sign(")", &help)?;
    former_values(&values)?;
    Ok(values)
}

fn words(values: &[ValuePhrase]) -> impl Iterator<Item = &Word> {
    values.iter().map(|value| &value.word)
}

/// Refuses a former name that is still a value, or that two values claim.
fn former_values(values: &[ValuePhrase]) -> Parsed<()> {
    let mut seen: Vec<&Word> = Vec::new();
    for was in values.iter().filter_map(|value| value.was.as_ref()) {
        if let Some(there) = words(values).find(|word| word.it == was.it) {
            let message = format!("`{}` is one of the values still", was.it);
            return Err(Diagnostic::at(was.span, message)
                .also(there.span, "written here")
                .help("take the former value out of the list, or the `was` away"));
        }
        if let Some(first) = seen.iter().find(|word| word.it == was.it) {
            let message = format!("`{}` can't have become two values", was.it);
            return Err(Diagnostic::at(was.span, message)
                .also(first.span, "the other")
                .help("keep one of the two"));
        }
        seen.push(was);
    }
    Ok(())
}
