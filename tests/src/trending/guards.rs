//! Guards against manipulation of trending events.

use super::stage::{Stage, array};
use uuid::Uuid;

/// The sum of the weights that count for an event.
async fn weight(stage: &Stage, event: Uuid) -> f64 {
    stage
        .one(format!(
            "select coalesce(sum(weight) filter (where counts), 0)::float8 from app.rank_actions where event_id = '{event}'"
        ))
        .await
}

#[tokio::test]
async fn tr8_one_of_each_kind_per_member_and_event_and_so_many_a_day() {
    let stage = Stage::changed(|parts| parts.modules.trending.trending_actions_a_day = 3).await;
    let events = stage.events(stage.host, 5).await;
    let person = stage.people(1).await[0];
    for event in &events {
        stage.like(person, *event).await;
        stage.rank().await;
    }
    let mut weights = Vec::new();
    for event in &events {
        weights.push(weight(&stage, *event).await);
    }
    assert_eq!(weights, [1.0, 1.0, 1.0, 0.0, 0.0]);
    // Taking an action back makes no room for another.
    stage.unlike(person, events[0]).await;
    stage.rank().await;
    stage.unlike(person, events[4]).await;
    stage.like(person, events[4]).await;
    stage.rank().await;
    assert_eq!(weight(&stage, events[4]).await, 0.0);
    // Actions in a single statement have the same limit.
    let other = stage.people(1).await[0];
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id) select '{other}', e from unnest({}) e",
            array(&events)
        ))
        .await;
    stage.rank().await;
    let counted: f64 = stage
        .one(format!(
            "select sum(weight)::float8 from app.rank_actions where actor_id = '{other}'"
        ))
        .await;
    assert_eq!(counted, 3.0);
    // Views don't use up the limit of other actions.
    let third = stage.people(1).await[0];
    for event in &events {
        stage
            .sql(format!(
                "insert into app.visits (user_id, event_id, kind) values ('{third}', '{event}', 'view')"
            ))
            .await;
    }
    stage.rank().await;
    stage.like(third, events[0]).await;
    stage.rank().await;
    let counted: Vec<String> = stage
        .all(format!(
            "select kind || ' ' || count(*) filter (where weight > 0) from app.rank_actions where actor_id = '{third}' group by kind order by kind"
        ))
        .await;
    assert_eq!(counted, ["like 1", "view 3"]);
    assert_eq!(stage.compare().await, 0);
}

#[tokio::test]
async fn tr8_hosts_new_accounts_and_suspended_ones_weigh_less_or_nothing() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name) values ('{}', 'Choir') returning id",
            stage.city
        ))
        .await;
    let concert: Uuid = stage
        .one(format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, state)
             values ('{}', 'community', '{community}', 'Concert', now() + interval '1 day', now() + interval '2 days', 'UTC', 'published') returning id",
            stage.city
        ))
        .await;
    let people = stage.people(4).await;
    let [admin, moderator, member, suspended] = [0, 1, 2, 3].map(|n| people[n]);
    let newcomer = stage.joined(1, 1).await[0];
    stage
        .sql(format!(
            "insert into app.role_assignments (user_id, role, scope_type, scope_id, state)
             values ('{admin}', 'orgAdmin', 'organization', '{}', 'accepted');
             insert into app.community_members (community_id, user_id, role, state) values
               ('{community}', '{moderator}', 'moderator', 'active'), ('{community}', '{member}', 'member', 'active')",
            stage.host
        ))
        .await;
    stage
        .sql(format!(
            "update app.users set status = 'suspended' where id = '{suspended}'"
        ))
        .await;
    for (person, of, expected) in [
        (admin, event, 0.0),
        (moderator, concert, 0.0),
        // Members of the audience are not staff of the event.
        (member, concert, 1.0),
        (admin, concert, 1.0),
        (suspended, event, 0.0),
        (newcomer, event, 0.2),
    ] {
        let before = weight(&stage, of).await;
        stage.like(person, of).await;
        stage.rank().await;
        assert!(
            (weight(&stage, of).await - before - expected).abs() < 1e-9,
            "{person} {expected}"
        );
    }
    // The action counts again when the account is active again.
    stage
        .sql(format!(
            "update app.users set status = 'active' where id = '{suspended}'"
        ))
        .await;
    stage.rank().await;
    assert!((weight(&stage, event).await - 1.2).abs() < 1e-9);
    assert_eq!(stage.compare().await, 0);
}

