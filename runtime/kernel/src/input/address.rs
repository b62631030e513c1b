//! E-mail and web addresses. Internationalised hosts are stored in the ASCII form that mail and name servers use
//! (`xn--…`), so that one written with Cyrillic letters can't be mistaken for one in Latin letters.

use std::borrow::Cow;

/// `bücher.example` → `xn--bcher-kva.example`
pub fn ascii_host(host: &str) -> Option<String> {
    match url::Host::parse(host).ok()? {
        url::Host::Domain(domain) => Some(domain),
        _ => None,
    }
}

pub const EMAIL_MAX: u32 = 254;
pub const URL_MAX: u32 = 2000;

const MAILTO: &str = "mailto:";

/// A name with a dot in it, as the public internet has them.
pub fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && host.split('.').all(host_label)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// A link to an address (`mailto:ana@example.org?subject=…`) is that address, and so is what mail programs copy
/// (`Ana Costa <ana@example.org>`). In lower case: no mail service tells addresses apart by their capitals.
pub fn normal_email(text: &str) -> String {
    let text = bracketed(text.trim());
    let text = match text.split_at_checked(MAILTO.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(MAILTO) => {
            rest.split('?').next().unwrap_or_default()
        }
        _ => text,
    };
    // Some keyboards type it in the width of Chinese and Japanese letters.
    let text = text.replace('＠', "@");
    let host = |host: &str| ascii_host(host).filter(|_| !host.is_ascii());
    match text
        .rsplit_once('@')
        .map(|(local, domain)| (local, host(domain)))
    {
        Some((local, Some(domain))) => format!("{local}@{domain}").to_ascii_lowercase(),
        _ => text.to_ascii_lowercase(),
    }
}

/// `<https://example.org>`, `"https://example.org"`: the brackets and quotation marks that stand around addresses in
/// texts (RFC 3986, appendix C).
pub fn undelimited(text: &str) -> &str {
    let pairs = [('<', '>'), ('"', '"'), ('“', '”'), ('„', '“'), ('«', '»')];
    let inside = |(open, close)| text.strip_prefix(open)?.strip_suffix(close);
    pairs.into_iter().find_map(inside).map_or(text, str::trim)
}

pub fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let local_char = |b: u8| is_lower(b) || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    text.len() <= EMAIL_MAX as usize
        && (1..=64).contains(&local.len())
        && local.bytes().all(local_char)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && is_host(domain)
        && !domain.bytes().any(|b| b.is_ascii_uppercase())
        // `xn--…` that stands for nothing.
        && ascii_host(domain).is_some()
}

