-- Database objects of the module `broadcasts`: who may write to guests, how often and to whom, and that nothing is sent
-- about an event that does not take place.

-- The greatest number of broadcasts to the guests of one event in a day (UTC).
create function app.broadcasts_a_day() returns int
  language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return 5;
end
$$;
alter function app.broadcasts_a_day() owner to <app>_owner;
revoke execute on function app.broadcasts_a_day() from public;
grant execute on function app.broadcasts_a_day() to <app>_authz, <app>_job;

-- Whether a host may send broadcasts: it has been approved or, since communities need no approval, it is a community
-- that is verified or has existed for two weeks. Institutions always may.
create function app.may_broadcast(p_host uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.organizations o where o.id = p_host and o.state = 'approved' and o.status = 'active')
    or exists (select from app.businesses b where b.id = p_host and b.state = 'approved' and b.status = 'active')
    or exists (select from app.institutions i where i.id = p_host and i.status = 'active')
    or exists (
      select from app.communities c
      where c.id = p_host and c.status = 'active' and (c.verified or c.created_at < now() - interval '14 days'));
end
$$;
alter function app.may_broadcast(uuid) owner to <app>_authz;
revoke execute on function app.may_broadcast(uuid) from public;
grant execute on function app.may_broadcast(uuid) to <app>_app, <app>_job;

-- Whether followers of a venue are told of an event there: if it is of the venue's owner, or its host may write to its
-- guests. Anybody can found a community and name any venue; its events would otherwise reach all who follow the venue.
create function app.may_announce_at(p_host uuid, p_venue uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.venues v where v.id = p_venue and v.owner_id = p_host) or app.may_broadcast(p_host);
end
$$;
alter function app.may_announce_at(uuid, uuid) owner to <app>_authz;
revoke execute on function app.may_announce_at(uuid, uuid) from public;
grant execute on function app.may_announce_at(uuid, uuid) to <app>_counter, <app>_job;

-- Whether the author of a broadcast may still write in the name of a host: their account is active, and they administer
-- the host or the platform. Asked when it is scheduled and again when it is due.
create function app.author_may(p_author uuid, p_host uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.users u join app.role_assignments r on r.user_id = u.id and r.state = 'accepted' and r.status = 'active'
    where u.id = p_author and u.status = 'active'
      and (r.role = 'platformAdmin' or r.role = 'orgAdmin' and r.scope_id = p_host));
end
$$;
alter function app.author_may(uuid, uuid) owner to <app>_authz;
revoke execute on function app.author_may(uuid, uuid) from public;
grant execute on function app.author_may(uuid, uuid) to <app>_job;

-- The reason why a broadcast can't be scheduled; null if it can. Holds a lock on the event until the end of the
-- transaction, so that two callers at the same time can't both use the last broadcast of a day.
create function app.broadcast_obstacle(p_id uuid) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_event uuid;
  v_host uuid;
  v_day date;
  v_types text[];
  v_audience text;
  v_author uuid;
begin
  select e.id, e.host_id, b.created_by_id, (greatest(b.send_at, now()) at time zone 'UTC')::date, b.audience, coalesce(b.ticket_type_ids, '{}')
  into v_event, v_host, v_author, v_day, v_audience, v_types
  from app.broadcasts b join app.events e on e.id = b.event_id where b.id = p_id;
  if not app.may_broadcast(v_host) then
    return 'host';
  end if;
  -- It would be cancelled when it is due. Of an author who has left the platform nothing is known, and others answer for it.
  if v_author is not null and not app.author_may(v_author, v_host) then
    return 'author';
  end if;
  if v_audience = 'ticket_types' and (cardinality(v_types) = 0 or exists (
    select from unnest(v_types) x(id)
    where not exists (select from app.ticket_types t where t.event_id = v_event and t.id::text = lower(x.id))))
  then
    return 'types';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('broadcasts:' || v_event::text, 0));
  if app.broadcasts_a_day() <= (
    select count(*) from app.broadcasts b
    where b.event_id = v_event and b.id <> p_id and b.state in ('scheduled', 'sending', 'sent')
      and (coalesce(b.sent_at, greatest(b.send_at, now())) at time zone 'UTC')::date = v_day)
  then
    return 'limit';
  end if;
  return null;
