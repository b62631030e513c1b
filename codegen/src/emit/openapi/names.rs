//! The document's names for schemas, operations and tags.

use super::words::spaced;
use crate::names::pascal;

/// `ticket_types` → `Ticket types`
pub fn title(snake: &str) -> String {
    capitalised(&spaced(snake))
}

/// `check_in`, `Ticket` → `checkInTicket`
pub fn operation(verb: &str, noun: &str) -> String {
    let verb = pascal(verb);
    let mut letters = verb.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_lowercase)
        .collect();
    format!("{first}{}{noun}", letters.as_str())
}

pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    format!("{first}{}", letters.as_str())
}
