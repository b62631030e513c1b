//! Waiting messages are dropped when their reader loses the right to see the object, and links in mails have no effect
//! after the account is closed.

use super::{
    deliveries::{keep_workers_away, published},
    stage::Guests,
};
use crate::support::{Member, people};
use serde_json::json;
use uuid::Uuid;

fn email(state: &str) -> [(String, String); 1] {
    [("email".to_owned(), state.to_owned())]
}

/// While news of a private community wait to be sent, one of two members is excluded.
#[tokio::test]
async fn no1_news_of_a_community_end_with_the_membership() {
    let guests = Guests::new().await;
    let city = guests.server.city("melbourne").await;
    let olga = &guests.olga.client;
    let body = json!({"name": "A closed choir", "city_id": city, "visibility": "private"});
    let choir = olga.post("/communities", body).await.expect(201).id();
    let [cora, cleo] = [
        guests.server.member("cora_sings").await,
        guests.server.member("cleo_sings").await,
    ];
    for member in [&cora, &cleo] {
        guests
            .run(&format!(
                "insert into app.community_members (community_id, user_id, state) values ('{choir}', '{0}', 'active');
                 insert into app.follows (follower_id, entity_type, entity_id) values ('{0}', 'community', '{choir}')",
                member.id
            ))
            .await;
    }
    keep_workers_away(&guests).await;
    let body = json!({"title": "A closed rehearsal", "starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "online_url": "https://example.org/stream", "host_type": "community", "host_id": choir,
        "city_id": city, "visibility": "community"});
    let event = olga.post("/events", body).await.expect(201).id();
    olga.act(&format!("/events/{event}/publish"))
        .await
        .expect(200);
    guests.server.settled().await;
    for member in [&cora, &cleo] {
        let waits = guests.deliveries(member, "event_published").await;
        assert_eq!(waits, email("pending"));
    }
    let row: String = guests
        .one(&format!(
            "select id::text from app.community_members where user_id = '{}'",
            cora.id
        ))
        .await;
    let ban = format!("/community-members/{row}/ban");
    olga.post(&ban, json!({"reason": "Sings elsewhere"}))
        .await
        .expect(200);
    guests.server.settled().await;
    guests.run("delete from app.delivery_pauses").await;
    guests.dispatch().await;
    let of = async |member: &Member| guests.deliveries(member, "event_published").await;
    assert_eq!(of(&cora).await, email("dropped"));
    assert_eq!(of(&cleo).await, email("sent"), "the control");
    let mails = guests.server.mailer.all_to("cora_sings@example.org");
    let told = mails
        .iter()
        .filter(|mail| mail.text.contains("A closed rehearsal"));
    assert_eq!(told.count(), 0);
}

/// One of three announcements that wait for one digest is suspended by the platform.
#[tokio::test]
async fn no6_a_digest_leaves_out_what_is_hidden_meanwhile() {
    let guests = Guests::with(|parts| {
        parts.modules.notifications.notifications_digest_minutes = 30;
    })
    .await;
    let member = guests.follower("drew_follows").await;
    keep_workers_away(&guests).await;
    for n in 0..3 {
        published(&guests, &format!("Number {n}")).await;
    }
    let hidden = guests
        .one("select id::text from app.events where title = 'Number 1'")
        .await;
    let suspend = format!("/events/{hidden}/suspend");
    guests.paula.client.act(&suspend).await.expect(200);
    guests.server.settled().await;
    guests
        .run("update app.notification_deliveries set next_attempt_at = now() where state = 'pending' and carrier_id is null;
              delete from app.delivery_pauses")
        .await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("drew_follows@example.org");
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].subject, "2 news from CulturePass");
    for (title, is_told) in [("Number 0", true), ("Number 1", false), ("Number 2", true)] {
        let text = &mails[0].text;
        assert_eq!(text.contains(title), is_told, "{title}: {text}");
    }
    let states = guests.deliveries(&member, "event_published").await;
    let mut states: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    states.sort_unstable();
    assert_eq!(states, ["dropped", "sent", "sent"]);
}

