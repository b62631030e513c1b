-- Lists of the module `trending`: what is popular in a city, and what the hosts and venues that a member follows
-- publish.

-- Whether the city has verified the host of an event.
create function app.host_is_verified(p_host uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.organizations o where o.id = p_host and o.verified)
    or exists (select from app.communities c where c.id = p_host and c.verified)
    or exists (select from app.businesses b where b.id = p_host and b.verified)
    or exists (select from app.institutions i where i.id = p_host and i.verified);
end
$$;
alter function app.host_is_verified(uuid) owner to <app>_authz;
revoke execute on function app.host_is_verified(uuid) from public;

-- Public events of a city, the most popular first. `p_seen`: without those that the caller may not see, because of their
-- host; otherwise the caller of this function must apply the access rules to the result. `p_as_of` and the last row of
-- the previous page continue a list with the ranks of the time when it began, for ten minutes; after that, with the
-- current ranks.
create function app.trending(
  p_city uuid, p_spread boolean, p_verified boolean, p_as_of timestamptz, p_rank numeric, p_event uuid, p_limit int, p_seen boolean
) returns table (event_id uuid, rank numeric, as_of timestamptz)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp as $$
declare
  v_last constant timestamptz := (select max(r.ranked_at) from app.event_ranks r where r.city_id = p_city);
  v_since constant timestamptz := case when p_as_of > now() - interval '10 minutes' then p_as_of else v_last end;
  v_rank constant numeric := coalesce(p_rank, 'Infinity');
  v_event constant uuid := coalesce(p_event, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
begin
  -- Events whose ranks have not changed since, and those whose ranks have, at their earlier ranks.
  if p_spread then
    return query
    select x.event_id, x.rank, v_since from (
      (select r.event_id, r.spread_rank as rank from app.event_ranks r
       where r.city_id = p_city and (r.spread_rank, r.event_id) < (v_rank, v_event) and r.ranked_at <= v_since
         and r.shown_until > now() and (not p_verified or app.host_is_verified(r.host_id))
         and (not p_seen or sec.seen_event(r.event_id) = 'active')
       order by r.spread_rank desc, r.event_id desc limit p_limit)
      union all
      (select r.event_id, o.spread_rank from app.event_ranks r
       cross join lateral (
         select p.spread_rank from app.rank_pasts p where p.event_id = r.event_id and p.until > v_since order by p.until limit 1
       ) o
       where r.city_id = p_city and r.ranked_at > v_since and (o.spread_rank, r.event_id) < (v_rank, v_event)
         and r.shown_until > now() and (not p_verified or app.host_is_verified(r.host_id))
         and (not p_seen or sec.seen_event(r.event_id) = 'active'))
    ) x order by x.rank desc, x.event_id desc limit p_limit;
  else
    return query
    select x.event_id, x.rank, v_since from (
      (select r.event_id, r.rank as rank from app.event_ranks r
       where r.city_id = p_city and (r.rank, r.event_id) < (v_rank, v_event) and r.ranked_at <= v_since
         and r.shown_until > now() and (not p_verified or app.host_is_verified(r.host_id))
         and (not p_seen or sec.seen_event(r.event_id) = 'active')
       order by r.rank desc, r.event_id desc limit p_limit)
      union all
      (select r.event_id, o.rank from app.event_ranks r
       cross join lateral (
         select p.rank from app.rank_pasts p where p.event_id = r.event_id and p.until > v_since order by p.until limit 1
       ) o
       where r.city_id = p_city and r.ranked_at > v_since and (o.rank, r.event_id) < (v_rank, v_event)
         and r.shown_until > now() and (not p_verified or app.host_is_verified(r.host_id))
         and (not p_seen or sec.seen_event(r.event_id) = 'active'))
    ) x order by x.rank desc, x.event_id desc limit p_limit;
  end if;
end
$$;
alter function app.trending(uuid, boolean, boolean, timestamptz, numeric, uuid, int, boolean) owner to <app>_authz;
revoke execute on function app.trending(uuid, boolean, boolean, timestamptz, numeric, uuid, int, boolean) from public;
grant execute on function app.trending(uuid, boolean, boolean, timestamptz, numeric, uuid, int, boolean) to <app>_app, <app>_job;

-- Events that are not over, of the hosts and at the venues that the caller follows, newest first. The caller of this
-- function must still apply the access rules to the result. For each host and venue followed, an index scan finds as
-- many events as a page has. For callers who follow very many, a page is found faster among the newest events of all;
-- if those don't fill a page, the first way is used.
create function app.feed(p_at timestamptz, p_event uuid, p_limit int) returns table (event_id uuid, at timestamptz)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  v_many constant int := 500;
  v_at constant timestamptz := coalesce(p_at, 'infinity');
  v_event constant uuid := coalesce(p_event, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  v_page uuid[];
begin
  if (select count(*) from (select from app.follows f where f.follower_id = sec.uid() and f.status = 'active' limit v_many) f) = v_many then
    v_page := array(
      select n.event_id from (
        select * from app.event_announcements a where (a.at, a.event_id) < (v_at, v_event)
        order by a.at desc, a.event_id desc limit 20000) n
      where n.shown_until > now()
        and (n.host_id in (select f.entity_id from app.follows f where f.follower_id = sec.uid() and f.status = 'active')
          or n.venue_id in (select f.entity_id from app.follows f where f.follower_id = sec.uid() and f.status = 'active'))
      order by n.at desc, n.event_id desc limit p_limit);
    if cardinality(v_page) = p_limit then
      return query
      select a.event_id, a.at from app.event_announcements a where a.event_id = any(v_page)
      order by a.at desc, a.event_id desc;
      return;
    end if;
  end if;
  return query
  select distinct x.event_id, x.at from app.follows f
  cross join lateral (
    (select a.event_id, a.at from app.event_announcements a
     where f.entity_type not in ('user', 'venue') and a.host_id = f.entity_id and (a.at, a.event_id) < (v_at, v_event)
       and a.shown_until > now()
     order by a.at desc, a.event_id desc limit p_limit)
    union all
    (select a.event_id, a.at from app.event_announcements a
     where f.entity_type = 'venue' and a.venue_id = f.entity_id and (a.at, a.event_id) < (v_at, v_event)
       and a.shown_until > now()
     order by a.at desc, a.event_id desc limit p_limit)
  ) x
  where f.follower_id = sec.uid() and f.status = 'active'
  order by x.at desc, x.event_id desc limit p_limit;
end
$$;
alter function app.feed(timestamptz, uuid, int) owner to <app>_authz;
revoke execute on function app.feed(timestamptz, uuid, int) from public;
grant execute on function app.feed(timestamptz, uuid, int) to <app>_app, <app>_job;

-- The same without events that the caller may not see, however many of them come first.
create function app.feed_seen(p_at timestamptz, p_event uuid, p_limit int) returns table (event_id uuid, at timestamptz)
  language plpgsql stable security definer rows 20 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  -- If many are hidden, a page is found in fewer rounds.
  v_round constant int := greatest(p_limit, 100);
  v_at timestamptz := p_at;
  v_event uuid := p_event;
  v_left int := p_limit;
  v_events uuid[];
  v_times timestamptz[];
  v_seen int;
begin
  loop
    select array_agg(f.event_id order by f.at desc, f.event_id desc), array_agg(f.at order by f.at desc, f.event_id desc)
    into v_events, v_times from app.feed(v_at, v_event, v_round) f;
    return query
    select x.event_id, x.at from unnest(v_events, v_times) with ordinality x(event_id, at, place)
    where sec.seen_event(x.event_id) = 'active' order by x.place limit v_left;
    get diagnostics v_seen = row_count;
    v_left := v_left - v_seen;
    exit when v_left = 0 or v_events is null or cardinality(v_events) < v_round;
    v_at := v_times[v_round];
    v_event := v_events[v_round];
  end loop;
end
$$;
alter function app.feed_seen(timestamptz, uuid, int) owner to <app>_authz;
revoke execute on function app.feed_seen(timestamptz, uuid, int) from public;
grant execute on function app.feed_seen(timestamptz, uuid, int) to <app>_app, <app>_job;
