//! O7: free places are kept for members on the waiting list, in the order of joining, and for nobody else.

use super::{
    all_faults,
    stage::{Stage, keyed},
};
use crate::support::{Answer, Member};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use uuid::Uuid;

pub(super) async fn join(stage: &Stage, member: &Member, kind: Option<Uuid>) -> Answer {
    let body = json!({"event_id": stage.event, "ticket_type_id": kind});
    member.client.post("/waitlist-entries", body).await
}

pub(super) async fn place(member: &Member, entry: &str) -> Value {
    let path = format!("/waitlist-entries/{entry}/place");
    member.client.get(&path).await.expect(200).json
}

pub(super) async fn people(stage: &Stage, name: &str, count: usize) -> Vec<Member> {
    let mut people = Vec::with_capacity(count);
    for n in 0..count {
        people.push(stage.server.member(&format!("{name}_{n}")).await);
    }
    people
}

pub(super) async fn serve(stage: &Stage) -> i64 {
    let tickets = &stage.server.built.app.modules.tickets;
    tickets.serve_waitlist().await.expect("served")
}

pub(super) async fn run(stage: &Stage, text: String) {
    let mut conn = stage.server.superuser().await;
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut conn)
        .await
        .expect("done");
}

/// Expires an offer without the sweeper having run.
async fn run_out(stage: &Stage, entry: &str) {
    let text = format!(
        "update app.waitlist_entries set offer_expires_at = now() - interval '1 second' where id = '{entry}'"
    );
    run(stage, text).await;
}

pub(super) async fn buy(stage: &Stage, member: &Member, kind: Uuid) -> Answer {
    stage.order(member, &[(kind, 1)], false).await
}

pub(super) async fn raise(stage: &Stage, kind: Uuid, capacity: i32) {
    let path = format!("/ticket-types/{kind}");
    let etag = stage.olga.client.get(&path).await.expect(200).etag();
    let body = json!({"capacity": capacity});
    let raised = stage.olga.client.patch(&path, &etag, body).await;
    raised.expect(200);
}

#[tokio::test]
async fn od4_o7_what_comes_free_is_kept_for_who_came_first() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 2_500, 2).await;
    let [a, b, c, d] = <[Member; 4]>::try_from(people(&stage, "waits", 4).await)
        .unwrap_or_else(|_| panic!("four"));
    let first = buy(&stage, &stage.mira, kind).await.expect(201).id();
    let second = buy(&stage, &stage.mira, kind).await.expect(201).id();
    let mut entries = Vec::new();
    for (n, member) in [&a, &b, &c].into_iter().enumerate() {
        let joined = join(&stage, member, Some(kind)).await.expect(201);
        assert_eq!(joined.json["position"], n + 1);
        entries.push(joined.id());
    }
    join(&stage, &a, Some(kind)).await.expect(409);
    assert_eq!(place(&c, &entries[2]).await["ahead"], 2);
    let others = d
        .client
        .get(&format!("/waitlist-entries/{}/place", entries[0]))
        .await;
    others.expect(404);

    // Cancelling an order offers its place to the first member in the same transaction.
    let cancel = format!("/orders/{first}/cancel");
    keyed(&stage.mira, &cancel, json!({})).await.expect(200);
    let offered = place(&a, &entries[0]).await;
    assert_eq!(
        (&offered["state"], &offered["offered_type_id"]),
        (&json!("offered"), &json!(kind))
    );
    assert!(offered["offer_expires_at"].is_string());
    assert_eq!(place(&c, &entries[2]).await["ahead"], 1);
    assert_eq!(stage.stock(kind).await, (2, 0));
    let refused = buy(&stage, &d, kind).await.expect(409);
    assert_eq!(refused.problem(), "sold-out");
    buy(&stage, &b, kind).await.expect(409);
    stage.sound().await;
    // The order uses the offered place; there is only one.
    stage.order(&a, &[(kind, 2)], false).await.expect(409);
    let order = buy(&stage, &a, kind).await.expect(201).id();
    assert_eq!(place(&a, &entries[0]).await["state"], "taken");
    assert_eq!(stage.stock(kind).await, (2, 0));
    stage.paid(&order).await;
    stage.sound().await;

    // The order isn't paid in time: its place is offered to the second member, who lets the offer expire, and then to
    // the third.
    stage.run_out(&second).await;
    let tickets = &stage.server.built.app.modules.tickets;
    tickets.expire().await.expect("swept");
    assert_eq!(place(&b, &entries[1]).await["state"], "offered");
    run_out(&stage, &entries[1]).await;
    buy(&stage, &b, kind).await.expect(409);
    assert_eq!(serve(&stage).await, 1);
    assert_eq!(place(&b, &entries[1]).await["state"], "expired");
    assert_eq!(place(&c, &entries[2]).await["state"], "offered");
    // Leaving the list passes the offer on; here the place becomes free for everybody.
    let path = format!("/waitlist-entries/{}", entries[2]);
    let etag = c.client.get(&path).await.expect(200).etag();
    let left = [("if-match", etag.as_str())];
    c.client
        .send(reqwest::Method::DELETE, &path, None, &left)
        .await
        .expect(204);
    stage.sound().await;
    buy(&stage, &d, kind).await.expect(201);
    // A refunded ticket goes to members who have joined meanwhile. A member who had an offer may join again.
    let again = join(&stage, &b, Some(kind)).await.expect(201).id();
    let back = format!("/orders/{order}/refunds");
    keyed(&a, &back, json!({"to": "wallet"})).await.expect(201);
    assert_eq!(place(&b, &again).await["state"], "offered");
    assert_eq!(stage.stock(kind).await, (2, 0));
    stage.sound().await;
}

