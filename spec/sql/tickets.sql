-- Stock: how many tickets of a type are held for unpaid orders, and how many are sold. Rows of ticket types are updated
-- most often of all, so a transaction updates them last, and in the order of their ids.

-- Offers the free places of a type to members on the waiting list, by priority and then in the order of joining. A
-- place is held for each of them as long as the type says, and they take it by ordering. Expired offers are released
-- first. Called in the transaction that frees stock, before stock is taken, and by a job. Returns the number of offers
-- made.
create function app.offer_places(p_type uuid) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_type record;
  v_over int := 0;
  v_free bigint;
  v_next uuid[] := '{}';
  v_entry uuid;
begin
  if not exists (
    select from app.waitlist_entries w
    where w.offered_type_id = p_type and w.state = 'offered' and (w.offer_expires_at <= now() or w.status <> 'active')
  ) and not exists (
    select from app.waitlist_entries w join app.ticket_types t on t.id = p_type and t.event_id = w.event_id
    where w.state = 'waiting' and w.status = 'active' and (w.ticket_type_id is null or w.ticket_type_id = p_type)
  ) then
    return 0;
  end if;
  select t.event_id, t.capacity - t.held - t.sold as free, t.sales_end, t.waitlist_minutes, t.per_user_limit,
    t.status = 'active' and not t.door_only and (t.sales_start is null or t.sales_start <= now()) and (t.sales_end is null or t.sales_end > now()) as on_sale
  into v_type from app.ticket_types t where t.id = p_type for no key update;
  -- Entries that somebody else has locked are left to them: nobody is waited for while the type is locked.
  with over as (
    select w.id from app.waitlist_entries w
    where w.offered_type_id = p_type and w.state = 'offered' and (w.offer_expires_at <= now() or w.status <> 'active')
    for no key update skip locked
  ), ended as (
    update app.waitlist_entries w set state = 'expired', offered_type_id = null, offer_expires_at = null
    from over where w.id = over.id returning w.id
  )
  select count(*) into v_over from ended;
  v_free := case when v_type.on_sale then v_type.free + v_over else 0 end;
  if v_free > 0 then
    v_free := least(v_free, app.room_of_event(v_type.event_id) + v_over);
  end if;
  if v_free > 0 then
    with next as (
      select w.id, e.starts_at from app.waitlist_entries w
      join app.users u on u.id = w.user_id and u.status = 'active'
      join app.events e on e.id = w.event_id and e.state = 'published' and e.status = 'active' and e.starts_at > now()
        and app.host_is_live(e.host_id)
      where w.event_id = v_type.event_id and w.state = 'waiting' and w.status = 'active'
        and (w.ticket_type_id is null or w.ticket_type_id = p_type)
        -- Who could not order is passed over, and goes on waiting.
        and app.may_order_tickets(w.event_id, w.user_id) and app.tickets_of_buyer(p_type, w.user_id) < v_type.per_user_limit
        -- A member has one offer for an event at a time, also with several entries.
        and not exists (
          select from app.waitlist_entries o
          where o.event_id = w.event_id and o.user_id = w.user_id and o.id <> w.id and o.status = 'active'
            and (o.state = 'offered' and o.offer_expires_at > now()
              or o.state = 'waiting' and (o.ticket_type_id is null or o.ticket_type_id = p_type) and (o.turn, o.id) < (w.turn, w.id)))
      order by w.turn, w.id limit v_free for no key update of w skip locked
    ), offered as (
      update app.waitlist_entries w set state = 'offered', offered_type_id = p_type,
        offer_expires_at = least(now() + make_interval(mins => v_type.waitlist_minutes), v_type.sales_end, next.starts_at)
      from next where w.id = next.id returning w.id
    )
    select coalesce(array_agg(o.id), '{}') into v_next from offered o;
  end if;
  update app.ticket_types t set held = t.held - v_over + cardinality(v_next)
  where t.id = p_type and v_over <> cardinality(v_next);
  foreach v_entry in array v_next loop
    perform jobs.tell('tickets.place_offered', 'waitlist_entry', v_entry, '{}');
  end loop;
  return cardinality(v_next);
