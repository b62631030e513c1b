-- Trade between organisers, businesses and cities. Service requests, quotes and payments are made through the API (`seed sales`,
-- `seed trade`), not here.

insert into app.promo_codes (id, event_id, code, basis_points, max_redemptions, valid_from, valid_to)
select pg_temp.demo_id('promocode', e.city_n * 100 + e.i), e.id, 'EARLY' || (10 + e.i % 3 * 5), 1000 + e.i % 3 * 500, 50,
       now() - interval '30 days', e.starts_at
  from pg_temp.demo_event e
 where e.i % 6 = 1 and e.state = 'published';

-- Featured places. A pin on the map is free: some events have requested one, some have it, and one per city was rejected.
-- Promotions that cost something are made through the API (`seed trade`).
insert into app.featured_places (id, city_id, slot, day_price_cents, currency, capacity, max_days)
select pg_temp.demo_id('place', c.n * 10 + p.n), c.id, p.slot, p.price, c.currency, p.capacity, 90
  from pg_temp.demo_city c
  cross join (values (1, 'home', 900, 6), (2, 'category', 500, 10), (3, 'map', 0, 100)) p(n, slot, price, capacity);

insert into app.promotions (id, target_type, target_id, city_id, slot, starts_at, ends_at, days, currency, state)
select pg_temp.demo_id('promotion', e.city_n * 100 + e.i), 'event', e.id, e.city_id, 'map',
       now() - interval '1 day', now() + interval '13 days', 14, e.currency,
       case when e.i % 20 = 7 then 'active' when e.i % 20 = 12 then 'rejected' else 'requested' end
  from pg_temp.demo_event e
 where e.state = 'published' and e.i % 20 in (7, 12, 13);

-- Broadcasts of some hosts to their guests, as drafts or cancelled.
insert into app.broadcasts (id, event_id, title, message, audience, state)
select pg_temp.demo_id('broadcast', e.city_n * 100 + e.i), e.id, 'Doors open early',
       'We open an hour early. Bring something warm, the hall is cool in the evening.',
       (array['guests', 'not_checked_in', 'waiting_list'])[1 + e.i % 3], case when e.i % 2 = 0 then 'draft' else 'cancelled' end
  from pg_temp.demo_event e
 where e.state = 'published' and e.i % 5 = 1;

-- Rows of Olga's that the examples of the API document show (`seed/examples.rs`): a promo code for her event in the park and a
-- message to its guests.
create temporary table demo_own on commit drop as
select e.id as event_id, e.starts_at
  from pg_temp.demo_profile o
  join pg_temp.demo_event e on e.host_id = o.id and e.state = 'published'
 where (o.kind, o.city_n, o.i) = ('organization', 1, 1)
 order by e.starts_at desc
 limit 1;

insert into app.promo_codes (id, event_id, code, basis_points, max_redemptions, valid_from, valid_to)
select pg_temp.demo_id('promocode', 90001), event_id, 'NEIGHBOURS', 1000, 20, now() - interval '30 days', starts_at from pg_temp.demo_own;

insert into app.broadcasts (id, event_id, title, message, audience, state)
select pg_temp.demo_id('broadcast', 90001), event_id, 'Where we meet',
       'At the gate beside the fountain. Bring a bottle of water.', 'guests', 'draft'
  from pg_temp.demo_own;
