//! Literal values in a spec: defaults, and values that a transition sets.

use super::forms;
use crate::diag::{Diagnostic, Span};
use crate::model::{Literal, Ty};
use crate::names;

/// Whether the literal is a value of the type: of its kind and form, within its bounds, one of its values.
pub fn literal_fits(
    ty: &Ty,
    optional: bool,
    literal: &Literal,
    span: Span,
) -> Result<(), Diagnostic> {
    of_kind(ty, optional, literal, span)?;
    let Literal::Text(text) = literal else {
        return Ok(());
    };
    match forms::expected(ty, text) {
        None => Ok(()),
        Some(expected) => {
            let message = format!("`{text}` is not {expected}, so no row could hold it");
            Err(Diagnostic::at(span, message).help("write a value that the type allows"))
        }
    }
}

fn of_kind(ty: &Ty, optional: bool, literal: &Literal, span: Span) -> Result<(), Diagnostic> {
    let given = Given { ty, literal, span };
    match (ty, literal) {
        (_, Literal::Null) if optional => {
            Err(Diagnostic::at(span, "an optional field is null anyway").help("leave `= null` out"))
        }
        (_, Literal::Null) => {
            Err(Diagnostic::at(span, "this field is never null").help("add `?` after the type"))
        }
        (Ty::Int { min, max }, _) => given.whole(
            min.or(Some(i64::from(i32::MIN))),
            max.or(Some(i64::from(i32::MAX))),
        ),
        (Ty::Bigint { min, max } | Ty::Money { min, max }, _) => given.whole(*min, *max),
        (Ty::Decimal { places }, Literal::Decimal(text)) => given.decimal(*places as usize, text),
        (Ty::Decimal { .. }, Literal::Int(_)) | (Ty::Bool, Literal::Bool(_)) => Ok(()),
        (Ty::Decimal { .. }, _) => given.wrong("a number"),
        (Ty::Bool, _) => given.wrong("`true` or `false`"),
        (Ty::Time | Ty::Date, Literal::Now) => Ok(()),
        (Ty::Time | Ty::Date, _) => Err(Diagnostic::at(
            span,
            format!(
                "{} is not `now()`, the only value that is written here",
                shown(literal)
            ),
        )
        .help("write `now()`, or leave the value out and let each request say it")),
        (Ty::Enum { values } | Ty::States { values }, Literal::Text(text)) => {
            given.one_of(values, text)
        }
        (Ty::Text { min, max }, Literal::Text(text)) => {
            given.length(*min as usize, *max as usize, text)
        }
        (Ty::LocalTime, Literal::Text(text)) if is_local_time(text) => Ok(()),
        (Ty::LocalTime, _) => given.wrong("a time from 00:00 to 23:59"),
        (Ty::Code { min, max }, Literal::Text(text)) if is_code(text) => {
            given.length(*min as usize, *max as usize, text)
        }
        (Ty::Code { .. }, _) => given.wrong("a word of capital letters without blanks"),
        (Ty::Currency, Literal::Text(text)) => given.capitals(3, text),
        (Ty::Country, Literal::Text(text)) => given.capitals(2, text),
        (
            Ty::Locale | Ty::Timezone | Ty::Url | Ty::Email | Ty::Phone | Ty::Slug { .. },
            Literal::Text(_),
        ) => Ok(()),
        (
            Ty::Uuid
            | Ty::Json
            | Ty::Point
            | Ty::Object { .. }
            | Ty::TextList { .. }
            | Ty::Social { .. },
            _,
        ) => Err(Diagnostic::at(span, "this type has no defaults").help("make the field optional")),
        _ => given.wrong("a text"),
    }
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
    text.to_uppercase() == text && !text.contains(char::is_whitespace)
}

struct Given<'a> {
    ty: &'a Ty,
    literal: &'a Literal,
    span: Span,
}

impl Given<'_> {
    fn wrong(&self, expected: &str) -> Result<(), Diagnostic> {
        let message = format!("{} is not {expected}", shown(self.literal));
        Err(Diagnostic::at(self.span, message).help(example(self.ty, self.literal)))
    }

    fn whole(&self, min: Option<i64>, max: Option<i64>) -> Result<(), Diagnostic> {
        let Literal::Int(n) = self.literal else {
            return self.wrong("a whole number");
        };
        if min.is_some_and(|min| *n < min) || max.is_some_and(|max| *n > max) {
            let bound = |b: Option<i64>| b.map(|b| b.to_string()).unwrap_or_default();
            let help = format!("a value within {}..{}", bound(min), bound(max));
            return Err(
                Diagnostic::at(self.span, format!("{n} is outside of the bounds")).help(help),
            );
        }
        Ok(())
    }

    fn decimal(&self, places: usize, text: &str) -> Result<(), Diagnostic> {
        let given = text.split_once('.').map_or(0, |(_, p)| p.len());
        if given > places {
            return self.wrong(&format!("a number of {places} decimal places"));
        }
        Ok(())
    }

    fn one_of(&self, values: &[String], text: &String) -> Result<(), Diagnostic> {
        if values.contains(text) {
            return Ok(());
        }
        let known = values.iter().map(String::as_str);
        Err(
            Diagnostic::at(self.span, format!("`{text}` is none of the values"))
                .help(names::suggest(text, known, "values")),
        )
    }

    fn length(&self, min: usize, max: usize, text: &str) -> Result<(), Diagnostic> {
        let len = text.chars().count();
        if len < min || len > max {
            return Err(
                Diagnostic::at(self.span, format!("a text of {len} characters"))
                    .help(format!("a text of {min} to {max} characters")),
            );
        }
        Ok(())
    }

    fn capitals(&self, len: usize, text: &str) -> Result<(), Diagnostic> {
        if text.len() == len && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return Ok(());
        }
        self.wrong(&format!("{len} capital letters"))
    }
}

fn example(ty: &Ty, literal: &Literal) -> String {
    match ty {
        Ty::Enum { values } | Ty::States { values } => format!("values: {}", names::quoted(values)),
        Ty::Bool => match literal {
            Literal::Text(word) if ["yes", "on", "y"].contains(&word.to_lowercase().as_str()) => {
                "write `= true`".into()
            }
            Literal::Int(1) => "write `= true`".into(),
            Literal::Text(word) if ["no", "off", "n"].contains(&word.to_lowercase().as_str()) => {
                "write `= false`".into()
            }
            Literal::Int(0) => "write `= false`".into(),
            _ => "write `= true` or `= false`".into(),
        },
        Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } => "write it like `= 0`".into(),
        Ty::Decimal { .. } => "write it like `= 0.5`".into(),
        Ty::LocalTime => "write it like `= \"08:00\"`".into(),
        Ty::Code { .. } => "write it like `= SUMMER25`".into(),
        Ty::Currency => "write it like `= AUD`".into(),
        Ty::Country => "write it like `= AU`".into(),
        _ => "write it like `= \"text\"`".into(),
    }
}

pub fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Null => "`null`".into(),
        Literal::Bool(b) => format!("`{b}`"),
        Literal::Int(n) => format!("`{n}`"),
        Literal::Decimal(n) => format!("`{n}`"),
        Literal::Text(text) => format!("`{text}`"),
        Literal::Now => "`now()`".into(),
    }
}
