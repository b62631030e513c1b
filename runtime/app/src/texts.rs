//! Turns a message and its values into the text that a member reads: in the member's language, with times in the time
//! zone of the place and in the member's. Also says which way a language is written.
//!
//! This module may not know a table. Values are JSON as the causes produce them; a missing value or one of the wrong
//! type is a bug and an error, so that no incomplete sentence is sent.

use chrono::{DateTime, Locale, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use kernel::{
    Error, Result,
    messages::{Message, Piece, ValueType},
};
use serde_json::Value;

/// The maximum lengths of texts in the tables, in characters.
const TITLE_CHARS: usize = 200;
const MESSAGE_CHARS: usize = 4000;
const WORDING_CHARS: usize = 8000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub title: String,
    pub message: String,
    /// The texts for push and mail, if they differ from the message in the app.
    pub push: Option<String>,
    pub email: Option<String>,
}

/// The message of this name. Names are written in code only, so an unknown name is a bug.
pub fn message(name: &str) -> Result<&'static Message> {
    let mut all = generated::messages::MESSAGES.iter();
    let found = all.find(|message| message.name == name);
    found.ok_or_else(|| Error::internal(format!("there is no message `{name}`")))
}

/// The mail to an address of this name.
pub fn mail(name: &str) -> Result<&'static Message> {
    let mut all = generated::messages::MAILS.iter();
    let found = all.find(|message| message.name == name);
    found.ok_or_else(|| Error::internal(format!("there is no mail `{name}`")))
}

/// The languages that every message has, without regional variants.
pub fn languages() -> impl Iterator<Item = &'static str> {
    let first = generated::messages::MESSAGES.first();
    let wordings = first.map_or(&[][..], |message| message.wordings);
    let locales = wordings.iter().map(|wording| wording.locale);
    locales.filter(|locale| !locale.contains('-'))
}

/// Renders the message; `zone` is the member's time zone.
pub fn write(message: &Message, values: &Value, locale: &str, zone: &str) -> Result<Text> {
    let wording = message.wording(locale);
    let reader = Reader {
        direction: Direction::of(wording.locale),
        locale: clocks(wording.locale),
        zone: zone.parse().unwrap_or(Tz::UTC),
    };
    let said = |pieces: &[Piece]| -> Result<String> {
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(part) => text += part,
                Piece::Value(name) => text += &reader.value(message, name, &values[name])?,
            }
        }
        Ok(text)
    };
    let own = |pieces: &[Piece]| -> Result<Option<String>> {
        match pieces {
            [] => Ok(None),
            pieces => Ok(Some(at_most(said(pieces)?, WORDING_CHARS))),
        }
    };
    Ok(Text {
        title: at_most(said(wording.title)?, TITLE_CHARS),
        message: at_most(said(wording.text)?, MESSAGE_CHARS),
        push: own(wording.push)?,
        email: own(wording.email)?,
    })
}

/// Whether the text depends on the member's time zone.
pub fn tells_time(message: &Message) -> bool {
    message.values.iter().any(|(_, ty)| *ty == ValueType::Time)
}

/// Which way a language is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ltr,
    Rtl,
}

impl Direction {
    /// By the script, if the locale names one (`ks-Deva`), or else by the language.
    pub fn of(locale: &str) -> Self {
        const SCRIPTS: [&str; 8] = [
            "Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Syrc", "Thaa",
        ];
        const LANGUAGES: [&str; 15] = [
            "ar", "arc", "ckb", "dv", "fa", "he", "ks", "mzn", "nqo", "ps", "sd", "syr", "ug",
            "ur", "yi",
        ];
        let mut parts = locale.split('-');
        let language = parts.next().unwrap_or_default().to_lowercase();
        let script = parts.find(|part| part.len() == 4);
        let is_rtl = match script {
            Some(script) => SCRIPTS.iter().any(|rtl| rtl.eq_ignore_ascii_case(script)),
            None => LANGUAGES.contains(&language.as_str()),
        };
        if is_rtl { Self::Rtl } else { Self::Ltr }
    }

    /// The value of the attribute `dir` in HTML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }

    /// The direction of a letter. Digits and punctuation have none.
    fn of_letter(letter: char) -> Option<Self> {
        match letter {
            '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{feff}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1eeff}' => Some(Self::Rtl),
            _ if letter.is_alphabetic() => Some(Self::Ltr),
            _ => None,
        }
    }

