//! Splits a phrase into words and signs, each with its byte range.

use std::ops::Range;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// Letters, digits and `_`, starting with a letter or `_`.
    Word(String),
    /// A number as written. Whether it fits a type is checked where it is used.
    Number(String),
    /// `"…"` without the quotes
    Quoted(String),
    Sign(&'static str),
    /// A character that no phrase may contain.
    Unknown(char),
}

/// All signs. A sign that begins with another one comes first.
const SIGNS: [&str; 20] = [
    "->", "==", "!=", "<=", ">=", "..", "(", ")", ",", "?", "*", "|", "=", "<", ">", ".", "+", "-",
    "[", "]",
];

pub fn tokens(phrase: &str) -> Vec<(Token, Range<usize>)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = phrase[at..].chars().next() {
        let rest = &phrase[at..];
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (token, len) = if c.is_ascii_alphabetic() || c == '_' {
            let len = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (Token::Word(rest[..len].to_owned()), len)
        } else if c.is_ascii_digit() {
            let len = number_len(rest);
            (Token::Number(rest[..len].to_owned()), len)
        } else if c == '"'
            && let Some(end) = rest[1..].find('"')
        {
            (Token::Quoted(rest[1..=end].to_owned()), end + 2)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            (Token::Unknown(c), c.len_utf8())
        };
        tokens.push((token, at..at + len));
        at += len;
    }
    tokens
}

/// The length of a number: digits, then `.` and digits unless that is the `..` of a range. Letters that follow
/// directly are included, so that `3d` is one wrong number and not two tokens.
fn number_len(rest: &str) -> usize {
    let digits = |s: &str| {
        s.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(s.len())
    };
    let whole = digits(rest);
    match rest[whole..].strip_prefix('.') {
        Some(places) if places.starts_with(|c: char| c.is_ascii_digit()) => {
            whole + 1 + digits(places)
        }
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_not_decimals() {
        let words: Vec<_> = tokens("int(1..140) 2.5 a.b \"x y\" ->é")
            .into_iter()
            .map(|(t, _)| t)
            .collect();
        let word = |w: &str| Token::Word(w.into());
        let number = |n: &str| Token::Number(n.into());
        assert_eq!(
            words,
            [
                word("int"),
                Token::Sign("("),
                number("1"),
                Token::Sign(".."),
                number("140"),
                Token::Sign(")"),
                number("2.5"),
                word("a"),
                Token::Sign("."),
                word("b"),
                Token::Quoted("x y".into()),
                Token::Sign("->"),
                Token::Unknown('é'),
            ]
        );
    }
}
