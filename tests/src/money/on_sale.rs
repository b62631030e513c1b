//! Until when tickets are sold, and that a price is told only for what can be ordered.

use super::stage::{Stage, keyed};
use serde_json::json;
use sqlx::AssertSqlSafe;

async fn event(stage: &Stage, starts_at: &str, ends_at: &str) {
    stage
        .run(format!(
            "set session_replication_role = replica;
             update app.events set starts_at = now() + interval '{starts_at}', ends_at = now() + interval '{ends_at}'
             where id = '{}'",
            stage.event
        ))
        .await;
}

/// A type without an end of its sale is sold until the event ends; the door sells for another day.
#[tokio::test]
async fn o1_tickets_are_sold_while_the_event_is_under_way() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 0, 50).await;
    let cart = stage.cart(&[(seat, 1)], false);
    for (starts_at, ends_at, online, at_door) in [
        ("-1 hour", "6 days", 201, 201),
        ("-3 hours", "-1 hour", 409, 201),
        ("-30 hours", "-23 hours", 409, 201),
        ("-30 hours", "-25 hours", 409, 409),
        ("-10 days", "-9 days", 409, 409),
    ] {
        event(&stage, starts_at, ends_at).await;
        for (path, status) in [("/orders", online), ("/door-sales", at_door)] {
            let by = match path {
                "/orders" => &stage.mira,
                _ => &stage.olga,
            };
            let answer = keyed(by, path, cart.clone()).await.expect(status);
            if status == 409 {
                assert_eq!(answer.problem(), "not-on-sale", "{path} {ends_at}");
            }
        }
    }
    // An end of the sale that is set ends it before.
    event(&stage, "-1 hour", "6 days").await;
    stage
        .run(format!("set session_replication_role = replica; update app.ticket_types set sales_end = now() - interval '1 minute' where id = '{seat}'"))
        .await;
    let over = keyed(&stage.mira, "/orders", cart).await.expect(409);
    assert_eq!(over.problem(), "not-on-sale");
}

#[tokio::test]
async fn o1_what_has_a_price_can_be_ordered() {
    let stage = Stage::without_provider().await;
    let (seat, balcony) = (
        stage.tickets("Seat", 0, 200).await,
        stage.tickets("Balcony", 0, 200).await,
    );
    let both = async |seats: i32, balconies: i32| {
        let cart = stage.cart(&[(seat, seats), (balcony, balconies)], false);
        let price = keyed(&stage.mira, "/orders/price", cart.clone()).await;
        (price, keyed(&stage.mira, "/orders", cart).await)
    };
    // More than one order is for.
    let (price, order) = both(30, 30).await;
    for answer in [&price, &order] {
        assert_eq!(answer.status, 422, "{}", answer.text);
        assert_eq!(answer.pointers(), ["/items"]);
    }
    // More than the event has room for, although each type has enough.
    stage
        .run(format!(
            "update app.events set capacity = 5 where id = '{}'",
            stage.event
        ))
        .await;
    let (price, order) = both(3, 3).await;
    for answer in [&price, &order] {
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert_eq!(answer.problem(), "sold-out");
        assert!(
            answer.text.contains("has room for 5 more"),
            "{}",
            answer.text
        );
    }
    let (price, order) = both(3, 2).await;
    price.expect(200);
    order.expect(201);
    let (price, order) = both(1, 1).await;
    assert!(price.text.contains("has room for 0 more"), "{}", price.text);
    order.expect(409);
    stage.sound().await;
}

/// What is sold only at the door is in no order online, whatever the module has read before.
#[tokio::test]
async fn o1_no_order_online_has_tickets_of_the_door() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 0, 10).await;
    let at_door = json!({"door_only": true});
    let stool = stage.tickets_with("Stool", 1_000, 10, at_door).await;
    let placed = stage.order(&stage.mira, &[(seat, 1)], false).await;
    let order = placed.expect(201).id();
    let mut module = stage.server.database.job_role().await;
    for is_guarded in [true, false] {
        if !is_guarded {
            // The control.
            stage
                .run("alter table app.order_items disable trigger order_items_at_door")
                .await;
        }
        let text = format!(
            "begin; select sec.enter_job('tickets', null, null, gen_random_uuid());
             insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency)
             values ('{order}', '{stool}', 1, 0, 0, 0, 'AUD')"
        );
        let written = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut module);
        let refused = written.await.err();
        let refused = refused.and_then(|error| {
            let error = error.as_database_error()?;
            error.constraint().map(str::to_owned)
        });
        sqlx::raw_sql("rollback")
            .execute(&mut module)
            .await
            .expect("back");
        let expected = is_guarded.then(|| "order_items_at_door".to_owned());
        assert_eq!(refused, expected);
    }
    keyed(&stage.olga, "/door-sales", stage.cart(&[(stool, 1)], false))
        .await
        .expect(201);
    stage.sound().await;
}
