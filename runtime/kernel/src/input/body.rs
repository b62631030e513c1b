//! A body while its fields are taken out of it. Fields that are left over at the end are unknown to the entity.
//!
//! The methods with a type parameter are thin wrappers; what they share is not generic, because the bodies of all
//! entities pass through here.

use super::{
    Check, FieldError, FromJson, Invalid, Mode, Node, Parts, Patch, Place, card, check, line,
};
use serde::Serialize;
use serde_json::Value;

pub struct Body {
    entries: Vec<(String, Node)>,
    errors: Vec<FieldError>,
    /// Pointer of the object itself: empty for the whole body.
    path: String,
    mode: Mode,
}

/// The method by which a field came.
enum Sent {
    Absent,
    Null,
    Value(Node),
}

impl Body {
    pub fn parse(bytes: &[u8], mode: Mode) -> Result<Body, Invalid> {
        let node = Node::parse(bytes).map_err(|why| {
            Invalid::Syntax(format!("the body is not JSON that can be read: {why}"))
        })?;
        let cards = card::find(&node);
        if !cards.is_empty() {
            // First of all, before a value with a card number could be looked at or named in an error.
            return Err(Invalid::Fields(cards));
        }
        match node {
            Node::Object(entries) => Ok(Body {
                entries,
                errors: Vec::new(),
                path: String::new(),
                mode,
            }),
            other => Err(Invalid::Syntax(format!(
                "the body must be an object, not {}",
                other.kind()
            ))),
        }
    }

    /// An object inside a body; [`Body::leave`] passes its errors on to the outer body.
    pub fn nested(entries: Vec<(String, Node)>, pointer: &str) -> Body {
        Body {
            entries,
            errors: Vec::new(),
            path: pointer.to_owned(),
            mode: Mode::Create,
        }
    }

    /// Create: must be there and not null.
    pub fn required<T: FromJson>(&mut self, name: &str, checks: &[Check]) -> Option<T> {
        match self.take(name) {
            Sent::Absent => self.fault(name, "required", "must be given"),
            Sent::Null => self.null(name),
            Sent::Value(node) => self.read(name, node, checks),
        }
    }

    /// Create: absent and null are the same.
    pub fn optional<T: FromJson>(&mut self, name: &str, checks: &[Check]) -> Option<Option<T>> {
        match self.take_nullable(name, checks, T::HAS_FORM, true) {
            Sent::Absent | Sent::Null => Some(None),
            Sent::Value(node) => self.read(name, node, checks).map(Some),
        }
    }

