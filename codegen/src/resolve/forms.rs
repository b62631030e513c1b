//! Whether a text has the form that its type demands, as far as it can be told without a database.
//!
//! The checks of columns (`emit/sql/formats.sql`) are the rule, and a test compares this module with them over many
//! texts. A text that is refused here is refused by them too. They may be stricter only about characters outside of
//! ASCII that have several spellings. Lists of codes and classes of characters are read from that file, so that they
//! exist once; names of time zones, which only PostgreSQL knows there, stand in `timezones.txt`.

mod classes;

use crate::model::Ty;
use classes::{hides, is_seen};

const FORMATS: &str = include_str!("../emit/sql/formats.sql");
const TIMEZONES: &str = include_str!("timezones.txt");

/// The longest text that is a single line; `kernel::input` and `sec.is_text` have the same number.
const LINE_MAX: u32 = 300;

/// What the text should be, if it is not. `None` if it may be stored, or the type has no form.
pub fn expected(ty: &Ty, text: &str) -> Option<String> {
    let (fits, expected) = match ty {
        Ty::Text { min, max } | Ty::Code { min, max } | Ty::Handle { min, max }
            if !has_length(text, *min, *max) =>
        {
            return Some(format!("a text of {min} to {max} characters"));
        }
        Ty::Text { min, max } if *max > LINE_MAX => (
            is_plain(text) && (*min == 0 || is_seen(text)),
            "a text that can be seen",
        ),
        Ty::Text { .. } => (
            is_line(text),
            "a text that can be seen, with single blanks, and none around it",
        ),
        Ty::Email => (is_email(text), "an email address in lower case"),
        Ty::Url => (is_url(text), "an address like `https://example.org/`"),
        Ty::Phone => (is_phone(text), "a number like `+61400000000`"),
        Ty::Social { .. } => (
            text.starts_with("https://") && is_url(text),
            "the https address of a page",
        ),
        Ty::Slug { .. } => (is_slug(text), "a slug like `summer-fair`"),
        Ty::LocalTime => (is_local_time(text), "a time from 00:00 to 23:59"),
        Ty::Code { .. } => (
            is_code(text),
            "a word of capital letters without blanks, like `SUMMER25`",
        ),
        Ty::Handle { .. } => (
            is_handle(text),
            "a word of small letters, digits and `_`, like `ada_lovelace`",
        ),
        Ty::Locale => (is_locale(text), "a language like `en-AU`"),
        Ty::Timezone => (
            TIMEZONES.lines().any(|name| name == text),
            "a time zone like `Australia/Sydney`",
        ),
        Ty::Currency => (
            is_listed("is_currency", text, 3),
            "the code of a currency, like `AUD`",
        ),
        Ty::Country => (
            is_listed("is_country", text, 2),
            "the code of a country, like `AU`",
        ),
        _ => return None,
    };
    (!fits).then(|| expected.to_owned())
}

fn has_length(text: &str, min: u32, max: u32) -> bool {
    (min as usize..=max as usize).contains(&text.chars().count())
}

fn is_plain(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r'))
}

/// An empty text is a line: whether it may be empty is a matter of its length.
fn is_line(text: &str) -> bool {
    const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
    const BELONGING: [char; 8] = [
        '\u{180b}',
        '\u{180c}',
        '\u{180d}',
        '\u{180e}',
        '\u{180f}',
        '\u{fe0e}',
        '\u{fe0f}',
        '\u{e007f}',
    ];
    let doubled = || {
        let mut pairs = text.chars().zip(text.chars().skip(1));
        pairs.any(|(a, b)| JOINERS.contains(&a) && JOINERS.contains(&b))
    };
    let needless = || {
        let letters: Vec<char> = text.chars().collect();
        let mut threes = letters.windows(3);
        threes
            .any(|part| JOINERS.contains(&part[1]) && is_unjoined(part[0]) && is_unjoined(part[2]))
    };
    text.is_empty()
        || (is_seen(text)
            && !text.starts_with(is_blank)
            && !text.ends_with(is_blank)
            && !text.contains("  ")
            && !text.contains(|c| is_blank(c) && !matches!(c, ' ' | '\u{3000}'))
            && !text.starts_with(JOINERS)
            && !text.ends_with('\u{200c}')
            // The other joiner may end a word of an Indic script; the database knows after which letters.
            && !doubled()
            && !needless()
            // Emoji, flags and Mongolian words contain characters that are hidden elsewhere; the database looks at
            // their place.
            && (!hides(text) || text.contains(BELONGING)))
}

/// Characters that are not written with joiners between each other.
fn is_unjoined(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{52f}' | '\u{1e00}'..='\u{200a}' | '\u{3000}')
}

