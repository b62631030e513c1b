//! Suspended rows stay suspended whatever their owner archives and restores; archiving cascades as far as allowed, and
//! restoring as far as possible.

use crate::support::{
    Member, TestServer,
    pages::{all, ids},
    pictures,
};
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use sqlx::PgConnection;
use uuid::Uuid;

/// Creates an approved organization of this owner in Melbourne.
pub async fn organization(server: &TestServer, owner: &Member, name: &str) -> Uuid {
    let city = server.city("melbourne").await;
    let body = json!({"city_id": city, "name": name});
    let made = owner.client.post("/organizations", body).await.expect(201);
    let id = made.id();
    let carlo = server.sign_in(PEOPLE[1].id).await;
    let approve = format!("/organizations/{id}/approve");
    carlo.client.act(&approve).await.expect(200);
    id.parse().expect("an id")
}

pub async fn event(server: &TestServer, owner: &Member, host: Uuid, title: &str) -> String {
    let body = json!({
        "city_id": server.city("melbourne").await, "host_type": "organization", "host_id": host, "title": title,
        "starts_at": "2031-05-01T18:00:00Z", "ends_at": "2031-05-01T22:00:00Z", "timezone": "Australia/Melbourne",
        "online_url": "https://example.org/live",
    });
    let made = owner.client.post("/events", body).await.expect(201);
    let path = format!("/events/{}", made.id());
    owner
        .client
        .act(&format!("{path}/publish"))
        .await
        .expect(200);
    path
}

async fn run(conn: &mut PgConnection, text: String) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.clone()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

#[tokio::test]
async fn a_suspension_outlives_archiving() {
    let server = TestServer::demo().await;
    let owner = server.member("owner").await;
    let critic = server.member("critic").await;
    let carlo = server.sign_in(PEOPLE[1].id).await;
    let paula = server.sign_in(PEOPLE[0].id).await;
    let host = organization(&server, &owner, "The moderated").await;
    let profile = format!("/organizations/{host}");
    let event = event(&server, &owner, host, "A loud night").await;
    let event_id = event.rsplit('/').next().expect("an id");
    let picture = pictures::shown(&server, &owner, "event", event_id).await;
    let review = json!({"entity_type": "organization", "entity_id": host, "rating": 1});
    let review = critic
        .client
        .post("/reviews", review)
        .await
        .expect(201)
        .id();
    let (picture, review) = (format!("/media/{picture}"), format!("/reviews/{review}"));
    for path in [&event, &picture, &review] {
        carlo
            .client
            .act(&format!("{path}/suspend"))
            .await
            .expect(200);
    }
    let are_suspended = || async {
        for path in [&event, &picture, &review] {
            server.client.get(path).await.expect(404);
            assert_eq!(
                carlo.client.get(path).await.json["status"],
                "suspended",
                "{path}"
            );
        }
    };
    are_suspended().await;
    // A suspended row can't be archived by itself, since its owner must not remove it from moderation.
    let refused = owner.client.delete(&event).await.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    // It is archived with its parent, twice.
    for _ in 0..2 {
        owner.client.delete(&profile).await.expect(204);
        let back = owner
            .client
            .act(&format!("{profile}/restore"))
            .await
            .expect(200);
        assert_eq!(back.json["still_archived"], json!([]));
        are_suspended().await;
    }
    // It is archived with an account, which is restored by an administrator who can't suspend there.
    critic
        .client
        .delete(&format!("/users/{}", critic.id))
        .await
        .expect(204);
    paula
        .client
        .act(&format!("/users/{}/restore", critic.id))
        .await
        .expect(200);
    are_suspended().await;
    // Unsuspending works afterwards.
    carlo
        .client
        .act(&format!("{event}/unsuspend"))
        .await
        .expect(200);
    server.client.get(&event).await.expect(200);
    // The audit log contains the status at the time of archiving.
    let mut conn = server.superuser().await;
    let found: Value = sqlx::query_scalar(
        "select jsonb_agg(distinct changed->'status') from audit.audit_logs
         where entity_id = $1 and action in ('archive', 'restore')",
    )
    .bind(
        picture
            .rsplit('/')
            .next()
            .and_then(|id| id.parse::<Uuid>().ok()),
    )
    .fetch_one(&mut conn)
    .await
    .expect("the log");
    assert_eq!(
        found,
        json!([["archived", "suspended"], ["suspended", "archived"]])
    );
}

