//! M1: every amount has a largest value, so that no caller stores one that no card can be charged, that readers of JSON
//! round, or that makes the sums overflow which others read.

use super::{
    market::Market,
    stage::{Stage, keyed},
};
use crate::support::{Database, database::Content, documented, model};
use ::money::Money;
use codegen::model::Ty;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

/// The largest integer that all readers of JSON represent exactly.
const EXACT: i64 = 9_007_199_254_740_991;

/// What holds sums of amounts.
const SUMS: [(&str, &str); 5] = [
    ("revenue_share", "amount_cents"),
    ("wallet_account", "balance_cents"),
    ("wallet_account", "held_cents"),
    ("wallet_transaction", "amount_cents"),
    ("wallet_transaction", "balance_after_cents"),
];

/// The fields of the spec that hold money: table, column, and the largest value.
fn amounts() -> Vec<(&'static str, &'static str, i64)> {
    let mut found = Vec::new();
    for entity in &model().entities {
        for field in &entity.fields {
            let Ty::Money { min, max } = field.ty else {
                continue;
            };
            let is_sum = SUMS.contains(&(entity.name.as_str(), field.name.as_str()));
            let most = if is_sum { EXACT } else { Money::MOST };
            let of = format!("{}.{}", entity.name, field.name);
            assert!(min.is_some_and(|min| min >= -most), "{of}");
            assert!(max.is_some_and(|max| max <= most), "{of}");
            found.push((
                entity.plural.as_str(),
                field.name.as_str(),
                max.unwrap_or(most),
            ));
        }
    }
    found
}

/// By the constraints of the tables, which hold for every writer.
#[tokio::test]
async fn m1_no_writer_stores_more_than_the_largest_amount() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let amounts = amounts();
    assert!(amounts.len() > 60, "{}", amounts.len());
    let mut tried = 0;
    for (table, column, most) in amounts {
        let text = format!(
            "set session_replication_role = replica;
             update app.{table} set {column} = {most} + 1 where ctid = (select min(ctid) from app.{table})"
        );
        let refused = match sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut conn).await {
            // There is no row, or the table is not among those of the sample.
            Ok(done) => {
                assert_eq!(done.rows_affected(), 0, "{table}.{column}");
                None
            }
            Err(error) => {
                let error = error.into_database_error().expect("of the database");
                error.constraint().map(str::to_owned)
            }
        };
        let name = format!("{table}_{column}_range");
        let has_it: bool = sqlx::query_scalar(
            "select exists (select from pg_constraint where conrelid = $1::text::regclass and conname = $2 and convalidated
               and pg_get_constraintdef(oid) like '%' || $3::text || '%')",
        )
        .bind(format!("app.{table}"))
        .bind(&name)
        .bind(most.to_string())
        .fetch_one(&mut conn)
        .await
        .expect("an answer");
        assert!(has_it, "{name}");
        if let Some(refused) = refused {
            // Another check of the row, such as that amounts add up, may be the one that is named.
            assert!(refused.starts_with(table), "{refused}");
            tried += usize::from(refused == name);
        }
    }
    assert!(tried > 20, "{tried}");
}

/// By the document, which also has the bodies of hand-written routes.
#[test]
fn m1_every_amount_in_a_body_has_a_largest_value() {
    let document = documented::document();
    let paths = document["paths"].as_object().expect("paths");
    let mut found = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("methods") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            unbounded(document, body, &format!("{method} {path}"), &mut found);
        }
    }
    assert!(found > 30, "{found}");
    // The control: the bound is what is looked at.
    let body = json!({"properties": {"price_cents": {"type": "integer", "minimum": 0}}});
    let told = std::panic::catch_unwind(|| unbounded(document, &body, "control", &mut 0));
    assert!(told.is_err());
}

fn unbounded(document: &Value, schema: &Value, place: &str, found: &mut usize) {
    for schema in documented::alternatives(document, schema) {
        let properties = schema["properties"].as_object();
        for (name, property) in properties.into_iter().flatten() {
            let place = format!("{place} {name}");
            if name.ends_with("_cents") {
                let most = property["maximum"].as_i64();
                assert!(most.is_some_and(|most| most <= Money::MOST), "{place}");
                assert!(property["minimum"].is_i64(), "{place}");
                *found += 1;
            } else {
                unbounded(document, property, &place, found);
                unbounded(document, &property["items"], &place, found);
            }
        }
    }
}

