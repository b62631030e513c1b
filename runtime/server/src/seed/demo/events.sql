-- Seventy events in each city, from two weeks ago to two months ahead, with their kinds of tickets.
-- No event is so close to the current time that the hour or the time zone matters: the same events are over in every run.

create temporary table demo_event on commit drop as
select c.n as city_n, c.id as city_id, c.name as city, c.timezone, c.currency, g as i, pg_temp.demo_id('event', c.n * 1000 + g) as id,
       'event' || c.n || '.' || g as key, e.category,
       pg_temp.pick(pg_temp.words('events') -> e.category, 'title' || c.n || '.' || g) as words,
       h.kind as host_kind, h.id as host_id, h.i as host_i, v.id as venue_id, v.area, h.culture, h.surname,
       ((current_date + d.days) + make_time(10 + pg_temp.chance('hour' || c.n || '.' || g) % 11, 30 * (g % 2), 0))
         at time zone c.timezone as starts_at,
       make_interval(mins => 60 + 30 * (pg_temp.chance('long' || c.n || '.' || g) % 7)) as lasts,
       d.days < 0 as is_over, null::text as title, null::text as slug, null::text as state
  from pg_temp.demo_city c
  cross join generate_series(1, 70) g
  cross join lateral (select case when g * 17 % 75 < 14 then g * 17 % 75 - 15 else g * 17 % 75 - 12 end as days) d
  cross join lateral (
    select coalesce((array['concert', 'concert', 'festival', 'theatre', 'dance', 'film', 'exhibition', 'talk', 'workshop',
                           'workshop', 'food', 'market', 'sport', 'family', 'worship', 'other'])
                    [1 + pg_temp.chance('category' || c.n || '.' || g) % 16]) as category) e
  join pg_temp.demo_profile h
    on h.city_n = c.n
   and (h.kind, h.i) = (case when g % 10 = 0 then 'institution' when g % 10 in (3, 6, 9) then 'community'
                             when g % 10 = 8 then 'business' else 'organization' end,
                        case when g % 10 = 0 then 1 when g % 10 in (3, 6, 9) then 1 + g % 9
                             when g % 10 = 8 then 1 + g % 5 else 1 + g % 6 end)
  join pg_temp.demo_profile v
    on v.city_n = c.n and v.kind = 'venue' and v.i = 1 + pg_temp.chance('venue' || c.n || '.' || g) % 10;

update pg_temp.demo_event e set
  title = pg_temp.filled(e.words ->> 'title', e.city, e.area ->> 'name', e.culture, e.surname),
  state = case when i % 23 = 0 then 'draft' when i % 29 = 0 then 'cancelled'
               when e.is_over then 'completed' else 'published' end;

update pg_temp.demo_event e set slug = pg_temp.slug(e.title) || case when x.nth > 1 then '-' || x.nth else '' end
  from (select id, row_number() over (partition by city_n, pg_temp.slug(title) order by i) as nth from pg_temp.demo_event) x
 where x.id = e.id;

insert into app.events (id, city_id, host_type, host_id, venue_id, title, slug, description, category, starts_at, ends_at,
                        timezone, location, visibility, state, capacity, featured_until, created_at)
select e.id, e.city_id, e.host_kind, e.host_id, e.venue_id, e.title, e.slug,
       pg_temp.filled(e.words ->> 'about', e.city, e.area ->> 'name', e.culture, e.surname), e.category,
       e.starts_at, e.starts_at + e.lasts, e.timezone, v.location,
       case when e.host_kind = 'community' and e.host_i = 9 then 'community' when e.i % 27 = 5 then 'unlisted' else 'public' end,
       e.state, v.capacity, case when e.i % 20 = 7 then now() + interval '13 days' end, now() - interval '30 days'
  from pg_temp.demo_event e
  join app.venues v on v.id = e.venue_id;

insert into app.ticket_types (id, event_id, name, description, price_cents, currency, capacity, sales_start, sales_end,
                              per_user_limit, refundable_until)
select pg_temp.demo_id('tickettype', (e.city_n * 1000 + e.i) * 10 + k.n), e.id, k.name, k.about,
       case when e.i % 5 = 0 then 0 else ((500 + 250 * (pg_temp.chance('price' || e.key) % 14)) * k.factor)::bigint end,
       e.currency, greatest(20, v.capacity * k.part / 100), now() - interval '30 days', e.starts_at, 6,
       e.starts_at - interval '2 days'
  from pg_temp.demo_event e
  join app.venues v on v.id = e.venue_id
  join (values (1, 'General admission', null, 1.0, 70), (2, 'Concession', 'Students, pensioners, carers.', 0.6, 20),
               (3, 'Supporter', 'Pays for the seat of someone who could not.', 2.0, 10)) k(n, name, about, factor, part)
    on k.n = 1 or e.i % 5 <> 0 and (k.n = 2 or e.i % 3 = 0);
