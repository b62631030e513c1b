-- Ranks of events. What members do is noted in the statement that does it, and added up about a second later by one
-- worker at a time. A rank is a logarithm that only actions change: readers compare ranks with each other, and the
-- passage of time affects all of them equally (docs/adr/0064-trending.md).
--
-- Statements are planned anew for each batch, because tables grow from nothing to millions of rows, and a plan kept
-- from the beginning would scan them completely for every action. Functions that these statements call for each row
-- keep their plans; they would inherit the setting otherwise, and planning took 25 times as long as executing.
-- Comparisons of everything always use hash or merge joins, whatever the statistics say.

-- The network that one customer of a provider typically has: an IPv4 address, or the first sixty-four bits of an IPv6
-- address.
create function app.network_of(p_address text) returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return network(set_masklen(p_address::inet, case family(p_address::inet) when 4 then 32 else 64 end))::text;
exception when data_exception then
  return p_address;
end
$$;
alter function app.network_of(text) owner to <app>_owner;
revoke execute on function app.network_of(text) from public;
grant execute on function app.network_of(text) to <app>_job;

-- The contribution of one action to a rank. The fixed day is arbitrary; another one would add the same number to every
-- rank.
create function app.rank_term(p_weight numeric, p_at timestamptz, p_half_life_hours int) returns double precision
  language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp as $$
begin
  return ln(p_weight::float8) + ln(2::float8) / (p_half_life_hours * 3600.0::float8) * (extract(epoch from p_at)::float8 - 1767225600);
end
$$;
alter function app.rank_term(numeric, timestamptz, int) owner to <app>_owner;
revoke execute on function app.rank_term(numeric, timestamptz, int) from public;
grant execute on function app.rank_term(numeric, timestamptz, int) to <app>_job;

-- The rank of an event, computed from all of its actions.
create function app.exact_rank(p_event uuid, p_half_life_hours int) returns double precision
  language plpgsql stable set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
  return (
    select max(t.peak) + ln(sum(exp(greatest(t.term - t.peak, -700))))
    from (
      select x.term, max(x.term) over () as peak
      from (
        select app.rank_term(a.weight, a.at, p_half_life_hours) as term from app.rank_actions a
        where a.event_id = p_event and a.counts and a.weight > 0
      ) x
    ) t
  );
end
$$;
alter function app.exact_rank(uuid, int) owner to <app>_owner;
revoke execute on function app.exact_rank(uuid, int) from public;
grant execute on function app.exact_rank(uuid, int) to <app>_job;

