//! Handles as people type them: `@priya`, as the app shows it, means the handle `priya`.

use kernel::input::{Check, FromJson, Node, Place};

/// A member's handle in a request body, in the form that is stored: without the `@`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle(String);

impl Handle {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromJson for Handle {
    fn from_json(node: Node, checks: &[Check], place: &mut Place) -> Option<Self> {
        // The `@` is removed before the length is checked, since it is not part of the handle.
        let node = match node {
            Node::Text(text) => Node::Text(bare(&text)),
            other => other,
        };
        let text = String::from_json(node, checks, place)?;
        if is_handle(&text) {
            return Some(Self(text));
        }
        let wants = "must be lower-case letters, digits and _, beginning with a letter";
        place.fault("format", wants)
    }
}

pub fn is_handle(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn bare(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('@').unwrap_or(text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::input::{Body, Invalid, Mode};

    fn read(handle: &str) -> Result<String, &'static str> {
        let text = serde_json::json!({"handle": handle}).to_string();
        let mut body = Body::parse(text.as_bytes(), Mode::Create).expect("a body");
        let found: Option<Handle> = body.required("handle", &[Check::Length(3, 30)]);
        match body.finish(found) {
            Ok(handle) => Ok(handle.into_string()),
            Err(Invalid::Fields(errors)) => Err(errors[0].code),
            Err(Invalid::Syntax(why)) => panic!("{why}"),
        }
    }

    #[test]
    fn a_handle_is_read_as_it_is_shown() {
        for sent in ["priya", "@priya", " @Priya\n", "PRIYA"] {
            assert_eq!(read(sent), Ok("priya".to_owned()), "{sent:?}");
        }
        let longest = "p".repeat(30);
        assert_eq!(read(&format!("@{longest}")), Ok(longest));
        for (sent, code) in [
            ("@", "length"),
            ("@pr", "length"),
            ("@@priya", "format"),
            ("pri ya", "format"),
            ("priya@", "format"),
            ("9lives", "format"),
            ("priy\u{430}", "format"),
        ] {
            assert_eq!(read(sent), Err(code), "{sent:?}");
        }
    }
}
