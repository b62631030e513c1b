//! Texts of notifications, generated from `spec/messages/` as plain data.
//!
//! Knows no member and no channel.

/// A type of messages. Members choose by type which they want.
#[derive(Debug)]
pub struct Type {
    pub name: &'static str,
    pub doc: &'static str,
    /// The channels that are used unless the member chose otherwise.
    pub channels: &'static [Channel],
    /// The channels that the member can't switch off.
    pub always: &'static [Channel],
    /// Whether it is sent during quiet hours too.
    pub urgent: bool,
    /// Whether several messages are combined in one mail.
    pub digest: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    InApp,
    Push,
    Email,
}

#[derive(Debug)]
pub struct Message {
    pub name: &'static str,
    /// The name of its [`Type`].
    pub ty: &'static str,
    pub values: &'static [(&'static str, ValueType)],
    /// One per language, and one per region that has a variant of its own. `en` is always among them.
    pub wordings: &'static [Wording],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Text,
    Number,
    Money,
    Time,
}

#[derive(Debug)]
pub struct Wording {
    pub locale: &'static str,
    pub title: &'static [Piece],
    pub text: &'static [Piece],
    /// The text for push messages; empty: the same as the text.
    pub push: &'static [Piece],
    /// The text for mails; empty: the same as the text.
    pub email: &'static [Piece],
}

#[derive(Debug)]
pub enum Piece {
    Text(&'static str),
    /// The value of this name.
    Value(&'static str),
}

impl Message {
    /// The text in the closest language to the member's: `de-CH`, then `de`, then `en`.
    pub fn wording(&self, locale: &str) -> &'static Wording {
        let find = |wanted: &str| {
            let mut wordings = self.wordings.iter();
            wordings.find(|wording| wording.locale.eq_ignore_ascii_case(wanted))
        };
        let mut wanted = locale;
        loop {
            if let Some(wording) = find(wanted) {
                return wording;
            }
            match wanted.rsplit_once('-') {
                Some((shorter, _)) => wanted = shorter,
                None => return find("en").expect("the generator demands a text in `en`"),
            }
        }
    }
}

impl Channel {
    /// As in the spec and in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InApp => "in_app",
            Self::Push => "push",
            Self::Email => "email",
        }
    }
}
