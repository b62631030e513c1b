//! Stopping the program, gracefully and by killing it.

use crate::support::{Client, Database, Member, database::Content, program::Program, socket};
use serde_json::json;
use server::seed::demo::PEOPLE;
use sqlx::PgConnection;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{io::AsyncWriteExt, task::JoinHandle};
use uuid::Uuid;

/// Members who create communities, and like and unlike an event, until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    founded: Arc<AtomicU32>,
    clients: Vec<JoinHandle<Vec<Done>>>,
}

/// A request and its result. Without a status, the connection broke or could not be opened.
struct Done {
    what: &'static str,
    status: Option<u16>,
    id: Option<String>,
}

impl Load {
    fn start(members: Vec<Member>, city: Uuid, event: Uuid) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let number = Arc::new(AtomicU32::new(0));
        let founded = Arc::new(AtomicU32::new(0));
        let client = |member: Member| {
            let (stop, number, founded) = (stop.clone(), number.clone(), founded.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                while !stop.load(SeqCst) {
                    let name = format!("Load {}", number.fetch_add(1, SeqCst));
                    let community = json!({"city_id": city, "name": name});
                    let community = ask(&member, "POST", "/communities", Some(community)).await;
                    founded.fetch_add(u32::from(community.id.is_some()), SeqCst);
                    done.push(community);
                    if stop.load(SeqCst) {
                        break;
                    }
                    let like = json!({"event_id": event});
                    let like = ask(&member, "POST", "/likes", Some(like)).await;
                    if let Some(id) = like.id.as_ref().filter(|_| !stop.load(SeqCst)) {
                        let path = format!("/likes/{id}");
                        done.push(ask(&member, "DELETE", &path, None).await);
                    }
                    done.push(like);
                }
                done
            })
        };
        Self {
            clients: members.into_iter().map(client).collect(),
            stop,
            founded,
        }
    }

    /// Waits until the first, slow requests are done.
    async fn is_under_way(&self) {
        for _ in 0..3000 {
            if self.founded.load(SeqCst) >= 20 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no load");
    }

    async fn finish(self) -> Vec<Done> {
        self.stop.store(true, SeqCst);
        let mut all = Vec::new();
        for client in self.clients {
            all.extend(client.await.expect("no client panics"));
        }
        all
    }
}

const REFUSED: &str = "refused";

/// Sends a request on a new connection, as if there were many clients.
async fn ask(
    member: &Member,
    method: &'static str,
    path: &str,
    body: Option<serde_json::Value>,
) -> Done {
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0);
    let request = http.build().expect("client").request(
        method.parse().expect("a method"),
        format!("{}{path}", member.client.base()),
    );
    let request = request.bearer_auth(&member.token);
    let request = match body {
        Some(body) => request.json(&body),
        None => request,
    };
    let answer = async {
        let response = request.send().await?;
        let status = response.status().as_u16();
        // If the body is incomplete, the answer counts as broken.
        let text = response.text().await?;
        let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let id = json["id"].as_str().map(str::to_owned);
        Ok::<_, reqwest::Error>((status, id))
    };
    let (what, status, id) = match answer.await {
        Ok((status, id)) => (method, Some(status), id),
        // Nothing is listening any more: a load balancer would use another server, and nothing was done.
        Err(error) if error.is_connect() => (REFUSED, None, None),
        Err(_) => (method, None, None),
    };
    Done {
        what,
        status,
        id: id.filter(|_| status == Some(201)),
    }
}

async fn members(program: &Program, database: &Database, count: usize) -> Vec<Member> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from app.users where status = 'active' and is_public and id <> all($1) order by id limit $2",
    )
    .bind(PEOPLE.iter().map(|person| person.id).collect::<Vec<_>>())
    .bind(count as i64)
    .fetch_all(&mut database.superuser().await)
    .await
    .expect("members");
    let mut members = Vec::new();
    for id in ids {
        members.push(program.sign_in(database, id).await);
    }
    members
}

async fn city_and_event(conn: &mut PgConnection) -> (Uuid, Uuid) {
    // Removes earlier likes.
    sqlx::raw_sql(
        "update app.likes set status = 'archived' where event_id = (select id from app.events
           where state = 'published' and visibility = 'public' and status = 'active' and host_type = 'organization' order by id limit 1)",
    )
    .execute(&mut *conn)
    .await
    .expect("no likes");
    sqlx::query_as(
        "select city_id, id from app.events
         where state = 'published' and visibility = 'public' and status = 'active' and host_type = 'organization' order by id limit 1",
    )
    .fetch_one(conn)
    .await
    .expect("an event")
}

/// Queries for incomplete operations: communities without founder or audit entry, and wrong counters.
const HALF_DONE: [&str; 3] = [
    "select count(*) from app.communities c where c.name like 'Load %' and
       not exists (select from app.role_assignments r where r.scope_id = c.id and r.role = 'orgAdmin')",
    "select count(*) from app.communities c where c.name like 'Load %' and
       (select count(*) from audit.audit_logs l where l.entity_id = c.id and l.action = 'create') <> 1",
    "select count(*) from app.events e join counters.events n on n.id = e.id where n.like_count <>
       (select count(*) from app.likes l where l.event_id = e.id and l.status = 'active')",
];