    /// Create: absent becomes the default, null is refused.
    pub fn defaulted<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
        default: T,
    ) -> Option<T> {
        match self.take(name) {
            Sent::Absent => Some(default),
            Sent::Null => self.null(name),
            Sent::Value(node) => self.read(name, node, checks),
        }
    }

    /// Create: absent becomes the default, null stays null.
    pub fn optional_or<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
        default: T,
    ) -> Option<Option<T>> {
        match self.take_nullable(name, checks, T::HAS_FORM, true) {
            Sent::Absent => Some(Some(default)),
            Sent::Null => Some(None),
            Sent::Value(node) => self.read(name, node, checks).map(Some),
        }
    }

    /// Update: PUT must have it, PATCH may; never null.
    pub fn patch_required<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
    ) -> Option<Patch<T>> {
        match self.take(name) {
            Sent::Absent if self.mode == Mode::Merge => Some(Patch::Absent),
            Sent::Absent => self.fault(
                name,
                "required",
                "must be given: PUT replaces the whole object",
            ),
            Sent::Null => self.null(name),
            Sent::Value(node) => self.read(name, node, checks).map(Patch::Value),
        }
    }

    /// Update: absent empties on PUT.
    pub fn patch_optional<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
    ) -> Option<Patch<T>> {
        match self.take_nullable(name, checks, T::HAS_FORM, true) {
            Sent::Absent if self.mode == Mode::Merge => Some(Patch::Absent),
            Sent::Absent | Sent::Null => Some(Patch::Null),
            Sent::Value(node) => self.read(name, node, checks).map(Patch::Value),
        }
    }

    /// Update: absent becomes the default on PUT.
    pub fn patch_defaulted<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
        nullable: bool,
        default: T,
    ) -> Option<Patch<T>> {
        match self.take_nullable(name, checks, T::HAS_FORM, nullable) {
            Sent::Absent if self.mode == Mode::Merge => Some(Patch::Absent),
            Sent::Absent => Some(Patch::Value(default)),
            Sent::Null if nullable => Some(Patch::Null),
            Sent::Null => self.null(name),
            Sent::Value(node) => self.read(name, node, checks).map(Patch::Value),
        }
    }

    /// Update: an absent field stays as it is, with PUT too. For fields that not every caller may see or set: a caller
    /// who sends back an answer without these fields must not empty them.
    pub fn patch_kept<T: FromJson>(
        &mut self,
        name: &str,
        checks: &[Check],
        nullable: bool,
    ) -> Option<Patch<T>> {
        match self.take_nullable(name, checks, T::HAS_FORM, nullable) {
            Sent::Absent => Some(Patch::Absent),
            Sent::Null if nullable => Some(Patch::Null),
            Sent::Null => self.null(name),
            Sent::Value(node) => self.read(name, node, checks).map(Patch::Value),
        }
    }

    /// PATCH of a closed object: the key with its new value, or null to remove it. An absent key stays.
    pub fn part<T: FromJson + Serialize>(
        &mut self,
        name: &str,
        checks: &[Check],
        optional: bool,
        parts: &mut Parts,
    ) {
        let value = match self.take_nullable(name, checks, T::HAS_FORM, optional) {
            Sent::Absent => return,
            Sent::Null if optional => Value::Null,
            Sent::Null => return self.null::<()>(name).unwrap_or_default(),
            Sent::Value(node) => {
                let Some(value) = self.read::<T>(name, node, checks) else {
                    return;
                };
                // Scalars and lists of them: they have a JSON form.
                serde_json::to_value(value).unwrap_or_default()
            }
        };
        parts.insert(name.to_owned(), value);
    }

    /// Two fields that are only valid together. To be called before they are taken.
    pub fn together(&mut self, one: &str, other: &str) {
        let sent = |name: &str| {
            self.entries
                .iter()
                .any(|(key, node)| key == name && *node != Node::Null)
        };
        match (sent(one), sent(other)) {
            (true, false) => self.push(
                other,
                "required",
                format!("must be given together with {one}"),
            ),
            (false, true) => self.push(
                one,
                "required",
                format!("must be given together with {other}"),
            ),
            _ => {}
        }
    }

    /// Adds an error that no check of a single field finds.
    pub fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.push(name, code, detail.into());
    }

    /// Refuses unknown fields, then reports everything that was found wrong at once. `input` is what was built from
    /// the fields: `None` if one of them was wrong.
    pub fn finish<T>(mut self, input: Option<T>) -> Result<T, Invalid> {
        self.refuse_rest();
        input
            .filter(|_| self.errors.is_empty())
            .ok_or(Invalid::Fields(self.errors))
    }

    /// For an object inside a body: passes its errors on.
    pub fn leave<T>(mut self, value: Option<T>, errors: &mut Vec<FieldError>) -> Option<T> {
        self.refuse_rest();
        let sound = self.errors.is_empty();
        errors.append(&mut self.errors);
        value.filter(|_| sound)
    }

    fn refuse_rest(&mut self) {
        for (key, _) in std::mem::take(&mut self.entries) {
            self.push(
                &key,
                "unknown",
                "is not a field of this object that can be sent".into(),
            );
        }
    }

    fn take(&mut self, name: &str) -> Sent {
        // `swap_remove` would report unknown fields out of order.
        match self.entries.iter().position(|(key, _)| key == name) {
            None => Sent::Absent,
            Some(i) => match self.entries.remove(i).1 {
                Node::Null => Sent::Null,
                node => Sent::Value(node),
            },
        }
    }

    /// As [`Body::take`]. A text that may be null, and shows nothing, is null: so that empty has one spelling, and forms
    /// clear a field by sending it empty, whatever its format.
    fn take_nullable(
        &mut self,
        name: &str,
        checks: &[Check],
        has_form: bool,
        nullable: bool,
    ) -> Sent {
        let is_empty =
            |text: &str| check::is_blank(text, checks) || has_form && line::pasted(text).is_empty();
        match self.take(name) {
            Sent::Value(Node::Text(text)) if nullable && is_empty(&text) => Sent::Null,
            sent => sent,
        }
    }

    fn read<T: FromJson>(&mut self, name: &str, node: Node, checks: &[Check]) -> Option<T> {
        let pointer = self.pointer(name);
        T::from_json(
            node,
            checks,
            &mut Place {
                pointer: &pointer,
                mode: self.mode,
                errors: &mut self.errors,
            },
        )
    }

    fn null<T>(&mut self, name: &str) -> Option<T> {
        self.fault(name, "null", "must not be null")
    }

    fn fault<T>(&mut self, name: &str, code: &'static str, detail: &str) -> Option<T> {
        self.push(name, code, detail.to_owned());
        None
    }

    fn push(&mut self, name: &str, code: &'static str, detail: String) {
        let pointer = self.pointer(name);
        self.errors.push(FieldError {
            pointer,
            code,
            detail,
        });
    }

    /// RFC 6901: `~` and `/` inside of a key are escaped.
    fn pointer(&self, name: &str) -> String {
        format!(
            "{}/{}",
            self.path,
            name.replace('~', "~0").replace('/', "~1")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(invalid: Invalid) -> Vec<(String, &'static str)> {
        match invalid {
            Invalid::Fields(errors) => errors.into_iter().map(|e| (e.pointer, e.code)).collect(),
            Invalid::Syntax(why) => panic!("{why}"),
        }
    }

    #[test]
    fn reports_everything_at_once() {
        let text = r#"{"title":"","count":"x","state":null,"a/b~c":1,"where":{"lat":91,"up":1},"tags":["a",2,""]}"#;
        let mut body = Body::parse(text.as_bytes(), Mode::Create).unwrap();
        body.required::<String>("title", &[Check::Length(1, 10)]);
        body.required::<i32>("count", &[]);
        body.required::<bool>("state", &[]);
        body.required::<String>("name", &[]);
        body.required::<crate::value::Point>("where", &[]);
        body.required::<Vec<String>>("tags", &[Check::List(5, 3)]);
        let found = codes(body.finish(Some(())).unwrap_err());
        let expected = [
            ("/title", "length"),
            ("/count", "type"),
            ("/state", "null"),
            ("/name", "required"),
            ("/where/lat", "range"),
            ("/where/lng", "required"),
            ("/where/up", "unknown"),
            ("/tags/1", "type"),
            ("/tags/2", "length"),
            ("/a~1b~0c", "unknown"),
        ];
        assert_eq!(found, expected.map(|(p, c)| (p.to_owned(), c)));
    }

    #[test]
    fn a_text_that_shows_nothing_is_null_where_it_may_be() {
        let (long, line) = ([Check::Length(0, 1000)], [Check::Length(0, 80)]);
        for (text, is_long_null, is_line_null) in [
            ("", true, true),
            (" \n ", true, true),
            ("\u{200b}\u{200b}", true, true),
            ("\u{3164}", true, false),
            ("x", false, false),
        ] {
            let body = || {
                let text = serde_json::json!({ "a": text }).to_string();
                Body::parse(text.as_bytes(), Mode::Merge).unwrap()
            };
            for (checks, is_null) in [(long, is_long_null), (line, is_line_null)] {
                let made = body().optional::<String>("a", &checks);
                assert_eq!(made == Some(None), is_null, "{text:?}");
                let changed = body().patch_optional::<String>("a", &checks);
                assert_eq!(changed == Some(Patch::Null), is_null, "{text:?}");
                let kept = body().patch_kept::<String>("a", &checks, true);
                assert_eq!(kept == Some(Patch::Null), is_null, "{text:?}");
            }
            // Also where a value would have to be longer, or to have a format.
            let phone = [Check::Format(crate::input::Format::Phone)];
            for (checks, is_null) in [
                (&[Check::Length(1, 1000)], is_long_null),
                (&[Check::Length(3, 80)], is_line_null),
                (&phone, is_long_null),
            ] {
                let made = body().optional::<String>("a", checks);
                assert_eq!(made == Some(None), is_null, "{text:?} {checks:?}");
                let mut merged = Parts::new();
                body().part::<String>("a", checks, true, &mut merged);
                let is_removed = merged.get("a") == Some(&Value::Null);
                assert_eq!(is_removed, is_null, "{text:?} {checks:?}");
            }
            // Ids, times and words of a closed set have a form without a check that says so.
            assert_eq!(
                body().optional::<uuid::Uuid>("a", &[]) == Some(None),
                is_long_null,
                "{text:?}"
            );
            let ends_at = body().patch_optional::<chrono::NaiveDate>("a", &[]);
            assert_eq!(ends_at == Some(Patch::Null), is_long_null, "{text:?}");
            assert_eq!(body().required::<uuid::Uuid>("a", &[]), None);
            assert_eq!(body().optional::<i32>("a", &[]), None);
            // A secret is what it is; a text that must not be null is refused, or stays as it is.
            let secret = [Check::Opaque(1, 80)];
            let made = body().optional::<String>("a", &secret);
            assert_ne!(made, Some(None));
            assert_eq!(body().required::<String>("a", &phone), None);
            let kept = body().patch_kept::<String>("a", &long, false);
            assert_eq!(kept, Some(Patch::Value(text.to_owned())));
        }
    }

    #[test]
    fn put_and_patch_differ_in_what_is_absent() {
        let body = |mode| Body::parse(br#"{"b":null}"#, mode).unwrap();
        assert_eq!(
            body(Mode::Merge).patch_optional::<i32>("a", &[]),
            Some(Patch::Absent)
        );
        assert_eq!(
            body(Mode::Replace).patch_optional::<i32>("a", &[]),
            Some(Patch::Null)
        );
        assert_eq!(
            body(Mode::Merge).patch_optional::<i32>("b", &[]),
            Some(Patch::Null)
        );
        assert_eq!(body(Mode::Replace).patch_required::<i32>("a", &[]), None);
        assert_eq!(
            body(Mode::Merge).patch_required::<i32>("a", &[]),
            Some(Patch::Absent)
        );
        assert_eq!(body(Mode::Merge).patch_required::<i32>("b", &[]), None);
        assert_eq!(
            body(Mode::Replace).patch_defaulted("a", &[], false, 7),
            Some(Patch::Value(7))
        );
        assert_eq!(
            body(Mode::Replace).patch_kept::<i32>("a", &[], true),
            Some(Patch::Absent)
        );
        assert_eq!(
            body(Mode::Replace).patch_kept::<i32>("b", &[], true),
            Some(Patch::Null)
        );
    }

    #[test]
    fn halves_of_a_pair_name_the_other_half() {
        let mut body = Body::parse(br#"{"host_id":"x"}"#, Mode::Merge).unwrap();
        body.together("host_type", "host_id");
        body.take("host_id");
        assert_eq!(
            codes(body.finish(Some(())).unwrap_err()),
            [("/host_type".to_owned(), "required")]
        );
    }

    #[test]
    fn the_number_of_a_card_is_refused_whatever_the_field() {
        let text = r#"{"title":"4242 4242 4242 4242","more":{"count":5555555555554444},"x":1}"#;
        let found = codes(Body::parse(text.as_bytes(), Mode::Create).err().unwrap());
        let expected = ["/title", "/more/count"].map(|at| (at.to_owned(), "card_number"));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_body() {
        let text = "\u{feff}{\"a\":1}";
        let mut body = Body::parse(text.as_bytes(), Mode::Create).unwrap();
        assert_eq!(body.required::<i32>("a", &[]), Some(1));
        assert!(Body::parse("\u{feff}\u{feff}{}".as_bytes(), Mode::Create).is_err());
    }

    #[test]
    fn only_an_object_is_a_body() {
        for text in ["[]", "1", "", "{", "{\"a\":1,\"a\":1}"] {
            assert!(
                matches!(
                    Body::parse(text.as_bytes(), Mode::Create),
                    Err(Invalid::Syntax(_))
                ),
                "{text}"
            );
        }
    }
}
