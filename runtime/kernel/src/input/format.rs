//! Formats of texts: what people send, the form that is stored, and what is refused. The CHECK of the same name in the
//! database accepts only the stored form.

use super::{
    address::{EMAIL_MAX, URL_MAX, email, normal_email, normal_url, url},
    codes::{COUNTRIES, CURRENCIES, is_one},
    line::{is_hidden, is_joiner, is_seen, pasted},
    phone::e164,
    social::Network,
    tags::{normal_locale, normal_timezone},
};
use unicode_normalization::UnicodeNormalization;

/// The format of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Email,
    Url,
    Https,
    /// E.164
    Phone,
    Slug,
    /// ISO 4217
    Currency,
    /// ISO 3166-1 alpha-2
    Country,
    /// BCP 47: language, script, region, variants
    Locale,
    /// A name of the IANA database
    Timezone,
    /// A time of day, hours and minutes
    LocalTime,
    /// A code that people type: capital letters without blanks
    Code,
    /// A member's name in addresses: small letters, digits and `_`
    Handle,
    /// A page on that network
    Social(Network),
}

/// As `#[input(format = "…")]` names them.
impl Format {
    pub const INSTAGRAM: Self = Self::Social(Network::Instagram);
    pub const FACEBOOK: Self = Self::Social(Network::Facebook);
    pub const YOUTUBE: Self = Self::Social(Network::Youtube);
    pub const LINKEDIN: Self = Self::Social(Network::Linkedin);
    pub const X: Self = Self::Social(Network::X);
    pub const TIKTOK: Self = Self::Social(Network::Tiktok);
    pub const MASTODON: Self = Self::Social(Network::Mastodon);
    pub const THREADS: Self = Self::Social(Network::Threads);
    pub const BLUESKY: Self = Self::Social(Network::Bluesky);
    pub const WHATSAPP: Self = Self::Social(Network::Whatsapp);
    pub const TELEGRAM: Self = Self::Social(Network::Telegram);
}

impl Format {
    /// Converts a text to the form that is stored. A text that is not understood is returned unchanged, and then
    /// refused.
    pub fn normal(self, text: &str) -> String {
        let text = pasted(text);
        let understood = match self {
            Format::Email => Some(normal_email(text)),
            Format::Url => Some(normal_url(text)),
            // Every host that people link to has it.
            Format::Https => Some(secure(normal_url(text))),
            Format::Phone => e164(text),
            Format::Slug => Some(text.to_ascii_lowercase()),
            Format::Currency | Format::Country => Some(text.to_ascii_uppercase()),
            Format::Locale => normal_locale(text),
            Format::Timezone => normal_timezone(text).map(str::to_owned),
            Format::LocalTime => local_time(text),
            Format::Code => Some(code(text)),
            Format::Handle => Some(text.strip_prefix('@').unwrap_or(text).to_lowercase()),
            Format::Social(network) => network.address(text),
        };
        understood.unwrap_or_else(|| text.to_owned())
    }

    /// Whether the text is valid and in its stored form.
    pub fn accepts(self, text: &str) -> bool {
        let valid = match self {
            Format::Email => email(text),
            Format::Url => url(text, &["https", "http"]),
            Format::Https => url(text, &["https"]),
            Format::Phone => e164(text).is_some(),
            Format::Slug => slug(text),
            Format::Currency => is_one(text, 3, CURRENCIES),
            Format::Country => is_one(text, 2, COUNTRIES),
            Format::Locale => normal_locale(text).is_some(),
            Format::Timezone => normal_timezone(text).is_some(),
            Format::LocalTime => local_time(text).is_some(),
            Format::Code => is_seen(text) && !text.chars().any(|c| is_hidden(c) || is_joiner(c)),
            Format::Handle => handle(text),
            Format::Social(network) => network.address(text).is_some(),
        };
        valid && self.normal(text) == text
    }

    /// The most characters of texts whose form alone would allow more.
    pub fn most(self) -> Option<u32> {
        match self {
            Format::Slug => Some(SLUG_MAX),
            Format::Url | Format::Https => Some(URL_MAX),
            Format::Email => Some(EMAIL_MAX),
            _ => None,
        }
    }

