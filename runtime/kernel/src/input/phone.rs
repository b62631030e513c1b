//! Telephone numbers as people write them → E.164.

use super::line::{is_hidden, pasted};
use phonenumber::{Mode, PhoneNumber, country};

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

/// The most digits before a slash that may follow an area code: the codes of country and area.
const AREA_MAX: usize = 8;

/// The fewest digits of a number within its area.
const LOCAL_MIN: usize = 4;

/// Reads a number with a country code and returns it as E.164, or `None` if the text is no such number. Blanks,
/// brackets, dots and hyphens between digits are ignored, and a slash after the area code; `00` means `+`; `(0)` after
/// the country code is dropped. For numbers without a country code, and those that begin with what is dialled instead of
/// `+` in one country, see [`of_country`].
pub fn e164(text: &str) -> Option<String> {
    // In one script first, so that `(0)` is found in each.
    let written = latin(international(text)?);
    // In Italy the leading zero is part of the number, and is dialled from abroad too.
    let zero = match written.trim_start().starts_with("39") {
        true => "0",
        false => "",
    };
    let written = written.replace("(0)", zero);
    let digits = digits(&written)?;
    let is_whole = exists(&digits) && is_one(&written, &abroad);
    is_whole.then(|| {
        let plain = without_trunk(&digits).or_else(|| without_mobile_prefix(&digits));
        plain.unwrap_or_else(|| format!("+{digits}"))
    })
}

/// Whether the text may be a number without a country code, or one after the digits that are dialled before it within
/// its country (`00`, `0011`, `010`).
pub(crate) fn is_national(text: &str) -> bool {
    national(text).is_some()
}

/// Reads a number as it is dialled within this country (ISO 3166-1) and returns it as E.164. `None` if the country's
/// numbering plan has no such number: it was mistyped, or is a number of another country.
pub(crate) fn of_country(text: &str, country: &str) -> Option<String> {
    let written = national(text)?;
    let digits = digits(&written)?;
    let country: country::Id = country.parse().ok()?;
    // The numbers that are free to call, which the library does not know behind the 8 that Russians dial before them.
    let is_free = digits.len() == 11 && digits.starts_with("88");
    if is_free && [country::Id::RU, country::Id::KZ].contains(&country) {
        return e164(&format!("+7{}", &digits[1..]));
    }
    let number = read(Some(country), &digits)?;
    // `0066…` may be a free number in Japan, but is written for Thailand as well: left to `e164`.
    let is_abroad = number.code().source() == country::Source::Idd;
    if (digits.starts_with("00") && !is_abroad)
        || !is_one(&written, &|digits| read(Some(country), digits))
    {
        return None;
    }
    e164(&number.format().mode(Mode::E164).to_string())
}

/// What stands before a number on cards and in signatures, and in links (`tel:`), with a full stop, a colon or a blank
/// after it.
const LABELS: [&str; 40] = [
    "telephone",
    "telefon",
    "telefono",
    "telefone",
    "teléfono",
    "téléphone",
    "телефон",
    "phone",
    "mobile",
    "mobil",
    "móvil",
    "portable",
    "cellulare",
    "celular",
    "handy",
    "natel",
    "whatsapp",
    "cell",
    "cel",
    "tel",
    "tél",
    "tlf",
    "тел",
    "fone",
    "telefoon",
    "τηλ",
    "τηλέφωνο",
    "전화",
    "đt",
    "هاتف",
    "تلفن",
    "טל",
    "電話",
    "电话",
    "call",
    "mob",
    "ph",
    "p",
    "t",
    "m",
];

/// Telephones as signs, with the selector that shows them as emoji.
const SIGNS: [char; 7] = ['☎', '☏', '✆', '📞', '📱', '📲', '\u{fe0f}'];

const PLUS: [char; 2] = ['+', '＋'];
const OPEN: [char; 2] = ['(', '（'];

