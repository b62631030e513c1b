-- What a host may no longer change once buyers rely on it. The hooks of ticket types and events say the same with a
-- pointer (`runtime/app/src/tickets/promises.rs`); these triggers hold for every writer.

-- Refuses to join the waiting list of an event that has begun or was cancelled, and of a community's event by a ticket
-- alone (`app.may_order_tickets`). Who does not see the event at all is refused by the policy. Requests alone are held to it.
create function app.begin_waiting() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if app.waiting_obstacle(new.event_id, new.user_id) is not null then
    raise exception 'nothing to wait for' using errcode = '23514', table = 'events', constraint = 'events_waited_for';
  end if;
  return new;
end
$$;
alter function app.begin_waiting() owner to <app>_authz;
revoke execute on function app.begin_waiting() from public;

create trigger waitlist_entries_begin after insert on app.waitlist_entries
  for each row when (current_user = '<app>_app') execute function app.begin_waiting();

-- Why a member can't wait for tickets of an event: `over` or `members`; null if nothing is in the way.
create function app.waiting_obstacle(p_event uuid, p_user uuid) returns text
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select case
      when e.starts_at <= now() or e.state in ('cancelled', 'completed') then 'over'
      when e.host_community_id is not null and not app.may_order_tickets(e.id, p_user) and exists (
        select from app.tickets t where t.event_id = e.id and t.holder_id = p_user and t.state in ('valid', 'checked_in')) then 'members'
    end
    from app.events e where e.id = p_event and e.status = 'active');
end
$$;
alter function app.waiting_obstacle(uuid, uuid) owner to <app>_authz;
revoke execute on function app.waiting_obstacle(uuid, uuid) from public;
grant execute on function app.waiting_obstacle(uuid, uuid) to <app>_app;

-- Whether a ticket type was ever ordered, also by orders that have expired or were refunded since.
create function app.was_ordered(p_type uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from app.order_items i where i.ticket_type_id = p_type);
end
$$;
alter function app.was_ordered(uuid) owner to <app>_counter;
revoke execute on function app.was_ordered(uuid) from public;
grant execute on function app.was_ordered(uuid) to <app>_app, <app>_job;

-- Refuses another currency for a ticket type that was ordered before or is held: its orders, tickets and refunds stay in
-- the old currency, and sales figures of the type add their amounts. Orders that are being placed lock the row of the type, and
-- `app.hold_tickets` compares the currencies once it has that lock.
create function app.keep_currency_of_tickets() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if old.held + old.sold > 0 or app.was_ordered(old.id) then
    raise exception 'ordered in another currency' using errcode = '23514', constraint = 'ticket_types_currency_kept';
  end if;
  return new;
end
$$;
alter function app.keep_currency_of_tickets() owner to <app>_counter;
revoke execute on function app.keep_currency_of_tickets() from public;

create trigger ticket_types_currency_kept before update of currency on app.ticket_types
  for each row when (new.currency <> old.currency) execute function app.keep_currency_of_tickets();

-- Refuses to take back the right to return tickets while members hold or have ordered them: they bought on that
-- condition. A later time is allowed, and so is any once the time is over.
create function app.keep_right_of_return() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if old.held + old.sold > 0 and old.refundable_until > now() then
    raise exception 'sold with a longer right of return' using errcode = '23514', constraint = 'ticket_types_refundable_until_kept';
  end if;
  return new;
end
$$;
alter function app.keep_right_of_return() owner to <app>_owner;
revoke execute on function app.keep_right_of_return() from public;

create trigger ticket_types_refundable_until_kept before update of refundable_until on app.ticket_types
  for each row when (old.refundable_until is not null and coalesce(new.refundable_until < old.refundable_until, true))
  execute function app.keep_right_of_return();

-- How many tickets of an event are held or sold.
create function app.taken_of_event(p_event uuid) returns bigint
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select coalesce(sum(t.held + t.sold), 0)::bigint from app.ticket_types t where t.event_id = p_event
  );
end
$$;
alter function app.taken_of_event(uuid) owner to <app>_counter;
revoke execute on function app.taken_of_event(uuid) from public;
grant execute on function app.taken_of_event(uuid) to <app>_app, <app>_job;

