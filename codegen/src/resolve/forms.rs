//! Whether a text has the form that its type demands, as far as it can be told without a database.
//!
//! The checks of columns (`emit/sql/formats.sql`) are the rule. A text that is refused here is refused by them too; they
//! may be stricter. Lists of currencies and countries are read from that file.

use crate::model::Ty;

const FORMATS: &str = include_str!("../emit/sql/formats.sql");

/// What the text should be, if it is not. `None` if it may be stored, or the type has no form.
pub fn expected(ty: &Ty, text: &str) -> Option<&'static str> {
    let (fits, expected) = match ty {
        Ty::Text { .. } => (
            is_trimmed(text),
            "a text that can be seen, without blanks around it",
        ),
        Ty::Email => (is_email(text), "an email address"),
        Ty::Url => (is_url(text), "an address like `https://example.org/`"),
        Ty::Phone => (is_phone(text), "a number like `+61400000000`"),
        Ty::Slug { .. } => (is_slug(text), "a slug like `summer-fair`"),
        Ty::Locale => (is_locale(text), "a language like `en-AU`"),
        Ty::Timezone => (is_timezone(text), "a time zone like `Australia/Sydney`"),
        Ty::Currency => (
            is_listed("is_currency", text),
            "the code of a currency, like `AUD`",
        ),
        Ty::Country => (
            is_listed("is_country", text),
            "the code of a country, like `AU`",
        ),
        _ => return None,
    };
    (!fits).then_some(expected)
}

/// An empty text passes here: whether it may be empty is a matter of its length.
fn is_trimmed(text: &str) -> bool {
    let unseen = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
    };
    text.is_empty() || (text.trim() == text && !text.chars().all(unseen))
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_graphic())
        && host.contains('.')
        && host.split('.').all(label)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let blank = |c: char| c.is_whitespace() || c.is_control();
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(blank))
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

fn is_slug(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.len() <= 100 && text.split('-').all(part)
}

fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// The name's form only: which zones there are, the database knows.
fn is_timezone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text == "UTC" || (text.contains('/') && text.split('/').all(part))
}

/// Whether the list in the body of the function of this name has the word.
fn is_listed(function: &str, word: &str) -> bool {
    let start = format!("create function sec.{function}(");
    let body = FORMATS.split(&start).nth(1).unwrap_or_default();
    let list = body.split("strpos('").nth(1).unwrap_or_default();
    let list = list.split('\'').next().unwrap_or_default();
    word.len() > 1 && list.split_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_stored_is_told() {
        let cases = [
            (Ty::Email, "a.b@example.org", "notmail"),
            (Ty::Url, "https://example.org/a", "example"),
            (Ty::Phone, "+61400000000", "123"),
            (Ty::Slug { from: None }, "summer-25", "A b"),
            (Ty::Locale, "en-AU", "English"),
            (Ty::Timezone, "Australia/Sydney", "sydney"),
            (Ty::Timezone, "UTC", "Mars"),
            (Ty::Currency, "AUD", "XXQ"),
            (Ty::Country, "AU", "QQ"),
            (Ty::Text { min: 0, max: 9 }, "a b", " a"),
            (Ty::Text { min: 0, max: 9 }, "", "  "),
            (Ty::Text { min: 0, max: 9 }, "a", "\u{200b}"),
        ];
        for (ty, good, bad) in cases {
            assert_eq!(expected(&ty, good), None, "{good}");
            assert!(expected(&ty, bad).is_some(), "{bad}");
        }
    }
}
