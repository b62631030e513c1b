//! The language that a request asks for with `Accept-Language`.

use axum::http::{HeaderMap, header};
use kernel::input::Format;

/// The number of languages that are looked at, of however many a request lists.
const AT_MOST: usize = 20;

/// The most wanted language that is among the known ones, as the request says it (`de-CH` for `de`), or else the most
/// wanted one. `None`: the request names none.
pub fn accepted<'a>(headers: &HeaderMap, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let lists = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let ranges = lists.filter_map(|list| list.to_str().ok());
    let ranges = ranges.flat_map(|list| list.split(',')).take(AT_MOST);
    let mut wanted: Vec<(u16, String)> = ranges.filter_map(range).collect();
    // Stable, so that the first of equal weights stays first.
    wanted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    let known: Vec<&str> = known.collect();
    let language = |locale: &str| locale.split('-').next().unwrap_or_default().to_owned();
    let mut nearest = wanted.iter().map(|(_, locale)| locale);
    let nearest = nearest.find(|locale| known.contains(&language(locale).as_str()));
    nearest
        .or(wanted.first().map(|(_, locale)| locale))
        .cloned()
}

/// `de-CH;q=0.8` with its weight in thousandths. `None`: it is `*`, no language, or not wanted.
fn range(text: &str) -> Option<(u16, String)> {
    let (locale, parameters) = text.split_once(';').unwrap_or((text, ""));
    let weight = parameters.trim().strip_prefix("q=");
    let weight: f32 = weight.map_or(Some(1.0), |weight| weight.trim().parse().ok())?;
    let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
    let locale = Format::Locale.normal(locale);
    (weight > 0 && Format::Locale.accepts(&locale)).then_some((weight, locale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_language_that_is_known_is_taken() {
        for (list, expected) in [
            ("de-CH", Some("de-CH")),
            ("fr-CH, fr;q=0.9, de;q=0.7, en;q=0.8, *;q=0.5", Some("en")),
            ("en;q=0.5, de", Some("de")),
            ("de;q=0.8,en;q=0.8", Some("de")),
            // There are no texts in these: the account has the language all the same.
            ("pt-BR,fr;q=0.9", Some("pt-BR")),
            ("de;q=0", None),
            ("de;q=NaN", None),
            ("*", None),
            ("", None),
            (";;;,,,q=1", None),
            ("../../etc/passwd", None),
            ("de\u{0}", None),
        ] {
            let mut headers = HeaderMap::new();
            if let Ok(list) = list.parse() {
                headers.insert(header::ACCEPT_LANGUAGE, list);
            }
            let found = accepted(&headers, ["en", "de"].into_iter());
            assert_eq!(found.as_deref(), expected, "{list:?}");
        }
        let mut headers = HeaderMap::new();
        let many = format!("{}de", "xx-YY,".repeat(10_000));
        headers.insert(header::ACCEPT_LANGUAGE, many.parse().expect("a header"));
        assert_ne!(
            accepted(&headers, ["de"].into_iter()).as_deref(),
            Some("de")
        );
    }
}
