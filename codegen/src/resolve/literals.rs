//! Literal values in a spec: defaults, and values that a transition sets.

use super::columns::{self, Class};
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
        (Ty::Bool, Literal::Text(text)) if ["true", "false"].contains(&text.as_str()) => {
            let told = Diagnostic::at(span, format!("\"{text}\" in quotes is a text"));
            Err(told.help(format!("write `= {text}`")))
        }
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
        (ty, Literal::Text(text)) if is_text(ty) => given.form(text),
        (Ty::LocalTime, _) => given.wrong("a time from 00:00 to 23:59"),
        (Ty::Code { .. }, _) => given.wrong("a word of capital letters without blanks"),
        (Ty::Handle { .. }, _) => given.wrong("a word of small letters, digits and `_`"),
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

    fn form(&self, text: &str) -> Result<(), Diagnostic> {
        let Some(expected) = forms::expected(self.ty, text) else {
            return Ok(());
        };
        let message = format!("`{text}` is not {expected}, so no row could hold it");
        Err(Diagnostic::at(self.span, message).help("write a value that the type allows"))
    }
}

pub fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Null => "`null`".into(),
        Literal::Bool(b) => format!("`{b}`"),
        Literal::Int(n) => format!("`{n}`"),
        Literal::Decimal(n) => format!("`{n}`"),
        Literal::Text(text) => format!("`{text}`"),
        Literal::Now | Literal::Today => "`now()`".into(),
    }
}

/// Types of text that a literal can stand for. Pages of networks have no defaults.
fn is_text(ty: &Ty) -> bool {
    columns::class(ty) == Class::Text && !matches!(ty, Ty::Social { .. })
}

fn example(ty: &Ty, literal: &Literal) -> String {
    match ty {
        Ty::Enum { values } | Ty::States { values } => format!("values: {}", names::quoted(values)),
        Ty::Bool => match literal {
            Literal::Text(word)
                if ["yes", "on", "y", "true"].contains(&word.to_lowercase().as_str()) =>
            {
                "write `= true`".into()
            }
            Literal::Int(1) => "write `= true`".into(),
            Literal::Text(word)
                if ["no", "off", "n", "false"].contains(&word.to_lowercase().as_str()) =>
            {
                "write `= false`".into()
            }
            Literal::Int(0) => "write `= false`".into(),
            _ => "write `= true` or `= false`".into(),
        },
        Ty::Int { .. } | Ty::Bigint { .. } | Ty::Money { .. } => "write it like `= 0`".into(),
        Ty::Decimal { .. } => "write it like `= 0.5`".into(),
        Ty::LocalTime => "write it like `= \"08:00\"`".into(),
        Ty::Code { .. } => "write it like `= SUMMER25`".into(),
        Ty::Handle { .. } => "write it like `= ada_lovelace`".into(),
        Ty::Currency => "write it like `= AUD`".into(),
        Ty::Country => "write it like `= AU`".into(),
        _ => "write it like `= \"text\"`".into(),
    }
}
