//! Each fault of `app.money_invariants` is noticed: its guard is switched off, the fault is caused, and the view must
//! name it. A view that shows nothing because it queries nothing would pass all other tests.

use super::stage::{Stage, keyed};
use crate::support::root;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::BTreeSet, fs};
use uuid::Uuid;

/// Each fault, and the SQL that causes it. The order `PAID` was paid by card and credits, `BACK` was refunded,
/// `PENDING` is unpaid; `KIND` is their ticket type. Triggers and foreign keys are disabled here.
const FAULTS: &[(&str, &str)] = &[
    (
        "unbalanced journal",
        "update app.wallet_transactions set amount_cents = amount_cents + 1
         where id = (select id from app.wallet_transactions where type = 'debit' limit 1)",
    ),
    (
        "journal without legs",
        "delete from app.wallet_transactions where journal_id = (select id from app.wallet_journals limit 1)",
    ),
    (
        "balance is not the sum of the legs",
        "update app.wallet_accounts set balance_cents = balance_cents + 1 where kind = 'user' and balance_cents > 0",
    ),
    (
        "leg does not follow the one before",
        "update app.wallet_transactions set balance_after_cents = balance_after_cents + 1 where seq is not null",
    ),
    (
        "held is not the sum of the holds",
        "update app.wallet_holds set state = 'voided' where state = 'pending'",
    ),
    (
        "more credits that were given than there are",
        "update app.wallet_credits set amount_cents = 1000000000, remaining_cents = 1000000000",
    ),
    (
        "given credits are not what was given, spent and given back",
        "update app.wallet_credits set amount_cents = amount_cents + 1",
    ),
    (
        "an entry of a member does not say which credits it has spent",
        "delete from app.wallet_credit_uses",
    ),
    (
        "less than nothing, or less than is set aside",
        "alter table app.wallet_accounts drop constraint wallet_accounts_never_negative_check;
         update app.wallet_accounts set balance_cents = -1 where kind = 'user'",
    ),
    (
        "the accounts of a currency do not add up to zero",
        "update app.wallet_accounts set balance_cents = balance_cents + 1 where id = (
           select id from app.wallet_accounts where kind = 'user' and balance_cents > 0 limit 1)",
    ),
    (
        "reversed twice",
        "drop index app.wallet_journals_reverses_id_key;
         update app.wallet_journals set reverses_id = (select id from app.wallet_journals limit 1)",
    ),
    (
        "held is not what pending orders and offers are for",
        "update app.ticket_types set held = held + 1 where id = KIND",
    ),
    (
        "sold is not the number of tickets",
        "update app.ticket_types set sold = sold + 1 where id = KIND",
    ),
    (
        "oversold",
        "alter table app.ticket_types drop constraint ticket_types_within_capacity_check;
         update app.ticket_types set capacity = 0 where id = KIND",
    ),
    (
        "more taken than the event has room for",
        "update app.events set capacity = 1 where id = (select event_id from app.ticket_types where id = KIND)",
    ),
    (
        "offered and not to be handed on",
        "update app.tickets set state = 'void' where id in (select ticket_id from app.ticket_transfers)",
    ),
    (
        "paid without its tickets",
        "delete from app.tickets where order_id = PAID",
    ),
    (
        "another number of tickets than it says",
        "update app.orders set ticket_count = ticket_count + 1 where id = PAID",
    ),
    (
        "tickets without payment",
        "update app.orders set state = 'cancelled' where id = PAID",
    ),
    (
        "tickets whose price a bank has given back",
        "insert into app.disputes (state, amount_cents, currency, reason, stripe_dispute_id, order_id, transaction_id, closed_at)
         select 'lost', amount_cents, currency, 'fraudulent', 'dp_unheard', order_id, id, now()
         from app.transactions where order_id = PAID",
    ),
    (
        "owed and not on its way back",
        "update app.orders set state = 'refund_pending' where id = PENDING",
    ),
    (
        "refunded is not the sum of the refunds",
        "update app.orders set refunded_cents = 1 where id = PAID",
    ),
    (
        "a hold of an order that is not pending",
        "update app.orders set state = 'expired' where id = PENDING",
    ),
    (
        "let in twice",
        "drop index app.check_ins_ticket_id_key;
         insert into app.check_ins (ticket_id, event_id, nonce, at)
         select ticket_id, event_id, 'once more, and wrongly so', at from app.check_ins
         where result = 'ok' and checkpoint_id is null and ticket_id in (select id from app.tickets where order_id = PAID)",
    ),
    (
        "inside a checkpoint twice",
        "drop index app.checkpoint_entries_ticket_id_checkpoint_id_key;
         insert into app.checkpoint_entries (checkpoint_id, ticket_id, event_id, entered_at)
         select checkpoint_id, ticket_id, event_id, now() from app.checkpoint_entries
         where left_at is null and ticket_id in (select id from app.tickets where order_id = PAID)",
    ),
    (
        "entries are not the good scans",
        "update app.checkpoint_entries set left_at = now()
         where ticket_id in (select id from app.tickets where order_id = PAID)",
    ),
    (
        "tickets are not what was paid",
        "update app.tickets set paid_cents = paid_cents + 1 where order_id = PAID",
    ),
    (
        "parts are not the whole",
        "alter table app.orders drop constraint orders_shared_out_check;
         update app.orders set organizer_cents = organizer_cents + 1 where id = PAID",
    ),
    (
        "card and top-up are not the part of the host",
        "update app.orders set top_up_cents = top_up_cents + 1 where id = PAID",
    ),
    (
        "parts of a refund are not the whole",
        "alter table app.refunds drop constraint refunds_shared_out_check;
         update app.refunds set organizer_cents = organizer_cents + 1",
    ),
    (
        "a refund of another sum than its tickets cost",
        "update app.tickets set refund_id = null where order_id = BACK",
    ),
    (
        "given back without a refund",
        "update app.tickets set refund_id = null where order_id = BACK",
    ),
    (
        "given back is not what each had",
        "update app.refunds set organizer_cents = organizer_cents - 1, platform_fee_cents = platform_fee_cents + 1",
    ),
    (
        "paid by card without a payment",
        "delete from app.transactions where order_id = PAID",
    ),
    (
        "a payment that bought nothing",
        "update app.orders set state = 'expired' where id = PAID",
    ),
    (
        "paid is not what was ordered",
        "update app.transactions set amount_cents = amount_cents + 1 where order_id = PAID",
    ),
    (
        "refunded without a refund",
        "update app.transactions set status = 'part_refunded', refunded_cents = 1 where order_id = PAID",
    ),
    (
        "more sent to the host than its part",
        "update app.transfers set state = 'succeeded', amount_cents = 1000000 where order_id = PAID",
    ),
    (
        "more than one payment",
        "drop index app.transactions_order_id_key;
         update app.transactions set order_id = PAID",
    ),
    (
        "the host has kept its part of a refund",
        "update app.transactions set stripe_account_id = 'acct_wrong' where order_id = BACK;
         delete from app.transfers where order_id = BACK;
         update app.refunds set settled_at = now() - interval '11 minutes' where order_id = BACK",
    ),
    (
        "won, and not sent to the host again",
        "insert into app.disputes (state, amount_cents, currency, reason, stripe_dispute_id, order_id, transaction_id, closed_at)
         select 'won', 1, currency, 'fraudulent', 'dp_wrong', order_id, id, now() - interval '11 minutes'
         from app.transactions where order_id = PAID;
         insert into app.transfers (kind, amount_cents, currency, stripe_account_id, order_id, dispute_id, stripe_idempotency_key)
         select 'dispute_reversal', 1, currency, 'acct_wrong', order_id, id, 'wrongly so: a dispute'
         from app.disputes where stripe_dispute_id = 'dp_wrong'",
    ),
    (
        "owed by banks is not what is disputed",
        "insert into app.disputes (state, amount_cents, currency, reason, stripe_dispute_id, order_id, transaction_id)
         select 'needs_response', 1, currency, 'fraudulent', 'dp_unbooked', order_id, id
         from app.transactions where order_id = PAID",
    ),
    (
        "credits that nobody sends to the host",
        // A transfer that is refused for good counts as never sent.
        "update app.transfers set state = 'failed' where kind = 'top_up';
         update app.orders set paid_at = now() - interval '11 minutes' where id = PAID",
    ),
    (
        "a city has kept its share of what went back",
        "update app.transactions set city_share_cents = 1, status = 'refunded', refunded_cents = amount_cents where order_id = PAID",
    ),
    (
        "more refunded than paid",
        "alter table app.transactions drop constraint transactions_refund_within_check;
         update app.transactions set status = 'refunded', refunded_cents = amount_cents + 1",
    ),
    (
        "tickets without their credits",
        "update app.wallet_journals set idempotency_key = id::text where idempotency_key = 'purchase:' || PAID",
    ),
    (
        "credits of a refund that are not there",
        "update app.wallet_journals set idempotency_key = id::text where idempotency_key like 'refund:%'",
    ),
    (
        "tickets without their credits",
        "insert into app.wallet_journals (kind, idempotency_key, reverses_id)
         select 'reversal', 'wrongly so: a purchase', id from app.wallet_journals where idempotency_key = 'purchase:' || PAID",
    ),
    (
        "credits of a refund that are not there",
        "insert into app.wallet_journals (kind, idempotency_key, reverses_id)
         select 'reversal', 'wrongly so: a refund', id from app.wallet_journals where idempotency_key like 'refund:%' limit 1",
    ),
    (
        "let in after the payment was taken back",
        "update app.orders set state = 'charged_back' where id = PAID",
    ),
    (
        "a payment that bought no place",
        "update app.transactions set order_id = null, promotion_id = (select id from app.promotions limit 1) where order_id = PAID",
    ),
    (
        "a fee that is not what was asked for",
        "update app.transactions set order_id = null, quote_id = (select id from app.quotes limit 1) where order_id = PAID",
    ),
    (
        "a fee that nobody paid",
        "update app.quotes set fee_paid_at = now() where id = (select id from app.quotes limit 1)",
    ),
    (
        "more of a fee given back than was paid",
        "insert into app.refunds (quote_id, amount_cents, card_cents, platform_fee_cents, currency, reason, stripe_idempotency_key)
         select id, 100, 100, 100, currency, 'other', 'wrongly so: a fee' from app.quotes limit 1",
    ),
    (
        "a place that nobody paid",
        "update app.promotions set amount_cents = 100, paid_at = now() where id = (select id from app.promotions limit 1)",
    ),
    (
        "a share that was never sent",
        "update app.revenue_shares set state = 'paid'",
    ),
    (
        "sent is not what the city has earned",
        "insert into app.transfers (kind, amount_cents, currency, stripe_account_id, city_id, stripe_idempotency_key)
         select 'city_share', 1, 'AUD', 'acct_wrong', id, 'wrongly so: a share' from app.cities limit 1",
    ),
    (
        "shown without a payment",
        "update app.promotions set amount_cents = 100 where state = 'active'",
    ),
    (
        "paid, and neither shown nor given back",
        "update app.promotions set amount_cents = 100, paid_at = now(), updated_at = now() - interval '11 minutes'
         where state = 'rejected'",
    ),
    (
        "paid, and neither shown nor given back",
        "update app.promotions set amount_cents = 100, city_share_cents = 0, days = 2, plan_days = 0, state = 'ended', paid_at = now(),
           updated_at = now() - interval '11 minutes', starts_at = now(), ended_at = now(), ends_at = now() + interval '2 days'
         where state = 'rejected'",
    ),
    (
        "given back more than was paid",
        "insert into app.refunds (promotion_id, amount_cents, card_cents, platform_fee_cents, currency, reason, stripe_idempotency_key)
         select id, 100, 100, 100, currency, 'rejected', 'wrongly so: a refund' from app.promotions limit 1",
    ),
    (
        "in a place that is full",
        "update app.featured_places set capacity = 1, updated_at = '2020-01-01';
         update app.promotions p set state = 'active', paid_at = now()
         where p.city_id = (select city_id from app.promotions group by 1 having count(*) > 1 limit 1)",
    ),
];

