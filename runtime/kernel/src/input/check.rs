//! Checks of a field's value beyond its type. The same bounds are CHECK constraints in the database; here they are
//! checked before the database is asked, all at once, and with messages for people.

use super::{
    format::Format,
    line::{self, LINE_MAX, is_seen},
};

/// One check, as the derive generates it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Check {
    /// Number of characters of a text that people read: see [`line`](super::line).
    Length(u32, u32),
    /// Number of characters of a single line, which may exceed [`LINE_MAX`].
    Line(u32, u32),
    /// Number of characters of a text that nobody reads, such as a password.
    Opaque(u32, u32),
    /// A range; both bounds are optional.
    Range(Option<i64>, Option<i64>),
    Format(Format),
    /// Characters of each text and number of texts of a list.
    List(u32, u32),
    /// Decimal places of a number.
    Places(u32),
}

/// What is wrong: code and sentence.
pub type Fault = (&'static str, String);

/// Checks of a text. A text without any may still not contain control characters.
pub fn text(value: &str, checks: &[Check]) -> Option<Fault> {
    if value
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Some(("format", "must not hold control characters".into()));
    }
    checks.iter().find_map(|check| match check {
        Check::Length(min, max) => {
            length(value.chars().count(), *min, *max).or_else(|| shown(value, *min, *max))
        }
        Check::Line(min, max) => {
            length(value.chars().count(), *min, *max).or_else(|| one_line(value))
        }
        Check::Opaque(min, max) => length(value.chars().count(), *min, *max),
        Check::Format(format) => format
            .most()
            .and_then(|most| length(value.chars().count(), 0, most))
            .or_else(|| (!format.accepts(value)).then(|| ("format", format.wants().into()))),
        _ => None,
    })
}

/// Whether a text that is to be read or has a format shows nothing. Secrets and tokens are what they are.
pub fn is_blank(text: &str, checks: &[Check]) -> bool {
    checks.iter().any(|check| match check {
        Check::Length(_, max) if *max > LINE_MAX => !is_seen(text),
        Check::Length(..) | Check::Line(..) => line::normal_line(text).is_empty(),
        Check::Format(_) => line::pasted(text).is_empty(),
        _ => false,
    })
}

/// The form in which a text is stored, where its format has one or it is one line.
pub fn normal(text: String, checks: &[Check]) -> String {
    checks.iter().fold(text, |text, check| match check {
        Check::Format(format) => format.normal(&text),
        Check::Length(_, max) if *max <= LINE_MAX => line::normal_line(&text).into_owned(),
        Check::Line(..) => line::normal_line(&text).into_owned(),
        _ => text,
    })
}

/// Times in bodies must be within these years, which the database checks too: others are typing errors, and some
/// clients can't parse them.
pub fn year(year: i32) -> Option<Fault> {
    let (first, last) = (1900, 2200);
    (!(first..=last).contains(&year))
        .then(|| ("range", format!("must be in a year from {first} to {last}")))
}

pub fn integer(value: i64, checks: &[Check]) -> Option<Fault> {
    checks.iter().find_map(|check| match check {
        Check::Range(min, max) => range(value, *min, *max),
        _ => None,
    })
}

/// The declared bounds of a number; `None` where there is none.
pub fn declared(checks: &[Check]) -> (Option<i64>, Option<i64>) {
    let found = checks.iter().find_map(|check| match check {
        Check::Range(min, max) => Some((*min, *max)),
        _ => None,
    });
    found.unwrap_or_default()
}

pub fn decimal(value: f64, checks: &[Check]) -> Option<Fault> {
    checks.iter().find_map(|check| match check {
        Check::Places(places) => {
            let scaled = value * 10f64.powi(*places as i32);
            // A double can't represent more digits exactly.
            if scaled.abs() >= 1e15 {
                return Some(("range", "must be a smaller number".into()));
            }
            // A decimal fraction is rarely exact in binary: allow for its last bits.
            let slack = (scaled.abs() * f64::EPSILON * 4.0).max(1e-9);
            ((scaled - scaled.round()).abs() > slack).then(|| {
                (
                    "format",
                    format!("must have at most {places} decimal places"),
                )
            })
        }
        Check::Range(min, max) => (min.is_some_and(|min| value < min as f64)
            || max.is_some_and(|max| value > max as f64))
        .then(|| range_fault(*min, *max)),
        _ => None,
    })
}

/// The list's own size; its items are checked one by one with [`item_checks`].
pub fn list(count: usize, checks: &[Check]) -> Option<Fault> {
    checks.iter().find_map(|check| match check {
        Check::List(_, max) if count > *max as usize => {
            Some(("length", format!("must have at most {max} items")))
        }
        _ => None,
    })
}

pub fn item_checks(checks: &[Check]) -> Option<Check> {
    checks.iter().find_map(|check| match check {
        Check::List(max, _) => Some(Check::Length(1, *max)),
        _ => None,
    })
}