/// The ASCII form of a decimal digit of one of the scripts in which keyboards produce numbers. `None` for other
/// characters.
pub(super) fn digit(c: char) -> Option<char> {
    /// The code points of the zeros: Latin, Arabic, Persian, Devanagari, Bengali, Tamil, Thai, Lao, Burmese, Khmer, full
    /// width.
    const ZEROS: [u32; 11] = [
        0x30, 0x660, 0x6f0, 0x966, 0x9e6, 0xbe6, 0xe50, 0xed0, 0x1040, 0x17e0, 0xff10,
    ];
    let value = ZEROS
        .iter()
        .find_map(|zero| (c as u32).checked_sub(*zero).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

/// A number with the code of its country.
fn abroad(digits: &str) -> Option<PhoneNumber> {
    read(None, &format!("+{digits}"))
}

/// `+49 (030) 123456`, `+44 07911 123456`: the zero is dialled within the country only, and is often written after its
/// code all the same. `None` if there is none, or if it belongs to the number, as in Italy and the Congo.
fn without_trunk(digits: &str) -> Option<String> {
    // Codes of countries have one to three digits. Whatever else has no zero there needs no numbering plan.
    if !digits[1..=3].contains('0') {
        return None;
    }
    let number = abroad(digits)?;
    let code = number.code().value().to_string();
    digits.strip_prefix(&code)?.strip_prefix('0')?;
    Some(number.format().mode(Mode::E164).to_string())
}

/// `+52 1 55 1234 5678`: until 2019 a 1 stood before Mexican mobile numbers for calls from abroad, and cards still have it.
fn without_mobile_prefix(digits: &str) -> Option<String> {
    let number = digits.strip_prefix("521").filter(|rest| rest.len() == 10)?;
    Some(format!("+52{number}"))
}

/// Whether these may be the digits of a number: its length, and a country that exists.
fn exists(digits: &str) -> bool {
    let is_of_a_country = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && !UNASSIGNED.contains(&&digits[..3]);
    // North America: three digits of the area, which do not begin with 0 or 1, and seven. So the 11 that Australians
    // dial after 00 for a number abroad is not taken for a country.
    let is_american = |rest: &str| rest.len() == 10 && !rest.starts_with(['0', '1']);
    is_of_a_country && digits.strip_prefix('1').is_none_or(is_american)
}

/// A number that the numbering plans know.
fn read(country: Option<country::Id>, digits: &str) -> Option<PhoneNumber> {
    let number = phonenumber::parse(country, digits).ok()?;
    phonenumber::is_valid(&number).then_some(number)
}

/// Whether the text is one number, and not a number with the end of a second one: `668 18 00 / 01`, `668 18 00-02`. A
/// slash follows the area code, or stands between groups of a number that is known as a whole.
fn is_one(written: &str, known: &dyn Fn(&str) -> Option<PhoneNumber>) -> bool {
    let is_known = |text: &str| digits(text).is_some_and(|digits| known(&digits).is_some());
    let mut signs = written.match_indices(['/', '-', '(']);
    signs.all(|(at, sign)| {
        let (before, after) = written.split_at(at);
        let count = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let is_in_place = sign != "/"
            || (count(before) <= AREA_MAX && count(after) >= LOCAL_MIN && !before.contains('/'))
            || is_known(written);
        let is_more = is_known(before) && count(after) > 0;
        is_in_place && !(is_more && (sign == "/" || !is_known(written)))
    })
}

fn national(text: &str) -> Option<String> {
    let text = without_label(text);
    if text.trim_start_matches(OPEN).starts_with(PLUS) {
        return None;
    }
    let written = latin(text);
    digits(&written)
        .is_some_and(|digits| (4..=NATIONAL_MAX).contains(&digits.len()))
        .then_some(written)
}

fn without_label(text: &str) -> &str {
    let text = pasted(text).trim_start_matches(SIGNS).trim_start();
    let end = text.find(|c: char| !c.is_alphabetic()).unwrap_or(0);
    let (label, rest) = text.split_at(end);
    let label = label.to_lowercase();
    match LABELS.contains(&label.as_str()) {
        // In French there is a blank before the colon.
        true => {
            rest.trim_start_matches(|c: char| matches!(c, '.' | ':' | '：') || c.is_whitespace())
        }
        false => text,
    }
}

fn international(text: &str) -> Option<&str> {
    let text = without_label(text);
    // `(+41) 44 668 18 00`: the other bracket is punctuation like those around an area code.
    let text = text.strip_prefix(OPEN).unwrap_or(text).trim_start();
    let zero = |c: char| digit(c) == Some('0');
    text.strip_prefix(PLUS)
        .or_else(|| text.strip_prefix(zero)?.strip_prefix(zero))
}

/// Digits and punctuation in their ASCII forms: those of other scripts, and the wide ones that Japanese keyboards
/// produce.
fn latin(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            '／' => '/',
            '．' => '.',
            '－' | 'ー' | '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            c => digit(c).unwrap_or(c),
        })
        .collect()
}

