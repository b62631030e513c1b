//! NO2, NO3: what a member chose, by a table of all combinations, and addresses that mail comes back from.

use super::stage::Guests;
use serde_json::json;
use sqlx::Row;

/// `None`: there is no such preference.
type Choices = [Option<bool>; 4];

/// In the order in which they count: this type on this channel, every type on it, this type on every channel, everything.
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
    let options = [None, Some(true), Some(false)];
    let mut tried = 0;
    for n in 0..3_usize.pow(4) {
        let choices: Choices = std::array::from_fn(|at| options[n / 3_usize.pow(at as u32) % 3]);
        sqlx::query("delete from app.notification_preferences where user_id = $1")
            .bind(member.id)
            .execute(&mut conn)
            .await
            .expect("none");
        for ((channel, ty), choice) in KEYS.iter().zip(choices) {
            let Some(enabled) = choice else { continue };
            sqlx::query("insert into app.notification_preferences (user_id, channel, type, enabled) values ($1, $2, $3, $4)")
                .bind(member.id)
                .bind(channel)
                .bind(ty)
                .bind(enabled)
                .execute(&mut conn)
                .await
                .expect("a choice");
        }
        let expected = choices.into_iter().flatten().next();
        let found = sqlx::query("select enabled from app.chosen($1, 'lead', 'push')")
            .bind(member.id)
            .fetch_one(&mut conn)
            .await
            .expect("an answer")
            .get::<Option<bool>, _>(0);
        assert_eq!(found, expected, "{choices:?}");
        // Choices about others change nothing.
        let other: Option<bool> =
            sqlx::query_scalar("select enabled from app.chosen($1, 'quote', 'email')")
                .bind(member.id)
                .fetch_one(&mut conn)
                .await
                .expect("an answer");
        assert_eq!(other, choices[3], "{choices:?}");
        tried += 1;
    }
    assert_eq!(tried, 81);
}

/// What must be known comes whatever was chosen, on the channels that say so; the rest does not.
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

/// A choice that is made while a message waits holds as well.
#[tokio::test]
async fn no2_a_choice_holds_for_what_waits() {
    let guests = Guests::new().await;
    let member = guests.guest("nia_changes_her_mind").await;
    guests.dispatch().await;
    // Nobody hands over before she has chosen.
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
    guests
        .run(&format!(
            "insert into app.mail_suppressions (email, reason) values ('{address}', 'bounced')"
        ))
        .await;
    // Even what must be known: it would come back, too. It is in the app.
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

/// NO4: what is in the mail turns off this type by a POST without a session, however often; a GET turns off nothing.
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
    assert_eq!(receipt.unsubscribe, None, "nobody can do without receipts");
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
    assert_eq!(guests.count(off).await, 0);
    for _ in 0..3 {
        client.act(&path).await.expect(200);
    }
    assert_eq!(guests.count(off).await, 1);
    client
        .act("/notifications/unsubscribe?token=AAAA")
        .await
        .expect(404);
    let forged = format!("{}x", &path[..path.len() - 1]);
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