#[tokio::test]
async fn an_event_with_tickets_keeps_its_host_and_is_named() {
    let server = TestServer::demo().await;
    let owner = server.member("owner").await;
    let host = organization(&server, &owner, "The sold out").await;
    let profile = format!("/organizations/{host}");
    let (sold, free) = (
        event(&server, &owner, host, "Sold").await,
        event(&server, &owner, host, "Free").await,
    );
    let mut conn = server.superuser().await;
    let id = sold.rsplit('/').next().expect("an id");
    run(
        &mut conn,
        format!(
            "with kind as (
               insert into app.ticket_types (event_id, name, price_cents, currency, capacity, sold)
               values ('{id}', 'All', 0, 'AUD', 5, 1) returning id
             ), bought as (
               insert into app.orders (user_id, event_id, amount_cents, currency, state, idempotency_key)
               values ('{me}', '{id}', 0, 'AUD', 'paid', 'a-key-of-the-order') returning id
             )
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, position, currency, code)
             select bought.id, kind.id, '{id}', '{me}', '{me}', 1, 'AUD', 'a-code-of-the-ticket' from kind, bought",
            me = PEOPLE[4].id
        ),
    )
    .await;
    owner.client.delete(&sold).await.expect(409);
    let refused = owner.client.delete(&profile).await.expect(409);
    assert_eq!(refused.problem(), "conflict");
    let named: Vec<&Value> = refused.json["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|e| &e["object"])
        .collect();
    assert_eq!(named, [&json!({"type": "event", "id": id})]);
    assert!(
        refused.text.contains("ticket_count is 0"),
        "{}",
        refused.text
    );
    for path in [&profile, &sold, &free] {
        server.client.get(path).await.expect(200);
    }
    // The city's administrator gets the same answer; members with tickets can close their accounts.
    let carlo = server.sign_in(PEOPLE[1].id).await;
    carlo.client.delete(&profile).await.expect(409);
    let mira = server.sign_in(PEOPLE[4].id).await;
    mira.client
        .delete(&format!("/users/{}", mira.id))
        .await
        .expect(204);
    // Refunded tickets do not prevent archiving.
    run(
        &mut conn,
        format!("update app.tickets set state = 'refunded' where event_id = '{id}'"),
    )
    .await;
    let refused = owner.client.delete(&profile).await.expect(409);
    assert_eq!(refused.json["errors"][0]["object"]["type"], "ticket_type");
    run(
        &mut conn,
        format!("update app.ticket_types set sold = 0 where event_id = '{id}'"),
    )
    .await;
    owner.client.delete(&profile).await.expect(204);
}

