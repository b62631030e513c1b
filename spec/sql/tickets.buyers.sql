-- Who may order tickets of an event, and how many.

-- Whether a member may order tickets of an event, or wait for them: they see it otherwise than by a ticket, or the ticket
-- is for an event that is not a community's own, such as an unlisted one. So a member whom a community has banned gets
-- nothing more by a ticket that they have. For jobs, and members other than the caller; mirrors the rule `read` of
-- events (`tests/src/abuse/banned.rs` compares the two).
create function app.may_order(p_event uuid, p_user uuid) returns boolean
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
          where m.community_id = c.id and m.user_id = p_user and m.status = 'active' and m.state <> 'banned'))
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
alter function app.may_order(uuid, uuid) owner to <app>_authz;
revoke execute on function app.may_order(uuid, uuid) from public;
grant execute on function app.may_order(uuid, uuid) to <app>_job;

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
