//! A value to compare with: parsed from text by its kind, bound as a parameter, written back as text.

use super::time;
use crate::{
    input::{Format, normal_line},
    resource::Kind,
    value::{parse_date, parse_id, write_time},
};
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{
    Arguments, Row,
    error::BoxDynError,
    postgres::{PgArguments, PgRow},
};
use uuid::Uuid;

/// The longest text to compare with.
const TEXT_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Uuid(Uuid),
    Text(String),
    Int(i32),
    Bigint(i64),
    /// Kept as text, read by the database as `numeric`.
    Decimal(String),
    Bool(bool),
    Time(DateTime<Utc>),
    Date(NaiveDate),
}

impl Value {
    /// The error message says what to send instead.
    pub fn read(kind: Kind, text: &str) -> Result<Self, String> {
        let ok = match kind {
            Kind::Uuid => parse_id(text).map(Self::Uuid),
            Kind::Text | Kind::Search => {
                // Stored lines are trimmed and normalised in the same way, so a pasted blank or another normal form
                // still matches.
                let text = normal_line(text);
                let fits =
                    !text.is_empty() && text.chars().count() <= TEXT_MAX && !text.contains('\0');
                fits.then(|| Self::Text(text.into_owned()))
            }
            Kind::Formatted(format) => match Self::read(Kind::Text, text) {
                Ok(_) => Some(format.normal(text))
                    .filter(|text| text.chars().count() <= most(format))
                    .map(Self::Text),
                Err(_) => None,
            },
            Kind::Enum(values) => values.contains(&text).then(|| Self::Text(text.to_owned())),
            Kind::Set(values) => {
                let given: Vec<&str> = text.split(',').map(str::trim).collect();
                let known = given.iter().all(|one| values.contains(one));
                known.then(|| Self::Text(given.join(",")))
            }
            Kind::Int => text.parse().ok().map(Self::Int),
            Kind::Bigint => text.parse().ok().map(Self::Bigint),
            Kind::Decimal => is_decimal(text).then(|| Self::Decimal(text.to_owned())),
            // Python writes `True`.
            Kind::Bool => [("true", true), ("false", false)]
                .into_iter()
                .find(|(word, _)| text.eq_ignore_ascii_case(word))
                .map(|(_, value)| Self::Bool(value)),
            Kind::Time => time::read(text).map(Self::Time),
            Kind::Date => parse_date(text).map(Self::Date),
            Kind::Point => None,
        };
        ok.ok_or_else(|| expected(kind, text))
    }

    pub fn bind(&self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Self::Uuid(value) => arguments.add(value),
            Self::Text(value) | Self::Decimal(value) => arguments.add(value),
            Self::Int(value) => arguments.add(value),
            Self::Bigint(value) => arguments.add(value),
            Self::Bool(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value),
            Self::Date(value) => arguments.add(value),
        }
    }

    /// Writes the text that [`Value::read`] parses.
    pub fn text(&self) -> String {
        match self {
            Self::Uuid(value) => value.to_string(),
            Self::Text(value) | Self::Decimal(value) => value.clone(),
            Self::Int(value) => value.to_string(),
            Self::Bigint(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Time(value) => {
                let mut text = Vec::with_capacity(32);
                write_time(*value, &mut text);
                String::from_utf8(text).expect("ASCII")
            }
            Self::Date(value) => value.to_string(),
        }
    }

    /// The value of a sorted column in a row.
    pub fn of_row(kind: Kind, row: &PgRow, column: &str) -> Result<Self, sqlx::Error> {
        Ok(match kind {
            Kind::Uuid => Self::Uuid(row.try_get(column)?),
            Kind::Int => Self::Int(row.try_get(column)?),
            Kind::Bigint => Self::Bigint(row.try_get(column)?),
            Kind::Bool => Self::Bool(row.try_get(column)?),
            Kind::Time => Self::Time(row.try_get(column)?),
            Kind::Date => Self::Date(row.try_get(column)?),
            // selected as double precision; the shortest text that means this number
            Kind::Decimal => Self::Decimal(
                row.try_get::<Option<f64>, _>(column)?
                    .unwrap_or(0.0)
                    .to_string(),
            ),
            Kind::Text
            | Kind::Formatted(_)
            | Kind::Enum(_)
            | Kind::Set(_)
            | Kind::Search
            | Kind::Point => Self::Text(row.try_get(column)?),
        })
    }
}

