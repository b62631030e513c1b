//! OD4: members with priority are offered a place first, and equal ones in the order of joining; members can't set
//! their own priority.

use super::{
    seed,
    stage::{Stage, keyed},
    waitlist::{join, people, place, raise, run, serve},
};
use crate::support::{Answer, Member};
use serde_json::json;
use uuid::Uuid;

async fn prefer(by: &Member, entry: &str, priority: i32) -> Answer {
    let path = format!("/waitlist-entries/{entry}");
    let etag = by.client.get(&path).await.expect(200).etag();
    let body = json!({"priority": priority});
    by.client.patch(&path, &etag, body).await
}

#[tokio::test]
async fn od4_priority_comes_before_who_was_first_and_is_the_hosts_to_give() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let waiting = people(&stage, "preferred", 4).await;
    let mut entries = Vec::new();
    for member in &waiting[..3] {
        entries.push(join(&stage, member, Some(kind)).await.expect(201).id());
    }

    // A member can't set the priority: neither on joining nor later, and an admin can't do so for their own entry.
    let ahead = json!({"event_id": stage.event, "ticket_type_id": kind, "priority": 5});
    let d = &waiting[3].client;
    let refused = d.post("/waitlist-entries", ahead.clone()).await.expect(403);
    assert_eq!(refused.pointers(), ["/priority"]);
    prefer(&waiting[0], &entries[0], 5).await.expect(403);
    let own = join(&stage, &stage.olga, None).await.expect(201).id();
    prefer(&stage.olga, &own, 5).await.expect(403);
    run(
        &stage,
        format!("delete from app.waitlist_entries where id = '{own}'"),
    )
    .await;

    // The host can, within bounds, and nobody else sees it.
    prefer(&stage.olga, &entries[0], 1_001).await.expect(422);
    let changed = prefer(&stage.olga, &entries[2], 10).await.expect(200);
    assert_eq!(changed.json["priority"], 10);
    let path = format!("/waitlist-entries/{}", entries[2]);
    let shown = waiting[2].client.get(&path).await.expect(200).json;
    assert_eq!(shown["position"], 3);
    assert!(shown.get("priority").is_none() && shown.get("turn").is_none());
    for (n, ahead) in [(2, 0), (0, 1), (1, 2)] {
        assert_eq!(place(&waiting[n], &entries[n]).await["ahead"], ahead);
    }

    // Offered in the transaction that frees a place, and by the job.
    let back = format!("/orders/{order}/refunds");
    keyed(&stage.mira, &back, json!({})).await.expect(201);
    assert_eq!(place(&waiting[2], &entries[2]).await["state"], "offered");
    for (n, capacity) in [(0, 2), (1, 3)] {
        assert_eq!(place(&waiting[n], &entries[n]).await["state"], "waiting");
        raise(&stage, kind, capacity).await;
        assert_eq!(serve(&stage).await, 1);
        assert_eq!(place(&waiting[n], &entries[n]).await["state"], "offered");
    }
    stage.sound().await;

    // The negative control: without the guard, members can set their own priority.
    run(
        &stage,
        "drop trigger waitlist_entries_guard_insert on app.waitlist_entries".to_owned(),
    )
    .await;
    d.post("/waitlist-entries", ahead).await.expect(201);
}

/// A priority below that of others is not shaken off by leaving and joining again, be it for another ticket type, and a
/// higher one is lost. The control: without the rule, it is 0 again.
#[tokio::test]
async fn od4_a_low_priority_stays_when_a_member_joins_again() {
    let stage = Stage::without_provider().await;
    let (kind, other) = (
        stage.tickets("Seat", 0, 1).await,
        stage.tickets("Box", 0, 1).await,
    );
    for kind in [kind, other] {
        let sold = stage.order(&stage.mira, &[(kind, 1)], false).await;
        sold.expect(201);
    }
    let waiting = people(&stage, "again", 2).await;
    let priority = async |entry: &str| {
        let path = format!("/waitlist-entries/{entry}");
        stage.olga.client.get(&path).await.expect(200).json["priority"].clone()
    };
    let leave = async |member: &Member, entry: &str| {
        let path = format!("/waitlist-entries/{entry}");
        member.client.delete(&path).await.expect(204);
    };
    for (member, given, kept) in [(&waiting[0], -1_000, -1_000), (&waiting[1], 10, 0)] {
        let entry = join(&stage, member, Some(kind)).await.expect(201).id();
        prefer(&stage.olga, &entry, given).await.expect(200);
        leave(member, &entry).await;
        let elsewhere = join(&stage, member, Some(other)).await.expect(201).id();
        assert_eq!(priority(&elsewhere).await, kept);
        leave(member, &elsewhere).await;
        let again = join(&stage, member, Some(kind)).await.expect(201).id();
        assert_eq!(priority(&again).await, kept);
        // What the host decides later counts.
        for entry in [
            &again,
            &join(&stage, member, Some(other)).await.expect(201).id(),
        ] {
            prefer(&stage.olga, entry, 0).await.expect(200);
            leave(member, entry).await;
        }
        let last = join(&stage, member, Some(kind)).await.expect(201).id();
        assert_eq!(priority(&last).await, 0);
        prefer(&stage.olga, &last, given).await.expect(200);
        leave(member, &last).await;
    }
    run(
        &stage,
        "create or replace function app.waitlist_position() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as
           $$ begin select coalesce(max(w.position), 0) + 1 into new.position from app.waitlist_entries w; return new; end $$"
            .to_owned(),
    )
    .await;
    let entry = join(&stage, &waiting[0], Some(kind)).await.expect(201).id();
    assert_eq!(priority(&entry).await, 0);
}

