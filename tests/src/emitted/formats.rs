//! Values that the format of a body accepts must satisfy the table's CHECK: otherwise an error couldn't name the
//! field.

use crate::support::{Database, database::Content};
use kernel::input::{Format, is_line, is_seen, normal_line};
use sqlx::AssertSqlSafe;

const FORMATS: [(Format, &str, &[&str]); 10] = [
    (
        Format::Email,
        "email",
        &["ana.b+c@mail.example.org", "a@b.co"],
    ),
    (
        Format::Url,
        "url",
        &[
            "https://example.org:80/a?b=c#d",
            "http://x.org",
            "http://a_b-c.example/%5Bd%5D|e%4",
            "http://10.0.0.1/",
        ],
    ),
    (
        Format::Https,
        "https",
        &["https://example.org/a/b.html", "https://[2001:db8::1]/"],
    ),
    (Format::Phone, "phone", &["+4930123456"]),
    (Format::Slug, "slug", &["summer-night-2"]),
    (Format::Currency, "currency", &["EUR", "CHF", "XOF", "USD"]),
    (Format::Country, "country", &["DE", "CH", "ZA"]),
    (Format::Locale, "locale", &["zh-Hant-TW", "es-419", "de"]),
    (
        Format::LocalTime,
        "local_time",
        &["08:30", "23:59", "00:00", "19:09"],
    ),
    (Format::Code, "code", &["SUMMER-25", "GRÜN"]),
];

/// Texts similar to valid ones, to find the border between valid and invalid.
pub(super) fn mutants(seeds: &[&str], random: &mut fastrand::Rng) -> Vec<String> {
    let alphabet: Vec<char> = "aZ09@.-_+/:?#[]%~'\"<>{}|\\^` \t\n\u{7f}\u{85}\u{a0}äßＡ\u{200b}\u{200d}\u{202e}\u{fe0f}\u{e0041}"
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

/// Both sides agree about addresses of networks' pages, tested with variants of valid ones; what people paste is
/// stored in a form that both accept.
#[tokio::test]
async fn pages_of_networks_are_the_same_on_both_sides() {
    use codegen::{emit::openapi::example, model::NETWORKS};
    let networks = [
        Format::INSTAGRAM,
        Format::FACEBOOK,
        Format::YOUTUBE,
        Format::LINKEDIN,
        Format::X,
        Format::TIKTOK,
        Format::MASTODON,
        Format::THREADS,
        Format::BLUESKY,
        Format::WHATSAPP,
        Format::TELEGRAM,
    ];
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let mut random = fastrand::Rng::with_seed(9);
    for (format, name) in networks.into_iter().zip(NETWORKS) {
        let mut texts = mutants(&[example::social(name)], &mut random);
        texts.extend(NETWORKS.map(|other| example::social(other).to_owned()));
        texts.retain(|text| !text.contains('\0'));
        let stored: Vec<String> = texts.iter().map(|text| format.normal(text)).collect();
        texts.extend(stored);
        let theirs: Vec<bool> = sqlx::query_scalar(
            "select sec.is_social(t, $2) from unnest($1::text[]) with ordinality given(t, n) order by n",
        )
        .bind(&texts)
        .bind(name)
        .fetch_all(&mut conn)
        .await
        .expect("answers");
        let mut taken = 0;
        for (text, theirs) in texts.iter().zip(theirs) {
            assert!(
                theirs || !format.accepts(text),
                "{name}: only the database refuses {text:?}"
            );
            taken += usize::from(theirs && format.accepts(text));
        }
        assert!(taken > 20, "{name}: {taken}");
    }
}

/// Both sides have the same lists of codes, checked for every possible code.
#[tokio::test]
async fn codes_that_exist_are_the_same_on_both_sides() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let letters = || 'A'..='Z';
    let two: Vec<String> = letters()
        .flat_map(|a| letters().map(move |b| format!("{a}{b}")))
        .collect();
    let three: Vec<String> = two
        .iter()
        .flat_map(|two| letters().map(move |c| format!("{two}{c}")))
        .collect();
    for (format, name, codes, least) in [
        (Format::Country, "country", two, 240),
        (Format::Currency, "currency", three, 150),
    ] {
        let ours: Vec<&String> = codes.iter().filter(|code| format.accepts(code)).collect();
        let theirs: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select t from unnest($1::text[]) with ordinality given(t, n) where sec.is_{name}(t) order by n"
        )))
        .bind(&codes)
        .fetch_all(&mut conn)
        .await
        .expect("answers");
        assert_eq!(ours, theirs.iter().collect::<Vec<_>>(), "{name}");
        assert!(ours.len() > least, "{name}");
    }
}

/// The database knows every zone that a body may name, under the name that is stored.
#[tokio::test]
async fn zones_that_are_stored_the_database_knows() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let names: Vec<String> = sqlx::query_scalar(
        "select name from pg_timezone_names where name ~ '^[A-Z][A-Za-z]+/' and name !~ '^(Etc|SystemV|posix|right)/'",
    )
    .fetch_all(&mut conn)
    .await
    .expect("names");
    let stored: Vec<String> = names
        .iter()
        .map(|name| Format::Timezone.normal(&name.to_lowercase()))
        .collect();
    let refused: Vec<String> =
        sqlx::query_scalar("select t from unnest($1::text[]) t where not sec.is_timezone(t)")
            .bind(&stored)
            .fetch_all(&mut conn)
            .await
            .expect("answers");
    assert_eq!(refused, Vec::<String>::new());
    assert!(stored.len() > 400);
}

