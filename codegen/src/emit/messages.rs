//! `generated/src/messages.rs`: the texts of notifications and of mails about accounts, in all languages.

use super::rust::{header, text};
use crate::spec::{Message, MessageType, Piece, Wording};

/// Path below `generated/`, and the file's text.
pub fn file(types: &[MessageType]) -> (String, String) {
    let mut out = header("messages/*.yaml");
    out.push_str("//! What members are told: types of messages, and the messages of each in every language.\n\n");
    out.push_str("use kernel::messages::{Channel, Message, Piece, Type, ValueType, Wording};\n\n");
    out.push_str("/// As members choose which they want.\n#[rustfmt::skip]\npub static TYPES: &[Type] = &[\n");
    let chosen = || types.iter().filter(|ty| !ty.to_address);
    for ty in chosen() {
        out.push_str(&format!(
            "    Type {{ name: {:?}, doc: {}, channels: &[{}], always: &[{}], urgent: {}, digest: {} }},\n",
            ty.name.it,
            text(&ty.doc),
            channels(&ty.channels),
            channels(&ty.always),
            ty.urgent,
            ty.digest,
        ));
    }
    out.push_str("];\n\n/// All of them, in the order of their types.\n#[rustfmt::skip]\npub static MESSAGES: &[Message] = &[\n");
    all(chosen(), &mut out);
    out.push_str("];\n\n/// Mails to addresses that may not be a member's.\n#[rustfmt::skip]\npub static MAILS: &[Message] = &[\n");
    all(types.iter().filter(|ty| ty.to_address), &mut out);
    out.push_str("];\n");
    ("src/messages.rs".into(), out)
}

fn all<'a>(types: impl Iterator<Item = &'a MessageType>, out: &mut String) {
    for ty in types {
        ty.messages.iter().for_each(|message| one(ty, message, out));
    }
}

fn one(ty: &MessageType, message: &Message, out: &mut String) {
    let values = message.values.iter();
    let values: Vec<String> = values
        .map(|(name, ty)| format!("({:?}, ValueType::{})", name.it, crate::names::pascal(ty)))
        .collect();
    out.push_str(&format!(
        "    // {}\n    Message {{\n        name: {:?},\n        ty: {:?},\n        values: &[{}],\n        wordings: &[\n",
        message.doc,
        message.name.it,
        ty.name.it,
        values.join(", ")
    ));
    for Wording {
        locale,
        title,
        text,
        push,
        email,
    } in &message.wordings
    {
        out.push_str(&format!(
            "            Wording {{ locale: {:?}, title: {}, text: {}, push: {}, email: {} }},\n",
            locale.it,
            pieces(title),
            pieces(text),
            pieces(push),
            pieces(email)
        ));
    }
    out.push_str("        ],\n    },\n");
}

fn pieces(pieces: &[Piece]) -> String {
    let pieces: Vec<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(value) => format!("Piece::Text({value:?})"),
            Piece::Value(name) => format!("Piece::Value({:?})", name.it),
        })
        .collect();
    format!("&[{}]", pieces.join(", "))
}

fn channels(channels: &[String]) -> String {
    let variants: Vec<String> = channels
        .iter()
        .map(|channel| format!("Channel::{}", crate::names::pascal(channel)))
        .collect();
    variants.join(", ")
}
