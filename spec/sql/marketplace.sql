-- Accepting a quote decides the service request. All consequences happen in the same transaction.

-- Called before a quote is accepted and before its row is locked. If two quotes of one request are accepted at the same
-- time, the second transaction waits here and then finds that its lead is lost. Otherwise each would lock its own
-- quote, and the two would deadlock.
create function app.wait_for_request(p_quote uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from app.service_requests r
  join app.leads l on l.service_request_id = r.id
  join app.quotes q on q.lead_id = l.id
  where q.id = p_quote for update of r;
end
$$;
alter function app.wait_for_request(uuid) owner to <app>_counter;
revoke execute on function app.wait_for_request(uuid) from public;
grant execute on function app.wait_for_request(uuid) to <app>_app;

-- Marks the lead of the accepted quote as won and all others as lost, declines the other open quotes, and settles the
-- request. Each party still sees its own rows only.
create function app.settle_request() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_request uuid;
begin
  select l.service_request_id into v_request from app.leads l where l.id = new.lead_id;
  -- Before the quotes are read: whoever is sending one has locked its lead, so it is waited for and declined with the others.
  perform from app.leads l where l.service_request_id = v_request order by l.id for no key update;
  update app.leads l set state = 'won' where l.id = new.lead_id and l.state in ('new', 'viewed');
  update app.quotes q set state = 'declined' from app.leads l
  where l.id = q.lead_id and l.service_request_id = v_request and q.id <> new.id and q.state = 'sent' and q.status <> 'archived';
  update app.leads l set state = 'lost'
  where l.service_request_id = v_request and l.id <> new.lead_id and l.state in ('new', 'viewed') and l.status <> 'archived';
  update app.service_requests r set state = 'settled' where r.id = v_request and r.state <> 'settled';
  return null;
end
$$;
alter function app.settle_request() owner to <app>_counter;
revoke execute on function app.settle_request() from public;
grant update (state) on app.quotes, app.leads, app.service_requests to <app>_counter;

create trigger quotes_settle
  after update of state on app.quotes
  for each row when (new.state = 'accepted' and old.state <> 'accepted') execute function app.settle_request();

-- A settled request that is reopened asks again those who had lost it to the accepted quote. Who has declined has declined.
create function app.ask_again() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update app.leads l set state = 'viewed' where l.service_request_id = new.id and l.state = 'lost' and l.status <> 'archived';
  return null;
end
$$;
alter function app.ask_again() owner to <app>_counter;
revoke execute on function app.ask_again() from public;

create trigger service_requests_ask_again
  after update of state on app.service_requests
  for each row when (new.state = 'open' and old.state = 'settled') execute function app.ask_again();

-- Why a host can't tell a business of its request, as the job does that tells businesses of requests: `host`, the host is
-- not shown yet, or `month`, the business hears of no more requests this month (`p_free` if it has no plan; null: no
-- limit then). Null: nothing is in the way. A request that the business was told of before counts once. Requests of a
-- city wait for each other here, so that two of them can't both take the last place.
create function app.lead_obstacle(p_request uuid, p_business uuid, p_free int) returns text
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  v_request record;
  v_most int := p_free;
  v_plan record;
begin
  select r.city_id, app.is_shown(r.host_id) as is_shown into v_request from app.service_requests r where r.id = p_request;
  if not v_request.is_shown then
    return 'host';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('marketplace:' || v_request.city_id::text, 0));
  select p.leads_per_month into v_plan from app.subscriptions s join app.plans p on p.id = s.plan_id
  where s.business_id = p_business and s.state <> 'canceled' and s.entitled_until > now();
  if found then
    v_most := v_plan.leads_per_month;
  end if;
  if v_most <= (
    select count(distinct l.service_request_id) from app.leads l
    where l.business_id = p_business and l.service_request_id <> p_request
      and l.created_at >= date_trunc('month', now() at time zone 'UTC') at time zone 'UTC')
  then
    return 'month';
  end if;
  return null;
