//! The texts of notifications, and of mails about accounts: `spec/messages/<type>.yaml`.
//!
//! A file describes one type of messages, which members choose by, with its messages, their values and their texts in
//! each language. Everything is checked here, because a text that uses a missing value would otherwise be noticed only
//! when a member gets half a sentence. Knows nothing of entities.

use super::keys::{Keys, entries, name, scalar, words};
use super::yaml::{Node, Text};
use crate::diag::{Collector, Diagnostic, Span};
use crate::names;
use crate::phrase::Word;

const TYPE_KEYS: [&str; 8] = [
    "type", "doc", "to", "channels", "always", "urgent", "digest", "messages",
];
pub const CHANNELS: [&str; 3] = ["in_app", "push", "email"];
pub const VALUE_TYPES: [&str; 4] = ["text", "number", "money", "time"];
const TITLE_MAX: usize = 150;
const TEXT_MAX: usize = 2000;
/// Devices show little more, and FCM limits a message to 4 kB in total.
const PUSH_MAX: usize = 240;
const EMAIL_MAX: usize = 4000;
/// The language that every message must have, as the fallback for others.
const FIRST_LOCALE: &str = "en";

/// One file.
#[derive(Debug)]
pub struct MessageType {
    pub name: Word,
    pub doc: String,
    /// Its messages are mails to an address that may not be a member's. There is nothing to choose.
    pub to_address: bool,
    /// The channels that are used unless the member chose otherwise.
    pub channels: Vec<String>,
    /// The channels that the member can't switch off.
    pub always: Vec<String>,
    /// Sent during quiet hours too.
    pub urgent: bool,
    /// Several messages are combined in one mail.
    pub digest: bool,
    pub messages: Vec<Message>,
}

#[derive(Debug)]
pub struct Message {
    pub name: Word,
    pub doc: String,
    /// Name and type.
    pub values: Vec<(Word, String)>,
    pub wordings: Vec<Wording>,
}

/// A message in one language.
#[derive(Debug)]
pub struct Wording {
    pub locale: Word,
    pub title: Vec<Piece>,
    pub text: Vec<Piece>,
    /// The text for push messages. Empty: the same as the text.
    pub push: Vec<Piece>,
    /// The text for mails. Empty: the same as the text.
    pub email: Vec<Piece>,
}

impl Wording {
    fn pieces(&self) -> impl Iterator<Item = &Piece> {
        let parts = [&self.title, &self.text, &self.push, &self.email];
        parts.into_iter().flatten()
    }
}

#[derive(Debug)]
pub enum Piece {
    Text(String),
    Value(Word),
}

pub fn read(stem: &str, tree: &Node, errors: &Collector) -> Option<MessageType> {
    let keys = Keys::of(tree, "a type of messages", &TYPE_KEYS, errors)?;
    keys.required("type", "add `type: <type>`, the name of the file");
    keys.required(
        "doc",
        "add `doc:` with a sentence that says what it is about",
    );
    let to_address = to_address(&keys);
    if !to_address {
        keys.required(
            "channels",
            "add `channels: [in_app]`, where members get it unless they say otherwise",
        );
    }
    keys.required("messages", "add `messages:` with one message at least");
    let channels = channels(&keys, "channels");
    let always = channels_in(channels.as_slice(), &keys);
    let name = super::keys::name_of(keys.text("type", "write a name"), errors)?;
    if name.it != stem {
        errors.push(
            Diagnostic::at(
                name.span,
                format!("`{}` stands in the file `{stem}.yaml`", name.it),
            )
            .help("a file is called like the type in it"),
        );
    }
    let messages = keys.get("messages").map(|node| messages(node, errors));
    if to_address {
        let messages = messages.iter().flatten();
        messages.for_each(|message| whole_in_each(message, errors));
    }
    Some(MessageType {
        doc: sentence(&keys),
        to_address,
        channels,
        always,
        urgent: flag(&keys, "urgent"),
        digest: flag(&keys, "digest"),
        messages: messages.unwrap_or_default(),
        name,
    })
}

