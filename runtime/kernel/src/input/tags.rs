//! Names of languages (BCP 47) and of time zones (the IANA database) in the spelling that is stored.

use icu_time::zone::iana::IanaParserExtended;

/// `de_ch`, `DE-ch`, `de_CH.UTF-8`, `de-CH-u-co-phonebk` → `de-CH`: language, script, region and variants. Extensions,
/// which say how to sort or count, are dropped.
pub fn normal_locale(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.split(['.', '@']).next().unwrap_or_default();
    let mut parts = text.split(['-', '_']).peekable();
    let language = parts.next()?;
    let letters = |part: &str| part.bytes().all(|b| b.is_ascii_alphabetic());
    if !((2..=3).contains(&language.len()) && letters(language)) {
        return None;
    }
    let language = language.to_ascii_lowercase();
    let mut tag = present_language(&language).to_owned();
    if let Some(script) = parts.next_if(|part| part.len() == 4 && letters(part)) {
        tag.push('-');
        tag.push_str(&script[..1].to_ascii_uppercase());
        tag.push_str(&script[1..].to_ascii_lowercase());
    }
    let is_region = |part: &&str| {
        (part.len() == 2 && letters(part))
            || (part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()))
    };
    if let Some(region) = parts.next_if(is_region) {
        tag.push('-');
        tag.push_str(&region.to_ascii_uppercase());
    }
    for part in parts {
        let word = part.bytes().all(|b| b.is_ascii_alphanumeric());
        match part.len() {
            // An extension begins here and extends to the end.
            1 if word => break,
            5..=8 if word => {}
            4 if word && part.as_bytes()[0].is_ascii_digit() => {}
            _ => return None,
        }
        tag.push('-');
        tag.push_str(&part.to_ascii_lowercase());
    }
    (tag.len() <= 35).then_some(tag)
}

/// The present code of a language that had another one, which old Java and Android still send.
fn present_language(code: &str) -> &str {
    match code {
        "iw" => "he",
        "in" => "id",
        "ji" => "yi",
        "jw" => "jv",
        "mo" => "ro",
        code => code,
    }
}

/// `europe/berlin`, `Europe/Kiev`, `US/Eastern` → `Europe/Berlin`, `Europe/Kyiv`, `America/New_York`.
pub fn normal_timezone(text: &str) -> Option<&'static str> {
    let found = IanaParserExtended::new().parse(text.trim());
    match found.canonical {
        _ if found.time_zone.is_unknown() => None,
        "Etc/UTC" | "Etc/GMT" => Some("UTC"),
        // `EST5EDT` and the like are rules of an age, not places; the database refuses them, too.
        zone => zone.contains('/').then_some(zone),
    }
}
