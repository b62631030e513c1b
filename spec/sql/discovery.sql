-- Queries of the module `discovery`: search in all entities, maps, and events that still have tickets.

-- Search results of all kinds that the caller may read. Of each kind, names that begin with the search text come first;
-- then events are sorted by time and all others by age. Considers the newest five hundred rows that everybody may see,
-- and as many of those that only the caller may see. With `p_similar`, instead, those whose names are most similar to the
-- words.
create function app.search_hits(p_kinds text[], p_text text, p_half boolean, p_city uuid, p_similar boolean, p_most int) returns table (
  kind text, id uuid, name text, subtitle text, slug text, picture text, starts_at timestamptz, timezone text
) language plpgsql stable rows 35 set search_path = pg_catalog, pg_temp as $$
declare
  v_begins constant text := sec.folded(btrim(p_text));
  v_within constant text[] := case when p_city is null then '{}' else array[p_city::text] end;
  v_look constant int := 500;
  -- As a list of ids, so that only these rows are fetched: in a join, the access rules would be evaluated for every
  -- row.
  v_found uuid[];
begin
  if 'event' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('event', p_text, p_city, p_most) else array(
      select app.events_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.events_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'event', t.id, t.title, c.name, t.slug,
           (select m.small_url from app.media m where m.entity_event_id = t.id and m.status = 'active' order by m.position, m.id limit 1),
           t.starts_at, t.timezone
    from app.events t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.title), v_begins) desc, t.starts_at < now(), case when t.starts_at >= now() then t.starts_at end, t.starts_at desc, t.id limit p_most;
  end if;
  if 'venue' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('venue', p_text, p_city, p_most) else array(
      select app.venues_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.venues_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'venue', t.id, t.name, c.name, t.slug,
           t.avatar_url,
           null::timestamptz, null::text
    from app.venues t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.name), v_begins) desc, t.id desc limit p_most;
  end if;
  if 'community' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('community', p_text, p_city, p_most) else array(
      select app.communities_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.communities_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'community', t.id, t.name, c.name, t.slug,
           t.avatar_url,
           null::timestamptz, null::text
    from app.communities t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.name), v_begins) desc, t.id desc limit p_most;
  end if;
  if 'organization' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('organization', p_text, p_city, p_most) else array(
      select app.organizations_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.organizations_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'organization', t.id, t.name, c.name, t.slug,
           t.avatar_url,
           null::timestamptz, null::text
    from app.organizations t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.name), v_begins) desc, t.id desc limit p_most;
  end if;
  if 'business' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('business', p_text, p_city, p_most) else array(
      select app.businesses_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.businesses_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'business', t.id, t.name, c.name, t.slug,
           t.avatar_url,
           null::timestamptz, null::text
    from app.businesses t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.name), v_begins) desc, t.id desc limit p_most;
  end if;
  if 'institution' = any(p_kinds) then
    v_found := case when p_similar then app.similar_names('institution', p_text, p_city, p_most) else array(
      select app.institutions_search(p_text, p_half, v_within, null, v_look)
      union all
      select app.institutions_search_own(p_text, p_half, v_within, null, v_look)
    ) end;
    return query
    select 'institution', t.id, t.name, c.name, t.slug,
           t.avatar_url,
           null::timestamptz, null::text
    from app.institutions t left join app.cities c on c.id = t.city_id
    where t.status = 'active' and (p_city is null or t.city_id = p_city) and t.id = any(v_found)
    order by case when p_similar then array_position(v_found, t.id) end, starts_with(sec.folded(t.name), v_begins) desc, t.id desc limit p_most;
  end if;
  if 'member' = any(p_kinds) and not p_similar then
    v_found := array(
      select app.users_search(p_text, p_half, '{}', null, v_look)
      union all
      select app.users_search_own(p_text, p_half, '{}', null, v_look)
    );
    return query
    select 'member', t.id, t.display_name, '@' || t.handle, t.handle, t.profile_image_url, null::timestamptz, null::text
    from app.users t
    where t.status = 'active' and (p_city is null or t.home_city_id = p_city) and t.id = any(v_found)
    order by starts_with(sec.folded(t.display_name), v_begins) or starts_with(sec.folded(t.handle), v_begins) desc, t.id desc
    limit p_most;
  end if;
