//! Formats of texts: what people send, the form that is stored, and what is refused. The CHECK of the same name in the
//! database accepts only the stored form.

use super::{
    address::{EMAIL_MAX, URL_MAX, email, normal_email, normal_url, url},
    codes::{COUNTRIES, CURRENCIES, is_one},
    line::{is_hidden, is_joiner, is_seen, pasted},
    phone::{digit, e164},
    social::Network,
    tags::{normal_locale, normal_timezone},
};
use std::borrow::Cow;
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
        let narrowed;
        let mut text = pasted(text);
        if self.is_ascii() {
            narrowed = narrow(text);
            text = narrowed.trim();
        }
        let understood = match self {
            Format::Email => Some(normal_email(text)),
            Format::Url => Some(address(text)),
            // Every host that people link to has it.
            Format::Https => Some(secure(address(text))),
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

    /// Whether all its texts are ASCII, so that a letter or digit in the width of Chinese and Japanese ones can only mean
    /// the ASCII one. Paths of addresses may have others.
    fn is_ascii(self) -> bool {
        use Format::*;
        matches!(
            self,
            Email | Slug | Currency | Country | Locale | Timezone | LocalTime | Handle | Social(_)
        )
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

/// An address, in the width of Chinese and Japanese letters only if it is none otherwise.
fn address(text: &str) -> String {
    let normal = normal_url(text);
    let is_one = |text: &str| url(text, &["https", "http"]);
    match is_one(&normal) {
        true => normal,
        false => Some(normal_url(&narrow(text)))
            .filter(|text| is_one(text))
            .unwrap_or(normal),
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

/// The ASCII form of letters, digits and signs in the width of Chinese and Japanese ones (`ＥＵＲ`, `０８：３０`).
fn narrow(text: &str) -> Cow<'_, str> {
    let is_wide = |c: char| ('\u{ff01}'..='\u{ff5e}').contains(&c) || c == '\u{3000}';
    if !text.contains(is_wide) {
        return Cow::Borrowed(text);
    }
    let narrow = |c: char| match c {
        '\u{3000}' => ' ',
        c if is_wide(c) => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    };
    Cow::Owned(text.chars().map(narrow).collect())
}

/// `8:30`, `8.30`, `08:30:00`, `8h30`, `8 h`, `8:30 am`, `8 PM`, `08:30 Uhr` → `08:30`
fn local_time(text: &str) -> Option<String> {
    let text: String = text.chars().map(|c| digit(c).unwrap_or(c)).collect();
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix("uhr").unwrap_or(&text).trim_end();
    let (text, half) = half_of_day(text);
    let mut parts = text.splitn(3, [':', '.', 'h']).map(str::trim);
    let number = |part: &str, lengths: std::ops::RangeInclusive<usize>, below: u8| {
        let fits = lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let number = fits.then(|| part.parse::<u8>().ok())??;
        (number < below).then_some(number)
    };
    let hours = number(parts.next()?, 1..=2, 24)?;
    let minutes = match parts.next() {
        // `8h`: the hour is said to be one.
        Some("") if text.ends_with('h') => 0,
        Some(minutes) => number(minutes, 2..=2, 60)?,
        None if half.is_some() => 0,
        None => return None,
    };
    let hours = match half {
        None => hours,
        Some(half) if (1..=12).contains(&hours) => hours % 12 + half,
        Some(_) => return None,
    };
    (parts.next().is_none_or(|seconds| seconds == "00")).then(|| format!("{hours:02}:{minutes:02}"))
}

/// `8 a.m.`, `8pm`: the text before it, and the hours to add.
fn half_of_day(text: &str) -> (&str, Option<u8>) {
    for (words, hours) in [(["am", "a.m."], 0), (["pm", "p.m."], 12)] {
        if let Some(time) = words.iter().find_map(|word| text.strip_suffix(word)) {
            return (time.trim_end(), Some(hours));
        }
    }
    (text, None)
}

/// Case, width, blanks and what is invisible make no difference, so it is stored in capitals, without blanks and in form
/// NFKC, where `ＶＩＰ` is `VIP`. Control characters stay, and are refused.
fn code(text: &str) -> String {
    let typed: String = text.nfkc().flat_map(char::to_uppercase).collect();
    let is_left_out = |c: &char| c.is_whitespace() || (is_hidden(*c) && !c.is_control());
    typed.nfkc().filter(|c| !is_left_out(c)).collect()
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
