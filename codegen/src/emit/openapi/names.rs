//! Names the document gives to schemas, operations and tags.

use super::words::spaced;

/// `ticket_type` → `TicketType`
pub fn pascal(snake: &str) -> String {
    snake.split('_').map(capitalised).collect()
}

/// `ticket_types` → `Ticket types`
pub fn title(snake: &str) -> String {
    capitalised(&spaced(snake))
}

/// `ticket_types` → `ticket-types`
pub fn segment(snake: &str) -> String {
    snake.replace('_', "-")
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