end
$$;
alter function app.offer_places(uuid) owner to <app>_owner;
revoke execute on function app.offer_places(uuid) from public;
grant execute on function app.offer_places(uuid) to <app>_job;

-- How many more tickets an event with a capacity of its own has. Locks the event's capacity until the end of the
-- transaction. If another transaction holds that lock, returns 0 without waiting; places that stay free are offered
-- later by the job.
create function app.room_of_event(p_event uuid) returns bigint
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_capacity int;
begin
  select e.capacity into v_capacity from app.events e where e.id = p_event;
  if v_capacity is null then
    return 9999999999;
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended('capacity:' || p_event::text, 0)) then
    return 0;
  end if;
  return v_capacity - (select coalesce(sum(t.held + t.sold), 0) from app.ticket_types t where t.event_id = p_event);
end
$$;
alter function app.room_of_event(uuid) owner to <app>_owner;
revoke execute on function app.room_of_event(uuid) from public;
grant execute on function app.room_of_event(uuid) to <app>_job;

-- Serializes transactions that take tickets of an event with a capacity of its own. They must call this first.
create function app.wait_for_event(p_event uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('capacity:' || e.id::text, 0))
  from app.events e where e.id = p_event and e.capacity is not null;
end
$$;
alter function app.wait_for_event(uuid) owner to <app>_owner;
revoke execute on function app.wait_for_event(uuid) from public;
grant execute on function app.wait_for_event(uuid) to <app>_job;

-- Serializes orders of one buyer for one event. Two at the same time would not see each other when they count what the
-- buyer has.
create function app.wait_for_buyer(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('order:' || o.user_id::text || o.event_id::text, 0))
  from app.orders o where o.id = p_order;
end
$$;
alter function app.wait_for_buyer(uuid) owner to <app>_owner;
revoke execute on function app.wait_for_buyer(uuid) from public;
grant execute on function app.wait_for_buyer(uuid) to <app>_job;

