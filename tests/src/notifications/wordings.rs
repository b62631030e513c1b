//! The texts of a message in the app, on a device and in a mail, in the language of each member.

use super::stage::Guests;
use kernel::messages::Piece;

#[tokio::test]
async fn no7_a_device_and_a_mail_say_it_in_their_own_words() {
    let guests = Guests::new().await;
    let (rosa, fritz) = (
        guests.server.member("rosa_reads").await,
        guests.server.member("fritz_liest").await,
    );
    guests
        .run(&format!(
            "update app.users set locale = 'de-CH' where id = '{}'",
            fritz.id
        ))
        .await;
    for (member, words) in [
        (
            &rosa,
            [
                "The codes are with",
                "Paid: AUD 0.00.",
                "This mail is the receipt",
            ],
        ),
        (
            &fritz,
            [
                "Die Codes findest",
                "Bezahlt: AUD 0.00.",
                "Diese Mail ist die Quittung",
            ],
        ),
    ] {
        guests.device(member).await;
        guests.ticket(member).await;
        guests.dispatch().await;
        let text: String = guests
            .one(&format!(
                "select message from app.notifications where user_id = '{}'",
                member.id
            ))
            .await;
        let pushes = guests.server.pusher.all();
        let push = &pushes.last().expect("a message").body;
        let handle = if member.id == rosa.id {
            "rosa_reads"
        } else {
            "fritz_liest"
        };
        let mails = guests
            .server
            .mailer
            .all_to(&format!("{handle}@example.org"));
        let mail = mails.last().expect("a mail");
        let html = mail.html.as_deref().unwrap_or_default();
        assert!(
            text.contains(words[0]) && !text.contains(words[2]),
            "{text}"
        );
        assert!(
            push.contains(words[1]) && !push.contains(words[0]),
            "{push}"
        );
        assert!(
            mail.text.contains(words[2]) && html.contains(words[2]),
            "{}",
            mail.text
        );
        assert!(!mail.text.contains(words[0]), "{}", mail.text);
    }
    // A message without a text for mails uses its text for the app.
    guests
        .change(serde_json::json!({"starts_at": "2041-05-01T18:15:00Z"}))
        .await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("rosa_reads@example.org");
    let told = guests.told(&rosa).await;
    assert_eq!(
        told.last().map(|(name, _)| name.as_str()),
        Some("event_moved")
    );
    let text: String = guests
        .one(&format!(
            "select message from app.notifications where user_id = '{}' and data ->> 'message' = 'event_moved'",
            rosa.id
        ))
        .await;
    assert!(mails.last().expect("a mail").text.contains(&text));
}

/// A refund fails only if a bank has given the buyer the same money in a dispute, so the message promises no other
/// payment.
#[tokio::test]
async fn no7_who_has_the_money_from_a_bank_is_told_so() {
    let guests = Guests::new().await;
    let rosa = guests.server.member("rosa_disputes").await;
    let order = guests.ticket(&rosa).await;
    guests
        .run(&format!(
            "insert into app.refunds (order_id, amount_cents, card_cents, organizer_cents, currency, stripe_idempotency_key)
             values ('{order}', 2500, 2500, 2500, 'AUD', 'refund:words');
             update app.refunds set state = 'failed', failure_code = 'dispute_lost', settled_at = now() where stripe_idempotency_key = 'refund:words'"
        ))
        .await;
    guests.server.settled().await;
    assert_eq!(guests.names(&rosa).await, ["order_paid", "refund_failed"]);
    for wording in app_words("refund_failed") {
        assert!(
            wording.contains("Bank") || wording.contains("the bank"),
            "{wording}"
        );
        assert!(
            !wording.contains("another way") && !wording.contains("anderen Weg"),
            "{wording}"
        );
    }
}

/// The texts of a message for the app, in each of its languages, without values.
fn app_words(name: &str) -> Vec<String> {
    let mut all = generated::messages::MESSAGES.iter();
    let message = all.find(|message| message.name == name).expect("a message");
    let words = |pieces: &[Piece]| -> String {
        let texts = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(*text),
            Piece::Value(_) => None,
        });
        texts.collect()
    };
    message.wordings.iter().map(|one| words(one.text)).collect()
}
