//! A city or organization never reaches another: what its administrators do is repeated by administrators of another.

use super::{
    bodies,
    deeds::{Deed, Deeds, mutations},
    expect::expected,
    operations::{self, Kind, Operation},
    people::{self, Persona, personas},
    rows::{self, oracles},
};
use crate::rules::{
    oracle::{Oracle, text},
    world::{Row, World},
};
use kernel::resource::Resource;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};

/// Administrators of something; each has no permissions for most rows.
const ADMINISTRATORS: [&str; 5] = ["city", "org", "business", "city2", "org2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_03_what_one_tenant_does_another_cannot_do_again() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    let mut deeds = Deeds::new(&server, &world, &people).await;
    let (mut wrong, mut undone, mut replayed) = (Vec::new(), Vec::new(), 0);
    for operation in mutations() {
        let mut refusals = Vec::new();
        let mut done = false;
        for deed in deeds.plan(operation).await {
            deeds.prepare(&deed).await;
            let strangers = strangers(&deed, &people, &oracles);
            replayed += strangers.len();
            wrong.extend(replay(&mut conn, &deed, &strangers).await);
            let answer = deeds.carry_out(&deed).await;
            if answer.status.is_success() {
                done = true;
                break;
            }
            refusals.push(format!("{} {}", answer.status, answer.text));
        }
        if !done {
            undone.push(format!("{}: {}", operation.title(), refusals.join("\n  ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} replays were wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(
        undone.is_empty(),
        "{} never succeeded:\n{}",
        undone.len(),
        undone.join("\n")
    );
    assert!(replayed > mutations().len(), "only {replayed} replays");
}

/// Administrators who may not do this.
fn strangers<'p>(deed: &Deed, people: &'p [Persona], oracles: &[Oracle]) -> Vec<&'p Persona> {
    let pairs = people.iter().zip(oracles);
    pairs
        .filter(|(person, oracle)| {
            let expected = expected(&deed.operation, &deed.row, person, oracle);
            ADMINISTRATORS.contains(&person.name)
                && !expected.contains(&412)
                && !expected.contains(&201)
        })
        .map(|(person, _)| person)
        .collect()
}

/// Sends the same request as these administrators, also with their own city in the query.
async fn replay(conn: &mut PgConnection, deed: &Deed, strangers: &[&Persona]) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = snapshot(conn, deed.operation.resource).await;
    for (at, person) in strangers.iter().enumerate() {
        let answer = deed.send(person).await;
        let title = format!("{} as {}", deed.operation.title(), person.name);
        let references =
            matches!(deed.operation.kind, Kind::Create) && answer.problem() == "invalid-reference";
        if !matches!(answer.status.as_u16(), 403 | 404) && !references {
            wrong.push(format!("{title}: {}", answer.text));
        }
        if at > 0 {
            continue;
        }
        let path = format!("{}?city_id={}", deed.path(), person.me.unwrap_or_default());
        let method = deed.operation.method();
        let answer = person
            .client
            .send(method, &path, deed.body.clone(), deed.headers())
            .await;
        if !matches!(answer.status.as_u16(), 403 | 404 | 422) {
            wrong.push(format!("{title} with a query: {}", answer.text));
        }
    }
    if snapshot(conn, deed.operation.resource).await != before {
        wrong.push(format!("{}: rows have changed", deed.operation.title()));
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_05_an_administrator_of_one_city_has_no_hand_in_another() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let oracles = oracles(&world, &people);
    let administrators: Vec<(&Persona, &Oracle, String)> = people
        .iter()
        .zip(&oracles)
        .filter(|(person, _)| person.class == "cityAdmin")
        .map(|(person, oracle)| (person, oracle, person.scope(&world)))
        .collect();
    let [first, second] = &administrators[..] else {
        panic!("two cities");
    };
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for resource in generated::hooks::RESOURCES {
        let in_city = |row: &&Row, city: &str| {
            text(row, "city_id") == Some(city) || text(row, "id") == Some(city)
        };
        for ((person, oracle, own), (_, _, other)) in [(first, second), (second, first)] {
            let Some(row) = world.rows[rows::id(resource)]
                .iter()
                .find(|row| in_city(row, other))
            else {
                continue;
            };
            tried += 1;
            let before = snapshot(&mut conn, resource).await;
            let mut reaching = Reaching {
                resource,
                person,
                oracle,
                world: &world,
                wrong: &mut wrong,
            };
            reaching.writes(row, own).await;
            reaching.lists(other).await;
            if snapshot(&mut conn, resource).await != before {
                wrong.push(format!("{} of {other}: rows have changed", resource.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried >= 16, "only {tried} entities of two cities");
}

/// An administrator who tries to access rows of another city.
struct Reaching<'a> {
    resource: &'static Resource,
    person: &'a Persona,
    oracle: &'a Oracle<'a>,
    world: &'a World,
    wrong: &'a mut Vec<String>,
}

impl Reaching<'_> {
    /// Tries all writes, also with the caller's own city in the query and in the body.
    async fn writes(&mut self, row: &Row, own: &str) {
        let id = text(row, "id").expect("an id");
        for operation in operations::of(self.resource) {
            let expected = expected(&operation, row, self.person, self.oracle);
            if !operation.mutates() || expected.contains(&201) || expected.contains(&412) {
                continue;
            }
            let body = bodies::body(&operation, row);
            let mut tries = vec![
                (String::new(), body.clone()),
                (format!("?city_id={own}"), body.clone()),
            ];
            // Creating a copy of a foreign row in one's own city is allowed.
            if let (Some(mut moved), false) = (body, matches!(operation.kind, Kind::Create)) {
                moved["city_id"] = json!(own);
                tries.push((String::new(), Some(moved)));
            }
            for (query, body) in tries {
                let path = format!("{}{query}", operation.path(id));
                let sent =
                    self.person
                        .client
                        .send(operation.method(), &path, body, &[("if-match", "*")]);
                let answer = sent.await;
                if !matches!(answer.status.as_u16(), 403 | 404 | 422) {
                    let title = operation.title();
                    self.wrong.push(format!(
                        "{title}{query} as {}: {} {}",
                        self.person.name, answer.status, answer.text
                    ));
                }
            }
        }
    }

    /// Every list that can be filtered by the other city shows exactly the rows that the caller may see.
    async fn lists(&mut self, city: &str) {
        let named = self
            .resource
            .filters
            .iter()
            .any(|filter| filter.param == "city_id");
        if !named {
            return;
        }
        for path in [
            format!("/{}?city_id={city}&limit=100", self.resource.path),
            format!("/cities/{city}/{}?limit=100", self.resource.path),
        ] {
            let answer = self.person.client.get(&path).await;
            for object in answer.json["data"].as_array().into_iter().flatten() {
                let id = object["id"].as_str().expect("an id");
                let row = self
                    .world
                    .row(rows::id(self.resource), id)
                    .expect("a row of the world");
                if text(row, "city_id") != Some(city) || !self.oracle.visible(self.resource, row) {
                    self.wrong
                        .push(format!("GET {path} as {} shows {id}", self.person.name));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_07_a_child_is_not_found_below_another_parent() {
    let server = people::server().await;
    let people = personas(&server).await;
    let mut conn = server.superuser().await;
    let world = rows::world(&mut conn).await;
    let (mut wrong, mut shown) = (Vec::new(), 0);
    for operation in operations::all() {
        let Kind::Nested(_) = operation.kind else {
            continue;
        };
        if let Some(parents) = parents(&world, &operation) {
            for person in people
                .iter()
                .filter(|person| ["platform", "org", "member"].contains(&person.name))
            {
                shown += below(&operation, &parents, person, &mut wrong).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(shown > 100, "only {shown} children");
}

/// The ids of two parents with children, if there are two.
fn parents(world: &World, operation: &Operation) -> Option<[String; 2]> {
    let (child, via) = operation.below()?;
    let name = operation.resource.name;
    let mut ids: Vec<&str> = Vec::new();
    for row in &world.rows[rows::id(child)] {
        let typed = via
            .type_column()
            .is_none_or(|column| text(row, &column) == Some(name));
        match text(row, &via.id_column()) {
            Some(id) if typed && !ids.contains(&id) => ids.push(id),
            _ => {}
        }
        if ids.len() == 2 {
            return Some([ids[0].to_owned(), ids[1].to_owned()]);
        }
    }
    None
}

/// Tests a nested list. Returns how many children of the first parent were visible.
async fn below(
    operation: &Operation,
    [first, second]: &[String; 2],
    person: &Persona,
    wrong: &mut Vec<String>,
) -> usize {
    let (_, via) = operation.below().expect("a nested list");
    let column = via.id_column();
    let path = operation.path(first);
    let page = person.client.get(&format!("{path}?limit=1")).await;
    let children = page.json["data"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if children.iter().any(|child| child[&column] != json!(first)) {
        wrong.push(format!(
            "GET {path} as {} shows children of others",
            person.name
        ));
    }
    // The parent in the path decides: another parent in the query has no effect, and a cursor of its list is not
    // accepted here.
    let other = person
        .client
        .get(&format!("{path}?{column}={second}"))
        .await;
    if other.json["data"]
        .as_array()
        .is_some_and(|data| !data.is_empty())
    {
        wrong.push(format!(
            "GET {path}?{column}=… as {}: {}",
            person.name, other.text
        ));
    }
    if let Some(cursor) = page.json["next_cursor"].as_str() {
        let path = operation.path(second);
        let answer = person
            .client
            .get(&format!("{path}?limit=1&cursor={cursor}"))
            .await;
        if answer.status.is_success() {
            wrong.push(format!(
                "GET {path} as {} takes the cursor of another parent",
                person.name
            ));
        }
    }
    // An existing child below the other parent, and the child's id used as that of a parent.
    for child in children {
        let id = child["id"].as_str().expect("an id");
        for path in [
            format!("{}/{id}", operation.path(second)),
            operation.path(id),
        ] {
            let answer = person.client.get(&path).await;
            if answer.status != 404 && answer.status != 403 {
                wrong.push(format!("GET {path} as {}: {}", person.name, answer.status));
            }
        }
    }
    children.len()
}

/// A hash of all rows of the table, and the number of audit log entries.
async fn snapshot(conn: &mut PgConnection, resource: &Resource) -> (Option<String>, i64) {
    let text = format!(
        "select (select md5(string_agg(md5(t::text), '' order by t.id)) from app.{} t),
                (select count(*) from audit.audit_logs)",
        resource.plural
    );
    sqlx::query_as(AssertSqlSafe(text))
        .fetch_one(conn)
        .await
        .expect("a snapshot")
}
