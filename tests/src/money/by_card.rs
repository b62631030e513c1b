//! Amounts that end as a charge of a card: what no card can be charged is refused when it is set, by every writer.

use super::{fees::Deal, stage::Stage};
use crate::support::{database::Content, is_new, model};
use codegen::model::Ty;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::BTreeSet, fs, path::Path};

/// Columns that are charged as they are, or multiplied first.
const CHARGED: [(&str, &str, Least); 5] = [
    ("plan", "price_cents", Least::Whole),
    ("featured_place", "day_price_cents", Least::Part),
    ("promotion", "amount_cents", Least::Whole),
    ("quote", "fee_cents", Least::Whole),
    ("order", "card_cents", Least::Whole),
];

#[derive(Clone, Copy, PartialEq)]
enum Least {
    /// At least the smallest charge.
    Whole,
    /// It may be less, since it is multiplied first.
    Part,
}

/// Columns that are no charge of a card, and why not.
const OTHERS: [(&str, &[&str]); 10] = [
    (
        "bounds of a fee, which is capped where it is computed",
        &[
            "commission_rule.fixed_cents",
            "commission_rule.min_cents",
            "commission_rule.max_cents",
            "commission_proposal.fixed_cents",
            "commission_proposal.min_cents",
            "commission_proposal.max_cents",
        ],
    ),
    (
        "a part of an order, whose part for the card is checked when it is priced; cash and credits have no bounds",
        &[
            "order.subtotal_cents",
            "order.discount_cents",
            "order.fee_cents",
            "order.amount_cents",
            "order.wallet_cents",
            "order.cash_cents",
            "order_item.unit_price_cents",
            "order_item.subtotal_cents",
            "order_item.discount_cents",
            "order_item.total_cents",
            "ticket.paid_cents",
            "ticket_type.price_cents",
            "promo_code.amount_cents",
        ],
    ),
    (
        "how a charge is divided",
        &[
            "order.platform_fee_cents",
            "order.city_share_cents",
            "order.organizer_cents",
            "order.application_fee_cents",
            "order.top_up_cents",
            "promotion.city_share_cents",
            "quote.fee_city_share_cents",
            "transaction.application_fee_cents",
            "transaction.city_share_cents",
            "revenue_share.amount_cents",
            "share_return.amount_cents",
        ],
    ),
    (
        "what has gone back of a charge",
        &[
            "order.refunded_cents",
            "order.refunded_card_cents",
            "transaction.refunded_cents",
            "refund.amount_cents",
            "refund.card_cents",
            "refund.wallet_cents",
            "refund.cash_cents",
            "refund.organizer_cents",
            "refund.platform_fee_cents",
            "refund.city_share_cents",
            "refund.withheld_cents",
        ],
    ),
    (
        "that of an order, a promotion or a fee, or what the service says that it has taken",
        &["transaction.amount_cents"],
    ),
    (
        "that of its plan when it was begun, or what the service says that it bills",
        &["subscription.amount_cents"],
    ),
    ("what a bank says", &["dispute.amount_cents"]),
    (
        "sent to accounts of hosts and cities",
        &["transfer.amount_cents"],
    ),
    (
        "credits",
        &[
            "wallet_account.balance_cents",
            "wallet_account.held_cents",
            "wallet_credit.amount_cents",
            "wallet_credit.remaining_cents",
            "wallet_credit_use.amount_cents",
            "wallet_credit_use.returned_cents",
            "wallet_hold.amount_cents",
            "wallet_transaction.amount_cents",
            "wallet_transaction.balance_after_cents",
        ],
    ),
    (
        "said between members, and paid outside of the platform",
        &[
            "grant_announcement.amount_cents",
            "lead.budget_cents",
            "service_request.budget_cents",
            "quote.amount_cents",
        ],
    ),
];

/// The files that have the provider charge somebody. What they charge is among the columns above.
const CHARGING: [&str; 4] = [
    "payments/pay.rs",
    "payments/subscriptions.rs",
    "payments/subscriptions/change.rs",
    "payments/subscriptions/pay.rs",
];

#[test]
fn p5_every_amount_of_money_is_said_to_be_charged_or_not() {
    let known: BTreeSet<String> = CHARGED
        .iter()
        .map(|(entity, field, _)| format!("{entity}.{field}"))
        .chain(
            OTHERS
                .iter()
                .flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned())),
        )
        .collect();
    // Nothing is written by hand for a new entity, so nothing charges what it says.
    let entities = model().entities.iter().filter(|entity| !is_new(entity));
    let all: BTreeSet<String> = entities
        .flat_map(|entity| {
            let money = entity.fields.iter();
            let money = money.filter(|field| matches!(field.ty, Ty::Money { .. }));
            money.map(|field| format!("{}.{}", entity.name, field.name))
        })
        .collect();
    assert_eq!(known, all, "add the column to one of the lists");
    let count: usize = OTHERS.iter().map(|(_, names)| names.len()).sum();
    assert_eq!(count + CHARGED.len(), all.len(), "a column is listed twice");
}

#[test]
fn p5_only_these_files_charge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/app/src");
    let calls = [
        ".create_payment(",
        ".create_price(",
        ".create_subscription(",
        ".change_plan(",
        ".pay_invoice(",
    ];
    let mut found = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            if calls.iter().any(|call| text.contains(call)) {
                let name = path.strip_prefix(&root).expect("inside");
                found.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    let expected: BTreeSet<String> = CHARGING.map(str::to_owned).into();
    assert_eq!(found, expected);
}

