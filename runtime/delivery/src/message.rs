//! A message as it is transferred: headers and body by the rules of mail (RFC 5322, MIME).
//!
//! Headers are formatted by the library, which encodes or refuses characters that could end a header.

use crate::mail::{Mail, Undelivered};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
};
use serde_json::{Map, Value};
use std::str::FromStr;

/// The sender of mail: `CulturePass <no-reply@example.org>`.
#[derive(Clone, Debug)]
pub struct Sender(Mailbox);

impl FromStr for Sender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mailbox = text.parse().map(Self);
        mailbox.map_err(|_| format!("`{text}` is not like `CulturePass <no-reply@example.org>`"))
    }
}

impl Sender {
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    pub(crate) fn address(&self) -> &str {
        self.0.email.as_ref()
    }

    /// The sender as written in a header, in letters of any script.
    pub(crate) fn written(&self) -> String {
        self.0.to_string()
    }
}

/// The header that marks a message as automatic, so that no out-of-office reply is sent (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl AutoSubmitted {
    const VALUE: &str = "auto-generated";
}

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), Self::VALUE.to_owned())
    }
}

/// The header with the address by which to unsubscribe (RFC 2369).
#[derive(Clone)]
struct Unsubscribe(String);

impl Header for Unsubscribe {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(url: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(url.to_owned()))
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), format!("<{}>", self.0))
    }
}

/// The header saying that a POST to that address is enough to unsubscribe (RFC 8058).
#[derive(Clone)]
struct OneClick;

impl OneClick {
    const VALUE: &str = "List-Unsubscribe=One-Click";
}

impl Header for OneClick {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), Self::VALUE.to_owned())
    }
}

/// Parses a text that must be exactly one address.
pub(crate) fn address(text: &str) -> Result<Address, Undelivered> {
    let address = text.parse();
    address.map_err(|_| Undelivered::Never("the address is not one".to_owned()))
}

/// Turns a subject into a single line; services that format headers themselves are not relied on to do that.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || "\u{2028}\u{2029}".contains(c),
        " ",
    )
}

/// The headers that every message has besides those that the service sets itself.
pub(crate) fn headers(mail: &Mail) -> Map<String, Value> {
    let mut headers = Map::new();
    let mut add = |name: HeaderName, value: String| {
        headers.insert(name.to_string(), value.into());
    };
    add(AutoSubmitted::name(), AutoSubmitted::VALUE.to_owned());
    if let Some(url) = &mail.unsubscribe {
        add(Unsubscribe::name(), format!("<{url}>"));
        add(OneClick::name(), OneClick::VALUE.to_owned());
    }
    headers
}

pub(crate) fn build(mail: Mail, from: &Sender) -> Result<Message, Undelivered> {
    let to = address(&mail.to)?;
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{}>", mail.id, from.domain())))
        .date_now()
        .from(from.0.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject)
        .header(AutoSubmitted);
    if let Some(url) = &mail.unsubscribe {
        builder = builder
            .header(Unsubscribe(url.to_string()))
            .header(OneClick);
    }
    let message = match mail.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(mail.text, html)),
        None => builder.singlepart(SinglePart::plain(mail.text)),
    };
    message.map_err(|error| Undelivered::Never(format!("the message can't be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn plain(to: &str, subject: &str) -> Mail {
        Mail {
            id: Uuid::nil(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Grüezi\n.\nunter einem Punkt".to_owned(),
            html: None,
            unsubscribe: None,
        }
    }

    fn written(to: &str, subject: &str) -> Result<String, Undelivered> {
        formatted(plain(to, subject))
    }

    fn formatted(mail: Mail) -> Result<String, Undelivered> {
        let from: Sender = "Kultürpass, Inc <no-reply@example.org>"
            .parse()
            .or_else(|_| "\"Kultürpass, Inc\" <no-reply@example.org>".parse())
            .unwrap();
        build(mail, &from).map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn headers_are_ascii_and_say_what_they_have_to() {
        let text = written("ana@example.org", "Grüezi Ana").unwrap();
        assert!(text.is_ascii(), "{text}");
        for header in [
            "Message-ID: <00000000-0000-0000-0000-000000000000@example.org>",
            "Date: ",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "To: ana@example.org",
        ] {
            assert!(text.contains(header), "{header}: {text}");
        }
    }

    /// Long headers are folded; after unfolding (RFC 5322, 2.2.3) both are whole again.
    #[test]
    fn no10_a_long_way_to_unsubscribe_survives_folding() {
        let url = format!(
            "https://app.example.org/unsubscribe/{}",
            "abcdefgh".repeat(18)
        );
        assert_eq!(url.len(), 180);
        let mail = Mail {
            unsubscribe: Some(url.parse().unwrap()),
            html: Some("<p>Grüezi</p>".to_owned()),
            ..plain("ana@example.org", "Grüezi")
        };
        let text = formatted(mail).unwrap();
        assert!(text.is_ascii() && text.lines().all(|line| line.len() <= 998));
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let lines: Vec<&str> = unfolded.lines().collect();
        for expected in [
            format!("List-Unsubscribe: <{url}>"),
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click".to_owned(),
        ] {
            assert!(lines.contains(&expected.as_str()), "{expected}: {head}");
        }
        assert!(text.contains("multipart/alternative") && text.contains("text/html"));
    }

    #[test]
    fn nothing_begins_another_header() {
        for to in [
            "ana@example.org\r\nBcc: x@evil.test",
            "ana",
            "a b@example.org",
            "",
        ] {
            assert!(
                matches!(written(to, "x"), Err(Undelivered::Never(_))),
                "{to:?}"
            );
        }
        let text = written("ana@example.org", "Hello\r\nBcc: x@evil.test\r\n\r\nbody").unwrap();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            !headers.lines().any(|line| line.starts_with("Bcc")),
            "{headers}"
        );
    }
}
