//! Formats of texts. Each is at least as strict as the CHECK of the same name in the database.

/// What a text is.
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
    /// BCP 47: language, script, region
    Locale,
    /// A name of the IANA database
    Timezone,
}

impl Format {
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Format::Email => email(text),
            Format::Url => url(text, &["https", "http"]),
            Format::Https => url(text, &["https"]),
            Format::Phone => phone(text),
            Format::Slug => slug(text),
            Format::Currency => text.len() == 3 && upper(text),
            Format::Country => text.len() == 2 && upper(text),
            Format::Locale => locale(text),
            Format::Timezone => timezone(text),
        }
    }

    /// Ends a sentence that begins with the field's name.
    pub fn wants(self) -> &'static str {
        match self {
            Format::Email => "must be an e-mail address such as ana@example.org",
            Format::Url => "must be a URL such as https://example.org/page",
            Format::Https => "must be an https URL such as https://example.org/page",
            Format::Phone => "must be an international telephone number such as +4930123456",
            Format::Slug => "must be lower-case words joined by hyphens such as summer-night",
            Format::Currency => "must be an ISO 4217 code such as EUR",
            Format::Country => "must be an ISO 3166-1 code such as DE",
            Format::Locale => "must be a language tag such as de or pt-BR",
            Format::Timezone => "must be a time zone name such as Europe/Berlin",
        }
    }
}

fn upper(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase())
}

fn email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_char = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b);
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.bytes().all(local_char)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && domain.contains('.')
        && domain.split('.').all(host_label)
}

fn host_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Credentials are refused: they would be stored and shown to everyone.
fn url(text: &str, schemes: &[&str]) -> bool {
    if text.len() > 2000
        || text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || "<>\"\\^`{|}".contains(c))
    {
        return false;
    }
    // The parser forgives `https:example.org` and upper-case schemes; the database's CHECK does not.
    let Some(scheme) = schemes.iter().find(|s| {
        text.strip_prefix(**s)
            .is_some_and(|rest| rest.starts_with("://"))
    }) else {
        return false;
    };
    url::Url::parse(text).is_ok_and(|url| {
        url.scheme() == *scheme
            && url.host_str().is_some_and(|host| !host.is_empty())
            && !authority(text).is_empty()
            && !authority(text).contains('@')
    })
}

/// As it was sent: the parser drops empty credentials.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn slug(text: &str) -> bool {
    (1..=100).contains(&text.len())
        && text.split('-').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

fn locale(text: &str) -> bool {
    let mut parts = text.split('-').peekable();
    let language = parts.next().unwrap_or_default();
    if !((2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_lowercase())) {
        return false;
    }
    let is_script = |part: &&str| {
        part.len() == 4
            && part.as_bytes()[0].is_ascii_uppercase()
            && part.bytes().skip(1).all(|b| b.is_ascii_lowercase())
    };
    parts.next_if(is_script);
    let is_region = |part: &&str| {
        (part.len() == 2 && upper(part))
            || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    parts.next_if(is_region);
    parts.next().is_none()
}

/// Whether there is such a zone, the database knows.
fn timezone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b))
    };
    let offset = |rest: &str| {
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        digits.len() <= 2 && digits.parse().is_ok_and(|hours: u8| hours <= 14)
    };
    match text.strip_prefix("Etc/GMT") {
        _ if text == "UTC" => true,
        Some(rest) if !rest.is_empty() => offset(rest),
        _ => {
            text.len() <= 64
                && (2..=3).contains(&text.split('/').count())
                && text.split('/').all(part)
        }
    }
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
            ],
        );
        yes(Https, &["https://example.org/ä"]);
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
        no(Currency, &["eur", "EURO", ""]);
        yes(Country, &["DE"]);
        no(Country, &["DEU", "de"]);
        yes(Locale, &["de", "pt-BR", "zh-Hant-TW", "es-419"]);
        no(Locale, &["", "DE", "de_DE", "de-", "de-DE-x"]);
        yes(
            Timezone,
            &[
                "UTC",
                "Europe/Berlin",
                "America/Argentina/Buenos_Aires",
                "America/Port-au-Prince",
                "Etc/GMT+1",
                "Etc/GMT0",
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
                "EST5EDT",
                "/",
            ],
        );
    }
}