/// Mail about the account itself is sent even to addresses on the suppression list: without it a member could never
/// recover an account.
#[tokio::test]
async fn no3_mail_about_the_account_goes_to_every_address() {
    let guests = Guests::new().await;
    let server = &guests.server;
    people::sign_up(server, "nils").await;
    let nils = people::sign_in(&server.client, "nils", people::PASSWORD).await;
    let nils = nils.expect(200);
    let token = nils.json["access_token"].as_str().expect("a token");
    let me = server.client.with_token(token).get("/me").await.expect(200);
    guests
        .run("insert into app.mail_suppressions (email, reason) values ('nils@example.org', 'bounced')")
        .await;
    let before = server.mailer.count();
    let body = json!({"email": "nils@example.org"});
    let forgot = server.client.post("/auth/forgot-password", body).await;
    forgot.expect(202);
    let link = people::mailed_token(server, "nils@example.org", before).await;
    assert!(!link.is_empty());
    // The same holds for notifications: one of type `security` has no obstacle, one of type `order` has.
    let obstacles = guests
        .one(&format!(
            "with told as (
               insert into app.notifications (user_id, type, title, message, dedupe_key)
               select '{}', t, 'Title', 'Message', 'test:' || t from unnest(array['order', 'security']) t returning id, user_id, type
             ), waits as (
               insert into app.notification_deliveries (notification_id, user_id, channel, next_attempt_at)
               select id, user_id, 'email', now() + interval '1 hour' from told returning id
             ) select count(*)::text from waits",
            me.id()
        ))
        .await;
    assert_eq!(obstacles, "2");
    let held = guests
        .one(
            "select string_agg(n.type || ' ' || coalesce(o.obstacle, 'none'), ', ' order by n.type)
             from app.delivery_obstacles(array(select d.id from app.notification_deliveries d join app.notifications n on n.id = d.notification_id
               where n.dedupe_key like 'test:%')) o
             join app.notification_deliveries d on d.id = o.delivery join app.notifications n on n.id = d.notification_id",
        )
        .await;
    assert_eq!(
        held,
        "order mail to this address came back or was reported as spam, security none"
    );
}

/// For a closed account, the one-click link in a mail still answers 200, as mail programs expect, and writes nothing.
#[tokio::test]
async fn no4_one_click_of_a_closed_account_writes_nothing() {
    let guests = Guests::new().await;
    let member = guests.follower("dawn_follows").await;
    published(&guests, "A night").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dawn_follows@example.org");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let path = format!("{}?{}", url.path(), url.query().expect("a token"));
    let chosen = async |id: Uuid| {
        let rows =
            format!("select count(*) from app.notification_preferences where user_id = '{id}'");
        guests.count(&rows).await
    };
    member.client.delete("/me").await.expect(204);
    guests.server.client.act(&path).await.expect(200);
    assert_eq!(chosen(member.id).await, 0);
    // Control: for an open account the link stores the choice.
    let other = guests.follower("dell_follows").await;
    published(&guests, "Another night").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("dell_follows@example.org");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let path = format!("{}?{}", url.path(), url.query().expect("a token"));
    guests.server.client.act(&path).await.expect(200);
    assert_eq!(chosen(other.id).await, 1);
}

/// A suspended member may come back, and what they have unsubscribed from meanwhile stays off. Links in mails to an
/// address of before do nothing, however often they are used.
#[tokio::test]
async fn no4_one_click_of_a_suspended_account_is_remembered() {
    let guests = Guests::new().await;
    let member = guests.follower("sue_follows").await;
    published(&guests, "A night").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("sue_follows@example.org");
    let url = mails[0].unsubscribe.clone().expect("a way out");
    let path = format!("{}?{}", url.path(), url.query().expect("a token"));
    let status = |status: &str| {
        format!(
            "update app.users set status = '{status}' where id = '{}'",
            member.id
        )
    };
    guests.run(&status("suspended")).await;
    for _ in 0..2 {
        guests.server.client.act(&path).await.expect(200);
    }
    guests.run(&status("active")).await;
    published(&guests, "Another night").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("sue_follows@example.org");
    assert_eq!(mails.len(), 1, "no more mail of this kind");
    // The control: with the choice taken back, mail comes again.
    guests.run("delete from app.notification_preferences").await;
    published(&guests, "A third night").await;
    guests.dispatch().await;
    let mails = guests.server.mailer.all_to("sue_follows@example.org");
    assert_eq!(mails.len(), 2);

    let elsewhere = format!(
        "update app.users set email = 'sue.elsewhere@example.org' where id = '{}'",
        member.id
    );
    guests.run(&elsewhere).await;
    for _ in 0..2 {
        guests.server.client.act(&path).await.expect(404);
        guests.server.client.get(&path).await.expect(404);
    }
    let chosen = "select count(*) from app.notification_preferences";
    assert_eq!(guests.count(chosen).await, 0);
}