#[tokio::test]
async fn o7_a_raised_capacity_is_not_for_who_comes_by() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1).await;
    let [a, d] = <[Member; 2]>::try_from(people(&stage, "raised", 2).await)
        .unwrap_or_else(|_| panic!("two"));
    buy(&stage, &stage.mira, kind).await.expect(201);
    let entry = join(&stage, &a, None).await.expect(201).id();
    raise(&stage, kind, 2).await;
    // Before any job has run.
    buy(&stage, &d, kind).await.expect(409);
    assert_eq!(serve(&stage).await, 1);
    assert_eq!(place(&a, &entry).await["state"], "offered");
    buy(&stage, &d, kind).await.expect(409);
    buy(&stage, &a, kind).await.expect(201);
    raise(&stage, kind, 3).await;
    buy(&stage, &d, kind).await.expect(201);
    stage.sound().await;
}

#[tokio::test]
async fn o7_an_event_that_is_full_offers_nothing() {
    let stage = Stage::without_provider().await;
    let kinds = [
        stage.tickets("Left", 0, 10).await,
        stage.tickets("Right", 0, 10).await,
    ];
    run(
        &stage,
        format!(
            "update app.events set capacity = 2 where id = '{}'",
            stage.event
        ),
    )
    .await;
    let [a, d] =
        <[Member; 2]>::try_from(people(&stage, "full", 2).await).unwrap_or_else(|_| panic!("two"));
    let first = buy(&stage, &stage.mira, kinds[0]).await.expect(201).id();
    buy(&stage, &stage.mira, kinds[1]).await.expect(201);
    let entry = join(&stage, &a, None).await.expect(201).id();
    assert_eq!(serve(&stage).await, 0);
    let refused = buy(&stage, &d, kinds[1]).await.expect(409);
    assert_eq!(refused.problem(), "sold-out");
    assert_eq!(refused.json["errors"][0]["pointer"], "/items");
    let back = format!("/orders/{first}/refunds");
    keyed(&stage.mira, &back, json!({})).await.expect(201);
    assert_eq!(place(&a, &entry).await["state"], "offered");
    for kind in kinds {
        buy(&stage, &d, kind).await.expect(409);
    }
    buy(&stage, &a, kinds[0]).await.expect(201);
    stage.sound().await;
}