/// `to: address`, beside which nothing can be said about channels.
fn to_address(keys: &Keys) -> bool {
    let help = "write `address`, or leave the key out";
    let Some(to) = keys.text("to", help) else {
        return false;
    };
    if to.value != "address" {
        let said = format!("`{}` is not `address`", to.value);
        keys.errors.push(Diagnostic::at(to.span, said).help(help));
    }
    for key in ["channels", "always", "urgent", "digest"] {
        if let Some(node) = keys.get(key) {
            keys.errors.push(
                Diagnostic::at(node.span(), format!("`{key}` beside `to: address`"))
                    .help("leave it out: such a message is a mail, and is sent at once"),
            );
        }
    }
    true
}

/// A mail to an address is all that its reader gets, so no language may leave a value out, such as the link; and there
/// are no other channels with texts of their own.
fn whole_in_each(message: &Message, errors: &Collector) {
    for wording in &message.wordings {
        let says = |value: &str| {
            let mut pieces = wording.pieces();
            pieces.any(|piece| matches!(piece, Piece::Value(name) if name.it == value))
        };
        for (name, _) in message.values.iter().filter(|(name, _)| !says(&name.it)) {
            let said = format!(
                "the text in `{}` does not name `{}`",
                wording.locale.it, name.it
            );
            errors.push(
                Diagnostic::at(wording.locale.span, said)
                    .also(name.span, "a value of the message")
                    .help(format!("add `{{{{ {} }}}}`", name.it)),
            );
        }
        if !(wording.push.is_empty() && wording.email.is_empty()) {
            errors.push(
                Diagnostic::at(wording.locale.span, "a second text of a mail".to_owned())
                    .help("leave `push` and `email` out: `text` is the text of the mail"),
            );
        }
    }
}

/// Checks that need all files: duplicate names, and languages that one message has and another lacks.
pub fn check(types: &[MessageType], errors: &Collector) {
    let all = || types.iter().flat_map(|ty| &ty.messages);
    for (n, message) in all().enumerate() {
        if let Some(first) = all().take(n).find(|first| first.name.it == message.name.it) {
            errors.push(
                Diagnostic::at(
                    message.name.span,
                    format!("a second message `{}`", message.name.it),
                )
                .also(first.name.span, "the first one")
                .help("call one of the two otherwise"),
            );
        }
    }
    // A regional variant (`en-AU`) may replace some texts; a language must have all of them.
    let mut languages: Vec<&Word> = Vec::new();
    for wording in all().flat_map(|message| &message.wordings) {
        let known = languages.iter().any(|known| known.it == wording.locale.it);
        if !wording.locale.it.contains('-') && !known {
            languages.push(&wording.locale);
        }
    }
    for message in all() {
        same_channels(message, errors);
        for language in &languages {
            let says = |wording: &Wording| wording.locale.it == language.it;
            if !message.wordings.iter().any(says) {
                errors.push(
                    Diagnostic::at(
                        message.name.span,
                        format!("`{}` has no text in `{}`", message.name.it, language.it),
                    )
                    .also(language.span, "another message has one")
                    .help(format!("add `{}: {{title: …, text: …}}`", language.it)),
                );
            }
        }
    }
}