    /// The value as it is inserted into a text of this direction. One with letters of the other direction is isolated,
    /// or it would change the order of the words around it. An address is not: programs that recognize it in a text
    /// would take the end of the isolation for a part of it.
    fn isolating(self, value: String) -> String {
        let other = |letter| Self::of_letter(letter).is_some_and(|way| way != self);
        match value.contains("://") || !value.chars().any(other) {
            true => value,
            false => format!("\u{2068}{value}\u{2069}"),
        }
    }
}

struct Reader {
    direction: Direction,
    locale: Locale,
    zone: Tz,
}

impl Reader {
    fn value(&self, message: &Message, name: &str, value: &Value) -> Result<String> {
        let ty = message.values.iter().find(|(known, _)| *known == name);
        let written = match ty.map(|(_, ty)| ty) {
            Some(ValueType::Text) => value.as_str().map(str::to_owned),
            Some(ValueType::Number) => value.as_i64().map(|number| number.to_string()),
            Some(ValueType::Money) => money(value),
            Some(ValueType::Time) => self.time(value),
            None => None,
        };
        let wrong = || {
            format!(
                "`{name}` of the message `{}` is not what the spec says",
                message.name
            )
        };
        let written = written.ok_or_else(|| Error::internal(wrong()))?;
        Ok(self.direction.isolating(written))
    }

    /// Formats a time: `Sat 28 Nov 2026, 19:30 (Europe/Zurich)`, and the member's local time if it differs.
    fn time(&self, value: &Value) -> Option<String> {
        let at: DateTime<Utc> = value["at"].as_str()?.parse().ok()?;
        let place: Tz = value["zone"].as_str()?.parse().ok()?;
        let there = self.clock(at, place);
        let offset = |zone: Tz| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
        Some(match offset(place) == offset(self.zone) {
            true => there,
            false => format!("{there} = {}", self.clock(at, self.zone)),
        })
    }

    fn clock(&self, at: DateTime<Utc>, zone: Tz) -> String {
        let local = at.with_timezone(&zone);
        let date = local.format_localized("%a %-d %b %Y, %H:%M", self.locale);
        format!("{date} ({})", zone.name())
    }
}

