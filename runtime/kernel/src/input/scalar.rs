//! One JSON value → one Rust value. An implementation reports what is wrong and gives nothing back.

use super::check::{self, Check, Fault};
use super::{FieldError, Mode, Node};
use crate::value::{Json, Point, parse_id};
use chrono::{DateTime, Datelike, NaiveDate, Utc};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

/// The position in the body, and where to report errors.
pub struct Place<'a> {
    /// JSON pointer of the value.
    pub pointer: &'a str,
    pub mode: Mode,
    pub errors: &'a mut Vec<FieldError>,
}

impl Place<'_> {
    pub fn fault<T>(&mut self, code: &'static str, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError {
            pointer: self.pointer.to_owned(),
            code,
            detail: detail.into(),
        });
        None
    }

    /// `wants`: what is expected here, with its article.
    pub fn wrong_type<T>(&mut self, wants: &str, got: &Node) -> Option<T> {
        self.fault("type", format!("must be {wants}, not {}", got.kind()))
    }

    fn unless<T>(&mut self, fault: Option<Fault>, value: T) -> Option<T> {
        match fault {
            Some((code, detail)) => self.fault(code, detail),
            None => Some(value),
        }
    }
}

/// A type that a field of a body can have.
pub trait FromJson: Sized {
    /// Whether it is a text of a certain form in JSON, such as an id or a time, and not any text. Where it may be null, a
    /// text that shows nothing is null.
    const HAS_FORM: bool = false;

    /// `node` is never null.
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self>;

    /// The schema of the API document, without its checks.
    fn schema() -> Value {
        json!({"type": "string"})
    }
}

fn text(node: Node, wants: &str, place: &mut Place) -> Option<String> {
    match node {
        Node::Text(text) => Some(text),
        other => place.wrong_type(wants, &other),
    }
}

fn parsed<T>(
    node: Node,
    wants: &str,
    place: &mut Place,
    parse: fn(&str) -> Option<T>,
) -> Option<T> {
    let text = text(node, wants, place)?;
    parse(text.trim()).or_else(|| place.fault("format", format!("must be {wants}")))
}

fn integer(node: Node, checks: &[Check], min: i64, max: i64, place: &mut Place) -> Option<i64> {
    let Node::Number(number) = &node else {
        return place.wrong_type("a whole number", &node);
    };
    // `5.0` is the same number as `5` in JSON.
    let whole = number.as_i64().or_else(|| {
        number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15)
            .map(|f| f as i64)
    });
    // Numbers above the largest `i64` are out of every range, and so are those that JSON readers round (`1e19`).
    let beyond = number.as_f64().filter(|f| f.abs() >= 9e15);
    let beyond = beyond.map(|f| if f < 0.0 { i64::MIN } else { i64::MAX });
    let is_beyond = whole.is_none() && beyond.is_some();
    let Some(value) = whole.or(beyond) else {
        return place.fault("type", "must be a whole number");
    };
    // The declared range comes first, since the caller may have to keep to that, not to the range of the type.
    let fault = check::integer(value, checks).or_else(|| {
        let is_held = (min..=max).contains(&value) && !is_beyond;
        (!is_held).then(|| {
            let (least, most) = check::declared(checks);
            let (least, most) = (least.unwrap_or(min), most.unwrap_or(max));
            ("range", format!("must be from {least} to {most}"))
        })
    });
    place.unless(fault, value)
}

impl FromJson for String {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        let text = text(node, "a text", place)?;
        let text = check::normal(text, checks);
        place.unless(check::text(&text, checks), text)
    }
}

/// A secret, which must not appear in logs.
impl FromJson for SecretString {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        String::from_json(node, checks, place).map(Self::from)
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "password"})
    }
}

impl FromJson for i32 {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        integer(node, checks, i32::MIN.into(), i32::MAX.into(), place).map(|value| value as i32)
    }
    fn schema() -> Value {
        json!({"type": "integer", "format": "int32"})
    }
}

impl FromJson for i64 {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        integer(node, checks, i64::MIN, i64::MAX, place)
    }
    fn schema() -> Value {
        json!({"type": "integer", "format": "int64"})
    }
}

impl FromJson for f64 {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        match node {
            Node::Number(number) => {
                let value = number.as_f64()?;
                place.unless(check::decimal(value, checks), value)
            }
            other => place.wrong_type("a number", &other),
        }
    }
    fn schema() -> Value {
        json!({"type": "number"})
    }
}

