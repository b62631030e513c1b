-- Queries of the module `calendars` about events: which events belong to a calendar, and what the calendar says about
-- them.

-- The revision of an event's times, starting at 1. A row exists once the event was moved or cancelled, or its guests were
-- reminded.
-- Callers who may read the event see its times, and it is no secret that they were changed.
create function app.schedule_revision(p_event uuid) returns int
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((select s.revision from app.event_schedules s where s.event_id = p_event), 1);
end
$$;
alter function app.schedule_revision(uuid) owner to <app>_authz;
revoke execute on function app.schedule_revision(uuid) from public;
grant execute on function app.schedule_revision(uuid) to <app>_app, <app>_job;

-- When an event was cancelled; null if it was not. Callers who may read the event see that it was.
create function app.cancelled_at(p_event uuid) returns timestamptz
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select s.cancelled_at from app.event_schedules s where s.event_id = p_event);
end
$$;
alter function app.cancelled_at(uuid) owner to <app>_authz;
revoke execute on function app.cancelled_at(uuid) from public;
grant execute on function app.cancelled_at(uuid) to <app>_app, <app>_job;

-- Whether an event belongs in calendars: it has been published and ended no more than thirty days ago and, if it was
-- cancelled, that was no more than thirty days ago either.
create function app.in_calendars(p_event uuid, p_state text, p_ends_at timestamptz) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return p_ends_at >= now() - interval '30 days'
    and (p_state in ('published', 'completed')
      or (p_state = 'cancelled' and coalesce(app.cancelled_at(p_event) >= now() - interval '30 days', false)));
end
$$;
alter function app.in_calendars(uuid, text, timestamptz) owner to <app>_owner;
revoke execute on function app.in_calendars(uuid, text, timestamptz) from public;
grant execute on function app.in_calendars(uuid, text, timestamptz) to <app>_app, <app>_job, <app>_authz;

-- The name of the profile, venue or city of a calendar; null if the caller may not read it.
create function app.calendar_name(p_kind text, p_id uuid) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
  select o.name from app.organizations o where p_kind = 'organization' and o.id = p_id and o.status = 'active'
  union all
  select c.name from app.communities c where p_kind = 'community' and c.id = p_id and c.status = 'active'
  union all
  select b.name from app.businesses b where p_kind = 'business' and b.id = p_id and b.status = 'active'
  union all
  select i.name from app.institutions i where p_kind = 'institution' and i.id = p_id and i.status = 'active'
  union all
  select v.name from app.venues v where p_kind = 'venue' and v.id = p_id and v.status = 'active'
  union all
  select c.name from app.cities c where p_kind = 'city' and c.id = p_id and c.status = 'active'
  );
end
$$;
alter function app.calendar_name(text, uuid) owner to <app>_owner;
revoke execute on function app.calendar_name(text, uuid) from public;
grant execute on function app.calendar_name(text, uuid) to <app>_app, <app>_job;

-- Events of a host, at a venue or in a city that the caller may read: first the upcoming ones, then those that have
-- begun, the latest first. Events that began more than a year ago are left out, so that the scan of an index is
-- bounded. The column name comes from a fixed list, regardless of the parameters.
create function app.calendar_of(p_kind text, p_id uuid, p_most int) returns setof uuid
  language plpgsql stable rows 500 set search_path = pg_catalog, pg_temp as $$
declare
  v_column constant text := case p_kind
    when 'organization' then 'host_organization_id'
    when 'community' then 'host_community_id'
    when 'business' then 'host_business_id'
    when 'institution' then 'host_institution_id'
    when 'venue' then 'venue_id'
    when 'city' then 'city_id'
  end;
begin
  return query execute format($sql$
    select x.id from (
      (select e.id, e.starts_at, false as begun from app.events e
       where e.%1$I = $1 and e.status = 'active' and e.visibility <> 'unlisted' and e.starts_at >= now()
         and app.in_calendars(e.id, e.state, e.ends_at)
       order by e.starts_at, e.id limit $2)
      union all
      (select e.id, e.starts_at, true from app.events e
       where e.%1$I = $1 and e.status = 'active' and e.visibility <> 'unlisted' and e.starts_at < now()
         and e.starts_at >= now() - interval '1 year' and app.in_calendars(e.id, e.state, e.ends_at)
       order by e.starts_at desc, e.id limit $2)
    ) x
    order by x.begun, case when not x.begun then x.starts_at end, x.starts_at desc, x.id limit $2
  $sql$, v_column) using p_id, p_most;
end
$$;
alter function app.calendar_of(text, uuid, int) owner to <app>_owner;
revoke execute on function app.calendar_of(text, uuid, int) from public;
grant execute on function app.calendar_of(text, uuid, int) to <app>_app, <app>_job;

