//! Values pasted into fields with a format are stored in their normalized form, for every entity that can be changed.

use super::operations::{body_keys, entity};
use crate::support::{Answer, TestServer, model, resources, rows};
use codegen::model::{Field, Ty};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Values to send, with the stored value. None: the value is refused.
fn cases(ty: &Ty) -> Vec<(&'static str, Option<&'static str>)> {
    match ty {
        Ty::Url => vec![
            ("HTTPS://Example.org/A ", Some("https://example.org/A")),
            ("Example.org/A", Some("https://example.org/A")),
            (
                "https://bücher.example/ä",
                Some("https://xn--bcher-kva.example/%C3%A4"),
            ),
            ("https://example.org/a|b", Some("https://example.org/a%7Cb")),
            ("<https://example.org/A>", Some("https://example.org/A")),
            ("https://", None),
            ("https://https://example.org", None),
            ("https://example.org)", None),
        ],
        Ty::Email => vec![
            (" max@example.org ", Some("max@example.org")),
            ("max@bücher.example", Some("max@xn--bcher-kva.example")),
            ("Max Muster <max@example.org>", Some("max@example.org")),
            ("max@", None),
            ("Max <max@example.org>, Ana <ana@example.org>", None),
        ],
        Ty::Phone => vec![
            ("+41 (0)44 668 18 00", Some("+41446681800")),
            ("0041 44 668-18-00 ", Some("+41446681800")),
            ("\u{202a}+41 44 668 18 00\u{202c}", Some("+41446681800")),
            ("(+41) 44 668 18 00", Some("+41446681800")),
            ("Tel. +41 44 668 18 00", Some("+41446681800")),
            ("+41 (044) 668 18 00", Some("+41446681800")),
            ("044 CALL NOW", None),
            ("Fax +41 44 668 18 00", None),
        ],
        Ty::Locale => vec![
            ("de-ch", Some("de-CH")),
            ("de_CH", Some("de-CH")),
            ("iw", Some("he")),
            ("ｄｅ－ＣＨ", Some("de-CH")),
            ("deu", Some("de")),
            ("zh-cmn-Hans", Some("zh-Hans")),
            ("deutsch", None),
            ("xx", None),
            ("de-XX", None),
        ],
        Ty::Timezone => vec![
            ("europe/berlin ", Some("Europe/Berlin")),
            ("US/Eastern", Some("America/New_York")),
            ("Europe/Kiev", Some("Europe/Kyiv")),
            ("Mars/Olympus", None),
        ],
        Ty::LocalTime => vec![
            ("8:30", Some("08:30")),
            ("20h30", Some("20:30")),
            ("8 pm", Some("20:00")),
            ("99:99", None),
        ],
        Ty::Social { network } if network == "instagram" => vec![
            ("@foo", Some("https://www.instagram.com/foo")),
            (
                "HTTPS://Instagram.com/foo/",
                Some("https://www.instagram.com/foo"),
            ),
            ("https://example.org/foo", None),
        ],
        Ty::Social { network } if network == "facebook" => vec![
            ("fb.com/foo", Some("https://www.facebook.com/foo")),
            ("m.me/foo", Some("https://www.facebook.com/foo")),
            (
                "https://www.facebook.com/share/g/1AbCdEf/?mibextid=x",
                Some("https://www.facebook.com/share/g/1AbCdEf"),
            ),
            ("https://developers.facebook.com/docs", None),
            ("https://example.org/foo", None),
        ],
        Ty::Social { network } if network == "whatsapp" => vec![
            ("wa.me/+41446681800", Some("https://wa.me/41446681800")),
            ("wa.me/41 44 668 18 00", Some("https://wa.me/41446681800")),
            (
                "https://wa.me/qr/ABCDEF1234",
                Some("https://wa.me/qr/ABCDEF1234"),
            ),
            ("https://faq.whatsapp.com/41446681800", None),
            ("https://example.org/foo", None),
        ],
        Ty::Social { network } if network == "telegram" => vec![
            ("t.me/foo", Some("https://t.me/foo")),
            ("https://foobar.t.me/123", Some("https://t.me/foobar")),
            ("https://example.org/foo", None),
        ],
        Ty::Social { network } if network == "mastodon" => vec![
            ("@foo@mastodon.social", Some("https://mastodon.social/@foo")),
            ("https://www.tiktok.com/@foo", None),
            ("https://youtu.be/@foo", None),
            ("foo@yahoo.co.jp", None),
            ("@foo", None),
        ],
        Ty::Social { network } if network == "youtube" => vec![
            ("youtube.com/foo", Some("https://www.youtube.com/@foo")),
            ("@Cafe\u{301}", Some("https://www.youtube.com/@Caf%C3%A9")),
            ("@fo\u{202e}o", None),
            ("https://www.youtube.com/@fo%E2%80%8Bo", None),
            ("https://example.org/foo", None),
        ],
        Ty::Social { network } => vec![
            match network.as_str() {
                "linkedin" => (
                    "linkedin.com/company/foo?trk=x",
                    Some("https://www.linkedin.com/company/foo"),
                ),
                "x" => ("HTTPS://Twitter.com/foo", Some("https://x.com/foo")),
                "tiktok" => ("@foo", Some("https://www.tiktok.com/@foo")),
                "threads" => ("threads.net/foo", Some("https://www.threads.com/@foo")),
                "bluesky" => (
                    "foo.bsky.social",
                    Some("https://bsky.app/profile/foo.bsky.social"),
                ),
                other => panic!("add examples for the format {other}"),
            },
            ("https://example.org/foo", None),
        ],
        Ty::Time => vec![
            ("0001-01-01T00:00:00Z", None),
            ("9999-01-01T00:00:00Z", None),
        ],
        Ty::Date => vec![("0001-01-01", None), ("9999-01-01", None)],
        Ty::Currency => vec![("ABC", None), ("XXX", None), ("XAU", None), ("XDR", None)],
        _ => Vec::new(),
    }
}

