//! NO2, NO3: preferences of members, by a table of all combinations, and addresses from which mail bounces.

use super::stage::Guests;
use crate::support::Answer;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;

/// The four possible preferences of a member; `None`: the member has no such preference.
type Choices = [Option<bool>; 4];

/// In order of precedence: this type on this channel, every type on this channel, this type on every channel, every
/// type on every channel.
const KEYS: [(&str, &str); 4] = [
    ("push", "lead"),
    ("push", "all"),
    ("all", "lead"),
    ("all", "all"),
];

#[tokio::test]
async fn no2_of_all_combinations_of_choices_the_nearest_one_counts() {
    let guests = Guests::new().await;
    let member = guests.server.member("nora_chooses").await;
    let mut conn = guests.server.superuser().await;
    let delivery: Uuid = sqlx::query_scalar(
        "with told as (
           insert into app.notifications (user_id, type, title, message, data, dedupe_key, in_app)
           values ($1, 'lead', 'Work', 'There is some.', '{}', 'lead:1', true) returning id
         ), device as (
           insert into app.devices (user_id, platform, push_token) values ($1, 'ios', 'token-of-nora') returning id
         )
         insert into app.notification_deliveries (notification_id, user_id, channel, device_id)
         select t.id, $1, 'push', d.id from told t, device d returning id",
    )
    .bind(member.id)
    .fetch_one(&mut conn)
    .await
    .expect("a delivery that waits");
    let options = [None, Some(true), Some(false)];
    let mut tried = 0;
    for n in 0..3_usize.pow(4) {
        let choices: Choices = std::array::from_fn(|at| options[n / 3_usize.pow(at as u32) % 3]);
        sqlx::query("delete from app.notification_preferences where user_id = $1")
            .bind(member.id)
            .execute(&mut conn)
            .await
            .expect("none");
        // Some preferences contain quiet hours too: all day, each with another end.
        let ends = |at: usize, enabled: bool| {
            (at + usize::from(enabled))
                .is_multiple_of(2)
                .then(|| format!("23:5{at}"))
        };
        for (at, ((channel, ty), choice)) in KEYS.iter().zip(choices).enumerate() {
            let Some(enabled) = choice else { continue };
            let quiet_hours =
                ends(at, enabled).map(|ends| json!({"starts": "00:00", "ends": ends}));
            sqlx::query("insert into app.notification_preferences (user_id, channel, type, enabled, quiet_hours) values ($1, $2, $3, $4, $5)")
                .bind(member.id)
                .bind(channel)
                .bind(ty)
                .bind(enabled)
                .bind(quiet_hours)
                .execute(&mut conn)
                .await
                .expect("a choice");
        }
        let expected = choices.into_iter().flatten().next();
        let chosen = "select enabled from app.choices(array[$1::uuid], $2) where channel = $3";
        for (ty, channel, expected) in [
            ("lead", "push", expected),
            // Preferences of other types and channels have no effect.
            ("quote", "email", choices[3]),
        ] {
            let found: Option<bool> = sqlx::query_scalar(chosen)
                .bind(member.id)
                .bind(ty)
                .bind(channel)
                .fetch_optional(&mut conn)
                .await
                .expect("an answer");
            assert_eq!(found, expected, "{choices:?} {ty}");
        }
        // A delivery planned before is checked again when it is claimed.
        let obstacle: Option<String> =
            sqlx::query_scalar("select obstacle from app.delivery_obstacles(array[$1])")
                .bind(delivery)
                .fetch_one(&mut conn)
                .await
                .expect("an answer");
        let unwanted = Some("the member does not want it any more");
        let expected = unwanted.filter(|_| expected == Some(false));
        assert_eq!(obstacle.as_deref(), expected, "{choices:?}");
        // Quiet hours come from the most specific preference that has any, both when planning and when claiming.
        let until: (Option<String>, bool) = sqlx::query_as(
            "select c.quiet_hours ->> 'ends', o.quiet_until is not distinct from app.quiet_until(now(), u.timezone, c.quiet_hours)
             from app.delivery_obstacles(array[$1]) o
             join app.users u on u.id = $2
             left join app.choices(array[u.id], 'lead') c on c.channel = 'push'",
        )
        .bind(delivery)
        .bind(member.id)
        .fetch_one(&mut conn)
        .await
        .expect("an answer");
        let mut said = choices.into_iter().enumerate();
        let expected = said.find_map(|(at, choice)| ends(at, choice?));
        assert_eq!(until, (expected, true), "{choices:?}");
        tried += 1;
    }
    assert_eq!(tried, 81);
}

