//! Whether a query string is UTF-8. Its parser replaces what is not, and does not tell. And what is around its values.

use std::borrow::Cow;

pub const NOT_UTF8: &str = "Send UTF-8, percent-encoded: `Z%C3%BCrich`.";

/// Whether a decoded text contains what undecodable bytes are replaced with.
pub fn is_replaced(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

/// Whether a query string is UTF-8 after percent-decoding.
pub fn is_utf8(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let escape = escape.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                decoded.push(escaped);
                at += 3;
            }
            None => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}

/// Without the blanks that are copied along with a value. (A `+` in front of it arrives as one.)
pub fn trimmed(value: Cow<str>) -> Cow<str> {
    match value.trim() {
        text if text.len() < value.len() => Cow::Owned(text.to_owned()),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::trimmed;

    #[test]
    fn blanks_around_a_value_do_not_belong_to_it() {
        for (text, value) in [(" a b\t", "a b"), ("a", "a"), ("\u{a0}a", "a"), (" ", "")] {
            assert_eq!(trimmed(text.into()), value, "{text:?}");
        }
    }
}
