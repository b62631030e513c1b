-- What is refused in the name of hosts that have ended (ADR 78). Hooks say the same with a reason
-- (`runtime/app/src/hooks/live.rs`); these triggers hold for every request. Those of new rows run after the policies, which
-- refuse what belongs to a row that the caller may not see, so that nothing is told about it.

-- Whether a host on which something new depends has ended: it is suspended, archived or rejected. `p_table` is the table
-- of what is new, `p_of` the row to which it belongs: of ticket types and promo codes the event, of leads the request,
-- of quotes the lead, of promotions the target; of the others the row itself.
create function app.host_has_ended(p_table text, p_of uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return case
    when p_table = 'events' then exists (select from app.events e where e.id = p_of and not app.host_is_live(e.host_id))
    -- A host prepares drafts before it is submitted again.
    when p_table in ('ticket_types', 'promo_codes') then exists (
      select from app.events e where e.id = p_of and not app.host_is_live(e.host_id) and not (e.state = 'draft' and (
        exists (select from app.organizations h where h.id = e.host_id and (h.was_rejected or h.state = 'rejected') and h.status = 'active')
        or exists (select from app.businesses h where h.id = e.host_id and (h.was_rejected or h.state = 'rejected') and h.status = 'active'))))
    when p_table in ('leads', 'service_requests') then exists (
      select from app.service_requests r where r.id = p_of and not app.host_is_live(r.host_id))
    when p_table = 'quotes' then exists (
      select from app.leads l join app.service_requests r on r.id = l.service_request_id
      where l.id = p_of and not (app.host_is_live(l.business_id) and app.host_is_live(r.host_id)))
    when p_table = 'promotions' then exists (select from app.events e where e.id = p_of and not app.host_is_live(e.host_id))
      or exists (select from app.venues v where v.id = p_of and not app.host_is_live(v.owner_id))
      or exists (select from app.businesses b where b.id = p_of and not app.host_is_live(b.id))
    when p_table = 'businesses' then not app.host_is_live(p_of)
  end;
end
$$;
alter function app.host_has_ended(text, uuid) owner to <app>_authz;
revoke execute on function app.host_has_ended(text, uuid) from public;
grant execute on function app.host_has_ended(text, uuid) to <app>_app;

create function app.begin_for_live_hosts() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_ended boolean;
begin
  case tg_table_name
    when 'ticket_types', 'promo_codes' then
      v_ended := app.host_has_ended(tg_table_name, new.event_id);
    when 'leads' then
      v_ended := app.host_has_ended('leads', new.service_request_id) or app.host_has_ended('businesses', new.business_id);
    when 'quotes' then
      v_ended := app.host_has_ended('quotes', new.lead_id);
    when 'promotions' then
      v_ended := app.host_has_ended('promotions', new.target_id);
    else
      v_ended := app.host_has_ended(tg_table_name, new.id);
  end case;
  if v_ended then
    raise exception 'the host has ended' using errcode = '23514', table = 'hosts', constraint = 'hosts_live';
  end if;
  return new;
end
$$;
alter function app.begin_for_live_hosts() owner to <app>_authz;
revoke execute on function app.begin_for_live_hosts() from public;

create trigger ticket_types_live_hosts after insert on app.ticket_types
  for each row when (current_user = '<app>_app') execute function app.begin_for_live_hosts();

create trigger promo_codes_live_hosts after insert on app.promo_codes
  for each row when (current_user = '<app>_app') execute function app.begin_for_live_hosts();

create trigger leads_live_hosts after insert on app.leads
  for each row when (current_user = '<app>_app') execute function app.begin_for_live_hosts();

create trigger quotes_live_hosts after insert on app.quotes
  for each row when (current_user = '<app>_app') execute function app.begin_for_live_hosts();

create trigger quotes_live_hosts_changed before update of state on app.quotes
  for each row when (current_user = '<app>_app' and new.state in ('sent', 'accepted') and new.state <> old.state)
  execute function app.begin_for_live_hosts();

create trigger promotions_live_hosts after insert on app.promotions
  for each row when (current_user = '<app>_app') execute function app.begin_for_live_hosts();

create trigger events_live_hosts before update of state on app.events
  for each row when (current_user = '<app>_app' and new.state = 'published' and old.state = 'draft')
  execute function app.begin_for_live_hosts();

create trigger service_requests_live_hosts before update of state on app.service_requests
  for each row when (current_user = '<app>_app' and new.state = 'open' and old.state <> 'open')
  execute function app.begin_for_live_hosts();
