//! What is bought and sold in the demonstration without a card: tickets at the door and for nothing, refunds in cash, people
//! who are let in, tickets that are offered to others, waiting lists, credits, and services that are asked for and quoted.
//!
//! Nothing is inserted into tables: everything is made through the API, as people would make it. Needs a server that runs,
//! whose worker tells businesses of requests. Does nothing if credits were ever given. What is paid by card is
//! [`trade`](super::trade)'s.

mod door;
mod services;

use super::{api::Api, demo::PEOPLE};
use anyhow::{Context, Result, ensure};
use app::App;
use axum::Router;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::task::JoinSet;

/// In the order of [`PEOPLE`].
const PAULA: usize = 0;
const MIRA: usize = 4;
const PRIYA: usize = 5;

/// Events of a city whose tickets are looked at.
const LOOKED_AT: usize = 16;
/// Of those, events with sales at the door.
const SOLD: usize = 5;
/// Members of a city who take tickets, besides those to sign in as.
const VISITORS: usize = 6;
/// The number of people that an event must have room for.
const ROOM: i64 = 40;
/// The server usually tells businesses within a moment; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

struct Visitor {
    who: usize,
    id: String,
    handle: String,
}

/// Tickets of one type, and who sells them.
struct Offer {
    event: Value,
    kind: String,
    host: usize,
    /// Where everybody who has a ticket is scanned once more, if there is such a place.
    bar: Option<String>,
}

/// What there is in a city.
struct City {
    /// So that not all cities are alike.
    nth: usize,
    id: String,
    currency: String,
    visitors: Vec<Visitor>,
    dear: Vec<Offer>,
    free: Vec<Offer>,
    /// Businesses with the kind of service that they offer, and who answers for them.
    businesses: HashMap<String, (String, usize)>,
}

struct Sales {
    api: Api,
}

/// Whoever looks after things, by the id of the profile.
struct Hosts {
    roles: HashMap<String, String>,
    admitted: HashMap<String, usize>,
}

