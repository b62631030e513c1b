-- Who may order tickets of an event, and how many.

-- Whether a member may order tickets of an event, or wait for them: they see it otherwise than by a ticket, or the ticket
-- is for an event that is not a community's own, such as an unlisted one. So a member whom a community has banned gets
-- nothing more by a ticket that they have. For jobs, and members other than the caller; mirrors the rule `read` of
-- events (`tests/src/abuse/banned.rs` compares the two).
create function app.may_order_tickets(p_event uuid, p_user uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.events e left join app.communities c on c.id = e.host_community_id and c.status = 'active'
    where e.id = p_event and e.status = 'active' and (
      e.state <> 'draft' and e.visibility = 'public' and (
        exists (select from app.organizations h where h.id = e.host_organization_id and h.state = 'approved' and h.status = 'active')
        or exists (select from app.businesses h where h.id = e.host_business_id and h.state = 'approved' and h.status = 'active')
        or exists (select from app.institutions h where h.id = e.host_institution_id and h.status = 'active')
        or c.visibility = 'public'
        or exists (
          select from app.community_members m
          where m.community_id = c.id and m.user_id = p_user and m.status = 'active'
            -- Whoever has only asked to join is a stranger to a private community until they are approved.
            and (m.state in ('active', 'unbanned') or m.state = 'pending' and m.added_by_id <> m.user_id)))
      or e.state <> 'draft' and e.visibility = 'community' and exists (
        select from app.community_members m
        where m.community_id = c.id and m.user_id = p_user and m.status = 'active' and m.state = 'active')
      or exists (
        select from app.role_assignments r
        where r.user_id = p_user and r.state = 'accepted' and r.status = 'active'
          and (r.role = 'platformAdmin' or r.role = 'orgAdmin' and r.scope_id = e.host_id or r.role = 'cityAdmin' and r.scope_id = e.city_id))
      or (e.host_community_id is null or e.visibility = 'unlisted') and exists (
        select from app.tickets t where t.event_id = e.id and t.holder_id = p_user and t.state in ('valid', 'checked_in'))));
end
$$;
alter function app.may_order_tickets(uuid, uuid) owner to <app>_authz;
revoke execute on function app.may_order_tickets(uuid, uuid) from public;
grant execute on function app.may_order_tickets(uuid, uuid) to <app>_job;

