//! Replaces the ids and values in the examples of the API document by those of the demonstration world, so that the
//! examples can be tried as they are.

use super::demo::PEOPLE;
use kernel::{Db, Result, openapi::Examples};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// An entity, and a query for the row used in its examples: one that belongs to Olga or that she may see, if there is
/// such a row.
pub const ROWS: &[(&str, &str)] = &[
    ("attendance", "0199f7ee-2b58-7e7a-8592-597122f5c55f"),
    ("broadcast", "0199e03b-32a8-7508-83d2-d0bd99a2acd3"),
    ("business", "0199e004-53c8-7406-8c24-c62b622429cf"),
    ("checkpoint", "0199e004-d0a0-7edf-8599-062dab31b14a"),
    (
        "checkpoint_ticket_type",
        "0199e004-d0a0-7fad-8cd7-5634a4de4979",
    ),
    ("city", "0199da0e-6342-7483-8a51-5e232ce74369"),
    (
        "commission_proposal",
        "0199e004-4428-71e1-881d-274b5aee2350",
    ),
    ("commission_rule", "0199e004-44c8-7410-8e2b-50bdda0bc877"),
    ("community", "0199e004-54e0-706d-8769-01dc8792eabd"),
    ("community_member", "0199f7fa-5c48-7504-8ad4-ac6aa93cef3f"),
    ("country", "0199d418-820d-7723-8541-ef0b2909e59b"),
    ("device", "0199e004-e0b8-7de5-8c9f-1baa0f46a2b9"),
    ("event", "0199e004-e220-7ecb-869e-e644acffa727"),
    ("featured_place", "0199e004-45b8-7af5-88a3-2a39f63fcf0f"),
    ("follow", "0199e129-d8b8-784b-88de-c6ad4bc5a939"),
    ("fraud_flag", "0199e004-44f0-7da2-873d-26a194f0b3e4"),
    ("grant_announcement", "0199e004-50d0-726d-8300-ff72ecdd94df"),
    ("institution", "0199e004-53c8-7cab-812e-3e350d73be7d"),
    ("like", "0199f7ee-30a8-731a-83f1-9d33d0705dba"),
    ("notification", "0199e00a-6380-772a-8633-5c2c541db055"),
    (
        "notification_preference",
        "0199e00a-6380-778f-8096-0bcbb0be4430",
    ),
    ("organization", "0199e004-53c8-776c-895c-64a422120431"),
    ("plan", "0199e004-4590-7227-8830-c50563304701"),
    ("promo_code", "0199e03b-32a8-7c06-8713-a8358e9d37ae"),
    ("promotion", "0199e004-5e18-706e-8449-91f25f2420b5"),
    ("referral", "0199e004-7fd8-73ce-8527-bf3536ab607b"),
    ("review", "0199e005-2500-736a-8657-7e0c6cd89fee"),
    ("role_assignment", "0199e004-4478-706d-8fd2-16713b7c6ce2"),
    ("ticket_type", "0199e00a-71b8-7d2f-8cea-90417f3215db"),
    ("user", "0199c000-0000-7000-8000-000000000003"),
    ("venue", "0199e004-5530-708d-8373-ef803ef38cb0"),
];

/// Geelong, a city of the reference data that is none of the demonstration.
const OTHER_CITY: &str = "0199da0e-634c-7538-8aad-259e1add9a00";

/// A value in the examples of the document, and what to replace it with.
pub fn of_the_demonstration() -> Vec<(String, String)> {
    let rows = ROWS
        .iter()
        .map(|(entity, id)| (example_id(entity), (*id).to_owned()));
    let others = [
        // The account that may change most of them, with the password that all demonstration accounts have.
        ("ana@example.org", "olga_organiser@example.org"),
        // The version of every row before its first change.
        ("\\\"3-9f2c4e1ab07d5583\\\"", "\\\"1\\\""),
        ("\\\"3\\\"", "\\\"1\\\""),
    ];
    // Where the example object would be the member who tries it.
    let another = [
        (example_id("another user"), PEOPLE[1].id.to_string()),
        // One of the reference data, in which nothing is offered yet.
        (example_id("another city"), OTHER_CITY.to_owned()),
    ];
    rows.chain(another)
        .chain(others.map(|(one, other)| (one.to_owned(), other.to_owned())))
        .collect()
}

/// Entities whose rows are made through the API (`seed sales`, `seed trade`, `seed pictures`) and therefore have other
/// ids in each database.
pub const MADE_LATER: [&str; 25] = [
    "check_in",
    "checkpoint_entry",
    "connected_account",
    "dispute",
    "lead",
    "media",
    "order",
    "order_item",
    "payment_method",
    "quote",
    "refund",
    "revenue_share",
    "service_request",
    "stripe_event",
    "subscription",
    "ticket",
    "ticket_transfer",
    "transaction",
    "transfer",
    "waitlist_entry",
    "wallet_account",
    "wallet_credit",
    "wallet_hold",
    "wallet_journal",
    "wallet_transaction",
];

