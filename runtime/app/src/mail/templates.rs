//! The mails about accounts: `spec/messages/account.yaml`, in the language of whoever reads them.

use crate::texts::{self, Direction};
use delivery::mail::Mail;
use kernel::{Error, Result, messages::Message};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    ConfirmSignUp,
    AlreadyMember,
    ResetPassword,
    ConfirmEmail,
    EmailChanged,
    PasswordChanged,
}

impl Template {
    pub const ALL: [Self; 6] = [
        Self::ConfirmSignUp,
        Self::AlreadyMember,
        Self::ResetPassword,
        Self::ConfirmEmail,
        Self::EmailChanged,
        Self::PasswordChanged,
    ];

    /// The name of its message in the spec.
    const fn name(self) -> &'static str {
        match self {
            Self::ConfirmSignUp => "confirm_sign_up",
            Self::AlreadyMember => "already_member",
            Self::ResetPassword => "reset_password",
            Self::ConfirmEmail => "confirm_email",
            Self::EmailChanged => "email_changed",
            Self::PasswordChanged => "password_replaced",
        }
    }

    /// Fills in the template in the language that is nearest to the locale. Returns an error if a value is missing,
    /// since an incomplete mail must not be sent.
    pub fn fill(self, to: &str, locale: &str, values: &BTreeMap<String, String>) -> Result<Mail> {
        fill(texts::mail(self.name())?, to, locale, values)
    }
}

fn fill(
    message: &Message,
    to: &str,
    locale: &str,
    values: &BTreeMap<String, String>,
) -> Result<Mail> {
    let values: Value = values
        .iter()
        .map(|(name, value)| (name.clone(), harmless(value)))
        .collect();
    // These mails name no times.
    let texts::Text {
        title,
        message: text,
        ..
    } = texts::write(message, &values, locale, "UTC")?;
    let text = text.trim_end().to_owned();
    let language = message.wording(locale).locale;
    let html = context! {
        language,
        direction => Direction::of(language).name(),
        subject => title.as_str(),
        paragraphs => text.split("\n\n").map(str::to_owned).collect::<Vec<_>>(),
        // The paragraph that consists of the link can be clicked.
        link => values["link"].as_str(),
    };
    let layout = LAYOUT.get_template(HTML).map_err(Error::internal)?;
    Ok(Mail {
        id: Uuid::now_v7(),
        to: harmless(to),
        text: format!("{text}\n"),
        html: Some(layout.render(html).map_err(Error::internal)?),
        subject: title,
        unsubscribe: None,
    })
}

const HTML: &str = "letter.html";

static LAYOUT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .add_template(HTML, include_str!("letter.html"))
        .expect("a template can be read: a test tries it");
    environment
});

/// Replaces line breaks and other control characters with blanks, so that a name can't start a new header or
/// paragraph; and so for characters that change the writing direction, which could make the rest of a line look
/// different.
fn harmless(value: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    value
        .chars()
        .map(|c| if c.is_control() || turns(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::messages::{Piece, ValueType, Wording};

    const LINK: &str = "https://x.test/#1";

    fn values(names: &[&str]) -> BTreeMap<String, String> {
        let all = [
            (
                "name",
                "Ana\r\nBcc: x@evil.test\u{202e}\u{2028}{{ hours }}<b>",
            ),
            ("link", LINK),
            ("handle", "ana"),
            ("hours", "24"),
            ("email", "a@b.test"),
        ];
        all.iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn all_values() -> BTreeMap<String, String> {
        values(&["name", "link", "handle", "hours", "email"])
    }

    #[test]
    fn no7_every_mail_fills_in_in_every_language() {
        let mut seen = Vec::new();
        for (template, language) in Template::ALL
            .into_iter()
            .flat_map(|template| texts::languages().map(move |language| (template, language)))
        {
            let mail = template.fill("a@b.test\r\nBcc: y@evil.test", language, &all_values());
            let mail = mail.unwrap_or_else(|error| panic!("{template:?} {language}: {error:?}"));
            assert!(!mail.to.contains('\n') && !mail.subject.contains('\n'));
            assert!(!mail.text.contains("\nBcc:") && !mail.text.contains('\u{202e}'));
            // An inserted value is not interpreted as a template, nor as HTML.
            assert_eq!(mail.text.contains("{{ hours }}"), mail.text.contains("Ana"));
            // Slashes are written as `&#x2f;`, which mail programs read as slashes.
            let html = mail.html.expect("a page").replace("&#x2f;", "/");
            assert!(!html.contains("<b>"));
            // The link is a paragraph of its own, in both forms.
            assert!(
                mail.text.contains(&format!("\n\n{LINK}\n")),
                "{}",
                mail.text
            );
            assert!(
                html.contains(&format!("<p><a href=\"{LINK}\">{LINK}</a></p>")),
                "{html}"
            );
            assert!(html.contains(&format!("<html lang=\"{language}\" dir=\"ltr\">")));
            seen.push((template.name(), mail.subject));
        }
        // Each language says it in its own words.
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), Template::ALL.len() * texts::languages().count());
        assert!(texts::languages().count() > 1);
        // Each mail of the spec is sent by somebody.
        for message in generated::messages::MAILS {
            assert!(
                Template::ALL
                    .iter()
                    .any(|template| template.name() == message.name)
            );
        }
    }

    #[test]
    fn no7_a_mail_is_in_the_nearest_language() {
        let subject = |locale: &str| {
            let mail = Template::ResetPassword.fill("a@b.test", locale, &all_values());
            mail.expect("a mail").subject
        };
        assert!(subject("de").starts_with("Wähle"));
        assert_eq!(subject("de-CH"), subject("de"));
        for other in ["en", "en-AU", "pt-BR", "zh-Hant-TW", ""] {
            assert!(subject(other).starts_with("Choose"), "{other}");
        }
    }

    /// A language that is written from right to left needs nothing but its texts.
    #[test]
    fn no7_a_mail_from_right_to_left_says_so() {
        let message = Message {
            name: "tried",
            ty: "account",
            values: &[("handle", ValueType::Text), ("link", ValueType::Text)],
            wordings: &[Wording {
                locale: "ar",
                title: &[Piece::Text("مرحبا")],
                text: &[
                    Piece::Text("مرحبا @"),
                    Piece::Value("handle"),
                    Piece::Text("\n\n"),
                    Piece::Value("link"),
                ],
                push: &[],
                email: &[],
            }],
        };
        let mail = fill(&message, "a@b.test", "ar-EG", &all_values()).expect("a mail");
        let html = mail.html.expect("a page");
        assert!(html.contains("<html lang=\"ar\" dir=\"rtl\">"), "{html}");
        assert!(mail.text.contains("@\u{2068}ana\u{2069}"));
        assert!(mail.text.ends_with(&format!("\n\n{LINK}\n")));
    }

    #[test]
    fn what_is_missing_is_an_error_and_no_hole_in_the_text() {
        for template in Template::ALL {
            let mail = template.fill("a@b.test", "de", &values(&[]));
            assert!(mail.is_err(), "{template:?}");
        }
    }
}