impl FromJson for bool {
    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        match node {
            Node::Bool(value) => Some(value),
            other => place.wrong_type("true or false", &other),
        }
    }
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

impl FromJson for Uuid {
    const HAS_FORM: bool = true;

    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        parsed(node, "a UUID", place, parse_id)
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "uuid"})
    }
}

impl FromJson for DateTime<Utc> {
    const HAS_FORM: bool = true;

    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        let time = parsed(
            node,
            "a time such as 2026-05-01T18:00:00Z",
            place,
            crate::value::parse_time,
        )?;
        place.unless(check::year(time.year()), time)
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "date-time"})
    }
}

impl FromJson for NaiveDate {
    const HAS_FORM: bool = true;

    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        let date = parsed(
            node,
            "a date such as 2026-05-01",
            place,
            crate::value::parse_date,
        )?;
        place.unless(check::year(date.year()), date)
    }
    fn schema() -> Value {
        json!({"type": "string", "format": "date"})
    }
}

impl FromJson for Json {
    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        if !matches!(node, Node::Object(_)) {
            return place.wrong_type("an object", &node);
        }
        if node.has_nul() {
            return place.fault("format", "must not hold the character NUL");
        }
        let mut text = String::new();
        node.write(&mut text);
        Some(Json(text))
    }
    fn schema() -> Value {
        json!({"type": "object"})
    }
}

impl FromJson for Vec<String> {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        let Node::List(items) = node else {
            return place.wrong_type("a list of texts", &node);
        };
        if let Some((code, detail)) = check::list(items.len(), checks) {
            return place.fault(code, detail);
        }
        let each = check::item_checks(checks);
        let faults_before = place.errors.len();
        let mut texts = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let pointer = format!("{}/{i}", place.pointer);
            let mut at = Place {
                pointer: &pointer,
                mode: place.mode,
                errors: place.errors,
            };
            texts.extend(String::from_json(item, each.as_slice(), &mut at));
        }
        (place.errors.len() == faults_before).then_some(texts)
    }
    fn schema() -> Value {
        json!({"type": "array", "items": {"type": "string"}})
    }
}

impl FromJson for Point {
    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        let Node::Object(entries) = node else {
            return place.wrong_type("an object with lat and lng", &node);
        };
        let mut body = super::Body::nested(entries, place.pointer);
        let lat = body.required::<f64>("lat", &[Check::Range(Some(-90), Some(90))]);
        let lng = body.required::<f64>("lng", &[Check::Range(Some(-180), Some(180))]);
        let point = lat.zip(lng).map(|(lat, lng)| Point { lat, lng });
        body.leave(point, place.errors)
    }
    fn schema() -> Value {
        json!({"type": "object", "required": ["lat", "lng"], "properties": {"lat": {"type": "number"}, "lng": {"type": "number"}}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of this number.
    fn told<T: FromJson>(text: &str, checks: &[Check]) -> Option<String> {
        let mut errors = Vec::new();
        let mut place = Place {
            pointer: "/quantity",
            mode: Mode::Create,
            errors: &mut errors,
        };
        let read = T::from_json(Node::parse(text.as_bytes()).unwrap(), checks, &mut place);
        assert_eq!(read.is_some(), errors.is_empty());
        errors.pop().map(|error| error.detail)
    }

    #[test]
    fn numbers_that_the_type_can_not_hold_are_told_the_declared_range() {
        let few = [Check::Range(Some(1), Some(100))];
        let some = [Check::Range(Some(0), None)];
        for beyond in [
            "99999999999",
            "-99999999999",
            "101",
            "9223372036854775808",
            "1e19",
            "-1e19",
            "1e300",
        ] {
            let declared = Some("must be from 1 to 100".to_owned());
            assert_eq!(told::<i32>(beyond, &few), declared, "{beyond}");
            assert_eq!(told::<i64>(beyond, &few), declared, "{beyond}");
        }
        let open = Some("must be from 0 to 2147483647".to_owned());
        assert_eq!(told::<i32>("99999999999", &some), open);
        let none = Some("must be from -2147483648 to 2147483647".to_owned());
        assert_eq!(told::<i32>("99999999999", &[]), none);
        assert!(told::<i64>("9223372036854775808", &some).is_some());
        for held in ["1", "100", "5.0"] {
            assert_eq!(told::<i32>(held, &few), None);
        }
        let type_fault = Some("must be a whole number".to_owned());
        assert_eq!(told::<i32>("1.5", &few), type_fault);
    }
}
