//! Telephone numbers as people write them → E.164.

use super::line::{is_hidden, pasted};
use phonenumber::{Mode, country};

/// The most digits of a text that is taken for a national number. Real ones are shorter, trunk and carrier prefixes
/// included.
const NATIONAL_MAX: usize = 20;

/// Prefixes that the ITU has assigned to no country. A few that it might assign next are left out, because a number that
/// exists must not be refused.
const UNASSIGNED: [&str; 33] = [
    "280", "281", "282", "283", "284", "285", "286", "287", "288", "289", "801", "802", "803",
    "804", "805", "806", "807", "809", "830", "831", "832", "833", "834", "835", "836", "837",
    "838", "839", "978", "990", "991", "999", "884",
];

/// Reads a number with a country code and returns it as E.164, or `None` if the text is no such number. Blanks,
/// brackets, dots, slashes and hyphens between digits are ignored; `00` means `+`; `(0)` after the country code is
/// dropped. For numbers without a country code see [`of_country`].
pub fn e164(text: &str) -> Option<String> {
    // Digits of other scripts and wide brackets first, so that `(0)` is found in each.
    let international: String = (international(text)?.chars())
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            c => digit(c).unwrap_or(c),
        })
        .collect();
    // In Italy the leading zero is part of the number, and is dialled from abroad too.
    let zero = match international.trim_start().starts_with("39") {
        true => "0",
        false => "",
    };
    let digits = digits(&international.replace("(0)", zero))?;
    let fits = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && !UNASSIGNED.contains(&&digits[..3]);
    fits.then(|| format!("+{digits}"))
}

/// Whether the text may be a number without a country code.
pub(crate) fn is_national(text: &str) -> bool {
    national(text).is_some()
}

/// Reads a number as it is dialled within this country (ISO 3166-1) and returns it as E.164. `None` if the country's
/// numbering plan has no such number: it was mistyped, or is a number of another country.
pub(crate) fn of_country(text: &str, country: &str) -> Option<String> {
    let digits = national(text)?;
    let country: country::Id = country.parse().ok()?;
    let number = phonenumber::parse(Some(country), digits).ok()?;
    if !phonenumber::is_valid(&number) {
        return None;
    }
    e164(&number.format().mode(Mode::E164).to_string())
}

fn national(text: &str) -> Option<String> {
    if international(text).is_some() {
        return None;
    }
    digits(without_scheme(text)).filter(|digits| (4..=NATIONAL_MAX).contains(&digits.len()))
}

fn without_scheme(text: &str) -> &str {
    let text = pasted(text);
    text.strip_prefix("tel:").unwrap_or(text)
}

fn international(text: &str) -> Option<&str> {
    let text = without_scheme(text);
    let zero = |c: char| digit(c) == Some('0');
    text.strip_prefix(['+', '＋'])
        .or_else(|| text.strip_prefix(zero)?.strip_prefix(zero))
}

/// The digits of a number without the punctuation between them. `None` if there are other characters.
fn digits(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(16);
    for c in text.chars() {
        match c {
            '-' | '.' | '/' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' => {}
            // The full-width forms that Japanese keyboards produce.
            '（' | '）' | '－' | 'ー' | '．' | '／' => {}
            c if c.is_whitespace() || is_hidden(c) => {}
            c => digits.push(digit(c)?),
        }
    }
    Some(digits)
}

/// The ASCII form of a decimal digit of one of the scripts in which keyboards produce numbers. `None` for other
/// characters.
fn digit(c: char) -> Option<char> {
    /// The code points of the zeros: Latin, Arabic, Persian, Devanagari, Bengali, full width.
    const ZEROS: [u32; 6] = [0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xff10];
    let value = ZEROS
        .iter()
        .find_map(|zero| (c as u32).checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

#[cfg(test)]
mod tests {
    use super::{e164, is_national, of_country};

    #[test]
    fn numbers_as_people_write_them() {
        for text in [
            "+41446681800",
            " +41 44 668 18 00 ",
            "0041 44 668 18 00",
            "+41 (0)44 668-18-00",
            "+41.44.668.18.00",
            "\u{202a}+41 44\u{200e} 668 18 00\u{202c}",
            "tel:+41\u{a0}44\u{202f}668/1800",
            "＋４１ ４４ ６６８ １８ ００",
            "+٤١ ٤٤ ٦٦٨ ١٨ ٠٠",
            "٠٠٤١ ٤٤ ٦٦٨ ١٨ ٠٠",
            "＋４１（０）４４ ６６８ １８ ００",
        ] {
            assert_eq!(e164(text).as_deref(), Some("+41446681800"), "{text:?}");
        }
        for text in [
            "044 668 18 00",
            "+41",
            "+0446681800",
            "+41 44 CALL",
            "+4144668180012345",
            "+999 123 4567",
            "+280 123 4567",
            "",
        ] {
            assert_eq!(e164(text), None, "{text:?}");
        }
        assert_eq!(e164("+39 (0)6 6982 0000").as_deref(), Some("+390669820000"));
    }

    #[test]
    fn numbers_as_they_are_dialled_at_home() {
        for (country, text, stored) in [
            ("IT", "06 6982 0000", "+390669820000"),
            ("AR", "011 15-2345-6789", "+5491123456789"),
            ("AR", "(0351) 15 234 5678", "+5493512345678"),
            ("AR", "11 2345-6789", "+541123456789"),
            ("GB", "(0)20 7183 8750", "+442071838750"),
            ("GB", "020 7183 8750", "+442071838750"),
            ("DE", "0171/1234567", "+491711234567"),
            ("DE", "030 / 12 34 56-0", "+49301234560"),
            ("US", "(212) 736-5000", "+12127365000"),
            ("US", "1-212-736-5000", "+12127365000"),
            ("US", "011 41 44 668 18 00", "+41446681800"),
            ("FR", "06 12 34 56 78", "+33612345678"),
            ("VN", "090 123 45 67", "+84901234567"),
            ("NG", "0803 123 4567", "+2348031234567"),
            ("BR", "(11) 91234-5678", "+5511912345678"),
            ("BR", "0 15 11 91234-5678", "+5511912345678"),
            ("JP", "03-1234-5678", "+81312345678"),
            ("JP", "０９０ー１２３４ー５６７８", "+819012345678"),
            ("EG", "٠١٠ ١٢٣٤ ٥٦٧٨", "+201012345678"),
            ("CH", "044 668 18 00", "+41446681800"),
            ("RU", "8 (912) 345-67-89", "+79123456789"),
            ("HU", "06 20 123 4567", "+36201234567"),
            ("ES", "612 34 56 78", "+34612345678"),
        ] {
            assert!(is_national(text), "{text:?}");
            let found = of_country(text, country);
            assert_eq!(found.as_deref(), Some(stored), "{country} {text:?}");
        }
    }

    #[test]
    fn what_no_country_dials_stays_as_it_is() {
        for (country, text) in [
            // A mobile number without its area code.
            ("AR", "15 2345-6789"),
            ("DE", "112"),
            ("DE", "1234"),
            ("US", "12 34"),
            ("FR", "06 12 34 56"),
            ("US", "1-800-FLOWERS"),
            ("US", "212 736 5000 x12"),
            ("XX", "044 668 18 00"),
            ("", "044 668 18 00"),
            ("CH", "+41 44 668 18 00"),
            ("CH", "0041 44 668 18 00"),
            ("CH", ""),
        ] {
            assert_eq!(of_country(text, country), None, "{country} {text:?}");
        }
    }
}
