//! The list of trending events: its contents, order and paging.

use super::stage::{Stage, ids, walk};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Events of which each has one more like than the next.
async fn ladder(stage: &Stage, host: Uuid, count: usize) -> Vec<Uuid> {
    let (events, people) = (stage.events(host, count).await, stage.people(count).await);
    for (n, event) in events.iter().enumerate() {
        stage.likes(&people[n..], *event).await;
    }
    stage.rank().await;
    events
}

#[tokio::test]
async fn tr6_what_is_over_hidden_or_elsewhere_is_gone_at_once() {
    let stage = Stage::new().await;
    let events = ladder(&stage, stage.host, 8).await;
    assert_eq!(stage.trending("").await, events);
    let set =
        |sets: &str, n: usize| format!("update app.events set {sets} where id = '{}'", events[n]);
    let changes = [
        ("state = 'cancelled'", "state = 'published'"),
        ("status = 'archived'", "status = 'active'"),
        ("status = 'suspended'", "status = 'active'"),
        ("state = 'draft'", "state = 'published'"),
        ("visibility = 'unlisted'", "visibility = 'public'"),
        (
            "starts_at = now() - interval '2 days', ends_at = now() - interval '1 hour'",
            "ends_at = now() + interval '1 day'",
        ),
    ];
    for (n, (gone, back)) in changes.into_iter().enumerate() {
        stage.sql(set(gone, n)).await;
        // No job has run since.
        let left: Vec<Uuid> = events
            .iter()
            .copied()
            .filter(|id| *id != events[n])
            .collect();
        assert_eq!(stage.trending("").await, left, "{gone}");
        stage.sql(set(back, n)).await;
        if gone.contains("archived") {
            stage
                .sql(format!(
                    "update app.likes set status = 'active' where event_id = '{}'",
                    events[n]
                ))
                .await;
            stage.rank().await;
        }
        assert_eq!(stage.trending("").await, events, "{back}");
    }
    // Events of a host that is no longer visible are left out by the access rules, not by the rank.
    stage
        .sql(format!(
            "update app.organizations set state = 'rejected' where id = '{}'",
            stage.host
        ))
        .await;
    assert!(stage.trending("").await.is_empty());
    stage
        .sql(format!(
            "update app.organizations set state = 'approved' where id = '{}'",
            stage.host
        ))
        .await;
    // Another city has other events; the city is required; and parameters are validated.
    let elsewhere = stage.server.city("auckland").await;
    let client = &stage.server.client;
    let page = client
        .get(&format!("/events/trending?city_id={elsewhere}"))
        .await
        .expect(200);
    assert_eq!(
        page.json,
        serde_json::json!({"data": [], "next_cursor": null})
    );
    for wrong in [
        "",
        "?city_id=here",
        "?city_id=00000000-0000-7000-8000-000000000000&variant=cold",
        "?city_id=00000000-0000-7000-8000-000000000000&q=x",
    ] {
        client
            .get(&format!("/events/trending{wrong}"))
            .await
            .expect(422);
    }
    // The objects are the same as in the list of events.
    let one = client
        .get(&format!("/events?id.in={}", events[0]))
        .await
        .expect(200);
    let page = client.get(&stage.path("&limit=1")).await.expect(200);
    assert_eq!(page.json["data"], one.json["data"]);
}

