//! OD4: mails to members on the waiting list contain a link to leave it without signing in.

use super::stage::Guests;
use crate::{
    money::stage::keyed,
    support::{Client, Member},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;
use uuid::Uuid;

const PAGE: &str = "/waitlist-entries/leave?token=";

async fn join(guests: &Guests, member: &Member, kind: Uuid) -> Uuid {
    let body = json!({"event_id": guests.event, "ticket_type_id": kind});
    let joined = member.client.post("/waitlist-entries", body).await;
    joined.expect(201).id().parse().expect("an id")
}

/// The path with token in the newest mail to this member whose subject begins like this.
fn link(guests: &Guests, handle: &str, subject: &str) -> String {
    let mails = guests
        .server
        .mailer
        .all_to(&format!("{handle}@example.org"));
    let mail = mails
        .iter()
        .rfind(|mail| mail.subject.starts_with(subject))
        .unwrap_or_else(|| panic!("no mail {subject:?}"));
    let from = mail.text.find(PAGE).expect("a link");
    let path = mail.text[from..].split_whitespace().next();
    let path = path.expect("a link").to_owned();
    let html = mail.html.as_deref().unwrap_or_default();
    // Slashes are escaped in HTML.
    let end = path.rsplit('/').next().expect("an end");
    assert!(html.contains(end), "{html}");
    path
}

fn token(path: &str) -> Vec<u8> {
    let text = path.strip_prefix(PAGE).expect("a token");
    URL_SAFE_NO_PAD.decode(text).expect("bytes")
}

/// Asserts that the link neither shows nor does anything.
async fn is_worth_nothing(client: &Client, path: &str) {
    client.get(path).await.expect(404);
    client.act(path).await.expect(404);
}

async fn state(guests: &Guests, entry: Uuid) -> String {
    guests
        .one(&format!(
            "select status || ' ' || state from app.waitlist_entries where id = '{entry}'"
        ))
        .await
}

/// A sold-out type, and the order that has all of its tickets.
async fn sold_out(guests: &Guests) -> (Uuid, String) {
    let kind = guests.tickets("Seat", 0, 1).await;
    let order = guests.order(&guests.mira, &[(kind, 1)], false).await;
    (kind, order.expect(201).id())
}

async fn give_back(guests: &Guests, order: &str) {
    let back = format!("/orders/{order}/refunds");
    keyed(&guests.mira, &back, json!({})).await.expect(201);
    guests.dispatch().await;
}

#[tokio::test]
async fn od4_leave_by_link_without_a_session_gives_the_place_to_the_next() {
    let guests = Guests::new().await;
    let (kind, order) = sold_out(&guests).await;
    let first = guests.server.member("lea_leaves").await;
    let second = guests.server.member("len_waits").await;
    let entry = join(&guests, &first, kind).await;
    let next = join(&guests, &second, kind).await;
    guests.dispatch().await;
    assert_eq!(guests.names(&first).await, ["place_awaited"]);
    let joined = link(&guests, "lea_leaves", "You are on the waiting list");

    // Mail programs open links by themselves, so a GET has no effect.
    let client = &guests.server.client;
    for _ in 0..2 {
        let page = client.get(&joined).await.expect(200);
        assert!(
            page.text.contains("<form method=\"post\">"),
            "{}",
            page.text
        );
        assert!(page.text.contains("A full house"), "{}", page.text);
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    assert_eq!(state(&guests, entry).await, "active waiting");

    give_back(&guests, &order).await;
    assert_eq!(state(&guests, entry).await, "active offered");
    let offered = link(&guests, "lea_leaves", "A place is free");
    assert_eq!(offered, joined, "the same for the same entry");
    client.act(&offered).await.expect(200);
    assert!(state(&guests, entry).await.starts_with("archived"));
    assert_eq!(state(&guests, next).await, "active offered");
    assert_eq!(guests.stock(kind).await, (1, 0));
    guests.sound().await;
}

#[tokio::test]
async fn od4_leave_by_link_is_worth_nothing_altered_elsewhere_or_afterwards() {
    let guests = Guests::new().await;
    let (kind, order) = sold_out(&guests).await;
    let first = guests.server.member("ann_leaves").await;
    let second = guests.server.member("ben_stays").await;
    let entry = join(&guests, &first, kind).await;
    let other = join(&guests, &second, kind).await;
    guests.dispatch().await;
    let client = &guests.server.client;
    let path = link(&guests, "ann_leaves", "You are on");

    // An altered token, also one with another entry in it.
    let good = token(&path);
    for at in [0, 15, 16, good.len() - 1] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        is_worth_nothing(
            client,
            &format!("{PAGE}{}", URL_SAFE_NO_PAD.encode(changed)),
        )
        .await;
    }
    let mut spliced = other.as_bytes().to_vec();
    spliced.extend(&good[16..]);
    is_worth_nothing(
        client,
        &format!("{PAGE}{}", URL_SAFE_NO_PAD.encode(spliced)),
    )
    .await;
    // A link that was cut off says so.
    client.get(PAGE).await.expect(422);
    client.act(PAGE).await.expect(422);

    // A token for another purpose, in both directions.
    let mails = guests.server.mailer.all_to("ann_leaves@example.org");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let (_, unsubscribe) = url.query_pairs().next().expect("a token");
    is_worth_nothing(client, &format!("{PAGE}{unsubscribe}")).await;
    let crossed = path.replace("/waitlist-entries/leave", "/notifications/unsubscribe");
    is_worth_nothing(client, &crossed).await;
    for entry in [entry, other] {
        assert_eq!(state(&guests, entry).await, "active waiting");
    }

    // After use, the token is invalid, also for a later entry of the same member.
    client.act(&path).await.expect(200);
    is_worth_nothing(client, &path).await;
    let again = join(&guests, &first, kind).await;
    is_worth_nothing(client, &path).await;
    assert_eq!(state(&guests, again).await, "active waiting");

    // It is also invalid once the place is taken: the ticket stays.
    give_back(&guests, &order).await;
    let path = link(&guests, "ben_stays", "A place is free");
    let bought = guests.order(&second, &[(kind, 1)], false).await;
    bought.expect(201);
    is_worth_nothing(client, &path).await;
    assert_eq!(state(&guests, other).await, "active taken");
    assert_eq!(guests.stock(kind).await, (0, 1));
    guests.sound().await;
}

/// Mails contain no such link if the entry has ended.
#[tokio::test]
async fn od4_leave_by_link_is_not_offered_where_nothing_is_left_to_leave() {
    let guests = Guests::new().await;
    let (kind, order) = sold_out(&guests).await;
    let member = guests.server.member("lou_lapses").await;
    let entry = join(&guests, &member, kind).await;
    give_back(&guests, &order).await;
    guests
        .run(&format!("update app.waitlist_entries set offer_expires_at = now() - interval '1 second' where id = '{entry}'"))
        .await;
    let tickets = &guests.server.built.app.modules.tickets;
    tickets.serve_waitlist().await.expect("served");
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("lou_lapses@example.org");
    let lapsed = mails.last().expect("a mail");
    assert!(lapsed.subject.starts_with("Your place has gone on"));
    assert!(!lapsed.text.contains(PAGE), "{}", lapsed.text);
}

/// Whoever reads an old mailbox of a member can't act for them: links in mails are valid only while the member has the
/// address that they were sent to. The control: back at that address, the same links work.
#[tokio::test]
async fn od4_no4_links_in_mails_to_an_address_of_before_do_nothing() {
    let guests = Guests::new().await;
    let (kind, _) = sold_out(&guests).await;
    let member = guests.server.member("mo_moves").await;
    let entry = join(&guests, &member, kind).await;
    guests.dispatch().await;
    let leave = link(&guests, "mo_moves", "You are on the waiting list");
    let mails = guests.server.mailer.all_to("mo_moves@example.org");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let stop = format!("{}?{}", url.path(), url.query().expect("a token"));
    let client = &guests.server.client;
    let moved = |to: &str| {
        let id = member.id;
        format!("update app.users set email = '{to}' where id = '{id}'")
    };
    guests.run(&moved("mo@elsewhere.org")).await;
    is_worth_nothing(client, &leave).await;
    is_worth_nothing(client, &stop).await;
    assert_eq!(state(&guests, entry).await, "active waiting");
    let off = format!(
        "select count(*) from app.notification_preferences where user_id = '{}'",
        member.id
    );
    assert_eq!(guests.count(&off).await, 0);
    guests.run(&moved("mo_moves@example.org")).await;
    client.get(&stop).await.expect(200);
    client.act(&stop).await.expect(200);
    assert_eq!(guests.count(&off).await, 1);
    client.get(&leave).await.expect(200);
    client.act(&leave).await.expect(200);
    assert!(state(&guests, entry).await.starts_with("archived"));
}