/// Formats an amount: `CHF 25.00`.
fn money(value: &Value) -> Option<String> {
    let cents = value["cents"].as_i64()?;
    let currency = money::Currency::parse(value["currency"].as_str()?).ok()?;
    let (digits, sign) = (
        usize::from(currency.exponent()),
        if cents < 0 { "-" } else { "" },
    );
    let cents = format!("{:0>width$}", cents.unsigned_abs(), width = digits + 1);
    let (whole, part) = cents.split_at(cents.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    Some(format!("{} {sign}{whole}{point}{part}", currency.code()))
}

/// The names of days and months in a language.
fn clocks(locale: &str) -> Locale {
    match locale.split('-').next() {
        Some("de") => Locale::de_DE,
        _ => Locale::en_GB,
    }
}

fn at_most(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text,
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::messages::Wording;
    use serde_json::json;

    fn starts(at: &str, zone: &str) -> Value {
        json!({"event": "Grüezi", "starts": {"at": at, "zone": zone}})
    }

    fn read(values: &Value, locale: &str, zone: &str) -> String {
        let moved = message("event_moved").unwrap();
        write(moved, values, locale, zone).unwrap().message
    }

    /// RM7: times are in the event's time zone, which is named, and in the reader's if it shows another time.
    #[test]
    fn rm7_times_are_told_by_the_clocks_of_the_event_and_of_the_reader() {
        let zurich = starts("2026-11-28T18:30:00Z", "Europe/Zurich");
        assert_eq!(
            read(&zurich, "en", "Europe/Zurich"),
            "Grüezi now begins Sat 28 Nov 2026, 19:30 (Europe/Zurich)."
        );
        // A time zone with another name but the same local time is not repeated.
        assert!(!read(&zurich, "en", "Europe/Berlin").contains('='));
        assert_eq!(
            read(&zurich, "de-CH", "America/New_York"),
            "Grüezi beginnt jetzt Sa 28 Nov 2026, 19:30 (Europe/Zurich) = Sa 28 Nov 2026, 13:30 (America/New_York)."
        );
        // Before and after daylight saving changes, in both hemispheres, and in a zone without daylight saving.
        for (at, zone, expected) in [
            ("2026-10-03T15:30:00Z", "Australia/Sydney", "01:30"),
            ("2026-10-03T16:30:00Z", "Australia/Sydney", "03:30"),
            ("2026-03-29T00:30:00Z", "Europe/London", "00:30"),
            ("2026-03-29T01:30:00Z", "Europe/London", "02:30"),
            ("2026-11-01T05:30:00Z", "America/New_York", "01:30"),
            ("2026-11-01T06:30:00Z", "America/New_York", "01:30"),
            ("2026-03-29T01:30:00Z", "Asia/Kolkata", "07:00"),
        ] {
            let said = read(&starts(at, zone), "en", zone);
            assert!(said.contains(&format!("{expected} ({zone})")), "{said}");
        }
    }

    /// NO7: values of the other direction keep their place, in both directions.
    #[test]
    fn no7_values_of_the_other_direction_are_isolated() {
        for (locale, expected) in [
            ("ar", Direction::Rtl),
            ("AR-EG", Direction::Rtl),
            ("he-IL", Direction::Rtl),
            ("ur", Direction::Rtl),
            ("pa-Arab-PK", Direction::Rtl),
            ("ks-Deva", Direction::Ltr),
            ("de-CH", Direction::Ltr),
            ("zh-Hant-TW", Direction::Ltr),
            ("", Direction::Ltr),
        ] {
            assert_eq!(Direction::of(locale), expected, "{locale}");
        }
        let starts = |event: &str| json!({"event": event, "starts": {"at": "2026-11-28T18:30:00Z", "zone": "UTC"}});
        let moved = |locale| Message {
            name: "moved",
            ty: "event_changed",
            values: &[("event", ValueType::Text), ("starts", ValueType::Time)],
            wordings: match locale {
                "ar" => &[Wording {
                    locale: "ar",
                    title: &[Piece::Value("event")],
                    text: &[
                        Piece::Value("event"),
                        Piece::Text(": "),
                        Piece::Value("starts"),
                    ],
                    push: &[],
                    email: &[],
                }],
                _ => &[Wording {
                    locale: "en",
                    title: &[Piece::Value("event")],
                    text: &[Piece::Value("event"), Piece::Text(".")],
                    push: &[],
                    email: &[],
                }],
            },
        };
        let title = |locale, event| {
            let text = write(&moved(locale), &starts(event), locale, "UTC").unwrap();
            text.title
        };
        assert_eq!(title("en", "Jazz 2026"), "Jazz 2026");
        assert_eq!(title("en", "موسيقى"), "\u{2068}موسيقى\u{2069}");
        assert_eq!(title("ar", "موسيقى"), "موسيقى");
        assert_eq!(title("ar", "Jazz"), "\u{2068}Jazz\u{2069}");
        assert_eq!(title("ar", "2026!"), "2026!");
        assert_eq!(title("ar", "https://x.test/#1"), "https://x.test/#1");
    }

    #[test]
    fn money_has_as_many_digits_as_its_currency() {
        let said =
            |cents: i64, currency: &str| money(&json!({"cents": cents, "currency": currency}));
        assert_eq!(said(2500, "CHF").unwrap(), "CHF 25.00");
        assert_eq!(said(5, "CHF").unwrap(), "CHF 0.05");
        assert_eq!(said(2500, "JPY").unwrap(), "JPY 2500");
        assert_eq!(said(-1, "KWD").unwrap(), "KWD -0.001");
        assert_eq!(said(1, "nope"), None);
    }

    /// NO7: an incomplete text is an error.
    #[test]
    fn no7_what_is_missing_is_an_error_and_no_hole_in_the_text() {
        for message in generated::messages::MESSAGES {
            let failed = write(message, &json!({}), "en", "UTC").is_err();
            assert_eq!(failed, !message.values.is_empty(), "{}", message.name);
        }
        let moved = message("event_moved").unwrap();
        let wrong = json!({"event": "x", "starts": "2026-11-28T18:30:00Z"});
        assert!(write(moved, &wrong, "en", "UTC").is_err());
        let long = json!({"event": "ü".repeat(5000), "starts": {"at": "2026-11-28T18:30:00Z", "zone": "UTC"}});
        let text = write(moved, &long, "en", "UTC").unwrap();
        assert_eq!(text.title.chars().count(), TITLE_CHARS);
        assert_eq!(text.message.chars().count(), MESSAGE_CHARS);
    }

    /// NO7: `de-CH` → `de`, `pt-BR` → `en`.
    #[test]
    fn no7_languages_fall_back_to_the_nearest_there_is() {
        let mails = generated::messages::MAILS;
        for message in generated::messages::MESSAGES.iter().chain(mails) {
            for (locale, found) in [
                ("en", "en"),
                ("en-AU", "en"),
                ("de-CH", "de"),
                ("DE", "de"),
                ("pt-BR", "en"),
                ("", "en"),
            ] {
                assert_eq!(
                    message.wording(locale).locale,
                    found,
                    "{} {locale}",
                    message.name
                );
            }
        }
    }
}