/// The constraint that refuses this amount in a row of the table, if any does.
async fn refused(
    conn: &mut PgConnection,
    table: &str,
    column: &str,
    amount: i64,
    currency: &str,
) -> Option<String> {
    let mut transaction = conn.begin().await.expect("a transaction");
    let text = format!(
        "update app.{table} set {column} = $1, currency = $2 where id = (select min(id::text)::uuid from app.{table})"
    );
    let written = sqlx::query(AssertSqlSafe(text))
        .bind(amount)
        .bind(currency)
        .execute(&mut *transaction)
        .await;
    let refused = match written {
        Ok(done) => {
            assert_eq!(done.rows_affected(), 1, "a row of {table}");
            None
        }
        Err(error) => {
            let error = error.as_database_error().expect("of the database");
            error.constraint().map(str::to_owned)
        }
    };
    transaction.rollback().await.expect("back");
    refused
}

#[tokio::test]
async fn p5_no_writer_stores_what_no_card_can_be_charged() {
    let database = crate::support::Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    for (entity, column, least) in CHARGED {
        let (_, entity) = model().entity(entity).expect("an entity");
        let table = entity.plural.as_str();
        let by_card = format!("{table}_{column}_by_card");
        let below = least == Least::Whole;
        let tries = [
            (100_000_000, "AUD", true),
            (i64::MAX, "AUD", true),
            (99_999_999, "AUD", false),
            (49, "AUD", below),
            (50, "AUD", false),
            (1_005, "KWD", true),
            (1_010, "KWD", false),
            (299, "SEK", below),
            (1_000_000, "ISK", true),
        ];
        for (amount, currency, is_refused) in tries {
            let found = refused(&mut conn, table, column, amount, currency).await;
            let by_this = found.as_ref() == Some(&by_card);
            assert_eq!(
                by_this, is_refused,
                "{table}.{column} {amount} {currency}: {found:?}"
            );
        }
        // An amount that the bounds allow, in a currency whose decimals Stripe writes otherwise.
        let in_currency = Some(format!("{table}_currency_by_card"));
        let found = refused(&mut conn, table, column, 500_000, "ISK").await;
        assert_eq!(found, in_currency, "{table}.{column}");
        // The control: without the triggers the same amounts are not refused for it.
        let off = format!("alter table app.{table} disable trigger user");
        sqlx::raw_sql(AssertSqlSafe(off))
            .execute(&mut conn)
            .await
            .expect("off");
        let found = refused(&mut conn, table, column, 100_000_000, "AUD").await;
        assert_ne!(found, Some(by_card), "{table}.{column}");
        let found = refused(&mut conn, table, column, 500_000, "ISK").await;
        assert_ne!(found, in_currency, "{table}.{column}");
    }
}

#[tokio::test]
async fn p5_a_price_that_no_card_pays_is_refused_with_a_pointer() {
    let stage = Stage::new().await;
    let paula = &stage.paula.client;
    let plan = |price: i64, currency: &str| json!({"name": format!("P{price}"), "price_cents": price, "currency": currency, "interval": "month", "features": []});
    for (price, currency) in [(100_000_000, "AUD"), (49, "AUD"), (1_005, "KWD")] {
        let refused = paula
            .post("/plans", plan(price, currency))
            .await
            .expect(422);
        assert_eq!(refused.pointers(), ["/price_cents"], "{price} {currency}");
    }
    for price in [0, 50, 99_999_999] {
        paula.post("/plans", plan(price, "AUD")).await.expect(201);
    }
    let made = paula.post("/plans", plan(2_000, "AUD")).await.expect(201);
    let path = format!("/plans/{}", made.id());
    for price in [100_000_000, 49] {
        let change = json!({"price_cents": price});
        let refused = paula.patch(&path, "*", change).await.expect(422);
        assert_eq!(refused.pointers(), ["/price_cents"]);
    }
    paula
        .patch(&path, "*", json!({"name": "Another name"}))
        .await
        .expect(200);

    let city = stage.server.city("melbourne").await;
    stage
        .run("delete from app.promotions; delete from app.featured_places")
        .await;
    let place = |price: i64, currency: &str| json!({"city_id": city, "slot": "home", "day_price_cents": price, "currency": currency});
    for (price, currency) in [(100_000_000, "AUD"), (1_005, "KWD")] {
        let body = place(price, currency);
        let refused = paula.post("/featured-places", body).await.expect(422);
        assert_eq!(
            refused.pointers(),
            ["/day_price_cents"],
            "{price} {currency}"
        );
    }
    let made = paula.post("/featured-places", place(25, "AUD")).await;
    let path = format!("/featured-places/{}", made.expect(201).id());
    for change in [
        json!({"day_price_cents": 100_000_000}),
        json!({"currency": "KWD"}),
    ] {
        let refused = paula.patch(&path, "*", change).await.expect(422);
        assert_eq!(refused.pointers(), ["/day_price_cents"]);
    }
}

/// A fee that is computed is capped, since nobody could pay more.
#[tokio::test]
async fn p5_a_fee_is_at_most_what_a_card_can_be_charged() {
    let deal = Deal::new().await;
    let rule = json!({"type": "service_fee", "basis_points": 1_000, "currency": "AUD", "paid_by": "organizer",
        "city_share_basis_points": 2_500, "valid_from": "2026-01-01T00:00:00Z"});
    let paula = &deal.stage.paula.client;
    paula.post("/commission-rules", rule).await.expect(201);
    let quote = deal.accepted(2_000_000_000, "AUD").await;
    let text = format!("select fee_cents from app.quotes where id = '{quote}'");
    assert_eq!(deal.stage.number(&text).await, 99_999_999);
    deal.pay(&quote, "4242424242424242").await;
    let paid =
        format!("select count(*) from app.quotes where id = '{quote}' and fee_paid_at is not null");
    assert_eq!(deal.stage.number(&paid).await, 1);
    deal.stage.books_agree().await;
}
