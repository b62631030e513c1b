//! A member's own calendar at a secret address.

use super::{cancelled, event, parsed, read, uids};
use crate::{
    support::{Member, database::Content, program::Program},
    trending::stage::Stage,
};
use reqwest::Method;
use uuid::Uuid;

/// The path of the address that the member gets.
async fn address(member: &Member) -> String {
    let made = member.client.act("/me/calendar-feed").await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store, no-transform"));
    let url = made.json["url"].as_str().expect("an address");
    let path = url.strip_prefix("http://127.0.0.1:8080");
    let path = path.expect("below the server's address");
    assert!(path.starts_with("/calendar-feeds/") && path.ends_with(".ics"));
    path.to_owned()
}

async fn follow(stage: &Stage, member: &Member, kind: &str, id: Uuid) {
    stage
        .sql(format!(
            "insert into app.follows (follower_id, entity_type, entity_id) values ('{}', '{kind}', '{id}')",
            member.id
        ))
        .await;
}

/// Inserts a ticket without an order or payment.
async fn ticket(stage: &Stage, member: &Member, event: Uuid, state: &str) -> Uuid {
    let kind: Uuid = stage
        .one(format!(
            "insert into app.ticket_types (event_id, name, price_cents, currency, capacity) values ('{event}', '{}', 0, 'AUD', 10) returning id",
            Uuid::now_v7()
        ))
        .await;
    stage
        .one(format!(
            "with o as (
               insert into app.orders (user_id, event_id, state, amount_cents, currency, idempotency_key)
               values ('{0}', '{event}', 'paid', 0, 'AUD', 'a-key-of-sixteen-{kind}') returning id)
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, state, code, position, currency)
             select o.id, '{kind}', '{event}', '{0}', '{0}', '{state}', 'code-of-the-ticket-{kind}', 1, 'AUD' from o returning id",
            member.id
        ))
        .await
}

#[tokio::test]
async fn se5_a_members_calendar_is_read_without_a_token() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let mira = stage.server.member("mira_who_goes_out").await;
    let other = stage.server.member("who_stays_at_home").await;
    let second = stage.host("Second").await;
    let made = async |host, title: &str, more: &str| {
        event(&stage, ("organization", host), title, more).await
    };
    let followed = made(stage.host, "Of a host that is followed", "").await;
    let hidden = made(stage.host, "Unlisted", "visibility = 'unlisted'").await;
    made(stage.host, "Draft", "state = 'draft'").await;
    let off = made(stage.host, "Cancelled", "state = 'cancelled'").await;
    let bought = made(second, "With a ticket", "visibility = 'unlisted'").await;
    let been = made(
        second,
        "Was there",
        "starts_at = now() - interval '3 days', ends_at = now() - interval '2 days', state = 'completed'",
    )
    .await;
    let returned = made(second, "Ticket given back", "").await;
    let called_off = made(second, "Called off", "").await;
    let quietly = made(second, "Called off unlisted", "visibility = 'unlisted'").await;
    made(second, "Of somebody else", "").await;
    follow(&stage, &mira, "organization", stage.host).await;
    ticket(&stage, &mira, bought, "valid").await;
    ticket(&stage, &mira, returned, "refunded").await;
    ticket(&stage, &mira, called_off, "void").await;
    ticket(&stage, &mira, quietly, "void").await;
    ticket(&stage, &other, returned, "valid").await;
    stage
        .sql(format!(
            "insert into app.attendances (user_id, event_id) values ('{}', '{been}')",
            mira.id
        ))
        .await;
    stage
        .sql(format!(
            "set session_replication_role = replica; update app.events set state = 'cancelled' where id in ('{called_off}', '{quietly}')"
        ))
        .await;
    for event in [called_off, quietly] {
        cancelled(&stage, event).await;
    }

    mira.client.get("/me/calendar-feed").await.expect(404);
    let path = address(&mira).await;
    let answer = client.get(&path).await.expect(200);
    let mut shown = uids(&answer.text);
    shown.sort_unstable();
    let mut expected = vec![followed, off, bought, been, called_off, quietly];
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert!(!shown.contains(&hidden));
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let calendar = parsed(&answer);
    assert_eq!(calendar["name"], "mira_who_goes_out");
    let known = client
        .send(
            Method::GET,
            &path,
            None,
            &[("if-none-match", &answer.etag())],
        )
        .await;
    known.expect(304);
    // A request with a token gets the same, and an invalid token doesn't matter, since programs send whatever they
    // have.
    assert_eq!(other.client.get(&path).await.expect(200).text, answer.text);

    // The secret is shown once, and not stored anywhere.
    let told = mira.client.get("/me/calendar-feed").await.expect(200);
    let secret = path
        .trim_start_matches("/calendar-feeds/")
        .trim_end_matches(".ics");
    assert!(!told.text.contains(secret));
    let kept: i64 = stage
        .one(format!(
            "select (select count(*) from app.calendar_feeds f where f::text like '%{secret}%')
                  + (select count(*) from audit.audit_logs l where l::text like '%{secret}%')"
        ))
        .await;
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn se5_the_rules_decide_what_a_member_may_read_there() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let mira = stage.server.member("mira_who_sings").await;
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name, visibility) values ('{}', 'Choir', 'private') returning id",
            stage.city
        ))
        .await;
    let inner = event(
        &stage,
        ("community", community),
        "Rehearsal",
        "visibility = 'community'",
    )
    .await;
    let member: Uuid = stage
        .one(format!(
            "insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active') returning id",
            mira.id
        ))
        .await;
    follow(&stage, &mira, "community", community).await;
    let path = address(&mira).await;
    assert_eq!(read(client, &path).await, [inner]);
    // The member still follows the community, but can't see its events any more.
    stage
        .sql(format!(
            "update app.community_members set state = 'banned' where id = '{member}'"
        ))
        .await;
    assert_eq!(read(client, &path).await, [] as [Uuid; 0]);
    // An event that moderators suspend, or whose host they suspend, disappears from calendars as well.
    let open = event(&stage, ("organization", stage.host), "Open", "").await;
    follow(&stage, &mira, "organization", stage.host).await;
    for (table, id) in [("events", open), ("organizations", stage.host)] {
        assert_eq!(read(client, &path).await, [open]);
        for status in ["suspended", "active"] {
            stage
                .sql(format!(
                    "update app.{table} set status = '{status}' where id = '{id}'"
                ))
                .await;
            let left = read(client, &path).await;
            assert_eq!(left.len(), usize::from(status == "active"), "{table}");
        }
    }
}

