//! A message as it goes over the wire: headers and body by the rules of mail (RFC 5322, MIME).
//!
//! Headers are made by the library, which encodes or refuses what could end one.

use crate::mail::{Mail, Undelivered};
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
};
use std::str::FromStr;

/// Who mail comes from: `CulturePass <no-reply@example.org>`.
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
}

/// "Made by a machine: do not answer with an out-of-office note" (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Where to go, or POST, to get no more of these (RFC 2369).
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

/// A POST to it is enough (RFC 8058).
#[derive(Clone)]
struct OneClick;

impl Header for OneClick {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("List-Unsubscribe-Post")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "List-Unsubscribe=One-Click".to_owned())
    }
}

pub(crate) fn build(mail: Mail, from: &Sender) -> Result<Message, Undelivered> {
    let to: Address = mail
        .to
        .parse()
        .map_err(|_| Undelivered::Never("the address is not one".to_owned()))?;
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

    fn written(to: &str, subject: &str) -> Result<String, Undelivered> {
        let from: Sender = "Kultürpass, Inc <no-reply@example.org>"
            .parse()
            .or_else(|_| "\"Kultürpass, Inc\" <no-reply@example.org>".parse())
            .unwrap();
        let mail = Mail {
            id: Uuid::nil(),
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "Grüezi\n.\nunter einem Punkt".to_owned(),
            html: None,
            unsubscribe: None,
        };
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
