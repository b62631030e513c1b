//! Random rows, inserted directly into the tables, so that no expected figure is computed by the code under test.

use super::whole;
use crate::money::{seed, stage::Stage};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use std::{collections::BTreeSet, ops::Deref, sync::Mutex};
use uuid::Uuid;

pub struct World {
    stage: Stage,
    pub host: Uuid,
    pub city: Uuid,
    /// The paths of the figures that were compared with the tables so far, with `*` for the items of a list
    /// (`/list/*/field`).
    agreed: Mutex<BTreeSet<String>>,
}

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

/// Triggers are disabled: they would refuse much of it, and maintain sums that these tests must not rely on.
const ROWS: &str = "
    insert into app.events (city_id, host_type, host_id, title, slug, starts_at, ends_at, timezone, state, capacity)
    select e.city_id, e.host_type, e.host_id, 'Random ' || n, 'random-' || n, d.at, d.at + interval '2 hours', e.timezone,
      (array['draft', 'published', 'cancelled', 'completed'])[1 + n % 4], case when n % 3 = 0 then 12 end
    from app.events e, generate_series(1, 30) n, lateral (select now() + (random() - 0.6) * n * interval '20 days' as at) d
    where e.id = :event;
    set session_replication_role = replica;
    insert into app.ticket_types (event_id, name, price_cents, currency, capacity, held, sold)
    select e.id, 'T' || n, 1000, 'AUD', 20, floor(random() * 5), floor(random() * 10)
    from app.events e, generate_series(1, 2) n where e.host_id = :host;
    insert into app.promo_codes (event_id, code, basis_points)
    select e.id, 'CODE' || n, 1000 from app.events e, generate_series(1, 2) n where e.host_id = :host;
    create temporary table drawn as
    select sec.uuid_v7() as id, e.id as event_id, (select u.id from app.users u order by random() + n limit 1) as user_id, n,
      (array['AUD', 'NZD'])[1 + floor(random() * 2)::int] as currency, floor(random() * 5000)::int as amount,
      case when random() < 0.8 then now() - random() * interval '430 days' end as paid_at,
      floor(random() * 4)::int as tickets
    from app.events e, generate_series(1, 12) n where e.host_id = :host;
    update drawn set paid_at = now() - random() * interval '3 days' where n % 4 = 0;
    insert into app.orders (id, user_id, event_id, state, subtotal_cents, discount_cents, fee_cents, amount_cents, card_cents,
      currency, platform_fee_cents, city_share_cents, organizer_cents, paid_at, idempotency_key, promo_code_id, referrer, ticket_count)
    select d.id, d.user_id, d.event_id, case when d.paid_at is null then 'expired' else 'paid' end, d.amount + 30, 50, 20, d.amount, d.amount,
      d.currency, d.amount / 10, d.amount / 50, d.amount - d.amount / 10 - d.amount / 50, d.paid_at, 'random-order-' || d.id,
      case when d.n % 3 = 0 then (select p.id from app.promo_codes p where p.event_id = d.event_id order by random() + d.n limit 1) end,
      (array['newsletter', 'instagram'])[d.n % 4], d.tickets
    from drawn d;
    insert into app.tickets (order_id, ticket_type_id, event_id, holder_id, buyer_id, state, code, position, currency)
    select d.id, (select t.id from app.ticket_types t where t.event_id = d.event_id order by random() + i limit 1), d.event_id,
      (select u.id from app.users u order by random() + i + d.n limit 1), d.user_id,
      (array['valid', 'checked_in', 'refunded', 'void'])[1 + floor(random() * 4)::int], 'a-random-code-' || d.id || i, i, d.currency
    from drawn d, generate_series(1, 3) i where i <= d.tickets;
    insert into app.refunds (order_id, state, amount_cents, card_cents, organizer_cents, platform_fee_cents, city_share_cents, currency,
      stripe_idempotency_key, settled_at, reason)
    select d.id, (array['pending', 'succeeded', 'failed'])[1 + floor(random() * 3)::int], d.amount / 2, d.amount / 2,
      d.amount / 2 - d.amount / 20 - d.amount / 100, d.amount / 20, d.amount / 100, d.currency, 'random-refund-' || d.id,
      coalesce(d.paid_at, now()) + random() * interval '20 days', 'requested'
    from drawn d where d.n % 2 = 0;
    update app.orders o set sold_at_door = true, card_cents = 0, cash_cents = o.amount_cents from drawn d where d.id = o.id and d.n % 6 in (1, 2);
    update app.refunds r set card_cents = 0, cash_cents = r.amount_cents from drawn d where d.id = r.order_id and d.n % 6 in (1, 2);
    insert into app.transfers (order_id, kind, amount_cents, currency, state, stripe_account_id, stripe_idempotency_key, settled_at)
    select d.id, k.kind, 1 + d.amount / k.part, d.currency,
      (array['pending', 'succeeded', 'succeeded', 'succeeded', 'failed'])[1 + floor(random() * 5)::int], 'acct_random',
      'random-transfer-' || k.kind || d.id, coalesce(d.paid_at, now()) + random() * interval '20 days'
    from drawn d, (values ('dispute_reversal', 2), ('dispute_return', 4), ('refund_reversal', 3), ('top_up', 3)) k(kind, part)
    where d.n % 5 = 0 and (k.kind <> 'dispute_return' or d.n % 10 = 0);
    insert into app.check_ins (event_id, ticket_id, result, nonce, at)
    select t.event_id, t.id, case when t.state = 'checked_in' then 'ok' else 'void' end, 'random-' || t.id,
      now() - random() * interval '5 hours'
    from app.tickets t where t.code like 'a-random%';
    insert into app.check_ins (event_id, ticket_id, checkpoint_id, nonce, at)
    select t.event_id, t.id, t.event_id, 'at-no-door-' || t.id, now()
    from app.tickets t where t.code like 'a-random%' and t.state = 'checked_in';
    insert into app.attendances (user_id, event_id)
    select distinct t.holder_id, t.event_id from app.tickets t where t.code like 'a-random%' and t.state = 'checked_in'
    on conflict do nothing;
    insert into app.likes (user_id, event_id, status)
    select u.id, e.id, (array['active', 'archived', 'suspended'])[1 + floor(random() * 3)::int]
    from app.users u, app.events e where e.host_id = :host and random() < 0.1
    on conflict do nothing;
    insert into app.follows (follower_id, entity_type, entity_id, status, created_at)
    select u.id, 'organization', :host, (array['active', 'archived'])[1 + floor(random() * 2)::int], now() - random() * interval '500 days'
    from app.users u on conflict do nothing;
    insert into app.reviews (reviewer_id, entity_type, entity_id, rating, comment, reply, status)
    select u.id, 'organization', :host, 1 + floor(random() * 5)::int, 'Said', case when random() < 0.5 then 'Answered' end,
      (array['active', 'active', 'archived', 'suspended'])[1 + floor(random() * 4)::int]
    from app.users u on conflict do nothing;
    insert into app.waitlist_entries (event_id, user_id, state, position)
    select e.id, u.id, (array['waiting', 'offered', 'taken', 'expired'])[1 + floor(random() * 4)::int], 1
    from app.users u, app.events e where e.host_id = :host and random() < 0.1
    on conflict do nothing;
    update app.users set created_at = now() - random() * interval '60 days', home_city_id = :city where random() < 0.7;
    insert into app.transactions (user_id, city_id, order_id, type, amount_cents, refunded_cents, currency, status,
      stripe_idempotency_key, created_at)
    select d.user_id, :city, d.id, 'ticket', d.amount, case when d.n % 2 = 0 and d.paid_at is not null then d.amount / 2 else 0 end, d.currency,
      case when d.paid_at is null then 'failed' when d.n % 2 = 0 then 'part_refunded' else 'succeeded' end, 'random-payment-' || d.id,
      coalesce(d.paid_at, now())
    from drawn d where d.amount > 1;
    drop table drawn;
    set session_replication_role = origin;
    analyze";