end
$$;
alter function app.broadcast_obstacle(uuid) owner to <app>_authz;
revoke execute on function app.broadcast_obstacle(uuid) from public;
grant execute on function app.broadcast_obstacle(uuid) to <app>_app;

-- Refuses to schedule a broadcast while there is an obstacle, whoever schedules it.
create function app.hold_broadcast() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  case app.broadcast_obstacle(new.id)
    when 'host' then
      raise exception 'nobody has looked at the host yet' using errcode = '23514', constraint = 'broadcasts_host';
    when 'author' then
      raise exception 'its author is no administrator any more' using errcode = '23514', constraint = 'broadcasts_author';
    when 'types' then
      raise exception 'not all of them are ticket types of the event' using errcode = '23514', constraint = 'broadcasts_ticket_types';
    when 'limit' then
      raise exception 'as many as may go in a day' using errcode = '23514', constraint = 'broadcasts_limit';
    else
      return new;
  end case;
end
$$;
alter function app.hold_broadcast() owner to <app>_authz;
revoke execute on function app.hold_broadcast() from public;

create trigger hold_broadcast before update of state on app.broadcasts
  for each row when (new.state = 'scheduled' and old.state = 'draft') execute function app.hold_broadcast();

-- The members whom a broadcast goes to now. Ids of ticket types are texts, and may be in upper case in old rows. A guest counts as checked in if they passed the entrance or a checkpoint.
-- Who waits for tickets, and may not see the event any more, is not written to.
create function app.broadcast_audience(p_id uuid) returns setof uuid
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query select u.id from app.users u
  where u.status = 'active' and u.id in (
    select t.holder_id from app.broadcasts b join app.tickets t on t.event_id = b.event_id
    where b.id = p_id and case b.audience
      when 'guests' then t.state in ('valid', 'checked_in')
      when 'ticket_types' then t.state in ('valid', 'checked_in') and t.ticket_type_id::text = any(lower(b.ticket_type_ids::text)::text[])
      when 'checked_in' then t.state = 'checked_in'
        or (t.state = 'valid' and exists (select from app.checkpoint_entries x where x.ticket_id = t.id))
      when 'not_checked_in' then t.state = 'valid'
        and not exists (select from app.checkpoint_entries x where x.ticket_id = t.id)
      else false end
    union
    select w.user_id from app.broadcasts b
    -- Of an event that everybody sees it need not be asked for each of those who wait.
    cross join lateral (select app.may_order_tickets(b.event_id, null) as everybody offset 0) may
    join app.waitlist_entries w on w.event_id = b.event_id
    where b.id = p_id and b.audience = 'waiting_list' and w.status = 'active' and w.state in ('waiting', 'offered')
      and (may.everybody or app.may_order_tickets(w.event_id, w.user_id)));
end
$$;
alter function app.broadcast_audience(uuid) owner to <app>_owner;
revoke execute on function app.broadcast_audience(uuid) from public;
grant execute on function app.broadcast_audience(uuid) to <app>_job;

-- Cancels scheduled broadcasts in the same transaction that cancels, unpublishes, suspends or archives the event.
create function app.call_off_broadcasts() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp set app.job = 'broadcasts' as $$
begin
  update app.broadcasts b set state = 'cancelled' where b.event_id = new.id and b.state = 'scheduled';
  return null;
end
$$;
alter function app.call_off_broadcasts() owner to <app>_counter;
revoke execute on function app.call_off_broadcasts() from public;
grant select, update (state) on app.broadcasts to <app>_counter;

create trigger events_call_off_broadcasts after update of state, status on app.events
  for each row when ((new.state in ('cancelled', 'draft') or new.status <> 'active') and (new.state, new.status) is distinct from (old.state, old.status))
  execute function app.call_off_broadcasts();