/// If a message has a text for mails in one language, it must have one in all languages.
fn same_channels(message: &Message, errors: &Collector) {
    type Part = (&'static str, fn(&Wording) -> bool);
    let parts: [Part; 2] = [
        ("push", |wording| !wording.push.is_empty()),
        ("email", |wording| !wording.email.is_empty()),
    ];
    for (name, has) in parts {
        let Some(first) = message.wordings.iter().find(|wording| has(wording)) else {
            continue;
        };
        for wording in message.wordings.iter().filter(|wording| !has(wording)) {
            errors.push(
                Diagnostic::at(
                    wording.locale.span,
                    format!(
                        "`{}` has no `{name}` in `{}`",
                        message.name.it, wording.locale.it
                    ),
                )
                .also(first.locale.span, "here it has one")
                .help(format!("add `{name}: …`, or leave it out everywhere")),
            );
        }
    }
}

fn sentence(keys: &Keys) -> String {
    let text = keys.text("doc", "write a sentence");
    text.map(|text| text.value.clone()).unwrap_or_default()
}

fn flag(keys: &Keys, key: &str) -> bool {
    match keys.text(key, "write `true`, or leave the key out") {
        None => false,
        Some(text) if text.value == "true" => true,
        Some(text) => {
            keys.errors.push(
                Diagnostic::at(text.span, format!("`{}` is not `true`", text.value))
                    .help("write `true`, or leave the key out"),
            );
            false
        }
    }
}

fn channels(keys: &Keys, key: &str) -> Vec<String> {
    let help = "write some of `[in_app, push, email]`";
    let mut found = Vec::new();
    for word in keys.words(key, help) {
        match CHANNELS.contains(&word.it.as_str()) {
            true => found.push(word.it),
            false => keys.errors.push(
                Diagnostic::at(word.span, format!("unknown channel `{}`", word.it))
                    .help(names::suggest(&word.it, CHANNELS, "channels")),
            ),
        }
    }
    found
}

fn channels_in(channels: &[String], keys: &Keys) -> Vec<String> {
    let Some(node) = keys.get("always") else {
        return Vec::new();
    };
    let help = "write some of those under `channels`";
    let always = words(node, "`always`", help, keys.errors);
    for word in &always {
        if !channels.contains(&word.it) {
            keys.errors.push(
                Diagnostic::at(word.span, format!("`{}` is not under `channels`", word.it))
                    .help(help),
            );
        }
    }
    always.into_iter().map(|word| word.it).collect()
}

fn messages(node: &Node, errors: &Collector) -> Vec<Message> {
    let help = "one message per entry, with `doc`, `values` and a text per language";
    let entries = entries(node, "`messages`", help, errors);
    let read = entries.iter().filter_map(|(key, node)| {
        let name = name(key, errors)?;
        message(name, node, errors)
    });
    read.collect()
}

fn message(name: Word, node: &Node, errors: &Collector) -> Option<Message> {
    let help = "write `doc`, `values` and a text per language";
    let before = errors.count();
    let mut doc = String::new();
    let mut values = Vec::new();
    let mut wordings = Vec::new();
    for (key, node) in entries(node, "a message", help, errors) {
        match key.value.as_str() {
            "doc" => {
                let text = scalar(node, "`doc`", "write a sentence", errors);
                doc = text.map(|text| text.value.clone()).unwrap_or_default();
            }
            "values" => values = typed(node, errors),
            _ if is_locale(&key.value) => wordings.extend(wording(key, node, errors)),
            _ => errors.push(
                Diagnostic::at(key.span, format!("`{}` is no language", key.value))
                    .help("write `doc`, `values`, or a language: `en`, `de`, `en-AU`"),
            ),
        }
    }
    let message = Message {
        name,
        doc,
        values,
        wordings,
    };
    // If a text can't be parsed, nothing else is known about it.
    if errors.count() == before {
        held_to_values(&message, errors);
    }
    Some(message)
}

fn typed(node: &Node, errors: &Collector) -> Vec<(Word, String)> {
    let help = "write `{event: text, starts: time}`";
    let mut values = Vec::new();
    for (key, node) in entries(node, "`values`", help, errors) {
        let Some(ty) = scalar(node, "the type of a value", help, errors) else {
            continue;
        };
        if !VALUE_TYPES.contains(&ty.value.as_str()) {
            errors.push(
                Diagnostic::at(ty.span, format!("unknown type `{}`", ty.value))
                    .help(names::suggest(&ty.value, VALUE_TYPES, "types of values")),
            );
            continue;
        }
        values.extend(name(key, errors).map(|name| (name, ty.value.clone())));
    }
    values
}

/// `en`, `pt-BR`, `zh-Hant`
fn is_locale(word: &str) -> bool {
    let (language, region) = word
        .split_once('-')
        .map_or((word, None), |(l, r)| (l, Some(r)));
    let letters = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_lowercase())
        && region.is_none_or(|region| (2..=8).contains(&region.len()) && letters(region))
}

