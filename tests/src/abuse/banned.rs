//! Members whom a community has banned, and others who may not see an event any more: nothing more is sold to them, no
//! place is kept for them, and nobody writes to them about it.

mod cancelled;
mod late;

use crate::{
    money::stage::{Stage, keyed},
    support::{Answer, Client, Member},
};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

/// An event of Olga's private community, with free tickets.
struct Circle {
    stage: Stage,
    community: String,
    event: String,
    kind: String,
}

impl Circle {
    async fn new(visibility: &str, capacity: i32) -> Self {
        let stage = Stage::without_provider().await;
        let city = stage.server.city("melbourne").await;
        let olga = &stage.olga.client;
        let body = json!({"city_id": city, "name": "Inner circle", "visibility": "private", "join_policy": "invite"});
        let community = olga.post("/communities", body).await.expect(201).id();
        let body = json!({"title": "A secret", "starts_at": "2041-05-01T18:00:00Z", "ends_at": "2041-05-01T20:00:00Z",
            "timezone": "Australia/Melbourne", "host_type": "community", "host_id": community, "city_id": city,
            "visibility": visibility, "online_url": "https://example.org/stream"});
        let event = olga.post("/events", body).await.expect(201).id();
        olga.act(&format!("/events/{event}/publish"))
            .await
            .expect(200);
        let body = json!({"event_id": event, "name": "Seat", "price_cents": 0, "currency": "AUD", "capacity": capacity,
            "per_user_limit": 100, "refundable_until": "2041-04-30T18:00:00Z"});
        let kind = olga.post("/ticket-types", body).await.expect(201).id();
        Self {
            stage,
            community,
            event,
            kind,
        }
    }

    /// A member of the community, and the path of the membership.
    async fn member(&self, name: &str) -> (Member, String) {
        let member = self.stage.server.member(name).await;
        let body = json!({"community_id": self.community, "user_id": member.id});
        let invited = self
            .stage
            .olga
            .client
            .post("/community-members", body)
            .await;
        let path = format!("/community-members/{}", invited.expect(201).id());
        member.client.act(&format!("{path}/join")).await.expect(200);
        (member, path)
    }

    async fn ban(&self, membership: &str) {
        let path = format!("{membership}/ban");
        let banned = self
            .stage
            .olga
            .client
            .post(&path, json!({"reason": "loud"}));
        banned.await.expect(200);
    }

    async fn buy(&self, member: &Member) -> Answer {
        let items = json!([{"ticket_type_id": self.kind, "quantity": 1}]);
        let cart = json!({"event_id": self.event, "items": items, "use_credits": false});
        keyed(member, "/orders", cart).await
    }

    async fn join(&self, member: &Member) -> Answer {
        let body = json!({"event_id": self.event, "ticket_type_id": self.kind});
        member.client.post("/waitlist-entries", body).await
    }

    async fn place(&self, member: &Member, entry: &str) -> Value {
        let path = format!("/waitlist-entries/{entry}/place");
        member.client.get(&path).await.expect(200).json["state"].clone()
    }

    async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
            .execute(&mut self.stage.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }

    async fn serve(&self) {
        let tickets = &self.stage.server.built.app.modules.tickets;
        tickets.serve_waitlist().await.expect("served");
        self.stage.server.settled().await;
    }

    /// The messages that a member has got.
    async fn told(&self, member: &Member) -> Vec<String> {
        self.stage.server.settled().await;
        sqlx::query_scalar(
            "select data ->> 'message' from app.notifications where user_id = $1 and event_id = $2 order by id",
        )
        .bind(member.id)
        .bind(self.event.parse::<Uuid>().expect("an id"))
        .fetch_all(&mut self.stage.server.superuser().await)
        .await
        .expect("notifications")
    }
}

