//! The mail templates, which are files beside this one: first a line `Subject: …`, then an empty line and the text.

use delivery::mail::Mail;
use minijinja::{Environment, UndefinedBehavior, Value, value::Kwargs};
use serde::{Deserialize, Serialize};
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

    fn source(self) -> &'static str {
        match self {
            Self::ConfirmSignUp => include_str!("confirm_sign_up.txt"),
            Self::AlreadyMember => include_str!("already_member.txt"),
            Self::ResetPassword => include_str!("reset_password.txt"),
            Self::ConfirmEmail => include_str!("confirm_email.txt"),
            Self::EmailChanged => include_str!("email_changed.txt"),
            Self::PasswordChanged => include_str!("password_changed.txt"),
        }
    }

    fn name(self) -> String {
        format!("{self:?}")
    }

    /// Fills in the template. Returns an error if a value is missing, since an incomplete mail must not be sent.
    pub fn fill(
        self,
        to: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<Mail, minijinja::Error> {
        let values = values.iter();
        let values = values.map(|(name, value)| (name.clone(), Value::from(harmless(value))));
        let text = TEMPLATES
            .get_template(&self.name())?
            .render(values.collect::<Kwargs>())?;
        let (subject, text) = text
            .split_once("\n\n")
            .expect("a template has a subject and a text");
        let subject = subject
            .strip_prefix("Subject: ")
            .expect("a template starts with its subject");
        Ok(Mail {
            id: Uuid::now_v7(),
            to: harmless(to),
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: None,
            unsubscribe: None,
        })
    }
}

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for template in Template::ALL {
        environment
            .add_template_owned(template.name(), template.source())
            .expect("a template can be read: a test tries each");
    }
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

    fn values(names: &[&str]) -> BTreeMap<String, String> {
        let all = [
            ("name", "Ana\r\nBcc: x@evil.test\u{202e}\u{2028}{{ hours }}"),
            ("link", "https://x.test/#1"),
            ("handle", "ana"),
            ("hours", "24"),
            ("email", "a@b.test"),
        ];
        all.iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_template_fills_in() {
        for template in Template::ALL {
            let mail = template.fill(
                "a@b.test\r\nBcc: y@evil.test",
                &values(&["name", "link", "handle", "hours", "email"]),
            );
            let mail = mail.unwrap_or_else(|error| panic!("{template:?}: {error}"));
            assert!(!mail.to.contains('\n') && !mail.subject.contains('\n'));
            assert!(!mail.text.contains("\nBcc:") && !mail.text.contains('\u{202e}'));
            // An inserted value is not interpreted as a template.
            assert_eq!(mail.text.contains("{{ hours }}"), mail.text.contains("Ana"));
        }
    }

    #[test]
    fn what_is_missing_is_an_error_and_no_hole_in_the_text() {
        for template in Template::ALL {
            assert!(
                template.fill("a@b.test", &values(&[])).is_err(),
                "{template:?}"
            );
        }
    }
}
