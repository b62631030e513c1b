//! Lists in bodies of hand-written routes, of objects or single values. Errors point to the item.

use super::{Body, Check, FromJson, Node, Place, Posted};
use serde_json::{Value, json};
use utoipa::PartialSchema;

/// One to `MAX` objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects<T, const MAX: usize>(pub Vec<T>);

/// One to `MAX` values.
#[derive(Clone, Debug, PartialEq)]
pub struct Values<T, const MAX: usize>(pub Vec<T>);

impl<T: Posted + PartialSchema, const MAX: usize> FromJson for Objects<T, MAX> {
    fn from_json(node: Node, _: &[Check], place: &mut Place) -> Option<Self> {
        let object = |item: Node, at: &mut Place| match item {
            Node::Object(entries) => {
                let mut body = Body::nested(entries, at.pointer);
                let value = T::from_body(&mut body);
                body.leave(value, at.errors)
            }
            other => at.wrong_type("an object", &other),
        };
        each(node, MAX, "a list of objects", place, object).map(Self)
    }
    fn schema() -> Value {
        list(MAX, serde_json::to_value(T::schema()).unwrap_or_default())
    }
}

impl<T: FromJson, const MAX: usize> FromJson for Values<T, MAX> {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        let value = |item: Node, at: &mut Place| match item {
            Node::Null => at.fault("null", "must not be null"),
            item => T::from_json(item, checks, at),
        };
        each(node, MAX, "a list", place, value).map(Self)
    }
    fn schema() -> Value {
        list(MAX, T::schema())
    }
}

fn list(max: usize, items: Value) -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": max, "items": items})
}

fn each<T>(
    node: Node,
    max: usize,
    wants: &str,
    place: &mut Place,
    read: impl Fn(Node, &mut Place) -> Option<T>,
) -> Option<Vec<T>> {
    let Node::List(items) = node else {
        return place.wrong_type(wants, &node);
    };
    if items.is_empty() || items.len() > max {
        return place.fault("length", format!("must have 1 to {max} items"));
    }
    let before = place.errors.len();
    let mut values = Vec::with_capacity(items.len());
    for (n, item) in items.into_iter().enumerate() {
        let pointer = format!("{}/{n}", place.pointer);
        let mut at = Place {
            pointer: &pointer,
            mode: place.mode,
            errors: place.errors,
        };
        values.extend(read(item, &mut at));
    }
    (place.errors.len() == before).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Mode;

    #[test]
    fn each_item_is_checked_in_its_place() {
        let mut errors = Vec::new();
        let mut place = Place {
            pointer: "/ids",
            mode: Mode::Create,
            errors: &mut errors,
        };
        let node = Node::parse(br#"[1, "x", null, 7]"#).unwrap();
        let read = Values::<i32, 5>::from_json(node, &[Check::Range(Some(1), Some(5))], &mut place);
        assert_eq!(read, None);
        let found: Vec<_> = errors
            .iter()
            .map(|e| (e.pointer.as_str(), e.code))
            .collect();
        assert_eq!(
            found,
            [("/ids/1", "type"), ("/ids/2", "null"), ("/ids/3", "range")]
        );
        errors.clear();
        for text in ["[]", "[1,1,1,1,1,1]", "1"] {
            let mut place = Place {
                pointer: "",
                mode: Mode::Create,
                errors: &mut errors,
            };
            let node = Node::parse(text.as_bytes()).unwrap();
            assert_eq!(Values::<i32, 5>::from_json(node, &[], &mut place), None);
        }
        assert_eq!(errors.len(), 3);
    }
}