/// A quote of more than a bigint's sums can hold, a request for such a service, and a commission that no card can pay.
#[tokio::test]
async fn m1_amounts_that_nobody_could_pay_are_refused_with_a_pointer() {
    let stage = Stage::without_provider().await;
    let city = stage.server.city("melbourne").await;
    let too_much = [Money::MOST + 1, i64::MAX];
    for amount in too_much {
        let quote = json!({"lead_id": stage.event, "amount_cents": amount, "currency": "AUD", "terms": "All of it",
            "valid_until": "2041-01-01T00:00:00Z"});
        let refused = stage.olga.client.post("/quotes", quote).await.expect(422);
        assert!(refused.pointers().contains(&"/amount_cents"));
        let budget = json!({"amount_cents": amount, "reference": "Too much"});
        let refused = keyed(&stage.paula, "/wallet/budgets/AUD/fundings", budget).await;
        assert_eq!(refused.expect(422).pointers(), ["/amount_cents"]);
    }
    let rule = |field: &str, amount: i64, currency: &str| {
        let mut body = json!({"type": "ticket", "basis_points": 500, "currency": currency, "scope_type": "city",
            "scope_id": city, "valid_from": "2040-01-01T00:00:00Z"});
        body[field] = json!(amount);
        body
    };
    let paula = &stage.paula.client;
    for (field, amount, currency) in [
        ("fixed_cents", 100_000_000, "AUD"),
        ("min_cents", 100_000_000, "KWD"),
        ("min_cents", 1_000_000, "UGX"),
    ] {
        let refused = paula
            .post("/commission-rules", rule(field, amount, currency))
            .await;
        assert_eq!(refused.expect(422).pointers(), [format!("/{field}")]);
        let stored = format!(
            "insert into app.commission_rules (type, basis_points, {field}, currency, valid_from)
             values ('ticket', 0, {amount}, '{currency}', '2090-01-01')"
        );
        let by_card = format!("commission_rules_{field}_by_card");
        assert_eq!(stage.constraint_against(&stored).await, Some(by_card));
    }
    paula
        .post("/commission-rules", rule("fixed_cents", 99_999_999, "AUD"))
        .await
        .expect(201);
    // A largest commission charges nothing by itself.
    paula
        .post("/commission-rules", rule("max_cents", Money::MOST, "EUR"))
        .await
        .expect(201);
}

/// Cash has no largest charge, but an order is about one amount.
#[tokio::test]
async fn m1_an_order_at_the_door_is_about_one_amount() {
    let stage = Stage::without_provider().await;
    let at_door = json!({"door_only": true});
    let dear = stage
        .tickets_with("Palace", Money::MOST / 4, 100, at_door)
        .await;
    let cart = |quantity: i32| stage.cart(&[(dear, quantity)], false);
    let refused = keyed(&stage.olga, "/door-sales", cart(5)).await.expect(422);
    assert_eq!(refused.pointers(), ["/items"]);
    assert!(
        refused.text.contains("order fewer tickets"),
        "{}",
        refused.text
    );
    for _ in 0..3 {
        keyed(&stage.olga, "/door-sales", cart(4)).await.expect(201);
    }
    let path = format!("/events/{}/sales", stage.event);
    let sales = stage.olga.client.get(&path).await.expect(200).json;
    let paid = &sales["currencies"][0]["paid"];
    assert_eq!(paid["cash_cents"], Money::MOST / 4 * 12);
    stage.sound().await;
}

/// The city's part of a partial refund is a product of two amounts, which rupiah make larger than a bigint.
#[tokio::test]
async fn m1_the_parts_of_a_large_refund_are_computed() {
    let market = Market::new(3).await;
    let id = market.booked(7).await;
    market
        .stage
        .run(format!(
            "set session_replication_role = replica;
             update app.promotions set currency = 'IDR', amount_cents = 70000000000, city_share_cents = 21000000000, state = 'active',
               paid_at = now(), starts_at = now() - interval '30 hours', ends_at = now() + interval '138 hours'
             where id = '{id}'"
        ))
        .await;
    let ended = market.decide(&id, "finish", Some("The show is off")).await;
    ended.expect(200);
    let back: (i64, i64) = sqlx::query_as(
        "select amount_cents, city_share_cents from app.refunds where promotion_id = $1::text::uuid",
    )
    .bind(&id)
    .fetch_one(&mut market.stage.server.superuser().await)
    .await
    .expect("a refund");
    assert_eq!(back, (50_000_000_000, 15_000_000_000));
}