-- Stores ranks, keeps the previous ones for lists that are being paged through, and spreads the events of each host:
-- after a host's best `p_per_host` events come the best ones of other hosts. `p_noted` are events that may have become
-- visible or invisible.
create function app.place_ranks(
  p_events uuid[], p_ranks double precision[], p_actions bigint[], p_drifts double precision[], p_noted uuid[], p_per_host int, p_now timestamptz
) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  v_written bigint;
begin
  with changed as (
    select c.event_id, c.rank::numeric(20, 12) as rank, c.actions, c.drift::numeric(20, 12) as drift
    from unnest(p_events, p_ranks, p_actions, p_drifts) c(event_id, rank, actions, drift)
  ), hosts as (
    select distinct e.host_id from app.events e where e.id = any (p_events || p_noted)
  ), family as (
    select r.event_id from app.event_ranks r join hosts h on h.host_id = r.host_id
    union
    select c.event_id from changed c
  ), wanted as (
    select e.id as event_id, e.city_id, e.host_id, r.id is not null as is_there, r.rank as old_rank, r.spread_rank as old_spread_rank,
      r.shown_until as old_shown_until, r.drift as old_drift, r.actions as old_actions,
      case when c.event_id is null then r.rank else c.rank end as rank,
      coalesce(c.actions, r.actions) as actions, coalesce(c.drift, r.drift) as drift,
      case when r.id is null or e.id = any (p_noted) then app.shown_until(e) else r.shown_until end as shown_until
    from family f
    join app.events e on e.id = f.event_id
    left join app.event_ranks r on r.event_id = f.event_id
    left join changed c on c.event_id = f.event_id
  ), placed as (
    select w.*, (w.rank - 100000 * least((row_number() over (
        partition by w.host_id order by coalesce(w.shown_until > p_now, false) desc, w.rank desc nulls last, w.event_id desc) - 1) / p_per_host,
      900))::numeric(20, 12) as spread_rank
    from wanted w
  ), different as (
    select * from placed p
    where not p.is_there or (p.rank, p.spread_rank, p.actions, p.drift, p.shown_until)
      is distinct from (p.old_rank, p.old_spread_rank, p.old_actions, p.old_drift, p.old_shown_until)
  ), kept as (
    insert into app.rank_pasts (event_id, rank, spread_rank, until)
    select d.event_id, d.old_rank, d.old_spread_rank, p_now from different d
    where (d.rank, d.spread_rank) is distinct from (d.old_rank, d.old_spread_rank)
  ), written as (
    insert into app.event_ranks as r (event_id, city_id, host_id, rank, spread_rank, drift, actions, shown_until, ranked_at)
    select d.event_id, d.city_id, d.host_id, d.rank, d.spread_rank, d.drift, d.actions, d.shown_until, p_now
    from different d order by d.event_id
    on conflict (event_id) do update set
      rank = excluded.rank, spread_rank = excluded.spread_rank, drift = excluded.drift, actions = excluded.actions,
      -- Other events keep this time: the statement that changed them has set it, perhaps just now.
      shown_until = case when excluded.event_id = any (p_noted) then excluded.shown_until else r.shown_until end,
      ranked_at = case
        when (excluded.rank, excluded.spread_rank) is distinct from (r.rank, r.spread_rank) then p_now else r.ranked_at end
    returning 1
  )
  select count(*) into v_written from written;
  return v_written;
end
$$;
alter function app.place_ranks(uuid[], double precision[], bigint[], double precision[], uuid[], int, timestamptz) owner to <app>_owner;
revoke execute on function app.place_ranks(uuid[], double precision[], bigint[], double precision[], uuid[], int, timestamptz) from public;
grant execute on function app.place_ranks(uuid[], double precision[], bigint[], double precision[], uuid[], int, timestamptz) to <app>_job;

