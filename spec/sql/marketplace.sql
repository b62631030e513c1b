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
