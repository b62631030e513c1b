//! `expand=allowed_actions`: in a list each object has the actions that it has alone, for whoever asks.

use crate::support::{TestServer, resources};
use server::seed::demo::PEOPLE;
use std::collections::BTreeMap;

/// Rows of one list that are compared.
const ROWS: usize = 6;

#[tokio::test]
async fn lists_show_the_actions_that_objects_show_alone() {
    let server = TestServer::sample().await;
    let mut members = Vec::new();
    for person in [0, 1, 2, 3, 4] {
        members.push(server.sign_in(PEOPLE[person].id).await);
    }
    let clients = [&server.client]
        .into_iter()
        .chain(members.iter().map(|one| &one.client));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for client in clients {
        for resource in resources().values() {
            let path = resource.path;
            let page = client
                .get(&format!("/{path}?limit=30&expand=allowed_actions"))
                .await;
            if !resource.acts {
                assert!(
                    page.status == 422 || page.status == 401 || page.status == 403,
                    "{path}"
                );
                continue;
            }
            let rows = page.json["data"].as_array().into_iter().flatten();
            for row in rows.step_by(30 / ROWS) {
                let id = row["id"].as_str().expect("an id");
                let alone = client.get(&format!("/{path}/{id}")).await.expect(200);
                assert!(row["allowed_actions"].is_array(), "/{path}/{id}");
                assert_eq!(
                    row["allowed_actions"], alone.json["allowed_actions"],
                    "/{path}/{id}"
                );
                *seen.entry(resource.name).or_default() +=
                    usize::from(row["allowed_actions"] != serde_json::json!([]));
            }
            // Without the word a list says nothing of them, and one object says it once.
            let plain = client.get(&format!("/{path}?limit=1")).await;
            let mut plain = plain.json["data"].as_array().into_iter().flatten();
            assert!(
                plain.all(|row| row.get("allowed_actions").is_none()),
                "{path}"
            );
        }
    }
    assert!(
        seen.len() > 15 && seen.values().filter(|one| **one > 0).count() > 12,
        "{seen:?}"
    );
    let event = server.client.get("/events?limit=1").await.json["data"][0]["id"].clone();
    let event = event.as_str().expect("an id");
    let once = server
        .client
        .get(&format!("/events/{event}?expand=allowed_actions"))
        .await
        .expect(200);
    assert_eq!(once.text.matches("allowed_actions").count(), 1);
}