impl World {
    pub async fn new() -> Self {
        let stage = Stage::without_provider().await;
        let mut conn = stage.server.superuser().await;
        let (host, city): (Uuid, Uuid) =
            sqlx::query_as("select host_id, city_id from app.events where id = $1")
                .bind(stage.event)
                .fetch_one(&mut conn)
                .await
                .expect("the event");
        let world = Self {
            stage,
            host,
            city,
            agreed: Mutex::default(),
        };
        let draw = seed() as f64 / f64::from(u32::MAX);
        world
            .run(&format!("select setseed({draw}); {}", world.told(ROWS)))
            .await;
        world
    }

    /// Fills the ids of the world into a text.
    fn told(&self, text: &str) -> String {
        text.replace(":event", &format!("'{}'", self.event))
            .replace(":host", &format!("'{}'", self.host))
            .replace(":city", &format!("'{}'", self.city))
    }

    pub async fn run(&self, text: &str) {
        sqlx::raw_sql(AssertSqlSafe(self.told(text)))
            .execute(&mut self.server.superuser().await)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// One number, computed from the tables.
    pub async fn sum(&self, text: &str) -> i64 {
        self.sum_on(self.server.superuser().await.looking(), text)
            .await
    }

    pub async fn sum_on(&self, conn: &mut PgConnection, text: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(format!(
            "select coalesce(({}), 0)::int8",
            self.told(text)
        )))
        .fetch_one(conn)
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// Asserts that each number of an answer equals the result of its statement.
    pub async fn agree(&self, figures: &Value, expected: &[(&str, &str)]) {
        let mut conn = self.server.superuser().await;
        for (path, text) in expected {
            let shown = number(figures, path);
            let sum = self.sum_on(&mut conn, text).await;
            assert_eq!(shown, sum, "{path}: {text}");
            self.agrees(path);
        }
    }

    /// Notes that one figure has been compared with the tables.
    pub fn agrees(&self, path: &str) {
        let path = path.replace("/AUD/", "/*/").replace("/NZD/", "/*/");
        self.agreed.lock().expect("figures").insert(path);
    }

    /// Checks that all figures of a dashboard have been compared with the tables, except those below the paths of
    /// `left_out`, each with its reason.
    pub fn whole(&self, screen: &str, left_out: &[(&str, &str)]) {
        let below: Vec<&str> = left_out.iter().map(|(place, _)| *place).collect();
        let all = whole::figures(screen, &[]);
        let asked = whole::figures(screen, &below);
        for place in below {
            let is_there = all.iter().any(|figure| figure.starts_with(place));
            assert!(is_there, "{screen} has no figure at {place}");
        }
        let agreed = self.agreed.lock().expect("figures");
        let missing: Vec<&String> = asked.difference(&agreed).collect();
        assert!(
            missing.is_empty(),
            "{screen}: not compared with the tables: {missing:?}"
        );
    }
}

/// Queries of the figures about reviews of the host: their number, the number without a reply, and the ratings of the
/// latest public ones.
pub const REVIEWS: [(&str, &str); 3] = [
    (
        "/reviews/rating_count",
        "select count(*) from app.reviews where entity_id = :host and status = 'active'",
    ),
    (
        "/reviews/unanswered",
        "select count(*) from app.reviews where entity_id = :host and status = 'active' and reply is null",
    ),
    (
        "/reviews/latest/*/rating",
        "select sum(x.rating) from (select r.rating from app.reviews r join app.users u on u.id = r.reviewer_id
           where r.entity_id = :host and r.status = 'active' and u.is_public and u.status = 'active' order by r.id desc limit 5) x",
    ),
];

