//! What the generator says about literals in a spec is what the tables say: a default that it takes can be stored, and
//! one that it refuses could not.

use super::formats::mutants;
use crate::support::{Database, database::Content};
use codegen::{forms::expected, model::Ty};
use kernel::input::Format;
use sqlx::AssertSqlSafe;

/// Types, the condition of their columns on `t`, and texts that are valid or nearly so.
fn types() -> Vec<(Ty, &'static str, &'static [&'static str])> {
    vec![
        (
            Ty::Email,
            "sec.is_email(t)",
            &["ana.b+c@mail.example.org", "a@b.co", "a-b@x-1.example"],
        ),
        (
            Ty::Url,
            "sec.is_url(t)",
            &[
                "https://example.org:80/a?b=c#d",
                "http://x.org",
                "https://[2001:db8::1]/",
                "http://a_b-c.example/%5Bd%5D|e%4",
                "http://10.0.0.1/",
            ],
        ),
        (Ty::Phone, "sec.is_phone(t)", &["+4930123456", "+1000000"]),
        (
            Ty::Slug { from: None },
            "sec.is_slug(t)",
            &["summer-night-2", "a"],
        ),
        (
            Ty::Locale,
            "sec.is_locale(t)",
            &[
                "zh-Hant-TW",
                "es-419",
                "de",
                "ca-ES-valencia",
                "de-1996",
                "sl-rozaj-1994",
            ],
        ),
        (
            Ty::LocalTime,
            "sec.is_local_time(t)",
            &["08:30", "23:59", "00:00"],
        ),
        (
            Ty::Currency,
            "sec.is_currency(t)",
            &["EUR", "CHF", "AED AFN"],
        ),
        (Ty::Country, "sec.is_country(t)", &["DE", "CH", "AD AE"]),
        (
            Ty::Code { min: 3, max: 12 },
            "sec.is_text(t, 3, 12) and sec.is_code(t)",
            &["SUMMER-25", "VIP", "GRÜN-1"],
        ),
        (
            Ty::Handle { min: 3, max: 12 },
            "sec.is_handle(t, 3, 12)",
            &["ada_lovelace", "a_1", "priya"],
        ),
        (
            Ty::Text { min: 0, max: 20 },
            "sec.is_text(t, 0, 20)",
            &[
                "",
                "a",
                "Ana Costa",
                "two  blanks",
                "می\u{200c}خواهم",
                "☺\u{fe0f}",
            ],
        ),
        (
            Ty::Text { min: 1, max: 301 },
            "sec.is_text(t, 1, 301)",
            &["a", "two\nlines", " \n\t"],
        ),
    ]
}

#[tokio::test]
async fn forms_of_literals_are_those_of_the_tables() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let mut random = fastrand::Rng::with_seed(11);
    for (ty, condition, seeds) in types() {
        let mut texts = mutants(seeds, &mut random);
        texts.extend(seeds.iter().map(|seed| (*seed).to_owned()));
        let theirs: Vec<bool> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select {condition} from unnest($1::text[]) with ordinality given(t, n) order by n"
        )))
        .bind(&texts)
        .fetch_all(&mut conn)
        .await
        .expect("answers");
        let (mut taken, mut refused) = (0, 0);
        for (text, theirs) in texts.iter().zip(theirs) {
            let ours = expected(&ty, text).is_none();
            let told = text.escape_unicode();
            assert!(ours || !theirs, "{ty:?}: only the generator refuses {told}");
            // Outside of ASCII some texts have several spellings, which only the database compares.
            assert!(
                !ours || theirs || !text.is_ascii(),
                "{ty:?}: only the table refuses {told}"
            );
            taken += usize::from(ours);
            refused += usize::from(!ours);
        }
        assert!(taken > 20 && refused > 20, "{ty:?}: {taken} {refused}");
    }
}

/// The generator has a list of the zones, in the spelling that is stored.
#[tokio::test]
async fn zones_of_literals_are_those_that_are_stored() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let known: Vec<(String, bool)> = sqlx::query_as(
        "select name, sec.is_timezone(name) from pg_timezone_names where name !~ '^(posix|right)/' order by name",
    )
    .fetch_all(&mut conn)
    .await
    .expect("names");
    let mut stored = Vec::new();
    for (name, is_zone) in &known {
        let ours = expected(&Ty::Timezone, name).is_none();
        assert_eq!(ours, Format::Timezone.accepts(name), "{name}");
        assert!(*is_zone || !ours, "{name}");
        stored.extend(ours.then_some(name));
    }
    assert!(stored.len() > 400, "{}", stored.len());
    for unknown in [
        "",
        "Mars/Olympus",
        "europe/berlin",
        "Australia/Sidney",
        "CET",
        "UTC\n",
    ] {
        assert!(expected(&Ty::Timezone, unknown).is_some(), "{unknown}");
    }
}