/// Blanks that do not end a line. Within it, only the ordinary one and that of Chinese and Japanese width stand.
fn is_blank(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let is_lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| is_lower(b) || b == b'-')
    };
    let is_part = |b: u8| is_lower(b) || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    text.len() <= 254
        && (1..=64).contains(&name.len())
        && name.bytes().all(is_part)
        && host.contains('.')
        && host.split('.').all(label)
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            if !(1..=5).contains(&port.len()) {
                return false;
            }
            host
        }
        _ => host,
    };
    let in_path = |b: u8| b.is_ascii_graphic() && !b"\"<>[]\\^`{|}".contains(&b);
    let mut escapes = path.split('%').skip(1);
    text.len() <= 2_000
        && (is_name_of_host(host) || is_ip(host))
        && path.bytes().all(in_path)
        && path.matches('#').count() <= 1
        && escapes.all(|rest| {
            let digits = rest.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
        && !text.contains("%00")
}

fn is_name_of_host(host: &str) -> bool {
    let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(in_label)
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && host.split('.').all(label)
        && last.starts_with(|c: char| c.is_ascii_lowercase())
}

/// Four numbers, or what stands in brackets as IPv6. Which numbers they may be, only the engine knows.
fn is_ip(host: &str) -> bool {
    let number =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let in_brackets = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b':' | b'.');
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => !address.is_empty() && address.bytes().all(in_brackets),
        None => host.split('.').count() == 4 && host.split('.').all(number),
    }
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

fn is_local_time(text: &str) -> bool {
    let below = |part: &str, end: u8| {
        part.len() == 2
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u8>().is_ok_and(|n| n < end)
    };
    (text.split_once(':')).is_some_and(|(hours, minutes)| below(hours, 24) && below(minutes, 60))
}

fn is_code(text: &str) -> bool {
    is_seen(text)
        && text.to_uppercase() == text
        && !text.contains(char::is_whitespace)
        && !hides(text)
        && !text.contains(['\u{200c}', '\u{200d}'])
}

fn is_handle(text: &str) -> bool {
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(part)
}

/// Language, script, region, variants.
fn is_locale(text: &str) -> bool {
    let of = |part: &str, lengths: std::ops::RangeInclusive<usize>, is: fn(&u8) -> bool| {
        lengths.contains(&part.len()) && part.as_bytes().iter().all(is)
    };
    let is_script = |part: &&str| {
        let (first, rest) = part.split_at_checked(1).unwrap_or_default();
        of(first, 1..=1, u8::is_ascii_uppercase) && of(rest, 3..=3, u8::is_ascii_lowercase)
    };
    let is_region = |part: &&str| {
        of(part, 2..=2, u8::is_ascii_uppercase) || of(part, 3..=3, u8::is_ascii_digit)
    };
    let small = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_variant = |part: &str| {
        of(part, 5..=8, small) || (of(part, 4..=4, small) && part.as_bytes()[0].is_ascii_digit())
    };
    let mut parts = text.split('-').peekable();
    let language = parts.next().unwrap_or_default();
    parts.next_if(is_script);
    parts.next_if(is_region);
    text.len() <= 35 && of(language, 2..=3, u8::is_ascii_lowercase) && parts.all(is_variant)
}

/// Whether the list in the body of the function of this name has the word.
fn is_listed(function: &str, word: &str, length: usize) -> bool {
    let list = body(function).split("strpos('").nth(1).unwrap_or_default();
    let list = list.split('\'').next().unwrap_or_default();
    word.len() == length && list.split_whitespace().any(|known| known == word)
}

/// The text of a function in the file of formats, from its arguments on.
fn body(function: &str) -> &'static str {
    let start = format!("create function sec.{function}(");
    let rest = FORMATS.split(&start).nth(1).unwrap_or_default();
    rest.split("\n$$;").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_be_stored_is_told() {
        let text = |min, max| Ty::Text { min, max };
        let handle = Ty::Handle { min: 3, max: 30 };
        let cases = [
            (Ty::Email, "a.b@example.org", "notmail"),
            (Ty::Url, "https://example.org/a", "example"),
            (Ty::Phone, "+61400000000", "123"),
            (Ty::Slug { from: None }, "summer-25", "A b"),
            (Ty::Locale, "en-AU", "English"),
            (Ty::Locale, "zh-Hant-TW", "en-au"),
            (Ty::Timezone, "Australia/Sydney", "Australia/Sidney"),
            (Ty::Timezone, "UTC", "Mars"),
            (Ty::Currency, "AUD", "XXQ"),
            (Ty::Country, "AU", "QQ"),
            (Ty::LocalTime, "23:59", "24:00"),
            (Ty::Code { min: 0, max: 9 }, "VIP-25", "vip-25"),
            (Ty::Code { min: 3, max: 9 }, "VIP", "VI"),
            (handle.clone(), "ada_2", "Ada"),
            (handle, "ada", "2nd"),
            (text(0, 9), "a b", " a"),
            (text(0, 9), "", "  "),
            (text(0, 9), "a", "\u{200b}"),
            (text(0, 9), "a", "a\nb"),
            (text(2, 9), "ab", "a"),
            (text(1, 400), "a\nb ", " \n"),
        ];
        for (ty, good, bad) in cases {
            assert_eq!(expected(&ty, good), None, "{good}");
            assert!(expected(&ty, bad).is_some(), "{bad}");
        }
    }
}
