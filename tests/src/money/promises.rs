//! What a host may no longer change once buyers rely on it: refused with a pointer by the server, and by the database
//! for every other writer.

use super::stage::{Stage, keyed};
use crate::support::{locks::until_waiting, model};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection};
use std::collections::BTreeMap;

/// Entities that rows of money refer to and whose currency a request may change, with the reason why no sum adds two
/// currencies.
const GUARDED: &[(&str, &str)] = &[
    (
        "ticket_type",
        "the trigger `ticket_types_currency_kept`, tested below",
    ),
    (
        "promo_code",
        "its currency says to which orders it applies; each order stores its discount in its own currency, and reports group by that",
    ),
    (
        "quote",
        "it changes only as a draft; money refers to accepted quotes",
    ),
];

/// Every entity that an amount of money refers to keeps its currency, or is listed above with a reason.
#[test]
fn the_currency_of_what_money_refers_to_is_fixed_or_guarded() {
    let model = model();
    let currency = |entity: &codegen::model::Entity| {
        let field = entity.fields.iter().find(|field| field.name == "currency");
        field.map(|field| field.fixed || field.system)
    };
    let mut changeable = BTreeMap::new();
    // What modules write are amounts that were paid, reserved or refunded.
    let money = model
        .entities
        .iter()
        .filter(|entity| entity.module.is_some());
    for entity in money.filter(|entity| currency(entity).is_some()) {
        for target in entity.belongs.iter().flat_map(|belongs| &belongs.targets) {
            let target = &model.entities[*target];
            let is_updated = target.module.is_none() && target.access.update.is_some();
            if is_updated && currency(target) == Some(false) {
                let names: &mut Vec<&str> = changeable.entry(target.name.as_str()).or_default();
                names.push(&entity.name);
            }
        }
    }
    let known: Vec<&str> = changeable.keys().copied().collect();
    let mut guarded: Vec<&str> = GUARDED.iter().map(|(name, _)| *name).collect();
    guarded.sort_unstable();
    assert_eq!(known, guarded, "{changeable:?}");
}

impl Stage {
    async fn change(&self, kind: impl std::fmt::Display, body: Value) -> crate::support::Answer {
        let path = format!("/ticket-types/{kind}");
        self.olga.client.patch(&path, "*", body).await
    }

    /// Runs a statement as a superuser; the constraint that refuses it.
    pub(super) async fn constraint_against(&self, text: &str) -> Option<String> {
        let mut conn = self.server.superuser().await;
        let done = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await;
        let error = done.err()?;
        Some(kernel::error::violated(&error)?.to_owned())
    }
}

#[tokio::test]
async fn a_ticket_type_keeps_its_currency_once_it_was_ordered() {
    let stage = Stage::new().await;
    let seat = stage.tickets("Seat", 2_500, 10).await;
    let euros = json!({"currency": "EUR", "price_cents": 700});
    stage.change(seat, euros.clone()).await.expect(200);
    stage
        .change(seat, json!({"currency": "AUD"}))
        .await
        .expect(200);
    let order = stage.order(&stage.mira, &[(seat, 1)], false).await;
    let order = order.expect(201).id();
    let set = format!("update app.ticket_types set currency = 'EUR' where id = '{seat}'");
    let kept = Some("ticket_types_currency_kept".to_owned());
    // While it is held, and also once the order is over: a late payment would still buy in the old currency.
    for _ in 0..2 {
        let refused = stage.change(seat, euros.clone()).await.expect(409);
        assert_eq!(refused.pointers(), ["/currency"]);
        assert_eq!(stage.constraint_against(&set).await, kept);
        let _ = keyed(&stage.mira, &format!("/orders/{order}/cancel"), json!({})).await;
    }
    // Everything else may change, and the same currency is no change.
    let body = json!({"currency": "AUD", "price_cents": 3_000});
    stage.change(seat, body).await.expect(200);
    // Strangers learn nothing of it.
    let path = format!("/ticket-types/{seat}");
    let stranger = stage.mira.client.patch(&path, "*", euros).await;
    assert!(stranger.expect(403).pointers().is_empty());
    stage.sound().await;
}