-- Turns notes into actions, each with a weight that never changes, and returns what that changes: events, +1 or -1, and
-- the contribution that is added or removed.
create function app.take_actions(
  p_notes app.rank_notes[], p_settings jsonb, p_now timestamptz, out events uuid[], out signs int[], out terms double precision[]
) returns record
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  v_half_life constant int := (p_settings ->> 'half_life_hours')::int;
begin
  with noted as (
    select distinct n.kind, n.actor_id, n.object_id from unnest(p_notes) n
  ), touched(actor_id, event_id, kind) as (
    select n.actor_id, n.object_id, n.kind from noted n where n.kind in ('view', 'like', 'share', 'check_in')
    union
    select n.actor_id, n.object_id, k.kind from noted n cross join (values ('rsvp'), ('ticket')) k(kind) where n.kind = 'ticket'
    union
    select n.actor_id, e.id, 'follow'
    from noted n
    cross join lateral (
      select min(f.created_at) as at from app.follows f
      where f.follower_id = n.actor_id and f.entity_id = n.object_id and f.status = 'active'
    ) f
    cross join lateral app.followed_events(n.object_id, f.at) e(id)
    where n.kind = 'follow' and f.at is not null
    union
    select a.actor_id, a.event_id, a.kind
    from noted n
    join app.rank_actions a on a.actor_id = n.actor_id and a.kind = 'follow'
    join app.events e on e.id = a.event_id and n.object_id in (e.host_id, e.venue_id)
    where n.kind = 'follow'
    union
    select a.actor_id, a.event_id, a.kind from noted n join app.rank_actions a on a.actor_id = n.actor_id where n.kind = 'actor'
  ), known as (
    select t.actor_id, t.event_id, t.kind, f.at as fact, f.at is not null and u.status = 'active' as is_so,
      u.created_at as joined_at, e.host_id, a.id as action_id, a.counts
    from touched t
    join app.users u on u.id = t.actor_id
    join app.events e on e.id = t.event_id
    cross join lateral (select app.rank_fact(t.actor_id, t.event_id, t.kind) as at) f
    left join app.rank_actions a on a.actor_id = t.actor_id and a.event_id = t.event_id and a.kind = t.kind
  ), fresh as (
    -- A time in the future counts as now, so that it gives no advantage.
    select k.*, least(k.fact, p_now) as at, n.network, date_bin('1 hour', k.joined_at, 'epoch') as cohort
    from known k
    left join lateral (
      select app.network_of(s.ip_address) as network from app.sessions s
      where s.user_id = k.actor_id and s.created_at <= k.fact order by s.id desc limit 1
    ) n on true
    where k.action_id is null and k.fact is not null
  ), numbered as (
    select f.*,
      -- Views are counted separately, so that a member who has viewed many events can still contribute by other
      -- actions.
      (
        select count(*) from app.rank_actions a
        where a.actor_id = f.actor_id and (a.kind = 'view') = (f.kind = 'view')
          and a.at >= date_bin('1 day', f.at, 'epoch') and a.at < date_bin('1 day', f.at, 'epoch') + interval '1 day'
      ) + row_number() over (
        partition by f.actor_id, f.kind = 'view', date_bin('1 day', f.at, 'epoch') order by f.at, f.event_id, f.kind
      ) as of_day,
      (
        select count(*) from app.rank_actions a
        where a.event_id = f.event_id and a.network = f.network and (a.kind = 'view') = (f.kind = 'view')
          and a.at >= date_bin('1 hour', f.at, 'epoch') and a.at < date_bin('1 hour', f.at, 'epoch') + interval '1 hour'
      ) + row_number() over (
        partition by f.event_id, f.network, f.kind = 'view', date_bin('1 hour', f.at, 'epoch') order by f.at, f.actor_id, f.kind
      ) as of_network,
      (
        select count(*) from app.rank_actions a
        where a.event_id = f.event_id and a.cohort = f.cohort and (a.kind = 'view') = (f.kind = 'view')
          and a.at >= date_bin('1 hour', f.at, 'epoch') and a.at < date_bin('1 hour', f.at, 'epoch') + interval '1 hour'
      ) + row_number() over (
        partition by f.event_id, f.cohort, f.kind = 'view', date_bin('1 hour', f.at, 'epoch') order by f.at, f.actor_id, f.kind
      ) as of_cohort,
      exists (
        select from app.role_assignments r
        where r.user_id = f.actor_id and r.scope_id = f.host_id and r.state = 'accepted' and r.status = 'active'
      ) or exists (
        select from app.community_members m
        where m.user_id = f.actor_id and m.community_id = f.host_id and m.role = 'moderator' and m.state = 'active' and m.status = 'active'
      ) as is_staff
    from fresh f
  ), inserted as (
    insert into app.rank_actions (actor_id, event_id, kind, at, weight, counts, network, cohort)
    select n.actor_id, n.event_id, n.kind, n.at,
      case
        when n.is_staff or n.of_day > (p_settings ->> 'actions_a_day')::int then 0
        when n.network is not null and n.of_network > (p_settings ->> 'network_an_hour')::int then 0
        when n.of_cohort > (p_settings ->> 'cohort_an_hour')::int then 0
        when n.joined_at > n.at - make_interval(days => (p_settings ->> 'new_account_days')::int)
          then (p_settings -> 'weights' ->> n.kind)::numeric * (p_settings ->> 'new_account_percent')::numeric / 100
        else (p_settings -> 'weights' ->> n.kind)::numeric
      end,
      n.is_so, n.network, n.cohort
    from numbered n order by n.event_id, n.actor_id, n.kind
    returning event_id, weight, at, counts
  ), turned as (
    update app.rank_actions a set counts = k.is_so
    from known k where a.id = k.action_id and a.counts <> k.is_so
    returning a.event_id, a.weight, a.at, a.counts
  ), told as (
    select i.event_id, 1 as sign, i.weight, i.at from inserted i where i.counts and i.weight > 0
    union all
    select t.event_id, case when t.counts then 1 else -1 end, t.weight, t.at from turned t where t.weight > 0
  )
  select array_agg(t.event_id), array_agg(t.sign), array_agg(app.rank_term(t.weight, t.at, v_half_life))
  into events, signs, terms
  from told t;
