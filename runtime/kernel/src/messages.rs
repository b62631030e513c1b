//! What members are told, as `spec/messages/` says it: plain data that is generated.
//!
//! Knows no member and no way to reach one.

/// A type of messages, as members choose which they want.
#[derive(Debug)]
pub struct Type {
    pub name: &'static str,
    pub doc: &'static str,
    /// Where they get it unless they say otherwise.
    pub channels: &'static [Channel],
    /// Where they get it whatever they say.
    pub always: &'static [Channel],
    /// Quiet hours do not hold it back.
    pub urgent: bool,
    /// Several of them are one mail.
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
    /// One per language, and per region that says it in its own way. `en` is among them.
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
    /// What a device says instead of the text; empty: the text.
    pub push: &'static [Piece],
    /// What a mail says instead of the text; empty: the text.
    pub email: &'static [Piece],
}

#[derive(Debug)]
pub enum Piece {
    Text(&'static str),
    /// The value of this name.
    Value(&'static str),
}

impl Message {
    /// In the language of a member, as near as there is: `de-CH`, then `de`, then `en`.
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
