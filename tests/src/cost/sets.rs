//! Sets for policies over many rows that ask about a parent row: each is computed once per statement.

use crate::support::{Database, database::Content, model, resources};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

async fn run(conn: &mut PgConnection, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
}

async fn column<T>(conn: &mut PgConnection, text: &str) -> Vec<T>
where
    T: Send + Unpin + sqlx::Type<sqlx::Postgres> + for<'r> sqlx::Decode<'r, sqlx::Postgres>,
{
    sqlx::query_scalar(AssertSqlSafe(text.to_owned()))
        .fetch_all(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Claim: the policies for tickets, orders and check-ins call no function for each row.
#[tokio::test]
async fn what_comes_by_the_thousand_has_no_call_in_its_policy() {
    let database = Database::new(Content::Empty).await;
    let mut conn = database.superuser().await;
    let policies: Vec<String> = column(
        &mut conn,
        "select tablename || ': ' || qual from pg_policies
         where policyname in ('tickets_select', 'orders_select', 'order_items_select', 'check_ins_select')",
    )
    .await;
    assert_eq!(policies.len(), 4);
    for policy in policies {
        assert!(!policy.contains("sec.seen_"), "{policy}");
    }
}

const LISTS: [&str; 3] = ["ticket", "order", "order_item"];

/// Claim: the number of function calls of a list doesn't grow with the number of other people's rows.
#[tokio::test]
async fn a_list_calls_no_function_for_each_row_of_others() {
    let database = Database::new(Content::Demo).await;
    let mut conn = database.superuser().await;
    let stranger: Uuid = column(
        &mut conn,
        "select id from app.users u where status = 'active'
         and not exists (select from app.role_assignments a where a.user_id = u.id) order by id limit 1",
    )
    .await[0];
    let mut before = Vec::new();
    for list in LISTS {
        before.push(calls(&mut conn, list, stranger).await);
    }
    sell(&mut conn, stranger, 3_000).await;
    for (list, before) in LISTS.into_iter().zip(before) {
        let after = calls(&mut conn, list, stranger).await;
        assert!(
            after <= before + 5,
            "{list}: {after} calls, {before} with 3,000 rows less"
        );
    }

    // The control: the count notices such a policy.
    run(
        &mut conn,
        "alter policy tickets_select on app.tickets using (sec.seen_event_admin(event_id))",
    )
    .await;
    let each = calls(&mut conn, "ticket", stranger).await;
    assert!(each > 3_000, "{each}");
}

/// Inserts orders of others, with an item and a ticket each.
async fn sell(conn: &mut PgConnection, to_all_but: Uuid, count: u32) {
    run(
        conn,
        &format!(
            "begin; set local session_replication_role = replica;
             with event as (select id, row_number() over () as n, count(*) over () as total from app.events),
             buyer as (select id from app.users where id <> '{to_all_but}' limit 1),
             kind as (select id from app.ticket_types limit 1),
             sold as (
               insert into app.orders (user_id, event_id, state, subtotal_cents, amount_cents, card_cents, organizer_cents, currency, idempotency_key)
               select buyer.id, event.id, 'paid', 100, 100, 100, 100, 'EUR', 'one-of-many-orders-' || g
               from buyer, generate_series(1, {count}) g join event on event.n = 1 + g % event.total
               returning id, user_id, event_id
             ),
             item as (
               insert into app.order_items (order_id, ticket_type_id, quantity, unit_price_cents, subtotal_cents, total_cents, currency)
               select sold.id, kind.id, 1, 100, 100, 100, 'EUR' from sold, kind
             )
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, position, currency, code)
             select sold.id, kind.id, sold.event_id, sold.user_id, sold.user_id, 1, 'EUR', 'one-of-many-tickets-' || sold.id
             from sold, kind;
             commit; analyze app.orders; analyze app.order_items; analyze app.tickets"
        ),
    )
    .await;
}

/// The number of function calls of a page of this list, requested by this member.
async fn calls(conn: &mut PgConnection, entity: &str, me: Uuid) -> i64 {
    run(conn, "begin; set local track_functions = 'all'").await;
    run(
        conn,
        &format!("set local role culturepass_app; select sec.enter('{me}', null, 'read', null)"),
    )
    .await;
    let before = counted(conn).await;
    let list = resources()[entity].list_text(" order by t.id desc limit 21");
    run(conn, &list).await;
    let after = counted(conn).await;
    run(conn, "rollback").await;
    after - before
}

/// Includes calls in earlier transactions that haven't been reported yet.
async fn counted(conn: &mut PgConnection) -> i64 {
    let text = "select coalesce(sum(calls), 0)::bigint from pg_stat_xact_user_functions";
    column(conn, text).await[0]
}

/// Claim: a set contains the rows for which the function for one row returns true. For callers to whom everything is
/// open, the function is called as well, so the set need not contain all rows.
#[tokio::test]
async fn a_set_says_what_the_function_for_one_row_says() {
    let database = Database::new(Content::Sample).await;
    let mut conn = database.superuser().await;
    let people: Vec<Uuid> = column(
        &mut conn,
        "(select distinct on (role, scope_type) user_id from app.role_assignments where status = 'active'
          order by role, scope_type, id)
         union (select a.user_id from app.role_assignments a join app.events e on e.host_id = a.scope_id limit 20)
         union (select a.user_id from app.role_assignments a join app.leads l on l.business_id = a.scope_id limit 20)",
    )
    .await;
    let sets: Vec<String> = column(
        &mut conn,
        "select substr(proname, 6) from pg_proc where proname like 'mine\\_%' order by 1",
    )
    .await;
    // Makes some rows visible to their own people only.
    for table in ["events", "venues", "leads", "service_requests"] {
        run(
            &mut conn,
            &format!(
                "set session_replication_role = replica;
                 update app.{table} set status = 'suspended' where md5(id::text) ~ '[01]$';
                 update app.{table} set status = 'archived', live_key = null where md5(id::text) ~ '[23]$'; reset session_replication_role"
            ),
        )
        .await;
    }
    let (mut wrong, mut held) = (Vec::new(), 0);
    for person in people {
        for action in ["read", "restore"] {
            for set in &sets {
                let (in_set, differ) = compare(&mut conn, person, action, set).await;
                held += in_set;
                if differ > 0 {
                    wrong.push(format!("{action} {set} as {person}: {differ} rows"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(held > 100, "only {held} rows in all sets");
}

/// The number of rows in the set, and the number for which the function disagrees.
async fn compare(conn: &mut PgConnection, me: Uuid, action: &str, set: &str) -> (i64, i64) {
    let entities = &model().entities;
    let named = entities.iter().filter(|e| set.starts_with(&e.name));
    let entity = named
        .max_by_key(|e| e.name.len())
        .expect("a set of some entity");
    run(conn, "begin").await;
    run(
        conn,
        &format!("select sec.enter('{me}', null, '{action}', null)"),
    )
    .await;
    let text = format!(
        "select (count(*) filter (where of.mine))::bigint,
           (count(*) filter (where of.mine <> of.seen and (of.mine or not sec.is_platform_admin())))::bigint
         from (
           select t.id in (select sec.mine_{set}()) as mine, sec.seen_{set}(t.id) as seen
           from app.{} t
         ) of",
        entity.plural
    );
    let counted = sqlx::query_as(AssertSqlSafe(text.clone()))
        .fetch_one(&mut *conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    run(conn, "rollback").await;
    counted
}

/// The functions of sets, as calls.
async fn functions(conn: &mut PgConnection) -> Vec<String> {
    column(
        conn,
        "select format('sec.%I()', proname) from pg_proc where pronamespace = 'sec'::regnamespace
           and (proname like 'mine\\_%' or proname like 'many\\_%') order by 1",
    )
    .await
}

/// The tables that the sets of this member read completely, on a connection of its own because functions keep plans. Reading
/// an index seems expensive, as it does where a column has few different values.
async fn read_whole(database: &Database, me: Uuid) -> Vec<String> {
    let mut conn = database.superuser().await;
    let sets = functions(&mut conn).await;
    assert!(sets.len() > 20, "{sets:?}");
    run(
        &mut conn,
        "set plan_cache_mode = force_generic_plan; set jit = off; set cpu_index_tuple_cost = 1; begin",
    )
    .await;
    run(
        &mut conn,
        &format!("select sec.enter('{me}', null, 'read', null)"),
    )
    .await;
    // `sec.enter` has read tables, too.
    let before = scanned(&mut conn).await;
    for set in sets {
        run(&mut conn, &format!("select count(*) from {set}")).await;
    }
    let mut after = scanned(&mut conn).await;
    after.retain(|table| !before.contains(table));
    after
}

/// Tables with the number of times that this transaction has read them completely.
async fn scanned(conn: &mut PgConnection) -> Vec<String> {
    column(
        conn,
        "select relname || ' ' || seq_scan from pg_stat_xact_user_tables where schemaname = 'app' and seq_scan > 0 order by 1",
    )
    .await
}

/// Claim: the sets of a member without roles read no table completely, even if indexes seem expensive, as that of the city
/// of events does while there are few cities.
#[tokio::test]
async fn a_set_of_somebody_who_holds_nothing_reads_no_table() {
    let database = Database::new(Content::Demo).await;
    super::plans::pretend_to_be_large(&database).await;
    let mut conn = database.superuser().await;
    let stranger: Uuid = column(
        &mut conn,
        "select id from app.users u where status = 'active'
         and not exists (select from app.role_assignments a where a.user_id = u.id) order by id limit 1",
    )
    .await[0];
    assert_eq!(read_whole(&database, stranger).await, Vec::<String>::new());

    // The control: with the plans that PostgreSQL would choose, tables are read completely.
    for set in functions(&mut conn).await {
        run(
            &mut conn,
            &format!("alter function {set} reset enable_seqscan"),
        )
        .await;
    }
    assert!(!read_whole(&database, stranger).await.is_empty());
}