/// The same, and the first row of each of those, from when it is there.
pub fn with_those_made_later(db: Db, known: Vec<(String, String)>) -> Examples {
    let complete: Arc<OnceLock<Vec<(String, String)>>> = Arc::default();
    Arc::new(move || {
        let (db, mut all, complete) = (db.clone(), known.clone(), complete.clone());
        Box::pin(async move {
            if let Some(all) = complete.get() {
                return all.clone();
            }
            // Without a database there are still the others.
            let later = made_later(&db).await.unwrap_or_default();
            let is_complete = later.len() == MADE_LATER.len();
            let later = later.into_iter();
            all.extend(later.map(|(entity, id)| (example_id(&entity), id)));
            if is_complete {
                let _ = complete.set(all.clone());
            }
            all
        })
    })
}

/// The statements that find an example row of each entity: one of Olga's if there is any, else one of another
/// demonstration account, whose ids have the same prefix, else any. Each statement runs with the rights of a module
/// that may read the tables.
const MADE: [(&str, &str); 6] = [
    (
        "notifications",
        "(select 'order', id::text from app.orders
          order by user_id = '0199c000-0000-7000-8000-000000000003' desc, id limit 1)
         union all
         (select 'ticket', id::text from app.tickets
          order by holder_id = '0199c000-0000-7000-8000-000000000003' and state = 'valid' desc, id limit 1)
         union all
         (select 'refund', r.id::text from app.refunds r left join app.orders o on o.id = r.order_id
          order by coalesce(o.user_id = '0199c000-0000-7000-8000-000000000003', false) desc, r.id limit 1)
         union all
         (select 'ticket_transfer', id::text from app.ticket_transfers
          order by from_id::text ^@ '0199c000-' or to_id::text ^@ '0199c000-' desc, id limit 1)
         union all
         (select 'waitlist_entry', id::text from app.waitlist_entries
          order by user_id::text ^@ '0199c000-' desc, id limit 1)
         union all
         (select 'wallet_account', id::text from app.wallet_accounts
          order by coalesce(user_id::text ^@ '0199c000-', false) desc, id limit 1)
         union all
         (select 'wallet_credit', id::text from app.wallet_credits order by id limit 1)
         union all
         (select 'checkpoint_entry', id::text from app.checkpoint_entries order by id limit 1)",
    ),
    (
        "notifications",
        "with olgas as (
           select r.id from app.service_requests r
           join app.role_assignments a on a.scope_id = r.host_id and a.role = 'orgAdmin' and a.state = 'accepted'
           where a.user_id = '0199c000-0000-7000-8000-000000000003'),
         binhs as (
           select scope_id as id from app.role_assignments
           where role = 'orgAdmin' and state = 'accepted' and user_id = '0199c000-0000-7000-8000-000000000004')
         (select 'service_request', id::text from app.service_requests
          order by id in (select id from olgas) desc, id limit 1)
         union all
         (select 'lead', l.id::text from app.leads l
          order by l.state in ('new', 'viewed') and l.business_id in (select id from binhs) desc,
                   l.service_request_id in (select id from olgas) desc, l.id limit 1)
         union all
         (select 'quote', q.id::text from app.quotes q join app.leads l on l.id = q.lead_id
          order by q.state <> 'draft' and l.service_request_id in (select id from olgas) desc, q.id limit 1)",
    ),
    (
        "tickets",
        "(select 'order_item', i.id::text from app.order_items i join app.orders o on o.id = i.order_id
          order by o.user_id = '0199c000-0000-7000-8000-000000000003' desc, i.id limit 1)
         union all
         (select 'check_in', id::text from app.check_ins order by id limit 1)",
    ),
    (
        "wallet",
        "select 'wallet_hold', min(id::text) from app.wallet_holds
         union all select 'wallet_journal', min(id::text) from app.wallet_journals
         union all select 'wallet_transaction', min(id::text) from app.wallet_transactions",
    ),
    (
        "payments",
        "select 'connected_account', min(id::text) from app.connected_accounts
         union all select 'dispute', min(id::text) from app.disputes
         union all select 'payment_method', min(id::text) from app.payment_methods where status = 'active'
         union all select 'revenue_share', min(id::text) from app.revenue_shares
         union all select 'stripe_event', min(id::text) from app.stripe_events
         union all select 'subscription', min(id::text) from app.subscriptions
         union all select 'transaction', min(id::text) from app.transactions
         union all select 'transfer', min(id::text) from app.transfers",
    ),
    (
        "media",
        "select 'media', min(id::text) from app.media where status = 'active'",
    ),
];

/// The entity and the id of each example row that exists in this database.
pub async fn made_later(db: &Db) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (module, statement) in MADE {
        all.extend(first(db, module, statement).await?);
    }
    Ok(all)
}

/// The example id that the generator derives from the name of an entity.
pub fn example_id(entity: &str) -> String {
    let hash: String = Sha256::digest(entity)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "019caddd-0f20-7{}-a{}-{}",
        &hash[0..3],
        &hash[3..6],
        &hash[6..18]
    )
}

async fn first(
    db: &Db,
    module: &'static str,
    statement: &'static str,
) -> Result<Vec<(String, String)>> {
    let rows: Vec<(String, Option<String>)> = db
        .run(module, None, Uuid::now_v7(), move |cx| {
            Box::pin(async move { Ok(sqlx::query_as(statement).fetch_all(cx.conn()).await?) })
        })
        .await?;
    let rows = rows.into_iter();
    Ok(rows
        .filter_map(|(entity, id)| Some((entity, id?)))
        .collect())
}