end
$$;
alter function app.search_hits(text[], text, boolean, uuid, boolean, int) owner to <app>_owner;
revoke execute on function app.search_hits(text[], text, boolean, uuid, boolean, int) from public;
grant execute on function app.search_hits(text[], text, boolean, uuid, boolean, int) to <app>_app, <app>_job;

-- Splits a box into pieces that a spatial index can handle: none crosses the date line, and none is wider than 60
-- degrees. Since the index uses great circles instead of parallels, `area` is a little larger than the piece. A point
-- on the border of two pieces belongs to the piece that begins there; a point on the border of the whole box is inside.
-- The date line has two names, 180 and -180: a box that touches it under one of them has a piece of no width under the
-- other, because the index does not find a point under the other name.
create function app.map_boxes(p_west float8, p_south float8, p_east float8, p_north float8) returns table (
  west float8, south float8, east float8, north float8, area public.geography
) language sql immutable rows 4 set search_path = pg_catalog, pg_temp as $$
  select x.west, y.south, case when x.ends then s.ends + 1e-12 else x.east end, case when y.ends then p_north + 1e-12 else y.north end,
         public.st_segmentize(public.st_makeenvelope(
           greatest(x.west - 0.001, -180), greatest(y.south - 0.001, -90),
           least(x.east + 0.001, 180), least(y.north + 0.001, 90), 4326), 0.5)::public.geography
  from (
    select p_west, p_east where p_west <= p_east
    union all select p_west, 180 where p_west > p_east
    union all select -180, p_east where p_west > p_east
    union all select -180, -180 where p_west > -180 and p_west <= p_east and p_east = 180
    union all select 180, 180 where p_west = -180 and p_east < 180
  ) s(starts, ends)
  cross join lateral (
    select s.starts + (s.ends - s.starts) * i / n, s.starts + (s.ends - s.starts) * (i + 1) / n, i + 1 = n
    from (select greatest(ceil((s.ends - s.starts) / 60)::int, 1)) k(n), generate_series(0, n - 1) i
  ) x(west, east, ends)
  cross join lateral (
    select p_south + (p_north - p_south) * i / n, p_south + (p_north - p_south) * (i + 1) / n, i + 1 = n
    from (select greatest(ceil((p_north - p_south) / 60)::int, 1)) k(n), generate_series(0, n - 1) i
  ) y(south, north, ends)
$$;
alter function app.map_boxes(float8, float8, float8, float8) owner to <app>_owner;
revoke execute on function app.map_boxes(float8, float8, float8, float8) from public;
grant execute on function app.map_boxes(float8, float8, float8, float8) to <app>_app, <app>_job, <app>_authz;

-- Places inside a box that everybody may see: events that are not over (at their own location or at their venue),
-- venues, businesses and institutions. At most `p_most` of each kind; a search text is searched for in the newest two
-- thousand. Cities are read only if the query is about one, since that would take half of the time for 20,000 places.
create function app.map_points(p_kinds text[], p_west float8, p_south float8, p_east float8, p_north float8, p_text text, p_half boolean, p_city uuid, p_category text, p_from timestamptz, p_to timestamptz, p_most int) returns table (
  kind text, id uuid, x float8, y float8
) language plpgsql stable security definer rows 1000 set search_path = pg_catalog, pg_temp as $$
declare
  v_within constant text[] := case when p_city is null then '{}' else array[p_city::text] end;
  v_look constant int := 2000;