end
$$;
alter function app.take_actions(app.rank_notes[], jsonb, timestamptz) owner to <app>_owner;
revoke execute on function app.take_actions(app.rank_notes[], jsonb, timestamptz) from public;
grant execute on function app.take_actions(app.rank_notes[], jsonb, timestamptz) to <app>_job;

-- Processes up to `p_limit` notes and updates the ranks. Returns the number of notes processed; it equals `p_limit` if
-- there may be more, and is 0 while another worker is running. New contributions are added and revoked ones subtracted
-- without reading the other actions, until rounding errors could show.
create function app.rank_events(p_limit int, p_settings jsonb) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
declare
  v_half_life constant int := (p_settings ->> 'half_life_hours')::int;
  v_per_host constant int := (p_settings ->> 'per_host')::int;
  -- The id of a row before all notes. A crash empties the table of notes, which is unlogged, and so removes this row
  -- too.
  v_mark constant uuid := '00000000-0000-0000-0000-000000000000';
  v_now timestamptz;
  v_notes app.rank_notes[];
  v_is_all boolean;
  v_delta record;
  v_new record;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('trending', 0)) then
    return 0;
  end if;
  -- Read while the lock is held, so that the times of changes are in the order of their commits.
  v_now := clock_timestamp();
  if not exists (select from app.rank_notes n where n.id = v_mark) then
    insert into app.rank_notes (id, kind) values (v_mark, 'mark');
    -- Before the first ranks are computed, no notes can have been lost.
    if exists (select from app.rank_states) then
      perform app.add_up_ranks(p_settings, false, v_now);
      insert into app.rank_notes (kind) values ('all');
    end if;
  end if;
  if not exists (select from app.rank_states s where s.half_life_hours = v_half_life and s.per_host = v_per_host) then
    perform app.add_up_ranks(p_settings, true, v_now);
    insert into app.rank_states (name, half_life_hours, per_host) values ('ranks', v_half_life, v_per_host)
    on conflict (name) do update set half_life_hours = excluded.half_life_hours, per_host = excluded.per_host;
  end if;
  with taken as (
    delete from app.rank_notes n where n.id = any (array(select o.id from app.rank_notes o where o.id > v_mark order by o.id limit p_limit)) returning n as note
  )
  select array_agg(t.note) into v_notes from taken t;
  if v_notes is null then
    return 0;
  end if;
  v_is_all := exists (select from unnest(v_notes) n where n.kind = 'all');
  if v_is_all then
    perform app.note_missing(true);
  end if;
  v_delta := app.take_actions(v_notes, p_settings, v_now);
  with deltas as (
    select d.event_id, d.sign, d.term from unnest(v_delta.events, v_delta.signs, v_delta.terms) d(event_id, sign, term)
  ), sums as (
    select d.event_id, sum(d.sign) as added, max(d.term) as peak from deltas d group by d.event_id
  ), old as (
    select s.event_id, coalesce(r.actions, 0) + s.added as actions, greatest(s.peak, r.rank::float8) as peak,
      coalesce(exp(greatest(r.rank::float8 - greatest(s.peak, r.rank::float8), -700)), 0) as share, coalesce(r.drift, 0)::float8 as drift
    from sums s left join app.event_ranks r on r.event_id = s.event_id
  ), new as (
    select o.event_id, o.actions, o.peak, o.share * o.drift + 1e-12 as error,
      o.share + sum(d.sign * exp(greatest(d.term - o.peak, -700))) as share
    from old o join deltas d on d.event_id = o.event_id
    group by o.event_id, o.actions, o.peak, o.share, o.drift
  ), judged as (
    select n.*, case
        when n.actions <= 0 then 'nothing'
        when n.share <= 0 or n.error / n.share > 1e-9 then 'anew'
        else 'good'
      end as sum
    from new n
  )
  select array_agg(j.event_id) as events,
    array_agg(case j.sum when 'good' then j.peak + ln(j.share) when 'anew' then app.exact_rank(j.event_id, v_half_life) end) as ranks,
    array_agg(greatest(j.actions, 0)::bigint) as actions,
    array_agg(case j.sum when 'good' then j.error / j.share else 0 end) as drifts
  into v_new from judged j;
  perform app.place_ranks(
    coalesce(v_new.events, '{}'), coalesce(v_new.ranks, '{}'), coalesce(v_new.actions, '{}'), coalesce(v_new.drifts, '{}'),
    array(select n.object_id from unnest(v_notes) n where n.kind = 'event'), v_per_host, v_now);
  delete from app.rank_pasts p where p.until < v_now - interval '15 minutes';
  return case when v_is_all then p_limit else cardinality(v_notes) end;
