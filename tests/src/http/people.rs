//! The callers of tests: an anonymous one, members of the demonstration, and administrators of another city and
//! organization.

use crate::rules::{
    oracle::{Oracle, text},
    world::{Row, World},
};
use crate::support::{Client, TestServer, database::Content, model, resources};
use kernel::{Actor, Facts, actor::Held};
use server::{seed::demo::PEOPLE, wire::Parts};
use sqlx::AssertSqlSafe;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

pub struct Persona {
    /// The member's name, such as `olga`; for members of another city their role.
    pub name: &'static str,
    /// The kind of caller: the line of the role matrix to which the member belongs.
    pub class: &'static str,
    pub me: Option<Uuid>,
    pub client: Client,
}

/// A server with demonstration data and long time limits, since many requests are sent concurrently, and answers must
/// not depend on the load of the machine.
pub async fn server() -> TestServer {
    server_with(|_| {}).await
}

/// The same with changed parts.
pub async fn server_with(change: impl FnOnce(&mut Parts)) -> TestServer {
    let server = TestServer::start_with(Content::Sample, |parts| {
        // A connection for each core, since every connection has to plan statements itself.
        parts.db.connections = 2;
        parts.db.acquire_timeout = Duration::from_secs(60);
        parts.http.handler_timeout = Duration::from_secs(60);
        change(parts);
    });
    let server = server.await;
    let patience = format!(
        "alter role culturepass_app in database {} set statement_timeout = '60s'",
        server.database.name()
    );
    let mut conn = server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(patience))
        .execute(&mut conn)
        .await
        .expect("patience");
    // The city's administrator pays for the plan of a business that a caller administers, so that payers without a role
    // there are tried, and administrators too.
    let pays = "update app.subscriptions set user_id = $1, business_id = (
        select scope_id from app.role_assignments
        where user_id = any($2) and scope_type = 'business' and state = 'accepted' order by id limit 1)
      where id = (select id from app.subscriptions where user_id is null and state = 'canceled' order by id limit 1)";
    let known: Vec<Uuid> = PEOPLE.iter().map(|person| person.id).collect();
    let paying = sqlx::query(pays)
        .bind(PEOPLE[1].id)
        .bind(known)
        .execute(&mut conn)
        .await
        .expect("a payer");
    assert_eq!(paying.rows_affected(), 1);
    // Waits for the jobs of the sample, so that later only the tested requests change something.
    server.settled().await;
    server
}

pub async fn personas(server: &TestServer) -> Vec<Persona> {
    let mut people = vec![Persona {
        name: "anonymous",
        class: "anonymous",
        me: None,
        client: server.client.clone(),
    }];
    let known = ["platform", "city", "org", "business", "member", "private"];
    let classes = [
        "platformAdmin",
        "cityAdmin",
        "orgAdmin",
        "orgAdmin",
        "signed in",
        "signed in",
    ];
    let mut wanted: Vec<(&str, &str, Uuid)> = Vec::new();
    for ((person, name), class) in PEOPLE.iter().zip(known).zip(classes) {
        wanted.push((name, class, person.id));
    }
    let (city, org) = elsewhere(server).await;
    wanted.push(("city2", "cityAdmin", city));
    wanted.push(("org2", "orgAdmin", org));
    for (name, class, id) in wanted {
        people.push(Persona {
            name,
            class,
            me: Some(id),
            client: server.sign_in(id).await.client,
        });
    }
    people
}

/// Any member of the demonstration.
pub async fn somebody(server: &TestServer, id: Uuid) -> Persona {
    Persona {
        name: "somebody",
        class: "signed in",
        me: Some(id),
        client: server.sign_in(id).await.client,
    }
}

/// What the rules as data allow a caller.
pub fn oracle<'w>(world: &'w World, person: &Persona) -> Oracle<'w> {
    let (facts, now) = (person.facts(world), chrono::Utc::now());
    Oracle::new(model(), resources(), world, person.me, facts, now)
}

/// An administrator of a city that is not Carlo's, and one of an organization there.
async fn elsewhere(server: &TestServer) -> (Uuid, Uuid) {
    let mut conn = server.superuser().await;
    sqlx::query_as(
        "select c.user_id, o.user_id
         from app.role_assignments c
         join app.organizations p on p.city_id = c.scope_id and p.state = 'approved'
         join app.role_assignments o on o.scope_id = p.id and o.role = 'orgAdmin'
         where c.role = 'cityAdmin' and c.scope_id not in
           (select scope_id from app.role_assignments where user_id = $1 and role = 'cityAdmin')
         order by c.user_id, o.user_id limit 1",
    )
    .bind(PEOPLE[1].id)
    .fetch_one(&mut conn)
    .await
    .expect("a second city with an organisation")
}

/// Whether the row is an account or a role of a caller, which would be changed by changing the row.
pub fn is_askers(row: &Row, people: &[Persona]) -> bool {
    let identity = &model().entities[model().identity].name;
    let [id, holder] = ["id".to_owned(), format!("{identity}_id")].map(|column| text(row, &column));
    let mine = people
        .iter()
        .filter_map(|person| person.me)
        .map(|me| me.to_string());
    let mut mine =
        mine.filter(|me| id == Some(me) || holder == Some(me) && row.contains_key("role"));
    mine.next().is_some()
}

impl Persona {
    pub fn actor(&self) -> Actor {
        match self.me {
            None => Actor::Anonymous,
            Some(id) => Actor::User { id, session: None },
        }
    }

    /// The scope of the caller's single role.
    pub fn scope(&self, world: &World) -> String {
        let held = self.facts(world).roles.into_values();
        let scopes = held.filter_map(|held| match held {
            Held::Of(scopes) => scopes.into_iter().next(),
            Held::Everywhere(_) => None,
        });
        scopes.map(|id| id.to_string()).next().expect("a scope")
    }

    /// The caller's roles, read from the rows instead of the database's function.
    pub fn facts(&self, world: &World) -> Facts {
        let Some(me) = self.me else {
            return Facts::default();
        };
        let model = model();
        let me_text = me.to_string();
        let mut roles: BTreeMap<String, Held> = BTreeMap::new();
        for row in &world.rows[model.assignments] {
            if text(row, "user_id") != Some(&me_text) || text(row, "status") != Some("active") {
                continue;
            }
            let role = text(row, "role").expect("a role").to_owned();
            match text(row, "scope_id").map(|id| id.parse::<Uuid>().expect("an id")) {
                None => drop(roles.insert(role, Held::Everywhere(true))),
                Some(scope) => {
                    let held = roles.entry(role).or_insert_with(|| Held::Of([].into()));
                    if let Held::Of(scopes) = held {
                        scopes.insert(scope);
                    }
                }
            }
        }
        Facts {
            user: self.me,
            roles,
        }
    }
}
