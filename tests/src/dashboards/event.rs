//! `GET /events/{id}/dashboard`.

use super::world::{World, number};
use crate::money::stage::{Stage, keyed};
use serde_json::{Value, json};

const PAID: &str = "from app.orders o where o.event_id = :event and exists (select from app.tickets k where k.order_id = o.id)
    and (o.paid_at at time zone 'Australia/Melbourne')::date > (now() at time zone 'Australia/Melbourne')::date - :days";

fn paid(what: &str, currency: &str, days: i32) -> String {
    let of = PAID.replace(":days", &days.to_string());
    format!("select {what} {of} and o.currency = '{currency}'")
}

fn referred(what: &str, currency: &str, days: i32) -> String {
    paid(what, currency, days) + " and o.referrer is not null"
}

async fn figures(world: &World, query: &str) -> Value {
    let path = format!("/events/{}/dashboard{query}", world.event);
    world.olga.client.get(&path).await.expect(200).json
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_figures_of_an_event_are_what_the_tables_add_up_to() {
    let world = World::new().await;
    let shown = figures(&world, "").await;
    let state = |table: &str, state: &str| {
        format!("select count(*) from app.{table} where event_id = :event and state = '{state}'")
    };
    world
        .agree(
            &shown,
            &[
                ("/capacity/places", "select sum(capacity) from app.ticket_types where event_id = :event"),
                ("/capacity/held", "select sum(held) from app.ticket_types where event_id = :event"),
                ("/capacity/sold", "select sum(sold) from app.ticket_types where event_id = :event"),
                ("/capacity/left", "select sum(capacity - held - sold) from app.ticket_types where event_id = :event"),
                ("/capacity/checked_in", &state("tickets", "checked_in")),
                ("/sales/ticket_types/*/checked_in", &state("tickets", "checked_in")),
                ("/waiting_list/waiting", &state("waitlist_entries", "waiting")),
                ("/waiting_list/offered", &state("waitlist_entries", "offered")),
                ("/waiting_list/taken", &state("waitlist_entries", "taken")),
                ("/waiting_list/expired", &state("waitlist_entries", "expired")),
                ("/check_ins/*/admitted", "select count(*) from app.check_ins where event_id = :event and checkpoint_id is null and result = 'ok'"),
                ("/check_ins/*/refused", "select count(*) from app.check_ins where event_id = :event and checkpoint_id is null and result <> 'ok'"),
                ("/likes", "select count(*) from app.likes where event_id = :event and status = 'active'"),
                ("/attendances", "select count(*) from app.attendances where event_id = :event"),
                (
                    "/promo_codes/*/orders",
                    "select count(*) from app.orders o where event_id = :event and promo_code_id is not null
                     and exists (select from app.tickets k where k.order_id = o.id)",
                ),
                (
                    "/promo_codes/AUD/discount_cents",
                    "select sum(discount_cents) from app.orders o where event_id = :event and promo_code_id is not null
                     and currency = 'AUD' and exists (select from app.tickets k where k.order_id = o.id)",
                ),
                (
                    "/promo_codes/NZD/discount_cents",
                    "select sum(discount_cents) from app.orders o where event_id = :event and promo_code_id is not null
                     and currency = 'NZD' and exists (select from app.tickets k where k.order_id = o.id)",
                ),
                ("/sales/ticket_types/*/capacity", "select sum(capacity) from app.ticket_types where event_id = :event"),
                ("/sales/ticket_types/*/held", "select sum(held) from app.ticket_types where event_id = :event"),
                ("/sales/ticket_types/*/sold", "select sum(sold) from app.ticket_types where event_id = :event"),
                ("/sales/ticket_types/*/refunded", &state("tickets", "refunded")),
            ],
        )
        .await;
    world.reviews_agree(&shown).await;
    for currency in ["AUD", "NZD"] {
        sold_agrees(&world, &shown, currency, 30).await;
        sales_agree(&world, &shown, currency).await;
    }
    world.whole(
        "/events/{id}/dashboard",
        &[
            ("/capacity/capacity", "a column of the event"),
            ("/promo_codes/*/max_redemptions", "a column of the code"),
            // Checked by `figures_are_what_the_tables_add_up_to` of the money tests, whose orders have items.
            ("/sales/ticket_types/*/gross_cents", "of real orders"),
            ("/sales/ticket_types/*/discount_cents", "of real orders"),
            ("/sales/ticket_types/*/paid_cents", "of real orders"),
            ("/sales/ticket_types/*/refunded_cents", "of real orders"),
        ],
    );
    // The figures must equal those of the sales route.
    let sales = world
        .olga
        .client
        .get(&format!("/events/{}/sales", world.event))
        .await;
    assert_eq!(
        shown["sales"]["currencies"],
        sales.expect(200).json["currencies"]
    );
}

/// Checks what was sold in the last `days` days, by time bucket and by referrer.
async fn sold_agrees(world: &World, shown: &Value, currency: &str, days: i32) {
    const TICKETS: &str = "sum((select count(*) from app.tickets k where k.order_id = o.id))";
    let of = |list: &str, field: &str| format!("/{list}/{currency}/{field}");
    let sums = [
        (of("sold", "orders"), paid("count(*)", currency, days)),
        (of("sold", "tickets"), paid(TICKETS, currency, days)),
        (
            of("sold", "amount_cents"),
            paid("sum(o.amount_cents)", currency, days),
        ),
        (
            of("sold", "organizer_cents"),
            paid("sum(o.organizer_cents)", currency, days),
        ),
        (
            of("referrers", "orders"),
            referred("count(*)", currency, days),
        ),
        (
            of("referrers", "tickets"),
            referred(TICKETS, currency, days),
        ),
        (
            of("referrers", "amount_cents"),
            referred("sum(o.amount_cents)", currency, days),
        ),
    ];
    let sums: Vec<(&str, &str)> = sums.iter().map(|(path, text)| (&**path, &**text)).collect();
    world.agree(shown, &sums).await;
}

/// Checks all amounts in one currency: paid, refunded, and refunds in progress.
async fn sales_agree(world: &World, shown: &Value, currency: &str) {
    let orders = |what: &str| {
        format!(
            "select {what} from app.orders o where o.event_id = :event and o.currency = '{currency}'
               and exists (select from app.tickets k where k.order_id = o.id)"
        )
    };
    let refunds = |what: &str, state: &str| {
        format!(
            "select sum(r.{what}) from app.refunds r join app.orders o on o.id = r.order_id
             where o.event_id = :event and r.currency = '{currency}' and r.state = '{state}'
               and exists (select from app.tickets k where k.order_id = o.id)"
        )
    };
    let of = |field: &str| format!("/sales/currencies/{currency}/{field}");
    let mut sums = vec![
        (of("orders"), orders("count(*)")),
        (of("gross_cents"), orders("sum(o.subtotal_cents)")),
        (of("discount_cents"), orders("sum(o.discount_cents)")),
        (of("fee_cents"), orders("sum(o.fee_cents)")),
    ];
    for part in [
        "amount_cents",
        "card_cents",
        "wallet_cents",
        "cash_cents",
        "organizer_cents",
        "platform_fee_cents",
        "city_share_cents",
    ] {
        sums.push((
            of(&format!("paid/{part}")),
            orders(&format!("sum(o.{part})")),
        ));
        sums.push((of(&format!("refunded/{part}")), refunds(part, "succeeded")));
        sums.push((
            of(&format!("refunds_pending/{part}")),
            refunds(part, "pending"),
        ));
    }
    let sums: Vec<(&str, &str)> = sums.iter().map(|(path, text)| (&**path, &**text)).collect();
    world.agree(shown, &sums).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_sales_of_an_event_by_bucket_are_those_of_its_clocks() {
    let world = World::new().await;
    for (query, days) in [
        ("?bucket=day", 30),
        ("?bucket=hour", 2),
        ("?bucket=hour&from=DAY", 2),
    ] {
        let day = world
            .sum(
                "select extract(epoch from ((now() at time zone 'Australia/Melbourne')::date - 1))",
            )
            .await;
        let day = chrono::DateTime::from_timestamp(day, 0)
            .expect("a time")
            .date_naive();
        let shown = figures(&world, &query.replace("DAY", &day.to_string())).await;
        for currency in ["AUD", "NZD"] {
            sold_agrees(&world, &shown, currency, days).await;
        }
        let unit = if query.contains("hour") {
            "hour"
        } else {
            "day"
        };
        for bucket in shown["sold"].as_array().expect("buckets") {
            let (starts_at, currency) = (bucket["starts_at"].as_str(), bucket["currency"].as_str());
            let (starts_at, currency) = (starts_at.expect("a time"), currency.expect("one"));
            let text = format!(
                "select count(*) from app.orders o where o.event_id = :event and o.currency = '{currency}'
                   and exists (select from app.tickets k where k.order_id = o.id)
                   and date_trunc('{unit}', o.paid_at, 'Australia/Melbourne') = '{starts_at}'"
            );
            assert_eq!(
                number(bucket, "/orders"),
                world.sum(&text).await,
                "{bucket}"
            );
        }
    }
    assert!(number(&figures(&world, "").await, "/sold/*/orders") > 0);
}

/// When clocks are set back, one local hour occurs twice: two buckets.
#[tokio::test]
async fn od1_an_hour_that_comes_twice_is_two_buckets() {
    let world = World::new().await;
    world
        .run(
            "set session_replication_role = replica; delete from app.tickets where event_id = :event;
             delete from app.orders where event_id = :event;
             insert into app.orders (user_id, event_id, state, amount_cents, currency, paid_at, ticket_count, idempotency_key)
             select u.id, :event, 'paid', 0, 'AUD', t.at, 1, 'the-hour-that-is-two-' || t.at
             from (select id from app.users limit 1) u,
               unnest(array['2026-04-04T15:30:00Z', '2026-04-04T16:10:00Z', '2026-04-04T16:50:00Z']::timestamptz[]) t(at);
             insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, code, position, currency)
             select o.id, t.id, :event, o.user_id, o.user_id, 'the-hour-that-is-two-' || o.id, 1, 'AUD'
             from app.orders o, (select id from app.ticket_types where event_id = :event limit 1) t where o.event_id = :event",
        )
        .await;
    let shown = figures(&world, "?bucket=hour&from=2026-04-05&to=2026-04-05").await;
    let buckets: Vec<(&str, i64)> = shown["sold"]
        .as_array()
        .expect("buckets")
        .iter()
        .map(|one| {
            (
                one["starts_at"].as_str().expect("a time"),
                number(one, "/orders"),
            )
        })
        .collect();
    assert_eq!(
        buckets,
        [("2026-04-04T15:00:00Z", 1), ("2026-04-04T16:00:00Z", 2)]
    );
    let shown = figures(&world, "?from=2026-04-05&to=2026-04-05").await;
    assert_eq!(number(&shown, "/sold/*/orders"), 3);
    let shown = figures(&world, "?from=2026-04-06&to=2026-04-06").await;
    assert_eq!(number(&shown, "/sold/*/orders"), 0);
}

#[tokio::test]
async fn od1_an_events_dashboard_is_for_its_host_and_the_platform() {
    let world = World::new().await;
    let path = format!("/events/{}/dashboard", world.event);
    world.server.client.get(&path).await.expect(401);
    world.mira.client.get(&path).await.expect(403);
    world.paula.client.get(&path).await.expect(200);
    let olga = &world.olga.client;
    olga.get(&format!("{path}?from=2025-01-01&to=2026-01-01"))
        .await
        .expect(200);
    for wrong in [
        "from=2025-01-01&to=2026-01-02",
        "bucket=hour&from=2025-01-01&to=2025-01-15",
        "bucket=month",
        "bucket=week",
        "to=2025-01-01&from=2025-01-02",
        "city_id=00000000-0000-0000-0000-000000000000",
    ] {
        olga.get(&format!("{path}?{wrong}")).await.expect(422);
    }
    let wrong = format!("{path}?bucket=week&from=2025-01-01&to=2026-01-02&city_id=x");
    let refused = olga.get(&wrong).await.expect(422);
    let told = refused.json["errors"].as_array().map(Vec::len);
    assert_eq!(told, Some(3), "{}", refused.text);
    // Reviews of private members count, but their texts are shown to nobody else.
    world
        .run(
            "set session_replication_role = replica; delete from app.reviews where entity_id = :host;
             insert into app.reviews (reviewer_id, entity_type, entity_id, rating, comment)
             select u.id, 'organization', :host, 3, 'from ' || u.is_public
             from ((select id, true as is_public from app.users order by id desc limit 1)
               union all (select id, false from app.users order by id limit 1)) u;
             update app.users u set is_public = r.comment = 'from true' from app.reviews r where r.reviewer_id = u.id and r.entity_id = :host",
        )
        .await;
    let shown = olga.get(&path).await.expect(200).json;
    assert_eq!(number(&shown, "/reviews/rating_count"), 2);
    let latest = shown["reviews"]["latest"].as_array().expect("some");
    assert_eq!(latest.len(), 1);
    assert_eq!(latest[0]["comment"], "from true");
}

/// A change that is committed between two statements of an answer is in none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_a_dashboard_is_of_one_moment() {
    let world = World::new().await;
    let before = figures(&world, "").await;
    let codes = |shown: &Value| shown["promo_codes"].as_array().expect("codes").len();
    let mut other = world.server.superuser().await;
    let text = format!(
        "begin; lock table app.promo_codes in access exclusive mode;
         insert into app.promo_codes (event_id, code, basis_points) values ('{}', 'MEANWHILE', 100)",
        world.event
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(text))
        .execute(&mut other)
        .await
        .expect("locked");
    let meanwhile = async {
        // The answer has begun, and waits for the table of its last statement.
        let waits = "select count(*) from pg_locks where not granted and relation = 'app.promo_codes'::regclass";
        while world.sum(waits).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        sqlx::raw_sql("commit")
            .execute(&mut other)
            .await
            .expect("committed");
    };
    let (during, ()) = tokio::join!(figures(&world, ""), meanwhile);
    assert_eq!(codes(&during), codes(&before));
    assert_eq!(codes(&figures(&world, "").await), codes(&before) + 1);
}