/// Scheme and host in lower-case ASCII, and the rest percent-encoded where RFC 3986 demands it: the address means the
/// same, every program can read it, and it shows what it holds. A text without a scheme that begins
/// with the name of a host is an address too.
pub fn normal_url(text: &str) -> String {
    let text = undelimited(text.trim());
    if begins_with_host(text) {
        return normal_url(&format!("https://{text}"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let (authority, rest) = at_path(rest);
    let (name, port) = at_port(authority);
    // The port that a browser takes without being told.
    let port = match (scheme.as_str(), port) {
        ("https", ":443") | ("http", ":80") => "",
        _ => port,
    };
    match site(name).filter(|_| is_web(&scheme)) {
        Some(host) => format!("{scheme}://{host}{port}{}", encoded(rest)),
        None => text.to_owned(),
    }
}

/// Whether the text is a URL in the form of [`normal_url`]. Credentials are refused, because they would be stored and
/// shown to everybody.
pub fn url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (authority, path) = at_path(rest);
    let (name, port) = at_port(authority);
    let number = port
        .strip_prefix(':')
        .map(|digits| (digits.len(), digits.parse::<u16>()));
    text.len() <= URL_MAX as usize
        && schemes.contains(&scheme)
        && site(name).is_some_and(|host| host == name)
        && number.is_none_or(|(length, port)| length <= 5 && port.is_ok())
        && is_rest(path)
        // Many programs end a text at a NUL, also at a decoded one.
        && !text.contains("%00")
}

/// The address in the angle brackets at the end. With more than one pair there is more than one address; a line break
/// before it may be an attempt to add a header to a mail.
fn bracketed(text: &str) -> &str {
    let inside = text
        .strip_suffix('>')
        .and_then(|text| text.split_once('<'))
        .filter(|(name, _)| !name.contains(char::is_control))
        .map(|(_, inside)| inside.trim());
    inside
        .filter(|inside| !inside.contains(['<', '>']))
        .unwrap_or(text)
}

fn host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `example.org`, `www.example.org:8080/page`: what people paste from cards and posters.
fn begins_with_host(text: &str) -> bool {
    let (name, _) = at_port(at_path(text).0);
    ascii_host(name).is_some_and(|host| is_host(&host)) && !name.contains(char::is_whitespace)
}

fn is_web(scheme: &str) -> bool {
    ["https", "http"].contains(&scheme)
}

/// Host and port, and what follows them.
fn at_path(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// The host, and the port with its colon. Colons within an address of IPv6 are none of a port.
fn at_port(authority: &str) -> (&str, &str) {
    match authority.rfind(':') {
        Some(at) if authority[at + 1..].bytes().all(|b| b.is_ascii_digit()) => {
            authority.split_at(at)
        }
        _ => (authority, ""),
    }
}

/// The host of a web page in the form that is stored: a name with a dot in it, or an IP address. Parsers of URLs take much
/// more, such as `example.org)` and `1`, which is the address 0.0.0.1.
fn site(name: &str) -> Option<String> {
    match url::Host::parse(name).ok()? {
        url::Host::Domain(domain) => is_site(&domain).then_some(domain),
        url::Host::Ipv4(address) => Some(address.to_string()).filter(|address| address == name),
        url::Host::Ipv6(address) => Some(format!("[{address}]")),
    }
}

/// As [`is_host`], and with `_`, which pages of some services have in their names; or `localhost`, where pages run in
/// development, to which a payment returns.
fn is_site(host: &str) -> bool {
    if host == "localhost" {
        return true;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    host.contains('.')
        && (host.split('.')).all(|label| host_label(&label.replace('_', "0")))
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Percent-encoded as RFC 3986 demands it, of which browsers do the most: programs that parse strictly must be able to
/// read what others have written. Also brackets, signs of percent that encode nothing, and a second `#`. Blanks, control
/// characters, angle brackets and backslashes stay, and are refused: they come from the text around an address.
fn encoded(rest: &str) -> Cow<'_, str> {
    if is_rest(rest) {
        return Cow::Borrowed(rest);
    }
    let mut text = String::with_capacity(rest.len() + 8);
    let mut is_in_fragment = false;
    for (at, c) in rest.char_indices() {
        let stays = match c {
            '%' => is_escape(&rest.as_bytes()[at..]),
            '#' => !std::mem::replace(&mut is_in_fragment, true),
            c if c.is_ascii() => !"\"[]^`{|}".contains(c),
            c => c.is_whitespace() || c.is_control(),
        };
        match stays {
            true => text.push(c),
            false => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    text.push_str(&format!("%{byte:02X}"));
                }
            }
        }
    }
    Cow::Owned(text)
}

/// Whether what follows the host of an address is what RFC 3986 allows there.
fn is_rest(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    let is_char = |b: u8| b.is_ascii_graphic() && !b"\"<>[]\\^`{|}".contains(&b);
    bytes.iter().all(|b| is_char(*b))
        && bytes.iter().filter(|b| **b == b'#').count() <= 1
        && (0..bytes.len()).all(|at| bytes[at] != b'%' || is_escape(&bytes[at..]))
}

/// Whether the bytes begin with `%` and two hexadecimal digits.
fn is_escape(bytes: &[u8]) -> bool {
    let digits = bytes.get(1..3);
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}