/// Returns whether anything was made.
pub async fn make(app: &App, router: Router) -> Result<bool> {
    let mut api = Api::of_everybody(app, router).await?;
    let before = api.get(PAULA, "/wallet-journals?limit=1").await?;
    if !super::api::list(&before).is_empty() {
        return Ok(false);
    }
    let cities = cities(app, &mut api).await?;
    let sales = Arc::new(Sales { api });
    sales.credits(&cities).await?;
    let mut running = JoinSet::new();
    for city in cities {
        let sales = sales.clone();
        running.spawn(async move {
            sales.tickets(&city).await?;
            sales.services(&city).await
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(true)
}

async fn cities(app: &App, api: &mut Api) -> Result<Vec<City>> {
    let mut hosts = Hosts::load(api).await?;
    let bars = bars(api).await?;
    let events = api
        .all(PAULA, "/events?state=published&visibility=public")
        .await?;
    let mut by_city: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in events {
        let has_room = event["capacity"].as_i64().is_none_or(|room| room >= ROOM);
        if has_room && hosts.roles.contains_key(text(&event, "host_id")?) {
            let city = text(&event, "city_id")?.to_owned();
            by_city.entry(city).or_default().push(event);
        }
    }
    let mut cities = Vec::new();
    for (id, mut events) in by_city {
        // Those of the people to sign in as first, then those with a bar.
        events.sort_by_key(|event| {
            let id = event["id"].as_str().unwrap_or_default();
            (
                !hosts.is_of_people(event),
                !bars.contains_key(id),
                id.to_owned(),
            )
        });
        events.truncate(LOOKED_AT);
        let mut city = city(app, api, &mut hosts, &bars, id, events).await?;
        city.nth = cities.len();
        cities.push(city);
    }
    ensure!(
        !cities.is_empty(),
        "there are no events with an administrator: seed demo first"
    );
    Ok(cities)
}

/// The bars of events.
async fn bars(api: &Api) -> Result<HashMap<String, String>> {
    let all = api.all(PAULA, "/checkpoints").await?;
    let bars = all.iter().filter(|one| one["name"] == "Bar");
    bars.map(|one| {
        Ok((
            text(one, "event_id")?.to_owned(),
            text(one, "id")?.to_owned(),
        ))
    })
    .collect()
}

async fn city(
    app: &App,
    api: &mut Api,
    hosts: &mut Hosts,
    bars: &HashMap<String, String>,
    id: String,
    events: Vec<Value>,
) -> Result<City> {
    let (mut dear, mut free, mut currency) = (Vec::new(), Vec::new(), String::new());
    for event in events {
        let event_id = text(&event, "id")?.to_owned();
        let kinds = format!("/events/{event_id}/ticket-types?limit=20");
        let kinds = api.get(PAULA, &kinds).await?;
        let kind = super::api::list(&kinds)
            .iter()
            .find(|kind| kind["name"] == "General admission");
        let Some(kind) = kind else { continue };
        currency = text(kind, "currency")?.to_owned();
        let costs_nothing = kind["price_cents"] == 0;
        let offers = if costs_nothing { &mut free } else { &mut dear };
        if !costs_nothing && offers.len() == SOLD {
            continue;
        }
        let host = hosts.admit(app, api, text(&event, "host_id")?).await?;
        offers.push(Offer {
            host,
            bar: bars.get(&event_id).cloned(),
            kind: text(kind, "id")?.to_owned(),
            event,
        });
    }
    let visitors = visitors(app, api, &id).await?;
    let businesses = businesses(app, api, hosts, &id).await?;
    Ok(City {
        nth: 0,
        id,
        currency,
        visitors,
        dear,
        free,
        businesses,
    })
}

/// Members of the city whom others can see, and those to sign in as.
async fn visitors(app: &App, api: &mut Api, city: &str) -> Result<Vec<Visitor>> {
    let path = format!("/users?home_city_id={city}&limit=50");
    let members = api.get(PAULA, &path).await?;
    let mut visitors = Vec::new();
    let public = super::api::list(&members)
        .iter()
        .filter(|one| one["is_public"] == true);
    for member in public.take(VISITORS) {
        let who = api.admit(app, text(member, "email")?).await?;
        visitors.push(visitor(who, member)?);
    }
    for who in [MIRA, PRIYA] {
        let me = api.get(who, "/me").await?;
        if me["home_city_id"] == city {
            visitors.push(visitor(who, &me)?);
        }
    }
    Ok(visitors)
}

fn visitor(who: usize, member: &Value) -> Result<Visitor> {
    Ok(Visitor {
        who,
        id: text(member, "id")?.to_owned(),
        handle: text(member, "handle")?.to_owned(),
    })
}

async fn businesses(
    app: &App,
    api: &mut Api,
    hosts: &mut Hosts,
    city: &str,
) -> Result<HashMap<String, (String, usize)>> {
    let path = format!("/businesses?city_id={city}&state=approved");
    let mut found = HashMap::new();
    for business in api.all(PAULA, &path).await? {
        let id = text(&business, "id")?;
        if hosts.roles.contains_key(id) {
            let who = hosts.admit(app, api, id).await?;
            let category = text(&business, "category")?.to_owned();
            found.insert(id.to_owned(), (category, who));
        }
    }
    Ok(found)
}

impl Hosts {
    async fn load(api: &Api) -> Result<Self> {
        let roles = api
            .all(PAULA, "/role-assignments?role=orgAdmin&state=accepted")
            .await?;
        let mut hosts = Self {
            roles: HashMap::new(),
            admitted: HashMap::new(),
        };
        for role in &roles {
            let (scope, user) = (text(role, "scope_id")?, text(role, "user_id")?);
            // Of several, those to sign in as.
            if person(user).is_some() || !hosts.roles.contains_key(scope) {
                hosts.roles.insert(scope.to_owned(), user.to_owned());
            }
        }
        Ok(hosts)
    }

    fn is_of_people(&self, event: &Value) -> bool {
        let host = event["host_id"].as_str().unwrap_or_default();
        let user = self.roles.get(host);
        user.is_some_and(|user| person(user).is_some())
    }

    async fn admit(&mut self, app: &App, api: &mut Api, profile: &str) -> Result<usize> {
        let user = self.roles.get(profile).context("an administrator")?;
        if let Some(who) = person(user).or_else(|| self.admitted.get(user).copied()) {
            return Ok(who);
        }
        let member = api.get(PAULA, &format!("/users/{user}")).await?;
        let who = api.admit(app, text(&member, "email")?).await?;
        self.admitted.insert(user.clone(), who);
        Ok(who)
    }
}

fn person(user: &str) -> Option<usize> {
    PEOPLE
        .iter()
        .position(|person| person.id.to_string() == user)
}

fn text<'a>(of: &'a Value, name: &str) -> Result<&'a str> {
    let value = of[name].as_str();
    value.with_context(|| format!("{} without {name}", of["object"]))
}

impl Sales {
    /// A budget for each currency, and some who get something out of it.
    async fn credits(&self, cities: &[City]) -> Result<()> {
        let mut funded = Vec::new();
        for city in cities {
            if !funded.contains(&city.currency) {
                let path = format!("/wallet/budgets/{}/fundings", city.currency);
                let body =
                    json!({"amount_cents": 100_000, "reference": "Rewards of the first year"});
                self.api.send(PAULA, &path, body).await?;
                funded.push(city.currency.clone());
            }
            for visitor in city.visitors.iter().take(3) {
                let body = json!({"user_id": visitor.id, "kind": "event_credit", "amount_cents": 500,
                    "currency": city.currency, "reference": "Thank you for helping at the festival"});
                self.api.send(PAULA, "/wallet/credits", body).await?;
            }
        }
        Ok(())
    }
}