/// A front end sends the buyer's source with the order; the sources with the most tickets come first.
#[tokio::test]
async fn od1_top_referrers_are_those_that_sell_the_most_tickets() {
    let stage = Stage::without_provider().await;
    let kind = stage.tickets("Free", 0, 50).await;
    for (referrer, quantity) in [
        (Some("newsletter"), 1),
        (Some("instagram"), 3),
        (None, 4),
        (Some("newsletter"), 1),
    ] {
        let mut cart = stage.cart(&[(kind, quantity)], false);
        if let Some(referrer) = referrer {
            cart["referrer"] = json!(referrer);
        }
        let order = keyed(&stage.mira, "/orders", cart).await.expect(201);
        let path = format!("/orders/{}", order.id());
        // The success of the host's campaigns is visible to the host only.
        let (mine, hosts) = (
            stage.mira.client.get(&path).await.expect(200),
            stage.olga.client.get(&path).await.expect(200),
        );
        assert!(mine.json.get("referrer").is_none(), "{}", mine.text);
        assert_eq!(hosts.json["referrer"], json!(referrer));
    }
    let path = format!("/events/{}/dashboard", stage.event);
    let shown = stage.olga.client.get(&path).await.expect(200).json;
    let row = |referrer: &str, orders: i64, tickets: i64| {
        json!({"referrer": referrer, "currency": "AUD",
        "orders": orders, "tickets": tickets, "amount_cents": 0})
    };
    assert_eq!(
        shown["referrers"],
        json!([row("instagram", 1, 3), row("newsletter", 2, 2)])
    );
    let mut cart = stage.cart(&[(kind, 1)], false);
    cart["referrer"] = json!("x".repeat(201));
    let refused = keyed(&stage.mira, "/orders", cart).await.expect(422);
    assert_eq!(refused.pointers(), ["/referrer"]);
}