fn wording(key: &Text, node: &Node, errors: &Collector) -> Option<Wording> {
    let keys = Keys::of(node, "a text", &["title", "text", "push", "email"], errors)?;
    keys.required("title", "add `title:`, one line that says it");
    keys.required("text", "add `text:`, the whole of it");
    let part = |name: &str, most: usize, lines: bool| {
        let text = keys.text(name, "write a text")?;
        let said = match () {
            _ if text.value.chars().count() > most => {
                Some(format!("this is longer than {most} characters"))
            }
            _ if !lines && text.value.contains('\n') => Some(format!("`{name}` is one line")),
            _ => None,
        };
        if let Some(said) = said {
            errors.push(Diagnostic::at(text.span, said).help("say it shorter"));
        }
        errors.keep(pieces(text))
    };
    let own = |name: &str, most: usize, lines: bool| match keys.get(name) {
        Some(_) => part(name, most, lines),
        None => Some(Vec::new()),
    };
    Some(Wording {
        locale: Word {
            it: key.value.clone(),
            span: key.span,
        },
        title: part("title", TITLE_MAX, false)?,
        text: part("text", TEXT_MAX, true)?,
        push: own("push", PUSH_MAX, false)?,
        email: own("email", EMAIL_MAX, true)?,
    })
}

/// `"{{ event }} begins {{ starts }}"`
fn pieces(text: &Text) -> Result<Vec<Piece>, Diagnostic> {
    let place = |at: usize, len: usize| match text.phrase_start {
        Some(start) => Span {
            start: start + at,
            end: start + at + len,
            ..text.span
        },
        None => text.span,
    };
    let wrong = |at: usize, len: usize, said: &str| {
        Diagnostic::at(place(at, len), said.to_owned())
            .help("a value is written `{{ name }}`, and braces mean nothing else")
    };
    let mut pieces = Vec::new();
    let (mut at, mut rest) = (0, text.value.as_str());
    while let Some(open) = rest.find(['{', '}']) {
        let Some(inner) = rest[open..].strip_prefix("{{") else {
            return Err(wrong(at + open, 1, "a single brace"));
        };
        let Some(close) = inner.find("}}") else {
            return Err(wrong(at + open, 2, "these braces do not end"));
        };
        let name = inner[..close].trim();
        if !names::is_name(name) {
            return Err(wrong(
                at + open,
                close + 4,
                "this is not the name of a value",
            ));
        }
        if open > 0 {
            pieces.push(Piece::Text(rest[..open].to_owned()));
        }
        pieces.push(Piece::Value(Word {
            it: name.to_owned(),
            span: place(at + open, close + 4),
        }));
        let end = open + 2 + close + 2;
        (at, rest) = (at + end, &rest[end..]);
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// Texts may only use declared values, and each declared value must be used.
fn held_to_values(message: &Message, errors: &Collector) {
    let known = || message.values.iter().map(|(name, _)| name.it.as_str());
    for wording in &message.wordings {
        for piece in wording.pieces() {
            let Piece::Value(name) = piece else { continue };
            if !known().any(|value| value == name.it) {
                let told = format!(
                    "the text names `{}`, which is no value of `{}`",
                    name.it, message.name.it
                );
                let help = names::suggest(&name.it, known(), "values");
                errors.push(Diagnostic::at(name.span, told).help(help));
            }
        }
    }
    let named = |value: &str| {
        let pieces = message.wordings.iter().flat_map(Wording::pieces);
        pieces
            .into_iter()
            .any(|piece| matches!(piece, Piece::Value(name) if name.it == value))
    };
    for (name, _) in message.values.iter().filter(|(name, _)| !named(&name.it)) {
        errors.push(
            Diagnostic::at(name.span, format!("no text names `{}`", name.it))
                .help("leave it out, or say it"),
        );
    }
    if !message.wordings.iter().any(|w| w.locale.it == FIRST_LOCALE) {
        errors.push(
            Diagnostic::at(
                message.name.span,
                format!("`{}` has no text in `en`", message.name.it),
            )
            .help("add `en: {title: …, text: …}`: others fall back to it"),
        );
    }
}
