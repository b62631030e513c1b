//! `GET /me/home` and `GET /me/calendar`.

use super::world::{World, number};
use crate::money::stage::keyed;
use crate::support::Member;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn home(member: &Member) -> Value {
    member.client.get("/me/home").await.expect(200).json
}

fn told(member: &Member, text: &str) -> String {
    text.replace(":me", &format!("'{}'", member.id))
}

fn ids(list: &Value) -> Vec<String> {
    let all = list.as_array().expect("a list").iter();
    all.map(|one| one.as_str().expect("an id").to_owned())
        .collect()
}

/// All entries of a calendar, page by page: event, and why it is included.
async fn walk(member: &Member, query: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = format!("/me/calendar?limit=7&{query}");
    loop {
        let page = member.client.get(&path).await.expect(200).json;
        all.extend(page["data"].as_array().expect("entries").clone());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/me/calendar?limit=7&{query}&cursor={cursor}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_home_is_what_concerns_the_member() {
    let world = World::new().await;
    let mira = &world.mira;
    world
        .run(&told(
            mira,
            "set session_replication_role = replica; delete from app.waitlist_entries where event_id = :event;
             update app.users set home_city_id = :city where id = :me;
             update app.tickets set holder_id = :me where code like 'a-random%' and random() < 0.2;
             update app.attendances a set user_id = :me where random() < 0.2
               and not exists (select from app.attendances b where b.event_id = a.event_id and b.user_id = :me)
               and a.id in (select distinct on (event_id) id from app.attendances)",
        ))
        .await;
    let kind = world.tickets("Gift", 0, 10).await;
    keyed(&world.olga, "/orders", world.cart(&[(kind, 1)], false))
        .await
        .expect(201);
    world.credits(mira, 700).await;
    // A member who hasn't liked the event in the random data.
    let ana = world.server.member("ana_who_likes_it").await;
    let like = json!({"event_id": world.event});
    ana.client.post("/likes", like).await.expect(201);
    let trending = &world.server.built.app.modules.trending;
    trending.rank().await.expect("ranked");
    // Messages about the credits, too.
    world.server.settled().await;
    let shown = home(mira).await;
    let sums = [
        (
            "/unread_notifications",
            "select count(*) from app.notifications where user_id = :me and not is_read and in_app",
        ),
        (
            "/wallets/*/balance_cents",
            "select sum(balance_cents) from app.wallet_accounts where user_id = :me and kind = 'user'",
        ),
        (
            "/wallets/*/held_cents",
            "select sum(held_cents) from app.wallet_accounts where user_id = :me and kind = 'user'",
        ),
    ]
    .map(|(path, text)| (path, told(mira, text)));
    let sums: Vec<(&str, &str)> = sums.iter().map(|(path, text)| (*path, &**text)).collect();
    world.agree(&shown, &sums).await;
    assert!(number(&shown, "/wallets/AUD/balance_cents") >= 700);
    world.whole(
        "/me/home",
        &[("/events", "as the list of events shows them")],
    );
    let count = told(
        mira,
        "select least(count(*), 20) from app.tickets k join app.events e on e.id = k.event_id
         where k.holder_id = :me and k.state in ('valid', 'checked_in') and e.ends_at > now() and e.status <> 'archived'",
    );
    let tickets = shown["tickets"].as_array().expect("tickets");
    assert_eq!(tickets.len() as i64, world.sum(&count).await);
    // The lists begin like the complete lists that they link to.
    let client = &mira.client;
    for (name, path) in [
        (
            "trending",
            format!("/events/trending?limit=10&city_id={}", world.city),
        ),
        ("followed", "/me/feed?limit=10".to_owned()),
    ] {
        let list = client.get(&path).await.expect(200).json;
        let list: Vec<String> = (list["data"].as_array().expect("events").iter())
            .map(|event| event["id"].as_str().expect("an id").to_owned())
            .collect();
        assert_eq!(ids(&shown[name]), list, "{name}");
    }
    assert!(!ids(&shown["trending"]).is_empty());
    // Each event that is referred to appears once in `events`, as the caller may see it.
    let events: Vec<&str> = (shown["events"].as_array().expect("events").iter())
        .map(|event| event["id"].as_str().expect("an id"))
        .collect();
    let once: BTreeSet<&str> = events.iter().copied().collect();
    assert_eq!(events.len(), once.len());
    for ticket in tickets {
        assert!(
            once.contains(ticket["event_id"].as_str().expect("an id")),
            "{ticket}"
        );
    }
    world.server.client.get("/me/home").await.expect(401);
}

/// A page with events names their places and hosts without further requests, wherever the order of a list is not that of
/// the generated one. Without `expand`, nothing is added.
#[tokio::test]
async fn od1_lists_of_events_show_their_places_and_hosts_if_asked() {
    let world = World::new().await;
    let mira = &world.mira;
    world
        .run(&told(
            mira,
                "set session_replication_role = replica;
                 insert into app.follows (follower_id, entity_type, entity_id) values (:me, 'organization', :host) on conflict do nothing;
                 update app.users set home_city_id = :city where id = :me;
                 update app.events set state = 'published', status = 'active', visibility = 'public',
                   starts_at = now() + interval '5 days', ends_at = now() + interval '6 days',
                   venue_id = (select v.id from app.venues v where v.city_id = :city and v.status = 'active' order by v.id limit 1)
                 where id = :event",
        ))
        .await;
    let city = world.city;
    let client = &mira.client;
    let mut named = 0;
    for path in [
        "/me/home".to_owned(),
        "/me/calendar".to_owned(),
        "/me/feed".to_owned(),
        format!("/events/upcoming?city_id={city}"),
        format!("/events/trending?city_id={city}"),
        format!("/events/featured?city_id={city}"),
    ] {
        let sign = if path.contains('?') { '&' } else { '?' };
        let plain = client.get(&path).await.expect(200).json;
        let full = format!("{path}{sign}expand=host,venue");
        let full = client.get(&full).await.expect(200).json;
        let events = |answer: &Value| -> Vec<Value> {
            let list = answer.get("events").unwrap_or(&answer["data"]);
            let list = list.as_array().expect("events").iter();
            list.map(|one| one.get("event").unwrap_or(one).clone())
                .collect()
        };
        for event in events(&plain) {
            assert!(
                event.get("host").is_none() && event.get("venue").is_none(),
                "{path}"
            );
        }
        let shown = events(&full);
        assert_eq!(shown.len(), events(&plain).len(), "{path}");
        for event in shown {
            let is_asked_for = |name: &str| event.get(name).is_some();
            assert!(
                is_asked_for("host") && is_asked_for("venue") && !is_asked_for("city"),
                "{path}"
            );
            // One that the caller may not see is null.
            for (object, id) in [("host", "host_id"), ("venue", "venue_id")] {
                if event[object].is_object() {
                    assert_eq!(event[object]["id"], event[id], "{path}");
                    named += 1;
                }
            }
        }
        let wrong = format!("{path}{sign}expand=tickets");
        let wrong = client.get(&wrong).await.expect(422).json;
        assert_eq!(wrong["errors"][0]["parameter"], "expand", "{path}");
    }
    assert!(named >= 4, "{named}");
    for wrong in ["limit=2", "cursor=x"] {
        let refused = client.get(&format!("/me/home?{wrong}")).await;
        assert_eq!(refused.expect(422).json["errors"][0]["code"], "unknown");
    }
}

#[tokio::test]
async fn od1_home_tells_of_what_waits_for_an_answer() {
    let world = World::new().await;
    let (mira, olga) = (&world.mira, &world.olga);
    world
        .run("delete from app.waitlist_entries where event_id = :event")
        .await;
    let kind = world.tickets("Gift", 0, 10).await;
    let order = keyed(olga, "/orders", world.cart(&[(kind, 1)], false))
        .await
        .expect(201)
        .id();
    let tickets = olga
        .client
        .get(&format!("/orders/{order}/tickets"))
        .await
        .expect(200)
        .json;
    let ticket = tickets["data"][0]["id"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let body = json!({"to_id": mira.id});
    let path = format!("/tickets/{ticket}/transfers");
    let offered = olga.client.post(&path, body).await;
    offered.expect(201);
    world
        .run(&told(
            mira,
            "set session_replication_role = replica; delete from app.waitlist_entries where user_id = :me;
             insert into app.waitlist_entries (event_id, user_id, state, offer_expires_at, position)
             values (:event, :me, 'offered', now() + interval '1 hour', 900)",
        ))
        .await;
    let title: String = sqlx::query_scalar("select title from app.events where id = $1")
        .bind(world.event)
        .fetch_one(&mut world.server.superuser().await)
        .await
        .expect("a title");
    for (member, is_own) in [(mira, false), (olga, true)] {
        let shown = home(member).await;
        let transfer = (shown["transfers"].as_array().expect("transfers").iter())
            .find(|one| one["ticket_id"] == ticket.as_str())
            .cloned();
        let transfer = transfer.expect("the transfer");
        assert_eq!(transfer["is_own"], is_own);
        // Enough to be shown: the event may be one that only holders of tickets see, and members may be private.
        let other = if is_own { mira } else { olga };
        let named = other.client.get("/me").await.expect(200).json;
        assert_eq!(transfer["other_id"], named["id"]);
        assert_eq!(transfer["other_name"], named["display_name"]);
        assert_eq!(transfer["ticket_type"], "Gift");
        assert_eq!(transfer["event_title"], title);
    }
    let shown = home(mira).await;
    let offers = shown["waiting_list_offers"].as_array().expect("offers");
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0]["event_id"], world.event.to_string());
    assert_eq!(
        (&offers[0]["event_title"], &offers[0]["ticket_type"]),
        (&json!(title), &json!(null))
    );
    // Expired offers are not shown.
    world
        .run("set session_replication_role = replica; update app.waitlist_entries set offer_expires_at = now(); update app.ticket_transfers set expires_at = now()")
        .await;
    let shown = home(mira).await;
    assert_eq!(
        (&shown["waiting_list_offers"], &shown["transfers"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_the_calendar_is_what_the_member_goes_to_or_follows() {
    let world = World::new().await;
    let mira = &world.mira;
    world
        .run(&told(
            mira,
            "set session_replication_role = replica; delete from app.follows where follower_id = :me; delete from app.attendances where user_id = :me;
             insert into app.follows (follower_id, entity_type, entity_id) values (:me, 'organization', :host);
             update app.tickets set holder_id = :me where code like 'a-random%' and random() < 0.1;
             update app.events e set starts_at = d.at, ends_at = d.at + interval '3 hours', timezone = 'UTC'
             from (select id, now() + random() * interval '60 days' - interval '20 days' as at from app.events where host_id = :host) d where d.id = e.id;
             update app.events set starts_at = '2041-05-01', ends_at = '2041-05-02' where id = :event;
             insert into app.attendances (user_id, event_id)
             select :me, e.id from app.events e where e.host_id = :host and e.ends_at < now() and random() < 0.5;
             update app.users set timezone = 'Australia/Melbourne' where id = :me",
        ))
        .await;
    let zone = "at time zone 'Australia/Melbourne'";
    let day = |days: i64| {
        let today = chrono::Utc::now().date_naive();
        (today + chrono::TimeDelta::days(days)).to_string()
    };
    for (from, to) in [(day(-30), day(60)), (day(-5), day(5)), (day(3), day(3))] {
        let shown = walk(mira, &format!("from={from}&to={to}")).await;
        let mut conn = world.server.superuser().await;
        let expected: Vec<(String, bool, bool, bool)> = sqlx::query_as(sqlx::AssertSqlSafe(told(
            mira,
            &format!(
                "select x.id, x.ticket, x.attended, x.follows from (
                   select e.id::text, e.starts_at, exists (select from app.tickets k where k.event_id = e.id and k.holder_id = :me and k.state in ('valid', 'checked_in')) as ticket,
                     exists (select from app.attendances a where a.event_id = e.id and a.user_id = :me) as attended,
                     e.host_id in (select f.entity_id from app.follows f where f.follower_id = :me) and e.state in ('published', 'completed') as follows,
                     e.state <> 'draft' or exists (select from app.tickets k where k.event_id = e.id and k.holder_id = :me and k.state in ('valid', 'checked_in')) as shown
                   from app.events e where e.status = 'active' and (e.starts_at {zone})::date <= '{to}' and (e.ends_at {zone})::date >= '{from}') x
                 where x.shown and (x.ticket or x.attended or x.follows) order by x.starts_at, x.id"
            ),
        )))
        .fetch_all(&mut conn)
        .await
        .expect("events");
        let got: Vec<(String, bool, bool, bool)> = (shown.iter())
            .map(|one| {
                let why = |name: &str| one[name].as_bool().expect("a reason");
                let id = one["event"]["id"].as_str().expect("an id").to_owned();
                (id, why("has_ticket"), why("was_there"), why("follows"))
            })
            .collect();
        assert_eq!(got, expected, "{from} {to}");
    }
    for wrong in [
        "from=2030-01-01&to=2030-04-03",
        "from=soon",
        "limit=1000",
        "q=x",
    ] {
        mira.client
            .get(&format!("/me/calendar?{wrong}"))
            .await
            .expect(422);
    }
    let wrong = "/me/calendar?from=2030-01-01&to=2030-04-03&limit=0&q=x";
    let refused = mira.client.get(wrong).await.expect(422);
    let told = refused.json["errors"].as_array().map(Vec::len);
    assert_eq!(told, Some(3), "{}", refused.text);
    mira.client
        .get("/me/calendar?from=2030-01-01&to=2030-04-02")
        .await
        .expect(200);
    world.server.client.get("/me/calendar").await.expect(401);
}
