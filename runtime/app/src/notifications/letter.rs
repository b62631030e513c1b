//! Mail about notifications, one or several in a digest: its layout, and the links for unsubscribing.

use super::{
    Notifications,
    dispatch::{Item, Letter},
};
use crate::texts::Direction;
use delivery::mail::Mail;
use kernel::{Error, Result};
use minijinja::{Environment, UndefinedBehavior, context};
use std::sync::LazyLock;
use uuid::Uuid;

/// The texts around the messages of `spec/messages`, in each of their languages.
struct Layout {
    language: &'static str,
    /// The subject of a digest; `{}` is the number of messages.
    subject: &'static str,
    open: &'static str,
    leave: &'static str,
    stop: &'static str,
}

const LAYOUTS: &[Layout] = &[
    Layout {
        language: "en",
        subject: "{} news from CulturePass",
        open: "Open CulturePass",
        leave: "Leave the waiting list",
        stop: "No more mail like this",
    },
    Layout {
        language: "de",
        subject: "{} Neuigkeiten von CulturePass",
        open: "CulturePass öffnen",
        leave: "Die Warteliste verlassen",
        stop: "Keine solchen Mails mehr",
    },
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    for (name, source) in [
        ("letter.txt", include_str!("letter.txt")),
        ("letter.html", include_str!("letter.html")),
    ] {
        environment
            .add_template(name, source)
            .expect("a template can be read: a test tries each");
    }
    environment
});

impl Notifications {
    /// Composes the mail of a letter. The same letter always gives the same mail, so that a service can recognize a
    /// retry.
    pub(super) fn mail_of(&self, letter: &Letter) -> Result<Mail> {
        let stop = match letter.optional_types.as_slice() {
            [] => None,
            types => Some(self.unsubscribing.url(letter.member, &letter.to, types)),
        };
        let language = letter.locale.split('-').next().unwrap_or_default();
        let known = LAYOUTS.iter().find(|layout| layout.language == language);
        let layout = known.unwrap_or(&LAYOUTS[0]);
        let subject = match letter.items.as_slice() {
            [item] => item.title.clone(),
            items => layout.subject.replace("{}", &items.len().to_string()),
        };
        let items: Vec<_> = letter
            .items
            .iter()
            .map(|item| {
                let leave_link = item
                    .entry
                    .map(|entry| self.leaving.url(entry, &letter.to).to_string());
                let link = item.event.map(|event| self.page(event));
                context! { title => item.title.as_str(), text => item.text.as_str(), link, leave_link }
            })
            .collect();
        let values = context! {
            items,
            subject => subject.as_str(),
            language => layout.language,
            direction => Direction::of(layout.language).name(),
            open => layout.open,
            leave => layout.leave,
            // A mail about one event leads there, one about several things to the start page.
            link => match letter.items.as_slice() {
                [Item { event: Some(event), .. }] => self.page(*event),
                _ => self.link.to_string(),
            },
            stop => layout.stop,
            stop_link => stop.as_ref().map(|url| url.as_str()),
        };
        let fill = |name: &str| {
            let template = TEMPLATES.get_template(name).map_err(Error::internal)?;
            template.render(&values).map_err(Error::internal)
        };
        Ok(Mail {
            id: letter.delivery,
            to: letter.to.clone(),
            text: fill("letter.txt")?,
            html: Some(fill("letter.html")?),
            subject,
            unsubscribe: stop,
        })
    }

    /// The page of an event, as calendars name it.
    fn page(&self, event: Uuid) -> String {
        let base = self.link.as_str().trim_end_matches('/');
        format!("{base}/events/{event}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NO7: a language that is added to the messages must be added here, too.
    #[test]
    fn no7_every_language_of_the_messages_has_a_layout() {
        for message in generated::messages::MESSAGES {
            for wording in message.wordings {
                let language = wording.locale.split('-').next().unwrap();
                assert!(LAYOUTS.iter().any(|l| l.language == language), "{language}");
            }
        }
    }
}
