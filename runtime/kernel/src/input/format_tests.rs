//! What people send in texts with a format.

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
            "ana@example.123",
            "ana@xn--a.example",
        ],
    );
    yes(
        Url,
        &["https://example.org", "http://example.org:8080/a?b=c#d"],
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
            "https://example.org/[a]",
            "https://example.org/%zz",
            "https://example.org/%",
            "https://example.org/a#b#c",
        ],
    );
    yes(
        Https,
        &[
            "https://example.org/%C3%A4",
            "https://xn--bcher-kva.example/",
            "https://my_firm.example.org:65535/(a)/b;c=%5Bd%5D?e=%25zz#f!",
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
        (
            Url,
            "https://example.org/100%/[a]?q=%zz&r=%4#b#c[%",
            "https://example.org/100%25/%5Ba%5D?q=%25zz&r=%254#b%23c%5B%25",
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
        (Url, "http://example.org:80/a", "http://example.org/a"),
        (Url, "https://example.org:80/a", "https://example.org:80/a"),
        (Https, "example.org:443", "https://example.org"),
        (Code, "summer\u{200b}-\u{ad}25", "SUMMER-25"),
        (Locale, "iw-IL", "he-IL"),
        (Locale, "mo", "ro"),
        (Locale, "deu", "de"),
        (Locale, "ENG-uk", "en-GB"),
        (Locale, "zh-cmn-Hans-CN", "zh-Hans-CN"),
        (Locale, "zh-yue-HK", "yue-HK"),
        (Locale, "gsw_CH", "gsw-CH"),
        (Locale, "sr_RS@latin", "sr-Latn-RS"),
        (Locale, "sr_RS.UTF-8@latin", "sr-Latn-RS"),
        (Locale, "uz_UZ@cyrillic", "uz-Cyrl-UZ"),
        (Locale, "ca_ES@valencia", "ca-ES-valencia"),
        (Locale, "de_DE@euro", "de-DE"),
        (Locale, "de_DE@collation=phonebook", "de-DE"),
        (Email, "ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "ana@example.org"),
        (
            Url,
            "ｈｔｔｐｓ：／／ｅｘａｍｐｌｅ．ｏｒｇ／ａ",
            "https://example.org/a",
        ),
        (Https, "https：//example.org", "https://example.org"),
        (
            Format::INSTAGRAM,
            "＠ｎａｓａ",
            "https://www.instagram.com/nasa",
        ),
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
        (LocalTime, "8h30", "08:30"),
        (LocalTime, "20 h 30", "20:30"),
        (LocalTime, "20h", "20:00"),
        (LocalTime, "20.30 Uhr", "20:30"),
        (LocalTime, "8 am", "08:00"),
        (LocalTime, "8:30 PM", "20:30"),
        (LocalTime, "12:15 a.m.", "00:15"),
        (LocalTime, "12pm", "12:00"),
        (LocalTime, "０８：３０", "08:30"),
        (LocalTime, "٢٢:٠٠", "22:00"),
        (Currency, "ｅｕｒ", "EUR"),
        (Country, "ＤＥ\u{3000}", "DE"),
        (Locale, "ｐｔ－ＢＲ", "pt-BR"),
        (Timezone, "Ｅｕｒｏｐｅ／Ｂｅｒｌｉｎ", "Europe/Berlin"),
        (Slug, "Ｓｕｍｍｅｒ-２", "summer-2"),
        (Handle, "＠Ｐｒｉｙａ", "priya"),
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
    for text in [
        "8",
        "20",
        "13 pm",
        "0 am",
        "8:3 pm",
        "pm",
        "8:30h",
        "8:30:15",
        "8h30:99",
        "h",
        "8 x",
        "8:30 am pm",
        "08:30:00.000",
        "0830",
    ] {
        assert_eq!(LocalTime.read(text), None, "{text}");
    }
    no(Format::INSTAGRAM, &["@foo", "https://example.org/foo"]);
}
