//! Entity tags: `"<version>-<hash>"`. Writes compare the version, reads the whole tag.

use crate::{
    error::{Error, Result},
    problems,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The tag of an answer. Another audience gets another body, and therefore another tag.
pub fn tag(version: i64, body: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(body);
    let mut text = String::with_capacity(32);
    let _ = write!(text, "\"{version}-");
    for byte in &digest[..8] {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('"');
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).expect("ASCII")
}

/// The versions that `If-Match` accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Missing,
    /// `*`
    Any,
    /// One of these; possibly none, because a tag that is not one of ours matches nothing.
    Versions(Vec<i64>),
}

impl Precondition {
    pub fn read(headers: &HeaderMap) -> Result<Self> {
        let mut all = Vec::new();
        let mut found = false;
        for value in headers.get_all(header::IF_MATCH) {
            found = true;
            for tag in tags(value, &header::IF_MATCH)? {
                match tag {
                    Tag::Any => return Ok(Self::Any),
                    // Weak tags too: a proxy that compresses an answer makes its tag weak, but the version in it is
                    // still right.
                    Tag::One(text) => all.extend(version(text)),
                }
            }
        }
        Ok(if found {
            Self::Versions(all)
        } else {
            Self::Missing
        })
    }

    /// The versions for the statement to compare with: `None` accepts any.
    pub fn versions(&self) -> Option<&[i64]> {
        match self {
            Self::Missing | Self::Any => None,
            Self::Versions(versions) => Some(versions),
        }
    }

    pub fn holds(&self, version: i64) -> bool {
        match self {
            Self::Missing | Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Whether `If-None-Match` contains this tag (weak comparison), so that the answer is 304.
pub fn not_modified(headers: &HeaderMap, current: &HeaderValue) -> Result<bool> {
    for value in headers.get_all(header::IF_NONE_MATCH) {
        for tag in tags(value, &header::IF_NONE_MATCH)? {
            match tag {
                Tag::Any => return Ok(true),
                Tag::One(text) if opaque(current) == Some(uncompressed(text)) => return Ok(true),
                Tag::One(_) => {}
            }
        }
    }
    Ok(false)
}

/// The tag of the same answer in another encoding, whose bytes differ.
pub fn weaken(tag: &HeaderValue) -> Option<HeaderValue> {
    let text = tag.to_str().ok().filter(|text| text.starts_with('"'))?;
    HeaderValue::try_from(format!("W/{text}")).ok()
}

enum Tag<'a> {
    Any,
    /// A tag, strong or weak, which makes no difference here.
    One(&'a str),
}

/// Parses `3-9f2c4e1ab07d5583`, or `3` alone: lists and nested objects have versions but no tags.
fn version(tag: &str) -> Option<i64> {
    let (version, hash) = tag.split_once('-').unwrap_or((tag, "none"));
    let plain = version.bytes().all(|byte| byte.is_ascii_digit());
    if plain && !hash.is_empty() {
        version.parse().ok()
    } else {
        None
    }
}

fn opaque(tag: &HeaderValue) -> Option<&str> {
    tag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')
}

/// Removes the suffix that proxies add to a tag when they compress the answer.
fn uncompressed(tag: &str) -> &str {
    let ends = ["--gzip", "-gzip", "-br", "-zstd", ";gzip", ";br"];
    ends.iter()
        .find_map(|end| tag.strip_suffix(end))
        .unwrap_or(tag)
}

/// A tag that lost its quotes on the way, up to the next comma: the version, and perhaps the hash.
fn unquoted(text: &str) -> Option<(&str, &str)> {
    let (tag, _) = text.split_once(',').unwrap_or((text, ""));
    let rest = &text[tag.len()..];
    let tag = tag.trim_end();
    let is_ours = tag.starts_with(|c: char| c.is_ascii_digit())
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_ours.then_some((tag, rest))
}

fn tags<'a>(value: &'a HeaderValue, name: &HeaderName) -> Result<Vec<Tag<'a>>> {
    let error = || {
        let detail = format!("`{name}` holds entity tags in double quotes, or `*`.");
        Error::new(&problems::BAD_REQUEST).detail(detail)
    };
    let mut rest = value.to_str().map_err(|_| error())?.trim();
    if rest == "*" {
        return Ok(vec![Tag::Any]);
    }
    let mut tags = Vec::new();
    while !rest.is_empty() {
        // Empty entries of a list mean nothing (RFC 9110, 5.6.1).
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
            continue;
        }
        let tag = rest.strip_prefix("W/").unwrap_or(rest);
        let (text, after) = match tag.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"'),
            None => unquoted(tag),
        }
        .ok_or_else(error)?;
        tags.push(Tag::One(text));
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err(error());
        }
    }
    if tags.is_empty() {
        Err(error())
    } else {
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    fn if_match(values: &[&str]) -> Result<Precondition> {
        Precondition::read(&headers(header::IF_MATCH, values))
    }

    #[test]
    fn a_tag_names_version_and_body() {
        let one = tag(7, b"{}");
        assert_eq!(one, "\"7-44136fa355b3678a\"");
        assert_ne!(one, tag(7, b"{ }"));
    }

    #[test]
    fn if_match_is_about_versions() {
        use Precondition::*;
        assert_eq!(if_match(&[]).unwrap(), Missing);
        assert_eq!(if_match(&["*"]).unwrap(), Any);
        assert_eq!(if_match(&["\"3-ab\""]).unwrap(), Versions(vec![3]));
        assert_eq!(
            if_match(&["\"3-ab\", \"4-cd\"", "\"5-ef\""]).unwrap(),
            Versions(vec![3, 4, 5])
        );
        for one in [
            "W/\"3-ab\"",
            "\"3\"",
            "3",
            "3-ab",
            "W/\"3\"",
            "\"3-ab-gzip\"",
        ] {
            assert_eq!(if_match(&[one]).unwrap(), Versions(vec![3]), "{one}");
        }
        assert_eq!(if_match(&["3, \"4\""]).unwrap(), Versions(vec![3, 4]));
        for one in [",\"3\"", "\"3\",", " , ,\"3\" , "] {
            assert_eq!(if_match(&[one]).unwrap(), Versions(vec![3]), "{one}");
        }
        assert_eq!(
            if_match(&["\"foreign\", \"-1-x\", \"+3-x\", \"\", \"3-\""]).unwrap(),
            Versions(vec![])
        );
        for bad in [
            "\"3-ab",
            "3\"",
            "",
            "\"a\" \"b\"",
            ",",
            "3 4",
            "abc",
            "-3",
            "3-ä",
        ] {
            assert_eq!(if_match(&[bad]).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn if_none_match_is_about_the_whole() {
        let current = tag(7, b"{}");
        let asked = |value: &str| {
            not_modified(&headers(header::IF_NONE_MATCH, &[value]), &current).unwrap()
        };
        assert!(asked("\"7-44136fa355b3678a\"") && asked("W/\"7-44136fa355b3678a\"") && asked("*"));
        assert!(!asked("\"7-0000000000000000\""));
        assert!(asked("\"1-x\", \"7-44136fa355b3678a\""));
        assert!(asked("\"7-44136fa355b3678a-gzip\"") && asked("7-44136fa355b3678a"));
        assert!(!asked("\"7\""), "a version is not the whole");
        assert_eq!(weaken(&current).unwrap(), "W/\"7-44136fa355b3678a\"");
        assert_eq!(weaken(&weaken(&current).unwrap()), None);
    }
}
