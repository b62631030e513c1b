//! `GET /cities/{id}/dashboard`.

use super::world::{World, number};
use serde_json::Value;
use server::seed::demo::PEOPLE;

const ZONE: &str = "at time zone 'Australia/Melbourne'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_figures_of_a_city_are_what_the_tables_add_up_to() {
    let world = World::new().await;
    world
        .run(
            "set session_replication_role = replica;
             insert into app.organizations (city_id, name, slug, state, status)
             select :city, 'Waits ' || n, 'waits-' || n, (array['pending', 'approved', 'rejected'])[1 + n % 3], (array['active', 'suspended', 'active'])[1 + n / 40 % 3]
             from generate_series(1, 120) n;
             insert into app.businesses (city_id, name, slug, state)
             select :city, 'Waits ' || n, 'waits-' || n, (array['pending', 'approved'])[1 + n % 2] from generate_series(1, 50) n;
             update app.events set status = 'suspended' where city_id = :city and random() < 0.2;
             insert into app.promotions (city_id, target_type, target_id, slot, starts_at, ends_at, state, amount_cents, paid_at)
             select :city, 'event', e.id, 'home', now() + (n - 3) * interval '1 day', now() + (n - 2) * interval '1 day',
               (array['requested', 'approved', 'active', 'ended'])[1 + floor(random() * 4)::int], 100, case when random() < 0.5 then now() end
             from app.events e, generate_series(1, 6) n where e.city_id = :city;
             insert into app.featured_places (city_id, slot, day_price_cents, currency, capacity)
             select :city, s, 100, 'AUD', 7 from unnest(array['home', 'map']) s on conflict do nothing;
             insert into app.promotions (city_id, target_type, target_id, slot, starts_at, ends_at, state)
             values (:city, 'event', :event, 'map', now() - interval '1 hour', now() + interval '1 hour', 'active');
             insert into app.revenue_shares (city_id, currency, period_start, amount_cents)
             select :city, c, date_trunc('month', now())::date - make_interval(months => n), 100 * n - 300
             from generate_series(1, 14) n, unnest(array['SEK', 'NOK']) c",
        )
        .await;
    let carlo = world.server.sign_in(PEOPLE[1].id).await;
    let path = format!("/cities/{}/dashboard", world.city);
    let shown = carlo.client.get(&path).await.expect(200).json;
    let since = format!("(now() {ZONE})::date - 364");
    let events = |what: &str| {
        format!(
            "select {what} from app.events e where city_id = :city and status <> 'archived' and state <> 'draft'
             and (starts_at {ZONE})::date between {since} and (now() {ZONE})::date"
        )
    };
    let tickets = |states: &str| {
        events(&format!(
            "sum((select count(*) from app.tickets k where k.event_id = e.id and k.state in ({states})))"
        ))
    };
    let suspended = |table: &str| {
        format!("select count(*) from app.{table} where city_id = :city and status = 'suspended'")
    };
    let waiting = "where city_id = :city and state = 'pending' and status = 'active'";
    let all_suspended = [
        "events",
        "organizations",
        "communities",
        "businesses",
        "institutions",
        "venues",
    ]
    .map(|table| format!("({})", suspended(table)))
    .join(" + ");
    world
        .agree(
            &shown,
            &[
                ("/approvals/organization_count", &format!("select count(*) from app.organizations {waiting}")),
                ("/approvals/business_count", &format!("select count(*) from app.businesses {waiting}")),
                (
                    "/approvals/promotion_count",
                    "select count(*) from app.promotions where city_id = :city and state = 'requested' and status = 'active' and ends_at > now()",
                ),
                (
                    "/revenue_shares/*/amount_cents",
                    &format!("select sum(amount_cents) from app.revenue_shares where city_id = :city and period_start between {since} and (now() {ZONE})::date"),
                ),
                (
                    "/approvals/promotions/*/amount_cents",
                    "select sum(x.amount_cents) from (select p.amount_cents from app.promotions p
                       where p.city_id = :city and p.state = 'requested' and p.status = 'active' and p.ends_at > now()
                       order by p.created_at, p.id limit 20) x",
                ),
                (
                    "/featured/places/*/day_price_cents",
                    "select sum(day_price_cents) from app.featured_places where city_id = :city and status = 'active'",
                ),
                (
                    "/featured/places/*/capacity",
                    "select sum(capacity) from app.featured_places where city_id = :city and status = 'active'",
                ),
                (
                    "/featured/places/*/in_use",
                    "select count(*) from app.promotions where city_id = :city and state = 'active' and status = 'active'
                     and starts_at <= now() and ends_at > now()
                     and slot in (select slot from app.featured_places where city_id = :city and status = 'active')",
                ),
                (
                    "/suspended/counts/*/count",
                    &format!("select {all_suspended} + (select count(*) from app.users where home_city_id = :city and status = 'suspended')"),
                ),
                ("/months/*/published", &events("count(*) filter (where state = 'published')")),
                ("/months/*/completed", &events("count(*) filter (where state = 'completed')")),
                ("/months/*/cancelled", &events("count(*) filter (where state = 'cancelled')")),
                ("/months/*/tickets", &tickets("'valid', 'checked_in'")),
                ("/months/*/checked_in", &tickets("'checked_in'")),
            ],
        )
        .await;
    assert!(number(&shown, "/months/*/tickets") > 0);
    assert!(number(&shown, "/featured/places/*/in_use") > 0);
    world.whole("/cities/{id}/dashboard", &[]);
    // Bookings say for what they are, so that the page needs no request for each.
    let mut conn = world.server.superuser().await;
    for list in ["/approvals/promotions", "/featured/now", "/featured/coming"] {
        for booking in shown
            .pointer(list)
            .and_then(Value::as_array)
            .expect("bookings")
        {
            let id = booking["target_id"].as_str().expect("an id");
            let name: String = sqlx::query_scalar("select app.name_of($1::text::uuid)")
                .bind(id)
                .fetch_one(&mut conn)
                .await
                .expect("a name");
            assert_eq!(booking["target_name"], name, "{list}");
        }
    }
    // The oldest first, and no more than twenty.
    let waiting = shown["approvals"]["organizations"]
        .as_array()
        .expect("some");
    let times: Vec<&str> = waiting
        .iter()
        .map(|one| one["created_at"].as_str().expect("a time"))
        .collect();
    assert!(times.is_sorted() && times.len() == 20, "{times:?}");

    world.server.client.get(&path).await.expect(401);
    world.olga.client.get(&path).await.expect(403);
    world.paula.client.get(&path).await.expect(200);
    let sydney = world.server.city("sydney").await;
    carlo
        .client
        .get(&format!("/cities/{sydney}/dashboard"))
        .await
        .expect(403);
    carlo
        .client
        .get(&format!("{path}?from=2020-01-01&to=2021-01-02"))
        .await
        .expect(422);
}