begin
  if 'event' = any(p_kinds) then
    return query
    select 'event', p.id, l.x, l.y
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.events_public p on p.location operator(public.&&) b.area
    join app.events t on t.id = p.id
    cross join lateral (
      select public.st_x(p.location::public.geometry), public.st_y(p.location::public.geometry)
    ) l(x, y)
    where l.x >= b.west and l.x < b.east and l.y >= b.south and l.y < b.north
      and (p_city is null or t.city_id = p_city) and t.state = 'published' and t.ends_at > p_from
      and (p_to is null or t.starts_at < p_to) and (p_category is null or t.category = p_category)
      and (p_text is null or t.id in (select app.events_search(p_text, p_half, v_within, null, v_look)))
    limit p_most;
    return query
    select 'event', p.id, l.x, l.y
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.events_public_else p on p.location operator(public.&&) b.area
    join app.events t on t.id = p.id
    cross join lateral (
      select public.st_x(p.location::public.geometry), public.st_y(p.location::public.geometry)
    ) l(x, y)
    where l.x >= b.west and l.x < b.east and l.y >= b.south and l.y < b.north
      and (p_city is null or t.city_id = p_city) and t.state = 'published' and t.ends_at > p_from
      and (p_to is null or t.starts_at < p_to) and (p_category is null or t.category = p_category)
      and (p_text is null or t.id in (select app.events_search(p_text, p_half, v_within, null, v_look)))
    limit p_most;
  end if;
  if 'venue' = any(p_kinds) then
    return query
    select 'venue', p.id, l.x, l.y
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.venues_public p on p.location operator(public.&&) b.area
    cross join lateral (
      select public.st_x(p.location::public.geometry), public.st_y(p.location::public.geometry)
    ) l(x, y)
    where l.x >= b.west and l.x < b.east and l.y >= b.south and l.y < b.north
      and (p_city is null or (select t.city_id from app.venues t where t.id = p.id) = p_city)
      and (p_text is null or p.id in (select app.venues_search(p_text, p_half, v_within, null, v_look)))
    limit p_most;
  end if;
  if 'business' = any(p_kinds) then
    return query
    select 'business', p.id, l.x, l.y
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.businesses_public p on p.location operator(public.&&) b.area
    cross join lateral (
      select public.st_x(p.location::public.geometry), public.st_y(p.location::public.geometry)
    ) l(x, y)
    where l.x >= b.west and l.x < b.east and l.y >= b.south and l.y < b.north
      and (p_city is null or (select t.city_id from app.businesses t where t.id = p.id) = p_city)
      and (p_text is null or p.id in (select app.businesses_search(p_text, p_half, v_within, null, v_look)))
    limit p_most;
  end if;
  if 'institution' = any(p_kinds) then
    return query
    select 'institution', p.id, l.x, l.y
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.institutions_public p on p.location operator(public.&&) b.area
    cross join lateral (
      select public.st_x(p.location::public.geometry), public.st_y(p.location::public.geometry)
    ) l(x, y)
    where l.x >= b.west and l.x < b.east and l.y >= b.south and l.y < b.north
      and (p_city is null or (select t.city_id from app.institutions t where t.id = p.id) = p_city)
      and (p_text is null or p.id in (select app.institutions_search(p_text, p_half, v_within, null, v_look)))
    limit p_most;
  end if;
end
$$;
alter function app.map_points(text[], float8, float8, float8, float8, text, boolean, uuid, text, timestamptz, timestamptz, int) owner to <app>_authz;
revoke execute on function app.map_points(text[], float8, float8, float8, float8, text, boolean, uuid, text, timestamptz, timestamptz, int) from public;