/// Required messages are sent regardless of preferences, on the channels that the type names; others are not.
#[tokio::test]
async fn no2_what_must_be_known_comes_whatever_was_chosen() {
    let guests = Guests::new().await;
    let member = guests.guest("nils_wants_nothing").await;
    let device = guests.device(&member).await;
    for channel in ["all", "in_app", "push", "email"] {
        let body = json!({"channel": channel, "type": "all", "enabled": false});
        member
            .client
            .post("/notification-preferences", body)
            .await
            .expect(201);
    }
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    let cancel = format!("/events/{}/cancel", guests.event);
    let body = json!({"reason": "The hall is flooded"});
    guests.olga.client.post(&cancel, body).await.expect(200);
    guests.dispatch().await;
    assert_eq!(guests.names(&member).await, ["order_paid", "event_off"]);
    assert_eq!(guests.deliveries(&member, "event_moved").await, []);
    let off = guests.deliveries(&member, "event_off").await;
    assert_eq!(off, [("email".to_owned(), "sent".to_owned())], "{device}");
}

/// A preference that is set while a message waits applies to it as well.
#[tokio::test]
async fn no2_a_choice_holds_for_what_waits() {
    let guests = Guests::new().await;
    let member = guests.guest("nia_changes_her_mind").await;
    guests.dispatch().await;
    // A pause keeps the worker from sending before she has set the preference.
    guests.run("insert into app.delivery_pauses (channel, until, reason) values ('email', now() + interval '1 hour', 'a test')").await;
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "pending".to_owned())]
    );
    let body = json!({"channel": "email", "type": "event_changed", "enabled": false});
    member
        .client
        .post("/notification-preferences", body)
        .await
        .expect(201);
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    assert_eq!(
        guests.deliveries(&member, "event_moved").await,
        [("email".to_owned(), "dropped".to_owned())]
    );
    let mails = guests
        .server
        .mailer
        .all_to("nia_changes_her_mind@example.org");
    assert!(mails.iter().all(|mail| !mail.subject.contains("New time")));
}

#[tokio::test]
async fn no3_nothing_goes_to_an_address_that_mail_comes_back_from() {
    let guests = Guests::new().await;
    let member = guests.guest("ned_bounces").await;
    guests.dispatch().await;
    let address = "ned_bounces@example.org";
    let before = guests.server.mailer.count_to(address);
    assert_eq!(before, 1, "the receipt");
    // Mail services report addresses in another case than members write them in.
    guests
        .run("insert into app.mail_suppressions (email, reason) values ('ned_bounces@example.org', 'bounced')")
        .await;
    // Even required messages are not mailed, since they would bounce too. They appear in the app.
    let cancel = format!("/events/{}/cancel", guests.event);
    guests
        .olga
        .client
        .post(&cancel, json!({"reason": "Flooded"}))
        .await
        .expect(200);
    guests.dispatch().await;
    assert_eq!(guests.server.mailer.count_to(address), before);
    assert_eq!(
        guests.deliveries(&member, "event_off").await,
        [("email".to_owned(), "dropped".to_owned())]
    );
    assert!(
        guests
            .names(&member)
            .await
            .contains(&"event_off".to_owned())
    );
}

