//! Likes and follows, and their counters.

use super::stage::{Stage, array, run, walk};
use crate::support::{Member, locks::until_waiting, root};
use axum::http::Method;
use futures_util::future::join_all;
use serde_json::Value;
use std::fs;
use uuid::Uuid;

async fn put(member: &Member, path: &str) -> (u16, Value) {
    let answer = member.client.send(Method::PUT, path, None, &[]).await;
    (answer.status.as_u16(), answer.json)
}

async fn count(stage: &Stage, event: Uuid) -> (i64, i64) {
    let counted = stage
        .one(format!(
            "select like_count::int8 from counters.events where id = '{event}'"
        ))
        .await;
    let there = stage
        .one(format!(
            "select count(*) from app.likes where event_id = '{event}' and status = 'active'"
        ))
        .await;
    (counted, there)
}

#[tokio::test]
async fn sg1_liking_and_following_may_be_said_twice_and_so_may_ending_it() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let mira = stage.server.member("mira_who_likes").await;
    let other = stage.server.member("who_is_followed").await;
    let venue: Uuid = stage
        .one(format!(
            "insert into app.venues (city_id, owner_type, owner_id, name, address, location)
             values ('{}', 'organization', '{}', 'Hall', 'Way 1', 'SRID=4326;POINT(144.9 -37.8)') returning id",
            stage.city, stage.host
        ))
        .await;
    for (path, name, target) in [
        (format!("/events/{event}/like"), "like", event),
        (
            format!("/organizations/{}/follow", stage.host),
            "follow",
            stage.host,
        ),
        (format!("/venues/{venue}/follow"), "follow", venue),
        (format!("/users/{}/follow", other.id), "follow", other.id),
    ] {
        let (first, made) = put(&mira, &path).await;
        assert_eq!(
            (first, made["object"].as_str()),
            (201, Some(name)),
            "{path}: {made}"
        );
        let (again, there) = put(&mira, &path).await;
        assert_eq!((again, &there["id"]), (200, &made["id"]), "{path}");
        for _ in 0..2 {
            mira.client.delete(&path).await.expect(204);
        }
        let (table, column) = if name == "like" {
            ("likes", "event_id")
        } else {
            ("follows", "entity_id")
        };
        let left: i64 = stage
            .one(format!(
                "select count(*) from app.{table} where {column} = '{target}' and status = 'active'"
            ))
            .await;
        assert_eq!(left, 0, "{path}");
        assert_eq!(put(&mira, &path).await.0, 201, "{path}");
        // The same statuses as those of generated routes.
        assert_eq!(
            stage
                .server
                .client
                .send(Method::PUT, &path, None, &[])
                .await
                .status,
            401
        );
    }
    // Missing and invisible objects are 404; members can't follow themselves.
    let nothing = Uuid::now_v7();
    assert_eq!(put(&mira, &format!("/events/{nothing}/like")).await.0, 404);
    stage
        .sql(format!(
            "update app.events set state = 'draft' where id = '{event}'"
        ))
        .await;
    assert_eq!(put(&other, &format!("/events/{event}/like")).await.0, 404);
    assert_eq!(
        put(&mira, &format!("/users/{}/follow", mira.id)).await.0,
        422
    );
    // Concurrent requests create one row, and all of them succeed.
    let host = stage.host("Another").await;
    let path = format!("/organizations/{host}/follow");
    let answers = join_all((0..8).map(|_| put(&other, &path))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
}

/// The row that a like clashes with is archived before the server looks for it: the request tries again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg1_a_like_that_is_ended_at_the_same_moment_is_made_anew() {
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let mira = stage.server.member("mira_who_likes").await;
    let mut first = stage.server.superuser().await;
    let mut second = stage.server.superuser().await;
    let mut look = stage.server.superuser().await;
    // A like by somebody else's hand, not yet committed: the request waits for it at the unique index.
    run(
        &mut first,
        format!(
            "set session_replication_role = replica; begin;
             insert into app.likes (user_id, event_id) values ('{}', '{event}')",
            mira.id
        ),
    )
    .await;
    let path = format!("/events/{event}/like");
    let (answer, ()) = tokio::join!(put(&mira, &path), async {
        until_waiting(&mut look, "app.likes", 1).await;
        // This one is next in the queue for the table: after the clash, before the server looks for the row.
        let end = run(
            &mut second,
            format!(
                "set session_replication_role = replica; begin; lock table app.likes in access exclusive mode;
                 update app.likes set status = 'archived' where user_id = '{}'; commit",
                mira.id
            ),
        );
        let commit = async {
            until_waiting(&mut look, "app.likes", 2).await;
            run(&mut first, "commit".to_owned()).await;
        };
        tokio::join!(end, commit);
    });
    assert_eq!(answer.0, 201, "{}", answer.1);
    let active = stage
        .one::<i64>(format!(
            "select count(*) from app.likes where event_id = '{event}' and status = 'active'"
        ))
        .await;
    assert_eq!(active, 1);
}