-- The contents of a map: single objects if there are few, otherwise the number of objects in each cell of a grid, which
-- stays in place when the map is moved. Contains only what everybody may see.
create function app.map(p_kinds text[], p_west float8, p_south float8, p_east float8, p_north float8, p_text text, p_half boolean, p_city uuid, p_category text, p_from timestamptz, p_to timestamptz, p_cell float8, p_few int, p_most int) returns table (
  total bigint, kind text, id uuid, name text, slug text, starts_at timestamptz, timezone text, x float8, y float8, west float8, south float8, east float8, north float8
) language plpgsql stable security definer rows 200 set search_path = pg_catalog, pg_temp as $$
begin
  return query
  with points as materialized (
    select m.kind, m.id, m.x, m.y
    from app.map_points(p_kinds, p_west, p_south, p_east, p_north, p_text, p_half, p_city, p_category, p_from, p_to, p_most) m
  ), few as materialized (
    select count(*) <= p_few as so from (select from points limit p_few + 1) s
  )
  select 1::bigint, p.kind, p.id, coalesce(e.title, v.name, b.name, i.name), coalesce(e.slug, v.slug, b.slug, i.slug), e.starts_at, e.timezone,
         p.x, p.y, p.x, p.y, p.x, p.y
  from points p
  left join app.events e on p.kind = 'event' and e.id = p.id
  left join app.venues v on p.kind = 'venue' and v.id = p.id
  left join app.businesses b on p.kind = 'business' and b.id = p.id
  left join app.institutions i on p.kind = 'institution' and i.id = p.id
  where (select f.so from few f)
  union all
  select c.total, null, null, null, null, null, null, case when c.x > 180 then c.x - 360 else c.x end, c.y,
         case when c.west > 180 then c.west - 360 else c.west end, c.south,
         case when c.east > 180 then c.east - 360 else c.east end, c.north
  from (
    select count(*) as total, avg(s.x) as x, avg(s.y) as y, min(s.x) as west, min(s.y) as south, max(s.x) as east, max(s.y) as north
    from (
      -- East of the date line, longitudes count on beyond 180 degrees, so that neighbouring points share a cell. Points
      -- on the line share one as well, whichever of its names they have.
      select case
               when p_west > p_east and p.x < p_west then p.x + 360
               when p.x = 180 and p_west = -180 or p.x = -180 and p_west > -180 then -p.x
               else p.x
             end as x, p.y
      from points p
    ) s
    where not (select f.so from few f)
    group by floor((s.x + 180) / p_cell), floor((s.y + 90) / p_cell)
  ) c;
end
$$;
alter function app.map(text[], float8, float8, float8, float8, text, boolean, uuid, text, timestamptz, timestamptz, float8, int, int) owner to <app>_authz;
revoke execute on function app.map(text[], float8, float8, float8, float8, text, boolean, uuid, text, timestamptz, timestamptz, float8, int, int) from public;
grant execute on function app.map(text[], float8, float8, float8, float8, text, boolean, uuid, text, timestamptz, timestamptz, float8, int, int) to <app>_app, <app>_job;

-- Whether a ticket of the event is on sale for at most `p_cents`, and at least `p_seats` places are left.
create function app.has_offer(p_event uuid, p_capacity int, p_tickets bigint, p_cents bigint, p_currency text, p_seats int) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_cents is null and p_currency is null and p_seats is null then
    return true;
  end if;
  -- Places held by unpaid orders count as taken.
  if p_capacity is not null
    and p_capacity - p_tickets - coalesce((select sum(k.held) from app.ticket_types k where k.event_id = p_event), 0) < coalesce(p_seats, 0)
  then
    return false;
  end if;
  return exists (
    select from app.ticket_types k
    where k.event_id = p_event and k.status = 'active' and (k.sales_start is null or k.sales_start <= now())
      and (k.sales_end is null or k.sales_end > now()) and (p_cents is null or k.price_cents <= p_cents)
      and (p_currency is null or k.currency = p_currency) and k.capacity - k.held - k.sold >= coalesce(p_seats, 0)
  );
end
$$;
alter function app.has_offer(uuid, int, bigint, bigint, text, int) owner to <app>_owner;
revoke execute on function app.has_offer(uuid, int, bigint, bigint, text, int) from public;
grant execute on function app.has_offer(uuid, int, bigint, bigint, text, int) to <app>_authz;

-- Whether a place is inside a box, including its border. A box whose western border is further east than its eastern
-- one crosses the date line, which is at 180 and at -180 degrees.
create function app.is_in_box(p_place public.geography, p_west float8, p_south float8, p_east float8, p_north float8) returns boolean
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  v_x constant float8 := public.st_x(p_place::public.geometry);
  v_y constant float8 := public.st_y(p_place::public.geometry);
begin
  return v_y between p_south and p_north
    and case when p_west <= p_east then v_x between p_west and p_east else v_x >= p_west or v_x <= p_east end
    or v_y between p_south and p_north and abs(v_x) = 180 and (p_west = -180 or p_east = 180);
end
$$;
alter function app.is_in_box(public.geography, float8, float8, float8, float8) owner to <app>_owner;
revoke execute on function app.is_in_box(public.geography, float8, float8, float8, float8) from public;
grant execute on function app.is_in_box(public.geography, float8, float8, float8, float8) to <app>_authz;