/// NO4: the link in a mail turns off this type by a POST without a session, any number of times; a GET turns off
/// nothing.
#[tokio::test]
async fn no4_one_click_in_a_mail_stops_its_type_and_nothing_else() {
    let guests = Guests::new().await;
    let member = guests.guest("noor_clicks").await;
    guests
        .change(json!({"starts_at": "2041-05-01T18:30:00Z"}))
        .await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("noor_clicks@example.org");
    let receipt = mails
        .iter()
        .find(|mail| mail.subject.starts_with("Your tickets"))
        .expect("a receipt");
    assert_eq!(receipt.unsubscribe, None, "receipts can't be turned off");
    let moved = mails
        .iter()
        .find(|mail| mail.subject.starts_with("New time"))
        .expect("a change");
    let url = moved.unsubscribe.clone().expect("a way out");
    assert!(
        moved.text.contains(url.as_str())
            && moved
                .html
                .as_deref()
                .is_some_and(|html| html.contains("unsubscribe?token="))
    );
    let path = format!("{}?{}", url.path(), url.query().expect("a token"));
    let off = "select count(*) from app.notification_preferences where not enabled and channel = 'email' and type = 'event_changed'";
    let client = &guests.server.client;
    let page = client.get(&path).await.expect(200);
    assert!(page.text.contains("<form method=\"post\">"));
    // NO7: in the member's language, as the mail.
    for (locale, said) in [
        ("de-CH", "<html lang=\"de\" dir=\"ltr\">"),
        (
            "de-CH",
            "Keine Mails dieser Art mehr: geänderte Veranstaltungen",
        ),
        ("pt-BR", "No more mail of this kind: event changed"),
    ] {
        let speaks = format!(
            "update app.users set locale = '{locale}' where id = '{}'",
            member.id
        );
        guests.run(&speaks).await;
        let page = client.get(&path).await.expect(200);
        assert!(page.text.contains(said), "{locale}: {}", page.text);
    }
    assert_eq!(guests.count(off).await, 0);
    for _ in 0..3 {
        client.act(&path).await.expect(200);
    }
    assert_eq!(guests.count(off).await, 1);
    client
        .act("/notifications/unsubscribe?token=AAAA")
        .await
        .expect(404);
    // The last character may already have been an x.
    let last = if path.ends_with('x') { 'y' } else { 'x' };
    let forged = format!("{}{last}", &path[..path.len() - 1]);
    client.act(&forged).await.expect(404);
    guests
        .change(json!({"starts_at": "2041-05-01T19:00:00Z"}))
        .await;
    let cancel = format!("/events/{}/cancel", guests.event);
    guests
        .olga
        .client
        .post(&cancel, json!({"reason": "Flooded"}))
        .await
        .expect(200);
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("noor_clicks@example.org");
    let moved = mails
        .iter()
        .filter(|mail| mail.subject.starts_with("New time"));
    assert_eq!(moved.count(), 1);
    assert!(
        mails
            .iter()
            .any(|mail| mail.subject.starts_with("Cancelled"))
    );
    assert_eq!(
        guests.names(&member).await,
        ["order_paid", "event_moved", "event_moved", "event_off"]
    );
}

/// NO3, NO11: an event of the mail service about an address counts if it is signed, however often and late it arrives;
/// a forged one doesn't.
#[tokio::test]
async fn no11_a_signed_bounce_stops_mail_to_an_address_and_a_forged_one_does_not() {
    let guests = Guests::with(|parts| {
        let key = delivery::webhooks::ResendKey::new(&SECRET.to_owned().into()).expect("a key");
        parts.mail_webhooks.resend = Some(key);
    })
    .await;
    let member = guests.guest("nell_bounces").await;
    guests.dispatch().await;
    let found =
        "select id::text from app.notification_deliveries where user_id = $1 and channel = 'email'";
    let delivery: String = sqlx::query_scalar(found)
        .bind(member.id)
        .fetch_one(&mut guests.server.superuser().await)
        .await
        .expect("a delivery");
    let suppressed =
        "select count(*) from app.mail_suppressions where email = 'nell_bounces@example.org'";
    let forger = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    told(&guests, &delivery, "email.bounced", forger)
        .await
        .expect(400);
    assert_eq!(guests.count(suppressed).await, 0);
    for kind in [
        "email.delivered",
        "email.bounced",
        "email.bounced",
        "email.delivered",
    ] {
        told(&guests, &delivery, kind, SECRET).await.expect(200);
    }
    assert_eq!(guests.count(suppressed).await, 1);
    assert_eq!(
        guests.deliveries(&member, "order_paid").await,
        [("email".to_owned(), "failed".to_owned())]
    );
    // Without a configured key, no event is accepted.
    let events = guests
        .server
        .client
        .post("/webhooks/sendgrid", json!([]))
        .await;
    events.expect(400);
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLJvw";

/// Sends an event about a mail, signed by Resend's secret or another one.
async fn told(guests: &Guests, delivery: &str, kind: &str, secret: &str) -> Answer {
    let body = json!({"type": kind, "created_at": "2026-11-28T10:00:00.000Z", "data": {"email_id": delivery,
        "created_at": "2026-11-28T09:59:00.000Z", "to": ["nell_bounces@example.org"], "from": "x@example.org", "subject": "x",
        "bounce": {"type": "Permanent", "subType": "General", "message": "no such mailbox"}}})
    .to_string();
    let at = chrono::Utc::now().timestamp().to_string();
    let key = STANDARD
        .decode(secret.trim_start_matches("whsec_"))
        .expect("base64");
    // Signed like Svix does: over id, time and body.
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key");
    mac.update(format!("msg_1.{at}.{body}").as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    let headers = [
        ("content-type", "application/json"),
        ("svix-id", "msg_1"),
        ("svix-timestamp", at.as_str()),
        ("svix-signature", signature.as_str()),
    ];
    let client = &guests.server.client;
    let answer = client.try_send(
        Method::POST,
        "/webhooks/resend",
        body.into_bytes(),
        &headers,
    );
    answer.await.expect("an answer")
}