/// Who has as many tickets as one person may have is passed over, and a member has one offer at a time.
#[tokio::test]
async fn o7_a_place_goes_to_who_can_order_it_and_each_member_has_one() {
    let stage = Stage::without_provider().await;
    let kind = stage
        .tickets_with("Seat", 0, 2, json!({"per_user_limit": 1}))
        .await;
    let [a, b, c] = <[Member; 3]>::try_from(people(&stage, "limit", 3).await)
        .unwrap_or_else(|_| panic!("three"));
    buy(&stage, &a, kind).await.expect(201);
    buy(&stage, &stage.mira, kind).await.expect(201);
    let first = join(&stage, &a, Some(kind)).await.expect(201).id();
    let second = join(&stage, &b, Some(kind)).await.expect(201).id();
    let twice = join(&stage, &b, None).await.expect(201).id();
    let third = join(&stage, &c, Some(kind)).await.expect(201).id();
    raise(&stage, kind, 4).await;
    assert_eq!(serve(&stage).await, 2);
    for (member, entry, state) in [
        (&a, &first, "waiting"),
        (&b, &second, "offered"),
        (&b, &twice, "waiting"),
        (&c, &third, "offered"),
    ] {
        assert_eq!(place(member, entry).await["state"], state);
    }
    // More places: neither the member at the limit nor the one who has an offer gets another.
    raise(&stage, kind, 6).await;
    assert_eq!(serve(&stage).await, 0);
    buy(&stage, &b, kind).await.expect(201);
    buy(&stage, &c, kind).await.expect(201);
    stage.sound().await;

    // The negative control: without the limit a place is kept for a member who can't order it.
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.offer_places(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let careless = text.replace("< v_type.per_user_limit", "< 100");
    assert_ne!(careless, text);
    run(&stage, careless).await;
    serve(&stage).await;
    assert_eq!(place(&a, &first).await["state"], "offered");
    buy(&stage, &a, kind).await.expect(409);
}

/// Staff who sell at the door have no tickets by that: they wait like everybody else.
#[tokio::test]
async fn o7_who_sells_at_the_door_is_offered_a_place() {
    let stage = Stage::without_provider().await;
    let kind = stage
        .tickets_with("Seat", 0, 3, json!({"per_user_limit": 1}))
        .await;
    keyed(&stage.olga, "/door-sales", stage.cart(&[(kind, 3)], false))
        .await
        .expect(201);
    let entry = join(&stage, &stage.olga, Some(kind)).await.expect(201).id();
    // The control: counted as her own tickets, they keep her waiting for ever.
    let mut conn = stage.server.superuser().await;
    let text: String = sqlx::query_scalar(
        "select pg_get_functiondef('app.tickets_of_buyer(uuid, uuid)'::regprocedure)",
    )
    .fetch_one(&mut conn)
    .await
    .expect("the function");
    let careless = text
        .replace("and not o.sold_at_door", "")
        .replace("k.buyer_id = p_user", "o.user_id = p_user");
    assert_ne!(careless, text);
    run(&stage, careless).await;
    raise(&stage, kind, 4).await;
    assert_eq!(serve(&stage).await, 0);
    run(&stage, text).await;
    assert_eq!(serve(&stage).await, 1);
    assert_eq!(place(&stage.olga, &entry).await["state"], "offered");
    buy(&stage, &stage.olga, kind).await.expect(201);
    stage.sound().await;
}

#[tokio::test]
async fn o7_nobody_joins_the_list_of_what_has_begun_or_is_off() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1).await;
    let [a, b] =
        <[Member; 2]>::try_from(people(&stage, "late", 2).await).unwrap_or_else(|_| panic!("two"));
    // While tickets are free, joining is no harm.
    join(&stage, &a, Some(kind)).await.expect(201);
    for change in [
        "state = 'cancelled'",
        "state = 'published', starts_at = now() - interval '1 hour'",
    ] {
        run(
            &stage,
            format!(
                "set session_replication_role = replica; update app.events set {change} where id = '{}'",
                stage.event
            ),
        )
        .await;
        let refused = join(&stage, &b, Some(kind)).await.expect(409);
        assert!(
            refused.text.contains("has begun or was cancelled"),
            "{}",
            refused.text
        );
    }
}

