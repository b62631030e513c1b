//! The part of the demonstration that is bought and sold without a card: tickets sold at the door and free ones,
//! refunds in cash, check-ins, ticket transfers, waiting lists, credits, service requests and quotes.
//!
//! Everything is made through the API, as members would do it, and not inserted into tables. Needs a running server,
//! whose worker tells businesses of service requests. Does nothing if any credits have been granted before. Payments
//! by card are made by [`trade`](super::trade).

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

/// Indexes into [`PEOPLE`].
const PAULA: usize = 0;
const MIRA: usize = 4;
const PRIYA: usize = 5;

/// The most events of a city that are considered for sales.
const LOOKED_AT: usize = 16;
/// The most events of a city with sales at the door.
const SOLD: usize = 5;
/// The most members of a city who take tickets, the demonstration accounts not counted.
const VISITORS: usize = 6;
/// The number of people that an event must have room for.
const ROOM: i64 = 40;
/// The longest time to wait for the worker to tell businesses of a request. Usually it takes a moment; a busy machine
/// takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

struct Visitor {
    who: usize,
    id: String,
    handle: String,
}

/// A ticket type of an event, and the administrator who sells it.
struct Offer {
    event: Value,
    kind: String,
    host: usize,
    /// The id of the event's checkpoint at the bar, where admitted visitors are scanned again. `None` if the event has
    /// none.
    bar: Option<String>,
}

/// The members, events and businesses of a city that take part.
struct City {
    /// The index of the city, by which cities are made to differ.
    nth: usize,
    id: String,
    currency: String,
    visitors: Vec<Visitor>,
    dear: Vec<Offer>,
    free: Vec<Offer>,
    /// For each business id, the kind of service that it offers and the member who answers for it.
    businesses: HashMap<String, (String, usize)>,
}

struct Sales {
    api: Api,
}

/// Administrators of profiles: their user ids by the id of the profile, and the indexes of those who are signed in.
struct Hosts {
    roles: HashMap<String, String>,
    admitted: HashMap<String, usize>,
}

/// Makes all sales of the demonstration. Returns false, and makes nothing, if they were made before.
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
        // Events of demonstration accounts come first, then events with a bar.
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

/// The ids of the checkpoints at bars, by event id.
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

/// Some public members of the city, and the demonstration accounts that live there.
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
            // A profile may have several administrators; demonstration accounts are preferred.
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
    /// Fills the budget for promotions of each currency, and grants credits to some visitors of each city.
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