#[tokio::test]
async fn a_ticket_sells_no_more_tickets_to_who_was_banned() {
    let circle = Circle::new("community", 9).await;
    let (ben, membership) = circle.member("ben_in_the_circle").await;
    circle.buy(&ben).await.expect(201);
    circle.buy(&ben).await.expect(201);
    circle.ban(&membership).await;
    // The ticket stays, and shows the event.
    let path = format!("/events/{}", circle.event);
    ben.client.get(&path).await.expect(200);
    let refused = circle.buy(&ben).await.expect(409);
    assert_eq!(refused.problem(), "not-on-sale");
    circle.join(&ben).await.expect(409);
    // The database refuses to let them wait, too. The negative control: without the trigger it does not.
    let text = format!(
        "begin; set local role culturepass_app; select sec.enter('{}', null, 'create', gen_random_uuid());
         insert into app.waitlist_entries (event_id) values ('{}'); rollback",
        ben.id, circle.event
    );
    let mut conn = circle.stage.server.superuser().await;
    let refused = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut conn)
        .await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("nothing to wait for"), "{refused}");
    sqlx::raw_sql("rollback")
        .execute(&mut conn)
        .await
        .expect("undone");
    circle
        .run("alter table app.waitlist_entries disable trigger waitlist_entries_begin")
        .await;
    let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
    done.expect("inserted");
    // Who was not banned goes on buying, and so does who has a ticket of an unlisted event.
    let (eve, _) = circle.member("eve_in_the_circle").await;
    circle.buy(&eve).await.expect(201);
    circle
        .run(&format!(
            "update app.events set visibility = 'unlisted' where id = '{}'",
            circle.event
        ))
        .await;
    circle.buy(&ben).await.expect(201);
}

#[tokio::test]
async fn nothing_is_kept_for_or_told_to_who_may_not_see_the_event() {
    let circle = Circle::new("community", 1).await;
    let (first, _) = circle.member("first_in_the_circle").await;
    circle.buy(&first).await.expect(201);
    let (ben, membership) = circle.member("ben_in_the_circle").await;
    let (eve, _) = circle.member("eve_in_the_circle").await;
    let bens = circle.join(&ben).await.expect(201).id();
    let eves = circle.join(&eve).await.expect(201).id();
    let before = circle.told(&ben).await;
    circle.ban(&membership).await;
    let path = format!("/ticket-types/{}", circle.kind);
    let olga = &circle.stage.olga.client;
    olga.patch(&path, "*", json!({"capacity": 2}))
        .await
        .expect(200);
    circle.serve().await;
    assert_eq!(circle.place(&ben, &bens).await, "waiting");
    assert_eq!(circle.place(&eve, &eves).await, "offered");
    // Moved, written about, and cancelled.
    let path = format!("/events/{}", circle.event);
    let moved = json!({"starts_at": "2041-06-01T18:00:00Z", "ends_at": "2041-06-01T20:00:00Z"});
    olga.patch(&path, "*", moved).await.expect(200);
    circle.stage.server.settled().await;
    let broadcast = format!(
        "insert into app.broadcasts (event_id, title, message, audience, created_by_id)
         values ('{}', 'Bring a coat', 'It is cold.', 'waiting_list', '{}')",
        circle.event, circle.stage.olga.id
    );
    circle.run(&broadcast).await;
    let reached: Vec<Uuid> = sqlx::query_scalar(
        "select a from app.broadcasts b cross join lateral app.broadcast_audience(b.id) a where b.title = 'Bring a coat'",
    )
    .fetch_all(&mut circle.stage.server.superuser().await)
    .await
    .expect("an audience");
    assert_eq!(reached, [eve.id]);
    olga.post(&format!("{path}/cancel"), json!({"reason": "rain"}))
        .await
        .expect(200);
    assert_eq!(circle.told(&ben).await, before);
    let told = circle.told(&eve).await;
    for message in ["place_offered", "event_moved"] {
        assert!(told.iter().any(|one| one == message), "{told:?}");
    }
}