-- The place of a venue that the caller may see, although not everybody may; null for others.
create function app.seen_place(p_venue uuid) returns public.geography
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if p_venue is null or sec.seen_venue(p_venue) is distinct from 'active' then
    return null;
  end if;
  return (select v.location from app.venues v where v.id = p_venue);
end
$$;
alter function app.seen_place(uuid) owner to <app>_authz;
revoke execute on function app.seen_place(uuid) from public;

-- The events in a box, at any time and in any state and visibility, at their own location or at a venue that the caller
-- may see. Null if there are more than `p_most`.
create function app.events_in_box(p_west float8, p_south float8, p_east float8, p_north float8, p_most int) returns uuid[]
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ids uuid[];
begin
  v_ids := array(
    select e.id
    from app.map_boxes(p_west, p_south, p_east, p_north) b
    join app.events e on e.location operator(public.&&) b.area
    where e.status = 'active' and app.is_in_box(e.location, p_west, p_south, p_east, p_north)
    limit p_most + 1
  );
  if cardinality(v_ids) <= p_most then
    v_ids := v_ids || array(
      select e.id
      from app.map_boxes(p_west, p_south, p_east, p_north) b
      join app.venues_public v on v.location operator(public.&&) b.area
      join app.events e on e.venue_id = v.id
      where e.status = 'active' and e.location is null and app.is_in_box(v.location, p_west, p_south, p_east, p_north)
      limit p_most + 1
    );
  end if;
  if cardinality(v_ids) <= p_most and sec.uid() is not null then
    v_ids := v_ids || array(
      select e.id
      from (
        -- Before the events, so that access is asked once for each venue.
        select v.id
        from app.map_boxes(p_west, p_south, p_east, p_north) b
        join app.venues v on v.location operator(public.&&) b.area
        where v.status = 'active' and (select true from app.venues_public p where p.id = v.id) is null
          and app.is_in_box(v.location, p_west, p_south, p_east, p_north) and sec.seen_venue(v.id) = 'active'
        offset 0
      ) v
      join app.events e on e.venue_id = v.id
      where e.status = 'active' and e.location is null
      limit p_most + 1
    );
  end if;
  return case when cardinality(v_ids) <= p_most then v_ids end;
end
$$;
alter function app.events_in_box(float8, float8, float8, float8, int) owner to <app>_authz;
revoke execute on function app.events_in_box(float8, float8, float8, float8, int) from public;