/// Control: without the trigger the database takes the other currency.
#[tokio::test]
async fn without_its_trigger_a_sold_ticket_type_changes_its_currency() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let order = stage.order(&stage.mira, &[(free, 1)], false).await;
    order.expect(201);
    let set = format!(
        "alter table app.ticket_types disable trigger ticket_types_currency_kept;
         update app.ticket_types set currency = 'EUR' where id = '{free}'"
    );
    assert_eq!(stage.constraint_against(&set).await, None);
}

/// An order that was priced before the currency changed is priced again.
#[tokio::test]
async fn an_order_during_a_change_of_currency_is_in_the_new_one() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let mut watch = stage.server.superuser().await;
    let mut host = stage.server.superuser().await;
    let mut changing = host.begin().await.expect("a transaction");
    let set = format!("update app.ticket_types set currency = 'NZD' where id = '{free}'");
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(&mut *changing)
        .await
        .expect("changed");
    let items = [(free, 1)];
    let order = stage.order(&stage.mira, &items, false);
    let finish = async {
        until_waiting(&mut watch, "app.ticket_types", 1).await;
        changing.commit().await.expect("committed");
    };
    let (order, ()) = tokio::join!(order, finish);
    assert_eq!(order.expect(201).json["currency"], "NZD");
    let figures = format!("/events/{}/sales", stage.event);
    let figures = stage.olga.client.get(&figures).await.expect(200).json;
    assert_eq!(figures["currencies"][0]["currency"], "NZD");
    stage.sound().await;
}

#[tokio::test]
async fn buyers_keep_the_time_in_which_they_may_give_tickets_back() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    // Before anybody has one it may be anything.
    for until in [json!(null), json!("2041-04-30T18:00:00Z")] {
        let body = json!({"refundable_until": until});
        stage.change(free, body).await.expect(200);
    }
    let order = stage.order(&stage.mira, &[(free, 1)], false).await;
    let order = order.expect(201).id();
    for until in [json!(null), json!("2041-04-30T17:59:59Z")] {
        let refused = stage.change(free, json!({"refundable_until": until})).await;
        let refused = refused.expect(409);
        assert_eq!(refused.pointers(), ["/refundable_until"]);
    }
    let set = format!("update app.ticket_types set refundable_until = null where id = '{free}'");
    let kept = Some("ticket_types_refundable_until_kept".to_owned());
    assert_eq!(stage.constraint_against(&set).await, kept);
    // The same time, and a later one.
    for until in ["2041-04-30T18:00:00Z", "2041-05-01T18:00:00Z"] {
        let body = json!({"refundable_until": until, "name": "Gratis"});
        stage.change(free, body).await.expect(200);
    }
    let path = format!("/orders/{order}/refunds");
    keyed(&stage.mira, &path, json!({})).await.expect(201);
    // Nobody has one any more.
    let body = json!({"refundable_until": null});
    stage.change(free, body).await.expect(200);
    stage.sound().await;
}

/// Control: without the trigger the database forgets the right of buyers.
#[tokio::test]
async fn without_its_trigger_the_right_of_return_ends_early() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let order = stage.order(&stage.mira, &[(free, 1)], false).await;
    order.expect(201);
    let set = format!(
        "alter table app.ticket_types disable trigger ticket_types_refundable_until_kept;
         update app.ticket_types set refundable_until = null where id = '{free}'"
    );
    assert_eq!(stage.constraint_against(&set).await, None);
}

#[tokio::test]
async fn an_event_keeps_room_for_what_is_held_and_sold() {
    let stage = Stage::without_provider().await;
    let (free, seat) = (
        stage.tickets("Free", 0, 10).await,
        stage.tickets("Seat", 2_500, 10).await,
    );
    for kind in [free, seat] {
        let order = stage.order(&stage.mira, &[(kind, 2)], false).await;
        order.expect(201);
    }
    assert_eq!(
        [stage.stock(free).await, stage.stock(seat).await],
        [(0, 2), (2, 0)]
    );
    let path = format!("/events/{}", stage.event);
    let capacity = async |capacity: Value| {
        let body = json!({"capacity": capacity});
        stage.olga.client.patch(&path, "*", body).await
    };
    // From none and from a higher one.
    for before in [json!(null), json!(7)] {
        capacity(before).await.expect(200);
        let refused = capacity(json!(3)).await.expect(409);
        assert_eq!(refused.problem(), "invalid-state");
        assert_eq!(refused.pointers(), ["/capacity"]);
        let set = format!(
            "update app.events set capacity = 3 where id = '{}'",
            stage.event
        );
        let taken = Some("events_capacity_taken".to_owned());
        assert_eq!(stage.constraint_against(&set).await, taken);
    }
    capacity(json!(4)).await.expect(200);
    stage.sound().await;
    // Control: without the trigger the view finds it.
    let set = format!(
        "alter table app.events disable trigger events_capacity_taken;
         update app.events set capacity = 3 where id = '{}'",
        stage.event
    );
    assert_eq!(stage.constraint_against(&set).await, None);
    let faults = super::all_faults(stage.server.superuser().await.looking()).await;
    assert_eq!(
        faults,
        [format!(
            "more taken than the event has room for event {}",
            stage.event
        )]
    );
}

