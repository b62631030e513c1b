//! M2: amounts in different currencies meet nowhere in the database; `money::amount` has the same for the program.

use super::stage::Stage;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// The module that writes, the trigger that refuses, its table, and an insert of a row about an order with a currency.
const ROWS: [(&str, &str, &str, &str); 4] = [
    (
        "payments",
        "transactions_currency",
        "transactions",
        "insert into app.transactions (user_id, order_id, type, amount_cents, currency, status, stripe_idempotency_key)
         select o.user_id, o.id, 'ticket', 100, '{currency}', 'cancelled', 'a-test-of-currencies' from app.orders o where o.id = '{order}'",
    ),
    (
        "tickets",
        "refunds_currency",
        "refunds",
        "insert into app.refunds (order_id, amount_cents, wallet_cents, organizer_cents, currency, stripe_idempotency_key)
         select o.id, 100, 100, 100, '{currency}', 'a-test-of-currencies' from app.orders o where o.id = '{order}'",
    ),
    (
        "payments",
        "transfers_currency",
        "transfers",
        "insert into app.transfers (order_id, kind, amount_cents, currency, stripe_account_id, stripe_idempotency_key)
         select o.id, 'top_up', 100, '{currency}', 'acct_of_a_test', 'a-test-of-currencies' from app.orders o where o.id = '{order}'",
    ),
    (
        "tickets",
        "order_items_currency",
        "order_items",
        "insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency)
         select o.id, t.id, 1, 100, 100, 100, '{currency}' from app.orders o join app.ticket_types t on t.event_id = o.event_id
         where o.id = '{order}' and not exists (select from app.order_items i where i.ticket_type_id = t.id)",
    ),
];

/// What the database says of an insert in the name of a module; nothing is kept.
async fn tried(conn: &mut PgConnection, module: &str, text: String) -> Option<String> {
    let mut transaction = conn.begin().await.expect("begun");
    sqlx::query("select sec.enter_job($1, null, null, gen_random_uuid())")
        .bind(module)
        .execute(&mut *transaction)
        .await
        .expect("entered");
    let done = sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut *transaction)
        .await;
    transaction.rollback().await.expect("undone");
    match done {
        Ok(done) => {
            assert_eq!(done.rows_affected(), 1, "{text}");
            None
        }
        Err(error) => {
            let constraint = error.as_database_error().and_then(|one| one.constraint());
            Some(constraint.map_or_else(|| error.to_string(), str::to_owned))
        }
    }
}

#[tokio::test]
async fn m2_what_belongs_to_an_order_is_in_its_currency() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 4_500, 10).await;
    stage.tickets("Stool", 4_500, 10).await;
    let order = stage.order(&stage.mira, &[(kind, 1)], false).await;
    let order = order.expect(201).id();
    let mut job = stage.server.database.job_role().await;
    for (module, constraint, table, text) in ROWS {
        let of = |currency: &str| {
            let text = text.replace("{order}", &order);
            text.replace("{currency}", currency)
        };
        assert_eq!(tried(&mut job, module, of("AUD")).await, None, "{table}");
        let refused = tried(&mut job, module, of("NZD")).await;
        assert_eq!(refused.as_deref(), Some(constraint), "{table}");
        // The negative control: without the trigger, nothing refuses it.
        let trigger = match table {
            "order_items" => "order_items_at_door",
            _ => constraint,
        };
        for (word, expected) in [("disable", None), ("enable", Some(constraint))] {
            stage
                .run(format!("alter table app.{table} {word} trigger {trigger}"))
                .await;
            let said = tried(&mut job, module, of("NZD")).await;
            assert_eq!(said.as_deref(), expected, "{table}: {word}d");
        }
    }
}