/// The field itself, or the fields of its object.
fn places(field: &Field) -> Vec<(Option<&str>, &Field)> {
    match &field.ty {
        Ty::Object { object } => (model().objects[*object].fields.iter())
            .map(|inner| (Some(inner.name.as_str()), inner))
            .collect(),
        _ => vec![(None, field)],
    }
}

/// Whether a check of several fields needs the value, which then points to it.
fn is_needed(answer: &Answer, pointer: &str) -> bool {
    let errors = answer.json["errors"].as_array();
    errors.is_some_and(|errors| {
        errors.iter().any(|error| {
            let detail = error["detail"].as_str().unwrap_or_default();
            error["pointer"] == pointer
                && (detail.starts_with("must hold: ") || error["code"] == "invalid")
        })
    })
}

fn lacks_others(answer: &Answer, pointer: &str) -> bool {
    answer.status == 422 && !answer.pointers().contains(&pointer)
}

#[tokio::test]
async fn what_is_pasted_is_stored_in_one_form() {
    let server = TestServer::demo().await;
    rows::without_quotes(&server).await;
    let people = rows::people(server.superuser().await.looking()).await;
    let (mut tried, mut cleared) = (BTreeMap::new(), 0);
    for resource in resources().values().copied() {
        if resource.update.is_none() {
            continue;
        }
        let keys = body_keys("Replace", resource.name);
        let fields = (entity(model(), resource).fields.iter())
            .filter(|field| keys.contains(&field.name.as_str()))
            .flat_map(|field| places(field).into_iter().map(move |place| (field, place)))
            .filter(|(_, (_, inner))| !cases(&inner.ty).is_empty());
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() {
            continue;
        }
        let Some(right) = rows::who_may(&server.database, &people, resource, "update").await else {
            continue;
        };
        let client = server.sign_in(right.person).await.client;
        let path = format!("/{}/{}", resource.path, right.row);
        for (field, (key, inner)) in fields {
            let ty = &inner.ty;
            for (sent, stored) in cases(ty) {
                let value = key.map_or(json!(sent), |key| json!({key: sent}));
                let answer = client.patch(&path, "*", json!({&field.name: value})).await;
                let pointer = key.map_or(format!("/{}", field.name), |key| {
                    format!("/{}/{key}", field.name)
                });
                match stored {
                    // A member who may change the row may nevertheless not change this field.
                    _ if answer.status == 403 => continue,
                    None => assert!(
                        answer.status == 422 && answer.pointers().contains(&pointer.as_str()),
                        "{path} {pointer} {sent:?}: {}",
                        answer.text
                    ),
                    // The object has other required keys; there is no error about this one.
                    Some(_) if key.is_some() && lacks_others(&answer, &pointer) => continue,
                    Some(stored) => {
                        assert_eq!(
                            answer.status, 200,
                            "{path} {pointer} {sent:?}: {}",
                            answer.text
                        );
                        assert_eq!(
                            answer.json.pointer(&pointer),
                            Some(&Value::from(stored)),
                            "{path} {sent:?}"
                        );
                    }
                }
                *tried.entry(format!("{ty:?}")).or_insert(0) += 1;
            }
            // Forms clear a field by sending it empty, whatever its format.
            if !inner.optional || matches!(ty, Ty::Time | Ty::Date) {
                continue;
            }
            let value = key.map_or(json!(" "), |key| json!({key: " "}));
            let answer = client.patch(&path, "*", json!({&field.name: value})).await;
            let pointer = key.map_or(format!("/{}", field.name), |key| {
                format!("/{}/{key}", field.name)
            });
            match answer.status.as_u16() {
                403 => continue,
                200 => {
                    let left = answer.json.pointer(&pointer);
                    assert!(left.is_none_or(Value::is_null), "{path}: {}", answer.text);
                    cleared += 1;
                }
                _ => assert!(
                    lacks_others(&answer, &pointer) || is_needed(&answer, &pointer),
                    "{path}: {}",
                    answer.text
                ),
            }
        }
    }
    assert!(
        tried.len() >= 16 && tried.values().sum::<u32>() > 60,
        "{tried:?}"
    );
    assert!(cleared > 20, "{cleared}");
}