-- Events of the caller: those that they hold a ticket for or attended, and those of hosts and venues that they follow.
-- Tickets become void or refunded when an event is cancelled, so these states count for cancelled events. Those that the
-- caller may not see are left out here, so that they don't take the places of others; they are sorted first, and asked
-- about until there are enough.
create function app.calendar_of_member(p_most int) returns setof uuid
  language plpgsql stable security definer rows 500 set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select y.id from (
    select x.id from (
      select e.id, e.starts_at, e.starts_at < now() as begun from (
        select t.event_id from app.tickets t join app.events c on c.id = t.event_id
        where t.holder_id = sec.uid()
          and (t.state in ('valid', 'checked_in') or (c.state = 'cancelled' and t.state in ('void', 'refunded')))
        union
        select a.event_id from app.attendances a where a.user_id = sec.uid()
        union
        select f.id from app.follows w
        cross join lateral (
          select e.id, e.status, e.state, e.visibility from app.events e
          where w.entity_type = 'organization' and e.host_organization_id = w.entity_id
          union all
          select e.id, e.status, e.state, e.visibility from app.events e
          where w.entity_type = 'community' and e.host_community_id = w.entity_id
          union all
          select e.id, e.status, e.state, e.visibility from app.events e
          where w.entity_type = 'business' and e.host_business_id = w.entity_id
          union all
          select e.id, e.status, e.state, e.visibility from app.events e
          where w.entity_type = 'institution' and e.host_institution_id = w.entity_id
          union all
          select e.id, e.status, e.state, e.visibility from app.events e
          where w.entity_type = 'venue' and e.venue_id = w.entity_id and app.may_announce_at(e.host_id, e.venue_id)
        ) f
        where w.follower_id = sec.uid() and w.status = 'active' and f.visibility <> 'unlisted'
      ) mine(id)
      join app.events e on e.id = mine.id
      where e.status = 'active' and app.in_calendars(e.id, e.state, e.ends_at)
    ) x
    order by x.begun, case when not x.begun then x.starts_at end, x.starts_at desc, x.id offset 0
  ) y
  where sec.seen_event(y.id) = 'active'
  limit p_most;
end
$$;
alter function app.calendar_of_member(int) owner to <app>_authz;
revoke execute on function app.calendar_of_member(int) from public;
grant execute on function app.calendar_of_member(int) to <app>_app, <app>_job;

-- The contents of a calendar for these events, without drafts and those that the caller may not read. Descriptions are
-- cut after `p_characters` characters.
create function app.calendar_entries(p_ids uuid[], p_characters int) returns table (
  id uuid, title text, description text, category text, state text, starts_at timestamptz, ends_at timestamptz,
  created_at timestamptz, updated_at timestamptz, revision int, venue text, address text, city text, latitude float8,
  longitude float8, host_type text, host_id uuid, host text
) language plpgsql stable rows 500 set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select e.id, e.title, left(e.description, p_characters), e.category::text, e.state::text, e.starts_at, e.ends_at,
         e.created_at, e.updated_at, app.schedule_revision(e.id), v.name, v.address, c.name,
         public.st_y(coalesce(e.location, v.location)::public.geometry),
         public.st_x(coalesce(e.location, v.location)::public.geometry),
         e.host_type::text, e.host_id, app.calendar_name(e.host_type, e.host_id)
  from app.events e
  left join app.venues v on v.id = e.venue_id and v.status = 'active'
  left join app.cities c on c.id = e.city_id
  where e.id = any(p_ids) and e.status = 'active' and e.state <> 'draft'
  order by e.starts_at, e.id;
end
$$;
alter function app.calendar_entries(uuid[], int) owner to <app>_owner;
revoke execute on function app.calendar_entries(uuid[], int) from public;
grant execute on function app.calendar_entries(uuid[], int) to <app>_app, <app>_job;

-- The local time in a zone.
create function app.on_the_wall(p_at timestamptz, p_timezone text) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return to_char(p_at at time zone p_timezone, 'YYYY-MM-DD"T"HH24:MI:SS.US');
end
$$;
alter function app.on_the_wall(timestamptz, text) owner to <app>_owner;
revoke execute on function app.on_the_wall(timestamptz, text) from public;
grant execute on function app.on_the_wall(timestamptz, text) to <app>_app, <app>_job, <app>_counter;

-- Stores the local times of an event whenever its times are set: they are what the organizer means, according to the
-- rules of the zone on that day.
create function app.note_local_time() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into app.event_local_times (event_id, starts_at_local, ends_at_local)
  values (new.id, app.on_the_wall(new.starts_at, new.timezone), app.on_the_wall(new.ends_at, new.timezone))
  on conflict (event_id) do update set starts_at_local = excluded.starts_at_local, ends_at_local = excluded.ends_at_local;
  return null;
end
$$;
alter function app.note_local_time() owner to <app>_counter;
revoke execute on function app.note_local_time() from public;
grant select, insert, update on app.event_local_times to <app>_counter;

create trigger events_local_time after insert on app.events
  for each row execute function app.note_local_time();

create trigger events_local_time_changed after update of starts_at, ends_at, timezone on app.events
  for each row when (
    (new.starts_at, new.ends_at, new.timezone) is distinct from (old.starts_at, old.ends_at, old.timezone)
  ) execute function app.note_local_time();

-- Moves upcoming events of zones whose rules have changed, so that they keep their local times. A local time that
-- occurs twice keeps its instant, and an event at a local time that doesn't exist any more is not moved. Returns the
-- number of events that were moved.
create function app.keep_local_times() returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  v_set bigint;
begin
  update app.events e
  set starts_at = l.starts_at_local::timestamp at time zone e.timezone, ends_at = l.ends_at_local::timestamp at time zone e.timezone
  from app.event_local_times l
  where l.event_id = e.id and e.starts_at > now() and e.status <> 'archived'
    and (app.on_the_wall(e.starts_at, e.timezone) <> l.starts_at_local or app.on_the_wall(e.ends_at, e.timezone) <> l.ends_at_local)
    and (l.starts_at_local::timestamp at time zone e.timezone, l.ends_at_local::timestamp at time zone e.timezone)
      is distinct from (e.starts_at, e.ends_at)
    and l.starts_at_local::timestamp at time zone e.timezone < l.ends_at_local::timestamp at time zone e.timezone;
  get diagnostics v_set = row_count;
  return v_set;
end
$$;
alter function app.keep_local_times() owner to <app>_owner;
revoke execute on function app.keep_local_times() from public;
grant execute on function app.keep_local_times() to <app>_job;
