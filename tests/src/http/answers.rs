//! Whole answers as clients get them: objects, pages, created objects, and every kind of problem.

use super::people;
use crate::support::{Answer, Client, TestServer};
use reqwest::Method;
use serde_json::{Value, json};
use server::seed::demo::PEOPLE;
use std::fmt::Write;
use uuid::Uuid;

/// Clients, and ids to request.
struct Scene {
    server: TestServer,
    anonymous: Client,
    olga: Client,
    mira: Client,
    out: String,
}

impl Scene {
    async fn new() -> Self {
        let server = people::server().await;
        Self {
            anonymous: server.client.clone(),
            olga: server.sign_in(PEOPLE[2].id).await.client,
            mira: server.sign_in(PEOPLE[4].id).await.client,
            server,
            out: String::new(),
        }
    }

    /// The single value of a query, as text.
    async fn find(&self, query: &'static str) -> String {
        let mut conn = self.server.superuser().await;
        sqlx::query_scalar(query)
            .fetch_one(&mut conn)
            .await
            .expect(query)
    }

    fn show(&mut self, title: &str, answer: &Answer) {
        let _ = writeln!(self.out, "## {title}\n{}\n", shown(answer));
    }

    async fn get(&mut self, title: &str, client: Client, path: &str) -> Answer {
        let answer = client.get(path).await;
        self.show(&format!("GET {title}"), &answer);
        answer
    }
}

const OLGAS_EVENT: &str = "select id::text from app.events where host_id in
   (select scope_id from app.role_assignments where user_id = '0199c000-0000-7000-8000-000000000003')
   and state = 'published' and visibility = 'public' order by slug limit 1";
const OLGAS_ORGANIZATION: &str = "select scope_id::text from app.role_assignments
   where user_id = '0199c000-0000-7000-8000-000000000003' and role = 'orgAdmin'";
const MELBOURNE: &str = "select city_id::text from app.organizations where id in
   (select scope_id from app.role_assignments where user_id = '0199c000-0000-7000-8000-000000000003')";
const COMMUNITY: &str =
    "select id::text from app.communities where visibility = 'public' order by slug, id limit 1";

#[tokio::test]
async fn events_are_answered_like_this() {
    let mut scene = Scene::new().await;
    let id = scene.find(OLGAS_EVENT).await;
    let (olga, anonymous) = (scene.olga.clone(), scene.anonymous.clone());
    scene
        .get(
            "/events/{id} as its host",
            olga.clone(),
            &format!("/events/{id}"),
        )
        .await;
    scene
        .get(
            "/events/{id} as nobody",
            anonymous.clone(),
            &format!("/events/{id}"),
        )
        .await;
    scene
        .get(
            "/events/{id}?expand=host,city as nobody",
            anonymous.clone(),
            &format!("/events/{id}?expand=host,city"),
        )
        .await;
    scene
        .get(
            "/events?limit=1&count=exact as nobody",
            anonymous.clone(),
            "/events?sort=title&limit=1&count=exact",
        )
        .await;
    let body = json!({
        "title": "An evening of snapshots", "starts_at": "2040-05-01T18:00:00Z", "ends_at": "2040-05-01T20:00:00Z",
        "timezone": "Australia/Melbourne", "host_type": "organization",
        "host_id": scene.find(OLGAS_ORGANIZATION).await, "city_id": scene.find(MELBOURNE).await,
    });
    let created = olga.post("/events", body).await;
    scene.show("POST /events as a host", &created);
    scene
        .get(
            "/events/{id} of a draft as nobody",
            anonymous,
            &format!("/events/{}", created.id()),
        )
        .await;
    insta::assert_snapshot!("events", scene.out);
}

#[tokio::test]
async fn communities_and_reviews_are_answered_like_this() {
    let mut scene = Scene::new().await;
    let community = scene.find(COMMUNITY).await;
    let (mira, anonymous) = (scene.mira.clone(), scene.anonymous.clone());
    scene
        .get(
            "/communities/{id} as nobody",
            anonymous.clone(),
            &format!("/communities/{community}"),
        )
        .await;
    scene
        .get(
            "/communities?limit=1 as nobody",
            anonymous.clone(),
            "/communities?sort=name&limit=1",
        )
        .await;
    let body = json!({"name": "Friends of snapshots", "city_id": scene.find(MELBOURNE).await});
    let created = mira.post("/communities", body).await;
    scene.show("POST /communities as a member", &created);
    let body = json!({"entity_type": "community", "entity_id": community, "rating": 4, "comment": "Good."});
    let review = mira.post("/reviews", body.clone()).await;
    scene.show("POST /reviews as a member", &review);
    scene
        .get(
            "/reviews/{id} as its author",
            mira.clone(),
            &format!("/reviews/{}", review.id()),
        )
        .await;
    scene
        .get(
            "/reviews/{id} as nobody",
            anonymous,
            &format!("/reviews/{}", review.id()),
        )
        .await;
    let again = mira.post("/reviews", body).await;
    scene.show("POST /reviews again", &again);
    let own = json!({"entity_type": "community", "entity_id": created.id(), "rating": 5});
    scene.show(
        "POST /reviews of one's own",
        &mira.post("/reviews", own).await,
    );
    insta::assert_snapshot!("communities", scene.out);
}

