//! Lists: pages, cursors, filters, counts, nesting.

use crate::support::{World, world};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

async fn many(world: &World) -> (Uuid, String) {
    world.city("Bern").await;
    let (owner, token) = world.user(false).await;
    let statement = "insert into app.things (title, rank, state, owner_id, city_id)
        select 'thing ' || i, i % 4, case when i % 5 = 0 then 'draft' else 'published' end, $1, c.id
        from generate_series(1, 25) i, app.cities c";
    sqlx::query(statement)
        .bind(owner)
        .execute(&world.root)
        .await
        .unwrap();
    (owner, token)
}

fn titles(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["title"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_in_every_order() {
    let world = world().await;
    many(&world).await;
    for order in [
        "",
        "&sort=rank",
        "&sort=-rank",
        "&sort=-title",
        "&sort=id",
        "&sort=-id",
    ] {
        let (mut seen, mut sizes, mut next) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page = world
                .get(&format!("/things?limit=7&count=exact{order}{next}"))
                .send()
                .await;
            assert_eq!(
                (page.status.as_u16(), page.json["count"].as_i64()),
                (200, Some(20)),
                "{:?}",
                page.json
            );
            seen.extend(titles(&page.json));
            sizes.push(page.json["data"].as_array().unwrap().len());
            match page.json["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(sizes, [7, 7, 6], "{order}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 20, "{order}");
        if order == "&sort=-title" {
            assert!(seen.is_sorted_by(|a, b| a > b));
        }
    }
}

/// Claim: counting ends somewhere, and says so.
#[tokio::test]
async fn more_than_ten_thousand_are_not_counted() {
    let world = world().await;
    let (owner, _) = many(&world).await;
    sqlx::query(
        "insert into app.things (title, rank, state, owner_id, city_id)
         select 'one of many ' || i, 7, 'published', $1, c.id from generate_series(1, 10001) i, app.cities c",
    )
    .bind(owner)
    .execute(&world.root)
    .await
    .unwrap();
    for (query, count, exact) in [
        ("rank=7", 10_000, false),
        ("", 10_000, false),
        ("q=many", 10_000, false),
        ("rank=1", 5, true),
        ("q=thing", 20, true),
    ] {
        let page = world
            .get(&format!("/things?limit=1&count=exact&{query}"))
            .send()
            .await;
        assert_eq!(
            (
                page.json["count"].as_i64(),
                page.json["count_is_exact"].as_bool()
            ),
            (Some(count), Some(exact)),
            "{query}: {:?}",
            page.json
        );
    }
}

#[tokio::test]
async fn a_cursor_counts_only_for_its_list_its_order_and_its_caller() {
    let world = world().await;
    let (_, token) = many(&world).await;
    let page = world
        .get("/things?limit=2&sort=rank&state=published")
        .send()
        .await;
    let cursor = page.json["next_cursor"].as_str().unwrap();
    let next = |query: &str| format!("/things?limit=2&{query}&cursor={cursor}");
    assert_eq!(
        world
            .get(&next("state=published&sort=rank"))
            .send()
            .await
            .status,
        200
    );
    let city = page.json["data"][0]["city_id"].as_str().unwrap();
    let forged = "/things?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    for path in [
        next("state=published&sort=-rank"),
        next("state=published"),
        next("sort=rank"),
        next("state=draft&sort=rank"),
        format!("/cities/{city}/things?limit=2&sort=rank&state=published&cursor={cursor}"),
        format!("/cities?cursor={cursor}"),
        forged,
    ] {
        let answer = world.get(&path).send().await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (400, "invalid-cursor"),
            "{path}"
        );
    }
    let answer = world
        .get(&next("state=published&sort=rank"))
        .by(&token)
        .send()
        .await;
    assert_eq!(answer.problem(), "invalid-cursor");
}

#[tokio::test]
async fn what_is_hidden_counts_nowhere() {
    let world = world().await;
    let (_, token) = many(&world).await;
    let count = |answer: crate::support::Answer| answer.json["count"].as_i64().unwrap();
    assert_eq!(
        count(world.get("/things?count=exact&limit=1").send().await),
        20
    );
    assert_eq!(
        count(
            world
                .get("/things?count=exact&limit=1")
                .by(&token)
                .send()
                .await
        ),
        25
    );
    let hidden = world.get("/things?state=draft&count=exact").send().await;
    assert_eq!((titles(&hidden.json).len(), count(hidden)), (0, 0));
}

#[tokio::test]
async fn filters_and_search_narrow_the_list() {
    let world = world().await;
    let (_, token) = many(&world).await;
    let sizes = [
        ("rank=1", 5),
        ("rank.gte=2&rank.lt=3", 5),
        ("state.in=draft,published&limit=100", 20),
        ("q=thing&limit=100", 20),
        ("q=hing%2022", 1),
        ("q=%25", 0),
        ("q=%27)%3Bdrop", 0),
    ];
    for (query, size) in sizes {
        let page = world.get(&format!("/things?{query}")).send().await;
        assert_eq!(titles(&page.json).len(), size, "{query}: {:?}", page.json);
    }
    let own = world
        .get("/things?q=thing&limit=100")
        .by(&token)
        .send()
        .await;
    assert_eq!(
        titles(&own.json).len(),
        25,
        "search finds what is public, and what is the caller's own"
    );
    let wrong = world.get("/things?rank=x&color=red&limit=500").send().await;
    assert_eq!(
        (
            wrong.status.as_u16(),
            wrong.json["errors"].as_array().unwrap().len()
        ),
        (422, 3)
    );
}

#[tokio::test]
async fn a_nested_list_belongs_to_a_parent_that_can_be_seen() {
    let world = world().await;
    many(&world).await;
    let other = world.city("Basel").await;
    let answer = world.get(&format!("/cities/{other}/things")).send().await;
    assert_eq!(
        (answer.status.as_u16(), titles(&answer.json).len()),
        (200, 0)
    );
    for id in [Uuid::now_v7().to_string(), "x".to_owned()] {
        assert_eq!(
            world
                .get(&format!("/cities/{id}/things"))
                .send()
                .await
                .status,
            404
        );
    }
    sqlx::query("update app.cities set status = 'archived'")
        .execute(&world.root)
        .await
        .unwrap();
    assert_eq!(
        world
            .get(&format!("/cities/{other}/things"))
            .send()
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn expanding_a_page_shows_each_target() {
    let world = world().await;
    many(&world).await;
    let page = world.get("/things?expand=city&limit=3").send().await;
    for row in page.json["data"].as_array().unwrap() {
        assert_eq!(row["city"]["name"], "Bern");
    }
}