    /// Converts a text from outside a body, such as a path segment, to the form that is stored; `None` if it is
    /// invalid.
    pub fn read(self, text: &str) -> Option<String> {
        let normal = self.normal(text);
        self.accepts(&normal).then_some(normal)
    }

    /// The end of an error message that begins with the name of the field.
    pub fn wants(self) -> &'static str {
        match self {
            Format::Email => "must be an e-mail address such as ana@example.org",
            Format::Url => "must be a URL such as https://example.org/page",
            Format::Https => "must be an https URL such as https://example.org/page",
            Format::Phone => {
                "must be a telephone number with the code of its country, such as +49 30 123456; without it, one that \
                 exists in the country of the object or of the caller, where that is known"
            }
            Format::Slug => "must be lower-case words joined by hyphens such as summer-night",
            Format::Currency => "must be an ISO 4217 code such as EUR",
            Format::Country => "must be an ISO 3166-1 code such as DE",
            Format::Locale => "must be a language tag such as de or pt-BR",
            Format::Timezone => "must be a time zone name such as Europe/Berlin",
            Format::LocalTime => "must be a time from 00:00 to 23:59 such as 08:30",
            Format::Code => "must be a word without blanks such as SUMMER-25",
            Format::Handle => {
                "must be letters, digits and _, beginning with a letter, such as ana_costa"
            }
            Format::Social(network) => network.wants(),
        }
    }
}

/// `http://` → `https://`
fn secure(url: String) -> String {
    match url.strip_prefix("http://") {
        Some(rest) => format!("https://{rest}"),
        None => url,
    }
}

const SLUG_MAX: u32 = 100;