-- Whether the caller may see an event, for modules whose statements read all events.
create function app.sees_event(p_event uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return sec.seen_event(p_event) is not null;
end
$$;
alter function app.sees_event(uuid) owner to <app>_authz;
revoke execute on function app.sees_event(uuid) from public;
grant execute on function app.sees_event(uuid) to <app>_job;

-- The upcoming events of a city, as in `app.upcoming_events`. The plan is made for a city with an average number of events,
-- which are few: without `enable_sort`, it would gather all events of the city and ask for each whether the caller may see it,
-- which takes seconds in a city with very many. So the index is read in the order of the list until the page is full.
create function app.upcoming_in_city(p_city uuid, p_category text, p_from timestamptz, p_to timestamptz, p_west float8, p_south float8, p_east float8, p_north float8, p_cents bigint, p_currency text, p_seats int, p_after timestamptz, p_after_id uuid, p_most int) returns table (event_id uuid, starts_at timestamptz)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp set enable_sort = off set enable_bitmapscan = off as $$
begin
  return query
  select e.id, e.starts_at from app.events e
  where e.city_id = p_city and e.status = 'active' and e.state = 'published' and e.visibility <> 'unlisted'
    and e.starts_at >= p_from and (p_to is null or e.starts_at < p_to) and (p_category is null or e.category = p_category)
    and (p_after is null or (e.starts_at, e.id) > (p_after, p_after_id))
    and (p_west is null or app.is_in_box(
      coalesce(e.location, (select v.location from app.venues_public v where v.id = e.venue_id), app.seen_place(e.venue_id)), p_west, p_south, p_east, p_north))
    and app.has_offer(e.id, e.capacity, e.ticket_count, p_cents, p_currency, p_seats)
    and sec.seen_event(e.id) is not null
  order by e.starts_at, e.id limit p_most;
end
$$;
alter function app.upcoming_in_city(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, bigint, text, int, timestamptz, uuid, int) owner to <app>_authz;
revoke execute on function app.upcoming_in_city(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, bigint, text, int, timestamptz, uuid, int) from public;

-- Upcoming events that match all filters and that the caller may see, the next ones first. Events that the caller may
-- not see are left out here and not later, since even an empty page with a cursor would reveal with filters where and
-- when they take place. A search text selects candidates (the newest two thousand), and so does a box that contains few
-- events. Otherwise an index is scanned in the order of the list, where the next events of a box with many events are
-- found soon.
create function app.upcoming_events(p_city uuid, p_category text, p_from timestamptz, p_to timestamptz, p_west float8, p_south float8, p_east float8, p_north float8, p_text text, p_half boolean, p_cents bigint, p_currency text, p_seats int, p_after timestamptz, p_after_id uuid, p_most int) returns table (event_id uuid, starts_at timestamptz)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp as $$
declare
  v_within constant text[] := case when p_city is null then '{}' else array[p_city::text] end;
  v_words constant int := 2000;
  v_places constant int := 5000;
  v_ids uuid[];
begin
  if p_text is not null then
    v_ids := array(
      select app.events_search(p_text, p_half, v_within, null, v_words)
      union select app.events_search_own(p_text, p_half, v_within, null, v_words)
    );
  elsif p_west is not null then
    v_ids := app.events_in_box(p_west, p_south, p_east, p_north, v_places);
  end if;
  if v_ids is not null then
    return query
    select w.id, w.starts_at
    from (
      -- Sorted first: access is checked until the page is full, not for all candidates.
      select e.id, e.starts_at from app.events e
      where e.id = any(v_ids) and (p_city is null or e.city_id = p_city) and e.status = 'active' and e.state = 'published' and e.visibility <> 'unlisted'
        and e.starts_at >= p_from and (p_to is null or e.starts_at < p_to) and (p_category is null or e.category = p_category)
        and (p_after is null or (e.starts_at, e.id) > (p_after, p_after_id))
        and (p_west is null or app.is_in_box(
          coalesce(e.location, (select v.location from app.venues_public v where v.id = e.venue_id), app.seen_place(e.venue_id)), p_west, p_south, p_east, p_north))
        and app.has_offer(e.id, e.capacity, e.ticket_count, p_cents, p_currency, p_seats)
      order by e.starts_at, e.id offset 0
    ) w
    where sec.seen_event(w.id) is not null
    order by w.starts_at, w.id limit p_most;
  elsif p_city is not null then
    return query
    select u.event_id, u.starts_at from app.upcoming_in_city(
      p_city, p_category, p_from, p_to, p_west, p_south, p_east, p_north, p_cents, p_currency, p_seats, p_after, p_after_id, p_most) u;
  else
    return query
    select e.id, e.starts_at from app.events e
    where e.status = 'active' and e.state = 'published' and e.visibility <> 'unlisted'
      and e.starts_at >= p_from and (p_to is null or e.starts_at < p_to) and (p_category is null or e.category = p_category)
      and (p_after is null or (e.starts_at, e.id) > (p_after, p_after_id))
      and (p_west is null or app.is_in_box(
        coalesce(e.location, (select v.location from app.venues_public v where v.id = e.venue_id), app.seen_place(e.venue_id)), p_west, p_south, p_east, p_north))
      and app.has_offer(e.id, e.capacity, e.ticket_count, p_cents, p_currency, p_seats)
      and sec.seen_event(e.id) is not null
    order by e.starts_at, e.id limit p_most;
  end if;
end
$$;
alter function app.upcoming_events(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, text, boolean, bigint, text, int, timestamptz, uuid, int) owner to <app>_authz;
revoke execute on function app.upcoming_events(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, text, boolean, bigint, text, int, timestamptz, uuid, int) from public;
grant execute on function app.upcoming_events(uuid, text, timestamptz, timestamptz, float8, float8, float8, float8, text, boolean, bigint, text, int, timestamptz, uuid, int) to <app>_app, <app>_job;
