//! Prices, promo codes and commissions from which no order can be priced are refused when they are set, by every writer,
//! and not when somebody wants to buy.

use super::stage::{Stage, keyed};
use crate::support::{Answer, database::Content};
use ::money::{Currency, card};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// What the database and the crate `money` know about currencies is the same. Metals, codes for tests and units of account
/// are no currencies that people pay in.
#[tokio::test]
async fn p5_the_database_knows_in_which_currencies_people_pay() {
    let database = crate::support::Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let others = "CLF UYW XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX";
    let known = Currency::all();
    let known = known
        .iter()
        .map(|currency| (currency.code(), true, card::is_charged(*currency)));
    for (code, paid, charged) in known.chain(others.split(' ').map(|code| (code, false, false))) {
        let text = "select sec.is_currency($1), sec.is_currency($1) and app.is_charged_in($1)";
        let found: (bool, bool) = sqlx::query_as(text)
            .bind(code)
            .fetch_one(&mut conn)
            .await
            .expect("an answer");
        assert_eq!(found, (paid, charged), "{code}");
    }
}

#[tokio::test]
async fn p5_no_writer_stores_what_no_order_can_be_priced_from() {
    let database = crate::support::Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    // Another guard, which refuses another currency for tickets that were ordered.
    sqlx::raw_sql("alter table app.ticket_types disable trigger ticket_types_currency_kept")
        .execute(&mut conn)
        .await
        .expect("off");
    for (table, column) in [
        ("ticket_types", "price_cents"),
        ("promo_codes", "amount_cents"),
        ("commission_rules", "fixed_cents"),
        ("commission_rules", "min_cents"),
        ("commission_rules", "max_cents"),
        ("commission_proposals", "fixed_cents"),
        ("commission_proposals", "min_cents"),
        ("commission_proposals", "max_cents"),
    ] {
        let in_steps = format!("{table}_{column}_in_steps");
        let format = format!("{table}_currency_format");
        // What the row has in other columns may not be in steps of another currency.
        let others = match column {
            "min_cents" | "max_cents" => ", fixed_cents = 0",
            _ => "",
        };
        for (amount, currency, refuses) in [
            (1_235, "KWD", Some(&in_steps)),
            (1_240, "KWD", None),
            (1_235, "AUD", None),
            (1_050, "MGA", Some(&in_steps)),
            (1_000, "XTS", Some(&format)),
        ] {
            let text = format!(
                "update app.{table} set {column} = {amount}, currency = '{currency}'{others}
                 where id = (select min(id::text)::uuid from app.{table})"
            );
            let refused = sqlx::raw_sql(AssertSqlSafe(format!("begin; {text}; rollback")))
                .execute(&mut conn)
                .await
                .err()
                .and_then(|error| Some(error.as_database_error()?.constraint()?.to_owned()));
            sqlx::raw_sql("rollback")
                .execute(&mut conn)
                .await
                .expect("back");
            let by_this = refused.filter(|found| *found == in_steps || *found == format);
            assert_eq!(by_this.as_ref(), refuses, "{text}");
        }
    }
}

