//! `PUT /events/{id}/view` and `…/share`: reports from front ends count once, with the configured weights.

use super::stage::Stage;
use reqwest::Method;
use uuid::Uuid;

async fn visits(stage: &Stage, event: Uuid) -> i64 {
    stage
        .one(format!(
            "select count(*) from app.visits where event_id = '{event}'"
        ))
        .await
}

#[tokio::test]
async fn tr7_views_and_shares_weigh_what_is_set() {
    let stage = Stage::changed(|parts| {
        let weights = "view:0.5,share:3".parse().expect("weights");
        parts.modules.trending.trending_weights = weights;
        parts.modules.trending.trending_new_account_percent = 100;
    })
    .await;
    let events = stage.events(stage.host, 3).await;
    let [viewed, shared, quiet] = [0, 1, 2].map(|n| events[n]);
    let ana = stage.server.member("ana_looks").await;
    let ben = stage.server.member("ben_looks").await;
    let tell = async |client: &crate::support::Client, event: Uuid, kind: &str| {
        client
            .send(Method::PUT, &format!("/events/{event}/{kind}"), None, &[])
            .await
    };
    for _ in 0..3 {
        tell(&ana.client, viewed, "view").await.expect(204);
        tell(&ana.client, shared, "share").await.expect(204);
    }
    tell(&ben.client, viewed, "view").await.expect(204);
    stage.rank().await;
    let weight = async |event: Uuid| -> f64 {
        stage
            .one(format!(
                "select coalesce(sum(weight), 0)::float8 from app.rank_actions where event_id = '{event}' and counts"
            ))
            .await
    };
    assert_eq!(
        [
            weight(viewed).await,
            weight(shared).await,
            weight(quiet).await
        ],
        [1.0, 3.0, 0.0]
    );
    assert_eq!(stage.trending("").await, [shared, viewed]);
    assert_eq!(stage.compare().await, 0, "ranks agree with the actions");

    // Anonymous callers can't report views, and members only of events that they can see.
    tell(&stage.server.client, viewed, "view").await.expect(401);
    stage
        .sql(format!(
            "update app.events set state = 'draft' where id = '{quiet}'"
        ))
        .await;
    for id in [quiet, Uuid::now_v7()] {
        tell(&ana.client, id, "share").await.expect(404);
    }
    assert_eq!(visits(&stage, quiet).await, 0);
    let file = ana.client.get("/me/export").await.expect(200).json;
    let mine = file["visits"].as_array().expect("visits");
    assert_eq!(mine.len(), 2, "{mine:?}");
    // Views are deleted together with the event's rank, a month after its end.
    stage
        .sql(format!(
            "set session_replication_role = replica; update app.events set starts_at = now() - interval '41 days', ends_at = now() - interval '40 days' where id = '{viewed}'"
        ))
        .await;
    let trending = &stage.server.built.app.modules.trending;
    trending.forget().await.expect("forgotten");
    assert_eq!(
        [visits(&stage, viewed).await, visits(&stage, shared).await],
        [0, 1]
    );
}

#[tokio::test]
async fn tr8_so_many_visits_a_day_are_counted_and_repeats_are_free() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 2).await;
    let ana = stage.server.member("ana_looks").await;
    let tell = async |event: Uuid| {
        ana.client
            .send(Method::PUT, &format!("/events/{event}/view"), None, &[])
            .await
    };
    tell(events[0]).await.expect(204);
    stage
        .sql("update requests.taken set used = 2000 where entity = 'visit'")
        .await;
    let refused = tell(events[1]).await.expect(429);
    assert_eq!(refused.problem(), "quota-exceeded");
    tell(events[0]).await.expect(204);
    assert_eq!(
        visits(&stage, events[1]).await,
        0,
        "a refused report is not stored"
    );
    stage.sql("update requests.taken set day = day - 1").await;
    tell(events[1]).await.expect(204);
}