fn slug(text: &str) -> bool {
    text.len() <= SLUG_MAX as usize
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

fn handle(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(is_part)
}

/// `8:30`, `8.30`, `08:30:00` → `08:30`
fn local_time(text: &str) -> Option<String> {
    let mut parts = text.split([':', '.']);
    let number = |part: Option<&str>, lengths: std::ops::RangeInclusive<usize>, below: u8| {
        let part = part.filter(|part| {
            lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        })?;
        part.parse::<u8>().ok().filter(|number| *number < below)
    };
    let hours: u8 = number(parts.next(), 1..=2, 24)?;
    let minutes: u8 = number(parts.next(), 2..=2, 60)?;
    let rest = parts.next().is_none_or(|seconds| seconds == "00");
    (rest && parts.next().is_none()).then(|| format!("{hours:02}:{minutes:02}"))
}

/// Case, width and blanks make no difference, so it is stored in capitals, without blanks and in form NFKC, where `ＶＩＰ`
/// is `VIP`.
fn code(text: &str) -> String {
    let typed: String = text.nfkc().flat_map(char::to_uppercase).collect();
    typed.nfkc().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::Format::{self, *};

    fn yes(format: Format, texts: &[&str]) {
        texts
            .iter()
            .for_each(|t| assert!(format.accepts(t), "{format:?} {t:?}"));
    }
    fn no(format: Format, texts: &[&str]) {
        texts
            .iter()
            .for_each(|t| assert!(!format.accepts(t), "{format:?} {t:?}"));
    }

    #[test]
    fn formats() {
        yes(Email, &["ana@example.org", "a.b+c@mail.example.org"]);
        no(
            Email,
            &[
                "",
                "ana",
                "@example.org",
                "ana@",
                "ana@localhost",
                "a b@example.org",
                "ana@example..org",
                "a@b@",
            ],
        );
        yes(
            Url,
            &["https://example.org", "http://example.org:80/a?b=c#d"],
        );
        no(
            Url,
            &[
                "example.org",
                "javascript:alert(1)",
                "https:example.org",
                "https://",
                "https://u:p@example.org",
                "https://@example.org",
                "https:///example.org",
                "https://a b",
                // The scheme twice, and what stood around the address.
                "https://https://example.org",
                "http://http://x.org",
                "https://example.org)",
                "https://example.org,",
                "https://example.org:",
                "https://example.org:65536",
                "https://example.org:000080",
                // Hosts that no server of names knows.
                "https://-a.org",
                "https://a.b-.c",
                "https://1",
                "https://1.2.3",
                "https://example.1",
                "https://[2001:db8::1",
                "https://example.org/ä",
                "https://example.org/{a}",
            ],
        );
        yes(
            Https,
            &[
                "https://example.org/%C3%A4",
                "https://xn--bcher-kva.example/",
                "https://my_firm.example.org:65535/(a)/b;c=[d]?e=%zz#f!",
                "https://10.0.0.1/",
                "https://localhost:3000/back",
                "https://[2001:db8::1]:8443",
            ],
        );
        no(
            Https,
            &[
                "http://example.org",
                "HTTPS://example.org",
                "https://example.org/\n",
            ],
        );
        yes(Phone, &["+4930123456"]);
        no(Phone, &["030123456", "+0301234567", "+49 30 123", "+49"]);
        yes(Slug, &["a", "summer-night-2"]);
        no(Slug, &["", "-a", "a--b", "Summer", "a_b", "a-"]);
        yes(Currency, &["EUR"]);
        no(
            Currency,
            &[
                "eur", "EURO", "", "ABC", "R U", "XXX", "XTS", "XAU", "XDR", "CLF", "USN",
            ],
        );
        yes(Country, &["DE"]);
        no(Country, &["DEU", "de", "XX"]);
        yes(
            Locale,
            &["de", "pt-BR", "zh-Hant-TW", "es-419", "ca-ES-valencia"],
        );
        no(
            Locale,
            &[
                "", "DE", "de_DE", "de-", "de-DE-x", "deu", "xx", "de-XX", "de-deu",
            ],
        );
        yes(
            Timezone,
            &[
                "UTC",
                "Europe/Berlin",
                "America/Argentina/Buenos_Aires",
                "America/Port-au-Prince",
                "Etc/GMT+1",
            ],
        );
        no(
            Timezone,
            &[
                "",
                "Berlin",
                "europe/berlin",
                "Europe/",
                "Europe/Ber lin",
                "Etc/GMT+15",
                "US/Eastern",
                "EST5EDT",
                "Mars/Olympus",
                "/",
            ],
        );
    }

    #[test]
    fn what_people_send_is_stored_in_one_form() {
        for (format, sent, stored) in [
            (Email, " ana@example.org ", "ana@example.org"),
            (Email, "max@bücher.example", "max@xn--bcher-kva.example"),
            (Email, "mailto:ana@example.org", "ana@example.org"),
            (
                Email,
                "MailTo:ana@example.org?subject=a%40b",
                "ana@example.org",
            ),
            (Email, "Ana Costa <ana@example.org>", "ana@example.org"),
            (
                Email,
                "\"Costa, Ana\" <ana@example.org> ",
                "ana@example.org",
            ),
            (
                Email,
                "<mailto:ana@bücher.example>",
                "ana@xn--bcher-kva.example",
            ),
            (Email, "ana＠example.org", "ana@example.org"),
            (Url, "<https://example.org/a>", "https://example.org/a"),
            (Url, "“Example.org/a”", "https://example.org/a"),
            (
                Format::INSTAGRAM,
                "<https://instagram.com/foo>",
                "https://www.instagram.com/foo",
            ),
            (Phone, "Tel:+49-30-123456", "+4930123456"),
            (
                Url,
                "HTTPS://Example.ORG:8080/A?b#C ",
                "https://example.org:8080/A?b#C",
            ),
            (
                Url,
                "https://bücher.example/ä",
                "https://xn--bcher-kva.example/%C3%A4",
            ),
            (
                Url,
                "https://bücher.example/ü?ä=ö#ß",
                "https://xn--bcher-kva.example/%C3%BC?%C3%A4=%C3%B6#%C3%9F",
            ),
            (
                Url,
                "https://example.org/a|b{c}^`?d=\"e\"%20f",
                "https://example.org/a%7Cb%7Bc%7D%5E%60?d=%22e%22%20f",
            ),
            (Url, "https://[2001:DB8:0:0::1]/", "https://[2001:db8::1]/"),
            (Https, "www.example.org", "https://www.example.org"),
            (Https, "http://example.org/a", "https://example.org/a"),
            (Https, "Example.org", "https://example.org"),
            (Url, "example.org/a?b", "https://example.org/a?b"),
            (
                Url,
                "Bücher.example:8080",
                "https://xn--bcher-kva.example:8080",
            ),
            (Url, "http://example.org", "http://example.org"),
            (Locale, "iw-IL", "he-IL"),
            (Locale, "mo", "ro"),
            (Locale, "deu", "de"),
            (Locale, "ENG-uk", "en-GB"),
            (Locale, "zh-cmn-Hans-CN", "zh-Hans-CN"),
            (Locale, "zh-yue-HK", "yue-HK"),
            (Locale, "gsw_CH", "gsw-CH"),
            (Locale, "sq-XK", "sq-XK"),
            (Phone, "+49 (0)30 123-456", "+4930123456"),
            (Phone, "\u{202a}+49 30 123456\u{202c}", "+4930123456"),
            (Email, "\u{feff}ana@example.org\u{200b}", "ana@example.org"),
            (Currency, "eur ", "EUR"),
            (Country, "de", "DE"),
            (Locale, "de-ch", "de-CH"),
            (Locale, "zh_hant_tw", "zh-Hant-TW"),
            (Locale, "de-DE-u-co-phonebk", "de-DE"),
            (Timezone, "europe/berlin", "Europe/Berlin"),
            (Timezone, "Europe/Kiev", "Europe/Kyiv"),
            (Timezone, "US/Eastern", "America/New_York"),
            (Timezone, "EST5EDT", "America/New_York"),
            (Timezone, "pst8pdt", "America/Los_Angeles"),
            (Timezone, "Etc/UTC", "UTC"),
            (LocalTime, "8:30", "08:30"),
            (LocalTime, "22:00:00", "22:00"),
            (Handle, "priya", "priya"),
            (Handle, " @Priya\n", "priya"),
            (Handle, "PRIYA_2", "priya_2"),
            (Code, " summer 25\u{a0}", "SUMMER25"),
            (Code, "grün-ß", "GRÜN-SS"),
            (Code, "ｖｉｐ－２５", "VIP-25"),
            (
                Url,
                "https://fa.example/a\u{200c}b\u{202e}c",
                "https://fa.example/a%E2%80%8Cb%E2%80%AEc",
            ),
            (Format::INSTAGRAM, "@foo", "https://www.instagram.com/foo"),
        ] {
            assert_eq!(format.normal(sent), stored, "{format:?} {sent:?}");
            assert!(format.accepts(stored), "{format:?} {stored:?}");
        }
        for text in [
            "Ana <ana@example.org>, Bo <bo@example.org>",
            "Ana <<ana@example.org>>",
            "<ana@example.org> Ana",
            "<>",
            "Ana <Ana>",
        ] {
            assert_eq!(Email.read(text), None, "{text}");
        }
        // No host, or more than one.
        for text in [
            "<example.org",
            "<https://example.org> and more",
            "ana@example.org",
            "javascript:alert(1.x)",
            "10.0.0.1",
            "v1.2",
            "a b.org",
            "mailto:a.b",
            "https://https://example.org",
            "example.org:",
            "https://1",
            "https://example.org/a b",
            "https://example.org/<b>",
        ] {
            assert_eq!(Url.read(text), None, "{text}");
        }
        for (sent, read) in [
            (" eur ", Some("EUR")),
            ("E", None),
            ("", None),
            ("AED AFN", None),
        ] {
            assert_eq!(Currency.read(sent).as_deref(), read, "{sent:?}");
        }
        no(
            Code,
            &[
                "VI\u{200b}P",
                "V\u{200d}IP",
                "VIP\u{fe0f}X",
                "V\u{e0041}P",
                "\u{301}",
            ],
        );
        no(
            Url,
            &[
                "https://example.org/\u{202e}gpj",
                "https://example.org/a\u{200b}b",
                "https://example.org/a?b=%00",
                "https://example.org/\u{feff}",
            ],
        );
        no(
            Handle,
            &[
                "",
                "Priya",
                "@priya",
                "pri ya",
                "priya@",
                "9lives",
                "priy\u{430}",
            ],
        );
        for text in ["@", "@@priya", "pri ya", "priya@", "9lives", "priy\u{430}"] {
            assert_eq!(Handle.read(text), None, "{text}");
        }
        no(LocalTime, &["99:99", "24:00", "8", "8:3", "08:60", ""]);
        no(Format::INSTAGRAM, &["@foo", "https://example.org/foo"]);
    }
}