/// Sorted texts may be longer than those that can be filtered by, and contain any character.
pub fn read_key(kind: Kind, text: String) -> Result<Value, String> {
    match kind {
        Kind::Text | Kind::Formatted(_) | Kind::Enum(_) => Ok(Value::Text(text)),
        _ => Value::read(kind, &text),
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| {
        (1..=15).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    plain(whole) && plain(fraction)
}

/// The most characters of a text of this format that can be filtered by.
fn most(format: Format) -> usize {
    format
        .most()
        .map_or(TEXT_MAX, |most| TEXT_MAX.min(most as usize))
}

fn expected(kind: Kind, text: &str) -> String {
    if text == "null" {
        let wants = expected(kind, "");
        return format!(
            "{wants} Objects without a value are found with `.null=true` after the name of the parameter."
        );
    }
    match kind {
        Kind::Uuid => "Use an id such as 0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e.".to_owned(),
        // PostgreSQL's texts have no such character.
        Kind::Text | Kind::Formatted(_) | Kind::Search if text.contains('\0') => {
            "Leave out the character U+0000 (`%00`), which no text here contains.".to_owned()
        }
        Kind::Text | Kind::Search => format!("Use 1 to {TEXT_MAX} characters."),
        Kind::Formatted(format) => format!("Use 1 to {} characters.", most(format)),
        Kind::Enum(values) => format!("Use one of: {}.", values.join(", ")),
        Kind::Set(values) => format!("Use some of: {}.", values.join(", ")),
        Kind::Int => format!("Use a whole number from {} to {}.", i32::MIN, i32::MAX),
        Kind::Bigint => "Use a whole number of at most 64 bits.".to_owned(),
        Kind::Decimal => "Use a number such as 4.5.".to_owned(),
        Kind::Bool => "Use true or false.".to_owned(),
        Kind::Time => time::expected(text),
        Kind::Date => "Use a date such as 2026-05-01.".to_owned(),
        Kind::Point => "Use latitude and longitude.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_texts_are_found_however_they_are_written() {
        for (format, sent, stored) in [
            (Format::Code, " summer 25", "SUMMER25"),
            (Format::Handle, "@Priya", "priya"),
            (Format::Currency, "eur", "EUR"),
            (Format::Slug, "Summer-Night ", "summer-night"),
            (Format::Phone, "0041 44 668 18 00", "+41446681800"),
            (Format::Timezone, "US/Eastern", "America/New_York"),
            (Format::Currency, "no such", "NO SUCH"),
        ] {
            let read = Value::read(Kind::Formatted(format), sent).unwrap();
            assert_eq!(read.text(), stored);
        }
        assert!(Value::read(Kind::Formatted(Format::Code), "").is_err());
        for (sent, read) in [("True", true), ("FALSE", false)] {
            assert_eq!(Value::read(Kind::Bool, sent), Ok(Value::Bool(read)));
        }
        let slug = |length| Value::read(Kind::Formatted(Format::Slug), &"a".repeat(length));
        assert!(slug(100).is_ok());
        assert_eq!(slug(101).unwrap_err(), "Use 1 to 100 characters.");
    }

    #[test]
    fn values_are_read_strictly_and_written_back() {
        let id = "0190b6a8-5f3e-7c1d-9b2a-4e6f8a1c2d3e";
        for (kind, text) in [
            (Kind::Uuid, id),
            (Kind::Text, "Zürich, 1%"),
            (Kind::Enum(&["draft", "published"]), "draft"),
            (Kind::Int, "-5"),
            (Kind::Bigint, "9007199254740993"),
            (Kind::Decimal, "-4.50"),
            (Kind::Bool, "true"),
            (Kind::Time, "2026-05-01T18:00:00.000001Z"),
            (Kind::Date, "2026-05-01"),
        ] {
            assert_eq!(Value::read(kind, text).unwrap().text(), text);
        }
        for (kind, text) in [
            (Kind::Uuid, "0190b6a85f3e7c1d9b2a4e6f8a1c2d3e"),
            (Kind::Text, ""),
            (Kind::Text, "a\0b"),
            (Kind::Enum(&["draft"]), "Draft"),
            (Kind::Int, "2147483648"),
            (Kind::Int, "1e3"),
            (Kind::Decimal, "1e400"),
            (Kind::Decimal, "NaN"),
            (Kind::Decimal, ".5"),
            (Kind::Bool, "1"),
            (Kind::Time, "2026-05-01"),
            (Kind::Date, "01.05.2026"),
        ] {
            assert!(Value::read(kind, text).is_err(), "{text}");
        }
        for kind in [Kind::Uuid, Kind::Int, Kind::Enum(&["draft"]), Kind::Time] {
            assert!(
                Value::read(kind, "null")
                    .unwrap_err()
                    .contains(".null=true")
            );
        }
    }
}