#[tokio::test]
async fn p5_what_no_order_can_be_priced_from_is_refused_with_a_pointer() {
    let stage = Stage::without_provider().await;
    let (olga, paula) = (&stage.olga.client, &stage.paula.client);
    let refused = |answer: Answer, pointer: &str| {
        assert_eq!(answer.expect(422).pointers(), [pointer]);
    };
    let kind = |price: i64, currency: &str, door_only: bool| {
        json!({"event_id": stage.event, "name": format!("{currency} {price} {door_only}"), "price_cents": price,
            "currency": currency, "capacity": 10, "door_only": door_only})
    };
    for (price, currency, door_only, pointer) in [
        (1_235, "KWD", false, "/price_cents"),
        (1_235, "KWD", true, "/price_cents"),
        (1_000, "ISK", false, "/currency"),
        (1_000, "UGX", false, "/currency"),
        (1_000, "MGA", false, "/currency"),
        (1_000, "IRR", false, "/currency"),
        (1_000, "XTS", true, "/currency"),
        (0, "XXX", false, "/currency"),
        (100_000_000, "AUD", false, "/price_cents"),
        (1_000_000_000_000, "IDR", false, "/price_cents"),
    ] {
        let body = kind(price, currency, door_only);
        refused(olga.post("/ticket-types", body).await, pointer);
    }
    // A million rupiah are sixty dollars, and cash has no largest charge.
    for (price, currency, door_only) in [
        (250_000_000, "IDR", false),
        (99_999_999, "AUD", false),
        (100_000_000, "AUD", true),
    ] {
        let body = kind(price, currency, door_only);
        olga.post("/ticket-types", body).await.expect(201);
    }
    let stored = |price: i64, door_only: bool| {
        format!(
            "update app.ticket_types set door_only = {door_only}, price_cents = {price}
             where event_id = '{}' and currency = 'AUD' and price_cents = 99999999",
            stage.event
        )
    };
    let by_card = Some("ticket_types_price_cents_by_card".to_owned());
    assert_eq!(
        stage.constraint_against(&stored(100_000_000, false)).await,
        by_card
    );
    assert_eq!(
        stage.constraint_against(&stored(100_000_000, true)).await,
        None
    );
    // Cash is taken in every currency, and what is free needs no card.
    olga.post("/ticket-types", kind(0, "ISK", false))
        .await
        .expect(201);
    let cash = olga.post("/ticket-types", kind(1_000, "ISK", true)).await;
    let cash = format!("/ticket-types/{}", cash.expect(201).id());
    let online = json!({"door_only": false});
    refused(olga.patch(&cash, "*", online).await, "/currency");
    let fine = json!({"currency": "KWD", "price_cents": 1_001});
    refused(olga.patch(&cash, "*", fine).await, "/price_cents");

    olga.post("/ticket-types", kind(1_000, "KWD", false))
        .await
        .expect(201);
    let code = |cents: i64| json!({"event_id": stage.event, "code": format!("OFF{cents}"), "amount_cents": cents, "currency": "KWD"});
    refused(olga.post("/promo-codes", code(5)).await, "/amount_cents");
    let made = olga.post("/promo-codes", code(50)).await.expect(201).id();
    let change = json!({"amount_cents": 55});
    let path = format!("/promo-codes/{made}");
    refused(olga.patch(&path, "*", change).await, "/amount_cents");

    let city = stage.server.city("melbourne").await;
    let rule = |cents: i64, currency: &str| {
        json!({"type": "ticket", "basis_points": 500, "fixed_cents": cents, "currency": currency,
            "scope_type": "city", "scope_id": city, "valid_from": "2040-01-01T00:00:00Z"})
    };
    refused(
        paula.post("/commission-rules", rule(7, "KWD")).await,
        "/fixed_cents",
    );
    refused(
        paula.post("/commission-rules", rule(10, "XTS")).await,
        "/currency",
    );
    let made = paula.post("/commission-rules", rule(10, "LYD")).await;
    let path = format!("/commission-rules/{}", made.expect(201).id());
    for field in ["fixed_cents", "min_cents", "max_cents"] {
        let change: Value = json!({field: 1_003});
        refused(paula.patch(&path, "*", change).await, &format!("/{field}"));
    }
    let carlo = stage.server.sign_in(server::seed::demo::PEOPLE[1].id).await;
    let proposal = json!({"type": "ticket", "basis_points": 500, "fixed_cents": 3, "currency": "KWD", "city_id": city,
        "reason": "Less for all", "valid_from": "2040-01-01T00:00:00Z"});
    let proposed = carlo.client.post("/commission-proposals", proposal).await;
    refused(proposed, "/fixed_cents");
}

/// A row from before the guards: nothing is held for what can't be paid, and who has to change something is told.
#[tokio::test]
async fn p5_an_order_that_no_card_can_pay_is_refused_before_it_holds_tickets() {
    let stage = Stage::without_provider().await;
    let seat = stage.tickets("Seat", 1_000, 10).await;
    let cart = stage.cart(&[(seat, 1)], false);
    let refused = async |change: &str, says: &str| {
        let text = format!("set session_replication_role = replica; {change}");
        stage.run(text).await;
        for path in ["/orders/price", "/orders"] {
            let answer = keyed(&stage.mira, path, cart.clone()).await.expect(409);
            assert_eq!(answer.problem(), "not-on-sale", "{path}");
            assert!(answer.text.contains(says), "{path}: {}", answer.text);
        }
        assert_eq!(stage.stock(seat).await, (0, 0));
    };
    let isk = "insert into app.commission_rules (type, basis_points, currency, valid_from)
         select 'ticket', 500, c, '2026-01-01' from unnest('{ISK,KWD}'::text[]) c
         where not exists (select from app.commission_rules r where r.type = 'ticket' and r.currency = c and r.scope_id is null);
         update app.ticket_types set currency = 'ISK'";
    refused(isk, "Cards can't be charged in ISK").await;
    refused(
        "update app.ticket_types set currency = 'KWD'; update app.commission_rules set fixed_cents = 7 where currency = 'KWD'",
        "The platform has to change it",
    )
    .await;
}
