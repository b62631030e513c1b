//! Several values in one parameter: `film,talk`, and `Bern\, Altstadt` where a value has a comma itself.

/// `\,` is a comma inside a value and `\\` a backslash; a backslash before any other character is just a backslash.
/// Blanks around a value do not belong to it.
pub fn split(text: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let character = match character {
            ',' => {
                values.push(String::new());
                continue;
            }
            '\\' => rest.next_if(|c| matches!(c, ',' | '\\')).unwrap_or('\\'),
            other => other,
        };
        if let Some(value) = values.last_mut() {
            value.push(character);
        }
    }
    for value in &mut values {
        let trimmed = value.trim();
        if trimmed.len() < value.len() {
            *value = trimmed.to_owned();
        }
    }
    values
}

/// Appends the values of a repeated parameter to those before.
pub fn join(all: &mut String, more: &str) {
    // A backslash at the end belongs to its value and does not escape the comma that is added here.
    let backslashes = all.bytes().rev().take_while(|byte| *byte == b'\\').count();
    if backslashes % 2 == 1 {
        all.push('\\');
    }
    all.push(',');
    all.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_have_commas() {
        for (text, values) in [
            ("a", vec!["a"]),
            ("a,b", vec!["a", "b"]),
            (" a, b c ,d", vec!["a", "b c", "d"]),
            ("", vec![""]),
            ("a,", vec!["a", ""]),
            (r"a\,b,c", vec!["a,b", "c"]),
            (r"a\\,b", vec![r"a\", "b"]),
            (r"a\b\", vec![r"a\b\"]),
            (r"\\\,", vec![r"\,"]),
        ] {
            assert_eq!(split(text), values, "{text}");
        }
    }

    #[test]
    fn a_parameter_given_again_goes_on() {
        for (first, second, values) in [
            ("a", "b", vec!["a", "b"]),
            ("a,b", "c", vec!["a", "b", "c"]),
            (r"a\", "b", vec![r"a\", "b"]),
            (r"a\\", "b", vec![r"a\", "b"]),
            (r"a\,", "b", vec!["a,", "b"]),
        ] {
            let mut all = first.to_owned();
            join(&mut all, second);
            assert_eq!(split(&all), values, "{first} and {second}");
        }
    }
}