/// Every character by itself, in the middle of a text, and doubled at its end.
#[tokio::test]
async fn what_is_seen_is_the_same_on_both_sides() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let all: Vec<char> = ('\u{1}'..=char::MAX).collect();
    let mut refused = 0;
    for chunk in all.chunks(50_000) {
        let texts: Vec<String> = chunk
            .iter()
            .flat_map(|c| {
                [
                    c.to_string(),
                    format!("a{c}b"),
                    format!("a{c}{c}"),
                    format!("{c}a"),
                    format!("a {c}"),
                    format!("a{}", c.to_string().repeat(6)),
                ]
            })
            .collect();
        let theirs: Vec<(bool, bool)> = sqlx::query_as(
            "select sec.is_line(t), sec.is_seen(t) from unnest($1::text[]) with ordinality given(t, n) order by n",
        )
        .bind(&texts)
        .fetch_all(&mut conn)
        .await
        .expect("answers");
        for (text, theirs) in texts.iter().zip(theirs) {
            // PostgreSQL's Unicode version may not know the composition of recent letters: then the CHECK accepts more
            // than is ever stored.
            if normal_line(text) != *text && text.chars().any(|c| c > '\u{ffff}') && theirs.0 {
                continue;
            }
            assert_eq!(
                (is_line(text), is_seen(text)),
                theirs,
                "{}",
                text.escape_unicode()
            );
            refused += usize::from(!theirs.0);
        }
    }
    assert!(refused > 4000, "{refused}");
    for (text, is_one) in [
        ("a\u{200c}\u{200d}b", false),
        ("a\u{200c}b", false),
        ("a\u{200c}ه", true),
        ("می\u{200c}خواهم", true),
        ("Ana\u{1d159}Costa", false),
        ("\u{200c}a", false),
        ("", true),
        ("\n", false),
        ("a\nb", false),
        ("a \u{200d} b", false),
        // Blanks that look like another one, and marks that stand on nothing or run over other lines.
        ("VIP  Area", false),
        ("VIP\u{a0}Area", false),
        ("東京  タワー", false),
        ("東京 タワー", true),
        ("東京\u{3000}タワー", true),
        ("a \u{303}b", false),
        ("\u{20e3}a", false),
        ("Z\u{330}\u{330}\u{330}\u{330}\u{330}", true),
        ("Z\u{330}\u{330}\u{330}\u{330}\u{330}\u{330}", false),
        ("Kultur\u{ad}verein", false),
        // A second `VIP` in a unique field, with invisible characters.
        ("VIP\u{3164}", false),
        ("VIP\u{2800}", false),
        ("V\u{34f}IP", false),
        ("V\u{115f}\u{1160}IP", false),
        ("VIP\u{17b4}", false),
        ("VIP\u{180b}", false),
        ("VIP\u{ffa0}", false),
        ("VIP\u{e0000}", false),
        ("VIP\u{e0fff}", false),
        // Selectors and tags outside of emoji, private characters and those that are none.
        ("VIP\u{fe0f}", false),
        ("1\u{fe0f}", false),
        ("1\u{fe0f}\u{20e3}", true),
        ("☺\u{fe0f}", true),
        ("☺\u{fe0f}\u{fe0f}", false),
        ("VIP\u{e0056}", false),
        ("🏴\u{e0067}", false),
        ("🏴\u{e0067}x\u{e007f}", false),
        ("VIP\u{fffc}", false),
        ("VIP\u{fdd0}", false),
        ("VIP\u{e000}", false),
        ("VIP\u{10ffff}", false),
        // Emoji and flags contain characters that are invisible by themselves.
        ("👁\u{fe0f}\u{200d}🗨\u{fe0f}", true),
        (
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            true,
        ),
        // Half of an Indic letter at the end of a word. For six of Malayalam there is one character.
        ("\u{915}\u{94d}\u{200d}", true),
        ("\u{915}\u{94d}\u{200c}", false),
        ("\u{d28}\u{d4d}\u{200d}", false),
        ("\u{d7b}", true),
        ("\u{d2e}\u{d4d}\u{200d}", true),
        // Mongolian selectors and separators stand after Mongolian letters.
        ("\u{1828}\u{180b}\u{1820}", true),
        ("\u{1828}\u{180e}\u{1820}", true),
        ("\u{1828}\u{180b}\u{180b}", false),
        ("\u{1828}\u{180e}\u{1828}", false),
        ("\u{1828}\u{180e}", false),
    ] {
        let theirs: bool = sqlx::query_scalar("select sec.is_line($1)")
            .bind(text)
            .fetch_one(&mut conn)
            .await
            .expect("an answer");
        assert_eq!(
            (is_line(text), theirs),
            (is_one, is_one),
            "{}",
            text.escape_unicode()
        );
    }
}