#[tokio::test]
async fn members_and_tickets_are_answered_like_this() {
    let mut scene = Scene::new().await;
    let (mira, olga, anonymous) = (
        scene.mira.clone(),
        scene.olga.clone(),
        scene.anonymous.clone(),
    );
    let profile = format!("/users/{}", PEOPLE[4].id);
    scene
        .get("/users/{id} as oneself", mira.clone(), &profile)
        .await;
    scene.get("/me", mira.clone(), "/me").await;
    scene
        .get("/users/{id} as another", olga.clone(), &profile)
        .await;
    scene
        .get("/users/{id} as nobody", anonymous.clone(), &profile)
        .await;
    let private = format!("/users/{}", PEOPLE[5].id);
    scene
        .get(
            "/users/{id} of a private profile as another",
            olga.clone(),
            &private,
        )
        .await;
    let ticket = "select id::text from app.tickets where holder_id = '0199c000-0000-7000-8000-000000000005' order by id limit 1";
    let ticket = format!("/tickets/{}", scene.find(ticket).await);
    scene
        .get("/tickets/{id} as its holder", mira.clone(), &ticket)
        .await;
    scene.get("/tickets/{id} as another", olga, &ticket).await;
    scene
        .get("/tickets/{id} as nobody", anonymous, &ticket)
        .await;
    scene
        .get("/me/tickets?limit=1", mira, "/me/tickets?limit=1")
        .await;
    insta::assert_snapshot!("members", scene.out);
}

/// One of each kind of problem that a client can cause.
#[tokio::test]
async fn problems_are_answered_like_this() {
    let mut scene = Scene::new().await;
    let (olga, mira, anonymous) = (
        scene.olga.clone(),
        scene.mira.clone(),
        scene.anonymous.clone(),
    );
    let event = format!("/events/{}", scene.find(OLGAS_EVENT).await);
    let json = "application/json";
    let long = "x".repeat(300 * 1024);
    let text = |text: &'static str, media: &'static str| Some((text, media));
    let stale = [("if-match", "\"999-0000000000000000\"")];
    let answers = [
        olga.send_text(Method::POST, "/events", text("{", json), &[]).await,
        olga.send_text(Method::PATCH, &event, text("{}", json), &[("if-match", "three")]).await,
        anonymous.get("/events?cursor=nonsense").await,
        anonymous.post("/events", json!({})).await,
        anonymous.with_token("nonsense").get("/events").await,
        mira.post("/cities", json!({})).await,
        olga.post("/reviews", json!({"entity_type": "community", "entity_id": scene.find(COMMUNITY).await, "rating": 3, "reply": "Thanks"})).await,
        anonymous.get(&format!("/events/{}", Uuid::nil())).await,
        anonymous.get("/nowhere").await,
        anonymous.send(Method::PUT, "/events", None, &[]).await,
        olga.act(&format!("{event}/complete")).await,
        olga.send(Method::PATCH, &event, Some(json!({"title": "x"})), &stale).await,
        olga.send(Method::PATCH, &event, Some(json!({"title": "x"})), &[]).await,
        olga.send_text(Method::POST, "/events", Some((&long, json)), &[]).await,
        olga.send_text(Method::POST, "/events", text("title=x", "application/x-www-form-urlencoded"), &[]).await,
        olga.post("/events", json!({"title": "", "starts_at": "soon", "nonsense": 1})).await,
        anonymous.get("/events?limit=0&colour=red").await,
        mira.post("/likes", json!({"event_id": Uuid::nil()})).await,
        mira.post("/auth/sign-in", json!({"email": "nobody@example.org", "password": "not the password"})).await,
        anonymous.send(Method::GET, "/events", None, &[("x-long", &"x".repeat(20 * 1024))]).await,
    ];
    for answer in &answers {
        let kind = answer.problem().to_owned();
        assert!(
            kernel::problems::by_slug(&kind).is_some(),
            "{}",
            answer.text
        );
        scene.show(&kind, answer);
    }
    insta::assert_snapshot!("problems", scene.out);
}

/// Status, headers and body, without values that differ from run to run.
fn shown(answer: &Answer) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", text(value.to_str().unwrap_or("…"))))
        .collect();
    headers.sort_unstable();
    let mut body = answer.json.clone();
    redact(&mut body);
    let body = serde_json::to_string_pretty(&body).expect("JSON");
    format!("{}\n{}\n{body}", answer.status, headers.join("\n"))
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(_) if name == "next_cursor" => *value = json!("[cursor]"),
                    // Derived from the title and the end of the id.
                    Value::String(slug) if name == "slug" => *slug = without_end(slug),
                    value => redact(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(redact),
        Value::String(found) => *found = text(found),
        _ => {}
    }
}

fn without_end(slug: &str) -> String {
    match slug.rsplit_once('-') {
        Some((start, end)) if end.len() == 8 && end.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{start}-[end of id]")
        }
        _ => slug.to_owned(),
    }
}

/// Replaces ids, times and ETags by placeholders.
fn text(text: &str) -> String {
    if Uuid::try_parse(text).is_ok() {
        return "[id]".to_owned();
    }
    if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
        return "[time]".to_owned();
    }
    if let Some((prefix, last)) = text.rsplit_once(['/', ':'])
        && Uuid::try_parse(last).is_ok()
    {
        return format!("{prefix} [id]");
    }
    match text.strip_prefix('"').and_then(|text| text.split_once('-')) {
        Some((version, _)) => format!("\"{version}-[hash]\""),
        None => text.to_owned(),
    }
}
