//! The feed: what followed hosts and venues publish, without what the member may not see.

use super::stage::{Stage, ids, walk};
use uuid::Uuid;

async fn follow(stage: &Stage, member: Uuid, kind: &str, id: Uuid) {
    stage
        .sql(format!(
            "insert into app.follows (follower_id, entity_type, entity_id) values ('{member}', '{kind}', '{id}')"
        ))
        .await;
}

#[tokio::test]
async fn sg6_the_feed_is_what_those_whom_one_follows_publish_newest_first() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_follows").await;
    let (second, third) = (stage.host("Second").await, stage.host("Third").await);
    let venue: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{}', 'organization', '{third}', 'Hall', 'Way 1', 'SRID=4326;POINT(144.9 -37.8)') returning id",
            stage.city
        ))
        .await;
    let mut followed = stage.events(stage.host, 3).await;
    followed.extend(stage.events(second, 3).await);
    let elsewhere = stage.events(third, 2).await;
    // At a followed venue, by a host who isn't followed; events of which both are followed appear once.
    stage
        .sql(format!(
            "update app.events set venue_id = '{venue}' where id in ('{}', '{}')",
            elsewhere[0], followed[0]
        ))
        .await;
    follow(&stage, mira.id, "organization", stage.host).await;
    follow(&stage, mira.id, "organization", second).await;
    follow(&stage, mira.id, "venue", venue).await;
    followed.push(elsewhere[0]);
    followed.sort_unstable_by(|a, b| b.cmp(a));
    let client = &mira.client;
    assert_eq!(
        ids(&client.get("/me/feed").await.expect(200).json),
        followed
    );
    assert_eq!(
        walk(client, "/me/feed?limit=2", async || {}).await,
        followed
    );
    // Events published meanwhile don't shift the pages.
    let during = async || {
        stage.events(second, 1).await;
    };
    assert_eq!(walk(client, "/me/feed?limit=2", during).await, followed);
    stage.server.client.get("/me/feed").await.expect(401);
    client.get("/me/feed?sort=title").await.expect(422);
}

/// The place of an event is when it was published, not when its draft was begun. Publishing it again changes nothing, and
/// neither does an edit.
#[tokio::test]
async fn sg6_a_draft_is_new_when_it_is_published() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_follows").await;
    follow(&stage, mira.id, "organization", stage.host).await;
    let set = async |event: Uuid, sets: &str| {
        let text = format!("update app.events set {sets} where id = '{event}'");
        stage.sql(text).await;
    };
    let draft = stage.events(stage.host, 1).await[0];
    stage
        .sql(format!(
            "set session_replication_role = replica; update app.events set state = 'draft' where id = '{draft}';
             delete from app.event_announcements where event_id = '{draft}'"
        ))
        .await;
    // While it is a draft, another venue or host doesn't announce it.
    set(draft, "ends_at = ends_at + interval '1 hour'").await;
    let mut newest = Vec::new();
    for _ in 0..3 {
        newest.insert(0, stage.events(stage.host, 1).await[0]);
    }
    let feed = async || walk(&mira.client, "/me/feed?limit=2", async || {}).await;
    assert_eq!(feed().await, newest);
    set(draft, "state = 'published'").await;
    newest.insert(0, draft);
    assert_eq!(feed().await, newest);
    // The second is taken back and published again, and the last is edited.
    let (again, edited) = (newest[1], newest[3]);
    set(again, "state = 'draft'").await;
    assert_eq!(feed().await.len(), 3);
    set(again, "state = 'published'").await;
    set(
        edited,
        "title = 'Another', ends_at = ends_at + interval '1 hour'",
    )
    .await;
    assert_eq!(feed().await, newest);
    // A cursor of another list, or of a former version, is refused.
    let page = mira.client.get("/me/feed?limit=2").await.expect(200);
    let cursor = page.json["next_cursor"].as_str().expect("more").to_owned();
    let other = format!("/events/upcoming?city_id={}&cursor={cursor}", stage.city);
    mira.client.get(&other).await.expect(400);
    // The negative control: by the time of creation the draft would come last.
    stage
        .sql("set session_replication_role = replica; update app.event_announcements a set at = e.created_at from app.events e where e.id = a.event_id")
        .await;
    newest.rotate_left(1);
    assert_eq!(feed().await, newest);
}

/// Whoever follows a venue is shown what moves there, and no more what moves away.
#[tokio::test]
async fn sg6_an_event_that_moves_is_in_the_feed_of_its_venue() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_follows").await;
    let mut venues = Vec::new();
    for name in ["Hall", "Cellar"] {
        let venue: Uuid = stage
            .one(format!(
                "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
                 values ('{}', 'organization', '{}', '{name}', 'Way 1', 'SRID=4326;POINT(144.9 -37.8)') returning id",
                stage.city, stage.host
            ))
            .await;
        venues.push(venue);
    }
    follow(&stage, mira.id, "venue", venues[0]).await;
    let event = stage.events(stage.host, 1).await[0];
    for (venue, shown) in [(venues[0], 1), (venues[1], 0), (venues[0], 1)] {
        stage
            .sql(format!(
                "update app.events set venue_id = '{venue}' where id = '{event}'"
            ))
            .await;
        let feed = ids(&mira.client.get("/me/feed").await.expect(200).json);
        assert_eq!(feed.len(), shown);
    }
}

