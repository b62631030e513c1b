//! Search, the map and events with tickets left, by the number of the requirement.

mod boxes;
mod search;
mod upcoming;
mod upcoming_large;

use crate::{support::Client, trending::stage::Stage};
use uuid::Uuid;

/// All errors about a query string, by parameter: `q required`.
async fn told(client: &Client, path: &str) -> Vec<String> {
    let refused = client.get(path).await.expect(422);
    let errors = refused.json["errors"].as_array().expect("errors").iter();
    let mut told: Vec<String> = errors
        .map(|error| {
            let text = |name: &str| error[name].as_str().expect("a text").to_owned();
            format!("{} {}", text("parameter"), text("code"))
        })
        .collect();
    told.sort_unstable();
    told
}

/// A venue of the stage's host; `more` contains further assignments of columns.
async fn venue(stage: &Stage, name: &str, more: &str) -> Uuid {
    let id: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{}', 'organization', '{}', '{name}', 'Way 1', 'SRID=4326;POINT(144.97 -37.8)') returning id",
            stage.city, stage.host
        ))
        .await;
    set(stage, "venues", id, more).await;
    id
}

/// A published event of the stage's host.
async fn event(stage: &Stage, title: &str, more: &str) -> Uuid {
    let id: Uuid = stage
        .one(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
             values ('{}', 'organization', '{}', '{title}', now() + interval '10 days', now() + interval '11 days', 'UTC', 'published') returning id",
            stage.city, stage.host
        ))
        .await;
    set(stage, "events", id, more).await;
    id
}

async fn set(stage: &Stage, table: &str, id: Uuid, more: &str) {
    if !more.is_empty() {
        stage
            .sql(format!("update app.{table} set {more} where id = '{id}'"))
            .await;
    }
}
