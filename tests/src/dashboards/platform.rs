//! `GET /platform/dashboard`.

use super::world::{World, number};
use serde_json::Value;
use uuid::Uuid;

async fn figures(world: &World, query: &str) -> Value {
    let path = format!("/platform/dashboard{query}");
    world.paula.client.get(&path).await.expect(200).json
}

/// The condition that a time is within the last `days` days (UTC).
fn within(time: &str, days: i32) -> String {
    format!(
        "({time} at time zone 'UTC')::date > (now() at time zone 'UTC')::date - {days} and ({time} at time zone 'UTC')::date <= (now() at time zone 'UTC')::date"
    )
}

fn orders(what: &str, days: i32) -> String {
    format!(
        "select {what} from app.orders o join app.events e on e.id = o.event_id
         where {} and exists (select from app.tickets k where k.order_id = o.id)",
        within("o.paid_at", days)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_figures_of_the_platform_are_what_the_tables_add_up_to() {
    let world = World::new().await;
    world
        .run(
            "set session_replication_role = replica;
             insert into app.fraud_flags (entity_type, entity_id, rule, score, evidence, state)
             select 'event', gen_random_uuid(), (array['card_testing', 'disputed_host', 'new_reviewers'])[1 + n % 3], n, '{}', (array['open', 'confirmed', 'dismissed'])[1 + floor(random() * 3)::int]
             from generate_series(1, 60) n",
        )
        .await;
    let year = (now_days_back(364), "month", 365);
    for (query, days) in [
        (String::new(), 30),
        (format!("?bucket={}&from={}", year.1, year.0), year.2),
    ] {
        let shown = figures(&world, &query).await;
        let members = format!(
            "select count(*) from app.users where status <> 'archived' and {}",
            within("created_at", days)
        );
        let events = format!(
            "select count(*) from app.events where status <> 'archived' and state in ('published', 'completed') and {}",
            within("starts_at", days)
        );
        let tickets = orders(
            "sum((select count(*) from app.tickets k where k.order_id = o.id))",
            days,
        );
        let count = orders("count(*)", days);
        for part in ["total", "buckets/*", "cities/*", "countries/*"] {
            let homeless = if part.contains('c') {
                " and home_city_id is not null"
            } else {
                ""
            };
            let of = |field: &str| format!("/activity/{part}/{field}");
            // Buckets count all members, places only those with a home city.
            let members = match part {
                "total" | "buckets/*" => members.clone(),
                _ => format!("{members}{homeless}"),
            };
            let sums = [
                (of("members"), members),
                (of("events"), events.clone()),
                (of("orders"), count.clone()),
                (of("tickets"), tickets.clone()),
            ];
            let sums: Vec<(&str, &str)> =
                sums.iter().map(|(path, text)| (&**path, &**text)).collect();
            world.agree(&shown, &sums).await;
        }
        for currency in ["AUD", "NZD"] {
            let of_currency = |text: String| format!("{text} and o.currency = '{currency}'");
            let online = |text: String| format!("{text} and not o.sold_at_door");
            let at_door = |text: String| format!("{text} and o.sold_at_door");
            let back = |what: &str| {
                format!(
                    "select sum({what}) from app.refunds r join app.orders o on o.id = r.order_id
                     where r.state = 'succeeded' and r.currency = '{currency}' and {} and exists (select from app.tickets k where k.order_id = o.id)",
                    within("r.settled_at", days)
                )
            };
            for part in ["total", "buckets", "cities", "countries"] {
                let of = |field: &str| format!("/revenue/{part}/{currency}/{field}");
                let sums = [
                    (of("orders"), of_currency(orders("count(*)", days))),
                    (
                        of("amount_cents"),
                        of_currency(orders("sum(o.amount_cents)", days)),
                    ),
                    (
                        of("organizer_cents"),
                        of_currency(orders("sum(o.organizer_cents)", days)),
                    ),
                    (
                        of("platform_fee_cents"),
                        online(of_currency(orders("sum(o.platform_fee_cents)", days))),
                    ),
                    (
                        of("city_share_cents"),
                        online(of_currency(orders("sum(o.city_share_cents)", days))),
                    ),
                    (
                        of("uncollected_fee_cents"),
                        at_door(of_currency(orders(
                            "sum(o.platform_fee_cents + o.city_share_cents)",
                            days,
                        ))),
                    ),
                    (of("refunded_cents"), back("r.amount_cents")),
                    (
                        of("platform_fee_refunded_cents"),
                        online(back("r.platform_fee_cents")),
                    ),
                    (
                        of("city_share_refunded_cents"),
                        online(back("r.city_share_cents")),
                    ),
                    (
                        of("uncollected_fee_refunded_cents"),
                        at_door(back("r.platform_fee_cents + r.city_share_cents")),
                    ),
                ];
                let sums: Vec<(&str, &str)> =
                    sums.iter().map(|(path, text)| (&**path, &**text)).collect();
                world.agree(&shown, &sums).await;
            }
        }
        let rules = |what: &str| {
            format!(
                "select sum(x.{what}) from (select * from app.commission_rules where status = 'active' and valid_from <= now()
                   and (valid_to is null or valid_to > now()) order by scope_id is not null, id desc limit 100) x"
            )
        };
        let charged = format!(
            "from app.transactions where status in ('succeeded', 'part_refunded', 'refunded') and {}",
            within("created_at", days)
        );
        world
            .agree(
                &shown,
                &[
                    ("/charges/*/charges", &format!("select count(*) {charged}")),
                    ("/charges/AUD/amount_cents", &format!("select sum(amount_cents) {charged} and currency = 'AUD'")),
                    ("/charges/NZD/amount_cents", &format!("select sum(amount_cents) {charged} and currency = 'NZD'")),
                    ("/charges/*/refunded_cents", &format!("select sum(refunded_cents) {charged}")),
                    ("/fraud_flags/*/open", "select count(*) from app.fraud_flags where state = 'open'"),
                    (
                        "/fraud_flags/*/highest_score",
                        "select sum(x.highest) from (select max(score) as highest from app.fraud_flags where state = 'open' group by rule) x",
                    ),
                    ("/commission_rules/*/basis_points", &rules("basis_points")),
                    ("/commission_rules/*/fixed_cents", &rules("fixed_cents")),
                    ("/commission_rules/*/city_share_basis_points", &rules("city_share_basis_points")),
                    (
                        "/commission_rule_count",
                        "select count(*) from app.commission_rules where status = 'active' and valid_from <= now() and (valid_to is null or valid_to > now())",
                    ),
                    ("/dead_jobs", "select count(*) from jobs.queue where state = 'dead'"),
                    (
                        "/failed_deliveries/*/failed",
                        &format!("select count(*) from app.notification_deliveries where state = 'failed' and {}", within("settled_at", days)),
                    ),
                ],
            )
            .await;
        world.whole("/platform/dashboard", &[]);
        assert!(
            number(&shown, "/activity/total/tickets") > 0
                && number(&shown, "/charges/*/refunded_cents") > 0
                && number(&shown, "/revenue/total/AUD/uncollected_fee_cents") > 0
        );
    }
}

fn now_days_back(days: i64) -> String {
    (chrono::Utc::now().date_naive() - chrono::TimeDelta::days(days)).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_the_platforms_figures_can_be_those_of_one_place() {
    let world = World::new().await;
    let whole = figures(&world, "").await;
    let here = figures(&world, &format!("?city_id={}", world.city)).await;
    let of = |shown: &Value, city: Uuid| {
        let cities = shown["activity"]["cities"].as_array().expect("cities");
        let id = city.to_string();
        let found = cities.iter().find(|one| one["place_id"] == id.as_str());
        found.expect("the city").clone()
    };
    assert_eq!(of(&whole, world.city), of(&here, world.city));
    assert_eq!(
        here["activity"]["cities"].as_array().expect("cities").len(),
        1
    );
    for field in ["members", "events", "orders", "tickets"] {
        assert_eq!(
            here["activity"]["total"][field],
            of(&here, world.city)[field],
            "{field}"
        );
    }
    let sydney = world.server.city("sydney").await;
    let elsewhere = figures(&world, &format!("?city_id={sydney}")).await;
    assert_eq!(
        elsewhere["activity"]["total"]["tickets"],
        of(&whole, sydney)["tickets"]
    );
    let nobody = figures(&world, &format!("?country_id={}", world.city)).await;
    assert_eq!(number(&nobody, "/activity/total/tickets"), 0);
    let client = &world.paula.client;
    for wrong in [
        "from=2020-01-01&to=2021-01-01",
        "bucket=hour",
        "city_id=melbourne",
        "q=1",
    ] {
        client
            .get(&format!("/platform/dashboard?{wrong}"))
            .await
            .expect(422);
    }
    client
        .get("/platform/dashboard?from=2020-01-01&to=2020-12-31")
        .await
        .expect(200);
    world
        .olga
        .client
        .get("/platform/dashboard")
        .await
        .expect(403);
    world
        .server
        .client
        .get("/platform/dashboard")
        .await
        .expect(401);
}
