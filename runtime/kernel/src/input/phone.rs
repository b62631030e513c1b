//! Telephone numbers as people write them → E.164.

use super::line::{is_hidden, pasted};

/// Blanks, brackets, dots, slashes and hyphens between digits are ignored; `00` means `+`; `(0)` after the country
/// code is dropped. A national number without a country code is refused, because a body does not say which country is
/// meant.
pub fn e164(text: &str) -> Option<String> {
    let text = pasted(text);
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let international = match text.strip_prefix(['+', '＋']) {
        Some(rest) => rest,
        None => text.strip_prefix("00")?,
    };
    let mut digits = String::with_capacity(16);
    for c in international.replace("(0)", " ").chars() {
        match c {
            '0'..='9' => digits.push(c),
            '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            c if c.is_whitespace() || is_hidden(c) => {}
            _ => return None,
        }
    }
    let fits = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

#[cfg(test)]
mod tests {
    use super::e164;

    #[test]
    fn numbers_as_people_write_them() {
        for text in [
            "+41446681800",
            " +41 44 668 18 00 ",
            "0041 44 668 18 00",
            "+41 (0)44 668-18-00",
            "+41.44.668.18.00",
            "\u{202a}+41 44\u{200e} 668 18 00\u{202c}",
            "tel:+41\u{a0}44\u{202f}668/1800",
        ] {
            assert_eq!(e164(text).as_deref(), Some("+41446681800"), "{text:?}");
        }
        for text in [
            "044 668 18 00",
            "+41",
            "+0446681800",
            "+41 44 CALL",
            "+4144668180012345",
            "",
        ] {
            assert_eq!(e164(text), None, "{text:?}");
        }
    }
}
