//! `GET /organizations/{id}/dashboard` and its like.

use super::world::{World, number};
use crate::money::stage::keyed;
use serde_json::{Value, json};
use uuid::Uuid;

const ZONE: &str = "at time zone 'Australia/Melbourne'";

async fn figures(world: &World) -> Value {
    let path = format!("/organizations/{}/dashboard", world.host);
    world.olga.client.get(&path).await.expect(200).json
}

/// Orders with tickets of the host's events, by local day, within the last 365 days.
fn paid(what: &str, currency: &str) -> String {
    format!(
        "select {what} from app.orders o join app.events e on e.id = o.event_id
         where e.host_id = :host and o.currency = '{currency}' and exists (select from app.tickets k where k.order_id = o.id)
           and (o.paid_at {ZONE})::date > (now() {ZONE})::date - 365 and (o.paid_at {ZONE})::date <= (now() {ZONE})::date"
    )
}

fn back(what: &str, currency: &str) -> String {
    format!(
        "select sum(r.{what}) from app.refunds r join app.orders o on o.id = r.order_id join app.events e on e.id = o.event_id
         where e.host_id = :host and r.currency = '{currency}' and r.state = 'succeeded'
           and exists (select from app.tickets k where k.order_id = o.id)
           and (r.settled_at {ZONE})::date > (now() {ZONE})::date - 365 and (r.settled_at {ZONE})::date <= (now() {ZONE})::date"
    )
}