/// An event ends although nobody writes anything: it is gone with the next request.
#[tokio::test]
async fn tr6_what_ends_is_gone_without_a_write() {
    let stage = Stage::new().await;
    let events = ladder(&stage, stage.host, 3).await;
    stage
        .sql(format!(
            "update app.events set starts_at = now() - interval '1 hour', ends_at = now() + interval '3 seconds' where id = '{}'",
            events[0]
        ))
        .await;
    let rows = "select string_agg(ctid::text || xmin::text, ',' order by id) from app.event_ranks";
    let before: String = stage.one(rows).await;
    assert_eq!(stage.trending("").await, events, "it goes on");
    let ended = format!(
        "select ends_at < now() from app.events where id = '{}'",
        events[0]
    );
    while !stage.one::<bool>(ended.clone()).await {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(stage.trending("").await, events[1..]);
    assert_eq!(stage.one::<String>(rows).await, before);
}

/// Invisible events neither leave pages empty nor end the list early.
#[tokio::test]
async fn tr6_pages_are_filled_up_past_what_may_not_be_seen() {
    let stage = Stage::new().await;
    let hidden = stage.host("Hidden").await;
    let top = ladder(&stage, hidden, 12).await;
    let events = ladder(&stage, stage.host, 8).await;
    stage
        .sql(format!(
            "update app.organizations set state = 'rejected' where id = '{hidden}'"
        ))
        .await;
    assert_eq!(stage.trending("&limit=5").await, events[..5]);
    let all = walk(&stage.server.client, &stage.path("&limit=3"), async || {}).await;
    assert_eq!(all, events);
    // An administrator of the host sees them.
    let admin = stage.server.member("who_runs_it").await;
    stage
        .server
        .grant(&admin, "orgAdmin", Some(("organization", hidden)))
        .await;
    let page = admin
        .client
        .get(&stage.path("&limit=100"))
        .await
        .expect(200);
    assert_eq!(ids(&page.json).len(), top.len() + events.len());
}

#[tokio::test]
async fn tr9_one_host_has_so_many_of_the_first_twenty() {
    let stage = Stage::new().await;
    let busy = ladder(&stage, stage.host, 30).await;
    let mut others = Vec::new();
    for n in 0..9 {
        let host = stage.host(&format!("Other {n}")).await;
        others.extend(ladder(&stage, host, 2).await);
    }
    let of_busy = |page: &[Uuid]| page.iter().filter(|id| busy.contains(id)).count();
    // The negative control: without spreading, one host has all places.
    assert_eq!(of_busy(&stage.trending("").await), 20);
    let page = stage.trending("&variant=scaled").await;
    assert_eq!((page.len(), of_busy(&page)), (20, 3));
    assert_eq!(page[..3], busy[..3], "the host's best events come first");
    // No event is missing, and none appears twice.
    let all = walk(
        &stage.server.client,
        &stage.path("&variant=scaled&limit=7"),
        async || {},
    )
    .await;
    assert_eq!(all.len(), busy.len() + others.len());
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    // If the host's best event is cancelled, its fourth moves up.
    stage
        .sql(format!(
            "update app.events set state = 'cancelled' where id = '{}'",
            busy[0]
        ))
        .await;
    stage.rank().await;
    let page = stage.trending("&variant=scaled").await;
    assert_eq!(of_busy(&page), 3);
    assert!(page.contains(&busy[3]));
}

#[tokio::test]
async fn tr11_pages_are_of_one_moment_while_likes_come() {
    let stage = Stage::new().await;
    let events = ladder(&stage, stage.host, 40).await;
    let crowd = stage.people(200).await;
    for variant in ["hot", "scaled"] {
        let path = stage.path(&format!("&limit=6&variant={variant}"));
        let before = walk(&stage.server.client, &path, async || {}).await;
        assert_eq!(before.len(), events.len());
        fastrand::seed(3);
        let disturb = async || {
            // Ranks change several times: the last events overtake the first, others fall.
            for _ in 0..3 {
                let up = fastrand::usize(20..40);
                let from = fastrand::usize(..100);
                let people = super::stage::array(&crowd[from..from + 60]);
                stage.sql(format!("insert into app.likes (user_id, event_id) select u, '{}' from unnest({people}) u on conflict do nothing", events[up])).await;
                let down = fastrand::usize(..20);
                stage.sql(format!("update app.likes set status = 'archived' where event_id = '{0}' and random() < 0.7
                       and user_id <> (select max(user_id::text)::uuid from app.likes where event_id = '{0}' and status = 'active')", events[down])).await;
                stage.rank().await;
            }
        };
        let pages = walk(&stage.server.client, &path, disturb).await;
        assert_eq!(pages, before, "{variant}");
        assert_ne!(
            walk(&stage.server.client, &path, async || {}).await,
            before,
            "the list has changed meanwhile"
        );
    }
    // The negative control: without the stored past ranks, some events appear twice or not at all.
    let path = stage.path("&limit=6");
    let before = walk(&stage.server.client, &path, async || {}).await;
    let forget = async || {
        let up = fastrand::usize(20..40);
        stage.sql(format!("insert into app.likes (user_id, event_id) select id, '{}' from app.users on conflict do nothing", events[up])).await;
        stage
            .sql(format!(
                "update app.likes set status = 'archived' where event_id = '{}'",
                before[0]
            ))
            .await;
        stage.rank().await;
        stage.sql("delete from app.rank_pasts").await;
    };
    assert_ne!(walk(&stage.server.client, &path, forget).await, before);
}

#[tokio::test]
async fn tr11_a_cursor_is_worth_nothing_elsewhere() {
    let stage = Stage::new().await;
    ladder(&stage, stage.host, 5).await;
    let client = &stage.server.client;
    let page = client.get(&stage.path("&limit=2")).await.expect(200);
    let cursor = page.json["next_cursor"].as_str().expect("more");
    for path in [
        format!(
            "/events/trending?city_id={}&limit=2&cursor={cursor}",
            stage.server.city("auckland").await
        ),
        stage.path(&format!("&limit=2&variant=scaled&cursor={cursor}")),
        format!("/events?limit=2&cursor={cursor}"),
        stage.path("&cursor=AAAA"),
    ] {
        assert_eq!(
            client.get(&path).await.expect(400).problem(),
            "invalid-cursor"
        );
    }
}

#[tokio::test]
async fn tr12_who_is_new_is_looked_at_first_where_that_is_wanted() {
    let stage = Stage::changed(|parts| parts.modules.trending.trending_verified_hosts = true).await;
    let events = ladder(&stage, stage.host, 4).await;
    assert!(stage.trending("").await.is_empty());
    // The city verifies the host, as it does for all profiles.
    let carla = stage.server.member("carla_of_the_city").await;
    stage
        .server
        .grant(&carla, "cityAdmin", Some(("city", stage.city)))
        .await;
    let path = format!("/organizations/{}/verify", stage.host);
    carla.client.act(&path).await.expect(200);
    assert_eq!(stage.trending("").await, events);
    // The negative control: with the default setting, they are listed.
    let open = Stage::new().await;
    let events = ladder(&open, open.host, 4).await;
    assert_eq!(open.trending("").await, events);
}