-- Refuses a capacity of an event that is less than the tickets held and sold. Orders that are being placed change the
-- rows of types first and read the capacity afterwards (`app.hold_tickets`): this waits for them, and those that come later see the
-- new capacity.
create function app.keep_room_of_event() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_taken bigint;
begin
  perform from app.ticket_types t where t.event_id = new.id order by t.id for share;
  v_taken := app.taken_of_event(new.id);
  if new.capacity < v_taken then
    raise exception 'more tickets are held and sold' using errcode = '23514', constraint = 'events_capacity_taken', detail = v_taken::text;
  end if;
  return new;
end
$$;
alter function app.keep_room_of_event() owner to <app>_counter;
revoke execute on function app.keep_room_of_event() from public;

create trigger events_capacity_taken before update of capacity on app.events
  for each row when (new.capacity < coalesce(old.capacity, new.capacity + 1)) execute function app.keep_room_of_event();

-- Refuses to move an event that has tickets into the past, or to begin earlier with less than a day's notice: its guests
-- could not come, and it would count as completed. Requests alone are held to it.
create function app.keep_event_ahead() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if (new.starts_at > old.starts_at and new.starts_at < now())
    or (new.starts_at < old.starts_at and new.starts_at < now() + interval '1 day') or (new.ends_at <> old.ends_at and new.ends_at < now()) then
    raise exception 'tickets were sold for another time' using errcode = '23514', constraint = 'events_moved_ahead';
  end if;
  return new;
end
$$;
alter function app.keep_event_ahead() owner to <app>_owner;
revoke execute on function app.keep_event_ahead() from public;

create trigger events_moved_ahead before update of starts_at, ends_at on app.events
  for each row when (current_user = '<app>_app' and old.ticket_count > 0) execute function app.keep_event_ahead();

-- The ticket types that would be on sale online and cost something if an archived event was restored: those that were
-- archived along with it. None if it is over or was not published. Requests may not read with what a row was archived.
create function app.types_restored_with(p_event uuid) returns setof app.ticket_types
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
  select t.* from app.ticket_types t join app.events e on e.id = t.event_id
  where e.id = p_event and e.status = 'archived' and e.state = 'published' and e.ends_at > now()
    and t.status = 'archived' and t.archived_with = e.id and t.archived_from = 'active' and t.price_cents > 0 and not t.door_only
  order by t.id;
end
$$;
alter function app.types_restored_with(uuid) owner to <app>_counter;
revoke execute on function app.types_restored_with(uuid) from public;
grant execute on function app.types_restored_with(uuid) to <app>_app, <app>_job;

-- Refuses an order online of tickets that are sold at the door alone, whose host may have no account that is paid. The cart
-- says the same with a pointer; a type may become `door_only` after the cart was read. A line is in the currency of its order,
-- too. The module alone writes orders.
create function app.keep_to_door() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_at_door boolean;
  v_mixed boolean;
begin
  select t.door_only and not o.sold_at_door, o.currency <> new.currency into v_at_door, v_mixed
  from app.ticket_types t join app.orders o on o.id = new.order_id where t.id = new.ticket_type_id;
  if v_at_door then
    raise exception 'sold at the door alone' using errcode = '23514', constraint = 'order_items_at_door';
  elsif v_mixed then
    raise exception 'a line in another currency than its order' using errcode = '23514', constraint = 'order_items_currency';
  end if;
  return new;
end
$$;
alter function app.keep_to_door() owner to <app>_counter;
revoke execute on function app.keep_to_door() from public;

create trigger order_items_at_door before insert on app.order_items
  for each row when (current_user = '<app>_job') execute function app.keep_to_door();

-- Locks the row of an event, in which its tickets are counted, until the end of the transaction. Called before types are
-- locked by transactions that issue tickets as well: those that change tickets first and types afterwards, as refunds and
-- payments do, would otherwise deadlock with them.
create function app.lock_event(p_event uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- As in `app.hold_tickets`: many that wait for a row are slower than many that wait for this lock.
  perform pg_advisory_xact_lock(hashtextextended('event:' || p_event::text, 0));
  perform from app.events e where e.id = p_event for no key update;
end
$$;
alter function app.lock_event(uuid) owner to <app>_counter;
revoke execute on function app.lock_event(uuid) from public;
grant execute on function app.lock_event(uuid) to <app>_job;
