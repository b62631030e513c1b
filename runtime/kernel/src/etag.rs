//! Entity tags: `"<version>-<hash>"`, where the version decides about writing and the whole about reading.

use crate::{
    error::{Error, Result},
    problems,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The tag of an answer. Another audience's answer has another body, hence another tag.
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

/// What `If-Match` asks of the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Missing,
    /// `*`
    Any,
    /// One of these; possibly none, because a weak or foreign tag matches nothing.
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
                    Tag::Strong(text) => all.extend(version(text)),
                    Tag::Weak(_) => {}
                }
            }
        }
        Ok(if found {
            Self::Versions(all)
        } else {
            Self::Missing
        })
    }

    /// What statements compare the version with: `None` if any will do.
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

/// Does `If-None-Match` name this tag (weak comparison), so that the answer is 304?
pub fn not_modified(headers: &HeaderMap, current: &HeaderValue) -> Result<bool> {
    for value in headers.get_all(header::IF_NONE_MATCH) {
        for tag in tags(value, &header::IF_NONE_MATCH)? {
            match tag {
                Tag::Any => return Ok(true),
                Tag::Strong(text) | Tag::Weak(text) => {
                    if current
                        .as_bytes()
                        .strip_prefix(b"\"")
                        .and_then(|tag| tag.strip_suffix(b"\""))
                        == Some(text.as_bytes())
                    {
                        return Ok(true);
                    }
                }
            }
        }
    }
    Ok(false)
}

enum Tag<'a> {
    Any,
    Strong(&'a str),
    Weak(&'a str),
}

fn version(tag: &str) -> Option<i64> {
    let (version, hash) = tag.split_once('-')?;
    let plain = version.bytes().all(|byte| byte.is_ascii_digit());
    if plain && !hash.is_empty() {
        version.parse().ok()
    } else {
        None
    }
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
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (text, after) = quoted
            .strip_prefix('"')
            .and_then(|text| text.split_once('"'))
            .ok_or_else(error)?;
        tags.push(if weak {
            Tag::Weak(text)
        } else {
            Tag::Strong(text)
        });
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if !rest.is_empty() {
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
        assert_eq!(
            if_match(&["W/\"3-ab\""]).unwrap(),
            Versions(vec![]),
            "weak tags never match"
        );
        assert_eq!(
            if_match(&["\"foreign\", \"-1-x\", \"+3-x\""]).unwrap(),
            Versions(vec![])
        );
        for bad in ["3-ab", "\"3-ab", "", "\"a\" \"b\"", ","] {
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
    }
}