/// A free place of the event belongs to the members who wait, whatever ticket type they wait for.
#[tokio::test]
async fn o7_room_of_the_event_is_for_who_waits_for_another_type() {
    let stage = Stage::without_provider().await;
    let (left, right) = (
        stage.tickets("Left", 0, 10).await,
        stage.tickets("Right", 0, 10).await,
    );
    run(
        &stage,
        format!(
            "update app.events set capacity = 2 where id = '{}'",
            stage.event
        ),
    )
    .await;
    let [a, d] =
        <[Member; 2]>::try_from(people(&stage, "room", 2).await).unwrap_or_else(|_| panic!("two"));
    let order = stage.order(&stage.mira, &[(left, 2)], false).await;
    let order = order.expect(201);
    let entry = join(&stage, &a, Some(right)).await.expect(201).id();
    let back = json!({"ticket_ids": [order.json["ticket_ids"][0]]});
    let path = format!("/orders/{}/refunds", order.id());
    keyed(&stage.mira, &path, back).await.expect(201);
    // Nobody waits for the left type, and still it can't be bought: there is one place, offered on the right.
    buy(&stage, &d, left).await.expect(409);
    assert_eq!(serve(&stage).await, 1);
    assert_eq!(place(&a, &entry).await["state"], "offered");
    buy(&stage, &d, left).await.expect(409);
    buy(&stage, &a, right).await.expect(201);
    stage.sound().await;
    // A late payment finds the event full.
    run(
        &stage,
        format!(
            "update app.events set capacity = 3 where id = '{}'",
            stage.event
        ),
    )
    .await;
    let paid_seat = stage.tickets("Paid", 2_500, 5).await;
    let late = buy(&stage, &stage.mira, paid_seat).await.expect(201).id();
    stage.run_out(&late).await;
    let tickets = &stage.server.built.app.modules.tickets;
    tickets.expire().await.expect("swept");
    buy(&stage, &d, left).await.expect(201);
    assert!(matches!(
        stage.paid(&late).await,
        app::tickets::settle::Settled::Owed(_)
    ));
    stage.sound().await;
}

/// Numbers of places, waiting members and other buyers. `O7_FULL=1` uses those of OD4, as `script/soak` does.
fn sizes() -> (i32, usize, usize) {
    match std::env::var_os("O7_FULL") {
        Some(_) => (10, 100, 32),
        None => (8, 24, 6),
    }
}

