-- Sold-out events, service requests and quotes, and the revenue shares of cities from the orders of `orders.sql`.

-- Some events are sold out and have a waiting list.
update app.ticket_types t set capacity = t.sold
  from pg_temp.demo_event e where e.id = t.event_id and e.state = 'published' and e.i % 25 = 4;

insert into app.waitlist_entries (id, event_id, user_id, position)
select pg_temp.demo_id('waitlist', m.n * 10000 + e.city_n * 100 + e.i), e.id, m.id,
       row_number() over (partition by e.id order by m.n)
  from pg_temp.demo_event e
  join pg_temp.demo_member m on m.city_n = e.city_n
 where e.state = 'published' and e.i % 25 = 4 and pg_temp.chance('waits' || m.n || e.key) % 6 = 0;

-- Organisers request services. Businesses of the right kind get a lead, and some of them answer.
create temporary table demo_request on commit drop as
select e.city_n * 100 + e.i as n, pg_temp.demo_id('request', e.city_n * 100 + e.i) as id, e.id as event_id,
       e.city_n, e.city_id, e.host_kind, e.host_id, e.title, e.currency, e.starts_at,
       (array['catering', 'audio_visual', 'photography', 'printing'])[1 + e.i % 4] as wanted
  from pg_temp.demo_event e
 where e.state = 'published' and e.i % 7 = 2;

insert into app.service_requests (id, city_id, host_type, host_id, event_id, title, category, description, budget_cents,
                                  currency, needed_at)
select r.id, r.city_id, r.host_kind, r.host_id, r.event_id, initcap(replace(r.wanted, '_', ' ')) || ' for ' || r.title,
       r.wanted, 'About a hundred guests. We have tables and power; please bring the rest. Access from four in the afternoon.',
       50000 + 10000 * (r.n % 9), r.currency, r.starts_at - interval '4 hours'
  from pg_temp.demo_request r;

create temporary table demo_lead on commit drop as
select r.n * 10 + b.i as n, pg_temp.demo_id('lead', r.n * 10 + b.i) as id, r.id as request_id, b.id as business_id,
       r.title, r.currency, r.starts_at, 50000 + 10000 * (r.n % 9) as budget
  from pg_temp.demo_request r
  join pg_temp.demo_profile b on b.kind = 'business' and b.city_n = r.city_n and b.i < 6 and (b.i + r.n) % 2 = 0;

insert into app.leads (id, service_request_id, business_id, title, details, budget_cents, currency, needed_at, state)
select l.id, l.request_id, l.business_id, left('Wanted: ' || l.title, 160),
       'The organiser looks for an offer that includes setting up and clearing away.', l.budget, l.currency,
       l.starts_at - interval '4 hours', (array['new', 'viewed', 'viewed', 'declined'])[1 + l.n % 4]
  from pg_temp.demo_lead l;

insert into app.quotes (id, lead_id, amount_cents, currency, terms, valid_until, state)
select pg_temp.demo_id('quote', l.n), l.id, l.budget - 2500 + 100 * (l.n % 60), l.currency,
       'Half on booking, half on the day. Free cancellation until two weeks before.', l.starts_at - interval '1 day',
       case when l.n % 8 = 1 then 'draft' else 'sent' end
  from pg_temp.demo_lead l
 where l.n % 4 in (1, 2);

-- The monthly revenue shares of cities, added up from the orders of `orders.sql`.
insert into app.revenue_shares (id, city_id, period_start, amount_cents, currency, state)
select pg_temp.demo_id('share', row_number() over (order by x.city_id, x.month)), x.city_id, x.month, x.amount, x.currency,
       case when x.month < date_trunc('month', now()) then 'closed' else 'open' end
  from (select e.city_id, date_trunc('month', o.paid_at)::date as month, o.currency, sum(o.city_share_cents) as amount
          from app.orders o join app.events e on e.id = o.event_id
         where o.state = 'paid' group by 1, 2, 3) x;

-- A service request by Olga's organization that Binh's business has answered.
create temporary table demo_asked on commit drop as
select o.id as host_id, o.city_id, b.id as business_id,
       (select c.currency from pg_temp.demo_city c where c.n = 1) as currency, e.id as event_id, e.title, e.starts_at
  from pg_temp.demo_profile o
  join pg_temp.demo_profile b on (b.kind, b.city_n, b.i) = ('business', 1, 1)
  join lateral (select x.id, x.title, x.starts_at from pg_temp.demo_event x
                 where x.host_id = o.id and x.state = 'published' order by x.starts_at desc limit 1) e on true
 where (o.kind, o.city_n, o.i) = ('organization', 1, 1);

insert into app.service_requests (id, city_id, host_type, host_id, event_id, title, category, description, budget_cents,
                                  currency, needed_at)
select pg_temp.demo_id('request', 90001), city_id, 'organization', host_id, event_id, 'Catering for ' || title, 'catering',
       'Thirty guests, outdoors. We have tables and water; please bring the rest.', 60000, currency, starts_at - interval '1 hour'
  from pg_temp.demo_asked;

insert into app.leads (id, service_request_id, business_id, title, details, budget_cents, currency, needed_at, state)
select pg_temp.demo_id('lead', 90001), pg_temp.demo_id('request', 90001), business_id, left('Wanted: catering for ' || title, 160),
       'The organiser looks for an offer that includes setting up and clearing away.', 60000, currency,
       starts_at - interval '1 hour', 'viewed'
  from pg_temp.demo_asked;

insert into app.quotes (id, lead_id, amount_cents, currency, terms, valid_until, state)
select pg_temp.demo_id('quote', 90001), pg_temp.demo_id('lead', 90001), 55000, currency,
       'Half on booking, half on the day. Free cancellation until two weeks before.', starts_at - interval '1 day', 'sent'
  from pg_temp.demo_asked;
