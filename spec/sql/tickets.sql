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
        and app.may_order(w.event_id, w.user_id) and app.tickets_of_buyer(p_type, w.user_id) < v_type.per_user_limit
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

-- Refuses an order that would exceed the limit per person of a ticket type or promo code. Called for a late payment,
-- whose order has released its tickets; when an order is placed, the cart checks these limits. Orders at the door are
-- those of guests, although the staff have placed them.
create function app.keep_limits(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_order record;
begin
  select o.user_id, o.promo_code_id into v_order from app.orders o where o.id = p_order;
  if exists (
    select from app.order_items i join app.ticket_types t on t.id = i.ticket_type_id
    where i.order_id = p_order
      and i.quantity + (
        select count(*) from app.tickets k join app.orders o on o.id = k.order_id
        where k.ticket_type_id = t.id and k.buyer_id = v_order.user_id and k.state in ('valid', 'checked_in') and not o.sold_at_door
      ) + (
        select coalesce(sum(x.quantity), 0) from app.order_items x join app.orders o on o.id = x.order_id
        where x.ticket_type_id = t.id and o.user_id = v_order.user_id and o.state = 'pending' and o.id <> p_order
          and not o.sold_at_door
      ) > t.per_user_limit
  ) then
    raise exception 'more than one person may have' using errcode = '23514', constraint = 'ticket_types_per_user_limit';
  end if;
  if exists (
    select from app.promo_codes p
    where p.id = v_order.promo_code_id and p.per_user_limit <= (
      select count(*) from app.orders o
      where o.promo_code_id = p.id and o.user_id = v_order.user_id and o.id <> p_order
        and o.state in ('pending', 'paid', 'part_refunded') and not o.sold_at_door
    )
  ) then
    raise exception 'used as often as one person may' using errcode = '23514', constraint = 'promo_codes_per_user_limit';
  end if;
end
$$;
alter function app.keep_limits(uuid) owner to <app>_owner;
revoke execute on function app.keep_limits(uuid) from public;
grant execute on function app.keep_limits(uuid) to <app>_job;

-- Holds tickets for an order, all or none. If there aren't enough, the error lists the types that lack tickets, or the
-- places that the event has left. Members who waited before get free places first; a place that has been offered to the
-- buyer is used for the order.
create function app.hold_tickets(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_order record;
  v_item record;
  v_own int;
  v_need int;
  v_needed int := 0;
  v_lacking uuid[] := '{}';
  v_room bigint;
begin
  select o.user_id, o.event_id, e.capacity is not null as is_limited into v_order
  from app.orders o join app.events e on e.id = o.event_id where o.id = p_order;
  perform app.wait_for_event(v_order.event_id);
  -- Of an event with a capacity of its own, who waits for another type waits for the same room.
  for v_item in
    select t.id, i.order_id is not null as is_ordered from app.ticket_types t
    left join app.order_items i on i.ticket_type_id = t.id and i.order_id = p_order
    where t.event_id = v_order.event_id and (v_order.is_limited or i.order_id is not null) order by t.id
  loop
    if v_order.is_limited and v_item.is_ordered then
      -- Rows of types are locked in the order of their ids.
      perform from app.ticket_types t where t.id = v_item.id for no key update;
    end if;
    perform app.offer_places(v_item.id);
  end loop;
  for v_item in
    select i.ticket_type_id, i.quantity from app.order_items i where i.order_id = p_order order by i.ticket_type_id
  loop
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
    v_need := v_item.quantity - v_own;
    v_needed := v_needed + v_need;
    update app.ticket_types t set held = t.held + v_need
    where t.id = v_item.ticket_type_id and t.held + t.sold + v_need <= t.capacity;
    if not found then
      v_lacking := array_append(v_lacking, v_item.ticket_type_id);
    end if;
  end loop;
  if v_lacking <> '{}' then
    raise exception 'sold out' using errcode = '23514', constraint = 'ticket_types_sold_out', detail = array_to_string(v_lacking, ' ');
  end if;
  -- The order was priced before the types were locked. If a type got another currency in between, the transaction runs
  -- again and prices it anew; an order that was placed before keeps its type from getting one.
  if exists (
    select from app.order_items i join app.ticket_types t on t.id = i.ticket_type_id
    where i.order_id = p_order and i.currency <> t.currency
  ) then
    raise exception 'the currency was changed meanwhile' using errcode = '40001';
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
-- transaction waits for the first.
create function app.waitlist_position() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('waitlist:' || new.event_id::text, 0));
  select coalesce(max(w.position), 0) + 1 into new.position from app.waitlist_entries w where w.event_id = new.event_id;
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
  language sql set search_path = pg_catalog, pg_temp as $$
  select least(now() - p_overlap, min(a.xact_start)) from pg_catalog.pg_stat_activity a
  where a.datname = current_database() and a.usename = current_user
$$;
alter function app.changes_told_until(interval) owner to <app>_owner;
revoke execute on function app.changes_told_until(interval) from public;
grant execute on function app.changes_told_until(interval) to <app>_job;

-- Until when an event admits guests, according to its current times: a day after its end, because it may run long and
-- scans may arrive late.
create function app.admits_until(p_event uuid) returns timestamptz
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select e.ends_at + interval '1 day' from app.events e where e.id = p_event
$$;
alter function app.admits_until(uuid) owner to <app>_owner;
revoke execute on function app.admits_until(uuid) from public;
grant execute on function app.admits_until(uuid) to <app>_job;

-- Whether a code that is valid from `p_not_before` on was shown within its time. The clock of an offline device may be
-- wrong by up to an hour. The end is taken from the event instead of the code, because the event may have been moved
-- since.
create function app.admits_at(p_event uuid, p_not_before timestamptz, p_at timestamptz) returns boolean
  language sql stable set search_path = pg_catalog, pg_temp as $$
  select p_at >= p_not_before - interval '1 hour' and p_at <= app.admits_until(p_event)
$$;
alter function app.admits_at(uuid,timestamptz,timestamptz) owner to <app>_owner;
revoke execute on function app.admits_at(uuid,timestamptz,timestamptz) from public;
grant execute on function app.admits_at(uuid,timestamptz,timestamptz) to <app>_job;

-- Faults of tickets and orders. Must always be empty.
create view app.ticket_faults with (security_invoker = true) as
  select 'held is not what pending orders and offers are for' as fault, 'ticket_type' as entity_type, t.id as entity_id
  from app.ticket_types t
  left join (
    select i.ticket_type_id, sum(i.quantity) as total from app.order_items i
    join app.orders o on o.id = i.order_id where o.state = 'pending' group by 1
  ) s on s.ticket_type_id = t.id
  left join (
    select w.offered_type_id, count(*) as total from app.waitlist_entries w where w.state = 'offered' group by 1
  ) w on w.offered_type_id = t.id
  where t.held <> coalesce(s.total, 0) + coalesce(w.total, 0)
  union all
  select 'sold is not the number of tickets', 'ticket_type', t.id
  from app.ticket_types t
  left join (
    select k.ticket_type_id, count(*) as total from app.tickets k where k.state in ('valid', 'checked_in') group by 1
  ) s on s.ticket_type_id = t.id
  where t.sold <> coalesce(s.total, 0)
  union all
  select 'oversold', 'ticket_type', t.id from app.ticket_types t where t.held + t.sold > t.capacity
  union all
  select 'more taken than the event has room for', 'event', e.id
  from app.events e
  where e.capacity < (select sum(t.held + t.sold) from app.ticket_types t where t.event_id = e.id)
  union all
  select 'offered and not to be handed on', 'ticket_transfer', x.id
  from app.ticket_transfers x join app.tickets k on k.id = x.ticket_id
  where x.state = 'offered' and (k.state <> 'valid' or k.refund_id is not null or k.holder_id <> x.from_id)
  union all
  select 'paid without its tickets', 'order', o.id
  from app.orders o
  where o.state = 'paid'
    and (select coalesce(sum(i.quantity), 0) from app.order_items i where i.order_id = o.id)
      <> (select count(*) from app.tickets k where k.order_id = o.id and k.state in ('valid', 'checked_in'))
  union all
  select 'another number of tickets than it says', 'order', o.id
  from app.orders o
  where o.ticket_count <> (select count(*) from app.tickets k where k.order_id = o.id)
  union all
  select 'tickets without payment', 'order', o.id
  from app.orders o
  where o.state in ('pending', 'expired', 'cancelled', 'refunded')
    and exists (select from app.tickets k where k.order_id = o.id and k.state in ('valid', 'checked_in'))
  union all
  select 'let in after the payment was taken back', 'order', o.id
  from app.orders o
  where o.state = 'charged_back'
    and exists (
      select from app.tickets k
      where k.order_id = o.id and k.state = 'valid' and not exists (select from app.checkpoint_entries x where x.ticket_id = k.id))
  union all
  select 'owed and not on its way back', 'order', o.id
  from app.orders o
  where o.state = 'refund_pending'
    and not exists (select from app.refunds r where r.order_id = o.id and r.state in ('pending', 'succeeded'))
  union all
  select 'refunded is not the sum of the refunds', 'order', o.id
  from app.orders o
  left join (
    select r.order_id, sum(r.amount_cents) as total, sum(r.card_cents) as card from app.refunds r where r.state = 'succeeded' group by 1
  ) s on s.order_id = o.id
  where o.refunded_cents <> coalesce(s.total, 0) or o.refunded_card_cents <> coalesce(s.card, 0)
  union all
  select 'a hold of an order that is not pending', 'order', o.id
  from app.orders o join app.wallet_holds h on h.id = o.wallet_hold_id
  where o.state <> 'pending' and h.state = 'pending'
  union all
  select 'let in twice', 'ticket', c.ticket_id from app.check_ins c
  where c.result = 'ok' and c.checkpoint_id is null group by c.ticket_id having count(*) > 1
  union all
  select 'inside a checkpoint twice', 'ticket', x.ticket_id from app.checkpoint_entries x
  where x.left_at is null group by x.ticket_id, x.checkpoint_id having count(*) > 1
  union all
  select 'entries are not the good scans', 'checkpoint', p.id
  from app.checkpoints p
  left join (
    select x.checkpoint_id, count(*) as entries, count(x.left_at) as exits from app.checkpoint_entries x group by 1
  ) x on x.checkpoint_id = p.id
  left join (
    select c.checkpoint_id, count(*) filter (where c.direction = 'entry') as entries, count(*) filter (where c.direction = 'exit') as exits
    from app.check_ins c where c.result = 'ok' and c.checkpoint_id is not null group by 1
  ) c on c.checkpoint_id = p.id
  where (coalesce(x.entries, 0), coalesce(x.exits, 0)) <> (coalesce(c.entries, 0), coalesce(c.exits, 0))
  union all
  select 'tickets are not what was paid', 'order', o.id
  from app.orders o join app.tickets k on k.order_id = o.id group by o.id, o.amount_cents
  having sum(k.paid_cents) <> o.amount_cents
  union all
  select 'parts are not the whole', 'order', o.id
  from app.orders o where o.platform_fee_cents + o.city_share_cents + o.organizer_cents <> o.amount_cents
  union all
  select 'card and top-up are not the part of the host', 'order', o.id
  from app.orders o
  where not o.sold_at_door and o.card_cents - o.application_fee_cents + o.top_up_cents <> o.organizer_cents
  union all
  select 'parts of a refund are not the whole', 'refund', r.id
  from app.refunds r where r.platform_fee_cents + r.city_share_cents + r.organizer_cents <> r.amount_cents
  union all
  select 'a refund of another sum than its tickets cost', 'refund', r.id
  from app.refunds r
  where exists (select from app.tickets k where k.order_id = r.order_id)
    and r.amount_cents <> (select coalesce(sum(k.paid_cents), 0) from app.tickets k where k.refund_id = r.id)
  union all
  select 'given back without a refund', 'ticket', k.id
  from app.tickets k where k.state = 'refunded' and k.paid_cents > 0 and k.refund_id is null
  union all
  select 'given back is not what each had', 'order', o.id
  from app.orders o
  join (
    select r.order_id, sum(r.amount_cents) as total, sum(r.organizer_cents) as organizer, sum(r.platform_fee_cents) as platform,
      sum(r.city_share_cents) as city
    from app.refunds r
    where r.state <> 'failed' and exists (select from app.tickets k where k.order_id = r.order_id) group by r.order_id
  ) s on s.order_id = o.id
  where s.organizer > o.organizer_cents or s.platform > o.platform_fee_cents or s.city > o.city_share_cents
    or (s.total = o.amount_cents
      and (s.organizer, s.platform, s.city) is distinct from (o.organizer_cents, o.platform_fee_cents, o.city_share_cents));
alter view app.ticket_faults owner to <app>_counter;