/// What the host's account was debited for disputes, less what it got back.
fn disputed(currency: &str) -> String {
    let moved = |kind: &str| {
        format!(
            "select coalesce(sum(t.amount_cents), 0) from app.transfers t join app.orders o on o.id = t.order_id
               join app.events e on e.id = o.event_id
             where e.host_id = :host and t.currency = '{currency}' and t.kind = '{kind}' and t.state = 'succeeded'
               and exists (select from app.tickets k where k.order_id = o.id)
               and (t.settled_at {ZONE})::date > (now() {ZONE})::date - 365 and (t.settled_at {ZONE})::date <= (now() {ZONE})::date"
        )
    };
    let [taken, returned] = ["dispute_reversal", "dispute_return"].map(moved);
    format!("select ({taken}) - ({returned})")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_figures_of_a_host_are_what_the_tables_add_up_to() {
    let world = World::new().await;
    let shown = figures(&world).await;
    for list in ["revenue_by_month", "revenue_by_event"] {
        for currency in ["AUD", "NZD"] {
            let of = |field: &str| format!("/{list}/{currency}/{field}");
            let net = format!(
                "({}) - coalesce(({}), 0) - coalesce(({}), 0)",
                paid("sum(o.organizer_cents)", currency),
                back("organizer_cents", currency),
                disputed(currency)
            );
            let sums = [
                (of("orders"), paid("count(*)", currency)),
                (
                    of("tickets"),
                    paid(
                        "sum((select count(*) from app.tickets k where k.order_id = o.id))",
                        currency,
                    ),
                ),
                (of("gross_cents"), paid("sum(o.subtotal_cents)", currency)),
                (
                    of("discount_cents"),
                    paid("sum(o.discount_cents)", currency),
                ),
                (of("fee_cents"), paid("sum(o.fee_cents)", currency)),
                (of("amount_cents"), paid("sum(o.amount_cents)", currency)),
                (
                    of("platform_fee_cents"),
                    paid("sum(o.platform_fee_cents)", currency),
                ),
                (
                    of("city_share_cents"),
                    paid("sum(o.city_share_cents)", currency),
                ),
                (
                    of("organizer_cents"),
                    paid("sum(o.organizer_cents)", currency),
                ),
                (of("refunded_cents"), back("amount_cents", currency)),
                (
                    of("organizer_refunded_cents"),
                    back("organizer_cents", currency),
                ),
                (of("organizer_disputed_cents"), disputed(currency)),
                (of("net_cents"), format!("select {net}")),
            ];
            let sums: Vec<(&str, &str)> =
                sums.iter().map(|(path, text)| (&**path, &**text)).collect();
            world.agree(&shown, &sums).await;
            assert!(number(&shown, &of("refunded_cents")) > 0);
            assert!(number(&shown, &of("organizer_disputed_cents")) > 0);
        }
    }
    world
        .agree(
            &shown,
            &[
                (
                    "/events/upcoming_count",
                    "select count(*) from app.events where host_id = :host and ends_at > now() and status <> 'archived'",
                ),
                (
                    "/events/past_count",
                    "select count(*) from app.events where host_id = :host and ends_at <= now() and status <> 'archived'",
                ),
                ("/followers/count", "select count(*) from app.follows where entity_id = :host and status = 'active'"),
                (
                    "/followers/months/*/followers",
                    "select count(*) from app.follows where entity_id = :host and status = 'active'
                     and (created_at at time zone 'Australia/Melbourne')::date > (now() at time zone 'Australia/Melbourne')::date - 365",
                ),
                (
                    "/pictures/first/*/position",
                    "select sum(x.position) from (select m.position from app.media m where m.entity_id = :host and m.status = 'active'
                       order by m.position, m.id limit 12) x",
                ),
                ("/pictures/count", "select count(*) from app.media where entity_id = :host and status = 'active'"),
                (
                    "/services/open_count",
                    "select count(*) from app.service_requests where host_id = :host and status = 'active' and state = 'open'",
                ),
            ],
        )
        .await;
    world.reviews_agree(&shown).await;
    for (list, is_over, order) in [
        ("upcoming", "e.ends_at > now()", "e.starts_at, e.id"),
        ("past", "e.ends_at <= now()", "e.starts_at desc, e.id desc"),
    ] {
        let few = format!(
            "select e.* from app.events e where e.host_id = :host and {is_over} and e.status <> 'archived' order by {order} limit 20"
        );
        let of_types = |what: &str| {
            format!(
                "select sum(t.{what}) from ({few}) e join app.ticket_types t on t.event_id = e.id and t.status <> 'archived'"
            )
        };
        let left = format!(
            "select sum(greatest(least(t.places, coalesce(e.capacity, t.places)) - t.gone, 0)) from ({few}) e,
             lateral (select coalesce(sum(t.capacity), 0) as places, coalesce(sum(t.held + t.sold), 0) as gone
               from app.ticket_types t where t.event_id = e.id and t.status <> 'archived') t"
        );
        let of = |field: &str| format!("/events/{list}/*/{field}");
        let sums = [
            (of("places"), of_types("capacity")),
            (of("held"), of_types("held")),
            (of("sold"), of_types("sold")),
            (of("left"), left),
        ];
        let sums: Vec<(&str, &str)> = sums.iter().map(|(path, text)| (&**path, &**text)).collect();
        world.agree(&shown, &sums).await;
    }
    world.whole(
        "/organizations/{id}/dashboard",
        &[
            ("/services/quotes", "in the test of a business"),
            ("/services/acceptable", "in the test of a business"),
            ("/services/open", "in the test of a business"),
            ("/trade", "in the test of a business"),
        ],
    );
    assert!(shown["events"]["past"].as_array().expect("events").len() <= 20);
    assert_eq!(shown["trade"], Value::Null);
}