fn length(count: usize, min: u32, max: u32) -> Option<Fault> {
    let fits = count >= min as usize && count <= max as usize;
    (!fits).then(|| {
        let wants = match (min, max) {
            (0, max) => format!("must have at most {max} characters"),
            (min, max) if min == max => format!("must have exactly {min} characters"),
            (min, max) => format!("must have {min} to {max} characters"),
        };
        ("length", wants)
    })
}

fn shown(value: &str, min: u32, max: u32) -> Option<Fault> {
    if max <= LINE_MAX {
        return one_line(value);
    }
    (min > 0 && !is_seen(value)).then(|| ("format", "must hold something that can be seen".into()))
}

fn one_line(value: &str) -> Option<Fault> {
    (!line::is_line(value)).then(|| {
        let wants = match line::out_of_line(value) {
            _ if !is_seen(value) => "must hold something that can be seen".into(),
            Some((_, '\n' | '\r' | '\t')) | None => "must be one line".into(),
            Some((number, found)) if line::is_accent(found) => format!(
                "must be one line; character {number} is U+{:04X}, a mark that stands on no character, or is the sixth on \
                 one",
                u32::from(found)
            ),
            Some((number, found)) => format!(
                "must be one line of characters that show something; character {number} is U+{:04X}, which shows nothing \
                 there or changes the direction of writing",
                u32::from(found)
            ),
        };
        ("format", wants)
    })
}

fn range(value: i64, min: Option<i64>, max: Option<i64>) -> Option<Fault> {
    (min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max))
        .then(|| range_fault(min, max))
}

fn range_fault(min: Option<i64>, max: Option<i64>) -> Fault {
    let wants = match (min, max) {
        (Some(min), Some(max)) => format!("must be from {min} to {max}"),
        (Some(min), None) => format!("must be at least {min}"),
        (None, Some(max)) => format!("must be at most {max}"),
        (None, None) => "must be another number".into(),
    };
    ("range", wants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert_eq!(text("äöü", &[Check::Length(1, 3)]), None);
        assert_eq!(
            text("", &[Check::Length(1, 3)]).unwrap().1,
            "must have 1 to 3 characters"
        );
        assert_eq!(
            text("abcd", &[Check::Length(0, 3)]).unwrap().1,
            "must have at most 3 characters"
        );
        assert_eq!(text("a\u{7}", &[]).unwrap().0, "format");
        assert_eq!(text("line\nline\t", &[]), None);
        assert_eq!(text("line\nline", &[Check::Length(0, 301)]), None);
        let told = |value: &str| text(value, &[Check::Length(0, 300)]).unwrap().1;
        assert_eq!(told("line\nline"), "must be one line");
        assert!(told("li\u{200b}ne").contains("character 3 is U+200B"));
        assert!(text("\n \n", &[Check::Length(1, 301)]).is_some());
        assert_eq!(text("\n \n", &[Check::Length(0, 301)]), None);
        assert!(text("line\nline", &[Check::Line(0, 500)]).is_some());
        assert_eq!(text(&"l".repeat(500), &[Check::Line(1, 500)]), None);
        assert_eq!(
            text(&"l".repeat(501), &[Check::Line(1, 500)]).unwrap().0,
            "length"
        );
        assert_eq!(text(" \u{200b}", &[Check::Opaque(1, 300)]), None);
        let slug = [Check::Format(Format::Slug)];
        assert_eq!(text(&"a".repeat(100), &slug), None);
        assert_eq!(
            text(&"a".repeat(101), &slug),
            Some(("length", "must have at most 100 characters".into()))
        );
        assert_eq!(text("a_b", &slug).unwrap().0, "format");
    }

    #[test]
    fn every_check_of_a_text_has_its_form() {
        let code = [Check::Length(3, 40), Check::Format(Format::Code)];
        assert_eq!(normal(" summer 25 ".into(), &code), "SUMMER25");
        // The `@` is removed before the length is checked, since it is not part of the handle.
        let handle = [Check::Length(3, 5), Check::Format(Format::Handle)];
        assert_eq!(text(&normal("@Priya".into(), &handle), &handle), None);
        assert!(text(&normal("@pr".into(), &handle), &handle).is_some());
        assert_eq!(normal(" Ana ".into(), &[Check::Length(1, 80)]), "Ana");
        assert_eq!(normal(" Ana ".into(), &[Check::Line(1, 500)]), "Ana");
        assert_eq!(normal(" Ana ".into(), &[Check::Opaque(1, 80)]), " Ana ");
    }

    #[test]
    fn ranges_and_places() {
        assert_eq!(integer(1, &[Check::Range(Some(1), None)]), None);
        assert_eq!(
            integer(0, &[Check::Range(Some(1), None)]).unwrap().1,
            "must be at least 1"
        );
        assert_eq!(decimal(0.1 + 0.2, &[Check::Places(1)]), None);
        assert!(decimal(1.25, &[Check::Places(1)]).is_some());
        assert!(decimal(1234567890.123, &[Check::Places(2)]).is_some());
        assert_eq!(decimal(1234567890.12, &[Check::Places(2)]), None);
        assert_eq!(decimal(1e15, &[Check::Places(2)]).unwrap().0, "range");
    }
}