/// Concurrently, members join, tickets are refunded one by one, and others try to buy. Returns the positions of those
/// who got an offer, and the number of other buyers.
async fn crowd(stage: &Arc<Stage>) -> (Vec<i64>, usize) {
    let (places, waiting, others) = sizes();
    let kind = stage.tickets("Seat", 0, places).await;
    let waiting = people(stage, "crowd", waiting).await;
    let others = people(stage, "passer_by", others).await;
    let order = stage.order(&stage.mira, &[(kind, places)], false).await;
    let order = order.expect(201);
    let joined = join_all(waiting.iter().map(|member| join(stage, member, Some(kind)))).await;
    let mut positions: Vec<i64> = joined
        .iter()
        .map(|answer| answer.json["position"].as_i64().expect("a position"))
        .collect();
    positions.sort_unstable();
    assert_eq!(positions, (1..=waiting.len() as i64).collect::<Vec<_>>());

    let over = Arc::new(AtomicBool::new(false));
    let looks = Arc::new(AtomicUsize::new(0));
    let sampler = {
        let (stage, over, looks) = (stage.clone(), over.clone(), looks.clone());
        tokio::spawn(async move {
            let mut conn = stage.server.superuser().await;
            let mut faults = Vec::new();
            while !over.load(Ordering::Relaxed) {
                faults.extend(all_faults(&mut conn).await);
                looks.fetch_add(1, Ordering::Relaxed);
            }
            faults
        })
    };
    let back = format!("/orders/{}/refunds", order.id());
    let tickets = order.json["ticket_ids"].as_array().expect("tickets");
    let refunds = tickets.iter().map(|ticket| {
        let back = &back;
        async move {
            keyed(&stage.mira, back, json!({"ticket_ids": [ticket]}))
                .await
                .expect(201);
        }
    });
    let looks = &looks;
    let tries = others.iter().map(|member| async move {
        let (mut tried, mut bought) = (0, 0);
        // On a slow machine, continue until the books have been checked a few times.
        while tried < 5 || looks.load(Ordering::Relaxed) <= 3 {
            bought += usize::from(buy(stage, member, kind).await.status == 201);
            tried += 1;
        }
        bought
    });
    let (_, bought, ()) = tokio::join!(join_all(refunds), join_all(tries), async {
        for _ in 0..3 {
            serve(stage).await;
        }
    });
    over.store(true, Ordering::Relaxed);
    assert_eq!(sampler.await.expect("a sampler"), Vec::<String>::new());
    serve(stage).await;
    let offered: Vec<i64> = sqlx::query_scalar(
        "select position from app.waitlist_entries where event_id = $1 and state = 'offered' order by 1",
    )
    .bind(stage.event)
    .fetch_all(&mut stage.server.superuser().await)
    .await
    .expect("entries");
    (offered, bought.into_iter().sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od4_o7_in_a_crowd_the_first_are_served_and_nobody_slips_in() {
    let stage = Arc::new(Stage::without_provider().await);
    let (offered, bought) = crowd(&stage).await;
    assert_eq!(offered, (1..=i64::from(sizes().0)).collect::<Vec<_>>());
    assert_eq!(bought, 0);
    stage.sound().await;
}

/// The negative control: if nothing is offered in the transactions that free and take stock, other buyers are served
/// before those who wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o7_notices_stock_that_is_freed_for_everybody() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 0, 1).await;
    let [a, d] = <[Member; 2]>::try_from(people(&stage, "control", 2).await)
        .unwrap_or_else(|_| panic!("two"));
    let order = buy(&stage, &stage.mira, kind).await.expect(201).id();
    let entry = join(&stage, &a, Some(kind)).await.expect(201).id();
    let mut conn = stage.server.superuser().await;
    let text: String =
        sqlx::query_scalar("select pg_get_functiondef('app.offer_places(uuid)'::regprocedure)")
            .fetch_one(&mut conn)
            .await
            .expect("the function");
    let careless = text.replacen("begin\n", "begin\n  return 0;\n", 1);
    assert_ne!(careless, text);
    run(&stage, careless).await;
    let back = format!("/orders/{order}/refunds");
    keyed(&stage.mira, &back, json!({})).await.expect(201);
    assert_eq!(place(&a, &entry).await["state"], "waiting");
    buy(&stage, &d, kind).await.expect(201);
    // If a place is offered without being held, the view reports it.
    let careless = text.replace(
        "set held = t.held - v_over + cardinality(v_next)",
        "set held = t.held",
    );
    assert_ne!(careless, text);
    run(&stage, careless).await;
    raise(&stage, kind, 2).await;
    assert_eq!(serve(&stage).await, 1);
    let found = all_faults(&mut conn).await;
    assert!(
        found.iter().any(|fault| fault.starts_with("held is not")),
        "{found:?}"
    );
}