#[tokio::test]
async fn what_stays_archived_is_told_to_those_who_may_restore_it() {
    let server = TestServer::demo().await;
    let (owner, firm, fan) = (
        server.member("owner").await,
        server.member("firm").await,
        server.member("fan").await,
    );
    let paula = server.sign_in(PEOPLE[0].id).await;
    let city = server.city("melbourne").await;
    let host = organization(&server, &owner, "The asking").await;
    let profile = format!("/organizations/{host}");
    let business = firm
        .client
        .post(
            "/businesses",
            json!({"city_id": city, "name": "The offering"}),
        )
        .await
        .expect(201)
        .id();
    let business = format!("/businesses/{business}");
    let carlo = server.sign_in(PEOPLE[1].id).await;
    carlo
        .client
        .act(&format!("{business}/approve"))
        .await
        .expect(200);
    let request = json!({
        "city_id": city, "host_type": "organization", "host_id": host, "title": "Sound", "category": "audio_visual",
        "description": "Two speakers",
    });
    let request = owner
        .client
        .post("/service-requests", request)
        .await
        .expect(201)
        .id();
    let lead = json!({
        "service_request_id": request, "business_id": business.rsplit('/').next(), "title": "Sound", "details": "Two",
    });
    let lead = owner.client.post("/leads", lead).await.expect(201).id();
    let event = event(&server, &owner, host, "Liked").await;
    let like = json!({"event_id": event.rsplit('/').next()});
    let like = fan.client.post("/likes", like).await.expect(201).id();
    let slug = carlo.client.get(&event).await.json["slug"].clone();

    owner.client.delete(&profile).await.expect(204);
    firm.client.delete(&business).await.expect(204);
    fan.client
        .delete(&format!("/users/{}", fan.id))
        .await
        .expect(204);
    // In the meantime, a draft of another member takes the slug.
    let stranger = server.member("stranger").await;
    let other = organization(&server, &stranger, "The other").await;
    let draft = json!({
        "city_id": city, "host_type": "organization", "host_id": other, "title": "Hidden", "slug": slug,
        "starts_at": "2031-05-01T18:00:00Z", "ends_at": "2031-05-01T22:00:00Z", "timezone": "Australia/Melbourne",
    });
    stranger.client.post("/events", draft).await.expect(201);

    // Callers who may restore see the archived rows; others see none.
    for (path, id) in [
        ("/organizations/archived", host.to_string()),
        ("/leads/archived", lead.clone()),
    ] {
        let seen = all(&owner.client, path).await;
        assert!(ids(&seen).contains(&id.as_str()), "{path}");
        assert!(seen.iter().all(|row| row["status"] == "archived"), "{path}");
        for other in [&firm, &stranger] {
            let seen = other.client.get(path).await;
            assert!(!seen.text.contains(&id), "{path}: {}", seen.text);
        }
        server.client.get(path).await.expect(401);
    }
    let back = owner
        .client
        .act(&format!("{profile}/restore"))
        .await
        .expect(200);
    // The like is private to its member, so it is not reported to others.
    let told = back.json["still_archived"].as_array().expect("a list");
    assert_eq!(told.len(), 1, "{}", back.text);
    assert_eq!(
        told[0],
        json!({"type": "lead", "id": lead, "code": "reference", "pointer": "/business_id", "detail": "belongs to something that is archived itself"})
    );
    assert!(!back.text.contains("Hidden") && !back.text.contains(&like));
    let shown = owner.client.get(&event).await.expect(200);
    let again = shown.json["slug"].as_str().expect("a slug");
    let begins = format!("{}-", slug.as_str().expect("a slug"));
    assert!(again.starts_with(&begins), "{again}");
    owner
        .client
        .get(&format!("/leads/{lead}"))
        .await
        .expect(404);
    let alone = owner
        .client
        .act(&format!("/leads/{lead}/restore"))
        .await
        .expect(409);
    assert_eq!(alone.problem(), "conflict");
    // The ETag of the answer can be used to change the object.
    let etag = back.header("etag").expect("a tag");
    owner
        .client
        .patch(&profile, etag, json!({"name": "The asked"}))
        .await
        .expect(200);

    // Once the other parent is restored, the row is restored as well.
    firm.client
        .act(&format!("{business}/restore"))
        .await
        .expect(200);
    owner
        .client
        .get(&format!("/leads/{lead}"))
        .await
        .expect(200);
    let likes = format!("{event}/likes");
    assert_eq!(all(&server.client, &likes).await.len(), 0);
    paula
        .client
        .act(&format!("/users/{}/restore", fan.id))
        .await
        .expect(200);
    assert_eq!(ids(&all(&server.client, &likes).await), [like.as_str()]);
    assert!(!ids(&all(&owner.client, "/leads/archived").await).contains(&lead.as_str()));
}

/// Pages of archived objects neither skip nor repeat any, and a cursor is only valid for its list and caller.
#[tokio::test]
async fn archived_objects_come_in_pages() {
    let server = TestServer::demo().await;
    let owner = server.member("owner").await;
    let host = organization(&server, &owner, "The many").await;
    let mut made = Vec::new();
    for n in 0..7 {
        let path = event(&server, &owner, host, &format!("Night {n}")).await;
        owner.client.delete(&path).await.expect(204);
        made.push(path.rsplit('/').next().expect("an id").to_owned());
    }
    made.reverse();
    let (mut found, mut next) = (Vec::new(), "/events/archived?limit=3".to_owned());
    for size in [3, 3, 1] {
        let page = owner.client.get(&next).await.expect(200);
        let rows = page.json["data"].as_array().expect("a list").clone();
        assert_eq!(rows.len(), size);
        found.extend(rows);
        let cursor = page.json["next_cursor"].as_str().unwrap_or_default();
        next = format!("/events/archived?limit=3&cursor={cursor}");
    }
    assert_eq!(ids(&found), made);
    let first = owner
        .client
        .get("/events/archived?limit=3")
        .await
        .expect(200);
    let cursor = first.json["next_cursor"].as_str().expect("more");
    for path in [
        format!("/events?cursor={cursor}"),
        format!("/venues/archived?cursor={cursor}"),
    ] {
        assert_eq!(
            owner.client.get(&path).await.expect(400).problem(),
            "invalid-cursor",
            "{path}"
        );
    }
    for wrong in [
        "q=night",
        "sort=title",
        "count=exact",
        "limit=0",
        "expand=city",
        "city_id=1",
    ] {
        owner
            .client
            .get(&format!("/events/archived?{wrong}"))
            .await
            .expect(422);
    }
    let stranger = server.member("stranger").await;
    let other = stranger.client.get("/events/archived").await;
    assert_eq!(
        other.status, 403,
        "who holds nothing can restore no event: {}",
        other.text
    );
    let path = format!("/events/archived?cursor={cursor}");
    server.client.get(&path).await.expect(401);
}