/// An event without likes, beside twenty that twelve members each like.
async fn beside_twenty(stage: &Stage) -> Uuid {
    let events = stage.events(stage.host, 20).await;
    let fans = stage.people(12).await;
    for event in &events {
        stage.likes(&fans, *event).await;
    }
    stage.events(stage.host, 1).await[0]
}

/// A thousand accounts on one address like the event at once.
async fn flood(stage: &Stage) -> usize {
    let pushed = beside_twenty(stage).await;
    let crowd = array(&stage.people(1_000).await);
    stage
        .sql(format!(
            "insert into app.sessions (user_id, expires_at, ip_address, created_at)
             select u, now() + interval '1 day', case n % 2 when 0 then '2001:db8:1:2::' || to_hex(n) else '2001:db8:1:2:9::' || to_hex(n) end,
               now() - interval '1 hour' from unnest({crowd}) with ordinality x(u, n);
             insert into app.likes (user_id, event_id) select u, '{pushed}' from unnest({crowd}) u"
        ))
        .await;
    stage.rank().await;
    on_the_first_page(stage, pushed).await
}

async fn on_the_first_page(stage: &Stage, event: Uuid) -> usize {
    let page = stage.trending("").await;
    assert_eq!(page.len(), 20);
    page.iter().filter(|one| **one == event).count()
}

/// A thousand accounts that were created together a year ago, each on its own address, like the event.
async fn awakened(stage: &Stage) -> usize {
    let pushed = beside_twenty(stage).await;
    stage.likes(&stage.cohort(1_000, 365).await, pushed).await;
    stage.rank().await;
    on_the_first_page(stage, pushed).await
}

#[tokio::test]
async fn tr8_a_thousand_accounts_of_one_hour_do_not_make_the_first_page() {
    assert_eq!(awakened(&Stage::new().await).await, 0);
    // The negative control: without the limit they succeed.
    let open =
        Stage::changed(|parts| parts.modules.trending.trending_cohort_an_hour = u16::MAX).await;
    assert_eq!(awakened(&open).await, 1);
}

#[tokio::test]
async fn tr8_a_thousand_likes_from_one_network_do_not_make_the_first_page() {
    assert_eq!(flood(&Stage::new().await).await, 0);
    // The negative control: without the limit they succeed.
    let open =
        Stage::changed(|parts| parts.modules.trending.trending_network_an_hour = u16::MAX).await;
    assert_eq!(flood(&open).await, 1);
    // The network of an action is deleted after a day.
    open.sql("update app.rank_actions set at = at - interval '2 days'")
        .await;
    let trending = &open.server.built.app.modules.trending;
    let located =
        "select count(*) from app.rank_actions where network is not null or cohort is not null";
    assert_eq!(open.one::<i64>(located).await, 1_240);
    assert_eq!(trending.forget().await.expect("forgotten"), 1_240);
    assert_eq!(open.one::<i64>(located).await, 0);
}

#[tokio::test]
async fn tr8_times_to_come_help_nobody() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 2).await;
    let people = stage.people(2).await;
    // Times in the future, of the like or of the event, as if a server's clock were wrong.
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id, created_at) values
               ('{}', '{}', now() + interval '10 years'), ('{}', '{}', now());
             update app.events set created_at = now() + interval '10 years', starts_at = now() + interval '10 years',
               ends_at = now() + interval '11 years' where id = '{}'",
            people[0], events[0], people[1], events[1], events[0]
        ))
        .await;
    stage.rank().await;
    let ranks = stage.ranks().await;
    // The times differ by a few seconds at most, with a half-life of a day.
    assert!(
        (ranks[&events[0]] - ranks[&events[1]]).abs() < 0.01,
        "{ranks:?}"
    );
}