/// The events of a private community that the member follows, and is no member of, don't take the places of others.
#[tokio::test]
async fn se5_what_may_not_be_read_takes_no_place() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_goes_out").await;
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name) values ('{}', 'Inner') returning id",
            stage.city
        ))
        .await;
    follow(&stage, &mira, "community", community).await;
    let hidden = format!(
        "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
         select '{}', 'community', '{community}', 'Event ' || n, now() + interval '1 day', now() + interval '2 days', 'UTC', 'published'
         from generate_series(1, 510) n returning id",
        stage.city
    );
    let hidden: Vec<Uuid> = stage.all(hidden).await;
    let later = event(&stage, ("organization", stage.host), "Later", "").await;
    ticket(&stage, &mira, later, "valid").await;
    let address = address(&mira).await;
    // The control: while she may read them, they are among the first five hundred.
    let shown = read(&stage.server.client, &address).await;
    assert_eq!(shown.len(), 500);
    assert!(shown.iter().any(|id| hidden.contains(id)));
    stage
        .sql(format!(
            "update app.communities set visibility = 'private' where id = '{community}'"
        ))
        .await;
    assert_eq!(read(&stage.server.client, &address).await, [later]);
}

#[tokio::test]
async fn se5_an_address_ends_with_the_next_one_and_with_the_account() {
    let stage = Stage::new().await;
    let client = &stage.server.client;
    let mira = stage.server.member("mira_who_moves").await;
    let other = stage.server.member("somebody_else").await;
    let first = address(&mira).await;
    let second = address(&mira).await;
    let others = address(&other).await;
    client.get(&first).await.expect(404);
    client.get(&second).await.expect(200);

    // The calendar works without active sessions, but not for a suspended account.
    stage
        .sql(format!(
            "update app.sessions set revoked_at = now() where user_id = '{}'",
            mira.id
        ))
        .await;
    client.get(&second).await.expect(200);
    for status in ["suspended", "archived"] {
        let set = |status: &str| {
            format!(
                "set session_replication_role = replica;
                 update app.users set status = '{status}', live_key = case when '{status}' <> 'archived' then true end where id = '{}'",
                mira.id
            )
        };
        stage.sql(set(status)).await;
        let refused = client.get(&second).await.expect(404);
        let nobodys = client.get(&second.replace(&second[16..20], "AAAA")).await;
        assert_eq!(refused.told(), nobodys.told(), "{status}");
        stage.sql(set("active")).await;
        client.get(&second).await.expect(200);
    }

    let mira = stage.server.sign_in(mira.id).await;
    for _ in 0..2 {
        mira.client.delete("/me/calendar-feed").await.expect(204);
        client.get(&second).await.expect(404);
        mira.client.get("/me/calendar-feed").await.expect(404);
    }
    // The addresses of other members still work.
    client.get(&others).await.expect(200);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let refused = client.send(method, "/me/calendar-feed", None, &[]).await;
        refused.expect(401);
    }
}

#[tokio::test]
async fn se5_who_tries_many_secrets_has_to_wait_and_a_right_one_is_answered() {
    let stage = Stage::changed(|parts| {
        parts.modules.calendars.calendar_wrong_secrets_per_minute = 3;
    })
    .await;
    let client = &stage.server.client;
    let mira = stage.server.member("mira_the_owner").await;
    let path = address(&mira).await;
    let statuses = async |paths: &[&str]| {
        let mut statuses = Vec::new();
        for path in paths {
            let answer = client.get(path).await;
            statuses.push(answer.status.as_u16());
            if answer.status.as_u16() == 429 {
                assert!(answer.header("retry-after").is_some());
            }
        }
        statuses
    };
    let long = format!("/calendar-feeds/{}.ics", "A".repeat(43));
    let bare = path.trim_end_matches(".ics");
    assert_eq!(
        statuses(&[&long, "/calendar-feeds/x.ics", bare, &long]).await,
        [404, 404, 404, 429]
    );
    client.get(&path).await.expect(200);
}

#[tokio::test]
async fn se5_the_log_has_no_secret_of_an_address() {
    let database = crate::support::Database::new(Content::Demo).await;
    let mut program = Program::serve(&database, |command| {
        command.env("LOG", "debug");
    })
    .await;
    let olga = program
        .sign_in(&database, server::seed::demo::PEOPLE[2].id)
        .await;
    let made = olga.client.act("/me/calendar-feed").await.expect(201);
    let url = made.json["url"].as_str().expect("an address");
    let (_, secret) = url.rsplit_once('/').expect("a path");
    for (path, status) in [("", 200), ("/", 404), ("?x=1", 200)] {
        let path = format!("/calendar-feeds/{secret}{path}");
        olga.client.get(&path).await.expect(status);
    }
    program.signal("TERM");
    program.ended().await;
    let log = program.text();
    assert!(!log.contains(secret.trim_end_matches(".ics")), "{log}");
    assert!(
        log.contains("/calendar-feeds/{file}"),
        "the request itself is logged"
    );
}