end
$$;
alter function app.lead_obstacle(uuid, uuid, int) owner to <app>_authz;
revoke execute on function app.lead_obstacle(uuid, uuid, int) from public;
grant execute on function app.lead_obstacle(uuid, uuid, int) to <app>_app;

-- Holds whoever makes leads by hand to plans. How much is free is a setting of the server, which the hook knows.
create function app.hold_lead() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  case app.lead_obstacle(new.service_request_id, new.business_id, null)
    when 'host' then
      raise exception 'nobody has looked at the host yet' using errcode = '23514', constraint = 'leads_host';
    when 'month' then
      raise exception 'as many as the plan includes' using errcode = '23514', constraint = 'leads_plan';
    else
      return new;
  end case;
end
$$;
alter function app.hold_lead() owner to <app>_authz;
revoke execute on function app.hold_lead() from public;

create trigger leads_plan after insert on app.leads
  for each row when (current_user = '<app>_app') execute function app.hold_lead();

-- Whether quotes for a lead can still be made, changed, sent and accepted: neither the request nor the lead is decided or
-- closed, and what was asked for is not over.
create function app.lead_is_open(p_lead uuid) returns boolean
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return exists (
    select from app.leads l join app.service_requests r on r.id = l.service_request_id
    where l.id = p_lead and l.state in ('new', 'viewed') and l.status = 'active' and r.state = 'open' and r.status = 'active'
      and (r.needed_at is null or r.needed_at > now())
  );
end
$$;
alter function app.lead_is_open(uuid) owner to <app>_authz;
revoke execute on function app.lead_is_open(uuid) from public;
grant execute on function app.lead_is_open(uuid) to <app>_app;

-- The currencies in which the platform charges its fee for a quote on this lead; empty if it charges none. A quote in
-- another one would be without a fee, and its currency is the provider's choice.
create function app.currencies_of_fee(p_lead uuid) returns text[]
  language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return array(
    select distinct r.currency from app.leads l
    join app.service_requests q on q.id = l.service_request_id
    join app.cities c on c.id = q.city_id
    join app.commission_rules r on r.type = 'service_fee' and r.status = 'active'
      and r.valid_from <= now() and (r.valid_to is null or r.valid_to > now())
      and (r.scope_id is null or r.scope_id in (q.event_id, l.business_id, c.id, c.country_id))
    where l.id = p_lead order by 1
  );
end
$$;
alter function app.currencies_of_fee(uuid) owner to <app>_counter;
revoke execute on function app.currencies_of_fee(uuid) from public;
grant execute on function app.currencies_of_fee(uuid) to <app>_app;

create function app.quote_in_currency() returns trigger
  language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.currency <> all (app.currencies_of_fee(new.lead_id)) and app.currencies_of_fee(new.lead_id) <> '{}' then
    raise exception 'the fee is charged in another currency' using errcode = '23514', table = 'quotes', constraint = 'quotes_currency_of_fee';
  end if;
  return new;
end
$$;
alter function app.quote_in_currency() owner to <app>_owner;
revoke execute on function app.quote_in_currency() from public;

create trigger quotes_currency_of_fee before update of state on app.quotes
  for each row when (current_user = '<app>_app' and new.state = 'sent' and old.state <> 'sent')
  execute function app.quote_in_currency();

create function app.quote_in_time() returns trigger
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not app.lead_is_open(new.lead_id) then
    raise exception 'nothing is asked for any more' using errcode = '23514', table = 'service_requests', constraint = 'service_requests_open';
  end if;
  return new;
end
$$;
alter function app.quote_in_time() owner to <app>_authz;
revoke execute on function app.quote_in_time() from public;

create trigger quotes_in_time after insert on app.quotes
  for each row when (current_user = '<app>_app') execute function app.quote_in_time();

-- Quotes can still be declined, withdrawn and archived.
create trigger quotes_in_time_changed before update on app.quotes
  for each row when (current_user = '<app>_app' and (
    (new.amount_cents, new.currency, new.terms, new.valid_until) is distinct from (old.amount_cents, old.currency, old.terms, old.valid_until)
    or new.state in ('sent', 'accepted') and new.state <> old.state))
  execute function app.quote_in_time();
