//! Times in query strings, in the forms that people and programs write. Bodies accept RFC 3339 only.

use crate::value::{parse_date, parse_time};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

/// The first moment of a day in UTC, and that of the next day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

impl Day {
    pub fn read(text: &str) -> Option<Self> {
        let date = parse_date(text)?;
        let start = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        Some(Self {
            start: start(date),
            end: start(date.checked_add_days(Days::new(1))?),
        })
    }
}

/// `2026-11-27T10:00:00Z`, and also with a blank instead of `T`, without seconds, or with a zone such as `+01` or `UTC`. A
/// `+` that was not percent-encoded arrives as a blank and is read as a `+`. Java and JavaScript add the name of the zone
/// to the offset, which says it all (RFC 9557).
pub fn read(text: &str) -> Option<DateTime<Utc>> {
    let text = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((text, _)) => text,
        None => text,
    };
    if let Some(time) = parse_time(text) {
        return Some(time);
    }
    let (time, zone) = parts(text)?;
    let zone = zone_of(zone)?;
    parse_time(&format!("{time}{zone}"))
}

/// The part of the error message that says what to send instead.
pub fn expected(text: &str) -> String {
    match parts(text).map(|(time, zone)| (parse_time(&format!("{time}Z")), zone.trim())) {
        Some((Some(_), "")) => format!(
            "Say in which zone this is: {text}Z, or with an offset such as +01:00, which an address has as %2B01:00."
        ),
        _ => "Use a time such as 2026-05-01T18:00:00Z or 2026-05-01T20:00%2B02:00 (a `+` in an address is %2B), or a date."
            .to_owned(),
    }
}

/// The date and time to the second, and the rest of the text.
fn parts(text: &str) -> Option<(String, &str)> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')))
        .unwrap_or(rest.len());
    let (time, zone) = rest.split_at(end);
    let seconds = match time.len() {
        5 => ":00",
        _ => "",
    };
    Some((format!("{date}T{time}{seconds}"), zone))
}

/// As RFC 3339 writes it.
fn zone_of(text: &str) -> Option<String> {
    let zone = text.trim_start();
    if matches!(zone, "Z" | "z" | "UTC" | "GMT") {
        return Some("Z".to_owned());
    }
    let (sign, digits) = match zone.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => match zone.strip_prefix('+') {
            Some(digits) => ('+', digits),
            None if zone.len() < text.len() => ('+', zone),
            None => return None,
        },
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        _ => digits.split_once(':')?,
    };
    Some(format!("{sign}{hours}:{minutes}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_moment_has_many_spellings() {
        let moment = parse_time("2026-11-27T10:00:00Z");
        for text in [
            "2026-11-27T10:00:00Z",
            "2026-11-27T10:00Z",
            "2026-11-27t10:00z",
            "2026-11-27 10:00:00Z",
            "2026-11-27 10:00 Z",
            "2026-11-27T11:00:00+01:00",
            "2026-11-27 11:00:00+01:00",
            "2026-11-27T11:00+01",
            "2026-11-27T11:00+0100",
            "2026-11-27T09:30-00:30",
            // In a URL, `+` means a blank.
            "2026-11-27T11:00:00 01:00",
            "2026-11-27 11:00:00.000 01:00",
            "2026-11-27 11:00  01:00",
            "2026-11-27 10:00 UTC",
            "2026-11-27T10:00:00GMT",
            "2026-11-27T11:00+01:00[Europe/Berlin]",
            "2026-11-27T10:00Z[UTC]",
        ] {
            assert_eq!(read(text), moment, "{text}");
        }
    }

    #[test]
    fn what_may_be_another_moment_is_refused_and_explained() {
        for text in [
            "2026-11-27T10:00",
            "2026-11-27 10:00:00",
            "2026-11-27T10:00:00.5",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert!(expected(text).contains(&format!("{text}Z")), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-11-27T",
            "2026-11-27T10Z",
            "2026-11-27T25:00Z",
            "2026-11-27T10:00+1",
            "2026-11-27T10:00+01:0",
            "2026-11-27T10:0001:00",
            "2026-11-27T10:00Europe/Berlin",
            "27.11.2026 10:00Z",
            "2026-11-27T10:00:00ZZ",
            "2026-11-27T10:00[Europe/Berlin]",
            "2026-11-27T10:00Z[UTC",
            "2026-11-27T10:00ZUTC",
            "2026-11-2éT10:00Z",
        ] {
            assert_eq!(read(text), None, "{text}");
            assert!(expected(text).contains("%2B"), "{text}");
        }
    }

    #[test]
    fn a_day_ends_where_the_next_one_begins() {
        let day = Day::read("2026-12-31").unwrap();
        assert_eq!(Some(day.start), parse_time("2026-12-31T00:00:00Z"));
        assert_eq!(Some(day.end), parse_time("2027-01-01T00:00:00Z"));
        assert_eq!(Day::read("2026-12-31T00:00:00Z"), None);
        assert!(Day::read("9999-12-31").is_some());
    }
}