/// The digits of a number without the punctuation between them. `None` if there are other characters.
fn digits(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(16);
    for c in text.chars() {
        match c {
            '-' | '.' | '/' | '(' | ')' => {}
            c if c.is_whitespace() || is_hidden(c) => {}
            c => digits.push(digit(c)?),
        }
    }
    Some(digits)
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
            "(+41) 44 668 18 00",
            "(0041) 44 668 18 00",
            "（＋４１）４４ ６６８ １８ ００",
            "+(41) 44 668 18 00",
            "Tel. +41 44 668 18 00",
            "TEL: 0041 44 668 18 00",
            "Tél.: +41 44 668 18 00",
            "T +41 44 668 18 00",
            "☎\u{fe0f} +41 44 668 18 00",
            "📞+41 44 668 18 00",
            "P: +41 44 668 18 00",
            "WhatsApp: +41 44 668 18 00",
            "Тел.: +41 44 668 18 00",
            "電話：＋４１ ４４ ６６８ １８ ００",
            // The zero of the area code, which is not dialled from abroad.
            "+41 044 668 18 00",
            "+41 (044) 668 18 00",
            "0041 044/668 18 00",
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
            "+00 41 44 668 18 00",
            // North American numbers have ten digits after the 1, and no area begins with 0 or 1.
            "+1 212 736",
            "+1 112 736 5000",
            "0011 44 20 7946 0000",
            // Two numbers in one text.
            "+41 44 668 18 00 / 01",
            "+41 44 668 18 00/0001",
            "+41 44 668 18 00 - 02",
            "+41 44 668 18 00 – 02",
            "+41 44 668 18 00 (01)",
            "+677 20123 / 20124",
            "+49 30 / 12",
            "Fax +41 44 668 18 00",
            "Tel. Tel. +41 44 668 18 00",
            "((+41) 44 668 18 00",
            "",
        ] {
            assert_eq!(e164(text), None, "{text:?}");
        }
        assert_eq!(e164("+39 (0)6 6982 0000").as_deref(), Some("+390669820000"));
        for (text, stored) in [
            ("+1 (212) 736-5000", "+12127365000"),
            ("001 212 736 5000", "+12127365000"),
            ("+49 30 123456-0", "+49301234560"),
            ("+49 (0)30 / 12 34 56", "+4930123456"),
            ("+32 475/12/34/56", "+32475123456"),
            // No plan has it: numbers are newer than plans.
            ("+41 99/123 45 67", "+41991234567"),
            ("+49 (030) 123456", "+4930123456"),
            ("+49 0171 1234567", "+491711234567"),
            ("+44 07911 123456", "+447911123456"),
            ("+61 (03) 9123 4567", "+61391234567"),
            ("+54 011 15-2345-6789", "+5491123456789"),
            // Here the zero belongs to the number.
            ("+39 06 6982 0000", "+390669820000"),
            ("+225 07 07 12 34 56", "+2250707123456"),
            ("+242 06 612 3456", "+242066123456"),
            ("+7 800 555 35 35", "+78005553535"),
            // Until 2019 a 1 was dialled before Mexican mobile numbers from abroad.
            ("+52 1 55 1234 5678", "+525512345678"),
            ("+52 55 1234 5678", "+525512345678"),
            ("+20 2 2391 3000", "+20223913000"),
            ("+1 305 555 0123", "+13055550123"),
            // No plan has it, with the zero or without.
            ("+41 099 123 45 67", "+410991234567"),
        ] {
            assert_eq!(e164(text).as_deref(), Some(stored), "{text:?}");
        }
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
            ("AU", "0011 44 20 7946 0000", "+442079460000"),
            ("AU", "0011 1 212 736 5000", "+12127365000"),
            ("JP", "010 44 20 7946 0000", "+442079460000"),
            ("SG", "001 44 20 7946 0000", "+442079460000"),
            ("RU", "8 10 44 20 7946 0000", "+442079460000"),
            ("CH", "0041 44 668 18 00", "+41446681800"),
            ("CH", "044/668 18 00", "+41446681800"),
            ("BE", "0475/12/34/56", "+32475123456"),
            ("FR", "06 12 34 56 78", "+33612345678"),
            ("VN", "090 123 45 67", "+84901234567"),
            ("NG", "0803 123 4567", "+2348031234567"),
            ("BR", "(11) 91234-5678", "+5511912345678"),
            ("BR", "0 15 11 91234-5678", "+5511912345678"),
            ("JP", "03-1234-5678", "+81312345678"),
            ("JP", "０９０ー１２３４ー５６７８", "+819012345678"),
            ("EG", "٠١٠ ١٢٣٤ ٥٦٧٨", "+201012345678"),
            ("TH", "๐๒ ๒๐๓ ๒๘๘๘", "+6622032888"),
            ("FR", "Tél : 01 40 20 50 50", "+33140205050"),
            ("BR", "Fone: (11) 91234-5678", "+5511912345678"),
            ("RU", "8-800-555-35-35", "+78005553535"),
            ("RU", "8 (800) 200-06-00", "+78002000600"),
            ("MX", "55 1234 5678", "+525512345678"),
            ("CH", "044 668 18 00", "+41446681800"),
            ("RU", "8 (912) 345-67-89", "+79123456789"),
            ("HU", "06 20 123 4567", "+36201234567"),
            ("ES", "612 34 56 78", "+34612345678"),
            ("AU", "Tel. (03) 9123 4567", "+61391234567"),
            ("AU", "ph 0412 345 678", "+61412345678"),
            ("US", "(011) 41 44 668 18 00", "+41446681800"),
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
            // Not what Australians and Japanese dial before a number abroad: `e164` reads 00 as a plus.
            ("AU", "0041 44 668 18 00"),
            ("JP", "0066 2 123 4567"),
            ("CH", "044 668 18 00 / 01"),
            ("CH", "044 668 18 00/079 123 45 67"),
            ("CH", "044 668 18 00-02"),
            ("CH", ""),
        ] {
            assert_eq!(of_country(text, country), None, "{country} {text:?}");
        }
    }
}
