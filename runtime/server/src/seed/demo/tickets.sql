-- Commissions of the platform, subscription plans and checkpoints. Orders and tickets are made through the API (`seed sales`,
-- `seed trade`), not here.

insert into app.commission_rules (id, type, basis_points, fixed_cents, currency, city_share_basis_points, valid_from)
select pg_temp.demo_id('rule', row_number() over (order by currency)), 'ticket', 500, 50, currency, 2000, '2026-01-01 00:00+00'
  from (select distinct currency from pg_temp.demo_city) c;

-- The platform keeps the whole price of a featured place, and the city gets a share of it.
insert into app.commission_rules (id, type, basis_points, currency, city_share_basis_points, valid_from)
select pg_temp.demo_id('rule', 100 + row_number() over (order by currency)), 'featured', 10000, currency, 3000, '2026-01-01 00:00+00'
  from (select distinct currency from pg_temp.demo_city) c;

-- Every city has proposed a larger share for itself, on which the platform has not decided.
insert into app.commission_proposals (id, city_id, proposed_by_id, type, basis_points, fixed_cents, currency, city_share_basis_points,
                                      valid_from, reason)
select pg_temp.demo_id('proposal', c.n), c.id, u.id, 'ticket', 450, 50, c.currency, 2500, now() + interval '30 days',
       'Small halls pay as much as large ones. We would take less of them and put our part into free rehearsals.'
  from pg_temp.demo_city c
  join pg_temp.demo_user u on u.n = 390 + c.n;

insert into app.plans (id, name, description, price_cents, currency, interval, features, leads_per_month, featured_days, has_reports)
select pg_temp.demo_id('plan', row_number() over (order by currency, price)), name, about, price, currency, 'month', features,
       case name when 'Stall' then 3 end, case name when 'Shop' then 7 else 0 end, name = 'Shop'
  from (select distinct currency from pg_temp.demo_city) c
  cross join (values ('Stall', 'A profile and three leads each month.', 1900, array['Profile', '3 leads']),
                     ('Shop', 'Leads without end and a place on the map.', 4900, array['Profile', 'All leads', 'Map']))
    p(name, about, price, features);

-- Checkpoints at some events: the bar admits all ticket types, backstage only one.
insert into app.checkpoints (id, event_id, name, all_ticket_types, counts_exits, allows_reentry)
select pg_temp.demo_id('checkpoint', row_number() over (order by e.id, p.name)), e.id, p.name, p.for_all, p.for_all, p.for_all
  from pg_temp.demo_event e
  cross join (values ('Bar', true), ('Backstage', false)) p(name, for_all)
 where e.state in ('published', 'completed') and e.i % 7 = 2;

insert into app.checkpoint_ticket_types (id, checkpoint_id, ticket_type_id, event_id)
select pg_temp.demo_id('named', row_number() over (order by p.id)), p.id, t.id, p.event_id
  from app.checkpoints p
  join app.ticket_types t on t.event_id = p.event_id and t.name = 'General admission'
 where p.name = 'Backstage';

-- The examples of the API document: a checkpoint at an event of Olga's, which one type of ticket is not named at yet.
insert into app.checkpoints (id, event_id, name, all_ticket_types, counts_exits, allows_reentry)
select pg_temp.demo_id('checkpoint', 900), id, 'Backstage', false, false, false
  from pg_temp.demo_event where city_n = 1 and i = 12;

insert into app.checkpoint_ticket_types (id, checkpoint_id, ticket_type_id, event_id)
select pg_temp.demo_id('named', 900), p.id, t.id, p.event_id
  from app.checkpoints p
  join app.ticket_types t on t.event_id = p.event_id and t.name = 'General admission'
 where p.id = pg_temp.demo_id('checkpoint', 900);

-- Attendances at past events.
insert into app.attendances (id, user_id, event_id, created_at)
select pg_temp.demo_id('attendance', m.n * 10000 + e.city_n * 100 + e.i), m.id, e.id, e.starts_at + interval '5 minutes'
  from pg_temp.demo_member m
  join pg_temp.demo_event e on e.city_n = m.city_n and e.state = 'completed'
 where pg_temp.chance('buys' || m.n || e.key) % 9 = 0 and pg_temp.chance('came' || (m.n * 10000 + e.city_n * 100 + e.i)) % 5 <> 0;

-- Guests of events that have begun, or will begin within two hours, have been reminded.
insert into app.event_schedules (id, event_id, reminded_revision)
select pg_temp.demo_id('schedule', row_number() over (order by id)), id, 1
  from app.events
 where starts_at < now() + interval '2 hours' and state in ('published', 'completed');
