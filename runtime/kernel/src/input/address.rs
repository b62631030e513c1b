//! E-mail and web addresses. Internationalised hosts are stored in the ASCII form that mail and name servers use
//! (`xn--…`), so that one written with Cyrillic letters can't be mistaken for one in Latin letters.

use super::line::{is_hidden, is_joiner};
use std::borrow::Cow;

/// `bücher.example` → `xn--bcher-kva.example`
pub fn ascii_host(host: &str) -> Option<String> {
    match url::Host::parse(host).ok()? {
        url::Host::Domain(domain) => Some(domain),
        _ => None,
    }
}

/// A name with a dot in it, as the public internet has them.
pub fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && host.split('.').all(host_label)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

pub fn normal_email(text: &str) -> String {
    let text = text.trim();
    let host = |host: &str| ascii_host(host).filter(|_| !host.is_ascii());
    match text
        .rsplit_once('@')
        .map(|(local, domain)| (local, host(domain)))
    {
        Some((local, Some(domain))) => format!("{local}@{domain}"),
        _ => text.to_owned(),
    }
}

pub fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_char = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.bytes().all(local_char)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(host_label)
}

fn host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Scheme and host in lower-case ASCII, the rest as it was sent, with invisible characters percent-encoded. A text
/// without a scheme that begins with the name of a host is an address too.
pub fn normal_url(text: &str) -> String {
    let text = text.trim();
    if begins_with_host(text) {
        return normal_url(&format!("https://{text}"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end);
    let is_web = ["https", "http"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s));
    let is_normal = |c: char| c.is_ascii() && !c.is_ascii_uppercase();
    if !is_web
        || host.contains('@')
        || (scheme.chars().all(is_normal) && host.chars().all(is_normal))
    {
        return match is_web {
            true => format!("{scheme}://{host}{}", shown(rest)),
            false => text.to_owned(),
        };
    }
    let scheme = scheme.to_ascii_lowercase();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => {
            (name, format!(":{port}"))
        }
        _ => (host, String::new()),
    };
    match url::Host::parse(name) {
        Ok(host) => format!("{scheme}://{host}{port}{}", shown(rest)),
        Err(_) => text.to_owned(),
    }
}

/// `example.org`, `www.example.org:8080/page`: what people paste from cards and posters.
fn begins_with_host(text: &str) -> bool {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let name = match text[..end].rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => &text[..end],
    };
    ascii_host(name).is_some_and(|host| is_host(&host)) && !name.contains(char::is_whitespace)
}

/// Characters that are invisible, or change the direction of writing, percent-encoded as browsers send them: the address
/// means the same, and shows what it holds. Control characters stay, and are refused.
fn shown(rest: &str) -> Cow<'_, str> {
    let hides = |c: char| (is_hidden(c) && !c.is_control()) || is_joiner(c);
    if !rest.contains(hides) {
        return Cow::Borrowed(rest);
    }
    let mut text = String::with_capacity(rest.len() + 8);
    for c in rest.chars() {
        match hides(c) {
            true => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    text.push_str(&format!("%{byte:02X}"));
                }
            }
            false => text.push(c),
        }
    }
    Cow::Owned(text)
}

/// Credentials are refused, because they would be stored and shown to everybody.
pub fn url(text: &str, schemes: &[&str]) -> bool {
    if text.chars().count() > 2000
        || text
            .chars()
            .any(|c| {
                c.is_whitespace() || is_hidden(c) || is_joiner(c) || "<>\"\\^`{|}".contains(c)
            })
        // Many programs end a text at a NUL, also at a decoded one.
        || text.contains("%00")
    {
        return false;
    }
    // The parser forgives `https:example.org` and upper-case schemes; the database's CHECK does not.
    let Some(scheme) = schemes.iter().find(|s| {
        text.strip_prefix(**s)
            .is_some_and(|rest| rest.starts_with("://"))
    }) else {
        return false;
    };
    url::Url::parse(text).is_ok_and(|url| {
        url.scheme() == *scheme
            && url.host_str().is_some_and(|host| !host.is_empty())
            && !authority(text).is_empty()
            && !authority(text).contains('@')
    })
}

/// Checks the text as it was sent, because the parser drops empty credentials.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