end
$$;
alter function app.rank_events(int, jsonb) owner to <app>_owner;
revoke execute on function app.rank_events(int, jsonb) from public;
grant execute on function app.rank_events(int, jsonb) to <app>_job;

-- Notes facts that hold but don't count yet, and actions that count although the fact no longer holds, unless they are
-- noted already. With `p_follows`, all follows are checked again as well. Returns the number of notes, without those of
-- `p_follows`.
create function app.note_missing(p_follows boolean) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan set enable_nestloop = off as $$
declare
  v_found bigint;
begin
  with facts as (
    select distinct f.actor_id, f.event_id, f.kind from app.rank_facts f
    join app.events e on e.id = f.event_id and e.ends_at > now() - interval '30 days'
  ), wrong as (
    select f.actor_id, f.event_id, f.kind from facts f
    where not exists (
      select from app.rank_actions a where a.actor_id = f.actor_id and a.event_id = f.event_id and a.kind = f.kind)
    union all
    select a.actor_id, a.event_id, a.kind
    from app.rank_actions a
    join app.events e on e.id = a.event_id and e.ends_at > now() - interval '30 days'
    join app.users u on u.id = a.actor_id
    left join facts f on f.actor_id = a.actor_id and f.event_id = a.event_id and f.kind = a.kind
    where a.kind <> 'follow' and a.counts <> (u.status = 'active' and f.kind is not null)
    union all
    select a.actor_id, a.event_id, a.kind
    from app.rank_actions a
    join app.events e on e.id = a.event_id and e.ends_at > now() - interval '30 days'
    join app.users u on u.id = a.actor_id
    where a.kind = 'follow' and a.counts <> (u.status = 'active' and app.rank_fact(a.actor_id, a.event_id, a.kind) is not null)
  ), named as (
    select distinct case w.kind when 'rsvp' then 'ticket' else w.kind end as kind, w.actor_id,
      case w.kind when 'follow' then e.host_id else w.event_id end as object_id, e.venue_id
    from wrong w join app.events e on e.id = w.event_id
  ), noted as (
    insert into app.rank_notes (kind, actor_id, object_id)
    select n.kind, n.actor_id, n.object_id from named n
    where not exists (
      select from app.rank_notes o
      where o.actor_id = n.actor_id and (o.kind = 'actor' or (o.kind = n.kind and o.object_id in (n.object_id, n.venue_id))))
    returning 1
  )
  select count(*) into v_found from noted;
  if p_follows then
    insert into app.rank_notes (kind, actor_id, object_id)
    select 'follow', f.follower_id, f.entity_id from app.follows f
    where f.status = 'active' and f.entity_type <> 'user'
      and exists (select from app.followed_events(f.entity_id, f.created_at));
  end if;
  return v_found;