/// A place that is kept for a member goes to the next one when the member is banned, removed or suspended, or the event is for
/// members only, not at the end of the time for which it is kept. The negative controls: without the triggers it stays.
#[tokio::test]
async fn a_place_is_kept_no_longer_for_who_was_banned_removed_or_suspended() {
    let circle = Circle::new("community", 1).await;
    let (first, _) = circle.member("first_in_the_circle").await;
    circle.buy(&first).await.expect(201);
    let olga = &circle.stage.olga.client;
    let rounds = [
        ("community_members", "banned", true),
        ("community_members", "removed", true),
        ("users", "suspended", true),
        ("events", "hidden", true),
        ("events", "hidden", false),
        ("community_members", "removed", false),
        ("users", "suspended", false),
    ];
    for (round, (table, end, is_guarded)) in rounds.into_iter().enumerate() {
        let (ben, membership) = circle.member(&format!("ben_{round}")).await;
        let (eve, _) = circle.member(&format!("eve_{round}")).await;
        let bens = circle.join(&ben).await.expect(201).id();
        let eves = circle.join(&eve).await.expect(201).id();
        let path = format!("/ticket-types/{}", circle.kind);
        let one_more = json!({"capacity": round + 2});
        olga.patch(&path, "*", one_more).await.expect(200);
        circle.serve().await;
        assert_eq!(circle.place(&ben, &bens).await, "offered", "{round}");
        if !is_guarded {
            let off = format!("alter table app.{table} disable trigger {table}_without_places");
            circle.run(&off).await;
        }
        match end {
            "suspended" => {
                let suspend = "update app.users set status = 'suspended' where id";
                circle.run(&format!("{suspend} = '{}'", ben.id)).await;
            }
            "removed" => {
                olga.delete(&membership).await.expect(204);
            }
            // Ben has left a community whose events are for everybody, until this one is for members.
            "hidden" => {
                let set = |visibility: &str| {
                    format!(
                        "set session_replication_role = replica;
                         update app.communities set visibility = '{visibility}' where id = '{}'",
                        circle.community
                    )
                };
                circle.run(&set("public")).await;
                let path = format!("/events/{}", circle.event);
                let change = async |visibility: &str| {
                    let body = json!({"visibility": visibility});
                    olga.patch(&path, "*", body).await.expect(200);
                };
                change("public").await;
                olga.delete(&membership).await.expect(204);
                assert_eq!(circle.place(&ben, &bens).await, "offered", "{round}");
                change("community").await;
                circle.run(&set("private")).await;
            }
            _ => circle.ban(&membership).await,
        }
        circle.serve().await;
        let now = if is_guarded { "offered" } else { "waiting" };
        assert_eq!(circle.place(&eve, &eves).await, now, "{round} {end}");
        if !is_guarded {
            let path = format!("/waitlist-entries/{eves}");
            eve.client.delete(&path).await.expect(204);
        }
    }
}

/// A friend's ticket does not show a banned member what the ban has hidden, and a ban is not told to the friend. The
/// negative control: without its trigger, the database lets them accept.
#[tokio::test]
async fn a_banned_member_gets_no_ticket_of_a_friend() {
    let circle = Circle::new("community", 9).await;
    let (eve, _) = circle.member("eve_in_the_circle").await;
    let (ben, membership) = circle.member("ben_in_the_circle").await;
    let mut tickets = Vec::new();
    for _ in 0..2 {
        let bought = circle.buy(&eve).await.expect(201);
        let ticket = bought.json["ticket_ids"][0].as_str().expect("a ticket");
        tickets.push(ticket.to_owned());
    }
    let offer = |ticket: &str, to: Uuid| {
        let (client, path) = (eve.client.clone(), format!("/tickets/{ticket}/transfers"));
        async move { client.post(&path, json!({"to_id": to})).await }
    };
    let before = offer(&tickets[0], ben.id).await.expect(201).id();
    circle.ban(&membership).await;
    let accept = format!("/ticket-transfers/{before}/accept");
    let refused = ben.client.act(&accept).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    let path = format!("/events/{}", circle.event);
    ben.client.get(&path).await.expect(404);
    let banned = offer(&tickets[1], ben.id).await.expect(422);
    let nobody = offer(&tickets[1], Uuid::now_v7()).await.expect(422);
    assert_eq!(banned.json["errors"], nobody.json["errors"]);
    // Others may take it.
    let vera = circle.stage.server.member("vera_who_goes").await;
    let offered = offer(&tickets[1], vera.id).await.expect(201).id();
    let accept = format!("/ticket-transfers/{offered}/accept");
    vera.client.act(&accept).await.expect(200);

    let accept = format!(
        "update app.ticket_transfers set state = 'accepted', decided_at = now() where id = '{before}'"
    );
    let mut conn = circle.stage.server.superuser().await;
    let refused = sqlx::raw_sql(AssertSqlSafe(accept.clone()))
        .execute(&mut conn)
        .await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("banned from the event"), "{refused}");
    circle
        .run("alter table app.ticket_transfers disable trigger ticket_transfers_taken_by_allowed")
        .await;
    circle.run(&accept).await;
}