impl World {
    /// Checks the figures about reviews, including the average rating, which is not an integer.
    pub async fn reviews_agree(&self, shown: &Value) {
        self.agree(shown, &REVIEWS).await;
        let average = "select round(avg(rating) * 100) from app.reviews where entity_id = :host and status = 'active'";
        let told = shown["reviews"]["rating_avg"].as_f64().expect("some");
        assert_eq!((told * 100.0).round() as i64, self.sum(average).await);
        self.agrees("/reviews/rating_avg");
    }
}

/// A number of an answer, such as `/likes`; or the sum over a list, `/sold/*/orders`; or that of one currency,
/// `/sold/AUD/orders`.
pub fn number(figures: &Value, path: &str) -> i64 {
    for mark in ["/*/", "/AUD/", "/NZD/"] {
        if let Some((list, field)) = path.split_once(mark) {
            let currency = mark.trim_matches('/');
            let all = figures.pointer(list).and_then(Value::as_array);
            let all = all.unwrap_or_else(|| panic!("{list}: {figures}"));
            return (all.iter())
                .filter(|one| currency == "*" || one["currency"] == currency)
                .map(|one| {
                    one.pointer(&format!("/{field}"))
                        .and_then(Value::as_i64)
                        .unwrap_or_else(|| panic!("{path}: {one}"))
                })
                .sum();
        }
    }
    let shown = figures.pointer(path).and_then(Value::as_i64);
    shown.unwrap_or_else(|| panic!("{path}: {figures}"))
}
