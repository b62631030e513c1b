//! What a body's format lets through, the table's CHECK takes: otherwise a fault would have no field to blame.

use crate::support::{Database, database::Content};
use kernel::input::Format;
use sqlx::AssertSqlSafe;

const FORMATS: [(Format, &str, &[&str]); 8] = [
    (
        Format::Email,
        "email",
        &["ana.b+c@mail.example.org", "a@b.co"],
    ),
    (
        Format::Url,
        "url",
        &["https://example.org:80/a?b=c#d", "http://x.org"],
    ),
    (
        Format::Https,
        "https",
        &["https://example.org/a/b.html", "https://[2001:db8::1]/"],
    ),
    (Format::Phone, "phone", &["+4930123456"]),
    (Format::Slug, "slug", &["summer-night-2"]),
    (Format::Currency, "currency", &["EUR"]),
    (Format::Country, "country", &["DE"]),
    (Format::Locale, "locale", &["zh-Hant-TW", "es-419", "de"]),
];

/// Texts near to good ones: what is on the border between the two.
fn mutants(seeds: &[&str], random: &mut fastrand::Rng) -> Vec<String> {
    let alphabet: Vec<char> = "aZ09@.-_+/:?#[]%~'\"<>{}|\\^` \t\n\u{7f}\u{85}\u{a0}äß"
        .chars()
        .collect();
    let mut texts = Vec::new();
    for seed in seeds {
        for _ in 0..2000 {
            let mut chars: Vec<char> = seed.chars().collect();
            for _ in 0..random.usize(1..4) {
                let (at, new) = (
                    random.usize(0..chars.len().max(1)),
                    alphabet[random.usize(..alphabet.len())],
                );
                match random.u8(0..3) {
                    0 if !chars.is_empty() => drop(chars.remove(at)),
                    1 if !chars.is_empty() => chars[at] = new,
                    _ => chars.insert(at.min(chars.len()), new),
                }
            }
            texts.push(chars.into_iter().collect());
        }
    }
    texts
}

#[tokio::test]
async fn what_a_body_may_hold_the_table_takes() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let mut random = fastrand::Rng::with_seed(7);
    for (format, name, seeds) in FORMATS {
        let accepted: Vec<String> = mutants(seeds, &mut random)
            .into_iter()
            .filter(|text| format.accepts(text))
            .collect();
        assert!(accepted.len() > 20, "{name}: {}", accepted.len());
        let refused: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select t from unnest($1::text[]) t where not sec.is_{name}(t)"
        )))
        .bind(&accepted)
        .fetch_all(&mut conn)
        .await
        .expect("formats");
        assert_eq!(refused, Vec::<String>::new(), "{name}");
    }
}