-- Whether a member may be offered a ticket, and accept it: not if the community that hosts the event has banned them and
-- they could not order one either. Otherwise a friend's ticket would show them what the ban has hidden, and let them in.
create function app.may_receive(p_event uuid, p_user uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return not exists (
    select from app.events e join app.community_members m on m.community_id = e.host_community_id
    where e.id = p_event and m.user_id = p_user and m.status = 'active' and m.state = 'banned'
  ) or app.may_order_tickets(p_event, p_user);
end
$$;
alter function app.may_receive(uuid, uuid) owner to <app>_authz;
revoke execute on function app.may_receive(uuid, uuid) from public;
grant execute on function app.may_receive(uuid, uuid) to <app>_job;

-- A place that is held for a member whose order would be refused by now lapses: one whom the community has banned
-- or removed, or who has left it, so that they do not see the event any more, or whose account is suspended. The next transaction that changes the stock, or the
-- job, offers it to somebody else (`app.offer_places`); until then it could be held for a week.
create function app.end_places_of_member() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.waitlist_entries w set offer_expires_at = now()
  from app.events e
  where w.user_id = new.user_id and w.state = 'offered' and w.offer_expires_at > now()
    and e.id = w.event_id and e.host_community_id = new.community_id and not app.may_order_tickets(e.id, new.user_id);
  return null;
end
$$;
alter function app.end_places_of_member() owner to <app>_counter;
revoke execute on function app.end_places_of_member() from public;
grant execute on function app.may_order_tickets(uuid, uuid) to <app>_counter;
grant update (offer_expires_at) on app.waitlist_entries to <app>_counter;

create trigger community_members_without_places after update of state, status on app.community_members
  for each row when ((new.state = 'banned' and old.state <> 'banned') or (new.status = 'archived' and old.status <> 'archived'))
  execute function app.end_places_of_member();

-- The same for everybody who does not see the event any more because it, or the community that hosts it, is for members
-- only now.
create function app.end_places_of_strangers() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.waitlist_entries w set offer_expires_at = now()
  from app.events e
  where w.state = 'offered' and w.offer_expires_at > now() and e.id = w.event_id
    and case tg_table_name when 'events' then e.id = new.id else e.host_community_id = new.id end
    and not app.may_order_tickets(e.id, w.user_id);
  return null;
end
$$;
alter function app.end_places_of_strangers() owner to <app>_counter;
revoke execute on function app.end_places_of_strangers() from public;

create trigger events_without_places after update of visibility on app.events
  for each row when (new.visibility is distinct from old.visibility) execute function app.end_places_of_strangers();

create trigger communities_without_places after update of visibility on app.communities
  for each row when (new.visibility is distinct from old.visibility) execute function app.end_places_of_strangers();

create function app.end_places_of_suspended() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.waitlist_entries w set offer_expires_at = now()
  where w.user_id = new.id and w.state = 'offered' and w.offer_expires_at > now();
  return null;
end
$$;
alter function app.end_places_of_suspended() owner to <app>_counter;
revoke execute on function app.end_places_of_suspended() from public;

create trigger users_without_places after update of status on app.users
  for each row when (old.status = 'active' and new.status = 'suspended') execute function app.end_places_of_suspended();

create function app.keep_tickets_from_banned() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (
    select from app.tickets t where t.id = new.ticket_id and app.may_receive(t.event_id, new.to_id)
  ) then
    raise exception 'banned from the event' using errcode = '23514', constraint = 'ticket_transfers_to_allowed';
  end if;
  return new;
end
$$;
alter function app.keep_tickets_from_banned() owner to <app>_authz;
revoke execute on function app.keep_tickets_from_banned() from public;

create trigger ticket_transfers_to_allowed after insert on app.ticket_transfers
  for each row when (new.state = 'offered') execute function app.keep_tickets_from_banned();

create trigger ticket_transfers_taken_by_allowed after update of state on app.ticket_transfers
  for each row when (old.state = 'offered' and new.state = 'accepted') execute function app.keep_tickets_from_banned();

-- How many tickets of a type a buyer has, or has ordered and not paid for yet: what counts against the limit per person.
-- What the buyer has sold at the door as staff belongs to the guests, although the staff have placed the orders.
create function app.tickets_of_buyer(p_type uuid, p_user uuid) returns bigint
  language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select count(*) from app.tickets k join app.orders o on o.id = k.order_id
    where k.ticket_type_id = p_type and k.buyer_id = p_user and k.state in ('valid', 'checked_in') and not o.sold_at_door
  ) + (
    select coalesce(sum(i.quantity), 0) from app.order_items i join app.orders o on o.id = i.order_id
    where i.ticket_type_id = p_type and o.user_id = p_user and o.state = 'pending' and not o.sold_at_door
  );
end
$$;
alter function app.tickets_of_buyer(uuid, uuid) owner to <app>_owner;
revoke execute on function app.tickets_of_buyer(uuid, uuid) from public;
grant execute on function app.tickets_of_buyer(uuid, uuid) to <app>_job;

-- Refuses an order that could not be placed now: its types are not sold online at the moment, the buyer may not order
-- tickets of the event any more, or it would exceed the limit per person of a ticket type or promo code. Called for a late
-- payment, whose order has released its tickets; when an order is placed, the cart checks all of this. Orders at the door
-- are those of guests, although the staff have placed them.
create function app.keep_limits(p_order uuid) returns void
  language plpgsql set search_path = pg_catalog, pg_temp set app.job = 'tickets' as $$
declare
  v_order record;
begin
  select o.user_id, o.event_id, o.promo_code_id into v_order from app.orders o where o.id = p_order;
  if exists (
    select from app.order_items i join app.ticket_types t on t.id = i.ticket_type_id
    where i.order_id = p_order and (t.door_only or t.sales_start > now() or t.sales_end <= now())
  ) then
    raise exception 'not on sale any more' using errcode = '23514', constraint = 'ticket_types_withdrawn';
  end if;
  if not app.may_order_tickets(v_order.event_id, v_order.user_id) then
    raise exception 'nothing more is sold to them' using errcode = '23514', constraint = 'orders_buyer_may_order';
  end if;
  if exists (
    select from app.order_items i join app.ticket_types t on t.id = i.ticket_type_id
    where i.order_id = p_order
      and i.quantity + app.tickets_of_buyer(t.id, v_order.user_id) > t.per_user_limit
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
