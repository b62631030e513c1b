//! Lists whose order a module determines: rows that the caller may not see change neither the objects of a page nor
//! whether it has a next one, however many of them come before and after.

use super::stage::{Stage, array, ids};
use crate::support::Client;
use serde_json::json;
use uuid::Uuid;

/// More than a few queries would find for one of the pages below.
const HIDDEN: usize = 40;

/// The pages of a list, of this size.
async fn pages(client: &Client, path: &str, limit: usize) -> Vec<Vec<Uuid>> {
    let mut pages = Vec::new();
    let mut next = format!("{path}limit={limit}");
    loop {
        let page = client.get(&next).await.expect(200);
        pages.push(ids(&page.json));
        let Some(cursor) = page.json["next_cursor"].as_str() else {
            return pages;
        };
        next = format!("{path}limit={limit}&cursor={cursor}");
    }
}

/// Whoever sees these rows alone gets them in full pages, and no page after the last one.
async fn shows(client: &Client, path: &str, rows: &[Uuid]) {
    for limit in [1, 2, rows.len(), 100] {
        let wanted: Vec<&[Uuid]> = rows.chunks(limit).collect();
        assert_eq!(
            pages(client, path, limit).await,
            wanted,
            "{path}limit={limit}"
        );
    }
}

async fn hide(stage: &Stage, hosts: &[Uuid]) {
    let hosts = array(hosts);
    stage
        .sql(format!(
            "update app.organizations set state = 'rejected' where id = any({hosts})"
        ))
        .await;
}

#[tokio::test]
async fn tr6_hidden_events_leave_no_gaps_and_no_cursors() {
    let stage = Stage::new().await;
    let hidden = stage.host("Hidden").await;
    let people = stage.people(3).await;
    let mut bands = Vec::new();
    for (host, count, likes) in [(hidden, HIDDEN, 3), (stage.host, 3, 2), (hidden, HIDDEN, 1)] {
        let mut events = stage.events(host, count).await;
        events.sort_unstable();
        for event in &events {
            stage.likes(&people[..likes], *event).await;
        }
        bands.push(events);
    }
    stage.rank().await;
    // What was liked last comes first; here it is also the newest, which comes first in the feed.
    bands[1].reverse();
    let client = &stage.server.client;
    let path = stage.path("&");
    // The control: while everybody sees them, they do fill the pages.
    assert_eq!(pages(client, &path, 1).await.len(), 2 * HIDDEN + 3);
    hide(&stage, &[hidden]).await;
    shows(client, &path, &bands[1]).await;
    shows(client, &stage.path("&variant=scaled&"), &bands[1]).await;

    // The feed of a member who follows both hosts, and the start page.
    let mira = stage.server.member("mira_who_follows").await;
    for host in [hidden, stage.host] {
        stage
            .sql(format!(
                "insert into app.follows (follower_id, entity_type, entity_id) values ('{}', 'organization', '{host}')",
                mira.id
            ))
            .await;
    }
    shows(&mira.client, "/me/feed?", &bands[1]).await;
    let (city, id) = (stage.city, mira.id);
    stage
        .sql(format!(
            "update app.users set home_city_id = '{city}' where id = '{id}'"
        ))
        .await;
    let home = mira.client.get("/me/home").await.expect(200);
    assert_eq!(home.json["trending"], json!(bands[1]));
    assert_eq!(home.json["followed"], json!(bands[1]));
    // Of many more than are looked at together, too.
    let more = stage.events(hidden, 250).await;
    assert_eq!(more.len(), 250);
    shows(&mira.client, "/me/feed?", &bands[1]).await;
}

#[tokio::test]
async fn rt3_hidden_profiles_leave_no_gaps_and_no_cursors() {
    let stage = Stage::new().await;
    let reviewer = stage.people(1).await[0];
    let mut bands = Vec::new();
    for (name, count, rating) in [("Above", HIDDEN, 5), ("Seen", 3, 4), ("Below", HIDDEN, 1)] {
        let hosts: Vec<Uuid> = stage
            .all(format!(
                "insert into app.organizations (city_id, name, state)
                 select '{}', '{name} ' || n, 'approved' from generate_series(1, {count}) n returning id",
                stage.city
            ))
            .await;
        let targets = array(&hosts);
        stage
            .sql(format!(
                "insert into app.reviews (reviewer_id, entity_type, entity_id, rating)
                 select '{reviewer}', 'organization', t, {rating} from unnest({targets}) t"
            ))
            .await;
        bands.push(hosts);
    }
    bands[1].sort_unstable_by(|a, b| b.cmp(a));
    let client = &stage.server.client;
    let path = format!("/organizations/top-rated?city_id={}&", stage.city);
    assert_eq!(pages(client, &path, 1).await.len(), 2 * HIDDEN + 3);
    hide(&stage, &[bands[0].as_slice(), &bands[2]].concat()).await;
    shows(client, &path, &bands[1]).await;
}