#[tokio::test]
async fn sg6_what_may_not_be_seen_is_in_nobodys_feed() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_follows").await;
    let other = stage.server.member("who_follows_nobody").await;
    let community: Uuid = stage
        .one(format!(
            "insert into app.communities (city_id, name) values ('{}', 'Choir') returning id",
            stage.city
        ))
        .await;
    follow(&stage, mira.id, "community", community).await;
    let made = |title: &str, more: &str| {
        let (names, values) = more.split_once('=').unwrap_or(("visibility", "public"));
        format!(
            "insert into app.events (city_id, host_type, host_id, title, starts_at, ends_at, timezone, {names}{})
             values ('{}', 'community', '{community}', '{title}', now() - interval '2 days', now() + interval '2 days', 'UTC', '{values}'{}) returning id",
            if names == "state" { "" } else { ", state" },
            stage.city,
            if names == "state" { "" } else { ", 'published'" },
        )
    };
    let open: Uuid = stage.one(made("Open", "visibility=public")).await;
    let inner: Uuid = stage.one(made("For members", "visibility=community")).await;
    for hidden in ["visibility=unlisted", "state=draft", "state=cancelled"] {
        stage.one::<Uuid>(made(hidden, hidden)).await;
    }
    let ended: Uuid = stage.one(made("Over", "visibility=public")).await;
    stage
        .sql(format!(
            "update app.events set ends_at = now() - interval '1 hour' where id = '{ended}'"
        ))
        .await;
    let suspended: Uuid = stage.one(made("Suspended", "visibility=public")).await;
    stage
        .sql(format!(
            "update app.events set status = 'suspended' where id = '{suspended}'"
        ))
        .await;
    let feed = async || ids(&mira.client.get("/me/feed").await.expect(200).json);
    assert_eq!(feed().await, [open]);
    stage.sql(format!("insert into app.community_members (community_id, user_id, state) values ('{community}', '{}', 'active')", mira.id)).await;
    assert_eq!(feed().await, [inner, open]);
    // A community that becomes private is visible to its members only; former members see none of its events.
    stage
        .sql(format!(
            "update app.communities set visibility = 'private' where id = '{community}'"
        ))
        .await;
    assert_eq!(feed().await, [inner, open]);
    stage
        .sql(format!(
            "update app.community_members set state = 'banned' where user_id = '{}'",
            mira.id
        ))
        .await;
    assert!(feed().await.is_empty());
    stage
        .sql(format!(
            "update app.communities set visibility = 'public' where id = '{community}'"
        ))
        .await;
    assert_eq!(feed().await, [open]);
    // Nobody sees the feed of others, and after unfollowing, the feed is empty.
    assert!(ids(&other.client.get("/me/feed").await.expect(200).json).is_empty());
    stage
        .sql(format!(
            "update app.follows set status = 'archived' where follower_id = '{}'",
            mira.id
        ))
        .await;
    assert!(feed().await.is_empty());
}

/// For members who follow many, the feed scans the newest events of all: the pages are the same, wherever the scan
/// ends.
#[tokio::test]
async fn sg6_who_follows_many_is_shown_the_same() {
    let stage = Stage::new().await;
    let mira = stage.server.member("mira_who_follows").await;
    let mut all = Vec::new();
    for n in 0..9 {
        let host = stage.host(&format!("Host {n}")).await;
        all.extend(stage.events(host, 4).await);
        if n % 3 > 0 {
            follow(&stage, mira.id, "organization", host).await;
        }
    }
    let venue: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{}', 'organization', '{}', 'Hall', 'Way 1', 'SRID=4326;POINT(144.9 -37.8)') returning id",
            stage.city, stage.host
        ))
        .await;
    follow(&stage, mira.id, "venue", venue).await;
    for id in all.iter().step_by(3) {
        stage
            .sql(format!(
                "update app.events set venue_id = '{venue}' where id = '{id}'"
            ))
            .await;
    }
    for (n, id) in all.iter().enumerate().step_by(5) {
        let hidden = [
            "visibility = 'unlisted'",
            "state = 'draft'",
            "status = 'suspended'",
        ][n % 3];
        stage
            .sql(format!("update app.events set {hidden} where id = '{id}'"))
            .await;
    }
    let shown = async || walk(&mira.client, "/me/feed?limit=4", async || {}).await;
    let merged = shown().await;
    assert!(merged.len() > 15, "{merged:?}");
    let (mut many, mut newest) = (
        "v_many constant int := 500".to_owned(),
        "desc limit 20000".to_owned(),
    );
    for length in [20_000, 17, 5, 1] {
        let (to_many, to_newest) = (
            "v_many constant int := 1".to_owned(),
            format!("desc limit {length}"),
        );
        changed(&stage, &many, &to_many).await;
        changed(&stage, &newest, &to_newest).await;
        assert_eq!(shown().await, merged, "{length}");
        (many, newest) = (to_many, to_newest);
    }
    // The control: without the second way, a scan that ends too early would give incomplete pages.
    changed(&stage, "cardinality(v_page) = p_limit", "true").await;
    assert_ne!(shown().await, merged);
}

/// Replaces a part of the feed's function.
async fn changed(stage: &Stage, from: &str, to: &str) {
    let text: String = stage
        .one("select pg_get_functiondef('app.feed(timestamptz,uuid,int)'::regprocedure)".to_owned())
        .await;
    assert!(text.contains(from), "{text}");
    stage.sql(text.replace(from, to)).await;
}