/// Thirty-two clients like and unlike one event at once. `SG2_ROUNDS` sets a greater number of rounds, as
/// `script/soak` does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg2_the_counter_is_what_is_there_after_a_storm() {
    let rounds = std::env::var("SG2_ROUNDS").ok();
    let rounds = rounds.map_or(20, |text| text.parse().expect("a number"));
    let stage = Stage::new().await;
    let event = stage.events(stage.host, 1).await[0];
    let people = stage.people(64).await;
    let storm = people.chunks(2).map(|pair| {
        let (stage, pair) = (&stage, pair.to_vec());
        async move {
            let mut conn = stage.server.superuser().await;
            for round in 0..rounds {
                let person = pair[round % 2];
                let text = match fastrand::bool() {
                    true => format!("insert into app.likes (user_id, event_id) values ('{person}', '{event}') on conflict do nothing"),
                    false => format!("update app.likes set status = 'archived' where user_id = '{person}' and event_id = '{event}' and status = 'active'"),
                };
                run(&mut conn, text).await;
            }
        }
    });
    join_all(storm).await;
    let (counted, there) = count(&stage, event).await;
    assert_eq!(counted, there);
    stage.rank().await;
    let actions: i64 = stage
        .one(format!(
            "select coalesce(max(actions), 0) from app.event_ranks where event_id = '{event}'"
        ))
        .await;
    assert_eq!(actions, there, "the rank counts the same likes");
    assert_eq!(stage.compare().await, 0);
    // The negative control.
    stage
        .sql("alter table app.likes disable trigger likes_count_insert")
        .await;
    let stranger = stage.people(1).await[0];
    stage.like(stranger, event).await;
    let (counted, there) = count(&stage, event).await;
    assert_ne!(counted, there);
}

/// Each counter's strategy is stated in the spec: here `exact` ones, and one with `delta` in the town library
/// (`library::catalogue`). docs/benchmarks.md has the difference in speed.
#[tokio::test]
async fn sg3_liking_writes_no_row_that_others_wait_for_beside_the_counter() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 1).await;
    let people = stage.people(2).await;
    let mut first = stage.server.superuser().await;
    run(&mut first, "begin".to_owned()).await;
    run(
        &mut first,
        format!(
            "insert into app.likes (user_id, event_id) values ('{}', '{}')",
            people[0], events[0]
        ),
    )
    .await;
    // The ranking doesn't wait for the open transaction, and counts what is committed.
    assert_eq!(stage.rank().await, 0);
    run(&mut first, "commit".to_owned()).await;
    assert_eq!(stage.rank().await, 1);
}

#[tokio::test]
async fn sg4_many_likes_in_one_statement_and_a_member_who_goes_are_counted() {
    let stage = Stage::new().await;
    let events = stage.events(stage.host, 100).await;
    let people = stage.people(100).await;
    stage
        .sql(format!(
            "insert into app.likes (user_id, event_id) select u, e from unnest({}) u, unnest({}) e",
            array(&people),
            array(&events)
        ))
        .await;
    assert_eq!(count(&stage, events[7]).await, (100, 100));
    // Other members like events meanwhile: locks are taken in one order, so there is no deadlock.
    let mut gone = stage.server.superuser().await;
    let fans = stage.people(20).await;
    let likes = fans.iter().map(|fan| {
        let (stage, fan, events) = (&stage, *fan, array(&events));
        async move {
            stage
                .sql(format!("insert into app.likes (user_id, event_id) select '{fan}', e from unnest({events}) e order by random()"))
                .await;
        }
    });
    let leave = run(
        &mut gone,
        format!(
            "update app.likes set status = 'archived' where user_id = '{}'",
            people[3]
        ),
    );
    futures_util::future::join(join_all(likes), leave).await;
    for event in [events[0], events[50], events[99]] {
        assert_eq!(count(&stage, event).await, (119, 119));
    }
    stage.rank().await;
    assert_eq!(stage.compare().await, 0);
}

/// Nothing counts row by row: triggers for counters and notes run once per statement.
#[tokio::test]
async fn sg5_counters_are_kept_by_statements_with_transition_tables() {
    let schema = fs::read_to_string(root().join("generated/schema.sql")).expect("the schema");
    let mut found = 0;
    for trigger in schema
        .split("\n\n")
        .filter(|text| text.starts_with("create trigger "))
    {
        let counts = trigger.contains("_count_insert()") || trigger.contains("_count_update()");
        let notes = [
            "app.note_likes()",
            "app.note_follows()",
            "app.note_tickets()",
            "app.note_attendances()",
        ]
        .iter()
        .any(|function| trigger.contains(function));
        if counts || notes {
            found += 1;
            assert!(
                trigger.contains("for each statement")
                    && trigger.contains("referencing new table as added"),
                "{trigger}"
            );
        }
        assert!(
            !trigger.contains("for each row") || !trigger.contains("_count_"),
            "{trigger}"
        );
    }
    assert!(found > 20, "{found}");
    assert!(
        !schema.contains("pg_notify("),
        "no function calls pg_notify"
    );
}

#[tokio::test]
async fn sg8_followers_come_in_pages_and_private_ones_are_not_among_them() {
    let stage = Stage::new().await;
    let followers = stage.people(7).await;
    stage
        .sql(format!(
            "insert into app.follows (follower_id, entity_type, entity_id) select u, 'organization', '{}' from unnest({}) u;
             update app.users set is_public = false where id = '{}'",
            stage.host,
            array(&followers),
            followers[0]
        ))
        .await;
    let path = format!("/organizations/{}/followers?limit=2", stage.host);
    let seen = walk(&stage.server.client, &path, async || {}).await;
    assert_eq!(seen.len(), 6);
    // The lists and counts of a private member are only visible to that member.
    let private = format!("/users/{}", followers[0]);
    for path in [private.clone(), format!("{private}/followers")] {
        stage.server.client.get(&path).await.expect(404);
    }
    let private = format!("{private}/following");
    stage.server.client.get(&private).await.expect(404);
    let mira = stage.server.member("mira_who_looks").await;
    mira.client.get(&private).await.expect(404);
    let own = stage.server.sign_in(followers[0]).await;
    let list = own.client.get(&private).await.expect(200);
    assert_eq!(list.json["data"].as_array().map(Vec::len), Some(1));
}