/// A business, as seen by an administrator and by the organiser who sent it a request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn od1_a_business_sees_its_leads_quotes_and_plan() {
    let world = World::new().await;
    let business: Uuid = {
        let mut conn = world.server.superuser().await;
        sqlx::query_scalar("select id from app.businesses where status = 'active' and city_id = $1 order by id limit 1")
            .bind(world.city)
            .fetch_one(&mut conn)
            .await
            .expect("a business")
    };
    let told = |text: &str| text.replace(":business", &format!("'{business}'"));
    world
        .run(&told(
            "set session_replication_role = replica;
             insert into app.service_requests (city_id, host_type, host_id, title, category, description, state)
             select :city, 'organization', :host, 'Wanted ' || n, 'catering', 'Food', (array['open', 'settled', 'closed'])[1 + n % 3]
             from generate_series(1, 30) n;
             insert into app.leads (service_request_id, business_id, title, details, state)
             select s.id, :business, s.title, 'Food', (array['new', 'viewed', 'declined', 'won', 'lost'])[1 + floor(random() * 5)::int]
             from app.service_requests s where s.title like 'Wanted %';
             insert into app.quotes (lead_id, amount_cents, currency, terms, valid_until, state)
             select l.id, 100, 'AUD', 'None', now() + (n - 1) * interval '1 day',
               (array['draft', 'sent', 'declined', 'expired'])[1 + floor(random() * 4)::int]
             from app.leads l, generate_series(1, 3) n where l.title like 'Wanted %'",
        ))
        .await;
    let path = format!("/businesses/{business}/dashboard");
    let shown = world.paula.client.get(&path).await.expect(200).json;
    let mut sums = Vec::new();
    for state in ["new", "viewed", "declined", "won", "lost"] {
        let text = "select count(*) from app.leads where business_id = :business and status = 'active' and state = ";
        sums.push((
            format!("/trade/leads/{state}"),
            format!("{}'{state}'", told(text)),
        ));
    }
    for state in ["draft", "sent", "accepted", "declined", "expired"] {
        let text = "select count(*) from app.quotes q join app.leads l on l.id = q.lead_id
             where l.business_id = :business and l.status = 'active' and q.status = 'active' and q.state = ";
        sums.push((
            format!("/trade/quotes/{state}"),
            format!("{}'{state}'", told(text)),
        ));
    }
    let sums: Vec<(&str, &str)> = sums.iter().map(|(path, text)| (&**path, &**text)).collect();
    world.agree(&shown, &sums).await;
    assert!(
        shown["trade"]["open_leads"]
            .as_array()
            .expect("leads")
            .len()
            <= 20
    );
    // A query over the latest 20 open service requests of the host.
    let open = |count: &str| {
        format!(
            "select sum(({count})) from (select * from app.service_requests where host_id = :host and status = 'active' and state = 'open'
               order by id desc limit 20) s"
        )
    };
    // The other side doesn't see drafts; what can be accepted is determined by the rule of `accept`.
    let of_host = figures(&world).await;
    let quotes = "from app.quotes q join app.leads l on l.id = q.lead_id join app.service_requests s on s.id = l.service_request_id
         where s.host_id = :host and s.status = 'active' and l.status = 'active' and q.status = 'active'";
    world
        .agree(
            &of_host,
            &[
                (
                    "/services/quotes/sent",
                    &format!("select count(*) {quotes} and q.state = 'sent'"),
                ),
                ("/services/quotes/draft", "select 0"),
                (
                    "/services/quotes/accepted",
                    &format!("select count(*) {quotes} and q.state = 'accepted'"),
                ),
                (
                    "/services/quotes/declined",
                    &format!("select count(*) {quotes} and q.state = 'declined'"),
                ),
                (
                    "/services/quotes/expired",
                    &format!("select count(*) {quotes} and q.state = 'expired'"),
                ),
                (
                    "/services/open_count",
                    "select count(*) from app.service_requests where host_id = :host and status = 'active' and state = 'open'",
                ),
                (
                    "/services/open/*/leads",
                    &open("select count(*) from app.leads l where l.service_request_id = s.id and l.status = 'active'"),
                ),
                (
                    "/services/open/*/quotes",
                    &open(
                        "select count(distinct q.lead_id) from app.quotes q join app.leads l on l.id = q.lead_id and l.status = 'active'
                         where l.service_request_id = s.id and q.status = 'active' and q.state <> 'draft'",
                    ),
                ),
                (
                    "/services/acceptable/*/amount_cents",
                    &format!(
                        "select sum(x.amount_cents) from (select q.amount_cents {quotes} and q.state = 'sent' and q.valid_until > now()
                           and s.state = 'open' and l.state in ('new', 'viewed') order by q.valid_until, q.id limit 20) x"
                    ),
                ),
            ],
        )
        .await;
    world.whole(
        "/businesses/{id}/dashboard",
        &[
            ("/events", "in the test of a host"),
            ("/revenue_by_month", "in the test of a host"),
            ("/revenue_by_event", "in the test of a host"),
            ("/followers", "in the test of a host"),
            ("/pictures", "in the test of a host"),
            ("/reviews", "in the test of a host"),
            ("/trade/open_leads/*/budget_cents", "a column of the lead"),
            ("/trade/subscription/price_cents", "a column of the plan"),
        ],
    );
    let acceptable = format!(
        "select least(count(*), 20) {quotes} and q.state = 'sent' and q.valid_until > now() and s.state = 'open' and l.state in ('new', 'viewed')"
    );
    let listed = of_host["services"]["acceptable"]
        .as_array()
        .expect("quotes")
        .len();
    assert_eq!(listed as i64, world.sum(&acceptable).await);
    // A member who requests services of the business can't see its dashboard.
    world.olga.client.get(&path).await.expect(403);

    // No quote of a business that is suspended can be accepted.
    world
        .run(
            "set session_replication_role = replica;
             update app.service_requests set state = 'open' where host_id = :host;
             update app.leads l set state = 'new' from app.service_requests s where s.id = l.service_request_id and s.host_id = :host;
             update app.quotes q set state = 'sent', valid_until = now() + interval '1 day'
             from app.leads l join app.service_requests s on s.id = l.service_request_id
             where l.id = q.lead_id and s.host_id = :host",
        )
        .await;
    let listed = async || figures(&world).await["services"]["acceptable"].clone();
    assert_ne!(listed().await, json!([]));
    world
        .run("update app.businesses set status = 'suspended' where id in (select l.business_id from app.leads l)")
        .await;
    assert_eq!(listed().await, json!([]));
}