const WAITING: usize = 15;

/// Members who wait for a sold-out type, some of them with priority: their entries, in the order in which they are
/// due.
async fn line(stage: &Stage, random: &mut fastrand::Rng) -> (Uuid, Vec<Uuid>) {
    let kind = stage.tickets("Seat", 0, 1).await;
    let sold = stage.order(&stage.mira, &[(kind, 1)], false).await;
    sold.expect(201);
    let mut due = Vec::new();
    for member in people(stage, "line", WAITING).await {
        let joined = join(stage, &member, Some(kind)).await.expect(201);
        let entry: Uuid = joined.id().parse().expect("an id");
        // The last one to join gets the highest priority.
        let priority = match due.len() + 1 {
            WAITING => 1_000,
            _ => random.i32(-1..=1),
        };
        prefer(&stage.olga, &joined.id(), priority)
            .await
            .expect(200);
        due.push((-priority, joined.json["position"].as_i64(), entry));
    }
    due.sort_unstable();
    (kind, due.into_iter().map(|(.., entry)| entry).collect())
}

/// Entries with an offer, in any order.
async fn offered(stage: &Stage) -> Vec<Uuid> {
    sqlx::query_scalar(
        "select id from app.waitlist_entries where event_id = $1 and state = 'offered'",
    )
    .bind(stage.event)
    .fetch_all(&mut stage.server.superuser().await)
    .await
    .expect("entries")
}

/// Runs two workers at once, repeatedly. Returns whether the entries with an offer were always the first ones due.
async fn is_kept(stage: &Stage, random: &mut fastrand::Rng) -> bool {
    let (kind, due) = line(stage, random).await;
    let mut places = 0;
    while places < WAITING {
        places = WAITING.min(places + random.usize(1..4));
        // The capacity is raised by one.
        raise(stage, kind, i32::try_from(places + 1).expect("few")).await;
        tokio::join!(serve(stage), serve(stage));
        let (mut found, mut first) = (offered(stage).await, due[..places].to_vec());
        found.sort_unstable();
        first.sort_unstable();
        if found != first {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od4_priority_keeps_its_order_with_two_workers_at_once() {
    let mut random = fastrand::Rng::with_seed(seed());
    let stage = Stage::without_provider().await;
    assert!(is_kept(&stage, &mut random).await);
    stage.sound().await;
}

/// The negative control: offers that follow the position only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od4_priority_that_offers_do_not_follow_is_noticed() {
    let mut random = fastrand::Rng::with_seed(seed());
    let stage = Stage::without_provider().await;
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.offer_places(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let careless = text.replace("order by w.turn, w.id", "order by w.position, w.id");
    assert_ne!(careless, text);
    run(&stage, careless).await;
    assert!(!is_kept(&stage, &mut random).await);
}

/// The next entry is read from an index, however many members wait.
#[tokio::test]
async fn od4_priority_is_in_the_order_of_an_index() {
    let stage = Stage::without_provider().await;
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql("set enable_sort = off; set enable_seqscan = off; set enable_bitmapscan = off")
        .execute(&mut conn)
        .await
        .expect("set");
    let plan: Vec<String> = sqlx::query_scalar(
        "explain (costs off) select w.id from app.waitlist_entries w
         where w.event_id = '019caddd-0f20-7b8e-a1f8-0bd70ae0784c' and w.state = 'waiting' and w.status = 'active' order by w.turn limit 3",
    )
    .fetch_all(&mut conn)
    .await
    .expect("a plan");
    let plan = plan.join("\n");
    assert!(
        plan.contains("waitlist_entries_event_id_state_turn_idx"),
        "{plan}"
    );
    assert!(!plan.contains("Sort"), "{plan}");
}
