//! Detects numbers of payment cards in bodies. Clients must send them to the payment provider and never to this API; a
//! body that contains one in any field is refused before it is stored, shown or logged.
//!
//! A card number is a sequence of digits with the length and first digits of a brand and a valid check digit, in one
//! piece or in groups as printed on cards. Sequences that are part of something longer are ignored: URLs, IBANs,
//! telephone numbers with `+`, ids with letters.

use super::{FieldError, Invalid, Node};

pub const CODE: &str = "card_number";

const DETAIL: &str = "holds the number of a payment card, which is never to be sent here";

/// The smallest number of digits of a card number.
const SHORTEST: usize = 14;
const LONGEST: usize = 19;

/// The smallest group of digits printed on a card.
const PART: usize = 4;

/// Checks a raw body that is not decoded field by field.
pub fn refuse(bytes: &[u8]) -> Result<(), Invalid> {
    // A body that is not JSON is refused later, by its reader.
    let found = Node::parse(bytes).map_or_else(|_| Vec::new(), |body| find(&body));
    match found.is_empty() {
        true => Ok(()),
        false => Err(Invalid::Fields(found)),
    }
}

/// Pointers to all values of a body that contain one.
pub fn find(body: &Node) -> Vec<FieldError> {
    let mut found = Vec::new();
    walk(body, &mut String::new(), &mut found);
    found
}

fn walk(node: &Node, pointer: &mut String, found: &mut Vec<FieldError>) {
    let is_card = match node {
        Node::Text(text) => holds(text),
        Node::Number(number) => number
            .as_u64()
            .is_some_and(|number| is_card(&digits(&number.to_string()))),
        Node::List(items) => {
            for (at, item) in items.iter().enumerate() {
                below(&at.to_string(), item, pointer, found);
            }
            false
        }
        Node::Object(entries) => {
            // If a key itself contains one, the error points to the object around it, so that the number is not
            // repeated.
            let (cards, others): (Vec<_>, Vec<_>) =
                entries.iter().partition(|(name, _)| holds(name));
            for (name, node) in others {
                let name = name.replace('~', "~0").replace('/', "~1");
                below(&name, node, pointer, found);
            }
            !cards.is_empty()
        }
        Node::Null | Node::Bool(_) => false,
    };
    if is_card {
        found.push(FieldError {
            pointer: pointer.clone(),
            code: CODE,
            detail: DETAIL.to_owned(),
        });
    }
}

fn below(name: &str, node: &Node, pointer: &mut String, found: &mut Vec<FieldError>) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(name);
    walk(node, pointer, found);
    pointer.truncate(length);
}

/// Whether a text holds the number of a card.
fn holds(text: &str) -> bool {
    let many = text.bytes().filter(u8::is_ascii_digit).count();
    many >= SHORTEST && chains(text).iter().any(|chain| has_card(chain))
}

/// The sequences of digits that are not part of something longer, each as groups that single blanks separate.
fn chains(text: &str) -> Vec<Vec<Vec<u8>>> {
    let mut chains = Vec::new();
    let mut before = None;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if !first.is_ascii_digit() {
            before = Some(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (chain, after) = chain(rest);
        if !before.is_some_and(leads_on) && !goes_on(after) {
            chains.push(chain);
        }
        before = Some('0');
        rest = after;
    }
    chains
}

/// The groups at the beginning of a text, and the rest of the text.
fn chain(text: &str) -> (Vec<Vec<u8>>, &str) {
    let mut groups = Vec::new();
    let mut rest = text;
    loop {
        let (group, after) = group(rest);
        groups.push(group);
        match another(after, &[' ', '\u{a0}', '\u{202f}']) {
            Some(next) => rest = next,
            None => return (groups, after),
        }
    }
}

/// Digits, possibly with hyphens. `None` if hyphens divide them into small parts, as in dates.
fn group(text: &str) -> (Vec<u8>, &str) {
    let mut number = Vec::new();
    let (mut parts, mut smallest) = (0, usize::MAX);
    let mut rest = text;
    loop {
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (part, after) = rest.split_at(length);
        number.extend(digits(part));
        (parts, smallest) = (parts + 1, smallest.min(length));
        match another(after, &['-', '\u{2010}', '\u{2011}', '\u{2013}']) {
            Some(next) => rest = next,
            None if parts > 1 && smallest < PART => return (Vec::new(), after),
            None => return (number, after),
        }
    }
}

/// The text behind one of these separators, if a digit follows.
fn another<'a>(text: &'a str, between: &[char]) -> Option<&'a str> {
    let next = text.strip_prefix(between)?;
    next.starts_with(|first: char| first.is_ascii_digit())
        .then_some(next)
}