#[tokio::test]
async fn od1_a_hosts_dashboard_is_for_its_administrators_and_the_platform() {
    let world = World::new().await;
    let path = format!("/organizations/{}/dashboard", world.host);
    world.server.client.get(&path).await.expect(401);
    world.mira.client.get(&path).await.expect(403);
    world.paula.client.get(&path).await.expect(200);
    let olga = &world.olga.client;
    olga.get(&format!("{path}?from=2025-01-01&to=2026-01-02"))
        .await
        .expect(422);
    // The id of another kind of host is not found.
    olga.get(&format!("/communities/{}/dashboard", world.host))
        .await
        .expect(404);
    let body = json!({"name": "A circle", "city_id": world.city});
    let made = world
        .mira
        .client
        .post("/communities", body)
        .await
        .expect(201);
    let circle = format!("/communities/{}/dashboard", made.id());
    let shown = world.mira.client.get(&circle).await.expect(200).json;
    assert_eq!(shown["host_type"], "community");
    olga.get(&circle).await.expect(403);
    // A purchase appears immediately.
    world
        .run("delete from app.waitlist_entries where event_id = :event")
        .await;
    let kind = world.tickets("Door", 500, 10).await;
    let before = figures(&world).await;
    let mut cart = world.cart(&[(kind, 2)], false);
    cart["use_credits"] = json!(false);
    keyed(&world.olga, "/door-sales", cart).await.expect(201);
    let after = figures(&world).await;
    for (field, more) in [("orders", 1), ("tickets", 2), ("amount_cents", 1000)] {
        let path = format!("/revenue_by_month/AUD/{field}");
        assert_eq!(
            number(&after, &path) - number(&before, &path),
            more,
            "{field}"
        );
    }
}