-- Holds tickets for an order, all or none. If there aren't enough, the error lists the types that lack tickets, or the
-- places that the event has left; a type that is archived or suspended has an error of its own. Members who waited before
-- get free places first; a place that has been offered to the buyer is used for the order.
create function app.hold_tickets(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_order record;
  v_ordered uuid[];
  v_types uuid[];
  v_type uuid;
  v_item record;
  v_own int;
  v_need int;
  v_needed int := 0;
  v_lacking uuid[] := '{}';
  v_currency text;
  v_room bigint;
begin
  select o.user_id, o.event_id, e.capacity is not null as is_limited into v_order
  from app.orders o join app.events e on e.id = o.event_id where o.id = p_order;
  perform app.wait_for_event(v_order.event_id);
  -- Orders of a type wait for each other here and not at its row: who waits for a row is woken for each version of it,
  -- which costs more than the order itself when many wait. The row's own lock still guards the numbers.
  v_ordered := array(select i.ticket_type_id from app.order_items i where i.order_id = p_order order by i.ticket_type_id);
  foreach v_type in array v_ordered loop
    perform pg_advisory_xact_lock(hashtextextended('stock:' || v_type::text, 0));
  end loop;
  -- Of an event with a capacity of its own, who waits for another type waits for the same room.
  v_types := v_ordered;
  if v_order.is_limited then
    v_types := array(select t.id from app.ticket_types t where t.event_id = v_order.event_id order by t.id);
  end if;
  foreach v_type in array v_types loop
    if v_order.is_limited and v_type = any (v_ordered) then
      -- Rows of types are locked in the order of their ids.
      perform from app.ticket_types t where t.id = v_type for no key update;
    end if;
    perform app.offer_places(v_type);
  end loop;
  for v_item in
    select i.ticket_type_id, i.quantity, i.currency from app.order_items i where i.order_id = p_order order by i.ticket_type_id
  loop
    v_own := 0;
    if exists (
      select from app.waitlist_entries w
      where w.user_id = v_order.user_id and w.offered_type_id = v_item.ticket_type_id and w.state = 'offered'
    ) then
      with own as (
        select w.id from app.waitlist_entries w
        where w.user_id = v_order.user_id and w.offered_type_id = v_item.ticket_type_id and w.state = 'offered'
          and w.status = 'active' and w.offer_expires_at > now()
        order by w.position, w.id limit v_item.quantity for no key update
      ), taken as (
        update app.waitlist_entries w set state = 'taken', offered_type_id = null, offer_expires_at = null
        from own where w.id = own.id returning w.id
      )
      select count(*) into v_own from taken;
    end if;
    v_need := v_item.quantity - v_own;
    v_needed := v_needed + v_need;
    -- A type may be withdrawn between the price and this, or before a late payment: an archived row takes no tickets.
    update app.ticket_types t set held = t.held + v_need
    where t.id = v_item.ticket_type_id and t.status = 'active' and t.held + t.sold + v_need <= t.capacity
    returning t.currency into v_currency;
    if not found then
      v_lacking := array_append(v_lacking, v_item.ticket_type_id);
    elsif v_currency <> v_item.currency then
      -- The order was priced before the type was locked, and the type got another currency in between. The transaction
      -- runs again and prices it anew; an order that was placed before keeps its type from getting one.
      raise exception 'the currency was changed meanwhile' using errcode = '40001';
    end if;
  end loop;
  if exists (select from app.ticket_types t where t.id = any (v_lacking) and t.status <> 'active') then
    raise exception 'withdrawn' using errcode = '23514', constraint = 'ticket_types_withdrawn';
  end if;
  if v_lacking <> '{}' then
    raise exception 'sold out' using errcode = '23514', constraint = 'ticket_types_sold_out', detail = array_to_string(v_lacking, ' ');
  end if;
  -- The event had no capacity of its own when this began, so that nobody was waited for, and has one now. Of two orders of
  -- two types that have both waited for the transaction that set it, neither would count the other.
  if not v_order.is_limited and exists (select from app.events e where e.id = v_order.event_id and e.capacity is not null) then
    raise exception 'the event has got a capacity meanwhile' using errcode = '40001';
  end if;
  v_room := app.room_of_event(v_order.event_id);
  if v_room < 0 then
    raise exception 'sold out' using errcode = '23514', constraint = 'events_sold_out', detail = greatest(v_room + v_needed, 0)::text;
  end if;
end
$$;
alter function app.hold_tickets(uuid) owner to <app>_owner;
revoke execute on function app.hold_tickets(uuid) from public;
grant execute on function app.hold_tickets(uuid) to <app>_job;

-- Turns held tickets into sold ones. The tickets have been counted for the event before, which locked its row, so
-- whether it was cancelled meanwhile can't change any more. If it was, the error makes the whole transaction run again,
-- which then sees that from its beginning.
create function app.sell_held_tickets(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_item record;
begin
  if exists (
    select from app.orders o join app.events e on e.id = o.event_id
    where o.id = p_order and (e.state in ('draft', 'cancelled') or e.status = 'archived')
  ) then
    raise exception 'the event was cancelled meanwhile' using errcode = '40001';
  end if;
  for v_item in
    select i.ticket_type_id, i.quantity from app.order_items i where i.order_id = p_order order by i.ticket_type_id
  loop
    update app.ticket_types t set held = t.held - v_item.quantity, sold = t.sold + v_item.quantity
    where t.id = v_item.ticket_type_id;
  end loop;
end
$$;
alter function app.sell_held_tickets(uuid) owner to <app>_owner;
revoke execute on function app.sell_held_tickets(uuid) from public;
grant execute on function app.sell_held_tickets(uuid) to <app>_job;

-- Puts the held tickets of an order that is no longer pending back on sale.
create function app.release_tickets(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_item record;
begin
  for v_item in
    select i.ticket_type_id, i.quantity from app.order_items i where i.order_id = p_order order by i.ticket_type_id
  loop
    update app.ticket_types t set held = t.held - v_item.quantity where t.id = v_item.ticket_type_id;
    perform app.offer_places(v_item.ticket_type_id);
  end loop;
end
$$;
alter function app.release_tickets(uuid) owner to <app>_owner;
revoke execute on function app.release_tickets(uuid) from public;
grant execute on function app.release_tickets(uuid) to <app>_job;

-- Marks the tickets of a refund as refunded, unless they were before, and puts them back on sale. Returns their number.
create function app.return_tickets(p_refund uuid) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_type record;
  v_count int := 0;
begin
  for v_type in
    with given_back as (
      update app.tickets t set state = 'refunded'
      where t.refund_id = p_refund and t.state in ('valid', 'checked_in') returning t.ticket_type_id
    )
    select g.ticket_type_id, count(*)::int as quantity from given_back g group by 1 order by 1
  loop
    update app.ticket_types t set sold = t.sold - v_type.quantity where t.id = v_type.ticket_type_id;
    perform app.offer_places(v_type.ticket_type_id);
    v_count := v_count + v_type.quantity;
  end loop;
  return v_count;
end
$$;
alter function app.return_tickets(uuid) owner to <app>_owner;
revoke execute on function app.return_tickets(uuid) from public;
grant execute on function app.return_tickets(uuid) to <app>_job;

-- Makes the tickets of an order void, without money: after a dispute, or, for free tickets, with their event. After a
-- dispute, tickets with which somebody has entered, at the entrance or at a checkpoint, stay as they are. Returns the
-- number of voided tickets.
create function app.void_tickets(p_order uuid, p_reason text) returns int
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_type record;
  v_count int := 0;
begin
  for v_type in
    with voided as (
      update app.tickets t set state = 'void', void_reason = p_reason
      where t.order_id = p_order
        and case p_reason
          when 'disputed' then t.state = 'valid' and not exists (select from app.checkpoint_entries x where x.ticket_id = t.id)
          else t.state in ('valid', 'checked_in')
        end
      returning t.ticket_type_id
    )
    select v.ticket_type_id, count(*)::int as quantity from voided v group by 1 order by 1
  loop
    update app.ticket_types t set sold = t.sold - v_type.quantity where t.id = v_type.ticket_type_id;
    perform app.offer_places(v_type.ticket_type_id);
    v_count := v_count + v_type.quantity;
  end loop;
  return v_count;
end
$$;
alter function app.void_tickets(uuid, text) owner to <app>_owner;
revoke execute on function app.void_tickets(uuid, text) from public;
grant execute on function app.void_tickets(uuid, text) to <app>_job;

-- Expires orders that were not paid in time, and releases their credits and tickets. Orders that another transaction
-- has locked, because they are being paid for, are skipped. Returns the ids of the expired orders.
create function app.expire_orders(p_limit int) returns setof uuid
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_orders uuid[];
  v_hold uuid;
  v_type record;
begin
  with due as (
    select o.id from app.orders o where o.state = 'pending' and o.expires_at <= now()
    order by o.expires_at, o.id limit p_limit for update skip locked
  ), expired as (
    update app.orders o set state = 'expired' from due where o.id = due.id returning o.id
  )
  select coalesce(array_agg(e.id), '{}') into v_orders from expired e;
  for v_hold in
    select o.wallet_hold_id from app.orders o join app.wallet_holds h on h.id = o.wallet_hold_id
    where o.id = any (v_orders) order by h.wallet_id, h.id
  loop
    begin
      perform app.release_hold(v_hold, 'voided');
    exception when check_violation then
      -- Its account has less set aside than its holds say. The tickets are free, and so are those of the others.
      null;
    end;
  end loop;
  for v_type in
    select i.ticket_type_id, sum(i.quantity)::int as quantity from app.order_items i
    where i.order_id = any (v_orders) group by 1 order by 1
  loop
    update app.ticket_types t set held = t.held - v_type.quantity where t.id = v_type.ticket_type_id;
    perform app.offer_places(v_type.ticket_type_id);
  end loop;
  return query select unnest(v_orders);
end
$$;
alter function app.expire_orders(int) owner to <app>_owner;
revoke execute on function app.expire_orders(int) from public;
grant execute on function app.expire_orders(int) to <app>_job;

-- Assigns positions on the waiting list in the order of joining. If two members join at the same time, the second
-- transaction waits for the first. A priority below that of others stays with a member who leaves the lists of an event
-- and joins again; a higher one is not kept.
create function app.waitlist_position() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('waitlist:' || new.event_id::text, 0));
  select coalesce(max(w.position), 0) + 1 into new.position from app.waitlist_entries w where w.event_id = new.event_id;
  -- What the host decided last, for each ticket type that the member waited for.
  new.priority := least(new.priority, coalesce((
    select min(l.priority) from (
      select distinct on (w.ticket_type_id) w.priority from app.waitlist_entries w
      where w.user_id = new.user_id and w.event_id = new.event_id
      order by w.ticket_type_id, w.position desc
    ) l), 0));
  return new;
end
$$;
alter function app.waitlist_position() owner to <app>_counter;
revoke execute on function app.waitlist_position() from public;

create trigger waitlist_entries_position
  before insert on app.waitlist_entries
  for each row when (new.position is null) execute function app.waitlist_position();

-- Combines priority and position in one number, so that an index has the order in which places are offered.
create function app.waitlist_turn() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.turn := new.position - new.priority * 1000000000000;
  return new;
end
$$;
alter function app.waitlist_turn() owner to <app>_owner;
revoke execute on function app.waitlist_turn() from public;

-- Runs after the trigger that assigns the position, because triggers fire in the order of their names.
create trigger waitlist_entries_turn
  before insert or update of position, priority on app.waitlist_entries
  for each row execute function app.waitlist_turn();

-- Ends the offer to transfer a ticket when the ticket is used, refunded or transferred in another way.
create function app.end_transfers() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
begin
  update app.ticket_transfers x set state = 'expired', decided_at = now() where x.ticket_id = new.id and x.state = 'offered';
  return null;
end
$$;
alter function app.end_transfers() owner to <app>_owner;
revoke execute on function app.end_transfers() from public;

create trigger tickets_end_transfers
  after update of state, refund_id, holder_id on app.tickets
  for each row when (new.state <> 'valid' or new.refund_id is not null or new.holder_id <> old.holder_id)
  execute function app.end_transfers();

-- The time up to which all changes of tickets are visible. Transactions still running began later, and their changes
-- are found by the next query from this time on. Sessions of other database roles are not visible here; `p_overlap` is
-- repeated so that their changes are found too.
create function app.changes_told_until(p_overlap interval) returns timestamptz
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select least(now() - p_overlap, min(a.xact_start)) from pg_catalog.pg_stat_activity a
    where a.datname = current_database() and a.usename = current_user
  );
end
$$;
alter function app.changes_told_until(interval) owner to <app>_owner;
revoke execute on function app.changes_told_until(interval) from public;
grant execute on function app.changes_told_until(interval) to <app>_job;

-- Until when an event admits guests, according to its current times: a day after its end, because it may run long and
-- scans may arrive late.
create function app.admits_until(p_event uuid) returns timestamptz
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select e.ends_at + interval '1 day' from app.events e where e.id = p_event
  );
end
$$;
alter function app.admits_until(uuid) owner to <app>_owner;
revoke execute on function app.admits_until(uuid) from public;
grant execute on function app.admits_until(uuid) to <app>_job;

-- Whether a code that is valid from `p_not_before` on was shown within its time. The clock of an offline device may be
-- wrong by up to an hour. The end is taken from the event instead of the code, because the event may have been moved
-- since.
create function app.admits_at(p_event uuid, p_not_before timestamptz, p_at timestamptz) returns boolean
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return p_at >= p_not_before - interval '1 hour' and p_at <= app.admits_until(p_event);
end
$$;
alter function app.admits_at(uuid,timestamptz,timestamptz) owner to <app>_owner;
revoke execute on function app.admits_at(uuid,timestamptz,timestamptz) from public;
grant execute on function app.admits_at(uuid,timestamptz,timestamptz) to <app>_job;