/// Whether the text before the digits belongs to the same word, or shows that they are not a card number.
fn leads_on(before: char) -> bool {
    before.is_alphanumeric() || "+/_-.@#%&?=~$".contains(before)
}

fn goes_on(after: &str) -> bool {
    let mut after = after.chars();
    match after.next() {
        Some('.') => after.next().is_some_and(char::is_alphanumeric),
        Some(next) => next.is_alphabetic() || "_/-@%=".contains(next),
        None => false,
    }
}

/// One group, or several consecutive ones of which none is small: a date or security code may stand beside them.
fn has_card(groups: &[Vec<u8>]) -> bool {
    (0..groups.len()).any(|from| {
        let mut number = Vec::new();
        groups[from..]
            .iter()
            .take_while(|group| group.len() >= PART)
            .any(|group| {
                number.extend_from_slice(group);
                is_card(&number)
            })
    })
}

fn digits(text: &str) -> Vec<u8> {
    text.bytes().map(|digit| digit.wrapping_sub(b'0')).collect()
}

fn is_card(digits: &[u8]) -> bool {
    (SHORTEST..=LONGEST).contains(&digits.len()) && is_of_a_brand(digits) && has_check_digit(digits)
}

/// Recognises brands by length and first digits. Brands whose prefixes are too common are left out, because ids of
/// other services would be taken for card numbers.
fn is_of_a_brand(digits: &[u8]) -> bool {
    let first = digits
        .iter()
        .take(4)
        .fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        // Diners Club
        14 => matches!(first, 3000..=3059 | 3600..=3699 | 3800..=3999),
        // American Express
        15 => matches!(first, 3400..=3499 | 3700..=3799),
        // Mastercard, Visa, JCB, Discover, UnionPay
        16 => matches!(
            first,
            2221..=2720 | 4000..=4999 | 5100..=5599 | 3528..=3589 | 6011 | 6200..=6299 | 6440..=6599
        ),
        19 => matches!(first, 4000..=4999),
        _ => false,
    }
}

/// The Luhn check of ISO/IEC 7812: every second digit from the right counts double.
fn has_check_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, u32::from(*digit)) {
            (1, digit) if digit > 4 => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_cards_are_found_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "42424242 42424242",
            "My card is 5555 5555 5555 4444, until 12/30.",
            "card:378282246310005",
            "3782 822463 10005",
            "(6011111111111117)",
            "3056 930902 5904",
            "3566002020360505.",
            "2223003122003222",
            "4242 4242 4242 4242 12 30 123",
            "12 30 4242\u{a0}4242\u{a0}4242\u{a0}4242",
        ] {
            assert!(holds(text), "{text:?}");
        }
    }

    #[test]
    fn other_numbers_are_none() {
        for text in [
            // A wrong check digit, length or prefix.
            "4242424242424241",
            "424242424242424",
            "42424242424242424242",
            "1242424242424242",
            // Telephones, times, ids, addresses of pages, accounts.
            "+4242 4242 4242 4242",
            "044 668 18 00, 044 668 18 01",
            "2041-05-01T18:00:00Z 2041-05-01T20:00:00Z",
            "Tue-Sat 11:00-18:00, kitchen until 21:30",
            "42424242-4242-4242-8242-424242424242",
            "acct_4242424242424242",
            "https://example.org/groups/4242424242424242",
            "https://example.org/p?id=4242424242424242",
            "7331234567890123456",
            "DE89 4242 4242 4242 4242 00",
            "a4242424242424242",
            "4242424242424242f",
            "",
        ] {
            assert!(!holds(text), "{text:?}");
        }
    }

    #[test]
    fn they_are_named_by_where_they_are() {
        let text = r#"{"note":"4242 4242 4242 4242","a/b":[{"x":1},{"y":["5555555555554444"]}],"n":4242424242424242,
            "amount_cents":9007199254740993,"ok":"4242","by_name":{"4242424242424242":"4242424242424242"}}"#;
        let found = find(&Node::parse(text.as_bytes()).unwrap());
        let pointers: Vec<&str> = found.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/note", "/a~1b/1/y/0", "/n", "/by_name"]);
        assert!(found.iter().all(|error| error.code == CODE));
        assert!(!format!("{found:?}").contains("4242"));
    }
}
