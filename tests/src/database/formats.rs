//! Formats that CHECK constraints enforce.

use super::world::{rows, world};
use crate::support::database;
use sqlx::Row;

#[tokio::test]
async fn formats_take_what_is_right_and_nothing_else() {
    let database = database().await;
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "email",
            &["ana@example.org", "a.b+c@mail.example.org"],
            &["", "ana", "ana@", "a b@example.org", "a@b", "a@b@c.org"],
        ),
        (
            "url",
            &[
                "https://example.org",
                "http://example.org:80/a?b=c#d",
                "https://xn--mnchen-3ya.example/%C3%A4",
                "https://my_firm.example.org/(a)/b;c=%5Bd%5D?e=%25zz#f!",
                "https://10.0.0.1:8443/",
                "https://[2001:db8::1]/",
            ],
            &[
                "example.org",
                "javascript:alert(1)",
                "https:example.org",
                "https://",
                "https://u:p@example.org",
                "https://a b",
                "HTTPS://a.org",
                "https://münchen.example/",
                "https://Example.org/",
                "https://example.org/ä",
                "https://example.org/a|b",
                "https://https://example.org",
                "https://example.org)",
                "https://example.org:",
                "https://-a.org",
                "https://a.b-.c",
                "https://1",
            ],
        ),
        (
            "https",
            &["https://example.org/%C3%A4"],
            &["http://example.org", "//example.org", "data:text/html,x"],
        ),
        (
            "phone",
            &["+4930123456"],
            &["030123456", "+0301234567", "+49 30 123", "+49"],
        ),
        (
            "slug",
            &["a", "summer-night-2"],
            &["", "-a", "a--b", "Summer", "a_b", "a-"],
        ),
        (
            "currency",
            &["EUR", "XOF"],
            &[
                "eur", "EURO", "", "ABC", "R U", "XXX", "XTS", "XAU", "XDR", "CLF", "USN",
            ],
        ),
        ("country", &["DE", "CH"], &["DEU", "de", "XX"]),
        (
            "locale",
            &["de", "pt-BR", "zh-Hant-TW", "es-419", "ca-ES-valencia"],
            &["", "DE", "de_DE", "de-", "de-DE-x", "de-de"],
        ),
        (
            "timezone",
            &[
                "UTC",
                "Europe/Berlin",
                "America/Argentina/Buenos_Aires",
                "America/Port-au-Prince",
                "Etc/GMT+3",
            ],
            &[
                "",
                "CET",
                "Berlin",
                "Mars/Olympus",
                "Foo/Bar+3",
                "FOO+3",
                "Etc/GMT+99",
            ],
        ),
        (
            "local_time",
            &["00:00", "23:59"],
            &["", "8:30", "24:00", "99:99", "08:60", "08:30:00"],
        ),
        (
            "code",
            &["SUMMER25", "GRÜN-1"],
            &["summer", "A B", "", "GRüN", "A\u{a0}B"],
        ),
        (
            "plain",
            &["two\nlines\tand a tab"],
            &["bell \u{7}", "escape \u{1b}[31m"],
        ),
    ];
    for (format, good, bad) in cases {
        for (texts, expected) in [(good, true), (bad, false)] {
            for text in texts.iter() {
                let sql = format!("select sec.is_{format}('{text}')");
                let found: bool = rows(&database.superuser, sql).await[0].get(0);
                assert_eq!(found, expected, "{format} {text:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_name_of_a_zone_that_matters_is_one() {
    let database = database().await;
    let sql = "select name from pg_timezone_names where name ~ '^[A-Z][a-z]+/' and name !~ '^(Etc|SystemV|posix|right)/' \
               and not sec.is_timezone(name)";
    let refused: Vec<String> = rows(&database.superuser, sql)
        .await
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

#[tokio::test]
async fn objects_are_closed() {
    let world = world().await;
    let set = |links: &str| {
        format!(
            "update app.users set social_links = '{links}' where id = '{}'",
            world.ana
        )
    };
    for good in [r#"{}"#, r#"{"website": "https://example.org", "x": null}"#] {
        assert_eq!(world.admin(set(good)).await, Ok(1), "{good}");
    }
    for bad in [
        r#"{"site": "https://example.org"}"#,
        r#"{"website": "http://example.org"}"#,
        r#"{"website": 1}"#,
        "[]",
        "1",
        r#"{"website": "https://u@example.org"}"#,
    ] {
        assert_eq!(
            world.admin(set(bad)).await,
            Err("23514 users_social_links_format".into()),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn ids_are_of_version_7_and_in_order() {
    let world = world().await;
    let sql = "select bool_and(id::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]') \
               and bool_and(abs(extract(epoch from now()) - ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) < 60) \
               from (select sec.uuid_v7() as id from generate_series(1, 1000)) s";
    assert!(world.look::<bool>(sql).await);
    let in_order = "do $$ declare a uuid; b uuid; begin a := sec.uuid_v7(); perform pg_sleep(0.002); b := sec.uuid_v7(); assert a < b; end $$";
    assert!(world.admin(in_order).await.is_ok());
}

/// Functions of ours in defaults of columns that PostgreSQL can't inline. It plans such a function again whenever the
/// search path differs from that of the call before, as between a request and its triggers: twice for each like.
const NOT_INLINED: &str = "select coalesce(string_agg(distinct p.oid::regprocedure::text, ', '), '')
    from pg_depend d join pg_proc p on p.oid = d.refobjid join pg_namespace n on n.oid = p.pronamespace
    where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_proc'::regclass
      and n.nspname in ('app', 'sec', 'audit', 'jobs', 'requests', 'counters', 'search')
      and (p.prolang <> (select l.oid from pg_language l where l.lanname = 'sql') or p.prosecdef or p.proconfig is not null)";

#[tokio::test]
async fn defaults_of_columns_are_inlined() {
    let world = world().await;
    assert_eq!(world.look::<String>(NOT_INLINED).await, "");
    let plan = "explain (verbose, format json) select sec.uuid_v7()";
    let inlined: serde_json::Value = world.look(plan).await;
    let output = inlined[0]["Plan"]["Output"].to_string();
    assert!(output.contains("gen_random_uuid"), "{output}");

    // The negative control: a function with a search path of its own.
    let path = "alter function sec.uuid_v7() set search_path = pg_catalog, pg_temp";
    world.admin(path).await.expect("altered");
    assert_eq!(world.look::<String>(NOT_INLINED).await, "sec.uuid_v7()");
    let called: serde_json::Value = world.look(plan).await;
    let output = called[0]["Plan"]["Output"].to_string();
    assert!(output.contains("uuid_v7"), "{output}");
}

#[tokio::test]
async fn slugs_are_made_and_kept_apart() {
    let world = world().await;
    let mut slugs = Vec::new();
    for name in ["Größe & Café", "Größe & Café", "日本"] {
        let sql = format!(
            "insert into app.communities (city_id, name) values ('{}', '{name}') returning slug",
            world.city
        );
        slugs.push(world.look::<String>(sql).await);
    }
    for (slug, words) in slugs
        .iter()
        .zip(["grosse-cafe", "grosse-cafe", "community"])
    {
        let end = slug
            .strip_prefix(words)
            .and_then(|rest| rest.strip_prefix('-'));
        let hex = |end: &str| end.len() == 8 && end.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(end.is_some_and(hex), "{slugs:?}");
    }
    assert_ne!(slugs[0], slugs[1]);
}