end
$$;
alter function app.note_missing(boolean) owner to <app>_owner;
revoke execute on function app.note_missing(boolean) from public;
grant execute on function app.note_missing(boolean) to <app>_job;

-- Recomputes every rank from its actions and corrects those that differ. With `p_all`, all ranks are stored anew.
-- Returns the number of corrections.
create function app.add_up_ranks(p_settings jsonb, p_all boolean, p_now timestamptz) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan set enable_nestloop = off as $$
declare
  v_half_life constant int := (p_settings ->> 'half_life_hours')::int;
  v_found record;
begin
  with terms as (
    select a.event_id, app.rank_term(a.weight, a.at, v_half_life) as term from app.rank_actions a where a.counts and a.weight > 0
  ), peaks as (
    select t.event_id, t.term, max(t.term) over (partition by t.event_id) as peak from terms t
  ), truth as (
    select p.event_id, max(p.peak) + ln(sum(exp(greatest(p.term - p.peak, -700)))) as rank, count(*) as actions from peaks p group by p.event_id
  ), compared as (
    select coalesce(t.event_id, r.event_id) as event_id, t.rank, coalesce(t.actions, 0) as actions,
      r.id is null or (t.rank is null) <> (r.rank is null) or abs(t.rank - r.rank::float8) > 1e-6
        or r.actions <> coalesce(t.actions, 0) as differs,
      r.id is not null and r.shown_until is distinct from app.shown_until(e) as is_shown_wrongly
    from truth t
    full join app.event_ranks r on r.event_id = t.event_id
    join app.events e on e.id = coalesce(t.event_id, r.event_id)
  )
  select array_agg(c.event_id) filter (where c.differs) as events, array_agg(c.rank) filter (where c.differs) as ranks,
    array_agg(c.actions) filter (where c.differs) as actions, array_agg(0::float8) filter (where c.differs) as drifts,
    array_agg(c.event_id) filter (where c.is_shown_wrongly or p_all) as noted,
    count(*) filter (where c.differs or c.is_shown_wrongly) as count
  into v_found from compared c;
  perform app.place_ranks(
    coalesce(v_found.events, '{}'), coalesce(v_found.ranks, '{}'), coalesce(v_found.actions, '{}'), coalesce(v_found.drifts, '{}'),
    coalesce(v_found.noted, '{}'), (p_settings ->> 'per_host')::int, p_now);
  return v_found.count;
end
$$;
alter function app.add_up_ranks(jsonb, boolean, timestamptz) owner to <app>_owner;
revoke execute on function app.add_up_ranks(jsonb, boolean, timestamptz) from public;
grant execute on function app.add_up_ranks(jsonb, boolean, timestamptz) to <app>_job;

-- Compares ranks with what members did, and corrects them. Returns the number of differences.
create function app.compare_ranks(p_settings jsonb) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_found bigint;
begin
  perform pg_advisory_xact_lock(hashtextextended('trending', 0));
  v_found := app.note_missing(false) + app.add_up_ranks(p_settings, false, clock_timestamp());
  update app.rank_states set compared_at = now(), differences = v_found;
  return v_found;
end
$$;
alter function app.compare_ranks(jsonb) owner to <app>_owner;
revoke execute on function app.compare_ranks(jsonb) from public;
grant execute on function app.compare_ranks(jsonb) to <app>_job;
