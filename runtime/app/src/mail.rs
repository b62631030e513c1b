//! Mail: what is said (templates in `mail/`) and how it leaves.
//!
//! Knows addresses and texts, no tables. Texts of members are made harmless before they are put in.

mod senders;

pub use senders::{FileMailer, LogMailer};

use kernel::Result;
use std::{future::Future, pin::Pin};

/// A message ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

/// How mail leaves. Returns when the message is handed over.
pub trait Mailer: Send + Sync {
    fn send(&self, mail: Mail) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;
}

/// The mails there are. First line `Subject: …`, an empty line, the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    ConfirmSignUp,
    AlreadyMember,
    ResetPassword,
    ConfirmEmail,
    EmailChanged,
    PasswordChanged,
}

impl Template {
    fn source(self) -> &'static str {
        match self {
            Self::ConfirmSignUp => include_str!("mail/confirm_sign_up.txt"),
            Self::AlreadyMember => include_str!("mail/already_member.txt"),
            Self::ResetPassword => include_str!("mail/reset_password.txt"),
            Self::ConfirmEmail => include_str!("mail/confirm_email.txt"),
            Self::EmailChanged => include_str!("mail/email_changed.txt"),
            Self::PasswordChanged => include_str!("mail/password_changed.txt"),
        }
    }

    /// Fills the template in. Every `{{name}}` must have a value.
    pub fn fill(self, to: &str, values: &[(&str, &str)]) -> Mail {
        let (subject, text) = self
            .source()
            .split_once("\n\n")
            .expect("a template has a subject and a text");
        let subject = subject
            .strip_prefix("Subject: ")
            .expect("a template starts with its subject");
        Mail {
            to: harmless(to),
            subject: fill(subject, values),
            text: fill(text, values),
        }
    }
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 128);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("a placeholder is closed");
        let (_, value) = values
            .iter()
            .find(|(known, _)| *known == name)
            .expect("a placeholder has a value");
        out.push_str(before);
        out.push_str(&harmless(value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Without line breaks and other control characters: a name cannot begin a header or a paragraph.
fn harmless(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_fills_in() {
        let values = [
            ("name", "Ana\r\nBcc: x@evil.test"),
            ("link", "https://x.test/#1"),
            ("handle", "ana"),
            ("hours", "24"),
            ("email", "a@b.test"),
        ];
        for template in [
            Template::ConfirmSignUp,
            Template::AlreadyMember,
            Template::ResetPassword,
            Template::ConfirmEmail,
            Template::EmailChanged,
            Template::PasswordChanged,
        ] {
            let mail = template.fill("a@b.test\r\nBcc: y@evil.test", &values);
            assert!(!mail.to.contains('\n') && !mail.subject.contains('\n'));
            assert!(!mail.text.contains("\nBcc:") && !mail.text.contains("{{"));
        }
    }
}