/// Orders that are placed while the capacity is lowered count.
#[tokio::test]
async fn an_order_meets_the_capacity_that_is_set_at_the_same_moment() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let mut watch = stage.server.superuser().await;
    let mut host = stage.server.superuser().await;
    let mut lowering = host.begin().await.expect("a transaction");
    let set = format!(
        "update app.events set capacity = 1 where id = '{}'",
        stage.event
    );
    sqlx::raw_sql(AssertSqlSafe(set))
        .execute(&mut *lowering)
        .await
        .expect("lowered");
    let items = [(free, 2)];
    let order = stage.order(&stage.mira, &items, false);
    let finish = async {
        until_waiting(&mut watch, "app.ticket_types", 1).await;
        lowering.commit().await.expect("committed");
    };
    let (order, ()) = tokio::join!(order, finish);
    assert_eq!(order.expect(409).problem(), "sold-out");
    assert_eq!(stage.stock(free).await, (0, 0));
    stage.sound().await;
}

/// Tickets that are taken after the hook of the event has looked: the trigger refuses the capacity, the request runs
/// again, and its hook says why. (Without that it was 422, and named no field.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capacity_that_meets_an_order_is_refused_with_the_reason() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let mut watch = stage.server.superuser().await;
    let mut buyer = stage.server.superuser().await;
    let mut taking = buyer.begin().await.expect("a transaction");
    let hold = format!("update app.ticket_types set held = 2 where id = '{free}'");
    sqlx::raw_sql(AssertSqlSafe(hold))
        .execute(&mut *taking)
        .await
        .expect("held");
    let path = format!("/events/{}", stage.event);
    let lowered = stage.olga.client.patch(&path, "*", json!({"capacity": 1}));
    let finish = async {
        until_waiting(&mut watch, "app.ticket_types", 1).await;
        taking.commit().await.expect("committed");
    };
    let (lowered, ()) = tokio::join!(lowered, finish);
    let refused = lowered.expect(409);
    assert_eq!(refused.problem(), "invalid-state");
    assert_eq!(refused.pointers(), ["/capacity"]);
}

/// Two orders of two types that wait for the transaction that gives the event its first capacity: the second one counts
/// the tickets of the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orders_meet_the_first_capacity_of_an_event() {
    for is_kept in [true, false] {
        let stage = Stage::without_provider().await;
        if !is_kept {
            // The control: nobody looks whether the event has got a capacity meanwhile.
            let text = stage.function("app.hold_tickets(uuid)").await;
            let careless = text.replace("not v_order.is_limited and exists", "false and exists");
            assert_ne!(careless, text);
            stage.run(careless).await;
        }
        let seat = stage.tickets("Seat", 2_500, 10).await;
        let stool = stage.tickets("Stool", 2_500, 10).await;
        // Both orders reach their end before either is committed.
        let mut gate = stage.server.superuser().await;
        let at_the_end =
            "create function public.wait_at_gate() returns trigger language plpgsql as $$
             begin perform pg_catalog.pg_advisory_xact_lock_shared(4711); return null; end $$;
             create constraint trigger gate after insert on app.orders deferrable initially deferred
               for each row execute function public.wait_at_gate();
             select pg_advisory_lock(4711)";
        sqlx::raw_sql(at_the_end)
            .execute(&mut gate)
            .await
            .expect("a gate");
        let mut watch = stage.server.superuser().await;
        let mut host = stage.server.superuser().await;
        let mut limiting = host.begin().await.expect("a transaction");
        let set = format!(
            "update app.events set capacity = 1 where id = '{}'",
            stage.event
        );
        sqlx::raw_sql(AssertSqlSafe(set))
            .execute(&mut *limiting)
            .await
            .expect("limited");
        let (seats, stools) = ([(seat, 1)], [(stool, 1)]);
        let finish = async {
            until_waiting(&mut watch, "app.order_items", 2).await;
            limiting.commit().await.expect("committed");
            // One at the gate, and the other there or behind it.
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
            while stage.number(waiting).await < 2 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            sqlx::raw_sql("select pg_advisory_unlock(4711)")
                .execute(&mut gate)
                .await
                .expect("open");
        };
        let (one, other, ()) = tokio::join!(
            stage.order(&stage.mira, &seats, false),
            stage.order(&stage.olga, &stools, false),
            finish
        );
        let mut told = [one.status.as_u16(), other.status.as_u16()];
        told.sort_unstable();
        let faults = super::all_faults(stage.server.superuser().await.looking()).await;
        if is_kept {
            assert_eq!((told, faults), ([201, 409], Vec::new()));
        } else {
            assert_eq!((told, faults.len()), ([201, 201], 1), "{faults:?}");
        }
    }
}