/// All faults that the views can report, found in their source.
fn named() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in ["wallet", "tickets.faults", "payments", "promotions"] {
        let path = root().join("spec/sql").join(format!("{file}.sql"));
        let text = fs::read_to_string(path).expect("a file");
        let faults = text
            .lines()
            .filter_map(|line| line.strip_prefix("  select '"));
        found.extend(faults.filter_map(|rest| Some(rest.split_once('\'')?.0.to_owned())));
    }
    found
}

/// An order of each kind, with the rows that belong to them.
async fn orders(stage: &Stage, kind: Uuid) -> [String; 3] {
    stage.credits(&stage.mira, 50_000).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let mut cart = stage.cart(&[(kind, 2)], true);
        cart["credits_max_cents"] = json!(4_000);
        let order = keyed(&stage.mira, "/orders", cart).await.expect(201);
        orders.push(order.id());
    }
    let [paid, back, pending] = <[String; 3]>::try_from(orders).expect("three");
    stage.paid(&paid).await;
    stage.paid(&back).await;
    let refund = json!({"to": "wallet"});
    keyed(&stage.mira, &format!("/orders/{back}/refunds"), refund)
        .await
        .expect(201);
    let tickets = format!("/orders/{paid}/tickets");
    let tickets = stage.mira.client.get(&tickets).await.expect(200);
    let [used, offered] = [0, 1].map(|n| tickets.json["data"][n].clone());
    let ticket = format!("/tickets/{}", used["id"].as_str().expect("a ticket"));
    let ticket = stage.mira.client.get(&ticket).await.expect(200);
    let scan =
        json!({"code": ticket.json["code"], "event_id": stage.event, "nonce": Uuid::now_v7()});
    stage.olga.client.post("/check-ins", scan).await.expect(200);
    let lounge = json!({"event_id": stage.event, "name": "Lounge"});
    let lounge = stage.olga.client.post("/checkpoints", lounge).await;
    let scan = json!({"code": ticket.json["code"], "event_id": stage.event, "nonce": Uuid::now_v7(),
        "checkpoint_id": lounge.expect(201).id()});
    stage.olga.client.post("/check-ins", scan).await.expect(200);
    let offer = format!(
        "/tickets/{}/transfers",
        offered["id"].as_str().expect("a ticket")
    );
    let to = json!({"to_id": stage.olga.id});
    stage.mira.client.post(&offer, to).await.expect(201);
    // No worker runs that would send it; the test needs only that it is planned.
    let text = "select exists (select from app.transfers where order_id = $1::text::uuid)";
    let mut conn = stage.server.superuser().await;
    while !sqlx::query_scalar::<_, bool>(text)
        .bind(&paid)
        .fetch_one(&mut conn)
        .await
        .expect("transfers")
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    [paid, back, pending]
}

