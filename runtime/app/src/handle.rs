//! Handles as people type them: `@priya`, as the app shows it, means the handle `priya`.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
    middleware::Next,
    response::Response,
};
use kernel::input::{Check, FromJson, Node, Place};
use url::form_urlencoded::{Serializer, parse};

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

/// Middleware of the generated routes: the filters of `GET /users` understand handles as bodies do. The spec knows a
/// handle as a text, so its filters compare it as it was sent.
pub async fn in_filters(mut request: Request, next: Next) -> Response {
    if request.uri().path() == "/users"
        && let Some(uri) = request.uri().query().and_then(with_bare)
    {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// `/users` with this query, handles in it in the form that is stored. `None` if it has no handles.
fn with_bare(query: &str) -> Option<Uri> {
    let is_handle = |name: &str| matches!(name, "handle" | "handle.ne" | "handle.in");
    if !parse(query.as_bytes()).any(|(name, _)| is_handle(&name)) {
        return None;
    }
    let mut bared = Serializer::new(String::new());
    for (name, value) in parse(query.as_bytes()) {
        match is_handle(&name) {
            // Of several by commas each; a handle has none.
            true => {
                let all: Vec<String> = value.split(',').map(bare).collect();
                bared.append_pair(&name, &all.join(","));
            }
            false => {
                bared.append_pair(&name, &value);
            }
        }
    }
    let path = format!("/users?{}", bared.finish());
    Some(PathAndQuery::try_from(path).ok()?.into())
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
    fn filters_are_read_as_bodies_are() {
        for (sent, read) in [
            ("handle=PAULA", Some("/users?handle=paula")),
            (
                "handle=%40paula&limit=3",
                Some("/users?handle=paula&limit=3"),
            ),
            ("handle.in=Ana,@Ben", Some("/users?handle.in=ana%2Cben")),
            ("handle.ne=Ana&q=A+B", Some("/users?handle.ne=ana&q=A+B")),
            ("q=PAULA", None),
            ("display_name=@PAULA", None),
        ] {
            let uri = with_bare(sent).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), read, "{sent}");
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