async fn nothing_is_half_done(conn: &mut PgConnection) {
    for text in HALF_DONE {
        let count: i64 = sqlx::query_scalar(text)
            .fetch_one(&mut *conn)
            .await
            .expect("a count");
        assert_eq!(count, 0, "{text}");
    }
}

async fn kept(conn: &mut PgConnection, done: &[Done]) {
    let ids: Vec<Uuid> = done
        .iter()
        .filter_map(|done| done.id.as_ref()?.parse().ok())
        .collect();
    let found: i64 = sqlx::query_scalar(
        "select (select count(*) from app.communities where id = any($1)) + (select count(*) from app.likes where id = any($1))",
    )
    .bind(&ids)
    .fetch_one(conn)
    .await
    .expect("a count");
    assert_eq!(
        found as usize,
        ids.len(),
        "every row that was answered with 201 must exist"
    );
    let statuses: Vec<_> = done.iter().map(|done| done.status).collect();
    assert!(ids.len() > 10, "{statuses:?}");
}

#[tokio::test]
async fn abuse_62_asked_to_stop_it_finishes_what_it_began() {
    let database = Database::new(Content::Demo).await;
    let mut superuser = database.superuser().await;
    let (city, event) = city_and_event(&mut superuser).await;
    database.lift_quotas().await;
    let mut program = Program::serve(&database, |command| {
        command.env("DRAIN_DELAY_SECONDS", "4").arg("--with-worker");
    })
    .await;
    let load = Load::start(members(&program, &database, 6).await, city, event);
    load.is_under_way().await;

    // A request whose body is still being sent when no new connections are accepted any more.
    let paula = program.sign_in(&database, PEOPLE[0].id).await;
    let body = json!({"city_id": city, "name": "Load at the last moment"}).to_string();
    let (first, rest) = body.split_at(20);
    let mut slow = socket::connect(program.client.base()).await;
    let text = format!(
        "POST /communities HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        paula.token,
        body.len()
    );
    slow.write_all(text.as_bytes()).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    program.signal("TERM");
    // First `/readyz` fails, so that the load balancer sends no more requests.
    not_ready(&program).await;
    program.client.get("/livez").await.expect(200);
    let done = load.finish().await;
    closed(&program.client).await;
    slow.write_all(rest.as_bytes()).await.expect("sent");
    let answer = socket::until_closed(slow).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let status = program.ended().await;
    assert!(status.success(), "{status}: {}", program.log().join("\n"));

    let bad: Vec<String> = done
        .iter()
        .filter(|done| done.what != REFUSED && done.status.is_none_or(|status| status >= 300))
        .map(|done| format!("{} {:?}", done.what, done.status))
        .collect();
    assert_eq!(bad, Vec::<String>::new(), "of {}", done.len());
    kept(&mut superuser, &done).await;
    nothing_is_half_done(&mut superuser).await;
    let log = program.log();
    for said in ["asked to stop", "stopped"] {
        assert!(log.iter().any(|line| line.contains(said)), "{said}");
    }
}

/// Waits until `/readyz` fails, while requests are still answered.
async fn not_ready(program: &Program) {
    for _ in 0..100 {
        if program.admin.get("/readyz").await.status == 503 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still ready");
}

/// Waits until no connections are accepted any more, which is after the drain delay.
async fn closed(client: &Client) {
    let address = client.base().strip_prefix("http://").expect("an address");
    for _ in 0..2000 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still listening");
}

#[tokio::test]
async fn abuse_62_killed_it_leaves_nothing_half_done() {
    let database = Database::new(Content::Demo).await;
    let mut superuser = database.superuser().await;
    let (city, event) = city_and_event(&mut superuser).await;
    database.lift_quotas().await;
    let mut answered = Vec::new();
    for round in 0..3 {
        let mut program = Program::serve(&database, |_| {}).await;
        let load = Load::start(members(&program, &database, 8).await, city, event);
        load.is_under_way().await;
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        program.signal("KILL");
        program.ended().await;
        let done = load.finish().await;
        let broken = done.iter().filter(|done| done.status.is_none()).count();
        assert!(
            broken > 0,
            "at least one request must have been interrupted"
        );
        answered.extend(done);
        sessions_end(&mut superuser).await;
        nothing_is_half_done(&mut superuser).await;
    }
    kept(&mut superuser, &answered).await;
    // A new process serves as usual.
    let program = Program::serve(&database, |_| {}).await;
    program.client.get("/events").await.expect(200);
}

/// Waits until the database has noticed that the process is gone.
async fn sessions_end(conn: &mut PgConnection) {
    for _ in 0..200 {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and usename like 'culturepass%'",
        )
        .fetch_one(&mut *conn)
        .await
        .expect("activity");
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("sessions of a dead server");
}