async fn faults_after(conn: &mut PgConnection, text: String) -> Vec<String> {
    let mut undone = conn.begin().await.expect("a transaction");
    sqlx::raw_sql("set local session_replication_role = replica")
        .execute(&mut *undone)
        .await
        .expect("without guards");
    sqlx::raw_sql(AssertSqlSafe(text.clone()))
        .execute(&mut *undone)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let found = super::all_faults(&mut undone).await;
    // The hourly job asks these functions, and logs what they return.
    let told: Vec<String> = sqlx::query_scalar(
        "select fault || ' ' || entity_type || ' ' || entity_id from (
           select * from app.find_wallet_faults() union all select * from app.find_money_faults()) f",
    )
    .fetch_all(&mut *undone)
    .await
    .expect("the functions");
    let sorted = |faults: &[String]| faults.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&found), sorted(&told), "what the job is told");
    undone.rollback().await.expect("undone");
    found
}

#[tokio::test]
async fn t16_every_invariant_names_what_breaks_it() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Seat", 4_500, 20).await;
    let [paid, back, pending] = orders(&stage, kind).await;
    stage.sound().await;
    let wallet = &stage.server.built.app.modules.wallet;
    assert_eq!(wallet.audit().await.expect("an audit"), 0);
    let mut conn = stage.server.superuser().await;
    let id = |id: &str| format!("'{id}'::uuid");
    let mut unnoticed = Vec::new();
    for (fault, text) in FAULTS {
        let text = text
            .replace("PAID", &id(&paid))
            .replace("BACK", &id(&back))
            .replace("PENDING", &id(&pending))
            .replace("KIND", &id(&kind.to_string()));
        let found = faults_after(&mut conn, text).await;
        if !found.iter().any(|found| found.starts_with(fault)) {
            unnoticed.push((fault, found));
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
    let tried: BTreeSet<String> = FAULTS
        .iter()
        .map(|(fault, _)| (*fault).to_owned())
        .collect();
    assert_eq!(
        tried,
        named(),
        "the faults tested here are those of the views"
    );
    stage.sound().await;
    // As a module, the job sees what is wrong in other modules' tables, and changes nothing.
    stage
        .run(format!(
            "set session_replication_role = replica;
             update app.transactions set amount_cents = amount_cents + 1 where order_id = {}",
            id(&paid)
        ))
        .await;
    assert!(wallet.audit().await.expect("an audit") > 0);
}