/// What `app.may_order_tickets` says of members without a ticket is whether they can read the event. The negative controls: if
/// it takes members who are banned for others, or who have only asked to join for invited ones, the two differ.
#[tokio::test]
async fn who_may_order_is_who_can_read_the_event() {
    let circle = Circle::new("community", 9).await;
    let server = &circle.stage.server;
    let city = server.city("melbourne").await;
    let mut members = Vec::new();
    for member in [&circle.stage.paula, &circle.stage.olga] {
        members.push((member.id, member.client.clone()));
    }
    for name in ["none", "asked", "invited", "active", "banned", "unbanned"] {
        let member = server.member(&format!("{name}_in_the_circle")).await;
        let (state, by) = match name {
            "asked" => ("pending", member.id),
            "invited" => ("pending", circle.stage.olga.id),
            state => (state, member.id),
        };
        if name != "none" {
            circle
                .run(&format!(
                    "insert into app.community_members (community_id, user_id, added_by_id, state) values ('{}', '{}', '{by}', '{state}')",
                    circle.community, member.id
                ))
                .await;
        }
        members.push((member.id, member.client));
    }
    let carlo = server.member("carlo_of_the_city").await;
    server
        .grant(&carlo, "cityAdmin", Some(("city", city)))
        .await;
    members.push((carlo.id, carlo.client));
    let mut sets = Vec::new();
    for (of, visibility) in [
        ("public", "public"),
        ("private", "public"),
        ("private", "community"),
        ("public", "community"),
        ("private", "unlisted"),
    ] {
        for (state, status) in [
            ("published", "active"),
            ("draft", "active"),
            ("cancelled", "active"),
        ] {
            for host in ["active", "suspended"] {
                // As the superuser, without what would follow.
                sets.push(format!(
                    "set session_replication_role = replica;
                     update app.communities set visibility = '{of}', status = '{host}' where id = '{}';
                     update app.events set visibility = '{visibility}', state = '{state}', status = '{status}' where id = '{}';
                     set session_replication_role = origin",
                    circle.community, circle.event
                ));
            }
        }
    }
    assert_eq!(differences(&circle, &members, &sets).await, 0);
    let mut conn = server.superuser().await;
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('app.may_order_tickets(uuid, uuid)'::regprocedure)",
    )
    .fetch_one(&mut conn)
    .await
    .expect("the function");
    for (condition, wider) in [
        ("m.state in ('active', 'unbanned')", "true"),
        ("m.added_by_id <> m.user_id", "true"),
    ] {
        let careless = text.replace(condition, wider);
        assert_ne!(careless, text);
        circle.run(&careless).await;
        assert!(
            differences(&circle, &members, &sets).await > 0,
            "{condition}"
        );
    }
}

async fn differences(circle: &Circle, members: &[(Uuid, Client)], sets: &[String]) -> usize {
    let (mut differences, mut shown, mut hidden) = (0, 0, 0);
    let event: Uuid = circle.event.parse().expect("an id");
    for set in sets {
        circle.run(set).await;
        for (member, client) in members {
            let path = format!("/events/{event}");
            let is_read = client.get(&path).await.status == 200;
            let may: bool = sqlx::query_scalar("select app.may_order_tickets($1, $2)")
                .bind(event)
                .bind(member)
                .fetch_one(&mut circle.stage.server.superuser().await)
                .await
                .expect("an answer");
            differences += usize::from(may != is_read);
            shown += usize::from(is_read);
            hidden += usize::from(!is_read);
        }
    }
    assert!(shown > 20 && hidden > 20, "{shown} {hidden}");
    differences
}