#[tokio::test]
async fn an_event_with_guests_is_not_moved_into_the_past() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let path = format!("/events/{}", stage.event);
    let now = chrono::Utc::now();
    let at = |hours: i64| json!(now + chrono::TimeDelta::hours(hours));
    let moved = async |starts_at: Value, ends_at: Value| {
        let body = json!({"starts_at": starts_at, "ends_at": ends_at});
        stage.olga.client.patch(&path, "*", body).await
    };
    // Nobody has a ticket yet.
    moved(at(-5), at(-2)).await.expect(200);
    moved(at(5), at(8)).await.expect(200);
    let order = stage.order(&stage.mira, &[(free, 1)], false).await;
    order.expect(201);
    let refused = moved(at(-5), at(-2)).await.expect(409);
    assert_eq!(refused.pointers(), ["/starts_at", "/ends_at"]);
    let refused = moved(at(-5), at(8)).await.expect(409);
    assert_eq!(refused.pointers(), ["/starts_at"]);
    moved(at(6), at(9)).await.expect(200);
    // Earlier than before at less than a day's notice: guests could not hear of it in time.
    for hours in [5, 30, 20] {
        let earlier = moved(at(hours), at(33)).await;
        if hours == 30 {
            earlier.expect(200);
        } else {
            assert_eq!(earlier.expect(409).pointers(), ["/starts_at"]);
        }
    }
    moved(at(26), at(33)).await.expect(200);
    // What has begun may last longer, and its beginning is no change.
    stage
        .run(format!(
            "update app.events set starts_at = now() - interval '2 hours', ends_at = now() + interval '1 hour' where id = '{}'",
            stage.event
        ))
        .await;
    let shown = stage.olga.client.get(&path).await.expect(200).json;
    moved(shown["starts_at"].clone(), at(3)).await.expect(200);
    let refused = moved(shown["starts_at"].clone(), at(-1)).await;
    assert_eq!(refused.expect(409).pointers(), ["/ends_at"]);
    stage.sound().await;
}

/// The database refuses it as well, and its trigger is what does.
#[tokio::test]
async fn the_database_keeps_events_with_guests_ahead() {
    let stage = Stage::without_provider().await;
    let free = stage.tickets("Free", 0, 10).await;
    let order = stage.order(&stage.mira, &[(free, 1)], false).await;
    order.expect(201);
    // As the request role sees the row, whatever its policies say.
    let set = |disable: &str, time: &str| {
        format!(
            "{disable}
             alter table app.events disable trigger events_guard;
             alter table app.events disable row level security;
             set role culturepass_app;
             update app.events set starts_at = {time}, ends_at = {time} + interval '1 hour' where id = '{}'",
            stage.event
        )
    };
    let ahead = Some("events_moved_ahead".to_owned());
    for time in ["timestamptz '2020-01-01'", "now() + interval '23 hours'"] {
        assert_eq!(stage.constraint_against(&set("", time)).await, ahead);
    }
    let notice = "now() + interval '25 hours'";
    assert_eq!(stage.constraint_against(&set("", notice)).await, None);
    let off = "alter table app.events disable trigger events_moved_ahead;";
    let past = "timestamptz '2020-01-01'";
    assert_eq!(stage.constraint_against(&set(off, past)).await, None);
}
